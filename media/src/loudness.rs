//! Programme loudness (ITU-R BS.1770-4), for audio made here: no gate, since none of it pauses.

use std::f64::consts::PI;

use crate::codec::SAMPLE_RATE_HZ;

/// A second-order filter, direct form two, transposed.
struct Biquad {
    feed: [f64; 3],
    back: [f64; 2],
    state: [f64; 2],
}

impl Biquad {
    fn next(&mut self, input: f64) -> f64 {
        let output = self.feed[0] * input + self.state[0];
        self.state[0] = self.feed[1] * input - self.back[0] * output + self.state[1];
        self.state[1] = self.feed[2] * input - self.back[1] * output;
        output
    }

    /// The head's shelf: the standard gives coefficients for 48 kHz only, these are its analogue values warped to ours.
    fn shelf() -> Biquad {
        let (frequency, gain_db, quality) = (
            1_681.974_450_955_533,
            3.999_843_853_973_347,
            0.707_175_236_955_419_6,
        );
        let k = (PI * frequency / f64::from(SAMPLE_RATE_HZ)).tan();
        let high = 10f64.powf(gain_db / 20.0);
        let band = high.powf(0.499_666_774_154_541_6);
        let scale = 1.0 + k / quality + k * k;
        Biquad {
            feed: [
                (high + band * k / quality + k * k) / scale,
                2.0 * (k * k - high) / scale,
                (high - band * k / quality + k * k) / scale,
            ],
            back: [
                2.0 * (k * k - 1.0) / scale,
                (1.0 - k / quality + k * k) / scale,
            ],
            state: [0.0; 2],
        }
    }

    /// The high-pass of the revised low-frequency B curve.
    fn high_pass() -> Biquad {
        let (frequency, quality) = (38.135_470_876_024_44, 0.500_327_037_323_877_3);
        let k = (PI * frequency / f64::from(SAMPLE_RATE_HZ)).tan();
        let scale = 1.0 + k / quality + k * k;
        Biquad {
            feed: [1.0, -2.0, 1.0],
            back: [
                2.0 * (k * k - 1.0) / scale,
                (1.0 - k / quality + k * k) / scale,
            ],
            state: [0.0; 2],
        }
    }
}

/// Loudness of 8 kHz samples (full scale is 1) in LUFS.
pub(crate) fn lufs(samples: &[f64]) -> f64 {
    let (mut shelf, mut high_pass) = (Biquad::shelf(), Biquad::high_pass());
    let power: f64 = samples
        .iter()
        .map(|&sample| high_pass.next(shelf.next(sample)).powi(2))
        .sum();
    -0.691 + 10.0 * (power / samples.len().max(1) as f64).max(1e-12).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_tone_reads_right() {
        // 997 Hz at full scale on one channel reads −3.01 LUFS (BS.1770-4 annex 1).
        let tone: Vec<f64> = (0..80_000)
            .map(|n| (2.0 * PI * 997.0 * f64::from(n) / 8_000.0).sin())
            .collect();
        let read = lufs(&tone);
        assert!((read + 3.01).abs() < 0.1, "{read}");
    }
}
