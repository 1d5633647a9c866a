//! Tickets: their life, as a fold over the events, and what a deed makes of it.
//!
//! Two kinds of events concern a ticket. What happens to its contacts tells who
//! talked last about it and which team was called ([`ticket_changes`]); those
//! events stand in the order of each contact. Its own events tell its work
//! ([`TicketWork`]), each with all that changes, so that reading a log needs
//! neither a calendar nor the hospital's rules. The two change different
//! fields, but for how often it was called about again: whichever is written
//! first, the outcome is the same. The desk, the store's projection and the
//! tests all use this one fold.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | a ticket's state, and what an event changes |
//! | `stage.rs` | the life cycle, and the words for it |
//! | `rules.rs` | what a hospital has agreed; clocks in the desk's hours |
//! | `command.rs` | what somebody asks of a ticket, and the answers |
//! | `decide.rs` | what a deed makes of a ticket |
//! | `owed.rs` | what a ticket is owed because a time has come |

mod command;
mod decide;
mod owed;
mod rules;
mod stage;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::contact::{Facts, Position};
use crate::event::Event;
use crate::message::{AgentId, ContactId, QueueId, Stamped, TicketId};
use crate::ticket::TicketNumber;

pub use command::*;
pub(crate) use decide::{Merging, decide};
pub(crate) use owed::{owed, wake};
pub use rules::*;
pub use stage::*;

/// How a ticket stands, in two words. [`Stage`] tells more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketStatus {
    /// There is something left to do.
    #[default]
    Open,
    /// Done.
    Resolved,
}

/// What the log says about a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketFacts {
    /// What the caller was told.
    pub number: TicketNumber,
    /// For which contact it was opened.
    pub contact: ContactId,
    /// Who talked last with somebody about it.
    pub talked: Option<AgentId>,
    /// The queue that somebody waited in last because of it.
    pub queue: Option<QueueId>,
    /// What its own events tell.
    pub work: TicketWork,
}

/// What a ticket's own events tell about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TicketWork {
    /// Where it is in its life.
    pub stage: Stage,
    /// When it was opened, Unix milliseconds.
    pub opened_at: Option<i64>,
    /// How much hangs on it.
    pub priority: Priority,
    /// On which level it is.
    pub tier: Tier,
    /// Who has it, by somebody's word.
    pub owner: Option<AgentId>,
    /// Which team has it, by somebody's word.
    pub team: Option<QueueId>,
    /// What it is about.
    pub reason: Option<ReasonCode>,
    /// When its caller hears of it next. An open one always has a clock; `None`
    /// of those opened before there were any, until the desk has seen to it.
    pub clock: Option<Clock>,
    /// Has it gone up a tier because of this clock?
    pub warned: bool,
    /// How many updates were missed since anybody looked after it.
    pub misses: u16,
    /// Why it went up a tier last, and when (Unix milliseconds).
    pub escalated: Option<(TicketEscalation, i64)>,
    /// The latest further contact that belongs to it, and since when (Unix milliseconds).
    pub again: Option<(ContactId, i64)>,
    /// How many further contacts and reopenings it had.
    pub repeats: u16,
}

/// What an event changes about a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketChange {
    /// This agent talks about it.
    Talked(AgentId),
    /// Somebody waits here because of it.
    Queue(QueueId),
    /// An event of its own.
    Own(Stamped),
}

impl TicketFacts {
    /// A ticket that was opened a moment ago.
    pub fn opened(number: TicketNumber, contact: ContactId) -> Self {
        Self {
            number,
            contact,
            talked: None,
            queue: None,
            work: TicketWork::default(),
        }
    }

    /// Changes the state.
    pub fn apply(&mut self, change: TicketChange) {
        match change {
            TicketChange::Talked(agent) => self.talked = Some(agent),
            TicketChange::Queue(queue) => self.queue = Some(queue),
            TicketChange::Own(stamped) => self.work.apply(&stamped),
        }
    }

    /// Who has it: by somebody's word, else who talked last about it.
    pub fn owner(&self) -> Option<AgentId> {
        self.work.owner.or(self.talked)
    }

    /// Which team has it: by somebody's word, else the last that was called.
    pub fn team(&self) -> Option<QueueId> {
        self.work.team.or(self.queue)
    }

    /// How it stands, in two words.
    pub fn status(&self) -> TicketStatus {
        match self.work.stage.is_open() {
            true => TicketStatus::Open,
            false => TicketStatus::Resolved,
        }
    }

    /// When its caller hears of it next, Unix milliseconds. Always, of an open one.
    pub fn next_update(&self) -> Option<i64> {
        let clock = self.work.clock.filter(|_| self.work.stage.is_open());
        clock.map(|clock| clock.due)
    }
}

impl TicketWork {
    /// Changes the state by an event of this ticket. Any is possible in any
    /// state: the log has the last word.
    fn apply(&mut self, stamped: &Stamped) {
        let at = stamped.at;
        match stamped.event {
            Event::TicketOpened {
                priority, clock, ..
            } => {
                self.opened_at = Some(at);
                self.priority = priority.unwrap_or_default();
                self.restart(clock);
            }
            Event::TicketAttached { contact, .. } => {
                // Contacts' events don't wait for one another: the latest counts.
                if self.again.is_none_or(|(_, before)| before <= at) {
                    self.again = Some((contact, at));
                }
                self.repeats = self.repeats.saturating_add(1);
            }
            Event::TicketUpdated {
                status,
                next_update,
                warn_at,
                by,
                change,
                ..
            } => {
                let due = next_update;
                let clock = due.map(|due| Clock {
                    due,
                    warn: warn_at.unwrap_or(due),
                });
                self.updated(at, status, clock, change);
                if by.is_some_and(|by| by != Actor::System) {
                    self.misses = 0;
                }
            }
            Event::TicketEscalated {
                to,
                team,
                why,
                clock,
                ..
            } => {
                self.tier = to;
                self.team = team.or(self.team);
                self.escalated = Some((why, at));
                match why {
                    TicketEscalation::UpdateNear => self.warned = true,
                    TicketEscalation::UpdateMissed => {
                        self.misses = self.misses.saturating_add(1);
                        self.restart(Some(clock));
                    }
                    _ => {
                        self.misses = 0;
                        // Who had it doesn't any more.
                        self.owner = None;
                        self.stage = Stage::Open;
                        self.restart(Some(clock));
                    }
                }
            }
            Event::TicketResolved { first_contact, .. } => {
                self.stage = Stage::Resolved(Resolution { at, first_contact });
                self.misses = 0;
            }
            Event::TicketReopened { clock, .. } => {
                self.stage = self.taken();
                self.repeats = self.repeats.saturating_add(1);
                self.restart(Some(clock));
            }
            Event::TicketClosed { .. } => {
                let resolution = match self.stage {
                    Stage::Resolved(resolution) | Stage::Closed(resolution) => resolution,
                    _ => Resolution {
                        at,
                        first_contact: false,
                    },
                };
                self.stage = Stage::Closed(resolution);
            }
            Event::TicketMerged { into, .. } => self.stage = Stage::Merged { into },
            _ => {}
        }
    }

    fn updated(
        &mut self,
        at: i64,
        status: TicketStatus,
        clock: Option<Clock>,
        change: Option<Updated>,
    ) {
        let warned = self.warned;
        if clock != self.clock {
            self.restart(clock);
        }
        match change {
            // As it was written before there was more to tell.
            None => match (status, self.stage.is_open()) {
                (TicketStatus::Resolved, true) => {
                    let first_contact = self.repeats == 0;
                    self.stage = Stage::Resolved(Resolution { at, first_contact });
                }
                (TicketStatus::Open, false) => {
                    self.stage = self.taken();
                    self.repeats = self.repeats.saturating_add(1);
                }
                _ => {}
            },
            Some(Updated::Assigned { to, .. }) => {
                self.owner = to;
                if !matches!(self.stage, Stage::Pending { .. }) {
                    self.stage = self.taken();
                }
            }
            Some(Updated::Begun { owner }) => {
                self.owner = owner;
                self.stage = Stage::InProgress;
            }
            Some(Updated::Prioritised { priority }) => self.priority = priority,
            Some(Updated::Categorised {
                reason,
                priority,
                team,
            }) => {
                self.reason = reason;
                self.priority = priority;
                self.team = team.or(self.team);
            }
            Some(Updated::Promised | Updated::Scheduled) => self.warned = false,
            Some(Updated::Pended { why, until, left }) => {
                self.stage = Stage::Pending { why, until, left };
                // The same clock, only later.
                self.warned = warned;
            }
            Some(Updated::Resumed) => {
                self.stage = self.taken();
                self.warned = warned;
            }
        }
    }

    /// Another clock: nobody has been warned of it.
    fn restart(&mut self, clock: Option<Clock>) {
        self.clock = clock;
        self.warned = false;
    }

    /// Where an open ticket is that nobody works on.
    fn taken(&self) -> Stage {
        match self.owner {
            Some(_) => Stage::Assigned,
            None => Stage::Open,
        }
    }
}

/// What an event means for the ticket it concerns. `facts`: its contact's, the
/// event applied; those of an event without a contact aren't looked at.
pub fn ticket_changes(facts: &Facts, stamped: &Stamped) -> SmallVec<[(TicketId, TicketChange); 2]> {
    let mut changes = SmallVec::new();
    let own = facts.ticket.map(|(ticket, _)| ticket);
    let mut change = |ticket: Option<TicketId>, change| {
        changes.extend(ticket.map(|ticket| (ticket, change)));
    };
    match stamped.event {
        Event::ContactQueued { queue, .. } => change(own, TicketChange::Queue(queue)),
        Event::ContactConnected { agent, .. } => change(own, TicketChange::Talked(agent)),
        // Its contact has come somewhere before.
        Event::TicketOpened { ticket, .. } | Event::TicketAttached { ticket, .. } => {
            change(Some(ticket), TicketChange::Own(*stamped));
            if let Some((queue, _)) = facts.position.visit() {
                change(Some(ticket), TicketChange::Queue(queue));
            }
            if let Position::Conversation { agent, .. } = facts.position {
                change(Some(ticket), TicketChange::Talked(agent));
            }
        }
        event => change(event.ticket(), TicketChange::Own(*stamped)),
    }
    changes
}
