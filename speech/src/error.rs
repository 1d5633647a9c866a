//! What can go wrong, for the caller to decide on and for people to read.

use std::path::PathBuf;

/// Why a text couldn't be spoken. Cheap to clone, since one rendering may
/// answer many requests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpeechError {
    /// A character the normaliser has no reading for. Nothing is dropped
    /// silently: a prompt with a hole in it is worse than none.
    #[error("can't read {character:?} (character {position} of the text)")]
    Unreadable {
        /// The character left over.
        character: char,
        /// Its place in the text as given, counted in characters from 0.
        position: usize,
    },
    /// Nothing to say.
    #[error("the text holds no words")]
    Empty,
    /// More text than a prompt may hold.
    #[error("the text has {characters} characters, the limit is {limit}")]
    TooLong {
        /// Characters given.
        characters: usize,
        /// Characters allowed.
        limit: usize,
    },
    /// A word without a pronunciation, neither in the dictionaries nor from
    /// the model for unknown words. Add it to the lexicon.
    #[error("no pronunciation for the word {word:?}; add it to the lexicon")]
    UnknownWord {
        /// The word.
        word: String,
    },
    /// Not a ticket number that can be read out.
    #[error("not a ticket number: {0}")]
    NotATicket(&'static str),
    /// The voice failed; the text explains.
    #[error("the voice failed: {0}")]
    Backend(String),
    /// The voice took longer than it may.
    #[error("the voice took longer than {limit_ms} ms")]
    Timeout {
        /// The limit.
        limit_ms: u64,
    },
    /// The tenant's queue is full.
    #[error("too many prompts are waiting")]
    Busy,
    /// The studio has been shut down.
    #[error("the studio is closed")]
    Closed,
}

impl SpeechError {
    /// What kind of failure, without any of the text: fit for a log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::Empty => "empty",
            Self::TooLong { .. } => "too-long",
            Self::UnknownWord { .. } => "unknown-word",
            Self::NotATicket(_) => "not-a-ticket",
            Self::Backend(_) => "backend",
            Self::Timeout { .. } => "timeout",
            Self::Busy => "busy",
            Self::Closed => "closed",
        }
    }
}

/// Why the built-in voice couldn't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum VoiceError {
    /// A file isn't there, or can't be read.
    #[error("the built-in voice is missing: {path} ({source}). `make voices` fetches it.")]
    Missing {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file isn't the one this program was built for.
    #[error(
        "{path} is not the expected file (SHA-256 {found}, expected {expected}). \
         Delete it and run `make voices`."
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// SHA-256 found, in hexadecimal.
        found: String,
        /// SHA-256 pinned in the program.
        expected: &'static str,
    },
    /// A file with the right checksum that still can't be used: a mistake in
    /// this program.
    #[error("{path}: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}
