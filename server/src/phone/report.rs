//! What is known of a call when it is over.

use std::time::Duration;

use media::engine::LegStats;

use super::event::CallId;
use super::hearing::{Gaps, Sound};
use super::marker::Marker;

/// Who made the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// This phone.
    Out,
    /// The other side.
    In,
}

/// Who ended the call, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HungUpBy {
    /// This phone, by hand, by its script or by being switched off.
    Us,
    /// The other side, by BYE.
    Them,
    /// The other side gave up before the answer.
    Cancelled,
    /// The call was refused with this status; by us if it came in.
    Refused(u16),
    /// Nobody: the network or the protocol failed.
    Failed(&'static str),
}

/// A stretch of something recognised.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptHeard {
    /// What.
    pub sound: Sound,
    /// When it began and ended, since the answer.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
}

/// Keys pressed, and when, since the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pressed {
    /// When.
    pub at: Duration,
    /// The keys.
    pub keys: String,
}

/// What is known of a call when it is over.
#[derive(Debug, Clone, PartialEq)]
pub struct CallReport {
    /// Which call of this phone.
    pub call: CallId,
    /// Who made it.
    pub direction: Direction,
    /// The number dialled, or the user part of the caller's From.
    pub number: String,
    /// Statuses received (of a call out) or sent (of a call in), in order, 100 left out.
    pub codes: Vec<u16>,
    /// From placing or receiving the INVITE to its 200; none if it wasn't answered.
    pub answered_after: Option<Duration>,
    /// From the answer to the end.
    pub lasted: Duration,
    /// Who answered: the user part of the 200's `P-Asserted-Identity` or Contact; of a call in, the caller's
    /// `P-Asserted-Identity`.
    pub asserted: Option<String>,
    /// `X-Careline-Ticket` of the INVITE received, or of the 200.
    pub ticket: Option<String>,
    /// `X-Careline-Queue` of the INVITE received: from where the call is offered.
    pub queue: Option<String>,
    /// `User-to-User` (RFC 7433), likewise.
    pub user_to_user: Option<String>,
    /// `Reason` (RFC 3326) of whatever ended the call.
    pub reason: Option<String>,
    /// Everything heard, in order.
    pub heard: Vec<PromptHeard>,
    /// Keys the phone pressed.
    pub pressed: Vec<Pressed>,
    /// Keys heard from the far side, with when.
    pub keys_heard: Vec<Pressed>,
    /// Who ended it.
    pub hung_up_by: HungUpBy,
    /// Pauses between packets received.
    pub gaps: Gaps,
    /// What passed through the leg; zeros when there was no audio.
    pub rtp: LegStats,
    /// Events that were dropped because nobody read them.
    pub events_dropped: u64,
}

impl CallReport {
    /// The texts of the prompts heard, in order.
    pub fn prompts(&self) -> impl Iterator<Item = &str> {
        self.heard.iter().filter_map(|heard| match &heard.sound {
            Sound::Prompt { text, .. } => Some(&**text),
            _ => None,
        })
    }

    /// Whether a prompt with this text in it was heard; letters' case doesn't matter.
    pub fn heard_text(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.prompts()
            .any(|prompt| prompt.to_lowercase().contains(&text))
    }

    /// For how long a marker was heard.
    pub fn heard_marker(&self, marker: Marker) -> Duration {
        self.heard
            .iter()
            .filter(|heard| matches!(heard.sound, Sound::Tone(tone) if tone == marker))
            .map(|heard| heard.to.saturating_sub(heard.from))
            .sum()
    }

    /// For how long music was heard.
    pub fn heard_music(&self) -> Duration {
        self.heard
            .iter()
            .filter(|heard| matches!(heard.sound, Sound::Music { .. }))
            .map(|heard| heard.to.saturating_sub(heard.from))
            .sum()
    }

    /// Share of the prompts' frames that arrived bit-identical and in order, over all prompts heard, counted from where
    /// each was first heard to where it stopped; none when no prompt was heard.
    pub fn identical_share(&self) -> Option<f64> {
        let (mut identical, mut expected) = (0u64, 0u64);
        for heard in &self.heard {
            if let Sound::Prompt {
                frames,
                span_frames,
                identical: same,
                ..
            } = heard.sound
            {
                expected += u64::from(span_frames);
                identical += if same { u64::from(frames) } else { 0 };
            }
        }
        (expected > 0).then(|| identical as f64 / expected as f64)
    }
}
