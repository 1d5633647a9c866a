//! What a phone says so that others know it by ear.

use std::f64::consts::TAU;
use std::fmt;
use std::sync::Arc;

use media::clip::Clip;
use media::codec::SAMPLE_RATE_HZ;

/// Number of tones markers are made of.
pub(super) const TONES: usize = 12;
/// How long one burst lasts, and the pause after it.
const BURST_MS: u32 = 120;
const PAUSE_MS: u32 = 40;
/// Peak of a burst; about −15 dBov, as loud as speech.
const PEAK: f64 = 8_000.0;
/// Bursts rise and fall in this time, lest they click.
const EDGE_MS: f64 = 6.0;

/// A melody that tells one phone from the others: bursts of one tone, or of two in turn.
///
/// The tones lie 180 Hz apart from 440 Hz, apart enough for one frame of 20 ms to tell them. The first twelve markers
/// are the single tones; the others are the pairs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Marker {
    low: u8,
    high: u8,
}

impl Marker {
    /// How many different markers there are.
    pub const COUNT: usize = TONES + TONES * (TONES - 1) / 2;

    /// Marker number `index`, modulo [`Marker::COUNT`].
    pub const fn new(index: usize) -> Marker {
        let index = index % Marker::COUNT;
        if index < TONES {
            return Marker {
                low: index as u8,
                high: index as u8,
            };
        }
        let mut rest = index - TONES;
        let mut low = 0;
        while rest >= TONES - 1 - low {
            rest -= TONES - 1 - low;
            low += 1;
        }
        Marker {
            low: low as u8,
            high: (low + 1 + rest) as u8,
        }
    }

    /// The marker of these tones, in any order.
    pub(super) fn of_tones(a: usize, b: usize) -> Option<Marker> {
        (a < TONES && b < TONES).then(|| Marker {
            low: a.min(b) as u8,
            high: a.max(b) as u8,
        })
    }

    /// Frequency of a tone.
    pub(super) const fn tone_hz(tone: usize) -> u32 {
        440 + 180 * tone as u32
    }

    /// Its frequencies: equal for a single tone.
    pub const fn tones_hz(self) -> (u32, u32) {
        (
            Marker::tone_hz(self.low as usize),
            Marker::tone_hz(self.high as usize),
        )
    }

    /// One round of it, whole frames that join without a click.
    pub fn clip(self) -> Arc<Clip> {
        let (low, high) = self.tones_hz();
        let mut samples = Vec::new();
        for hz in [low, high] {
            let count = BURST_MS * SAMPLE_RATE_HZ / 1_000;
            let edge = EDGE_MS * f64::from(SAMPLE_RATE_HZ) / 1_000.0;
            samples.extend((0..count).map(|n| {
                let fade = (f64::from(n) / edge)
                    .min(f64::from(count - n) / edge)
                    .min(1.0);
                let angle = TAU * f64::from(hz) * f64::from(n) / f64::from(SAMPLE_RATE_HZ);
                (PEAK * fade * angle.sin()) as i16
            }));
            samples.resize(
                samples.len() + (PAUSE_MS * SAMPLE_RATE_HZ / 1_000) as usize,
                0,
            );
        }
        Clip::from_samples(&samples)
    }
}

impl fmt::Display for Marker {
    /// `440`, or `440+620`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.tones_hz();
        if low == high {
            write!(f, "{low}")
        } else {
            write!(f, "{low}+{high}")
        }
    }
}

impl fmt::Debug for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Marker({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_all_different() {
        let mut all: Vec<Marker> = (0..Marker::COUNT).map(Marker::new).collect();
        assert_eq!(all[0].to_string(), "440");
        assert_eq!(all[1].to_string(), "620");
        assert_eq!(all[12].to_string(), "440+620");
        assert_eq!(Marker::new(Marker::COUNT), all[0]);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), Marker::COUNT);
        assert!(all.iter().all(|marker| marker.tones_hz().1 < 2_600));
    }

    #[test]
    fn a_round_is_whole_frames() {
        let clip = Marker::new(3).clip();
        assert_eq!(clip.frames() * 20, 2 * (BURST_MS + PAUSE_MS) as usize);
    }
}
