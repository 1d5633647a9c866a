//! From the words of a flow to clips that can be played.
//!
//! Fixed prompts and the pairs of ticket digits are rendered before the first
//! call is answered. What has a name in it is made when it is wanted, by the
//! studio's low-priority threads; a caller waits for it for a bounded time and
//! then hears what there is, which is counted.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use desk::TenantId;
use ivr_flows::{Language, Piece};
use media::clip::Clip;
use speech::digits::Place;
use speech::{Studio, TicketClips};
use switch::{Input, RenderId};
use tokio::sync::mpsc;

/// Prompts with names that are kept as clips: at two seconds each, 128 MB.
const RECENT_MAX: usize = 4_096;
/// Prompts that may be awaited at a time; more are answered with failure.
const AWAITED_MAX: usize = 8_192;

/// A prompt that a studio thread has finished with.
#[derive(Debug)]
pub struct Ready {
    tenant: TenantId,
    language: Language,
    text: Arc<str>,
    clip: Option<Arc<Clip>>,
}

/// What callers didn't hear as it was meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Prompts asked for.
    pub asked: u64,
    /// Played without the parts that were not ready in time.
    pub shortened: u64,
    /// Not played at all.
    pub missed: u64,
}

#[derive(Debug)]
struct Awaited {
    tenant: TenantId,
    pieces: Vec<Piece>,
    deadline: Duration,
}

/// A prompt: whose, in which language, and what it says.
type Key = (TenantId, Language, Arc<str>);

/// One language: who speaks it, and what there is of it.
struct Voice {
    studio: Arc<Studio>,
    tickets: TicketPairs,
    fixed: HashMap<(TenantId, Arc<str>), Arc<Clip>>,
}

/// See the module's description.
pub struct Prompter {
    voices: BTreeMap<Language, Voice>,
    recent: HashMap<Key, Arc<Clip>>,
    recent_order: VecDeque<Key>,
    awaited: BTreeMap<u64, Awaited>,
    deadline: Duration,
    ready: mpsc::Sender<Ready>,
    counters: Counters,
}

/// The three hundred clips that every ticket number is read from: each pair of
/// digits in each place it can stand in.
#[derive(Debug, Clone)]
pub struct TicketPairs {
    opening: Vec<Arc<Clip>>,
    continuing: Vec<Arc<Clip>>,
    last: Vec<Arc<Clip>>,
}

impl TicketPairs {
    /// Encodes the recorded pairs.
    pub fn new(clips: &TicketClips) -> Self {
        let encode = |place: Place| {
            (0..100)
                .map(|pair| Clip::from_samples(&clips.pair(pair, place).samples))
                .collect()
        };
        Self {
            opening: encode(Place::Opening),
            continuing: encode(Place::Continuing),
            last: encode(Place::Final),
        }
    }

    /// The clips of a number; none if it isn't one of an even count of digits.
    pub fn of(&self, digits: &str) -> Option<Vec<Arc<Clip>>> {
        let bytes = digits.as_bytes();
        if bytes.is_empty()
            || !bytes.len().is_multiple_of(2)
            || !bytes.iter().all(u8::is_ascii_digit)
        {
            return None;
        }
        let pairs = bytes.len() / 2;
        bytes
            .chunks_exact(2)
            .enumerate()
            .map(|(place, pair)| {
                let value = usize::from(pair[0] - b'0') * 10 + usize::from(pair[1] - b'0');
                let set = match place {
                    0 => &self.opening,
                    n if n + 1 == pairs => &self.last,
                    _ => &self.continuing,
                };
                set.get(value).cloned()
            })
            .collect()
    }

    /// Every clip with the words it says, for recognising them.
    pub fn all(&self) -> impl Iterator<Item = (String, Arc<Clip>)> + '_ {
        self.opening
            .iter()
            .chain(&self.continuing)
            .chain(&self.last)
            .enumerate()
            .map(|(index, clip)| (format!("{:02}", index % 100), Arc::clone(clip)))
    }
}

impl Prompter {
    /// A prompter over fixed clips. What studio threads finish with comes out
    /// of the receiver, to be handed to [`Self::ready`].
    pub fn new(
        studio: Arc<Studio>,
        tickets: TicketPairs,
        fixed: HashMap<(TenantId, Arc<str>), Arc<Clip>>,
        deadline: Duration,
    ) -> (Self, mpsc::Receiver<Ready>) {
        let (ready, receiver) = mpsc::channel(AWAITED_MAX);
        let english = Voice {
            studio,
            tickets,
            fixed,
        };
        let prompter = Self {
            voices: BTreeMap::from([(Language::ENGLISH, english)]),
            recent: HashMap::new(),
            recent_order: VecDeque::new(),
            awaited: BTreeMap::new(),
            deadline,
            ready,
            counters: Counters::default(),
        };
        (prompter, receiver)
    }

    /// Speaks one more language.
    pub fn speaks(
        &mut self,
        language: Language,
        studio: Arc<Studio>,
        tickets: TicketPairs,
        fixed: HashMap<(TenantId, Arc<str>), Arc<Clip>>,
    ) {
        let voice = Voice {
            studio,
            tickets,
            fixed,
        };
        self.voices.insert(language, voice);
    }

    /// More prompts that are ready before anybody wants them. Those there are
    /// stay: calls in progress go on saying them.
    pub fn add_fixed(
        &mut self,
        language: Language,
        fixed: HashMap<(TenantId, Arc<str>), Arc<Clip>>,
    ) {
        if let Some(voice) = self.voices.get_mut(&language) {
            voice.fixed.extend(fixed);
        }
    }

    /// A prompt is wanted: the clips at once if they are there, later otherwise.
    pub fn render(
        &mut self,
        now: Duration,
        id: RenderId,
        tenant: TenantId,
        pieces: Vec<Piece>,
    ) -> Option<Input> {
        self.counters.asked += 1;
        if let Some(clips) = self.clips(tenant, &pieces) {
            return Some(Input::Rendered { id, clips });
        }
        if self.awaited.len() >= AWAITED_MAX {
            self.counters.missed += 1;
            return Some(Input::RenderFailed { id });
        }
        for piece in &pieces {
            if let Piece::Text(language, text) = piece
                && self.clip(tenant, *language, text).is_none()
            {
                self.ask(tenant, *language, text);
            }
        }
        self.awaited.insert(
            id.0,
            Awaited {
                tenant,
                pieces,
                deadline: now + self.deadline,
            },
        );
        None
    }

    /// This will be said: it is rendered now, so that nobody waits for it then.
    pub fn prepare(&self, tenant: TenantId, texts: &[desk::IncidentText]) {
        for text in texts {
            let Some(language) = Language::from_tag(text.language.tag()) else {
                continue;
            };
            for words in [Some(&text.text), text.brief.as_ref()]
                .into_iter()
                .flatten()
            {
                let words: Arc<str> = words.as_str().into();
                if self.clip(tenant, language, &words).is_none() {
                    self.ask(tenant, language, &words);
                }
            }
        }
    }

    fn ask(&self, tenant: TenantId, language: Language, text: &Arc<str>) {
        let ready = self.ready.clone();
        let words = Arc::clone(text);
        // A language without a voice is met by the deadline; sessions speak none.
        let Some(voice) = self.voices.get(&language) else {
            return;
        };
        voice.studio.request_with(tenant.0, text, move |answer| {
            let clip = answer.ok().map(|pcm| Clip::from_samples(&pcm.samples));
            // A full channel means that thousands wait already: this one is
            // then met by its deadline.
            let _ = ready.try_send(Ready {
                tenant,
                language,
                text: words,
                clip,
            });
        });
    }

    /// A studio thread has finished: what can be played now?
    pub fn ready(&mut self, done: Ready, mut play: impl FnMut(Input)) {
        let failed = done.clip.is_none();
        if let Some(clip) = done.clip {
            let key = (done.tenant, done.language, Arc::clone(&done.text));
            if self.recent.insert(key.clone(), clip).is_none() {
                self.recent_order.push_back(key);
            }
            if self.recent_order.len() > RECENT_MAX
                && let Some(oldest) = self.recent_order.pop_front()
            {
                self.recent.remove(&oldest);
            }
        }
        let concerned: Vec<u64> = self
            .awaited
            .iter()
            .filter(|(_, awaited)| {
                awaited.tenant == done.tenant
                    && awaited
                        .pieces
                        .iter()
                        .any(|piece| {
                            matches!(piece, Piece::Text(language, text) if *language == done.language && *text == done.text)
                        })
            })
            .map(|(id, _)| *id)
            .collect();
        for id in concerned {
            let Some(awaited) = self.awaited.get(&id) else {
                continue;
            };
            if let Some(clips) = self.clips(awaited.tenant, &awaited.pieces) {
                self.awaited.remove(&id);
                play(Input::Rendered {
                    id: RenderId(id),
                    clips,
                });
            } else if failed {
                play(self.give_up(id));
            }
        }
    }

    /// When [`Self::on_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        // Asked for in the order of their ids, with one deadline for all: the
        // first is due first.
        self.awaited.values().next().map(|awaited| awaited.deadline)
    }

    /// Answers those who have waited long enough.
    pub fn on_timeout(&mut self, now: Duration, mut play: impl FnMut(Input)) {
        while let Some((&id, awaited)) = self.awaited.iter().next()
            && awaited.deadline <= now
        {
            if let Some(voice) = self.voices.get(&Language::ENGLISH) {
                voice.studio.count_timeout();
            }
            let input = self.give_up(id);
            play(input);
        }
    }

    /// Plays what there is of a prompt.
    fn give_up(&mut self, id: u64) -> Input {
        let Some(awaited) = self.awaited.remove(&id) else {
            return Input::RenderFailed { id: RenderId(id) };
        };
        let mut clips = Vec::new();
        for piece in &awaited.pieces {
            clips.extend(self.piece(awaited.tenant, piece).unwrap_or_default());
        }
        if clips.is_empty() {
            self.counters.missed += 1;
            Input::RenderFailed { id: RenderId(id) }
        } else {
            if let Some(voice) = self.voices.get(&Language::ENGLISH) {
                voice.studio.count_fallback();
            }
            self.counters.shortened += 1;
            Input::Rendered {
                id: RenderId(id),
                clips,
            }
        }
    }

    fn clips(&self, tenant: TenantId, pieces: &[Piece]) -> Option<Vec<Arc<Clip>>> {
        let mut clips = Vec::with_capacity(pieces.len() + 4);
        for piece in pieces {
            clips.extend(self.piece(tenant, piece)?);
        }
        Some(clips)
    }

    fn piece(&self, tenant: TenantId, piece: &Piece) -> Option<Vec<Arc<Clip>>> {
        match piece {
            Piece::Text(language, text) => {
                self.clip(tenant, *language, text).map(|clip| vec![clip])
            }
            Piece::TicketPairs(language, digits) => self.voices.get(language)?.tickets.of(digits),
            Piece::NumberPairs(language, number) => {
                self.voices.get(language)?.tickets.of(number.digits())
            }
        }
    }

    fn clip(&self, tenant: TenantId, language: Language, text: &Arc<str>) -> Option<Arc<Clip>> {
        let voice = self.voices.get(&language)?;
        let fixed = voice.fixed.get(&(tenant, Arc::clone(text)));
        fixed
            .or_else(|| self.recent.get(&(tenant, language, Arc::clone(text))))
            .cloned()
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
