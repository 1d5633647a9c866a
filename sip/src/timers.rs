//! One heap of deadlines. Nothing is ever taken out early: an entry counts
//! only if its owner still waits for that very moment, so cancelling costs
//! nothing and a changed deadline is just another entry.

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

#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Duration, Owner)>>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Duration, owner: Owner) {
        self.heap.push(Reverse((at, owner)));
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
