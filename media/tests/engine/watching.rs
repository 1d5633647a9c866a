//! A far side that falls silent is noticed.

use std::time::Duration;

use media::codec::Codec;
use media::engine::{Command, Event, LegId};
use media::rtp::Header;
use media::sdp::Direction;

use crate::net::{Net, leg, towards};

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
        natted: None,
    });
    net.fate = Box::new(|_| vec![]);
    let before = net.sent_by(server).len();
    net.run(60_000);
    assert_eq!(lost(&net), 2);
    // Nor is anything sent to who doesn't want it.
    assert_eq!(net.sent_by(server).len(), before);
}

#[test]
fn the_first_audio_that_is_awaited_is_told_once() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.fate = Box::new(|_| vec![]);
    net.join(server, phone, Codec::Pcmu);
    net.command(Command::Await { leg: server });
    let began = |net: &Net| {
        let of = |event: &Event| *event == Event::AudioBegan { leg: server };
        net.events.iter().filter(|(_, event)| of(event)).count()
    };
    net.run(2_000);
    assert_eq!(began(&net), 0);
    net.fate = Box::new(|_| vec![1]);
    net.run(2_000);
    assert_eq!(began(&net), 1);
    net.command(Command::Await { leg: server });
    net.run(2_000);
    assert_eq!(began(&net), 2);
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
        natted: None,
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
                natted: None,
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
            natted: None,
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
    for (hold, natted) in [
        ("0.0.0.0:10000", None),
        ("10.0.0.9:4002", Some("192.0.2.2".parse().unwrap())),
    ] {
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
            natted: None,
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
        natted: None,
    });
    net.run(1_000_000);
    let mut negotiated = towards(phone, Codec::Pcmu);
    negotiated.direction = Direction::Inactive;
    net.command(Command::Connect {
        leg: server,
        negotiated,
        natted: None,
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
