//! One caller's walk through a flow.

mod acting;
mod asking;
mod callback;
mod calling;
mod incident;
mod ticket;
mod tongue;
mod verify;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::expression::{Known, Val};
use crate::flow::{Flow, Kind, NodeIndex, Set};
use crate::language::{LAST_WORDS, Language};
use crate::text::{Fill, Text};
use crate::{
    CallerFacts, Facts, FoundTicket, HangUpCause, HoursState, Input, PartnerOutcome, Piece, PlayId,
    Role, Step,
};

use acting::Acting;
use asking::{Asking, Keyed};
use callback::Offering;
use calling::Calling;
use incident::{Informing, RingNews};
use ticket::Reading;
use tongue::Choosing;
use verify::Verifying;
use waiting::Waiting;

/// How long the directory may take; then the caller is unknown.
const IDENTIFY_WAIT: Duration = Duration::from_millis(500);
/// The calendar answers at once.
const HOURS_WAIT: Duration = Duration::from_millis(500);
/// How long a prompt may last before it counts as ended: its end was lost.
const PLAY_GUARD: Duration = Duration::from_secs(120);

/// One caller's walk through a flow.
///
/// Driving it: [`start`](Session::start) once; then, whenever something
/// happened, [`handle`](Session::handle), and whenever the time that
/// [`poll_timeout`](Session::poll_timeout) names has come,
/// [`handle_timeout`](Session::handle_timeout). After each of these three call
/// [`poll`](Session::poll) until it gives `None`, carrying out each [`Step`] in
/// order. `now` is monotonic and never goes back.
///
/// The session never leaves the caller in silence: it always plays, or waits
/// for an answer or a key with a deadline, or has put the caller in a queue or
/// a conversation, or has ended the call. Only in a conversation, after the
/// end, and in a queue that announces nothing does `poll_timeout` give `None`.
#[derive(Debug)]
pub struct Session {
    flow: Arc<Flow>,
    facts: Facts,
    caller: CallerFacts,
    /// What the caller said they are.
    stated: Option<Role>,
    ticket: Option<Arc<str>>,
    /// The caller's own, asked for by its number.
    found: Option<FoundTicket>,
    /// Numbers that were none of theirs.
    misses: u8,
    /// How sure it is who the caller is, 0 to 3.
    level: u8,
    /// By what the hospital's own systems know who has shown who they are.
    key: Option<Arc<str>>,
    /// A queue has said the number to its end.
    ticket_told: bool,
    /// What is out of order, to be said while a telephone rings.
    ring_news: Option<RingNews>,
    /// Collected last.
    digits: Keyed,
    /// Tries without a usable answer at the question asked last.
    attempts: u8,
    /// Keys pressed before anybody asked.
    ahead: Keyed,
    /// What is spoken to the caller.
    language: Language,
    /// The flow's variables, those of its sub-flows behind them.
    vars: Box<[Val]>,
    plays: u32,
    /// HTTP actions called.
    actions: u32,
    state: State,
    steps: VecDeque<Step>,
    /// The nodes walked through, when somebody wants to know.
    trace: Option<Vec<NodeIndex>>,
}

/// A prompt being played, and until when it may last.
#[derive(Debug, Clone, Copy)]
struct OnAir {
    play: PlayId,
    until: Duration,
}

#[derive(Debug)]
enum State {
    New,
    Identifying {
        at: NodeIndex,
        until: Duration,
    },
    AskingHours {
        at: NodeIndex,
        until: Duration,
    },
    Ticketing {
        at: NodeIndex,
        until: Duration,
    },
    /// The desk looks for a ticket.
    Finding {
        at: NodeIndex,
        until: Duration,
    },
    /// Its state is being read out.
    Reading(Reading),
    /// The caller shows who they are.
    Verifying(Box<Verifying>),
    Playing {
        at: NodeIndex,
        on_air: OnAir,
    },
    /// Incidents are looked for and told.
    Informing(Informing),
    Asking(Asking),
    /// A language is being offered.
    Choosing(Choosing),
    Waiting(Box<Waiting>),
    /// A partner, or whom the caller is sent to, is being called.
    Calling(Calling),
    /// An HTTP action is being called.
    Acting(Acting),
    /// A callback is being agreed on.
    Offering(Box<Offering>),
    Talking {
        at: NodeIndex,
    },
    /// Hearing that the other side broke down.
    TakenBack {
        at: NodeIndex,
        on_air: OnAir,
    },
    /// Saying goodbye.
    Leaving {
        at: NodeIndex,
        on_air: OnAir,
        cause: HangUpCause,
    },
    Ended {
        at: NodeIndex,
    },
}

impl Session {
    /// A session that has not begun.
    pub fn new(flow: Arc<Flow>, facts: Facts) -> Session {
        Session {
            vars: flow.vars.clone(),
            language: flow.first_language(),
            flow,
            facts,
            caller: CallerFacts::UNKNOWN,
            stated: None,
            ticket: None,
            found: None,
            misses: 0,
            level: 0,
            key: None,
            ticket_told: false,
            ring_news: None,
            digits: Keyed::default(),
            attempts: 0,
            ahead: Keyed::default(),
            plays: 0,
            actions: 0,
            state: State::New,
            steps: VecDeque::new(),
            trace: None,
        }
    }

    /// The call was answered: begin.
    pub fn start(&mut self, now: Duration) {
        if matches!(self.state, State::New) {
            self.walk(now, self.flow.start);
        }
    }

    /// Something happened.
    pub fn handle(&mut self, now: Duration, input: Input) {
        match input {
            Input::PlayEnded { play } => self.play_over(now, play, true),
            Input::PlayCut { play } => match &self.state {
                State::Waiting(waiting) if waiting.speaks(play) => self.announcement_cut(now),
                State::Informing(informing) if informing.speaks(play) => self.news_cut(now),
                // Asked and played nodes go on with what was heard of them.
                _ => self.play_over(now, play, true),
            },
            Input::ClipUnavailable { play } => self.play_over(now, play, false),
            Input::Digit(key) => {
                if matches!(key, '0'..='9' | '*' | '#') {
                    self.key(now, key);
                }
            }
            Input::Identified(caller) => self.identified(now, caller),
            Input::IdentifyFailed => self.unidentified(now),
            Input::Hours(state) => self.hours_are(now, state),
            Input::Ticket(number) => self.ticket_is(now, number),
            Input::TicketFailed => self.no_ticket(now),
            Input::TicketFound(found) => self.ticket_found(now, Some(found)),
            Input::TicketNotFound => self.ticket_found(now, None),
            Input::Incidents { news, calls_back } => self.incidents_are(now, &news, calls_back),
            Input::Subscribed(outcome) => self.subscribed(now, outcome),
            Input::CallbackOffer(offer) => self.callback_offered(now, offer),
            Input::Number(number) => self.number_checked(now, number),
            Input::Promised(promised) => self.promised(now, Some(promised)),
            Input::NotPromised => self.promised(now, None),
            Input::VerifyAsks(factors) => self.verify_asks(now, factors),
            Input::Verified { level, key } => self.verified(now, level, key),
            Input::NotVerified => self.not_verified(now),
            Input::CannotVerify { locked } => self.cannot_verify(now, locked),
            Input::QueuePosition {
                position,
                signed_in,
            } => self.stands(now, position, signed_in),
            Input::QueueRefused => self.refused(now),
            Input::QueueAnswered => self.answered(now),
            Input::Partner(outcome) => self.called(now, outcome),
            Input::ActionAnswered(fields) => self.acted(now, Some(&fields)),
            Input::ActionFailed => self.acted(now, None),
            Input::ConversationEnded => self.conversation_over(now),
            Input::ConversationBroken => {
                if let State::Talking { at } = self.state {
                    match &self.flow.node(at).kind {
                        Kind::Partner(_) | Kind::Transfer(_) => self.call_lost(now, at),
                        _ => self.wait_in_queue(now, at, true),
                    }
                }
            }
            Input::CallerHungUp => {
                let at = self.at();
                self.steps.clear();
                self.state = State::Ended { at };
            }
        }
    }

    /// The time of [`poll_timeout`](Session::poll_timeout) has come. Harmless when called early.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        match &self.state {
            State::Identifying { .. } => self.unidentified(now),
            State::AskingHours { .. } => self.hours_are(now, HoursState::Open),
            State::Ticketing { .. } => self.no_ticket(now),
            State::Finding { .. } => self.find_timeout(now),
            State::Reading(_) => self.reading_timeout(now),
            State::Verifying(_) => self.verify_timeout(now),
            State::Playing { on_air, .. }
            | State::TakenBack { on_air, .. }
            | State::Leaving { on_air, .. } => {
                let play = on_air.play;
                self.push(Step::StopPlay { play });
                self.play_over(now, play, true);
            }
            State::Informing(_) => self.news_timeout(now),
            State::Asking(_) => self.ask_timeout(now),
            State::Choosing(_) => self.language_timeout(now),
            State::Waiting(_) => self.wait_timeout(now),
            State::Calling(_) => self.call_timeout(now),
            State::Acting(_) => self.acting_timeout(now),
            State::Offering(_) => self.callback_timeout(now),
            State::New | State::Talking { .. } | State::Ended { .. } => {}
        }
    }

    /// When to call [`handle_timeout`](Session::handle_timeout), if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match &self.state {
            State::Identifying { until, .. }
            | State::AskingHours { until, .. }
            | State::Ticketing { until, .. }
            | State::Finding { until, .. } => Some(*until),
            State::Reading(reading) => Some(reading.due()),
            State::Verifying(verifying) => Some(verifying.due()),
            State::Playing { on_air, .. }
            | State::TakenBack { on_air, .. }
            | State::Leaving { on_air, .. } => Some(on_air.until),
            State::Informing(informing) => Some(informing.due()),
            State::Asking(asking) => Some(asking.due()),
            State::Choosing(choosing) => Some(choosing.due()),
            State::Waiting(waiting) => waiting.due(),
            State::Calling(calling) => Some(calling.due()),
            State::Acting(acting) => Some(acting.due()),
            State::Offering(offering) => Some(offering.due()),
            State::New | State::Talking { .. } | State::Ended { .. } => None,
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Who the caller is: what they said by a key, else what their number says.
    pub fn role(&self) -> Role {
        self.stated.unwrap_or(self.caller.role)
    }

    /// What is spoken to the caller: for whoever takes the call.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The ticket number, once there is one.
    pub fn ticket(&self) -> Option<&str> {
        self.ticket.as_deref()
    }

    /// The name of the node the caller is at.
    pub fn node(&self) -> &str {
        &self.flow.node(self.at()).name
    }

    /// Whether a partner, or whom the caller is sent to, is being called: an
    /// [`Input::Partner`] is awaited.
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling(_))
    }

    /// Whether the session has ended: no steps follow.
    pub fn ended(&self) -> bool {
        matches!(self.state, State::Ended { .. }) && self.steps.is_empty()
    }

    /// Whether a key like this is being asked for.
    pub(crate) fn asks_for(&self, key: Option<char>) -> bool {
        match &self.state {
            State::Asking(_) => true,
            State::Offering(offering) => offering.asks(),
            State::Reading(_) => key == Some('*'),
            State::Informing(informing) => informing.offers(),
            State::Verifying(verifying) => verifying.asks(),
            State::Choosing(choosing) => match &self.flow.node(choosing.at).kind {
                Kind::Language(tongue) => {
                    tongue.choices.iter().any(|choice| Some(choice.key) == key)
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// The exit at which a flow that others call has ended.
    pub(crate) fn exit(&self) -> Option<&str> {
        match &self.flow.node(self.at()).kind {
            Kind::Exit(name) => Some(name),
            _ => None,
        }
    }

    /// Keeps a trace from now on.
    pub(crate) fn keep_trace(&mut self) {
        self.trace.get_or_insert_default();
    }

    /// The nodes walked through since [`keep_trace`](Session::keep_trace).
    pub(crate) fn trace(&self) -> &[NodeIndex] {
        self.trace.as_deref().unwrap_or_default()
    }

    fn at(&self) -> NodeIndex {
        match &self.state {
            State::New => self.flow.start,
            State::Identifying { at, .. }
            | State::AskingHours { at, .. }
            | State::Ticketing { at, .. }
            | State::Finding { at, .. }
            | State::Playing { at, .. }
            | State::TakenBack { at, .. }
            | State::Talking { at }
            | State::Leaving { at, .. }
            | State::Ended { at } => *at,
            State::Informing(informing) => informing.at,
            State::Asking(asking) => asking.at,
            State::Reading(reading) => reading.at,
            State::Verifying(verifying) => verifying.at,
            State::Choosing(choosing) => choosing.at,
            State::Waiting(waiting) => waiting.at,
            State::Calling(calling) => calling.at,
            State::Acting(acting) => acting.at,
            State::Offering(offering) => offering.at,
        }
    }

    fn push(&mut self, step: Step) {
        self.steps.push_back(step);
    }

    /// Goes to a node, and on through those that need no waiting.
    fn walk(&mut self, now: Duration, mut at: NodeIndex) {
        let flow = Arc::clone(&self.flow);
        // Exits that need no key form no circle (`reach`), and each key typed
        // ahead is used once: this bound is never met.
        for _ in 0..=flow.nodes.len() * (1 + Keyed::MAX) {
            if let Some(trace) = &mut self.trace {
                trace.push(at);
            }
            match &flow.node(at).kind {
                Kind::Play(play) => {
                    let prompt = self.spoken(&play.text);
                    let skipped = play.barge_in && !self.ahead.is_empty();
                    if skipped || prompt.is_empty() {
                        at = play.next;
                        continue;
                    }
                    let on_air = self.play(now, prompt, play.barge_in);
                    self.state = State::Playing { at, on_air };
                }
                Kind::Menu(menu) => match self.menu(now, at, menu) {
                    Some(next) => {
                        at = next;
                        continue;
                    }
                    None => return,
                },
                Kind::Collect(collect) => match self.collect(now, at, collect) {
                    Some(next) => {
                        at = next;
                        continue;
                    }
                    None => return,
                },
                Kind::Identify(_) => {
                    self.push(Step::Identify);
                    self.state = State::Identifying {
                        at,
                        until: now + IDENTIFY_WAIT,
                    };
                }
                Kind::Hours(hours) => {
                    self.push(Step::AskHours {
                        calendar: Arc::clone(&hours.calendar),
                    });
                    self.state = State::AskingHours {
                        at,
                        until: now + HOURS_WAIT,
                    };
                }
                Kind::Branch(branch) => {
                    let facts = self.known(flow.node(at).base);
                    at = branch
                        .cases
                        .iter()
                        .find(|(condition, _)| condition.holds(&facts) == Some(true))
                        .map_or(branch.otherwise, |(_, to)| *to);
                    continue;
                }
                Kind::Ticket(ticket) => match self.keep_ticket(now, at, ticket) {
                    Some(next) => {
                        at = next;
                        continue;
                    }
                    None => return,
                },
                Kind::Find(find) => match self.find_ticket(now, at, find) {
                    Some(next) => {
                        at = next;
                        continue;
                    }
                    None => return,
                },
                Kind::Read(read) => match self.read_ticket(now, at, read) {
                    Some(next) => {
                        at = next;
                        continue;
                    }
                    None => return,
                },
                Kind::Incident(incident) => self.ask_incidents(now, at, incident),
                Kind::Preview(_) => self.ask_draft(now, at),
                Kind::Publish(_) => self.publish_draft(now, at),
                Kind::Resolve(next) => {
                    if self.ticket.is_some() {
                        self.push(Step::ResolveTicket);
                    }
                    at = *next;
                    continue;
                }
                Kind::Verify(verify) => match self.verify(now, at, verify) {
                    Some(next) => {
                        at = next;
                        continue;
                    }
                    None => return,
                },
                Kind::Queue(_) => self.wait_in_queue(now, at, false),
                Kind::Partner(partner) => self.call_partner(now, at, partner),
                Kind::Transfer(transfer) => match self.transfer(now, at, transfer) {
                    Some(next) => {
                        at = next;
                        continue;
                    }
                    None => return,
                },
                Kind::Http(http) => self.call_action(now, at, http),
                Kind::Callback(back) => self.offer_callback(now, at, back),
                Kind::Language(tongue) => match self.tongue(now, at, tongue) {
                    Some(next) => {
                        at = next;
                        continue;
                    }
                    None => return,
                },
                Kind::Set(set) => {
                    self.set(flow.node(at).base, set);
                    at = set.next;
                    continue;
                }
                // Only a flow that is tried by itself ends here.
                Kind::Exit(_) => self.end(at, HangUpCause::Finished),
                Kind::HangUp(hang_up) => {
                    let prompt = self.spoken(&hang_up.text);
                    self.leave(now, at, prompt, HangUpCause::Finished);
                }
            }
            return;
        }
        self.last_words(now, at, HangUpCause::Broken);
    }

    /// Ends the call with what can be said at any time.
    fn last_words(&mut self, now: Duration, at: NodeIndex, cause: HangUpCause) {
        let prompt = Text::ours(LAST_WORDS).map(|words| self.spoken(&words));
        self.leave(now, at, prompt.unwrap_or_default(), cause);
    }

    fn leave(&mut self, now: Duration, at: NodeIndex, prompt: Vec<Piece>, cause: HangUpCause) {
        let on_air = self.play(now, prompt, false);
        self.state = State::Leaving { at, on_air, cause };
    }

    fn end(&mut self, at: NodeIndex, cause: HangUpCause) {
        self.push(Step::HangUp { cause });
        self.state = State::Ended { at };
    }

    fn play(&mut self, now: Duration, prompt: Vec<Piece>, barge_in: bool) -> OnAir {
        let on_air = self.on_air(now);
        self.push(Step::Play {
            play: on_air.play,
            prompt,
            barge_in,
        });
        on_air
    }

    fn on_air(&mut self, now: Duration) -> OnAir {
        self.plays = self.plays.wrapping_add(1);
        OnAir {
            play: PlayId(self.plays),
            until: now + PLAY_GUARD,
        }
    }

    /// A text with what is known filled in.
    fn spoken(&self, text: &Text) -> Vec<Piece> {
        let mut pieces = Vec::new();
        text.speak(&self.fill(None), &mut pieces);
        pieces
    }

    fn fill(&self, position: Option<u32>) -> Fill<'_> {
        Fill {
            // The checker has seen to it that nobody else is named; this holds
            // even against a directory that names a patient.
            caller_name: self
                .caller
                .spoken_name
                .as_deref()
                .filter(|_| self.caller.role.may_be_named()),
            hospital_name: &self.facts.hospital_name,
            ticket: self.ticket.as_ref(),
            position,
            language: self.language,
            first: self.flow.first_language(),
        }
    }

    fn set(&mut self, base: u16, set: &Set) {
        let known = self.known(base);
        // Everything is known in a call, so each has a value.
        let values: Vec<(u16, Val)> = set
            .values
            .iter()
            .filter_map(|(slot, value)| Some((*slot, value.value(&known)?)))
            .collect();
        let base = usize::from(set.enters.as_ref().map_or(base, |enters| enters.base));
        let fresh = set.enters.iter().flat_map(|enters| enters.fresh.iter());
        for (var, start) in self.vars.iter_mut().skip(base).zip(fresh) {
            *var = start.clone();
        }
        for (slot, value) in values {
            if let Some(var) = self.vars.get_mut(base + usize::from(slot)) {
                *var = value;
            }
        }
    }

    /// What conditions may ask about; `base`: the first variable of the node's flow.
    fn known(&self, base: u16) -> Known<'_> {
        Known {
            role: Some(self.caller.role.word()),
            stated: Some(self.stated.map_or("", Role::word)),
            known: Some(self.caller.known),
            language: Some(self.caller.language.as_ref().map_or("", Language::tag)),
            slow: Some(self.caller.slow),
            relay: Some(self.caller.relay),
            dnis: Some(&self.facts.dnis),
            ani_withheld: Some(self.facts.ani_withheld),
            hospital: Some(&self.facts.hospital),
            digits: Some(self.digits.as_str()),
            attempts: Some(i64::from(self.attempts)),
            has_ticket: Some(self.ticket.is_some()),
            level: Some(i64::from(self.level)),
            key: Some(self.key.as_deref().unwrap_or_default()),
            vars: self.vars.get(usize::from(base)..),
        }
    }

    fn play_over(&mut self, now: Duration, play: PlayId, heard: bool) {
        match &self.state {
            State::Playing { at, on_air } if on_air.play == play => {
                if let Kind::Play(node) = &self.flow.node(*at).kind {
                    let next = node.next;
                    self.walk(now, next);
                }
            }
            State::Leaving { at, on_air, cause } if on_air.play == play => {
                let (at, cause) = (*at, *cause);
                self.end(at, cause);
            }
            State::TakenBack { at, on_air } if on_air.play == play => {
                let at = *at;
                self.take_back(now, at);
            }
            State::Informing(informing) if informing.speaks(play) => self.news_told(now, heard),
            State::Asking(asking) if asking.speaks(play) => self.asked(now, heard),
            State::Reading(reading) if reading.speaks(play) => self.ticket_read(now),
            State::Verifying(verifying) if verifying.speaks(play) => self.verify_asked(now, heard),
            State::Choosing(choosing) if choosing.speaks(play) => self.language_offered(now),
            State::Calling(calling) if calling.speaks(play) => self.call_announced(),
            State::Acting(acting) if acting.speaks(play) => self.moment_said(now),
            State::Offering(offering) if offering.speaks(play) => self.callback_said(now),
            State::Waiting(waiting) if waiting.speaks(play) => self.announced(now, heard),
            _ => {}
        }
    }

    fn key(&mut self, now: Duration, key: char) {
        match &self.state {
            State::Identifying { .. }
            | State::AskingHours { .. }
            | State::Ticketing { .. }
            | State::Finding { .. }
            | State::Acting(_) => {
                self.ahead.push(key);
            }
            State::Playing { at, on_air } => {
                let play = on_air.play;
                let next = match &self.flow.node(*at).kind {
                    Kind::Play(node) if node.barge_in => Some(node.next),
                    _ => None,
                };
                self.ahead.push(key);
                if let Some(next) = next {
                    self.push(Step::StopPlay { play });
                    self.walk(now, next);
                }
            }
            State::Informing(_) => self.news_key(now, key),
            State::Asking(_) => self.answer_key(now, key),
            State::Reading(_) => self.reading_key(now, key),
            State::Verifying(_) => self.verify_key(now, key),
            State::Choosing(_) => self.language_key(now, key),
            State::Waiting(_) => self.wait_key(now, key),
            State::Offering(_) => self.callback_key(now, key),
            State::New
            | State::Calling(_)
            | State::Talking { .. }
            | State::TakenBack { .. }
            | State::Leaving { .. }
            | State::Ended { .. } => {}
        }
    }

    fn identified(&mut self, now: Duration, caller: CallerFacts) {
        // An answer after the deadline changes nothing: the caller already
        // went the way of somebody unknown.
        if let State::Identifying { at, .. } = self.state
            && let Kind::Identify(identify) = &self.flow.node(at).kind
        {
            let next = identify.exit(caller.role);
            self.caller = caller;
            self.walk(now, next);
        }
    }

    fn hours_are(&mut self, now: Duration, state: HoursState) {
        if let State::AskingHours { at, .. } = self.state
            && let Kind::Hours(hours) = &self.flow.node(at).kind
        {
            let next = hours.exit(state);
            self.walk(now, next);
        }
    }

    fn unidentified(&mut self, now: Duration) {
        self.identified(now, CallerFacts::UNKNOWN);
    }

    fn answered(&mut self, now: Duration) {
        match &self.state {
            State::Waiting(waiting) => {
                let at = waiting.at;
                if let Some(play) = waiting.playing() {
                    self.push(Step::StopPlay { play });
                }
                self.state = State::Talking { at };
            }
            // A transfer led to a queue.
            State::Calling(_) => self.called(now, PartnerOutcome::Answered),
            _ => {}
        }
    }

    fn conversation_over(&mut self, now: Duration) {
        if let State::Talking { at } = self.state {
            let after = match &self.flow.node(at).kind {
                Kind::Queue(queue) => queue.after,
                kind => kind.outgoing().and_then(|call| call.after),
            };
            match after {
                Some(next) => self.walk(now, next),
                None => self.end(at, HangUpCause::ConversationOver),
            }
        }
    }
}
