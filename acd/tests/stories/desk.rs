//! An `Acd` on virtual time, spoken to in few words. Offers are numbered from 0
//! as they come; a number that wasn't given out means a foreign offer.

use std::collections::HashMap;
use std::time::Duration;

use acd::{
    Acd, AgentId, AgentSetup, AgentState, Class, ContactId, FromAcd, Notice, OfferId, OfferOutcome,
    Output, QueueId, QueueSetup, Refusal, Setup, TenantId, ToAcd, Visit,
};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const S: Duration = Duration::from_secs(1);
const TENANT: TenantId = TenantId(1);

pub(crate) fn agent(id: u32) -> AgentId {
    AgentId(id)
}

pub(crate) fn queue(id: u32) -> QueueSetup {
    QueueSetup::new(QueueId(id), None, false)
}

pub(crate) fn setup(agents: &[(u32, &[u32])], queues: &[QueueSetup]) -> Setup {
    let agents = agents
        .iter()
        .map(|(id, queues)| {
            let queues: Vec<_> = queues.iter().map(|&q| QueueId(q)).collect();
            AgentSetup::new(AgentId(*id), &queues)
        })
        .collect();
    Setup::new(42, queues.to_vec(), agents)
}

pub(crate) struct Desk {
    acd: Acd,
    now: Duration,
    pub(crate) outputs: Vec<Output>,
    offers: Vec<OfferId>,
    outcomes: Vec<(usize, OfferOutcome)>,
    /// Whose after-call work for whom is over, and how long it took.
    pub(crate) wrapped_up: Vec<(u32, u64, Duration)>,
    /// What each contact says while it waits.
    waits: HashMap<u64, ToAcd>,
    last_contact: u64,
    /// Offers before this one are served.
    served: usize,
}

impl Desk {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            acd: Acd::new(setup),
            now: Duration::ZERO,
            outputs: Vec::new(),
            offers: Vec::new(),
            outcomes: Vec::new(),
            wrapped_up: Vec::new(),
            waits: HashMap::new(),
            last_contact: 1_000,
            served: 0,
        }
    }

    pub(crate) fn say(&mut self, message: ToAcd) {
        self.acd.handle(self.now, message);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.acd.poll() {
            match &output {
                Output::To(FromAcd::Offer { offer, .. }) if !self.offers.contains(offer) => {
                    self.offers.push(*offer);
                }
                Output::Notice(Notice::OfferEnded { offer, outcome, .. }) => {
                    let number = self.number(*offer);
                    self.outcomes.push((number, *outcome));
                }
                Output::Notice(Notice::WrappedUp {
                    agent,
                    contact,
                    lasted,
                    ..
                }) => self.wrapped_up.push((agent.0, contact.0, *lasted)),
                _ => {}
            }
            self.outputs.push(output);
        }
    }

    fn number(&self, offer: OfferId) -> usize {
        let known = self.offers.iter().position(|o| *o == offer);
        known.unwrap_or(offer.0 as usize)
    }

    fn offer(&self, number: usize) -> OfferId {
        let known = self.offers.get(number).copied();
        known.unwrap_or(OfferId(number as u64))
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.acd.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            self.acd.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// Lets time pass while one contact keeps saying that it waits.
    pub(crate) fn pass_waiting(&mut self, contact: u64, _visit: u32, time: Duration) {
        let wait = self.waits[&contact].clone();
        let end = self.now + time;
        while self.now < end {
            self.pass((2 * S).min(end - self.now));
            self.say(wait.clone());
        }
    }

    pub(crate) fn pass_all_waiting(&mut self, time: Duration) {
        let mut waits: Vec<_> = self.waits.iter().map(|(id, w)| (*id, w.clone())).collect();
        waits.sort_by_key(|(id, _)| *id);
        let end = self.now + time;
        while self.now < end {
            self.pass((2 * S).min(end - self.now));
            for (_, wait) in &waits {
                self.say(wait.clone());
            }
        }
    }

    pub(crate) fn sign_in(&mut self, id: u32) {
        let (at, until) = (self.now, self.now + 60 * S);
        let agent = AgentId(id);
        self.say(ToAcd::SignIn { agent, at, until });
    }

    pub(crate) fn sign_out(&mut self, id: u32) {
        let at = self.now;
        let agent = AgentId(id);
        self.say(ToAcd::SignOut { agent, at });
    }

    pub(crate) fn wait(&mut self, contact: u64, visit: u32, queue: u32, class: Class) {
        let since = match self.waits.get(&contact) {
            Some(ToAcd::Wait { since, .. }) => *since,
            _ => self.now,
        };
        let wait = ToAcd::Wait {
            contact: ContactId(contact),
            visit: Visit(visit),
            tenant: TENANT,
            queue: QueueId(queue),
            class,
            since,
            prefer: None,
        };
        self.waits.insert(contact, wait.clone());
        self.say(wait);
    }

    /// The same in queue 1, of somebody whom an agent knows.
    pub(crate) fn wait_for(&mut self, contact: u64, agent: u32) {
        let wait = ToAcd::Wait {
            contact: ContactId(contact),
            visit: Visit(1),
            tenant: TENANT,
            queue: QueueId(1),
            class: Class::Patient,
            since: self.now,
            prefer: Some(AgentId(agent)),
        };
        self.waits.insert(contact, wait.clone());
        self.say(wait);
    }

    pub(crate) fn leave(&mut self, contact: u64, visit: u32) {
        let (contact, visit) = (ContactId(contact), Visit(visit));
        self.say(ToAcd::Leave { contact, visit });
    }

    pub(crate) fn ringing(&mut self, number: usize) {
        let offer = self.offer(number);
        self.say(ToAcd::Ringing { offer });
    }

    pub(crate) fn accept(&mut self, number: usize) {
        let offer = self.offer(number);
        self.say(ToAcd::Accept { offer });
    }

    pub(crate) fn decline(&mut self, number: usize, why: Refusal) {
        let offer = self.offer(number);
        self.say(ToAcd::Decline { offer, why });
    }

    pub(crate) fn finish(&mut self, number: usize) {
        let offer = self.offer(number);
        self.say(ToAcd::Finish { offer });
    }

    pub(crate) fn talking(&mut self, number: usize, contact: u64, visit: u32, agent: u32) {
        self.say(ToAcd::Talking {
            offer: self.offer(number),
            tenant: TENANT,
            contact: ContactId(contact),
            visit: Visit(visit),
            agent: AgentId(agent),
        });
    }

    /// A new contact in a queue; gives the number of the offer made for it.
    pub(crate) fn wait_for_offer(&mut self, queue: u32) -> usize {
        self.last_contact += 1;
        self.wait(self.last_contact, 1, queue, Class::Staff);
        self.offers.len() - 1
    }

    pub(crate) fn last_contact(&self) -> u64 {
        self.last_contact
    }

    /// Answers and ends every offer at once; gives the contacts in the order served.
    pub(crate) fn serve_all(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.serve_next()).collect()
    }

    /// Answers and ends the next offer not yet served; gives its contact.
    pub(crate) fn serve_next(&mut self) -> Option<u64> {
        let number = self.served;
        let offer = *self.offers.get(number)?;
        let contact = self.outputs.iter().find_map(|output| match output {
            Output::To(FromAcd::Offer {
                offer: o, contact, ..
            }) if *o == offer => Some(contact.0),
            _ => None,
        });
        self.served += 1;
        if let Some(contact) = contact {
            self.waits.remove(&contact);
        }
        self.accept(number);
        self.finish(number);
        contact
    }

    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// Says that a contact waits in queue 1, in its first stay.
    pub(crate) fn wait_since(&mut self, contact: u64, class: Class, since: Duration) {
        self.wait_from(TENANT.0, contact, class, since);
    }

    /// The same, of a hospital's.
    pub(crate) fn wait_from(&mut self, tenant: u32, contact: u64, class: Class, since: Duration) {
        let wait = ToAcd::Wait {
            contact: ContactId(contact),
            visit: Visit(1),
            tenant: TenantId(tenant),
            queue: QueueId(1),
            class,
            since,
            prefer: None,
        };
        self.waits.insert(contact, wait.clone());
        self.say(wait);
    }

    pub(crate) fn reconfigure(&mut self, setup: Setup) {
        self.acd.reconfigure(self.now, setup);
        self.collect();
    }

    pub(crate) fn waiting(&self, queue: u32) -> Vec<u64> {
        self.acd
            .waiting(QueueId(queue))
            .map(|w| w.contact.0)
            .collect()
    }

    /// Since when whoever waits longest has waited.
    pub(crate) fn oldest(&self, queue: u32) -> Option<Duration> {
        let view = self.acd.queue(QueueId(queue)).expect("a queue");
        assert!(self.acd.queues().any(|of_all| of_all == view));
        view.oldest
    }

    pub(crate) fn messages(&self) -> Vec<FromAcd> {
        let messages = self.outputs.iter().filter_map(|output| match output {
            Output::To(message) => Some(message.clone()),
            Output::Notice(_) => None,
        });
        messages.collect()
    }

    /// Everything said to the calls since the last check.
    pub(crate) fn check(&mut self, expected: &str) {
        let told: Vec<_> = self.messages().iter().map(|m| self.words(m)).collect();
        assert_eq!(told.join("; "), expected);
        self.outputs.clear();
    }

    /// The same without `Standing`.
    pub(crate) fn check_messages(&mut self, expected: &str) {
        self.outputs
            .retain(|o| !matches!(o, Output::To(FromAcd::Standing { .. })));
        let mut told: Vec<_> = self.messages().iter().map(|m| self.words(m)).collect();
        told.dedup();
        assert_eq!(told.join("; "), expected);
        self.outputs.clear();
    }

    /// The offers made or repeated since the last check: number, contact, agent.
    pub(crate) fn check_offers(&mut self, expected: &[(usize, u64, u32)]) {
        let messages = self.messages();
        let offers = messages.iter().filter_map(|message| match message {
            FromAcd::Offer {
                offer,
                contact,
                agent,
                ..
            } => Some((self.number(*offer), contact.0, agent.0)),
            _ => None,
        });
        assert_eq!(offers.collect::<Vec<_>>(), expected);
        self.outputs.clear();
    }

    pub(crate) fn check_state(&self, id: u32, expected: AgentState) {
        let agent = self.acd.agents().find(|a| a.agent.0 == id);
        assert_eq!(agent.map(|a| a.state), Some(expected));
    }

    pub(crate) fn check_outcomes(&self, expected: &[(usize, OfferOutcome)]) {
        assert_eq!(self.outcomes, expected);
    }

    fn words(&self, message: &FromAcd) -> String {
        match message {
            FromAcd::Standing {
                contact,
                position,
                signed_in,
                ..
            } => format!(
                "standing c{} position {position} of {signed_in} signed in",
                contact.0
            ),
            FromAcd::Left { contact, .. } => format!("left c{}", contact.0),
            FromAcd::Offer {
                offer,
                contact,
                agent,
                ..
            } => format!("offer {} c{} a{}", self.number(*offer), contact.0, agent.0),
            FromAcd::Rescind { offer, contact } => {
                format!("rescind {} c{}", self.number(*offer), contact.0)
            }
            FromAcd::Confirm { offer, contact } => {
                format!("confirm {} c{}", self.number(*offer), contact.0)
            }
            FromAcd::Refuse { offer } => format!("refuse {}", self.number(*offer)),
            FromAcd::Finished { offer } => format!("finished {}", self.number(*offer)),
        }
    }
}
