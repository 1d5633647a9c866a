//! The one door in and the one door out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use acd::{FromAcd, OfferId, ToAcd};
use desk::{ContactId, EndCause, TenantId};
use ivr_flows::{Fields, Piece};
use media::clip::Clip;
use media::engine::{Command as MediaCommand, Event as MediaEvent, LegId as MediaLegId};
use media::srtp::Secret;
use serde::{Deserialize, Serialize};

/// The time of an input. Durations are measured by the first, windows and
/// calendars by the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic, since a fixed moment; the same clock that `acd` is given.
    pub mono: Duration,
    /// Wall clock, Unix milliseconds.
    pub wall: i64,
}

/// Names a wish for a media leg until it is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaKey(pub u64);

/// Names a prompt that is being rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RenderId(pub u64);

/// Names a question to an HTTP action until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(pub u64);

/// A question to one of a hospital's HTTP actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Echoed in the answer.
    pub id: QueryId,
    /// Whose action.
    pub tenant: TenantId,
    /// Its name in the hospital's file.
    pub action: Arc<str>,
    /// What is sent. What callers keyed in may be among it.
    pub with: Fields,
    /// The fields of the answer that are of use; no others need be handed on.
    pub wanted: Vec<Arc<str>>,
    /// The same for every attempt to have this question answered, and for no
    /// other question ever (`Idempotency-Key`). ASCII.
    pub key: String,
    /// After this time nobody waits for the answer.
    pub deadline: Duration,
}

/// What a caller has keyed in to show who they are, to be compared.
pub struct Check {
    /// Echoed in [`desk::Checked`].
    pub id: desk::CommandId,
    /// The hospital.
    pub tenant: TenantId,
    /// Whose caller.
    pub contact: ContactId,
    /// Who they may be, by the calling number.
    pub hint: Option<desk::PersonId>,
    /// What was asked for, and what was keyed in.
    pub answers: Vec<(desk::people::Factor, desk::people::SecretDigits)>,
}

/// A code is to be sent to the contact of record of whom a caller may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendCode {
    /// The hospital.
    pub tenant: TenantId,
    /// In whose call it is good.
    pub contact: ContactId,
    /// Who they may be.
    pub person: desk::PersonId,
}

/// Without what was keyed in.
impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check")
            .field("id", &self.id)
            .field("contact", &self.contact)
            .finish_non_exhaustive()
    }
}

/// What can happen to a switch.
#[derive(Debug)]
pub enum Input {
    /// A SIP message came; parsing it happens outside.
    Sip {
        /// From where.
        peer: sip::Peer,
        /// What.
        message: sip::Message,
    },
    /// A connection was closed, or couldn't be made: what was sent there and
    /// isn't answered yet will not be, and whoever registered on it is gone.
    PeerLost {
        /// Whose.
        peer: sip::Peer,
    },
    /// The far end of a TLS connection has shown a certificate of an authority
    /// that we trust. Before any message of it, and forgotten with
    /// [`PeerLost`](Self::PeerLost).
    Certified {
        /// Whose.
        peer: sip::Peer,
        /// What it says the far end is (RFC 5922 section 7.1): host names.
        names: Vec<String>,
    },
    /// The DNS says where a named gateway of a trunk is.
    Located {
        /// The trunk.
        trunk: Arc<str>,
        /// The gateway's place in [`crate::Trunk::gateways`].
        gateway: usize,
        /// Its addresses, the best first; empty when none is known.
        peers: Vec<sip::Peer>,
    },
    /// A desk is closed, or open, on somebody's word, whatever its hours say.
    Close {
        /// The hospital.
        tenant: TenantId,
        /// Its hours' name.
        calendar: Arc<str>,
        /// `None`: the hours count again.
        exception: Option<hours::Exception>,
    },
    /// A media leg is open.
    MediaOpened {
        /// Which wish is granted.
        key: MediaKey,
        /// The leg.
        leg: MediaLegId,
        /// Its RTP port.
        port: u16,
        /// What its keys are made of: bytes nobody can guess, of this leg alone.
        secret: Secret,
    },
    /// No media leg is to be had.
    MediaRefused {
        /// Which wish.
        key: MediaKey,
    },
    /// Something happened on a media leg.
    Media(MediaEvent),
    /// A prompt is ready to be played.
    Rendered {
        /// Which.
        id: RenderId,
        /// Its clips, to be played back to back.
        clips: Vec<Arc<Clip>>,
    },
    /// A prompt can't be had in time.
    RenderFailed {
        /// Which.
        id: RenderId,
    },
    /// The distributor says something.
    Acd(FromAcd),
    /// The desk answers.
    Desk(desk::Answer),
    /// The desk owes somebody a call.
    Callback(desk::Callback),
    /// The desk doesn't want that call any more.
    CallbackOff {
        /// By which attempt it would be made.
        attempt: desk::AttemptId,
        /// The contact made for it, if the desk knows of one.
        contact: Option<ContactId>,
    },
    /// An HTTP action has answered. Late, doubled or of a question that was taken
    /// back, it changes nothing.
    Answer {
        /// Which question.
        id: QueryId,
        /// Its flat fields, as far as they were wanted; `None`: it couldn't be called, or said no,
        /// or nothing that can be read.
        answer: Option<Fields>,
    },
    /// No new calls from now on; those in progress go on.
    Drain,
    /// The process stops: everybody is hung up on, rather than left in silence.
    HangUpAll,
}

/// What a switch wants done.
#[derive(Debug)]
pub enum Output {
    /// Send this datagram.
    Transmit(sip::Transmit),
    /// Open a media leg. Answered by [`Input::MediaOpened`] or [`Input::MediaRefused`].
    OpenMedia {
        /// Echoed in the answer.
        key: MediaKey,
        /// On the thread of this leg, because the two will be bridged.
        with: Option<MediaLegId>,
        /// The peer whose audio will come: which of our addresses it is bound to.
        towards: IpAddr,
    },
    /// Tell the media threads.
    Media(MediaCommand),
    /// Make these pieces into clips. Answered by [`Input::Rendered`] or [`Input::RenderFailed`].
    Render {
        /// Echoed in the answer.
        id: RenderId,
        /// Whose share of the speech threads it uses.
        tenant: TenantId,
        /// What is to be said.
        pieces: Vec<Piece>,
    },
    /// Call an HTTP action. Answered by [`Input::Answer`]. Never more than
    /// [`crate::ActionLimits`] say at a time.
    Query(Query),
    /// Nobody waits for this answer any more: what isn't sent yet needn't be.
    Forget(QueryId),
    /// Compare this, and tell the desk ([`desk::Input::Checked`]), which answers with
    /// [`Input::Desk`].
    Check(Check),
    /// Send a code, whose answer comes with [`Self::Check`]. Nothing is answered.
    SendCode(SendCode),
    /// Tell the distributor.
    ToAcd(ToAcd),
    /// Tell the desk.
    ToDesk(desk::Command),
    /// This connection's far end is a trunk, or has shown an account's password.
    Known {
        /// Whose.
        peer: sip::Peer,
    },
    /// Somebody at this address showed a wrong password or an unknown user.
    SignInRefused {
        /// From where.
        source: IpAddr,
        /// It was one too many: from now on nobody who didn't sign in from
        /// there before gets in, for a while.
        blocked: bool,
    },
    /// We are registered at a trunk's provider, or no longer.
    TrunkRegistered {
        /// Which trunk.
        trunk: Arc<str>,
        /// Whether calls come and go by it.
        registered: bool,
        /// What the registrar answered last, where it didn't go well.
        code: Option<u16>,
    },
    /// For the log and whoever watches.
    Note(Note),
}

/// What happened to a contact, for logs and live views. No personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Whose.
    pub contact: ContactId,
    /// At which hospital.
    pub tenant: TenantId,
    /// What.
    pub what: NoteWhat,
}

/// See [`Note`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteWhat {
    /// A call came and is admitted.
    Arrived,
    /// An agent asks a colleague about this contact: a call of its own, which
    /// is no journey.
    Consults(ContactId),
    /// Nobody called: the desk owes somebody a call.
    CallsBack,
    /// The 200 is on its way; or whom we called has answered.
    Answered,
    /// Waits in this queue.
    Queued(Arc<str>),
    /// The number that was dialled. Follows `Arrived`.
    Dialled(Arc<str>),
    /// It has this ticket.
    Ticket(Arc<str>),
    /// An agent's phone is called.
    Offered(OfferId, desk::AgentId),
    /// The offer came to nothing.
    OfferFailed(acd::Refusal),
    /// Talks.
    Connected(OfferId, desk::AgentId),
    /// The agent's side broke down; the contact waits again.
    Broken,
    /// This partner is called.
    PartnerCalled(Arc<str>),
    /// A number outside is called, because an agent sent the contact there or
    /// asks there.
    OutsideCalled,
    /// This agent wanted the contact sent on to where the dial rules don't
    /// lead: refused.
    TargetForbidden(acd::AgentId),
    /// The trunk sent the call on to another number or gateway (3xx): it goes there, or doesn't, as the trunk's policy
    /// and the dial rules have it.
    Redirected {
        /// It goes there.
        followed: bool,
    },
    /// The dial rules don't lead where a flow sends its caller.
    FlowTargetForbidden,
    /// This HTTP action was called.
    Action(Arc<str>, ActionEnd),
    /// Talks with the partner, or outside.
    Transferred,
    /// The partner or who was called outside couldn't take it; the contact is
    /// back.
    TakenBack(desk::TakenBack),
    /// The caller types (TTY).
    TextTelephone,
    /// That side is spoken to and isn't heard, or doesn't hear.
    OneWayAudio(NoteSide, OneWay),
    /// Encryption is required, and the peer on that side can't or won't.
    NotEncrypted(NoteSide),
    /// That side's audio was encrypted so far, and isn't any more: its new
    /// description has no keys, and none are required.
    NowInClear(NoteSide),
    /// That side's answer to an offer of ours can't be used.
    AnswerUnusable(NoteSide),
    /// Something of a call to an emergency service, which is no contact: the
    /// note's contact tells such calls apart, its hospital is the telephone's.
    Emergency {
        /// The account whose telephone it is: the one note that names it, since
        /// somebody has to go there (Kari's Law).
        account: Arc<str>,
        /// The number dialled.
        number: Arc<str>,
        /// What.
        step: EmergencyStep,
    },
    /// A bug in this one call was caught; the call was ended.
    Panicked,
    /// Over.
    Ended(EndCause),
}

/// What came of calling an HTTP action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionEnd {
    /// It has answered. What the flow wanted may be missing all the same.
    Answered,
    /// It can't be called, or said no, or nothing that can be read.
    Failed,
    /// It hasn't answered in time.
    TimedOut,
    /// Too many are being called, by this hospital or by all.
    Crowded,
}

/// What happens to a call to an emergency service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmergencyStep {
    /// Somebody dialled.
    Begun,
    /// The service calls the telephone back.
    CalledBack,
    /// The service answered, or, called back, the telephone.
    Connected,
    /// No way outside took it: the caller is told, and all are tried on.
    Unplaced,
    /// Over.
    Ended(desk::EmergencyEnd),
}

/// Why a side isn't heard: [`media::engine::OneWayCause`] without addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OneWay {
    /// Nothing comes.
    Nothing,
    /// Only reports come.
    ReportsOnly,
    /// Its reports count audio that doesn't come.
    Withheld,
    /// Audio comes from elsewhere.
    Elsewhere,
    /// Audio comes in a codec that wasn't agreed on.
    Payload,
    /// Audio comes that doesn't fit the keys.
    Undecipherable,
    /// The other way round: it reports that it hears nothing of us.
    Unheard,
}

/// Whose leg a [`Note`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteSide {
    /// The caller's.
    Caller,
    /// The agent's.
    Agent,
}

/// Counts since the start, for metrics. Plain numbers, never reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls admitted.
    pub admitted: u64,
    /// Calls refused by admission, before a transaction existed.
    pub refused: u64,
    /// Requests answered with a challenge because they showed no password or a stale nonce.
    pub challenged: u64,
    /// Requests that showed a wrong password or an unknown user.
    pub sign_ins_refused: u64,
    /// Requests with a password that weren't looked at, because too many from
    /// there had been wrong.
    pub sign_ins_blocked: u64,
    /// Calls to numbers that aren't ours.
    pub unknown_numbers: u64,
    /// Agents' and flows' transfers, and agents' questions, to where the dial rules don't lead.
    pub targets_forbidden: u64,
    /// Redirections of trunks (3xx) that were followed.
    pub redirects_followed: u64,
    /// Those that weren't.
    pub redirects_refused: u64,
    /// Calls to emergency services.
    pub emergency_calls: u64,
    /// Answers of emergency services: more than one of a call that was lost on the way.
    pub emergency_connected: u64,
    /// Of these calls, those that no way outside took at once.
    pub emergency_unplaced: u64,
    /// Calls from emergency services to telephones that had called them.
    pub emergency_called_back: u64,
    /// Times that audio was found to go one way.
    pub one_way: u64,
    /// Calls encrypted so far that went on in the clear.
    pub now_in_clear: u64,
    /// Answers to offers of ours that couldn't be used.
    pub answers_unusable: u64,
    /// HTTP actions that flows have called.
    pub actions: u64,
    /// Of these, those that couldn't be called, said no, or nothing that can be read.
    pub actions_failed: u64,
    /// Those that haven't answered in time.
    pub actions_timed_out: u64,
    /// Those that weren't called because too many were being called.
    pub actions_crowded: u64,
    /// Prompts that could not be had in time.
    pub prompts_missed: u64,
    /// Commands that the desk never answered.
    pub desk_unanswered: u64,
    /// Journey events left out because the desk didn't keep up.
    pub journey_dropped: u64,
    /// Panics caught, each the end of one call.
    pub panics: u64,
    /// Contacts ended.
    pub ended: u64,
}
