//! The steady state of an engine takes no memory from the allocator: neither paced nor relayed packets, nor keys.

use std::net::SocketAddr;
use std::time::Duration;

use media::clip::Clip;
use media::codec::Codec;
use media::engine::{Channel, Command, Engine, EngineConfig, LegId, PHASES, PlayId, Sink};
use media::rtp::Header;
use media::sdp::Negotiated;

/// Counts what is sent.
#[derive(Default)]
struct Count(u64);

impl Sink for Count {
    fn send(&mut self, _: LegId, _: Channel, _: SocketAddr, packet: &[u8]) {
        self.0 += u64::from(!packet.is_empty());
    }
}

fn far(number: u32) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 10_000 + number as u16 * 2))
}

fn leg(number: u32) -> LegId {
    LegId::new(0, number, 1)
}

#[test]
fn nothing_is_allocated_while_calls_go_on() {
    const LEGS: u32 = 100;
    let mut engine = Engine::new(EngineConfig::default());
    let mut count = Count::default();
    for number in 0..LEGS {
        let leg = leg(number);
        // Every other pair must be transcoded.
        let codec = if number % 4 == 1 {
            Codec::Pcma
        } else {
            Codec::Pcmu
        };
        let negotiated = Negotiated::plain(codec, far(number));
        engine.command(Duration::ZERO, Command::Open { leg }, &mut count);
        let connect = Command::Connect {
            leg,
            negotiated,
            natted: (number % 3 == 0).then(|| far(number).ip()),
        };
        engine.command(Duration::ZERO, connect, &mut count);
    }
    let clip = Clip::from_samples(&[1_000; 16_000]);
    for number in 0..LEGS / 2 {
        let leg = leg(number);
        let clips = vec![clip.clone(); 20];
        let play = Command::Play {
            leg,
            play: PlayId(1),
            clips,
            barge_in: false,
        };
        engine.command(Duration::ZERO, play, &mut count);
    }
    for number in (LEGS / 2..LEGS).step_by(2) {
        let bridge = Command::Bridge {
            a: leg(number),
            b: leg(number + 1),
        };
        engine.command(Duration::ZERO, bridge, &mut count);
    }

    let mut second = |engine: &mut Engine, from_ms: u64| {
        for ms in from_ms..from_ms + 1_000 {
            let now = Duration::from_millis(ms);
            let frame = (ms / 20) as u16;
            let key = frame.is_multiple_of(10);
            for number in (0..LEGS).filter(|number| u64::from(number % PHASES) == ms % 20) {
                let header = Header {
                    marker: false,
                    payload_type: if key { 101 } else { number as u8 % 2 * 8 },
                    sequence: frame,
                    timestamp: u32::from(frame) * 160,
                    ssrc: number,
                };
                let mut packet = [5; 172];
                packet[..12].copy_from_slice(&header.bytes());
                let length = if key { 16 } else { 172 };
                let source = far(number);
                engine.packet(
                    now,
                    leg(number),
                    Channel::Rtp,
                    source,
                    &packet[..length],
                    &mut count,
                );
            }
            engine.slot(now, (ms % 20) as u32, &mut count);
            while engine.poll_event().is_some() {}
        }
    };
    second(&mut engine, 0);
    let measured = allocation_counter::measure(|| {
        for from in 1..10 {
            second(&mut engine, from * 1_000);
        }
    });
    assert_eq!(measured.count_total, 0);
    // Fifty prompts of 50 packets, fifty bridged legs of 50 packets, for ten seconds.
    assert!(count.0 > 45_000, "{}", count.0);
}
