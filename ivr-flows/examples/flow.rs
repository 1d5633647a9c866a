//! Checks flow files, runs their own tests and measures what a call costs:
//! `cargo run -p ivr-flows --example flow -- FILE...`

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ivr_flows::{
    CallerFacts, Facts, Flow, Input, Language, Role, Session, Step, run_tests, unvisited,
};

fn main() -> ExitCode {
    let mut failed = false;
    for file in std::env::args().skip(1) {
        let source = match std::fs::read_to_string(&file) {
            Ok(source) => source,
            Err(error) => {
                eprintln!("{file}: {error}");
                failed = true;
                continue;
            }
        };
        let began = now();
        match Flow::parse(&file, &source) {
            Ok(flow) => {
                let parsed = now().saturating_sub(began);
                let flow = Arc::new(flow);
                let results = run_tests(&flow);
                for result in &results {
                    match &result.failure {
                        None => println!("{file}:{}: passed: {}", result.line, result.name),
                        Some(failure) => {
                            failed = true;
                            println!("{file}:{}: FAILED: {}: {failure}", result.line, result.name);
                        }
                    }
                }
                println!(
                    "{file}: no test walks through: {:?}",
                    unvisited(&flow, &results)
                );
                println!(
                    "{file}: checked in {parsed:?}; a call to the queue costs {:?}",
                    one_call(&flow)
                );
            }
            Err(errors) => {
                failed = true;
                for error in errors {
                    println!("{error}");
                }
            }
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Time of one session from start to the queue, answered at every turn.
fn one_call(flow: &Arc<Flow>) -> Duration {
    const CALLS: u32 = 100_000;
    let facts = Facts {
        dnis: "1000".into(),
        ani_withheld: false,
        hospital: "st-marys".into(),
        hospital_name: "Saint Mary's".into(),
        languages: [Language::ENGLISH].into(),
    };
    let caller = CallerFacts {
        role: Role::Clinician,
        known: true,
        spoken_name: Some("Dr Okafor".into()),
        ..CallerFacts::UNKNOWN
    };
    let ticket: Arc<str> = "4719203855".into();
    let began = now();
    for _ in 0..CALLS {
        let mut session = Session::new(Arc::clone(flow), facts.clone());
        session.start(Duration::ZERO);
        while let Some(step) = session.poll() {
            match step {
                Step::Identify => session.handle(Duration::ZERO, Input::Identified(caller.clone())),
                Step::OpenTicket { .. } => {
                    session.handle(Duration::ZERO, Input::Ticket(Arc::clone(&ticket)))
                }
                Step::Play { play, .. } => {
                    session.handle(Duration::ZERO, Input::PlayEnded { play })
                }
                Step::EnterQueue { .. } => break,
                _ => {}
            }
        }
        std::hint::black_box(&session);
    }
    now().saturating_sub(began) / CALLS
}

/// An example measures; the crate itself has no clock.
#[allow(clippy::disallowed_methods)]
fn now() -> Duration {
    thread_local!(static START: Instant = Instant::now());
    START.with(|start| start.elapsed())
}
