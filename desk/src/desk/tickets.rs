//! The tickets that are known: those callers may ask for by number, and all
//! that something is owed.

use std::collections::{BTreeMap, BTreeSet};

use super::{ContactId, Desk, Facts, Memo, TicketNumber};
use crate::directory::NumberKey;
use crate::message::{FoundTicket, PhoneNumber, Stamped, TicketId};
use crate::tickets::{Stage, TicketChange, TicketFacts, TicketRules, ticket_changes, wake};

/// How often a contact may ask in vain: who guesses hears nothing more.
const MISSES_MAX: u8 = 3;
/// Tickets merged one into the next that are followed.
const MERGED_MAX: usize = 1_024;

/// One tenant's.
#[derive(Debug)]
pub(super) struct Tickets {
    known: BTreeMap<TicketId, Ticket>,
    /// Those of them that are done: the first to be dropped.
    done: BTreeSet<TicketId>,
    /// When something is owed to which, Unix milliseconds.
    wakes: BTreeSet<(i64, TicketId)>,
    max: usize,
    /// Open ones that had to be dropped.
    pub(super) dropped: u64,
}

#[derive(Debug)]
struct Ticket {
    facts: TicketFacts,
    /// Who opened it called from there.
    ani: Option<NumberKey>,
    wake: Option<i64>,
}

impl Tickets {
    pub(super) fn new(max: usize) -> Self {
        Self {
            known: BTreeMap::new(),
            done: BTreeSet::new(),
            wakes: BTreeSet::new(),
            max,
            dropped: 0,
        }
    }

    pub(super) fn insert(
        &mut self,
        id: TicketId,
        facts: TicketFacts,
        ani: Option<NumberKey>,
        rules: &TicketRules,
    ) {
        let wake = None;
        self.known.insert(id, Ticket { facts, ani, wake });
        self.changed(id, rules);
        while self.known.len() > self.max {
            // The oldest that is done, else the oldest there is.
            let oldest = match self.done.pop_first() {
                Some(done) => Some(done),
                None => {
                    self.dropped += 1;
                    self.known.first_key_value().map(|(id, _)| *id)
                }
            };
            let ticket = oldest.and_then(|id| self.known.remove_entry(&id));
            if let Some((id, Ticket { wake: Some(at), .. })) = ticket {
                self.wakes.remove(&(at, id));
            }
        }
    }

    /// Its state is another: so is what it is owed.
    fn changed(&mut self, id: TicketId, rules: &TicketRules) {
        let Some(ticket) = self.known.get_mut(&id) else {
            return;
        };
        if ticket.facts.work.stage.is_open() {
            self.done.remove(&id);
        } else {
            self.done.insert(id);
        }
        let at = wake(&ticket.facts, rules);
        self.wake_at(id, at);
    }

    /// Looks after a ticket at a moment, and not before.
    pub(super) fn wake_at(&mut self, id: TicketId, at: Option<i64>) {
        let Some(ticket) = self.known.get_mut(&id) else {
            return;
        };
        if ticket.wake == at {
            return;
        }
        if let Some(before) = std::mem::replace(&mut ticket.wake, at) {
            self.wakes.remove(&(before, id));
        }
        if let Some(at) = at {
            self.wakes.insert((at, id));
        }
    }

    /// The hospital has agreed something else about all of them.
    pub(super) fn ruled(&mut self, rules: &TicketRules) {
        let all: Vec<TicketId> = self.known.keys().copied().collect();
        for id in all {
            self.changed(id, rules);
        }
    }

    /// When the first is owed something.
    pub(super) fn next_wake(&self) -> Option<i64> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// One that is owed something by then. It isn't named again until it is changed or woken.
    pub(super) fn due(&mut self, at: i64) -> Option<TicketId> {
        let (wake, id) = *self.wakes.first().filter(|(wake, _)| *wake <= at)?;
        self.wakes.remove(&(wake, id));
        if let Some(ticket) = self.known.get_mut(&id) {
            ticket.wake = None;
        }
        Some(id)
    }

    /// An event of a contact with these facts, the event applied, or of no contact.
    pub(super) fn apply(&mut self, facts: &Facts, stamped: &Stamped, rules: &TicketRules) {
        for (id, change) in ticket_changes(facts, stamped) {
            if let Some(ticket) = self.known.get_mut(&id) {
                ticket.facts.apply(change);
                if matches!(change, TicketChange::Own(_)) {
                    self.changed(id, rules);
                }
            }
        }
    }

    pub(super) fn facts(&self, id: TicketId) -> Option<&TicketFacts> {
        self.known.get(&id).map(|ticket| &ticket.facts)
    }

    /// Where a ticket is worked on: itself, or the one it was merged into.
    pub(super) fn leads_to(&self, id: TicketId) -> Option<TicketId> {
        let mut at = id;
        for _ in 0..MERGED_MAX {
            match self.facts(at)?.work.stage {
                Stage::Merged { into } => at = into,
                _ => return Some(at),
            }
        }
        None
    }

    /// What may be told to whoever it belongs to: under the number they know.
    pub(super) fn shown(&self, id: TicketId) -> Option<FoundTicket> {
        let number = self.facts(id)?.number;
        let facts = self.facts(self.leads_to(id)?)?;
        Some(FoundTicket {
            number,
            status: facts.status(),
            next_update: facts.next_update(),
            owner: facts.owner(),
            queue: facts.team(),
        })
    }

    /// Was this ticket opened by a call from there? A call without a number is nobody's.
    fn belongs(&self, ticket: TicketId, ani: Option<NumberKey>) -> bool {
        let theirs = self.known.get(&ticket).and_then(|ticket| ticket.ani);
        theirs.is_some() && theirs == ani && self.leads_to(ticket).is_some()
    }
}

impl Desk {
    /// Remembers where a contact calls from.
    pub(super) fn calls_from(&mut self, id: ContactId, ani: Option<&PhoneNumber>) {
        if let Some(contact) = self.contacts.get_mut(&id)
            && contact.ani.is_none()
        {
            let directory = &self.tenants[contact.tenant].directory;
            contact.ani = ani.and_then(|ani| directory.key(ani));
            self.promise_caller(id);
        }
    }

    /// Looks for a ticket. Whatever is wrong with the number, the answer is the same.
    pub(super) fn find_ticket(&mut self, id: ContactId, number: Option<TicketNumber>) -> Memo {
        let Some(contact) = self.contacts.get_mut(&id) else {
            return Memo::TicketNotFound;
        };
        let tenant = &self.tenants[contact.tenant];
        let ticket = number
            .and_then(|number| number.ticket(&tenant.ticket_key))
            .filter(|ticket| tenant.tickets.belongs(*ticket, contact.ani));
        match ticket {
            Some(ticket) if contact.misses < MISSES_MAX => {
                contact.found = Some(ticket);
                Memo::TicketFound(ticket)
            }
            _ => {
                contact.misses = contact.misses.saturating_add(1);
                Memo::TicketNotFound
            }
        }
    }
}
