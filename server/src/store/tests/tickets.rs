//! Tickets' states: what a restart finds, and what the first version's databases become.

use desk::{
    Actor, Clock, Commit, NoteId, NoteText, Pause, Resolution, Stage, TicketEscalation,
    TicketFacts, TicketNote, TicketStatus, TicketWork, Tier, Updated,
};

use super::*;

on_both!(
    what_callers_ask_for_is_found_after_a_restart,
    work_on_tickets_survives_a_restart,
);

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
            warn_at: None,
            by: None,
            change: None,
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
        talked: Some(AgentId(6)),
        queue: Some(QueueId(5)),
        work: TicketWork {
            stage: Stage::Resolved(Resolution {
                at: 200,
                first_contact: false,
            }),
            opened_at: Some(100),
            clock: Some(Clock { due: 77, warn: 77 }),
            again: Some((ContactId(8), 200)),
            repeats: 1,
            ..TicketWork::default()
        },
        ..TicketFacts::opened(number, ContactId(7))
    };
    assert_eq!(known[0].facts, expected);
    assert_eq!(known[0].ani, caller(7).ani);
    // Its caller's row was never written, or has been erased: nobody's.
    assert_eq!(known[1].ani, None);
    assert_eq!(known[1].facts.owner(), Some(AgentId(3)));
}

fn updated(ticket: u64, due: i64, change: Updated) -> Event {
    Event::TicketUpdated {
        ticket: TicketId(ticket),
        status: TicketStatus::Open,
        next_update: Some(due),
        warn_at: Some(due - 10),
        by: Some(Actor::Agent(AgentId(3))),
        change: Some(change),
    }
}

/// What was done to tickets, in one transaction with their opening and in
/// others, is there again; so is what was written down, in a row of its own.
fn work_on_tickets_survives_a_restart(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    bench.write(TENANT, 100, &journey(7, 1));
    let mut at_once = journey(8, 2);
    let to = Some(AgentId(9));
    at_once.push(updated(2, 900, Updated::Assigned { to, why: None }));
    bench.write(TENANT, 200, &at_once);
    let pended = Updated::Pended {
        why: Pause::Vendor,
        until: 600,
        left: None,
    };
    let escalated = Event::TicketEscalated {
        ticket: TicketId(1),
        why: TicketEscalation::UpdateNear,
        from: Tier(1),
        to: Tier(2),
        team: Some(QueueId(4)),
        unwarned: None,
        clock: Clock {
            due: 800,
            warn: 790,
        },
        by: Actor::System,
    };
    bench.write(TENANT, 300, &[updated(1, 800, pended), escalated]);
    let (ticket, into, by) = (TicketId(2), TicketId(1), Actor::Agent(AgentId(3)));
    let merged = Event::TicketMerged { ticket, into, by };
    bench.write(TENANT, 400, &[merged]);
    let note = NoteId(1 << 63 | 5);
    let noted = Event::TicketNoted {
        ticket: into,
        note,
        by,
    };
    let text = NoteText::new("Mrs Bell can't sign in".into()).unwrap();
    let mut commit: Commit = commit(CommitId(60), TENANT, 500, &[noted]);
    let row = TicketNote {
        note,
        ticket: into,
        text: text.clone(),
    };
    commit.notes.push(row.clone());
    bench.store.submit(commit).unwrap();
    bench.answers(1);
    drop(bench);
    sound(place);
    let mut bench = Bench::open(place, Settings::default());
    let known = &bench.recovered.tickets[&TENANT];
    let work = known[0].facts.work;
    assert_eq!(
        (work.tier, work.team, work.warned),
        (Tier(2), Some(QueueId(4)), true)
    );
    assert!(matches!(
        work.stage,
        Stage::Pending {
            why: Pause::Vendor,
            until: 600,
            ..
        }
    ));
    assert_eq!(known[0].facts.next_update(), Some(800));
    assert_eq!(known[1].facts.work.stage, Stage::Merged { into });
    assert_eq!(known[1].facts.owner(), Some(AgentId(9)));
    let reader = place.reader();
    assert_eq!(reader.notes(TENANT, into).unwrap(), [row]);
    assert_eq!(reader.notes(TENANT, ticket).unwrap(), []);
    assert_eq!(reader.notes(TenantId(2), into).unwrap(), []);
    // And what comes later finds it so.
    bench.write(TENANT, 600, &[updated(1, 950, Updated::Resumed)]);
    drop(bench);
    sound(place);
    let bench = Bench::open(place, Settings::default());
    let work = bench.recovered.tickets[&TENANT][0].facts.work;
    assert_eq!((work.stage, work.tier), (Stage::Open, Tier(2)));
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
             ALTER TABLE ticket DROP COLUMN work; DROP TABLE note; DROP TABLE root_key; \
             DROP TABLE person; DROP TABLE person_import; DROP TABLE api_token; \
              DROP TABLE audit; DROP TABLE promise; DROP TABLE promise_number; \
              DROP TABLE consumer; DROP TABLE known_as; DROP TABLE incident; \
              DROP TABLE incident_text; DROP TABLE incident_child; DROP TABLE incident_subscriber; \
              ALTER TABLE contact DROP COLUMN verified; ALTER TABLE contact DROP COLUMN level; DELETE FROM migration WHERE version >= 2",
        )
        .unwrap();
    drop(older);
    // It knows no root key, but its tickets were numbered with one.
    assert!(needs_root_key(&place.database).unwrap());
    let bench = Bench::open(place, Settings::default());
    let facts = bench.recovered.tickets[&TENANT][0].facts;
    assert_eq!(facts.owner(), Some(AgentId(3)));
    assert_eq!(facts.queue, Some(QueueId(2)));
    drop(bench);
    sound(place);
}
