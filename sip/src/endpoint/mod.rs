//! The machine of one shard: every transaction, dialog and call session.

mod client;
mod config;
mod event;
mod receive;
mod request;
mod serve;

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rsip::Method;

use crate::dialog::Dialog;
use crate::digest::Credentials;
use crate::ids::{Key, Map, Tokens};
use crate::interface::{Interface, Peer};
use crate::leg::{Leg, LegId, Referral};
use crate::message::Message;
use crate::timers::{Owner, Timers};
use crate::wire::Uri;

pub use config::{EndpointConfig, Limits, SessionTimer, Timing};
pub use event::Event;

pub(crate) use client::{Acked, Authorization, ClientEntry, Compose, Purpose, Start};
pub(crate) use serve::{Machine, ServerEntry, Serving};

/// One request: handed up and awaiting [`Endpoint::respond`], or sent with
/// [`Endpoint::request`] and awaiting its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub peer: Peer,
    /// The whole message. Shared, since a transaction may keep it to repeat it.
    pub bytes: Arc<[u8]>,
}

/// What a request is to this endpoint, before anything is kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A repeat of a request already here, its ACK, or a CANCEL.
    InTransaction,
    /// Carries a To tag: belongs to a dialog (or claims to).
    InDialog,
    /// A new call.
    NewInvite,
    /// Any other new request.
    NewOther,
}

/// The parts of a response that the layer above chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status code, 200 to 699.
    pub code: u16,
    /// Reason phrase; the RFC's when `None`.
    pub reason: Option<String>,
    /// Further header lines, `(name, value)`.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Content type and body.
    pub body: Option<(String, Vec<u8>)>,
}

impl Reply {
    /// A bare response.
    #[must_use]
    pub fn new(code: u16) -> Self {
        Self {
            code,
            reason: None,
            headers: Vec::new(),
            body: None,
        }
    }

    /// The same with one more header line.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((Cow::Borrowed(name), value.into()));
        self
    }
}

/// A request outside any dialog to send as a client (REGISTER, OPTIONS).
#[derive(Debug, Clone)]
pub struct OutRequest {
    /// Method; not INVITE, ACK or CANCEL.
    pub method: Method,
    /// The Request-URI.
    pub target: Uri,
    /// Where it is sent.
    pub next_hop: Peer,
    /// From URI.
    pub from: Uri,
    /// To URI.
    pub to: Uri,
    /// Call-ID; a new one when `None`. A client repeats it over the REGISTERs
    /// of one binding (RFC 3261 section 10.2).
    pub call_id: Option<String>,
    /// CSeq number; 1 when `None`.
    pub cseq: Option<u32>,
    /// Further header lines, `(name, value)`. For REGISTER, a Contact of ours
    /// is added when there is none.
    pub headers: Vec<(String, String)>,
    /// Content type and body.
    pub body: Option<(String, Vec<u8>)>,
    /// Answers a 401 or 407 once (the retry has CSeq + 1).
    pub credentials: Option<Credentials>,
}

/// All transactions, dialogs and call sessions of one shard.
///
/// How to drive it: after anything that takes `&mut self`, call
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event)
/// until both return `None`, then call
/// [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout)'s moment has come. `now` never goes
/// back. Requests that could be refused for lack of capacity go through
/// [`classify`](Self::classify) first; nothing is kept of one answered with
/// [`refuse_stateless`](Self::refuse_stateless) or
/// [`refuse_with`](Self::refuse_with).
///
/// Operations on a leg that has ended, or that its state doesn't allow, do
/// nothing: a hang-up may always cross them.
pub struct Endpoint {
    pub(crate) config: EndpointConfig,
    pub(crate) tokens: Tokens,
    pub(crate) servers: Map<Key, ServerEntry>,
    pub(crate) clients: Map<Key, ClientEntry>,
    /// Requests in progress by what a merged copy would share with them
    /// (RFC 3261 section 8.2.2.2).
    pub(crate) merges: Map<Key, Key>,
    pub(crate) legs: Map<u64, Leg>,
    /// Those of [`Endpoint::persist`].
    pub(crate) persistent: HashSet<LegId>,
    pub(crate) dialogs: Map<Key, LegId>,
    /// Handed-up requests and their transactions.
    pub(crate) served: Map<u64, Key>,
    /// Requests of ours and what it takes to send them again.
    pub(crate) requests: Map<u64, Box<request::Outstanding>>,
    /// REFERs of peers whose outcome is owed.
    pub(crate) referrals: Map<u64, Referral>,
    pub(crate) timers: Timers,
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) events: VecDeque<Event>,
    next_leg: u64,
    next_request: u64,
}

impl Endpoint {
    /// An endpoint without calls.
    #[must_use]
    pub fn new(config: EndpointConfig) -> Self {
        let tokens = Tokens::new(&config.seed, config.shard);
        Self {
            tokens,
            servers: Map::default(),
            clients: Map::default(),
            merges: Map::default(),
            legs: Map::default(),
            persistent: HashSet::new(),
            dialogs: Map::default(),
            served: Map::default(),
            requests: Map::default(),
            referrals: Map::default(),
            timers: Timers::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            next_leg: 0,
            next_request: 0,
            config,
        }
    }

    /// Takes a parsed message from `peer`.
    pub fn receive(&mut self, now: Duration, peer: Peer, message: Message) {
        match message {
            Message::Request(request) => self.receive_request(now, peer, request),
            Message::Response(response) => self.receive_response(now, peer, response),
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some((at, owner)) = self.timers.pop_due(now) {
            if self.deadline(owner) != Some(at) {
                continue;
            }
            match owner {
                Owner::Server(key) => self.server_due(now, key),
                Owner::Client(key) => self.client_due(now, key),
                Owner::Leg(leg) => self.leg_due(now, leg),
                Owner::Referral(id) => self.referral_due(now, id),
            }
        }
        let waiting = self.transactions() + self.legs.len() + self.referrals.len();
        if self.timers.is_littered(waiting) {
            let mut timers = std::mem::take(&mut self.timers);
            timers.sweep(|at, owner| self.deadline(owner) == Some(at));
            self.timers = timers;
        }
    }

    /// What an owner waits for at the moment.
    fn deadline(&self, owner: Owner) -> Option<Duration> {
        match owner {
            Owner::Server(key) => self.servers.get(&key).and_then(ServerEntry::deadline),
            Owner::Client(key) => self.clients.get(&key).and_then(ClientEntry::deadline),
            Owner::Leg(leg) => self.legs.get(&leg.0).and_then(Leg::deadline),
            Owner::Referral(id) => self.referrals.get(&id.0).map(|referral| referral.until),
        }
    }

    /// Is the peer of an answered or answering leg behind NAT, so that what it
    /// says of its addresses can't be relied upon?
    #[must_use]
    pub fn is_natted(&self, leg: LegId) -> bool {
        let dialog = self.legs.get(&leg.0).and_then(Leg::dialog);
        dialog.is_some_and(Dialog::is_natted)
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called next. May
    /// be earlier than anything happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to tell the layer above.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How many legs there are, those still closing included.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// How many transactions there are, those only lingering included.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.servers.len() + self.clients.len()
    }

    /// Our addresses.
    #[must_use]
    pub fn interface(&self) -> &Interface {
        &self.config.interface
    }

    pub(crate) fn send(&mut self, peer: Peer, bytes: Arc<[u8]>) {
        self.transmits.push_back(Transmit { peer, bytes });
    }

    pub(crate) fn mint_leg(&mut self) -> LegId {
        self.next_leg += 1;
        LegId(u64::from(self.config.shard) << 56 | self.next_leg)
    }

    pub(crate) fn mint_request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(u64::from(self.config.shard) << 56 | self.next_request)
    }
}
