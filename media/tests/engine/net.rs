//! Engines on a virtual wire with virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use media::codec::Format;
use media::engine::{Channel, Command, Engine, EngineConfig, Event, Heard, LegId, PHASES, Sink};
use media::rtp::Packet;
use media::sdp::Negotiated;

/// What becomes of a packet: the delays of its copies, in milliseconds. None is a loss.
pub(crate) type Fate = Box<dyn FnMut(u64) -> Vec<u64>>;

/// An RTP packet as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at_ms: u64,
    pub(crate) leg: LegId,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet::parse(&self.bytes).expect("an engine sends packets")
    }
}

#[derive(Default)]
struct Out {
    packets: Vec<(LegId, Channel, SocketAddr, Vec<u8>)>,
    heard: Vec<(LegId, u64, Format, Vec<u8>)>,
}

impl Sink for Out {
    fn send(&mut self, leg: LegId, channel: Channel, to: SocketAddr, packet: &[u8]) {
        self.packets.push((leg, channel, to, packet.to_vec()));
    }

    fn heard(&mut self, leg: LegId, heard: Heard<'_>) {
        self.heard
            .push((leg, heard.sequence, heard.codec, heard.payload.to_vec()));
    }
}

/// One engine per thread number, and the wire between them.
pub(crate) struct Net {
    pub(crate) now_ms: u64,
    engines: Vec<Engine>,
    out: Out,
    flying: BTreeMap<(u64, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    count: u64,
    number: u64,
    pub(crate) fate: Fate,
    pub(crate) events: Vec<(u64, Event)>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) rtcp_sent: Vec<Vec<u8>>,
    /// Where a leg's packets seem to come from, if a NAT stands before it.
    pub(crate) nat: BTreeMap<LegId, SocketAddr>,
}

/// Leg `number` of engine `thread`; its address follows from both.
pub(crate) fn leg(thread: u8, number: u32) -> LegId {
    LegId::new(thread, number, 1)
}

pub(crate) fn address(leg: LegId) -> SocketAddr {
    let port = 10_000 + leg.slot() as u16 * 2;
    format!("192.0.2.{}:{port}", leg.thread() + 1)
        .parse()
        .expect("an address")
}

pub(crate) fn towards(leg: LegId, codec: impl Into<Format>) -> Negotiated {
    Negotiated::plain(codec, address(leg))
}

impl Net {
    pub(crate) fn new(engines: u8) -> Net {
        let engine = |seed| {
            Engine::new(EngineConfig {
                seed,
                ..EngineConfig::default()
            })
        };
        Net {
            now_ms: 0,
            engines: (0..engines)
                .map(|seed| engine(u64::from(seed) + 1))
                .collect(),
            out: Out::default(),
            flying: BTreeMap::new(),
            count: 0,
            number: 0,
            fate: Box::new(|_| vec![1]),
            events: Vec::new(),
            sent: Vec::new(),
            rtcp_sent: Vec::new(),
            nat: BTreeMap::new(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        Duration::from_millis(self.now_ms)
    }

    pub(crate) fn command(&mut self, command: Command) {
        let thread = usize::from(command.leg().thread());
        let now = self.now();
        self.engines[thread].command(now, command, &mut self.out);
        self.after(thread);
    }

    /// Opens both and connects them with each other.
    pub(crate) fn join(&mut self, one: LegId, other: LegId, codec: impl Into<Format>) {
        let codec = codec.into();
        for (leg, far) in [(one, other), (other, one)] {
            self.command(Command::Open { leg });
            let negotiated = towards(far, codec);
            self.command(Command::Connect {
                leg,
                negotiated,
                natted: None,
            });
        }
    }

    /// A packet from anywhere to a leg's RTP port, at once.
    pub(crate) fn inject(&mut self, from: &str, to: LegId, bytes: &[u8]) {
        let from = from.parse().expect("an address");
        self.deliver(from, address(to), bytes);
    }

    pub(crate) fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now_ms += 1;
            let phase = (self.now_ms % u64::from(PHASES)) as u32;
            let now = self.now();
            for thread in 0..self.engines.len() {
                self.engines[thread].slot(now, phase, &mut self.out);
                self.after(thread);
            }
            while let Some(entry) = self.flying.first_entry() {
                if entry.key().0 > self.now_ms {
                    break;
                }
                let (from, to, bytes) = entry.remove();
                self.deliver(from, to, &bytes);
            }
        }
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let std::net::IpAddr::V4(ip) = to.ip() else {
            return;
        };
        let Some(thread) = ip.octets()[3].checked_sub(1).map(usize::from) else {
            return;
        };
        let Some(slot) = to.port().checked_sub(10_000) else {
            return;
        };
        let channel = if slot % 2 == 0 {
            Channel::Rtp
        } else {
            Channel::Rtcp
        };
        let leg = leg(thread as u8, u32::from(slot / 2));
        let now = self.now();
        if let Some(engine) = self.engines.get_mut(thread) {
            engine.packet(now, leg, channel, from, bytes, &mut self.out);
            self.after(thread);
        }
    }

    fn after(&mut self, thread: usize) {
        for (leg, channel, to, bytes) in std::mem::take(&mut self.out.packets) {
            let mut from = self.nat.get(&leg).copied().unwrap_or(address(leg));
            if channel == Channel::Rtcp {
                from.set_port(from.port() + 1);
            }
            self.number += 1;
            for delay in (self.fate)(self.number) {
                self.count += 1;
                self.flying
                    .insert((self.now_ms + delay, self.count), (from, to, bytes.clone()));
            }
            if channel == Channel::Rtcp || media::rtp::is_rtcp(&bytes) {
                self.rtcp_sent.push(bytes);
            } else {
                self.sent.push(Sent {
                    at_ms: self.now_ms,
                    leg,
                    to,
                    bytes,
                });
            }
        }
        while let Some(event) = self.engines[thread].poll_event() {
            self.events.push((self.now_ms, event));
        }
    }

    /// RTP sent by a leg.
    pub(crate) fn sent_by(&self, leg: LegId) -> Vec<&Sent> {
        self.sent.iter().filter(|sent| sent.leg == leg).collect()
    }

    /// Audio heard by a leg, in order of sequence number.
    pub(crate) fn heard_by(&self, leg: LegId) -> Vec<u8> {
        let mut heard: Vec<_> = self
            .out
            .heard
            .iter()
            .filter(|(by, ..)| *by == leg)
            .collect();
        heard.sort_by_key(|(_, sequence, ..)| *sequence);
        heard.dedup_by_key(|(_, sequence, ..)| *sequence);
        heard
            .into_iter()
            .flat_map(|(_, _, _, payload)| payload.clone())
            .collect()
    }

    /// Keys told of a leg.
    pub(crate) fn digits(&self, leg: LegId) -> String {
        self.events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Digit { leg: of, digit, .. } if *of == leg => Some(digit.char()),
                _ => None,
            })
            .collect()
    }
}
