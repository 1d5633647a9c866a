//! The machine of one shard: finds whose business an input is, and gives it
//! to that contact.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use acd::{FromAcd, Refusal, ToAcd};
use desk::{ContactId, PhoneNumber};
use sip::digest::{Authenticator, Verdict};

use crate::admission::{Admission, Permit};
use crate::contact::{Arrival, Contact, Cx, Index, LegEnd, Opened, Side, View};
use crate::input::{Counters, Input, Now, Output};
use crate::phones::{self, Phones};
use crate::setup::{Account, Encryption, Line, Setup};

/// Longest calling or called number taken from a message.
const NUMBER_MAX: usize = 32;

/// Everything of a switch that a contact may touch. A macro, because a method
/// would borrow the whole.
macro_rules! cx {
    ($switch:ident, $now:ident) => {
        Cx {
            now: $now,
            setup: &$switch.setup,
            sip: &mut $switch.sip,
            phones: &$switch.phones,
            index: &mut $switch.index,
            out: &mut $switch.out,
            counters: &mut $switch.counters,
            command: &mut $switch.command,
            released: &mut $switch.released,
        }
    };
}

/// All calls of one shard.
///
/// How to drive it: after [`handle`](Self::handle) or
/// [`handle_timeout`](Self::handle_timeout) take everything out of
/// [`poll`](Self::poll), then call `handle_timeout` when the moment of
/// [`poll_timeout`](Self::poll_timeout) has come. `now` never goes back.
pub struct Switch {
    setup: Setup,
    sip: sip::Endpoint,
    phones: Phones,
    authenticator: Authenticator,
    admission: Admission,
    contacts: HashMap<ContactId, Box<Contact>>,
    index: Index,
    timers: BinaryHeap<Reverse<(Duration, ContactId)>>,
    out: VecDeque<Output>,
    counters: Counters,
    /// An INVITE that is admitted and on its way through the transaction layer.
    admitted: Option<Admitted>,
    /// Whose REGISTER is on its way through it.
    registering: Option<String>,
    released: Vec<Permit>,
    command: u64,
    contact: u64,
}

/// An admitted call: who calls which number, and the right to it.
struct Admitted {
    permit: Permit,
    line: Line,
    dnis: PhoneNumber,
    ani: Option<PhoneNumber>,
    /// What the caller's account says of it.
    encryption: Option<Encryption>,
}

impl Switch {
    /// A switch without calls.
    pub fn new(setup: Setup) -> Self {
        let mut config = sip::EndpointConfig::new(setup.interface.clone(), setup.shard, setup.seed);
        config.user_agent = Some(setup.sip.product.clone());
        let mut nonce_key = setup.seed;
        for byte in &mut nonce_key {
            *byte ^= 0xa3;
        }
        // Unique across restarts: milliseconds since 1970 in front, a count
        // behind; 53 bits, so that a JSON number holds it.
        let first = (setup.epoch_ms.max(0) as u64) << 12;
        Self {
            sip: sip::Endpoint::new(config),
            phones: Phones::new(&setup),
            authenticator: Authenticator::new(
                nonce_key,
                sip::digest::AuthLimits {
                    challenges: setup.sip.challenges,
                    ..sip::digest::AuthLimits::default()
                },
            ),
            admission: Admission::new(setup.limits),
            contacts: HashMap::new(),
            index: Index::default(),
            timers: BinaryHeap::new(),
            out: VecDeque::new(),
            counters: Counters::default(),
            admitted: None,
            registering: None,
            released: Vec::new(),
            command: first,
            contact: first,
            setup,
        }
    }

    /// Something happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Sip { peer, message } => self.receive(now, peer, message),
            Input::PeerLost { peer } => {
                self.sip.transport_error(now.mono, peer);
                let out = &mut self.out;
                let mut say = |message| out.push_back(Output::ToAcd(message));
                self.phones.flow_lost(now.mono, &self.setup, peer, &mut say);
            }
            Input::MediaOpened {
                key,
                leg,
                port,
                secret,
            } => match self.index.wishes.remove(&key) {
                Some((id, side)) if self.contacts.contains_key(&id) => {
                    self.with(now, id, |contact, cx| {
                        let opened = Opened { leg, port, secret };
                        contact.media_opened(side, key, Some(opened), cx);
                    });
                }
                // Whoever wished for it is gone.
                _ => self
                    .out
                    .push_back(Output::Media(media::engine::Command::Close { leg })),
            },
            Input::MediaRefused { key } => {
                if let Some((id, side)) = self.index.wishes.remove(&key) {
                    self.with(now, id, |contact, cx| {
                        contact.media_opened(side, key, None, cx);
                    });
                }
            }
            Input::Media(event) => {
                if let Some(&(id, side)) = self.index.media.get(&event.leg()) {
                    self.with(now, id, |contact, cx| contact.media_event(side, &event, cx));
                }
            }
            Input::Rendered { id, clips } => {
                if let Some(contact) = self.index.renders.remove(&id) {
                    self.with(now, contact, |contact, cx| contact.rendered(id, clips, cx));
                }
            }
            Input::RenderFailed { id } => {
                if let Some(contact) = self.index.renders.remove(&id) {
                    self.with(now, contact, |contact, cx| contact.render_failed(id, cx));
                }
            }
            Input::Acd(message) => self.acd(now, message),
            Input::Desk(answer) => {
                self.with(now, answer.contact, |contact, cx| {
                    contact.desk_answer(answer, cx);
                });
            }
            Input::Drain => self.admission.drain(),
            Input::HangUpAll => {
                self.admission.drain();
                let mut all: Vec<_> = self.contacts.keys().copied().collect();
                all.sort_unstable();
                for id in all {
                    self.with(now, id, Contact::stopped);
                }
            }
        }
        self.sip_events(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.sip.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.sip.handle_timeout(now.mono);
        }
        if self.phones.poll_timeout().is_some_and(|at| at <= now.mono) {
            let out = &mut self.out;
            self.phones
                .on_timeout(now.mono, &self.setup, &mut |message| {
                    out.push_back(Output::ToAcd(message));
                });
        }
        while let Some(&Reverse((at, id))) = self.timers.peek() {
            if at > now.mono {
                break;
            }
            self.timers.pop();
            if self.contacts.get(&id).is_some_and(|c| c.wake == Some(at)) {
                self.with(now, id, |contact, cx| {
                    contact.wake = None;
                    contact.on_timeout(cx);
                });
            }
        }
        self.sip_events(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called next. May
    /// be earlier than anything happens.
    pub fn poll_timeout(&self) -> Option<Duration> {
        [
            self.sip.poll_timeout(),
            self.phones.poll_timeout(),
            self.timers.peek().map(|Reverse((at, _))| *at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(transmit) = self.sip.poll_transmit() {
            return Some(Output::Transmit(transmit));
        }
        self.out.pop_front()
    }

    /// Every contact there is, for live views and tests. Ended ones are kept
    /// for as long as they owe a message.
    pub fn contacts(&self) -> impl Iterator<Item = (ContactId, View)> + '_ {
        self.contacts.values().map(|c| (c.id(), c.view()))
    }

    /// One contact.
    pub fn contact(&self, id: ContactId) -> Option<View> {
        self.contacts.get(&id).map(|c| c.view())
    }

    /// Calls in progress.
    pub fn calls(&self) -> u32 {
        self.admission.calls()
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What is kept at the moment, for metrics and for finding leaks: SIP legs,
    /// transactions, and entries of the index.
    pub fn kept(&self) -> (usize, usize, usize) {
        let index = &self.index;
        (
            self.sip.legs(),
            self.sip.transactions(),
            index.legs.len()
                + index.media.len()
                + index.wishes.len()
                + index.renders.len()
                + index.offers.len(),
        )
    }

    fn receive(&mut self, now: Now, peer: sip::Peer, message: sip::Message) {
        if let sip::Message::Request(request) = &message {
            let screened = match self.sip.classify(request) {
                sip::Class::NewInvite => self.screen(now, peer, request).map(|admitted| {
                    self.admitted = Some(admitted);
                }),
                sip::Class::NewOther if request.method() == sip::Method::Register => {
                    self.authenticate(now, peer, request).map(|user| {
                        self.registering = Some(user);
                    })
                }
                _ => Ok(()),
            };
            if let Err(reply) = screened {
                // RFC 3261 section 8.2.7: nothing is remembered of it.
                let refusal = self.sip.refuse_with(request, peer, &reply);
                self.out.push_back(Output::Transmit(refusal));
                return;
            }
        }
        self.sip.receive(now.mono, peer, message);
        self.sip_events(now);
        self.registering = None;
        // The transaction layer answered it by itself (a loop, a missing
        // extension): it was no call.
        if let Some(Admitted { permit, .. }) = self.admitted.take() {
            self.admission.release(permit);
        }
    }

    /// May this new call come in at all?
    fn screen(
        &mut self,
        now: Now,
        peer: sip::Peer,
        request: &sip::Request,
    ) -> Result<Admitted, sip::Reply> {
        // Who is neither a trunk nor shows a password learns nothing, not even
        // whether there is such an account or number.
        let trunk =
            self.setup.is_trusted(peer.addr.ip()) && self.account_of(peer, request).is_none();
        let (ani, encryption) = if trunk {
            (trunk_number(request), None)
        } else {
            let user = self.authenticate(now, peer, request)?;
            let account = self.setup.accounts.get(&user);
            let number = account.and_then(|account| account.number.clone());
            (number, account.and_then(|account| account.encryption))
        };
        let dialled = request.uri().user();
        let dnis = dialled.as_deref().map(digits).unwrap_or_default();
        let Some(line) = self.setup.lines.get(dnis.trim_start_matches('+')) else {
            self.counters.unknown_numbers += 1;
            return Err(sip::Reply::new(404));
        };
        match self.admission.admit(now.mono, line.tenant, line.clinical) {
            Ok(permit) => {
                self.counters.admitted += 1;
                Ok(Admitted {
                    permit,
                    line: line.clone(),
                    dnis: PhoneNumber(dnis),
                    ani,
                    encryption,
                })
            }
            Err(_) => {
                self.counters.refused += 1;
                let reply = sip::Reply::new(self.setup.sip.refusal_code);
                Err(match self.setup.sip.retry_after_s {
                    Some(seconds) => reply.with("Retry-After", seconds.to_string()),
                    None => reply,
                })
            }
        }
    }

    /// The user whose password a request shows; the challenge otherwise.
    fn authenticate(
        &mut self,
        now: Now,
        peer: sip::Peer,
        request: &sip::Request,
    ) -> Result<String, sip::Reply> {
        let accounts = phones::accounts(&self.setup);
        let realm = &self.setup.realm;
        match self
            .authenticator
            .check(now.mono, request, realm, &accounts)
        {
            Verdict::Accepted { username } => Ok(username),
            Verdict::Challenge(reply) => {
                self.counters.challenged += 1;
                Err(reply)
            }
            Verdict::Refused(reply) => {
                self.counters.sign_ins_refused += 1;
                self.out.push_back(Output::SignInRefused { peer });
                Err(reply)
            }
        }
    }

    /// The account that a request says it is from. A trunk may well send a
    /// calling number that is also the name of an account here: then the host
    /// has to be ours too, or a password be shown.
    fn account_of(&self, peer: sip::Peer, request: &sip::Request) -> Option<&Account> {
        let from = request.from()?;
        let account = self.setup.accounts.get(from.uri.user()?.as_ref())?;
        let ours = || {
            let host = from.uri.host_str();
            let interface = &self.setup.interface;
            host.eq_ignore_ascii_case(&self.setup.realm)
                || interface.advertise.host.as_deref() == Some(host)
                || host.parse().is_ok_and(|ip: std::net::IpAddr| {
                    ip == interface.bind.ip() || ip == interface.advertise.ip
                })
        };
        let meant = !self.setup.is_trusted(peer.addr.ip())
            || request.header("Authorization").is_some()
            || ours();
        meant.then_some(account)
    }

    fn sip_events(&mut self, now: Now) {
        while let Some(event) = self.sip.poll_event() {
            self.sip_event(now, event);
        }
    }

    fn sip_event(&mut self, now: Now, event: sip::Event) {
        use sip::Event;
        match event {
            Event::Incoming { leg, peer, request } => self.incoming(now, leg, peer, &request),
            Event::Trying { leg } => {
                self.with_leg(now, leg, |contact, _, cx| contact.agent_is_tried(cx));
            }
            Event::Ringing { leg, .. } => {
                self.with_leg(now, leg, |contact, _, _| contact.agent_rings());
            }
            Event::Answered { leg, sdp, .. } => {
                self.with_leg(now, leg, |contact, _, cx| {
                    contact.agent_answered(sdp.as_deref(), cx);
                });
            }
            Event::Confirmed { leg, sdp } => {
                self.with_leg(now, leg, |contact, side, cx| {
                    contact.confirmed(side, sdp.as_deref(), cx);
                });
            }
            Event::Refused { leg, code, .. } => self.leg_ended(now, leg, LegEnd::Refused(code)),
            Event::Cancelled { leg, .. } => self.leg_ended(now, leg, LegEnd::HungUp),
            Event::Ended { leg, cause } => {
                let how = match cause {
                    sip::EndCause::Bye(_) => LegEnd::HungUp,
                    _ => LegEnd::Broken,
                };
                self.leg_ended(now, leg, how);
            }
            Event::Reinvite { leg, sdp } => {
                self.with_leg(now, leg, |contact, side, cx| {
                    contact.reinvited(side, sdp.as_deref(), cx);
                });
            }
            Event::Register { id, peer, request } => {
                let Some(user) = self.registering.take() else {
                    self.sip.respond(now.mono, id, sip::Reply::new(500));
                    return;
                };
                let out = &mut self.out;
                let reply = self.phones.register(
                    now.mono,
                    &self.setup,
                    peer,
                    &request,
                    &user,
                    &mut |message| out.push_back(Output::ToAcd(message)),
                );
                self.sip.respond(now.mono, id, reply);
            }
            Event::Other { id, .. } => self.sip.respond(now.mono, id, sip::Reply::new(405)),
            Event::ReinviteAnswered { .. }
            | Event::ReinviteRefused { .. }
            | Event::Info { .. }
            | Event::Response { .. }
            | Event::RequestTimeout { .. } => {}
        }
    }

    fn leg_ended(&mut self, now: Now, leg: sip::LegId, how: LegEnd) {
        if let Some((id, side)) = self.index.legs.remove(&leg) {
            self.with(now, id, |contact, cx| contact.leg_ended(side, how, cx));
        }
    }

    /// A call got through the transaction layer: who is calling?
    fn incoming(&mut self, now: Now, leg: sip::LegId, peer: sip::Peer, request: &sip::Request) {
        let Some(Admitted {
            permit,
            line,
            dnis,
            ani,
            encryption,
        }) = self.admitted.take()
        else {
            let code = self.setup.sip.refusal_code;
            self.sip.reject(now.mono, leg, code, None, &[]);
            return;
        };
        let arrival = Arrival {
            leg,
            peer,
            line,
            dnis,
            ani,
            encryption,
            hops_left: request.max_forwards(),
            sdp: request.sdp().map(<[u8]>::to_vec),
        };
        self.contact += 1;
        let id = ContactId(self.contact);
        let arrived = {
            let mut cx = cx!(self, now);
            catch_unwind(AssertUnwindSafe(|| Contact::arrive(id, arrival, &mut cx)))
        };
        let Ok(mut contact) = arrived else {
            self.counters.panics += 1;
            self.index.legs.remove(&leg);
            self.index.wishes.retain(|_, (owner, _)| *owner != id);
            self.sip.reject(now.mono, leg, 500, None, &[]);
            self.admission.release(permit);
            return;
        };
        contact.hold(permit);
        self.contacts.insert(id, Box::new(contact));
        self.schedule(now, id);
    }

    fn acd(&mut self, now: Now, message: FromAcd) {
        let contact = match &message {
            FromAcd::Standing { contact, .. }
            | FromAcd::Left { contact, .. }
            | FromAcd::Offer { contact, .. }
            | FromAcd::Rescind { contact, .. }
            | FromAcd::Confirm { contact, .. } => Some(ContactId(contact.0)),
            FromAcd::Refuse { offer } | FromAcd::Finished { offer } => {
                self.index.offers.get(offer).copied()
            }
        };
        let known = contact.filter(|id| self.contacts.contains_key(id));
        if let Some(id) = known {
            self.with(now, id, |contact, cx| contact.acd_says(message, cx));
            return;
        }
        // The contact is long gone; the distributor is told, so that it stops
        // asking and the agent is free again.
        let reply = match message {
            FromAcd::Offer { offer, .. } => ToAcd::Decline {
                offer,
                why: Refusal::ContactGone,
            },
            FromAcd::Rescind { offer, .. } => ToAcd::Decline {
                offer,
                why: Refusal::Rescinded,
            },
            FromAcd::Confirm { offer, .. } => ToAcd::Finish { offer },
            _ => return,
        };
        self.out.push_back(Output::ToAcd(reply));
    }

    fn with_leg(
        &mut self,
        now: Now,
        leg: sip::LegId,
        f: impl FnOnce(&mut Contact, Side, &mut Cx<'_>),
    ) {
        if let Some(&(id, side)) = self.index.legs.get(&leg) {
            self.with(now, id, |contact, cx| f(contact, side, cx));
        }
    }

    /// Lets a contact work. A panic in it is the end of that contact alone.
    fn with(&mut self, now: Now, id: ContactId, f: impl FnOnce(&mut Contact, &mut Cx<'_>)) {
        let Some(mut contact) = self.contacts.remove(&id) else {
            return;
        };
        let survived = {
            let mut cx = cx!(self, now);
            catch_unwind(AssertUnwindSafe(|| f(&mut contact, &mut cx))).is_ok()
        };
        if !survived {
            self.counters.panics += 1;
            let mut cx = cx!(self, now);
            contact.bury(&mut cx);
            self.give_back();
            return;
        }
        if contact.is_done(now.mono) {
            let mut cx = cx!(self, now);
            contact.forget(&mut cx);
        } else {
            self.contacts.insert(id, contact);
            self.schedule(now, id);
        }
        self.give_back();
    }

    fn give_back(&mut self) {
        for permit in self.released.drain(..) {
            self.admission.release(permit);
        }
    }

    /// Enters the contact's next deadline into the heap, if it is earlier than
    /// the one already there; a later one is found when that comes.
    fn schedule(&mut self, now: Now, id: ContactId) {
        let Some(contact) = self.contacts.get_mut(&id) else {
            return;
        };
        let Some(at) = contact.next_deadline() else {
            return;
        };
        let at = at.max(now.mono);
        if contact.wake.is_none_or(|wake| at < wake) {
            contact.wake = Some(at);
            self.timers.push(Reverse((at, id)));
        }
    }
}

/// The calling number as a trunk says it; `None`: withheld.
fn trunk_number(request: &sip::Request) -> Option<PhoneNumber> {
    // RFC 3323 section 4.2 separates its values by semicolons.
    let withheld = request
        .header_values("Privacy")
        .flat_map(|value| value.split([';', ',']))
        .any(|value| {
            ["id", "user"]
                .iter()
                .any(|p| value.trim().eq_ignore_ascii_case(p))
        });
    if withheld {
        return None;
    }
    let asserted = request
        .header("P-Asserted-Identity")
        .and_then(|value| sip::wire::NameAddr::parse(value).ok());
    asserted
        .or_else(|| request.from())
        .and_then(|from| from.uri.user().map(|user| digits(&user)))
        .filter(|number| number.bytes().any(|b| b.is_ascii_digit()))
        .map(PhoneNumber)
}

/// The digits of a number as a peer wrote it, with a leading `+` if it had one.
fn digits(text: &str) -> String {
    // Behind a semicolon stand parameters of the user part (`;npdi;rn=…`).
    let number = text.split(';').next().unwrap_or_default();
    number
        .char_indices()
        .filter(|&(index, c)| c.is_ascii_digit() || (c == '+' && index == 0))
        .map(|(_, c)| c)
        .take(NUMBER_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(lines: &str) -> Option<String> {
        let text = format!(
            "INVITE sip:1001@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
             From: <sip:+15550177002@192.0.2.9>;tag=1\r\nTo: <sip:1001@192.0.2.1>\r\nCall-ID: 1\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.9>\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        let peer = sip::Peer::udp(([192, 0, 2, 9], 5060).into());
        match sip::parse_datagram(text.as_bytes(), peer) {
            Ok(sip::Message::Request(request)) => trunk_number(&request).map(|number| number.0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_calls_is_what_the_trunk_asserts_unless_withheld() {
        for (lines, expected) in [
            ("", Some("+15550177002")),
            (
                "P-Asserted-Identity: \"Ada\" <sip:+15550177001@trunk>\r\n",
                Some("+15550177001"),
            ),
            (
                "P-Asserted-Identity: <sip:+15550177001;isup-oli=00@trunk>\r\n",
                Some("+15550177001"),
            ),
            (
                "P-Asserted-Identity: <tel:+1-555-017-7001;phone-context=x9>\r\n",
                Some("+15550177001"),
            ),
            ("Privacy: none\r\n", Some("+15550177002")),
            ("Privacy: id\r\n", None),
            ("Privacy: user;id\r\n", None),
            ("Privacy: id;critical\r\n", None),
            ("Privacy: critical; ID\r\n", None),
        ] {
            assert_eq!(number(lines).as_deref(), expected, "{lines}");
        }
    }

    #[test]
    fn parameters_of_the_user_part_are_no_digits() {
        for (text, expected) in [
            ("+15550101001;npdi;rn=+15550100000", "+15550101001"),
            ("1001", "1001"),
            ("1-555 0177", "15550177"),
            ("15+5", "155"),
        ] {
            assert_eq!(digits(text), expected);
        }
    }
}
