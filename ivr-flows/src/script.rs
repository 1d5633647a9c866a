//! A flow's own tests as they are written: what the caller does, what must be
//! heard, where the call must end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::document::{Entry, Place, Tree, Value};
use crate::flow::NodeIndex;
use crate::keys::{Findings, Keys, duration, shortened};
use crate::{
    CallerFacts, Flow, HoursState, IncidentWords, Language, PartnerOutcome, Role, SubscribeOutcome,
    TicketStatus,
};

/// The number of the ticket that a test's caller may have from before.
pub(crate) const OWN_TICKET: &str = "2963236026";

/// Most things done, and most things heard, in one test.
const LINES_MAX: usize = 60;

/// Everything that can be done, as it is written.
pub(crate) const ACTS: &str = "wait, wait 10s, press 1, press 1 at once, answer, busy, refuses, analyst hangs up, partner hangs up, line breaks, action answers works=true, action fails, analysts leave, analysts return, position 2, hang up";

/// One test.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) caller: CallerFacts,
    pub(crate) withheld: bool,
    pub(crate) dialled: String,
    pub(crate) hospital: String,
    /// Whether the directory answers at all.
    pub(crate) directory: bool,
    /// What every calendar says.
    pub(crate) hours: HoursState,
    pub(crate) store: Store,
    /// How the caller's own ticket ([`OWN_TICKET`]) stands, if they have one.
    pub(crate) own_ticket: Option<TicketStatus>,
    /// What is out of order.
    pub(crate) incident: Option<IncidentWords>,
    /// That is a surge.
    pub(crate) surge: bool,
    /// What comes of the wish to be told when it is over.
    pub(crate) wish: SubscribeOutcome,
    /// What comes of showing who one is.
    pub(crate) verification: Verification,
    pub(crate) signed_in: bool,
    /// What every partner says at once; `None`: it rings, until somebody answers.
    pub(crate) partner: Option<PartnerOutcome>,
    /// Whether a callback can be promised.
    pub(crate) callback: bool,
    /// What HTTP actions are answered, by their names.
    pub(crate) http: BTreeMap<String, Reply>,
    pub(crate) position: u32,
    pub(crate) does: Vec<Act>,
    pub(crate) hears: Vec<String>,
    pub(crate) never_hears: Vec<String>,
    pub(crate) passes: Vec<NodeIndex>,
    pub(crate) ends: Ending,
}

/// How the ticket store behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Up,
    /// Says at once that it can't.
    Down,
    /// Says nothing.
    Silent,
    /// Answers after four seconds, when the call has gone on.
    Late,
}

/// What comes of it when a caller shows who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verification {
    Passes,
    Fails,
    /// They have tried too often.
    Locked,
    /// Says at once that it can't.
    Unavailable,
    /// Says nothing.
    Silent,
}

/// What an HTTP action is answered, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// These fields, as they are written: of which type each is, whoever keeps it says.
    Fields(Vec<(String, String)>),
    /// An error, or nothing that can be read.
    Fails,
    /// Nothing, until the deadline.
    Never,
}

/// One thing done by the caller, or by the desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Does nothing until the flow itself does something, or for a while.
    Wait(Option<Duration>),
    /// Presses keys; not `at_once`: when asked.
    Press { keys: String, at_once: bool },
    /// An analyst, a partner or whom the caller is sent to answers.
    Answer,
    /// The partner, or whom the caller is sent to, doesn't.
    Declines(PartnerOutcome),
    /// The analyst or the partner hangs up.
    AnalystHangsUp,
    /// The HTTP action under way is answered, as in [`Script::http`].
    Replies(Reply),
    /// The analyst's side breaks down.
    LineBreaks,
    /// The last analyst signs out, or one signs in.
    SignedIn(bool),
    /// The place in the queue changes.
    Position(u32),
    /// The caller hangs up.
    HangUp,
}

/// Where the call must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Waiting in this queue.
    Queue(String),
    /// Being put through to this partner.
    Partner(String),
    /// Being transferred there.
    Transfer(String),
    /// Talking to an analyst of this queue, to this partner, or to whom a transfer there led.
    Conversation(String),
    /// Hung up, by whomever, with a call owed by this queue.
    Callback(String),
    /// At this exit, of a flow that others call.
    Exit(String),
    /// Hung up by the flow.
    HangUp,
    /// Hung up by the caller.
    CallerHangsUp,
}

impl Ending {
    /// Whether a call can end so in this flow.
    pub(crate) fn possible(&self, flow: &Flow) -> bool {
        match self {
            Ending::Queue(name) => flow.queues().any(|queue| queue == name),
            Ending::Partner(name) => flow.partners().any(|partner| partner == name),
            Ending::Transfer(to) => transfers_to(flow, to),
            Ending::Conversation(name) => {
                let mut others = flow.queues().chain(flow.partners());
                others.any(|with| with == name) || transfers_to(flow, name)
            }
            Ending::Callback(name) => flow.callbacks().any(|queue| queue == name),
            Ending::Exit(name) => flow.exits().any(|exit| exit == name),
            Ending::HangUp | Ending::CallerHangsUp => true,
        }
    }
}

/// Whether a transfer may lead there; one that is computed in the call, anywhere.
fn transfers_to(flow: &Flow, to: &str) -> bool {
    flow.computes_targets() || flow.transfers().any(|transfer| transfer.to == to)
}

/// As the document writes it.
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Queue(queue) => write!(f, "queue {queue}"),
            Ending::Partner(partner) => write!(f, "partner {partner}"),
            Ending::Transfer(to) => write!(f, "transfer {to}"),
            Ending::Conversation(with) => write!(f, "conversation {with}"),
            Ending::Callback(queue) => write!(f, "callback {queue}"),
            Ending::Exit(exit) => write!(f, "exit {exit}"),
            Ending::HangUp => f.write_str("hang up"),
            Ending::CallerHangsUp => f.write_str("caller hangs up"),
        }
    }
}

impl Script {
    /// Nothing goes wrong, and whatever is done is done by hand.
    pub(crate) fn by_hand(caller: CallerFacts) -> Script {
        Script {
            name: String::new(),
            line: 0,
            caller,
            withheld: false,
            dialled: "1000".to_owned(),
            hospital: "test".to_owned(),
            directory: true,
            hours: HoursState::Open,
            store: Store::Up,
            own_ticket: None,
            incident: None,
            surge: false,
            wish: SubscribeOutcome::Noted,
            verification: Verification::Passes,
            signed_in: true,
            partner: None,
            callback: true,
            http: BTreeMap::new(),
            position: 1,
            does: Vec::new(),
            hears: Vec::new(),
            never_hears: Vec::new(),
            passes: Vec::new(),
            ends: Ending::HangUp,
        }
    }

    /// Reads one test; `None` after an error.
    pub(crate) fn read(
        tree: &Tree,
        nodes: &BTreeMap<&str, NodeIndex>,
        findings: &mut Findings,
    ) -> Option<Script> {
        let mut keys = Keys::of(tree, None, "a test", findings);
        let name = keys.word("name", findings);
        if !keys.has("name") {
            keys.error(findings, keys.at(), "the test has no `name`", None);
        }
        let (caller, withheld) = caller(&mut keys, findings);
        let dialled = keys
            .word("dialled", findings)
            .map_or("1000", |(word, _)| word);
        let hospital = keys
            .word("hospital", findings)
            .map_or("test", |(word, _)| word);
        let hours = keys.choice(
            "hours",
            &[
                ("open", HoursState::Open),
                ("closed", HoursState::Closed),
                ("holiday", HoursState::Holiday),
                ("emergency", HoursState::Emergency),
            ],
            findings,
        );
        let directory = keys.choice("directory", &[("up", true), ("down", false)], findings);
        let store = keys.choice(
            "store",
            &[
                ("up", Store::Up),
                ("down", Store::Down),
                ("silent", Store::Silent),
                ("late", Store::Late),
            ],
            findings,
        );
        let own_ticket = keys.choice(
            "own_ticket",
            &[
                ("open", TicketStatus::Open),
                ("in hand", TicketStatus::InHand),
                ("resolved", TicketStatus::Resolved),
            ],
            findings,
        );
        let incident = incident(&mut keys, findings);
        let surge = keys.truth("surge", findings).unwrap_or(false);
        let wish = keys.choice(
            "subscribing",
            &[
                ("works", SubscribeOutcome::Noted),
                ("too late", SubscribeOutcome::Over),
                ("fails", SubscribeOutcome::Failed),
            ],
            findings,
        );
        let verification = keys.choice(
            "verification",
            &[
                ("passes", Verification::Passes),
                ("fails", Verification::Fails),
                ("locked", Verification::Locked),
                ("unavailable", Verification::Unavailable),
                ("silent", Verification::Silent),
            ],
            findings,
        );
        let signed_in = keys.choice("agents", &[("signed in", true), ("none", false)], findings);
        let partner = keys.choice(
            "partner",
            &[
                ("rings", None),
                ("busy", Some(PartnerOutcome::Busy)),
                ("fails", Some(PartnerOutcome::Failed)),
            ],
            findings,
        );
        let callback = keys.choice("callback", &[("offered", true), ("none", false)], findings);
        let http = replies(&mut keys, findings);
        let position = keys.number("position", 1..=10_000, findings);
        let does = lines(&mut keys, "does", act, findings);
        let hears = lines(&mut keys, "hears", sentence, findings);
        let never_hears = lines(&mut keys, "never_hears", sentence, findings);
        if let Some(entry) = keys.take("passes") {
            let items = match &entry.value.value {
                Value::List(items) => items,
                _ => std::slice::from_ref(&entry.value),
            };
            for item in items {
                if let Value::Text(node) = &item.value {
                    findings.refer(item.at, node);
                }
            }
        }
        let passes = lines(
            &mut keys,
            "passes",
            |word| nodes.get(word).copied(),
            findings,
        );
        let ends = keys.word("ends", findings);
        if !keys.has("ends") {
            keys.error(
                findings,
                keys.at(),
                "the test doesn't say where the call `ends`",
                Some("For example: ends: queue clinical"),
            );
        }
        keys.finish("a test", findings);
        let (ends, at) = ends?;
        let Some(ends) = ending(ends) else {
            findings.add(
                at,
                None,
                format!("a call can't end in \"{}\"", shortened(ends)),
                Some(
                    "It ends in: queue NAME, partner NAME, transfer NUMBER, conversation NAME, callback NAME, exit NAME, hang up, caller hangs up."
                        .to_owned(),
                ),
            );
            return None;
        };
        Some(Script {
            name: name?.0.to_owned(),
            line: tree.at.line,
            caller,
            withheld,
            dialled: dialled.to_owned(),
            hospital: hospital.to_owned(),
            directory: directory.unwrap_or(true),
            hours: hours.unwrap_or(HoursState::Open),
            store: store.unwrap_or(Store::Up),
            own_ticket,
            incident,
            surge,
            wish: wish.unwrap_or(SubscribeOutcome::Noted),
            verification: verification.unwrap_or(Verification::Passes),
            signed_in: signed_in.unwrap_or(true),
            partner: partner.flatten(),
            callback: callback.unwrap_or(true),
            http,
            position: position.unwrap_or(1),
            does,
            hears,
            never_hears,
            passes,
            ends,
        })
    }
}

fn caller(keys: &mut Keys<'_>, findings: &mut Findings) -> (CallerFacts, bool) {
    let mut facts = CallerFacts::UNKNOWN;
    let Some(entry) = keys.take("caller") else {
        return (facts, false);
    };
    let mut keys = Keys::of(&entry.value, None, "`caller`", findings);
    if let Some(role) = keys.choice("role", &Role::ALL.map(|role| (role.word(), role)), findings) {
        facts.role = role;
    }
    facts.known = keys
        .truth("known", findings)
        .unwrap_or(facts.role != Role::Unknown);
    facts.spoken_name = keys.word("name", findings).map(|(name, _)| Arc::from(name));
    if let Some((tag, at)) = keys.word("language", findings) {
        facts.language = Language::from_tag(tag);
        if facts.language.is_none() {
            let help = "Two small letters, e.g. es.";
            findings.add(
                at,
                None,
                "`language` isn't a language",
                Some(help.to_owned()),
            );
        }
    }
    facts.slow = keys.truth("slow", findings).unwrap_or(false);
    facts.relay = keys.truth("relay", findings).unwrap_or(false);
    let withheld = keys.truth("withheld", findings).unwrap_or(false);
    keys.finish("a caller", findings);
    (facts, withheld)
}

/// What is out of order: `incident: The record is down.`, and in few words `brief: Record down.`
fn incident(keys: &mut Keys<'_>, findings: &mut Findings) -> Option<IncidentWords> {
    let mut words = |key| keys.word(key, findings).map(|(text, _)| Arc::from(text));
    let (text, brief) = (words("incident"), words("brief"));
    Some(IncidentWords {
        language: Language::ENGLISH,
        text: text?,
        brief,
    })
}

/// What HTTP actions are answered: `http: {system-status: {works: true}, other: fails}`.
fn replies(keys: &mut Keys<'_>, findings: &mut Findings) -> BTreeMap<String, Reply> {
    let Some(entry) = keys.take("http") else {
        return BTreeMap::new();
    };
    let mut replies = BTreeMap::new();
    for action in Keys::of(&entry.value, None, "`http`", findings).take_all() {
        let reply = match &action.value.value {
            Value::Text(word) if word == "fails" => Some(Reply::Fails),
            Value::Text(word) if word == "never" => Some(Reply::Never),
            Value::Map(fields) if fields.len() <= LINES_MAX => {
                let field = |field: &Entry| match &field.value.value {
                    Value::Text(value) => Some((field.key.clone(), value.clone())),
                    _ => None,
                };
                let fields: Option<Vec<_>> = fields.iter().map(field).collect();
                fields.map(Reply::Fields)
            }
            _ => None,
        };
        match reply {
            Some(reply) => {
                replies.insert(action.key.clone(), reply);
            }
            None => findings.add(
                action.at,
                None,
                format!("`http` can't hold this for `{}`", shortened(&action.key)),
                Some("Fields and their values, `fails` or `never`: http: {system-status: {works: true}}".to_owned()),
            ),
        }
    }
    replies
}

/// A list of short texts, each understood by `read`.
fn lines<T>(
    keys: &mut Keys<'_>,
    key: &'static str,
    read: impl Fn(&str) -> Option<T>,
    findings: &mut Findings,
) -> Vec<T> {
    let Some(entry) = keys.take(key) else {
        return Vec::new();
    };
    let one;
    let items = match &entry.value.value {
        Value::List(items) if items.len() <= LINES_MAX => items,
        Value::Text(_) => {
            one = vec![entry.value.clone()];
            &one
        }
        _ => {
            keys.error(
                findings,
                entry.at,
                format!("`{key}` must be a list of at most {LINES_MAX} texts"),
                None,
            );
            return Vec::new();
        }
    };
    let mut understood = Vec::new();
    for item in items {
        let line = match &item.value {
            Value::Text(text) => text.as_str(),
            _ => "",
        };
        match read(line) {
            Some(value) => understood.push(value),
            None => {
                let at = if item.at == Place::default() {
                    entry.at
                } else {
                    item.at
                };
                let help = match key {
                    "does" => format!("There are: {ACTS}."),
                    "passes" => "It names nodes of this flow.".to_owned(),
                    _ => {
                        "It is a piece of what is spoken; ticket digits in pairs, 47 19.".to_owned()
                    }
                };
                keys.error(
                    findings,
                    at,
                    format!("`{key}` can't hold \"{}\"", shortened(line)),
                    Some(&help),
                );
            }
        }
    }
    understood
}

fn sentence(line: &str) -> Option<String> {
    let folded = line.split_whitespace().collect::<Vec<_>>().join(" ");
    (!folded.is_empty() && folded.len() <= 1000).then_some(folded)
}

pub(crate) fn act(line: &str) -> Option<Act> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["action", "fails"] => Some(Act::Replies(Reply::Fails)),
        ["action", "answers", ..] => {
            let (_, fields) = line.split_once("answers")?;
            let field = |field: &str| {
                let (name, value) = field.split_once('=')?;
                Some((name.trim().to_owned(), value.trim().to_owned()))
            };
            let fields = fields.split(',').filter(|field| !field.trim().is_empty());
            let fields: Option<Vec<_>> = fields.map(field).collect();
            Some(Act::Replies(Reply::Fields(fields?)))
        }
        ["wait"] => Some(Act::Wait(None)),
        ["wait", time] => duration(time)
            .filter(|time| *time <= Duration::from_secs(4 * 3600))
            .map(|time| Act::Wait(Some(time))),
        ["press", keys] => Some((keys, false)).and_then(press),
        ["press", keys, "at", "once"] => Some((keys, true)).and_then(press),
        ["answer"] => Some(Act::Answer),
        ["busy"] => Some(Act::Declines(PartnerOutcome::Busy)),
        ["refuses"] => Some(Act::Declines(PartnerOutcome::Failed)),
        ["analyst" | "partner", "hangs", "up"] => Some(Act::AnalystHangsUp),
        ["line", "breaks"] => Some(Act::LineBreaks),
        ["analysts", "leave"] => Some(Act::SignedIn(false)),
        ["analysts", "return"] => Some(Act::SignedIn(true)),
        ["position", place] => place
            .parse()
            .ok()
            .filter(|place| (1..=10_000).contains(place))
            .map(Act::Position),
        ["hang", "up"] => Some(Act::HangUp),
        _ => None,
    }
}

fn press((keys, at_once): (&str, bool)) -> Option<Act> {
    let fine = (1..=24).contains(&keys.len())
        && keys
            .bytes()
            .all(|key| key.is_ascii_digit() || key == b'*' || key == b'#');
    fine.then(|| Act::Press {
        keys: keys.to_owned(),
        at_once,
    })
}

fn ending(line: &str) -> Option<Ending> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["queue", queue] => Some(Ending::Queue(queue.to_owned())),
        ["partner", partner] => Some(Ending::Partner(partner.to_owned())),
        ["transfer", to] => Some(Ending::Transfer(to.to_owned())),
        ["callback", queue] => Some(Ending::Callback(queue.to_owned())),
        ["exit", exit] => Some(Ending::Exit(exit.to_owned())),
        ["conversation", queue] => Some(Ending::Conversation(queue.to_owned())),
        ["hang", "up"] => Some(Ending::HangUp),
        ["caller", "hangs", "up"] => Some(Ending::CallerHangsUp),
        _ => None,
    }
}
