//! A far side that we speak to and don't hear: noticed long before the leg counts as lost, and with the likely reason.

use std::net::SocketAddr;
use std::time::Duration;

use super::message::OneWayCause;

/// How long nothing may be heard.
const PATIENCE: Duration = Duration::from_secs(4);
/// What must have been sent meanwhile: two seconds of audio. Who hears nothing may well say nothing.
const SENT_MIN: u64 = 100;

/// The watch over one leg since it was last connected.
#[derive(Debug, Default)]
pub(super) struct OneWay {
    watch: Option<Watch>,
}

#[derive(Debug)]
struct Watch {
    since: Duration,
    /// Packets sent before.
    sent: u64,
    cause: OneWayCause,
}

impl OneWay {
    /// Both sides are to talk from now on, or not.
    pub(super) fn begin(&mut self, now: Duration, talking: bool, sent: u64) {
        self.watch = talking.then_some(Watch {
            since: now,
            sent,
            cause: OneWayCause::Nothing,
        });
    }

    /// The far side is heard: all is well until the next description.
    #[inline]
    pub(super) fn heard(&mut self) {
        self.watch = None;
    }

    /// Something came, but nothing to hear.
    pub(super) fn odd(&mut self, cause: OneWayCause) {
        if let Some(watch) = &mut self.watch
            && telling(cause) >= telling(watch.cause)
        {
            watch.cause = cause;
        }
    }

    /// A packet came from elsewhere.
    pub(super) fn elsewhere(&mut self, source: SocketAddr) {
        self.odd(OneWayCause::Elsewhere(source));
    }

    /// What is wrong and since when, once.
    pub(super) fn poll(&mut self, now: Duration, sent: u64) -> Option<(OneWayCause, Duration)> {
        let watch = self.watch.as_ref()?;
        let after = now.saturating_sub(watch.since);
        if after < PATIENCE || sent - watch.sent < SENT_MIN {
            return None;
        }
        self.watch.take().map(|watch| (watch.cause, after))
    }
}

/// Which reason says more than another.
fn telling(cause: OneWayCause) -> u8 {
    match cause {
        OneWayCause::Nothing => 0,
        OneWayCause::ReportsOnly => 1,
        OneWayCause::Elsewhere(_) => 2,
        OneWayCause::Payload(_) => 3,
        OneWayCause::Undecipherable => 4,
    }
}
