//! The work on tickets: commands with answers, and what tickets are owed.
//!
//! A change of a ticket is decided when the one before is on disk: at most one
//! write of a ticket is on its way, and what is asked meanwhile waits for it.
//! Nothing is applied, nor said, before it is durable; what the store didn't
//! take isn't tried again by itself, but for what is owed, which is told from
//! the ticket's state ([`crate::tickets::owed`]) and so is owed still.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use smallvec::{SmallVec, smallvec};

use super::commits::Urgency;
use super::{Desk, Output};
use crate::contact::Facts;
use crate::event::Event;
use crate::incidents::IncidentRows;
use crate::message::{CommandId, Commit, CommitId, Stamped, TicketId};
use crate::tickets::{
    Merging, Refusal, TicketAnswer, TicketCommand, TicketDeed, TicketNote, TicketReply, decide,
    owed, wake,
};

/// Commands that may wait for one ticket, and for all of a tenant's.
const WAITING_MAX: usize = 16;
const WAITING_PER_TENANT_MAX: usize = 1_024;
/// Commands whose answer is remembered, per tenant.
const REMEMBERED_MAX: usize = 4_096;
/// Writes of what is owed that are on their way at a time, per tenant: after a
/// long time without Careline much is.
const OWED_IN_FLIGHT_MAX: usize = 64;

/// One tenant's.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Tickets with a write on its way, and what waits for its end.
    busy: HashMap<TicketId, VecDeque<TicketCommand>>,
    /// How many wait.
    waiting: usize,
    answered: Answered,
    /// Writes on their way that nobody asked for.
    owed_in_flight: usize,
    /// Tickets whose time has come while there was no room.
    behind: VecDeque<TicketId>,
}

/// A write of a ticket the store was given.
#[derive(Debug)]
pub(super) struct TicketFlight {
    pub(super) since: Duration,
    tenant: usize,
    events: SmallVec<[Stamped; 1]>,
    /// Nothing else is done to these meanwhile.
    tickets: SmallVec<[TicketId; 2]>,
    /// Who asked for it, about which ticket; `None`: it was owed.
    asked: Option<(CommandId, TicketId)>,
}

/// What the latest commands were answered; of those on their way nothing.
#[derive(Debug, Default)]
struct Answered {
    of: HashMap<CommandId, Option<Memo>>,
    order: VecDeque<CommandId>,
}

#[derive(Debug, Clone, Copy)]
enum Memo {
    /// With the ticket as it stands when asked again.
    Done(TicketId),
    Refused(Refusal),
}

impl Answered {
    fn note(&mut self, id: CommandId, memo: Option<Memo>) {
        if self.of.insert(id, memo).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
    }
}

impl Desk {
    /// Somebody asks something of a ticket.
    pub(super) fn ticket_command(&mut self, command: TicketCommand) {
        let Some(&tenant) = self.tenant_index.get(&command.tenant) else {
            let reply = TicketReply::Refused(Refusal::NotFound);
            return self.say(command.id, command.tenant, reply);
        };
        match self.tenants[tenant].work.answered.of.get(&command.id) {
            // On its way: it is answered when that has ended.
            Some(None) => return,
            Some(Some(memo)) => {
                let memo = *memo;
                return self.answer_ticket(tenant, command.id, memo);
            }
            None => {}
        }
        let (id, deadline) = (command.id, self.now + self.limits.ticket_deadline);
        self.tenants[tenant].work.answered.note(id, None);
        self.timers.deed_until(deadline, tenant, id);
        self.do_deed(tenant, command);
    }

    /// Decides a command, or lets it wait.
    fn do_deed(&mut self, tenant: usize, command: TicketCommand) {
        let id = command.id;
        let of = &self.tenants[tenant];
        let find = |number: crate::ticket::TicketNumber| {
            let asked = number.ticket(&of.ticket_key)?;
            Some((asked, of.tickets.leads_to(asked)?))
        };
        let Some((asked, ticket)) = find(command.number) else {
            return self.refuse(tenant, id, Refusal::NotFound);
        };
        let other = match command.deed {
            TicketDeed::Look => {
                return self.done(tenant, id, ticket);
            }
            TicketDeed::Merge { into } => match find(into) {
                Some((other, to)) => {
                    if asked != other && asked != ticket && to == ticket {
                        // A repetition: it leads there.
                        return self.done(tenant, id, ticket);
                    }
                    Some(to)
                }
                None => return self.refuse(tenant, id, Refusal::NotFound),
            },
            _ => None,
        };
        for busy in [Some(ticket), other].into_iter().flatten() {
            if self.tenants[tenant].work.busy.contains_key(&busy) {
                return self.let_wait(tenant, busy, command);
            }
        }
        // What has come due comes first: nobody gets round a missed update.
        if self.pay(tenant, ticket) {
            return self.let_wait(tenant, ticket, command);
        }
        let of = &self.tenants[tenant];
        let Some(facts) = of.tickets.facts(ticket) else {
            return self.refuse(tenant, id, Refusal::NotFound);
        };
        let merging = other.and_then(|into| {
            let facts = of.tickets.facts(into)?;
            Some(Merging { into, facts })
        });
        let event = match decide(ticket, facts, &command, &of.rules, merging) {
            Ok(Some(event)) => event,
            Ok(None) => return self.done(tenant, id, ticket),
            Err(refusal) => return self.refuse(tenant, id, refusal),
        };
        if !self.has_room(tenant, Urgency::Ticket) {
            return self.refuse(tenant, id, Refusal::Busy);
        }
        let note = match (event, command.deed) {
            (Event::TicketNoted { note, ticket, .. }, TicketDeed::Note(text)) => {
                Some(TicketNote { note, ticket, text })
            }
            _ => None,
        };
        let at = command.at;
        let tickets = [Some(ticket), other].into_iter().flatten().collect();
        self.send_ticket(
            tenant,
            Stamped { at, event },
            note,
            tickets,
            Some((id, ticket)),
        );
    }

    fn let_wait(&mut self, tenant: usize, ticket: TicketId, command: TicketCommand) {
        let work = &mut self.tenants[tenant].work;
        let queue = work.busy.entry(ticket).or_default();
        if queue.len() >= WAITING_MAX || work.waiting >= WAITING_PER_TENANT_MAX {
            return self.refuse(tenant, command.id, Refusal::Busy);
        }
        work.waiting += 1;
        queue.push_back(command);
    }

    fn send_ticket(
        &mut self,
        tenant: usize,
        stamped: Stamped,
        note: Option<TicketNote>,
        tickets: SmallVec<[TicketId; 2]>,
        asked: Option<(CommandId, TicketId)>,
    ) {
        let of = &mut self.tenants[tenant];
        for ticket in &tickets {
            of.work.busy.entry(*ticket).or_default();
        }
        of.commits_in_flight += 1;
        let id = CommitId(self.next_commit);
        self.next_commit += 1;
        self.outputs.push_back(Output::Commit(Commit {
            id,
            tenant: of.id,
            events: vec![stamped],
            personal: Vec::new(),
            notes: note.into_iter().collect(),
            numbers: Vec::new(),
            incidents: IncidentRows::default(),
        }));
        let flight = TicketFlight {
            since: self.now,
            tenant,
            events: smallvec![stamped],
            tickets,
            asked,
        };
        self.ticket_flights.insert(id, flight);
    }

    /// The store has answered a ticket's write. False if it wasn't one.
    pub(super) fn ticket_stored(&mut self, id: CommitId, ok: bool) -> bool {
        let Some(flight) = self.ticket_flights.remove(&id) else {
            return false;
        };
        let tenant = flight.tenant;
        let wall = self.wall_now();
        let pause_ms = i64::try_from(self.limits.retry_pause.as_millis()).unwrap_or(i64::MAX);
        let of = &mut self.tenants[tenant];
        of.commits_in_flight -= 1;
        if ok {
            for stamped in &flight.events {
                of.tickets.apply(&Facts::default(), stamped, &of.rules);
            }
        }
        match flight.asked {
            Some((command, ticket)) if ok => self.done(tenant, command, ticket),
            Some((command, _)) => self.refuse(tenant, command, Refusal::NotWritten),
            None => of.work.owed_in_flight -= 1,
        }
        let of = &mut self.tenants[tenant];
        let mut free: SmallVec<[VecDeque<TicketCommand>; 2]> = SmallVec::new();
        for ticket in &flight.tickets {
            let waiting = of.work.busy.remove(ticket).unwrap_or_default();
            of.work.waiting -= waiting.len();
            free.push(waiting);
            // It may have come due meanwhile; what failed is tried again in a moment.
            let due = of.tickets.facts(*ticket);
            let due = due.and_then(|facts| wake(facts, &of.rules));
            let not_before = if ok {
                i64::MIN
            } else {
                wall.saturating_add(pause_ms)
            };
            of.tickets
                .wake_at(*ticket, due.map(|at| at.max(not_before)));
        }
        for command in free.into_iter().flatten() {
            if ok || flight.asked.is_some() {
                self.do_deed(tenant, command);
            } else {
                // What comes first can't be written: nor can this.
                self.refuse(tenant, command.id, Refusal::NotWritten);
            }
        }
        if ok {
            for stamped in &flight.events {
                self.incident_hears(tenant, stamped);
            }
        }
        self.catch_up(tenant);
        true
    }

    /// Time has passed: tickets may be owed something.
    pub(super) fn pay_tickets(&mut self) {
        if !self.knows_wall() {
            return;
        }
        let wall = self.wall_now();
        for tenant in 0..self.tenants.len() {
            while let Some(ticket) = self.tenants[tenant].tickets.due(wall) {
                self.pay_or_remember(tenant, ticket);
            }
        }
    }

    fn pay_or_remember(&mut self, tenant: usize, ticket: TicketId) {
        let work = &self.tenants[tenant].work;
        // One with a write on its way is looked at again when that has ended.
        if work.busy.contains_key(&ticket) {
            return;
        }
        if work.owed_in_flight >= OWED_IN_FLIGHT_MAX {
            self.tenants[tenant].work.behind.push_back(ticket);
        } else if !self.pay(tenant, ticket) {
            self.look_later(tenant, ticket);
        }
    }

    /// Those whose time came while there was no room.
    fn catch_up(&mut self, tenant: usize) {
        while self.tenants[tenant].work.owed_in_flight < OWED_IN_FLIGHT_MAX
            && let Some(ticket) = self.tenants[tenant].work.behind.pop_front()
        {
            self.pay_or_remember(tenant, ticket);
        }
    }

    /// Nothing could be written of it: there was no room, or it isn't its time.
    fn look_later(&mut self, tenant: usize, ticket: TicketId) {
        let wall = self.wall_now();
        let pause_ms = i64::try_from(self.limits.retry_pause.as_millis()).unwrap_or(i64::MAX);
        let of = &mut self.tenants[tenant];
        let due = of.tickets.facts(ticket);
        let due = due.and_then(|facts| wake(facts, &of.rules));
        let later = wall.saturating_add(pause_ms);
        let at = due.map(|at| if at <= wall { later } else { at });
        of.tickets.wake_at(ticket, at);
    }

    /// Writes what a ticket is owed now. False if that is nothing, or there is no room.
    fn pay(&mut self, tenant: usize, ticket: TicketId) -> bool {
        let at = self.wall_now();
        let of = &self.tenants[tenant];
        let facts = of.tickets.facts(ticket);
        let owed = facts.and_then(|facts| owed(ticket, facts, &of.rules, at, self.running_since));
        let Some(event) = owed.filter(|_| self.has_room(tenant, Urgency::Ticket)) else {
            return false;
        };
        self.tenants[tenant].work.owed_in_flight += 1;
        self.send_ticket(tenant, Stamped { at, event }, None, smallvec![ticket], None);
        true
    }

    /// A command has waited for long enough.
    pub(super) fn deed_overdue(&mut self, tenant: usize, id: CommandId) {
        let work = &mut self.tenants[tenant].work;
        if !matches!(work.answered.of.get(&id), Some(None)) {
            return;
        }
        for queue in work.busy.values_mut() {
            let before = queue.len();
            queue.retain(|command| command.id != id);
            if queue.len() < before {
                // It wasn't begun: it won't be done.
                work.waiting -= 1;
                return self.refuse(tenant, id, Refusal::NotWritten);
            }
        }
        self.refuse(tenant, id, Refusal::NotDurable);
    }

    fn done(&mut self, tenant: usize, id: CommandId, ticket: TicketId) {
        self.remember_and_say(tenant, id, Memo::Done(ticket));
    }

    fn refuse(&mut self, tenant: usize, id: CommandId, refusal: Refusal) {
        self.load.deeds_refused += 1;
        self.remember_and_say(tenant, id, Memo::Refused(refusal));
    }

    fn remember_and_say(&mut self, tenant: usize, id: CommandId, memo: Memo) {
        self.tenants[tenant].work.answered.note(id, Some(memo));
        self.answer_ticket(tenant, id, memo);
    }

    fn answer_ticket(&mut self, tenant: usize, id: CommandId, memo: Memo) {
        let of = &self.tenants[tenant];
        let reply = match memo {
            Memo::Refused(refusal) => TicketReply::Refused(refusal),
            Memo::Done(ticket) => {
                let ticket = of.tickets.leads_to(ticket);
                let facts = ticket.and_then(|ticket| of.tickets.facts(ticket));
                facts.map_or(TicketReply::Refused(Refusal::NotFound), |facts| {
                    TicketReply::Done(*facts)
                })
            }
        };
        let tenant = of.id;
        self.say(id, tenant, reply);
    }

    fn say(&mut self, id: CommandId, tenant: crate::message::TenantId, reply: TicketReply) {
        let answer = TicketAnswer { id, tenant, reply };
        self.outputs.push_back(Output::Ticket(answer));
    }
}
