//! G.722 at 64 kbit/s (ITU-T G.722, mode 1): 16 kHz audio in two sub-bands of 8 kHz, each ADPCM.
//!
//! The lower sub-band is 8 kHz audio. A leg of G.711 is joined with one of G.722 there ([`Encoder::narrow`],
//! [`Decoder::narrow`]): that costs neither a filter nor its delay, and half of the arithmetic.
//!
//! Bit-exact with the ITU's software (Software Tool Library, `src/g722`).

mod band;

use band::{Band, limit};

/// What the upper sub-band of silence is coded as, for ever.
const NOTHING_ABOVE: u8 = 0b11 << 6;
/// Half of the quadrature mirror filters, whose other half is the same backwards (table 11).
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];
/// Samples that the filters look back.
const PAST: usize = 22;
/// Levels between which a difference in the lower sub-band lies, times the scale (table 14, Q6).
const DECISIONS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023,
    1_121, 1_219, 1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];
/// What a code of the lower sub-band means, times the scale (table 18, QQ6).
const LEVELS: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192,
    -10_232, -9_360, -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008,
    -3_576, -3_168, -2_776, -2_400, -2_032, -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008,
    16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576, 7_856, 7_192, 6_576, 6_000,
    5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040, 728, 432,
    136, -432, -136,
];
/// Greatest value of a sub-band's sample.
const SUB_BAND_MAX: i32 = 16_383;

/// Codes one stream. A byte depends on all that came before it.
#[derive(Debug, Clone)]
pub struct Encoder {
    low: Band,
    high: Band,
    past: [i32; PAST],
}

/// Decodes one stream. One that begins in its midst is right within a tenth of a second.
#[derive(Debug, Clone)]
pub struct Decoder {
    low: Band,
    high: Band,
    past: [i32; PAST],
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder {
            low: Band::low(),
            high: Band::high(),
            past: [0; PAST],
        }
    }
}

impl Encoder {
    /// Codes the next two samples of 16 kHz audio.
    pub fn wide(&mut self, samples: [i16; 2]) -> u8 {
        let [earlier, later] = samples.map(i32::from);
        let (mut odd, mut even) = filter(&self.past);
        odd += earlier * QMF[11];
        even += later * QMF[0];
        remember(&mut self.past, [earlier, later]);
        self.low(within((even + odd) >> 14)) | self.high(within((even - odd) >> 14)) << 6
    }

    /// Codes the next sample of 8 kHz audio: there is nothing above 4 kHz.
    #[inline]
    pub fn narrow(&mut self, sample: i16) -> u8 {
        self.low(i32::from(sample) >> 1) | NOTHING_ABOVE
    }

    fn low(&mut self, sample: i32) -> u8 {
        let difference = limit(sample - self.low.predicted());
        let magnitude = if difference >= 0 {
            difference
        } else {
            !difference
        };
        let scale = self.low.scale();
        let step = DECISIONS.partition_point(|decision| (decision * scale) >> 12 <= magnitude);
        let code = match (step as u8, difference < 0) {
            // The least two of the negative codes are out of the row (table 16).
            (step @ 0..=1, true) => 63 - step,
            (step, true) => 33 - step,
            (step, false) => 61 - step,
        };
        self.low.adapt_low(code >> 2);
        code
    }

    fn high(&mut self, sample: i32) -> u8 {
        let difference = limit(sample - self.high.predicted());
        let magnitude = if difference >= 0 {
            difference
        } else {
            !difference
        };
        let outer = magnitude >= (564 * self.high.scale()) >> 12;
        let code = u8::from(!outer) | u8::from(difference >= 0) << 1;
        self.high.adapt_high(code);
        code
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder {
            low: Band::low(),
            high: Band::high(),
            past: [0; PAST],
        }
    }
}

impl Decoder {
    /// Decodes a byte to two samples of 16 kHz audio.
    pub fn wide(&mut self, byte: u8) -> [i16; 2] {
        let low = self.low(byte);
        let code = byte >> 6;
        let predicted = self.high.predicted();
        let high = within(predicted + self.high.adapt_high(code));
        let (mut later, mut earlier) = filter(&self.past);
        let pair = [low + high, low - high];
        later += pair[0] * QMF[11];
        earlier += pair[1] * QMF[0];
        remember(&mut self.past, pair);
        [earlier, later].map(|sum| limit(sum >> 11) as i16)
    }

    /// Decodes a byte to one sample of 8 kHz audio: what lies above 4 kHz is left out.
    #[inline]
    pub fn narrow(&mut self, byte: u8) -> i16 {
        limit(self.low(byte) << 1) as i16
    }

    fn low(&mut self, byte: u8) -> i32 {
        let code = byte & 0x3f;
        let level = (self.low.scale() * LEVELS[usize::from(code)]) >> 15;
        let sample = within(self.low.predicted() + level);
        self.low.adapt_low(code >> 2);
        sample
    }
}

/// The two halves of a filter over the past, less what is still to come.
fn filter(past: &[i32; PAST]) -> (i32, i32) {
    let mut sums = (0, 0);
    for (n, pair) in past.as_chunks::<2>().0.iter().enumerate() {
        sums.0 += pair[0] * QMF[n];
        sums.1 += pair[1] * QMF[11 - n];
    }
    sums
}

fn remember(past: &mut [i32; PAST], pair: [i32; 2]) {
    past.copy_within(2.., 0);
    past[PAST - 2..].copy_from_slice(&pair);
}

fn within(sample: i32) -> i32 {
    sample.clamp(-SUB_BAND_MAX - 1, SUB_BAND_MAX)
}

#[cfg(test)]
mod tests;
