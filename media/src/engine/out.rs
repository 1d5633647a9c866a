//! The one RTP stream a leg sends, whatever its audio comes from: one SSRC, sequence numbers without holes of our own
//! making, timestamps that never go back.

use std::time::Duration;

use super::random::Random;
use crate::codec::{FRAME_SAMPLES, SAMPLE_RATE_HZ};
use crate::dtmf::EventPacket;
use crate::receive::samples;
use crate::rtp::{HEADER_BYTES, Header, Packet};

/// Longest payload sent or relayed: 120 ms of G.711.
pub(super) const PAYLOAD_BYTES_MAX: usize = 960;
/// Room for a packet.
pub(super) const PACKET_BYTES_MAX: usize = HEADER_BYTES + PAYLOAD_BYTES_MAX;

const FRAME: u32 = FRAME_SAMPLES as u32;
/// Streams begin in the lower half, so that an encrypted one's first rollover isn't missed with its first packets (RFC
/// 3711 section 3.3.1).
const SEQUENCE_FIRST_MAX: u16 = 0x7fff;
/// A relayed timestamp further back than this is a sender's new clock, not a late packet.
const BACK_MAX: u32 = SAMPLE_RATE_HZ;
/// Nor may it be further ahead than the time that passed and this.
const AHEAD_MAX: u32 = 2 * SAMPLE_RATE_HZ;

/// The stream.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) ssrc: u32,
    /// Of the next packet.
    sequence: u16,
    /// Timestamp of the running slot: 160 more with each, sent or not.
    clock: u32,
    /// Where the audio sent so far ends: the least timestamp of what comes next.
    end: u32,
    /// What the running relay adds to the numbers it gets; none until its first packet.
    relay: Option<Relay>,
    /// The last packet sent: when, and with which timestamp.
    last: Option<(Duration, u32)>,
    /// Packets and octets of this source, for its reports.
    pub(super) packets: u64,
    pub(super) octets: u32,
    /// Packets of sources before it.
    packets_before: u64,
}

#[derive(Debug, Clone, Copy)]
struct Relay {
    /// Extended sequence number of its first packet; older ones came too late to be put before it.
    first: u64,
    sequence_offset: u16,
    timestamp_offset: u32,
}

impl Out {
    pub(super) fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Out {
        Out {
            ssrc,
            sequence: sequence & SEQUENCE_FIRST_MAX,
            clock: timestamp,
            end: timestamp,
            relay: None,
            last: None,
            packets: 0,
            octets: 0,
            packets_before: 0,
        }
    }

    /// Goes on as another source with other numbers.
    pub(super) fn begin_anew(&mut self, random: &mut Random) {
        let numbers = random.next_u64();
        self.ssrc = (numbers >> 32) as u32;
        self.sequence = numbers as u16 & SEQUENCE_FIRST_MAX;
        // RFC 3550 section 6.4.1: both counts are reset with the source.
        self.packets_before = self.packets_ever();
        self.packets = 0;
        self.octets = 0;
        self.cut();
    }

    /// Packets sent, of all sources.
    pub(super) fn packets_ever(&self) -> u64 {
        self.packets_before + self.packets
    }

    /// Another slot begins.
    pub(super) fn slot(&mut self) {
        self.clock = self.clock.wrapping_add(FRAME);
    }

    /// When the last packet was sent.
    pub(super) fn sent_at(&self) -> Option<Duration> {
        self.last.map(|(at, _)| at)
    }

    /// The timestamp of the instant `now`, as sender reports state it.
    pub(super) fn timestamp_at(&self, now: Duration) -> u32 {
        match self.last {
            Some((at, timestamp)) => timestamp.wrapping_add(samples(now.saturating_sub(at))),
            None => self.clock,
        }
    }

    /// The next relayed packet begins a relay of its own.
    pub(super) fn cut(&mut self) {
        self.relay = None;
    }

    /// The header of a frame made here.
    #[inline]
    pub(super) fn frame(&mut self, now: Duration, payload_type: u8) -> Header {
        self.cut();
        let timestamp = self.now_or_end();
        // Relayed audio may have run ahead of our clock; it goes on from there.
        self.clock = timestamp;
        // A marker wherever audio doesn't simply go on (RFC 3551 section 4.1).
        let marker = self.last.is_none() || timestamp != self.end;
        self.end = timestamp.wrapping_add(FRAME);
        self.header(now, payload_type, marker, timestamp)
    }

    /// The header of comfort noise made here. It covers no time: the audio after it begins anew, with a marker.
    pub(super) fn noise(&mut self, now: Duration, payload_type: u8) -> Header {
        self.cut();
        self.clock = self.now_or_end();
        self.end = self.clock;
        self.header(now, payload_type, false, self.clock)
    }

    /// The header of a telephone event made here.
    pub(super) fn event(
        &mut self,
        now: Duration,
        payload_type: u8,
        packet: &EventPacket,
    ) -> Header {
        self.cut();
        if packet.marker {
            self.clock = self.now_or_end();
        }
        let timestamp = self.clock.wrapping_sub(packet.age);
        self.end = self.clock.wrapping_add(FRAME);
        self.header(now, payload_type, packet.marker, timestamp)
    }

    /// The header of a relayed packet: the sender's numbers, moved to where ours go on, so that its holes and its
    /// order stay. None if it belongs before the relay began. `span` is how many samples it covers; `steady` that its
    /// timestamp moves with time, as a telephone event's doesn't.
    #[inline]
    pub(super) fn relay(
        &mut self,
        now: Duration,
        payload_type: u8,
        packet: &Packet<'_>,
        extended: u64,
        span: u32,
        steady: bool,
    ) -> Option<Header> {
        let begin = Relay {
            first: extended,
            sequence_offset: self.sequence.wrapping_sub(packet.sequence),
            timestamp_offset: self.now_or_end().wrapping_sub(packet.timestamp),
        };
        let mut marker = packet.marker;
        let relay = match self.relay {
            None => {
                marker = true;
                *self.relay.insert(begin)
            }
            Some(relay) if extended < relay.first => return None,
            Some(relay) => {
                let timestamp = packet.timestamp.wrapping_add(relay.timestamp_offset);
                if steady && !self.plausible(now, timestamp) {
                    marker = true;
                    *self.relay.insert(Relay {
                        timestamp_offset: begin.timestamp_offset,
                        ..relay
                    })
                } else {
                    relay
                }
            }
        };
        let sequence = packet.sequence.wrapping_add(relay.sequence_offset);
        let timestamp = packet.timestamp.wrapping_add(relay.timestamp_offset);
        let next = sequence.wrapping_add(1);
        if (next.wrapping_sub(self.sequence) as i16) > 0 {
            self.sequence = next;
        }
        self.end = later(self.end, timestamp.wrapping_add(span));
        self.sent(now, timestamp);
        Some(Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
        })
    }

    /// Whether a relayed timestamp fits what was sent before it and the time that passed since.
    fn plausible(&self, now: Duration, timestamp: u32) -> bool {
        let passed = self
            .sent_at()
            .map_or(0, |at| samples(now.saturating_sub(at)));
        let ahead = timestamp.wrapping_sub(self.end) as i32;
        if ahead < 0 {
            ahead.unsigned_abs() <= BACK_MAX
        } else {
            ahead.unsigned_abs() <= passed.saturating_add(AHEAD_MAX)
        }
    }

    fn header(&mut self, now: Duration, payload_type: u8, marker: bool, timestamp: u32) -> Header {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.sent(now, timestamp);
        Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
        }
    }

    fn sent(&mut self, now: Duration, timestamp: u32) {
        self.packets += 1;
        self.last = Some((now, timestamp));
    }

    fn now_or_end(&self) -> u32 {
        later(self.clock, self.end)
    }
}

fn later(a: u32, b: u32) -> u32 {
    if (a.wrapping_sub(b) as i32) < 0 { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3550 section 6.4.1: a sender's counts are reset when it changes its source.
    #[test]
    fn another_source_counts_from_nothing() {
        let mut out = Out::new(1, 2, 3);
        for _ in 0..5 {
            out.slot();
            out.frame(Duration::ZERO, 0);
            out.octets += 160;
        }
        out.begin_anew(&mut Random::new(1));
        assert_eq!((out.packets, out.octets, out.packets_ever()), (0, 0, 5));
        out.frame(Duration::ZERO, 0);
        assert_eq!((out.packets, out.packets_ever()), (1, 6));
    }
}
