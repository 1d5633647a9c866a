//! SIP: an input is a conversation with an endpoint.
//!
//! The bytes are first taken as a stream, then cut at each NUL into records. A record that begins with 1 to 8 or 14 has
//! the layer above do something, with 11 it lets time pass, and any other is a datagram, by TCP if it begins with 12. Since nobody guesses a
//! tag or a branch, `$T`, `$B`, `$C` and `$F` in a datagram stand for those of the message sent last.

use std::collections::HashMap;
use std::time::Duration;

use sip::digest::{Accounts, AuthLimits, Authenticator, Credentials, Ha1s, Verdict};
use sip::refer::{Refer, Replaces};
use sip::registrar::{Registrar, RegistrarConfig};
use sip::wire::{AuthParams, Framed, Framer, MESSAGE_MAX, NameAddr, Via};
use sip::{
    Endpoint, EndpointConfig, Event, Identity, Interface, Invite, LegId, Limits, Message, Method,
    OutRequest, Peer, Reply, Request, RequestId, Response, Transport, Uri, WireError,
    parse_datagram,
};

use super::bounds::within;

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const REALM: &str = "example.com";
const RECORDS_MAX: usize = 64;

/// Does with `input` whatever can be done with it.
pub(crate) fn run(input: &[u8]) {
    stream(input);
    let records: Vec<&[u8]> = input.split(|byte| *byte == 0).take(RECORDS_MAX).collect();
    let mut house = House::new();
    // Each datagram may leave a leg, a few transactions and what they repeat.
    within(input.len(), 600, 400_000, || {
        for record in records {
            house.take(record);
        }
    });
    house.close();
}

/// A stream holds the same messages however its bytes come, and keeps no more than one of them.
fn stream(input: &[u8]) {
    let whole = frames(input, &[usize::MAX]);
    let sizes: Vec<usize> = input
        .iter()
        .take(16)
        .map(|b| 1 + usize::from(b % 64))
        .collect();
    let pieces = within(0, 0, 6 * MESSAGE_MAX + 64 * input.len(), || {
        frames(input, &sizes)
    });
    assert_eq!(whole, pieces, "frames depend on how their bytes come");
}

fn frames(input: &[u8], sizes: &[usize]) -> Vec<Result<Vec<u8>, &'static str>> {
    let mut framer = Framer::default();
    let mut found = Vec::new();
    let (mut rest, mut turn) = (input, 0);
    while !rest.is_empty() {
        let size = sizes[turn % sizes.len()].min(rest.len());
        turn += 1;
        let (piece, after) = rest.split_at(size);
        rest = after;
        framer.push(piece);
        loop {
            match framer.take() {
                Framed::Incomplete => break,
                Framed::Ping => found.push(Err("ping")),
                Framed::Message(message) => found.push(Ok(message.to_vec())),
                Framed::Broken(why) => {
                    found.push(Err(why));
                    return found;
                }
            }
        }
    }
    found
}

/// One account, so that there is something to guess.
struct Ana;

impl Accounts for Ana {
    fn ha1s(&self, username: &str, realm: &str) -> Option<Ha1s> {
        (username == "ana").then(|| Ha1s::derive(username, realm, "sesame"))
    }
}

struct House {
    endpoint: Endpoint,
    authenticator: Authenticator,
    registrar: Registrar,
    now: Duration,
    /// Every leg there was, and how many final events it had.
    legs: Vec<(LegId, u32)>,
    /// Handed up and not answered yet.
    asked: Vec<RequestId>,
    referred: Vec<RequestId>,
    /// Of the message sent last.
    said: HashMap<u8, Vec<u8>>,
}

impl House {
    fn new() -> Self {
        let interface = Interface::local("192.0.2.1:5060".parse().expect("an address"));
        let mut config = EndpointConfig::new(interface, 0, [1; 32]);
        config.transfers = true;
        config.hand_up = vec![Method::Options];
        config.limits = Limits {
            legs_max: 8,
            transactions_max: 48,
            ..Limits::default()
        };
        Self {
            endpoint: Endpoint::new(config),
            authenticator: Authenticator::new([2; 32], AuthLimits::default()),
            registrar: Registrar::new(RegistrarConfig::new(REALM)),
            now: Duration::from_secs(1),
            legs: Vec::new(),
            asked: Vec::new(),
            referred: Vec::new(),
            said: HashMap::new(),
        }
    }

    fn take(&mut self, record: &[u8]) {
        match record {
            [] => {}
            [what @ (1..=8 | 14), rest @ ..] => self.act(*what, rest),
            [11, rest @ ..] => {
                let ms = rest
                    .iter()
                    .take(3)
                    .fold(0_u64, |ms, b| ms << 8 | u64::from(*b));
                self.pass(Duration::from_millis(ms));
            }
            [12, datagram @ ..] => self.receive(datagram, Transport::Tcp),
            datagram => self.receive(datagram, Transport::Udp),
        }
        self.settle();
    }

    fn receive(&mut self, record: &[u8], transport: Transport) {
        let mut datagram = Vec::with_capacity(record.len() + 256);
        let mut bytes = record.iter();
        while let Some(&byte) = bytes.next() {
            let mut ahead = bytes.clone();
            let known = (byte == b'$').then(|| ahead.next()).flatten();
            match known.and_then(|letter| self.said.get(letter)) {
                Some(said) if datagram.len() < MESSAGE_MAX => {
                    datagram.extend_from_slice(said);
                    bytes = ahead;
                }
                _ => datagram.push(byte),
            }
        }
        let peer = peer(transport);
        let parsed = within(datagram.len(), 40, 16_384, || {
            parse_datagram(&datagram, peer)
        });
        match parsed {
            Err(WireError::Silence(_)) => {}
            Err(WireError::Answer(answer)) => self.note(&answer.bytes),
            Ok(message) => {
                look(&message, peer);
                if let Message::Request(request) = &message {
                    let _ = self.endpoint.classify(request);
                    let refusal = self.endpoint.refuse_stateless(request, peer, 503, Some(3));
                    reads_back(&refusal.bytes);
                    let refusal = self.endpoint.refuse_with(request, peer, &Reply::new(401));
                    reads_back(&refusal.bytes);
                }
                self.endpoint.receive(self.now, peer, message);
            }
        }
    }

    /// The layer above does something with the leg opened last, or the one named by the first byte.
    fn act(&mut self, what: u8, rest: &[u8]) {
        let named = rest.first().map_or(usize::MAX, |b| usize::from(*b));
        let leg = self.legs.get(named).or(self.legs.last()).map(|leg| leg.0);
        let (endpoint, now) = (&mut self.endpoint, self.now);
        if what == 14 {
            return self.call(rest);
        }
        let Some(leg) = leg else {
            return;
        };
        match what {
            1 => endpoint.ring(now, leg, 180, &[], named.is_multiple_of(2).then_some(SDP)),
            2 => endpoint.answer(now, leg, SDP, &[]),
            3 => endpoint.reject(now, leg, 486, None, &[]),
            4 => endpoint.hangup(now, leg, Some("SIP;cause=200")),
            5 => endpoint.reinvite(now, leg, SDP),
            6 => endpoint.update(now, leg, SDP),
            7 => {
                if let Some(id) = self.asked.pop() {
                    endpoint.respond(now, id, Reply::new(200));
                }
            }
            _ => match self.referred.pop() {
                Some(id) if named.is_multiple_of(2) => endpoint.tell_refer(now, id, 200),
                Some(id) => endpoint.refuse_refer(now, id, 603),
                None => endpoint.refer(now, leg, "<sip:carol@192.0.2.9>", &[], None),
            },
        }
    }

    fn call(&mut self, rest: &[u8]) {
        let target = Uri::parse("sip:bob@192.0.2.77").expect("a URI");
        if rest.first() == Some(&1) {
            let request = OutRequest {
                method: Method::Register,
                target: target.clone(),
                next_hop: peer(Transport::Udp),
                from: target.clone(),
                to: target,
                call_id: None,
                cseq: None,
                headers: Vec::new(),
                body: None,
                credentials: Some(Credentials::new("ana", "sesame")),
            };
            self.endpoint.request(self.now, request);
            return;
        }
        let from = Identity {
            display: None,
            user: "1001".into(),
            host: None,
        };
        let mut invite = Invite::new(target, peer(Transport::Udp), from, SDP.to_vec());
        invite.credentials = Some(Credentials::new("ana", "sesame"));
        let leg = self.endpoint.invite(self.now, invite);
        self.legs.push((leg, 0));
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut fired = 0;
        while let Some(due) = self.endpoint.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.endpoint.handle_timeout(self.now);
            self.settle();
            fired += 1;
            assert!(fired < 200_000, "timers run in circles");
        }
        self.now = until;
    }

    fn settle(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            reads_back(&transmit.bytes);
            self.note(&transmit.bytes);
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.hear(event);
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            reads_back(&transmit.bytes);
            self.note(&transmit.bytes);
        }
    }

    fn hear(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Incoming { leg, .. } => self.legs.push((leg, 0)),
            Event::Refused { leg, .. }
            | Event::Cancelled { leg, .. }
            | Event::Ended { leg, .. } => {
                let known = self.legs.iter_mut().find(|(known, _)| *known == leg);
                known.expect("a leg that begins before it ends").1 += 1;
            }
            Event::Reinvite { leg, .. } => self.endpoint.answer_reinvite(now, leg, SDP),
            Event::EarlyUpdate { leg, sdp, .. } if sdp.len().is_multiple_of(2) => {
                self.endpoint.answer_reinvite(now, leg, SDP);
            }
            Event::EarlyUpdate { leg, .. } => self.endpoint.reject_reinvite(now, leg, 488),
            Event::Refer { leg, id, refer } => {
                let _ = self.endpoint.replaces(leg);
                if let Some(replaces) = &refer.replaces {
                    let _ = self.endpoint.replaced(replaces);
                }
                self.endpoint.accept_refer(now, id);
                self.referred.push(id);
            }
            Event::Register { id, peer, request } => {
                let ip = peer.addr.ip();
                let judged = self.authenticator.check(now, ip, &request, REALM, &Ana);
                let reply = match judged {
                    Verdict::Accepted { username } => {
                        let bound = self.registrar.bind(now, peer, &request, &username, &Ana);
                        bound.0
                    }
                    Verdict::Challenge(reply) | Verdict::Refused(reply) => reply,
                };
                self.endpoint.respond(now, id, reply);
                // What a right password would have let in.
                let _ = self.registrar.bind(now, peer, &request, "ana", &Ana);
                assert!(self.registrar.len() <= 10, "contacts are bounded");
            }
            Event::Other { id, .. } => self.asked.push(id),
            Event::Info {
                content_type, body, ..
            } => {
                let _ = sip::info::digit(&content_type, &body);
            }
            _ => {}
        }
    }

    /// Remembers what a peer would know of us.
    fn note(&mut self, bytes: &[u8]) {
        let (to, from, via) = (b"\r\nTo: ", b"\r\nFrom: ", b"\r\nVia: ");
        for (letter, header, after) in [
            (b'T', &to[..], &b";tag="[..]),
            (b'F', from, b";tag="),
            (b'B', via, b";branch="),
            (b'C', b"\r\nCall-ID: ", b""),
        ] {
            let value = behind(bytes, header)
                .and_then(|line| behind(&line[..line.iter().position(|b| *b == b'\r')?], after))
                .and_then(|value| value.split(|b| *b == b';').next());
            if let Some(value) = value {
                self.said.insert(letter, value.to_vec());
            }
        }
    }

    /// Everybody hangs up: each leg ends exactly once, and nothing is left behind.
    fn close(&mut self) {
        self.pass(Duration::from_secs(1));
        for index in 0..self.legs.len() {
            self.endpoint.hangup(self.now, self.legs[index].0, None);
        }
        self.settle();
        for id in std::mem::take(&mut self.asked) {
            self.endpoint.respond(self.now, id, Reply::new(404));
        }
        self.settle();
        self.pass(Duration::from_secs(4_000));
        assert_eq!(self.endpoint.legs(), 0, "legs are left behind");
        assert_eq!(
            self.endpoint.transactions(),
            0,
            "transactions are left behind"
        );
        for (leg, finals) in &self.legs {
            assert_eq!(*finals, 1, "{leg:?} has one final event");
        }
        let _ = self.registrar.handle_timeout(self.now);
        assert!(self.registrar.is_empty(), "bindings are left behind");
    }
}

fn peer(transport: Transport) -> Peer {
    Peer {
        addr: "192.0.2.77:5060".parse().expect("an address"),
        transport,
    }
}

fn behind<'a>(bytes: &'a [u8], text: &[u8]) -> Option<&'a [u8]> {
    if text.is_empty() {
        return Some(bytes);
    }
    let at = bytes
        .windows(text.len())
        .position(|window| window == text)?;
    bytes.get(at + text.len()..)
}

/// What we write, we can read.
fn reads_back(bytes: &[u8]) {
    let read = parse_datagram(bytes, peer(Transport::Udp));
    assert!(
        read.is_ok(),
        "{read:?} of {:?}",
        String::from_utf8_lossy(bytes)
    );
}

/// Whatever can be asked of a message is asked, and it is the same when it was written and read again.
fn look(message: &Message, peer: Peer) {
    let again = parse_datagram(&message.to_bytes(), peer);
    assert_eq!(
        again.as_ref(),
        Ok(message),
        "what is written reads the same"
    );
    match message {
        Message::Request(request) => look_at_request(request),
        Message::Response(response) => look_at_response(response),
    }
}

fn look_at_request(request: &Request) {
    let _ = (request.max_forwards(), request.via_count(), request.sdp());
    let _ = (
        request.lists("Supported", "timer"),
        request.call_id(),
        request.cseq(),
    );
    look_at_uri(request.uri());
    let _ = Refer::parse(request);
    let _ = sip::digest::claimed_user(request, REALM);
    if let Some(replaces) = request.header("Replaces").and_then(Replaces::parse) {
        let _ = replaces.escaped();
    }
    if let Some(content) = request.header("Content-Type") {
        let _ = sip::info::digit(content, request.body());
    }
    for header in request.headers().iter() {
        let line = header.to_string();
        let value = line.split_once(':').map_or("", |(_, value)| value.trim());
        if let Ok(name) = NameAddr::parse(value) {
            let _ = (name.display(), name.tag());
            look_at_uri(&name.uri);
        }
        let _ = Via::parse(value).and_then(|via| via.branch());
        if let Some(auth) = AuthParams::parse(value) {
            let _ = (auth.is_digest(), auth.get("realm"), auth.get("nc"));
        }
    }
}

fn look_at_response(response: &Response) {
    let _ = (response.code(), response.reason(), response.method());
    let _ = (
        response.via(),
        response.from(),
        response.to_tag(),
        response.sdp(),
    );
    assert!(response.contacts().count() < 1_000 && response.record_routes().count() < 1_000);
}

/// What a URI says of itself, and that it reads the same again.
fn look_at_uri(uri: &Uri) {
    let again = Uri::parse(uri.as_str()).expect("a URI reads again");
    assert_eq!(&again, uri);
    assert!(
        uri.same_as(&again) || uri.host().is_none(),
        "{uri:?} is itself"
    );
    let _ = (
        uri.user(),
        uri.port(),
        uri.transport(),
        uri.headers(),
        uri.host_str(),
    );
    let _ = uri.params().iter().count();
}
