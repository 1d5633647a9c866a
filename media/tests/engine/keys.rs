//! Keys pressed are told once and stop what they may.

use media::codec::Codec;
use media::engine::{Event, PlayOutcome};

use crate::net::{Net, leg};
use crate::{clip, ended, play, press};

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
