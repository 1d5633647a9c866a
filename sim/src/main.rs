//! Plays one simulated world: `sim SEED [--contacts N] [--trace]`.

use std::process::ExitCode;

use sim::{Trace, replay};

fn main() -> ExitCode {
    let mut seed = None;
    let mut contacts = 30;
    let mut trace = Trace::Last(60, Default::default());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--trace" => trace = Trace::Print,
            "--contacts" => match args.next().and_then(|n| n.parse().ok()) {
                Some(n) => contacts = n,
                None => return usage(),
            },
            other => match other.parse::<u64>() {
                Ok(number) => seed = Some(number),
                Err(_) => return usage(),
            },
        }
    }
    let Some(seed) = seed else { return usage() };
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

fn usage() -> ExitCode {
    eprintln!("usage: sim SEED [--contacts N] [--trace]");
    ExitCode::FAILURE
}
