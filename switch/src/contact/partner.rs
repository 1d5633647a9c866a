//! Calling a partner, and taking the caller back.
//!
//! Careline stays in the path: the caller keeps hearing music until the
//! partner answers, then the two are bridged. A partner who is busy, refuses,
//! or shows no sign of life costs the caller nothing but seconds: the contact
//! is back with the flow, with the time already waited.

use std::sync::Arc;

use desk::{Journey, PartnerId, TakenBack};
use ivr_flows::{Input as FlowInput, PartnerOutcome};

use super::call::{Call, user_to_user};
use super::history;
use super::outside::SentOut;
use super::redirect::Redirected;
use super::{
    Contact, Cx, LegEnd, MEDIA_OPEN_MAX, Other, Outside, Progress, Sound, Stage, TALKING_EVERY,
    Talk, Trunked,
};
use crate::input::NoteWhat;
use crate::phones::{Phones, Target};
use crate::setup::{Gateway, Setup, Trunk, uri_at};
use crate::trunks::refusal::{Patience, Refusal};
use crate::trunks::{Unavailable, Way};

/// Where to call a number by this way; none while nobody is registered there.
/// `route`: as the trunk's registrar, which is its first gateway, wants it (RFC 3608).
pub(crate) fn target_of(
    trunk: &Trunk,
    way: &Way,
    number: &str,
    route: &[String],
    phones: &Phones,
    setup: &Setup,
) -> Option<Target> {
    match (trunk.gateways.get(way.gateway)?, way.peer) {
        (Gateway::Registered { user }, _) => phones.registered(setup, user).pop(),
        (gateway, peer) => Some(Target {
            uri: uri_at(gateway.host()?, peer?, Some(number))?,
            peer: peer?,
            route: match way.gateway {
                0 => route.to_vec(),
                _ => Vec::new(),
            },
            pinned: false,
        }),
    }
}

/// One of a trunk's calls, not made yet.
pub(super) struct Seized {
    pub(super) trunk: Arc<Trunk>,
    /// The best last.
    pub(super) ways: Vec<Way>,
    /// Where the first leads.
    pub(super) peer: sip::Peer,
}

impl Trunked {
    /// Its gateway has shown that it works.
    pub(crate) fn alive(&self, cx: &mut Cx<'_>) {
        if let Some(way) = &self.way {
            cx.trunks.found_alive(&self.trunk.name, way);
        }
    }
}

impl Contact {
    /// The flow hands the caller to a partner.
    pub(super) fn call_partner(&mut self, name: &Arc<str>, music: bool, cx: &mut Cx<'_>) {
        if matches!(self.stage, Stage::Queue(_) | Stage::Offer(..)) {
            self.leave_queue(Some(Journey::FlowOut), cx);
        }
        let key = (self.tenant, Arc::clone(name));
        let partner = cx.setup.partners.get(&key);
        let Some(partner) = partner.filter(|_| matches!(self.stage, Stage::Flow)) else {
            let failed = FlowInput::Partner(PartnerOutcome::Failed);
            return self.session.handle(cx.now.mono, failed);
        };
        let (id, number) = (partner.id, partner.number.clone());
        self.journey(cx, Journey::PartnerCalled { partner: id });
        self.note(cx, NoteWhat::PartnerCalled(Arc::clone(name)));
        // Whatever becomes of it, this is when the wait began.
        self.waiting_since.get_or_insert(cx.now.mono);
        match self.seize(&partner.trunk, &number, cx) {
            Ok(seized) => self.call_by_trunk(id, seized, &number, music, None, cx),
            Err(why) => self.taken_back(id, why, cx),
        }
    }

    /// Takes one of a trunk's calls, for a call to this number.
    pub(super) fn seize(
        &self,
        trunk: &str,
        number: &str,
        cx: &mut Cx<'_>,
    ) -> Result<Seized, TakenBack> {
        let trunk = cx.setup.trunks.get(trunk).ok_or(TakenBack::Failed)?;
        let ways = match cx.trunks.seize(cx.now.mono, trunk) {
            Ok(ways) => ways,
            Err(Unavailable::Full) => return Err(TakenBack::TrunkFull),
            Err(Unavailable::Dead | Unavailable::Unknown) => return Err(TakenBack::Failed),
        };
        // Only to know which of our addresses its audio will reach: the next may be another.
        let mut targets = ways
            .iter()
            .rev()
            .filter_map(|way| target_of(trunk, way, number, &[], cx.phones, cx.setup));
        let Some(Target { peer, .. }) = targets.next() else {
            cx.trunks.release(&trunk.name);
            return Err(TakenBack::Failed);
        };
        Ok(Seized {
            trunk: Arc::clone(trunk),
            ways,
            peer,
        })
    }

    /// Calls a number by what was seized for it, while the caller waits.
    pub(super) fn call_by_trunk(
        &mut self,
        partner: PartnerId,
        seized: Seized,
        number: &str,
        music: bool,
        sent: Option<SentOut>,
        cx: &mut Cx<'_>,
    ) {
        let call = self.new_call(seized.peer, cx);
        let since = *self.waiting_since.get_or_insert(cx.now.mono);
        self.stage = Stage::Outside(Box::new(Outside {
            partner,
            trunked: Trunked {
                trunk: seized.trunk,
                way: None,
            },
            number: number.to_owned(),
            since,
            music,
            call,
            untried: seized.ways,
            sent,
            redirected: Redirected::default(),
            patience: Patience::default(),
            early: false,
        }));
        if self.sound == Sound::Nothing {
            self.rest_sound(cx);
        }
    }

    /// Calls the best gateway that wasn't tried yet, if there is time left.
    pub(super) fn call_next_gateway(&mut self, cx: &mut Cx<'_>) {
        let Stage::Outside(outside) = &mut self.stage else {
            return;
        };
        let Some(until) = outside.patience.calls(cx.now.mono) else {
            return self.give_up_partner(TakenBack::Failed, cx);
        };
        let trunk = Arc::clone(&outside.trunked.trunk);
        // Who it is for stays the same when it is sent on (RFC 3261 section 8.1.3.4).
        let (asked_for, number) = (outside.number.clone(), outside.dialled().to_owned());
        let mut untried = std::mem::take(&mut outside.untried);
        let (phones, setup) = (cx.phones, cx.setup);
        let route = cx.trunks.registered().route(&trunk.name).to_vec();
        let ways = || loop {
            let way = untried.pop()?;
            if let Some(target) = target_of(&trunk, &way, &number, &route, phones, setup) {
                return Some((target, way));
            }
        };
        let chosen = self.choose(trunk.encryption, ways, cx);
        // The partner sees whose line was called, and the number if it wasn't withheld. Never a name.
        // Who is asked outside about a caller sees the hospital alone.
        let caller = match self.consult {
            Some(_) => Some(self.dnis.0.clone()),
            None => self.ani.as_ref().map(|ani| ani.0.clone()),
        };
        let hospital = cx.setup.tenants.get(&self.tenant);
        let from = sip::Identity {
            display: hospital.map(|tenant| tenant.name.to_string()),
            user: caller.clone().unwrap_or_else(|| "anonymous".into()),
            host: None,
        };
        let mut ours = String::new();
        let invite = chosen.and_then(|(target, way, encryption)| {
            ours = cx.setup.host_towards(target.peer);
            if let Stage::Outside(outside) = &mut self.stage {
                outside.untried = untried;
                outside.redirected.calls(&number, &way);
                outside.trunked.way = Some(way);
            }
            self.invitation(target, encryption, from, cx)
        });
        let Some(mut invite) = invite else {
            return self.partner_failed(TakenBack::Failed, cx);
        };
        let to = format!("sip:{asked_for}@{}", invite.target.host_str());
        invite.to = sip::Uri::parse(&to).ok();
        invite.credentials = trunk.credentials.clone();
        let mut header = |name: &str, value: String| invite.headers.push((name.into(), value));
        match &caller {
            Some(number) if trunk.trusted => {
                header("P-Asserted-Identity", format!("<sip:{number}@{ours}>"));
            }
            Some(_) => {}
            None => header("Privacy", "id".into()),
        }
        // RFC 5806: who sent the call on, then which of our numbers the caller dialled.
        if let Stage::Outside(outside) = &self.stage {
            for diversion in outside.redirected.diversions() {
                header("Diversion", diversion.clone());
            }
        }
        let dnis = &self.dnis.0;
        if self.consult.is_none() {
            header(
                "Diversion",
                format!("<sip:{dnis}@{ours}>;reason=unconditional;counter=1"),
            );
        }
        // A trunk outside the trust domain learns no more than it must.
        for (name, value) in &self.carried {
            if (trunk.trusted && self.consult.is_none()) || name == "Session-ID" {
                header(name, value.clone());
            }
        }
        if trunk.trusted && self.consult.is_none() {
            let before = self.carried.iter();
            let before = before.filter(|(name, _)| name == "History-Info");
            let before = before.map(|(_, value)| value.as_str());
            for entry in history::entries(before, dnis, &ours, &to) {
                header("History-Info", entry);
            }
        }
        if let Some(by) = self.referred_by.as_ref().filter(|_| trunk.trusted) {
            header("Referred-By", by.clone());
        }
        if let Some(ticket) = self.ticket() {
            header("User-to-User", user_to_user(ticket));
            if trunk.trusted {
                header("X-Careline-Ticket", ticket.to_owned());
            }
        }
        self.invite(invite, until, cx);
    }

    /// The partner answered: the two are joined.
    pub(super) fn partner_answered(&mut self, leg: sip::LegId, cx: &mut Cx<'_>) {
        if !self.call().is_some_and(Call::is_usable) {
            return self.give_up_partner(TakenBack::Failed, cx);
        }
        let Stage::Outside(outside) = std::mem::replace(&mut self.stage, Stage::Flow) else {
            return;
        };
        let Outside {
            partner,
            trunked,
            call,
            sent,
            ..
        } = *outside;
        trunked.alive(cx);
        self.referred_by = None;
        self.stage = Stage::Conversation(Box::new(Talk {
            other: Other::Partner { partner, trunked },
            leg,
            peer: call.peer,
            audio: call.audio,
            announce_at: cx.now.mono + TALKING_EVERY,
            quiet: false,
        }));
        self.forget_render(cx);
        self.sound = Sound::Bridged;
        if let Some(sent) = sent {
            self.tell_transferor(sent.told, 200, cx);
        } else {
            let answered = FlowInput::Partner(PartnerOutcome::Answered);
            self.session.handle(cx.now.mono, answered);
            self.carry_out(cx);
        }
        self.join(cx);
        self.journey(cx, Journey::Transferred { partner });
        self.note(cx, NoteWhat::Transferred);
    }

    /// The partner's leg ended before it was answered.
    pub(super) fn partner_leg_ended(&mut self, how: LegEnd, cx: &mut Cx<'_>) {
        let Some(leg) = self.call().and_then(|call| call.progress.leg()) else {
            return;
        };
        let rang = matches!(
            self.call().map(|call| &call.progress),
            Some(Progress::Ringing { .. })
        );
        cx.index.legs.remove(&leg);
        let refusal = match how {
            LegEnd::Refused(code) => Refusal::of(Some(code), rang),
            LegEnd::Broken => Refusal::of(None, rang),
            LegEnd::HungUp => Refusal::NoAnswer,
        };
        match refusal {
            Refusal::Busy => self.partner_failed(TakenBack::Busy, cx),
            Refusal::NoAnswer => self.partner_failed(TakenBack::NoAnswer, cx),
            Refusal::Failed => self.partner_failed(TakenBack::Failed, cx),
            Refusal::Everywhere { busy: true } => self.give_up_partner(TakenBack::Busy, cx),
            Refusal::Everywhere { busy: false } => self.give_up_partner(TakenBack::Failed, cx),
            Refusal::NextGateway => self.next_gateway(cx),
            Refusal::GatewayDead => self.gateway_is_dead(cx),
        }
    }

    /// Who was called can't take it. Perhaps the call was sent on to somebody else too.
    fn partner_failed(&mut self, why: TakenBack, cx: &mut Cx<'_>) {
        if let Stage::Outside(outside) = &mut self.stage
            && outside.go_on()
        {
            return self.next_gateway(cx);
        }
        self.give_up_partner(why, cx);
    }

    /// The gateway is dead or out of service: for a while nobody is sent there.
    fn gateway_is_dead(&mut self, cx: &mut Cx<'_>) {
        if let Stage::Outside(outside) = &self.stage
            && let Some(way) = &outside.trunked.way
        {
            let trunk = &outside.trunked.trunk.name;
            cx.trunks.found_dead(cx.now.mono, trunk, way);
        }
        self.next_gateway(cx);
    }

    fn next_gateway(&mut self, cx: &mut Cx<'_>) {
        self.early_is_over(cx);
        if let Some(call) = self.call_mut() {
            call.anew(cx);
        }
        self.call_next_gateway(cx);
    }

    pub(super) fn partner_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let Stage::Outside(outside) = &self.stage else {
            return;
        };
        match outside.call.progress {
            Progress::Opening { since } if now >= since + MEDIA_OPEN_MAX => {
                self.give_up_partner(TakenBack::Failed, cx);
            }
            Progress::Calling { leg, until } if now >= until => {
                cx.index.legs.remove(&leg);
                cx.sip.hangup(now, leg, None);
                self.gateway_is_dead(cx);
            }
            _ => self.sent_out_timeout(cx),
        }
    }

    /// The flow doesn't want to wait for the partner any longer.
    pub(super) fn leave_partner(&mut self, cx: &mut Cx<'_>) {
        if let Some((partner, _)) = self.stop_calling_partner(cx) {
            self.record_taken_back(partner, TakenBack::NoAnswer, cx);
            if self.sound.is_of_waiting() {
                self.rest_sound(cx);
            }
        }
    }

    /// Stops calling the partner; the contact is back with the flow.
    pub(super) fn give_up_partner(&mut self, why: TakenBack, cx: &mut Cx<'_>) {
        let Some((partner, sent)) = self.stop_calling_partner(cx) else {
            return;
        };
        if self.sound.is_of_waiting() {
            self.rest_sound(cx);
        }
        if let Some(sent) = sent {
            return self.sent_out_failed(sent, why, cx);
        }
        self.taken_back(partner, why, cx);
        self.carry_out(cx);
    }

    /// Ends the call to the partner, if one is being made.
    pub(super) fn stop_calling_partner(
        &mut self,
        cx: &mut Cx<'_>,
    ) -> Option<(PartnerId, Option<SentOut>)> {
        let outside = match std::mem::replace(&mut self.stage, Stage::Flow) {
            Stage::Outside(outside) => outside,
            other => {
                self.stage = other;
                return None;
            }
        };
        outside.call.end(None, cx);
        cx.trunks.release(&outside.trunked.trunk.name);
        Some((outside.partner, outside.sent))
    }

    pub(super) fn taken_back(&mut self, partner: PartnerId, why: TakenBack, cx: &mut Cx<'_>) {
        self.record_taken_back(partner, why, cx);
        let outcome = match why {
            TakenBack::Busy => PartnerOutcome::Busy,
            TakenBack::NoAnswer => PartnerOutcome::NoAnswer,
            TakenBack::TrunkFull | TakenBack::Failed | TakenBack::Broken => PartnerOutcome::Failed,
        };
        self.session
            .handle(cx.now.mono, FlowInput::Partner(outcome));
    }

    /// The caller is ours again; the flow learns it by itself.
    pub(super) fn record_taken_back(
        &mut self,
        partner: PartnerId,
        why: TakenBack,
        cx: &mut Cx<'_>,
    ) {
        self.journey(cx, Journey::TakenBack { partner, why });
        self.note(cx, NoteWhat::TakenBack(why));
    }
}
