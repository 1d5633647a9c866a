//! The database: settings, migrations, what a crash left open.

use std::path::Path;

use desk::Commit;

use super::{Done, Journal, Recovered, Refused, StoreError};

/// How the store works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Writes that may wait. At least as many as the desk may have in flight. Default 4,096.
    pub queue_max: usize,
    /// Writes in one transaction. Default 256.
    pub group_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_max: 4_096,
            group_max: 256,
        }
    }
}

/// The SQLite store. Dropping it writes what is queued and ends the writer.
#[derive(Debug)]
pub struct Store {}

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
    /// The file can't be opened, is damaged, or belongs to a newer Careline.
    pub fn open(
        path: &Path,
        settings: Settings,
        at: i64,
        done: impl FnMut(Vec<Done>) + Send + 'static,
    ) -> Result<(Self, Recovered), StoreError> {
        let _ = (path, settings, at, done);
        Err(StoreError::Unreadable("provisional"))
    }
}

impl Journal for Store {
    fn submit(&self, _commit: Commit) -> Result<(), Refused> {
        Err(Refused::Closed)
    }
}
