//! The registrar (RFC 3261 section 10.3): which contacts an address of record
//! has right now.

use std::time::Duration;

use crate::digest::Accounts;
use crate::endpoint::Reply;
use crate::interface::Peer;
use crate::message::Request;
use crate::wire::Uri;

/// How a [`Registrar`] is made.
#[derive(Debug, Clone)]
pub struct RegistrarConfig {
    /// The digest realm.
    pub realm: String,
    /// Given when a REGISTER asks for no expiry; 300 s.
    pub expires_default: Duration,
    /// Below this a REGISTER gets 423; 30 s.
    pub expires_min: Duration,
    /// More than this is cut down to it; 3600 s.
    pub expires_max: Duration,
    /// Most contacts of one address of record; 10.
    pub contacts_max: usize,
    /// Most bindings altogether; 100,000.
    pub bindings_max: usize,
}

impl RegistrarConfig {
    /// Defaults for a realm.
    #[must_use]
    pub fn new(realm: impl Into<String>) -> Self {
        Self {
            realm: realm.into(),
            expires_default: Duration::from_secs(300),
            expires_min: Duration::from_secs(30),
            expires_max: Duration::from_secs(3600),
            contacts_max: 10,
            bindings_max: 100_000,
        }
    }
}

/// One contact of an address of record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The registered Contact URI: the Request-URI of calls to it.
    pub contact: Uri,
    /// Where the REGISTER came from: where calls to it are sent.
    pub peer: Peer,
    /// True when the source isn't what the phone says of itself: calls stay
    /// with `peer` (see [`Invite::pinned`](crate::Invite::pinned)).
    pub natted: bool,
    /// Path (RFC 3327), the Route of calls to it.
    pub path: Vec<String>,
    /// Preference in thousandths, 1000 the highest.
    pub q: u16,
    /// `+sip.instance` without quotes (RFC 5626), if sent.
    pub instance: Option<String>,
    /// When it ends.
    pub expires_at: Duration,
    call_id: Box<str>,
    cseq: u32,
}

/// Why a contact went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The phone took it back.
    Removed,
    /// It wasn't refreshed in time.
    Expired,
    /// The same phone (same `+sip.instance`) registered from elsewhere.
    Replaced,
}

/// What a REGISTER or the passing of time changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new contact.
    SignedIn {
        /// Address of record, `sip:user@host`, host in lower case.
        aor: String,
        /// The contact.
        binding: Binding,
    },
    /// A contact lives on (and may have moved).
    Refreshed {
        /// Address of record.
        aor: String,
        /// The contact.
        binding: Binding,
    },
    /// A contact is gone.
    SignedOut {
        /// Address of record.
        aor: String,
        /// Its Contact URI.
        contact: Uri,
        /// Why.
        why: Gone,
        /// How many contacts the address of record has left.
        left: usize,
    },
}

/// The bindings of a realm, and the authentication in front of them.
#[derive(Debug)]
pub struct Registrar {}

#[allow(unused_variables)]
impl Registrar {
    /// An empty registrar. `key` keys the nonces.
    #[must_use]
    pub fn new(config: RegistrarConfig, key: [u8; 32]) -> Self {
        Self {}
    }

    /// Answers a REGISTER.
    pub fn handle(
        &mut self,
        now: Duration,
        peer: Peer,
        request: &Request,
        accounts: &dyn Accounts,
    ) -> (Reply, Vec<Change>) {
        (Reply::new(500), Vec::new())
    }

    /// The live contacts of an address of record, best first.
    #[must_use]
    pub fn lookup(&self, aor: &str) -> &[Binding] {
        &[]
    }

    /// When a contact expires next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    /// Drops what has expired.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<Change> {
        Vec::new()
    }
}

/// The address of record a To header (or any SIP URI) names: `sip:user@host`,
/// the user unescaped, the host in lower case, without port and parameters
/// (RFC 3261 section 10.3, step 5). `None` for other schemes or no user.
#[must_use]
pub fn aor(uri: &Uri) -> Option<String> {
    let user = uri.user()?;
    let host = uri.host()?;
    Some(format!(
        "sip:{user}@{}",
        host.to_string().to_ascii_lowercase()
    ))
}
