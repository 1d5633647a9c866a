//! The hours, days and months of a time zone, as bounds on the one clock.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::HoursError;

/// A time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(TimeZone);

/// How long periods are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// From one full hour of the wall clock to the next. A change of the clock
    /// ends one too.
    Hour,
    /// From midnight to midnight: 23 or 25 hours when the clock changes.
    Day,
    /// From the first of a month, or the first day asked for.
    Month,
}

/// From one moment until another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// As the zone's wall clock shows its beginning: `2026-11`, `2026-11-22`,
    /// `2026-11-22 14:00 -06:00`.
    pub name: String,
    /// Its first moment, Unix milliseconds.
    pub from: i64,
    /// The first moment after it.
    pub to: i64,
}

/// Longest time that is divided, in days.
const DAYS_MAX: i32 = 3_660;

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// By a name of the IANA database.
    ///
    /// # Errors
    /// There is no such zone.
    pub fn find(name: &str) -> Result<Self, HoursError> {
        let known = TimeZone::get(name);
        known
            .map(Self)
            .map_err(|_| HoursError::Zone(name.to_owned()))
    }

    /// The date there at a moment (Unix milliseconds): `2026-11-22`.
    pub fn date(&self, wall: i64) -> String {
        self.0.to_datetime(moment(wall)).date().to_string()
    }

    /// The days from one date to another, that one included, as Unix milliseconds: the first moment, and the
    /// first one after them.
    ///
    /// # Errors
    /// Something isn't a date, or the second comes first.
    pub fn days(&self, from: &str, to: &str) -> Result<(i64, i64), HoursError> {
        let (first, last) = (date(from)?, date(to)?);
        if last < first {
            return Err(HoursError::Backwards(from.to_owned(), to.to_owned()));
        }
        Ok((self.midnight(first)?, self.midnight(after(last)?)?))
    }

    /// Divides the days from one date to another, that one included.
    ///
    /// # Errors
    /// Something isn't a date, the second comes first, or it is more than ten years.
    pub fn periods(&self, from: &str, to: &str, step: Step) -> Result<Vec<Period>, HoursError> {
        let (first, last) = (date(from)?, date(to)?);
        if last < first {
            return Err(HoursError::Backwards(from.to_owned(), to.to_owned()));
        }
        let days = (last - first).get_days();
        if days > DAYS_MAX {
            return Err(HoursError::TooMany(DAYS_MAX as usize, "days"));
        }
        let end = self.midnight(after(last)?)?;
        let mut periods = Vec::new();
        let (mut at, mut day) = (self.midnight(first)?, first);
        while at < end {
            let (name, next) = match step {
                Step::Hour => self.hour(at),
                Step::Day => {
                    let name = day.to_string();
                    day = after(day)?;
                    (name, self.midnight(day)?)
                }
                Step::Month => {
                    let name = day.strftime("%Y-%m").to_string();
                    day = after(day.last_of_month())?;
                    (name, self.midnight(day)?)
                }
            };
            let to = next.min(end);
            periods.push(Period { name, from: at, to });
            at = to;
        }
        Ok(periods)
    }

    /// The hour that begins at a moment: its name, and when it ends.
    fn hour(&self, at: i64) -> (String, i64) {
        let here = moment(at).to_zoned(self.0.clone());
        let past = i64::from(here.minute()) * 60_000 + i64::from(here.second()) * 1_000;
        let full = at + 3_600_000 - past;
        let shift = self.0.following(moment(at)).next();
        let shift = shift.map_or(full, |shift| shift.timestamp().as_millisecond());
        let name = here.strftime("%Y-%m-%d %H:%M %:z").to_string();
        (name, full.min(shift))
    }

    /// When a day begins there: with its first moment, also where the clock leaves midnight out.
    fn midnight(&self, date: Date) -> Result<i64, HoursError> {
        let begins = date.to_zoned(self.0.clone());
        let begins = begins.and_then(|day| day.start_of_day());
        let begins = begins.map_err(|_| HoursError::Date(date.to_string()))?;
        Ok(begins.timestamp().as_millisecond())
    }
}

/// A moment as RFC 3339 writes it, in UTC: `2026-11-22T20:00:00.5Z`. What lies
/// beyond the year 9999 is written as its last moment.
pub fn written(at: i64) -> String {
    moment(at).to_string()
}

/// Reads a moment that says its distance from UTC: `2026-11-22T14:00:00-06:00`, `2026-11-22T20:00:00Z`.
/// Unix milliseconds.
///
/// # Errors
/// It isn't one.
pub fn instant(text: &str) -> Result<i64, HoursError> {
    let at: Result<Timestamp, _> = text.parse();
    at.map(Timestamp::as_millisecond)
        .map_err(|_| HoursError::Date(text.to_owned()))
}

fn moment(wall: i64) -> Timestamp {
    Timestamp::from_millisecond(wall).unwrap_or(if wall < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn date(text: &str) -> Result<Date, HoursError> {
    text.parse().map_err(|_| HoursError::Date(text.to_owned()))
}

fn after(date: Date) -> Result<Date, HoursError> {
    let after = date.checked_add(1.day());
    after.map_err(|_| HoursError::Date(date.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn check(
        zone: &str,
        from: &str,
        to: &str,
        step: Step,
        count: usize,
        minutes: i64,
    ) -> Vec<Period> {
        let periods = Zone::find(zone).unwrap().periods(from, to, step).unwrap();
        assert_eq!(periods.len(), count, "{zone} {from}");
        let (first, last) = (&periods[0], &periods[count - 1]);
        assert_eq!(last.to - first.from, minutes * 60_000, "{zone} {from}");
        for pair in periods.windows(2) {
            assert_eq!(pair[0].to, pair[1].from);
        }
        // What the figures are kept by.
        assert!(
            periods
                .iter()
                .all(|p| p.from % 900_000 == 0 && p.to > p.from)
        );
        periods
    }

    #[test]
    fn days_and_moments_are_read() {
        let zone = Zone::find("America/Chicago").unwrap();
        let (from, to) = zone.days("2026-10-31", "2026-11-01").unwrap();
        assert_eq!(to - from, 49 * HOUR);
        assert_eq!(instant("2026-10-31T00:00:00-05:00"), Ok(from));
        assert_eq!(instant("2026-11-02T06:00:00Z"), Ok(to));
        assert!(zone.days("2026-11-02", "2026-11-01").is_err());
        for wrong in ["2026-11-01", "2026-11-01T08:00:00", "soon", ""] {
            assert!(instant(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn days_and_months_are_those_of_the_zone() {
        let days = check(
            "America/Chicago",
            "2026-11-01",
            "2026-11-02",
            Step::Day,
            2,
            49 * 60,
        );
        assert_eq!(days[0].name, "2026-11-01");
        assert_eq!(days[0].to - days[0].from, 25 * HOUR);
        check(
            "America/Chicago",
            "2026-03-08",
            "2026-03-08",
            Step::Day,
            1,
            23 * 60,
        );
        let months = check(
            "Europe/Berlin",
            "2026-01-15",
            "2026-03-31",
            Step::Month,
            3,
            (76 * 24 - 1) * 60,
        );
        assert_eq!((&*months[0].name, &*months[2].name), ("2026-01", "2026-03"));
        // Its midnight doesn't exist: the day begins at one.
        check(
            "Africa/Cairo",
            "2026-04-24",
            "2026-04-24",
            Step::Day,
            1,
            23 * 60,
        );
        check(
            "Asia/Kathmandu",
            "2026-11-22",
            "2026-11-22",
            Step::Day,
            1,
            24 * 60,
        );
    }

    #[test]
    fn hours_are_those_of_the_wall_clock() {
        let hours = check(
            "America/Chicago",
            "2026-11-01",
            "2026-11-01",
            Step::Hour,
            25,
            25 * 60,
        );
        assert_eq!(hours[1].name, "2026-11-01 01:00 -05:00");
        assert_eq!(hours[2].name, "2026-11-01 01:00 -06:00");
        check(
            "Asia/Kathmandu",
            "2026-11-22",
            "2026-11-22",
            Step::Hour,
            24,
            24 * 60,
        );
        // The clock is set forward by half an hour, at two: the rest of that hour is short.
        let hours = check(
            "Australia/Lord_Howe",
            "2026-10-04",
            "2026-10-04",
            Step::Hour,
            24,
            23 * 60 + 30,
        );
        assert_eq!(hours[2].name, "2026-10-04 02:30 +11:00");
    }

    #[test]
    fn what_is_no_time_is_said() {
        let zone = Zone::find("Europe/Madrid").unwrap();
        let error = |from: &str, to: &str| {
            let periods = zone.periods(from, to, Step::Day);
            periods.unwrap_err().to_string()
        };
        assert_eq!(
            error("2026-11-31", "2026-12-01"),
            "\"2026-11-31\" isn't a date; write e.g. 2026-12-25"
        );
        assert_eq!(
            error("2026-11-02", "2026-11-01"),
            "2026-11-01 comes before 2026-11-02"
        );
        assert_eq!(error("2000-01-01", "2026-11-01"), "more than 3660 days");
        assert!(Zone::find("Europe/Nowhere").is_err());
        assert_eq!(zone.date(1_795_390_200_000), "2026-11-23");
        assert_eq!(Zone::UTC.date(1_795_390_200_000), "2026-11-22");
    }
}
