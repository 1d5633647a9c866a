//! The database: settings, migrations, what a crash left open.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use desk::{
    Commit, CommitId, ContactId, EndCause, Event, KnownTicket, PhoneNumber, Stamped, TenantId,
    TicketId,
};
use rusqlite::{Connection, params};

use super::rows::{self, TICKET_COLUMNS, TICKET_WIDTH};
use super::writer::Writer;
use super::{Done, Journal, Recovered, RecoveredTenant, Refused, StoreError};

/// How the store works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Writes that may wait. At least as many as the desk may have in flight. Default 4,096.
    pub queue_max: usize,
    /// Writes in one transaction. Default 256.
    pub group_max: usize,
    /// The database's largest size in bytes: beyond it commits fail, before
    /// the disk is full for everybody else. Default: no limit.
    pub size_max_bytes: Option<u64>,
    /// What the installation's root key is known by ([`crate::secrets::RootKey::check`]). A database
    /// that knows another one isn't opened; one that knows none will know this. Default: not looked at.
    pub root_key: Option<[u8; 16]>,
    /// How long a write waits for another process that holds the database
    /// (a backup, somebody's SQL prompt) before it fails. Default 1 s.
    pub busy_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_max: 4_096,
            group_max: 256,
            size_max_bytes: None,
            root_key: None,
            busy_wait: Duration::from_secs(1),
        }
    }
}

/// The migrations, in order; the first is version 1.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../migrations/0001_log_contacts_tickets.sql"),
    include_str!("../../migrations/0002_tickets_state.sql"),
    include_str!("../../migrations/0003_root_key.sql"),
];

/// Tickets of a tenant that are read when the store is opened: the latest.
const TICKETS_READ_MAX: i64 = 100_000;

const PAGE_BYTES: u32 = 4_096;

/// Contacts ended by one transaction after a crash.
const LEFT_OPEN_GROUP: usize = 1_000;

/// The SQLite store. Dropping it writes what is queued and ends the writer.
#[derive(Debug)]
pub struct Store {
    /// `None` only while being dropped.
    queue: Option<SyncSender<Commit>>,
    writer: Option<JoinHandle<()>>,
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
    /// The file can't be opened, is damaged, in use by another process, or
    /// belongs to a newer Careline.
    pub fn open(
        path: &Path,
        settings: Settings,
        at: i64,
        done: impl FnMut(Vec<Done>) + Send + 'static,
    ) -> Result<(Self, Recovered), StoreError> {
        let lock = lock(path)?;
        let mut connection = Connection::open(path)?;
        configure(&connection, &settings)?;
        migrate(&mut connection, at)?;
        if let Some(key) = settings.root_key {
            know(&connection, key)?;
        }
        let mut recovered = Recovered {
            start: connection.query_row(
                "UPDATE start SET count = count + 1 RETURNING count",
                [],
                |row| row.get(0),
            )?,
            tenants: BTreeMap::new(),
            tickets: BTreeMap::new(),
            left_open: left_open(&connection)?,
        };
        let mut writer = Writer::new(connection);
        for contacts in recovered.left_open.chunks(LEFT_OPEN_GROUP) {
            writer.write(&endings(contacts, at))?;
        }
        recovered.tenants = writer.tenants()?;
        recovered.tickets = writer.tickets()?;
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
                drop(lock);
            })
            .map_err(StoreError::Thread)?;
        let store = Self {
            queue: Some(queue),
            writer: Some(writer),
        };
        Ok((store, recovered))
    }
}

/// Whether the database, if there is one, was written with a root key: then a
/// new one must not be made.
///
/// # Errors
/// It can't be read.
pub fn needs_root_key(path: &Path) -> Result<bool, StoreError> {
    if !path.try_exists().map_err(StoreError::Lock)? {
        return Ok(false);
    }
    let connection = Connection::open(path)?;
    let holds = |table: &str| -> Result<bool, StoreError> {
        let known: bool = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?)",
            [table],
            |row| row.get(0),
        )?;
        if !known {
            return Ok(false);
        }
        let query = format!("SELECT EXISTS (SELECT 1 FROM {table})");
        Ok(connection.query_row(&query, [], |row| row.get(0))?)
    };
    // Tickets: of a database from before it knew its key.
    Ok(holds("root_key")? || holds("ticket")?)
}

/// The database and the root key belong together, from the first time on.
fn know(connection: &Connection, key: [u8; 16]) -> Result<(), StoreError> {
    connection.execute("INSERT OR IGNORE INTO root_key VALUES (1, ?)", [key])?;
    let known: Vec<u8> =
        connection.query_row("SELECT known_by FROM root_key", [], |row| row.get(0))?;
    if known == key {
        Ok(())
    } else {
        Err(StoreError::OtherRootKey)
    }
}

impl Journal for Store {
    fn submit(&self, commit: Commit) -> Result<(), Refused> {
        let queue = self.queue.as_ref().ok_or(Refused::Closed)?;
        queue.try_send(commit).map_err(|error| match error {
            TrySendError::Full(_) => Refused::QueueFull,
            TrySendError::Disconnected(_) => Refused::Closed,
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer had panicked");
        }
    }
}

/// Two writers would give one sequence number twice: the lock lasts as long
/// as the writer, and ends with the process however that ends.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = OsString::from(path);
    name.push(".lock");
    let file = File::create(PathBuf::from(name)).map_err(StoreError::Lock)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(TryLockError::Error(error)) => Err(StoreError::Lock(error)),
    }
}

fn configure(connection: &Connection, settings: &Settings) -> Result<(), StoreError> {
    connection.busy_timeout(settings.busy_wait)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is answered when it would survive a power cut, not just a crash.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Copying the write-ahead log back costs two flushes: rarer than the default.
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if let Some(bytes) = settings.size_max_bytes {
        let pages = i64::try_from(bytes / u64::from(PAGE_BYTES)).unwrap_or(i64::MAX);
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(())
}

pub(super) fn version(connection: &Connection) -> Result<u32, StoreError> {
    let known: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'migration')",
        [],
        |row| row.get(0),
    )?;
    if !known {
        return Ok(0);
    }
    let version = connection.query_row(
        "SELECT COALESCE(MAX(version), 0) FROM migration",
        [],
        |row| row.get(0),
    )?;
    Ok(version)
}

/// The version this program reads and writes.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

fn migrate(connection: &mut Connection, at: i64) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found > VERSION {
        return Err(StoreError::Newer {
            found,
            known: VERSION,
        });
    }
    for (version, sql) in (1_u32..).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction()?;
        if version == 1 {
            transaction.execute_batch(
                "CREATE TABLE migration (version INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT",
            )?;
        }
        transaction.execute_batch(sql)?;
        transaction.execute(
            "INSERT INTO migration (version, at) VALUES (?, ?)",
            params![version, at],
        )?;
        transaction.commit()?;
    }
    Ok(())
}

fn left_open(connection: &Connection) -> Result<Vec<(TenantId, ContactId)>, StoreError> {
    let mut statement = connection
        .prepare("SELECT tenant, contact FROM contact WHERE position <> 'ended' ORDER BY 1, 2")?;
    let rows = statement.query_map([], |row| {
        let contact = row.get::<_, i64>(1)?.cast_unsigned();
        Ok((TenantId(row.get(0)?), ContactId(contact)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One commit per contact; their ids are nobody's, for nobody waits.
fn endings(contacts: &[(TenantId, ContactId)], at: i64) -> Vec<Commit> {
    let ending = |&(tenant, contact): &(TenantId, ContactId)| Commit {
        id: CommitId(0),
        tenant,
        events: vec![Stamped {
            at,
            event: Event::ContactEnded {
                contact,
                cause: EndCause::SystemFailure,
            },
        }],
        personal: Vec::new(),
    };
    contacts.iter().map(ending).collect()
}

impl Writer {
    /// The latest tickets of each tenant, with the numbers that their callers called from.
    fn tickets(&self) -> Result<BTreeMap<TenantId, Vec<KnownTicket>>, StoreError> {
        let columns = TICKET_COLUMNS
            .split(", ")
            .map(|column| format!("t.{column}"))
            .collect::<Vec<_>>()
            .join(", ");
        let mut statement = self.connection().prepare(&format!(
            "SELECT {columns}, t.tenant, p.ani FROM ticket t JOIN tenant n ON n.tenant = t.tenant \
             LEFT JOIN personal p ON p.tenant = t.tenant AND p.contact = t.contact \
             WHERE t.ticket >= n.next_ticket - ? ORDER BY t.tenant, t.ticket"
        ))?;
        let mut found = statement.query([TICKETS_READ_MAX])?;
        let mut tickets: BTreeMap<TenantId, Vec<KnownTicket>> = BTreeMap::new();
        while let Some(row) = found.next()? {
            let ticket = rows::ticket(row)?;
            let tenant = TenantId(row.get(TICKET_WIDTH)?);
            let ani: Option<String> = row.get(TICKET_WIDTH + 1)?;
            tickets.entry(tenant).or_default().push(KnownTicket {
                ticket: ticket.ticket,
                facts: ticket.facts,
                ani: ani.map(PhoneNumber),
            });
        }
        Ok(tickets)
    }

    fn tenants(&self) -> Result<BTreeMap<TenantId, RecoveredTenant>, StoreError> {
        let mut statement = self
            .connection()
            .prepare("SELECT tenant, last_seq, next_ticket FROM tenant")?;
        let rows = statement.query_map([], |row| {
            let recovered = RecoveredTenant {
                last_seq: row.get::<_, i64>(1)?.cast_unsigned(),
                next_ticket: TicketId(row.get::<_, i64>(2)?.cast_unsigned()),
            };
            Ok((TenantId(row.get(0)?), recovered))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
