//! INVITE client transaction: RFC 3261 figure 5 as redrawn in RFC 6026
//! figure 2.

use std::time::Duration;

use super::{Datagram, Due, Received, Timer, timeout};
use crate::endpoint::Timing;

#[derive(Debug)]
enum State {
    /// Timer A repeats the request, timer B gives up.
    Calling {
        request: Datagram,
        repeat: Option<Repeat>,
        give_up_at: Duration,
    },
    /// The peer is at it; how long is the user's affair.
    Proceeding,
    /// Refused. Repeats of the refusal get the ACK again until timer D.
    Completed {
        ack: Option<Datagram>,
        until: Duration,
    },
    /// Answered. Every 2xx goes to the user until timer M (RFC 6026).
    Accepted { until: Duration },
}

/// Timer A.
#[derive(Debug)]
struct Repeat {
    at: Duration,
    interval: Duration,
    /// Not after this, when the user gave up.
    until: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct InviteClient {
    state: State,
    reliable: bool,
}

impl InviteClient {
    /// The request has just been sent.
    pub(crate) fn new(now: Duration, request: Datagram, reliable: bool, timing: &Timing) -> Self {
        Self {
            state: State::Calling {
                request,
                repeat: (!reliable).then(|| Repeat {
                    at: now + timing.t1,
                    interval: timing.t1,
                    until: None,
                }),
                give_up_at: now + timeout(timing),
            },
            reliable,
        }
    }

    pub(crate) fn on_response(&mut self, now: Duration, code: u16, timing: &Timing) -> Received {
        match (&self.state, code) {
            (State::Calling { .. } | State::Proceeding, 100..=199) => {
                self.state = State::Proceeding;
                Received::PassUp
            }
            (State::Calling { .. } | State::Proceeding, 200..=299) => {
                self.state = State::Accepted {
                    until: now + timeout(timing),
                };
                Received::PassUp
            }
            (State::Calling { .. } | State::Proceeding, _) => {
                // Timer D is at least 32 s over UDP (section 17.1.1.2).
                let wait = if self.reliable {
                    Duration::ZERO
                } else {
                    timeout(timing).max(Duration::from_secs(32))
                };
                self.state = State::Completed {
                    ack: None,
                    until: now + wait,
                };
                Received::AckAndPassUp
            }
            (State::Completed { ack: Some(ack), .. }, 300..) => Received::Repeat(ack.clone()),
            (State::Accepted { .. }, 200..=299) => Received::PassUp,
            _ => Received::Drop,
        }
    }

    /// The ACK that was sent for a refusal.
    pub(crate) fn acked(&mut self, sent: Datagram) {
        if let State::Completed { ack, .. } = &mut self.state {
            *ack = Some(sent);
        }
    }

    /// The user gave up, and no CANCEL may be sent before a provisional
    /// response came. It may have been lost, with a phone ringing already: so
    /// the request is repeated for another 8*T1, at short intervals again, to
    /// draw one. Not for longer: a phone that comes back half a minute later
    /// must not ring for a call long gone. What comes after that still brings
    /// the CANCEL, up to timer B.
    pub(crate) fn give_up(&mut self, now: Duration, timing: &Timing) {
        if let State::Calling {
            repeat: Some(repeat),
            ..
        } = &mut self.state
        {
            repeat.at = repeat.at.min(now + timing.t1);
            repeat.interval = timing.t1;
            repeat.until = Some(now + timing.t1 * 8);
        }
    }

    /// True while no response at all has come: no CANCEL may be sent yet
    /// (section 9.1).
    pub(crate) fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    /// True before a final response.
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding)
    }

    fn timer(&self) -> Option<(Timer, Duration)> {
        match &self.state {
            State::Calling {
                repeat, give_up_at, ..
            } => match repeat {
                Some(Repeat { at, until, .. })
                    if at < give_up_at && until.is_none_or(|until| *at <= until) =>
                {
                    Some((Timer::A, *at))
                }
                _ => Some((Timer::B, *give_up_at)),
            },
            State::Proceeding => None,
            State::Completed { until, .. } => Some((Timer::D, *until)),
            State::Accepted { until } => Some((Timer::M, *until)),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.timer().map(|(_, at)| at)
    }

    pub(crate) fn on_deadline(&mut self, now: Duration) -> Due {
        let timer = match self.timer() {
            Some((timer, at)) if at <= now => timer,
            _ => return Due::Nothing,
        };
        match (timer, &mut self.state) {
            (
                Timer::A,
                State::Calling {
                    request,
                    repeat: Some(repeat),
                    ..
                },
            ) => {
                // Doubles each time, without bound before timer B.
                repeat.interval *= 2;
                repeat.at = now + repeat.interval;
                Due::Repeat(request.clone())
            }
            (Timer::B, _) => Due::TimedOut,
            _ => Due::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bytes, ms};
    use super::*;

    fn new() -> InviteClient {
        InviteClient::new(ms(0), bytes("INVITE"), false, &Timing::default())
    }

    #[test]
    fn repeats_double_until_timer_b() {
        let mut tx = new();
        let mut sent = Vec::new();
        loop {
            let at = tx.deadline().unwrap();
            match tx.on_deadline(at) {
                Due::Repeat(_) => sent.push(at.as_millis()),
                due => {
                    assert_eq!((due, at), (Due::TimedOut, ms(32_000)));
                    break;
                }
            }
        }
        assert_eq!(sent, [500, 1500, 3500, 7500, 15500, 31500]);
    }

    #[test]
    fn who_gave_up_repeats_for_four_seconds_and_still_waits_for_an_answer() {
        let check = |give_up_at: u64, expected: &[u128]| {
            let mut tx = new();
            while tx.deadline().unwrap() < ms(give_up_at) {
                let at = tx.deadline().unwrap();
                tx.on_deadline(at);
            }
            tx.give_up(ms(give_up_at), &Timing::default());
            let mut sent = Vec::new();
            loop {
                let at = tx.deadline().unwrap();
                match tx.on_deadline(at) {
                    Due::Repeat(_) => sent.push(at.as_millis()),
                    due => {
                        // What comes late still counts.
                        assert!(tx.is_calling());
                        assert_eq!((due, at), (Due::TimedOut, ms(32_000)));
                        break;
                    }
                }
            }
            assert_eq!(sent, expected, "given up at {give_up_at}");
        };
        check(0, &[500, 1500, 3500]);
        check(100, &[500, 1500, 3500]);
        check(1000, &[1500, 2500, 4500]);
        // The next repeat would have been at 15.5 s.
        check(8000, &[8500, 9500, 11_500]);
        check(30_000, &[30_500, 31_500]);
    }

    #[test]
    fn who_gave_up_stops_at_the_first_provisional() {
        let mut tx = new();
        tx.give_up(ms(100), &Timing::default());
        assert!(tx.is_calling());
        assert_eq!(
            tx.on_response(ms(20_000), 180, &Timing::default()),
            Received::PassUp
        );
        assert_eq!(tx.deadline(), None);
    }

    #[test]
    fn a_provisional_stops_the_repeats() {
        let mut tx = new();
        assert!(tx.is_calling());
        assert_eq!(
            tx.on_response(ms(100), 100, &Timing::default()),
            Received::PassUp
        );
        assert!(!tx.is_calling());
        assert_eq!(tx.deadline(), None);
    }

    #[test]
    fn a_refusal_is_acked_each_time() {
        let timing = Timing::default();
        let mut tx = new();
        assert_eq!(tx.on_response(ms(9), 486, &timing), Received::AckAndPassUp);
        tx.acked(bytes("ACK"));
        assert_eq!(
            tx.on_response(ms(99), 486, &timing),
            Received::Repeat(bytes("ACK"))
        );
        assert_eq!(tx.on_response(ms(99), 200, &timing), Received::Drop);
        assert_eq!(tx.on_response(ms(99), 180, &timing), Received::Drop);
        assert_eq!(tx.on_deadline(ms(32_008)), Due::Nothing);
        assert_eq!(tx.on_deadline(ms(32_009)), Due::Over);
    }

    #[test]
    fn every_200_goes_up_until_timer_m() {
        let timing = Timing::default();
        let mut tx = new();
        assert_eq!(tx.on_response(ms(9), 200, &timing), Received::PassUp);
        assert_eq!(tx.on_response(ms(99), 200, &timing), Received::PassUp);
        assert_eq!(tx.on_response(ms(99), 486, &timing), Received::Drop);
        assert_eq!(tx.on_deadline(ms(32_009)), Due::Over);
    }

    #[test]
    fn a_reliable_transport_needs_no_repeats() {
        let mut tx = InviteClient::new(ms(0), bytes("INVITE"), true, &Timing::default());
        assert_eq!(tx.deadline(), Some(ms(32_000)));
        tx.on_response(ms(5), 404, &Timing::default());
        assert_eq!(tx.deadline(), Some(ms(5)));
    }
}
