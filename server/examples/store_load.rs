//! How much does the store cost? Writes journeys of eight events, as calls
//! with a ticket give them, and prints rates and CPU per call.
//!
//! `store_load [CALLS] [COMMITS_IN_FLIGHT] [COMMITS_PER_CALL] [CALLS_PER_SECOND]`
//! (20000, 300, 3, unlimited)

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use desk::{
    AgentId, Commit, CommitId, ContactId, EndCause, Event, Found, OfferId, Personal, PhoneNumber,
    QueueId, Stamped, TenantId, TicketId, TicketNumber,
};
use nix::sys::resource::{UsageWho, getrusage};
use server::store::{Done, Journal, Reader, Settings, Store};

fn main() {
    let argument = |place, default| {
        let given = std::env::args().nth(place);
        given.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let calls: u64 = argument(1, 20_000);
    let in_flight_max: u64 = argument(2, 300);
    let commits_per_call = argument(3, 3) as usize;
    let calls_per_second: u64 = argument(4, 0);

    let folder = std::env::temp_dir().join(format!("careline-load-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let path = folder.join("careline.db");
    let (send, done) = channel();
    let (store, _) = Store::open(&path, Settings::default(), 0, move |group| {
        let _ = send.send((Instant::now(), group));
    })
    .expect("a database");

    let cpu_before = cpu();
    let begin = Instant::now();
    let (mut in_flight, mut groups, mut failed, mut id) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut sent_at = Vec::with_capacity(calls as usize * commits_per_call);
    let mut waits = Vec::with_capacity(sent_at.capacity());
    let mut take = |(at, group): (Instant, Vec<Done>), sent_at: &[Instant]| {
        groups += 1;
        for one in &group {
            match one {
                Done::Committed(id) => waits.push(at - sent_at[id.0 as usize]),
                Done::Failed(_) => failed += 1,
            }
        }
        group.len() as u64
    };
    // Fifty calls run side by side: each part of one comes after the same part of the others.
    for first in (1..=calls).step_by(50) {
        let side_by_side: Vec<_> = (first..first + 50).map(journey).collect();
        for part in 0..commits_per_call {
            for (contact, events) in (first..).zip(&side_by_side) {
                while in_flight >= in_flight_max {
                    in_flight -= take(done.recv().expect("the writer"), &sent_at);
                }
                let share = events.len().div_ceil(commits_per_call);
                let events = events.chunks(share).nth(part).unwrap_or_default().to_vec();
                let personal = (part == 0).then(|| Personal {
                    contact: ContactId(contact),
                    dnis: PhoneNumber("+15035550000".into()),
                    ani: Some(PhoneNumber("+15035550101".into())),
                });
                let commit = Commit {
                    id: CommitId(id),
                    tenant: TenantId((contact % 2) as u32),
                    events,
                    personal: personal.into_iter().collect(),
                };
                sent_at.push(Instant::now());
                store.submit(commit).expect("room in the queue");
                id += 1;
                in_flight += 1;
            }
        }
        if calls_per_second > 0 {
            let due = Duration::from_secs_f64(first as f64 / calls_per_second as f64);
            std::thread::sleep(due.saturating_sub(begin.elapsed()));
        }
    }
    while in_flight > 0 {
        in_flight -= take(done.recv().expect("the writer"), &sent_at);
    }
    let elapsed = begin.elapsed();
    let used = cpu() - cpu_before;
    waits.sort_unstable();
    let wait = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    println!(
        "{calls} calls, {id} commits in {groups} transactions ({:.0} commits each), {failed} failed",
        id as f64 / groups as f64
    );
    println!(
        "{:.0} calls/s, {:.0} commits/s, {:.1} µs CPU a call (making the load included)",
        calls as f64 / elapsed.as_secs_f64(),
        id as f64 / elapsed.as_secs_f64(),
        used.as_secs_f64() * 1e6 / calls as f64
    );
    println!(
        "answered after p50 {:.1?}, p99 {:.1?}, at most {:.1?}",
        wait(0.5),
        wait(0.99),
        wait(1.0)
    );
    let size = std::fs::metadata(&path).map_or(0, |file| file.len());
    println!("{} bytes a call on disk", size / calls);
    drop(store);
    let verified = Reader::open(&path).and_then(|reader| reader.verify());
    println!("{verified:?}");
    let _ = std::fs::remove_dir_all(&folder);
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
    let at = 1_700_000_000_000 + call as i64;
    events.map(|event| Stamped { at, event }).to_vec()
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("resource usage");
    let time = |t: nix::sys::time::TimeVal| {
        Duration::from_secs(t.tv_sec() as u64) + Duration::from_micros(t.tv_usec() as u64)
    };
    time(usage.user_time()) + time(usage.system_time())
}
