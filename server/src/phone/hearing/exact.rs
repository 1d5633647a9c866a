//! Following clips bit by bit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use media::codec::{Codec, FRAME_SAMPLES};

use super::library::{Library, is_quiet};

/// Frames in a row that must agree before a clip counts as recognised, fewer only for clips that are shorter.
const CONFIRM_FRAMES: u32 = 5;
/// Of those, how many must hold sound.
const CONFIRM_SOUNDING: u32 = 3;
/// Frames in a row that disagree and end a run.
const MISSES_MAX: u32 = 5;
/// Most runs followed at a time.
const RUNS_MAX: usize = 24;
/// Frames remembered, to find a clip's quiet beginning once its sound is recognised.
const PAST_MAX: usize = 100;

/// One frame of audio at its place in the stream.
#[derive(Clone)]
pub(super) struct Frame {
    /// Place of its first sample in the stream.
    pub(super) position: i64,
    pub(super) codec: Codec,
    pub(super) bytes: [u8; FRAME_SAMPLES],
}

/// A stretch of a clip that arrives as it was rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// Which clip of the library.
    pub(super) clip: usize,
    /// Where in the stream the clip's first sample is, or would be.
    origin: i64,
    /// Frame of the clip the run began with; of a loop, counted on over its rounds.
    pub(super) first: u32,
    /// The last frame that agreed.
    pub(super) last: u32,
    /// Frames that agreed.
    pub(super) frames: u32,
    /// Of those, how many held sound.
    sounding: u32,
    /// Frames in a row that did not agree.
    misses: u32,
}

impl Run {
    /// Where in the stream it begins.
    pub(super) fn begin(&self) -> i64 {
        self.origin + i64::from(self.first) * FRAME_SAMPLES as i64
    }

    /// Where in the stream the last frame that agreed ends.
    pub(super) fn end(&self) -> i64 {
        self.origin + (i64::from(self.last) + 1) * FRAME_SAMPLES as i64
    }
}

/// What became of the runs with a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Recognised.
    Began(Run),
    /// Over: the clip is at its end, or something else arrives. Comes before a `Began`.
    Ended(Run),
}

/// Follows all clips that what arrives could be.
pub(super) struct Exact {
    library: Arc<Library>,
    /// All that could be; the best first once one is recognised.
    runs: Vec<Run>,
    /// `runs[0]` is recognised.
    recognised: bool,
    past: VecDeque<Frame>,
    /// Up to where the stream has been claimed by a run that is over.
    claimed: i64,
}

impl Exact {
    pub(super) fn new(library: Arc<Library>) -> Exact {
        Exact {
            library,
            runs: Vec::new(),
            recognised: false,
            past: VecDeque::with_capacity(PAST_MAX),
            claimed: i64::MIN,
        }
    }

    /// The run that is recognised now.
    pub(super) fn current(&self) -> Option<&Run> {
        self.runs.first().filter(|_| self.recognised)
    }

    /// Whether something is about to be recognised.
    pub(super) fn expects(&self) -> bool {
        self.recognised || self.runs.iter().any(|run| run.frames >= 2)
    }

    /// Takes the next frame. Positions only grow.
    pub(super) fn frame(&mut self, frame: &Frame, samples: &[i16], changes: &mut Vec<Change>) {
        let quiet = is_quiet(samples);
        self.follow(frame, quiet, changes);
        // While a run goes on undisturbed, nothing else needs to be looked for.
        let undisturbed = self.recognised && self.runs[0].misses == 0;
        if !quiet && !undisturbed {
            self.begin(frame);
        }
        self.recognise(changes);
        if self.past.len() == PAST_MAX {
            self.past.pop_front();
        }
        self.past.push_back(frame.clone());
    }

    /// Nothing arrives any more: ends whatever goes on.
    pub(super) fn stop(&mut self) -> Option<Run> {
        let ended = self.recognised.then(|| self.runs.swap_remove(0));
        if let Some(run) = &ended {
            self.claimed = run.end();
        }
        self.recognised = false;
        self.runs.clear();
        ended
    }

    /// Compares the frame with what each run expects.
    fn follow(&mut self, frame: &Frame, quiet: bool, changes: &mut Vec<Change>) {
        let known = self.library.known();
        let mut over = None;
        let mut at = 0;
        self.runs.retain_mut(|run| {
            let first = at == 0;
            at += 1;
            let clip = &known[run.clip];
            let offset = frame.position - run.origin;
            let index = offset / FRAME_SAMPLES as i64;
            let total = clip.clip.frames() as i64;
            let finished = !clip.loops() && index >= total;
            let agrees = !finished
                && offset % FRAME_SAMPLES as i64 == 0
                && clip.clip.frame(frame.codec, (index % total) as usize) == Some(&frame.bytes[..]);
            if agrees {
                run.last = index as u32;
                run.frames += 1;
                run.sounding += u32::from(!quiet);
                run.misses = 0;
            } else {
                run.misses += 1;
            }
            // At its last frame a clip is over, and that is known at once.
            let complete = !clip.loops() && index + 1 >= total;
            let goes_on =
                !finished && run.misses < MISSES_MAX && !(complete && self.recognised && first);
            if !goes_on && first && self.recognised {
                over = Some(run.clone());
            }
            // One that isn't recognised yet may be so with its very last frame: it goes with the next.
            goes_on
        });
        if let Some(over) = over {
            // The ring-back tone fits itself at several places, of which only one lasts.
            let heir = self
                .runs
                .iter()
                .position(|run| run.clip == over.clip && run.misses == 0 && run.last > over.last);
            match heir {
                Some(heir) => {
                    self.runs.swap(0, heir);
                    self.runs[0].first = over.first;
                    self.runs[0].frames = self.runs[0].frames.max(over.frames);
                }
                None => {
                    self.recognised = false;
                    self.claimed = over.end();
                    let claimed = self.claimed;
                    self.runs.retain(|run| run.begin() >= claimed);
                    changes.push(Change::Ended(over));
                }
            }
        }
    }

    /// Begins runs where the frame stands in clips, unless one of them expects it already.
    fn begin(&mut self, frame: &Frame) {
        let library = Arc::clone(&self.library);
        for place in library.places(frame.codec, &frame.bytes) {
            let clip = place.clip as usize;
            let known = &library.known()[clip];
            if known.clip.frame(frame.codec, place.frame as usize) != Some(&frame.bytes[..]) {
                continue;
            }
            let origin = frame.position - i64::from(place.frame) * FRAME_SAMPLES as i64;
            let length = known.clip.bytes(frame.codec).len() as i64;
            let same = |run: &Run| {
                run.clip == clip
                    && (run.origin == origin
                        || known.loops() && (run.origin - origin) % length == 0)
            };
            if self.runs.len() < RUNS_MAX && !self.runs.iter().any(same) {
                let mut run = Run {
                    clip,
                    origin,
                    first: place.frame,
                    last: place.frame,
                    frames: 1,
                    sounding: 1,
                    misses: 0,
                };
                self.extend_back(&mut run);
                self.runs.push(run);
            }
        }
    }

    /// Finds the run's beginning among the frames that came before it was noticed.
    fn extend_back(&self, run: &mut Run) {
        let clip = &self.library.known()[run.clip].clip;
        let mut misses = 0;
        for past in self.past.iter().rev() {
            let offset = past.position - run.origin;
            if offset < 0 || past.position < self.claimed || misses == MISSES_MAX {
                break;
            }
            let index = offset / FRAME_SAMPLES as i64;
            if offset % FRAME_SAMPLES as i64 == 0
                && clip.frame(past.codec, index as usize) == Some(&past.bytes[..])
            {
                run.first = index as u32;
                run.frames += 1;
                misses = 0;
            } else {
                misses += 1;
            }
        }
    }

    /// Recognises a run once it is long enough and nothing else fits as well.
    fn recognise(&mut self, changes: &mut Vec<Change>) {
        let known = self.library.known();
        let fits = |run: &Run| {
            let total = known[run.clip].clip.frames() as u32;
            run.misses == 0
                && run.frames >= CONFIRM_FRAMES.min(total)
                && run.sounding >= CONFIRM_SOUNDING.min(total)
        };
        // One that goes on undisturbed stays.
        if self.recognised && self.runs[0].misses == 0 {
            return;
        }
        let from = usize::from(self.recognised);
        let Some(best) = (from..self.runs.len())
            .filter(|&at| fits(&self.runs[at]))
            .max_by_key(|&at| (self.runs[at].frames, std::cmp::Reverse(self.runs[at].clip)))
        else {
            return;
        };
        // Two clips that begin alike: wait until one of them fails, or is over.
        let clip = self.runs[best].clip;
        let rivals = self.runs[from..].iter().any(|run| {
            run.clip != clip && run.misses == 0 && run.frames + 2 >= self.runs[best].frames
        });
        let at_its_end =
            !known[clip].loops() && self.runs[best].last as usize + 1 >= known[clip].clip.frames();
        if rivals && !at_its_end {
            return;
        }
        if self.recognised {
            let over = self.runs.swap_remove(0);
            self.claimed = over.end();
            changes.push(Change::Ended(over));
            // `best` was not first, and the last has taken the first place.
            let Some(best) = self
                .runs
                .iter()
                .position(|run| run.clip == clip && fits(run))
            else {
                self.recognised = false;
                return;
            };
            self.runs.swap(0, best);
        } else {
            self.runs.swap(0, best);
        }
        self.recognised = true;
        changes.push(Change::Began(self.runs[0].clone()));
        if at_its_end {
            let over = self.runs.swap_remove(0);
            self.claimed = over.end();
            self.recognised = false;
            self.runs.clear();
            changes.push(Change::Ended(over));
        }
    }
}

/// How long a stretch of the stream lasts.
pub(super) fn duration(samples: i64) -> Duration {
    Duration::from_micros(samples.max(0) as u64 * 125)
}
