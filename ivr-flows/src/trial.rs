//! A flow's own tests, run on virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::expression::ValKind;
use crate::keys::shortened;
use crate::script::{ACTS, Act, Ending, OWN_TICKET, Reply, Script, Store, Verification};
use crate::{
    ActionCall, CallbackDay, CallbackOffer, CallbackTime, CallerFacts, Factor, Facts, Fields, Flow,
    FoundTicket, IncidentNews, Input, Number, PartnerOutcome, Piece, PlayId, Promised, Role,
    Session, Step, TicketAsk, Val,
};

/// The ticket number every test gets.
const TICKET: &str = "4719203855";
/// The number that a test's caller calls from, unless it is withheld.
const CALLER_NUMBER: &str = "5550177005";
/// Numbers keyed in that are shorter can't be called.
const CALLABLE_MIN: usize = 7;
/// The hours that a test's caller may be called in.
const CALLBACK_TIMES: [CallbackTime; 3] = [
    CallbackTime {
        day: CallbackDay::Tomorrow,
        hour: 9,
    },
    CallbackTime {
        day: CallbackDay::On(1),
        hour: 14,
    },
    CallbackTime {
        day: CallbackDay::On(3),
        hour: 9,
    },
];
/// By what the hospital's own systems know whoever passes verification, in every test.
const CALLER_KEY: &str = "S-17";
/// The hospital's name in every test.
const HOSPITAL_NAME: &str = "the hospital";
/// Longest virtual time one act, or the rest of a call after the last, may take.
const ACT_MAX: Duration = Duration::from_secs(600);
/// Most events in one test, against a flow that would never settle.
const EVENTS_MAX: u32 = 20_000;
/// After how long an HTTP action has failed: what a hospital's file says where it says nothing.
const ACTION_MAX: Duration = Duration::from_secs(5);
/// How long a spoken word lasts.
const WORD: Duration = Duration::from_millis(400);

/// What came of one of the flow's own tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The test's name.
    pub name: String,
    /// Its line in the file.
    pub line: u32,
    /// Why it failed; `None`: passed.
    pub failure: Option<String>,
    /// Everything the caller heard, a prompt an entry.
    pub heard: Vec<String>,
    /// The nodes walked through, in order.
    pub visited: Vec<String>,
}

/// Runs the tests written in the flow's document. Each takes well under a
/// millisecond; nothing sleeps.
pub fn run_tests(flow: &Arc<Flow>) -> Vec<TestResult> {
    flow.tests
        .iter()
        .map(|script| Trial::run(flow, script))
        .collect()
}

/// The nodes no test walked through, in the order of the document.
pub fn unvisited<'a>(flow: &'a Flow, results: &[TestResult]) -> Vec<&'a str> {
    flow.nodes()
        .filter(|name| {
            !results
                .iter()
                .any(|result| result.visited.iter().any(|visited| visited == name))
        })
        .collect()
}

/// One test being run: a caller, a desk and a store around a session.
struct Trial {
    script: Script,
    session: Session,
    now: Duration,
    events_left: u32,
    /// What will happen, by time and order of arising.
    ahead: BTreeMap<(Duration, u32), Input>,
    count: u32,
    on_air: Option<PlayId>,
    heard: Vec<String>,
    queue: Option<Arc<str>>,
    /// Who is being called, or talks to the caller: where the call ends if it stays so.
    called: Option<Ending>,
    talking: bool,
    /// What an HTTP action is sent that nobody has said an answer of.
    asked: Option<(Arc<str>, Fields)>,
    /// The level that the caller is about to show.
    verifies: u8,
    signed_in: bool,
    position: u32,
    /// Who owes the caller a call.
    owes: Option<Arc<str>>,
    /// The flow hung up, or the caller did.
    over: Option<Ending>,
}

/// What made the trial move on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    Event,
    Timer,
    /// Nothing is left to happen before the limit.
    Not,
}

impl Trial {
    fn begin(flow: &Arc<Flow>, script: &Script) -> Trial {
        let mut session = Session::new(
            Arc::clone(flow),
            Facts {
                dnis: Arc::from(script.dialled.as_str()),
                ani_withheld: script.withheld,
                hospital: Arc::from(script.hospital.as_str()),
                hospital_name: Arc::from(HOSPITAL_NAME),
                languages: Arc::from(flow.languages()),
            },
        );
        session.keep_trace();
        session.start(Duration::ZERO);
        let mut trial = Trial {
            script: script.clone(),
            session,
            now: Duration::ZERO,
            events_left: EVENTS_MAX,
            ahead: BTreeMap::new(),
            count: 0,
            on_air: None,
            heard: Vec::new(),
            queue: None,
            called: None,
            talking: false,
            asked: None,
            verifies: 0,
            signed_in: script.signed_in,
            position: script.position,
            owes: None,
            over: None,
        };
        trial.carry_out();
        trial
    }

    fn run(flow: &Arc<Flow>, script: &Script) -> TestResult {
        let mut trial = Trial::begin(flow, script);
        let failure = trial.play_script().err();
        let visited: Vec<String> = trial
            .session
            .trace()
            .iter()
            .map(|at| flow.node(*at).name.to_string())
            .collect();
        let failure = failure.or_else(|| {
            script
                .passes
                .iter()
                .find(|at| !trial.session.trace().contains(at))
                .map(|at| {
                    format!(
                        "the call doesn't pass `{}`; it went {}",
                        flow.node(*at).name,
                        visited.join(" → ")
                    )
                })
        });
        TestResult {
            name: script.name.clone(),
            line: script.line,
            failure,
            heard: trial.heard,
            visited,
        }
    }

    fn play_script(&mut self) -> Result<(), String> {
        for act in self.script.does.clone() {
            self.act(&act)?;
        }
        self.settle();
        self.judge()
    }

    fn judge(&self) -> Result<(), String> {
        let all = self.heard.join("\n");
        let mut from = 0;
        for expected in &self.script.hears {
            match all[from..].find(expected.as_str()) {
                Some(at) => from += at + expected.len(),
                None => {
                    return Err(format!(
                        "\"{expected}\" isn't heard (in this order); heard was:\n{all}"
                    ));
                }
            }
        }
        if let Some(never) = self
            .script
            .never_hears
            .iter()
            .find(|never| all.contains(never.as_str()))
        {
            return Err(format!("\"{never}\" is heard; heard was:\n{all}"));
        }
        let ended = self.ending();
        if ended.as_ref() == Some(&self.script.ends) {
            return Ok(());
        }
        let ended = ended.map_or_else(|| "nowhere".to_owned(), |ended| format!("in {ended}"));
        Err(format!(
            "the call ends {ended}, not in {}; heard was:\n{all}",
            self.script.ends
        ))
    }

    fn ending(&self) -> Option<Ending> {
        match (&self.over, &self.owes) {
            (Some(Ending::HangUp | Ending::CallerHangsUp), Some(queue)) => {
                return Some(Ending::Callback(queue.to_string()));
            }
            (Some(over), _) => return Some(over.clone()),
            (None, _) => {}
        }
        let rests = match &self.queue {
            Some(queue) => Ending::Queue(queue.to_string()),
            None => self.called.clone()?,
        };
        Some(match rests {
            Ending::Queue(with) | Ending::Partner(with) | Ending::Transfer(with)
                if self.talking =>
            {
                Ending::Conversation(with)
            }
            rests => rests,
        })
    }

    fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Wait(None) => {
                let limit = self.now + ACT_MAX;
                let asked = self.asked.is_some();
                // Whoever types is asked what an action answers, before it fails.
                while self.over.is_none()
                    && (asked || self.asked.is_none())
                    && self.advance(limit) == Moved::Event
                {}
            }
            Act::Wait(Some(time)) => self.pass(*time),
            Act::Press { keys, at_once } => {
                if !at_once {
                    self.until("is asked for a key", |trial| {
                        trial.session.asks_for(keys.chars().next())
                            || (trial.waits() && trial.ahead_is_calm())
                    })?;
                    self.pass(Duration::from_millis(300));
                }
                for key in keys.chars() {
                    self.input(Input::Digit(key));
                    self.pass(Duration::from_millis(150));
                }
            }
            Act::Answer => {
                self.until("is in a queue or being put through", |trial| {
                    trial.waits() || trial.rings()
                })?;
                self.pass(Duration::from_secs(1));
                if !self.waits() && !self.rings() {
                    return Err("the caller left before anybody could answer".to_owned());
                }
                self.talking = true;
                self.input(match self.queue {
                    Some(_) => Input::QueueAnswered,
                    None => Input::Partner(PartnerOutcome::Answered),
                });
            }
            Act::Declines(outcome) => {
                self.until("is being put through", Trial::rings)?;
                self.pass(Duration::from_secs(1));
                if !self.rings() {
                    return Err("the caller was taken back before that".to_owned());
                }
                self.input(Input::Partner(*outcome));
            }
            Act::Replies(reply) => {
                self.until("waits for an HTTP action", |trial| {
                    trial.session.awaits_fields().is_some()
                })?;
                self.reply(reply, Duration::ZERO);
                self.pass(Duration::from_millis(100));
            }
            Act::AnalystHangsUp | Act::LineBreaks => {
                if !self.talking {
                    return Err("there is no conversation to end".to_owned());
                }
                self.talking = false;
                self.queue = None;
                self.called = None;
                self.input(match act {
                    Act::LineBreaks => Input::ConversationBroken,
                    _ => Input::ConversationEnded,
                });
            }
            Act::SignedIn(signed_in) => {
                self.signed_in = *signed_in;
                self.tell_position();
            }
            Act::Position(position) => {
                self.until("is in a queue", Trial::waits)?;
                self.pass(Duration::from_millis(100));
                self.position = *position;
                self.tell_position();
            }
            Act::HangUp => {
                self.input(Input::CallerHungUp);
                self.over = Some(Ending::CallerHangsUp);
            }
        }
        Ok(())
    }

    /// Has the HTTP action under way answered after so long.
    fn reply(&mut self, reply: &Reply, delay: Duration) {
        self.ahead
            .retain(|_, input| !matches!(input, Input::ActionFailed));
        let input = match reply {
            Reply::Fields(given) => Input::ActionAnswered(self.typed(given)),
            Reply::Fails | Reply::Never => Input::ActionFailed,
        };
        self.later(delay, input);
    }

    /// Fields as they are written, each of the type that is wanted of it if it can be.
    fn typed(&self, given: &[(String, String)]) -> Fields {
        let wanted: Vec<_> = self.session.awaits_fields().into_iter().flatten().collect();
        let typed = |(name, text): &(String, String)| {
            let kind = wanted.iter().find(|(field, _)| field == name);
            let value = match (kind.map(|(_, kind)| kind), text.parse(), text.parse()) {
                (Some(ValKind::Number), Ok(number), _) => Val::Number(number),
                (Some(ValKind::Truth), _, Ok(truth)) => Val::Truth(truth),
                _ => Val::Text(Arc::from(text.as_str())),
            };
            (Arc::from(name.as_str()), value)
        };
        given.iter().map(typed).collect()
    }

    fn waits(&self) -> bool {
        self.queue.is_some() && !self.talking && self.over.is_none()
    }

    /// A partner, or whom a transfer leads to, is being called.
    fn rings(&self) -> bool {
        self.called.is_some() && !self.talking && self.over.is_none()
    }

    /// Nothing is on its way but the end of what is being played.
    fn ahead_is_calm(&self) -> bool {
        self.ahead
            .values()
            .all(|input| matches!(input, Input::PlayEnded { .. }))
    }

    fn tell_position(&mut self) {
        self.input(Input::QueuePosition {
            position: self.position,
            signed_in: self.signed_in,
        });
    }

    /// Lets the call go on until it rests: ended, in conversation, or in a
    /// queue or being put through with everything said that is due.
    fn settle(&mut self) {
        let limit = self.now + ACT_MAX;
        while self.over.is_none()
            && !self.talking
            && !((self.waits() || self.rings()) && self.ahead.is_empty() && self.on_air.is_none())
            && self.advance(limit) != Moved::Not
        {}
    }

    fn until(&mut self, what: &str, reached: impl Fn(&Trial) -> bool) -> Result<(), String> {
        let limit = self.now + ACT_MAX;
        while !reached(self) {
            if self.over.is_some() || self.advance(limit) == Moved::Not {
                return Err(format!(
                    "the caller never {what}; heard was:\n{}",
                    self.heard.join("\n")
                ));
            }
        }
        Ok(())
    }

    fn pass(&mut self, time: Duration) {
        let limit = self.now + time;
        while self.advance(limit) != Moved::Not {}
        self.now = limit;
    }

    /// Lets the next thing happen, if it does by `limit`.
    fn advance(&mut self, limit: Duration) -> Moved {
        let event = self.ahead.first_key_value().map(|((at, _), _)| *at);
        let timer = self.session.poll_timeout();
        let next = event
            .into_iter()
            .chain(timer)
            .min()
            .filter(|next| *next <= limit);
        let (Some(next), true) = (next, self.events_left > 0) else {
            return Moved::Not;
        };
        self.events_left -= 1;
        self.now = self.now.max(next);
        if event == Some(next)
            && let Some((_, input)) = self.ahead.pop_first()
        {
            self.input(input);
            Moved::Event
        } else {
            self.session.handle_timeout(self.now);
            self.carry_out();
            Moved::Timer
        }
    }

    fn input(&mut self, input: Input) {
        if let Input::Partner(outcome) = &input
            && *outcome != PartnerOutcome::Answered
        {
            self.called = None;
        }
        if let Input::PlayEnded { play } = &input
            && self.on_air == Some(*play)
        {
            self.on_air = None;
        }
        if matches!(input, Input::ActionAnswered(_) | Input::ActionFailed) {
            self.asked = None;
        }
        self.session.handle(self.now, input);
        self.carry_out();
    }

    fn later(&mut self, delay: Duration, input: Input) {
        self.count += 1;
        self.ahead.insert((self.now + delay, self.count), input);
    }

    fn carry_out(&mut self) {
        let soon = Duration::from_millis(30);
        while let Some(step) = self.session.poll() {
            match step {
                Step::Play { play, prompt, .. } | Step::Announce { play, prompt } => {
                    let words = spoken(&prompt);
                    let count = u32::try_from(words.split(' ').count()).unwrap_or(u32::MAX);
                    self.later(WORD.saturating_mul(count), Input::PlayEnded { play });
                    self.heard.push(words);
                    self.on_air = Some(play);
                }
                Step::StopPlay { play } => {
                    self.ahead
                        .retain(|_, input| !matches!(input, Input::PlayEnded { play: other } if *other == play));
                    self.on_air = None;
                }
                Step::Identify => {
                    if self.script.directory {
                        self.later(soon, Input::Identified(self.script.caller.clone()));
                    }
                }
                Step::AskHours { .. } => self.later(soon, Input::Hours(self.script.hours)),
                Step::OpenTicket { ask, .. } => {
                    let number = match ask {
                        TicketAsk::Open => TICKET,
                        TicketAsk::Attach => OWN_TICKET,
                    };
                    let ticket = Input::Ticket(Arc::from(number));
                    match self.script.store {
                        Store::Up => self.later(soon, ticket),
                        Store::Late => self.later(Duration::from_secs(4), ticket),
                        Store::Down => self.later(soon, Input::TicketFailed),
                        Store::Silent => {}
                    }
                }
                Step::FindTicket { digits } => {
                    let own = self.script.own_ticket.filter(|_| &*digits == OWN_TICKET);
                    let answer = own.map_or(Input::TicketNotFound, |status| {
                        Input::TicketFound(FoundTicket {
                            number: digits,
                            status,
                            update: None,
                        })
                    });
                    self.later(soon, answer);
                }
                Step::AskIncidents { .. } | Step::PreviewIncident { .. } => {
                    let news = self.script.incident.iter().map(|news| IncidentNews {
                        texts: vec![news.clone()],
                        surge: self.script.surge,
                    });
                    let news = news.collect();
                    let calls_back = !self.script.withheld;
                    self.later(soon, Input::Incidents { news, calls_back });
                }
                Step::Subscribe { .. } | Step::PublishIncident => {
                    self.later(soon, Input::Subscribed(self.script.wish));
                }
                Step::AskCallback { .. } => {
                    let offer = self.script.callback.then(|| CallbackOffer {
                        number: Number::new(CALLER_NUMBER).filter(|_| !self.script.withheld),
                        place: true,
                        times: CALLBACK_TIMES.into(),
                    });
                    self.later(soon, Input::CallbackOffer(offer));
                }
                Step::CheckNumber(number) => {
                    let callable = number.digits().len() >= CALLABLE_MIN;
                    self.later(soon, Input::Number(callable.then_some(number)));
                }
                Step::Promise(ask) => {
                    let time = ask.time.and_then(|time| CALLBACK_TIMES.get(time));
                    let made = Input::Promised(time.map_or(Promised::Turn, |at| Promised::At(*at)));
                    match self.script.store {
                        Store::Up => {
                            self.owes = Some(ask.queue);
                            self.later(soon, made);
                        }
                        Store::Late => self.later(Duration::from_secs(4), made),
                        Store::Down => self.later(soon, Input::NotPromised),
                        Store::Silent => {}
                    }
                }
                Step::Verify { level } => {
                    let asks = match (level, self.session.role()) {
                        (1, _) => vec![Factor::Pin],
                        (_, Role::Clinician | Role::Staff) => {
                            vec![Factor::StaffNumber, Factor::Pin, Factor::BirthDate]
                        }
                        _ => vec![Factor::BirthDate, Factor::Mrn],
                    };
                    match self.script.verification {
                        Verification::Passes | Verification::Fails => {
                            self.verifies = level;
                            self.later(soon, Input::VerifyAsks(asks));
                        }
                        Verification::Locked => {
                            self.later(soon, Input::CannotVerify { locked: true });
                        }
                        Verification::Unavailable => {
                            self.later(soon, Input::CannotVerify { locked: false });
                        }
                        Verification::Silent => {}
                    }
                }
                Step::Check => {
                    let answers = self.session.take_answers();
                    let empty = answers.iter().any(|(_, answer)| answer.len() == 0);
                    let level = self.verifies;
                    let input = match self.script.verification {
                        Verification::Passes if !empty => Input::Verified {
                            level,
                            key: Some(Arc::from(CALLER_KEY)),
                        },
                        _ => Input::NotVerified,
                    };
                    self.later(soon, input);
                }
                Step::SetRole(_) | Step::ResolveTicket | Step::Informed => {}
                Step::EnterQueue { queue, .. } => {
                    self.queue = Some(queue);
                    self.later(
                        soon,
                        Input::QueuePosition {
                            position: self.position,
                            signed_in: self.signed_in,
                        },
                    );
                }
                Step::LeaveQueue => self.queue = None,
                Step::Partner { partner, .. } => {
                    self.called = Some(Ending::Partner(partner.to_string()));
                    if let Some(outcome) = self.script.partner {
                        self.later(soon, Input::Partner(outcome));
                    }
                }
                Step::Transfer { to, .. } => {
                    self.called = Some(Ending::Transfer(to.to_string()));
                }
                Step::LeavePartner => self.called = None,
                Step::CallAction(ActionCall { action, with, .. }) => {
                    match self.script.http.get(&*action) {
                        None => {
                            self.asked = Some((action, with));
                            self.later(ACTION_MAX, Input::ActionFailed);
                        }
                        Some(Reply::Never) => self.later(ACTION_MAX, Input::ActionFailed),
                        Some(reply) => {
                            let reply = reply.clone();
                            self.reply(&reply, soon);
                        }
                    }
                }
                Step::HangUp { .. } => {
                    self.over = Some(match self.session.exit() {
                        Some(exit) => Ending::Exit(exit.to_owned()),
                        None => Ending::HangUp,
                    });
                }
            }
        }
    }
}

/// A call tried by hand, on virtual time: the acts of a flow's tests, one by
/// one. The same acts always give the same call.
pub struct Rehearsal {
    trial: Trial,
    told: usize,
}

impl Rehearsal {
    /// The call is answered. `caller`: what the directory says of them.
    pub fn start(flow: &Arc<Flow>, caller: CallerFacts) -> Rehearsal {
        Rehearsal {
            trial: Trial::begin(flow, &Script::by_hand(caller)),
            told: 0,
        }
    }

    /// One act, as in a test's `does`: `press 1`, `wait 10s`, `answer`.
    ///
    /// # Errors
    /// There is no such act, or it can't be done now; the call goes on.
    pub fn act(&mut self, line: &str) -> Result<(), String> {
        let act = crate::script::act(line)
            .ok_or_else(|| format!("\"{}\" isn't known; there are: {ACTS}", shortened(line)))?;
        if self.over() {
            return Err("the call is over".to_owned());
        }
        self.trial.act(&act)
    }

    /// What was heard since this was last asked, a prompt an entry.
    pub fn heard(&mut self) -> Vec<String> {
        let heard = self.trial.heard[self.told..].to_vec();
        self.told = self.trial.heard.len();
        heard
    }

    /// The node the caller is at.
    pub fn node(&self) -> &str {
        self.trial.session.node()
    }

    /// Where the call rests or has ended, in the words of a test's `ends`.
    pub fn place(&self) -> Option<String> {
        self.trial.ending().map(|ending| ending.to_string())
    }

    /// The HTTP action that waits for an answer, by an act of whoever tries
    /// the call: what it is sent, and how to answer.
    pub fn asked(&self) -> Option<String> {
        let (action, with) = self.trial.asked.as_ref()?;
        let sent = with.iter().map(|(name, value)| match value {
            Val::Truth(truth) => format!("{name}={truth}"),
            Val::Text(text) => format!("{name}=\"{text}\""),
            Val::Number(number) => format!("{name}={number}"),
        });
        let wanted = self.trial.session.awaits_fields()?;
        let wanted = wanted.map(|(name, kind)| format!("{name}={}", kind.example()));
        let (sent, wanted) = (sent.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
        Some(format!(
            "{action} is sent {{{}}}: action answers {}, or action fails",
            sent.join(", "),
            wanted.join(", ")
        ))
    }

    /// How long the call has lasted.
    pub fn lasted(&self) -> Duration {
        self.trial.now
    }

    /// Whether somebody has hung up.
    pub fn over(&self) -> bool {
        self.trial.over.is_some()
    }
}

/// A prompt as the tests write it: ticket digits in pairs.
fn spoken(prompt: &[Piece]) -> String {
    let mut words = Vec::new();
    for piece in prompt {
        match piece {
            Piece::Text(_, text) => words.push(text.to_string()),
            Piece::TicketPairs(..) | Piece::NumberPairs(..) => {
                let digits = match piece {
                    Piece::NumberPairs(_, number) => number.digits(),
                    Piece::TicketPairs(_, digits) | Piece::Text(_, digits) => digits,
                };
                let digits: Vec<char> = digits.chars().collect();
                words.extend(digits.chunks(2).map(|pair| pair.iter().collect::<String>()));
            }
        }
    }
    words.join(" ")
}
