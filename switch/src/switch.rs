//! The machine of one shard: finds whose business an input is, and gives it
//! to that contact.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use acd::{FromAcd, Refusal, ToAcd};
use desk::ContactId;
use sip::digest::{Authenticator, Throttle, ThrottleLimits};

use crate::admission::{Admission, Permit};
use crate::contact::{Arrival, Contact, Cx, Index, LegEnd, Opened, Side, View};
use crate::emergency::{EmergencyCall, Lately, is_emergency};
use crate::input::{Counters, Input, Now, Output};
use crate::phones::Phones;
use crate::setup::{Gateway, Setup, Trunk, uri_at};
use crate::trunks::Trunks;

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

mod callbacks;
mod conferences;
mod emergencies;
mod replaces;
mod said;
mod screen;
#[cfg(test)]
mod secure;
mod transfers;

use replaces::Replacing;
use screen::{Admitted, Entry};

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
    /// Which trunk the far end of a connection has shown to be.
    certified: HashMap<sip::Peer, Arc<str>>,
    contacts: HashMap<ContactId, Box<Contact>>,
    emergencies: HashMap<ContactId, Box<EmergencyCall>>,
    index: Index,
    timers: BinaryHeap<Reverse<(Duration, ContactId)>>,
    out: VecDeque<Output>,
    counters: Counters,
    /// An INVITE that is admitted and on its way through the transaction layer.
    admitted: Option<Entry>,
    /// An INVITE that may take another's place, on the same way.
    replacing: Option<Replacing>,
    /// Whose telephones an emergency service may call back.
    lately: Lately,
    /// Whose REGISTER is on its way through it.
    registering: Option<String>,
    /// Whose REFER is.
    referring: Option<String>,
    released: Vec<Permit>,
    command: u64,
    contact: u64,
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
            certified: HashMap::new(),
            contacts: HashMap::new(),
            emergencies: HashMap::new(),
            index: Index::default(),
            timers: BinaryHeap::new(),
            out: VecDeque::new(),
            counters: Counters::default(),
            admitted: None,
            replacing: None,
            lately: Lately::default(),
            registering: None,
            referring: None,
            released: Vec::new(),
            command: first,
            contact: first,
            setup,
        }
    }

    /// Serves other people, numbers and flows from now on. Calls in progress
    /// finish on the flows they began with, and on the trunks; registrations
    /// stay, ours at providers too. Hospitals, addresses and secrets are as before.
    pub fn reconfigure(&mut self, setup: Setup) {
        let Setup {
            tenants,
            lines,
            flow_versions,
            accounts,
            queues,
            partners,
            actions,
            emergency,
            trunks,
            ..
        } = setup;
        self.trunks.reconfigure(&self.setup.trunks, &trunks);
        self.setup.trunks = trunks;
        self.setup.tenants = tenants;
        self.setup.lines = lines;
        self.setup.flow_versions = flow_versions;
        self.setup.accounts = accounts;
        self.setup.queues = queues;
        self.setup.partners = partners;
        self.setup.actions = actions;
        self.setup.emergency = emergency;
    }

    /// Something happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        if let Some(input) = self.emergency_input(now, input) {
            self.contact_input(now, input);
        }
        self.sip_events(now);
        self.tell_registrations(now);
    }

    fn contact_input(&mut self, now: Now, input: Input) {
        match input {
            Input::Sip { peer, message } => self.receive(now, peer, message),
            Input::PeerLost { peer } => {
                self.certified.remove(&peer);
                self.sip.transport_error(now.mono, peer);
                self.trunks.registrations().peer_lost(now.mono, peer);
                self.emergency_connection_lost(now, peer);
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
                    self.trunks.located(now.mono, trunk, gateway, &peers);
                }
            }
            Input::Certified { peer, names } => self.certify(peer, &names),
            Input::Close {
                tenant,
                calendar,
                exception,
            } => {
                let closings = &mut self.setup.closings;
                match exception {
                    Some(exception) => closings.insert((tenant, calendar), exception),
                    None => closings.remove(&(tenant, calendar)),
                };
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
            Input::Answer { id, answer } => {
                if let Some((contact, _)) = self.index.queries.remove(&id) {
                    self.with(now, contact, |contact, cx| {
                        contact.action_answered(id, answer, cx);
                    });
                }
            }
            Input::Callback(callback) => self.call_back(now, callback),
            Input::CallbackOff { attempt, contact } => {
                self.callback_off(now, attempt, contact);
            }
            Input::Drain => self.admission.drain(),
            Input::HangUpAll => {
                self.admission.drain();
                self.trunks.registrations().stop(now.mono);
                let mut all: Vec<_> = self.contacts.keys().copied().collect();
                all.sort_unstable();
                for id in all {
                    self.with(now, id, Contact::stopped);
                }
                self.stop_emergencies(now);
            }
        }
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
            self.trunks
                .registrations()
                .on_timeout(now.mono, setup, &mut |request| {
                    sip.request(now.mono, request)
                });
        }
        while let Some(&Reverse((at, id))) = self.timers.peek() {
            if at > now.mono {
                break;
            }
            self.timers.pop();
            if is_emergency(id) {
                self.emergency_due(now, at, id);
            } else if self.contacts.get(&id).is_some_and(|c| c.wake == Some(at)) {
                self.with(now, id, |contact, cx| {
                    contact.wake = None;
                    contact.on_timeout(cx);
                });
            }
        }
        self.sip_events(now);
        self.tell_registrations(now);
    }

    fn tell_registrations(&mut self, now: Now) {
        for change in self.trunks.changes(now.mono) {
            self.out.push_back(Output::TrunkRegistered {
                trunk: change.trunk,
                registered: change.registered,
                code: change.code,
            });
        }
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

    /// Calls in progress, those to emergency services among them.
    pub fn calls(&self) -> u32 {
        self.admission.calls() + self.emergency_calls()
    }

    /// Calls to emergency services in progress.
    pub fn emergency_calls(&self) -> u32 {
        let live = self.emergencies.values().filter(|call| call.is_live());
        u32::try_from(live.count()).unwrap_or(u32::MAX)
    }

    /// Is nothing of any call left, not even a message that is owed?
    pub fn is_idle(&self) -> bool {
        self.contacts.is_empty() && self.emergencies.is_empty()
    }

    /// Whether we are registered at this trunk's provider; `None` where we
    /// don't register. Asked for now, since registrations run out.
    pub fn is_registered(&self, now: Duration, trunk: &str) -> Option<bool> {
        self.trunks.registered().is_registered(now, trunk)
    }

    /// Has a provider yet to answer a registration?
    pub fn is_registering(&self) -> bool {
        self.trunks.registered().is_busy()
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
                + index.queries.len()
                + index.offers.len()
                + index.direct.len()
                + index.transferors.len()
                + index.takings.len(),
        )
    }

    fn sip_events(&mut self, now: Now) {
        while let Some(event) = self.sip.poll_event() {
            self.sip_event(now, event);
        }
    }

    fn sip_event(&mut self, now: Now, event: sip::Event) {
        use sip::Event;
        let Some(event) = self.emergency_event(now, event) else {
            return;
        };
        match event {
            Event::Incoming { leg, peer, request } => self.incoming(now, leg, peer, &request),
            Event::Trying { leg } => {
                self.with_leg(now, leg, |contact, _, cx| contact.call_is_tried(cx));
            }
            Event::Ringing { leg, sdp, .. } => {
                self.with_leg(now, leg, |contact, _, cx| {
                    contact.call_rings(sdp.as_deref(), cx);
                });
            }
            Event::Answered { leg, sdp, .. } => {
                self.with_leg(now, leg, |contact, _, cx| {
                    contact.call_answered(sdp.as_deref(), cx);
                });
            }
            Event::Confirmed { leg, sdp } => {
                self.with_leg(now, leg, |contact, side, cx| {
                    contact.confirmed(side, sdp.as_deref(), cx);
                });
            }
            Event::Refused {
                leg,
                code: 300..=399,
                response,
            } => {
                if let Some((id, side)) = self.index.legs.remove(&leg) {
                    self.with(now, id, |contact, cx| {
                        contact.redirected(side, &response, cx);
                    });
                }
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
                let registrations = self.trunks.registrations();
                if !registrations.answered(now.mono, id, Some(&response)) {
                    let code = response.code();
                    self.trunks.answered(now.mono, &self.setup, id, Some(code));
                }
            }
            Event::RequestTimeout { id } => {
                if !self.trunks.registrations().answered(now.mono, id, None) {
                    self.trunks.answered(now.mono, &self.setup, id, None);
                }
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
            // We ask nobody to transfer anything; and who refuses another codec goes on with theirs.
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
        } else if let Some(id) = self.index.transferors.remove(&leg) {
            self.with(now, id, Contact::transferor_left);
        } else if let Some(id) = self.index.takings.remove(&leg) {
            self.with(now, id, |contact, cx| contact.stop_taking(487, cx));
        }
    }

    /// A call got through the transaction layer: who is calling?
    fn incoming(&mut self, now: Now, leg: sip::LegId, peer: sip::Peer, request: &sip::Request) {
        if let Some(replacing) = self.replacing.take() {
            return self.replace(now, leg, peer, request, replacing);
        }
        let admitted = match self.admitted.take() {
            Some(Entry::Contact(admitted)) => admitted,
            Some(Entry::Emergency(dialled)) => {
                return self.emergency_begins(now, leg, peer, request, dialled);
            }
            Some(Entry::Back(calls)) => {
                return self.emergency_calls_back(now, leg, peer, request, *calls);
            }
            None => {
                let code = self.setup.sip.refusal_code;
                self.sip.reject(now.mono, leg, code, None, &[]);
                return;
            }
        };
        let Admitted {
            permit,
            line,
            dnis,
            ani,
            carried,
            consulting,
            supervisor,
            encryption,
            by_trunk,
            credentials,
        } = *admitted;
        if let Some(credentials) = credentials {
            self.sip.answers_as(leg, credentials);
        }
        let arrival = Arrival {
            leg,
            peer,
            line,
            dnis,
            ani,
            carried,
            encryption,
            by_trunk,
            secure: request.uri().scheme() == sip::wire::Scheme::Sips,
            hops_left: request.max_forwards(),
            sdp: request.sdp().map(<[u8]>::to_vec),
            consulting,
            supervisor,
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
            self.release(permit);
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
            let conference = contact.conference;
            let mut cx = cx!(self, now);
            contact.bury(&mut cx);
            self.give_back();
            return self.left_alone(now, conference);
        }
        let asks = contact.asks.take();
        // Over by itself, whatever the reason: the other one must know.
        let over = contact.conference.is_some() && asks.is_none() && !contact.is_conversing();
        let conference = over.then(|| contact.conference.take()).flatten();
        if contact.is_done(now.mono) {
            let mut cx = cx!(self, now);
            contact.forget(&mut cx);
        } else {
            self.contacts.insert(id, contact);
            self.schedule(now, id);
        }
        self.give_back();
        self.left_alone(now, conference);
        if let Some(ask) = asks {
            self.asked(now, id, ask);
        }
    }

    fn give_back(&mut self) {
        for permit in std::mem::take(&mut self.released) {
            self.release(permit);
        }
    }

    fn release(&mut self, permit: Permit) {
        if let Some(trunk) = &permit.trunk {
            self.trunks.release(trunk);
        }
        self.admission.release(permit);
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
