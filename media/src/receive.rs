//! The book kept of one RTP stream received: what came, what is missing, how unevenly it came (RFC 3550 sections A.1,
//! A.3 and A.8).

use std::time::Duration;

use crate::codec::SAMPLE_RATE_HZ;

/// A jump ahead of more than this begins a new count (RFC 3550 section A.1, MAX_DROPOUT).
const DROPOUT_MAX: u16 = 3_000;
/// A packet later than this isn't late but of another count (MAX_MISORDER).
const MISORDER_MAX: u16 = 100;

/// How a packet relates to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Belongs to the running count, in order or not; here is its extended sequence number.
    Counted(u64),
    /// Begins a new count (first packet, another SSRC, or a sender that started over).
    Restarted(u64),
    /// Far off the count. The next packet tells whether the sender started over or this was a stray.
    Stray,
}

/// The book of one stream.
#[derive(Debug, Default)]
pub(crate) struct Receive {
    stream: Option<Stream>,
    /// Totals of streams before this one.
    received_before: u64,
    expected_before: u64,
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    /// Extended number of the first packet. Begins one cycle up, so that a late packet before it has a number too.
    base: u64,
    highest: u64,
    received: u64,
    /// The number that would prove a restart.
    restart: Option<u16>,
    /// Jitter times 16, in samples.
    jitter_scaled: u32,
    transit: Option<u32>,
    expected_prior: u64,
    received_prior: u64,
}

/// What a report block says of a stream (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reception {
    pub(crate) ssrc: u32,
    pub(crate) fraction_lost: u8,
    pub(crate) lost: i32,
    pub(crate) highest: u32,
    pub(crate) jitter: u32,
}

impl Receive {
    /// Counts a packet.
    #[inline]
    pub(crate) fn packet(&mut self, ssrc: u32, sequence: u16) -> Arrival {
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == ssrc) else {
            return self.restart(ssrc, sequence);
        };
        let ahead = sequence.wrapping_sub(stream.highest as u16);
        if ahead < DROPOUT_MAX {
            stream.highest += u64::from(ahead);
            stream.received += 1;
            stream.restart = None;
            Arrival::Counted(stream.highest)
        } else if ahead > u16::MAX - MISORDER_MAX {
            stream.received += 1;
            Arrival::Counted(stream.highest - u64::from(ahead.wrapping_neg()))
        } else if stream.restart == Some(sequence) {
            self.restart(ssrc, sequence)
        } else {
            stream.restart = Some(sequence.wrapping_add(1));
            Arrival::Stray
        }
    }

    fn restart(&mut self, ssrc: u32, sequence: u16) -> Arrival {
        if let Some(stream) = self.stream.take() {
            self.received_before += stream.received;
            self.expected_before += stream.expected();
        }
        let base = 0x1_0000 + u64::from(sequence);
        self.stream = Some(Stream {
            ssrc,
            base,
            highest: base,
            received: 1,
            restart: None,
            jitter_scaled: 0,
            transit: None,
            expected_prior: 0,
            received_prior: 0,
        });
        Arrival::Restarted(base)
    }

    /// Takes an audio packet's timestamp into the jitter. Not for telephone events, whose timestamps stand still.
    #[inline]
    pub(crate) fn timestamp(&mut self, now: Duration, timestamp: u32) {
        let Some(stream) = self.stream.as_mut() else {
            return;
        };
        let arrival = samples(now);
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = stream.transit.replace(transit) {
            // A jump of more than a second is a sender's new talk spurt or clock, no jitter.
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            if difference < SAMPLE_RATE_HZ {
                stream.jitter_scaled =
                    stream.jitter_scaled + difference - ((stream.jitter_scaled + 8) >> 4);
            }
        }
    }

    /// All packets ever counted.
    pub(crate) fn received(&self) -> u64 {
        self.received_before + self.stream.as_ref().map_or(0, |stream| stream.received)
    }

    /// All packets that never came.
    pub(crate) fn lost(&self) -> i64 {
        let expected = self.expected_before + self.stream.as_ref().map_or(0, Stream::expected);
        expected as i64 - self.received() as i64
    }

    /// Jitter in microseconds.
    pub(crate) fn jitter_us(&self) -> u32 {
        self.stream
            .as_ref()
            .map_or(0, |stream| samples_to_us(stream.jitter_scaled >> 4))
    }

    /// The report on the stream since the last report; none when there is no stream.
    pub(crate) fn report(&mut self) -> Option<Reception> {
        let stream = self.stream.as_mut()?;
        let expected = stream.expected();
        let expected_since = expected - stream.expected_prior;
        let received_since = stream.received - stream.received_prior;
        stream.expected_prior = expected;
        stream.received_prior = stream.received;
        let lost_since = expected_since.saturating_sub(received_since);
        let fraction_lost = (lost_since * 256)
            .checked_div(expected_since)
            .map_or(0, |fraction| fraction.min(255) as u8);
        let lost = (expected as i64 - stream.received as i64).clamp(-0x80_0000, 0x7f_ffff) as i32;
        Some(Reception {
            ssrc: stream.ssrc,
            fraction_lost,
            lost,
            // Our count begins one cycle up.
            highest: (stream.highest - 0x1_0000) as u32,
            jitter: stream.jitter_scaled >> 4,
        })
    }
}

impl Stream {
    fn expected(&self) -> u64 {
        self.highest - self.base + 1
    }
}

/// A time in samples, modulo 2^32.
pub(crate) fn samples(time: Duration) -> u32 {
    const NANOS: u32 = 1_000_000_000 / SAMPLE_RATE_HZ;
    (time.as_secs() as u32)
        .wrapping_mul(SAMPLE_RATE_HZ)
        .wrapping_add(time.subsec_nanos() / NANOS)
}

pub(crate) fn samples_to_us(samples: u32) -> u32 {
    samples.saturating_mul(1_000_000 / SAMPLE_RATE_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Received, lost, and how the last packet was taken.
    #[track_caller]
    fn check(sequences: &[u16], received: u64, lost: i64, last: Arrival) {
        let mut receive = Receive::default();
        let mut arrival = Arrival::Stray;
        for &sequence in sequences {
            arrival = receive.packet(7, sequence);
        }
        assert_eq!(
            (receive.received(), receive.lost(), arrival),
            (received, lost, last)
        );
    }

    #[test]
    fn counts() {
        let cycle = 0x1_0000;
        check(&[5], 1, 0, Arrival::Restarted(cycle + 5));
        check(&[5, 6, 7], 3, 0, Arrival::Counted(cycle + 7));
        check(&[5, 8], 2, 2, Arrival::Counted(cycle + 8));
        check(&[5, 7, 6], 3, 0, Arrival::Counted(cycle + 6));
        check(&[5, 5], 2, -1, Arrival::Counted(cycle + 5));
        check(&[65_535, 0], 2, 0, Arrival::Counted(2 * cycle));
        check(&[0, 65_535], 2, -1, Arrival::Counted(cycle - 1));
        check(&[5, 30_000], 1, 0, Arrival::Stray);
        check(&[5, 30_000, 6], 2, 0, Arrival::Counted(cycle + 6));
        check(
            &[5, 30_000, 30_001],
            2,
            0,
            Arrival::Restarted(cycle + 30_001),
        );
    }

    #[test]
    fn a_day_of_packets_keeps_counting() {
        let mut receive = Receive::default();
        let packets = 24 * 3_600 * 50u64;
        for number in 0..packets {
            receive.packet(7, (number + 65_000) as u16);
        }
        assert_eq!((receive.received(), receive.lost()), (packets, 0));
        assert_eq!(
            receive.report().unwrap().highest,
            (packets - 1 + 65_000) as u32
        );
    }

    #[test]
    fn jitter_converges_on_what_it_is() {
        let mut receive = Receive::default();
        for number in 0..2_000u32 {
            receive.packet(7, number as u16);
            let shaken = Duration::from_millis(u64::from(number * 20 + number % 2 * 4));
            receive.timestamp(shaken, number * 160);
        }
        let jitter_us = receive.jitter_us();
        assert!((3_700..=4_100).contains(&jitter_us), "{jitter_us}");
    }

    #[test]
    fn reports_cover_the_time_since_the_last() {
        let mut receive = Receive::default();
        for sequence in [1, 2, 3, 5] {
            receive.packet(7, sequence);
        }
        let report = receive.report().unwrap();
        assert_eq!((report.fraction_lost, report.lost), (51, 1));
        receive.packet(7, 6);
        let report = receive.report().unwrap();
        assert_eq!(
            (report.fraction_lost, report.lost, report.highest),
            (0, 1, 6)
        );
    }
}
