//! The store, as the desk sees it: writes are committed after a while, fail,
//! or are lost in a crash; what is committed is never lost.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use desk::{
    Commit, CommitId, ContactId, EndCause, Event, Facts, IncidentFacts, IncidentId, IncidentSetup,
    IncidentStage, IncidentText, KnownIncident, KnownPromise, KnownTicket, PhoneNumber,
    PromiseFacts, PromiseId, PromiseNumber, PromiseSetup, PromiseStage, Proof, Stage, Stamped,
    Subscriber, TenantId, TicketChange, TicketFacts, TicketId, TicketNumber,
};

use crate::dice::Dice;
use crate::weather::StoreWeather;

/// What is on disk, and what is on its way there.
#[derive(Debug)]
pub(crate) struct Store {
    weather: StoreWeather,
    dice: Dice,
    writing: HashMap<CommitId, Commit>,
    busy_until: Duration,
    tenants: BTreeMap<TenantId, Log>,
    pub(crate) commits: u64,
    pub(crate) failed: u64,
    pub(crate) events: u64,
    pub(crate) gaps: u64,
}

/// One tenant's part.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// All of it: the sequence number of an event is its place, from 1.
    pub(crate) events: Vec<Stamped>,
    pub(crate) contacts: BTreeMap<ContactId, Facts>,
    /// Why contacts came back from a partner, for stories.
    pub(crate) taken_back: BTreeMap<ContactId, Vec<desk::TakenBack>>,
    /// By whom each contact was handed over, and why.
    pub(crate) escalated: BTreeMap<ContactId, Vec<(desk::AgentId, Option<desk::Escalation>)>>,
    /// By whom a third one was had in, and whom.
    pub(crate) conferred: BTreeMap<ContactId, Vec<(desk::AgentId, Option<desk::AgentId>)>>,
    /// How often somebody was wrong about who they are.
    pub(crate) wrong: BTreeMap<ContactId, u32>,
    /// What happened to calls to emergency services.
    pub(crate) emergencies: Vec<Event>,
    tickets: HashMap<TicketNumber, ContactId>,
    known: BTreeMap<TicketId, KnownTicket>,
    calls_from: BTreeMap<ContactId, Option<PhoneNumber>>,
    next_ticket: u64,
    gaps: u64,
    /// The callbacks that are owed, or were.
    pub(crate) promises: BTreeMap<PromiseId, PromiseFacts>,
    numbers: BTreeMap<PromiseId, PhoneNumber>,
    /// What is out of order, or was; what is said of it; who is to be told of its end.
    pub(crate) incidents: BTreeMap<IncidentId, IncidentFacts>,
    texts: BTreeMap<IncidentId, Vec<IncidentText>>,
    subscribers: BTreeMap<(IncidentId, ContactId), Subscriber>,
}

impl Store {
    pub(crate) fn new(weather: StoreWeather, dice: Dice) -> Self {
        Self {
            weather,
            dice,
            writing: HashMap::new(),
            busy_until: Duration::ZERO,
            tenants: BTreeMap::new(),
            commits: 0,
            failed: 0,
            events: 0,
            gaps: 0,
        }
    }

    /// Takes a write; gives when it is over and whether it will succeed.
    pub(crate) fn write(&mut self, now: Duration, commit: Commit) -> (Duration, CommitId, bool) {
        let weather = &self.weather;
        let mut at = now + self.dice.between(Duration::ZERO, weather.commit_max);
        if self.dice.chance(weather.slow) {
            at += self.dice.millis(500, 6_000);
        }
        let mut ok = !self.dice.chance(weather.fails);
        for &(from, to) in &weather.down {
            if at >= from && now < to {
                at = at.max(to);
                ok = self.dice.chance(500_000);
            }
        }
        // One writer: what was given first is over first.
        self.busy_until = self.busy_until.max(at);
        let id = commit.id;
        self.writing.insert(id, commit);
        (self.busy_until, id, ok)
    }

    /// The write is over. What it says is durable from now on, if it succeeded.
    pub(crate) fn written(&mut self, id: CommitId, ok: bool) -> Result<(), String> {
        let Some(commit) = self.writing.remove(&id) else {
            return Ok(());
        };
        if !ok {
            self.failed += 1;
            return Ok(());
        }
        self.commits += 1;
        self.events += commit.events.len() as u64;
        let log = self.tenants.entry(commit.tenant).or_default();
        let before = log.gaps;
        for personal in commit.personal {
            log.calls_from.insert(personal.contact, personal.ani);
        }
        for PromiseNumber { promise, number } in commit.numbers {
            log.numbers.insert(promise, number);
        }
        for (incident, text) in commit.incidents.texts {
            let texts = log.texts.entry(incident).or_default();
            texts.retain(|known| known.language != text.language);
            texts.push(text);
        }
        for of in commit.incidents.subscribers {
            log.subscribers.insert((of.incident, of.contact), of);
        }
        for stamped in &commit.events {
            log.append(stamped)?;
        }
        self.gaps += log.gaps - before;
        Ok(())
    }

    /// What wasn't committed never happened. What was open ends as our failure.
    pub(crate) fn crash(&mut self, wall: i64) -> Result<(), String> {
        self.writing.clear();
        for log in self.tenants.values_mut() {
            let open: Vec<ContactId> = log
                .contacts
                .iter()
                .filter(|(_, facts)| !facts.position.is_ended())
                .map(|(&contact, _)| contact)
                .collect();
            for contact in open {
                // Not how many there are: an id whose write failed stays unused.
                let last = log.promises.keys().last().map_or(0, |last| last.0);
                let next = PromiseId(last + 1);
                let number = log.calls_from.get(&contact).cloned().flatten();
                let made = desk::cut_off(next, contact, &log.contacts[&contact], wall);
                log.append(&Stamped {
                    at: wall,
                    event: Event::ContactEnded {
                        contact,
                        cause: EndCause::SystemFailure,
                    },
                })?;
                if let Some((number, event)) = number.zip(made) {
                    log.numbers.insert(next, number);
                    log.append(&Stamped { at: wall, event })?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn next_ticket(&self, tenant: TenantId) -> TicketId {
        TicketId(self.tenants.get(&tenant).map_or(0, |log| log.next_ticket) + 1)
    }

    /// For whom a ticket is durable.
    pub(crate) fn ticket(&self, tenant: TenantId, number: TicketNumber) -> Option<ContactId> {
        self.tenants.get(&tenant)?.tickets.get(&number).copied()
    }

    /// Is this the number of a durable ticket that this contact has, or may ask for?
    pub(crate) fn may_hear(
        &self,
        tenant: TenantId,
        number: TicketNumber,
        contact: ContactId,
        from: Option<&str>,
    ) -> bool {
        let Some((log, &opened)) = self
            .tenants
            .get(&tenant)
            .and_then(|log| Some((log, log.tickets.get(&number)?)))
        else {
            return false;
        };
        let theirs = log.calls_from.get(&opened).and_then(Option::as_ref);
        let same_caller = theirs.is_some_and(|theirs| Some(theirs.0.as_str()) == from);
        opened == contact || same_caller
    }

    /// What a desk that starts now is told of the tickets there are.
    pub(crate) fn known_tickets(&self, tenant: TenantId) -> Vec<KnownTicket> {
        let Some(log) = self.tenants.get(&tenant) else {
            return Vec::new();
        };
        let known = |ticket: &KnownTicket| KnownTicket {
            ani: log.calls_from.get(&ticket.facts.contact).cloned().flatten(),
            ..ticket.clone()
        };
        log.known.values().map(known).collect()
    }

    /// A ticket as the log tells it.
    pub(crate) fn ticket_facts(
        &self,
        tenant: TenantId,
        number: TicketNumber,
    ) -> Option<TicketFacts> {
        let known = &self.tenants.get(&tenant)?.known;
        let mut tickets = known.values().map(|known| known.facts);
        tickets.find(|facts| facts.number == number)
    }

    /// Was this contact promised a call?
    pub(crate) fn is_promised(&self, tenant: TenantId, contact: ContactId) -> bool {
        let log = self.tenants.get(&tenant);
        log.is_some_and(|log| log.promises.values().any(|facts| facts.contact == contact))
    }

    /// Attempts under way to call this number, of one hospital or the other at most.
    pub(crate) fn attempts_at(&self, number: &str) -> usize {
        let at = |log: &Log| {
            let theirs = log.numbers.iter().filter(|(_, of)| of.0 == number);
            let under_way = theirs.filter(|(promise, _)| {
                let facts = log.promises.get(promise);
                facts.is_some_and(|facts| facts.stage.attempt().is_some())
            });
            under_way.count()
        };
        self.tenants.values().map(at).max().unwrap_or(0)
    }

    /// What a desk that starts now is told of the callbacks that are owed.
    pub(crate) fn promises(&self, tenant: TenantId) -> PromiseSetup {
        let Some(log) = self.tenants.get(&tenant) else {
            return PromiseSetup::default();
        };
        let owed = log.promises.iter();
        let owed = owed.filter(|(_, facts)| !facts.stage.is_closed());
        PromiseSetup {
            next: PromiseId(log.promises.keys().last().map_or(0, |last| last.0) + 1),
            known: owed
                .map(|(promise, facts)| KnownPromise {
                    promise: *promise,
                    facts: *facts,
                    number: log.numbers.get(promise).cloned(),
                })
                .collect(),
            ..PromiseSetup::default()
        }
    }

    pub(crate) fn incident_facts(
        &self,
        tenant: TenantId,
        incident: IncidentId,
    ) -> Option<IncidentFacts> {
        self.tenants.get(&tenant)?.incidents.get(&incident).copied()
    }

    /// What the next desk is told.
    pub(crate) fn incidents(&self, tenant: TenantId) -> IncidentSetup {
        let Some(log) = self.tenants.get(&tenant) else {
            return IncidentSetup::default();
        };
        let subscribers = |incident: IncidentId| {
            let all = log.subscribers.iter();
            let theirs = all.filter(move |((of, _), _)| *of == incident);
            theirs.map(|(_, subscriber)| subscriber.clone())
        };
        let live = log.incidents.iter().filter(|(incident, facts)| {
            !facts.stage.is_closed() || subscribers(**incident).next().is_some()
        });
        IncidentSetup {
            next: IncidentId(log.incidents.keys().last().map_or(0, |last| last.0) + 1),
            known: live
                .map(|(incident, facts)| KnownIncident {
                    incident: *incident,
                    facts: *facts,
                    texts: log.texts.get(incident).cloned().unwrap_or_default(),
                    subscribers: subscribers(*incident).collect(),
                })
                .collect(),
            ..IncidentSetup::default()
        }
    }

    pub(crate) fn writing(&self) -> usize {
        self.writing.len()
    }

    pub(crate) fn logs(&self) -> impl Iterator<Item = (TenantId, &Log)> {
        self.tenants.iter().map(|(&tenant, log)| (tenant, log))
    }
}

impl Log {
    /// The numbers of the tickets opened before a moment.
    pub(crate) fn tickets_before(&self, wall: i64) -> Vec<TicketNumber> {
        let tickets = self.known.values().map(|known| &known.facts);
        let old = tickets.filter(|facts| facts.work.opened_at.is_some_and(|at| at < wall));
        old.map(|facts| facts.number).collect()
    }

    pub(crate) fn tickets(&self) -> impl Iterator<Item = &TicketFacts> {
        self.known.values().map(|known| &known.facts)
    }

    /// Every merged ticket leads to one that isn't.
    pub(crate) fn merged_lead_somewhere(&self) -> Result<(), String> {
        for first in self.known.keys() {
            let mut at = *first;
            for _ in 0..=self.known.len() {
                match self.known.get(&at).map(|known| known.facts.work.stage) {
                    Some(Stage::Merged { into }) => at = into,
                    Some(_) => break,
                    None => return Err(format!("ticket {} leads nowhere", first.0)),
                }
            }
            let end = self.known.get(&at).map(|known| known.facts.work.stage);
            if matches!(end, Some(Stage::Merged { .. })) {
                return Err(format!("ticket {} is merged in a circle", first.0));
            }
        }
        Ok(())
    }

    fn append(&mut self, stamped: &Stamped) -> Result<(), String> {
        self.events.push(*stamped);
        if let Event::JournalGap { count, .. } = stamped.event {
            self.gaps += count;
        }
        if let Event::TicketOpened {
            ticket,
            number,
            contact,
            ..
        } = stamped.event
        {
            if let Some(other) = self.tickets.insert(number, contact) {
                return Err(format!(
                    "ticket {} is given to contact {} and to {}",
                    ticket.0, other.0, contact.0
                ));
            }
            self.next_ticket = self.next_ticket.max(ticket.0);
            let facts = TicketFacts::opened(number, contact);
            let ani = None;
            self.known
                .insert(ticket, KnownTicket { ticket, facts, ani });
        }
        if matches!(
            stamped.event,
            Event::EmergencyBegun { .. }
                | Event::EmergencyCalledBack { .. }
                | Event::EmergencyConnected { .. }
                | Event::EmergencyUnplaced { .. }
                | Event::EmergencyEnded { .. }
        ) {
            self.emergencies.push(stamped.event);
        }
        if let Some(ticket) = stamped.event.ticket() {
            crate::tickets::lawful(&self.known, ticket, stamped)?;
            if let Some(known) = self.known.get_mut(&ticket) {
                known.facts.apply(TicketChange::Own(*stamped));
            }
        }
        self.promise(stamped)?;
        self.incident(stamped)?;
        let Some(contact) = stamped.event.contact() else {
            return Ok(());
        };
        match stamped.event {
            Event::ContactTakenBack { why, .. } => {
                self.taken_back.entry(contact).or_default().push(why);
            }
            Event::ContactEscalated { by, why, .. } => {
                self.escalated.entry(contact).or_default().push((by, why));
            }
            Event::ContactVerified { passed, person, .. } => {
                let wrong = self.wrong.entry(contact).or_default();
                let lawful = match passed {
                    true => *wrong < 3 && person.is_some(),
                    false => person.is_none(),
                };
                if !lawful {
                    return Err(format!(
                        "11: contact {}, {wrong} times wrong: {:?}",
                        contact.0, stamped.event
                    ));
                }
                *wrong += u32::from(!passed);
            }
            Event::ContactConferred { by, with, .. } => {
                self.conferred.entry(contact).or_default().push((by, with));
            }
            _ => {}
        }
        let facts = self.contacts.entry(contact).or_default();
        if stamped.event.is_journey() && facts.position.is_ended() {
            return Err(format!(
                "after its end, contact {}: {:?}",
                contact.0, stamped.event
            ));
        }
        if facts.started_at.is_some() && matches!(stamped.event, Event::ContactStarted { .. }) {
            return Err(format!("contact {} starts twice", contact.0));
        }
        facts.apply(stamped);
        for (ticket, change) in desk::ticket_changes(facts, stamped) {
            match self.known.get_mut(&ticket) {
                Some(known) => known.facts.apply(change),
                None => return Err(format!("ticket {} was never opened", ticket.0)),
            }
        }
        let visits = &facts.visits;
        let open = u32::from(facts.position.visit().is_some());
        if self.gaps == 0 && visits.ended() + open != visits.queued {
            return Err(format!(
                "contact {}: {visits:?} with {open} open, after {:?}",
                contact.0, stamped.event
            ));
        }
        Ok(())
    }

    /// Nobody hears of what isn't published on disk, and whoever wants to know of the end is owed one call.
    fn incident(&mut self, stamped: &Stamped) -> Result<(), String> {
        if let Some((incident, facts)) = IncidentFacts::drafted(stamped) {
            return match self.incidents.insert(incident, facts) {
                None => Ok(()),
                Some(_) => Err(format!("incident {} is drafted twice", incident.0)),
            };
        }
        let Some(incident) = stamped.event.incident() else {
            return Ok(());
        };
        let Some(facts) = self.incidents.get_mut(&incident) else {
            return Err(format!("incident {} was never drafted", incident.0));
        };
        let published = match facts.stage {
            IncidentStage::Draft => false,
            IncidentStage::Published { .. } => true,
            IncidentStage::Closed { published, .. } => published,
        };
        let may = match stamped.event {
            Event::ContactInformed { .. } | Event::ContactDeflected { .. } => published,
            Event::IncidentSubscribed { contact, .. } => {
                facts.stage.published().is_some()
                    && self.subscribers.contains_key(&(incident, contact))
            }
            Event::IncidentOwed { contact, .. } => {
                facts.stage.is_closed() && self.subscribers.remove(&(incident, contact)).is_some()
            }
            _ => !facts.stage.is_closed(),
        };
        if !may {
            return Err(format!("13: incident {facts:?}: {stamped:?}"));
        }
        facts.apply(stamped);
        Ok(())
    }

    /// Invariant 7: nothing but proof closes a promise, and there is one attempt at a time.
    fn promise(&mut self, stamped: &Stamped) -> Result<(), String> {
        if let Some((promise, facts)) = PromiseFacts::created(&stamped.event) {
            return match self.promises.insert(promise, facts) {
                None => Ok(()),
                Some(_) => Err(format!("promise {} is made twice", promise.0)),
            };
        }
        let Some(promise) = stamped.event.promise() else {
            return Ok(());
        };
        let Some(facts) = self.promises.get_mut(&promise) else {
            return Err(format!("promise {} was never made", promise.0));
        };
        let before = facts.stage;
        let may = match stamped.event {
            _ if before.is_closed() => false,
            Event::PromiseAttempted { .. } => before == PromiseStage::Due,
            Event::PromiseReached { attempt, .. } => before == PromiseStage::Attempting { attempt },
            Event::PromiseMissed { attempt, .. } => before.attempt() == Some(attempt),
            Event::PromiseClosed {
                proof: Proof::Key { attempt },
                ..
            } => before == PromiseStage::Reached { attempt },
            Event::PromiseClosed {
                proof: Proof::Released { attempt },
                ..
            } => before.attempt() == Some(attempt),
            _ => true,
        };
        if !may {
            return Err(format!("promise {} was {before:?}: {stamped:?}", promise.0));
        }
        facts.apply(stamped);
        Ok(())
    }
}
