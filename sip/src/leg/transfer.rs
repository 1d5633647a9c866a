//! REFER inside a call (RFC 3515), and the NOTIFYs that tell how it went.

use std::time::Duration;

use rsip::Method;

use crate::dialog::Dialog;
use crate::digest::{self, Credentials};
use crate::echo::Echo;
use crate::endpoint::{Endpoint, Event, Purpose, Reply, RequestId, Serving, Start};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::LegId;
use crate::leg::state::Leg;
use crate::message::{Request, Response};
use crate::refer::{Refer, Replaces};
use crate::timers::Owner;
use crate::wire::Writer;

/// How long a REFER may go without its outcome being told.
const OUTCOME_MAX: Duration = Duration::from_secs(240);

/// A REFER of the peer: unanswered, or its sender is being told how it goes.
/// It outlives the call: whoever transfers often hangs up at once.
#[derive(Debug)]
pub(crate) struct Referral {
    leg: LegId,
    /// Once the leg is gone.
    dialog: Option<Dialog>,
    /// Told about; `None` while it isn't answered.
    subscribed: Option<bool>,
    asks_to_be_told: bool,
    pub(crate) until: Duration,
}

/// A REFER of ours.
#[derive(Debug, Clone)]
pub(crate) struct Referring {
    refer_to: String,
    headers: Vec<(String, String)>,
    credentials: Option<Credentials>,
    attempts: u8,
}

impl Endpoint {
    /// The peer's REFER.
    pub(crate) fn receive_refer(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        leg: LegId,
        request: &Request,
    ) {
        let talking = self.legs.get(&leg.0).is_some_and(|leg| leg.is_talking());
        if !talking || !self.config.transfers {
            return self.answer_plain(now, peer, key, request, 603, |_| {});
        }
        // One at a time.
        if self.referrals.values().any(|referral| referral.leg == leg) {
            return self.answer_plain(now, peer, key, request, 491, |_| {});
        }
        let refer = match Refer::parse(request) {
            Ok(refer) => Box::new(refer),
            Err(code) => return self.answer_plain(now, peer, key, request, code, |_| {}),
        };
        let id = self.mint_request();
        let echo = Box::new(Echo::new(request, peer));
        let answers_to = echo.back;
        let serving = Serving::Request { id, echo };
        self.open_plain(now, key, answers_to, serving, None);
        self.served.insert(id.0, key);
        let until = now + OUTCOME_MAX;
        let referral = Referral {
            leg,
            dialog: None,
            subscribed: None,
            asks_to_be_told: refer.subscribes,
            until,
        };
        self.referrals.insert(id.0, referral);
        self.timers.set(until, Owner::Referral(id));
        self.events.push_back(Event::Refer { leg, id, refer });
    }

    /// Refuses a REFER.
    pub fn refuse_refer(&mut self, now: Duration, id: RequestId, code: u16) {
        if self.referrals.remove(&id.0).is_some() {
            self.respond(now, id, Reply::new(code.clamp(300, 699)));
        }
    }

    /// Accepts a REFER: 202, and a NOTIFY that says 100 (RFC 3515 section
    /// 2.4.4). Then [`tell_refer`](Self::tell_refer) is owed.
    pub fn accept_refer(&mut self, now: Duration, id: RequestId) {
        let Some(referral) = self.referrals.get_mut(&id.0) else {
            return;
        };
        if referral.subscribed.is_some() {
            return;
        }
        referral.subscribed = Some(referral.asks_to_be_told);
        let (told, leg) = (referral.asks_to_be_told, referral.leg);
        let mut reply = Reply::new(202);
        if let Some(Leg::Up(up)) = self.legs.get(&leg.0) {
            let mut contact = Writer::fragment();
            self.write_contact(&up.dialog.own(), up.dialog.hop(), &mut contact);
            let lines = String::from_utf8_lossy(&contact.into_lines()).into_owned();
            if let Some((_, value)) = lines.trim_end().split_once(": ") {
                reply = reply.with("Contact", value);
            }
        }
        if !told {
            reply = reply.with("Refer-Sub", "false");
        }
        self.respond(now, id, reply);
        self.notify(now, id, 100, false);
    }

    /// Tells the sender of a REFER how the new call came out: the last that it
    /// hears. Its own call may be over.
    pub fn tell_refer(&mut self, now: Duration, id: RequestId, code: u16) {
        self.notify(now, id, code, true);
        self.referrals.remove(&id.0);
    }

    fn notify(&mut self, now: Duration, id: RequestId, code: u16, last: bool) {
        let Some(referral) = self.referrals.get_mut(&id.0) else {
            return;
        };
        if referral.subscribed != Some(true) {
            return;
        }
        let leg = self.legs.get_mut(&referral.leg.0);
        let dialog = leg.and_then(|leg| leg.dialog_mut());
        let Some(dialog) = dialog.or(referral.dialog.as_mut()) else {
            return;
        };
        let cseq = dialog.next_cseq();
        let dialog = dialog.clone();
        let (mut composed, peer, _) = self.compose_inside(&dialog, Method::Notify, cseq);
        let writer = &mut composed.writer;
        self.write_contact(&dialog.own(), peer, writer);
        writer.header("Event", "refer");
        let state = if last {
            "terminated;reason=noresource"
        } else {
            "active;expires=240"
        };
        writer.header("Subscription-State", state);
        let reason = crate::wire::default_reason(code);
        let body = format!("SIP/2.0 {code} {reason}\r\n");
        let bytes = composed
            .writer
            .finish("message/sipfrag;version=2.0", body.as_bytes());
        self.start_client(
            now,
            Start {
                method: Method::Notify,
                branch: &composed.branch,
                peer,
                bytes,
                purpose: Purpose::Nobody,
                head: None,
            },
        );
    }

    /// Nobody told the outcome: it is not known.
    pub(crate) fn referral_due(&mut self, now: Duration, id: RequestId) {
        self.tell_refer(now, id, 408);
    }

    /// A leg is forgotten; what is owed about its REFER isn't.
    pub(crate) fn keep_for_referrals(&mut self, leg: LegId, dialog: &Dialog) {
        for referral in self.referrals.values_mut() {
            if referral.leg == leg {
                referral.dialog = Some(dialog.clone());
            }
        }
    }

    /// The leg that a Replaces means (RFC 3891 section 3).
    #[must_use]
    pub fn replaced(&self, replaces: &Replaces) -> Option<LegId> {
        let Replaces {
            call_id,
            to_tag,
            from_tag,
            ..
        } = replaces;
        let key = self.tokens.dialog_key(call_id, to_tag, from_tag);
        self.dialogs.get(&key).copied()
    }

    /// How the peer of a leg that rings here or is answered is asked to replace it.
    #[must_use]
    pub fn replaces(&self, leg: LegId) -> Option<Replaces> {
        match self.legs.get(&leg.0)? {
            Leg::Incoming(_) | Leg::Up(_) => {}
            Leg::Calling(_) | Leg::Cancelling(_) | Leg::Closing(_) => return None,
        }
        let dialog = self.legs.get(&leg.0)?.dialog()?;
        Some(Replaces {
            call_id: dialog.call_id.to_string(),
            to_tag: dialog.remote_tag.to_string(),
            from_tag: dialog.local_tag.to_string(),
            early_only: false,
        })
    }

    /// Asks the peer of an answered leg to call somebody else. The answer is
    /// [`Event::Referred`], what came of it [`Event::Notify`]. `refer_to` is
    /// the header's whole value. Answers a 401 once.
    pub fn refer(
        &mut self,
        now: Duration,
        leg: LegId,
        refer_to: &str,
        headers: &[(&str, &str)],
        credentials: Option<Credentials>,
    ) {
        if !self.up_mut(leg).is_some_and(|up| up.is_announced()) {
            return;
        }
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let referring = Referring {
            refer_to: refer_to.to_owned(),
            headers: headers.iter().map(owned).collect(),
            credentials,
            attempts: 0,
        };
        self.send_refer(now, leg, referring, None);
    }

    fn send_refer(
        &mut self,
        now: Duration,
        leg: LegId,
        referring: Referring,
        authorization: Option<(&'static str, String)>,
    ) {
        let Some(Leg::Up(mut up)) = self.legs.remove(&leg.0) else {
            return;
        };
        let cseq = up.dialog.next_cseq();
        let (mut composed, peer, _) = self.compose_inside(&up.dialog, Method::Refer, cseq);
        let writer = &mut composed.writer;
        self.write_contact(&up.dialog.own(), peer, writer);
        writer.header("Refer-To", &referring.refer_to);
        if let Some((name, value)) = &authorization {
            writer.header(name, value);
        }
        for (name, value) in &referring.headers {
            writer.header(name, value);
        }
        up.referring = Some(Box::new(referring));
        let bytes = composed.writer.finish("", &[]);
        self.legs.insert(leg.0, Leg::Up(up));
        self.start_client(
            now,
            Start {
                method: Method::Refer,
                branch: &composed.branch,
                peer,
                bytes,
                purpose: Purpose::Refer(leg),
                head: None,
            },
        );
    }

    /// The answer to our REFER.
    pub(crate) fn refer_response(&mut self, now: Duration, leg: LegId, response: &Response) {
        let code = response.code();
        let cnonce = self.tokens.token();
        let Some(up) = self.up_mut(leg).filter(|up| up.is_announced()) else {
            return;
        };
        if code < 200 {
            return;
        }
        let Some(mut referring) = up.referring.take() else {
            return;
        };
        let uri = up.dialog.routed().0;
        let authorization = (referring.attempts == 0)
            .then(|| {
                let credentials = referring.credentials.as_ref()?;
                digest::answer(response, credentials, "REFER", &uri, &cnonce)
            })
            .flatten();
        match authorization {
            Some(authorization) => {
                referring.attempts += 1;
                self.send_refer(now, leg, *referring, Some(authorization));
            }
            None => self.events.push_back(Event::Referred { leg, code }),
        }
    }

    pub(crate) fn refer_failed(&mut self, leg: LegId) {
        if let Some(up) = self.up_mut(leg)
            && up.referring.take().is_some()
        {
            self.events.push_back(Event::Referred { leg, code: 408 });
        }
    }

    /// NOTIFY about a REFER of ours.
    pub(crate) fn receive_notify(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        leg: LegId,
        request: &Request,
    ) {
        let event = request.header("Event").unwrap_or("");
        if !event
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .eq_ignore_ascii_case("refer")
        {
            return self.answer_plain(now, peer, key, request, 489, |_| {});
        }
        self.answer_plain(now, peer, key, request, 200, |_| {});
        let talking = self.legs.get(&leg.0).is_some_and(|leg| leg.is_talking());
        // A sipfrag's first line (RFC 3420).
        let body = String::from_utf8_lossy(request.body());
        let code = body
            .strip_prefix("SIP/2.0 ")
            .and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
        if let (true, Some(code)) = (talking, code) {
            let state = request.header("Subscription-State").unwrap_or("");
            self.events.push_back(Event::Notify {
                leg,
                code,
                last: state.trim_start().starts_with("terminated"),
            });
        }
    }
}
