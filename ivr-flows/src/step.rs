//! The words a session and its driver exchange.

use std::fmt;
use std::sync::Arc;

use crate::{Factor, Fields, Language};

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
    /// An even count of a telephone number's digits, spoken in pairs.
    NumberPairs(Language, Number),
}

/// The digits of a telephone number, 3 to 15 of them. Personal data: no `Debug` text shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Number(Arc<str>);

impl Number {
    /// Fewest digits.
    pub const MIN: usize = 3;
    /// Most digits (ITU-T E.164).
    pub const MAX: usize = 15;

    /// `None` unless it is digits only, and as many as there may be.
    pub fn new(digits: &str) -> Option<Number> {
        let fine = (Number::MIN..=Number::MAX).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit());
        fine.then(|| Number(Arc::from(digits)))
    }

    /// Part of one, to be spoken.
    pub(crate) fn part(digits: &str) -> Number {
        Number(Arc::from(digits))
    }

    /// The digits.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({} digits)", self.0.len())
    }
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
#[derive(Clone, PartialEq, Eq)]
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
    /// The answer to [`Step::AskCallback`]; `None`: nothing can be promised.
    CallbackOffer(Option<CallbackOffer>),
    /// The answer to [`Step::CheckNumber`]: the number as it is read out; `None`: it can't be called.
    Number(Option<Number>),
    /// The answer to [`Step::Promise`]: it is on disk. Without one in 1.5 s the caller isn't told of any.
    Promised(Promised),
    /// Nothing could be promised durably.
    NotPromised,
    /// The answer to [`Step::Verify`]: ask for these, in this order.
    VerifyAsks(Vec<Factor>),
    /// The answer to [`Step::Verify`] or [`Step::Check`]: the caller has shown who they are, and
    /// that is durable.
    Verified {
        /// How sure that is, 1 to 3.
        level: u8,
        /// By what the hospital's own systems know them.
        key: Option<Arc<str>>,
    },
    /// The answer to [`Step::Check`]: something isn't right. Which, nobody says.
    NotVerified,
    /// The answer to either: they have tried too often, or (not `locked`) nothing can be compared
    /// or kept.
    CannotVerify {
        /// Too often.
        locked: bool,
    },
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

/// Without keys and names: what is printed ends up in logs.
impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Input::PlayEnded { play } => return write!(f, "PlayEnded({})", play.0),
            Input::PlayCut { play } => return write!(f, "PlayCut({})", play.0),
            Input::ClipUnavailable { play } => return write!(f, "ClipUnavailable({})", play.0),
            Input::Partner(outcome) => return write!(f, "Partner({outcome:?})"),
            Input::Hours(state) => return write!(f, "Hours({state:?})"),
            Input::Digit(_) => "Digit(…)",
            Input::Identified(_) => "Identified(…)",
            Input::IdentifyFailed => "IdentifyFailed",
            Input::Ticket(_) => "Ticket(…)",
            Input::TicketFailed => "TicketFailed",
            Input::TicketFound(_) => "TicketFound(…)",
            Input::TicketNotFound => "TicketNotFound",
            Input::VerifyAsks(_) => "VerifyAsks(…)",
            Input::Verified { .. } => "Verified(…)",
            Input::NotVerified => "NotVerified",
            Input::CannotVerify { .. } => "CannotVerify(…)",
            Input::QueuePosition { .. } => "QueuePosition(…)",
            Input::QueueRefused => "QueueRefused",
            Input::QueueAnswered => "QueueAnswered",
            Input::ActionAnswered(_) => "ActionAnswered(…)",
            Input::ActionFailed => "ActionFailed",
            Input::ConversationEnded => "ConversationEnded",
            Input::ConversationBroken => "ConversationBroken",
            Input::Incidents { .. } => "Incidents(…)",
            Input::Subscribed(_) => "Subscribed(…)",
            Input::CallbackOffer(_) => "CallbackOffer(…)",
            Input::Number(_) => "Number(…)",
            Input::Promised(_) => "Promised(…)",
            Input::NotPromised => "NotPromised",
            Input::CallerHungUp => "CallerHungUp",
        };
        f.write_str(name)
    }
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

/// What a caller may be promised ([`Step::AskCallback`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackOffer {
    /// The number they call from, as it is read out; `None`: it is withheld, or
    /// can't be called.
    pub number: Option<Number>,
    /// Whether they may be called now already, so that a place can be kept.
    pub place: bool,
    /// Hours to choose from, in order; the first three count.
    pub times: Vec<CallbackTime>,
}

/// An hour of the coming days, where the hospital is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallbackTime {
    /// The day.
    pub day: CallbackDay,
    /// The hour it begins with, 0 to 23.
    pub hour: u8,
}

/// A day on which somebody is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackDay {
    /// Today.
    Today,
    /// Tomorrow.
    Tomorrow,
    /// On this day of the coming week, 0 for Monday.
    On(u8),
}

impl CallbackDay {
    /// Its phrase among those for the days.
    pub(crate) fn place(self) -> usize {
        match self {
            CallbackDay::Today => 0,
            CallbackDay::Tomorrow => 1,
            CallbackDay::On(day) => 2 + usize::from(day.min(6)),
        }
    }
}

/// What a caller wants to be promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackAsk {
    /// Who serves it: a queue's name.
    pub queue: Arc<str>,
    /// How urgently.
    pub class: Class,
    /// Keyed in, as [`Input::Number`] gave it; `None`: the number they call from.
    pub number: Option<Number>,
    /// Which of the hours that were offered; `None`: when it is their turn.
    pub time: Option<usize>,
}

/// What a caller was promised, on disk already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promised {
    /// To be called when it is their turn.
    Turn,
    /// To be called in this hour.
    At(CallbackTime),
    /// To be called; when, a person decides.
    ByPerson,
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
    /// What is the caller to be asked for to show who they are? Answered by
    /// [`Input::VerifyAsks`], or, where it is known or can't be shown, as
    /// [`Step::Check`], within 1.5 s.
    Verify {
        /// How sure it is to be: 1 or 2.
        level: u8,
    },
    /// Take what was keyed in ([`Session::take_answers`](crate::Session::take_answers)) and have
    /// it compared. Answered by [`Input::Verified`], [`Input::NotVerified`] or
    /// [`Input::CannotVerify`] within 4 s.
    Check,
    /// What the caller called about is settled: their ticket is done. Nothing is answered.
    ResolveTicket,
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
    /// What may this caller be promised? Answered by [`Input::CallbackOffer`] within 1.5 s.
    AskCallback {
        /// Whether hours are of use, or only a place kept.
        times: bool,
    },
    /// May this number be called? Answered by [`Input::Number`] at once.
    CheckNumber(Number),
    /// Promise a callback. Answered by [`Input::Promised`] or [`Input::NotPromised`].
    Promise(CallbackAsk),
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
