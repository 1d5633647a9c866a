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
use crate::contact::{Arrival, Contact, Cx, Index, LegEnd, Side, View};
use crate::input::{Counters, Input, Now, Output};
use crate::phones::{self, Phones};
use crate::setup::{Line, Setup};

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
    released: Vec<Permit>,
    command: u64,
    contact: u64,
}

/// An admitted call: to which number, and the right to it.
struct Admitted {
    permit: Permit,
    line: Line,
    dnis: PhoneNumber,
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
            Input::Unreachable { peer } => self.sip.transport_error(now.mono, peer),
            Input::MediaOpened { key, leg, port } => match self.index.wishes.remove(&key) {
                Some((id, side)) if self.contacts.contains_key(&id) => {
                    self.with(now, id, |contact, cx| {
                        contact.media_opened(side, key, Some((leg, port)), cx);
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
        if let sip::Message::Request(request) = &message
            && self.sip.classify(request) == sip::Class::NewInvite
        {
            match self.screen(now, peer, request) {
                Ok(admitted) => self.admitted = Some(admitted),
                Err((code, retry_after)) => {
                    let refusal = self.sip.refuse_stateless(request, peer, code, retry_after);
                    self.out.push_back(Output::Transmit(refusal));
                    return;
                }
            }
        }
        self.sip.receive(now.mono, peer, message);
        self.sip_events(now);
        // The transaction layer answered it by itself (a loop, a missing
        // extension): it was no call.
        if let Some(Admitted { permit, .. }) = self.admitted.take() {
            self.admission.release(permit);
        }
    }

    /// May this new call come in at all? Nothing is remembered of one that may
    /// not.
    fn screen(
        &mut self,
        now: Now,
        peer: sip::Peer,
        request: &sip::Request,
    ) -> Result<Admitted, (u16, Option<u32>)> {
        if !self.setup.is_trusted(peer.addr.ip()) && self.account_of(request).is_none() {
            self.counters.strangers += 1;
            return Err((403, None));
        }
        let dialled = request.uri().user();
        let dnis = dialled.as_deref().map(digits).unwrap_or_default();
        let Some(line) = self.setup.lines.get(dnis.trim_start_matches('+')) else {
            self.counters.unknown_numbers += 1;
            return Err((404, None));
        };
        match self.admission.admit(now.mono, line.tenant, line.clinical) {
            Ok(permit) => {
                self.counters.admitted += 1;
                Ok(Admitted {
                    permit,
                    line: line.clone(),
                    dnis: PhoneNumber(dnis),
                })
            }
            Err(_) => {
                self.counters.refused += 1;
                Err((self.setup.sip.refusal_code, self.setup.sip.retry_after_s))
            }
        }
    }

    /// The account that a request says it is from.
    fn account_of(&self, request: &sip::Request) -> Option<&crate::setup::Account> {
        let from = request.from()?;
        self.setup.accounts.get(from.uri.user()?.as_ref())
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
            Event::Ringing { leg, .. } => {
                self.with_leg(now, leg, |contact, _, cx| contact.agent_rings(cx));
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
                let out = &mut self.out;
                let reply =
                    self.phones
                        .register(now.mono, &self.setup, peer, &request, &mut |message| {
                            out.push_back(Output::ToAcd(message))
                        });
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
        let Some(Admitted { permit, line, dnis }) = self.admitted.take() else {
            self.sip.reject(now.mono, leg, 503, None, &[]);
            return;
        };
        let ani = match self.caller_number(now, peer, request) {
            Ok(ani) => ani,
            Err(challenge) => {
                let headers: Vec<(&str, &str)> = challenge
                    .headers
                    .iter()
                    .map(|(name, value)| (name.as_ref(), value.as_str()))
                    .collect();
                self.sip
                    .reject(now.mono, leg, challenge.code, None, &headers);
                self.admission.release(permit);
                return;
            }
        };
        let arrival = Arrival {
            leg,
            peer,
            line,
            dnis,
            ani,
            sdp: request.sdp().map(<[u8]>::to_vec),
            permit,
        };
        self.contact += 1;
        let id = ContactId(self.contact);
        let contact = {
            let mut cx = cx!(self, now);
            Contact::arrive(id, arrival, &mut cx)
        };
        self.contacts.insert(id, Box::new(contact));
        self.schedule(now, id);
    }

    /// The calling number: an account's own after its password was checked;
    /// what a trunk says otherwise. `None`: withheld.
    fn caller_number(
        &mut self,
        now: Now,
        peer: sip::Peer,
        request: &sip::Request,
    ) -> Result<Option<PhoneNumber>, sip::Reply> {
        if self.account_of(request).is_some() {
            let verdict = self.authenticator.check(
                now.mono,
                request,
                &self.setup.realm,
                &phones::accounts(&self.setup),
            );
            return match verdict {
                Verdict::Accepted { username } => Ok(self
                    .setup
                    .accounts
                    .get(&username)
                    .and_then(|account| account.number.clone())),
                Verdict::Challenge(reply) => Err(reply),
            };
        }
        debug_assert!(self.setup.is_trusted(peer.addr.ip()), "screened");
        let private = request.lists("Privacy", "id") || request.lists("Privacy", "user");
        if private {
            return Ok(None);
        }
        let asserted = request
            .header("P-Asserted-Identity")
            .and_then(|value| sip::wire::NameAddr::parse(value).ok());
        let number = asserted
            .or_else(|| request.from())
            .and_then(|from| from.uri.user().map(|user| digits(&user)))
            .filter(|number| number.bytes().any(|b| b.is_ascii_digit()));
        Ok(number.map(PhoneNumber))
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
            let buried = {
                let mut cx = cx!(self, now);
                catch_unwind(AssertUnwindSafe(|| contact.panicked(&mut cx))).is_ok()
            };
            if !buried {
                return;
            }
        }
        if contact.is_done(now.mono) {
            let mut cx = cx!(self, now);
            contact.forget(&mut cx);
        } else {
            self.contacts.insert(id, contact);
            self.schedule(now, id);
        }
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

/// The digits of a number as a peer wrote it, with a leading `+` if it had one.
fn digits(text: &str) -> String {
    text.char_indices()
        .filter(|&(index, c)| c.is_ascii_digit() || (c == '+' && index == 0))
        .map(|(_, c)| c)
        .take(NUMBER_MAX)
        .collect()
}
