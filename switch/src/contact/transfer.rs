//! Transfers: blind, to a queue or a colleague; attended, after a consultation.
//! (Where they lead outside, [`super::outside`] makes the call.)
//!
//! The caller is never held by the phone that transfers. From the moment a
//! REFER is accepted they wait with music, in the new queue or for the one
//! phone called, and whatever that phone does next changes nothing for them.
//!
//! A consultation is a contact of its own whose caller is the agent: nobody's
//! journey, so the desk hears nothing of it. Its ticket is the caller's.

use std::time::Duration;

use acd::{AgentId, ToAcd, Visit};
use desk::{ContactId, Escalation, Journey};
use ivr_flows::PartnerOutcome;

use super::{Ask, Contact, Cx, Offer, Sound, Stage, Stay, TALKING_EVERY};
use crate::dial::Destination;
use crate::input::NoteWhat;

/// Said with the BYE to who has transferred.
pub(super) const TRANSFERRED: &str = "SIP;cause=200;text=\"Transferred\"";
/// How long a colleague's phone rings.
const RING_MAX: Duration = Duration::from_secs(25);
/// The same for a flow, whose own time is shorter.
const FLOW_RING_MAX: Duration = Duration::from_secs(180);
/// Offers that the calls make by themselves have this bit, those of the
/// distributor haven't.
pub(super) const DIRECT: u64 = 1 << 52;

/// An agent asks a colleague about a caller, who waits on hold.
#[derive(Debug, Clone)]
pub(crate) struct Consult {
    /// The caller's contact.
    pub(crate) of: ContactId,
    /// Who asks.
    pub(crate) by: AgentId,
    /// Who is asked.
    pub(crate) to: Destination,
    /// The caller's ticket.
    pub(crate) ticket: Option<String>,
    /// Why the caller will be handed over, if that has been said.
    pub(crate) why: Option<Escalation>,
}

/// A phone called without the distributor, which is told that its agent talks.
#[derive(Debug)]
pub(super) struct Direct {
    /// The leg of who transferred, and the REFER whose outcome is awaited.
    pub(super) told: Option<(sip::LegId, sip::RequestId)>,
}

impl Contact {
    /// The agent this contact talks with.
    pub(crate) fn talks_with(&self) -> Option<AgentId> {
        self.talked().map(|(_, agent, _)| agent)
    }

    /// Is this agent's phone called, or taken, by this contact?
    pub(crate) fn engages(&self, agent: AgentId) -> bool {
        let called = match &self.stage {
            Stage::Offer(_, offer) => Some(offer.agent),
            _ => self.talks_with(),
        };
        called == Some(agent) || self.has_taken(agent)
    }

    pub(crate) fn tenant(&self) -> desk::TenantId {
        self.tenant
    }

    /// Whose consultation this is, if it is one.
    pub(crate) fn consult(&self) -> Option<&Consult> {
        self.consult.as_deref()
    }

    /// What an agent's call to a colleague about this caller begins with.
    pub(crate) fn consulted(
        &self,
        by: AgentId,
        to: Destination,
        why: Option<Escalation>,
    ) -> super::Consulting {
        super::Consulting {
            consult: Consult {
                of: self.id,
                by,
                to,
                ticket: self.ticket().map(str::to_owned),
                why,
            },
            caller: self.caller.clone(),
            level: self.showing.level,
            ani: self.ani.clone(),
            carried: self.carried.clone(),
            class: self.came.as_ref().map(|(_, class)| *class),
            secure: self.secure,
            with: self.audio.leg(),
            dnis: self.dnis.clone(),
            line: crate::setup::Line {
                tenant: self.tenant,
                flow: std::sync::Arc::clone(&self.flow),
                clinical: self.clinical,
            },
        }
    }

    /// The ticket that goes along on every leg.
    pub(super) fn ticket(&self) -> Option<&str> {
        match &self.consult {
            Some(consult) => consult.ticket.as_deref(),
            None => self.session.ticket(),
        }
    }

    /// The agent sends the caller on. The destination is allowed.
    pub(crate) fn transfer(
        &mut self,
        refer: sip::RequestId,
        to: &Destination,
        by: &str,
        why: Option<Escalation>,
        cx: &mut Cx<'_>,
    ) {
        let now = cx.now.mono;
        match to {
            Destination::Queue(name) => {
                let key = (self.tenant, std::sync::Arc::clone(name));
                if !cx.setup.queues.contains_key(&key) {
                    return cx.sip.refuse_refer(now, refer, 404);
                }
                cx.sip.accept_refer(now, refer);
                self.referred_by = Some(by.to_owned());
                self.escalates(why, cx);
                let leg = self.let_go(cx);
                self.send_to_queue(name, cx);
                self.tell_transferor(leg.map(|leg| (leg, refer)), 200, cx);
            }
            Destination::Agent(agent) => {
                if self.talks_with() == Some(*agent) || cx.phones.targets(*agent).is_empty() {
                    return cx.sip.refuse_refer(now, refer, 480);
                }
                cx.sip.accept_refer(now, refer);
                self.referred_by = Some(by.to_owned());
                self.escalates(why, cx);
                let told = self.let_transferor_go(refer, cx);
                self.ring_directly(*agent, Direct { told }, RING_MAX, true, cx);
            }
            Destination::Outside { number, trunk } => {
                self.send_out(refer, (number, trunk), by, why, cx);
            }
        }
    }

    /// The agent hands the caller over.
    pub(super) fn escalates(&mut self, why: Option<Escalation>, cx: &mut Cx<'_>) {
        if let Some(agent) = self.talks_with() {
            let by = desk::AgentId(agent.0);
            self.journey(cx, Journey::Escalated { by, why });
        }
    }

    /// The caller waits for somebody else. Whom they talked with is taken until
    /// they have heard how it went: their telephone is.
    pub(super) fn let_transferor_go(
        &mut self,
        refer: sip::RequestId,
        cx: &mut Cx<'_>,
    ) -> Option<(sip::LegId, sip::RequestId)> {
        if let Some(from) = self.talks_with() {
            self.take_agent(from, cx);
        }
        let leg = self.let_go(cx);
        match leg {
            Some(leg) => _ = cx.index.transferors.insert(leg, self.id),
            None => self.free_agent(cx),
        }
        leg.map(|leg| (leg, refer))
    }

    /// Waits in a queue that the flow knows nothing of.
    fn send_to_queue(&mut self, name: &std::sync::Arc<str>, cx: &mut Cx<'_>) {
        let class = self.came.as_ref().map(|(_, class)| *class);
        let class = class.unwrap_or(acd::Class::Staff);
        if self.queue_up(name, class, true, cx)
            && let Stage::Queue(stay) = &mut self.stage
        {
            stay.sent_on = true;
        } else {
            self.back_to_flow(cx);
        }
    }

    /// Where a caller was sent nobody is: the flow has them again, as if the
    /// conversation had broken down. A consultation is over.
    pub(super) fn back_to_flow(&mut self, cx: &mut Cx<'_>) {
        if self.consult.is_some() {
            let reason = Some("SIP;cause=480;text=\"Nobody is there\"");
            return self.hang_up(cx, desk::EndCause::AgentHungUp, reason);
        }
        self.session
            .handle(cx.now.mono, ivr_flows::Input::ConversationBroken);
        self.carry_out(cx);
    }

    /// Who transferred hears how it went, and is let go.
    pub(super) fn tell_transferor(
        &mut self,
        told: Option<(sip::LegId, sip::RequestId)>,
        code: u16,
        cx: &mut Cx<'_>,
    ) {
        if let Some((leg, refer)) = told {
            cx.index.transferors.remove(&leg);
            self.free_agent(cx);
            cx.sip.tell_refer(cx.now.mono, refer, code);
            cx.sip.hangup(cx.now.mono, leg, Some(TRANSFERRED));
        }
    }

    /// Calls one agent's phone, whatever queues they serve, for so long at most.
    pub(super) fn ring_directly(
        &mut self,
        agent: AgentId,
        direct: Direct,
        ring_for: Duration,
        music: bool,
        cx: &mut Cx<'_>,
    ) {
        let untried = cx.phones.targets(agent);
        let Some(peer) = untried.last().map(|target| target.peer) else {
            if self.session.is_calling() {
                return self.not_reached(PartnerOutcome::NoAnswer, cx);
            }
            self.tell_transferor(direct.told, 480, cx);
            return self.back_to_flow(cx);
        };
        let id = cx.direct_offer();
        let now = cx.now.mono;
        self.visits += 1;
        let (name, class) = self
            .came
            .clone()
            .unwrap_or_else(|| ("".into(), acd::Class::Staff));
        let stay = Stay {
            visit: Visit(self.visits),
            queue: acd::QueueId(0),
            name,
            class,
            since: *self.waiting_since.get_or_insert(now),
            music,
            prefer: None,
            sent_on: true,
            announce_at: now + TALKING_EVERY,
        };
        let call = self.new_call(peer, cx);
        cx.index.offers.insert(id, self.id);
        cx.index.direct.insert(agent, id);
        self.stage = Stage::Offer(
            stay,
            Box::new(Offer {
                id,
                agent,
                until: now + ring_for,
                call,
                untried,
                direct: Some(direct),
            }),
        );
        self.announce_direct(cx);
        let agent = desk::AgentId(agent.0);
        self.journey(cx, Journey::Offered { agent });
        self.note(cx, NoteWhat::Offered(id, agent));
        if self.sound == Sound::Nothing {
            self.rest_sound(cx);
        }
    }

    /// Rings the agent to whom the flow sends the caller, or whom this consultation is with. `engaged`: they talk, or are
    /// rung already.
    pub(crate) fn ring_unless(
        &mut self,
        agent: AgentId,
        engaged: bool,
        music: bool,
        cx: &mut Cx<'_>,
    ) {
        let ring = Direct { told: None };
        match (self.consult.is_some(), engaged) {
            (true, false) => self.ring_directly(agent, ring, RING_MAX, music, cx),
            (true, true) => self.back_to_flow(cx),
            (false, _) if !self.session.is_calling() => {}
            (false, false) => {
                self.ring_directly(agent, ring, FLOW_RING_MAX, music, cx);
                self.carry_out(cx);
            }
            (false, true) => {
                self.not_reached(PartnerOutcome::Busy, cx);
                self.carry_out(cx);
            }
        }
    }

    /// Tells the distributor that the agent is taken: nobody else rings there.
    pub(super) fn announce_direct(&self, cx: &mut Cx<'_>) {
        if let Stage::Offer(stay, offer) = &self.stage {
            cx.acd(ToAcd::Talking {
                offer: offer.id,
                tenant: acd::TenantId(self.tenant.0),
                contact: acd::ContactId(self.id.0),
                visit: stay.visit,
                agent: offer.agent,
            });
        }
    }

    /// The phone called directly came to nothing: the caller waits where they
    /// came from, with their time.
    pub(super) fn direct_failed(&mut self, cx: &mut Cx<'_>) {
        match self.came.clone() {
            Some((name, _)) if self.consult.is_none() => self.send_to_queue(&name, cx),
            _ => self.back_to_flow(cx),
        }
    }

    /// The agent is listening: whom they asked for is called.
    pub(super) fn consult_begins(&mut self, to: Destination, cx: &mut Cx<'_>) {
        self.stage = Stage::Flow;
        if let Some(by) = self.consult.as_ref().map(|consult| consult.by) {
            self.take_agent(by, cx);
        }
        match to {
            Destination::Queue(name) => self.send_to_queue(&name, cx),
            // Since they dialled, somebody else may have rung there.
            Destination::Agent(agent) => self.asks = Some(Ask::Ring { agent, music: true }),
            Destination::Outside { number, trunk } => self.ask_outside(&number, &trunk, cx),
        }
    }

    /// The agent hands the caller over to whom they consulted: at once where
    /// the two talk, otherwise the caller waits for them instead.
    pub(crate) fn take_over(
        &mut self,
        refer: sip::RequestId,
        by: &str,
        consult: &mut Contact,
        cx: &mut Cx<'_>,
    ) {
        let now = cx.now.mono;
        let asked = consult.consult();
        let Some((to, why)) = asked.map(|consult| (consult.to.clone(), consult.why)) else {
            return cx.sip.refuse_refer(now, refer, 403);
        };
        if !matches!(consult.stage, Stage::Conversation(_)) {
            consult.hang_up(cx, desk::EndCause::AgentHungUp, Some(TRANSFERRED));
            return self.transfer(refer, &to, by, why, cx);
        }
        // Nothing can go wrong any more, and either leg may have asked.
        cx.sip.accept_refer(now, refer);
        cx.sip.tell_refer(now, refer, 200);
        self.escalates(why, cx);
        let leg = self.take_colleague(consult, cx);
        if let Some(leg) = leg {
            cx.sip.hangup(now, leg, Some(TRANSFERRED));
        }
    }
}
