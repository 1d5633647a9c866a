//! W1: answer, identify, branch, a durable ticket and contact, RTP ports held,
//! no prompt, BYE after a second. The highest rate without a fault. W5 is the
//! same with callers over TLS.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::figures::{Bar, Sample, Spoilers, line};
use crate::folder::{self, Line, PEOPLE};
use crate::link::Link;
use crate::load::Load;
use crate::process::{Cpu, Server};
use crate::{Settings, audio, setting};

/// How long each call is up.
const UP_MS: u64 = 1_000;
/// Rates tried, upwards; then between the last that held and the first that
/// didn't. The goal ends them.
const RATES: [f64; 6] = [250.0, 500.0, 1_000.0, 1_500.0, 2_000.0, 2_500.0];
/// From INVITE to 200, 99 in 100.
const ANSWER_P99_MS: f64 = 200.0;
/// What is given to the store after the last call.
const COMMIT_WITHIN: Duration = Duration::from_secs(2);

struct Trial {
    rate: f64,
    calls: usize,
    spoilers: Spoilers,
    answer_ms: Sample,
    cpu: Cpu,
    /// Of its core, while calls came in.
    busy: f64,
    committed_after: Option<Duration>,
}

impl Trial {
    fn holds(&mut self) -> bool {
        !self.spoilers.any() && self.answer_ms.at(0.99) < ANSWER_P99_MS
    }

    fn us(&self, seconds: f64) -> f64 {
        seconds * 1e6 / self.calls as f64
    }

    fn describe(&mut self) -> String {
        let committed = self.committed_after.map_or("not".to_owned(), |after| {
            format!("{:.2} s after the end", after.as_secs_f64())
        });
        format!(
            "{:.0}/s: {} calls, INVITE to 200 p50 {:.1} ms, p99 {:.1} ms; {:.0} µs a call, core {:.0} % busy; \
             committed {committed}; {}",
            self.rate,
            self.calls,
            self.answer_ms.at(0.5),
            self.answer_ms.at(0.99),
            self.us(self.cpu.total()),
            self.busy * 100.0,
            self.spoilers.words()
        )
    }
}

/// Searches, then measures the rate found for longer.
pub(crate) fn measure(settings: &Settings, tls: bool) -> io::Result<()> {
    let (name, over, seconds) = if tls {
        ("W5", " over TLS", setting("W5_SECONDS", 30.0))
    } else {
        ("W1", "", setting("W1_SECONDS", 60.0))
    };
    let search = setting("W1_SEARCH_SECONDS", 8.0);
    println!(
        "{name}: calls of one second{over}, answered, identified, with a durable ticket; no prompt"
    );
    let (mut good, mut bad) = (0.0, f64::INFINITY);
    let fixed = setting("W1_RATE", 0.0);
    if fixed > 0.0 {
        good = fixed;
    } else {
        for rate in RATES {
            if attempt(settings, tls, rate, search)? {
                good = rate;
            } else {
                bad = rate;
                break;
            }
        }
        while bad.is_finite() && bad - good > 100.0_f64.max(good / 10.0) {
            let rate = ((good + bad) / 20.0).round() * 10.0;
            if attempt(settings, tls, rate, search)? {
                good = rate;
            } else {
                bad = rate;
            }
        }
    }
    // What holds for a moment needn't hold for a minute.
    let mut last = None;
    while good >= 100.0 {
        let mut trial = run(settings, tls, good, seconds)?;
        println!("  {}", trial.describe());
        let holds = trial.holds();
        last = Some(trial);
        if holds || fixed > 0.0 {
            break;
        }
        good = (good * 0.93 / 10.0).round() * 10.0;
    }
    let Some(mut trial) = last else {
        println!("{name}: no rate holds");
        return Ok(());
    };
    let spoilers = trial.spoilers.words();
    let rate = if trial.holds() { trial.rate } else { 0.0 };
    let calls = trial.calls as f64;
    line(
        &format!("{name} calls{over} on one core"),
        "calls/s",
        &[rate],
        0,
        Bar::at_least(1_000.0, 2_500.0),
        &format!("over {seconds} s; {spoilers}"),
    );
    line(
        &format!("{name} INVITE to 200, p99"),
        "ms",
        &[trial.answer_ms.at(0.99)],
        1,
        Bar::at_most(200.0, 200.0),
        "",
    );
    let cpu = trial.cpu;
    line(
        &format!("{name} server CPU"),
        "µs/call",
        &[trial.us(cpu.total())],
        0,
        Bar::at_most(1_000.0, 400.0),
        &format!(
            "signalling {:.0}, media {:.0}, store {:.0}, other {:.0}; {spoilers}",
            cpu.signalling * 1e6 / calls,
            cpu.media * 1e6 / calls,
            cpu.store * 1e6 / calls,
            cpu.other * 1e6 / calls
        ),
    );
    println!();
    Ok(())
}

fn attempt(settings: &Settings, tls: bool, rate: f64, seconds: f64) -> io::Result<bool> {
    let mut trial = run(settings, tls, rate, seconds)?;
    println!("  {}", trial.describe());
    Ok(trial.holds())
}

fn run(settings: &Settings, tls: bool, rate: f64, seconds: f64) -> io::Result<Trial> {
    let (server, mut load) = if tls {
        let config = settings.scratch.join("config-tls");
        let authority = folder::write_tls(&config)?;
        let server = Server::start(&config, &settings.scratch, "w5")?;
        let link = Link::tls(server.tls()?, &authority)?;
        let load = Load::over(&server, link, false, audio::Frames::new())?;
        (server, load)
    } else {
        let server = Server::start(&settings.config, &settings.scratch, "w1")?;
        let load = Load::new(&server, false, audio::Frames::new())?;
        (server, load)
    };
    let before = server.cpu();
    let began = Instant::now();
    let total = (rate * seconds) as usize;
    let mut up: VecDeque<(u64, usize)> = VecDeque::new();
    let at_most = Duration::from_secs_f64(seconds + 10.0);
    let mut busy = 0.0;
    load.until(
        at_most,
        |load, ms| {
            let due = total.min((rate * (ms + 1) as f64 / 1e3) as usize);
            if load.callers.dialled() < total {
                for n in load.callers.dialled()..due {
                    // Every other one is known; the two hospitals take turns.
                    let known = n.wrapping_mul(7_919) % PEOPLE;
                    let caller = folder::caller(if n % 4 < 2 { known } else { known + 5_000 });
                    load.callers.dial(caller, folder::line(n % 2, Line::Silent));
                }
                if load.callers.dialled() == total {
                    busy = server.cpu().since(before).total() / began.elapsed().as_secs_f64();
                }
            }
            up.extend(
                load.callers
                    .answered()
                    .into_iter()
                    .map(|(call, _)| (ms + UP_MS, call)),
            );
            while up.front().is_some_and(|(at, _)| *at <= ms) {
                if let Some((_, call)) = up.pop_front() {
                    load.callers.hang_up(call);
                }
            }
        },
        |load| load.callers.dialled() == total && load.callers.all_over(),
    );
    let (committed_after, missing) = committed(&server.database, total);
    let cpu = server.cpu().since(before);
    let mut spoilers = load.spoilers();
    spoilers.errors += load.callers.up() as u64;
    spoilers.uncommitted = missing;
    let answer_ms = std::mem::take(&mut load.callers.answer_ms);
    Ok(Trial {
        rate,
        calls: total,
        spoilers,
        answer_ms,
        cpu,
        busy,
        committed_after,
    })
}

/// Waits until every contact is ended in the database and has its ticket.
fn committed(database: &Path, calls: usize) -> (Option<Duration>, u64) {
    let began = Instant::now();
    let count = || -> Result<u64, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(database, flags)?;
        let of = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let ended = of("SELECT count(*) FROM contact WHERE position = 'ended'")?;
        let tickets = of("SELECT count(*) FROM ticket")?;
        Ok(ended.min(tickets).max(0) as u64)
    };
    loop {
        let found = count().unwrap_or(0);
        let missing = (calls as u64).saturating_sub(found);
        let passed = began.elapsed();
        if missing == 0 {
            return (Some(passed), 0);
        }
        if passed >= COMMIT_WITHIN {
            return (None, missing);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
