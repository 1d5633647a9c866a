//! Encrypted legs on a virtual wire: what is said arrives, what is forged or repeated changes nothing.

use std::collections::HashSet;
use std::sync::Arc;

use crate::net::{Net, address, leg};
use crate::{clip, contains};
use media::clip::Clip;
use media::codec::{Codec, Format};
use media::dtmf::Digit;
use media::engine::{Command, Event, LegId, LegStats};
use media::rtp::Packet;
use media::sdp::{Capabilities, Encryption, LocalMedia, Negotiated, accept, answer, offer};
use media::srtp::{Secret, Suite};

/// What two legs agree on by offer and answer; of the suites only `suite`.
fn agreed(one: LegId, other: LegId, suite: Suite, secret: u8) -> (Negotiated, Negotiated) {
    let local = |leg: LegId| LocalMedia::new(address(leg).ip(), address(leg).port(), 1);
    let caps = |secret| Capabilities {
        encryption: Encryption::Required(Secret::new([secret; 32])),
        ..Capabilities::default()
    };
    let offered = String::from_utf8(offer(&local(one), &caps(secret))).unwrap();
    let mut offered: String = offered
        .lines()
        .filter(|line| !line.starts_with("a=crypto") || line.contains(suite.name()))
        .flat_map(|line| [line, "\r\n"])
        .collect();
    // Reports on their own port.
    offered = offered.replace("a=rtcp-mux\r\n", "");
    let (theirs, answered) = answer(offered.as_bytes(), &local(other), &caps(secret + 1)).unwrap();
    let ours = accept(offered.as_bytes(), &answered).unwrap();
    assert_eq!(ours.srtp.as_ref().unwrap().local.suite(), suite);
    (ours, theirs)
}

/// Opens and connects both, encrypted.
fn join(net: &mut Net, one: LegId, other: LegId, suite: Suite) {
    for leg in [one, other] {
        net.command(Command::Open { leg });
    }
    connect(net, one, other, suite, one.slot() as u8 * 2 + 1);
}

fn connect(net: &mut Net, one: LegId, other: LegId, suite: Suite, secret: u8) {
    let (ours, theirs) = agreed(one, other, suite, secret);
    for (leg, negotiated) in [(one, ours), (other, theirs)] {
        net.command(Command::Connect {
            leg,
            negotiated,
            natted: None,
        });
        net.command(Command::Listen { leg, on: true });
    }
}

fn repeat(net: &mut Net, leg: LegId, clip: &Arc<Clip>) {
    net.command(Command::Loop {
        leg,
        clip: clip.clone(),
        offset_ms: 0,
    });
}

fn closed(net: &mut Net, leg: LegId) -> LegStats {
    net.command(Command::Close { leg });
    net.events
        .iter()
        .find_map(|(_, event)| match event {
            Event::Closed { leg: of, stats } if *of == leg => Some(*stats),
            _ => None,
        })
        .expect("closed")
}

/// Does a frame of a leg's plain audio stand in what it sent?
fn shows(net: &Net, leg: LegId, clip: &Clip) -> bool {
    let frames: HashSet<&[u8]> = clip.bytes(Codec::Pcmu).chunks(160).collect();
    net.sent_by(leg)
        .iter()
        .filter_map(|sent| sent.bytes.get(12..172))
        .any(|payload| frames.contains(payload))
}

#[test]
fn audio_keys_and_reports_cross_encrypted() {
    for suite in Suite::ALL {
        let (server, phone) = (leg(0, 0), leg(1, 0));
        let mut net = Net::new(2);
        join(&mut net, server, phone, suite);
        let (one, two) = (clip(50, 1), clip(50, 2));
        repeat(&mut net, server, &one);
        repeat(&mut net, phone, &two);
        net.run(1_100);
        net.command(Command::SendDigits {
            leg: phone,
            digits: "47#".chars().filter_map(Digit::from_char).collect(),
            tone_ms: 100,
            gap_ms: 60,
        });
        net.run(30_000);
        assert!(
            contains(&net.heard_by(phone), one.bytes(Codec::Pcmu)),
            "{suite:?}"
        );
        assert!(
            contains(&net.heard_by(server), two.bytes(Codec::Pcmu)),
            "{suite:?}"
        );
        assert_eq!(net.digits(server), "47#");
        assert!(!shows(&net, server, &one) && !shows(&net, phone, &two));
        // No report carries its name in the clear, and both tell the round trip.
        assert!(
            net.rtcp_sent
                .iter()
                .all(|bytes| bytes[8..].iter().any(|byte| *byte > 0x7f))
        );
        for leg in [server, phone] {
            let stats = closed(&mut net, leg);
            assert_eq!(
                (stats.packets_forged, stats.packets_ignored),
                (0, 0),
                "{stats:?}"
            );
            assert!(stats.round_trip_us.is_some(), "{stats:?}");
        }
    }
}

#[test]
fn a_bridge_joins_an_encrypted_leg_and_one_in_the_clear() {
    let mut net = Net::new(3);
    join(&mut net, leg(0, 0), leg(1, 0), Suite::AesCm128HmacSha1_80);
    net.join(leg(0, 1), leg(2, 0), Codec::Pcmu);
    net.command(Command::Listen {
        leg: leg(2, 0),
        on: true,
    });
    net.command(Command::Bridge {
        a: leg(0, 0),
        b: leg(0, 1),
    });
    let (one, two) = (clip(50, 1), clip(50, 2));
    repeat(&mut net, leg(1, 0), &one);
    repeat(&mut net, leg(2, 0), &two);
    net.run(2_500);
    assert!(contains(&net.heard_by(leg(2, 0)), one.bytes(Codec::Pcmu)));
    assert!(contains(&net.heard_by(leg(1, 0)), two.bytes(Codec::Pcmu)));
}

/// Two packets under one number are two texts under one key stream, even if all that differs is the marker of a
/// relay's first packet, or what a stateful decoder made of the same bytes.
#[test]
fn no_number_is_encrypted_twice_when_a_network_doubles_packets() {
    for heard in [Format::from(Codec::Pcmu), Format::G722] {
        let mut net = Net::new(3);
        join(&mut net, leg(0, 0), leg(1, 0), Suite::AeadAes128Gcm);
        net.join(leg(0, 1), leg(2, 0), heard);
        let one = clip(50, 1);
        repeat(&mut net, leg(2, 0), &one);
        net.run(100);
        net.command(Command::Bridge {
            a: leg(0, 0),
            b: leg(0, 1),
        });
        let before = net.sent_by(leg(0, 0)).len();
        // Each comes again, some right behind themselves, some after others.
        net.fate = Box::new(|n| vec![1, 1 + n % 3 * 25]);
        net.run(2_000);
        let sent = net.sent_by(leg(0, 0));
        let numbers: HashSet<(u32, u16)> = sent
            .iter()
            .map(|sent| (sent.packet().ssrc, sent.packet().sequence))
            .collect();
        assert_eq!(numbers.len(), sent.len(), "{heard}");
        assert!((95..=105).contains(&(sent.len() - before)), "{heard}");
    }
}

#[test]
fn garbage_and_repetitions_change_nothing() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    join(&mut net, server, phone, Suite::AeadAes128Gcm);
    let one = clip(50, 1);
    repeat(&mut net, phone, &one);
    net.run(600);
    let from_phone = address(phone).to_string();
    // Ten recorded packets again, the same with a bit changed, noise, plain RTP with a key event: each a hundred times.
    let recorded: Vec<Vec<u8>> = net
        .sent_by(phone)
        .iter()
        .map(|sent| sent.bytes.clone())
        .collect();
    let ssrc = Packet::parse(&recorded[0]).unwrap().ssrc.to_be_bytes();
    let key_event = [
        &[0x80, 0xe5, 0x40, 0, 0, 0, 0, 9][..],
        &ssrc,
        &[5, 0x8a, 3, 32],
    ]
    .concat();
    for round in 0..100u8 {
        for packet in recorded.iter().rev().take(10) {
            net.inject(&from_phone, server, packet);
            let mut damaged = packet.clone();
            // Its number unheard so far, so that it isn't thrown away as a repetition.
            damaged[2] = damaged[2].wrapping_add(0x10);
            damaged[20] ^= round | 1;
            net.inject(&from_phone, server, &damaged);
        }
        net.inject(&from_phone, server, &key_event);
        net.inject(&from_phone, server, &[round; 172]);
        net.inject(
            &from_phone.replace("10000", "10001"),
            server,
            &[0x80, 203, 0, 1, 1, 2, 3, 4],
        );
        net.run(20);
    }
    net.run(500);
    assert_eq!(net.digits(server), "");
    let heard = net.heard_by(server);
    let frames = net.sent_by(phone).len();
    assert!(
        heard.len().div_ceil(160).abs_diff(frames) <= 1,
        "{} {frames}",
        heard.len()
    );
    let around = [one.bytes(Codec::Pcmu), one.bytes(Codec::Pcmu)].concat();
    assert!(
        heard
            .chunks(8_000)
            .step_by(3)
            .all(|second| contains(&around, second))
    );
    let stats = closed(&mut net, server);
    assert_eq!(stats.packets_lost, 0, "{stats:?}");
    assert_eq!(stats.packets_ignored, 100 * (10 + 10 + 3), "{stats:?}");
    assert_eq!(stats.packets_forged, 100 * 10, "{stats:?}");
}

#[test]
fn a_natted_far_side_is_learnt_by_genuine_packets_alone() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    join(&mut net, server, phone, Suite::AesCm128HmacSha1_32);
    let (mut ours, _) = agreed(server, phone, Suite::AesCm128HmacSha1_32, 1);
    ours.remote_rtp = "10.0.0.9:4000".parse().unwrap();
    net.command(Command::Connect {
        leg: server,
        negotiated: ours,
        natted: Some(address(phone).ip()),
    });
    for sequence in 0..50u8 {
        let packet = [
            &[0x80, 0, 0, sequence, 0, 0, 0, 0, 6, 6, 6, 6][..],
            &[0; 164],
        ]
        .concat();
        net.inject("203.0.113.66:4000", server, &packet);
    }
    repeat(&mut net, phone, &clip(50, 1));
    net.run(200);
    let learned: Vec<String> = net
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Learned { remote, .. } => Some(remote.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(learned, [address(phone).to_string()]);
}

#[test]
fn new_descriptions_keep_keys_or_begin_anew() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    join(&mut net, server, phone, Suite::AesCm128HmacSha1_80);
    let one = clip(50, 1);
    repeat(&mut net, server, &one);
    repeat(&mut net, phone, &one);
    net.run(1_000);
    let sources = |net: &Net| -> Vec<u32> {
        let mut sources: Vec<u32> = net
            .sent_by(server)
            .iter()
            .map(|sent| sent.packet().ssrc)
            .collect();
        sources.dedup();
        sources
    };
    // The same keys: one stream, no hole.
    connect(&mut net, server, phone, Suite::AesCm128HmacSha1_80, 1);
    net.run(1_000);
    assert_eq!(sources(&net).len(), 1);
    // Other keys, and the first ones again: another source each time, so that no number is used twice with a key.
    connect(&mut net, server, phone, Suite::AesCm128HmacSha1_80, 50);
    net.run(1_000);
    connect(&mut net, server, phone, Suite::AesCm128HmacSha1_80, 1);
    net.run(1_000);
    let sources = sources(&net);
    assert_eq!(sources.len(), 3);
    assert_ne!(sources[0], sources[2]);
    let stats = closed(&mut net, phone);
    assert!(stats.packets_received > 190, "{stats:?}");
}

/// A leg whose keys the far side doesn't have neither speaks nor hears in the clear.
#[test]
fn nothing_crosses_under_other_keys() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    join(&mut net, server, phone, Suite::AeadAes256Gcm);
    let (_, theirs) = agreed(server, phone, Suite::AeadAes256Gcm, 90);
    for negotiated in [theirs, crate::net::towards(server, Codec::Pcmu)] {
        let before = net.heard_by(server).len();
        net.command(Command::Connect {
            leg: phone,
            negotiated,
            natted: None,
        });
        repeat(&mut net, phone, &clip(50, 1));
        net.run(500);
        assert_eq!(net.heard_by(server).len(), before);
    }
}
