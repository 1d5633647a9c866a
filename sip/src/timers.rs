//! One heap of deadlines. Nothing is ever taken out early: an entry counts
//! only if its owner still waits for that very moment, so cancelling costs
//! nothing and a changed deadline is just another entry. Entries of long ago,
//! such as the session timers of calls that have ended, are swept out once they
//! are most of the heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::endpoint::RequestId;
use crate::ids::Key;
use crate::leg::LegId;

/// Whose deadline it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Server(Key),
    Client(Key),
    Leg(LegId),
    Referral(RequestId),
}

/// Below this many entries the heap isn't worth sweeping.
const SWEPT_MIN: usize = 4_096;

#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Duration, Owner)>>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Duration, owner: Owner) {
        self.heap.push(Reverse((at, owner)));
    }

    /// Should [`sweep`](Self::sweep) be called, with that many waiting? At most
    /// once for as many entries as there are after it: the cost of an entry
    /// stays constant.
    pub(crate) fn is_littered(&self, waiting: usize) -> bool {
        self.heap.len() > SWEPT_MIN + 4 * waiting
    }

    /// Takes out the entries that nobody waits for.
    pub(crate) fn sweep(&mut self, waits: impl Fn(Duration, Owner) -> bool) {
        self.heap.retain(|Reverse((at, owner))| waits(*at, *owner));
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<(Duration, Owner)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_long_over_leave_the_heap() {
        let mut timers = Timers::default();
        let late = Duration::from_secs(900);
        let mut swept = 0;
        for n in 0..100_000 {
            timers.set(late, Owner::Leg(LegId(n)));
            // Only the last hundred are still there.
            if timers.is_littered(100) {
                swept += 1;
                timers.sweep(|_, owner| owner >= Owner::Leg(LegId(n - 99)));
                assert_eq!(timers.heap.len(), 100);
            }
        }
        assert!((1..30).contains(&swept), "{swept}");
        assert!(timers.heap.len() <= SWEPT_MIN + 400);
    }
}
