//! The whole document to a flow.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::document::{self, Entry, Place, Value};
use crate::flow::{Flow, Kind, Node, NodeIndex, Pace, Purpose};
use crate::keys::{Findings, Keys, nearest, shortened};
use crate::kinds::{Surroundings, is_node_name};
use crate::script::Script;
use crate::{CheckError, reach};

/// Most nodes of a flow.
pub(crate) const NODES_MAX: usize = 200;
/// Most tests of a flow.
const TESTS_MAX: usize = 100;

/// Reads and checks one document.
pub(crate) fn build(file: &str, source: &str) -> Result<Flow, Vec<CheckError>> {
    let mut findings = Findings::new(file);
    let tree = match document::read(source) {
        Ok(tree) => tree,
        Err(fault) => {
            findings.add(fault.at, None, fault.message, fault.help);
            return Err(findings.into_errors());
        }
    };
    let mut keys =
        Keys::of(&tree, None, "a flow", &mut findings).placed(Place { line: 1, column: 1 });
    let name = keys.word("flow", &mut findings).map(|(name, at)| {
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
    if !keys.has("flow") {
        keys.error(
            &mut findings,
            keys.at(),
            "`flow` is missing: the flow's name",
            None,
        );
    }
    // A note for whoever reads the file; nothing hangs on it.
    keys.word("about", &mut findings);
    let pace = keys
        .choice(
            "pace",
            &[("standard", Pace::Standard), ("patient", Pace::Patient)],
            &mut findings,
        )
        .unwrap_or(Pace::Standard);
    keys.choice("language", &[("en", ())], &mut findings);
    let purpose = keys
        .choice(
            "purpose",
            &[
                ("callers", Purpose::Callers),
                ("measurement", Purpose::Measurement),
            ],
            &mut findings,
        )
        .unwrap_or(Purpose::Callers);
    let entries = node_entries(&mut keys, &mut findings);
    let surroundings = Surroundings {
        names: entries
            .iter()
            .zip(0..)
            .map(|(entry, index)| (entry.key.as_str(), NodeIndex(index)))
            .collect::<BTreeMap<_, _>>(),
        pace,
        purpose,
    };
    let start = start(&mut keys, &surroundings, &mut findings);
    let mut nodes = Vec::with_capacity(entries.len());
    let mut barge_in_open = Vec::new();
    for entry in &entries {
        if let Some(read) = surroundings.node(entry, &mut findings) {
            if read.barge_in_open {
                barge_in_open.push(nodes.len());
            }
            nodes.push(Node {
                name: Arc::from(entry.key.as_str()),
                line: entry.at.line,
                kind: read.kind,
            });
        }
    }
    let tests = tests(&mut keys, &surroundings, &mut findings);
    keys.finish("a flow", &mut findings);

    // Only a document whose every node stands by itself is a graph to walk.
    let (Some(name), Some(start), true) = (name, start, findings.is_empty()) else {
        return Err(findings.into_errors());
    };
    let mut flow = Flow {
        name,
        pace,
        purpose,
        start,
        nodes: nodes.into(),
        tests,
    };
    for index in barge_in_open {
        let asks = reach::question_follows(&flow, index);
        if let Kind::Play(play) = &mut flow.nodes[index].kind {
            play.barge_in = asks;
        }
    }
    reach::check(&flow, &mut findings);
    for script in &flow.tests {
        if !script.ends.possible(flow.queues(), flow.partners()) {
            findings.add(
                Place {
                    line: script.line,
                    column: 0,
                },
                None,
                format!(
                    "the test \"{}\" ends in {}, where this flow doesn't lead",
                    script.name, script.ends
                ),
                None,
            );
        }
    }
    if findings.is_empty() {
        Ok(flow)
    } else {
        Err(findings.into_errors())
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
