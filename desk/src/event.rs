//! What happened: the events of the log, and their stable JSON.
//!
//! An event holds ids, enums, times and numbers; names, phone numbers and free
//! text live in erasable rows ([`crate::Personal`]) that events refer to.
//!
//! The JSON of an event is an object whose `type` is the name used in all
//! documents (`contact.queued`). Names and fields never change their meaning;
//! when one must, [`Event::VERSION`] goes up and [`Event::decode`] reads what
//! was written under every version before.

use serde::{Deserialize, Serialize};

use crate::incidents::{AlertId, Closing, IncidentBy, IncidentScope};
use crate::message::{
    AgentId, AttemptId, ContactId, EmergencyEnd, EndCause, Escalation, IncidentId, OfferId,
    PartnerId, PersonId, PromiseId, QueueId, Role, TakenBack, TicketId,
};
use crate::people::Level;
use crate::promises::{First, Missed, PromiseKind, PromiseRisk, Proof, Span};
use crate::ticket::TicketNumber;
use crate::tickets::{
    Actor, Clock, NoteId, Priority, TicketEscalation, TicketStatus, Tier, Unwarned, Updated,
};
use crate::verification::Method;

/// Something that happened, as the log keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// A call came in. The first of a contact's events.
    #[serde(rename = "contact.started")]
    ContactStarted {
        /// Whose journey.
        contact: ContactId,
        /// What answered; `None` in events written before this was told, and
        /// where the report of the start was lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flow: Option<FlowName>,
        /// Its version, as `flow.published` has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u32>,
    },
    /// The calling number was looked up (level 0, never proof).
    #[serde(rename = "contact.identified")]
    ContactIdentified {
        /// Whose journey.
        contact: ContactId,
        /// What was found.
        #[serde(flatten)]
        found: Found,
    },
    /// The caller said what they are, or an analyst put it right.
    #[serde(rename = "contact.role_set")]
    ContactRoleSet {
        /// Whose journey.
        contact: ContactId,
        /// What they are.
        role: Role,
    },
    /// The caller was to show who they are. What they keyed in stands nowhere.
    #[serde(rename = "contact.verified")]
    ContactVerified {
        /// Whose journey.
        contact: ContactId,
        /// Whether they did.
        passed: bool,
        /// How.
        method: Method,
        /// To which level.
        level: Level,
        /// Who they are; of who didn't, nothing is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person: Option<PersonId>,
    },
    /// Entered a queue: a visit begins, which ends in exactly one of answered
    /// (`contact.connected`), `contact.abandoned`, `contact.flow_out`, or
    /// system-failure (`contact.ended` with that cause).
    #[serde(rename = "contact.queued")]
    ContactQueued {
        /// Whose journey.
        contact: ContactId,
        /// Which queue.
        queue: QueueId,
    },
    /// An agent's phone rings for it.
    #[serde(rename = "contact.offered")]
    ContactOffered {
        /// Whose journey.
        contact: ContactId,
        /// Whose phone.
        agent: AgentId,
    },
    /// Talks with an agent.
    #[serde(rename = "contact.connected")]
    ContactConnected {
        /// Whose journey.
        contact: ContactId,
        /// With whom.
        agent: AgentId,
    },
    /// A partner is being called for it.
    #[serde(rename = "contact.partner_called")]
    ContactPartnerCalled {
        /// Whose journey.
        contact: ContactId,
        /// Which partner.
        partner: PartnerId,
    },
    /// Talks with a partner.
    #[serde(rename = "contact.transferred")]
    ContactTransferred {
        /// Whose journey.
        contact: ContactId,
        /// With which.
        partner: PartnerId,
    },
    /// The agent it talked with handed it over. Where to is told by the events that follow.
    #[serde(rename = "contact.escalated")]
    ContactEscalated {
        /// Whose journey.
        contact: ContactId,
        /// Who.
        by: AgentId,
        /// Why; `None` when they didn't say.
        why: Option<Escalation>,
    },
    /// A third one came into the conversation.
    #[serde(rename = "contact.conferred")]
    ContactConferred {
        /// Whose journey.
        contact: ContactId,
        /// Which agent had them in.
        by: AgentId,
        /// Which colleague; `None`: somebody outside.
        with: Option<AgentId>,
    },
    /// Back from a partner who couldn't take it.
    #[serde(rename = "contact.taken_back")]
    ContactTakenBack {
        /// Whose journey.
        contact: ContactId,
        /// From which.
        partner: PartnerId,
        /// Why.
        why: TakenBack,
    },
    /// It hears of an incident.
    #[serde(rename = "contact.informed")]
    ContactInformed {
        /// Whose journey.
        contact: ContactId,
        /// Which incident.
        incident: IncidentId,
    },
    /// It heard of an incident, and the caller hung up without asking for anybody.
    #[serde(rename = "contact.deflected")]
    ContactDeflected {
        /// Whose journey.
        contact: ContactId,
        /// Which incident.
        incident: IncidentId,
    },
    /// An agent's after-call work for it is over. It may be over itself.
    #[serde(rename = "contact.wrapped_up")]
    ContactWrappedUp {
        /// Whose journey.
        contact: ContactId,
        /// Who.
        agent: AgentId,
        /// How long it took, milliseconds.
        ms: u64,
    },
    /// Left the queue by hanging up.
    #[serde(rename = "contact.abandoned")]
    ContactAbandoned {
        /// Whose journey.
        contact: ContactId,
    },
    /// Left the queue by the flow (overflow, exit key, nobody signed in).
    #[serde(rename = "contact.flow_out")]
    ContactFlowOut {
        /// Whose journey.
        contact: ContactId,
    },
    /// The journey is over. The last of a contact's events.
    #[serde(rename = "contact.ended")]
    ContactEnded {
        /// Whose journey.
        contact: ContactId,
        /// How.
        cause: EndCause,
    },
    /// An agent was reserved for a contact.
    #[serde(rename = "offer.created")]
    OfferCreated {
        /// Which offer.
        offer: OfferId,
        /// For whom.
        contact: ContactId,
        /// To whom.
        agent: AgentId,
    },
    /// The agent took the call.
    #[serde(rename = "offer.accepted")]
    OfferAccepted {
        /// Which offer.
        offer: OfferId,
        /// For whom.
        contact: ContactId,
        /// To whom.
        agent: AgentId,
    },
    /// Busy, declined by key, or the phone unreachable.
    #[serde(rename = "offer.declined")]
    OfferDeclined {
        /// Which offer.
        offer: OfferId,
        /// For whom.
        contact: ContactId,
        /// To whom.
        agent: AgentId,
    },
    /// Ring-no-answer.
    #[serde(rename = "offer.timed_out")]
    OfferTimedOut {
        /// Which offer.
        offer: OfferId,
        /// For whom.
        contact: ContactId,
        /// To whom.
        agent: AgentId,
    },
    /// The contact went away first.
    #[serde(rename = "offer.rescinded")]
    OfferRescinded {
        /// Which offer.
        offer: OfferId,
        /// For whom.
        contact: ContactId,
        /// To whom.
        agent: AgentId,
    },
    /// An agent does something else now.
    #[serde(rename = "agent.state_changed")]
    AgentStateChanged {
        /// Who.
        agent: AgentId,
        /// What.
        state: AgentState,
    },
    /// A ticket exists.
    #[serde(rename = "ticket.opened")]
    TicketOpened {
        /// Which.
        ticket: TicketId,
        /// What the caller is told.
        number: TicketNumber,
        /// For which contact.
        contact: ContactId,
        /// How much hangs on it; `None` in events written before this was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        priority: Option<Priority>,
        /// When its caller hears of it next; `None` in events written before this was told.
        #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
        clock: Option<Clock>,
    },
    /// A further contact belongs to a ticket: the caller keyed in its number.
    #[serde(rename = "ticket.attached")]
    TicketAttached {
        /// Which.
        ticket: TicketId,
        /// What the caller was told.
        number: TicketNumber,
        /// Which contact.
        contact: ContactId,
    },
    /// Somebody did something to an open ticket that stays open. Before there was more to tell:
    /// somebody said how it stands.
    #[serde(rename = "ticket.updated")]
    TicketUpdated {
        /// Which.
        ticket: TicketId,
        /// How it stands.
        status: TicketStatus,
        /// When its caller hears of it next, Unix milliseconds.
        next_update: Option<i64>,
        /// When it goes up a tier before that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warn_at: Option<i64>,
        /// Who; `None` in events written before this was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
        /// What; `None` in events written before this was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<Updated>,
    },
    /// A ticket went up a tier, or should have and is at the top.
    #[serde(rename = "ticket.escalated")]
    TicketEscalated {
        /// Which.
        ticket: TicketId,
        /// Why.
        why: TicketEscalation,
        /// From which tier.
        from: Tier,
        /// To which; the same at the top.
        to: Tier,
        /// The team that has it from now on, if the tier has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        team: Option<QueueId>,
        /// Of a missed update: why it didn't go up before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unwarned: Option<Unwarned>,
        /// When its caller hears of it next.
        #[serde(flatten)]
        clock: Clock,
        /// Who.
        by: Actor,
    },
    /// A ticket is done.
    #[serde(rename = "ticket.resolved")]
    TicketResolved {
        /// Which.
        ticket: TicketId,
        /// By one contact, and never reopened: provisional for seven days.
        first_contact: bool,
        /// Who.
        by: Actor,
    },
    /// A ticket that was done isn't.
    #[serde(rename = "ticket.reopened")]
    TicketReopened {
        /// Which.
        ticket: TicketId,
        /// The contact because of which.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<ContactId>,
        /// When its caller hears of it next.
        #[serde(flatten)]
        clock: Clock,
        /// Who.
        by: Actor,
    },
    /// A ticket is done for good.
    #[serde(rename = "ticket.closed")]
    TicketClosed {
        /// Which.
        ticket: TicketId,
        /// Who.
        by: Actor,
    },
    /// A ticket is the same as another: its number leads there from now on.
    #[serde(rename = "ticket.merged")]
    TicketMerged {
        /// Which.
        ticket: TicketId,
        /// The one that is worked on.
        into: TicketId,
        /// Who.
        by: Actor,
    },
    /// Somebody wrote something down about a ticket. What stands in an erasable row.
    #[serde(rename = "ticket.noted")]
    TicketNoted {
        /// Which.
        ticket: TicketId,
        /// Which note.
        note: NoteId,
        /// Who.
        by: Actor,
    },
    /// A flow that this hospital's callers walk through was published anew.
    #[serde(rename = "flow.published")]
    FlowPublished {
        /// Which.
        flow: FlowName,
        /// Its version: counts up with each new text.
        version: u32,
    },
    /// A flow that this hospital's callers walk through has the text of an
    /// earlier version again, under a number of its own.
    #[serde(rename = "flow.rolled_back")]
    FlowRolledBack {
        /// Which.
        flow: FlowName,
        /// Its version.
        version: u32,
        /// The latest of the versions before that had this text.
        to: u32,
    },
    /// A desk was closed on the spot, whatever its hours say.
    #[serde(rename = "hours.closed")]
    HoursClosed {
        /// Which of the hospital's hours; `None` where their name can't stand here.
        hours: Option<FlowName>,
        /// Until when, Unix milliseconds.
        until: i64,
    },
    /// A desk was opened on the spot, whatever its hours say.
    #[serde(rename = "hours.opened")]
    HoursOpened {
        /// Which of the hospital's hours; `None` where their name can't stand here.
        hours: Option<FlowName>,
        /// Until when, Unix milliseconds.
        until: i64,
    },
    /// A desk that was closed or opened on the spot keeps its hours again,
    /// before its time. That the time has come isn't told.
    #[serde(rename = "hours.reopened")]
    HoursReopened {
        /// Which of the hospital's hours; `None` where their name can't stand here.
        hours: Option<FlowName>,
    },
    /// Somebody called an emergency service from a telephone of ours.
    #[serde(rename = "emergency.begun")]
    EmergencyBegun {
        /// Which call.
        call: ContactId,
        /// The number dialled, its digits as a decimal.
        number: u32,
        /// Whose telephone it is, if it is an agent's.
        agent: Option<AgentId>,
    },
    /// An emergency service calls back a telephone of ours that has called it.
    #[serde(rename = "emergency.called_back")]
    EmergencyCalledBack {
        /// Which call.
        call: ContactId,
        /// Whose telephone it is, if it is an agent's.
        agent: Option<AgentId>,
    },
    /// The service answered, or, called back, the telephone.
    #[serde(rename = "emergency.connected")]
    EmergencyConnected {
        /// Which call.
        call: ContactId,
    },
    /// No way outside took the call. It is tried on.
    #[serde(rename = "emergency.unplaced")]
    EmergencyUnplaced {
        /// Which call.
        call: ContactId,
    },
    /// The call is over.
    #[serde(rename = "emergency.ended")]
    EmergencyEnded {
        /// Which call.
        call: ContactId,
        /// By whose doing.
        by: EmergencyEnd,
    },
    /// A callback is owed.
    #[serde(rename = "promise.created")]
    PromiseCreated {
        /// Which.
        promise: PromiseId,
        /// To whom: the contact in which it was promised.
        contact: ContactId,
        /// What is owed.
        #[serde(flatten)]
        kind: PromiseKind,
        /// Who serves it.
        queue: QueueId,
        /// How urgently.
        class: Role,
        /// Since when the customer waits, Unix milliseconds.
        since: i64,
        /// When they are to be called.
        window: Span,
        /// Who is called first.
        first: First,
        /// Its ticket.
        ticket: Option<TicketId>,
        /// Who the customer is, as far as known.
        person: Option<PersonId>,
    },
    /// Its window has begun.
    #[serde(rename = "promise.due")]
    PromiseDue {
        /// Which.
        promise: PromiseId,
    },
    /// The customer is being called.
    #[serde(rename = "promise.attempted")]
    PromiseAttempted {
        /// Which.
        promise: PromiseId,
        /// By which attempt.
        attempt: AttemptId,
        /// In which contact.
        contact: ContactId,
    },
    /// The customer has shown by key that a person is there.
    #[serde(rename = "promise.reached")]
    PromiseReached {
        /// Which.
        promise: PromiseId,
        /// In which attempt.
        attempt: AttemptId,
    },
    /// An attempt came to nothing.
    #[serde(rename = "promise.missed")]
    PromiseMissed {
        /// Which.
        promise: PromiseId,
        /// Which attempt.
        attempt: AttemptId,
        /// Why.
        why: Missed,
    },
    /// A person has to see to it.
    #[serde(rename = "promise.escalated")]
    PromiseEscalated {
        /// Which.
        promise: PromiseId,
        /// Why.
        why: PromiseRisk,
    },
    /// Another time was agreed on.
    #[serde(rename = "promise.moved")]
    PromiseMoved {
        /// Which.
        promise: PromiseId,
        /// When.
        window: Span,
    },
    /// It was kept.
    #[serde(rename = "promise.closed")]
    PromiseClosed {
        /// Which.
        promise: PromiseId,
        /// What shows it.
        #[serde(flatten)]
        proof: Proof,
    },
    /// Something may be out of order. Nobody hears of it yet; what is said stands in erasable rows.
    #[serde(rename = "incident.drafted")]
    IncidentDrafted {
        /// Which.
        incident: IncidentId,
        /// Whom it concerns.
        #[serde(flatten)]
        scope: IncidentScope,
        /// Who says so.
        by: IncidentBy,
        /// The alert it comes from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alert: Option<AlertId>,
        /// When it is over by itself, Unix milliseconds.
        expires_at: i64,
    },
    /// Whom it concerns hears of it.
    #[serde(rename = "incident.published")]
    IncidentPublished {
        /// Which.
        incident: IncidentId,
        /// By whose word.
        by: IncidentBy,
    },
    /// Whom it concerns, what is said or how long it lasts is another.
    #[serde(rename = "incident.updated")]
    IncidentUpdated {
        /// Which.
        incident: IncidentId,
        /// By whose word.
        by: IncidentBy,
        /// Whom it concerns.
        #[serde(flatten)]
        scope: IncidentScope,
        /// When it is over by itself, Unix milliseconds.
        expires_at: i64,
    },
    /// A ticket is about it.
    #[serde(rename = "incident.attached")]
    IncidentAttached {
        /// Which.
        incident: IncidentId,
        /// Which ticket.
        ticket: TicketId,
    },
    /// Somebody wants to be told when it is over. Where they are called stands in an erasable row.
    #[serde(rename = "incident.subscribed")]
    IncidentSubscribed {
        /// Which.
        incident: IncidentId,
        /// In which contact.
        contact: ContactId,
    },
    /// It is over, and whoever wanted to be told is owed a call.
    #[serde(rename = "incident.owed")]
    IncidentOwed {
        /// Which.
        incident: IncidentId,
        /// In which contact they said so.
        contact: ContactId,
        /// Which call.
        promise: PromiseId,
    },
    /// It is over.
    #[serde(rename = "incident.closed")]
    IncidentClosed {
        /// Which.
        incident: IncidentId,
        /// By whose word.
        by: IncidentBy,
        /// Why.
        why: Closing,
    },
    /// Careline began. Stands in the operator's log: what agents did before, they do no longer.
    #[serde(rename = "service.started")]
    ServiceStarted,
    /// Careline stopped as it was told to: not after a crash.
    #[serde(rename = "service.stopped")]
    ServiceStopped,
    /// Events are missing here: the store couldn't take them in time. Figures
    /// over this span are incomplete and say so.
    #[serde(rename = "journal.gap")]
    JournalGap {
        /// How many events.
        count: u64,
        /// The time of the earliest, Unix milliseconds.
        from: i64,
        /// The time of the latest, Unix milliseconds.
        to: i64,
    },
}

/// The name of a flow, or of hours, in an event: small letters, digits, `-` and `_`, at most 48.
/// Nobody is called so, and it needs no memory of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowName {
    bytes: [u8; FlowName::BYTES_MAX],
    length: u8,
}

impl FlowName {
    const BYTES_MAX: usize = 48;

    /// `None` for what is no flow's name.
    pub fn new(name: &str) -> Option<Self> {
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if name.is_empty() || !name.bytes().all(fine) {
            return None;
        }
        let mut bytes = [0; Self::BYTES_MAX];
        bytes
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        Some(Self {
            bytes,
            length: u8::try_from(name.len()).ok()?,
        })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length));
        bytes
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

impl std::fmt::Debug for FlowName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FlowName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FlowName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::new(&name).ok_or_else(|| serde::de::Error::custom("not a flow's name"))
    }
}

/// What a calling number told: ids only. The names are in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// Nothing: withheld, unknown, or shared by several people.
    Unknown,
    /// A clinician or member of staff.
    Person {
        /// Who.
        person: PersonId,
        /// What they are.
        role: Role,
    },
    /// A location line.
    Place {
        /// Which.
        person: PersonId,
    },
    /// A patient's number: a possible match.
    PossiblePatient {
        /// Who it might be.
        person: PersonId,
    },
}

/// What an agent is doing. The one owner of this fact is the distributor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// No live registration.
    SignedOut,
    /// Waiting for an offer.
    Available,
    /// Being rung.
    Offered,
    /// In a conversation.
    Talking,
    /// After-call work.
    WrapUp,
    /// Taken out of the distribution for a while after ring-no-answer.
    Resting,
}

/// An event of the log that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer Careline.
    #[error("event version {0} is newer than this program")]
    Newer(u16),
    /// Not one of our events.
    #[error("not an event: {0}")]
    Json(#[from] serde_json::Error),
}

impl Event {
    /// The version under which events are written today.
    pub const VERSION: u16 = 1;

    /// The contact it belongs to, if it belongs to one.
    pub fn contact(&self) -> Option<ContactId> {
        match *self {
            Self::ContactStarted { contact, .. }
            | Self::ContactIdentified { contact, .. }
            | Self::ContactRoleSet { contact, .. }
            | Self::ContactVerified { contact, .. }
            | Self::ContactQueued { contact, .. }
            | Self::ContactOffered { contact, .. }
            | Self::ContactConnected { contact, .. }
            | Self::ContactPartnerCalled { contact, .. }
            | Self::ContactTransferred { contact, .. }
            | Self::ContactEscalated { contact, .. }
            | Self::ContactConferred { contact, .. }
            | Self::ContactTakenBack { contact, .. }
            | Self::ContactInformed { contact, .. }
            | Self::ContactDeflected { contact, .. }
            | Self::ContactWrappedUp { contact, .. }
            | Self::ContactAbandoned { contact }
            | Self::ContactFlowOut { contact }
            | Self::ContactEnded { contact, .. }
            | Self::OfferCreated { contact, .. }
            | Self::OfferAccepted { contact, .. }
            | Self::OfferDeclined { contact, .. }
            | Self::OfferTimedOut { contact, .. }
            | Self::OfferRescinded { contact, .. }
            | Self::TicketOpened { contact, .. }
            | Self::TicketAttached { contact, .. } => Some(contact),
            // Nor is an incident a contact's, though somebody said in one that they want to be told.
            Self::IncidentDrafted { .. }
            | Self::IncidentPublished { .. }
            | Self::IncidentUpdated { .. }
            | Self::IncidentAttached { .. }
            | Self::IncidentSubscribed { .. }
            | Self::IncidentOwed { .. }
            | Self::IncidentClosed { .. } => None,
            // A promise outlives the contact in which it was made.
            Self::PromiseCreated { .. }
            | Self::PromiseDue { .. }
            | Self::PromiseAttempted { .. }
            | Self::PromiseReached { .. }
            | Self::PromiseMissed { .. }
            | Self::PromiseEscalated { .. }
            | Self::PromiseMoved { .. }
            | Self::PromiseClosed { .. } => None,
            // An emergency call is nobody's journey.
            Self::EmergencyBegun { .. }
            | Self::EmergencyCalledBack { .. }
            | Self::EmergencyConnected { .. }
            | Self::EmergencyUnplaced { .. }
            | Self::EmergencyEnded { .. }
            | Self::AgentStateChanged { .. }
            | Self::TicketUpdated { .. }
            | Self::TicketEscalated { .. }
            | Self::TicketResolved { .. }
            | Self::TicketReopened { .. }
            | Self::TicketClosed { .. }
            | Self::TicketMerged { .. }
            | Self::TicketNoted { .. }
            | Self::FlowPublished { .. }
            | Self::FlowRolledBack { .. }
            | Self::HoursClosed { .. }
            | Self::HoursOpened { .. }
            | Self::HoursReopened { .. }
            | Self::ServiceStarted
            | Self::ServiceStopped
            | Self::JournalGap { .. } => None,
        }
    }

    /// Whether it tells of a contact's journey, which ends with
    /// [`Event::ContactEnded`]: nothing of this comes after that. (After-call
    /// work and offers may well end later than the journey they belong to.)
    pub fn is_journey(&self) -> bool {
        matches!(
            self,
            Self::ContactStarted { .. }
                | Self::ContactIdentified { .. }
                | Self::ContactRoleSet { .. }
                | Self::ContactVerified { .. }
                | Self::ContactQueued { .. }
                | Self::ContactOffered { .. }
                | Self::ContactConnected { .. }
                | Self::ContactPartnerCalled { .. }
                | Self::ContactTransferred { .. }
                | Self::ContactEscalated { .. }
                | Self::ContactConferred { .. }
                | Self::ContactTakenBack { .. }
                | Self::ContactInformed { .. }
                | Self::ContactDeflected { .. }
                | Self::ContactAbandoned { .. }
                | Self::ContactFlowOut { .. }
                | Self::ContactEnded { .. }
        )
    }

    /// The ticket whose own event it is. Those that begin a ticket or attach a contact are their contact's.
    pub fn ticket(&self) -> Option<TicketId> {
        match *self {
            Self::TicketUpdated { ticket, .. }
            | Self::TicketEscalated { ticket, .. }
            | Self::TicketResolved { ticket, .. }
            | Self::TicketReopened { ticket, .. }
            | Self::TicketClosed { ticket, .. }
            | Self::TicketMerged { ticket, .. }
            | Self::TicketNoted { ticket, .. } => Some(ticket),
            _ => None,
        }
    }

    /// The promise it is about, if it is about one.
    pub fn promise(&self) -> Option<PromiseId> {
        match *self {
            Self::PromiseCreated { promise, .. }
            | Self::PromiseDue { promise }
            | Self::PromiseAttempted { promise, .. }
            | Self::PromiseReached { promise, .. }
            | Self::PromiseMissed { promise, .. }
            | Self::PromiseEscalated { promise, .. }
            | Self::PromiseMoved { promise, .. }
            | Self::PromiseClosed { promise, .. } => Some(promise),
            _ => None,
        }
    }

    /// The incident it is about, if it is about one.
    pub fn incident(&self) -> Option<IncidentId> {
        match *self {
            Self::ContactInformed { incident, .. }
            | Self::ContactDeflected { incident, .. }
            | Self::IncidentDrafted { incident, .. }
            | Self::IncidentPublished { incident, .. }
            | Self::IncidentUpdated { incident, .. }
            | Self::IncidentAttached { incident, .. }
            | Self::IncidentSubscribed { incident, .. }
            | Self::IncidentOwed { incident, .. }
            | Self::IncidentClosed { incident, .. } => Some(incident),
            _ => None,
        }
    }

    /// Appends the event's JSON to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // Writing plain enums and numbers into memory can't fail; if a future
        // variant could, the log must rather hold nothing than half an object.
        let start = out.len();
        if serde_json::to_writer(&mut *out, self).is_err() {
            out.truncate(start);
        }
    }

    /// Reads an event that was written under `version`.
    pub fn decode(version: u16, json: &[u8]) -> Result<Self, DecodeError> {
        if version > Self::VERSION {
            return Err(DecodeError::Newer(version));
        }
        Ok(serde_json::from_slice(json)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tickets::{Left, Pause, ReasonCode};

    fn check(event: Event, json: &str) {
        let mut out = Vec::new();
        event.encode(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), json);
        assert_eq!(
            Event::decode(Event::VERSION, json.as_bytes()).unwrap(),
            event
        );
    }

    /// The stored form is a promise to every log ever written: a failure here
    /// means a new version, not a new expectation.
    #[test]
    fn stored_form() {
        let contact = ContactId(7);
        let (offer, agent) = (OfferId(3), AgentId(2));
        let flow = FlowName::new("clinician");
        check(
            Event::ContactStarted {
                contact,
                flow,
                version: Some(3),
            },
            r#"{"type":"contact.started","contact":7,"flow":"clinician","version":3}"#,
        );
        // As it was written before flows were told.
        check(
            Event::ContactStarted {
                contact,
                flow: None,
                version: None,
            },
            r#"{"type":"contact.started","contact":7}"#,
        );
        check(
            Event::ContactIdentified {
                contact,
                found: Found::Unknown,
            },
            r#"{"type":"contact.identified","contact":7,"found":"unknown"}"#,
        );
        check(
            Event::ContactIdentified {
                contact,
                found: Found::Person {
                    person: PersonId(4),
                    role: Role::Clinician,
                },
            },
            r#"{"type":"contact.identified","contact":7,"found":"person","person":4,"role":"clinician"}"#,
        );
        check(
            Event::ContactIdentified {
                contact,
                found: Found::PossiblePatient {
                    person: PersonId(4),
                },
            },
            r#"{"type":"contact.identified","contact":7,"found":"possible_patient","person":4}"#,
        );
        check(
            Event::ContactRoleSet {
                contact,
                role: Role::Patient,
            },
            r#"{"type":"contact.role_set","contact":7,"role":"patient"}"#,
        );
        check(
            Event::ContactVerified {
                contact,
                passed: true,
                method: Method::FactorsAndCode,
                level: Level::Verified,
                person: Some(PersonId(4)),
            },
            r#"{"type":"contact.verified","contact":7,"passed":true,"method":"factors_and_code","level":2,"person":4}"#,
        );
        check(
            Event::ContactVerified {
                contact,
                passed: false,
                method: Method::Pin,
                level: Level::Confirmed,
                person: None,
            },
            r#"{"type":"contact.verified","contact":7,"passed":false,"method":"pin","level":1}"#,
        );
        check(
            Event::ContactEscalated {
                contact,
                by: agent,
                why: Some(Escalation::NotPermitted),
            },
            r#"{"type":"contact.escalated","contact":7,"by":2,"why":"not_permitted"}"#,
        );
        check(
            Event::ContactEscalated {
                contact,
                by: agent,
                why: None,
            },
            r#"{"type":"contact.escalated","contact":7,"by":2,"why":null}"#,
        );
        check(
            Event::ContactConferred {
                contact,
                by: agent,
                with: None,
            },
            r#"{"type":"contact.conferred","contact":7,"by":2,"with":null}"#,
        );
        check(
            Event::ContactTakenBack {
                contact,
                partner: PartnerId(6),
                why: TakenBack::NoAnswer,
            },
            r#"{"type":"contact.taken_back","contact":7,"partner":6,"why":"no_answer"}"#,
        );
        check(
            Event::ContactWrappedUp {
                contact,
                agent,
                ms: 9_750,
            },
            r#"{"type":"contact.wrapped_up","contact":7,"agent":2,"ms":9750}"#,
        );
        check(Event::ServiceStarted, r#"{"type":"service.started"}"#);
        check(Event::ServiceStopped, r#"{"type":"service.stopped"}"#);
        check(
            Event::ContactQueued {
                contact,
                queue: QueueId(5),
            },
            r#"{"type":"contact.queued","contact":7,"queue":5}"#,
        );
        check(
            Event::ContactOffered { contact, agent },
            r#"{"type":"contact.offered","contact":7,"agent":2}"#,
        );
        check(
            Event::ContactConnected { contact, agent },
            r#"{"type":"contact.connected","contact":7,"agent":2}"#,
        );
        check(
            Event::ContactAbandoned { contact },
            r#"{"type":"contact.abandoned","contact":7}"#,
        );
        check(
            Event::ContactFlowOut { contact },
            r#"{"type":"contact.flow_out","contact":7}"#,
        );
        check(
            Event::ContactEnded {
                contact,
                cause: EndCause::SystemFailure,
            },
            r#"{"type":"contact.ended","contact":7,"cause":"system_failure"}"#,
        );
        check(
            Event::ContactEnded {
                contact,
                cause: EndCause::Stopped,
            },
            r#"{"type":"contact.ended","contact":7,"cause":"stopped"}"#,
        );
        check(
            Event::OfferTimedOut {
                offer,
                contact,
                agent,
            },
            r#"{"type":"offer.timed_out","offer":3,"contact":7,"agent":2}"#,
        );
        check(
            Event::AgentStateChanged {
                agent,
                state: AgentState::WrapUp,
            },
            r#"{"type":"agent.state_changed","agent":2,"state":"wrap_up"}"#,
        );
        check(
            Event::TicketOpened {
                ticket: TicketId(1),
                number: TicketNumber::mint(&[1; 32], TicketId(1)).unwrap(),
                contact,
                priority: Some(Priority::P3),
                clock: Some(Clock { due: 90, warn: 80 }),
            },
            r#"{"type":"ticket.opened","ticket":1,"number":"2963236026","contact":7,"priority":"p3","next_update":90,"warn_at":80}"#,
        );
        // As it was written before tickets had a clock.
        check(
            Event::TicketOpened {
                ticket: TicketId(1),
                number: TicketNumber::mint(&[1; 32], TicketId(1)).unwrap(),
                contact,
                priority: None,
                clock: None,
            },
            r#"{"type":"ticket.opened","ticket":1,"number":"2963236026","contact":7}"#,
        );
        check(
            Event::TicketAttached {
                ticket: TicketId(1),
                number: TicketNumber::mint(&[1; 32], TicketId(1)).unwrap(),
                contact,
            },
            r#"{"type":"ticket.attached","ticket":1,"number":"2963236026","contact":7}"#,
        );
        check(
            Event::TicketUpdated {
                ticket: TicketId(1),
                status: TicketStatus::Resolved,
                next_update: None,
                warn_at: None,
                by: None,
                change: None,
            },
            r#"{"type":"ticket.updated","ticket":1,"status":"resolved","next_update":null}"#,
        );
        let updated = |by, change| Event::TicketUpdated {
            ticket: TicketId(1),
            status: TicketStatus::Open,
            next_update: Some(90),
            warn_at: Some(80),
            by: Some(by),
            change: Some(change),
        };
        check(
            updated(
                Actor::Agent(agent),
                Updated::Assigned {
                    to: Some(AgentId(9)),
                    why: Some(Escalation::NoSkill),
                },
            ),
            r#"{"type":"ticket.updated","ticket":1,"status":"open","next_update":90,"warn_at":80,"by":{"agent":2},"change":{"kind":"assigned","to":9,"why":"no_skill"}}"#,
        );
        check(
            updated(
                Actor::Administrator,
                Updated::Pended {
                    why: Pause::Vendor,
                    until: 50,
                    left: Some(Left {
                        due_ms: 40,
                        warn_ms: 30,
                    }),
                },
            ),
            r#"{"type":"ticket.updated","ticket":1,"status":"open","next_update":90,"warn_at":80,"by":"administrator","change":{"kind":"pended","why":"vendor","until":50,"left":{"due_ms":40,"warn_ms":30}}}"#,
        );
        check(
            updated(
                Actor::System,
                Updated::Categorised {
                    reason: ReasonCode::new("password"),
                    priority: Priority::P4,
                    team: None,
                },
            ),
            r#"{"type":"ticket.updated","ticket":1,"status":"open","next_update":90,"warn_at":80,"by":"system","change":{"kind":"categorised","reason":"password","priority":"p4","team":null}}"#,
        );
        check(
            Event::TicketEscalated {
                ticket: TicketId(1),
                why: TicketEscalation::UpdateMissed,
                from: Tier(1),
                to: Tier(2),
                team: Some(QueueId(4)),
                unwarned: Some(Unwarned::Down),
                clock: Clock { due: 90, warn: 80 },
                by: Actor::System,
            },
            r#"{"type":"ticket.escalated","ticket":1,"why":"update_missed","from":1,"to":2,"team":4,"unwarned":"down","next_update":90,"warn_at":80,"by":"system"}"#,
        );
        check(
            Event::TicketResolved {
                ticket: TicketId(1),
                first_contact: true,
                by: Actor::Agent(agent),
            },
            r#"{"type":"ticket.resolved","ticket":1,"first_contact":true,"by":{"agent":2}}"#,
        );
        check(
            Event::TicketReopened {
                ticket: TicketId(1),
                again: Some(contact),
                clock: Clock { due: 90, warn: 80 },
                by: Actor::Caller,
            },
            r#"{"type":"ticket.reopened","ticket":1,"again":7,"next_update":90,"warn_at":80,"by":"caller"}"#,
        );
        check(
            Event::TicketClosed {
                ticket: TicketId(1),
                by: Actor::System,
            },
            r#"{"type":"ticket.closed","ticket":1,"by":"system"}"#,
        );
        check(
            Event::TicketMerged {
                ticket: TicketId(1),
                into: TicketId(2),
                by: Actor::Agent(agent),
            },
            r#"{"type":"ticket.merged","ticket":1,"into":2,"by":{"agent":2}}"#,
        );
        check(
            Event::TicketNoted {
                ticket: TicketId(1),
                note: NoteId(5),
                by: Actor::Agent(agent),
            },
            r#"{"type":"ticket.noted","ticket":1,"note":5,"by":{"agent":2}}"#,
        );
        check(
            Event::FlowRolledBack {
                flow: FlowName::new("staff").unwrap(),
                version: 4,
                to: 2,
            },
            r#"{"type":"flow.rolled_back","flow":"staff","version":4,"to":2}"#,
        );
        let (hours, until) = (FlowName::new("desk"), 9);
        check(
            Event::HoursClosed { hours, until },
            r#"{"type":"hours.closed","hours":"desk","until":9}"#,
        );
        check(
            Event::HoursOpened { hours, until },
            r#"{"type":"hours.opened","hours":"desk","until":9}"#,
        );
        check(
            Event::HoursReopened { hours: None },
            r#"{"type":"hours.reopened","hours":null}"#,
        );
        check(
            Event::FlowPublished {
                flow: FlowName::new("staff-2").unwrap(),
                version: 3,
            },
            r#"{"type":"flow.published","flow":"staff-2","version":3}"#,
        );
        check(
            Event::EmergencyBegun {
                call: contact,
                number: 911,
                agent: None,
            },
            r#"{"type":"emergency.begun","call":7,"number":911,"agent":null}"#,
        );
        check(
            Event::EmergencyCalledBack {
                call: contact,
                agent: Some(AgentId(2)),
            },
            r#"{"type":"emergency.called_back","call":7,"agent":2}"#,
        );
        check(
            Event::EmergencyConnected { call: contact },
            r#"{"type":"emergency.connected","call":7}"#,
        );
        check(
            Event::EmergencyUnplaced { call: contact },
            r#"{"type":"emergency.unplaced","call":7}"#,
        );
        check(
            Event::EmergencyEnded {
                call: contact,
                by: EmergencyEnd::Service,
            },
            r#"{"type":"emergency.ended","call":7,"by":"service"}"#,
        );
        let (promise, attempt) = (PromiseId(4), AttemptId(9));
        check(
            Event::PromiseCreated {
                promise,
                contact,
                kind: PromiseKind::Owned { owner: agent },
                queue: QueueId(5),
                class: Role::Clinician,
                since: 10,
                window: Span { from: 20, to: 30 },
                first: First::Customer,
                ticket: Some(TicketId(1)),
                person: None,
            },
            r#"{"type":"promise.created","promise":4,"contact":7,"kind":"owned","owner":2,"queue":5,"class":"clinician","since":10,"window":{"from":20,"to":30},"first":"customer","ticket":1,"person":null}"#,
        );
        check(
            Event::PromiseDue { promise },
            r#"{"type":"promise.due","promise":4}"#,
        );
        check(
            Event::PromiseAttempted {
                promise,
                attempt,
                contact,
            },
            r#"{"type":"promise.attempted","promise":4,"attempt":9,"contact":7}"#,
        );
        check(
            Event::PromiseReached { promise, attempt },
            r#"{"type":"promise.reached","promise":4,"attempt":9}"#,
        );
        check(
            Event::PromiseMissed {
                promise,
                attempt,
                why: Missed::NoKey,
            },
            r#"{"type":"promise.missed","promise":4,"attempt":9,"why":"no_key"}"#,
        );
        check(
            Event::PromiseEscalated {
                promise,
                why: PromiseRisk::RunningOut,
            },
            r#"{"type":"promise.escalated","promise":4,"why":"running_out"}"#,
        );
        check(
            Event::PromiseMoved {
                promise,
                window: Span { from: 20, to: 30 },
            },
            r#"{"type":"promise.moved","promise":4,"window":{"from":20,"to":30}}"#,
        );
        check(
            Event::PromiseClosed {
                promise,
                proof: Proof::Attested { agent },
            },
            r#"{"type":"promise.closed","promise":4,"proof":"attested","agent":2}"#,
        );
        check(
            Event::PromiseClosed {
                promise,
                proof: Proof::Key { attempt },
            },
            r#"{"type":"promise.closed","promise":4,"proof":"key","attempt":9}"#,
        );
        check(
            Event::JournalGap {
                count: 12,
                from: 100,
                to: 250,
            },
            r#"{"type":"journal.gap","count":12,"from":100,"to":250}"#,
        );
    }

    #[test]
    fn foreign_text_is_an_error() {
        for json in [
            "",
            "{}",
            "[]",
            r#"{"type":"contact.vanished","contact":7}"#,
            r#"{"type":"contact.queued","contact":7}"#,
            r#"{"type":"ticket.opened","ticket":1,"number":"0000000000","contact":7}"#,
            r#"{"type":"ticket.updated","ticket":1,"status":"open","next_update":1,"change":{"kind":"categorised","reason":"Mrs Bell","priority":"p1","team":null}}"#,
            r#"{"type":"flow.published","flow":"","version":1}"#,
            r#"{"type":"flow.published","flow":"Mrs Bell","version":1}"#,
        ] {
            assert!(matches!(
                Event::decode(1, json.as_bytes()),
                Err(DecodeError::Json(_))
            ));
        }
        assert!(matches!(
            Event::decode(2, b"{}"),
            Err(DecodeError::Newer(2))
        ));
    }
}
