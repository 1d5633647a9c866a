//! Comfort noise (RFC 3389): what stands in for a far side that says nothing.

use crate::codec::FRAME_SAMPLES;

/// White noise of one loudness. (The spectrum that RFC 3389 section 3 allows for is passed over.)
#[derive(Debug, Clone)]
pub(crate) struct Noise {
    /// Its greatest value.
    amplitude: i32,
    state: u32,
}

impl Default for Noise {
    /// Silence.
    fn default() -> Self {
        Noise {
            amplitude: 0,
            state: 1,
        }
    }
}

impl Noise {
    /// At so many dB below full scale, as the payload's first byte says it.
    pub(crate) fn set(&mut self, level: u8) {
        let rms = 32_767.0 * 10f32.powf(-f32::from(level & 0x7f) / 20.0);
        // Uniform noise is as loud as its greatest value by the root of three.
        self.amplitude = (rms * 1.732) as i32;
    }

    /// Silence.
    pub(crate) fn end(&mut self) {
        self.amplitude = 0;
    }

    /// Whether there is any.
    pub(crate) fn sounds(&self) -> bool {
        self.amplitude > 0
    }

    /// The next frame.
    pub(crate) fn frame(&mut self) -> [i16; FRAME_SAMPLES] {
        std::array::from_fn(|_| {
            self.state = self
                .state
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            let uniform = (self.state >> 16) as i32 - 32_768;
            ((uniform * self.amplitude) >> 15).clamp(-32_768, 32_767) as i16
        })
    }
}
