//! Audio in memory.

use std::time::Duration;

/// Mono 16-bit audio at [`Pcm::RATE_HZ`], as a voice made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcm {
    /// Samples, full scale ±32,767.
    pub samples: Vec<i16>,
}

impl Pcm {
    /// Samples per second.
    pub const RATE_HZ: u32 = 24_000;

    /// How long it plays.
    pub fn duration(&self) -> Duration {
        duration(self.samples.len(), Self::RATE_HZ)
    }
}

/// Mono 16-bit audio at [`Pcm8k::RATE_HZ`], ready for a telephone codec:
/// levelled, limited, band-limited and trimmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pcm8k {
    /// Samples, full scale ±32,767.
    pub samples: Vec<i16>,
}

impl Pcm8k {
    /// Samples per second.
    pub const RATE_HZ: u32 = 8_000;

    /// How long it plays.
    pub fn duration(&self) -> Duration {
        duration(self.samples.len(), Self::RATE_HZ)
    }
}

fn duration(samples: usize, rate_hz: u32) -> Duration {
    Duration::from_nanos(samples as u64 * 1_000_000_000 / u64::from(rate_hz))
}
