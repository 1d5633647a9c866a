//! `make bench`: what a call costs, as processor time of the server for each
//! unit of work. `tools/bench.sh` says what can be set.
//!
//! The server is a process of its own on one core, the load a single thread on
//! another, behind one socket of each kind, with messages from templates and a
//! clock of a millisecond: what it uses is a fraction of its core, and it says
//! so when it was late. It measures with the kernel's time of arrival.
//!
//! | file | what |
//! |---|---|
//! | `signalling.rs` | W1: the highest rate of calls; W5: the same over TLS |
//! | `playing.rs` | W2: calls that hear a prompt |
//! | `talking.rs` | W3: calls that wait with music, then talk with an agent |
//! | `overload.rs` | W4: five times as many calls as are admitted |
//! | `handshakes.rs` | what a TLS connection costs |
//! | `load.rs`, `link.rs`, `callers.rs`, `agents.rs`, `audio.rs`, `wire.rs` | the load |
//! | `process.rs`, `folder.rs` | the server, and the help desk it serves |
//! | `floor.rs` | the least that a call can cost on this machine |
//! | `figures.rs` | percentiles, and how a figure is printed |

mod agents;
mod audio;
mod callers;
mod figures;
mod floor;
mod folder;
mod handshakes;
mod link;
mod load;
mod overload;
mod playing;
mod process;
mod signalling;
mod talking;
mod wire;

use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;

/// What is set from outside.
pub(crate) struct Settings {
    /// Where databases and configuration are written: a disk, not memory.
    pub(crate) scratch: PathBuf,
    pub(crate) config: PathBuf,
}

/// A setting of the environment.
pub(crate) fn setting<T: FromStr>(name: &str, default: T) -> T {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = PathBuf::from(setting("BENCH_DIR", "target/bench".to_owned()));
    std::fs::create_dir_all(&scratch)?;
    let scratch = scratch.canonicalize()?;
    let config = scratch.join("config");
    folder::write(&config)?;
    let settings = Settings { scratch, config };
    let which = setting("BENCH_ONLY", "W1 W2 W3 W4 W5".to_owned());
    println!("machine: {}", process::machine());
    println!(
        "server on core 0, load on core 1; %core and µs are processor time of the server, all threads"
    );
    match setting("BENCH_PRIORITY", 0) {
        0 => println!("media thread without SCHED_FIFO (BENCH_PRIORITY=10: with)"),
        priority => println!("media thread with SCHED_FIFO {priority}"),
    }
    let frames = playing::render(&settings)?;
    process::step_aside();
    let mut floor = floor::measure()?;
    figures::line(
        "floor: bare loop, send and receive",
        "%core/call",
        &floor.percent,
        4,
        None,
        "the least for a playing call; a bridged one has two such legs",
    );
    playing::gaps("floor: bare loop,", &mut floor.gaps_ms);
    println!();
    if which.contains("W2") {
        playing::measure(&settings, frames)?;
    }
    if which.contains("W3") {
        talking::measure(&settings)?;
    }
    if which.contains("W1") {
        signalling::measure(&settings, false)?;
    }
    if which.contains("W4") {
        overload::measure(&settings)?;
    }
    if which.contains("W5") {
        signalling::measure(&settings, true)?;
        handshakes::measure(&settings)?;
    }
    Ok(())
}
