//! What the API keeps: who may ask it, who has asked, and how far those who are told have been told.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use desk::{TenantId, TicketId};

use super::audit::{self, AuditEntry, CONSOLE};
use super::sql::{Connection, values};
use super::writer::{Aside, Work};
use super::{Database, Reader, StoreError};

/// How long is waited for room in the store's queue, and then for its answer:
/// somebody waits at the other end.
const ROOM_PAUSE: Duration = Duration::from_millis(20);
const ROOM_PAUSES_MAX: u32 = 50;
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// Why nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum ApiStoreError {
    /// The database says so.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is closing, or has too much to do. It may yet be stored.
    #[error("the store has too much to do, or is closing; try again in a moment")]
    Busy,
}

/// A token as it is stored: not the secret, but its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// Its id; never given twice.
    pub token: u64,
    /// Whose hospital it reads; none: all of them.
    pub tenant: Option<TenantId>,
    /// What it is for, in words.
    pub name: String,
    /// What it may do, in words that are separated by spaces.
    pub scopes: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// Unix milliseconds.
    pub created_at: i64,
    /// Not valid from then on, Unix milliseconds.
    pub expires_at: i64,
    /// Nor from then on.
    pub revoked_at: Option<i64>,
}

impl std::fmt::Debug for StoredToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredToken")
            .field("token", &self.token)
            .field("tenant", &self.tenant)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// What the writer is asked to do, in a transaction of its own.
#[derive(Debug)]
pub(super) struct ApiWork {
    what: Write,
    answer: SyncSender<Result<u64, StoreError>>,
}

#[derive(Debug)]
enum Write {
    /// These rows of audit.
    Audit(Vec<AuditEntry>),
    /// A token; its id is given now.
    Create(Box<StoredToken>),
    /// This one isn't valid any more.
    Revoke { token: u64, at: i64 },
    /// A hospital's log has been told so far, to this one.
    Told {
        tenant: TenantId,
        consumer: String,
        seq: u64,
    },
    /// A ticket is called so there.
    KnownAs {
        tenant: TenantId,
        consumer: String,
        ticket: TicketId,
        name: String,
    },
}

impl ApiWork {
    /// Does it within a transaction that has begun. Gives the token's id, or 0 where there is none.
    pub(super) fn write(&self, connection: &Connection) -> Result<u64, StoreError> {
        match &self.what {
            Write::Audit(entries) => audit::append(connection, entries).map(|()| 0),
            Write::Create(token) => create(connection, token),
            Write::Revoke { token, at } => revoke(connection, *token, *at),
            Write::Told {
                tenant,
                consumer,
                seq,
            } => told(connection, *tenant, consumer, *seq).map(|()| 0),
            Write::KnownAs {
                tenant,
                consumer,
                ticket,
                name,
            } => known_as(connection, (*tenant, consumer), *ticket, name).map(|()| 0),
        }
    }

    /// Tells whoever waits; they may have given up.
    pub(super) fn answer(self, done: Result<u64, StoreError>) {
        let _ = self.answer.send(done);
    }
}

fn create(connection: &Connection, token: &StoredToken) -> Result<u64, StoreError> {
    let sql = "SELECT COALESCE(MAX(token), 0) + 1 FROM api_token";
    let id: Option<u64> = connection.row(sql, &[], |row| row.get(0))?;
    let id = id.ok_or(StoreError::Unreadable("the tokens' ids"))?;
    connection.execute(
        "INSERT INTO api_token (token, tenant, name, scopes, hash, created_at, expires_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &values![
            id,
            token.tenant.map(|tenant| tenant.0),
            &token.name,
            &token.scopes,
            &token.hash[..],
            token.created_at,
            token.expires_at,
        ],
    )?;
    let entry = of_console(token.tenant, token.created_at, "token.create", id);
    audit::append(connection, &[entry])?;
    Ok(id)
}

fn revoke(connection: &Connection, token: u64, at: i64) -> Result<u64, StoreError> {
    let sql = "SELECT tenant FROM api_token WHERE token = ?1 AND revoked_at IS NULL";
    let tenant = connection.row(sql, &values![token], |row| row.maybe::<u32>(0))?;
    let Some(tenant) = tenant else { return Ok(0) };
    connection.execute(
        "UPDATE api_token SET revoked_at = ?2 WHERE token = ?1",
        &values![token, at],
    )?;
    let entry = of_console(tenant.map(TenantId), at, "token.revoke", token);
    audit::append(connection, &[entry])?;
    Ok(token)
}

fn told(
    connection: &Connection,
    tenant: TenantId,
    consumer: &str,
    seq: u64,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO consumer (tenant, name, seq) VALUES (?1, ?2, ?3) \
         ON CONFLICT (tenant, name) DO UPDATE SET seq = excluded.seq",
        &values![tenant.0, consumer, seq],
    )?;
    Ok(())
}

fn known_as(
    connection: &Connection,
    (tenant, consumer): (TenantId, &str),
    ticket: TicketId,
    name: &str,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO known_as (tenant, consumer, ticket, name) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (tenant, consumer, ticket) DO UPDATE SET name = excluded.name",
        &values![tenant.0, consumer, ticket.0, name],
    )?;
    Ok(())
}

fn of_console(tenant: Option<TenantId>, at: i64, action: &str, token: u64) -> AuditEntry {
    AuditEntry {
        tenant: tenant.unwrap_or(OPERATOR),
        at,
        token: CONSOLE,
        action: action.to_owned(),
        objects: token.to_string(),
    }
}

/// Whose chain tells of what is no hospital's.
const OPERATOR: TenantId = TenantId(0);

/// Stores what the API keeps. It doesn't keep the store open.
#[derive(Debug, Clone)]
pub struct ApiStore {
    /// Emptied when the store is closed, which waits for nobody here.
    pub(super) queue: Arc<Mutex<Option<SyncSender<Work>>>>,
    pub(super) database: Database,
}

impl ApiStore {
    /// A connection to read with.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.database)
    }

    /// Appends rows of audit: all of them, or after an error perhaps none.
    ///
    /// # Errors
    /// They aren't known to be stored.
    pub fn audit(&self, entries: Vec<AuditEntry>) -> Result<(), ApiStoreError> {
        self.write(Write::Audit(entries)).map(|_| ())
    }

    /// Stores a token, gives it its id, and writes that down in the audit.
    ///
    /// # Errors
    /// It isn't known to be stored.
    pub fn create(&self, token: StoredToken) -> Result<u64, ApiStoreError> {
        self.write(Write::Create(Box::new(token)))
    }

    /// Revokes a token, and writes that down in the audit. False: there is none
    /// that could be.
    ///
    /// # Errors
    /// It isn't known to be stored.
    pub fn revoke(&self, token: u64, at: i64) -> Result<bool, ApiStoreError> {
        let revoked = self.write(Write::Revoke { token, at })?;
        Ok(revoked == token)
    }

    /// Remembers how far a hospital's log has been told to somebody.
    ///
    /// # Errors
    /// It isn't known to be stored.
    pub fn told(&self, tenant: TenantId, consumer: &str, seq: u64) -> Result<(), ApiStoreError> {
        let consumer = consumer.to_owned();
        self.write(Write::Told {
            tenant,
            consumer,
            seq,
        })
        .map(|_| ())
    }

    /// Remembers what a ticket is called somewhere else.
    ///
    /// # Errors
    /// It isn't known to be stored.
    pub fn known_as(
        &self,
        tenant: TenantId,
        consumer: &str,
        ticket: TicketId,
        name: &str,
    ) -> Result<(), ApiStoreError> {
        let (consumer, name) = (consumer.to_owned(), name.to_owned());
        self.write(Write::KnownAs {
            tenant,
            consumer,
            ticket,
            name,
        })
        .map(|_| ())
    }

    fn write(&self, what: Write) -> Result<u64, ApiStoreError> {
        let (answer, answered) = sync_channel(1);
        let mut work = Work::Aside(Aside::Api(ApiWork { what, answer }));
        for _ in 0..ROOM_PAUSES_MAX {
            let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let sent = match &*queue {
                Some(queue) => queue.try_send(work),
                None => break,
            };
            // Not held while waiting: the store may close.
            drop(queue);
            match sent {
                Ok(()) => {
                    return match answered.recv_timeout(ANSWER_MAX) {
                        Ok(done) => Ok(done?),
                        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                            Err(ApiStoreError::Busy)
                        }
                    };
                }
                Err(TrySendError::Full(back)) => work = back,
                Err(TrySendError::Disconnected(_)) => break,
            }
            std::thread::sleep(ROOM_PAUSE);
        }
        Err(ApiStoreError::Busy)
    }
}

impl Reader {
    /// How far a hospital's log has been told to somebody; `None`: they are new.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn told(&self, tenant: TenantId, consumer: &str) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT seq FROM consumer WHERE tenant = ?1 AND name = ?2";
        self.connection
            .row(sql, &values![tenant.0, consumer], |row| row.get(0))
    }

    /// What a ticket is called somewhere else, where that is known.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn known_as(
        &self,
        tenant: TenantId,
        consumer: &str,
        ticket: TicketId,
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT name FROM known_as WHERE tenant = ?1 AND consumer = ?2 AND ticket = ?3";
        self.connection
            .row(sql, &values![tenant.0, consumer, ticket.0], |row| {
                Ok(row.text(0)?.to_owned())
            })
    }

    /// The number of the last event of a hospital's log; 0 where there is none.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn last_seq(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let sql = "SELECT last_seq FROM tenant WHERE tenant = ?1";
        let last = self
            .connection
            .row(sql, &values![tenant.0], |row| row.get(0))?;
        Ok(last.unwrap_or(0))
    }

    /// Every token there ever was, by id.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        let sql = "SELECT token, tenant, name, scopes, hash, created_at, expires_at, revoked_at \
                   FROM api_token ORDER BY token";
        self.connection.all(sql, &[], |row| {
            let hash = row.bytes(4)?.try_into();
            Ok(StoredToken {
                token: row.get(0)?,
                tenant: row.maybe(1)?.map(TenantId),
                name: row.text(2)?.to_owned(),
                scopes: row.text(3)?.to_owned(),
                hash: hash.map_err(|_| StoreError::Unreadable("a token's hash"))?,
                created_at: row.get(5)?,
                expires_at: row.get(6)?,
                revoked_at: row.maybe(7)?,
            })
        })
    }
}
