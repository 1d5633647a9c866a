//! Questions, on a connection of their own.

use std::path::Path;

use desk::{ContactId, Personal, TenantId, TicketNumber};

use super::{ContactRow, History, Logged, StoreError, TicketRow};

/// A read-only connection. Not shared between threads: open one for each.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// Opens a database that a [`super::Store`] has opened before.
    ///
    /// # Errors
    ///
    /// There is none, or not of this version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let _ = path;
        Err(StoreError::Unreadable("provisional"))
    }
}

impl History for Reader {
    fn ticket(&self, _: TenantId, _: TicketNumber) -> Result<Option<TicketRow>, StoreError> {
        Ok(None)
    }

    fn contact(&self, _: TenantId, _: ContactId) -> Result<Option<ContactRow>, StoreError> {
        Ok(None)
    }

    fn journey(&self, _: TenantId, _: ContactId) -> Result<Vec<Logged>, StoreError> {
        Ok(Vec::new())
    }

    fn personal(&self, _: TenantId, _: ContactId) -> Result<Option<Personal>, StoreError> {
        Ok(None)
    }

    fn events_after(&self, _: TenantId, _: u64, _: usize) -> Result<Vec<Logged>, StoreError> {
        Ok(Vec::new())
    }
}
