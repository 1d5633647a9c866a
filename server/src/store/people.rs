//! People and places that were imported.
//!
//! An import of fifty thousand mustn't hold up a single ticket, nor be seen by
//! halves. So its rows are written a few hundred at a time, between other
//! commits, under an import that isn't applied yet; then one small
//! transaction applies it. Rows of an import that was cut off mean nothing, and
//! are removed by the next.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use desk::people::{Change, Factors, Profile};
use desk::{PersonId, TenantId};

use super::sql::{Conflict, Connection, Insert, Value, values};
use super::writer::{Aside, Work};
use super::{Database, Reader, StoreError};

/// Rows in one transaction: some ten milliseconds of the writer.
const ROWS: usize = 500;

/// How long an import waits for room in the store's queue.
const ROOM_PAUSE: Duration = Duration::from_millis(50);
const ROOM_PAUSES_MAX: u32 = 200;

const PERSON_INSERT: Insert = Insert {
    table: "person",
    columns: "tenant, person, version, import, profile, factors",
    conflict: Conflict::Refuse,
};

/// Why people weren't stored.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// The database says so.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is closing, or has too much to do.
    #[error("the store has too much to do, or is closing; import again in a moment")]
    Busy,
}

/// The people of one hospital, as they are stored.
#[derive(Debug, Default)]
pub struct StoredPeople {
    /// Everybody.
    pub profiles: Vec<Arc<Profile>>,
    /// What some of them know of themselves.
    pub factors: BTreeMap<PersonId, Factors>,
    /// No id from this on was ever given.
    pub next: u32,
    /// Versions that aren't the last any more.
    pub stale: Vec<(PersonId, u32)>,
}

/// What the writer is asked to do, in a transaction of its own.
#[derive(Debug)]
pub(super) struct PeopleWork {
    tenant: TenantId,
    what: Write,
    answer: SyncSender<Result<(), StoreError>>,
}

#[derive(Debug)]
enum Write {
    /// An import begins; what others left unfinished is removed.
    Begin {
        import: u64,
        at: i64,
        source: String,
    },
    /// Rows of it.
    Rows { import: u64, rows: Vec<PersonRow> },
    /// All of it counts.
    Apply { import: u64, at: i64 },
    /// These versions aren't the last any more.
    Remove(Vec<(PersonId, u32)>),
}

#[derive(Debug)]
struct PersonRow {
    person: PersonId,
    version: u32,
    profile: Option<String>,
    factors: Option<String>,
}

impl PeopleWork {
    /// Does it within a transaction that has begun.
    pub(super) fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        let tenant = self.tenant.0;
        match &self.what {
            Write::Begin { import, at, source } => {
                let unfinished = "tenant = ?1 AND import IN (SELECT import FROM person_import WHERE tenant = ?1 AND applied = 0)";
                let rows = format!("DELETE FROM person WHERE {unfinished}");
                connection.execute(&rows, &values![tenant])?;
                connection.execute(
                    "DELETE FROM person_import WHERE tenant = ?1 AND applied = 0",
                    &values![tenant],
                )?;
                connection.execute(
                    "INSERT INTO person_import (tenant, import, at, source, applied) VALUES (?1, ?2, ?3, ?4, 0)",
                    &values![tenant, *import, *at, source],
                )
            }
            Write::Rows { import, rows } => {
                connection.insert(&PERSON_INSERT, rows.iter(), |row, values| {
                    values.extend(values![
                        tenant,
                        row.person.0,
                        row.version,
                        *import,
                        row.profile.as_deref(),
                        row.factors.as_deref(),
                    ]);
                })
            }
            Write::Apply { import, at } => connection.execute(
                "UPDATE person_import SET applied = 1, at = ?3 WHERE tenant = ?1 AND import = ?2",
                &values![tenant, *import, *at],
            ),
            Write::Remove(rows) => {
                for (person, version) in rows {
                    connection.execute(
                        "DELETE FROM person WHERE tenant = ?1 AND person = ?2 AND version = ?3",
                        &[
                            Value::from(tenant),
                            Value::from(person.0),
                            Value::from(*version),
                        ],
                    )?;
                }
                Ok(())
            }
        }
    }

    /// Tells whoever waits; they may have given up.
    pub(super) fn answer(self, done: Result<(), StoreError>) {
        let _ = self.answer.send(done);
    }
}

/// Stores people, and reads them.
#[derive(Debug, Clone)]
pub struct PeopleStore {
    /// Emptied when the store is closed, which waits for nobody here.
    pub(super) queue: Arc<Mutex<Option<SyncSender<Work>>>>,
    pub(super) database: Database,
}

impl PeopleStore {
    /// Everybody of a hospital.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn load(&self, tenant: TenantId) -> Result<StoredPeople, StoreError> {
        Reader::open(&self.database)?.people(tenant)
    }

    /// Makes changes durable: all of them, or after an error none. `factors`: of whom among
    /// them something is kept, all of it. `stale` are
    /// versions that aren't the last any more once this is applied.
    ///
    /// # Errors
    /// The database can't be written, or not now.
    pub fn import(
        &self,
        tenant: TenantId,
        source: &str,
        at: i64,
        changes: &[Change],
        factors: &BTreeMap<PersonId, Factors>,
        stale: &[(PersonId, u32)],
    ) -> Result<(), PeopleError> {
        let import = Reader::open(&self.database)?.last_import(tenant)? + 1;
        let source = source.to_owned();
        self.write(tenant, Write::Begin { import, at, source })?;
        for changes in changes.chunks(ROWS) {
            let rows = changes.iter().map(|change| PersonRow::of(change, factors));
            let rows = rows.collect();
            self.write(tenant, Write::Rows { import, rows })?;
        }
        self.write(tenant, Write::Apply { import, at })?;
        // What isn't removed now is when it is read the next time.
        for stale in stale.chunks(ROWS) {
            if let Err(error) = self.write(tenant, Write::Remove(stale.to_vec())) {
                tracing::warn!(%error, "earlier versions of people stay stored");
                break;
            }
        }
        Ok(())
    }

    fn sender(&self) -> Option<SyncSender<Work>> {
        let queue = self.queue.lock();
        queue.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, tenant: TenantId, what: Write) -> Result<(), PeopleError> {
        let (answer, answered) = sync_channel(1);
        let mut work = Work::Aside(Aside::People(PeopleWork {
            tenant,
            what,
            answer,
        }));
        for _ in 0..ROOM_PAUSES_MAX {
            let queue = self.sender().ok_or(PeopleError::Busy)?;
            match queue.try_send(work) {
                Ok(()) => {
                    // Not held while waiting: the store may close.
                    drop(queue);
                    let done = answered.recv().map_err(|_| PeopleError::Busy)?;
                    return Ok(done?);
                }
                Err(TrySendError::Full(back)) => work = back,
                Err(TrySendError::Disconnected(_)) => break,
            }
            drop(queue);
            std::thread::sleep(ROOM_PAUSE);
        }
        Err(PeopleError::Busy)
    }
}

impl PersonRow {
    fn of(change: &Change, factors: &BTreeMap<PersonId, Factors>) -> Self {
        match change {
            Change::Put(profile) => Self {
                person: profile.id,
                version: profile.version,
                // Texts, numbers and lists of them: always written.
                profile: serde_json::to_string(&**profile).ok(),
                factors: factors
                    .get(&profile.id)
                    .and_then(|factors| serde_json::to_string(factors).ok()),
            },
            Change::Remove { person, version } => Self {
                person: *person,
                version: *version,
                profile: None,
                factors: None,
            },
        }
    }
}

impl Reader {
    /// Everybody of a hospital who was imported.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn people(&self, tenant: TenantId) -> Result<StoredPeople, StoreError> {
        let sql = "SELECT p.person, p.version, p.profile, i.applied, p.factors FROM person p \
                   JOIN person_import i ON i.tenant = p.tenant AND i.import = p.import \
                   WHERE p.tenant = ?1 ORDER BY p.person, p.version";
        let mut people = StoredPeople::default();
        let mut last: Option<(PersonId, u32, Option<Arc<Profile>>)> = None;
        let mut factors = BTreeMap::new();
        let mut stale = Vec::new();
        self.connection.rows(sql, &values![tenant.0], |row| {
            let person = PersonId(row.get(0)?);
            people.next = people.next.max(person.0.saturating_add(1));
            if !row.get::<bool>(3)? {
                return Ok(());
            }
            let profile = row.maybe_text(2)?;
            let profile: Option<Profile> = profile
                .map(serde_json::from_str)
                .transpose()
                .map_err(|_| StoreError::Unreadable("a person"))?;
            let kept: Option<Factors> = row
                .maybe_text(4)?
                .map(serde_json::from_str)
                .transpose()
                .map_err(|_| StoreError::Unreadable("what somebody knows of themselves"))?;
            // Versions come in their order: the last one counts.
            match kept {
                Some(kept) => factors.insert(person, kept),
                None => factors.remove(&person),
            };
            let now = (person, row.get(1)?, profile.map(Arc::new));
            if let Some((before, version, profile)) = last.replace(now) {
                if before == person {
                    stale.push((before, version));
                } else {
                    people.profiles.extend(profile);
                }
            }
            Ok(())
        })?;
        people
            .profiles
            .extend(last.and_then(|(_, _, profile)| profile));
        people.stale = stale;
        people.factors = factors;
        Ok(people)
    }

    fn last_import(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let sql = "SELECT COALESCE(MAX(import), 0) FROM person_import WHERE tenant = ?1";
        let last = self
            .connection
            .row(sql, &values![tenant.0], |row| row.get(0))?;
        Ok(last.unwrap_or(0))
    }
}
