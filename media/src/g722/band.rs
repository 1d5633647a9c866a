//! One sub-band: its adaptive quantiser's scale, and the predictor of two poles and six zeros (ITU-T G.722, 3.6).

/// What four bits of a code mean, times the scale (table 17, QQ4).
const LEVELS_LOW: [i32; 16] = [
    0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288,
    4_240, 2_584, 1_200, 0,
];
/// How these change the scale's logarithm (table 20).
const CHANGES_LOW: [i32; 16] = [
    -60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60,
];
/// The same of the upper sub-band's two bits (tables 19 and 21).
const LEVELS_HIGH: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];
const CHANGES_HIGH: [i32; 4] = [798, -214, 798, -214];
/// The scale's logarithm at most.
const LOG_MAX_LOW: i32 = 18_432;
const LOG_MAX_HIGH: i32 = 22_528;
/// 2,048 · 2^(n / 32) (table 22).
const POWERS: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656,
    2_714, 2_774, 2_834, 2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520,
    3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

/// The state of one.
#[derive(Debug, Clone)]
pub(super) struct Band {
    /// The scale's logarithm, 2,048 to each doubling.
    log: i32,
    scale: i32,
    /// What is expected of the next sample, and the zeros' part in it.
    predicted: i32,
    by_zeros: i32,
    poles: [i32; 2],
    zeros: [i32; 6],
    /// The newest first: samples, what the zeros and the difference made of them, differences.
    samples: [i32; 2],
    partly: [i32; 2],
    differences: [i32; 6],
}

impl Band {
    pub(super) const fn low() -> Band {
        Band::new(32)
    }

    pub(super) const fn high() -> Band {
        Band::new(8)
    }

    const fn new(scale: i32) -> Band {
        Band {
            log: 0,
            scale,
            predicted: 0,
            by_zeros: 0,
            poles: [0; 2],
            zeros: [0; 6],
            samples: [0; 2],
            partly: [0; 2],
            differences: [0; 6],
        }
    }

    #[inline]
    pub(super) fn predicted(&self) -> i32 {
        self.predicted
    }

    #[inline]
    pub(super) fn scale(&self) -> i32 {
        self.scale
    }

    /// Learns from the upper four bits of a code of the lower sub-band.
    #[inline]
    pub(super) fn adapt_low(&mut self, code: u8) {
        let code = usize::from(code & 15);
        let difference = (self.scale * LEVELS_LOW[code]) >> 15;
        self.log = (((self.log * 127) >> 7) + CHANGES_LOW[code]).clamp(0, LOG_MAX_LOW);
        self.scale = scale(self.log, 8);
        self.predict(difference);
    }

    /// Learns from a code of the upper one; returns the difference that it means.
    #[inline]
    pub(super) fn adapt_high(&mut self, code: u8) -> i32 {
        let code = usize::from(code & 3);
        let difference = (self.scale * LEVELS_HIGH[code]) >> 15;
        self.log = (((self.log * 127) >> 7) + CHANGES_HIGH[code]).clamp(0, LOG_MAX_HIGH);
        self.scale = scale(self.log, 10);
        self.predict(difference);
        difference
    }

    /// Block 4.
    fn predict(&mut self, difference: i32) {
        let sample = limit(self.predicted + difference);
        let partly = limit(self.by_zeros + difference);

        // Two poles: UPPOL2, UPPOL1.
        let [same, same_before] = self.partly.map(|before| (before < 0) == (partly < 0));
        let quadruple = limit(self.poles[0] << 2);
        let pushed = if same { -quadruple } else { quadruple }.min(32_767);
        let second =
            (pushed >> 7) + if same_before { 128 } else { -128 } + ((self.poles[1] * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let first = if same { 192 } else { -192 } + ((self.poles[0] * 32_640) >> 15);
        let stable = limit(15_360 - second);
        self.poles = [limit(first).clamp(-stable, stable), second];

        // Six zeros: UPZERO.
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, before) in self.zeros.iter_mut().zip(self.differences) {
            let same = (before < 0) == (difference < 0);
            *zero = limit(if same { step } else { -step } + ((*zero * 32_640) >> 15));
        }

        self.samples = [sample, self.samples[0]];
        self.partly = [partly, self.partly[0]];
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;

        // FILTEP, FILTEZ, PREDIC.
        let by_poles: i32 = (self.poles.iter().zip(self.samples))
            .map(|(pole, sample)| (pole * limit(sample << 1)) >> 15)
            .sum();
        let by_zeros: i32 = (self.zeros.iter().zip(self.differences))
            .map(|(zero, difference)| (zero * limit(difference << 1)) >> 15)
            .sum();
        self.by_zeros = limit(by_zeros);
        self.predicted = limit(limit(by_poles) + self.by_zeros);
    }
}

/// The scale that a logarithm means; `doublings` less where it is zero.
#[inline]
fn scale(log: i32, doublings: i32) -> i32 {
    let power = POWERS[(log >> 6) as usize & 31];
    let shift = doublings - (log >> 11);
    let scaled = if shift < 0 {
        power << -shift
    } else {
        power >> shift
    };
    scaled << 2
}

/// What 16 bits hold.
#[inline]
pub(super) fn limit(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}
