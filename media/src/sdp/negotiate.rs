//! Offer and answer (RFC 3264).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use zeroize::Zeroize;

use super::parse::{Description, Encoding, MediaLine};
use super::{
    Capabilities, Direction, Encryption, LocalMedia, Negotiated, SdpError, Streams,
    TELEPHONE_EVENT_PAYLOAD_TYPE, crypto,
};
use crate::codec::Format;

/// Answers an offer: what was agreed, and the description to send back.
///
/// The first audio stream that we can speak is taken, an encrypted one before one in the clear; all others are refused
/// in their place (RFC 3264 section 6).
///
/// # Errors
/// See [`SdpError`]; [`SdpError::status`] is the response to give.
pub fn answer(
    offer: &[u8],
    local: &LocalMedia,
    caps: &Capabilities,
) -> Result<(Negotiated, Vec<u8>), SdpError> {
    let offered = Description::parse(offer)?;
    let mut failure = SdpError::NoAudio;
    let mut chosen: Option<(usize, Negotiated, Option<u32>)> = None;
    for (index, media) in offered.media.iter().enumerate() {
        if !media.usable() {
            continue;
        }
        match agree(media, local, caps) {
            Ok((negotiated, tag)) => {
                let first = chosen.is_none();
                let encrypted = tag.is_some();
                if first || encrypted {
                    chosen = Some((index, negotiated, tag));
                }
                if encrypted {
                    break;
                }
            }
            Err(error) => failure = error,
        }
    }
    let Some((taken, negotiated, tag)) = chosen else {
        return Err(failure);
    };

    let mut out = session_lines(local, offered.timing);
    for (index, media) in offered.media.iter().enumerate() {
        if index == taken {
            let codecs = [(negotiated.payload_type, negotiated.codec)];
            let protocol = String::from_utf8_lossy(media.protocol);
            let mut keys = String::new();
            if let (Some(tag), Some(agreed)) = (tag, &negotiated.srtp) {
                crypto::write(tag, &agreed.local, &mut keys);
            }
            let stream = Stream {
                protocol: &protocol,
                codecs: &codecs,
                telephone_event: negotiated.telephone_event,
                comfort_noise: negotiated.comfort_noise,
                direction: negotiated.direction,
                rtcp_mux: negotiated.rtcp_mux,
                keys,
            };
            stream.write(local, &mut out);
        } else {
            media.refuse(&mut out);
        }
    }
    Ok((negotiated, out))
}

/// Writes our own offer, the first of its dialog.
pub fn offer(local: &LocalMedia, caps: &Capabilities) -> Vec<u8> {
    offer_again(local, caps, &Streams::default())
}

/// Writes an offer in a dialog whose last description of ours had these streams: as many, each in its place, the refused
/// ones refused again, the spoken one by the profile in use (RFC 3264 section 8).
pub fn offer_again(local: &LocalMedia, caps: &Capabilities, streams: &Streams) -> Vec<u8> {
    let mut out = session_lines(local, b"0 0");
    out.extend_from_slice(&streams.before);
    let codecs: Vec<(u8, Format)> = caps
        .codecs
        .iter()
        .map(|codec| (codec.static_payload_type(), *codec))
        .collect();
    let mut keys = String::new();
    if let Some(secret) = caps.encryption.secret() {
        crypto::write_offer(secret, &mut keys);
    }
    let protocol = match (&caps.encryption, streams.protocol.as_deref()) {
        (_, Some(in_use)) => in_use,
        (Encryption::Off | Encryption::Offered(_), None) => "RTP/AVP",
        (Encryption::Required(_), None) => "RTP/SAVP",
    };
    let stream = Stream {
        protocol,
        codecs: &codecs,
        telephone_event: caps.telephone_event.then_some(TELEPHONE_EVENT_PAYLOAD_TYPE),
        comfort_noise: None,
        direction: local.direction,
        rtcp_mux: caps.rtcp_mux,
        keys,
    };
    stream.write(local, &mut out);
    out.extend_from_slice(&streams.behind);
    out
}

/// Takes the answer to an offer of ours; `our_offer` is what [`offer`] or [`offer_again`] returned, or a description of
/// ours sent once more.
///
/// # Errors
/// See [`SdpError`]; the call can't go on with such an answer.
pub fn accept(our_offer: &[u8], answer: &[u8]) -> Result<Negotiated, SdpError> {
    let ours = Description::parse(our_offer)?;
    let place = ours.media.iter().position(|media| media.port != 0);
    let place = place.ok_or(SdpError::Mismatch("no stream was offered"))?;
    let ours = &ours.media[place];
    let theirs = Description::parse(answer)?;
    // RFC 3264 section 6: as many m-lines as offered, in order. A surplus is harmless, since only the spoken one counts.
    let theirs = theirs
        .media
        .get(place)
        .ok_or(SdpError::Mismatch("no stream in the answer"))?;
    if !theirs.usable() {
        return Err(SdpError::NoAudio);
    }

    // The answerer's first codec that we offered is the one to send; its number is the answerer's, while what we
    // receive carries the number of our offer (RFC 3264 section 7).
    let offered = |wanted: Encoding| {
        ours.encodings()
            .find(|&(_, encoding)| encoding == wanted)
            .map(|(payload_type, _)| payload_type)
    };
    let (payload_type, codec, receive_payload_type) = theirs
        .encodings()
        .find_map(|(payload_type, encoding)| match encoding {
            Encoding::Audio(codec) => {
                offered(encoding).map(|receive| (payload_type, codec, receive))
            }
            Encoding::TelephoneEvent | Encoding::ComfortNoise | Encoding::Other => None,
        })
        .ok_or(SdpError::NoCommonCodec)?;
    let receive_telephone_event = offered(Encoding::TelephoneEvent);
    let telephone_event = receive_telephone_event.and(number_of(theirs, Encoding::TelephoneEvent));
    let (remote_rtp, remote_rtcp) = remote_addresses(theirs, family(ours)?)?;
    let rtcp_mux = ours.rtcp_mux && theirs.rtcp_mux;
    let srtp = crypto::accept(ours, theirs)?;
    Ok(Negotiated {
        codec,
        payload_type,
        receive_payload_type,
        telephone_event,
        receive_telephone_event: telephone_event.and(receive_telephone_event),
        comfort_noise: None,
        remote_rtp,
        remote_rtcp: if rtcp_mux { remote_rtp } else { remote_rtcp },
        rtcp_mux,
        direction: ours.direction.and(theirs.effective_direction().reversed()),
        ptime_ms: theirs.ptime_ms.unwrap_or(20),
        srtp,
    })
}

/// What one offered stream and we have in common, and the tag of the key taken.
fn agree(
    media: &MediaLine<'_>,
    local: &LocalMedia,
    caps: &Capabilities,
) -> Result<(Negotiated, Option<u32>), SdpError> {
    let (payload_type, codec) = media
        .encodings()
        .find_map(|(payload_type, encoding)| match encoding {
            Encoding::Audio(codec) if caps.codecs.contains(&codec) => Some((payload_type, codec)),
            _ => None,
        })
        .ok_or(SdpError::NoCommonCodec)?;
    let known = |spoken: bool, encoding| spoken.then(|| number_of(media, encoding)).flatten();
    let telephone_event = known(caps.telephone_event, Encoding::TelephoneEvent);
    let comfort_noise = known(caps.comfort_noise, Encoding::ComfortNoise);
    let (remote_rtp, remote_rtcp) = remote_addresses(media, local.address)?;
    let rtcp_mux = caps.rtcp_mux && media.rtcp_mux;
    let (tag, srtp) = crypto::agree(media, &caps.encryption)?.unzip();
    let negotiated = Negotiated {
        codec,
        payload_type,
        receive_payload_type: payload_type,
        telephone_event,
        receive_telephone_event: telephone_event,
        comfort_noise,
        remote_rtp,
        remote_rtcp: if rtcp_mux { remote_rtp } else { remote_rtcp },
        rtcp_mux,
        direction: local.direction.and(media.effective_direction().reversed()),
        ptime_ms: media.ptime_ms.unwrap_or(20),
        srtp,
    };
    Ok((negotiated, tag))
}

/// The first payload type with this meaning.
fn number_of(media: &MediaLine<'_>, wanted: Encoding) -> Option<u8> {
    media
        .encodings()
        .find(|&(_, encoding)| encoding == wanted)
        .map(|(payload_type, _)| payload_type)
}

/// The far side's addresses, of the family we listen on.
fn remote_addresses(
    media: &MediaLine<'_>,
    ours: IpAddr,
) -> Result<(SocketAddr, SocketAddr), SdpError> {
    let (rtp, rtcp) = media.addresses()?;
    if rtp.is_ipv4() != ours.is_ipv4() {
        return Err(SdpError::Address);
    }
    // Reports to another family have no way out; the audio is worth having all the same.
    let rtcp = if rtcp.is_ipv4() == ours.is_ipv4() {
        rtcp
    } else {
        SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1))
    };
    Ok((rtp, rtcp))
}

/// The address we offered.
fn family(ours: &MediaLine<'_>) -> Result<IpAddr, SdpError> {
    ours.addresses().map(|(rtp, _)| rtp.ip())
}

/// Everything before the first `m=`.
fn session_lines(local: &LocalMedia, timing: &[u8]) -> Vec<u8> {
    let family = if local.address.is_ipv4() {
        "IP4"
    } else {
        "IP6"
    };
    let mut text = String::with_capacity(512);
    // Writing into a String can't fail.
    let _ = write!(
        text,
        "v=0\r\no=- {id} {version} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=",
        id = local.session_id,
        version = local.session_version,
        address = local.address,
    );
    let mut out = text.into_bytes();
    out.extend_from_slice(timing);
    out.extend_from_slice(b"\r\n");
    out
}

/// A stream of ours.
struct Stream<'a> {
    protocol: &'a str,
    codecs: &'a [(u8, Format)],
    telephone_event: Option<u8>,
    comfort_noise: Option<u8>,
    direction: Direction,
    rtcp_mux: bool,
    /// Lines of `a=crypto`.
    keys: String,
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

impl Stream<'_> {
    fn write(&self, local: &LocalMedia, out: &mut Vec<u8>) {
        let mut text = String::with_capacity(256);
        let _ = write!(text, "m=audio {} {}", local.port, self.protocol);
        let numbers = self.codecs.iter().map(|&(number, _)| number);
        for number in numbers
            .chain(self.comfort_noise)
            .chain(self.telephone_event)
        {
            let _ = write!(text, " {number}");
        }
        text.push_str("\r\n");
        for (number, codec) in self.codecs {
            let _ = write!(text, "a=rtpmap:{number} {codec}/8000\r\n");
        }
        if let Some(number) = self.comfort_noise {
            let _ = write!(text, "a=rtpmap:{number} CN/8000\r\n");
        }
        if let Some(number) = self.telephone_event {
            let _ = write!(
                text,
                "a=rtpmap:{number} telephone-event/8000\r\na=fmtp:{number} 0-15\r\n"
            );
        }
        let _ = write!(text, "a=ptime:20\r\na={}\r\n", self.direction.name());
        if self.rtcp_mux {
            text.push_str("a=rtcp-mux\r\n");
        }
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(self.keys.as_bytes());
    }
}
