//! One leg: what it is sent, what is heard of it.

mod hear;
mod speak;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::crypto::Crypto;
use super::inband::{PAUSE_MS_MIN, TONE_MS_MIN, TonesIn, TonesOut};
use super::learn::Remote;
use super::message::{Event, LegId, PlayId, PlayOutcome};
use super::mix::Hearing;
use super::oneway::OneWay;
use super::out::Out;
use super::random::Random;
use super::report::Reports;
use super::wide::Wide;
use crate::clip::Clip;
use crate::codec::{FRAME_MS, FRAME_SAMPLES, Format};
use crate::dtmf::{self, Digit};
use crate::playout::{Noise, Played, Playout};
use crate::receive::Receive;
use crate::rtp::Packet;
use crate::sdp::{Direction, Negotiated};
use crate::tty;

/// A leg whose prompt or music ended sends silence for so long, to let the far side's jitter buffer play out in peace,
/// and then a frame of it now and then.
const SILENCE_TAIL: Duration = Duration::from_millis(100);

/// What a leg is sent.
#[derive(Debug)]
enum Source {
    /// Unbroken `until` then, later kept alive.
    Silence {
        until: Duration,
    },
    Prompt {
        play: PlayId,
        clips: Vec<Arc<Clip>>,
        barge_in: bool,
        /// The clip being played and its next frame.
        clip: usize,
        frame: usize,
    },
    Loop {
        clip: Arc<Clip>,
        frame: usize,
    },
    /// What `peer` says.
    Bridged {
        peer: LegId,
    },
    /// What several say.
    Mixed(Hearing),
}

/// What was agreed with the far side.
#[derive(Debug)]
struct Link {
    negotiated: Negotiated,
    remote: Remote,
}

impl Link {
    /// One of the two doesn't want to hear the other.
    fn on_hold(&self) -> bool {
        self.negotiated.direction != Direction::SendRecv
    }
}

/// What a leg says into a mix.
#[derive(Debug)]
struct Said {
    playout: Playout,
    frame: [i16; FRAME_SAMPLES],
    played: Played,
}

/// Whether the far side is a text telephone.
#[derive(Debug)]
enum Text {
    NotLookedFor,
    LookedFor(Box<tty::Detector>),
    Found,
}

/// Whether the far side is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Heard,
    Quiet,
    Lost,
}

/// After how much silence a far side that should talk is quiet. Who suppresses silence still reports, every 7.5 s at
/// the least (RFC 3550 section 6.3.1).
const QUIET: Duration = Duration::from_secs(8);

/// How much silence from the far side is borne.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) talking: Duration,
    /// Either side is on hold.
    pub(super) held: Duration,
    /// Opened, and not connected yet.
    pub(super) unconnected: Duration,
}

impl Patience {
    const ENDLESS: Patience = Patience {
        talking: Duration::MAX,
        held: Duration::MAX,
        unconnected: Duration::MAX,
    };
}

/// An accepted packet of a kind that a bridged peer may get.
#[derive(Debug)]
pub(super) enum Relayable {
    Audio(Format),
    TelephoneEvent,
    /// The far side pauses, and asks for noise meanwhile.
    ComfortNoise,
}

/// What a packet received is good for.
#[derive(Debug)]
pub(super) struct Accepted<'a> {
    pub(super) packet: Packet<'a>,
    /// Extended sequence number.
    pub(super) extended: u64,
    /// It begins a new count: whoever relays it must anchor anew.
    pub(super) restarted: bool,
    pub(super) kind: Relayable,
    pub(super) to: LegId,
}

/// What all legs of an engine share while one of them works.
pub(super) struct Shared<'a> {
    pub(super) now: Duration,
    pub(super) ntp_at_epoch: Duration,
    pub(super) random: &'a mut Random,
    pub(super) events: &'a mut VecDeque<Event>,
}

/// One leg.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) id: LegId,
    pub(super) phase: u32,
    link: Option<Link>,
    /// There is one if and only if the link has keys.
    crypto: Option<Box<Crypto>>,
    source: Source,
    /// Who hears this leg, unless its source has become another since.
    feeds: Option<LegId>,
    /// There is one while others hear this leg in a mix.
    playout: Option<Box<Said>>,
    out: Out,
    receive: Receive,
    keys_in: dtmf::Receiver,
    keys_out: dtmf::Sender,
    keys_sent: usize,
    /// Keys are being pressed because of a command, whose end is told.
    commanded: bool,
    /// There is one if and only if no telephone events were agreed on.
    tones_in: Option<Box<TonesIn>>,
    tones_out: TonesOut,
    wide: Option<Box<Wide>>,
    /// What is heard instead of a peer that pauses, where the far side doesn't know comfort noise.
    noise: Noise,
    /// When comfort noise was last sent.
    hushed_at: Option<Duration>,
    reports: Reports,
    patience: Patience,
    /// Of `patience`, what the leg's state asks for.
    timeout: Duration,
    presence: Presence,
    /// How much silence is reported next.
    miss_after: Duration,
    one_way: OneWay,
    /// When the last packet of any kind came, or the watch began.
    heard_at: Duration,
    /// When the last RTP packet came, unless a hold lies between.
    rtp_at: Option<Duration>,
    listened: bool,
    /// That audio comes is to be told.
    awaited: bool,
    text: Text,
    gap_max: Duration,
    ignored: u64,
    digits: u32,
}

impl Leg {
    pub(super) fn new(
        id: LegId,
        phase: u32,
        patience: Patience,
        now: Duration,
        random: &mut Random,
    ) -> Leg {
        let numbers = random.next_u64();
        Leg {
            id,
            phase,
            link: None,
            crypto: None,
            // Nothing was played that the far side's jitter buffer would have to play out: its first frame is enough.
            source: Source::Silence { until: now },
            feeds: None,
            playout: None,
            // A random start for each (RFC 3550 section 5.1).
            out: Out::new(
                (numbers >> 32) as u32,
                numbers as u16,
                random.next_u64() as u32,
            ),
            receive: Receive::default(),
            keys_in: dtmf::Receiver::default(),
            keys_out: dtmf::Sender::default(),
            keys_sent: 0,
            commanded: false,
            tones_in: None,
            tones_out: TonesOut::default(),
            wide: None,
            noise: Noise::default(),
            hushed_at: None,
            reports: Reports::new(now, random),
            patience,
            timeout: patience.unconnected,
            presence: Presence::Heard,
            miss_after: patience.unconnected,
            one_way: OneWay::default(),
            heard_at: now,
            rtp_at: None,
            listened: false,
            awaited: false,
            text: Text::NotLookedFor,
            gap_max: Duration::ZERO,
            ignored: 0,
            digits: 0,
        }
    }

    /// Takes what was negotiated. The watch begins anew.
    pub(super) fn connect(
        &mut self,
        negotiated: Negotiated,
        natted: Option<IpAddr>,
        shared: &mut Shared<'_>,
    ) {
        let now = shared.now;
        if Crypto::renew(&mut self.crypto, negotiated.srtp.as_deref())
            && self.out.packets_ever() > 0
        {
            // Under keys that may have been used before, the same numbers again would give the audio away.
            self.out.begin_anew(shared.random);
        }
        let on_hold = negotiated.direction != Direction::SendRecv;
        if negotiated.receive_telephone_event.is_some() {
            self.tones_in = None;
        } else {
            self.tones_in.get_or_insert_default();
        }
        match self.link.as_mut() {
            Some(link) => {
                link.remote
                    .renew(now, negotiated.remote_rtp, negotiated.remote_rtcp, natted);
                link.negotiated = negotiated;
            }
            None => {
                self.link = Some(Link {
                    remote: Remote::new(now, negotiated.remote_rtp, negotiated.remote_rtcp, natted),
                    negotiated,
                });
            }
        }
        // A peer's packets may get another payload type, and the pause of a hold lies behind us.
        self.out.cut();
        if on_hold {
            self.rtp_at = None;
        }
        self.one_way.begin(now, !on_hold, self.out.packets_ever());
        self.watch_anew(now);
    }

    fn watch_anew(&mut self, now: Duration) {
        self.timeout = match &self.link {
            None => self.patience.unconnected,
            Some(link) if link.on_hold() => self.patience.held,
            Some(_) => self.patience.talking,
        };
        self.heard_at = now;
        self.presence = Presence::Heard;
        self.miss_after = self.first_missed();
    }

    /// The silence that is reported first.
    fn first_missed(&self) -> Duration {
        let talking = self.link.as_ref().is_some_and(|link| !link.on_hold());
        match talking && self.timeout != Duration::MAX {
            true => self.timeout.min(QUIET),
            false => self.timeout,
        }
    }

    pub(super) fn play(
        &mut self,
        play: PlayId,
        clips: Vec<Arc<Clip>>,
        barge_in: bool,
        shared: &mut Shared<'_>,
    ) {
        let source = Source::Prompt {
            play,
            clips,
            barge_in,
            clip: 0,
            frame: 0,
        };
        self.replace(source, PlayOutcome::Stopped, shared);
    }

    pub(super) fn repeat(&mut self, clip: Arc<Clip>, offset_ms: u32, shared: &mut Shared<'_>) {
        let frame = (offset_ms / FRAME_MS) as usize;
        let frame = frame.checked_rem(clip.frames()).unwrap_or(0);
        self.replace(Source::Loop { clip, frame }, PlayOutcome::Stopped, shared);
    }

    /// As told: out of a mix too.
    pub(super) fn leave(&mut self, shared: &mut Shared<'_>) {
        self.playout = None;
        self.stop(PlayOutcome::Stopped, shared);
    }

    fn stop(&mut self, outcome: PlayOutcome, shared: &mut Shared<'_>) {
        let until = shared.now + SILENCE_TAIL;
        self.replace(Source::Silence { until }, outcome, shared);
    }

    /// Hears others in a mix from now on, and may be heard in it.
    pub(super) fn mix(&mut self, hearing: Hearing, shared: &mut Shared<'_>) {
        self.playout.get_or_insert_with(|| {
            Box::new(Said {
                playout: Playout::default(),
                frame: [0; FRAME_SAMPLES],
                played: Played::Silence,
            })
        });
        if let (Text::Found, Some(said)) = (&self.text, &mut self.playout) {
            said.playout.leave_alone();
        }
        if let Source::Mixed(before) = &mut self.source {
            *before = hearing;
        } else {
            self.replace(Source::Mixed(hearing), PlayOutcome::Stopped, shared);
        }
    }

    /// Its slot has come: what it says into a mix now.
    pub(super) fn play_out(&mut self) {
        if let Some(said) = &mut self.playout {
            (said.frame, said.played) = said.playout.frame();
        }
    }

    /// What it says into a mix, unless it is silent.
    pub(super) fn said(&self) -> Option<&[i16; FRAME_SAMPLES]> {
        let said = self.playout.as_deref()?;
        (said.played != Played::Silence).then_some(&said.frame)
    }

    /// Whom it hears in a mix.
    pub(super) fn hearing(&self) -> Option<Hearing> {
        match self.source {
            Source::Mixed(hearing) => Some(hearing),
            _ => None,
        }
    }

    /// This leg and `peer` hear each other from now on; called for each of the two.
    pub(super) fn bridge(&mut self, peer: LegId, shared: &mut Shared<'_>) {
        self.playout = None;
        self.feeds = Some(peer);
        if self.hears() != Some(peer) {
            self.replace(Source::Bridged { peer }, PlayOutcome::Stopped, shared);
        }
    }

    /// Hears and feeds `peer` no longer; another source stays.
    pub(super) fn unbridge(&mut self, peer: LegId, shared: &mut Shared<'_>) {
        if self.feeds == Some(peer) {
            self.feeds = None;
        }
        if self.hears() == Some(peer) {
            self.stop(PlayOutcome::Stopped, shared);
        }
    }

    /// Whose audio this leg is sent.
    pub(super) fn hears(&self) -> Option<LegId> {
        match self.source {
            Source::Bridged { peer } => Some(peer),
            Source::Silence { .. }
            | Source::Prompt { .. }
            | Source::Loop { .. }
            | Source::Mixed(_) => None,
        }
    }

    /// Who is sent this leg's audio, as far as this leg knows.
    pub(super) fn feeds(&self) -> Option<LegId> {
        self.feeds
    }

    pub(super) fn listen(&mut self, on: bool) {
        self.listened = on;
    }

    pub(super) fn await_audio(&mut self) {
        self.awaited = true;
    }

    pub(super) fn find_text(&mut self) {
        if matches!(self.text, Text::NotLookedFor) {
            self.text = Text::LookedFor(Box::default());
        }
    }

    pub(super) fn watch(&mut self, now: Duration, timeout: Option<Duration>, usual: Patience) {
        self.patience = match timeout {
            Some(talking) => Patience { talking, ..usual },
            None => Patience::ENDLESS,
        };
        self.watch_anew(now);
    }

    pub(super) fn send_digits(
        &mut self,
        digits: &[Digit],
        tone_ms: u32,
        gap_ms: u32,
        shared: &mut Shared<'_>,
    ) {
        if self.event_payload_type().is_some() {
            self.keys_sent += self.keys_out.press(digits, tone_ms, gap_ms);
        } else if self.link.is_some() {
            let (tone_ms, gap_ms) = (tone_ms.max(TONE_MS_MIN), gap_ms.max(PAUSE_MS_MIN));
            self.keys_sent += self.keys_out.press(digits, tone_ms, gap_ms);
        }
        self.commanded = true;
        self.keys_are_sent(shared);
    }

    /// Tells when all keys of a command were sent.
    fn keys_are_sent(&mut self, shared: &mut Shared<'_>) {
        if self.commanded && !self.keys_out.busy() {
            self.commanded = false;
            let count = std::mem::take(&mut self.keys_sent);
            let leg = self.id;
            shared.events.push_back(Event::DigitsSent { leg, count });
        }
    }

    fn event_payload_type(&self) -> Option<u8> {
        self.link.as_ref()?.negotiated.telephone_event
    }

    fn replace(&mut self, source: Source, outcome: PlayOutcome, shared: &mut Shared<'_>) {
        self.out.cut();
        self.noise.end();
        if let Source::Prompt { play, .. } = std::mem::replace(&mut self.source, source) {
            shared.events.push_back(Event::PlayEnded {
                leg: self.id,
                play,
                outcome,
            });
        }
    }
}
