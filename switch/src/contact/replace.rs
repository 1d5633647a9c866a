//! A telephone takes the place of another (INVITE with Replaces, RFC 3891): an agent's own call goes on at another of
//! their telephones, what rings there is answered at another, or a colleague of the same queue answers it for them.
//!
//! The caller notices nothing but who speaks: until the new telephone has audio the old one has them. To the distributor
//! an agent's own call stays the offer it is; a colleague's pick-up ends that offer without blame, and is a conversation
//! of its own, like a transfer to them.

use std::time::Duration;

use acd::{AgentId, Refusal, Visit};
use desk::Journey;
use media::engine::Command as MediaCommand;
use media::sdp::{self, LocalMedia};

use super::arrive::{Opened, capabilities};
use super::call::Call;
use super::transfer::Direct;
use super::{
    Audio, Contact, Cx, MEDIA_OPEN_MAX, Offer, Progress, Side, Stage, TALKING_EVERY, Talk,
};
use crate::input::{MediaKey, NoteSide, NoteWhat};
use crate::setup::{Encryption, EncryptionUnavailable};

/// Said to the telephone whose place is taken.
const REPLACED: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// A telephone about to take another's place, once it has a media leg.
#[derive(Debug)]
pub(crate) struct Taking {
    pub(crate) leg: sip::LegId,
    pub(crate) peer: sip::Peer,
    /// Whose it is.
    pub(crate) agent: AgentId,
    /// The leg whose place it takes.
    pub(crate) of: sip::LegId,
    /// Its description. (Without one it is refused.)
    pub(crate) sdp: Vec<u8>,
    /// What the agent's account says of it.
    pub(crate) encryption: Option<Encryption>,
}

/// The same, waiting for that.
#[derive(Debug)]
pub(super) struct Waiting {
    taking: Taking,
    wish: MediaKey,
    until: Duration,
}

impl Contact {
    /// May this agent's telephone take the place of that leg? A status code otherwise (RFC 3891 section 3).
    pub(crate) fn may_take(
        &self,
        leg: sip::LegId,
        agent: AgentId,
        early_only: bool,
        setup: &crate::setup::Setup,
    ) -> Result<(), u16> {
        if self.taking.is_some() {
            return Err(486);
        }
        match &self.stage {
            Stage::Conversation(talk) if talk.leg == leg => {
                // Of three the agent's call is the one they made; it isn't taken over.
                if self.talks_with() != Some(agent) || self.conference.is_some() {
                    return Err(403);
                }
                if early_only { Err(486) } else { Ok(()) }
            }
            Stage::Offer(stay, offer) => match offer.call.progress {
                Progress::Calling { leg: rings, .. } | Progress::Ringing { leg: rings }
                    if rings == leg =>
                {
                    let mut accounts = setup.accounts.values();
                    let account = accounts.find(|account| account.agent == Some(agent));
                    let serves = account.is_some_and(|own| own.serves.contains(&stay.queue));
                    let colleague = serves && offer.direct.is_none();
                    match offer.agent == agent || colleague {
                        true => Ok(()),
                        false => Err(403),
                    }
                }
                _ => Err(403),
            },
            _ => Err(403),
        }
    }

    /// A telephone has leave to take that place: it needs a media leg.
    pub(crate) fn take(&mut self, taking: Taking, cx: &mut Cx<'_>) {
        let wish = self.wish(cx, Side::Agent, self.audio.leg(), taking.peer);
        cx.index.takings.insert(taking.leg, self.id);
        self.taking = Some(Box::new(Waiting {
            taking,
            wish,
            until: cx.now.mono + MEDIA_OPEN_MAX,
        }));
    }

    pub(super) fn takes(&self, key: MediaKey) -> bool {
        self.taking.as_ref().is_some_and(|taken| taken.wish == key)
    }

    pub(super) fn taking_deadline(&self) -> Option<Duration> {
        self.taking.as_ref().map(|waiting| waiting.until)
    }

    pub(super) fn taking_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.taking_deadline().is_some_and(|at| at <= cx.now.mono) {
            self.stop_taking(503, cx);
        }
    }

    /// It comes to nothing. The other telephone has the call as before, if there is still one.
    pub(crate) fn stop_taking(&mut self, code: u16, cx: &mut Cx<'_>) {
        if let Some(waiting) = self.taking.take() {
            cx.index.wishes.remove(&waiting.wish);
            if cx.index.takings.remove(&waiting.taking.leg).is_some() {
                let leg = waiting.taking.leg;
                cx.sip.reject(cx.now.mono, leg, code, None, &[]);
            }
        }
    }

    /// The telephone has a media leg: the call is its now, if it is still to be had.
    pub(super) fn taken_over(&mut self, opened: Option<Opened>, cx: &mut Cx<'_>) {
        let Some(waiting) = self.taking.take() else {
            return;
        };
        let taking = waiting.taking;
        cx.index.takings.remove(&taking.leg);
        let now = cx.now.mono;
        let Some(Opened { leg, port, secret }) = opened else {
            return cx.sip.reject(now, taking.leg, 503, None, &[]);
        };
        let refuse = |code, cx: &mut Cx<'_>| {
            cx.media(MediaCommand::Close { leg });
            cx.sip.reject(now, taking.leg, code, None, &[]);
        };
        if self
            .may_take(taking.of, taking.agent, false, cx.setup)
            .is_err()
        {
            return refuse(603, cx);
        }
        let address = cx.setup.media.address_towards(taking.peer.addr.ip());
        let local = LocalMedia::new(address, port, self.id.0 ^ (1 << 51));
        let policy = cx.setup.encryption.towards(taking.peer, taking.encryption);
        let open = self.secure && !taking.peer.transport.is_secure();
        let policy = if open {
            Err(EncryptionUnavailable)
        } else {
            policy
        };
        let Ok(encryption) = policy.map_err(|EncryptionUnavailable| {
            self.note(cx, NoteWhat::NotEncrypted(NoteSide::Agent));
        }) else {
            return refuse(488, cx);
        };
        let caps = capabilities(encryption, secret, &cx.setup.codecs.phones);
        let (agreed, body) = match sdp::answer(&taking.sdp, &local, &caps) {
            Ok(described) => described,
            Err(error) => return refuse(error.status(), cx),
        };
        cx.index.legs.insert(taking.leg, (self.id, Side::Agent));
        cx.index.media.insert(leg, (self.id, Side::Agent));
        let audio = Audio::Open {
            leg,
            local,
            caps,
            negotiated: None,
            offered: None,
            streams: sdp::Streams::of(&body),
        };
        cx.sip.answer(now, taking.leg, &body, &[]);
        let picked_up =
            matches!(&self.stage, Stage::Offer(_, offer) if offer.agent != taking.agent);
        match &mut self.stage {
            Stage::Conversation(talk) => talk.goes_on_at(&taking, audio, cx),
            Stage::Offer(_, offer) if !picked_up => offer.call.goes_on_at(&taking, audio, cx),
            _ => self.pick_up(&taking, audio, cx),
        }
        self.connect(Side::Agent, agreed, cx);
        match self.stage {
            Stage::Offer(..) => self.agent_answered(taking.leg, cx),
            _ => self.join(cx),
        }
    }

    /// A colleague answers what rings at somebody else's.
    fn pick_up(&mut self, taking: &Taking, audio: Audio, cx: &mut Cx<'_>) {
        let (mut stay, offer) = match std::mem::replace(&mut self.stage, Stage::Flow) {
            Stage::Offer(stay, offer) => (stay, offer),
            other => {
                self.stage = other;
                return audio.close(cx);
            }
        };
        // Not the fault of whom it was offered to.
        self.withdraw(*offer, Refusal::ContactGone, Some(REPLACED), cx);
        let (id, agent) = (cx.direct_offer(), taking.agent);
        self.visits += 1;
        stay.visit = Visit(self.visits);
        stay.announce_at = cx.now.mono + TALKING_EVERY;
        cx.index.offers.insert(id, self.id);
        cx.index.direct.insert(agent, id);
        let call = Call::answered(taking.peer, audio, taking.leg);
        self.stage = Stage::Offer(
            stay,
            Box::new(Offer {
                id,
                agent,
                until: cx.now.mono,
                call,
                untried: Vec::new(),
                direct: Some(Direct { told: None }),
            }),
        );
        let agent = desk::AgentId(agent.0);
        self.journey(cx, Journey::Offered { agent });
        self.note(cx, NoteWhat::Offered(id, agent));
    }
}

impl Talk {
    /// Another of the agent's telephones has the conversation.
    fn goes_on_at(&mut self, taking: &Taking, audio: Audio, cx: &mut Cx<'_>) {
        let before = std::mem::replace(&mut self.leg, taking.leg);
        self.peer = taking.peer;
        self.quiet = false;
        std::mem::replace(&mut self.audio, audio).close(cx);
        if cx.index.legs.remove(&before).is_some() {
            cx.sip.hangup(cx.now.mono, before, Some(REPLACED));
        }
    }
}

impl Call {
    /// A call that is answered by somebody else than who was called.
    fn answered(peer: sip::Peer, audio: Audio, leg: sip::LegId) -> Self {
        Self {
            peer,
            audio,
            progress: Progress::Ringing { leg },
            secret: None,
        }
    }

    /// Another of the agent's telephones answers it.
    fn goes_on_at(&mut self, taking: &Taking, audio: Audio, cx: &mut Cx<'_>) {
        let next = Self::answered(taking.peer, audio, taking.leg);
        std::mem::replace(self, next).end(Some(REPLACED), cx);
    }
}
