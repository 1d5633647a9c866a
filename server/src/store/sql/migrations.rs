//! The schema's versions.
//!
//! A migration is written once, in SQLite's words; PostgreSQL's are put in
//! their place. What can't be said in both has a file for each. A database has
//! all of them, in order, or none of one: each is a transaction.

use super::{Connection, StoreError, values};

/// One version.
struct Migration {
    sql: &'static str,
    /// Where PostgreSQL needs more than other words.
    postgres: Option<&'static str>,
    /// Tables whose rows are never changed nor removed, from this version on.
    append_only: &'static [&'static str],
}

/// In order; the first is version 1.
const MIGRATIONS: &[Migration] = &[
    Migration {
        sql: include_str!("../../../migrations/0001_log_contacts_tickets.sql"),
        postgres: Some(include_str!(
            "../../../migrations/0001_log_contacts_tickets.postgres.sql"
        )),
        // The file says so itself.
        append_only: &[],
    },
    Migration {
        sql: include_str!("../../../migrations/0002_tickets_state.sql"),
        postgres: Some(include_str!(
            "../../../migrations/0002_tickets_state.postgres.sql"
        )),
        append_only: &[],
    },
    Migration {
        sql: include_str!("../../../migrations/0003_root_key.sql"),
        postgres: None,
        append_only: &[],
    },
    Migration {
        sql: include_str!("../../../migrations/0004_people.sql"),
        postgres: None,
        append_only: &[],
    },
    Migration {
        sql: include_str!("../../../migrations/0005_ticket_work.sql"),
        postgres: None,
        append_only: &[],
    },
    Migration {
        sql: include_str!("../../../migrations/0006_api.sql"),
        postgres: None,
        append_only: &["audit"],
    },
    Migration {
        sql: include_str!("../../../migrations/0007_promises.sql"),
        postgres: None,
        append_only: &[],
    },
    Migration {
        sql: include_str!("../../../migrations/0008_consumers.sql"),
        postgres: None,
        append_only: &[],
    },
    Migration {
        sql: include_str!("../../../migrations/0009_incidents.sql"),
        postgres: None,
        append_only: &[],
    },
    Migration {
        sql: include_str!("../../../migrations/0010_verification.sql"),
        postgres: None,
        append_only: &[],
    },
];

/// The version this program reads and writes.
pub(in crate::store) const VERSION: u32 = MIGRATIONS.len() as u32;

impl Connection {
    /// The database's version; 0: an empty one.
    pub(in crate::store) fn version(&self) -> Result<u32, StoreError> {
        if !self.has_table("migration")? {
            return Ok(0);
        }
        let version = self.row(
            "SELECT COALESCE(MAX(version), 0) FROM migration",
            &[],
            |row| row.get(0),
        )?;
        Ok(version.unwrap_or(0))
    }

    /// Brings the database to this version.
    pub(in crate::store) fn migrate(&self, at: i64) -> Result<(), StoreError> {
        let found = self.version()?;
        if found > VERSION {
            return Err(StoreError::Newer {
                found,
                known: VERSION,
            });
        }
        for (version, migration) in (1_u32..).zip(MIGRATIONS).skip(found as usize) {
            self.begin()?;
            let done = self.migrate_to(version, migration, at).and_then(|()| {
                self.commit().map_err(|error| match error {
                    super::NotCommitted::Certainly(error) | super::NotCommitted::Perhaps(error) => {
                        error
                    }
                })
            });
            if done.is_err() {
                self.roll_back();
            }
            done?;
        }
        Ok(())
    }

    fn migrate_to(&self, version: u32, migration: &Migration, at: i64) -> Result<(), StoreError> {
        if version == 1 {
            self.batch(&self.words(
                "CREATE TABLE migration (version INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT",
            ))?;
        }
        match migration.postgres {
            Some(sql) if self.is_postgres() => self.batch(sql)?,
            _ => self.batch(&self.words(migration.sql))?,
        }
        for table in migration.append_only {
            self.batch(&self.append_only(table))?;
        }
        self.execute(
            "INSERT INTO migration (version, at) VALUES (?1, ?2)",
            &values![version, at],
        )
    }

    /// The same definition in this database's words.
    fn words(&self, sql: &str) -> String {
        if !self.is_postgres() {
            return sql.to_owned();
        }
        sql.replace(" STRICT, WITHOUT ROWID", "")
            .replace(" STRICT", "")
            .replace("INTEGER", "BIGINT")
            .replace("BLOB", "BYTEA")
    }

    fn append_only(&self, table: &str) -> String {
        let ways: &[&str] = match self.is_postgres() {
            true => &["update", "delete", "truncate"],
            false => &["update", "delete"],
        };
        let trigger = |way: &&str| {
            let begin =
                format!("CREATE TRIGGER {table}_is_append_only_{way} BEFORE {way} ON {table}");
            match self.is_postgres() {
                true => format!("{begin} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();\n"),
                false => {
                    format!("{begin} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;\n")
                }
            }
        };
        ways.iter().map(trigger).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_leaves_its_mark_in_both_languages() {
        for migration in MIGRATIONS {
            let made = |sql: &str| sql.matches("CREATE TABLE").count();
            let columns = |sql: &str| sql.matches("ADD COLUMN").count();
            if let Some(postgres) = migration.postgres {
                assert_eq!(made(migration.sql), made(postgres));
                assert_eq!(columns(migration.sql), columns(postgres));
            }
        }
    }
}
