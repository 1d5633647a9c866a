//! A leg's RTCP: when to report, what to report, and what the far side reports (RFC 3550 sections 6.2 to 6.4).

use std::time::Duration;

use super::leg::Shared;
use super::out::Out;
use super::random::Random;
use crate::receive::{Receive, samples_to_us};
use crate::rtcp::{self, CNAME_BYTES, COMPOUND_BYTES_MAX, Item, ReportBlock, SenderInfo};

/// The minimum interval of RFC 3550 section 6.2; two parties never need a longer one.
const INTERVAL: Duration = Duration::from_secs(5);
/// The compensation e − 3/2 of RFC 3550 section 6.3.1, times 1,000.
const COMPENSATION_MILLI: u64 = 1_218;
/// A round trip longer than this is a mistaken report.
const ROUND_TRIP_MAX_US: u64 = 10_000_000;

/// So many packets sent between two reports, two seconds of audio, are to show at the far side.
const SHOWING: u64 = 100;
/// A report of more than this share lost, in 1/256, is one of all.
const ALL_LOST: u8 = 254;

/// What the far side's reports tell of audio that goes one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Told {
    /// It has sent packets since its last report, and none came.
    pub(super) withheld: bool,
    /// Nothing of what we send arrives there, for so long.
    pub(super) unheard: Option<Duration>,
}

/// The far side as a sender, by its last report.
#[derive(Debug, Clone, Copy)]
struct Sender {
    ssrc: u32,
    packets: u32,
    /// Packets that had come here by then.
    received: u64,
}

/// What had arrived there of our source by the last report that showed something of it.
#[derive(Debug, Clone, Copy)]
struct Arrived {
    ssrc: u32,
    highest: u32,
    /// Packets that we had sent by then.
    sent: u64,
    at: Duration,
}

/// The reports of one leg.
#[derive(Debug)]
pub(super) struct Reports {
    next_at: Duration,
    cname: [u8; CNAME_BYTES],
    /// Packets sent when the last report was: none since makes a receiver report.
    packets_reported: u64,
    /// The far side's last sender report: middle bits of its NTP time, and when it came.
    heard: Option<(u32, Duration)>,
    sender: Option<Sender>,
    arrived: Option<Arrived>,
    pub(super) remote_jitter_us: Option<u32>,
    pub(super) remote_lost: Option<i32>,
    pub(super) round_trip_us: Option<u32>,
}

impl Reports {
    pub(super) fn new(now: Duration, random: &mut Random) -> Reports {
        // A short-term persistent CNAME (RFC 7022 section 4.2): 96 random bits, as letters.
        let mut cname = [0; CNAME_BYTES];
        for (index, letter) in cname.iter_mut().enumerate() {
            // A third of the bits each time is plenty.
            let nibble = (random.next_u64() >> (index % 16 * 4)) & 15;
            *letter = b"0123456789abcdef"[nibble as usize];
        }
        Reports {
            // The first comes in half the time (section 6.2).
            next_at: now + randomised(INTERVAL / 2, random),
            cname,
            packets_reported: 0,
            heard: None,
            sender: None,
            arrived: None,
            remote_jitter_us: None,
            remote_lost: None,
            round_trip_us: None,
        }
    }

    pub(super) fn due(&self, now: Duration) -> bool {
        now >= self.next_at
    }

    /// Writes the report that is due and sets the time of the next.
    pub(super) fn write(
        &mut self,
        shared: &mut Shared<'_>,
        outgoing: &Out,
        receive: &mut Receive,
        bye: bool,
        buffer: &mut [u8; COMPOUND_BYTES_MAX],
    ) -> usize {
        let now = shared.now;
        self.next_at = now + randomised(INTERVAL, shared.random);
        let sender = (outgoing.packets_ever() != self.packets_reported).then(|| SenderInfo {
            ntp: ntp(now + shared.ntp_at_epoch),
            timestamp: outgoing.timestamp_at(now),
            packets: outgoing.packets as u32,
            octets: outgoing.octets,
        });
        self.packets_reported = outgoing.packets_ever();
        let block = receive.report().map(|reception| {
            let (last_report, delay) = match self.heard {
                Some((stamp, at)) => (stamp, (ntp(now.saturating_sub(at)) >> 16) as u32),
                None => (0, 0),
            };
            ReportBlock {
                ssrc: reception.ssrc,
                fraction_lost: reception.fraction_lost,
                lost: reception.lost,
                highest: reception.highest,
                jitter: reception.jitter,
                last_report,
                delay,
            }
        });
        let report = rtcp::Report {
            ssrc: outgoing.ssrc,
            cname: &self.cname,
            sender,
            block,
            bye,
        };
        rtcp::write(&report, buffer)
    }

    /// Reads what the far side reports; none if it isn't RTCP. `received` is how many packets came so far.
    pub(super) fn read(
        &mut self,
        now: Duration,
        ntp_at_epoch: Duration,
        outgoing: &Out,
        received: u64,
        bytes: &[u8],
    ) -> Option<Told> {
        let mut told = Told::default();
        let known = rtcp::parse(bytes, |item| match item {
            Item::Sender { ssrc, info } => {
                self.heard = Some(((info.ntp >> 16) as u32, now));
                told.withheld |= self.sends(ssrc, info.packets, received);
            }
            Item::Block { block, .. } if block.ssrc == outgoing.ssrc => {
                told.unheard = self.hears(now, outgoing, &block).or(told.unheard);
                self.remote_jitter_us = Some(samples_to_us(block.jitter));
                self.remote_lost = Some(block.lost);
                if block.last_report != 0 {
                    let stamp = (ntp(now + ntp_at_epoch) >> 16) as u32;
                    let passed = stamp
                        .wrapping_sub(block.last_report)
                        .wrapping_sub(block.delay);
                    let passed_us = (u64::from(passed) * 1_000_000) >> 16;
                    if passed_us < ROUND_TRIP_MAX_US {
                        self.round_trip_us = Some(passed_us as u32);
                    }
                }
            }
            Item::Block { .. } | Item::Bye { .. } => {}
        });
        known.then_some(told)
    }

    /// Whether it has sent what should show here, and doesn't.
    fn sends(&mut self, ssrc: u32, packets: u32, received: u64) -> bool {
        let now = Sender {
            ssrc,
            packets,
            received,
        };
        let Some(before) = self.sender.filter(|before| before.ssrc == ssrc) else {
            self.sender = Some(now);
            return false;
        };
        let grown = u64::from(packets.wrapping_sub(before.packets));
        if received == before.received && grown < SHOWING {
            // Too few to tell: the next report may.
            return false;
        }
        self.sender = Some(now);
        // A count that fell begins anew.
        received == before.received && grown < u64::from(u32::MAX / 2)
    }

    /// For how long nothing of what we sent has arrived there; none if it does, or can't be told yet.
    fn hears(&mut self, now: Duration, outgoing: &Out, block: &ReportBlock) -> Option<Duration> {
        let fresh = Arrived {
            ssrc: block.ssrc,
            highest: block.highest,
            sent: outgoing.packets,
            at: now,
        };
        let Some(before) = self.arrived.filter(|before| before.ssrc == block.ssrc) else {
            self.arrived = Some(fresh);
            return None;
        };
        let stands = block.highest == before.highest;
        if !stands && block.fraction_lost < ALL_LOST {
            self.arrived = Some(fresh);
            return None;
        }
        (outgoing.packets - before.sent >= SHOWING).then(|| now.saturating_sub(before.at))
    }
}

/// Between half and one and a half of `interval`, compensated (section 6.3.1).
fn randomised(interval: Duration, random: &mut Random) -> Duration {
    let interval_us = interval.as_micros() as u64;
    let factor_milli = 500 + random.next_u64() % 1_000;
    Duration::from_micros(interval_us * factor_milli / COMPENSATION_MILLI)
}

/// Seconds and fraction, 32.32 bits, modulo 2^32 seconds.
fn ntp(time: Duration) -> u64 {
    let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
    time.as_secs() << 32 | fraction
}
