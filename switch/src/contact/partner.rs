//! Calling a partner, and taking the caller back.
//!
//! Careline stays in the path: the caller keeps hearing music until the
//! partner answers, then the two are bridged. A partner who is busy, refuses,
//! or shows no sign of life costs the caller nothing but seconds: the contact
//! is back with the flow, with the time already waited.

use std::sync::Arc;

use desk::{Journey, TakenBack};
use ivr_flows::{Input as FlowInput, PartnerOutcome};
use media::engine::Command as MediaCommand;
use media::sdp::{self, Capabilities, LocalMedia};
use media::srtp::Secret;

use super::arrive::{Opened, capabilities};
use super::{
    Audio, Contact, Cx, LegEnd, MEDIA_OPEN_MAX, Other, Outside, PROVISIONAL_MAX, Progress, Side,
    Sound, Stage, TALKING_EVERY, TRYING_MAX, Talk, Trunked,
};
use crate::input::{MediaKey, NoteSide, NoteWhat};
use crate::phones::Target;
use crate::setup::{EncryptionUnavailable, Gateway, Trunk, uri_at};
use crate::trunks::{Unavailable, Way};

/// Where to call a number by this way; none while nobody is registered there.
fn target_of(trunk: &Trunk, way: &Way, number: &str, cx: &Cx<'_>) -> Option<Target> {
    match (trunk.gateways.get(way.gateway)?, way.peer) {
        (Gateway::Registered { user }, _) => cx.phones.registered(cx.setup, user).pop(),
        (gateway, peer) => Some(Target {
            uri: uri_at(gateway.host()?, peer?, Some(number))?,
            peer: peer?,
            route: Vec::new(),
            pinned: false,
        }),
    }
}

impl Trunked {
    /// Its gateway has shown that it works.
    fn alive(&self, cx: &mut Cx<'_>) {
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
        let id = partner.id;
        let trunk = cx.setup.trunks.get(&partner.trunk);
        let seized = trunk
            .ok_or(Unavailable::Unknown)
            .and_then(|trunk| cx.trunks.seize(cx.now.mono, trunk));
        self.journey(cx, Journey::PartnerCalled { partner: id });
        self.note(cx, NoteWhat::PartnerCalled(Arc::clone(name)));
        // Whatever becomes of it, this is when the wait began.
        let since = *self.waiting_since.get_or_insert(cx.now.mono);
        let (Ok(untried), Some(trunk)) = (&seized, trunk) else {
            let why = match seized {
                Err(Unavailable::Full) => TakenBack::TrunkFull,
                _ => TakenBack::Failed,
            };
            return self.taken_back(id, why, cx);
        };
        // Only to know which of our addresses its audio will reach: the next may be another.
        let ways = untried.iter().rev();
        let mut targets = ways.filter_map(|way| target_of(trunk, way, &partner.number, cx));
        let Some(Target { peer, .. }) = targets.next() else {
            cx.trunks.release(&trunk.name);
            return self.taken_back(id, TakenBack::Failed, cx);
        };
        let key = self.wish(cx, Side::Agent, self.audio.leg(), peer);
        self.stage = Stage::Outside(Box::new(Outside {
            partner: id,
            trunked: Trunked {
                trunk: Arc::clone(trunk),
                way: None,
            },
            number: partner.number.clone(),
            since,
            music,
            peer,
            audio: Audio::Opening(key),
            progress: Progress::Opening { since: cx.now.mono },
            untried: untried.clone(),
            secret: None,
        }));
        if self.sound == Sound::Nothing {
            self.rest_sound(cx);
        }
    }

    /// The media leg for the partner's side is open, or there is none.
    pub(super) fn partner_media(&mut self, key: MediaKey, opened: Option<Opened>, cx: &mut Cx<'_>) {
        let Stage::Outside(outside) = &mut self.stage else {
            return;
        };
        if !matches!(outside.audio, Audio::Opening(k) if k == key) {
            if let Some(Opened { leg, .. }) = opened {
                cx.media(MediaCommand::Close { leg });
            }
            return;
        }
        let Some(Opened { leg, port, secret }) = opened else {
            return self.give_up_partner(TakenBack::Failed, cx);
        };
        cx.index.media.insert(leg, (self.id, Side::Agent));
        outside.secret = Some(secret);
        outside.audio = Audio::Open {
            leg,
            caps: Capabilities::default(),
            local: LocalMedia::new(cx.setup.media.bind.ip(), port, self.id.0 ^ (1 << 52)),
            negotiated: None,
            offered: None,
        };
        self.call_next_gateway(cx);
    }

    /// Calls the best gateway that wasn't tried yet.
    fn call_next_gateway(&mut self, cx: &mut Cx<'_>) {
        let ticket = self.ticket().map(str::to_owned);
        let (contact, hops_left) = (self.id, self.hops_left);
        let caller = self.ani.as_ref().map(|ani| ani.0.clone());
        let dnis = self.dnis.0.clone();
        let spoken = self.audio.codec();
        let carried = self.carried.clone();
        let hospital = cx.setup.tenants.get(&self.tenant);
        let hospital = hospital.map(|tenant| tenant.name.to_string());
        let Stage::Outside(outside) = &mut self.stage else {
            return;
        };
        let trunk = Arc::clone(&outside.trunked.trunk);
        let mut refused = false;
        let (target, encryption) = loop {
            let Some(way) = outside.untried.pop() else {
                if refused {
                    self.note(cx, NoteWhat::NotEncrypted(NoteSide::Agent));
                }
                return self.give_up_partner(TakenBack::Failed, cx);
            };
            let Some(target) = target_of(&trunk, &way, &outside.number, cx) else {
                continue;
            };
            match cx.setup.encryption.towards(target.peer, trunk.encryption) {
                Ok(encryption) => {
                    outside.trunked.way = Some(way);
                    break (target, encryption);
                }
                // Not called rather than called in the clear.
                Err(EncryptionUnavailable) => refused = true,
            }
        };
        outside.peer = target.peer;
        let secret = outside.secret.as_mut().map(Secret::draw);
        let (
            Some(secret),
            Audio::Open {
                local,
                caps,
                offered,
                ..
            },
        ) = (secret, &mut outside.audio)
        else {
            return self.give_up_partner(TakenBack::Failed, cx);
        };
        *caps = capabilities(encryption, secret);
        // What the caller speaks comes first: then nothing is transcoded.
        caps.codecs.sort_by_key(|codec| Some(*codec) != spoken);
        local.address = cx.setup.media.address_towards(target.peer.addr.ip());
        let body = sdp::offer(local, caps);
        *offered = Some(body.clone());
        // The partner sees whose line was called, and the number if it wasn't withheld. Never a name.
        let from = sip::Identity {
            display: hospital,
            user: caller.clone().unwrap_or_else(|| "anonymous".into()),
            host: None,
        };
        let ours = cx.setup.host_towards(target.peer);
        let mut invite = sip::Invite::new(target.uri, target.peer, from, Some(body));
        invite.to = sip::Uri::parse(&format!(
            "sip:{}@{}",
            outside.number,
            invite.target.host_str()
        ))
        .ok();
        invite.pinned = target.pinned;
        invite.route = target.route;
        invite.credentials = trunk.credentials.clone();
        invite.max_forwards = hops_left.map(|left| left.saturating_sub(1));
        let mut header = |name: &str, value: String| invite.headers.push((name.into(), value));
        match &caller {
            Some(number) if trunk.trusted => {
                header("P-Asserted-Identity", format!("<sip:{number}@{ours}>"));
            }
            Some(_) => {}
            None => header("Privacy", "id".into()),
        }
        // RFC 5806: which of our numbers the caller dialled.
        header(
            "Diversion",
            format!("<sip:{dnis}@{ours}>;reason=unconditional;counter=1"),
        );
        // A trunk outside the trust domain learns no more than it must.
        for (name, value) in carried {
            if trunk.trusted || name == "Session-ID" {
                header(&name, value);
            }
        }
        if let Some(ticket) = ticket {
            header("User-to-User", super::wait::user_to_user(&ticket));
            if trunk.trusted {
                header("X-Careline-Ticket", ticket);
            }
        }
        let leg = cx.sip.invite(cx.now.mono, invite);
        cx.index.legs.insert(leg, (contact, Side::Agent));
        outside.progress = Progress::Calling {
            leg,
            until: cx.now.mono + PROVISIONAL_MAX,
        };
    }

    /// Something on the way to the partner is at work.
    pub(super) fn partner_is_tried(&mut self, cx: &Cx<'_>) {
        if let Stage::Outside(outside) = &mut self.stage
            && let Progress::Calling { until, .. } = &mut outside.progress
        {
            *until = (*until).max(cx.now.mono + TRYING_MAX);
        }
    }

    /// The partner's phone rings.
    pub(super) fn partner_rings(&mut self, cx: &mut Cx<'_>) {
        if let Stage::Outside(outside) = &mut self.stage
            && let Progress::Calling { leg, .. } = outside.progress
        {
            outside.progress = Progress::Ringing { leg };
            outside.trunked.alive(cx);
        }
    }

    /// The partner answered: the two are joined.
    pub(super) fn partner_answered(&mut self, sdp: Option<&[u8]>, cx: &mut Cx<'_>) {
        if let Some(answer) = sdp {
            self.take_answer(Side::Agent, answer, cx);
        }
        let Stage::Outside(outside) = &mut self.stage else {
            return;
        };
        let usable = matches!(
            outside.audio,
            Audio::Open {
                negotiated: Some(_),
                ..
            }
        );
        let Some(leg) = outside.progress.leg().filter(|_| usable) else {
            return self.give_up_partner(TakenBack::Failed, cx);
        };
        let Stage::Outside(outside) = std::mem::replace(&mut self.stage, Stage::Flow) else {
            return;
        };
        let Outside {
            partner,
            trunked,
            peer,
            audio,
            ..
        } = *outside;
        trunked.alive(cx);
        self.stage = Stage::Conversation(Box::new(Talk {
            other: Other::Partner { partner, trunked },
            leg,
            peer,
            audio,
            announce_at: cx.now.mono + TALKING_EVERY,
        }));
        self.forget_render(cx);
        self.sound = Sound::Bridged;
        self.session
            .handle(cx.now.mono, FlowInput::Partner(PartnerOutcome::Answered));
        self.carry_out(cx);
        self.join(cx);
        self.journey(cx, Journey::Transferred { partner });
        self.note(cx, NoteWhat::Transferred);
    }

    /// The partner's leg ended before it was answered.
    pub(super) fn partner_leg_ended(&mut self, how: LegEnd, cx: &mut Cx<'_>) {
        let Stage::Outside(outside) = &mut self.stage else {
            return;
        };
        let Some(leg) = outside.progress.leg() else {
            return;
        };
        cx.index.legs.remove(&leg);
        let why = match how {
            LegEnd::Refused(486 | 600 | 603) => TakenBack::Busy,
            LegEnd::Refused(480 | 487) | LegEnd::HungUp => TakenBack::NoAnswer,
            // Not the partner's answer but this gateway's.
            LegEnd::Refused(408 | 500..=599) | LegEnd::Broken => return self.next_gateway(cx),
            LegEnd::Refused(_) => TakenBack::Failed,
        };
        self.give_up_partner(why, cx);
    }

    /// The gateway is dead or out of service: the next is tried.
    fn next_gateway(&mut self, cx: &mut Cx<'_>) {
        let Stage::Outside(outside) = &mut self.stage else {
            return;
        };
        if let Some(way) = &outside.trunked.way {
            let trunk = &outside.trunked.trunk.name;
            cx.trunks.found_dead(cx.now.mono, trunk, way);
        }
        outside.progress = Progress::Opening { since: cx.now.mono };
        self.call_next_gateway(cx);
    }

    pub(super) fn partner_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let Stage::Outside(outside) = &self.stage else {
            return;
        };
        match outside.progress {
            Progress::Opening { since } if now >= since + MEDIA_OPEN_MAX => {
                self.give_up_partner(TakenBack::Failed, cx);
            }
            Progress::Calling { leg, until } if now >= until => {
                cx.index.legs.remove(&leg);
                cx.sip.hangup(now, leg, None);
                self.next_gateway(cx);
            }
            _ => {}
        }
    }

    /// The flow doesn't want to wait for the partner any longer.
    pub(super) fn leave_partner(&mut self, cx: &mut Cx<'_>) {
        let why = TakenBack::NoAnswer;
        if let Some(partner) = self.stop_calling_partner(cx) {
            self.journey(cx, Journey::TakenBack { partner, why });
            self.note(cx, NoteWhat::TakenBack(why));
            if self.sound == Sound::Music {
                self.rest_sound(cx);
            }
        }
    }

    /// Stops calling the partner; the contact is back with the flow.
    fn give_up_partner(&mut self, why: TakenBack, cx: &mut Cx<'_>) {
        let Some(partner) = self.stop_calling_partner(cx) else {
            return;
        };
        if self.sound == Sound::Music {
            self.rest_sound(cx);
        }
        self.taken_back(partner, why, cx);
        self.carry_out(cx);
    }

    /// Ends the call to the partner, if one is being made.
    pub(super) fn stop_calling_partner(&mut self, cx: &mut Cx<'_>) -> Option<desk::PartnerId> {
        let outside = match std::mem::replace(&mut self.stage, Stage::Flow) {
            Stage::Outside(outside) => outside,
            other => {
                self.stage = other;
                return None;
            }
        };
        if let Some(leg) = outside.progress.leg()
            && cx.index.legs.remove(&leg).is_some()
        {
            cx.sip.hangup(cx.now.mono, leg, None);
        }
        self.close_audio(outside.audio, cx);
        cx.trunks.release(&outside.trunked.trunk.name);
        Some(outside.partner)
    }

    fn taken_back(&mut self, partner: desk::PartnerId, why: TakenBack, cx: &mut Cx<'_>) {
        self.journey(cx, Journey::TakenBack { partner, why });
        self.note(cx, NoteWhat::TakenBack(why));
        let outcome = match why {
            TakenBack::Busy => PartnerOutcome::Busy,
            TakenBack::NoAnswer => PartnerOutcome::NoAnswer,
            TakenBack::TrunkFull | TakenBack::Failed | TakenBack::Broken => PartnerOutcome::Failed,
        };
        self.session
            .handle(cx.now.mono, FlowInput::Partner(outcome));
    }

    /// The partner's side of a conversation broke down.
    pub(super) fn partner_broke(&mut self, partner: desk::PartnerId, cx: &mut Cx<'_>) {
        let why = TakenBack::Broken;
        self.journey(cx, Journey::TakenBack { partner, why });
        self.note(cx, NoteWhat::TakenBack(why));
    }
}
