//! What is over, remembered for a while so that a late message can be told
//! from a new one. Bounded in time and number.

use std::collections::VecDeque;
use std::hash::Hash;
use std::time::Duration;

use crate::ids::IdMap;

#[derive(Debug)]
pub(crate) struct Memory<K, V> {
    known: IdMap<K, (V, Duration)>,
    /// By expiry. An entry is out of date when `known` says another expiry.
    order: VecDeque<(Duration, K)>,
}

impl<K: Copy + Eq + Hash, V: Copy> Memory<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            known: IdMap::default(),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn get(&self, key: K) -> Option<V> {
        self.known.get(&key).map(|(value, _)| *value)
    }

    /// Remembers until `until`, which never runs backwards from call to call.
    pub(crate) fn insert(&mut self, key: K, value: V, until: Duration, max: usize) {
        self.known.insert(key, (value, until));
        self.order.push_back((until, key));
        while self.order.len() > max {
            self.forget_oldest();
        }
    }

    pub(crate) fn remove(&mut self, key: K) {
        self.known.remove(&key);
    }

    pub(crate) fn expire(&mut self, now: Duration) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((until, key)) = self.order.pop_front()
            && self.known.get(&key).is_some_and(|(_, u)| *u == until)
        {
            self.known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OfferId;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn forgets_in_time_and_beyond_its_size() {
        let mut memory = Memory::new();
        memory.insert(OfferId(1), 'a', secs(10), 2);
        memory.insert(OfferId(2), 'b', secs(11), 2);
        memory.insert(OfferId(3), 'c', secs(12), 2);
        assert_eq!(memory.get(OfferId(1)), None);
        memory.expire(secs(11));
        assert_eq!(memory.get(OfferId(2)), None);
        assert_eq!(memory.get(OfferId(3)), Some('c'));
    }

    #[test]
    fn a_renewed_entry_outlives_its_first_expiry() {
        let mut memory = Memory::new();
        memory.insert(OfferId(1), 'a', secs(10), 9);
        memory.insert(OfferId(1), 'b', secs(20), 9);
        memory.expire(secs(15));
        assert_eq!(memory.get(OfferId(1)), Some('b'));
    }
}
