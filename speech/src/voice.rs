//! The built-in neural voice.
//!
//! Four files, fetched by `make voices` and pinned here by checksum, are run
//! in pure Rust. Memory for one loaded voice: see [`Voice::load`].

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::thread;

use rten::{Model, ModelOptions, NodeId, Value};
use rten_tensor::{AsView, Tensor};
use sha2::{Digest, Sha256};

use crate::phonemes::{self, Phonemiser, UnknownWords};
use crate::spectrum::{BINS, HOP, Noise, Spectrum, Vocoder};
use crate::{Language, Pcm, SpeechError, VoiceError, normalise};

/// A file of the voice and its SHA-256.
struct Pin {
    name: &'static str,
    sha256: &'static str,
}

const ACOUSTIC: Pin = Pin {
    name: "hibari.onnx",
    sha256: "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
};
const UNKNOWN_WORDS: Pin = Pin {
    name: "oov.onnx",
    sha256: "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
};
const UNKNOWN_WORDS_TABLE: Pin = Pin {
    name: "oov.json",
    sha256: "b462e6e5dbdf0e7346c732385d0dd844f612f1770871441c56932bff4ca75d8c",
};
const SYMBOLS: Pin = Pin {
    name: "vocab.json",
    sha256: "70abefbe8a1c8865e43e0a43bbdc25b91a33e4aa053479d443ccf23e20a59e5d",
};

/// Where the noise in every utterance starts. Fixed, so that the same text
/// always gives the same samples on the same machine.
const NOISE_SEED: u64 = 0x0043_6172_656c_696e;

/// Inside the network: the step at which each symbol ends. It tells exactly
/// where the pauses lie; the file is pinned, so the name is there.
const ENDS: &str = "/CumSum_output_0";

/// Full scale of the network's output: loud speech stays below ±1.
const FULL_SCALE: f32 = 32_767.0;

/// The built-in voice: loaded once, shared by all (`Arc<Voice>`). English,
/// female.
pub struct Voice {
    acoustic: Model,
    inputs: Inputs,
    outputs: [NodeId; 7],
    phonemiser: Phonemiser,
    vocoder: Vocoder,
}

struct Inputs {
    ids: NodeId,
    speed: NodeId,
}

impl Voice {
    /// Loads the voice from the folder that `make voices` fills. Measured:
    /// 0.3 s (0.4 s of CPU) and about 120 MB, most of it the dictionaries and
    /// grammar of `misaki-rs`; speaking then costs 35 to 45 ms of CPU a
    /// second.
    ///
    /// # Errors
    /// See [`VoiceError`]; its text says what is missing and how to get it.
    pub fn load(folder: &Path) -> Result<Self, VoiceError> {
        let symbols = read_symbols(folder)?;
        // Dictionaries and networks take about as long as each other.
        thread::scope(|scope| {
            let acoustic = scope.spawn(|| load_model(folder, &ACOUSTIC));
            let unknown = load_model(folder, &UNKNOWN_WORDS)?;
            let table = read(folder, &UNKNOWN_WORDS_TABLE)?;
            let unknown = UnknownWords::new(unknown, &table)
                .map_err(|reason| unusable(folder, &UNKNOWN_WORDS, reason))?;
            let phonemiser = Phonemiser::new(unknown, symbols);
            let acoustic = acoustic
                .join()
                .map_err(|_| unusable(folder, &ACOUSTIC, "loading panicked".to_owned()))??;
            let node = |name: &str| {
                acoustic
                    .node_id(name)
                    .map_err(|error| unusable(folder, &ACOUSTIC, error.to_string()))
            };
            Ok(Self {
                inputs: Inputs {
                    ids: node("ids")?,
                    speed: node("speed")?,
                },
                outputs: [
                    node("lh")?,
                    node("theta")?,
                    node("ln")?,
                    node("lr")?,
                    node("phi")?,
                    node("f0")?,
                    node(ENDS)?,
                ],
                acoustic,
                phonemiser,
                vocoder: Vocoder::new(),
            })
        })
    }

    /// The checksums of the files, which name this voice in the cache.
    pub fn identity() -> String {
        [ACOUSTIC, UNKNOWN_WORDS, UNKNOWN_WORDS_TABLE, SYMBOLS]
            .map(|pin| pin.sha256)
            .join(",")
    }

    /// Speaks `text` (normalised here). The same text always gives the same
    /// samples.
    ///
    /// # Errors
    /// What [`crate::normalise`] refuses, and words without a pronunciation.
    pub fn say(&self, text: &str) -> Result<Pcm, SpeechError> {
        self.say_marked(&normalise(Language::English, text)?)
    }

    /// Speaks text that is normalised already and in which words may carry
    /// their pronunciation ([`crate::Lexicon::mark`]).
    ///
    /// # Errors
    /// Words without a pronunciation.
    pub fn say_marked(&self, marked: &str) -> Result<Pcm, SpeechError> {
        self.say_with_pauses(marked).map(|(pcm, _)| pcm)
    }

    /// As [`Voice::say_marked`], with the places of the pauses at commas, in
    /// samples.
    pub(crate) fn say_with_pauses(
        &self,
        marked: &str,
    ) -> Result<(Pcm, Vec<Range<usize>>), SpeechError> {
        let mut noise = Noise::new(NOISE_SEED);
        let mut samples = Vec::new();
        let mut pauses = Vec::new();
        for sentence in sentences(marked) {
            let phonemes = self.phonemiser.read(sentence)?;
            for part in phonemes::split(&phonemes) {
                let start = samples.len();
                let ends = self.speak(&self.phonemiser.ids(part), &mut noise, &mut samples)?;
                // Symbol 0 is the silence at the start, so the phoneme at
                // `at` is symbol `at + 1` and starts where symbol `at` ends.
                for (at, _) in part.chars().enumerate().filter(|(_, c)| *c == ',') {
                    if let (Some(from), Some(to)) = (ends.get(at), ends.get(at + 2)) {
                        pauses.push(start + from..start + to);
                    }
                }
            }
        }
        Ok((Pcm { samples }, pauses))
    }

    /// The phonemes of a text, sentence by sentence: to see why a word sounds
    /// as it does.
    ///
    /// # Errors
    /// As [`Voice::say_marked`].
    pub fn phonemes(&self, marked: &str) -> Result<Vec<String>, SpeechError> {
        sentences(marked)
            .map(|sentence| self.phonemiser.read(sentence))
            .collect()
    }

    /// Speaks one sentence; returns the sample at which each symbol ends.
    fn speak(
        &self,
        ids: &[i32],
        noise: &mut Noise,
        samples: &mut Vec<i16>,
    ) -> Result<Vec<usize>, SpeechError> {
        let failed = |what: &str| SpeechError::Backend(what.to_owned());
        let ids: Tensor<i32> = Tensor::from_data(&[1, ids.len()], ids.to_vec());
        let speed: Tensor<f32> = Tensor::from_data(&[1], vec![1.0_f32]);
        let outputs = self
            .acoustic
            .run(
                vec![
                    (self.inputs.ids, ids.into()),
                    (self.inputs.speed, speed.into()),
                ],
                &self.outputs,
                Some(phonemes::run_options()),
            )
            .map_err(|error| SpeechError::Backend(error.to_string()))?;
        let mut parts = Vec::with_capacity(6);
        let mut ends = Vec::new();
        for output in outputs {
            match output {
                Value::FloatTensor(tensor) => parts.push(tensor.into_data()),
                Value::Int32Tensor(tensor) => {
                    ends = tensor
                        .iter()
                        .map(|end| usize::try_from(*end).unwrap_or(0))
                        .collect();
                }
                _ => return Err(failed("the network answered something else than numbers")),
            }
        }
        let [lh, theta, ln, lr, phi, f0] = parts.as_slice() else {
            return Err(failed("the network answered too little"));
        };
        let frames = f0.len();
        if [lh, theta, ln, lr, phi]
            .iter()
            .any(|part| part.len() != frames * BINS)
        {
            return Err(failed("the network's answer has the wrong shape"));
        }
        let spectrum = Spectrum {
            frames,
            lh,
            theta,
            ln,
            lr,
            phi,
            f0,
        };
        let wave = self.vocoder.samples(&spectrum, noise);
        samples.extend(
            wave.iter()
                .map(|s| (s.clamp(-1.0, 1.0) * FULL_SCALE) as i16),
        );
        // The network counts durations in steps of several frames.
        let steps = ends.last().copied().unwrap_or(0).max(1);
        let step = frames / steps * HOP;
        Ok(ends.into_iter().map(|end| end * step).collect())
    }
}

/// Sentences of normalised text, each with its closing mark. Abbreviations
/// are spelt out by then, so a full stop always ends a sentence.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .char_indices()
            .zip(rest.chars().skip(1).map(Some).chain(std::iter::once(None)))
            .find(|((_, c), next)| matches!(c, '.' | '?' | '!') && next.is_none_or(|n| n == ' '))
            .map_or(rest.len(), |((at, _), _)| at + 1);
        let (sentence, after) = rest.split_at(end);
        rest = after;
        Some(sentence)
    })
}

fn read(folder: &Path, pin: &Pin) -> Result<Vec<u8>, VoiceError> {
    let path = folder.join(pin.name);
    let bytes = fs::read(&path).map_err(|source| VoiceError::Missing {
        path: path.clone(),
        source,
    })?;
    let found: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if found != pin.sha256 {
        return Err(VoiceError::Altered {
            path,
            found,
            expected: pin.sha256,
        });
    }
    Ok(bytes)
}

fn load_model(folder: &Path, pin: &Pin) -> Result<Model, VoiceError> {
    let bytes = read(folder, pin)?;
    ModelOptions::with_all_ops()
        .load(bytes)
        .map_err(|error| unusable(folder, pin, error.to_string()))
}

fn read_symbols(folder: &Path) -> Result<HashMap<char, i32>, VoiceError> {
    let bytes = read(folder, &SYMBOLS)?;
    let table: HashMap<char, i32> = serde_json::from_slice(&bytes)
        .map_err(|error| unusable(folder, &SYMBOLS, error.to_string()))?;
    Ok(table)
}

fn unusable(folder: &Path, pin: &Pin, reason: String) -> VoiceError {
    VoiceError::Unusable {
        path: folder.join(pin.name),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::sentences;

    #[test]
    fn sentences_end_at_their_marks() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(sentences(text).collect::<Vec<_>>(), expected);
        };
        check("", &[]);
        check("Hello", &["Hello"]);
        check(
            "Hello. Press one! Or two?  Thanks.",
            &["Hello.", "Press one!", "Or two?", "Thanks."],
        );
        check("Wait... Now.", &["Wait...", "Now."]);
    }
}
