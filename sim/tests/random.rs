//! The random world: thousands of seeds, none of which may break an invariant.

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use desk::figures::{Service, Settings};
use sim::{Broken, Figures, Trace, World, play_and, replay};

#[path = "../../desk/tests/figures/naive.rs"]
mod naive;

/// 5 and 9: the service desk's figures of a world's log are those of a second
/// computation, also when they were interrupted; and every visit to a queue is
/// in one of them.
fn figures_hold(world: &World) -> Result<(), String> {
    use desk::figures::{Figures, Quarter};
    for (tenant, log) in world.logs() {
        let fold = |figures: &mut Figures, from: usize, to: usize| {
            for (seq, stamped) in (1..).zip(log).take(to).skip(from) {
                figures
                    .apply(seq, stamped)
                    .map_err(|missing| missing.to_string())?;
            }
            Ok::<_, String>(())
        };
        let new = || Figures::new(Settings::default(), 0);
        let mut whole = new();
        fold(&mut whole, 0, log.len())?;
        let mut interrupted = new();
        fold(&mut interrupted, 0, log.len() / 2)?;
        fold(&mut interrupted, log.len() / 3, log.len())?;
        if interrupted != whole {
            return Err(format!(
                "9: figures of hospital {} differ when interrupted",
                tenant.0
            ));
        }
        let naive = naive::Naive {
            log,
            target_ms: |_| 20_000,
            short_ms: |_| 5_000,
        };
        let (folded, naive) = (naive::folded(&whole), naive.lines());
        let mut keys = folded.keys().chain(naive.keys());
        if let Some(key) = keys.find(|key| folded.get(*key) != naive.get(*key)) {
            return Err(format!(
                "9: hospital {}: {key} is {:?}, and {:?} by the second computation",
                tenant.0,
                folded.get(key),
                naive.get(key)
            ));
        }
        let mut sum = Service::default();
        for (_, cell) in whole.service(Quarter(0)..Quarter::MAX) {
            sum += cell;
        }
        if sum.waiting() != whole.open_visits() || sum.ended() > sum.queued {
            return Err(format!(
                "5: {} visits open, and {sum:?}",
                whole.open_visits()
            ));
        }
        if sum.lost > 0 && whole.events_missing() == 0 {
            return Err(format!("5: visits are lost without a gap: {sum:?}"));
        }
    }
    Ok(())
}

/// Plays the seeds `from..to` on two threads, which share nothing but the
/// next seed.
fn play_all(from: u64, to: u64, contacts: u32) {
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let stop = AtomicBool::new(false);
    let total = Mutex::new(Figures::default());
    let broken: Mutex<Option<Box<Broken>>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut figures = Figures::default();
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= to {
                        break;
                    }
                    match play_and(seed, contacts, figures_hold) {
                        Ok(one) => figures.add(&one),
                        Err(failure) => {
                            stop.store(true, Ordering::Relaxed);
                            broken.lock().unwrap().get_or_insert(failure);
                        }
                    }
                }
                total.lock().unwrap().add(&figures);
            });
        }
    });
    let figures = total.into_inner().unwrap();
    // Straight to the terminal: one line that is seen also when all is well.
    let _ = writeln!(
        std::io::stderr(),
        "sim: {} worlds of {contacts}, {} contacts ({} talked), {} sent on, {} colleagues asked, {} events, {} of {} datagrams lost \
         and {} doubled, {} of {} messages lost and {} doubled, {} crashes, {} connections closed, {} commits and {} failed, \
         {} events in gaps, {} tickets spoken, {} callbacks promised and {} called, {} of {} deeds on tickets done, {:.1} s",
        figures.worlds,
        figures.contacts,
        figures.talked,
        figures.transfers,
        figures.consultations,
        figures.events,
        figures.datagrams_lost,
        figures.datagrams,
        figures.datagrams_doubled,
        figures.messages_lost,
        figures.messages,
        figures.messages_doubled,
        figures.crashes,
        figures.closings,
        figures.commits,
        figures.commits_failed,
        figures.events_in_gaps,
        figures.tickets_spoken,
        figures.promises_told,
        figures.called_back,
        figures.deeds_done,
        figures.deeds,
        began.elapsed().as_secs_f64(),
    );
    if let Some(broken) = broken.into_inner().unwrap() {
        panic!("{broken}");
    }
}

/// One test, so that the two threads have the machine to themselves.
#[test]
fn no_seed_breaks_an_invariant() {
    // SIM_SEEDS=20 for a quick look, SIM_FROM=123456 for other seeds.
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let from = number("SIM_FROM").unwrap_or(0);
    let small = number("SIM_SEEDS").unwrap_or(10_000);
    play_all(from, from + small, 30);
    play_all(from, from + small.div_ceil(500), 5_000);
}

#[test]
fn one_seed_plays_the_same_world_twice() {
    for seed in 0..20 {
        let once = replay(seed, 30, Trace::Off);
        let twice = replay(seed, 30, Trace::Off);
        assert_eq!(once, twice, "seed {seed}");
    }
}
