//! Ticket numbers read out from clips.
//!
//! A ticket number is said in a call that has just got it, so it can't be
//! rendered ahead; and single digits joined together are misheard. Hence
//! clips of whole pairs ("four seven"), cut at the pauses of whole
//! utterances, one set for each place a pair can stand in: at the beginning,
//! in the middle, at the end where the voice falls. That is three hundred
//! clips for all ten thousand million numbers.

use std::ops::Range;
use std::thread;

use crate::level::{self, LEAD_MS, TAIL_MS};
use crate::normalise::{Language, digits_in_groups};
use crate::studio::Studio;
use crate::{Pcm, Pcm8k, SpeechError};

const PAIRS: usize = 100;
const RATE: usize = Pcm8k::RATE_HZ as usize;
/// Between pairs: long enough to write two digits down.
const PAUSE_MS: usize = 320;
/// Kept around what can be heard of a clip.
const MARGIN_MS: usize = 20;
/// A pair is heard for at least this long; anything shorter is a bad cut.
const CLIP_MS_MIN: usize = 250;
/// A silence this long between words is a pause, if the voice doesn't say
/// where its pauses are.
const GAP_MS_MIN: usize = 60;

/// Clips of all hundred pairs of digits in each of three places, cut from
/// whole utterances. Ten digits are five clips. About 3 MB.
#[derive(Clone, Debug)]
pub struct TicketClips {
    /// By pair, then by [`Place`].
    clips: Vec<[Vec<i16>; 3]>,
}

/// Where in the number a pair stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// At the beginning.
    Opening,
    /// In the middle.
    Continuing,
    /// At the end, where the voice falls.
    Final,
}

const PLACES: [Place; 3] = [Place::Opening, Place::Continuing, Place::Final];

impl TicketClips {
    /// Digits in a ticket number.
    pub const DIGITS: usize = 10;

    /// Records the clips, or takes them from the studio's cache. Blocks: the
    /// first time for 100 utterances (some ten seconds of CPU, at the
    /// workers' low priority).
    ///
    /// # Errors
    /// What the studio's voice answers; also when its utterances have no
    /// pauses to cut at.
    pub fn record(studio: &Studio) -> Result<Self, SpeechError> {
        // A thread of its own, since a thread's priority can't be raised
        // again without privileges.
        let recorded = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                studio.be_nice();
                (0..PAIRS)
                    .map(|n| record(studio, n))
                    .collect::<Result<Vec<_>, _>>()
            });
            thread
                .join()
                .unwrap_or_else(|_| Err(SpeechError::Backend("recording panicked".to_owned())))
        })?;
        let mut clips = vec![<[Vec<i16>; 3]>::default(); PAIRS];
        for (n, cut) in recorded.into_iter().enumerate() {
            for (place, clip) in PLACES.into_iter().zip(cut) {
                clips[pair_at(n, place)][place as usize] = clip;
            }
        }
        Ok(Self { clips })
    }

    /// "Four seven, one nine, two zero, three eight, five five." Costs a copy.
    ///
    /// # Errors
    /// [`SpeechError::NotATicket`] for anything but ten ASCII digits.
    pub fn say(&self, ticket: &str) -> Result<Pcm8k, SpeechError> {
        if ticket.len() != Self::DIGITS {
            return Err(SpeechError::NotATicket("it must have ten digits"));
        }
        if !ticket.bytes().all(|b| b.is_ascii_digit()) {
            return Err(SpeechError::NotATicket("it must be digits only"));
        }
        let pairs = ticket
            .as_bytes()
            .chunks(2)
            .map(|pair| usize::from(pair[0] - b'0') * 10 + usize::from(pair[1] - b'0'));
        let last = Self::DIGITS / 2 - 1;
        let mut samples = vec![0; (LEAD_MS - MARGIN_MS) * RATE / 1_000];
        for (n, pair) in pairs.enumerate() {
            let place = match n {
                0 => Place::Opening,
                n if n == last => Place::Final,
                _ => Place::Continuing,
            };
            samples.extend_from_slice(&self.clips[pair][place as usize]);
            let pause_ms = if n == last { TAIL_MS } else { PAUSE_MS };
            samples.resize(samples.len() + (pause_ms - MARGIN_MS) * RATE / 1_000, 0);
        }
        Ok(Pcm8k { samples })
    }

    /// One pair (0 to 99) as it is said in its place, with the pause that
    /// belongs to it, for players that keep the clips apart: played back to
    /// back, five of them are what [`TicketClips::say`] makes.
    pub fn pair(&self, pair: usize, place: Place) -> Pcm8k {
        let silence = |ms: usize| (ms - MARGIN_MS) * RATE / 1_000;
        let (before, after) = match place {
            Place::Opening => (silence(LEAD_MS), silence(PAUSE_MS)),
            Place::Continuing => (0, silence(PAUSE_MS)),
            Place::Final => (0, silence(TAIL_MS)),
        };
        let mut samples = vec![0; before];
        if let Some(clips) = self.clips.get(pair) {
            samples.extend_from_slice(&clips[place as usize]);
        }
        samples.resize(samples.len() + after, 0);
        Pcm8k { samples }
    }
}

/// Which pair stands at `place` in utterance `n`: each pair comes once in
/// each place, and with different neighbours.
fn pair_at(n: usize, place: Place) -> usize {
    match place {
        Place::Opening => (n + 37) % PAIRS,
        Place::Continuing => n,
        Place::Final => (n + 71) % PAIRS,
    }
}

/// The three clips of utterance `n`.
fn record(studio: &Studio, n: usize) -> Result<[Vec<i16>; 3], SpeechError> {
    let digits: String = PLACES
        .map(|place| format!("{:02}", pair_at(n, place)))
        .concat();
    let text = match studio.language() {
        Language::English => digits_in_groups(&digits, &[2]) + ".",
        // "4 7, 1 9, 2 0.": the voice reads single digits in its own language.
        Language::AsWritten => {
            let pairs: Vec<String> = digits
                .as_bytes()
                .chunks(2)
                .map(|pair| {
                    pair.iter()
                        .map(|digit| char::from(*digit).to_string())
                        .collect::<Vec<_>>()
                        .join(" ")
                })
                .collect();
            pairs.join(", ") + "."
        }
    };
    // No text is called this: a full stop never comes first.
    let keys = PLACES.map(|place| studio.key(&format!(".ticket clip {place:?} of {text}")));
    if let Some(cache) = studio.cache() {
        let kept = keys.map(|key| cache.get(&key));
        if let [Some(a), Some(b), Some(c)] = &kept {
            return Ok([a.samples.clone(), b.samples.clone(), c.samples.clone()]);
        }
    }
    let (pcm, pauses) = studio.backend().speak(&text)?;
    let cut = cut(&pcm, pauses)
        .ok_or_else(|| SpeechError::Backend(format!("can't find the pauses in {text:?}")))?;
    if let Some(cache) = studio.cache() {
        for (key, clip) in keys.iter().zip(&cut) {
            cache.put(
                key,
                &Pcm8k {
                    samples: clip.clone(),
                },
            );
        }
    }
    Ok(cut)
}

/// Cuts an utterance at its two pauses. Levels are set before, on the whole:
/// clips keep their place in the melody.
fn cut(pcm: &Pcm, pauses: Option<Vec<Range<usize>>>) -> Option<[Vec<i16>; 3]> {
    let samples = level::levelled(pcm);
    let (start, end) = level::audible(&samples)?;
    let pauses = match pauses {
        Some(pauses) => pauses
            .into_iter()
            .map(|pause| pause.start / 3..pause.end / 3)
            .collect(),
        None => gaps(&samples[start..end])
            .into_iter()
            .map(|gap| gap.start + start..gap.end + start)
            .collect(),
    };
    let pauses: Vec<Range<usize>> = pauses;
    let [first, second] = pauses.as_slice() else {
        return None;
    };
    let at = [
        0,
        quietest(&samples, first)?,
        quietest(&samples, second)?,
        samples.len(),
    ];
    let clip = |n: usize| -> Option<Vec<i16>> {
        let part = samples.get(at[n]..at[n + 1])?;
        let (from, to) = level::audible(part)?;
        if to - from < CLIP_MS_MIN * RATE / 1_000 {
            return None;
        }
        let margin = MARGIN_MS * RATE / 1_000;
        let mut clip = vec![0.0; margin.saturating_sub(from)];
        clip.extend_from_slice(&part[from.saturating_sub(margin)..(to + margin).min(part.len())]);
        clip.resize(clip.len() + (to + margin).saturating_sub(part.len()), 0.0);
        let length = clip.len();
        for k in 0..margin {
            let gain = k as f32 / margin as f32;
            clip[k] *= gain;
            clip[length - 1 - k] *= gain;
        }
        Some(level::to_i16(&clip))
    };
    Some([clip(0)?, clip(1)?, clip(2)?])
}

/// The middle of the quietest 20 ms of a pause.
fn quietest(samples: &[f32], pause: &Range<usize>) -> Option<usize> {
    const STRETCH: usize = RATE / 50;
    let part = samples.get(pause.clone())?;
    if part.len() < STRETCH {
        return Some(pause.start + part.len() / 2);
    }
    let energy = |at: usize| part[at..at + STRETCH].iter().map(|s| s * s).sum::<f32>();
    let best = (0..=part.len() - STRETCH)
        .step_by(RATE / 1_000)
        .min_by(|a, b| energy(*a).total_cmp(&energy(*b)))?;
    Some(pause.start + best + STRETCH / 2)
}

/// The two longest silences, in order, if they stand out.
fn gaps(samples: &[f32]) -> Vec<Range<usize>> {
    const STRETCH: usize = RATE / 200;
    let threshold = 10.0_f32.powf(-45.0 / 20.0).powi(2);
    let mut found: Vec<Range<usize>> = Vec::new();
    for (n, chunk) in samples.chunks(STRETCH).enumerate() {
        let quiet = chunk.iter().map(|s| s * s).sum::<f32>() / (chunk.len() as f32) < threshold;
        if !quiet {
            continue;
        }
        let here = n * STRETCH..n * STRETCH + chunk.len();
        match found.last_mut() {
            Some(last) if last.end == here.start => last.end = here.end,
            _ => found.push(here),
        }
    }
    found.sort_by_key(|gap| std::cmp::Reverse(gap.len()));
    let long = GAP_MS_MIN * RATE / 1_000;
    let clear = match found.as_slice() {
        [_, second, third, ..] => second.len() >= long && second.len() * 2 >= third.len() * 3,
        [_, second] => second.len() >= long,
        _ => false,
    };
    if !clear {
        return Vec::new();
    }
    found.truncate(2);
    found.sort_by_key(|gap| gap.start);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::studio::{Backend, Speaker, StudioConfig};
    use std::collections::HashSet;
    use std::sync::Arc;

    /// Says each word as a tone: "four" is 400 Hz and so on, 200 ms long,
    /// with 200 ms of silence at commas.
    struct Tones;

    impl Speaker for Tones {
        fn identity(&self) -> String {
            "tones".to_owned()
        }

        fn speak(&self, text: &str) -> Result<Pcm, SpeechError> {
            let names = [
                "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
            ];
            let mut samples = Vec::new();
            for word in text.split(' ') {
                let bare = word.trim_end_matches([',', '.']);
                let digit = names.iter().position(|name| *name == bare).unwrap();
                let hz = 300.0 + 100.0 * digit as f32;
                samples.extend((0..4_800).map(|n| {
                    (8_000.0 * (std::f32::consts::TAU * hz * n as f32 / 24_000.0).sin()) as i16
                }));
                if word.ends_with(',') {
                    samples.resize(samples.len() + 4_800, 0);
                }
            }
            Ok(Pcm { samples })
        }
    }

    /// The tone in the middle of a stretch, found by zero crossings.
    fn tone_hz(samples: &[i16]) -> f32 {
        let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
        let crossings = middle
            .windows(2)
            .filter(|w| (w[0] < 0) != (w[1] < 0))
            .count();
        crossings as f32 * 8_000.0 / 2.0 / middle.len() as f32
    }

    fn clips() -> TicketClips {
        let studio = Studio::start(
            StudioConfig::default(),
            Backend::Other(Arc::new(Tones)),
            None,
        )
        .unwrap();
        TicketClips::record(&studio).unwrap()
    }

    #[test]
    fn every_pair_comes_once_in_every_place() {
        for place in PLACES {
            let pairs: HashSet<usize> = (0..PAIRS).map(|n| pair_at(n, place)).collect();
            assert_eq!(pairs.len(), PAIRS, "{place:?}");
        }
    }

    #[test]
    fn clips_hold_their_own_pair() {
        let clips = clips();
        for (pair, places) in clips.clips.iter().enumerate() {
            for clip in places {
                let half = clip.len() / 2;
                let expected = [pair / 10, pair % 10].map(|digit| 300.0 + 100.0 * digit as f32);
                let found = [tone_hz(&clip[..half]), tone_hz(&clip[half..])];
                for (expected, found) in expected.iter().zip(found) {
                    assert!(
                        (expected - found).abs() < 30.0,
                        "{pair}: {expected} {found}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_number_is_five_clips_with_pauses() {
        let clips = clips();
        let said = clips.say("4719203855").unwrap();
        let seconds = said.duration().as_secs_f32();
        // Five pairs of 400 ms, four pauses, the silence at the ends.
        assert!((3.3..3.7).contains(&seconds), "{seconds}");
        assert_eq!(said, clips.say("4719203855").unwrap());
    }

    #[test]
    fn only_ten_digits_are_a_ticket() {
        let clips = clips();
        for ticket in [
            "",
            "471920385",
            "47192038555",
            "47192O3855",
            "471920385é",
            "47 1920385",
        ] {
            assert!(
                matches!(clips.say(ticket), Err(SpeechError::NotATicket(_))),
                "{ticket}"
            );
        }
    }

    #[test]
    fn an_utterance_without_pauses_is_refused() {
        let tone: Vec<i16> = (0..24_000).map(|n| ((n % 60) * 200) as i16).collect();
        assert_eq!(cut(&Pcm { samples: tone }, None), None);
        assert_eq!(
            cut(
                &Pcm {
                    samples: Vec::new()
                },
                None
            ),
            None
        );
        assert_eq!(
            cut(
                &Pcm {
                    samples: vec![0; 9_000]
                },
                Some(vec![0..10, 20..30])
            ),
            None
        );
    }
}
