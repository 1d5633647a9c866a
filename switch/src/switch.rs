//! The machine of one shard: finds whose business an input is, and gives it
//! to that contact.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use acd::{FromAcd, Refusal, ToAcd};
use desk::{ContactId, PhoneNumber};
use sip::digest::{Authenticator, Throttle, ThrottleLimits, Verdict};

use crate::admission::{Admission, Permit};
use crate::contact::{Arrival, Consulting, Contact, Cx, Index, LegEnd, Opened, Side, View};
use crate::input::{Counters, Input, Now, Output};
use crate::phones::{self, Phones};
use crate::setup::{Account, Destination, Encryption, Gateway, Line, Setup, Trunk, uri_at};
use crate::trunks::Trunks;

/// Longest calling or called number taken from a message.
const NUMBER_MAX: usize = 32;
/// Diversion and History-Info entries passed on, of each, and how long they may be.
const CARRIED_MAX: usize = 5;
const CARRIED_LENGTH_MAX: usize = 512;

/// Everything of a switch that a contact may touch. A macro, because a method
/// would borrow the whole.
macro_rules! cx {
    ($switch:ident, $now:ident) => {
        Cx {
            now: $now,
            setup: &$switch.setup,
            sip: &mut $switch.sip,
            phones: &$switch.phones,
            trunks: &mut $switch.trunks,
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
    trunks: Trunks,
    authenticator: Authenticator,
    throttle: Throttle,
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
    /// Whose REFER is.
    referring: Option<String>,
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
    carried: Vec<(String, String)>,
    consulting: Option<Consulting>,
    /// What the caller's account says of it.
    encryption: Option<Encryption>,
}

impl Switch {
    /// A switch without calls.
    pub fn new(setup: Setup) -> Self {
        let mut config = sip::EndpointConfig::new(setup.interface.clone(), setup.shard, setup.seed);
        config.user_agent = Some(setup.sip.product.clone());
        config.transfers = true;
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
            trunks: Trunks::new(&setup),
            authenticator: Authenticator::new(
                nonce_key,
                sip::digest::AuthLimits {
                    challenges: setup.sip.challenges,
                    ..sip::digest::AuthLimits::default()
                },
            ),
            throttle: Throttle::new(ThrottleLimits::default()),
            admission: Admission::new(setup.limits),
            contacts: HashMap::new(),
            index: Index::default(),
            timers: BinaryHeap::new(),
            out: VecDeque::new(),
            counters: Counters::default(),
            admitted: None,
            registering: None,
            referring: None,
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
            Input::Located {
                trunk,
                gateway,
                peers,
            } => {
                if let Some(trunk) = self.setup.trunks.get(&trunk) {
                    self.trunks.located(trunk, gateway, &peers);
                }
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
        if self.trunks.poll_timeout().is_some_and(|at| at <= now.mono) {
            let (sip, setup) = (&mut self.sip, &self.setup);
            self.trunks
                .on_timeout(now.mono, setup, &mut |trunk, gateway, peer| {
                    Some(sip.request(now.mono, probe(trunk, gateway, peer, setup)?))
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
            self.trunks.poll_timeout(),
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

    /// Each trunk: its name, the calls it carries, how many of its gateways work.
    pub fn trunks(&self) -> impl Iterator<Item = (&str, u32, usize)> {
        let names = self.setup.trunks.keys();
        names.filter_map(|name| {
            let (calls, alive) = self.trunks.load(name)?;
            Some((&**name, calls, alive))
        })
    }

    /// Are no new calls taken any more?
    pub fn is_draining(&self) -> bool {
        self.admission.is_draining()
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
                + index.offers.len()
                + index.direct.len(),
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
                // Knowing a call's tags isn't enough to send its caller elsewhere.
                sip::Class::InDialog if request.method() == sip::Method::Refer => {
                    self.authenticate(now, peer, request).map(|user| {
                        self.referring = Some(user);
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
        self.referring = None;
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
            if let Some(consulting) = self.consulting(&user, request) {
                return self.admit_consulting(now, consulting?);
            }
            let account = self.setup.accounts.get(&user);
            let number = match account {
                Some(account) if account.trunk => trunk_number(request),
                account => account.and_then(|account| account.number.clone()),
            };
            (number, account.and_then(|account| account.encryption))
        };
        let carried = carried(request, trunk);
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
                    carried,
                    consulting: None,
                    encryption,
                })
            }
            Err(_) => Err(self.no_room()),
        }
    }

    fn no_room(&mut self) -> sip::Reply {
        self.counters.refused += 1;
        let reply = sip::Reply::new(self.setup.sip.refusal_code);
        match self.setup.sip.retry_after_s {
            Some(seconds) => reply.with("Retry-After", seconds.to_string()),
            None => reply,
        }
    }

    /// An agent who is talking with a caller calls a colleague or a queue: to
    /// ask about that caller. `None`: it is an ordinary call.
    fn consulting(
        &self,
        user: &str,
        request: &sip::Request,
    ) -> Option<Result<Consulting, sip::Reply>> {
        let by = self.setup.accounts.get(user)?.agent?;
        let mut contacts = self.contacts.values();
        let main = contacts
            .find(|contact| contact.talks_with() == Some(by) && contact.consult().is_none())?;
        let to = self.setup.destination(main.tenant(), request.uri())?;
        let asks_already = self
            .contacts
            .values()
            .filter_map(|contact| contact.consult())
            .any(|consult| consult.of == main.id());
        // One at a time, and nobody asks themselves.
        if asks_already || self.is_engaged(&to) {
            return Some(Err(sip::Reply::new(486)));
        }
        Some(Ok(main.consulted(by, to)))
    }

    fn admit_consulting(
        &mut self,
        now: Now,
        consulting: Consulting,
    ) -> Result<Admitted, sip::Reply> {
        let line = consulting.line.clone();
        match self.admission.admit(now.mono, line.tenant, line.clinical) {
            Ok(permit) => Ok(Admitted {
                permit,
                line,
                dnis: PhoneNumber(String::new()),
                ani: None,
                carried: Vec::new(),
                consulting: Some(consulting),
                encryption: None,
            }),
            Err(_) => Err(self.no_room()),
        }
    }

    /// An agent who talks or is rung already. (What a telephone would say of
    /// itself isn't waited for: one with two lines would ring.)
    fn is_engaged(&self, to: &Destination) -> bool {
        let Destination::Agent(agent) = to else {
            return false;
        };
        let mut contacts = self.contacts.values();
        contacts.any(|contact| contact.engages() == Some(*agent))
    }

    /// An agent's phone sends a call elsewhere.
    fn refer(&mut self, now: Now, leg: sip::LegId, id: sip::RequestId, refer: &sip::refer::Refer) {
        let user = self.referring.take();
        let account = user.as_ref().and_then(|user| self.setup.accounts.get(user));
        let agent = account.and_then(|account| account.agent);
        let here = self.index.legs.get(&leg).copied();
        let (Some(user), Some(agent), Some((contact, _))) = (&user, agent, here) else {
            return self.sip.refuse_refer(now.mono, id, 403);
        };
        let by = format!("<sip:{user}@{}>", self.setup.realm);
        let talks = |id: &ContactId| {
            let contact = self.contacts.get(id);
            contact.is_some_and(|c| c.talks_with() == Some(agent) && c.consult().is_none())
        };
        let Some(replaces) = &refer.replaces else {
            let tenant = self.contacts.get(&contact).map(|c| c.tenant());
            let to = tenant.and_then(|tenant| self.setup.destination(tenant, &refer.target));
            let Some(to) = to.filter(|_| talks(&contact)) else {
                return self.sip.refuse_refer(now.mono, id, 403);
            };
            if self.is_engaged(&to) {
                return self.sip.refuse_refer(now.mono, id, 486);
            }
            return self.with(now, contact, |contact, cx| {
                contact.transfer(id, &to, &by, cx);
            });
        };
        let replaced = self.sip.replaced(replaces);
        let Some((other, _)) = replaced.and_then(|leg| self.index.legs.get(&leg).copied()) else {
            return self.sip.refuse_refer(now.mono, id, 481);
        };
        // Phones differ in which of their two calls they ask to replace the other.
        let asks = |consult: &ContactId, main: &ContactId| {
            let consult = self.contacts.get(consult).and_then(|c| c.consult());
            consult.is_some_and(|c| c.of == *main && c.by == agent) && talks(main)
        };
        let (main, consult) = match () {
            () if asks(&other, &contact) => (contact, other),
            () if asks(&contact, &other) => (other, contact),
            () => return self.sip.refuse_refer(now.mono, id, 403),
        };
        let Some(mut asked) = self.contacts.remove(&consult) else {
            return;
        };
        self.with(now, main, |main, cx| {
            main.take_over(id, &by, &mut asked, cx)
        });
        self.contacts.insert(consult, asked);
        self.with(now, consult, |_, _| {});
    }

    /// The user whose password a request shows; the challenge otherwise.
    fn authenticate(
        &mut self,
        now: Now,
        peer: sip::Peer,
        request: &sip::Request,
    ) -> Result<String, sip::Reply> {
        let accounts = phones::accounts(&self.setup);
        let (realm, source) = (&self.setup.realm, peer.addr.ip());
        let claimed = sip::digest::claimed_user(request, realm).unwrap_or_default();
        if !claimed.is_empty() && !self.throttle.allows(now.mono, source, &claimed) {
            // Right or wrong, known or not: it isn't looked at.
            self.counters.sign_ins_blocked += 1;
            return Err(sip::Reply::new(403));
        }
        match self
            .authenticator
            .check(now.mono, source, request, realm, &accounts)
        {
            Verdict::Accepted { username } => {
                self.throttle.right(now.mono, source, &username);
                Ok(username)
            }
            Verdict::Challenge(reply) => {
                self.counters.challenged += 1;
                Err(reply)
            }
            Verdict::Refused(reply) => {
                self.counters.sign_ins_refused += 1;
                self.throttle.wrong(now.mono, source, &claimed);
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
                self.reinvited(now, leg, sdp.as_deref());
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
            Event::Response { id, response } => {
                let code = response.code();
                self.trunks.answered(now.mono, &self.setup, id, Some(code));
            }
            Event::RequestTimeout { id } => {
                self.trunks.answered(now.mono, &self.setup, id, None);
            }
            Event::EarlyUpdate { leg, sdp, .. } => self.reinvited(now, leg, Some(&sdp)),
            Event::ReinviteAnswered { leg, offer, sdp } => {
                if let Some(answer) = sdp {
                    self.with_leg(now, leg, |contact, side, cx| {
                        contact.refreshed(side, &offer, &answer, cx);
                    });
                }
            }
            Event::Info {
                leg,
                content_type,
                body,
            } => self.with_leg(now, leg, |contact, side, cx| {
                contact.info(side, &content_type, &body, cx);
            }),
            Event::Refer { leg, id, refer } => self.refer(now, leg, id, &refer),
            // We ask nobody to transfer anything, nor to change a session.
            Event::Referred { .. } | Event::Notify { .. } | Event::ReinviteRefused { .. } => {}
        }
    }

    fn reinvited(&mut self, now: Now, leg: sip::LegId, sdp: Option<&[u8]>) {
        if !self.index.legs.contains_key(&leg) {
            // Of a call that is being let go, after a transfer.
            return self.sip.reject_reinvite(now.mono, leg, 488);
        }
        self.with_leg(now, leg, |contact, side, cx| {
            contact.reinvited(side, sdp, cx);
        });
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
            carried,
            consulting,
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
            carried,
            encryption,
            hops_left: request.max_forwards(),
            sdp: request.sdp().map(<[u8]>::to_vec),
            consulting,
        };
        self.contact += 1;
        let id = match arrival.consulting {
            // Nobody's journey.
            Some(_) => ContactId(self.contact | ContactId::JOURNEYS_END << 1),
            None => ContactId(self.contact),
        };
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

/// The OPTIONS that asks whether a gateway lives.
fn probe(
    trunk: &Trunk,
    gateway: &Gateway,
    peer: sip::Peer,
    setup: &Setup,
) -> Option<sip::OutRequest> {
    let target = uri_at(gateway.host()?, peer, None)?;
    let ours = setup.host_towards(peer);
    let from = sip::Uri::parse(&format!("sip:careline@{ours}")).ok()?;
    Some(sip::OutRequest {
        method: sip::Method::Options,
        to: target.clone(),
        target,
        next_hop: peer,
        from,
        call_id: None,
        cseq: None,
        headers: Vec::new(),
        body: None,
        credentials: trunk.credentials.clone(),
    })
}

/// What goes along on the calls made for this one: its Session-ID (RFC 7989)
/// and, of a trunk that we believe, where it was dialled before it came to us
/// (Diversion, RFC 5806; History-Info, RFC 7044).
fn carried(request: &sip::Request, trunk: bool) -> Vec<(String, String)> {
    let mut carried = Vec::new();
    let session = request.header("Session-ID").unwrap_or("");
    let session = session.split(';').next().unwrap_or("").trim();
    let is_id = session.len() == 32 && session.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id && session.bytes().any(|b| b != b'0') {
        let nobody = "0".repeat(32);
        let value = format!("{};remote={nobody}", session.to_ascii_lowercase());
        carried.push(("Session-ID".to_owned(), value));
    }
    let private = |kinds: &[&str]| {
        let values = request.header_values("Privacy");
        let mut asked = values.flat_map(|value| value.split([';', ',']).map(str::trim));
        asked.any(|asked| kinds.iter().any(|kind| asked.eq_ignore_ascii_case(kind)))
    };
    for (name, kinds) in [
        ("Diversion", &["id", "user"][..]),
        ("History-Info", &["id", "user", "history", "header"][..]),
    ] {
        if trunk && !private(kinds) {
            let values = request.header_values(name);
            let values = values.filter(|value| value.len() <= CARRIED_LENGTH_MAX);
            let values = values.take(CARRIED_MAX);
            carried.extend(values.map(|value| (name.to_owned(), value.to_owned())));
        }
    }
    carried
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
        trunk_number(&invite(lines)).map(|number| number.0)
    }

    fn invite(lines: &str) -> sip::Request {
        let text = format!(
            "INVITE sip:1001@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
             From: <sip:+15550177002@192.0.2.9>;tag=1\r\nTo: <sip:1001@192.0.2.1>\r\nCall-ID: 1\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.9>\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        let peer = sip::Peer::udp(([192, 0, 2, 9], 5060).into());
        match sip::parse_datagram(text.as_bytes(), peer) {
            Ok(sip::Message::Request(request)) => request,
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
    fn what_a_call_went_through_goes_along_as_far_as_it_may() {
        let id = "47755A9DE7794BA387653F2099600EF2";
        let session = format!("Session-ID: {id};remote={}\r\n", "0".repeat(32));
        let past = "Diversion: <sip:1@x>;reason=no-answer, <sip:2@x>\r\n\
                    History-Info: <sip:3@x>;index=1\r\n";
        let names = |lines: &str, trunk: bool| {
            let carried = carried(&invite(lines), trunk);
            let names: Vec<_> = carried.iter().map(|(name, _)| name.clone()).collect();
            names.join(" ")
        };
        let all = format!("{session}{past}");
        assert_eq!(
            names(&all, true),
            "Session-ID Diversion Diversion History-Info"
        );
        assert_eq!(names(&all, false), "Session-ID", "anybody could write it");
        assert_eq!(
            names(&format!("{all}Privacy: history\r\n"), true),
            "Session-ID Diversion Diversion"
        );
        assert_eq!(names(&format!("{all}Privacy: id\r\n"), true), "Session-ID");
        let (_, value) = carried(&invite(&session), true).remove(0);
        assert_eq!(
            value,
            format!("{};remote={}", id.to_lowercase(), "0".repeat(32))
        );
        for bad in ["", "0000", &"0".repeat(32), &"g".repeat(32)] {
            assert_eq!(names(&format!("Session-ID: {bad}\r\n"), true), "", "{bad}");
        }
        let many = "Diversion: <sip:1@x>\r\n".repeat(40);
        assert_eq!(carried(&invite(&many), true).len(), CARRIED_MAX);
    }

    /// Ten wrong passwords from one address, for whomever.
    #[test]
    fn guessing_is_blocked_by_source_and_looks_the_same_for_everybody() {
        let mut setup = crate::setup::tests::empty();
        let account = Account {
            encryption: None,
            ha1s: sip::digest::Ha1s::derive("ana", "test", "secret"),
            agent: None,
            number: None,
            trunk: false,
        };
        setup.accounts.insert("ana".into(), account);
        let mut switch = Switch::new(setup);
        let mut branch = 0;
        let mut register = |from: [u8; 4], user: &str, password: &str| -> u16 {
            let peer = sip::Peer::udp((from, 5060).into());
            let mut challenge: Option<String> = None;
            loop {
                branch += 1;
                let authorization = challenge.as_ref().map_or(String::new(), |challenge| {
                    let credentials = sip::Credentials::new(user, password);
                    let params = sip::wire::AuthParams::parse(challenge).expect("a challenge");
                    let value = sip::digest::authorize(
                        &params,
                        &credentials,
                        "REGISTER",
                        "sip:test",
                        "c",
                        1,
                    );
                    format!("Authorization: {}\r\n", value.expect("an answer"))
                });
                let text = format!(
                    "REGISTER sip:test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{branch}\r\n\
                     From: <sip:{user}@test>;tag=1\r\nTo: <sip:{user}@test>\r\nCall-ID: {branch}\r\n\
                     CSeq: 1 REGISTER\r\nContact: <sip:{user}@192.0.2.9>\r\n{authorization}\
                     Content-Length: 0\r\n\r\n"
                );
                let message = sip::parse_datagram(text.as_bytes(), peer).expect("well-formed");
                let now = Now {
                    mono: Duration::from_secs(10),
                    wall: 0,
                };
                switch.handle(now, Input::Sip { peer, message });
                let mut answer = None;
                while let Some(output) = switch.poll() {
                    if let Output::Transmit(transmit) = output {
                        answer = Some(transmit.bytes);
                    }
                }
                let answer = answer.expect("an answer");
                let answer = String::from_utf8_lossy(&answer).into_owned();
                let code = answer[8..11].parse().expect("a code");
                let offered = answer
                    .lines()
                    .find_map(|line| line.strip_prefix("WWW-Authenticate: "));
                match (offered, &challenge) {
                    (Some(offered), None) => challenge = Some(offered.to_owned()),
                    _ => return code,
                }
            }
        };
        let (bad, elsewhere) = ([198, 51, 100, 1], [198, 51, 100, 2]);
        for n in 0..10 {
            let user = ["ana", "nobody"][n % 2];
            assert_eq!(register(bad, user, "guess"), 401, "{n}");
        }
        for (user, password) in [("ana", "guess"), ("ana", "secret"), ("nobody", "guess")] {
            assert_eq!(register(bad, user, password), 403);
        }
        assert_eq!(
            register(elsewhere, "ana", "secret"),
            200,
            "never the victim"
        );
        assert_eq!(switch.counters().sign_ins_refused, 10);
        assert_eq!(switch.counters().sign_ins_blocked, 3);
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
