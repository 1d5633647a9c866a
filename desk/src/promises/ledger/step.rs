//! What is due for one promise, and when something is due next.

use super::{ASK_EVERY_MS, ASKS_MAX, Act, Entry, Ledger, Work};
use crate::event::Event;
use crate::message::{AttemptId, PromiseId};
use crate::promises::{Callback, PromiseFacts, PromiseKind, PromiseRisk, PromiseStage};

impl Ledger {
    /// Does what is due for one promise, and enters when to look at it again.
    pub(super) fn step(&mut self, promise: PromiseId, at: i64) {
        let Some(mut entry) = self.entries.remove(&promise) else {
            return;
        };
        if let Some(wake) = entry.wake.take() {
            self.wakes.remove(&(wake, promise));
        }
        self.blocked.remove(&(entry.facts.since, promise));
        let wake = self.advance(promise, &mut entry, at);
        if entry.facts.stage.is_closed() && entry.work == Work::None {
            if let Some(key) = entry.key {
                self.forget_number(promise, key);
            }
            return;
        }
        entry.wake = wake.filter(|wake| *wake > at);
        if let Some(wake) = entry.wake {
            self.wakes.insert((wake, promise));
        }
        self.entries.insert(promise, entry);
    }

    /// The same, the entry taken out. Gives when something is due next.
    fn advance(&mut self, promise: PromiseId, entry: &mut Entry, at: i64) -> Option<i64> {
        if matches!(
            entry.facts.stage,
            PromiseStage::WithPerson | PromiseStage::Closed { .. }
        ) {
            return None;
        }
        if entry.number.is_none() && entry.work == Work::None {
            self.escalate(promise, entry, PromiseRisk::NumberGone, at);
            return None;
        }
        let (window, person) = (entry.facts.window, entry.facts.person);
        let mut wake = Earliest::after(at);
        self.look_for_owner(promise, entry, at, &mut wake);
        if entry.facts.stage == PromiseStage::Waiting {
            match self.callable.next(person, at.max(window.from), window.to) {
                Some(begins) if begins > at => {
                    wake.at(begins);
                    return wake.0;
                }
                Some(_) => {
                    self.record(promise, entry, at, Event::PromiseDue { promise });
                }
                None => {
                    self.no_time_left(promise, entry, at);
                    return None;
                }
            }
        }
        // When it is too late, and when somebody has to hear of it.
        let last = self.callable.last(person, window.from, window.to);
        let ends = last.map_or(at, |last| last.to);
        let margin = last.map_or(0, |last| {
            self.rules.margin_ms.min((last.to - last.from) / 4)
        });
        let waits = !matches!(entry.facts.stage, PromiseStage::Reached { .. });
        if waits && entry.facts.risk != Some(PromiseRisk::RunningOut) {
            if at >= ends - margin && at < ends {
                self.escalate(promise, entry, PromiseRisk::RunningOut, at);
            }
            wake.at(ends - margin);
        }
        if entry.work.dials() {
            return wake.0;
        }
        wake.at(ends);
        self.ask_again(promise, entry, at, &mut wake);
        let Some(next) = self.next_attempt(entry, at) else {
            self.take_back(promise, entry);
            self.no_time_left(promise, entry, at);
            return None;
        };
        match entry.work {
            Work::None if next > at => wake.at(next),
            Work::None => self.start(promise, entry, at, &mut wake),
            // The hours have ended while it waited for an agent.
            _ if self.callable.next(person, at, window.to) != Some(at) => {
                self.take_back(promise, entry);
                wake.at(next);
            }
            _ => {
                if let Some(change) = self.callable.change(person, at) {
                    wake.at(change);
                }
            }
        }
        wake.0
    }

    /// Whoever promised it is to be there a while before its window.
    fn look_for_owner(
        &mut self,
        promise: PromiseId,
        entry: &mut Entry,
        at: i64,
        wake: &mut Earliest,
    ) {
        let PromiseKind::Owned { owner } = entry.facts.kind else {
            return;
        };
        let from = entry.facts.window.from - self.rules.owner_margin_ms;
        let calm = entry.facts.risk.is_none() && entry.facts.stage.attempt().is_none();
        if at < from {
            wake.at(from);
        } else if calm && entry.work == Work::None && self.away.contains(&owner) {
            self.escalate(promise, entry, PromiseRisk::OwnerGone, at);
        }
    }

    /// The first moment from now on at which it may be tried again. Sooner than the rule has it, rather than not at all.
    fn next_attempt(&self, entry: &Entry, at: i64) -> Option<i64> {
        let (person, to) = (entry.facts.person, entry.facts.window.to);
        let by_rule = at.max(entry.not_before);
        let soonest = entry.tried_at.map_or(at, |tried| {
            at.max(tried.saturating_add(self.rules.own_pause_ms))
        });
        let next = |from| self.callable.next(person, from, to);
        next(by_rule).or_else(|| next(soonest))
    }

    fn no_time_left(&mut self, promise: PromiseId, entry: &mut Entry, at: i64) {
        let (person, to) = (entry.facts.person, entry.facts.window.to);
        let why = match self.callable.last(person, entry.facts.window.from, to) {
            Some(last) if at >= last.to => PromiseRisk::Broken,
            None if at >= to => PromiseRisk::Broken,
            _ => PromiseRisk::NoWindow,
        };
        self.escalate(promise, entry, why, at);
    }

    /// Asks the calls for a contact, if nothing speaks against it.
    fn start(&mut self, promise: PromiseId, entry: &mut Entry, at: i64, wake: &mut Earliest) {
        if self.is_held(entry) || self.is_busy(entry) {
            // Whoever is on the line, or the other call, wakes it.
            return;
        }
        if self.at_work >= self.rules.at_work_max {
            self.blocked.insert((entry.facts.since, promise));
            return;
        }
        // Unlike any that an earlier process gave.
        let now = u64::try_from(at).unwrap_or(0);
        self.last_attempt = now.max(self.last_attempt + 1);
        let attempt = AttemptId(self.last_attempt);
        let again_at = at.saturating_add(ASK_EVERY_MS);
        entry.work = Work::Asked {
            attempt,
            again_at,
            left: ASKS_MAX,
        };
        self.at_work += 1;
        wake.at(again_at);
        let call = self.callback(promise, &entry.facts, attempt);
        self.acts.push(Act::Call(call));
    }

    fn ask_again(&mut self, promise: PromiseId, entry: &mut Entry, at: i64, wake: &mut Earliest) {
        let Work::Asked {
            attempt,
            again_at,
            left,
        } = entry.work
        else {
            return;
        };
        if again_at > at {
            return wake.at(again_at);
        }
        let Some(left) = left.checked_sub(1) else {
            self.take_back(promise, entry);
            entry.tried_at = Some(at);
            entry.not_before = at.saturating_add(self.rules.own_pause_ms);
            return;
        };
        let again_at = at.saturating_add(ASK_EVERY_MS);
        entry.work = Work::Asked {
            attempt,
            again_at,
            left,
        };
        wake.at(again_at);
        let call = self.callback(promise, &entry.facts, attempt);
        self.acts.push(Act::Call(call));
    }

    fn callback(&self, promise: PromiseId, facts: &PromiseFacts, attempt: AttemptId) -> Callback {
        Callback {
            tenant: self.tenant,
            promise,
            attempt,
            first: facts.first,
            queue: facts.queue,
            class: facts.class,
            since: facts.since,
            prefer: match facts.kind {
                PromiseKind::Owned { owner } => Some(owner),
                PromiseKind::Hold | PromiseKind::Scheduled => None,
            },
            ticket: facts.ticket,
            number: None,
            person: facts.person,
        }
    }
}

/// The earliest of some moments that lie ahead.
struct Earliest(Option<i64>, i64);

impl Earliest {
    pub(super) fn after(now: i64) -> Self {
        Self(None, now)
    }

    pub(super) fn at(&mut self, moment: i64) {
        if moment > self.1 {
            self.0 = Some(self.0.map_or(moment, |earliest| earliest.min(moment)));
        }
    }
}
