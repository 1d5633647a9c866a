//! RTP and RTCP: an input is what comes to two legs of one engine, and what they are told meanwhile.
//!
//! Each record is a byte that says what, a byte that says how much, and that many bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use media::clip::Clip;
use media::codec::{Codec, Format};
use media::dtmf::Digit;
use media::engine::{
    Channel, Command, Engine, EngineConfig, Event, Heard, LegId, PHASES, PlayId, Sink,
};
use media::rtp::{Packet, is_rtcp};
use media::sdp::{Direction, Negotiated};

use super::bounds::within;

const RECORDS_MAX: usize = 512;

/// Does with `input` whatever can be done with it.
pub(crate) fn run(input: &[u8]) {
    let mut items = 0;
    media::rtcp::parse(input, |_| items += 1);
    assert!(items <= input.len(), "each item takes some of the packet");
    if let Some(packet) = Packet::parse(input) {
        assert!(packet.payload.len() + 12 <= input.len());
    }

    let mut room = Room::new();
    let mut rest = input;
    // The engine keeps nothing of a packet: what takes memory is legs, clips and events.
    within(0, 0, 200_000, || {
        for _ in 0..RECORDS_MAX {
            let [what, size, after @ ..] = rest else {
                break;
            };
            let (payload, after) = after.split_at(usize::from(*size).min(after.len()));
            rest = after;
            room.take(*what, *size, payload);
        }
    });
    room.close();
}

/// What was sent must be RTP or RTCP.
#[derive(Default)]
struct Wire {
    sent: u64,
}

impl Sink for Wire {
    fn send(&mut self, _: LegId, channel: Channel, to: SocketAddr, packet: &[u8]) {
        self.sent += 1;
        assert!(!to.ip().is_unspecified(), "nothing is sent to nowhere");
        assert!(packet.len() <= 1_500, "a packet fits");
        if channel == Channel::Rtcp || is_rtcp(packet) {
            assert!(
                media::rtcp::parse(packet, |_| {}),
                "reports that can be read"
            );
        } else {
            assert!(Packet::parse(packet).is_some(), "packets that can be read");
        }
    }

    fn heard(&mut self, _: LegId, heard: Heard<'_>) {
        assert!(heard.payload.len() <= 1_500);
    }
}

struct Room {
    engine: Engine,
    wire: Wire,
    now: Duration,
    phase: u32,
    clip: Arc<Clip>,
    plays: u64,
    played: u64,
}

fn leg(number: u8) -> LegId {
    LegId::new(0, u32::from(number % 2), 1)
}

fn far(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 10 + number % 2], 5_000))
}

impl Room {
    fn new() -> Self {
        let mut room = Self {
            engine: Engine::new(EngineConfig {
                legs_max: 2,
                ..EngineConfig::default()
            }),
            wire: Wire::default(),
            now: Duration::from_secs(1),
            phase: 0,
            clip: Clip::from_samples(&[1_000; 800]),
            plays: 0,
            played: 0,
        };
        for number in 0..2 {
            room.command(Command::Open { leg: leg(number) });
            room.connect(number, 0);
        }
        room.command(Command::Bridge {
            a: leg(0),
            b: leg(1),
        });
        room
    }

    fn command(&mut self, command: Command) {
        if let Command::Play { .. } = command
            && self.engine.phase(command.leg()).is_some()
        {
            self.plays += 1;
        }
        self.engine.command(self.now, command, &mut self.wire);
    }

    fn connect(&mut self, number: u8, how: u8) {
        let codec = match (how & 32, (number ^ how) & 1) {
            (0, 0) => Codec::Pcmu.into(),
            (0, _) => Codec::Pcma.into(),
            _ => Format::G722,
        };
        let mut negotiated = Negotiated::plain(codec, far(number));
        negotiated.rtcp_mux = how & 2 != 0;
        if negotiated.rtcp_mux {
            negotiated.remote_rtcp = negotiated.remote_rtp;
        }
        if how & 4 != 0 {
            negotiated.direction = Direction::RecvOnly;
        }
        if how & 8 != 0 {
            negotiated.telephone_event = None;
            negotiated.receive_telephone_event = None;
        }
        self.command(Command::Connect {
            leg: leg(number),
            negotiated,
            natted: (how & 16 != 0).then(|| far(number).ip()),
        });
    }

    fn take(&mut self, what: u8, size: u8, payload: &[u8]) {
        let number = what >> 4;
        let one = leg(number);
        match what & 15 {
            0 | 1 => self.packet(number, Channel::Rtp, far(number), payload),
            2 => self.packet(number, Channel::Rtcp, far(number), payload),
            3 => {
                let mut rtcp = far(number);
                rtcp.set_port(5_001);
                self.packet(number, Channel::Rtcp, rtcp, payload);
            }
            4 => self.packet(
                number,
                Channel::Rtp,
                SocketAddr::from(([203, 0, 113, 9], 7_000)),
                payload,
            ),
            5 => self.slots(u32::from(size)),
            6 => self.now += Duration::from_millis(u64::from(size) * 250),
            7 => self.connect(number, size),
            8 => self.command(Command::Play {
                leg: one,
                play: PlayId(self.plays),
                clips: vec![self.clip.clone(); usize::from(size % 3)],
                barge_in: size & 4 != 0,
            }),
            9 => self.command(Command::Loop {
                leg: one,
                clip: self.clip.clone(),
                offset_ms: u32::from(size) << 20 | u32::from(size),
            }),
            10 => self.command(Command::Stop { leg: one }),
            11 if size & 1 == 0 => self.command(Command::Bridge {
                a: leg(0),
                b: leg(1),
            }),
            11 => self.command(Command::Unbridge {
                a: leg(1),
                b: leg(0),
            }),
            12 => {
                let digits = payload.iter().take(4);
                let digits = digits.filter_map(|key| Digit::from_char(char::from(*key)));
                self.command(Command::SendDigits {
                    leg: one,
                    digits: digits.collect(),
                    tone_ms: u32::from(size) << (size % 24),
                    gap_ms: u32::from(size),
                });
            }
            13 => self.command(Command::Listen {
                leg: one,
                on: size & 1 == 0,
            }),
            14 => self.command(Command::Watch {
                leg: one,
                timeout: (size > 0).then(|| Duration::from_millis(u64::from(size))),
            }),
            _ => {
                self.command(Command::Close { leg: one });
                self.command(Command::Open { leg: one });
                self.connect(number, size);
            }
        }
        self.events();
    }

    fn packet(&mut self, number: u8, channel: Channel, source: SocketAddr, payload: &[u8]) {
        let before = self.wire.sent;
        self.engine.packet(
            self.now,
            leg(number),
            channel,
            source,
            payload,
            &mut self.wire,
        );
        assert!(
            self.wire.sent - before <= 1,
            "a packet is relayed once at most"
        );
    }

    fn slots(&mut self, count: u32) {
        for _ in 0..count {
            self.now += Duration::from_millis(1);
            self.phase = (self.phase + 1) % PHASES;
            let before = self.wire.sent;
            self.engine.slot(self.now, self.phase, &mut self.wire);
            assert!(
                self.wire.sent - before <= 4,
                "a frame and a report for each leg"
            );
            self.events();
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            if let Event::PlayEnded { .. } = event {
                self.played += 1;
            }
        }
    }

    fn close(&mut self) {
        for number in 0..2 {
            self.command(Command::Close { leg: leg(number) });
        }
        self.events();
        assert_eq!(self.engine.legs(), 0);
        assert_eq!(self.plays, self.played, "each prompt's end is told once");
    }
}
