//! Incidents: what a restart finds, and what is said of them, which isn't in the log.

use desk::people::Tongue;
use desk::{
    Closing, IncidentBy, IncidentId, IncidentScope, IncidentStage, IncidentText, PromiseId, Role,
    Subscriber, Words,
};

use super::*;

on_both!(what_is_out_of_order_is_found_after_a_restart);

const BELL: &str = "+15035550190";
const SAID: &str = "The health record is down.";

fn said(text: &str) -> IncidentText {
    IncidentText {
        language: Tongue::read("en").unwrap(),
        text: Words::new(text).unwrap(),
        brief: None,
    }
}

fn drafted(incident: u64) -> Event {
    Event::IncidentDrafted {
        incident: IncidentId(incident),
        scope: IncidentScope::default(),
        by: IncidentBy::Alert,
        alert: None,
        expires_at: 900,
    }
}

fn what_is_out_of_order_is_found_after_a_restart(place: &Place) {
    let bench = Bench::open(place, Settings::default());
    assert_eq!(bench.recovered.next_incident(TENANT), IncidentId(1));
    let (one, two) = (IncidentId(1), IncidentId(2));
    let by = IncidentBy::Administrator;
    let contact = ContactId(7);
    let subscriber = Subscriber {
        incident: one,
        contact,
        number: PhoneNumber(BELL.into()),
        queue: QueueId(2),
        class: Role::Staff,
        ticket: None,
        person: None,
    };
    let published = Event::IncidentPublished { incident: one, by };
    let mut made = commit(CommitId(50), TENANT, 100, &[drafted(1), published]);
    made.incidents
        .texts
        .push((one, said("Something is wrong.")));
    // Another text of the same language, in the same group perhaps.
    let updated = Event::IncidentUpdated {
        incident: one,
        by,
        scope: IncidentScope::default(),
        expires_at: 950,
    };
    let mut again = commit(CommitId(51), TENANT, 110, &[updated]);
    again.incidents.texts.push((one, said(SAID)));
    let wish = Event::IncidentSubscribed {
        incident: one,
        contact,
    };
    let ticket = TicketId(4);
    let child = Event::IncidentAttached {
        incident: one,
        ticket,
    };
    let heard = Event::ContactInformed {
        contact,
        incident: one,
    };
    let events = [started(7), heard, wish, child, drafted(2)];
    let mut wished = commit(CommitId(52), TENANT, 120, &events);
    wished.incidents.subscribers.push(subscriber.clone());
    for commit in [made, again, wished] {
        bench.store.submit(commit).unwrap();
    }
    bench.answers(3);
    drop(bench);
    sound(place);
    // Neither what is said nor whom it is said to stands in the log.
    let other = place.other();
    for words in ["5550190", "health record"] {
        let sql = format!("SELECT COUNT(*) FROM event WHERE body LIKE '%{words}%'");
        assert_eq!(other.number(&sql), 0, "{words}");
    }
    assert_eq!(other.number("SELECT COUNT(*) FROM incident_child"), 2);
    drop(other);

    let bench = Bench::open(place, Settings::default());
    assert_eq!(bench.recovered.next_incident(TENANT), IncidentId(3));
    let known = &bench.recovered.incidents[&TENANT];
    assert_eq!(known.len(), 2);
    assert_eq!(known[0].facts.stage, IncidentStage::Published { at: 100 });
    let facts = known[0].facts;
    assert_eq!((facts.informed, facts.subscribed, facts.tickets), (1, 1, 1));
    assert_eq!(facts.expires_at, 950);
    assert_eq!(known[0].texts, [said(SAID)]);
    assert_eq!(known[0].subscribers, [subscriber]);
    assert_eq!(known[1].facts.stage, IncidentStage::Draft);
    let closed = |incident| Event::IncidentClosed {
        incident,
        by,
        why: Closing::Resolved,
    };
    let mut bench = bench;
    bench.write(TENANT, 200, &[closed(one), closed(two)]);
    drop(bench);

    // Over, and somebody is still to be told of it.
    let mut bench = Bench::open(place, Settings::default());
    let known = &bench.recovered.incidents[&TENANT];
    let of: Vec<_> = known.iter().map(|known| known.incident).collect();
    assert_eq!(of, [one]);
    let owed = Event::IncidentOwed {
        incident: one,
        contact,
        promise: PromiseId(1),
    };
    bench.write(TENANT, 210, &[owed]);
    drop(bench);
    let bench = Bench::open(place, Settings::default());
    assert!(bench.recovered.incidents.is_empty());
    drop(bench);
    assert_eq!(
        place
            .other()
            .number("SELECT COUNT(*) FROM incident_subscriber"),
        0
    );
    sound(place);
}
