//! What is said of an incident.

use serde::{Deserialize, Serialize};

use crate::people::Tongue;

/// What is said of an incident in one language. It may be anything: it stands
/// in a row of its own that can be erased, and in no log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentText {
    /// In which language it is.
    pub language: Tongue,
    /// For everybody.
    pub text: Words,
    /// The same in few words, for clinicians, who hear six seconds of it at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brief: Option<Words>,
}

impl std::fmt::Debug for IncidentText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IncidentText({})", self.language.tag())
    }
}

/// Words to be spoken: a line of them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Words(String);

/// Nothing is said, or too much, or it isn't a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a text is a line of words, of at most {} bytes", Words::BYTES_MAX)]
pub struct NotWords;

impl Words {
    /// Longest text, in bytes of UTF-8: some forty seconds.
    pub const BYTES_MAX: usize = 600;

    /// Words that may be spoken; white space between them is made one space.
    ///
    /// # Errors
    /// See [`NotWords`].
    pub fn new(text: &str) -> Result<Self, NotWords> {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let fine = !line.is_empty() && line.len() <= Self::BYTES_MAX;
        if !fine || line.chars().any(char::is_control) {
            return Err(NotWords);
        }
        Ok(Self(line))
    }

    /// What they are.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Words {
    type Error = NotWords;

    fn try_from(text: String) -> Result<Self, NotWords> {
        Self::new(&text)
    }
}

impl From<Words> for String {
    fn from(words: Words) -> Self {
        words.0
    }
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Words({} bytes)", self.0.len())
    }
}
