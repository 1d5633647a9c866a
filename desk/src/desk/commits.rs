//! What is to be written: streams of events, one write of each at a time.
//!
//! Each contact, and each tenant for what belongs to no contact, has a stream.
//! A stream has at most one write in flight, so that its events reach the log
//! in order whatever fails. Events wait a moment for company; a ticket takes
//! along at once what waits. When the store falls behind, streams wait; when
//! too much waits, journey events collapse into one counted gap per tenant,
//! which is written when there is room again.

use std::time::Duration;

use super::{Desk, Memo, Output, TicketState};
use crate::event::Event;
use crate::incidents::IncidentRows;
use crate::message::{Commit, CommitId, ContactId, Personal, PromiseId, Stamped};
use crate::promises::PromiseNumber;
use crate::tickets::TicketFacts;

/// Events of one stream that may wait.
const STREAM_MAX: usize = 256;

/// Whose stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Contact(ContactId),
    /// By index.
    Tenant(usize),
    /// Of the tenant with this index. Nothing of a promise is ever given up.
    Promise(usize, PromiseId),
}

#[derive(Debug, Default)]
pub(super) struct Stream {
    /// In order.
    waiting: Vec<Stamped>,
    pub(super) personal: Option<Personal>,
    /// Of the promise that waits to be created.
    pub(super) number: Option<PromiseNumber>,
    write: Write,
    retries: u8,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Write {
    /// Nothing waits.
    #[default]
    Idle,
    /// What waits is written then.
    Lingering { until: Duration },
    /// The last write failed; the next is tried then.
    Paused { until: Duration },
    /// The store hasn't answered.
    InFlight,
}

impl Stream {
    /// Is everything it was given written (or counted as lost)?
    pub(super) fn is_quiet(&self) -> bool {
        self.write == Write::Idle && self.waiting.is_empty() && self.personal.is_none()
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.write == Write::InFlight
    }
}

/// A write the store was given.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) since: Duration,
    owner: Owner,
    tenant: usize,
    /// Kept for a second attempt.
    events: Vec<Stamped>,
    personal: Option<Personal>,
}

/// Events that won't be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    count: u64,
    from: i64,
    to: i64,
}

impl Gap {
    pub(super) fn one(at: i64) -> Self {
        Self {
            count: 1,
            from: at,
            to: at,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            from: self.from.min(other.from),
            to: self.to.max(other.to),
        }
    }
}

/// Why a write is made: part of the room is kept for tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    Journey,
    Ticket,
}

/// Somebody waits for it to be on disk; it isn't tried again.
fn is_awaited(stamped: &Stamped) -> bool {
    matches!(
        stamped.event,
        Event::TicketOpened { .. }
            | Event::TicketAttached { .. }
            | Event::ContactVerified { passed: true, .. }
    )
}

impl Desk {
    /// May one more write of this tenant be in flight?
    pub(super) fn has_room(&self, tenant: usize, urgency: Urgency) -> bool {
        let share = |max: usize| match urgency {
            Urgency::Ticket => max,
            Urgency::Journey => (max - max / 4).max(1),
        };
        self.flights.len() + self.ticket_flights.len() + self.incident_flights.len()
            < share(self.limits.commits_in_flight_max)
            && self.tenants[tenant].commits_in_flight
                < share(self.limits.commits_in_flight_per_tenant_max)
    }

    fn stream(&mut self, owner: Owner) -> Option<(usize, &mut Stream)> {
        match owner {
            Owner::Contact(id) => {
                let contact = self.contacts.get_mut(&id)?;
                Some((contact.tenant, &mut contact.stream))
            }
            Owner::Tenant(index) => Some((index, &mut self.tenants[index].stream)),
            Owner::Promise(index, promise) => {
                let stream = self.tenants[index].promises.stream(promise)?;
                Some((index, stream))
            }
        }
    }

    /// Lets an event wait for being written with the next of its stream.
    pub(super) fn queue(&mut self, owner: Owner, stamped: Stamped) {
        let Some((tenant, stream)) = self.stream(owner) else {
            return;
        };
        stream.waiting.push(stamped);
        let full = stream.waiting.len() > STREAM_MAX;
        self.tenants[tenant].events_waiting += 1;
        let waiting_max = self.limits.events_waiting_per_tenant_max;
        if full || self.tenants[tenant].events_waiting > waiting_max {
            self.collapse(owner);
        }
        self.linger(owner);
    }

    /// Makes sure that what waits is written in a moment.
    pub(super) fn linger(&mut self, owner: Owner) {
        let until = self.now + self.limits.linger;
        if let Some((_, stream)) = self.stream(owner)
            && stream.write == Write::Idle
        {
            stream.write = Write::Lingering { until };
            self.timers.linger_until(until, owner);
        }
    }

    /// A stream's timer has run out.
    pub(super) fn write_due(&mut self, at: Duration, owner: Owner) {
        let Some((_, stream)) = self.stream(owner) else {
            return;
        };
        match stream.write {
            Write::Lingering { until } | Write::Paused { until } if until == at => {
                self.write(owner);
            }
            // Written meanwhile for the sake of a ticket or an end.
            Write::Idle | Write::Lingering { .. } | Write::Paused { .. } | Write::InFlight => {}
        }
    }

    /// Gives the store what waits in a stream; if there is no room, what
    /// waits goes on waiting.
    pub(super) fn write(&mut self, owner: Owner) {
        let Some((tenant, stream)) = self.stream(owner) else {
            return;
        };
        if stream.write == Write::InFlight {
            // Its answer brings us back.
            return;
        }
        let kept = matches!(owner, Owner::Promise(..));
        let urgency = if kept || stream.waiting.iter().any(is_awaited) {
            Urgency::Ticket
        } else {
            Urgency::Journey
        };
        if !self.has_room(tenant, urgency) {
            let until = self.now + self.limits.linger;
            if let Some((_, stream)) = self.stream(owner) {
                stream.write = Write::Lingering { until };
                self.timers.linger_until(until, owner);
            }
            return;
        }
        let gap = match owner {
            Owner::Tenant(index) => self.tenants[index].gap.take(),
            Owner::Contact(_) | Owner::Promise(..) => None,
        };
        let Some((_, stream)) = self.stream(owner) else {
            return;
        };
        let mut events = std::mem::take(&mut stream.waiting);
        let personal = stream.personal.take();
        let numbers = stream.number.take().into_iter().collect();
        let waited = events.len();
        if let Some(Gap { count, from, to }) = gap {
            let event = Event::JournalGap { count, from, to };
            events.push(Stamped { at: to, event });
        }
        if events.is_empty() && personal.is_none() {
            stream.write = Write::Idle;
            return;
        }
        stream.write = Write::InFlight;
        let id = CommitId(self.next_commit);
        self.next_commit += 1;
        let of = &mut self.tenants[tenant];
        of.events_waiting -= waited;
        of.commits_in_flight += 1;
        self.outputs.push_back(Output::Commit(Commit {
            id,
            tenant: of.id,
            events: events.clone(),
            personal: personal.clone().into_iter().collect(),
            notes: Vec::new(),
            numbers,
            incidents: IncidentRows::default(),
        }));
        let flight = Flight {
            since: self.now,
            owner,
            tenant,
            events,
            personal,
        };
        self.flights.insert(id, flight);
    }

    pub(super) fn committed(&mut self, id: CommitId) {
        if self.ticket_stored(id, true) || self.incident_stored(id, true) {
            return;
        }
        // Unknown: the answer came twice.
        let Some(flight) = self.flights.remove(&id) else {
            return;
        };
        self.tenants[flight.tenant].commits_in_flight -= 1;
        let owner = flight.owner;
        if let Owner::Contact(contact) = owner {
            for awaited in flight.events.iter().filter(|e| is_awaited(e)) {
                match awaited.event {
                    Event::ContactVerified { .. } => self.verified_durable(contact, awaited),
                    _ => self.ticket_durable(contact, awaited),
                }
            }
        }
        let Some((_, stream)) = self.stream(owner) else {
            return;
        };
        stream.retries = 0;
        stream.write = Write::Idle;
        if let Owner::Promise(tenant, promise) = owner {
            self.promise_written(tenant, promise, &flight.events);
        }
        self.write_rest(owner);
        if let Owner::Promise(tenant, promise) = owner {
            self.promise_rests(tenant, promise);
        }
    }

    pub(super) fn commit_failed(&mut self, id: CommitId) {
        if self.ticket_stored(id, false) || self.incident_stored(id, false) {
            return;
        }
        let Some(mut flight) = self.flights.remove(&id) else {
            return;
        };
        let tenant = flight.tenant;
        self.tenants[tenant].commits_in_flight -= 1;
        let owner = flight.owner;
        if let Owner::Promise(tenant, promise) = owner {
            return self.promise_unwritten(tenant, promise, flight.events);
        }
        let is_shown = |e: &Stamped| matches!(e.event, Event::ContactVerified { .. });
        let mut held = flight.events.iter().filter(|e| is_awaited(e));
        let held_ticket = held.clone().any(|e| !is_shown(e));
        let held_verified = held.any(is_shown);
        // A ticket isn't tried again: its caller is told now, and whoever asks
        // next gets a new one. A gap goes back to its tenant.
        let mut gap = None;
        flight.events.retain(|stamped| match stamped.event {
            _ if is_awaited(stamped) => false,
            Event::JournalGap { count, from, to } => {
                gap = Some(Gap { count, from, to });
                false
            }
            _ => true,
        });
        if let Some(gap) = gap {
            let of = &mut self.tenants[tenant].gap;
            *of = Some(of.map_or(gap, |later| gap.and(later)));
        }
        let retries_max = self.limits.retries_max;
        let Some((_, stream)) = self.stream(owner) else {
            return;
        };
        let returned = flight.events.len();
        flight.events.append(&mut stream.waiting);
        stream.waiting = flight.events;
        stream.personal = stream.personal.take().or(flight.personal);
        let awaited_waits = stream.waiting.iter().any(is_awaited);
        let given_up = stream.retries >= retries_max;
        stream.retries = if given_up { 0 } else { stream.retries + 1 };
        stream.write = Write::Idle;
        self.tenants[tenant].events_waiting += returned;
        if held_ticket && let Owner::Contact(contact) = owner {
            self.ticket_withdrawn(contact);
        }
        if held_verified && let Owner::Contact(contact) = owner {
            self.verified_withdrawn(contact, None);
        }
        if given_up {
            self.collapse(owner);
            if let Some((_, stream)) = self.stream(owner)
                && let Owner::Contact(_) = owner
                && !awaited_waits
            {
                stream.personal = None;
            }
        }
        if awaited_waits {
            // It was behind the write that failed and has its own chance.
            self.write(owner);
        } else {
            self.pause(owner);
        }
    }

    /// A write failed: these are written before what waits, in a while.
    pub(super) fn write_again(&mut self, owner: Owner, mut events: Vec<Stamped>) {
        let Some((tenant, stream)) = self.stream(owner) else {
            return;
        };
        let returned = events.len();
        events.append(&mut stream.waiting);
        stream.waiting = events;
        stream.write = Write::Idle;
        self.tenants[tenant].events_waiting += returned;
        self.pause(owner);
    }

    /// After a failure: once more, in a while, if there is anything left.
    fn pause(&mut self, owner: Owner) {
        let until = self.now + self.limits.retry_pause;
        let owes_gap = match owner {
            Owner::Tenant(index) => self.tenants[index].gap.is_some(),
            Owner::Contact(_) | Owner::Promise(..) => false,
        };
        if let Some((_, stream)) = self.stream(owner)
            && (owes_gap || !stream.waiting.is_empty() || stream.personal.is_some())
        {
            stream.write = Write::Paused { until };
            self.timers.retry_at(until, owner);
        }
    }

    /// After a write: what came meanwhile.
    fn write_rest(&mut self, owner: Owner) {
        let owes_gap = match owner {
            Owner::Tenant(index) => self.tenants[index].gap.is_some(),
            Owner::Contact(_) | Owner::Promise(..) => false,
        };
        let Some((_, stream)) = self.stream(owner) else {
            return;
        };
        if owes_gap || !stream.waiting.is_empty() || stream.personal.is_some() {
            self.write(owner);
        }
    }

    /// Counts a stream's waiting events as lost, all but its ticket.
    fn collapse(&mut self, owner: Owner) {
        if matches!(owner, Owner::Promise(..)) {
            return;
        }
        let Some((tenant, stream)) = self.stream(owner) else {
            return;
        };
        let mut gap: Option<Gap> = None;
        stream.waiting.retain(|stamped| {
            if is_awaited(stamped) {
                return true;
            }
            let one = Gap::one(stamped.at);
            gap = Some(gap.map_or(one, |gap| gap.and(one)));
            false
        });
        if let Some(gap) = gap {
            self.tenants[tenant].events_waiting -= gap.count as usize;
            self.lost(tenant, gap);
        }
    }

    /// Adds to a tenant's gap and sees to its being written.
    pub(super) fn lost(&mut self, tenant: usize, gap: Gap) {
        self.load.events_lost += gap.count;
        let of = &mut self.tenants[tenant].gap;
        *of = Some(of.map_or(gap, |before| before.and(gap)));
        self.linger(Owner::Tenant(tenant));
    }

    fn ticket_durable(&mut self, id: ContactId, opened: &Stamped) {
        let (Event::TicketOpened { number, .. } | Event::TicketAttached { number, .. }) =
            opened.event
        else {
            return;
        };
        let Some(contact) = self.contacts.get_mut(&id) else {
            return;
        };
        contact.facts.apply(opened);
        let of = &mut self.tenants[contact.tenant];
        if let Event::TicketOpened { ticket, .. } = opened.event {
            let facts = TicketFacts::opened(number, id);
            of.tickets.insert(ticket, facts, contact.ani, &of.rules);
        }
        of.tickets.apply(&contact.facts, opened, &of.rules);
        let before = std::mem::replace(&mut contact.ticket, TicketState::Durable(number));
        if let TicketState::Pending { waiting, late } = before {
            for command in waiting {
                self.reply(command, id, Memo::Ticket);
            }
            // The call went on without it; whoever takes it may still see it.
            if let Some(command) = late {
                self.answer_memo(command, id, Memo::Ticket);
            }
        }
    }

    fn ticket_withdrawn(&mut self, id: ContactId) {
        let Some(contact) = self.contacts.get_mut(&id) else {
            return;
        };
        if let TicketState::Pending { waiting, .. } =
            std::mem::replace(&mut contact.ticket, TicketState::None)
        {
            for command in waiting {
                self.ticket_failed(command, id);
            }
        }
    }
}
