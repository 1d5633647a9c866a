use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600_000;

fn desk() -> Calendar {
    Calendar::read(
        "America/Chicago",
        [
            ("mon-thu", "08:00-12:00, 13:00-17:00"),
            ("fri", "08:00-02:00"),
            ("sun", "00:00-24:00"),
        ],
        [
            ("2026-11-26", "closed", "Thanksgiving"),
            ("2026-12-24", "08:00-12:00", "Christmas Eve"),
        ],
    )
    .unwrap()
}

/// The moment at which Chicago's clock shows this (the first, if twice).
fn at(local: &str) -> i64 {
    let zone = TimeZone::get("America/Chicago").unwrap();
    let local: DateTime = local.parse().unwrap();
    zone.to_ambiguous_timestamp(local)
        .compatible()
        .unwrap()
        .as_millisecond()
}

#[test]
fn a_week_with_holidays() {
    let desk = desk();
    for (now, open, until) in [
        ("2026-11-23T07:59", false, "2026-11-23T08:00"),
        ("2026-11-23T08:00", true, "2026-11-23T12:00"),
        ("2026-11-23T12:00", false, "2026-11-23T13:00"),
        ("2026-11-23T16:59", true, "2026-11-23T17:00"),
        // Thanksgiving: from Wednesday evening to Friday morning.
        ("2026-11-25T17:00", false, "2026-11-27T08:00"),
        ("2026-11-26T10:00", false, "2026-11-27T08:00"),
        // Past midnight.
        ("2026-11-27T09:00", true, "2026-11-28T02:00"),
        ("2026-11-28T01:59", true, "2026-11-28T02:00"),
        ("2026-11-28T02:00", false, "2026-11-29T00:00"),
        // All of Sunday.
        ("2026-11-29T12:00", true, "2026-11-30T00:00"),
        ("2026-12-24T11:00", true, "2026-12-24T12:00"),
        ("2026-12-24T14:00", false, "2026-12-25T08:00"),
    ] {
        let state = desk.at(at(now), None);
        assert_eq!((state.open, state.until), (open, Some(at(until))), "{now}");
    }
    let holiday = desk.at(at("2026-11-26T10:00"), None);
    assert_eq!(holiday.why, Why::Day("Thanksgiving".into()));
    assert_eq!(desk.at(at("2026-11-23T10:00"), None).why, Why::Week);
}

/// A night belongs to the evening on which it begins, whichever of the two days is a holiday.
#[test]
fn nights_around_holidays() {
    let nights = Calendar::read(
        "America/Chicago",
        [("mon-sun", "17:00-08:00")],
        [
            ("2026-11-26", "closed", "Thanksgiving"),
            ("2026-12-31", "19:00-02:00", "New Year's Eve"),
        ],
    )
    .unwrap();
    for (now, open, why, until) in [
        // The night before is worked to its end.
        ("2026-11-26T02:00", true, None, "2026-11-26T08:00"),
        (
            "2026-11-26T10:00",
            false,
            Some("Thanksgiving"),
            "2026-11-27T17:00",
        ),
        // Nobody works the one after it, because of the holiday.
        (
            "2026-11-27T02:00",
            false,
            Some("Thanksgiving"),
            "2026-11-27T17:00",
        ),
        ("2026-11-27T09:00", false, None, "2026-11-27T17:00"),
        // A holiday's own night.
        (
            "2026-12-31T18:00",
            false,
            Some("New Year's Eve"),
            "2026-12-31T19:00",
        ),
        (
            "2026-12-31T20:00",
            true,
            Some("New Year's Eve"),
            "2027-01-01T02:00",
        ),
        (
            "2027-01-01T01:00",
            true,
            Some("New Year's Eve"),
            "2027-01-01T02:00",
        ),
        (
            "2027-01-01T03:00",
            false,
            Some("New Year's Eve"),
            "2027-01-01T17:00",
        ),
    ] {
        let state = nights.at(at(now), None);
        assert_eq!((state.open, state.until), (open, Some(at(until))), "{now}");
        let named = why.map_or(Why::Week, |name| Why::Day(name.into()));
        assert_eq!(state.why, named, "{now}");
    }
}

/// On the day that the clock is set forward, 08:00 is 08:00, and the night is
/// an hour shorter; set back, the hour that comes twice is open twice.
#[test]
fn daylight_saving_time() {
    let nights = Calendar::read("America/Chicago", [("sun", "01:00-01:30, 02:15-08:00")], []);
    let nights = nights.unwrap();
    // 8 March 2026, 02:00 becomes 03:00: what would begin at 02:15 begins then.
    let shift = at("2026-03-08T03:00");
    let before = nights.at(shift - 1, None);
    assert_eq!((before.open, before.until), (false, Some(shift)));
    let after = nights.at(shift, None);
    assert_eq!(
        (after.open, after.until),
        (true, Some(at("2026-03-08T08:00")))
    );
    assert_eq!(at("2026-03-08T08:00") - shift, 5 * HOUR);
    // 1 November 2026, 02:00 becomes 01:00: half past one comes twice.
    let first = at("2026-11-01T01:00");
    let mut changes = vec![first];
    while changes.len() < 6 {
        let state = nights.at(changes[changes.len() - 1], None);
        assert_eq!(state.open, changes.len() % 2 == 1);
        changes.push(state.until.unwrap());
    }
    let minutes: Vec<i64> = changes.iter().map(|at| (at - first) / 60_000).collect();
    assert_eq!(minutes, [0, 30, 60, 90, 135, 480]);
}

#[test]
fn somebodys_word_goes_first() {
    let desk = desk();
    let noon = at("2026-11-24T10:00");
    let closed = Exception {
        open: false,
        until: at("2026-11-24T15:00"),
    };
    let state = desk.at(noon, Some(closed));
    assert_eq!((state.open, state.why), (false, Why::Exception));
    // Then it is open again.
    assert_eq!(state.until, Some(closed.until));
    // Closed until after hours: open again the next morning.
    let longer = Exception {
        until: at("2026-11-24T20:00"),
        ..closed
    };
    let state = desk.at(noon, Some(longer));
    assert_eq!(state.until, Some(at("2026-11-25T08:00")));
    // It is over by itself.
    assert_eq!(
        desk.at(closed.until, Some(closed)),
        desk.at(closed.until, None)
    );
}

#[test]
fn what_never_changes_has_no_change() {
    let always = Calendar::read("UTC", [("mon-sun", "00:00-24:00")], []).unwrap();
    assert_eq!(
        always.at(0, None),
        State {
            open: true,
            why: Why::Week,
            until: None
        }
    );
    let never = Calendar::read("UTC", [], []).unwrap();
    assert!(!never.at(i64::MAX, None).open && never.at(i64::MIN, None).until.is_none());
}

#[test]
fn mistakes_are_explained() {
    let fault = |zone: &str, days: &str, hours: &str, date: &str, of_date: &str| {
        Calendar::read(zone, [(days, hours)], [(date, of_date, "x")])
            .map_err(|error| error.to_string())
            .err()
    };
    let utc = |days, hours| fault("UTC", days, hours, "2026-12-25", "closed");
    assert_eq!(utc("mon", "08:00-17:00"), None);
    assert_eq!(utc("sat-mon", "08:00-17:00"), None);
    for (said, found) in [
        (
            "time zone",
            fault("Chicago", "mon", "closed", "2026-12-25", "closed"),
        ),
        ("day of the week", utc("monday", "closed")),
        ("aren't hours", utc("mon", "8-17")),
        ("aren't hours", utc("mon", "08:00-25:00")),
        ("aren't hours", utc("mon", "24:00-25:00")),
        ("aren't hours", utc("mon", "")),
        ("overlap", utc("mon", "08:00-12:00, 11:00-13:00")),
        ("overlap", utc("mon-sun", "20:00-09:00, 08:00-10:00")),
        (
            "a date",
            fault("UTC", "mon", "closed", "25.12.2026", "closed"),
        ),
    ] {
        let found = found.unwrap_or_default();
        assert!(found.contains(said), "{said}: {found}");
    }
    let twice = Calendar::read("UTC", [("mon-wed", "closed"), ("tue", "closed")], []);
    assert_eq!(twice, Err(HoursError::Twice("tue".into())));
}

proptest! {
    /// Until the next change nothing changes, and then it does.
    #[test]
    fn the_next_change_is_the_next(minutes in 0i64..(3 * 366 * 24 * 60), zone in 0usize..4) {
        let zone = ["America/Chicago", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe"][zone];
        let desk = Calendar::read(
            zone,
            [("mon-fri", "00:30-02:30, 08:00-17:00"), ("sat", "22:00-03:15"), ("sun", "12:00-24:00")],
            [
                ("2026-12-25", "closed", "x"),
                ("2026-12-26", "23:00-04:30", "z"),
                ("2027-03-28", "01:00-02:00", "y"),
            ],
        ).unwrap();
        let now = at("2026-01-01T00:00") + minutes * 60_000;
        let state = desk.at(now, None);
        let until = state.until.unwrap();
        prop_assert!(until > now);
        prop_assert_eq!(desk.at(until, None).open, !state.open);
        let mut between = now;
        while between < until {
            prop_assert_eq!(desk.at(between, None).open, state.open, "{}", between);
            between += 15 * 60_000;
        }
        prop_assert_eq!(desk.at(until - 1, None).open, state.open);
    }

    #[test]
    fn no_text_panics(zone in ".{0,20}", days in ".{0,12}", hours in "[0-9:, -]{0,24}", date in "[0-9-]{0,12}") {
        let _ = Calendar::read(&zone, [(days.as_str(), "08:00-09:00")], []);
        let _ = Calendar::read("UTC", [("mon", hours.as_str())], [(date.as_str(), hours.as_str(), "")]);
    }
}

#[test]
fn days_as_people_say_them() {
    let days = Days::read("America/Chicago").unwrap();
    // A Friday, half an hour before midnight.
    let now = at("2026-11-20T23:30");
    for (then, day) in [
        ("2026-11-20T23:29", Day::Past),
        ("2026-11-20T23:59", Day::Today),
        ("2026-11-21T00:00", Day::Tomorrow),
        ("2026-11-22T23:59", Day::Weekday(6)),
        ("2026-11-23T09:00", Day::Weekday(0)),
        ("2026-11-26T09:00", Day::Weekday(3)),
        ("2026-11-27T00:00", Day::Later),
    ] {
        assert_eq!(days.of(now, at(then)), day, "{then}");
    }
    assert_eq!(days.of(now, i64::MAX), Day::Later);
    assert!(Days::read("Mars/Olympus").is_err());
}
