//! One world after the other.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::trace::Trace;
use crate::world::{Figures, World, WorldConfig};

/// How many lines of a failing world are shown.
const LINES_SHOWN: usize = 60;

/// A world that broke an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub seed: u64,
    /// With how many callers.
    pub contacts: u32,
    /// What went wrong.
    pub what: String,
    /// The last lines before.
    pub lines: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "{}", self.what)?;
        write!(
            f,
            "replay: cargo run -p sim -- {} --contacts {} --trace",
            self.seed, self.contacts
        )
    }
}

/// Plays one world. When it breaks it is played again to know its last lines.
///
/// # Errors
///
/// What went wrong.
pub fn play(seed: u64, contacts: u32) -> Result<Figures, Box<Broken>> {
    play_and(seed, contacts, |_| Ok(()))
}

/// Plays one world, and looks at what is left of it.
///
/// # Errors
///
/// What went wrong, in the world or for who looked at it.
pub fn play_and(
    seed: u64,
    contacts: u32,
    look: impl Fn(&World) -> Result<(), String>,
) -> Result<Figures, Box<Broken>> {
    match attempt(seed, contacts, Trace::Off, &look) {
        Ok(figures) => Ok(figures),
        Err(_) => match attempt(
            seed,
            contacts,
            Trace::Last(LINES_SHOWN, Default::default()),
            &look,
        ) {
            Err(broken) => Err(as_broken(seed, contacts, broken)),
            Ok(_) => Err(Box::new(Broken {
                seed,
                contacts,
                what: "it breaks only without a trace: the world isn't deterministic".to_owned(),
                lines: Vec::new(),
            })),
        },
    }
}

/// Plays one world with a trace.
///
/// # Errors
///
/// What went wrong.
pub fn replay(seed: u64, contacts: u32, trace: Trace) -> Result<Figures, Box<Broken>> {
    attempt(seed, contacts, trace, &|_| Ok(())).map_err(|broken| as_broken(seed, contacts, broken))
}

fn as_broken(seed: u64, contacts: u32, (what, lines): (String, Vec<String>)) -> Box<Broken> {
    Box::new(Broken {
        seed,
        contacts,
        what,
        lines,
    })
}

fn attempt(
    seed: u64,
    contacts: u32,
    trace: Trace,
    look: &impl Fn(&World) -> Result<(), String>,
) -> Result<Figures, (String, Vec<String>)> {
    let mut world = World::new(seed, &WorldConfig::contacts(contacts));
    world.set_trace(trace);
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    let what = match result {
        Ok(Ok(figures)) => match look(&world) {
            Ok(()) => return Ok(figures),
            Err(what) => what,
        },
        Ok(Err(failure)) => format!("at {:.6} s: {}", failure.at.as_secs_f64(), failure.what),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("something");
            format!("panicked: {text}")
        }
    };
    Err((what, world.trace().lines().map(str::to_owned).collect()))
}
