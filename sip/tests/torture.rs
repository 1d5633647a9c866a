//! The 49 messages of RFC 4475, and what becomes of each. The files hold their
//! bytes (the signature in `mpart01` is a stand-in of the same kind: it is
//! binary and holds CRLF and NUL).

use std::time::Duration;

use sip::digest::{Accounts, AuthLimits, Authenticator, Ha1s, Verdict};
use sip::{Endpoint, EndpointConfig, Event, Interface, Peer, WireError, parse_datagram};

struct Nobody;

impl Accounts for Nobody {
    fn ha1s(&self, _: &str, _: &str) -> Option<Ha1s> {
        None
    }
}

/// The status code of the answer, or what happened in place of one.
fn outcome(bytes: &[u8]) -> String {
    let peer = Peer::udp("192.0.2.77:5060".parse().unwrap());
    let config = EndpointConfig::new(
        Interface::local("192.0.2.1:5060".parse().unwrap()),
        0,
        [1; 32],
    );
    let mut endpoint = Endpoint::new(config);
    let now = Duration::ZERO;
    match parse_datagram(bytes, peer) {
        Err(WireError::Silence(why)) => return format!("silence: {why}"),
        Err(WireError::Answer(transmit)) => return answer(&transmit.bytes),
        Ok(message) => {
            let again = parse_datagram(&message.to_bytes(), peer);
            assert_eq!(
                again.as_ref(),
                Ok(&message),
                "what is written reads the same"
            );
            endpoint.receive(now, peer, message);
        }
    }
    let event = endpoint.poll_event();
    if let Some(Event::Register { id, peer, request }) = &event {
        let mut authenticator = Authenticator::new([2; 32], AuthLimits::default());
        match authenticator.check(now, peer.addr.ip(), request, "example.com", &Nobody) {
            Verdict::Challenge(reply) => endpoint.respond(now, *id, reply),
            other => panic!("{other:?}"),
        }
    }
    match (endpoint.poll_transmit(), event) {
        (Some(transmit), _) => answer(&transmit.bytes),
        (None, Some(Event::Incoming { request, .. })) => {
            assert!(request.sdp().is_some());
            "call".into()
        }
        (None, None) => "ignored".into(),
        (None, Some(event)) => panic!("{event:?}"),
    }
}

fn answer(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    assert!(text.contains("\r\nVia: ") && text.ends_with("\r\n\r\n"));
    text.split(' ').nth(1).unwrap().to_owned()
}

/// File, outcome, and why where it isn't the RFC's first choice.
const OUTCOMES: &[(&str, &str)] = &[
    // 3.1.1 Valid messages.
    // Its To has a tag, so to an endpoint it belongs to a dialog it doesn't know.
    ("wsinv", "481"),
    // An unknown method, answered as architecture asks: 405 with Allow.
    ("intmeth", "405"),
    ("esc01", "call"),
    ("escnull", "401"),
    // `RE%47IST%45R` is not REGISTER.
    ("esc02", "405"),
    ("lwsdisp", "200"),
    // Its To has no tag and its branch is of RFC 2543.
    ("longreq", "call"),
    // The second request in the datagram is not looked at.
    ("dblreq", "401"),
    ("semiuri", "200"),
    ("transports", "200"),
    // MESSAGE isn't served.
    ("mpart01", "405"),
    // Responses to nothing we sent.
    ("unreason", "ignored"),
    ("noreason", "ignored"),
    // 3.1.2 Invalid messages.
    ("badinv01", "400"),
    ("clerr", "400"),
    ("ncl", "400"),
    ("scalar02", "400"),
    ("scalarlg", "silence: malformed response"),
    ("quotbal", "400"),
    ("ltgtruri", "400"),
    ("lwsruri", "400"),
    ("lwsstart", "400"),
    ("trws", "400"),
    ("escruri", "400"),
    // Date doesn't matter to us; the RFC allows ignoring it.
    ("baddate", "call"),
    // A stranger is asked for credentials before its Contact is looked at.
    ("regbadct", "401"),
    // Both are tolerated, as the RFC allows.
    ("badaspec", "200"),
    ("baddn", "200"),
    ("badvers", "505"),
    ("mismatch01", "400"),
    // The RFC leaves 400 or 501 open.
    ("mismatch02", "400"),
    ("bigcode", "silence: malformed response"),
    // 3.2 Transaction layer: taken for an RFC 2543 branch.
    ("badbranch", "200"),
    // 3.3 Application layer.
    ("insuf", "400"),
    ("unkscm", "416"),
    ("novelsc", "416"),
    ("unksm2", "401"),
    ("bext01", "420"),
    ("invut", "415"),
    ("regaut01", "401"),
    ("multi01", "400"),
    ("mcl01", "400"),
    // Two Via headers in a response: misrouted.
    ("bcast", "ignored"),
    // An endpoint answers an OPTIONS that may go no further.
    ("zeromf", "200"),
    ("cparam01", "401"),
    ("cparam02", "401"),
    ("regescrt", "401"),
    ("sdp01", "406"),
    // 3.4 Backward compatibility.
    ("inv2543", "call"),
];

#[test]
fn every_message_has_its_outcome() {
    assert_eq!(OUTCOMES.len(), 49);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture");
    let mut wrong = Vec::new();
    for (name, expected) in OUTCOMES {
        let bytes = std::fs::read(format!("{folder}/{name}.dat")).unwrap();
        let got = outcome(&bytes);
        if got != *expected {
            wrong.push(format!("{name}: {got}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
