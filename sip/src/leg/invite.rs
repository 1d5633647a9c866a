//! Calls we make: the INVITE, its responses, the ACK.

use std::sync::Arc;
use std::time::Duration;

use rsip::Method;

use crate::dialog::{Dialog, Own};
use crate::digest;
use crate::endpoint::{Acked, Authorization, Compose, Endpoint, Event, Purpose, Start};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::state::{Calling, Cancelling, Closing, Leg, Modify, Phase, Up};
use crate::leg::{EndCause, Identity, Invite, LegId};
use crate::leg::{persist, session};
use crate::message::Response;
use crate::transaction::{Datagram, timeout};
use crate::wire::{ALLOW, Scheme, escape_user, quote, write_parts};

const SDP: &str = "application/sdp";
/// How often a call is sent in all, with a password or another timer.
const REQUESTS_MAX: u32 = 4;

impl Endpoint {
    /// Makes a call.
    pub fn invite(&mut self, now: Duration, invite: Invite) -> LegId {
        let leg = self.mint_leg();
        let persists = invite.persists;
        if persists {
            self.persistent.insert(leg);
        }
        let ringing_max = match persists {
            true => persist::RINGING_MAX,
            false => self.config.limits.ringing_max,
        };
        let calling = Calling {
            tx: 0,
            call_id: self.tokens.token().into(),
            tag: self.tokens.token().into(),
            cseq: 1,
            attempts: 0,
            give_up_at: now + ringing_max,
            session: self
                .config
                .session
                .interval
                .filter(|_| !persists)
                .map(|interval| (interval, self.config.session.min)),
            early: Vec::new(),
            invite,
        };
        self.send_invite(now, leg, calling, None);
        leg
    }

    fn send_invite(
        &mut self,
        now: Duration,
        leg: LegId,
        mut calling: Calling,
        authorization: Option<Authorization>,
    ) {
        let invite = &calling.invite;
        let from = self.write_from(&invite.from, invite.next_hop, &calling.tag);
        let to = format!("<{}>", invite.to.as_ref().unwrap_or(&invite.target).bare());
        let route: Vec<Box<str>> = invite.route.iter().map(|r| r.as_str().into()).collect();
        let parts = Compose {
            method: Method::Invite,
            uri: invite.target.bare(),
            peer: invite.next_hop,
            route: &route,
            max_forwards: invite.max_forwards.unwrap_or(70),
            from: &from,
            to: &to,
            call_id: &calling.call_id,
            cseq: calling.cseq,
        };
        let mut composed = self.compose(&parts);
        let mut head = self.head_of(&parts, &composed.branch, invite.pinned);
        let writer = &mut composed.writer;
        let secure = invite.next_hop.transport.is_secure();
        let own = Own {
            user: calling.tag.clone(),
            secure: secure && invite.target.scheme() == Scheme::Sips,
        };
        self.write_contact(&own, invite.next_hop, writer);
        writer.header("Allow", ALLOW);
        let supported = match invite.persists {
            true => "100rel",
            false => "100rel, timer",
        };
        writer.header("Supported", supported);
        session::write_wish(writer, calling.session);
        if let Some((name, value)) = &authorization {
            writer.header(name, value);
        }
        head.authorization = authorization;
        for (name, value) in &invite.headers {
            writer.header(name, value);
        }
        let bytes = if invite.attached.is_empty() {
            composed.writer.finish(SDP, &invite.sdp)
        } else {
            let boundary = self.tokens.token();
            let (kind, body) = write_parts(&boundary, SDP, &invite.sdp, &invite.attached);
            composed.writer.finish(&kind, &body)
        };
        let (peer, purpose) = (invite.next_hop, Purpose::Invite(leg));
        calling.tx = self.start_client(
            now,
            Start {
                method: Method::Invite,
                branch: &composed.branch,
                peer,
                bytes,
                purpose,
                head: Some(head),
            },
        );
        self.insert_leg(leg, Leg::Calling(Box::new(calling)));
    }

    fn write_from(&self, from: &Identity, peer: Peer, tag: &str) -> String {
        let mut value = match &from.display {
            Some(display) => format!("{} <sip:", quote(display)),
            None => String::from("<sip:"),
        };
        if !from.user.is_empty() {
            escape_user(&from.user, &mut value);
            value.push('@');
        }
        match &from.host {
            Some(host) => value.push_str(host),
            None => {
                let mut host = Vec::new();
                self.config.interface.write_host_port(peer, &mut host);
                value.push_str(&String::from_utf8_lossy(&host));
            }
        }
        value.push_str(">;tag=");
        value.push_str(tag);
        value
    }

    /// A response to an INVITE of ours (never to a re-INVITE).
    pub(crate) fn invite_response(
        &mut self,
        now: Duration,
        tx: Key,
        leg: LegId,
        source: Peer,
        pinned: bool,
        response: Response,
    ) {
        match (self.legs.get_mut(&leg.0), response.code()) {
            (Some(Leg::Calling(_)), 100) => self.events.push_back(Event::Trying { leg }),
            (Some(Leg::Calling(_)), 101..=199) => {
                self.provisional(now, leg, source, pinned, &response);
            }
            (Some(Leg::Calling(_)), 200..=299) => {
                self.answered(now, tx, leg, source, pinned, response);
            }
            (Some(Leg::Calling(_)), _) => self.refused(now, leg, response),
            (Some(Leg::Cancelling(Cancelling::Held { reason, .. })), 100..=199) => {
                let reason = reason.take();
                self.cancel_now(now, leg, tx, reason.as_deref());
            }
            (Some(Leg::Cancelling(_)), 100..=199) => {}
            // The 200 crossed our CANCEL.
            (Some(Leg::Cancelling(_)), 200..=299) => {
                self.legs.remove(&leg.0);
                self.drop_answer(now, tx, Some(leg), source, pinned, &response);
            }
            (Some(Leg::Cancelling(_)), _) => self.remove_leg(leg),
            // Of another fork, since repeats don't get here (section 13.2.2.4).
            (_, 200..=299) => self.drop_answer(now, tx, None, source, pinned, &response),
            _ => {}
        }
    }

    fn answered(
        &mut self,
        now: Duration,
        tx: Key,
        leg: LegId,
        source: Peer,
        pinned: bool,
        response: Response,
    ) {
        let Some(Leg::Calling(mut calling)) = self.legs.remove(&leg.0) else {
            return;
        };
        let early = std::mem::take(&mut calling.early);
        let early = self.ripen(early, response.to_tag().unwrap_or(""));
        let Some(mut dialog) = Dialog::from_response(&response, source, pinned) else {
            // Without a Contact nothing can be sent in this dialog, not even a
            // BYE; the peer gives up without its ACK.
            self.persistent.remove(&leg);
            self.ended(leg, EndCause::ProtocolError);
            return;
        };
        let dialog_key =
            self.tokens
                .dialog_key(&dialog.call_id, &dialog.local_tag, &dialog.remote_tag);
        self.dialogs.insert(dialog_key, leg);
        // What was said before it was answered counts on.
        dialog.local_cseq = dialog.local_cseq.max(early.local_cseq);
        dialog.remote_cseq = early.remote_cseq;
        let cseq = calling.cseq;
        // RFC 3262 section 5: a reliable answer isn't repeated in the 2xx.
        let sdp = match response.sdp() {
            _ if early.moved.is_some() => None,
            Some(sdp) => Some(sdp.to_vec()),
            None => early.sdp,
        };
        let local_sdp = early.moved.unwrap_or(calling.invite.sdp);
        let up = Up {
            dialog,
            dialog_key,
            phase: Phase::Talking,
            outstanding: None,
            ok: None,
            modify: Modify::Idle,
            again: None,
            probing: None,
            credentials: calling.invite.credentials,
            able: early.able.heard(response.header("Allow")),
            referring: None,
            session: session::begun(now, &response).filter(|_| calling.session.is_some()),
            local_sdp: local_sdp.into(),
        };
        self.insert_leg(leg, Leg::Up(Box::new(up)));
        self.send_ack(leg, tx, cseq);
        self.events.push_back(Event::Answered {
            leg,
            sdp,
            response: Box::new(response),
        });
    }

    /// Sends and remembers the ACK for a 2xx (section 13.2.2.4).
    pub(crate) fn send_ack(&mut self, leg: LegId, tx: Key, cseq: u32) {
        // Taken out and put back: composing needs the endpoint.
        let Some(Leg::Up(up)) = self.legs.remove(&leg.0) else {
            return;
        };
        let ack = self.write_ack(tx, &up.dialog, cseq);
        self.acknowledged(tx, &up.dialog.remote_tag, ack);
        self.legs.insert(leg.0, Leg::Up(up));
    }

    fn write_ack(&mut self, tx: Key, dialog: &Dialog, cseq: u32) -> Acked {
        let (mut composed, peer, _) = self.compose_inside(dialog, Method::Ack, cseq);
        self.authorize_ack(tx, &mut composed.writer);
        let bytes: Datagram = Arc::from(composed.writer.finish("", &[]));
        Acked { bytes, peer }
    }

    /// Ends a call that was answered although nobody wants it (any more).
    fn drop_answer(
        &mut self,
        now: Duration,
        tx: Key,
        leg: Option<LegId>,
        source: Peer,
        pinned: bool,
        response: &Response,
    ) {
        let Some(mut dialog) = Dialog::from_response(response, source, pinned) else {
            if let Some(leg) = leg {
                self.persistent.remove(&leg);
            }
            return;
        };
        let ack = self.write_ack(tx, &dialog, response.cseq());
        self.acknowledged(tx, &dialog.remote_tag, ack);
        match leg {
            Some(leg) => {
                let closing = Closing {
                    dialog,
                    dialog_key: None,
                    credentials: None,
                    reason: None,
                    asked: None,
                };
                self.send_closing_bye(now, leg, closing, None);
            }
            None => {
                let cseq = dialog.next_cseq();
                let (composed, peer, _) = self.compose_inside(&dialog, Method::Bye, cseq);
                let bytes = composed.writer.finish("", &[]);
                let (branch, purpose) = (composed.branch, Purpose::Nobody);
                self.start_client(
                    now,
                    Start {
                        method: Method::Bye,
                        branch: &branch,
                        peer,
                        bytes,
                        purpose,
                        head: None,
                    },
                );
            }
        }
    }

    fn refused(&mut self, now: Duration, leg: LegId, response: Response) {
        let Some(Leg::Calling(mut calling)) = self.legs.remove(&leg.0) else {
            return;
        };
        let early = std::mem::take(&mut calling.early);
        self.ripen(early, "");
        // RFC 4028 section 7.3: once more, with an interval that the peer takes.
        let wish = calling.session.map(|(interval, _)| interval);
        let raised = wish.and_then(|wish| session::raised(wish, &response));
        if let Some(raised) = raised.filter(|_| calling.cseq < REQUESTS_MAX) {
            calling.session = Some((raised, raised));
            calling.cseq += 1;
            return self.send_invite(now, leg, *calling, None);
        }
        let retry = (calling.attempts == 0 || calling.attempts == 1 && digest::is_stale(&response))
            .then(|| {
                let credentials = calling.invite.credentials.as_ref()?;
                let uri = calling.invite.target.bare();
                let cnonce = self.tokens.token();
                digest::answer(&response, credentials, "INVITE", uri, &cnonce)
            })
            .flatten();
        match retry {
            Some(authorization) => {
                calling.attempts += 1;
                // Section 22.2: the same Call-ID and tag, the next CSeq.
                calling.cseq += 1;
                self.send_invite(now, leg, *calling, Some(authorization));
            }
            None => {
                self.persistent.remove(&leg);
                self.events.push_back(Event::Refused {
                    leg,
                    code: response.code(),
                    response: Box::new(response),
                });
            }
        }
    }

    /// The INVITE got no response at all.
    pub(crate) fn invite_failed(&mut self, leg: LegId, cause: EndCause) {
        match self.legs.get(&leg.0) {
            Some(Leg::Calling(_)) => {
                self.remove_leg(leg);
                self.ended(leg, cause);
            }
            Some(Leg::Cancelling(_)) => self.remove_leg(leg),
            _ => {}
        }
    }

    /// Stops calling: CANCEL now or after the first provisional response
    /// (section 9.1). The final event is the caller's to send.
    pub(crate) fn give_up_calling(&mut self, now: Duration, leg: LegId, reason: Option<&str>) {
        let Some(Leg::Calling(calling)) = self.legs.get_mut(&leg.0) else {
            return;
        };
        let tx = calling.tx;
        let early = std::mem::take(&mut calling.early);
        self.ripen(early, "");
        if self.awaits_provisional(tx) {
            self.give_up_invite(now, tx);
            let reason = reason.map(Box::from);
            let held = Cancelling::Held { reason };
            self.insert_leg(leg, Leg::Cancelling(held));
        } else {
            self.cancel_now(now, leg, tx, reason);
        }
    }

    fn cancel_now(&mut self, now: Duration, leg: LegId, tx: Key, reason: Option<&str>) {
        self.send_cancel(now, tx, reason);
        let give_up_at = now + timeout(&self.config.timing);
        let sent = Cancelling::Sent { tx, give_up_at };
        self.insert_leg(leg, Leg::Cancelling(sent));
    }
}
