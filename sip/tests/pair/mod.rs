//! Two endpoints and a virtual wire between them.

#![allow(dead_code, unreachable_pub, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use sip::digest::{Accounts, AuthLimits, Authenticator, Ha1s, Verdict};
use sip::registrar::{Registrar, RegistrarConfig};
use sip::{
    Credentials, Endpoint, EndpointConfig, Event, Identity, Interface, Invite, LegId, Message,
    Method, OutRequest, Peer, RequestId, Transport, Uri, parse_datagram,
};

pub const CALLER: usize = 0;
pub const CALLEE: usize = 1;

const REALM: &str = "careline.example";

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn addr(side: usize) -> SocketAddr {
    ["192.0.2.10:5060", "198.51.100.20:5060"][side]
        .parse()
        .unwrap()
}

pub fn peer(side: usize) -> Peer {
    Peer::udp(addr(side))
}

pub struct OneUser;

impl Accounts for OneUser {
    fn ha1s(&self, username: &str, realm: &str) -> Option<Ha1s> {
        (username == "agent7").then(|| Ha1s::derive(username, realm, "secret"))
    }
}

/// What a side does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Rings at once, answers after a second.
    Answers,
    /// Speaks before it answers, after a second too.
    EarlyMedia,
    /// Rings and waits for ever.
    Rings,
    /// Says busy.
    Busy,
    /// Says nothing at all.
    Silent,
}

/// What is done at a moment of the story.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    Call,
    /// A call whose offer doesn't reach the other side, which offers itself.
    CallWithoutOffer,
    HangUp(usize),
    Reinvite(usize),
    Update(usize),
    Refer(usize),
    /// This side's connection is closed, or its network says that nobody is
    /// there.
    Lost(usize),
    Register,
    Options,
}

/// What becomes of a datagram: one copy per delay.
pub type Fate = Box<dyn FnMut(usize, &str) -> Vec<Duration>>;

pub struct Pair {
    pub now: Duration,
    pub ends: [Endpoint; 2],
    authenticator: Authenticator,
    pub registrar: Registrar,
    pub habit: Habit,
    /// What the two speak by.
    pub transport: Transport,
    /// Everything that was put on the wire: sender and first line.
    pub sent: Vec<(usize, String)>,
    /// What either side was told.
    pub told: [Vec<String>; 2],
    pub legs: [Vec<LegId>; 2],
    wire: BTreeMap<(Duration, usize), (usize, Vec<u8>)>,
    acts: BTreeMap<(Duration, usize), Pending>,
    fate: Fate,
    order: usize,
    /// The next call has no offer; those that had none.
    without_offer: bool,
    offerless: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy)]
enum Pending {
    Act(Act),
    Answer(LegId),
    Tell(usize, RequestId),
}

pub const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nt=0 0\r\n";
pub const ANSWER: &[u8] = b"v=0\r\no=- 2 1 IN IP4 198.51.100.20\r\ns=-\r\nt=0 0\r\n";

impl Pair {
    pub fn new(habit: Habit, fate: Fate) -> Self {
        Self::with(habit, fate, |_| {})
    }

    pub fn with(habit: Habit, fate: Fate, tweak: impl Fn(&mut EndpointConfig)) -> Self {
        let end = |side: usize| {
            let seed = [u8::try_from(side).unwrap() + 1; 32];
            let mut config = EndpointConfig::new(Interface::local(addr(side)), 0, seed);
            config.user_agent = Some("Careline".into());
            config.transfers = true;
            tweak(&mut config);
            Endpoint::new(config)
        };
        Self {
            now: Duration::ZERO,
            ends: [end(CALLER), end(CALLEE)],
            authenticator: Authenticator::new([5; 32], AuthLimits::default()),
            registrar: Registrar::new(RegistrarConfig::new(REALM)),
            habit,
            transport: Transport::Udp,
            sent: Vec::new(),
            told: [Vec::new(), Vec::new()],
            legs: [Vec::new(), Vec::new()],
            wire: BTreeMap::new(),
            acts: BTreeMap::new(),
            fate,
            order: 0,
            without_offer: false,
            offerless: BTreeSet::new(),
        }
    }

    fn peer(&self, side: usize) -> Peer {
        Peer {
            addr: addr(side),
            transport: self.transport,
        }
    }

    pub fn perfect() -> Fate {
        Box::new(|_, _| vec![ms(10)])
    }

    pub fn at(&mut self, moment: Duration, act: Act) {
        self.order += 1;
        self.acts.insert((moment, self.order), Pending::Act(act));
    }

    /// Plays until nothing is left to happen, or `end`.
    pub fn run(&mut self, end: Duration) {
        loop {
            self.drain();
            let next = [
                self.wire.keys().next().map(|k| k.0),
                self.acts.keys().next().map(|k| k.0),
                self.ends[0].poll_timeout(),
                self.ends[1].poll_timeout(),
                self.registrar.poll_timeout(),
            ]
            .into_iter()
            .flatten()
            .min();
            let Some(next) = next.filter(|at| *at <= end) else {
                return;
            };
            self.now = self.now.max(next);
            while let Some(entry) = self.wire.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let (to, bytes) = entry.remove();
                let from = self.peer(1 - to);
                match parse_datagram(&bytes, from) {
                    Ok(message) => self.ends[to].receive(self.now, from, message),
                    Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&bytes)),
                }
                self.drain();
            }
            while let Some(entry) = self.acts.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let pending = entry.remove();
                self.perform(pending);
                self.drain();
            }
            for side in [CALLER, CALLEE] {
                self.ends[side].handle_timeout(self.now);
            }
            self.registrar.handle_timeout(self.now);
        }
    }

    fn perform(&mut self, pending: Pending) {
        let now = self.now;
        match pending {
            Pending::Answer(leg) => self.ends[CALLEE].answer(now, leg, ANSWER, &[]),
            Pending::Act(Act::Call) => self.call(),
            Pending::Act(Act::CallWithoutOffer) => {
                self.without_offer = true;
                self.call();
            }
            Pending::Act(Act::HangUp(side)) => {
                for leg in self.legs[side].clone() {
                    self.ends[side].hangup(now, leg, Some("Q.850;cause=16"));
                }
            }
            Pending::Act(Act::Reinvite(side)) => {
                if let Some(leg) = self.legs[side].first() {
                    self.ends[side].reinvite(now, *leg, OFFER);
                }
            }
            Pending::Tell(side, id) => self.ends[side].tell_refer(now, id, 200),
            Pending::Act(Act::Update(side)) => {
                if let Some(leg) = self.legs[side].first() {
                    self.ends[side].update(now, *leg, OFFER);
                }
            }
            Pending::Act(Act::Refer(side)) => {
                if let Some(leg) = self.legs[side].first() {
                    self.ends[side].refer(now, *leg, "<sip:2002@x>", &[], None);
                }
            }
            Pending::Act(Act::Lost(side)) => {
                let far = self.peer(1 - side);
                self.ends[side].transport_error(now, far);
            }
            Pending::Act(Act::Register) => {
                let mut request = out_request(Method::Register);
                request.credentials = Some(Credentials::new("agent7", "secret"));
                self.ends[CALLER].request(now, request);
            }
            Pending::Act(Act::Options) => {
                self.ends[CALLER].request(now, out_request(Method::Options));
            }
        }
    }

    fn call(&mut self) {
        let target = Uri::sip("5550100", "198.51.100.20", None).unwrap();
        let from = Identity {
            display: Some("Dr \"O\"".into()),
            user: "5550199".into(),
            host: None,
        };
        let to = self.peer(CALLEE);
        let invite = Invite::new(target, to, from, OFFER.to_vec());
        let leg = self.ends[CALLER].invite(self.now, invite);
        self.legs[CALLER].push(leg);
    }

    pub fn drain(&mut self) {
        for side in [CALLER, CALLEE] {
            loop {
                while let Some(transmit) = self.ends[side].poll_transmit() {
                    assert_eq!(transmit.peer, self.peer(1 - side));
                    let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
                    let text = self.offers_nothing(side, text);
                    let line = text.lines().next().unwrap().to_owned();
                    let delays = (self.fate)(self.sent.len(), &line);
                    self.sent.push((side, line));
                    for delay in delays {
                        self.order += 1;
                        self.wire.insert(
                            (self.now + delay, self.order),
                            (1 - side, text.clone().into_bytes()),
                        );
                    }
                }
                let Some(event) = self.ends[side].poll_event() else {
                    break;
                };
                self.hear(side, event);
            }
        }
    }

    /// Our callers always offer; others needn't. Of such a call the offer is taken out of the INVITE, and what would have
    /// been answered to the other side's stands in the ACK.
    fn offers_nothing(&mut self, side: usize, text: String) -> String {
        let call = text.lines().find(|line| line.starts_with("Call-ID"));
        let call = call.unwrap_or_default().to_owned();
        if side == CALLER && self.without_offer && text.starts_with("INVITE ") {
            self.without_offer = false;
            self.offerless.insert(call.clone());
        }
        let about = side == CALLER && self.offerless.contains(&call) && text.contains("CSeq: 1 ");
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        let head: Vec<_> = head
            .lines()
            .filter(|line| !line.starts_with("Content-"))
            .collect();
        let head = head.join("\r\n");
        if about && text.starts_with("INVITE ") {
            format!("{head}\r\nContent-Length: 0\r\n\r\n")
        } else if about && text.starts_with("ACK ") {
            let sdp = String::from_utf8(OFFER.to_vec()).unwrap();
            let length = sdp.len();
            format!(
                "{head}\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{sdp}"
            )
        } else {
            text
        }
    }

    fn hear(&mut self, side: usize, event: Event) {
        let now = self.now;
        let end = &mut self.ends[side];
        let told = match event {
            Event::Incoming { leg, request, .. } => {
                self.legs[side].push(leg);
                match self.habit {
                    Habit::Answers => {
                        end.ring(now, leg, 180, &[], None);
                        self.order += 1;
                        self.acts
                            .insert((now + ms(1000), self.order), Pending::Answer(leg));
                    }
                    Habit::EarlyMedia => {
                        end.ring(now, leg, 183, &[], Some(ANSWER));
                        self.order += 1;
                        self.acts
                            .insert((now + ms(1000), self.order), Pending::Answer(leg));
                    }
                    Habit::Rings => end.ring(now, leg, 180, &[], None),
                    Habit::Busy => end.reject(now, leg, 486, None, &[("X-Why", "talking")]),
                    Habit::Silent => {}
                }
                format!("incoming {}", request.uri())
            }
            Event::Trying { .. } => "trying".into(),
            Event::Ringing { sdp: Some(_), .. } => "early media".into(),
            Event::Ringing { code, .. } => format!("ringing {code}"),
            Event::Answered { sdp, .. } => {
                let sdp = sdp.unwrap();
                assert_eq!(sdp, ANSWER);
                "answered".into()
            }
            Event::Confirmed { sdp, .. } => format!("confirmed {}", sdp.is_some()),
            Event::Refused { code, .. } => format!("refused {code}"),
            Event::Cancelled { reason, .. } => format!("cancelled {reason:?}"),
            Event::Reinvite { leg, sdp } => {
                assert_eq!(sdp.as_deref(), Some(OFFER));
                end.answer_reinvite(now, leg, ANSWER);
                "reinvite".into()
            }
            Event::EarlyUpdate { leg, fork, .. } => {
                end.answer_reinvite(now, leg, ANSWER);
                format!("early update {fork}")
            }
            Event::Refer { id, refer, .. } => {
                end.accept_refer(now, id);
                self.order += 1;
                self.acts
                    .insert((now + ms(3000), self.order), Pending::Tell(side, id));
                format!("refer {}", refer.target)
            }
            Event::Referred { code, .. } => format!("referred {code}"),
            Event::Notify { code, last, .. } => format!("notify {code} {last}"),
            Event::ReinviteAnswered { sdp, .. } => {
                assert_eq!(sdp.as_deref(), Some(ANSWER));
                "reinvite answered".into()
            }
            Event::ReinviteRefused { code, .. } => format!("reinvite refused {code}"),
            Event::Info { .. } => "info".into(),
            Event::Ended { cause, .. } => format!("ended {cause:?}"),
            Event::Register { id, peer, request } => {
                let ip = peer.addr.ip();
                let verdict = self.authenticator.check(now, ip, &request, REALM, &OneUser);
                let (reply, changes) = match verdict {
                    Verdict::Accepted { username } => self
                        .registrar
                        .bind(now, peer, &request, &username, &OneUser),
                    Verdict::Challenge(reply) | Verdict::Refused(reply) => (reply, Vec::new()),
                };
                let told = format!("register {} {}", reply.code, changes.len());
                end.respond(now, id, reply);
                told
            }
            Event::Other { .. } => "other".into(),
            Event::Response { response, .. } => format!("response {}", response.code()),
            Event::RequestTimeout { .. } => "timeout".into(),
        };
        self.told[side].push(told);
    }

    /// Nothing may be left once everything has timed out.
    pub fn assert_empty(&self) {
        for side in [CALLER, CALLEE] {
            assert_eq!(self.ends[side].legs(), 0, "legs of side {side}");
            assert_eq!(self.ends[side].transactions(), 0, "transactions of {side}");
        }
    }
}

pub fn out_request(method: Method) -> OutRequest {
    OutRequest {
        method,
        target: Uri::parse("sip:careline.example").unwrap(),
        next_hop: peer(CALLEE),
        from: Uri::parse("sip:agent7@careline.example").unwrap(),
        to: Uri::parse("sip:agent7@careline.example").unwrap(),
        call_id: None,
        cseq: None,
        headers: vec![("Expires".into(), "60".into())],
        body: None,
        credentials: None,
    }
}

/// Reads text (lines end in `\n` here) as a datagram of `side`.
pub fn read(text: &str, side: usize) -> Message {
    let bytes = text.replace('\n', "\r\n");
    parse_datagram(bytes.as_bytes(), peer(side)).unwrap()
}
