//! How much does the store cost? Writes journeys of eight events, as calls
//! with a ticket give them, and prints rates and CPU per event and per call.
//!
//! `store_load [sqlite|postgres] [CALLS] [COMMITS_IN_FLIGHT] [COMMITS_PER_CALL] [CALLS_PER_SECOND]`
//! (sqlite, 20000, 300, 3, unlimited)

mod filling;

use std::time::{Duration, Instant};

use desk::{
    AgentId, ContactId, EndCause, Event, Found, OfferId, Personal, PhoneNumber, QueueId, Stamped,
    TenantId, TicketId, TicketNumber,
};
use filling::{Filling, argument};

fn main() {
    let database = argument(1, "sqlite".to_owned());
    let calls: u64 = argument(2, 20_000);
    let in_flight_max: u64 = argument(3, 300);
    let commits_per_call: usize = argument(4, 3);
    let calls_per_second: u64 = argument(5, 0);
    let mut filling = Filling::new(&database, in_flight_max);
    let begun = Instant::now();
    // Fifty calls run side by side: each part of one comes after the same part of the others.
    for first in (1..=calls).step_by(50) {
        let side_by_side: Vec<_> = (first..first + 50).map(journey).collect();
        for part in 0..commits_per_call {
            for (contact, events) in (first..).zip(&side_by_side) {
                let share = events.len().div_ceil(commits_per_call);
                let events = events.chunks(share).nth(part).unwrap_or_default().to_vec();
                let personal = (part == 0).then(|| Personal {
                    contact: ContactId(contact),
                    dnis: PhoneNumber("+15035550000".into()),
                    ani: Some(PhoneNumber("+15035550101".into())),
                });
                filling.write(TenantId((contact % 2) as u32), events, personal);
            }
        }
        if calls_per_second > 0 {
            let due = Duration::from_secs_f64(first as f64 / calls_per_second as f64);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
    let cost = filling.finish();
    println!(
        "{database}: {calls} calls of 8 events, {:.0} calls/s",
        calls as f64 / cost.elapsed.as_secs_f64()
    );
    println!("{cost}");
    println!("{} bytes a call on disk", filling.size() / calls);
    println!("{:?}", filling.reader().verify());
}

fn journey(call: u64) -> Vec<Stamped> {
    let (contact, agent, offer) = (ContactId(call), AgentId(3), OfferId(call));
    let ticket = TicketId(call);
    let events = [
        Event::ContactStarted {
            contact,
            flow: None,
            version: None,
        },
        Event::ContactIdentified {
            contact,
            found: Found::Unknown,
        },
        Event::TicketOpened {
            ticket,
            number: TicketNumber::mint(&[4; 32], ticket).expect("enough numbers"),
            contact,
            priority: Some(desk::Priority::P3),
            clock: Some(desk::Clock {
                due: 1_790_028_800_000,
                warn: 1_790_025_200_000,
            }),
        },
        Event::ContactQueued {
            contact,
            queue: QueueId(1),
        },
        Event::OfferCreated {
            offer,
            contact,
            agent,
        },
        Event::ContactOffered { contact, agent },
        Event::ContactConnected { contact, agent },
        Event::ContactEnded {
            contact,
            cause: EndCause::CallerHungUp,
        },
    ];
    let at = 1_700_000_000_000 + call as i64;
    events.map(|event| Stamped { at, event }).to_vec()
}
