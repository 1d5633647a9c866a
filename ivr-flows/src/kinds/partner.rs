//! Partner nodes: a call that leaves, and how its caller is taken back.

use std::time::Duration;

use super::Surroundings;
use crate::flow::Partner;
use crate::keys::{Findings, Keys};
use crate::language::PARTNER_LOST;

impl Surroundings<'_> {
    pub(super) fn partner(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Partner> {
        let name = self.named(
            keys,
            "partner",
            "a partner's name",
            "partners` in the hospital's",
            findings,
        );
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
        let failed = exit("failed", findings);
        let no_answer = exit("no_answer", findings);
        if !missing.is_empty() {
            keys.error(
                findings,
                keys.at(),
                format!(
                    "nothing is said for: {}; a caller the partner doesn't take must be taken back",
                    missing.join(", ")
                ),
                Some("Add an exit for each, or `next` for all the rest."),
            );
        }
        let after = self.target(keys, "after", findings);
        Some(Partner {
            partner: name?,
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
