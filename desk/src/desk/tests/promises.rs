//! Callbacks: durable before they are spoken, and before anybody is dialled.

use super::*;
use crate::message::AttemptId;
use crate::promises::{
    CallbackStep, First, Missed, PromiseAsk, PromiseFacts, PromiseKind, PromiseNumber, Proof,
};
use crate::{Callback, Role};

const BELL: &str = "+15035550190";
const WORK: ContactId = ContactId(70);
const LATER: ContactId = ContactId(71);

fn hold() -> What {
    What::Promise(PromiseAsk {
        number: phone(BELL),
        kind: PromiseKind::Hold,
        queue: QueueId(4),
        class: Role::Staff,
        since: None,
        window: None,
        first: First::Agent,
    })
}

/// Everything that was committed, as a store keeps it.
#[derive(Default)]
struct Disk {
    events: Vec<Stamped>,
    numbers: Vec<PromiseNumber>,
}

impl Disk {
    /// What the next desk is told.
    fn known(&self) -> Vec<KnownPromise> {
        let mut known: Vec<KnownPromise> = Vec::new();
        for stamped in &self.events {
            if let Some((promise, facts)) = PromiseFacts::created(&stamped.event) {
                let theirs = |number: &&PromiseNumber| number.promise == promise;
                let number = self.numbers.iter().find(theirs).map(|n| n.number.clone());
                known.push(KnownPromise {
                    promise,
                    facts,
                    number,
                });
            } else if let Some(promise) = stamped.event.promise() {
                let of = known.iter_mut().find(|known| known.promise == promise);
                of.expect("created before").facts.apply(stamped);
            }
        }
        known
    }

    fn last(&self) -> Option<Event> {
        let mut promises = self.events.iter().rev().map(|stamped| stamped.event);
        promises.find(|event| event.promise().is_some())
    }
}

impl Story {
    fn of(&mut self, contact: ContactId, what: What) -> u64 {
        self.commands += 1;
        self.again(self.commands, 1, contact, what);
        self.commands
    }

    /// Everything that is to be written is.
    fn write_all(&mut self, disk: &mut Disk) {
        self.wait(200);
        while let Some(commit) = self.commits.pop_front() {
            disk.events.extend(&commit.events);
            disk.numbers.extend(commit.numbers);
            self.input(Input::Committed { id: commit.id });
        }
    }

    /// A caller waits, is promised a callback, and hangs up.
    fn promised(&mut self, disk: &mut Disk) -> PromiseId {
        self.start_from(CONTACT, BELL);
        self.journey(Journey::Queued { queue: QueueId(4) });
        self.send(hold());
        self.write_all(disk);
        let promise = match self.answers.pop_front().map(|answer| answer.reply) {
            Some(Reply::Promised { promise, .. }) => promise,
            other => panic!("{other:?}"),
        };
        self.journey(Journey::FlowOut);
        self.journey(Journey::Ended {
            cause: EndCause::FlowEnded,
        });
        self.write_all(disk);
        promise
    }

    fn start_from(&mut self, contact: ContactId, number: &str) {
        let ani = Some(phone(number));
        let dnis = phone("+15035550000");
        let flow = None;
        self.of(contact, What::Start { dnis, ani, flow });
        self.expect(Reply::Started);
    }

    /// The calls are asked for a contact.
    #[track_caller]
    fn asked(&mut self) -> Callback {
        match self.others.pop_front() {
            Some(Output::Callback(callback)) => callback,
            other => panic!("{other:?}"),
        }
    }

    fn begun(&mut self, call: &Callback, contact: ContactId) {
        let step = CallbackStep::Begun {
            promise: call.promise,
            attempt: call.attempt,
        };
        self.of(contact, What::Callback(step));
        self.expect(Reply::Noted);
    }

    /// A contact that has leave to dial.
    fn dialled(&mut self, disk: &mut Disk) -> AttemptId {
        let call = self.asked();
        self.begun(&call, WORK);
        self.of(WORK, What::Callback(CallbackStep::Dial));
        self.write_all(disk);
        let number = phone(BELL);
        self.expect(Reply::Dial { number });
        call.attempt
    }

    fn step(&mut self, step: CallbackStep) {
        self.of(WORK, What::Callback(step));
        self.expect(Reply::Noted);
    }
}

#[test]
fn a_promise_is_spoken_when_it_is_on_disk() {
    let mut story = Story::new(Limits::default());
    story.start_from(CONTACT, BELL);
    let id = story.send(hold());
    story.again(id, 1, CONTACT, hold());
    story.silence();
    assert_eq!(story.commit(true), ["contact.started"]);
    story.silence();
    let commit = story.commits.front().expect("the promise").clone();
    assert_eq!(commit.numbers.len(), 1);
    // Nobody's number is in the log, nor in what is printed of a commit.
    let mut log = Vec::new();
    for stamped in &commit.events {
        stamped.event.encode(&mut log);
    }
    let log = String::from_utf8(log).unwrap();
    let printed = format!("{commit:?} {:?}", story.desk);
    assert!(!log.contains("5550190") && !printed.contains("5550190"));
    assert_eq!(story.commit(true), ["promise.created"]);
    let promised = |story: &mut Story| match story.answers.pop_front().map(|a| a.reply) {
        Some(Reply::Promised {
            promise,
            window: Some(window),
        }) => (promise, window),
        other => panic!("{other:?}"),
    };
    let first = promised(&mut story);
    assert_eq!(first.1.from, story.now.as_millis() as i64);
    // A repetition, and another of the same contact's: the same promise.
    story.again(id, 1, CONTACT, hold());
    assert_eq!(promised(&mut story), first);
    story.send(hold());
    assert_eq!(promised(&mut story), first);
    assert_eq!(story.desk.load().promises_open, 1);
    // Whoever was promised something is still on the line.
    assert_eq!(story.others, []);
}

#[test]
fn what_isnt_on_disk_is_no_promise() {
    let mut story = Story::new(Limits::default());
    story.start_from(CONTACT, BELL);
    story.send(hold());
    story.commit(true);
    assert_eq!(story.commit(false), ["promise.created"]);
    story.expect(Reply::Failed);
    story.wait(10_000);
    story.no_commit();
    assert_eq!(story.desk.load().promises_open, 0);
    // The next is another.
    story.send(hold());
    story.commit(true);
    assert!(matches!(
        story.answers.pop_front().map(|a| a.reply),
        Some(Reply::Promised { promise, .. }) if promise == PromiseId(2)
    ));
    // A number that is none.
    story.start_from(LATER, BELL);
    let What::Promise(ask) = hold() else { return };
    let number = phone("extension four");
    story.of(LATER, What::Promise(PromiseAsk { number, ..ask }));
    story.expect(Reply::Failed);
}

/// The caller was told that it couldn't be done, and it was: who hangs up is called back all the same.
#[test]
fn a_late_promise_stands() {
    let mut story = Story::new(Limits::default());
    story.start_from(CONTACT, BELL);
    story.send(hold());
    story.commit(true);
    story.wait(1_499);
    story.silence();
    story.wait(1);
    story.expect(Reply::Failed);
    story.commit(true);
    story.silence();
    assert_eq!(story.desk.load().promises_open, 1);
    story.journey(Journey::Ended {
        cause: EndCause::CallerHungUp,
    });
    assert!(matches!(
        story.others.pop_front(),
        Some(Output::Callback(_))
    ));
}

#[test]
fn called_back_reached_and_closed() {
    let (mut story, mut disk) = (Story::new(Limits::default()), Disk::default());
    let promise = story.promised(&mut disk);
    let call = story.asked();
    assert_eq!((call.promise, call.queue), (promise, QueueId(4)));
    assert_eq!(call.since, 100_000, "the place in the queue");
    // Asked for again until it is begun.
    story.wait(2_000);
    assert_eq!(story.asked(), call);
    story.begun(&call, WORK);
    story.wait(60_000);
    assert_eq!(story.others, []);
    let dial = story.of(WORK, What::Callback(CallbackStep::Dial));
    story.again(dial, 1, WORK, What::Callback(CallbackStep::Dial));
    story.silence();
    story.write_all(&mut disk);
    let number = phone(BELL);
    story.expect(Reply::Dial { number });
    story.step(CallbackStep::Reached);
    story.of(
        WORK,
        What::Journey(Journey::Connected { agent: AgentId(9) }),
    );
    story.expect(Reply::Noted);
    story.write_all(&mut disk);
    let attempt = call.attempt;
    let proof = Proof::Key { attempt };
    assert_eq!(disk.last(), Some(Event::PromiseClosed { promise, proof }));
    assert_eq!(story.desk.load().promises_open, 0);
    // A late repetition gets no number any more.
    let cause = EndCause::AgentHungUp;
    story.of(WORK, What::Journey(Journey::Ended { cause }));
    story.expect(Reply::Noted);
    story.again(dial, 1, WORK, What::Callback(CallbackStep::Dial));
    story.expect(Reply::CallbackOff);
}

#[test]
fn nobody_is_dialled_without_a_trace() {
    let (mut story, mut disk) = (Story::new(Limits::default()), Disk::default());
    story.promised(&mut disk);
    let call = story.asked();
    story.begun(&call, WORK);
    story.of(WORK, What::Callback(CallbackStep::Dial));
    story.silence();
    assert!(
        story
            .commit(false)
            .contains(&"promise.attempted".to_owned())
    );
    story.expect(Reply::CallbackOff);
    // Too late is no leave either, although it comes to be on disk.
    story.wait(61_000);
    let call = story.asked();
    story.begun(&call, LATER);
    story.of(LATER, What::Callback(CallbackStep::Dial));
    story.wait(1_500);
    story.expect(Reply::CallbackOff);
    story.write_all(&mut disk);
    story.write_all(&mut disk);
    story.silence();
    assert!(matches!(
        disk.last(),
        Some(Event::PromiseMissed { why: Missed::Interrupted, attempt, .. }) if attempt == call.attempt
    ));
    assert!(disk.known()[0].facts.stage.attempt().is_none());
}

/// `kill -9` between the promise and its confirmation, and in the middle of an attempt.
#[test]
fn a_promise_outlives_the_process() {
    let (mut story, mut disk) = (Story::new(Limits::default()), Disk::default());
    story.start_from(CONTACT, BELL);
    story.send(hold());
    // On disk, and nobody was told.
    let commits: Vec<_> = story.commits.drain(..).collect();
    for commit in commits {
        disk.events.extend(&commit.events);
        disk.numbers.extend(commit.numbers);
    }
    let again = |disk: &Disk| {
        let mut setup = setup(Limits::default());
        setup.tenants[0].promises.known = disk.known();
        setup.tenants[0].promises.next = PromiseId(2);
        let mut story = Story::new(Limits::default());
        story.desk = Desk::new(setup);
        story.now = Duration::from_secs(500);
        // Nothing is done before somebody has told the time.
        story.wait(10_000);
        assert_eq!(story.others, []);
        story.input(Input::Service(Service {
            tenant: TenantId(1),
            at: story.now.as_millis() as i64,
            begins: true,
        }));
        story
    };
    let mut story = again(&disk);
    let first = story.dialled(&mut disk);
    // Once more, while the telephone rings.
    let mut story = again(&disk);
    let second = story.dialled(&mut disk);
    assert_ne!(first, second);
    let mut attempts = disk.events.iter().map(|stamped| stamped.event);
    assert!(attempts.any(|event| matches!(
        event,
        Event::PromiseMissed { attempt, why: Missed::Interrupted, .. } if attempt == first
    )));
    // A contact of before the crash is nobody's.
    story.of(LATER, What::Callback(CallbackStep::Dial));
    story.expect(Reply::CallbackOff);
    story.step(CallbackStep::Released);
    story.write_all(&mut disk);
    assert!(disk.known()[0].facts.stage.is_closed());
    assert_eq!(again(&disk).others, []);
}

/// What has happened to a promise is written until it is, however often the store fails.
#[test]
fn nothing_of_a_promise_becomes_a_gap() {
    let limits = Limits {
        retries_max: 1,
        events_waiting_per_tenant_max: 1,
        ..Limits::default()
    };
    let (mut story, mut disk) = (Story::new(limits), Disk::default());
    story.promised(&mut disk);
    story.dialled(&mut disk);
    story.step(CallbackStep::Reached);
    story.step(CallbackStep::Released);
    for _ in 0..50 {
        story.wait(1_000);
        while let Some(commit) = story.commits.pop_front() {
            story.input(Input::CommitFailed { id: commit.id });
        }
    }
    story.wait(1_000);
    story.write_all(&mut disk);
    assert!(disk.known()[0].facts.stage.is_closed());
    assert!(disk.known()[0].facts.reached_at.is_some());
}

#[test]
fn who_calls_while_being_called_is_served_by_that_call() {
    let (mut story, mut disk) = (Story::new(Limits::default()), Disk::default());
    let promise = story.promised(&mut disk);
    let attempt = story.dialled(&mut disk);
    story.start_from(LATER, "5035550190");
    let contact = Some(WORK);
    assert_eq!(
        story.others.pop_front(),
        Some(Output::CallbackOff { attempt, contact })
    );
    story.of(LATER, What::Journey(Journey::Queued { queue: QueueId(4) }));
    story.of(
        LATER,
        What::Journey(Journey::Connected { agent: AgentId(9) }),
    );
    story.write_all(&mut disk);
    let proof = Proof::CalledIn { contact: LATER };
    assert_eq!(disk.last(), Some(Event::PromiseClosed { promise, proof }));
    assert_eq!(story.others, []);
}

#[test]
fn somebody_of_the_desk_vouches_for_it() {
    let (mut story, mut disk) = (Story::new(Limits::default()), Disk::default());
    let promise = story.promised(&mut disk);
    story.others.clear();
    let agent = AgentId(3);
    let says = |tenant, id, promise| {
        Input::Promise(PromiseUpdate {
            id: CommandId(id),
            tenant: TenantId(tenant),
            at: 200_000,
            promise,
            word: PromiseWord::Attest(agent),
        })
    };
    let told = |id, done| {
        let id = CommandId(id);
        Some(Output::PromiseUpdated { id, done })
    };
    // Another hospital has no such promise.
    story.input(says(2, 900, promise));
    assert_eq!(story.others.pop_front(), told(900, false));
    story.input(says(1, 901, promise));
    story.input(says(1, 901, promise));
    // What was being done for it is called off; the word itself counts when it is on disk.
    assert!(matches!(
        story.others.pop_front(),
        Some(Output::CallbackOff { .. })
    ));
    assert_eq!(story.others, []);
    story.write_all(&mut disk);
    assert_eq!(story.others.pop_front(), told(901, true));
    story.input(says(1, 901, promise));
    assert_eq!(story.others.pop_front(), told(901, true));
    story.input(says(1, 902, promise));
    assert_eq!(story.others.pop_front(), told(902, false));
    let proof = Proof::Attested { agent };
    assert_eq!(disk.last(), Some(Event::PromiseClosed { promise, proof }));
}

#[test]
fn another_hospital_cant_take_it() {
    let (mut story, mut disk) = (Story::new(Limits::default()), Disk::default());
    story.promised(&mut disk);
    let call = story.asked();
    let step = CallbackStep::Begun {
        promise: call.promise,
        attempt: call.attempt,
    };
    story.commands += 1;
    story.again(story.commands, 2, WORK, What::Callback(step));
    story.expect(Reply::CallbackOff);
    story.commands += 1;
    story.again(story.commands, 2, WORK, What::Callback(CallbackStep::Dial));
    story.expect(Reply::CallbackOff);
    // Hers it is still.
    story.begun(&call, LATER);
}

#[test]
fn when_somebody_could_be_called() {
    let mut story = Story::new(Limits::default());
    story.start_from(CONTACT, BELL);
    let within = crate::Span {
        from: 200_000,
        to: 900_000,
    };
    story.send(What::PromiseWindows {
        within,
        least_ms: 60_000,
        count: 3,
    });
    story.expect(Reply::Windows(vec![within]));
    let closed = hours::Calendar::read("America/Chicago", [], []).unwrap();
    let desk = Some(crate::Exact {
        calendar: closed,
        exception: None,
    });
    let callable = Callable {
        desk,
        ..Callable::default()
    };
    assert!(story.desk.set_callable(TenantId(1), callable.clone()));
    assert!(!story.desk.set_callable(TenantId(9), callable));
    story.send(What::PromiseWindows {
        within,
        least_ms: 60_000,
        count: 3,
    });
    story.expect(Reply::Windows(vec![]));
    // Promised all the same: to a person, at once.
    story.send(hold());
    story.commit(true);
    assert_eq!(story.commit(true), ["promise.created", "promise.escalated"]);
    assert!(matches!(
        story.answers.pop_front().map(|a| a.reply),
        Some(Reply::Promised { window: None, .. })
    ));
    assert_eq!(story.desk.load().promises_with_person, 1);
}
