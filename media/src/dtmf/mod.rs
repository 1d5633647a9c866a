//! The keys of a telephone: as telephone events (RFC 4733), received exactly once and sent as the RFC says; as tones
//! where the far side knows no events.

mod inband;
mod receiver;
mod sender;
mod tones;

use std::fmt;

pub use inband::Detector;
pub use receiver::{Press, Presses, Receiver};
pub use sender::{DIGITS_MAX, EventPacket, Frame, Sender, ToneFrame};
pub use tones::Tones;

/// A key: 0–9, `*`, `#`, A–D, in the numbering of RFC 4733 table 3.
///
/// Its `Debug` hides which key it is: PINs are made of these, and logs are made of `Debug`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digit(u8);

const KEYS: &[u8; 16] = b"0123456789*#ABCD";

impl Digit {
    /// From an event code; none above 15.
    pub const fn from_event(event: u8) -> Option<Digit> {
        if event < 16 { Some(Digit(event)) } else { None }
    }

    /// From the character on the key, letters in either case.
    pub fn from_char(key: char) -> Option<Digit> {
        let key = u8::try_from(key).ok()?.to_ascii_uppercase();
        KEYS.iter()
            .position(|&k| k == key)
            .map(|event| Digit(event as u8))
    }

    /// The event code, 0–15.
    pub const fn event(self) -> u8 {
        self.0
    }

    /// The character on the key.
    pub const fn char(self) -> char {
        KEYS[(self.0 & 15) as usize] as char
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digit(_)")
    }
}
