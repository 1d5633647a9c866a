//! What a media thread costs: processor time per playing leg and per bridged pair, and how evenly packets leave.
//!
//! `cargo run --release -p server --example rtp_load -- [LEGS] [SECONDS] [PRIORITY]`, loopback only. One socket plays
//! all the phones, so that the load generator disturbs as little as it can; on few cores it still does.

use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use media::codec::{Codec, FRAME_SAMPLES};
use media::engine::Command;
use media::music;
use media::rtp::{Header, Packet};
use media::sdp::Negotiated;
use server::rtp::{LATENESS_BOUNDS_US, Media, MediaConfig, OpenedLeg, ThreadHint};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let legs = arguments
        .next()
        .map_or(Ok(500), |text| text.parse::<usize>())?;
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse::<u64>())?;
    let priority = arguments
        .next()
        .map(|text| text.parse::<u8>())
        .transpose()?;
    let length = Duration::from_secs(seconds);
    let clip = music::on_hold();

    println!("{legs} playing legs, {seconds} s");
    let load = Load::open(legs, priority)?;
    for opened in &load.opened {
        let leg = opened.leg;
        load.media.command(Command::Loop {
            leg,
            clip: Arc::clone(&clip),
            offset_ms: 0,
        })?;
    }
    load.measure(length, false)?;

    println!("{} bridged pairs, both talking, {seconds} s", legs / 2);
    let load = Load::open(legs / 2 * 2, priority)?;
    for pair in load.opened.chunks(2) {
        if let [a, b] = pair {
            load.media.command(Command::Bridge { a: a.leg, b: b.leg })?;
        }
    }
    load.measure(length, true)
}

struct Load {
    media: Media,
    phones: UdpSocket,
    opened: Vec<OpenedLeg>,
}

impl Load {
    fn open(legs: usize, realtime_priority: Option<u8>) -> Result<Load, Box<dyn Error>> {
        let (media, _) = Media::start(MediaConfig {
            bind: vec![HOST],
            realtime_priority,
            ..MediaConfig::default()
        })?;
        let phones = UdpSocket::bind((HOST, 0))?;
        phones.set_read_timeout(Some(Duration::from_millis(100)))?;
        let negotiated = Negotiated::plain(Codec::Pcmu, phones.local_addr()?);
        let began = Instant::now();
        let mut opened = Vec::new();
        for _ in 0..legs {
            let leg = media.open(ThreadHint::Any, HOST)?;
            media.command(Command::Connect {
                leg: leg.leg,
                negotiated: negotiated.clone(),
                natted: None,
            })?;
            opened.push(leg);
        }
        let each_us = began.elapsed().as_micros() as f64 / legs.max(1) as f64;
        println!("  opening a leg: {each_us:.1} µs");
        Ok(Load {
            media,
            phones,
            opened,
        })
    }

    fn measure(self, length: Duration, talking: bool) -> Result<(), Box<dyn Error>> {
        // Let the beginning pass, and the processor time be published.
        std::thread::sleep(Duration::from_secs(1));
        let (before, began) = (self.media.figures(), Instant::now());
        let over = AtomicBool::new(false);
        let mut gaps_us = std::thread::scope(|scope| {
            let listener = scope.spawn(|| listen(&self.phones, &over));
            if talking {
                self.talk(length);
            } else {
                std::thread::sleep(length);
            }
            over.store(true, Ordering::Relaxed);
            listener.join()
        })
        .map_err(|_| "the listener panicked")?;
        let (after, passed) = (self.media.figures(), began.elapsed());

        let cpu = (after.cpu_us - before.cpu_us) as f64 / passed.as_micros() as f64 * 100.0;
        let packets = after.packets_out - before.packets_out;
        let units = self.opened.len() as f64 / if talking { 2.0 } else { 1.0 };
        println!(
            "  processor: {cpu:.2} % of a core, {:.4} % each",
            cpu / units
        );
        println!(
            "  packets: {} in, {packets} out, {} unsent; {:.2} µs a packet sent",
            after.packets_in - before.packets_in,
            after.packets_unsent - before.packets_unsent,
            (after.cpu_us - before.cpu_us) as f64 / packets.max(1) as f64,
        );
        gaps_us.sort_unstable();
        let percentile = |share: f64| {
            let place = (gaps_us.len() as f64 * share) as usize;
            gaps_us
                .get(place)
                .map_or(0.0, |&gap| f64::from(gap) / 1_000.0)
        };
        println!(
            "  gap between packets as they arrive: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
            percentile(0.5),
            percentile(0.99),
            percentile(0.999)
        );
        let late: Vec<String> = LATENESS_BOUNDS_US
            .iter()
            .map(|bound| format!("<{bound}"))
            .chain(["more".to_owned()])
            .zip(after.lateness.iter().zip(before.lateness))
            .map(|(class, (after, before))| format!("{class}: {}", after - before))
            .collect();
        println!("  slots by lateness in µs: {}", late.join(", "));
        self.media.stop();
        Ok(())
    }

    /// Talks on all legs, a twentieth of them each millisecond.
    fn talk(&self, length: Duration) {
        let began = Instant::now();
        let mut packet = [0x55; 172];
        let mut ms = 0u64;
        while began.elapsed() < length {
            let due = began + Duration::from_millis(ms);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let frame = (ms / 20) as u32;
            let first = (ms % 20) as usize;
            for (number, opened) in self.opened.iter().enumerate().skip(first).step_by(20) {
                let header = Header {
                    marker: false,
                    payload_type: 0,
                    sequence: frame as u16,
                    timestamp: frame * 160,
                    ssrc: number as u32,
                };
                packet[..12].copy_from_slice(&header.bytes());
                // A full buffer loses a packet; the count of packets shows it.
                let _ = self.phones.send_to(&packet, (HOST, opened.port));
            }
            ms += 1;
        }
    }
}

/// Gaps between packets of one stream, in microseconds, until told that it is over.
fn listen(phones: &UdpSocket, over: &AtomicBool) -> Vec<u32> {
    let mut last: HashMap<u32, Instant> = HashMap::new();
    let mut gaps_us = Vec::new();
    let mut buffer = [0; 1_500];
    while !over.load(Ordering::Relaxed) {
        let Ok(length) = phones.recv(&mut buffer) else {
            continue;
        };
        let now = Instant::now();
        let Some(packet) = buffer.get(..length).and_then(Packet::parse) else {
            continue;
        };
        if packet.payload.len() != FRAME_SAMPLES {
            continue;
        }
        if let Some(before) = last.insert(packet.ssrc, now) {
            gaps_us.push(now.duration_since(before).as_micros() as u32);
        }
    }
    gaps_us
}
