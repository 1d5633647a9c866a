//! A bounded map that forgets what wasn't used for longest.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Values with weights, in the order of their last use.
#[derive(Debug)]
pub(crate) struct Recency<K, V> {
    entries: HashMap<K, Entry<V>>,
    by_use: BTreeMap<u64, K>,
    weight: u64,
    clock: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: u64,
    used: u64,
}

impl<K, V> Default for Recency<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            weight: 0,
            clock: 0,
        }
    }
}

impl<K: Hash + Eq + Copy, V> Recency<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V, weight: u64) {
        self.remove(&key);
        self.clock += 1;
        self.entries.insert(
            key,
            Entry {
                value,
                weight,
                used: self.clock,
            },
        );
        self.by_use.insert(self.clock, key);
        self.weight += weight;
    }

    /// The value, now the one used last.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        let entry = self.entries.get_mut(key)?;
        self.clock += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.clock;
        self.by_use.insert(self.clock, *key);
        Some(&entry.value)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.weight -= entry.weight;
        }
    }

    /// Takes out the one not used for longest while all together weigh more
    /// than `weight_max`.
    pub(crate) fn evict(&mut self, weight_max: u64) -> Option<K> {
        if self.weight <= weight_max {
            return None;
        }
        let key = *self.by_use.first_key_value()?.1;
        self.remove(&key);
        Some(key)
    }

    /// Weight of all.
    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }
}
