//! Where answers go when the connection that their request came by is closed before they are ready (RFC 3261 section
//! 18.2.2): to where its sender listens, at the address that the connection came from, and to nobody else.

mod pair;

use std::time::Duration;

use pair::{ANSWER, ms};
use sip::{
    Endpoint, EndpointConfig, Event, Interface, LegId, Peer, Reply, Transport, parse_datagram,
};

fn tcp(addr: &str) -> Peer {
    Peer {
        addr: addr.parse().unwrap(),
        transport: Transport::Tcp,
    }
}

/// What one endpoint did, and by which connection.
struct Story {
    endpoint: Endpoint,
    now: Duration,
    /// The connection that the requests come by.
    source: Peer,
    /// `sent-by` and parameters of their Via.
    via: &'static str,
}

impl Story {
    fn new(source: &str, via: &'static str) -> Self {
        let here = Interface::local("198.51.100.20:5060".parse().unwrap());
        let mut config = EndpointConfig::new(here, 3, [7; 32]);
        config.registrar = true;
        Self {
            endpoint: Endpoint::new(config),
            now: ms(0),
            source: tcp(source),
            via,
        }
    }

    fn hears(&mut self, from: Peer, method: &str, tag: &str, cseq: u32) {
        let via = self.via;
        // A refusal's ACK has its INVITE's.
        let branch = method.replace("ACK", "INVITE");
        let text = format!(
            "{method} sip:5550100@198.51.100.20 SIP/2.0\r\n\
             Via: SIP/2.0/TCP {via};branch=z9hG4bK{branch}{cseq}\r\n\
             From: <sip:5550199@192.0.2.10>;tag=f1\r\nTo: <sip:5550100@198.51.100.20>{tag}\r\n\
             Call-ID: c1\r\nCSeq: {cseq} {method}\r\nContact: <sip:5550199@192.0.2.10:5070;transport=tcp>\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let message = parse_datagram(text.as_bytes(), from).unwrap();
        self.endpoint.receive(self.now, from, message);
    }

    /// What was sent since the last look: the first word or code, and where to.
    fn sent(&mut self) -> Vec<(String, String)> {
        let mut sent = Vec::new();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            let text = String::from_utf8(transmit.bytes.to_vec()).unwrap();
            let word = usize::from(text.starts_with("SIP/"));
            let word = text.split(' ').nth(word).unwrap().to_owned();
            sent.push((word, transmit.peer.addr.to_string()));
        }
        sent
    }

    fn closes(&mut self) {
        self.endpoint.transport_error(self.now, self.source);
    }

    fn invited(&mut self) -> LegId {
        self.hears(self.source, "INVITE", "", 1);
        match self.endpoint.poll_event() {
            Some(Event::Incoming { leg, .. }) => leg,
            other => panic!("{other:?}"),
        }
    }

    fn pass(&mut self, until: Duration) {
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
        }
        self.now = until;
    }
}

/// A call that came by TLS doesn't leave it, whatever its Contact and Record-Route say.
#[test]
fn an_encrypted_dialog_stays_encrypted() {
    let tls = |addr: &str| Peer {
        addr: addr.parse().unwrap(),
        transport: Transport::Tls,
    };
    let source = tls("192.0.2.10:40001");
    for (contact, route, hop) in [
        ("sip:a@192.0.2.10:5070", "", source),
        ("sip:a@192.0.2.10:5070;transport=udp", "", source),
        ("sip:a@192.0.2.10:5070;transport=tcp", "", source),
        ("sip:a@192.0.2.77:5070;transport=udp", "", source),
        (
            "sip:a@192.0.2.77:5071;transport=tls",
            "",
            tls("192.0.2.77:5071"),
        ),
        ("sips:a@192.0.2.77", "", tls("192.0.2.77:5061")),
        (
            "sips:a@192.0.2.77",
            "Record-Route: <sip:192.0.2.78;transport=udp;lr>\r\n",
            source,
        ),
    ] {
        let here = Interface::local("198.51.100.20:5060".parse().unwrap());
        let mut endpoint = Endpoint::new(EndpointConfig::new(here, 3, [7; 32]));
        let ask = |method: &str, tag: &str, cseq: u32| {
            let text = format!(
                "{method} sip:5550100@198.51.100.20 SIP/2.0\r\n\
                 Via: SIP/2.0/TLS 192.0.2.10;branch=z9hG4bK{method}{cseq}\r\n\
                 From: <sip:5550199@192.0.2.10>;tag=f1\r\nTo: <sip:5550100@198.51.100.20>{tag}\r\n\
                 Call-ID: c1\r\nCSeq: {cseq} {method}\r\nContact: <{contact}>\r\n{route}\
                 Content-Length: 0\r\n\r\n"
            );
            parse_datagram(text.as_bytes(), source).unwrap()
        };
        endpoint.receive(ms(0), source, ask("INVITE", "", 1));
        let Some(Event::Incoming { leg, .. }) = endpoint.poll_event() else {
            panic!()
        };
        endpoint.answer(ms(0), leg, ANSWER, &[]);
        let ok = endpoint.poll_transmit().unwrap();
        let ok = String::from_utf8(ok.bytes.to_vec()).unwrap();
        let to = ok.lines().find(|line| line.starts_with("To:")).unwrap();
        let tag = &to[to.find(";tag=").unwrap()..];
        endpoint.receive(ms(0), source, ask("ACK", tag, 1));
        endpoint.hangup(ms(0), leg, None);
        let bye = endpoint.poll_transmit().unwrap();
        assert!(bye.bytes.starts_with(b"BYE "));
        assert_eq!(bye.peer, hop, "{contact} {route}");
    }
}

fn went(what: &str, to: &str) -> (String, String) {
    (what.to_owned(), to.to_owned())
}

#[test]
fn an_answer_goes_where_its_sender_listens() {
    for (source, via, to) in [
        ("192.0.2.10:40001", "192.0.2.10:5070", "192.0.2.10:5070"),
        ("192.0.2.10:40001", "192.0.2.10", "192.0.2.10:5060"),
        // The address is the connection's, whatever else is said.
        ("192.0.2.10:40001", "203.0.113.99:5070", "192.0.2.10:5070"),
        ("192.0.2.10:40001", "pbx.example:5070", "192.0.2.10:5070"),
        (
            "192.0.2.10:40001",
            "192.0.2.10:5070;maddr=203.0.113.99;received=203.0.113.98",
            "192.0.2.10:5070",
        ),
        // Behind NAT nothing of theirs listens; port 0 is none.
        ("192.0.2.10:40001", "10.0.0.7:5070", "192.0.2.10:40001"),
        ("192.0.2.10:40001", "192.0.2.10:0", "192.0.2.10:40001"),
        ("10.0.0.9:40001", "10.0.0.7:5070", "10.0.0.9:5070"),
        (
            "[2001:db8::9]:40001",
            "[2001:db8::9]:5070",
            "[2001:db8::9]:5070",
        ),
    ] {
        let mut story = Story::new(source, via);
        let leg = story.invited();
        story.endpoint.ring(story.now, leg, 180, &[], None);
        assert_eq!(story.sent(), [went("180", source)]);
        story.closes();
        assert!(story.sent().is_empty(), "{via}");
        story.endpoint.answer(story.now, leg, ANSWER, &[]);
        assert_eq!(story.sent(), [went("200", to)], "{via}");
        // Repeated there until its ACK, which comes by that connection.
        story.pass(ms(600));
        assert_eq!(story.sent(), [went("200", to)], "{via}");
    }
}

#[test]
fn what_may_have_been_written_to_nobody_is_sent_again() {
    // A refusal, over a transport on which the transaction doesn't repeat it.
    let mut story = Story::new("192.0.2.10:40001", "192.0.2.10:5070");
    let leg = story.invited();
    story.endpoint.reject(story.now, leg, 486, None, &[]);
    assert_eq!(story.sent(), [went("486", "192.0.2.10:40001")]);
    story.closes();
    assert_eq!(story.sent(), [went("486", "192.0.2.10:5070")]);
    // Once: where that isn't heard either nobody is there.
    story
        .endpoint
        .transport_error(story.now, tcp("192.0.2.10:5070"));
    assert!(story.sent().is_empty());
    // Its ACK ends it.
    story.hears(tcp("192.0.2.10:5070"), "ACK", ";tag=x", 1);
    story.pass(ms(60_000));
    assert_eq!(
        (story.endpoint.legs(), story.endpoint.transactions()),
        (0, 0)
    );
    // And a 200.
    let mut story = Story::new("192.0.2.10:40001", "192.0.2.10:5070");
    let leg = story.invited();
    story.endpoint.answer(story.now, leg, ANSWER, &[]);
    assert_eq!(story.sent(), [went("200", "192.0.2.10:40001")]);
    story.closes();
    story.pass(ms(1));
    assert_eq!(story.sent(), [went("200", "192.0.2.10:5070")]);
}

#[test]
fn a_refusal_that_was_acknowledged_is_not() {
    let mut story = Story::new("192.0.2.10:40001", "192.0.2.10:5070");
    let leg = story.invited();
    story.endpoint.reject(story.now, leg, 486, None, &[]);
    story.sent();
    story.hears(story.source, "ACK", ";tag=x", 1);
    story.closes();
    assert!(story.sent().is_empty());
}

#[test]
fn other_requests_and_those_inside_a_call_are_answered_there_too() {
    let mut story = Story::new("192.0.2.10:40001", "192.0.2.10:5070");
    story.hears(story.source, "REGISTER", "", 1);
    let Some(Event::Register { id, .. }) = story.endpoint.poll_event() else {
        panic!("no REGISTER");
    };
    story.closes();
    story.endpoint.respond(story.now, id, Reply::new(200));
    assert_eq!(story.sent(), [went("200", "192.0.2.10:5070")]);

    let mut story = Story::new("192.0.2.10:40001", "192.0.2.10:5070");
    let leg = story.invited();
    story.endpoint.answer(story.now, leg, ANSWER, &[]);
    let mut tag = String::new();
    while let Some(transmit) = story.endpoint.poll_transmit() {
        let text = String::from_utf8(transmit.bytes.to_vec()).unwrap();
        let to = text.lines().find(|line| line.starts_with("To:")).unwrap();
        tag = format!(";tag={}", to.split("tag=").nth(1).unwrap());
    }
    story.hears(story.source, "ACK", &tag, 1);
    // A re-INVITE by another connection, closed before it is answered.
    let second = tcp("192.0.2.10:40002");
    story.hears(second, "INVITE", &tag, 2);
    story.endpoint.transport_error(story.now, second);
    story.endpoint.answer_reinvite(story.now, leg, ANSWER);
    assert_eq!(story.sent(), [went("200", "192.0.2.10:5070")]);
}

/// A stranger's connection says nothing about anybody else's.
#[test]
fn only_the_connection_that_is_closed_moves() {
    let mut story = Story::new("192.0.2.10:40001", "192.0.2.10:5070");
    let leg = story.invited();
    story
        .endpoint
        .transport_error(story.now, tcp("192.0.2.10:40002"));
    story.endpoint.answer(story.now, leg, ANSWER, &[]);
    assert_eq!(story.sent(), [went("200", "192.0.2.10:40001")]);
}

/// A datagram's source doesn't close.
#[test]
fn datagrams_are_answered_as_before() {
    let mut story = Story::new("192.0.2.10:40001", "192.0.2.10:5070;rport");
    story.source = Peer::udp(story.source.addr);
    let leg = story.invited();
    story.closes();
    story.endpoint.answer(story.now, leg, ANSWER, &[]);
    assert_eq!(story.sent(), [went("200", "192.0.2.10:40001")]);
}
