//! Configuration: an input is `careline.toml`, `operator.yaml`, a hospital and a flow, a NUL between them. What is
//! missing or empty is as in the demo.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::bounds::within;
use super::config::{ConfigError, HelpDesk, Process};

const FILES: [(&str, &str); 4] = [
    ("careline.toml", include_str!("../../demo/careline.toml")),
    ("operator.yaml", include_str!("../../demo/operator.yaml")),
    (
        "hospitals/st-anne.yaml",
        include_str!("../../demo/hospitals/st-anne.yaml"),
    ),
    ("flows/own.yaml", OWN),
];
const OWN: &str = "\
flow: own
about: Own.
pace: standard
language: en
start: bye
nodes:
  bye: { hang_up: Goodbye. }
";

/// Does with `input` whatever can be done with it.
pub(crate) fn run(input: &[u8]) {
    let dir = folder();
    let mut parts = input.split(|byte| *byte == 0);
    for (name, standard) in FILES {
        let text = parts.next().filter(|text| !text.is_empty());
        let text = text.unwrap_or(standard.as_bytes());
        fs::write(dir.join(name), text).expect("the folder can be written");
    }
    // A setting of a few bytes makes a value of a few hundred; the shipped flows are read along.
    let file = dir.join("careline.toml");
    if !input.starts_with(&[0]) {
        match within(input.len(), 1_000, 8_000_000, || Process::load(&file)) {
            Ok(process) => process_is_sound(&process, &file),
            Err(error) => said(&error, input.len()),
        }
    }
    if input.contains(&0) {
        match within(input.len(), 1_000, 8_000_000, || HelpDesk::load(dir)) {
            Ok(desk) => desk_is_sound(&desk),
            Err(error) => said(&error, input.len()),
        }
    }
}

/// One folder for this program, in memory where there is such a place.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let dir = place.join(format!("careline-fuzz-{}", std::process::id()));
        for inner in ["hospitals", "flows"] {
            fs::create_dir_all(dir.join(inner)).expect("a folder can be made");
        }
        dir
    })
}

/// Everything a start would ask next.
fn process_is_sound(process: &Process, file: &Path) {
    let _ = process.sip.interface(file).map_err(|error| said(&error, 0));
    let _ = process.sip.trusted(file).map_err(|error| said(&error, 0));
    if let Ok(ports) = process.media.port_range(file) {
        assert!(ports.start() < ports.end());
    }
    let _ = process.limits.for_switch();
    assert!(process.media.threads > 0 && process.speech.threads > 0);
    let _ = format!("{process:?}");
}

fn desk_is_sound(desk: &HelpDesk) {
    assert!(!desk.hospitals.is_empty());
    for queue in &desk.queues {
        assert!(desk.queue_id(&queue.name).is_some());
    }
    for agent in &desk.agents {
        assert!(desk.account(&agent.user).is_some());
    }
    for hospital in &desk.hospitals {
        assert!(hospital.calendars().is_ok(), "calendars were checked");
        for line in &hospital.lines {
            assert!(desk.flows.contains_key(&line.flow), "lines have a flow");
        }
        for person in &hospital.people {
            let _ = desk.number_of(&person.key);
        }
    }
    let shown = format!("{desk:?}");
    for agent in &desk.agents {
        let secret = &agent.secret;
        assert!(
            secret.len() < 12 || !shown.contains(secret.as_str()),
            "a secret is shown"
        );
    }
}

/// An error is of bounded size and says something.
fn said(error: &ConfigError, length: usize) {
    let text = error.to_string();
    assert!(!text.is_empty());
    assert!(
        text.len() <= 20_000 + 60 * length,
        "a message of {} bytes",
        text.len()
    );
}
