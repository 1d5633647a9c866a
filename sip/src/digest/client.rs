//! Answering challenges.

use super::compute::{Algorithm, Covered, response};
use super::{Credentials, Ha1s};
use crate::message::Response;
use crate::wire::{AuthParams, quote};

/// Answers a challenge: the value of `Authorization` (or
/// `Proxy-Authorization`). `None` when the algorithm or qop is unknown. `nc`
/// counts the uses of the challenge's nonce, from 1.
#[must_use]
pub fn authorize(
    challenge: &AuthParams<'_>,
    credentials: &Credentials,
    method: &str,
    uri: &str,
    cnonce: &str,
    nc: u32,
) -> Option<String> {
    if !challenge.is_digest() {
        return None;
    }
    let token = challenge.get("algorithm");
    let algorithm = Algorithm::parse(token.as_deref())?;
    let (realm, nonce) = (challenge.get("realm")?, challenge.get("nonce")?);
    let with_qop = match challenge.get("qop") {
        Some(offered) => {
            let mut offered = offered.split(',');
            if !offered.any(|qop| qop.trim().eq_ignore_ascii_case("auth")) {
                return None;
            }
            true
        }
        None => false,
    };
    let nc = format!("{nc:08x}");
    let ha1s = Ha1s::derive(&credentials.username, &realm, &credentials.password);
    let covered = Covered {
        method,
        uri,
        nonce: &nonce,
        qop_auth: with_qop.then_some((nc.as_str(), cnonce)),
    };
    let response = response(algorithm, &ha1s, &covered);
    let mut value = format!(
        "Digest username={}, realm={}, nonce={}, uri=\"{uri}\", response=\"{response}\"",
        quote(&credentials.username),
        quote(&realm),
        quote(&nonce),
    );
    if token.is_some() {
        value.push_str(", algorithm=");
        value.push_str(algorithm.token());
    }
    if with_qop {
        value.push_str(&format!(", qop=auth, nc={nc}, cnonce=\"{cnonce}\""));
    }
    if let Some(opaque) = challenge.get("opaque") {
        value.push_str(&format!(", opaque={}", quote(&opaque)));
    }
    Some(value)
}

/// The header that answers a 401 or 407, for the strongest algorithm offered.
/// `None` for other responses and challenges we can't answer.
pub(crate) fn answer(
    response: &Response,
    credentials: &Credentials,
    method: &str,
    uri: &str,
    cnonce: &str,
) -> Option<(&'static str, String)> {
    let (header, answer) = match response.code() {
        401 => ("WWW-Authenticate", "Authorization"),
        407 => ("Proxy-Authenticate", "Proxy-Authorization"),
        _ => return None,
    };
    for preferred in [Algorithm::Sha256, Algorithm::Md5] {
        for challenge in response.header_values(header).filter_map(AuthParams::parse) {
            if Algorithm::parse(challenge.get("algorithm").as_deref()) == Some(preferred)
                && let Some(value) = authorize(&challenge, credentials, method, uri, cnonce, 1)
            {
                return Some((answer, value));
            }
        }
    }
    None
}

/// True when a challenge says that only the nonce was too old.
pub(crate) fn is_stale(response: &Response) -> bool {
    ["WWW-Authenticate", "Proxy-Authenticate"]
        .iter()
        .any(|header| {
            response
                .header_values(header)
                .filter_map(AuthParams::parse)
                .any(|c| {
                    c.get("stale")
                        .is_some_and(|s| s.eq_ignore_ascii_case("true"))
                })
        })
}
