//! Floods, bleeding and injection, with real sockets.

use std::sync::atomic::{AtomicBool, Ordering};

use media::sdp::{Capabilities, Encryption, LocalMedia, answer, offer};
use media::srtp::Secret;

use super::*;

/// What we agree on with an encrypted far side at this address.
fn encrypted(far: SocketAddr, port: u16) -> Negotiated {
    let caps = |secret| Capabilities {
        encryption: Encryption::Required(Secret::new([secret; 32])),
        ..Capabilities::default()
    };
    let offered = offer(&LocalMedia::new(far.ip(), far.port(), 1), &caps(1));
    let (negotiated, _) = answer(&offered, &LocalMedia::new(HOST, port, 2), &caps(2)).unwrap();
    negotiated
}

/// Somebody sends one call's encrypted leg garbage from its far side's own address, as fast as they can, and another's
/// leg keys and audio from anywhere. That other call's prompt arrives whole all the same, and nothing of it is believed.
#[test]
fn a_flood_of_garbage_is_refused_and_others_hear_their_prompt() {
    let (media, mut events) = start(20_900);
    let (victim, flooder, stranger) = (phone(), phone(), phone());
    let a = media.open(ThreadHint::Any, HOST).unwrap();
    let b = media.open(ThreadHint::With(a.leg), HOST).unwrap();
    connect(&media, a.leg, victim.local_addr().unwrap());
    media
        .command(Command::Connect {
            leg: b.leg,
            negotiated: encrypted(flooder.local_addr().unwrap(), b.port),
            natted: None,
        })
        .unwrap();
    victim.recv(&mut [0; 1_500]).unwrap();
    let over = AtomicBool::new(false);
    let clip = clip(50);
    let heard = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sequence = 0u16;
            while !over.load(Ordering::Relaxed) {
                sequence = sequence.wrapping_add(1);
                let header = Header {
                    marker: false,
                    payload_type: 0,
                    sequence,
                    timestamp: 0,
                    ssrc: 5,
                };
                let garbage = [&header.bytes()[..], &[7; 180]].concat();
                let _ = flooder.send_to(&garbage, (HOST, b.port));
                if sequence.is_multiple_of(50) {
                    let key = Header {
                        marker: true,
                        payload_type: 101,
                        ..header
                    };
                    let key = [&key.bytes()[..], &[5, 0x8a, 3, 32]].concat();
                    let _ = stranger.send_to(&key, (HOST, a.port));
                    // A pause, or nothing else runs on a machine with one processor.
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let play = Command::Play {
            leg: a.leg,
            play: PlayId(1),
            clips: vec![clip.clone()],
            barge_in: true,
        };
        media.command(play).unwrap();
        let heard = frames(&victim, 50);
        over.store(true, Ordering::Relaxed);
        heard
    });
    assert_eq!(heard, clip.bytes(Codec::Pcmu));
    let outcome = event(&mut events, |event| match event {
        Event::PlayEnded { outcome, .. } => Some(*outcome),
        Event::Digit { .. } => panic!("a stranger's key"),
        _ => None,
    });
    assert_eq!(outcome, PlayOutcome::Finished);
    media.command(Command::Close { leg: b.leg }).unwrap();
    let stats = closed(&mut events, b.leg);
    assert!(stats.packets_forged > 1_000, "{stats:?}");
    assert_eq!((stats.packets_received, stats.digits), (0, 0), "{stats:?}");
    media.command(Command::Close { leg: a.leg }).unwrap();
    assert_eq!(closed(&mut events, a.leg).packets_received, 0);
}

/// A port is used again while the far side of the call before still talks: the next call doesn't hear it.
#[test]
fn what_is_left_of_a_call_isn_t_heard_in_the_next_one() {
    let (media, mut events) = start(20_920);
    let (before, after) = (phone(), phone());
    let first = media.open(ThreadHint::Any, HOST).unwrap();
    connect(&media, first.leg, before.local_addr().unwrap());
    before.recv(&mut [0; 1_500]).unwrap();
    media.command(Command::Close { leg: first.leg }).unwrap();
    closed(&mut events, first.leg);
    // The other ports are taken, so that this one is given out again as soon as it has rested.
    let begun = Instant::now();
    let mut others = Vec::new();
    let next = loop {
        match media.open(ThreadHint::Any, HOST) {
            Ok(opened) if opened.port == first.port => break opened,
            Ok(opened) => others.push(opened),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "it never comes");
    };
    connect(&media, next.leg, after.local_addr().unwrap());
    after.recv(&mut [0; 1_500]).unwrap();
    talk(&before, next.port, 0..50, 9);
    talk(&after, next.port, 0..10, 1);
    std::thread::sleep(Duration::from_millis(100));
    media.command(Command::Close { leg: next.leg }).unwrap();
    let stats = closed(&mut events, next.leg);
    assert_eq!(stats.packets_received, 10, "{stats:?}");
}
