//! What a switch is told about the help desk: plain data, made by the shell
//! from the configuration and replaced as a whole when that changes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use acd::{AgentId, Class, QueueId};
use desk::{PhoneNumber, Role, TenantId};
use ivr_flows::Flow;

use crate::admission::Limits;

/// Everything a [`crate::Switch`] knows before the first call.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Which of the K shards this is. Encoded in every branch, tag and Contact.
    pub shard: u8,
    /// Where SIP is bound and what peers are told.
    pub interface: sip::Interface,
    /// Our address as peers reach our media: see [`sip::Interface::address_towards`].
    pub realm: String,
    /// Source of every tag, branch, nonce, SSRC and jittered timer.
    pub seed: u64,
    /// When this process started, Unix milliseconds: makes ids unique across restarts.
    pub epoch_ms: i64,
    /// Hospitals by id.
    pub tenants: HashMap<TenantId, Tenant>,
    /// What each dialled number means, by the digits a trunk sends.
    pub lines: HashMap<String, Line>,
    /// Phone accounts by user name.
    pub accounts: HashMap<String, Account>,
    /// Queues by the name flows use, per tenant; shared queues appear under each tenant.
    pub queues: HashMap<(TenantId, Arc<str>), Queue>,
    /// Peers whose calls come without a password because of their address (trunks).
    pub trusted: Vec<sip::Net>,
    /// How much may come in.
    pub limits: Limits,
    /// SIP timers and limits.
    pub sip: SipSettings,
}

/// What may be set about SIP.
#[derive(Debug, Clone)]
pub struct SipSettings {
    /// `User-Agent` and `Server`.
    pub product: String,
    /// Shortest registration accepted; shorter ones get 423.
    pub registration_min: Duration,
    /// Longest registration given.
    pub registration_max: Duration,
    /// What a call hears that isn't admitted.
    pub refusal_code: u16,
    /// With which Retry-After, if any: some peers then take the whole trunk out.
    pub retry_after_s: Option<u32>,
}

impl Default for SipSettings {
    fn default() -> Self {
        Self {
            product: concat!("Careline/", env!("CARGO_PKG_VERSION")).into(),
            registration_min: Duration::from_secs(30),
            registration_max: Duration::from_secs(3600),
            refusal_code: 503,
            retry_after_s: None,
        }
    }
}

/// A hospital.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// As it is spoken.
    pub name: Arc<str>,
}

/// A number of ours that can be dialled.
#[derive(Debug, Clone)]
pub struct Line {
    /// Whose.
    pub tenant: TenantId,
    /// What answers.
    pub flow: Arc<Flow>,
    /// A clinicians' number or location line: uses the clinical reserve.
    pub clinical: bool,
}

/// A queue as the calls see it.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    /// In the distributor.
    pub id: QueueId,
}

/// A phone that registers with us.
#[derive(Clone)]
pub struct Account {
    /// Digest secrets; never shown.
    pub ha1: sip::digest::Ha1,
    /// The analyst whose phone it is, if it is one.
    pub agent: Option<AgentId>,
    /// The calling number that calls from this phone carry.
    pub number: Option<PhoneNumber>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

impl Setup {
    /// Does this address belong to a trunk?
    pub fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(address))
    }
}

/// How urgent somebody is who is known as this.
pub fn class_of(role: Option<Role>, clinical_line: bool) -> Class {
    match (role, clinical_line) {
        (_, true) | (Some(Role::Clinician), _) => Class::Clinician,
        (Some(Role::Patient), _) => Class::Patient,
        (Some(Role::Staff) | None, _) => Class::Staff,
    }
}
