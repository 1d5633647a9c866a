//! Digest challenges and credentials as they stand in headers.

use std::borrow::Cow;

use super::params::{Pieces, unquote};

/// The `name=value` list of an `Authorization` or `WWW-Authenticate` value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthParams<'a> {
    /// The scheme, `Digest` in practice.
    pub scheme: &'a str,
    list: &'a str,
}

impl<'a> AuthParams<'a> {
    /// Reads the scheme; the list is read on demand. `None` when there is no
    /// scheme.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (scheme, list) = text.split_once([' ', '\t'])?;
        super::params::is_token(scheme).then_some(Self {
            scheme,
            list: list.trim(),
        })
    }

    /// True for the Digest scheme.
    #[must_use]
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }

    /// The value of `name`, quotes taken off.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        Pieces::new(self.list, b',').find_map(|piece| {
            let (n, value) = piece.split_once('=')?;
            n.trim()
                .eq_ignore_ascii_case(name)
                .then(|| unquote(value.trim()))
        })
    }
}

/// A `WWW-Authenticate` or `Proxy-Authenticate` value with the Digest scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The parameters: `realm`, `nonce`, `algorithm`, `qop`, `opaque`, `stale`.
    pub params: AuthParams<'a>,
    /// True when it came in a 407's `Proxy-Authenticate`.
    pub proxy: bool,
}
