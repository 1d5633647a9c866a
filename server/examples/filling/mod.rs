//! A database to fill with journeys: a SQLite file, or one on a PostgreSQL
//! server of our own, both in the temporary folder; and what filling it costs.

#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/support/postgres.rs"]
mod cluster;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use cluster::Cluster;
use desk::{Commit, CommitId, Personal, Stamped, TenantId};
use nix::sys::resource::{UsageWho, getrusage};
use server::store::{Database, Done, Journal, Reader, Server, Settings, Store};

/// Ticks of `/proc` in a second, on every Linux.
const TICKS: f64 = 100.0;

/// Where it is. Gone when this is dropped.
enum Place {
    File { folder: PathBuf, file: PathBuf },
    Server { cluster: Cluster, address: String },
}

/// A database that is being filled.
pub(crate) struct Filling {
    store: Store,
    done: Receiver<(Instant, Vec<Done>)>,
    in_flight_max: u64,
    in_flight: u64,
    sent_at: Vec<Instant>,
    waits: Vec<Duration>,
    cost: Cost,
    begun: Instant,
    ours: Duration,
    theirs: Duration,
    // Behind the store: it is closed first.
    place: Place,
}

/// What it took.
#[derive(Default)]
pub(crate) struct Cost {
    pub(crate) events: u64,
    pub(crate) commits: u64,
    transactions: u64,
    failed: u64,
    pub(crate) elapsed: Duration,
    /// CPU of this process, making the journeys included.
    ours: Duration,
    /// CPU of the database's server, if it has one.
    theirs: Duration,
    /// From handing a commit over to its answer, in order.
    waits: Vec<Duration>,
}

impl Filling {
    /// `sqlite` or `postgres`.
    pub(crate) fn new(database: &str, in_flight_max: u64) -> Self {
        let place = match database {
            "sqlite" => {
                let name = format!("careline-load-{}", std::process::id());
                let folder = std::env::temp_dir().join(name);
                std::fs::create_dir_all(&folder).expect("a temporary folder");
                let file = folder.join("careline.db");
                Place::File { folder, file }
            }
            "postgres" => {
                let cluster = Cluster::start();
                let address = cluster.database();
                Place::Server { cluster, address }
            }
            other => panic!("\"{other}\" is neither sqlite nor postgres"),
        };
        let (send, done) = channel();
        let (store, _) = Store::open(place.database(), Settings::default(), 0, move |group| {
            let _ = send.send((Instant::now(), group));
        })
        .expect("a database");
        Self {
            store,
            done,
            in_flight_max,
            in_flight: 0,
            sent_at: Vec::new(),
            waits: Vec::new(),
            cost: Cost::default(),
            begun: Instant::now(),
            ours: cpu(),
            theirs: place.cpu(),
            place,
        }
    }

    /// Hands a commit over, as soon as few enough are under way.
    pub(crate) fn write(
        &mut self,
        tenant: TenantId,
        events: Vec<Stamped>,
        personal: Option<Personal>,
    ) {
        while self.in_flight >= self.in_flight_max {
            self.hear();
        }
        self.cost.events += events.len() as u64;
        let commit = Commit {
            id: CommitId(self.cost.commits),
            tenant,
            events,
            personal: personal.into_iter().collect(),
            notes: Vec::new(),
            numbers: Vec::new(),
            incidents: desk::IncidentRows::default(),
        };
        self.sent_at.push(Instant::now());
        self.store.submit(commit).expect("room in the queue");
        self.cost.commits += 1;
        self.in_flight += 1;
    }

    fn hear(&mut self) {
        let (at, group) = self.done.recv().expect("the writer");
        self.cost.transactions += 1;
        for done in &group {
            match done {
                Done::Committed(id) => self.waits.push(at - self.sent_at[id.0 as usize]),
                Done::Failed(_) => self.cost.failed += 1,
            }
        }
        self.in_flight -= group.len() as u64;
    }

    /// Waits for everything, and says what it took.
    pub(crate) fn finish(&mut self) -> Cost {
        while self.in_flight > 0 {
            self.hear();
        }
        self.waits.sort_unstable();
        Cost {
            elapsed: self.begun.elapsed(),
            ours: cpu() - self.ours,
            theirs: self.place.cpu() - self.theirs,
            waits: std::mem::take(&mut self.waits),
            ..std::mem::take(&mut self.cost)
        }
    }

    /// Bytes on disk.
    pub(crate) fn size(&self) -> u64 {
        match &self.place {
            Place::File { file, .. } => {
                let length = |file| std::fs::metadata(file).map_or(0, |file| file.len());
                length(file.clone()) + length(file.with_extension("db-wal"))
            }
            Place::Server { cluster, address } => {
                let name = address.rsplit('/').next().unwrap_or_default();
                let size = cluster.sql(name, "SELECT pg_database_size(current_database())");
                size.parse().unwrap_or(0)
            }
        }
    }

    /// A connection to read with.
    pub(crate) fn reader(&self) -> Reader {
        Reader::open(self.place.database()).expect("a database")
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (events, commits) = (self.events as f64, self.commits as f64);
        let seconds = self.elapsed.as_secs_f64();
        writeln!(
            f,
            "{:.0} events/s, {:.0} commits/s, {:.0} commits a transaction, {} failed",
            events / seconds,
            commits / seconds,
            commits / self.transactions as f64,
            self.failed
        )?;
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / events;
        writeln!(
            f,
            "CPU an event {:.1} µs (making it included), and {:.1} µs of the database's server",
            each(self.ours),
            each(self.theirs)
        )?;
        let wait = |share: f64| {
            let last = self.waits.len().saturating_sub(1);
            let wait = self.waits.get((last as f64 * share) as usize);
            wait.copied().unwrap_or_default()
        };
        write!(
            f,
            "answered after p50 {:.1?}, p99 {:.1?}, at most {:.1?}",
            wait(0.5),
            wait(0.99),
            wait(1.0)
        )
    }
}

impl Place {
    fn database(&self) -> Database {
        match self {
            Self::File { file, .. } => file.into(),
            Self::Server { address, .. } => {
                Database::Server(Server::new(address, None, None).expect("an address"))
            }
        }
    }

    /// CPU of the database's server so far.
    fn cpu(&self) -> Duration {
        let Self::Server { cluster, .. } = self else {
            return Duration::ZERO;
        };
        let ticks = |pid: &i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // Behind the name, which may hold anything.
            let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let fields: Vec<&str> = rest.split_whitespace().collect();
            let field = |n: usize| fields.get(n).and_then(|text| text.parse().ok());
            field(11).unwrap_or(0.0) + field(12).unwrap_or(0.0)
        };
        Duration::from_secs_f64(cluster.processes().iter().map(ticks).sum::<f64>() / TICKS)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::File { folder, .. } = self {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// An argument of the program, or what is usual.
pub(crate) fn argument<T: std::str::FromStr>(place: usize, usual: T) -> T {
    let given = std::env::args().nth(place);
    given.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("resource usage");
    let time = |t: nix::sys::time::TimeVal| {
        Duration::from_secs(t.tv_sec() as u64) + Duration::from_micros(t.tv_usec() as u64)
    };
    time(usage.user_time()) + time(usage.system_time())
}
