//! Rendered prompts on disk.

use std::path::PathBuf;
use std::{io, sync::Arc};

use crate::Pcm8k;

/// Where the cache lies, and how large it may grow.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// The folder; created when missing.
    pub folder: PathBuf,
    /// Bytes of all files together; the oldest go first. Default 256 MiB,
    /// about 4.5 hours of speech.
    pub bytes_max: u64,
}

/// What a prompt is known by: voice, normalised text, pipeline version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// The key of `text` (normalised, with its pronunciations) spoken by
    /// `voice` (its pins, or its command line).
    pub fn new(_voice: &str, _text: &str) -> Self {
        Self([0; 32])
    }
}

/// The cache.
#[derive(Debug)]
pub struct Cache {}

impl Cache {
    /// Opens the cache and evicts what is over the limit.
    ///
    /// # Errors
    /// The folder can't be made or listed.
    pub fn open(_config: CacheConfig) -> io::Result<Self> {
        Ok(Self {})
    }

    /// The prompt, unless absent or damaged.
    pub fn get(&self, _key: &CacheKey) -> Option<Arc<Pcm8k>> {
        None
    }

    /// Keeps a prompt. A failure is logged, not returned: the prompt can
    /// still be played.
    pub fn put(&self, _key: &CacheKey, _pcm: &Pcm8k) {}
}
