//! Conversations: a lease each, announced again and again by the calls.

use std::time::Duration;

use crate::agents::Duty;
use crate::contacts::{Contact, Stay};
use crate::offers::{AgentNext, ContactNext, Ended, Offer, Phase};
use crate::timers::{Lease, Timer};
use crate::{Acd, AgentId, ContactId, FromAcd, OfferId, OfferOutcome, Refusal, TenantId, Visit};

/// How long a conversation is believed to last without being heard of.
pub(crate) const TALK_LEASE: Duration = Duration::from_secs(30);

impl Acd {
    pub(crate) fn talking(
        &mut self,
        id: OfferId,
        tenant: TenantId,
        contact: ContactId,
        visit: Visit,
        agent: AgentId,
    ) {
        match self.offers.get_mut(&id).map(|offer| &mut offer.phase) {
            Some(Phase::Talking(lease)) => {
                let until = self.now + TALK_LEASE;
                lease.renew(until, Timer::TalkLease(id), &mut self.timers);
            }
            // Nothing is bridged before it is confirmed; yet if they talk, they talk.
            Some(Phase::Live(_)) => self.confirm(id),
            Some(Phase::Rescinding(_)) => {}
            None if self.ended.get(id) == Some(Ended::Over) => {}
            None => self.adopt(id, tenant, contact, visit, agent),
        }
    }

    /// A conversation of which nothing is known (any more): made by an earlier
    /// life of this distributor, or not heard of for too long.
    fn adopt(
        &mut self,
        id: OfferId,
        tenant: TenantId,
        contact: ContactId,
        visit: Visit,
        agent: AgentId,
    ) {
        if self.offers.len() >= self.limits.offers_max {
            return;
        }
        match self.contacts.get(&contact) {
            // Late: the contact does something else by now.
            Some(known) if known.visit > visit => return,
            Some(Contact {
                visit: known,
                stay: Stay::Answered { .. },
                ..
            }) if *known == visit => return,
            // Its `Wait` was late, or an earlier stay's end was lost.
            Some(_) => self.end_stay(contact, AgentNext::Held),
            None => {}
        }
        self.ended.remove(id);
        self.contacts.insert(
            contact,
            Contact {
                visit,
                tenant,
                stay: Stay::Answered { offer: id },
            },
        );
        let timer = Timer::TalkLease(id);
        let lease = Lease::new(self.now + TALK_LEASE, timer, &mut self.timers);
        let offer = Offer {
            tenant,
            contact,
            visit,
            agent,
            phase: Phase::Talking(lease),
        };
        self.offers.insert(id, offer);
        let Some(&index) = self.agent_index.get(&agent) else {
            return;
        };
        // Whoever talks can't be rung.
        if let Some(rung) = self.agents[index].live_offer()
            && let Some(offer) = self.offers.get(&rung)
            && matches!(offer.phase, Phase::Live(_))
        {
            let rescind = true;
            self.end_offer(
                rung,
                OfferOutcome::Rescinded,
                AgentNext::Held,
                ContactNext::Waits,
                rescind,
            );
        }
        self.change_agent(index, |agent| {
            let before = match agent.duty {
                Duty::Talking { conversations } => conversations,
                _ => 0,
            };
            agent.duty = Duty::Talking {
                conversations: before + 1,
            };
        });
    }

    pub(crate) fn finish(&mut self, id: OfferId) {
        match self.offers.get(&id).map(|offer| &offer.phase) {
            Some(Phase::Talking(_)) => self.end_conversation(id),
            // Answered and over before the acceptance came. Whether the contact
            // waits on it says itself.
            Some(Phase::Live(_)) => {
                let rescind = false;
                self.end_offer(
                    id,
                    OfferOutcome::Declined,
                    AgentNext::WrapUp,
                    ContactNext::Waits,
                    rescind,
                );
            }
            Some(Phase::Rescinding(_)) => self.end_rescinding(id),
            // So that a late `Talking` doesn't bring it back.
            None => self.remember_ended(id, Ended::Over),
        }
        self.send(FromAcd::Finished { offer: id });
    }

    /// Ends a conversation as it should end: the stay is over, wrap-up begins.
    pub(crate) fn end_conversation(&mut self, id: OfferId) {
        let Some(offer) = self.take_conversation(id, Ended::Over) else {
            return;
        };
        self.remember_gone(offer.contact, offer.visit);
        self.leave_conversation(offer.agent, |acd, index| {
            acd.agents[index].wraps_up = Some((offer.tenant, offer.contact));
            acd.begin_wrap_up(index)
        });
    }

    /// It never came to a conversation: forgets the stay, so that it may go on.
    pub(crate) fn undo_conversation(&mut self, id: OfferId, why: Refusal) {
        let Some(offer) = self.take_conversation(id, Ended::Over) else {
            return;
        };
        if why == Refusal::ContactGone {
            self.remember_gone(offer.contact, offer.visit);
        }
        self.leave_conversation(offer.agent, |acd, index| acd.begin_idle(index));
    }

    pub(crate) fn talk_lease_fired(&mut self, at: Duration, id: OfferId) {
        if let Some(Offer {
            phase: Phase::Talking(lease),
            ..
        }) = self.offers.get_mut(&id)
            && lease.is_over(at, self.now, Timer::TalkLease(id), &mut self.timers)
            && let Some(offer) = self.take_conversation(id, Ended::Lapsed)
        {
            self.leave_conversation(offer.agent, |acd, index| acd.begin_idle(index));
        }
    }

    fn take_conversation(&mut self, id: OfferId, how: Ended) -> Option<Offer> {
        let offer = self.offers.remove(&id)?;
        self.remember_ended(id, how);
        if let Some(Contact {
            stay: Stay::Answered { offer: answered },
            ..
        }) = self.contacts.get(&offer.contact)
            && *answered == id
        {
            self.contacts.remove(&offer.contact);
        }
        Some(offer)
    }

    fn leave_conversation(&mut self, agent: AgentId, then: impl FnOnce(&mut Self, usize) -> Duty) {
        let Some(&index) = self.agent_index.get(&agent) else {
            return;
        };
        let Duty::Talking { conversations } = self.agents[index].duty else {
            return;
        };
        let duty = if conversations > 1 {
            Duty::Talking {
                conversations: conversations - 1,
            }
        } else {
            then(self, index)
        };
        self.change_agent(index, |agent| agent.duty = duty);
    }
}
