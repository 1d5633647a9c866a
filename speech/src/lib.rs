//! Text to telephone speech.
//!
//! The way of a prompt: [`normalise`] turns a written sentence into words and
//! punctuation alone (tickets, times, dates and telephone numbers spelt out)
//! and refuses what it can't read; [`lexicon`] fixes how names are said; a
//! [`Backend`] (the built-in neural [`Voice`], or any command) makes audio;
//! [`level`] brings it to 8 kHz at telephone level. A [`Studio`] does this on
//! low-priority threads with fair bounded queues and a disk [`Cache`].
//! [`TicketClips`] reads ticket numbers from clips recorded beforehand, so
//! that a call never waits for one.
//!
//! This crate knows nothing of calls or hospitals: a tenant is a number here,
//! used for fairness alone.

pub mod cache;
pub mod command;
pub mod digits;
mod error;
pub mod level;
pub mod lexicon;
pub mod normalise;
mod pcm;
mod phonemes;
mod recency;
mod resample;
mod spectrum;
pub mod studio;
mod turns;
pub mod voice;

pub use cache::{Cache, CacheConfig, CacheKey};
pub use command::CommandVoice;
pub use digits::TicketClips;
pub use error::{SpeechError, VoiceError};
pub use lexicon::{Lexicon, LexiconError};
pub use normalise::{Language, normalise};
pub use pcm::{Pcm, Pcm8k};
pub use studio::{Answer, Backend, Counters, Speaker, Studio, StudioConfig};
pub use voice::Voice;

/// Changes whenever the same text would sound different: part of every cache
/// key, so that an upgrade never plays a mixture of old and new prompts.
pub const PIPELINE_VERSION: u32 = 1;
