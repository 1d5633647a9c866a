//! What happens inside a call: its timer, changes of its session, what is said
//! before it is answered, and transfers.

mod pair;

use std::time::Duration;

use pair::{ANSWER, Act, CALLEE, CALLER, Habit, OFFER, Pair, ms, peer, read};
use sip::refer::Replaces;
use sip::{EndCause, Endpoint, EndpointConfig, Event, Identity, Interface, Invite, LegId, Uri};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// One endpoint against a peer written by hand.
struct Alone {
    endpoint: Endpoint,
    now: Duration,
}

impl Alone {
    fn new() -> Self {
        let interface = Interface::local(pair::addr(CALLEE));
        let mut config = EndpointConfig::new(interface, 3, [7; 32]);
        config.transfers = true;
        Self {
            endpoint: Endpoint::new(config),
            now: ms(0),
        }
    }

    fn feed(&mut self, text: &str) {
        self.endpoint
            .receive(self.now, peer(CALLER), read(text, CALLER));
    }

    fn sent(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.endpoint.poll_transmit())
            .map(|t| String::from_utf8(t.bytes.to_vec()).unwrap())
            .collect()
    }

    fn one(&mut self) -> String {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:#?}");
        sent.remove(0)
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    /// Lets time pass; gives what was sent meanwhile.
    fn pass(&mut self, until: Duration) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            sent.extend(self.sent());
        }
        self.now = until;
        sent
    }

    /// A call comes in; it isn't answered yet.
    fn invited(&mut self, more: &str) -> LegId {
        self.feed(&invite(more));
        match self.events().as_slice() {
            [Event::Incoming { leg, .. }] => *leg,
            other => panic!("{other:?}"),
        }
    }

    /// A call comes in and is answered. Gives the leg and our tag.
    fn answered(&mut self, more: &str) -> (LegId, String) {
        let leg = self.invited(more);
        self.endpoint.answer(self.now, leg, ANSWER, &[]);
        let ok = self.one();
        let tag = header(&ok, "To").split(";tag=").nth(1).unwrap().to_owned();
        self.feed(&inside("ACK", "ack", &tag, 1, "", ""));
        assert!(matches!(self.events()[..], [Event::Confirmed { .. }]));
        (leg, tag)
    }

    /// We call. Gives the leg, the Call-ID, our tag and the branch.
    fn calls(&mut self) -> (LegId, String, String, String) {
        let target = Uri::sip("5550100", "192.0.2.10", None).unwrap();
        let invite = Invite::new(target, peer(CALLER), Identity::default(), OFFER.to_vec());
        let leg = self.endpoint.invite(self.now, invite);
        let text = self.one();
        let tag = header(&text, "From").split(";tag=").nth(1).unwrap();
        let branch = header(&text, "Via").split("branch=").nth(1).unwrap();
        let call_id = header(&text, "Call-ID");
        (leg, call_id.to_owned(), tag.to_owned(), branch.to_owned())
    }
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text
        .lines()
        .find(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name));
    line.map_or("", |line| line[name.len() + 1..].trim())
}

fn code(text: &str) -> &str {
    text.split(' ').nth(1).unwrap()
}

const CONTACT: &str = "Contact: <sip:5550199@192.0.2.10>\n";

fn body(sdp: &[u8]) -> String {
    let sdp = String::from_utf8(sdp.to_vec())
        .unwrap()
        .replace("\r\n", "\n");
    // `read` writes CRLF for each of its lines.
    let len = sdp.len() + sdp.matches('\n').count();
    format!("Content-Type: application/sdp\nContent-Length: {len}\n\n{sdp}")
}

fn invite(more: &str) -> String {
    format!(
        "INVITE sip:5550100@198.51.100.20 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKi\n\
         From: <sip:5550199@192.0.2.10>;tag=f1\nTo: <sip:5550100@198.51.100.20>\n\
         Call-ID: c1\nCSeq: 1 INVITE\n{CONTACT}{more}{}",
        body(OFFER)
    )
}

/// A request of the peer inside its call.
fn inside(method: &str, branch: &str, tag: &str, cseq: u32, more: &str, sdp: &str) -> String {
    let end = if sdp.is_empty() { "\n" } else { sdp };
    format!(
        "{method} sip:{tag}@198.51.100.20 SIP/2.0\n\
         Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{branch}\n\
         From: <sip:5550199@192.0.2.10>;tag=f1\nTo: <sip:5550100@198.51.100.20>;tag={tag}\n\
         Call-ID: c1\nCSeq: {cseq} {method}\n{CONTACT}{more}{end}"
    )
}

// --- session timers (RFC 4028) ---------------------------------------------

#[test]
fn a_long_call_is_refreshed_and_stays() {
    for interval in [90, 300, 1800] {
        let mut pair = Pair::with(Habit::Answers, Pair::perfect(), |config| {
            config.session.interval = Some(secs(interval));
        });
        pair.at(ms(0), Act::Call);
        pair.at(secs(4 * interval), Act::HangUp(CALLER));
        pair.run(secs(10_000));
        pair.assert_empty();
        let updates = pair.sent.iter().filter(|(_, l)| l.starts_with("UPDATE"));
        let updates: Vec<_> = updates.map(|(side, _)| *side).collect();
        // At half the interval, by the one who granted it.
        assert_eq!(updates, [CALLEE; 7], "{interval}");
        assert_eq!(pair.told[CALLER].last().unwrap(), "ended Local");
    }
}

#[test]
fn a_refresh_survives_losses() {
    for lost in 0..3 {
        let mut seen = 0;
        let fate = Box::new(move |_: usize, line: &str| {
            if line.starts_with("UPDATE") {
                seen += 1;
                if seen <= lost {
                    return vec![];
                }
            }
            vec![ms(10)]
        });
        let mut pair = Pair::with(Habit::Answers, fate, |config| {
            config.session.interval = Some(secs(90));
        });
        pair.at(ms(0), Act::Call);
        pair.at(secs(500), Act::HangUp(CALLEE));
        pair.run(secs(1_000));
        pair.assert_empty();
        assert_eq!(pair.told[CALLEE].last().unwrap(), "ended Local");
    }
}

#[test]
fn a_session_nobody_refreshes_ends_with_a_reason() {
    let mut alone = Alone::new();
    let timer = "Supported: timer\nSession-Expires: 90;refresher=uac\n";
    alone.feed(&invite(timer));
    let [Event::Incoming { leg, .. }] = alone.events()[..] else {
        panic!()
    };
    alone.endpoint.answer(ms(0), leg, ANSWER, &[]);
    let ok = alone.one();
    assert_eq!(header(&ok, "Session-Expires"), "90;refresher=uac");
    assert_eq!(header(&ok, "Require"), "timer");
    let tag = header(&ok, "To").split(";tag=").nth(1).unwrap();
    alone.feed(&inside("ACK", "ack", tag, 1, "", ""));
    alone.events();
    // The peer refreshes once.
    alone.pass(secs(45));
    let refresh = "Supported: timer\nSession-Expires: 90;refresher=uac\n";
    alone.feed(&inside("UPDATE", "u1", tag, 2, refresh, ""));
    let ok = alone.one();
    assert_eq!(
        (code(&ok), header(&ok, "Session-Expires")),
        ("200", "90;refresher=uac")
    );
    assert!(alone.pass(secs(45 + 59)).is_empty());
    // A third of the interval before its end (section 10).
    let sent = alone.pass(secs(45 + 60));
    assert!(sent[0].starts_with("BYE "), "{sent:?}");
    assert_eq!(
        header(&sent[0], "Reason"),
        "SIP;cause=408;text=\"Session expired\""
    );
    let events = alone.events();
    assert!(
        matches!(
            events[..],
            [Event::Ended {
                cause: EndCause::SessionExpired,
                ..
            }]
        ),
        "{events:?}"
    );
}

#[test]
fn who_knows_no_update_is_refreshed_by_reinvite_with_the_same_offer() {
    let mut alone = Alone::new();
    let timer = "Supported: timer\nSession-Expires: 90;refresher=uas\nAllow: INVITE, ACK, BYE\n";
    let (_, tag) = alone.answered(timer);
    let sent = alone.pass(secs(45));
    let [reinvite] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert!(reinvite.starts_with("INVITE "));
    assert_eq!(header(reinvite, "Session-Expires"), "90;refresher=uac");
    assert!(reinvite.as_bytes().ends_with(ANSWER));
    // Refused for now: asked again before the end.
    let refusal = response(reinvite, 500, "", "");
    alone.feed(&refusal);
    let sent = alone.pass(secs(58));
    assert!(
        sent.iter().any(|text| text.starts_with("INVITE ")),
        "{sent:?}"
    );
    let again = sent
        .iter()
        .rfind(|text| text.starts_with("INVITE "))
        .unwrap();
    let granted = format!("{CONTACT}Session-Expires: 90;refresher=uac\n");
    alone.feed(&response(again, 200, &granted, &body(ANSWER)));
    assert!(matches!(
        alone.events()[..],
        [Event::ReinviteAnswered { .. }]
    ));
    assert!(alone.sent()[0].starts_with("ACK "));
    let sent = alone.pass(secs(58 + 44));
    assert!(sent.is_empty(), "{sent:?} {tag}");
}

/// The peer's response to a request of ours.
fn response(request: &str, code: u16, more: &str, sdp: &str) -> String {
    let end = if sdp.is_empty() { "\n" } else { sdp };
    let mut to = header(request, "To").to_owned();
    if !to.contains(";tag=") {
        to.push_str(";tag=their");
    }
    format!(
        "SIP/2.0 {code} X\nVia: {}\nFrom: {}\nTo: {to}\nCall-ID: {}\nCSeq: {}\n{more}{end}",
        header(request, "Via"),
        header(request, "From"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
    )
}

#[test]
fn an_interval_too_small_is_refused_and_ours_is_raised() {
    let mut alone = Alone::new();
    alone.feed(&invite("Supported: timer\nSession-Expires: 30\n"));
    let refusal = alone.one();
    assert_eq!((code(&refusal), header(&refusal, "Min-SE")), ("422", "90"));
    assert_eq!(
        (alone.endpoint.legs(), alone.endpoint.transactions()),
        (0, 0)
    );
    // Who knows nothing of timers isn't bothered.
    let leg = alone.invited("");
    alone.endpoint.answer(ms(0), leg, ANSWER, &[]);
    assert_eq!(header(&alone.one(), "Session-Expires"), "");

    let mut alone = Alone::new();
    let target = Uri::sip("1", "192.0.2.10", None).unwrap();
    let call = Invite::new(target, peer(CALLER), Identity::default(), OFFER.to_vec());
    alone.endpoint.invite(ms(0), call);
    let mut text = alone.one();
    assert_eq!(header(&text, "Session-Expires"), "1800");
    alone.feed(&response(&text, 422, "Min-SE: 3600\n", ""));
    let sent = alone.sent();
    assert!(sent[0].starts_with("ACK "));
    text.clone_from(&sent[1]);
    assert_eq!(header(&text, "Session-Expires"), "3600");
    assert_eq!(header(&text, "Min-SE"), "3600");
    assert_eq!(header(&text, "CSeq"), "2 INVITE");
    // A peer that raises it for ever gets nowhere.
    for floor in [4000, 5000, 6000, 7000] {
        alone.feed(&response(&text, 422, &format!("Min-SE: {floor}\n"), ""));
        if let Some(next) = alone.sent().into_iter().find(|t| t.starts_with("INVITE ")) {
            text = next;
        }
    }
    let events = alone.events();
    assert!(
        matches!(events[..], [Event::Refused { code: 422, .. }]),
        "{events:?}"
    );
}

const CHALLENGE: &str =
    "Proxy-Authenticate: Digest realm=\"provider\", nonce=\"n1\", qop=\"auth\"\n";

/// Who asks for a password at each request, inside a call too.
#[test]
fn a_call_by_a_provider_that_challenges_is_refreshed() {
    for (by, allow) in [("UPDATE", "Allow: ACK, BYE, UPDATE\n"), ("INVITE", "")] {
        for calls in [true, false] {
            let mut alone = Alone::new();
            let password = sip::Credentials::new("desk", "secret");
            let timer = format!("{CONTACT}Supported: timer\nSession-Expires: 90;refresher=");
            if calls {
                let target = Uri::sip("1", "192.0.2.10", None).unwrap();
                let mut call =
                    Invite::new(target, peer(CALLER), Identity::default(), OFFER.to_vec());
                call.credentials = Some(password);
                alone.endpoint.invite(ms(0), call);
                let first = alone.one();
                alone.feed(&response(&first, 407, CHALLENGE, ""));
                let again = alone.sent().pop().unwrap();
                let ok = format!("{timer}uac\n{allow}");
                alone.feed(&response(&again, 200, &ok, &body(ANSWER)));
                let ack = alone.one();
                assert!(ack.starts_with("ACK "), "{ack}");
                // RFC 3261 section 22.1.
                let shown = header(&again, "Proxy-Authorization");
                assert!(shown.contains("response="), "{again}");
                assert_eq!(header(&ack, "Proxy-Authorization"), shown);
            } else {
                let leg = alone.invited(&format!("{}uas\n{allow}", &timer[CONTACT.len()..]));
                alone.endpoint.answers_as(leg, password);
                alone.endpoint.answer(ms(0), leg, ANSWER, &[]);
                let ok = alone.one();
                let tag = header(&ok, "To").split(";tag=").nth(1).unwrap();
                alone.feed(&inside("ACK", "ack", tag, 1, "", ""));
            }
            alone.events();
            // Longer than two intervals: each refresh is challenged.
            for round in 1..=4 {
                let sent = alone.pass(secs(45 * round));
                let [bare] = &sent[..] else {
                    panic!("{by} {calls} {round}: {sent:#?}")
                };
                assert!(bare.starts_with(by), "{bare}");
                alone.feed(&response(bare, 407, CHALLENGE, ""));
                let again = alone.sent().pop().unwrap();
                let shown = header(&again, "Proxy-Authorization").to_owned();
                assert!(shown.contains("username=\"desk\""), "{again}");
                let uri = again.split(' ').nth(1).unwrap();
                assert!(shown.contains(&format!("uri=\"{uri}\"")), "{shown}");
                alone.feed(&response(
                    &again,
                    200,
                    &format!("{timer}uac\n"),
                    &body(ANSWER),
                ));
                if by == "INVITE" {
                    let ack = alone.sent().pop().unwrap();
                    assert_eq!(header(&ack, "Proxy-Authorization"), shown);
                }
                let ends = alone.events();
                assert!(!ends.iter().any(|e| matches!(e, Event::Ended { .. })));
            }
        }
    }
}

/// Wrong ones aren't shown over and over.
#[test]
fn a_provider_that_takes_no_password_is_asked_again_later_and_not_for_ever() {
    for by in ["INVITE", "UPDATE"] {
        for more in [
            CHALLENGE.to_owned(),
            CHALLENGE.replace("qop", "stale=true, qop"),
        ] {
            let mut alone = Alone::new();
            let allow = format!("Allow: ACK, BYE, {by}\n");
            let timer = format!("Supported: timer\nSession-Expires: 90;refresher=uas\n{allow}");
            let leg = alone.invited(&timer);
            let password = sip::Credentials::new("desk", "secret");
            alone.endpoint.answers_as(leg, password);
            alone.endpoint.answer(ms(0), leg, ANSWER, &[]);
            let ok = alone.one();
            let tag = header(&ok, "To").split(";tag=").nth(1).unwrap();
            alone.feed(&inside("ACK", "ack", tag, 1, "", ""));
            let mut asked = 0;
            let mut waiting = alone.pass(secs(46));
            for second in 46..=60 {
                waiting.extend(alone.pass(secs(second)));
                while let Some(text) = waiting.pop() {
                    if text.starts_with(by) {
                        asked += 1;
                        alone.feed(&response(&text, 407, &more, ""));
                        waiting.extend(alone.sent());
                    }
                }
            }
            assert!((3..=24).contains(&asked), "{by} {more}: {asked}");
            let ends = alone.events();
            let end = EndCause::SessionExpired;
            assert!(
                ends.iter()
                    .any(|e| matches!(e, Event::Ended { cause, .. } if *cause == end)),
                "{ends:?}"
            );
        }
    }
}

// --- changing the session ----------------------------------------------------

#[test]
fn an_update_in_the_way_of_another_change_waits_its_turn() {
    let mut alone = Alone::new();
    let (leg, tag) = alone.answered("Allow: INVITE, ACK, BYE, UPDATE\n");
    let offer = body(OFFER);
    // Theirs is open.
    alone.feed(&inside("UPDATE", "u1", &tag, 2, "", &offer));
    assert!(matches!(alone.events()[..], [Event::Reinvite { .. }]));
    alone.feed(&inside("UPDATE", "u2", &tag, 3, "", &offer));
    let refusal = alone.one();
    assert_eq!(code(&refusal), "500");
    assert!(!header(&refusal, "Retry-After").is_empty());
    alone.endpoint.answer_reinvite(ms(0), leg, ANSWER);
    let ok = alone.one();
    assert_eq!((code(&ok), header(&ok, "CSeq")), ("200", "2 UPDATE"));
    // Ours is open.
    alone.endpoint.update(ms(0), leg, OFFER);
    let ours = alone.one();
    assert!(ours.starts_with("UPDATE "));
    alone.feed(&inside("UPDATE", "u3", &tag, 4, "", &offer));
    assert_eq!(code(&alone.one()), "491");
    // Theirs without an offer is nothing to wait for.
    alone.feed(&inside("UPDATE", "u4", &tag, 5, "", ""));
    assert_eq!(code(&alone.one()), "200");
    alone.feed(&response(&ours, 200, CONTACT, &body(ANSWER)));
    assert!(matches!(
        alone.events()[..],
        [Event::ReinviteAnswered { .. }]
    ));
    // An element on the way that knows no UPDATE: by re-INVITE then.
    alone.endpoint.update(ms(0), leg, OFFER);
    let ours = alone.one();
    alone.feed(&response(&ours, 405, "", ""));
    assert!(alone.one().starts_with("INVITE "));
}

#[test]
fn a_moved_peer_is_followed() {
    let mut alone = Alone::new();
    let (leg, tag) = alone.answered("");
    let moved = inside("UPDATE", "u1", &tag, 2, "", "").replace(
        "<sip:5550199@192.0.2.10>\n\n",
        "<sip:5550199@192.0.2.77>\n\n",
    );
    alone.feed(&moved);
    assert_eq!(code(&alone.one()), "200");
    alone.endpoint.hangup(ms(0), leg, None);
    let bye = alone.one();
    assert!(bye.starts_with("BYE sip:5550199@192.0.2.77 "), "{bye}");
}

/// Behind NAT only the last packet says where the phone is.
#[test]
fn a_phone_whose_nat_has_another_port_now_is_still_hung_up_on() {
    let mut alone = Alone::new();
    let natted: std::net::SocketAddr = "203.0.113.9:40001".parse().unwrap();
    let from = |alone: &mut Alone, port: u16, text: &str| {
        let mut peer = sip::Peer::udp(natted);
        peer.addr.set_port(port);
        let now = alone.now;
        alone.endpoint.receive(now, peer, read(text, CALLER));
    };
    from(&mut alone, 40_001, &invite(""));
    let leg = match alone.events().as_slice() {
        [Event::Incoming { leg, .. }] => *leg,
        other => panic!("{other:?}"),
    };
    assert!(alone.endpoint.is_natted(leg));
    alone.endpoint.answer(alone.now, leg, ANSWER, &[]);
    let ok = alone.one();
    let tag = header(&ok, "To").split(";tag=").nth(1).unwrap().to_owned();
    from(&mut alone, 40_001, &inside("ACK", "ack", &tag, 1, "", ""));
    from(&mut alone, 50_002, &inside("INFO", "b2", &tag, 2, "", ""));
    alone.sent();
    // Out of order, and so perhaps from long ago.
    from(&mut alone, 60_003, &inside("INFO", "b3", &tag, 2, "", ""));
    alone.sent();
    alone.endpoint.hangup(alone.now, leg, None);
    let bye = alone.endpoint.poll_transmit().unwrap();
    assert!(bye.bytes.starts_with(b"BYE "));
    assert_eq!(bye.peer.addr.to_string(), "203.0.113.9:50002");
}

#[test]
fn a_connection_closed_during_a_refresh_ends_no_call() {
    for allow in ["INVITE, ACK, BYE", "INVITE, ACK, BYE, UPDATE"] {
        let mut alone = Alone::new();
        let tcp = |port: u16| sip::Peer {
            addr: std::net::SocketAddr::new(pair::addr(CALLER).ip(), port),
            transport: sip::Transport::Tcp,
        };
        let from = |alone: &mut Alone, port: u16, text: &str| {
            let text = text.replace("SIP/2.0/UDP", "SIP/2.0/TCP");
            let now = alone.now;
            alone.endpoint.receive(now, tcp(port), read(&text, CALLER));
        };
        let timer = format!("Supported: timer\nSession-Expires: 90\nAllow: {allow}\n");
        from(&mut alone, 40_001, &invite(&timer));
        let leg = match alone.events().as_slice() {
            [Event::Incoming { leg, .. }] => *leg,
            other => panic!("{other:?}"),
        };
        alone.endpoint.answer(alone.now, leg, ANSWER, &[]);
        let ok = alone.one();
        let tag = header(&ok, "To").split(";tag=").nth(1).unwrap().to_owned();
        from(&mut alone, 40_001, &inside("ACK", "ack", &tag, 1, "", ""));
        assert!(matches!(alone.events()[..], [Event::Confirmed { .. }]));
        let sent = alone.pass(secs(45));
        let asked = ["INVITE ", "UPDATE "][usize::from(allow.contains("UPDATE"))];
        assert!(sent.last().unwrap().starts_with(asked), "{sent:?}");
        alone.endpoint.transport_error(alone.now, tcp(40_001));
        assert!(alone.events().is_empty(), "{allow}");
        // The phone has another connection meanwhile.
        from(&mut alone, 40_002, &inside("INFO", "b2", &tag, 2, "", ""));
        alone.sent();
        let mut again = None;
        while let Some(at) = alone.endpoint.poll_timeout().filter(|at| *at <= secs(89)) {
            alone.now = at;
            alone.endpoint.handle_timeout(at);
            while let Some(sent) = alone.endpoint.poll_transmit() {
                if sent.bytes.starts_with(asked.as_bytes()) {
                    again.get_or_insert((sent.peer, at));
                }
            }
            if again.is_some() {
                break;
            }
        }
        let (to, at) = again.expect("asked once more");
        assert_eq!(to, tcp(40_002), "{allow}");
        assert!(at < secs(70), "{allow}: {at:?}");
    }
}

/// A telephone that died: its connection is closed, and whoever asks whether it is there is refused at once, or gets no
/// connection in time. The call ends soon, and few connections are tried; unless it has come back.
#[test]
fn a_peer_that_takes_no_connection_is_gone() {
    for (comes_back, refused_after) in [(false, ms(0)), (false, ms(3_000)), (true, ms(0))] {
        let mut alone = Alone::new();
        let tcp = sip::Peer {
            addr: std::net::SocketAddr::new(pair::addr(CALLER).ip(), 5060),
            transport: sip::Transport::Tcp,
        };
        let from = |alone: &mut Alone, text: &str| {
            let text = text.replace("SIP/2.0/UDP", "SIP/2.0/TCP");
            let now = alone.now;
            alone.endpoint.receive(now, tcp, read(&text, CALLER));
        };
        from(&mut alone, &invite(""));
        let leg = match alone.events().as_slice() {
            [Event::Incoming { leg, .. }] => *leg,
            other => panic!("{other:?}"),
        };
        alone.endpoint.answer(alone.now, leg, ANSWER, &[]);
        let ok = alone.one();
        let tag = header(&ok, "To").split(";tag=").nth(1).unwrap().to_owned();
        from(&mut alone, &inside("ACK", "ack", &tag, 1, "", ""));
        assert!(matches!(alone.events()[..], [Event::Confirmed { .. }]));
        let began = alone.now;
        alone.endpoint.probe(alone.now, leg);
        // Asked again meanwhile: one question is enough.
        alone.endpoint.probe(alone.now, leg);
        let mut asked = 0;
        let mut ended = None;
        while ended.is_none() && alone.now < began + secs(60) {
            while let Some(sent) = alone.endpoint.poll_transmit() {
                let text = String::from_utf8_lossy(&sent.bytes).into_owned();
                if !text.starts_with("OPTIONS ") {
                    continue;
                }
                asked += 1;
                if comes_back && asked == 3 {
                    alone.feed(&response(&text, 200, "", ""));
                } else {
                    alone.now += refused_after;
                    alone.endpoint.transport_error(alone.now, sent.peer);
                }
            }
            if !alone.events().is_empty() {
                ended = Some(alone.now - began);
            }
            match alone
                .endpoint
                .poll_timeout()
                .filter(|at| *at < began + secs(60))
            {
                Some(at) => {
                    alone.now = at.max(alone.now);
                    alone.endpoint.handle_timeout(alone.now);
                }
                None => break,
            }
        }
        assert_eq!(asked, 3);
        match ended {
            Some(after) => assert!(
                !comes_back && after <= 3 * refused_after + secs(3),
                "{after:?}"
            ),
            None => assert!(comes_back),
        }
        if comes_back {
            // It may be asked anew at any time.
            alone.endpoint.probe(alone.now, leg);
            assert!(alone.one().starts_with("OPTIONS "));
        }
    }
}

/// 100 and nothing more: the change is taken back, and the peer may ask for
/// one of its own again.
#[test]
fn a_change_that_is_never_answered_is_given_up() {
    let mut alone = Alone::new();
    let (leg, tag) = alone.answered("");
    alone.endpoint.reinvite(ms(0), leg, OFFER);
    let ours = alone.one();
    alone.feed(&response(&ours, 100, "", ""));
    let busy = inside("INVITE", "b2", &tag, 2, "", &body(OFFER));
    alone.feed(&busy);
    assert_eq!(code(&alone.one()), "491");
    let sent = alone.pass(secs(60));
    let cancels = sent.iter().filter(|text| text.starts_with("CANCEL "));
    assert_eq!(cancels.count(), 1, "{sent:?}");
    assert!(alone.events().is_empty());
    alone.pass(secs(60 + 64));
    assert!(matches!(
        alone.events()[..],
        [Event::ReinviteRefused { code: 408, .. }]
    ));
    let theirs = inside("INVITE", "b3", &tag, 3, "", &body(OFFER));
    alone.feed(&theirs);
    assert!(matches!(alone.events()[..], [Event::Reinvite { .. }]));
    alone.endpoint.answer_reinvite(alone.now, leg, ANSWER);
    alone.feed(&inside("ACK", "a3", &tag, 3, "", ""));
    alone.endpoint.hangup(alone.now, leg, None);
    let sent = alone.sent();
    let bye = sent.iter().find(|text| text.starts_with("BYE ")).unwrap();
    alone.feed(&response(bye, 200, "", ""));
    alone.pass(secs(300));
    assert_eq!(alone.endpoint.transactions(), 0);
    assert_eq!(alone.endpoint.legs(), 0);
}

/// The call ends while it is unanswered.
#[test]
fn a_change_of_a_call_that_ends_leaves_nothing_behind() {
    let mut alone = Alone::new();
    let (leg, _) = alone.answered("");
    alone.endpoint.reinvite(ms(0), leg, OFFER);
    let ours = alone.one();
    alone.feed(&response(&ours, 100, "", ""));
    alone.endpoint.hangup(alone.now, leg, None);
    let bye = alone.one();
    alone.feed(&response(&bye, 200, "", ""));
    alone.pass(secs(300));
    assert_eq!(alone.endpoint.transactions(), 0);
    assert_eq!(alone.endpoint.legs(), 0);
}

// --- before the answer -------------------------------------------------------

#[test]
fn a_caller_that_insists_gets_its_ringing_reliably() {
    let mut alone = Alone::new();
    let leg = alone.invited("Require: 100rel\n");
    alone.endpoint.ring(ms(0), leg, 180, &[], None);
    let ringing = alone.one();
    assert_eq!(header(&ringing, "Require"), "100rel");
    let rseq: u32 = header(&ringing, "RSeq").parse().unwrap();
    let tag = header(&ringing, "To")
        .split(";tag=")
        .nth(1)
        .unwrap()
        .to_owned();
    // The next one waits for the PRACK of this one, which is repeated.
    alone.endpoint.ring(ms(0), leg, 183, &[], Some(ANSWER));
    assert!(alone.sent().is_empty());
    let repeats = alone.pass(ms(3_600));
    assert_eq!(repeats, vec![ringing.clone(); 3]);
    let wrong = format!("RAck: {} 1 INVITE\n", rseq + 1);
    alone.feed(&inside("PRACK", "p0", &tag, 2, &wrong, ""));
    assert_eq!(code(&alone.one()), "481");
    alone.feed(&inside(
        "PRACK",
        "p1",
        &tag,
        3,
        &format!("RAck: {rseq} 1 INVITE\n"),
        "",
    ));
    let sent = alone.sent();
    assert_eq!((code(&sent[0]), code(&sent[1])), ("200", "183"));
    assert_eq!(header(&sent[1], "RSeq"), (rseq + 1).to_string());
    // It carries the answer: the 200 waits too (section 3).
    alone.endpoint.answer(alone.now, leg, ANSWER, &[]);
    assert!(alone.sent().is_empty());
    let rack = format!("RAck: {} 1 INVITE\n", rseq + 1);
    alone.feed(&inside("PRACK", "p2", &tag, 4, &rack, ""));
    let sent = alone.sent();
    assert_eq!((code(&sent[0]), code(&sent[1])), ("200", "200"));
    assert_eq!(header(&sent[1], "CSeq"), "1 INVITE");
    alone.feed(&inside("ACK", "ack", &tag, 1, "", ""));
    assert!(matches!(alone.events()[..], [Event::Confirmed { .. }]));
}

#[test]
fn a_caller_that_never_acknowledges_its_ringing_is_refused() {
    let mut alone = Alone::new();
    let leg = alone.invited("Require: 100rel\n");
    alone.endpoint.ring(ms(0), leg, 180, &[], None);
    let sent = alone.pass(secs(32));
    assert_eq!(code(sent.last().unwrap()), "504");
    let events = alone.events();
    assert!(matches!(
        events[..],
        [Event::Ended {
            cause: EndCause::AckTimeout,
            ..
        }]
    ));
}

/// RFC 3262 section 3: our 200 crosses the PRACK, which is answered all the same.
#[test]
fn a_prack_may_come_after_the_answer() {
    let mut alone = Alone::new();
    let leg = alone.invited("Require: 100rel\n");
    alone.endpoint.ring(ms(0), leg, 180, &[], None);
    let ringing = alone.one();
    let rseq = header(&ringing, "RSeq").to_owned();
    alone.endpoint.answer(ms(0), leg, ANSWER, &[]);
    let ok = alone.one();
    let tag = header(&ok, "To").split(";tag=").nth(1).unwrap().to_owned();
    for (branch, cseq, rack, expected) in [
        ("p1", 2, "1 1 INVITE", "481"),
        ("p2", 3, &*format!("{rseq} 1 INVITE"), "200"),
        ("p3", 4, &*format!("{rseq} 1 INVITE"), "481"),
    ] {
        let prack = format!("RAck: {rack}\n");
        alone.feed(&inside("PRACK", branch, &tag, cseq, &prack, ""));
        assert_eq!(code(&alone.one()), expected, "{rack}");
    }
}

/// Somebody calls for help by a telephone that never says PRACK.
#[test]
fn nothing_of_a_call_that_persists_waits_for_a_prack() {
    for (wish, most) in [("Supported", secs(0)), ("Require", secs(3))] {
        let mut alone = Alone::new();
        let leg = alone.invited(&format!("{wish}: 100rel\n"));
        alone.endpoint.persist(leg);
        alone.endpoint.ring(ms(0), leg, 183, &[], Some(ANSWER));
        let ringing = alone.one();
        let rseq = header(&ringing, "RSeq").to_owned();
        assert_eq!(rseq.is_empty(), wish == "Supported", "{ringing}");
        alone.endpoint.answer(ms(0), leg, ANSWER, &[]);
        let mut sent = alone.sent();
        sent.extend(alone.pass(most));
        let answered = sent.iter().find(|text| code(text) == "200");
        let tag = header(answered.unwrap(), "To")
            .split(";tag=")
            .nth(1)
            .unwrap();
        if wish == "Require" {
            let prack = format!("RAck: {rseq} 1 INVITE\n");
            alone.feed(&inside("PRACK", "late", tag, 2, &prack, ""));
            assert_eq!(code(&alone.one()), "200");
        }
        alone.feed(&inside("ACK", "ack", tag, 1, "", ""));
        assert!(matches!(alone.events()[..], [Event::Confirmed { .. }]));
        alone.pass(secs(100));
        assert!(alone.events().is_empty() && alone.endpoint.legs() == 1);
    }
    // Nor does it end while it rings.
    let mut alone = Alone::new();
    let leg = alone.invited("Require: 100rel\n");
    alone.endpoint.persist(leg);
    alone.endpoint.ring(ms(0), leg, 180, &[], None);
    alone.pass(secs(100));
    assert!(alone.events().is_empty());
    alone.endpoint.answer(alone.now, leg, ANSWER, &[]);
    assert_eq!(code(&alone.one()), "200");
}

#[test]
fn an_early_session_may_be_changed_once_it_is_settled() {
    let mut alone = Alone::new();
    let leg = alone.invited("Supported: 100rel\n");
    alone.endpoint.ring(ms(0), leg, 183, &[], Some(ANSWER));
    let ringing = alone.one();
    let rseq = header(&ringing, "RSeq");
    let tag = header(&ringing, "To")
        .split(";tag=")
        .nth(1)
        .unwrap()
        .to_owned();
    // Not before: the INVITE's offer may still be unanswered to the caller.
    alone.feed(&inside("UPDATE", "u1", &tag, 2, "", &body(OFFER)));
    assert_eq!(code(&alone.one()), "500");
    alone.feed(&inside(
        "PRACK",
        "p1",
        &tag,
        3,
        &format!("RAck: {rseq} 1 INVITE\n"),
        "",
    ));
    assert_eq!(code(&alone.one()), "200");
    alone.feed(&inside("UPDATE", "u2", &tag, 4, "", &body(OFFER)));
    assert!(matches!(
        alone.events()[..],
        [Event::EarlyUpdate { fork: 0, .. }]
    ));
    alone.endpoint.answer_reinvite(ms(0), leg, ANSWER);
    let ok = alone.one();
    assert_eq!((code(&ok), header(&ok, "CSeq")), ("200", "4 UPDATE"));
    assert!(ok.as_bytes().ends_with(ANSWER));
}

/// We call, and a proxy forks: two ring, each with an answer that came reliably.
/// One of them, `two`, moves its media before anybody answers. Gives what each
/// says, by tag, code, headers and SDP.
fn forks_ring(alone: &mut Alone) -> (LegId, impl Fn(&str, u16, &str, &str) -> String + use<>) {
    let (leg, call_id, our_tag, branch) = alone.calls();
    let dialog = format!("tag={our_tag}|Call-ID: {call_id}");
    let says = move |tag: &str, code: u16, more: &str, sdp: &str| {
        let end = if sdp.is_empty() { "\n" } else { sdp };
        let (our_tag, call_id) = dialog.split_once('|').unwrap();
        format!(
            "SIP/2.0 {code} X\nVia: SIP/2.0/UDP 198.51.100.20:5060;branch={branch}\n\
             From: <sip:198.51.100.20:5060>;{our_tag}\nTo: <sip:5550100@192.0.2.10>;tag={tag}\n\
             {call_id}\nCSeq: 1 INVITE\nContact: <sip:{tag}@192.0.2.10>\n\
             Allow: INVITE, ACK, BYE, UPDATE\n{more}{end}"
        )
    };
    let sdp = body(ANSWER);
    let reliable = |rseq: u32| format!("Require: 100rel\nRSeq: {rseq}\n");
    for (tag, rseq, fork) in [("one", 7, 0), ("two", 100, 1)] {
        alone.feed(&says(tag, 183, &reliable(rseq), &sdp));
        let prack = alone.one();
        assert!(
            prack.starts_with(&format!("PRACK sip:{tag}@192.0.2.10 ")),
            "{prack}"
        );
        assert_eq!(header(&prack, "RAck"), format!("{rseq} 1 INVITE"));
        let events = alone.events();
        assert!(
            matches!(&events[..], [Event::Ringing { fork: f, sdp: Some(_), .. }] if *f == fork),
            "{events:?}"
        );
    }
    // A repeat, and one too many: neither heard nor acknowledged.
    alone.feed(&says("one", 183, &reliable(7), &sdp));
    alone.feed(&says("one", 183, &reliable(9), &sdp));
    assert!(alone.sent().is_empty() && alone.events().is_empty());
    let update = format!(
        "UPDATE sip:x@198.51.100.20 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKu\n\
         From: <sip:5550100@192.0.2.10>;tag=two\nTo: <sip:198.51.100.20:5060>;tag={our_tag}\n\
         Call-ID: {call_id}\nCSeq: 5 UPDATE\nContact: <sip:two@192.0.2.10>\n{}",
        body(OFFER)
    );
    alone.feed(&update);
    assert!(matches!(
        alone.events()[..],
        [Event::EarlyUpdate { fork: 1, .. }]
    ));
    alone.endpoint.answer_reinvite(ms(0), leg, MOVED);
    assert_eq!(code(&alone.one()), "200");
    (leg, says)
}

/// What we answer to an UPDATE before the call is answered.
const MOVED: &[u8] = b"v=0\r\no=- 1 2 IN IP4 192.0.2.10\r\ns=-\r\nt=0 0\r\n";

#[test]
fn forks_are_acknowledged_apart_and_the_first_answer_wins() {
    let mut alone = Alone::new();
    let (leg, says) = forks_ring(&mut alone);
    // The other answers first; its reliable answer isn't repeated.
    alone.feed(&says("one", 200, "", ""));
    let events = alone.events();
    assert!(matches!(&events[..], [Event::Answered { sdp: Some(s), .. }] if s == ANSWER));
    let ack = alone.one();
    assert!(ack.starts_with("ACK sip:one@"), "{ack}");
    assert_eq!(header(&ack, "CSeq"), "1 ACK");
    // And the second is thanked and let go.
    alone.feed(&says("two", 200, "", &body(ANSWER)));
    let sent = alone.sent();
    assert!(sent[0].starts_with("ACK sip:two@") && sent[1].starts_with("BYE sip:two@"));
    alone.endpoint.hangup(ms(0), leg, None);
    // After the PRACK's.
    assert_eq!(header(&alone.one(), "CSeq"), "3 BYE");
}

/// Who has moved its media and then answers has said all of it, whether or not
/// it repeats what it said at first.
#[test]
fn what_an_update_agreed_on_outlives_the_answer() {
    for late in ["", &body(ANSWER)] {
        let mut alone = Alone::new();
        let (_, says) = forks_ring(&mut alone);
        if !late.is_empty() {
            alone.feed(&says("two", 183, "", late));
            let events = alone.events();
            assert!(matches!(events[..], [Event::Ringing { sdp: None, .. }]));
        }
        let timer = "Session-Expires: 90;refresher=uac\nAllow: INVITE, ACK, BYE\n";
        alone.feed(&says("two", 200, "", late).replace("Allow: INVITE, ACK, BYE, UPDATE\n", timer));
        let events = alone.events();
        assert!(
            matches!(events[..], [Event::Answered { sdp: None, .. }]),
            "{events:?}"
        );
        alone.sent();
        // And so is what we said ourselves.
        let sent = alone.pass(secs(45));
        let refresh = sent.iter().find(|text| text.starts_with("INVITE "));
        assert!(refresh.unwrap().as_bytes().ends_with(MOVED), "{sent:?}");
    }
}

// --- transfers ---------------------------------------------------------------

#[test]
fn a_transfer_is_asked_for_and_its_outcome_told_whatever_is_lost() {
    let play = |fate: pair::Fate, hangs_up: Option<u64>| {
        let mut pair = Pair::new(Habit::Answers, fate);
        pair.at(ms(0), Act::Call);
        pair.at(ms(20_000), Act::Refer(CALLER));
        if let Some(at) = hangs_up {
            pair.at(ms(at), Act::HangUp(CALLER));
        }
        pair.at(ms(60_000), Act::HangUp(CALLEE));
        pair.run(ms(600_000));
        pair.assert_empty();
        pair
    };
    let perfect = play(Pair::perfect(), None);
    let heard: Vec<_> = perfect.told[CALLER].iter().skip(2).take(3).collect();
    assert_eq!(
        heard,
        ["referred 202", "notify 100 false", "notify 200 true"]
    );
    for index in 0..perfect.sent.len() {
        for delays in [vec![], vec![ms(10), ms(700)], vec![ms(900)]] {
            let fate = Box::new(move |i: usize, _: &str| {
                if i == index {
                    delays.clone()
                } else {
                    vec![ms(10)]
                }
            });
            let pair = play(fate, None);
            let count = |side: usize, what: &str| {
                pair.told[side]
                    .iter()
                    .filter(|t| t.starts_with(what))
                    .count()
            };
            assert_eq!(count(CALLEE, "refer sip:2002@x"), 1, "{index}");
            for what in ["referred 202", "notify 100 false", "notify 200 true"] {
                assert_eq!(count(CALLER, what), 1, "{index} {what}: {:?}", pair.told);
            }
        }
    }
    // Whoever transfers and hangs up at once is told nothing that hurts.
    for at in (20_000..23_200).step_by(50) {
        play(Pair::perfect(), Some(at));
    }
}

#[test]
fn an_unanswered_call_refers_nobody_and_stays() {
    let mut alone = Alone::new();
    let leg = alone.invited("");
    alone.endpoint.refer(ms(0), leg, "<sip:1@x>", &[], None);
    assert!(alone.sent().is_empty());
    assert_eq!(code(&alone.pass(ms(200))[0]), "100");
    alone.endpoint.answer(alone.now, leg, ANSWER, &[]);
    assert_eq!(code(&alone.one()), "200");
}

#[test]
fn a_replaced_call_is_found_by_its_tags() {
    let mut alone = Alone::new();
    let (leg, tag) = alone.answered("");
    let theirs = Replaces {
        call_id: "c1".into(),
        to_tag: tag.clone(),
        from_tag: "f1".into(),
        early_only: false,
    };
    assert_eq!(alone.endpoint.replaced(&theirs), Some(leg));
    let swapped = Replaces {
        call_id: "c1".into(),
        to_tag: "f1".into(),
        from_tag: tag.clone(),
        early_only: false,
    };
    assert_eq!(alone.endpoint.replaced(&swapped), None);
    assert_eq!(alone.endpoint.replaces(leg), Some(swapped));
    let refer = "Refer-To: <sip:1@x>\n";
    alone.feed(&inside("REFER", "r1", &tag, 2, refer, ""));
    let [Event::Refer { id, .. }] = alone.events()[..] else {
        panic!()
    };
    // One at a time.
    alone.feed(&inside("REFER", "r2", &tag, 3, refer, ""));
    assert_eq!(code(&alone.one()), "491");
    alone.endpoint.refuse_refer(ms(0), id, 403);
    assert_eq!(code(&alone.one()), "403");
    alone.feed(&inside(
        "REFER",
        "r3",
        &tag,
        4,
        "Refer-Sub: false\nRefer-To: <sip:1@x>\n",
        "",
    ));
    let [Event::Refer { id, .. }] = alone.events()[..] else {
        panic!()
    };
    alone.endpoint.accept_refer(ms(0), id);
    let accepted = alone.one();
    assert_eq!(
        (code(&accepted), header(&accepted, "Refer-Sub")),
        ("202", "false")
    );
    alone.endpoint.tell_refer(ms(0), id, 200);
    assert!(alone.sent().is_empty());
}
