//! The detector of keys pressed as tones against the built-in voice: what callers hear of us, and by echo may come back,
//! is no key. Needs the voice's files (`make voices`); without them this says so, loudly, and proves nothing.

use std::path::PathBuf;

use media::codec::Codec;
use media::dtmf::{Detector, Press};
use speech::{Voice, VoiceError, level};

const SENTENCES: [&str; 12] = [
    "Thank you for calling the help desk. If this is an emergency, hang up and dial 911.",
    "Clinicians, press 1; hospital staff, press 2; patients, press 3.",
    "Your ticket number is 4719203855. I'll say that again: 4719203855.",
    "Good evening, Doctor Okafor. You are being put through to the clinical desk.",
    "The portal is under maintenance until a quarter past seven tomorrow morning.",
    "All our analysts are talking. You are number four in line, and we expect to answer within two minutes.",
    "Please hold the line; somebody will be with you soon, and your place is kept.",
    "We couldn't hear that. Key in the ten digits of your ticket, then press pound.",
    "Nobody answers at Northwind Imaging. We'll take you back to our own people now.",
    "Who's where, why, and how? Zoe saw you move the blue shoes through the zoo at noon.",
    "She sells six thick thistle sticks, five fine fresh figs, and a whole loaf of old oatmeal bread.",
    "Ah. Oh! Mm-hmm. Eee, ooh, wow: loo, lay, lie, low, law. One, two, three, four, five, six, seven, eight, nine.",
];

/// So many seconds make an hour.
const HOUR: usize = 3_600 * 8_000;

/// Played faster or slower, pitch and all, and louder or softer.
fn varied(samples: &[i16], speed: f64, gain: f64) -> impl Iterator<Item = i16> {
    let length = (samples.len() as f64 / speed) as usize;
    (0..length.saturating_sub(2)).map(move |n| {
        let at = n as f64 * speed;
        let (whole, part) = (at as usize, at.fract());
        let one = samples.get(whole).copied().map_or(0.0, f64::from);
        let two = samples.get(whole + 1).copied().map_or(0.0, f64::from);
        ((one + (two - one) * part) * gain).clamp(-32_768.0, 32_767.0) as i16
    })
}

#[test]
fn no_key_is_heard_in_an_hour_of_the_built_in_voice_in_either_law() {
    let folder = std::env::var_os("CARELINE_VOICES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../voices/hibari")),
        PathBuf::from,
    );
    let voice = match Voice::load(&folder) {
        Ok(voice) => voice,
        Err(VoiceError::Missing { path, .. }) => {
            // Past the test harness, which hides what passing tests print.
            let message = format!(
                "\n*** NOT TESTED: the built-in voice is missing ({}). Run `make voices`. ***\n\n",
                path.display()
            );
            let _ = std::fs::write("/dev/stderr", message);
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let said: Vec<Vec<i16>> = SENTENCES
        .iter()
        .map(|text| level::telephone(&voice.say(text).unwrap()).samples)
        .collect();
    let seconds = said.iter().map(Vec::len).sum::<usize>() / 8_000;
    assert!(seconds > 40, "{seconds} s of speech");
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut detector = Detector::default();
        let mut keys = Vec::new();
        let mut heard = 0;
        let mut round = 0u32;
        while heard < HOUR {
            // No two rounds alike: from a man's pitch to a child's, from a whisper to a line that clips.
            let speed = 0.70 + f64::from(round * 37 % 101) * 0.008;
            let gain = 10f64.powf((f64::from(round * 53 % 31) - 24.0) / 20.0);
            for (samples, text) in said.iter().zip(SENTENCES) {
                let before = heard;
                let coded = varied(samples, speed, gain).inspect(|_| heard += 1);
                let coded = coded.map(|sample| codec.decode(codec.encode(sample)));
                detector.samples(coded, |press| {
                    if let Press::Started(digit) = press {
                        keys.push((digit.char(), text, speed, gain));
                    }
                });
                assert!(heard > before);
            }
            round += 1;
        }
        assert_eq!(keys, [], "{codec:?}");
    }
}
