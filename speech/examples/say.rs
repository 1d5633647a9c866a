//! `cargo run -p speech --example say -- "text" out.wav [--raw]`
//!
//! Speaks a text as a caller hears it (8 kHz), or with `--raw` as the voice
//! makes it (24 kHz). The voice lies in `voices/hibari` or in
//! `CARELINE_VOICES`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use speech::{Language, Voice, level, normalise};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let raw = args
        .iter()
        .position(|arg| arg == "--raw")
        .map(|at| args.remove(at))
        .is_some();
    let [text, path] = args.as_slice() else {
        return Err("usage: say \"text\" out.wav [--raw]".into());
    };
    let folder = std::env::var_os("CARELINE_VOICES")
        .map_or_else(|| PathBuf::from("voices/hibari"), PathBuf::from);
    let start = Instant::now();
    let voice = Voice::load(&folder)?;
    eprintln!("loaded in {} ms", start.elapsed().as_millis());

    let words = normalise(Language::English, text)?;
    eprintln!("words:    {words}");
    eprintln!("phonemes: {}", voice.phonemes(&words)?.join(" | "));
    let start = Instant::now();
    let pcm = voice.say(text)?;
    let took = start.elapsed();
    eprintln!(
        "{:.2} s of speech in {} ms ({:.0} times real time)",
        pcm.duration().as_secs_f32(),
        took.as_millis(),
        pcm.duration().as_secs_f32() / took.as_secs_f32()
    );
    let (samples, rate) = if raw {
        (pcm.samples, 24_000)
    } else {
        (level::telephone(&pcm).samples, 8_000)
    };
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for sample in samples {
        writer.write_sample(sample)?;
    }
    writer.finalize()?;
    Ok(())
}
