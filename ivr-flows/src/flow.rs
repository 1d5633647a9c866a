//! A checked flow: nodes by index, none dangling.

use std::sync::Arc;
use std::time::Duration;

use crate::expression::{Condition, Expression, Val, ValKind, Words};
use crate::language::Language;
use crate::script::Script;
use crate::text::Text;
use crate::{CheckError, Class, HoursState, Role, TicketAsk, build};

/// How fast a flow speaks and how long it waits for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pace {
    /// For people who call every week.
    Standard,
    /// Slow and short: three options, long waits, `0` always a person.
    Patient,
}

impl Pace {
    /// How long after a question the first key is waited for.
    pub(crate) const fn first_key(self) -> Duration {
        match self {
            Pace::Standard => Duration::from_secs(5),
            Pace::Patient => Duration::from_secs(9),
        }
    }

    /// How long the next key of a number is waited for.
    pub(crate) const fn next_key(self) -> Duration {
        match self {
            Pace::Standard => Duration::from_secs(3),
            Pace::Patient => Duration::from_secs(6),
        }
    }
}

/// What a flow is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// People call it.
    Callers,
    /// It measures the machine; only such a flow may leave a caller in silence.
    Measurement,
}

/// A flow that passed every check: it has no dangling node, no dead end and no
/// way into silence. Immutable; shared by the sessions that walk it.
#[derive(Debug)]
pub struct Flow {
    pub(crate) name: String,
    pub(crate) pace: Pace,
    pub(crate) purpose: Purpose,
    /// The first one first.
    pub(crate) languages: Box<[Language]>,
    pub(crate) start: NodeIndex,
    pub(crate) nodes: Box<[Node]>,
    /// What its variables begin with, those of its sub-flows included.
    pub(crate) vars: Box<[Val]>,
    /// The names of the flows in it.
    pub(crate) parts: Box<[String]>,
    pub(crate) tests: Vec<Script>,
}

impl Flow {
    /// Reads and checks one YAML document that calls no other flow (see
    /// [`Drafts`](crate::Drafts) for those that do). `file` only serves the messages.
    ///
    /// # Errors
    /// Everything the checker found, in the order of the file; at most 50.
    pub fn parse(file: &str, source: &str) -> Result<Flow, Vec<CheckError>> {
        build::build(file, source)
    }

    /// The name given in the document.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the flows that its callers may walk through: its own, and
    /// those of all it calls.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.name).chain(self.parts.iter().map(String::as_str))
    }

    /// How fast it speaks.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The languages it speaks; callers begin in the first.
    pub fn languages(&self) -> &[Language] {
        &self.languages
    }

    /// Its own nodes with a text that isn't written in one of its languages,
    /// and is spoken in another.
    pub fn untranslated(&self) -> impl Iterator<Item = (&str, Language)> {
        self.nodes.iter().filter(|node| node.own).flat_map(|node| {
            let missing = |language: &Language| match &node.kind {
                // Spoken in the language it offers.
                Kind::Language(_) => false,
                kind => kind.texts().iter().any(|text| !text.is_in(*language)),
            };
            let missing = self.languages.iter().filter(move |tag| missing(tag));
            missing.map(|language| (&*node.name, *language))
        })
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Whether it has exits: such a flow answers no line, others call it.
    pub fn is_part(&self) -> bool {
        self.exits().next().is_some()
    }

    /// The names of its exits.
    pub(crate) fn exits(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Exit(name) => Some(&**name),
            _ => None,
        })
    }

    /// The names of the opening hours it asks for.
    pub fn calendars(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Hours(hours) => Some(&*hours.calendar),
            _ => None,
        })
    }

    /// The names of the partners it may call.
    pub fn partners(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Partner(partner) => Some(&*partner.partner),
            _ => None,
        })
    }

    /// Where it sends callers, as far as that is written in it. What is
    /// computed in a call is only known then.
    pub fn transfers(&self) -> impl Iterator<Item = FixedTransfer<'_>> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Transfer(transfer) => match &transfer.to {
                Target::Fixed { to, line } => Some(FixedTransfer {
                    file: &node.file,
                    line: *line,
                    node: &node.name,
                    to,
                }),
                Target::Computed { .. } => None,
            },
            _ => None,
        })
    }

    /// The HTTP actions it may call, node by node.
    pub fn actions(&self) -> impl Iterator<Item = NamedAction<'_>> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Http(http) => Some(NamedAction {
                file: &node.file,
                line: node.line,
                node: &node.name,
                action: &http.action,
            }),
            _ => None,
        })
    }

    /// Whether it has a transfer whose target is computed in the call.
    pub(crate) fn computes_targets(&self) -> bool {
        self.nodes.iter().any(|node| {
            matches!(&node.kind, Kind::Transfer(transfer) if matches!(transfer.to, Target::Computed { .. }))
        })
    }

    /// The names of the queues that are to call back whom it promises that.
    pub(crate) fn callbacks(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Callback(back) => Some(&*back.queue),
            _ => None,
        })
    }

    /// The names of the queues it may put a caller in, or that it has call them back, each once.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self
            .nodes
            .iter()
            .filter_map(|node| match &node.kind {
                Kind::Queue(queue) => Some(&*queue.queue),
                Kind::Incident(incident) => incident.subscribe.as_ref().map(|of| &*of.queue),
                _ => None,
            })
            .chain(self.callbacks())
            .collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }

    /// The names of its own nodes, in the order of the document.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        let own = self.nodes.iter().filter(|node| node.own);
        own.map(|node| &*node.name)
    }

    pub(crate) fn first_language(&self) -> Language {
        self.languages.first().copied().unwrap_or(Language::ENGLISH)
    }

    pub(crate) fn node(&self, at: NodeIndex) -> &Node {
        &self.nodes[usize::from(at.0)]
    }
}

/// A transfer whose target stands in the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedTransfer<'a> {
    /// The file it stands in: a sub-flow's is another than the flow's.
    pub file: &'a str,
    /// Line, counted from 1.
    pub line: u32,
    /// The node.
    pub node: &'a str,
    /// An extension, an account, a queue or a number outside, as it is dialled.
    pub to: &'a str,
}

/// An HTTP action that a flow calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedAction<'a> {
    /// The file it is named in: a sub-flow's is another than the flow's.
    pub file: &'a str,
    /// Its node's line, counted from 1.
    pub line: u32,
    /// The node.
    pub node: &'a str,
    /// As the hospital's file names it.
    pub action: &'a str,
}

/// A node of one flow. Made by `build` alone, so that it always leads somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeIndex(pub(crate) u16);

#[derive(Debug)]
pub(crate) struct Node {
    /// In a sub-flow, behind the name of the node that calls it: `find.ask`.
    pub(crate) name: Arc<str>,
    pub(crate) file: Arc<str>,
    pub(crate) line: u32,
    /// The first of its flow's variables among all.
    pub(crate) base: u16,
    /// Not a sub-flow's.
    pub(crate) own: bool,
    pub(crate) kind: Kind,
}

/// What a node does, and where it leads.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Play(Play),
    Menu(Menu),
    Collect(Collect),
    Identify(Identify),
    Hours(Hours),
    Branch(Branch),
    Ticket(Ticket),
    Find(Find),
    Read(Box<ReadOut>),
    Incident(Box<Incident>),
    /// Says the latest draft to a supervisor; the words where nothing can be said of it.
    Preview(Box<Preview>),
    /// Publishes what was previewed.
    Publish(Publish),
    /// The ticket is done; where the caller goes.
    Resolve(NodeIndex),
    Verify(Box<Verify>),
    Queue(Box<Queue>),
    Partner(Box<Partner>),
    Transfer(Box<Transfer>),
    Http(Box<Http>),
    Callback(Box<Callback>),
    Language(Tongue),
    Set(Set),
    /// The end of a flow that others call; in a linked flow, of the outermost alone.
    Exit(Arc<str>),
    HangUp(HangUp),
}

#[derive(Debug, Clone)]
pub(crate) struct Play {
    pub(crate) text: Text,
    /// Whether a key cuts it short. Unless said otherwise: when a question follows.
    pub(crate) barge_in: bool,
    pub(crate) next: NodeIndex,
}

/// What menus and collecting have in common: a question, asked again a few times.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) text: Text,
    /// Said before the question when the answer was no good.
    pub(crate) sorry: Text,
    /// How often it is asked in all, 1 to 5.
    pub(crate) tries: u8,
    pub(crate) first_key: Duration,
    pub(crate) next_key: Duration,
    /// After the last try without an answer.
    pub(crate) timeout: NodeIndex,
    /// After the last try with a wrong one.
    pub(crate) invalid: NodeIndex,
}

#[derive(Debug, Clone)]
pub(crate) struct Menu {
    pub(crate) ask: Ask,
    pub(crate) options: Box<[Choice]>,
}

#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) key: char,
    pub(crate) next: NodeIndex,
    /// What the caller says about themselves by choosing it.
    pub(crate) role: Option<Role>,
    /// What is spoken from here on.
    pub(crate) language: Option<Language>,
}

#[derive(Debug, Clone)]
pub(crate) struct Collect {
    pub(crate) ask: Ask,
    pub(crate) min: u8,
    pub(crate) max: u8,
    pub(crate) next: NodeIndex,
}

#[derive(Debug, Clone)]
pub(crate) struct Identify {
    /// One exit for each of [`Role::ALL`], in that order.
    pub(crate) exits: [NodeIndex; Role::ALL.len()],
}

impl Identify {
    pub(crate) fn exit(&self, role: Role) -> NodeIndex {
        self.exits[role as usize]
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Hours {
    /// As the hospital's file names it.
    pub(crate) calendar: Arc<str>,
    pub(crate) open: NodeIndex,
    pub(crate) closed: NodeIndex,
    pub(crate) holiday: NodeIndex,
    pub(crate) emergency: NodeIndex,
}

impl Hours {
    pub(crate) fn exit(&self, state: HoursState) -> NodeIndex {
        match state {
            HoursState::Open => self.open,
            HoursState::Closed => self.closed,
            HoursState::Holiday => self.holiday,
            HoursState::Emergency => self.emergency,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) cases: Box<[(Condition, NodeIndex)]>,
    pub(crate) otherwise: NodeIndex,
}

/// A ticket opened, or the one found joined.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) ask: TicketAsk,
    /// How long its number is waited for before the call goes on without it.
    pub(crate) wait: Duration,
    pub(crate) next: NodeIndex,
    pub(crate) on_store_down: NodeIndex,
}

/// Looks for the ticket whose number was keyed in last.
#[derive(Debug, Clone)]
pub(crate) struct Find {
    pub(crate) found: NodeIndex,
    /// Not this caller's, or none at all: may try again.
    pub(crate) not_found: NodeIndex,
    /// Has tried often enough, or the desk doesn't answer.
    pub(crate) give_up: NodeIndex,
}

/// Says how the ticket found stands.
#[derive(Debug, Clone)]
pub(crate) struct ReadOut {
    /// One for each [`TicketStatus`](crate::TicketStatus), then one without a
    /// next update and one for each [`NextUpdate`](crate::NextUpdate).
    pub(crate) phrases: Box<[Text]>,
    pub(crate) number: Text,
    /// The number once more.
    pub(crate) repeat: Text,
    /// How long the key for that is waited for.
    pub(crate) listen: Duration,
    pub(crate) next: NodeIndex,
}

/// Tells of what is out of order.
#[derive(Debug, Clone)]
pub(crate) struct Incident {
    /// While an agent's telephone rings, not at once.
    pub(crate) over_ring: bool,
    /// Only of what is about this, by the hospital's list of reasons.
    pub(crate) about: Option<Arc<str>>,
    /// What a caller counts as of whom nothing is known.
    pub(crate) unknown: Option<Role>,
    /// Said where what was written can't be.
    pub(crate) fallback: Text,
    pub(crate) subscribe: Option<Box<Subscribe>>,
    pub(crate) told: NodeIndex,
    pub(crate) none: NodeIndex,
    /// Having heard of a surge; `None`: as of anything else.
    pub(crate) surge: Option<NodeIndex>,
}

/// What waits to be published, as callers would hear it.
#[derive(Debug, Clone)]
pub(crate) struct Preview {
    /// What is said in a surge, not a draft.
    pub(crate) surge: bool,
    pub(crate) fallback: Text,
    pub(crate) told: NodeIndex,
    pub(crate) none: NodeIndex,
}

#[derive(Debug, Clone)]
pub(crate) struct Publish {
    /// Callers hear it.
    pub(crate) published: NodeIndex,
    /// It was closed, or couldn't be written.
    pub(crate) failed: NodeIndex,
}

/// How a caller asks to be told when it is over.
#[derive(Debug, Clone)]
pub(crate) struct Subscribe {
    pub(crate) key: char,
    /// Who calls back.
    pub(crate) queue: Arc<str>,
    pub(crate) offer: Text,
    pub(crate) noted: Text,
    /// It was over when the key came.
    pub(crate) over: Text,
    /// It couldn't be written.
    pub(crate) failed: Text,
    /// How long the key is waited for.
    pub(crate) listen: Duration,
    pub(crate) next: NodeIndex,
}

/// The caller shows who they are.
#[derive(Debug, Clone)]
pub(crate) struct Verify {
    /// One for each of [`Factor::ALL`](crate::Factor::ALL), in that order.
    pub(crate) asks: Box<[Text]>,
    /// Said before it is asked again.
    pub(crate) wrong: Text,
    pub(crate) tries: u8,
    pub(crate) ways: VerifyWays,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct VerifyWays {
    /// 1 or 2.
    pub(crate) level: u8,
    pub(crate) first_key: Duration,
    pub(crate) next_key: Duration,
    pub(crate) passed: NodeIndex,
    /// No answer, or none that is right.
    pub(crate) failed: NodeIndex,
    /// Tried too often.
    pub(crate) locked: NodeIndex,
    /// Nothing can be compared or kept, or the hospital asks for nothing.
    pub(crate) unavailable: NodeIndex,
}

#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) queue: Arc<str>,
    /// `None`: by the caller's role.
    pub(crate) class: Option<Class>,
    /// Whoever has the ticket that the caller has found goes before the queue named.
    pub(crate) owner: bool,
    pub(crate) music: bool,
    /// Said while the first phone already rings.
    pub(crate) greeting: Option<Text>,
    /// Said once there is a ticket.
    pub(crate) ticket: Option<Text>,
    /// Said when the caller asks for the ticket's number.
    pub(crate) repeat: Text,
    pub(crate) repeat_ticket: Option<char>,
    /// `None`: the caller isn't told where they stand.
    pub(crate) standing: Option<Standing>,
    /// Said when the connection to an analyst broke and the wait begins again.
    pub(crate) lost: Text,
    pub(crate) exit_keys: Box<[(char, NodeIndex)]>,
    /// `None`: stay and wait for somebody to sign in.
    pub(crate) no_agents: Option<NodeIndex>,
    /// When the queue takes nobody; `None`: a goodbye.
    pub(crate) refused: Option<NodeIndex>,
    pub(crate) patience: Option<(Duration, NodeIndex)>,
    /// After the conversation; `None`: the call ends.
    pub(crate) after: Option<NodeIndex>,
}

/// How a waiting caller is told where they stand.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) position: Text,
    pub(crate) next_in_line: Text,
    /// When the position is unknown, beyond 20 or has become worse.
    pub(crate) comfort: Text,
    pub(crate) every: Duration,
}

/// Another desk, called on its trunk while we stay in the path.
#[derive(Debug, Clone)]
pub(crate) struct Partner {
    /// As the hospital's file names it.
    pub(crate) partner: Arc<str>,
    pub(crate) call: Outgoing,
}

/// An HTTP action of the hospital's.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    /// As the hospital's file names it: where it leads is nothing a flow knows.
    pub(crate) action: Arc<str>,
    /// The fields sent.
    pub(crate) with: Box<[(Arc<str>, Expression)]>,
    pub(crate) save: Box<[Save]>,
    /// Said while it lasts.
    pub(crate) say: Text,
    /// Not only when it lasts longer.
    pub(crate) at_once: bool,
    pub(crate) music: bool,
    pub(crate) ok: NodeIndex,
    pub(crate) failed: NodeIndex,
}

/// A callback is offered, agreed on, promised and confirmed.
#[derive(Debug, Clone)]
pub(crate) struct Callback {
    /// Who serves it.
    pub(crate) queue: Arc<str>,
    /// `None`: by the caller's role.
    pub(crate) class: Option<Class>,
    /// Whether the place may be kept, and whether hours are offered.
    pub(crate) offers: (bool, bool),
    pub(crate) words: CallbackWords,
    pub(crate) first_key: Duration,
    pub(crate) next_key: Duration,
    /// After the confirmation.
    pub(crate) promised: NodeIndex,
    /// The caller doesn't want it, or doesn't say so.
    pub(crate) declined: NodeIndex,
    /// Nothing can be promised, or not durably.
    pub(crate) failed: NodeIndex,
}

/// What is said at a [`Callback`].
#[derive(Debug, Clone)]
pub(crate) struct CallbackWords {
    /// The first of what is offered.
    pub(crate) say: Text,
    pub(crate) place: Text,
    pub(crate) time: Text,
    pub(crate) days: Box<[Text]>,
    pub(crate) hours: Box<[Text]>,
    pub(crate) keys: Box<[Text]>,
    pub(crate) no: Text,
    pub(crate) number: Text,
    pub(crate) digits: Box<[Text]>,
    pub(crate) right: Text,
    pub(crate) key_in: Text,
    pub(crate) not_there: Text,
    pub(crate) sorry: Text,
    pub(crate) turn: Text,
    pub(crate) agreed: Text,
    pub(crate) by_person: Text,
}

impl CallbackWords {
    fn all(&self) -> impl Iterator<Item = &Text> {
        let lists = [&self.days, &self.hours, &self.keys, &self.digits];
        let one = [
            &self.say,
            &self.place,
            &self.time,
            &self.no,
            &self.number,
            &self.right,
            &self.key_in,
            &self.not_there,
            &self.sorry,
            &self.turn,
            &self.agreed,
            &self.by_person,
        ];
        one.into_iter()
            .chain(lists.into_iter().flat_map(|list| list.iter()))
    }
}

/// A field of an action's answer, and the variable it is kept in.
#[derive(Debug, Clone)]
pub(crate) struct Save {
    /// Within the flow's own.
    pub(crate) slot: u16,
    pub(crate) kind: ValKind,
    pub(crate) field: Arc<str>,
}

/// A telephone inside or a number outside, called by the hospital's dial rules while we stay in the path.
#[derive(Debug, Clone)]
pub(crate) struct Transfer {
    pub(crate) to: Target,
    pub(crate) call: Outgoing,
}

/// Whom a transfer calls.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// As it is dialled; the line it is written in.
    Fixed { to: Arc<str>, line: u32 },
    /// What this gives in the call. `outside`: it may also be a number outside.
    Computed { to: Words, outside: bool },
}

/// What partner and transfer nodes have in common: a call that leaves, and how its caller is taken back.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) music: bool,
    /// Said while it already rings.
    pub(crate) greeting: Option<Text>,
    /// Said when the connection broke in mid-conversation, before the way of `failed`.
    pub(crate) lost: Text,
    /// How long it may ring.
    pub(crate) ring_for: Duration,
    pub(crate) busy: NodeIndex,
    /// Of a transfer: `refused`.
    pub(crate) failed: NodeIndex,
    pub(crate) no_answer: NodeIndex,
    /// After the conversation; `None`: the call ends.
    pub(crate) after: Option<NodeIndex>,
}

impl Outgoing {
    /// Where a caller goes who wasn't taken.
    pub(crate) fn take_back(&self) -> [NodeIndex; 3] {
        [self.busy, self.failed, self.no_answer]
    }

    fn targets_mut(&mut self) -> Vec<&mut NodeIndex> {
        [&mut self.busy, &mut self.failed, &mut self.no_answer]
            .into_iter()
            .chain(&mut self.after)
            .collect()
    }

    fn exits(&self) -> impl Iterator<Item = NodeIndex> {
        self.take_back().into_iter().chain(self.after)
    }

    fn texts(&self) -> Vec<&Text> {
        self.greeting.iter().chain([&self.lost]).collect()
    }
}

/// Offers languages, each in itself, or speaks one from here on.
#[derive(Debug, Clone)]
pub(crate) struct Tongue {
    pub(crate) speak: Option<Language>,
    pub(crate) choices: Box<[TongueChoice]>,
    /// How long a key is waited for after the offer.
    pub(crate) wait: Duration,
    pub(crate) next: NodeIndex,
}

#[derive(Debug, Clone)]
pub(crate) struct TongueChoice {
    pub(crate) key: char,
    pub(crate) speak: Language,
    /// In that language.
    pub(crate) say: Text,
    pub(crate) next: NodeIndex,
}

/// Gives variables values; what they held before is what the expressions see.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    /// Which, within the flow's own, and what.
    pub(crate) values: Box<[(u16, Expression)]>,
    /// The values are inputs of a sub-flow, which begins with them.
    pub(crate) enters: Option<Enter>,
    pub(crate) next: NodeIndex,
}

/// A sub-flow's variables.
#[derive(Debug, Clone)]
pub(crate) struct Enter {
    /// The first of them among all.
    pub(crate) base: u16,
    /// What they begin with.
    pub(crate) fresh: Box<[Val]>,
}

#[derive(Debug, Clone)]
pub(crate) struct HangUp {
    pub(crate) text: Text,
}

/// An edge of the graph: where it leads, and whether the caller must do
/// something for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) to: NodeIndex,
    /// The caller chose it by a key; all others happen by themselves.
    pub(crate) by_key: bool,
}

impl Kind {
    /// Goes on, and does nothing.
    pub(crate) fn jump(next: NodeIndex) -> Kind {
        Kind::Set(Set {
            values: Box::default(),
            enters: None,
            next,
        })
    }

    /// The call that leaves, where the node makes one.
    pub(crate) fn outgoing(&self) -> Option<&Outgoing> {
        match self {
            Kind::Partner(partner) => Some(&partner.call),
            Kind::Transfer(transfer) => Some(&transfer.call),
            _ => None,
        }
    }

    /// Every place where a node is named.
    pub(crate) fn targets_mut(&mut self) -> Vec<&mut NodeIndex> {
        match self {
            Kind::Play(play) => vec![&mut play.next],
            Kind::Menu(menu) => menu
                .options
                .iter_mut()
                .map(|choice| &mut choice.next)
                .chain([&mut menu.ask.timeout, &mut menu.ask.invalid])
                .collect(),
            Kind::Collect(collect) => vec![
                &mut collect.next,
                &mut collect.ask.timeout,
                &mut collect.ask.invalid,
            ],
            Kind::Identify(identify) => identify.exits.iter_mut().collect(),
            Kind::Hours(hours) => vec![
                &mut hours.open,
                &mut hours.closed,
                &mut hours.holiday,
                &mut hours.emergency,
            ],
            Kind::Branch(branch) => branch
                .cases
                .iter_mut()
                .map(|(_, to)| to)
                .chain([&mut branch.otherwise])
                .collect(),
            Kind::Ticket(ticket) => vec![&mut ticket.next, &mut ticket.on_store_down],
            Kind::Find(find) => vec![&mut find.found, &mut find.not_found, &mut find.give_up],
            Kind::Read(read) => vec![&mut read.next],
            Kind::Preview(preview) => vec![&mut preview.told, &mut preview.none],
            Kind::Publish(publish) => vec![&mut publish.published, &mut publish.failed],
            Kind::Incident(incident) => {
                let subscribed = incident.subscribe.as_mut().map(|of| &mut of.next);
                let ways = [&mut incident.told, &mut incident.none];
                let ways = ways.into_iter().chain(&mut incident.surge);
                ways.chain(subscribed).collect()
            }
            Kind::Resolve(next) => vec![next],
            Kind::Verify(verify) => {
                let ways = &mut verify.ways;
                vec![
                    &mut ways.passed,
                    &mut ways.failed,
                    &mut ways.locked,
                    &mut ways.unavailable,
                ]
            }
            Kind::Queue(queue) => queue
                .exit_keys
                .iter_mut()
                .map(|(_, to)| to)
                .chain(&mut queue.no_agents)
                .chain(&mut queue.refused)
                .chain(queue.patience.as_mut().map(|(_, to)| to))
                .chain(&mut queue.after)
                .collect(),
            Kind::Partner(partner) => partner.call.targets_mut(),
            Kind::Transfer(transfer) => transfer.call.targets_mut(),
            Kind::Http(http) => vec![&mut http.ok, &mut http.failed],
            Kind::Callback(back) => {
                vec![&mut back.promised, &mut back.declined, &mut back.failed]
            }
            Kind::Language(tongue) => tongue
                .choices
                .iter_mut()
                .map(|choice| &mut choice.next)
                .chain([&mut tongue.next])
                .collect(),
            Kind::Set(set) => vec![&mut set.next],
            Kind::Exit(_) | Kind::HangUp(_) => Vec::new(),
        }
    }

    /// Every way out, in the order of the document's keys.
    pub(crate) fn exits(&self) -> Vec<Exit> {
        let free = |to| Exit { to, by_key: false };
        let key = |to| Exit { to, by_key: true };
        match self {
            Kind::Play(play) => vec![free(play.next)],
            Kind::Menu(menu) => menu
                .options
                .iter()
                .map(|choice| key(choice.next))
                .chain([free(menu.ask.timeout), free(menu.ask.invalid)])
                .collect(),
            Kind::Collect(collect) => vec![
                key(collect.next),
                free(collect.ask.timeout),
                free(collect.ask.invalid),
            ],
            Kind::Identify(identify) => identify.exits.into_iter().map(free).collect(),
            Kind::Hours(hours) => [hours.open, hours.closed, hours.holiday, hours.emergency]
                .map(free)
                .into(),
            Kind::Branch(branch) => branch
                .cases
                .iter()
                .map(|(_, to)| free(*to))
                .chain([free(branch.otherwise)])
                .collect(),
            Kind::Ticket(ticket) => vec![free(ticket.next), free(ticket.on_store_down)],
            Kind::Find(find) => [find.found, find.not_found, find.give_up].map(free).into(),
            Kind::Read(read) => vec![free(read.next)],
            Kind::Preview(preview) => vec![free(preview.told), free(preview.none)],
            Kind::Publish(publish) => vec![free(publish.published), free(publish.failed)],
            Kind::Incident(incident) => {
                let subscribed = incident.subscribe.as_ref().map(|of| key(of.next));
                let ways = [free(incident.told), free(incident.none)].into_iter();
                let ways = ways.chain(incident.surge.map(free));
                ways.chain(subscribed).collect()
            }
            Kind::Resolve(next) => vec![free(*next)],
            Kind::Verify(verify) => {
                // Whoever has shown it before passes without a key.
                let ways = &verify.ways;
                [ways.passed, ways.failed, ways.locked, ways.unavailable]
                    .map(free)
                    .into()
            }
            Kind::Queue(queue) => queue
                .exit_keys
                .iter()
                .map(|(_, to)| key(*to))
                .chain(
                    [
                        queue.no_agents,
                        queue.refused,
                        queue.patience.map(|(_, to)| to),
                        queue.after,
                    ]
                    .into_iter()
                    .flatten()
                    .map(free),
                )
                .collect(),
            Kind::Partner(partner) => partner.call.exits().map(free).collect(),
            Kind::Transfer(transfer) => transfer.call.exits().map(free).collect(),
            Kind::Http(http) => vec![free(http.ok), free(http.failed)],
            // Nothing is promised to whoever presses nothing.
            Kind::Callback(back) => {
                vec![key(back.promised), free(back.declined), free(back.failed)]
            }
            Kind::Language(tongue) => tongue
                .choices
                .iter()
                .map(|choice| key(choice.next))
                .chain([free(tongue.next)])
                .collect(),
            Kind::Set(set) => vec![free(set.next)],
            Kind::Exit(_) | Kind::HangUp(_) => Vec::new(),
        }
    }

    /// Every text it can say.
    pub(crate) fn texts(&self) -> Vec<&Text> {
        match self {
            Kind::Play(play) => vec![&play.text],
            Kind::Menu(Menu { ask, .. }) | Kind::Collect(Collect { ask, .. }) => {
                vec![&ask.text, &ask.sorry]
            }
            Kind::Identify(_)
            | Kind::Hours(_)
            | Kind::Branch(_)
            | Kind::Ticket(_)
            | Kind::Find(_)
            | Kind::Publish(_)
            | Kind::Resolve(_)
            | Kind::Set(_)
            | Kind::Exit(_) => Vec::new(),
            Kind::Verify(verify) => verify.asks.iter().chain([&verify.wrong]).collect(),
            Kind::Read(read) => read
                .phrases
                .iter()
                .chain([&read.number, &read.repeat])
                .collect(),
            Kind::Preview(preview) => vec![&preview.fallback],
            Kind::Incident(incident) => {
                let subscribe = incident.subscribe.iter();
                let theirs = subscribe.flat_map(|of| [&of.offer, &of.noted, &of.over, &of.failed]);
                [&incident.fallback].into_iter().chain(theirs).collect()
            }
            Kind::Queue(queue) => {
                let standing = queue.standing.as_ref();
                [
                    queue.greeting.as_ref(),
                    queue.ticket.as_ref(),
                    Some(&queue.repeat),
                    standing.map(|s| &s.position),
                    standing.map(|s| &s.next_in_line),
                    standing.map(|s| &s.comfort),
                    Some(&queue.lost),
                ]
                .into_iter()
                .flatten()
                .collect()
            }
            Kind::Partner(partner) => partner.call.texts(),
            Kind::Transfer(transfer) => transfer.call.texts(),
            Kind::Http(http) => vec![&http.say],
            Kind::Callback(back) => back.words.all().collect(),
            Kind::Language(tongue) => tongue.choices.iter().map(|choice| &choice.say).collect(),
            Kind::HangUp(hang_up) => vec![&hang_up.text],
        }
    }
}
