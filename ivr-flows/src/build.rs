//! The whole document to a flow.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::document::{self, Entry, Place, Value};
use crate::expression::ValKind;
use crate::flow::{Flow, Kind, NodeIndex, Pace, Purpose};
use crate::keys::{Findings, Keys, nearest, shortened};
pub(crate) use crate::kinds::What;
use crate::kinds::{Surroundings, is_node_name};
use crate::language::Language;
use crate::script::Script;
use crate::{CheckError, Drafts};

/// Most nodes of a flow.
pub(crate) const NODES_MAX: usize = 200;
/// Most tests of a flow.
const TESTS_MAX: usize = 100;

/// Most languages of a flow.
const LANGUAGES_MAX: usize = 8;
/// Most inputs and variables of a flow together.
const VARIABLES_MAX: usize = 32;

/// One document as read: sound by itself, its sub-flows not yet in it.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) file: Arc<str>,
    pub(crate) name: String,
    pub(crate) pace: Pace,
    pub(crate) purpose: Purpose,
    pub(crate) languages: Vec<Language>,
    /// Inputs first.
    pub(crate) variables: Vec<(String, ValKind)>,
    /// How many of them are inputs.
    pub(crate) inputs: usize,
    pub(crate) start: NodeIndex,
    pub(crate) nodes: Vec<DraftNode>,
    pub(crate) tests: Vec<Script>,
}

#[derive(Debug)]
pub(crate) struct DraftNode {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) what: What,
}

/// Reads and checks one document that calls no other.
pub(crate) fn build(file: &str, source: &str) -> Result<Flow, Vec<CheckError>> {
    Drafts::default().flow(&Draft::read(file, source)?)
}

impl Draft {
    /// The names of its exits.
    pub(crate) fn exits(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(|node| match &node.what {
            What::Kind {
                kind: Kind::Exit(name),
                ..
            } => Some(&**name),
            _ => None,
        })
    }

    /// Reads one document.
    pub(crate) fn read(file: &str, source: &str) -> Result<Draft, Vec<CheckError>> {
        let mut findings = Findings::new(file);
        let tree = match document::read(source) {
            Ok(tree) => tree,
            Err(fault) => {
                findings.add(fault.at, None, fault.message, fault.help);
                return Err(findings.into_errors());
            }
        };
        let keys =
            Keys::of(&tree, None, "a flow", &mut findings).placed(Place { line: 1, column: 1 });
        let draft = Draft::of(file, keys, &mut findings);
        // Only a document whose every node stands by itself is a graph to walk.
        match draft {
            Some(draft) if findings.is_empty() => Ok(draft),
            _ => Err(findings.into_errors()),
        }
    }

    /// Where a node is named in a document that may be in the middle of being
    /// edited: the places of keys whose value it is, and of items that are it.
    pub(crate) fn references(source: &str, node: &str) -> Vec<Place> {
        let mut findings = Findings::new("");
        if let Ok(tree) = document::read(source) {
            let keys = Keys::of(&tree, None, "a flow", &mut findings);
            let _ = Draft::of("", keys, &mut findings);
        }
        findings.references_to(node)
    }

    fn of(file: &str, mut keys: Keys<'_>, findings: &mut Findings) -> Option<Draft> {
        let name = name(&mut keys, findings);
        // A note for whoever reads the file; nothing hangs on it.
        keys.word("about", findings);
        let pace = keys
            .choice(
                "pace",
                &[("standard", Pace::Standard), ("patient", Pace::Patient)],
                findings,
            )
            .unwrap_or(Pace::Standard);
        let languages = languages(&mut keys, findings);
        let purpose = keys
            .choice(
                "purpose",
                &[
                    ("callers", Purpose::Callers),
                    ("measurement", Purpose::Measurement),
                ],
                findings,
            )
            .unwrap_or(Purpose::Callers);
        let mut declared = Vec::new();
        variables(&mut keys, "inputs", &mut declared, findings);
        let inputs = declared.len();
        variables(&mut keys, "variables", &mut declared, findings);
        let entries = node_entries(&mut keys, findings);
        let surroundings = Surroundings {
            names: entries
                .iter()
                .zip(0..)
                .map(|(entry, index)| (entry.key.as_str(), NodeIndex(index)))
                .collect::<BTreeMap<_, _>>(),
            pace,
            purpose,
            languages: &languages,
            variables: &declared,
        };
        let start = start(&mut keys, &surroundings, findings);
        let mut nodes = Vec::with_capacity(entries.len());
        for entry in &entries {
            if let Some(what) = surroundings.node(entry, findings) {
                nodes.push(DraftNode {
                    name: entry.key.clone(),
                    line: entry.at.line,
                    what,
                });
            }
        }
        let tests = tests(&mut keys, &surroundings, findings);
        keys.finish("a flow", findings);
        Some(Draft {
            file: Arc::from(file),
            name: name?,
            pace,
            purpose,
            languages,
            start: start?,
            nodes,
            tests,
            inputs,
            variables: declared,
        })
    }
}

fn name(keys: &mut Keys<'_>, findings: &mut Findings) -> Option<String> {
    let there = keys.has("flow");
    let name = keys.word("flow", findings).map(|(name, at)| {
        if !is_node_name(&name.replace('-', "_")) {
            findings.add(
                at,
                None,
                format!("\"{}\" can't be a flow's name", shortened(name)),
                Some("Small letters, digits, - and _, at most 48, a letter first.".to_owned()),
            );
        }
        name.to_owned()
    });
    if !there {
        keys.error(
            findings,
            keys.at(),
            "`flow` is missing: the flow's name",
            None,
        );
    }
    name
}

/// Reads `language: en` or `language: [en, es]`: those spoken, the first one first.
fn languages(keys: &mut Keys<'_>, findings: &mut Findings) -> Vec<Language> {
    let Some(entry) = keys.take("language") else {
        return vec![Language::ENGLISH];
    };
    let one = [entry.value.clone()];
    let items = match &entry.value.value {
        Value::List(items) => items,
        _ => &one[..],
    };
    let mut languages = Vec::new();
    for item in items {
        let language = match &item.value {
            Value::Text(tag) => Language::from_tag(tag),
            _ => None,
        };
        match language {
            Some(language) if !languages.contains(&language) => languages.push(language),
            _ => {
                findings.add(
                    entry.at,
                    None,
                    "`language` names languages by two small letters, each once",
                    Some("For example: language: en, or language: [en, es]".to_owned()),
                );
                return vec![Language::ENGLISH];
            }
        }
    }
    if languages.is_empty() || languages.len() > LANGUAGES_MAX {
        findings.add(
            entry.at,
            None,
            format!("a flow speaks 1 to {LANGUAGES_MAX} languages"),
            None,
        );
        return vec![Language::ENGLISH];
    }
    languages
}

/// Reads declarations: names and what they hold.
fn variables(
    keys: &mut Keys<'_>,
    key: &'static str,
    declared: &mut Vec<(String, ValKind)>,
    findings: &mut Findings,
) {
    let Some(entry) = keys.take(key) else {
        return;
    };
    for variable in Keys::of(&entry.value, None, &format!("`{key}`"), findings).take_all() {
        let name = &variable.key;
        let mut refuse = |message: String, help: &str| {
            findings.add(variable.at, None, message, Some(help.to_owned()));
        };
        if !is_node_name(name) {
            refuse(
                format!("\"{}\" can't be a variable's name", shortened(name)),
                "Small letters, digits and _, at most 48, a letter first.",
            );
            continue;
        }
        if declared.iter().any(|(known, _)| known == name) {
            refuse(format!("variable `{name}` stands twice"), "Rename one.");
            continue;
        }
        if declared.len() >= VARIABLES_MAX {
            refuse(
                format!("a flow has at most {VARIABLES_MAX} inputs and variables"),
                "Leave some out.",
            );
            return;
        }
        let word = match &variable.value.value {
            Value::Text(word) => word.as_str(),
            _ => "",
        };
        match ValKind::WORDS.iter().find(|(known, _)| *known == word) {
            Some((_, kind)) => declared.push((name.clone(), *kind)),
            None => refuse(
                format!("`{name}` can't be \"{}\"", shortened(word)),
                "A variable is one of: yes-or-no, text, number.",
            ),
        }
    }
}

fn node_entries<'t>(keys: &mut Keys<'t>, findings: &mut Findings) -> Vec<&'t Entry> {
    let Some(entry) = keys.take("nodes") else {
        keys.error(
            findings,
            keys.at(),
            "`nodes` is missing: the flow does nothing",
            None,
        );
        return Vec::new();
    };
    let entries = Keys::of(&entry.value, None, "`nodes`", findings).take_all();
    if entries.is_empty() || entries.len() > NODES_MAX {
        findings.add(
            entry.at,
            None,
            format!("a flow has 1 to {NODES_MAX} nodes, not {}", entries.len()),
            None,
        );
        return Vec::new();
    }
    for node in &entries {
        if !is_node_name(&node.key) {
            findings.add(
                node.at,
                None,
                format!("\"{}\" can't be a node's name", shortened(&node.key)),
                Some(
                    "Small letters, digits and _, at most 48, a letter first; not `stay`."
                        .to_owned(),
                ),
            );
        }
    }
    entries
}

fn start(
    keys: &mut Keys<'_>,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<NodeIndex> {
    if !keys.has("start") {
        keys.error(
            findings,
            keys.at(),
            "`start` is missing: at which node does a call begin?",
            None,
        );
    }
    let (word, at) = keys.word("start", findings)?;
    findings.refer(at, word);
    let found = surroundings.names.get(word).copied();
    if found.is_none() {
        findings.add(
            at,
            None,
            format!(
                "`start` names `{}`, and there is no such node",
                shortened(word)
            ),
            nearest(word, surroundings.names.keys().copied())
                .map(|near| format!("Is `{near}` meant?")),
        );
    }
    found
}

fn tests(
    keys: &mut Keys<'_>,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
) -> Vec<Script> {
    let Some(entry) = keys.take("tests") else {
        return Vec::new();
    };
    match &entry.value.value {
        Value::List(items) if items.len() <= TESTS_MAX => items
            .iter()
            .filter_map(|item| Script::read(item, &surroundings.names, findings))
            .collect(),
        _ => {
            findings.add(
                entry.at,
                None,
                format!("`tests` must be a list of at most {TESTS_MAX} tests"),
                None,
            );
            Vec::new()
        }
    }
}
