//! Every timer of the distributor, in one heap.
//!
//! A lease that is renewed every two seconds is not moved in the heap each
//! time. Its entry fires at the old time, sees the new one and goes back in:
//! so every subject has one entry, and a renewal costs nothing. Whoever is
//! woken therefore checks whether there is anything to do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::{AgentId, ContactId, OfferId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A waiting contact hasn't been heard of.
    WaitLease(ContactId),
    /// An offer or its taking back isn't acknowledged.
    Repeat(OfferId),
    /// The phone has rung long enough.
    RingEnd(OfferId),
    /// A conversation hasn't been heard of.
    TalkLease(OfferId),
    /// A phone's registration ends.
    Registration(AgentId),
    /// An agent's wrap-up or rest ends.
    Pause(AgentId),
    /// An agent has rested for long enough to be given a turn if everybody rests.
    Breath(AgentId),
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Duration, Timer)>>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Duration, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<(Duration, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

/// A time that moves, and the one heap entry that stands for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    until: Duration,
    /// When the entry in the heap fires; never later than `until`.
    armed: Duration,
}

impl Lease {
    pub(crate) fn new(until: Duration, timer: Timer, timers: &mut Timers) -> Self {
        timers.set(until, timer);
        Self {
            until,
            armed: until,
        }
    }

    pub(crate) fn renew(&mut self, until: Duration, timer: Timer, timers: &mut Timers) {
        self.until = until;
        if until < self.armed {
            self.armed = until;
            timers.set(until, timer);
        }
    }

    /// The heap entry set for `fired` went off: is the lease over?
    pub(crate) fn is_over(
        &mut self,
        fired: Duration,
        now: Duration,
        timer: Timer,
        timers: &mut Timers,
    ) -> bool {
        if fired != self.armed {
            return false;
        }
        if self.until > now {
            self.armed = self.until;
            timers.set(self.until, timer);
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_has_one_valid_entry_however_it_moves() {
        let secs = Duration::from_secs;
        let timer = Timer::Registration(AgentId(1));
        let mut timers = Timers::default();
        let mut lease = Lease::new(secs(60), timer, &mut timers);
        // Shorter, then longer again: the entry for 60 s is out of date.
        lease.renew(secs(10), timer, &mut timers);
        lease.renew(secs(100), timer, &mut timers);
        let mut fired = Vec::new();
        while let Some((at, _)) = timers.pop_due(secs(200)) {
            fired.push((at, lease.is_over(at, at, timer, &mut timers)));
        }
        let expected = [(secs(10), false), (secs(60), false), (secs(100), true)];
        assert_eq!(fired, expected);
    }
}
