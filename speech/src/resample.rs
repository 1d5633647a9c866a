//! Band-limited change of the sampling rate by a ratio of whole numbers.

use std::f64::consts::PI;

/// Attenuation the filter is designed for.
const STOPBAND_DB: f64 = 70.0;

/// A windowed-sinc filter in as many phases as the ratio needs.
pub(crate) struct Resampler {
    /// The rate is multiplied by this...
    up: usize,
    /// ...and divided by this.
    down: usize,
    /// Taps per phase.
    taps: usize,
    /// `up` phases of `taps` coefficients, each summing to 1.
    phases: Vec<f32>,
}

impl Resampler {
    /// `pass_hz` is where the passband ends; the stopband (70 dB) begins at
    /// `stop_hz`. Both lie below half of either rate or at it.
    pub(crate) fn new(from_hz: u32, to_hz: u32, pass_hz: f64, stop_hz: f64) -> Self {
        let divisor = gcd(from_hz, to_hz);
        let up = (to_hz / divisor) as usize;
        let down = (from_hz / divisor) as usize;
        let rate = f64::from(from_hz);
        // Kaiser's formulas for length and shape of the window.
        let transition = 2.0 * PI * (stop_hz - pass_hz).max(1.0) / rate;
        let taps =
            (((STOPBAND_DB - 7.95) / (2.285 * transition)).ceil() as usize).clamp(8, 1_024) | 1;
        let beta = 0.1102 * (STOPBAND_DB - 8.7);
        let cutoff = (pass_hz + stop_hz) / rate; // of Nyquist
        let middle = (taps / 2) as f64;
        let mut phases = Vec::with_capacity(up * taps);
        for phase in 0..up {
            let shift = phase as f64 / up as f64;
            let row: Vec<f64> = (0..taps)
                .map(|tap| {
                    // Distance from the sample wanted, in input samples.
                    let x = tap as f64 - middle - shift;
                    let reach = x / (middle + 1.0);
                    let window =
                        bessel_i0(beta * (1.0 - reach * reach).max(0.0).sqrt()) / bessel_i0(beta);
                    let sinc = if x.abs() < 1e-9 {
                        cutoff
                    } else {
                        (PI * cutoff * x).sin() / (PI * x)
                    };
                    sinc * window
                })
                .collect();
            let sum: f64 = row.iter().sum();
            phases.extend(row.iter().map(|c| (c / sum) as f32));
        }
        Self {
            up,
            down,
            taps,
            phases,
        }
    }

    /// The whole signal at the new rate, without delay.
    pub(crate) fn run(&self, input: &[f32]) -> Vec<f32> {
        let length = (input.len() * self.up).div_ceil(self.down);
        let half = (self.taps / 2) as isize;
        (0..length)
            .map(|n| {
                let position = n * self.down;
                let start = (position / self.up) as isize - half;
                let row = &self.phases[(position % self.up) * self.taps..][..self.taps];
                let first = start.max(0);
                let end = (start + self.taps as isize).min(input.len() as isize);
                if end <= first {
                    return 0.0;
                }
                let row = &row[(first - start) as usize..(end - start) as usize];
                let samples = &input[first as usize..end as usize];
                row.iter().zip(samples).map(|(c, s)| c * s).sum()
            })
            .collect()
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

/// Modified Bessel function of the first kind, order 0, by its series.
fn bessel_i0(x: f64) -> f64 {
    let mut sum = 1.0;
    let mut term = 1.0;
    for k in 1..40 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, rate: u32, samples: usize) -> Vec<f32> {
        (0..samples)
            .map(|n| (2.0 * std::f32::consts::PI * hz * n as f32 / rate as f32).sin())
            .collect()
    }

    fn rms(samples: &[f32]) -> f32 {
        let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
        (middle.iter().map(|s| s * s).sum::<f32>() / middle.len() as f32).sqrt()
    }

    /// Level of a tone of `hz` after 24 → 8 kHz, in dB.
    fn through_telephone(hz: f32) -> f32 {
        let resampler = Resampler::new(24_000, 8_000, 3_500.0, 4_000.0);
        let out = resampler.run(&tone(hz, 24_000, 24_000));
        20.0 * (rms(&out) * 2.0_f32.sqrt()).max(1e-9).log10()
    }

    #[test]
    fn speech_passes_and_aliases_do_not() {
        for hz in [100.0, 1_000.0, 3_400.0] {
            assert!(
                through_telephone(hz).abs() < 0.1,
                "{hz}: {}",
                through_telephone(hz)
            );
        }
        for hz in [4_100.0, 5_000.0, 7_900.0, 11_000.0] {
            assert!(
                through_telephone(hz) < -60.0,
                "{hz}: {}",
                through_telephone(hz)
            );
        }
    }

    #[test]
    fn odd_ratios_keep_time_and_level() {
        for from in [8_000, 16_000, 22_050, 44_100, 48_000] {
            let resampler = Resampler::new(from, 24_000, 3_500.0, 4_000.0);
            let out = resampler.run(&tone(500.0, from, from as usize));
            assert_eq!(out.len(), 24_000, "{from}");
            let expected = tone(500.0, 24_000, 24_000);
            let worst = (6_000..18_000)
                .map(|n| (out[n] - expected[n]).abs())
                .fold(0.0, f32::max);
            assert!(worst < 0.01, "{from}: {worst}");
        }
    }

    #[test]
    fn nothing_in_nothing_out() {
        assert!(
            Resampler::new(24_000, 8_000, 3_500.0, 4_000.0)
                .run(&[])
                .is_empty()
        );
    }
}
