//! The machine of one media thread.
//!
//! The driver opens legs, hands in commands and packets, calls [`Engine::slot`] every millisecond with the phase that
//! is due, and takes events out with [`Engine::poll_event`] after any of these. Packets to send come out through the
//! [`Sink`] during the call. Nothing is buffered across calls: what arrives for a bridged leg leaves at once.

mod crypto;
mod inband;
mod learn;
mod leg;
mod message;
mod mix;
mod oneway;
mod out;
mod random;
mod report;
mod wide;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crypto::DATAGRAM_BYTES_MAX;
use leg::{Leg, Patience, Shared};
use random::Random;

pub use message::{
    Channel, Command, Event, Heard, LegId, LegStats, OneWayCause, PlayId, PlayOutcome, Sink,
};
pub use mix::{MIX_MAX, Mix};

/// Phases in one frame: a leg sends in one of the 20 milliseconds of a frame, always the same.
pub const PHASES: u32 = 20;

/// How an engine behaves.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Seed of SSRCs, sequence numbers, timestamps, CNAMEs and report intervals.
    pub seed: u64,
    /// Silence from the far side after which [`Event::RtpLost`] is reported, unless [`Command::Watch`] says otherwise.
    pub rtp_timeout: Duration,
    /// The same while either side is on hold: RTP may well stop then, and not everybody sends RTCP.
    pub held_timeout: Duration,
    /// The same for a leg that was opened and never connected.
    pub connect_timeout: Duration,
    /// Added to `now` to make the NTP time of sender reports: wall time at the epoch since 1 January 1900. Zero makes
    /// reports carry elapsed time, which RFC 3550 section 6.4.1 allows.
    pub ntp_at_epoch: Duration,
    /// Most legs open at a time; `LegId::slot` is below it.
    pub legs_max: u32,
}

impl Default for EngineConfig {
    /// Seed 0; 20 s, 15 min on hold, 60 s to connect; elapsed time in reports, 4,096 legs.
    fn default() -> Self {
        EngineConfig {
            seed: 0,
            rtp_timeout: Duration::from_secs(20),
            held_timeout: Duration::from_secs(15 * 60),
            connect_timeout: Duration::from_secs(60),
            ntp_at_epoch: Duration::ZERO,
            legs_max: 4_096,
        }
    }
}

impl EngineConfig {
    fn patience(&self) -> Patience {
        Patience {
            talking: self.rtp_timeout,
            held: self.held_timeout,
            unconnected: self.connect_timeout,
        }
    }
}

/// The machine of one media thread. See the module's description for how it is driven.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    random: Random,
    /// By [`LegId::slot`].
    legs: Vec<Option<Box<Leg>>>,
    /// The slots of the legs that send in each phase.
    phases: [Vec<u32>; PHASES as usize],
    events: VecDeque<Event>,
    open: usize,
}

impl Engine {
    /// An engine without legs.
    pub fn new(config: EngineConfig) -> Engine {
        Engine {
            random: Random::new(config.seed),
            config,
            legs: Vec::new(),
            phases: Default::default(),
            events: VecDeque::with_capacity(64),
            open: 0,
        }
    }

    /// Carries out a command. Commands for legs that aren't open do nothing.
    pub fn command(&mut self, now: Duration, command: Command, sink: &mut impl Sink) {
        match command {
            Command::Open { leg } => return self.open(now, leg),
            Command::Close { leg } => return self.close(now, leg, sink),
            Command::Bridge { a, b } => return self.bridge(now, a, b),
            Command::Unbridge { a, b } => return self.unbridge(now, a, b),
            Command::Mix(mix) => return self.mix(now, &mix),
            _ => {}
        }
        let patience = self.config.patience();
        let Some((leg, mut shared)) = self.work(now, command.leg()) else {
            return;
        };
        match command {
            Command::Connect {
                negotiated, natted, ..
            } => leg.connect(negotiated, natted, &mut shared),
            Command::Play {
                play,
                clips,
                barge_in,
                ..
            } => leg.play(play, clips, barge_in, &mut shared),
            Command::Loop {
                clip, offset_ms, ..
            } => leg.repeat(clip, offset_ms, &mut shared),
            Command::Stop { .. } => leg.leave(&mut shared),
            Command::SendDigits {
                digits,
                tone_ms,
                gap_ms,
                ..
            } => leg.send_digits(&digits, tone_ms, gap_ms, &mut shared),
            Command::Listen { on, .. } => leg.listen(on),
            Command::FindText { .. } => leg.find_text(),
            Command::Await { .. } => leg.await_audio(),
            Command::Watch { timeout, .. } => leg.watch(now, timeout, patience),
            Command::Open { .. }
            | Command::Close { .. }
            | Command::Bridge { .. }
            | Command::Unbridge { .. }
            | Command::Mix(_) => {}
        }
    }

    /// Takes a packet received for `leg`.
    pub fn packet(
        &mut self,
        now: Duration,
        leg: LegId,
        channel: Channel,
        source: SocketAddr,
        bytes: &[u8],
        sink: &mut impl Sink,
    ) {
        let Some((heard, mut shared)) = self.work(now, leg) else {
            return;
        };
        let mut buffer;
        let bytes = if heard.encrypted() && channel == Channel::Rtp && !crate::rtp::is_rtcp(bytes) {
            buffer = [0; DATAGRAM_BYTES_MAX];
            match heard.open(source, bytes, &mut buffer) {
                Some(bytes) => bytes,
                None => return,
            }
        } else {
            bytes
        };
        let Some(accepted) = heard.packet(channel, source, bytes, &mut shared, sink) else {
            return;
        };
        if let Some(hearer) = self.leg(accepted.to) {
            hearer.relay(leg, &accepted, now, sink);
        }
    }

    /// Sends what is due in phase `phase` (0..[`PHASES`]). A driver that woke late calls it once for each slot it
    /// missed, so that every leg gets every frame.
    pub fn slot(&mut self, now: Duration, phase: u32, sink: &mut impl Sink) {
        let Some(slots) = self.phases.get(phase as usize) else {
            return;
        };
        let mut shared = Shared {
            now,
            ntp_at_epoch: self.config.ntp_at_epoch,
            random: &mut self.random,
            events: &mut self.events,
        };
        for &slot in slots {
            let Some(Some(leg)) = self.legs.get_mut(slot as usize) else {
                continue;
            };
            leg.play_out();
            let mixed = leg.hearing().and_then(|hearing| {
                hearing.mixed(|speaker| {
                    let leg = self.legs.get(speaker.slot() as usize)?.as_deref()?;
                    leg.said().filter(|_| leg.id == speaker)
                })
            });
            if let Some(Some(leg)) = self.legs.get_mut(slot as usize) {
                leg.slot(mixed.as_ref(), &mut shared, sink);
            }
        }
    }

    /// The next event; none when all were taken.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Number of open legs.
    pub fn legs(&self) -> usize {
        self.open
    }

    /// Which phase a leg sends in; none if it isn't open.
    pub fn phase(&self, leg: LegId) -> Option<u32> {
        let open = self.legs.get(leg.slot() as usize)?.as_deref()?;
        (open.id == leg).then_some(open.phase)
    }

    fn open(&mut self, now: Duration, id: LegId) {
        let slot = id.slot() as usize;
        if id.slot() >= self.config.legs_max || matches!(self.legs.get(slot), Some(Some(_))) {
            return;
        }
        // The emptiest phase, so that the work is spread over the frame.
        let phase = (0..PHASES)
            .min_by_key(|&phase| self.phases[phase as usize].len())
            .unwrap_or(0);
        if self.legs.len() <= slot {
            self.legs.resize_with(slot + 1, || None);
        }
        let leg = Leg::new(id, phase, self.config.patience(), now, &mut self.random);
        self.legs[slot] = Some(Box::new(leg));
        self.phases[phase as usize].push(id.slot());
        self.open += 1;
    }

    fn close(&mut self, now: Duration, id: LegId, sink: &mut impl Sink) {
        let Some((leg, mut shared)) = self.work(now, id) else {
            return;
        };
        let (phase, peers) = (leg.phase, [leg.feeds(), leg.hears()]);
        let stats = leg.close(&mut shared, sink);
        for peer in peers.into_iter().flatten() {
            if let Some((peer, mut shared)) = self.work(now, peer) {
                peer.unbridge(id, &mut shared);
            }
        }
        self.legs[id.slot() as usize] = None;
        let slots = &mut self.phases[phase as usize];
        if let Some(place) = slots.iter().position(|&slot| slot == id.slot()) {
            slots.swap_remove(place);
        }
        self.open -= 1;
        self.events.push_back(Event::Closed { leg: id, stats });
    }

    fn bridge(&mut self, now: Duration, a: LegId, b: LegId) {
        if a == b || self.leg(a).is_none() || self.leg(b).is_none() {
            return;
        }
        for (one, other) in [(a, b), (b, a)] {
            self.leave(now, one, other);
            if let Some((leg, mut shared)) = self.work(now, one) {
                leg.bridge(other, &mut shared);
            }
        }
    }

    /// Ends the bridge that `one` may have with anybody but `other`.
    fn leave(&mut self, now: Duration, one: LegId, other: LegId) {
        let Some(leg) = self.leg(one) else { return };
        for third in [leg.feeds(), leg.hears()].into_iter().flatten() {
            if third != other {
                self.unbridge(now, one, third);
            }
        }
    }

    fn mix(&mut self, now: Duration, mix: &Mix) {
        for &member in mix.members() {
            let Some(leg) = self.leg(member) else {
                continue;
            };
            for other in [leg.feeds(), leg.hears()].into_iter().flatten() {
                self.unbridge(now, member, other);
            }
            if let Some((leg, mut shared)) = self.work(now, member) {
                leg.mix(mix.hearing(member), &mut shared);
            }
        }
    }

    fn unbridge(&mut self, now: Duration, a: LegId, b: LegId) {
        for (one, other) in [(a, b), (b, a)] {
            if let Some((leg, mut shared)) = self.work(now, one) {
                leg.unbridge(other, &mut shared);
            }
        }
    }

    fn leg(&mut self, id: LegId) -> Option<&mut Leg> {
        let leg = self.legs.get_mut(id.slot() as usize)?.as_deref_mut()?;
        (leg.id == id).then_some(leg)
    }

    /// A leg, and what it needs to work.
    fn work(&mut self, now: Duration, id: LegId) -> Option<(&mut Leg, Shared<'_>)> {
        let leg = self.legs.get_mut(id.slot() as usize)?.as_deref_mut()?;
        if leg.id != id {
            return None;
        }
        let shared = Shared {
            now,
            ntp_at_epoch: self.config.ntp_at_epoch,
            random: &mut self.random,
            events: &mut self.events,
        };
        Some((leg, shared))
    }
}
