//! Where prompts are recorded.
//!
//! Nothing here is real time: a call asks for a prompt, and plays it if it is
//! there in time. One thread looks prompts up on disk, so that a prompt
//! already rendered never waits behind one that isn't; the workers, at low
//! priority, render. Each has two queues: what a call waits for, and what is
//! rendered ahead. Within a queue tenants take turns, and every queue is
//! bounded.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};

use crate::recency::Recency;
use crate::turns::Turns;
use crate::{
    Cache, CacheKey, CommandVoice, Language, Lexicon, Pcm, Pcm8k, SpeechError, Voice, level,
    normalise,
};

/// Calls that may wait for one and the same prompt.
const REPLIES_PER_PROMPT_MAX: usize = 4_096;

/// A voice of another kind.
pub trait Speaker: Send + Sync {
    /// Names the voice in the cache: another name, other prompts.
    fn identity(&self) -> String;

    /// Speaks normalised text.
    ///
    /// # Errors
    /// Whatever went wrong.
    fn speak(&self, text: &str) -> Result<Pcm, SpeechError>;
}

/// Speech, and where its pauses at commas are (in samples) if the voice knows.
type Spoken = (Pcm, Option<Vec<Range<usize>>>);

/// Who speaks.
#[derive(Clone)]
pub enum Backend {
    /// The built-in neural voice.
    Hibari(Arc<Voice>),
    /// Any program that writes WAV.
    Command(CommandVoice),
    /// Anything else.
    Other(Arc<dyn Speaker>),
}

impl Backend {
    fn identity(&self) -> String {
        match self {
            Self::Hibari(_) => Voice::identity(),
            Self::Command(command) => command.identity(),
            Self::Other(speaker) => speaker.identity(),
        }
    }

    /// Does it read pronunciations written into the text?
    fn reads_marks(&self) -> bool {
        matches!(self, Self::Hibari(_))
    }

    /// Speaks normalised text with its pronunciations.
    pub(crate) fn speak(&self, text: &str) -> Result<Spoken, SpeechError> {
        let spoken = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Hibari(voice) => voice
                .say_with_pauses(text)
                .map(|(pcm, pauses)| (pcm, Some(pauses))),
            Self::Command(command) => command.say(text).map(|pcm| (pcm, None)),
            Self::Other(speaker) => speaker.speak(text).map(|pcm| (pcm, None)),
        }));
        spoken.unwrap_or_else(|_| Err(SpeechError::Backend("the voice panicked".to_owned())))
    }
}

/// Sizes and limits.
#[derive(Clone, Debug)]
pub struct StudioConfig {
    /// The language of its texts. Default English.
    pub language: Language,
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
    /// Seconds of audio kept in memory besides the disk. Default 600 (10 MB).
    pub memory_seconds_max: u32,
}

impl Default for StudioConfig {
    fn default() -> Self {
        Self {
            language: Language::English,
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
    /// Waiting or being rendered now, with a call waiting for them.
    pub waiting: u64,
    /// Waiting or being rendered now, ahead of their time.
    pub waiting_ahead: u64,
    /// Milliseconds of audio rendered.
    pub rendered_audio_ms: u64,
    /// Milliseconds the workers spent rendering.
    pub rendering_ms: u64,
}

/// What a request comes to.
pub type Answer = Result<Arc<Pcm8k>, SpeechError>;

type Reply = Box<dyn FnOnce(Answer) + Send>;

/// Low-priority workers that render prompts, tenant by tenant in turn.
/// Dropping it answers what waits with [`SpeechError::Closed`] and waits for
/// the prompts being rendered.
pub struct Studio {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    config: StudioConfig,
    backend: Backend,
    identity: String,
    cache: Option<Cache>,
    lexicons: RwLock<HashMap<u32, Arc<Lexicon>>>,
    state: Mutex<State>,
    /// Something to look up.
    lookup: Condvar,
    /// Something to render.
    render: Condvar,
    /// Nothing left to do.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    tasks: HashMap<CacheKey, Task>,
    lookups: Queues,
    renders: Queues,
    /// Prompts with a call waiting, by the tenant that asked first.
    waiting: HashMap<u32, usize>,
    memory: Recency<CacheKey, Arc<Pcm8k>>,
    counters: Counters,
}

/// What a call waits for, before what is rendered ahead.
#[derive(Default)]
struct Queues {
    waited_for: Turns<CacheKey>,
    ahead: Turns<CacheKey>,
}

/// A prompt on its way.
struct Task {
    tenant: u32,
    text: Arc<str>,
    stage: Stage,
    /// Is anybody waiting? Else it is rendered ahead.
    waited_for: bool,
    replies: Vec<Reply>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// In the queue of what is looked up on disk.
    ToLookUp,
    /// In the queue of what is rendered.
    ToRender,
    /// In the hands of a thread.
    InWork,
}

impl State {
    fn enqueue(&mut self, key: CacheKey) -> Option<Stage> {
        let task = self.tasks.get(&key)?;
        let queues = match task.stage {
            Stage::ToLookUp => &mut self.lookups,
            Stage::ToRender => &mut self.renders,
            Stage::InWork => return None,
        };
        let queue = if task.waited_for {
            &mut queues.waited_for
        } else {
            &mut queues.ahead
        };
        queue.push(task.tenant, key);
        Some(task.stage)
    }

    /// Takes the next prompt of `stage`. A prompt rendered ahead that a call
    /// then asked for stands in both queues; the second find is passed over.
    fn take(&mut self, stage: Stage) -> Option<(CacheKey, Arc<str>)> {
        let queues = if stage == Stage::ToLookUp {
            &mut self.lookups
        } else {
            &mut self.renders
        };
        loop {
            let (key, waited_for) = match queues.waited_for.pop() {
                Some(key) => (key, true),
                None => (queues.ahead.pop()?, false),
            };
            if let Some(task) = self.tasks.get_mut(&key)
                && task.stage == stage
                && task.waited_for == waited_for
            {
                task.stage = Stage::InWork;
                return Some((key, Arc::clone(&task.text)));
            }
        }
    }

    /// Takes a finished prompt off the list; returns who waits for it.
    fn finish(&mut self, key: &CacheKey) -> Vec<Reply> {
        let Some(task) = self.tasks.remove(key) else {
            return Vec::new();
        };
        if task.waited_for {
            self.counters.waiting -= 1;
            if let Some(count) = self.waiting.get_mut(&task.tenant) {
                *count -= 1;
                if *count == 0 {
                    self.waiting.remove(&task.tenant);
                }
            }
        } else {
            self.counters.waiting_ahead -= 1;
        }
        task.replies
    }

    fn waits(&mut self, tenant: u32) {
        self.counters.waiting += 1;
        *self.waiting.entry(tenant).or_default() += 1;
    }
}

impl Studio {
    /// Starts the threads: the workers, and one for the cache. `cache` is
    /// optional: without it prompts live in memory alone.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn start(config: StudioConfig, backend: Backend, cache: Option<Cache>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            identity: backend.identity(),
            config,
            backend,
            cache,
            lexicons: RwLock::default(),
            state: Mutex::default(),
            lookup: Condvar::new(),
            render: Condvar::new(),
            idle: Condvar::new(),
        });
        let mut studio = Self {
            shared,
            threads: Vec::new(),
        };
        if studio.shared.cache.is_some() {
            studio.spawn("speech-cache".to_owned(), Shared::look_up)?;
        }
        for n in 0..studio.shared.config.workers.max(1) {
            studio.spawn(format!("speech-{n}"), Shared::work)?;
        }
        Ok(studio)
    }

    fn spawn(&mut self, name: String, run: fn(&Shared)) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        self.threads.push(
            thread::Builder::new()
                .name(name)
                .spawn(move || run(&shared))?,
        );
        Ok(())
    }

    /// How this tenant's names are said, from now on.
    pub fn set_lexicon(&self, tenant: u32, lexicon: Lexicon) {
        let mut lexicons = self
            .shared
            .lexicons
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        lexicons.insert(tenant, Arc::new(lexicon));
    }

    /// Asks for a prompt. Answers at once from memory; else from disk or the
    /// voice. The deadline is the caller's: drop the receiver, and the prompt
    /// is there the next time.
    pub fn request(&self, tenant: u32, text: &str) -> Receiver<Answer> {
        let (tx, rx) = mpsc::channel();
        self.request_with(tenant, text, move |answer| {
            // Nobody listens any more: the caller's deadline has passed.
            let _ = tx.send(answer);
        });
        rx
    }

    /// As [`Studio::request`], calling `reply` exactly once, either before
    /// this returns or on a worker thread: it must be quick and not panic.
    pub fn request_with(
        &self,
        tenant: u32,
        text: &str,
        reply: impl FnOnce(Answer) + Send + 'static,
    ) {
        let prepared = self.shared.prepare(tenant, text);
        let mut state = self.shared.lock();
        state.counters.requested += 1;
        let (key, text) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                state.counters.failed += 1;
                drop(state);
                return reply(Err(error));
            }
        };
        if state.closed {
            drop(state);
            return reply(Err(SpeechError::Closed));
        }
        if let Some(pcm) = state.memory.get(&key).map(Arc::clone) {
            state.counters.from_memory += 1;
            drop(state);
            return reply(Ok(pcm));
        }
        let tenant_waits = state.waiting.get(&tenant).copied().unwrap_or(0);
        let full = tenant_waits >= self.shared.config.waiting_per_tenant_max;
        let state_ref = &mut *state;
        match state_ref.tasks.get_mut(&key) {
            Some(task)
                if task.replies.len() >= REPLIES_PER_PROMPT_MAX || !task.waited_for && full =>
            {
                state.counters.refused += 1;
                drop(state);
                return reply(Err(SpeechError::Busy));
            }
            Some(task) => {
                task.replies.push(Box::new(reply));
                state_ref.counters.joined += 1;
                if task.waited_for {
                    return;
                }
                // Rendered ahead until now; from here on a call waits for it.
                task.waited_for = true;
                task.tenant = tenant;
                state.counters.waiting_ahead -= 1;
                state.waits(tenant);
            }
            None if full => {
                state.counters.refused += 1;
                drop(state);
                return reply(Err(SpeechError::Busy));
            }
            None => {
                let task = Task {
                    tenant,
                    text,
                    stage: self.shared.first_stage(),
                    waited_for: true,
                    replies: vec![Box::new(reply)],
                };
                state.tasks.insert(key, task);
                state.waits(tenant);
            }
        }
        let stage = state.enqueue(key);
        drop(state);
        self.shared.wake(stage);
    }

    /// The prompt if it is in memory: no waiting, no disk.
    pub fn ready(&self, tenant: u32, text: &str) -> Option<Arc<Pcm8k>> {
        let (key, _) = self.shared.prepare(tenant, text).ok()?;
        self.shared.lock().memory.get(&key).map(Arc::clone)
    }

    /// Renders texts when nobody waits for anything else. Returns how many
    /// will be there: texts that can't be read, and those beyond
    /// [`StudioConfig::ahead_max`], are counted as failed and refused.
    pub fn render_ahead<I, T>(&self, tenant: u32, texts: I) -> usize
    where
        I: IntoIterator<Item = T>,
        T: AsRef<str>,
    {
        let mut taken = 0;
        for text in texts {
            let prepared = self.shared.prepare(tenant, text.as_ref());
            let mut state = self.shared.lock();
            state.counters.requested += 1;
            let Ok((key, text)) = prepared else {
                state.counters.failed += 1;
                continue;
            };
            if state.memory.get(&key).is_some() {
                state.counters.from_memory += 1;
            } else if state.tasks.contains_key(&key) {
                state.counters.joined += 1;
            } else if state.closed
                || state.counters.waiting_ahead >= self.shared.config.ahead_max as u64
            {
                state.counters.refused += 1;
                continue;
            } else {
                let stage = self.shared.first_stage();
                let task = Task {
                    tenant,
                    text,
                    stage,
                    waited_for: false,
                    replies: Vec::new(),
                };
                state.tasks.insert(key, task);
                state.counters.waiting_ahead += 1;
                let stage = state.enqueue(key);
                drop(state);
                self.shared.wake(stage);
            }
            taken += 1;
        }
        taken
    }

    /// Waits until nothing is waiting or being rendered, `timeout` at most;
    /// true when idle.
    pub fn wait_idle(&self, timeout: Duration) -> bool {
        let (state, _) = self
            .shared
            .idle
            .wait_timeout_while(self.shared.lock(), timeout, |state| !state.tasks.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state.tasks.is_empty()
    }

    /// A caller's deadline passed before the prompt was there.
    pub fn count_timeout(&self) {
        self.shared.lock().counters.timeouts += 1;
    }

    /// A fallback wording was played instead of a prompt.
    pub fn count_fallback(&self) {
        self.shared.lock().counters.fallbacks += 1;
    }

    /// What has happened since the start.
    pub fn counters(&self) -> Counters {
        self.shared.lock().counters
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.shared.backend
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.shared.cache.as_ref()
    }

    pub(crate) fn key(&self, text: &str) -> CacheKey {
        CacheKey::new(&self.shared.identity, text)
    }

    pub(crate) fn language(&self) -> Language {
        self.shared.config.language
    }

    /// Lowers the current thread's priority to that of the workers.
    pub(crate) fn be_nice(&self) {
        lower_priority(self.shared.config.nice);
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let waiting: Vec<CacheKey> = state
            .tasks
            .iter()
            .filter(|(_, task)| task.stage != Stage::InWork)
            .map(|(key, _)| *key)
            .collect();
        let replies: Vec<Reply> = waiting.iter().flat_map(|key| state.finish(key)).collect();
        drop(state);
        self.shared.lookup.notify_all();
        self.shared.render.notify_all();
        for reply in replies {
            reply(Err(SpeechError::Closed));
        }
        for thread in self.threads.drain(..) {
            // A worker that panicked has been reported by its panic.
            let _ = thread.join();
        }
        // What was in work when the threads stopped.
        let mut state = self.shared.lock();
        let left: Vec<CacheKey> = state.tasks.keys().copied().collect();
        let replies: Vec<Reply> = left.iter().flat_map(|key| state.finish(key)).collect();
        drop(state);
        for reply in replies {
            reply(Err(SpeechError::Closed));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn first_stage(&self) -> Stage {
        if self.cache.is_some() {
            Stage::ToLookUp
        } else {
            Stage::ToRender
        }
    }

    fn wake(&self, stage: Option<Stage>) {
        match stage {
            Some(Stage::ToLookUp) => self.lookup.notify_one(),
            Some(Stage::ToRender) => self.render.notify_one(),
            Some(Stage::InWork) | None => {}
        }
    }

    /// The text as the voice gets it, and its key.
    fn prepare(&self, tenant: u32, text: &str) -> Result<(CacheKey, Arc<str>), SpeechError> {
        let mut words = normalise(self.config.language, text)?;
        if self.backend.reads_marks() {
            let lexicons = self.lexicons.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(lexicon) = lexicons.get(&tenant) {
                words = lexicon.mark(&words);
            }
        }
        Ok((CacheKey::new(&self.identity, &words), words.into()))
    }

    /// The thread that reads the cache.
    fn look_up(&self) {
        let Some(cache) = &self.cache else { return };
        while let Some((key, _)) = self.next(Stage::ToLookUp, &self.lookup) {
            match cache.get(&key) {
                Some(pcm) => {
                    self.finish(&key, Ok(pcm), |counters| counters.from_disk += 1);
                }
                None => {
                    let mut state = self.lock();
                    if let Some(task) = state.tasks.get_mut(&key) {
                        task.stage = Stage::ToRender;
                    }
                    let stage = state.enqueue(key);
                    drop(state);
                    self.wake(stage);
                }
            }
        }
    }

    /// A worker.
    fn work(&self) {
        lower_priority(self.config.nice);
        while let Some((key, text)) = self.next(Stage::ToRender, &self.render) {
            let start = Instant::now();
            let rendered = self
                .backend
                .speak(&text)
                .map(|(pcm, _)| Arc::new(level::telephone(&pcm)));
            let took_ms = start.elapsed().as_millis() as u64;
            match rendered {
                Ok(pcm) => {
                    if let Some(cache) = &self.cache {
                        cache.put(&key, &pcm);
                    }
                    let audio_ms = pcm.duration().as_millis() as u64;
                    self.finish(&key, Ok(pcm), |counters| {
                        counters.rendered += 1;
                        counters.rendered_audio_ms += audio_ms;
                        counters.rendering_ms += took_ms;
                    });
                }
                Err(error) => {
                    // The text may hold a name: it isn't logged.
                    tracing::warn!(kind = error.kind(), "a prompt couldn't be rendered");
                    self.finish(&key, Err(error), |counters| counters.failed += 1);
                }
            }
        }
    }

    /// The next prompt for a thread of this stage; nothing when closed.
    fn next(&self, stage: Stage, signal: &Condvar) -> Option<(CacheKey, Arc<str>)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(next) = state.take(stage) {
                return Some(next);
            }
            state = signal.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finish(&self, key: &CacheKey, answer: Answer, count: impl FnOnce(&mut Counters)) {
        let mut state = self.lock();
        let replies = state.finish(key);
        count(&mut state.counters);
        if let Ok(pcm) = &answer {
            let samples_max = u64::from(self.config.memory_seconds_max) * u64::from(Pcm8k::RATE_HZ);
            state
                .memory
                .insert(*key, Arc::clone(pcm), pcm.samples.len() as u64);
            while state.memory.evict(samples_max).is_some() {}
        }
        let idle = state.tasks.is_empty();
        drop(state);
        for reply in replies {
            reply(answer.clone());
        }
        if idle {
            self.idle.notify_all();
        }
    }
}

/// Gives the current thread the nice value `nice`; on Linux that is a
/// property of the thread, inherited by those it starts.
fn lower_priority(nice: u8) {
    // The crate maps 0…100 onto 19…−20.
    let value = 100 - (u32::from(nice.min(19)) + 20) * 100 / 39;
    let priority = ThreadPriorityValue::try_from(value as u8).map(ThreadPriority::Crossplatform);
    if let Ok(priority) = priority
        && let Err(error) = set_current_thread_priority(priority)
    {
        tracing::warn!(?error, "speech runs at normal priority");
    }
}

#[cfg(test)]
mod tests;
