//! The caller's side: described at once, answered when the service answers (or
//! when there is something to be said), rung until then.

use std::time::Duration;

use desk::{ContactId, EmergencyEnd};
use media::engine::Command as MediaCommand;
use media::sdp::{self, LocalMedia};

use super::EmergencyCall;
use crate::contact::{Audio, Cx, MEDIA_OPEN_MAX, Opened, Side, capabilities};
use crate::input::MediaKey;
use crate::setup::Encryption;

/// How soon a media leg is asked for again where there was none.
const MEDIA_AGAIN: Duration = Duration::from_secs(1);
/// How long a caller rings before they are answered and hear it ring: many
/// telephones give up by themselves after a minute or three, and so do proxies.
const RING_MAX: Duration = Duration::from_secs(50);
/// How long a telephone that is called back rings.
const RING_BACK_MAX: Duration = Duration::from_secs(180);

#[derive(Debug)]
pub(super) struct Caller {
    pub(super) leg: sip::LegId,
    pub(super) peer: sip::Peer,
    encryption: Option<Encryption>,
    /// The INVITE's offer, if it had one.
    offer: Option<Vec<u8>>,
    pub(super) audio: Audio,
    /// What they are told of our audio: the answer, or our offer.
    described: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Without audio. It is asked for again then.
    Opening {
        again_at: Duration,
    },
    /// Not answered. `early`: they were told of our audio, and listen.
    Waiting {
        early: bool,
        until: Duration,
    },
    Up,
}

impl Caller {
    pub(super) fn new(
        id: ContactId,
        leg: sip::LegId,
        peer: sip::Peer,
        offer: Option<Vec<u8>>,
        encryption: Option<Encryption>,
        cx: &mut Cx<'_>,
    ) -> Self {
        let key = cx.wish(id, Side::Caller, None, peer);
        Self {
            leg,
            peer,
            encryption,
            offer,
            audio: Audio::Opening(key),
            described: Vec::new(),
            state: State::Opening {
                again_at: cx.now.mono + MEDIA_OPEN_MAX,
            },
        }
    }

    /// Do they hear what is played to them?
    pub(super) fn listens(&self) -> bool {
        let told = matches!(self.state, State::Up | State::Waiting { early: true, .. });
        told && self.audio.codec().is_some()
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.state {
            State::Opening { again_at } => Some(again_at),
            State::Waiting { until, .. } => Some(until),
            State::Up => None,
        }
    }
}

impl EmergencyCall {
    /// A media leg is open (or there is none to be had).
    pub(crate) fn media_opened(
        &mut self,
        side: Side,
        key: MediaKey,
        opened: Option<Opened>,
        cx: &mut Cx<'_>,
    ) {
        let wanted = matches!(self.audio_of(side), Some(Audio::Opening(wish)) if *wish == key);
        match (side, opened) {
            (_, Some(Opened { leg, .. })) if !wanted => cx.media(MediaCommand::Close { leg }),
            (_, None) if !wanted => {}
            (Side::Caller, Some(opened)) => self.caller_has_audio(opened, cx),
            // Somebody may hang up meanwhile.
            (Side::Caller, None) => {
                self.caller.audio = Audio::None;
                self.caller.state = State::Opening {
                    again_at: cx.now.mono + MEDIA_AGAIN,
                };
            }
            (Side::Agent, Some(opened)) => self.way_has_audio(opened, cx),
            (Side::Agent, None) => self.no_audio_outside(cx),
        }
    }

    fn caller_has_audio(&mut self, opened: Opened, cx: &mut Cx<'_>) {
        let Opened {
            leg,
            port,
            mut secret,
        } = opened;
        let address = cx.setup.media.address_towards(self.caller.peer.addr.ip());
        let local = LocalMedia::new(address, port, self.id.0 ^ super::MARK);
        cx.index.media.insert(leg, (self.id, Side::Caller));
        let policy = cx.setup.encryption;
        let policy = policy.towards(self.caller.peer, self.caller.encryption);
        // What is required elsewhere is asked for here: an emergency call in the clear is better than none,
        // and one with keys that others may read too.
        let wishes = match policy {
            Ok(Encryption::Required) => &[Encryption::Required, Encryption::Offered][..],
            Ok(Encryption::Offered) => &[Encryption::Offered],
            Ok(Encryption::Off) | Err(_) => &[Encryption::Off, Encryption::Offered],
        };
        let (codecs, ring_max) = match self.back {
            None => (&cx.setup.codecs.phones, RING_MAX),
            Some(_) => (&cx.setup.codecs.trunks, RING_BACK_MAX),
        };
        let mut refusal = 488;
        for wish in wishes {
            let caps = capabilities(*wish, secret.draw(), codecs);
            let (negotiated, offered, described) = match &self.caller.offer {
                Some(offer) => match sdp::answer(offer, &local, &caps) {
                    Ok((agreed, answer)) => (Some(agreed), None, answer),
                    Err(error) => {
                        refusal = error.status();
                        continue;
                    }
                },
                None => {
                    let offer = sdp::offer(&local, &caps);
                    (None, Some(offer.clone()), offer)
                }
            };
            self.caller.audio = Audio::Open {
                leg,
                local,
                caps,
                negotiated: None,
                offered,
                streams: sdp::Streams::of(&described),
            };
            self.caller.described = described;
            self.caller.state = State::Waiting {
                early: false,
                until: cx.now.mono + ring_max,
            };
            if let Some(agreed) = negotiated {
                self.connect(Side::Caller, agreed, cx);
            }
            return self.try_all(cx);
        }
        cx.index.media.remove(&leg);
        cx.media(MediaCommand::Close { leg });
        self.caller.audio = Audio::None;
        cx.sip
            .reject(cx.now.mono, self.caller.leg, refusal, None, &[]);
        self.over(EmergencyEnd::Us, cx);
    }

    /// It rings outside. With `audio`, there is something to be heard already.
    pub(super) fn ring_caller(&mut self, audio: bool, cx: &mut Cx<'_>) {
        let State::Waiting { early, until } = self.caller.state else {
            return;
        };
        let now = cx.now.mono;
        // An INVITE without an offer isn't answered before its 200.
        let early = early || (audio && self.caller.offer.is_some());
        let described = early.then_some(self.caller.described.as_slice());
        let code = if early { 183 } else { 180 };
        cx.sip.ring(now, self.caller.leg, code, &[], described);
        self.caller.state = State::Waiting { early, until };
    }

    /// From now on they hear us.
    pub(super) fn answer_caller(&mut self, cx: &mut Cx<'_>) {
        if matches!(self.caller.state, State::Waiting { .. }) {
            let described = &self.caller.described;
            cx.sip.answer(cx.now.mono, self.caller.leg, described, &[]);
            self.caller.state = State::Up;
            // Who isn't answered need not speak.
            self.gone.caller = None;
        }
    }

    /// The ACK came, with the answer to our offer if the INVITE had none.
    pub(crate) fn confirmed(&mut self, side: Side, sdp: Option<&[u8]>, cx: &mut Cx<'_>) {
        if let Some(answer) = sdp {
            self.take_answer(side, answer, cx);
            self.sounds(cx);
        }
    }

    /// Ends the caller's call, as its state asks for.
    pub(super) fn hang_up(&mut self, reason: Option<&str>, cx: &mut Cx<'_>) {
        let (now, leg) = (cx.now.mono, self.caller.leg);
        if cx.index.legs.remove(&leg).is_none() {
            return;
        }
        match self.caller.state {
            State::Up => cx.sip.hangup(now, leg, reason),
            State::Opening { .. } | State::Waiting { .. } => {
                cx.sip.reject(now, leg, self.refusal(), None, &[])
            }
        }
    }

    pub(super) fn caller_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if self.caller.deadline().is_none_or(|at| now < at) {
            return;
        }
        match self.caller.state {
            State::Opening { .. } => {
                let key = cx.wish(self.id, Side::Caller, None, self.caller.peer);
                self.caller.audio = Audio::Opening(key);
                self.caller.state = State::Opening {
                    again_at: now + MEDIA_OPEN_MAX,
                };
            }
            // An answer is the telephone's to give.
            State::Waiting { .. } if self.back.is_some() => self.telephone_not_reached(cx),
            State::Waiting { .. } => {
                self.answer_caller(cx);
                self.sounds(cx);
            }
            State::Up => {}
        }
    }
}
