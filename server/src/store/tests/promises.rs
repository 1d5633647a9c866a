//! Promises: what a restart finds, whom a crash cut off, and the numbers that aren't in the log.

use desk::{
    AttemptId, First, PromiseId, PromiseKind, PromiseNumber, PromiseRisk, PromiseStage, Proof,
    Role, Span,
};

use super::*;

on_both!(
    what_is_owed_is_found_after_a_restart,
    whom_a_crash_cut_off_is_called_back
);

const BELL: &str = "+15035550190";

fn created(promise: u64) -> Event {
    Event::PromiseCreated {
        promise: PromiseId(promise),
        contact: ContactId(7),
        kind: PromiseKind::Owned { owner: AgentId(3) },
        queue: QueueId(2),
        class: Role::Patient,
        since: 90,
        window: Span { from: 100, to: 200 },
        first: First::Customer,
        ticket: None,
        person: None,
    }
}

fn making(id: u64, promise: u64) -> Commit {
    let mut made = commit(CommitId(id), TENANT, 100, &[created(promise)]);
    made.numbers.push(PromiseNumber {
        promise: PromiseId(promise),
        number: PhoneNumber(BELL.into()),
    });
    made
}

fn what_is_owed_is_found_after_a_restart(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    assert_eq!(bench.recovered.next_promise(TENANT), PromiseId(1));
    for promise in 1..=3 {
        let made = making(50 + promise, promise);
        bench.store.submit(made).unwrap();
        bench.answers(1);
    }
    let attempt = AttemptId(1_795_442_400_000);
    let (one, two) = (PromiseId(1), PromiseId(2));
    let contact = ContactId(8);
    bench.write(
        TENANT,
        110,
        &[
            Event::PromiseDue { promise: one },
            Event::PromiseAttempted {
                promise: one,
                attempt,
                contact,
            },
            Event::PromiseEscalated {
                promise: two,
                why: PromiseRisk::NumberGone,
            },
            Event::PromiseClosed {
                promise: PromiseId(3),
                proof: Proof::Attested { agent: AgentId(3) },
            },
        ],
    );
    drop(bench);
    sound(place);
    // Erasing is removing a row: the log doesn't know the number.
    let other = place.other();
    assert_eq!(
        other.number("SELECT COUNT(*) FROM event WHERE body LIKE '%5550190%'"),
        0
    );
    other
        .batch("DELETE FROM promise_number WHERE promise = 2")
        .unwrap();
    drop(other);
    let mut bench = Bench::open(place, Settings::default());
    assert_eq!(bench.recovered.next_promise(TENANT), PromiseId(4));
    let owed = &bench.recovered.promises[&TENANT];
    let told: Vec<_> = owed.iter().map(|known| known.promise).collect();
    assert_eq!(told, [one, two], "what is closed isn't owed");
    assert_eq!(owed[0].facts.stage, PromiseStage::Attempting { attempt });
    assert_eq!(owed[0].number, Some(PhoneNumber(BELL.into())));
    assert_eq!(owed[1].facts.stage, PromiseStage::WithPerson);
    assert_eq!(owed[1].number, None);
    // Its row is read again for the next event.
    let closed = Event::PromiseClosed {
        promise: one,
        proof: Proof::Released { attempt },
    };
    bench.write(TENANT, 120, &[closed]);
    drop(bench);
    sound(place);
}

fn whom_a_crash_cut_off_is_called_back(place: &Place) {
    let bench = Bench::open(place, Settings::default());
    let queued = |contact: u64| {
        let contact = ContactId(contact);
        let queue = QueueId(2);
        Event::ContactQueued { contact, queue }
    };
    for (id, contact, ani, waits) in [
        (50, 7, Some(BELL), true),
        (51, 8, None, true),
        (52, 9, Some(BELL), false),
    ] {
        let mut events = vec![started(contact)];
        if waits {
            events.push(queued(contact));
        }
        let mut made = commit(CommitId(id), TENANT, 100, &events);
        made.personal.push(Personal {
            contact: ContactId(contact),
            dnis: PhoneNumber("+15035550000".into()),
            ani: ani.map(|ani| PhoneNumber(ani.into())),
        });
        bench.store.submit(made).unwrap();
    }
    drop(bench);
    let bench = Bench::open(place, Settings::default());
    assert_eq!(bench.recovered.left_open.len(), 3);
    let owed = &bench.recovered.promises[&TENANT];
    assert_eq!(owed.len(), 1, "who waited, and can be called");
    assert_eq!(owed[0].facts.contact, ContactId(7));
    assert_eq!(
        (owed[0].facts.queue, owed[0].facts.since),
        (QueueId(2), 100)
    );
    assert_eq!(owed[0].number, Some(PhoneNumber(BELL.into())));
    drop(bench);
    sound(place);
    // Once: the next start finds it, and makes no second.
    let bench = Bench::open(place, Settings::default());
    assert_eq!(bench.recovered.promises[&TENANT].len(), 1);
}
