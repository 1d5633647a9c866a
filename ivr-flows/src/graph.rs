//! A flow as a picture: nodes, and what leads from one to the other.

use crate::TicketAsk;
use crate::flow::{Flow, Kind, NodeIndex, Outgoing, Target};

/// A flow to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The flow's name.
    pub name: String,
    /// In the order of the document, sub-flows' behind.
    pub nodes: Vec<GraphNode>,
    /// Ways, by the places of their nodes.
    pub edges: Vec<GraphEdge>,
    /// The node a call begins at.
    pub start: usize,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphNode {
    /// Its name.
    pub name: String,
    /// What it is: `play`, `menu`, `queue`, …
    pub kind: &'static str,
    /// Of what: a queue's name, hours', a partner's.
    pub of: Option<String>,
}

/// A way from one node to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphEdge {
    /// From which node.
    pub from: usize,
    /// To which.
    pub to: usize,
    /// When it is taken; several reasons joined by commas, none for the only way.
    pub label: String,
}

/// A flow's nodes and the ways between them, one for each pair of nodes.
pub fn graph(flow: &Flow) -> Graph {
    let mut edges: Vec<GraphEdge> = Vec::new();
    for (from, node) in flow.nodes.iter().enumerate() {
        for (label, to) in exits(&node.kind) {
            let to = usize::from(to.0);
            match edges
                .iter_mut()
                .find(|edge| edge.from == from && edge.to == to)
            {
                Some(edge) => {
                    edge.label.push_str(", ");
                    edge.label.push_str(&label);
                }
                None => edges.push(GraphEdge { from, to, label }),
            }
        }
    }
    Graph {
        name: flow.name.clone(),
        nodes: flow
            .nodes
            .iter()
            .map(|node| {
                let (kind, of) = what(&node.kind);
                GraphNode {
                    name: node.name.to_string(),
                    kind,
                    of,
                }
            })
            .collect(),
        edges,
        start: usize::from(flow.start.0),
    }
}

fn what(kind: &Kind) -> (&'static str, Option<String>) {
    match kind {
        Kind::Play(_) => ("play", None),
        Kind::Menu(_) => ("menu", None),
        Kind::Collect(_) => ("collect", None),
        Kind::Identify(_) => ("identify", None),
        Kind::Hours(hours) => ("hours", Some(hours.calendar.to_string())),
        Kind::Branch(_) => ("branch", None),
        Kind::Ticket(ticket) => match ticket.ask {
            TicketAsk::Open => ("ticket", Some("open".to_owned())),
            TicketAsk::Attach => ("ticket", Some("attach".to_owned())),
        },
        Kind::Find(_) => ("ticket", Some("find".to_owned())),
        Kind::Read(_) => ("ticket", Some("read".to_owned())),
        Kind::Preview(_) => ("incident", Some("preview".to_owned())),
        Kind::Publish(_) => ("incident", Some("publish".to_owned())),
        Kind::Incident(incident) => {
            let about = incident.about.as_ref().map(ToString::to_string);
            ("incident", about)
        }
        Kind::Resolve(_) => ("ticket", Some("resolve".to_owned())),
        Kind::Verify(verify) => ("verify", Some(verify.ways.level.to_string())),
        Kind::Queue(queue) => ("queue", Some(queue.queue.to_string())),
        Kind::Partner(partner) => ("partner", Some(partner.partner.to_string())),
        Kind::Transfer(transfer) => match &transfer.to {
            Target::Fixed { to, .. } => ("transfer", Some(to.to_string())),
            Target::Computed { .. } => ("transfer", None),
        },
        Kind::Http(http) => ("http", Some(http.action.to_string())),
        Kind::Callback(back) => ("callback", Some(back.queue.to_string())),
        Kind::Language(_) => ("language", None),
        Kind::Set(set) if set.enters.is_some() => ("flow", None),
        Kind::Set(_) => ("set", None),
        Kind::Exit(name) => ("exit", Some(name.to_string())),
        Kind::HangUp(_) => ("hang up", None),
    }
}

fn exits(kind: &Kind) -> Vec<(String, NodeIndex)> {
    let named = |label: &str, to| (label.to_owned(), to);
    match kind {
        Kind::Play(play) => vec![named("", play.next)],
        Kind::Menu(menu) => menu
            .options
            .iter()
            .map(|choice| (choice.key.to_string(), choice.next))
            .chain([
                named("timeout", menu.ask.timeout),
                named("invalid", menu.ask.invalid),
            ])
            .collect(),
        Kind::Collect(collect) => vec![
            named("digits", collect.next),
            named("timeout", collect.ask.timeout),
            named("invalid", collect.ask.invalid),
        ],
        Kind::Identify(identify) => crate::Role::ALL
            .iter()
            .map(|role| named(role.word(), identify.exit(*role)))
            .collect(),
        Kind::Hours(hours) => vec![
            named("open", hours.open),
            named("closed", hours.closed),
            named("holiday", hours.holiday),
            named("emergency", hours.emergency),
        ],
        Kind::Branch(branch) => (1..)
            .zip(&branch.cases)
            .map(|(n, (_, to))| (format!("case {n}"), *to))
            .chain([named("else", branch.otherwise)])
            .collect(),
        Kind::Ticket(ticket) => vec![
            named("ticket", ticket.next),
            named("store down", ticket.on_store_down),
        ],
        Kind::Find(find) => vec![
            named("found", find.found),
            named("not found", find.not_found),
            named("give up", find.give_up),
        ],
        Kind::Read(read) => vec![named("", read.next)],
        Kind::Preview(preview) => vec![named("told", preview.told), named("none", preview.none)],
        Kind::Publish(publish) => vec![
            named("published", publish.published),
            named("failed", publish.failed),
        ],
        Kind::Incident(incident) => [named("told", incident.told), named("none", incident.none)]
            .into_iter()
            .chain(incident.surge.map(|to| named("surge", to)))
            .chain(
                incident
                    .subscribe
                    .as_ref()
                    .map(|of| (of.key.to_string(), of.next)),
            )
            .collect(),
        Kind::Resolve(next) => vec![named("", *next)],
        Kind::Verify(verify) => vec![
            named("passed", verify.ways.passed),
            named("failed", verify.ways.failed),
            named("locked", verify.ways.locked),
            named("unavailable", verify.ways.unavailable),
        ],
        Kind::Queue(queue) => queue
            .exit_keys
            .iter()
            .map(|(key, to)| (key.to_string(), *to))
            .chain(queue.no_agents.map(|to| named("no agents", to)))
            .chain(queue.refused.map(|to| named("refused", to)))
            .chain(queue.patience.map(|(_, to)| named("max wait", to)))
            .chain(queue.after.map(|to| named("after", to)))
            .collect(),
        Kind::Partner(partner) => called(&partner.call, "failed"),
        Kind::Transfer(transfer) => called(&transfer.call, "refused"),
        Kind::Http(http) => vec![named("ok", http.ok), named("failed", http.failed)],
        Kind::Callback(back) => vec![
            named("promised", back.promised),
            named("declined", back.declined),
            named("failed", back.failed),
        ],
        Kind::Language(tongue) => tongue
            .choices
            .iter()
            .map(|choice| (format!("{} {}", choice.key, choice.speak), choice.next))
            .chain([named("", tongue.next)])
            .collect(),
        Kind::Set(set) => vec![named("", set.next)],
        Kind::Exit(_) | Kind::HangUp(_) => Vec::new(),
    }
}

/// The ways out of a call that leaves.
fn called(call: &Outgoing, failed: &str) -> Vec<(String, NodeIndex)> {
    [
        ("busy", call.busy),
        (failed, call.failed),
        ("no answer", call.no_answer),
    ]
    .into_iter()
    .chain(call.after.map(|to| ("after", to)))
    .map(|(label, to)| (label.to_owned(), to))
    .collect()
}
