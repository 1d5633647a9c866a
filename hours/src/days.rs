//! Which day a moment falls on, as people say it where they are.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

use crate::HoursError;

/// A place's calendar days.
#[derive(Debug, Clone, PartialEq)]
pub struct Days {
    zone: TimeZone,
}

/// A moment's day, seen from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// The moment is over.
    Past,
    /// Still today.
    Today,
    /// Tomorrow.
    Tomorrow,
    /// Within the coming seven days: on this day of the week, 0 for Monday.
    Weekday(u8),
    /// Later than that.
    Later,
}

impl Days {
    /// The days of a zone of the IANA database (`America/Chicago`).
    ///
    /// # Errors
    /// There is no such zone.
    pub fn read(zone: &str) -> Result<Self, HoursError> {
        let zone = TimeZone::get(zone).map_err(|_| HoursError::Zone(zone.to_owned()))?;
        Ok(Self { zone })
    }

    /// What the clock shows at `wall`, Unix milliseconds: the hour, 0 to 23, and the milliseconds since it began.
    #[must_use]
    pub fn clock(&self, wall: i64) -> Option<(u8, i64)> {
        let at = Timestamp::from_millisecond(wall).ok()?;
        let local = self.zone.to_datetime(at);
        let into = (i64::from(local.minute()) * 60 + i64::from(local.second())) * 1_000
            + i64::from(local.millisecond());
        Some((local.hour().unsigned_abs(), into))
    }

    /// On which day `at` falls when it is `now`; both Unix milliseconds.
    #[must_use]
    pub fn of(&self, now: i64, at: i64) -> Day {
        let local = |wall: i64| {
            let at = Timestamp::from_millisecond(wall).ok()?;
            Some(self.zone.to_datetime(at).date())
        };
        if at < now {
            return Day::Past;
        }
        let (Some(today), Some(then)) = (local(now), local(at)) else {
            return Day::Later;
        };
        let days = today
            .until((Unit::Day, then))
            .map_or(i32::MAX, |span| span.get_days());
        match days {
            ..=0 => Day::Today,
            1 => Day::Tomorrow,
            2..7 => Day::Weekday(then.weekday().to_monday_zero_offset().unsigned_abs()),
            _ => Day::Later,
        }
    }
}
