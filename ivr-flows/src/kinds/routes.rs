//! Nodes that the caller doesn't hear: who calls, is it open, does a condition hold.

use super::Surroundings;
use crate::Role;
use crate::document::{Tree, Value};
use crate::expression::Condition;
use crate::flow::{Branch, Hours, Identify, NodeIndex};
use crate::keys::{Findings, Keys};

/// Most cases of a branch.
const CASES_MAX: usize = 16;

impl Surroundings<'_> {
    pub(super) fn hours(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Hours> {
        let calendar = self.named(
            keys,
            "hours",
            "the name of opening hours",
            "hours` in the hospital's",
            findings,
        );
        let open = self.needed(keys, "open", "where does the caller go then?", findings);
        let closed = self.needed(keys, "closed", "where does the caller go then?", findings);
        let holiday = self.target(keys, "holiday", findings).unwrap_or(closed);
        let emergency = self.target(keys, "emergency", findings);
        Some(Hours {
            calendar: calendar?,
            open,
            closed,
            holiday,
            emergency: emergency.unwrap_or(holiday),
        })
    }

    pub(super) fn identify(
        &self,
        keys: &mut Keys<'_>,
        findings: &mut Findings,
    ) -> Option<Identify> {
        let () = keys.choice("identify", &[("caller", ())], findings)?;
        let rest = self.target(keys, "next", findings);
        let mut exits = [NodeIndex(0); Role::ALL.len()];
        let mut missing = Vec::new();
        for (exit, role) in exits.iter_mut().zip(Role::ALL) {
            let there = keys.has(role.word());
            match self.target(keys, role.word(), findings).or(rest) {
                Some(index) => *exit = index,
                None if there => {}
                None => missing.push(role.word()),
            }
        }
        if !missing.is_empty() {
            keys.error(
                findings,
                keys.at(),
                format!("nothing is said for: {}", missing.join(", ")),
                Some("Add an exit for each, or `next` for all the rest."),
            );
        }
        Some(Identify { exits })
    }

    pub(super) fn branch(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Branch> {
        let entry = keys.take("branch")?;
        let node = keys.node();
        let mut cases = Vec::new();
        match &entry.value.value {
            Value::List(items) if !items.is_empty() && items.len() <= CASES_MAX => {
                for item in items {
                    cases.extend(self.case(item, node, findings));
                }
            }
            _ => findings.add(
                entry.at,
                node,
                format!("`branch` must be a list of 1 to {CASES_MAX} cases"),
                Some("Each is written: {when: 'caller.role == \"staff\"', next: staff}".to_owned()),
            ),
        }
        let otherwise = self.needed(
            keys,
            "else",
            "callers for whom no case holds must get somewhere",
            findings,
        );
        Some(Branch {
            cases: cases.into(),
            otherwise,
        })
    }

    fn case(
        &self,
        item: &Tree,
        node: Option<&str>,
        findings: &mut Findings,
    ) -> Option<(Condition, NodeIndex)> {
        let mut keys = Keys::of(item, node, "a case", findings);
        let condition = keys.word("when", findings);
        if !keys.has("when") {
            keys.error(findings, keys.at(), "the case has no `when`", None);
        }
        let next = self.needed(&mut keys, "next", "where does this case lead?", findings);
        keys.finish("a case", findings);
        let (source, at) = condition?;
        match Condition::parse(source, self.variables) {
            Ok(condition) => Some((condition, next)),
            Err(fault) => {
                findings.add(at, node, fault.message, fault.help);
                None
            }
        }
    }
}
