//! Agents coming, going, and pausing.

use std::time::Duration;

use crate::agents::{Duty, Idle, Phone};
use crate::offers::{AgentNext, ContactNext, Phase};
use crate::timers::{Lease, Timer};
use crate::{Acd, AgentId, OfferOutcome};

impl Acd {
    pub(crate) fn sign_in(&mut self, id: AgentId, at: Duration, until: Duration) {
        // A sender whose clock runs ahead doesn't silence later ones for long.
        let at = at.min(self.now);
        let Some(&index) = self.agent_index.get(&id) else {
            return;
        };
        let agent = &mut self.agents[index];
        if at < agent.heard_at {
            return;
        }
        agent.heard_at = at;
        if until <= self.now {
            self.phone_is_gone(index);
            return;
        }
        let timer = Timer::Registration(id);
        if let Phone::Registered(lease) = &mut agent.phone {
            lease.renew(until, timer, &mut self.timers);
            return;
        }
        let lease = Lease::new(until, timer, &mut self.timers);
        // Who comes back is there again: that ends a rest. And nobody is idle
        // longer than present.
        let duty = match agent.duty {
            Duty::Free { .. } | Duty::Resting { .. } => self.begin_idle(index),
            duty @ (Duty::Offered { .. } | Duty::Talking { .. } | Duty::WrapUp { .. }) => duty,
        };
        self.change_agent(index, |agent| {
            agent.phone = Phone::Registered(lease);
            agent.duty = duty;
        });
    }

    pub(crate) fn sign_out(&mut self, id: AgentId, at: Duration) {
        let at = at.min(self.now);
        let Some(&index) = self.agent_index.get(&id) else {
            return;
        };
        if at < self.agents[index].heard_at {
            return;
        }
        self.agents[index].heard_at = at;
        self.phone_is_gone(index);
    }

    pub(crate) fn registration_fired(&mut self, at: Duration, id: AgentId) {
        let Some(&index) = self.agent_index.get(&id) else {
            return;
        };
        if let Phone::Registered(lease) = &mut self.agents[index].phone
            && lease.is_over(at, self.now, Timer::Registration(id), &mut self.timers)
        {
            self.phone_is_gone(index);
        }
    }

    /// The phone can't be rung any more. A conversation goes on.
    pub(crate) fn phone_is_gone(&mut self, index: usize) {
        if !self.agents[index].is_signed_in() {
            return;
        }
        self.change_agent(index, |agent| agent.phone = Phone::Out);
        self.withdraw_offer(index);
    }

    /// Takes an agent's live offer back, so that the contact goes to the next agent.
    fn withdraw_offer(&mut self, index: usize) {
        if let Some(id) = self.agents[index].live_offer()
            && let Some(offer) = self.offers.get(&id)
            && matches!(offer.phase, Phase::Live(_))
        {
            let rescind = true;
            self.end_offer(
                id,
                OfferOutcome::Declined,
                AgentNext::Held,
                ContactNext::Waits,
                rescind,
            );
        }
    }

    pub(crate) fn pause_fired(&mut self, id: AgentId) {
        let Some(&index) = self.agent_index.get(&id) else {
            return;
        };
        // An entry of an earlier pause: this one's comes later.
        let (Duty::WrapUp { until } | Duty::Resting { until, .. }) = self.agents[index].duty else {
            return;
        };
        if until <= self.now {
            let duty = self.begin_idle(index);
            self.change_agent(index, |agent| agent.duty = duty);
        }
    }

    pub(crate) fn begin_idle(&mut self, _index: usize) -> Duty {
        self.freed += 1;
        Duty::Free {
            idle: Idle {
                since: self.now,
                order: self.freed,
            },
        }
    }

    /// After a conversation; [`crate::agents::Agent::wraps_up`] says with whom.
    pub(crate) fn begin_wrap_up(&mut self, index: usize) -> Duty {
        let agent = &self.agents[index];
        if agent.wrap_up.is_zero() {
            return self.begin_idle(index);
        }
        let until = self.now.saturating_add(agent.wrap_up);
        self.timers.set(until, Timer::Pause(agent.id));
        Duty::WrapUp { until }
    }

    pub(crate) fn begin_rest(&mut self, index: usize, rest: Duration) -> Duty {
        if rest.is_zero() {
            return self.begin_idle(index);
        }
        let id = self.agents[index].id;
        let until = self.now.saturating_add(rest);
        self.timers.set(until, Timer::Pause(id));
        let breath = self.now.saturating_add(self.rules.breath);
        if breath < until {
            self.timers.set(breath, Timer::Breath(id));
        }
        Duty::Resting {
            since: self.now,
            until,
        }
    }
}
