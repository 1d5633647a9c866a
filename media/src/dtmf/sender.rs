//! Telephone events sent as RFC 4733 section 2.5.1 says: three packets at the start, one every 50 ms, three at the end.

use std::collections::VecDeque;

use super::Digit;
use crate::codec::{FRAME_MS, FRAME_SAMPLES};

/// Most keys that wait to be pressed.
pub const DIGITS_MAX: usize = 128;
/// Longest press and longest pause, in milliseconds. Longer presses would need segments.
const LENGTH_MS_MAX: u32 = 5_000;
/// Shortest press (RFC 4733 section 2.5.1.2 asks receivers for 40 ms).
const TONE_MS_MIN: u32 = 40;
/// Level below full scale, in dB: what telephones usually say.
const VOLUME: u8 = 10;

/// One packet to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPacket {
    /// The event's payload.
    pub payload: [u8; 4],
    /// Set on the first packet of an event only.
    pub marker: bool,
    /// How many samples before now the event began: what the packet's timestamp is behind the frame's.
    pub age: u32,
}

/// What to send in a frame's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// No key is down: audio goes on.
    Audio,
    /// These packets, the first `count` of the array.
    Packets([EventPacket; 3], usize),
    /// A key is down and no update is due.
    Held,
}

/// What a frame of tones is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToneFrame {
    /// No key is down nor was a moment ago: audio goes on.
    Audio,
    /// A key is down.
    Tone {
        /// Which.
        digit: Digit,
        /// Its first frame.
        first: bool,
        /// Its last.
        last: bool,
    },
    /// The pause after a key.
    Pause,
}

/// Presses keys, driven once every 20 ms.
#[derive(Debug, Default)]
pub struct Sender {
    waiting: VecDeque<Press>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
struct Press {
    digit: Digit,
    tone_frames: u32,
    gap_frames: u32,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Idle,
    Down {
        press: Press,
        frames: u32,
    },
    Gap {
        frames_left: u32,
    },
}

impl Sender {
    /// Adds keys; those beyond [`DIGITS_MAX`] waiting are left out. Returns how many were taken.
    pub fn press(&mut self, digits: &[Digit], tone_ms: u32, gap_ms: u32) -> usize {
        let frames = |ms: u32| ms.min(LENGTH_MS_MAX).div_ceil(FRAME_MS);
        let room = DIGITS_MAX.saturating_sub(self.waiting.len());
        let taken = &digits[..digits.len().min(room)];
        self.waiting.extend(taken.iter().map(|&digit| Press {
            digit,
            tone_frames: frames(tone_ms.max(TONE_MS_MIN)),
            gap_frames: frames(gap_ms).max(1),
        }));
        taken.len()
    }

    /// Whether keys are being pressed or wait.
    pub fn busy(&self) -> bool {
        !self.waiting.is_empty() || !matches!(self.state, State::Idle)
    }

    /// What to send in this frame to a side that knows no events.
    pub fn tone(&mut self) -> ToneFrame {
        let before = self.state;
        self.frame();
        match (before, self.state) {
            (State::Idle, State::Down { press, .. }) => ToneFrame::Tone {
                digit: press.digit,
                first: true,
                last: false,
            },
            (State::Down { press, .. }, now) => ToneFrame::Tone {
                digit: press.digit,
                first: false,
                last: !matches!(now, State::Down { .. }),
            },
            (State::Gap { .. }, _) => ToneFrame::Pause,
            (State::Idle, _) => ToneFrame::Audio,
        }
    }

    /// What to send in this frame.
    pub fn frame(&mut self) -> Frame {
        match self.state {
            State::Idle => match self.waiting.pop_front() {
                None => Frame::Audio,
                Some(press) => {
                    // Frame by frame, the first packets carry the duration so far, one frame.
                    self.state = State::Down { press, frames: 1 };
                    // Only the first carries the marker (RFC 4733 section 2.5.1.2).
                    let again = packet(press.digit, false, 1, false);
                    Frame::Packets([packet(press.digit, false, 1, true), again, again], 3)
                }
            },
            State::Down { press, frames } => {
                let frames = frames + 1;
                if frames >= press.tone_frames {
                    self.state = State::Gap {
                        frames_left: press.gap_frames,
                    };
                    return Frame::Packets([packet(press.digit, true, frames, false); 3], 3);
                }
                self.state = State::Down { press, frames };
                // Every 50 ms on a grid of 20 ms: frames 3, 5, 8, 10, … of 20, 20, 20, …
                let due = frames * FRAME_MS / 50 > (frames - 1) * FRAME_MS / 50;
                if due {
                    let one = packet(press.digit, false, frames, false);
                    Frame::Packets([one; 3], 1)
                } else {
                    Frame::Held
                }
            }
            State::Gap { frames_left } => {
                self.state = match frames_left.checked_sub(1) {
                    None | Some(0) => State::Idle,
                    Some(frames_left) => State::Gap { frames_left },
                };
                Frame::Audio
            }
        }
    }
}

fn packet(digit: Digit, ended: bool, frames: u32, marker: bool) -> EventPacket {
    let samples = frames * FRAME_SAMPLES as u32;
    let [d0, d1] = u16::try_from(samples).unwrap_or(u16::MAX).to_be_bytes();
    let end = if ended { 0x80 } else { 0 };
    EventPacket {
        payload: [digit.event(), end | VOLUME, d0, d1],
        marker,
        age: samples - FRAME_SAMPLES as u32,
    }
}
