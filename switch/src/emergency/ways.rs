//! The ways outside, one after the other until somebody answers.
//!
//! First those of the trunks that are meant for it, in their order, then every
//! other one; of both those that are believed dead come last, and are tried all
//! the same. What refuses, whatever it says, isn't asked again before all
//! others were, but for one that may have stumbled over the location: it is
//! called once more without. When none is left, all are tried again, with the
//! location and without in turn.
//!
//! A way that rings is left when its connection is closed or it answers no
//! OPTIONS any more, and, with nothing to be heard, after [`RINGING_MAX`] if
//! another works.

use std::sync::Arc;
use std::time::Duration;

use desk::EmergencyEnd;

use media::codec::Format;

use super::back::number_given;
use super::{EmergencyCall, Phase};
use crate::contact::{
    Audio, Call, Cx, LegEnd, MEDIA_OPEN_MAX, Opened, PROVISIONAL_MAX, Progress, Side, TRYING_MAX,
    Trunked, target_of,
};
use crate::input::EmergencyStep;
use crate::phones::Target;
use crate::setup::{Encryption, Trunk};
use crate::trunks::Way;

/// How long after all ways came to nothing they are tried again.
const AGAIN: Duration = Duration::from_secs(3);
/// How often at most the patience with a way that says 100 and no more is doubled.
const DOUBLED_MAX: u32 = 3;

/// How long a way may ring with nothing to be heard while another works: a
/// service that only is busy has its callers hear so.
const RINGING_MAX: Duration = Duration::from_secs(60);
/// How often it is looked whether a way that rings is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where somebody may be called.
#[derive(Debug)]
pub(super) enum Place {
    /// By a way outside.
    Outside {
        trunk: Arc<Trunk>,
        way: Way,
        /// The location stays at home.
        plain: bool,
    },
    /// The telephone that is called back.
    Telephone(Target),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rings {
    since: Duration,
    look_at: Duration,
}

impl EmergencyCall {
    /// Every way there is, the best last.
    fn places(&self, cx: &Cx<'_>) -> Vec<Place> {
        if self.back.is_some() {
            let contacts = cx.phones.registered(cx.setup, &self.dialled.account);
            return contacts.into_iter().map(Place::Telephone).collect();
        }
        let meant = cx.setup.emergency.trunks(self.home);
        let mut others: Vec<_> = cx
            .setup
            .trunks
            .keys()
            .filter(|name| !meant.contains(name))
            .collect();
        others.sort_unstable();
        let (mut alive, mut dead) = (Vec::new(), Vec::new());
        for name in meant.iter().chain(others) {
            let Some(trunk) = cx.setup.trunks.get(name) else {
                continue;
            };
            for (way, works) in cx.trunks.every_way(cx.now.mono, trunk) {
                let trunk = Arc::clone(trunk);
                let places = if works { &mut alive } else { &mut dead };
                // What is lost with a large INVITE is seldom heard of.
                let plain = self.rounds % 2 == 1;
                places.push(Place::Outside { trunk, way, plain });
            }
        }
        alive.append(&mut dead);
        alive.reverse();
        alive
    }

    /// All ways are tried, from the first.
    pub(super) fn try_all(&mut self, cx: &mut Cx<'_>) {
        self.phase = Phase::Trying;
        self.untried = self.places(cx);
        if self.call.is_some() {
            return self.next_way(cx);
        }
        // Only to know which of our addresses its audio will reach.
        let number = &self.dialled.number.sent;
        let peer = |place: &Place| match place {
            Place::Outside { trunk, way, .. } => {
                target_of(trunk, way, number, &[], cx.phones, cx.setup).map(|target| target.peer)
            }
            Place::Telephone(target) => Some(target.peer),
        };
        let Some(peer) = self.untried.iter().rev().find_map(peer) else {
            return self.unplaced(cx);
        };
        let with = self.caller.audio.leg();
        self.call = Some(Call::begin(self.id, with, peer, cx));
    }

    /// The media leg of the call outside is open.
    pub(super) fn way_has_audio(&mut self, opened: Opened, cx: &mut Cx<'_>) {
        let Opened { leg, port, secret } = opened;
        let session = self.id.0 ^ super::MARK ^ (1 << 52);
        let local = media::sdp::LocalMedia::new(cx.setup.media.bind.ip(), port, session);
        cx.index.media.insert(leg, (self.id, Side::Agent));
        if let Some(call) = &mut self.call {
            call.opened(leg, secret, local);
        }
        self.next_way(cx);
    }

    /// There is none to be had. That isn't the ways' fault, and may pass.
    pub(super) fn no_audio_outside(&mut self, cx: &mut Cx<'_>) {
        if let Some(call) = self.call.take() {
            call.end(None, cx);
        }
        self.unplaced(cx);
    }

    /// Calls by the best way that wasn't tried yet.
    fn next_way(&mut self, cx: &mut Cx<'_>) {
        while let Some(place) = self.untried.pop() {
            if self.take_way(place, cx).is_some() {
                return;
            }
        }
        self.unplaced(cx);
    }

    /// `None` when it leads nowhere at the moment.
    fn take_way(&mut self, place: Place, cx: &mut Cx<'_>) -> Option<()> {
        let (trunk, way, plain) = match place {
            Place::Outside { trunk, way, plain } => (trunk, way, plain),
            Place::Telephone(target) => return self.call_telephone(target, cx),
        };
        let number = Arc::clone(&self.dialled.number.sent);
        let route = cx.trunks.registered().route(&trunk.name);
        let target = target_of(&trunk, &way, &number, route, cx.phones, cx.setup)?;
        let peer = target.peer;
        let body = self.offer_to(peer, trunk.encryption, &cx.setup.codecs.trunks, cx)?;
        let ours = cx.setup.host_towards(peer);
        let invite = self.invite(target, &trunk, plain, &ours, body, cx);
        self.located = !invite.attached.is_empty();
        cx.trunks.seize_regardless(&trunk.name);
        self.send(invite, cx);
        let way = Some(way);
        self.trunked = Some(Trunked { trunk, way });
        Some(())
    }

    /// What that place is offered. `own`: what is set for it.
    pub(super) fn offer_to(
        &mut self,
        peer: sip::Peer,
        own: Option<Encryption>,
        codecs: &[Format],
        cx: &Cx<'_>,
    ) -> Option<Vec<u8>> {
        // What is required is asked for first; where that doesn't work, the call is worth more than its secrecy.
        let encryption = match cx.setup.encryption.towards(peer, own) {
            Ok(Encryption::Required) if self.rounds > 0 || self.back.is_some() => {
                Encryption::Offered
            }
            Ok(encryption) => encryption,
            Err(_) => Encryption::Off,
        };
        let spoken = self.caller.audio.codec();
        let call = self.call.as_mut()?;
        let body = call.offer(peer, encryption, codecs, spoken, cx)?;
        if let Audio::Open { negotiated, .. } = &mut call.audio {
            *negotiated = None;
        }
        Some(body)
    }

    pub(super) fn send(&mut self, invite: sip::Invite, cx: &mut Cx<'_>) {
        let leg = cx.sip.invite(cx.now.mono, invite);
        cx.index.legs.insert(leg, (self.id, Side::Agent));
        if let Some(call) = &mut self.call {
            call.progress = Progress::Calling {
                leg,
                until: cx.now.mono + PROVISIONAL_MAX,
            };
        }
    }

    fn invite(
        &self,
        target: crate::phones::Target,
        trunk: &Trunk,
        plain: bool,
        ours: &str,
        body: Vec<u8>,
        cx: &Cx<'_>,
    ) -> sip::Invite {
        let account = cx.setup.accounts.get(&*self.dialled.account);
        let number = match account {
            Some(account) => number_given(account, self.home, cx.setup),
            None => cx.setup.emergency.callback(self.home),
        };
        let number = number.map(|number| number.0.clone());
        let hospital = cx.setup.tenants.get(&self.home);
        let from = sip::Identity {
            display: hospital.map(|tenant| tenant.name.to_string()),
            user: number.clone().unwrap_or_else(|| "anonymous".into()),
            host: None,
        };
        let sent = &self.dialled.number.sent;
        let to = format!("sip:{sent}@{}", target.uri.host_str());
        let mut invite = sip::Invite::new(target.uri, target.peer, from, body);
        invite.to = sip::Uri::parse(&to).ok();
        invite.pinned = target.pinned;
        invite.route = target.route;
        invite.credentials = trunk.credentials.clone();
        invite.persists = true;
        let mut header = |name: &str, value: String| invite.headers.push((name.into(), value));
        header("Priority", "emergency".into());
        let entity = format!("sip:{}@{ours}", number.as_deref().unwrap_or("anonymous"));
        if number.is_some() {
            header("P-Asserted-Identity", format!("<{entity}>"));
        }
        for (name, value) in &self.dialled.carried {
            header(name, value.clone());
        }
        let told = trunk.location && !plain;
        if let Some(address) = self.station.address.as_ref().filter(|_| told) {
            // RFC 6442 sections 3.2 and 4.2. Nobody else makes such an id: the call's own is never used again.
            let content_id = format!("station-{:x}@careline.invalid", self.id.0);
            header("Geolocation", format!("<cid:{content_id}>"));
            header("Geolocation-Routing", "yes".into());
            invite.attached.push(sip::Attachment {
                content_type: "application/pidf+xml".into(),
                content_id,
                body: address.location(&entity).into_bytes(),
            });
        }
        invite
    }

    /// No way took it. The caller is told, and all are tried again soon.
    fn unplaced(&mut self, cx: &mut Cx<'_>) {
        if self.back.is_some() {
            return self.telephone_not_reached(cx);
        }
        if self.rounds == 0 {
            cx.counters.emergency_unplaced += 1;
            self.report(EmergencyStep::Unplaced, desk::Emergency::Unplaced, cx);
        }
        self.rounds = self.rounds.saturating_add(1);
        self.phase = Phase::Paused {
            until: cx.now.mono + AGAIN,
        };
        self.answer_caller(cx);
        self.sounds(cx);
        if self.say_at.is_none() {
            self.say(cx);
        }
    }

    /// Something on the way is at work. Who says so and no more has the more
    /// patience the more often all came to nothing: it may be the only one.
    pub(crate) fn call_is_tried(&mut self, cx: &Cx<'_>) {
        let patience = TRYING_MAX * (1 << self.rounds.min(DOUBLED_MAX));
        if let Some(call) = &mut self.call
            && let Progress::Calling { until, .. } = &mut call.progress
        {
            *until = (*until).max(cx.now.mono + patience);
        }
    }

    /// It rings, perhaps with something to be heard.
    pub(crate) fn call_rings(&mut self, sdp: Option<&[u8]>, cx: &mut Cx<'_>) {
        if self.phase != Phase::Trying {
            return;
        }
        if let Some(call) = &mut self.call
            && let Progress::Calling { leg, .. } = call.progress
        {
            call.progress = Progress::Ringing { leg };
            self.rings = Some(Rings {
                since: cx.now.mono,
                look_at: cx.now.mono + LOOK_EVERY,
            });
        }
        if let Some(trunked) = &self.trunked {
            trunked.alive(cx);
        }
        if let Some(answer) = sdp {
            self.take_answer(Side::Agent, answer, cx);
        }
        let audio = self.call.as_ref().is_some_and(Call::is_usable);
        self.ring_caller(audio, cx);
        self.sounds(cx);
    }

    /// The service answered.
    pub(crate) fn call_answered(&mut self, sdp: Option<&[u8]>, cx: &mut Cx<'_>) {
        if self.phase != Phase::Trying {
            return;
        }
        if let Some(answer) = sdp {
            self.take_answer(Side::Agent, answer, cx);
        }
        if !self.call.as_ref().is_some_and(Call::is_usable) {
            self.leave_way(Some("SIP;cause=488;text=\"No common audio\""), cx);
            return self.next_way(cx);
        }
        if let Some(trunked) = &self.trunked {
            trunked.alive(cx);
        }
        self.phase = Phase::Talking;
        self.rings = None;
        self.gone.service = None;
        self.say_at = None;
        self.answer_caller(cx);
        self.sounds(cx);
        cx.counters.emergency_connected += u64::from(self.back.is_none());
        self.report(EmergencyStep::Connected, desk::Emergency::Connected, cx);
    }

    /// A leg of this call ended by itself.
    pub(crate) fn leg_ended(&mut self, side: Side, how: LegEnd, cx: &mut Cx<'_>) {
        let (calling, called) = match self.back {
            None => (EmergencyEnd::Caller, EmergencyEnd::Service),
            Some(_) => (EmergencyEnd::Service, EmergencyEnd::Caller),
        };
        if let (Side::Agent, Some(back), LegEnd::Refused(code)) = (side, &mut self.back, how) {
            back.refused = Some(code);
        }
        match (side, how) {
            (Side::Caller, _) => self.over(calling, cx),
            (Side::Agent, LegEnd::HungUp) if self.phase == Phase::Talking => {
                self.hang_up(None, cx);
                self.over(called, cx);
            }
            // Lost, not ended: it is placed again.
            (Side::Agent, _) if self.phase == Phase::Talking => {
                self.leave_way(None, cx);
                self.try_all(cx);
                self.sounds(cx);
            }
            (Side::Agent, LegEnd::Refused(code)) if self.located && stumbles(code) => {
                let trunked = self.trunked.as_ref();
                let again = trunked.and_then(|trunked| {
                    Some(Place::Outside {
                        trunk: Arc::clone(&trunked.trunk),
                        way: trunked.way.clone()?,
                        plain: true,
                    })
                });
                self.untried.extend(again);
                self.way_failed(cx);
            }
            // Silence while it was called; what rings has shown that it lives.
            (Side::Agent, LegEnd::Broken) if self.rings.is_none() => self.way_is_dead(cx),
            (Side::Agent, LegEnd::Refused(503)) => self.way_is_dead(cx),
            (Side::Agent, _) => self.way_failed(cx),
        }
    }

    /// The connection by which `peer` was called is closed.
    pub(crate) fn connection_lost(&mut self, peer: sip::Peer, cx: &mut Cx<'_>) {
        if self.rings.is_some() && self.call.as_ref().is_some_and(|call| call.peer == peer) {
            self.way_failed(cx);
        }
    }

    /// Is the way that rings still there, and worth waiting for?
    fn look(&mut self, rings: Rings, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let way = self.trunked.as_ref().and_then(|trunked| {
            let way = trunked.way.as_ref()?;
            Some((&*trunked.trunk.name, way))
        });
        if way.is_some_and(|(trunk, way)| cx.trunks.is_silent(trunk, way)) {
            return self.way_failed(cx);
        }
        let mute = !self.call.as_ref().is_some_and(Call::is_usable);
        let works = |place: &Place| match place {
            Place::Outside { trunk, way, .. } => cx.trunks.ways(now, trunk).contains(way),
            Place::Telephone(_) => true,
        };
        if mute && now >= rings.since + RINGING_MAX && self.untried.iter().any(works) {
            return self.way_failed(cx);
        }
        self.rings = Some(Rings {
            look_at: now + LOOK_EVERY,
            ..rings
        });
    }

    /// For a while nobody else is sent there.
    fn way_is_dead(&mut self, cx: &mut Cx<'_>) {
        if let Some(trunked) = &self.trunked
            && let Some(way) = &trunked.way
        {
            cx.trunks.found_dead(cx.now.mono, &trunked.trunk.name, way);
        }
        self.way_failed(cx);
    }

    fn way_failed(&mut self, cx: &mut Cx<'_>) {
        self.leave_way(None, cx);
        // They have heard nothing for seconds, perhaps.
        self.ring_caller(false, cx);
        self.next_way(cx);
        self.sounds(cx);
    }

    /// Gives the way up that is taken at the moment. Its media leg stays.
    pub(super) fn leave_way(&mut self, reason: Option<&str>, cx: &mut Cx<'_>) {
        self.unbridge(cx);
        self.rings = None;
        if let Some(call) = &mut self.call {
            if let Some(leg) = call.progress.leg()
                && cx.index.legs.remove(&leg).is_some()
            {
                cx.sip.hangup(cx.now.mono, leg, reason);
            }
            call.anew(cx);
            if let Audio::Open { negotiated, .. } = &mut call.audio {
                *negotiated = None;
            }
        }
        if let Some(trunked) = self.trunked.take() {
            cx.trunks.release(&trunked.trunk.name);
        }
    }

    pub(super) fn way_deadline(&self) -> Option<Duration> {
        match self.call.as_ref()?.progress {
            Progress::Opening { since } => Some(since + MEDIA_OPEN_MAX),
            Progress::Calling { until, .. } => Some(until),
            Progress::Ringing { .. } => Some(self.rings?.look_at),
            Progress::Accepting { .. } => None,
        }
    }

    pub(super) fn way_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if self.way_deadline().is_none_or(|at| now < at) {
            return;
        }
        match self.call.as_ref().map(|call| &call.progress) {
            Some(Progress::Calling { .. }) => self.way_is_dead(cx),
            Some(Progress::Opening { .. }) => self.no_audio_outside(cx),
            Some(Progress::Ringing { .. }) => {
                if let Some(rings) = self.rings {
                    self.look(rings, cx);
                }
            }
            _ => {}
        }
    }
}

/// May it be the location that is refused? (RFC 6442 section 4.3: 424.)
fn stumbles(code: u16) -> bool {
    matches!(code, 400 | 413 | 415 | 424 | 488 | 493 | 513 | 606)
}
