//! UPDATE (RFC 3311): changing a session without an INVITE, before or after the
//! call is answered.

use std::time::Duration;

use crate::dialog::Own;
use crate::echo::Echo;
use crate::endpoint::{Endpoint, Event, Serving};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::LegId;
use crate::leg::session::Granted;
use crate::leg::state::{Leg, Modify, Pending, Phase};
use crate::message::Request;
use crate::wire::{ALLOW, Writer};

impl Endpoint {
    /// The peer's UPDATE on a leg that came in, or that is answered.
    pub(crate) fn receive_update(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        leg: LegId,
        request: &Request,
    ) {
        let retry_after = self.tokens.below(10);
        let refuse_later = |writer: &mut Writer| writer.number("Retry-After", retry_after);
        match self.legs.get_mut(&leg.0) {
            Some(Leg::Incoming(incoming)) => {
                let own = incoming.dialog.own();
                let Some(sdp) = request.sdp() else {
                    incoming.dialog.refresh(request.contacts());
                    return self.answer_update(now, peer, key, &own, request);
                };
                // Section 5.2: the offer of its INVITE has no answer yet, or
                // the one before has none.
                if !incoming.reliable.settled || incoming.update.is_some() {
                    return self.answer_plain(now, peer, key, request, 500, refuse_later);
                }
                let pending = incoming.update.insert(Pending::new(key, request, peer));
                let answers_to = pending.echo.back;
                self.offered_early(now, key, answers_to, leg, 0, sdp);
            }
            Some(Leg::Up(_)) => self.update_answered(now, peer, key, leg, request),
            _ => self.answer_plain(now, peer, key, request, 481, |_| {}),
        }
    }

    fn update_answered(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        leg: LegId,
        request: &Request,
    ) {
        let retry_after = self.tokens.below(10);
        let granted = match self.grant_inside(leg, request) {
            Ok(granted) => granted,
            Err(floor) => {
                return self.answer_plain(now, peer, key, request, 422, |writer| {
                    writer.number("Min-SE", floor.as_secs());
                });
            }
        };
        let Some(up) = self.up_mut(leg) else {
            return;
        };
        up.able = up.able.heard(request.header("Allow"));
        let Some(sdp) = request.sdp() else {
            up.dialog.refresh(request.contacts());
            let own = up.dialog.own();
            return self.refreshed_by_peer(now, peer, key, leg, &own, granted, request);
        };
        let open_offer = up.ok.as_ref().is_some_and(|ok| !ok.offered);
        match &up.modify {
            Modify::Theirs { .. } => {
                return self.answer_plain(now, peer, key, request, 500, |writer| {
                    writer.number("Retry-After", retry_after);
                });
            }
            Modify::Idle
                if !open_offer && matches!(up.phase, Phase::Talking | Phase::Unconfirmed) => {}
            Modify::Idle | Modify::Ours { .. } => {
                return self.answer_plain(now, peer, key, request, 491, |_| {});
            }
        }
        let echo = Box::new(Echo::new(request, peer));
        let answers_to = echo.back;
        up.modify = Modify::Theirs {
            update: true,
            tx: key,
            echo,
            cseq: request.cseq(),
            offered: true,
            target: super::reinvite::target_of(request),
            granted,
        };
        let sdp = Some(sdp.to_vec());
        self.open_plain(now, key, answers_to, Serving::Answered, None);
        self.events.push_back(Event::Reinvite { leg, sdp });
    }

    /// 200 to an UPDATE without an offer, which refreshes the session's timer.
    #[allow(clippy::too_many_arguments)]
    fn refreshed_by_peer(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        leg: LegId,
        own: &Own,
        granted: Option<Granted>,
        request: &Request,
    ) {
        let mut lines = Writer::fragment();
        self.write_contact(own, peer, &mut lines);
        if let Some(granted) = granted {
            granted.write(&mut lines);
        }
        let lines = lines.into_lines();
        self.answer_plain(now, peer, key, request, 200, |writer| {
            writer.lines(&lines);
            writer.header("Allow", ALLOW);
        });
        self.grant_session(now, leg, granted);
    }

    /// Our 2xx granted a timer: it starts.
    pub(crate) fn grant_session(&mut self, now: Duration, leg: LegId, granted: Option<Granted>) {
        if let Some(up) = self.up_mut(leg) {
            up.session = granted.map(|granted| granted.begin(now));
            self.arm_leg(leg);
        }
    }

    /// The same as [`reinvite`](Self::reinvite), by UPDATE where the peer
    /// takes it: without the third message, for changes that nobody is asked
    /// about.
    pub fn update(&mut self, now: Duration, leg: LegId, sdp: &[u8]) {
        let by_update = self.up_mut(leg).is_some_and(|up| up.able.update);
        self.ask(now, leg, sdp, by_update);
    }
}
