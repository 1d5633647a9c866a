//! A leg's G.722: what it says, what is heard of it, and what it is told by a peer.

use crate::codec::{Codec, FRAME_SAMPLES};
use crate::g722::{Decoder, Encoder};

/// There is one for each leg that speaks G.722, or is bridged with one that does. Its streams depend on their past, so
/// that each has a coder of its own; what passes between two such legs needs none.
#[derive(Debug, Default)]
pub(super) struct Wide {
    says: Encoder,
    heard: Decoder,
    told: Decoder,
}

impl Wide {
    /// Codes a frame made here.
    pub(super) fn frame(&mut self, samples: impl Iterator<Item = i16>) -> [u8; FRAME_SAMPLES] {
        let mut frame = [0; FRAME_SAMPLES];
        for (byte, sample) in frame.iter_mut().zip(samples) {
            *byte = self.says.narrow(sample);
        }
        frame
    }

    /// Decodes what the far side said.
    pub(super) fn heard<'a>(&mut self, payload: &[u8], buffer: &'a mut [i16]) -> &'a [i16] {
        let length = payload.len().min(buffer.len());
        for (sample, byte) in buffer.iter_mut().zip(payload) {
            *sample = self.heard.narrow(*byte);
        }
        &buffer[..length]
    }

    /// What a peer of G.711 said, for a far side of G.722.
    pub(super) fn widened(&mut self, from: Codec, payload: &[u8], to: &mut [u8]) {
        for (to, byte) in to.iter_mut().zip(payload) {
            *to = self.says.narrow(from.decode(*byte));
        }
    }

    /// What a peer of G.722 said, for a far side of G.711.
    pub(super) fn narrowed(&mut self, to_codec: Codec, payload: &[u8], to: &mut [u8]) {
        for (to, byte) in to.iter_mut().zip(payload) {
            *to = to_codec.encode(self.told.narrow(*byte));
        }
    }
}
