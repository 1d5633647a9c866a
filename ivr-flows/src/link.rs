//! Flows that call one another, made into graphs that stand by themselves.
//!
//! A sub-flow is put in place of each node that calls it, with variables of
//! its own and its exits led to the caller's nodes. The checker then looks at
//! every path as a caller may walk it, and a session needs no stack. What
//! calls itself, however far round, is refused, and so is what grows too large.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::build::{Draft, What};
use crate::document::Place;
use crate::expression::{Expression, Val};
use crate::flow::{Enter, Flow, Kind, Node, NodeIndex, Pace, Set};
use crate::keys::{Findings, nearest, shortened};
use crate::{CheckError, reach};

/// Most nodes of a flow together with the sub-flows in it.
const LINKED_NODES_MAX: usize = 1_000;
/// Flows within flows within flows.
const DEPTH_MAX: usize = 4;

/// A node that calls another flow.
#[derive(Debug, Clone)]
pub(crate) struct Sub {
    pub(crate) flow: String,
    pub(crate) at: Place,
    /// What its inputs are set to.
    pub(crate) with: Vec<(String, Place, Expression)>,
    pub(crate) exits: Vec<(String, Place, NodeIndex)>,
    /// For exits that aren't named.
    pub(crate) rest: Option<NodeIndex>,
}

/// Flows as read, each for itself; together they are linked.
///
/// ```
/// let mut drafts = ivr_flows::Drafts::default();
/// drafts.add("bye.yaml", "flow: bye\nstart: a\nnodes:\n  a: {play: Bye., next: b}\n  b: {exit: done}")?;
/// drafts.add("line.yaml", "flow: line\nstart: a\nnodes:\n  a: {flow: bye, next: b}\n  b: {hang_up: Bye.}")?;
/// let flows = drafts.link()?;
/// assert!(flows["bye"].is_part() && !flows["line"].is_part());
/// # Ok::<(), Vec<ivr_flows::CheckError>>(())
/// ```
#[derive(Debug, Default)]
pub struct Drafts {
    by_name: BTreeMap<String, Draft>,
}

impl Drafts {
    /// Reads one document, and gives its flow's name. A flow of the same name
    /// that was there before is replaced.
    ///
    /// # Errors
    /// Everything that is wrong with the document by itself, in the order of
    /// the file; at most 50. Nothing is added.
    pub fn add(&mut self, file: &str, source: &str) -> Result<String, Vec<CheckError>> {
        let draft = Draft::read(file, source)?;
        let name = draft.name.clone();
        self.by_name.insert(name.clone(), draft);
        Ok(name)
    }

    /// Makes a checked flow of each.
    ///
    /// # Errors
    /// Everything that is wrong with the flows and how they call one another,
    /// flow by flow.
    pub fn link(&self) -> Result<BTreeMap<String, Arc<Flow>>, Vec<CheckError>> {
        let mut flows = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, draft) in &self.by_name {
            match self.flow(draft) {
                Ok(flow) => {
                    flows.insert(name.clone(), Arc::new(flow));
                }
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() {
            return Ok(flows);
        }
        // What is wrong inside a sub-flow is found again by each that calls it.
        let mut seen = std::collections::HashSet::new();
        errors.retain(|error: &CheckError| {
            seen.insert((error.file.clone(), error.line, error.message.clone()))
        });
        Err(errors)
    }

    /// One flow with everything it calls.
    pub(crate) fn flow(&self, draft: &Draft) -> Result<Flow, Vec<CheckError>> {
        let mut findings = Findings::new(&draft.file);
        let mut linking = Linking {
            drafts: self,
            findings: &mut findings,
            pace: draft.pace,
            nodes: Vec::new(),
            vars: Vec::new(),
            open: Vec::new(),
            parts: BTreeSet::new(),
        };
        linking.expand(draft, &[], None, "");
        let Linking {
            nodes,
            vars,
            open,
            parts,
            ..
        } = linking;
        let parts = parts.into_iter().map(str::to_owned).collect();
        if !findings.is_empty() {
            return Err(findings.into_errors());
        }
        let mut flow = Flow {
            name: draft.name.clone(),
            pace: draft.pace,
            purpose: draft.purpose,
            languages: draft.languages.clone().into(),
            start: draft.start,
            nodes: nodes.into(),
            vars: vars.into(),
            parts,
            tests: draft.tests.clone(),
        };
        for index in open {
            let asks = reach::question_follows(&flow, index);
            if let Kind::Play(play) = &mut flow.nodes[index].kind {
                play.barge_in = asks;
            }
        }
        reach::check(&flow, &mut findings);
        for script in &flow.tests {
            if !script.ends.possible(&flow) {
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
}

struct Linking<'d> {
    drafts: &'d Drafts,
    findings: &'d mut Findings,
    /// Of the outermost flow.
    pace: Pace,
    nodes: Vec<Node>,
    vars: Vec<Val>,
    /// Play nodes whose `barge_in` isn't said.
    open: Vec<usize>,
    /// The flows called.
    parts: BTreeSet<&'d str>,
}

/// Where a sub-flow's exits lead, by name.
type Exits = BTreeMap<String, NodeIndex>;

impl<'d> Linking<'d> {
    /// Appends a flow's nodes, and after them those of the flows it calls.
    /// `around`: the flows it stands in, the outermost first; `exits`: where
    /// its own lead there.
    fn expand(&mut self, draft: &'d Draft, around: &[&str], exits: Option<&Exits>, prefix: &str) {
        let first = self.nodes.len();
        let base = index(self.vars.len()).0;
        let fresh = draft.variables.iter().map(|(_, kind)| kind.start());
        self.vars.extend(fresh);
        let mut subs = Vec::new();
        for node in &draft.nodes {
            let at = self.nodes.len();
            let mut kind = match &node.what {
                What::Kind {
                    kind,
                    barge_in_open,
                } => {
                    if *barge_in_open {
                        self.open.push(at);
                    }
                    kind.clone()
                }
                // Replaced below, when it is known where its flow begins.
                What::Sub(sub) => {
                    subs.push((at, node, sub));
                    Kind::jump(NodeIndex(0))
                }
            };
            if let (Kind::Exit(name), Some(exits)) = (&kind, exits) {
                // Each was found in the map before this flow was expanded.
                kind = Kind::jump(exits.get(&**name).copied().unwrap_or(NodeIndex(0)));
            } else {
                for target in kind.targets_mut() {
                    *target = index(first + usize::from(target.0));
                }
            }
            self.nodes.push(Node {
                name: Arc::from(format!("{prefix}{}", node.name)),
                file: Arc::clone(&draft.file),
                line: node.line,
                base,
                own: around.is_empty(),
                kind,
            });
        }
        let path: Vec<&str> = around.iter().copied().chain([&*draft.name]).collect();
        for (at, node, sub) in subs {
            let Some(called) = self.called(draft, &node.name, sub, &path) else {
                continue;
            };
            let Some((values, exits)) = self.joined(draft, &node.name, sub, called, first) else {
                continue;
            };
            self.parts.insert(&called.name);
            let start = self.nodes.len() + usize::from(called.start.0);
            let fresh = called.variables.iter().map(|(_, kind)| kind.start());
            let enters = Enter {
                base: index(self.vars.len()).0,
                fresh: fresh.collect(),
            };
            self.expand(
                called,
                &path,
                Some(&exits),
                &format!("{prefix}{}.", node.name),
            );
            self.nodes[at].kind = Kind::Set(Set {
                values: values.into(),
                enters: Some(enters),
                next: index(start),
            });
        }
    }

    /// The flow that a node calls, unless that can't be.
    fn called(&mut self, draft: &Draft, node: &str, sub: &Sub, path: &[&str]) -> Option<&'d Draft> {
        let drafts = self.drafts;
        let mut refuse = |message: String, help: Option<String>| {
            self.findings
                .add_in(&draft.file, sub.at, Some(node), message, help);
            None
        };
        if path.contains(&sub.flow.as_str()) {
            let mut circle = path.to_vec();
            circle.push(&sub.flow);
            return refuse(
                format!("a flow calls itself: {}", circle.join(" → ")),
                Some("Lead back to a node instead, behind a key.".to_owned()),
            );
        }
        let Some(called) = drafts.by_name.get(&sub.flow) else {
            let known = drafts.by_name.keys().map(String::as_str);
            return refuse(
                format!("there is no flow `{}`", shortened(&sub.flow)),
                nearest(&sub.flow, known).map(|near| format!("Is `{near}` meant?")),
            );
        };
        if called.exits().next().is_none() {
            return refuse(
                format!(
                    "flow `{}` has no `exit` node: it never comes back",
                    called.name
                ),
                Some("Only flows with exits can be called by others.".to_owned()),
            );
        }
        if self.pace == Pace::Patient && called.pace != Pace::Patient {
            return refuse(
                format!(
                    "flow `{}` isn't in the patient pace, and this one is",
                    called.name
                ),
                Some(
                    "Give it `pace: patient`; it may be called by others all the same.".to_owned(),
                ),
            );
        }
        if path.len() > DEPTH_MAX {
            return refuse(
                format!(
                    "flows are nested more than {DEPTH_MAX} deep: {}",
                    path.join(" → ")
                ),
                None,
            );
        }
        if self.nodes.len() + called.nodes.len() > LINKED_NODES_MAX {
            return refuse(
                format!(
                    "the flow has more than {LINKED_NODES_MAX} nodes together with those it calls"
                ),
                Some("Divide it: a line's flow needs only what its callers may reach.".to_owned()),
            );
        }
        Some(called)
    }

    /// Joins inputs and exits: what the inputs are set to, and where the exits lead.
    fn joined(
        &mut self,
        draft: &Draft,
        node: &str,
        sub: &Sub,
        called: &Draft,
        first: usize,
    ) -> Option<(Vec<(u16, Expression)>, Exits)> {
        let mut sound = true;
        let mut refuse = |at, message: String, help: Option<String>| {
            self.findings
                .add_in(&draft.file, at, Some(node), message, help);
            sound = false;
        };
        let inputs = || called.variables[..called.inputs].iter();
        let mut values = Vec::new();
        for (name, at, value) in &sub.with {
            let found = inputs().position(|(input, _)| input == name);
            match found.map(|slot| (slot, called.variables[slot].1)) {
                None => refuse(
                    *at,
                    format!("flow `{}` has no input `{}`", called.name, shortened(name)),
                    nearest(name, inputs().map(|(input, _)| input.as_str()))
                        .map(|near| format!("Is `{near}` meant?")),
                ),
                Some((_, kind)) if kind != value.kind() => refuse(
                    *at,
                    format!("`{name}` is {}, not {}", kind.words(), value.kind().words()),
                    None,
                ),
                Some((slot, _)) => values.push((index(slot).0, value.clone())),
            }
        }
        for (name, _) in inputs() {
            if !sub.with.iter().any(|(given, ..)| given == name) {
                refuse(
                    sub.at,
                    format!("flow `{}` needs `{name}`", called.name),
                    Some(format!("Give it: with: {{{name}: …}}")),
                );
            }
        }
        let mut exits = Exits::new();
        for (name, at, to) in &sub.exits {
            if called.exits().any(|exit| exit == name) {
                exits.insert(name.clone(), index(first + usize::from(to.0)));
            } else {
                refuse(
                    *at,
                    format!("flow `{}` has no exit `{}`", called.name, shortened(name)),
                    nearest(name, called.exits()).map(|near| format!("Is `{near}` meant?")),
                );
            }
        }
        for exit in called.exits() {
            if !exits.contains_key(exit) {
                match sub.rest {
                    Some(to) => {
                        exits.insert(exit.to_owned(), index(first + usize::from(to.0)));
                    }
                    None => refuse(
                        sub.at,
                        format!(
                            "nothing is said for exit `{exit}` of flow `{}`",
                            called.name
                        ),
                        Some("Add it under `exits`, or `next` for all the rest.".to_owned()),
                    ),
                }
            }
        }
        sound.then_some((values, exits))
    }
}

/// Bounded by [`LINKED_NODES_MAX`] and the number of variables of that many nodes.
fn index(at: usize) -> NodeIndex {
    NodeIndex(u16::try_from(at).unwrap_or(u16::MAX))
}
