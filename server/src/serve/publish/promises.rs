//! What is owed to a hospital's customers, for whoever asks the running server.

use std::sync::Arc;

use desk::{PromiseId, PromiseWord, TenantId};
use tokio::sync::oneshot;

use super::{Loaded, Names, PublishError, Publisher, STATUS_MAX, hear, unknown};
use crate::node::{Control, Owed, Said};

impl Publisher {
    /// What is owed to a hospital's customers, and in which zone it is.
    ///
    /// # Errors
    /// There is no such hospital, it stops, or doesn't answer.
    pub fn promises(&self, hospital: &str) -> Result<(Owed, hours::Zone, Names), PublishError> {
        let (served, tenant, zone) = self.whose(hospital)?;
        let control = self.control.upgrade().ok_or(PublishError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        control
            .blocking_send(Control::Promises(tenant, reply))
            .map_err(|_| PublishError::Stopping)?;
        let owed = hear(answer, STATUS_MAX).ok_or(PublishError::Deaf)?;
        Ok((owed, zone, Names(served)))
    }

    /// Says something of a promise. False: there is no such open one, or that can't be said of it now.
    ///
    /// # Errors
    /// There is no such hospital, it stops, or it isn't on disk in time.
    pub fn promise(
        &self,
        hospital: &str,
        promise: PromiseId,
        word: PromiseWord,
    ) -> Result<bool, PublishError> {
        let (_, tenant, _) = self.whose(hospital)?;
        let control = self.control.upgrade().ok_or(PublishError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        let said = Said {
            tenant,
            promise,
            word,
        };
        control
            .blocking_send(Control::Promise(said, reply))
            .map_err(|_| PublishError::Stopping)?;
        hear(answer, STATUS_MAX).ok_or(PublishError::Deaf)
    }

    /// A hospital by its key.
    fn whose(&self, key: &str) -> Result<(Arc<Loaded>, TenantId, hours::Zone), PublishError> {
        let (served, _) = self.served();
        let hospitals = &served.helpdesk.hospitals;
        let Some(found) = hospitals.iter().find(|known| known.key == key) else {
            let known = hospitals.iter().map(|h| &h.key);
            return Err(unknown("hospital", key, known));
        };
        let zone = found.zone.as_deref().map(hours::Zone::find);
        let zone = zone.and_then(Result::ok).unwrap_or(hours::Zone::UTC);
        let tenant = TenantId(found.id);
        Ok((served, tenant, zone))
    }
}
