//! Questions, on a connection of their own.

use desk::figures::Figures;
use desk::{
    ContactId, IncidentId, NoteId, NoteText, Personal, PhoneNumber, PromiseFacts, PromiseId,
    TenantId, TicketId, TicketNote, TicketNumber,
};

use super::promises;
use super::rows::{self, CONTACT_COLUMNS, EVENT_COLUMNS, TICKET_COLUMNS};
use super::sql::{Connection, VERSION, values};
use super::{ContactRow, Database, History, IncidentRow, Logged, StoreError, TicketRow, incidents};

/// A read-only connection. Not shared between threads: open one for each.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
}

/// Events in one answer, whatever was asked for.
const EVENTS_MAX: usize = 10_000;

/// A tenant's events after one of them.
fn events_after() -> String {
    format!(
        "SELECT {EVENT_COLUMNS} FROM event WHERE tenant = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
    )
}

impl Reader {
    /// Opens a database that a [`super::Store`] has opened before.
    ///
    /// # Errors
    ///
    /// There is none, or not of this version.
    pub fn open(database: impl Into<Database>) -> Result<Self, StoreError> {
        let connection = Connection::to_read(&database.into())?;
        let found = connection.version()?;
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
        let sql = "SELECT tenant, last_seq FROM tenant ORDER BY tenant";
        self.connection
            .all(sql, &[], |row| Ok((TenantId(row.get(0)?), row.get(1)?)))
    }

    /// A place in a tenant's log before which everything is older than `at`
    /// (Unix milliseconds), but for what was written late: events are in the
    /// order of their writing. 0: the beginning.
    ///
    /// # Errors
    ///
    /// The database can't be read.
    pub fn seq_before(&self, tenant: TenantId, at: i64) -> Result<u64, StoreError> {
        let sql = "SELECT at FROM event WHERE tenant = ?1 AND seq = ?2";
        let tenants = self.tenants()?;
        let last = tenants.into_iter().find(|(known, _)| *known == tenant);
        let (mut older, mut not_older) = (0, last.map_or(0, |(_, last)| last) + 1);
        while older + 1 < not_older {
            let middle = older + (not_older - older) / 2;
            let key = values![tenant.0, middle];
            let found = self.connection.row(sql, &key, |row| row.get::<i64>(0))?;
            match found.is_some_and(|found| found < at) {
                true => older = middle,
                false => not_older = middle,
            }
        }
        Ok(older)
    }

    /// What people wrote down about a ticket, the oldest first.
    ///
    /// # Errors
    ///
    /// The database can't be read.
    pub fn notes(&self, tenant: TenantId, ticket: TicketId) -> Result<Vec<TicketNote>, StoreError> {
        let sql = "SELECT note, text FROM note WHERE tenant = ?1 AND ticket = ?2 ORDER BY note";
        self.connection
            .all(sql, &values![tenant.0, ticket.0], |row| {
                let text = NoteText::new(row.text(1)?.to_owned());
                Ok(TicketNote {
                    note: NoteId(row.get(0)?),
                    ticket,
                    text: text.map_err(|_| StoreError::Unreadable("a note"))?,
                })
            })
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
        let after = i64::try_from(figures.last_seq()).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut applied = 0;
        self.connection
            .rows(&events_after(), &values![tenant.0, after, limit], |row| {
                let Logged { seq, stamped } = rows::logged(row)?;
                figures
                    .apply(seq, &stamped)
                    .map_err(|_| StoreError::Unreadable("the order of the log"))?;
                applied += 1;
                Ok(())
            })?;
        Ok(applied)
    }
}

impl Reader {
    /// Up to `limit` contacts with ids below one, the newest first.
    ///
    /// # Errors
    ///
    /// The database can't be read.
    pub fn contacts_below(
        &self,
        tenant: TenantId,
        below: ContactId,
        limit: usize,
    ) -> Result<Vec<(ContactId, ContactRow)>, StoreError> {
        let sql = format!(
            "SELECT contact, {CONTACT_COLUMNS} FROM contact WHERE tenant = ?1 AND contact < ?2 \
             ORDER BY contact DESC LIMIT ?3"
        );
        let (below, limit) = bounds(below.0, limit);
        self.connection
            .all(&sql, &values![tenant.0, below, limit], |row| {
                Ok((ContactId(row.get(0)?), rows::contact(row, 1)?))
            })
    }

    /// Up to `limit` tickets with ids below one, the newest first.
    ///
    /// # Errors
    ///
    /// The database can't be read.
    pub fn tickets_below(
        &self,
        tenant: TenantId,
        below: TicketId,
        limit: usize,
    ) -> Result<Vec<TicketRow>, StoreError> {
        let sql = format!(
            "SELECT {TICKET_COLUMNS} FROM ticket WHERE tenant = ?1 AND ticket < ?2 \
             ORDER BY ticket DESC LIMIT ?3"
        );
        let (below, limit) = bounds(below.0, limit);
        self.connection
            .all(&sql, &values![tenant.0, below, limit], rows::ticket)
    }

    /// Incidents below this one, with what is said of them, the newest first.
    ///
    /// # Errors
    ///
    /// The database can't be read.
    pub fn incidents_below(
        &self,
        tenant: TenantId,
        below: IncidentId,
        limit: usize,
    ) -> Result<Vec<IncidentRow>, StoreError> {
        incidents::below(&self.connection, tenant, below, limit)
    }
}

impl Reader {
    /// A tenant's promises with ids below this one, the newest first.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn promises_below(
        &self,
        tenant: TenantId,
        below: PromiseId,
        limit: usize,
    ) -> Result<Vec<(PromiseId, PromiseFacts)>, StoreError> {
        let sql = "SELECT promise, facts FROM promise WHERE tenant = ?1 AND promise < ?2 \
                   ORDER BY promise DESC LIMIT ?3";
        let (below, limit) = bounds(below.0, limit);
        self.connection
            .all(sql, &values![tenant.0, below, limit], |row| {
                Ok((PromiseId(row.get(0)?), promises::facts(row, 1)?))
            })
    }

    /// A promise.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn promise(
        &self,
        tenant: TenantId,
        promise: PromiseId,
    ) -> Result<Option<PromiseFacts>, StoreError> {
        let sql = "SELECT facts FROM promise WHERE tenant = ?1 AND promise = ?2";
        let Ok(id) = i64::try_from(promise.0) else {
            return Ok(None);
        };
        self.connection
            .row(sql, &values![tenant.0, id], |row| promises::facts(row, 0))
    }
}

/// An id, and how many, as the database takes them.
fn bounds(id: u64, limit: usize) -> (i64, i64) {
    let id = i64::try_from(id).unwrap_or(i64::MAX);
    (id, limit.min(EVENTS_MAX) as i64)
}

impl History for Reader {
    fn ticket(
        &self,
        tenant: TenantId,
        number: TicketNumber,
    ) -> Result<Option<TicketRow>, StoreError> {
        let sql = format!("SELECT {TICKET_COLUMNS} FROM ticket WHERE tenant = ?1 AND number = ?2");
        self.connection
            .row(&sql, &values![tenant.0, number.value()], rows::ticket)
    }

    fn contact(
        &self,
        tenant: TenantId,
        contact: ContactId,
    ) -> Result<Option<ContactRow>, StoreError> {
        let sql =
            format!("SELECT {CONTACT_COLUMNS} FROM contact WHERE tenant = ?1 AND contact = ?2");
        self.connection
            .row(&sql, &values![tenant.0, contact.0], |row| {
                rows::contact(row, 0)
            })
    }

    fn journey(&self, tenant: TenantId, contact: ContactId) -> Result<Vec<Logged>, StoreError> {
        // The contact's row says between which numbers its events lie; one
        // statement, so that both are of one moment.
        let columns = EVENT_COLUMNS.replace(", ", ", event.");
        let sql = format!(
            "SELECT event.{columns} FROM contact JOIN event \
             ON event.tenant = contact.tenant \
             AND event.seq BETWEEN contact.first_seq AND contact.last_seq \
             AND event.contact = contact.contact \
             WHERE contact.tenant = ?1 AND contact.contact = ?2 ORDER BY event.seq"
        );
        self.connection
            .all(&sql, &values![tenant.0, contact.0], rows::logged)
    }

    fn personal(
        &self,
        tenant: TenantId,
        contact: ContactId,
    ) -> Result<Option<Personal>, StoreError> {
        let sql = "SELECT dnis, ani FROM personal WHERE tenant = ?1 AND contact = ?2";
        self.connection
            .row(sql, &values![tenant.0, contact.0], |row| {
                Ok(Personal {
                    contact,
                    dnis: PhoneNumber(row.text(0)?.to_owned()),
                    ani: row.maybe_text(1)?.map(|ani| PhoneNumber(ani.to_owned())),
                })
            })
    }

    fn events_after(
        &self,
        tenant: TenantId,
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Logged>, StoreError> {
        let after = i64::try_from(seq).unwrap_or(i64::MAX);
        let limit = limit.min(EVENTS_MAX) as i64;
        self.connection.all(
            &events_after(),
            &values![tenant.0, after, limit],
            rows::logged,
        )
    }
}
