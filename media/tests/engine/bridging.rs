//! Two legs that hear each other.

use media::clip::Clip;
use media::codec::Codec;
use media::engine::{Command, PlayOutcome};

use crate::net::{leg, towards};
use crate::{bridged, clip, contains, ended, play, press, stats};

#[test]
fn both_hear_each_other() {
    for (left, right) in [
        (Codec::Pcmu, Codec::Pcmu),
        (Codec::Pcma, Codec::Pcmu),
        (Codec::Pcmu, Codec::Pcma),
    ] {
        let mut net = bridged(left, right);
        let (one, two) = (clip(50, 1), clip(50, 2));
        net.command(play(leg(1, 0), 1, &[&one], false));
        net.command(play(leg(2, 0), 2, &[&two], false));
        net.run(1_500);
        let through = |clip: &Clip, from: Codec, to: Codec| -> Vec<u8> {
            let table = from.transcoding(to);
            clip.bytes(from)
                .iter()
                .map(|&byte| table.map_or(byte, |table| table[usize::from(byte)]))
                .collect()
        };
        assert!(contains(
            &net.heard_by(leg(2, 0)),
            &through(&one, left, right)
        ));
        assert!(contains(
            &net.heard_by(leg(1, 0)),
            &through(&two, right, left)
        ));
    }
}

#[test]
fn a_relay_adds_no_delay_and_keeps_holes() {
    let mut net = bridged(Codec::Pcmu, Codec::Pcmu);
    net.fate = Box::new(|n| {
        if n % 10 == 3 {
            vec![]
        } else {
            vec![1 + n % 3 * 15]
        }
    });
    net.command(Command::Loop {
        leg: leg(1, 0),
        clip: clip(20, 1),
        offset_ms: 0,
    });
    net.run(5_000);
    for number in 0..2 {
        net.command(Command::Close {
            leg: leg(0, number),
        });
        net.command(Command::Close {
            leg: leg(number as u8 + 1, 0),
        });
    }
    let relayed = stats(&net, leg(0, 0));
    let end = stats(&net, leg(2, 0));
    // The far phone knows of both stretches' losses.
    assert!(
        end.packets_lost > relayed.packets_lost && relayed.packets_lost > 10,
        "{relayed:?} {end:?}"
    );
    // Each time round the clip, a frame's timestamp is 20 frames on, whatever was lost or late between.
    let music = clip(20, 1);
    let seventh = music.frame(Codec::Pcmu, 7).unwrap();
    let sent = net.sent_by(leg(0, 1));
    let stamps: Vec<u32> = sent
        .iter()
        .map(|sent| sent.packet())
        .filter(|packet| packet.payload == seventh)
        .map(|packet| packet.timestamp)
        .collect();
    assert!(stamps.len() > 5);
    assert!(
        stamps
            .iter()
            .all(|stamp| (stamp.wrapping_sub(stamps[0]) as i32) % 3_200 == 0)
    );
}

#[test]
fn from_prompt_to_bridge_and_back_is_one_stream() {
    let mut net = bridged(Codec::Pcmu, Codec::Pcmu);
    let (server, phone) = (leg(0, 1), leg(2, 0));
    net.command(Command::Loop {
        leg: leg(1, 0),
        clip: clip(50, 1),
        offset_ms: 0,
    });
    for round in 0..4 {
        net.command(play(server, round, &[&clip(40, 2)], false));
        net.run(507);
        net.command(Command::Bridge {
            a: leg(0, 0),
            b: server,
        });
        net.run(511);
    }
    let sent = net.sent_by(server);
    let mut markers = 0;
    for pair in sent.windows(2) {
        let (before, after) = (pair[0].packet(), pair[1].packet());
        assert_eq!(
            (after.ssrc, after.sequence),
            (before.ssrc, before.sequence.wrapping_add(1))
        );
        let step = after.timestamp.wrapping_sub(before.timestamp);
        assert!((160..=480).contains(&step), "{step}");
        markers += u32::from(after.marker);
    }
    assert!((4..=8).contains(&markers), "{markers}");
    assert!(
        ended(&net)
            .iter()
            .all(|(_, _, outcome)| *outcome == PlayOutcome::Stopped)
    );
    net.command(Command::Close { leg: phone });
    assert_eq!(stats(&net, phone).packets_lost, 0);
}

#[test]
fn keys_cross_a_bridge_with_their_own_payload_type() {
    let mut net = bridged(Codec::Pcmu, Codec::Pcma);
    let mut negotiated = towards(leg(2, 0), Codec::Pcma);
    negotiated.telephone_event = Some(96);
    net.command(Command::Connect {
        leg: leg(0, 1),
        negotiated,
        natted: None,
    });
    let mut phone = towards(leg(0, 1), Codec::Pcma);
    phone.receive_telephone_event = Some(96);
    net.command(Command::Connect {
        leg: leg(2, 0),
        negotiated: phone,
        natted: None,
    });
    net.command(Command::Loop {
        leg: leg(1, 0),
        clip: clip(50, 1),
        offset_ms: 0,
    });
    net.run(500);
    net.command(press(leg(1, 0), "47"));
    net.run(1_000);
    assert_eq!(net.digits(leg(0, 0)), "47");
    assert_eq!(net.digits(leg(2, 0)), "47");
    assert_eq!(net.digits(leg(0, 1)), "");
}

#[test]
fn a_prompt_to_one_side_leaves_the_other_hearing() {
    let mut net = bridged(Codec::Pcmu, Codec::Pcmu);
    net.command(Command::Loop {
        leg: leg(1, 0),
        clip: clip(50, 1),
        offset_ms: 0,
    });
    net.command(play(leg(0, 0), 1, &[&clip(20, 2)], false));
    net.run(400);
    assert!(contains(
        &net.heard_by(leg(2, 0)),
        clip(50, 1).frame(Codec::Pcmu, 10).unwrap()
    ));
    assert!(contains(
        &net.heard_by(leg(1, 0)),
        clip(20, 2).frame(Codec::Pcmu, 10).unwrap()
    ));
}

#[test]
fn whoever_is_left_gets_silence_and_can_be_bridged_again() {
    let mut net = bridged(Codec::Pcmu, Codec::Pcmu);
    net.command(Command::Loop {
        leg: leg(1, 0),
        clip: clip(50, 1),
        offset_ms: 0,
    });
    net.run(300);
    net.command(Command::Close { leg: leg(0, 1) });
    net.join(leg(0, 2), leg(2, 1), Codec::Pcmu);
    net.command(Command::Listen {
        leg: leg(2, 1),
        on: true,
    });
    net.command(Command::Bridge {
        a: leg(0, 0),
        b: leg(0, 2),
    });
    net.run(300);
    assert!(contains(
        &net.heard_by(leg(2, 1)),
        clip(50, 1).frame(Codec::Pcmu, 20).unwrap()
    ));
}
