//! Where a ticket is in its life, and the words for it. All of them stand in
//! events: their names never change their meaning.

use serde::{Deserialize, Serialize};

use crate::event::FlowName;
use crate::message::{AgentId, Escalation, TicketId};

/// Where a ticket is in its life.
///
/// ```text
/// open ─ assigned ─ in progress ─┬─ resolved ─ closed
///   └───────┴─ pending ─┴────────┤      └─ reopened: open, or assigned where somebody had it
///                                └─ merged into another
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "snake_case")]
pub enum Stage {
    /// Nobody has taken it on.
    #[default]
    Open,
    /// Somebody has it, and hasn't begun.
    Assigned,
    /// Its owner works on it.
    InProgress,
    /// It waits for something that isn't ours to do.
    Pending {
        /// What for.
        why: Pause,
        /// When the pause ends by itself, Unix milliseconds.
        until: i64,
        /// What is left of its clock, which stands; `None`: the clock runs on.
        left: Option<Left>,
    },
    /// Done, unless its caller comes again.
    Resolved(Resolution),
    /// Done for good.
    Closed(Resolution),
    /// It is the same as another, which is worked on in its place.
    Merged {
        /// Which.
        into: TicketId,
    },
}

/// When a ticket was resolved, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// When, Unix milliseconds.
    pub at: i64,
    /// By one contact, and never reopened; provisional for seven days.
    pub first_contact: bool,
}

impl Stage {
    /// Is there something left to do? Then it has a clock.
    pub fn is_open(&self) -> bool {
        matches!(
            self,
            Self::Open | Self::Assigned | Self::InProgress | Self::Pending { .. }
        )
    }
}

/// What a pending ticket waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// The caller has to tell or try something.
    Caller,
    /// A vendor works on it.
    Vendor,
    /// A change that is planned will solve it.
    Change,
    /// Something is on its way: a part, a device.
    Delivery,
}

impl Pause {
    /// All of them, in the order of [`crate::TicketRules::pauses`].
    pub const ALL: [Self; 4] = [Self::Caller, Self::Vendor, Self::Change, Self::Delivery];
}

/// What is left of a clock that stands: milliseconds of the desk's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Until its caller is to hear of it.
    pub due_ms: i64,
    /// Until it goes up a tier.
    pub warn_ms: i64,
}

/// When a ticket's caller hears of it next, and when it goes up a tier so that
/// they do. Unix milliseconds; computed in the desk's hours when it was set, so
/// that reading a log needs no calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The caller hears of it then at the latest.
    #[serde(rename = "next_update")]
    pub due: i64,
    /// Before that: there is still time for somebody else.
    #[serde(rename = "warn_at")]
    pub warn: i64,
}

/// How much hangs on it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Patient care is stopped or in danger.
    P1,
    /// Many can't work, or one can't treat.
    P2,
    /// One can't work as usual.
    #[default]
    P3,
    /// A question or a wish.
    P4,
}

impl Priority {
    /// All of them, in the order of [`crate::TicketRules::targets`].
    pub const ALL: [Self; 4] = [Self::P1, Self::P2, Self::P3, Self::P4];
}

/// A level of the service desk: 1 takes the calls, the highest has nobody above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tier(pub u8);

impl Default for Tier {
    fn default() -> Self {
        Self(1)
    }
}

/// What a ticket is about: a code of the hospital's list, written like a flow's
/// name. The words for it are configured ([`crate::TicketRules::reasons`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReasonCode(FlowName);

impl ReasonCode {
    /// `None` for what is no code: small letters, digits, `-` and `_`, at most 48.
    pub fn new(code: &str) -> Option<Self> {
        FlowName::new(code).map(Self)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Who did something to a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// An analyst.
    Agent(AgentId),
    /// Whoever administers this installation.
    Administrator,
    /// The caller, by calling again.
    Caller,
    /// Careline: a time has come, or a flow has settled it.
    System,
}

/// Why a ticket goes up a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketEscalation {
    /// What it takes isn't permitted to whoever has it.
    NotPermitted,
    /// They lack the skill.
    NoSkill,
    /// There is no article about it.
    NoArticle,
    /// Its caller is to hear of it soon, and nobody has seen to it.
    UpdateNear,
    /// Its caller was to hear of it by now.
    UpdateMissed,
}

impl From<Escalation> for TicketEscalation {
    fn from(why: Escalation) -> Self {
        match why {
            Escalation::NotPermitted => Self::NotPermitted,
            Escalation::NoSkill => Self::NoSkill,
            Escalation::NoArticle => Self::NoArticle,
        }
    }
}

/// Why a ticket whose next update was missed didn't go up a tier before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unwarned {
    /// Careline didn't run then.
    Down,
    /// It couldn't be written in time, or there was none between the two.
    Late,
}

/// What somebody did to an open ticket that stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Updated {
    /// Handed over, or taken.
    Assigned {
        /// To whom; `None`: back to its team.
        to: Option<AgentId>,
        /// Why, if they said so.
        why: Option<Escalation>,
    },
    /// Its owner works on it.
    Begun {
        /// Whose it is from now on.
        owner: Option<AgentId>,
    },
    /// How much hangs on it was said.
    Prioritised {
        /// How much.
        priority: Priority,
    },
    /// What it is about was said.
    Categorised {
        /// What; `None`: it isn't known after all.
        reason: Option<ReasonCode>,
        /// How much hangs on it from now on.
        priority: Priority,
        /// The team that has it from now on, if the reason names one that is there.
        team: Option<crate::QueueId>,
    },
    /// Its caller was told something, and when they hear again.
    Promised,
    /// It waits.
    Pended {
        /// What for.
        why: Pause,
        /// When that ends by itself, Unix milliseconds.
        until: i64,
        /// What is left of its clock, which stands; `None`: the clock runs on.
        left: Option<Left>,
    },
    /// It waits no longer.
    Resumed,
    /// It had no clock: written before there were any.
    Scheduled,
}
