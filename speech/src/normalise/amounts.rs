//! Numbers: of things, of money, of telephones, of tickets.

use super::numbers::{cardinal, identifier_groups, ordinal, year};
use super::{Reader, digit_names, digits_in_groups, is_letter, words};

impl Reader<'_> {
    /// $12.50, £3, €4 million.
    pub(super) fn read_amount(&mut self) -> bool {
        let (one, many, cent, cents) = match self.peek(0) {
            Some('$') => ("dollar", "dollars", "cent", "cents"),
            Some('£') => ("pound", "pounds", "penny", "pence"),
            Some('€') => ("euro", "euros", "cent", "cents"),
            _ => return false,
        };
        let Some((whole, mut next)) = self.whole_number(self.at + 1) else {
            return false;
        };
        let mut minor = None;
        if self.char_at(next) == Some('.') {
            let digits = self.digits(next + 1);
            match digits.len() {
                0 => {}
                2 if self.ends(next + 3) => {
                    minor = digits.parse::<u64>().ok();
                    next += 3;
                }
                _ => {
                    // $3.2 million
                    next += 1 + digits.len();
                    let words = format!("{} point {}", cardinal(whole), digit_names(&digits));
                    let (scale, after) = self.scale(next);
                    self.at = after;
                    self.say(&words);
                    self.say(scale);
                    self.say(many);
                    return true;
                }
            }
        }
        if !self.ends(next) {
            return false;
        }
        let (scale, after) = self.scale(next);
        self.at = after;
        if whole > 0 || minor.is_none() || minor == Some(0) {
            self.say(&cardinal(whole));
            self.say(scale);
            self.say(if whole == 1 && scale.is_empty() {
                one
            } else {
                many
            });
        }
        if let Some(minor) = minor.filter(|minor| *minor > 0) {
            if whole > 0 {
                self.say("and");
            }
            self.say(&cardinal(minor));
            self.say(if minor == 1 { cent } else { cents });
        }
        true
    }

    pub(super) fn scale(&self, at: usize) -> (&'static str, usize) {
        let start = at + usize::from(self.char_at(at) == Some(' '));
        let word = self.letters(start);
        for scale in ["thousand", "million", "billion", "trillion"] {
            if word == scale {
                return (scale, start + scale.len());
            }
        }
        ("", at)
    }

    /// Digits, possibly with commas between thousands. None when too long to
    /// be an amount.
    pub(super) fn whole_number(&self, at: usize) -> Option<(u64, usize)> {
        let mut digits = self.digits(at);
        if digits.is_empty() {
            return None;
        }
        let mut next = at + digits.len();
        if digits.len() <= 3 && !digits.starts_with('0') {
            while self.char_at(next) == Some(',') && self.digits(next + 1).len() == 3 {
                digits.push_str(&self.digits(next + 1));
                next += 4;
            }
        }
        (digits.len() <= 15)
            .then(|| digits.parse().ok())
            .flatten()
            .map(|number| (number, next))
    }

    /// (555) 010-4477, 555-010-4477, +1 555 010 4477, 010-4477, +44 20 …
    pub(super) fn read_telephone(&mut self) -> bool {
        let first = self.peek(0);
        if !self.starts() || !first.is_some_and(|c| c.is_ascii_digit() || matches!(c, '+' | '(')) {
            return false;
        }
        let mut at = self.at;
        let mut groups: Vec<String> = Vec::new();
        let plus = first == Some('+');
        if plus {
            at += 1;
        }
        let mut separators = String::new();
        loop {
            let open = self.char_at(at) == Some('(');
            if open {
                at += 1;
            }
            let digits = self.digits(at);
            if digits.is_empty() || digits.len() > 11 || groups.len() == 6 {
                return false;
            }
            at += digits.len();
            groups.push(digits);
            if open {
                if self.char_at(at) != Some(')') {
                    return false;
                }
                at += 1;
                separators.push(')');
            }
            let more = |ahead: usize| {
                self.char_at(at + ahead).is_some_and(|c| c.is_ascii_digit())
                    || self.char_at(at + ahead) == Some('(')
            };
            match self.char_at(at) {
                Some(c @ ('-' | '.' | ' ' | '\u{2011}' | '–')) if more(1) => {
                    separators.push(if c == ' ' { ' ' } else { '-' });
                    at += 1;
                }
                _ if open && more(0) => {}
                _ => break,
            }
        }
        if !self.ends(at) {
            return false;
        }
        let sizes: Vec<usize> = groups.iter().map(String::len).collect();
        let total: usize = sizes.iter().sum();
        let national = match sizes.as_slice() {
            [3, 3, 4] => true,
            [1, 3, 3, 4] => groups[0] == "1",
            [3, 4] => separators == "-",
            _ => false,
        };
        if !(national || plus && (8..=15).contains(&total)) {
            return false;
        }
        self.at = at;
        let mut parts = Vec::new();
        if plus {
            self.say("plus");
        }
        for group in &groups {
            let sizes: &[usize] = if group.len() == 4 { &[2] } else { &[3] };
            parts.push(digits_in_groups(group, sizes));
        }
        self.say(&parts.join(", "));
        true
    }

    /// Ten digits in a row, or in five pairs, or four and more digits behind
    /// a word that announces digits.
    pub(super) fn read_ticket(&mut self) -> bool {
        if !self.starts() || !self.peek(0).is_some_and(|c| c.is_ascii_digit()) {
            return false;
        }
        let mut digits = self.digits(self.at);
        let mut next = self.at + digits.len();
        if digits.len() == 2 {
            while digits.len() < 10
                && matches!(self.char_at(next), Some(' ' | '-'))
                && self.digits(next + 1).len() == 2
            {
                digits.push_str(&self.digits(next + 1));
                next += 3;
            }
        }
        if digits.len() != 10 || !self.ends(next) {
            return false;
        }
        self.at = next;
        self.say(&digits_in_groups(&digits, &[2]));
        true
    }

    /// Cardinals, ordinals, decimals, percentages, units, ranges; long runs of
    /// digits one by one.
    pub(super) fn read_number(&mut self) -> bool {
        if !self.peek(0).is_some_and(|c| c.is_ascii_digit()) {
            return false;
        }
        let digits = self.digits(self.at);
        let plain_end = self.at + digits.len();
        let behind_letters = self.at > 0
            && (is_letter(self.chars[self.at - 1])
                || self.chars[self.at - 1] == '-'
                    && self.at > 1
                    && is_letter(self.chars[self.at - 2]));

        // 1st, 22nd
        let suffix = self.letters(plain_end).to_lowercase();
        if digits.len() <= 4 && matches!(suffix.as_str(), "st" | "nd" | "rd" | "th") {
            self.at = plain_end + 2;
            let words = ordinal(digits.parse().unwrap_or(0));
            self.say(&words);
            return true;
        }
        let announced = self
            .words_before()
            .take(3)
            .any(|word| words::announces_digits(&word));
        let identifier = digits.len() >= 3 && behind_letters
            || digits.len() >= 3 && announced
            || digits.len() >= 5
            || digits.len() >= 2 && digits.starts_with('0');
        let grouped = self
            .whole_number(self.at)
            .filter(|(_, next)| *next != plain_end);
        if identifier && grouped.is_none() {
            if behind_letters {
                self.pause(',');
            }
            self.at = plain_end;
            self.say(&digits_in_groups(&digits, &identifier_groups(digits.len())));
            return true;
        }
        let Some((number, mut next)) = grouped.or_else(|| self.whole_number(self.at)) else {
            return false;
        };
        // 2026 in "since 2026"
        if digits.len() == 4
            && grouped.is_none()
            && (1_900..=2_099).contains(&number)
            && words::announces_year(&self.word_before())
            && self.ends(next)
        {
            self.at = next;
            self.say(&year(number));
            return true;
        }
        let mut words =
            if number == 365 && matches!(self.word_before().as_str(), "office" | "microsoft") {
                "three sixty five".to_owned()
            } else {
                cardinal(number)
            };
        let mut one = number == 1;
        let fraction = if self.char_at(next) == Some('.') {
            self.digits(next + 1)
        } else {
            String::new()
        };
        if !fraction.is_empty() {
            words = format!("{words} point {}", digit_names(&fraction));
            next += 1 + fraction.len();
            one = false;
        }
        self.at = next;
        self.say(&words);
        // 9-10, 2–3
        if matches!(self.peek(0), Some('-' | '–'))
            && self.peek(1).is_some_and(|c| c.is_ascii_digit())
        {
            self.say("to");
            self.at += 1;
            return true;
        }
        self.read_unit(one);
        true
    }

    /// What may follow a number: %, °C, mg.
    pub(super) fn read_unit(&mut self, one: bool) {
        let space = usize::from(self.peek(0) == Some(' '));
        match self.char_at(self.at + space) {
            Some('%') => {
                self.at += space + 1;
                self.say("percent");
            }
            Some('°') => {
                self.at += space + 1;
                self.say(if one { "degree" } else { "degrees" });
                match self.peek(0) {
                    Some('C') if self.ends(self.at + 1) => self.say("Celsius"),
                    Some('F') if self.ends(self.at + 1) => self.say("Fahrenheit"),
                    _ => return,
                }
                self.at += 1;
            }
            Some(c) if is_letter(c) => {
                let word = self.letters(self.at + space);
                let end = self.at + space + word.chars().count();
                if let Some((single, many)) = words::unit(&word, space == 0)
                    && self.ends(end)
                {
                    self.at = end;
                    self.say(if one { single } else { many });
                    // "5 min." is no end of a sentence in the middle of one.
                    if self.peek(0) == Some('.') && !self.sentence_ends(self.at + 1) {
                        self.at += 1;
                    }
                }
            }
            _ => {}
        }
    }
}
