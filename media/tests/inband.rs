//! The detector of tones against ITU-T Q.24: what must be heard, what must not, and speech.

use media::codec::Codec;
use media::dtmf::{Detector, Digit, Press, Tones};
use proptest::prelude::*;

const KEYS: &str = "123A456B789C*0#D";
const ROWS_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS_HZ: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

/// One press as it comes over a line.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// Level of each tone in dBm0; 0 dBm0 is 3.17 dB below µ-law's loudest tone.
    low_dbm: f64,
    high_dbm: f64,
    /// How far each lies beside its frequency, in percent.
    low_off: f64,
    high_off: f64,
    on_ms: f64,
    off_ms: f64,
    /// White noise, dBm0.
    noise_dbm: f64,
    codec: Codec,
}

const GOOD: Line = Line {
    low_dbm: -8.0,
    high_dbm: -6.0,
    low_off: 0.0,
    high_off: 0.0,
    on_ms: 50.0,
    off_ms: 50.0,
    noise_dbm: -70.0,
    codec: Codec::Pcmu,
};

fn amplitude(dbm: f64) -> f64 {
    22_300.0 * 10f64.powf(dbm / 20.0)
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between the two.
    fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (self.next() >> 11) as f64 / (1u64 << 53) as f64 * (most - least)
    }

    fn noise(&mut self) -> f64 {
        // Twelve uniform ones are normal enough.
        (0..12).map(|_| self.between(0.0, 1.0)).sum::<f64>() - 6.0
    }
}

/// Keys pressed one after the other, beginning anywhere within a hop.
fn pressed(keys: &str, line: Line, seed: u64) -> Vec<i16> {
    let mut dice = Dice(seed);
    let mut samples: Vec<f64> = vec![0.0; 200 + (dice.next() % 160) as usize];
    for key in keys.chars() {
        let place = KEYS.find(key).expect("a key");
        let low = ROWS_HZ[place / 4] * (1.0 + line.low_off / 100.0);
        let high = COLUMNS_HZ[place % 4] * (1.0 + line.high_off / 100.0);
        let (low_phase, high_phase) = (
            dice.between(0.0, std::f64::consts::TAU),
            dice.between(0.0, std::f64::consts::TAU),
        );
        let on = (line.on_ms * 8.0) as usize;
        let off = (line.off_ms * 8.0) as usize;
        samples.extend((0..on).map(|n| {
            let at = n as f64 / 8_000.0 * std::f64::consts::TAU;
            amplitude(line.low_dbm) * (at * low + low_phase).sin()
                + amplitude(line.high_dbm) * (at * high + high_phase).sin()
        }));
        samples.extend(std::iter::repeat_n(0.0, off));
    }
    samples.extend(std::iter::repeat_n(0.0, 800));
    let noise = amplitude(line.noise_dbm) / 2f64.sqrt();
    samples
        .into_iter()
        .map(|sample| (sample + dice.noise() * noise).clamp(-32_124.0, 32_124.0) as i16)
        .map(|sample| line.codec.decode(line.codec.encode(sample)))
        .collect()
}

fn heard(samples: &[i16]) -> String {
    let mut detector = Detector::default();
    let mut keys = String::new();
    detector.samples(samples.iter().copied(), |press| {
        if let Press::Started(digit) = press {
            keys.push(digit.char());
        }
    });
    keys
}

/// All keys at many beginnings: how many were heard right, of how many.
fn share(line: Line) -> (usize, usize) {
    let mut right = 0;
    for seed in 0..40 {
        let keys: String = KEYS.chars().chain(KEYS.chars().rev()).collect();
        if heard(&pressed(&keys, line, seed)) == keys {
            right += 1;
        }
    }
    (right, 40)
}

#[track_caller]
fn accepted(line: Line) {
    assert_eq!(share(line), (40, 40), "{line:?}");
}

#[track_caller]
fn rejected(line: Line) {
    for seed in 0..40 {
        assert_eq!(heard(&pressed(KEYS, line, seed)), "", "{line:?}");
    }
}

#[test]
fn timing_is_that_of_q_24() {
    accepted(Line {
        on_ms: 40.0,
        off_ms: 40.0,
        ..GOOD
    });
    accepted(Line {
        on_ms: 45.0,
        off_ms: 40.0,
        codec: Codec::Pcma,
        ..GOOD
    });
    accepted(Line {
        on_ms: 500.0,
        off_ms: 45.0,
        ..GOOD
    });
    rejected(Line {
        on_ms: 20.0,
        ..GOOD
    });
    rejected(Line {
        on_ms: 22.9,
        ..GOOD
    });
}

#[test]
fn frequencies_are_those_of_q_24() {
    for low_off in [-1.5, 0.0, 1.5] {
        for high_off in [-1.5, 0.0, 1.5] {
            accepted(Line {
                low_off,
                high_off,
                on_ms: 40.0,
                off_ms: 40.0,
                ..GOOD
            });
        }
    }
    for off in [-3.5, 3.5, -5.0, 5.0] {
        rejected(Line {
            low_off: off,
            ..GOOD
        });
        rejected(Line {
            high_off: off,
            ..GOOD
        });
        rejected(Line {
            low_off: off,
            high_off: -off,
            ..GOOD
        });
        rejected(Line {
            low_off: off,
            on_ms: 200.0,
            ..GOOD
        });
        rejected(Line {
            high_off: off,
            on_ms: 200.0,
            ..GOOD
        });
    }
}

#[test]
fn levels_and_twist_are_those_of_q_24() {
    for level in [0.0, -3.0, -10.0, -20.0, -25.0] {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            accepted(Line {
                low_dbm: level,
                high_dbm: level,
                on_ms: 40.0,
                off_ms: 40.0,
                codec,
                ..GOOD
            });
        }
    }
    for level in [-36.0, -40.0, -55.0] {
        rejected(Line {
            low_dbm: level,
            high_dbm: level,
            on_ms: 200.0,
            ..GOOD
        });
    }
    // The high tone 8 dB weaker, or 4 dB stronger.
    accepted(Line {
        low_dbm: -6.0,
        high_dbm: -14.0,
        on_ms: 40.0,
        off_ms: 40.0,
        ..GOOD
    });
    accepted(Line {
        low_dbm: -10.0,
        high_dbm: -6.0,
        on_ms: 40.0,
        off_ms: 40.0,
        ..GOOD
    });
    accepted(Line {
        low_dbm: -17.0,
        high_dbm: -25.0,
        on_ms: 40.0,
        off_ms: 40.0,
        ..GOOD
    });
    rejected(Line {
        low_dbm: -6.0,
        high_dbm: -18.0,
        on_ms: 200.0,
        ..GOOD
    });
    rejected(Line {
        low_dbm: -14.0,
        high_dbm: -6.0,
        on_ms: 200.0,
        ..GOOD
    });
    // One tone alone is no key.
    rejected(Line {
        high_dbm: -90.0,
        on_ms: 200.0,
        ..GOOD
    });
    rejected(Line {
        low_dbm: -90.0,
        on_ms: 200.0,
        ..GOOD
    });
}

#[test]
fn noise_is_borne() {
    // 24 dB below the tones together.
    accepted(Line {
        low_dbm: -20.0,
        high_dbm: -20.0,
        noise_dbm: -41.0,
        on_ms: 40.0,
        off_ms: 40.0,
        ..GOOD
    });
}

#[test]
fn a_drop_out_doubles_no_key() {
    for at in (30..200).step_by(7) {
        for length in [1, 5, 10, 15, 20] {
            let mut samples = pressed(
                "5",
                Line {
                    on_ms: 250.0,
                    ..GOOD
                },
                at as u64,
            );
            // The first key begins after 25 ms at the earliest.
            let from = 400 + at * 8;
            samples[from..from + length * 8].fill(0);
            assert_eq!(heard(&samples), "5", "{length} ms at {at}");
        }
    }
}

#[test]
fn missing_packets_double_no_key_and_end_none() {
    for missing in 4..14 {
        let samples = pressed(
            "7",
            Line {
                on_ms: 300.0,
                ..GOOD
            },
            missing,
        );
        let mut detector = Detector::default();
        let (mut started, mut ended) = (0, 0);
        for (n, frame) in samples.chunks(160).enumerate() {
            if (missing..missing + 3).contains(&(n as u64)) {
                detector.lost();
                continue;
            }
            detector.samples(frame.iter().copied(), |press| match press {
                Press::Started(_) => started += 1,
                Press::Ended { .. } => ended += 1,
            });
        }
        assert_eq!((started, ended), (1, 1), "{missing}");
    }
}

#[test]
fn how_long_is_told() {
    let samples = pressed(
        "9",
        Line {
            on_ms: 320.0,
            ..GOOD
        },
        3,
    );
    let mut told = Vec::new();
    Detector::default().samples(samples, |press| told.push(press));
    let [Press::Started(_), Press::Ended { digit, duration_ms }] = told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(digit.char(), '9');
    assert!((290..=340).contains(&duration_ms), "{duration_ms}");
}

#[test]
fn our_own_tones_are_heard() {
    let mut samples = vec![0i16; 500];
    for key in KEYS.chars() {
        let mut tones = Tones::new(Digit::from_char(key).unwrap());
        for n in 0..4 {
            samples.extend(tones.frame(n == 3));
        }
        samples.extend([0; 480]);
    }
    assert_eq!(heard(&samples), KEYS);
}

/// Something like speech: a voice of changing pitch through four changing resonances, with breath, pauses and plosives,
/// at telephone levels; `seconds` of it.
fn speech(seed: u64, seconds: usize, mut sample: impl FnMut(i16)) {
    let mut dice = Dice(seed);
    let mut pitch_hz = 120.0;
    let mut phase = 0.0f64;
    let mut resonances = [[0.0f64; 2]; 4];
    let mut left = 0usize;
    let mut period_hz = pitch_hz;
    let mut strength = 1.0;
    let (mut voiced, mut loud, mut formants, mut target_hz) = (true, 0.0, [500.0; 4], 120.0);
    for _ in 0..seconds * 8_000 {
        if left == 0 {
            // A sound of 30 to 250 ms.
            left = dice.between(240.0, 2_000.0) as usize;
            let kind = dice.next() % 10;
            loud = if kind == 0 {
                0.0
            } else {
                dice.between(0.1, 1.0)
            };
            voiced = kind < 8;
            // Of men, women and children, and whistled or sung now and then: a pure pitch held.
            target_hz = dice.between(80.0, if kind == 7 { 900.0 } else { 350.0 });
            formants = [
                dice.between(250.0, 900.0),
                dice.between(800.0, 2_300.0),
                dice.between(1_200.0, 3_000.0),
                dice.between(3_000.0, 3_600.0),
            ];
        }
        left -= 1;
        pitch_hz += (target_hz - pitch_hz) * 0.000_6 + dice.between(-0.05, 0.05);
        phase += period_hz / 8_000.0;
        let pulse = if phase >= 1.0 {
            phase -= 1.0;
            // No two periods of a voice are alike: half a percent in length, a few in strength.
            period_hz = pitch_hz * (1.0 + dice.noise() * 0.005);
            strength = 1.0 + dice.noise() * 0.04;
            strength
        } else {
            -strength * period_hz / 8_000.0
        };
        let breath = dice.between(-0.5, 0.5) * 0.1;
        let excited = loud
            * if voiced {
                pulse * 6.0 + breath
            } else {
                breath * 6.0
            };
        let mut sum = 0.0;
        for (n, state) in resonances.iter_mut().enumerate() {
            let width_hz = 40.0 + 30.0 * n as f64;
            let radius = (-std::f64::consts::PI * width_hz / 8_000.0).exp();
            let angle = std::f64::consts::TAU * formants[n] / 8_000.0;
            let next = excited + 2.0 * radius * angle.cos() * state[0] - radius * radius * state[1];
            *state = [next, state[0]];
            sum += next / (1.0 + n as f64);
        }
        let spoken = (sum * 500.0).clamp(-30_000.0, 30_000.0) as i16;
        sample(Codec::Pcmu.decode(Codec::Pcmu.encode(spoken)));
    }
}

#[test]
fn no_key_is_heard_in_an_hour_of_speech() {
    let mut false_keys = 0;
    let hours = std::env::var("SPEECH_HOURS").map_or(1, |hours| hours.parse().unwrap());
    for seed in 0..60 * hours {
        let mut detector = Detector::default();
        let mut energy = 0.0;
        speech(seed, 60, |sample| {
            energy += f64::from(sample).powi(2);
            detector.samples([sample], |press| {
                false_keys += usize::from(matches!(press, Press::Started(_)));
            });
        });
        // As loud as speech is on the telephone.
        let rms = (energy / 480_000.0).sqrt();
        assert!((700.0..9_000.0).contains(&rms), "{rms}");
    }
    assert_eq!(false_keys, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Anything within the limits is heard, once.
    #[test]
    fn whatever_q_24_allows_is_heard(
        keys in "[0-9A-D*#]{1,6}",
        level in -17.0f64..-4.0,
        twist in -7.5f64..3.5,
        low_off in -1.5f64..1.5,
        high_off in -1.5f64..1.5,
        on_ms in 40.0f64..120.0,
        off_ms in 40.0f64..120.0,
        seed: u64,
    ) {
        let line = Line { low_dbm: level, high_dbm: level + twist, low_off, high_off, on_ms, off_ms, ..GOOD };
        prop_assert_eq!(heard(&pressed(&keys, line, seed)), keys);
    }

    #[test]
    fn any_samples_are_survived(samples in proptest::collection::vec(any::<i16>(), 0..2_000)) {
        let _ = heard(&samples);
    }
}
