//! Reading a session description (RFC 8866).
//!
//! Lenient where real telephones are sloppy (bare line feeds, missing `s=` or `t=`, unknown attributes, bytes that
//! aren't UTF-8), strict where guessing would send audio to the wrong place.

use std::net::{IpAddr, SocketAddr};

use super::crypto::{CRYPTO_MAX, CryptoLine};
use super::{COMFORT_NOISE_PAYLOAD_TYPE, Direction, SdpError};
use crate::codec::Format;

/// Longest description read, in bytes.
pub const BYTES_MAX: usize = 16 * 1024;
/// Most lines read.
pub const LINES_MAX: usize = 512;
/// Most `m=` lines read.
pub const MEDIA_MAX: usize = 16;
/// Most formats read on one `m=` line.
pub const FORMATS_MAX: usize = 64;

/// A description, as far as it concerns us. Borrows from the bytes received.
#[derive(Debug)]
pub(super) struct Description<'a> {
    /// The value of the `t=` line, which an answer repeats (RFC 3264 section 6).
    pub(super) timing: &'a [u8],
    pub(super) media: Vec<MediaLine<'a>>,
}

/// One `m=` line with the attributes that hold for it, those of the session included.
#[derive(Debug)]
pub(super) struct MediaLine<'a> {
    pub(super) kind: &'a [u8],
    pub(super) port: u16,
    pub(super) protocol: &'a [u8],
    /// Formats as written, for the refusal, which repeats them.
    pub(super) formats: Vec<&'a [u8]>,
    pub(super) connection: Connection,
    pub(super) direction: Direction,
    pub(super) rtcp: Option<Rtcp>,
    pub(super) rtcp_mux: bool,
    pub(super) ptime_ms: Option<u16>,
    /// Of the keys in it, those that we can use.
    pub(super) crypto: Vec<CryptoLine>,
    mappings: Vec<Mapping>,
}

/// What a `c=` line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    Address(IpAddr),
    /// A host name, a multicast group or another network.
    Unusable,
    Missing,
}

/// `a=rtcp` (RFC 3605).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rtcp {
    port: u16,
    address: Option<IpAddr>,
}

/// `a=rtpmap` of a payload type.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    payload_type: u8,
    encoding: Encoding,
}

/// What a payload type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Audio(Format),
    TelephoneEvent,
    /// RFC 3389.
    ComfortNoise,
    Other,
}

impl<'a> Description<'a> {
    /// Reads a description.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Description<'a>, SdpError> {
        if bytes.len() > BYTES_MAX {
            return Err(SdpError::TooLarge("bytes"));
        }
        let mut timing: &[u8] = b"0 0";
        let mut session = Level::default();
        let mut media: Vec<(MediaLine<'a>, Level)> = Vec::new();
        let mut saw_version = false;
        for (index, raw) in bytes.split(|&byte| byte == b'\n').enumerate() {
            let line = index + 1;
            if line > LINES_MAX {
                return Err(SdpError::TooLarge("lines"));
            }
            let text = raw.strip_suffix(b"\r").unwrap_or(raw).trim_ascii_end();
            if text.is_empty() {
                continue;
            }
            let malformed = |reason| SdpError::Malformed { line, reason };
            let (&[kind, b'='], value) = text
                .split_first_chunk::<2>()
                .ok_or(malformed("not type=value"))?
            else {
                return Err(malformed("not type=value"));
            };
            if !saw_version {
                if kind != b'v' {
                    return Err(malformed("does not begin with v="));
                }
                saw_version = true;
            }
            let level = match media.last_mut() {
                Some((_, level)) => level,
                None => &mut session,
            };
            match kind {
                b'c' => level.connection = connection(value),
                b'a' => level.attribute(value),
                b't' if media.is_empty() => timing = value,
                b'm' => {
                    if media.len() == MEDIA_MAX {
                        return Err(SdpError::TooLarge("media"));
                    }
                    media.push((MediaLine::parse(value, line)?, Level::default()));
                }
                _ => {}
            }
        }
        if !saw_version {
            return Err(SdpError::Malformed {
                line: 1,
                reason: "does not begin with v=",
            });
        }
        let media = media
            .into_iter()
            .map(|(media, own)| media.with(own, &session))
            .collect();
        Ok(Description { timing, media })
    }
}

impl<'a> MediaLine<'a> {
    /// Refuses it: port 0, all else as it was (RFC 3264 section 6).
    pub(super) fn refuse(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"m=");
        out.extend_from_slice(self.kind);
        out.extend_from_slice(b" 0 ");
        out.extend_from_slice(self.protocol);
        for format in &self.formats {
            out.push(b' ');
            out.extend_from_slice(format);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn parse(value: &'a [u8], line: usize) -> Result<MediaLine<'a>, SdpError> {
        let malformed = |reason| SdpError::Malformed { line, reason };
        let mut words = words(value);
        let kind = words.next().ok_or(malformed("empty m="))?;
        // A port count ("49170/2") is for layered encodings; the first port is what counts for us.
        let port = words
            .next()
            .and_then(|word| word.split(|&byte| byte == b'/').next())
            .and_then(number)
            .ok_or(malformed("no port in m="))?;
        let protocol = words.next().ok_or(malformed("no protocol in m="))?;
        let mut formats = Vec::new();
        for format in words {
            if formats.len() == FORMATS_MAX {
                return Err(SdpError::TooLarge("formats"));
            }
            formats.push(format);
        }
        if formats.is_empty() {
            return Err(malformed("no format in m="));
        }
        Ok(MediaLine {
            kind,
            port,
            protocol,
            formats,
            connection: Connection::Missing,
            direction: Direction::SendRecv,
            rtcp: None,
            rtcp_mux: false,
            ptime_ms: None,
            crypto: Vec::new(),
            mappings: Vec::new(),
        })
    }

    /// Adds the attributes of its own level and, where it has none, of the session's (RFC 8866 section 5.13).
    fn with(self, own: Level, session: &Level) -> MediaLine<'a> {
        let connection = match own.connection {
            Connection::Missing => session.connection,
            said => said,
        };
        MediaLine {
            connection,
            direction: own.direction.or(session.direction).unwrap_or_default(),
            rtcp: own.rtcp,
            rtcp_mux: own.rtcp_mux,
            ptime_ms: own.ptime_ms.or(session.ptime_ms),
            // Keys stand in media descriptions alone (RFC 4568 section 5).
            crypto: own.crypto,
            mappings: own.mappings,
            ..self
        }
    }

    /// Audio over RTP or SRTP, not refused, with formats: what we can talk about.
    pub(super) fn usable(&self) -> bool {
        // The feedback profile differs only in when RTCP may be sent (RFC 4585); some telephones offer nothing else
        // and don't mind an endpoint that sends no early feedback.
        self.kind.eq_ignore_ascii_case(b"audio")
            && self.port != 0
            && (self.secure() || self.is(b"RTP/AVP") || self.is(b"RTP/AVPF"))
    }

    /// A profile whose audio is always encrypted.
    pub(super) fn secure(&self) -> bool {
        self.is(b"RTP/SAVP") || self.is(b"RTP/SAVPF")
    }

    fn is(&self, protocol: &[u8]) -> bool {
        self.protocol.eq_ignore_ascii_case(protocol)
    }

    /// The payload types in order of preference with what they stand for. Words that aren't payload types are left
    /// out.
    pub(super) fn encodings(&self) -> impl Iterator<Item = (u8, Encoding)> + '_ {
        self.formats.iter().filter_map(|format| {
            let payload_type = number(format).filter(|&number| number < 128)? as u8;
            // The last mapping wins, and a dynamic number without one means nothing.
            let mapped = self
                .mappings
                .iter()
                .rev()
                .find(|mapping| mapping.payload_type == payload_type);
            let encoding = match mapped {
                Some(mapping) => mapping.encoding,
                None => match Format::from_static_payload_type(payload_type) {
                    Some(format) => Encoding::Audio(format),
                    None if payload_type == COMFORT_NOISE_PAYLOAD_TYPE => Encoding::ComfortNoise,
                    None => Encoding::Other,
                },
            };
            Some((payload_type, encoding))
        })
    }

    /// Where RTP and RTCP go.
    pub(super) fn addresses(&self) -> Result<(SocketAddr, SocketAddr), SdpError> {
        let Connection::Address(address) = self.connection else {
            return Err(SdpError::Address);
        };
        let rtp = SocketAddr::new(address, self.port);
        let rtcp = match self.rtcp {
            Some(Rtcp {
                port,
                address: other,
            }) => SocketAddr::new(other.unwrap_or(address), port),
            None => SocketAddr::new(address, self.port.checked_add(1).unwrap_or(self.port)),
        };
        Ok((rtp, rtcp))
    }

    /// What the far side does: held the old way, it receives nothing (RFC 3264 section 8.4).
    pub(super) fn effective_direction(&self) -> Direction {
        match self.connection {
            Connection::Address(address) if address.is_unspecified() => {
                Direction::new(self.direction.sends(), false)
            }
            _ => self.direction,
        }
    }
}

/// What may be said for the session and again for a stream.
#[derive(Debug)]
struct Level {
    connection: Connection,
    direction: Option<Direction>,
    rtcp: Option<Rtcp>,
    rtcp_mux: bool,
    ptime_ms: Option<u16>,
    crypto: Vec<CryptoLine>,
    mappings: Vec<Mapping>,
}

impl Default for Level {
    fn default() -> Self {
        Level {
            connection: Connection::Missing,
            direction: None,
            rtcp: None,
            rtcp_mux: false,
            ptime_ms: None,
            crypto: Vec::new(),
            mappings: Vec::new(),
        }
    }
}

impl Level {
    fn attribute(&mut self, text: &[u8]) {
        let mut halves = text.splitn(2, |&byte| byte == b':');
        let name = halves.next().unwrap_or_default();
        let value = halves.next().unwrap_or_default();
        match name {
            b"sendrecv" => self.direction = Some(Direction::SendRecv),
            b"sendonly" => self.direction = Some(Direction::SendOnly),
            b"recvonly" => self.direction = Some(Direction::RecvOnly),
            b"inactive" => self.direction = Some(Direction::Inactive),
            b"rtcp-mux" => self.rtcp_mux = true,
            b"rtcp" => self.rtcp = rtcp(value).or(self.rtcp),
            b"ptime" => {
                // Some write "20.0".
                let whole = value.split(|&byte| byte == b'.').next().unwrap_or_default();
                self.ptime_ms = number(whole.trim_ascii()).filter(|ms| (1..=1_000).contains(ms));
            }
            b"crypto" if self.crypto.len() < CRYPTO_MAX => {
                self.crypto.extend(CryptoLine::parse(value));
            }
            // A mapping for each format is what makes sense; more are left out.
            b"rtpmap" if self.mappings.len() < FORMATS_MAX => {
                self.mappings.extend(mapping(value));
            }
            _ => {}
        }
    }
}

/// `<payload type> <name>/<clock>[/<channels>]`.
fn mapping(value: &[u8]) -> Option<Mapping> {
    let mut words = words(value);
    let payload_type = number(words.next()?).filter(|&number| number < 128)? as u8;
    let mut parts = words.next()?.split(|&byte| byte == b'/');
    let name = parts.next()?;
    let clock = parts.next();
    let channels = parts.next();
    let eight_khz_mono = clock == Some(b"8000") && matches!(channels, None | Some(b"1"));
    let is = |ours: &str| eight_khz_mono && name.eq_ignore_ascii_case(ours.as_bytes());
    let audio = Format::ALL.into_iter().find(|format| is(format.name()));
    let encoding = if let Some(format) = audio {
        Encoding::Audio(format)
    } else if is("telephone-event") {
        // Only the clock of the codec: events counted on another clock would have timestamps of their own.
        Encoding::TelephoneEvent
    } else if is("CN") {
        Encoding::ComfortNoise
    } else {
        Encoding::Other
    };
    Some(Mapping {
        payload_type,
        encoding,
    })
}

/// `<port> [IN IP4|IP6 <address>]`.
fn rtcp(value: &[u8]) -> Option<Rtcp> {
    let mut words = words(value);
    let port = number(words.next()?).filter(|&port| port != 0)?;
    let address = match words.next() {
        None => None,
        Some(_) => match network_address(words.next()?, words.next()?) {
            Connection::Address(address) => Some(address),
            _ => return None,
        },
    };
    Some(Rtcp { port, address })
}

/// `IN IP4|IP6 <address>`.
fn connection(value: &[u8]) -> Connection {
    let mut words = words(value);
    match (words.next(), words.next(), words.next()) {
        (Some(net), Some(kind), Some(address)) if net.eq_ignore_ascii_case(b"IN") => {
            network_address(kind, address)
        }
        _ => Connection::Unusable,
    }
}

fn network_address(kind: &[u8], address: &[u8]) -> Connection {
    // A time to live or a count follows multicast addresses after a slash; those are unusable all the same.
    let parsed = str::from_utf8(address)
        .ok()
        .and_then(|text| text.parse::<IpAddr>().ok());
    match parsed {
        Some(address) if address.is_multicast() => Connection::Unusable,
        Some(IpAddr::V4(address)) if address.is_broadcast() => Connection::Unusable,
        Some(address @ IpAddr::V4(_)) if kind.eq_ignore_ascii_case(b"IP4") => {
            Connection::Address(address)
        }
        Some(address @ IpAddr::V6(_)) if kind.eq_ignore_ascii_case(b"IP6") => {
            Connection::Address(address)
        }
        _ => Connection::Unusable,
    }
}

pub(super) fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty())
}

pub(super) fn number(word: &[u8]) -> Option<u16> {
    if word.is_empty() || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(word).ok()?.parse().ok()
}
