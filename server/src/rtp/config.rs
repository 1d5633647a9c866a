//! How the media threads run.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// How the media threads run. The defaults suit one machine on which everything runs.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// Number of threads; 1 by default. One carries about 2,000 playing calls.
    pub threads: u8,
    /// Addresses legs may be bound to; `0.0.0.0` by default.
    pub bind: Vec<IpAddr>,
    /// UDP ports; 16384–32767 by default. Even ones carry RTP, the odd one after each its RTCP.
    pub ports: RangeInclusive<u16>,
    /// How long a released port rests, lest a new call hears an old one; 10 s by default.
    pub port_rest: Duration,
    /// Most legs on one thread; 4,096 by default.
    pub legs_max: u32,
    /// Most commands that wait for one thread; 16,384 by default.
    pub commands_max: usize,
    /// Most events that wait in the receiver; 16,384 by default. What doesn't fit waits in the thread.
    pub events_max: usize,
    /// Silence after which a leg's RTP is reported lost; 20 s by default.
    pub rtp_timeout: Duration,
    /// SCHED_FIFO priority of the threads; none by default. Where the system refuses it, the threads run without, and
    /// the log says so once.
    pub realtime_priority: Option<u8>,
    /// Seed of SSRCs and the like. From the system's random source in earnest, fixed in tests.
    pub seed: u64,
    /// The instant that events' times count from.
    pub epoch: Instant,
}

impl Default for MediaConfig {
    fn default() -> Self {
        MediaConfig {
            threads: 1,
            bind: vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
            ports: 16_384..=32_767,
            port_rest: Duration::from_secs(10),
            legs_max: 4_096,
            commands_max: 16_384,
            events_max: 16_384,
            rtp_timeout: Duration::from_secs(20),
            realtime_priority: None,
            seed: 0,
            epoch: Instant::now(),
        }
    }
}
