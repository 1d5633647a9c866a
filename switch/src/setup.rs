//! What a switch is told about the help desk: plain data, made by the shell
//! from the configuration and replaced as a whole when that changes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use acd::{AgentId, QueueId};
use desk::{PhoneNumber, TenantId};
use ivr_flows::Flow;
use media::clip::Clip;

use crate::admission::Limits;

/// Everything a [`crate::Switch`] knows before the first call.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Which of the K shards this is. Encoded in every branch, tag and Contact.
    pub shard: u8,
    /// Where SIP is bound and what peers are told.
    pub interface: sip::Interface,
    /// Where RTP is bound and what peers are told in SDP: the same as
    /// `interface` but for its port, unless audio has an address of its own.
    pub media: sip::Interface,
    /// The digest realm.
    pub realm: String,
    /// Source of every tag, branch, Call-ID and nonce. They can't be guessed as long as it can't.
    pub seed: [u8; 32],
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
    /// The languages there is a voice for: flows offer and speak no others.
    pub languages: Arc<[ivr_flows::Language]>,
    /// Sounds that aren't prompts.
    pub sounds: Sounds,
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
    /// Which digest algorithms phones are offered, and in which order.
    pub challenges: sip::digest::Challenges,
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
            challenges: sip::digest::Challenges::default(),
            retry_after_s: None,
        }
    }
}

/// A hospital.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Short, for expressions in flows: `st-anne`.
    pub key: Arc<str>,
    /// As it is spoken.
    pub name: Arc<str>,
    /// Opening hours, as flows name them.
    pub calendars: HashMap<Arc<str>, hours::Calendar>,
}

/// Sounds that aren't prompts. Generated, see [`media::music`].
#[derive(Debug, Clone)]
pub struct Sounds {
    /// What callers hear while they wait.
    pub music: Arc<Clip>,
    /// Played where a prompt could not be had in time, so that the caller
    /// never hears nothing at all.
    pub chime: Arc<Clip>,
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
    pub ha1s: sip::digest::Ha1s,
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
