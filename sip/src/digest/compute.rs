//! The hashes of RFC 7616 section 3.4.

use md5::Digest as _;

use super::Ha1s;

/// The algorithms we speak, in the order we prefer them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha256,
    Md5,
}

impl Algorithm {
    /// From an `algorithm` parameter; none means MD5 (RFC 7616 section 3.3).
    pub(super) fn parse(token: Option<&str>) -> Option<Self> {
        match token {
            None => Some(Self::Md5),
            Some(t) if t.eq_ignore_ascii_case("MD5") => Some(Self::Md5),
            Some(t) if t.eq_ignore_ascii_case("SHA-256") => Some(Self::Sha256),
            Some(_) => None,
        }
    }

    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    fn hash(self, parts: &[&str]) -> String {
        match self {
            Self::Sha256 => hex(&sha256(parts)),
            Self::Md5 => hex(&md5(parts)),
        }
    }
}

/// What the response covers besides the password.
pub(super) struct Covered<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) nonce: &'a str,
    /// nc and cnonce as they stand; `None` for a challenge without qop
    /// (RFC 2069).
    pub(super) qop_auth: Option<(&'a str, &'a str)>,
}

/// The `response` value.
pub(super) fn response(algorithm: Algorithm, ha1s: &Ha1s, covered: &Covered<'_>) -> String {
    let ha1 = match algorithm {
        Algorithm::Sha256 => hex(&ha1s.sha256),
        Algorithm::Md5 => hex(&ha1s.md5),
    };
    let ha2 = algorithm.hash(&[covered.method, covered.uri]);
    match covered.qop_auth {
        Some((nc, cnonce)) => algorithm.hash(&[&ha1, covered.nonce, nc, cnonce, "auth", &ha2]),
        None => algorithm.hash(&[&ha1, covered.nonce, &ha2]),
    }
}

/// MD5 over the parts joined with colons.
pub(super) fn md5(parts: &[&str]) -> [u8; 16] {
    let mut hasher = md5::Md5::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hasher.update(b":");
        }
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

/// SHA-256 over the parts joined with colons.
pub(super) fn sha256(parts: &[&str]) -> [u8; 32] {
    let mut hasher = sha2::Sha256::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hasher.update(b":");
        }
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2617 section 3.5 and RFC 7616 section 3.9.1.
    #[test]
    fn the_rfcs_vectors_come_out() {
        let check = |algorithm, password, realm, nonce, cnonce, expected: &str| {
            let ha1s = Ha1s::derive("Mufasa", realm, password);
            let covered = Covered {
                method: "GET",
                uri: "/dir/index.html",
                nonce,
                qop_auth: Some(("00000001", cnonce)),
            };
            assert_eq!(response(algorithm, &ha1s, &covered), expected);
        };
        check(
            Algorithm::Md5,
            "Circle Of Life",
            "testrealm@host.com",
            "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            "0a4f113b",
            "6629fae49393a05397450978507c4ef1",
        );
        let (realm, password) = ("http-auth@example.org", "Circle of Life");
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        check(
            Algorithm::Md5,
            password,
            realm,
            nonce,
            cnonce,
            "8ca523f5e9506fed4657c9700eebdbec",
        );
        check(
            Algorithm::Sha256,
            password,
            realm,
            nonce,
            cnonce,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        );
    }
}
