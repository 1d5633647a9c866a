//! When a customer may be called: what was promised, when they can be
//! reached, when the desk is open, and never at night.
//!
//! Each of these is a calendar in a zone of its own. They meet as moments of
//! the one clock, so that a day on which any of the zones changes its clock
//! needs no rule.

use std::collections::HashMap;

use hours::{Calendar, Exception, HoursError};

use super::Span;
use crate::message::PersonId;
use crate::people::{Availability, Window};

/// Steps from change to change in which a common moment is looked for. Four
/// calendars change some twenty times a day; a window is at most two months.
const STEPS_MAX: usize = 4_096;
/// Stretches that are looked at.
const PIECES_MAX: usize = 512;
/// How far from the end of a window its last stretch is looked for: a day, a week, anywhere.
const BACK_MS: [i64; 3] = [86_400_000, 7 * 86_400_000, i64::MAX];

/// Hours in which nobody is woken: from eight in the morning until eight in the evening, every day.
///
/// # Errors
/// There is no such zone.
pub fn decent_hours(zone: &str) -> Result<Calendar, HoursError> {
    Calendar::read(zone, [("mon-sun", "08:00-20:00")], [])
}

/// Hours with somebody's word against them, if there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Exact {
    /// The hours.
    pub calendar: Calendar,
    /// Closed, or opened, on the spot.
    pub exception: Option<Exception>,
}

/// When somebody may be called.
#[derive(Debug, Clone, PartialEq)]
pub struct Callee {
    /// By day, where they are ([`decent_hours`]).
    pub decent: Calendar,
    /// When they can be reached, in their zone; `None`: whenever it is decent.
    pub available: Option<Calendar>,
    /// When they can't, whatever those hours say; in order.
    pub away: Vec<Window>,
}

impl Callee {
    /// Anybody of a zone.
    ///
    /// # Errors
    /// There is no such zone.
    pub fn anybody(zone: &str) -> Result<Self, HoursError> {
        Ok(Self {
            decent: decent_hours(zone)?,
            available: None,
            away: Vec::new(),
        })
    }

    /// Somebody who has said when they can be reached. By day where they are: an hour at night is none.
    ///
    /// # Errors
    /// None but of a zone that is gone since the availability was read.
    pub fn available(availability: &Availability) -> Result<Self, HoursError> {
        Ok(Self {
            decent: decent_hours(availability.zone())?,
            available: Some(availability.calendar()?),
            away: availability.away().to_vec(),
        })
    }

    /// Are they away at this moment? And the first moment at which that may be otherwise.
    fn away(&self, at: i64) -> (bool, Option<i64>) {
        // They may overlap: each end is looked at when it comes.
        let now = self
            .away
            .iter()
            .find(|away| away.from <= at && at < away.to);
        match now {
            Some(away) => (true, Some(away.to)),
            None => {
                let next = self.away.iter().find(|away| away.from > at);
                (false, next.map(|away| away.from))
            }
        }
    }
}

/// Everything that says when a hospital's customers may be called.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Callable {
    /// The desk's hours; `None`: it never closes.
    pub desk: Option<Exact>,
    /// Whoever isn't among `people`. `None`: at any hour.
    pub anybody: Option<Callee>,
    /// Those of whom more is known.
    pub people: HashMap<PersonId, Callee>,
}

impl Callable {
    /// The first moment from `at` on, before `until`, at which this person may be called.
    pub fn next(&self, person: Option<PersonId>, at: i64, until: i64) -> Option<i64> {
        self.all(person).next(at, until)
    }

    /// The last stretch before `until` in which this person may be called, from `from` on.
    pub fn last(&self, person: Option<PersonId>, from: i64, until: i64) -> Option<Span> {
        // From the end: a window of two months isn't walked through for its last hour.
        BACK_MS.into_iter().find_map(|back| {
            let from = from.max(until.saturating_sub(back));
            self.all(person).pieces(from, until).last()
        })
    }

    /// The next moment at which it may be otherwise than at `at`.
    pub fn change(&self, person: Option<PersonId>, at: i64) -> Option<i64> {
        self.all(person).at(at).1
    }

    /// The first stretches of at least `least_ms` in which this person may be called, `count` at most: what a caller is
    /// offered to choose from.
    pub fn choices(
        &self,
        person: Option<PersonId>,
        within: Span,
        least_ms: i64,
        count: usize,
    ) -> Vec<Span> {
        let all = self.all(person);
        let long = |span: &Span| span.to - span.from >= least_ms;
        let pieces = all.pieces(within.from, within.to);
        pieces.filter(long).take(count).collect()
    }

    fn all(&self, person: Option<PersonId>) -> All<'_> {
        let callee = person
            .and_then(|person| self.people.get(&person))
            .or(self.anybody.as_ref());
        All {
            desk: self.desk.as_ref(),
            callee,
        }
    }
}

/// The calendars that have to agree.
#[derive(Clone, Copy)]
struct All<'a> {
    desk: Option<&'a Exact>,
    callee: Option<&'a Callee>,
}

impl<'a> All<'a> {
    /// Do all agree at this moment? And the first moment at which that may be otherwise.
    fn at(self, at: i64) -> (bool, Option<i64>) {
        let desk = self
            .desk
            .map(|exact| exact.calendar.at(at, exact.exception));
        let decent = self.callee.map(|callee| callee.decent.at(at, None));
        let available = self.callee.and_then(|callee| callee.available.as_ref());
        let available = available.map(|calendar| calendar.at(at, None));
        let (mut open, mut until) = (true, None);
        for state in [desk, decent, available].into_iter().flatten() {
            open &= state.open;
            until = match (until, state.until) {
                (Some(one), Some(other)) => Some(i64::min(one, other)),
                (one, other) => one.or(other),
            };
        }
        if let Some((away, change)) = self.callee.map(|callee| callee.away(at)) {
            open &= !away;
            until = match (until, change) {
                (Some(one), Some(other)) => Some(i64::min(one, other)),
                (one, other) => one.or(other),
            };
        }
        // A change lies ahead, or there is none.
        (open, until.filter(|until| *until > at))
    }

    fn next(self, mut at: i64, until: i64) -> Option<i64> {
        for _ in 0..STEPS_MAX {
            if at >= until {
                return None;
            }
            match self.at(at) {
                (true, _) => return Some(at),
                (false, Some(change)) => at = change,
                (false, None) => return None,
            }
        }
        None
    }

    /// Where one calendar closes as another opens, two pieces may touch: they are one.
    fn pieces(self, from: i64, until: i64) -> impl Iterator<Item = Span> + 'a {
        let mut at = from;
        let next = move || {
            let begins = self.next(at, until)?;
            let mut ends = begins;
            for _ in 0..STEPS_MAX {
                match self.at(ends) {
                    (true, Some(change)) if change < until => ends = change,
                    (true, _) => {
                        ends = until;
                        break;
                    }
                    (false, _) => break,
                }
            }
            at = ends;
            Some(Span {
                from: begins,
                to: ends,
            })
        };
        std::iter::from_fn(next).take(PIECES_MAX)
    }
}
