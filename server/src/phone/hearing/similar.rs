//! Recognising clips by their sound, when they no longer arrive bit by bit: transcoded, shifted against frames, or
//! louder and softer than they were.

use std::sync::Arc;

use media::codec::FRAME_SAMPLES;

use super::library::Library;
use super::spectrum::{STEP_SAMPLES, correlation, envelope, is_active, likeness};

/// How much of the stream is remembered: 4 s.
const PAST_SAMPLES: usize = 32_000;
/// What is looked for in the clips: the last 600 ms.
const WINDOW_SAMPLES: usize = 4_800;
/// Of the window, what is compared sample by sample.
const CLOSE_SAMPLES: usize = 2_400;
/// How like the loudness must be for a closer look, and how many places get one.
const LIKE: f32 = 0.8;
const PLACES_MAX: usize = 4;
/// How like the samples must be to recognise a clip, and to go on with it.
const RECOGNISE: f32 = 0.7;
const GO_ON: f32 = 0.5;
/// Frames in a row that are not alike and end it.
const MISSES_MAX: u32 = 12;

/// The last seconds of the stream, decoded.
pub(super) struct Past {
    ring: Vec<i16>,
    /// Place in the stream after the last sample.
    end: i64,
}

impl Past {
    pub(super) fn new() -> Past {
        Past {
            ring: vec![0; PAST_SAMPLES],
            end: 0,
        }
    }

    /// Where the next sample in order belongs.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// Adds samples; what is missing before them is silence.
    pub(super) fn push(&mut self, position: i64, samples: &[i16]) {
        let missing = (position - self.end).clamp(0, PAST_SAMPLES as i64) as usize;
        if position > self.end {
            self.end = position - missing as i64;
        }
        let silence = std::iter::repeat_n(&0i16, missing);
        for &sample in silence.chain(samples) {
            let at = self.end.rem_euclid(PAST_SAMPLES as i64) as usize;
            self.ring[at] = sample;
            self.end += 1;
        }
    }

    /// A stretch of the stream; none when it isn't remembered any more.
    pub(super) fn read(&self, position: i64, out: &mut [i16]) -> Option<()> {
        let oldest = self.end - PAST_SAMPLES as i64;
        if position < oldest || position + out.len() as i64 > self.end {
            return None;
        }
        for (offset, sample) in out.iter_mut().enumerate() {
            *sample =
                self.ring[(position + offset as i64).rem_euclid(PAST_SAMPLES as i64) as usize];
        }
        Some(())
    }
}

/// A stretch of a clip recognised by its sound. Counted in frames of 20 ms of the clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    /// Which clip of the library.
    pub(super) clip: usize,
    /// Where in the stream the clip's first sample is, or would be.
    origin: i64,
    /// Where in the stream the match begins, and ends.
    pub(super) begin: i64,
    pub(super) end: i64,
    /// Frames that were alike.
    pub(super) frames: u32,
    misses: u32,
}

impl Match {
    /// How far into the clip it begins, in milliseconds.
    pub(super) fn begin_ms(&self) -> u32 {
        ((self.begin - self.origin).max(0) / 8) as u32
    }

    /// Frames between its begin and its end.
    pub(super) fn span_frames(&self) -> u32 {
        ((self.end - self.begin).max(0) / FRAME_SAMPLES as i64) as u32
    }
}

/// Whether the match goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    GoesOn,
    Over,
}

/// Looks through all clips for what was heard last. Costs some milliseconds with hundreds of prompts.
pub(super) fn search(library: &Library, past: &Past, claimed: i64) -> Option<Match> {
    let mut window = [0; WINDOW_SAMPLES];
    let start = past.end() - WINDOW_SAMPLES as i64;
    past.read(start, &mut window)?;
    let heard = envelope(&window);

    // Where the loudness goes up and down in the same way.
    let mut places: Vec<(f32, usize, usize)> = Vec::new();
    for (clip, known) in library.known().iter().enumerate() {
        for (step, stretch) in known.envelope.windows(heard.len()).enumerate() {
            let like = likeness(&heard, stretch);
            if like < LIKE {
                continue;
            }
            // Neighbouring steps are one place.
            match places.last_mut() {
                Some((best, same, last)) if *same == clip && step - *last <= 2 => {
                    if like > *best {
                        (*best, *last) = (like, step);
                    }
                }
                _ => places.push((like, clip, step)),
            }
        }
    }
    places.sort_by(|a, b| b.0.total_cmp(&a.0));
    places.truncate(PLACES_MAX);

    // Which of them it is, to the sample.
    let close_start = WINDOW_SAMPLES - CLOSE_SAMPLES;
    let close = &window[close_start..];
    let reach = STEP_SAMPLES as i64 + STEP_SAMPLES as i64 / 2;
    let mut best: Option<(f32, usize, i64)> = None;
    for (_, clip, step) in places {
        let samples = &library.known()[clip].samples;
        let near = (step * STEP_SAMPLES + close_start) as i64;
        for at in (near - reach).max(0)..=near + reach {
            let Some(stretch) = samples.get(at as usize..at as usize + CLOSE_SAMPLES) else {
                break;
            };
            let like = correlation(close, stretch);
            if like > RECOGNISE && best.is_none_or(|(best, ..)| like > best) {
                best = Some((like, clip, past.end() - CLOSE_SAMPLES as i64 - at));
            }
        }
    }
    let (_, clip, origin) = best?;

    // Back to where it began.
    let mut found = Match {
        clip,
        origin,
        begin: past.end(),
        end: past.end(),
        frames: 0,
        misses: 0,
    };
    let mut misses = 0;
    let mut position = past.end() - FRAME_SAMPLES as i64;
    while position >= claimed.max(origin) && misses < MISSES_MAX {
        match alike(library, past, &found, position) {
            Some(true) => {
                found.begin = position;
                found.frames += 1;
                misses = 0;
            }
            Some(false) => misses += 1,
            None => break,
        }
        position -= FRAME_SAMPLES as i64;
    }
    (found.frames > 0).then_some(found)
}

/// Compares the frame of the stream that begins at `position` with the clip.
pub(super) fn follow(library: &Library, past: &Past, found: &mut Match, position: i64) -> Follow {
    let known = &library.known()[found.clip];
    if !known.loops() && position - found.origin + FRAME_SAMPLES as i64 > known.samples.len() as i64
    {
        return Follow::Over;
    }
    if alike(library, past, found, position) == Some(true) {
        found.frames += 1;
        found.misses = 0;
        found.end = position + FRAME_SAMPLES as i64;
    } else {
        found.misses += 1;
        if found.misses >= MISSES_MAX {
            return Follow::Over;
        }
    }
    Follow::GoesOn
}

/// Whether a frame of the stream sounds like the clip there; none when one of them isn't there.
fn alike(library: &Library, past: &Past, found: &Match, position: i64) -> Option<bool> {
    let mut heard = [0; FRAME_SAMPLES];
    past.read(position, &mut heard)?;
    let known = &library.known()[found.clip];
    let length = known.samples.len() as i64;
    let at = position - found.origin;
    let at = if known.loops() {
        at.rem_euclid(length)
    } else {
        at
    };
    let end = at.checked_add(FRAME_SAMPLES as i64)?;
    let expected = known
        .samples
        .get(usize::try_from(at).ok()?..usize::try_from(end).ok()?);
    let Some(expected) = expected else {
        // The seam of a loop: one frame is taken on trust.
        return known.loops().then_some(true);
    };
    Some(match (is_active(&heard), is_active(expected)) {
        (false, false) => true,
        // The edges of words fall on either side of the threshold.
        _ => correlation(&heard, expected) > GO_ON,
    })
}

/// Shared by whoever searches: how often that is worth its cost.
pub(super) struct Searcher {
    library: Arc<Library>,
    /// Frames until the next search.
    rest: u32,
    /// Searches in vain since something was last recognised or it was quiet.
    pub(super) failures: u32,
}

impl Searcher {
    pub(super) fn new(library: Arc<Library>) -> Searcher {
        Searcher {
            library,
            rest: 0,
            failures: 0,
        }
    }

    /// Begins anew: something else is heard.
    pub(super) fn reset(&mut self) {
        self.rest = 0;
        self.failures = 0;
    }

    /// What was found has turned out to be something else: that counts like this many searches.
    pub(super) fn in_vain(&mut self, searches: u32) {
        self.failures = self.failures.saturating_add(searches);
        self.rest = 5;
    }

    /// Searches when it is time: every 100 ms at first, every second once much was in vain.
    pub(super) fn search(&mut self, past: &Past, claimed: i64) -> Option<Match> {
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        let found = search(&self.library, past, claimed);
        if found.is_some() {
            self.reset();
        } else {
            self.failures = self.failures.saturating_add(1);
            self.rest = if self.failures < 20 { 5 } else { 50 };
        }
        found
    }
}
