//! The built-in voice itself. Needs its files (`make voices`); without them
//! these tests say so, loudly, and prove nothing.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use speech::{
    Backend, Lexicon, SpeechError, Studio, StudioConfig, TicketClips, Voice, VoiceError, level,
};

fn folder() -> PathBuf {
    std::env::var_os("CARELINE_VOICES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../voices/hibari")),
        PathBuf::from,
    )
}

/// The voice, loaded once for all tests; nothing when its files aren't there.
fn voice() -> Option<Arc<Voice>> {
    static VOICE: OnceLock<Option<Arc<Voice>>> = OnceLock::new();
    VOICE
        .get_or_init(|| match Voice::load(&folder()) {
            Ok(voice) => Some(Arc::new(voice)),
            Err(VoiceError::Missing { path, .. }) => {
                // Past the test harness, which hides what passing tests print.
                let message = format!(
                    "\n*** NOT TESTED: the built-in voice is missing ({}). Run `make voices`. ***\n\n",
                    path.display()
                );
                let _ = std::fs::write("/dev/stderr", message);
                None
            }
            Err(error) => panic!("{error}"),
        })
        .clone()
}

#[test]
fn the_same_text_gives_the_same_samples() {
    let Some(voice) = voice() else { return };
    let text = "Your ticket number is 4719203855.";
    let first = voice.say(text).unwrap();
    assert_eq!(first, voice.say(text).unwrap());
    let seconds = first.duration().as_secs_f32();
    assert!((3.0..7.0).contains(&seconds), "{seconds}");
}

#[test]
fn prompts_come_out_at_telephone_level() {
    let Some(voice) = voice() else { return };
    for text in [
        "Yes.",
        "Thank you for calling the help desk. If this is an emergency, hang up and dial 911.",
        "Clinicians, press 1; hospital staff, press 2; patients, press 3.",
    ] {
        let pcm = level::telephone(&voice.say(text).unwrap());
        let samples: Vec<f32> = pcm
            .samples
            .iter()
            .map(|s| f32::from(*s) / 32_768.0)
            .collect();
        let loudness = level::loudness_lufs(&samples, 8_000).unwrap();
        let peak = level::true_peak_dbtp(&samples).unwrap();
        assert!(
            (loudness - level::TARGET_LUFS).abs() < 1.0,
            "{text}: {loudness} LUFS"
        );
        assert!(peak <= level::PEAK_DBTP_MAX + 0.1, "{text}: {peak} dBTP");
    }
}

#[test]
fn every_word_has_its_phonemes() {
    let Some(voice) = voice() else { return };
    let check = |text: &str, words: usize| {
        let phonemes = voice.phonemes(text).unwrap().join(" ");
        let found = phonemes.split(' ').filter(|word| !word.is_empty()).count();
        assert!(found >= words, "{text}: {phonemes}");
    };
    // Names no dictionary has, letters, hyphens, apostrophes, accents.
    check("Doctor Okafor and Nurse Siobhan Kowalczyk.", 6);
    check("Your M R N and the E H R.", 9);
    check("The on-call nurse.", 3);
    check("Okafor's patient, O'Malley-Nakamura.", 3);
    check("José García and Zoë Nguyễn.", 5);
    check("A nurse in the E D at nine A M.", 9);
}

#[test]
fn what_has_no_pronunciation_is_an_error() {
    let Some(voice) = voice() else { return };
    let long = "x".repeat(60);
    assert!(matches!(
        voice.say(&format!("Hello {long}.")),
        Err(SpeechError::UnknownWord { .. })
    ));
    assert!(matches!(
        voice.say("Hello \u{1F600}."),
        Err(SpeechError::Unreadable { .. })
    ));
}

#[test]
fn the_lexicon_decides_how_names_are_said() {
    let Some(voice) = voice() else { return };
    let lexicon = Lexicon::parse("Okafor oh-KAH-for").unwrap();
    let said = voice
        .phonemes(&lexicon.mark("Hello, Doctor Okafor."))
        .unwrap()
        .join(" ");
    assert!(said.contains("Okˈɑfɔɹ"), "{said}");
    let said = voice
        .phonemes(&lexicon.mark("Okafor's desk."))
        .unwrap()
        .join(" ");
    assert!(said.contains("Okˈɑfɔɹz"), "{said}");
}

#[test]
fn long_texts_are_spoken_whole() {
    let Some(voice) = voice() else { return };
    let text = "the nurse will call you back and ".repeat(30);
    let seconds = voice.say(&text).unwrap().duration().as_secs_f32();
    assert!(seconds > 30.0, "{seconds}");
}

#[test]
fn tickets_are_read_from_clips() {
    let Some(voice) = voice() else { return };
    let studio = Studio::start(StudioConfig::default(), Backend::Hibari(voice), None).unwrap();
    let clips = TicketClips::record(&studio).unwrap();
    let said = clips.say("4719203855").unwrap();
    let seconds = said.duration().as_secs_f32();
    assert!((3.5..7.0).contains(&seconds), "{seconds}");
    // For the ear: CARELINE_CLIPS=/some/folder keeps twenty as WAV.
    if let Some(folder) = std::env::var_os("CARELINE_CLIPS") {
        // Every pair once.
        for first in (0..100).step_by(5) {
            let ticket: String = (0..5)
                .map(|n| format!("{:02}", (first + n * 21) % 100))
                .collect();
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: 8_000,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let path = PathBuf::from(&folder).join(format!("{ticket}.wav"));
            let mut writer = hound::WavWriter::create(path, spec).unwrap();
            for sample in clips.say(&ticket).unwrap().samples {
                writer.write_sample(sample).unwrap();
            }
            writer.finalize().unwrap();
        }
    }
}

#[test]
fn a_studio_speaks_with_this_voice() {
    let Some(voice) = voice() else { return };
    let studio = Studio::start(StudioConfig::default(), Backend::Hibari(voice), None).unwrap();
    let answer = studio.request(1, "You are number 3 in the queue.");
    let pcm = answer
        .recv_timeout(Duration::from_secs(60))
        .unwrap()
        .unwrap();
    assert!((1_000..5_000).contains(&(pcm.duration().as_millis() as u64)));
}

#[test]
fn a_missing_or_altered_voice_says_what_to_do() {
    let folder = std::env::temp_dir().join(format!("careline-no-voice-{}", std::process::id()));
    let said =
        |result: Result<Voice, VoiceError>| result.err().map(|error| error.to_string()).unwrap();
    assert!(said(Voice::load(&folder)).contains("make voices"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("vocab.json"), "{}").unwrap();
    let altered = said(Voice::load(&folder));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        altered.contains("not the expected file") && altered.contains("make voices"),
        "{altered}"
    );
}
