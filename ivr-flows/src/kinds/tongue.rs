//! Language nodes: a language is chosen in that language, or simply spoken.

use std::time::Duration;

use super::{Surroundings, one_key};
use crate::Pace;
use crate::document::{Entry, Value};
use crate::flow::{NodeIndex, Tongue, TongueChoice};
use crate::keys::{Findings, Keys, shortened};
use crate::language::Language;
use crate::text::{Placeholder, Text};

impl Surroundings<'_> {
    pub(super) fn tongue(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Tongue> {
        let entry = keys.take("language")?;
        let second = Duration::from_secs(1);
        let wait = keys
            .duration("wait", second / 2..=30 * second, findings)
            .unwrap_or(match self.pace {
                Pace::Standard => 2 * second,
                Pace::Patient => 3 * second,
            });
        let next = self.needed(
            keys,
            "next",
            "where does a caller go who presses nothing?",
            findings,
        );
        let mut tongue = Tongue {
            speak: None,
            choices: Box::default(),
            wait,
            next,
        };
        let node = keys.node();
        if let Value::Text(tag) = &entry.value.value {
            tongue.speak = Some(self.spoken_language(tag, entry, node, findings)?);
            return Some(tongue);
        }
        let mut map = Keys::of(&entry.value, node, "`language`", findings);
        let offered = map.take_all();
        let nothing = offered.is_empty();
        let choices: Vec<TongueChoice> = offered
            .into_iter()
            .filter_map(|choice| self.tongue_choice(choice, next, node, findings))
            .collect();
        if nothing {
            keys.error(
                findings,
                entry.at,
                "`language` offers nothing",
                Some("For example: language: {\"9\": {speak: es, say: \"Para español, oprima el nueve.\"}}"),
            );
        }
        for (n, choice) in choices.iter().enumerate() {
            if choices[..n].iter().any(|other| other.key == choice.key) {
                keys.error(
                    findings,
                    entry.at,
                    format!("key {} stands twice", choice.key),
                    None,
                );
            }
        }
        tongue.choices = choices.into();
        Some(tongue)
    }

    fn tongue_choice(
        &self,
        entry: &Entry,
        next: NodeIndex,
        node: Option<&str>,
        findings: &mut Findings,
    ) -> Option<TongueChoice> {
        let key = one_key(entry, node, findings);
        let mut keys = Keys::of(&entry.value, node, "a language's choice", findings);
        let speak = keys.take("speak");
        let speak = match speak.map(|entry| (entry, &entry.value.value)) {
            Some((entry, Value::Text(tag))) => self.spoken_language(tag, entry, node, findings),
            _ => {
                findings.add(
                    entry.at,
                    node,
                    "the choice doesn't say which language it is for",
                    Some("For example: speak: es".to_owned()),
                );
                None
            }
        };
        let say = keys.take("say");
        let say = match say.map(|entry| (entry, &entry.value.value)) {
            Some((entry, Value::Text(source))) => {
                match Text::one(speak.unwrap_or(Language::ENGLISH), source) {
                    Ok(text)
                        if text
                            .placeholders()
                            .any(|slot| slot != Placeholder::HospitalName) =>
                    {
                        findings.add(
                            entry.at,
                            node,
                            "only {hospital.name} can be said here",
                            None,
                        );
                        None
                    }
                    Ok(text) => Some(text),
                    Err(fault) => {
                        findings.add(entry.at, node, fault.message, fault.help);
                        None
                    }
                }
            }
            _ => {
                findings.add(
                    entry.at,
                    node,
                    "`say` is missing: a language is offered in that language",
                    Some("For example: say: \"Para español, oprima el nueve.\"".to_owned()),
                );
                None
            }
        };
        let to = self.target(&mut keys, "next", findings);
        keys.finish("a language's choice", findings);
        Some(TongueChoice {
            key: key?,
            speak: speak?,
            say: say?,
            next: to.unwrap_or(next),
        })
    }

    /// One of the flow's languages.
    pub(super) fn spoken_language(
        &self,
        tag: &str,
        entry: &Entry,
        node: Option<&str>,
        findings: &mut Findings,
    ) -> Option<Language> {
        let found = Language::from_tag(tag).filter(|known| self.languages.contains(known));
        if found.is_none() {
            let known: Vec<&str> = self.languages.iter().map(Language::tag).collect();
            findings.add(
                entry.at,
                node,
                format!("this flow doesn't speak \"{}\"", shortened(tag)),
                Some(format!(
                    "It speaks {}; add a language at the top: language: [en, es]",
                    known.join(", ")
                )),
            );
        }
        found
    }
}
