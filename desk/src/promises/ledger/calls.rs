//! What the calls report, and ask leave for.

use smallvec::SmallVec;

use super::{Dial, Ledger, Work};
use crate::directory::NumberKey;
use crate::event::Event;
use crate::message::{AttemptId, ContactId, PromiseId, Stamped};
use crate::promises::{Missed, PromiseKind, PromiseStage, Proof};

impl Ledger {
    /// The calls have made a contact for an attempt. False: it isn't wanted any more.
    pub fn begun(
        &mut self,
        promise: PromiseId,
        attempt: AttemptId,
        contact: ContactId,
        at: i64,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(&promise) else {
            return false;
        };
        match entry.work {
            Work::Asked { attempt: asked, .. } if asked == attempt => {
                entry.work = Work::Taken {
                    attempt,
                    contact,
                    dial: Dial::No,
                    talks: false,
                };
                self.by_contact.insert(contact, promise);
                self.step(promise, at);
                true
            }
            Work::Taken {
                attempt: taken,
                contact: of,
                ..
            } => taken == attempt && of == contact,
            Work::None | Work::Asked { .. } => false,
        }
    }

    /// The customer is about to be called. The event gives leave, once it is on
    /// disk ([`Self::attempted`]); `None`: not now, and the contact is to end.
    pub fn may_dial(&mut self, contact: ContactId, at: i64) -> Option<(PromiseId, Event)> {
        let promise = *self.by_contact.get(&contact)?;
        let entry = self.entries.get(&promise)?;
        let Work::Taken { attempt, dial, .. } = entry.work else {
            return None;
        };
        let facts = &entry.facts;
        let now = self.callable.next(facts.person, at, facts.window.to) == Some(at);
        let fits = facts.stage == PromiseStage::Due
            && dial == Dial::No
            && now
            && !entry.leave
            && entry.number.is_some()
            && !self.is_held(entry)
            && self.dialling < self.rules.dialling_max;
        if !fits {
            self.release(promise, at, self.rules.own_pause_ms);
            return None;
        }
        self.set_dial(promise, Dial::Granting);
        if let Some(entry) = self.entries.get_mut(&promise) {
            entry.leave = true;
        }
        let event = Event::PromiseAttempted {
            promise,
            attempt,
            contact,
        };
        Some((promise, event))
    }

    /// Other promises to the number that this contact would call.
    pub(crate) fn same_number(&self, contact: ContactId) -> impl Iterator<Item = PromiseId> + '_ {
        let own = self.by_contact.get(&contact).copied();
        let key = self.entry_of(contact).and_then(|entry| entry.key);
        let same = key.map(|key| self.of_number(key)).unwrap_or_default();
        same.into_iter()
            .filter(move |promise| Some(*promise) != own)
    }

    /// Leave to dial is on disk. False: the attempt was given up meanwhile.
    pub(crate) fn attempted(&mut self, promise: PromiseId, stamped: &Stamped, at: i64) -> bool {
        let Event::PromiseAttempted { attempt, .. } = stamped.event else {
            return false;
        };
        let Some(entry) = self.entries.get_mut(&promise) else {
            return false;
        };
        entry.leave = false;
        if entry.facts.stage == PromiseStage::Due {
            entry.facts.apply(stamped);
        }
        let wanted = matches!(
            entry.work,
            Work::Taken { attempt: taken, dial: Dial::Granting, .. } if taken == attempt
        );
        let facts = entry.facts;
        // The write may have taken its time: the hours may be over.
        let now = self.callable.next(facts.person, at, facts.window.to) == Some(at);
        let granted = wanted && now && facts.stage.attempt() == Some(attempt);
        if granted {
            self.set_dial(promise, Dial::Yes);
        } else {
            self.record_missed(promise, attempt, Missed::Interrupted, at);
            if wanted {
                self.release(promise, at, self.rules.own_pause_ms);
            }
        }
        self.step(promise, at);
        granted
    }

    /// Leave to dial couldn't be written.
    pub(crate) fn leave_failed(&mut self, promise: PromiseId, contact: ContactId, at: i64) {
        if let Some(entry) = self.entries.get_mut(&promise) {
            entry.leave = false;
        }
        self.leave_late(contact, at);
    }

    /// Leave to dial isn't there in time: the contact isn't to wait for it.
    pub(crate) fn leave_late(&mut self, contact: ContactId, at: i64) {
        if let Some(&promise) = self.by_contact.get(&contact) {
            self.release(promise, at, self.rules.own_pause_ms);
        }
    }

    /// The customer pressed the key.
    pub fn reached(&mut self, contact: ContactId, at: i64) {
        let Some(&promise) = self.by_contact.get(&contact) else {
            return;
        };
        self.change(promise, at, |facts| match facts.stage {
            PromiseStage::Attempting { attempt } => {
                Some(Event::PromiseReached { promise, attempt })
            }
            _ => None,
        });
        self.close_if_kept(promise, at);
        self.step(promise, at);
    }

    /// The customer said by key that no callback is needed.
    pub fn released(&mut self, contact: ContactId, at: i64) {
        let Some(&promise) = self.by_contact.get(&contact) else {
            return;
        };
        self.change(promise, at, |facts| {
            let attempt = facts.stage.attempt()?;
            let proof = Proof::Released { attempt };
            Some(Event::PromiseClosed { promise, proof })
        });
        self.step(promise, at);
    }

    /// An attempt came to nothing.
    pub fn missed(&mut self, contact: ContactId, why: Missed, at: i64) {
        let Some(&promise) = self.by_contact.get(&contact) else {
            return;
        };
        let Some(entry) = self.entries.get(&promise) else {
            return;
        };
        if let Some(attempt) = entry.work.attempt() {
            self.record_missed(promise, attempt, why, at);
        }
        let pause = self.pause_after(promise, why);
        self.release(promise, at, pause);
    }

    /// Somebody calls us, from this number.
    pub(crate) fn calls_in(&mut self, contact: ContactId, key: NumberKey, at: i64) {
        let live = self.live.entry(key).or_default();
        if live.contains(&contact) {
            return;
        }
        live.push(contact);
        for promise in self.of_number(key) {
            let Some(entry) = self.entries.get(&promise) else {
                continue;
            };
            // Who has shown that they are there is left where they are.
            let reached = matches!(entry.facts.stage, PromiseStage::Reached { .. });
            if self.is_held(entry) && !reached && !entry.work.talks() {
                self.stop(promise, Missed::CalledIn, at);
            }
        }
    }

    /// A contact talks with somebody of the desk.
    pub(crate) fn talks(&mut self, contact: ContactId, key: Option<NumberKey>, at: i64) {
        if let Some(&promise) = self.by_contact.get(&contact) {
            if let Some(entry) = self.entries.get_mut(&promise)
                && let Work::Taken { talks, .. } = &mut entry.work
            {
                *talks = true;
            }
            self.close_if_kept(promise, at);
            return self.step(promise, at);
        }
        let theirs = key.map(|key| self.of_number(key)).unwrap_or_default();
        for promise in theirs {
            let Some(entry) = self.entries.get(&promise) else {
                continue;
            };
            let of_them = !entry.shared || entry.facts.contact == contact;
            let due = matches!(
                entry.facts.stage,
                PromiseStage::Due | PromiseStage::Attempting { .. }
            );
            if of_them && due {
                self.stop(promise, Missed::CalledIn, at);
                let proof = Proof::CalledIn { contact };
                self.close(promise, proof, at);
            }
        }
    }

    /// A contact is over.
    pub(crate) fn gone(&mut self, contact: ContactId, key: Option<NumberKey>, at: i64) {
        if self.by_contact.contains_key(&contact) {
            let why = match self.entry_of(contact).map(|entry| entry.facts.stage) {
                Some(PromiseStage::Reached { .. }) => Missed::NoAgent,
                _ => Missed::Interrupted,
            };
            return self.missed(contact, why, at);
        }
        let mut waiting: SmallVec<[PromiseId; 4]> = SmallVec::new();
        if let Some(key) = key {
            if let Some(live) = self.live.get_mut(&key) {
                live.retain(|of| *of != contact);
                if live.is_empty() {
                    self.live.remove(&key);
                }
            }
            waiting.extend(self.of_number(key));
        }
        if self.makers.remove(&contact) {
            let theirs = self
                .entries
                .iter()
                .filter(|(_, entry)| entry.facts.contact == contact);
            waiting.extend(theirs.map(|(promise, _)| *promise));
        }
        let soon = at.saturating_add(self.rules.own_pause_ms);
        for promise in waiting {
            if let Some(entry) = self.entries.get_mut(&promise)
                && entry.work == Work::None
                && entry.facts.kind != PromiseKind::Hold
            {
                // They hung up a moment ago.
                entry.not_before = entry.not_before.max(soon);
            }
            self.step(promise, at);
        }
    }
}
