//! Nodes about variables and about flows in flows: `set`, `flow`, `exit`.

use std::sync::Arc;

use super::{Surroundings, is_node_name};
use crate::document::{Place, Value};
use crate::expression::Expression;
use crate::flow::Set;
use crate::keys::{Findings, Keys, nearest, shortened};
use crate::link::Sub;

/// Most variables given a value by one node.
const VALUES_MAX: usize = 16;

impl Surroundings<'_> {
    pub(super) fn set(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Set> {
        let mut values = Vec::new();
        for (name, at, value) in self.expressions(keys, "set", findings) {
            let slot = self.variables.iter().position(|(known, _)| *known == name);
            match slot.map(|slot| (slot, self.variables[slot].1)) {
                None => findings.add(
                    at,
                    keys.node(),
                    format!("there is no variable `{}`", shortened(&name)),
                    Some(
                        match nearest(&name, self.variables.iter().map(|(known, _)| &**known)) {
                            Some(near) => format!("Is `{near}` meant?"),
                            None => {
                                format!("Declare it: variables: {{{}: number}}", shortened(&name))
                            }
                        },
                    ),
                ),
                Some((_, kind)) if kind != value.kind() => findings.add(
                    at,
                    keys.node(),
                    format!("`{name}` is {}, not {}", kind.words(), value.kind().words()),
                    Some("A text is written with quotes of its own: app: '\"records\"'".to_owned()),
                ),
                Some((slot, _)) => values.push((u16::try_from(slot).ok()?, value)),
            }
        }
        let next = self.needed(
            keys,
            "next",
            "after this the caller would be left in silence",
            findings,
        );
        Some(Set {
            values: values.into(),
            enters: None,
            next,
        })
    }

    /// A map of names and expressions.
    pub(super) fn expressions(
        &self,
        keys: &mut Keys<'_>,
        key: &'static str,
        findings: &mut Findings,
    ) -> Vec<(String, Place, Expression)> {
        let Some(entry) = keys.take(key) else {
            return Vec::new();
        };
        let node = keys.node();
        let entries = Keys::of(&entry.value, node, &format!("`{key}`"), findings).take_all();
        if entries.len() > VALUES_MAX {
            findings.add(
                entry.at,
                node,
                format!("`{key}` has more than {VALUES_MAX} entries"),
                None,
            );
            return Vec::new();
        }
        let mut values = Vec::new();
        for entry in entries {
            let Value::Text(source) = &entry.value.value else {
                findings.add(
                    entry.at,
                    node,
                    format!(
                        "`{}` must be an expression, not {}",
                        shortened(&entry.key),
                        entry.value.value.kind()
                    ),
                    Some("For example: true, 3, digits, vars.times + 1, '\"a text\"'".to_owned()),
                );
                continue;
            };
            match Expression::parse(source, self.variables) {
                Ok(value) => values.push((entry.key.clone(), entry.at, value)),
                Err(fault) => findings.add(entry.at, node, fault.message, fault.help),
            }
        }
        values
    }

    pub(super) fn sub_flow(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Sub> {
        let (flow, at) = keys.word("flow", findings)?;
        let with = self.expressions(keys, "with", findings);
        let mut exits = Vec::new();
        if let Some(entry) = keys.take("exits") {
            let node = keys.node();
            for exit in Keys::of(&entry.value, node, "`exits`", findings).take_all() {
                match &exit.value.value {
                    Value::Text(to) => {
                        let to = self.resolve(to, &exit.key, exit.at, node, findings);
                        exits.push((exit.key.clone(), exit.at, to));
                    }
                    other => findings.add(
                        exit.at,
                        node,
                        format!("an exit leads to a node's name, not {}", other.kind()),
                        None,
                    ),
                }
            }
        }
        let rest = self.target(keys, "next", findings);
        Some(Sub {
            flow: flow.to_owned(),
            at,
            with,
            exits,
            rest,
        })
    }

    pub(super) fn exit(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Arc<str>> {
        let (name, at) = keys.word("exit", findings)?;
        if !is_node_name(name) {
            keys.error(
                findings,
                at,
                format!("\"{}\" can't be an exit's name", shortened(name)),
                Some("Small letters, digits and _, at most 48, a letter first."),
            );
        }
        Some(Arc::from(name))
    }
}
