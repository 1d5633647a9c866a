//! One connection over two databases: SQLite, in a file, and PostgreSQL.
//!
//! Every statement is written once, in what both understand: parameters are
//! `?1`, `?2`, …; whole numbers of any width, flags included, are `i64`
//! (`INTEGER`), everything else is `TEXT` or `BLOB`; a row is replaced by
//! [`Insert`], not by `REPLACE`. What differs stands in this folder.
//!
//! | file | what |
//! |---|---|
//! | `value.rs` | what goes into a statement and what comes out of a row |
//! | `insert.rs` | the text of an insert of many rows |
//! | `migrations.rs` | the schema's versions, in both languages |
//! | `sqlite.rs` | a file, its settings and its lock |
//! | `postgres/` | a server: where it is, a session with it, one writer at a time |

mod error;
mod insert;
mod migrations;
pub(super) mod postgres;
mod sqlite;
mod value;

use std::cell::Cell;

pub use error::DatabaseError;
pub(super) use insert::{Conflict, Insert};
pub(super) use migrations::VERSION;
pub(super) use value::{Row, Value, values};

use super::{Database, Settings, StoreError};

/// A connection: to write with (one at a time), or to read with.
pub(super) struct Connection {
    to: To,
    /// Rows of a question are being read: there is no room for a second one.
    reading: Cell<bool>,
}

enum To {
    Sqlite(sqlite::Connection),
    Postgres(Box<postgres::Connection>),
}

/// How a transaction's end failed.
pub(super) enum NotCommitted {
    /// Nothing of it is there, and never will be.
    Certainly(StoreError),
    /// Nobody knows: [`Connection::outcome`] is to be asked.
    Perhaps(StoreError),
}

impl Connection {
    /// Takes a database to write to, which nobody else may meanwhile.
    pub(super) fn to_write(database: &Database, settings: &Settings) -> Result<Self, StoreError> {
        let to = match database {
            Database::File(path) => To::Sqlite(sqlite::Connection::to_write(path, settings)?),
            Database::Server(server) => To::Postgres(Box::new(postgres::Connection::to_write(
                server.clone(),
                settings,
            )?)),
        };
        Ok(Self::new(to))
    }

    /// Opens a database to read from.
    pub(super) fn to_read(database: &Database) -> Result<Self, StoreError> {
        let to = match database {
            Database::File(path) => To::Sqlite(sqlite::Connection::to_read(path)?),
            Database::Server(server) => {
                To::Postgres(Box::new(postgres::Connection::to_read(server.clone())?))
            }
        };
        Ok(Self::new(to))
    }

    fn new(to: To) -> Self {
        Self {
            to,
            reading: Cell::new(false),
        }
    }

    /// From here on every transaction shows that nobody has taken the
    /// database over: `start` is the count of the table `start`, which each
    /// start raises.
    pub(super) fn hold(&self, start: u32) -> Result<(), StoreError> {
        match &self.to {
            // The lock on the file is enough.
            To::Sqlite(_) => Ok(()),
            To::Postgres(connection) => connection.hold(start),
        }
    }

    /// Begins a transaction that writes.
    pub(super) fn begin(&self) -> Result<(), StoreError> {
        match &self.to {
            To::Sqlite(connection) => connection.begin(),
            To::Postgres(connection) => connection.begin(),
        }
    }

    /// Ends it. Only then is it on disk.
    pub(super) fn commit(&self) -> Result<(), NotCommitted> {
        match &self.to {
            To::Sqlite(connection) => connection.commit().map_err(NotCommitted::Certainly),
            To::Postgres(connection) => connection.commit(),
        }
    }

    /// Undoes it, if there is one.
    pub(super) fn roll_back(&self) {
        match &self.to {
            To::Sqlite(connection) => connection.roll_back(),
            To::Postgres(connection) => connection.roll_back(),
        }
    }

    /// What became of the transaction whose end is not known: is it there?
    /// An error: still nobody knows.
    pub(super) fn outcome(&self) -> Result<bool, StoreError> {
        match &self.to {
            To::Sqlite(_) => Ok(false),
            To::Postgres(connection) => connection.outcome(),
        }
    }

    /// Runs a statement of a transaction. Where the database is far away its
    /// failure may be told only by the next question, or by the commit.
    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        match &self.to {
            To::Sqlite(connection) => connection.execute(sql, values),
            To::Postgres(connection) => connection.send(sql, values),
        }
    }

    /// Writes rows into a table, in as few statements as there may be.
    /// `fill` appends a row's values, as many as `insert` has columns.
    pub(super) fn insert<'v, R>(
        &self,
        insert: &Insert,
        rows: impl ExactSizeIterator<Item = R>,
        mut fill: impl FnMut(R, &mut Vec<Value<'v>>),
    ) -> Result<(), StoreError> {
        let sizes = match &self.to {
            To::Sqlite(_) => sqlite::ROWS,
            To::Postgres(_) => postgres::ROWS,
        };
        let width = insert.width();
        let mut rows = rows;
        let mut values = Vec::with_capacity(width * rows.len().min(sizes[0]));
        for &size in sizes {
            while rows.len() >= size {
                values.clear();
                for row in rows.by_ref().take(size) {
                    fill(row, &mut values);
                }
                if values.len() != width * size {
                    return Err(StoreError::Unreadable("a row of another width"));
                }
                match &self.to {
                    To::Sqlite(connection) => connection.insert(insert, size, &values)?,
                    To::Postgres(connection) => connection.insert(insert, size, &values)?,
                }
            }
        }
        Ok(())
    }

    /// Gives each row of the answer to `each`, which must not ask anything itself.
    pub(super) fn rows(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if self.reading.replace(true) {
            return Err(DatabaseError::Busy.into());
        }
        let read = match &self.to {
            To::Sqlite(connection) => connection.rows(sql, values, &mut each),
            To::Postgres(connection) => connection.rows(sql, values, &mut each),
        };
        self.reading.set(false);
        read
    }

    /// All rows of the answer, each read by `read`.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::new();
        self.rows(sql, values, |row| {
            all.push(read(row)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// The answer's first row, if it has one.
    pub(super) fn row<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut first = None;
        self.rows(sql, values, |row| {
            if first.is_none() {
                first = Some(read(row)?);
            }
            Ok(())
        })?;
        Ok(first)
    }

    /// Runs statements without parameters, outside of a transaction.
    pub(super) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        match &self.to {
            To::Sqlite(connection) => connection.batch(sql),
            To::Postgres(connection) => connection.batch(sql),
        }
    }

    /// Everything that `ask` reads is of one moment.
    pub(super) fn at_one_moment<T>(
        &self,
        ask: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.batch(match &self.to {
            To::Sqlite(_) => "BEGIN",
            To::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })?;
        let answer = ask();
        let ended = self.batch("ROLLBACK");
        let answer = answer?;
        ended?;
        Ok(answer)
    }

    /// Whether a table is there.
    pub(super) fn has_table(&self, table: &str) -> Result<bool, StoreError> {
        let sql = match &self.to {
            To::Sqlite(_) => "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)",
            To::Postgres(_) => "SELECT to_regclass(?1) IS NOT NULL",
        };
        let found = self.row(sql, &values![table], |row| row.get::<bool>(0))?;
        Ok(found.unwrap_or(false))
    }

    /// Whether a table has a row.
    pub(super) fn has_rows(&self, table: &'static str) -> Result<bool, StoreError> {
        if !self.has_table(table)? {
            return Ok(false);
        }
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {table})");
        let found = self.row(&sql, &[], |row| row.get::<bool>(0))?;
        Ok(found.unwrap_or(false))
    }

    /// What the database finds wrong with its own file, if it can be asked.
    pub(super) fn damage(&self) -> Result<Option<String>, StoreError> {
        match &self.to {
            To::Sqlite(_) => {
                let check = self.row("PRAGMA integrity_check", &[], |row| {
                    row.text(0).map(str::to_owned)
                })?;
                Ok(check.filter(|found| found != "ok"))
            }
            // Its administrator asks pg_amcheck.
            To::Postgres(_) => Ok(None),
        }
    }

    /// Before a writer ends: leaves as little as possible to its successor.
    pub(super) fn close(&self) {
        match &self.to {
            To::Sqlite(connection) => connection.close(),
            To::Postgres(connection) => connection.close(),
        }
    }

    fn is_postgres(&self) -> bool {
        matches!(self.to, To::Postgres(_))
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let to = match &self.to {
            To::Sqlite(_) => "SQLite",
            To::Postgres(_) => "PostgreSQL",
        };
        f.debug_tuple("Connection").field(&to).finish()
    }
}
