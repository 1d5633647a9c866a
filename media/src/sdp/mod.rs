//! Session descriptions (RFC 8866) and the offer/answer model (RFC 3264) for one audio stream, G.711 or G.722.
//!
//! Three doors: [`answer`] to an offer received, [`offer`] of our own (a call out, or the 200 to an INVITE that came
//! without a body; in a call [`offer_again`]), and [`accept`] of the answer to it. Each yields a [`Negotiated`], all that the engine needs to
//! know of the far side.

mod crypto;
mod negotiate;
mod parse;
mod streams;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::codec::{Codec, Format};
use crate::srtp::{Keys, Secret};

pub use negotiate::{accept, answer, offer, offer_again};
pub use parse::{BYTES_MAX, FORMATS_MAX, LINES_MAX, MEDIA_MAX};
pub use streams::Streams;

/// The payload type under which we offer telephone events; the far side may answer with its own.
pub const TELEPHONE_EVENT_PAYLOAD_TYPE: u8 = 101;

/// The static payload type of comfort noise (RFC 3389 section 4).
pub const COMFORT_NOISE_PAYLOAD_TYPE: u8 = 13;

/// Which way audio flows, seen from the side that says it (RFC 8866 section 6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// This side sends and doesn't want to receive.
    SendOnly,
    /// This side receives and doesn't send.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Built from the two halves.
    pub const fn new(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Whether the side that says it sends.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the side that says it receives.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same flow seen from the other side.
    pub const fn reversed(self) -> Direction {
        Direction::new(self.receives(), self.sends())
    }

    /// What both allow, seen from the same side.
    pub const fn and(self, other: Direction) -> Direction {
        Direction::new(
            self.sends() && other.sends(),
            self.receives() && other.receives(),
        )
    }

    /// The attribute name of RFC 8866.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }
}

/// What we are able and willing to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Codecs, the preferred first. In an answer the offerer's order wins (RFC 3264 section 6.1).
    pub codecs: Vec<Format>,
    /// Whether telephone events (RFC 4733, events 0–15, 8 kHz) are spoken.
    pub telephone_event: bool,
    /// Whether comfort noise (RFC 3389) is agreed to. It is never offered: who is told that we know it may begin to
    /// suppress silence, and with it the beginnings of words.
    pub comfort_noise: bool,
    /// Whether RTCP on the RTP port (RFC 5761) is offered and accepted.
    pub rtcp_mux: bool,
    /// Whether audio is encrypted.
    pub encryption: Encryption,
}

/// Whether audio is encrypted, with keys in the descriptions (RFC 4568).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    /// Never: keys are neither offered nor taken.
    #[default]
    Off,
    /// When the far side can. Our offers are `RTP/AVP` with keys, which the far side may leave unanswered.
    Offered(Secret),
    /// Always: our offers are `RTP/SAVP`, and what has no keys is refused.
    Required(Secret),
}

impl Encryption {
    /// What our keys are made of; none when there are none.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match self {
            Encryption::Off => None,
            Encryption::Offered(secret) | Encryption::Required(secret) => Some(secret),
        }
    }
}

impl Default for Capabilities {
    /// PCMU before PCMA, telephone events, comfort noise, RTCP multiplexing, no encryption.
    fn default() -> Self {
        Capabilities {
            codecs: vec![Codec::Pcmu.into(), Codec::Pcma.into()],
            telephone_event: true,
            comfort_noise: true,
            rtcp_mux: true,
            encryption: Encryption::Off,
        }
    }
}

/// Our side of the stream, as it is written into the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address the far side shall send to (the advertised one).
    pub address: IpAddr,
    /// The RTP port; RTCP is at `port + 1` unless multiplexed.
    pub port: u16,
    /// `o=` session id: the same for all descriptions of one dialog.
    pub session_id: u64,
    /// `o=` session version: one more whenever the description changes (RFC 3264 section 8).
    pub session_version: u64,
    /// What we want; `SendRecv` unless we put the far side on hold.
    pub direction: Direction,
}

impl LocalMedia {
    /// A first description that sends and receives.
    pub const fn new(address: IpAddr, port: u16, session_id: u64) -> LocalMedia {
        LocalMedia {
            address,
            port,
            session_id,
            session_version: 1,
            direction: Direction::SendRecv,
        }
    }
}

/// What two sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The codec we send.
    pub codec: Format,
    /// The payload type we send it with.
    pub payload_type: u8,
    /// The payload type the far side sends it with; differs from `payload_type` only when it answered our offer with
    /// numbers of its own.
    pub receive_payload_type: u8,
    /// The payload type we send telephone events with; none when not agreed on.
    pub telephone_event: Option<u8>,
    /// The payload type telephone events arrive with.
    pub receive_telephone_event: Option<u8>,
    /// The payload type we send comfort noise with; none when not agreed on.
    pub comfort_noise: Option<u8>,
    /// Where the far side wants RTP. The unspecified address while it holds the old way (RFC 3264 section 8.4); the
    /// direction forbids sending then.
    pub remote_rtp: SocketAddr,
    /// Where the far side wants RTCP (`a=rtcp` of RFC 3605, the RTP port when multiplexed, else the port after it).
    pub remote_rtcp: SocketAddr,
    /// RTCP goes over the RTP port, both ways.
    pub rtcp_mux: bool,
    /// What *we* do: `RecvOnly` means that the far side has put us on hold.
    pub direction: Direction,
    /// The packet length the far side would like, in milliseconds (20 if it says nothing). Information only: the
    /// engine sends 20 ms and receives any length.
    pub ptime_ms: u16,
    /// The keys of both sides; none when audio goes in the clear.
    pub srtp: Option<Arc<Keys>>,
}

impl Negotiated {
    /// The usual outcome with a far side at `remote_rtp`: static payload type, telephone events as 101, RTCP on the
    /// next port, both ways, 20 ms. For tests and in-process phones.
    pub fn plain(codec: impl Into<Format>, remote_rtp: SocketAddr) -> Negotiated {
        let codec = codec.into();
        Negotiated {
            codec,
            payload_type: codec.static_payload_type(),
            receive_payload_type: codec.static_payload_type(),
            telephone_event: Some(TELEPHONE_EVENT_PAYLOAD_TYPE),
            receive_telephone_event: Some(TELEPHONE_EVENT_PAYLOAD_TYPE),
            comfort_noise: None,
            remote_rtp,
            remote_rtcp: SocketAddr::new(remote_rtp.ip(), remote_rtp.port().saturating_add(1)),
            rtcp_mux: false,
            direction: Direction::SendRecv,
            ptime_ms: 20,
            srtp: None,
        }
    }

    /// The far side has put us on hold: it doesn't want what we send.
    pub fn on_hold(&self) -> bool {
        !self.direction.sends()
    }
}

/// Why a description can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer, or with more lines, media or formats, than we read.
    #[error("session description exceeds the limit on {0}")]
    TooLarge(&'static str),
    /// Not a session description. The line counts from 1.
    #[error("session description line {line}: {reason}")]
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No audio stream over RTP that isn't refused (port 0).
    #[error("no usable audio stream")]
    NoAudio,
    /// Audio, but no codec that both sides speak.
    #[error("no common codec")]
    NoCommonCodec,
    /// Encrypted audio was offered, and is never taken here.
    #[error("encrypted audio is not accepted here")]
    EncryptionOff,
    /// Audio in the clear was offered or answered, and is never taken here.
    #[error("encryption is required")]
    EncryptionRequired,
    /// Encrypted audio, but by no suite that both sides know.
    #[error("no common crypto suite")]
    NoCommonSuite,
    /// The address is a host name, multicast, or of another family than ours.
    #[error("unusable media address")]
    Address,
    /// The answer doesn't fit the offer: another number of streams, or a codec that wasn't offered.
    #[error("the answer does not fit the offer: {0}")]
    Mismatch(&'static str),
}

impl SdpError {
    /// The status an offer failing this way is answered with (RFC 3261 sections 21.4.1 and 21.4.26).
    pub const fn status(&self) -> u16 {
        match self {
            SdpError::TooLarge(_) => 413,
            SdpError::Malformed { .. } => 400,
            SdpError::NoAudio
            | SdpError::NoCommonCodec
            | SdpError::EncryptionOff
            | SdpError::EncryptionRequired
            | SdpError::NoCommonSuite
            | SdpError::Address
            | SdpError::Mismatch(_) => 488,
        }
    }
}
