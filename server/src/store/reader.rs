//! Questions, on a connection of their own.

use std::path::Path;

use desk::figures::Figures;
use desk::{ContactId, Personal, PhoneNumber, TenantId, TicketNumber};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::open::{VERSION, version};
use super::rows::{self, CONTACT_COLUMNS, EVENT_COLUMNS, TICKET_COLUMNS};
use super::{ContactRow, History, Logged, StoreError, TicketRow};

/// A read-only connection. Not shared between threads: open one for each.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
}

/// Events in one answer, whatever was asked for.
const EVENTS_MAX: usize = 10_000;

impl Reader {
    /// Opens a database that a [`super::Store`] has opened before.
    ///
    /// # Errors
    ///
    /// There is none, or not of this version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        let found = version(&connection)?;
        if found != VERSION {
            return Err(StoreError::Newer {
                found,
                known: VERSION,
            });
        }
        Ok(Self { connection })
    }
}

impl Reader {
    /// The tenants that have a log, and the last sequence number of each.
    ///
    /// # Errors
    ///
    /// The database can't be read.
    pub fn tenants(&self) -> Result<Vec<(TenantId, u64)>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT tenant, last_seq FROM tenant ORDER BY tenant")?;
        let rows = statement.query_map([], |row| {
            Ok((TenantId(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned()))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A place in a tenant's log before which everything is older than `at`
    /// (Unix milliseconds), but for what was written late: events are in the
    /// order of their writing. 0: the beginning.
    ///
    /// # Errors
    ///
    /// The database can't be read.
    pub fn seq_before(&self, tenant: TenantId, at: i64) -> Result<u64, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT at FROM event WHERE tenant = ? AND seq = ?")?;
        let tenants = self.tenants()?;
        let last = tenants.into_iter().find(|(known, _)| *known == tenant);
        let (mut older, mut not_older) = (0, last.map_or(0, |(_, last)| last) + 1);
        while older + 1 < not_older {
            let middle = older + (not_older - older) / 2;
            let key = [i64::from(tenant.0), middle.cast_signed()];
            let found: Option<i64> = statement.query_row(key, |row| row.get(0)).optional()?;
            match found.is_some_and(|found| found < at) {
                true => older = middle,
                false => not_older = middle,
            }
        }
        Ok(older)
    }

    /// Applies up to `limit` events to figures, those after the last they know.
    /// Gives how many.
    ///
    /// # Errors
    ///
    /// The database can't be read. What was applied before stays.
    pub fn read_into(
        &self,
        tenant: TenantId,
        figures: &mut Figures,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {EVENT_COLUMNS} FROM event WHERE tenant = ? AND seq > ? ORDER BY seq LIMIT ?"
        ))?;
        let after = i64::try_from(figures.last_seq()).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut found = statement.query([i64::from(tenant.0), after, limit])?;
        let mut applied = 0;
        while let Some(row) = found.next()? {
            let Logged { seq, stamped } = rows::logged(row)?;
            figures
                .apply(seq, &stamped)
                .map_err(|_| StoreError::Unreadable("the order of the log"))?;
            applied += 1;
        }
        Ok(applied)
    }
}

impl History for Reader {
    fn ticket(
        &self,
        tenant: TenantId,
        number: TicketNumber,
    ) -> Result<Option<TicketRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {TICKET_COLUMNS} FROM ticket WHERE tenant = ? AND number = ?"
        ))?;
        let mut found = statement.query([i64::from(tenant.0), number.value().cast_signed()])?;
        found.next()?.map(rows::ticket).transpose()
    }

    fn contact(
        &self,
        tenant: TenantId,
        contact: ContactId,
    ) -> Result<Option<ContactRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {CONTACT_COLUMNS} FROM contact WHERE tenant = ? AND contact = ?"
        ))?;
        let mut found = statement.query([i64::from(tenant.0), contact.0.cast_signed()])?;
        found.next()?.map(|row| rows::contact(row, 0)).transpose()
    }

    fn journey(&self, tenant: TenantId, contact: ContactId) -> Result<Vec<Logged>, StoreError> {
        // The contact's row says between which numbers its events lie; one
        // statement, so that both are of one moment.
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {EVENT_COLUMNS} FROM contact JOIN event \
             ON event.tenant = contact.tenant \
             AND event.seq BETWEEN contact.first_seq AND contact.last_seq \
             AND event.contact = contact.contact \
             WHERE contact.tenant = ? AND contact.contact = ? ORDER BY seq"
        ))?;
        let mut found = statement.query([i64::from(tenant.0), contact.0.cast_signed()])?;
        let mut events = Vec::new();
        while let Some(row) = found.next()? {
            events.push(rows::logged(row)?);
        }
        Ok(events)
    }

    fn personal(
        &self,
        tenant: TenantId,
        contact: ContactId,
    ) -> Result<Option<Personal>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT dnis, ani FROM personal WHERE tenant = ? AND contact = ?")?;
        let found = statement
            .query_row([i64::from(tenant.0), contact.0.cast_signed()], |row| {
                Ok(Personal {
                    contact,
                    dnis: PhoneNumber(row.get(0)?),
                    ani: row.get::<_, Option<String>>(1)?.map(PhoneNumber),
                })
            })
            .optional()?;
        Ok(found)
    }

    fn events_after(
        &self,
        tenant: TenantId,
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Logged>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {EVENT_COLUMNS} FROM event WHERE tenant = ? AND seq > ? ORDER BY seq LIMIT ?"
        ))?;
        let after = i64::try_from(seq).unwrap_or(i64::MAX);
        let limit = limit.min(EVENTS_MAX) as i64;
        let mut found = statement.query([i64::from(tenant.0), after, limit])?;
        let mut events = Vec::new();
        while let Some(row) = found.next()? {
            events.push(rows::logged(row)?);
        }
        Ok(events)
    }
}
