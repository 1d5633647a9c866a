//! Dates and times of day.

use super::numbers::{cardinal, ordinal, year};
use super::{Reader, words};

impl Reader<'_> {
    /// 2026-03-12, 3/12/2026, 3/12. Months in words: see [`Self::read_word`].
    pub(super) fn read_date(&mut self) -> bool {
        if !self.starts() {
            return false;
        }
        let first = self.digits(self.at);
        let mut at = self.at + first.len();
        let Some(mark @ ('-' | '/')) = self.char_at(at) else {
            return false;
        };
        let second = self.digits(at + 1);
        at += 1 + second.len();
        let third = if self.char_at(at) == Some(mark) {
            self.digits(at + 1)
        } else {
            String::new()
        };
        let number = |digits: &str| digits.parse::<u64>().unwrap_or(0);
        let (month, day, year_number, next) = match (first.len(), mark, second.len(), third.len()) {
            (4, '-', 2, 2) => (
                number(&second),
                number(&third),
                Some(number(&first)),
                at + 3,
            ),
            (1 | 2, '/', 1 | 2, 4) => (
                number(&first),
                number(&second),
                Some(number(&third)),
                at + 5,
            ),
            (1 | 2, '/', 1 | 2, 2) => (
                number(&first),
                number(&second),
                Some(2_000 + number(&third)),
                at + 3,
            ),
            (1 | 2, '/', 1 | 2, 0) => {
                let fraction = match (first.as_str(), second.as_str()) {
                    ("24", "7") => "twenty four seven",
                    ("1", "2") => "one half",
                    ("1", "3") => "one third",
                    ("2", "3") => "two thirds",
                    ("1", "4") => "one quarter",
                    ("3", "4") => "three quarters",
                    _ => "",
                };
                if !fraction.is_empty() && self.ends(at) {
                    self.at = at;
                    self.say(fraction);
                    return true;
                }
                (number(&first), number(&second), None, at)
            }
            _ => return false,
        };
        let known_year = year_number.is_none_or(|year| (1_900..=2_099).contains(&year));
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !known_year || !self.ends(next)
        {
            return false;
        }
        self.at = next;
        self.say_date(month as usize, day, year_number);
        true
    }

    pub(super) fn say_date(&mut self, month: usize, day: u64, year_number: Option<u64>) {
        self.say(words::MONTHS[month - 1]);
        self.say(&ordinal(day));
        if let Some(number) = year_number {
            self.pause(',');
            self.say(&year(number));
        }
    }

    /// 14:15, 9:30 am, 5pm, 5 p.m.
    pub(super) fn read_time(&mut self) -> bool {
        if !self.starts() {
            return false;
        }
        let hour_digits = self.digits(self.at);
        let Ok(hour) = hour_digits.parse::<u64>() else {
            return false;
        };
        if hour_digits.len() > 2 || hour > 24 {
            return false;
        }
        let mut next = self.at + hour_digits.len();
        let mut minute = None;
        if self.char_at(next) == Some(':') && self.digits(next + 1).len() == 2 {
            let value = self.digits(next + 1).parse().unwrap_or(60);
            if value > 59 {
                return false;
            }
            minute = Some(value);
            next += 3;
            // Seconds are of no use to a caller, but must not be left over.
            if self.char_at(next) == Some(':') && self.digits(next + 1).len() == 2 {
                next += 3;
            }
        }
        let half = self.half_of_day(next);
        let afternoon = match (half, minute) {
            (Some((afternoon, after)), _) if (1..=12).contains(&hour) => {
                next = after;
                Some(afternoon)
            }
            (_, Some(_)) if (12..24).contains(&hour) => Some(true),
            (_, Some(_)) if hour == 0 || hour == 24 || hour_digits.starts_with('0') => Some(false),
            (_, Some(_)) => None,
            (_, None) => return false,
        };
        if !self.ends(next) {
            return false;
        }
        let minute = minute.unwrap_or(0);
        self.at = next;
        let noon_or_midnight = half.is_none() && minute == 0;
        if noon_or_midnight && hour % 24 == 0 {
            self.say("midnight");
            return true;
        }
        if noon_or_midnight && hour == 12 {
            self.say("noon");
            return true;
        }
        self.say(&cardinal(if hour % 12 == 0 { 12 } else { hour % 12 }));
        match minute {
            0 if afternoon.is_none() => self.say("o'clock"),
            0 => {}
            1..=9 => {
                self.say("oh");
                self.say(&cardinal(minute));
            }
            _ => self.say(&cardinal(minute)),
        }
        match afternoon {
            Some(true) => self.say("P M"),
            Some(false) => self.say("A M"),
            None => {}
        }
        true
    }

    /// "am", "p.m.", "PM" at `at`, perhaps after a space; true for afternoon.
    pub(super) fn half_of_day(&self, at: usize) -> Option<(bool, usize)> {
        let start = at + usize::from(self.char_at(at) == Some(' '));
        let first = self.char_at(start)?.to_ascii_lowercase();
        if !matches!(first, 'a' | 'p') {
            return None;
        }
        let mut next = start + 1;
        let dotted = self.char_at(next) == Some('.');
        if dotted {
            next += 1;
        }
        if !self.char_at(next)?.eq_ignore_ascii_case(&'m') {
            return None;
        }
        next += 1;
        if !self.ends(next) {
            return None;
        }
        // The second full stop belongs to the abbreviation unless the
        // sentence ends here.
        if dotted && self.char_at(next) == Some('.') && !self.sentence_ends(next + 1) {
            next += 1;
        }
        Some((first == 'p', next))
    }

    /// "March 12, 2026", "12 March": `end` is where the month's name ends.
    pub(super) fn read_month(&mut self, month: usize, end: usize) -> bool {
        let full = words::MONTHS[month - 1];
        let mut next = end;
        let abbreviated = self.letters(self.at).len() < full.len();
        if abbreviated && self.char_at(next) == Some('.') {
            next += 1;
        }
        let spaced = self.char_at(next) == Some(' ');
        let day = self.digits(next + usize::from(spaced));
        let day_end = next + 1 + day.len();
        let suffix = self.letters(day_end);
        let plain = self.char_at(day_end) != Some(':') && self.char_at(day_end) != Some('/');
        let number = day.parse::<u64>().unwrap_or(0);
        if spaced
            && (1..=2).contains(&day.len())
            && (1..=31).contains(&number)
            && plain
            && matches!(suffix.as_str(), "" | "st" | "nd" | "rd" | "th")
        {
            let mut at = day_end + suffix.len();
            let mut year_number = None;
            let gap = usize::from(self.char_at(at) == Some(','));
            if self.char_at(at + gap) == Some(' ') && self.digits(at + gap + 1).len() == 4 {
                let value = self.digits(at + gap + 1).parse().unwrap_or(0);
                if (1_900..=2_099).contains(&value) && self.ends(at + gap + 5) {
                    year_number = Some(value);
                    at += gap + 5;
                }
            }
            self.at = at;
            self.say_date(month, number, year_number);
            return true;
        }
        // The name alone: "Mar" and "Dec" may be something else, "Dec." isn't.
        if abbreviated && next == end {
            return false;
        }
        self.at = if next > end && self.sentence_ends(next) {
            end
        } else {
            next
        };
        self.say(full);
        true
    }
}
