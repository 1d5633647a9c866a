//! Text telephones: what they type crosses as it is, is no key, and is noticed where that is wanted.

use std::sync::Arc;

use media::clip::Clip;
use media::codec::{Codec, Format};
use media::engine::{Command, Event, LegId};

use crate::net::{Net, leg, towards};
use crate::{contains, play};

/// Characters as TIA-825-A sends them, 45.45 baud: 1 is 1,400 Hz, 0 is 1,800 Hz.
fn typed(codes: impl Iterator<Item = u8>) -> Arc<Clip> {
    let mut samples = Vec::new();
    let mut phase = 0.0f64;
    let mut send = |one: bool, count: usize| {
        for _ in 0..count {
            phase += if one { 1_400.0 } else { 1_800.0 } / 8_000.0 * std::f64::consts::TAU;
            samples.push((phase.sin() * 6_000.0) as i16);
        }
    };
    send(true, 1_200);
    for code in codes {
        send(false, 176);
        for bit in 0..5 {
            send(code >> bit & 1 == 1, 176);
        }
        send(true, 264);
    }
    Clip::from_samples(&samples)
}

fn found(net: &Net) -> Vec<LegId> {
    net.events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::TextTelephone { leg } => Some(*leg),
            _ => None,
        })
        .collect()
}

/// Bit for bit, and neither side hears keys in it, though both look for them.
#[test]
fn what_is_typed_crosses_a_bridge_as_it_is() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut net = Net::new(3);
        for (server, phone) in [(leg(0, 0), leg(1, 0)), (leg(0, 1), leg(2, 0))] {
            for (leg, far) in [(server, phone), (phone, server)] {
                let mut negotiated = towards(far, codec);
                negotiated.telephone_event = None;
                negotiated.receive_telephone_event = None;
                net.command(Command::Open { leg });
                net.command(Command::Connect {
                    leg,
                    negotiated,
                    natted: None,
                });
            }
        }
        net.command(Command::Bridge {
            a: leg(0, 0),
            b: leg(0, 1),
        });
        net.command(Command::FindText { leg: leg(0, 0) });
        net.command(Command::Listen {
            leg: leg(2, 0),
            on: true,
        });
        let text = typed((0..32).cycle().take(96));
        net.command(play(leg(1, 0), 1, &[&text], false));
        net.run(text.length().as_millis() as u64 + 200);
        assert!(contains(&net.heard_by(leg(2, 0)), text.bytes(codec)));
        for leg in [leg(0, 0), leg(2, 0)] {
            assert_eq!(net.digits(leg), "");
        }
        // Once, and only where it is looked for.
        assert_eq!(found(&net), [leg(0, 0)]);
    }
}

/// Its leg is to change to G.711 then.
#[test]
fn what_is_typed_in_g722_is_noticed() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.join(server, phone, Format::G722);
    net.command(Command::FindText { leg: server });
    let text = typed((0..32).cycle().take(96));
    net.command(play(phone, 1, &[&text], false));
    net.run(text.length().as_millis() as u64 + 200);
    assert_eq!(found(&net), [server]);
}

#[test]
fn nobody_else_is_taken_for_one() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.join(server, phone, Codec::Pcmu);
    net.command(Command::FindText { leg: server });
    net.command(Command::Loop {
        leg: phone,
        clip: media::music::on_hold(),
        offset_ms: 0,
    });
    net.run(60_000);
    assert_eq!(found(&net), []);
}
