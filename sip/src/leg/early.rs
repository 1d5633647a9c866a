//! Early dialogs of calls we make (RFC 3261 section 12.1): a proxy may have
//! called several phones, each of which says what it likes before one of them
//! answers.

use std::time::Duration;

use rsip::Method;

use crate::dialog::{Dialog, Own};
use crate::echo::Back;
use crate::endpoint::{Endpoint, Event, Purpose, Serving, Start};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::LegId;
use crate::leg::state::{Able, Leg, Pending};
use crate::message::{Request, Response};
use crate::wire::ALLOW;

/// How many are kept of one call.
const FORKS_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) tag: Box<str>,
    /// `None` without a usable Contact: it is heard, and can't be spoken to.
    dialog: Option<(Dialog, Key)>,
    /// The last reliable provisional response (RFC 3262).
    rseq: Option<u32>,
    /// Offer and answer are through: the answer came reliably.
    settled: bool,
    /// The last answer heard, for a 2xx that leaves it out.
    sdp: Option<Vec<u8>>,
    /// Our answer to its last UPDATE: what responses to the INVITE say of the
    /// media is older, and counts no more (RFC 3261 section 13.2.1).
    moved: Option<Vec<u8>>,
    able: Able,
    pub(crate) update: Option<Pending>,
}

impl Early {
    pub(crate) fn key(&self) -> Option<Key> {
        self.dialog.as_ref().map(|(_, key)| *key)
    }
}

/// What a 2xx takes over from its early dialog.
#[derive(Debug, Default)]
pub(crate) struct Ripened {
    pub(crate) local_cseq: u32,
    pub(crate) remote_cseq: Option<u32>,
    pub(crate) sdp: Option<Vec<u8>>,
    pub(crate) moved: Option<Vec<u8>>,
    pub(crate) able: Able,
}

impl Endpoint {
    /// 101 to 199.
    pub(crate) fn provisional(
        &mut self,
        now: Duration,
        leg: LegId,
        source: Peer,
        pinned: bool,
        response: &Response,
    ) {
        let (code, mut sdp) = (response.code(), response.sdp().map(<[u8]>::to_vec));
        let rseq = response.lists("Require", "100rel").then(|| {
            let rseq = response.header("RSeq");
            rseq.and_then(|value| value.trim().parse::<u32>().ok())
        });
        let Some(Leg::Calling(mut calling)) = self.legs.remove(&leg.0) else {
            return;
        };
        let tag = response.to_tag().unwrap_or("");
        let known = calling.early.iter().position(|early| *early.tag == *tag);
        let fork = known.unwrap_or(calling.early.len());
        if known.is_none() && calling.early.len() < FORKS_MAX {
            let dialog = (!tag.is_empty())
                .then(|| Dialog::from_response(response, source, pinned))
                .flatten()
                .map(|dialog| {
                    let (ours, theirs) = (&dialog.local_tag, &dialog.remote_tag);
                    let key = self.tokens.dialog_key(&dialog.call_id, ours, theirs);
                    self.dialogs.insert(key, leg);
                    (dialog, key)
                });
            calling.early.push(Early {
                tag: tag.into(),
                dialog,
                rseq: None,
                settled: false,
                sdp: None,
                moved: None,
                able: Able::default(),
                update: None,
            });
        }
        let mut heard = true;
        if let Some(early) = calling.early.get_mut(fork) {
            early.able = early.able.heard(response.header("Allow"));
            match (rseq, &mut early.dialog) {
                (None, _) => {}
                // RFC 3262 section 4: only the next one counts. A repeat is
                // acknowledged by the PRACK that is repeated itself.
                (Some(Some(rseq)), Some((dialog, _)))
                    if early
                        .rseq
                        .is_none_or(|last| last.checked_add(1) == Some(rseq)) =>
                {
                    early.rseq = Some(rseq);
                    early.settled |= sdp.is_some();
                    self.send_prack(now, dialog, rseq, calling.cseq);
                }
                _ => heard = false,
            }
            sdp.take_if(|_| early.moved.is_some());
            if heard && sdp.is_some() {
                early.sdp.clone_from(&sdp);
            }
        }
        self.legs.insert(leg.0, Leg::Calling(calling));
        if heard {
            self.events.push_back(Event::Ringing {
                leg,
                code,
                fork: u8::try_from(fork).unwrap_or(u8::MAX),
                sdp,
            });
        }
    }

    fn send_prack(&mut self, now: Duration, dialog: &mut Dialog, rseq: u32, invite: u32) {
        let cseq = dialog.next_cseq();
        let (mut composed, peer, _) = self.compose_inside(dialog, Method::PRack, cseq);
        composed
            .writer
            .header("RAck", &format!("{rseq} {invite} INVITE"));
        let bytes = composed.writer.finish("", &[]);
        self.start_client(
            now,
            Start {
                method: Method::PRack,
                branch: &composed.branch,
                peer,
                bytes,
                purpose: Purpose::Nobody,
                head: None,
            },
        );
    }

    /// Forgets the early dialogs of a call: it is answered or over. Gives what
    /// the one of this tag leaves.
    pub(crate) fn ripen(&mut self, early: Vec<Early>, tag: &str) -> Ripened {
        let mut ripened = Ripened::default();
        for early in early {
            if let Some((dialog, key)) = &early.dialog {
                self.dialogs.remove(key);
                if *early.tag == *tag {
                    ripened.local_cseq = dialog.local_cseq;
                    ripened.remote_cseq = dialog.remote_cseq;
                }
            }
            if *early.tag == *tag {
                ripened.sdp = early.sdp;
                ripened.moved = early.moved;
                ripened.able = early.able;
            }
        }
        ripened
    }

    /// A request of somebody who rings. Only UPDATE changes anything.
    pub(crate) fn receive_early(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        leg: LegId,
        request: &Request,
    ) {
        let retry_after = self.tokens.below(10);
        let Some(Leg::Calling(calling)) = self.legs.get_mut(&leg.0) else {
            return;
        };
        let tag = request.from_tag().unwrap_or("");
        let forks = calling.early.iter_mut().enumerate();
        let Some((fork, early)) = forks.into_iter().find(|(_, early)| *early.tag == *tag) else {
            return self.refuse(request, peer, 481, |_| {});
        };
        let Some((dialog, _)) = &mut early.dialog else {
            return self.refuse(request, peer, 481, |_| {});
        };
        if dialog
            .remote_cseq
            .is_some_and(|last| request.cseq() <= last)
        {
            return self.refuse(request, peer, 500, |_| {});
        }
        dialog.remote_cseq = Some(request.cseq());
        let own = dialog.own();
        match (request.method(), request.sdp()) {
            (Method::Update, None) => {
                dialog.refresh(request.contacts());
                self.answer_update(now, peer, key, &own, request);
            }
            (Method::Update, Some(_)) if early.update.is_some() => {
                self.answer_plain(now, peer, key, request, 500, |writer| {
                    writer.number("Retry-After", retry_after);
                });
            }
            // Our own offer has no answer yet (RFC 3311 section 5.2).
            (Method::Update, Some(_)) if !early.settled => {
                self.answer_plain(now, peer, key, request, 491, |_| {});
            }
            (Method::Update, Some(sdp)) => {
                let pending = early.update.insert(Pending::new(key, request, peer));
                let answers_to = pending.echo.back;
                let fork = u8::try_from(fork).unwrap_or(u8::MAX);
                self.offered_early(now, key, answers_to, leg, fork, sdp);
            }
            (Method::Info | Method::Options, _) => {
                self.answer_plain(now, peer, key, request, 200, |_| {});
            }
            _ => self.answer_plain(now, peer, key, request, 481, |_| {}),
        }
    }

    /// An offer before the call is answered: [`Pending`] until it is settled.
    pub(crate) fn offered_early(
        &mut self,
        now: Duration,
        key: Key,
        answers_to: Back,
        leg: LegId,
        fork: u8,
        sdp: &[u8],
    ) {
        self.open_plain(now, key, answers_to, Serving::Answered, None);
        let sdp = sdp.to_vec();
        self.events.push_back(Event::EarlyUpdate { leg, fork, sdp });
    }

    /// 200 to an UPDATE that changes no media.
    pub(crate) fn answer_update(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        own: &Own,
        request: &Request,
    ) {
        let mut contact = crate::wire::Writer::fragment();
        self.write_contact(own, peer, &mut contact);
        let contact = contact.into_lines();
        self.answer_plain(now, peer, key, request, 200, |writer| {
            writer.lines(&contact);
            writer.header("Allow", ALLOW);
        });
    }

    /// Answers the UPDATE of a call that isn't answered yet: 200 with our
    /// answer, or a refusal. False when there is none.
    pub(crate) fn settle_early(
        &mut self,
        now: Duration,
        leg: LegId,
        answer: Result<&[u8], u16>,
    ) -> bool {
        let (pending, dialog) = match self.legs.get_mut(&leg.0) {
            Some(Leg::Incoming(incoming)) => match incoming.update.take() {
                Some(pending) => (pending, &mut incoming.dialog),
                None => return false,
            },
            Some(Leg::Calling(calling)) => {
                let mut forks = calling.early.iter_mut();
                let found = forks.find_map(|early| {
                    let (dialog, _) = early.dialog.as_mut()?;
                    let pending = early.update.take()?;
                    if let Ok(sdp) = answer {
                        early.moved = Some(sdp.to_vec());
                    }
                    Some((pending, dialog))
                });
                match found {
                    Some(found) => found,
                    None => return false,
                }
            }
            _ => return false,
        };
        let Pending { tx, echo, target } = pending;
        let (contact_user, own) = (dialog.local_tag.clone(), dialog.own());
        if let (Ok(_), Some(target)) = (answer, target) {
            dialog.target = target;
        }
        match answer {
            Ok(sdp) => {
                let mut writer = echo.respond(200, None, Some(&contact_user));
                self.write_contact(&own, echo.back.peer, &mut writer);
                writer.header("Allow", ALLOW);
                let bytes = self.finish(writer, "application/sdp", sdp);
                self.reply(now, tx, 200, bytes);
            }
            Err(code) => {
                let writer = echo.respond(code, None, Some(&contact_user));
                let bytes = self.finish(writer, "", &[]);
                self.reply(now, tx, code, bytes);
            }
        }
        true
    }
}
