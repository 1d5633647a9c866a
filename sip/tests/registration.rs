//! Our registration at a provider, against our own registrar and against one
//! written by hand.

mod pair;

use std::time::Duration;

use pair::{CALLER, peer, read};
use sip::registration::{Registration, RegistrationConfig, Standing};
use sip::{Interface, Message, OutRequest, Peer, Response, Transport, Uri};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn interface() -> Interface {
    Interface::local("198.51.100.20:5060".parse().unwrap())
}

fn config() -> RegistrationConfig {
    let uri = |text: &str| Uri::parse(text).unwrap();
    RegistrationConfig::new(
        uri("sip:15550100@provider.example"),
        uri("sip:provider.example"),
        "trunk1",
        "r1@careline",
    )
}

fn response(code: u16, more: &str) -> Response {
    let text = format!(
        "SIP/2.0 {code} X\nVia: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1\nFrom: <sip:a@b>;tag=1\n\
         To: <sip:a@b>;tag=2\nCall-ID: r1@careline\nCSeq: 2 REGISTER\n{more}\n"
    );
    match read(&text, CALLER) {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a request"),
    }
}

fn header<'a>(request: &'a OutRequest, name: &str) -> &'a str {
    let found = request.headers.iter().find(|(n, _)| n == name);
    found.map_or("", |(_, value)| value.as_str())
}

/// When the next REGISTER is due, after this answer at `now`.
fn due_after(registration: &mut Registration, now: Duration, answer: &Response) -> Duration {
    assert!(
        registration
            .request(now, peer(CALLER), &interface())
            .is_some()
    );
    registration.answered(now, answer);
    registration.poll_timeout().expect("never given up")
}

#[test]
fn it_is_refreshed_before_its_end_and_its_own_contact_counts() {
    for seed in 0..200 {
        let mut registration = Registration::new(at(0), config(), seed);
        let others = "Contact: <sip:desk@192.0.2.1>;expires=3600, <sip:trunk1@198.51.100.20:5060>;expires=120\n";
        let due = due_after(&mut registration, at(0), &response(200, others));
        assert_eq!(
            registration.standing(at(119)),
            Standing::Registered { until: at(120) }
        );
        assert_eq!(
            registration.standing(at(120)),
            Standing::Failed { code: None }
        );
        assert!((at(80)..=at(100)).contains(&due), "{due:?}");
    }
    // Without a word in Contact the header counts, without both what we asked.
    let mut registration = Registration::new(at(0), config(), 1);
    due_after(&mut registration, at(0), &response(200, "Expires: 60\n"));
    assert_eq!(
        registration.standing(at(1)),
        Standing::Registered { until: at(60) }
    );
    let mut registration = Registration::new(at(0), config(), 1);
    due_after(&mut registration, at(0), &response(200, ""));
    assert_eq!(
        registration.standing(at(1)),
        Standing::Registered { until: at(600) }
    );
}

#[test]
fn each_register_says_what_the_rfcs_want() {
    let mut plain = Registration::new(at(0), config(), 1);
    assert!(plain.request(at(0), peer(CALLER), &interface()).is_some());
    assert!(
        plain.request(at(0), peer(CALLER), &interface()).is_none(),
        "one at a time"
    );
    let mut config = config();
    config.instance = Some("urn:uuid:00000000-0000-1000-8000-000a95a0e128".into());
    let mut registration = Registration::new(at(0), config, 1);
    let tls = Peer {
        addr: "192.0.2.10:5061".parse().unwrap(),
        transport: Transport::Tls,
    };
    let request = registration.request(at(0), tls, &interface()).unwrap();
    let contact = header(&request, "Contact");
    assert!(
        contact.starts_with("<sip:trunk1@198.51.100.20"),
        "{contact}"
    );
    assert!(
        contact.ends_with(
            ";transport=tls;ob>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\";reg-id=1"
        ),
        "{contact}"
    );
    assert_eq!(header(&request, "Supported"), "path, outbound");
    assert_eq!(header(&request, "Expires"), "600");
    let first = request.cseq;
    let granted = "Require: outbound\nService-Route: <sip:edge.example;lr>\nExpires: 600\n";
    registration.answered(at(0), &response(200, granted));
    assert!(registration.is_outbound());
    assert_eq!(registration.service_route(), ["<sip:edge.example;lr>"]);
    // The connection is gone: anew within a second.
    registration.flow_lost(at(10), peer(CALLER));
    assert!(
        registration.poll_timeout() > Some(at(300)),
        "somebody else's"
    );
    registration.flow_lost(at(10), tls);
    assert!(registration.poll_timeout() <= Some(at(11)));
    let request = registration.request(at(11), tls, &interface()).unwrap();
    assert!(request.cseq > first);
    assert_eq!(request.call_id.as_deref(), Some("r1@careline"));
}

/// RFC 5626, section 11.6: whoever is between us and the registrar can't do it. And over UDP it isn't asked for.
#[test]
fn outbound_is_done_without_where_it_cannot_be_had() {
    let mut config = config();
    config.instance = Some("urn:uuid:00000000-0000-1000-8000-000a95a0e128".into());
    let mut registration = Registration::new(at(0), config.clone(), 1);
    let tcp = Peer {
        addr: "192.0.2.10:5060".parse().unwrap(),
        transport: Transport::Tcp,
    };
    let request = registration.request(at(0), tcp, &interface()).unwrap();
    assert!(header(&request, "Contact").contains(";reg-id=1"));
    registration.answered(at(0), &response(439, ""));
    for _ in 0..2 {
        let due = registration.poll_timeout().unwrap();
        let request = registration.request(due, tcp, &interface()).unwrap();
        let contact = header(&request, "Contact");
        assert!(
            !contact.contains("reg-id") && !contact.contains(";ob"),
            "{contact}"
        );
        assert_eq!(header(&request, "Supported"), "path");
        // A registrar that says so again is a failure like any other.
        registration.answered(due, &response(439, ""));
        assert!(registration.poll_timeout().unwrap() >= due + at(15));
    }
    let mut registration = Registration::new(at(0), config, 1);
    let request = registration
        .request(at(0), peer(CALLER), &interface())
        .unwrap();
    assert!(!header(&request, "Contact").contains("instance"));
}

#[test]
fn too_brief_an_interval_is_raised_once() {
    let mut registration = Registration::new(at(0), config(), 1);
    let too_brief = response(423, "Min-Expires: 1800\n");
    assert_eq!(due_after(&mut registration, at(0), &too_brief), at(0));
    let request = registration
        .request(at(0), peer(CALLER), &interface())
        .unwrap();
    assert_eq!(header(&request, "Expires"), "1800");
    registration.answered(at(0), &response(423, "Min-Expires: 3600\n"));
    assert!(registration.poll_timeout() >= Some(at(15)), "no loop");
}

#[test]
fn failures_wait_longer_each_time_and_never_for_ever() {
    let mut registration = Registration::new(at(0), config(), 3);
    let (mut now, mut waits) = (at(0), Vec::new());
    for _ in 0..12 {
        let next = due_after(&mut registration, now, &response(403, ""));
        waits.push(next - now);
        now = next;
    }
    for (n, wait) in waits.iter().enumerate() {
        let most = at(30 * (1 << n)).min(at(1_800));
        assert!(*wait >= most / 2 && *wait <= most, "{n}: {wait:?}");
    }
    assert_eq!(
        registration.standing(now),
        Standing::Failed { code: Some(403) }
    );
    // It says how long to wait, within reason.
    let next = due_after(
        &mut registration,
        now,
        &response(503, "Retry-After: 2000 (busy)\n"),
    );
    assert!(next - now >= at(2_000));
    now = next;
    let next = due_after(
        &mut registration,
        now,
        &response(503, "Retry-After: 99999999\n"),
    );
    assert!(next - now <= at(3_600));
    // And once it works, everything is as new.
    due_after(&mut registration, next, &response(200, "Expires: 60\n"));
    let then = next + at(50);
    let after = due_after(&mut registration, then, &response(500, ""));
    assert!(after - then <= at(30));
    assert!(
        matches!(registration.standing(then), Standing::Registered { .. }),
        "what was granted lasts"
    );
}

#[test]
fn a_dead_address_is_left_for_the_next_at_once() {
    let mut registration = Registration::new(at(0), config(), 1);
    registration.request(at(0), peer(CALLER), &interface());
    assert!(registration.unanswered(at(4)));
    registration.try_now(at(4));
    assert_eq!(registration.poll_timeout(), Some(at(4)));
    registration.request(at(4), peer(CALLER), &interface());
    assert!(registration.answered(at(5), &response(503, "")));
    registration.try_now(at(5));
    registration.request(at(5), peer(CALLER), &interface());
    assert!(
        !registration.answered(at(6), &response(403, "")),
        "another won't know better"
    );
    // Late and unexpected answers change nothing.
    let due = registration.poll_timeout();
    assert!(!registration.answered(at(7), &response(200, "")));
    assert!(!registration.unanswered(at(7)));
    assert_eq!(registration.poll_timeout(), due);
}

#[test]
fn it_is_taken_back_when_it_is_to_stop() {
    let mut registration = Registration::new(at(0), config(), 1);
    due_after(&mut registration, at(0), &response(200, ""));
    registration.stop(at(10));
    let request = registration
        .request(at(10), peer(CALLER), &interface())
        .unwrap();
    assert_eq!(header(&request, "Expires"), "0");
    registration.answered(at(10), &response(200, ""));
    assert_eq!(registration.standing(at(10)), Standing::Stopped);
    assert_eq!(registration.poll_timeout(), None);
    let mut never = Registration::new(at(0), config(), 1);
    never.stop(at(0));
    assert_eq!(
        (never.poll_timeout(), never.standing(at(0))),
        (None, Standing::Stopped)
    );
}
