//! What people ask of tickets, on its way to the desk and back.

use std::collections::HashMap;

use desk::{
    Actor, CommandId, TenantId, TicketAnswer, TicketCommand, TicketDeed, TicketNumber, TicketReply,
};
use tokio::sync::oneshot;

/// Something to be done with a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The hospital.
    pub tenant: TenantId,
    /// Which ticket.
    pub number: TicketNumber,
    /// Who asks.
    pub by: Actor,
    /// What.
    pub deed: TicketDeed,
}

/// What was asked and isn't answered yet.
#[derive(Debug)]
pub struct Deeds {
    /// The process's start, in the upper half: ids are unique across restarts.
    next: u64,
    waiting: HashMap<CommandId, oneshot::Sender<TicketReply>>,
}

impl Deeds {
    /// Nothing yet. `start`: how often the database was opened.
    pub fn new(start: u32) -> Self {
        Self {
            // The calls' commands leave the highest bit.
            next: 1 << 63 | u64::from(start) << 32,
            waiting: HashMap::new(),
        }
    }

    pub(super) fn command(
        &mut self,
        at: i64,
        deed: Deed,
        reply: oneshot::Sender<TicketReply>,
    ) -> TicketCommand {
        let Deed {
            tenant,
            number,
            by,
            deed,
        } = deed;
        self.next += 1;
        let id = CommandId(self.next);
        self.waiting.insert(id, reply);
        TicketCommand {
            id,
            tenant,
            at,
            number,
            by,
            deed,
        }
    }

    /// The first answer counts: the desk gives each command one within its deadline.
    pub(super) fn answered(&mut self, answer: TicketAnswer) {
        if let Some(waits) = self.waiting.remove(&answer.id) {
            // Whoever asked may have stopped waiting.
            let _ = waits.send(answer.reply);
        }
    }
}
