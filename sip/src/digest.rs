//! Digest authentication: RFC 7616 (SHA-256, MD5) and its predecessor
//! RFC 2617, both sides. Only `qop=auth`.

use std::fmt;
use std::time::Duration;

use crate::endpoint::Reply;
use crate::message::Request;
use crate::wire::AuthParams;

/// A user name and password for answering challenges. The password shows in no
/// log and is wiped when dropped.
#[derive(Clone)]
pub struct Credentials {
    /// User name.
    pub username: String,
    password: zeroize::Zeroizing<String>,
}

impl Credentials {
    /// Credentials for answering a challenge.
    #[must_use]
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: zeroize::Zeroizing::new(password.into()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// H(user:realm:password) under both algorithms: what is stored in place of a
/// password, and as secret as one.
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1s {
    /// MD5.
    pub md5: [u8; 16],
    /// SHA-256.
    pub sha256: [u8; 32],
}

impl fmt::Debug for Ha1s {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1s(..)")
    }
}

impl Ha1s {
    /// Derives both from a password.
    #[must_use]
    pub fn derive(username: &str, realm: &str, password: &str) -> Self {
        let _ = (username, realm, password);
        Self {
            md5: [0; 16],
            sha256: [0; 32],
        }
    }
}

/// Who may sign in. Looked up for every request with credentials.
pub trait Accounts {
    /// The stored hashes of a user in a realm.
    fn ha1s(&self, username: &str, realm: &str) -> Option<Ha1s>;

    /// Whether this (authenticated) user may register this address of record,
    /// `sip:user@host`. By default its user part must be the user name.
    fn may_register(&self, username: &str, realm: &str, aor: &str) -> bool {
        let _ = realm;
        aor.strip_prefix("sip:")
            .and_then(|rest| rest.split('@').next())
            .is_some_and(|user| user == username)
    }
}

/// Bounds of an [`Authenticator`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthLimits {
    /// How long a nonce is good; 300 s. After that the answer is `stale=true`.
    pub nonce_age_max: Duration,
    /// For how many used nonces the counts are remembered; 10,000. When there
    /// are more, the oldest become stale.
    pub nonces_max: usize,
}

impl Default for AuthLimits {
    fn default() -> Self {
        Self {
            nonce_age_max: Duration::from_secs(300),
            nonces_max: 10_000,
        }
    }
}

/// What came of a request's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They are right.
    Accepted {
        /// The user.
        username: String,
    },
    /// None, wrong, or stale ones: answer with this 401.
    Challenge(Reply),
}

/// Checks digest credentials of requests (as a user agent server: 401,
/// `Authorization`).
#[derive(Debug)]
pub struct Authenticator {}

#[allow(unused_variables)]
impl Authenticator {
    /// An authenticator whose nonces are keyed with `key`.
    #[must_use]
    pub fn new(key: [u8; 32], limits: AuthLimits) -> Self {
        Self {}
    }

    /// Checks a request's credentials for `realm`. Unknown users cost and get
    /// the same as wrong passwords.
    pub fn check(
        &mut self,
        now: Duration,
        request: &Request,
        realm: &str,
        accounts: &dyn Accounts,
    ) -> Verdict {
        Verdict::Challenge(Reply::new(401))
    }
}

/// Answers a challenge: the value of `Authorization` (or
/// `Proxy-Authorization`). `None` when the algorithm or qop is unknown.
#[must_use]
pub fn authorize(
    challenge: &AuthParams<'_>,
    credentials: &Credentials,
    method: &str,
    uri: &str,
    cnonce: &str,
    nc: u32,
) -> Option<String> {
    let _ = (challenge, credentials, method, uri, cnonce, nc);
    None
}
