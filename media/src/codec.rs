//! The codecs a leg can speak.

use std::fmt;

/// Samples per second of everything in this crate.
pub const SAMPLE_RATE_HZ: u32 = 8_000;
/// Samples, and bytes however they are coded, in one frame of 20 ms.
pub const FRAME_SAMPLES: usize = 160;
/// Length of one frame in milliseconds.
pub const FRAME_MS: u32 = 20;

/// A G.711 codec (RFC 3551 section 4.5.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// The static payload type of RFC 3551 table 4.
    pub const fn static_payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// The encoding name used in `a=rtpmap` lines.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    /// The byte that decodes to silence (the smallest positive value).
    pub const fn silence(self) -> u8 {
        match self {
            Codec::Pcmu => 0xff,
            Codec::Pcma => 0xd5,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a leg's audio is coded. All formats send 8,000 bytes a second, and count a byte as one tick of the RTP clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A byte a sample.
    G711(Codec),
    /// 16 kHz audio in 64 kbit/s ([`crate::g722`]). Its RTP clock is 8 kHz all the same (RFC 3551 section 4.5.2).
    G722,
}

impl Format {
    /// All that we speak.
    pub const ALL: [Format; 3] = [
        Format::G711(Codec::Pcmu),
        Format::G711(Codec::Pcma),
        Format::G722,
    ];

    /// The static payload type of RFC 3551 table 4.
    pub const fn static_payload_type(self) -> u8 {
        match self {
            Format::G711(codec) => codec.static_payload_type(),
            Format::G722 => 9,
        }
    }

    /// The format a static payload type stands for, if it is one of ours.
    pub fn from_static_payload_type(payload_type: u8) -> Option<Format> {
        Format::ALL
            .into_iter()
            .find(|format| format.static_payload_type() == payload_type)
    }

    /// The encoding name used in `a=rtpmap` lines.
    pub const fn name(self) -> &'static str {
        match self {
            Format::G711(codec) => codec.name(),
            Format::G722 => "G722",
        }
    }
}

impl From<Codec> for Format {
    fn from(codec: Codec) -> Self {
        Format::G711(codec)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
