//! HTTP nodes: an action of the hospital is called, and its answer kept.

use std::sync::Arc;

use super::Surroundings;
use crate::document::Value;
use crate::flow::{Http, Save};
use crate::keys::{Findings, Keys, nearest, shortened};
use crate::language::ONE_MOMENT;

/// Most fields sent, and most kept.
const FIELDS_MAX: usize = 16;

impl Surroundings<'_> {
    pub(super) fn http(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Http> {
        let entry = keys.take("http")?;
        let mut map = Keys::of(&entry.value, keys.node(), "`http`", findings).placed(entry.at);
        let there = map.has("action");
        let action = self.named(
            &mut map,
            "action",
            "an action's name",
            "actions` in the hospital's",
            findings,
        );
        if !there {
            map.error(
                findings,
                map.at(),
                "the node doesn't say which `action` it calls",
                Some("For example: http: {action: system-status, save: {works: works}}"),
            );
        }
        let with = self.expressions(&mut map, "with", findings);
        let with = with.into_iter().filter_map(|(name, at, value)| {
            if is_field(&name) {
                return Some((Arc::from(name), value));
            }
            findings.add(at, keys.node(), no_field(&name), Some(FIELD.to_owned()));
            None
        });
        let with: Box<[_]> = with.collect();
        let save = self.saved(&mut map, findings);
        map.finish("`http`", findings);
        let music = self.music(keys, findings);
        let at_once = keys.has("say");
        let say = self.always(keys, "say", ONE_MOMENT, findings);
        let ok = self.needed(
            keys,
            "ok",
            "where does the caller go with the answer?",
            findings,
        );
        let failed = self.needed(
            keys,
            "failed",
            "where does the caller go when there is no answer? To a person, rather",
            findings,
        );
        Some(Http {
            action: action?,
            with,
            save: save.into(),
            say: say?,
            at_once,
            music,
            ok,
            failed,
        })
    }

    /// Which fields of the answer which variables are given.
    fn saved(&self, map: &mut Keys<'_>, findings: &mut Findings) -> Vec<Save> {
        let Some(entry) = map.take("save") else {
            return Vec::new();
        };
        let node = map.node();
        let entries = Keys::of(&entry.value, node, "`save`", findings).take_all();
        if entries.len() > FIELDS_MAX {
            let many = format!("`save` has more than {FIELDS_MAX} entries");
            findings.add(entry.at, node, many, None);
            return Vec::new();
        }
        let mut save = Vec::new();
        for entry in entries {
            let mut refuse = |message: String, help: String| {
                findings.add(entry.at, node, message, Some(help));
            };
            let name = &entry.key;
            let slot = self.variables.iter().position(|(known, _)| known == name);
            let field = match &entry.value.value {
                Value::Text(field) if is_field(field) => field,
                Value::Text(field) => {
                    refuse(no_field(field), FIELD.to_owned());
                    continue;
                }
                other => {
                    let message = format!(
                        "`{}` is kept from a field of the answer, not from {}",
                        shortened(name),
                        other.kind()
                    );
                    refuse(message, "Name the field: save: {works: works}".to_owned());
                    continue;
                }
            };
            match slot.and_then(|slot| Some((u16::try_from(slot).ok()?, self.variables[slot].1))) {
                Some((slot, kind)) => save.push(Save {
                    slot,
                    kind,
                    field: Arc::from(field.as_str()),
                }),
                None => refuse(
                    format!("there is no variable `{}`", shortened(name)),
                    match nearest(name, self.variables.iter().map(|(known, _)| &**known)) {
                        Some(near) => format!("Is `{near}` meant?"),
                        None => format!("Declare it: variables: {{{}: text}}", shortened(name)),
                    },
                ),
            }
        }
        save
    }
}

/// Whether a word may name a field of an action's JSON.
fn is_field(word: &str) -> bool {
    (1..=48).contains(&word.len())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn no_field(word: &str) -> String {
    format!("\"{}\" can't be a field's name", shortened(word))
}

const FIELD: &str = "Letters, digits, - _ and ., at most 48; fields within fields can't be named.";
