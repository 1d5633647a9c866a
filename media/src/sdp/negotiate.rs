//! Offer and answer (RFC 3264).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::parse::{Description, Encoding, MediaLine};
use super::{
    Capabilities, Direction, LocalMedia, Negotiated, SdpError, TELEPHONE_EVENT_PAYLOAD_TYPE,
};
use crate::codec::Codec;

/// Answers an offer: what was agreed, and the description to send back.
///
/// The first audio stream that we can speak is taken, all others are refused in their place (RFC 3264 section 6).
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
    let mut chosen = None;
    for (index, media) in offered.media.iter().enumerate() {
        if !media.usable() {
            continue;
        }
        match agree(media, local, caps) {
            Ok(negotiated) => {
                chosen = Some((index, negotiated));
                break;
            }
            Err(error) => failure = error,
        }
    }
    let Some((taken, negotiated)) = chosen else {
        return Err(failure);
    };

    let mut out = session_lines(local, offered.timing);
    for (index, media) in offered.media.iter().enumerate() {
        if index == taken {
            let codecs = [(negotiated.payload_type, negotiated.codec)];
            let protocol = String::from_utf8_lossy(media.protocol);
            let stream = Stream {
                protocol: &protocol,
                codecs: &codecs,
                telephone_event: negotiated.telephone_event,
                direction: negotiated.direction,
                rtcp_mux: negotiated.rtcp_mux,
            };
            stream.write(local, &mut out);
        } else {
            refuse(media, &mut out);
        }
    }
    Ok((negotiated, out))
}

/// Writes our own offer.
pub fn offer(local: &LocalMedia, caps: &Capabilities) -> Vec<u8> {
    let mut out = session_lines(local, b"0 0");
    let codecs: Vec<(u8, Codec)> = caps
        .codecs
        .iter()
        .map(|codec| (codec.static_payload_type(), *codec))
        .collect();
    let stream = Stream {
        protocol: "RTP/AVP",
        codecs: &codecs,
        telephone_event: caps.telephone_event.then_some(TELEPHONE_EVENT_PAYLOAD_TYPE),
        direction: local.direction,
        rtcp_mux: caps.rtcp_mux,
    };
    stream.write(local, &mut out);
    out
}

/// Takes the answer to an offer of ours; `our_offer` is what [`offer`] returned.
///
/// # Errors
/// See [`SdpError`]; the call can't go on with such an answer.
pub fn accept(our_offer: &[u8], answer: &[u8]) -> Result<Negotiated, SdpError> {
    let ours = Description::parse(our_offer)?;
    let ours = ours
        .media
        .first()
        .ok_or(SdpError::Mismatch("no stream was offered"))?;
    let theirs = Description::parse(answer)?;
    // RFC 3264 section 6: as many m-lines as offered, in order. A surplus is harmless, since only the first counts.
    let theirs = theirs
        .media
        .first()
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
            Encoding::TelephoneEvent | Encoding::Other => None,
        })
        .ok_or(SdpError::NoCommonCodec)?;
    let receive_telephone_event = offered(Encoding::TelephoneEvent);
    let telephone_event = receive_telephone_event.and(telephone_event(theirs));
    let (remote_rtp, remote_rtcp) = remote_addresses(theirs, family(ours)?)?;
    let rtcp_mux = ours.rtcp_mux && theirs.rtcp_mux;
    Ok(Negotiated {
        codec,
        payload_type,
        receive_payload_type,
        telephone_event,
        receive_telephone_event: telephone_event.and(receive_telephone_event),
        remote_rtp,
        remote_rtcp: if rtcp_mux { remote_rtp } else { remote_rtcp },
        rtcp_mux,
        direction: ours.direction.and(theirs.effective_direction().reversed()),
        ptime_ms: theirs.ptime_ms.unwrap_or(20),
    })
}

/// What one offered stream and we have in common.
fn agree(
    media: &MediaLine<'_>,
    local: &LocalMedia,
    caps: &Capabilities,
) -> Result<Negotiated, SdpError> {
    let (payload_type, codec) = media
        .encodings()
        .find_map(|(payload_type, encoding)| match encoding {
            Encoding::Audio(codec) if caps.codecs.contains(&codec) => Some((payload_type, codec)),
            _ => None,
        })
        .ok_or(SdpError::NoCommonCodec)?;
    let telephone_event = if caps.telephone_event {
        telephone_event(media)
    } else {
        None
    };
    let (remote_rtp, remote_rtcp) = remote_addresses(media, local.address)?;
    let rtcp_mux = caps.rtcp_mux && media.rtcp_mux;
    Ok(Negotiated {
        codec,
        payload_type,
        receive_payload_type: payload_type,
        telephone_event,
        receive_telephone_event: telephone_event,
        remote_rtp,
        remote_rtcp: if rtcp_mux { remote_rtp } else { remote_rtcp },
        rtcp_mux,
        direction: local.direction.and(media.effective_direction().reversed()),
        ptime_ms: media.ptime_ms.unwrap_or(20),
    })
}

fn telephone_event(media: &MediaLine<'_>) -> Option<u8> {
    media
        .encodings()
        .find(|&(_, encoding)| encoding == Encoding::TelephoneEvent)
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
    codecs: &'a [(u8, Codec)],
    telephone_event: Option<u8>,
    direction: Direction,
    rtcp_mux: bool,
}

impl Stream<'_> {
    fn write(&self, local: &LocalMedia, out: &mut Vec<u8>) {
        let mut text = String::with_capacity(256);
        let _ = write!(text, "m=audio {} {}", local.port, self.protocol);
        let numbers = self.codecs.iter().map(|&(number, _)| number);
        for number in numbers.chain(self.telephone_event) {
            let _ = write!(text, " {number}");
        }
        text.push_str("\r\n");
        for (number, codec) in self.codecs {
            let _ = write!(text, "a=rtpmap:{number} {codec}/8000\r\n");
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
    }
}

/// Refuses a stream: port 0, all else as it was (RFC 3264 section 6).
fn refuse(media: &MediaLine<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"m=");
    out.extend_from_slice(media.kind);
    out.extend_from_slice(b" 0 ");
    out.extend_from_slice(media.protocol);
    for format in &media.formats {
        out.push(b' ');
        out.extend_from_slice(format);
    }
    out.extend_from_slice(b"\r\n");
}
