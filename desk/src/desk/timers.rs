//! The desk's timers, by name.
//!
//! Each kind has one constant length (writes have two, in a queue each), so
//! that a plain queue is in order of time. Whoever no longer needs a timer
//! lets it run out: what fires is checked against the state.

use std::collections::VecDeque;
use std::time::Duration;

use super::commits::Owner;
use crate::message::{CommandId, ContactId};

#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Journey events have waited long enough for company.
    linger: VecDeque<(Duration, Owner)>,
    /// A failed write is tried again.
    retry: VecDeque<(Duration, Owner)>,
    /// A ticket comes too late for this call.
    ticket: VecDeque<(Duration, (ContactId, CommandId))>,
    /// Something asked of a ticket takes too long: the tenant's index.
    deed: VecDeque<(Duration, (usize, CommandId))>,
    /// An ended contact is dropped.
    forget: VecDeque<(Duration, ContactId)>,
    /// Contacts nobody speaks of are looked for.
    sweep: Option<Duration>,
}

fn due<T>(queue: &mut VecDeque<(Duration, T)>, now: Duration) -> Option<(Duration, T)> {
    if queue.front()?.0 <= now {
        queue.pop_front()
    } else {
        None
    }
}

impl Timers {
    pub(super) fn linger_until(&mut self, until: Duration, owner: Owner) {
        self.linger.push_back((until, owner));
    }

    pub(super) fn retry_at(&mut self, at: Duration, owner: Owner) {
        self.retry.push_back((at, owner));
    }

    pub(super) fn ticket_until(&mut self, until: Duration, contact: ContactId, command: CommandId) {
        self.ticket.push_back((until, (contact, command)));
    }

    pub(super) fn deed_until(&mut self, until: Duration, tenant: usize, command: CommandId) {
        self.deed.push_back((until, (tenant, command)));
    }

    pub(super) fn forget_at(&mut self, at: Duration, contact: ContactId) {
        self.forget.push_back((at, contact));
    }

    /// Sets the sweep unless it is set.
    pub(super) fn sweep_at(&mut self, at: Duration) {
        self.sweep.get_or_insert(at);
    }

    pub(super) fn due_ticket(&mut self, now: Duration) -> Option<(ContactId, CommandId)> {
        due(&mut self.ticket, now).map(|(_, what)| what)
    }

    pub(super) fn due_deed(&mut self, now: Duration) -> Option<(usize, CommandId)> {
        due(&mut self.deed, now).map(|(_, what)| what)
    }

    /// The time comes along: it tells a timer in force from one that isn't any more.
    pub(super) fn due_write(&mut self, now: Duration) -> Option<(Duration, Owner)> {
        due(&mut self.retry, now).or_else(|| due(&mut self.linger, now))
    }

    pub(super) fn due_forget(&mut self, now: Duration) -> Option<ContactId> {
        due(&mut self.forget, now).map(|(_, contact)| contact)
    }

    pub(super) fn due_sweep(&mut self, now: Duration) -> bool {
        self.sweep.take_if(|at| *at <= now).is_some()
    }

    pub(super) fn next(&self) -> Option<Duration> {
        let linger = self.linger.front().map(|timer| timer.0);
        let retry = self.retry.front().map(|timer| timer.0);
        let ticket = self.ticket.front().map(|timer| timer.0);
        let deed = self.deed.front().map(|timer| timer.0);
        let forget = self.forget.front().map(|timer| timer.0);
        [linger, retry, ticket, deed, forget, self.sweep]
            .into_iter()
            .flatten()
            .min()
    }
}
