//! The one source of chance in a world: everything follows from the seed.

use std::time::Duration;

/// A small generator (xoshiro256**, seeded by SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub struct Dice {
    state: [u64; 4],
}

impl Dice {
    /// Dice that always fall the same way for one seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut z = seed;
        let mut next = || {
            z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = z;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^ (x >> 31)
        };
        Self {
            state: [next(), next(), next(), next()],
        }
    }

    /// Dice of their own for one part of the world, so that a change in how
    /// often one part throws doesn't change what happens in the others.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.bits())
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = b << 17;
        let (c, d) = (c ^ a, d ^ b);
        let (b, a) = (b ^ c, a ^ d);
        self.state = [a, b, c ^ shifted, d.rotate_left(45)];
        result
    }

    /// A number from 0 to `n - 1`; 0 for `n` = 0.
    pub fn below(&mut self, n: u64) -> u64 {
        // The bias is below 2⁻³² for every n used here.
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// True `per_million` times in a million.
    pub fn chance(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < u64::from(per_million)
    }

    /// A time from `from` to `to`, both included, in steps of a microsecond.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let span = to.saturating_sub(from).as_micros() as u64;
        from + Duration::from_micros(self.below(span + 1))
    }

    /// Milliseconds from `from` to `to`, both included, to the microsecond.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        self.between(Duration::from_millis(from), Duration::from_millis(to))
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// One of several, by weight.
    pub fn weighted<T: Copy>(&mut self, of: &[(u32, T)]) -> T {
        let total: u32 = of.iter().map(|(weight, _)| weight).sum();
        let mut at = self.below(u64::from(total)) as u32;
        for &(weight, what) in of {
            if at < weight {
                return what;
            }
            at -= weight;
        }
        of[of.len() - 1].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_one_fall() {
        let throw = |seed| {
            let mut dice = Dice::new(seed);
            (0..100).map(|_| dice.below(6)).collect::<Vec<_>>()
        };
        assert_eq!(throw(7), throw(7));
        assert_ne!(throw(7), throw(8));
    }

    #[test]
    fn every_side_comes_up() {
        let mut dice = Dice::new(1);
        let mut sides = [0; 6];
        for _ in 0..6_000 {
            sides[dice.below(6) as usize] += 1;
        }
        assert!(sides.iter().all(|&n| n > 850 && n < 1150), "{sides:?}");
        assert!((0..1000).all(|_| !dice.chance(0)));
        assert!((0..1000).all(|_| dice.chance(1_000_000)));
    }
}
