//! Non-INVITE client transaction: RFC 3261 figure 6.

use std::time::Duration;

use super::{Datagram, Due, Received, Timer, timeout};
use crate::endpoint::Timing;

#[derive(Debug)]
enum State {
    /// Timer E repeats the request (after a provisional, every T2), timer F
    /// gives up.
    Trying {
        request: Datagram,
        repeat: Option<(Duration, Duration)>,
        give_up_at: Duration,
        proceeding: bool,
    },
    /// Answered; repeats of the answer are swallowed until timer K.
    Completed { until: Duration },
}

#[derive(Debug)]
pub(crate) struct Client {
    state: State,
    reliable: bool,
}

impl Client {
    /// The request has just been sent.
    pub(crate) fn new(now: Duration, request: Datagram, reliable: bool, timing: &Timing) -> Self {
        Self {
            state: State::Trying {
                request,
                repeat: (!reliable).then(|| (now + timing.t1, timing.t1)),
                give_up_at: now + timeout(timing),
                proceeding: false,
            },
            reliable,
        }
    }

    pub(crate) fn on_response(&mut self, now: Duration, code: u16, timing: &Timing) -> Received {
        match &mut self.state {
            State::Trying { proceeding, .. } if code < 200 => {
                *proceeding = true;
                Received::PassUp
            }
            State::Trying { .. } => {
                let wait = if self.reliable {
                    Duration::ZERO
                } else {
                    timing.t4
                };
                self.state = State::Completed { until: now + wait };
                Received::PassUp
            }
            State::Completed { .. } => Received::Drop,
        }
    }

    fn timer(&self) -> Option<(Timer, Duration)> {
        match &self.state {
            State::Trying {
                repeat, give_up_at, ..
            } => match repeat {
                Some((at, _)) if at < give_up_at => Some((Timer::E, *at)),
                _ => Some((Timer::F, *give_up_at)),
            },
            State::Completed { until } => Some((Timer::K, *until)),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.timer().map(|(_, at)| at)
    }

    /// True until a final response came.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Trying { .. })
    }

    pub(crate) fn on_deadline(&mut self, now: Duration, timing: &Timing) -> Due {
        let timer = match self.timer() {
            Some((timer, at)) if at <= now => timer,
            _ => return Due::Nothing,
        };
        match (timer, &mut self.state) {
            (
                Timer::E,
                State::Trying {
                    request,
                    repeat: Some((at, interval)),
                    proceeding,
                    ..
                },
            ) => {
                *interval = if *proceeding {
                    timing.t2
                } else {
                    (*interval * 2).min(timing.t2)
                };
                *at = now + *interval;
                Due::Repeat(request.clone())
            }
            (Timer::F, _) => Due::TimedOut,
            _ => Due::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bytes, ms};
    use super::*;

    fn repeats(provisional: bool) -> Vec<u128> {
        let timing = Timing::default();
        let mut tx = Client::new(ms(0), bytes("BYE"), false, &timing);
        if provisional {
            assert_eq!(tx.on_response(ms(1), 100, &timing), Received::PassUp);
        }
        let mut sent = Vec::new();
        loop {
            let at = tx.deadline().unwrap();
            match tx.on_deadline(at, &timing) {
                Due::Repeat(_) => sent.push(at.as_millis()),
                due => {
                    assert_eq!((due, at), (Due::TimedOut, ms(32_000)));
                    return sent;
                }
            }
        }
    }

    #[test]
    fn repeats_double_up_to_t2() {
        let expected = [
            500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500,
        ];
        assert_eq!(repeats(false), expected);
        assert_eq!(&repeats(true)[..3], [500, 4500, 8500]);
    }

    #[test]
    fn the_first_final_response_goes_up_alone() {
        let timing = Timing::default();
        let mut tx = Client::new(ms(0), bytes("BYE"), false, &timing);
        assert_eq!(tx.on_response(ms(1), 200, &timing), Received::PassUp);
        assert_eq!(tx.on_response(ms(2), 200, &timing), Received::Drop);
        assert_eq!(tx.on_deadline(ms(5000), &timing), Due::Nothing);
        assert_eq!(tx.on_deadline(ms(5001), &timing), Due::Over);
    }
}
