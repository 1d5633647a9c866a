//! Requests as they come in (RFC 3261 section 8.2): to their transaction, their
//! dialog, or a new one.

use std::time::Duration;

use rsip::Method;

use super::{Class, Endpoint, Event, Machine, Serving};
use crate::echo::{Back, Echo};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::{Leg, LegId};
use crate::message::Request;
use crate::wire::{ALLOW, Pieces, Writer};

/// Extensions a REGISTER may require of us (RFC 3327).
const REGISTERING: &str = "path";
/// And any other request (RFC 3262, RFC 3891, RFC 4028, RFC 4488). What Replaces means is for the layer above to say.
const CALLING: [&str; 4] = ["100rel", "replaces", "timer", "norefersub"];
const SUPPORTED: &str = "100rel, norefersub, path, replaces, timer";

impl Endpoint {
    /// What `request` is to us; cheap, changes nothing.
    #[must_use]
    pub fn classify(&self, request: &Request) -> Class {
        let method = request.method();
        let key = self.tokens.server_key(request, method);
        if method == Method::Cancel || self.servers.contains_key(&key) {
            Class::InTransaction
        } else if method == Method::Ack || request.to_tag().is_some() {
            Class::InDialog
        } else if method == Method::Invite {
            Class::NewInvite
        } else {
            Class::NewOther
        }
    }

    pub(crate) fn receive_request(&mut self, now: Duration, peer: Peer, request: Request) {
        let method = request.method();
        let key = self.tokens.server_key(&request, method);
        if let Some(entry) = self.servers.get_mut(&key) {
            match (&mut entry.machine, method) {
                (Machine::Invite(machine), Method::Ack) => {
                    machine.on_ack(now, &self.config.timing);
                    if let Some(at) = machine.deadline() {
                        self.timers.set(at, crate::timers::Owner::Server(key));
                    }
                    // RFC 2543 elements acknowledge a 2xx with the same
                    // branch (none), so the dialog has a look too.
                }
                _ => {
                    let (peer, bytes) = (entry.back.peer, entry.on_repeat());
                    if let Some(bytes) = bytes {
                        self.send(peer, bytes);
                    }
                    return;
                }
            }
        }
        match method {
            Method::Ack => self.receive_ack(now, &request),
            Method::Cancel => self.receive_cancel(now, peer, key, &request),
            _ if request.to_tag().is_some() => self.receive_inside(now, peer, key, request),
            _ => self.receive_outside(now, peer, key, request),
        }
    }

    /// A request outside any dialog.
    fn receive_outside(&mut self, now: Duration, peer: Peer, key: Key, request: Request) {
        let method = request.method();
        let handed_up = self.config.hand_up.contains(&method);
        match method {
            Method::Invite | Method::Options => {}
            Method::Register if self.config.registrar => {}
            // Only inside a dialog do these mean anything.
            Method::Bye
            | Method::Info
            | Method::PRack
            | Method::Update
            | Method::Refer
            | Method::Notify
                if !handed_up =>
            {
                return self.refuse(&request, peer, 481, |_| {});
            }
            _ if handed_up => {}
            _ => return self.refuse(&request, peer, 405, |w| w.header("Allow", ALLOW)),
        }
        if let Some(unsupported) = self.unsupported(&request) {
            return self.refuse(&request, peer, 420, |w| {
                w.header("Unsupported", &unsupported)
            });
        }
        let merge = self.tokens.merge_key(&request);
        if self.merges.contains_key(&merge) {
            return self.refuse(&request, peer, 482, |_| {});
        }
        if method == Method::Options {
            // Nothing changes, so nothing is kept.
            return self.refuse(&request, peer, 200, capabilities);
        }
        if self.transactions() >= self.config.limits.transactions_max {
            return self.refuse(&request, peer, 503, |_| {});
        }
        if method == Method::Invite {
            return self.receive_invite(now, peer, key, merge, request);
        }
        let id = self.mint_request();
        let echo = Box::new(Echo::new(&request, peer));
        let answers_to = echo.back;
        let serving = Serving::Request { id, echo };
        self.open_plain(now, key, answers_to, serving, Some(merge));
        self.served.insert(id.0, key);
        let request = Box::new(request);
        self.events.push_back(if method == Method::Register {
            Event::Register { id, peer, request }
        } else {
            Event::Other { id, peer, request }
        });
    }

    /// A request that says it belongs to a dialog.
    fn receive_inside(&mut self, now: Duration, peer: Peer, key: Key, request: Request) {
        let Some(leg) = self.dialog_of(&request) else {
            return self.refuse(&request, peer, 481, |_| {});
        };
        let method = request.method();
        let handled = matches!(
            method,
            Method::Invite
                | Method::Bye
                | Method::Options
                | Method::Info
                | Method::PRack
                | Method::Update
                | Method::Refer
                | Method::Notify
        );
        if !handled {
            return self.refuse(&request, peer, 405, |w| w.header("Allow", ALLOW));
        }
        if let Some(unsupported) = self.unsupported(&request) {
            return self.refuse(&request, peer, 420, |w| {
                w.header("Unsupported", &unsupported)
            });
        }
        // From here on each answer is kept: a repeat must neither be judged
        // anew, when things may have changed, nor be taken for out of order.
        // A BYE makes room, so it is always let in.
        if method != Method::Bye && self.transactions() >= self.config.limits.transactions_max {
            return self.refuse(&request, peer, 503, |_| {});
        }
        if let Some(Leg::Calling(_)) = self.legs.get(&leg.0) {
            return self.receive_early(now, peer, key, leg, &request);
        }
        if let Some(dialog) = self.legs.get_mut(&leg.0).and_then(|leg| leg.dialog_mut()) {
            // Section 12.2.2. A BYE out of order still means the peer is gone.
            let late = dialog
                .remote_cseq
                .is_some_and(|last| request.cseq() <= last);
            if late && method != Method::Bye {
                return self.refuse(&request, peer, 500, |_| {});
            }
            dialog.remote_cseq = Some(request.cseq());
            dialog.heard_from(peer);
        }
        match method {
            Method::Bye => self.receive_bye(now, peer, key, leg, &request),
            Method::Invite => self.receive_reinvite(now, peer, key, leg, request),
            Method::Info => self.receive_info(now, peer, key, leg, &request),
            Method::PRack => self.receive_prack(now, peer, key, leg, &request),
            Method::Update => self.receive_update(now, peer, key, leg, &request),
            Method::Refer => self.receive_refer(now, peer, key, leg, &request),
            Method::Notify => self.receive_notify(now, peer, key, leg, &request),
            _ => self.answer_plain(now, peer, key, &request, 200, capabilities),
        }
    }

    fn receive_info(&mut self, now: Duration, peer: Peer, key: Key, leg: LegId, request: &Request) {
        self.answer_plain(now, peer, key, request, 200, |_| {});
        let talking = self.legs.get(&leg.0).is_some_and(|leg| leg.is_talking());
        if talking && !request.body().is_empty() {
            self.events.push_back(Event::Info {
                leg,
                content_type: request.fields.content_type().unwrap_or("").to_owned(),
                body: request.body().to_vec(),
            });
        }
    }

    /// Answers a non-INVITE request at once, keeping the answer for repeats.
    pub(crate) fn answer_plain(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        request: &Request,
        code: u16,
        extra: impl FnOnce(&mut Writer),
    ) {
        let answer = self.stateless(request, peer, code, extra);
        let back = Back::of(request, peer);
        self.open_plain(now, key, back, Serving::Answered, None);
        self.reply(now, key, code, answer.bytes);
    }

    /// Refuses an INVITE at once, keeping the refusal for repeats and
    /// repeating it until its ACK.
    pub(crate) fn refuse_invite(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        request: &Request,
        code: u16,
        extra: impl FnOnce(&mut Writer),
    ) {
        let answer = self.stateless(request, peer, code, extra);
        let back = Back::of(request, peer);
        self.open_invite(now, key, back, Serving::Answered, None);
        self.reply(now, key, code, answer.bytes);
    }

    fn receive_ack(&mut self, now: Duration, request: &Request) {
        if let Some(leg) = self.dialog_of(request) {
            self.leg_acked(now, leg, request);
        }
    }

    /// Section 9.2: the CANCEL is answered for itself, the INVITE with 487.
    fn receive_cancel(&mut self, now: Duration, peer: Peer, key: Key, request: &Request) {
        let invite = self.tokens.server_key(request, Method::Invite);
        let Some(entry) = self.servers.get(&invite) else {
            return self.refuse(request, peer, 481, |_| {});
        };
        let open = matches!(&entry.machine, Machine::Invite(m) if m.is_proceeding());
        let (leg, is_reinvite) = match entry.serving {
            Serving::Leg(leg) => (Some(leg), false),
            Serving::Reinvite(leg) => (Some(leg), true),
            _ => (None, false),
        };
        self.answer_plain(now, peer, key, request, 200, |_| {});
        let Some(leg) = leg.filter(|_| open) else {
            return;
        };
        if is_reinvite {
            self.end_theirs(now, leg);
        } else {
            let reason = request.header("Reason").map(str::to_owned);
            self.cancel_incoming(now, leg, reason);
        }
    }

    fn dialog_of(&self, request: &Request) -> Option<LegId> {
        let key = self.tokens.dialog_key(
            request.call_id(),
            request.to_tag()?,
            request.from_tag().unwrap_or(""),
        );
        self.dialogs.get(&key).copied()
    }

    /// Sends an answer of which nothing is kept, neither here nor in a dialog.
    pub(crate) fn refuse(
        &mut self,
        request: &Request,
        peer: Peer,
        code: u16,
        extra: impl FnOnce(&mut Writer),
    ) {
        let transmit = self.stateless(request, peer, code, extra);
        self.transmits.push_back(transmit);
    }

    /// The required extensions we don't have (section 8.2.2.3). Proxy-Require
    /// is for proxies, yet what asks one to stand between must not be taken
    /// lightly by us either.
    fn unsupported(&self, request: &Request) -> Option<String> {
        let known = |token: &str| {
            let known: &[&str] = if request.method() == Method::Register {
                &[REGISTERING]
            } else {
                &CALLING
            };
            known.iter().any(|known| token.eq_ignore_ascii_case(known))
        };
        let mut unsupported = String::new();
        for name in ["Require", "Proxy-Require"] {
            for value in request.header_values(name) {
                for token in Pieces::new(value, b',').map(str::trim) {
                    if !token.is_empty() && !known(token) && unsupported.len() < 512 {
                        if !unsupported.is_empty() {
                            unsupported.push_str(", ");
                        }
                        unsupported.push_str(token);
                    }
                }
            }
        }
        (!unsupported.is_empty()).then_some(unsupported)
    }
}

/// What we can do (section 11.2).
fn capabilities(writer: &mut Writer) {
    writer.header("Allow", ALLOW);
    writer.header("Accept", "application/sdp");
    writer.header("Supported", SUPPORTED);
}
