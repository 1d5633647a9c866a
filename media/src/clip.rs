//! Audio that is ready to be sent: encoded once, shared by every leg that plays it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::{Codec, FRAME_MS, FRAME_SAMPLES};

/// 8 kHz audio encoded as µ-law and as A-law, padded with silence to whole frames of 20 ms.
#[derive(Clone, PartialEq, Eq)]
pub struct Clip {
    ulaw: Box<[u8]>,
    alaw: Box<[u8]>,
}

impl Clip {
    /// Encodes 8 kHz samples. No samples make an empty clip, which plays in no time.
    pub fn from_samples(samples: &[i16]) -> Arc<Clip> {
        let length = samples.len().next_multiple_of(FRAME_SAMPLES);
        let encode = |codec: Codec| {
            let mut bytes = Vec::with_capacity(length);
            bytes.extend(samples.iter().map(|&sample| codec.encode(sample)));
            bytes.resize(length, codec.silence());
            bytes.into_boxed_slice()
        };
        Arc::new(Clip {
            ulaw: encode(Codec::Pcmu),
            alaw: encode(Codec::Pcma),
        })
    }

    /// Silence, rounded up to whole frames.
    pub fn silence(length: Duration) -> Arc<Clip> {
        let frames = length.as_millis().div_ceil(u128::from(FRAME_MS)) as usize;
        Arc::new(Clip {
            ulaw: vec![Codec::Pcmu.silence(); frames * FRAME_SAMPLES].into_boxed_slice(),
            alaw: vec![Codec::Pcma.silence(); frames * FRAME_SAMPLES].into_boxed_slice(),
        })
    }

    /// Number of 20 ms frames.
    pub fn frames(&self) -> usize {
        self.ulaw.len() / FRAME_SAMPLES
    }

    /// How long it plays, padding included.
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.frames() as u64 * u64::from(FRAME_MS))
    }

    /// The encoded frame number `index`; none beyond the end.
    pub fn frame(&self, codec: Codec, index: usize) -> Option<&[u8]> {
        let start = index.checked_mul(FRAME_SAMPLES)?;
        self.bytes(codec)
            .get(start..start.checked_add(FRAME_SAMPLES)?)
    }

    /// All encoded bytes, one a sample.
    pub fn bytes(&self, codec: Codec) -> &[u8] {
        match codec {
            Codec::Pcmu => &self.ulaw,
            Codec::Pcma => &self.alaw,
        }
    }
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clip")
            .field("frames", &self.frames())
            .finish()
    }
}
