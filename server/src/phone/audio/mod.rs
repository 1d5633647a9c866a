//! A phone's audio: legs that speak and listen, over UDP or in memory.
//!
//! Each of the two ways has one thread that owns the [`Hearing`] of all its legs and tells the phones' tasks what is
//! heard: [`PhoneAudio`] around the media threads of [`crate::rtp`], [`RingHub`] with an engine of its own.

mod hub;
mod threads;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use media::engine::{Command, Event, LegId, LegStats};
use media::sdp::Negotiated;
use tokio::sync::mpsc;

use super::config::{Ears, PhoneMedia};
use super::event::CallId;
use super::hearing::{Gaps, Hearing, HearingEvent};
use crate::rtp::MediaError;

pub use hub::RingHub;
pub use threads::PhoneAudio;

/// How often time goes by for listeners though nothing arrives.
const TICK: Duration = Duration::from_millis(50);

/// What a leg tells the phone that opened it.
#[derive(Debug)]
pub(super) enum AudioEvent {
    /// Something was heard. Times count from when the leg was connected.
    Heard(HearingEvent),
    /// The engine's own events, `Closed` excepted.
    Media(Event),
    /// The leg is gone. Always the last.
    Closed { stats: LegStats, gaps: Gaps },
}

/// Where a leg's events go.
pub(super) type Tell = mpsc::Sender<(CallId, AudioEvent)>;

/// A leg that was opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) leg: LegId,
    /// The address to put into SDP; unspecified when it listens on all.
    pub(super) address: SocketAddr,
}

impl PhoneMedia {
    pub(super) fn open(&self, call: CallId, ears: &Ears, tell: Tell) -> Result<Line, MediaError> {
        let ear = Ear::new(call, ears, tell);
        match self {
            PhoneMedia::Udp(audio) => audio.open(ear),
            PhoneMedia::Ring(hub) => hub.open(ear),
        }
    }

    /// Tells a leg where its far side is, at first and after every change.
    pub(super) fn connect(&self, leg: LegId, negotiated: Negotiated) -> Result<(), MediaError> {
        match self {
            PhoneMedia::Udp(audio) => audio.connect(leg, negotiated),
            PhoneMedia::Ring(hub) => hub.command(Command::Connect {
                leg,
                negotiated,
                natted: None,
            }),
        }
    }

    pub(super) fn command(&self, command: Command) -> Result<(), MediaError> {
        match self {
            PhoneMedia::Udp(audio) => audio.command(command),
            PhoneMedia::Ring(hub) => hub.command(command),
        }
    }

    /// The address legs are bound to.
    pub(super) fn bind(&self) -> IpAddr {
        match self {
            PhoneMedia::Udp(audio) => audio.bind(),
            PhoneMedia::Ring(hub) => hub.ip(),
        }
    }
}

/// One leg's hearing, and whom it tells.
struct Ear {
    call: CallId,
    hearing: Hearing,
    tell: Tell,
    /// When the leg was connected: the zero of the times told.
    zero: Option<Duration>,
}

impl Ear {
    fn new(call: CallId, ears: &Ears, tell: Tell) -> Ear {
        let hearing = match ears {
            Ears::Listening(library) => Hearing::listening(library.clone()),
            Ears::Counting => Hearing::counting(),
        };
        Ear {
            call,
            hearing,
            tell,
            zero: None,
        }
    }

    /// The leg was connected; only the first time counts.
    fn connected(&mut self, now: Duration) {
        self.zero.get_or_insert(now);
    }

    fn packet(&mut self, now: Duration, heard: &media::engine::Heard<'_>) {
        let Some(zero) = self.zero else { return };
        self.hearing.packet(now.saturating_sub(zero), heard);
        self.pass_on();
    }

    fn tick(&mut self, now: Duration) {
        let Some(zero) = self.zero else { return };
        self.hearing.tick(now.saturating_sub(zero));
        self.pass_on();
    }

    fn media(&mut self, now: Duration, event: Event) {
        let event = match event {
            Event::Closed { stats, .. } => {
                if let Some(zero) = self.zero {
                    self.hearing.finish(now.saturating_sub(zero));
                    self.pass_on();
                }
                AudioEvent::Closed {
                    stats,
                    gaps: self.hearing.counts().gaps.clone(),
                }
            }
            event => AudioEvent::Media(event),
        };
        self.say(event);
    }

    fn pass_on(&mut self) {
        while let Some(event) = self.hearing.poll_event() {
            self.say(AudioEvent::Heard(event));
        }
    }

    /// A phone that doesn't keep up misses some of it; its report then has gaps, but nobody waits.
    fn say(&self, event: AudioEvent) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.tell.try_send((self.call, event)) {
            tracing::warn!(
                call = self.call.0,
                "a telephone doesn't keep up with what it hears"
            );
        }
    }
}
