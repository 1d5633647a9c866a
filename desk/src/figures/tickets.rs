//! First-contact resolution: a verdict that a later contact can still change,
//! for seven days. And the backlog: the tickets that are open.
//!
//! Who calls again may call about something else. Of a person every further
//! contact counts unless it is known to be about another reason; of a place,
//! where many people call about many things, only one that is known to be about
//! the same. What a contact is about is told by its ticket, perhaps later:
//! until the seven days are over the verdict may change either way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use super::cells::{Backlog, Quarter, TicketCounts};
use crate::event::Found;
use crate::message::{ContactId, PersonId, TicketId};
use crate::tickets::{ReasonCode, TicketEscalation};

/// How long after it is resolved a ticket's caller may come again and change the verdict, milliseconds.
pub const PROVISIONAL_MS: i64 = 7 * 24 * 3_600_000;

/// Open tickets that are known: of those opened before, nobody can say that they took one contact. As many are known
/// by what they are about.
const OPEN_MAX: usize = 200_000;
/// Later contacts of one ticket's person or place that are told apart; of who calls more often within the seven days
/// nobody can say that they didn't call about it again, and it isn't counted.
const DOUBTS_MAX: usize = 64;

/// Who may come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// Somebody, by their number.
    Person(PersonId),
    /// Whoever calls from there.
    Place(PersonId),
}

impl Who {
    pub(super) fn found(found: Found) -> Option<Self> {
        match found {
            Found::Person { person, .. } | Found::PossiblePatient { person } => {
                Some(Self::Person(person))
            }
            Found::Place { person } => Some(Self::Place(person)),
            Found::Unknown => None,
        }
    }

    /// Does a later contact of theirs count as a repetition, with what is known of the two reasons?
    fn repeats(self, reason: Option<ReasonCode>, later: Option<ReasonCode>) -> bool {
        match self {
            Self::Person(_) => reason.is_none() || later.is_none() || reason == later,
            Self::Place(_) => reason.is_some() && reason == later,
        }
    }
}

/// Tickets that are open, and those resolved lately.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tickets {
    open: BTreeMap<TicketId, Open>,
    /// What tickets are about, of those of which somebody has said it. Kept for longer than the ticket is: a contact
    /// that belonged to it may be in doubt for another ticket yet.
    about: BTreeMap<TicketId, ReasonCode>,
    resolved: BTreeMap<TicketId, Resolved>,
    /// Those resolved that a later contact may change, by whose they are.
    of_whom: BTreeSet<(Who, TicketId)>,
    /// Those resolved, in the order in which they were.
    order: VecDeque<(i64, TicketId)>,
    /// Contacts that came later, and after which tickets.
    doubts: BTreeSet<(ContactId, TicketId)>,
    /// To which ticket a contact belongs.
    own: BTreeMap<ContactId, TicketId>,
    contacts: BTreeSet<(TicketId, ContactId)>,
    /// Since when these are known, in order.
    belonged: VecDeque<(i64, ContactId)>,
    backlog: BTreeMap<TicketId, Waiting>,
    pub(super) counts: BTreeMap<Quarter, TicketCounts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    contact: ContactId,
    who: Option<Who>,
    /// A second contact belongs to it, or may.
    again: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Resolved {
    of: Open,
    at: i64,
    /// Counted as resolved on first contact.
    first: bool,
    /// Who came later.
    later: Vec<ContactId>,
}

/// An open ticket, and since when it is where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    since: i64,
    why: Option<TicketEscalation>,
}

impl Tickets {
    fn count(&mut self, at: i64) -> &mut TicketCounts {
        self.counts.entry(Quarter::of(at)).or_default()
    }

    pub(super) fn opened(
        &mut self,
        ticket: TicketId,
        contact: ContactId,
        who: Option<Who>,
        at: i64,
    ) {
        self.forget(at);
        self.count(at).opened += 1;
        self.keep(
            ticket,
            Open {
                contact,
                who,
                again: false,
            },
        );
        self.waits(ticket, at, None);
        self.belongs(contact, ticket, at);
    }

    fn keep(&mut self, ticket: TicketId, open: Open) {
        self.open.insert(ticket, open);
        if self.open.len() > OPEN_MAX {
            self.open.pop_first();
        }
    }

    fn waits(&mut self, ticket: TicketId, since: i64, why: Option<TicketEscalation>) {
        self.backlog.insert(ticket, Waiting { since, why });
        if self.backlog.len() > OPEN_MAX {
            self.backlog.pop_first();
        }
    }

    /// What a contact is about is what its ticket is about.
    fn belongs(&mut self, contact: ContactId, ticket: TicketId, at: i64) {
        self.belongs_nowhere(contact);
        self.own.insert(contact, ticket);
        self.contacts.insert((ticket, contact));
        self.belonged.push_back((at, contact));
        self.judge_after(contact);
    }

    fn belongs_nowhere(&mut self, contact: ContactId) {
        if let Some(ticket) = self.own.remove(&contact) {
            self.contacts.remove(&(ticket, contact));
        }
    }

    /// A further contact belongs to it.
    pub(super) fn attached(&mut self, ticket: TicketId, contact: ContactId, at: i64) {
        self.forget(at);
        if let Some(open) = self.open.get_mut(&ticket) {
            open.again = true;
        }
        self.not_first(ticket, at);
        self.belongs(contact, ticket, at);
    }

    /// What it is about was said.
    pub(super) fn categorised(&mut self, ticket: TicketId, reason: Option<ReasonCode>, at: i64) {
        self.forget(at);
        match reason {
            Some(reason) => self.about.insert(ticket, reason),
            None => self.about.remove(&ticket),
        };
        if self.about.len() > OPEN_MAX {
            self.about.pop_first();
        }
        self.judge(ticket);
        let of = (ticket, ContactId(0))..=(ticket, ContactId(u64::MAX));
        let contacts: Vec<ContactId> = self.contacts.range(of).map(|(_, id)| *id).collect();
        for contact in contacts {
            self.judge_after(contact);
        }
    }

    /// It went up a tier, or stays at the top, because of this.
    pub(super) fn escalated(&mut self, ticket: TicketId, why: TicketEscalation, at: i64) {
        if self.backlog.contains_key(&ticket) {
            self.waits(ticket, at, Some(why));
        }
    }

    /// It is the same as another: that one took more than one contact.
    pub(super) fn merged(&mut self, ticket: TicketId, into: TicketId, at: i64) {
        self.categorised(ticket, None, at);
        self.backlog.remove(&ticket);
        self.open.remove(&ticket);
        if let Some(open) = self.open.get_mut(&into) {
            open.again = true;
        }
        self.not_first(into, at);
    }

    pub(super) fn resolved(&mut self, ticket: TicketId, at: i64) {
        self.forget(at);
        self.backlog.remove(&ticket);
        if self.resolved.contains_key(&ticket) {
            // Told twice, or again after it was reopened.
            return;
        }
        // One that isn't known may have had any number of contacts.
        let of = self.open.remove(&ticket).unwrap_or(Open {
            contact: ContactId(0),
            who: None,
            again: true,
        });
        let first = !of.again;
        let count = self.count(at);
        count.resolved += 1;
        count.first_contact += u64::from(first);
        let later = Vec::new();
        let resolved = Resolved {
            of,
            at,
            first,
            later,
        };
        self.resolved.insert(ticket, resolved);
        self.order.push_back((at, ticket));
        if let Some(who) = of.who.filter(|_| first) {
            self.of_whom.insert((who, ticket));
        }
    }

    pub(super) fn reopened(&mut self, ticket: TicketId, at: i64) {
        self.forget(at);
        if !self.backlog.contains_key(&ticket) {
            self.waits(ticket, at, None);
        }
        if self.resolved.contains_key(&ticket) {
            self.not_first(ticket, at);
        } else {
            let of = self.open.get(&ticket).copied().unwrap_or(Open {
                contact: ContactId(0),
                who: None,
                again: true,
            });
            self.keep(ticket, of);
        }
    }

    /// Somebody calls who may have called about it before.
    pub(super) fn calls(&mut self, contact: ContactId, who: Who, at: i64) {
        self.forget(at);
        let theirs = (who, TicketId(0))..=(who, TicketId(u64::MAX));
        let before: Vec<TicketId> = self.of_whom.range(theirs).map(|(_, id)| *id).collect();
        for ticket in before {
            let Some(resolved) = self.resolved.get_mut(&ticket) else {
                continue;
            };
            let in_time = at <= resolved.at.saturating_add(PROVISIONAL_MS);
            if resolved.of.contact == contact || !in_time || resolved.later.contains(&contact) {
                continue;
            }
            if resolved.later.len() == DOUBTS_MAX {
                self.not_first(ticket, at);
                continue;
            }
            resolved.later.push(contact);
            self.doubts.insert((contact, ticket));
            self.judge(ticket);
        }
    }

    /// What is known of a later contact has changed.
    fn judge_after(&mut self, contact: ContactId) {
        let of = (contact, TicketId(0))..=(contact, TicketId(u64::MAX));
        let tickets: Vec<TicketId> = self.doubts.range(of).map(|(_, id)| *id).collect();
        for ticket in tickets {
            self.judge(ticket);
        }
    }

    fn reason(&self, contact: ContactId) -> Option<ReasonCode> {
        self.about.get(self.own.get(&contact)?).copied()
    }

    /// Says again whether a resolved ticket took one contact, with what is known by now.
    fn judge(&mut self, ticket: TicketId) {
        let Some(resolved) = self.resolved.get(&ticket) else {
            return;
        };
        let Some(who) = resolved.of.who.filter(|_| !resolved.of.again) else {
            return;
        };
        let reason = self.about.get(&ticket).copied();
        let mut later = resolved.later.iter();
        let repeated = later.any(|later| who.repeats(reason, self.reason(*later)));
        self.say(ticket, !repeated);
    }

    fn say(&mut self, ticket: TicketId, first: bool) {
        let Some(resolved) = self.resolved.get_mut(&ticket) else {
            return;
        };
        if std::mem::replace(&mut resolved.first, first) == first {
            return;
        }
        let quarter = Quarter::of(resolved.at);
        if let Some(count) = self.counts.get_mut(&quarter) {
            count.first_contact = match first {
                true => count.first_contact + 1,
                false => count.first_contact.saturating_sub(1),
            };
        }
    }

    /// For good, if it is in time.
    fn not_first(&mut self, ticket: TicketId, at: i64) {
        let Some(resolved) = self.resolved.get_mut(&ticket) else {
            return;
        };
        if at > resolved.at.saturating_add(PROVISIONAL_MS) {
            return;
        }
        resolved.of.again = true;
        self.say(ticket, false);
        self.undoubt(ticket);
    }

    /// Nothing that comes later changes it any more.
    fn undoubt(&mut self, ticket: TicketId) {
        let Some(resolved) = self.resolved.get_mut(&ticket) else {
            return;
        };
        if let Some(who) = resolved.of.who {
            self.of_whom.remove(&(who, ticket));
        }
        for contact in std::mem::take(&mut resolved.later) {
            self.doubts.remove(&(contact, ticket));
        }
    }

    /// What can't change any more.
    fn forget(&mut self, at: i64) {
        while let Some(&(resolved_at, ticket)) = self.order.front()
            && resolved_at.saturating_add(PROVISIONAL_MS) < at
        {
            self.order.pop_front();
            self.undoubt(ticket);
            self.resolved.remove(&ticket);
        }
        // Nothing that was resolved before these came is changed any more.
        while let Some(&(since, contact)) = self.belonged.front()
            && since.saturating_add(PROVISIONAL_MS) < at
        {
            self.belonged.pop_front();
            self.belongs_nowhere(contact);
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

    pub(super) fn backlog(&self, now: i64) -> BTreeMap<Option<TicketEscalation>, Backlog> {
        let mut reasons: BTreeMap<_, Backlog> = BTreeMap::new();
        for Waiting { since, why } in self.backlog.values() {
            let of = reasons.entry(*why).or_default();
            of.tickets += 1;
            let since = (*since).min(now);
            of.since = Some(of.since.map_or(since, |before| before.min(since)));
            of.ages[Backlog::age(now - since)] += 1;
        }
        reasons
    }
}
