//! Tickets' states: what a restart finds, and what the first version's databases become.

use desk::{TicketFacts, TicketStatus};

use super::*;

on_both!(what_callers_ask_for_is_found_after_a_restart);

fn caller(contact: u64) -> Personal {
    Personal {
        contact: ContactId(contact),
        dnis: PhoneNumber("+15035550000".into()),
        ani: Some(PhoneNumber("+15035550190".into())),
    }
}

fn what_callers_ask_for_is_found_after_a_restart(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    let mut first = commit(CommitId(50), TENANT, 100, &journey(7, 1));
    first.personal.push(caller(7));
    bench.store.submit(first).unwrap();
    bench.answers(1);
    // A second contact joins it and talks with another agent of another queue.
    let (contact, ticket) = (ContactId(8), TicketId(1));
    let number = TicketNumber::mint(&[4; 32], ticket).unwrap();
    let again = [
        started(8),
        Event::TicketAttached {
            ticket,
            number,
            contact,
        },
        Event::ContactQueued {
            contact,
            queue: QueueId(5),
        },
        Event::ContactConnected {
            contact,
            agent: AgentId(6),
        },
        ended(8),
        Event::TicketUpdated {
            ticket,
            status: TicketStatus::Resolved,
            next_update: Some(77),
        },
    ];
    bench.write(TENANT, 200, &again);
    bench.write(TENANT, 300, &journey(9, 2));
    drop(bench);
    sound(place);
    let bench = Bench::open(place, Settings::default());
    let known = &bench.recovered.tickets[&TENANT];
    let told: Vec<_> = known.iter().map(|known| known.ticket.0).collect();
    assert_eq!(told, [1, 2]);
    let expected = TicketFacts {
        status: TicketStatus::Resolved,
        next_update: Some(77),
        owner: Some(AgentId(6)),
        queue: Some(QueueId(5)),
        ..TicketFacts::opened(number, ContactId(7))
    };
    assert_eq!(known[0].facts, expected);
    assert_eq!(known[0].ani, caller(7).ani);
    // Its caller's row was never written, or has been erased: nobody's.
    assert_eq!(known[1].ani, None);
    assert_eq!(known[1].facts.owner, Some(AgentId(3)));
}

/// A database of version 1 learns from its own log who had which ticket.
#[test]
fn the_first_versions_tickets_get_their_owners() {
    let place = &Place::sqlite();
    let mut bench = Bench::open(place, Settings::default());
    bench.write(TENANT, 100, &journey(7, 1));
    drop(bench);
    let older = place.other();
    older
        .batch(
            "ALTER TABLE ticket DROP COLUMN status; ALTER TABLE ticket DROP COLUMN next_update; \
             ALTER TABLE ticket DROP COLUMN owner; ALTER TABLE ticket DROP COLUMN queue; \
             DROP TABLE root_key; DROP TABLE person; DROP TABLE person_import; DROP TABLE promise; DROP TABLE promise_number; \
             DELETE FROM migration WHERE version >= 2",
        )
        .unwrap();
    drop(older);
    // It knows no root key, but its tickets were numbered with one.
    assert!(needs_root_key(&place.database).unwrap());
    let bench = Bench::open(place, Settings::default());
    let facts = bench.recovered.tickets[&TENANT][0].facts;
    assert_eq!(facts.owner, Some(AgentId(3)));
    assert_eq!(facts.queue, Some(QueueId(2)));
    drop(bench);
    sound(place);
}
