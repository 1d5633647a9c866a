//! Calls for `sips:` addresses: nobody is called for them but by TLS.

use std::sync::Arc;
use std::time::Duration;

use media::srtp::Secret;

use super::Switch;
use crate::contact::Cx;
use crate::input::{Input, NoteSide, NoteWhat, Now, Output};
use crate::phones::Target;
use crate::setup::{Gateway, Line, tests as setups};

const HERE: Now = Now {
    mono: Duration::from_secs(10),
    wall: 0,
};

fn peer(host: u8, transport: sip::Transport) -> sip::Peer {
    let addr = ([192, 0, 2, host], transport.default_port()).into();
    sip::Peer { addr, transport }
}

/// A desk whose only way on is a trunk that is reached so.
fn desk(way_on: sip::Transport) -> Switch {
    let mut setup = setups::empty();
    let mut trunk = setups::trunk("city", 1);
    trunk.gateways = vec![Gateway::Address {
        host: "gw.example".into(),
        peer: peer(1, way_on),
    }];
    setup.trunks.insert("city".into(), Arc::new(trunk));
    setup.trusted = vec!["192.0.2.9".parse().expect("an address")];
    let flow = include_str!("../../../ivr-flows/flows/location.yaml");
    let line = Line {
        tenant: desk::TenantId(1),
        flow: Arc::new(ivr_flows::Flow::parse("location.yaml", flow).expect("a flow")),
        clinical: false,
    };
    setup.lines.insert("1001".into(), line);
    Switch::new(setup)
}

/// A call comes by TLS. Gives the final answer, and the notes.
fn call(switch: &mut Switch, uri: &str) -> (String, Vec<NoteWhat>) {
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
               m=audio 4000 RTP/AVP 0\r\n";
    let text = format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.9;branch=z9hG4bK1\r\n\
         From: <sip:+15550177002@192.0.2.9>;tag=1\r\nTo: <{uri}>\r\nCall-ID: 1\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.9;transport=tls>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    let peer = peer(9, sip::Transport::Tls);
    let message = sip::parse_datagram(text.as_bytes(), peer).expect("well-formed");
    switch.handle(HERE, Input::Sip { peer, message });
    let (mut answer, mut notes) = (String::new(), Vec::new());
    while let Some(output) = switch.poll() {
        match output {
            Output::OpenMedia { key, .. } => switch.handle(
                HERE,
                Input::MediaOpened {
                    key,
                    leg: media::engine::LegId::new(0, 1, 0),
                    port: 10_000,
                    secret: Secret::new([7; 32]),
                },
            ),
            Output::Transmit(transmit) => {
                answer = String::from_utf8_lossy(&transmit.bytes).into_owned();
            }
            Output::Note(note) => notes.push(note.what),
            _ => {}
        }
    }
    (answer, notes)
}

#[test]
fn where_nobody_can_be_called_by_tls_it_is_refused_and_said() {
    use sip::Transport::{Tcp, Tls, Udp};
    for (uri, way_on, expected) in [
        ("sips:1001@127.0.0.1", Udp, "480"),
        ("sips:1001@127.0.0.1", Tcp, "480"),
        ("sips:1001@127.0.0.1", Tls, "200"),
        ("sip:1001@127.0.0.1", Udp, "200"),
    ] {
        let (answer, notes) = call(&mut desk(way_on), uri);
        assert_eq!(&answer[8..11], expected, "{uri} {way_on:?}");
        let said = notes.contains(&NoteWhat::NotEncrypted(NoteSide::Agent));
        assert_eq!(said, expected == "480", "{notes:?}");
        // RFC 3261 section 12.1.1.
        let contact = answer.lines().find(|line| line.starts_with("Contact:"));
        let sips = contact.is_some_and(|contact| contact.starts_with("Contact: <sips:"));
        assert_eq!(
            sips,
            expected == "200" && uri.starts_with("sips"),
            "{answer}"
        );
    }
}

#[test]
fn whom_to_call_is_chosen_among_those_with_tls() {
    use sip::Transport::{Tcp, Tls, Udp};
    for (uri, chosen) in [
        ("sips:1001@127.0.0.1", Some(Tls)),
        ("sip:1001@127.0.0.1", Some(Udp)),
    ] {
        for places in [&[Udp, Tcp, Tls][..], &[Udp, Tcp]] {
            let mut switch = desk(Tls);
            call(&mut switch, uri);
            let (id, contact) = switch.contacts.drain().next().expect("a contact");
            let now = HERE;
            let mut cx = cx!(switch, now);
            let mut places = places.iter().map(|transport| {
                let target = Target {
                    uri: sip::Uri::parse("sip:ana@192.0.2.77").expect("a URI"),
                    peer: peer(77, *transport),
                    route: Vec::new(),
                    pinned: false,
                };
                (target, ())
            });
            let expected = chosen.filter(|chosen| *chosen == Udp || places.len() == 3);
            let found = contact.choose(None, || places.next(), &mut cx);
            let found = found.map(|(target, ..)| target.peer.transport);
            assert_eq!(found, expected, "{uri}");
            let noted = switch.out.iter().any(|output| {
                matches!(output, Output::Note(note) if note.what == NoteWhat::NotEncrypted(NoteSide::Agent) && note.contact == id)
            });
            assert_eq!(noted, expected.is_none());
        }
    }
}
