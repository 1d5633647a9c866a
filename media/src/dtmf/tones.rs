//! Keys made as tones (ITU-T Q.23), towards a side that doesn't take telephone events.

use super::Digit;
use crate::codec::FRAME_SAMPLES;

/// Rows then columns, by event code: which frequencies make a key.
const LOW_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH_HZ: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
/// −8 and −6 dBm0: the higher one a little louder, as cables take more of it.
const LOW_AMPLITUDE: f32 = 8_878.0;
const HIGH_AMPLITUDE: f32 = 11_177.0;
/// Samples over which a tone swells: a click has all frequencies.
const SWELL: f32 = 16.0;
const SAMPLE_RATE_HZ: f32 = 8_000.0;

/// The tones of one press.
#[derive(Debug, Clone, Copy)]
pub struct Tones {
    digit: Digit,
    /// Turns made so far, below 1.
    low: f32,
    high: f32,
    sample: u32,
}

impl Tones {
    /// A key that goes down.
    pub fn new(digit: Digit) -> Tones {
        Tones {
            digit,
            low: 0.0,
            high: 0.0,
            sample: 0,
        }
    }

    /// Which key.
    pub fn digit(&self) -> Digit {
        self.digit
    }

    /// The next frame; the `last` one fades.
    pub fn frame(&mut self, last: bool) -> [i16; FRAME_SAMPLES] {
        let (row, column) = place(self.digit);
        let (low, high) = (
            LOW_HZ[row] / SAMPLE_RATE_HZ,
            HIGH_HZ[column] / SAMPLE_RATE_HZ,
        );
        std::array::from_fn(|n| {
            let rise = (self.sample as f32 / SWELL).min(1.0);
            let fall = if last {
                ((FRAME_SAMPLES - n) as f32 / SWELL).min(1.0)
            } else {
                1.0
            };
            let turn = std::f32::consts::TAU;
            let sum =
                LOW_AMPLITUDE * (self.low * turn).sin() + HIGH_AMPLITUDE * (self.high * turn).sin();
            self.low = (self.low + low).fract();
            self.high = (self.high + high).fract();
            self.sample = self.sample.saturating_add(1);
            (sum * rise * fall) as i16
        })
    }
}

/// A key's row and column.
fn place(digit: Digit) -> (usize, usize) {
    match digit.event() {
        0 => (3, 1),
        event @ 1..=9 => (usize::from(event - 1) / 3, usize::from(event - 1) % 3),
        10 => (3, 0),
        11 => (3, 2),
        event => (usize::from(event - 12) & 3, 3),
    }
}
