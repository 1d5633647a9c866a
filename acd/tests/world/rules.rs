//! The invariants, checked after every event from what the distributor says
//! and shows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use acd::{
    Acd, AgentId, AgentState, Class, ContactId, FromAcd, Notice, OfferId, OfferOutcome, QueueId,
    Setup, ToAcd, Visit,
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
    left: HashSet<(ContactId, Visit)>,
    waits_heard: HashMap<ContactId, Duration>,
    care: HashSet<ContactId>,
    sign_in: HashMap<AgentId, (Duration, Duration)>,
    talk_heard: HashMap<AgentId, Duration>,
    states: HashMap<AgentId, AgentState>,
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
                if *class == Class::CareStopped {
                    self.care.insert(*contact);
                }
                self.waits_heard.insert(*contact, now);
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
                self.left.insert((*contact, *visit));
            }
            ToAcd::Ringing { .. } | ToAcd::Decline { .. } | ToAcd::Finish { .. } => {}
        }
    }

    pub(crate) fn said(&mut self, message: &FromAcd) {
        if let FromAcd::Offer {
            offer,
            visit,
            contact,
            ..
        } = message
        {
            // A stay that is over isn't offered.
            assert!(
                !self.left.contains(&(*contact, *visit)),
                "{contact:?} had left"
            );
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
        let agents: BTreeMap<_, _> = acd.agents().map(|view| (view.agent, view)).collect();
        let mut care = HashSet::new();
        for &queue in &self.queues {
            let Some(view) = acd.queue(queue) else {
                panic!("seed {seed}: {queue:?} is gone");
            };
            let crew = agents.values().filter(|a| {
                a.state != AgentState::SignedOut && self.serves[&a.agent].contains(&queue)
            });
            // 4: nobody idles while somebody waits, nor rests for long if all do.
            if view.waiting > 0 {
                assert_eq!(view.free, 0, "seed {seed}: {queue:?} idles");
                let mut rested = Duration::MAX;
                for agent in crew.clone() {
                    assert_ne!(agent.state, AgentState::Available, "seed {seed}");
                    rested = match agent.state {
                        AgentState::Resting => rested.min(now - agent.since),
                        _ => Duration::ZERO,
                    };
                    if rested.is_zero() {
                        break;
                    }
                }
                let all_rest = rested > Duration::ZERO && crew.count() > 0;
                assert!(
                    !all_rest || rested < 2 * S,
                    "seed {seed}: everybody in {queue:?} rests for {rested:?}"
                );
            }
            let mut waiting = 0;
            for contact in acd.waiting(queue) {
                waiting += 1;
                // 8: a wait is a lease.
                let heard = self.waits_heard[&contact.contact];
                assert!(now - heard <= 10 * S, "seed {seed}: {contact:?} is stale");
                assert!(
                    !self.left.contains(&(contact.contact, contact.visit)),
                    "seed {seed}: {contact:?} came back from the dead"
                );
                if contact.class == Class::CareStopped {
                    care.insert((queue, contact.contact));
                }
            }
            assert_eq!(waiting, view.waiting, "seed {seed}");
        }
        // 6: nothing overtakes "patient care stopped now".
        for (contact, agent) in offered {
            for (queue, waiting) in &care {
                assert!(
                    self.care.contains(contact) || !self.serves[agent].contains(queue),
                    "seed {seed}: {contact:?} overtook {waiting:?}"
                );
            }
        }
        // 2 and 8: agents.
        for (id, agent) in &agents {
            match agent.state {
                AgentState::SignedOut => {}
                AgentState::Available | AgentState::Resting | AgentState::WrapUp => {
                    assert!(
                        self.is_registered(*id, now),
                        "seed {seed}: {id:?} isn't there"
                    );
                }
                AgentState::Offered => {
                    assert!(
                        self.is_registered(*id, now),
                        "seed {seed}: {id:?} isn't there"
                    );
                    assert!(agent.offer.is_some(), "seed {seed}");
                    assert!(now - agent.since <= 30 * S, "seed {seed}: offered for ever");
                }
                AgentState::Talking => {
                    let heard = self.talk_heard[id];
                    assert!(now - heard <= 30 * S, "seed {seed}: {id:?} talks unheard");
                }
            }
        }
        for (_, agent) in self.offers.values() {
            let state = agents[agent].state;
            assert_eq!(state, AgentState::Offered, "seed {seed}: {agent:?}");
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
