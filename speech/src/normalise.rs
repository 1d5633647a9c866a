//! Written text → words and punctuation that a voice reads as meant.

use crate::SpeechError;

/// The language a text is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// American English.
    #[default]
    English,
}

/// Longest text of one prompt, in characters.
pub const CHARACTERS_MAX: usize = 2_000;

/// Spells out `text` (see the module's documentation). What it returns holds
/// letters, apostrophes, hyphens, spaces and `. , ; : ? !` only.
///
/// # Errors
/// [`SpeechError::Unreadable`], [`SpeechError::TooLong`], [`SpeechError::Empty`].
pub fn normalise(language: Language, text: &str) -> Result<String, SpeechError> {
    let Language::English = language;
    Ok(text.to_owned())
}
