//! Queue nodes: who waits, what they hear, and every way out.

use std::time::Duration;

use super::{Surroundings, one_key, one_key_of};
use crate::Class;
use crate::document::Value;
use crate::flow::{NodeIndex, Queue, Standing};
use crate::keys::{Findings, Keys};
use crate::language::{COMFORT, LOST, NEXT_IN_LINE, POSITION, REPEAT};
use crate::text::{Placeholder, Text};

impl Surroundings<'_> {
    pub(super) fn queue(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Queue> {
        let name = self.named(
            keys,
            "queue",
            "a queue's name",
            "queues` in the operator's",
            findings,
        );
        let class = keys.choice(
            "class",
            &[
                ("caller", None),
                ("clinician", Some(Class::Clinician)),
                ("staff", Some(Class::Staff)),
                ("patient", Some(Class::Patient)),
                ("care_stopped", Some(Class::CareStopped)),
            ],
            findings,
        );
        let owner = keys.truth("owner", findings).unwrap_or(false);
        let music = self.music(keys, findings);
        let greeting = self.text(keys, "greeting", findings);
        let ticket = self.text(keys, "ticket_text", findings);
        if let Some(ticket) = &ticket
            && !ticket
                .placeholders()
                .any(|slot| slot == Placeholder::TicketNumber)
        {
            keys.error(
                findings,
                keys.place_of("ticket_text"),
                "`ticket_text` doesn't say {ticket.number}",
                None,
            );
        }
        let repeat_ticket = keys
            .take("repeat_ticket")
            .and_then(|entry| match &entry.value.value {
                Value::Text(key) => one_key_of(key, entry.at, keys.node(), findings),
                _ => {
                    keys.error(findings, entry.at, "`repeat_ticket` must be a key", None);
                    None
                }
            });
        let standing = self.standing(keys, findings);
        let lost = self.always(keys, "lost", LOST, findings);
        let exit_keys = self.exit_keys(keys, repeat_ticket, findings);
        let no_agents = self.no_agents(keys, findings);
        let refused = self
            .target(keys, "refused", findings)
            .or(no_agents.flatten());
        let patience = keys.duration(
            "max_wait",
            Duration::from_secs(10)..=Duration::from_secs(4 * 3600),
            findings,
        );
        let on_max_wait = self.target(keys, "on_max_wait", findings);
        if patience.is_some() != on_max_wait.is_some() {
            let at = if patience.is_some() {
                "max_wait"
            } else {
                "on_max_wait"
            };
            keys.error(
                findings,
                keys.place_of(at),
                "`max_wait` and `on_max_wait` only make sense together",
                None,
            );
        }
        let after = self.target(keys, "after", findings);
        Some(Queue {
            queue: name?,
            class: class.flatten(),
            owner,
            music,
            greeting,
            repeat: ticket.clone().or_else(|| Text::ours(REPEAT))?,
            ticket,
            // The star repeats the ticket unless it means something else here.
            repeat_ticket: repeat_ticket
                .or((!exit_keys.iter().any(|(key, _)| *key == '*')).then_some('*')),
            standing: standing?,
            lost: lost?,
            exit_keys: exit_keys.into(),
            no_agents: no_agents?,
            refused,
            patience: patience.zip(on_max_wait),
            after,
        })
    }

    /// How the caller is told where they stand; the inner `None`: not at all.
    fn standing(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Option<Standing>> {
        let silent = keys.truth("announce", findings) == Some(false);
        let every = keys
            .duration(
                "announce_every",
                Duration::from_secs(15)..=Duration::from_secs(300),
                findings,
            )
            .unwrap_or(Duration::from_secs(45));
        // Where there is a position to say, and nowhere else.
        let position = match keys.text("position", self.languages, findings) {
            None if !keys.has("position") => Text::ours(POSITION),
            position => position,
        };
        let next_in_line = self.always(keys, "next_in_line", NEXT_IN_LINE, findings);
        let comfort = self.always(keys, "comfort", COMFORT, findings);
        if let Some(position) = &position
            && !position
                .placeholders()
                .any(|slot| slot == Placeholder::QueuePosition)
        {
            keys.error(
                findings,
                keys.place_of("position"),
                "`position` doesn't say {queue.position}",
                None,
            );
        }
        let standing = Standing {
            position: position?,
            next_in_line: next_in_line?,
            comfort: comfort?,
            every,
        };
        Some((!silent).then_some(standing))
    }

    fn exit_keys(
        &self,
        keys: &mut Keys<'_>,
        repeat_ticket: Option<char>,
        findings: &mut Findings,
    ) -> Vec<(char, NodeIndex)> {
        let Some(entry) = keys.take("exit_keys") else {
            return Vec::new();
        };
        let node = keys.node();
        let mut map = Keys::of(&entry.value, node, "`exit_keys`", findings);
        let mut exits: Vec<(char, NodeIndex)> = Vec::new();
        for exit in map.take_all() {
            let Some(key) = one_key(exit, node, findings) else {
                continue;
            };
            if exits.iter().any(|(other, _)| *other == key) || repeat_ticket == Some(key) {
                findings.add(exit.at, node, format!("key {key} stands twice"), None);
                continue;
            }
            match &exit.value.value {
                Value::Text(name) => {
                    exits.push((key, self.resolve(name, &exit.key, exit.at, node, findings)));
                }
                other => findings.add(
                    exit.at,
                    node,
                    format!("a key leads to a node's name, not {}", other.kind()),
                    None,
                ),
            }
        }
        exits
    }

    /// Where to go when nobody is signed in; the inner `None`: stay.
    fn no_agents(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Option<NodeIndex>> {
        let there = keys.has("no_agents");
        let Some((word, at)) = keys.word("no_agents", findings) else {
            if !there {
                keys.error(
                    findings,
                    keys.at(),
                    "`no_agents` is missing: where does the caller go when nobody is signed in?",
                    Some("Name a node, or write `no_agents: stay` to wait with music until somebody signs in."),
                );
            }
            return None;
        };
        if word == "stay" {
            return Some(None);
        }
        Some(Some(self.resolve(
            word,
            "no_agents",
            at,
            keys.node(),
            findings,
        )))
    }
}
