//! What real peers send, fault by fault, and hostile input.

use std::sync::OnceLock;
use std::time::Duration;

use proptest::prelude::*;
use sip::wire::{AuthParams, NameAddr, Scheme};
use sip::{
    Endpoint, EndpointConfig, Event, Interface, Message, Peer, Request, Response, WireError,
    parse_datagram,
};

fn peer() -> Peer {
    Peer::udp("203.0.113.9:40123".parse().unwrap())
}

fn parse(bytes: &[u8]) -> Result<Message, WireError> {
    parse_datagram(bytes, peer())
}

/// An INVITE with some lines replaced: `From: x` replaces From, an unknown name
/// is added.
fn invite(start: &str, lines: &[&str]) -> Vec<u8> {
    let mut all = vec![
        (
            "Via",
            "Via: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK74b".to_owned(),
        ),
        ("From", "From: <sip:a@example.net>;tag=1".to_owned()),
        ("To", "To: <sip:b@example.com>".to_owned()),
        ("Call-ID", "Call-ID: 7@example.net".to_owned()),
        ("CSeq", "CSeq: 1 INVITE".to_owned()),
    ];
    for line in lines {
        let name = line.split(':').next().unwrap().trim();
        match all.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = (*line).to_owned(),
            None => all.push(("", (*line).to_owned())),
        }
    }
    let lines: Vec<_> = all.into_iter().map(|(_, line)| line).collect();
    format!("{start}\r\n{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

const START: &str = "INVITE sip:b@example.com SIP/2.0";

fn request(bytes: &[u8]) -> Request {
    match parse(bytes) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(bytes)),
    }
}

fn response(text: &str) -> Response {
    match parse(text.replace('\n', "\r\n").as_bytes()) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn answered(bytes: &[u8]) -> String {
    match parse(bytes) {
        Err(WireError::Answer(transmit)) => String::from_utf8_lossy(&transmit.bytes).into_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn folded_headers_are_one_line() {
    let message = invite(
        START,
        &[
            "Subject: it\r\n is\r\n\turgent",
            "To:\r\n <sip:b@example.com>",
        ],
    );
    let request = request(&message);
    assert_eq!(request.header("Subject"), Some("it is urgent"));
    assert_eq!(request.to().unwrap().uri.as_str(), "sip:b@example.com");
}

#[test]
fn ipv6_and_tel_request_uris_are_read() {
    let v6 = request(&invite("INVITE sip:b@[2001:db8::7]:5070;lr SIP/2.0", &[]));
    assert_eq!(
        v6.uri().host().unwrap().ip(),
        Some("2001:db8::7".parse().unwrap())
    );
    assert_eq!(v6.uri().port(), Some(5070));
    let tel = request(&invite(
        "INVITE tel:+1-555-010-0199;phone-context=x SIP/2.0",
        &[],
    ));
    assert_eq!(tel.uri().scheme(), Scheme::Tel);
    assert_eq!(tel.uri().user().unwrap(), "+1-555-010-0199");
    assert!(
        tel.to_bytes()
            .starts_with(b"INVITE tel:+1-555-010-0199;phone-context=x SIP/2.0\r\n")
    );
}

#[test]
fn unknown_methods_get_405_with_allow() {
    let message = invite("DANCE sip:b@example.com SIP/2.0", &["CSeq: 1 DANCE"]);
    let answer = answered(&message);
    assert!(answer.starts_with("SIP/2.0 405 Method Not Allowed\r\n"));
    assert!(answer.contains("\r\nAllow: INVITE, "));
    assert!(answer.contains("\r\nCSeq: 1 DANCE\r\n"));
    assert!(answer.contains(";received=203.0.113.9") || answer.contains("203.0.113.9:5060;branch"));
    // Methods are case-sensitive.
    let message = invite("invite sip:b@example.com SIP/2.0", &["CSeq: 1 invite"]);
    assert!(answered(&message).starts_with("SIP/2.0 405 "));
}

#[test]
fn unknown_schemes_get_416() {
    let answer = answered(&invite("INVITE pigeon:b SIP/2.0", &[]));
    assert!(answer.starts_with("SIP/2.0 416 Unsupported URI Scheme\r\n"));
}

#[test]
fn bytes_that_are_not_utf8_are_latin1() {
    let mut message = invite(START, &["From: \"Andr# M#ller\" <sip:a@example.net>;tag=1"]);
    for (at, byte) in [(0, 0xe9), (0, 0xfc)] {
        let at = at + message.iter().position(|b| *b == b'#').unwrap();
        message[at] = byte;
    }
    let from = request(&message);
    assert_eq!(from.from().unwrap().display().unwrap(), "André Müller");
}

#[test]
fn compact_headers_are_understood() {
    let text = "INVITE sip:b@example.com SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bKa\r\n\
                f: <sip:a@h>;tag=9\r\nt: sip:b@example.com\r\ni: c1\r\nCSeq: 3 INVITE\r\n\
                m: <sip:a@h:5066>\r\nc: application/sdp\r\nk: timer\r\nl: 3\r\n\r\nv=0";
    let request = request(text.as_bytes());
    assert_eq!(request.call_id(), "c1");
    assert_eq!(request.from_tag(), Some("9"));
    assert_eq!(request.contacts().collect::<Vec<_>>(), ["<sip:a@h:5066>"]);
    assert_eq!(request.sdp(), Some(&b"v=0"[..]));
    assert!(request.lists("Supported", "timer"));
}

#[test]
fn comma_lists_keep_every_value() {
    let message = invite(
        START,
        &[
            "Via: SIP/2.0/UDP p1;branch=z9hG4bK1, SIP/2.0/UDP p2;branch=z9hG4bK2",
            "Record-Route: <sip:p1;lr>,<sip:p2;lr>",
            "Contact: \"a, b\" <sip:a@h;x=1,2>",
        ],
    );
    let request = request(&message);
    assert_eq!(request.via_count(), 2);
    assert_eq!(
        request.record_routes().collect::<Vec<_>>(),
        ["<sip:p1;lr>", "<sip:p2;lr>"]
    );
    assert_eq!(request.contacts().count(), 1);
}

#[test]
fn dotted_users_stay_whole() {
    let request = request(&invite("INVITE sip:first.last@host SIP/2.0", &[]));
    assert_eq!(request.uri().user().unwrap(), "first.last");
    assert_eq!(request.uri().host_str(), "host");
}

#[test]
fn content_length_rules_the_body() {
    let with = |length: &str, body: &str| {
        let mut message = invite(START, &[&format!("Content-Length: {length}")]);
        message.extend_from_slice(body.as_bytes());
        message
    };
    assert_eq!(request(&with("3", "abcdef")).body(), b"abc");
    assert_eq!(request(&with("0", "abcdef")).body(), b"");
    assert!(answered(&with("7", "abcdef")).starts_with("SIP/2.0 400 "));
    assert!(answered(&with("-1", "")).starts_with("SIP/2.0 400 "));
    assert!(answered(&with("99999999999999999999999", "")).starts_with("SIP/2.0 400 "));
    let mut without = invite(START, &[]);
    without.extend_from_slice(b"rest");
    assert_eq!(request(&without).body(), b"rest");
}

#[test]
fn quoted_parameters_are_values() {
    let instance = "\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\"";
    let line = format!("Contact: <sip:a@h>;+sip.instance={instance};q=0.5;reg-id=1");
    let request = request(&invite(START, &[&line]));
    let contact = NameAddr::parse(request.contacts().next().unwrap()).unwrap();
    let value = contact.params.unquoted("+sip.instance").unwrap();
    assert_eq!(value, "<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>");
    assert_eq!(contact.params.get("q"), Some("0.5"));
}

#[test]
fn digest_parameters_are_read_as_sent() {
    let line = "Digest username=\"a\", realm=\"r, s\", nonce=\"n\", uri=\"sip:h\", \
                algorithm=SHA-256, qop=auth, nc=0000001a, cnonce=\"c\", response=\"00\"";
    let params = AuthParams::parse(line).unwrap();
    assert_eq!(params.get("algorithm").unwrap(), "SHA-256");
    assert_eq!(params.get("nc").unwrap(), "0000001a");
    assert_eq!(params.get("realm").unwrap(), "r, s");
    assert_eq!(params.get("opaque"), None);
}

#[test]
fn reason_phrases_and_transport_are_kept() {
    let text = "SIP/2.0 486 Im Gespräch, später\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\n\
                From: <sip:a@h>;tag=1\nTo: <sip:b@h;transport=WeIrD>;tag=2\nCall-ID: x\n\
                CSeq: 1 INVITE\nContact: <sip:b@h;transport=Tcp>\n\n";
    let response = response(text);
    assert_eq!(response.reason(), "Im Gespräch, später");
    let bytes = String::from_utf8(response.to_bytes()).unwrap();
    assert!(bytes.starts_with("SIP/2.0 486 Im Gespräch, später\r\n"));
    assert!(bytes.contains("<sip:b@h;transport=WeIrD>;tag=2"));
    assert!(bytes.contains("<sip:b@h;transport=Tcp>"));
}

#[test]
fn silence_is_kept_where_nothing_may_be_said() {
    let check = |bytes: &[u8]| assert!(matches!(parse(bytes), Err(WireError::Silence(_))));
    check(b"");
    check(b"\r\n\r\n");
    check(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    check(b"\x00\x01\x00\x08!\x12\xa4B");
    check(&invite("ACK sip:b@example.com SIP/2.0", &["CSeq: x"]));
    check(b"INVITE sip:b@example.com SIP/2.0\r\nFrom: x\r\n\r\n");
    check(b"SIP/2.0 200 OK\r\n\r\n");
}

#[test]
fn answers_go_where_the_via_says() {
    let to = |via: &str| match parse(&invite(START, &[via, "To: bad"])) {
        Err(WireError::Answer(transmit)) => {
            let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
            let via = text.lines().nth(1).unwrap().to_owned();
            (transmit.peer.addr.to_string(), via)
        }
        other => panic!("{other:?}"),
    };
    let check = |via: &str, addr: &str, written: &str| {
        assert_eq!(to(via), (addr.to_owned(), written.to_owned()));
    };
    check(
        "Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKx",
        "203.0.113.9:5060",
        "Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKx",
    );
    check(
        "Via: SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bKx",
        "203.0.113.9:40123",
        "Via: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKx;received=203.0.113.9;rport=40123",
    );
    check(
        "Via: SIP/2.0/UDP host.example:5070;branch=z9hG4bKx",
        "203.0.113.9:5070",
        "Via: SIP/2.0/UDP host.example:5070;branch=z9hG4bKx;received=203.0.113.9",
    );
    // Nobody can make us send elsewhere.
    check(
        "Via: SIP/2.0/UDP 203.0.113.9;maddr=198.51.100.1;received=198.51.100.2;branch=z9hG4bKx",
        "203.0.113.9:5060",
        "Via: SIP/2.0/UDP 203.0.113.9;maddr=198.51.100.1;branch=z9hG4bKx",
    );
}

fn torture() -> &'static [Vec<u8>] {
    static MESSAGES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    MESSAGES.get_or_init(read_torture)
}

fn read_torture() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "dat"))
        .collect();
    names.sort();
    names
        .iter()
        .map(|name| std::fs::read(name).unwrap())
        .collect()
}

/// One way of spoiling a message.
#[derive(Debug, Clone)]
enum Spoil {
    Set(usize, u8),
    Remove(usize, usize),
    Insert(usize, &'static [u8]),
    Repeat(usize, usize),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    const PIECES: &[&[u8]] = &[
        b"\r\n",
        b"\n",
        b" ",
        b"\"",
        b"<",
        b">",
        b";",
        b",",
        b":",
        b"%",
        b"@",
        b"[",
        b"=",
        b"\\",
        b"\xff\xfe",
        b"\0",
        b";tag=",
        b"sip:",
        b"\r\n ",
        b"z9hG4bK",
        b";rport",
        b"99999999999",
    ];
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Spoil::Set(at, byte)),
        (any::<usize>(), 1..40_usize).prop_map(|(at, len)| Spoil::Remove(at, len)),
        (any::<usize>(), 0..PIECES.len()).prop_map(|(at, i)| Spoil::Insert(at, PIECES[i])),
        (any::<usize>(), 1..200_usize).prop_map(|(at, len)| Spoil::Repeat(at, len)),
    ]
}

fn apply(bytes: &mut Vec<u8>, spoil: &Spoil) {
    let at = |i: usize| i % (bytes.len() + 1);
    match *spoil {
        Spoil::Set(i, byte) => {
            let at = at(i);
            if let Some(old) = bytes.get_mut(at) {
                *old = byte;
            }
        }
        Spoil::Remove(i, len) => {
            let at = at(i);
            bytes.drain(at..(at + len).min(bytes.len()));
        }
        Spoil::Insert(i, piece) => {
            let at = at(i);
            bytes.splice(at..at, piece.iter().copied());
        }
        Spoil::Repeat(i, len) => {
            let at = at(i);
            let piece = bytes[at..(at + len).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn spoilt_messages_never_panic_and_read_back(
        which in any::<usize>(),
        spoils in prop::collection::vec(spoil(), 0..6),
    ) {
        let messages = torture();
        let mut bytes = messages[which % messages.len()].clone();
        for spoil in &spoils {
            apply(&mut bytes, spoil);
        }
        match parse(&bytes) {
            Ok(message) => {
                let again = parse(&message.to_bytes());
                prop_assert_eq!(again.as_ref(), Ok(&message));
                // Nor does it shake the machine behind.
                let interface = Interface::local("203.0.113.1:5060".parse().unwrap());
                let mut endpoint = Endpoint::new(EndpointConfig::new(interface, 0, [1; 32]));
                let now = Duration::ZERO;
                endpoint.receive(now, peer(), message.clone());
                if let Some(Event::Incoming { leg, .. }) = endpoint.poll_event() {
                    endpoint.answer(now, leg, b"v=0", &[]);
                    endpoint.receive(now, peer(), message);
                    endpoint.hangup(now, leg, None);
                }
                while let Some(at) = endpoint.poll_timeout() {
                    endpoint.handle_timeout(at);
                }
                prop_assert_eq!((endpoint.legs(), endpoint.transactions()), (0, 0));
            }
            Err(WireError::Answer(transmit)) => {
                // Our own answers are well-formed up to what they echo.
                let whole = transmit.bytes.windows(4).filter(|w| *w == b"\r\n\r\n").count();
                prop_assert_eq!(whole, 1);
            }
            Err(WireError::Silence(_)) => {}
        }
    }
}
