//! SQLite: a file, its settings and its lock.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;

use super::insert::Texts;
use super::{DatabaseError, Insert, Row, Value};
use crate::store::{Settings, StoreError};

/// Rows written by one statement, where there are as many.
pub(super) const ROWS: &[usize] = &[16, 1];

const PAGE_BYTES: u32 = 4_096;
const STATEMENTS_MAX: usize = 64;

pub(super) struct Connection {
    inner: rusqlite::Connection,
    texts: Texts,
    /// Held as long as the connection is, and given back after it.
    _lock: Option<Lock>,
}

impl Connection {
    pub(super) fn to_write(path: &Path, settings: &Settings) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        let inner = rusqlite::Connection::open(path).map_err(DatabaseError::from)?;
        configure(&inner, settings).map_err(DatabaseError::from)?;
        Ok(Self::new(inner, Some(lock)))
    }

    pub(super) fn to_read(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let inner = rusqlite::Connection::open_with_flags(path, flags);
        Ok(Self::new(inner.map_err(DatabaseError::from)?, None))
    }

    fn new(inner: rusqlite::Connection, lock: Option<Lock>) -> Self {
        inner.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Self {
            inner,
            texts: Texts::default(),
            _lock: lock,
        }
    }

    pub(super) fn begin(&self) -> Result<(), StoreError> {
        self.execute("BEGIN IMMEDIATE", &[])
    }

    pub(super) fn commit(&self) -> Result<(), StoreError> {
        self.execute("COMMIT", &[]).inspect_err(|_| self.fence())
    }

    pub(super) fn roll_back(&self) {
        if !self.inner.is_autocommit()
            && let Err(error) = self.inner.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction can't be rolled back");
        }
    }

    /// A commit that failed in the very flush may lie complete in the
    /// write-ahead log, and would come back to life if we crashed now. The
    /// next transaction overwrites it; so one is made before anybody is told
    /// that theirs failed.
    fn fence(&self) {
        if !self.inner.is_autocommit() && self.inner.execute_batch("ROLLBACK").is_err() {
            return;
        }
        if let Err(error) = self.inner.execute_batch("UPDATE start SET count = count") {
            tracing::error!(%error, "nothing can be written behind a failed commit");
        }
    }

    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        let run = || {
            let mut statement = self.inner.prepare_cached(sql)?;
            bind(&mut statement, values)?;
            statement.raw_execute()
        };
        run().map_err(DatabaseError::from)?;
        Ok(())
    }

    pub(super) fn insert(
        &self,
        insert: &Insert,
        rows: usize,
        values: &[Value<'_>],
    ) -> Result<(), StoreError> {
        self.execute(&self.texts.get(insert, rows), values)
    }

    pub(super) fn rows(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self
            .inner
            .prepare_cached(sql)
            .map_err(DatabaseError::from)?;
        bind(&mut statement, values).map_err(DatabaseError::from)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(DatabaseError::from)? {
            each(&Row::Sqlite(row))?;
        }
        Ok(())
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        Ok(self.inner.execute_batch(sql).map_err(DatabaseError::from)?)
    }

    pub(super) fn close(&self) {
        // Leaves nothing for the next start to recover; if it fails, that start does.
        let checkpoint = self
            .inner
            .execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)");
        if let Err(error) = checkpoint {
            tracing::warn!(%error, "the store closes without a checkpoint");
        }
    }
}

fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value<'_>]) -> rusqlite::Result<()> {
    for (place, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(place + 1, value)?;
    }
    Ok(())
}

/// Two writers would give one sequence number twice: the lock lasts as long
/// as the writer, and ends with the process however that ends.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file isn't enough: a child that is being started has it
        // open too, until it runs a program of its own.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the store's lock is kept until the program ends");
        }
    }
}

fn lock(path: &Path) -> Result<Lock, StoreError> {
    let mut name = OsString::from(path);
    name.push(".lock");
    let file = File::create(PathBuf::from(name)).map_err(StoreError::Lock)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(TryLockError::Error(error)) => Err(StoreError::Lock(error)),
    }
}

fn configure(connection: &rusqlite::Connection, settings: &Settings) -> rusqlite::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As one is for a moment that another thread starts.
    #[test]
    fn a_child_keeps_no_lock() {
        let name = format!("careline-lock-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let held = lock(&path).unwrap();
        let child = held.0.try_clone().unwrap();
        assert!(matches!(lock(&path), Err(StoreError::InUse)));
        drop(held);
        lock(&path).unwrap();
        drop(child);
        std::fs::remove_file(path.with_added_extension("lock")).unwrap();
    }
}
