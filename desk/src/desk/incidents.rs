//! Incidents: what somebody asks of them is written before it counts, what
//! callers hear is told at once, and whoever wants to know of the end is owed
//! a call from then on.
//!
//! One write of a hospital's incidents is on its way at a time, and whatever is
//! asked meanwhile is decided on what is on disk by then. People who want to be
//! told are written several together: hundreds may press the key at a time.

use std::collections::VecDeque;
use std::time::Duration;

use smallvec::SmallVec;

use super::commits::Urgency;
use super::{
    CommandId, Commit, CommitId, ContactId, Desk, IncidentSetup, Memo, Output, Owner, Reply,
    Stamped, TenantId,
};
use crate::event::{Event, Found};
use crate::incidents::{
    Board, Concern, Decided, IncidentAnswer, IncidentBy, IncidentCommand, IncidentDeed,
    IncidentFacts, IncidentRefusal, IncidentReply, IncidentRows, IncidentRules, IncidentText,
    Subscriber,
};
use crate::message::{AgentId, EndCause, IncidentId, PhoneNumber, QueueId, Role, TicketId};
use crate::tickets::{ReasonCode, Updated};

/// What waits for the write under way, per tenant.
const WAITING_MAX: usize = 1_024;
/// People written together who want to be told.
const TOGETHER_MAX: usize = 64;
/// Commands whose answer is remembered, per tenant.
const REMEMBERED_MAX: usize = 1_024;
/// Pause before a call that is owed and couldn't be planned is looked at again.
const OWED_PAUSE: Duration = Duration::from_secs(60);

/// One tenant's.
#[derive(Debug)]
pub(super) struct Incidents {
    board: Board,
    waiting: VecDeque<Job>,
    writing: bool,
    /// The latest commands; those on their way have no answer.
    answered: VecDeque<(CommandId, Option<IncidentReply>)>,
    /// Nothing is tried again before.
    not_before: Duration,
    /// Calls that are owed are planned then.
    owe_at: Option<Duration>,
}

#[derive(Debug)]
enum Job {
    Command(IncidentCommand),
    Subscribe(CommandId, ContactId, Subscriber),
    Publish(CommandId, ContactId, Previewed, AgentId),
    Categorised(i64, TicketId, ReasonCode),
}

/// What a supervisor has heard, and may have callers hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Previewed {
    Draft(IncidentId),
    Surge,
}

/// A write the store was given.
#[derive(Debug)]
pub(super) struct IncidentFlight {
    pub(super) since: Duration,
    tenant: usize,
    incident: IncidentId,
    events: Vec<Stamped>,
    texts: Vec<IncidentText>,
    asked: Asked,
}

#[derive(Debug)]
enum Asked {
    Command(CommandId),
    Subscribers(Vec<(CommandId, ContactId, Subscriber)>),
    /// A supervisor, by their telephone.
    Caller(CommandId, ContactId),
    Nobody,
}

impl Incidents {
    pub(super) fn new(setup: IncidentSetup) -> Self {
        Self {
            board: Board::new(setup.rules, setup.next, setup.known),
            waiting: VecDeque::new(),
            writing: false,
            answered: VecDeque::new(),
            not_before: Duration::ZERO,
            owe_at: None,
        }
    }

    fn remember(&mut self, id: CommandId, reply: Option<IncidentReply>) {
        match self.answered.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) => *known = reply,
            None => self.answered.push_back((id, reply)),
        }
        if self.answered.len() > REMEMBERED_MAX {
            self.answered.pop_front();
        }
    }
}

impl Desk {
    /// A hospital's incidents that aren't closed.
    pub fn incidents(
        &self,
        tenant: TenantId,
    ) -> impl Iterator<Item = (IncidentId, &IncidentFacts, &[IncidentText])> {
        let index = self.tenant_index.get(&tenant);
        let boards = index.map(|index| &self.tenants[*index].incidents.board);
        boards.into_iter().flat_map(|board| {
            let live = board.live();
            live.map(|(incident, facts)| (incident, facts, board.texts(incident)))
        })
    }

    /// Replaces what a tenant has agreed about its incidents. False if there is no such tenant.
    pub fn set_incident_rules(&mut self, tenant: TenantId, rules: IncidentRules) -> bool {
        let Some(&index) = self.tenant_index.get(&tenant) else {
            return false;
        };
        self.tenants[index].incidents.board.set_rules(rules);
        true
    }

    /// The wall clock is known: what a restart found is taken up.
    pub(super) fn restore_incidents(&mut self) {
        for tenant in 0..self.tenants.len() {
            let of = &self.tenants[tenant];
            let live = of.incidents.board.live();
            let known: Vec<_> = live.map(|(incident, _)| incident).collect();
            for incident in known {
                let texts = self.tenants[tenant]
                    .incidents
                    .board
                    .texts(incident)
                    .to_vec();
                self.prepare(tenant, texts);
            }
            self.owe_calls(tenant);
        }
    }

    /// When something of an incident is due.
    pub(super) fn incidents_wake(&self) -> Option<Duration> {
        let tenants = self.tenants.iter().map(|tenant| &tenant.incidents);
        let of = |incidents: &Incidents| {
            let expiry = incidents.board.next_wake().filter(|_| !incidents.writing);
            let expiry = expiry.map(|at| self.when(at).max(incidents.not_before));
            expiry.into_iter().chain(incidents.owe_at).min()
        };
        let wakes = tenants.filter_map(of).min();
        wakes.filter(|_| self.knows_wall())
    }

    pub(super) fn incidents_due(&mut self) {
        if !self.knows_wall() {
            return;
        }
        for tenant in 0..self.tenants.len() {
            let incidents = &mut self.tenants[tenant].incidents;
            if incidents.owe_at.is_some_and(|at| at <= self.now) {
                incidents.owe_at = None;
                self.owe_calls(tenant);
            }
            self.go_on(tenant);
        }
    }

    // ---- commands ----

    pub(super) fn incident_command(&mut self, command: IncidentCommand) {
        let id = command.id;
        let Some(&tenant) = self.tenant_index.get(&command.tenant) else {
            let reply = IncidentReply::Refused(IncidentRefusal::NotFound);
            return self.say_of_incident(id, command.tenant, reply);
        };
        let of = &self.tenants[tenant];
        if let Some((_, known)) = of.incidents.answered.iter().find(|(known, _)| *known == id) {
            // One on its way is answered when that has ended.
            if let Some(reply) = *known {
                self.say_of_incident(id, command.tenant, reply);
            }
            return;
        }
        if of.incidents.waiting.len() >= WAITING_MAX {
            let reply = IncidentReply::Refused(IncidentRefusal::Busy);
            return self.say_of_incident(id, command.tenant, reply);
        }
        let incidents = &mut self.tenants[tenant].incidents;
        incidents.remember(id, None);
        incidents.waiting.push_back(Job::Command(command));
        let until = self.now + self.limits.ticket_deadline;
        self.timers.deed_until(until, tenant, id);
        self.go_on(tenant);
    }

    /// A command has waited for long enough, if it waits still.
    pub(super) fn incident_overdue(&mut self, tenant: usize, id: CommandId) {
        let incidents = &mut self.tenants[tenant].incidents;
        let waits =
            |(known, reply): &(CommandId, Option<IncidentReply>)| *known == id && reply.is_none();
        if !incidents.answered.iter().any(waits) {
            return;
        }
        let before = incidents.waiting.len();
        let this = |job: &Job| matches!(job, Job::Command(command) if command.id == id);
        incidents.waiting.retain(|job| !this(job));
        // One that wasn't begun won't be done.
        let begun = incidents.waiting.len() == before;
        self.refuse_incident(
            tenant,
            id,
            match begun {
                true => IncidentRefusal::NotDurable,
                false => IncidentRefusal::NotWritten,
            },
        );
    }

    /// Does what is due and what waits, until something is being written.
    fn go_on(&mut self, tenant: usize) {
        while !self.tenants[tenant].incidents.writing {
            let at = self.wall_now();
            let of = &self.tenants[tenant].incidents;
            // Nobody gets round the end of its time.
            let expired = of.board.expired(at).filter(|_| of.not_before <= self.now);
            if let Some(decided) = expired {
                if self.has_room(tenant, Urgency::Ticket) {
                    self.write_incident(tenant, at, decided, Asked::Nobody);
                } else {
                    self.tenants[tenant].incidents.not_before = self.now + self.limits.retry_pause;
                }
                continue;
            }
            match self.tenants[tenant].incidents.waiting.pop_front() {
                None => return,
                Some(Job::Command(command)) => self.do_incident(tenant, &command),
                Some(Job::Subscribe(id, contact, subscriber)) => {
                    self.do_subscribe(tenant, at, (id, contact, subscriber));
                }
                Some(Job::Publish(id, contact, previewed, by)) => {
                    self.do_publish(tenant, at, (id, contact), (previewed, by));
                }
                Some(Job::Categorised(at, ticket, reason)) => {
                    let board = &mut self.tenants[tenant].incidents.board;
                    if let Some(decided) = board.categorised(at, ticket, reason)
                        && self.has_room(tenant, Urgency::Ticket)
                    {
                        self.write_incident(tenant, at, decided, Asked::Nobody);
                    }
                }
            }
        }
    }

    fn do_incident(&mut self, tenant: usize, command: &IncidentCommand) {
        let of = &mut self.tenants[tenant];
        let ticket = match command.deed {
            IncidentDeed::Attach { ticket, .. } => ticket
                .ticket(&of.ticket_key)
                .and_then(|ticket| of.tickets.leads_to(ticket)),
            _ => None,
        };
        let board = &mut of.incidents.board;
        let (at, by) = (command.at, command.by);
        match board.decide(at, by, &command.deed, &of.rules, ticket) {
            Err(refusal) => self.refuse_incident(tenant, command.id, refusal),
            Ok(None) => self.answer_incident(tenant, command.id, IncidentReply::Nothing),
            Ok(Some(decided)) if decided.events.is_empty() => {
                self.incident_done(tenant, command.id, decided.incident);
            }
            Ok(Some(_)) if !self.has_room(tenant, Urgency::Ticket) => {
                self.refuse_incident(tenant, command.id, IncidentRefusal::Busy);
            }
            Ok(Some(decided)) => {
                self.write_incident(tenant, at, decided, Asked::Command(command.id));
            }
        }
    }

    fn write_incident(&mut self, tenant: usize, at: i64, decided: Decided, asked: Asked) {
        let Decided {
            incident,
            events,
            texts,
        } = decided;
        let stamp = |event| Stamped { at, event };
        let events: Vec<_> = events.into_iter().map(stamp).collect();
        let subscribers = match &asked {
            Asked::Subscribers(all) => all.iter().map(|(.., of)| of.clone()).collect(),
            Asked::Command(_) | Asked::Caller(..) | Asked::Nobody => Vec::new(),
        };
        let of = &mut self.tenants[tenant];
        of.incidents.writing = true;
        of.commits_in_flight += 1;
        let id = CommitId(self.next_commit);
        self.next_commit += 1;
        self.outputs.push_back(Output::Commit(Commit {
            id,
            tenant: of.id,
            events: events.clone(),
            personal: Vec::new(),
            notes: Vec::new(),
            numbers: Vec::new(),
            incidents: IncidentRows {
                texts: texts.iter().map(|text| (incident, text.clone())).collect(),
                subscribers,
            },
        }));
        let flight = IncidentFlight {
            since: self.now,
            tenant,
            incident,
            events,
            texts,
            asked,
        };
        self.incident_flights.insert(id, flight);
    }

    /// The store has answered. False if it wasn't a write of an incident's.
    pub(super) fn incident_stored(&mut self, id: CommitId, ok: bool) -> bool {
        let Some(flight) = self.incident_flights.remove(&id) else {
            return false;
        };
        let tenant = flight.tenant;
        let of = &mut self.tenants[tenant];
        of.commits_in_flight -= 1;
        of.incidents.writing = false;
        if ok {
            for stamped in &flight.events {
                of.incidents.board.apply(stamped, &flight.texts);
            }
            self.prepare(tenant, flight.texts);
        }
        match flight.asked {
            Asked::Command(command) if ok => self.incident_done(tenant, command, flight.incident),
            Asked::Command(command) => {
                self.refuse_incident(tenant, command, IncidentRefusal::NotWritten);
            }
            Asked::Subscribers(all) => {
                for (command, contact, subscriber) in all {
                    if ok {
                        let board = &mut self.tenants[tenant].incidents.board;
                        board.subscribed(subscriber);
                    }
                    let memo = if ok { Memo::Subscribed } else { Memo::Failed };
                    self.subscribe_answered(command, contact, memo);
                }
            }
            Asked::Caller(command, contact) => {
                let memo = if ok { Memo::Subscribed } else { Memo::Failed };
                self.subscribe_answered(command, contact, memo);
            }
            Asked::Nobody if ok => {}
            Asked::Nobody => {
                let pause = self.limits.retry_pause;
                self.tenants[tenant].incidents.not_before = self.now + pause;
            }
        }
        self.owe_calls(tenant);
        self.go_on(tenant);
        true
    }

    /// What is said is rendered before anybody is to hear it.
    fn prepare(&mut self, tenant: usize, texts: Vec<IncidentText>) {
        if !texts.is_empty() {
            let tenant = self.tenants[tenant].id;
            self.outputs.push_back(Output::Prepare { tenant, texts });
        }
    }

    fn incident_done(&mut self, tenant: usize, id: CommandId, incident: IncidentId) {
        let facts = self.tenants[tenant].incidents.board.facts(incident);
        let reply = match facts {
            Some(facts) => IncidentReply::Done(incident, *facts),
            None => IncidentReply::Refused(IncidentRefusal::NotFound),
        };
        self.answer_incident(tenant, id, reply);
    }

    fn refuse_incident(&mut self, tenant: usize, id: CommandId, refusal: IncidentRefusal) {
        self.load.deeds_refused += 1;
        self.answer_incident(tenant, id, IncidentReply::Refused(refusal));
    }

    fn answer_incident(&mut self, tenant: usize, id: CommandId, reply: IncidentReply) {
        let of = &mut self.tenants[tenant];
        of.incidents.remember(id, Some(reply));
        let tenant = of.id;
        self.say_of_incident(id, tenant, reply);
    }

    fn say_of_incident(&mut self, id: CommandId, tenant: TenantId, reply: IncidentReply) {
        let answer = IncidentAnswer { id, tenant, reply };
        self.outputs.push_back(Output::Incident(answer));
    }

    // ---- callers ----

    /// What a caller is to hear.
    pub(super) fn incidents_for(
        &mut self,
        id: CommandId,
        contact: ContactId,
        role: Option<Role>,
        (about, ours): (Option<ReasonCode>, bool),
    ) {
        let news = self.contacts.get_mut(&contact).map(|known| {
            let place = match known.facts.found {
                Some(Found::Place { person }) => Some(person),
                _ => None,
            };
            let caller = Concern {
                role: role.or(known.facts.role).or(place.map(|_| Role::Clinician)),
                place,
                about,
                ours,
            };
            let board = &self.tenants[known.tenant].incidents.board;
            let news = board.news(caller, &known.told);
            if !news.is_empty() {
                known.offered = news.iter().map(|news| news.incident).collect();
            }
            news
        });
        self.answer(id, contact, Reply::Incidents(news.unwrap_or_default()));
    }

    /// The caller hears what was told last.
    pub(super) fn informed(&mut self, contact: ContactId, at: i64) {
        let Some(known) = self.contacts.get_mut(&contact) else {
            return;
        };
        if known.facts.position.is_ended() {
            return;
        }
        let tenant = known.tenant;
        let told = &known.told;
        let new: SmallVec<[IncidentId; 3]> = known
            .offered
            .iter()
            .copied()
            .filter(|incident| !told.contains(incident))
            .collect();
        known.told.extend(new.iter().copied());
        known.told_alone = true;
        for incident in new {
            let event = Event::ContactInformed { contact, incident };
            self.record(contact, at, event);
            let board = &mut self.tenants[tenant].incidents.board;
            board.apply(&Stamped { at, event }, &[]);
        }
    }

    /// A contact ends: whoever had heard enough is counted.
    pub(super) fn deflected(&mut self, contact: ContactId, at: i64, cause: EndCause) {
        let known = self.contacts.get_mut(&contact);
        let Some(known) = known.filter(|known| known.told_alone) else {
            return;
        };
        known.told_alone = false;
        if cause != EndCause::CallerHungUp {
            return;
        }
        let tenant = known.tenant;
        for incident in known.told.clone() {
            let event = Event::ContactDeflected { contact, incident };
            self.record(contact, at, event);
            let board = &mut self.tenants[tenant].incidents.board;
            board.apply(&Stamped { at, event }, &[]);
        }
    }

    /// The caller wants to be told when what they heard of last is over.
    pub(super) fn subscribe(
        &mut self,
        id: CommandId,
        contact: ContactId,
        (queue, class, number): (QueueId, Role, PhoneNumber),
    ) {
        let Some(known) = self.contacts.get_mut(&contact) else {
            return self.answer(id, contact, Reply::Failed);
        };
        if known.subscribing == Some(id) {
            return;
        }
        let tenant = known.tenant;
        let incidents = &self.tenants[tenant].incidents;
        let ended = known.facts.position.is_ended();
        let callable = self.tenants[tenant].directory.key(&number).is_some();
        // The latest of what they heard stands for all: one call tells of what is over by then.
        let incident = known.told.iter().copied().max();
        let full = incidents.waiting.len() >= WAITING_MAX || !incidents.board.has_room();
        let Some(incident) = incident.filter(|_| !ended && callable && !full) else {
            return self.reply(id, contact, Memo::Failed);
        };
        known.subscribing = Some(id);
        let subscriber = Subscriber {
            incident,
            contact,
            number,
            queue,
            class,
            ticket: known.facts.ticket.map(|(ticket, _)| ticket),
            person: known.facts.person(),
        };
        let until = self.now + self.limits.ticket_deadline;
        self.timers.ticket_until(until, contact, id);
        // What the caller did before comes first in the log.
        self.write(Owner::Contact(contact));
        let job = Job::Subscribe(id, contact, subscriber);
        self.tenants[tenant].incidents.waiting.push_back(job);
        self.go_on(tenant);
    }

    /// The latest draft, for who may publish it.
    pub(super) fn preview(&mut self, id: CommandId, contact: ContactId, surge: bool) {
        let news = self.contacts.get_mut(&contact).and_then(|known| {
            let board = &self.tenants[known.tenant].incidents.board;
            if surge {
                known.previewed = Some(Previewed::Surge);
                return Some(board.surge_news());
            }
            let news = board.draft_news()?;
            known.previewed = Some(Previewed::Draft(news.incident));
            Some(news)
        });
        self.answer(id, contact, Reply::Incidents(news.into_iter().collect()));
    }

    /// What was previewed, and nothing else, is published.
    pub(super) fn publish_previewed(&mut self, id: CommandId, contact: ContactId, by: AgentId) {
        let Some(known) = self.contacts.get_mut(&contact) else {
            return self.answer(id, contact, Reply::Failed);
        };
        if known.subscribing == Some(id) {
            return;
        }
        let tenant = known.tenant;
        let full = self.tenants[tenant].incidents.waiting.len() >= WAITING_MAX;
        let Some(previewed) = known.previewed.filter(|_| !full) else {
            return self.reply(id, contact, Memo::Failed);
        };
        known.subscribing = Some(id);
        let until = self.now + self.limits.ticket_deadline;
        self.timers.ticket_until(until, contact, id);
        let job = Job::Publish(id, contact, previewed, by);
        self.tenants[tenant].incidents.waiting.push_back(job);
        self.go_on(tenant);
    }

    fn do_publish(
        &mut self,
        tenant: usize,
        at: i64,
        (id, contact): (CommandId, ContactId),
        (previewed, by): (Previewed, AgentId),
    ) {
        let of = &mut self.tenants[tenant];
        let deed = match previewed {
            Previewed::Draft(incident) => IncidentDeed::Publish(incident),
            Previewed::Surge => IncidentDeed::Surge {
                rehearsal: false,
                expires_at: None,
            },
        };
        let by = IncidentBy::Agent(by);
        let decided = of.incidents.board.decide(at, by, &deed, &of.rules, None);
        match decided {
            // Somebody else was faster.
            Ok(Some(decided)) if decided.events.is_empty() => {
                self.subscribe_answered(id, contact, Memo::Subscribed);
            }
            Ok(Some(decided)) if self.has_room(tenant, Urgency::Ticket) => {
                self.write_incident(tenant, at, decided, Asked::Caller(id, contact));
            }
            Err(IncidentRefusal::NotFound) => {
                self.subscribe_answered(id, contact, Memo::IncidentOver);
            }
            _ => self.subscribe_answered(id, contact, Memo::Failed),
        }
    }

    /// Writes this one, and those who come behind them.
    fn do_subscribe(&mut self, tenant: usize, at: i64, first: (CommandId, ContactId, Subscriber)) {
        let mut events = SmallVec::new();
        let mut together = Vec::new();
        let mut next = Some(first);
        while let Some((id, contact, subscriber)) = next.take() {
            let of = &mut self.tenants[tenant].incidents;
            match of.board.subscribe(&subscriber) {
                None => self.subscribe_answered(id, contact, Memo::IncidentOver),
                Some(decided) if decided.events.is_empty() => {
                    self.subscribe_answered(id, contact, Memo::Subscribed);
                }
                Some(decided) => {
                    events.extend(decided.events);
                    together.push((id, contact, subscriber));
                }
            }
            let waiting = &mut self.tenants[tenant].incidents.waiting;
            if together.len() < TOGETHER_MAX
                && matches!(waiting.front(), Some(Job::Subscribe(..)))
                && let Some(Job::Subscribe(id, contact, subscriber)) = waiting.pop_front()
            {
                next = Some((id, contact, subscriber));
            }
        }
        let Some((.., first)) = together.first() else {
            return;
        };
        let incident = first.incident;
        if !self.has_room(tenant, Urgency::Ticket) {
            for (id, contact, _) in together {
                self.subscribe_answered(id, contact, Memo::Failed);
            }
            return;
        }
        let decided = Decided {
            incident,
            events,
            texts: Vec::new(),
        };
        self.write_incident(tenant, at, decided, Asked::Subscribers(together));
    }

    fn subscribe_answered(&mut self, id: CommandId, contact: ContactId, memo: Memo) {
        let known = self.contacts.get_mut(&contact);
        if let Some(known) = known
            && known.subscribing == Some(id)
        {
            known.subscribing = None;
            self.reply(id, contact, memo);
        }
    }

    /// The write takes too long for this call. Durable later, it stands: they are called all the same.
    pub(super) fn subscribe_overdue(&mut self, contact: ContactId, id: CommandId) {
        self.subscribe_answered(id, contact, Memo::Failed);
    }

    // ---- what else happens ----

    /// An event of a ticket's own that is on disk.
    pub(super) fn incident_hears(&mut self, tenant: usize, stamped: &Stamped) {
        if let Event::TicketUpdated {
            ticket,
            change:
                Some(Updated::Categorised {
                    reason: Some(reason),
                    ..
                }),
            ..
        } = stamped.event
        {
            let waiting = &mut self.tenants[tenant].incidents.waiting;
            if waiting.len() < WAITING_MAX {
                waiting.push_back(Job::Categorised(stamped.at, ticket, reason));
            }
            self.go_on(tenant);
        }
    }

    /// Whoever wanted to be told, and can be told now, is owed a call.
    fn owe_calls(&mut self, tenant: usize) {
        let at = self.wall_now();
        while let Some(subscriber) = self.tenants[tenant].incidents.board.owed() {
            if !self.owe_call(tenant, &subscriber, at) {
                let incidents = &mut self.tenants[tenant].incidents;
                incidents
                    .board
                    .not_owed(subscriber.incident, subscriber.contact);
                incidents.owe_at = Some(self.now + OWED_PAUSE);
                return;
            }
        }
    }

    /// The promise to tell somebody is on disk, or isn't.
    pub(super) fn call_owed(&mut self, tenant: usize, stamped: &Stamped, written: bool) {
        let Event::IncidentOwed {
            incident, contact, ..
        } = stamped.event
        else {
            return;
        };
        let incidents = &mut self.tenants[tenant].incidents;
        if written {
            incidents.board.apply(stamped, &[]);
            self.owe_calls(tenant);
        } else {
            incidents.board.not_owed(incident, contact);
            if incidents.board.owes() {
                incidents.owe_at = Some(self.now + OWED_PAUSE);
            }
        }
    }
}
