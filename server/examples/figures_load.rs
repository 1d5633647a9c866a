//! How long do figures take? Writes a month of contacts of one hospital, ten
//! events each, then folds them from scratch, and one by one as they are read live.
//!
//! `figures_load [CONTACTS] [RUNS]` (200000, 3)

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use desk::figures::{Figures, Quarter, Service, Settings as Targets};
use desk::{
    AgentId, AgentState, Commit, CommitId, ContactId, EndCause, Event, Found, OfferId, PersonId,
    QueueId, Role, Stamped, TenantId,
};
use server::store::{Journal, Reader, Settings, Store};

const TENANT: TenantId = TenantId(1);
const MONTH_MS: u64 = 30 * 24 * 3_600_000;
/// 2026-11-01.
const BEGIN: i64 = 1_793_491_200_000;

fn main() {
    let argument = |place, default: u64| {
        let given = std::env::args().nth(place);
        given.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let contacts = argument(1, 200_000).max(1);
    let runs = argument(2, 3);
    let folder = std::env::temp_dir().join(format!("careline-figures-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let path = folder.join("careline.db");
    let (send, done) = channel();
    let (store, _) = Store::open(&path, Settings::default(), 0, move |group| {
        let _ = send.send(group.len());
    })
    .expect("a database");
    let begun = Instant::now();
    let mut in_flight = 0;
    for contact in 1..=contacts {
        let commit = Commit {
            id: CommitId(contact),
            tenant: TENANT,
            events: journey(contact, BEGIN + (contact * MONTH_MS / contacts) as i64),
            personal: Vec::new(),
        };
        while in_flight >= 1_000 {
            in_flight -= done.recv().expect("the writer");
        }
        store.submit(commit).expect("room in the queue");
        in_flight += 1;
    }
    while in_flight > 0 {
        in_flight -= done.recv().expect("the writer");
    }
    let size = std::fs::metadata(&path).map_or(0, |file| file.len());
    println!(
        "{contacts} contacts, {} events, {} MB, written in {:.1?}",
        contacts * 10,
        size / 1_000_000,
        begun.elapsed()
    );
    let reader = Reader::open(&path).expect("a database");
    for _ in 0..runs {
        let begun = Instant::now();
        let mut figures = Figures::new(Targets::default(), 0);
        while reader
            .read_into(TENANT, &mut figures, 10_000)
            .expect("events")
            > 0
        {}
        let folded = begun.elapsed();
        let begun = Instant::now();
        let mut sum = Service::default();
        for (_, cell) in figures.service(Quarter(0)..Quarter::MAX) {
            sum += cell;
        }
        println!(
            "from scratch {folded:.2?}; the month's sum {:.1?}; {} answered, service level {:.3}",
            begun.elapsed(),
            sum.answered,
            sum.service_level().value().unwrap_or(f64::NAN),
        );
        live(&reader, contacts);
    }
    drop(store);
    let _ = std::fs::remove_dir_all(&folder);
}

/// As it goes: a few events at a time, each a look at the database of its own.
fn live(reader: &Reader, contacts: u64) {
    let events = contacts * 10;
    let tail = events.min(20_000);
    let mut figures = Figures::new(Targets::default(), events - tail);
    let mut looks: Vec<Duration> = Vec::new();
    let begun = Instant::now();
    loop {
        let look = Instant::now();
        if reader.read_into(TENANT, &mut figures, 10).expect("events") == 0 {
            break;
        }
        looks.push(look.elapsed());
    }
    let each = begun.elapsed().as_secs_f64() * 1e6 / tail as f64;
    looks.sort_unstable();
    println!(
        "live, ten events a look: {each:.1} µs an event, a look p99 {:.1?}",
        looks[(looks.len() - 1) * 99 / 100]
    );
}

fn journey(call: u64, begin: i64) -> Vec<Stamped> {
    let (contact, agent, offer) = (ContactId(call), AgentId((call % 40) as u32), OfferId(call));
    let state = |state| Event::AgentStateChanged { agent, state };
    let wait = 1_000 * (call % 37) as i64;
    let talk = 120_000 + 1_000 * (call % 601) as i64;
    let events = [
        (
            0,
            Event::ContactStarted {
                contact,
                flow: None,
                version: None,
            },
        ),
        (
            5,
            Event::ContactIdentified {
                contact,
                found: Found::Person {
                    person: PersonId((call % 5_000) as u32),
                    role: Role::Staff,
                },
            },
        ),
        (
            8_000,
            Event::ContactQueued {
                contact,
                queue: QueueId((1 + call % 4) as u32),
            },
        ),
        (
            8_000 + wait,
            Event::OfferCreated {
                offer,
                contact,
                agent,
            },
        ),
        (8_000 + wait, Event::ContactOffered { contact, agent }),
        (
            9_000 + wait,
            Event::OfferAccepted {
                offer,
                contact,
                agent,
            },
        ),
        (9_000 + wait, Event::ContactConnected { contact, agent }),
        (9_000 + wait, state(AgentState::Talking)),
        (
            9_000 + wait + talk,
            Event::ContactEnded {
                contact,
                cause: EndCause::CallerHungUp,
            },
        ),
        (9_000 + wait + talk, state(AgentState::Available)),
    ];
    let stamped = |(after, event)| Stamped {
        at: begin + after,
        event,
    };
    events.map(stamped).to_vec()
}
