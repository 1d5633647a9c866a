//! Audio that goes one way, noticed long before the leg counts as lost, and with the likely reason: a far side that we
//! speak to and don't hear, from the first or any more, and one that doesn't hear us.

use std::net::SocketAddr;
use std::time::Duration;

use super::message::OneWayCause;

/// How long nothing may be heard.
const PATIENCE: Duration = Duration::from_secs(4);
/// What must have been sent meanwhile: two seconds of audio. Who hears nothing may well say nothing.
const SENT_MIN: u64 = 100;
/// How long a leg of which one was told isn't told of again: a line may come and go.
const REST: Duration = Duration::from_secs(60);

/// The watch over one leg since it was last connected.
#[derive(Debug, Default)]
pub(super) struct OneWay {
    /// There is one while both sides are to talk.
    watch: Option<Watch>,
    told_at: Option<Duration>,
}

#[derive(Debug)]
struct Watch {
    /// When the far side was heard last, or the watch began.
    since: Duration,
    /// Packets sent before.
    sent: u64,
    cause: OneWayCause,
    /// It was heard before: that nothing comes any more may be its wish, and only what speaks against it counts.
    heard: bool,
    told: bool,
}

impl OneWay {
    /// Both sides are to talk from now on, or not.
    pub(super) fn begin(&mut self, now: Duration, talking: bool, sent: u64) {
        self.told_at = None;
        self.watch = talking.then_some(Watch {
            since: now,
            sent,
            cause: OneWayCause::Nothing,
            heard: false,
            told: false,
        });
    }

    /// The far side is heard.
    #[inline]
    pub(super) fn heard(&mut self, now: Duration, sent: u64) {
        if let Some(watch) = &mut self.watch {
            *watch = Watch {
                since: now,
                sent,
                cause: OneWayCause::Nothing,
                heard: true,
                told: false,
            };
        }
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
        let watch = self.watch.as_mut()?;
        let after = now.saturating_sub(watch.since);
        let early = after < PATIENCE || sent - watch.sent < SENT_MIN;
        // A stranger's packets say nothing of who is silent by themselves.
        let silent = matches!(
            watch.cause,
            OneWayCause::Nothing | OneWayCause::ReportsOnly | OneWayCause::Elsewhere(_)
        );
        if watch.told || early || watch.heard && silent {
            return None;
        }
        watch.told = true;
        let cause = watch.cause;
        self.tell(now).then_some((cause, after))
    }

    /// The far side reports that it hears nothing of us; says whether that is to be told.
    pub(super) fn unheard(&mut self, now: Duration) -> bool {
        self.watch.is_some() && self.tell(now)
    }

    fn tell(&mut self, now: Duration) -> bool {
        let rests = self.told_at.is_some_and(|at| now.saturating_sub(at) < REST);
        if !rests {
            self.told_at = Some(now);
        }
        !rests
    }
}

/// Which reason says more than another.
fn telling(cause: OneWayCause) -> u8 {
    match cause {
        OneWayCause::Nothing | OneWayCause::Unheard => 0,
        OneWayCause::ReportsOnly => 1,
        OneWayCause::Withheld => 2,
        OneWayCause::Elsewhere(_) => 3,
        OneWayCause::Payload(_) => 4,
        OneWayCause::Undecipherable => 5,
    }
}
