//! One promise's state, as a fold over its events.
//!
//! [`PromiseFacts::apply`] is the only place where an event changes a promise:
//! the desk, the store's projection and the tests all use it.

use serde::{Deserialize, Serialize};

use super::{First, PromiseKind, PromiseRisk, Proof, Span};
use crate::contact::Facts;
use crate::event::Event;
use crate::message::{AttemptId, ContactId, PersonId, PromiseId, QueueId, Role, Stamped, TicketId};

/// How long a caller whom a crash cut off is called back for.
const CUT_OFF_MS: i64 = 24 * 3_600_000;

/// What the log says about a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromiseFacts {
    /// Who it was made to.
    pub contact: ContactId,
    /// What is owed.
    pub kind: PromiseKind,
    /// Who serves it.
    pub queue: QueueId,
    /// How urgently.
    pub class: Role,
    /// Since when the customer waits, Unix milliseconds.
    pub since: i64,
    /// When it is to be kept.
    pub window: Span,
    /// Who is called first.
    pub first: First,
    /// Its ticket.
    pub ticket: Option<TicketId>,
    /// Who the customer is, as far as known.
    pub person: Option<PersonId>,
    /// How it stands.
    pub stage: PromiseStage,
    /// Unanswered attempts so far.
    pub unanswered: u8,
    /// When it was attempted first, Unix milliseconds.
    pub attempted_at: Option<i64>,
    /// When a person answered first, Unix milliseconds.
    pub reached_at: Option<i64>,
    /// Why it was escalated last.
    pub risk: Option<PromiseRisk>,
}

/// How a promise stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum PromiseStage {
    /// Its window hasn't begun.
    Waiting,
    /// The customer may be called.
    Due,
    /// The customer is being called.
    Attempting {
        /// By which attempt.
        attempt: AttemptId,
    },
    /// The customer has shown that a person is there, and waits for somebody of the desk.
    Reached {
        /// In which attempt.
        attempt: AttemptId,
    },
    /// Nobody is called any more: a person decides.
    WithPerson,
    /// Kept.
    Closed {
        /// The proof.
        #[serde(flatten)]
        proof: Proof,
        /// When, Unix milliseconds.
        at: i64,
    },
}

impl PromiseStage {
    /// Is it kept?
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// The attempt under way.
    pub fn attempt(self) -> Option<AttemptId> {
        match self {
            Self::Attempting { attempt } | Self::Reached { attempt } => Some(attempt),
            Self::Waiting | Self::Due | Self::WithPerson | Self::Closed { .. } => None,
        }
    }
}

impl PromiseFacts {
    /// Which promise a `promise.created` made, and how it stands then; `None`
    /// for every other event.
    pub fn created(event: &Event) -> Option<(PromiseId, Self)> {
        let Event::PromiseCreated {
            promise,
            contact,
            kind,
            queue,
            class,
            since,
            window,
            first,
            ticket,
            person,
        } = *event
        else {
            return None;
        };
        let facts = Self {
            contact,
            kind,
            queue,
            class,
            since,
            window,
            first,
            ticket,
            person,
            stage: PromiseStage::Waiting,
            unanswered: 0,
            attempted_at: None,
            reached_at: None,
            risk: None,
        };
        Some((promise, facts))
    }

    /// Changes the state by an event of this promise. Nothing opens a closed one.
    pub fn apply(&mut self, stamped: &Stamped) {
        if self.stage.is_closed() {
            return;
        }
        let at = stamped.at;
        match stamped.event {
            Event::PromiseDue { .. } => self.stage = PromiseStage::Due,
            Event::PromiseAttempted { attempt, .. } => {
                self.attempted_at.get_or_insert(at);
                self.stage = PromiseStage::Attempting { attempt };
            }
            Event::PromiseReached { attempt, .. } => {
                self.reached_at.get_or_insert(at);
                self.stage = PromiseStage::Reached { attempt };
            }
            Event::PromiseMissed { attempt, why, .. } => {
                if why.is_unanswered() {
                    self.unanswered = self.unanswered.saturating_add(1);
                }
                // Whoever it was given to meanwhile keeps it.
                if self.stage.attempt() == Some(attempt) {
                    self.stage = PromiseStage::Due;
                }
            }
            Event::PromiseEscalated { why, .. } => {
                self.risk = Some(why);
                if why.stops_calls() {
                    self.stage = PromiseStage::WithPerson;
                }
            }
            Event::PromiseMoved { window, .. } => {
                self.window = window;
                self.unanswered = 0;
                self.risk = None;
                self.stage = PromiseStage::Waiting;
            }
            Event::PromiseClosed { proof, .. } => self.stage = PromiseStage::Closed { proof, at },
            _ => {}
        }
    }
}

/// The promise that a contact becomes which a crash cut off while it waited in
/// a queue: it keeps its place. `None` for one that didn't wait. `facts`: as the log has them
/// before the contact's end. The store writes it together with that end, and
/// the calling number of the contact as the promise's, if there is one.
pub fn cut_off(promise: PromiseId, contact: ContactId, facts: &Facts, at: i64) -> Option<Event> {
    let (queue, since) = facts.position.visit()?;
    Some(Event::PromiseCreated {
        promise,
        contact,
        kind: PromiseKind::Hold,
        queue,
        class: facts.role.unwrap_or(Role::Patient),
        since,
        window: Span {
            from: at,
            to: at.saturating_add(CUT_OFF_MS),
        },
        first: First::Agent,
        ticket: facts.ticket.map(|(ticket, _)| ticket),
        person: facts.person(),
    })
}
