//! Protecting what we send.

use super::keys::MasterKey;
use super::replay::Replay;
use super::transform::{Rtcp, Rtp, rtp_header_bytes};

/// The context of what one leg sends: one SSRC at a time, rollovers counted.
pub struct Outbound {
    key: MasterKey,
    rtp: Rtp,
    rtcp: Rtcp,
    /// The packet indices used: rollover counter and sequence number.
    used: Replay,
    ssrc: Option<u32>,
    /// Of the next RTCP packet (RFC 3711 section 3.4).
    rtcp_index: u32,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The most RTCP packets under one key (RFC 3711 section 9.2).
const RTCP_INDEX_MAX: u32 = 0x7fff_ffff;

impl Outbound {
    /// A context that has sent nothing.
    pub fn new(key: &MasterKey) -> Outbound {
        Outbound {
            rtp: Rtp::new(key),
            rtcp: Rtcp::new(key),
            key: key.clone(),
            used: Replay::default(),
            ssrc: None,
            rtcp_index: 0,
        }
    }

    /// Whether it encrypts with this key.
    pub fn is_of(&self, key: &MasterKey) -> bool {
        self.key == *key
    }

    /// Protects the RTP packet in the first `length` bytes of `packet`, which has room for
    /// [`super::OVERHEAD_BYTES_MAX`] more, and returns its new length; none if there is no room, it isn't RTP, or its
    /// number was used.
    ///
    /// Sequence numbers may come a little out of order, as relayed packets do. None is encrypted twice, though a packet
    /// that a network doubled is relayed twice and the copies needn't be alike: the key stream used twice gives both
    /// away, and under GCM the key of all tags with them (RFC 7714 section 8.4).
    #[inline]
    pub fn rtp(&mut self, packet: &mut [u8], length: usize) -> Option<usize> {
        let header = rtp_header_bytes(packet.get(..length)?)?;
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
        if self.ssrc != Some(ssrc) {
            self.ssrc = Some(ssrc);
            self.used = Replay::default();
        }
        let index = match self.used.newest() {
            None => u64::from(sequence),
            Some(newest) => {
                let ahead = sequence.wrapping_sub(newest as u16) as i16;
                newest.checked_add_signed(i64::from(ahead))?
            }
        };
        if !self.used.fresh(index) {
            return None;
        }
        self.used.accept(index);
        self.rtp.protect(packet, header, length, ssrc, index)
    }

    /// The same for a compound RTCP packet.
    pub fn rtcp(&mut self, packet: &mut [u8], length: usize) -> Option<usize> {
        let ssrc = u32::from_be_bytes(*packet.get(..length)?.get(4..)?.first_chunk()?);
        if self.rtcp_index == RTCP_INDEX_MAX {
            return None;
        }
        let index = self.rtcp_index;
        self.rtcp_index += 1;
        self.rtcp.protect(packet, length, ssrc, index)
    }
}
