//! Legs of G.722: among themselves as it came, with others at 8 kHz.

use std::sync::Arc;

use media::clip::Clip;
use media::codec::{Codec, Format};
use media::engine::{Command, LegId, Mix};
use media::g722::{Decoder, Encoder};
use media::sdp::{Capabilities, LocalMedia, Negotiated};

use crate::net::{Net, address, leg, towards};
use crate::{clip, contains, play, press};

/// A second of a tone.
fn tone(hertz: f64) -> Arc<Clip> {
    let sample =
        |n: usize| ((n as f64 / 8_000.0 * hertz * std::f64::consts::TAU).sin() * 6_000.0) as i16;
    Clip::from_samples(&(0..8_000).map(sample).collect::<Vec<_>>())
}

/// What a leg heard, as samples of 8 kHz.
fn samples(net: &Net, of: LegId, format: Format) -> Vec<i16> {
    let mut decoder = Decoder::default();
    net.heard_by(of)
        .into_iter()
        .map(|byte| match format {
            Format::G711(codec) => codec.decode(byte),
            Format::G722 => decoder.narrow(byte),
        })
        .collect()
}

/// How loud a tone is in the last second that a leg heard: its amplitude.
fn loudness(net: &Net, of: LegId, format: Format, hertz: f64) -> f64 {
    let heard = samples(net, of, format);
    let Some(from) = heard.len().checked_sub(8_000) else {
        return 0.0;
    };
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in heard[from..].iter().enumerate() {
        let (sine, cosine) = (n as f64 / 8_000.0 * hertz * std::f64::consts::TAU).sin_cos();
        re += f64::from(*sample) * cosine;
        im += f64::from(*sample) * sine;
    }
    (re * re + im * im).sqrt() / 4_000.0
}

fn listen(net: &mut Net, leg: LegId) {
    net.command(Command::Listen { leg, on: true });
}

/// Two phones, each on an engine of its own, and the server between them.
fn bridged(left: Format, right: Format) -> Net {
    let mut net = Net::new(3);
    net.join(leg(0, 0), leg(1, 0), left);
    net.join(leg(0, 1), leg(2, 0), right);
    net.command(Command::Bridge {
        a: leg(0, 0),
        b: leg(0, 1),
    });
    listen(&mut net, leg(1, 0));
    listen(&mut net, leg(2, 0));
    net
}

#[test]
fn prompts_are_heard_as_loud_as_they_are() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    net.join(server, phone, Format::G722);
    listen(&mut net, phone);
    net.command(play(server, 1, &[&tone(1_000.0), &tone(1_000.0)], true));
    net.run(1_900);
    let loud = loudness(&net, phone, Format::G722, 1_000.0);
    assert!((5_600.0..6_300.0).contains(&loud), "{loud}");
    // The clock is that of 8 kHz (RFC 3551 section 4.5.2), whatever the codec samples.
    let sent = net.sent_by(server);
    for pair in sent.windows(2) {
        let (before, after) = (pair[0].packet(), pair[1].packet());
        assert_eq!(after.payload_type, 9);
        assert_eq!(after.payload.len(), 160);
        assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 160);
    }
    // A key stops it, as events have the same clock.
    net.command(play(server, 2, &[&tone(500.0)], true));
    net.command(press(phone, "7"));
    net.run(500);
    assert_eq!(net.digits(server), "7");
    assert_eq!(crate::ended(&net).len(), 2);
}

#[test]
fn two_of_them_hear_each_other_bit_for_bit() {
    let mut net = bridged(Format::G722, Format::G722);
    let (one, two) = (clip(50, 1), clip(50, 2));
    net.command(play(leg(1, 0), 1, &[&one], false));
    net.command(play(leg(2, 0), 2, &[&two], false));
    net.run(1_500);
    for (from, to) in [(leg(1, 0), leg(2, 0)), (leg(2, 0), leg(1, 0))] {
        let said: Vec<u8> = net
            .sent_by(from)
            .iter()
            .take(50)
            .flat_map(|sent| sent.packet().payload.to_vec())
            .collect();
        assert!(contains(&net.heard_by(to), &said));
    }
}

/// What lies above 4 kHz too.
#[test]
fn wide_speech_crosses_a_bridge_of_two() {
    let mut net = bridged(Format::G722, Format::G722);
    let mut encoder = Encoder::default();
    let mut n = 0;
    for sequence in 0..100u16 {
        let mut packet = media::rtp::Header {
            marker: false,
            payload_type: 9,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: 9,
        }
        .bytes()
        .to_vec();
        packet.extend((0..160).map(|_| {
            let mut sample = || {
                n += 1;
                ((f64::from(n) / 16_000.0 * 6_000.0 * std::f64::consts::TAU).sin() * 6_000.0) as i16
            };
            encoder.wide([sample(), sample()])
        }));
        net.inject(&address(leg(1, 0)).to_string(), leg(0, 0), &packet);
        net.run(20);
    }
    let mut decoder = Decoder::default();
    let heard: Vec<[i16; 2]> = net
        .heard_by(leg(2, 0))
        .into_iter()
        .map(|byte| decoder.wide(byte))
        .collect();
    let tail = heard[heard.len() - 4_000..].as_flattened();
    let power = tail.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / tail.len() as f64;
    assert!(
        (3_800.0..4_700.0).contains(&power.sqrt()),
        "{}",
        power.sqrt()
    );
}

#[test]
fn a_side_of_g711_and_one_of_g722_hear_each_other() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut net = bridged(codec.into(), Format::G722);
        for (phone, hertz) in [(leg(1, 0), 700.0), (leg(2, 0), 1_700.0)] {
            net.command(Command::Loop {
                leg: phone,
                clip: tone(hertz),
                offset_ms: 0,
            });
        }
        net.run(2_000);
        for (phone, format, hertz) in [
            (leg(1, 0), codec.into(), 1_700.0),
            (leg(2, 0), Format::G722, 700.0),
        ] {
            let loud = loudness(&net, phone, format, hertz);
            assert!((5_500.0..6_300.0).contains(&loud), "{format} {loud}");
            let own = loudness(&net, phone, format, 2_400.0 - hertz);
            assert!(own < 100.0, "{format} {own}");
        }
        // Keys cross as they do elsewhere.
        net.command(press(leg(1, 0), "12"));
        net.command(press(leg(2, 0), "34"));
        net.run(800);
        assert_eq!(net.digits(leg(2, 0)), "12");
        assert_eq!(net.digits(leg(1, 0)), "34");
    }
}

#[test]
fn a_mix_of_both_kinds_is_heard_by_all() {
    let mut net = Net::new(4);
    let formats = [Codec::Pcmu.into(), Format::G722, Format::G722];
    let pitches = [500.0, 900.0, 1_500.0];
    for n in 0..3 {
        let (server, phone) = (leg(0, n), leg(n as u8 + 1, 0));
        net.join(server, phone, formats[n as usize]);
        listen(&mut net, phone);
        net.command(Command::Loop {
            leg: phone,
            clip: tone(pitches[n as usize]),
            offset_ms: 0,
        });
    }
    let mix = Mix::new(&[leg(0, 0), leg(0, 1), leg(0, 2)]);
    net.command(Command::Mix(mix.expect("three")));
    net.run(3_000);
    for (hearer, format) in formats.into_iter().enumerate() {
        for (speaker, hertz) in pitches.into_iter().enumerate() {
            let loud = loudness(&net, leg(hearer as u8 + 1, 0), format, hertz);
            if hearer == speaker {
                assert!(loud < 200.0, "{hearer} {speaker} {loud}");
            } else {
                assert!(
                    (5_300.0..6_500.0).contains(&loud),
                    "{hearer} {speaker} {loud}"
                );
            }
        }
    }
}

/// As telephones without telephone events do it.
#[test]
fn keys_are_heard_in_its_audio() {
    let (server, phone) = (leg(0, 0), leg(1, 0));
    let mut net = Net::new(2);
    for (leg, far) in [(server, phone), (phone, server)] {
        let mut negotiated = towards(far, Format::G722);
        negotiated.telephone_event = None;
        negotiated.receive_telephone_event = None;
        net.command(Command::Open { leg });
        net.command(Command::Connect {
            leg,
            negotiated,
            natted: None,
        });
    }
    net.command(press(phone, "0123456789*#ABCD"));
    net.run(4_000);
    assert_eq!(net.digits(server), "0123456789*#ABCD");
}

#[test]
fn what_is_lost_stays_lost_and_the_rest_is_heard() {
    let mut net = bridged(Codec::Pcmu.into(), Format::G722);
    net.fate = Box::new(|n| if n % 20 == 7 { vec![] } else { vec![1] });
    net.command(Command::Loop {
        leg: leg(2, 0),
        clip: tone(800.0),
        offset_ms: 0,
    });
    net.run(4_000);
    let loud = loudness(&net, leg(1, 0), Codec::Pcmu.into(), 800.0);
    assert!(loud > 2_000.0, "{loud}");
}

/// What we agree on with an offer, in these codecs of ours.
fn agreed(offered: &str, ours: &[Format]) -> Option<Negotiated> {
    let caps = Capabilities {
        codecs: ours.to_vec(),
        ..Capabilities::default()
    };
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{offered}"
    );
    let local = LocalMedia::new([192, 0, 2, 1].into(), 4_000, 1);
    let (negotiated, answer) = media::sdp::answer(offer.as_bytes(), &local, &caps).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let line = format!("{}/8000", negotiated.codec);
    assert!(answer.contains(&line), "{answer}");
    Some(negotiated)
}

#[test]
fn it_is_agreed_on_where_both_want_it() {
    let both = Format::ALL;
    let narrow = [Codec::Pcmu.into(), Codec::Pcma.into()];
    let first = "m=audio 5000 RTP/AVP 9 0\r\n";
    assert_eq!(agreed(first, &both).map(|n| n.codec), Some(Format::G722));
    assert_eq!(
        agreed(first, &narrow).map(|n| n.codec),
        Some(Codec::Pcmu.into())
    );
    let second = "m=audio 5000 RTP/AVP 8 9\r\na=rtpmap:9 G722/8000\r\n";
    assert_eq!(
        agreed(second, &both).map(|n| n.codec),
        Some(Codec::Pcma.into())
    );
    let dynamic = agreed(
        "m=audio 5000 RTP/AVP 99\r\na=rtpmap:99 g722/8000/1\r\n",
        &both,
    );
    let dynamic = dynamic.map(|n| (n.codec, n.payload_type));
    assert_eq!(dynamic, Some((Format::G722, 99)));
    assert_eq!(agreed("m=audio 5000 RTP/AVP 9\r\n", &narrow), None);
    // A rate that nobody has.
    let odd = "m=audio 5000 RTP/AVP 96\r\na=rtpmap:96 G722/16000\r\n";
    assert_eq!(agreed(odd, &both), None);
}
