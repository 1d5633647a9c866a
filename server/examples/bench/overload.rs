//! W4: five times as many calls as are admitted. How many of those that should
//! be answered are, and how long it takes until nobody is refused any more once
//! the rate has fallen below the limit again.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use crate::figures::{Bar, Sample, line};
use crate::folder::{self, Line, PEOPLE};
use crate::load::Load;
use crate::process::Server;
use crate::{Settings, audio, setting};

/// How long each call is up.
const UP_MS: u64 = 1_000;
/// Whose lines are called, in turn: the limit is shared out among them.
const HOSPITALS: usize = 2;
/// How many times the limit.
const TIMES: f64 = 5.0;
/// Of the limit, before and after.
const USUAL: f64 = 0.8;
/// Before it, and after it.
const BESIDE_MS: u64 = 8_000;

/// When a call was dialled, and what became of it.
#[derive(Clone, Copy)]
struct Fate {
    ms: u64,
    answered_ms: Option<u64>,
}

pub(crate) fn measure(settings: &Settings) -> io::Result<()> {
    let limit: f64 = setting("W4_LIMIT", 2_000.0);
    let overload_ms = setting("W4_SECONDS", 10u64) * 1_000;
    println!("W4: a limit of {limit} calls a second, and {TIMES} times as many for a while");
    let config = settings.scratch.join("config-limited");
    folder::write_limited(&config, limit / HOSPITALS as f64)?;
    let server = Server::start(&config, &settings.scratch, "w4")?;
    let mut load = Load::new(&server, false, audio::Frames::new())?;
    let (begins, ends) = (BESIDE_MS, BESIDE_MS + overload_ms);
    let last = ends + BESIDE_MS;
    let mut fates: Vec<Fate> = Vec::new();
    let mut up: VecDeque<(u64, usize)> = VecDeque::new();
    let mut due = 0.0;
    load.until(
        Duration::from_millis(last + 40_000),
        |load, ms| {
            if ms < last {
                let times = if (begins..ends).contains(&ms) {
                    TIMES
                } else {
                    USUAL
                };
                due += limit * times / 1e3;
                while load.callers.dialled() < due as usize {
                    let n = load.callers.dialled();
                    let answered_ms = None;
                    fates.push(Fate { ms, answered_ms });
                    let caller = folder::caller(n.wrapping_mul(7_919) % PEOPLE);
                    load.callers
                        .dial(caller, folder::line(n % HOSPITALS, Line::Silent));
                }
            }
            for (call, _) in load.callers.answered() {
                fates[call].answered_ms = Some(ms);
                up.push_back((ms + UP_MS, call));
            }
            while up.front().is_some_and(|(at, _)| *at <= ms) {
                if let Some((_, call)) = up.pop_front() {
                    load.callers.hang_up(call);
                }
            }
        },
        |load| load.callers.dialled() as f64 >= limit && load.callers.all_over(),
    );
    let within = |from: u64, to: u64| {
        fates
            .iter()
            .filter(move |fate| (from..to).contains(&fate.ms))
    };
    let answered = |from: u64, to: u64| {
        within(from, to)
            .filter(|fate| fate.answered_ms.is_some())
            .count() as f64
    };
    // Who was answered meanwhile; not those whose INVITE got through once the rate had fallen.
    let meanwhile = fates
        .iter()
        .filter(|fate| {
            fate.answered_ms
                .is_some_and(|ms| (begins..ends).contains(&ms))
        })
        .count() as f64;
    let goodput = meanwhile / (limit * overload_ms as f64 / 1e3) * 100.0;
    // The last who was refused, or never heard anything, after the rate had fallen.
    let refused_last = within(ends, last)
        .filter(|fate| fate.answered_ms.is_none())
        .map(|fate| fate.ms)
        .max();
    let recovery = refused_last.map_or(0.0, |ms| (ms + 1 - ends) as f64 / 1e3);
    let late = load.spoilers().generator_late;
    let answer_ms: &mut Sample = &mut load.callers.answer_ms;
    let remark = format!(
        "{} of {} answered, {meanwhile} of them meanwhile; INVITE to 200 p99 {:.1} ms; before it {} of {}, after it {} of {}; generator late {}",
        answered(begins, ends),
        within(begins, ends).count(),
        answer_ms.at(0.99),
        answered(0, begins),
        within(0, begins).count(),
        answered(ends, last),
        within(ends, last).count(),
        late,
    );
    line(
        "W4 goodput, five times the limit",
        "% of the limit",
        &[goodput],
        1,
        Bar::at_least(90.0, 98.0),
        &remark,
    );
    line(
        "W4 recovery",
        "s",
        &[recovery],
        2,
        Bar::at_most(5.0, 1.0),
        "",
    );
    println!();
    Ok(())
}
