//! What is under way: one attempt at a time for a promise and for a number.

use smallvec::SmallVec;

use super::{Act, Dial, Entry, Ledger, WOKEN_MAX, Work};
use crate::directory::NumberKey;
use crate::event::Event;
use crate::message::{AttemptId, ContactId, PromiseId, Stamped};
use crate::promises::{Missed, PromiseFacts, PromiseRisk, PromiseStage, Proof};

impl Ledger {
    /// Is whom it was promised on the line with us?
    pub(super) fn is_held(&self, entry: &Entry) -> bool {
        let calls = |key| self.live.contains_key(&key);
        self.makers.contains(&entry.facts.contact)
            || (!entry.shared && entry.key.is_some_and(calls))
    }

    /// Is the same number being called for another promise?
    pub(super) fn is_busy(&self, entry: &Entry) -> bool {
        let same = entry.key.map(|key| self.of_number(key)).unwrap_or_default();
        let mut others = same.iter().filter_map(|promise| self.entries.get(promise));
        others.any(|other| other.work != Work::None)
    }

    /// Nothing is wanted of the attempt under way, the entry taken out.
    pub(super) fn take_back(&mut self, promise: PromiseId, entry: &mut Entry) {
        if let Some(attempt) = entry.work.attempt() {
            let contact = self.drop_work(entry);
            self.acts.push(Act::Stop {
                promise,
                attempt,
                contact,
            });
        }
    }

    /// The same for one that may be ringing already. A conversation isn't touched.
    pub(super) fn stop(&mut self, promise: PromiseId, why: Missed, at: i64) {
        let Some(entry) = self.entries.get(&promise) else {
            return;
        };
        let work = entry.work;
        let (Some(attempt), false) = (work.attempt(), work.talks()) else {
            return;
        };
        let contact = match work {
            Work::Taken { contact, .. } => Some(contact),
            Work::None | Work::Asked { .. } => None,
        };
        self.acts.push(Act::Stop {
            promise,
            attempt,
            contact,
        });
        self.record_missed(promise, attempt, why, at);
        self.release(promise, at, self.rules.own_pause_ms);
    }

    /// Nothing is under way for it any more.
    pub(super) fn release(&mut self, promise: PromiseId, at: i64, pause_ms: i64) {
        let Some(mut entry) = self.entries.remove(&promise) else {
            return;
        };
        self.drop_work(&mut entry);
        entry.tried_at = Some(at);
        entry.not_before = at.saturating_add(pause_ms);
        self.entries.insert(promise, entry);
        self.step(promise, at);
    }

    pub(super) fn drop_work(&mut self, entry: &mut Entry) -> Option<ContactId> {
        let work = std::mem::replace(&mut entry.work, Work::None);
        if work == Work::None {
            return None;
        }
        self.at_work -= 1;
        self.dialling -= usize::from(work.dials());
        self.freed.extend(entry.key);
        match work {
            Work::Taken { contact, .. } => {
                self.by_contact.remove(&contact);
                Some(contact)
            }
            Work::None | Work::Asked { .. } => None,
        }
    }

    /// Those that wait for a number, or for room, that has become free.
    pub(super) fn wake_others(&mut self, at: i64) {
        while let Some(key) = self.freed.pop() {
            for promise in self.of_number(key) {
                self.step(promise, at);
            }
            let waiting: SmallVec<[PromiseId; WOKEN_MAX]> = self
                .blocked
                .iter()
                .take(WOKEN_MAX)
                .map(|(_, promise)| *promise)
                .collect();
            for promise in waiting {
                self.step(promise, at);
            }
        }
    }

    pub(super) fn set_dial(&mut self, promise: PromiseId, to: Dial) {
        let Some(entry) = self.entries.get_mut(&promise) else {
            return;
        };
        let before = entry.work.dials();
        if let Work::Taken { dial, .. } = &mut entry.work {
            *dial = to;
        }
        match (before, entry.work.dials()) {
            (false, true) => self.dialling += 1,
            (true, false) => self.dialling -= 1,
            _ => {}
        }
    }

    /// How long to wait after an attempt that was over for this reason, and is recorded.
    pub(super) fn pause_after(&self, promise: PromiseId, why: Missed) -> i64 {
        let unanswered = self.facts(promise).map_or(0, |facts| facts.unanswered);
        if !why.is_unanswered() {
            return self.rules.own_pause_ms;
        }
        let pauses = &self.rules.pauses_ms;
        let place = usize::from(unanswered).saturating_sub(1);
        let pause = pauses.get(place).or(pauses.last());
        pause.copied().unwrap_or(self.rules.own_pause_ms)
    }

    /// An attempt that was on the log came to nothing. Too many of those end the attempts.
    pub(super) fn record_missed(
        &mut self,
        promise: PromiseId,
        attempt: AttemptId,
        why: Missed,
        at: i64,
    ) {
        self.change(promise, at, |facts| {
            let this = facts.stage.attempt() == Some(attempt);
            this.then_some(Event::PromiseMissed {
                promise,
                attempt,
                why,
            })
        });
        let max = self.rules.unanswered_max;
        self.change(promise, at, |facts| {
            let over = facts.stage == PromiseStage::Due && facts.unanswered >= max;
            let why = PromiseRisk::Unanswered;
            over.then_some(Event::PromiseEscalated { promise, why })
        });
    }

    pub(super) fn close_if_kept(&mut self, promise: PromiseId, at: i64) {
        let talks = self.entries.get(&promise).is_some_and(|e| e.work.talks());
        self.change(promise, at, |facts| match facts.stage {
            PromiseStage::Reached { attempt } if talks => {
                let proof = Proof::Key { attempt };
                Some(Event::PromiseClosed { promise, proof })
            }
            _ => None,
        });
    }

    pub(super) fn close(&mut self, promise: PromiseId, proof: Proof, at: i64) {
        self.change(promise, at, |_| {
            Some(Event::PromiseClosed { promise, proof })
        });
        self.step(promise, at);
    }

    pub(super) fn escalate(
        &mut self,
        promise: PromiseId,
        entry: &mut Entry,
        why: PromiseRisk,
        at: i64,
    ) {
        let event = Event::PromiseEscalated { promise, why };
        self.record(promise, entry, at, event);
    }

    pub(super) fn record(&mut self, promise: PromiseId, entry: &mut Entry, at: i64, event: Event) {
        let stamped = Stamped { at, event };
        entry.facts.apply(&stamped);
        self.acts.push(Act::Write(promise, stamped));
    }

    /// Decides on, applies and writes an event of a promise that isn't closed.
    pub(super) fn change(
        &mut self,
        promise: PromiseId,
        at: i64,
        decide: impl FnOnce(&PromiseFacts) -> Option<Event>,
    ) {
        let Some(entry) = self.entries.get_mut(&promise) else {
            return;
        };
        if entry.facts.stage.is_closed() {
            return;
        }
        if let Some(event) = decide(&entry.facts) {
            let stamped = Stamped { at, event };
            entry.facts.apply(&stamped);
            self.acts.push(Act::Write(promise, stamped));
        }
    }

    pub(super) fn entry_of(&self, contact: ContactId) -> Option<&Entry> {
        self.entries.get(self.by_contact.get(&contact)?)
    }

    pub(super) fn of_number(&self, key: NumberKey) -> SmallVec<[PromiseId; 1]> {
        self.by_number.get(&key).cloned().unwrap_or_default()
    }

    pub(super) fn forget_number(&mut self, promise: PromiseId, key: NumberKey) {
        if let Some(theirs) = self.by_number.get_mut(&key) {
            theirs.retain(|of| *of != promise);
            if theirs.is_empty() {
                self.by_number.remove(&key);
            }
        }
    }
}
