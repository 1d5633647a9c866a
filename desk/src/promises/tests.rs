//! The ledger, told step by step; `windows` holds the tables of zones, `world` plays it at random.

mod windows;
mod world;

use smallvec::smallvec;

use super::*;
use crate::directory::{Directory, NumberKey, NumberRule};
use crate::event::Event;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const QUEUE: QueueId = QueueId(3);
/// Who was promised something.
const MAKER: ContactId = ContactId(7);
const ANNA: &str = "+15035550142";
/// Monday, 2026-11-23, 08:00 in Chicago.
const EIGHT: i64 = windows::utc(2026, 11, 23, 14, 0);

fn key(number: &str) -> NumberKey {
    let directory = Directory::new(NumberRule::default(), vec![], vec![]).unwrap();
    directory.key(&PhoneNumber(number.into())).unwrap()
}

/// The desk is open from eight to five, everybody may be called by day, in Chicago.
fn callable() -> Callable {
    let week = [("mon-fri", "08:00-17:00")];
    Callable {
        desk: Some(Exact {
            calendar: hours::Calendar::read("America/Chicago", week, []).unwrap(),
            exception: None,
        }),
        anybody: Some(Callee {
            decent: decent_hours("America/Chicago").unwrap(),
            available: None,
            away: Vec::new(),
        }),
        people: Default::default(),
    }
}

fn ask(kind: PromiseKind, window: Option<Span>) -> PromiseAsk {
    PromiseAsk {
        number: PhoneNumber(ANNA.into()),
        kind,
        queue: QUEUE,
        class: Role::Staff,
        since: None,
        window,
        first: First::Agent,
    }
}

/// A ledger, its clock, and what it wanted that wasn't looked at yet.
struct Story {
    ledger: Ledger,
    at: i64,
    acts: std::collections::VecDeque<Act>,
    contacts: u64,
}

impl Story {
    fn new() -> Self {
        Self::with(PromiseRules::default(), callable())
    }

    fn with(rules: PromiseRules, callable: Callable) -> Self {
        Self {
            ledger: Ledger::new(TenantId(1), rules, callable, PromiseId(1)),
            at: EIGHT,
            acts: Default::default(),
            contacts: 100,
        }
    }

    /// Makes a promise that is on disk at once; its maker is gone.
    fn promise(&mut self, ask: PromiseAsk) -> PromiseId {
        self.promise_to(MAKER, ask, false, false)
    }

    fn promise_to(
        &mut self,
        maker: ContactId,
        ask: PromiseAsk,
        shared: bool,
        live: bool,
    ) -> PromiseId {
        let planned = self
            .ledger
            .plan(&ask, maker, self.at, (None, None), self.at);
        let planned = planned.expect("there is room");
        let number = Some((ask.number.clone(), key(&ask.number.0)));
        self.ledger.insert(
            planned.promise,
            planned.facts,
            number,
            (shared, live),
            self.at,
        );
        self.drain();
        planned.promise
    }

    fn drain(&mut self) {
        self.acts.extend(self.ledger.acts(self.at));
    }

    fn wait(&mut self, ms: i64) {
        let until = self.at + ms;
        while let Some(wake) = self.ledger.next_wake().filter(|wake| *wake <= until) {
            assert!(wake > self.at, "it would wake for ever");
            self.at = wake;
            self.ledger.due(wake);
            self.drain();
        }
        self.at = until;
    }

    fn act(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// The next thing written.
    #[track_caller]
    fn written(&mut self) -> Event {
        match self.act() {
            Some(Act::Write(_, stamped)) => stamped.event,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn silence(&self) {
        assert_eq!(self.acts, []);
    }

    /// The next thing is a contact asked for: it is made.
    #[track_caller]
    fn begun(&mut self) -> (Callback, ContactId) {
        let call = match self.act() {
            Some(Act::Call(call)) => call,
            other => panic!("{other:?}"),
        };
        self.contacts += 1;
        let contact = ContactId(self.contacts);
        assert!(
            self.ledger
                .begun(call.promise, call.attempt, contact, self.at)
        );
        self.drain();
        (call, contact)
    }

    /// It asks for leave to dial, and has it.
    #[track_caller]
    fn dials(&mut self, contact: ContactId) -> AttemptId {
        let (promise, event) = self.ledger.may_dial(contact, self.at).expect("leave");
        let stamped = crate::Stamped { at: self.at, event };
        assert!(self.ledger.attempted(promise, &stamped, self.at));
        assert_eq!(
            self.ledger.number_for(contact).map(|number| &*number.0),
            Some(ANNA)
        );
        match event {
            Event::PromiseAttempted { attempt, .. } => attempt,
            other => panic!("{other:?}"),
        }
    }

    fn missed(&mut self, contact: ContactId, why: Missed) {
        self.ledger.missed(contact, why, self.at);
        self.drain();
    }

    fn stage(&self, promise: PromiseId) -> Option<PromiseStage> {
        self.ledger.facts(promise).map(|facts| facts.stage)
    }
}

/// Scene 5: promised for tomorrow between nine and ten, called then, taken by key, talked about.
#[test]
fn promised_called_confirmed_closed() {
    let mut story = Story::new();
    let tomorrow = EIGHT + 24 * HOUR;
    let window = Span {
        from: tomorrow + HOUR,
        to: tomorrow + 2 * HOUR,
    };
    let promise = story.promise(ask(PromiseKind::Scheduled, Some(window)));
    story.wait(25 * HOUR - 1);
    story.silence();
    story.wait(1);
    assert_eq!(story.written(), Event::PromiseDue { promise });
    let (call, contact) = story.begun();
    assert_eq!(
        (call.queue, call.class, call.since),
        (QUEUE, Role::Staff, EIGHT)
    );
    let attempt = story.dials(contact);
    story.ledger.reached(contact, story.at);
    story.drain();
    assert_eq!(story.written(), Event::PromiseReached { promise, attempt });
    story.silence();
    // A person there alone isn't a promise kept: somebody of the desk has to talk with them.
    story.ledger.talks(contact, None, story.at);
    story.drain();
    let proof = Proof::Key { attempt };
    assert_eq!(story.written(), Event::PromiseClosed { promise, proof });
    story.ledger.gone(contact, None, story.at);
    story.drain();
    story.silence();
    assert_eq!(story.stage(promise), None);
    assert_eq!(story.ledger.next_wake(), None);
}

#[test]
fn three_unanswered_attempts_are_no_proof() {
    let mut story = Story::new();
    let promise = story.promise(ask(PromiseKind::Hold, None));
    assert_eq!(story.written(), Event::PromiseDue { promise });
    for (why, pause) in [
        (Missed::NoAnswer, 5 * MINUTE),
        (Missed::NoKey, 20 * MINUTE),
        (Missed::Busy, 0),
    ] {
        let (_, contact) = story.begun();
        let attempt = story.dials(contact);
        story.missed(contact, why);
        let missed = Event::PromiseMissed {
            promise,
            attempt,
            why,
        };
        assert_eq!(story.written(), missed);
        if pause > 0 {
            story.wait(pause - 1);
            story.silence();
            story.wait(1);
        }
    }
    let why = PromiseRisk::Unanswered;
    assert_eq!(story.written(), Event::PromiseEscalated { promise, why });
    story.wait(72 * HOUR);
    story.silence();
    assert_eq!(story.stage(promise), Some(PromiseStage::WithPerson));
    // Only somebody's word closes it.
    let agent = AgentId(4);
    assert!(
        story
            .ledger
            .word(promise, PromiseWord::Attest(agent), story.at)
    );
    story.drain();
    let proof = Proof::Attested { agent };
    assert_eq!(story.written(), Event::PromiseClosed { promise, proof });
    assert!(
        !story
            .ledger
            .word(promise, PromiseWord::Attest(agent), story.at)
    );
}

#[test]
fn what_fails_here_isnt_their_silence() {
    let mut story = Story::new();
    let promise = story.promise(ask(PromiseKind::Hold, None));
    story.acts.pop_front();
    for why in [
        Missed::Failed,
        Missed::NoChannel,
        Missed::NoAgent,
        Missed::Failed,
    ] {
        let (_, contact) = story.begun();
        story.dials(contact);
        story.missed(contact, why);
        assert!(matches!(story.written(), Event::PromiseMissed { .. }));
        story.wait(MINUTE);
    }
    assert_eq!(story.ledger.facts(promise).map(|f| f.unanswered), Some(0));
    assert!(matches!(story.act(), Some(Act::Call(_))));
}

/// Escalated before it is broken, while calls go on; broken when its time is over, and then no call leaves.
#[test]
fn escalated_before_it_is_broken() {
    let mut story = Story::new();
    let window = Span {
        from: EIGHT + HOUR,
        to: EIGHT + 2 * HOUR,
    };
    let promise = story.promise(ask(PromiseKind::Scheduled, Some(window)));
    story.wait(HOUR);
    assert_eq!(story.written(), Event::PromiseDue { promise });
    let (_, waiting) = story.begun();
    story.wait(45 * MINUTE - 1);
    story.silence();
    story.wait(1);
    let why = PromiseRisk::RunningOut;
    assert_eq!(story.written(), Event::PromiseEscalated { promise, why });
    // No agent has been found when the window ends: nobody is called at two minutes past ten.
    story.wait(15 * MINUTE);
    assert!(matches!(story.act(), Some(Act::Stop { contact, .. }) if contact == Some(waiting)));
    let why = PromiseRisk::Broken;
    assert_eq!(story.written(), Event::PromiseEscalated { promise, why });
    assert_eq!(story.ledger.may_dial(waiting, story.at), None);
    story.wait(72 * HOUR);
    story.silence();
}

#[test]
fn no_moment_before_the_deadline_is_told_at_once() {
    let mut story = Story::new();
    // Saturday, and the desk opens on Monday.
    let window = Span {
        from: EIGHT + 5 * 24 * HOUR,
        to: EIGHT + 5 * 24 * HOUR + 8 * HOUR,
    };
    let asked = ask(PromiseKind::Scheduled, Some(window));
    let planned = story
        .ledger
        .plan(&asked, MAKER, story.at, (None, None), story.at)
        .unwrap();
    assert_eq!(planned.window, None);
    assert!(matches!(
        planned.events[..],
        [
            Event::PromiseCreated { .. },
            Event::PromiseEscalated {
                why: PromiseRisk::NoWindow,
                ..
            }
        ]
    ));
    assert_eq!(planned.facts.stage, PromiseStage::WithPerson);
    // Windows that are none.
    for (from, to) in [(10, 10), (20, 10), (-20, -10), (0, 61 * 24 * HOUR)] {
        let window = Span {
            from: EIGHT + from,
            to: EIGHT + to,
        };
        let asked = ask(PromiseKind::Scheduled, Some(window));
        let planned = story.ledger.plan(&asked, MAKER, EIGHT, (None, None), EIGHT);
        assert_eq!(planned, None, "{from} {to}");
    }
    let asked = ask(PromiseKind::Scheduled, None);
    let planned = story.ledger.plan(&asked, MAKER, EIGHT, (None, None), EIGHT);
    assert_eq!(planned, None);
}

#[test]
fn one_attempt_at_a_time_for_a_promise_and_a_number() {
    let mut story = Story::new();
    let first = story.promise(ask(PromiseKind::Hold, None));
    assert_eq!(story.written(), Event::PromiseDue { promise: first });
    let (_, contact) = story.begun();
    let second = story.promise_to(ContactId(8), ask(PromiseKind::Hold, None), false, false);
    assert_eq!(story.written(), Event::PromiseDue { promise: second });
    story.silence();
    story.dials(contact);
    // Leave is given once.
    story.wait(MINUTE);
    story.silence();
    story.missed(contact, Missed::NoAnswer);
    assert!(matches!(story.written(), Event::PromiseMissed { promise, .. } if promise == first));
    // Now it is the other's turn.
    let (call, other) = story.begun();
    assert_eq!(call.promise, second);
    story.dials(other);
    story.wait(30 * MINUTE);
    story.silence();
    // A contact that nobody asked for gets no leave.
    assert_eq!(story.ledger.may_dial(ContactId(999), story.at), None);
    assert!(
        !story
            .ledger
            .begun(first, AttemptId(1), ContactId(998), story.at)
    );
}

#[test]
fn nobody_is_called_while_they_call_us() {
    let mut story = Story::new();
    let promise = story.promise_to(MAKER, ask(PromiseKind::Hold, None), false, true);
    assert_eq!(story.written(), Event::PromiseDue { promise });
    // They are on the line still.
    story.wait(MINUTE);
    story.silence();
    story.ledger.gone(MAKER, None, story.at);
    story.drain();
    let (_, contact) = story.begun();
    let attempt = story.dials(contact);
    // They call while their telephone rings.
    let caller = ContactId(40);
    story.ledger.calls_in(caller, key(ANNA), story.at);
    story.drain();
    assert!(matches!(story.act(), Some(Act::Stop { .. })));
    let missed = Event::PromiseMissed {
        promise,
        attempt,
        why: Missed::CalledIn,
    };
    assert_eq!(story.written(), missed);
    story.wait(10 * MINUTE);
    story.silence();
    story.ledger.talks(caller, Some(key(ANNA)), story.at);
    story.drain();
    let proof = Proof::CalledIn { contact: caller };
    assert_eq!(story.written(), Event::PromiseClosed { promise, proof });
    story.ledger.gone(caller, Some(key(ANNA)), story.at);
    story.drain();
    story.silence();
}

#[test]
fn who_calls_in_and_gives_up_is_called_back_all_the_same() {
    let mut story = Story::new();
    story.promise(ask(PromiseKind::Hold, None));
    story.acts.clear();
    story
        .ledger
        .missed(ContactId(1), Missed::NoAnswer, story.at);
    let caller = ContactId(40);
    story.ledger.calls_in(caller, key(ANNA), story.at);
    story.drain();
    assert!(matches!(story.act(), Some(Act::Stop { contact: None, .. })));
    story.ledger.gone(caller, Some(key(ANNA)), story.at);
    story.drain();
    story.wait(MINUTE);
    story.begun();
}

/// A ward's telephone: whoever else calls from there isn't who was promised something.
#[test]
fn a_shared_number_keeps_nobody_elses_promise() {
    let mut story = Story::new();
    let promise = story.promise_to(MAKER, ask(PromiseKind::Hold, None), true, false);
    assert_eq!(story.written(), Event::PromiseDue { promise });
    let (_, contact) = story.begun();
    story.dials(contact);
    let colleague = ContactId(41);
    story.ledger.calls_in(colleague, key(ANNA), story.at);
    story.ledger.talks(colleague, Some(key(ANNA)), story.at);
    story.drain();
    story.silence();
    assert!(matches!(
        story.stage(promise),
        Some(PromiseStage::Attempting { .. })
    ));
}

#[test]
fn the_owner_logs_off_before_the_window() {
    let mut story = Story::new();
    let owner = AgentId(5);
    let window = Span {
        from: EIGHT + HOUR,
        to: EIGHT + 2 * HOUR,
    };
    let promise = story.promise(ask(PromiseKind::Owned { owner }, Some(window)));
    story.ledger.agent(owner, false, story.at);
    story.drain();
    story.silence();
    story.wait(50 * MINUTE);
    let why = PromiseRisk::OwnerGone;
    assert_eq!(story.written(), Event::PromiseEscalated { promise, why });
    // The queue keeps it.
    story.wait(10 * MINUTE);
    assert_eq!(story.written(), Event::PromiseDue { promise });
    let (call, _) = story.begun();
    assert_eq!((call.queue, call.prefer), (QUEUE, Some(owner)));
}

#[test]
fn nobody_is_called_any_more_when_somebody_says_so() {
    let mut story = Story::new();
    let promise = story.promise(ask(PromiseKind::Hold, None));
    story.acts.clear();
    assert!(story.ledger.word(promise, PromiseWord::Escalate, story.at));
    story.drain();
    assert!(matches!(story.act(), Some(Act::Stop { .. })));
    let why = PromiseRisk::Told;
    assert_eq!(story.written(), Event::PromiseEscalated { promise, why });
    story.wait(72 * HOUR);
    story.silence();
    assert_eq!(story.stage(promise), Some(PromiseStage::WithPerson));
}

#[test]
fn a_number_that_is_gone_is_for_a_person() {
    let mut story = Story::new();
    let promise = story.promise(ask(PromiseKind::Hold, None));
    story.acts.clear();
    assert!(
        story
            .ledger
            .word(promise, PromiseWord::NumberGone, story.at)
    );
    story.drain();
    assert!(matches!(story.act(), Some(Act::Stop { .. })));
    let why = PromiseRisk::NumberGone;
    assert_eq!(story.written(), Event::PromiseEscalated { promise, why });
    story.wait(72 * HOUR);
    story.silence();
    // After a restart the row isn't there either.
    let facts = *story.ledger.facts(promise).unwrap();
    let mut again = Story::new();
    let erased = PromiseFacts {
        stage: PromiseStage::Due,
        ..facts
    };
    again
        .ledger
        .insert(promise, erased, None, (false, false), again.at);
    again.drain();
    assert_eq!(again.written(), Event::PromiseEscalated { promise, why });
}

#[test]
fn a_restart_in_the_middle_of_an_attempt() {
    let mut story = Story::new();
    let promise = story.promise(ask(PromiseKind::Hold, None));
    story.acts.clear();
    let facts = PromiseFacts {
        stage: PromiseStage::Attempting {
            attempt: AttemptId(3),
        },
        ..*story.ledger.facts(promise).unwrap()
    };
    let mut again = Story::new();
    let number = Some((PhoneNumber(ANNA.into()), key(ANNA)));
    again
        .ledger
        .insert(promise, facts, number, (false, false), again.at);
    again.drain();
    let missed = Event::PromiseMissed {
        promise,
        attempt: AttemptId(3),
        why: Missed::Interrupted,
    };
    assert_eq!(again.written(), missed);
    let (call, _) = again.begun();
    assert_ne!(call.attempt, AttemptId(3));
    // Ids go on behind what is known.
    let next = again.ledger.plan(
        &ask(PromiseKind::Hold, None),
        MAKER,
        EIGHT,
        (None, None),
        EIGHT,
    );
    assert_eq!(next.map(|planned| planned.promise), Some(PromiseId(2)));
}

#[test]
fn leave_that_comes_too_late_is_taken_back() {
    let mut story = Story::new();
    let promise = story.promise(ask(PromiseKind::Hold, None));
    story.acts.clear();
    let call = {
        let facts = story.ledger.facts(promise).unwrap();
        assert_eq!(facts.stage, PromiseStage::Due);
        story.wait(2_000);
        story.begun()
    };
    let (of, event) = story.ledger.may_dial(call.1, story.at).unwrap();
    assert_eq!(story.ledger.dialling(), 1);
    // While it is being written they call us.
    story.ledger.calls_in(ContactId(40), key(ANNA), story.at);
    let stamped = crate::Stamped {
        at: story.at,
        event,
    };
    assert!(!story.ledger.attempted(of, &stamped, story.at));
    assert_eq!(story.ledger.number_for(call.1), None);
    assert_eq!(story.ledger.dialling(), 0);
    story.drain();
    assert!(matches!(story.act(), Some(Act::Stop { .. })));
    assert!(matches!(story.written(), Event::PromiseMissed { .. }));
    assert_eq!(story.stage(promise), Some(PromiseStage::Due));
}

#[test]
fn so_many_at_a_time() {
    let rules = PromiseRules {
        at_work_max: 2,
        dialling_max: 1,
        open_max: 4,
        ..PromiseRules::default()
    };
    let mut story = Story::with(rules, callable());
    for n in 0..4 {
        let mut ask = ask(PromiseKind::Hold, None);
        ask.number = PhoneNumber(format!("+1503555020{n}"));
        story.promise_to(ContactId(n), ask, false, false);
        story.at += 1;
    }
    let full = story.ledger.plan(
        &ask(PromiseKind::Hold, None),
        MAKER,
        story.at,
        (None, None),
        story.at,
    );
    assert_eq!(full, None);
    let calls: Vec<_> = std::mem::take(&mut story.acts)
        .into_iter()
        .filter_map(|act| match act {
            Act::Call(call) => Some(call),
            _ => None,
        })
        .collect();
    assert_eq!(calls.len(), 2);
    for (n, call) in calls.iter().enumerate() {
        let contact = ContactId(50 + n as u64);
        assert!(
            story
                .ledger
                .begun(call.promise, call.attempt, contact, story.at)
        );
    }
    assert!(story.ledger.may_dial(ContactId(50), story.at).is_some());
    // One at a time: the second is put off, and whoever waits longest has its place.
    assert_eq!(story.ledger.may_dial(ContactId(51), story.at), None);
    story.drain();
    let (call, _) = story.begun();
    assert_eq!(call.promise, PromiseId(3));
    story.silence();
}

#[test]
fn a_contact_that_nobody_makes_is_asked_for_again_and_then_later() {
    let mut story = Story::new();
    let promise = story.promise(ask(PromiseKind::Hold, None));
    story.acts.pop_front();
    story.wait(29_999);
    let asked: Vec<_> = std::mem::take(&mut story.acts).into();
    assert_eq!(asked.len(), 15);
    assert!(asked.windows(2).all(|pair| pair[0] == pair[1]));
    story.wait(2_001);
    assert_eq!(story.act().as_ref(), asked.first());
    assert!(matches!(story.act(), Some(Act::Stop { .. })));
    story.silence();
    story.wait(MINUTE);
    let (call, contact) = story.begun();
    assert!(Act::Call(call) != asked[0]);
    story.dials(contact);
    assert!(matches!(
        story.stage(promise),
        Some(PromiseStage::Attempting { .. })
    ));
}

#[test]
fn no_longer_wanted_and_moved() {
    let mut story = Story::new();
    let promise = story.promise(ask(PromiseKind::Hold, None));
    story.acts.pop_front();
    let (_, contact) = story.begun();
    story.dials(contact);
    let window = Span {
        from: EIGHT + 2 * HOUR,
        to: EIGHT + 3 * HOUR,
    };
    assert!(
        story
            .ledger
            .word(promise, PromiseWord::Move(window), story.at)
    );
    story.drain();
    assert!(matches!(story.act(), Some(Act::Stop { .. })));
    assert!(matches!(story.written(), Event::PromiseMissed { .. }));
    assert_eq!(story.written(), Event::PromiseMoved { promise, window });
    story.wait(2 * HOUR);
    assert_eq!(story.written(), Event::PromiseDue { promise });
    let (_, contact) = story.begun();
    let attempt = story.dials(contact);
    story.ledger.released(contact, story.at);
    story.drain();
    let proof = Proof::Released { attempt };
    assert_eq!(story.written(), Event::PromiseClosed { promise, proof });
}

/// The hours end while it waits for an agent: it goes on in the morning, at its place.
#[test]
fn the_desk_closes_meanwhile() {
    let mut story = Story::new();
    story.at = EIGHT + 8 * HOUR;
    let since = story.at;
    let promise = story.promise(ask(PromiseKind::Hold, None));
    assert_eq!(story.written(), Event::PromiseDue { promise });
    story.begun();
    story.wait(HOUR);
    assert!(matches!(story.act(), Some(Act::Stop { .. })));
    story.wait(15 * HOUR - 1);
    story.acts.retain(|act| !matches!(act, Act::Write(..)));
    story.silence();
    story.wait(1);
    let (call, _) = story.begun();
    assert_eq!(call.since, since);
}

#[test]
fn whom_a_crash_cut_off() {
    let mut facts = crate::Facts::default();
    assert_eq!(cut_off(PromiseId(1), MAKER, &facts, EIGHT), None);
    for event in [
        Event::ContactQueued {
            contact: MAKER,
            queue: QUEUE,
        },
        Event::ContactOffered {
            contact: MAKER,
            agent: AgentId(1),
        },
    ] {
        facts.apply(&crate::Stamped { at: 5, event });
        let made = cut_off(PromiseId(1), MAKER, &facts, EIGHT).expect("they waited");
        let (promise, facts) = PromiseFacts::created(&made).expect("a promise");
        assert_eq!(
            (promise, facts.since, facts.queue),
            (PromiseId(1), 5, QUEUE)
        );
        assert_eq!(facts.kind, PromiseKind::Hold);
    }
}

#[test]
fn a_promise_that_is_closed_stays_closed() {
    let mut facts = PromiseFacts {
        stage: PromiseStage::Closed {
            proof: Proof::Attested { agent: AgentId(1) },
            at: 1,
        },
        ..PromiseFacts::created(&Event::PromiseCreated {
            promise: PromiseId(1),
            contact: MAKER,
            kind: PromiseKind::Hold,
            queue: QUEUE,
            class: Role::Staff,
            since: 0,
            window: Span { from: 0, to: 1 },
            first: First::Agent,
            ticket: None,
            person: None,
        })
        .unwrap()
        .1
    };
    let closed = facts;
    let promise = PromiseId(1);
    let events: smallvec::SmallVec<[Event; 2]> = smallvec![
        Event::PromiseDue { promise },
        Event::PromiseMoved {
            promise,
            window: Span { from: 5, to: 6 },
        },
    ];
    for event in events {
        facts.apply(&crate::Stamped { at: 9, event });
        assert_eq!(facts, closed);
    }
}
