//! Tests of the store, on real files and on a real PostgreSQL server.

/// Each of these tests runs on both databases.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::$name(&$crate::store::tests::Place::sqlite());
            })*
        }
        mod postgres {
            $(#[test]
            fn $name() {
                super::$name(&$crate::store::tests::Place::postgres());
            })*
        }
    };
}

// Other test programs use it too.
mod audit;
#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/support/postgres.rs"]
mod cluster;
mod desk_and_store;
mod faults;
mod figures;
mod incidents;
mod killed;
mod load;
mod people;
mod promises;
mod proxy;
mod tickets;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use cluster::Cluster;
use desk::{
    AgentId, EndCause, Event, Found, OfferId, PersonId, PhoneNumber, Position, QueueId, Role,
};

use super::sql::Connection;
use super::*;

const TENANT: TenantId = TenantId(1);

/// A database of its own for each test.
struct Place {
    database: Database,
    /// What was given to be found again by another process.
    address: String,
    /// Removed at the end.
    dir: Option<PathBuf>,
}

impl Place {
    fn sqlite() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("careline-store-{}-{count}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let address = dir.join("careline.db").display().to_string();
        let mut place = Self::at(address);
        place.dir = Some(dir);
        place
    }

    fn postgres() -> Self {
        Self::at(Cluster::shared().database())
    }

    fn at(address: String) -> Self {
        let database = match address.starts_with("postgres://") {
            true => Database::Server(Server::new(&address, None, None).unwrap()),
            false => Database::File(address.clone().into()),
        };
        Self {
            database,
            address,
            dir: None,
        }
    }

    fn is_postgres(&self) -> bool {
        matches!(self.database, Database::Server(_))
    }

    /// Where the macro `on_both` has put a test.
    fn module(&self) -> &'static str {
        match self.is_postgres() {
            true => "postgres",
            false => "sqlite",
        }
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.database).unwrap()
    }

    /// Somebody else with a connection of their own.
    fn other(&self) -> Other {
        match &self.database {
            Database::File(path) => Other::Sqlite(rusqlite::Connection::open(path).unwrap()),
            Database::Server(_) => {
                let connection = Connection::to_read(&self.database).unwrap();
                connection
                    .batch("SET default_transaction_read_only = off")
                    .unwrap();
                Other::Postgres(connection)
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

/// Whoever has SQL.
enum Other {
    Sqlite(rusqlite::Connection),
    Postgres(Connection),
}

impl Other {
    fn batch(&self, sql: &str) -> Result<(), String> {
        match self {
            Self::Sqlite(connection) => connection.execute_batch(sql).map_err(|e| e.to_string()),
            Self::Postgres(connection) => connection.batch(sql).map_err(|e| e.to_string()),
        }
    }

    fn number(&self, sql: &str) -> i64 {
        match self {
            Self::Sqlite(connection) => connection.query_row(sql, [], |row| row.get(0)).unwrap(),
            Self::Postgres(connection) => {
                let found = connection.row(sql, &[], |row| row.get(0));
                found.unwrap().unwrap()
            }
        }
    }

    /// Holds up whoever writes.
    fn holds(&self) {
        let sql = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN; SELECT count FROM start FOR UPDATE",
        };
        self.batch(sql).unwrap();
    }

    fn lets_go(&self) {
        self.batch("ROLLBACK").unwrap();
    }
}

/// An open store whose answers are at hand.
struct Bench {
    store: Store,
    recovered: Recovered,
    done: Receiver<Vec<Done>>,
    next: u64,
}

impl Bench {
    fn open(place: &Place, settings: Settings) -> Self {
        let (send, done) = channel();
        let opened = Store::open(&place.database, settings, 9_999, move |group| {
            let _ = send.send(group);
        });
        let (store, recovered) = opened.unwrap();
        Self {
            store,
            recovered,
            done,
            next: 1,
        }
    }

    fn submit(&mut self, tenant: TenantId, at: i64, events: &[Event]) -> CommitId {
        let id = CommitId(self.next);
        self.next += 1;
        self.store.submit(commit(id, tenant, at, events)).unwrap();
        id
    }

    /// The next `count` answers.
    fn answers(&self, count: usize) -> Vec<Done> {
        let mut answers = Vec::new();
        while answers.len() < count {
            let more = self.done.recv_timeout(Duration::from_secs(20));
            answers.extend(more.expect("an answer"));
        }
        assert_eq!(answers.len(), count);
        answers
    }

    fn write(&mut self, tenant: TenantId, at: i64, events: &[Event]) {
        let id = self.submit(tenant, at, events);
        assert_eq!(self.answers(1), [Done::Committed(id)]);
    }
}

fn commit(id: CommitId, tenant: TenantId, at: i64, events: &[Event]) -> Commit {
    let stamped = |event: &Event| Stamped { at, event: *event };
    Commit {
        id,
        tenant,
        events: events.iter().map(stamped).collect(),
        personal: Vec::new(),
        notes: Vec::new(),
        numbers: Vec::new(),
        incidents: desk::IncidentRows::default(),
    }
}

fn started(contact: u64) -> Event {
    let contact = ContactId(contact);
    Event::ContactStarted {
        contact,
        flow: None,
        version: None,
    }
}

fn ended(contact: u64) -> Event {
    Event::ContactEnded {
        contact: ContactId(contact),
        cause: EndCause::CallerHungUp,
    }
}

fn opened(ticket: u64, contact: u64) -> Event {
    let ticket = TicketId(ticket);
    Event::TicketOpened {
        ticket,
        number: TicketNumber::mint(&[4; 32], ticket).unwrap(),
        contact: ContactId(contact),
        priority: None,
        clock: None,
    }
}

fn sound(place: &Place) -> Verified {
    let verified = place.reader().verify().unwrap();
    assert_eq!(verified.faults, []);
    verified
}

on_both!(
    what_is_written_can_be_read,
    every_state_of_a_contact_has_a_row,
    numbers_have_no_holes_whoever_writes,
    what_a_crash_left_open_is_ended,
    events_after_the_end_find_their_contact,
    a_commit_at_fault_fails_alone,
    a_held_database_fails_commits_and_the_writer_goes_on,
    the_queue_is_bounded,
    closing_writes_what_is_queued,
    one_process_at_a_time_and_no_newer_database,
    the_log_is_append_only_and_faults_are_found,
    no_personal_data_in_the_log,
);

/// A whole journey, to which every kind of row belongs.
fn journey(contact: u64, ticket: u64) -> Vec<Event> {
    let id = ContactId(contact);
    let (agent, offer) = (AgentId(3), OfferId(contact));
    vec![
        started(contact),
        Event::ContactIdentified {
            contact: id,
            found: Found::Person {
                person: PersonId(8),
                role: Role::Staff,
            },
        },
        Event::ContactRoleSet {
            contact: id,
            role: Role::Clinician,
        },
        opened(ticket, contact),
        Event::ContactQueued {
            contact: id,
            queue: QueueId(2),
        },
        Event::OfferCreated {
            offer,
            contact: id,
            agent,
        },
        Event::ContactOffered { contact: id, agent },
        Event::OfferAccepted {
            offer,
            contact: id,
            agent,
        },
        Event::ContactConnected { contact: id, agent },
        ended(contact),
    ]
}

fn what_is_written_can_be_read(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    assert_eq!(bench.recovered.start, 1);
    assert_eq!(bench.recovered.next_ticket(TENANT), TicketId(1));
    let events = journey(7, 1);
    bench.write(TENANT, 100, &events[..5]);
    let personal = Personal {
        contact: ContactId(7),
        dnis: PhoneNumber("+15035550000".into()),
        ani: Some(PhoneNumber("+15035550101".into())),
    };
    let mut rest = commit(CommitId(50), TENANT, 200, &events[5..]);
    rest.personal.push(personal.clone());
    bench.store.submit(rest).unwrap();
    bench.answers(1);

    let reader = place.reader();
    let contact = ContactId(7);
    let logged = reader.journey(TENANT, contact).unwrap();
    assert_eq!(
        logged.iter().map(|l| l.seq).collect::<Vec<_>>(),
        (1..=10).collect::<Vec<_>>()
    );
    assert_eq!(
        logged.iter().map(|l| l.stamped.event).collect::<Vec<_>>(),
        events
    );
    assert_eq!(reader.events_after(TENANT, 0, 100).unwrap(), logged);
    assert_eq!(reader.events_after(TENANT, 4, 2).unwrap(), logged[4..6]);
    assert_eq!(reader.events_after(TENANT, u64::MAX, 2).unwrap(), []);
    let row = reader.contact(TENANT, contact).unwrap().unwrap();
    assert_eq!((row.first_seq, row.last_seq), (1, 10));
    assert_eq!(row.facts.started_at, Some(100));
    assert_eq!(row.facts.role, Some(Role::Clinician));
    assert_eq!(row.facts.visits.answered, 1);
    let (ticket, number) = row.facts.ticket.unwrap();
    let found = reader.ticket(TENANT, number).unwrap().unwrap();
    assert_eq!(
        (found.ticket, found.facts.contact, found.opened_at),
        (ticket, contact, 100)
    );
    assert_eq!(reader.personal(TENANT, contact).unwrap(), Some(personal));

    // Nothing of it is another tenant's.
    let other = TenantId(2);
    assert_eq!(reader.ticket(other, number).unwrap(), None);
    assert_eq!(reader.contact(other, contact).unwrap(), None);
    assert_eq!(reader.journey(other, contact).unwrap(), []);
    assert_eq!(reader.personal(other, contact).unwrap(), None);
    assert_eq!(reader.events_after(other, 0, 9).unwrap(), []);
    assert_eq!(sound(place).events, 10);
}

fn every_state_of_a_contact_has_a_row(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    let events = journey(7, 1);
    for contact in 0..=events.len() as u64 {
        let some = journey(contact, 100 + contact);
        // Also ids whose upper half is used, in both halves of the sign.
        bench.write(TENANT, 5, &some[..contact as usize]);
        let far = u64::MAX - contact;
        let some = journey(far, 200 + contact);
        bench.write(TENANT, 5, &some[..contact as usize]);
    }
    for found in [
        Found::Unknown,
        Found::Place {
            person: PersonId(1),
        },
        Found::PossiblePatient {
            person: PersonId(2),
        },
    ] {
        let contact = ContactId(500);
        bench.write(TENANT, 6, &[Event::ContactIdentified { contact, found }]);
        sound(place);
    }
    // Called without a queue.
    let (contact, agent) = (ContactId(600), AgentId(1));
    bench.write(TENANT, 6, &[Event::ContactOffered { contact, agent }]);
    sound(place);
}

fn numbers_have_no_holes_whoever_writes(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    for n in 0..600 {
        let tenant = TenantId(1 + n % 3);
        bench.submit(tenant, 1, &[started(u64::from(n)), ended(u64::from(n))]);
    }
    let answers = bench.answers(600);
    // In the order in which they were given.
    let ids: Vec<_> = (1..=600).map(|n| Done::Committed(CommitId(n))).collect();
    assert_eq!(answers, ids);
    assert_eq!(sound(place).events, 1_200);
    let reader = place.reader();
    for tenant in 1..=3 {
        let all = reader.events_after(TenantId(tenant), 0, 1_000).unwrap();
        assert_eq!(all.len(), 400);
        assert!(all.iter().zip(1..).all(|(logged, seq)| logged.seq == seq));
    }
}

fn what_a_crash_left_open_is_ended(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    bench.write(TENANT, 10, &journey(7, 1));
    bench.write(TENANT, 20, &journey(8, 2)[..5]);
    bench.write(TenantId(2), 30, &[started(9)]);
    drop(bench);
    let bench = Bench::open(place, Settings::default());
    assert_eq!(bench.recovered.start, 2);
    assert_eq!(
        bench.recovered.left_open,
        [(TENANT, ContactId(8)), (TenantId(2), ContactId(9))]
    );
    assert_eq!(bench.recovered.next_ticket(TENANT), TicketId(3));
    assert_eq!(bench.recovered.tenants[&TENANT].last_seq, 16);
    sound(place);
    let reader = place.reader();
    let row = reader.contact(TENANT, ContactId(8)).unwrap().unwrap();
    let cause = EndCause::SystemFailure;
    assert_eq!(row.facts.position, Position::Ended { cause, at: 9_999 });
    assert_eq!(row.facts.visits.system_failure, 1);
    drop(bench);
    let bench = Bench::open(place, Settings::default());
    assert_eq!(bench.recovered.left_open, []);
}

fn events_after_the_end_find_their_contact(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    bench.write(TENANT, 10, &journey(7, 1));
    let late = Event::OfferRescinded {
        offer: OfferId(9),
        contact: ContactId(7),
        agent: AgentId(3),
    };
    bench.write(TENANT, 11, &[started(8), late]);
    let reader = place.reader();
    assert_eq!(reader.journey(TENANT, ContactId(7)).unwrap().len(), 11);
    sound(place);
}

fn a_commit_at_fault_fails_alone(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    bench.write(TENANT, 1, &[started(1), opened(1, 1)]);
    // Hold the writer up, so that the next three make one group.
    let other = place.other();
    other.holds();
    let before = bench.submit(TENANT, 2, &[started(2)]);
    std::thread::sleep(Duration::from_millis(50));
    let first = bench.submit(TENANT, 2, &[started(3)]);
    // The same ticket once more.
    let wrong = bench.submit(TENANT, 2, &[started(4), opened(1, 4)]);
    let last = bench.submit(TENANT, 2, &[started(5), opened(2, 5)]);
    other.lets_go();
    assert_eq!(
        bench.answers(4),
        [
            Done::Committed(before),
            Done::Committed(first),
            Done::Failed(wrong),
            Done::Committed(last)
        ]
    );
    assert_eq!(sound(place).contacts, 4);
}

fn a_held_database_fails_commits_and_the_writer_goes_on(place: &Place) {
    let settings = Settings {
        busy_wait: Duration::from_millis(20),
        ..Settings::default()
    };
    let mut bench = Bench::open(place, settings);
    bench.write(TENANT, 1, &[started(1)]);
    let other = place.other();
    other.holds();
    let failed = bench.submit(TENANT, 1, &[started(2), ended(1)]);
    assert_eq!(bench.answers(1), [Done::Failed(failed)]);
    other.lets_go();
    bench.write(TENANT, 1, &[started(2), ended(2)]);
    let verified = sound(place);
    assert_eq!((verified.events, verified.contacts), (3, 2));
}

#[test]
fn a_full_database_fails_commits_and_keeps_what_it_has() {
    let place = &Place::sqlite();
    let settings = Settings {
        size_max_bytes: Some(200_000),
        ..Settings::default()
    };
    let mut bench = Bench::open(place, settings);
    let mut written = 0;
    let failed = loop {
        let events = journey(written + 1, written + 1);
        let id = bench.submit(TENANT, 1, &events);
        match bench.answers(1)[0] {
            Done::Committed(_) => written += 1,
            Done::Failed(failed) => break (failed, id),
        }
    };
    assert_eq!(failed.0, failed.1);
    assert!(written > 10);
    assert_eq!(sound(place).contacts, written);
    drop(bench);
    // Room again.
    let mut bench = Bench::open(place, Settings::default());
    bench.write(TENANT, 1, &journey(written + 1, written + 1));
    assert_eq!(sound(place).contacts, written + 1);
}

fn the_queue_is_bounded(place: &Place) {
    let settings = Settings {
        queue_max: 4,
        ..Settings::default()
    };
    let bench = Bench::open(place, settings);
    let other = place.other();
    other.holds();
    let submit = |n| {
        let commit = commit(CommitId(n), TENANT, 1, &[started(n)]);
        bench.store.submit(commit)
    };
    let accepted = (1..20).filter(|n| submit(*n).is_ok()).count();
    // Four wait, and up to one group of four is with the writer.
    assert!((4..=8).contains(&accepted), "{accepted}");
    assert_eq!(submit(30), Err(Refused::QueueFull));
    other.lets_go();
    assert_eq!(bench.answers(accepted).len(), accepted);
}

fn closing_writes_what_is_queued(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    for n in 0..1_000 {
        bench.submit(TENANT, 1, &[started(n), ended(n)]);
    }
    let Bench { store, done, .. } = bench;
    drop(store);
    assert_eq!(done.into_iter().flatten().count(), 1_000);
    assert_eq!(sound(place).contacts, 1_000);
}

fn one_process_at_a_time_and_no_newer_database(place: &Place) {
    let open = || Store::open(&place.database, Settings::default(), 1, |_| {});
    let first = open().unwrap();
    assert!(matches!(open(), Err(StoreError::InUse)));
    drop(first);
    let other = place.other();
    other
        .batch("INSERT INTO migration (version, at) VALUES (99, 1)")
        .unwrap();
    let refused = open();
    assert!(matches!(refused, Err(StoreError::Newer { found: 99, .. })));
    assert!(Reader::open(&place.database).is_err());
}

fn the_log_is_append_only_and_faults_are_found(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    bench.write(TENANT, 1, &journey(1, 1));
    drop(bench);
    let other = place.other();
    let refused = |sql: &str| {
        let error = other.batch(sql).unwrap_err();
        assert!(error.contains("append-only"), "{sql}: {error}");
    };
    refused("DELETE FROM event WHERE seq = 2");
    refused("UPDATE event SET at = 0");
    if place.is_postgres() {
        refused("TRUNCATE event");
    }
    let check = |sql: &str, fault: Fault| {
        other.batch(&format!("BEGIN; {sql}; COMMIT")).unwrap();
        let verified = place.reader().verify().unwrap();
        assert!(verified.faults.contains(&fault), "{sql}: {verified:?}");
    };
    check(
        "UPDATE contact SET answered = 2",
        Fault::Contact(TENANT, ContactId(1)),
    );
    check("DELETE FROM ticket", Fault::Ticket(TENANT, TicketId(1)));
    check("UPDATE tenant SET last_seq = 99", Fault::Counter(TENANT));
    let on = if place.is_postgres() { "ON event" } else { "" };
    check(
        &format!("DROP TRIGGER event_is_append_only_delete {on}; DELETE FROM event WHERE seq = 5"),
        Fault::Hole(TENANT, 6),
    );
}

fn no_personal_data_in_the_log(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    let mut start = commit(CommitId(1), TENANT, 1, &journey(1, 1));
    start.personal.push(Personal {
        contact: ContactId(1),
        dnis: PhoneNumber("+15035550000".into()),
        ani: Some(PhoneNumber("+15035550101".into())),
    });
    bench.next = 2;
    bench.store.submit(start).unwrap();
    bench.answers(1);
    let other = place.other();
    let found = other.number("SELECT COUNT(*) FROM event WHERE body LIKE '%5035550%'");
    assert_eq!(found, 0);
    // Erasing leaves the log and its projections sound.
    other.batch("DELETE FROM personal").unwrap();
    sound(place);
}
