//! The network's spectrum → waveform.
//!
//! The acoustic network doesn't give samples but, for every frame of 12.5 ms
//! and each of 601 frequency bins, five numbers; this module makes sound of
//! them. With E the spectrum of a train of pulses at the pitch F0 and Z white
//! noise, a frame is
//!
//! ```text
//! S = exp(lh)·e^(iπ·tanh(theta))·E  +  exp(ln)·Z  +  exp(lr)·e^(i·phi)
//!     voiced part                      breath        what is neither
//! ```
//!
//! and the waveform its inverse short-time Fourier transform (Hann window of
//! 1,200 samples, a frame every 300, at 24 kHz), the interface documented by
//! the model's authors.

use std::f32::consts::PI;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Samples per window.
const WINDOW: usize = 1_200;
/// Samples per frame.
pub(crate) const HOP: usize = 300;
/// Frequency bins per frame.
pub(crate) const BINS: usize = WINDOW / 2 + 1;
const RATE_HZ: f32 = 24_000.0;
/// Below this pitch a frame is unvoiced.
const VOICED_HZ_MIN: f32 = 40.0;
/// Harmonics of the pulse train end here.
const HARMONIC_HZ_MAX: f32 = 11_000.0;
/// Log magnitudes are cut here, so that a wild value can't become infinite.
const LOG_MAGNITUDE_MAX: f32 = 7.0;

/// What the network says of one utterance. Matrices are `BINS` rows of
/// `frames` columns, row by row.
pub(crate) struct Spectrum<'a> {
    /// Frames.
    pub(crate) frames: usize,
    /// Log magnitude of the voiced part.
    pub(crate) lh: &'a [f32],
    /// Its phase, before tanh.
    pub(crate) theta: &'a [f32],
    /// Log magnitude of the noise.
    pub(crate) ln: &'a [f32],
    /// Log magnitude of the rest.
    pub(crate) lr: &'a [f32],
    /// Its phase, in radians.
    pub(crate) phi: &'a [f32],
    /// Pitch in Hz, one per frame; 0 where unvoiced.
    pub(crate) f0: &'a [f32],
}

/// Turns spectra into samples; holds the transforms' tables.
pub(crate) struct Vocoder {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    window: Vec<f32>,
}

/// Frames worked on together: the network's matrices run along time, a frame
/// runs across them, and reading sixteen neighbours at once uses whole cache
/// lines.
const BLOCK: usize = 16;

impl Vocoder {
    pub(crate) fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let window = (0..WINDOW)
            .map(|n| 0.5 - 0.5 * (2.0 * PI * n as f32 / WINDOW as f32).cos())
            .collect();
        Self {
            forward: planner.plan_fft_forward(WINDOW),
            inverse: planner.plan_fft_inverse(WINDOW),
            window,
        }
    }

    /// Samples at 24 kHz, `HOP` per frame, about ±1.
    pub(crate) fn samples(&self, spectrum: &Spectrum<'_>, noise: &mut Noise) -> Vec<f32> {
        let frames = spectrum.frames;
        if frames == 0 {
            return Vec::new();
        }
        let pulses = pulse_train(spectrum.f0);
        // A cosine of amplitude 1 peaks at half the window's sum: this makes
        // exp(lh) the harmonic's own magnitude.
        let source_scale = 1.0 / (WINDOW as f32 / 4.0);
        let inverse_scale = 1.0 / WINDOW as f32;

        // Overlap-add, half a window longer at both ends, cut off below.
        let mut sum = vec![0.0_f32; (frames + 3) * HOP];
        let mut weight = vec![0.0_f32; (frames + 3) * HOP];
        let mut time = vec![0.0_f32; WINDOW];
        let mut scratch_forward = self.forward.make_scratch_vec();
        let mut scratch_inverse = self.inverse.make_scratch_vec();
        let mut block = vec![Complex32::default(); BLOCK * BINS];

        for first in (0..frames).step_by(BLOCK) {
            let count = BLOCK.min(frames - first);
            for (i, frame) in (first..first + count).enumerate() {
                for (n, (t, w)) in time.iter_mut().zip(&self.window).enumerate() {
                    *t = w * source_scale * mirrored(&pulses, (frame * HOP + n) as isize - 600);
                }
                let bins = &mut block[i * BINS..(i + 1) * BINS];
                // Lengths are the planner's own: it can't fail.
                let _ = self
                    .forward
                    .process_with_scratch(&mut time, bins, &mut scratch_forward);
            }
            for bin in 0..BINS {
                let at = bin * frames + first;
                for i in 0..count {
                    let k = at + i;
                    let voiced = block[i * BINS + bin]
                        * Complex32::from_polar(
                            magnitude(spectrum.lh[k]),
                            PI * spectrum.theta[k].tanh(),
                        );
                    let breath = noise.complex() * magnitude(spectrum.ln[k]);
                    let rest = Complex32::from_polar(magnitude(spectrum.lr[k]), spectrum.phi[k]);
                    block[i * BINS + bin] = voiced + breath + rest;
                }
            }
            for (i, frame) in (first..first + count).enumerate() {
                let bins = &mut block[i * BINS..(i + 1) * BINS];
                // A real signal has no phase at 0 Hz and at the highest bin.
                bins[0].im = 0.0;
                bins[BINS - 1].im = 0.0;
                let _ = self
                    .inverse
                    .process_with_scratch(bins, &mut time, &mut scratch_inverse);
                let at = frame * HOP;
                for (n, (t, w)) in time.iter().zip(&self.window).enumerate() {
                    sum[at + n] += t * inverse_scale * w;
                    weight[at + n] += w * w;
                }
            }
        }
        let half = WINDOW / 2;
        sum[half..half + frames * HOP]
            .iter()
            .zip(&weight[half..half + frames * HOP])
            .map(|(s, w)| s / w.max(1e-11))
            .collect()
    }
}

fn magnitude(log: f32) -> f32 {
    log.min(LOG_MAGNITUDE_MAX).exp()
}

/// `samples[at]`, mirrored at both ends without repeating the end sample.
fn mirrored(samples: &[f32], at: isize) -> f32 {
    let last = samples.len() as isize - 1;
    if last <= 0 {
        return samples.first().copied().unwrap_or(0.0);
    }
    let folded = at.rem_euclid(2 * last);
    let index = if folded > last {
        2 * last - folded
    } else {
        folded
    };
    samples[index as usize]
}

/// All harmonics of the pitch up to 11 kHz with amplitude 1, in closed form:
/// Σ cos(h·t), h = 1…H, is sin((H + ½)·t) / (2·sin(t/2)) − ½.
fn pulse_train(f0: &[f32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(f0.len() * HOP);
    let mut phase = 0.0_f64;
    for frame in 0..f0.len() {
        let here = f0[frame];
        let before = f0[frame.saturating_sub(1)];
        let after = f0[(frame + 1).min(f0.len() - 1)];
        for n in 0..HOP {
            // A frame's value belongs to its middle; straight lines between.
            let u = (n as f32 + 0.5) / HOP as f32 - 0.5;
            let pitch = if u < 0.0 {
                before * -u + here * (1.0 + u)
            } else {
                here * (1.0 - u) + after * u
            };
            let running = pitch.max(VOICED_HZ_MIN);
            phase = (phase + f64::from(running) / f64::from(RATE_HZ)).fract();
            if pitch <= VOICED_HZ_MIN {
                out.push(0.0);
                continue;
            }
            let t = (phase * std::f64::consts::TAU) as f32;
            let order = (HARMONIC_HZ_MAX / running).floor() + 0.5;
            let below = 2.0 * (t * 0.5).sin();
            let sum = if below.abs() <= 2e-3 {
                order
            } else {
                (order * t).sin() / below
            };
            out.push(sum - 0.5);
        }
    }
    out
}

/// Noise that is the same every time, so that the same text gives the same
/// samples: SplitMix64, four 16-bit uniforms added up for each near-Gaussian.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn gauss(&mut self) -> f32 {
        let bits = self.next();
        let sum =
            (bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) + (bits >> 48);
        // Four uniforms have the mean 2 and the variance 1/3.
        (sum as f32 / 65_536.0 - 2.0) * 1.732_050_8
    }

    fn complex(&mut self) -> Complex32 {
        Complex32::new(self.gauss(), self.gauss())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_unit_variance_and_repeats() {
        let mut a = Noise::new(7);
        let mut b = Noise::new(7);
        let values: Vec<f32> = (0..20_000).map(|_| a.gauss()).collect();
        assert!(values.iter().all(|v| *v == b.gauss()));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn mirroring_repeats_no_end_sample() {
        let samples = [0.0, 1.0, 2.0, 3.0];
        let read: Vec<f32> = (-3..7).map(|at| mirrored(&samples, at)).collect();
        assert_eq!(read, [3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0]);
        assert_eq!(mirrored(&[], 5), 0.0);
        assert_eq!(mirrored(&[4.0], -5), 4.0);
    }

    /// A spectrum that is silent but for the pulses, at magnitude 1 and phase
    /// 0, must give the pulses back: that proves windows, scales and offsets.
    #[test]
    fn pulses_come_back_unchanged() {
        let frames = 40;
        let silent = vec![-30.0_f32; BINS * frames];
        let zero = vec![0.0_f32; BINS * frames];
        let f0 = vec![200.0_f32; frames];
        let vocoder = Vocoder::new();
        let spectrum = Spectrum {
            frames,
            lh: &zero,
            theta: &zero,
            ln: &silent,
            lr: &silent,
            phi: &zero,
            f0: &f0,
        };
        let out = vocoder.samples(&spectrum, &mut Noise::new(1));
        assert_eq!(out.len(), frames * HOP);
        let pulses = pulse_train(&f0);
        for n in 1_500..frames * HOP - 1_500 {
            let expected = pulses[n] / 300.0;
            assert!(
                (out[n] - expected).abs() < 1e-3,
                "{n}: {} {expected}",
                out[n]
            );
        }
    }
}
