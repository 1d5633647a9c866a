//! Several legs that hear each other as a mix says.

use std::sync::Arc;

use crate::net::{Net, leg};
use media::clip::Clip;
use media::codec::Codec;
use media::engine::{Command, LegId, MIX_MAX, Mix, PlayId};

/// A second of a tone.
fn tone(hertz: f64) -> Arc<Clip> {
    let sample =
        |n: usize| ((n as f64 / 8_000.0 * hertz * std::f64::consts::TAU).sin() * 6_000.0) as i16;
    Clip::from_samples(&(0..8_000).map(sample).collect::<Vec<_>>())
}

/// How loud a tone is in the last second heard by a phone: its amplitude.
fn loudness(net: &Net, phone: LegId, codec: Codec, hertz: f64) -> f64 {
    let heard = net.heard_by(phone);
    let Some(from) = heard.len().checked_sub(8_000) else {
        return 0.0;
    };
    let (mut re, mut im) = (0.0, 0.0);
    for (n, byte) in heard[from..].iter().enumerate() {
        let (sine, cosine) = (n as f64 / 8_000.0 * hertz * std::f64::consts::TAU).sin_cos();
        re += f64::from(codec.decode(*byte)) * cosine;
        im += f64::from(codec.decode(*byte)) * sine;
    }
    (re * re + im * im).sqrt() / 4_000.0
}

const PITCHES_HZ: [f64; 4] = [400.0, 600.0, 900.0, 1_300.0];

fn server(n: usize) -> LegId {
    leg(0, n as u32)
}

fn phone(n: usize) -> LegId {
    leg(n as u8 + 1, 0)
}

fn codec(n: usize) -> Codec {
    [Codec::Pcmu, Codec::Pcma][n % 2]
}

/// So many phones, each humming its own pitch, and the server between them.
fn humming(phones: usize) -> Net {
    let mut net = Net::new(phones as u8 + 1);
    for (n, hertz) in PITCHES_HZ.into_iter().enumerate().take(phones) {
        net.join(server(n), phone(n), codec(n));
        net.command(Command::Listen {
            leg: phone(n),
            on: true,
        });
        net.command(Command::Loop {
            leg: phone(n),
            clip: tone(hertz),
            offset_ms: 0,
        });
    }
    net
}

fn all(phones: usize) -> Mix {
    Mix::new(&(0..phones).map(server).collect::<Vec<_>>()).unwrap()
}

/// Who hears whom: a digit for each pair, tenths of the loudness at which it hums.
fn hearing(net: &Net, phones: usize) -> Vec<String> {
    (0..phones)
        .map(|hearer| {
            (0..phones)
                .map(|speaker| {
                    let loud = loudness(net, phone(hearer), codec(hearer), PITCHES_HZ[speaker]);
                    char::from(b'0' + (loud / 600.0).round().min(40.0) as u8)
                })
                .collect()
        })
        .collect()
}

#[test]
fn three_hear_each_other_and_not_themselves() {
    let mut net = humming(3);
    net.command(Command::Mix(all(3)));
    net.run(4_000);
    assert_eq!(hearing(&net, 3), ["0::", ":0:", "::0"]);
    // The streams are paced like any other.
    let sent = net.sent_by(server(0));
    for pair in sent[20..].windows(2) {
        assert_eq!(pair[1].at_ms - pair[0].at_ms, 20);
    }
}

/// Caller 0, agent 1, supervisor 2.
#[test]
fn a_supervisor_listens_whispers_and_barges_in() {
    let mut net = humming(3);
    let [caller, agent, supervisor] = [0, 1, 2].map(server);
    let listening = all(3)
        .with(caller, supervisor, 0)
        .with(agent, supervisor, 0);
    net.command(Command::Mix(listening.clone()));
    net.run(3_000);
    assert_eq!(hearing(&net, 3), ["0:0", ":00", "::0"]);
    net.command(Command::Mix(listening.with(agent, supervisor, 50)));
    net.run(3_000);
    assert_eq!(hearing(&net, 3), ["0:0", ":05", "::0"]);
    net.command(Command::Mix(all(3)));
    net.run(3_000);
    assert_eq!(hearing(&net, 3), ["0::", ":0:", "::0"]);
    // The supervisor leaves; the two talk on, and then without a mix.
    net.command(Command::Close { leg: supervisor });
    net.run(3_000);
    assert_eq!(hearing(&net, 2), ["0:", ":0"]);
    net.command(Command::Bridge {
        a: caller,
        b: agent,
    });
    net.run(3_000);
    assert_eq!(hearing(&net, 2), ["0:", ":0"]);
}

#[test]
fn a_prompt_to_one_of_them_is_heard_by_that_one() {
    let mut net = humming(3);
    net.command(Command::Mix(all(3)));
    net.run(1_000);
    net.command(Command::Play {
        leg: server(0),
        play: PlayId(1),
        clips: vec![tone(PITCHES_HZ[3]); 3],
        barge_in: false,
    });
    net.run(2_500);
    assert_eq!(hearing(&net, 3)[0], "000");
    assert_eq!(hearing(&net, 3)[1], ":0:");
    assert!(loudness(&net, phone(0), codec(0), PITCHES_HZ[3]) > 5_000.0);
    net.command(Command::Mix(all(3)));
    net.run(2_000);
    assert_eq!(hearing(&net, 3), ["0::", ":0:", "::0"]);
}

#[test]
fn a_bad_network_of_one_is_evened_out_for_the_others() {
    let mut net = humming(3);
    net.command(Command::Mix(all(3)));
    net.fate = Box::new(|n| {
        if n % 33 == 7 {
            vec![]
        } else {
            vec![1 + n * 13 % 45]
        }
    });
    net.run(10_000);
    for (hearer, row) in hearing(&net, 3).into_iter().enumerate() {
        for (speaker, loud) in row.bytes().enumerate() {
            let expected = if hearer == speaker {
                b'0'..=b'1'
            } else {
                b'6'..=b';'
            };
            assert!(
                expected.contains(&loud),
                "{hearer} {speaker} {}",
                loud as char
            );
        }
    }
}

#[test]
fn what_can_t_be_mixed_does_nothing() {
    let legs: Vec<LegId> = (0..MIX_MAX as u32 + 1).map(|n| leg(0, n)).collect();
    assert!(Mix::new(&legs).is_none() && Mix::new(&[]).is_none());
    assert!(Mix::new(&legs[..MIX_MAX]).is_some());
    let mut net = humming(2);
    let strange = Mix::new(&[server(0), server(0), leg(0, 77)]).unwrap();
    assert_eq!(strange.members().len(), 2);
    net.command(Command::Mix(strange.with(leg(3, 3), server(0), 9)));
    net.run(2_000);
    assert_eq!(hearing(&net, 2), ["00", "00"]);
}
