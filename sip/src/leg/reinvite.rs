//! Changing the session of an answered leg (RFC 3261 section 14), from either
//! side. UPDATE's part of it is in [`update`](super::update).

use std::time::Duration;

use rsip::Method;

use crate::digest;
use crate::echo::Echo;
use crate::endpoint::{Authorization, Endpoint, Event, Purpose, Serving, Start};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::answer::{acceptable, write_extra};
use crate::leg::session;
use crate::leg::state::{Again, Ask, Leg, Modify, Phase, Probing};
use crate::leg::{EndCause, LegId};
use crate::message::{Request, Response};
use crate::transaction::timeout;
use crate::wire::{ALLOW, NameAddr, Uri};

const SDP: &str = "application/sdp";

/// How often we ask, glare or not.
const ATTEMPTS_MAX: u8 = 4;
/// How long a peer may think about a change before we take it back: somebody
/// may have to be asked there.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long after a connection was closed a request is sent by another.
const RECONNECT: Duration = Duration::from_millis(500);
/// Between one connection to a peer that may be gone and the next; then it is.
const PROBE_PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Where the sender of a target refresh request is from now on.
pub(crate) fn target_of(request: &Request) -> Option<Uri> {
    let contact = NameAddr::parse(request.contacts().next()?).ok()?;
    contact.uri.host().is_some().then_some(contact.uri)
}

impl Endpoint {
    /// The peer's re-INVITE.
    pub(crate) fn receive_reinvite(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        leg: LegId,
        request: Request,
    ) {
        let retry_after = self.tokens.below(10);
        let granted = self.grant_inside(leg, &request);
        let Some(up) = self.up_mut(leg) else {
            // The first INVITE isn't answered yet, or the call is ending.
            return self.refuse_invite(now, peer, key, &request, 491, |_| {});
        };
        // Section 14.2.
        match &up.modify {
            Modify::Theirs { .. } => {
                return self.refuse_invite(now, peer, key, &request, 500, |writer| {
                    writer.number("Retry-After", retry_after);
                });
            }
            Modify::Ours { .. } => {
                return self.refuse_invite(now, peer, key, &request, 491, |_| {});
            }
            Modify::Idle => {}
        }
        if up.ok.is_some() || !matches!(up.phase, Phase::Talking) {
            return self.refuse_invite(now, peer, key, &request, 491, |_| {});
        }
        if let Err((code, header)) = acceptable(&request) {
            return self.refuse_invite(now, peer, key, &request, code, |writer| {
                write_extra(writer, header.as_slice());
            });
        }
        let granted = match granted {
            Ok(granted) => granted,
            Err(floor) => {
                return self.refuse_invite(now, peer, key, &request, 422, |writer| {
                    writer.number("Min-SE", floor.as_secs());
                });
            }
        };
        let echo = Box::new(Echo::new(&request, peer));
        let answers_to = echo.back;
        let sdp = request.sdp().map(<[u8]>::to_vec);
        up.able = up.able.heard(request.header("Allow"));
        up.modify = Modify::Theirs {
            update: false,
            tx: key,
            echo,
            cseq: request.cseq(),
            offered: sdp.is_some(),
            target: target_of(&request),
            granted,
        };
        self.open_invite(now, key, answers_to, Serving::Reinvite(leg), None);
        self.events.push_back(Event::Reinvite { leg, sdp });
    }

    /// Accepts the peer's change of the session ([`Event::Reinvite`],
    /// [`Event::EarlyUpdate`]): our answer, or our offer when it had none.
    pub fn answer_reinvite(&mut self, now: Duration, leg: LegId, sdp: &[u8]) {
        if self.settle_early(now, leg, Ok(sdp)) {
            return;
        }
        let Some(Leg::Up(up)) = self.legs.get(&leg.0) else {
            return;
        };
        let Modify::Theirs {
            update,
            tx,
            echo,
            cseq,
            offered,
            granted,
            ..
        } = &up.modify
        else {
            return;
        };
        let (tx, back, granted) = (*tx, echo.back, *granted);
        let bytes = self.write_ok(echo, &up.dialog, sdp, &[], granted);
        let ok = (!*update).then(|| self.unacked(now, bytes.clone(), back, *cseq, *offered));
        self.reply(now, tx, 200, bytes);
        if let Some(entry) = self.servers.get_mut(&tx) {
            entry.serving = Serving::Answered;
        }
        if let Some(up) = self.up_mut(leg) {
            let modify = std::mem::replace(&mut up.modify, Modify::Idle);
            if let Modify::Theirs {
                target: Some(target),
                ..
            } = modify
            {
                up.dialog.target = target;
            }
            up.local_sdp = sdp.into();
            if ok.is_some() {
                up.ok = ok;
            }
        }
        self.grant_session(now, leg, granted);
    }

    /// Refuses the peer's change of the session (488); it goes on as before.
    pub fn reject_reinvite(&mut self, now: Duration, leg: LegId, code: u16) {
        let code = code.clamp(300, 699);
        if !self.settle_early(now, leg, Err(code)) {
            self.refuse_theirs(now, leg, code);
        }
    }

    /// The peer took its change back, or the call is ending (RFC 3261 section
    /// 15.1.2).
    pub(crate) fn end_theirs(&mut self, now: Duration, leg: LegId) {
        self.refuse_theirs(now, leg, 487);
    }

    fn refuse_theirs(&mut self, now: Duration, leg: LegId, code: u16) {
        let Some(up) = self.up_mut(leg) else {
            return;
        };
        if !matches!(up.modify, Modify::Theirs { .. }) {
            return;
        }
        let modify = std::mem::replace(&mut up.modify, Modify::Idle);
        if let Modify::Theirs { tx, echo, .. } = modify {
            let bytes = self.finish(echo.respond(code, None, None), "", &[]);
            self.reply(now, tx, code, bytes);
            if let Some(entry) = self.servers.get_mut(&tx) {
                entry.serving = Serving::Answered;
            }
        }
    }

    /// Offers a changed session on an answered leg. While the peer is asking
    /// for a change itself, or hasn't acknowledged one, the result is
    /// [`Event::ReinviteRefused`] with 491 at once.
    pub fn reinvite(&mut self, now: Duration, leg: LegId, sdp: &[u8]) {
        self.ask(now, leg, sdp, false);
    }

    pub(crate) fn ask(&mut self, now: Duration, leg: LegId, sdp: &[u8], update: bool) {
        let Some(up) = self.up_mut(leg) else {
            return;
        };
        if !up.is_announced() {
            return;
        }
        let ready = matches!(up.phase, Phase::Talking)
            && up.ok.is_none()
            && up.again.is_none()
            && matches!(up.modify, Modify::Idle);
        if ready {
            let ask = Ask {
                sdp: sdp.to_vec(),
                attempts: 1,
                update,
                refresh: false,
                authorized: false,
            };
            self.send_ask(now, leg, ask, None);
        } else {
            self.events
                .push_back(Event::ReinviteRefused { leg, code: 491 });
        }
    }

    pub(crate) fn send_ask(
        &mut self,
        now: Duration,
        leg: LegId,
        mut ask: Ask,
        authorization: Option<Authorization>,
    ) {
        let Some(Leg::Up(mut up)) = self.legs.remove(&leg.0) else {
            return;
        };
        let cseq = up.dialog.next_cseq();
        let (method, purpose) = if ask.update {
            (Method::Update, Purpose::Update(leg))
        } else {
            (Method::Invite, Purpose::Reinvite(leg))
        };
        let (mut composed, peer, mut head) = self.compose_inside(&up.dialog, method, cseq);
        let writer = &mut composed.writer;
        self.write_contact(&up.dialog.own(), peer, writer);
        writer.header("Allow", ALLOW);
        writer.header("Supported", "timer");
        session::write_refresh(writer, up.session.as_ref());
        ask.authorized = authorization.is_some();
        if let Some((name, value)) = &authorization {
            writer.header(name, value);
        }
        if let Some(head) = &mut head {
            head.authorization = authorization;
        }
        let bytes = composed.writer.finish(SDP, &ask.sdp);
        let tx = self.start_client(
            now,
            Start {
                method,
                branch: &composed.branch,
                peer,
                bytes,
                purpose,
                head,
            },
        );
        up.modify = Modify::Ours {
            ask,
            cseq,
            tx,
            cancelled: false,
            until: now + ANSWER_MAX,
        };
        self.insert_leg(leg, Leg::Up(up));
    }

    /// A change that we asked for, and the peer said no more than 100: it is
    /// taken back, and forgotten when nothing comes of that either. The call
    /// goes on as before.
    pub(crate) fn ask_overdue(&mut self, now: Duration, leg: LegId) {
        let give_up = timeout(&self.config.timing);
        let Some(up) = self.up_mut(leg) else {
            return;
        };
        let Modify::Ours {
            tx,
            cancelled,
            until,
            ..
        } = &mut up.modify
        else {
            return;
        };
        if *until > now {
            return;
        }
        let tx = *tx;
        if !*cancelled {
            *cancelled = true;
            *until = now + give_up;
            return self.send_cancel(now, tx, None);
        }
        let modify = std::mem::replace(&mut up.modify, Modify::Idle);
        self.forget_unanswered(tx);
        if let Modify::Ours { ask, .. } = modify {
            self.ask_failed(now, leg, &ask, 408);
        }
    }

    /// Tells who asked. Of a refresh that is the session's timer.
    fn ask_failed(&mut self, now: Duration, leg: LegId, ask: &Ask, code: u16) {
        if !ask.refresh {
            self.events.push_back(Event::ReinviteRefused { leg, code });
        } else if let Some(up) = self.up_mut(leg)
            && let Some(session) = &mut up.session
        {
            session.again_later(now);
            self.arm_leg(leg);
        }
    }

    /// The connection was closed with a request inside the call under way: it
    /// is sent once more, by another. True when the call goes on.
    pub(crate) fn ask_elsewhere(&mut self, now: Duration, leg: LegId, refresh: bool) -> bool {
        let Some(up) = self.up_mut(leg) else {
            return false;
        };
        if !matches!(up.phase, Phase::Talking | Phase::Unconfirmed) {
            return false;
        }
        if refresh {
            let Some(session) = &mut up.session else {
                return false;
            };
            session.again_later(now);
        } else {
            let Modify::Ours { ask, .. } = std::mem::replace(&mut up.modify, Modify::Idle) else {
                return false;
            };
            up.again = Some(Again {
                at: now + RECONNECT,
                ask,
            });
        }
        self.arm_leg(leg);
        true
    }

    /// The wait after a glare is over.
    pub(crate) fn reinvite_again(&mut self, now: Duration, leg: LegId) {
        let Some(up) = self.up_mut(leg) else {
            return;
        };
        let Some(mut again) = up.again.take() else {
            return;
        };
        again.ask.attempts += 1;
        if again.ask.attempts > ATTEMPTS_MAX {
            self.ask_failed(now, leg, &again.ask, 491);
        } else if up.ok.is_some() || !matches!(up.modify, Modify::Idle) {
            // The peer's own change isn't through yet.
            again.at = now + Duration::from_secs(1);
            up.again = Some(again);
        } else {
            self.send_ask(now, leg, again.ask, None);
        }
    }

    /// A response to our re-INVITE, or to our UPDATE with an offer.
    pub(crate) fn reinvite_response(
        &mut self,
        now: Duration,
        tx: Key,
        leg: LegId,
        response: &Response,
    ) {
        let (code, cseq) = (response.code(), response.cseq());
        let acked = response.method() == Method::Invite;
        // Units of 10 ms (section 14.1).
        let slot = self.tokens.below(190);
        let Some(up) = self.up_mut(leg).filter(|_| code >= 200) else {
            return;
        };
        let current = matches!(up.modify, Modify::Ours { cseq: asked, .. } if asked == cseq);
        if !current {
            return;
        }
        let Modify::Ours { ask, .. } = std::mem::replace(&mut up.modify, Modify::Idle) else {
            return;
        };
        match code {
            200..=299 => {
                up.dialog.refresh(response.contacts());
                up.able = up.able.heard(response.header("Allow"));
                up.local_sdp = ask.sdp.as_slice().into();
                let had_timer = up.session.is_some();
                let sdp = response.sdp().map(<[u8]>::to_vec);
                if acked {
                    self.send_ack(leg, tx, cseq);
                }
                if had_timer {
                    self.session_refreshed(now, leg, response);
                }
                self.events.push_back(Event::ReinviteAnswered {
                    leg,
                    offer: ask.sdp,
                    sdp,
                });
            }
            491 if ask.attempts < ATTEMPTS_MAX => {
                let wait = if up.dialog.is_ours {
                    2100 + slot * 10
                } else {
                    slot * 10
                };
                up.again = Some(Again {
                    at: now + Duration::from_millis(wait),
                    ask,
                });
                self.arm_leg(leg);
            }
            // Section 12.2.1.2: the peer knows nothing of this dialog.
            481 | 408 => self.lose(now, leg, EndCause::DialogLost),
            // Allow said otherwise, or an element on the way objects.
            405 | 501 if ask.update => {
                up.able.update = false;
                let ask = Ask {
                    update: false,
                    ..ask
                };
                self.send_ask(now, leg, ask, None);
            }
            401 | 407 if ask.attempts < ATTEMPTS_MAX => {
                let method = if ask.update { "UPDATE" } else { "INVITE" };
                match self.answer_challenge(leg, method, ask.authorized, response) {
                    Some(authorization) => {
                        let ask = Ask {
                            attempts: ask.attempts + 1,
                            ..ask
                        };
                        self.send_ask(now, leg, ask, Some(authorization));
                    }
                    None => self.ask_failed(now, leg, &ask, code),
                }
            }
            422 => {
                self.refresh_refused(now, leg, response);
                if !ask.refresh {
                    self.events.push_back(Event::ReinviteRefused { leg, code });
                }
            }
            _ if ask.refresh => self.refresh_refused(now, leg, response),
            _ => self.events.push_back(Event::ReinviteRefused { leg, code }),
        }
    }

    /// Our credentials for a request inside a call that got this challenge
    /// (section 22.2). Whoever has answered one, and hears no more than another,
    /// has the wrong ones.
    pub(crate) fn answer_challenge(
        &mut self,
        leg: LegId,
        method: &str,
        answered: bool,
        response: &Response,
    ) -> Option<Authorization> {
        let cnonce = self.tokens.token();
        let up = self.up_mut(leg)?;
        if answered && !digest::is_stale(response) {
            return None;
        }
        let uri = up.dialog.routed().0;
        digest::answer(response, up.credentials.as_ref()?, method, &uri, &cnonce)
    }

    /// Asks whether the peer of an answered leg is still there, by an OPTIONS
    /// inside the call. If it isn't, or knows nothing of the call, the leg ends.
    /// While it is being asked, nothing more is done.
    pub fn probe(&mut self, now: Duration, leg: LegId) {
        let up = self.up_mut(leg);
        if let Some(up) = up.filter(|up| up.is_announced() && up.probing.is_none()) {
            up.probing = Some(Probing::default());
            self.send_probe(now, leg);
        }
    }

    /// The connection was closed under the question, or there is none: it is
    /// asked on another, a few times. True when the call goes on.
    pub(crate) fn probe_elsewhere(&mut self, now: Duration, leg: LegId) -> bool {
        let Some(probing) = self.up_mut(leg).and_then(|up| up.probing.as_mut()) else {
            return false;
        };
        let Some(pause) = PROBE_PAUSES.get(usize::from(probing.closed)) else {
            return false;
        };
        probing.closed += 1;
        probing.again = Some(now + *pause);
        self.arm_leg(leg);
        true
    }

    /// The wait for another connection is over.
    pub(crate) fn probe_again(&mut self, now: Duration, leg: LegId) {
        let probing = self.up_mut(leg).and_then(|up| up.probing.as_mut());
        if let Some(probing) = probing
            && probing.again.is_some_and(|at| at <= now)
        {
            probing.again = None;
            self.send_probe(now, leg);
        }
    }

    /// The peer has answered, or won't.
    pub(crate) fn probed(&mut self, leg: LegId) {
        if let Some(up) = self.up_mut(leg) {
            up.probing = None;
        }
    }

    fn send_probe(&mut self, now: Duration, leg: LegId) {
        let Some(up) = self.up_mut(leg) else {
            return;
        };
        let cseq = up.dialog.next_cseq();
        let dialog = up.dialog.clone();
        let (composed, peer, _) = self.compose_inside(&dialog, Method::Options, cseq);
        let bytes = composed.writer.finish("", &[]);
        self.start_client(
            now,
            Start {
                method: Method::Options,
                branch: &composed.branch,
                peer,
                bytes,
                purpose: Purpose::Probe(leg),
                head: None,
            },
        );
    }

    /// The call is lost: a request inside it got no answer at all, or one that
    /// says so.
    pub(crate) fn lose(&mut self, now: Duration, leg: LegId, cause: EndCause) {
        if self.persists(leg) && cause != EndCause::DialogLost {
            return;
        }
        if self.up_mut(leg).is_some_and(|up| up.is_announced()) {
            self.ended(leg, cause);
            self.send_bye(now, leg);
        }
    }
}
