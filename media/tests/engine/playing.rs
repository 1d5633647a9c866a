//! What is played arrives, as one stream whatever it is made of.

use std::net::SocketAddr;
use std::time::Duration;

use media::clip::Clip;
use media::codec::Codec;
use media::engine::{
    Channel, Command, Engine, EngineConfig, Event, LegId, PlayId, PlayOutcome, Sink,
};

use crate::net::{Net, address, leg, towards};
use crate::{clip, contains, ended, play, stats};

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
            natted: None,
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
