//! Calls to emergency services: what ends other calls doesn't end these, and
//! what they carry beside the offer.

mod pair;

use std::time::Duration;

use pair::{Act, CALLEE, CALLER, Fate, Habit, OFFER, Pair, ms, peer, read};
use sip::{Attachment, Identity, Invite, LegId, Message, Uri};

const HOUR: Duration = Duration::from_secs(3600);

/// The caller's leg persists, and the callee's from the moment it comes in.
fn call(habit: Habit, fate: Fate, attached: Vec<Attachment>) -> Pair {
    let mut pair = Pair::new(habit, fate);
    let target = Uri::sip("911", "198.51.100.20", None).unwrap();
    let from = Identity {
        user: "5550199".into(),
        ..Identity::default()
    };
    let mut invite = Invite::new(target, peer(CALLEE), from, OFFER.to_vec());
    invite.persists = true;
    invite.attached = attached;
    let leg = pair.ends[CALLER].invite(pair.now, invite);
    pair.legs[CALLER].push(leg);
    pair.run(ms(100));
    let leg: LegId = pair.legs[CALLEE][0];
    pair.ends[CALLEE].persist(leg);
    pair
}

fn ends(mut pair: Pair, at: Duration, caller: &[&str]) {
    pair.at(at, Act::HangUp(CALLER));
    pair.run(at + HOUR);
    let told = |side: usize| pair.told[side].clone();
    assert_eq!(told(CALLER), caller);
    assert!(
        told(CALLEE)
            .last()
            .is_some_and(|last| last.contains("Q.850;cause=16")),
        "{:?}",
        told(CALLEE)
    );
    pair.assert_empty();
}

#[test]
fn it_rings_until_somebody_ends_it() {
    let pair = call(Habit::Rings, Pair::perfect(), Vec::new());
    ends(pair, HOUR, &["ringing 180", "ended Local"]);
}

#[test]
fn it_has_no_session_timer() {
    let mut pair = call(Habit::Answers, Pair::perfect(), Vec::new());
    pair.run(ms(10_000));
    let so_far = pair.sent.len();
    pair.run(3 * HOUR);
    assert_eq!(pair.sent.len(), so_far, "{:?}", &pair.sent[so_far..]);
    ends(pair, 3 * HOUR, &["ringing 180", "answered", "ended Local"]);
}

#[test]
fn an_ack_that_never_comes_ends_nothing() {
    let fate: Fate = Box::new(|_, line| match line.starts_with("ACK ") {
        true => Vec::new(),
        false => vec![ms(10)],
    });
    let mut pair = call(Habit::Answers, fate, Vec::new());
    pair.run(HOUR);
    assert!(!pair.told[CALLEE].iter().any(|told| told.contains("ended")));
    ends(pair, HOUR, &["ringing 180", "answered", "ended Local"]);
}

#[test]
fn what_isnt_answered_ends_nothing() {
    let gone = std::rc::Rc::new(std::cell::Cell::new(false));
    let lost = gone.clone();
    let fate: Fate = Box::new(move |_, _| if lost.get() { Vec::new() } else { vec![ms(10)] });
    let mut pair = call(Habit::Answers, fate, Vec::new());
    pair.run(ms(10_000));
    gone.set(true);
    for side in [CALLER, CALLEE] {
        let leg = pair.legs[side][0];
        pair.ends[side].probe(pair.now, leg);
    }
    pair.run(HOUR);
    gone.set(false);
    ends(pair, HOUR, &["ringing 180", "answered", "ended Local"]);
}

#[test]
fn a_location_stands_beside_the_offer() {
    let attached = Attachment {
        content_type: "application/pidf+xml".into(),
        content_id: "loc1@careline.example".into(),
        body: b"<presence/>".to_vec(),
    };
    // It is answered: the callee has found the offer.
    let mut pair = call(Habit::Answers, Pair::perfect(), vec![attached]);
    pair.run(ms(5_000));
    ends(
        pair,
        ms(20_000),
        &["ringing 180", "answered", "ended Local"],
    );
}

#[test]
fn an_emergency_service_may_be_called_by_its_name() {
    let text = |method: &str, uri: &str| {
        format!(
            "{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK7\nFrom: <sip:a@b>;tag=1\n\
             To: <urn:service:sos>\nCall-ID: 1\nCSeq: 1 {method}\nContact: <sip:a@192.0.2.10>\n\
             Content-Length: 0\n\n"
        )
    };
    for method in ["INVITE", "CANCEL", "ACK"] {
        let Message::Request(request) = read(&text(method, "urn:service:sos.fire"), CALLER) else {
            panic!("a request");
        };
        assert!(request.uri().is_emergency_service());
    }
    for (method, uri) in [
        ("INVITE", "urn:service:counseling"),
        ("REGISTER", "urn:service:sos"),
        ("OPTIONS", "urn:service:sos"),
    ] {
        let bytes = text(method, uri).replace('\n', "\r\n");
        let refused = sip::parse_datagram(bytes.as_bytes(), peer(CALLER));
        let Err(sip::WireError::Answer(answer)) = refused else {
            panic!("{method} {uri}: {refused:?}");
        };
        assert!(answer.bytes.starts_with(b"SIP/2.0 416"));
    }
}
