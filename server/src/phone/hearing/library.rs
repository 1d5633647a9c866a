//! The clips a listener knows.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use media::clip::Clip;
use media::codec::{Codec, FRAME_SAMPLES};
use media::music;

use super::spectrum::envelope;

/// A frame found in this many places already is of no more use for telling clips apart.
const PLACES_MAX: usize = 8;
/// A frame that stays below this amplitude is silence: it could be of any clip.
const QUIET_PEAK: i16 = 64;

/// What a clip is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClipKind {
    /// Words, said once.
    Prompt,
    /// Music on hold, in a loop.
    Music,
    /// The ring-back tone, in a loop.
    RingBack,
}

/// A clip with what is computed from it once.
pub(super) struct Known {
    pub(super) text: Arc<str>,
    pub(super) kind: ClipKind,
    pub(super) clip: Arc<Clip>,
    /// Decoded µ-law.
    pub(super) samples: Box<[i16]>,
    /// Loudness in steps of [`super::spectrum::STEP_SAMPLES`].
    pub(super) envelope: Box<[f32]>,
}

impl Known {
    fn new(text: Arc<str>, kind: ClipKind, clip: Arc<Clip>) -> Known {
        let samples: Box<[i16]> = clip
            .bytes(Codec::Pcmu)
            .iter()
            .map(|&byte| Codec::Pcmu.decode(byte))
            .collect();
        let envelope = envelope(&samples).into_boxed_slice();
        Known {
            text,
            kind,
            clip,
            samples,
            envelope,
        }
    }

    /// Whether it begins again when it ends.
    pub(super) fn loops(&self) -> bool {
        self.kind != ClipKind::Prompt
    }
}

/// A place in a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) clip: u32,
    pub(super) frame: u32,
}

/// The clips a listener knows: prompts with their texts, and the product's own music and ring-back tone. Shared by all
/// listeners; about 1 kB for each 20 ms.
pub struct Library {
    known: Vec<Known>,
    /// Hashes of all frames that aren't silence, in both encodings, sorted; where they stand.
    index: Vec<(u64, Place)>,
}

impl Library {
    /// Knows these prompts, and the product's own music and ring-back tone.
    pub fn new(prompts: impl Iterator<Item = (String, Arc<Clip>)>) -> Library {
        let prompts = prompts.map(|(text, clip)| (text, ClipKind::Prompt, clip));
        let sounds = [
            (
                "music on hold".to_owned(),
                ClipKind::Music,
                music::on_hold(),
            ),
            (
                "ring-back tone".to_owned(),
                ClipKind::RingBack,
                music::ring_back(),
            ),
        ];
        Library::of(prompts.chain(sounds))
    }

    /// Knows these clips and nothing else.
    pub fn of(clips: impl Iterator<Item = (String, ClipKind, Arc<Clip>)>) -> Library {
        let known: Vec<Known> = clips
            .filter(|(_, _, clip)| clip.frames() > 0)
            .map(|(text, kind, clip)| Known::new(Arc::from(text), kind, clip))
            .collect();
        let mut index = Vec::new();
        for (clip, known) in known.iter().enumerate() {
            for (frame, samples) in known.samples.chunks_exact(FRAME_SAMPLES).enumerate() {
                if is_quiet(samples) {
                    continue;
                }
                let place = Place {
                    clip: clip as u32,
                    frame: frame as u32,
                };
                for codec in [Codec::Pcmu, Codec::Pcma] {
                    if let Some(bytes) = known.clip.frame(codec, frame) {
                        index.push((hash(codec, bytes), place));
                    }
                }
            }
        }
        // Stable: places stay in the clips' order.
        index.sort_by_key(|(hash, _)| *hash);
        let mut same = 0;
        let mut previous = None;
        index.retain(|(hash, _)| {
            same = if previous == Some(*hash) { same + 1 } else { 1 };
            previous = Some(*hash);
            same <= PLACES_MAX
        });
        Library { known, index }
    }

    /// Number of clips.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(super) fn known(&self) -> &[Known] {
        &self.known
    }

    /// Where this frame may stand: hashes agree, bytes need not.
    pub(super) fn places(&self, codec: Codec, bytes: &[u8]) -> impl Iterator<Item = Place> + '_ {
        let wanted = hash(codec, bytes);
        let start = self.index.partition_point(|(hash, _)| *hash < wanted);
        self.index[start..]
            .iter()
            .take_while(move |(hash, _)| *hash == wanted)
            .map(|(_, place)| *place)
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("clips", &self.known.len())
            .field("frames", &self.index.len())
            .finish()
    }
}

/// Whether nobody could tell what these samples belong to.
pub(super) fn is_quiet(samples: &[i16]) -> bool {
    samples
        .iter()
        .all(|sample| sample.unsigned_abs() < QUIET_PEAK.unsigned_abs())
}

fn hash(codec: Codec, bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u8(codec.static_payload_type());
    hasher.write(bytes);
    hasher.finish()
}
