//! Time, chance and the wire.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use crate::Event;

/// SplitMix64: enough for a world, and the same everywhere.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// How the wire treats its messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    lost_percent: u64,
    doubled_percent: u64,
    delay_max_us: u64,
    /// Delayed by up to 15 s: later than most leases and stays.
    very_late_percent: u64,
}

impl Weather {
    pub(crate) fn is_fair(self) -> bool {
        self.lost_percent == 0
    }

    pub(crate) const FAIR: Self = Self {
        lost_percent: 0,
        doubled_percent: 0,
        delay_max_us: 2_000,
        very_late_percent: 0,
    };
    pub(crate) const RAIN: Self = Self {
        lost_percent: 5,
        doubled_percent: 10,
        delay_max_us: 300_000,
        very_late_percent: 1,
    };
    pub(crate) const STORM: Self = Self {
        lost_percent: 30,
        doubled_percent: 30,
        delay_max_us: 1_500_000,
        very_late_percent: 5,
    };
}

#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) now: Duration,
    pub(crate) rng: Rng,
    pub(crate) weather: Weather,
    order: BinaryHeap<Reverse<(Duration, u64)>>,
    events: BTreeMap<u64, Event>,
    count: u64,
}

impl Wire {
    pub(crate) fn new(seed: u64, weather: Weather) -> Self {
        Self {
            now: Duration::ZERO,
            rng: Rng::new(seed),
            weather,
            order: BinaryHeap::new(),
            events: BTreeMap::new(),
            count: 0,
        }
    }

    pub(crate) fn at(&mut self, at: Duration, event: Event) {
        self.count += 1;
        self.order.push(Reverse((at, self.count)));
        self.events.insert(self.count, event);
    }

    pub(crate) fn after(&mut self, time: Duration, event: Event) {
        self.at(self.now + time, event);
    }

    /// Sends a message, as the weather permits.
    pub(crate) fn carry(&mut self, event: Event) {
        let copies = 1 + u64::from(self.rng.percent(self.weather.doubled_percent));
        for _ in 0..copies {
            if self.rng.percent(self.weather.lost_percent) {
                continue;
            }
            let max = if self.rng.percent(self.weather.very_late_percent) {
                15_000_000
            } else {
                self.weather.delay_max_us
            };
            let delay = Duration::from_micros(1 + self.rng.below(max));
            self.after(delay, event.clone());
        }
    }

    pub(crate) fn next(&mut self, end: Duration) -> Option<Event> {
        let Reverse((at, _)) = *self.order.peek()?;
        if at > end {
            return None;
        }
        let Reverse((at, number)) = self.order.pop()?;
        self.now = self.now.max(at);
        self.events.remove(&number)
    }
}
