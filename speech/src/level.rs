//! Telephone level and bandwidth.
//!
//! [`telephone`] does five things, in this order: a high-pass against rumble,
//! resampling from 24 to 8 kHz (flat to 3.5 kHz, nothing above 4), gain to
//! −21 LUFS, a limiter at −3 dBTP, and trimming of the silence at both ends.
//! Every prompt comes out equally loud whatever the voice did, and none can
//! clip in G.711.
//!
//! Loudness is ITU-R BS.1770-4's with two simplifications. It is measured on
//! the signal that is played, at 8 kHz: the two K-weighting filters are
//! designed for that rate from their analogue prototypes (the standard gives
//! coefficients for 48 kHz only; at 8 kHz they are within 0.25 dB of it), so
//! what lies above 4 kHz doesn't count.
//! And a prompt shorter than one gating block of 400 ms is one block.

use std::f64::consts::PI;

use crate::resample::Resampler;
use crate::{Pcm, Pcm8k};

/// Loudness of every prompt.
pub const TARGET_LUFS: f64 = -21.0;
/// No peak between samples goes higher.
pub const PEAK_DBTP_MAX: f64 = -3.0;
/// Silence kept before the first sound.
pub const LEAD_MS: usize = 60;
/// Silence kept after the last sound.
pub const TAIL_MS: usize = 120;

const RATE: usize = Pcm8k::RATE_HZ as usize;
const FULL_SCALE: f32 = 32_768.0;
/// Below this (in a stretch of 10 ms) nobody hears anything on a telephone.
const SILENCE_DBFS: f32 = -50.0;

/// Brings speech to the telephone: 24 → 8 kHz, −21 LUFS, −3 dBTP, trimmed to
/// 60 ms of silence before and 120 ms after. Silence stays silence.
pub fn telephone(speech: &Pcm) -> Pcm8k {
    let mut samples = trim(&levelled(speech));
    // Of a short word, silence was a good part: measure again without.
    set_loudness(&mut samples, 3.0);
    limit(&mut samples);
    Pcm8k {
        samples: to_i16(&samples),
    }
}

/// As [`telephone`], but nothing cut off: sample `n` is sample `3 n` of
/// `speech`.
pub(crate) fn levelled(speech: &Pcm) -> Vec<f32> {
    let mut samples = narrow(speech);
    set_loudness(&mut samples, 60.0);
    limit(&mut samples);
    // The limiter takes a little away; give it back once.
    set_loudness(&mut samples, 3.0);
    limit(&mut samples);
    samples
}

/// 8 kHz, band-limited, unlevelled, ±1.
fn narrow(speech: &Pcm) -> Vec<f32> {
    let mut wide: Vec<f32> = speech
        .samples
        .iter()
        .map(|s| f32::from(*s) / FULL_SCALE)
        .collect();
    // Below a voice's pitch there is only rumble.
    Biquad::high_pass(f64::from(Pcm::RATE_HZ), 100.0, 0.707).run(&mut wide);
    Resampler::new(Pcm::RATE_HZ, Pcm8k::RATE_HZ, 3_500.0, 4_000.0).run(&wide)
}

pub(crate) fn to_i16(samples: &[f32]) -> Vec<i16> {
    samples
        .iter()
        .map(|s| (s * FULL_SCALE).round().clamp(-32_768.0, 32_767.0) as i16)
        .collect()
}

/// Gain to [`TARGET_LUFS`], within limits; silence is left alone.
fn set_loudness(samples: &mut [f32], change_db_max: f64) {
    let Some(loudness) = loudness_lufs(samples, Pcm8k::RATE_HZ) else {
        return;
    };
    let change = (TARGET_LUFS - loudness).clamp(-change_db_max, change_db_max);
    let gain = 10.0_f64.powf(change / 20.0) as f32;
    for sample in samples {
        *sample *= gain;
    }
}

/// Integrated loudness after ITU-R BS.1770-4 of mono `samples` (±1), or
/// nothing for silence (every block below −70 LUFS).
pub fn loudness_lufs(samples: &[f32], rate_hz: u32) -> Option<f64> {
    if samples.is_empty() {
        return None;
    }
    let rate = f64::from(rate_hz);
    let mut weighted = samples.to_vec();
    // The head's effect, then the ear's insensitivity to low tones: the
    // prototypes behind the standard's 48 kHz tables.
    Biquad::high_shelf(
        rate,
        1_681.974_450_955_533,
        3.999_843_853_973_347,
        0.707_175_236_955_419_6,
    )
    .run(&mut weighted);
    Biquad::high_pass(rate, 38.135_470_876_024_44, 0.500_327_037_323_877_3).run(&mut weighted);

    let block = (rate_hz as usize * 2 / 5).min(weighted.len());
    let step = (rate_hz as usize / 10).max(1);
    let powers: Vec<f64> = (0..=weighted.len() - block)
        .step_by(step)
        .map(|at| {
            let sum: f64 = weighted[at..at + block]
                .iter()
                .map(|s| f64::from(*s).powi(2))
                .sum();
            sum / block as f64
        })
        .collect();
    let lufs = |power: f64| -0.691 + 10.0 * power.log10();
    let mean = |threshold: f64| -> Option<f64> {
        let mut sum = 0.0;
        let mut count = 0.0;
        for power in powers.iter().filter(|power| lufs(**power) > threshold) {
            sum += power;
            count += 1.0;
        }
        (count > 0.0).then(|| sum / count)
    };
    let ungated = mean(-70.0)?;
    mean(lufs(ungated) - 10.0).map(lufs)
}

/// Highest level between samples of `samples` (±1), found at four times the
/// rate, in dBTP. Silence has none.
pub fn true_peak_dbtp(samples: &[f32]) -> Option<f64> {
    let peak = peaks(samples).into_iter().fold(0.0_f32, f32::max);
    (peak > 0.0).then(|| 20.0 * f64::from(peak).log10())
}

/// The true peak around each sample.
fn peaks(samples: &[f32]) -> Vec<f32> {
    let half = f64::from(Pcm8k::RATE_HZ) / 2.0;
    // The signal ends at 3.5 kHz: a short filter is exact enough.
    let fine =
        Resampler::new(Pcm8k::RATE_HZ, Pcm8k::RATE_HZ * 4, 3_600.0, half + 400.0).run(samples);
    samples
        .iter()
        .enumerate()
        .map(|(n, sample)| {
            let around = &fine[(n * 4).saturating_sub(3)..(n * 4 + 4).min(fine.len())];
            around
                .iter()
                .fold(sample.abs(), |peak, s| peak.max(s.abs()))
        })
        .collect()
}

/// Look-ahead limiter: the gain is down before the peak comes (5 ms), and up
/// again over about 60 ms.
fn limit(samples: &mut [f32]) {
    // A tenth of a dB below, for what smoothing and rounding add.
    let ceiling = 10.0_f32.powf((PEAK_DBTP_MAX as f32 - 0.1) / 20.0);
    let wanted: Vec<f32> = peaks(samples)
        .into_iter()
        .map(|peak| if peak > ceiling { ceiling / peak } else { 1.0 })
        .collect();
    if wanted.iter().all(|gain| *gain >= 1.0) {
        return;
    }
    const AHEAD: usize = RATE * 5 / 1_000;
    let release = 1.0 - (-1.0 / (0.06 * RATE as f32)).exp();
    // Lowest gain wanted within the look-ahead on either side, released
    // slowly, then averaged over the same stretch: never above what is
    // wanted at any sample, and without a corner.
    let n = wanted.len();
    let mut held = vec![1.0_f32; n];
    let mut gain = 1.0_f32;
    for at in 0..n {
        let window = &wanted[at.saturating_sub(AHEAD)..(at + AHEAD + 1).min(n)];
        let lowest = window.iter().fold(1.0_f32, |a, b| a.min(*b));
        gain = if lowest < gain {
            lowest
        } else {
            gain + (lowest - gain) * release
        };
        held[at] = gain;
    }
    for (at, sample) in samples.iter_mut().enumerate() {
        let window = &held[at.saturating_sub(AHEAD)..(at + AHEAD + 1).min(n)];
        *sample *= window.iter().sum::<f32>() / window.len() as f32;
    }
}

/// First and one past the last sample that can be heard.
pub(crate) fn audible(samples: &[f32]) -> Option<(usize, usize)> {
    const STRETCH: usize = RATE / 100;
    let threshold = 10.0_f32.powf(SILENCE_DBFS / 20.0).powi(2);
    let loud =
        |chunk: &[f32]| chunk.iter().map(|s| s * s).sum::<f32>() / chunk.len() as f32 > threshold;
    let first = samples.chunks(STRETCH).position(loud)?;
    let last = samples.chunks(STRETCH).rposition(loud)?;
    Some((first * STRETCH, ((last + 1) * STRETCH).min(samples.len())))
}

/// Cuts or fills the silence at both ends to [`LEAD_MS`] and [`TAIL_MS`],
/// with fades over the kept part so that no cut is heard.
fn trim(samples: &[f32]) -> Vec<f32> {
    const LEAD: usize = LEAD_MS * RATE / 1_000;
    const TAIL: usize = TAIL_MS * RATE / 1_000;
    let Some((first, end)) = audible(samples) else {
        return Vec::new();
    };
    let before = first.min(LEAD);
    let after = (samples.len() - end).min(TAIL);
    let mut out = vec![0.0_f32; LEAD - before];
    out.extend_from_slice(&samples[first - before..end + after]);
    out.resize(LEAD + (end - first) + TAIL, 0.0);
    fade(&mut out, LEAD - before, before, 1);
    let length = out.len();
    fade(&mut out, length - 1 - (TAIL - after), after, -1);
    out
}

/// Fades `length` samples in, from `at` in the direction of `step`.
fn fade(samples: &mut [f32], at: usize, length: usize, step: isize) {
    for n in 0..length {
        let index = at as isize + n as isize * step;
        if let Some(sample) = usize::try_from(index)
            .ok()
            .and_then(|index| samples.get_mut(index))
        {
            *sample *= n as f32 / length as f32;
        }
    }
}

/// A second-order filter, direct form 2 transposed.
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
}

impl Biquad {
    /// By the bilinear transform, exact at `hz`.
    fn high_pass(rate: f64, hz: f64, q: f64) -> Self {
        let k = (PI * hz / rate).tan();
        let norm = 1.0 + k / q + k * k;
        Self {
            b: [1.0 / norm, -2.0 / norm, 1.0 / norm],
            a: [2.0 * (k * k - 1.0) / norm, (1.0 - k / q + k * k) / norm],
        }
    }

    /// The first filter of BS.1770, from its analogue prototype.
    fn high_shelf(rate: f64, hz: f64, gain_db: f64, q: f64) -> Self {
        let k = (PI * hz / rate).tan();
        let high = 10.0_f64.powf(gain_db / 20.0);
        let band = high.powf(0.499_666_774_154_541_6);
        let norm = 1.0 + k / q + k * k;
        Self {
            b: [
                (high + band * k / q + k * k) / norm,
                2.0 * (k * k - high) / norm,
                (high - band * k / q + k * k) / norm,
            ],
            a: [2.0 * (k * k - 1.0) / norm, (1.0 - k / q + k * k) / norm],
        }
    }

    fn run(&self, samples: &mut [f32]) {
        let (mut s1, mut s2) = (0.0, 0.0);
        for sample in samples {
            let x = f64::from(*sample);
            let y = self.b[0] * x + s1;
            s1 = self.b[1] * x - self.a[0] * y + s2;
            s2 = self.b[2] * x - self.a[1] * y;
            *sample = y as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, amplitude: f64, rate: u32, seconds: f64) -> Vec<f32> {
        (0..(seconds * f64::from(rate)) as usize)
            .map(|n| (amplitude * (2.0 * PI * hz * n as f64 / f64::from(rate)).sin()) as f32)
            .collect()
    }

    fn pcm(samples: &[f32]) -> Pcm {
        Pcm {
            samples: to_i16(samples),
        }
    }

    fn floats(pcm: &Pcm8k) -> Vec<f32> {
        pcm.samples
            .iter()
            .map(|s| f32::from(*s) / FULL_SCALE)
            .collect()
    }

    /// BS.1770: a full-scale sine of 997 Hz in one channel is −3.01 LUFS.
    #[test]
    fn the_meter_agrees_with_the_standard() {
        let check = |amplitude: f64, rate: u32, expected: f64| {
            let found = loudness_lufs(&tone(997.0, amplitude, rate, 3.0), rate).unwrap();
            assert!(
                (found - expected).abs() < 0.3,
                "{amplitude} at {rate}: {found}"
            );
        };
        check(1.0, 48_000, -3.01);
        check(0.1, 48_000, -23.01);
        check(1.0, 8_000, -3.01);
        check(0.1, 8_000, -23.01);
        check(0.1, 24_000, -23.01);
    }

    #[test]
    fn pauses_do_not_count() {
        let mut samples = tone(997.0, 0.1, 8_000, 3.0);
        samples.extend(vec![0.0; 8_000 * 10]);
        let found = loudness_lufs(&samples, 8_000).unwrap();
        assert!((found + 23.01).abs() < 0.5, "{found}");
        assert_eq!(loudness_lufs(&[0.0; 8_000], 8_000), None);
        assert_eq!(loudness_lufs(&[], 8_000), None);
    }

    #[test]
    fn short_prompts_are_measured_too() {
        let found = loudness_lufs(&tone(997.0, 0.1, 8_000, 0.2), 8_000).unwrap();
        assert!((found + 23.01).abs() < 0.5, "{found}");
    }

    #[test]
    fn the_true_peak_lies_between_samples() {
        // At a quarter of the rate, 45° off, samples see 0.707 of the peak.
        let samples: Vec<f32> = (0..800)
            .map(|n| (PI / 4.0 + PI / 2.0 * f64::from(n)).sin() as f32)
            .collect();
        let found = true_peak_dbtp(&samples[..]).unwrap();
        assert!(found.abs() < 0.3, "{found}");
    }

    #[test]
    fn loud_quiet_and_spiky_all_come_out_alike() {
        let mut spiky = tone(300.0, 0.05, 24_000, 2.0);
        for n in (2_000..46_000).step_by(6_000) {
            for (k, sample) in spiky[n..n + 48].iter_mut().enumerate() {
                *sample = if k < 24 { 0.4 } else { -0.4 };
            }
        }
        let cases = [
            ("quiet", tone(500.0, 0.01, 24_000, 2.0)),
            ("loud", tone(500.0, 1.0, 24_000, 2.0)),
            ("spiky", spiky),
        ];
        for (name, samples) in cases {
            let out = floats(&telephone(&pcm(&samples)));
            let loudness = loudness_lufs(&out, 8_000).unwrap();
            let peak = true_peak_dbtp(&out).unwrap();
            assert!(
                (loudness - TARGET_LUFS).abs() < 1.5,
                "{name}: {loudness} LUFS"
            );
            assert!(peak <= PEAK_DBTP_MAX + 0.05, "{name}: {peak} dBTP");
        }
    }

    #[test]
    fn silence_at_the_ends_is_cut_or_filled() {
        let check = |lead_s: f64, tail_s: f64| {
            let mut samples = vec![0.0_f32; (lead_s * 24_000.0) as usize];
            samples.extend(tone(500.0, 0.2, 24_000, 1.0));
            samples.extend(vec![0.0_f32; (tail_s * 24_000.0) as usize]);
            let out = telephone(&pcm(&samples));
            let length_ms = out.samples.len() / 8;
            assert!(
                (1_170..=1_210).contains(&length_ms),
                "{lead_s} {tail_s}: {length_ms}"
            );
            let first = out.samples.iter().position(|s| s.abs() > 500).unwrap() / 8;
            assert!((50..=75).contains(&first), "{lead_s} {tail_s}: {first}");
        };
        check(0.0, 0.0);
        check(0.5, 0.8);
        check(0.02, 0.03);
    }

    #[test]
    fn silence_stays_silence() {
        assert!(
            telephone(&Pcm {
                samples: Vec::new()
            })
            .samples
            .is_empty()
        );
        assert!(
            telephone(&Pcm {
                samples: vec![0; 24_000]
            })
            .samples
            .is_empty()
        );
        assert!(telephone(&Pcm { samples: vec![1] }).samples.len() < 8_000);
    }
}
