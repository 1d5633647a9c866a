//! How names are said.

/// Pronunciations by word.
#[derive(Clone, Debug, Default)]
pub struct Lexicon {}

/// A line of a lexicon file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct LexiconError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl Lexicon {
    /// Reads a lexicon file: one `Word  pronunciation` a line.
    ///
    /// # Errors
    /// The first line that can't be used.
    pub fn parse(_text: &str) -> Result<Self, LexiconError> {
        Ok(Self {})
    }
}
