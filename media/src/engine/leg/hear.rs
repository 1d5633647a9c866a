//! What comes from a leg's far side.

use std::net::SocketAddr;

use super::{Accepted, Leg, Presence, Relayable, Shared, Source, Text};
use crate::codec::Format;
use crate::dtmf::Press;
use crate::engine::crypto::DATAGRAM_BYTES_MAX;
use crate::engine::learn::Verdict;
use crate::engine::message::{Channel, Event, Heard, OneWayCause, PlayOutcome, Sink};
use crate::engine::out::PAYLOAD_BYTES_MAX;
use crate::receive::Arrival;
use crate::rtp::Packet;
use crate::sdp::{COMFORT_NOISE_PAYLOAD_TYPE, Negotiated};

impl Leg {
    /// Takes a packet from the wire. What comes back goes to a bridged peer.
    pub(in crate::engine) fn packet<'a>(
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
            self.one_way.heard(shared.now, self.out.packets_ever());
            if let (Some(said), Some(&level)) = (&mut self.playout, packet.payload.first()) {
                said.playout.comfort_noise(level);
            }
        }
        if let Relayable::Audio(codec) = kind {
            self.one_way.heard(shared.now, self.out.packets_ever());
            self.receive.timestamp(shared.now, packet.timestamp);
            if std::mem::take(&mut self.awaited) {
                let leg = self.id;
                shared.events.push_back(Event::AudioBegan { leg });
            }
            match codec {
                Format::G711(codec) => {
                    if let Text::LookedFor(detector) = &mut self.text {
                        let samples = packet.payload.iter().map(|&byte| codec.decode(byte));
                        if detector.samples(samples) {
                            self.text_found(shared);
                        }
                    }
                    let samples = packet.payload.iter().map(|&byte| codec.decode(byte));
                    self.take_samples(packet.timestamp, extended, samples, shared);
                }
                Format::G722
                    if self.playout.is_some()
                        || self.tones_in.is_some()
                        || matches!(self.text, Text::LookedFor(_)) =>
                {
                    let mut buffer = [0; PAYLOAD_BYTES_MAX];
                    let wide = self.wide.get_or_insert_default();
                    let samples = wide.heard(packet.payload, &mut buffer);
                    // Its tones lie in the lower sub-band, and coding leaves them as they are.
                    if let Text::LookedFor(detector) = &mut self.text
                        && detector.samples(samples.iter().copied())
                    {
                        self.text_found(shared);
                    }
                    self.take_samples(packet.timestamp, extended, samples.iter().copied(), shared);
                }
                Format::G722 => {}
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

    /// A text telephone was heard.
    fn text_found(&mut self, shared: &mut Shared<'_>) {
        self.text = Text::Found;
        if let Some(said) = &mut self.playout {
            said.playout.leave_alone();
        }
        let leg = self.id;
        shared.events.push_back(Event::TextTelephone { leg });
    }

    /// Takes a packet's audio into the mix, and looks for keys in it.
    #[inline]
    fn take_samples(
        &mut self,
        timestamp: u32,
        extended: u64,
        samples: impl Iterator<Item = i16> + Clone,
        shared: &mut Shared<'_>,
    ) {
        if let Some(said) = &mut self.playout {
            said.playout.packet(shared.now, timestamp, samples.clone());
        }
        if let Some(tones) = self.tones_in.as_mut() {
            let presses = tones.packet(shared.now, extended, samples);
            for press in presses.into_iter().flatten() {
                self.tell(press, shared);
            }
        }
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
        let telling = kind.is_some() && !on_hold;
        let verdict = link.remote.rtp_from(shared.now, source, &packet, telling);
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
    pub(in crate::engine) fn open<'a>(
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
    pub(in crate::engine) fn encrypted(&self) -> bool {
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
        let received = self.receive.received();
        let read = known
            .then(|| {
                self.reports
                    .read(shared.now, shared.ntp_at_epoch, &self.out, received, bytes)
            })
            .flatten();
        let Some(told) = read else {
            self.ignored += 1;
            return;
        };
        // Whoever suppresses silence still reports.
        self.one_way.odd(match told.withheld {
            true => OneWayCause::Withheld,
            false => OneWayCause::ReportsOnly,
        });
        if let Some(after) = told.unheard
            && self.one_way.unheard(shared.now)
        {
            let (leg, cause) = (self.id, OneWayCause::Unheard);
            shared
                .events
                .push_back(Event::OneWayAudio { leg, cause, after });
        }
        self.present(shared);
    }

    pub(super) fn present(&mut self, shared: &mut Shared<'_>) {
        self.heard_at = shared.now;
        if self.presence != Presence::Heard {
            self.presence = Presence::Heard;
            self.miss_after = self.first_missed();
            let leg = self.id;
            shared.events.push_back(Event::RtpBack { leg });
        }
    }

    pub(super) fn tell(&mut self, press: Press, shared: &mut Shared<'_>) {
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
}

/// What a payload type stands for. The static numbers are taken even if only the other one was agreed on: they can't
/// mean anything else, and an offer of both lets the far side change between them (RFC 3264 section 7).
fn kind(negotiated: &Negotiated, payload_type: u8) -> Option<Relayable> {
    if payload_type == negotiated.receive_payload_type {
        Some(Relayable::Audio(negotiated.codec))
    } else if Some(payload_type) == negotiated.receive_telephone_event {
        Some(Relayable::TelephoneEvent)
    } else if Some(payload_type) == negotiated.comfort_noise {
        Some(Relayable::ComfortNoise)
    } else {
        match payload_type {
            // Gateways send it unasked.
            COMFORT_NOISE_PAYLOAD_TYPE => Some(Relayable::ComfortNoise),
            other => Format::from_static_payload_type(other).map(Relayable::Audio),
        }
    }
}
