//! From the INVITE to the first word.

use std::sync::Arc;

use desk::{Caller, ContactId, PhoneNumber, What};
use ivr_flows::{Facts, Session};
use media::engine::{Command as MediaCommand, LegId as MediaLegId};
use media::sdp::{self, Capabilities, LocalMedia};

use super::outbox::Outbox;
use super::{Audio, Contact, Cx, Side, Sound, Stage};
use crate::admission::Permit;
use crate::input::{MediaKey, NoteWhat, Output};
use crate::setup::Line;

/// A call that is admitted and whose caller may call.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) leg: sip::LegId,
    pub(crate) peer: sip::Peer,
    pub(crate) line: Line,
    pub(crate) dnis: PhoneNumber,
    pub(crate) ani: Option<PhoneNumber>,
    /// Max-Forwards.
    pub(crate) hops_left: Option<u8>,
    pub(crate) sdp: Option<Vec<u8>>,
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
            hops_left,
            sdp,
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
            caller: Caller::Unknown,
            leg,
            peer,
            offer_in: sdp,
            audio: Audio::None,
            sound: Sound::Nothing,
            session: Session::new(Arc::clone(&line.flow), facts),
            stage: Stage::Opening { since: cx.now.mono },
            visits: 0,
            waiting_since: None,
            outbox: Outbox::default(),
            owed: Vec::new(),
            wake: None,
        };
        cx.index.legs.insert(leg, (id, Side::Caller));
        contact.note(cx, NoteWhat::Arrived);
        let start = What::Start {
            dnis: contact.dnis.clone(),
            ani: contact.ani.clone(),
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
        cx.index.next_wish += 1;
        let key = MediaKey(cx.index.next_wish);
        cx.index.wishes.insert(key, (self.id, side));
        cx.out.push_back(Output::OpenMedia {
            key,
            with,
            towards: towards.addr.ip(),
        });
        key
    }

    /// A media leg is open (or there is none to be had).
    pub(crate) fn media_opened(
        &mut self,
        side: Side,
        key: MediaKey,
        opened: Option<(MediaLegId, u16)>,
        cx: &mut Cx<'_>,
    ) {
        match side {
            Side::Caller => {
                let wanted = matches!(self.stage, Stage::Opening { .. })
                    && matches!(self.audio, Audio::Opening(k) if k == key);
                match opened {
                    Some((leg, _)) if !wanted => cx.media(MediaCommand::Close { leg }),
                    Some((leg, port)) => self.accept(leg, port, cx),
                    None if wanted => self.refuse_arrival(cx, cx.setup.sip.refusal_code),
                    None => {}
                }
            }
            Side::Agent => self.agent_media(key, opened, cx),
        }
    }

    /// Answers the INVITE.
    fn accept(&mut self, leg: MediaLegId, port: u16, cx: &mut Cx<'_>) {
        let address = cx.setup.media.address_towards(self.peer.addr.ip());
        let local = LocalMedia::new(address, port, self.id.0);
        cx.index.media.insert(leg, (self.id, Side::Caller));
        let (negotiated, offered, body) = match self.offer_in.take() {
            Some(offer) => match sdp::answer(&offer, &local, &Capabilities::default()) {
                Ok((negotiated, answer)) => (Some(negotiated), None, answer),
                Err(error) => {
                    self.audio = Audio::Open {
                        leg,
                        local,
                        negotiated: None,
                        offered: None,
                    };
                    return self.refuse_arrival(cx, refusal_for(&error));
                }
            },
            None => {
                let offer = sdp::offer(&local, &Capabilities::default());
                (None, Some(offer.clone()), offer)
            }
        };
        if let Some(negotiated) = negotiated {
            let natted = is_natted(&negotiated, self.peer, cx.setup);
            cx.media(MediaCommand::Connect {
                leg,
                negotiated,
                natted,
            });
        }
        self.audio = Audio::Open {
            leg,
            local,
            negotiated,
            offered,
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
        self.stage = Stage::Flow;
        self.session.start(cx.now.mono);
        self.carry_out(cx);
    }

    /// The call can't be taken. Its journey was begun, so it is also ended.
    pub(super) fn refuse_arrival(&mut self, cx: &mut Cx<'_>, code: u16) {
        cx.sip.reject(cx.now.mono, self.leg, code, None, &[]);
        self.over(cx, desk::EndCause::SystemFailure, None);
    }

    /// Takes the peer's answer to an offer of ours in a 200.
    pub(super) fn take_answer(&mut self, side: Side, answer: &[u8], cx: &mut Cx<'_>) {
        let peer = self.peer_of(side);
        let Some(audio) = self.audio_of(side) else {
            return;
        };
        let Audio::Open {
            leg,
            negotiated,
            offered,
            ..
        } = audio
        else {
            return;
        };
        let Some(offer) = offered.take() else { return };
        if let Ok(agreed) = sdp::accept(&offer, answer) {
            *negotiated = Some(agreed);
            let leg = *leg;
            cx.media(MediaCommand::Connect {
                leg,
                negotiated: agreed,
                natted: is_natted(&agreed, peer, cx.setup),
            });
        }
    }

    /// Who is at the other end of that side's leg.
    pub(super) fn peer_of(&self, side: Side) -> sip::Peer {
        match (side, &self.stage) {
            (Side::Agent, Stage::Offer(_, offer)) => offer.peer,
            (Side::Agent, Stage::Conversation(talk)) => talk.peer,
            _ => self.peer,
        }
    }

    /// The audio of that side, if it has any.
    pub(super) fn audio_of(&mut self, side: Side) -> Option<&mut Audio> {
        match (side, &mut self.stage) {
            (Side::Caller, _) => Some(&mut self.audio),
            (Side::Agent, Stage::Offer(_, offer)) => Some(&mut offer.audio),
            (Side::Agent, Stage::Conversation(talk)) => Some(&mut talk.audio),
            (Side::Agent, _) => None,
        }
    }
}

/// What a peer hears whose session description we can't take.
pub(super) fn refusal_for(error: &sdp::SdpError) -> u16 {
    error.status()
}

/// May the far side's media address be learnt from its packets? Only where the
/// signalled one isn't where its signalling comes from, nor in a network that
/// we reach directly; and of a trunk, whose audio often comes from elsewhere,
/// only where it can't be right: a private address behind another one.
pub(super) fn is_natted(
    negotiated: &sdp::Negotiated,
    peer: sip::Peer,
    setup: &crate::Setup,
) -> bool {
    let signalled = negotiated.remote_rtp.ip();
    if setup.media.is_local(signalled) {
        return false;
    }
    let private = match signalled {
        std::net::IpAddr::V4(ip) => ip.is_private() || ip.octets().starts_with(&[100, 64]),
        std::net::IpAddr::V6(ip) => ip.is_unique_local(),
    };
    let trunk = setup.trusted.iter().any(|net| net.contains(peer.addr.ip()));
    // Phones on this machine say an address of their network and send from loopback.
    let beside_us = peer.addr.ip().is_loopback();
    signalled != peer.addr.ip() && (private || !trunk || beside_us)
}
