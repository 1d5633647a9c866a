//! `"Display" <sip:user@host>;tag=…`, the form of From, To, Contact and Route.

use std::borrow::Cow;

use super::params::{Params, quoted_len, unquote};
use super::uri::{Uri, UriError};

/// A name-addr or addr-spec with its header parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr<'a> {
    display: &'a str,
    /// The address.
    pub uri: Uri,
    /// Header parameters (`tag`, `expires`, `q`, …), not the URI's.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value. Liberal where RFC 4475 sections 3.1.2.13 to 15 leave it
    /// to the element: blanks inside `<>` and unquoted display names.
    ///
    /// # Errors
    /// When it isn't an address, or its parameters are malformed.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        let text = text.trim();
        let (display, open) = if text.starts_with('"') {
            let len = quoted_len(text).ok_or(UriError)?;
            let gap = text[len..].len() - text[len..].trim_start().len();
            if !text[len + gap..].starts_with('<') {
                return Err(UriError);
            }
            (&text[..len], Some(len + gap))
        } else {
            match text.find('<') {
                Some(at) => (text[..at].trim_end(), Some(at)),
                None => ("", None),
            }
        };
        let (uri, rest) = match open {
            Some(open) => {
                let inside = &text[open + 1..];
                let close = inside.find('>').ok_or(UriError)?;
                (inside[..close].trim(), inside[close + 1..].trim())
            }
            None => {
                // Without `<>` the parameters are the header's, and a URI
                // holding `?` or `,` may not stand there (section 20.10).
                let end = text.find(';').unwrap_or(text.len());
                let uri = text[..end].trim();
                if uri.contains(['?', ',']) {
                    return Err(UriError);
                }
                (uri, &text[end..])
            }
        };
        let params = match rest.strip_prefix(';') {
            Some(params) => Params::new(params),
            None if rest.is_empty() => Params::default(),
            None => return Err(UriError),
        };
        if !params.is_well_formed() {
            return Err(UriError);
        }
        Ok(Self {
            display,
            uri: Uri::parse(uri)?,
            params,
        })
    }

    /// The display name without quotes; `None` when empty.
    #[must_use]
    pub fn display(&self) -> Option<Cow<'a, str>> {
        let name = unquote(self.display);
        (!name.trim().is_empty()).then_some(name)
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&'a str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_addrs_are_taken_apart() {
        let check = |text: &str, parts: Option<(Option<&str>, &str, Option<&str>)>| {
            let got = NameAddr::parse(text).ok();
            let got = got
                .as_ref()
                .map(|n| (n.display(), n.uri.as_str().to_owned(), n.tag()));
            let parts = parts.map(|(d, u, t)| (d.map(Cow::Borrowed), u.to_owned(), t));
            assert_eq!(got, parts, "{text}");
        };
        check("sip:a@b;tag=1", Some((None, "sip:a@b", Some("1"))));
        check("<sip:a@b;lr>;tag=1", Some((None, "sip:a@b;lr", Some("1"))));
        check(
            "\"A. \\\"B\\\"\" <sip:a@b>",
            Some((Some("A. \"B\""), "sip:a@b", None)),
        );
        check(
            "Dr Okafor <sip:a@b>;tag=x",
            Some((Some("Dr Okafor"), "sip:a@b", Some("x"))),
        );
        check(
            "\"<sip:x@y>\"<sip:a@b>",
            Some((Some("<sip:x@y>"), "sip:a@b", None)),
        );
        check("< sip:a@b >", Some((None, "sip:a@b", None)));
        check(
            "sip:a@b ;   tag    = 19",
            Some((None, "sip:a@b", Some("19"))),
        );
        check(
            "<tel:+15550100>;tag=q",
            Some((None, "tel:+15550100", Some("q"))),
        );
        for bad in [
            "",
            "<sip:a@b",
            "\"open <sip:a@b>",
            "\"x\" sip:a@b",
            "sip:a@b?x=1",
            "<sip:a@b>;;x",
            "<sip:a@b> x",
            "<sip:a@b>;a=\"b",
            "nonsense",
        ] {
            check(bad, None);
        }
    }
}
