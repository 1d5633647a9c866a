//! Waiting in a queue, and the calls to agents' phones that are made for it.

use std::sync::Arc;
use std::time::Duration;

use acd::{AgentId, Class, FromAcd, OfferId, Refusal, ToAcd, Visit};
use desk::Journey;
use ivr_flows::{Input as FlowInput, PartnerOutcome};

use super::call::user_to_user;
use super::onward::outcome_of;
use super::{
    ACCEPT_EVERY, ACCEPT_MAX, Contact, Cx, MEDIA_OPEN_MAX, Offer, Owing, PROVISIONAL_MAX, Progress,
    Sound, Stage, Stay, TALKING_EVERY, WAIT_EVERY,
};
use crate::input::NoteWhat;

/// Reason header towards a phone whose offer is no longer wanted.
const GONE: &str = "SIP;cause=487;text=\"No longer needed\"";

impl Contact {
    /// The contact begins to wait. False when there is no such queue.
    pub(super) fn enter_queue(
        &mut self,
        name: &Arc<str>,
        class: ivr_flows::Class,
        music: bool,
        owner: bool,
        cx: &mut Cx<'_>,
    ) -> bool {
        let class = match class {
            ivr_flows::Class::CareStopped => Class::CareStopped,
            _ if self.clinical => Class::Clinician,
            ivr_flows::Class::Clinician => Class::Clinician,
            ivr_flows::Class::Staff => Class::Staff,
            ivr_flows::Class::Patient => Class::Patient,
        };
        let found = self.found.filter(|_| owner);
        let prefer = found.and_then(|found| Some(AgentId(found.owner?.0)));
        // The team of whoever had it last, if it is there for this hospital still.
        let team = found.and_then(|found| found.queue).and_then(|team| {
            let mut queues = cx.setup.queues.iter();
            let team =
                queues.find(|((tenant, _), queue)| *tenant == self.tenant && queue.id.0 == team.0);
            team.map(|((_, name), _)| Arc::clone(name))
        });
        let name = team.as_ref().unwrap_or(name);
        self.line_up(name, class, music, prefer, cx)
    }

    /// The same, the class decided.
    pub(super) fn queue_up(
        &mut self,
        name: &Arc<str>,
        class: Class,
        music: bool,
        cx: &mut Cx<'_>,
    ) -> bool {
        self.line_up(name, class, music, None, cx)
    }

    pub(super) fn line_up(
        &mut self,
        name: &Arc<str>,
        class: Class,
        music: bool,
        prefer: Option<AgentId>,
        cx: &mut Cx<'_>,
    ) -> bool {
        let Some(queue) = cx.setup.queues.get(&(self.tenant, Arc::clone(name))) else {
            return false;
        };
        let queue = queue.id;
        if matches!(self.stage, Stage::Queue(_) | Stage::Offer(..)) {
            self.leave_queue(Some(Journey::FlowOut), cx);
        }
        self.came = Some((Arc::clone(name), class));
        self.visits += 1;
        let since = *self.waiting_since.get_or_insert(cx.now.mono);
        let stay = Stay {
            visit: Visit(self.visits),
            queue,
            name: Arc::clone(name),
            class,
            since,
            music,
            prefer,
            sent_on: false,
            announce_at: cx.now.mono + WAIT_EVERY,
        };
        self.announce_wait(&stay, cx);
        self.journey(
            cx,
            Journey::Queued {
                queue: desk::QueueId(queue.0),
            },
        );
        self.note(cx, NoteWhat::Queued(Arc::clone(name)));
        self.stage = Stage::Queue(stay);
        if self.sound == Sound::Nothing {
            self.rest_sound(cx);
        }
        true
    }

    fn announce_wait(&self, stay: &Stay, cx: &mut Cx<'_>) {
        cx.acd(ToAcd::Wait {
            contact: acd::ContactId(self.id.0),
            visit: stay.visit,
            tenant: acd::TenantId(self.tenant.0),
            queue: stay.queue,
            class: stay.class,
            since: stay.since,
            prefer: stay.prefer,
        });
    }

    /// The contact waits no longer and goes back to the flow. `how` is left out
    /// where the end of the whole contact tells it.
    pub(super) fn leave_queue(&mut self, how: Option<Journey>, cx: &mut Cx<'_>) {
        let (visit, offer) = match std::mem::replace(&mut self.stage, Stage::Flow) {
            Stage::Queue(stay) => (stay.visit, None),
            Stage::Offer(stay, offer) => (stay.visit, Some(offer)),
            other => {
                self.stage = other;
                return;
            }
        };
        if let Some(offer) = offer {
            self.withdraw(*offer, Refusal::ContactGone, Some(GONE), cx);
        }
        self.owe(cx, Owing::Leave(visit));
        if let Some(how) = how {
            self.journey(cx, how);
        }
        match self.sound {
            Sound::Music | Sound::Early => self.rest_sound(cx),
            // The prompt under way replaces the music when it is ready; until
            // then the music may go on, but it doesn't come back after it.
            Sound::Rendering { .. } | Sound::Prompt { .. } | Sound::Nothing | Sound::Bridged => {}
        }
    }

    /// The distributor says something about this contact.
    pub(crate) fn acd_says(&mut self, message: FromAcd, cx: &mut Cx<'_>) {
        match message {
            FromAcd::Standing {
                visit,
                position,
                signed_in,
                ..
            } => {
                let (here, sent_on) = match &self.stage {
                    Stage::Queue(stay) => (stay.visit == visit, stay.sent_on),
                    _ => (false, false),
                };
                if here && sent_on {
                    if signed_in == 0 {
                        self.leave_queue(Some(Journey::FlowOut), cx);
                        if self.session.is_calling() {
                            self.not_reached(PartnerOutcome::NoAnswer, cx);
                            self.carry_out(cx);
                        } else {
                            self.back_to_flow(cx);
                        }
                    }
                } else if here && !self.has_nobody() {
                    self.session.handle(
                        cx.now.mono,
                        FlowInput::QueuePosition {
                            position,
                            signed_in: signed_in > 0,
                        },
                    );
                    self.carry_out(cx);
                }
            }
            FromAcd::Left { visit, .. } => {
                self.settle(|owing| matches!(owing, Owing::Leave(v) if v <= visit));
            }
            FromAcd::Offer {
                offer,
                visit,
                agent,
                until,
                ..
            } => self.offered(offer, visit, agent, until, cx),
            FromAcd::Rescind { offer, .. } => self.rescinded(offer, cx),
            FromAcd::Confirm { offer, .. } => self.offer_confirmed(offer, cx),
            FromAcd::Refuse { offer } => {
                if self.is_offered(offer) {
                    self.give_up_offer(Refusal::Rescinded, Some(GONE), cx);
                }
            }
            FromAcd::Finished { offer } => {
                self.settle(|owing| match owing {
                    Owing::Finish(over) | Owing::Decline(over, _) => over == offer,
                    Owing::Leave(_) => false,
                });
                if !self.is_talking(offer) && !self.is_offered(offer) {
                    cx.index.offers.remove(&offer);
                }
            }
        }
    }

    fn is_offered(&self, id: OfferId) -> bool {
        matches!(&self.stage, Stage::Offer(_, offer) if offer.id == id)
    }

    /// An agent is reserved for this contact.
    fn offered(
        &mut self,
        id: OfferId,
        visit: Visit,
        agent: AgentId,
        until: Duration,
        cx: &mut Cx<'_>,
    ) {
        let given_up = self.owed.iter().find_map(|owed| match owed.what {
            Owing::Decline(over, why) if over == id => Some(why),
            _ => None,
        });
        if let Some(why) = given_up {
            return cx.acd(ToAcd::Decline { offer: id, why });
        }
        match &self.stage {
            Stage::Queue(stay) if stay.visit == visit => {}
            Stage::Offer(_, offer) if offer.id == id => {
                return match offer.call.progress {
                    Progress::Accepting { .. } => cx.acd(ToAcd::Accept { offer: id }),
                    _ => cx.acd(ToAcd::Ringing { offer: id }),
                };
            }
            // A later offer of the same stay: the distributor has forgotten
            // the earlier one. Unless somebody has answered it already.
            Stage::Offer(stay, offer)
                if stay.visit == visit
                    && !matches!(offer.call.progress, Progress::Accepting { .. }) =>
            {
                self.give_up_offer(Refusal::NoAnswer, Some(GONE), cx);
            }
            _ if self.is_talking(id) => {
                return cx.acd(ToAcd::Accept { offer: id });
            }
            _ => {
                return cx.acd(ToAcd::Decline {
                    offer: id,
                    why: Refusal::ContactGone,
                });
            }
        }
        let Stage::Queue(stay) = &self.stage else {
            return;
        };
        if cx.index.direct.contains_key(&agent) {
            // A colleague is calling them. The distributor is about to hear of
            // it, and takes the offer back.
            return;
        }
        if cx.now.mono >= until {
            // The message was late: nobody's phone rings for nothing.
            cx.index.offers.insert(id, self.id);
            return self.owe(cx, Owing::Decline(id, Refusal::NoAnswer));
        }
        let untried = cx.phones.targets(agent);
        let Some(target) = untried.last() else {
            cx.index.offers.insert(id, self.id);
            return self.owe(cx, Owing::Decline(id, Refusal::Unreachable));
        };
        let stay = stay.clone();
        let call = self.new_call(target.peer, cx);
        cx.index.offers.insert(id, self.id);
        cx.acd(ToAcd::Ringing { offer: id });
        self.stage = Stage::Offer(
            stay,
            Box::new(Offer {
                id,
                agent,
                until,
                call,
                untried,
                direct: None,
            }),
        );
        let agent = desk::AgentId(agent.0);
        self.journey(cx, Journey::Offered { agent });
        self.note(cx, NoteWhat::Offered(id, agent));
    }

    /// Calls the best registered contact of the agent that wasn't tried yet.
    pub(super) fn call_next_phone(&mut self, cx: &mut Cx<'_>) {
        let Stage::Offer(stay, offer) = &mut self.stage else {
            return;
        };
        let queue = Arc::clone(&stay.name);
        let own = cx.phones.encryption_of(offer.agent, cx.setup);
        let mut untried = std::mem::take(&mut offer.untried);
        let chosen = self.choose(own, || Some((untried.pop()?, ())), cx);
        if let Stage::Offer(_, offer) = &mut self.stage {
            offer.untried = untried;
        }
        let from = self.shown_to_agent(cx);
        let invite = chosen
            .and_then(|(target, (), encryption)| self.invitation(target, encryption, from, cx));
        let Some(mut invite) = invite else {
            return self.give_up_offer(Refusal::Unreachable, None, cx);
        };
        let mut header = |name: &str, value: String| invite.headers.push((name.into(), value));
        if !queue.is_empty() {
            header("X-Careline-Queue", queue.to_string());
        }
        for (name, value) in &self.carried {
            header(name, value.clone());
        }
        if let Some(by) = &self.referred_by {
            header("Referred-By", by.clone());
        }
        if let Some(ticket) = self.ticket() {
            header("User-to-User", user_to_user(ticket));
            header("X-Careline-Ticket", ticket.to_owned());
        }
        self.invite(invite, cx.now.mono + PROVISIONAL_MAX, cx);
    }

    /// The agent answered: asked is now the distributor.
    pub(super) fn agent_answered(&mut self, leg: sip::LegId, cx: &mut Cx<'_>) {
        let Stage::Offer(_, offer) = &mut self.stage else {
            return;
        };
        if !offer.call.is_usable() {
            let reason = Some("SIP;cause=488;text=\"No common audio\"");
            return self.give_up_offer(Refusal::Unreachable, reason, cx);
        }
        let (id, direct) = (offer.id, offer.direct.is_some());
        offer.call.progress = Progress::Accepting {
            leg,
            since: cx.now.mono,
            repeat_at: cx.now.mono + ACCEPT_EVERY,
        };
        if direct {
            // Nobody else has a say in it.
            self.offer_confirmed(id, cx);
        } else {
            cx.acd(ToAcd::Accept { offer: id });
        }
    }

    /// The agent's phone refused, or its leg ended before the two talked.
    pub(super) fn phone_failed(&mut self, why: Refusal, cx: &mut Cx<'_>) {
        let Stage::Offer(_, offer) = &mut self.stage else {
            return;
        };
        if let Some(leg) = offer.call.progress.leg() {
            cx.index.legs.remove(&leg);
        }
        let try_next = why == Refusal::Unreachable && !offer.untried.is_empty();
        if try_next {
            offer.call.anew(cx);
            self.call_next_phone(cx);
        } else {
            self.give_up_offer(why, None, cx);
        }
    }

    fn rescinded(&mut self, id: OfferId, cx: &mut Cx<'_>) {
        match &self.stage {
            Stage::Offer(_, offer) if offer.id == id => {
                self.give_up_offer(Refusal::Rescinded, Some(GONE), cx);
            }
            // The two talk: the distributor is told so again.
            _ if self.is_talking(id) => self.announce_talk(cx),
            _ => cx.acd(ToAcd::Decline {
                offer: id,
                why: Refusal::Rescinded,
            }),
        }
    }

    /// The offer comes to nothing; the contact keeps its place.
    pub(super) fn give_up_offer(&mut self, why: Refusal, reason: Option<&str>, cx: &mut Cx<'_>) {
        let Stage::Offer(stay, offer) = std::mem::replace(&mut self.stage, Stage::Flow) else {
            return;
        };
        let direct = offer.direct.is_some();
        if !direct {
            self.stage = Stage::Queue(stay);
        }
        self.withdraw(*offer, why, reason, cx);
        self.note(cx, NoteWhat::OfferFailed(why));
        if direct && self.session.is_calling() {
            self.not_reached(outcome_of(why), cx);
            self.carry_out(cx);
        } else if direct {
            self.direct_failed(cx);
        }
    }

    /// Stops calling the phone and tells the distributor.
    pub(super) fn withdraw(
        &mut self,
        offer: Offer,
        why: Refusal,
        reason: Option<&str>,
        cx: &mut Cx<'_>,
    ) {
        offer.call.end(reason, cx);
        let Some(direct) = offer.direct else {
            return self.owe(cx, Owing::Decline(offer.id, why));
        };
        cx.index.direct_over(offer.id);
        self.owe(cx, Owing::Finish(offer.id));
        let code = match why {
            Refusal::Declined => 486,
            Refusal::ContactGone | Refusal::Rescinded => 487,
            Refusal::NoAnswer | Refusal::Unreachable => 480,
        };
        self.tell_transferor(direct.told, code, cx);
    }

    pub(super) fn wait_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if let Stage::Offer(stay, offer) = &mut self.stage
            && offer.direct.is_some()
        {
            if now >= stay.announce_at {
                stay.announce_at = now + TALKING_EVERY;
                self.announce_direct(cx);
            }
        } else if let Stage::Queue(stay) | Stage::Offer(stay, _) = &mut self.stage
            && now >= stay.announce_at
        {
            stay.announce_at = now + WAIT_EVERY;
            let stay = stay.clone();
            self.announce_wait(&stay, cx);
        }
        let Stage::Offer(_, offer) = &mut self.stage else {
            return;
        };
        let id = offer.id;
        match &mut offer.call.progress {
            Progress::Accepting {
                since, repeat_at, ..
            } => {
                if now >= *since + ACCEPT_MAX {
                    self.give_up_offer(Refusal::Unreachable, Some(GONE), cx);
                } else if now >= *repeat_at {
                    *repeat_at = now + ACCEPT_EVERY;
                    cx.acd(ToAcd::Accept { offer: id });
                }
            }
            _ if now >= offer.until => {
                self.give_up_offer(Refusal::NoAnswer, Some(GONE), cx);
            }
            Progress::Opening { since } if now >= *since + MEDIA_OPEN_MAX => {
                self.give_up_offer(Refusal::Unreachable, None, cx);
            }
            Progress::Calling { leg, until } if now >= *until => {
                let leg = *leg;
                cx.index.legs.remove(&leg);
                cx.sip.hangup(now, leg, None);
                self.phone_failed(Refusal::Unreachable, cx);
            }
            _ => {}
        }
    }
}

/// What a phone's final answer says about the agent.
pub(super) fn refusal_of(code: u16) -> Refusal {
    match code {
        486 | 600 | 603 => Refusal::Declined,
        487 => Refusal::NoAnswer,
        _ => Refusal::Unreachable,
    }
}
