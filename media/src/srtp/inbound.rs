//! Opening what the far side sends.

use super::keys::MasterKey;
use super::replay::Replay;
use super::transform::{Rtcp, Rtp, rtp_header_bytes};

/// Most synchronisation sources under one key. A far side that changes its source takes new keys or does so rarely;
/// each must be remembered, or what it sent could be sent again.
const SOURCES_MAX: usize = 16;

/// A source not heard before whose number is below this may have rolled over before its first packet came: 80 s of
/// audio, which a call on hold or a lost beginning may hide.
const ROLLED_OVER_MAX: u16 = 0x1000;

/// Why a packet isn't accepted. Nothing changes because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too short, or not a packet at all.
    #[error("not a protected packet")]
    Malformed,
    /// Came before, or is too old to tell. Costs no cryptography.
    #[error("a repetition")]
    Replayed,
    /// The tag is wrong: forged, damaged, or under another key.
    #[error("not authentic")]
    Forged,
    /// Genuine, but from one source too many.
    #[error("too many sources")]
    Sources,
}

/// The context of what one leg receives.
pub struct Inbound {
    key: MasterKey,
    mki_bytes: usize,
    rtp: Rtp,
    rtcp: Rtcp,
    /// The source heard last comes first.
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    rtp: Replay,
    rtcp: Replay,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Inbound {
    /// A context that has received nothing. `mki_bytes` is the length of the MKI in each packet.
    pub fn new(key: &MasterKey, mki_bytes: usize) -> Inbound {
        Inbound {
            rtp: Rtp::new(key),
            rtcp: Rtcp::new(key),
            key: key.clone(),
            mki_bytes,
            sources: Vec::with_capacity(SOURCES_MAX),
        }
    }

    /// Whether it opens what is encrypted with this key.
    pub fn is_of(&self, key: &MasterKey, mki_bytes: usize) -> bool {
        self.mki_bytes == mki_bytes && self.key == *key
    }

    /// Opens an SRTP packet in place and returns the length of the RTP packet at its beginning.
    ///
    /// # Errors
    /// See [`Refusal`]; the context is as before, the bytes may not be.
    #[inline]
    pub fn rtp(&mut self, packet: &mut [u8]) -> Result<usize, Refusal> {
        let header = rtp_header_bytes(packet).ok_or(Refusal::Malformed)?;
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
        let known = self.sources.iter().position(|source| source.ssrc == ssrc);
        let newest = known.and_then(|place| self.sources[place].rtp.newest());
        let index = match newest {
            None => u64::from(sequence),
            // RFC 3711 section 3.3.1: the nearest index with these sixteen bits.
            Some(newest) => {
                let ahead = sequence.wrapping_sub(newest as u16) as i16;
                newest
                    .checked_add_signed(i64::from(ahead))
                    .ok_or(Refusal::Replayed)?
            }
        };
        if known.is_some_and(|place| !self.sources[place].rtp.fresh(index)) {
            return Err(Refusal::Replayed);
        }
        let (length, index) = match self.rtp.open(packet, header, self.mki_bytes, ssrc, index) {
            // RFC 3711 section 3.3.1 has the rollover counter begin at zero, and tells whoever comes late by other means;
            // descriptions have none.
            Err(Refusal::Forged) if newest.is_none() && sequence < ROLLED_OVER_MAX => {
                let index = index + 0x1_0000;
                let opened = self.rtp.open(packet, header, self.mki_bytes, ssrc, index);
                (opened?, index)
            }
            opened => (opened?, index),
        };
        self.source(known, ssrc)?.rtp.accept(index);
        Ok(length)
    }

    /// The same for SRTCP.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Refusal> {
        let (ssrc, index) = self.rtcp.heading(packet, self.mki_bytes)?;
        let known = self.sources.iter().position(|source| source.ssrc == ssrc);
        if known.is_some_and(|place| !self.sources[place].rtcp.fresh(u64::from(index))) {
            return Err(Refusal::Replayed);
        }
        let length = self.rtcp.open(packet, self.mki_bytes, ssrc, index)?;
        self.source(known, ssrc)?.rtcp.accept(u64::from(index));
        Ok(length)
    }

    /// The place of a source that has proved genuine, brought to the front.
    fn source(&mut self, known: Option<usize>, ssrc: u32) -> Result<&mut Source, Refusal> {
        match known {
            Some(place) => self.sources.swap(0, place),
            None if self.sources.len() == SOURCES_MAX => return Err(Refusal::Sources),
            None => self.sources.insert(
                0,
                Source {
                    ssrc,
                    rtp: Replay::default(),
                    rtcp: Replay::default(),
                },
            ),
        }
        self.sources.first_mut().ok_or(Refusal::Sources)
    }
}
