//! What the endpoint tells the layer above.

use super::RequestId;
use crate::interface::Peer;
use crate::leg::{EndCause, LegId};
use crate::message::{Request, Response};
use crate::refer::Refer;

/// What an [`Endpoint`](crate::Endpoint) tells the layer above.
///
/// Each leg begins with [`Event::Incoming`] or [`invite`](crate::Endpoint::invite) and has
/// exactly one final event: [`Event::Refused`], [`Event::Cancelled`] or
/// [`Event::Ended`]. Nothing about it follows.
#[derive(Debug, Clone)]
pub enum Event {
    /// A call comes in. It is to be answered with
    /// [`ring`](crate::Endpoint::ring), [`answer`](crate::Endpoint::answer) or
    /// [`reject`](crate::Endpoint::reject).
    Incoming {
        /// The new leg.
        leg: LegId,
        /// Where the INVITE came from.
        peer: Peer,
        /// The INVITE.
        request: Box<Request>,
    },
    /// A call we make got a 100: the next hop has it.
    Trying {
        /// The leg.
        leg: LegId,
    },
    /// A call we make got any other provisional response.
    Ringing {
        /// The leg.
        leg: LegId,
        /// 180, 183, …
        code: u16,
        /// Which of those who were called says so, in the order they were
        /// heard of: a proxy on the way may have called several.
        fork: u8,
        /// Early media, if any.
        sdp: Option<Vec<u8>>,
    },
    /// A call we make was answered.
    Answered {
        /// The leg.
        leg: LegId,
        /// The SDP answer; `None` where an [`Event::EarlyUpdate`] has agreed
        /// on other media since.
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
    /// [`answer_reinvite`](crate::Endpoint::answer_reinvite) or
    /// [`reject_reinvite`](crate::Endpoint::reject_reinvite).
    Reinvite {
        /// The leg.
        leg: LegId,
        /// The offer; without one, our answer carries the offer and
        /// [`Event::Confirmed`] the peer's answer.
        sdp: Option<Vec<u8>>,
    },
    /// The peer wants to change the session of a call that isn't answered yet
    /// (RFC 3311, or an offer in PRACK); answer like [`Event::Reinvite`].
    EarlyUpdate {
        /// The leg.
        leg: LegId,
        /// Of a call we make: who, see [`Event::Ringing`].
        fork: u8,
        /// The offer.
        sdp: Vec<u8>,
    },
    /// Our change of the session was accepted, or a session was refreshed with
    /// the same offer as before.
    ReinviteAnswered {
        /// The leg.
        leg: LegId,
        /// What we offered.
        offer: Vec<u8>,
        /// The SDP answer.
        sdp: Option<Vec<u8>>,
    },
    /// Our change of the session was refused; the session goes on as before. 491 has
    /// already been retried (RFC 3261 section 14.1).
    ReinviteRefused {
        /// The leg.
        leg: LegId,
        /// The status code.
        code: u16,
    },
    /// The peer of an answered leg wants the call to go elsewhere. To be
    /// answered with [`accept_refer`](crate::Endpoint::accept_refer) or
    /// [`refuse_refer`](crate::Endpoint::refuse_refer); only with
    /// [`EndpointConfig::transfers`](crate::EndpointConfig::transfers).
    Refer {
        /// The leg.
        leg: LegId,
        /// Names it to the answer.
        id: RequestId,
        /// Where to.
        refer: Box<Refer>,
    },
    /// The peer's answer to our REFER.
    Referred {
        /// The leg.
        leg: LegId,
        /// 202, or why not.
        code: u16,
    },
    /// How the call that we asked for with REFER goes.
    Notify {
        /// The leg.
        leg: LegId,
        /// The new call's status code.
        code: u16,
        /// Nothing more follows.
        last: bool,
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
    /// A REGISTER to be answered with [`respond`](crate::Endpoint::respond).
    Register {
        /// Names it to `respond`.
        id: RequestId,
        /// Where it came from.
        peer: Peer,
        /// The REGISTER.
        request: Box<Request>,
    },
    /// Another request to be answered with [`respond`](crate::Endpoint::respond); only methods
    /// listed in [`EndpointConfig::hand_up`](crate::EndpointConfig::hand_up).
    Other {
        /// Names it to `respond`.
        id: RequestId,
        /// Where it came from.
        peer: Peer,
        /// The request.
        request: Box<Request>,
    },
    /// The final response to [`request`](crate::Endpoint::request).
    Response {
        /// The request.
        id: RequestId,
        /// Its final response.
        response: Box<Response>,
    },
    /// [`request`](crate::Endpoint::request) got no final response in 64*T1, or the transport
    /// failed.
    RequestTimeout {
        /// The request.
        id: RequestId,
    },
}
