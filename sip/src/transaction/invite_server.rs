//! INVITE server transaction: RFC 3261 figure 7 as redrawn in RFC 6026
//! figure 1.

use std::time::Duration;

use super::{Datagram, Due, Timer, timeout};
use crate::endpoint::Timing;

#[derive(Debug)]
enum State {
    /// Nothing final yet; repeats of the INVITE get the last provisional.
    Proceeding {
        last: Option<Datagram>,
        trying_at: Option<Duration>,
    },
    /// Refused. Timer G repeats the refusal until the ACK or timer H.
    Completed {
        response: Datagram,
        repeat: Option<(Duration, Duration)>,
        give_up_at: Duration,
    },
    /// The ACK came; more of them are swallowed until timer I.
    Confirmed { until: Duration },
    /// Answered. Repeats of the INVITE are swallowed until timer L: the user
    /// repeats the 2xx itself (section 13.3.1.4).
    Accepted { until: Duration },
}

#[derive(Debug)]
pub(crate) struct InviteServer {
    state: State,
    reliable: bool,
}

impl InviteServer {
    pub(crate) fn new(now: Duration, reliable: bool, timing: &Timing) -> Self {
        Self {
            state: State::Proceeding {
                last: None,
                trying_at: Some(now + timing.trying_after),
            },
            reliable,
        }
    }

    /// The INVITE came again.
    pub(crate) fn on_repeat(&self) -> Option<Datagram> {
        match &self.state {
            State::Proceeding { last, .. } => last.clone(),
            State::Completed { response, .. } => Some(response.clone()),
            State::Confirmed { .. } | State::Accepted { .. } => None,
        }
    }

    /// A provisional response is being sent. False when it is too late.
    pub(crate) fn provisional(&mut self, response: Datagram) -> bool {
        match &mut self.state {
            State::Proceeding { last, trying_at } => {
                *last = Some(response);
                *trying_at = None;
                true
            }
            _ => false,
        }
    }

    /// A 2xx is being sent. False when a final response went before.
    pub(crate) fn success(&mut self, now: Duration, timing: &Timing) -> bool {
        if !self.is_proceeding() {
            return false;
        }
        self.state = State::Accepted {
            until: now + timeout(timing),
        };
        true
    }

    /// A refusal is being sent. False when a final response went before.
    pub(crate) fn failure(&mut self, now: Duration, response: Datagram, timing: &Timing) -> bool {
        if !self.is_proceeding() {
            return false;
        }
        self.state = State::Completed {
            response,
            repeat: (!self.reliable).then(|| (now + timing.t1, timing.t1)),
            give_up_at: now + timeout(timing),
        };
        true
    }

    /// The refusal whose ACK hasn't come.
    pub(crate) fn unacknowledged(&self) -> Option<Datagram> {
        match &self.state {
            State::Completed { response, .. } => Some(response.clone()),
            _ => None,
        }
    }

    pub(crate) fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// An ACK with our branch came: it is for a refusal.
    pub(crate) fn on_ack(&mut self, now: Duration, timing: &Timing) {
        if let State::Completed { .. } = self.state {
            let wait = if self.reliable {
                Duration::ZERO
            } else {
                timing.t4
            };
            self.state = State::Confirmed { until: now + wait };
        }
    }

    fn timer(&self) -> Option<(Timer, Duration)> {
        match &self.state {
            State::Proceeding { trying_at, .. } => trying_at.map(|at| (Timer::Trying, at)),
            State::Completed {
                repeat, give_up_at, ..
            } => match repeat {
                Some((at, _)) if at < give_up_at => Some((Timer::G, *at)),
                _ => Some((Timer::H, *give_up_at)),
            },
            State::Confirmed { until } => Some((Timer::I, *until)),
            State::Accepted { until } => Some((Timer::L, *until)),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.timer().map(|(_, at)| at)
    }

    pub(crate) fn on_deadline(&mut self, now: Duration, timing: &Timing) -> Due {
        let timer = match self.timer() {
            Some((timer, at)) if at <= now => timer,
            _ => return Due::Nothing,
        };
        match (timer, &mut self.state) {
            // Due once, whether or not there is still somebody to send it for.
            (Timer::Trying, State::Proceeding { trying_at, .. }) => {
                *trying_at = None;
                Due::Trying
            }
            (
                Timer::G,
                State::Completed {
                    response,
                    repeat: Some((at, interval)),
                    ..
                },
            ) => {
                *interval = (*interval * 2).min(timing.t2);
                *at = now + *interval;
                Due::Repeat(response.clone())
            }
            (Timer::H, _) => Due::TimedOut,
            _ => Due::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bytes, ms};
    use super::*;

    fn new() -> InviteServer {
        InviteServer::new(ms(0), false, &Timing::default())
    }

    #[test]
    fn trying_is_sent_when_nothing_else_was() {
        let timing = Timing::default();
        let mut tx = new();
        assert_eq!(tx.on_repeat(), None);
        assert_eq!(tx.on_deadline(ms(199), &timing), Due::Nothing);
        assert_eq!(tx.on_deadline(ms(200), &timing), Due::Trying);
        assert_eq!(tx.on_deadline(ms(200), &timing), Due::Nothing);
        assert!(tx.provisional(bytes("100")));
        assert_eq!(tx.deadline(), None);
        assert_eq!(tx.on_repeat(), Some(bytes("100")));
        assert!(tx.provisional(bytes("180")));
        assert_eq!(tx.on_repeat(), Some(bytes("180")));
    }

    #[test]
    fn a_refusal_is_repeated_until_its_ack() {
        let timing = Timing::default();
        let mut tx = new();
        assert!(tx.failure(ms(0), bytes("486"), &timing));
        assert!(!tx.success(ms(0), &timing));
        let mut sent = Vec::new();
        loop {
            let at = tx.deadline().unwrap();
            match tx.on_deadline(at, &timing) {
                Due::Repeat(_) => sent.push(at.as_millis()),
                due => {
                    assert_eq!((due, at), (Due::TimedOut, ms(32_000)));
                    break;
                }
            }
        }
        assert_eq!(&sent[..5], [500, 1500, 3500, 7500, 11500]);

        let mut tx = new();
        tx.failure(ms(0), bytes("486"), &timing);
        assert_eq!(tx.on_repeat(), Some(bytes("486")));
        tx.on_ack(ms(10), &timing);
        assert_eq!(tx.on_repeat(), None);
        assert_eq!(tx.on_deadline(ms(5009), &timing), Due::Nothing);
        assert_eq!(tx.on_deadline(ms(5010), &timing), Due::Over);
    }

    #[test]
    fn an_accepted_invite_swallows_its_repeats() {
        let timing = Timing::default();
        let mut tx = new();
        assert!(tx.success(ms(0), &timing));
        assert_eq!(tx.on_repeat(), None);
        assert!(!tx.failure(ms(0), bytes("486"), &timing));
        assert!(!tx.provisional(bytes("180")));
        assert_eq!(tx.on_deadline(ms(32_000), &timing), Due::Over);
    }
}
