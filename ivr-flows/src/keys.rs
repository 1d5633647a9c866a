//! Reading the keys of one map: each taken once, what is left over refused
//! with the key that was probably meant.

use std::time::Duration;

use crate::CheckError;
use crate::document::{Entry, Place, Tree, Value};
use crate::language::Language;
use crate::text::{Phrase, Text};

/// Most errors reported for one file.
const ERRORS_MAX: usize = 50;

/// The errors found so far.
#[derive(Debug)]
pub(crate) struct Findings {
    file: String,
    errors: Vec<CheckError>,
    /// Where nodes are named, and which.
    references: Vec<(Place, String)>,
}

impl Findings {
    pub(crate) fn new(file: &str) -> Findings {
        Findings {
            file: file.to_owned(),
            errors: Vec::new(),
            references: Vec::new(),
        }
    }

    pub(crate) fn add(
        &mut self,
        at: Place,
        node: Option<&str>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let file = self.file.clone();
        self.add_in(&file, at, node, message, help);
    }

    /// In another file than the one being read.
    pub(crate) fn add_in(
        &mut self,
        file: &str,
        at: Place,
        node: Option<&str>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(CheckError {
                file: file.to_owned(),
                line: at.line,
                column: at.column,
                node: node.map(str::to_owned),
                message: message.into(),
                help,
            });
        }
    }

    /// A node is named here, whether or not there is one.
    pub(crate) fn refer(&mut self, at: Place, node: &str) {
        self.references.push((at, node.to_owned()));
    }

    /// The places where this node is named: of a key whose value it is, or its own.
    pub(crate) fn references_to(self, node: &str) -> Vec<Place> {
        let references = self.references.into_iter();
        references
            .filter_map(|(at, named)| (named == node).then_some(at))
            .collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    pub(crate) fn into_errors(mut self) -> Vec<CheckError> {
        // Its own errors first, then those of the flows it calls.
        let own = self.file;
        self.errors.sort_by_cached_key(|error| {
            (
                error.file != own,
                error.file.clone(),
                error.line,
                error.column,
            )
        });
        self.errors
    }
}

/// One map being read.
#[derive(Debug)]
pub(crate) struct Keys<'t> {
    at: Place,
    node: Option<&'t str>,
    entries: Vec<(&'t Entry, bool)>,
    /// Every key asked for: what may be offered when one is unknown.
    asked: Vec<&'static str>,
}

impl<'t> Keys<'t> {
    /// The map, or an empty one after an error.
    pub(crate) fn of(
        tree: &'t Tree,
        node: Option<&'t str>,
        what: &str,
        findings: &mut Findings,
    ) -> Keys<'t> {
        let entries = match &tree.value {
            Value::Map(entries) => entries.iter().map(|entry| (entry, false)).collect(),
            other => {
                findings.add(
                    tree.at,
                    node,
                    format!(
                        "{what} must be a map of keys and values, not {}",
                        other.kind()
                    ),
                    None,
                );
                Vec::new()
            }
        };
        Keys {
            at: tree.at,
            node,
            entries,
            asked: Vec::new(),
        }
    }

    pub(crate) fn at(&self) -> Place {
        self.at
    }

    pub(crate) fn node(&self) -> Option<&'t str> {
        self.node
    }

    /// Points the messages about the whole map somewhere else.
    pub(crate) fn placed(mut self, at: Place) -> Keys<'t> {
        self.at = at;
        self
    }

    pub(crate) fn error(
        &self,
        findings: &mut Findings,
        at: Place,
        message: impl Into<String>,
        help: Option<&str>,
    ) {
        findings.add(at, self.node, message, help.map(str::to_owned));
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(entry, _)| entry.key == key)
    }

    /// The place of a key, or of the map when it isn't there.
    pub(crate) fn place_of(&self, key: &str) -> Place {
        self.entries
            .iter()
            .find(|(entry, _)| entry.key == key)
            .map_or(self.at, |(entry, _)| entry.at)
    }

    /// The keys of this list that are there.
    pub(crate) fn which<const N: usize>(&self, of: [&'static str; N]) -> Vec<&'static str> {
        of.into_iter().filter(|key| self.has(key)).collect()
    }

    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'t Entry> {
        self.asked.push(key);
        let (entry, taken) = self
            .entries
            .iter_mut()
            .find(|(entry, _)| entry.key == key)?;
        *taken = true;
        Some(*entry)
    }

    /// All entries, when the keys are the administrator's own.
    pub(crate) fn take_all(&mut self) -> Vec<&'t Entry> {
        self.entries
            .iter_mut()
            .map(|(entry, taken)| {
                *taken = true;
                *entry
            })
            .collect()
    }

    /// A scalar.
    pub(crate) fn word(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<(&'t str, Place)> {
        let entry = self.take(key)?;
        match &entry.value.value {
            Value::Text(word) => Some((word, entry.at)),
            other => {
                self.error(
                    findings,
                    entry.at,
                    format!("`{key}` must be a text, not {}", other.kind()),
                    None,
                );
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        findings: &mut Findings,
    ) -> Option<T> {
        let (word, at) = self.word(key, findings)?;
        let found = words.iter().find(|(known, _)| *known == word);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
            findings.add(
                at,
                self.node,
                format!("`{key}` can't be \"{word}\""),
                Some(format!("It is one of: {}.", known.join(", "))),
            );
        }
        found.map(|(_, value)| *value)
    }

    pub(crate) fn truth(&mut self, key: &'static str, findings: &mut Findings) -> Option<bool> {
        self.choice(key, &[("true", true), ("false", false)], findings)
    }

    /// A whole number within bounds.
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        bounds: std::ops::RangeInclusive<u32>,
        findings: &mut Findings,
    ) -> Option<u32> {
        let (word, at) = self.word(key, findings)?;
        let number = word
            .parse::<u32>()
            .ok()
            .filter(|number| bounds.contains(number));
        if number.is_none() {
            self.error(
                findings,
                at,
                format!(
                    "`{key}` must be a whole number from {} to {}, not \"{word}\"",
                    bounds.start(),
                    bounds.end()
                ),
                None,
            );
        }
        number
    }

    /// A duration (`500ms`, `5s`, `2m`) within bounds.
    pub(crate) fn duration(
        &mut self,
        key: &'static str,
        bounds: std::ops::RangeInclusive<Duration>,
        findings: &mut Findings,
    ) -> Option<Duration> {
        let (word, at) = self.word(key, findings)?;
        let duration = duration(word).filter(|duration| bounds.contains(duration));
        if duration.is_none() {
            self.error(
                findings,
                at,
                format!(
                    "`{key}` must be a time from {:?} to {:?}, not \"{word}\"",
                    bounds.start(),
                    bounds.end()
                ),
                Some("Times are written 500ms, 5s or 2m."),
            );
        }
        duration
    }

    /// A text to be spoken: in the first of these languages, or a map of
    /// languages and texts.
    pub(crate) fn text(
        &mut self,
        key: &'static str,
        languages: &[Language],
        findings: &mut Findings,
    ) -> Option<Text> {
        let entry = self.take(key)?;
        let first = languages.first().copied().unwrap_or(Language::ENGLISH);
        let node = self.node;
        let phrase = |language: Language, source: &str, at: Place, findings: &mut Findings| {
            let phrase = Phrase::parse(source);
            if let Err(fault) = &phrase {
                findings.add(at, node, fault.message.clone(), fault.help.clone());
            }
            phrase.ok().map(|phrase| (language, phrase))
        };
        let mut by = Vec::new();
        match &entry.value.value {
            Value::Text(source) => by.push(phrase(first, source, entry.at, findings)),
            Value::Nothing => by.push(phrase(first, "", entry.at, findings)),
            Value::Map(entries) => {
                for tongue in entries {
                    let language =
                        Language::from_tag(&tongue.key).filter(|known| languages.contains(known));
                    match (language, &tongue.value.value) {
                        (Some(language), Value::Text(source)) => {
                            by.push(phrase(language, source, tongue.at, findings));
                        }
                        (None, _) => {
                            by.push(None);
                            let known: Vec<&str> = languages.iter().map(Language::tag).collect();
                            findings.add(
                                tongue.at,
                                self.node,
                                format!("this flow doesn't speak \"{}\"", shortened(&tongue.key)),
                                Some(format!(
                                    "It speaks {}; add a language at the top: language: [en, es]. Put a text with a colon in it in quotes.",
                                    known.join(", ")
                                )),
                            );
                        }
                        (Some(_), other) => {
                            by.push(None);
                            findings.add(
                                tongue.at,
                                self.node,
                                format!("`{key}` must be a text, not {}", other.kind()),
                                None,
                            );
                        }
                    }
                }
                if entries.is_empty() {
                    by.push(phrase(first, "", entry.at, findings));
                }
            }
            Value::List(_) => {
                self.error(
                    findings,
                    entry.at,
                    format!("`{key}` must be a text, not a list"),
                    None,
                );
                return None;
            }
        }
        Text::of(by.into_iter().collect::<Option<_>>()?).ok()
    }

    /// Refuses what nobody asked for.
    pub(crate) fn finish(self, what: &str, findings: &mut Findings) {
        for (entry, _) in self.entries.iter().filter(|(_, taken)| !taken) {
            let help = match nearest(&entry.key, self.asked.iter().copied()) {
                Some(near) => format!("Is `{near}` meant?"),
                None => format!("Known here: {}.", self.asked.join(", ")),
            };
            findings.add(
                entry.at,
                self.node,
                format!("`{}` isn't a key of {what}", shortened(&entry.key)),
                Some(help),
            );
        }
    }
}

/// A key as it is quoted in a message.
pub(crate) fn shortened(word: &str) -> String {
    if word.chars().nth(60).is_none() {
        return word.to_owned();
    }
    word.chars().take(57).chain("...".chars()).collect()
}

/// Reads `500ms`, `5s`, `2m`.
pub(crate) fn duration(word: &str) -> Option<Duration> {
    let word = word.trim();
    let digits = word.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = word.split_at(digits);
    let number: u32 = number.parse().ok()?;
    match unit.trim() {
        "ms" => Some(Duration::from_millis(number.into())),
        "s" => Some(Duration::from_secs(number.into())),
        "m" => Some(Duration::from_secs(60 * u64::from(number))),
        _ => None,
    }
}

/// The known word closest to a misspelt one, if any is close.
pub(crate) fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    if word.len() > 60 {
        return None;
    }
    known
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance, insertions, deletions and replacements counting one each.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |word, millis: Option<u64>| {
            assert_eq!(duration(word), millis.map(Duration::from_millis), "{word}");
        };
        check("500ms", Some(500));
        check("5s", Some(5_000));
        check("2 m", Some(120_000));
        check("5", None);
        check("s", None);
        check("-5s", None);
        check("99999999999s", None);
        check("", None);
    }

    #[test]
    fn near_words() {
        let check = |word, expected| {
            assert_eq!(
                nearest(word, ["next", "timeout", "options"].into_iter()),
                expected,
                "{word}"
            );
        };
        check("nxt", Some("next"));
        check("time_out", Some("timeout"));
        check("option", Some("options"));
        check("banana", None);
    }
}
