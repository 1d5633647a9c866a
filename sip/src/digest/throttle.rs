//! Guessing passwords costs more with every try.
//!
//! Wrong passwords are counted by where they come from, never by account: who
//! is guessed at elsewhere is not locked out. Beyond the limit nothing from
//! there is looked at for a while, right or wrong, known or unknown. Only who
//! signed in from there before is let through, lest one phone with a wrong
//! password takes a whole hospital behind one address with it; they have a
//! count of their own.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// See the module's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// Wrong passwords before a source is blocked; 10.
    pub tries: u32,
    /// Within which time they count; 10 min.
    pub window: Duration,
    /// How long a source is blocked; 5 min.
    pub block: Duration,
    /// How long who signed in is remembered as good; a day.
    pub good_for: Duration,
    /// Sources, and users known to be good, that are kept; 10,000 of each. The
    /// oldest make room.
    pub kept_max: usize,
}

impl Default for ThrottleLimits {
    fn default() -> Self {
        Self {
            tries: 10,
            window: Duration::from_secs(600),
            block: Duration::from_secs(300),
            good_for: Duration::from_secs(86_400),
            kept_max: 10_000,
        }
    }
}

/// Counts wrong passwords. See the module's description.
#[derive(Debug)]
pub struct Throttle {
    limits: ThrottleLimits,
    sources: Table<Source, Tries>,
    good: Table<(Source, String), Good>,
}

/// An address; of IPv6 the /64, which is one customer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Source(IpAddr);

impl Source {
    fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(ip) => {
                let prefix = u128::from(ip) >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from(prefix))
            }
            ip => ip,
        })
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    since: Duration,
    wrong: u32,
    blocked_until: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Good {
    until: Duration,
    tries: Tries,
}

impl Tries {
    fn blocked(&self, now: Duration) -> bool {
        self.blocked_until.is_some_and(|until| now < until)
    }

    /// One more. True when it is the one too many.
    fn wrong(&mut self, now: Duration, limits: &ThrottleLimits) -> bool {
        if self.blocked(now) {
            return false;
        }
        if self.wrong == 0
            || self.blocked_until.is_some()
            || now.saturating_sub(self.since) > limits.window
        {
            *self = Self {
                since: now,
                ..Self::default()
            };
        }
        self.wrong += 1;
        let too_many = self.wrong >= limits.tries;
        if too_many {
            self.blocked_until = Some(now + limits.block);
        }
        too_many
    }
}

impl Throttle {
    /// Nothing counted.
    #[must_use]
    pub fn new(limits: ThrottleLimits) -> Self {
        Self {
            limits,
            sources: Table::default(),
            good: Table::default(),
        }
    }

    /// May credentials of this user from there be looked at?
    #[must_use]
    pub fn allows(&self, now: Duration, source: IpAddr, user: &str) -> bool {
        let source = Source::of(source);
        if !self.sources.get(&source).is_some_and(|t| t.blocked(now)) {
            return true;
        }
        let good = self.good.get(&(source, user.to_owned()));
        good.is_some_and(|good| now < good.until && !good.tries.blocked(now))
    }

    /// They were wrong. True when the source is blocked from now on.
    pub fn wrong(&mut self, now: Duration, source: IpAddr, user: &str) -> bool {
        let source = Source::of(source);
        let limits = self.limits;
        if let Some(good) = self.good.get_mut(&(source, user.to_owned())) {
            good.tries.wrong(now, &limits);
        }
        let tries = self.sources.entry(source, limits.kept_max);
        tries.wrong(now, &limits)
    }

    /// They were right.
    pub fn right(&mut self, now: Duration, source: IpAddr, user: &str) {
        let key = (Source::of(source), user.to_owned());
        let until = now + self.limits.good_for;
        match self.good.get_mut(&key) {
            Some(good) => good.until = until,
            None => {
                let tries = Tries::default();
                self.good
                    .insert(key, Good { until, tries }, self.limits.kept_max);
            }
        }
    }

    /// How many sources and users are kept.
    #[must_use]
    pub fn kept(&self) -> (usize, usize) {
        (self.sources.map.len(), self.good.map.len())
    }
}

/// A map of bounded size: the oldest entry makes room.
#[derive(Debug)]
struct Table<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            map: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Hash + Eq + Clone, V> Table<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key)
    }

    fn insert(&mut self, key: K, value: V, max: usize) {
        if self.map.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.map.len() > max {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            self.map.remove(&oldest);
        }
    }
}

impl<K: Hash + Eq + Clone, V: Default> Table<K, V> {
    fn entry(&mut self, key: K, max: usize) -> &mut V {
        if !self.map.contains_key(&key) {
            self.insert(key.clone(), V::default(), max.max(1));
        }
        self.map.entry(key).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_tenth_wrong_password_blocks_the_source_for_a_while() {
        let mut throttle = Throttle::new(ThrottleLimits::default());
        let source = ip("192.0.2.1");
        for n in 0..10 {
            assert!(throttle.allows(at(n), source, "ana"), "{n}");
            // Whoever is guessed at.
            assert_eq!(throttle.wrong(at(n), source, &format!("user{n}")), n == 9);
        }
        for user in ["ana", "user1", "nobody"] {
            assert!(!throttle.allows(at(10), source, user));
            assert!(throttle.allows(at(10), ip("192.0.2.2"), user), "elsewhere");
        }
        assert!(!throttle.allows(at(308), source, "ana"));
        assert!(throttle.allows(at(309), source, "ana"));
        // And then from the beginning.
        assert!(!throttle.wrong(at(310), source, "ana"));
    }

    #[test]
    fn slow_mistakes_block_nobody() {
        let mut throttle = Throttle::new(ThrottleLimits::default());
        for n in 0..100 {
            assert!(!throttle.wrong(at(n * 70), ip("192.0.2.1"), "ana"), "{n}");
        }
    }

    #[test]
    fn who_signed_in_from_there_is_not_locked_out_by_a_neighbour() {
        let mut throttle = Throttle::new(ThrottleLimits::default());
        let source = ip("192.0.2.1");
        throttle.right(at(0), source, "ana");
        for n in 0..30 {
            throttle.wrong(at(n), source, "phone17");
        }
        assert!(!throttle.allows(at(31), source, "phone17"));
        assert!(throttle.allows(at(31), source, "ana"));
        // But that is no way to guess at Ana.
        for n in 0..10 {
            throttle.wrong(at(40 + n), source, "ana");
        }
        assert!(!throttle.allows(at(51), source, "ana"));
        assert!(throttle.allows(at(51), ip("192.0.2.9"), "ana"));
    }

    #[test]
    fn one_customers_ipv6_addresses_are_one_source_and_mapped_ipv4_is_ipv4() {
        let mut throttle = Throttle::new(ThrottleLimits::default());
        for n in 0..10_u128 {
            let ip = Ipv6Addr::from(0x2001_0db8_0000_0001_u128 << 64 | n);
            throttle.wrong(at(0), ip.into(), "x");
            throttle.wrong(at(0), ip4_mapped(), "x");
        }
        assert!(!throttle.allows(at(1), ip("2001:db8:0:1::ffff"), "x"));
        assert!(throttle.allows(at(1), ip("2001:db8:0:2::1"), "x"));
        assert!(!throttle.allows(at(1), ip("192.0.2.7"), "x"));
    }

    fn ip4_mapped() -> IpAddr {
        ip("::ffff:192.0.2.7")
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let limits = ThrottleLimits {
            kept_max: 100,
            ..ThrottleLimits::default()
        };
        let mut throttle = Throttle::new(limits);
        for n in 0..10_000_u32 {
            let source = IpAddr::from(n.to_be_bytes());
            throttle.wrong(at(1), source, "x");
            throttle.right(at(1), source, "x");
        }
        assert_eq!(throttle.kept(), (100, 100));
    }
}
