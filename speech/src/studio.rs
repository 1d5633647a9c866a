//! Where prompts are recorded.

use std::sync::{Arc, mpsc::Receiver};
use std::time::Duration;

use crate::{Cache, CommandVoice, Lexicon, Pcm8k, SpeechError, Voice};

/// Who speaks.
#[derive(Clone)]
pub enum Backend {
    /// The built-in neural voice.
    Hibari(Arc<Voice>),
    /// Any program that writes WAV.
    Command(CommandVoice),
}

/// Sizes and limits.
#[derive(Clone, Debug)]
pub struct StudioConfig {
    /// Worker threads. Default 1.
    pub workers: usize,
    /// Nice value of the workers, 0 to 19. Default 10.
    pub nice: u8,
    /// Prompts that may wait per tenant; more are answered
    /// [`SpeechError::Busy`]. Default 64.
    pub waiting_per_tenant_max: usize,
    /// Prompts that may wait in the background ([`Studio::render_ahead`]).
    /// Default 4,096.
    pub ahead_max: usize,
    /// Seconds of audio kept in memory besides the disk. Default 600.
    pub memory_seconds_max: u32,
}

impl Default for StudioConfig {
    fn default() -> Self {
        Self {
            workers: 1,
            nice: 10,
            waiting_per_tenant_max: 64,
            ahead_max: 4_096,
            memory_seconds_max: 600,
        }
    }
}

/// What has happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests, rendering ahead included.
    pub requested: u64,
    /// Answered from memory.
    pub from_memory: u64,
    /// Answered from disk.
    pub from_disk: u64,
    /// Joined a rendering already asked for.
    pub joined: u64,
    /// Rendered.
    pub rendered: u64,
    /// Failed.
    pub failed: u64,
    /// Refused because a queue was full.
    pub refused: u64,
    /// Callers that gave up waiting ([`Studio::count_timeout`]).
    pub timeouts: u64,
    /// Fallback wordings played ([`Studio::count_fallback`]).
    pub fallbacks: u64,
    /// Waiting now, in the foreground.
    pub waiting: u64,
    /// Waiting now, in the background.
    pub waiting_ahead: u64,
    /// Milliseconds of audio rendered.
    pub rendered_audio_ms: u64,
    /// Milliseconds the workers spent rendering.
    pub rendering_ms: u64,
}

/// What a request comes to.
pub type Answer = Result<Arc<Pcm8k>, SpeechError>;

/// Low-priority workers that render prompts, tenant by tenant in turn.
/// Dropping it closes it and waits for the prompts being rendered.
pub struct Studio {}

impl Studio {
    /// Starts the workers. `cache` is optional: without it prompts live in
    /// memory alone.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn start(
        _config: StudioConfig,
        _backend: Backend,
        _cache: Option<Cache>,
    ) -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// How this tenant's names are said, from now on.
    pub fn set_lexicon(&self, _tenant: u32, _lexicon: Lexicon) {}

    /// Asks for a prompt. Answers at once from memory; else from disk or the
    /// voice. The deadline is the caller's: drop the receiver and the prompt
    /// is rendered for the next time.
    pub fn request(&self, tenant: u32, text: &str) -> Receiver<Answer> {
        let (tx, rx) = std::sync::mpsc::channel();
        self.request_with(tenant, text, move |answer| {
            let _ = tx.send(answer);
        });
        rx
    }

    /// As [`Studio::request`], calling `reply` exactly once, either before
    /// this returns or on a worker thread: it must be quick.
    pub fn request_with(
        &self,
        _tenant: u32,
        _text: &str,
        reply: impl FnOnce(Answer) + Send + 'static,
    ) {
        reply(Err(SpeechError::Closed));
    }

    /// The prompt if it is in memory: no waiting, no disk.
    pub fn ready(&self, _tenant: u32, _text: &str) -> Option<Arc<Pcm8k>> {
        None
    }

    /// Renders texts when nobody waits for anything else. Returns how many
    /// were taken on; the rest didn't fit.
    pub fn render_ahead<I, T>(&self, _tenant: u32, texts: I) -> usize
    where
        I: IntoIterator<Item = T>,
        T: AsRef<str>,
    {
        texts.into_iter().count()
    }

    /// Waits until nothing is waiting or being rendered, `timeout` at most;
    /// true when idle.
    pub fn wait_idle(&self, _timeout: Duration) -> bool {
        true
    }

    /// A caller's deadline passed before the prompt was there.
    pub fn count_timeout(&self) {}

    /// A fallback wording was played instead of a prompt.
    pub fn count_fallback(&self) {}

    /// What has happened since the start.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}
