//! When somebody may be called, in zones that change their clocks at all sorts of times.

use hours::{Calendar, Exception};

use super::*;

/// A moment of UTC, Unix milliseconds.
pub(super) const fn utc(year: i64, month: i64, day: i64, hour: i64, minute: i64) -> i64 {
    // Days since 1970 by the civil calendar, the year beginning in March.
    let y = if month <= 2 { year - 1 } else { year };
    let m = (month + 9) % 12;
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
    ((days * 24 + hour) * 60 + minute) * MINUTE
}

fn always() -> Callable {
    Callable::default()
}

fn callee(zone: &str, hours: &str) -> Callable {
    Callable {
        anybody: Some(Callee {
            decent: Calendar::read(zone, [("mon-sun", "00:00-24:00")], []).unwrap(),
            available: Some(Calendar::read(zone, [("mon-sun", hours)], []).unwrap()),
            away: Vec::new(),
        }),
        ..always()
    }
}

#[test]
fn utc_is_utc() {
    assert_eq!(utc(1970, 1, 1, 0, 0), 0);
    assert_eq!(utc(2026, 11, 22, 16, 30), 1_795_365_000_000);
    assert_eq!(utc(2024, 2, 29, 0, 0), 1_709_164_800_000);
}

/// Whoever can be reached from nine to ten by their own clock: the same hour by that clock on the days around
/// both changes, whatever UTC makes of it. `days` are days of the zone; beside each, nine o'clock there in UTC.
#[test]
fn nine_is_nine_around_both_changes() {
    type Moment = (i64, i64, i64, i64, i64);
    let zones: [(&str, [Moment; 6]); 6] = [
        (
            "America/Chicago",
            [
                (2026, 3, 7, 15, 0),
                (2026, 3, 8, 14, 0),
                (2026, 3, 9, 14, 0),
                (2026, 10, 31, 14, 0),
                (2026, 11, 1, 15, 0),
                (2026, 11, 2, 15, 0),
            ],
        ),
        (
            "Europe/Berlin",
            [
                (2026, 3, 28, 8, 0),
                (2026, 3, 29, 7, 0),
                (2026, 3, 30, 7, 0),
                (2026, 10, 24, 7, 0),
                (2026, 10, 25, 8, 0),
                (2026, 10, 26, 8, 0),
            ],
        ),
        (
            "Europe/London",
            [
                (2026, 3, 28, 9, 0),
                (2026, 3, 29, 8, 0),
                (2026, 3, 30, 8, 0),
                (2026, 10, 24, 8, 0),
                (2026, 10, 25, 9, 0),
                (2026, 10, 26, 9, 0),
            ],
        ),
        // The southern hemisphere: the other way round, and nine there is the day before in UTC.
        (
            "Pacific/Auckland",
            [
                (2026, 4, 3, 20, 0),
                (2026, 4, 4, 21, 0),
                (2026, 4, 5, 21, 0),
                (2026, 9, 25, 21, 0),
                (2026, 9, 26, 20, 0),
                (2026, 9, 27, 20, 0),
            ],
        ),
        // Half an hour.
        (
            "Australia/Lord_Howe",
            [
                (2026, 4, 3, 22, 0),
                (2026, 4, 4, 22, 30),
                (2026, 4, 5, 22, 30),
                (2026, 10, 2, 22, 30),
                (2026, 10, 3, 22, 0),
                (2026, 10, 4, 22, 0),
            ],
        ),
        // At midnight.
        (
            "Africa/Cairo",
            [
                (2026, 4, 23, 7, 0),
                (2026, 4, 24, 6, 0),
                (2026, 4, 25, 6, 0),
                (2026, 10, 29, 6, 0),
                (2026, 10, 30, 7, 0),
                (2026, 10, 31, 7, 0),
            ],
        ),
    ];
    for (zone, days) in zones {
        let callable = callee(zone, "09:00-10:00");
        for (year, month, day, hour, minute) in days {
            let nine = utc(year, month, day, hour, minute);
            let day = Span {
                from: nine - 9 * HOUR,
                to: nine + 13 * HOUR,
            };
            let found = callable.choices(None, day, MINUTE, 9);
            let expected = Span {
                from: nine,
                to: nine + HOUR,
            };
            assert_eq!(found, [expected], "{zone} {month}-{day:?}");
            assert_eq!(callable.next(None, day.from, day.to), Some(nine), "{zone}");
            assert_eq!(
                callable.last(None, day.from, day.to),
                Some(expected),
                "{zone}"
            );
        }
    }
}

/// The hour that a change leaves out is no time to call, the one that it repeats is twice as long.
#[test]
fn the_hours_of_the_change() {
    for (zone, hours, (year, month, day), minutes) in [
        ("America/Chicago", "02:00-03:00", (2026, 3, 8), 0),
        ("America/Chicago", "01:00-02:00", (2026, 11, 1), 120),
        ("Europe/Berlin", "02:00-03:00", (2026, 3, 29), 0),
        ("Europe/Berlin", "02:00-03:00", (2026, 10, 25), 120),
        ("Pacific/Auckland", "02:00-03:00", (2026, 9, 26), 0),
        ("Pacific/Auckland", "02:00-03:00", (2026, 4, 4), 120),
        ("Australia/Lord_Howe", "02:00-02:30", (2026, 10, 3), 0),
        ("Australia/Lord_Howe", "01:30-02:00", (2026, 4, 4), 60),
    ] {
        let callable = callee(zone, hours);
        // Around the change, and never more than one day of the zone's small hours.
        let from = utc(year, month, day, 0, 0);
        let change = match zone {
            "Pacific/Auckland" | "Australia/Lord_Howe" => from + 9 * HOUR,
            _ => from - 4 * HOUR,
        };
        let day = Span {
            from: change,
            to: change + 14 * HOUR,
        };
        let found = callable.choices(None, day, MINUTE, 9);
        let open: i64 = found.iter().map(|span| span.to - span.from).sum();
        assert_eq!(open, minutes * MINUTE, "{zone} {hours} {month}: {found:?}");
    }
}

/// The desk in one zone, the callee in another, one of which has changed its clock already.
#[test]
fn two_zones_meet() {
    // 2026-03-16: Chicago has changed, Madrid hasn't. The desk is there from 8 to 17 (13 to 22 UTC), she can be
    // reached from 14 to 16 (13 to 15 UTC). A week later Chicago's hours are the same, hers an hour earlier in April.
    let mut callable = callee("Europe/Madrid", "14:00-16:00");
    callable.desk = Some(Exact {
        calendar: Calendar::read("America/Chicago", [("mon-fri", "08:00-17:00")], []).unwrap(),
        exception: None,
    });
    let on = |day: i64, month: i64| Span {
        from: utc(2026, month, day, 0, 0),
        to: utc(2026, month, day, 23, 0),
    };
    let both = Span {
        from: utc(2026, 3, 16, 13, 0),
        to: utc(2026, 3, 16, 15, 0),
    };
    assert_eq!(callable.choices(None, on(16, 3), MINUTE, 9), [both]);
    let later = Span {
        from: utc(2026, 4, 6, 13, 0),
        to: utc(2026, 4, 6, 14, 0),
    };
    assert_eq!(callable.choices(None, on(6, 4), MINUTE, 9), [later]);
    // On a Sunday nobody is there.
    assert_eq!(callable.next(None, on(15, 3).from, on(15, 3).to), None);
    // Closed on the spot until half past two.
    if let Some(desk) = &mut callable.desk {
        desk.exception = Some(Exception {
            open: false,
            until: both.from + 90 * MINUTE,
        });
    }
    let rest = Span {
        from: both.from + 90 * MINUTE,
        to: both.to,
    };
    assert_eq!(callable.choices(None, on(16, 3), MINUTE, 9), [rest]);
}

#[test]
fn a_person_has_their_own_hours_and_exceptions() {
    let mut callable = callable_by_day();
    let week = [("tue", "08:00-12:00"), ("thu", "08:00-12:00")];
    let away = [("2026-11-24", "closed", "away")];
    let okafor = PersonId(3);
    callable.people.insert(
        okafor,
        Callee {
            decent: decent_hours("America/Chicago").unwrap(),
            available: Some(Calendar::read("America/Chicago", week, away).unwrap()),
            away: Vec::new(),
        },
    );
    let week = Span {
        from: EIGHT,
        to: EIGHT + 7 * 24 * HOUR,
    };
    let thursday = EIGHT + 3 * 24 * HOUR;
    let hers = callable.choices(Some(okafor), week, MINUTE, 9);
    let expected = Span {
        from: thursday,
        to: thursday + 4 * HOUR,
    };
    assert_eq!(hers, [expected]);
    // Anybody else, of whom nothing is known, by day.
    assert_eq!(
        callable.choices(Some(PersonId(4)), week, MINUTE, 9).len(),
        7
    );
    // Nothing shorter than asked for, and no more of them.
    assert_eq!(callable.choices(Some(okafor), week, 5 * HOUR, 9), []);
    assert_eq!(callable.choices(None, week, HOUR, 3).len(), 3);
}

/// As people's profiles say it: a week in their zone, and times away that may overlap.
#[test]
fn whoever_is_away_is_not_called() {
    use crate::people::{Availability, Window};
    let away = |from, to| Window {
        from: EIGHT + from * HOUR,
        to: EIGHT + to * HOUR,
    };
    let week = vec![("mon-sun".to_owned(), "07:00-13:00".to_owned())];
    let zone = "America/Chicago".to_owned();
    let said = Availability::read(zone, week, vec![away(1, 3), away(2, 4), away(20, 26)]);
    let person = PersonId(3);
    let mut callable = always();
    let callee = Callee::available(&said.unwrap()).unwrap();
    callable.people.insert(person, callee);
    let within = Span {
        from: EIGHT - 2 * HOUR,
        to: EIGHT + 30 * HOUR,
    };
    let hours = |from, to| Span {
        from: EIGHT + from * HOUR,
        to: EIGHT + to * HOUR,
    };
    // From eight, though they have said seven: nobody is called at night.
    assert_eq!(
        callable.choices(Some(person), within, MINUTE, 9),
        [hours(0, 1), hours(4, 5), hours(26, 29)]
    );
    assert_eq!(
        callable.last(Some(person), within.from, EIGHT + 24 * HOUR),
        Some(hours(4, 5))
    );
}

fn callable_by_day() -> Callable {
    Callable {
        anybody: Some(Callee {
            decent: decent_hours("America/Chicago").unwrap(),
            available: None,
            away: Vec::new(),
        }),
        ..always()
    }
}

/// Never at 03:00: whatever was promised, and however late the desk is open.
#[test]
fn nobody_is_called_at_night() {
    let callable = callable_by_day();
    let night = Span {
        from: EIGHT + 12 * HOUR,
        to: EIGHT + 24 * HOUR,
    };
    assert_eq!(callable.next(None, night.from, night.to), None);
    assert_eq!(callable.last(None, night.from, night.to), None);
    assert_eq!(
        callable.next(None, night.from, night.to + 1),
        Some(EIGHT + 24 * HOUR)
    );
    assert!(decent_hours("Europe/Nowhere").is_err());
}

/// A long window costs no walk through all its days, and calendars without any change end the search.
#[test]
fn the_last_moment_of_a_long_window() {
    let callable = callable_by_day();
    let end = EIGHT + 59 * 24 * HOUR + 4 * HOUR;
    let last = callable.last(None, EIGHT, end).unwrap();
    assert_eq!((last.to, last.to - last.from), (end, 4 * HOUR));
    let window = Span {
        from: EIGHT,
        to: end,
    };
    assert_eq!(always().choices(None, window, 0, 9), [window]);
    let never = callee("Europe/Berlin", "closed");
    assert_eq!(never.next(None, EIGHT, end), None);
}
