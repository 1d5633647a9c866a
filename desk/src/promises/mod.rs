//! Promises: the callbacks we owe.
//!
//! "We'll call you tomorrow between nine and ten" is a row of the ledger with
//! a window, an owner and an escalation. It is called within the window, again
//! by rule, escalated before it is broken, and closed only with proof.
//!
//! | file | what |
//! |---|---|
//! | `facts.rs` | one promise, as a fold over its events |
//! | `window.rs` | when a call may be made: what was promised, the callee's time, the desk's hours |
//! | `ledger.rs` | all of one hospital's: what is due, who may call whom |
//!
//! The ledger's only clock is the wall's, in Unix milliseconds: a promise is
//! about what the clock at the callee's wall shows.
//!
//! ```text
//!            window begins          calls may dial         key pressed          they talk
//!  Waiting ───────────────► Due ──────────────────► Attempting ─────────► Reached ─────────► Closed
//!                            ▲                          │                    │
//!                            └──────── missed ──────────┴────────────────────┘
//!  any but Closed ── no time left, number gone, three unanswered ──► WithPerson ── attested ──► Closed
//! ```

mod facts;
mod ledger;
#[cfg(test)]
mod tests;
mod window;

use serde::{Deserialize, Serialize};

use crate::message::{
    AgentId, AttemptId, ContactId, PersonId, PhoneNumber, PromiseId, QueueId, Role, TenantId,
    TicketId,
};
use crate::ticket::TicketNumber;

pub use facts::{PromiseFacts, PromiseStage, cut_off};
pub use ledger::{Act, Ledger, Planned};
pub use window::{Callable, Callee, Exact, decent_hours};

/// What kind of callback is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PromiseKind {
    /// Keeps the place in the queue: called when it would have been served.
    Hold,
    /// Within a window that was agreed on.
    Scheduled,
    /// The same, by this agent.
    Owned {
        /// Who promised it.
        owner: AgentId,
    },
}

/// Who is called first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum First {
    /// An agent is found, then the customer is called.
    Agent,
    /// The customer is called, and waits at the head of the queue.
    Customer,
}

/// From one moment until another, Unix milliseconds; the end isn't part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its first moment.
    pub from: i64,
    /// The first moment after it.
    pub to: i64,
}

/// What a promise is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromiseAsk {
    /// Whom to call.
    pub number: PhoneNumber,
    /// What is owed.
    pub kind: PromiseKind,
    /// Who serves it.
    pub queue: QueueId,
    /// How urgently.
    pub class: Role,
    /// Since when the customer waits, Unix milliseconds; `None`: as the log says.
    pub since: Option<i64>,
    /// When. A hold has none: as soon as possible.
    pub window: Option<Span>,
    /// Who is called first.
    pub first: First,
}

/// Why an attempt came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// It rang, and nobody answered.
    NoAnswer,
    /// Busy.
    Busy,
    /// Answered, and nobody pressed the key: a machine, or whoever it was didn't want it.
    NoKey,
    /// Refused.
    Refused,
    /// The trunk, or the way to it, failed. Not the callee's doing.
    Failed,
    /// No channel was free that isn't kept for those who call us.
    NoChannel,
    /// No agent took it, or the one who did left before the two talked.
    NoAgent,
    /// The customer called us meanwhile.
    CalledIn,
    /// Cut off by a crash or a stop.
    Interrupted,
}

impl Missed {
    /// Does it count as one of the attempts that weren't answered?
    pub fn is_unanswered(self) -> bool {
        matches!(
            self,
            Self::NoAnswer | Self::Busy | Self::NoKey | Self::Refused
        )
    }
}

/// Why a promise needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromiseRisk {
    /// No moment is left, or was there from the beginning, at which a call may be made.
    NoWindow,
    /// Time runs out. Calls go on.
    RunningOut,
    /// Whoever promised it isn't there. Their queue keeps it.
    OwnerGone,
    /// As many unanswered attempts as there may be: no proof.
    Unanswered,
    /// The number was erased, or changed.
    NumberGone,
    /// The window is over.
    Broken,
    /// Somebody of the desk said so.
    Told,
}

impl PromiseRisk {
    /// Is nobody called any more, until a person says so?
    pub fn stops_calls(self) -> bool {
        !matches!(self, Self::RunningOut | Self::OwnerGone)
    }
}

/// That a promise was kept. There is no other way to close one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "snake_case")]
pub enum Proof {
    /// The customer confirmed by key that a person is there, and talked with somebody of the desk.
    Key {
        /// In which attempt.
        attempt: AttemptId,
    },
    /// The customer said by key that no callback is needed any more.
    Released {
        /// In which attempt.
        attempt: AttemptId,
    },
    /// The customer called while it was due, and talked with somebody of the desk.
    CalledIn {
        /// In which contact.
        contact: ContactId,
    },
    /// Somebody of the desk vouches for it.
    Attested {
        /// Who.
        agent: AgentId,
    },
}

/// A promise that the store knows.
#[derive(Debug, Clone)]
pub struct KnownPromise {
    /// Which.
    pub promise: PromiseId,
    /// What the log says about it.
    pub facts: PromiseFacts,
    /// Whom to call, unless erased.
    pub number: Option<PhoneNumber>,
}

/// The number of a promise, in a row of its own that can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromiseNumber {
    /// Whose.
    pub promise: PromiseId,
    /// Whom to call.
    pub number: PhoneNumber,
}

/// From the desk to the calls: make a contact for this promise. Repeated until
/// the calls have begun it ([`CallbackStep::Begun`]); one that is begun already
/// is begun again by no repetition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The hospital.
    pub tenant: TenantId,
    /// Which promise.
    pub promise: PromiseId,
    /// By which attempt.
    pub attempt: AttemptId,
    /// Who is called first.
    pub first: First,
    /// Who serves it.
    pub queue: QueueId,
    /// How urgently.
    pub class: Role,
    /// Since when the customer waits, Unix milliseconds: their place in the queue.
    pub since: i64,
    /// Who is rung first if free.
    pub prefer: Option<AgentId>,
    /// Its ticket.
    pub ticket: Option<TicketId>,
    /// The number that the customer was told of it; the ledger doesn't know it, the desk does.
    pub number: Option<TicketNumber>,
    /// Who the customer is, as far as known.
    pub person: Option<PersonId>,
}

/// From the calls to the desk, about a callback; the command's contact is the
/// one that was made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallbackStep {
    /// It has a contact. Answered with [`crate::Reply::Noted`], or
    /// [`crate::Reply::CallbackOff`].
    Begun {
        /// Which promise.
        promise: PromiseId,
        /// By which attempt.
        attempt: AttemptId,
    },
    /// The customer is about to be called. Answered with
    /// [`crate::Reply::Dial`] once that is durable, or with
    /// [`crate::Reply::CallbackOff`]. No number is dialled without that answer.
    Dial,
    /// The customer pressed the key.
    Reached,
    /// The customer said by key that it isn't needed any more.
    Released,
    /// It came to nothing.
    Missed(Missed),
}

/// What somebody of the desk, or the administrator, says about a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromiseWord {
    /// It was kept: this agent vouches for it.
    Attest(AgentId),
    /// Another time was agreed on. It is called again as if it were new.
    Move(Span),
    /// Its number was erased, or isn't the customer's any more.
    NumberGone,
    /// A person decides: nobody is called any more.
    Escalate,
}

/// How callbacks are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromiseRules {
    /// Unanswered attempts after which a person decides. Default 3.
    pub unanswered_max: u8,
    /// Pauses after the first, second … unanswered attempt; the last holds for all others. Default 5 and 20 minutes.
    pub pauses_ms: Vec<i64>,
    /// Pause after an attempt that failed by our doing, or was broken off. Default 1 minute.
    pub own_pause_ms: i64,
    /// How long before the last possible moment a promise that isn't kept yet is escalated. A short
    /// window's last quarter, if that is less. Default 15 minutes.
    pub margin_ms: i64,
    /// How long before its window the owner has to be there. Default 10 minutes.
    pub owner_margin_ms: i64,
    /// How long a hold lives. Default 24 hours.
    pub hold_ms: i64,
    /// Furthest end of a window. Default 60 days.
    pub ahead_max_ms: i64,
    /// Callbacks of one hospital that have a contact at a time, those that wait in a queue for an agent included. Default 64.
    pub at_work_max: usize,
    /// Customers of one hospital being called at a time. Default 8.
    pub dialling_max: usize,
    /// Promises of one hospital that are open at a time. Default 10,000.
    pub open_max: usize,
}

impl Default for PromiseRules {
    fn default() -> Self {
        Self {
            unanswered_max: 3,
            pauses_ms: vec![5 * MINUTE_MS, 20 * MINUTE_MS],
            own_pause_ms: MINUTE_MS,
            margin_ms: 15 * MINUTE_MS,
            owner_margin_ms: 10 * MINUTE_MS,
            hold_ms: 24 * 60 * MINUTE_MS,
            ahead_max_ms: 60 * 24 * 60 * MINUTE_MS,
            at_work_max: 64,
            dialling_max: 8,
            open_max: 10_000,
        }
    }
}

const MINUTE_MS: i64 = 60_000;
