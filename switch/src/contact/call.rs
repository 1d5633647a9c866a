//! The calls that are made for a contact, to an agent's phone or to a partner:
//! what the two have in common.

use std::time::Duration;

use media::codec::Format;
use media::engine::{Command as MediaCommand, LegId as MediaLegId};
use media::sdp::{self, Capabilities, LocalMedia};
use media::srtp::Secret;

use super::arrive::{Opened, capabilities};
use super::{Audio, Contact, Cx, Progress, Side, Stage, TRYING_MAX};
use crate::input::{MediaKey, NoteSide, NoteWhat};
use crate::phones::Target;
use crate::setup::{Encryption, EncryptionUnavailable};

/// A call to one phone or gateway after the other, until one answers.
#[derive(Debug)]
pub(crate) struct Call {
    /// Whom it goes to at the moment.
    pub(crate) peer: sip::Peer,
    pub(crate) audio: Audio,
    pub(crate) progress: Progress,
    /// What the keys of the leg are made of, once that is open.
    pub(super) secret: Option<Secret>,
}

impl Call {
    /// Begins one for somebody: its media leg is asked for, on the thread of `with`.
    pub(crate) fn begin(
        whose: desk::ContactId,
        with: Option<MediaLegId>,
        towards: sip::Peer,
        cx: &mut Cx<'_>,
    ) -> Self {
        let key = cx.wish(whose, Side::Agent, with, towards);
        Self {
            peer: towards,
            audio: Audio::Opening(key),
            progress: Progress::Opening { since: cx.now.mono },
            secret: None,
        }
    }

    /// One whose media leg is asked for already.
    pub(super) fn opening(key: MediaKey, towards: sip::Peer, since: Duration) -> Self {
        Self {
            peer: towards,
            audio: Audio::Opening(key),
            progress: Progress::Opening { since },
            secret: None,
        }
    }

    /// The next place is about to be called.
    pub(crate) fn anew(&mut self, cx: &Cx<'_>) {
        self.progress = Progress::Opening { since: cx.now.mono };
    }

    /// Has the other side answered with audio that we can speak?
    pub(crate) fn is_usable(&self) -> bool {
        self.audio.codec().is_some()
    }

    /// Ends it, whatever it has come to.
    pub(crate) fn end(self, reason: Option<&str>, cx: &mut Cx<'_>) {
        if let Some(leg) = self.progress.leg()
            && cx.index.legs.remove(&leg).is_some()
        {
            cx.sip.hangup(cx.now.mono, leg, reason);
        }
        self.audio.close(cx);
    }

    pub(crate) fn opened(&mut self, leg: MediaLegId, secret: Secret, local: LocalMedia) {
        self.secret = Some(secret);
        self.audio = Audio::Open {
            leg,
            local,
            caps: Capabilities::default(),
            negotiated: None,
            offered: None,
            streams: sdp::Streams::default(),
        };
    }

    /// Our offer to that place; none before the media leg is open.
    pub(crate) fn offer(
        &mut self,
        to: sip::Peer,
        encryption: Encryption,
        codecs: &[Format],
        spoken: Option<Format>,
        cx: &Cx<'_>,
    ) -> Option<Vec<u8>> {
        let Audio::Open {
            local,
            caps,
            offered,
            streams,
            ..
        } = &mut self.audio
        else {
            return None;
        };
        // Each place has keys of its own: one that refuses has seen what it was offered.
        *caps = capabilities(encryption, self.secret.as_mut()?.draw(), codecs);
        // What the caller speaks comes first: then nothing is transcoded, which text telephones (TTY) need.
        caps.codecs.sort_by_key(|codec| Some(*codec) != spoken);
        local.address = cx.setup.media.address_towards(to.addr.ip());
        self.peer = to;
        let body = sdp::offer(local, caps);
        *offered = Some(body.clone());
        *streams = sdp::Streams::of(&body);
        Some(body)
    }
}

impl Contact {
    /// The call being made for the caller.
    pub(super) fn call(&self) -> Option<&Call> {
        match &self.stage {
            Stage::Offer(_, offer) => Some(&offer.call),
            Stage::Outside(outside) => Some(&outside.call),
            _ => None,
        }
    }

    pub(super) fn call_mut(&mut self) -> Option<&mut Call> {
        match &mut self.stage {
            Stage::Offer(_, offer) => Some(&mut offer.call),
            Stage::Outside(outside) => Some(&mut outside.call),
            _ => None,
        }
    }

    /// Begins a call: its media leg is asked for. `towards` says only which of
    /// our addresses will be reached; the place called may yet be another.
    pub(super) fn new_call(&self, towards: sip::Peer, cx: &mut Cx<'_>) -> Call {
        Call::begin(self.id, self.audio.leg(), towards, cx)
    }

    /// The media leg of a call is open, or there is none.
    pub(super) fn call_media(&mut self, key: MediaKey, opened: Option<Opened>, cx: &mut Cx<'_>) {
        let (id, session) = (self.id, self.id.0 ^ (1 << 52));
        let call = self.call_mut();
        let call = call.filter(|call| matches!(call.audio, Audio::Opening(k) if k == key));
        match (call, opened) {
            (Some(call), Some(Opened { leg, port, secret })) => {
                let local = LocalMedia::new(cx.setup.media.bind.ip(), port, session);
                call.opened(leg, secret, local);
                cx.index.media.insert(leg, (id, Side::Agent));
                self.call_next(cx);
            }
            (None, Some(Opened { leg, .. })) => cx.media(MediaCommand::Close { leg }),
            (Some(_), None) => self.no_media(cx),
            (None, None) => {}
        }
    }

    /// Our shortage, not the other side's.
    fn no_media(&mut self, cx: &mut Cx<'_>) {
        match self.stage {
            Stage::Outside(_) => self.give_up_partner(desk::TakenBack::Failed, cx),
            // They rest no longer than needed to keep this from being tried over and over.
            _ => self.give_up_offer(acd::Refusal::Declined, None, cx),
        }
    }

    fn call_next(&mut self, cx: &mut Cx<'_>) {
        match self.stage {
            Stage::Outside(_) => self.call_next_gateway(cx),
            _ => self.call_next_phone(cx),
        }
    }

    /// The first of these places that may be called as our policy, `own` and the
    /// caller's `sips:` want it: one that can't be reached encrypted isn't called
    /// in the clear.
    pub(crate) fn choose<P>(
        &self,
        own: Option<Encryption>,
        mut places: impl FnMut() -> Option<(Target, P)>,
        cx: &mut Cx<'_>,
    ) -> Option<(Target, P, Encryption)> {
        let mut refused = false;
        while let Some((target, place)) = places() {
            if self.secure && !target.peer.transport.is_secure() {
                refused = true;
                continue;
            }
            match cx.setup.encryption.towards(target.peer, own) {
                Ok(encryption) => return Some((target, place, encryption)),
                Err(EncryptionUnavailable) => refused = true,
            }
        }
        if refused {
            self.note(cx, NoteWhat::NotEncrypted(NoteSide::Agent));
        }
        None
    }

    /// An INVITE with our offer to that place; none before the media leg is
    /// open.
    pub(super) fn invitation(
        &mut self,
        target: Target,
        encryption: Encryption,
        from: sip::Identity,
        cx: &Cx<'_>,
    ) -> Option<sip::Invite> {
        let (spoken, hops_left) = (self.audio.codec(), self.hops_left);
        let codecs = match self.stage {
            Stage::Outside(_) => &cx.setup.codecs.trunks,
            _ => &cx.setup.codecs.phones,
        };
        // What a text telephone sends must arrive as it is.
        let codecs: Vec<Format> = codecs
            .iter()
            .copied()
            .filter(|format| !self.text || matches!(format, Format::G711(_)))
            .collect();
        let call = self.call_mut()?;
        let body = call.offer(target.peer, encryption, &codecs, spoken, cx)?;
        let mut invite = sip::Invite::new(target.uri, target.peer, from, body);
        invite.pinned = target.pinned;
        invite.route = target.route;
        invite.max_forwards = hops_left.map(|left| left.saturating_sub(1));
        Some(invite)
    }

    /// Sends it; there is to be a sign of life `until` then.
    pub(super) fn invite(&mut self, invite: sip::Invite, until: Duration, cx: &mut Cx<'_>) {
        let id = self.id;
        let Some(call) = self.call_mut() else {
            return;
        };
        let leg = cx.sip.invite(cx.now.mono, invite);
        cx.index.legs.insert(leg, (id, Side::Agent));
        call.progress = Progress::Calling { leg, until };
    }

    /// Something on the way is at work.
    pub(crate) fn call_is_tried(&mut self, cx: &Cx<'_>) {
        if self.is_dialling() {
            return self.customer_is_tried(cx.now.mono);
        }
        let until_rings = match &self.stage {
            Stage::Outside(outside) => outside.patience.is_tried(cx.now.mono),
            _ => cx.now.mono + TRYING_MAX,
        };
        if let Some(call) = self.call_mut()
            && let Progress::Calling { until, .. } = &mut call.progress
        {
            *until = (*until).max(until_rings);
        }
    }

    /// It rings.
    pub(crate) fn call_rings(&mut self, sdp: Option<&[u8]>, cx: &mut Cx<'_>) {
        if self.is_dialling() {
            return self.customer_rings(cx);
        }
        if let Some(answer) = sdp {
            self.early_answer(answer, cx);
        }
        if let Some(call) = self.call_mut()
            && let Progress::Calling { leg, .. } = call.progress
        {
            call.progress = Progress::Ringing { leg };
            if let Stage::Outside(outside) = &mut self.stage {
                outside.patience.reached();
                outside.trunked.alive(cx);
            }
        }
    }

    /// It is answered.
    pub(crate) fn call_answered(&mut self, sdp: Option<&[u8]>, cx: &mut Cx<'_>) {
        if self.is_dialling() {
            return self.customer_answered(sdp, cx);
        }
        let Some(leg) = self.call().and_then(|call| call.progress.leg()) else {
            return;
        };
        if let Some(answer) = sdp {
            self.take_answer(Side::Agent, answer, cx);
        }
        match self.stage {
            Stage::Outside(_) => self.partner_answered(leg, cx),
            _ => self.agent_answered(leg, cx),
        }
    }
}

/// A ticket's number as User-to-User carries it (RFC 7433), and nothing else.
/// There is one package, of what ISDN carries (RFC 7434), and it is meant where
/// none is named: its first octet says that characters follow (ITU-T Q.931
/// section 4.5.30), here the digits.
pub(super) fn user_to_user(ticket: &str) -> String {
    let hex: String = ticket.bytes().map(|b| format!("{b:02x}")).collect();
    format!("04{hex};purpose=isdn-uui;encoding=hex")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_ticket_is_what_isdn_carries_as_characters() {
        let value = super::user_to_user("4719");
        assert_eq!(value, "0434373139;purpose=isdn-uui;encoding=hex");
    }
}
