//! What audio costs a call beyond being passed on: encryption, detection of tones, G.722, a place in a mix. Processor
//! time, one thread. `make bench` prints it too.
//!
//! `cargo run --release -p media --example cost`

#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use media::codec::Codec;
use media::dtmf::Detector;
use media::g722;
use media::playout::Playout;
use media::sdp::{Capabilities, Encryption, LocalMedia, accept, answer, offer};
use media::srtp::{Inbound, Keys, OVERHEAD_BYTES_MAX, Outbound, Secret, Suite};
use media::tty;

const PACKETS: u32 = 200_000;

fn main() {
    for suite in Suite::ALL {
        let keys = keys(suite);
        let mut outbound = Outbound::new(&keys.local);
        let mut inbound = Inbound::new(&keys.local, 0);
        let mut sealed = vec![[0u8; 172 + OVERHEAD_BYTES_MAX]; PACKETS as usize];
        let mut lengths = vec![0; PACKETS as usize];
        for (n, packet) in sealed.iter_mut().enumerate() {
            packet[0] = 0x80;
            packet[2..4].copy_from_slice(&(n as u16).to_be_bytes());
        }
        let began = Instant::now();
        for (packet, length) in sealed.iter_mut().zip(&mut lengths) {
            *length = outbound.rtp(packet, 172).unwrap_or(0);
        }
        let sealing = began.elapsed();
        let mut forged = sealed[PACKETS as usize - 1];
        forged[2..4].copy_from_slice(&(PACKETS as u16).to_be_bytes());
        let began = Instant::now();
        for (packet, length) in sealed.iter_mut().zip(&lengths) {
            assert!(inbound.rtp(&mut packet[..*length]).is_ok());
        }
        let opening = began.elapsed();
        let began = Instant::now();
        for _ in 0..PACKETS {
            let mut packet = forged;
            assert!(inbound.rtp(&mut packet[..lengths[0]]).is_err());
        }
        let refusing = began.elapsed();
        println!(
            "{:<24} {:.2} µs sealed, {:.2} µs opened, {:.2} µs refused, a packet: {:.4} % of a core a leg",
            suite.name(),
            each(sealing),
            each(opening),
            each(refusing),
            of_a_core(sealing + opening)
        );
    }
    let frame = [0x55u8; 160];
    let mut detector = Detector::default();
    let began = Instant::now();
    for _ in 0..PACKETS {
        let samples = black_box(frame).map(|byte| Codec::Pcmu.decode(byte));
        detector.samples(samples, |press| {
            black_box(press);
        });
    }
    share("tones looked for", began.elapsed());
    let mut text = tty::Detector::default();
    let began = Instant::now();
    for _ in 0..PACKETS {
        let samples = black_box(frame).map(|byte| Codec::Pcmu.decode(byte));
        black_box(text.samples(samples.into_iter()));
    }
    share("text telephones looked for", began.elapsed());
    let mut encoder = g722::Encoder::default();
    let began = Instant::now();
    for _ in 0..PACKETS {
        black_box(black_box(frame).map(|byte| encoder.narrow(Codec::Pcmu.decode(byte))));
    }
    share("G.711 to G.722", began.elapsed());
    let mut decoder = g722::Decoder::default();
    let began = Instant::now();
    for _ in 0..PACKETS {
        black_box(black_box(frame).map(|byte| Codec::Pcmu.encode(decoder.narrow(byte))));
    }
    share("G.722 to G.711", began.elapsed());
    let mut playout = Playout::default();
    let began = Instant::now();
    for n in 0..PACKETS {
        let samples = black_box(frame).map(|byte| Codec::Pcmu.decode(byte));
        let now = Duration::from_millis(u64::from(n) * 20);
        playout.packet(now, n * 160, samples.into_iter());
        let (frame, _) = playout.frame();
        black_box(frame.map(|sample| Codec::Pcmu.encode(sample)));
    }
    share(
        "a place in a mix: played out and coded again",
        began.elapsed(),
    );
}

/// Of one suite, as an offer and its answer make them.
fn keys(suite: Suite) -> Keys {
    let local = |port| LocalMedia::new([192, 0, 2, 1].into(), port, 1);
    let caps = |secret| Capabilities {
        encryption: Encryption::Required(Secret::new([secret; 32])),
        ..Capabilities::default()
    };
    let offered: String = String::from_utf8_lossy(&offer(&local(4_000), &caps(1)))
        .lines()
        .filter(|line| !line.starts_with("a=crypto") || line.contains(suite.name()))
        .flat_map(|line| [line, "\r\n"])
        .collect();
    let agreed = answer(offered.as_bytes(), &local(4_002), &caps(2))
        .and_then(|(_, answered)| accept(offered.as_bytes(), &answered));
    match agreed.map(|negotiated| negotiated.srtp) {
        Ok(Some(keys)) => (*keys).clone(),
        other => unreachable!("{other:?}"),
    }
}

fn each(length: Duration) -> f64 {
    length.as_secs_f64() * 1e6 / f64::from(PACKETS)
}

fn of_a_core(length: Duration) -> f64 {
    each(length) / 20_000.0 * 100.0
}

fn share(what: &str, length: Duration) {
    println!(
        "{what}: {:.2} µs a frame, {:.4} % of a core a leg",
        each(length),
        of_a_core(length)
    );
}
