//! One node's map to one node: everything a single node can get wrong.

mod partner;
mod set;
mod tongue;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::document::{Entry, Place, Tree, Value};
use crate::expression::{Condition, Variables};
use crate::flow::{
    Ask, Branch, Choice, Collect, HangUp, Hours, Identify, Kind, Menu, NodeIndex, Pace, Play,
    Purpose, Queue, Standing, Ticket,
};
use crate::keys::{Findings, Keys, duration, nearest, shortened};
use crate::language::{
    COMFORT, LOST, Language, NEXT_IN_LINE, POSITION, REPEAT, SORRY_COLLECT, SORRY_MENU, Said,
};
use crate::link::Sub;
use crate::text::{Placeholder, Text};
use crate::{Class, Role};

/// The key that says what a node is.
pub(crate) const KINDS: [&str; 14] = [
    "play", "menu", "collect", "identify", "hours", "branch", "ticket", "queue", "partner",
    "language", "set", "flow", "exit", "hang_up",
];

/// Kinds the product knows and this release doesn't.
const LATER: [&str; 7] = [
    "verify",
    "incident",
    "on_call",
    "callback",
    "voicemail",
    "transfer",
    "http",
];

/// Most options of a menu: the keys there are.
const OPTION_KEYS: &str = "0123456789*#";
/// Most options of a menu in the patient pace, `0` aside.
const PATIENT_OPTIONS_MAX: usize = 3;
/// Longest question in the patient pace, in characters.
const PATIENT_QUESTION_CHARS_MAX: usize = 240;
/// Most cases of a branch.
const CASES_MAX: usize = 16;
/// Most keys collected.
const DIGITS_MAX: u32 = 20;

/// The names of the nodes, and the pace they are checked against.
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
            "hours" => self.hours(&mut keys, findings).map(Kind::Hours),
            "branch" => self.branch(&mut keys, findings).map(Kind::Branch),
            "ticket" => self.ticket(&mut keys, findings).map(Kind::Ticket),
            "queue" => self
                .queue(&mut keys, findings)
                .map(|queue| Kind::Queue(Box::new(queue))),
            "partner" => self
                .partner(&mut keys, findings)
                .map(|partner| Kind::Partner(Box::new(partner))),
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

    fn play(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<(Play, bool)> {
        let text = keys.text("play", self.languages, findings);
        if let Some(text) = &text {
            refuse(text, Placeholder::QueuePosition, "play", keys, findings);
        }
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

    fn ask(
        &self,
        keys: &mut Keys<'_>,
        question: &'static str,
        sorry: &Said,
        findings: &mut Findings,
    ) -> Option<Ask> {
        let text = keys.text(question, self.languages, findings);
        if let Some(text) = &text {
            refuse(text, Placeholder::QueuePosition, question, keys, findings);
            heard(text, question, keys, findings);
        }
        let sorry = if keys.has("sorry") {
            let sorry = keys.text("sorry", self.languages, findings);
            if let Some(sorry) = &sorry {
                refuse(sorry, Placeholder::QueuePosition, "sorry", keys, findings);
                heard(sorry, "sorry", keys, findings);
            }
            sorry
        } else {
            keys.take("sorry");
            Text::ours(sorry)
        };
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

    fn menu(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Menu> {
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
                            _ => None,
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

    fn collect(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Collect> {
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

    fn hours(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Hours> {
        let (calendar, at) = keys.word("hours", findings)?;
        if !is_queue_name(calendar) {
            keys.error(
                findings,
                at,
                format!("\"{}\" can't be the name of opening hours", shortened(calendar)),
                Some("Small letters, digits, - and _, at most 48; they stand under `hours` in the hospital's file."),
            );
        }
        let calendar = Arc::from(calendar);
        let open = self.needed(keys, "open", "where does the caller go then?", findings);
        let closed = self.needed(keys, "closed", "where does the caller go then?", findings);
        let holiday = self.target(keys, "holiday", findings);
        Some(Hours {
            calendar,
            open,
            closed,
            holiday: holiday.unwrap_or(closed),
        })
    }

    fn identify(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Identify> {
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

    fn branch(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Branch> {
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

    fn ticket(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Ticket> {
        let () = keys.choice("ticket", &[("open", ())], findings)?;
        let second = Duration::from_secs(1);
        let wait = keys
            .duration("wait", second / 5..=10 * second, findings)
            .unwrap_or(2 * second);
        // Without exits of their own, the call goes on the same way with and
        // without a number: sentences that would speak it are left out.
        let rest = self.target(keys, "next", findings);
        let on_ticket = self.target(keys, "on_ticket", findings).or(rest);
        let on_store_down = self.target(keys, "on_store_down", findings).or(rest);
        let missing = match (on_ticket, on_store_down) {
            (Some(next), Some(on_store_down)) => {
                return Some(Ticket {
                    wait,
                    next,
                    on_store_down,
                });
            }
            (None, Some(_)) => "`on_ticket` is missing: where does the caller go with the number?",
            (Some(_), None) => {
                "`on_store_down` is missing: where does the caller go when no ticket can be kept?"
            }
            (None, None) => "`next` is missing: after this the caller would be left in silence",
        };
        keys.error(
            findings,
            keys.at(),
            missing,
            Some("`next` serves for both."),
        );
        None
    }

    fn queue(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Queue> {
        let (name, at) = keys.word("queue", findings)?;
        if !is_queue_name(name) {
            keys.error(
                findings,
                at,
                format!("\"{}\" can't be a queue's name", shortened(name)),
                Some("Small letters, digits, - and _, at most 48."),
            );
        }
        let class = keys.choice(
            "class",
            &[
                ("caller", None),
                ("clinician", Some(Class::Clinician)),
                ("staff", Some(Class::Staff)),
                ("patient", Some(Class::Patient)),
            ],
            findings,
        );
        let music = keys.truth("music", findings).unwrap_or(true);
        let greeting = keys.text("greeting", self.languages, findings);
        let ticket = keys.text("ticket_text", self.languages, findings);
        for (text, key) in [(&greeting, "greeting"), (&ticket, "ticket_text")] {
            if let Some(text) = text {
                refuse(text, Placeholder::QueuePosition, key, keys, findings);
            }
        }
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
        let lost = if keys.has("lost") {
            let lost = keys.text("lost", self.languages, findings);
            if let Some(lost) = &lost {
                refuse(lost, Placeholder::QueuePosition, "lost", keys, findings);
                heard(lost, "lost", keys, findings);
            }
            lost
        } else {
            keys.take("lost");
            Text::ours(LOST)
        };
        if !music && self.purpose == Purpose::Callers {
            keys.error(
                findings,
                keys.place_of("music"),
                "without music the caller waits in silence",
                Some("Only a flow with `purpose: measurement` may do that."),
            );
        }
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
            queue: Arc::from(name),
            class: class.flatten(),
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
        let mut text = |key: &'static str, default: &Said, findings: &mut Findings| {
            if keys.has(key) {
                keys.text(key, self.languages, findings)
            } else {
                keys.take(key);
                Text::ours(default)
            }
        };
        let position = text("position", POSITION, findings);
        let next_in_line = text("next_in_line", NEXT_IN_LINE, findings);
        let comfort = text("comfort", COMFORT, findings);
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
        for (text, key) in [(&next_in_line, "next_in_line"), (&comfort, "comfort")] {
            if let Some(text) = text {
                refuse(text, Placeholder::QueuePosition, key, keys, findings);
                heard(text, key, keys, findings);
            }
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

    fn hang_up(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<HangUp> {
        let text = keys.text("hang_up", self.languages, findings)?;
        refuse(&text, Placeholder::QueuePosition, "hang_up", keys, findings);
        heard(&text, "hang_up", keys, findings);
        Some(HangUp { text })
    }
}

/// Refuses a placeholder where it can have no value.
fn refuse(text: &Text, slot: Placeholder, key: &str, keys: &Keys<'_>, findings: &mut Findings) {
    if text.placeholders().any(|used| used == slot) {
        keys.error(
            findings,
            keys.place_of(key),
            format!("{{{}}} can't be said here", slot.word()),
            Some("It belongs into `position` of a queue node."),
        );
    }
}

/// Refuses a text of which nothing may be left.
fn heard(text: &Text, key: &str, keys: &Keys<'_>, findings: &mut Findings) {
    if !text.always_heard() {
        keys.error(
            findings,
            keys.place_of(key),
            "the caller may hear nothing: every sentence is left out when its placeholder has no value",
            Some("Add a sentence without {caller.name} and {ticket.number}."),
        );
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
