//! Listening to streams made by hand: lossy, shifted, transcoded, mixed up.

use std::sync::Arc;
use std::time::Duration;

use media::clip::Clip;
use media::codec::{Codec, FRAME_SAMPLES};
use media::engine::Heard;
use proptest::prelude::*;

use super::super::marker::Marker;
use super::{ClipKind, Hearing, HearingEvent, Library, Sound};

/// Something like speech: syllables of harmonics with pauses between, different for every seed.
fn speech(seed: u64, ms: usize) -> Vec<i16> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f64 / f64::from(1u32 << 24)
    };
    let mut samples = Vec::new();
    while samples.len() < ms * 8 {
        let (pitch, length) = (
            90.0 + 140.0 * random(),
            (600.0 + 1_600.0 * random()) as usize,
        );
        let (level, pause) = (1_500.0 + 5_000.0 * random(), (random() * 900.0) as usize);
        let harmonics: Vec<f64> = (0..12).map(|_| random()).collect();
        for n in 0..length {
            let t = n as f64 / 8_000.0;
            let shape = (std::f64::consts::PI * n as f64 / length as f64).sin();
            let glide = pitch * (1.0 + 0.1 * t);
            let tone: f64 = harmonics
                .iter()
                .enumerate()
                .map(|(k, weight)| {
                    weight * (std::f64::consts::TAU * glide * (k + 1) as f64 * t).sin()
                })
                .sum();
            samples.push(
                (level * shape * (tone / 3.0 + (random() - 0.5) * 0.2)).clamp(-32_000.0, 32_000.0)
                    as i16,
            );
        }
        samples.extend(std::iter::repeat_n(0, pause));
    }
    samples.truncate(ms * 8);
    samples
}

pub(in super::super) fn prompt(seed: u64, ms: usize) -> Arc<Clip> {
    Clip::from_samples(&speech(seed, ms))
}

/// Three prompts, and music of another voice.
fn library() -> Arc<Library> {
    Arc::new(Library::of(
        [
            ("Welcome.".to_owned(), ClipKind::Prompt, prompt(1, 2_000)),
            ("Press 1.".to_owned(), ClipKind::Prompt, prompt(2, 3_000)),
            ("Goodbye.".to_owned(), ClipKind::Prompt, prompt(3, 1_500)),
            ("music".to_owned(), ClipKind::Music, prompt(4, 5_000)),
        ]
        .into_iter(),
    ))
}

/// A sender of packets whose every detail the test decides.
struct Stream {
    hearing: Hearing,
    now: Duration,
    sequence: u64,
    timestamp: u32,
    codec: Codec,
    packet_samples: usize,
}

impl Stream {
    fn new() -> Stream {
        Stream {
            hearing: Hearing::listening(library()),
            now: Duration::ZERO,
            sequence: 70_000,
            timestamp: u32::MAX - 4_000,
            codec: Codec::Pcmu,
            packet_samples: FRAME_SAMPLES,
        }
    }

    /// Sends encoded audio, one packet after the other; those that `lost` picks are not delivered.
    fn send(&mut self, bytes: &[u8], lost: impl Fn(usize) -> bool) {
        for (number, payload) in bytes.chunks(self.packet_samples).enumerate() {
            if !lost(number) {
                let heard = Heard {
                    sequence: self.sequence,
                    timestamp: self.timestamp,
                    codec: self.codec.into(),
                    payload,
                };
                self.hearing.packet(self.now, &heard);
            }
            self.sequence += 1;
            self.timestamp = self.timestamp.wrapping_add(payload.len() as u32);
            self.now += Duration::from_micros(payload.len() as u64 * 125);
            self.hearing.tick(self.now);
        }
    }

    fn play(&mut self, clip: &Clip) {
        let codec = self.codec;
        self.send(clip.bytes(codec), |_| false);
    }

    /// Time goes by without packets; the sender's clock goes on.
    fn pause(&mut self, ms: u32) {
        for _ in 0..ms / 20 {
            self.now += Duration::from_millis(20);
            self.timestamp = self.timestamp.wrapping_add(160);
            self.hearing.tick(self.now);
        }
    }

    /// Ends the call and writes down what was heard: what, from when to when in tenths of a second.
    fn heard(mut self) -> Vec<String> {
        self.hearing.finish(self.now);
        let tenths = |time: &Duration| (time.as_millis() + 50) / 100;
        let mut open = 0;
        let mut all = Vec::new();
        while let Some(event) = self.hearing.poll_event() {
            match &event {
                HearingEvent::Began { .. } => open += 1,
                HearingEvent::Ended { sound, from, to } => {
                    open -= 1;
                    let what = match sound {
                        Sound::Prompt {
                            text,
                            from_ms,
                            frames,
                            span_frames,
                            of_frames,
                            identical,
                        } => {
                            let how = if *identical { "same" } else { "alike" };
                            format!("{text} {how} {frames}/{span_frames}/{of_frames}+{from_ms}")
                        }
                        Sound::Music { identical } => format!("music {identical}"),
                        Sound::RingBack => "ring".to_owned(),
                        Sound::Tone(marker) => format!("tone {marker}"),
                        Sound::Voice => "voice".to_owned(),
                        Sound::Silence => "silence".to_owned(),
                    };
                    all.push(format!("{what} {}-{}", tenths(from), tenths(to)));
                }
            }
            assert!((0..=1).contains(&open), "one thing at a time: {event:?}");
        }
        assert_eq!(open, 0, "everything ends");
        all
    }
}

fn check(prepare: impl FnOnce(&mut Stream), expected: &[&str]) {
    let mut stream = Stream::new();
    prepare(&mut stream);
    assert_eq!(stream.heard(), expected);
}

#[test]
fn what_arrives_whole_is_recognised_bit_by_bit() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        check(
            |s| {
                s.codec = codec;
                s.play(&prompt(1, 2_000));
                s.play(&prompt(2, 3_000));
            },
            &[
                "Welcome. same 100/100/100+0 0-20",
                "Press 1. same 150/150/150+0 20-50",
            ],
        );
    }
    // Twice the same is twice.
    check(
        |s| {
            s.play(&prompt(3, 1_500));
            s.play(&prompt(3, 1_500));
        },
        &[
            "Goodbye. same 75/75/75+0 0-15",
            "Goodbye. same 75/75/75+0 15-30",
        ],
    );
    // Packets of 30 and of 10 ms are put together again.
    for samples in [240, 80, 320] {
        check(
            |s| {
                s.packet_samples = samples;
                s.play(&prompt(1, 2_000));
                s.play(&prompt(3, 1_500));
            },
            &[
                "Welcome. same 100/100/100+0 0-20",
                "Goodbye. same 75/75/75+0 20-35",
            ],
        );
    }
}

#[test]
fn what_is_lost_is_missing_and_no_more() {
    let clip = prompt(2, 3_000);
    check(
        |s| s.send(clip.bytes(Codec::Pcmu), |n| n % 10 == 7),
        &["Press 1. same 135/150/150+0 0-30"],
    );
    // The beginning and the end lost.
    check(
        |s| s.send(clip.bytes(Codec::Pcmu), |n| !(20..=130).contains(&n)),
        &["Press 1. same 111/111/150+400 4-26"],
    );
    // Broken off: by something else, and by nothing at all.
    check(
        |s| {
            s.send(&clip.bytes(Codec::Pcmu)[..160 * 60], |_| false);
            s.play(&prompt(3, 1_500));
        },
        &[
            "Press 1. same 60/60/150+0 0-12",
            "Goodbye. same 75/75/75+0 12-27",
        ],
    );
    check(
        |s| {
            s.send(&clip.bytes(Codec::Pcmu)[..160 * 60], |_| false);
            s.pause(600);
            s.play(&prompt(3, 1_500));
        },
        &[
            "Press 1. same 60/60/150+0 0-12",
            "Goodbye. same 75/75/75+0 18-33",
        ],
    );
}

#[test]
fn late_and_doubled_packets_do_not_count() {
    let mut stream = Stream::new();
    let clip = prompt(1, 2_000);
    let packet = |n: usize| Heard {
        sequence: 9 + n as u64,
        timestamp: 160 * n as u32,
        codec: Codec::Pcmu.into(),
        payload: clip.frame(Codec::Pcmu, n).unwrap(),
    };
    for n in 0..100 {
        // Every tenth changes places with the one before; every seventh comes twice.
        let order: &[usize] = if n % 10 == 9 {
            &[n, n - 1]
        } else if n % 10 == 8 {
            &[]
        } else if n % 7 == 0 {
            &[n, n]
        } else {
            &[n]
        };
        for &n in order {
            stream.hearing.packet(stream.now, &packet(n));
        }
        stream.now += Duration::from_millis(20);
    }
    assert!(stream.hearing.counts().late > 10);
    assert_eq!(stream.heard(), ["Welcome. same 90/100/100+0 0-20"]);
}

#[test]
fn what_is_transcoded_or_shifted_is_recognised_by_its_sound() {
    let recognised = |prepare: &dyn Fn(&mut Stream)| {
        let mut stream = Stream::new();
        prepare(&mut stream);
        let heard = stream.heard();
        assert_eq!(heard.len(), 1, "{heard:?}");
        let frames: Vec<u32> = heard[0]
            .strip_prefix("Press 1. alike ")
            .and_then(|rest| rest.split('+').next())
            .unwrap_or_else(|| panic!("{heard:?}"))
            .split('/')
            .map(|n| n.parse().unwrap())
            .collect();
        assert!(frames[0] >= 140 && frames[1] <= 150, "{heard:?}");
    };
    let clip = prompt(2, 3_000);
    // Through the table to A-law: not what encoding to A-law gives.
    let table = Codec::Pcmu.transcoding(Codec::Pcma).unwrap();
    let transcoded: Vec<u8> = clip
        .bytes(Codec::Pcmu)
        .iter()
        .map(|&byte| table[usize::from(byte)])
        .collect();
    recognised(&|s| {
        s.codec = Codec::Pcma;
        s.send(&transcoded, |_| false);
    });
    // Shifted against the frames.
    let mut shifted = vec![Codec::Pcmu.silence(); 53];
    shifted.extend_from_slice(clip.bytes(Codec::Pcmu));
    shifted.resize(shifted.len().next_multiple_of(160), Codec::Pcmu.silence());
    recognised(&|s| s.send(&shifted, |_| false));
    // Half as loud.
    let soft: Vec<u8> = speech(2, 3_000)
        .iter()
        .map(|&sample| Codec::Pcmu.encode(sample / 2))
        .collect();
    recognised(&|s| s.send(&soft, |_| false));
}

#[test]
fn a_few_words_that_sound_alike_are_no_prompt() {
    let shifted = |frames: usize| {
        let mut samples = vec![0; 53];
        samples.extend_from_slice(&speech(2, 3_000)[..frames * FRAME_SAMPLES]);
        samples
    };
    let (few, many) = (shifted(35), shifted(100));
    let mut rest = speech(77, 2_000);
    rest.resize(rest.len().next_multiple_of(FRAME_SAMPLES), 0);
    let heard = |beginning: &[i16]| {
        let mut stream = Stream::new();
        let samples: Vec<i16> = beginning.iter().chain(&rest).copied().collect();
        stream.play(&Clip::from_samples(&samples));
        stream.pause(2_000);
        stream.heard()
    };
    let unknown = heard(&few);
    assert_eq!(unknown.len(), 2, "{unknown:?}");
    assert!(unknown[0].starts_with("voice 0-2"), "{unknown:?}");
    let known = heard(&many);
    assert!(known[0].starts_with("Press 1. alike "), "{known:?}");
}

#[test]
fn music_goes_round_from_anywhere() {
    let music = prompt(4, 5_000);
    check(
        |s| {
            let bytes = music.bytes(Codec::Pcmu);
            s.send(&bytes[160 * 100..], |_| false);
            s.send(bytes, |n| n == 30);
            s.send(&bytes[..160 * 50], |_| false);
            s.play(&prompt(3, 1_500));
        },
        &["music true 0-90", "Goodbye. same 75/75/75+0 90-105"],
    );
}

#[test]
fn the_products_own_sounds_are_known() {
    let library = Arc::new(Library::new(std::iter::empty()));
    for (clip, expected) in [
        (media::music::on_hold(), "music true"),
        (media::music::ring_back(), "ring"),
    ] {
        let rounds = 6_000usize.div_ceil(clip.length().as_millis().max(1) as usize) + 1;
        let mut stream = Stream {
            hearing: Hearing::listening(Arc::clone(&library)),
            ..Stream::new()
        };
        for _ in 0..rounds {
            stream.play(&clip);
        }
        let heard = stream.heard();
        assert!(
            heard.len() == 1 && heard[0].starts_with(expected),
            "{heard:?}"
        );
    }
}

#[test]
fn parties_are_known_by_their_markers() {
    let say = |s: &mut Stream, index: usize, rounds: usize| {
        let clip = Marker::new(index).clip();
        (0..rounds).for_each(|_| s.play(&clip));
    };
    check(|s| say(s, 0, 10), &["tone 440 0-32"]);
    check(|s| say(s, 20, 10), &["tone 440+2060 0-32"]);
    check(
        |s| {
            say(s, 1, 10);
            say(s, 5, 10);
            s.play(&prompt(1, 2_000));
            say(s, 1, 4);
        },
        &[
            "tone 620 0-32",
            "tone 1340 32-64",
            "Welcome. same 100/100/100+0 64-84",
            "tone 620 84-96",
        ],
    );
    // Shifted and transcoded like anything else.
    check(
        |s| {
            let table = Codec::Pcmu.transcoding(Codec::Pcma).unwrap();
            let mut bytes = vec![Codec::Pcma.silence(); 77];
            for _ in 0..10 {
                bytes.extend(
                    Marker::new(1)
                        .clip()
                        .bytes(Codec::Pcmu)
                        .iter()
                        .map(|&byte| table[usize::from(byte)]),
                );
            }
            s.codec = Codec::Pcma;
            s.send(&bytes, |n| n % 9 == 4);
        },
        &["tone 620 1-31"],
    );
}

#[test]
fn voices_and_silence() {
    let quiet = Clip::silence(Duration::from_secs(3));
    check(|s| s.play(&quiet), &["silence 0-30"]);
    check(|s| s.pause(3_000), &["silence 0-30"]);
    check(
        |s| {
            s.play(&prompt(99, 3_000));
            s.play(&quiet);
        },
        &["voice 0-30", "silence 30-60"],
    );
    // Silence between two prompts is told, a breath isn't; packets or none make no difference.
    check(
        |s| {
            s.play(&prompt(1, 2_000));
            s.play(&Clip::silence(Duration::from_millis(600)));
            s.play(&prompt(1, 2_000));
            s.pause(2_000);
            s.play(&prompt(3, 1_500));
        },
        &[
            "Welcome. same 100/100/100+0 0-20",
            "Welcome. same 100/100/100+0 26-46",
            "silence 46-66",
            "Goodbye. same 75/75/75+0 66-81",
        ],
    );
}

#[test]
fn gaps_are_the_networks_not_the_senders() {
    let mut stream = Stream::new();
    stream.play(&prompt(1, 2_000));
    stream.pause(2_000);
    stream.play(&prompt(1, 2_000));
    let gaps = &stream.hearing.counts().gaps;
    assert_eq!(gaps.count(), 198);
    assert_eq!(gaps.max(), Duration::from_millis(20));
}

#[test]
fn prompts_that_begin_alike_are_told_apart_when_they_differ() {
    let (mut one, mut two) = (speech(5, 1_000), speech(5, 1_000));
    one.extend(speech(6, 1_000));
    two.extend(speech(7, 1_000));
    let clips = [
        ("one", Clip::from_samples(&one)),
        ("two", Clip::from_samples(&two)),
    ];
    let library = Library::of(
        clips
            .iter()
            .map(|(text, clip)| ((*text).to_owned(), ClipKind::Prompt, clip.clone())),
    );
    let library = Arc::new(library);
    for (text, clip) in &clips {
        let mut stream = Stream {
            hearing: Hearing::listening(Arc::clone(&library)),
            ..Stream::new()
        };
        stream.play(clip);
        assert_eq!(stream.heard(), [format!("{text} same 100/100/100+0 0-20")]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever arrives, one thing is heard at a time, everything that begins ends, and no more frames are
    /// bit-identical than were delivered.
    #[test]
    fn nothing_is_heard_that_was_not_sent(
        parts in prop::collection::vec((0u8..6, 1usize..120, 0u32..2), 1..6),
        lost in prop::collection::vec(any::<bool>(), 17),
        jump in any::<u32>(),
    ) {
        let mut stream = Stream::new();
        for (kind, frames, jumps) in parts {
            let clip = match kind {
                0 => prompt(1, 2_000),
                1 => prompt(2, 3_000),
                2 => prompt(50, 2_500),
                3 => Marker::new(frames).clip(),
                4 => Clip::silence(Duration::from_secs(2)),
                _ => prompt(4, 5_000),
            };
            let bytes = clip.bytes(Codec::Pcmu);
            stream.send(&bytes[..bytes.len().min(frames * 160)], |n| lost[n % lost.len()] && n % 5 == 0);
            stream.timestamp = stream.timestamp.wrapping_add(jump * jumps);
        }
        let delivered = stream.hearing.counts().packets;
        let mut identical = 0u64;
        for line in stream.heard() {
            if let Some((_, counts)) = line.split_once(" same ") {
                identical += counts.split('/').next().unwrap().parse::<u64>().unwrap();
            }
        }
        prop_assert!(identical <= delivered);
    }
}
