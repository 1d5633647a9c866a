//! Questions, on a connection of their own.

use std::path::Path;

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
