//! Some promises, some numbers, and everything that can happen to them in any order; what must hold, held.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::Stamped;

const NUMBERS: [&str; 3] = ["+15035550142", "+15035550143", "+15035550144"];

#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(i64),
    Promise(usize, PromiseKind, First, i64, i64, bool),
    Begin(usize),
    AskLeave(usize),
    Granted(bool),
    Reach(usize),
    Release(usize),
    Talk(usize),
    Miss(usize, Missed),
    Gone(usize),
    CallIn(usize),
    CallerTalks(usize),
    CallerGone(usize),
    Attest(usize),
    Move(usize, i64, i64),
    NumberGone(usize),
    Agent(bool),
    Restart,
}

/// Like the desk and the calls around a ledger.
struct World {
    ledger: Ledger,
    at: i64,
    /// As the store would tell them.
    log: BTreeMap<PromiseId, PromiseFacts>,
    numbers: BTreeMap<PromiseId, (usize, bool)>,
    asked: Vec<Callback>,
    /// Contacts made for an attempt, and whether the customer was dialled.
    contacts: BTreeMap<ContactId, (Callback, bool)>,
    granting: Vec<(ContactId, PromiseId, Event)>,
    /// What happened while leave was being written: it stands behind that in the log.
    behind: Vec<(PromiseId, Stamped)>,
    callers: BTreeMap<ContactId, usize>,
    last_contact: u64,
}

impl World {
    fn new() -> Self {
        Self {
            ledger: Self::ledger(1),
            at: EIGHT,
            log: BTreeMap::new(),
            numbers: BTreeMap::new(),
            asked: Vec::new(),
            contacts: BTreeMap::new(),
            granting: Vec::new(),
            behind: Vec::new(),
            callers: BTreeMap::new(),
            last_contact: 1_000,
        }
    }

    fn ledger(next: u64) -> Ledger {
        let rules = PromiseRules {
            at_work_max: 3,
            dialling_max: 2,
            open_max: 6,
            own_pause_ms: 20 * MINUTE,
            ..PromiseRules::default()
        };
        Ledger::new(TenantId(1), rules, callable(), PromiseId(next))
    }

    fn contact(&mut self) -> ContactId {
        self.last_contact += 1;
        ContactId(self.last_contact)
    }

    fn pick<K: Copy, V>(map: &BTreeMap<K, V>, n: usize) -> Option<K> {
        map.keys().nth(n % map.len().max(1)).copied()
    }

    fn take(&mut self, step: Step) {
        let at = self.at;
        let contact = |world: &Self, n| Self::pick(&world.contacts, n);
        let promise = |world: &Self, n| Self::pick(&world.numbers, n);
        match step {
            Step::Wait(ms) => {
                let until = at + ms;
                while let Some(wake) = self.ledger.next_wake().filter(|wake| *wake <= until) {
                    assert!(wake > self.at, "it would wake for ever");
                    self.at = wake;
                    self.ledger.due(wake);
                    self.look();
                }
                self.at = until;
            }
            Step::Promise(number, kind, first, from, length, shared) => {
                let maker = self.contact();
                let window = Span {
                    from: at + from,
                    to: at + from + length,
                };
                let ask = PromiseAsk {
                    number: PhoneNumber(NUMBERS[number].into()),
                    first,
                    ..ask(kind, Some(window))
                };
                let since = at - MINUTE;
                let Some(planned) = self.ledger.plan(&ask, maker, since, (None, None), at) else {
                    return;
                };
                for event in &planned.events {
                    self.write(planned.promise, &Stamped { at, event: *event });
                }
                self.numbers.insert(planned.promise, (number, shared));
                let number = Some((ask.number.clone(), key(NUMBERS[number])));
                self.ledger
                    .insert(planned.promise, planned.facts, number, (shared, false), at);
            }
            Step::Begin(n) => {
                if self.asked.is_empty() {
                    return;
                }
                let call = self.asked[n % self.asked.len()].clone();
                let contact = self.contact();
                if self.ledger.begun(call.promise, call.attempt, contact, at) {
                    self.contacts.insert(contact, (call, false));
                }
            }
            Step::AskLeave(n) => {
                if let Some(contact) = contact(self, n)
                    && let Some((promise, event)) = self.ledger.may_dial(contact, at)
                {
                    self.granting.push((contact, promise, event));
                }
            }
            Step::Granted(written) => {
                self.look();
                let Some((contact, promise, event)) = self.granting.pop() else {
                    return;
                };
                let stamped = Stamped { at, event };
                if written {
                    self.write(promise, &stamped);
                }
                let behind = std::mem::take(&mut self.behind);
                for (of, stamped) in behind {
                    self.later(of, stamped);
                }
                if !written {
                    return self.ledger.leave_failed(promise, contact, at);
                }
                if self.ledger.attempted(promise, &stamped, at) {
                    assert!(self.ledger.number_for(contact).is_some());
                    // Leave, once.
                    let known = self.contacts.get_mut(&contact).expect("a contact");
                    assert!(!std::mem::replace(&mut known.1, true));
                    let open = self.ledger.choices(
                        None,
                        Span {
                            from: at - 1,
                            to: at + 1,
                        },
                        0,
                        1,
                    );
                    assert!(!open.is_empty(), "called when nobody may be");
                }
            }
            Step::Reach(n) => {
                if let Some(contact) = contact(self, n).filter(|c| self.contacts[c].1) {
                    self.ledger.reached(contact, at);
                }
            }
            Step::Release(n) => {
                if let Some(contact) = contact(self, n).filter(|c| self.contacts[c].1) {
                    self.ledger.released(contact, at);
                }
            }
            Step::Talk(n) => {
                if let Some(contact) = contact(self, n) {
                    self.ledger.talks(contact, None, at);
                }
            }
            Step::Miss(n, why) => {
                if let Some(contact) = contact(self, n) {
                    self.contacts.remove(&contact);
                    self.ledger.missed(contact, why, at);
                }
            }
            Step::Gone(n) => {
                if let Some(contact) = contact(self, n) {
                    self.contacts.remove(&contact);
                    self.ledger.gone(contact, None, at);
                }
            }
            Step::CallIn(number) => {
                let caller = self.contact();
                self.callers.insert(caller, number);
                self.ledger.calls_in(caller, key(NUMBERS[number]), at);
            }
            Step::CallerTalks(n) => {
                if let Some(caller) = Self::pick(&self.callers, n) {
                    let number = key(NUMBERS[self.callers[&caller]]);
                    self.ledger.talks(caller, Some(number), at);
                }
            }
            Step::CallerGone(n) => {
                if let Some(caller) = Self::pick(&self.callers, n) {
                    let number = self.callers.remove(&caller).map(|n| key(NUMBERS[n]));
                    self.ledger.gone(caller, number, at);
                }
            }
            Step::Attest(n) => {
                if let Some(promise) = promise(self, n) {
                    self.ledger
                        .word(promise, PromiseWord::Attest(AgentId(1)), at);
                }
            }
            Step::Move(n, from, length) => {
                if let Some(promise) = promise(self, n) {
                    let window = Span {
                        from: at + from,
                        to: at + from + length,
                    };
                    self.ledger.word(promise, PromiseWord::Move(window), at);
                }
            }
            Step::NumberGone(n) => {
                if let Some(promise) = promise(self, n) {
                    self.ledger.word(promise, PromiseWord::NumberGone, at);
                }
            }
            Step::Agent(present) => {
                self.ledger.agent(AgentId(1), present, at);
            }
            Step::Restart => {
                self.look();
                self.ledger = Self::ledger(self.log.len() as u64 + 1);
                self.contacts.clear();
                self.granting.clear();
                self.behind.clear();
                self.callers.clear();
                self.asked.clear();
                for (promise, facts) in self.log.clone() {
                    let (number, shared) = self.numbers[&promise];
                    let number = Some((PhoneNumber(NUMBERS[number].into()), key(NUMBERS[number])));
                    self.ledger
                        .insert(promise, facts, number, (shared, false), at);
                }
            }
        }
    }

    fn later(&mut self, promise: PromiseId, stamped: Stamped) {
        if self.granting.iter().any(|(_, of, _)| *of == promise) {
            self.behind.push((promise, stamped));
        } else {
            self.write(promise, &stamped);
        }
    }

    fn write(&mut self, promise: PromiseId, stamped: &Stamped) {
        if let Some((made, facts)) = PromiseFacts::created(&stamped.event) {
            assert_eq!(made, promise);
            assert!(self.log.insert(promise, facts).is_none(), "an id twice");
            return;
        }
        let facts = self.log.get_mut(&promise).expect("created before");
        assert!(!facts.stage.is_closed(), "after its end: {stamped:?}");
        let before = facts.stage;
        match stamped.event {
            Event::PromiseAttempted { .. } => {
                assert_eq!(before, PromiseStage::Due, "one at a time");
            }
            Event::PromiseReached { attempt, .. } => {
                assert_eq!(before, PromiseStage::Attempting { attempt });
            }
            Event::PromiseMissed { attempt, .. } => {
                assert_eq!(before.attempt(), Some(attempt));
            }
            // Nothing but proof closes.
            Event::PromiseClosed { proof, .. } => match proof {
                Proof::Key { attempt } => {
                    assert_eq!(before, PromiseStage::Reached { attempt });
                }
                Proof::Released { attempt } => assert_eq!(before.attempt(), Some(attempt)),
                Proof::CalledIn { .. } => assert!(!self.callers.is_empty()),
                Proof::Attested { .. } => {}
            },
            Event::PromiseEscalated { why, .. } => {
                assert!(
                    facts.risk != Some(why) || why.stops_calls(),
                    "told twice: {why:?}"
                );
            }
            _ => {}
        }
        facts.apply(stamped);
    }

    fn look(&mut self) {
        for act in self.ledger.acts(self.at) {
            match act {
                Act::Write(promise, stamped) => self.later(promise, stamped),
                Act::Call(call) => {
                    if !self.asked.contains(&call) {
                        self.asked.push(call);
                    }
                }
                Act::Stop { contact, .. } => {
                    if let Some(contact) = contact {
                        self.contacts.remove(&contact);
                    }
                }
            }
        }
        // What the ledger thinks is what the log says.
        for (promise, facts) in self.ledger.open() {
            if self.granting.iter().any(|(_, of, _)| *of == promise) {
                continue;
            }
            let logged = self.log[&promise].stage;
            assert_eq!(logged, facts.stage, "{promise:?}");
        }
        // Invariant 7: one attempt for a number at a time, a conversation that goes on included.
        let mut called = BTreeSet::new();
        for (call, dialled) in self.contacts.values() {
            if *dialled {
                let (number, _) = self.numbers[&call.promise];
                assert!(called.insert(number), "two calls to one number");
            }
        }
        let granting = self.granting.len();
        assert!(called.len() <= 2 + granting, "more than may be at a time");
    }

    /// Nobody calls any more and no agent answers: after a week every promise was kept, or a person has it.
    fn rest(&mut self) {
        self.take(Step::Restart);
        for _ in 0..7 {
            self.take(Step::Wait(24 * HOUR));
            self.look();
        }
        for (promise, facts) in &self.log {
            let rests = matches!(
                facts.stage,
                PromiseStage::Closed { .. } | PromiseStage::WithPerson
            );
            let told = facts.stage.is_closed() || facts.risk.is_some();
            assert!(rests && told, "{promise:?} {facts:?}");
        }
        assert_eq!(self.ledger.next_wake(), None);
    }
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0_usize..8;
    let number = 0_usize..NUMBERS.len();
    let kind = prop_oneof![
        Just(PromiseKind::Hold),
        Just(PromiseKind::Scheduled),
        Just(PromiseKind::Owned { owner: AgentId(1) })
    ];
    let first = prop_oneof![Just(First::Agent), Just(First::Customer)];
    let why = prop_oneof![
        Just(Missed::NoAnswer),
        Just(Missed::Busy),
        Just(Missed::NoKey),
        Just(Missed::Failed),
        Just(Missed::NoAgent),
    ];
    let ahead = 0..30 * HOUR;
    let length = MINUTE..8 * HOUR;
    prop_oneof![
        3 => (0..2 * HOUR).prop_map(Step::Wait),
        4 => (0..3_000_i64).prop_map(Step::Wait),
        3 => (number.clone(), kind, first, ahead.clone(), length.clone(), any::<bool>())
            .prop_map(|(n, k, f, a, l, s)| Step::Promise(n, k, f, a, l, s)),
        6 => n.clone().prop_map(Step::Begin),
        6 => n.clone().prop_map(Step::AskLeave),
        6 => prop::bool::weighted(0.8).prop_map(Step::Granted),
        3 => n.clone().prop_map(Step::Reach),
        1 => n.clone().prop_map(Step::Release),
        2 => n.clone().prop_map(Step::Talk),
        3 => (n.clone(), why).prop_map(|(n, w)| Step::Miss(n, w)),
        2 => n.clone().prop_map(Step::Gone),
        2 => number.prop_map(Step::CallIn),
        2 => n.clone().prop_map(Step::CallerTalks),
        2 => n.clone().prop_map(Step::CallerGone),
        1 => n.clone().prop_map(Step::Attest),
        1 => (n.clone(), ahead, length).prop_map(|(n, a, l)| Step::Move(n, a, l)),
        1 => n.prop_map(Step::NumberGone),
        1 => any::<bool>().prop_map(Step::Agent),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_happens(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.look();
        }
        world.rest();
    }
}
