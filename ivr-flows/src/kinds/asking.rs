//! Questions: menus, and numbers keyed in.

use std::time::Duration;

use super::{Surroundings, one_key};
use crate::Pace;
use crate::Role;
use crate::document::Value;
use crate::flow::{Ask, Choice, Collect, Menu};
use crate::keys::{Findings, Keys, shortened};
use crate::language::{SORRY_COLLECT, SORRY_MENU, Said};

/// Most options of a menu in the patient pace, `0` aside.
const PATIENT_OPTIONS_MAX: usize = 3;
/// Longest question in the patient pace, in characters.
const PATIENT_QUESTION_CHARS_MAX: usize = 240;
/// Most keys collected.
const DIGITS_MAX: u32 = 20;

impl Surroundings<'_> {
    fn ask(
        &self,
        keys: &mut Keys<'_>,
        question: &'static str,
        sorry: &Said,
        findings: &mut Findings,
    ) -> Option<Ask> {
        let text = self.heard(keys, question, findings);
        let sorry = self.always(keys, "sorry", sorry, findings);
        let tries = keys.number("tries", 1..=5, findings).unwrap_or(3);
        let second = Duration::from_secs(1);
        let first_key = keys
            .duration("wait", 2 * second..=60 * second, findings)
            .unwrap_or(self.pace.first_key());
        let timeout = self.needed(
            keys,
            "timeout",
            "somebody who presses nothing must get somewhere",
            findings,
        );
        let invalid = self.needed(
            keys,
            "invalid",
            "somebody who keeps pressing wrong keys must get somewhere",
            findings,
        );
        Some(Ask {
            text: text?,
            sorry: sorry?,
            tries: u8::try_from(tries).unwrap_or(3),
            first_key,
            next_key: self.pace.next_key(),
            timeout,
            invalid,
        })
    }

    pub(super) fn menu(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Menu> {
        if self.pace == Pace::Patient
            && let Some(entry) = keys.take("menu")
            && let Value::Text(text) = &entry.value.value
            && text.chars().nth(PATIENT_QUESTION_CHARS_MAX).is_some()
        {
            keys.error(
                findings,
                entry.at,
                format!("the question is longer than {PATIENT_QUESTION_CHARS_MAX} characters, too long for the patient pace"),
                Some("Say less, or divide it over two menus."),
            );
        }
        let ask = self.ask(keys, "menu", SORRY_MENU, findings);
        let options = self.options(keys, findings);
        if self.pace == Pace::Patient {
            let at = keys.place_of("options");
            if !options.iter().any(|choice| choice.key == '0') {
                keys.error(
                    findings,
                    at,
                    "the menu has no option 0",
                    Some("In the patient pace 0 always leads to a person."),
                );
            }
            // Languages are offered beside the choices.
            let others = options
                .iter()
                .filter(|choice| choice.key != '0' && choice.language.is_none())
                .count();
            if others > PATIENT_OPTIONS_MAX {
                keys.error(
                    findings,
                    at,
                    format!("the menu has {others} options besides 0; the patient pace allows {PATIENT_OPTIONS_MAX}"),
                    Some("Divide it over two menus, or leave the rest to the person behind 0."),
                );
            }
        }
        Some(Menu {
            ask: ask?,
            options: options.into(),
        })
    }

    fn options(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Vec<Choice> {
        let Some(entry) = keys.take("options") else {
            keys.error(
                findings,
                keys.at(),
                "`options` is missing: which keys lead where?",
                Some("For example: options: {\"1\": clinician, \"0\": person}"),
            );
            return Vec::new();
        };
        let node = keys.node();
        let mut map = Keys::of(&entry.value, node, "`options`", findings);
        let mut options: Vec<Choice> = Vec::new();
        for option in map.take_all() {
            let Some(key) = one_key(option, node, findings) else {
                continue;
            };
            if options.iter().any(|choice| choice.key == key) {
                findings.add(option.at, node, format!("key {key} stands twice"), None);
                continue;
            }
            let (next, role, language) = match &option.value.value {
                Value::Text(name) => (
                    self.resolve(name, &option.key, option.at, node, findings),
                    None,
                    None,
                ),
                _ => {
                    let mut long = Keys::of(&option.value, node, "an option", findings);
                    let next =
                        self.needed(&mut long, "next", "where does this key lead?", findings);
                    let role =
                        long.choice("role", &Role::ALL.map(|role| (role.word(), role)), findings);
                    let language = match long.take("language") {
                        Some(entry) => match &entry.value.value {
                            Value::Text(tag) => self.spoken_language(tag, entry, node, findings),
                            other => {
                                findings.add(
                                    entry.at,
                                    node,
                                    format!("`language` must be a text, not {}", other.kind()),
                                    None,
                                );
                                None
                            }
                        },
                        None => None,
                    };
                    long.finish("an option", findings);
                    (next, role, language)
                }
            };
            options.push(Choice {
                key,
                next,
                role,
                language,
            });
        }
        if options.is_empty() {
            findings.add(entry.at, node, "the menu has no options", None);
        }
        options
    }

    pub(super) fn collect(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Collect> {
        let ask = self.ask(keys, "collect", SORRY_COLLECT, findings);
        let length = keys.word("digits", findings).and_then(|(word, at)| {
            let length = match word.split_once('-') {
                Some((min, max)) => min.trim().parse::<u32>().ok().zip(max.trim().parse().ok()),
                None => word.trim().parse().ok().map(|exactly: u32| (exactly, exactly)),
            }
            .filter(|(min, max)| 1 <= *min && min <= max && *max <= DIGITS_MAX);
            if length.is_none() {
                keys.error(
                    findings,
                    at,
                    format!("`digits` can't be \"{}\"", shortened(word)),
                    Some("Write how many are needed, 10, or from how many to how many, 4-10; at most 20."),
                );
            }
            length
        });
        if !keys.has("digits") {
            keys.error(
                findings,
                keys.at(),
                "`digits` is missing: how many are collected?",
                Some("For example: digits: 10, or digits: 4-10"),
            );
        }
        if keys.truth("secret", findings) == Some(true) {
            keys.error(
                findings,
                keys.place_of("secret"),
                "secret digits aren't available in this release",
                None,
            );
        }
        let next = self.needed(
            keys,
            "next",
            "where does the caller go with the number?",
            findings,
        );
        let (min, max) = length?;
        Some(Collect {
            ask: ask?,
            min: u8::try_from(min).unwrap_or(u8::MAX),
            max: u8::try_from(max).unwrap_or(u8::MAX),
            next,
        })
    }
}
