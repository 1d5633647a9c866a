//! The thread that owns the database, and its groups.
//!
//! Whatever waits in the queue, up to a bound, becomes one transaction: one
//! flush to disk serves them all, and each table is written by statements of
//! many rows. At rest a write goes alone and at once; under load transactions
//! begin [`PACE`] apart, and the queue fills meanwhile.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use desk::{
    Commit, ContactId, Event, Facts, TenantId, TicketChange, TicketFacts, TicketId, TicketNumber,
};

use super::api::ApiWork;
use super::incidents::Incidents;
use super::people::PeopleWork;
use super::promises::Promises;
use super::rows::{
    self, CONTACT_COLUMNS, CONTACT_INSERT, EVENT_INSERT, NOTE_INSERT, PERSONAL_INSERT,
    TENANT_INSERT, TICKET_COLUMNS, TICKET_INSERT,
};
use super::sql::{Connection, NotCommitted, Value, values};
use super::{ContactRow, Done, StoreError};

type Key = (TenantId, ContactId);

/// Writes transactions. On its own thread in service; used without a thread
/// while the database is being opened.
pub(super) struct Writer {
    connection: Connection,
    /// Nobody will give it anything any more.
    closing: Arc<AtomicBool>,
    /// The rows of contacts that are open, so that they needn't be read again
    /// for each of their events. Emptied when a transaction fails.
    contacts: HashMap<Key, ContactRow>,
    promises: Promises,
    incidents: Incidents,
    group: Group,
}

/// What waits in the queue.
#[derive(Debug)]
pub(super) enum Work {
    /// What the desk decided.
    Commit(Commit),
    /// What isn't the desk's, each in a transaction of its own.
    Aside(Aside),
}

/// What isn't the desk's.
#[derive(Debug)]
pub(super) enum Aside {
    /// A part of an import.
    People(PeopleWork),
    /// What the API keeps.
    Api(ApiWork),
}

/// The rows of one transaction. Kept between transactions for its memory.
#[derive(Default)]
struct Group {
    events: Vec<EventRow>,
    /// The events' JSON, one behind the other.
    bodies: Vec<u8>,
    tickets: Vec<OpenedRow>,
    /// What happened to contacts means this for their tickets.
    ticket_changes: Vec<(TenantId, TicketId, TicketChange)>,
    /// Tickets with an event of their own, that event and those before applied.
    worked: HashMap<(TenantId, TicketId), Worked>,
    counters: Vec<(TenantId, Counter)>,
    changed: Vec<Key>,
}

/// A ticket with an event of its own.
struct Worked {
    facts: TicketFacts,
    /// Opened in this transaction.
    is_new: bool,
}

/// A ticket that is opened.
struct OpenedRow {
    tenant: TenantId,
    ticket: TicketId,
    number: TicketNumber,
    contact: ContactId,
    at: i64,
}

struct EventRow {
    tenant: TenantId,
    seq: u64,
    at: i64,
    contact: Option<ContactId>,
    /// Where its JSON ends; it begins where that of the one before ends.
    body_end: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Counter {
    pub(super) last_seq: u64,
    pub(super) next_ticket: u64,
}

/// Least time between the beginnings of two transactions. A transaction costs
/// a flush and each page it touches, whatever the number of its rows: a pause
/// that nobody notices before a ticket is spoken makes them three times as
/// cheap by the call at a thousand calls a second.
const PACE: Duration = Duration::from_millis(10);

/// Pauses between two questions whether a commit without an answer is there.
const DOUBT_PAUSE: Duration = Duration::from_millis(100);

/// How long a store that is being closed goes on asking.
const DOUBT_AT_CLOSE_MAX: Duration = Duration::from_secs(10);

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            closing: Arc::default(),
            contacts: HashMap::new(),
            promises: Promises::default(),
            incidents: Incidents::default(),
            group: Group::default(),
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// To be set when nobody will give it anything any more.
    pub(super) fn closing(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.closing)
    }

    /// Serves the queue until nobody can put anything into it any more.
    pub(super) fn run(
        mut self,
        queue: &Receiver<Work>,
        group_max: usize,
        mut done: impl FnMut(Vec<Done>),
    ) {
        let mut commits = Vec::with_capacity(group_max);
        let mut began: Option<Instant> = None;
        while let Ok(first) = queue.recv() {
            match first {
                Work::Commit(commit) => commits.push(commit),
                Work::Aside(work) => {
                    self.aside(work);
                    continue;
                }
            }
            if let Some(began) = began {
                std::thread::sleep(PACE.saturating_sub(began.elapsed()));
            }
            began = Some(Instant::now());
            let mut aside = None;
            while commits.len() < group_max
                && aside.is_none()
                && let Ok(next) = queue.try_recv()
            {
                match next {
                    Work::Commit(commit) => commits.push(commit),
                    Work::Aside(work) => aside = Some(work),
                }
            }
            done(self.serve(&commits));
            commits.clear();
            if let Some(work) = aside {
                self.aside(work);
            }
        }
        self.connection.close();
    }

    fn serve(&mut self, commits: &[Commit]) -> Vec<Done> {
        let all = |done: fn(_) -> Done| commits.iter().map(|c| done(c.id)).collect();
        match self.write(commits) {
            Ok(()) => all(Done::Committed),
            Err(error @ StoreError::Undecided) => {
                tracing::error!(%error, commits = commits.len(), "commits stay unanswered");
                Vec::new()
            }
            // One of them is at fault: the others mustn't suffer.
            Err(error) if commits.len() > 1 && is_of_one_commit(&error) => {
                let alone = |commit| match self.write(std::slice::from_ref(commit)) {
                    Ok(()) => Done::Committed(commit.id),
                    Err(error) => {
                        tracing::error!(%error, "a commit can't be written");
                        Done::Failed(commit.id)
                    }
                };
                commits.iter().map(alone).collect()
            }
            Err(error) => {
                tracing::error!(%error, commits = commits.len(), "commits can't be written");
                all(Done::Failed)
            }
        }
    }

    /// Writes commits in one transaction, or none of them.
    pub(super) fn write(&mut self, commits: &[Commit]) -> Result<(), StoreError> {
        let written = self
            .connection
            .begin()
            .and_then(|()| self.write_rows(commits));
        let finished = written.and_then(|()| self.finish());
        if finished.is_ok() {
            self.promises.written();
            self.incidents.written();
            let contacts = &mut self.contacts;
            for key in &self.group.changed {
                if contacts
                    .get(key)
                    .is_some_and(|row| row.facts.position.is_ended())
                {
                    contacts.remove(key);
                }
            }
        } else {
            self.contacts.clear();
            self.promises.forget();
            self.incidents.forget();
            self.connection.roll_back();
        }
        finished
    }

    fn finish(&self) -> Result<(), StoreError> {
        match self.connection.commit() {
            Ok(()) => Ok(()),
            Err(NotCommitted::Certainly(error)) => Err(error),
            Err(NotCommitted::Perhaps(error)) => self.find_out(error),
        }
    }

    fn aside(&self, work: Aside) {
        match work {
            Aside::People(work) => {
                let done = self.alone(|connection| work.write(connection));
                work.answer(done);
            }
            Aside::Api(work) => {
                let done = self.alone(|connection| work.write(connection));
                work.answer(done);
            }
        }
    }

    fn alone<T>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let begun = self.connection.begin();
        let written = begun.and_then(|()| write(&self.connection));
        let finished = written.and_then(|written| self.finish().map(|()| written));
        if finished.is_err() {
            self.connection.roll_back();
        }
        finished
    }

    /// A commit's answer was lost. Nobody is told anything before it is known
    /// whether it is there; callers don't wait for it (the desk has a deadline
    /// of its own), and what comes meanwhile waits in the queue.
    fn find_out(&self, error: StoreError) -> Result<(), StoreError> {
        tracing::warn!(%error, "a commit wasn't answered: looking whether it is there");
        let mut closing: Option<Instant> = None;
        loop {
            match self.connection.outcome() {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(error),
                // Whoever writes now has counted on: what was ours can't be told apart.
                Err(StoreError::TakenOver) => return Err(StoreError::Undecided),
                Err(_) => std::thread::sleep(DOUBT_PAUSE),
            }
            if self.closing.load(Ordering::Relaxed)
                && closing.get_or_insert_with(Instant::now).elapsed() > DOUBT_AT_CLOSE_MAX
            {
                return Err(StoreError::Undecided);
            }
        }
    }

    fn write_rows(&mut self, commits: &[Commit]) -> Result<(), StoreError> {
        self.group.clear();
        self.promises.clear();
        self.incidents.clear();
        for commit in commits {
            self.add(commit)?;
        }
        self.write_personal(commits)?;
        self.write_events()?;
        self.write_notes(commits)?;
        self.write_tickets()?;
        self.change_tickets()?;
        self.write_contacts()?;
        self.promises.write(&self.connection, commits)?;
        self.incidents.write(&self.connection, commits)?;
        self.write_counters()
    }

    /// Gives the commit's events their numbers and folds them into the projections.
    fn add(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let tenant = commit.tenant;
        let known = self.group.counters.iter().rposition(|(t, _)| *t == tenant);
        let place = match known {
            Some(place) => place,
            None => {
                let counter = self.counter(tenant)?;
                self.group.counters.push((tenant, counter));
                self.group.counters.len() - 1
            }
        };
        let mut counter = self.group.counters[place].1;
        for stamped in &commit.events {
            counter.last_seq += 1;
            let seq = counter.last_seq;
            stamped.event.encode(&mut self.group.bodies);
            let contact = stamped.event.contact();
            self.group.events.push(EventRow {
                tenant,
                seq,
                at: stamped.at,
                contact,
                body_end: self.group.bodies.len(),
            });
            if let Event::TicketOpened {
                ticket,
                number,
                contact,
                ..
            } = stamped.event
            {
                counter.next_ticket = counter.next_ticket.max(ticket.0 + 1);
                let at = stamped.at;
                self.group.tickets.push(OpenedRow {
                    tenant,
                    ticket,
                    number,
                    contact,
                    at,
                });
                let opened = Worked {
                    facts: TicketFacts::opened(number, contact),
                    is_new: true,
                };
                self.group.worked.insert((tenant, ticket), opened);
            }
            let mut of_contact = Facts::default();
            self.promises.add(&self.connection, tenant, stamped)?;
            self.incidents.add(&self.connection, tenant, stamped)?;
            if let Some(contact) = contact {
                let key = (tenant, contact);
                let row = match self.contacts.entry(key) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => {
                        // A first event is known to be one: no need to look.
                        let first = matches!(stamped.event, Event::ContactStarted { .. });
                        let row = if first {
                            None
                        } else {
                            contact_row(&self.connection, key)?
                        };
                        entry.insert(row.unwrap_or(ContactRow {
                            facts: Facts::default(),
                            first_seq: seq,
                            last_seq: seq,
                        }))
                    }
                };
                row.facts.apply(stamped);
                row.last_seq = seq;
                of_contact = row.facts;
                if self.group.changed.last() != Some(&key) {
                    self.group.changed.push(key);
                }
            }
            for (ticket, change) in desk::ticket_changes(&of_contact, stamped) {
                self.change_ticket((tenant, ticket), change)?;
            }
        }
        self.group.counters[place].1 = counter;
        Ok(())
    }

    /// What an event means for a ticket. Those of its own need to know what was before.
    fn change_ticket(
        &mut self,
        key: (TenantId, TicketId),
        change: TicketChange,
    ) -> Result<(), StoreError> {
        if !matches!(change, TicketChange::Own(_)) {
            self.group.ticket_changes.push((key.0, key.1, change));
            return Ok(());
        }
        let worked = match self.group.worked.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let sql = format!(
                    "SELECT {TICKET_COLUMNS} FROM ticket WHERE tenant = ?1 AND ticket = ?2"
                );
                let key = values![key.0.0, key.1.0];
                match self.connection.row(&sql, &key, rows::ticket)? {
                    Some(row) => entry.insert(Worked {
                        facts: row.facts,
                        is_new: false,
                    }),
                    // Of one that was never opened only the log tells.
                    None => return Ok(()),
                }
            }
        };
        worked.facts.apply(change);
        Ok(())
    }

    fn counter(&self, tenant: TenantId) -> Result<Counter, StoreError> {
        let sql = "SELECT last_seq, next_ticket FROM tenant WHERE tenant = ?1";
        let counter = self.connection.row(sql, &values![tenant.0], |row| {
            Ok(Counter {
                last_seq: row.get(0)?,
                next_ticket: row.get(1)?,
            })
        })?;
        Ok(counter.unwrap_or(Counter {
            last_seq: 0,
            next_ticket: 1,
        }))
    }

    fn write_counters(&self) -> Result<(), StoreError> {
        let counters = self.group.counters.iter();
        self.connection
            .insert(&TENANT_INSERT, counters, |(tenant, counter), values| {
                values.extend(values![tenant.0, counter.last_seq, counter.next_ticket]);
            })
    }

    fn write_events(&self) -> Result<(), StoreError> {
        let group = &self.group;
        let mut body_start = 0;
        self.connection
            .insert(&EVENT_INSERT, group.events.iter(), |row, values| {
                let body = &group.bodies[body_start..row.body_end];
                body_start = row.body_end;
                // JSON made by us is UTF-8.
                let body = std::str::from_utf8(body).unwrap_or_default();
                values.extend(values![
                    row.tenant.0,
                    row.seq,
                    row.at,
                    row.contact.map(|contact| contact.0),
                    Event::VERSION,
                    body,
                ]);
            })
    }

    fn write_tickets(&self) -> Result<(), StoreError> {
        // With all that the group knows of it, also what came later.
        let mut opened = Vec::with_capacity(self.group.tickets.len());
        for row in &self.group.tickets {
            let facts = self.group.worked.get(&(row.tenant, row.ticket));
            let facts = facts.ok_or(StoreError::Unreadable("a ticket that was opened"))?;
            opened.push((row, &facts.facts, rows::work_json(&facts.facts.work)?));
        }
        let opened = opened.iter();
        self.connection
            .insert(&TICKET_INSERT, opened, |(row, facts, work), values| {
                values.extend(values![
                    row.tenant.0,
                    row.ticket.0,
                    row.number.value(),
                    row.contact.0,
                    row.at,
                    rows::status_code(facts.status()),
                    facts.next_update(),
                    work,
                ]);
            })
    }

    fn change_tickets(&self) -> Result<(), StoreError> {
        for (tenant, ticket, change) in &self.group.ticket_changes {
            let update = |set: &str, to: &[Value<'_>]| {
                let sql = format!("UPDATE ticket SET {set} WHERE tenant = ?1 AND ticket = ?2");
                let mut values = values![tenant.0, ticket.0].to_vec();
                values.extend(to);
                self.connection.execute(&sql, &values)
            };
            match *change {
                TicketChange::Talked(agent) => update("owner = ?3", &values![agent.0])?,
                TicketChange::Queue(queue) => update("queue = ?3", &values![queue.0])?,
                TicketChange::Own(_) => {}
            }
        }
        for (key, Worked { facts, is_new }) in &self.group.worked {
            if *is_new {
                continue;
            }
            let work = rows::work_json(&facts.work)?;
            self.connection.execute(
                "UPDATE ticket SET status = ?3, next_update = ?4, work = ?5 \
                 WHERE tenant = ?1 AND ticket = ?2",
                &values![
                    key.0.0,
                    key.1.0,
                    rows::status_code(facts.status()),
                    facts.next_update(),
                    &work,
                ],
            )?;
        }
        Ok(())
    }

    fn write_notes(&self, commits: &[Commit]) -> Result<(), StoreError> {
        let mut latest = Vec::new();
        for commit in commits.iter().rev() {
            latest.extend(commit.notes.iter().map(|note| (commit.tenant, note)));
        }
        latest.sort_by_key(|(tenant, note)| (*tenant, note.note));
        latest.dedup_by_key(|(tenant, note)| (*tenant, note.note));
        self.connection.insert(
            &NOTE_INSERT,
            latest.into_iter(),
            |(tenant, note), values| {
                values.extend(values![
                    tenant.0,
                    note.note.0,
                    note.ticket.0,
                    note.text.as_str(),
                ]);
            },
        )
    }

    fn write_contacts(&mut self) -> Result<(), StoreError> {
        let group = &mut self.group;
        group.changed.sort_unstable();
        group.changed.dedup();
        let contacts = &self.contacts;
        // What has changed is known.
        let changed: Vec<_> = group
            .changed
            .iter()
            .filter_map(|key| Some((key, contacts.get(key)?)))
            .collect();
        self.connection.insert(
            &CONTACT_INSERT,
            changed.into_iter(),
            |((tenant, contact), row), values| {
                values.extend(values![tenant.0, contact.0]);
                rows::contact_values(row, values);
            },
        )
    }

    fn write_personal(&self, commits: &[Commit]) -> Result<(), StoreError> {
        // The last of each contact; one statement writes no row twice.
        let mut latest = Vec::new();
        for commit in commits.iter().rev() {
            let told = commit.personal.iter().rev();
            latest.extend(told.map(|told| (commit.tenant, told)));
        }
        latest.sort_by_key(|(tenant, told)| (*tenant, told.contact));
        latest.dedup_by_key(|(tenant, told)| (*tenant, told.contact));
        self.connection.insert(
            &PERSONAL_INSERT,
            latest.into_iter(),
            |(tenant, told), values| {
                values.extend(values![
                    tenant.0,
                    told.contact.0,
                    &told.dnis.0,
                    told.ani.as_ref().map(|ani| ani.0.as_str()),
                ]);
            },
        )
    }
}

impl Group {
    fn clear(&mut self) {
        self.events.clear();
        self.bodies.clear();
        self.tickets.clear();
        self.ticket_changes.clear();
        self.worked.clear();
        self.counters.clear();
        self.changed.clear();
    }
}

pub(super) fn contact_row(
    connection: &Connection,
    (tenant, contact): Key,
) -> Result<Option<ContactRow>, StoreError> {
    let sql = format!("SELECT {CONTACT_COLUMNS} FROM contact WHERE tenant = ?1 AND contact = ?2");
    connection.row(&sql, &values![tenant.0, contact.0], |row| {
        rows::contact(row, 0)
    })
}

/// Does the failure come from what was to be written, rather than from the disk?
fn is_of_one_commit(error: &StoreError) -> bool {
    match error {
        StoreError::Database(error) => error.is_of_one_commit(),
        StoreError::Unreadable(_) | StoreError::Event { .. } => true,
        StoreError::Undecided
        | StoreError::Unsuitable(_)
        | StoreError::TakenOver
        | StoreError::Behind
        | StoreError::Newer { .. }
        | StoreError::OtherRootKey
        | StoreError::InUse
        | StoreError::Lock(_)
        | StoreError::Thread(_) => false,
    }
}
