//! Comfort noise: sent to who agreed to it, heard where nobody speaks.

use media::codec::{Codec, Format};
use media::engine::{Command, LegId, Mix};
use media::rtp::Header;
use media::sdp::{Capabilities, LocalMedia, offer};

use crate::net::{Net, address, leg, towards};
use crate::{clip, play};

fn connect(net: &mut Net, leg: LegId, far: LegId, format: Format, noise: bool) {
    let mut negotiated = towards(far, format);
    negotiated.comfort_noise = noise.then_some(13);
    net.command(Command::Connect {
        leg,
        negotiated,
        natted: None,
    });
}

fn join(net: &mut Net, one: LegId, other: LegId, format: Format, noise: bool) {
    for (leg, far) in [(one, other), (other, one)] {
        net.command(Command::Open { leg });
        connect(net, leg, far, format, noise);
        net.command(Command::Listen { leg, on: true });
    }
}

/// The far side of a leg of the server pauses, at so many dB below full scale.
fn pauses(net: &mut Net, server: LegId, far: LegId, sequence: u16, level: u8) {
    let header = Header {
        marker: false,
        payload_type: 13,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 77,
    };
    let packet = [&header.bytes()[..], &[level]].concat();
    net.inject(&address(far).to_string(), server, &packet);
}

/// The loudness of the last so many samples of 8 kHz that a leg heard.
fn rms(net: &Net, of: LegId, format: Format, last: usize) -> f64 {
    let mut decoder = media::g722::Decoder::default();
    let heard: Vec<f64> = net
        .heard_by(of)
        .into_iter()
        .map(|byte| match format {
            Format::G711(codec) => codec.decode(byte),
            Format::G722 => decoder.narrow(byte),
        })
        .map(f64::from)
        .collect();
    let tail = &heard[heard.len().saturating_sub(last)..];
    (tail.iter().map(|sample| sample * sample).sum::<f64>() / tail.len().max(1) as f64).sqrt()
}

#[test]
fn who_agreed_is_told_of_silence_and_nobody_else_is() {
    for (format, noise) in [
        (Codec::Pcmu.into(), true),
        (Codec::Pcmu.into(), false),
        (Format::G722, true),
    ] {
        let (server, phone) = (leg(0, 0), leg(1, 0));
        let mut net = Net::new(2);
        join(&mut net, server, phone, format, noise);
        net.command(play(server, 1, &[&clip(25, 1)], false));
        net.run(5_000);
        net.command(play(server, 2, &[&clip(25, 2)], false));
        net.run(5_000);
        let sent = net.sent_by(server);
        let told: Vec<u64> = sent
            .iter()
            .filter(|sent| sent.packet().payload_type == 13)
            .map(|sent| sent.at_ms)
            .collect();
        if !noise {
            assert_eq!(told, [] as [u64; 0]);
            continue;
        }
        // At the end of each prompt's tail, then once a second in place of silence.
        assert!((8..=10).contains(&told.len()), "{told:?}");
        assert!((600..=640).contains(&told[0]), "{told:?}");
        for packet in sent.iter().map(|sent| sent.packet()) {
            if packet.payload_type == 13 {
                assert_eq!((packet.payload.len(), packet.marker), (1, false));
                assert!((60..=80).contains(&packet.payload[0]));
            }
        }
        // One stream: numbers without holes, timestamps that follow the time, a marker where somebody speaks again.
        for pair in sent.windows(2) {
            let (before, after) = (pair[0].packet(), pair[1].packet());
            assert_eq!(after.sequence, before.sequence.wrapping_add(1));
            let step = after.timestamp.wrapping_sub(before.timestamp);
            assert_eq!(u64::from(step), (pair[1].at_ms - pair[0].at_ms) * 8);
            if before.payload_type == 13 && after.payload_type != 13 {
                assert!(after.marker);
            }
        }
    }
}

#[test]
fn a_pause_crosses_a_bridge_as_noise_or_is_passed_on() {
    for (format, knows) in [
        (Codec::Pcma.into(), false),
        (Codec::Pcma.into(), true),
        (Format::G722, false),
    ] {
        let mut net = Net::new(3);
        join(&mut net, leg(0, 0), leg(1, 0), Codec::Pcmu.into(), true);
        join(&mut net, leg(0, 1), leg(2, 0), format, knows);
        net.command(Command::Bridge {
            a: leg(0, 0),
            b: leg(0, 1),
        });
        net.run(100);
        net.fate = Box::new(|_| vec![]);
        net.run(10);
        net.fate = Box::new(|_| vec![1]);
        // 40 dB below full scale: 328.
        pauses(&mut net, leg(0, 0), leg(1, 0), 1, 40);
        net.run(990);
        let hearer = leg(2, 0);
        let passed: Vec<u8> = net
            .sent_by(leg(0, 1))
            .iter()
            .filter(|sent| sent.packet().payload_type == 13)
            .map(|sent| sent.packet().payload[0])
            .collect();
        if knows {
            assert!(passed.contains(&40), "{passed:?}");
        } else {
            assert_eq!(passed, [] as [u8; 0]);
            let loud = rms(&net, hearer, format, 4_000);
            assert!((260.0..400.0).contains(&loud), "{format} {loud}");
        }
        // It ends with the first word.
        net.command(Command::Loop {
            leg: leg(1, 0),
            clip: media::clip::Clip::silence(std::time::Duration::from_secs(1)),
            offset_ms: 0,
        });
        net.run(1_000);
        let loud = rms(&net, hearer, format, 4_000);
        assert!(loud < 20.0, "{format} {loud}");
    }
}

#[test]
fn a_pause_is_heard_in_a_mix() {
    let mut net = Net::new(3);
    join(&mut net, leg(0, 0), leg(1, 0), Codec::Pcmu.into(), false);
    join(&mut net, leg(0, 1), leg(2, 0), Codec::Pcmu.into(), false);
    let mix = Mix::new(&[leg(0, 0), leg(0, 1)]);
    net.command(Command::Mix(mix.expect("two")));
    net.command(play(leg(1, 0), 1, &[&clip(5, 1)], false));
    net.run(100);
    // Unasked, as gateways send it.
    let sequence = net
        .sent_by(leg(1, 0))
        .last()
        .expect("sent")
        .packet()
        .sequence;
    let ssrc = net.sent_by(leg(1, 0))[0].packet().ssrc;
    let header = Header {
        marker: false,
        payload_type: 13,
        sequence: sequence.wrapping_add(1),
        timestamp: 0,
        ssrc,
    };
    let packet = [&header.bytes()[..], &[40]].concat();
    net.command(Command::Close { leg: leg(1, 0) });
    // What is on its way comes first.
    net.run(10);
    net.inject(&address(leg(1, 0)).to_string(), leg(0, 0), &packet);
    net.run(1_000);
    // Unlike silence, of which the mix sends a frame a second, it is heard without a break.
    assert!(net.sent_by(leg(0, 1)).len() >= 45);
    let loud = rms(&net, leg(2, 0), Codec::Pcmu.into(), 4_000);
    assert!((260.0..400.0).contains(&loud), "{loud}");
}

#[test]
fn it_is_agreed_to_and_never_offered() {
    let caps = Capabilities::default();
    let local = LocalMedia::new([192, 0, 2, 1].into(), 4_000, 1);
    let ours = String::from_utf8(offer(&local, &caps)).expect("text");
    assert!(!ours.contains(" 13 ") && !ours.contains("CN/8000"));
    let theirs = |formats: &str| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 5000 RTP/AVP {formats}\r\n"
        )
    };
    let agreed = |offered: &str| {
        let (negotiated, answer) =
            media::sdp::answer(offered.as_bytes(), &local, &caps).expect("agreed");
        let answer = String::from_utf8(answer).expect("text");
        assert_eq!(
            negotiated.comfort_noise.is_some(),
            answer.contains("CN/8000"),
            "{answer}"
        );
        negotiated.comfort_noise
    };
    assert_eq!(agreed(&theirs("0 8 13 101")), Some(13));
    assert_eq!(agreed(&theirs("0 8 101")), None);
    let dynamic = theirs("0 98") + "a=rtpmap:98 CN/8000\r\n";
    assert_eq!(agreed(&dynamic), Some(98));
    // Of another clock it has timestamps of its own.
    let wide = theirs("0 98") + "a=rtpmap:98 CN/16000\r\n";
    assert_eq!(agreed(&wide), None);
}
