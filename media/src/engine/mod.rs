//! The machine of one media thread.
//!
//! The driver opens legs, hands in commands and packets, calls [`Engine::slot`] every millisecond with the phase that
//! is due, and takes events out with [`Engine::poll_event`] after any of these. Packets to send come out through the
//! [`Sink`] during the call. Nothing is buffered across calls: what arrives for a bridged leg leaves at once.

mod message;

use std::net::SocketAddr;
use std::time::Duration;

pub use message::{Channel, Command, Event, Heard, LegId, LegStats, PlayId, PlayOutcome, Sink};

/// Phases in one frame: a leg sends in one of the 20 milliseconds of a frame, always the same.
pub const PHASES: u32 = 20;

/// How an engine behaves.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Seed of SSRCs, sequence numbers, timestamps, CNAMEs and report intervals.
    pub seed: u64,
    /// Silence from the far side after which [`Event::RtpLost`] is reported, unless [`Command::Watch`] says otherwise.
    pub rtp_timeout: Duration,
    /// Added to `now` to make the NTP time of sender reports: wall time at the epoch since 1 January 1900. Zero makes
    /// reports carry elapsed time, which RFC 3550 section 6.4.1 allows.
    pub ntp_at_epoch: Duration,
    /// Most legs open at a time; `LegId::slot` is below it.
    pub legs_max: u32,
}

impl Default for EngineConfig {
    /// Seed 0, 20 s, elapsed time in reports, 4,096 legs.
    fn default() -> Self {
        EngineConfig {
            seed: 0,
            rtp_timeout: Duration::from_secs(20),
            ntp_at_epoch: Duration::ZERO,
            legs_max: 4_096,
        }
    }
}

/// The machine of one media thread. See the module's description for how it is driven.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
}

impl Engine {
    /// An engine without legs.
    pub fn new(config: EngineConfig) -> Engine {
        Engine { config }
    }

    /// Carries out a command. Commands for legs that aren't open do nothing.
    pub fn command(&mut self, _now: Duration, _command: Command, _sink: &mut impl Sink) {
        let _ = self.config.legs_max;
    }

    /// Takes a packet received for `leg`.
    pub fn packet(
        &mut self,
        _now: Duration,
        _leg: LegId,
        _channel: Channel,
        _source: SocketAddr,
        _bytes: &[u8],
        _sink: &mut impl Sink,
    ) {
    }

    /// Sends what is due in phase `phase` (0..[`PHASES`]). A driver that woke late calls it once for each slot it
    /// missed, so that every leg gets every frame.
    pub fn slot(&mut self, _now: Duration, _phase: u32, _sink: &mut impl Sink) {}

    /// The next event; none when all were taken.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// Number of open legs.
    pub fn legs(&self) -> usize {
        0
    }
}
