//! A ticket's state, as a fold over the events: who had it last, which team,
//! what its next caller is told.
//!
//! Most of it follows from what happens to the contacts that belong to the
//! ticket, so that it needs no events of its own: [`ticket_changes`] says what an
//! event means. The desk, the store's projection and the tests all use it.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::contact::{Facts, Position};
use crate::event::Event;
use crate::message::{AgentId, ContactId, QueueId, TicketId};
use crate::ticket::TicketNumber;

/// How a ticket stands. Whether somebody works on it shows in its owner.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketFacts {
    /// What the caller was told.
    pub number: TicketNumber,
    /// For which contact it was opened.
    pub contact: ContactId,
    /// How it stands.
    pub status: TicketStatus,
    /// When its caller hears of it next, Unix milliseconds; `None`: nobody has said.
    pub next_update: Option<i64>,
    /// Who talked last with somebody about it.
    pub owner: Option<AgentId>,
    /// The queue that somebody waited in last because of it: the owner's team.
    pub queue: Option<QueueId>,
}

/// What an event changes about a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketChange {
    /// This agent has it now.
    Owner(AgentId),
    /// This team has it now.
    Queue(QueueId),
    /// Somebody said how it stands.
    Told {
        /// How.
        status: TicketStatus,
        /// When its caller hears of it next.
        next_update: Option<i64>,
    },
}

impl TicketFacts {
    /// A ticket that was opened a moment ago.
    pub fn opened(number: TicketNumber, contact: ContactId) -> Self {
        Self {
            number,
            contact,
            status: TicketStatus::Open,
            next_update: None,
            owner: None,
            queue: None,
        }
    }

    /// Changes the state.
    pub fn apply(&mut self, change: TicketChange) {
        match change {
            TicketChange::Owner(agent) => self.owner = Some(agent),
            TicketChange::Queue(queue) => self.queue = Some(queue),
            TicketChange::Told {
                status,
                next_update,
            } => {
                self.status = status;
                self.next_update = next_update;
            }
        }
    }
}

/// What an event means for the ticket it concerns. `facts`: its contact's, the
/// event applied; those of an event without a contact aren't looked at.
pub fn ticket_changes(facts: &Facts, event: &Event) -> SmallVec<[(TicketId, TicketChange); 2]> {
    let mut changes = SmallVec::new();
    let own = facts.ticket.map(|(ticket, _)| ticket);
    let mut change = |ticket: Option<TicketId>, change| {
        changes.extend(ticket.map(|ticket| (ticket, change)));
    };
    match *event {
        Event::ContactQueued { queue, .. } => change(own, TicketChange::Queue(queue)),
        Event::ContactConnected { agent, .. } => change(own, TicketChange::Owner(agent)),
        // Its contact has come somewhere before.
        Event::TicketOpened { ticket, .. } | Event::TicketAttached { ticket, .. } => {
            if let Some((queue, _)) = facts.position.visit() {
                change(Some(ticket), TicketChange::Queue(queue));
            }
            if let Position::Conversation { agent, .. } = facts.position {
                change(Some(ticket), TicketChange::Owner(agent));
            }
        }
        Event::TicketUpdated {
            ticket,
            status,
            next_update,
        } => change(
            Some(ticket),
            TicketChange::Told {
                status,
                next_update,
            },
        ),
        _ => {}
    }
    changes
}
