//! Whose packets are taken, and where ours go.

use media::codec::Codec;
use media::engine::{Command, Event, LegId};
use media::rtp::Header;
use media::sdp::Direction;

use crate::net::{Net, address, leg, towards};
use crate::{clip, play, stats};

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
        natted: Some(address(phone).ip()),
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
        natted: Some(address(phone).ip()),
    });
    net.run(30);
    assert_eq!(
        net.sent_by(server).last().unwrap().to.to_string(),
        "192.0.2.2:10004"
    );
}

const SERVER: fn() -> LegId = || leg(0, 0);
const PHONE: fn() -> LegId = || leg(1, 0);
const STRANGER: &str = "203.0.113.66:4000";

/// A phone that says an address of its own network, which is nobody's here.
fn natted(direction: Direction) -> Command {
    let mut negotiated = towards(PHONE(), Codec::Pcmu);
    negotiated.remote_rtp = "10.0.0.9:4000".parse().unwrap();
    negotiated.remote_rtcp = "10.0.0.9:4001".parse().unwrap();
    negotiated.direction = direction;
    Command::Connect {
        leg: SERVER(),
        negotiated,
        natted: Some(address(PHONE()).ip()),
    }
}

/// The server's leg plays to a natted phone, which plays too if `talking`.
fn behind_a_nat(talking: bool) -> Net {
    let mut net = Net::new(2);
    net.join(SERVER(), PHONE(), Codec::Pcmu);
    net.command(natted(Direction::SendRecv));
    for leg in [SERVER(), PHONE()] {
        if talking || leg == SERVER() {
            net.command(Command::Loop {
                leg,
                clip: clip(5, 1),
                offset_ms: 0,
            });
        }
    }
    if !talking {
        net.fate = Box::new(|_| vec![]);
    }
    net
}

fn audio(sequence: u16) -> Vec<u8> {
    let header = Header {
        marker: false,
        payload_type: 0,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 666,
    };
    [&header.bytes()[..], &[0; 160]].concat()
}

/// A stranger's packets in a row for so long. How many went to them?
fn bleed(net: &mut Net, packets: u16) -> usize {
    let before = net.sent.len();
    for sequence in 0..packets {
        net.inject(STRANGER, SERVER(), &audio(sequence));
        net.run(20);
    }
    let sent = net.sent[before..].iter();
    sent.filter(|sent| sent.to.to_string() == STRANGER).count()
}

#[test]
fn a_stranger_takes_no_part_in_a_natted_phone_s_hold() {
    for held in [
        Direction::RecvOnly,
        Direction::SendOnly,
        Direction::Inactive,
    ] {
        let mut net = behind_a_nat(true);
        net.run(1_000);
        net.command(Command::Stop { leg: PHONE() });
        net.run(200);
        net.command(natted(held));
        net.command(Command::Listen {
            leg: SERVER(),
            on: true,
        });
        net.fate = Box::new(|_| vec![]);
        // While it is held, and, as it says nothing at first, when it comes back.
        assert_eq!(bleed(&mut net, 500), 0, "{held:?}");
        net.command(natted(Direction::SendRecv));
        assert_eq!(bleed(&mut net, 500), 0, "{held:?}");
        assert_eq!(net.heard_by(SERVER()), [], "{held:?}");
        // The phone goes on from another port.
        net.nat.insert(PHONE(), "192.0.2.2:10004".parse().unwrap());
        net.fate = Box::new(|_| vec![1]);
        net.command(Command::Loop {
            leg: PHONE(),
            clip: clip(5, 1),
            offset_ms: 0,
        });
        net.run(200);
        let to = net.sent_by(SERVER()).last().unwrap().to.to_string();
        assert_eq!(to, "192.0.2.2:10004", "{held:?}");
    }
}

#[test]
fn a_stranger_isn_t_learnt_where_the_phone_s_own_host_speaks() {
    // Before its first word.
    let mut net = behind_a_nat(false);
    assert_eq!(bleed(&mut net, 100), 0);
    // It speaks: the stranger goes on all the while.
    net.fate = Box::new(|_| vec![1]);
    net.command(Command::Loop {
        leg: PHONE(),
        clip: clip(5, 1),
        offset_ms: 0,
    });
    assert_eq!(bleed(&mut net, 500), 0);
    assert_eq!(net.sent_by(SERVER()).last().unwrap().to, address(PHONE()));
}

/// Some NATs give audio another of their addresses than signalling.
#[test]
fn another_host_is_learnt_after_seconds_without_the_one_expected() {
    let mut net = behind_a_nat(false);
    let reached = bleed(&mut net, 250);
    assert!((90..=100).contains(&reached), "{reached}");
}
