//! What may befall a PostgreSQL server, and the way to it. Whatever does: a
//! commit is told to be there exactly when it is.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::proxy::{Fate, Proxy, Then};
use super::*;

/// Each answer, and whether the contact of that commit is there.
fn told_right(place: &Place, answers: &[Done]) {
    let reader = place.reader();
    for done in answers {
        let (id, told) = match *done {
            Done::Committed(id) => (id, true),
            Done::Failed(id) => (id, false),
        };
        let found = reader.contact(TENANT, ContactId(id.0)).unwrap();
        assert_eq!(found.is_some(), told, "{done:?}");
    }
    sound(place);
}

fn is_committed(done: &Done) -> bool {
    matches!(done, Done::Committed(_))
}

/// Settings of somebody impatient, so that tests are short.
fn impatient() -> Settings {
    Settings {
        busy_wait: Duration::from_millis(200),
        answer_wait: Duration::from_millis(500),
        ..Settings::default()
    }
}

impl Bench {
    /// One contact more, named like its commit.
    fn submit_next(&mut self) -> CommitId {
        self.submit(TENANT, 1, &[started(self.next)])
    }

    /// Writes all the time, until `enough`.
    fn busy(&mut self, answers: &mut Vec<Done>, mut enough: impl FnMut(&[Done]) -> bool) {
        let begun = Instant::now();
        while !enough(answers) {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never is");
            if self.next - (answers.len() as u64) < 200 {
                self.submit_next();
            }
            answers.extend(self.done.try_iter().flatten());
            std::thread::sleep(Duration::from_micros(300));
        }
    }

    /// Takes all that is still on its way.
    fn rest(&self, answers: &mut Vec<Done>) {
        let left = (self.next - 1) as usize - answers.len();
        answers.extend(self.answers(left));
    }
}

/// Writes all the time while the server is harmed, again and again.
fn survives(rounds: u32, mut harm: impl FnMut(&Cluster)) {
    let cluster = Cluster::start();
    let place = Place::at(cluster.database());
    let mut bench = Bench::open(&place, Settings::default());
    let mut answers = Vec::new();
    for round in 0..rounds {
        let until = Instant::now() + Duration::from_millis(40) * (round + 1);
        bench.busy(&mut answers, |_| Instant::now() >= until);
        harm(&cluster);
        let known = answers.len();
        // It goes on by itself.
        bench.busy(&mut answers, |answers| {
            answers[known..].iter().skip(200).any(is_committed)
        });
    }
    bench.rest(&mut answers);
    assert!(!answers.iter().all(is_committed), "nothing was harmed");
    told_right(&place, &answers);
}

#[test]
fn a_backend_killed_in_the_midst_of_a_commit() {
    survives(4, |cluster| {
        let sql = "SELECT pid FROM pg_locks WHERE locktype = 'advisory'";
        let pid = cluster.sql("postgres", sql).parse().unwrap();
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    });
}

#[test]
fn a_server_that_crashes_and_comes_back() {
    survives(3, |cluster| {
        cluster.crash();
        cluster.again("");
    });
}

#[test]
fn a_commit_whose_answer_or_request_is_lost() {
    let cluster = Cluster::start();
    let address = cluster.database();
    let proxy = Proxy::before(cluster.dir());
    let through = Place::at(proxy.address(&address));
    let mut bench = Bench::open(&through, impatient());
    let mut answers = Vec::new();
    for then in [Then::Closed, Then::Silence] {
        for (fate, is_there) in [(Fate::Unanswered, true), (Fate::Dropped, false)] {
            proxy.next_commit(fate, then);
            let id = bench.submit_next();
            let told = bench.answers(1);
            let expected = match is_there {
                true => Done::Committed(id),
                false => Done::Failed(id),
            };
            assert_eq!(told, [expected], "{fate:?} {then:?}");
            answers.extend(told);
            // Perhaps after a pause.
            let known = answers.len();
            bench.busy(&mut answers, |answers| {
                answers[known..].iter().any(is_committed)
            });
            bench.rest(&mut answers);
        }
    }
    told_right(&Place::at(address), &answers);
}

/// The first is cut off in the midst of a commit. When the server believes it
/// gone, a second begins; the first comes back and writes nothing more.
#[test]
fn whoever_was_cut_off_writes_nothing_after_another_has_begun() {
    let cluster = Cluster::start();
    let address = cluster.database();
    let proxy = Proxy::before(cluster.dir());
    let through = Place::at(proxy.address(&address));
    let place = Place::at(address);
    let mut first = Bench::open(&through, impatient());
    let before = first.submit_next();
    assert_eq!(first.answers(1), [Done::Committed(before)]);
    proxy.cuts();
    // As long as its session lives, nobody else may.
    let open = |settings| Store::open(&place.database, settings, 2, |_| {});
    assert!(matches!(open(impatient()), Err(StoreError::InUse)));
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'";
    cluster.sql("postgres", ended);
    let mut second = Bench::open(&place, impatient());
    assert_eq!(second.recovered.start, 2);
    second.next = 1_000;
    let taken = second.submit_next();
    assert_eq!(second.answers(1), [Done::Committed(taken)]);
    // It finds the way again, and its place taken.
    for _ in 0..5 {
        let late = first.submit_next();
        assert_eq!(first.answers(1), [Done::Failed(late)]);
        std::thread::sleep(Duration::from_millis(100));
    }
    let fine = second.submit_next();
    assert_eq!(second.answers(1), [Done::Committed(fine)]);
    drop((first, second));
    assert_eq!(sound(&place).contacts, 3);
}

/// A session that lives, but whose place somebody has taken: the row that every
/// transaction begins with is enough.
#[test]
fn a_start_by_somebody_else_fences_a_living_session_out() {
    let place = Place::postgres();
    let mut bench = Bench::open(&place, Settings::default());
    bench.write(TENANT, 1, &[started(1)]);
    let other = place.other();
    other.batch("UPDATE start SET count = count + 1").unwrap();
    for contact in 2..5 {
        let id = bench.submit(TENANT, 1, &[started(contact)]);
        assert_eq!(bench.answers(1), [Done::Failed(id)]);
    }
    drop(bench);
    assert_eq!(sound(&place).contacts, 1);
}

/// Someone who took over without having all that was confirmed.
#[test]
fn a_database_that_has_lost_what_was_confirmed_is_not_written_to() {
    let cluster = Cluster::start();
    let place = Place::at(cluster.database());
    let mut bench = Bench::open(&place, impatient());
    for contact in 1..4 {
        bench.write(TENANT, 1, &[started(contact)]);
    }
    let other = place.other();
    other
        .batch("UPDATE start SET written = written - 1")
        .unwrap();
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'";
    cluster.sql("postgres", ended);
    for contact in 4..7 {
        let id = bench.submit(TENANT, 1, &[started(contact)]);
        assert_eq!(bench.answers(1), [Done::Failed(id)]);
    }
    drop(bench);
    // Somebody has looked, and starts it again.
    let mut bench = Bench::open(&place, impatient());
    bench.write(TENANT, 1, &[started(9)]);
    drop(bench);
    assert_eq!(sound(&place).contacts, 4);
}

#[test]
fn what_is_no_durable_primary_is_refused_and_the_primary_is_found() {
    let (standby, primary) = (Cluster::start(), Cluster::start());
    let place = Place::at(standby.database());
    let there = primary.database();
    drop(Bench::open(&place, impatient()));
    let refused = |why: &str| {
        let opened = Store::open(&place.database, impatient(), 1, |_| {});
        let told = opened.map(drop).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
        let told = Reader::open(&place.database)
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(told.contains(why), "{told}");
    };
    standby.crash();
    refused("no connection");
    standby.again("-c fsync=off");
    refused("`fsync` is off");
    standby.crash();
    standby.becomes_standby();
    standby.again("");
    refused("name the primary");

    // Of several the one that takes writes, whatever the first does.
    let name = there.rsplit('/').next().unwrap();
    assert!(place.address.ends_with(name), "or it wouldn't let us in");
    let hosts = [standby.dir(), primary.dir()]
        .map(|dir| dir.display().to_string().replace('/', "%2F"))
        .join(",");
    let both = Place::at(format!("postgres://careline@{hosts}/{name}"));
    for contact in 1..3 {
        let mut bench = Bench::open(&both, impatient());
        bench.write(TENANT, 1, &[started(contact)]);
        drop(bench);
        // The next time the first says nothing at all.
        standby.hangs();
    }
    assert_eq!(sound(&Place::at(there)).contacts, 2);
    standby.goes_on();
}

/// Nothing waits for a server that doesn't answer: the desk gives a caller up
/// at its deadline, and hears the truth when there is one.
#[test]
fn a_server_that_hangs_holds_nobody_up() {
    let cluster = Cluster::start();
    let place = Place::at(cluster.database());
    let mut bench = Bench::open(&place, Settings::default());
    bench.write(TENANT, 1, &[started(1)]);
    cluster.hangs();
    let begun = Instant::now();
    for _ in 0..50 {
        bench.submit_next();
    }
    assert!(begun.elapsed() < Duration::from_millis(100));
    // Long past the desk's deadline, and ours, nothing is told that isn't known.
    let told = bench.done.recv_timeout(Duration::from_secs(5));
    cluster.goes_on();
    let mut answers: Vec<Done> = told.unwrap_or_default();
    assert!(!answers.iter().any(is_committed), "{answers:?}");
    answers.push(Done::Committed(CommitId(1)));
    bench.rest(&mut answers);
    let known = answers.len();
    bench.busy(&mut answers, |answers| {
        answers[known..].iter().any(is_committed)
    });
    bench.rest(&mut answers);
    told_right(&place, &answers);
}

/// A synchronous standby is gone: nothing is confirmed without it, whatever
/// time limits there are, and nothing told to have failed.
#[test]
fn a_commit_waits_for_the_synchronous_standby() {
    let cluster = Cluster::start();
    let place = Place::at(cluster.database());
    let mut bench = Bench::open(&place, impatient());
    bench.write(TENANT, 1, &[started(1)]);
    let sql = |sql: &str| cluster.sql("postgres", sql);
    sql("ALTER SYSTEM SET synchronous_standby_names = 'gone'");
    sql("SELECT pg_reload_conf()");
    std::thread::sleep(Duration::from_millis(300));
    let id = bench.submit_next();
    let early = bench.done.recv_timeout(Duration::from_secs(4));
    assert!(early.is_err(), "told without the standby: {early:?}");
    sql("ALTER SYSTEM RESET synchronous_standby_names");
    sql("SELECT pg_reload_conf()");
    assert_eq!(bench.answers(1), [Done::Committed(id)]);
    told_right(&place, &[Done::Committed(id)]);
}
