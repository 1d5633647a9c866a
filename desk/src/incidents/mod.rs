//! Incidents: what is out of order at a hospital, and who hears of it.
//!
//! Somebody drafts one (a person, monitoring, or four similar calls), somebody
//! publishes it, and from then on the callers it concerns hear its text before
//! the menu. It ends by somebody's word or by itself. Whoever asked to be told
//! when it is over is owed a call from then on ([`crate::promises`]).
//!
//! ```text
//! Draft ── published ──► Published ── closed, or its time is over ──► Closed
//!   └────────── withdrawn, or its time is over ─────────────────────────┘
//! ```
//!
//! | file | what |
//! |---|---|
//! | `scope.rs` | whom one concerns |
//! | `text.rs` | what is said of it |
//! | `command.rs` | what somebody asks, and the answers |
//! | `facts.rs` | one incident, as a fold over its events |
//! | `board.rs` | all of one hospital's that are live: what a command makes of them, who hears which |
//! | `similar.rs` | calls about the same, which propose one |

mod board;
mod command;
mod facts;
mod scope;
mod similar;
#[cfg(test)]
mod tests;
mod text;

use serde::{Deserialize, Serialize};

use crate::message::{
    AgentId, ContactId, IncidentId, PersonId, PhoneNumber, QueueId, Role, TicketId,
};

pub(crate) use board::{Board, Decided, owed_event};
pub use command::*;
pub use facts::*;
pub use scope::*;
pub use text::*;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Who drafted, published or closed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentBy {
    /// Somebody of the desk, by a key of their telephone.
    Agent(AgentId),
    /// Whoever administers this installation.
    Administrator,
    /// A program, by this token of the API.
    Token(u32),
    /// Monitoring: an alert that is one of the hospital's list.
    Alert,
    /// Several calls about the same.
    Calls,
    /// Careline, because a time has come.
    System,
}

/// What a hospital has agreed about its incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRules {
    /// Whose drafts are published at once where they ask for it. Default: nobody's.
    pub at_once: Vec<IncidentBy>,
    /// So many calls about the same propose one; 0: none are proposed. Default 4.
    pub similar_calls: usize,
    /// Within this time, milliseconds. Default 10 minutes.
    pub similar_ms: i64,
    /// How long one lasts that calls proposed, milliseconds. Default 4 hours.
    pub similar_lasts_ms: i64,
    /// The longest that one may be announced without anybody saying so again, milliseconds. Default a week.
    pub lasts_max_ms: i64,
    /// What is said in a surge.
    pub surge_texts: Vec<IncidentText>,
    /// How long a surge lasts, milliseconds. Default 2 hours.
    pub surge_lasts_ms: i64,
    /// Incidents that aren't closed, at a time. Default 64.
    pub live_max: usize,
    /// People who want to be told when one is over. Default 2,000.
    pub subscribers_max: usize,
}

impl Default for IncidentRules {
    fn default() -> Self {
        Self {
            at_once: Vec::new(),
            similar_calls: 4,
            similar_ms: 10 * MINUTE_MS,
            similar_lasts_ms: 4 * HOUR_MS,
            lasts_max_ms: 7 * 24 * HOUR_MS,
            surge_texts: Vec::new(),
            surge_lasts_ms: 2 * HOUR_MS,
            live_max: 64,
            subscribers_max: 2_000,
        }
    }
}

/// An incident that the store knows: one that isn't closed, or of whose end somebody is still to be told.
#[derive(Debug, Clone)]
pub struct KnownIncident {
    /// Which.
    pub incident: IncidentId,
    /// What the log says about it.
    pub facts: IncidentFacts,
    /// What is said of it, unless erased.
    pub texts: Vec<IncidentText>,
    /// Who wants to be told when it is over.
    pub subscribers: Vec<Subscriber>,
}

/// Somebody who wants to be told when an incident is over, in a row of their own that can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// Of which.
    pub incident: IncidentId,
    /// In which contact they said so.
    pub contact: ContactId,
    /// Where they are called.
    pub number: PhoneNumber,
    /// Who serves that call.
    pub queue: QueueId,
    /// How urgently.
    pub class: Role,
    /// Their ticket.
    pub ticket: Option<TicketId>,
    /// Who they are, as far as known.
    pub person: Option<PersonId>,
}

/// What the log's events about incidents refer to: erasable rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IncidentRows {
    /// What is said, replacing what was: none leaves it as it is.
    pub texts: Vec<(IncidentId, IncidentText)>,
    /// Who wants to be told.
    pub subscribers: Vec<Subscriber>,
}

impl IncidentRows {
    /// Is there nothing?
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.subscribers.is_empty()
    }
}

/// What a caller hears of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Which.
    pub incident: IncidentId,
    /// What is said, in each language that somebody has written. Perhaps nothing.
    pub texts: Vec<IncidentText>,
    /// It is a surge.
    pub surge: bool,
}
