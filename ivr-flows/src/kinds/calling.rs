//! Partner and transfer nodes: a call that leaves, and how its caller is taken back.

use std::time::Duration;

use super::Surroundings;
use crate::document::Value;
use crate::expression::Expression;
use crate::flow::{Outgoing, Partner, Target, Transfer};
use crate::keys::{Findings, Keys, shortened};
use crate::language::PARTNER_LOST;

/// Longest target of a transfer, in characters.
pub(crate) const TARGET_MAX: usize = 48;

/// Whether a word may be dialled: a number, or the name of an account or a queue.
pub(crate) fn is_dialable(word: &str) -> bool {
    let rest = word.strip_prefix('+').unwrap_or(word);
    (1..=TARGET_MAX).contains(&rest.len())
        && rest
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

impl Surroundings<'_> {
    pub(super) fn partner(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Partner> {
        let name = self.named(
            keys,
            "partner",
            "a partner's name",
            "partners` in the hospital's",
            findings,
        );
        let call = self.outgoing(keys, "failed", findings);
        Some(Partner {
            partner: name?,
            call: call?,
        })
    }

    pub(super) fn transfer(
        &self,
        keys: &mut Keys<'_>,
        findings: &mut Findings,
    ) -> Option<Transfer> {
        let to = self.target_of_transfer(keys, findings);
        let call = self.outgoing(keys, "refused", findings);
        Some(Transfer {
            to: to?,
            call: call?,
        })
    }

    fn target_of_transfer(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Target> {
        let entry = keys.take("transfer")?;
        let node = keys.node();
        if let Value::Text(to) = &entry.value.value {
            if !is_dialable(to) {
                findings.add(
                    entry.at,
                    node,
                    format!("\"{}\" can't be dialled", shortened(to)),
                    Some(
                        "Write an extension, an account's or queue's name, or a number outside in digits with an optional +; \
                         what is computed is written transfer: {to: digits}."
                            .to_owned(),
                    ),
                );
                return None;
            }
            return Some(Target::Fixed {
                to: to.as_str().into(),
                line: entry.at.line,
            });
        }
        let mut map = Keys::of(&entry.value, node, "`transfer`", findings).placed(entry.at);
        let there = map.has("to");
        let source = map.word("to", findings);
        let outside = map.truth("outside", findings).unwrap_or(false);
        map.finish("a transfer's target", findings);
        let Some((source, at)) = source else {
            if !there {
                findings.add(
                    entry.at,
                    node,
                    "the transfer doesn't say where `to`",
                    Some("For example: transfer: {to: digits}".to_owned()),
                );
            }
            return None;
        };
        match Expression::parse(source, self.variables) {
            Ok(Expression::Words(to)) => Some(Target::Computed { to, outside }),
            Ok(other) => {
                findings.add(
                    at,
                    node,
                    format!("`to` is {}, not a text", other.kind().words()),
                    Some(
                        "It gives what is dialled: digits, vars.extension; a fixed target is written transfer: \"7004\"."
                            .to_owned(),
                    ),
                );
                None
            }
            Err(fault) => {
                findings.add(at, node, fault.message, fault.help);
                None
            }
        }
    }

    /// What the two have in common. `failed`: the name of that exit.
    fn outgoing(
        &self,
        keys: &mut Keys<'_>,
        failed: &'static str,
        findings: &mut Findings,
    ) -> Option<Outgoing> {
        let music = self.music(keys, findings);
        let greeting = self.text(keys, "greeting", findings);
        let lost = self.always(keys, "lost", PARTNER_LOST, findings);
        let second = Duration::from_secs(1);
        let ring_for = keys
            .duration("ring_for", 5 * second..=120 * second, findings)
            .unwrap_or(30 * second);
        let rest = self.target(keys, "next", findings);
        let mut missing = Vec::new();
        let mut exit = |key: &'static str, findings: &mut Findings| {
            let there = keys.has(key);
            let target = self.target(keys, key, findings).or(rest);
            if target.is_none() && !there {
                missing.push(key);
            }
            target
        };
        let busy = exit("busy", findings);
        let failed = exit(failed, findings);
        let no_answer = exit("no_answer", findings);
        if !missing.is_empty() {
            keys.error(
                findings,
                keys.at(),
                format!(
                    "nothing is said for: {}; a caller who isn't taken must be taken back",
                    missing.join(", ")
                ),
                Some("Add an exit for each, or `next` for all the rest."),
            );
        }
        let after = self.target(keys, "after", findings);
        Some(Outgoing {
            music,
            greeting,
            lost: lost?,
            ring_for,
            busy: busy?,
            failed: failed?,
            no_answer: no_answer?,
            after,
        })
    }
}
