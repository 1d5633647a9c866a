//! `cargo run --release -p speech --example measure`
//!
//! What the built-in voice costs on this machine: time and memory to load,
//! CPU per second of speech.

use std::path::PathBuf;
use std::time::Instant;

use speech::{Voice, level};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::var_os("CARELINE_VOICES")
        .map_or_else(|| PathBuf::from("voices/hibari"), PathBuf::from);
    let before = (resident_kb(), cpu_ms());
    let start = Instant::now();
    let voice = Voice::load(&folder)?;
    println!(
        "load: {} ms, {} ms of CPU, {} MB resident",
        start.elapsed().as_millis(),
        cpu_ms() - before.1,
        (resident_kb() - before.0) / 1_024
    );
    let text =
        "Thank you for calling the help desk. Your call is being put through to the clinical desk.";
    voice.say(text)?;
    let (start, cpu) = (Instant::now(), cpu_ms());
    let mut seconds = 0.0;
    for _ in 0..10 {
        let pcm = voice.say(text)?;
        seconds += pcm.duration().as_secs_f32();
    }
    let voice_ms = cpu_ms() - cpu;
    println!(
        "speech: {seconds:.1} s in {} ms of CPU ({} ms elapsed): {:.1} ms a second",
        voice_ms,
        start.elapsed().as_millis(),
        voice_ms as f32 / seconds
    );
    let pcm = voice.say(text)?;
    let cpu = cpu_ms();
    for _ in 0..10 {
        level::telephone(&pcm);
    }
    println!(
        "level: {:.1} ms a second",
        (cpu_ms() - cpu) as f32 / (10.0 * pcm.duration().as_secs_f32())
    );
    println!("resident after speaking: {} MB", resident_kb() / 1_024);
    Ok(())
}

/// User and system time of all threads, from the kernel's ticks of 10 ms.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |n: usize| {
        fields
            .get(n)
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or(0)
    };
    (ticks(11) + ticks(12)) * 10
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse().ok())
        .unwrap_or(0)
}
