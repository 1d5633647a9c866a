//! Phones that call each other, over the loopback and in memory. Real time, hence short calls.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use media::codec::Codec;
use media::engine::{Command, Event};
use media::sdp::Negotiated;
use sip::digest::{Accounts, AuthLimits, Authenticator, Ha1s, Verdict};
use sip::registrar::{Registrar, RegistrarConfig};
use sip::{Endpoint, EndpointConfig, Interface, Peer};
use tokio::sync::{mpsc, oneshot};

use super::audio::AudioEvent;
use super::hearing::tests::prompt;
use super::*;
use crate::rtp::{Media, MediaConfig, ThreadHint};

const WITHIN: Duration = Duration::from_secs(20);
const HELLO: &str = "Hello there.";

fn localhost() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9))
}

fn media_config(first_port: u16) -> MediaConfig {
    MediaConfig {
        bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        ports: first_port..=first_port + 99,
        ..MediaConfig::default()
    }
}

fn udp(first_port: u16) -> PhoneMedia {
    PhoneMedia::Udp(PhoneAudio::start(media_config(first_port)).unwrap())
}

fn ring() -> PhoneMedia {
    PhoneMedia::Ring(RingHub::start(7).unwrap())
}

fn library() -> Arc<Library> {
    Arc::new(Library::new(
        [(HELLO.to_owned(), prompt(11, 1_200))].into_iter(),
    ))
}

fn config(number: &str, server: SocketAddr, media: &PhoneMedia, marker: usize) -> PhoneConfig {
    PhoneConfig {
        ears: Ears::Listening(library()),
        voice: Voice::Marker(Marker::new(marker)),
        seed: marker as u64 + 1,
        ..PhoneConfig::new(number, server, media.clone())
    }
}

/// A phone that is called, and one that calls it.
async fn pair(
    media: &PhoneMedia,
    callee: impl FnOnce(&mut PhoneConfig),
    caller: impl FnOnce(&mut PhoneConfig),
) -> ((Phone, PhoneEvents), (Phone, PhoneEvents)) {
    let mut config_b = config("2002", localhost(), media, 1);
    config_b.answer = AnswerPolicy::Answer {
        after: Duration::from_millis(50),
    };
    callee(&mut config_b);
    let b = Phone::start(config_b).await.unwrap();
    let mut config_a = config("1001", b.0.address(), media, 0);
    caller(&mut config_a);
    let a = Phone::start(config_a).await.unwrap();
    (a, b)
}

/// A whole call: both hear each other's marker, keys arrive once each, a sentence arrives bit by bit.
async fn whole_call(media: PhoneMedia, codec: Codec) {
    let codecs = move |config: &mut PhoneConfig| config.codecs = vec![codec];
    let ((a, mut a_events), (b, mut b_events)) = pair(&media, codecs, codecs).await;
    let options = CallOptions {
        headers: vec![("X-Careline-Ticket".to_owned(), "4711".to_owned())],
        script: "tone:620/10 → 12# say \"Hello there.\" w1 hangup"
            .parse()
            .unwrap(),
        sentences: vec![(HELLO.to_owned(), prompt(11, 1_200))],
        from: Some("1003".to_owned()),
    };
    a.call_with("2002", options).await.unwrap();

    let ours = a_events.ended(WITHIN).await.unwrap();
    assert_eq!(
        (ours.direction, ours.number.as_str()),
        (Direction::Out, "2002")
    );
    assert_eq!(ours.codes, [180, 200]);
    assert!(
        ours.answered_after
            .is_some_and(|after| after < Duration::from_secs(2))
    );
    assert_eq!(ours.hung_up_by, HungUpBy::Us);
    assert_eq!(
        ours.pressed
            .iter()
            .map(|pressed| pressed.keys.as_str())
            .collect::<Vec<_>>(),
        ["12#"]
    );
    assert!(
        ours.heard_marker(Marker::new(1)) > Duration::from_millis(1_500),
        "{:?}",
        ours.heard
    );
    assert_eq!(ours.heard_marker(Marker::new(0)), Duration::ZERO);
    assert!(
        ours.gaps.count() > 50 && ours.rtp.packets_received > 50,
        "{:?} {:?}",
        ours.gaps,
        ours.rtp
    );

    let theirs = b_events.ended(WITHIN).await.unwrap();
    assert_eq!(
        (theirs.direction, theirs.number.as_str()),
        (Direction::In, "1003")
    );
    assert_eq!(theirs.codes, [180, 200]);
    assert_eq!(theirs.ticket.as_deref(), Some("4711"));
    assert_eq!(theirs.hung_up_by, HungUpBy::Them);
    let keys: String = theirs
        .keys_heard
        .iter()
        .map(|heard| heard.keys.as_str())
        .collect();
    assert_eq!(keys, "12#");
    assert!(theirs.heard_text("hello"), "{:?}", theirs.heard);
    assert!(
        theirs.identical_share().is_some_and(|share| share > 0.95),
        "{:?}",
        theirs.heard
    );
    assert!(
        theirs.heard_marker(Marker::new(0)) > Duration::from_millis(300),
        "{:?}",
        theirs.heard
    );
    tokio::join!(a.stop(), b.stop());
    assert!(a_events.next().await.is_none());
}

#[tokio::test]
async fn a_whole_call_over_udp() {
    whole_call(udp(42_000), Codec::Pcmu).await;
}

#[tokio::test]
async fn a_whole_call_in_memory() {
    whole_call(ring(), Codec::Pcma).await;
}

#[tokio::test]
async fn refused_cancelled_and_answered_by_hand() {
    let media = ring();
    let ((a, mut a_events), (b, mut b_events)) = pair(
        &media,
        |config| config.answer = AnswerPolicy::Reject(486),
        |_| {},
    )
    .await;

    a.call("2002").await.unwrap();
    let report = a_events.ended(WITHIN).await.unwrap();
    assert_eq!(
        (report.hung_up_by, report.codes),
        (HungUpBy::Refused(486), vec![486])
    );
    assert_eq!(
        b_events.ended(WITHIN).await.unwrap().hung_up_by,
        HungUpBy::Refused(486)
    );

    // Rings until the caller gives up.
    b.set_policy(AnswerPolicy::Ring).await.unwrap();
    let call = a.call("2002").await.unwrap();
    let ringing = |event: &PhoneEvent| {
        matches!(event.kind, PhoneEventKind::Ringing { code: 180 }).then_some(())
    };
    a_events.until(WITHIN, ringing).await.unwrap();
    a.hang_up(call).await.unwrap();
    assert_eq!(
        a_events.ended(WITHIN).await.unwrap().hung_up_by,
        HungUpBy::Us
    );
    assert_eq!(
        b_events.ended(WITHIN).await.unwrap().hung_up_by,
        HungUpBy::Cancelled
    );

    // Answered, and hung up by the one who was called.
    b.set_policy(AnswerPolicy::Manual).await.unwrap();
    a.call("2002").await.unwrap();
    let incoming = |event: &PhoneEvent| match &event.kind {
        PhoneEventKind::Incoming { from, .. } => event.call.filter(|_| from == "1001"),
        _ => None,
    };
    let call = b_events.until(WITHIN, incoming).await.unwrap();
    b.answer(call).await.unwrap();
    let answered =
        |event: &PhoneEvent| matches!(event.kind, PhoneEventKind::Answered).then_some(());
    a_events.until(WITHIN, answered).await.unwrap();
    b.hang_up(call).await.unwrap();
    assert_eq!(
        b_events.ended(WITHIN).await.unwrap().hung_up_by,
        HungUpBy::Us
    );
    assert_eq!(
        a_events.ended(WITHIN).await.unwrap().hung_up_by,
        HungUpBy::Them
    );

    for number in ["", "12 34", "1\r\n2", "sip:"] {
        assert!(
            matches!(a.call(number).await, Err(PhoneError::Number(_))),
            "{number:?}"
        );
    }
    assert!(matches!(
        a.press(CallId(99), "1x").await,
        Err(PhoneError::Key('x'))
    ));
    tokio::join!(a.stop(), b.stop());
}

#[tokio::test]
async fn without_a_common_codec_there_is_no_call() {
    let media = ring();
    let ((a, mut a_events), (b, _b_events)) = pair(
        &media,
        |config| config.codecs = vec![Codec::Pcma],
        |config| config.codecs = vec![Codec::Pcmu],
    )
    .await;
    a.call("2002").await.unwrap();
    assert_eq!(
        a_events.ended(WITHIN).await.unwrap().hung_up_by,
        HungUpBy::Refused(488)
    );
    // A phone switched off in the middle of a call hangs up.
    tokio::join!(a.stop(), b.stop());
}

/// One account, `ana` with `secret`.
struct OneAccount;

impl Accounts for OneAccount {
    fn ha1s(&self, username: &str, realm: &str) -> Option<Ha1s> {
        (username == "ana").then(|| Ha1s::derive("ana", realm, "secret"))
    }
}

/// A registrar on the loopback; ends when told, and says how many are registered then.
async fn registrar(mut end: oneshot::Receiver<()>, address: oneshot::Sender<SocketAddr>) -> usize {
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let local = socket.local_addr().unwrap();
    address.send(local).unwrap();
    let mut endpoint = Endpoint::new(EndpointConfig::new(Interface::local(local), 0, [9; 32]));
    let mut authenticator = Authenticator::new([8; 32], AuthLimits::default());
    let mut registrar = Registrar::new(RegistrarConfig::new("test"));
    let epoch = tokio::time::Instant::now();
    let mut buffer = vec![0; 4_096];
    loop {
        let (length, source) = tokio::select! {
            received = socket.recv_from(&mut buffer) => received.unwrap(),
            _ = &mut end => return registrar.len(),
        };
        let (now, peer) = (epoch.elapsed(), Peer::udp(source));
        endpoint.receive(
            now,
            peer,
            sip::parse_datagram(&buffer[..length], peer).unwrap(),
        );
        while let Some(event) = endpoint.poll_event() {
            if let sip::Event::Register { id, peer, request } = event {
                let ip = source.ip();
                let reply = match authenticator.check(now, ip, &request, "test", &OneAccount) {
                    Verdict::Accepted { username } => {
                        let bound = registrar.bind(now, peer, &request, &username, &OneAccount);
                        bound.0
                    }
                    Verdict::Challenge(reply) | Verdict::Refused(reply) => reply,
                };
                endpoint.respond(now, id, reply);
            }
        }
        while let Some(transmit) = endpoint.poll_transmit() {
            socket
                .send_to(&transmit.bytes, transmit.peer.addr)
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn a_phone_registers_and_leaves() {
    let (end, ended) = oneshot::channel();
    let (address, server) = oneshot::channel();
    let task = tokio::spawn(registrar(ended, address));
    let server = server.await.unwrap();
    let media = ring();
    let start = |user: &str, secret: &str| {
        let mut config = config("1001", server, &media, 0);
        let account = Registration::new(user, secret);
        // Below the registrar's minimum of 30 s: it says so, and gets what it wants.
        config.registration = Some(Registration {
            expires: Duration::from_secs(5),
            ..account
        });
        Phone::start(config)
    };
    let outcome = |event: &PhoneEvent| match event.kind {
        PhoneEventKind::Registered { expires } => Some(Ok(expires)),
        PhoneEventKind::RegistrationFailed { code } => Some(Err(code)),
        _ => None,
    };
    let (ana, mut ana_events) = start("ana", "secret").await.unwrap();
    let registered = ana_events.until(WITHIN, outcome).await.unwrap();
    assert_eq!(registered, Ok(Duration::from_secs(30)));

    let (bob, mut bob_events) = start("ana", "wrong").await.unwrap();
    let refused = bob_events.until(WITHIN, outcome).await.unwrap();
    assert_eq!(refused, Err(Some(403)));
    drop(bob);

    ana.stop().await;
    let left =
        |event: &PhoneEvent| matches!(event.kind, PhoneEventKind::Unregistered).then_some(());
    ana_events.until(WITHIN, left).await.unwrap();
    end.send(()).unwrap();
    assert_eq!(task.await.unwrap(), 0);
}

#[tokio::test]
async fn a_server_speaks_through_a_ring() {
    let PhoneMedia::Ring(hub) = ring() else {
        unreachable!()
    };
    let media = PhoneMedia::Ring(hub.clone());
    let (server, mut server_events) = Media::start(media_config(42_200)).unwrap();
    let (tell, mut told) = mpsc::channel(100);
    let line = media
        .open(CallId(1), &Ears::Listening(library()), tell)
        .unwrap();
    assert!(hub.owns(line.address));
    let (leg, far_end) = server.open_ring(ThreadHint::Any).unwrap();
    hub.attach(line.address, far_end).unwrap();
    let server_address = SocketAddr::from((Ipv4Addr::LOCALHOST, 42_200));
    media
        .connect(line.leg, Negotiated::plain(Codec::Pcmu, server_address))
        .unwrap();
    let negotiated = Negotiated::plain(Codec::Pcmu, line.address);
    server
        .command(Command::Connect {
            leg,
            negotiated,
            natted: None,
        })
        .unwrap();
    let clips = vec![prompt(11, 1_200)];
    server
        .command(Command::Play {
            leg,
            play: media::engine::PlayId(1),
            clips,
            barge_in: true,
        })
        .unwrap();

    let heard = async {
        loop {
            if let (
                _,
                AudioEvent::Heard(HearingEvent::Ended {
                    sound:
                        Sound::Prompt {
                            frames, identical, ..
                        },
                    ..
                }),
            ) = told.recv().await.unwrap()
            {
                return (frames, identical);
            }
        }
    };
    assert_eq!(
        tokio::time::timeout(WITHIN, heard).await.unwrap(),
        (60, true)
    );

    let digits = script::keys("5").unwrap();
    media
        .command(Command::SendDigits {
            leg: line.leg,
            digits,
            tone_ms: 60,
            gap_ms: 60,
        })
        .unwrap();
    let key = async {
        loop {
            if let Event::Digit { digit, .. } = server_events.recv().await.unwrap() {
                return digit.char();
            }
        }
    };
    assert_eq!(tokio::time::timeout(WITHIN, key).await.unwrap(), '5');
}
