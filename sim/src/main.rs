//! Plays simulated worlds: `sim SEED [--contacts N] [--trace]` plays one,
//! `sim SEED --worlds N` plays so many, one after the other, and tells which broke.

use std::process::ExitCode;

use sim::{Figures, Trace, play, replay};

fn main() -> ExitCode {
    let mut seed = None;
    let mut contacts = 30;
    let mut worlds = 1;
    let mut trace = Trace::Last(60, Default::default());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--trace" => trace = Trace::Print,
            "--contacts" => match args.next().and_then(|n| n.parse().ok()) {
                Some(n) => contacts = n,
                None => return usage(),
            },
            "--worlds" => match args.next().and_then(|n| n.parse().ok()) {
                Some(n) => worlds = n,
                None => return usage(),
            },
            other => match other.parse::<u64>() {
                Ok(number) => seed = Some(number),
                Err(_) => return usage(),
            },
        }
    }
    let Some(seed) = seed else { return usage() };
    if worlds > 1 {
        return play_many(seed, worlds, contacts);
    }
    match replay(seed, contacts, trace) {
        Ok(figures) => {
            println!("{figures:#?}");
            ExitCode::SUCCESS
        }
        Err(broken) => {
            println!("{broken}");
            ExitCode::FAILURE
        }
    }
}

fn play_many(from: u64, worlds: u64, contacts: u32) -> ExitCode {
    let mut total = Figures::default();
    let mut broken = 0;
    for seed in from..from + worlds {
        match play(seed, contacts) {
            Ok(figures) => total.add(&figures),
            Err(failure) => {
                broken += 1;
                println!("{seed}: {}", failure.what);
            }
        }
    }
    println!("{total:#?}");
    println!("{broken} of {worlds} worlds broke");
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: sim SEED [--contacts N] [--trace] [--worlds N]");
    ExitCode::FAILURE
}
