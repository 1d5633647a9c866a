//! What one endpoint answers to requests that aren't part of a smooth call.

mod pair;

use pair::{ANSWER, CALLEE, CALLER, OFFER, ms, peer, read};
use sip::{
    Class, Credentials, Endpoint, EndpointConfig, Event, Identity, Interface, Invite, Limits,
    Message, Request, Uri,
};

fn endpoint() -> Endpoint {
    Endpoint::new(EndpointConfig::new(
        Interface::local(pair::addr(CALLEE)),
        3,
        [7; 32],
    ))
}

fn text(method: &str, branch: &str, to_tag: &str, cseq: u32, more: &str) -> String {
    format!(
        "{method} sip:5550100@198.51.100.20 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{branch}\n\
         From: <sip:5550199@192.0.2.10>;tag=f1\nTo: <sip:5550100@198.51.100.20>{to_tag}\n\
         Call-ID: c1\nCSeq: {cseq} {method}\n{more}\n"
    )
}

const CONTACT: &str = "Contact: <sip:5550199@192.0.2.10>\n";

fn request(text: &str) -> Request {
    match read(text, CALLER) {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

/// Everything the endpoint wants sent.
fn sent(endpoint: &mut Endpoint) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some(transmit) = endpoint.poll_transmit() {
        sent.push(String::from_utf8(transmit.bytes.to_vec()).unwrap());
    }
    sent
}

fn codes(endpoint: &mut Endpoint) -> Vec<String> {
    let sent = sent(endpoint);
    sent.iter()
        .map(|t| t.split(' ').nth(1).unwrap().to_owned())
        .collect()
}

fn feed(endpoint: &mut Endpoint, text: &str) {
    endpoint.receive(ms(0), peer(CALLER), read(text, CALLER));
}

fn events(endpoint: &mut Endpoint) -> Vec<Event> {
    std::iter::from_fn(|| endpoint.poll_event()).collect()
}

#[test]
fn stray_requests_get_the_rfcs_answer_and_leave_nothing() {
    let check = |text: &str, expected: &[&str], holds: &str| {
        let mut endpoint = endpoint();
        feed(&mut endpoint, text);
        let sent = sent(&mut endpoint);
        let codes: Vec<_> = sent.iter().map(|t| t.split(' ').nth(1).unwrap()).collect();
        assert_eq!(codes, expected, "{text}");
        assert!(sent.iter().all(|t| t.contains(holds)), "{sent:?}");
        assert!(events(&mut endpoint).is_empty());
        assert_eq!((endpoint.legs(), endpoint.transactions()), (0, 0));
    };
    let tag = ";tag=unknown";
    check(&text("BYE", "1", tag, 2, ""), &["481"], "");
    check(&text("BYE", "1", "", 2, ""), &["481"], "");
    check(&text("CANCEL", "1", "", 1, ""), &["481"], "");
    check(&text("INVITE", "1", tag, 2, CONTACT), &["481"], "");
    check(&text("ACK", "1", tag, 1, ""), &[], "");
    check(&text("ACK", "1", "", 1, ""), &[], "");
    check(
        &text("MESSAGE", "1", "", 1, ""),
        &["405"],
        "Allow: INVITE, ",
    );
    check(
        &text("SUBSCRIBE", "1", "", 1, ""),
        &["405"],
        "Allow: INVITE, ",
    );
    check(&text("INFO", "1", "", 1, ""), &["481"], "");
    check(
        &text("OPTIONS", "1", "", 1, ""),
        &["200"],
        "Accept: application/sdp",
    );
    check(
        &text(
            "INVITE",
            "1",
            "",
            1,
            &format!("{CONTACT}Require: 100rel, telepathy, timer\n"),
        ),
        &["420"],
        "Unsupported: telepathy",
    );
    check(
        &text("INVITE", "1", "", 1, &format!("{CONTACT}Max-Forwards: 0\n")),
        &["483"],
        "",
    );
    check(&text("INVITE", "1", "", 1, ""), &["400"], "");
}

#[test]
fn a_response_without_a_call_is_ignored() {
    let mut endpoint = endpoint();
    for code in [100, 200, 486] {
        let text = format!(
            "SIP/2.0 {code} Hm\nVia: SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bK03aaaaaaaaaaaaaaaa\n\
             From: <sip:a@h>;tag=1\nTo: <sip:b@h>;tag=2\nCall-ID: x\nCSeq: 1 INVITE\n\n"
        );
        feed(&mut endpoint, &text);
    }
    assert!(sent(&mut endpoint).is_empty() && events(&mut endpoint).is_empty());
}

#[test]
fn merged_requests_are_told_so() {
    let mut endpoint = endpoint();
    feed(&mut endpoint, &text("INVITE", "1", "", 1, CONTACT));
    assert_eq!(events(&mut endpoint).len(), 1);
    feed(&mut endpoint, &text("INVITE", "2", "", 1, CONTACT));
    assert_eq!(codes(&mut endpoint), ["482"]);
    // The same with another CSeq is another call (after a challenge).
    feed(&mut endpoint, &text("INVITE", "3", "", 2, CONTACT));
    assert_eq!(events(&mut endpoint).len(), 1);
}

#[test]
fn classes_are_told_before_anything_is_kept() {
    let mut endpoint = endpoint();
    let invite = text("INVITE", "1", "", 1, CONTACT);
    let class = |endpoint: &Endpoint, text: &str| endpoint.classify(&request(text));
    assert_eq!(class(&endpoint, &invite), Class::NewInvite);
    assert_eq!(
        class(&endpoint, &text("OPTIONS", "1", "", 1, "")),
        Class::NewOther
    );
    assert_eq!(
        class(&endpoint, &text("BYE", "1", ";tag=x", 1, "")),
        Class::InDialog
    );
    feed(&mut endpoint, &invite);
    assert_eq!(class(&endpoint, &invite), Class::InTransaction);
    assert_eq!(
        class(&endpoint, &text("CANCEL", "1", "", 1, "")),
        Class::InTransaction
    );
}

#[test]
fn a_stateless_refusal_is_the_same_each_time() {
    let endpoint = endpoint();
    let invite = request(&text("INVITE", "1", "", 1, CONTACT));
    let refuse = || endpoint.refuse_stateless(&invite, peer(CALLER), 503, Some(30));
    assert_eq!(refuse(), refuse());
    let text = String::from_utf8(refuse().bytes.to_vec()).unwrap();
    assert!(text.starts_with("SIP/2.0 503 Service Unavailable\r\n"));
    assert!(text.contains("\r\nRetry-After: 30\r\n"));
    assert!(text.contains("<sip:5550100@198.51.100.20>;tag=03"));
    assert_eq!((endpoint.legs(), endpoint.transactions()), (0, 0));
}

/// A challenge in front of everything: nothing is kept, and a repeat gets the
/// very same answer.
#[test]
fn a_stateless_challenge_carries_its_headers() {
    let check = |request: &Request, tag: &str| {
        let endpoint = endpoint();
        let reply = sip::Reply::new(401)
            .with("WWW-Authenticate", "Digest realm=\"a\"")
            .with("WWW-Authenticate", "Digest realm=\"b\"");
        let refuse = || endpoint.refuse_with(request, peer(CALLER), &reply);
        assert_eq!(refuse(), refuse());
        assert_eq!(refuse().peer, peer(CALLER));
        let text = String::from_utf8(refuse().bytes.to_vec()).unwrap();
        assert!(text.starts_with("SIP/2.0 401 Unauthorized\r\n"));
        let line = |value: &str| text.contains(&format!("\r\nWWW-Authenticate: {value}\r\n"));
        assert!(line("Digest realm=\"a\"") && line("Digest realm=\"b\""));
        assert!(
            text.contains(&format!("<sip:5550100@198.51.100.20>{tag}")),
            "{text}"
        );
        assert_eq!((endpoint.legs(), endpoint.transactions()), (0, 0));
    };
    check(&request(&text("INVITE", "1", "", 1, CONTACT)), ";tag=03");
    check(&request(&text("REGISTER", "1", "", 1, CONTACT)), ";tag=03");
    let endpoint = endpoint();
    let mut reply = sip::Reply::new(403);
    reply.reason = Some("Not from here".into());
    let invite = request(&text("INVITE", "1", "", 1, CONTACT));
    let bytes = endpoint.refuse_with(&invite, peer(CALLER), &reply).bytes;
    assert!(bytes.starts_with(b"SIP/2.0 403 Not from here\r\n"));
}

#[test]
fn full_means_503() {
    let mut config = EndpointConfig::new(Interface::local(pair::addr(CALLEE)), 0, [7; 32]);
    config.limits = Limits {
        legs_max: 1,
        ..Limits::default()
    };
    let mut endpoint = Endpoint::new(config);
    feed(&mut endpoint, &text("INVITE", "1", "", 1, CONTACT));
    feed(&mut endpoint, &text("INVITE", "2", "", 2, CONTACT));
    assert_eq!(codes(&mut endpoint), ["503"]);
    assert_eq!(endpoint.legs(), 1);
}

/// An answered call, and the tag we gave it.
fn talking() -> (Endpoint, sip::LegId, String) {
    talking_on(endpoint())
}

fn talking_on(mut endpoint: Endpoint) -> (Endpoint, sip::LegId, String) {
    feed(&mut endpoint, &text("INVITE", "1", "", 10, CONTACT));
    let Some(Event::Incoming { leg, .. }) = endpoint.poll_event() else {
        panic!("no call");
    };
    endpoint.answer(
        ms(0),
        leg,
        ANSWER,
        &[("X-Careline-Ticket", "4711\r\nX-Bad: 1")],
    );
    let ok = sent(&mut endpoint).remove(0);
    assert!(!ok.contains("\r\nX-Bad"), "no value begins a line");
    let to = ok.lines().find(|l| l.starts_with("To: ")).unwrap();
    let tag = format!(";tag={}", to.rsplit_once("tag=").unwrap().1);
    assert!(ok.contains(&format!("<sip:{}@198.51.100.20:5060>", &tag[5..])));
    feed(&mut endpoint, &text("ACK", "2", &tag, 10, ""));
    assert!(matches!(
        endpoint.poll_event(),
        Some(Event::Confirmed { .. })
    ));
    (endpoint, leg, tag)
}

#[test]
fn requests_inside_a_dialog_are_answered_sanely() {
    let check = |method: &str, cseq: u32, more: &str, expected: &[&str], told: usize| {
        let (mut endpoint, _, tag) = talking();
        feed(&mut endpoint, &text(method, "9", &tag, cseq, more));
        assert_eq!(codes(&mut endpoint), expected, "{method} {cseq}");
        assert_eq!(events(&mut endpoint).len(), told, "{method} {cseq}");
    };
    check("OPTIONS", 11, "", &["200"], 0);
    check("INFO", 11, "", &["200"], 0);
    check(
        "INFO",
        11,
        "Content-Type: application/dtmf-relay\n\nSignal=5\n",
        &["200"],
        1,
    );
    check("UPDATE", 11, "", &["200"], 0);
    // Not to be had here.
    check("REFER", 11, "Refer-To: <sip:1@x>\n", &["603"], 0);
    check("PRACK", 11, "RAck: 1 10 INVITE\n", &["481"], 0);
    check("NOTIFY", 11, "Event: presence\n", &["489"], 0);
    check("SUBSCRIBE", 11, "", &["405"], 0);
    check("OPTIONS", 10, "", &["500"], 0);
    check("INVITE", 9, CONTACT, &["500"], 0);
    check("INVITE", 11, CONTACT, &[], 1);
    check("BYE", 11, "", &["200"], 1);
    check("BYE", 3, "", &["200"], 1);
    check("BYE", 11, "Require: telepathy\n", &["420"], 0);
}

#[test]
fn a_second_reinvite_waits_and_ours_meets_491() {
    let (mut endpoint, leg, tag) = talking();
    feed(&mut endpoint, &text("INVITE", "9", &tag, 11, CONTACT));
    feed(&mut endpoint, &text("INVITE", "10", &tag, 12, CONTACT));
    let answers = sent(&mut endpoint);
    assert!(answers[0].starts_with("SIP/2.0 500 ") && answers[0].contains("Retry-After: "));
    endpoint.reject_reinvite(ms(0), leg, 488);
    assert_eq!(codes(&mut endpoint), ["488"]);
    endpoint.reinvite(ms(0), leg, OFFER);
    sent(&mut endpoint);
    feed(&mut endpoint, &text("INVITE", "11", &tag, 13, CONTACT));
    assert_eq!(codes(&mut endpoint), ["491"]);
}

/// The answer was lost: the peer asks again and must hear the same, although
/// its CSeq is no longer new and things may have changed meanwhile.
#[test]
fn repeats_inside_a_dialog_get_the_same_answer() {
    let check = |before: fn(&mut Endpoint, sip::LegId, &str), repeat: &str, code: &str| {
        let (mut endpoint, leg, tag) = talking();
        before(&mut endpoint, leg, &tag);
        sent(&mut endpoint);
        events(&mut endpoint);
        let repeat = repeat.replace(";tag=?", &tag);
        feed(&mut endpoint, &repeat);
        let first = sent(&mut endpoint);
        assert_eq!(first.len(), 1);
        assert!(
            first[0].starts_with(&format!("SIP/2.0 {code} ")),
            "{first:?}"
        );
        let told = events(&mut endpoint).len();
        endpoint.reject_reinvite(ms(0), leg, 488);
        sent(&mut endpoint);
        // Something newer overtakes the repeat.
        feed(&mut endpoint, &text("INFO", "98", &tag, 20, ""));
        assert_eq!(codes(&mut endpoint), ["200"]);
        feed(&mut endpoint, &repeat);
        assert_eq!(sent(&mut endpoint), first, "{repeat}");
        assert!(events(&mut endpoint).is_empty() && told <= 1);
        // Nothing stays.
        feed(&mut endpoint, &text("BYE", "99", &tag, 21, ""));
        while let Some(at) = endpoint.poll_timeout() {
            endpoint.handle_timeout(at);
            sent(&mut endpoint);
        }
        assert_eq!((endpoint.legs(), endpoint.transactions()), (0, 0));
    };
    let idle = |_: &mut Endpoint, _: sip::LegId, _: &str| {};
    let asked = |endpoint: &mut Endpoint, _: sip::LegId, tag: &str| {
        feed(endpoint, &text("INVITE", "9", tag, 11, CONTACT));
    };
    let asking = |endpoint: &mut Endpoint, leg: sip::LegId, _: &str| {
        endpoint.reinvite(ms(0), leg, OFFER);
    };
    let reinvite = text("INVITE", "10", ";tag=?", 12, CONTACT);
    check(idle, &text("OPTIONS", "10", ";tag=?", 12, ""), "200");
    check(idle, &text("INFO", "10", ";tag=?", 12, ""), "200");
    check(asked, &reinvite, "500");
    check(asking, &reinvite, "491");
    let body = "Content-Type: multipart/mixed\n\nx\n";
    check(idle, &text("INVITE", "10", ";tag=?", 12, body), "415");
    check(
        idle,
        &text("INVITE", "10", ";tag=?", 12, "Accept: text/plain\n"),
        "406",
    );
}

/// A refused re-INVITE is a transaction: the refusal is repeated, its ACK ends
/// that and is not taken for another's.
#[test]
fn a_refused_reinvite_is_acknowledged() {
    let (mut endpoint, leg, tag) = talking();
    endpoint.reinvite(ms(0), leg, OFFER);
    sent(&mut endpoint);
    feed(&mut endpoint, &text("INVITE", "10", &tag, 12, CONTACT));
    assert_eq!(codes(&mut endpoint), ["491"]);
    endpoint.handle_timeout(ms(500));
    assert!(codes(&mut endpoint).contains(&"491".to_owned()));
    feed(&mut endpoint, &text("ACK", "10", &tag, 12, ""));
    endpoint.handle_timeout(ms(1_500));
    assert!(!codes(&mut endpoint).contains(&"491".to_owned()));
    assert!(events(&mut endpoint).is_empty());
}

/// However much is asked inside a dialog, no more is kept than is allowed; a
/// BYE is still heard.
#[test]
fn a_full_endpoint_keeps_nothing_more_of_a_dialog() {
    let mut config = EndpointConfig::new(Interface::local(pair::addr(CALLEE)), 3, [7; 32]);
    config.limits = Limits {
        transactions_max: 3,
        ..Limits::default()
    };
    let (mut endpoint, _, tag) = talking_on(Endpoint::new(config));
    for n in 0..5 {
        let branch = format!("1{n}");
        feed(&mut endpoint, &text("OPTIONS", &branch, &tag, 11 + n, ""));
    }
    assert_eq!(codes(&mut endpoint), ["200", "200", "503", "503", "503"]);
    assert_eq!(endpoint.transactions(), 3);
    // What was refused so may be asked again.
    let mut now = ms(0);
    while now < ms(40_000) {
        now = endpoint.poll_timeout().unwrap_or(ms(40_000));
        endpoint.handle_timeout(now);
    }
    feed(&mut endpoint, &text("OPTIONS", "14", &tag, 15, ""));
    assert_eq!(codes(&mut endpoint), ["200"]);
    feed(&mut endpoint, &text("BYE", "20", &tag, 20, ""));
    assert_eq!(codes(&mut endpoint), ["200"]);
    assert_eq!(endpoint.legs(), 0);
}

#[test]
fn nothing_happens_to_a_leg_that_is_over() {
    let (mut endpoint, leg, tag) = talking();
    feed(&mut endpoint, &text("BYE", "9", &tag, 11, ""));
    sent(&mut endpoint);
    assert_eq!(events(&mut endpoint).len(), 1);
    endpoint.hangup(ms(0), leg, None);
    endpoint.answer(ms(0), leg, ANSWER, &[]);
    endpoint.ring(ms(0), leg, 180, &[], None);
    endpoint.reject(ms(0), leg, 486, None, &[]);
    endpoint.reinvite(ms(0), leg, OFFER);
    endpoint.answer_reinvite(ms(0), leg, ANSWER);
    assert!(sent(&mut endpoint).is_empty() && events(&mut endpoint).is_empty());
}

#[test]
fn routes_and_strict_routers_are_followed() {
    let bye = |record_route: &str| {
        let mut endpoint = endpoint();
        feed(
            &mut endpoint,
            &text("INVITE", "1", "", 10, &format!("{CONTACT}{record_route}")),
        );
        let Some(Event::Incoming { leg, .. }) = endpoint.poll_event() else {
            panic!("no call");
        };
        endpoint.answer(ms(0), leg, ANSWER, &[]);
        let ok = sent(&mut endpoint).remove(0);
        let tag = ok.lines().find(|l| l.starts_with("To: ")).unwrap();
        let tag = format!(";tag={}", tag.rsplit_once("tag=").unwrap().1);
        feed(&mut endpoint, &text("ACK", "2", &tag, 10, ""));
        endpoint.hangup(ms(0), leg, None);
        let transmit = endpoint.poll_transmit().unwrap();
        let text = String::from_utf8(transmit.bytes.to_vec()).unwrap();
        let routes: Vec<String> = text
            .lines()
            .filter_map(|l| l.strip_prefix("Route: "))
            .map(str::to_owned)
            .collect();
        let uri = text.split(' ').nth(1).unwrap().to_owned();
        (uri, routes.join(" "), transmit.peer.addr.to_string())
    };
    let check = |record_route: &str, uri: &str, routes: &str, to: &str| {
        assert_eq!(bye(record_route), (uri.into(), routes.into(), to.into()));
    };
    let target = "sip:5550199@192.0.2.10";
    check("", target, "", "192.0.2.10:5060");
    check(
        "Record-Route: <sip:203.0.113.1:5070;lr>, <sip:p2.example;lr>\n",
        target,
        "<sip:203.0.113.1:5070;lr> <sip:p2.example;lr>",
        "203.0.113.1:5070",
    );
    // A name isn't resolved here: back to where the call came from.
    check(
        "Record-Route: <sip:edge.example;lr>\n",
        target,
        "<sip:edge.example;lr>",
        "192.0.2.10:5060",
    );
    check(
        "Record-Route: <sip:203.0.113.1>\n",
        "sip:203.0.113.1",
        "<sip:5550199@192.0.2.10>",
        "203.0.113.1:5060",
    );
}

/// A proxy closes a connection that was idle; the call's next request makes
/// another, to where the proxy hears.
#[test]
fn a_call_outlives_its_connection() {
    for (lost, to) in [(false, "192.0.2.10:40001"), (true, "192.0.2.10:5080")] {
        let mut endpoint = endpoint();
        let proxy = sip::Peer {
            addr: "192.0.2.10:40001".parse().unwrap(),
            transport: sip::Transport::Tcp,
        };
        let route = "Record-Route: <sip:192.0.2.10:5080;transport=tcp;lr>\n";
        let invite = text("INVITE", "1", "", 10, &format!("{CONTACT}{route}"));
        endpoint.receive(ms(0), proxy, read(&invite, CALLER));
        let Some(Event::Incoming { leg, .. }) = endpoint.poll_event() else {
            panic!("no call");
        };
        endpoint.answer(ms(0), leg, ANSWER, &[]);
        let ok = endpoint.poll_transmit().unwrap();
        let ok = String::from_utf8(ok.bytes.to_vec()).unwrap();
        let tag = ok.lines().find(|l| l.starts_with("To: ")).unwrap();
        let tag = format!(";tag={}", tag.rsplit_once("tag=").unwrap().1);
        let ack = text("ACK", "2", &tag, 10, "");
        endpoint.receive(ms(0), proxy, read(&ack, CALLER));
        if lost {
            endpoint.transport_error(ms(1), proxy);
        }
        endpoint.hangup(ms(2), leg, None);
        let bye = endpoint.poll_transmit().unwrap();
        assert!(bye.bytes.starts_with(b"BYE "));
        assert_eq!(bye.peer.addr.to_string(), to);
        assert_eq!(bye.peer.transport, sip::Transport::Tcp);
    }
}

#[test]
fn a_natted_caller_is_reached_where_it_is() {
    let mut endpoint = endpoint();
    let invite = text("INVITE", "1", "", 10, "Contact: <sip:a@10.1.2.3:5062>\n")
        .replace("UDP 192.0.2.10", "UDP 10.1.2.3:5062;rport");
    feed(&mut endpoint, &invite);
    let Some(Event::Incoming { leg, .. }) = endpoint.poll_event() else {
        panic!("no call");
    };
    endpoint.answer(ms(0), leg, ANSWER, &[]);
    let ok = endpoint.poll_transmit().unwrap();
    assert_eq!(ok.peer, peer(CALLER));
    // Never acknowledged: after 64*T1 the BYE goes the same way.
    while let Some(at) = endpoint.poll_timeout() {
        endpoint.handle_timeout(at);
        while let Some(transmit) = endpoint.poll_transmit() {
            assert_eq!(transmit.peer, peer(CALLER));
        }
    }
    assert_eq!((endpoint.legs(), endpoint.transactions()), (0, 0));
}

/// A caller whose INVITE forked: the second 200 gets ACK and BYE, the call
/// with the first goes on.
#[test]
fn a_second_fork_is_ended() {
    let mut endpoint = Endpoint::new(EndpointConfig::new(
        Interface::local(pair::addr(CALLER)),
        1,
        [1; 32],
    ));
    let target = Uri::parse("sip:5550100@198.51.100.20").unwrap();
    let invite = Invite::new(target, peer(CALLEE), Identity::default(), OFFER.to_vec());
    endpoint.invite(ms(0), invite);
    let sent_invite = sent(&mut endpoint).remove(0);
    let line = |name: &str| {
        let found = sent_invite.lines().find(|l| l.starts_with(name));
        found.unwrap().to_owned()
    };
    let answer = |tag: &str, code: u16| {
        format!(
            "SIP/2.0 {code} X\n{}\n{}\nTo: <sip:5550100@198.51.100.20>;tag={tag}\n{}\n{}\n\
             Contact: <sip:{tag}@198.51.100.20:5070>\nContent-Type: application/sdp\n\nv=0\n",
            line("Via: "),
            line("From: "),
            line("Call-ID: "),
            line("CSeq: "),
        )
    };
    let hear = |endpoint: &mut Endpoint, text: &str| {
        endpoint.receive(ms(5), peer(CALLEE), read(text, CALLEE));
        let mut lines = Vec::new();
        for text in sent(endpoint) {
            let mut words = text.split(' ');
            lines.push(format!(
                "{} {}",
                words.next().unwrap(),
                words.next().unwrap()
            ));
        }
        lines
    };
    assert!(hear(&mut endpoint, &answer("one", 183)).is_empty());
    assert!(hear(&mut endpoint, &answer("two", 180)).is_empty());
    let ack = "ACK sip:one@198.51.100.20:5070";
    assert_eq!(hear(&mut endpoint, &answer("one", 200)), [ack]);
    assert_eq!(hear(&mut endpoint, &answer("one", 200)), [ack]);
    assert_eq!(
        hear(&mut endpoint, &answer("two", 200)),
        [
            "ACK sip:two@198.51.100.20:5070",
            "BYE sip:two@198.51.100.20:5070"
        ]
    );
    let told = events(&mut endpoint);
    assert!(matches!(
        told.as_slice(),
        [
            Event::Ringing { code: 183, .. },
            Event::Ringing { code: 180, .. },
            Event::Answered { .. }
        ]
    ));
}

#[test]
fn an_unreachable_peer_ends_the_attempt() {
    let mut endpoint = endpoint();
    let target = Uri::parse("sip:a@192.0.2.10").unwrap();
    let leg = endpoint.invite(
        ms(0),
        Invite::new(target, peer(CALLER), Identity::default(), OFFER.to_vec()),
    );
    endpoint.transport_error(ms(1), peer(CALLEE));
    assert!(events(&mut endpoint).is_empty());
    endpoint.transport_error(ms(1), peer(CALLER));
    let told = events(&mut endpoint);
    assert!(matches!(
        told.as_slice(),
        [Event::Ended { leg: ended, cause: sip::EndCause::TransportError }] if *ended == leg
    ));
    assert_eq!((endpoint.legs(), endpoint.transactions()), (0, 0));
}

/// Whoever stands in front of several shards can tell by it whose a message is.
#[test]
fn what_is_minted_carries_its_shard() {
    let (mut endpoint, leg, tag) = talking();
    assert!(tag.starts_with(";tag=03"), "{tag}");
    endpoint.hangup(ms(0), leg, None);
    let target = Uri::parse("sip:a@192.0.2.10").unwrap();
    let call = Invite::new(target, peer(CALLER), Identity::default(), OFFER.to_vec());
    endpoint.invite(ms(0), call);
    let sent = sent(&mut endpoint);
    assert_eq!(sent.len(), 2, "{sent:?}");
    for text in &sent {
        assert!(text.contains(";branch=z9hG4bK03"), "{text}");
    }
    let invite = &sent[1];
    let contact = invite.lines().find(|line| line.starts_with("Contact"));
    assert!(contact.unwrap().contains("<sip:03"), "{invite}");
    let from = invite.lines().find(|line| line.starts_with("From"));
    assert!(from.unwrap().contains(";tag=03"), "{invite}");
}

/// A trunk that asks for credentials, on INVITE and on BYE.
#[test]
fn challenges_to_a_call_are_answered_once() {
    let mut endpoint = Endpoint::new(EndpointConfig::new(
        Interface::local(pair::addr(CALLER)),
        1,
        [1; 32],
    ));
    let target = Uri::parse("sip:5550100@198.51.100.20").unwrap();
    let mut invite = Invite::new(target, peer(CALLEE), Identity::default(), OFFER.to_vec());
    invite.credentials = Some(Credentials::new("trunk", "secret"));
    let leg = endpoint.invite(ms(0), invite);
    let reply = |request: &str, code: u16, tag: &str, more: &str| {
        let line = |name: &str| {
            let found = request.lines().find(|l| l.starts_with(name));
            found.unwrap().to_owned()
        };
        let to = line("To: ");
        let to = if to.contains("tag=") {
            to
        } else {
            format!("{to};tag={tag}")
        };
        let (via, from) = (line("Via: "), line("From: "));
        let (id, cseq) = (line("Call-ID: "), line("CSeq: "));
        format!("SIP/2.0 {code} X\n{via}\n{from}\n{to}\n{id}\n{cseq}\n{more}\n")
    };
    let challenge = "Proxy-Authenticate: Digest realm=\"t\", nonce=\"n\", qop=\"auth\"\n\
                     Proxy-Authenticate: Digest realm=\"t\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\n";
    let hear = |endpoint: &mut Endpoint, text: &str| {
        endpoint.receive(ms(5), peer(CALLEE), read(text, CALLEE));
        sent(endpoint)
    };
    let first = sent(&mut endpoint).remove(0);
    assert!(first.contains("CSeq: 1 INVITE") && !first.contains("Proxy-Authorization"));
    let next = hear(&mut endpoint, &reply(&first, 407, "x", challenge));
    assert!(next[0].starts_with("ACK ") && next[1].starts_with("INVITE "));
    assert!(next[1].contains("CSeq: 2 INVITE") && next[1].contains("algorithm=SHA-256"));
    assert!(events(&mut endpoint).is_empty());
    let contact = "Contact: <sip:t@198.51.100.20>\nContent-Type: application/sdp\n\nv=0\n";
    hear(&mut endpoint, &reply(&next[1], 200, "y", contact));
    assert!(matches!(
        events(&mut endpoint).as_slice(),
        [Event::Answered { .. }]
    ));
    endpoint.hangup(ms(9), leg, None);
    let bye = sent(&mut endpoint).remove(0);
    let again = hear(&mut endpoint, &reply(&bye, 407, "y", challenge));
    assert!(again[0].contains("CSeq: 4 BYE") && again[0].contains("Proxy-Authorization: Digest "));
    assert!(hear(&mut endpoint, &reply(&again[0], 407, "y", challenge)).is_empty());
    assert_eq!(endpoint.legs(), 0);

    // Wrong credentials: the second challenge is the answer.
    let target = Uri::parse("sip:5550100@198.51.100.20").unwrap();
    let mut invite = Invite::new(target, peer(CALLEE), Identity::default(), OFFER.to_vec());
    invite.credentials = Some(Credentials::new("trunk", "guess"));
    endpoint.invite(ms(10), invite);
    events(&mut endpoint);
    let first = sent(&mut endpoint).remove(0);
    let next = hear(&mut endpoint, &reply(&first, 407, "x", challenge));
    hear(&mut endpoint, &reply(&next[1], 407, "x", challenge));
    assert!(matches!(
        events(&mut endpoint).as_slice(),
        [Event::Refused { code: 407, .. }]
    ));
}
