//! Callbacks: the desk wants somebody called, or doesn't any more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use desk::{AttemptId, Callback, ContactId};

use super::{Cx, Switch};
use crate::contact::Contact;
use crate::input::Now;

impl Switch {
    /// Makes a contact, unless there is one for this attempt, or the hospital
    /// calls nobody back: then the desk asks again, and tells a person in time.
    pub(super) fn call_back(&mut self, now: Now, callback: Callback) {
        let mut contacts = self.contacts.values();
        if self.is_draining() || contacts.any(|of| of.attempt() == Some(callback.attempt)) {
            return;
        }
        let tenant = self.setup.tenants.get(&callback.tenant);
        let callbacks = tenant.and_then(|tenant| tenant.callbacks.clone());
        let mut queues = self.setup.queues.iter();
        let queue = queues.find(|((tenant, _), queue)| {
            *tenant == callback.tenant && queue.id.0 == callback.queue.0
        });
        let queue = queue.map(|((_, name), _)| Arc::clone(name));
        let (Some(callbacks), Some(queue)) = (callbacks, queue) else {
            return;
        };
        self.contact += 1;
        let id = ContactId(self.contact);
        let made = {
            let mut cx = cx!(self, now);
            let make = || Contact::call_back(id, callback, &callbacks, queue, &mut cx);
            catch_unwind(AssertUnwindSafe(make))
        };
        match made {
            Ok(contact) => {
                self.contacts.insert(id, Box::new(contact));
                self.schedule(now, id);
            }
            Err(_) => self.counters.panics += 1,
        }
    }

    pub(super) fn callback_off(
        &mut self,
        now: Now,
        attempt: AttemptId,
        contact: Option<ContactId>,
    ) {
        let by_attempt = || {
            let mut contacts = self.contacts.values();
            let found = contacts.find(|contact| contact.attempt() == Some(attempt));
            found.map(|contact| contact.id())
        };
        if let Some(id) = contact.or_else(by_attempt) {
            self.with(now, id, |contact, cx| {
                if contact.attempt() == Some(attempt) {
                    contact.callback_off(cx);
                }
            });
        }
    }
}
