use std::time::Duration;

use super::*;
use crate::input::Input;

/// Ten wrong passwords from one address, for whomever.
#[test]
fn guessing_is_blocked_by_source_and_looks_the_same_for_everybody() {
    let mut setup = crate::setup::tests::empty();
    let account = Account {
        encryption: None,
        ha1s: sip::digest::Ha1s::derive("ana", "test", "secret"),
        agent: None,
        serves: Vec::new(),
        number: None,
        trunk: false,
        home: desk::TenantId(1),
        station: Default::default(),
    };
    setup.accounts.insert("ana".into(), account);
    // A proxy of ours, behind which some of them are.
    setup.trusted = vec!["192.0.2.1".parse().expect("an address")];
    let by = sip::Transport::Tcp;
    let mut switch = Switch::new(setup);
    let mut branch = 0;
    let mut known = Vec::new();
    let mut register = |from: [u8; 4], user: &str, password: &str| -> u16 {
        let (nearest, before) = match from {
            [203, ..] => {
                let ip = std::net::Ipv4Addr::from(from);
                let via = format!("Via: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKp;received={ip}\r\n");
                ([192, 0, 2, 1], via)
            }
            _ => (from, String::new()),
        };
        let peer = sip::Peer {
            addr: (nearest, 5060).into(),
            transport: by,
        };
        let mut challenge: Option<String> = None;
        loop {
            branch += 1;
            let authorization = challenge.as_ref().map_or(String::new(), |challenge| {
                let credentials = sip::Credentials::new(user, password);
                let params = sip::wire::AuthParams::parse(challenge).expect("a challenge");
                let value =
                    sip::digest::authorize(&params, &credentials, "REGISTER", "sip:test", "c", 1);
                format!("Authorization: {}\r\n", value.expect("an answer"))
            });
            let text = format!(
                "REGISTER sip:test SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK{branch}\r\n\
                 {before}From: <sip:{user}@test>;tag=1\r\nTo: <sip:{user}@test>\r\nCall-ID: {branch}\r\n\
                 CSeq: 1 REGISTER\r\nContact: <sip:{user}@192.0.2.9>\r\n{authorization}\
                 Content-Length: 0\r\n\r\n"
            );
            let message = sip::parse_datagram(text.as_bytes(), peer).expect("well-formed");
            let now = Now {
                mono: Duration::from_secs(10),
                wall: 0,
            };
            switch.handle(now, Input::Sip { peer, message });
            let mut answer = None;
            while let Some(output) = switch.poll() {
                match output {
                    Output::Transmit(transmit) => answer = Some(transmit.bytes),
                    Output::Known { peer } => known.push(peer.addr.ip()),
                    _ => {}
                }
            }
            let answer = answer.expect("an answer");
            let answer = String::from_utf8_lossy(&answer).into_owned();
            let code = answer[8..11].parse().expect("a code");
            let offered = answer
                .lines()
                .find_map(|line| line.strip_prefix("WWW-Authenticate: "));
            match (offered, &challenge) {
                (Some(offered), None) => challenge = Some(offered.to_owned()),
                _ => return code,
            }
        }
    };
    let (bad, elsewhere) = ([198, 51, 100, 1], [198, 51, 100, 2]);
    for n in 0..10 {
        let user = ["ana", "nobody"][n % 2];
        assert_eq!(register(bad, user, "guess"), 403, "{n}");
    }
    for (user, password) in [("ana", "guess"), ("ana", "secret"), ("nobody", "guess")] {
        assert_eq!(register(bad, user, password), 403);
    }
    assert_eq!(
        register(elsewhere, "ana", "secret"),
        200,
        "never the victim"
    );
    let (guesser, beside) = ([203, 0, 113, 1], [203, 0, 113, 2]);
    for n in 0..10 {
        assert_eq!(register(guesser, "ana", "guess"), 403, "{n}");
    }
    assert_eq!(register(guesser, "ana", "secret"), 403);
    assert_eq!(register(beside, "ana", "secret"), 200, "by the same proxy");
    // Whose connections are no strangers': of who showed a password, and the proxy's.
    known.dedup();
    assert_eq!(known, [IpAddr::from(elsewhere), [192, 0, 2, 1].into()]);
    assert_eq!(switch.counters().sign_ins_refused, 20);
    assert_eq!(switch.counters().sign_ins_blocked, 4);
}

/// An exchange that signs in is asked for its password, and believed no further than its trunk says.
#[test]
fn what_an_account_asserts_counts_only_if_its_trunk_is_trusted() {
    for (trusted, expected) in [(true, "+15550177001"), (false, "+15550199999")] {
        let mut setup = crate::setup::tests::empty();
        let account = Account {
            encryption: None,
            ha1s: sip::digest::Ha1s::derive("exchange", "test", "secret"),
            agent: None,
            serves: Vec::new(),
            number: None,
            trunk: true,
            home: desk::TenantId(1),
            station: Default::default(),
        };
        setup.accounts.insert("exchange".into(), account);
        let mut trunk = crate::setup::tests::trunk("city", 0);
        trunk.trusted = trusted;
        trunk.gateways = vec![crate::setup::Gateway::Registered {
            user: "exchange".into(),
        }];
        setup.trunks.insert("city".into(), Arc::new(trunk));
        let line = crate::setup::tests::line();
        setup.lines.insert("1001".into(), line);
        let mut switch = Switch::new(setup);
        let peer = sip::Peer::udp(([198, 51, 100, 7], 5060).into());
        let now = Now {
            mono: Duration::from_secs(1),
            wall: 0,
        };
        let sdp = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\n\
                   t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let mut authorization = String::new();
        let mut callers = Vec::new();
        for n in 1..=2 {
            let text = format!(
                "INVITE sip:1001@test SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK{n}\r\n\
                 From: <sip:+15550199999@pbx.example>;tag=1\r\nTo: <sip:1001@test>\r\nCall-ID: {n}\r\n\
                 CSeq: 1 INVITE\r\nContact: <sip:x@198.51.100.7>\r\n{authorization}\
                 P-Asserted-Identity: <tel:+15550177001>\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                sdp.len()
            );
            let message = sip::parse_datagram(text.as_bytes(), peer).expect("well-formed");
            switch.handle(now, Input::Sip { peer, message });
            while let Some(output) = switch.poll() {
                match output {
                    Output::Transmit(transmit) => {
                        let answer = String::from_utf8_lossy(&transmit.bytes).into_owned();
                        let mut lines = answer.lines();
                        let offered =
                            lines.find_map(|line| line.strip_prefix("WWW-Authenticate: "));
                        if let Some(offered) = offered {
                            let params =
                                sip::wire::AuthParams::parse(offered).expect("a challenge");
                            let password = sip::Credentials::new("exchange", "secret");
                            let uri = "sip:1001@test";
                            let value =
                                sip::digest::authorize(&params, &password, "INVITE", uri, "c", 1);
                            let value = value.expect("an answer");
                            authorization = format!("Authorization: {value}\r\n");
                        }
                    }
                    Output::ToDesk(command) => {
                        if let desk::What::Start { ani, .. } = command.what {
                            callers.push(ani.map(|number| number.0));
                        }
                    }
                    _ => {}
                }
            }
        }
        assert_eq!(callers, [Some(expected.to_owned())], "trusted: {trusted}");
        let calls: Vec<_> = switch.trunks().map(|(_, calls, _)| calls).collect();
        assert_eq!(calls, [1], "it is one of the trunk's calls");
    }
}

#[test]
fn parameters_of_the_user_part_are_no_digits() {
    for (text, expected) in [
        ("+15550101001;npdi;rn=+15550100000", "+15550101001"),
        ("1001", "1001"),
        ("1-555 0177", "15550177"),
        ("15+5", "155"),
    ] {
        assert_eq!(digits(text), expected);
    }
}
