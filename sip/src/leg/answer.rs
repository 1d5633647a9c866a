//! Incoming calls: ring, answer, reject; the caller's ACK and CANCEL.

use std::time::Duration;

use crate::dialog::Dialog;
use crate::digest::Credentials;
use crate::echo::{Back, Echo};
use crate::endpoint::{Endpoint, Event, Serving};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::reliable::{Held, Reliable, Wanted};
use crate::leg::session::{self, Granted};
use crate::leg::state::{Able, Incoming, Leg, Modify, Phase, Unacked, Up};
use crate::leg::{EndCause, LegId};
use crate::message::Request;
use crate::transaction::timeout;
use crate::wire::{ALLOW, Writer};

const SDP: &str = "application/sdp";

impl Endpoint {
    /// A new INVITE that passed the checks common to all requests.
    pub(crate) fn receive_invite(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        merge: Key,
        request: Request,
    ) {
        if let Err((code, header)) = acceptable(&request) {
            return self.refuse(&request, peer, code, |writer| {
                if let Some((name, value)) = header {
                    writer.header(name, value);
                }
            });
        }
        let granted = match session::grant(&self.config.session, None, &request) {
            Ok(granted) => granted,
            Err(floor) => {
                return self.refuse(&request, peer, 422, |writer| {
                    writer.number("Min-SE", floor.as_secs());
                });
            }
        };
        if self.legs.len() >= self.config.limits.legs_max {
            return self.refuse(&request, peer, 503, |_| {});
        }
        let tag = self.tokens.token();
        let Some(dialog) = Dialog::from_request(&request, peer, &tag) else {
            return self.refuse(&request, peer, 400, |_| {});
        };
        let leg = self.mint_leg();
        let echo = Echo::new(&request, peer);
        self.open_invite(now, key, echo.back, Serving::Leg(leg), Some(merge));
        let dialog_key =
            self.tokens
                .dialog_key(&dialog.call_id, &dialog.local_tag, &dialog.remote_tag);
        self.dialogs.insert(dialog_key, leg);
        let incoming = Incoming {
            invite: key,
            echo,
            dialog,
            dialog_key,
            cseq: request.cseq(),
            offered: request.sdp().is_some(),
            able: Able::default().heard(request.header("Allow")),
            granted,
            credentials: None,
            reliable: Reliable::new(Wanted::of(&request)),
            update: None,
        };
        self.insert_leg(leg, Leg::Incoming(Box::new(incoming)));
        self.events.push_back(Event::Incoming {
            leg,
            peer,
            request: Box::new(request),
        });
    }

    /// What challenges of our requests inside this call are answered with. It
    /// came in, and isn't answered yet.
    pub fn answers_as(&mut self, leg: LegId, credentials: Credentials) {
        if let Some(Leg::Incoming(incoming)) = self.legs.get_mut(&leg.0) {
            incoming.credentials = Some(credentials);
        }
    }

    /// Sends 180 or 183 (with SDP: early media) on an incoming leg. Reliably
    /// (RFC 3262) when the caller insists, or knows how and it carries media.
    pub fn ring(
        &mut self,
        now: Duration,
        leg: LegId,
        code: u16,
        extra: &[(&str, &str)],
        sdp: Option<&[u8]>,
    ) {
        let code = code.clamp(101, 199);
        let Some(Leg::Incoming(incoming)) = self.legs.get_mut(&leg.0) else {
            return;
        };
        // The first reliable response to an INVITE without an offer has to
        // carry one (RFC 3261 section 13.2.1): such a caller hears the 200.
        if incoming.reliable.wanted == Wanted::Required && !incoming.offered {
            return;
        }
        if incoming.reliable.holds(code) {
            return incoming.reliable.hold(Held::new(code, sdp, extra));
        }
        let rseq = self.reliably(leg, sdp.is_some());
        let Some(Leg::Incoming(incoming)) = self.legs.get(&leg.0) else {
            return;
        };
        let tag = &incoming.dialog.local_tag;
        let mut writer = incoming.echo.respond(code, None, Some(tag));
        self.write_contact(&incoming.dialog.own(), incoming.echo.back.peer, &mut writer);
        if let Some(rseq) = rseq {
            writer.header("Require", "100rel");
            writer.number("RSeq", rseq.into());
        }
        writer.header("Allow", ALLOW);
        write_extra(&mut writer, extra);
        let (key, bytes) = (
            incoming.invite,
            self.finish(writer, SDP, sdp.unwrap_or(&[])),
        );
        self.reply(now, key, code, bytes.clone());
        if rseq.is_some() {
            self.await_prack(now, leg, bytes, sdp.is_some());
        }
    }

    /// Answers an incoming leg with 200. The 200 is repeated until its ACK
    /// comes.
    pub fn answer(&mut self, now: Duration, leg: LegId, sdp: &[u8], extra: &[(&str, &str)]) {
        let Some(Leg::Incoming(incoming)) = self.legs.get_mut(&leg.0) else {
            return;
        };
        if incoming.reliable.holds(200) {
            return incoming.reliable.hold(Held::new(200, Some(sdp), extra));
        }
        self.settle_early(now, leg, Err(500));
        let Some(Leg::Incoming(incoming)) = self.legs.get(&leg.0) else {
            return;
        };
        let granted = incoming.granted;
        let bytes = self.write_ok(&incoming.echo, &incoming.dialog, sdp, extra, granted);
        let (back, key, cseq) = (incoming.echo.back, incoming.invite, incoming.cseq);
        let ok = self.unacked(now, bytes.clone(), back, cseq, incoming.offered);
        if !self.reply(now, key, 200, bytes) {
            return;
        }
        if let Some(entry) = self.servers.get_mut(&key) {
            entry.serving = Serving::Answered;
        }
        let Some(Leg::Incoming(incoming)) = self.legs.remove(&leg.0) else {
            return;
        };
        let up = Up {
            dialog: incoming.dialog,
            dialog_key: incoming.dialog_key,
            phase: Phase::Unconfirmed,
            outstanding: incoming.reliable.outstanding(incoming.cseq),
            ok: Some(ok),
            modify: Modify::Idle,
            again: None,
            probing: None,
            credentials: incoming.credentials,
            able: incoming.able,
            referring: None,
            session: granted.map(|granted| granted.begin(now)),
            local_sdp: sdp.into(),
        };
        self.insert_leg(leg, Leg::Up(Box::new(up)));
    }

    /// Refuses an incoming leg (300 to 699). Its final event is
    /// `Ended(Local)`.
    pub fn reject(
        &mut self,
        now: Duration,
        leg: LegId,
        code: u16,
        reason: Option<&str>,
        extra: &[(&str, &str)],
    ) {
        if self.refuse_incoming(now, leg, code.clamp(300, 699), reason, extra) {
            self.ended(leg, EndCause::Local);
        }
    }

    /// Sends a final refusal and forgets the leg. False when it isn't an
    /// unanswered incoming one.
    pub(crate) fn refuse_incoming(
        &mut self,
        now: Duration,
        leg: LegId,
        code: u16,
        reason: Option<&str>,
        extra: &[(&str, &str)],
    ) -> bool {
        self.settle_early(now, leg, Err(487));
        let Some(Leg::Incoming(incoming)) = self.legs.get(&leg.0) else {
            return false;
        };
        let tag = &incoming.dialog.local_tag;
        let mut writer = incoming.echo.respond(code, reason, Some(tag));
        write_extra(&mut writer, extra);
        let (key, bytes) = (incoming.invite, self.finish(writer, "", &[]));
        self.reply(now, key, code, bytes);
        if let Some(entry) = self.servers.get_mut(&key) {
            entry.serving = Serving::Answered;
        }
        self.remove_leg(leg);
        true
    }

    /// The caller gave up.
    pub(crate) fn cancel_incoming(&mut self, now: Duration, leg: LegId, reason: Option<String>) {
        if self.refuse_incoming(now, leg, 487, None, &[]) {
            self.events.push_back(Event::Cancelled { leg, reason });
        }
    }

    /// Our 200 with what a 2xx to INVITE must hold (sections 12.1.1 and
    /// 13.3.1.4).
    pub(crate) fn write_ok(
        &self,
        echo: &Echo,
        dialog: &Dialog,
        sdp: &[u8],
        extra: &[(&str, &str)],
        granted: Option<Granted>,
    ) -> crate::transaction::Datagram {
        let mut writer = echo.respond(200, None, Some(&dialog.local_tag));
        self.write_contact(&dialog.own(), echo.back.peer, &mut writer);
        writer.header("Allow", ALLOW);
        if let Some(granted) = granted {
            granted.write(&mut writer);
        }
        write_extra(&mut writer, extra);
        self.finish(writer, SDP, sdp)
    }

    pub(crate) fn unacked(
        &self,
        now: Duration,
        bytes: crate::transaction::Datagram,
        back: Back,
        cseq: u32,
        offered: bool,
    ) -> Unacked {
        let timing = &self.config.timing;
        Unacked {
            bytes,
            back,
            cseq,
            offered,
            repeat_at: now + timing.t1,
            interval: timing.t1,
            give_up_at: now + timeout(timing),
        }
    }

    /// Repeats a 200 whose ACK hasn't come, or gives up (section 13.3.1.4).
    pub(crate) fn repeat_ok(&mut self, now: Duration, leg: LegId) {
        let t2 = self.config.timing.t2;
        let persists = self.persists(leg);
        let Some(up) = self.up_mut(leg) else {
            return;
        };
        let Some(ok) = &mut up.ok else {
            return;
        };
        if ok.give_up_at <= now {
            up.ok = None;
            if up.is_announced() && persists {
                up.phase = Phase::Talking;
                return;
            }
            if up.is_announced() {
                self.ended(leg, EndCause::AckTimeout);
            }
            self.send_bye(now, leg);
        } else if ok.repeat_at <= now {
            ok.interval = (ok.interval * 2).min(t2);
            ok.repeat_at = now + ok.interval;
            let (peer, bytes) = (ok.back.peer, ok.bytes.clone());
            self.send(peer, bytes);
        }
    }

    /// An ACK inside a dialog.
    pub(crate) fn leg_acked(&mut self, now: Duration, leg: LegId, request: &Request) {
        let Some(up) = self.up_mut(leg) else {
            return;
        };
        let Some(ok) = up.ok.take_if(|ok| ok.cseq == request.cseq()) else {
            return;
        };
        match up.phase {
            Phase::ByeAfterAck { .. } => self.send_bye(now, leg),
            Phase::Unconfirmed | Phase::Talking => {
                if let Phase::Unconfirmed = up.phase {
                    up.phase = Phase::Talking;
                }
                let sdp = request.sdp().filter(|_| !ok.offered).map(<[u8]>::to_vec);
                self.events.push_back(Event::Confirmed { leg, sdp });
                self.arm_leg(leg);
            }
        }
    }
}

impl Up {
    /// True while the layer above still hears of this leg.
    pub(crate) fn is_announced(&self) -> bool {
        !matches!(self.phase, Phase::ByeAfterAck { .. })
    }
}

pub(crate) fn write_extra(writer: &mut Writer, extra: &[(&str, &str)]) {
    for (name, value) in extra {
        writer.header(name, value);
    }
}

/// What keeps an INVITE from being taken: a code, and a header saying what
/// would do.
type Objection = (u16, Option<(&'static str, &'static str)>);

/// The checks of RFC 3261 sections 8.2.3 and 13.3.1 that concern INVITE alone.
pub(crate) fn acceptable(request: &Request) -> Result<(), Objection> {
    // We call on as a B2BUA, so we count hops like one (RFC 7332 section 4).
    if request.max_forwards() == Some(0) {
        return Err((483, None));
    }
    if !request.body().is_empty() {
        let plain = |name: &str| {
            request
                .header(name)
                .is_none_or(|value| value.trim().eq_ignore_ascii_case("identity"))
        };
        if !plain("Content-Encoding") {
            return Err((415, Some(("Accept-Encoding", "identity"))));
        }
        let optional = request.header("Content-Disposition").is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.replace(' ', "").contains("handling=optional")
        });
        if request.sdp().is_none() && !optional {
            return Err((415, Some(("Accept", "application/sdp, multipart/mixed"))));
        }
    }
    let mut accepts = request.header_values("Accept").peekable();
    let understands = |value: &str| {
        value.split(',').any(|range| {
            let range = range.split(';').next().unwrap_or("").trim();
            [SDP, "application/*", "*/*"]
                .iter()
                .any(|ours| range.eq_ignore_ascii_case(ours))
        })
    };
    // An answer they can't read is no answer (section 20.1).
    if accepts.peek().is_some() && !accepts.any(understands) {
        return Err((406, None));
    }
    Ok(())
}
