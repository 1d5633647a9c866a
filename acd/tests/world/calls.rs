//! A naive model of the calls' side: does what the messages' documentation
//! asks, and nothing cleverer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use acd::{AgentId, Class, ContactId, FromAcd, OfferId, QueueId, Refusal, TenantId, ToAcd, Visit};

use crate::wire::{Rng, Wire};
use crate::{Event, S};

const REPEAT: Duration = Duration::from_millis(500);

/// How people behave, in percent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    answers: u64,
    declines: u64,
    /// Gone right after answering.
    drops: u64,
    caller_hangs_up: u64,
    waits_again: u64,
    signs_out: u64,
}

impl Habits {
    pub(crate) const BEST: Self = Self {
        answers: 100,
        declines: 0,
        drops: 0,
        caller_hangs_up: 0,
        waits_again: 0,
        signs_out: 0,
    };

    pub(crate) fn random(rng: &mut Rng) -> Self {
        Self {
            answers: 30 + rng.below(70),
            declines: rng.below(50),
            drops: rng.below(15),
            caller_hangs_up: rng.below(60),
            waits_again: rng.below(30),
            signs_out: rng.below(20),
        }
    }
}

#[derive(Debug)]
struct Call {
    tenant: TenantId,
    queue: QueueId,
    class: Class,
    since: Duration,
    visit: Visit,
    state: State,
    wait_at: Duration,
    hangs_up_at: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Waiting,
    Rung {
        offer: OfferId,
        agent: AgentId,
        until: Duration,
        fate: Fate,
        fate_at: Duration,
    },
    Accepting {
        offer: OfferId,
        agent: AgentId,
        at: Duration,
        /// The agent is gone before the confirmation.
        drops_at: Option<Duration>,
    },
    Talking {
        offer: OfferId,
        agent: AgentId,
        at: Duration,
        ends_at: Duration,
    },
    Over,
    /// The node died: nobody knows.
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Answer,
    Decline,
    NoAnswer,
}

#[derive(Debug, Default)]
struct Phone {
    present: bool,
    until: Duration,
    /// What rings or talks.
    busy: HashSet<OfferId>,
}

#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) habits: Habits,
    calls: BTreeMap<ContactId, Call>,
    phones: Vec<Phone>,
    /// Said until acknowledged, by its call.
    declined: HashMap<OfferId, (ContactId, Refusal)>,
    finished: HashMap<OfferId, ContactId>,
    leaving: HashSet<(ContactId, Visit)>,
    /// Offers that rang once and are over: never rung again.
    known: HashMap<OfferId, Option<Refusal>>,
    bridged: HashSet<(ContactId, Visit)>,
    breach: Option<String>,
    /// Nothing is lost or late, and nobody dies: then no phone is ever rung twice at once.
    pub(crate) strict: bool,
}

impl Calls {
    pub(crate) fn new(agents: u32, habits: Habits) -> Self {
        Self {
            habits,
            calls: BTreeMap::new(),
            phones: (0..agents).map(|_| Phone::default()).collect(),
            declined: HashMap::new(),
            finished: HashMap::new(),
            leaving: HashSet::new(),
            known: HashMap::new(),
            bridged: HashSet::new(),
            breach: None,
            strict: false,
        }
    }

    pub(crate) fn arrive(
        &mut self,
        wire: &mut Wire,
        contact: ContactId,
        tenant: TenantId,
        queue: QueueId,
        class: Class,
    ) {
        let patience = Duration::from_millis(wire.rng.below(60_000));
        let hangs_up_at = wire
            .rng
            .percent(self.habits.caller_hangs_up)
            .then_some(wire.now + patience);
        if let Some(at) = hangs_up_at {
            wire.at(at, Event::Call(contact));
        }
        let call = Call {
            tenant,
            queue,
            class,
            since: wire.now,
            visit: Visit(1),
            state: State::Waiting,
            wait_at: wire.now,
            hangs_up_at,
        };
        self.calls.insert(contact, call);
        wire.after(Duration::ZERO, Event::Call(contact));
    }

    pub(crate) fn die(&mut self, contact: ContactId) {
        if let Some(call) = self.calls.get_mut(&contact) {
            // The agent's phone notices and hangs up too.
            if let State::Rung { offer, agent, .. }
            | State::Accepting { offer, agent, .. }
            | State::Talking { offer, agent, .. } = call.state
            {
                self.phones[agent.0 as usize].busy.remove(&offer);
            }
            if call.state != State::Over {
                call.state = State::Dead;
            }
            self.declined.retain(|_, (c, _)| *c != contact);
            self.finished.retain(|_, c| *c != contact);
            self.leaving.retain(|(c, _)| *c != contact);
        }
    }

    pub(crate) fn all_over(&self) -> bool {
        self.not_over().is_empty()
    }

    pub(crate) fn not_over(&self) -> Vec<ContactId> {
        let open = |call: &Call| !matches!(call.state, State::Over | State::Dead);
        let open = self.calls.iter().filter(|(_, call)| open(call));
        open.map(|(contact, _)| *contact).collect()
    }

    pub(crate) fn check(&mut self, seed: u64) {
        if let Some(breach) = self.breach.take() {
            panic!("seed {seed}: {breach}");
        }
    }

    // ---- what comes from the distributor

    pub(crate) fn handle(&mut self, wire: &mut Wire, message: FromAcd) {
        match message {
            FromAcd::Standing { .. } => {}
            FromAcd::Left { contact, visit } => {
                self.leaving.remove(&(contact, visit));
            }
            FromAcd::Finished { offer } => {
                self.declined.remove(&offer);
                self.finished.remove(&offer);
            }
            FromAcd::Offer {
                offer,
                contact,
                visit,
                agent,
                until,
            } => self.offered(wire, offer, contact, visit, agent, until),
            FromAcd::Rescind { offer, contact } => {
                self.stop(offer, contact);
                if self.is_alive(contact) && !self.finished.contains_key(&offer) {
                    self.decline(wire, offer, contact, Refusal::Rescinded);
                }
            }
            FromAcd::Refuse { offer } => {
                let ours = self
                    .calls
                    .iter()
                    .find(|(_, call)| call.offer() == Some(offer));
                if let Some((&contact, call)) = ours
                    && !matches!(call.state, State::Talking { .. })
                {
                    self.stop(offer, contact);
                }
            }
            FromAcd::Confirm { offer, contact } => self.confirmed(wire, offer, contact),
        }
    }

    fn is_alive(&self, contact: ContactId) -> bool {
        self.calls
            .get(&contact)
            .is_some_and(|call| call.state != State::Dead)
    }

    fn offered(
        &mut self,
        wire: &mut Wire,
        offer: OfferId,
        contact: ContactId,
        visit: Visit,
        agent: AgentId,
        until: Duration,
    ) {
        let Some(call) = self.calls.get(&contact) else {
            return;
        };
        match call.state {
            State::Dead => return,
            State::Rung { offer: o, .. } if o == offer => {
                wire.carry(Event::ToAcd(ToAcd::Ringing { offer }));
                return;
            }
            State::Accepting { .. } => return,
            State::Talking { offer: o, .. } if o == offer => return,
            _ => {}
        }
        if let Some(answer) = self.known.get(&offer) {
            if let Some(why) = *answer {
                self.decline(wire, offer, contact, why);
            }
            return;
        }
        if call.visit != visit || matches!(call.state, State::Over | State::Talking { .. }) {
            self.decline(wire, offer, contact, Refusal::ContactGone);
            return;
        }
        if let State::Rung {
            offer: o, until: u, ..
        } = call.state
        {
            if until <= u {
                self.decline(wire, offer, contact, Refusal::Rescinded);
                return;
            }
            self.stop(o, contact);
            self.decline(wire, o, contact, Refusal::Rescinded);
        }
        let phone = &mut self.phones[agent.0 as usize];
        if !phone.present {
            self.decline(wire, offer, contact, Refusal::Unreachable);
            return;
        }
        if !phone.busy.is_empty() {
            if self.strict {
                self.breach = Some(format!("{agent:?} is busy and is offered {contact:?}"));
            }
            self.decline(wire, offer, contact, Refusal::Declined);
            return;
        }
        phone.busy.insert(offer);
        let fate = if wire.rng.percent(self.habits.answers) {
            Fate::Answer
        } else if wire.rng.percent(self.habits.declines) {
            Fate::Decline
        } else {
            Fate::NoAnswer
        };
        let ring = Duration::from_millis(wire.rng.below(4_000));
        let fate_at = match fate {
            Fate::NoAnswer => until,
            Fate::Answer | Fate::Decline => (wire.now + ring).min(until),
        };
        if let Some(call) = self.calls.get_mut(&contact) {
            call.state = State::Rung {
                offer,
                agent,
                until,
                fate,
                fate_at,
            };
        }
        wire.at(fate_at, Event::Call(contact));
        wire.carry(Event::ToAcd(ToAcd::Ringing { offer }));
    }

    /// Stops ringing (or hangs up an agent who isn't bridged).
    fn stop(&mut self, offer: OfferId, contact: ContactId) {
        let Some(call) = self.calls.get_mut(&contact) else {
            return;
        };
        if let State::Rung {
            offer: o, agent, ..
        }
        | State::Accepting {
            offer: o, agent, ..
        } = call.state
            && o == offer
        {
            call.state = State::Waiting;
            self.phones[agent.0 as usize].busy.remove(&offer);
        }
        self.known.entry(offer).or_insert(Some(Refusal::Rescinded));
    }

    fn confirmed(&mut self, wire: &mut Wire, offer: OfferId, contact: ContactId) {
        let Some(call) = self.calls.get_mut(&contact) else {
            return;
        };
        match call.state {
            State::Accepting {
                offer: o, agent, ..
            } if o == offer => {
                if !self.bridged.insert((contact, call.visit)) {
                    self.breach = Some(format!("{contact:?} was bridged twice in one stay"));
                }
                let ends_at = wire.now + Duration::from_millis(500 + wire.rng.below(20_000));
                call.state = State::Talking {
                    offer,
                    agent,
                    at: wire.now,
                    ends_at,
                };
                wire.after(Duration::ZERO, Event::Call(contact));
                wire.at(ends_at, Event::Call(contact));
            }
            State::Talking { offer: o, .. } if o == offer => {}
            State::Dead => {}
            _ => self.finish(wire, offer, contact),
        }
    }

    fn decline(&mut self, wire: &mut Wire, offer: OfferId, contact: ContactId, why: Refusal) {
        self.known.insert(offer, Some(why));
        self.declined.insert(offer, (contact, why));
        wire.after(Duration::ZERO, Event::Call(contact));
    }

    fn finish(&mut self, wire: &mut Wire, offer: OfferId, contact: ContactId) {
        self.known.insert(offer, None);
        self.finished.insert(offer, contact);
        wire.after(Duration::ZERO, Event::Call(contact));
    }

    // ---- what time brings

    pub(crate) fn tick(&mut self, wire: &mut Wire, contact: ContactId) {
        let now = wire.now;
        self.repeat(wire, contact);
        let Some(call) = self.calls.get_mut(&contact) else {
            return;
        };
        if call.hangs_up_at.is_some_and(|at| at <= now) && call.is_open() {
            self.hang_up(wire, contact);
            return;
        }
        let visit = call.visit;
        if matches!(
            call.state,
            State::Waiting | State::Rung { .. } | State::Accepting { .. }
        ) && call.wait_at <= now
        {
            call.wait_at = now + 2 * S;
            wire.at(call.wait_at, Event::Call(contact));
            wire.carry(Event::ToAcd(ToAcd::Wait {
                contact,
                visit,
                tenant: call.tenant,
                queue: call.queue,
                class: call.class,
                since: call.since,
                prefer: None,
            }));
        }
        match &mut call.state {
            State::Rung {
                offer,
                agent,
                fate,
                fate_at,
                ..
            } if *fate_at <= now => {
                let (offer, agent, fate) = (*offer, *agent, *fate);
                if fate == Fate::Answer {
                    let soon = now + Duration::from_millis(wire.rng.below(800));
                    let drops_at = wire.rng.percent(self.habits.drops).then_some(soon);
                    call.state = State::Accepting {
                        offer,
                        agent,
                        at: now,
                        drops_at,
                    };
                    wire.at(soon, Event::Call(contact));
                    wire.after(Duration::ZERO, Event::Call(contact));
                } else {
                    call.state = State::Waiting;
                    self.phones[agent.0 as usize].busy.remove(&offer);
                    let why = match fate {
                        Fate::NoAnswer => Refusal::NoAnswer,
                        Fate::Answer | Fate::Decline => Refusal::Declined,
                    };
                    self.decline(wire, offer, contact, why);
                }
            }
            State::Accepting {
                offer,
                agent,
                drops_at: Some(at),
                ..
            } if *at <= now => {
                let (offer, agent) = (*offer, *agent);
                self.phones[agent.0 as usize].busy.remove(&offer);
                call.wait_again(now);
                self.finish(wire, offer, contact);
            }
            State::Accepting { offer, at, .. } if *at <= now => {
                *at = now + REPEAT;
                wire.at(*at, Event::Call(contact));
                wire.carry(Event::ToAcd(ToAcd::Accept { offer: *offer }));
            }
            State::Talking {
                offer,
                agent,
                ends_at,
                ..
            } if *ends_at <= now => {
                let (offer, agent) = (*offer, *agent);
                self.phones[agent.0 as usize].busy.remove(&offer);
                if wire.rng.percent(self.habits.waits_again) {
                    call.wait_again(now);
                } else {
                    call.state = State::Over;
                }
                self.finish(wire, offer, contact);
            }
            State::Talking {
                offer, agent, at, ..
            } if *at <= now => {
                *at = now + 5 * S;
                wire.at(*at, Event::Call(contact));
                wire.carry(Event::ToAcd(ToAcd::Talking {
                    offer: *offer,
                    tenant: call.tenant,
                    contact,
                    visit,
                    agent: *agent,
                }));
            }
            _ => {}
        }
    }

    fn repeat(&mut self, wire: &mut Wire, contact: ContactId) {
        let mut said = Vec::new();
        for (&offer, &(c, why)) in &self.declined {
            if c == contact {
                said.push(ToAcd::Decline { offer, why });
            }
        }
        for (&offer, &c) in &self.finished {
            if c == contact {
                said.push(ToAcd::Finish { offer });
            }
        }
        for &(c, visit) in &self.leaving {
            if c == contact {
                said.push(ToAcd::Leave { contact, visit });
            }
        }
        if said.is_empty() {
            return;
        }
        // The maps' order is chance; the world's must come from its seed.
        said.sort_by_key(|message| format!("{message:?}"));
        for message in said {
            wire.carry(Event::ToAcd(message));
        }
        wire.after(REPEAT, Event::Call(contact));
    }

    fn hang_up(&mut self, wire: &mut Wire, contact: ContactId) {
        let Some(call) = self.calls.get_mut(&contact) else {
            return;
        };
        let visit = call.visit;
        let state = std::mem::replace(&mut call.state, State::Over);
        match state {
            State::Rung { offer, agent, .. } => {
                self.phones[agent.0 as usize].busy.remove(&offer);
                self.known.insert(offer, Some(Refusal::ContactGone));
                self.leaving.insert((contact, visit));
            }
            State::Accepting { offer, agent, .. } => {
                self.phones[agent.0 as usize].busy.remove(&offer);
                self.finish(wire, offer, contact);
                self.leaving.insert((contact, visit));
            }
            State::Talking { offer, agent, .. } => {
                self.phones[agent.0 as usize].busy.remove(&offer);
                self.finish(wire, offer, contact);
            }
            State::Waiting | State::Over | State::Dead => {
                self.leaving.insert((contact, visit));
            }
        }
        wire.after(Duration::ZERO, Event::Call(contact));
    }

    pub(crate) fn phone_tick(&mut self, wire: &mut Wire, agent: AgentId) {
        let phone = &mut self.phones[agent.0 as usize];
        let at = wire.now;
        if phone.present && wire.rng.percent(self.habits.signs_out) {
            phone.present = false;
            wire.carry(Event::ToAcd(ToAcd::SignOut { agent, at }));
        } else {
            phone.present = true;
            phone.until = at + 20 * S;
            let until = phone.until;
            wire.carry(Event::ToAcd(ToAcd::SignIn { agent, at, until }));
        }
        wire.after(5 * S, Event::Phone(agent));
    }
}

impl Call {
    fn is_open(&self) -> bool {
        !matches!(self.state, State::Over | State::Dead)
    }

    fn offer(&self) -> Option<OfferId> {
        match self.state {
            State::Rung { offer, .. }
            | State::Accepting { offer, .. }
            | State::Talking { offer, .. } => Some(offer),
            State::Waiting | State::Over | State::Dead => None,
        }
    }

    fn wait_again(&mut self, now: Duration) {
        self.visit.0 += 1;
        self.state = State::Waiting;
        self.wait_at = now;
    }
}
