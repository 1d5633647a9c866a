//! What a switch is told about the help desk: plain data, made by the shell
//! from the configuration and replaced as a whole when that changes.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use acd::{AgentId, QueueId};
use desk::{PartnerId, PhoneNumber, TenantId};
use ivr_flows::Flow;
use media::clip::Clip;
use media::codec::{Codec, Format};

use crate::admission::Limits;
use crate::dial::DialRules;
use crate::emergency::{Emergency, Station};

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
    /// What answers supervisors' own telephones under these numbers, and nobody else.
    pub supervisor_lines: HashMap<String, Line>,
    /// Analysts who are supervisors.
    pub supervisors: HashSet<AgentId>,
    /// The version of each flow, by its name, as the log has it.
    pub flow_versions: HashMap<String, u32>,
    /// Phone accounts by user name.
    pub accounts: HashMap<String, Account>,
    /// Queues by the name flows use, per tenant; shared queues appear under each tenant.
    pub queues: HashMap<(TenantId, Arc<str>), Queue>,
    /// Peers whose calls come without a password because of their address (trunks).
    pub trusted: Vec<sip::Net>,
    /// Desks that are closed, or open, on somebody's word, by hospital and calendar.
    pub closings: HashMap<(TenantId, Arc<str>), hours::Exception>,
    /// Ways to the outside, by name.
    pub trunks: HashMap<Arc<str>, Arc<Trunk>>,
    /// Partners by the name flows use, per tenant.
    pub partners: HashMap<(TenantId, Arc<str>), Partner>,
    /// HTTP actions by the name flows use, per tenant.
    pub actions: HashMap<(TenantId, Arc<str>), Action>,
    /// How many may be called at a time.
    pub action_limits: ActionLimits,
    /// Calls to emergency services.
    pub emergency: Emergency,
    /// The languages there is a voice for: flows offer and speak no others.
    pub languages: Arc<[ivr_flows::Language]>,
    /// Sounds that aren't prompts.
    pub sounds: Sounds,
    /// How much may come in.
    pub limits: Limits,
    /// SIP timers and limits.
    pub sip: SipSettings,
    /// Whether audio is encrypted.
    pub encryption: EncryptionPolicy,
    /// What is spoken.
    pub codecs: CodecPolicy,
}

/// What is spoken, the preferred first. Of an offer, its own order counts (RFC 3264 section 6.1); a call that we make
/// names first what the other side of it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecPolicy {
    /// With the phones of our accounts.
    pub phones: Vec<Format>,
    /// With trunks.
    pub trunks: Vec<Format>,
    /// Whether text telephones (TTY) are looked for in what callers send. The calls of one speak G.711 alone.
    pub find_text: bool,
}

impl Default for CodecPolicy {
    /// PCMU, PCMA, and with phones G.722 too; text telephones are looked for.
    fn default() -> Self {
        Self {
            phones: Format::ALL.to_vec(),
            trunks: vec![Codec::Pcmu.into(), Codec::Pcma.into()],
            find_text: true,
        }
    }
}

/// Whether audio of a call is encrypted (SRTP with keys in SDP, RFC 4568).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encryption {
    /// Never.
    Off,
    /// When the peer can.
    #[default]
    Offered,
    /// Always: a call that can't be is refused, never made in the clear.
    Required,
}

/// [`Encryption`], and towards whom. An account's own setting comes before these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncryptionPolicy {
    /// Towards everybody else.
    pub usual: Encryption,
    /// Of calls whose signalling is TLS; as `usual` if absent.
    pub tls: Option<Encryption>,
    /// Keys may also travel in SIP that isn't encrypted. RFC 4568 section 7 forbids it, since whoever sees the keys
    /// hears the call; for networks where something else protects them.
    pub keys_in_clear: bool,
}

impl EncryptionPolicy {
    /// What holds for a call with `peer`, whose account says `own`. Where keys can't travel, audio that may go in the
    /// clear does, and required encryption can't be had.
    pub fn towards(
        self,
        peer: sip::Peer,
        own: Option<Encryption>,
    ) -> Result<Encryption, EncryptionUnavailable> {
        let tls = peer.transport == sip::Transport::Tls;
        let wanted = own.or(self.tls.filter(|_| tls)).unwrap_or(self.usual);
        match wanted {
            Encryption::Off => Ok(Encryption::Off),
            wanted if tls || self.keys_in_clear => Ok(wanted),
            Encryption::Offered => Ok(Encryption::Off),
            Encryption::Required => Err(EncryptionUnavailable),
        }
    }
}

/// Encryption is required, and its keys would travel in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptionUnavailable;

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
    /// Whether keys in INFO count. Where a phone sends them in its audio too,
    /// only the first way that brought one does.
    pub info_digits: bool,
    /// What an agent presses while talking with a colleague about a caller, to have all three talk. Empty: nothing does.
    pub conference_code: String,
    /// What stands before the key that says why an agent hands a caller over ([`desk::Escalation::keyed`]): behind the
    /// number that they dial, or pressed while they ask a colleague. Empty: none is looked for.
    pub reason_code: String,
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
            info_digits: true,
            conference_code: "*3".to_owned(),
            reason_code: "*8".to_owned(),
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
    /// Where its callers may be sent on to.
    pub dial: DialRules,
    /// Opening hours, as flows name them.
    pub calendars: HashMap<Arc<str>, hours::Calendar>,
    /// Its calendar days; without, no day is told to callers.
    pub days: Option<hours::Days>,
    /// How customers are called back; without, nobody is.
    pub callbacks: Option<Callbacks>,
}

/// How a hospital calls back.
#[derive(Debug, Clone)]
pub struct Callbacks {
    /// The number that customers see: one of the hospital's own.
    pub label: PhoneNumber,
    /// What says who is calling. Where it leads to a queue, a person has pressed the key.
    pub flow: Arc<Flow>,
    /// Who is called first within an hour that was agreed on. Whoever keeps their place is called when somebody is there
    /// for them.
    pub times_first: desk::First,
}

/// Sounds that aren't prompts. Generated, see [`media::music`].
#[derive(Debug, Clone)]
pub struct Sounds {
    /// What callers hear while they wait.
    pub music: Arc<Clip>,
    /// Played where a prompt could not be had in time, so that the caller
    /// never hears nothing at all.
    pub chime: Arc<Clip>,
    /// What the caller of an emergency service hears, once answered, while
    /// nobody else is to be heard.
    pub ringing: Arc<Clip>,
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

/// A way to the outside: a provider, an exchange, a partner.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// What it is called.
    pub name: Arc<str>,
    /// Where calls go, the preferred first. When one is dead the next is taken.
    pub gateways: Vec<Gateway>,
    /// Most calls at a time, those that come and those that we make together.
    pub calls_max: u32,
    /// How many of them we leave free when we call: for whoever calls us.
    pub reserve_in: u32,
    /// Answers its challenges.
    pub credentials: Option<sip::Credentials>,
    /// How often each gateway is asked whether it lives; never when `None`.
    pub probe_every: Option<Duration>,
    /// Whether it may see the ticket's number and who is calling (RFC 3325
    /// section 4 calls that a trust domain).
    pub trusted: bool,
    /// Whether its audio is encrypted, if that is set for this trunk.
    pub encryption: Option<Encryption>,
    /// Its calls come because we register there, with its first gateway.
    pub register: Option<Register>,
    /// Whether emergency calls by it carry the station's address (PIDF-LO, RFC
    /// 6442) beside the offer. Others tell the place by the calling number alone.
    pub location: bool,
    /// What its certificate says it is (RFC 5922): a host name. Calls on a TLS
    /// connection whose far end has shown that are this trunk's.
    pub identity: Option<Arc<str>>,
    /// What becomes of a call that is answered with a redirection (3xx).
    pub redirects: Redirects,
}

/// What a trunk's 3xx answers may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Redirects {
    /// Nothing: who is called counts as unreachable.
    #[default]
    Refuse,
    /// Send the call on to a number that the hospital's dial rules allow by this trunk, or to another of the trunk's
    /// gateways. Never to a host of the answerer's choice.
    Follow,
}

/// How we register with a provider.
#[derive(Debug, Clone)]
pub struct Register {
    /// Whom its calls are for there: `sip:15550100@provider.example`.
    pub aor: sip::Uri,
    /// The user of our Contact. Nobody but the registrar may guess it: calls
    /// to it, from its addresses, are believed to be its.
    pub contact_user: Arc<str>,
    /// Who this installation is, `urn:uuid:…`, the same at every start (RFC
    /// 5626 section 4.1).
    pub instance: Option<Arc<str>>,
    /// For how long we ask to be registered.
    pub expires: Duration,
    /// The number of ours that its calls are for when they name none.
    pub number: Option<String>,
}

/// One of a trunk's gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gateway {
    /// At an address of its own.
    Address {
        /// The host in Request-URIs: a name, or the address.
        host: String,
        /// Where it is.
        peer: sip::Peer,
    },
    /// Wherever the DNS says (RFC 3263): told by [`crate::Input::Located`].
    Named {
        /// Its URI: a host name, perhaps a port and a transport.
        uri: sip::Uri,
    },
    /// Wherever this account is registered with us.
    Registered {
        /// The account's user.
        user: Arc<str>,
    },
}

/// Somebody who takes calls over, e.g. after hours.
#[derive(Debug, Clone)]
pub struct Partner {
    /// Stable number.
    pub id: PartnerId,
    /// The trunk that leads there.
    pub trunk: Arc<str>,
    /// The number to call there.
    pub number: String,
}

/// An HTTP action as the calls see it. Where it leads only the shell knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// How long its answer is waited for, 15 s at most.
    pub deadline: Duration,
}

/// How many HTTP actions may be called at a time; beyond that they fail at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionLimits {
    /// By one hospital's callers: a slow system of theirs holds up nobody else's.
    pub per_tenant: usize,
    /// By all together.
    pub all: usize,
}

impl Default for ActionLimits {
    fn default() -> Self {
        Self {
            per_tenant: 16,
            all: 64,
        }
    }
}

impl Gateway {
    /// The host in Request-URIs; none where whoever is registered says it.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Address { host, .. } => Some(host),
            Self::Named { uri } => Some(uri.host_str()),
            Self::Registered { .. } => None,
        }
    }
}

/// The URI of a number at a gateway, or of the gateway itself; `None` if the
/// two don't make one.
pub(crate) fn uri_at(host: &str, peer: sip::Peer, number: Option<&str>) -> Option<sip::Uri> {
    let mut text = match number {
        Some(number) => format!("sip:{number}@{host}"),
        None => format!("sip:{host}"),
    };
    if peer.addr.port() != peer.transport.default_port() {
        text.push_str(&format!(":{}", peer.addr.port()));
    }
    if let Some(transport) = peer.transport.uri_param() {
        text.push_str(&format!(";transport={transport}"));
    }
    sip::Uri::parse(&text).ok()
}

/// A phone that registers with us.
#[derive(Clone)]
pub struct Account {
    /// Digest secrets; never shown.
    pub ha1s: sip::digest::Ha1s,
    /// The analyst whose phone it is, if it is one.
    pub agent: Option<AgentId>,
    /// The queues that this analyst serves. Callers of hospitals that wait in
    /// none of them aren't theirs, and nobody can send them one.
    pub serves: Vec<QueueId>,
    /// The calling number that calls from this phone carry.
    pub number: Option<PhoneNumber>,
    /// Whether it is an exchange rather than a phone: its calls carry the
    /// calling number that it says, as those of a trusted address do.
    pub trunk: bool,
    /// Whether its audio is encrypted, if that is set for this phone.
    pub encryption: Option<Encryption>,
    /// In whose log its emergency calls stand: a hospital, or who serves several.
    pub home: TenantId,
    /// Where it stands, for emergency services.
    pub station: Station,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

impl Setup {
    /// The trunk that signs in with this account.
    pub(crate) fn trunk_of_account(&self, user: &str) -> Option<&Arc<Trunk>> {
        self.trunks.values().find(|trunk| {
            let mut gateways = trunk.gateways.iter();
            gateways.any(
                |gateway| matches!(gateway, Gateway::Registered { user: own } if **own == *user),
            )
        })
    }

    /// Our host in a URI for this peer.
    pub(crate) fn host_towards(&self, peer: sip::Peer) -> String {
        match self.interface.address_towards(peer.addr.ip()) {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        }
    }

    /// Does this address belong to a trunk?
    pub fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(address))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A help desk without anything.
    pub(crate) fn empty() -> Setup {
        let here = sip::Interface::local(([127, 0, 0, 1], 5060).into());
        let quiet = Clip::silence(Duration::ZERO);
        Setup {
            shard: 0,
            interface: here.clone(),
            media: here,
            realm: "test".into(),
            seed: [1; 32],
            epoch_ms: 0,
            tenants: HashMap::new(),
            lines: HashMap::new(),
            supervisor_lines: HashMap::new(),
            supervisors: HashSet::new(),
            accounts: HashMap::new(),
            queues: HashMap::new(),
            closings: HashMap::new(),
            flow_versions: HashMap::new(),
            trusted: Vec::new(),
            trunks: HashMap::new(),
            partners: HashMap::new(),
            actions: HashMap::new(),
            action_limits: ActionLimits::default(),
            emergency: Emergency::default(),
            sounds: Sounds {
                music: Arc::clone(&quiet),
                chime: Arc::clone(&quiet),
                ringing: quiet,
            },
            limits: Limits::default(),
            sip: SipSettings::default(),
            languages: [ivr_flows::Language::ENGLISH].into(),
            encryption: EncryptionPolicy::default(),
            codecs: CodecPolicy::default(),
        }
    }

    /// A line of the first hospital.
    pub(crate) fn line() -> Line {
        let flow = include_str!("../../ivr-flows/flows/location.yaml");
        Line {
            tenant: TenantId(1),
            flow: Arc::new(Flow::parse("location.yaml", flow).expect("a flow")),
            clinical: false,
        }
    }

    /// A trunk with so many gateways, at 192.0.2.1 and so on.
    pub(crate) fn trunk(name: &str, gateways: u8) -> Trunk {
        let gateway = |index: u8| Gateway::Address {
            host: format!("gw{index}.example"),
            peer: sip::Peer::udp(([192, 0, 2, index], 5060).into()),
        };
        Trunk {
            name: name.into(),
            gateways: (1..=gateways).map(gateway).collect(),
            calls_max: 2,
            reserve_in: 0,
            credentials: None,
            probe_every: None,
            trusted: true,
            encryption: None,
            register: None,
            location: false,
            identity: None,
            redirects: Redirects::Refuse,
        }
    }

    #[test]
    fn keys_travel_by_tls_or_where_it_is_allowed() {
        use Encryption::{Off, Offered, Required};
        let refused = Err(EncryptionUnavailable);
        for (usual, tls, own, in_clear, by_udp, by_tls) in [
            (Offered, None, None, false, Ok(Off), Ok(Offered)),
            (Offered, None, None, true, Ok(Offered), Ok(Offered)),
            (Offered, Some(Required), None, false, Ok(Off), Ok(Required)),
            (Required, None, None, false, refused, Ok(Required)),
            (Required, None, None, true, Ok(Required), Ok(Required)),
            (Required, Some(Offered), None, false, refused, Ok(Offered)),
            (Offered, None, Some(Required), false, refused, Ok(Required)),
            (Required, Some(Required), Some(Off), false, Ok(Off), Ok(Off)),
        ] {
            let policy = EncryptionPolicy {
                usual,
                tls,
                keys_in_clear: in_clear,
            };
            let towards = |transport| {
                let addr = ([192, 0, 2, 1], 5060).into();
                policy.towards(sip::Peer { addr, transport }, own)
            };
            assert_eq!(towards(sip::Transport::Udp), by_udp, "{policy:?} {own:?}");
            assert_eq!(towards(sip::Transport::Tcp), by_udp, "{policy:?} {own:?}");
            assert_eq!(towards(sip::Transport::Tls), by_tls, "{policy:?} {own:?}");
        }
    }
}
