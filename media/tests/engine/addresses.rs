//! Whose packets are taken, and where ours go.

use media::codec::Codec;
use media::engine::{Command, Event};
use media::rtp::Header;

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
