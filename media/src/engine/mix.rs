//! Mixing: who hears whom how loud, among up to eight legs of one engine.

use super::message::LegId;
use crate::codec::FRAME_SAMPLES;

/// Most legs in a mix.
pub const MIX_MAX: usize = 8;
/// Most that a gain can be: 12 dB louder.
const PERCENT_MAX: u16 = 400;

/// Who hears whom, and how loud. Members hear each other as they are until told otherwise, and nobody themselves.
///
/// A supervisor who listens hears the others and is heard by none; who whispers is heard by the agent alone; who barges
/// in, by both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    first: LegId,
    members: Vec<LegId>,
    /// By hearer, then by speaker.
    percent: [[u16; MIX_MAX]; MIX_MAX],
}

impl Mix {
    /// Of these legs, each once; none of no leg, nor of more than [`MIX_MAX`].
    pub fn new(members: &[LegId]) -> Option<Mix> {
        let first = *members.first()?;
        let mut each = Vec::with_capacity(members.len().min(MIX_MAX));
        for member in members {
            if !each.contains(member) {
                if each.len() == MIX_MAX {
                    return None;
                }
                each.push(*member);
            }
        }
        Some(Mix {
            first,
            members: each,
            percent: [[100; MIX_MAX]; MIX_MAX],
        })
    }

    /// Lets `hearer` hear `speaker` at so many percent of their loudness, 0 to 400. Legs that aren't members change
    /// nothing.
    #[must_use]
    pub fn with(mut self, hearer: LegId, speaker: LegId, percent: u16) -> Mix {
        let place = |leg| self.members.iter().position(|member| *member == leg);
        if let (Some(hearer), Some(speaker)) = (place(hearer), place(speaker)) {
            self.percent[hearer][speaker] = percent.min(PERCENT_MAX);
        }
        self
    }

    /// The leg named first.
    pub(super) const fn first(&self) -> LegId {
        self.first
    }

    /// Its legs.
    pub fn members(&self) -> &[LegId] {
        &self.members
    }

    /// Whom a member hears.
    pub(super) fn hearing(&self, hearer: LegId) -> Hearing {
        let mut hearing = Hearing::default();
        let Some(row) = self.members.iter().position(|member| *member == hearer) else {
            return hearing;
        };
        let places = hearing.speakers.iter_mut();
        let heard = self.members.iter().zip(self.percent[row]);
        let others = heard.filter(|(member, percent)| **member != hearer && *percent > 0);
        for (place, (member, percent)) in places.zip(others) {
            *place = Some((*member, percent));
        }
        hearing
    }
}

/// Whom one leg hears, in percent of their loudness.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hearing {
    speakers: [Option<(LegId, u16)>; MIX_MAX],
}

impl Hearing {
    /// The frame that this leg hears; `said` is what each speaker says now. None while nobody says anything.
    pub(super) fn mixed<'a>(
        &self,
        mut said: impl FnMut(LegId) -> Option<&'a [i16; FRAME_SAMPLES]>,
    ) -> Option<[i16; FRAME_SAMPLES]> {
        let mut sum = [0i32; FRAME_SAMPLES];
        let mut anybody = false;
        for (speaker, percent) in self.speakers.into_iter().flatten() {
            if let Some(frame) = said(speaker) {
                anybody = true;
                for (sum, sample) in sum.iter_mut().zip(frame) {
                    *sum += i32::from(*sample) * i32::from(percent) / 100;
                }
            }
        }
        anybody.then(|| sum.map(softened))
    }
}

/// Beyond three quarters of full scale a sum grows ever less: two who speak loudly at once don't crackle.
fn softened(sum: i32) -> i16 {
    const KNEE: i32 = 24_576;
    const ROOM: i32 = 32_767 - KNEE;
    let beyond = sum.abs() - KNEE;
    if beyond <= 0 {
        return sum as i16;
    }
    let softened = KNEE + (i64::from(beyond) * i64::from(ROOM) / i64::from(beyond + ROOM)) as i32;
    (softened * sum.signum()) as i16
}
