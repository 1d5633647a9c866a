//! Hours as an administrator writes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::{Calendar, DAYS_MAX, Hours, SPANS_MAX, Span, Special};

/// What can't be read, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// The time zone.
    #[error("\"{0}\" isn't a time zone; write one of the IANA database, e.g. America/Chicago")]
    Zone(String),
    /// A day of the week.
    #[error(
        "\"{0}\" isn't a day of the week; write mon, tue, wed, thu, fri, sat, sun or a range such as mon-fri"
    )]
    Weekday(String),
    /// A day of the week twice.
    #[error("{0} has hours twice")]
    Twice(String),
    /// A date.
    #[error("\"{0}\" isn't a date; write e.g. 2026-12-25")]
    Date(String),
    /// Hours.
    #[error("\"{0}\" aren't hours; write e.g. 08:00-17:00, several separated by commas, or closed")]
    Hours(String),
    /// Hours that overlap.
    #[error("\"{0}\": hours overlap")]
    Overlap(String),
    /// The second of two dates is the earlier one.
    #[error("{1} comes before {0}")]
    Backwards(String, String),
    /// Too much.
    #[error("more than {0} {1}")]
    TooMany(usize, &'static str),
}

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn calendar<'a>(
    zone: &str,
    week: impl IntoIterator<Item = (&'a str, &'a str)>,
    days: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
) -> Result<Calendar, HoursError> {
    let zone = TimeZone::get(zone).map_err(|_| HoursError::Zone(zone.to_owned()))?;
    let mut written: [Option<Hours>; 7] = Default::default();
    for (names, text) in week {
        let hours = hours(text)?;
        for day in weekdays(names)? {
            if written[day].replace(hours.clone()).is_some() {
                return Err(HoursError::Twice(WEEKDAYS[day].to_owned()));
            }
        }
    }
    let weekly = written.map(Option::unwrap_or_default);
    for (day, hours) in weekly.iter().enumerate() {
        let mut spans = hours.spans.clone();
        spans.extend(weekly[(day + 6) % 7].past_midnight.map(|to| Span {
            from: Time::midnight(),
            to: Some(to),
        }));
        in_order(&mut spans, WEEKDAYS[day])?;
    }
    let mut special = BTreeMap::new();
    for (date, text, name) in days {
        let day: Date = date
            .parse()
            .map_err(|_| HoursError::Date(date.to_owned()))?;
        let hours = hours(text)?;
        let name = Arc::from(name);
        if special.insert(day, Special { name, hours }).is_some() {
            return Err(HoursError::Twice(date.to_owned()));
        }
        if special.len() > DAYS_MAX {
            return Err(HoursError::TooMany(
                DAYS_MAX,
                "days with hours of their own",
            ));
        }
    }
    Ok(Calendar {
        zone,
        weekly,
        special,
    })
}

fn hours(text: &str) -> Result<Hours, HoursError> {
    let wrong = || HoursError::Hours(text.to_owned());
    let mut hours = Hours::default();
    if text.trim() == "closed" {
        return Ok(hours);
    }
    for part in text.split(',') {
        let (from, to) = part.split_once('-').ok_or_else(wrong)?;
        let from = time(from.trim()).flatten().ok_or_else(wrong)?;
        let to = time(to.trim()).ok_or_else(wrong)?;
        match to {
            Some(to) if to == Time::midnight() => hours.spans.push(Span { from, to: None }),
            Some(to) if to <= from => {
                hours.spans.push(Span { from, to: None });
                if hours.past_midnight.replace(to).is_some() {
                    return Err(HoursError::Overlap(text.to_owned()));
                }
            }
            to => hours.spans.push(Span { from, to }),
        }
        if hours.spans.len() > SPANS_MAX {
            return Err(HoursError::TooMany(SPANS_MAX, "spans in a day"));
        }
    }
    in_order(&mut hours.spans, text)?;
    Ok(hours)
}

/// `08:00`, and 24:00 as the inner `None`.
fn time(text: &str) -> Option<Option<Time>> {
    let (hour, minute) = text.split_once(':')?;
    let two = |digits: &str| -> Option<i8> {
        let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    if (hour, minute) == (24, 0) {
        return Some(None);
    }
    Time::new(hour, minute, 0, 0).ok().map(Some)
}

fn weekdays(text: &str) -> Result<Vec<usize>, HoursError> {
    let wrong = || HoursError::Weekday(text.to_owned());
    let day = |name: &str| {
        let name = name.trim().to_ascii_lowercase();
        WEEKDAYS.iter().position(|day| *day == name)
    };
    let Some((first, last)) = text.split_once('-') else {
        return Ok(vec![day(text).ok_or_else(wrong)?]);
    };
    let (first, last) = (day(first).ok_or_else(wrong)?, day(last).ok_or_else(wrong)?);
    // `sat-mon` goes over the week's end.
    let count = (last + 7 - first) % 7 + 1;
    Ok((0..count).map(|step| (first + step) % 7).collect())
}

fn in_order(spans: &mut [Span], what: &str) -> Result<(), HoursError> {
    spans.sort_unstable_by_key(|span| span.from);
    let overlap = spans
        .windows(2)
        .any(|pair| pair[0].to.is_none_or(|to| pair[1].from < to));
    if overlap {
        return Err(HoursError::Overlap(what.to_owned()));
    }
    Ok(())
}
