//! What people of the desk say and do.

use super::{Entry, Ledger};
use crate::event::Event;
use crate::message::{AgentId, PromiseId};
use crate::promises::{Missed, PromiseKind, PromiseRisk, PromiseWord, Proof};

impl Ledger {
    /// Somebody of the desk says something. False: there is no such open promise, or the window is none.
    pub fn word(&mut self, promise: PromiseId, word: PromiseWord, at: i64) -> bool {
        let Some(entry) = self.entries.get(&promise) else {
            return false;
        };
        if entry.facts.stage.is_closed() {
            return false;
        }
        match word {
            PromiseWord::Attest(agent) => {
                self.stop(promise, Missed::Interrupted, at);
                self.close(promise, Proof::Attested { agent }, at);
            }
            PromiseWord::Move(window) => {
                if !self.is_window(window, at) || entry.work.talks() {
                    return false;
                }
                self.stop(promise, Missed::Interrupted, at);
                self.change(promise, at, |_| {
                    Some(Event::PromiseMoved { promise, window })
                });
                if let Some(entry) = self.entries.get_mut(&promise) {
                    entry.not_before = window.from;
                    entry.tried_at = None;
                }
                self.step(promise, at);
            }
            PromiseWord::Escalate => {
                if entry.work.talks() {
                    return false;
                }
                self.stop(promise, Missed::Interrupted, at);
                let why = PromiseRisk::Told;
                self.change(promise, at, |_| {
                    Some(Event::PromiseEscalated { promise, why })
                });
                self.step(promise, at);
            }
            PromiseWord::NumberGone => {
                if let Some(key) = entry.key {
                    self.forget_number(promise, key);
                }
                if let Some(entry) = self.entries.get_mut(&promise) {
                    (entry.number, entry.key) = (None, None);
                }
                self.stop(promise, Missed::Interrupted, at);
                self.step(promise, at);
            }
        }
        true
    }

    /// An agent has signed in, or out. False: that is nothing to any promise.
    pub fn agent(&mut self, agent: AgentId, present: bool, at: i64) -> bool {
        if present {
            self.away.remove(&agent);
            return false;
        }
        if !self.away.insert(agent) {
            return false;
        }
        let owned = |entry: &Entry| entry.facts.kind == PromiseKind::Owned { owner: agent };
        let theirs: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| owned(entry))
            .map(|(promise, _)| *promise)
            .collect();
        for promise in &theirs {
            self.step(*promise, at);
        }
        !theirs.is_empty()
    }
}
