//! The engine on a virtual wire: what is played arrives, keys are told, bridges carry, strangers don't.

mod net;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use media::clip::Clip;
use media::codec::Codec;
use media::dtmf::Digit;
use media::engine::{
    Channel, Command, Engine, EngineConfig, Event, LegId, LegStats, PlayId, PlayOutcome, Sink,
};
use media::rtp::Header;
use media::sdp::Direction;
use net::{Net, address, leg, towards};

/// A clip in which no two frames are alike.
fn clip(frames: usize, seed: i32) -> Arc<Clip> {
    let sample = |n: usize| ((n as i32 * 7_919 + seed * 104_729) % 30_000 - 15_000) as i16;
    Clip::from_samples(&(0..frames * 160).map(sample).collect::<Vec<_>>())
}

fn play(leg: LegId, play: u64, clips: &[&Arc<Clip>], barge_in: bool) -> Command {
    let clips = clips.iter().map(|&clip| clip.clone()).collect();
    Command::Play {
        leg,
        play: PlayId(play),
        clips,
        barge_in,
    }
}

fn press(leg: LegId, keys: &str) -> Command {
    let digits = keys.chars().filter_map(Digit::from_char).collect();
    Command::SendDigits {
        leg,
        digits,
        tone_ms: 100,
        gap_ms: 60,
    }
}

fn contains(heard: &[u8], wanted: &[u8]) -> bool {
    heard.windows(wanted.len()).any(|window| window == wanted)
}

fn ended(net: &Net) -> Vec<(u64, PlayId, PlayOutcome)> {
    net.events
        .iter()
        .filter_map(|(at, event)| match event {
            Event::PlayEnded { play, outcome, .. } => Some((*at, *play, *outcome)),
            _ => None,
        })
        .collect()
}

fn stats(net: &Net, of: LegId) -> LegStats {
    net.events
        .iter()
        .find_map(|(_, event)| match event {
            Event::Closed { leg, stats } if *leg == of => Some(*stats),
            _ => None,
        })
        .expect("the leg was closed")
}

#[test]
fn prompts_arrive_bit_for_bit() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let (server, phone) = (leg(0, 0), leg(1, 0));
        let mut net = Net::new(2);
        net.join(server, phone, codec);
        net.command(Command::Listen {
            leg: phone,
            on: true,
        });
        let (one, two) = (clip(50, 1), clip(25, 2));
        let empty = Clip::from_samples(&[]);
        net.command(play(server, 7, &[&empty, &one, &empty, &two], true));
        net.run(1_700);
        let wanted = [one.bytes(codec), two.bytes(codec)].concat();
        assert!(contains(&net.heard_by(phone), &wanted));
        let [(at, PlayId(7), PlayOutcome::Finished)] = ended(&net)[..] else {
            panic!("{:?}", ended(&net))
        };
        assert!((1_500..=1_525).contains(&at), "{at}");
    }
}

#[test]
fn one_stream_whatever_is_played() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.join(server, phone, Codec::Pcmu);
    net.run(300);
    net.command(play(server, 1, &[&clip(10, 1)], false));
    net.run(400);
    net.command(Command::Loop {
        leg: server,
        clip: clip(5, 2),
        offset_ms: 40,
    });
    net.run(400);
    net.command(Command::Stop { leg: server });
    net.run(3_000);
    let sent = net.sent_by(server);
    assert!(sent[0].packet().marker);
    for pair in sent.windows(2) {
        let (before, after) = (pair[0].packet(), pair[1].packet());
        assert_eq!(after.ssrc, before.ssrc);
        assert_eq!(after.sequence, before.sequence.wrapping_add(1));
        let step = after.timestamp.wrapping_sub(before.timestamp);
        assert_eq!(u64::from(step), (pair[1].at_ms - pair[0].at_ms) * 8);
        assert_eq!(after.marker, step != 160);
    }
    // Silence is kept alive once a second, after a short tail.
    let tail = sent.iter().filter(|sent| sent.at_ms > 1_100).count();
    assert!((5..=8).contains(&tail), "{tail}");
}

#[test]
fn the_loop_goes_round_from_its_offset() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.join(server, phone, Codec::Pcmu);
    net.command(Command::Listen {
        leg: phone,
        on: true,
    });
    let music = clip(5, 3);
    net.command(Command::Loop {
        leg: server,
        clip: music.clone(),
        offset_ms: 5 * 20 + 47,
    });
    net.run(500);
    let bytes = music.bytes(Codec::Pcmu);
    let wanted = [&bytes[2 * 160..], bytes, bytes].concat();
    assert_eq!(net.heard_by(phone)[..wanted.len()], wanted);
}

#[test]
fn a_key_stops_the_prompt_and_is_told_first() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.join(server, phone, Codec::Pcmu);
    net.command(play(server, 1, &[&clip(500, 1)], true));
    net.run(1_000);
    net.command(press(phone, "5"));
    net.run(1_000);
    let about: Vec<&Event> = net
        .events
        .iter()
        .map(|(_, event)| event)
        .filter(|event| event.leg() == server)
        .collect();
    assert!(
        matches!(
            about[..],
            [
                Event::Digit { .. },
                Event::PlayEnded {
                    outcome: PlayOutcome::BargedIn,
                    ..
                },
                Event::DigitEnded {
                    duration_ms: 100,
                    ..
                }
            ]
        ),
        "{about:?}"
    );
    let last_loud = net
        .sent_by(server)
        .iter()
        .rfind(|sent| sent.packet().payload != [0xff; 160])
        .unwrap()
        .at_ms;
    assert!(last_loud < 1_030, "{last_loud}");
    assert_eq!(net.digits(server), "5");
}

#[test]
fn keys_don_t_stop_what_they_must_not() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.join(server, phone, Codec::Pcmu);
    net.command(play(server, 1, &[&clip(100, 1)], false));
    net.command(press(phone, "12*#AD"));
    net.run(2_500);
    assert_eq!(net.digits(server), "12*#AD");
    assert_eq!(ended(&net)[0].2, PlayOutcome::Finished);
    assert!(net.events.iter().any(|(_, event)| *event
        == Event::DigitsSent {
            leg: phone,
            count: 6
        }));
}

#[test]
fn keys_survive_a_bad_network() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.join(server, phone, Codec::Pcmu);
    // A third lost, some doubled, all shaken.
    net.fate = Box::new(|n| match n % 6 {
        1 | 4 => vec![],
        3 => vec![1 + n % 45, 30],
        _ => vec![1 + n * 13 % 45],
    });
    net.command(press(phone, "00112233445566778899"));
    net.run(6_000);
    let mut digits: Vec<char> = net.digits(server).chars().collect();
    digits.sort_unstable();
    assert_eq!(
        digits.into_iter().collect::<String>(),
        "00112233445566778899"
    );
}

/// Two phones on two engines, bridged by a third between them.
fn bridged(left: Codec, right: Codec) -> Net {
    let mut net = Net::new(3);
    net.join(leg(0, 0), leg(1, 0), left);
    net.join(leg(0, 1), leg(2, 0), right);
    net.command(Command::Bridge {
        a: leg(0, 0),
        b: leg(0, 1),
    });
    net.command(Command::Listen {
        leg: leg(1, 0),
        on: true,
    });
    net.command(Command::Listen {
        leg: leg(2, 0),
        on: true,
    });
    net
}

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
        natted: false,
    });
    let mut phone = towards(leg(0, 1), Codec::Pcma);
    phone.receive_telephone_event = Some(96);
    net.command(Command::Connect {
        leg: leg(2, 0),
        negotiated: phone,
        natted: false,
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

#[test]
fn strangers_are_ignored() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.join(server, phone, Codec::Pcmu);
    net.command(play(server, 1, &[&clip(100, 1)], true));
    net.run(100);
    let target = address(phone);
    for sequence in 0..50 {
        let header = Header {
            marker: true,
            payload_type: 101,
            sequence,
            timestamp: 9,
            ssrc: 666,
        };
        let bytes = [&header.bytes()[..], &[1, 0x8a, 3, 32]].concat();
        net.inject("203.0.113.66:4000", server, &bytes);
        net.run(20);
    }
    assert_eq!(net.digits(server), "");
    assert!(net.sent_by(server).iter().all(|sent| sent.to == target));
    net.command(Command::Close { leg: server });
    assert_eq!(stats(&net, server).packets_ignored, 50);
}

#[test]
fn a_natted_phone_is_learnt_and_kept() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.join(server, phone, Codec::Pcmu);
    let mut negotiated = towards(phone, Codec::Pcmu);
    negotiated.remote_rtp = "10.0.0.9:4000".parse().unwrap();
    net.command(Command::Connect {
        leg: server,
        negotiated: negotiated.clone(),
        natted: true,
    });
    net.command(Command::Loop {
        leg: phone,
        clip: clip(5, 1),
        offset_ms: 0,
    });
    net.command(Command::Loop {
        leg: server,
        clip: clip(5, 2),
        offset_ms: 0,
    });
    net.run(55);
    let learned = |net: &Net| -> Vec<String> {
        net.events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Learned { remote, .. } => Some(remote.to_string()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(learned(&net), [] as [&str; 0]);
    net.run(45);
    assert_eq!(learned(&net), ["192.0.2.2:10000"]);
    assert_eq!(net.sent_by(server).last().unwrap().to, address(phone));

    // A stranger on another host, and another port of the same host while the phone still talks: neither moves it.
    for sequence in 0..20 {
        let bytes = [
            &Header {
                marker: false,
                payload_type: 0,
                sequence,
                timestamp: 9,
                ssrc: 6,
            }
            .bytes()[..],
            &[0; 160],
        ]
        .concat();
        net.inject("203.0.113.66:4000", server, &bytes);
        net.inject("192.0.2.2:666", server, &bytes);
        net.run(20);
    }
    assert_eq!(learned(&net).len(), 1);

    // The binding changes: after a second of silence the same host is learnt anew.
    net.command(Command::Stop { leg: phone });
    net.run(100);
    net.nat.insert(phone, "192.0.2.2:10004".parse().unwrap());
    net.run(400);
    net.command(Command::Loop {
        leg: phone,
        clip: clip(5, 1),
        offset_ms: 0,
    });
    net.run(500);
    assert_eq!(learned(&net).len(), 1);
    net.run(700);
    assert_eq!(learned(&net), ["192.0.2.2:10000", "192.0.2.2:10004"]);

    // A refresh with the same description sends on to where the phone was learnt to be.
    net.command(Command::Connect {
        leg: server,
        negotiated,
        natted: true,
    });
    net.run(30);
    assert_eq!(
        net.sent_by(server).last().unwrap().to.to_string(),
        "192.0.2.2:10004"
    );
}

#[test]
fn silence_is_noticed_and_its_end() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.join(server, phone, Codec::Pcmu);
    net.run(1_000);
    net.fate = Box::new(|_| vec![]);
    net.run(25_000);
    let lost = |net: &Net| {
        net.events
            .iter()
            .filter(|(_, event)| matches!(event, Event::RtpLost { leg, .. } if *leg == server))
            .count()
    };
    assert_eq!(lost(&net), 1);
    let quiet = |net: &Net| {
        let of = |event: &Event| matches!(event, Event::RtpQuiet { leg, .. } if *leg == server);
        let mut found = net.events.iter().filter(|(_, event)| of(event));
        found.next().map(|(at, _)| at / 1_000)
    };
    assert_eq!(quiet(&net), Some(8));
    net.run(20_000);
    assert_eq!(lost(&net), 2, "once more after as long");
    net.fate = Box::new(|_| vec![1]);
    net.run(1_100);
    assert!(
        net.events
            .iter()
            .any(|(_, event)| *event == Event::RtpBack { leg: server })
    );

    // On hold nobody is missed so soon.
    let mut negotiated = towards(phone, Codec::Pcmu);
    negotiated.direction = Direction::RecvOnly;
    net.command(Command::Connect {
        leg: server,
        negotiated,
        natted: false,
    });
    net.fate = Box::new(|_| vec![]);
    let before = net.sent_by(server).len();
    net.run(60_000);
    assert_eq!(lost(&net), 2);
    // Nor is anything sent to who doesn't want it.
    assert_eq!(net.sent_by(server).len(), before);
}

/// When a leg was given up, in seconds.
fn lost(net: &Net, of: LegId) -> Vec<u64> {
    net.events
        .iter()
        .filter_map(|(at, event)| match event {
            Event::RtpLost { leg, .. } if *leg == of => Some(at / 1_000),
            _ => None,
        })
        .collect()
}

/// What the far side of a leg, on hold since the first second, still does.
fn held(direction: Direction, during: impl Fn(&mut Net, LegId, LegId)) -> Vec<u64> {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.join(server, phone, Codec::Pcmu);
    net.run(1_000);
    let mut negotiated = towards(phone, Codec::Pcmu);
    negotiated.direction = direction;
    net.command(Command::Connect {
        leg: server,
        negotiated,
        natted: false,
    });
    net.fate = Box::new(|_| vec![]);
    during(&mut net, server, phone);
    lost(&net, server)
}

#[test]
fn who_is_on_hold_is_missed_in_the_end() {
    let held_ways = [
        Direction::RecvOnly,
        Direction::SendOnly,
        Direction::Inactive,
    ];
    for direction in held_ways {
        let at = held(direction, |net, _, _| net.run(950_000));
        assert_eq!(at, [901], "{direction:?}");
        // A stranger's packets show nobody's life.
        let at = held(direction, |net, server, _| {
            for _ in 0..19 {
                net.run(50_000);
                net.inject("203.0.113.66:10000", server, &packet_of(7));
            }
        });
        assert_eq!(at, [901], "{direction:?}");
        // Audio shows it, wanted or not.
        let at = held(direction, |net, server, _| {
            for _ in 0..10 {
                net.run(100_000);
                net.inject("192.0.2.2:10000", server, &packet_of(8));
            }
        });
        assert_eq!(at, [] as [u64; 0], "{direction:?}");
        // Reports show it: the phone sends nothing else.
        let at = held(direction, |net, server, phone| {
            let mut negotiated = towards(server, Codec::Pcmu);
            negotiated.direction = Direction::Inactive;
            net.command(Command::Connect {
                leg: phone,
                negotiated,
                natted: false,
            });
            net.fate = Box::new(|_| vec![1]);
            net.run(950_000);
        });
        assert_eq!(at, [] as [u64; 0], "{direction:?}");
    }
    // Whoever comes back is watched as before, with a whole time-out.
    let at = held(Direction::Inactive, |net, server, phone| {
        net.run(500_000);
        net.command(Command::Connect {
            leg: server,
            negotiated: towards(phone, Codec::Pcmu),
            natted: false,
        });
        net.run(60_000);
    });
    // And told of again and again.
    assert_eq!(at, [521, 541, 561]);
}

/// On hold the old way a description names no address, and behind a NAT another than the phone's: its reports still
/// count.
#[test]
fn a_hold_without_an_address_hears_reports() {
    for (hold, natted) in [("0.0.0.0:10000", false), ("10.0.0.9:4002", true)] {
        let (server, phone) = (leg(0, 0), leg(1, 0));
        let mut net = Net::new(2);
        net.join(server, phone, Codec::Pcmu);
        net.run(1_000);
        let mut negotiated = towards(phone, Codec::Pcmu);
        negotiated.remote_rtp = hold.parse().unwrap();
        negotiated.remote_rtcp = negotiated.remote_rtp;
        negotiated.direction = Direction::Inactive;
        let hold = Command::Connect {
            leg: server,
            negotiated: negotiated.clone(),
            natted,
        };
        net.command(hold.clone());
        // A refresh of the hold changes nothing.
        net.command(hold);
        net.run(950_000);
        assert_eq!(lost(&net, server), [] as [u64; 0], "{negotiated:?}");
        net.fate = Box::new(|_| vec![]);
        net.run(1_000_000);
        assert_eq!(lost(&net, server).len(), 1, "{negotiated:?}");
    }
}

#[test]
fn a_leg_that_is_never_connected_is_given_up() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.command(Command::Open { leg: server });
    net.run(200_000);
    assert_eq!(lost(&net, server), [60, 120, 180]);
    // Late is better than never.
    net.command(Command::Open { leg: phone });
    for (leg, far) in [(server, phone), (phone, server)] {
        net.command(Command::Connect {
            leg,
            negotiated: towards(far, Codec::Pcmu),
            natted: false,
        });
    }
    net.run(30_000);
    assert_eq!(lost(&net, server).len(), 3);
    net.fate = Box::new(|_| vec![]);
    net.run(30_000);
    assert_eq!(lost(&net, server).len(), 4);
}

#[test]
fn who_is_not_watched_is_never_missed() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.command(Command::Open { leg: server });
    net.command(Command::Watch {
        leg: server,
        timeout: None,
    });
    net.run(200_000);
    net.command(Command::Connect {
        leg: server,
        negotiated: towards(phone, Codec::Pcmu),
        natted: false,
    });
    net.run(1_000_000);
    let mut negotiated = towards(phone, Codec::Pcmu);
    negotiated.direction = Direction::Inactive;
    net.command(Command::Connect {
        leg: server,
        negotiated,
        natted: false,
    });
    net.run(1_000_000);
    assert_eq!(lost(&net, server), [] as [u64; 0]);
    // Watched again, the hold has its own patience still.
    net.command(Command::Watch {
        leg: server,
        timeout: Some(Duration::from_secs(5)),
    });
    net.run(899_000);
    assert_eq!(lost(&net, server), [] as [u64; 0]);
    net.run(2_000);
    assert_eq!(lost(&net, server).len(), 1);
}

/// A packet of G.711 silence.
fn packet_of(sequence: u16) -> Vec<u8> {
    let header = Header {
        marker: false,
        payload_type: 0,
        sequence,
        timestamp: 9,
        ssrc: 6,
    };
    [&header.bytes()[..], &[0xff; 160]].concat()
}

#[test]
fn reports_tell_the_round_trip_and_the_loss() {
    for mux in [false, true] {
        let (server, phone) = (leg(0, 0), leg(1, 0));
        let mut net = Net::new(2);
        for (leg, far) in [(server, phone), (phone, server)] {
            net.command(Command::Open { leg });
            let mut negotiated = towards(far, Codec::Pcmu);
            negotiated.rtcp_mux = mux;
            net.command(Command::Connect {
                leg,
                negotiated,
                natted: false,
            });
            net.command(Command::Loop {
                leg,
                clip: clip(5, 1),
                offset_ms: 0,
            });
        }
        net.fate = Box::new(|n| if n % 17 == 7 { vec![] } else { vec![40] });
        net.run(60_000);
        net.command(Command::Close { leg: server });
        let stats = stats(&net, server);
        let round_trip_us = stats.round_trip_us.expect("reports crossed");
        assert!(
            (79_000..=82_000).contains(&round_trip_us),
            "{round_trip_us}"
        );
        assert!(stats.remote_lost.unwrap() > 50);
        assert!(
            stats.packets_lost > 50 && stats.packets_received > 2_000,
            "{stats:?}"
        );
        assert!(stats.gap_max >= Duration::from_millis(40));
        // About every 5 s from both, and a goodbye.
        assert!(
            (15..=45).contains(&net.rtcp_sent.len()),
            "{}",
            net.rtcp_sent.len()
        );
        let goodbye = net.rtcp_sent.last().unwrap();
        assert_eq!(goodbye[goodbye.len() - 7], 203);
    }
}

/// Keeps the last packet.
#[derive(Default)]
struct Last(Vec<u8>);

impl Sink for Last {
    fn send(&mut self, _: LegId, channel: Channel, _: SocketAddr, packet: &[u8]) {
        if channel == Channel::Rtp {
            self.0.clear();
            self.0.extend_from_slice(packet);
        }
    }
}

#[test]
fn a_day_long_call_stays_one_stream() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let (mut sending, mut hearing) = (
        Engine::new(EngineConfig::default()),
        Engine::new(EngineConfig::default()),
    );
    let mut wire = Last::default();
    for (engine, leg, far) in [(&mut sending, server, phone), (&mut hearing, phone, server)] {
        engine.command(Duration::ZERO, Command::Open { leg }, &mut wire);
        let connect = Command::Connect {
            leg,
            negotiated: towards(far, Codec::Pcmu),
            natted: false,
        };
        engine.command(Duration::ZERO, connect, &mut wire);
    }
    sending.command(
        Duration::ZERO,
        Command::Loop {
            leg: server,
            clip: clip(5, 1),
            offset_ms: 0,
        },
        &mut wire,
    );
    let phase = sending.phase(server).unwrap();
    let frames = 24 * 3_600 * 50;
    for frame in 0..frames {
        let now = Duration::from_millis(frame * 20);
        sending.slot(now, phase, &mut wire);
        hearing.packet(
            now,
            phone,
            Channel::Rtp,
            address(server),
            &wire.0,
            &mut Last::default(),
        );
    }
    hearing.command(Duration::ZERO, Command::Close { leg: phone }, &mut wire);
    let Some(Event::Closed { stats, .. }) = hearing.poll_event() else {
        panic!("not closed")
    };
    assert_eq!(
        (stats.packets_received, stats.packets_lost, stats.jitter_us),
        (frames, 0, 0)
    );
}

#[test]
fn nonsense_does_nothing() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.command(play(server, 1, &[], false));
    net.command(Command::Close { leg: server });
    net.join(server, phone, Codec::Pcmu);
    net.command(Command::Open { leg: server });
    net.command(Command::Bridge {
        a: server,
        b: server,
    });
    net.command(Command::Bridge {
        a: server,
        b: leg(0, 9),
    });
    net.command(Command::Loop {
        leg: server,
        clip: Clip::from_samples(&[]),
        offset_ms: 99,
    });
    net.run(50);
    net.command(play(server, 2, &[], false));
    net.run(50);
    for bytes in [
        &b""[..],
        b"INVITE sip:",
        &[0x80],
        &[0x80, 201, 0, 0],
        &[0x80, 200, 0xff, 0xff, 0],
    ] {
        net.inject("192.0.2.2:10000", server, bytes);
    }
    assert_eq!(ended(&net).len(), 1);
    net.command(Command::Close { leg: server });
    net.command(Command::Close { leg: server });
    assert_eq!(stats(&net, server).packets_ignored, 5);
    assert_eq!(
        net.events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Closed { .. }))
            .count(),
        1
    );
}
