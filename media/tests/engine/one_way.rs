//! Audio that goes one way is noticed, with its likely reason; audio that goes both isn't.

use std::sync::Arc;

use crate::net::{Net, address, leg, towards};
use media::codec::Codec;
use media::engine::{Command, Event, LegId, OneWayCause};
use media::sdp::{Direction, Encryption, LocalMedia, offer};
use media::srtp::Secret;

const SERVER: fn() -> LegId = || leg(0, 0);
const PHONE: fn() -> LegId = || leg(1, 0);

fn told(net: &Net) -> Vec<(u64, OneWayCause)> {
    net.events
        .iter()
        .filter_map(|(at, event)| match event {
            Event::OneWayAudio { leg, cause, .. } if *leg == SERVER() => {
                Some((*at / 1_000, *cause))
            }
            _ => None,
        })
        .collect()
}

fn music(net: &mut Net, leg: LegId) {
    net.command(Command::Loop {
        leg,
        clip: media::music::on_hold(),
        offset_ms: 0,
    });
}

/// Two legs, the server's playing music; the phone says nothing by itself, and its reports and silence are lost.
fn joined() -> Net {
    let mut net = Net::new(2);
    net.join(SERVER(), PHONE(), Codec::Pcmu);
    music(&mut net, SERVER());
    net.fate = Box::new(|_| vec![]);
    net
}

fn packet(payload_type: u8, sequence: u16) -> Vec<u8> {
    let [s0, s1] = sequence.to_be_bytes();
    [
        &[0x80, payload_type, s0, s1, 0, 0, 0, 0, 0, 0, 0, 7][..],
        &[5; 160],
    ]
    .concat()
}

#[test]
fn nothing_comes() {
    let mut net = joined();
    net.run(15_000);
    assert_eq!(told(&net), [(4, OneWayCause::Nothing)]);
}

#[test]
fn packets_come_from_elsewhere() {
    let mut net = joined();
    for sequence in 0..300 {
        net.inject("203.0.113.9:4000", SERVER(), &packet(0, sequence));
        net.run(20);
    }
    let source = "203.0.113.9:4000".parse().unwrap();
    assert_eq!(told(&net), [(4, OneWayCause::Elsewhere(source))]);
}

#[test]
fn another_codec_comes() {
    let mut net = joined();
    for sequence in 0..300 {
        net.inject(
            &address(PHONE()).to_string(),
            SERVER(),
            &packet(18, sequence),
        );
        net.run(20);
    }
    assert_eq!(told(&net), [(4, OneWayCause::Payload(18))]);
}

#[test]
fn reports_come_and_nothing_else() {
    let mut net = joined();
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    for _ in 0..6 {
        net.inject("192.0.2.2:10001", SERVER(), &report);
        net.run(1_000);
    }
    assert_eq!(told(&net), [(4, OneWayCause::ReportsOnly)]);
}

#[test]
fn keys_don_t_fit() {
    let mut net = joined();
    let local = LocalMedia::new(address(PHONE()).ip(), address(PHONE()).port(), 1);
    let caps = |secret| media::sdp::Capabilities {
        encryption: Encryption::Required(Secret::new([secret; 32])),
        ..Default::default()
    };
    let offered = offer(&local, &caps(1));
    let here = LocalMedia::new(address(SERVER()).ip(), address(SERVER()).port(), 2);
    let (negotiated, _) = media::sdp::answer(&offered, &here, &caps(2)).unwrap();
    net.command(Command::Connect {
        leg: SERVER(),
        negotiated,
        natted: None,
    });
    for sequence in 0..300 {
        net.inject(
            &address(PHONE()).to_string(),
            SERVER(),
            &packet(0, sequence),
        );
        net.run(20);
    }
    assert_eq!(told(&net), [(4, OneWayCause::Undecipherable)]);
}

#[test]
fn who_is_heard_or_held_or_not_spoken_to_is_not_missed() {
    // Heard, once.
    let mut net = joined();
    net.inject(&address(PHONE()).to_string(), SERVER(), &packet(0, 1));
    net.run(15_000);
    assert_eq!(told(&net), []);
    // Held.
    let mut net = joined();
    let mut negotiated = towards(PHONE(), Codec::Pcmu);
    negotiated.direction = Direction::SendOnly;
    net.command(Command::Connect {
        leg: SERVER(),
        negotiated,
        natted: None,
    });
    net.run(15_000);
    assert_eq!(told(&net), []);
    // Spoken to only after half a minute.
    let mut net = joined();
    net.command(Command::Stop { leg: SERVER() });
    net.run(30_000);
    assert_eq!(told(&net), []);
    let clip: Arc<_> = media::music::on_hold();
    net.command(Command::Loop {
        leg: SERVER(),
        clip,
        offset_ms: 0,
    });
    net.run(5_000);
    assert_eq!(told(&net), [(31, OneWayCause::Nothing)]);
}
