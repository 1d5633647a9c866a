//! How much does the store cost? Writes journeys of eight events, as calls
//! with a ticket give them, and prints rates and CPU per event and per call.
//!
//! `store_load [sqlite|postgres] [CALLS] [COMMITS_IN_FLIGHT] [COMMITS_PER_CALL] [CALLS_PER_SECOND]`
//! (sqlite, 20000, 300, 3, unlimited)

mod filling;

use std::time::Duration;

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
            std::thread::sleep(due.saturating_sub(filling.elapsed()));
        }
    }
    let cost = filling.finish();
    let (commits, transactions) = (cost.commits, cost.transactions);
    println!(
        "{database}: {calls} calls, {commits} commits in {transactions} transactions ({:.0} commits each), {} failed",
        commits as f64 / transactions as f64,
        cost.failed
    );
    let a_second = |count: u64| count as f64 / cost.elapsed.as_secs_f64();
    println!(
        "{:.0} events/s, {:.0} calls/s, {:.0} commits/s",
        a_second(cost.events),
        a_second(calls),
        a_second(commits)
    );
    let (ours, theirs) = cost.cpu_us();
    let calls_events = cost.events as f64 / calls as f64;
    println!(
        "CPU an event {ours:.1} µs (making the load included) and {theirs:.1} µs of the database's server; \
         a call {:.1} and {:.1} µs",
        ours * calls_events,
        theirs * calls_events
    );
    println!(
        "answered after p50 {:.1?}, p99 {:.1?}, at most {:.1?}",
        cost.wait(0.5),
        cost.wait(0.99),
        cost.wait(1.0)
    );
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
    filling::at(1_700_000_000_000 + call as i64, events)
}
