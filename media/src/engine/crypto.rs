//! A leg's encryption: contexts that outlive new descriptions with the same keys.

use crate::srtp::{Inbound, Keys, Outbound, Refusal};

/// Longest packet opened; what is longer is refused.
pub(super) const DATAGRAM_BYTES_MAX: usize = 1_500;

/// Both directions of one leg.
#[derive(Debug)]
pub(super) struct Crypto {
    pub(super) outbound: Outbound,
    inbound: Inbound,
    /// Packets that weren't genuine.
    pub(super) forged: u64,
}

impl Crypto {
    /// Takes what was negotiated now. A direction whose key stays goes on, with its rollovers and its replay list.
    /// True when we send under another key than before.
    pub(super) fn renew(current: &mut Option<Box<Crypto>>, keys: Option<&Keys>) -> bool {
        let Some(keys) = keys else {
            *current = None;
            return false;
        };
        let outbound = || Outbound::new(&keys.local);
        let inbound = || Inbound::new(&keys.remote, keys.remote_mki_bytes);
        let Some(crypto) = current else {
            *current = Some(Box::new(Crypto {
                outbound: outbound(),
                inbound: inbound(),
                forged: 0,
            }));
            return true;
        };
        if !crypto.inbound.is_of(&keys.remote, keys.remote_mki_bytes) {
            crypto.inbound = inbound();
        }
        let another = !crypto.outbound.is_of(&keys.local);
        if another {
            crypto.outbound = outbound();
        }
        another
    }

    /// Opens an RTP packet into `buffer`.
    pub(super) fn rtp<'a>(
        &mut self,
        bytes: &[u8],
        buffer: &'a mut [u8; DATAGRAM_BYTES_MAX],
    ) -> Option<&'a [u8]> {
        let packet = copied(bytes, buffer)?;
        let opened = self.inbound.rtp(packet);
        self.judged(opened, packet)
    }

    /// Opens an RTCP packet into `buffer`.
    pub(super) fn rtcp<'a>(
        &mut self,
        bytes: &[u8],
        buffer: &'a mut [u8; DATAGRAM_BYTES_MAX],
    ) -> Option<&'a [u8]> {
        let packet = copied(bytes, buffer)?;
        let opened = self.inbound.rtcp(packet);
        self.judged(opened, packet)
    }

    fn judged<'a>(&mut self, opened: Result<usize, Refusal>, packet: &'a [u8]) -> Option<&'a [u8]> {
        if opened == Err(Refusal::Forged) {
            self.forged += 1;
        }
        packet.get(..opened.ok()?)
    }
}

fn copied<'a>(bytes: &[u8], buffer: &'a mut [u8; DATAGRAM_BYTES_MAX]) -> Option<&'a mut [u8]> {
    let packet = buffer.get_mut(..bytes.len())?;
    packet.copy_from_slice(bytes);
    Some(packet)
}
