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

/// What the phone reports of itself: so many packets sent.
fn sender_report(net: &mut Net, packets: u32) {
    let words = [0x80c8_0006, 7, 1, 2, 3, packets, packets * 160];
    report(net, &words);
}

/// What it reports of us: the highest number that came, and the share lost.
fn receiver_report(net: &mut Net, highest: u32, lost: u32) {
    let ours = net.sent_by(SERVER())[0].packet().ssrc;
    report(net, &[0x81c9_0007, 7, ours, lost << 24, highest, 0, 0, 0]);
}

fn report(net: &mut Net, words: &[u32]) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    net.inject("192.0.2.2:10001", SERVER(), &bytes);
}

/// A call in which the phone is heard for ten seconds.
fn heard_so_far() -> Net {
    let mut net = joined();
    for sequence in 0..500 {
        net.inject(
            &address(PHONE()).to_string(),
            SERVER(),
            &packet(0, sequence),
        );
        net.run(20);
    }
    assert_eq!(told(&net), []);
    net
}

#[test]
fn a_phone_that_goes_on_sending_and_isn_t_heard_any_more() {
    let mut net = heard_so_far();
    for seconds in 0..30 {
        if seconds % 5 == 0 {
            sender_report(&mut net, 500 + seconds * 50);
        }
        net.run(1_000);
    }
    // The reports of the first and the sixth second, four after the last that was heard.
    assert_eq!(told(&net), [(15, OneWayCause::Withheld)]);
    // It is heard, and again isn't: told at most once a minute.
    for (after, expected) in [(20, 1), (60, 2)] {
        net.run(after * 1_000);
        net.inject(&address(PHONE()).to_string(), SERVER(), &packet(0, 600));
        for seconds in 0..15 {
            sender_report(&mut net, 10_000 * after as u32 + seconds * 200);
            net.run(1_000);
        }
        assert_eq!(told(&net).len(), expected);
    }
    // Who is silent by itself isn't missed, whatever strangers send.
    let mut net = heard_so_far();
    for second in 0..60 {
        sender_report(&mut net, 500);
        net.inject("203.0.113.9:4000", SERVER(), &packet(0, second));
        net.run(1_000);
    }
    assert_eq!(told(&net), []);
}

#[test]
fn another_codec_comes_in_the_middle_of_a_call() {
    let mut net = heard_so_far();
    for sequence in 500..800 {
        net.inject(
            &address(PHONE()).to_string(),
            SERVER(),
            &packet(18, sequence),
        );
        net.run(20);
    }
    assert_eq!(told(&net), [(13, OneWayCause::Payload(18))]);
}

#[test]
fn a_phone_that_doesn_t_hear_us_says_so() {
    // What arrives stands still; nearly all is lost; all is well.
    type Reports = fn(u32) -> (u32, u32);
    let all: [(Reports, bool); 3] = [
        (|_| (1_000, 0), true),
        (|n| (1_000 + n, 255), true),
        (|n| (1_000 + n * 250, 3), false),
    ];
    for (of, one_way) in all {
        let mut net = joined();
        for n in 0..6u32 {
            for sequence in 0..250u16 {
                net.inject(
                    &address(PHONE()).to_string(),
                    SERVER(),
                    &packet(0, n as u16 * 250 + sequence),
                );
                net.run(20);
            }
            let (highest, lost) = of(n);
            receiver_report(&mut net, highest, lost);
        }
        let expected: &[_] = match one_way {
            true => &[(10, OneWayCause::Unheard)],
            false => &[],
        };
        assert_eq!(told(&net), expected);
    }
}
