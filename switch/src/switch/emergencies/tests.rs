use std::collections::HashMap;

use desk::PhoneNumber;

use super::*;
use crate::admission::Limits;
use crate::input::Output;
use crate::setup::{Account, Setup};

const HOME: [u8; 4] = [203, 0, 113, 7];
const PROXY: [u8; 4] = [192, 0, 2, 1];

/// Nobody else would get in: no room, and the proxy's network is trusted.
fn setup() -> Setup {
    let mut setup = crate::setup::tests::empty();
    let account = |user: &str, trunk: bool| Account {
        ha1s: sip::digest::Ha1s::derive(user, "test", "secret"),
        agent: None,
        serves: Vec::new(),
        number: None,
        trunk,
        encryption: None,
        home: desk::TenantId(1),
        station: Default::default(),
    };
    setup.accounts = HashMap::from([
        ("ana".to_owned(), account("ana", false)),
        ("ben".to_owned(), account("ben", false)),
        ("exchange".to_owned(), account("exchange", true)),
    ]);
    setup.trusted = vec!["192.0.2.0/24".parse().expect("a network")];
    setup.limits = Limits {
        calls_per_second: 0.0,
        burst: 0.0,
        calls_per_tenant_max: 0,
        calls_max: 0,
        clinical_reserve: 0,
    };
    let number = crate::EmergencyNumber {
        dialled: "911".into(),
        sent: "911".into(),
    };
    setup.emergency.numbers.push(number);
    setup
}

struct Desk {
    switch: Switch,
    branch: u32,
    at: Duration,
}

impl Desk {
    fn new(setup: Setup) -> Self {
        Self {
            switch: Switch::new(setup),
            branch: 0,
            at: Duration::from_secs(10),
        }
    }

    /// Sends a request, again with this password where one is asked for; gives the last answer, 0 for none.
    fn asks(&mut self, from: [u8; 4], head: &str, lines: &str, password: Option<&str>) -> u16 {
        let peer = sip::Peer::udp((from, 5060).into());
        let (method, _) = head.split_once(' ').expect("a method");
        let user = lines
            .split("<sip:")
            .nth(1)
            .and_then(|rest| rest.split('@').next());
        let mut authorization = String::new();
        loop {
            self.branch += 1;
            let branch = self.branch;
            let text = format!(
                "{head} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{branch};rport\r\n\
                 {lines}Call-ID: {branch}\r\nCSeq: 1 {method}\r\n{authorization}Content-Length: 0\r\n\r\n"
            );
            let message = sip::parse_datagram(text.as_bytes(), peer).expect("well-formed");
            let now = Now {
                mono: self.at,
                wall: 0,
            };
            self.switch.handle(now, Input::Sip { peer, message });
            let mut answer = None;
            while let Some(output) = self.switch.poll() {
                if let Output::Transmit(transmit) = output {
                    answer = Some(String::from_utf8_lossy(&transmit.bytes).into_owned());
                }
            }
            let Some(answer) = answer else { return 0 };
            let challenge = answer
                .lines()
                .find_map(|line| line.strip_prefix("WWW-Authenticate: "));
            match (challenge, password) {
                (Some(challenge), Some(password)) if authorization.is_empty() => {
                    let credentials = sip::Credentials::new(user.expect("a user"), password);
                    let params = sip::wire::AuthParams::parse(challenge).expect("a challenge");
                    let uri = head.split(' ').nth(1).expect("a URI");
                    let value = sip::digest::authorize(&params, &credentials, method, uri, "c", 1);
                    authorization = format!("Authorization: {}\r\n", value.expect("an answer"));
                }
                _ => return answer[8..11].parse().expect("a code"),
            }
        }
    }

    fn registers(&mut self, from: [u8; 4], user: &str, more: &str, password: &str) -> u16 {
        let lines = format!(
            "From: <sip:{user}@test>;tag=1\r\nTo: <sip:{user}@test>\r\n{more}\
             Contact: <sip:{user}@{}:5060>\r\nExpires: 60\r\n",
            std::net::Ipv4Addr::from(from)
        );
        self.asks(from, "REGISTER sip:test", &lines, Some(password))
    }

    /// Dials; 0: it is taken.
    fn dials(&mut self, from: [u8; 4], user: &str, uri: &str, password: Option<&str>) -> u16 {
        let lines = format!(
            "From: <sip:{user}@test>;tag=1\r\nTo: <{uri}>\r\nContact: <sip:{user}@192.0.2.9>\r\n"
        );
        self.asks(from, &format!("INVITE {uri}"), &lines, password)
    }
}

#[test]
fn a_registered_telephone_is_taken_at_once_whatever_else_is_full() {
    for uri in [
        "sip:911@test",
        "tel:911",
        "urn:service:sos",
        "sip:9-1-1@test;user=phone",
    ] {
        let mut desk = Desk::new(setup());
        assert_eq!(desk.registers(HOME, "ana", "", "secret"), 200);
        desk.switch.handle(
            Now {
                mono: desk.at,
                wall: 0,
            },
            Input::Drain,
        );
        assert_eq!(desk.dials(HOME, "ana", uri, None), 0, "{uri}");
        assert_eq!(desk.switch.emergency_calls(), 1);
        assert_eq!(desk.switch.calls(), 1, "who stops waits for it");
    }
}

#[test]
fn who_isnt_registered_there_shows_a_password_or_goes_nowhere() {
    let elsewhere = [203, 0, 113, 8];
    let mut desk = Desk::new(setup());
    assert_eq!(desk.registers(HOME, "ana", "", "secret"), 200);
    for (from, user, password, expected) in [
        (elsewhere, "ana", None, 401),
        (HOME, "nobody", None, 401),
        (elsewhere, "ana", Some("guess"), 403),
        (elsewhere, "nobody", Some("guess"), 403),
        // It may be a proxy, with telephones of ours behind it.
        ([192, 0, 2, 9], "+15550199042", None, 401),
        (elsewhere, "exchange", Some("secret"), 404),
    ] {
        let code = desk.dials(from, user, "sip:911@test", password);
        assert_eq!(code, expected, "{from:?} {user} {password:?}");
    }
    assert_eq!(desk.switch.emergency_calls(), 0);
    assert_eq!(
        desk.dials(elsewhere, "ana", "sip:911@test", Some("secret")),
        0
    );
    // The registration has run out.
    desk.at += Duration::from_secs(61);
    desk.switch.handle_timeout(Now {
        mono: desk.at,
        wall: 0,
    });
    assert_eq!(desk.dials(HOME, "ana", "sip:911@test", None), 401);
}

/// A trunk's caller stands where none of our telephones does.
#[test]
fn who_has_shown_to_be_a_trunk_is_told_so() {
    let mut desk = Desk::new(setup());
    let peer = sip::Peer::udp(([192, 0, 2, 9], 5060).into());
    desk.switch
        .certified
        .insert(peer, std::sync::Arc::from("city"));
    let code = |desk: &mut Desk| desk.dials([192, 0, 2, 9], "ben", "sip:911@test", None);
    assert_eq!(code(&mut desk), 401, "there is no such trunk");
    let trunk = crate::setup::tests::trunk("city", 1);
    let trunks = &mut desk.switch.setup.trunks;
    trunks.insert("city".into(), std::sync::Arc::new(trunk));
    assert_eq!(code(&mut desk), 404);
}

#[test]
fn a_registered_exchange_is_no_telephone() {
    let mut desk = Desk::new(setup());
    assert_eq!(desk.registers(HOME, "exchange", "", "secret"), 200);
    assert_eq!(desk.dials(HOME, "exchange", "sip:911@test", None), 404);
}

#[test]
fn behind_a_proxy_a_password_is_asked_for() {
    let mut desk = Desk::new(setup());
    let path = "Path: <sip:192.0.2.1;lr>\r\nSupported: path\r\n";
    assert_eq!(desk.registers(PROXY, "ana", path, "secret"), 200);
    assert_eq!(desk.dials(PROXY, "ana", "sip:911@test", None), 401);
    assert_eq!(desk.dials(PROXY, "ana", "sip:911@test", Some("secret")), 0);
    // The telephone knows us by another name than we do.
    let lines = "From: <sip:ana@pbx.example>;tag=1\r\nTo: <sip:911@pbx.example>\r\n\
                 Contact: <sip:ana@10.0.0.9>\r\n";
    let head = "INVITE sip:911@pbx.example";
    assert_eq!(desk.asks(PROXY, head, lines, None), 401);
    assert_eq!(desk.asks(PROXY, head, lines, Some("secret")), 0);
}

#[test]
fn a_blocked_address_keeps_no_registered_telephone_out() {
    let mut desk = Desk::new(setup());
    assert_eq!(desk.registers(HOME, "ana", "", "secret"), 200);
    for _ in 0..12 {
        assert_eq!(desk.registers(HOME, "nobody", "", "guess"), 403);
    }
    let blocked = desk.switch.counters().sign_ins_blocked;
    assert!(blocked > 0);
    assert_eq!(desk.dials(HOME, "ana", "sip:911@test", None), 0);
    // Nor anybody else with the right password; the wrong ones are told no more than before.
    assert_eq!(desk.dials(HOME, "ben", "sip:911@test", Some("secret")), 0);
    assert_eq!(desk.registers(HOME, "ben", "", "secret"), 403);
    for user in ["ben", "nobody"] {
        assert_eq!(desk.dials(HOME, user, "sip:911@test", Some("guess")), 403);
    }
    assert_eq!(desk.switch.counters().sign_ins_blocked, blocked + 1);
}

/// Whoever has forgotten the password has time for more than ten calls.
#[test]
fn a_call_for_help_with_a_wrong_password_blocks_nobody() {
    let mut desk = Desk::new(setup());
    for _ in 0..12 {
        let code = desk.dials(HOME, "ana", "sip:911@test", Some("guess"));
        assert_eq!(code, 403);
    }
    assert_eq!(desk.registers(HOME, "ana", "", "secret"), 200);
}

#[test]
fn a_telephone_calls_for_help_twice_at_most() {
    let mut desk = Desk::new(setup());
    assert_eq!(desk.registers(HOME, "ana", "", "secret"), 200);
    let calls = |desk: &Desk| {
        let live = desk
            .switch
            .emergencies
            .values()
            .filter(|call| call.is_live());
        let mut live: Vec<_> = live.map(|call| call.id()).collect();
        live.sort_unstable();
        live
    };
    for _ in 0..2 {
        assert_eq!(desk.dials(HOME, "ana", "sip:911@test", None), 0);
    }
    let before = calls(&desk);
    for n in 0..5 {
        // The last one said is the refusal of the oldest, which isn't answered.
        assert_eq!(desk.dials(HOME, "ana", "sip:911@test", None), 503, "{n}");
    }
    let after = calls(&desk);
    assert_eq!((before.len(), after.len()), (2, 2));
    assert!(after.iter().all(|id| !before.contains(id)));
    // Somebody else's are their own.
    assert_eq!(desk.dials(HOME, "ben", "sip:911@test", Some("secret")), 0);
    assert_eq!(desk.switch.emergency_calls(), 3);
}

/// The main number is called by others too: only who says that they are the service is meant, and by a trunk alone.
#[test]
fn a_line_of_ours_is_called_back_by_the_service_alone() {
    let mut setup = setup();
    let main = PhoneNumber("+15550101000".into());
    setup.emergency.usual.callback = Some(main);
    let line = crate::setup::tests::line();
    setup.lines.insert("15550101000".into(), line);
    let mut desk = Desk::new(setup);
    for (at, user) in [(HOME, "ana"), ([203, 0, 113, 9], "ben")] {
        assert_eq!(desk.registers(at, user, "", "secret"), 200);
    }
    let calls = |desk: &mut Desk, from: [u8; 4], more: &str, uri: &str| {
        let lines = format!(
            "From: <sip:+15550160911@pbx.example>;tag=1\r\nTo: <{uri}>\r\n{more}\
             Contact: <sip:x@192.0.2.9>\r\n"
        );
        desk.asks(from, &format!("INVITE {uri}"), &lines, None)
    };
    const TRUNK: [u8; 4] = [192, 0, 2, 9];
    let (marked, uri) = ("Priority: PSAP-callback\r\n", "sip:+15550101000@test");
    // Nobody has called for help. (There is no room for anybody who calls the line.)
    assert_eq!(calls(&mut desk, TRUNK, marked, uri), 503);
    for user in ["ana", "ben"] {
        let at = if user == "ana" {
            HOME
        } else {
            [203, 0, 113, 9]
        };
        desk.at += Duration::from_secs(1);
        assert_eq!(desk.dials(at, user, "sip:911@test", None), 0);
    }
    assert_eq!(desk.switch.emergency_calls(), 2);
    assert_eq!(calls(&mut desk, TRUNK, "", uri), 503, "somebody else");
    assert_eq!(calls(&mut desk, [198, 51, 100, 1], marked, uri), 401);
    assert_eq!(desk.switch.emergency_calls(), 2);
    assert_eq!(calls(&mut desk, TRUNK, marked, "sip:5550101000@test"), 0);
    let mut live = desk.switch.emergencies.values();
    let back = live.find(|call| call.calls_for_help().is_none());
    assert!(back.expect("it rings").is_by("ben"), "who called last");
}

#[test]
fn without_emergency_numbers_nothing_is_one() {
    let mut setup = setup();
    setup.emergency.numbers.clear();
    let mut desk = Desk::new(setup);
    assert_eq!(desk.registers(HOME, "ana", "", "secret"), 200);
    assert_eq!(desk.dials(HOME, "ana", "sip:911@test", Some("secret")), 404);
    assert_eq!(
        desk.dials(HOME, "ana", "urn:service:sos", Some("secret")),
        404
    );
}
