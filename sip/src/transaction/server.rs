//! Non-INVITE server transaction: RFC 3261 figure 8.

use std::time::Duration;

use super::{Datagram, Due, timeout};
use crate::endpoint::Timing;

#[derive(Debug)]
enum State {
    /// The user hasn't answered. When it hasn't in 64*T1 nobody waits any
    /// more.
    Trying { until: Duration },
    /// Answered; repeats of the request get the answer until timer J.
    Completed { response: Datagram, until: Duration },
}

#[derive(Debug)]
pub(crate) struct Server {
    state: State,
    reliable: bool,
}

impl Server {
    pub(crate) fn new(now: Duration, reliable: bool, timing: &Timing) -> Self {
        Self {
            state: State::Trying {
                until: now + timeout(timing),
            },
            reliable,
        }
    }

    /// The request came again.
    pub(crate) fn on_repeat(&self) -> Option<Datagram> {
        match &self.state {
            State::Trying { .. } => None,
            State::Completed { response, .. } => Some(response.clone()),
        }
    }

    /// A final response is being sent. False when one went before.
    pub(crate) fn respond(&mut self, now: Duration, response: Datagram, timing: &Timing) -> bool {
        if let State::Completed { .. } = self.state {
            return false;
        }
        let wait = if self.reliable {
            Duration::ZERO
        } else {
            timeout(timing)
        };
        self.state = State::Completed {
            response,
            until: now + wait,
        };
        true
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        match &self.state {
            // The RFC has no timer here; ours is the peer's timer F.
            State::Trying { until } => Some(*until),
            // Timer J.
            State::Completed { until, .. } => Some(*until),
        }
    }

    pub(crate) fn on_deadline(&mut self, now: Duration) -> Due {
        match &self.state {
            State::Trying { until } if *until <= now => Due::TimedOut,
            State::Completed { until, .. } if *until <= now => Due::Over,
            _ => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bytes, ms};
    use super::*;

    #[test]
    fn repeats_get_the_answer_until_timer_j() {
        let timing = Timing::default();
        let mut tx = Server::new(ms(0), false, &timing);
        assert_eq!(tx.on_repeat(), None);
        assert!(tx.respond(ms(10), bytes("200"), &timing));
        assert!(!tx.respond(ms(10), bytes("500"), &timing));
        assert_eq!(tx.on_repeat(), Some(bytes("200")));
        assert_eq!(tx.on_deadline(ms(32_009)), Due::Nothing);
        assert_eq!(tx.on_deadline(ms(32_010)), Due::Over);
    }

    #[test]
    fn an_unanswered_request_is_forgotten() {
        let mut tx = Server::new(ms(0), false, &Timing::default());
        assert_eq!(tx.on_deadline(ms(32_000)), Due::TimedOut);
    }
}
