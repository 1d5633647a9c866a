//! Offers: made, rung, answered, taken back.

use std::time::Duration;

use crate::agents::Duty;
use crate::contacts::{Contact, Stay, Turn};
use crate::order::{Lane, Place};
use crate::timers::{Lease, Timer};
use crate::{
    Acd, AgentId, ContactId, FromAcd, Notice, OfferId, OfferOutcome, Refusal, TenantId, Visit,
};

/// Between repetitions of what isn't acknowledged.
const REPEAT_EVERY: Duration = Duration::from_millis(500);
/// So an offer that nobody takes notice of lives for 3 s.
const OFFER_REPEATS: u8 = 5;
/// So an agent whose offer was taken back is held for 2 s at most.
const RESCIND_REPEATS: u8 = 3;
/// How long after the end of ringing an answer still counts: the way of the
/// messages, with one of them lost.
const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// Ids are exact in a JSON number and in a signed 64-bit column.
const OFFER_ID_BITS: u64 = (1 << 52) - 1;

#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) tenant: TenantId,
    pub(crate) contact: ContactId,
    pub(crate) visit: Visit,
    pub(crate) agent: AgentId,
    pub(crate) phase: Phase,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// Live: the agent is being rung, as far as we know.
    Live(Live),
    /// Confirmed, or announced as a conversation.
    Talking(Lease),
    /// Taken back; the agent may still be rung.
    Rescinding(Repeat),
}

#[derive(Debug)]
pub(crate) struct Live {
    made_at: Duration,
    until: Duration,
    lane: Lane,
    no_answer_rest: Duration,
    decline_rest: Duration,
    /// `None` once the other side has shown that it knows.
    unheard: Option<Repeat>,
}

#[derive(Debug)]
pub(crate) struct Repeat {
    /// When the valid heap entry fires.
    at: Duration,
    left: u8,
}

/// An offer that is no longer kept, as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing makes it live again.
    Over,
    /// Its conversation wasn't heard of for too long. If it lives after all, it says so.
    Lapsed,
}

/// What becomes of the agent when an offer ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AgentNext {
    /// Free, as before the offer.
    Back,
    /// Free as before, but only once the call's side knows that the offer is
    /// taken back (or 2 s have passed): until then the phone may be ringing.
    Held,
    Rest(Duration),
    WrapUp,
    /// Announced to be in a conversation.
    Talk,
}

/// What becomes of the contact when an offer ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ContactNext {
    /// Waits on at its place.
    Waits,
    /// Waits on at its place once it is heard of.
    Silent,
    /// The caller of `end_offer` takes care of it.
    Gone,
}

impl Acd {
    /// Reserves an agent who is free for a contact in line.
    pub(crate) fn make_offer(&mut self, agent: usize, queue: usize, place: Place) {
        let number = self.first_offer.wrapping_add(self.offers_minted);
        let id = OfferId(number & OFFER_ID_BITS);
        self.offers_minted += 1;

        let queue = &mut self.queues[queue];
        let Some(contact) = self.contacts.get_mut(&place.contact) else {
            return;
        };
        let Stay::Waiting(waiting) = &mut contact.stay else {
            return;
        };
        queue.line.remove(waiting.seat);
        waiting.turn = Turn::Offered(id);
        waiting.prefer = None;
        let until = self.now.saturating_add(queue.setup.ring_for);
        let repeat_at = self.now + REPEAT_EVERY;
        self.timers.set(repeat_at, Timer::Repeat(id));
        self.timers
            .set(until.saturating_add(ANSWER_GRACE), Timer::RingEnd(id));
        let offer = Offer {
            tenant: contact.tenant,
            contact: place.contact,
            visit: contact.visit,
            agent: self.agents[agent].id,
            phase: Phase::Live(Live {
                made_at: self.now,
                until,
                lane: place.lane,
                no_answer_rest: queue.setup.rest_after_no_answer,
                decline_rest: queue.setup.rest_after_decline,
                unheard: Some(Repeat {
                    at: repeat_at,
                    left: OFFER_REPEATS,
                }),
            }),
        };
        self.note(Notice::OfferCreated {
            offer: id,
            tenant: offer.tenant,
            contact: offer.contact,
            agent: offer.agent,
        });
        self.send(offer.message(id, until));
        self.offers.insert(id, offer);
        self.change_agent(agent, |agent| {
            if let Duty::Free { idle } = agent.duty {
                agent.duty = Duty::Offered { offer: id, idle };
            }
        });
    }

    pub(crate) fn ringing(&mut self, id: OfferId) {
        match self.offers.get_mut(&id).map(|offer| &mut offer.phase) {
            Some(Phase::Live(live)) => live.unheard = None,
            Some(Phase::Talking(_)) => {}
            Some(Phase::Rescinding(_)) | None => self.send(FromAcd::Refuse { offer: id }),
        }
    }

    pub(crate) fn accept(&mut self, id: OfferId) {
        match self.offers.get(&id).map(|offer| &offer.phase) {
            Some(Phase::Live(_)) => self.confirm(id),
            Some(Phase::Talking(_)) => {}
            Some(Phase::Rescinding(_)) | None => {
                self.send(FromAcd::Refuse { offer: id });
                return;
            }
        }
        if let Some(offer) = self.offers.get(&id) {
            let contact = offer.contact;
            self.send(FromAcd::Confirm { offer: id, contact });
        }
    }

    pub(crate) fn decline(&mut self, id: OfferId, why: Refusal) {
        match self.offers.get(&id).map(|offer| &offer.phase) {
            Some(Phase::Live(live)) => {
                let (no_answer_rest, decline_rest) = (live.no_answer_rest, live.decline_rest);
                let (outcome, agent_next, contact_next) = match why {
                    Refusal::NoAnswer => (
                        OfferOutcome::TimedOut,
                        AgentNext::Rest(no_answer_rest),
                        ContactNext::Waits,
                    ),
                    Refusal::Unreachable => (
                        OfferOutcome::Declined,
                        AgentNext::Rest(no_answer_rest),
                        ContactNext::Waits,
                    ),
                    Refusal::Declined => (
                        OfferOutcome::Declined,
                        AgentNext::Rest(decline_rest),
                        ContactNext::Waits,
                    ),
                    Refusal::ContactGone => {
                        (OfferOutcome::Rescinded, AgentNext::Back, ContactNext::Gone)
                    }
                    Refusal::Rescinded => {
                        (OfferOutcome::Rescinded, AgentNext::Back, ContactNext::Waits)
                    }
                };
                let gone = self.offers.get(&id).map(|o| (o.contact, o.visit));
                let rescind = false;
                self.end_offer(id, outcome, agent_next, contact_next, rescind);
                if let (ContactNext::Gone, Some((contact, visit))) = (contact_next, gone) {
                    self.remember_gone(contact, visit);
                    self.drop_waiting(contact);
                }
            }
            Some(Phase::Rescinding(_)) => self.end_rescinding(id),
            // Answered, and gone before it was bridged: by the book that is a
            // `Finish`. Taken as said: the contact may wait on in this stay.
            Some(Phase::Talking(_)) => self.undo_conversation(id, why),
            None => {}
        }
        self.send(FromAcd::Finished { offer: id });
    }

    /// Ends a live offer. With `rescind` the other side has to be told.
    pub(crate) fn end_offer(
        &mut self,
        id: OfferId,
        outcome: OfferOutcome,
        agent_next: AgentNext,
        contact_next: ContactNext,
        rescind: bool,
    ) {
        let Some(offer) = self.offers.get_mut(&id) else {
            return;
        };
        let (contact, agent) = (offer.contact, offer.agent);
        let notice = Notice::OfferEnded {
            offer: id,
            tenant: offer.tenant,
            contact,
            agent,
            outcome,
        };
        if rescind {
            let at = self.now + REPEAT_EVERY;
            offer.phase = Phase::Rescinding(Repeat {
                at,
                left: RESCIND_REPEATS,
            });
            self.timers.set(at, Timer::Repeat(id));
            self.send(FromAcd::Rescind { offer: id, contact });
        } else {
            self.offers.remove(&id);
            self.remember_ended(id, Ended::Over);
        }
        self.note(notice);
        match contact_next {
            ContactNext::Waits => self.put_in_line(contact),
            ContactNext::Silent => {
                if let Some(Contact {
                    stay: Stay::Waiting(waiting),
                    ..
                }) = self.contacts.get_mut(&contact)
                {
                    waiting.turn = Turn::Silent;
                }
            }
            ContactNext::Gone => {
                if let Some(Contact {
                    stay: Stay::Waiting(waiting),
                    ..
                }) = self.contacts.get_mut(&contact)
                {
                    // Out of line already; so `drop_waiting` finds nothing to remove.
                    waiting.turn = Turn::Silent;
                }
            }
        }
        self.release_agent(agent, id, agent_next);
    }

    /// Moves an agent on from an offer, if the agent is still reserved for it.
    fn release_agent(&mut self, agent: AgentId, offer: OfferId, next: AgentNext) {
        let Some(&index) = self.agent_index.get(&agent) else {
            return;
        };
        let Duty::Offered { offer: held, idle } = self.agents[index].duty else {
            return;
        };
        if held != offer {
            return;
        }
        let duty = match next {
            AgentNext::Held => return,
            AgentNext::Back => Duty::Free { idle },
            AgentNext::Rest(rest) => self.begin_rest(index, rest),
            AgentNext::WrapUp => {
                // Nobody was talked with.
                self.agents[index].wraps_up = None;
                self.begin_wrap_up(index)
            }
            AgentNext::Talk => Duty::Talking { conversations: 1 },
        };
        self.change_agent(index, |agent| agent.duty = duty);
    }

    /// The call's side knows that the offer is taken back, or has been told often enough.
    pub(crate) fn end_rescinding(&mut self, id: OfferId) {
        if let Some(offer) = self.offers.remove(&id) {
            self.remember_ended(id, Ended::Over);
            self.release_agent(offer.agent, id, AgentNext::Back);
        }
    }

    /// A live offer becomes a conversation.
    pub(crate) fn confirm(&mut self, id: OfferId) {
        let Some(offer) = self.offers.get_mut(&id) else {
            return;
        };
        let Phase::Live(live) = &offer.phase else {
            return;
        };
        let lane = live.lane;
        offer.phase = Phase::Talking(Lease::new(
            self.now + crate::talk::TALK_LEASE,
            Timer::TalkLease(id),
            &mut self.timers,
        ));
        let (contact, agent) = (offer.contact, offer.agent);
        let notice = Notice::OfferEnded {
            offer: id,
            tenant: offer.tenant,
            contact,
            agent,
            outcome: OfferOutcome::Accepted,
        };
        if let Some(contact) = self.contacts.get_mut(&contact) {
            contact.stay = Stay::Answered { offer: id };
            self.waiting -= 1;
        }
        self.note(notice);
        self.release_agent(agent, id, AgentNext::Talk);
        if let Some(&index) = self.agent_index.get(&agent) {
            let row = &mut self.agents[index].clinicians_in_a_row;
            match lane {
                Lane::Care => {}
                Lane::Clinical => *row = row.saturating_add(1),
                Lane::General => *row = 0,
            }
        }
    }

    pub(crate) fn remember_ended(&mut self, id: OfferId, how: Ended) {
        let until = self.now.saturating_add(self.limits.remembered_for);
        self.ended
            .insert(id, how, until, self.limits.remembered_max);
    }

    pub(crate) fn repeat_fired(&mut self, at: Duration, id: OfferId) {
        let Some(offer) = self.offers.get_mut(&id) else {
            return;
        };
        let repeat = match &mut offer.phase {
            Phase::Live(Live {
                unheard: Some(repeat),
                ..
            })
            | Phase::Rescinding(repeat) => repeat,
            Phase::Live(_) | Phase::Talking(_) => return,
        };
        if repeat.at != at {
            return;
        }
        if repeat.left > 0 {
            repeat.left -= 1;
            repeat.at = self.now + REPEAT_EVERY;
            self.timers.set(repeat.at, Timer::Repeat(id));
            let message = match &offer.phase {
                Phase::Live(live) => offer.message(id, live.until),
                Phase::Rescinding(_) | Phase::Talking(_) => FromAcd::Rescind {
                    offer: id,
                    contact: offer.contact,
                },
            };
            self.send(message);
        } else if matches!(offer.phase, Phase::Rescinding(_)) {
            self.end_rescinding(id);
        } else {
            self.give_up(id);
        }
    }

    pub(crate) fn ring_end_fired(&mut self, id: OfferId) {
        let Some(Offer {
            phase: Phase::Live(live),
            ..
        }) = self.offers.get(&id)
        else {
            return;
        };
        if live.unheard.is_some() {
            self.give_up(id);
            return;
        }
        // Rung, and then nothing more was heard: the decline was lost, or the
        // call's side with it.
        let rest = AgentNext::Rest(live.no_answer_rest);
        let rescind = true;
        self.end_offer(
            id,
            OfferOutcome::TimedOut,
            rest,
            ContactNext::Waits,
            rescind,
        );
    }

    /// Nobody has taken notice of an offer: no fault of the agent.
    fn give_up(&mut self, id: OfferId) {
        let Some(offer) = self.offers.get(&id) else {
            return;
        };
        let Phase::Live(live) = &offer.phase else {
            return;
        };
        let heard = self.contacts.get(&offer.contact).is_some_and(
            |contact| matches!(&contact.stay, Stay::Waiting(w) if w.heard_at > live.made_at),
        );
        let contact_next = if heard {
            ContactNext::Waits
        } else {
            ContactNext::Silent
        };
        let rescind = true;
        self.end_offer(
            id,
            OfferOutcome::Rescinded,
            AgentNext::Held,
            contact_next,
            rescind,
        );
    }
}

impl Offer {
    fn message(&self, offer: OfferId, until: Duration) -> FromAcd {
        FromAcd::Offer {
            offer,
            contact: self.contact,
            visit: self.visit,
            agent: self.agent,
            until,
        }
    }
}
