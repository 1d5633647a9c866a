//! Partner nodes: a call that leaves, and how its caller is taken back.

use std::sync::Arc;
use std::time::Duration;

use super::{Surroundings, heard, is_queue_name, refuse};
use crate::Purpose;
use crate::flow::Partner;
use crate::keys::{Findings, Keys, shortened};
use crate::language::PARTNER_LOST;
use crate::text::{Placeholder, Text};

impl Surroundings<'_> {
    pub(super) fn partner(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Partner> {
        let (name, at) = keys.word("partner", findings)?;
        if !is_queue_name(name) {
            keys.error(
                findings,
                at,
                format!("\"{}\" can't be a partner's name", shortened(name)),
                Some("Small letters, digits, - and _, at most 48; partners stand under `partners` in the hospital's file."),
            );
        }
        let music = keys.truth("music", findings).unwrap_or(true);
        if !music && self.purpose == Purpose::Callers {
            keys.error(
                findings,
                keys.place_of("music"),
                "without music the caller waits in silence",
                Some("Only a flow with `purpose: measurement` may do that."),
            );
        }
        let greeting = keys.text("greeting", self.languages, findings);
        let lost = if keys.has("lost") {
            keys.text("lost", self.languages, findings)
        } else {
            keys.take("lost");
            Text::ours(PARTNER_LOST)
        };
        for (text, key) in [(&greeting, "greeting"), (&lost, "lost")] {
            if let Some(text) = text {
                refuse(text, Placeholder::QueuePosition, key, keys, findings);
            }
        }
        if let Some(lost) = &lost {
            heard(lost, "lost", keys, findings);
        }
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
            partner: Arc::from(name),
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
