//! A process killed in the middle of writing: whatever it was told is on disk
//! must be there.
//!
//! The test runs itself again as a child, which writes and prints each
//! acknowledged commit, until it is killed without warning.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::*;

on_both!(what_was_acknowledged_survives_a_kill);

const CHILD: &str = "CARELINE_STORE_CHILD";
const ROUNDS: usize = 6;

fn what_was_acknowledged_survives_a_kill(place: &Place) {
    if let Some(path) = std::env::var_os(CHILD) {
        return write_until_killed(path.into_string().unwrap());
    }
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg(format!(
                "store::tests::killed::{}::what_was_acknowledged_survives_a_kill",
                place.module()
            ))
            .env(CHILD, &place.address)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let enough = acknowledged.len() + 150 + 97 * round;
        let ticket = |line: std::io::Result<String>| {
            let line = line.ok()?;
            line.strip_prefix("told ")?.parse::<u64>().ok()
        };
        while acknowledged.len() < enough {
            let line = lines.next().expect("the child writes until it is killed");
            acknowledged.extend(ticket(line));
        }
        child.kill().unwrap();
        // What it had said before it died counts too.
        acknowledged.extend(lines.filter_map(ticket));
        child.wait().unwrap();

        let bench = Bench::open(place, Settings::default());
        let next = bench.recovered.next_ticket(TENANT).0;
        assert!(acknowledged.iter().all(|ticket| *ticket < next));
        drop(bench);
        sound(place);
        let reader = place.reader();
        for ticket in &acknowledged {
            let number = TicketNumber::mint(&[4; 32], TicketId(*ticket)).unwrap();
            let row = reader.ticket(TENANT, number).unwrap();
            assert!(row.is_some(), "ticket {ticket} was told and is lost");
        }
    }
}

fn write_until_killed(address: String) {
    let place = Place::at(address);
    let (send, done) = channel();
    let opened = Store::open(&place.database, Settings::default(), 1, move |group| {
        let _ = send.send(group);
    });
    let (store, recovered) = opened.unwrap();
    let first = recovered.next_ticket(TENANT).0;
    let mut out = std::io::stdout();
    writeln!(out).unwrap();
    let mut waiting = 0;
    for ticket in first.. {
        let events = &journey(ticket, ticket)[..1 + (ticket % 10) as usize];
        let mut events = events.to_vec();
        if ticket % 10 < 3 {
            events.push(opened_ticket(ticket));
        }
        store
            .submit(commit(CommitId(ticket), TENANT, 1, &events))
            .unwrap();
        waiting += 1;
        // Up to forty at a time, so that groups form.
        while waiting > 40 {
            for one in done.recv().unwrap() {
                let Done::Committed(CommitId(ticket)) = one else {
                    panic!("a commit failed");
                };
                writeln!(out, "told {ticket}").unwrap();
                waiting -= 1;
            }
        }
    }
}

fn opened_ticket(ticket: u64) -> Event {
    super::opened(ticket, ticket)
}
