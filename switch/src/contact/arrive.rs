//! From the INVITE to the first word.

use std::net::IpAddr;
use std::sync::Arc;

use acd::AgentId;
use desk::{Caller, ContactId, FlowName, PhoneNumber, What};
use ivr_flows::{Facts, Session};
use media::codec::Format;
use media::engine::{Command as MediaCommand, LegId as MediaLegId};
use media::sdp::{self, Capabilities, LocalMedia};
use media::srtp::Secret;

use super::outbox::Outbox;
use super::{Audio, Consulting, Contact, Cx, Side, Sound, Stage, target_of};
use crate::admission::Permit;
use crate::input::{MediaKey, NoteSide, NoteWhat};
use crate::setup::{Encryption, EncryptionUnavailable, Line};

/// A call that is admitted and whose caller may call.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) leg: sip::LegId,
    pub(crate) peer: sip::Peer,
    pub(crate) line: Line,
    pub(crate) dnis: PhoneNumber,
    pub(crate) ani: Option<PhoneNumber>,
    /// Headers that go along.
    pub(crate) carried: Vec<(String, String)>,
    /// What the caller's account says of it.
    pub(crate) encryption: Option<Encryption>,
    /// It comes by a trunk.
    pub(crate) by_trunk: bool,
    /// Its Request-URI is a `sips:` one.
    pub(crate) secure: bool,
    /// Max-Forwards.
    pub(crate) hops_left: Option<u8>,
    pub(crate) sdp: Option<Vec<u8>>,
    /// An agent asks a colleague.
    pub(crate) consulting: Option<Consulting>,
    /// This supervisor calls, by a number for supervisors.
    pub(crate) supervisor: Option<AgentId>,
}

/// A media leg that was asked for.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) leg: MediaLegId,
    pub(crate) port: u16,
    pub(crate) secret: Secret,
}

/// Can anybody at all be called so that nobody on the way reads along?
fn somebody_by_tls(cx: &Cx<'_>) -> bool {
    let by_trunk = || {
        cx.setup.trunks.values().any(|trunk| {
            let ways = cx.trunks.ways(cx.now.mono, trunk).into_iter();
            let mut targets =
                ways.filter_map(|way| target_of(trunk, &way, "0", &[], cx.phones, cx.setup));
            targets.any(|target| target.peer.transport.is_secure())
        })
    };
    cx.phones.somebody_by_tls() || by_trunk()
}

impl Contact {
    /// A call comes in: it is noted down, and a media leg asked for.
    pub(crate) fn arrive(id: ContactId, arrival: Arrival, cx: &mut Cx<'_>) -> Self {
        let Arrival {
            leg,
            peer,
            line,
            dnis,
            ani,
            carried,
            encryption,
            by_trunk,
            secure,
            hops_left,
            sdp,
            consulting,
            supervisor,
        } = arrival;
        let tenant = cx.setup.tenants.get(&line.tenant);
        let facts = Facts {
            dnis: Arc::from(dnis.0.as_str()),
            ani_withheld: ani.is_none(),
            hospital: tenant.map_or_else(|| Arc::from(""), |t| Arc::clone(&t.key)),
            hospital_name: tenant.map_or_else(|| Arc::from(""), |t| Arc::clone(&t.name)),
            languages: Arc::clone(&cx.setup.languages),
        };
        let mut contact = Self {
            id,
            tenant: line.tenant,
            clinical: line.clinical,
            permit: None,
            dnis,
            ani,
            hops_left,
            carried,
            caller: Caller::Unknown,
            leg,
            peer,
            encryption,
            by_trunk,
            secure,
            text: false,
            offer_in: sdp,
            audio: Audio::None,
            sound: Sound::Nothing,
            session: Session::new(Arc::clone(&line.flow), facts),
            acting: None,
            flow: line.flow,
            found: None,
            supervisor,
            showing: Default::default(),
            consult: None,
            typed: Default::default(),
            conference: None,
            offered: Default::default(),
            asks: None,
            came: None,
            referred_by: None,
            keys_by: None,
            keys_in_audio: false,
            stage: Stage::Opening { since: cx.now.mono },
            taken: None,
            taking: None,
            visits: 0,
            waiting_since: None,
            outbox: Outbox::default(),
            owed: Vec::new(),
            calling_back: None,
            wake: None,
        };
        cx.index.legs.insert(leg, (id, Side::Caller));
        if let Some(consulting) = consulting {
            // Who is asked sees whom it is about.
            contact.caller = consulting.caller;
            contact.showing.level = consulting.level;
            contact.ani = consulting.ani;
            contact.carried = consulting.carried;
            contact.secure |= consulting.secure;
            contact.came = consulting.class.map(|class| ("".into(), class));
            contact.note(cx, NoteWhat::Consults(consulting.consult.of));
            contact.consult = Some(Box::new(consulting.consult));
            contact.audio = Audio::Opening(contact.wish(cx, Side::Caller, consulting.with, peer));
            return contact;
        }
        contact.note(cx, NoteWhat::Arrived);
        let dialled = Arc::from(contact.dnis.0.as_str());
        contact.note(cx, NoteWhat::Dialled(dialled));
        let flow = contact.flow.name();
        let version = cx.setup.flow_versions.get(flow).copied();
        let start = What::Start {
            dnis: contact.dnis.clone(),
            ani: contact.ani.clone(),
            flow: FlowName::new(flow).zip(version),
        };
        contact.tell_desk(cx, start);
        contact.audio = Audio::Opening(contact.wish(cx, Side::Caller, None, peer));
        contact
    }

    /// The call is counted until the permit is given back.
    pub(crate) fn hold(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// Asks for a media leg.
    pub(super) fn wish(
        &self,
        cx: &mut Cx<'_>,
        side: Side,
        with: Option<MediaLegId>,
        towards: sip::Peer,
    ) -> MediaKey {
        cx.wish(self.id, side, with, towards)
    }

    /// A media leg is open (or there is none to be had).
    pub(crate) fn media_opened(
        &mut self,
        side: Side,
        key: MediaKey,
        opened: Option<Opened>,
        cx: &mut Cx<'_>,
    ) {
        match side {
            Side::Caller if self.is_dialling() => self.customer_media(key, opened, cx),
            Side::Caller => {
                let wanted = matches!(self.stage, Stage::Opening { .. })
                    && matches!(self.audio, Audio::Opening(k) if k == key);
                match opened {
                    Some(Opened { leg, .. }) if !wanted => cx.media(MediaCommand::Close { leg }),
                    Some(opened) => self.accept(opened, cx),
                    None if wanted => self.refuse_arrival(cx, cx.setup.sip.refusal_code),
                    None => {}
                }
            }
            Side::Agent if self.takes(key) => self.taken_over(opened, cx),
            Side::Agent => self.call_media(key, opened, cx),
        }
    }

    /// Answers the INVITE.
    fn accept(&mut self, opened: Opened, cx: &mut Cx<'_>) {
        let Opened { leg, port, secret } = opened;
        if self.secure && !somebody_by_tls(cx) {
            cx.media(MediaCommand::Close { leg });
            self.audio = Audio::None;
            self.note(cx, NoteWhat::NotEncrypted(NoteSide::Agent));
            cx.sip.reject(cx.now.mono, self.leg, 480, None, &[]);
            return self.over(cx, desk::EndCause::NotEncrypted, None);
        }
        let address = cx.setup.media.address_towards(self.peer.addr.ip());
        let local = LocalMedia::new(address, port, self.id.0);
        cx.index.media.insert(leg, (self.id, Side::Caller));
        let codecs = if self.by_trunk {
            &cx.setup.codecs.trunks
        } else {
            &cx.setup.codecs.phones
        };
        let policy = cx.setup.encryption.towards(self.peer, self.encryption);
        let caps = policy.map(|encryption| capabilities(encryption, secret, codecs));
        let described = match (&caps, self.offer_in.take()) {
            (Ok(caps), Some(offer)) => sdp::answer(&offer, &local, caps)
                .map(|(negotiated, answer)| (Some(negotiated), None, answer)),
            (Ok(caps), None) => {
                let offer = sdp::offer(&local, caps);
                Ok((None, Some(offer.clone()), offer))
            }
            (Err(EncryptionUnavailable), _) => Err(sdp::SdpError::EncryptionRequired),
        };
        let caps = caps.unwrap_or_default();
        if cx.setup.codecs.find_text {
            cx.media(MediaCommand::FindText { leg });
        }
        self.audio = Audio::Open {
            leg,
            local,
            caps,
            negotiated: None,
            offered: None,
            streams: sdp::Streams::default(),
        };
        let body = match described {
            Ok((Some(agreed), _, answer)) => {
                self.has_described(&answer);
                self.connect(Side::Caller, agreed, cx);
                answer
            }
            Ok((None, offer, body)) => {
                self.has_described(&body);
                if let Audio::Open { offered, .. } = &mut self.audio {
                    *offered = offer;
                }
                body
            }
            Err(error) => return self.refuse_description(cx, &error),
        };
        cx.sip.answer(cx.now.mono, self.leg, &body, &[]);
        self.stage = Stage::Answered { since: cx.now.mono };
        self.note(cx, NoteWhat::Answered);
    }

    /// The ACK came, with the answer to our offer if the INVITE had none.
    pub(crate) fn confirmed(&mut self, side: Side, sdp: Option<&[u8]>, cx: &mut Cx<'_>) {
        if let Some(answer) = sdp {
            self.take_answer(side, answer, cx);
            self.join(cx);
        }
        if side == Side::Caller && matches!(self.stage, Stage::Answered { .. }) {
            if self.can_hear() {
                self.begin(cx);
            } else {
                // RFC 3261 section 13.2.2.4: the ACK brought no usable answer.
                self.hang_up(
                    cx,
                    desk::EndCause::SystemFailure,
                    Some("SIP;cause=488;text=\"No common audio\""),
                );
            }
        }
    }

    /// The flow begins: the caller listens from now on.
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>) {
        if let Some(consult) = &self.consult {
            let to = consult.to.clone();
            return self.consult_begins(to, cx);
        }
        self.stage = Stage::Flow;
        self.session.start(cx.now.mono);
        self.carry_out(cx);
    }

    /// The call can't be taken. Its journey was begun, so it is also ended.
    pub(super) fn refuse_arrival(&mut self, cx: &mut Cx<'_>, code: u16) {
        cx.sip.reject(cx.now.mono, self.leg, code, None, &[]);
        self.over(cx, desk::EndCause::SystemFailure, None);
    }

    /// The caller's description can't be taken; the refusal says why (RFC 3261 section 20.43).
    fn refuse_description(&mut self, cx: &mut Cx<'_>, error: &sdp::SdpError) {
        let warning = format!("399 {} \"{error}\"", cx.setup.realm);
        let extra = [("Warning", warning.as_str())];
        cx.sip
            .reject(cx.now.mono, self.leg, refusal_for(error), None, &extra);
        let cause = if *error == sdp::SdpError::EncryptionRequired {
            self.note(cx, NoteWhat::NotEncrypted(NoteSide::Caller));
            desk::EndCause::NotEncrypted
        } else {
            desk::EndCause::SystemFailure
        };
        self.over(cx, cause, None);
    }

    /// Takes the peer's answer to an offer of ours in a 200.
    pub(super) fn take_answer(&mut self, side: Side, answer: &[u8], cx: &mut Cx<'_>) {
        let Some(Audio::Open { offered, .. }) = self.audio_of(side) else {
            return;
        };
        let Some(offer) = offered.take() else { return };
        match sdp::accept(&offer, answer) {
            Ok(agreed) => self.connect(side, agreed, cx),
            Err(error) => self.answer_unusable(side, &error, cx),
        }
    }

    /// An answer that can't be taken. A call that was up goes on as it was.
    pub(super) fn answer_unusable(&mut self, side: Side, error: &sdp::SdpError, cx: &mut Cx<'_>) {
        self.note(
            cx,
            match error {
                sdp::SdpError::EncryptionRequired => NoteWhat::NotEncrypted(side.into()),
                _ => NoteWhat::AnswerUnusable(side.into()),
            },
        );
    }

    /// The caller's leg has this description of ours.
    fn has_described(&mut self, body: &[u8]) {
        if let Audio::Open { streams, .. } = &mut self.audio {
            *streams = sdp::Streams::of(body);
        }
    }

    /// What was agreed with that side is what is sent and heard there from now
    /// on.
    pub(super) fn connect(&mut self, side: Side, agreed: sdp::Negotiated, cx: &mut Cx<'_>) {
        let signalled = agreed.remote_rtp.ip();
        let natted = natted(signalled, self.peer_of(side), self.leg_of(side), cx);
        if let (Side::Agent, Stage::Conversation(talk)) = (side, &mut self.stage) {
            // The watch over what comes begins anew.
            talk.quiet = false;
        }
        let Some(Audio::Open {
            leg, negotiated, ..
        }) = self.audio_of(side)
        else {
            return;
        };
        let before = negotiated.replace(agreed.clone());
        let leg = *leg;
        let in_clear = agreed.srtp.is_none() && before.is_some_and(|before| before.srtp.is_some());
        cx.media(MediaCommand::Connect {
            leg,
            natted,
            negotiated: agreed,
        });
        if in_clear {
            self.note(cx, NoteWhat::NowInClear(side.into()));
        }
    }

    /// That side's leg, if there is one.
    pub(super) fn leg_of(&self, side: Side) -> Option<sip::LegId> {
        match (side, &self.stage) {
            (Side::Caller, _) => Some(self.leg),
            (Side::Agent, Stage::Conversation(talk)) => Some(talk.leg),
            (Side::Agent, _) => self.call()?.progress.leg(),
        }
    }

    /// Who is at the other end of that side's leg.
    pub(super) fn peer_of(&self, side: Side) -> sip::Peer {
        match (side, &self.stage) {
            (Side::Caller, _) => self.peer,
            (Side::Agent, Stage::Conversation(talk)) => talk.peer,
            (Side::Agent, _) => self.call().map_or(self.peer, |call| call.peer),
        }
    }

    /// The audio of that side, if it has any.
    pub(super) fn audio_of(&mut self, side: Side) -> Option<&mut Audio> {
        match (side, &mut self.stage) {
            (Side::Caller, _) => Some(&mut self.audio),
            (Side::Agent, Stage::Conversation(talk)) => Some(&mut talk.audio),
            (Side::Agent, Stage::Offer(_, offer)) => Some(&mut offer.call.audio),
            (Side::Agent, Stage::Outside(outside)) => Some(&mut outside.call.audio),
            (Side::Agent, _) => None,
        }
    }
}

impl From<Side> for NoteSide {
    fn from(side: Side) -> Self {
        match side {
            Side::Caller => Self::Caller,
            Side::Agent => Self::Agent,
        }
    }
}

/// May a side's media address be learnt from its packets? Then here is the
/// host they are expected from: that of its signalling.
pub(crate) fn natted(
    signalled: IpAddr,
    peer: sip::Peer,
    leg: Option<sip::LegId>,
    cx: &Cx<'_>,
) -> Option<IpAddr> {
    let peer = peer.addr.ip().to_canonical();
    let way = Way {
        local: cx.setup.media.is_local(signalled) && cx.setup.media.is_local(peer),
        trunk: cx.setup.is_trusted(peer),
        by_via: leg.is_some_and(|leg| cx.sip.is_natted(leg)),
    };
    way.is_natted(signalled, peer).then_some(peer)
}

/// What is known of the way to a peer.
#[derive(Debug, Clone, Copy, Default)]
struct Way {
    /// Its signalling and its audio are both in networks that we reach directly.
    local: bool,
    trunk: bool,
    /// Its Via names another address than its requests come from.
    by_via: bool,
}

impl Way {
    /// A private address behind another one can't be right. Nor can what a
    /// phone says of itself whose Via is wrong; where its address is right, a
    /// NAT on the way may still have given it another port. A trunk's audio
    /// often comes from elsewhere, and its Via proves nothing.
    fn is_natted(self, signalled: IpAddr, peer: IpAddr) -> bool {
        if self.local {
            return false;
        }
        let wrong = signalled != peer
            // Phones on this machine say an address of their network and send from loopback.
            && (sip::is_private(signalled) || peer.is_loopback());
        wrong || !self.trunk && self.by_via
    }
}

/// What we can speak on a leg.
pub(crate) fn capabilities(
    encryption: Encryption,
    secret: Secret,
    codecs: &[Format],
) -> Capabilities {
    Capabilities {
        codecs: codecs.to_vec(),
        encryption: match encryption {
            Encryption::Off => sdp::Encryption::Off,
            Encryption::Offered => sdp::Encryption::Offered(secret),
            Encryption::Required => sdp::Encryption::Required(secret),
        },
        ..Capabilities::default()
    }
}

/// What a peer hears whose session description we can't take.
pub(super) fn refusal_for(error: &sdp::SdpError) -> u16 {
    error.status()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(signalled: &str, peer: &str, way: Way, natted: bool) {
        let ip = |text: &str| text.parse().unwrap();
        assert_eq!(way.is_natted(ip(signalled), ip(peer)), natted);
    }

    #[test]
    fn an_address_is_learnt_where_the_one_in_the_description_can_t_be_right() {
        let phone = Way::default();
        let trunk = Way {
            trunk: true,
            ..phone
        };
        let local = Way {
            local: true,
            ..phone
        };
        check("10.0.0.9", "198.51.100.7", phone, true);
        check("10.0.0.9", "198.51.100.7", trunk, true);
        check("10.0.0.9", "10.1.0.1", local, false);
        // Audio elsewhere than signalling is right as it is said.
        check("203.0.113.9", "198.51.100.7", phone, false);
        check("203.0.113.9", "198.51.100.7", trunk, false);
        check("198.51.100.7", "198.51.100.7", phone, false);
        // A Via that is wrong makes the rest doubtful, but for a trunk.
        for (way, natted) in [(phone, true), (trunk, false), (local, false)] {
            let way = Way {
                by_via: true,
                ..way
            };
            check("203.0.113.9", "198.51.100.7", way, natted);
            check("198.51.100.7", "198.51.100.7", way, natted);
        }
        // Beside us.
        check("192.0.2.1", "127.0.0.1", phone, true);
    }
}
