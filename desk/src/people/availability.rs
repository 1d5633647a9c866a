//! When somebody can be called: weekly windows on the wall clock of their own
//! zone, but for the time they are away.

use hours::{Calendar, HoursError, Zone};
use serde::{Deserialize, Serialize};

/// When somebody can be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Availability {
    zone: String,
    week: Vec<(String, String)>,
    away: Vec<Window>,
}

/// From one moment until another, Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// The first moment.
    pub from: i64,
    /// The first one after it.
    pub to: i64,
}

/// What can't be an availability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AvailabilityError {
    /// Zone, day or hours.
    #[error(transparent)]
    Hours(#[from] HoursError),
    /// Too many times away, or one that ends before it begins.
    #[error("away at most {AWAY_MAX} times, each ending after it begins")]
    Away,
}

/// Times away of one person.
const AWAY_MAX: usize = 100;
/// Windows that are looked for at a time.
const WINDOWS_MAX: usize = 1_000;

#[derive(Clone, Serialize, Deserialize)]
struct Written {
    zone: String,
    week: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    away: Vec<Window>,
}

impl TryFrom<Written> for Availability {
    type Error = AvailabilityError;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        Self::read(written.zone, written.week, written.away)
    }
}

impl From<Availability> for Written {
    fn from(Availability { zone, week, away }: Availability) -> Self {
        Self { zone, week, away }
    }
}

impl Availability {
    /// Checks what is written: an IANA zone, days or ranges of them with hours
    /// as [`Calendar::read`] takes them, times away.
    ///
    /// # Errors
    /// What can't be read, and how it is written.
    pub fn read(
        zone: String,
        week: Vec<(String, String)>,
        mut away: Vec<Window>,
    ) -> Result<Self, AvailabilityError> {
        calendar(&zone, &week)?;
        if away.len() > AWAY_MAX || away.iter().any(|away| away.to <= away.from) {
            return Err(AvailabilityError::Away);
        }
        away.sort_unstable();
        away.dedup();
        Ok(Self { zone, week, away })
    }

    /// The zone whose wall clock the hours are read from.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The hours, times away aside.
    ///
    /// # Errors
    /// None but of a zone that is gone since this was read.
    pub fn calendar(&self) -> Result<Calendar, HoursError> {
        calendar(&self.zone, &self.week)
    }

    /// The hours as a table writes them: `tue 08:00-12:00 | thu 08:00-12:00`.
    pub(crate) fn week_text(&self) -> String {
        let parts = self
            .week
            .iter()
            .map(|(days, hours)| format!("{days} {hours}"));
        parts.collect::<Vec<_>>().join(" | ")
    }

    /// The times away as a table writes them: days of the zone, those that begin or end within one
    /// whole.
    pub(crate) fn away_text(&self) -> String {
        let zone = Zone::find(&self.zone).unwrap_or(Zone::UTC);
        let away = self.away.iter().map(|away| {
            let (from, to) = (zone.date(away.from), zone.date(away.to - 1));
            if from == to {
                from
            } else {
                format!("{from}..{to}")
            }
        });
        away.collect::<Vec<_>>().join(" | ")
    }

    /// The times away, in order; they may overlap.
    pub fn away(&self) -> &[Window] {
        &self.away
    }

    /// When they can be called between two moments: in order, none touching
    /// another. Ends early after a thousand windows.
    #[must_use]
    pub fn windows(&self, from: i64, to: i64) -> Vec<Window> {
        let mut windows = Vec::new();
        // Everything was read once, when this was made.
        let Ok(calendar) = calendar(&self.zone, &self.week) else {
            return windows;
        };
        let mut at = from;
        for _ in 0..WINDOWS_MAX * 2 {
            if at >= to {
                break;
            }
            let state = calendar.at(at, None);
            let until = state.until.unwrap_or(to).min(to);
            if state.open {
                self.without_away(
                    Window {
                        from: at,
                        to: until,
                    },
                    &mut windows,
                );
            }
            at = until;
        }
        windows.truncate(WINDOWS_MAX);
        windows
    }

    /// Can they be called at this moment?
    #[must_use]
    pub fn at(&self, wall: i64) -> bool {
        let away = |away: &Window| away.from <= wall && wall < away.to;
        !self.away.iter().any(away)
            && calendar(&self.zone, &self.week).is_ok_and(|hours| hours.at(wall, None).open)
    }

    /// Adds what is left of a window when the times away are taken out of it.
    fn without_away(&self, window: Window, windows: &mut Vec<Window>) {
        let mut from = window.from;
        for away in &self.away {
            if away.to <= from || away.from >= window.to {
                continue;
            }
            if away.from > from {
                windows.push(Window {
                    from,
                    to: away.from,
                });
            }
            from = from.max(away.to);
        }
        if from < window.to {
            windows.push(Window {
                from,
                to: window.to,
            });
        }
    }
}

fn calendar(zone: &str, week: &[(String, String)]) -> Result<Calendar, HoursError> {
    let week = week.iter().map(|(days, hours)| (&**days, &**hours));
    Calendar::read(zone, week, [])
}

/// As it is written in a file: `tue 08:00-12:00 | thu 08:00-12:00 (America/Chicago)`.
impl std::fmt::Display for Availability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.week_text(), self.zone)?;
        for away in &self.away {
            write!(f, " away {}..{}", away.from, away.to)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn moment(text: &str) -> i64 {
        hours::instant(text).unwrap()
    }

    fn availability(zone: &str, week: &[(&str, &str)], away: &[(&str, &str)]) -> Availability {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        let away = away.iter().map(|(from, to)| Window {
            from: moment(from),
            to: moment(to),
        });
        Availability::read(
            zone.to_owned(),
            week.iter().map(own).collect(),
            away.collect(),
        )
        .unwrap()
    }

    fn check(availability: &Availability, from: &str, to: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(from, to)| Window {
                from: moment(from),
                to: moment(to),
            })
            .collect();
        let found = availability.windows(moment(from), moment(to));
        assert_eq!(found, expected, "{availability}");
        for window in found {
            assert!(availability.at(window.from) && availability.at(window.to - 1));
            assert!(!availability.at(window.to) && !availability.at(window.from - 1));
        }
    }

    #[test]
    fn her_mornings_are_the_same_on_both_sides_of_the_change() {
        // Summer time ends on 1 November.
        let okafor = availability(
            "America/Chicago",
            &[("tue", "08:00-12:00"), ("thu", "08:00-12:00")],
            &[],
        );
        check(
            &okafor,
            "2026-10-29T00:00:00-05:00",
            "2026-11-04T00:00:00-06:00",
            &[
                ("2026-10-29T08:00:00-05:00", "2026-10-29T12:00:00-05:00"),
                ("2026-11-03T08:00:00-06:00", "2026-11-03T12:00:00-06:00"),
            ],
        );
        // A window that has begun counts from now.
        let (from, to) = (
            moment("2026-11-03T09:30:00-06:00"),
            moment("2026-11-03T10:00:00-06:00"),
        );
        assert_eq!(okafor.windows(from, to), [Window { from, to }]);
    }

    #[test]
    fn a_night_across_the_change_is_as_long_as_it_is() {
        let check_night = |zone: &str, day: &str, from: &str, hours: i64| {
            let night = availability(zone, &[(day, "22:00-06:00")], &[]);
            let found = night.windows(moment(from), moment(from) + 36 * HOUR);
            assert_eq!(found.len(), 1, "{zone}");
            assert_eq!(found[0].to - found[0].from, hours * HOUR, "{zone}");
        };
        check_night("America/Chicago", "sat", "2026-10-31T12:00:00-05:00", 9);
        check_night("America/Chicago", "sat", "2026-03-07T12:00:00-06:00", 7);
        check_night("Europe/Berlin", "sat", "2026-10-24T12:00:00+02:00", 9);
        check_night("Australia/Sydney", "sat", "2026-10-03T12:00:00+10:00", 7);
        check_night("Asia/Kolkata", "sat", "2026-10-31T12:00:00+05:30", 8);
    }

    #[test]
    fn who_is_away_is_not_called() {
        let away = availability(
            "Europe/Berlin",
            &[("mon-fri", "09:00-17:00")],
            &[
                ("2026-11-23T10:00:00+01:00", "2026-11-23T11:00:00+01:00"),
                // Overlaps, and lasts beyond the day.
                ("2026-11-23T10:30:00+01:00", "2026-11-23T12:00:00+01:00"),
                ("2026-11-24T00:00:00+01:00", "2026-11-25T00:00:00+01:00"),
            ],
        );
        check(
            &away,
            "2026-11-23T00:00:00+01:00",
            "2026-11-26T00:00:00+01:00",
            &[
                ("2026-11-23T09:00:00+01:00", "2026-11-23T10:00:00+01:00"),
                ("2026-11-23T12:00:00+01:00", "2026-11-23T17:00:00+01:00"),
                ("2026-11-25T09:00:00+01:00", "2026-11-25T17:00:00+01:00"),
            ],
        );
    }

    #[test]
    fn slips_are_told_and_what_is_written_is_read_again() {
        let read = |zone: &str, hours: &str| {
            let week = vec![("mon".to_owned(), hours.to_owned())];
            Availability::read(zone.to_owned(), week, Vec::new())
        };
        assert!(read("Mars/Olympus", "08:00-12:00").is_err());
        assert!(read("UTC", "8-12").is_err());
        let backwards = vec![Window { from: 2, to: 1 }];
        let refused = Availability::read("UTC".into(), Vec::new(), backwards);
        assert_eq!(refused, Err(AvailabilityError::Away));
        let whole = read("UTC", "08:00-12:00").unwrap();
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<Availability>(&text).unwrap(), whole);
        assert!(serde_json::from_str::<Availability>(&text.replace("UTC", "UTX")).is_err());
    }
}
