//! Changing the session of an answered leg (RFC 3261 section 14), from either
//! side.

use std::time::Duration;

use rsip::Method;

use crate::echo::Echo;
use crate::endpoint::{Endpoint, Event, Purpose, Serving, Start};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::answer::{acceptable, write_extra};
use crate::leg::state::{Again, Leg, Modify, Phase};
use crate::leg::{EndCause, LegId};
use crate::message::{Request, Response};
use crate::wire::{ALLOW, NameAddr};

const SDP: &str = "application/sdp";

/// How often we ask, glare or not.
const ATTEMPTS_MAX: u8 = 4;

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
        let echo = Box::new(Echo::new(&request, peer));
        let answers_to = echo.peer;
        let sdp = request.sdp().map(<[u8]>::to_vec);
        let target = request
            .contacts()
            .next()
            .and_then(|contact| NameAddr::parse(contact).ok())
            .map(|contact| contact.uri);
        up.modify = Modify::Theirs {
            tx: key,
            echo,
            cseq: request.cseq(),
            offered: sdp.is_some(),
            target,
        };
        self.open_invite(now, key, answers_to, Serving::Reinvite(leg), None);
        self.events.push_back(Event::Reinvite { leg, sdp });
    }

    /// Accepts the peer's re-INVITE: our answer, or our offer when it had none.
    pub fn answer_reinvite(&mut self, now: Duration, leg: LegId, sdp: &[u8]) {
        let Some(Leg::Up(up)) = self.legs.get(&leg.0) else {
            return;
        };
        let Modify::Theirs {
            tx,
            echo,
            cseq,
            offered,
            ..
        } = &up.modify
        else {
            return;
        };
        let (tx, peer) = (*tx, echo.peer);
        let bytes = self.write_ok(echo, &up.dialog, sdp, &[]);
        let ok = self.unacked(now, bytes.clone(), peer, *cseq, *offered);
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
            up.ok = Some(ok);
        }
        self.arm_leg(leg);
    }

    /// Refuses the peer's re-INVITE (488); the session goes on as before.
    pub fn reject_reinvite(&mut self, now: Duration, leg: LegId, code: u16) {
        self.end_theirs(now, leg, code.clamp(300, 699));
    }

    /// The peer took its re-INVITE back.
    pub(crate) fn cancel_reinvite(&mut self, now: Duration, leg: LegId) {
        self.end_theirs(now, leg, 487);
    }

    fn end_theirs(&mut self, now: Duration, leg: LegId, code: u16) {
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
            self.send_reinvite(now, leg, sdp.to_vec(), 1);
        } else {
            self.events
                .push_back(Event::ReinviteRefused { leg, code: 491 });
        }
    }

    fn send_reinvite(&mut self, now: Duration, leg: LegId, sdp: Vec<u8>, attempts: u8) {
        let Some(Leg::Up(mut up)) = self.legs.remove(&leg.0) else {
            return;
        };
        let cseq = up.dialog.next_cseq();
        let (mut composed, peer, head) = self.compose_inside(&up.dialog, Method::Invite, cseq);
        self.write_contact(&up.dialog.local_tag, peer, &mut composed.writer);
        composed.writer.header("Allow", ALLOW);
        let bytes = composed.writer.finish(SDP, &sdp);
        up.modify = Modify::Ours { sdp, attempts };
        self.insert_leg(leg, Leg::Up(up));
        let (branch, purpose) = (composed.branch, Purpose::Reinvite(leg));
        self.start_client(
            now,
            Start {
                method: Method::Invite,
                branch: &branch,
                peer,
                bytes,
                purpose,
                head,
            },
        );
    }

    /// The wait after a glare is over.
    pub(crate) fn reinvite_again(&mut self, now: Duration, leg: LegId) {
        let Some(up) = self.up_mut(leg) else {
            return;
        };
        let Some(mut again) = up.again.take() else {
            return;
        };
        again.attempts += 1;
        if again.attempts > ATTEMPTS_MAX {
            self.events
                .push_back(Event::ReinviteRefused { leg, code: 491 });
        } else if up.ok.is_some() || !matches!(up.modify, Modify::Idle) {
            // The peer's own change isn't through yet.
            again.at = now + Duration::from_secs(1);
            up.again = Some(again);
        } else {
            self.send_reinvite(now, leg, again.sdp, again.attempts);
        }
    }

    /// A response to our re-INVITE.
    pub(crate) fn reinvite_response(&mut self, now: Duration, leg: LegId, response: &Response) {
        let (code, cseq) = (response.code(), response.cseq());
        // Units of 10 ms (section 14.1).
        let slot = self.tokens.below(190);
        let Some(up) = self.up_mut(leg) else {
            if matches!(code, 200..=299) {
                self.repeat_ack(leg, cseq);
            }
            return;
        };
        if code < 200 {
            return;
        }
        let current = up.dialog.local_cseq == cseq && matches!(up.modify, Modify::Ours { .. });
        if !current {
            if matches!(code, 200..=299) {
                self.repeat_ack(leg, cseq);
            }
            return;
        }
        let modify = std::mem::replace(&mut up.modify, Modify::Idle);
        match (code, modify) {
            (200..=299, _) => {
                up.dialog.refresh(response.contacts());
                let sdp = response.sdp().map(<[u8]>::to_vec);
                self.send_ack(leg, cseq, &[]);
                self.events.push_back(Event::ReinviteAnswered { leg, sdp });
            }
            (491, Modify::Ours { sdp, attempts }) if attempts < ATTEMPTS_MAX => {
                let wait = if up.dialog.is_ours {
                    2100 + slot * 10
                } else {
                    slot * 10
                };
                up.again = Some(Again {
                    at: now + Duration::from_millis(wait),
                    sdp,
                    attempts,
                });
                self.arm_leg(leg);
            }
            // Section 12.2.1.2: the peer knows nothing of this dialog.
            (481 | 408, _) => self.lose(now, leg, EndCause::DialogLost),
            _ => self.events.push_back(Event::ReinviteRefused { leg, code }),
        }
    }

    fn repeat_ack(&mut self, leg: LegId, cseq: u32) {
        let acks = match self.legs.get(&leg.0) {
            Some(Leg::Up(up)) => up.acks.as_slice(),
            Some(Leg::Closing(closing)) => closing.acks.as_slice(),
            _ => return,
        };
        let ack = acks.iter().find(|ack| ack.cseq == cseq);
        if let Some((peer, bytes)) = ack.map(|ack| (ack.peer, ack.bytes.clone())) {
            self.send(peer, bytes);
        }
    }

    /// Our re-INVITE got no answer at all.
    pub(crate) fn reinvite_failed(&mut self, now: Duration, leg: LegId, cause: EndCause) {
        self.lose(now, leg, cause);
    }

    fn lose(&mut self, now: Duration, leg: LegId, cause: EndCause) {
        if self.up_mut(leg).is_some_and(|up| up.is_announced()) {
            self.ended(leg, cause);
            self.send_bye(now, leg);
        }
    }
}
