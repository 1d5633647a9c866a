//! Wrong answers, counted by who was named and from where the calls came.
//!
//! In memory alone, and bounded: a restart forgets them, and so does a flood
//! of more numbers than are remembered, whose oldest goes first. Whoever is
//! locked has been put through to a person each time.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use super::VerificationLimits;
use crate::directory::NumberKey;
use crate::message::PersonId;

/// One hospital's.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    persons: Counts<PersonId>,
    numbers: Counts<NumberKey>,
}

impl Attempts {
    /// Has this person been named too often?
    pub(crate) fn person_locked(
        &self,
        person: PersonId,
        now: Duration,
        limits: &VerificationLimits,
    ) -> bool {
        self.persons.count(person, now, limits.person_for) >= limits.per_person
    }

    /// Has it been tried too often from there? Withheld numbers are nobody's.
    pub(crate) fn number_locked(
        &self,
        number: Option<NumberKey>,
        now: Duration,
        limits: &VerificationLimits,
    ) -> bool {
        number.is_some_and(|number| {
            self.numbers.count(number, now, limits.number_for) >= limits.per_number
        })
    }

    /// An answer was wrong.
    pub(crate) fn wrong(
        &mut self,
        person: Option<PersonId>,
        number: Option<NumberKey>,
        now: Duration,
        limits: &VerificationLimits,
    ) {
        let most = limits.remembered_max;
        if let Some(person) = person {
            self.persons.add(person, now, limits.person_for, most);
        }
        if let Some(number) = number {
            self.numbers.add(number, now, limits.number_for, most);
        }
    }

    /// They have shown who they are: what was wrong before was a slip.
    pub(crate) fn right(&mut self, person: PersonId) {
        self.persons.counts.remove(&person);
    }
}

/// How often, and since when it is counted.
#[derive(Debug)]
struct Counts<K> {
    counts: HashMap<K, (Duration, u8)>,
    /// In the order in which counting began; some are forgotten already.
    order: VecDeque<(Duration, K)>,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self {
            counts: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Copy + Eq + Hash> Counts<K> {
    fn count(&self, key: K, now: Duration, lasts: Duration) -> u8 {
        match self.counts.get(&key) {
            Some((since, count)) if now < *since + lasts => *count,
            _ => 0,
        }
    }

    fn add(&mut self, key: K, now: Duration, lasts: Duration, most: usize) {
        if let Some((since, count)) = self.counts.get_mut(&key)
            && now < *since + lasts
        {
            *count = count.saturating_add(1);
            return;
        }
        while self.order.len() >= most.max(1) {
            let Some((since, oldest)) = self.order.pop_front() else {
                break;
            };
            // Counted anew since, it stands further behind.
            if self.counts.get(&oldest).is_some_and(|(at, _)| *at == since) {
                self.counts.remove(&oldest);
            }
        }
        self.counts.insert(key, (now, 1));
        self.order.push_back((now, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> VerificationLimits {
        VerificationLimits {
            per_person: 2,
            person_for: Duration::from_secs(10),
            remembered_max: 3,
            ..VerificationLimits::default()
        }
    }

    #[test]
    fn a_person_is_locked_for_a_time_and_free_once_shown() {
        let (limits, mut attempts) = (limits(), Attempts::default());
        let person = PersonId(1);
        let at = Duration::from_secs;
        let locked =
            |attempts: &Attempts, second| attempts.person_locked(person, at(second), &limits);
        attempts.wrong(Some(person), None, at(0), &limits);
        assert!(!locked(&attempts, 1));
        attempts.wrong(Some(person), None, at(5), &limits);
        assert!(locked(&attempts, 9) && !locked(&attempts, 10));
        attempts.wrong(Some(person), None, at(11), &limits);
        attempts.wrong(Some(person), None, at(12), &limits);
        assert!(locked(&attempts, 13));
        attempts.right(person);
        assert!(!locked(&attempts, 13));
        assert!(!attempts.number_locked(None, at(13), &limits));
    }

    #[test]
    fn no_flood_takes_more_memory() {
        let (limits, mut attempts) = (limits(), Attempts::default());
        for n in 0..1_000 {
            for _ in 0..2 {
                attempts.wrong(
                    Some(PersonId(n)),
                    None,
                    Duration::from_millis(n.into()),
                    &limits,
                );
            }
        }
        assert!(attempts.persons.counts.len() <= 3 && attempts.persons.order.len() <= 3);
        let now = Duration::from_secs(1);
        assert!(attempts.person_locked(PersonId(999), now, &limits));
        assert!(!attempts.person_locked(PersonId(1), now, &limits));
    }
}
