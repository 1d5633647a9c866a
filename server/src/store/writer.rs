//! The thread that owns the database, and its groups.
//!
//! Whatever waits in the queue, up to a bound, becomes one transaction: one
//! flush to disk serves them all, and each table is written by statements of
//! many rows. At rest a write goes alone and at once; under load transactions
//! begin [`PACE`] apart, and the queue fills meanwhile.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use desk::{Commit, ContactId, Event, Facts, Personal, TenantId, TicketChange, TicketId};
use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, params};

use super::rows::{self, CONTACT_COLUMNS, CONTACT_WIDTH};
use super::{ContactRow, Done, StoreError};

type Key = (TenantId, ContactId);

/// Writes transactions. On its own thread in service; used without a thread
/// while the database is being opened.
pub(super) struct Writer {
    connection: Connection,
    /// The rows of contacts that are open, so that they needn't be read again
    /// for each of their events. Emptied when a transaction fails.
    contacts: HashMap<Key, ContactRow>,
    group: Group,
}

/// The rows of one transaction. Kept between transactions for its memory.
#[derive(Default)]
struct Group {
    events: Vec<EventRow>,
    /// The events' JSON, one behind the other.
    bodies: Vec<u8>,
    tickets: Vec<[i64; 5]>,
    ticket_changes: Vec<(TenantId, TicketId, TicketChange)>,
    counters: Vec<(TenantId, Counter)>,
    changed: Vec<Key>,
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

/// Rows written by one statement where there are as many.
const ROWS: usize = 16;

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        connection.set_prepared_statement_cache_capacity(32);
        Self {
            connection,
            contacts: HashMap::new(),
            group: Group::default(),
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Serves the queue until nobody can put anything into it any more.
    pub(super) fn run(
        mut self,
        queue: &Receiver<Commit>,
        group_max: usize,
        mut done: impl FnMut(Vec<Done>),
    ) {
        let mut commits = Vec::with_capacity(group_max);
        let mut began: Option<Instant> = None;
        while let Ok(first) = queue.recv() {
            commits.push(first);
            if let Some(began) = began {
                std::thread::sleep(PACE.saturating_sub(began.elapsed()));
            }
            began = Some(Instant::now());
            while commits.len() < group_max
                && let Ok(next) = queue.try_recv()
            {
                commits.push(next);
            }
            done(self.serve(&commits));
            commits.clear();
        }
        // Leaves nothing for the next start to recover; if it fails, that start does.
        let checkpoint = self
            .connection
            .execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)");
        if let Err(error) = checkpoint {
            tracing::warn!(%error, "the store closes without a checkpoint");
        }
    }

    fn serve(&mut self, commits: &[Commit]) -> Vec<Done> {
        let all = |done: fn(_) -> Done| commits.iter().map(|c| done(c.id)).collect();
        match self.write(commits) {
            Ok(()) => all(Done::Committed),
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
        let begun = self
            .connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute([]);
        let written = begun
            .map_err(StoreError::from)
            .and_then(|_| self.write_rows(commits));
        let finished = written.and_then(|()| {
            let committed = self.connection.prepare_cached("COMMIT")?.execute([]);
            committed.inspect_err(|_| self.fence())?;
            Ok(())
        });
        if finished.is_ok() {
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
            self.roll_back();
        }
        finished
    }

    fn roll_back(&mut self) {
        self.contacts.clear();
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction can't be rolled back");
        }
    }

    /// A commit that failed in the very flush may lie complete in the
    /// write-ahead log, and would come back to life if we crashed now. The
    /// next transaction overwrites it; so one is made before anybody is told
    /// that theirs failed.
    fn fence(&self) {
        if !self.connection.is_autocommit() && self.connection.execute_batch("ROLLBACK").is_err() {
            return;
        }
        if let Err(error) = self
            .connection
            .execute_batch("UPDATE start SET count = count")
        {
            tracing::error!(%error, "nothing can be written behind a failed commit");
        }
    }

    fn write_rows(&mut self, commits: &[Commit]) -> Result<(), StoreError> {
        self.group.clear();
        for commit in commits {
            self.add(commit)?;
        }
        for personal in commits
            .iter()
            .flat_map(|c| c.personal.iter().map(|p| (c.tenant, p)))
        {
            self.write_personal(personal)?;
        }
        self.write_events()?;
        self.write_tickets()?;
        self.change_tickets()?;
        self.write_contacts()?;
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
            } = stamped.event
            {
                counter.next_ticket = counter.next_ticket.max(ticket.0 + 1);
                self.group.tickets.push([
                    i64::from(tenant.0),
                    ticket.0.cast_signed(),
                    number.value().cast_signed(),
                    contact.0.cast_signed(),
                    stamped.at,
                ]);
            }
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
                for (ticket, change) in desk::ticket_changes(&row.facts, &stamped.event) {
                    self.group.ticket_changes.push((tenant, ticket, change));
                }
                if self.group.changed.last() != Some(&key) {
                    self.group.changed.push(key);
                }
            } else {
                for (ticket, change) in desk::ticket_changes(&Facts::default(), &stamped.event) {
                    self.group.ticket_changes.push((tenant, ticket, change));
                }
            }
        }
        self.group.counters[place].1 = counter;
        Ok(())
    }

    fn counter(&self, tenant: TenantId) -> Result<Counter, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT last_seq, next_ticket FROM tenant WHERE tenant = ?")?;
        let counter = statement
            .query_row([tenant.0], |row| {
                Ok(Counter {
                    last_seq: row.get::<_, i64>(0)?.cast_unsigned(),
                    next_ticket: row.get::<_, i64>(1)?.cast_unsigned(),
                })
            })
            .optional()?;
        Ok(counter.unwrap_or(Counter {
            last_seq: 0,
            next_ticket: 1,
        }))
    }

    fn write_counters(&self) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO tenant (tenant, last_seq, next_ticket) VALUES (?, ?, ?) \
             ON CONFLICT (tenant) DO UPDATE \
             SET last_seq = excluded.last_seq, next_ticket = excluded.next_ticket",
        )?;
        for (tenant, counter) in &self.group.counters {
            statement.execute([
                i64::from(tenant.0),
                counter.last_seq.cast_signed(),
                counter.next_ticket.cast_signed(),
            ])?;
        }
        Ok(())
    }

    fn write_events(&self) -> Result<(), StoreError> {
        let group = &self.group;
        let mut body_start = 0;
        self.in_rows(
            "INSERT INTO event (tenant, seq, at, contact, version, body) VALUES ",
            6,
            &group.events,
            |statement, first, row: &EventRow| {
                let body = &group.bodies[body_start..row.body_end];
                body_start = row.body_end;
                // JSON made by us is UTF-8.
                let body = std::str::from_utf8(body).unwrap_or_default();
                statement.raw_bind_parameter(first, row.tenant.0)?;
                statement.raw_bind_parameter(first + 1, row.seq.cast_signed())?;
                statement.raw_bind_parameter(first + 2, row.at)?;
                let contact = row.contact.map(|contact| contact.0.cast_signed());
                statement.raw_bind_parameter(first + 3, contact)?;
                statement.raw_bind_parameter(first + 4, Event::VERSION)?;
                statement.raw_bind_parameter(first + 5, body)
            },
        )
    }

    fn write_tickets(&self) -> Result<(), StoreError> {
        self.in_rows(
            "INSERT INTO ticket (tenant, ticket, number, contact, opened_at) VALUES ",
            5,
            &self.group.tickets,
            |statement, first, row: &[i64; 5]| {
                for (column, value) in row.iter().enumerate() {
                    statement.raw_bind_parameter(first + column, value)?;
                }
                Ok(())
            },
        )
    }

    fn change_tickets(&self) -> Result<(), StoreError> {
        for (tenant, ticket, change) in &self.group.ticket_changes {
            let ticket = ticket.0.cast_signed();
            let update = |set: &str| {
                let sql = format!("UPDATE ticket SET {set} WHERE tenant = ?1 AND ticket = ?2");
                self.connection.prepare_cached(&sql)
            };
            match *change {
                TicketChange::Owner(agent) => {
                    update("owner = ?3")?.execute(params![tenant.0, ticket, agent.0])?
                }
                TicketChange::Queue(queue) => {
                    update("queue = ?3")?.execute(params![tenant.0, ticket, queue.0])?
                }
                TicketChange::Told {
                    status,
                    next_update,
                } => update("status = ?3, next_update = ?4")?.execute(params![
                    tenant.0,
                    ticket,
                    rows::status_code(status),
                    next_update
                ])?,
            };
        }
        Ok(())
    }

    fn write_contacts(&mut self) -> Result<(), StoreError> {
        let group = &mut self.group;
        group.changed.sort_unstable();
        group.changed.dedup();
        let contacts = &self.contacts;
        self.in_rows(
            &format!("REPLACE INTO contact (tenant, contact, {CONTACT_COLUMNS}) VALUES "),
            CONTACT_WIDTH,
            &self.group.changed,
            |statement, first, key: &Key| {
                let (tenant, contact) = key;
                statement.raw_bind_parameter(first, tenant.0)?;
                statement.raw_bind_parameter(first + 1, contact.0.cast_signed())?;
                match contacts.get(key) {
                    Some(row) => rows::bind_contact(statement, first + 2, row),
                    None => Ok(()),
                }
            },
        )
    }

    fn write_personal(&self, (tenant, personal): (TenantId, &Personal)) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "REPLACE INTO personal (tenant, contact, dnis, ani) VALUES (?, ?, ?, ?)",
        )?;
        statement.execute(params![
            tenant.0,
            personal.contact.0.cast_signed(),
            personal.dnis.0,
            personal.ani.as_ref().map(|ani| &ani.0),
        ])?;
        Ok(())
    }

    /// Runs an insert over all rows, as many at once as [`ROWS`], the rest singly.
    fn in_rows<T>(
        &self,
        insert: &str,
        width: usize,
        rows: &[T],
        mut bind: impl FnMut(&mut CachedStatement<'_>, usize, &T) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let mut run = |size: usize, rows: &[T]| -> rusqlite::Result<()> {
            if rows.is_empty() {
                return Ok(());
            }
            let row = format!("({})", vec!["?"; width].join(", "));
            let sql = format!("{insert}{}", vec![row.as_str(); size].join(", "));
            let mut statement = self.connection.prepare_cached(&sql)?;
            for chunk in rows.chunks_exact(size) {
                for (place, row) in chunk.iter().enumerate() {
                    bind(&mut statement, 1 + place * width, row)?;
                }
                statement.raw_execute()?;
            }
            Ok(())
        };
        let many = rows.len() - rows.len() % ROWS;
        run(ROWS, &rows[..many])?;
        run(1, &rows[many..])?;
        Ok(())
    }
}

impl Group {
    fn clear(&mut self) {
        self.events.clear();
        self.bodies.clear();
        self.tickets.clear();
        self.ticket_changes.clear();
        self.counters.clear();
        self.changed.clear();
    }
}

fn contact_row(
    connection: &Connection,
    (tenant, contact): Key,
) -> Result<Option<ContactRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {CONTACT_COLUMNS} FROM contact WHERE tenant = ? AND contact = ?"
    ))?;
    let mut found = statement.query([i64::from(tenant.0), contact.0.cast_signed()])?;
    found.next()?.map(|row| rows::contact(row, 0)).transpose()
}

/// Does the failure come from what was to be written, rather than from the disk?
fn is_of_one_commit(error: &StoreError) -> bool {
    match error {
        StoreError::Database(error) => matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::ConstraintViolation
                    | ErrorCode::TypeMismatch
                    | ErrorCode::TooBig
                    | ErrorCode::ApiMisuse
                    | ErrorCode::ParameterOutOfRange
            ) | None
        ),
        StoreError::Unreadable(_) | StoreError::Event { .. } => true,
        StoreError::Newer { .. }
        | StoreError::OtherRootKey
        | StoreError::InUse
        | StoreError::Lock(_)
        | StoreError::Thread(_) => false,
    }
}
