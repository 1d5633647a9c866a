//! When a desk is open: weekly hours in a time zone, holidays, and closing (or
//! opening) on short notice.
//!
//! Pure: the wall clock's time is an argument, the time zones are compiled in.
//! Hours are what the wall clock of the zone shows, so that "08:00" is eight
//! o'clock on both sides of a change to or from daylight saving time. An hour
//! that the change leaves out is no hour; one that it repeats is open both
//! times.

mod days;
mod parse;
mod periods;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

pub use days::{Day, Days};
pub use parse::HoursError;
pub use periods::{Period, Step, Zone, instant, written};

/// How far ahead the next change is looked for. A desk that neither opens nor
/// closes within a year has no next change.
const AHEAD_DAYS: u32 = 370;
/// Spans of one day, and days with hours of their own.
const SPANS_MAX: usize = 12;
const DAYS_MAX: usize = 2_000;

/// From one time of day until another, later one; none: until midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: Time,
    to: Option<Time>,
}

impl Span {
    fn holds(self, time: Time) -> bool {
        self.from <= time && self.to.is_none_or(|to| time < to)
    }
}

/// The hours that begin on a day. A night's belong to the evening before it,
/// also where one of the two days is a holiday.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Hours {
    /// None: closed.
    spans: Vec<Span>,
    /// Until when the last of them goes on, the day after.
    past_midnight: Option<Time>,
}

/// A day that isn't like its day of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Special {
    name: Arc<str>,
    hours: Hours,
}

/// The hours of one desk.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    zone: TimeZone,
    /// Monday first.
    weekly: [Hours; 7],
    special: BTreeMap<Date, Special>,
}

/// Somebody's word against the calendar, for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception {
    /// Open, or closed.
    pub open: bool,
    /// Until when, Unix milliseconds.
    pub until: i64,
}

/// Why a desk is open or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The weekly hours.
    Week,
    /// This day's own hours: a holiday's name.
    Day(Arc<str>),
    /// An [`Exception`].
    Exception,
}

/// How things are at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Open.
    pub open: bool,
    /// Why.
    pub why: Why,
    /// When that changes next, Unix milliseconds; none within a year.
    pub until: Option<i64>,
}

impl Calendar {
    /// Reads hours as an administrator writes them.
    ///
    /// `zone` is a name of the IANA database (`America/Chicago`). `week` names
    /// days or ranges of them (`mon-fri`, `sat`) with their hours (`08:00-17:00`,
    /// several separated by commas, `closed`); days not named are closed.
    /// `days` are dates (`2026-12-25`) with hours and a name. Hours that end
    /// before they begin go on past midnight, and belong to the day on which they
    /// begin: the night before a closed day is worked to its end, the night after it isn't.
    ///
    /// # Errors
    /// What can't be read, and how it is written.
    pub fn read<'a>(
        zone: &str,
        week: impl IntoIterator<Item = (&'a str, &'a str)>,
        days: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
    ) -> Result<Self, HoursError> {
        parse::calendar(zone, week, days)
    }

    /// How things are at a moment (Unix milliseconds).
    #[must_use]
    pub fn at(&self, wall: i64, exception: Option<Exception>) -> State {
        if let Some(exception) = exception.filter(|exception| wall < exception.until) {
            let until = self.change_after(exception.until, exception.open);
            return State {
                open: exception.open,
                why: Why::Exception,
                until,
            };
        }
        let here = self.local(wall);
        let open = self.is_open(here);
        let name = self.says(here, open);
        State {
            open,
            why: name.map_or(Why::Week, |name| Why::Day(Arc::clone(name))),
            until: self.change_after(wall, open),
        }
    }

    /// From `wall` on, the first moment at which the calendar doesn't say `open`.
    fn change_after(&self, wall: i64, open: bool) -> Option<i64> {
        let here = self.local(wall);
        if self.is_open(here) != open {
            return Some(wall);
        }
        let mut shifts = self.shifts_after(wall).peekable();
        let mut date = here.date();
        for _ in 0..AHEAD_DAYS {
            let next = date.checked_add(1.day()).ok()?;
            let mut moments = self.edges(date);
            let midnight = self.instants(next.to_datetime(Time::midnight()))[1];
            while let Some(shift) = shifts.next_if(|shift| *shift <= midnight) {
                moments.push(shift);
            }
            moments.sort_unstable();
            let change = moments
                .into_iter()
                .find(|at| *at > wall && self.is_open(self.local(*at)) != open);
            if change.is_some() {
                return change;
            }
            date = next;
        }
        None
    }

    /// The moments of a day at which hours begin or end.
    fn edges(&self, date: Date) -> Vec<i64> {
        let spans = &self.day(date).0.spans;
        let times = spans.iter().flat_map(|span| [Some(span.from), span.to]);
        times
            .flatten()
            .chain(self.night_before(date))
            .chain([Time::midnight()])
            .flat_map(|time| self.instants(date.to_datetime(time)))
            .collect()
    }

    /// When the clock shows this: twice the same, but where it is set back. Where it is set
    /// forward and never shows it, an hour before and after.
    fn instants(&self, local: DateTime) -> [i64; 2] {
        let at = self.zone.to_ambiguous_timestamp(local);
        [at.earlier(), at.later()].map(|at| at.map_or(i64::MAX, Timestamp::as_millisecond))
    }

    /// When the clock is set forward or back.
    fn shifts_after(&self, wall: i64) -> impl Iterator<Item = i64> + '_ {
        let from = Timestamp::from_millisecond(wall).unwrap_or(Timestamp::MAX);
        self.zone
            .following(from)
            .map(|shift| shift.timestamp().as_millisecond())
    }

    fn is_open(&self, at: DateTime) -> bool {
        self.begun(at)
            || self
                .night_before(at.date())
                .is_some_and(|to| at.time() < to)
    }

    /// Is it open by hours that begin on this day?
    fn begun(&self, at: DateTime) -> bool {
        let spans = &self.day(at.date()).0.spans;
        spans.iter().any(|span| span.holds(at.time()))
    }

    /// The holiday because of which it is so.
    fn says(&self, at: DateTime, open: bool) -> Option<&Arc<str>> {
        let (_, today) = self.day(at.date());
        let Ok(evening) = at.date().yesterday() else {
            return today;
        };
        let (_, before) = self.day(evening);
        // A night that a holiday began, or of which it is the reason that nobody works it.
        let usual = self.weekly[index(evening.weekday())].past_midnight;
        match (open, self.begun(at)) {
            (true, false) => before,
            (false, _) if usual.is_some_and(|to| at.time() < to) => today.or(before),
            (true, true) | (false, _) => today,
        }
    }

    /// Until when the hours that began the day before go on.
    fn night_before(&self, date: Date) -> Option<Time> {
        self.day(date.yesterday().ok()?).0.past_midnight
    }

    fn day(&self, date: Date) -> (&Hours, Option<&Arc<str>>) {
        match self.special.get(&date) {
            Some(special) => (&special.hours, Some(&special.name)),
            None => (&self.weekly[index(date.weekday())], None),
        }
    }

    fn local(&self, wall: i64) -> DateTime {
        // Beyond the years there are, the last of them.
        let at = Timestamp::from_millisecond(wall).unwrap_or(if wall < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        });
        self.zone.to_datetime(at)
    }
}

fn index(weekday: Weekday) -> usize {
    usize::try_from(weekday.to_monday_zero_offset()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
