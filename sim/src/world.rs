//! The world: virtual time, everybody in it, and the ways between them.

mod actions;
mod checks;
mod deliver;
mod incidents;
mod outputs;
mod story;
mod tickets;

pub use actions::Reply;
pub use checks::Fit;
pub use story::Heard;

use actions::Actions;
use checks::Checks;
use incidents::IncidentWork;
use tickets::TicketWork;

use std::sync::Arc;
use std::time::Duration;

use acd::{FromAcd, ToAcd};
use ivr_flows::Fields;
use media::clip::Clip;
use media::engine::{Event as MediaEvent, LegId as MediaLegId, PlayId};
use sip::Peer;
use switch::{MediaKey, QueryId, RenderId};

use crate::agenda::Agenda;
use crate::audio::{Audio, AudioDoes};
use crate::caller::{CallPlan, Caller, CallerDoes, CallerTimer, TRUNK};
use crate::crowd;
use crate::dice::Dice;
use crate::hospital::{self, Analyst};
use crate::node::{Machine, Node, both};
use crate::oracle::Oracle;
use crate::phone::{Phone, PhonePlan, PhoneTimer};
use crate::store::Store;
use crate::trace::Trace;
use crate::voice::Voice;
use crate::weather::Weather;

/// What a random world is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldConfig {
    /// How many people call.
    pub contacts: u32,
    /// How hostile it is; by the seed when `None`.
    pub weather: Option<Weather>,
}

impl WorldConfig {
    /// So many callers, weather by the seed.
    #[must_use]
    pub const fn contacts(contacts: u32) -> Self {
        Self {
            contacts,
            weather: None,
        }
    }
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Duration,
    /// What, beginning with the invariant's number where it has one.
    pub what: String,
}

/// Figures about a world, or the sum of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Worlds.
    pub worlds: u64,
    /// Calls made.
    pub calls: u64,
    /// Contacts the switch took in.
    pub contacts: u64,
    /// Of them, those who talked to somebody.
    pub talked: u64,
    /// Callers sent on by an agent, or handed over.
    pub transfers: u64,
    /// Colleagues asked.
    pub consultations: u64,
    /// Things that happened.
    pub events: u64,
    /// SIP datagrams sent.
    pub datagrams: u64,
    /// Of them lost.
    pub datagrams_lost: u64,
    /// And doubled.
    pub datagrams_doubled: u64,
    /// Messages between the machines.
    pub messages: u64,
    /// Of them lost.
    pub messages_lost: u64,
    /// And doubled.
    pub messages_doubled: u64,
    /// The node went down.
    pub crashes: u64,
    /// Connections of phones that were closed.
    pub closings: u64,
    /// Writes that succeeded.
    pub commits: u64,
    /// Writes that failed.
    pub commits_failed: u64,
    /// Events on disk.
    pub events_stored: u64,
    /// Events counted in gaps.
    pub events_in_gaps: u64,
    /// Ticket numbers spoken.
    pub tickets_spoken: u64,
    /// Callbacks that somebody was told of.
    pub promises_told: u64,
    /// Customers called because a call was owed.
    pub called_back: u64,
    /// What was asked of tickets.
    pub deeds: u64,
    /// And was done.
    pub deeds_done: u64,
    /// A number that depends on everything that happened.
    pub fingerprint: u64,
}

impl Figures {
    /// Adds another world's.
    pub fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.calls += other.calls;
        self.contacts += other.contacts;
        self.talked += other.talked;
        self.transfers += other.transfers;
        self.consultations += other.consultations;
        self.events += other.events;
        self.datagrams += other.datagrams;
        self.datagrams_lost += other.datagrams_lost;
        self.datagrams_doubled += other.datagrams_doubled;
        self.messages += other.messages;
        self.messages_lost += other.messages_lost;
        self.messages_doubled += other.messages_doubled;
        self.crashes += other.crashes;
        self.closings += other.closings;
        self.promises_told += other.promises_told;
        self.called_back += other.called_back;
        self.deeds += other.deeds;
        self.deeds_done += other.deeds_done;
        self.commits += other.commits;
        self.commits_failed += other.commits_failed;
        self.events_stored += other.events_stored;
        self.events_in_gaps += other.events_in_gaps;
        self.tickets_spoken += other.tickets_spoken;
        self.fingerprint ^= other.fingerprint;
    }
}

/// Something to come.
#[derive(Debug)]
pub(crate) enum Due {
    ToSwitch(Peer, Arc<[u8]>),
    ToPhone(usize, Arc<[u8]>),
    ToTrunk(Arc<[u8]>),
    Caller(u32, CallerTimer),
    Phone(usize, PhoneTimer),
    PhoneWake(usize),
    /// Something of one life of the node; a crash forgets it.
    Node(u32, NodeDue),
    Crash,
    Restart,
    /// A phone's connection is closed.
    Closing,
    /// Is this leg of a caller still hearing nothing?
    CheckSilence(u32, MediaLegId, Duration, bool),
    /// Does a phone still ring for a caller who hung up?
    CheckRings(u32, Duration),
    /// Does anybody still hear the leg of a phone that is gone?
    CheckParted(MediaLegId),
    /// Whom the desk has called presses the key, or says nothing.
    Takes(MediaLegId),
    /// Somebody works on a ticket.
    TicketWork,
    /// Something breaks, is published, or works again.
    IncidentWork,
    /// Whoever asked something of a ticket and wasn't answered asks again.
    TicketAgain(desk::CommandId),
}

#[derive(Debug)]
pub(crate) enum NodeDue {
    ToAcd(ToAcd),
    FromAcd(FromAcd),
    ToDesk(desk::Command),
    FromDesk(desk::Answer),
    ToTicket(desk::TicketCommand),
    FromTicket(desk::TicketAnswer),
    /// The desk wants somebody called.
    Callback(desk::Callback),
    /// It doesn't any more.
    CallbackOff(desk::AttemptId, Option<desk::ContactId>),
    OpenMedia(MediaKey, Option<MediaLegId>, bool),
    Media(MediaEvent),
    PromptEnds(MediaLegId, PlayId),
    RtpQuiet(MediaLegId),
    RtpLost(MediaLegId),
    Rendered(RenderId, Vec<Arc<Clip>>),
    RenderFailed(RenderId),
    Answer(QueryId, Option<Fields>),
    Checked(desk::Checked),
    Written(desk::CommitId, bool),
    Answered(desk::CommitId, bool),
}

/// A simulated world. See the crate's description.
#[derive(Debug)]
pub struct World {
    pub(crate) now: Duration,
    pub(crate) dice: Dice,
    pub(crate) weather: Weather,
    agenda: Agenda<Due>,
    node: Option<Node>,
    /// How often the node was started.
    life: u32,
    seed: u64,
    analysts: Vec<Analyst>,
    callers: Vec<Caller>,
    phones: Vec<Phone>,
    phone_wakes: Vec<Option<Duration>>,
    audio: Audio,
    voice: Voice,
    actions: Actions,
    checks: Checks,
    ticket_work: TicketWork,
    incident_work: IncidentWork,
    store: Store,
    oracle: Oracle,
    media_told_at: Duration,
    trunk: Peer,
    trunk_open: usize,
    figures: Figures,
    trace: Trace,
    failure: Option<Failure>,
    /// Kept for stories: what callers heard.
    heard: Option<Vec<Vec<(Duration, String)>>>,
    // Taken out and put back, so that nothing is allocated for each event.
    spare_caller: Vec<CallerDoes>,
    spare_audio: Vec<AudioDoes>,
}

/// How long the world goes on after its last call, so that whatever lingers may end.
const DRAIN: Duration = Duration::from_secs(700);
/// No write takes longer.
const LATE: Duration = Duration::from_secs(60);
/// No world lasts longer than its callers' plans and this.
const PATIENCE_MAX: Duration = Duration::from_secs(900);

macro_rules! trace {
    ($world:expr, $($text:tt)*) => {
        if $world.trace.is_on() {
            $world.trace.line($world.now, format_args!($($text)*));
        }
    };
}
pub(crate) use trace;

impl World {
    /// A random world: everything in it follows from `seed`.
    #[must_use]
    pub fn new(seed: u64, config: &WorldConfig) -> Self {
        let mut dice = Dice::new(seed);
        let (analysts, span) = crowd::scale(config.contacts, &mut dice);
        let mut weather_dice = dice.fork();
        let weather = match &config.weather {
            Some(weather) => weather.clone(),
            None => Weather::any(&mut weather_dice, span),
        };
        let mut phone_dice = dice.fork();
        let people = weather.people;
        let plans = (0..analysts)
            .map(|_| crowd::phone(&mut phone_dice, people, span, analysts as u32))
            .collect();
        let mut world = Self::with(seed, dice.fork(), weather, plans);
        let mut caller_dice = dice.fork();
        for _ in 0..config.contacts {
            world.call(crowd::caller(&mut caller_dice, people, span));
        }
        world.work_on_tickets(seed);
        world.break_things(seed);
        world
    }

    /// A world with these phones, where nobody calls yet.
    pub(crate) fn with(seed: u64, mut dice: Dice, weather: Weather, plans: Vec<PhonePlan>) -> Self {
        let analysts = hospital::analysts(plans.len());
        let people = weather.people;
        let partner = (0..hospital::PARTNER_PHONES).map(|_| crowd::partner(people));
        let mut audio = Audio::new();
        let voice = Voice::new(&mut audio);
        let store = Store::new(weather.store.clone(), dice.fork());
        let switch_peer = Peer::udp(hospital::SWITCH.parse().expect("our own address"));
        let users = analysts.iter();
        let users = users.map(|analyst| (analyst.user.as_str(), analyst.secret.as_str()));
        let phones: Vec<Phone> = plans
            .into_iter()
            .chain(partner)
            .zip(users.chain(std::iter::repeat(("partner", ""))))
            .enumerate()
            .map(|(n, (plan, (user, secret)))| {
                let mut switch_peer = switch_peer;
                if weather.streams && n < analysts.len() && n % 2 == 1 {
                    switch_peer.transport = sip::Transport::Tcp;
                }
                Phone::new(
                    n,
                    user,
                    secret,
                    hospital::REALM,
                    switch_peer,
                    plan,
                    dice.fork(),
                )
            })
            .collect();
        let node = Node::start(
            Duration::ZERO,
            seed,
            &analysts,
            &store,
            voice.music.clone(),
            voice.chime.clone(),
        );
        let mut world = Self {
            now: Duration::ZERO,
            dice,
            agenda: Agenda::new(),
            node: Some(node),
            life: 0,
            seed,
            callers: Vec::new(),
            phone_wakes: vec![None; phones.len()],
            oracle: Oracle::new(&analysts),
            analysts,
            phones,
            audio,
            voice,
            actions: Actions::default(),
            checks: Checks::default(),
            ticket_work: TicketWork::default(),
            incident_work: IncidentWork::default(),
            store,
            media_told_at: Duration::ZERO,
            trunk: Peer::udp(TRUNK.parse().expect("our own address")),
            trunk_open: 0,
            figures: Figures {
                worlds: 1,
                ..Figures::default()
            },
            trace: Trace::Off,
            failure: None,
            heard: None,
            spare_caller: Vec::new(),
            spare_audio: Vec::new(),
            weather,
        };
        for crash in world.weather.crashes.clone() {
            world.agenda.enter(crash, Due::Crash);
        }
        for closing in world.weather.closings.clone() {
            world.agenda.enter(closing, Due::Closing);
        }
        for phone in 0..world.phones.len() {
            world.phone_timers(phone);
        }
        world
    }

    /// Sets where its trace goes.
    pub fn set_trace(&mut self, trace: Trace) {
        self.trace = trace;
    }

    /// The trace so far.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What is on disk: each hospital's log, from its first event.
    pub fn logs(&self) -> impl Iterator<Item = (desk::TenantId, &[desk::Stamped])> {
        let logs = self.store.logs();
        logs.map(|(tenant, log)| (tenant, log.events.as_slice()))
    }

    /// How hostile it is.
    #[must_use]
    pub fn weather(&self) -> &Weather {
        &self.weather
    }

    /// Somebody is going to call. Gives who.
    pub fn call(&mut self, plan: CallPlan) -> usize {
        let index = self.callers.len() as u32;
        self.agenda
            .enter(plan.at.max(self.now), Due::Caller(index, CallerTimer::Dial));
        self.callers.push(Caller::new(index, plan));
        self.oracle.caller();
        if let Some(heard) = &mut self.heard {
            heard.push(Vec::new());
        }
        self.trunk_open += 1;
        self.figures.calls += 1;
        index as usize
    }

    /// Plays the world to its end: until every call is over and nothing is
    /// left of any.
    ///
    /// # Errors
    ///
    /// The first invariant found broken.
    pub fn run(&mut self) -> Result<Figures, Failure> {
        let last = self
            .callers
            .iter()
            .map(|caller| caller.plan.at)
            .max()
            .unwrap_or_default();
        let latest = last.max(self.now) + PATIENCE_MAX;
        while self.trunk_open > 0 {
            if !self.step() {
                break;
            }
            if self.now > latest {
                let caller = self.callers.iter().position(|c| !c.is_over());
                self.fail(format!("caller {caller:?} is never done"));
            }
            if let Some(failure) = &self.failure {
                return Err(failure.clone());
            }
        }
        trace!(self, "the last call is over; what lingers may end");
        if self.node.is_none() {
            self.restart();
        }
        self.vouch(1);
        for phone in 0..self.phones.len() {
            self.phones[phone].closes(self.now);
            self.phone_says(phone);
        }
        let end = self.now + DRAIN;
        // One that was on its way to the disk is owed too.
        self.run_until(self.now + LATE)?;
        self.vouch(1 << 20);
        self.run_until(end)?;
        // A ticket may be on its way to the disk at any moment.
        let writes = |node: &Node| node.desk.load().commits_in_flight > 0;
        while self.node.as_ref().is_some_and(writes) && self.failure.is_none() && self.step() {}
        self.check_drained();
        self.check_tickets();
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(self.figures()),
        }
    }

    /// Somebody of the desk says that what is owed still was done.
    fn vouch(&mut self, first: u64) {
        let Some(node) = &mut self.node else { return };
        let owed: Vec<_> = node.desk.promises().map(|(t, p, _)| (t, p)).collect();
        for (n, (tenant, promise)) in owed.into_iter().enumerate() {
            let update = desk::PromiseUpdate {
                id: desk::CommandId(first + n as u64),
                tenant,
                at: crate::node::wall(self.now),
                promise,
                word: desk::PromiseWord::Attest(desk::AgentId(1)),
            };
            node.desk.handle(self.now, desk::Input::Promise(update));
        }
        self.desk_says();
    }

    /// Lets time pass up to `end`.
    ///
    /// # Errors
    ///
    /// The first invariant found broken.
    pub fn run_until(&mut self, end: Duration) -> Result<(), Failure> {
        while self.failure.is_none() && self.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = self.now.max(end);
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// Figures so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            commits: self.store.commits,
            commits_failed: self.store.failed,
            events_stored: self.store.events,
            events_in_gaps: self.store.gaps,
            ..self.figures
        }
    }

    pub(crate) fn fail(&mut self, what: String) {
        trace!(self, "FAILURE {what}");
        if self.failure.is_none() {
            self.failure = Some(Failure { at: self.now, what });
        }
    }

    fn next_at(&self) -> Option<Duration> {
        let machine = self.node.as_ref().and_then(Node::wake).map(|(at, _)| at);
        match (machine, self.agenda.next_at()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The next thing happens. False when nothing is left to happen.
    fn step(&mut self) -> bool {
        let agenda = self.agenda.next_at();
        let machine = self.node.as_ref().and_then(Node::wake);
        self.figures.events += 1;
        match (agenda, machine) {
            (Some(at), Some((wake, machine))) if wake < at => self.machine_due(wake, machine),
            (None, Some((wake, machine))) => self.machine_due(wake, machine),
            (Some(_), _) => {
                let Some((at, due)) = self.agenda.take() else {
                    return false;
                };
                self.now = self.now.max(at);
                self.stamp();
                self.deliver(due);
            }
            (None, None) => return false,
        }
        true
    }

    fn stamp(&mut self) {
        self.figures.fingerprint = self
            .figures
            .fingerprint
            .rotate_left(5)
            .wrapping_add(self.now.as_nanos() as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn machine_due(&mut self, at: Duration, machine: Machine) {
        self.now = self.now.max(at);
        self.stamp();
        let now = self.now;
        let Some(node) = &mut self.node else { return };
        match machine {
            Machine::Switch => {
                node.switch.handle_timeout(both(now));
                self.switch_says();
            }
            Machine::Acd => {
                node.acd.handle_timeout(now);
                self.acd_says();
            }
            Machine::Desk => {
                node.desk.handle_timeout(now);
                self.desk_says();
            }
        }
        // A machine that asks again and again for a moment that is past would stop the world.
        let again = self.node.as_ref().and_then(Node::wake);
        if again.is_some_and(|(wake, which)| which == machine && wake <= at) {
            self.oracle.same_wake += 1;
            if self.oracle.same_wake > 1_000 {
                self.fail(format!("{machine:?} asks for {at:?} again and again"));
            }
        } else {
            self.oracle.same_wake = 0;
        }
    }

    /// Enters a message of the node on its wire.
    fn wire(&mut self, message: impl Fn() -> NodeDue) {
        self.figures.messages += 1;
        let travel = self.weather.messages.travel(&mut self.dice);
        if travel.first.is_none() {
            self.figures.messages_lost += 1;
            trace!(self, "  wire: lost {:?}", message());
        }
        if travel.second.is_some() {
            self.figures.messages_doubled += 1;
        }
        for delay in [travel.first, travel.second].into_iter().flatten() {
            self.enter_node(self.now + delay, message());
        }
    }

    fn enter_node(&mut self, at: Duration, due: NodeDue) {
        self.agenda.enter(at, Due::Node(self.life, due));
    }

    /// Enters a datagram on the network.
    fn network(&mut self, datagram: impl Fn() -> Due) {
        self.figures.datagrams += 1;
        let travel = self.weather.datagrams.travel(&mut self.dice);
        if travel.first.is_none() {
            self.figures.datagrams_lost += 1;
            trace!(self, "  network: the datagram is lost");
        }
        if travel.second.is_some() {
            self.figures.datagrams_doubled += 1;
        }
        for delay in [travel.first, travel.second].into_iter().flatten() {
            self.agenda.enter(self.now + delay, datagram());
        }
    }

    /// What goes to a phone, or comes from it.
    fn along(&mut self, phone: usize, message: impl Fn() -> Due) {
        if !self.phones[phone].has_connection() {
            return self.network(message);
        }
        let delay = self.weather.datagrams.delay_min;
        self.agenda.enter(self.now + delay, message());
    }

    fn crash(&mut self) {
        trace!(self, "the node CRASHES");
        self.figures.crashes += 1;
        self.life += 1;
        self.node = None;
        let life = self.life;
        self.agenda
            .retain(|due| !matches!(due, Due::Node(of, _) if *of < life));
        self.audio.crash();
        self.actions.crash();
        let restart = self.now + self.dice.millis(200, 8_000);
        self.agenda.enter(restart, Due::Restart);
        self.oracle.crash();
        // People notice that the line is dead; so do phones.
        for caller in 0..self.callers.len() {
            let who = &mut self.callers[caller];
            if who.dialled_at.is_some() && !who.is_over() {
                self.oracle.orphan(caller);
                let at = self.now + self.dice.millis(3_000, 20_000);
                self.agenda
                    .enter(at, Due::Caller(caller as u32, CallerTimer::Leave));
            }
        }
        for phone in 0..self.phones.len() {
            let after = self.dice.millis(3_000, 20_000);
            self.phones[phone].loses_audio(self.now + after);
            self.phone_timers(phone);
        }
        if let Err(what) = self.store.crash(crate::node::wall(self.now)) {
            self.fail(what);
        }
    }

    fn restart(&mut self) {
        trace!(self, "the node starts again");
        let store = &self.store;
        self.node = Some(Node::start(
            self.now,
            self.seed.wrapping_add(u64::from(self.life) << 48),
            &self.analysts,
            store,
            self.voice.music.clone(),
            self.voice.chime.clone(),
        ));
    }

    pub(crate) fn phone_timers(&mut self, phone: usize) {
        for (at, timer) in std::mem::take(&mut self.phones[phone].timers) {
            self.agenda
                .enter(at.max(self.now), Due::Phone(phone, timer));
        }
    }
}
