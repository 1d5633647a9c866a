//! Digest authentication: RFC 7616 (SHA-256, MD5) and its predecessor
//! RFC 2617, both sides. Only `qop=auth`.

mod client;
mod compute;
mod server;
mod throttle;

use std::fmt;

pub use client::authorize;
pub(crate) use client::{answer, is_stale};
pub use server::{Accounts, AuthLimits, Authenticator, Challenges, Verdict, claimed_user};
pub use throttle::{Throttle, ThrottleLimits};

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
        let parts = [username, realm, password];
        Self {
            md5: compute::md5(&parts),
            sha256: compute::sha256(&parts),
        }
    }
}
