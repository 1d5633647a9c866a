//! Call sessions ("legs"): one INVITE-made session with one remote party, from
//! the first INVITE to its final event.

mod answer;
mod bye;
mod early;
mod hangup;
mod invite;
mod persist;
mod reinvite;
mod reliable;
mod session;
mod state;
mod transfer;
mod update;

use crate::digest::Credentials;
use crate::interface::Peer;
use crate::wire::Uri;

pub(crate) use state::Leg;
pub(crate) use transfer::Referral;

/// A call leg. Never reused within the life of an endpoint; the shard stands in
/// the top byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// Who we say we are in From and Contact of a call we make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Display name, unquoted.
    pub display: Option<String>,
    /// User part of the From URI, unescaped (a number, or `anonymous`).
    pub user: String,
    /// Host of the From URI; our own address when `None`.
    pub host: Option<String>,
}

/// A call to make with [`Endpoint::invite`](crate::Endpoint::invite).
#[derive(Debug, Clone)]
pub struct Invite {
    /// The Request-URI: for a registered phone its registered contact.
    pub target: Uri,
    /// The To URI; `target` when `None`.
    pub to: Option<Uri>,
    /// Where the INVITE is sent.
    pub next_hop: Peer,
    /// True when `next_hop` is the source address of a registration behind
    /// NAT: requests inside the dialog then keep going there, whatever the
    /// peer's Contact says.
    pub pinned: bool,
    /// Route header values in order, e.g. the Path of a registration
    /// (RFC 3327), each a name-addr such as `<sip:edge.example.net;lr>`.
    pub route: Vec<String>,
    /// Whom the call is from.
    pub from: Identity,
    /// The SDP offer.
    pub sdp: Vec<u8>,
    /// Further header lines, `(name, value)`.
    pub headers: Vec<(String, String)>,
    /// Answers a 401 or 407 once.
    pub credentials: Option<Credentials>,
    /// What remains of the caller's Max-Forwards (RFC 7332 section 4 asks a
    /// B2BUA to count on); 70 when `None`.
    pub max_forwards: Option<u8>,
    /// What stands in the body beside the offer, for headers that point at it.
    pub attached: Vec<Attachment>,
    /// It rings for as long as nobody ends it, and ends as
    /// [`Endpoint::persist`](crate::Endpoint::persist) says.
    pub persists: bool,
}

/// A part of an INVITE's body that a header refers to by `cid:` (RFC 2392).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its type.
    pub content_type: String,
    /// Its Content-ID, without angle brackets.
    pub content_id: String,
    /// What it says.
    pub body: Vec<u8>,
}

impl Invite {
    /// A plain call: everything optional left out.
    #[must_use]
    pub fn new(target: Uri, next_hop: Peer, from: Identity, sdp: Vec<u8>) -> Self {
        Self {
            target,
            to: None,
            next_hop,
            pinned: false,
            route: Vec::new(),
            from,
            sdp,
            headers: Vec::new(),
            credentials: None,
            max_forwards: None,
            attached: Vec::new(),
            persists: false,
        }
    }
}

/// What a peer's BYE said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bye {
    /// The Reason header's value (RFC 3326).
    pub reason: Option<String>,
}

/// Why a leg ended other than by a refusal or the caller's CANCEL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndCause {
    /// We ended it: `hangup`, or `reject` on a leg that wasn't answered.
    Local,
    /// The peer sent BYE.
    Bye(Bye),
    /// Our 200 was not acknowledged in 64*T1 (RFC 3261 section 13.3.1.4); we
    /// sent BYE.
    AckTimeout,
    /// The peer did not answer a request in 64*T1, or rang longer than
    /// [`Limits::ringing_max`](crate::Limits::ringing_max).
    TransactionTimeout,
    /// The transport reported that the peer can't be reached.
    TransportError,
    /// The peer no longer knows the dialog (481 or 408 inside it,
    /// RFC 3261 section 12.2.1.2).
    DialogLost,
    /// Nobody refreshed the session in its interval (RFC 4028 section 10); we
    /// sent BYE.
    SessionExpired,
    /// The peer broke the protocol, e.g. a 200 without a usable Contact.
    ProtocolError,
}
