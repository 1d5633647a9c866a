//! The invariants, checked after every event from what the distributor says
//! and shows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use acd::{
    Acd, AgentId, AgentState, AgentView, Class, ContactId, FromAcd, Notice, OfferId, OfferOutcome,
    QueueId, Setup, ToAcd, Visit,
};

use crate::S;

#[derive(Debug, Default)]
pub(crate) struct Rulebook {
    serves: BTreeMap<AgentId, Vec<QueueId>>,
    queues: Vec<QueueId>,
    /// Live, by the notices.
    offers: HashMap<OfferId, (ContactId, AgentId)>,
    visit_of: HashMap<OfferId, Visit>,
    accepted: HashSet<(ContactId, Visit)>,
    /// By contact: what was heard of it.
    contacts: Vec<Heard>,
    sign_in: HashMap<AgentId, (Duration, Duration)>,
    talk_heard: HashMap<AgentId, Duration>,
    states: HashMap<AgentId, AgentState>,
    checks: u64,
    /// Reused from check to check.
    crew: Vec<AgentView>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    waits: Duration,
    left: Option<Visit>,
    care: bool,
}

impl Rulebook {
    pub(crate) fn new(setup: &Setup) -> Self {
        let serves = setup
            .agents
            .iter()
            .map(|agent| (agent.id, agent.queues.iter().map(|m| m.queue).collect()));
        Self {
            serves: serves.collect(),
            queues: setup.queues.iter().map(|queue| queue.id).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn restarted(&mut self, setup: &Setup) {
        *self = Self::new(setup);
    }

    pub(crate) fn heard(&mut self, now: Duration, message: &ToAcd) {
        match message {
            ToAcd::Wait { contact, class, .. } => {
                let heard = self.contact(*contact);
                heard.care |= *class == Class::CareStopped;
                heard.waits = now;
            }
            ToAcd::SignIn { agent, at, until } => {
                let known = self.sign_in.entry(*agent).or_insert((*at, *until));
                if *at >= known.0 {
                    *known = (*at, *until);
                }
            }
            ToAcd::SignOut { agent, at } => {
                let known = self.sign_in.entry(*agent).or_insert((*at, *at));
                if *at >= known.0 {
                    *known = (*at, *at);
                }
            }
            ToAcd::Talking { agent, .. } => {
                self.talk_heard.insert(*agent, now);
            }
            ToAcd::Accept { offer } => {
                if let Some((_, agent)) = self.offers.get(offer) {
                    self.talk_heard.insert(*agent, now);
                }
            }
            ToAcd::Leave { contact, visit } => {
                let heard = self.contact(*contact);
                heard.left = heard.left.max(Some(*visit));
            }
            ToAcd::Ringing { .. } | ToAcd::Decline { .. } | ToAcd::Finish { .. } => {}
        }
    }

    fn contact(&mut self, contact: ContactId) -> &mut Heard {
        let index = contact.0 as usize;
        if self.contacts.len() <= index {
            self.contacts.resize(index + 1, Heard::default());
        }
        &mut self.contacts[index]
    }

    pub(crate) fn said(&mut self, message: &FromAcd) {
        if let FromAcd::Offer {
            offer,
            visit,
            contact,
            ..
        } = message
        {
            let left = self.contact(*contact).left;
            assert!(left < Some(*visit), "{contact:?} had left");
            self.visit_of.insert(*offer, *visit);
        }
    }

    pub(crate) fn noted(
        &mut self,
        seed: u64,
        notice: Notice,
        offered: &mut Vec<(ContactId, AgentId)>,
    ) {
        match notice {
            Notice::AgentState { agent, state } => {
                let before = self.states.insert(agent, state);
                assert_ne!(before, Some(state), "seed {seed}: told twice");
            }
            Notice::WrappedUp { agent, lasted, .. } => {
                assert_ne!(self.states.get(&agent), Some(&AgentState::WrapUp));
                assert!(lasted <= Duration::from_secs(60), "seed {seed}: {lasted:?}");
            }
            Notice::OfferCreated {
                offer,
                contact,
                agent,
                ..
            } => {
                // Invariant 2.
                for (c, a) in self.offers.values() {
                    assert_ne!(*a, agent, "seed {seed}: two live offers of an agent");
                    assert_ne!(*c, contact, "seed {seed}: two live offers for a contact");
                }
                let reused = self.offers.insert(offer, (contact, agent));
                assert_eq!(reused, None, "seed {seed}: an offer id again");
                offered.push((contact, agent));
            }
            Notice::OfferEnded { offer, outcome, .. } => {
                let Some((contact, _)) = self.offers.remove(&offer) else {
                    panic!("seed {seed}: an offer ended twice");
                };
                if outcome == OfferOutcome::Accepted {
                    let visit = self.visit_of[&offer];
                    assert!(
                        self.accepted.insert((contact, visit)),
                        "seed {seed}: two accepted offers in one stay"
                    );
                }
            }
        }
    }

    pub(crate) fn check(
        &mut self,
        seed: u64,
        now: Duration,
        acd: &Acd,
        cause: Option<&ToAcd>,
        offered: &[(ContactId, AgentId)],
    ) {
        // 3: a hang-up ends the offers made for it, at once.
        if let Some(ToAcd::Leave { contact, visit }) = cause {
            for (offer, (c, _)) in &self.offers {
                assert!(
                    c != contact || self.visit_of[offer] > *visit,
                    "seed {seed}: {contact:?} left and is still offered"
                );
            }
        }
        self.checks += 1;
        self.crew.clear();
        self.crew.extend(acd.agents());
        for index in 0..self.queues.len() {
            self.check_queue(seed, now, acd, self.queues[index], offered);
        }
        self.check_agents(seed, now);
    }

    fn check_queue(
        &self,
        seed: u64,
        now: Duration,
        acd: &Acd,
        queue: QueueId,
        offered: &[(ContactId, AgentId)],
    ) {
        let Some(view) = acd.queue(queue) else {
            panic!("seed {seed}: {queue:?} is gone");
        };
        if view.waiting == 0 {
            return;
        }
        // 4: nobody idles while somebody waits, nor rests for long if all do.
        assert_eq!(view.free, 0, "seed {seed}: {queue:?} idles");
        let mut crew = 0;
        let mut longest_rest = Duration::ZERO;
        let mut all_rest = true;
        for agent in &self.crew {
            if agent.state == AgentState::SignedOut || !self.serves[&agent.agent].contains(&queue) {
                continue;
            }
            crew += 1;
            assert_ne!(agent.state, AgentState::Available, "seed {seed}");
            all_rest &= agent.state == AgentState::Resting;
            longest_rest = longest_rest.max(now - agent.since);
        }
        // A conversation may outlast the registration.
        assert!(crew >= view.signed_in, "seed {seed}");
        assert!(
            crew == 0 || !all_rest || longest_rest < 2 * S,
            "seed {seed}: everybody in {queue:?} rests, one for {longest_rest:?}"
        );
        // The long walk, when it matters and every so often.
        if offered.is_empty() && !self.checks.is_multiple_of(16) {
            return;
        }
        let mut waiting = 0;
        for contact in acd.waiting(queue) {
            waiting += 1;
            let heard = &self.contacts[contact.contact.0 as usize];
            // 8: a wait is a lease.
            assert!(
                now - heard.waits <= 10 * S,
                "seed {seed}: {contact:?} is stale"
            );
            assert!(
                heard.left < Some(contact.visit),
                "seed {seed}: {contact:?} came back from the dead"
            );
            // 6: nothing overtakes "patient care stopped now".
            if contact.class == Class::CareStopped {
                for (other, agent) in offered {
                    assert!(
                        self.contacts[other.0 as usize].care
                            || !self.serves[agent].contains(&queue),
                        "seed {seed}: {other:?} overtook {contact:?}"
                    );
                }
            }
        }
        assert_eq!(waiting, view.waiting, "seed {seed}");
    }

    /// 2 and 8.
    fn check_agents(&self, seed: u64, now: Duration) {
        for agent in &self.crew {
            let id = agent.agent;
            match agent.state {
                AgentState::SignedOut => {}
                AgentState::Available | AgentState::Resting | AgentState::WrapUp => {
                    assert!(
                        self.is_registered(id, now),
                        "seed {seed}: {id:?} isn't there"
                    );
                }
                AgentState::Offered => {
                    assert!(
                        self.is_registered(id, now),
                        "seed {seed}: {id:?} isn't there"
                    );
                    assert!(agent.offer.is_some(), "seed {seed}");
                    assert!(now - agent.since <= 30 * S, "seed {seed}: offered for ever");
                }
                AgentState::Talking => {
                    let heard = self.talk_heard[&id];
                    assert!(now - heard <= 30 * S, "seed {seed}: {id:?} talks unheard");
                }
            }
        }
        for (_, agent) in self.offers.values() {
            let state = self.crew.iter().find(|a| a.agent == *agent);
            let state = state.map(|a| a.state);
            assert_eq!(state, Some(AgentState::Offered), "seed {seed}: {agent:?}");
        }
    }

    fn is_registered(&self, agent: AgentId, now: Duration) -> bool {
        self.sign_in
            .get(&agent)
            .is_some_and(|(_, until)| *until > now)
    }

    /// When everything has come to rest, nothing is left.
    pub(crate) fn check_rest(&self, acd: &Acd) {
        for &queue in &self.queues {
            assert_eq!(acd.waiting(queue).count(), 0, "somebody still waits");
        }
        for agent in acd.agents() {
            assert_eq!(agent.state, AgentState::Available, "{agent:?}");
        }
        assert!(self.offers.is_empty(), "{:?}", self.offers);
    }
}
