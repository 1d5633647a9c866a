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

mod amounts;
mod moments;
mod numbers;
mod words;

use crate::SpeechError;
pub(crate) use numbers::digits_in_groups;

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
