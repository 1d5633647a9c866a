//! The store: settings, what a crash left open.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use desk::{
    Commit, CommitId, ContactId, EndCause, Event, KnownTicket, PhoneNumber, PromiseId,
    PromiseNumber, Stamped, TenantId, TicketId,
};

use super::api::ApiStore;
use super::people::PeopleStore;
use super::rows::{self, TICKET_COLUMNS, TICKET_WIDTH};
use super::sql::{Connection, values};
use super::writer::{Work, Writer, contact_row};
use super::{
    Database, Done, Journal, Recovered, RecoveredTenant, Refused, StoreError, incidents, promises,
};

/// How the store works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Writes that may wait. At least as many as the desk may have in flight. Default 4,096.
    pub queue_max: usize,
    /// Writes in one transaction. Default 256.
    pub group_max: usize,
    /// A SQLite file's largest size in bytes: beyond it commits fail, before
    /// the disk is full for everybody else. Default: no limit.
    pub size_max_bytes: Option<u64>,
    /// What the installation's root key is known by ([`crate::secrets::RootKey::check`]). A database
    /// that knows another one isn't opened; one that knows none will know this. Default: not looked at.
    pub root_key: Option<[u8; 16]>,
    /// How long a write waits for another process that holds the database
    /// (a backup, somebody's SQL prompt) before it fails. Default 1 s.
    pub busy_wait: Duration,
    /// How long a PostgreSQL server may take to answer before the session with
    /// it counts as broken. Default 3 s.
    pub answer_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_max: 4_096,
            group_max: 256,
            size_max_bytes: None,
            root_key: None,
            busy_wait: Duration::from_secs(1),
            answer_wait: Duration::from_secs(3),
        }
    }
}

/// Tickets of a tenant that are read when the store is opened, beside those
/// that are open: the latest.
const TICKETS_READ_MAX: i64 = 100_000;

/// Contacts ended by one transaction after a crash.
const LEFT_OPEN_GROUP: usize = 1_000;

/// The store. Dropping it writes what is queued and ends the writer.
#[derive(Debug)]
pub struct Store {
    /// `None` only while being dropped.
    queue: Option<SyncSender<Work>>,
    people: PeopleStore,
    writer: Option<JoinHandle<()>>,
    closing: Arc<AtomicBool>,
}

impl Store {
    /// Opens or creates the database, brings it to this version, ends the
    /// contacts that a crash left open (at wall-clock time `at`, Unix
    /// milliseconds), and starts the writer.
    ///
    /// `done` is called on the writer's thread after each group, and must not
    /// block: sending on an unbounded or amply bounded channel is right.
    ///
    /// # Errors
    ///
    /// It can't be opened, is damaged, in use by another process, or belongs
    /// to a newer Careline; a server isn't one that may be trusted with a log.
    pub fn open(
        database: impl Into<Database>,
        settings: Settings,
        at: i64,
        done: impl FnMut(Vec<Done>) + Send + 'static,
    ) -> Result<(Self, Recovered), StoreError> {
        let database = database.into();
        let connection = Connection::to_write(&database, &settings)?;
        connection.migrate(at)?;
        if let Some(key) = settings.root_key {
            know(&connection, key)?;
        }
        let start = connection.row(
            "UPDATE start SET count = count + 1 RETURNING count",
            &[],
            |row| row.get(0),
        )?;
        let start = start.ok_or(StoreError::Unreadable("the count of starts"))?;
        connection.hold(start)?;
        let mut recovered = Recovered {
            start,
            tenants: BTreeMap::new(),
            tickets: BTreeMap::new(),
            promises: BTreeMap::new(),
            next_promise: promises::next(&connection)?,
            incidents: BTreeMap::new(),
            next_incident: incidents::next(&connection)?,
            left_open: left_open(&connection)?,
        };
        let mut writer = Writer::new(connection);
        for contacts in recovered.left_open.chunks(LEFT_OPEN_GROUP) {
            let endings = endings(
                writer.connection(),
                contacts,
                &mut recovered.next_promise,
                at,
            )?;
            writer.write(&endings)?;
        }
        recovered.promises = promises::owed(writer.connection())?;
        recovered.incidents = incidents::live(writer.connection())?;
        recovered.tenants = writer.tenants()?;
        recovered.tickets = writer.tickets()?;
        let closing = writer.closing();
        let (queue, waiting) = sync_channel(settings.queue_max.max(1));
        let writer = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                let run = std::panic::AssertUnwindSafe(|| {
                    writer.run(&waiting, settings.group_max.max(1), done);
                });
                if std::panic::catch_unwind(run).is_err() {
                    // Nothing would be durable any more, and nobody told: the process ends.
                    std::process::abort();
                }
            })
            .map_err(StoreError::Thread)?;
        let store = Self {
            people: PeopleStore {
                queue: Arc::new(Mutex::new(Some(queue.clone()))),
                database,
            },
            queue: Some(queue),
            writer: Some(writer),
            closing,
        };
        Ok((store, recovered))
    }

    /// Where people are stored. It doesn't keep the store open.
    pub fn people(&self) -> PeopleStore {
        self.people.clone()
    }

    /// Where the API keeps what it keeps. It doesn't keep the store open.
    pub fn api(&self) -> ApiStore {
        ApiStore {
            queue: Arc::clone(&self.people.queue),
            database: self.people.database.clone(),
        }
    }
}

/// Whether the database, if there is one, was written with a root key: then a
/// new one must not be made.
///
/// # Errors
/// It can't be read.
pub fn needs_root_key(database: impl Into<Database>) -> Result<bool, StoreError> {
    let database = database.into();
    if let Database::File(path) = &database
        && !path.try_exists().map_err(StoreError::Lock)?
    {
        return Ok(false);
    }
    let connection = Connection::to_read(&database)?;
    // Tickets: of a database from before it knew its key.
    Ok(connection.has_rows("root_key")? || connection.has_rows("ticket")?)
}

/// The database and the root key belong together, from the first time on.
fn know(connection: &Connection, key: [u8; 16]) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO root_key (one, known_by) VALUES (1, ?1) ON CONFLICT (one) DO NOTHING",
        &values![&key[..]],
    )?;
    let known = connection.row("SELECT known_by FROM root_key", &[], |row| {
        Ok(row.bytes(0)? == key)
    })?;
    match known {
        Some(true) => Ok(()),
        _ => Err(StoreError::OtherRootKey),
    }
}

impl Journal for Store {
    fn submit(&self, commit: Commit) -> Result<(), Refused> {
        let queue = self.queue.as_ref().ok_or(Refused::Closed)?;
        queue
            .try_send(Work::Commit(commit))
            .map_err(|error| match error {
                TrySendError::Full(_) => Refused::QueueFull,
                TrySendError::Disconnected(_) => Refused::Closed,
            })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        drop(self.queue.take());
        let people = self.people.queue.lock();
        drop(people.unwrap_or_else(PoisonError::into_inner).take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer had panicked");
        }
    }
}

fn left_open(connection: &Connection) -> Result<Vec<(TenantId, ContactId)>, StoreError> {
    let sql = "SELECT tenant, contact FROM contact WHERE position <> 'ended' ORDER BY 1, 2";
    connection.all(sql, &[], |row| {
        Ok((TenantId(row.get(0)?), ContactId(row.get(1)?)))
    })
}

/// One commit per contact; their ids are nobody's, for nobody waits. Whoever
/// waited in a queue, and called from a number, is called back.
fn endings(
    connection: &Connection,
    contacts: &[(TenantId, ContactId)],
    next: &mut BTreeMap<TenantId, PromiseId>,
    at: i64,
) -> Result<Vec<Commit>, StoreError> {
    let mut commits = Vec::with_capacity(contacts.len());
    for &(tenant, contact) in contacts {
        let cause = EndCause::SystemFailure;
        let mut events = vec![Event::ContactEnded { contact, cause }];
        let mut numbers = Vec::new();
        let row = contact_row(connection, (tenant, contact))?;
        let next = next.entry(tenant).or_insert(PromiseId(1));
        let made = row.and_then(|row| desk::cut_off(*next, contact, &row.facts, at));
        if let Some(made) = made
            && let Some(number) = promises::calling_number(connection, tenant, contact)?
        {
            let promise = *next;
            next.0 += 1;
            events.push(made);
            numbers.push(PromiseNumber { promise, number });
        }
        commits.push(Commit {
            id: CommitId(0),
            tenant,
            events: events
                .into_iter()
                .map(|event| Stamped { at, event })
                .collect(),
            personal: Vec::new(),
            notes: Vec::new(),
            numbers,
            incidents: desk::IncidentRows::default(),
        });
    }
    Ok(commits)
}

impl Writer {
    /// The latest tickets of each tenant and those that are worked on, with the numbers that their callers called from.
    fn tickets(&self) -> Result<BTreeMap<TenantId, Vec<KnownTicket>>, StoreError> {
        let columns = TICKET_COLUMNS
            .split(", ")
            .map(|column| format!("t.{column}"))
            .collect::<Vec<_>>()
            .join(", ");
        let sql = format!(
            "SELECT {columns}, t.tenant, p.ani FROM ticket t JOIN tenant n ON n.tenant = t.tenant \
             LEFT JOIN personal p ON p.tenant = t.tenant AND p.contact = t.contact \
             WHERE t.ticket >= n.next_ticket - ?1 \
             OR (t.status = 'open' AND t.work IS NOT NULL) ORDER BY t.tenant, t.ticket"
        );
        let mut tickets: BTreeMap<TenantId, Vec<KnownTicket>> = BTreeMap::new();
        self.connection()
            .rows(&sql, &values![TICKETS_READ_MAX], |row| {
                let ticket = rows::ticket(row)?;
                let tenant = TenantId(row.get(TICKET_WIDTH)?);
                let ani = row.maybe_text(TICKET_WIDTH + 1)?;
                tickets.entry(tenant).or_default().push(KnownTicket {
                    ticket: ticket.ticket,
                    facts: ticket.facts,
                    ani: ani.map(|ani| PhoneNumber(ani.to_owned())),
                });
                Ok(())
            })?;
        Ok(tickets)
    }

    fn tenants(&self) -> Result<BTreeMap<TenantId, RecoveredTenant>, StoreError> {
        let sql = "SELECT tenant, last_seq, next_ticket FROM tenant";
        let tenants = self.connection().all(sql, &[], |row| {
            let recovered = RecoveredTenant {
                last_seq: row.get(1)?,
                next_ticket: TicketId(row.get(2)?),
            };
            Ok((TenantId(row.get(0)?), recovered))
        })?;
        Ok(tenants.into_iter().collect())
    }
}
