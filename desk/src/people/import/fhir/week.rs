//! PractitionerRole's `availableTime` and `notAvailable`.

use hours::Zone;
use serde_json::Value;

use super::super::Reading;
use super::elements::{list, moment, text};
use crate::people::Window;

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// A time without an end: that of year 9999.
const EVER: i64 = 253_402_300_799_000;
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The hours of a week, in minutes of each day, Monday first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Week([Vec<(u16, u16)>; 7]);

impl Week {
    /// Adds hours; those that end before they begin go on past midnight.
    fn add(&mut self, day: usize, from: u16, to: u16) {
        if to > from {
            self.0[day].push((from, to));
        } else {
            self.0[day].push((from, DAY));
            if to > 0 {
                self.0[(day + 1) % 7].push((0, to));
            }
        }
    }

    /// Adds the hours of another role.
    pub(super) fn join(&mut self, other: Self) {
        for (day, hours) in self.0.iter_mut().zip(other.0) {
            day.extend(hours);
        }
    }

    /// The days and their hours as calendars are written, overlapping ones
    /// joined. `always`: whoever has no hours can be called at any time.
    pub(super) fn written(mut self, always: bool) -> Vec<(String, String)> {
        if always && self.0.iter().all(Vec::is_empty) {
            return vec![("mon-sun".to_owned(), "00:00-24:00".to_owned())];
        }
        let mut week = Vec::new();
        for (day, hours) in WEEKDAYS.iter().zip(&mut self.0) {
            hours.sort_unstable();
            let mut joined: Vec<(u16, u16)> = Vec::new();
            for (from, to) in hours.drain(..) {
                match joined.last_mut() {
                    Some(last) if from <= last.1 => last.1 = last.1.max(to),
                    _ => joined.push((from, to)),
                }
            }
            let time = |at: u16| format!("{:02}:{:02}", at / 60, at % 60);
            let text = joined
                .iter()
                .map(|(from, to)| format!("{}-{}", time(*from), time(*to)));
            let text: Vec<String> = text.collect();
            if !text.is_empty() {
                week.push(((*day).to_owned(), text.join(",")));
            }
        }
        week
    }
}

/// When a role's practitioner is there.
pub(super) fn available(role: &Value, reading: &mut Reading<'_>) -> Week {
    let mut week = Week::default();
    for (place, slot) in list(role, "availableTime").enumerate() {
        let field = format!("availableTime[{place}]");
        let all_day = slot.get("allDay") == Some(&Value::Bool(true));
        let from = text(slot, "availableStartTime");
        let to = text(slot, "availableEndTime");
        let (from, to) = match (all_day, from, to) {
            (true, ..) => (Some(0), Some(DAY)),
            (false, from, to) => (
                from.map_or(Some(0), minutes),
                to.map_or(Some(DAY), |to| minutes(to).map(until)),
            ),
        };
        let (Some(from), Some(to)) = (from, to) else {
            reading.fault(&field, "a time can't be read; write e.g. 08:30:00");
            continue;
        };
        let mut days = list(slot, "daysOfWeek").peekable();
        if days.peek().is_none() {
            (0..7).for_each(|day| week.add(day, from, to));
        }
        for day in days {
            let day = WEEKDAYS.iter().position(|name| Some(*name) == day.as_str());
            match day {
                Some(day) => week.add(day, from, to),
                None => reading.fault(
                    &field,
                    "daysOfWeek are mon, tue, wed, thu, fri, sat and sun",
                ),
            }
        }
    }
    week
}

/// When a role's practitioner is away.
pub(super) fn not_available(role: &Value, reading: &mut Reading<'_>) -> Vec<Window> {
    let mut away = Vec::new();
    for (place, absence) in list(role, "notAvailable").enumerate() {
        let field = format!("notAvailable[{place}].during");
        // Without a time it is a remark.
        let Some(during) = absence.get("during") else {
            continue;
        };
        let Some(zone) = reading.zone(&field, None) else {
            continue;
        };
        let Ok(zone) = Zone::find(&zone) else {
            reading.fault(&field, "the hospital's zone isn't one");
            continue;
        };
        let bound = |key, open, after| {
            let text = text(during, key);
            text.map_or(Some(open), |text| moment(text, &zone, after))
        };
        match (bound("start", 0, false), bound("end", EVER, true)) {
            (Some(from), Some(to)) if from < to => away.push(Window { from, to }),
            _ => reading.fault(
                &field,
                "write start and end as days (2026-12-24) or moments with their distance from UTC",
            ),
        }
    }
    away
}

/// `08:30:00` in minutes; seconds don't count.
fn minutes(time: &str) -> Option<u16> {
    let mut parts = time.split(':');
    let (hour, minute) = (parts.next()?, parts.next()?);
    let two = |digits: &str| -> Option<u16> {
        let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// The last minute of a day means the whole of it: FHIR has no 24:00.
fn until(minutes: u16) -> u16 {
    if minutes == DAY - 1 || minutes == 0 {
        DAY
    } else {
        minutes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_of_several_roles_are_joined() {
        let mut week = Week::default();
        week.add(0, 8 * 60, 12 * 60);
        let mut other = Week::default();
        other.add(0, 11 * 60, 13 * 60);
        // A night from Sunday on.
        other.add(6, 22 * 60, 6 * 60);
        week.join(other);
        let own = |(day, hours): &(String, String)| format!("{day} {hours}");
        let written: Vec<_> = week.written(false).iter().map(own).collect();
        assert_eq!(written, ["mon 00:00-06:00,08:00-13:00", "sun 22:00-24:00"]);
        assert!(Week::default().written(false).is_empty());
        assert_eq!(Week::default().written(true).len(), 1);
    }

    #[test]
    fn times_are_read() {
        assert_eq!(minutes("08:30:00"), Some(510));
        assert_eq!(minutes("23:59:59").map(until), Some(DAY));
        for wrong in ["8:30", "24:00:00", "08:60:00", "noon", "", "08"] {
            assert_eq!(minutes(wrong), None, "{wrong}");
        }
    }
}
