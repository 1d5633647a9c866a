//! What a waiting caller hears, composed by code: no recording, hence nobody's rights.
//!
//! Each function composes anew, the music within some tens of milliseconds of CPU: call it once and share the clip.

use std::f64::consts::TAU;
use std::sync::Arc;

use crate::clip::Clip;
use crate::codec::SAMPLE_RATE_HZ;
use crate::loudness::lufs;

/// Samples of a beat: 73 beats a minute.
const BEAT: usize = 6_600;
const BAR: usize = 4 * BEAT;
/// Below the loudness of speech, which is normalised to −21.
const MUSIC_LUFS: f64 = -24.0;
/// No partial above: a telephone passes up to 3.4 kHz.
const PARTIAL_HZ_MAX: f64 = 3_000.0;

/// A bar: its pad of four voices, as MIDI note numbers, and the notes of its broken chord.
struct Bar {
    pad: [u8; 4],
    melody: [u8; 8],
}

/// Sixteen bars in C, two phrases of eight. 0 in the melody is a rest.
const SCORE: [Bar; 16] = [
    Bar {
        pad: [65, 72, 76, 81],
        melody: [65, 69, 72, 76, 72, 69, 72, 0],
    },
    Bar {
        pad: [64, 71, 74, 79],
        melody: [64, 67, 71, 74, 71, 67, 71, 0],
    },
    Bar {
        pad: [62, 69, 72, 77],
        melody: [62, 65, 69, 72, 76, 72, 69, 0],
    },
    Bar {
        pad: [60, 67, 71, 76],
        melody: [64, 67, 71, 72, 71, 67, 64, 0],
    },
    Bar {
        pad: [65, 69, 72, 76],
        melody: [65, 69, 72, 76, 79, 76, 72, 0],
    },
    Bar {
        pad: [67, 71, 74, 76],
        melody: [67, 71, 74, 76, 74, 71, 67, 0],
    },
    Bar {
        pad: [69, 72, 76, 79],
        melody: [69, 72, 76, 79, 76, 72, 76, 0],
    },
    Bar {
        pad: [67, 72, 74, 79],
        melody: [67, 72, 74, 79, 74, 72, 0, 0],
    },
    Bar {
        pad: [65, 72, 76, 81],
        melody: [69, 72, 76, 77, 76, 72, 69, 0],
    },
    Bar {
        pad: [64, 71, 74, 79],
        melody: [67, 71, 74, 79, 74, 71, 67, 0],
    },
    Bar {
        pad: [69, 72, 76, 79],
        melody: [64, 69, 72, 76, 72, 69, 64, 0],
    },
    Bar {
        pad: [62, 69, 72, 77],
        melody: [65, 69, 72, 77, 76, 72, 69, 0],
    },
    Bar {
        pad: [67, 71, 74, 77],
        melody: [62, 67, 71, 74, 77, 74, 71, 0],
    },
    Bar {
        pad: [60, 67, 71, 76],
        melody: [64, 67, 72, 76, 72, 71, 67, 0],
    },
    Bar {
        pad: [62, 69, 72, 77],
        melody: [69, 72, 77, 76, 72, 69, 65, 0],
    },
    Bar {
        pad: [67, 72, 74, 77],
        melody: [67, 71, 74, 72, 71, 0, 0, 0],
    },
];

/// Music on hold: a loop of 53 s that joins without a seam, at −24 LUFS. Soft chords under a slow broken chord.
pub fn on_hold() -> Arc<Clip> {
    let swell = Envelope::Swell {
        rise: 9_000,
        hold: BAR - 6_000,
        fall: 13_000,
    }
    .course();
    let pluck = Envelope::Pluck {
        rise: 90,
        fall: 5_200.0,
    }
    .course();
    let mut mix = vec![0.0; SCORE.len() * BAR];
    for (number, bar) in SCORE.iter().enumerate() {
        let start = number * BAR;
        for (voice, &key) in bar.pad.iter().enumerate() {
            // Two strings a hair apart make it breathe.
            for detune in [0.9988, 1.0012] {
                let note = Note {
                    hertz: hertz(key) * detune,
                    partials: &[1.0, 0.28, 0.12, 0.04],
                    level: if voice == 0 { 0.11 } else { 0.075 },
                    envelope: &swell,
                };
                note.add(start, &mut mix);
            }
        }
        for (place, &key) in bar.melody.iter().enumerate() {
            if key == 0 {
                continue;
            }
            // The first of the bar is stressed, off-beats are lighter, and no two bars are quite alike.
            let stress =
                [1.0, 0.62, 0.78, 0.66][place % 4] - 0.04 * ((number * 5 + place * 3) % 4) as f64;
            let note = Note {
                hertz: hertz(key),
                partials: &[1.0, 0.32, 0.10, 0.05],
                level: 0.30 * stress,
                envelope: &pluck,
            };
            note.add(start + place * BEAT / 2, &mut mix);
        }
    }
    let gain = 10f64.powf((MUSIC_LUFS - lufs(&mix)) / 20.0);
    clip(&mix, gain)
}

/// Ring-back as heard in the USA: 440 and 480 Hz, 2 s on and 4 s off. To be looped.
pub fn ring_back() -> Arc<Clip> {
    let rate = SAMPLE_RATE_HZ as usize;
    // Without a click.
    let envelope = Envelope::Swell {
        rise: 40,
        hold: 2 * rate - 80,
        fall: 40,
    }
    .course();
    let mut mix = vec![0.0; 6 * rate];
    for hertz in [440.0, 480.0] {
        let tone = Note {
            hertz,
            partials: &[1.0],
            // −19 dBm0 each (ANSI T1.401); a full-scale tone has 3.14 dBm0, so −22.14 below it.
            level: 10f64.powf(-22.14 / 20.0),
            envelope: &envelope,
        };
        tone.add(0, &mut mix);
    }
    clip(&mix, 1.0)
}

/// Two soft notes, under a second: "one moment, please".
pub fn chime() -> Arc<Clip> {
    let pluck = Envelope::Pluck {
        rise: 120,
        fall: 1_100.0,
    }
    .course();
    let mut mix = vec![0.0; 7_200];
    for (start, key) in [(0, 76), (1_600, 72)] {
        let note = Note {
            hertz: hertz(key),
            partials: &[1.0, 0.25, 0.08],
            level: 0.16,
            envelope: &pluck,
        };
        note.add(start, &mut mix);
    }
    clip(&mix, 1.0)
}

/// How a note comes and goes; all in samples.
#[derive(Debug, Clone, Copy)]
enum Envelope {
    /// Rises, stays, falls, each along half a cosine.
    Swell {
        rise: usize,
        hold: usize,
        fall: usize,
    },
    /// Rises at once and falls to 1/e in `fall`, until it can't be heard.
    Pluck { rise: usize, fall: f64 },
}

impl Envelope {
    fn length(self) -> usize {
        match self {
            Envelope::Swell { rise, hold, fall } => rise + hold + fall,
            // e^-7 is −61 dB.
            Envelope::Pluck { fall, .. } => (7.0 * fall) as usize,
        }
    }

    /// Its course, sample by sample.
    fn course(self) -> Vec<f64> {
        (0..self.length()).map(|sample| self.at(sample)).collect()
    }

    fn at(self, sample: usize) -> f64 {
        let half_cosine =
            |part: usize, whole: usize| 0.5 - 0.5 * (0.5 * TAU * part as f64 / whole as f64).cos();
        match self {
            Envelope::Swell { rise, .. } if sample < rise => half_cosine(sample, rise),
            Envelope::Swell { rise, hold, fall } => match sample.checked_sub(rise + hold) {
                None => 1.0,
                Some(falling) => 1.0 - half_cosine(falling, fall),
            },
            Envelope::Pluck { rise, fall } => {
                let attack = if sample < rise {
                    half_cosine(sample, rise)
                } else {
                    1.0
                };
                // The last tenth leads to nothing, lest even −61 dB click.
                let left = (self.length() - sample) as f64 / (0.7 * fall);
                attack * (-(sample as f64) / fall).exp() * left.min(1.0)
            }
        }
    }
}

/// A note; its envelope is [`Envelope::course`], which many notes share.
struct Note<'a> {
    hertz: f64,
    /// Levels of the harmonics.
    partials: &'a [f64],
    level: f64,
    envelope: &'a [f64],
}

impl Note<'_> {
    /// Adds the note to a mix that is a circle: what rings beyond the end goes on at the beginning, so that the end
    /// joins the beginning like any other two samples.
    fn add(&self, start: usize, mix: &mut [f64]) {
        let length = mix.len();
        let mut oscillators: Vec<Oscillator> = (1u32..)
            .zip(self.partials)
            .map(|(number, level)| (self.hertz * f64::from(number), level * self.level))
            .filter(|(hertz, _)| *hertz < PARTIAL_HZ_MAX)
            .map(|(hertz, level)| Oscillator::new(hertz, level))
            .collect();
        for (sample, level) in self.envelope.iter().enumerate() {
            let sum: f64 = oscillators.iter_mut().map(Oscillator::next).sum();
            mix[(start + sample) % length] += sum * level;
        }
    }
}

/// A sine by rotation: no call to `sin` for each sample.
struct Oscillator {
    position: (f64, f64),
    step: (f64, f64),
}

impl Oscillator {
    fn new(hertz: f64, level: f64) -> Oscillator {
        let angle = TAU * hertz / f64::from(SAMPLE_RATE_HZ);
        Oscillator {
            position: (level, 0.0),
            step: (angle.cos(), angle.sin()),
        }
    }

    fn next(&mut self) -> f64 {
        let ((x, y), (cos, sin)) = (self.position, self.step);
        self.position = (x * cos - y * sin, x * sin + y * cos);
        y
    }
}

/// Frequency of a MIDI note number.
fn hertz(key: u8) -> f64 {
    440.0 * 2f64.powf((f64::from(key) - 69.0) / 12.0)
}

fn clip(mix: &[f64], gain: f64) -> Arc<Clip> {
    let samples: Vec<i16> = mix
        .iter()
        .map(|sample| (sample * gain * 32_767.0).clamp(-32_768.0, 32_767.0) as i16)
        .collect();
    Clip::from_samples(&samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;

    fn decoded(clip: &Clip) -> Vec<f64> {
        let bytes = clip.bytes(Codec::Pcmu).iter();
        bytes
            .map(|&byte| f64::from(Codec::Pcmu.decode(byte)) / 32_768.0)
            .collect()
    }

    #[test]
    fn the_music_is_quiet_long_and_without_a_seam() {
        let music = on_hold();
        assert_eq!(music.length().as_millis(), 52_800);
        let samples = decoded(&music);
        let loudness = lufs(&samples);
        assert!((loudness + 24.0).abs() < 0.3, "{loudness}");
        let peak = samples
            .iter()
            .fold(0.0f64, |peak, sample| peak.max(sample.abs()));
        assert!(peak < 0.5, "{peak}");
        // The step from the end to the beginning is no larger than steps are elsewhere.
        let steps = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs());
        let largest = steps.fold(0.0, f64::max);
        assert!((samples[0] - samples[samples.len() - 1]).abs() < largest);
        // Nor does it ever fall silent.
        let quietest = samples.chunks(4_000).map(lufs).fold(0.0, f64::min);
        assert!(quietest > -36.0, "{quietest}");
    }

    #[test]
    fn ring_back_keeps_its_cadence() {
        let samples = decoded(&ring_back());
        assert_eq!(samples.len(), 48_000);
        assert!(lufs(&samples[..16_000]) > -25.0);
        assert!(samples[16_000..].iter().all(|sample| sample.abs() < 0.001));
    }

    #[test]
    fn the_chime_is_short_and_soft() {
        let samples = decoded(&chime());
        assert!(samples.len() <= 8_000);
        assert!(samples.iter().all(|sample| sample.abs() < 0.4));
        assert!(
            samples[samples.len() - 80..]
                .iter()
                .all(|sample| sample.abs() < 0.01)
        );
    }
}
