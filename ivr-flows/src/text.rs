//! Texts with placeholders, cut into the parts a voice can render ahead.
//!
//! A text is a row of sentences. Sentences without placeholders are joined to
//! runs of fixed text; a sentence with one is filled in when it is spoken, and
//! *left out whole* when there is nothing to fill in: "Hello {caller.name}.
//! You are being connected." is simply "You are being connected." for somebody
//! without a name.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::language::{Language, Said};
use crate::{Expansions, Piece};

/// Longest text, in characters.
pub(crate) const TEXT_CHARS_MAX: usize = 600;
/// The last place in a queue that is spoken as a number.
pub(crate) const POSITION_MAX: u32 = 20;

/// What a text may be filled with. A closed set: each has its own rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Placeholder {
    CallerName,
    HospitalName,
    TicketNumber,
    QueuePosition,
}

impl Placeholder {
    pub(crate) const ALL: [Placeholder; 4] = [
        Placeholder::CallerName,
        Placeholder::HospitalName,
        Placeholder::TicketNumber,
        Placeholder::QueuePosition,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Placeholder::CallerName => "caller.name",
            Placeholder::HospitalName => "hospital.name",
            Placeholder::TicketNumber => "ticket.number",
            Placeholder::QueuePosition => "queue.position",
        }
    }
}

/// What is there to fill in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill<'a> {
    /// Only for somebody who may be named.
    pub(crate) caller_name: Option<&'a str>,
    pub(crate) hospital_name: &'a str,
    pub(crate) ticket: Option<&'a Arc<str>>,
    pub(crate) position: Option<u32>,
    /// The caller's language.
    pub(crate) language: Language,
    /// What is spoken where that language isn't written.
    pub(crate) first: Language,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Words(Box<str>),
    Slot(Placeholder),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Whole sentences without placeholders.
    Fixed(Arc<str>),
    /// One sentence with placeholders; a ticket number ends it.
    Filled(Box<[Segment]>),
}

/// A checked text in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Phrase {
    parts: Box<[Part]>,
}

/// A checked text: the same in one or more languages.
///
/// It is spoken in the caller's language; where that isn't written, in the
/// flow's first; where that isn't either, in the first that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    by: Box<[(Language, Phrase)]>,
}

impl Text {
    /// A text in one language.
    pub(crate) fn one(language: Language, source: &str) -> Result<Text, TextFault> {
        Text::of(vec![(language, Phrase::parse(source)?)])
    }

    /// A text of ours.
    pub(crate) fn ours(said: &Said) -> Option<Text> {
        Text::said(said.iter().copied())
    }

    /// The same, put together.
    pub(crate) fn said<'s>(said: impl Iterator<Item = (&'s str, &'s str)>) -> Option<Text> {
        let by =
            said.map(|(tag, words)| Some((Language::from_tag(tag)?, Phrase::parse(words).ok()?)));
        Some(Text {
            by: by.collect::<Option<_>>()?,
        })
    }

    /// A text in several languages.
    pub(crate) fn of(by: Vec<(Language, Phrase)>) -> Result<Text, TextFault> {
        if by.is_empty() {
            return fault("the text is empty: the caller would hear nothing", None);
        }
        Ok(Text { by: by.into() })
    }

    /// The placeholders used, in whatever language.
    pub(crate) fn placeholders(&self) -> impl Iterator<Item = Placeholder> + '_ {
        self.by.iter().flat_map(|(_, phrase)| phrase.placeholders())
    }

    /// Whether something is heard whatever is unknown, in every language.
    pub(crate) fn always_heard(&self) -> bool {
        self.by.iter().all(|(_, phrase)| phrase.always_heard())
    }

    /// Whether it is written in this language.
    pub(crate) fn is_in(&self, language: Language) -> bool {
        self.by.iter().any(|(known, _)| *known == language)
    }

    fn choose(&self, language: Language, first: Language) -> Option<&(Language, Phrase)> {
        let named = |wanted: Language| self.by.iter().find(move |(known, _)| *known == wanted);
        named(language).or_else(|| named(first)).or(self.by.first())
    }

    /// The language in which it is spoken.
    pub(crate) fn language(&self, fill: &Fill<'_>) -> Language {
        let chosen = self.choose(fill.language, fill.first);
        chosen.map_or(fill.first, |(language, _)| *language)
    }

    /// Appends what is spoken; nothing when every sentence lacks its filling.
    pub(crate) fn speak(&self, fill: &Fill<'_>, pieces: &mut Vec<Piece>) {
        if let Some((language, phrase)) = self.choose(fill.language, fill.first) {
            phrase.speak(*language, fill, pieces);
        }
    }

    /// Hands every text that [`speak`](Text::speak) can give in a flow of
    /// these languages to `each`, those with a caller's name only when `named`.
    pub(crate) fn expand(
        &self,
        languages: &[Language],
        with: &Expansions<'_>,
        named: bool,
        each: &mut dyn FnMut(Language, String),
    ) {
        let first = languages.first().copied().unwrap_or(Language::ENGLISH);
        for language in languages {
            if let Some((language, phrase)) = self.choose(*language, first) {
                phrase.expand(with, named, &mut |words| each(*language, words));
            }
        }
    }
}

/// What is wrong with a text: the fault and the way out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TextFault {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

fn fault<T>(message: impl Into<String>, help: Option<String>) -> Result<T, TextFault> {
    Err(TextFault {
        message: message.into(),
        help,
    })
}

impl Phrase {
    /// Reads a text. White space is folded, line breaks included.
    pub(crate) fn parse(source: &str) -> Result<Phrase, TextFault> {
        if source.chars().take(TEXT_CHARS_MAX + 1).count() > TEXT_CHARS_MAX {
            return fault(
                format!("the text is longer than {TEXT_CHARS_MAX} characters"),
                Some("Nobody listens that long: make it shorter.".to_owned()),
            );
        }
        let folded = source.split_whitespace().collect::<Vec<_>>().join(" ");
        if folded.is_empty() {
            return fault("the text is empty: the caller would hear nothing", None);
        }
        if let Some(odd) = folded.chars().find(|c| c.is_control()) {
            return fault(
                format!("the text holds a control character ({odd:?})"),
                None,
            );
        }
        let mut parts: Vec<Part> = Vec::new();
        for sentence in sentences(&folded) {
            let segments = segments(sentence)?;
            match &segments[..] {
                [Segment::Words(words)] => match parts.last_mut() {
                    Some(Part::Fixed(run)) => *run = Arc::from(format!("{run} {words}")),
                    _ => parts.push(Part::Fixed(Arc::from(&**words))),
                },
                _ => parts.push(Part::Filled(segments.into())),
            }
        }
        Ok(Phrase {
            parts: parts.into(),
        })
    }

    /// The placeholders used.
    pub(crate) fn placeholders(&self) -> impl Iterator<Item = Placeholder> + '_ {
        self.parts
            .iter()
            .flat_map(|part| match part {
                Part::Fixed(_) => &[][..],
                Part::Filled(segments) => segments,
            })
            .filter_map(|segment| match segment {
                Segment::Slot(slot) => Some(*slot),
                Segment::Words(_) => None,
            })
    }

    /// Whether something is heard whatever is unknown.
    pub(crate) fn always_heard(&self) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Fixed(_) => true,
            Part::Filled(segments) => segments.iter().all(|segment| {
                matches!(
                    segment,
                    Segment::Words(_) | Segment::Slot(Placeholder::HospitalName)
                )
            }),
        })
    }

    /// Appends what is spoken; nothing when every sentence lacks its filling.
    fn speak(&self, language: Language, fill: &Fill<'_>, pieces: &mut Vec<Piece>) {
        for part in &self.parts {
            match part {
                Part::Fixed(words) => pieces.push(Piece::Text(language, Arc::clone(words))),
                Part::Filled(segments) => {
                    if segments.iter().all(|segment| fill.has(segment)) {
                        fill.sentence(language, segments, pieces);
                    }
                }
            }
        }
    }

    /// Hands every text that [`speak`](Phrase::speak) can give to `each`, those
    /// with a caller's name only when `named`.
    fn expand(&self, with: &Expansions<'_>, named: bool, each: &mut dyn FnMut(String)) {
        for part in &self.parts {
            let segments = match part {
                Part::Fixed(words) => {
                    if !named {
                        each(words.to_string());
                    }
                    continue;
                }
                Part::Filled(segments) => segments,
            };
            let uses = |slot| segments.contains(&Segment::Slot(slot));
            if uses(Placeholder::CallerName) != named {
                continue;
            }
            let names: &[&str] = if named { with.names } else { &[""] };
            let positions = if uses(Placeholder::QueuePosition) {
                *with.positions.start()..=(*with.positions.end()).min(POSITION_MAX)
            } else {
                0..=0
            };
            for name in names {
                for position in positions.clone() {
                    let mut pieces = Vec::new();
                    Fill {
                        caller_name: Some(name),
                        hospital_name: with.hospital_name,
                        ticket: Some(&Arc::from("0")),
                        position: Some(position),
                        language: Language::ENGLISH,
                        first: Language::ENGLISH,
                    }
                    .sentence(Language::ENGLISH, segments, &mut pieces);
                    for piece in pieces {
                        if let Piece::Text(_, words) = piece {
                            each(words.to_string());
                        }
                    }
                }
            }
        }
    }
}

impl Fill<'_> {
    fn has(&self, segment: &Segment) -> bool {
        match segment {
            Segment::Words(_) | Segment::Slot(Placeholder::HospitalName) => true,
            Segment::Slot(Placeholder::CallerName) => self.caller_name.is_some(),
            Segment::Slot(Placeholder::TicketNumber) => self.ticket.is_some(),
            Segment::Slot(Placeholder::QueuePosition) => self
                .position
                .is_some_and(|place| (1..=POSITION_MAX).contains(&place)),
        }
    }

    /// Speaks one sentence whose fillings are all there.
    fn sentence(&self, language: Language, segments: &[Segment], pieces: &mut Vec<Piece>) {
        let mut words = String::new();
        for segment in segments {
            match segment {
                Segment::Words(text) => words.push_str(text),
                Segment::Slot(Placeholder::CallerName) => {
                    words.push_str(self.caller_name.unwrap_or_default());
                }
                Segment::Slot(Placeholder::HospitalName) => words.push_str(self.hospital_name),
                Segment::Slot(Placeholder::QueuePosition) => {
                    if let Some(place) = self.position {
                        // Writing to a String doesn't fail.
                        let _ = write!(words, "{place}");
                    }
                }
                Segment::Slot(Placeholder::TicketNumber) => {
                    let before = words.trim();
                    if !before.is_empty() {
                        pieces.push(Piece::Text(language, Arc::from(before)));
                    }
                    words.clear();
                    if let Some(ticket) = self.ticket {
                        pieces.push(Piece::TicketPairs(language, Arc::clone(ticket)));
                    }
                }
            }
        }
        // After ticket digits only a full stop is left, which they carry in their tone.
        if words.chars().any(char::is_alphanumeric) {
            pieces.push(Piece::Text(language, Arc::from(words.trim())));
        }
    }
}

/// Cuts at `.`, `!` and `?` before a space, but not after an abbreviation.
fn sentences(folded: &str) -> impl Iterator<Item = &str> {
    let mut rest = folded;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .match_indices(['.', '!', '?'])
            .map(|(at, _)| at + 1)
            .find(|&end| rest[end..].starts_with(' ') && !abbreviated(&rest[..end]))
            .unwrap_or(rest.len());
        let (sentence, tail) = rest.split_at(end);
        rest = tail.trim_start();
        Some(sentence)
    })
}

fn abbreviated(sentence: &str) -> bool {
    let Some(body) = sentence.strip_suffix('.') else {
        return false;
    };
    let word = body.rsplit(' ').next().unwrap_or_default();
    matches!(word, "Dr" | "St" | "Mr" | "Mrs" | "Ms" | "Prof" | "No")
        || (word.chars().count() == 1 && word.chars().all(char::is_uppercase))
}

fn segments(sentence: &str) -> Result<Vec<Segment>, TextFault> {
    let mut segments = Vec::new();
    let mut rest = sentence;
    while let Some(open) = rest.find(['{', '}']) {
        let (words, tail) = rest.split_at(open);
        let Some((word, tail)) = tail.strip_prefix('{').and_then(|tail| tail.split_once('}'))
        else {
            return fault(
                "a brace is not closed, or closes nothing",
                Some(format!(
                    "Placeholders are written like this: {}.",
                    known_placeholders()
                )),
            );
        };
        if !words.is_empty() {
            segments.push(Segment::Words(words.into()));
        }
        let Some(slot) = Placeholder::ALL
            .into_iter()
            .find(|slot| slot.word() == word)
        else {
            return fault(
                format!("there is no placeholder {{{word}}}"),
                Some(format!("There are {}.", known_placeholders())),
            );
        };
        segments.push(Segment::Slot(slot));
        rest = tail;
    }
    if !rest.is_empty() {
        segments.push(Segment::Words(rest.into()));
    }
    // The digits are spoken from clips of their own, with the falling tone of a
    // sentence's end: words after them would sound torn off.
    if let Some(at) = segments
        .iter()
        .position(|segment| *segment == Segment::Slot(Placeholder::TicketNumber))
        && segments[at + 1..].iter().any(|segment| match segment {
            Segment::Slot(_) => true,
            Segment::Words(words) => words.chars().any(char::is_alphanumeric),
        })
    {
        return fault(
            "a ticket number must be the last thing in its sentence",
            Some("Begin a new sentence after it.".to_owned()),
        );
    }
    Ok(segments)
}

fn known_placeholders() -> String {
    Placeholder::ALL
        .map(|slot| format!("{{{}}}", slot.word()))
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(
        source: &str,
        name: Option<&str>,
        ticket: Option<&str>,
        position: Option<u32>,
    ) -> String {
        let text = match Text::one(Language::ENGLISH, source) {
            Ok(text) => text,
            Err(fault) => return format!("! {}", fault.message),
        };
        let ticket = ticket.map(Arc::from);
        let mut pieces = Vec::new();
        text.speak(
            &Fill {
                caller_name: name,
                hospital_name: "Saint Mary's",
                ticket: ticket.as_ref(),
                position,
                language: Language::ENGLISH,
                first: Language::ENGLISH,
            },
            &mut pieces,
        );
        pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(_, words) => words.to_string(),
                Piece::TicketPairs(_, digits) => format!("#{digits}"),
                Piece::NumberPairs(..) => panic!("no text holds one"),
            })
            .collect::<Vec<_>>()
            .join(" | ")
    }

    #[test]
    fn sentences_are_filled_or_left_out() {
        let check = |source: &str, expected: &str| {
            assert_eq!(
                spoken(source, Some("Dr Okafor"), Some("4719203855"), Some(3)),
                expected,
                "{source}"
            );
        };
        check("One.  Two\n three. Four", "One. Two three. Four");
        check(
            "Hello {caller.name}. Hold on. Thanks!",
            "Hello Dr Okafor. | Hold on. Thanks!",
        );
        check("Welcome to {hospital.name}.", "Welcome to Saint Mary's.");
        check(
            "Hi. Your ticket number is {ticket.number}. Bye.",
            "Hi. | Your ticket number is | #4719203855 | Bye.",
        );
        check("{ticket.number}", "#4719203855");
        check("You are number {queue.position}.", "You are number 3.");
        check(
            "See Dr. Okafor in St. Mary's. Now.",
            "See Dr. Okafor in St. Mary's. Now.",
        );

        let bare = |source: &str, expected: &str| {
            assert_eq!(spoken(source, None, None, Some(21)), expected, "{source}");
        };
        bare("Hello {caller.name}. Hold on.", "Hold on.");
        bare(
            "Your number is {ticket.number}. You are {queue.position}.",
            "",
        );
    }

    #[test]
    fn faulty_texts() {
        let check = |source: &str, expected: &str| {
            let shown = spoken(source, None, None, None);
            assert!(shown.starts_with(expected), "{source}: {shown}");
        };
        check(
            "Hello {caller.nam}.",
            "! there is no placeholder {caller.nam}",
        );
        check("Hello {caller.name.", "! a brace");
        check("Hello }.", "! a brace");
        check(" \n ", "! the text is empty");
        check(&"long ".repeat(200), "! the text is longer");
        check(
            "It is {ticket.number}, thanks.",
            "! a ticket number must be the last",
        );
        check("Bell \u{7}", "! the text holds a control");
    }

    #[test]
    fn what_is_always_heard() {
        let check = |source: &str, expected: bool| {
            assert_eq!(
                Phrase::parse(source).unwrap().always_heard(),
                expected,
                "{source}"
            );
        };
        check("Hold on.", true);
        check("Hello {caller.name}.", false);
        check("Hello {caller.name}. Hold on.", true);
        check("This is {hospital.name}.", true);
    }
}
