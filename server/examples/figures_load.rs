//! How long do figures take? Writes a month of contacts of one hospital, ten
//! events each, then folds them from scratch, and one by one as they are read live.
//!
//! `figures_load [sqlite|postgres] [CONTACTS] [RUNS]` (sqlite, 200000, 3)

mod filling;

use std::time::{Duration, Instant};

use desk::figures::{Figures, Quarter, Service, Settings as Targets};
use desk::{
    AgentId, AgentState, ContactId, EndCause, Event, Found, OfferId, PersonId, QueueId, Role,
    Stamped, TenantId,
};
use filling::{Filling, argument};
use server::store::Reader;

const TENANT: TenantId = TenantId(1);
const MONTH_MS: u64 = 30 * 24 * 3_600_000;
/// 2026-11-01.
const BEGIN: i64 = 1_793_491_200_000;

fn main() {
    let database = argument(1, "sqlite".to_owned());
    let contacts: u64 = argument(2, 200_000).max(1);
    let runs: u64 = argument(3, 3);
    let mut filling = Filling::new(&database, 1_000);
    for contact in 1..=contacts {
        let begin = BEGIN + (contact * MONTH_MS / contacts) as i64;
        filling.write(TENANT, journey(contact, begin), None);
    }
    let cost = filling.finish();
    println!(
        "{database}: {contacts} contacts, {} events, {} MB, written in {:.1?}",
        cost.events,
        filling.size() / 1_000_000,
        cost.elapsed
    );
    println!("{cost}");
    let reader = filling.reader();
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
