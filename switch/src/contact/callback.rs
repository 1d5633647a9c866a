//! A call that we owe: a contact that nobody has called in for.
//!
//! An agent first: the contact waits in its queue, at the place that the
//! customer had, and nobody hears anything yet. The agent who takes it hears
//! ringing while the customer is called. Or the customer first, who waits at
//! that place when they have taken it. Either way the customer is called by the
//! hospital's dial rules and with its label alone, only when the desk says that
//! the attempt is on disk; the flow says who is calling, and only the key that
//! leads on to a queue shows that a person is there. Where they end before
//! that, the desk is told why, and tries again by its own rules.

use std::sync::Arc;
use std::time::Duration;

use acd::{AgentId, Class, OfferId};
use desk::{
    Callback, CallbackStep, Caller, ContactId, EndCause, First, FlowName, Journey, Missed,
    PhoneNumber, Reply, Role, TakenBack, What,
};
use ivr_flows::{Facts, Input as FlowInput, Session};
use media::engine::Command as MediaCommand;
use media::sdp::LocalMedia;

use super::arrive::Opened;
use super::outbox::Outbox;
use super::partner::target_of;
use super::{
    Audio, Call, Contact, Cx, LegEnd, MEDIA_OPEN_MAX, Other, Progress, Side, Sound, Stage, Trunked,
};
use crate::dial::Destination;
use crate::input::{MediaKey, NoteWhat};
use crate::setup::Callbacks;
use crate::trunks::Way;
use crate::trunks::refusal::{Patience, Refusal};

/// No leg of anybody's: the customer's before they are called.
const NO_LEG: sip::LegId = sip::LegId(u64::MAX);
/// How long a customer's telephone rings.
const RING_MAX: Duration = Duration::from_secs(40);
/// How often the desk is asked whether a callback that waits for an agent is still wanted.
const WANTED_EVERY: Duration = Duration::from_secs(30);
/// How long the desk may take to answer; it has deadlines of its own.
const DESK_MAX: Duration = Duration::from_secs(10);

/// What makes a contact a callback.
#[derive(Debug)]
pub(super) struct CallingBack {
    of: Callback,
    label: PhoneNumber,
    queue: Arc<str>,
    class: Class,
    step: Step,
    /// The trunk's call that the customer is reached by.
    trunked: Option<Trunked>,
    /// Why it came to nothing, if that is known.
    why: Option<Missed>,
}

/// How far a callback has come.
#[derive(Debug)]
enum Step {
    /// The desk is told that there is a contact for it.
    Beginning { since: Duration },
    /// An agent is looked for. That this is still wanted is asked now and then: the word that it isn't may be lost.
    Finding { ask_at: Duration },
    /// The desk is asked whether the customer may be called.
    Asking { since: Duration },
    /// The customer is called.
    Dialling(Box<Dialling>),
    /// The flow speaks with whoever has answered.
    Answered,
    /// A person is there, and has taken it.
    Taken,
}

#[derive(Debug)]
struct Dialling {
    number: String,
    call: Call,
    /// Ways not tried yet, the best last.
    untried: Vec<Way>,
    /// Since when it is being called by one way or another.
    since: Duration,
    /// How long the gateways have taken without ringing.
    patience: Patience,
}

impl Contact {
    /// The desk wants somebody called.
    pub(crate) fn call_back(
        id: ContactId,
        of: Callback,
        callbacks: &Callbacks,
        queue: Arc<str>,
        cx: &mut Cx<'_>,
    ) -> Self {
        let tenant = cx.setup.tenants.get(&of.tenant);
        let label = callbacks.label.clone();
        let flow = Arc::clone(&callbacks.flow);
        let facts = Facts {
            dnis: Arc::from(label.0.as_str()),
            ani_withheld: true,
            hospital: tenant.map_or_else(|| Arc::from(""), |t| Arc::clone(&t.key)),
            hospital_name: tenant.map_or_else(|| Arc::from(""), |t| Arc::clone(&t.name)),
            languages: Arc::clone(&cx.setup.languages),
        };
        let version = cx.setup.flow_versions.get(flow.name()).copied();
        let start = What::Start {
            dnis: label.clone(),
            ani: None,
            flow: FlowName::new(flow.name()).zip(version),
        };
        let begun = CallbackStep::Begun {
            promise: of.promise,
            attempt: of.attempt,
        };
        let waited = u64::try_from(cx.now.wall.saturating_sub(of.since)).unwrap_or(0);
        let since = cx.now.mono.saturating_sub(Duration::from_millis(waited));
        let class = match of.class {
            Role::Clinician => Class::Clinician,
            Role::Staff => Class::Staff,
            Role::Patient => Class::Patient,
        };
        let number = of.number;
        let mut contact = Self {
            id,
            tenant: of.tenant,
            clinical: of.class == Role::Clinician,
            permit: None,
            dnis: label.clone(),
            ani: None,
            hops_left: None,
            carried: Vec::new(),
            caller: Caller::Unknown,
            leg: NO_LEG,
            peer: sip::Peer::udp(([0, 0, 0, 0], 0).into()),
            encryption: None,
            by_trunk: true,
            secure: false,
            text: false,
            offer_in: None,
            audio: Audio::None,
            sound: Sound::Nothing,
            session: Session::new(Arc::clone(&flow), facts),
            acting: None,
            flow,
            found: None,
            supervisor: None,
            showing: Default::default(),
            consult: None,
            typed: Default::default(),
            conference: None,
            offered: Default::default(),
            asks: None,
            came: None,
            referred_by: None,
            keys_by: None,
            keys_in_audio: false,
            stage: Stage::Flow,
            taken: None,
            taking: None,
            visits: 0,
            // The place that the customer had.
            waiting_since: Some(since),
            outbox: Outbox::default(),
            owed: Vec::new(),
            calling_back: Some(Box::new(CallingBack {
                of,
                label,
                queue,
                class,
                step: Step::Beginning { since: cx.now.mono },
                trunked: None,
                why: None,
            })),
            wake: None,
        };
        if let Some(number) = number {
            let number: Arc<str> = number.to_string().into();
            contact.note(cx, NoteWhat::Ticket(Arc::clone(&number)));
            contact
                .session
                .handle(cx.now.mono, FlowInput::Ticket(number));
        }
        contact.note(cx, NoteWhat::CallsBack);
        contact.tell_desk(cx, start);
        contact.tell_desk(cx, What::Callback(begun));
        contact
    }

    /// By which attempt this contact calls somebody back.
    pub(crate) fn attempt(&self) -> Option<desk::AttemptId> {
        self.calling_back.as_ref().map(|back| back.of.attempt)
    }

    /// Is this a callback whose customer isn't reached yet? Then its flow hasn't begun, or asks for the key.
    pub(super) fn is_reaching(&self) -> bool {
        let back = self.calling_back.as_ref();
        back.is_some_and(|back| !matches!(back.step, Step::Taken))
    }

    /// Is nobody on the line yet who could hear anything?
    pub(super) fn has_nobody(&self) -> bool {
        self.is_reaching() && matches!(self.audio, Audio::None)
    }

    /// Does the customer's telephone ring?
    pub(super) fn is_dialling(&self) -> bool {
        let back = self.calling_back.as_ref();
        back.is_some_and(|back| matches!(back.step, Step::Dialling(_)))
    }

    fn is_answered(&self) -> bool {
        let back = self.calling_back.as_ref();
        back.is_some_and(|back| matches!(back.step, Step::Answered))
    }

    fn dialling(&mut self) -> Option<&mut Dialling> {
        match &mut self.calling_back.as_mut()?.step {
            Step::Dialling(dialling) => Some(dialling),
            _ => None,
        }
    }

    fn set_step(&mut self, step: Step) {
        if let Some(back) = &mut self.calling_back {
            back.step = step;
        }
    }

    /// The desk has answered.
    pub(super) fn callback_answered(&mut self, asked: CallbackStep, reply: Reply, cx: &mut Cx<'_>) {
        let Some(back) = &self.calling_back else {
            return;
        };
        match (asked, &back.step, reply) {
            (CallbackStep::Begun { .. }, Step::Beginning { .. }, Reply::Noted) => {
                match back.of.first {
                    First::Agent => self.find_agent(cx),
                    First::Customer => self.ask_leave(cx),
                }
            }
            (CallbackStep::Dial, Step::Asking { .. }, Reply::Dial { number }) => {
                self.dial(&number, cx);
            }
            (_, Step::Finding { .. }, Reply::CallbackOff)
            | (
                CallbackStep::Begun { .. } | CallbackStep::Dial,
                Step::Beginning { .. } | Step::Asking { .. },
                _,
            ) => {
                self.give_up_callback(Missed::Interrupted, cx);
            }
            _ => {}
        }
    }

    /// The desk doesn't want it any more. A person who has taken it isn't hung up on.
    pub(crate) fn callback_off(&mut self, cx: &mut Cx<'_>) {
        if self.is_reaching() {
            self.give_up_callback(Missed::Interrupted, cx);
        }
    }

    fn find_agent(&mut self, cx: &mut Cx<'_>) {
        let Some(back) = &self.calling_back else {
            return;
        };
        let (queue, class) = (Arc::clone(&back.queue), back.class);
        let prefer = back.of.prefer.map(|agent| AgentId(agent.0));
        let ask_at = cx.now.mono + WANTED_EVERY;
        self.set_step(Step::Finding { ask_at });
        if !self.line_up(&queue, class, false, prefer, cx) {
            self.give_up_callback(Missed::NoAgent, cx);
        }
    }

    /// An agent has taken it: they hear ringing while the customer is called.
    pub(super) fn agent_for_callback(&mut self, offer: OfferId, agent: AgentId, cx: &mut Cx<'_>) {
        self.sound = Sound::Nothing;
        self.note(cx, NoteWhat::Connected(offer, desk::AgentId(agent.0)));
        if let Stage::Conversation(talk) = &self.stage
            && let Some(leg) = talk.audio.leg()
        {
            cx.media(MediaCommand::Loop {
                leg,
                clip: Arc::clone(&cx.setup.sounds.ringing),
                offset_ms: 0,
            });
        }
        // One who was handed it by a colleague finds the customer's telephone ringing already.
        let back = self.calling_back.as_ref();
        if back.is_some_and(|back| matches!(back.step, Step::Finding { .. })) {
            self.ask_leave(cx);
        }
    }

    fn ask_leave(&mut self, cx: &mut Cx<'_>) {
        self.set_step(Step::Asking { since: cx.now.mono });
        self.tell_desk(cx, What::Callback(CallbackStep::Dial));
    }

    /// Calls the customer, if the rules allow it and there is a channel that isn't kept for callers.
    fn dial(&mut self, number: &PhoneNumber, cx: &mut Cx<'_>) {
        let Some(Destination::Outside { number, trunk }) = cx.setup.reached(self.tenant, &number.0)
        else {
            // Invariant 14.
            cx.counters.targets_forbidden += 1;
            self.note(cx, NoteWhat::FlowTargetForbidden);
            return self.give_up_callback(Missed::Failed, cx);
        };
        let calls_max = cx
            .setup
            .trunks
            .get(&trunk)
            .map_or(0, |trunk| trunk.calls_max);
        let calls = cx.trunks.load(&trunk).map_or(0, |(calls, _)| calls);
        if calls >= calls_max - calls_max / 4 {
            return self.give_up_callback(Missed::NoChannel, cx);
        }
        let seized = match self.seize(&trunk, &number.0, cx) {
            Ok(seized) => seized,
            Err(TakenBack::TrunkFull) => return self.give_up_callback(Missed::NoChannel, cx),
            Err(_) => return self.give_up_callback(Missed::Failed, cx),
        };
        let with = match &self.stage {
            Stage::Conversation(talk) => talk.audio.leg(),
            _ => None,
        };
        let key = self.wish(cx, Side::Caller, with, seized.peer);
        let since = cx.now.mono;
        let dialling = Dialling {
            number: number.0,
            call: Call::opening(key, seized.peer, since),
            untried: seized.ways,
            since,
            patience: Patience::default(),
        };
        self.peer = seized.peer;
        if let Some(back) = &mut self.calling_back {
            back.trunked = Some(Trunked {
                trunk: seized.trunk,
                way: None,
            });
            back.step = Step::Dialling(Box::new(dialling));
        }
        self.note(cx, NoteWhat::OutsideCalled);
    }

    /// The media leg for the customer is open, or there is none. False: it wasn't for them.
    pub(super) fn customer_media(
        &mut self,
        key: MediaKey,
        opened: Option<Opened>,
        cx: &mut Cx<'_>,
    ) {
        let id = self.id;
        let call = self.dialling().map(|dialling| &mut dialling.call);
        let call = call.filter(|call| matches!(call.audio, Audio::Opening(k) if k == key));
        match (call, opened) {
            (Some(call), Some(Opened { leg, port, secret })) => {
                let local = LocalMedia::new(cx.setup.media.bind.ip(), port, id.0);
                call.opened(leg, secret, local);
                cx.index.media.insert(leg, (id, Side::Caller));
                self.call_customer(cx);
            }
            (None, Some(Opened { leg, .. })) => cx.media(MediaCommand::Close { leg }),
            (Some(_), None) => self.give_up_callback(Missed::Failed, cx),
            (None, None) => {}
        }
    }

    /// Calls the customer by the best way that wasn't tried yet.
    fn call_customer(&mut self, cx: &mut Cx<'_>) {
        let Some(back) = &mut self.calling_back else {
            return;
        };
        let (Step::Dialling(dialling), Some(trunked)) = (&mut back.step, &back.trunked) else {
            return;
        };
        let Some(until) = dialling.patience.calls(cx.now.mono) else {
            return self.give_up_callback(Missed::Failed, cx);
        };
        let (trunk, number) = (Arc::clone(&trunked.trunk), dialling.number.clone());
        let label = back.label.0.clone();
        let mut untried = std::mem::take(&mut dialling.untried);
        let (phones, setup) = (cx.phones, cx.setup);
        let route = cx.trunks.registered().route(&trunk.name).to_vec();
        let ways = || loop {
            let way = untried.pop()?;
            if let Some(target) = target_of(&trunk, &way, &number, &route, phones, setup) {
                return Some((target, way));
            }
        };
        let chosen = self.choose(trunk.encryption, ways, cx);
        let hospital = cx.setup.tenants.get(&self.tenant);
        let from = sip::Identity {
            display: hospital.map(|tenant| tenant.name.to_string()),
            user: label.clone(),
            host: None,
        };
        let codecs = &cx.setup.codecs.trunks;
        let Some(dialling) = self.dialling() else {
            return;
        };
        dialling.untried = untried;
        let invite = chosen.and_then(|(target, way, encryption)| {
            let body = dialling
                .call
                .offer(target.peer, encryption, codecs, None, cx)?;
            let mut invite = sip::Invite::new(target.uri, target.peer, from, body);
            invite.pinned = target.pinned;
            invite.route = target.route;
            Some((invite, way, target.peer))
        });
        let Some((mut invite, way, peer)) = invite else {
            return self.give_up_callback(Missed::Failed, cx);
        };
        invite.credentials = trunk.credentials.clone();
        if trunk.trusted {
            let ours = cx.setup.host_towards(peer);
            let asserted = format!("<sip:{label}@{ours}>");
            invite
                .headers
                .push(("P-Asserted-Identity".into(), asserted));
        }
        let leg = cx.sip.invite(cx.now.mono, invite);
        cx.index.legs.insert(leg, (self.id, Side::Caller));
        (self.leg, self.peer) = (leg, peer);
        if let Some(back) = &mut self.calling_back {
            if let Some(trunked) = &mut back.trunked {
                trunked.way = Some(way);
            }
            if let Step::Dialling(dialling) = &mut back.step {
                dialling.call.progress = Progress::Calling { leg, until };
            }
        }
    }

    /// Something on the way to the customer is at work.
    pub(super) fn customer_is_tried(&mut self, now: Duration) {
        if let Some(dialling) = self.dialling()
            && let Progress::Calling { until, .. } = &mut dialling.call.progress
        {
            *until = (*until).max(dialling.patience.is_tried(now));
        }
    }

    /// The customer's telephone rings.
    pub(super) fn customer_rings(&mut self, cx: &mut Cx<'_>) {
        if let Some(dialling) = self.dialling()
            && let Progress::Calling { leg, .. } = dialling.call.progress
        {
            dialling.call.progress = Progress::Ringing { leg };
            dialling.patience.reached();
            self.way_is_alive(cx);
        }
    }

    fn way_is_alive(&self, cx: &mut Cx<'_>) {
        let back = self.calling_back.as_ref();
        if let Some(trunked) = back.and_then(|back| back.trunked.as_ref()) {
            trunked.alive(cx);
        }
    }

    /// Somebody, or something, has answered: the flow says who is calling.
    pub(super) fn customer_answered(&mut self, sdp: Option<&[u8]>, cx: &mut Cx<'_>) {
        let Some(back) = &mut self.calling_back else {
            return;
        };
        let Step::Dialling(dialling) = std::mem::replace(&mut back.step, Step::Answered) else {
            return;
        };
        self.audio = dialling.call.audio;
        self.way_is_alive(cx);
        if let Some(answer) = sdp {
            self.take_answer(Side::Caller, answer, cx);
        }
        if !self.can_hear() {
            return self.give_up_callback(Missed::Failed, cx);
        }
        self.note(cx, NoteWhat::Answered);
        self.session.start(cx.now.mono);
        self.carry_out(cx);
    }

    /// The customer's leg ended before a person was there. False: there was one.
    pub(super) fn customer_left(&mut self, how: LegEnd, cx: &mut Cx<'_>) -> bool {
        if !self.is_reaching() {
            return false;
        }
        let rang = self
            .dialling()
            .is_some_and(|dialling| matches!(dialling.call.progress, Progress::Ringing { .. }));
        let why = match how {
            // Answered, and hung up on who is calling: nobody has taken it.
            _ if !self.is_dialling() => Missed::NoKey,
            LegEnd::Refused(603 | 607 | 608) => Missed::Refused,
            LegEnd::HungUp => Missed::Failed,
            LegEnd::Refused(_) | LegEnd::Broken => {
                let code = match how {
                    LegEnd::Refused(code) => Some(code),
                    _ => None,
                };
                match Refusal::of(code, rang) {
                    Refusal::Busy | Refusal::Everywhere { busy: true } => Missed::Busy,
                    Refusal::NoAnswer => Missed::NoAnswer,
                    Refusal::Failed | Refusal::Everywhere { busy: false } => Missed::Failed,
                    Refusal::GatewayDead => {
                        self.way_is_dead(cx);
                        return true;
                    }
                    Refusal::NextGateway => {
                        self.call_customer(cx);
                        return true;
                    }
                }
            }
        };
        self.give_up_callback(why, cx);
        true
    }

    fn way_is_dead(&mut self, cx: &mut Cx<'_>) {
        let back = self.calling_back.as_ref();
        if let Some(trunked) = back.and_then(|back| back.trunked.as_ref())
            && let Some(way) = &trunked.way
        {
            cx.trunks.found_dead(cx.now.mono, &trunked.trunk.name, way);
        }
        self.call_customer(cx);
    }

    /// The flow leads on to a queue: the key was pressed. False: this is no
    /// callback that is still to be taken, and the flow means a queue.
    pub(super) fn customer_takes_it(&mut self, cx: &mut Cx<'_>) -> bool {
        if !self.is_answered() {
            return false;
        }
        self.set_step(Step::Taken);
        self.tell_desk(cx, What::Callback(CallbackStep::Reached));
        let agent = match &self.stage {
            Stage::Conversation(talk) => match talk.other {
                Other::Agent { agent, .. } => Some(agent),
                Other::Partner { .. } => None,
            },
            _ => None,
        };
        if let Some(agent) = agent {
            self.forget_render(cx);
            self.sound = Sound::Bridged;
            self.session.handle(cx.now.mono, FlowInput::QueueAnswered);
            self.join(cx);
            let agent = desk::AgentId(agent.0);
            self.journey(cx, Journey::Connected { agent });
            return true;
        }
        let Some(back) = &self.calling_back else {
            return true;
        };
        let (queue, class) = (Arc::clone(&back.queue), back.class);
        let prefer = back.of.prefer.map(|agent| AgentId(agent.0));
        if !self.line_up(&queue, class, true, prefer, cx) {
            self.session.handle(cx.now.mono, FlowInput::QueueRefused);
        }
        true
    }

    /// The agent has left. Whoever has answered already isn't hung up on: they
    /// wait for another, if they take it. False: the flow is to hear of it.
    pub(super) fn agent_left_callback(&mut self, cx: &mut Cx<'_>) -> bool {
        if !self.is_reaching() {
            return false;
        }
        if !self.is_answered() {
            self.give_up_callback(Missed::NoAgent, cx);
        }
        true
    }

    /// It came to nothing.
    pub(super) fn give_up_callback(&mut self, why: Missed, cx: &mut Cx<'_>) {
        if let Some(back) = &mut self.calling_back {
            back.why.get_or_insert(why);
        }
        let reason = Some("SIP;cause=487;text=\"Not reached\"");
        self.hang_up(cx, EndCause::FlowEnded, reason);
    }

    /// The contact ends: the desk hears why, and the trunk has its channel back.
    pub(super) fn end_callback(&mut self, cx: &mut Cx<'_>) {
        let Some(back) = &mut self.calling_back else {
            return;
        };
        if let Some(trunked) = back.trunked.take() {
            cx.trunks.release(&trunked.trunk.name);
        }
        let why = match &back.step {
            Step::Taken => return,
            Step::Answered => Missed::NoKey,
            _ => Missed::Interrupted,
        };
        let why = back.why.unwrap_or(why);
        if let Step::Dialling(dialling) = std::mem::replace(&mut back.step, Step::Taken) {
            // Hung up on already.
            if let Some(leg) = dialling.call.progress.leg() {
                cx.index.legs.remove(&leg);
            }
            dialling.call.audio.close(cx);
        }
        self.tell_desk(cx, What::Callback(CallbackStep::Missed(why)));
    }

    pub(super) fn callback_deadline(&self) -> Option<Duration> {
        match &self.calling_back.as_ref()?.step {
            Step::Beginning { since } | Step::Asking { since } => Some(*since + DESK_MAX),
            Step::Dialling(dialling) => {
                let ring = dialling.since + RING_MAX;
                Some(match dialling.call.progress {
                    Progress::Opening { since } => ring.min(since + MEDIA_OPEN_MAX),
                    Progress::Calling { until, .. } => ring.min(until),
                    Progress::Ringing { .. } | Progress::Accepting { .. } => ring,
                })
            }
            Step::Finding { ask_at } => Some(*ask_at),
            Step::Answered | Step::Taken => None,
        }
    }

    pub(super) fn callback_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if matches!(self.stage, Stage::Ended { .. })
            || self.callback_deadline().is_none_or(|at| now < at)
        {
            return;
        }
        if let Some(back) = &mut self.calling_back
            && let Step::Finding { ask_at } = &mut back.step
        {
            *ask_at = now + WANTED_EVERY;
            let (promise, attempt) = (back.of.promise, back.of.attempt);
            return self.tell_desk(cx, What::Callback(CallbackStep::Begun { promise, attempt }));
        }
        let Some(dialling) = self.dialling() else {
            return self.give_up_callback(Missed::Interrupted, cx);
        };
        match dialling.call.progress {
            _ if now >= dialling.since + RING_MAX => self.give_up_callback(Missed::NoAnswer, cx),
            Progress::Calling { leg, .. } => {
                cx.index.legs.remove(&leg);
                cx.sip.hangup(now, leg, None);
                self.way_is_dead(cx);
            }
            _ => self.give_up_callback(Missed::Failed, cx),
        }
    }
}
