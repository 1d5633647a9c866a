//! Loudness, pure tones and likeness of samples.

use std::f64::consts::TAU;
use std::sync::LazyLock;

use media::codec::SAMPLE_RATE_HZ;

use super::super::marker::{Marker, TONES};

/// Samples in one step of an envelope: 10 ms.
pub(super) const STEP_SAMPLES: usize = 80;
/// Mean square above which a frame sounds: −47 dBov.
const ACTIVE_POWER: f32 = 150.0 * 150.0;
/// Share of a frame's energy that lies in one tone if it is a marker's.
const PURE: f32 = 0.8;

/// Mean square.
fn power(samples: &[i16]) -> f32 {
    let sum: f32 = samples
        .iter()
        .map(|&sample| f32::from(sample) * f32::from(sample))
        .sum();
    sum / samples.len().max(1) as f32
}

/// Whether something sounds.
pub(super) fn is_active(samples: &[i16]) -> bool {
    power(samples) > ACTIVE_POWER
}

/// Loudness in steps of 10 ms, logarithmic above a floor: what is left of speech by any codec.
pub(super) fn envelope(samples: &[i16]) -> Vec<f32> {
    samples
        .chunks_exact(STEP_SAMPLES)
        .map(|step| (power(step) + 1_000.0).ln())
        .collect()
}

/// The marker tone a frame consists of, if it is one.
pub(super) fn pure_tone(samples: &[i16]) -> Option<usize> {
    static COEFFICIENTS: LazyLock<[f32; TONES]> = LazyLock::new(|| {
        std::array::from_fn(|tone| {
            (2.0 * (TAU * f64::from(Marker::tone_hz(tone)) / f64::from(SAMPLE_RATE_HZ)).cos())
                as f32
        })
    });
    let total = power(samples);
    if total <= ACTIVE_POWER {
        return None;
    }
    // Goertzel: |X|² of a sine that fills the frame is N²A²/4, its mean square A²/2.
    let count = samples.len() as f32;
    let whole = total * count * count / 2.0;
    COEFFICIENTS.iter().position(|&coefficient| {
        let (mut s1, mut s2) = (0.0f32, 0.0f32);
        for &sample in samples {
            let s0 = f32::from(sample) + coefficient * s1 - s2;
            s2 = s1;
            s1 = s0;
        }
        s1 * s1 + s2 * s2 - coefficient * s1 * s2 > PURE * whole
    })
}

/// How alike two stretches are, −1 to 1, whatever their level (Pearson's correlation); 0 if one doesn't vary.
pub(super) fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let count = a.len().min(b.len());
    if count == 0 {
        return 0.0;
    }
    let (a, b) = (&a[..count], &b[..count]);
    let mean = |values: &[f32]| values.iter().sum::<f32>() / count as f32;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut product, mut square_a, mut square_b) = (0.0f32, 0.0f32, 0.0f32);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        product += a * b;
        square_a += a * a;
        square_b += b * b;
    }
    let norm = (square_a * square_b).sqrt();
    // An envelope that hardly moves (a hum, a tone) is like everything.
    if norm < 1.0 { 0.0 } else { product / norm }
}

/// Correlation of samples, −1 to 1, whatever their level.
pub(super) fn correlation(a: &[i16], b: &[i16]) -> f32 {
    let (mut product, mut square_a, mut square_b) = (0.0f32, 0.0f32, 0.0f32);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f32::from(a), f32::from(b));
        product += a * b;
        square_a += a * a;
        square_b += b * b;
    }
    let norm = (square_a * square_b).sqrt();
    if norm < 1.0 { 0.0 } else { product / norm }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::codec::Codec;

    #[test]
    fn tones_are_told_apart_after_any_codec() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for tone in 0..TONES {
                let (clip, mut found) = (Marker::new(tone).clip(), 0);
                for frame in 0..clip.frames() {
                    let bytes = clip.frame(codec, frame).unwrap();
                    let samples: Vec<i16> = bytes.iter().map(|&byte| codec.decode(byte)).collect();
                    if let Some(heard) = pure_tone(&samples) {
                        assert_eq!(heard, tone);
                        found += 1;
                    }
                }
                assert_eq!(found, 12, "{codec} {tone}");
            }
        }
    }
}
