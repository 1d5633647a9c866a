//! The machine of one shard: every transaction, dialog and call session.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::digest::Credentials;
use crate::interface::{Interface, Peer};
use crate::leg::{EndCause, Invite, LegId};
use crate::message::{Message, Request, Response};
use crate::wire::Uri;
use rsip::Method;

/// One request: handed up and awaiting [`Endpoint::respond`], or sent with
/// [`Endpoint::request`] and awaiting its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub peer: Peer,
    /// The whole message. Shared, since a transaction may keep it to repeat it.
    pub bytes: Arc<[u8]>,
}

/// RFC 3261 section 17.1.1.1's timer values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Round-trip estimate; 500 ms.
    pub t1: Duration,
    /// Longest interval between repeats of a non-INVITE request or a 2xx; 4 s.
    pub t2: Duration,
    /// How long a message stays in the network; 5 s.
    pub t4: Duration,
    /// After how long an unanswered INVITE gets `100 Trying`; 200 ms
    /// (RFC 3261 section 17.2.1).
    pub trying_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            trying_after: Duration::from_millis(200),
        }
    }
}

/// What bounds an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most call legs at a time; further INVITEs get 503. 20,000.
    pub legs_max: usize,
    /// Most server and client transactions at a time; further requests get
    /// 503 without state. 400,000.
    pub transactions_max: usize,
    /// How long a call we make may go on without a final response; 180 s.
    pub ringing_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            legs_max: 20_000,
            transactions_max: 400_000,
            ringing_max: Duration::from_secs(180),
        }
    }
}

/// How an [`Endpoint`] is made.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Our addresses.
    pub interface: Interface,
    /// This endpoint's number, written into every branch, tag and Contact it
    /// mints.
    pub shard: u8,
    /// Seeds tags, branches and Call-IDs; they can't be guessed as long as it
    /// can't.
    pub seed: [u8; 32],
    /// Protocol timers.
    pub timing: Timing,
    /// User-Agent and Server header; neither is sent when `None`.
    pub user_agent: Option<String>,
    /// Bounds.
    pub limits: Limits,
    /// Whether REGISTER is handed up; it gets 405 otherwise.
    pub registrar: bool,
    /// Methods outside dialogs that are handed up as [`Event::Other`]
    /// (besides those this crate handles).
    pub hand_up: Vec<Method>,
}

impl EndpointConfig {
    /// RFC defaults on `interface`.
    #[must_use]
    pub fn new(interface: Interface, shard: u8, seed: [u8; 32]) -> Self {
        Self {
            interface,
            shard,
            seed,
            timing: Timing::default(),
            user_agent: None,
            limits: Limits::default(),
            registrar: true,
            hand_up: Vec::new(),
        }
    }
}

/// What a request is to this endpoint, before anything is kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A repeat of a request already here, its ACK, or a CANCEL.
    InTransaction,
    /// Carries a To tag: belongs to a dialog (or claims to).
    InDialog,
    /// A new call.
    NewInvite,
    /// Any other new request.
    NewOther,
}

/// The parts of a response that the layer above chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status code, 200 to 699.
    pub code: u16,
    /// Reason phrase; the RFC's when `None`.
    pub reason: Option<String>,
    /// Further header lines, `(name, value)`.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Content type and body.
    pub body: Option<(String, Vec<u8>)>,
}

impl Reply {
    /// A bare response.
    #[must_use]
    pub fn new(code: u16) -> Self {
        Self {
            code,
            reason: None,
            headers: Vec::new(),
            body: None,
        }
    }

    /// The same with one more header line.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((Cow::Borrowed(name), value.into()));
        self
    }
}

/// A request outside any dialog to send as a client (REGISTER, OPTIONS).
#[derive(Debug, Clone)]
pub struct OutRequest {
    /// Method; not INVITE, ACK or CANCEL.
    pub method: Method,
    /// The Request-URI.
    pub target: Uri,
    /// Where it is sent.
    pub next_hop: Peer,
    /// From URI.
    pub from: Uri,
    /// To URI.
    pub to: Uri,
    /// Call-ID; a new one when `None`. A client repeats it over the REGISTERs
    /// of one binding (RFC 3261 section 10.2).
    pub call_id: Option<String>,
    /// CSeq number; 1 when `None`.
    pub cseq: Option<u32>,
    /// Further header lines, `(name, value)`. For REGISTER, a Contact of ours
    /// is added when there is none.
    pub headers: Vec<(String, String)>,
    /// Content type and body.
    pub body: Option<(String, Vec<u8>)>,
    /// Answers a 401 or 407 once (the retry has CSeq + 1).
    pub credentials: Option<Credentials>,
}

/// What an [`Endpoint`] tells the layer above.
///
/// Each leg begins with [`Event::Incoming`] or [`Endpoint::invite`] and has
/// exactly one final event: [`Event::Refused`], [`Event::Cancelled`] or
/// [`Event::Ended`]. Nothing about it follows.
#[derive(Debug, Clone)]
pub enum Event {
    /// A call comes in. It is to be answered with
    /// [`ring`](Endpoint::ring), [`answer`](Endpoint::answer) or
    /// [`reject`](Endpoint::reject).
    Incoming {
        /// The new leg.
        leg: LegId,
        /// Where the INVITE came from.
        peer: Peer,
        /// The INVITE.
        request: Box<Request>,
    },
    /// A call we make got a provisional response (not 100).
    Ringing {
        /// The leg.
        leg: LegId,
        /// 180, 183, …
        code: u16,
        /// Early media, if any.
        sdp: Option<Vec<u8>>,
    },
    /// A call we make was answered.
    Answered {
        /// The leg.
        leg: LegId,
        /// The SDP answer, or the peer's offer when our INVITE had none.
        sdp: Option<Vec<u8>>,
        /// The 200, for its headers.
        response: Box<Response>,
    },
    /// The ACK for our 200 arrived.
    Confirmed {
        /// The leg.
        leg: LegId,
        /// The answer to the offer in our 200, if the INVITE had none.
        sdp: Option<Vec<u8>>,
    },
    /// Final: a call we make was refused (3xx to 6xx).
    Refused {
        /// The leg.
        leg: LegId,
        /// The status code.
        code: u16,
        /// The response, for its reason phrase and headers.
        response: Box<Response>,
    },
    /// Final: the caller gave up before an answer.
    Cancelled {
        /// The leg.
        leg: LegId,
        /// The CANCEL's Reason header (RFC 3326), e.g. `SIP;cause=200`.
        reason: Option<String>,
    },
    /// The peer wants to change the session; answer with
    /// [`answer_reinvite`](Endpoint::answer_reinvite) or
    /// [`reject_reinvite`](Endpoint::reject_reinvite).
    Reinvite {
        /// The leg.
        leg: LegId,
        /// The offer; without one, our answer carries the offer and
        /// [`Event::Confirmed`] the peer's answer.
        sdp: Option<Vec<u8>>,
    },
    /// Our re-INVITE was accepted.
    ReinviteAnswered {
        /// The leg.
        leg: LegId,
        /// The SDP answer.
        sdp: Option<Vec<u8>>,
    },
    /// Our re-INVITE was refused; the session goes on as before. 491 has
    /// already been retried (RFC 3261 section 14.1).
    ReinviteRefused {
        /// The leg.
        leg: LegId,
        /// The status code.
        code: u16,
    },
    /// An INFO inside the dialog (already answered with 200).
    Info {
        /// The leg.
        leg: LegId,
        /// Its content type.
        content_type: String,
        /// Its body.
        body: Vec<u8>,
    },
    /// Final: the leg is over.
    Ended {
        /// The leg.
        leg: LegId,
        /// Why.
        cause: EndCause,
    },
    /// A REGISTER to be answered with [`Endpoint::respond`].
    Register {
        /// Names it to `respond`.
        id: RequestId,
        /// Where it came from.
        peer: Peer,
        /// The REGISTER.
        request: Box<Request>,
    },
    /// Another request to be answered with [`Endpoint::respond`]; only methods
    /// listed in [`EndpointConfig::hand_up`].
    Other {
        /// Names it to `respond`.
        id: RequestId,
        /// Where it came from.
        peer: Peer,
        /// The request.
        request: Box<Request>,
    },
    /// The final response to [`Endpoint::request`].
    Response {
        /// The request.
        id: RequestId,
        /// Its final response.
        response: Box<Response>,
    },
    /// [`Endpoint::request`] got no final response in 64*T1, or the transport
    /// failed.
    RequestTimeout {
        /// The request.
        id: RequestId,
    },
}

/// All transactions, dialogs and call sessions of one shard.
///
/// How to drive it: after anything that takes `&mut self`, call
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event)
/// until both return `None`, then call
/// [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout)'s moment has come. `now` never goes
/// back. Requests that could be refused for lack of capacity go through
/// [`classify`](Self::classify) first; nothing is kept of one answered with
/// [`refuse_stateless`](Self::refuse_stateless).
///
/// Operations on a leg that has ended, or that its state doesn't allow, do
/// nothing: a hang-up may always cross them.
pub struct Endpoint {}

#[allow(unused_variables, clippy::unused_self)]
impl Endpoint {
    /// An endpoint without calls.
    #[must_use]
    pub fn new(config: EndpointConfig) -> Self {
        Self {}
    }

    /// What `request` is to us; cheap, changes nothing.
    #[must_use]
    pub fn classify(&self, request: &Request) -> Class {
        Class::NewOther
    }

    /// Takes a parsed message from `peer`.
    pub fn receive(&mut self, now: Duration, peer: Peer, message: Message) {}

    /// A refusal for which nothing is kept (RFC 3261 section 8.2.7): the same
    /// request gets the same To tag. `retry_after` in seconds.
    #[must_use]
    pub fn refuse_stateless(
        &self,
        request: &Request,
        peer: Peer,
        code: u16,
        retry_after: Option<u32>,
    ) -> Transmit {
        Transmit {
            peer,
            bytes: Arc::from(&[][..]),
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Duration) {}

    /// When [`handle_timeout`](Self::handle_timeout) must be called next. May
    /// be earlier than anything happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    /// The next thing to tell the layer above.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// The transport found `peer` unreachable (for UDP: an ICMP error).
    pub fn transport_error(&mut self, now: Duration, peer: Peer) {}

    /// How many legs there are, those still closing included.
    #[must_use]
    pub fn legs(&self) -> usize {
        0
    }

    /// How many transactions there are, those only lingering included.
    #[must_use]
    pub fn transactions(&self) -> usize {
        0
    }

    /// Our addresses.
    #[must_use]
    pub fn interface(&self) -> &Interface {
        unreachable!()
    }

    /// Sends 180 or 183 (with SDP: early media) on an incoming leg.
    pub fn ring(
        &mut self,
        now: Duration,
        leg: LegId,
        code: u16,
        extra: &[(&str, &str)],
        sdp: Option<&[u8]>,
    ) {
    }

    /// Answers an incoming leg with 200. The 200 is repeated until its ACK
    /// comes.
    pub fn answer(&mut self, now: Duration, leg: LegId, sdp: &[u8], extra: &[(&str, &str)]) {}

    /// Refuses an incoming leg (300 to 699). Its final event is
    /// `Ended(Local)`.
    pub fn reject(
        &mut self,
        now: Duration,
        leg: LegId,
        code: u16,
        reason: Option<&str>,
        extra: &[(&str, &str)],
    ) {
    }

    /// Makes a call.
    pub fn invite(&mut self, now: Duration, invite: Invite) -> LegId {
        LegId(0)
    }

    /// Sends the ACK with our answer when an INVITE without SDP was answered
    /// with an offer. A peer that never gets it ends the call.
    pub fn acknowledge(&mut self, now: Duration, leg: LegId, sdp: &[u8]) {}

    /// Ends a leg, doing what its state asks for: CANCEL (held back until a
    /// provisional response came, RFC 3261 section 9.1), BYE, or a final
    /// refusal (603) of an incoming call. `reason` becomes the Reason header
    /// (RFC 3326). The leg's final event, `Ended(Local)`, comes at once;
    /// whatever the protocol still needs is done inside.
    pub fn hangup(&mut self, now: Duration, leg: LegId, reason: Option<&str>) {}

    /// Offers a changed session on an answered leg.
    pub fn reinvite(&mut self, now: Duration, leg: LegId, sdp: &[u8]) {}

    /// Accepts the peer's re-INVITE: our answer, or our offer when it had none.
    pub fn answer_reinvite(&mut self, now: Duration, leg: LegId, sdp: &[u8]) {}

    /// Refuses the peer's re-INVITE (488); the session goes on as before.
    pub fn reject_reinvite(&mut self, now: Duration, leg: LegId, code: u16) {}

    /// Answers a request that was handed up. An id that is no longer awaited
    /// is ignored.
    pub fn respond(&mut self, now: Duration, id: RequestId, reply: Reply) {}

    /// Sends a request outside any dialog; its end is [`Event::Response`] or
    /// [`Event::RequestTimeout`].
    pub fn request(&mut self, now: Duration, request: OutRequest) -> RequestId {
        RequestId(0)
    }
}
