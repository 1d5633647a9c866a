//! What a gateway's last word on a call means for the next gateway, and how long silent ones may take.
//!
//! | word | means | then |
//! |---|---|---|
//! | silence, a broken connection, 503 | nothing goes by this gateway (RFC 3263 section 4.3) | the next; nobody is sent there until it answers |
//! | 408 and 5xx | this gateway couldn't, in this call | the next |
//! | 401, 403, 407 | it doesn't take our calls; another may know us | the next |
//! | 406, 415, 488 and every other 4xx | it can't do what this call asks (RFC 3261 section 8.1.3.2: an unknown 4xx is a 400) | the next |
//! | 486 | the callee is busy | no other |
//! | 480, 487, and 408 or silence behind a ringing | the callee doesn't answer | no other |
//! | 404, 410, 484, 485 | there is no such number: all gateways of a trunk know the same ones | no other |
//! | 482, 483 | the call goes in circles | no other |
//! | 6xx | nobody anywhere takes it (section 21.6) | no other, nor where an earlier 3xx led |
//!
//! Gateways are those of one trunk, one carrier's. Nobody who said something of themselves is rung twice.
//! (Emergency calls don't ask: there any refusal means the next way.)

use std::time::Duration;

use crate::contact::{PROVISIONAL_MAX, TRYING_MAX};

/// How long the second of several silent gateways is waited for; the first has [`PROVISIONAL_MAX`]. Over UDP its INVITE is
/// sent three times in it.
const SECOND_SILENT_MAX: Duration = Duration::from_secs(2);
/// And each one after that.
const NEXT_SILENT_MAX: Duration = Duration::from_secs(1);
/// How long all gateways together may take until one of them rings.
pub(crate) const REACHING_MAX: Duration = Duration::from_secs(12);

/// See the module's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Of whoever was called, who are busy.
    Busy,
    /// Of whoever was called: nobody answers.
    NoAnswer,
    /// Of the number, or of the call itself.
    Failed,
    /// Of everywhere that they could be reached; busy or not.
    Everywhere { busy: bool },
    /// Of this gateway, in this call.
    NextGateway,
    /// Of this gateway, and of every call.
    GatewayDead,
}

impl Refusal {
    /// What a final answer means; `None`: silence, or the connection broke. `rang`: it had rung there.
    pub(crate) fn of(code: Option<u16>, rang: bool) -> Self {
        match code {
            None | Some(408) if rang => Self::NoAnswer,
            None | Some(503) => Self::GatewayDead,
            Some(486) => Self::Busy,
            Some(480 | 487) => Self::NoAnswer,
            Some(404 | 410 | 482..=485) => Self::Failed,
            // Who declines (section 21.6.2) is busy with something else, as far as whoever waits is told.
            Some(600 | 603) => Self::Everywhere { busy: true },
            Some(600..) => Self::Everywhere { busy: false },
            Some(400..=599) => Self::NextGateway,
            // A redirection that isn't followed.
            Some(_) => Self::Failed,
        }
    }
}

/// How long a caller is kept waiting by gateways that don't ring.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Patience {
    /// When the first of them was called, and how many were since.
    begun: Option<(Duration, u32)>,
}

impl Patience {
    /// The next one is about to be called: until when it may be silent. None: there is no time left.
    pub(crate) fn calls(&mut self, now: Duration) -> Option<Duration> {
        let (since, before) = self.begun.unwrap_or((now, 0));
        self.begun = Some((since, before + 1));
        let silent = match before {
            0 => PROVISIONAL_MAX,
            1 => SECOND_SILENT_MAX,
            _ => NEXT_SILENT_MAX,
        };
        let end = since + REACHING_MAX;
        (now < end).then(|| (now + silent).min(end))
    }

    /// It said 100: until when it may take to ring.
    pub(crate) fn is_tried(&self, now: Duration) -> Duration {
        let until = now + TRYING_MAX;
        let end = self.begun.map(|(since, _)| since + REACHING_MAX);
        end.map_or(until, |end| until.min(end))
    }

    /// Somebody was reached: whatever is called after that has its own time.
    pub(crate) fn reached(&mut self) {
        self.begun = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_meaning() {
        let everywhere = |busy| Refusal::Everywhere { busy };
        for (code, rang, meaning) in [
            (None, false, Refusal::GatewayDead),
            (None, true, Refusal::NoAnswer),
            (Some(503), true, Refusal::GatewayDead),
            (Some(408), false, Refusal::NextGateway),
            (Some(408), true, Refusal::NoAnswer),
            (Some(403), false, Refusal::NextGateway),
            (Some(407), false, Refusal::NextGateway),
            (Some(488), false, Refusal::NextGateway),
            (Some(499), false, Refusal::NextGateway),
            (Some(500), true, Refusal::NextGateway),
            (Some(404), false, Refusal::Failed),
            (Some(483), false, Refusal::Failed),
            (Some(302), false, Refusal::Failed),
            (Some(480), false, Refusal::NoAnswer),
            (Some(486), false, Refusal::Busy),
            (Some(600), false, everywhere(true)),
            (Some(603), true, everywhere(true)),
            (Some(604), false, everywhere(false)),
            (Some(606), false, everywhere(false)),
        ] {
            assert_eq!(Refusal::of(code, rang), meaning, "{code:?} {rang}");
        }
    }

    #[test]
    fn silence_and_work_without_ringing_are_bounded_over_all_gateways() {
        let mut patience = Patience::default();
        let mut now = Duration::from_secs(100);
        let mut waited = Vec::new();
        while let Some(until) = patience.calls(now) {
            waited.push((until - now).as_secs());
            now = until;
        }
        assert_eq!(waited, [3, 2, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(now, Duration::from_secs(112));
        // One at work for ever, then another.
        let mut patience = Patience::default();
        let mut now = Duration::from_secs(100);
        patience.calls(now);
        now = patience.is_tried(now);
        assert_eq!(now, Duration::from_secs(108));
        assert!(patience.calls(now).is_some());
        assert_eq!(patience.is_tried(now), Duration::from_secs(112));
        assert_eq!(patience.calls(Duration::from_secs(112)), None);
        patience.reached();
        assert!(patience.calls(Duration::from_secs(300)).is_some());
    }
}
