//! A leg's keys as tones, where no telephone events were agreed on.

use std::time::Duration;

use crate::dtmf::{Detector, Digit, Press, Tones};

/// A press of which no audio comes for so long has ended.
const SILENCE: Duration = Duration::from_millis(250);
/// How long a key made here sounds, and how long the pause after it is, at least. Receivers must take 40 ms each
/// (Q.24); jitter buffers cut.
pub(super) const TONE_MS_MIN: u32 = 80;
pub(super) const PAUSE_MS_MIN: u32 = 80;
/// How long a key sounds that came as an event: that begins it, and its end may be long in coming.
pub(super) const PASSED_ON_MS: u32 = 100;
/// Longest that one packet takes from one key to the next: 120 ms hold the end of one and the begin of two.
const PRESSES_MAX: usize = 4;
/// A jump of more packets than this is a new stream rather than a loss.
const LOST_MAX: u64 = 50;
/// An event's timestamp this far back is a late packet's.
const LATE_MAX: u32 = 64_000;

/// Tones received.
#[derive(Debug, Default)]
pub(super) struct TonesIn {
    detector: Detector,
    /// Extended sequence number of the packet that comes next.
    next: Option<u64>,
    heard_at: Duration,
}

impl TonesIn {
    /// Takes a packet's samples. Packets are taken as they come; what comes late is left out.
    pub(super) fn packet(
        &mut self,
        now: Duration,
        extended: u64,
        samples: impl Iterator<Item = i16>,
    ) -> [Option<Press>; PRESSES_MAX] {
        let mut presses = [None; PRESSES_MAX];
        match self.next {
            Some(next) if extended < next && next - extended <= LOST_MAX => return presses,
            Some(next) if extended != next => self.detector.lost(),
            _ => {}
        }
        self.next = Some(extended + 1);
        self.heard_at = now;
        let mut places = presses.iter_mut();
        self.detector.samples(samples, |press| {
            if let Some(place) = places.next() {
                *place = Some(press);
            }
        });
        presses
    }

    /// Ends a press whose audio has ceased.
    pub(super) fn poll(&mut self, now: Duration) -> Option<Press> {
        if !self.detector.pressed() || now.saturating_sub(self.heard_at) < SILENCE {
            return None;
        }
        self.detector.stop()
    }
}

/// Tones sent.
#[derive(Debug, Default)]
pub(super) struct TonesOut {
    pub(super) sounding: Option<Tones>,
    /// Timestamp of the event passed on last, and its key.
    passed_on: Option<(u32, Digit)>,
}

impl TonesOut {
    /// The key that a telephone event to be passed on begins; none if it goes on, or was passed on before.
    pub(super) fn begins(&mut self, timestamp: u32, payload: &[u8]) -> Option<Digit> {
        let digit = Digit::from_event(*payload.first()?)?;
        if let Some((before, key)) = self.passed_on {
            let ahead = timestamp.wrapping_sub(before);
            let late = ahead.wrapping_neg() < LATE_MAX;
            // A key held beyond 8 s comes in segments (RFC 4733 section 2.5.1.3).
            let segment = key == digit && ahead == u32::from(u16::MAX);
            if segment {
                self.passed_on = Some((timestamp, digit));
            }
            if ahead == 0 || late || segment {
                return None;
            }
        }
        self.passed_on = Some((timestamp, digit));
        Some(digit)
    }
}
