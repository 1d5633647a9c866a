//! First-contact resolution: a verdict that a later contact can still change,
//! for seven days.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use super::cells::{Quarter, TicketCounts};
use crate::message::{ContactId, PersonId, TicketId};

/// How long after it is resolved a ticket's caller may come again and change the verdict, milliseconds.
pub const PROVISIONAL_MS: i64 = 7 * 24 * 3_600_000;

/// Open tickets that are known: of those opened before, nobody can say that they took one contact.
const OPEN_MAX: usize = 200_000;

/// Tickets that are open, and those resolved lately.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tickets {
    open: BTreeMap<TicketId, Open>,
    resolved: BTreeMap<TicketId, Resolved>,
    /// Those resolved on first contact, by whose they are.
    of_person: BTreeSet<(PersonId, TicketId)>,
    /// Those resolved, in the order in which they were.
    order: VecDeque<(i64, TicketId)>,
    pub(super) counts: BTreeMap<Quarter, TicketCounts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    contact: ContactId,
    person: Option<PersonId>,
    /// A second contact belongs to it, or may.
    again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resolved {
    of: Open,
    at: i64,
    /// Counted as resolved on first contact.
    first: bool,
}

impl Tickets {
    fn count(&mut self, at: i64) -> &mut TicketCounts {
        self.counts.entry(Quarter::of(at)).or_default()
    }

    pub(super) fn opened(
        &mut self,
        ticket: TicketId,
        contact: ContactId,
        person: Option<PersonId>,
        at: i64,
    ) {
        self.count(at).opened += 1;
        let again = false;
        self.keep(
            ticket,
            Open {
                contact,
                person,
                again,
            },
        );
    }

    fn keep(&mut self, ticket: TicketId, open: Open) {
        self.open.insert(ticket, open);
        if self.open.len() > OPEN_MAX {
            self.open.pop_first();
        }
    }

    /// A further contact belongs to it.
    pub(super) fn attached(&mut self, ticket: TicketId, at: i64) {
        if let Some(open) = self.open.get_mut(&ticket) {
            open.again = true;
        }
        self.not_first(ticket, at);
    }

    pub(super) fn resolved(&mut self, ticket: TicketId, at: i64) {
        self.forget(at);
        if self.resolved.contains_key(&ticket) {
            // Told twice, or again after it was reopened.
            return;
        }
        // One that isn't known may have had any number of contacts.
        let of = self.open.remove(&ticket).unwrap_or(Open {
            contact: ContactId(0),
            person: None,
            again: true,
        });
        let first = !of.again;
        let count = self.count(at);
        count.resolved += 1;
        count.first_contact += u64::from(first);
        self.resolved.insert(ticket, Resolved { of, at, first });
        self.order.push_back((at, ticket));
        if let Some(person) = of.person.filter(|_| first) {
            self.of_person.insert((person, ticket));
        }
    }

    pub(super) fn reopened(&mut self, ticket: TicketId, at: i64) {
        self.forget(at);
        if self.resolved.contains_key(&ticket) {
            self.not_first(ticket, at);
        } else {
            let again = true;
            let of = self.open.get(&ticket).copied().unwrap_or(Open {
                contact: ContactId(0),
                person: None,
                again,
            });
            self.keep(ticket, of);
        }
    }

    /// Somebody calls who may have called about it before.
    pub(super) fn calls(&mut self, contact: ContactId, person: PersonId, at: i64) {
        self.forget(at);
        let theirs = (person, TicketId(0))..=(person, TicketId(u64::MAX));
        while let Some(&(_, ticket)) = self.of_person.range(theirs.clone()).find(|(_, ticket)| {
            let resolved = self.resolved.get(ticket);
            resolved.is_some_and(|resolved| resolved.of.contact != contact)
        }) {
            self.not_first(ticket, at);
        }
    }

    fn not_first(&mut self, ticket: TicketId, at: i64) {
        let Some(resolved) = self.resolved.get_mut(&ticket) else {
            return;
        };
        if let Some(person) = resolved.of.person {
            self.of_person.remove(&(person, ticket));
        }
        if resolved.first && at <= resolved.at.saturating_add(PROVISIONAL_MS) {
            resolved.first = false;
            let quarter = Quarter::of(resolved.at);
            if let Some(count) = self.counts.get_mut(&quarter) {
                count.first_contact = count.first_contact.saturating_sub(1);
            }
        }
    }

    /// What can't change any more.
    fn forget(&mut self, at: i64) {
        while let Some(&(resolved_at, ticket)) = self.order.front()
            && resolved_at.saturating_add(PROVISIONAL_MS) < at
        {
            self.order.pop_front();
            if let Some(resolved) = self.resolved.remove(&ticket)
                && let Some(person) = resolved.of.person
            {
                self.of_person.remove(&(person, ticket));
            }
        }
    }

    pub(super) fn provisional(&self, range: &Range<Quarter>, now: i64) -> u64 {
        let open = self.resolved.values().filter(|resolved| {
            resolved.first
                && resolved.at.saturating_add(PROVISIONAL_MS) >= now
                && range.contains(&Quarter::of(resolved.at))
        });
        open.count() as u64
    }
}
