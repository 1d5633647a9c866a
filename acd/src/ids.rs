//! A map keyed by ids that hashes the same way in every run.
//!
//! The standard map seeds itself at random; a replay from a seed must not
//! depend on that. The ids come from our own processes, so nobody can aim them
//! at one bucket.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub(crate) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0 ^ value);
    }
}

/// Spreads a number over all 64 bits; one to one.
pub(crate) fn mix(value: u64) -> u64 {
    let mut x = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContactId;

    #[test]
    fn the_same_keys_come_in_the_same_order() {
        let fill = || {
            (0..1000)
                .map(|n| (ContactId(n), n))
                .collect::<IdMap<_, _>>()
                .into_keys()
                .collect::<Vec<_>>()
        };
        assert_eq!(fill(), fill());
    }
}
