//! What a leg sends: a frame in its slot, whatever its source; what a bridged peer says; reports.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Accepted, Leg, Presence, Relayable, SILENCE_TAIL, Shared, Source};
use crate::codec::{Codec, FRAME_SAMPLES, Format};
use crate::dtmf;
use crate::engine::crypto::Crypto;
use crate::engine::inband::{PASSED_ON_MS, PAUSE_MS_MIN};
use crate::engine::learn::Remote;
use crate::engine::message::{Channel, Event, LegId, LegStats, PlayOutcome, Sink};
use crate::engine::out::{Out, PACKET_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::engine::wide::Wide;
use crate::rtcp::COMPOUND_BYTES_MAX;
use crate::rtp::{HEADER_BYTES, Header};
use crate::sdp::Negotiated;
use crate::srtp::OVERHEAD_BYTES_MAX;

/// Keeps NAT bindings open and the far side's own RTP time-out quiet (RFC 6263 section 4.1 asks for less) at a
/// fiftieth of the cost of unbroken silence. Telephones play silence by themselves when nothing comes.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// How loud we ask the far side to be silent, in dB below full scale: as a quiet room, so that the line isn't thought
/// dead.
const NOISE_LEVEL: u8 = 68;

impl Leg {
    /// Its slot has come: sends a frame if there is one, and sees to what is due.
    pub(in crate::engine) fn slot(
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

    /// Misses the far side once it was silent for too long, and then once for each time-out.
    fn miss(&mut self, shared: &mut Shared<'_>) {
        let after = shared.now.saturating_sub(self.heard_at);
        if after >= self.miss_after {
            let leg = self.id;
            if after >= self.timeout {
                self.presence = Presence::Lost;
                self.miss_after = after + self.timeout;
                shared.events.push_back(Event::RtpLost { leg, after });
            } else {
                self.presence = Presence::Quiet;
                self.miss_after = self.timeout;
                shared.events.push_back(Event::RtpQuiet { leg, after });
            }
        }
        if let Some((cause, after)) = self.one_way.poll(shared.now, self.out.packets_ever()) {
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
        let payload = match codec {
            Format::G711(codec) => samples.map(|sample| codec.encode(sample)),
            Format::G722 => {
                let wide = self.wide.get_or_insert_default();
                wide.frame(samples.iter().copied())
            }
        };
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
        // What is played is kept as G.711; for G.722 it is coded as it is sent, as its code depends on what was before.
        let kept = match codec {
            Format::G711(codec) => codec,
            Format::G722 => Codec::Pcmu,
        };
        let payload = match &mut self.source {
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
                *frame += 1;
                current.frame(kept, *frame - 1)
            }
            Source::Loop { clip, frame } => {
                if *frame >= clip.frames() {
                    *frame = 0;
                }
                *frame += 1;
                clip.frame(kept, *frame - 1)
            }
            Source::Silence { until } => {
                let tail = until.saturating_sub(now);
                // Nothing more comes: what there is to hear meanwhile is said at once, and again now and then.
                let at_once = self.hushed_at.is_none() || self.hushed_at != self.out.sent_at();
                if tail.is_zero() && at_once && self.hush(now, sink) {
                    return;
                }
                return self.send_silence(now, tail, sink);
            }
            Source::Bridged { .. } if self.noise.sounds() => {
                let samples = self.noise.frame();
                return self.send_samples(now, &samples, sink);
            }
            Source::Bridged { .. } | Source::Mixed(_) => {
                return self.send_silence(now, Duration::ZERO, sink);
            }
        };
        // Played on hold too, only unheard: a flow that waits for its end must not hang.
        if let (true, Some(payload)) = (direction.sends(), payload) {
            let widened;
            let payload = match codec {
                Format::G711(_) => payload,
                Format::G722 => {
                    let wide = self.wide.get_or_insert_default();
                    widened = wide.frame(payload.iter().map(|byte| kept.decode(*byte)));
                    &widened
                }
            };
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
        if tail.is_zero() && self.hush(now, sink) {
            return;
        }
        let Some(link) = &self.link else { return };
        let widened;
        let payload = match link.negotiated.codec {
            Format::G711(Codec::Pcmu) => &[Codec::Pcmu.silence(); FRAME_SAMPLES],
            Format::G711(Codec::Pcma) => &[Codec::Pcma.silence(); FRAME_SAMPLES],
            Format::G722 => {
                let wide = self.wide.get_or_insert_default();
                widened = wide.frame(std::iter::repeat_n(0, FRAME_SAMPLES));
                &widened
            }
        };
        let header = self.out.frame(now, link.negotiated.payload_type);
        self.send(header, payload, sink);
    }

    /// Sends comfort noise, to who agreed to it.
    fn hush(&mut self, now: Duration, sink: &mut impl Sink) -> bool {
        let agreed = self.link.as_ref().map(|link| &link.negotiated);
        let Some(payload_type) = agreed
            .filter(|agreed| agreed.direction.sends())
            .and_then(|agreed| agreed.comfort_noise)
        else {
            return false;
        };
        let header = self.out.noise(now, payload_type);
        self.send(header, &[NOISE_LEVEL], sink);
        self.hushed_at = Some(now);
        true
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

    /// Sends on what `peer` said, if this leg still hears it.
    pub(in crate::engine) fn relay(
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
            Relayable::Audio(from) => {
                let as_it_is = from == link.negotiated.codec;
                let payload = if as_it_is {
                    payload
                } else {
                    buffer = [0; PAYLOAD_BYTES_MAX];
                    let Some(transcoded) = buffer.get_mut(..payload.len()) else {
                        return;
                    };
                    transcode(
                        &mut self.wide,
                        from,
                        link.negotiated.codec,
                        payload,
                        transcoded,
                    );
                    transcoded
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
            Relayable::ComfortNoise => match (link.negotiated.comfort_noise, payload.first()) {
                (Some(payload_type), Some(_)) => (payload_type, payload, 0, true),
                (None, Some(level)) => return self.noise.set(*level),
                (_, None) => return,
            },
        };
        self.noise.end();
        let header = self.out.relay(
            now,
            payload_type,
            &accepted.packet,
            accepted.extended,
            span,
            steady,
        );
        if let Some(header) = header {
            self.send(header, payload, sink);
        }
    }

    /// Says goodbye and tells what passed.
    pub(in crate::engine) fn close(
        &mut self,
        shared: &mut Shared<'_>,
        sink: &mut impl Sink,
    ) -> LegStats {
        self.stop(PlayOutcome::Stopped, shared);
        if self.commanded {
            let leg = self.id;
            let count = 0;
            shared.events.push_back(Event::DigitsSent { leg, count });
        }
        if self.link.is_some() && (self.out.packets_ever() > 0 || self.receive.received() > 0) {
            self.report(true, shared, sink);
        }
        LegStats {
            packets_sent: self.out.packets_ever(),
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

/// Codes anew what a peer said. A side of G.722 and one of G.711 meet at 8 kHz.
fn transcode(
    wide: &mut Option<Box<Wide>>,
    from: Format,
    to: Format,
    payload: &[u8],
    coded: &mut [u8],
) {
    match (from, to) {
        (Format::G711(from), Format::G711(to)) => {
            let Some(table) = from.transcoding(to) else {
                return coded.copy_from_slice(payload);
            };
            for (coded, byte) in coded.iter_mut().zip(payload) {
                *coded = table[usize::from(*byte)];
            }
        }
        (Format::G711(from), Format::G722) => {
            wide.get_or_insert_default().widened(from, payload, coded);
        }
        (Format::G722, Format::G711(to)) => {
            wide.get_or_insert_default().narrowed(to, payload, coded);
        }
        (Format::G722, Format::G722) => coded.copy_from_slice(payload),
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
