//! All promises of one hospital: what is due, and who may call whom.
//!
//! What a promise *is* stands in its [`PromiseFacts`] and changes by events
//! alone. What is under way ([`Work`]) is live: after a restart nothing is.

mod calls;
mod step;
mod words;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use smallvec::{SmallVec, smallvec};

use super::{
    Callable, Callback, Missed, PromiseAsk, PromiseFacts, PromiseKind, PromiseRisk, PromiseRules,
    Span,
};
use crate::directory::NumberKey;
use crate::event::Event;
use crate::message::{
    AgentId, AttemptId, ContactId, PersonId, PhoneNumber, PromiseId, Stamped, TenantId, TicketId,
};

/// How often the calls are asked for a contact, and after how often without an answer it is left for later.
const ASK_EVERY_MS: i64 = 2_000;
const ASKS_MAX: u8 = 15;
/// Promises that wait for room and are looked at when there is some.
const WOKEN_MAX: usize = 32;

/// What the ledger wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Happened, and applied: write it.
    Write(PromiseId, Stamped),
    /// Make a contact for it.
    Call(Callback),
    /// Nothing is wanted of this attempt any more.
    Stop {
        /// Which promise.
        promise: PromiseId,
        /// Which attempt.
        attempt: AttemptId,
        /// The contact made for it, if one was.
        contact: Option<ContactId>,
    },
}

/// A promise about to be made: it exists when these events are on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Which.
    pub promise: PromiseId,
    /// What it will be.
    pub facts: PromiseFacts,
    /// What is to be written.
    pub events: SmallVec<[Event; 2]>,
    /// When the customer will be called; `None`: a person decides.
    pub window: Option<Span>,
}

/// See the module's description. `at` is always the wall clock, Unix milliseconds.
#[derive(Debug)]
pub struct Ledger {
    tenant: TenantId,
    rules: PromiseRules,
    callable: Callable,
    next_promise: PromiseId,
    last_attempt: u64,
    entries: BTreeMap<PromiseId, Entry>,
    wakes: BTreeSet<(i64, PromiseId)>,
    /// Those that could be called if there were room, the longest waiting first.
    blocked: BTreeSet<(i64, PromiseId)>,
    by_number: HashMap<NumberKey, SmallVec<[PromiseId; 1]>>,
    /// By the contact that was made for it.
    by_contact: HashMap<ContactId, PromiseId>,
    /// Who is on the line, by the number they call from.
    live: HashMap<NumberKey, SmallVec<[ContactId; 1]>>,
    /// To whom a promise was made, and who is on the line still.
    makers: HashSet<ContactId>,
    /// Agents known to be signed out.
    away: HashSet<AgentId>,
    at_work: usize,
    dialling: usize,
    /// Numbers for which something was under way a moment ago.
    freed: Vec<NumberKey>,
    acts: Vec<Act>,
}

#[derive(Debug)]
struct Entry {
    facts: PromiseFacts,
    number: Option<PhoneNumber>,
    key: Option<NumberKey>,
    /// A ward's telephone, or several people's: who calls from there needn't be who was promised something.
    shared: bool,
    work: Work,
    /// Leave to dial is being written, perhaps for an attempt that was given up meanwhile.
    leave: bool,
    not_before: i64,
    /// When an attempt was over last.
    tried_at: Option<i64>,
    wake: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    None,
    /// The calls have been asked for a contact.
    Asked {
        attempt: AttemptId,
        again_at: i64,
        left: u8,
    },
    /// They made one.
    Taken {
        attempt: AttemptId,
        contact: ContactId,
        dial: Dial,
        /// Somebody of the desk talks in it.
        talks: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dial {
    /// Not asked for yet.
    No,
    /// Being written.
    Granting,
    /// Durable: the customer is being called, or was.
    Yes,
}

impl Work {
    fn attempt(self) -> Option<AttemptId> {
        match self {
            Self::None => None,
            Self::Asked { attempt, .. } | Self::Taken { attempt, .. } => Some(attempt),
        }
    }

    fn talks(self) -> bool {
        matches!(self, Self::Taken { talks: true, .. })
    }

    fn dials(self) -> bool {
        matches!(
            self,
            Self::Taken {
                dial: Dial::Granting | Dial::Yes,
                ..
            }
        )
    }
}

impl Ledger {
    /// An empty one. `next`: the first id never given, as the store knows.
    pub fn new(tenant: TenantId, rules: PromiseRules, callable: Callable, next: PromiseId) -> Self {
        Self {
            tenant,
            rules,
            callable,
            next_promise: next,
            last_attempt: 0,
            entries: BTreeMap::new(),
            wakes: BTreeSet::new(),
            blocked: BTreeSet::new(),
            by_number: HashMap::new(),
            by_contact: HashMap::new(),
            live: HashMap::new(),
            makers: HashSet::new(),
            away: HashSet::new(),
            at_work: 0,
            dialling: 0,
            freed: Vec::new(),
            acts: Vec::new(),
        }
    }

    /// What is wanted, in order. Take it after every call of a method that changes something.
    pub fn acts(&mut self, at: i64) -> Vec<Act> {
        self.wake_others(at);
        std::mem::take(&mut self.acts)
    }

    /// When [`Self::due`] has something to do next.
    pub fn next_wake(&self) -> Option<i64> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Every promise that isn't closed.
    pub fn open(&self) -> impl Iterator<Item = (PromiseId, &PromiseFacts)> {
        let all = self.entries.iter();
        all.map(|(promise, entry)| (*promise, &entry.facts))
            .filter(|(_, facts)| !facts.stage.is_closed())
    }

    /// How a promise stands; `None` when it was closed a while ago, or never was.
    pub fn facts(&self, promise: PromiseId) -> Option<&PromiseFacts> {
        self.entries.get(&promise).map(|entry| &entry.facts)
    }

    /// Customers being called at the moment.
    pub fn dialling(&self) -> usize {
        self.dialling
    }

    /// Whom to call in an attempt that was granted.
    pub(crate) fn number_for(&self, contact: ContactId) -> Option<&PhoneNumber> {
        let entry = self.entries.get(self.by_contact.get(&contact)?)?;
        match entry.work {
            Work::Taken {
                dial: Dial::Yes, ..
            } => entry.number.as_ref(),
            _ => None,
        }
    }

    /// What may be offered to somebody who wants to be called.
    pub fn choices(
        &self,
        person: Option<PersonId>,
        within: Span,
        least_ms: i64,
        count: usize,
    ) -> Vec<Span> {
        self.callable.choices(person, within, least_ms, count)
    }

    /// Thinks a promise up. `None`: there are too many, or its window is none.
    /// If there is no moment at which a call may be made, it is escalated as it
    /// is made.
    pub fn plan(
        &mut self,
        ask: &PromiseAsk,
        contact: ContactId,
        since: i64,
        (ticket, person): (Option<TicketId>, Option<PersonId>),
        at: i64,
    ) -> Option<Planned> {
        let asked = match (ask.kind, ask.window) {
            (PromiseKind::Hold, _) => Span {
                from: at,
                to: at.saturating_add(self.rules.hold_ms),
            },
            (PromiseKind::Scheduled | PromiseKind::Owned { .. }, window) => {
                window.filter(|window| self.is_window(*window, at))?
            }
        };
        if self.entries.len() >= self.rules.open_max {
            return None;
        }
        let first = self.callable.next(person, asked.from.max(at), asked.to);
        let last = self.callable.last(person, asked.from.max(at), asked.to);
        let window = first
            .zip(last)
            .map(|(from, last)| Span { from, to: last.to });
        let promise = self.next_promise;
        // Given for good: if the write fails, the id stays unused.
        self.next_promise.0 += 1;
        let created = Event::PromiseCreated {
            promise,
            contact,
            kind: ask.kind,
            queue: ask.queue,
            class: ask.class,
            since,
            window: window.unwrap_or(asked),
            first: ask.first,
            ticket,
            person,
        };
        let (_, mut facts) = PromiseFacts::created(&created)?;
        let mut events = smallvec![created];
        if window.is_none() {
            let why = PromiseRisk::NoWindow;
            let event = Event::PromiseEscalated { promise, why };
            facts.apply(&Stamped { at, event });
            events.push(event);
        }
        Some(Planned {
            promise,
            facts,
            events,
            window,
        })
    }

    fn is_window(&self, window: Span, at: i64) -> bool {
        window.from < window.to
            && window.to > at
            && window.to <= at.saturating_add(self.rules.ahead_max_ms)
    }

    /// It is on disk. `live`: whom it was made to is on the line still. Without
    /// a number (none that can be called, or erased) a person decides.
    pub(crate) fn insert(
        &mut self,
        promise: PromiseId,
        facts: PromiseFacts,
        number: Option<(PhoneNumber, NumberKey)>,
        (shared, live): (bool, bool),
        at: i64,
    ) {
        if facts.stage.is_closed() || self.entries.contains_key(&promise) {
            return;
        }
        if live {
            self.makers.insert(facts.contact);
        }
        let (number, key) = number.unzip();
        if let Some(key) = key {
            self.by_number.entry(key).or_default().push(promise);
        }
        self.next_promise = self.next_promise.max(PromiseId(promise.0 + 1));
        let entry = Entry {
            not_before: facts.window.from,
            facts,
            number,
            key,
            shared,
            work: Work::None,
            leave: false,
            tried_at: None,
            wake: None,
        };
        self.entries.insert(promise, entry);
        // Cut off by whatever ended the process.
        if let Some(attempt) = facts.stage.attempt() {
            self.last_attempt = self.last_attempt.max(attempt.0);
            let why = Missed::Interrupted;
            self.change(promise, at, |_| {
                Some(Event::PromiseMissed {
                    promise,
                    attempt,
                    why,
                })
            });
        }
        self.step(promise, at);
    }

    /// The hours have changed, or somebody's availability.
    pub fn set_callable(&mut self, callable: Callable, at: i64) {
        if callable != self.callable {
            self.callable = callable;
            let all: Vec<_> = self.entries.keys().copied().collect();
            for promise in all {
                self.step(promise, at);
            }
        }
    }

    /// Does what is due.
    pub fn due(&mut self, at: i64) {
        while let Some(&(wake, promise)) = self.wakes.first() {
            if wake > at {
                break;
            }
            self.wakes.pop_first();
            self.step(promise, at);
        }
    }
}
