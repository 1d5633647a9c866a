//! What people ask of tickets and incidents, and say of promises, on its way to the desk and back.

use std::collections::HashMap;

use desk::{
    Actor, CommandId, IncidentAnswer, IncidentBy, IncidentCommand, IncidentDeed, IncidentReply,
    PromiseId, PromiseUpdate, PromiseWord, TenantId, TicketAnswer, TicketCommand, TicketDeed,
    TicketNumber, TicketReply,
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

/// Something to be done with an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentAsk {
    /// The hospital.
    pub tenant: TenantId,
    /// Who asks.
    pub by: IncidentBy,
    /// What.
    pub deed: IncidentDeed,
    /// The same for every repetition of this question, and for no other one's: what was done is
    /// done once.
    pub key: Option<u64>,
}

/// What somebody says of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The hospital.
    pub tenant: TenantId,
    /// Which promise.
    pub promise: PromiseId,
    /// What.
    pub word: PromiseWord,
}

/// What was asked and isn't answered yet.
#[derive(Debug)]
pub struct Deeds {
    /// The process's start, in the upper half: ids are unique across restarts.
    next: u64,
    waiting: HashMap<CommandId, oneshot::Sender<TicketReply>>,
    incidents: HashMap<CommandId, Vec<oneshot::Sender<IncidentReply>>>,
    /// Of promises. Answered when it is on disk, however long that takes.
    said: HashMap<CommandId, oneshot::Sender<bool>>,
}

/// The ids of questions with a key: those of the others begin with 10.
const KEYED: u64 = 0b11 << 62;

impl Deeds {
    /// Nothing yet. `start`: how often the database was opened.
    pub fn new(start: u32) -> Self {
        Self {
            // The calls' commands leave the highest bit.
            next: 1 << 63 | u64::from(start) << 32,
            waiting: HashMap::new(),
            incidents: HashMap::new(),
            said: HashMap::new(),
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

    pub(super) fn incident(
        &mut self,
        at: i64,
        ask: IncidentAsk,
        reply: oneshot::Sender<IncidentReply>,
    ) -> IncidentCommand {
        let IncidentAsk {
            tenant,
            by,
            deed,
            key,
        } = ask;
        self.next += 1;
        // With a key of its own it is that key's, across repetitions.
        let id = CommandId(key.map_or(self.next, |key| KEYED | key >> 2));
        self.incidents.entry(id).or_default().push(reply);
        IncidentCommand {
            id,
            tenant,
            at,
            by,
            deed,
        }
    }

    pub(super) fn told_of_incident(&mut self, answer: IncidentAnswer) {
        for waits in self.incidents.remove(&answer.id).into_iter().flatten() {
            let _ = waits.send(answer.reply);
        }
    }

    pub(super) fn promise(
        &mut self,
        at: i64,
        said: Said,
        reply: oneshot::Sender<bool>,
    ) -> PromiseUpdate {
        self.next += 1;
        let id = CommandId(self.next);
        // Whoever waits no longer is forgotten.
        self.said.retain(|_, waits| !waits.is_closed());
        self.said.insert(id, reply);
        PromiseUpdate {
            id,
            tenant: said.tenant,
            at,
            promise: said.promise,
            word: said.word,
        }
    }

    pub(super) fn updated(&mut self, id: CommandId, done: bool) {
        if let Some(waits) = self.said.remove(&id) {
            let _ = waits.send(done);
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
