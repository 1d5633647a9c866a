//! The messages between the calls (`switch`) and the desk, and between the
//! desk and the store.
//!
//! Messages may be late, doubled or lost. A command carries its own id and is
//! repeated by its sender until it is answered; the desk answers a repetition
//! with what it answered the first time.
//!
//! A sender counts its command ids up, and sends a contact's next
//! [`What::Journey`] only when the one before is answered (which happens at
//! once): the log tells a journey in the order in which it is reported. A
//! report that comes after a younger one of its contact is answered, counted,
//! and not written, since it would tell a journey that never was.

use serde::{Deserialize, Serialize};

use crate::event::{Event, FlowName};
use crate::incidents::{IncidentRows, News};
use crate::people::{Level, Traits};
use crate::promises::{CallbackStep, PromiseAsk, PromiseNumber, Span};
use crate::ticket::TicketNumber;
use crate::tickets::{ReasonCode, TicketNote, TicketStatus};
use crate::verification::VerifyReply;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub $inner);
    };
}

id!(/// A hospital.
    TenantId(u32));
id!(/// A person's journey; outlives every call leg of it. Unique across tenants and restarts.
    ContactId(u64));
id!(/// Somebody in a hospital's directory, or a place (a location line). Unique within the tenant.
    PersonId(u32));
id!(/// An analyst.
    AgentId(u32));
id!(/// A queue.
    QueueId(u32));
id!(/// A partner who takes calls over, e.g. after hours.
    PartnerId(u32));
id!(/// A reservation of one agent for one contact, minted by the distributor, never reused.
    OfferId(u64));
id!(/// A ticket, counted per tenant from 1. Never spoken: see [`TicketNumber`].
    TicketId(u64));
id!(/// A promise, counted per tenant from 1.
    PromiseId(u64));
id!(/// An incident, counted per tenant from 1.
    IncidentId(u64));
id!(/// An attempt to keep a promise, unique within the tenant.
    AttemptId(u64));
id!(/// A command of the calls: counted up by its sender, unique across restarts (the sender puts its start into the upper half).
    CommandId(u64));
id!(/// One write to the store.
    CommitId(u64));

/// A calling or called number as the trunk gave it, digits with an optional
/// leading `+`. Personal data: no `Debug` text of it ever shows the digits.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PhoneNumber(pub String);

impl std::fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PhoneNumber(…)")
    }
}

/// What somebody is to the hospital.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Doctors, nurses, pharmacists: people who treat patients.
    Clinician,
    /// Everybody else who works there.
    Staff,
    /// A patient, parent or proxy.
    Patient,
}

/// Who is calling, as far as a calling number can tell (level 0: a routing hint, never proof).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Caller {
    /// The number is withheld, unknown or belongs to several people. Normal, never an error.
    Unknown,
    /// A clinician or member of staff: greeted by name. Or whoever has shown who they are.
    Person {
        /// Who.
        person: PersonId,
        /// What they are.
        role: Role,
        /// How they are greeted, e.g. "Doctor Okafor"; `None`: not before they are verified.
        spoken_name: Option<String>,
        /// How they are shown to an analyst, marked unproven; `None`: only to who is cleared for it.
        display_name: Option<String>,
        /// How they are to be spoken to, and what an analyst should know.
        traits: Traits,
    },
    /// A location line (theatre, ICU, ED): identifies a place, not a person. No key is ever needed.
    Place {
        /// Which.
        place: PersonId,
        /// How it is spoken and shown, e.g. "Theatre 2".
        name: String,
    },
    /// A patient's number: a possible match, never named before verification.
    PossiblePatient {
        /// Who it might be.
        person: PersonId,
        /// How they are to be spoken to.
        traits: Traits,
    },
}

/// From the calls to the desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// For telling repetitions apart and matching answers.
    pub id: CommandId,
    /// The hospital.
    pub tenant: TenantId,
    /// The journey it is about.
    pub contact: ContactId,
    /// Wall clock, Unix milliseconds.
    pub at: i64,
    /// What.
    pub what: What,
}

/// What a command asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A call came in. Answered with [`Reply::Started`] (at once, not after the commit).
    Start {
        /// The number dialled.
        dnis: PhoneNumber,
        /// The number calling; `None` when withheld.
        ani: Option<PhoneNumber>,
        /// The flow that answers, and its version, where it is known.
        flow: Option<(FlowName, u32)>,
    },
    /// Who is calling? Answered with [`Reply::Caller`].
    Identify {
        /// The number calling.
        ani: Option<PhoneNumber>,
    },
    /// The caller said what they are, or an analyst put it right.
    SetRole(Role),
    /// Open a ticket for this contact. Answered with [`Reply::Ticket`] once it
    /// is durable, or with [`Reply::Failed`]. One ticket per contact: a second
    /// command is answered with the first one's number.
    OpenTicket,
    /// Is there a ticket of this number at this hospital, opened for a call
    /// from this calling number? Answered with [`Reply::TicketFound`], or with
    /// [`Reply::TicketNotFound`], which doesn't tell why. After three of those
    /// a contact hears nothing else.
    FindTicket {
        /// `None` when what was keyed in can't be one.
        number: Option<TicketNumber>,
        /// The number calling.
        ani: Option<PhoneNumber>,
    },
    /// This contact belongs to the ticket it has found last. Answered like
    /// [`What::OpenTicket`], whose place it takes.
    AttachTicket,
    /// What the caller called about is settled: the contact's ticket is done. Answered with
    /// [`Reply::Noted`] at once; without a ticket on disk nothing is done.
    ResolveTicket,
    /// The caller is to show who they are, to this level. Answered with
    /// [`Reply::Verify`]. What they then key in is compared elsewhere
    /// ([`crate::Checked`]).
    Verify {
        /// 1 or 2.
        level: Level,
    },
    /// When could somebody be called who wants to be? Answered with
    /// [`Reply::Windows`].
    PromiseWindows {
        /// From when until when.
        within: Span,
        /// The shortest that is of use, milliseconds.
        least_ms: i64,
        /// How many.
        count: u8,
    },
    /// Promise a callback. Answered with [`Reply::Promised`] once it is durable,
    /// or with [`Reply::Failed`]. One for a contact: a second command is
    /// answered with the first one's.
    Promise(PromiseAsk),
    /// About a callback that the desk asked for ([`crate::Callback`]).
    Callback(CallbackStep),
    /// Which incidents concern this caller? Answered with [`Reply::Incidents`]:
    /// those they haven't heard of in this contact.
    Incidents {
        /// What the flow takes them for, if for anything.
        role: Option<Role>,
        /// What they call about, where that alone is asked for.
        about: Option<ReasonCode>,
        /// They call from a telephone that registers here.
        ours: bool,
    },
    /// The latest draft, for a supervisor, or what is said in a surge. Answered with [`Reply::Incidents`].
    Preview {
        /// The latter.
        surge: bool,
    },
    /// What was previewed last is to be heard from now on; a surge begins. Answered with
    /// [`Reply::Subscribed`] once that is durable, with [`Reply::IncidentOver`],
    /// or with [`Reply::Failed`].
    Publish {
        /// By whose word. That they may is the calls' to know.
        by: AgentId,
    },
    /// The caller hears what [`Reply::Incidents`] told last.
    Informed,
    /// The caller wants to be told when what they heard of last is over.
    /// Answered with [`Reply::Subscribed`] once that is durable, with
    /// [`Reply::IncidentOver`], or with [`Reply::Failed`].
    Subscribe {
        /// Who serves that call.
        queue: QueueId,
        /// How urgently.
        class: Role,
        /// Where they are called.
        number: PhoneNumber,
    },
    /// Something happened on the way. Not answered with more than [`Reply::Noted`].
    Journey(Journey),
    /// A call to an emergency service. It is nobody's journey: the command's
    /// contact tells such calls apart and names nobody. Answered with
    /// [`Reply::Noted`].
    Emergency(Emergency),
}

/// What happens to a call to an emergency service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Emergency {
    /// Somebody dialled.
    Begun {
        /// Which number, its digits as a decimal.
        number: u32,
        /// Whose telephone it is, if it is an agent's.
        agent: Option<AgentId>,
    },
    /// The service calls back the telephone that has called it.
    CalledBack {
        /// Whose telephone it is, if it is an agent's.
        agent: Option<AgentId>,
    },
    /// The service answered, or, called back, the telephone.
    Connected,
    /// No way outside took it. It is tried on.
    Unplaced,
    /// Over.
    Ended {
        /// By whose doing.
        by: EmergencyEnd,
    },
}

/// Who ended a call to an emergency service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmergencyEnd {
    /// The caller hung up, or their telephone is gone.
    Caller,
    /// The service hung up.
    Service,
    /// We did: a stop, a bug, audio that couldn't be agreed on.
    Us,
}

/// What happens to a contact on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Journey {
    /// Entered a queue.
    Queued {
        /// Which.
        queue: QueueId,
    },
    /// An agent's phone rings for it.
    Offered {
        /// Whose.
        agent: AgentId,
    },
    /// Talks with an agent.
    Connected {
        /// With whom.
        agent: AgentId,
    },
    /// A partner is being called for it.
    PartnerCalled {
        /// Which.
        partner: PartnerId,
    },
    /// Talks with the partner.
    Transferred {
        /// Which.
        partner: PartnerId,
    },
    /// The agent it talks with hands it over: to a colleague, a queue, or a number outside. What becomes of it is told by
    /// itself.
    Escalated {
        /// Who.
        by: AgentId,
        /// Why, if they said so.
        why: Option<Escalation>,
    },
    /// The agent has a third one in: all three hear each other.
    Conferred {
        /// Who has.
        by: AgentId,
        /// Whom: a colleague, or somebody outside.
        with: Option<AgentId>,
    },
    /// The partner couldn't take it: it is back with us.
    TakenBack {
        /// From which.
        partner: PartnerId,
        /// Why.
        why: TakenBack,
    },
    /// Left the queue without an answer.
    Abandoned,
    /// Left the queue by the flow (overflow, exit key, nobody signed in).
    FlowOut,
    /// The journey is over. The last of a contact's events.
    Ended {
        /// How.
        cause: EndCause,
    },
}

impl PartnerId {
    /// No partner's, but a number outside to which an agent sent the caller
    /// on. Which one isn't written.
    pub const OUTSIDE: Self = Self(0);
}

impl ContactId {
    /// Ids below are people's journeys. Above are calls that belong to
    /// somebody else's, as when an agent asks a colleague: they are no contact
    /// of the log's, and nothing about them is written.
    pub const JOURNEYS_END: u64 = 1 << 53;

    /// Is this somebody's journey?
    pub fn is_journey(self) -> bool {
        self.0 < Self::JOURNEYS_END
    }
}

/// Why an agent hands a contact over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Escalation {
    /// What it takes isn't permitted to them.
    NotPermitted,
    /// They lack the skill.
    NoSkill,
    /// There is no article about it.
    NoArticle,
}

impl Escalation {
    /// As agents key it: 1, 2, 3.
    pub fn keyed(key: char) -> Option<Self> {
        match key {
            '1' => Some(Self::NotPermitted),
            '2' => Some(Self::NoSkill),
            '3' => Some(Self::NoArticle),
            _ => None,
        }
    }
}

/// Why a contact came back from a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakenBack {
    /// Busy.
    Busy,
    /// Rang, and nobody answered.
    NoAnswer,
    /// Couldn't be reached, refused, or showed no sign of life.
    Failed,
    /// Our trunk to them carries as many calls as it may.
    TrunkFull,
    /// The conversation with them broke down.
    Broken,
}

/// How a contact ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// The caller hung up.
    CallerHungUp,
    /// The agent hung up.
    AgentHungUp,
    /// The flow came to its end.
    FlowEnded,
    /// Our failure: a crash, a lost connection to the media, a bug in one call.
    SystemFailure,
    /// Encryption is required for this call, and the caller's phone can't or won't.
    NotEncrypted,
    /// Careline was told to stop, and didn't wait for the call's end.
    Stopped,
}

/// From the desk to the calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// To which command.
    pub id: CommandId,
    /// About whom.
    pub contact: ContactId,
    /// What.
    pub reply: Reply,
}

/// The desk's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The journey is known.
    Started,
    /// Who is calling.
    Caller(Caller),
    /// The ticket is on disk and may be spoken.
    Ticket {
        /// What the caller is told.
        number: TicketNumber,
    },
    /// There is such a ticket, and it is this caller's (level 1).
    TicketFound(FoundTicket),
    /// There is none, or it isn't this caller's.
    TicketNotFound,
    /// Of somebody who is to show who they are.
    Verify(VerifyReply),
    /// When somebody may be called, in order; perhaps never.
    Windows(Vec<Span>),
    /// The promise is on disk and may be spoken.
    Promised {
        /// Which.
        promise: PromiseId,
        /// When they will be called; `None`: a person sees to it.
        window: Option<Span>,
    },
    /// The attempt is on disk: the customer may be called.
    Dial {
        /// There.
        number: PhoneNumber,
    },
    /// What the caller is to hear, the latest first. Perhaps nothing.
    Incidents(Vec<News>),
    /// They will be told, or what they published is heard: that is on disk, and may be said.
    Subscribed,
    /// It is over already.
    IncidentOver,
    /// Nobody is to be called in this contact: it is to end.
    CallbackOff,
    /// It could not be made durable: the call goes on without it.
    Failed,
    /// Known.
    Noted,
}

/// A ticket that a caller asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundTicket {
    /// What the caller keyed in.
    pub number: TicketNumber,
    /// How it stands.
    pub status: TicketStatus,
    /// When its caller hears of it next, Unix milliseconds.
    pub next_update: Option<i64>,
    /// Who had it last.
    pub owner: Option<AgentId>,
    /// The team that had it last.
    pub queue: Option<QueueId>,
}

/// From the desk to the store: write these, atomically, in this order.
///
/// The sequence number of each event is given inside the writing transaction
/// under the tenant's counter row; the desk doesn't know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Echoed in the answer.
    pub id: CommitId,
    /// Whose log.
    pub tenant: TenantId,
    /// What happened.
    pub events: Vec<Stamped>,
    /// Personal data the events refer to, kept in erasable rows.
    pub personal: Vec<Personal>,
    /// Notes the events refer to, kept in erasable rows.
    pub notes: Vec<TicketNote>,
    /// Whom the promises among the events are to be kept to, in erasable rows too.
    pub numbers: Vec<PromiseNumber>,
    /// What the incidents among the events refer to, in erasable rows too.
    pub incidents: IncidentRows,
}

/// An event with its wall-clock time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// Unix milliseconds.
    pub at: i64,
    /// What happened.
    pub event: Event,
}

/// Personal data of a contact, in a row of its own that can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personal {
    /// Whose.
    pub contact: ContactId,
    /// The number dialled.
    pub dnis: PhoneNumber,
    /// The number calling.
    pub ani: Option<PhoneNumber>,
}
