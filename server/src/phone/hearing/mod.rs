//! Hearing: what a person would say they heard, found from the packets that arrived.
//!
//! Pure: packets and times in, events out. See [`Hearing`].

mod exact;
mod gaps;
mod library;
mod listener;
mod similar;
mod spectrum;
#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use gaps::Gaps;
pub use library::{ClipKind, Library};
pub use listener::Hearing;

use super::marker::Marker;

/// One kind of thing heard.
#[derive(Debug, Clone, PartialEq)]
pub enum Sound {
    /// A known prompt.
    Prompt {
        /// Its text.
        text: Arc<str>,
        /// How far into the prompt hearing it began, in milliseconds.
        from_ms: u32,
        /// Frames of 20 ms of it that arrived, in order, as they should.
        frames: u32,
        /// Frames between the first and the last one heard: those lost or spoilt on the way make the difference to
        /// `frames`.
        span_frames: u32,
        /// Frames the whole prompt has.
        of_frames: u32,
        /// Whether the frames were compared bit by bit; false when the audio was transcoded or shifted on its way and
        /// only its sound could be compared.
        identical: bool,
    },
    /// Music on hold.
    Music {
        /// As for a prompt.
        identical: bool,
    },
    /// The ring-back tone.
    RingBack,
    /// A phone's marker: a party of the call.
    Tone(Marker),
    /// A voice, or noise, that is no clip known.
    Voice,
    /// Nothing, for more than a second.
    Silence,
}

/// Something was heard. Times count from the first moment given to [`Hearing`] (a call's answer).
#[derive(Debug, Clone, PartialEq)]
pub enum HearingEvent {
    /// It was recognised, and goes on. Of a prompt, the counts are those so far.
    Began {
        /// What.
        sound: Sound,
        /// When it began, which is before it could be recognised.
        from: Duration,
    },
    /// It is over.
    Ended {
        /// What, with final counts.
        sound: Sound,
        /// When it began.
        from: Duration,
        /// When it ended.
        to: Duration,
    },
}

impl HearingEvent {
    /// The same with times that count from `by` later; what was before is at zero.
    #[must_use]
    pub fn counted_from(self, by: Duration) -> HearingEvent {
        match self {
            HearingEvent::Began { sound, from } => HearingEvent::Began {
                sound,
                from: from.saturating_sub(by),
            },
            HearingEvent::Ended { sound, from, to } => HearingEvent::Ended {
                sound,
                from: from.saturating_sub(by),
                to: to.saturating_sub(by),
            },
        }
    }

    /// What was heard.
    pub fn sound(&self) -> &Sound {
        match self {
            HearingEvent::Began { sound, .. } | HearingEvent::Ended { sound, .. } => sound,
        }
    }
}
