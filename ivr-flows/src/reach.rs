//! What only the whole graph shows.
//!
//! Every path is looked at, not by walking each but by keeping, for each node,
//! the set of callers who may get there (by role, by whether they are known)
//! and whether a ticket may exist by then. Both sets are small and finite, so
//! this is exact up to conditions on things only a call knows (keys pressed,
//! the number dialled), which are taken to go either way.

use crate::document::Place;
use crate::expression::Known;
use crate::flow::{Exit, Flow, Kind, Node, NodeIndex};
use crate::keys::Findings;
use crate::text::Placeholder;
use crate::{Pace, Role, TicketAsk};

/// Who may be at a node: a bit for each role, known or not; one for a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Crowd(u16);

impl Crowd {
    const TICKET: u16 = 1 << 15;
    /// The caller may have found a ticket of theirs.
    const FOUND: u16 = 1 << 14;

    fn bit(role: Role, known: bool) -> u16 {
        1 << (2 * role as u16 + u16::from(known))
    }

    /// Before anybody was looked up.
    fn nobody_yet() -> Crowd {
        Crowd(Crowd::bit(Role::Unknown, false))
    }

    fn anybody_at_all() -> Crowd {
        Crowd(u16::MAX)
    }

    fn callers(self) -> impl Iterator<Item = (Role, bool)> {
        Role::ALL
            .into_iter()
            .flat_map(|role| [(role, false), (role, true)])
            .filter(move |(role, known)| self.0 & Crowd::bit(*role, *known) != 0)
    }

    fn anybody(self) -> bool {
        self.0 & !(Crowd::TICKET | Crowd::FOUND) != 0
    }

    fn may_hold_ticket(self) -> bool {
        self.0 & Crowd::TICKET != 0
    }

    fn with_ticket(self) -> Crowd {
        Crowd(self.0 | Crowd::TICKET)
    }

    fn may_have_found(self) -> bool {
        self.0 & Crowd::FOUND != 0
    }

    fn with_found(self) -> Crowd {
        Crowd(self.0 | Crowd::FOUND)
    }

    fn join(self, other: Crowd) -> Crowd {
        Crowd(self.0 | other.0)
    }

    /// The same, with other callers.
    fn of(self, callers: u16) -> Crowd {
        Crowd(self.0 & (Crowd::TICKET | Crowd::FOUND) | callers)
    }
}

/// Checks the graph.
pub(crate) fn check(flow: &Flow, findings: &mut Findings) {
    let reachable = reachable(flow);
    for (node, reached) in flow.nodes.iter().zip(&reachable) {
        // A sub-flow may know ways that this flow has no use for.
        if !reached && node.own {
            at(
                node,
                findings,
                "no call ever gets here",
                Some("Lead a way to it, or remove it."),
            );
        }
    }
    loops(flow, findings);
    if !findings.is_empty() {
        return;
    }
    let crowds = crowds(flow);
    let part = flow.is_part();
    for (node, crowd) in flow.nodes.iter().zip(&crowds) {
        if crowd.anybody() {
            // What may be said in a part is seen where it is called.
            if !part {
                texts(node, *crowd, findings);
            }
        } else if node.own {
            at(
                node,
                findings,
                "no caller ever gets here: the conditions on the way exclude one another",
                Some("Remove it, or correct the conditions that lead to it."),
            );
        }
        if let Kind::Menu(menu) = &node.kind
            && flow.pace == Pace::Patient
        {
            for choice in menu.options.iter().filter(|choice| choice.key == '0') {
                if !leads_to_person(flow, choice.next) {
                    at(
                        node,
                        findings,
                        "0 doesn't lead to a person",
                        Some(
                            "In the patient pace 0 leads to a queue, without another question on the way.",
                        ),
                    );
                }
            }
        }
    }
}

fn at(node: &Node, findings: &mut Findings, message: impl Into<String>, help: Option<&str>) {
    findings.add_in(
        &node.file,
        Place {
            line: node.line,
            column: 0,
        },
        Some(&node.name),
        message,
        help.map(str::to_owned),
    );
}

fn reachable(flow: &Flow) -> Vec<bool> {
    let mut seen = vec![false; flow.nodes.len()];
    let mut ahead = vec![flow.start];
    while let Some(index) = ahead.pop() {
        let mark = &mut seen[usize::from(index.0)];
        if !*mark {
            *mark = true;
            ahead.extend(
                flow.node(index)
                    .kind
                    .exits()
                    .into_iter()
                    .map(|exit| exit.to),
            );
        }
    }
    seen
}

/// Refuses every circle that a caller would be led around without doing
/// anything. What is left has a way out of every loop: a caller who presses
/// nothing walks a path without repetition, and its end is a queue or a
/// goodbye, because everything else leads on.
fn loops(flow: &Flow, findings: &mut Findings) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; flow.nodes.len()];
    for first in 0..flow.nodes.len() {
        if marks[first] != Mark::New {
            continue;
        }
        // Depth first, with the path on a stack of our own: a flow's depth
        // isn't bounded by anything but its size.
        let mut path: Vec<(usize, Vec<Exit>)> = Vec::new();
        marks[first] = Mark::Open;
        path.push((first, free_exits(flow, first)));
        while let Some((node, exits)) = path.last_mut() {
            let Some(exit) = exits.pop() else {
                marks[*node] = Mark::Done;
                path.pop();
                continue;
            };
            let to = usize::from(exit.to.0);
            match marks[to] {
                Mark::Done => {}
                Mark::New => {
                    marks[to] = Mark::Open;
                    path.push((to, free_exits(flow, to)));
                }
                Mark::Open => {
                    let from = path.iter().position(|(node, _)| *node == to).unwrap_or(0);
                    let circle: Vec<&str> = path[from..]
                        .iter()
                        .map(|(node, _)| *node)
                        .chain([to])
                        .map(|node| &*flow.nodes[node].name)
                        .collect();
                    at(
                        &flow.nodes[to],
                        findings,
                        format!("a loop without a way out: {}", circle.join(" → ")),
                        Some(
                            "A caller who presses nothing must come to a queue or a goodbye. Retries belong into `tries`.",
                        ),
                    );
                }
            }
        }
    }
}

fn free_exits(flow: &Flow, node: usize) -> Vec<Exit> {
    let mut exits = flow.nodes[node].kind.exits();
    exits.retain(|exit| !exit.by_key);
    // Several exits may lead to the same node; one way there is looked at.
    exits.sort_unstable_by_key(|exit| exit.to);
    exits.dedup();
    exits
}

fn crowds(flow: &Flow) -> Vec<Crowd> {
    let mut crowds = vec![Crowd::default(); flow.nodes.len()];
    // A part is entered by whomever its caller leads there.
    crowds[usize::from(flow.start.0)] = if flow.is_part() {
        Crowd::anybody_at_all()
    } else {
        Crowd::nobody_yet()
    };
    let mut ahead = vec![flow.start];
    while let Some(from) = ahead.pop() {
        let crowd = crowds[usize::from(from.0)];
        onward(&flow.node(from).kind, crowd, &mut |to, crowd| {
            let there = &mut crowds[usize::from(to.0)];
            let joined = there.join(crowd);
            if crowd.anybody() && joined != *there {
                *there = joined;
                ahead.push(to);
            }
        });
    }
    crowds
}

/// Who goes where from a node, given who is there.
fn onward(kind: &Kind, crowd: Crowd, arrive: &mut dyn FnMut(NodeIndex, Crowd)) {
    match kind {
        Kind::Identify(identify) => {
            for role in Role::ALL {
                let callers = Crowd::bit(role, false) | Crowd::bit(role, true);
                arrive(identify.exit(role), crowd.of(callers));
            }
        }
        Kind::Hours(hours) => {
            for to in [hours.open, hours.closed, hours.holiday, hours.emergency] {
                arrive(to, crowd);
            }
        }
        Kind::Branch(branch) => {
            for (role, known) in crowd.callers() {
                let caller = crowd.of(Crowd::bit(role, known));
                let facts = Known {
                    role: Some(role.word()),
                    known: Some(known),
                    // Of whom nothing is known, this isn't either.
                    language: (!known).then_some(""),
                    slow: (!known).then_some(false),
                    relay: (!known).then_some(false),
                    has_ticket: (!crowd.may_hold_ticket()).then_some(false),
                    ..Known::default()
                };
                let mut open = true;
                for (condition, to) in &branch.cases {
                    match condition.holds(&facts) {
                        Some(true) => {
                            arrive(*to, caller);
                            open = false;
                            break;
                        }
                        Some(false) => {}
                        None => arrive(*to, caller),
                    }
                }
                if open {
                    arrive(branch.otherwise, caller);
                }
            }
        }
        Kind::Ticket(ticket) => {
            // A number that comes late is still taken, so both ways may have one.
            arrive(ticket.next, crowd.with_ticket());
            arrive(ticket.on_store_down, crowd.with_ticket());
        }
        Kind::Find(find) => {
            arrive(find.found, crowd.with_found());
            arrive(find.not_found, crowd);
            arrive(find.give_up, crowd);
        }
        Kind::Play(_)
        | Kind::Verify(_)
        | Kind::Resolve(_)
        | Kind::Menu(_)
        | Kind::Collect(_)
        | Kind::Read(_)
        | Kind::Incident(_)
        | Kind::Preview(_)
        | Kind::Publish(_)
        | Kind::Queue(_)
        | Kind::Partner(_)
        | Kind::Transfer(_)
        | Kind::Http(_)
        | Kind::Callback(_)
        | Kind::Language(_)
        | Kind::Set(_)
        | Kind::Exit(_)
        | Kind::HangUp(_) => {
            for exit in kind.exits() {
                arrive(exit.to, crowd);
            }
        }
    }
}

/// Whether the texts of a node may be spoken to everybody who gets there.
fn texts(node: &Node, crowd: Crowd, findings: &mut Findings) {
    let uses = |slot| {
        node.kind
            .texts()
            .iter()
            .any(|text| text.placeholders().any(|used| used == slot))
    };
    if uses(Placeholder::CallerName) {
        let unnamed: Vec<&str> = Role::ALL
            .into_iter()
            .filter(|role| !role.may_be_named() && crowd.callers().any(|(other, _)| other == *role))
            .map(Role::word)
            .collect();
        if !unnamed.is_empty() {
            at(
                node,
                findings,
                format!(
                    "{{caller.name}} may be spoken here to a caller who is: {}",
                    unnamed.join(", ")
                ),
                Some(
                    "Nobody is named before verification except over the clinician, staff or place exit of an identify node.",
                ),
            );
        }
    }
    let wants_found = match &node.kind {
        Kind::Ticket(ticket) => ticket.ask == TicketAsk::Attach,
        Kind::Queue(queue) => queue.owner,
        Kind::Read(_) => true,
        _ => false,
    };
    if wants_found && !crowd.may_have_found() {
        at(
            node,
            findings,
            "no ticket of the caller's was found on the way here",
            Some("Lead here from `found` of a node that says `ticket: find`."),
        );
    }
    let wants_ticket = match &node.kind {
        // Offered on a key, whether or not there is one.
        Kind::Queue(queue) => [&queue.greeting, &queue.ticket]
            .into_iter()
            .flatten()
            .any(|text| {
                text.placeholders()
                    .any(|used| used == Placeholder::TicketNumber)
            }),
        // Its own sentences say the number that was found.
        Kind::Read(_) => false,
        Kind::Resolve(_) => true,
        _ => uses(Placeholder::TicketNumber),
    };
    if wants_ticket && !crowd.may_hold_ticket() {
        at(
            node,
            findings,
            match node.kind {
                Kind::Resolve(_) => "no ticket was opened on the way here",
                _ => "{ticket.number} is spoken, and no ticket was opened on the way here",
            },
            Some("Put a ticket node before it."),
        );
    }
}

/// Whether a question follows on this node before a queue or an end.
pub(crate) fn question_follows(flow: &Flow, node: usize) -> bool {
    let mut seen = vec![false; flow.nodes.len()];
    let mut ahead = vec![node];
    while let Some(node) = ahead.pop() {
        if std::mem::replace(&mut seen[node], true) {
            continue;
        }
        match &flow.nodes[node].kind {
            Kind::Menu(_) | Kind::Collect(_) | Kind::Callback(_) | Kind::Verify(_) => return true,
            Kind::Language(tongue) if !tongue.choices.is_empty() => return true,
            Kind::Queue(_)
            | Kind::Partner(_)
            | Kind::Transfer(_)
            | Kind::Exit(_)
            | Kind::HangUp(_) => {}
            kind => ahead.extend(kind.exits().iter().map(|exit| usize::from(exit.to.0))),
        }
    }
    false
}

/// Whether every way from here comes to a queue without another question.
fn leads_to_person(flow: &Flow, from: NodeIndex) -> bool {
    let mut seen = vec![false; flow.nodes.len()];
    let mut ahead = vec![from];
    while let Some(index) = ahead.pop() {
        if std::mem::replace(&mut seen[usize::from(index.0)], true) {
            continue;
        }
        match &flow.node(index).kind {
            Kind::Queue(_) | Kind::Exit(_) => {}
            // Who is called is a person; whom they don't take must come to one all the same.
            Kind::Partner(partner) => ahead.extend(partner.call.take_back()),
            Kind::Transfer(transfer) => ahead.extend(transfer.call.take_back()),
            // A promise is as good; whoever doesn't get one must come to a person.
            Kind::Callback(back) => ahead.extend([back.declined, back.failed]),
            Kind::Language(tongue) if !tongue.choices.is_empty() => return false,
            Kind::Menu(_) | Kind::Collect(_) | Kind::Verify(_) | Kind::HangUp(_) => return false,
            kind => ahead.extend(kind.exits().iter().map(|exit| exit.to)),
        }
    }
    true
}
