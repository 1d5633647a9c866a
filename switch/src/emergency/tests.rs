//! One telephone that calls for help, and gateways that the test speaks for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use media::srtp::Secret;

use crate::input::{Input, Now, Output};
use crate::setup::{Account, Setup, tests as setups};
use crate::{CivicAddress, EmergencyNumber, Station, Switch};

const PHONE: [u8; 4] = [203, 0, 113, 7];
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 203.0.113.7\r\ns=-\r\nc=IN IP4 203.0.113.7\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 0\r\n";
/// Of somebody who speaks encrypted or not at all.
const ENCRYPTED: &str = "v=0\r\no=- 1 1 IN IP4 203.0.113.7\r\ns=-\r\nc=IN IP4 203.0.113.7\r\nt=0 0\r\n\
     m=audio 4000 RTP/SAVP 0\r\n\
     a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";

struct Story {
    switch: Switch,
    at: Duration,
    legs: u64,
    /// What was said, and to whom: the last byte of the address.
    sent: Vec<(u8, String)>,
    /// These answer OPTIONS.
    alive: Vec<u8>,
    /// The keys pressed towards anybody.
    pressed: Vec<char>,
}

impl Story {
    /// Gateways 1 and 2, of one trunk that is told where the telephone stands
    /// and is asked how it is every ten seconds.
    fn new(gateways: u8) -> Self {
        Self::with(|setup| {
            let mut trunk = setups::trunk("rescue", gateways);
            trunk.location = true;
            trunk.probe_every = Some(Duration::from_secs(10));
            setup.trunks.insert("rescue".into(), Arc::new(trunk));
        })
    }

    fn with(tweak: impl Fn(&mut Setup)) -> Self {
        let mut setup = setups::empty();
        let address = CivicAddress {
            country: "US".into(),
            state: "IL".into(),
            city: "Springfield".into(),
            street: "Oak".into(),
            number: "400".into(),
            building: None,
            floor: None,
            room: None,
        };
        let account = Account {
            ha1s: sip::digest::Ha1s::derive("ana", "test", "secret"),
            agent: None,
            serves: Vec::new(),
            number: None,
            trunk: false,
            encryption: None,
            home: desk::TenantId(1),
            station: Station {
                callback: None,
                address: Some(address),
            },
        };
        setup.accounts = HashMap::from([("ana".to_owned(), account)]);
        setup.emergency.numbers.push(EmergencyNumber {
            dialled: "911".into(),
            sent: "911".into(),
        });
        tweak(&mut setup);
        Self {
            switch: Switch::new(setup),
            at: Duration::from_secs(10),
            legs: 0,
            sent: Vec::new(),
            alive: vec![1, 2],
            pressed: Vec::new(),
        }
    }

    fn input(&mut self, input: Input) {
        let now = Now {
            mono: self.at,
            wall: 0,
        };
        self.switch.handle(now, input);
        self.look();
    }

    fn hears(&mut self, from: [u8; 4], text: &str) {
        let peer = sip::Peer::udp((from, 5060).into());
        let message = sip::parse_datagram(text.as_bytes(), peer).expect("well-formed");
        self.input(Input::Sip { peer, message });
    }

    /// Takes everything out, and does what is asked for.
    fn look(&mut self) {
        while let Some(output) = self.switch.poll() {
            match output {
                Output::Transmit(transmit) => {
                    let std::net::IpAddr::V4(ip) = transmit.peer.addr.ip() else {
                        panic!("{transmit:?}");
                    };
                    let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
                    let to = ip.octets()[3];
                    let asked = text.starts_with("OPTIONS ") && self.alive.contains(&to);
                    if asked || text.starts_with("CANCEL ") {
                        self.answers_to(to, &text, 200, "");
                    }
                    self.sent.push((to, text));
                }
                Output::OpenMedia { key, .. } => {
                    self.legs += 1;
                    let opened = Input::MediaOpened {
                        key,
                        leg: media::engine::LegId::new(0, self.legs as u32, 0),
                        port: 10_000 + 2 * self.legs as u16,
                        secret: Secret::new([7; 32]),
                    };
                    self.input(opened);
                }
                Output::Media(media::engine::Command::SendDigits { digits, .. }) => {
                    self.pressed.extend(digits.iter().map(|digit| digit.char()));
                }
                _ => {}
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.at + time;
        while let Some(at) = self.switch.poll_timeout().filter(|at| *at <= until) {
            self.at = self.at.max(at);
            let now = Now {
                mono: self.at,
                wall: 0,
            };
            self.switch.handle_timeout(now);
            self.look();
        }
        self.at = until;
    }

    /// Dials 911; the password is asked for.
    fn dials(&mut self, sdp: &str) {
        let mut authorization = String::new();
        for branch in 1..=2 {
            let text = format!(
                "INVITE sip:911@test SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.7;branch=z9hG4bK{branch}\r\n\
                 From: <sip:ana@test>;tag=1\r\nTo: <sip:911@test>\r\nContact: <sip:ana@203.0.113.7>\r\n\
                 Call-ID: {branch}\r\nCSeq: 1 INVITE\r\n{authorization}\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                sdp.len()
            );
            self.hears(PHONE, &text);
            let challenged = self.sent.iter().find_map(|(_, text)| {
                let mut lines = text.lines();
                lines.find_map(|line| line.strip_prefix("WWW-Authenticate: "))
            });
            let params =
                sip::wire::AuthParams::parse(challenged.expect("401")).expect("a challenge");
            let password = sip::Credentials::new("ana", "secret");
            let uri = "sip:911@test";
            let value = sip::digest::authorize(&params, &password, "INVITE", uri, "c", 1);
            authorization = format!("Authorization: {}\r\n", value.expect("an answer"));
        }
    }

    /// The calls so far: to whom. (An INVITE that is repeated is one.)
    fn called(&self) -> Vec<u8> {
        let invites = self
            .sent
            .iter()
            .filter(|(_, text)| text.starts_with("INVITE "));
        let mut invites: Vec<_> = invites.collect();
        invites.dedup();
        invites.iter().map(|(to, _)| *to).collect()
    }

    /// The last INVITE to this gateway.
    fn invite(&self, gateway: u8) -> String {
        let mut sent = self.sent.iter().rev();
        let last = sent.find(|(to, text)| *to == gateway && text.starts_with("INVITE "));
        last.expect("a call").1.clone()
    }

    /// That gateway answers the last INVITE it got.
    fn says(&mut self, gateway: u8, code: u16, sdp: &str) {
        let invite = self.invite(gateway);
        self.answers_to(gateway, &invite, code, sdp);
    }

    fn answers_to(&mut self, gateway: u8, request: &str, code: u16, sdp: &str) {
        let kept = request.lines().skip(1).take_while(|line| !line.is_empty());
        let names = ["Via", "From", "To", "Call-ID", "CSeq"];
        let kept = kept.filter(|line| {
            names
                .iter()
                .any(|name| line.starts_with(&format!("{name}:")))
        });
        let kept: String = kept
            .map(
                |line| match line.starts_with("To:") && !line.contains(";tag=") {
                    true => format!("{line};tag=gw{gateway}\r\n"),
                    false => format!("{line}\r\n"),
                },
            )
            .collect();
        let kind = if sdp.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let text = format!(
            "SIP/2.0 {code} X\r\n{kept}Contact: <sip:gw@192.0.2.{gateway}>\r\n{kind}Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        self.hears([192, 0, 2, gateway], &text);
    }

    /// What the telephone was told.
    fn told(&self) -> Vec<u16> {
        let to_it = self
            .sent
            .iter()
            .filter(|(to, text)| *to == 7 && text.starts_with("SIP/2.0 "));
        to_it
            .filter_map(|(_, text)| text[8..11].parse().ok())
            .collect()
    }
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_way_that_rings_is_left_when_its_connection_is_closed() {
    for media in ["", OFFER] {
        let mut story = Story::new(2);
        story.dials(OFFER);
        story.says(1, 183, media);
        story.pass(secs(5));
        assert_eq!(story.called(), [1]);
        let peer = |gateway: u8| sip::Peer::udp(([192, 0, 2, gateway], 5060).into());
        story.input(Input::PeerLost { peer: peer(9) });
        assert_eq!(story.called(), [1], "somebody else's");
        story.input(Input::PeerLost { peer: peer(1) });
        assert_eq!(story.called(), [1, 2]);
        story.says(2, 200, OFFER);
        // Of two who talk it ends nothing.
        story.input(Input::PeerLost { peer: peer(2) });
        story.pass(secs(100));
        assert_eq!(story.called(), [1, 2]);
        assert_eq!(story.switch.emergency_calls(), 1);
    }
}

#[test]
fn a_way_that_rings_is_left_when_nobody_is_there_any_more() {
    let mut story = Story::new(2);
    story.pass(secs(30));
    story.dials(OFFER);
    // It speaks: patience alone never ends that.
    story.says(1, 183, OFFER);
    story.pass(secs(300));
    assert_eq!(story.called(), [1]);
    story.alive = vec![2];
    story.pass(secs(25));
    assert_eq!(story.called(), [1, 2]);
    story.says(2, 180, "");
    story.says(2, 200, OFFER);
    story.pass(secs(100));
    assert_eq!(story.called(), [1, 2]);
}

#[test]
fn a_way_that_rings_with_nothing_to_be_heard_is_left_for_another_that_works() {
    let mut story = Story::new(2);
    story.dials(OFFER);
    story.says(1, 180, "");
    story.pass(secs(59));
    assert_eq!(story.called(), [1]);
    story.pass(secs(3));
    assert_eq!(story.called(), [1, 2]);
    let cancelled = story
        .sent
        .iter()
        .any(|(to, text)| *to == 1 && text.starts_with("CANCEL "));
    assert!(cancelled);
    // No other is left: it may ring for as long as it likes.
    story.says(2, 180, "");
    story.pass(secs(1_000));
    assert_eq!(story.called(), [1, 2]);
    // Nor is one that works left for one that doesn't.
    let mut story = Story::new(2);
    story.alive = vec![1];
    story.pass(secs(60));
    story.dials(OFFER);
    story.says(1, 180, "");
    story.pass(secs(300));
    assert_eq!(story.called(), [1]);
}

#[test]
fn a_gateway_that_stumbles_over_the_location_is_called_without_it() {
    for code in [400, 413, 415, 424, 488, 513] {
        let mut story = Story::new(2);
        story.dials(OFFER);
        assert!(story.invite(1).contains("Geolocation: <cid:"));
        story.says(1, code, "");
        assert_eq!(story.called(), [1, 1], "{code}");
        let again = story.invite(1);
        assert!(
            !again.contains("Geolocation") && !again.contains("pidf"),
            "{again}"
        );
        assert!(again.contains("Content-Type: application/sdp"), "{again}");
        // Not twice; and the next one is told.
        story.says(1, code, "");
        assert_eq!(story.called(), [1, 1, 2], "{code}");
        assert!(story.invite(2).contains("Geolocation: <cid:"));
    }
}

/// Datagrams that are too large are lost without a word.
#[test]
fn every_other_round_goes_without_the_location() {
    let mut story = Story::new(1);
    story.dials(OFFER);
    for located in [true, false, true] {
        assert_eq!(story.invite(1).contains("Geolocation"), located);
        let calls = story.called().len();
        story.says(1, 404, "");
        story.pass(secs(4));
        assert_eq!(story.called().len(), calls + 1);
    }
}

#[test]
fn a_telephone_that_speaks_encrypted_only_is_heard_by_any_signalling() {
    for sdp in [OFFER, ENCRYPTED] {
        let mut story = Story::new(1);
        story.dials(sdp);
        assert_eq!(story.called(), [1], "{:?}", story.told());
        story.says(1, 200, OFFER);
        let ok = story
            .sent
            .iter()
            .find(|(_, text)| text.starts_with("SIP/2.0 200") && text.contains("m=audio"));
        let ok = &ok.expect("answered").1;
        assert_eq!(ok.contains("a=crypto:"), sdp == ENCRYPTED, "{ok}");
    }
}

/// 988 has a menu. A telephone that sends keys by INFO alone reaches it, each key once; of one that agreed on telephone
/// events the key has crossed as one.
#[test]
fn keys_by_info_cross_an_emergency_call_once() {
    let events = format!(
        "{}a=rtpmap:101 telephone-event/8000\r\n",
        OFFER.replace("AVP 0", "AVP 0 101")
    );
    for (sdp, keys) in [(OFFER, "37"), (&*events, "")] {
        let mut story = Story::new(1);
        story.dials(sdp);
        story.says(1, 200, &events);
        let mut sent = story.sent.iter().rev();
        let ok = sent.find(|(to, text)| {
            *to == 7 && text.starts_with("SIP/2.0 200") && text.contains("m=audio")
        });
        let (_, ok) = ok.expect("answered").clone();
        let to = ok.lines().find(|line| line.starts_with("To:")).expect("To");
        for (cseq, key) in [(3, '3'), (3, '3'), (4, '7')] {
            let body = format!("Signal={key}\r\nDuration=100\r\n");
            story.hears(
                PHONE,
                &format!(
                    "INFO sip:911@test SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.7;branch=z9hG4bKi{cseq}\r\n\
                     From: <sip:ana@test>;tag=1\r\n{to}\r\nCall-ID: 2\r\nCSeq: {cseq} INFO\r\n\
                     Content-Type: application/dtmf-relay\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ),
            );
            story.pass(Duration::from_millis(300));
        }
        let infos = story
            .told()
            .iter()
            .rev()
            .take(3)
            .filter(|code| **code == 200)
            .count();
        assert_eq!(infos, 3);
        assert_eq!(story.pressed.iter().collect::<String>(), keys);
    }
}
