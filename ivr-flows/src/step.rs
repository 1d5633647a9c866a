//! The words a session and its driver exchange.

use std::fmt;
use std::sync::Arc;

use crate::{Fields, Language};

/// Who somebody is, as far as routing is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A doctor or nurse.
    Clinician,
    /// Other hospital staff.
    Staff,
    /// A patient, parent or proxy.
    Patient,
    /// A place: a theatre, a ward, an intensive-care unit. Identifies no person.
    Place,
    /// Withheld, shared or not on file. Normal, never an error.
    Unknown,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [
        Role::Clinician,
        Role::Staff,
        Role::Patient,
        Role::Place,
        Role::Unknown,
    ];

    /// The word used in flows and in expressions (`caller.role`).
    pub const fn word(self) -> &'static str {
        match self {
            Role::Clinician => "clinician",
            Role::Staff => "staff",
            Role::Patient => "patient",
            Role::Place => "place",
            Role::Unknown => "unknown",
        }
    }

    /// The role of that word.
    pub fn from_word(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.word() == word)
    }

    /// Whether a name may be spoken before verification. A patient's never.
    pub const fn may_be_named(self) -> bool {
        matches!(self, Role::Clinician | Role::Staff | Role::Place)
    }
}

/// How urgently a caller waits in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Patient care is stopped at this moment: nothing overtakes it.
    CareStopped,
    /// A clinician, or a place where clinicians work.
    Clinician,
    /// Hospital staff.
    Staff,
    /// A patient, and whoever said nothing.
    Patient,
}

impl Class {
    /// The class a role waits in when the flow names none.
    pub const fn of(role: Role) -> Class {
        match role {
            Role::Clinician | Role::Place => Class::Clinician,
            Role::Staff => Class::Staff,
            Role::Patient | Role::Unknown => Class::Patient,
        }
    }
}

/// What is known of a call before the flow starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The number dialled, as configured (digits, perhaps with a leading `+`).
    pub dnis: Arc<str>,
    /// Whether the calling number was withheld.
    pub ani_withheld: bool,
    /// The hospital's short key, for expressions (`hospital == "st-marys"`).
    pub hospital: Arc<str>,
    /// The hospital's name as it is spoken.
    pub hospital_name: Arc<str>,
    /// The languages there is a voice for. Others are neither offered nor spoken.
    pub languages: Arc<[Language]>,
}

/// What the directory says of the caller.
#[derive(Clone, PartialEq, Eq)]
pub struct CallerFacts {
    /// Who they are by their number.
    pub role: Role,
    /// Whether the number matched one profile or place.
    pub known: bool,
    /// What they speak, if the directory says so.
    pub language: Option<Language>,
    /// Whether they are to be spoken to slowly.
    pub slow: bool,
    /// Whether they call through a relay service or a TTY.
    pub relay: bool,
    /// How they are addressed ("Dr Okafor"). The session speaks it only to
    /// roles that [may be named](Role::may_be_named), whatever is given here.
    pub spoken_name: Option<Arc<str>>,
}

impl CallerFacts {
    /// Of whom nothing is known.
    pub const UNKNOWN: CallerFacts = CallerFacts {
        role: Role::Unknown,
        known: false,
        language: None,
        slow: false,
        relay: false,
        spoken_name: None,
    };
}

/// Without the name: what is printed ends up in logs.
impl fmt::Debug for CallerFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerFacts")
            .field("role", &self.role)
            .field("known", &self.known)
            .field("named", &self.spoken_name.is_some())
            .finish()
    }
}

/// One prompt being played. Counts up within a session, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayId(pub u32);

/// A part of a prompt, and the language it is in. Parts are played one after
/// the other without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// One or more whole sentences (or, before ticket digits, the beginning of
    /// one), placeholders filled in. Exactly the strings that
    /// [`prompts`](crate::prompts) lists for rendering ahead.
    Text(Language, Arc<str>),
    /// A ticket number, digits only, spoken in pairs.
    TicketPairs(Language, Arc<str>),
}

/// What opening hours say of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HoursState {
    /// Open.
    Open,
    /// Closed, as on any such day.
    Closed,
    /// Closed on a day with hours of its own.
    Holiday,
    /// Closed on somebody's word, whatever the hours say.
    Emergency,
}

/// What happened. Anything late or unexpected is ignored, never an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A prompt was played to its end (not when it was stopped).
    PlayEnded {
        /// Which.
        play: PlayId,
    },
    /// A prompt was cut short, by a key or by whoever plays it.
    PlayCut {
        /// Which.
        play: PlayId,
    },
    /// A prompt could not be rendered in time and was not heard.
    ClipUnavailable {
        /// Which.
        play: PlayId,
    },
    /// The caller pressed a key: `0`–`9`, `*`, `#`, `A`–`D`.
    Digit(char),
    /// The answer to [`Step::AskHours`].
    Hours(HoursState),
    /// The directory's answer to [`Step::Identify`].
    Identified(CallerFacts),
    /// The directory has no answer. As good as an unknown caller.
    IdentifyFailed,
    /// The answer to [`Step::OpenTicket`]: the number, digits only, already
    /// durable. Also taken when it comes late.
    Ticket(Arc<str>),
    /// No ticket could be made durable.
    TicketFailed,
    /// The answer to [`Step::FindTicket`]: it is this caller's.
    TicketFound(FoundTicket),
    /// The answer to [`Step::FindTicket`]: it isn't, or there is none.
    TicketNotFound,
    /// The answer to [`Step::AskIncidents`].
    Incidents {
        /// The latest first; none concern this caller.
        news: Vec<IncidentNews>,
        /// Whether they can be called when it is over.
        calls_back: bool,
    },
    /// The answer to [`Step::Subscribe`].
    Subscribed(SubscribeOutcome),
    /// Where the caller stands in the queue.
    QueuePosition {
        /// 1: next to be served.
        position: u32,
        /// Whether anybody at all is signed in to serve this queue.
        signed_in: bool,
    },
    /// The queue doesn't take the caller (full, unknown, closed).
    QueueRefused,
    /// Somebody answered and is being connected. The session stops what it is
    /// playing and rests until [`Input::ConversationEnded`].
    QueueAnswered,
    /// What came of [`Step::Partner`] or [`Step::Transfer`]. When somebody answered,
    /// the caller is connected, and the session rests until
    /// [`Input::ConversationEnded`]; otherwise the call to them is over, and the
    /// caller is taken back.
    Partner(PartnerOutcome),
    /// What [`Step::CallAction`] was answered.
    ActionAnswered(Fields),
    /// It can't be called, or hasn't been answered in time, or not as it should.
    ActionFailed,
    /// The analyst or the partner hung up, the caller still being there.
    ConversationEnded,
    /// The other side broke down in mid-conversation: the caller hears so, and
    /// waits in the same queue again or is taken back from the partner.
    ConversationBroken,
    /// The caller hung up: nothing more will be asked for.
    CallerHungUp,
}

/// What came of a call to a partner, or to whom the caller is transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartnerOutcome {
    /// It answered and is being connected.
    Answered,
    /// It said that it is busy (486, 600).
    Busy,
    /// It can't be had: refused (503 and the like), no sign of life, no way there, not allowed.
    Failed,
    /// It rang, and nobody answered (408, 480).
    NoAnswer,
}

/// What a ticket node wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketAsk {
    /// A new ticket for this contact.
    Open,
    /// That the contact belongs to the ticket found last.
    Attach,
}

/// How a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TicketStatus {
    /// Nobody has taken it up yet.
    Open,
    /// Somebody has.
    InHand,
    /// Done.
    Resolved,
}

/// When a ticket's caller hears of it next, as it is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NextUpdate {
    /// It should have been.
    Overdue,
    /// Today.
    Today,
    /// Tomorrow.
    Tomorrow,
    /// On this day of the coming week, 0 for Monday; beyond 4 it is the weekend.
    On(u8),
    /// In seven days or more.
    Later,
}

impl NextUpdate {
    /// Its phrase among those for the next update, of which the first says that there is none.
    pub(crate) fn place(self) -> usize {
        match self {
            NextUpdate::Overdue => 1,
            NextUpdate::Today => 2,
            NextUpdate::Tomorrow => 3,
            NextUpdate::On(day) => 4 + usize::from(day.min(5)),
            NextUpdate::Later => 10,
        }
    }
}

/// A ticket that is the caller's own: its number and where they call from match (level 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTicket {
    /// Digits only.
    pub number: Arc<str>,
    /// How it stands.
    pub status: TicketStatus,
    /// When they hear of it next; `None`: nobody has said.
    pub update: Option<NextUpdate>,
}

/// What a caller hears of an incident that concerns them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentNews {
    /// In each language in which something was written.
    pub texts: Vec<IncidentWords>,
    /// It is a surge.
    pub surge: bool,
}

/// The same in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentWords {
    /// Which.
    pub language: Language,
    /// Whole sentences.
    pub text: Arc<str>,
    /// In few words, for clinicians.
    pub brief: Option<Arc<str>>,
}

/// What came of a caller's wish to be told when an incident is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscribeOutcome {
    /// They will be: that is durable.
    Noted,
    /// It is over already.
    Over,
    /// It couldn't be written, or there is no number to call.
    Failed,
}

/// Why the flow ends the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HangUpCause {
    /// The flow came to a hang-up node, after its goodbye.
    Finished,
    /// The conversation is over.
    ConversationOver,
    /// The session could not go on (a bug, caught). Nobody has been told.
    Broken,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Play this to the caller, in place of whatever plays.
    Play {
        /// Its id, named again when it has ended.
        play: PlayId,
        /// What to play.
        prompt: Vec<Piece>,
        /// Whether a key will stop it (the session says so by [`Step::StopPlay`]).
        barge_in: bool,
    },
    /// Stop this prompt; no [`Input::PlayEnded`] is expected for it.
    StopPlay {
        /// Which.
        play: PlayId,
    },
    /// Look up the caller. Answer within 500 ms, else the caller is unknown.
    Identify,
    /// Are these hours of the hospital now? Answered by [`Input::Hours`]; without an answer the
    /// flow takes it that they are, since a person is the safer guess.
    AskHours {
        /// As the hospital's file names them.
        calendar: Arc<str>,
    },
    /// Make a ticket. The flow waits for it as long as its node says.
    OpenTicket {
        /// What for.
        ask: TicketAsk,
        /// Who the caller is, as far as known by now (stated, else identified).
        role: Role,
    },
    /// Is this the number of a ticket of this caller's? Answered by
    /// [`Input::TicketFound`] or [`Input::TicketNotFound`] within 1.5 s.
    FindTicket {
        /// As keyed in.
        digits: Arc<str>,
    },
    /// Which incidents concern this caller? Answered by [`Input::Incidents`]
    /// within 500 ms, else none do. Those already told in this call aren't told again.
    AskIncidents {
        /// Only those about this, by the hospital's list of reasons.
        about: Option<Arc<str>>,
        /// What the caller is, or counts as.
        role: Role,
    },
    /// Which draft waits to be published, or what is said in a surge? Answered as
    /// [`Step::AskIncidents`]. Only who may publish one hears of it; to anybody
    /// else none waits.
    PreviewIncident {
        /// The latter.
        surge: bool,
    },
    /// Publish what was previewed last. Answered by [`Input::Subscribed`] within 2 s.
    PublishIncident,
    /// The caller hears what [`Input::Incidents`] said last.
    Informed,
    /// The caller wants to be told when it is over. Answered by [`Input::Subscribed`] within 2 s.
    Subscribe {
        /// Who calls back.
        queue: Arc<str>,
        /// How urgently.
        class: Class,
    },
    /// The caller said who they are, by a key.
    SetRole(Role),
    /// Put the caller in a queue.
    EnterQueue {
        /// The queue's name.
        queue: Arc<str>,
        /// How urgently.
        class: Class,
        /// Whether music plays between announcements.
        music: bool,
        /// The ticket found last has an owner or a team: rather they, and
        /// `queue` where there is neither.
        owner: bool,
    },
    /// Take the caller out of the queue entered last.
    LeaveQueue,
    /// Call this partner for the caller, and answer by [`Input::Partner`]. How
    /// long it may ring is the session's business ([`Step::LeavePartner`]);
    /// that it gives no sign of life at all is the driver's to notice.
    Partner {
        /// The partner's name, as the hospital's file has it.
        partner: Arc<str>,
        /// Whether music plays while it rings.
        music: bool,
    },
    /// Send the caller on, as far as the hospital's dial rules allow: to a
    /// telephone or queue inside, or to a number outside. Otherwise as
    /// [`Step::Partner`].
    Transfer {
        /// As it is dialled: a number, or the name of an account or a queue. It
        /// may be what the caller has keyed in.
        to: Arc<str>,
        /// Whether it may be a number outside.
        outside: bool,
        /// Whether music plays meanwhile.
        music: bool,
    },
    /// Give up calling the partner, or whom the caller is transferred to. No
    /// [`Input::Partner`] is expected any more.
    LeavePartner,
    /// Call an HTTP action of the hospital's, and answer by
    /// [`Input::ActionAnswered`] or [`Input::ActionFailed`] within its deadline,
    /// 15 s at most.
    CallAction(ActionCall),
    /// Say this in the queue, while the other side rings, or while an action is called: music
    /// pauses and resumes after it.
    Announce {
        /// Its id, named again when it has ended.
        play: PlayId,
        /// What to say.
        prompt: Vec<Piece>,
    },
    /// End the call.
    HangUp {
        /// Why.
        cause: HangUpCause,
    },
}

/// An HTTP action that a flow calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionCall {
    /// As the hospital's file names it.
    pub action: Arc<str>,
    /// The node that calls it.
    pub node: Arc<str>,
    /// Counts the actions that this session calls, from 1: with the node, it tells
    /// one call of an action from another and from its repetition.
    pub visit: u32,
    /// What is sent.
    pub with: Fields,
    /// The fields of the answer that are of use; the others needn't be kept.
    pub wanted: Vec<Arc<str>>,
    /// Whether music plays behind what is announced.
    pub music: bool,
}
