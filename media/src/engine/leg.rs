//! One leg: what it is sent, what is heard of it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::crypto::{Crypto, DATAGRAM_BYTES_MAX};
use super::inband::{PASSED_ON_MS, PAUSE_MS_MIN, TONE_MS_MIN, TonesIn, TonesOut};
use super::learn::{Remote, Verdict};
use super::message::{
    Channel, Event, Heard, LegId, LegStats, OneWayCause, PlayId, PlayOutcome, Sink,
};
use super::mix::Hearing;
use super::oneway::OneWay;
use super::out::{Out, PACKET_BYTES_MAX, PAYLOAD_BYTES_MAX};
use super::random::Random;
use super::report::Reports;
use crate::clip::Clip;
use crate::codec::{Codec, FRAME_MS, FRAME_SAMPLES};
use crate::dtmf::{self, Digit, Press};
use crate::playout::{Played, Playout};
use crate::receive::{Arrival, Receive};
use crate::rtcp::COMPOUND_BYTES_MAX;
use crate::rtp::{HEADER_BYTES, Header, Packet};
use crate::sdp::{Direction, Negotiated};
use crate::srtp::OVERHEAD_BYTES_MAX;

/// A leg whose prompt or music ended sends silence for so long, to let the far side's jitter buffer play out in peace,
/// and then a frame of it each [`KEEP_ALIVE`].
const SILENCE_TAIL: Duration = Duration::from_millis(100);
/// Keeps NAT bindings open and the far side's own RTP time-out quiet (RFC 6263 section 4.1 asks for less) at a
/// fiftieth of the cost of unbroken silence. Telephones play silence by themselves when nothing comes.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// The static payload type of comfort noise (RFC 3389 section 4). Gateways send it unasked.
const COMFORT_NOISE: u8 = 13;

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

/// Whether the far side is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Heard,
    Lost,
}

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
    Audio(Codec),
    TelephoneEvent,
    /// Of use in a mix; a bridge's far side pauses likewise when nothing comes.
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
    reports: Reports,
    patience: Patience,
    /// Of `patience`, what the leg's state asks for.
    timeout: Duration,
    presence: Presence,
    one_way: OneWay,
    /// When the last packet of any kind came, or the watch began.
    heard_at: Duration,
    /// When the last RTP packet came, unless a hold lies between.
    rtp_at: Option<Duration>,
    listened: bool,
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
            reports: Reports::new(now, random),
            patience,
            timeout: patience.unconnected,
            presence: Presence::Heard,
            one_way: OneWay::default(),
            heard_at: now,
            rtp_at: None,
            listened: false,
            gap_max: Duration::ZERO,
            ignored: 0,
            digits: 0,
        }
    }

    /// Takes what was negotiated. The watch begins anew.
    pub(super) fn connect(
        &mut self,
        negotiated: Negotiated,
        natted: bool,
        shared: &mut Shared<'_>,
    ) {
        let now = shared.now;
        if Crypto::renew(&mut self.crypto, negotiated.srtp.as_deref()) && self.out.packets > 0 {
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
                    .renew(negotiated.remote_rtp, negotiated.remote_rtcp, natted);
                link.negotiated = negotiated;
            }
            None => {
                self.link = Some(Link {
                    remote: Remote::new(negotiated.remote_rtp, negotiated.remote_rtcp, natted),
                    negotiated,
                });
            }
        }
        // A peer's packets may get another payload type, and the pause of a hold lies behind us.
        self.out.cut();
        if on_hold {
            self.rtp_at = None;
        }
        self.one_way.begin(now, !on_hold, self.out.packets);
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
        if let Source::Prompt { play, .. } = std::mem::replace(&mut self.source, source) {
            shared.events.push_back(Event::PlayEnded {
                leg: self.id,
                play,
                outcome,
            });
        }
    }

    /// Its slot has come: sends a frame if there is one, and sees to what is due.
    pub(super) fn slot(
        &mut self,
        mixed: Option<&[i16; FRAME_SAMPLES]>,
        shared: &mut Shared<'_>,
        sink: &mut impl Sink,
    ) {
        self.miss(shared);
        if self.link.is_none() {
            return;
        }
        self.out.slot();
        self.due(shared, sink);
        if self.keys_out.busy() && self.press(shared, sink) {
            self.skip_frame();
            return;
        }
        match mixed {
            Some(samples) => self.send_samples(shared.now, samples, sink),
            None => self.send_source(shared, sink),
        }
    }

    fn due(&mut self, shared: &mut Shared<'_>, sink: &mut impl Sink) {
        let now = shared.now;
        if let Some(press) = self.keys_in.poll(now) {
            self.tell(press, shared);
        }
        let over = self.tones_in.as_mut().and_then(|tones| tones.poll(now));
        if let Some(press) = over {
            self.tell(press, shared);
        }
        if self.reports.due(now) {
            self.report(false, shared, sink);
        }
    }

    /// Misses the far side once it was silent for too long.
    fn miss(&mut self, shared: &mut Shared<'_>) {
        let after = shared.now.saturating_sub(self.heard_at);
        if after >= self.timeout && self.presence == Presence::Heard {
            self.presence = Presence::Lost;
            let leg = self.id;
            shared.events.push_back(Event::RtpLost { leg, after });
        }
        if let Some((cause, after)) = self.one_way.poll(shared.now, self.out.packets) {
            let leg = self.id;
            shared
                .events
                .push_back(Event::OneWayAudio { leg, cause, after });
        }
    }

    /// Presses keys; says whether that takes the frame's place.
    fn press(&mut self, shared: &mut Shared<'_>, sink: &mut impl Sink) -> bool {
        let Some(payload_type) = self.event_payload_type() else {
            let taken = self.press_tones(shared.now, sink);
            self.keys_are_sent(shared);
            return taken;
        };
        let taken = match self.keys_out.frame() {
            dtmf::Frame::Audio => false,
            dtmf::Frame::Held => true,
            dtmf::Frame::Packets(packets, count) => {
                for packet in packets.iter().take(count) {
                    let header = self.out.event(shared.now, payload_type, packet);
                    self.send(header, &packet.payload, sink);
                }
                true
            }
        };
        self.keys_are_sent(shared);
        taken
    }

    /// The same in tones.
    fn press_tones(&mut self, now: Duration, sink: &mut impl Sink) -> bool {
        let samples = match self.keys_out.tone() {
            dtmf::ToneFrame::Audio => return false,
            dtmf::ToneFrame::Pause => [0; FRAME_SAMPLES],
            dtmf::ToneFrame::Tone { digit, first, last } => {
                let sounding = &mut self.tones_out.sounding;
                if first {
                    *sounding = None;
                }
                sounding
                    .get_or_insert_with(|| dtmf::Tones::new(digit))
                    .frame(last)
            }
        };
        self.send_samples(now, &samples, sink);
        true
    }

    /// Sends a frame of audio made here.
    fn send_samples(
        &mut self,
        now: Duration,
        samples: &[i16; FRAME_SAMPLES],
        sink: &mut impl Sink,
    ) {
        let Some(link) = &self.link else { return };
        let Negotiated {
            codec,
            payload_type,
            ..
        } = link.negotiated;
        let payload = samples.map(|sample| codec.encode(sample));
        let header = self.out.frame(now, payload_type);
        self.send(header, &payload, sink);
    }

    /// A prompt and a loop go on while a key takes their place.
    fn skip_frame(&mut self) {
        if let Source::Prompt { frame, .. } | Source::Loop { frame, .. } = &mut self.source {
            *frame += 1;
        }
    }

    fn send_source(&mut self, shared: &mut Shared<'_>, sink: &mut impl Sink) {
        let Some(link) = &self.link else { return };
        let Negotiated {
            codec,
            payload_type,
            direction,
            ..
        } = link.negotiated;
        let now = shared.now;
        let sends = direction.sends();
        match &mut self.source {
            Source::Prompt {
                clips, clip, frame, ..
            } => {
                while let Some(current) = clips.get(*clip) {
                    if *frame < current.frames() {
                        break;
                    }
                    *frame = 0;
                    *clip += 1;
                }
                let Some(current) = clips.get(*clip) else {
                    self.stop(PlayOutcome::Finished, shared);
                    return self.send_silence(now, SILENCE_TAIL, sink);
                };
                // Played on hold too, only unheard: a flow that waits for its end must not hang.
                if let (true, Some(payload)) = (sends, current.frame(codec, *frame)) {
                    let header = self.out.frame(now, payload_type);
                    transmit(
                        self.id,
                        &link.remote,
                        &mut self.out,
                        self.crypto.as_deref_mut(),
                        header,
                        payload,
                        sink,
                    );
                }
                *frame += 1;
            }
            Source::Loop { clip, frame } => {
                if *frame >= clip.frames() {
                    *frame = 0;
                }
                if let (true, Some(payload)) = (sends, clip.frame(codec, *frame)) {
                    let header = self.out.frame(now, payload_type);
                    transmit(
                        self.id,
                        &link.remote,
                        &mut self.out,
                        self.crypto.as_deref_mut(),
                        header,
                        payload,
                        sink,
                    );
                }
                *frame += 1;
            }
            Source::Silence { until } => {
                let tail = until.saturating_sub(now);
                self.send_silence(now, tail, sink);
            }
            Source::Bridged { .. } | Source::Mixed(_) => {
                self.send_silence(now, Duration::ZERO, sink);
            }
        }
    }

    /// A frame of silence: at once if `tail` is left, else when nothing was sent for long.
    fn send_silence(&mut self, now: Duration, tail: Duration, sink: &mut impl Sink) {
        let Some(link) = &self.link else { return };
        if !link.negotiated.direction.sends() {
            return;
        }
        let quiet = match self.out.sent_at() {
            Some(at) => now.saturating_sub(at) >= KEEP_ALIVE,
            None => true,
        };
        if tail.is_zero() && !quiet {
            return;
        }
        let payload = match link.negotiated.codec {
            Codec::Pcmu => &[Codec::Pcmu.silence(); FRAME_SAMPLES],
            Codec::Pcma => &[Codec::Pcma.silence(); FRAME_SAMPLES],
        };
        let header = self.out.frame(now, link.negotiated.payload_type);
        transmit(
            self.id,
            &link.remote,
            &mut self.out,
            self.crypto.as_deref_mut(),
            header,
            payload,
            sink,
        );
    }

    fn send(&mut self, header: Header, payload: &[u8], sink: &mut impl Sink) {
        let Some(link) = &self.link else { return };
        if link.negotiated.direction.sends() {
            transmit(
                self.id,
                &link.remote,
                &mut self.out,
                self.crypto.as_deref_mut(),
                header,
                payload,
                sink,
            );
        }
    }

    /// Takes a packet from the wire. What comes back goes to a bridged peer.
    pub(super) fn packet<'a>(
        &mut self,
        channel: Channel,
        source: SocketAddr,
        bytes: &'a [u8],
        shared: &mut Shared<'_>,
        sink: &mut impl Sink,
    ) -> Option<Accepted<'a>> {
        if channel == Channel::Rtcp || crate::rtp::is_rtcp(bytes) {
            self.rtcp(source, bytes, shared);
            return None;
        }
        let accepted = self.rtp(source, bytes, shared);
        if accepted.is_none() {
            self.ignored += 1;
        }
        let (packet, arrival, kind) = accepted?;
        let (extended, restarted) = match arrival {
            Arrival::Counted(extended) => (extended, false),
            Arrival::Restarted(extended) => (extended, true),
            Arrival::Stray => return None,
        };
        let kind = kind?;
        if matches!(kind, Relayable::TelephoneEvent) {
            let presses =
                self.keys_in
                    .packet(shared.now, packet.ssrc, packet.timestamp, packet.payload);
            for press in presses.into_iter().flatten() {
                self.tell(press, shared);
            }
        }
        if matches!(kind, Relayable::ComfortNoise) {
            self.one_way.heard();
            if let (Some(said), Some(&level)) = (&mut self.playout, packet.payload.first()) {
                said.playout.comfort_noise(level);
            }
            return None;
        }
        if let Relayable::Audio(codec) = kind {
            self.one_way.heard();
            if let Some(said) = &mut self.playout {
                let audio = packet.payload.iter().map(|&byte| codec.decode(byte));
                said.playout.packet(shared.now, packet.timestamp, audio);
            }
            self.receive.timestamp(shared.now, packet.timestamp);
            if let Some(tones) = self.tones_in.as_mut() {
                let samples = packet.payload.iter().map(|&byte| codec.decode(byte));
                let presses = tones.packet(shared.now, extended, samples);
                for press in presses.into_iter().flatten() {
                    self.tell(press, shared);
                }
            }
            if self.listened {
                let heard = Heard {
                    sequence: extended,
                    timestamp: packet.timestamp,
                    codec,
                    payload: packet.payload,
                };
                sink.heard(self.id, heard);
            }
        }
        Some(Accepted {
            packet,
            extended,
            restarted,
            kind,
            to: self.feeds?,
        })
    }

    /// Judges an RTP packet; none if it isn't the far side's. A payload of no use still counts and shows presence.
    fn rtp<'a>(
        &mut self,
        source: SocketAddr,
        bytes: &'a [u8],
        shared: &mut Shared<'_>,
    ) -> Option<(Packet<'a>, Arrival, Option<Relayable>)> {
        let packet = Packet::parse(bytes)?;
        if packet.payload.len() > PAYLOAD_BYTES_MAX {
            return None;
        }
        let link = self.link.as_mut()?;
        if !link.negotiated.direction.receives() {
            if link.remote.lives_at(source.ip()) {
                self.present(shared);
            }
            return None;
        }
        let on_hold = link.on_hold();
        let kind = kind(&link.negotiated, packet.payload_type);
        let verdict = link
            .remote
            .rtp_from(shared.now, source, &packet, kind.is_some());
        match verdict {
            Verdict::Ignored => {
                self.one_way.elsewhere(source);
                return None;
            }
            Verdict::Accepted => {}
            Verdict::Learnt => {
                let leg = self.id;
                let remote = source;
                shared.events.push_back(Event::Learned { leg, remote });
            }
        }
        if kind.is_none() {
            self.one_way.odd(OneWayCause::Payload(packet.payload_type));
        }
        let arrival = self.receive.packet(packet.ssrc, packet.sequence);
        if !on_hold && let Some(before) = self.rtp_at.replace(shared.now) {
            self.gap_max = self.gap_max.max(shared.now.saturating_sub(before));
        }
        self.present(shared);
        Some((packet, arrival, kind))
    }

    /// Opens an RTP packet of an encrypted leg into `buffer`; none if it isn't genuine. Strangers' cost no
    /// cryptography, and nothing that fails here has any effect but on the count.
    pub(super) fn open<'a>(
        &mut self,
        source: SocketAddr,
        bytes: &[u8],
        buffer: &'a mut [u8; DATAGRAM_BYTES_MAX],
    ) -> Option<&'a [u8]> {
        let link = self.link.as_ref()?;
        let opened = if link.on_hold() || link.remote.may_be(source) {
            let opened = self.crypto.as_deref_mut()?.rtp(bytes, buffer);
            if opened.is_none() {
                self.one_way.odd(OneWayCause::Undecipherable);
            }
            opened
        } else {
            self.one_way.elsewhere(source);
            None
        };
        if opened.is_none() {
            self.ignored += 1;
        }
        opened
    }

    /// Whether RTP must be opened before it is read.
    pub(super) fn encrypted(&self) -> bool {
        self.crypto.is_some()
    }

    fn rtcp(&mut self, source: SocketAddr, bytes: &[u8], shared: &mut Shared<'_>) {
        let Some(link) = self.link.as_mut() else {
            self.ignored += 1;
            return;
        };
        let held_and_alive = link.on_hold() && link.remote.lives_at(source.ip());
        let mut buffer;
        let opened = match self.crypto.as_deref_mut() {
            None => Some(bytes),
            Some(crypto) => {
                buffer = [0; DATAGRAM_BYTES_MAX];
                let known = held_and_alive || link.remote.reports_from(source);
                known.then(|| crypto.rtcp(bytes, &mut buffer)).flatten()
            }
        };
        let Some(bytes) = opened else {
            self.ignored += 1;
            return;
        };
        let known = link.remote.rtcp_from(source) || held_and_alive;
        let read = known
            && self
                .reports
                .read(shared.now, shared.ntp_at_epoch, self.out.ssrc, bytes);
        if read {
            // Whoever suppresses silence still reports.
            self.one_way.odd(OneWayCause::ReportsOnly);
            self.present(shared);
        } else {
            self.ignored += 1;
        }
    }

    fn present(&mut self, shared: &mut Shared<'_>) {
        self.heard_at = shared.now;
        if self.presence == Presence::Lost {
            self.presence = Presence::Heard;
            let leg = self.id;
            shared.events.push_back(Event::RtpBack { leg });
        }
    }

    fn tell(&mut self, press: Press, shared: &mut Shared<'_>) {
        let leg = self.id;
        let at = shared.now;
        match press {
            Press::Started(digit) => {
                self.digits += 1;
                shared.events.push_back(Event::Digit { leg, digit, at });
                if matches!(self.source, Source::Prompt { barge_in: true, .. }) {
                    self.stop(PlayOutcome::BargedIn, shared);
                }
            }
            Press::Ended { digit, duration_ms } => shared.events.push_back(Event::DigitEnded {
                leg,
                digit,
                duration_ms,
                at,
            }),
        }
    }

    /// Sends on what `peer` said, if this leg still hears it.
    pub(super) fn relay(
        &mut self,
        peer: LegId,
        accepted: &Accepted<'_>,
        now: Duration,
        sink: &mut impl Sink,
    ) {
        let Some(link) = &self.link else { return };
        if let (Relayable::TelephoneEvent, None) = (&accepted.kind, link.negotiated.telephone_event)
            && self.hears() == Some(peer)
        {
            let packet = &accepted.packet;
            if let Some(digit) = self.tones_out.begins(packet.timestamp, packet.payload) {
                self.keys_out.press(&[digit], PASSED_ON_MS, PAUSE_MS_MIN);
            }
            return;
        }
        // Keys of our own take precedence; what they displace is lost.
        if self.hears() != Some(peer) || !link.negotiated.direction.sends() || self.keys_out.busy()
        {
            return;
        }
        if accepted.restarted {
            self.out.cut();
        }
        let payload = accepted.packet.payload;
        let mut buffer;
        let (payload_type, payload, span, steady) = match accepted.kind {
            Relayable::Audio(codec) => {
                let payload = match codec.transcoding(link.negotiated.codec) {
                    None => payload,
                    Some(table) => {
                        buffer = [0; PAYLOAD_BYTES_MAX];
                        let Some(transcoded) = buffer.get_mut(..payload.len()) else {
                            return;
                        };
                        for (to, from) in transcoded.iter_mut().zip(payload) {
                            *to = table[usize::from(*from)];
                        }
                        transcoded
                    }
                };
                let span = payload.len() as u32;
                (link.negotiated.payload_type, payload, span, true)
            }
            Relayable::TelephoneEvent => {
                let (Some(payload_type), Some(&[_, _, d0, d1])) =
                    (link.negotiated.telephone_event, payload.first_chunk::<4>())
                else {
                    return;
                };
                let span = u32::from(u16::from_be_bytes([d0, d1]));
                (payload_type, payload, span, false)
            }
            Relayable::ComfortNoise => return,
        };
        let header = self.out.relay(
            now,
            payload_type,
            &accepted.packet,
            accepted.extended,
            span,
            steady,
        );
        if let Some(header) = header {
            transmit(
                self.id,
                &link.remote,
                &mut self.out,
                self.crypto.as_deref_mut(),
                header,
                payload,
                sink,
            );
        }
    }

    /// Says goodbye and tells what passed.
    pub(super) fn close(&mut self, shared: &mut Shared<'_>, sink: &mut impl Sink) -> LegStats {
        self.stop(PlayOutcome::Stopped, shared);
        if self.commanded {
            let leg = self.id;
            let count = 0;
            shared.events.push_back(Event::DigitsSent { leg, count });
        }
        if self.link.is_some() && (self.out.packets > 0 || self.receive.received() > 0) {
            self.report(true, shared, sink);
        }
        LegStats {
            packets_sent: self.out.packets,
            packets_received: self.receive.received(),
            packets_lost: self.receive.lost(),
            packets_ignored: self.ignored,
            packets_forged: self.crypto.as_ref().map_or(0, |crypto| crypto.forged),
            jitter_us: self.receive.jitter_us(),
            remote_jitter_us: self.reports.remote_jitter_us,
            remote_lost: self.reports.remote_lost,
            round_trip_us: self.reports.round_trip_us,
            gap_max: self.gap_max,
            digits: self.digits,
        }
    }

    fn report(&mut self, bye: bool, shared: &mut Shared<'_>, sink: &mut impl Sink) {
        let mut buffer = [0; COMPOUND_BYTES_MAX];
        let length = self
            .reports
            .write(shared, &self.out, &mut self.receive, bye, &mut buffer);
        let (Some(link), Some(packet)) = (&self.link, buffer.get(..length)) else {
            return;
        };
        let (channel, to) = if link.negotiated.rtcp_mux {
            (Channel::Rtp, link.remote.rtp())
        } else {
            (Channel::Rtcp, link.remote.rtcp())
        };
        if !reachable(to) {
            return;
        }
        let Some(crypto) = self.crypto.as_deref_mut() else {
            return sink.send(self.id, channel, to, packet);
        };
        let mut sealed = [0; COMPOUND_BYTES_MAX + OVERHEAD_BYTES_MAX];
        sealed[..length].copy_from_slice(packet);
        let sealed_length = crypto.outbound.rtcp(&mut sealed, length);
        if let Some(packet) = sealed_length.and_then(|length| sealed.get(..length)) {
            sink.send(self.id, channel, to, packet);
        }
    }
}

/// What a payload type stands for. The static numbers are taken even if only the other one was agreed on: they can't
/// mean anything else, and an offer of both lets the far side change between them (RFC 3264 section 7).
fn kind(negotiated: &Negotiated, payload_type: u8) -> Option<Relayable> {
    if payload_type == negotiated.receive_payload_type {
        Some(Relayable::Audio(negotiated.codec))
    } else if Some(payload_type) == negotiated.receive_telephone_event {
        Some(Relayable::TelephoneEvent)
    } else {
        match payload_type {
            COMFORT_NOISE => Some(Relayable::ComfortNoise),
            other => Codec::from_static_payload_type(other).map(Relayable::Audio),
        }
    }
}

/// Whether packets can be sent there: a far side on hold the old way has no address.
fn reachable(to: SocketAddr) -> bool {
    to.port() != 0 && !to.ip().is_unspecified()
}

fn transmit(
    leg: LegId,
    remote: &Remote,
    out: &mut Out,
    crypto: Option<&mut Crypto>,
    header: Header,
    payload: &[u8],
    sink: &mut impl Sink,
) {
    let to = remote.rtp();
    if !reachable(to) {
        return;
    }
    out.octets = out.octets.wrapping_add(payload.len() as u32);
    // Almost all packets carry 20 ms or less; clearing the room for the longest would cost more than all else.
    let mut usual = [0; HEADER_BYTES + FRAME_SAMPLES + OVERHEAD_BYTES_MAX];
    let mut longest;
    let length = HEADER_BYTES + payload.len();
    let packet = if length + OVERHEAD_BYTES_MAX <= usual.len() {
        &mut usual[..]
    } else {
        longest = [0; PACKET_BYTES_MAX + OVERHEAD_BYTES_MAX];
        &mut longest[..]
    };
    let Some(clear) = packet.get_mut(..length) else {
        return;
    };
    let (head, body) = clear.split_at_mut(HEADER_BYTES);
    head.copy_from_slice(&header.bytes());
    body.copy_from_slice(payload);
    let length = match crypto {
        None => Some(length),
        Some(crypto) => crypto.outbound.rtp(packet, length),
    };
    if let Some(packet) = length.and_then(|length| packet.get(..length)) {
        sink.send(leg, Channel::Rtp, to, packet);
    }
}
