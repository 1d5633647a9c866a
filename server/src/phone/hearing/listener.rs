//! The listener: which of the ways of recognising has the word.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use media::codec::{Codec, FRAME_SAMPLES, Format};
use media::engine::Heard;

use super::super::marker::{Marker, TONES};
use super::exact::{Change, Exact, Frame, Run, duration};
use super::library::{ClipKind, Library};
use super::similar::{Follow, Match, Past, Searcher, follow};
use super::spectrum::{is_active, pure_tone};
use super::{Gaps, HearingEvent, Sound};

/// How long nothing sounds before that counts as silence.
const SILENCE_AFTER: Duration = Duration::from_secs(1);
/// How long no packet comes before a prompt counts as broken off.
const BROKEN_AFTER: Duration = Duration::from_millis(400);
/// Frames over which a marker is made out: two rounds of one with two tones.
const TONE_WINDOW: usize = 32;
/// Frames of a tone that make it part of a marker, and frames since its first until the marker is made out.
const TONE_FRAMES: usize = 4;
const TONE_DECIDED: usize = 18;
/// How long none of its tones sounds before a marker is over.
const TONE_OVER: i64 = 4_800;
/// Sounding frames that nothing explains before they count as a voice, and searches that were in vain meanwhile.
const VOICE_FRAMES: u32 = 40;
const VOICE_SEARCHES: u32 = 3;
/// How long a voice may pause.
const VOICE_OVER: i64 = 8_000;
/// What makes a likeness a prompt: one part in this many of the prompt, and this share of what was heard, in tenths.
/// A few words that sound alike aren't told as words that were never said.
const PROMPT_PART: u32 = 2;
const HEARD_TENTHS: u32 = 7;
/// Most a stream's timestamp may jump and still be followed: ten seconds.
const JUMP_MAX: i64 = 80_000;

/// A listener on one call. Times are durations since any moment that stays the same; a phone gives the answer.
///
/// How it is driven: [`Hearing::packet`] with every packet as it arrives, [`Hearing::tick`] some times a second in
/// between; events come out of [`Hearing::poll_event`], those of one kind of sound never overlapping another's.
pub struct Hearing {
    counts: Counts,
    /// None when packets are only counted.
    listener: Option<Box<Listener>>,
}

/// What is counted of packets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came.
    pub packets: u64,
    /// Of those, packets that came after a later one; they are not listened to.
    pub late: u64,
    /// Pauses between them.
    pub gaps: Gaps,
    last: Option<Last>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Last {
    at: Duration,
    sequence: u64,
    timestamp: u32,
    samples: u32,
}

impl Counts {
    /// Counts a packet. Whether it is one to listen to.
    fn packet(&mut self, at: Duration, heard: &Heard<'_>) -> bool {
        self.packets += 1;
        if let Some(last) = self.last {
            if heard.sequence <= last.sequence {
                self.late += 1;
                return false;
            }
            // The pause is the network's when the sender's clock went on by what was sent.
            if heard.sequence == last.sequence + 1
                && heard.timestamp == last.timestamp.wrapping_add(last.samples)
            {
                self.gaps.add(at.saturating_sub(last.at));
            }
        }
        self.last = Some(Last {
            at,
            sequence: heard.sequence,
            timestamp: heard.timestamp,
            samples: heard.payload.len() as u32,
        });
        true
    }
}

impl Hearing {
    /// A listener who knows these clips.
    pub fn listening(library: Arc<Library>) -> Hearing {
        Hearing {
            counts: Counts::default(),
            listener: Some(Box::new(Listener::new(library))),
        }
    }

    /// One who only counts packets.
    pub fn counting() -> Hearing {
        Hearing {
            counts: Counts::default(),
            listener: None,
        }
    }

    /// Takes a packet that arrived at `at`.
    pub fn packet(&mut self, at: Duration, heard: &Heard<'_>) {
        let in_order = self.counts.packet(at, heard);
        if let Some(listener) = self.listener.as_mut().filter(|_| in_order) {
            listener.packet(at, heard);
        }
    }

    /// Time goes by, though nothing arrives.
    pub fn tick(&mut self, now: Duration) {
        if let Some(listener) = &mut self.listener {
            listener.tick(now);
        }
    }

    /// The call is over: ends whatever is heard.
    pub fn finish(&mut self, now: Duration) {
        if let Some(listener) = &mut self.listener {
            listener.tick(now);
            listener.stop_exact();
            listener.disbelieve();
            listener.end_current(None);
        }
    }

    /// The next thing heard.
    pub fn poll_event(&mut self) -> Option<HearingEvent> {
        self.listener.as_mut()?.events.pop_front()
    }

    /// What was counted so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// What is heard now, other than a clip that arrives bit by bit.
enum Current {
    Nothing,
    /// A run of [`Exact`], with when it began.
    Clip {
        from: Duration,
    },
    /// A clip by its sound.
    Alike {
        found: Match,
        from: Duration,
    },
    Tone {
        marker: Marker,
        from: Duration,
        last: i64,
    },
    Voice {
        from: Duration,
        last: i64,
    },
    Silence {
        from: Duration,
    },
}

struct Listener {
    library: Arc<Library>,
    exact: Exact,
    past: Past,
    searcher: Searcher,
    current: Current,
    /// A clip that it could be by its sound, too little of which was heard so far.
    candidate: Option<Match>,
    events: VecDeque<HearingEvent>,
    /// Extended timestamp of the stream's position 0, and the last one seen.
    clock: Option<Clock>,
    /// What doesn't fill a frame yet, with its place.
    rest: Vec<u8>,
    rest_at: i64,
    /// Tones of the last frames; none for one without.
    tones: VecDeque<Option<u8>>,
    /// Place and time of the frame last heard, and time of the last that sounded.
    last_position: i64,
    last_at: Duration,
    /// The latest time given.
    now: Duration,
    sounded_at: Option<Duration>,
    /// Sounding frames nothing explains, and the first of them.
    unexplained: u32,
    unexplained_from: i64,
    /// Place of the last of them.
    unexplained_last: i64,
    /// Up to where the stream is explained.
    claimed: i64,
    changes: Vec<Change>,
}

/// Turns 32-bit timestamps into places in the stream.
#[derive(Debug, Clone, Copy)]
struct Clock {
    timestamp: u32,
    position: i64,
    samples: i64,
}

impl Listener {
    fn new(library: Arc<Library>) -> Listener {
        Listener {
            exact: Exact::new(Arc::clone(&library)),
            past: Past::new(),
            searcher: Searcher::new(Arc::clone(&library)),
            library,
            current: Current::Nothing,
            candidate: None,
            events: VecDeque::new(),
            clock: None,
            rest: Vec::with_capacity(FRAME_SAMPLES),
            rest_at: 0,
            tones: VecDeque::with_capacity(TONE_WINDOW),
            last_position: 0,
            last_at: Duration::ZERO,
            now: Duration::ZERO,
            sounded_at: None,
            unexplained: 0,
            unexplained_from: 0,
            unexplained_last: 0,
            claimed: i64::MIN,
            changes: Vec::new(),
        }
    }

    fn packet(&mut self, at: Duration, heard: &Heard<'_>) {
        // This phone agrees on nothing else.
        let Format::G711(codec) = heard.codec else {
            return;
        };
        if heard.payload.is_empty() {
            return;
        }
        let samples = heard.payload.len() as i64;
        let position = match self.clock {
            None => 0,
            Some(clock) => {
                let step = i64::from(heard.timestamp.wrapping_sub(clock.timestamp) as i32);
                // A sender that begins a new count (a new source) goes on where the old one stopped.
                let step = if (clock.samples..=JUMP_MAX).contains(&step) {
                    step
                } else {
                    clock.samples
                };
                clock.position + step
            }
        };
        self.clock = Some(Clock {
            timestamp: heard.timestamp,
            position,
            samples,
        });

        // Whole frames go as they are; what is cut otherwise is put together again.
        if !self.rest.is_empty() && self.rest_at + self.rest.len() as i64 != position {
            self.rest.clear();
        }
        let mut payload = heard.payload;
        let mut position = position;
        if !self.rest.is_empty() {
            let missing = (FRAME_SAMPLES - self.rest.len()).min(payload.len());
            self.rest.extend_from_slice(&payload[..missing]);
            payload = &payload[missing..];
            position += missing as i64;
            let Ok(bytes) = <[u8; FRAME_SAMPLES]>::try_from(&self.rest[..]) else {
                return;
            };
            self.rest.clear();
            self.frame(
                at,
                Frame {
                    position: self.rest_at,
                    codec,
                    bytes,
                },
            );
        }
        while let Some((bytes, more)) = payload.split_first_chunk::<FRAME_SAMPLES>() {
            self.frame(
                at,
                Frame {
                    position,
                    codec,
                    bytes: *bytes,
                },
            );
            payload = more;
            position += FRAME_SAMPLES as i64;
        }
        if !payload.is_empty() {
            self.rest_at = position;
            self.rest.extend_from_slice(payload);
        }
    }

    fn frame(&mut self, at: Duration, frame: Frame) {
        let samples = frame.bytes.map(|byte| Codec::decode(frame.codec, byte));
        let active = is_active(&samples);
        self.past.push(frame.position, &samples);
        self.last_position = frame.position;
        self.last_at = at;
        if active || self.sounded_at.is_none() {
            self.sounded_at = Some(at);
        }

        let mut changes = std::mem::take(&mut self.changes);
        self.exact.frame(&frame, &samples, &mut changes);
        for change in changes.drain(..) {
            match change {
                Change::Began(run) => {
                    let from = self.time_of(run.begin());
                    self.end_current(Some(run.begin()));
                    self.begin(Current::Clip { from }, self.sound_of_run(&run), from);
                }
                Change::Ended(run) => self.end_clip(&run),
            }
        }
        self.changes = changes;
        if self.exact.current().is_none() {
            self.otherwise(&frame, &samples, active);
        } else {
            self.tones.clear();
            self.unexplained = 0;
            self.candidate = None;
            self.searcher.reset();
        }
        self.notice_silence(at);
    }

    /// What a frame is when no clip is being followed bit by bit.
    fn otherwise(&mut self, frame: &Frame, samples: &[i16; FRAME_SAMPLES], active: bool) {
        if let Current::Alike { found, .. } = &mut self.current {
            match follow(&self.library, &self.past, found, frame.position) {
                Follow::GoesOn => return,
                Follow::Over => self.end_current(None),
            }
        }
        if let Some(mut found) = self.candidate.take() {
            if active {
                self.count_unexplained(frame.position);
            }
            let followed = follow(&self.library, &self.past, &mut found, frame.position);
            self.candidate = Some(found);
            match followed {
                Follow::GoesOn => self.believe(),
                Follow::Over => self.disbelieve(),
            }
            return;
        }
        let tone = if active { pure_tone(samples) } else { None };
        self.notice_tone(frame.position, tone);
        if let Current::Tone { last, .. } = &self.current {
            if frame.position - *last > TONE_OVER {
                self.end_current(None);
            } else {
                return;
            }
        }
        if tone.is_some() || self.exact.expects() {
            return;
        }
        if !active {
            if let Current::Voice { last, .. } = &self.current
                && frame.position - *last > VOICE_OVER
            {
                self.end_current(None);
            }
            if frame.position - self.unexplained_last > VOICE_OVER {
                self.unexplained = 0;
                self.searcher.reset();
            }
            return;
        }
        self.count_unexplained(frame.position);
        // Less than a third of a second is too little to go by.
        if self.unexplained >= 15
            && let Some(found) = self.searcher.search(&self.past, self.claimed)
        {
            self.candidate = Some(found);
            self.believe();
        } else {
            self.notice_voice();
        }
    }

    fn count_unexplained(&mut self, position: i64) {
        if let Current::Voice { last, .. } = &mut self.current {
            *last = position + FRAME_SAMPLES as i64;
        }
        if self.unexplained == 0 {
            self.unexplained_from = position;
        }
        self.unexplained += 1;
        self.unexplained_last = position;
    }

    /// Tells of the candidate once enough of it was heard.
    fn believe(&mut self) {
        let convinces = |found: &mut Match| {
            let known = &self.library.known()[found.clip];
            known.loops()
                || found.frames * PROMPT_PART >= known.clip.frames() as u32
                    && found.frames * 10 >= found.span_frames() * HEARD_TENTHS
        };
        if let Some(found) = self.candidate.take_if(convinces) {
            let from = self.time_of(found.begin);
            self.end_current(Some(found.begin));
            self.unexplained = 0;
            let sound = self.sound_of_match(&found);
            self.begin(Current::Alike { found, from }, sound, from);
        }
    }

    /// The candidate is none: what was heard remains unknown.
    fn disbelieve(&mut self) {
        if self.candidate.take().is_some() {
            self.searcher.in_vain(VOICE_SEARCHES);
            self.notice_voice();
        }
    }

    /// A voice, once enough was heard that nothing explains.
    fn notice_voice(&mut self) {
        if self.unexplained >= VOICE_FRAMES
            && self.searcher.failures >= VOICE_SEARCHES
            && !matches!(self.current, Current::Voice { .. })
        {
            let from = self.time_of(self.unexplained_from);
            self.end_current(Some(self.unexplained_from));
            let last = self.unexplained_last + FRAME_SAMPLES as i64;
            self.begin(Current::Voice { from, last }, Sound::Voice, from);
        }
    }

    /// Makes out markers from the tones of the last frames.
    fn notice_tone(&mut self, position: i64, tone: Option<usize>) {
        if self.tones.len() == TONE_WINDOW {
            self.tones.pop_front();
        }
        self.tones.push_back(tone.map(|tone| tone as u8));
        let Some(tone) = tone else { return };
        let mut counts = [0usize; TONES];
        self.tones
            .iter()
            .flatten()
            .for_each(|&tone| counts[usize::from(tone)] += 1);
        if let Current::Tone { marker, last, .. } = &mut self.current {
            let (low, high) = marker.tones_hz();
            if [low, high].contains(&Marker::tone_hz(tone)) {
                *last = position + FRAME_SAMPLES as i64;
                return;
            }
            if counts[tone] < TONE_FRAMES {
                return;
            }
            // Another phone speaks: only what is new counts for it.
            self.end_current(None);
            let keep = self
                .tones
                .iter()
                .rev()
                .take_while(|heard| heard.is_none_or(|heard| usize::from(heard) == tone))
                .count();
            self.tones.drain(..self.tones.len() - keep);
            counts = [0; TONES];
            counts[tone] = TONE_FRAMES;
        }
        let mut made_of = (0..TONES).filter(|&tone| counts[tone] >= TONE_FRAMES);
        let (Some(low), high, None) = (made_of.next(), made_of.next(), made_of.next()) else {
            return;
        };
        let Some(first) = self.tones.iter().position(|heard| {
            heard.is_some_and(|heard| usize::from(heard) == low || Some(usize::from(heard)) == high)
        }) else {
            return;
        };
        let age = self.tones.len() - first;
        if age < TONE_DECIDED {
            return;
        }
        let Some(marker) = Marker::of_tones(low, high.unwrap_or(low)) else {
            return;
        };
        let begin = position - (age as i64 - 1) * FRAME_SAMPLES as i64;
        let from = self.time_of(begin);
        self.end_current(Some(begin));
        self.unexplained = 0;
        let last = position + FRAME_SAMPLES as i64;
        self.begin(
            Current::Tone { marker, from, last },
            Sound::Tone(marker),
            from,
        );
    }

    fn tick(&mut self, now: Duration) {
        if now.saturating_sub(self.last_at) > BROKEN_AFTER {
            self.stop_exact();
            self.disbelieve();
            match &self.current {
                Current::Alike { .. } => self.end_current(None),
                Current::Tone { .. } | Current::Voice { .. }
                    if now.saturating_sub(self.last_at) > SILENCE_AFTER =>
                {
                    self.end_current(None);
                }
                _ => {}
            }
        }
        self.notice_silence(now);
    }

    fn stop_exact(&mut self) {
        if let Some(run) = self.exact.stop() {
            self.end_clip(&run);
        }
    }

    /// Silence, unless it belongs to something.
    fn notice_silence(&mut self, now: Duration) {
        self.now = now;
        let since = *self.sounded_at.get_or_insert(now);
        match self.current {
            Current::Nothing | Current::Voice { .. } | Current::Tone { .. }
                if now.saturating_sub(since) > SILENCE_AFTER && self.candidate.is_none() =>
            {
                self.end_current(None);
                self.begin(Current::Silence { from: since }, Sound::Silence, since);
            }
            Current::Silence { .. } if now.saturating_sub(since) < SILENCE_AFTER => {
                // Something sounds again; what it is will be known soon.
                self.end_current(None);
            }
            _ => {}
        }
    }

    fn begin(&mut self, current: Current, sound: Sound, from: Duration) {
        self.current = current;
        self.events.push_back(HearingEvent::Began { sound, from });
    }

    /// Ends what is heard now, at the latest where the next thing begins.
    fn end_current(&mut self, next: Option<i64>) {
        let next = next.map(|position| self.time_of(position));
        let until = |to: Duration| next.map_or(to, |next| next.min(to));
        let (sound, from, to) = match std::mem::replace(&mut self.current, Current::Nothing) {
            Current::Nothing => return,
            // Ended by its own run.
            current @ Current::Clip { .. } => {
                self.current = current;
                return;
            }
            Current::Alike { found, from } => {
                self.claimed = self.claimed.max(found.end);
                (self.sound_of_match(&found), from, self.time_of(found.end))
            }
            Current::Tone { marker, from, last } => (Sound::Tone(marker), from, self.time_of(last)),
            Current::Voice { from, last } => (Sound::Voice, from, until(self.time_of(last))),
            Current::Silence { from } => (Sound::Silence, from, until(self.now)),
        };
        let to = to.max(from);
        self.events
            .push_back(HearingEvent::Ended { sound, from, to });
    }

    fn end_clip(&mut self, run: &Run) {
        let to = self.time_of(run.end());
        self.claimed = self.claimed.max(run.end());
        if let Current::Clip { from } = self.current {
            self.current = Current::Nothing;
            self.sounded_at = Some(to.min(self.last_at));
            let sound = self.sound_of_run(run);
            self.events.push_back(HearingEvent::Ended {
                sound,
                from,
                to: to.max(from),
            });
        }
    }

    fn sound_of_run(&self, run: &Run) -> Sound {
        let counts = (run.first * 20, run.frames, run.last - run.first + 1);
        self.sound_of(run.clip, counts, true)
    }

    fn sound_of_match(&self, found: &Match) -> Sound {
        self.sound_of(
            found.clip,
            (found.begin_ms(), found.frames, found.span_frames()),
            false,
        )
    }

    fn sound_of(
        &self,
        clip: usize,
        (from_ms, frames, span_frames): (u32, u32, u32),
        identical: bool,
    ) -> Sound {
        let known = &self.library.known()[clip];
        match known.kind {
            ClipKind::Music => Sound::Music { identical },
            ClipKind::RingBack => Sound::RingBack,
            ClipKind::Prompt => Sound::Prompt {
                text: Arc::clone(&known.text),
                from_ms,
                frames,
                span_frames,
                of_frames: known.clip.frames() as u32,
                identical,
            },
        }
    }

    /// When a place in the stream was heard: its distance from the frame heard last.
    fn time_of(&self, position: i64) -> Duration {
        let ahead = position - self.last_position;
        if ahead >= 0 {
            self.last_at + duration(ahead)
        } else {
            self.last_at.saturating_sub(duration(-ahead))
        }
    }
}
