//! Keys as tones where no telephone events were agreed on: heard, made, and passed on from one side to the other.

use crate::net::{Net, leg, towards};
use media::codec::Codec;
use media::dtmf::Digit;
use media::engine::{Command, Event, LegId, PlayId, PlayOutcome};

const KEYS: &str = "0123456789*#ABCD";

fn connect(net: &mut Net, leg: LegId, far: LegId, codec: Codec, events: bool) {
    let mut negotiated = towards(far, codec);
    if !events {
        negotiated.telephone_event = None;
        negotiated.receive_telephone_event = None;
    }
    net.command(Command::Connect {
        leg,
        negotiated,
        natted: None,
    });
}

fn join(net: &mut Net, one: LegId, other: LegId, codec: Codec, events: bool) {
    for (leg, far) in [(one, other), (other, one)] {
        net.command(Command::Open { leg });
        connect(net, leg, far, codec, events);
    }
}

fn press(net: &mut Net, leg: LegId, keys: &str) {
    net.command(Command::SendDigits {
        leg,
        digits: keys.chars().filter_map(Digit::from_char).collect(),
        tone_ms: 60,
        gap_ms: 40,
    });
}

#[test]
fn keys_cross_as_tones() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let (server, phone) = (leg(0, 0), leg(1, 0));
        let mut net = Net::new(2);
        join(&mut net, server, phone, codec, false);
        net.command(Command::Play {
            leg: server,
            play: PlayId(1),
            clips: vec![media::music::on_hold()],
            barge_in: true,
        });
        net.run(500);
        press(&mut net, phone, KEYS);
        net.run(4_000);
        assert_eq!(net.digits(server), KEYS);
        let told: Vec<&Event> = net.events.iter().map(|(_, event)| event).collect();
        let stopped = told.iter().any(|event| {
            matches!(
                event,
                Event::PlayEnded {
                    outcome: PlayOutcome::BargedIn,
                    ..
                }
            )
        });
        let sent = Event::DigitsSent {
            leg: phone,
            count: 16,
        };
        assert!(stopped && told.contains(&&sent));
        // The prompt, heard by the phone, is no key.
        assert_eq!(net.digits(phone), "");
    }
}

#[test]
fn tones_survive_a_bad_network() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    join(&mut net, server, phone, Codec::Pcmu, false);
    // One in 25 lost; the rest shaken by less than a packet.
    net.fate = Box::new(|n| {
        if n % 25 == 7 {
            vec![]
        } else {
            vec![1 + n * 13 % 19]
        }
    });
    net.command(Command::SendDigits {
        leg: phone,
        digits: KEYS
            .repeat(4)
            .chars()
            .filter_map(Digit::from_char)
            .collect(),
        tone_ms: 160,
        gap_ms: 120,
    });
    net.run(20_000);
    assert_eq!(net.digits(server), KEYS.repeat(4));
}

#[test]
fn events_are_passed_on_as_tones_and_tones_as_they_are() {
    let mut net = Net::new(3);
    join(&mut net, leg(0, 0), leg(1, 0), Codec::Pcmu, true);
    join(&mut net, leg(0, 1), leg(2, 0), Codec::Pcma, false);
    net.command(Command::Bridge {
        a: leg(0, 0),
        b: leg(0, 1),
    });
    for phone in [leg(1, 0), leg(2, 0)] {
        net.command(Command::Loop {
            leg: phone,
            clip: media::music::on_hold(),
            offset_ms: 0,
        });
    }
    net.run(300);
    net.command(Command::SendDigits {
        leg: leg(1, 0),
        digits: "4711".chars().filter_map(Digit::from_char).collect(),
        tone_ms: 200,
        gap_ms: 100,
    });
    net.run(2_000);
    assert_eq!(net.digits(leg(0, 0)), "4711");
    assert_eq!(net.digits(leg(2, 0)), "4711");
    press(&mut net, leg(2, 0), "09");
    net.run(1_000);
    assert_eq!(net.digits(leg(0, 1)), "09");
    // Nobody is told of keys that nobody commanded.
    let told: Vec<_> = net
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::DigitsSent { .. }))
        .map(|(_, event)| event.leg())
        .collect();
    assert_eq!(told, [leg(1, 0), leg(2, 0)]);
}

#[test]
fn a_tone_that_is_cut_off_ends() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    join(&mut net, server, phone, Codec::Pcmu, false);
    net.command(Command::SendDigits {
        leg: phone,
        digits: Digit::from_char('5').into_iter().collect(),
        tone_ms: 5_000,
        gap_ms: 0,
    });
    net.run(500);
    net.fate = Box::new(|_| vec![]);
    net.run(500);
    let ended = net.events.iter().find_map(|(at, event)| match event {
        Event::DigitEnded { duration_ms, .. } => Some((*at, *duration_ms)),
        _ => None,
    });
    let (at, duration_ms) = ended.expect("it ended");
    assert!(
        (700..=800).contains(&at) && (400..=500).contains(&duration_ms),
        "{at} {duration_ms}"
    );
}
