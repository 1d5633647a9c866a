//! The built-in neural voice.

use std::path::Path;

use crate::{Pcm, SpeechError, VoiceError};

/// The built-in voice: loaded once, shared by all (`Arc<Voice>`).
pub struct Voice {}

impl Voice {
    /// Loads the voice from the folder that `make voices` fills.
    ///
    /// # Errors
    /// See [`VoiceError`]; its text says what is missing and how to get it.
    pub fn load(_folder: &Path) -> Result<Self, VoiceError> {
        Ok(Self {})
    }

    /// Speaks `text` (normalised here). The same text always gives the same
    /// samples.
    ///
    /// # Errors
    /// What [`crate::normalise`] refuses, and words without a pronunciation.
    pub fn say(&self, _text: &str) -> Result<Pcm, SpeechError> {
        Ok(Pcm {
            samples: Vec::new(),
        })
    }
}
