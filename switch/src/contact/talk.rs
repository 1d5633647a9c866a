//! The conversation: joined, on hold, and over.

use acd::{AgentId, OfferId, ToAcd, Visit};
use desk::Journey;
use ivr_flows::Input as FlowInput;
use media::codec::Format;
use media::engine::Command as MediaCommand;
use media::sdp;

use super::arrive::refusal_for;
use super::wait::refusal_of;
use super::{
    Ask, Audio, Contact, Cx, Other, Owing, Progress, Side, Sound, Stage, TALKING_EVERY, Talk,
};
use crate::input::NoteWhat;

impl Contact {
    pub(super) fn is_talking(&self, id: OfferId) -> bool {
        self.talked().is_some_and(|(offer, ..)| offer == id)
    }

    /// The agent this contact talks with, by which offer and of which stay.
    pub(super) fn talked(&self) -> Option<(OfferId, AgentId, Visit)> {
        match &self.stage {
            Stage::Conversation(talk) => match talk.other {
                Other::Agent {
                    offer,
                    agent,
                    visit,
                } => Some((offer, agent, visit)),
                Other::Partner { .. } => None,
            },
            _ => None,
        }
    }

    /// The distributor confirmed: the two are joined.
    pub(super) fn offer_confirmed(&mut self, id: OfferId, cx: &mut Cx<'_>) {
        if self.is_talking(id) {
            return;
        }
        let leg = match &self.stage {
            Stage::Offer(_, offer) if offer.id == id => match offer.call.progress {
                Progress::Accepting { leg, .. } => leg,
                _ => return,
            },
            // Confirmed too late: it has to be ended, or the agent would be
            // thought busy.
            _ => {
                let known = self.owed.iter().any(|owed| owed.what == Owing::Finish(id));
                if !known {
                    self.owe(cx, Owing::Finish(id));
                }
                return;
            }
        };
        let Stage::Offer(stay, offer) = std::mem::replace(&mut self.stage, Stage::Flow) else {
            return;
        };
        let agent = offer.agent;
        self.stage = Stage::Conversation(Box::new(Talk {
            other: Other::Agent {
                offer: id,
                agent,
                visit: stay.visit,
            },
            leg,
            peer: offer.call.peer,
            audio: offer.call.audio,
            announce_at: cx.now.mono + TALKING_EVERY,
            quiet: false,
        }));
        self.referred_by = None;
        if let Some(direct) = offer.direct {
            self.announce_talk(cx);
            self.tell_transferor(direct.told, 200, cx);
        }
        if self.is_reaching() {
            return self.agent_for_callback(id, agent, cx);
        }
        self.forget_render(cx);
        self.sound = Sound::Bridged;
        self.session.handle(cx.now.mono, FlowInput::QueueAnswered);
        self.carry_out(cx);
        self.join(cx);
        if self.text {
            self.narrow(cx);
        }
        let agent = desk::AgentId(agent.0);
        self.journey(cx, Journey::Connected { agent });
        self.note(cx, NoteWhat::Connected(id, agent));
    }

    /// What a text telephone sends must arrive as it is: whoever speaks anything else is asked to change to G.711. Who
    /// refuses is left as they are.
    pub(super) fn narrow(&mut self, cx: &mut Cx<'_>) {
        for side in [Side::Caller, Side::Agent] {
            let Some(sip_leg) = self.leg_of(side) else {
                continue;
            };
            let Some(Audio::Open {
                local,
                caps,
                negotiated: Some(agreed),
                streams,
                ..
            }) = self.audio_of(side)
            else {
                continue;
            };
            let is_narrow = |codec: &Format| matches!(codec, Format::G711(_));
            if is_narrow(&agreed.codec) || !caps.codecs.iter().any(is_narrow) {
                continue;
            }
            caps.codecs.retain(is_narrow);
            local.session_version += 1;
            let body = sdp::offer_again(local, caps, streams);
            *streams = sdp::Streams::of(&body);
            cx.sip.reinvite(cx.now.mono, sip_leg, &body);
        }
    }

    /// Lets the two hear each other; whoever is held hears music.
    pub(super) fn join(&mut self, cx: &mut Cx<'_>) {
        let Stage::Conversation(talk) = &self.stage else {
            return;
        };
        if self.is_reaching() {
            return;
        }
        if let Some(mix) = self.three() {
            cx.media(MediaCommand::Mix(mix));
            self.sound = Sound::Bridged;
            return;
        }
        let (Some(caller), Some(agent)) = (self.audio.leg(), talk.audio.leg()) else {
            return;
        };
        let music = |leg| MediaCommand::Loop {
            leg,
            clip: std::sync::Arc::clone(&cx.setup.sounds.music),
            offset_ms: 0,
        };
        // Who put the other on hold wants nothing itself; the other hears music.
        match (self.audio.held(), talk.audio.held()) {
            (false, false) => {
                cx.media(MediaCommand::Bridge {
                    a: caller,
                    b: agent,
                });
                if talk.quiet {
                    // The agent still hears the caller.
                    cx.media(music(caller));
                }
            }
            (true, false) => cx.media(music(agent)),
            (false, true) => cx.media(music(caller)),
            (true, true) => return,
        }
        self.sound = Sound::Bridged;
    }

    /// Nothing at all comes from the agent or partner, or something again. A
    /// line that died isn't known for dead yet, and the caller isn't left in
    /// silence until it is.
    pub(super) fn agent_is_quiet(&mut self, quiet: bool, cx: &mut Cx<'_>) {
        if let Stage::Conversation(talk) = &mut self.stage
            && talk.quiet != quiet
        {
            talk.quiet = quiet;
            self.join(cx);
        }
    }

    /// The peer of that side wants to change its session.
    pub(crate) fn reinvited(&mut self, side: Side, offer: Option<&[u8]>, cx: &mut Cx<'_>) {
        if matches!(self.stage, Stage::Ended { .. }) {
            return;
        }
        let Some(sip_leg) = self.leg_of(side) else {
            return;
        };
        let Some(Audio::Open {
            local,
            caps,
            offered,
            streams,
            ..
        }) = self.audio_of(side)
        else {
            return cx.sip.reject_reinvite(cx.now.mono, sip_leg, 491);
        };
        local.session_version += 1;
        let Some(offer) = offer else {
            let body = sdp::offer_again(local, caps, streams);
            *offered = Some(body.clone());
            return cx.sip.answer_reinvite(cx.now.mono, sip_leg, &body);
        };
        match sdp::answer(offer, local, caps) {
            Ok((agreed, body)) => {
                *streams = sdp::Streams::of(&body);
                self.connect(side, agreed, cx);
                cx.sip.answer_reinvite(cx.now.mono, sip_leg, &body);
                self.join(cx);
            }
            Err(error) => {
                if error == sdp::SdpError::EncryptionRequired {
                    // The call goes on as it was, encrypted (RFC 3261 section 14.2).
                    self.note(cx, NoteWhat::NotEncrypted(side.into()));
                }
                cx.sip
                    .reject_reinvite(cx.now.mono, sip_leg, refusal_for(&error));
            }
        }
    }

    /// A session was refreshed, or changed as we asked.
    pub(crate) fn refreshed(&mut self, side: Side, offer: &[u8], answer: &[u8], cx: &mut Cx<'_>) {
        let agreed = match sdp::accept(offer, answer) {
            Ok(agreed) => agreed,
            Err(error) => return self.answer_unusable(side, &error, cx),
        };
        let Some(Audio::Open { negotiated, .. }) = self.audio_of(side) else {
            return;
        };
        if negotiated.as_ref() != Some(&agreed) {
            self.connect(side, agreed, cx);
            self.join(cx);
        }
    }

    /// A leg of this contact ended by itself.
    pub(crate) fn leg_ended(&mut self, side: Side, how: LegEnd, cx: &mut Cx<'_>) {
        match side {
            Side::Caller if self.is_consult_of_three() => self.agent_leaves_three(cx),
            Side::Caller if self.customer_left(how, cx) => {}
            Side::Caller => {
                let cause = match how {
                    LegEnd::HungUp => desk::EndCause::CallerHungUp,
                    LegEnd::Refused(_) | LegEnd::Broken => desk::EndCause::SystemFailure,
                };
                self.caller_left(cx, cause);
            }
            Side::Agent => match &self.stage {
                Stage::Offer(..) => {
                    let why = match how {
                        LegEnd::HungUp => acd::Refusal::Declined,
                        LegEnd::Refused(code) => refusal_of(code),
                        LegEnd::Broken => acd::Refusal::Unreachable,
                    };
                    self.phone_failed(why, cx);
                }
                Stage::Outside(_) => self.partner_leg_ended(how, cx),
                Stage::Conversation(_) => match how {
                    LegEnd::HungUp => self.agent_hung_up(cx),
                    LegEnd::Refused(_) | LegEnd::Broken => self.talk_broke(cx),
                },
                _ => {}
            },
        }
    }

    /// The agent or partner hung up: the flow goes on with the caller.
    fn agent_hung_up(&mut self, cx: &mut Cx<'_>) {
        let three = self.is_consult_of_three();
        self.part(None, cx);
        if three {
            self.asks = Some(Ask::ColleagueLeft);
            return;
        }
        if self.consult.is_some() {
            return self.hang_up(cx, desk::EndCause::AgentHungUp, None);
        }
        if self.agent_left_callback(cx) {
            return;
        }
        self.session
            .handle(cx.now.mono, FlowInput::ConversationEnded);
        self.carry_out(cx);
    }

    /// No audio comes from the agent or partner: is their telephone still there? If not, its leg ends, and the talk
    /// with it.
    pub(super) fn ask_the_agent(&mut self, cx: &mut Cx<'_>) {
        if let Stage::Conversation(talk) = &self.stage {
            cx.sip.probe(cx.now.mono, talk.leg);
        }
    }

    /// The agent's side broke down: the caller hears so and waits again, with
    /// the time already waited.
    pub(super) fn talk_broke(&mut self, cx: &mut Cx<'_>) {
        let three = self.is_consult_of_three();
        let partner = match &self.stage {
            Stage::Conversation(talk) => match talk.other {
                Other::Partner { partner, .. } => Some(partner),
                Other::Agent { .. } => None,
            },
            _ => None,
        };
        self.part(Some("SIP;cause=408;text=\"Connection lost\""), cx);
        match partner {
            Some(partner) => self.record_taken_back(partner, desk::TakenBack::Broken, cx),
            None => self.note(cx, NoteWhat::Broken),
        }
        if three {
            self.asks = Some(Ask::ColleagueLeft);
            return;
        }
        if self.consult.is_some() {
            return self.hang_up(cx, desk::EndCause::AgentHungUp, None);
        }
        if self.agent_left_callback(cx) {
            return;
        }
        self.session
            .handle(cx.now.mono, FlowInput::ConversationBroken);
        self.carry_out(cx);
    }

    /// Takes the agent or partner out of the conversation and hangs up on them.
    pub(super) fn part(&mut self, reason: Option<&str>, cx: &mut Cx<'_>) {
        if let Some(leg) = self.let_go(cx) {
            cx.sip.hangup(cx.now.mono, leg, reason);
        }
    }

    /// Takes them out of it. Their leg, unless it has ended, is left to the
    /// caller of this.
    pub(super) fn let_go(&mut self, cx: &mut Cx<'_>) -> Option<sip::LegId> {
        let talk = match std::mem::replace(&mut self.stage, Stage::Flow) {
            Stage::Conversation(talk) => talk,
            other => {
                self.stage = other;
                return None;
            }
        };
        let leg = cx.index.legs.remove(&talk.leg).map(|_| talk.leg);
        talk.audio.close(cx);
        self.sound = Sound::Nothing;
        match talk.other {
            Other::Agent { offer, .. } => {
                cx.index.direct_over(offer);
                self.owe(cx, Owing::Finish(offer));
            }
            Other::Partner { trunked, .. } => cx.trunks.release(&trunked.trunk.name),
        }
        leg
    }

    pub(super) fn talk_timeout(&mut self, cx: &mut Cx<'_>) {
        if let Stage::Conversation(talk) = &mut self.stage
            && matches!(talk.other, Other::Agent { .. })
            && cx.now.mono >= talk.announce_at
        {
            talk.announce_at = cx.now.mono + TALKING_EVERY;
            self.announce_talk(cx);
        }
    }

    /// Tells the distributor the whole conversation, so that one that starts
    /// anew learns of it.
    pub(super) fn announce_talk(&self, cx: &mut Cx<'_>) {
        if let Some((offer, agent, visit)) = self.talked() {
            cx.acd(ToAcd::Talking {
                offer,
                tenant: acd::TenantId(self.tenant.0),
                contact: acd::ContactId(self.id.0),
                visit,
                agent,
            });
        }
    }
}

/// How a leg ended that we didn't end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LegEnd {
    /// BYE or CANCEL.
    HungUp,
    /// A final answer other than 2xx.
    Refused(u16),
    /// Time-out, transport error, lost dialog.
    Broken,
}
