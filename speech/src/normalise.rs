//! Written text → words and punctuation that a voice reads as meant.
//!
//! Voices have front ends of their own, and they differ and drop silently
//! what they can't read (`HD-47192`, `14:15`). So everything that isn't a
//! word is spelt out here, once for all voices, and what this module has no
//! reading for is an error that names the character and its place.
//!
//! | written | said |
//! |---|---|
//! | 4719203855 (ten digits) | four seven, one nine, two zero, three eight, five five |
//! | HD-47192 | H D, four seven, one nine two |
//! | (555) 010-4477 | five five five, zero one zero, four four, seven seven |
//! | 14:15, 9:30 am | two fifteen P M, nine thirty A M |
//! | 2026-03-12, 3/12/2026, March 12 | March twelfth, twenty twenty six; March twelfth |
//! | 1st, 3.5, 40%, $12.50, 5 mg, 9-10 | first, three point five, forty percent, … |
//! | Dr. Okafor, St. Mary's, Oak St. | Doctor Okafor, Saint Mary's, Oak Street |
//! | MRN, EHR, ICU, ED, IT, MFA; PIN, STAT | M R N, E H R, …; pin, stat |
//! | press *, press #, ticket #5 | press star, press pound, ticket number five |
//!
//! Acronyms come out as single capitals with spaces between.

mod numbers;
mod words;

use crate::SpeechError;
pub(crate) use numbers::digits_in_groups;
use numbers::{cardinal, identifier_groups, ordinal, year};

/// The language a text is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// American English.
    #[default]
    English,
    /// Any other: texts are left as they are written, for a voice that reads
    /// numbers, times and dates of its language by itself.
    AsWritten,
}

/// Longest text of one prompt, in characters.
pub const CHARACTERS_MAX: usize = 2_000;

/// White space folded, what can't be spoken refused. A voice that is somebody
/// else's program gets nothing that could be markup or a control character.
fn as_written(text: &str) -> Result<String, SpeechError> {
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if folded.is_empty() {
        return Err(SpeechError::Empty);
    }
    let odd = |c: &char| c.is_control() || "<>&[]{}|\\".contains(*c);
    match text.chars().position(|c| odd(&c) && !c.is_whitespace()) {
        Some(position) => Err(SpeechError::Unreadable {
            character: text.chars().nth(position).unwrap_or_default(),
            position,
        }),
        None => Ok(folded),
    }
}

/// Spells out `text` (see the module's documentation). What it returns holds
/// letters, apostrophes, hyphens, spaces and `. , ; : ? !` only, and ends
/// with a mark.
///
/// # Errors
/// [`SpeechError::Unreadable`], [`SpeechError::TooLong`], [`SpeechError::Empty`].
pub fn normalise(language: Language, text: &str) -> Result<String, SpeechError> {
    let characters = text.chars().count();
    if characters > CHARACTERS_MAX {
        return Err(SpeechError::TooLong {
            characters,
            limit: CHARACTERS_MAX,
        });
    }
    if language == Language::AsWritten {
        return as_written(text);
    }
    let chars: Vec<char> = text.chars().collect();
    // In a text without small letters capitals say nothing.
    let shouting = !chars.iter().any(|c| c.is_lowercase());
    let mut reader = Reader {
        chars: &chars,
        at: 0,
        out: String::with_capacity(text.len() * 2),
        shouting,
    };
    reader.read()?;
    if !reader.out.chars().any(char::is_alphabetic) {
        return Err(SpeechError::Empty);
    }
    if !reader.out.ends_with(['.', '?', '!']) {
        reader.pause('.');
    }
    Ok(reader.out)
}

/// Walks through the text once; each `read_…` either takes what it knows and
/// answers true, or leaves everything as it was.
struct Reader<'a> {
    chars: &'a [char],
    at: usize,
    out: String,
    shouting: bool,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), SpeechError> {
        while let Some(c) = self.peek(0) {
            if c.is_whitespace() {
                self.at += 1;
            } else if self.read_amount()
                || self.read_telephone()
                || self.read_ticket()
                || self.read_date()
                || self.read_time()
                || self.read_number()
                || self.read_word()
            {
                // Taken.
            } else {
                self.read_symbol(c)?;
            }
        }
        Ok(())
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn say(&mut self, words: &str) {
        if !self.out.is_empty() && !words.is_empty() {
            self.out.push(' ');
        }
        self.out.push_str(words);
    }

    /// A pause; of several in a row the strongest stays.
    fn pause(&mut self, mark: char) {
        let strength = |mark: char| match mark {
            '.' | '?' | '!' => 3,
            ';' | ':' => 2,
            ',' => 1,
            _ => 0,
        };
        match self.out.chars().last() {
            None => {}
            Some(last) if strength(last) == 0 => self.out.push(mark),
            Some(last) if strength(mark) > strength(last) => {
                self.out.pop();
                self.out.push(mark);
            }
            Some(_) => {}
        }
    }

    /// The digits starting at `at`.
    fn digits(&self, at: usize) -> String {
        self.chars[at.min(self.chars.len())..]
            .iter()
            .take_while(|c| c.is_ascii_digit())
            .collect()
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    /// The letters starting at `at`.
    fn letters(&self, at: usize) -> String {
        self.chars[at.min(self.chars.len())..]
            .iter()
            .take_while(|c| is_letter(**c))
            .collect()
    }

    /// True when no digit or letter stands at `at`.
    fn ends(&self, at: usize) -> bool {
        !self
            .char_at(at)
            .is_some_and(|c| c.is_ascii_digit() || is_letter(c))
    }

    /// True when the text before the reader doesn't run into what comes now.
    fn starts(&self) -> bool {
        self.at == 0 || !self.chars[self.at - 1].is_ascii_digit()
    }

    /// The last words said, newest first, in lower case, from this sentence.
    fn words_before(&self) -> impl Iterator<Item = String> {
        self.out
            .rsplit(' ')
            .take(4)
            .enumerate()
            .take_while(|(i, word)| *i == 0 && !word.is_empty() || !word.ends_with(['.', '?', '!']))
            .map(|(_, word)| word.trim_end_matches([',', ':', ';', '.']).to_lowercase())
    }

    fn word_before(&self) -> String {
        self.words_before().next().unwrap_or_default()
    }

    /// $12.50, £3, €4 million.
    fn read_amount(&mut self) -> bool {
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

    fn scale(&self, at: usize) -> (&'static str, usize) {
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
    fn whole_number(&self, at: usize) -> Option<(u64, usize)> {
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
    fn read_telephone(&mut self) -> bool {
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
    fn read_ticket(&mut self) -> bool {
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

    /// 2026-03-12, 3/12/2026, 3/12. Months in words: see [`Self::read_word`].
    fn read_date(&mut self) -> bool {
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

    fn say_date(&mut self, month: usize, day: u64, year_number: Option<u64>) {
        self.say(words::MONTHS[month - 1]);
        self.say(&ordinal(day));
        if let Some(number) = year_number {
            self.pause(',');
            self.say(&year(number));
        }
    }

    /// 14:15, 9:30 am, 5pm, 5 p.m.
    fn read_time(&mut self) -> bool {
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
    fn half_of_day(&self, at: usize) -> Option<(bool, usize)> {
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

    /// Would a full stop just before `at` end a sentence?
    fn sentence_ends(&self, at: usize) -> bool {
        let mut rest = self.chars[at.min(self.chars.len())..].iter();
        match rest.next() {
            None => true,
            Some(c) if !c.is_whitespace() => false,
            Some(_) => rest
                .find(|c| !c.is_whitespace())
                .is_none_or(|c| c.is_uppercase()),
        }
    }

    /// Cardinals, ordinals, decimals, percentages, units, ranges; long runs of
    /// digits one by one.
    fn read_number(&mut self) -> bool {
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
    fn read_unit(&mut self, one: bool) {
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

    /// Words, abbreviations, acronyms, dates that begin or end with a month.
    fn read_word(&mut self) -> bool {
        if !self.peek(0).is_some_and(is_letter) {
            return false;
        }
        let word = self.take_word();
        let end = self.at + word.chars().count();
        let stop = self.char_at(end) == Some('.');
        let lower = word.to_lowercase();
        let bare = lower.trim_end_matches('.');

        if let Some(month) = words::month(&word)
            && self.read_month(month, end)
        {
            return true;
        }
        if let Some(expanded) = self.title(&word, end, stop) {
            self.at = end + usize::from(stop);
            self.say(expanded);
            if stop && expanded != "Doctor" && expanded != "Saint" && self.sentence_ends(self.at) {
                self.pause('.');
            }
            return true;
        }
        if lower == "no" && stop && self.digit_follows(end + 1) {
            self.at = end + 1;
            self.say("number");
            return true;
        }
        if (lower == "a.m" || lower == "p.m") && stop {
            self.at = end + usize::from(!self.sentence_ends(end + 1));
            self.say(if lower == "a.m" { "A M" } else { "P M" });
            return true;
        }
        if lower == "w" && self.char_at(end) == Some('/') {
            self.at = end + 1;
            self.say("with");
            return true;
        }
        if !is_all_caps(&word)
            && (stop || !words::needs_full_stop(bare))
            && let Some(expanded) = words::abbreviation(bare)
            && self.means_abbreviation(bare, &word)
        {
            self.at = end;
            self.say(expanded);
            if stop && (words::never_ends(bare) || !self.sentence_ends(end + 1)) {
                self.at += 1;
            }
            return true;
        }
        self.at = end;
        self.say_word(&word);
        true
    }

    /// The word at the reader: letters with apostrophes inside, hyphens
    /// between letters, and full stops between single letters (U.S, e.g).
    fn take_word(&self) -> String {
        let mut end = self.at;
        let mut run = 0;
        while let Some(c) = self.char_at(end) {
            let next_is_letter = self.char_at(end + 1).is_some_and(is_letter);
            let single_next = next_is_letter && !self.char_at(end + 2).is_some_and(is_letter);
            if is_letter(c) || is_accent(c) {
                run += 1;
            } else if matches!(c, '\'' | '’' | '-' | '\u{2011}') && next_is_letter
                || c == '.' && run == 1 && single_next
            {
                run = 0;
            } else {
                break;
            }
            end += 1;
        }
        self.chars[self.at..end].iter().collect()
    }

    fn digit_follows(&self, at: usize) -> bool {
        let at = at + usize::from(self.char_at(at) == Some(' '));
        self.char_at(at).is_some_and(|c| c.is_ascii_digit())
    }

    fn capital_follows(&self, at: usize) -> bool {
        self.char_at(at) == Some(' ') && self.char_at(at + 1).is_some_and(char::is_uppercase)
    }

    /// Dr and St: before a name a title, behind one a street.
    fn title(&self, word: &str, end: usize, stop: bool) -> Option<&'static str> {
        let next = end + usize::from(stop);
        let (before, behind) = match word {
            "Dr" => ("Doctor", "Drive"),
            "St" => ("Saint", "Street"),
            _ => return None,
        };
        let name_before = self.at > 1
            && self.chars[self.at - 1] == ' '
            && self.out.rsplit(' ').next().is_some_and(|last| {
                last.starts_with(char::is_uppercase)
                    && last.chars().all(is_letter)
                    && last.len() > 1
            });
        let sentence_start = self.out.is_empty() || self.out.ends_with(['.', '?', '!']);
        if self.capital_follows(next) && (!name_before || sentence_start || !stop) {
            Some(before)
        } else if name_before {
            Some(behind)
        } else if word == "Dr" {
            Some(before)
        } else {
            None
        }
    }

    /// Is `word` really the abbreviation, not a name that looks like it?
    fn means_abbreviation(&self, bare: &str, word: &str) -> bool {
        match bare {
            // Days are capitalised; "wed" and "mon" are not.
            "mon" | "tue" | "tues" | "wed" | "thu" | "thur" | "thurs" | "fri" => {
                word.starts_with(char::is_uppercase)
            }
            _ => true,
        }
    }

    /// "March 12, 2026", "12 March": `end` is where the month's name ends.
    fn read_month(&mut self, month: usize, end: usize) -> bool {
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

    fn say_word(&mut self, word: &str) {
        let word: String = word
            .chars()
            .filter(|c| !is_accent(*c))
            .map(|c| match c {
                '’' => '\'',
                '\u{2011}' => '-',
                c => c,
            })
            .collect();
        if let Some(said) = words::said_as_word(&word) {
            self.say(said);
            return;
        }
        // U.S.
        if word.contains('.') {
            let letters: Vec<String> = word
                .split('.')
                .map(|letter| letter.to_uppercase())
                .filter(|letter| !letter.is_empty())
                .collect();
            self.say(&letters.join(" "));
            // The last full stop belongs to the abbreviation, unless it ends
            // the sentence as well.
            if self.peek(0) == Some('.') && !self.sentence_ends(self.at + 1) {
                self.at += 1;
            }
            return;
        }
        for (i, part) in word.split('-').enumerate() {
            let (stem, plural) = match part.strip_suffix("'s").or_else(|| part.strip_suffix('s')) {
                Some(stem) if stem.chars().count() > 1 && is_all_caps(stem) && !self.shouting => {
                    (stem, "s")
                }
                _ => (part, ""),
            };
            let spelled = is_all_caps(stem) && self.is_acronym(stem);
            let said = if spelled {
                let letters: Vec<String> = stem.chars().map(String::from).collect();
                letters.join(" ") + plural
            } else if let Some(said) = words::said_as_word(part) {
                said.to_owned()
            } else if is_all_caps(part) && part.chars().count() > 1 {
                part.to_lowercase()
            } else {
                part.to_owned()
            };
            let hyphen = i > 0 && !spelled && self.out.ends_with(char::is_lowercase);
            if hyphen {
                self.out.push('-');
                self.out.push_str(&said);
            } else {
                self.say(&said);
            }
        }
    }

    /// Capitals that are spelled: short, and not a word said aloud.
    fn is_acronym(&self, word: &str) -> bool {
        let length = word.chars().count();
        if length < 2 || words::said_as_word(word).is_some() {
            return false;
        }
        if word == "OR" {
            // "the OR" is a room, "one OR two" is not.
            return matches!(
                self.word_before().as_str(),
                "the" | "an" | "main" | "each" | "this" | "that"
            );
        }
        let digits_next = self.digits(self.at + usize::from(self.peek(0) == Some('-')));
        if self.shouting && digits_next.is_empty() {
            const SHORT: [&str; 18] = [
                "ED", "ER", "EHR", "EMR", "ICU", "IT", "MFA", "MRN", "VPN", "ID", "PC", "TV", "AM",
                "PM", "MD", "RN", "US", "MRI",
            ];
            return SHORT.contains(&word);
        }
        length <= 5
    }

    fn read_symbol(&mut self, c: char) -> Result<(), SpeechError> {
        let digit_next = self.peek(1).is_some_and(|c| c.is_ascii_digit());
        match c {
            '.' if digit_next => {
                // .5
                self.say("point");
                let digits = self.digits(self.at + 1);
                self.say(&digit_names(&digits));
                self.at += digits.len();
            }
            // help.example.org, readme.txt
            '.' if self.between_letters() => self.say("dot"),
            ',' | ';' | ':' | '.' | '?' | '!' => self.pause(c),
            '…' => self.pause('.'),
            '—' | '–' | '(' | ')' => self.pause(','),
            '-' => {
                // Between spaces a dash, before a number a minus, else the
                // hyphen of COVID-19 (HD-47192 gets its pause with the digits).
                let spaced = self.at == 0 || self.chars[self.at - 1].is_whitespace();
                if spaced && digit_next {
                    self.say("minus");
                } else if !digit_next {
                    self.pause(',');
                }
            }
            '"' | '“' | '”' | '‘' | '’' | '\'' | '®' | '™' | '©' | '\u{ad}' | '\u{200b}'
            | '\u{feff}' => {}
            c if is_accent(c) => {}
            '&' => self.say("and"),
            '+' => self.say("plus"),
            '@' => self.say("at"),
            '%' => self.say("percent"),
            '=' => self.say("equals"),
            '*' => self.say("star"),
            '#' => {
                let said = if self.digit_follows(self.at + 1) {
                    "number"
                } else {
                    "pound"
                };
                self.say(said);
            }
            '/' => {
                let next = self.letters(self.at + 1).to_lowercase();
                match (self.word_before().as_str(), next.as_str()) {
                    ("and", "or") | ("with", _) => {}
                    _ => self.say("slash"),
                }
            }
            character => {
                return Err(SpeechError::Unreadable {
                    character,
                    position: self.at,
                });
            }
        }
        self.at += 1;
        Ok(())
    }

    fn between_letters(&self) -> bool {
        self.at > 0
            && self.chars[self.at - 1].is_alphanumeric()
            && self.peek(1).is_some_and(char::is_alphanumeric)
    }
}

/// Letters of languages written in Latin script.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
        || matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}') && c.is_alphabetic()
}

/// Accents written as characters of their own; the letter stays.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

fn is_all_caps(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_uppercase())
}

fn digit_names(digits: &str) -> String {
    let names: Vec<&str> = digits.chars().map(numbers::digit).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests;
