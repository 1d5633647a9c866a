//! The machine: one door in, one door out, time as an argument.

use std::collections::VecDeque;
use std::time::Duration;

use crate::agents::{Agent, Crew};
use crate::contacts::{Contact, Stay, Turn};
use crate::ids::IdMap;
use crate::memory::Memory;
use crate::offers::{Ended, Offer};
use crate::order::Line;
use crate::timers::{Timer, Timers};
use crate::{
    AgentId, AgentState, AgentView, ContactId, FromAcd, Limits, Notice, OfferId, QueueId,
    QueueSetup, QueueView, Rules, Setup, ToAcd, Visit, WaitingView,
};

/// What comes out of [`Acd::poll`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A message to the calls.
    To(FromAcd),
    /// Something that happened, for the event log and the wallboard.
    Notice(Notice),
}

/// The distributor.
///
/// Drive it so: [`handle`](Self::handle) each message as it comes and
/// [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout) is due; after each of them take
/// [`poll`](Self::poll) until it gives nothing more. `now` never runs
/// backwards (if it does, it is taken as standing still).
///
/// Between two calls nobody waits in a queue for which somebody is free: each
/// event is matched before `handle` returns, at a cost that grows with the
/// queues of the agent concerned and the logarithm of the rest.
#[derive(Debug)]
pub struct Acd {
    pub(crate) now: Duration,
    /// When the first message came.
    pub(crate) born: Option<Duration>,
    pub(crate) rules: Rules,
    pub(crate) limits: Limits,
    pub(crate) queues: Vec<Queue>,
    pub(crate) queue_index: IdMap<QueueId, usize>,
    /// Sorted by id.
    pub(crate) agents: Vec<Agent>,
    pub(crate) agent_index: IdMap<AgentId, usize>,
    /// Who waits, is offered or talks.
    pub(crate) contacts: IdMap<ContactId, Contact>,
    /// How many of `contacts` wait or are offered.
    pub(crate) waiting: usize,
    /// The last stay that is over.
    pub(crate) gone: Memory<ContactId, Visit>,
    pub(crate) offers: IdMap<OfferId, Offer>,
    pub(crate) ended: Memory<OfferId, Ended>,
    pub(crate) first_offer: u64,
    pub(crate) offers_minted: u64,
    /// Counts those who became free, see [`crate::agents::Idle`].
    pub(crate) freed: u64,
    pub(crate) timers: Timers,
    pub(crate) looks: VecDeque<Look>,
    pub(crate) outputs: VecDeque<Output>,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) setup: QueueSetup,
    pub(crate) line: Line,
    pub(crate) crew: Crew,
}

/// Where something changed, so that there may be somebody to offer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Look {
    Agent(usize),
    Queue(usize),
}

impl Acd {
    /// A distributor that knows nobody's whereabouts yet.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let mut acd = Self {
            now: Duration::ZERO,
            born: None,
            rules: setup.rules,
            limits: setup.limits,
            queues: Vec::new(),
            queue_index: IdMap::default(),
            agents: Vec::new(),
            agent_index: IdMap::default(),
            contacts: IdMap::default(),
            waiting: 0,
            gone: Memory::new(),
            offers: IdMap::default(),
            ended: Memory::new(),
            first_offer: crate::ids::mix(setup.seed),
            offers_minted: 0,
            freed: 0,
            timers: Timers::default(),
            looks: VecDeque::new(),
            outputs: VecDeque::new(),
        };
        acd.reconfigure(Duration::ZERO, setup);
        acd
    }

    /// Takes a message.
    pub fn handle(&mut self, now: Duration, message: ToAcd) {
        self.advance(now);
        // What was due before the message came is decided without it.
        self.fire_due();
        match message {
            ToAcd::Wait {
                contact,
                visit,
                tenant,
                queue,
                class,
                since,
                prefer,
            } => self.wait(contact, visit, tenant, queue, class, since, prefer),
            ToAcd::Leave { contact, visit } => self.leave(contact, visit),
            ToAcd::Ringing { offer } => self.ringing(offer),
            ToAcd::Accept { offer } => self.accept(offer),
            ToAcd::Decline { offer, why } => self.decline(offer, why),
            ToAcd::Talking {
                offer,
                tenant,
                contact,
                visit,
                agent,
            } => self.talking(offer, tenant, contact, visit, agent),
            ToAcd::Finish { offer } => self.finish(offer),
            ToAcd::SignIn { agent, at, until } => self.sign_in(agent, at, until),
            ToAcd::SignOut { agent, at } => self.sign_out(agent, at),
        }
        self.match_up();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.advance(now);
        self.fire_due();
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    /// May be early: then there is nothing to do yet.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// The next thing to send or to record.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A queue at a glance; `None` for an unknown one.
    #[must_use]
    pub fn queue(&self, queue: QueueId) -> Option<QueueView> {
        let index = *self.queue_index.get(&queue)?;
        Some(self.view(index, self.oldest()[index]))
    }

    /// Every queue.
    pub fn queues(&self) -> impl Iterator<Item = QueueView> + '_ {
        let oldest = self.oldest().into_iter();
        oldest.enumerate().map(|(at, oldest)| self.view(at, oldest))
    }

    fn view(&self, index: usize, oldest: Option<Duration>) -> QueueView {
        let it = &self.queues[index];
        QueueView {
            queue: it.setup.id,
            waiting: it.line.len() as u32,
            signed_in: it.crew.signed_in,
            free: it.crew.free() as u32,
            oldest,
        }
    }

    /// By queue, when whoever has waited longest began. The lines don't know: patients stand in
    /// them later than they came, and who is being offered in none.
    fn oldest(&self) -> Vec<Option<Duration>> {
        let mut oldest = vec![None; self.queues.len()];
        for contact in self.contacts.values() {
            if let Stay::Waiting(waiting) = &contact.stay
                && waiting.turn != Turn::Silent
            {
                let of = &mut oldest[waiting.queue];
                *of = Some(of.map_or(waiting.since, |since: Duration| since.min(waiting.since)));
            }
        }
        oldest
    }

    /// Who waits in a queue, in the order of service (aging turns aside),
    /// without those being offered.
    pub fn waiting(&self, queue: QueueId) -> impl Iterator<Item = WaitingView> + '_ {
        let queue = self.queue_index.get(&queue).map(|&i| &self.queues[i]);
        queue
            .into_iter()
            .flat_map(|queue| queue.line.contacts())
            .filter_map(|id| {
                let contact = self.contacts.get(&id)?;
                let Stay::Waiting(waiting) = &contact.stay else {
                    return None;
                };
                Some(WaitingView {
                    contact: id,
                    visit: contact.visit,
                    tenant: contact.tenant,
                    class: waiting.class,
                    since: waiting.since,
                })
            })
    }

    /// Everybody, by id.
    pub fn agents(&self) -> impl Iterator<Item = AgentView> + '_ {
        self.agents.iter().map(|agent| AgentView {
            agent: agent.id,
            state: agent.shown,
            since: agent.shown_since,
            offer: agent.live_offer(),
        })
    }

    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.born.get_or_insert(self.now);
        self.gone.expire(self.now);
        self.ended.expire(self.now);
    }

    fn fire_due(&mut self) {
        while let Some((at, timer)) = self.timers.pop_due(self.now) {
            match timer {
                Timer::WaitLease(contact) => self.wait_lease_fired(at, contact),
                Timer::Repeat(offer) => self.repeat_fired(at, offer),
                Timer::RingEnd(offer) => self.ring_end_fired(offer),
                Timer::TalkLease(offer) => self.talk_lease_fired(at, offer),
                Timer::Registration(agent) => self.registration_fired(at, agent),
                Timer::Pause(agent) => self.pause_fired(agent),
                Timer::Breath(agent) => {
                    if let Some(&index) = self.agent_index.get(&agent) {
                        self.looks.push_back(Look::Agent(index));
                    }
                }
            }
            self.match_up();
        }
    }

    pub(crate) fn send(&mut self, message: FromAcd) {
        self.outputs.push_back(Output::To(message));
    }

    pub(crate) fn note(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }

    /// Changes an agent and everything that is derived from it.
    pub(crate) fn change_agent(&mut self, index: usize, change: impl FnOnce(&mut Agent)) {
        let agent = &mut self.agents[index];
        for post in &agent.posts {
            self.queues[post.queue].crew.leave(post.rank, index, agent);
        }
        change(agent);
        for post in &agent.posts {
            self.queues[post.queue].crew.enter(post.rank, index, agent);
        }
        let state = agent.state();
        if state != agent.shown {
            let lasted = self.now.saturating_sub(agent.shown_since);
            let wrapped_up = match agent.shown {
                AgentState::WrapUp => agent.wraps_up.take(),
                _ => None,
            };
            agent.shown = state;
            agent.shown_since = self.now;
            let agent = agent.id;
            self.note(Notice::AgentState { agent, state });
            if let Some((tenant, contact)) = wrapped_up {
                self.note(Notice::WrappedUp {
                    agent,
                    tenant,
                    contact,
                    lasted,
                });
            }
        }
        self.looks.push_back(Look::Agent(index));
    }

    /// Puts a contact (back) in line, at its place.
    pub(crate) fn put_in_line(&mut self, id: ContactId) {
        if let Some(Contact {
            stay: Stay::Waiting(waiting),
            ..
        }) = self.contacts.get_mut(&id)
        {
            waiting.turn = Turn::InLine;
            self.queues[waiting.queue].line.insert(waiting.seat);
            self.looks.push_back(Look::Queue(waiting.queue));
        }
    }
}
