//! Pauses between packets.

use std::fmt;
use std::time::Duration;

/// Width of a bucket, and how many there are; what is longer only counts for the maximum.
const BUCKET_US: u64 = 100;
const BUCKETS: usize = 1_000;

/// Pauses between the arrivals of packets that were sent one after the other, in buckets of 0.1 ms.
///
/// Where the sender itself paused (its timestamp runs ahead of its sequence number), nothing is counted.
#[derive(Clone, PartialEq, Eq)]
pub struct Gaps {
    buckets: Box<[u32]>,
    count: u64,
    max: Duration,
}

impl Default for Gaps {
    fn default() -> Self {
        Gaps {
            buckets: vec![0; BUCKETS + 1].into_boxed_slice(),
            count: 0,
            max: Duration::ZERO,
        }
    }
}

impl Gaps {
    /// Counts a pause.
    pub fn add(&mut self, gap: Duration) {
        let bucket = (gap.as_micros() as u64 / BUCKET_US).min(BUCKETS as u64) as usize;
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(gap);
    }

    /// Adds another call's.
    pub fn merge(&mut self, other: &Gaps) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// What `share` (0 to 1) of the pauses don't exceed, rounded up to a bucket; zero if none were counted.
    pub fn percentile(&self, share: f64) -> Duration {
        let wanted = (self.count as f64 * share.clamp(0.0, 1.0)).ceil() as u64;
        let mut seen = 0;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            seen += u64::from(count);
            if count > 0 && seen >= wanted {
                let top = Duration::from_micros((bucket as u64 + 1) * BUCKET_US);
                return if bucket == BUCKETS {
                    self.max
                } else {
                    top.min(self.max)
                };
            }
        }
        Duration::ZERO
    }
}

impl fmt::Debug for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Gaps({} of them, p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?})",
            self.count,
            self.percentile(0.5),
            self.percentile(0.99),
            self.percentile(0.999),
            self.max
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_pauses() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.percentile(0.5), Duration::ZERO);
        for _ in 0..989 {
            gaps.add(Duration::from_micros(20_010));
        }
        for _ in 0..10 {
            gaps.add(Duration::from_micros(23_050));
        }
        gaps.add(Duration::from_millis(400));
        assert_eq!(gaps.count(), 1_000);
        assert_eq!(gaps.percentile(0.5), Duration::from_micros(20_100));
        assert_eq!(gaps.percentile(0.99), Duration::from_micros(23_100));
        assert_eq!(gaps.percentile(0.999), Duration::from_micros(23_100));
        assert_eq!(gaps.percentile(1.0), Duration::from_millis(400));
        let mut both = Gaps::default();
        both.merge(&gaps);
        both.merge(&gaps);
        assert_eq!(both.count(), 2_000);
        assert_eq!(both.percentile(0.5), gaps.percentile(0.5));
    }
}
