//! The store: what is durable.
//!
//! One writer thread owns the database. What is queued for it is written in
//! groups, each in one transaction: the events, with their sequence numbers
//! given under the tenant's counter row, and the projections that follow from
//! them. A write is answered once, after the transaction is on disk or is
//! certainly not.
//!
//! | file | what |
//! |---|---|
//! | `database.rs` | which database: a SQLite file, or one on a PostgreSQL server |
//! | `sql/` | a connection over both, and all in which they differ |
//! | `open.rs` | the store: settings, what a crash left open |
//! | `writer.rs` | the thread and its groups |
//! | `rows.rs` | events and projections as rows |
//! | `people.rs` | people and places that were imported |
//! | `api.rs` | who may ask the API |
//! | `audit.rs` | who looked at what, as a chain |
//! | `promises.rs` | the callbacks that are owed, as rows; whom a crash cut off |
//! | `reader.rs` | questions, on a connection of their own |
//! | `verify.rs` | is the database what its log says? |
//!
//! The calls and the console see the traits [`Journal`] and [`History`].
//!
//! **A table more** is a migration (`sql/migrations.rs`, one file for both
//! databases), rows written by `Writer::write_rows` in the transaction of the
//! events that they follow from, a question in `reader.rs`, and a comparison
//! in `verify.rs`.

mod api;
mod audit;
mod database;
mod incidents;
mod open;
mod people;
mod promises;
mod reader;
mod rows;
mod sql;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::collections::BTreeMap;

use desk::{
    Commit, CommitId, ContactId, Facts, IncidentId, KnownIncident, KnownPromise, KnownTicket,
    Personal, PromiseId, Stamped, TenantId, TicketFacts, TicketId, TicketNumber,
};

pub use api::{ApiStore, ApiStoreError, StoredToken};
pub use audit::{AuditEntry, AuditRow, Audited, Broken, CONSOLE, Hash};
pub use database::{Database, Server};
pub use incidents::IncidentRow;
pub use open::{Settings, Store, needs_root_key};
pub use people::{PeopleError, PeopleStore, StoredPeople};
pub use reader::Reader;
pub use sql::DatabaseError;
pub use verify::{Fault, Verified};

/// Takes writes.
pub trait Journal: Send + Sync {
    /// Queues a write; never blocks. The answer comes as a [`Done`], once.
    ///
    /// # Errors
    ///
    /// The write was not queued and there will be no [`Done`]: the desk is to
    /// be told that the commit failed.
    fn submit(&self, commit: Commit) -> Result<(), Refused>;
}

/// Answers questions. Each call sees one consistent state of the database.
pub trait History {
    /// The ticket with this number at this tenant.
    fn ticket(
        &self,
        tenant: TenantId,
        number: TicketNumber,
    ) -> Result<Option<TicketRow>, StoreError>;

    /// A contact's state.
    fn contact(
        &self,
        tenant: TenantId,
        contact: ContactId,
    ) -> Result<Option<ContactRow>, StoreError>;

    /// A contact's events, in order.
    fn journey(&self, tenant: TenantId, contact: ContactId) -> Result<Vec<Logged>, StoreError>;

    /// A contact's personal data, unless erased.
    fn personal(
        &self,
        tenant: TenantId,
        contact: ContactId,
    ) -> Result<Option<Personal>, StoreError>;

    /// Up to `limit` events after `seq` (0: from the first), in order.
    fn events_after(
        &self,
        tenant: TenantId,
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Logged>, StoreError>;
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It is on disk.
    Committed(CommitId),
    /// It isn't, and never will be.
    Failed(CommitId),
}

/// Why a write wasn't even queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many writes wait.
    #[error("the store's queue is full")]
    QueueFull,
    /// The writer has ended.
    #[error("the store is closed")]
    Closed,
}

/// What goes wrong with a database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database says so.
    #[error("database: {0}")]
    Database(#[from] DatabaseError),
    /// It isn't one that may be trusted with a log: why, and what to do.
    #[error("the database can't be used: {0}")]
    Unsuitable(&'static str),
    /// Another Careline has started on it, while this one was cut off from it.
    #[error(
        "another Careline has taken over the database: this one writes nothing more; end one of the two, and start this \
         one again if it is the one to stay"
    )]
    TakenOver,
    /// A server that took over from another hasn't all that the other had confirmed.
    #[error(
        "the database lacks transactions that it had confirmed (a standby that was behind has taken over?): nothing \
         more is written; bring the old primary back, or start Careline again to go on without what is lost"
    )]
    Behind,
    /// The answer to a commit was lost, and whether it is there can't be found out.
    #[error("a commit's answer was lost, and whether it is in the database isn't known")]
    Undecided,
    /// The file belongs to a newer Careline.
    #[error("the database has version {found}, this program knows {known}")]
    Newer {
        /// The file's.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The root key beside it is another installation's.
    #[error(
        "the database belongs to another root.key than that of the data directory: put back the root.key that belongs to it, \
         from a backup of the same data directory (with another one, callers' ticket numbers lead nowhere)"
    )]
    OtherRootKey,
    /// Another process has it open.
    #[error("the database is in use by another process")]
    InUse,
    /// The lock file beside it can't be made.
    #[error("lock file: {0}")]
    Lock(std::io::Error),
    /// A row can't be read.
    #[error("{0} can't be read")]
    Unreadable(&'static str),
    /// An event can't be read.
    #[error("event {seq}")]
    Event {
        /// Its sequence number.
        seq: u64,
        /// Why.
        source: desk::DecodeError,
    },
    /// The writer thread can't be started.
    #[error("writer thread: {0}")]
    Thread(std::io::Error),
}

/// What was found, and put right, when the store was opened.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// How often this database has been opened, this time included. Makes ids
    /// unique across restarts.
    pub start: u32,
    /// Per tenant that has ever written: where to go on.
    pub tenants: BTreeMap<TenantId, RecoveredTenant>,
    /// Per tenant: its latest tickets, for callers who ask for theirs.
    pub tickets: BTreeMap<TenantId, Vec<KnownTicket>>,
    /// Per tenant: the callbacks that it owes, those to whom a crash cut off in a queue among them.
    pub promises: BTreeMap<TenantId, Vec<KnownPromise>>,
    /// Per tenant that has ever made one: the first promise id never used.
    pub next_promise: BTreeMap<TenantId, PromiseId>,
    /// Per tenant: the incidents that aren't closed, or of whose end somebody is to be told.
    pub incidents: BTreeMap<TenantId, Vec<KnownIncident>>,
    /// Per tenant that has ever had one: the first incident id never used.
    pub next_incident: BTreeMap<TenantId, IncidentId>,
    /// Contacts that a crash left open, now ended as system-failure.
    pub left_open: Vec<(TenantId, ContactId)>,
}

/// Where a tenant's counters stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveredTenant {
    /// The first ticket id never used.
    pub next_ticket: TicketId,
    /// The last sequence number of its log.
    pub last_seq: u64,
}

impl Recovered {
    /// The first ticket id a tenant never used.
    pub fn next_ticket(&self, tenant: TenantId) -> TicketId {
        self.tenants
            .get(&tenant)
            .map_or(TicketId(1), |t| t.next_ticket)
    }

    /// The first promise id a tenant never used.
    pub fn next_promise(&self, tenant: TenantId) -> PromiseId {
        let next = self.next_promise.get(&tenant);
        next.copied().unwrap_or(PromiseId(1))
    }

    /// The first incident id a tenant never used.
    pub fn next_incident(&self, tenant: TenantId) -> IncidentId {
        let next = self.next_incident.get(&tenant);
        next.copied().unwrap_or(IncidentId(1))
    }
}

/// An event of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged {
    /// Its place in the tenant's log: 1, 2, 3, …
    pub seq: u64,
    /// What happened, and when.
    pub stamped: Stamped,
}

/// A ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketRow {
    /// Its id.
    pub ticket: TicketId,
    /// When it was opened, Unix milliseconds.
    pub opened_at: i64,
    /// What its events say.
    pub facts: TicketFacts,
}

/// A contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContactRow {
    /// What its events say.
    pub facts: Facts,
    /// The sequence number of its first event.
    pub first_seq: u64,
    /// Of its latest.
    pub last_seq: u64,
}
