//! Figures and the store: after a kill, today's figures as they go are what the
//! log says from its beginning, by the fold and by the second computation.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use desk::AgentState;
use desk::figures::Figures;

use super::*;
use crate::config::HelpDesk;
use crate::figures::{Live, Waker};
use crate::node::wall;
use crate::report;

#[path = "../../../../desk/tests/figures/naive.rs"]
mod naive;

on_both!(
    after_a_kill_todays_figures_are_those_of_the_log,
    a_place_in_the_log_is_found_by_time,
    a_report_is_read_while_the_store_writes
);

const CHILD: &str = "CARELINE_FIGURES_CHILD";
const ROUNDS: usize = 4;

fn demo() -> HelpDesk {
    HelpDesk::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo")).unwrap()
}

/// A call's events up to its length, each a second after the other; the third waits in vain.
fn call(contact: u64, length: usize) -> Vec<Stamped> {
    let id = ContactId(contact);
    let (queue, agent) = (
        QueueId(1 + (contact % 3) as u32),
        AgentId(1 + (contact % 4) as u32),
    );
    let abandons = contact.is_multiple_of(3);
    let taken = match abandons {
        true => Event::ContactAbandoned { contact: id },
        false => Event::ContactConnected { contact: id, agent },
    };
    let offer = OfferId(contact);
    let events = [
        started(contact),
        Event::ContactIdentified {
            contact: id,
            found: Found::Person {
                person: PersonId(contact as u32 % 9),
                role: Role::Staff,
            },
        },
        Event::ContactQueued { contact: id, queue },
        Event::OfferCreated {
            offer,
            contact: id,
            agent,
        },
        taken,
        Event::AgentStateChanged {
            agent,
            state: AgentState::Talking,
        },
        ended(contact),
        Event::ContactWrappedUp {
            contact: id,
            agent,
            ms: 3_000,
        },
    ];
    let begin = wall();
    let stamped = |(place, event): (i64, Event)| Stamped {
        at: begin + place * 1_000,
        event,
    };
    (0..).zip(events).map(stamped).take(length).collect()
}

fn the_whole_log(reader: &Reader) -> Vec<Stamped> {
    let mut log = Vec::new();
    loop {
        let more = reader
            .events_after(TENANT, log.len() as u64, 10_000)
            .unwrap();
        if more.is_empty() {
            return log;
        }
        log.extend(more.into_iter().map(|logged| logged.stamped));
    }
}

fn after_a_kill_todays_figures_are_those_of_the_log(place: &Place) {
    if let Some(path) = std::env::var_os(CHILD) {
        return write_until_killed(path.into_string().unwrap());
    }
    let demo = demo();
    for round in 1..=ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg(format!(
                "store::tests::figures::{}::after_a_kill_todays_figures_are_those_of_the_log",
                place.module()
            ))
            .env(CHILD, &place.address)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines
            .map_while(Result::ok)
            .filter(|line| line.starts_with("told"));
        assert_eq!(told.take(30 * round).count(), 30 * round);
        child.kill().unwrap();
        child.wait().unwrap();

        let waker = Waker::default();
        let wake = waker.committed();
        let (send, done) = channel();
        let opened = Store::open(&place.database, Settings::default(), wall(), move |group| {
            let _ = send.send(group);
            wake();
        });
        let (store, recovered) = opened.unwrap();
        assert!(!recovered.left_open.is_empty(), "killed between two calls");
        let live = Live::start(&place.database, &demo, waker, wall).unwrap();
        // It is kept up while more is written.
        for id in 0..20 {
            let contact = 1_000_000 * round as u64 + id;
            let commit = Commit {
                id: CommitId(id),
                tenant: TENANT,
                events: call(contact, 8),
                personal: Vec::new(),
                notes: Vec::new(),
                numbers: Vec::new(),
                incidents: desk::IncidentRows::default(),
            };
            store.submit(commit).unwrap();
        }
        let mut written = 0;
        while written < 20 {
            written += done.recv_timeout(Duration::from_secs(20)).unwrap().len();
        }
        let reader = place.reader();
        let log = the_whole_log(&reader);
        let begun = Instant::now();
        while live.last_seq(TENANT) != Some(log.len() as u64) {
            assert!(begun.elapsed() < Duration::from_secs(20), "never kept up");
            std::thread::sleep(Duration::from_millis(10));
        }
        let again = report::fold(&reader, TENANT, demo.targets(), wall()).unwrap();
        let kept_up: Figures = live.figures(TENANT).unwrap();
        assert_eq!(kept_up, again);
        let naive = naive::Naive {
            log: &log,
            target_ms: |_| 20_000,
            short_ms: |_| 5_000,
        };
        assert_eq!(naive::folded(&kept_up), naive.lines());
        assert!(kept_up.waiting().is_empty(), "all of them were cut off");
        // What the watcher is told.
        let today = live.today(wall());
        let failed: u64 = today.iter().map(|it| it.service.system_failure).sum();
        assert!(failed > 0 && today.iter().all(|it| it.hospital == "st-anne"));
    }
}

fn write_until_killed(address: String) {
    let place = Place::at(address);
    let (send, done) = channel();
    let opened = Store::open(&place.database, Settings::default(), wall(), move |group| {
        let _ = send.send(group);
    });
    let (store, recovered) = opened.unwrap();
    let mut out = std::io::stdout();
    writeln!(out).unwrap();
    let first = u64::from(recovered.start) << 32;
    for contact in first.. {
        // Every other one is still there when all is over, most of them waiting.
        let length = match contact % 2 {
            0 => 8,
            _ => 2 + (contact % 5) as usize,
        };
        let commit = Commit {
            id: CommitId(contact),
            tenant: TENANT,
            events: call(contact, length),
            personal: Vec::new(),
            notes: Vec::new(),
            numbers: Vec::new(),
            incidents: desk::IncidentRows::default(),
        };
        store.submit(commit).unwrap();
        done.recv().unwrap();
        writeln!(out, "told {contact}").unwrap();
    }
}

fn a_place_in_the_log_is_found_by_time(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    for contact in 1..=100 {
        bench.write(TENANT, contact * 10, &[started(contact as u64)]);
    }
    let reader = place.reader();
    for (at, seq) in [
        (0, 0),
        (10, 0),
        (11, 1),
        (505, 50),
        (510, 50),
        (1_000, 99),
        (9_999, 100),
    ] {
        assert_eq!(reader.seq_before(TENANT, at).unwrap(), seq, "{at}");
    }
    assert_eq!(reader.seq_before(TenantId(7), 500).unwrap(), 0);
    assert_eq!(reader.tenants().unwrap(), [(TENANT, 100)]);
}

/// 2026-11-22, 23:00 in Springfield (America/Chicago), a Sunday; UTC says Monday.
const LATE: i64 = 1_795_410_000_000;

fn a_report_is_read_while_the_store_writes(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    let (ana, queue) = (AgentId(1), QueueId(1));
    for (contact, at, waits) in [
        (1, LATE, 5_000),
        (2, LATE + 60_000, 40_000),
        (3, LATE + 3_600_000, 0),
    ] {
        let id = ContactId(contact);
        bench.write(
            TENANT,
            at,
            &[
                started(contact),
                Event::ContactQueued { contact: id, queue },
            ],
        );
        bench.write(
            TENANT,
            at + waits,
            &[Event::ContactConnected {
                contact: id,
                agent: ana,
            }],
        );
        let wrapped_up = Event::ContactWrappedUp {
            contact: id,
            agent: ana,
            ms: 10_000,
        };
        bench.write(TENANT, at + waits + 90_000, &[ended(contact), wrapped_up]);
    }
    // The other hospital has its own.
    let other = [
        started(9),
        Event::ContactQueued {
            contact: ContactId(9),
            queue,
        },
    ];
    bench.write(TenantId(2), LATE, &other);
    bench.write(
        TenantId(2),
        LATE + 1_000,
        &[Event::ContactAbandoned {
            contact: ContactId(9),
        }],
    );

    let demo = demo();
    let reader = place.reader();
    let ask = |hospital: Option<usize>, by, from, to| {
        let question = report::Question {
            hospital: hospital.map(|place| &demo.hospitals[place]),
            from: Some(from),
            to: Some(to),
            by,
            now: LATE + 86_400_000,
        };
        report::report(&reader, &demo, &question).unwrap()
    };
    let row = |table: &report::Table, name: &str, keys: &[&str]| {
        let json: serde_json::Value = serde_json::from_str(&table.json()).unwrap();
        let rows = json["rows"].as_array().unwrap().clone();
        let found = rows.into_iter().find(|row| row[table.by] == name).unwrap();
        keys.iter()
            .map(|key| found[*key].to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let keys = [
        "queued",
        "answered",
        "answered_in_target",
        "service_level",
        "asa_s",
        "aht_s",
    ];
    use report::By;
    let days = ask(Some(0), By::Day, "2026-11-22", "2026-11-23");
    assert_eq!(row(&days, "2026-11-22", &keys), "2 2 1 0.5 22.5 100.0");
    assert_eq!(row(&days, "2026-11-23", &keys), "1 1 1 1.0 0.0 100.0");
    let hours = ask(Some(0), By::Hour, "2026-11-22", "2026-11-22");
    assert_eq!(hours.rows.len(), 24);
    assert_eq!(row(&hours, "2026-11-22 23:00 -06:00", &keys[..1]), "2");
    assert_eq!(
        row(&hours, "2026-11-22 22:00 -06:00", &keys),
        "0 0 0 null null null"
    );
    let queues = ask(Some(0), By::Queue, "2026-11-22", "2026-11-23");
    assert_eq!(row(&queues, "clinical", &keys[..2]), "3 3");
    assert_eq!(row(&queues, "service", &keys[..4]), "0 0 0 null");
    let analysts = ask(Some(0), By::Analyst, "2026-11-22", "2026-11-23");
    assert_eq!(
        row(
            &analysts,
            "Ana Reyes",
            &["conversations", "talk_s", "occupancy"]
        ),
        "3 270.0 null"
    );
    // Each hospital has its own, and both have the operator's.
    let all = ask(None, By::Hospital, "2026-11-22", "2026-11-23");
    let other = &demo.hospitals[1].name;
    assert_eq!(
        row(
            &all,
            other,
            &["queued", "abandoned", "abandoned_short", "service_level"]
        ),
        "1 1 1 null"
    );
    assert_eq!(
        row(&all, &demo.hospitals[0].name, &["queued", "contacts"]),
        "3 3"
    );
    assert!(all.rows.iter().all(|row| row.complete));
    let gap = Event::JournalGap {
        count: 2,
        from: LATE + 3_600_000,
        to: LATE + 3_600_500,
    };
    bench.write(TENANT, LATE + 3_700_000, &[gap]);
    let days = ask(Some(0), By::Day, "2026-11-22", "2026-11-23");
    assert_eq!(
        days.rows.iter().map(|row| row.complete).collect::<Vec<_>>(),
        [true, false]
    );
    assert!(days.text().contains("2026-11-23 *"));
}
