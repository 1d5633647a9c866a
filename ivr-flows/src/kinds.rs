//! One node's map to one node: everything a single node can get wrong.

mod asking;
mod callback;
pub(crate) mod calling;
mod http;
mod incident;
mod queue;
mod routes;
mod set;
mod ticket;
mod tongue;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::document::{Entry, Place, Value};
use crate::expression::Variables;
use crate::flow::{HangUp, Kind, NodeIndex, Pace, Play, Purpose};
use crate::keys::{Findings, Keys, duration, nearest, shortened};
use crate::language::{Language, Said};
use crate::link::Sub;
use crate::text::{Placeholder, Text};

/// The key that says what a node is.
pub(crate) const KINDS: [&str; 19] = [
    "play", "menu", "collect", "identify", "verify", "hours", "branch", "ticket", "incident",
    "queue", "callback", "partner", "transfer", "http", "language", "set", "flow", "exit",
    "hang_up",
];

/// Kinds the product knows and this release doesn't.
const LATER: [&str; 2] = ["on_call", "voicemail"];

/// Most options of a menu: the keys there are.
const OPTION_KEYS: &str = "0123456789*#";

#[derive(Debug)]
pub(crate) struct Surroundings<'t> {
    pub(crate) names: BTreeMap<&'t str, NodeIndex>,
    pub(crate) pace: Pace,
    pub(crate) purpose: Purpose,
    /// The languages spoken, the first one first.
    pub(crate) languages: &'t [Language],
    /// The flow's own variables, inputs first.
    pub(crate) variables: &'t Variables,
}

/// A node as read.
#[derive(Debug)]
pub(crate) enum What {
    /// A play node whose `barge_in` isn't said gets it from the graph.
    Kind { kind: Kind, barge_in_open: bool },
    /// A call of another flow, which is put in its place.
    Sub(Sub),
}

impl Surroundings<'_> {
    /// Resolves a node's name. After an error the index means nothing, and no
    /// flow comes of it.
    fn resolve(
        &self,
        name: &str,
        key: &str,
        at: Place,
        node: Option<&str>,
        findings: &mut Findings,
    ) -> NodeIndex {
        findings.refer(at, name);
        if let Some(index) = self.names.get(name) {
            return *index;
        }
        let help = match nearest(name, self.names.keys().copied()) {
            Some(near) => format!("Is `{near}` meant?"),
            None => "Add the node, or name one that exists.".to_owned(),
        };
        findings.add(
            at,
            node,
            format!(
                "`{key}` leads to `{}`, and there is no such node",
                shortened(name)
            ),
            Some(help),
        );
        NodeIndex(0)
    }

    fn target(
        &self,
        keys: &mut Keys<'_>,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<NodeIndex> {
        let (name, at) = keys.word(key, findings)?;
        Some(self.resolve(name, key, at, keys.node(), findings))
    }

    /// A way out that must be there.
    fn needed(
        &self,
        keys: &mut Keys<'_>,
        key: &'static str,
        why: &str,
        findings: &mut Findings,
    ) -> NodeIndex {
        let there = keys.has(key);
        let target = self.target(keys, key, findings);
        if !there {
            keys.error(
                findings,
                keys.at(),
                format!("`{key}` is missing: {why}"),
                None,
            );
        }
        target.unwrap_or(NodeIndex(0))
    }

    /// Reads one node. `None` after errors that leave nothing to go on with.
    pub(crate) fn node(&self, entry: &Entry, findings: &mut Findings) -> Option<What> {
        let mut keys =
            Keys::of(&entry.value, Some(&entry.key), "a node", findings).placed(entry.at);
        if !matches!(entry.value.value, Value::Map(_)) {
            return None;
        }
        let kinds = keys.which(KINDS);
        let [kind] = kinds[..] else {
            if kinds.is_empty() {
                let later = keys.which(LATER);
                let (message, help) = match later.first() {
                    Some(word) => (
                        format!("`{word}` nodes aren't available in this release"),
                        None,
                    ),
                    None => (
                        "the node doesn't say what it does".to_owned(),
                        Some(format!("Give it one of: {}.", KINDS.join(", "))),
                    ),
                };
                findings.add(entry.at, Some(&entry.key), message, help);
            } else {
                keys.error(
                    findings,
                    entry.at,
                    format!("the node is several things at once: {}", kinds.join(", ")),
                    Some("Make a node of each, joined by `next`."),
                );
            }
            return None;
        };
        let mut barge_in_open = false;
        let read = match kind {
            "play" => self.play(&mut keys, findings).map(|(play, open)| {
                barge_in_open = open;
                Kind::Play(play)
            }),
            "menu" => self.menu(&mut keys, findings).map(Kind::Menu),
            "collect" => self.collect(&mut keys, findings).map(Kind::Collect),
            "identify" => self.identify(&mut keys, findings).map(Kind::Identify),
            "verify" => self
                .verify(&mut keys, findings)
                .map(|verify| Kind::Verify(Box::new(verify))),
            "hours" => self.hours(&mut keys, findings).map(Kind::Hours),
            "branch" => self.branch(&mut keys, findings).map(Kind::Branch),
            "ticket" => self.ticket(&mut keys, findings),
            "incident" => self.incident(&mut keys, findings),
            "queue" => self
                .queue(&mut keys, findings)
                .map(|queue| Kind::Queue(Box::new(queue))),
            "partner" => self
                .partner(&mut keys, findings)
                .map(|partner| Kind::Partner(Box::new(partner))),
            "transfer" => self
                .transfer(&mut keys, findings)
                .map(|transfer| Kind::Transfer(Box::new(transfer))),
            "http" => self
                .http(&mut keys, findings)
                .map(|http| Kind::Http(Box::new(http))),
            "callback" => self
                .callback(&mut keys, findings)
                .map(|back| Kind::Callback(Box::new(back))),
            "language" => self.tongue(&mut keys, findings).map(Kind::Language),
            "set" => self.set(&mut keys, findings).map(Kind::Set),
            "exit" => self.exit(&mut keys, findings).map(Kind::Exit),
            "flow" => {
                let sub = self.sub_flow(&mut keys, findings);
                keys.finish("a flow node", findings);
                return sub.map(What::Sub);
            }
            _ => self.hang_up(&mut keys, findings).map(Kind::HangUp),
        };
        keys.finish(&format!("a {kind} node"), findings);
        read.map(|kind| What::Kind {
            kind,
            barge_in_open,
        })
    }

    /// What is said here, where no position in a queue is known.
    fn text(
        &self,
        keys: &mut Keys<'_>,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<Text> {
        let text = keys.text(key, self.languages, findings)?;
        if text
            .placeholders()
            .any(|used| used == Placeholder::QueuePosition)
        {
            keys.error(
                findings,
                keys.place_of(key),
                format!(
                    "{{{}}} can't be said here",
                    Placeholder::QueuePosition.word()
                ),
                Some("It belongs into `position` of a queue node."),
            );
        }
        Some(text)
    }

    /// The same, where something must be left to hear whatever isn't known.
    fn heard(
        &self,
        keys: &mut Keys<'_>,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<Text> {
        let text = self.text(keys, key, findings)?;
        if !text.always_heard() {
            keys.error(
                findings,
                keys.place_of(key),
                "the caller may hear nothing: every sentence is left out when its placeholder has no value",
                Some("Add a sentence without {caller.name} and {ticket.number}."),
            );
        }
        Some(text)
    }

    /// The same, or what we say where the flow says nothing.
    fn always(
        &self,
        keys: &mut Keys<'_>,
        key: &'static str,
        ours: &Said,
        findings: &mut Findings,
    ) -> Option<Text> {
        if keys.has(key) {
            self.heard(keys, key, findings)
        } else {
            keys.take(key);
            Text::ours(ours)
        }
    }

    /// The name of something that stands in the operator's or the hospital's file.
    fn named(
        &self,
        keys: &mut Keys<'_>,
        key: &'static str,
        what: &str,
        stands: &str,
        findings: &mut Findings,
    ) -> Option<Arc<str>> {
        let (name, at) = keys.word(key, findings)?;
        if !is_queue_name(name) {
            keys.error(
                findings,
                at,
                format!("\"{}\" can't be {what}", shortened(name)),
                Some(&format!(
                    "Small letters, digits, - and _, at most 48; it stands under `{stands} file."
                )),
            );
        }
        Some(Arc::from(name))
    }

    /// Whether music plays while the caller waits: only the machine waits without.
    fn music(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> bool {
        let music = keys.truth("music", findings).unwrap_or(true);
        if !music && self.purpose == Purpose::Callers {
            keys.error(
                findings,
                keys.place_of("music"),
                "without music the caller waits in silence",
                Some("Only a flow with `purpose: measurement` may do that."),
            );
        }
        music
    }

    fn play(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<(Play, bool)> {
        let text = self.text(keys, "play", findings);
        let barge_in = keys.truth("barge_in", findings);
        let next = self.needed(
            keys,
            "next",
            "after this text the caller would be left in silence",
            findings,
        );
        Some((
            Play {
                text: text?,
                barge_in: barge_in.unwrap_or(false),
                next,
            },
            barge_in.is_none(),
        ))
    }

    fn hang_up(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<HangUp> {
        let text = self.heard(keys, "hang_up", findings)?;
        Some(HangUp { text })
    }
}

fn one_key(entry: &Entry, node: Option<&str>, findings: &mut Findings) -> Option<char> {
    one_key_of(&entry.key, entry.at, node, findings)
}

fn one_key_of(word: &str, at: Place, node: Option<&str>, findings: &mut Findings) -> Option<char> {
    let mut letters = word.chars();
    match (letters.next(), letters.next()) {
        (Some(key), None) if OPTION_KEYS.contains(key) => Some(key),
        _ => {
            findings.add(
                at,
                node,
                format!("\"{}\" is no key of a telephone", shortened(word)),
                Some("The keys are 0 to 9, \"*\" and \"#\".".to_owned()),
            );
            None
        }
    }
}

/// Whether a word may name a queue.
pub(crate) fn is_queue_name(word: &str) -> bool {
    (1..=48).contains(&word.len())
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

/// Whether a word may name a node.
pub(crate) fn is_node_name(word: &str) -> bool {
    (1..=48).contains(&word.len())
        && word.starts_with(|c: char| c.is_ascii_lowercase())
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && word != "stay"
        && duration(word).is_none()
}
