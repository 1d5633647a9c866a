//! The tickets that callers may ask for by number.

use std::collections::BTreeMap;

use super::{ContactId, Desk, Facts, Memo, Owner, Stamped, TicketNumber, TicketUpdate};
use crate::directory::NumberKey;
use crate::event::Event;
use crate::message::{FoundTicket, PhoneNumber, TicketId};
use crate::tickets::{TicketFacts, ticket_changes};

/// How often a contact may ask in vain: who guesses hears nothing more.
const MISSES_MAX: u8 = 3;

/// One tenant's, the latest.
#[derive(Debug)]
pub(super) struct Tickets {
    known: BTreeMap<TicketId, Ticket>,
    max: usize,
}

#[derive(Debug)]
struct Ticket {
    facts: TicketFacts,
    /// Who opened it called from there.
    ani: Option<NumberKey>,
}

impl Tickets {
    pub(super) fn new(max: usize) -> Self {
        Self {
            known: BTreeMap::new(),
            max,
        }
    }

    pub(super) fn insert(&mut self, ticket: TicketId, facts: TicketFacts, ani: Option<NumberKey>) {
        self.known.insert(ticket, Ticket { facts, ani });
        while self.known.len() > self.max {
            self.known.pop_first();
        }
    }

    /// An event of a contact with these facts, the event applied.
    pub(super) fn apply(&mut self, facts: &Facts, event: &Event) {
        for (ticket, change) in ticket_changes(facts, event) {
            if let Some(ticket) = self.known.get_mut(&ticket) {
                ticket.facts.apply(change);
            }
        }
    }

    /// What may be told to whoever it belongs to.
    pub(super) fn shown(&self, ticket: TicketId) -> Option<FoundTicket> {
        let facts = &self.known.get(&ticket)?.facts;
        Some(FoundTicket {
            number: facts.number,
            status: facts.status,
            next_update: facts.next_update,
            owner: facts.owner,
            queue: facts.queue,
        })
    }

    /// Was this ticket opened by a call from there? A call without a number is nobody's.
    fn belongs(&self, ticket: TicketId, ani: Option<NumberKey>) -> bool {
        let theirs = self.known.get(&ticket).and_then(|ticket| ticket.ani);
        theirs.is_some() && theirs == ani
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

    /// Somebody of the desk says how a ticket stands.
    pub(super) fn update_ticket(&mut self, update: TicketUpdate) {
        let TicketUpdate {
            tenant,
            at,
            number,
            status,
            next_update,
        } = update;
        let Some(&index) = self.tenant_index.get(&tenant) else {
            return;
        };
        let tenant = &mut self.tenants[index];
        let Some(ticket) = number.ticket(&tenant.ticket_key) else {
            return;
        };
        if tenant.tickets.shown(ticket).is_none() {
            return;
        }
        let event = Event::TicketUpdated {
            ticket,
            status,
            next_update,
        };
        tenant.tickets.apply(&Facts::default(), &event);
        self.queue(Owner::Tenant(index), Stamped { at, event });
    }
}
