//! The cryptography of one direction: session keys (RFC 3711 section 4.3), AES in counter mode with HMAC-SHA1 (4.1.1
//! and 4.2.1), AES-GCM (RFC 7714).

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm, Nonce, Tag};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use zeroize::{Zeroize, Zeroizing};

use super::inbound::Refusal;
use super::keys::{MasterKey, Suite};

const AUTH_KEY_BYTES: usize = 20;
/// The tag of RTCP under counter mode, whatever RTP's is.
const RTCP_TAG_BYTES: usize = 10;
const GCM_TAG_BYTES: usize = 16;
/// What stays in the clear before an RTCP packet: the first header and its SSRC.
const RTCP_CLEAR_BYTES: usize = 8;
/// The E bit: this SRTCP packet is encrypted.
const ENCRYPTED: u32 = 0x8000_0000;

/// What a session key is for (RFC 3711 section 4.3.2).
#[derive(Debug, Clone, Copy)]
enum Label {
    RtpKey = 0,
    RtpAuth = 1,
    RtpSalt = 2,
    RtcpKey = 3,
    RtcpAuth = 4,
    RtcpSalt = 5,
}

/// Length of an RTP packet's header, with sources and extension; none if the packet is too short for it.
#[inline]
pub(super) fn rtp_header_bytes(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let mut length = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(length + 2..)?.first_chunk::<2>()?;
        length += 4 + 4 * usize::from(u16::from_be_bytes(*words));
    }
    (first >> 6 == 2 && packet.len() >= length).then_some(length)
}

/// Session keys for RTP.
pub(super) enum Rtp {
    Cm(Box<Cm>, usize),
    Gcm(Gcm),
}

/// Session keys for RTCP.
pub(super) enum Rtcp {
    Cm(Box<Cm>),
    Gcm(Gcm),
}

pub(super) struct Cm {
    cipher: Aes128,
    mac: Hmac<Sha1>,
    salt: [u8; 14],
}

pub(super) struct Gcm {
    cipher: GcmCipher,
    salt: [u8; 12],
}

enum GcmCipher {
    Aes128(Box<Aes128Gcm>),
    Aes256(Box<Aes256Gcm>),
}

impl Drop for Cm {
    fn drop(&mut self) {
        // Ciphers erase themselves.
        self.salt.zeroize();
    }
}

impl Drop for Gcm {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

impl Rtp {
    pub(super) fn new(key: &MasterKey) -> Rtp {
        let labels = [Label::RtpKey, Label::RtpAuth, Label::RtpSalt];
        match key.suite() {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => Rtp::Gcm(Gcm::new(key, labels)),
            Suite::AesCm128HmacSha1_80 => Rtp::Cm(Box::new(Cm::new(key, labels)), 10),
            Suite::AesCm128HmacSha1_32 => Rtp::Cm(Box::new(Cm::new(key, labels)), 4),
        }
    }

    /// Encrypts what follows the header and adds the tag; the new length, none if there is no room.
    #[inline]
    pub(super) fn protect(
        &self,
        packet: &mut [u8],
        header: usize,
        length: usize,
        ssrc: u32,
        index: u64,
    ) -> Option<usize> {
        match self {
            Rtp::Cm(cm, tag_bytes) => {
                let end = length + tag_bytes;
                packet.get(..end)?;
                cm.crypt(packet.get_mut(header..length)?, ssrc, index);
                let tag = cm.tag(&packet[..length], &rollovers(index));
                packet[length..end].copy_from_slice(&tag[..*tag_bytes]);
                Some(end)
            }
            Rtp::Gcm(gcm) => {
                let end = length + GCM_TAG_BYTES;
                packet.get(..end)?;
                let (head, rest) = packet.split_at_mut(header);
                let (body, place) = rest.split_at_mut(length - header);
                let tag = gcm.seal(gcm.rtp_nonce(ssrc, index), head, body)?;
                place[..GCM_TAG_BYTES].copy_from_slice(&tag);
                Some(end)
            }
        }
    }

    /// Proves and decrypts; the length without tag and MKI.
    #[inline]
    pub(super) fn open(
        &self,
        packet: &mut [u8],
        header: usize,
        mki_bytes: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Refusal> {
        let tag_bytes = match self {
            Rtp::Cm(_, tag_bytes) => *tag_bytes,
            Rtp::Gcm(_) => GCM_TAG_BYTES,
        };
        let length = packet
            .len()
            .checked_sub(tag_bytes + mki_bytes)
            .filter(|&length| length >= header)
            .ok_or(Refusal::Malformed)?;
        let (body, trailer) = packet.split_at_mut(length);
        match self {
            // The MKI comes before the tag here (RFC 3711 section 3.1), and behind it there (RFC 7714 section 8.2).
            Rtp::Cm(cm, _) => {
                cm.prove(body, &rollovers(index), &trailer[mki_bytes..])?;
                cm.crypt(&mut body[header..], ssrc, index);
            }
            Rtp::Gcm(gcm) => {
                let (head, body) = body.split_at_mut(header);
                let nonce = gcm.rtp_nonce(ssrc, index);
                gcm.open(nonce, head, body, &trailer[..GCM_TAG_BYTES])?;
            }
        }
        Ok(length)
    }
}

impl Rtcp {
    pub(super) fn new(key: &MasterKey) -> Rtcp {
        let labels = [Label::RtcpKey, Label::RtcpAuth, Label::RtcpSalt];
        match key.suite() {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => Rtcp::Gcm(Gcm::new(key, labels)),
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                Rtcp::Cm(Box::new(Cm::new(key, labels)))
            }
        }
    }

    /// Encrypts a compound packet of `length` bytes and adds index and tag.
    pub(super) fn protect(
        &self,
        packet: &mut [u8],
        length: usize,
        ssrc: u32,
        index: u32,
    ) -> Option<usize> {
        let marked = (ENCRYPTED | index).to_be_bytes();
        let clear = RTCP_CLEAR_BYTES;
        match self {
            Rtcp::Cm(cm) => {
                let (signed, end) = (length + 4, length + 4 + RTCP_TAG_BYTES);
                packet.get(..end)?;
                cm.crypt(packet.get_mut(clear..length)?, ssrc, u64::from(index));
                packet[length..signed].copy_from_slice(&marked);
                let tag = cm.tag(&packet[..signed], &[]);
                packet[signed..end].copy_from_slice(&tag[..RTCP_TAG_BYTES]);
                Some(end)
            }
            Rtcp::Gcm(gcm) => {
                let (tagged, end) = (length + GCM_TAG_BYTES, length + GCM_TAG_BYTES + 4);
                packet.get(..end)?;
                let mut known = [0; RTCP_CLEAR_BYTES + 4];
                known[..clear].copy_from_slice(&packet[..clear]);
                known[clear..].copy_from_slice(&marked);
                let body = packet.get_mut(clear..length)?;
                let tag = gcm.seal(gcm.rtcp_nonce(ssrc, index), &known, body)?;
                packet[length..tagged].copy_from_slice(&tag);
                packet[tagged..end].copy_from_slice(&marked);
                Some(end)
            }
        }
    }

    /// SSRC and index as a packet states them, unproven.
    pub(super) fn heading(&self, packet: &[u8], mki_bytes: usize) -> Result<(u32, u32), Refusal> {
        let behind = match self {
            Rtcp::Cm(_) => 4 + mki_bytes + RTCP_TAG_BYTES,
            Rtcp::Gcm(_) => 4 + mki_bytes,
        };
        let ssrc = packet.get(4..).and_then(|rest| rest.first_chunk::<4>());
        let marked = packet
            .len()
            .checked_sub(behind)
            .and_then(|at| packet.get(at..)?.first_chunk::<4>());
        let (Some(ssrc), Some(marked)) = (ssrc, marked) else {
            return Err(Refusal::Malformed);
        };
        let marked = u32::from_be_bytes(*marked);
        // Reports in the clear were not agreed on.
        if marked & ENCRYPTED == 0 {
            return Err(Refusal::Malformed);
        }
        Ok((u32::from_be_bytes(*ssrc), marked & !ENCRYPTED))
    }

    /// Proves and decrypts; the length of the compound packet.
    pub(super) fn open(
        &self,
        packet: &mut [u8],
        mki_bytes: usize,
        ssrc: u32,
        index: u32,
    ) -> Result<usize, Refusal> {
        let tag_bytes = match self {
            Rtcp::Cm(_) => RTCP_TAG_BYTES,
            Rtcp::Gcm(_) => GCM_TAG_BYTES,
        };
        let length = packet
            .len()
            .checked_sub(4 + tag_bytes + mki_bytes)
            .filter(|&length| length >= RTCP_CLEAR_BYTES)
            .ok_or(Refusal::Malformed)?;
        match self {
            Rtcp::Cm(cm) => {
                let (signed, trailer) = packet.split_at_mut(length + 4);
                cm.prove(signed, &[], &trailer[mki_bytes..])?;
                let body = &mut signed[RTCP_CLEAR_BYTES..length];
                cm.crypt(body, ssrc, u64::from(index));
            }
            Rtcp::Gcm(gcm) => {
                let mut known = [0; RTCP_CLEAR_BYTES + 4];
                let (head, rest) = packet.split_at_mut(RTCP_CLEAR_BYTES);
                let (body, trailer) = rest.split_at_mut(length - RTCP_CLEAR_BYTES);
                known[..RTCP_CLEAR_BYTES].copy_from_slice(head);
                known[RTCP_CLEAR_BYTES..].copy_from_slice(&(ENCRYPTED | index).to_be_bytes());
                let nonce = gcm.rtcp_nonce(ssrc, index);
                gcm.open(nonce, &known, body, &trailer[..GCM_TAG_BYTES])?;
            }
        }
        Ok(length)
    }
}

impl Cm {
    fn new(key: &MasterKey, labels: [Label; 3]) -> Cm {
        let [encrypt, auth, salt] = labels;
        let cipher = derived::<16>(key, encrypt);
        let auth = derived::<AUTH_KEY_BYTES>(key, auth);
        Cm {
            cipher: Aes128::new((&*cipher).into()),
            mac: Hmac::new_from_slice(&*auth).unwrap_or_else(|_| Hmac::new(&Default::default())),
            salt: *derived::<14>(key, salt),
        }
    }

    /// En- or decrypts; `index` has 48 bits.
    #[inline]
    fn crypt(&self, data: &mut [u8], ssrc: u32, index: u64) {
        let mut start = [0; 16];
        start[..14].copy_from_slice(&self.salt);
        xor(&mut start[4..8], &ssrc.to_be_bytes());
        xor(&mut start[8..14], &index.to_be_bytes()[2..]);
        key_stream(&self.cipher, start, data);
    }

    #[inline]
    fn tag(&self, signed: &[u8], more: &[u8]) -> [u8; AUTH_KEY_BYTES] {
        let mut mac = self.mac.clone();
        mac.update(signed);
        mac.update(more);
        mac.finalize().into_bytes().into()
    }

    #[inline]
    fn prove(&self, signed: &[u8], more: &[u8], tag: &[u8]) -> Result<(), Refusal> {
        let mut mac = self.mac.clone();
        mac.update(signed);
        mac.update(more);
        mac.verify_truncated_left(tag).map_err(|_| Refusal::Forged)
    }
}

impl Gcm {
    fn new(key: &MasterKey, labels: [Label; 3]) -> Gcm {
        let [encrypt, _, salt] = labels;
        let cipher = match key.suite() {
            Suite::AeadAes256Gcm => {
                let key = derived::<32>(key, encrypt);
                GcmCipher::Aes256(Box::new(Aes256Gcm::new((&*key).into())))
            }
            _ => {
                let key = derived::<16>(key, encrypt);
                GcmCipher::Aes128(Box::new(Aes128Gcm::new((&*key).into())))
            }
        };
        Gcm {
            cipher,
            salt: *derived::<12>(key, salt),
        }
    }

    /// RFC 7714 section 8.1.
    #[inline]
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> [u8; 12] {
        let mut nonce = self.salt;
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[6..], &index.to_be_bytes()[2..]);
        nonce
    }

    /// RFC 7714 section 9.1.
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> [u8; 12] {
        let mut nonce = self.salt;
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[8..], &index.to_be_bytes());
        nonce
    }

    #[inline]
    fn seal(&self, nonce: [u8; 12], known: &[u8], body: &mut [u8]) -> Option<[u8; 16]> {
        let nonce = Nonce::from(nonce);
        let tag = match &self.cipher {
            GcmCipher::Aes128(cipher) => cipher.encrypt_inout_detached(&nonce, known, body.into()),
            GcmCipher::Aes256(cipher) => cipher.encrypt_inout_detached(&nonce, known, body.into()),
        };
        // Fails beyond 64 GB.
        tag.ok().map(Into::into)
    }

    #[inline]
    fn open(
        &self,
        nonce: [u8; 12],
        known: &[u8],
        body: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Refusal> {
        let nonce = Nonce::from(nonce);
        let tag = Tag::try_from(tag).map_err(|_| Refusal::Malformed)?;
        let opened = match &self.cipher {
            GcmCipher::Aes128(cipher) => {
                cipher.decrypt_inout_detached(&nonce, known, body.into(), &tag)
            }
            GcmCipher::Aes256(cipher) => {
                cipher.decrypt_inout_detached(&nonce, known, body.into(), &tag)
            }
        };
        opened.map_err(|_| Refusal::Forged)
    }
}

/// A session key (RFC 3711 section 4.3.1, derivation rate 0): key stream of AES under the master key, as long as that
/// is.
fn derived<const N: usize>(key: &MasterKey, label: Label) -> Zeroizing<[u8; N]> {
    let mut start = [0; 16];
    start[..14].copy_from_slice(&key.salt());
    start[7] ^= label as u8;
    let mut out = Zeroizing::new([0; N]);
    // The lengths are the suite's own.
    match key.suite() {
        Suite::AeadAes256Gcm => {
            if let Ok(cipher) = Aes256::new_from_slice(key.key()) {
                key_stream(&cipher, start, &mut *out);
            }
        }
        _ => {
            if let Ok(cipher) = Aes128::new_from_slice(key.key()) {
                key_stream(&cipher, start, &mut *out);
            }
        }
    }
    out
}

/// Blocks of key stream made at a time; the cipher works on several at once.
const BLOCKS: usize = 8;

/// Adds the key stream that begins at the counter `start`, whose last sixteen bits are zero.
#[inline]
fn key_stream(
    cipher: &impl BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>,
    start: [u8; 16],
    data: &mut [u8],
) {
    let mut count = 0u16;
    for part in data.chunks_mut(BLOCKS * 16) {
        let mut blocks = [aes::Block::from(start); BLOCKS];
        let used = &mut blocks[..part.len().div_ceil(16)];
        for block in used.iter_mut() {
            xor(&mut block[14..], &count.to_be_bytes());
            count = count.wrapping_add(1);
        }
        cipher.encrypt_blocks(used);
        for (bytes, block) in part.chunks_mut(16).zip(used.iter()) {
            xor(bytes, block);
        }
    }
}

/// The rollover counter's bytes, which the tag covers.
fn rollovers(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

#[inline]
fn xor(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to ^= from;
    }
}

#[cfg(test)]
pub(super) fn session_keys(key: &MasterKey) -> [Vec<u8>; 3] {
    [
        derived::<16>(key, Label::RtpKey).to_vec(),
        derived::<14>(key, Label::RtpSalt).to_vec(),
        derived::<20>(key, Label::RtpAuth).to_vec(),
    ]
}

#[cfg(test)]
pub(super) fn stream_of(key: &[u8], start: &[u8], data: &mut [u8]) {
    let cipher = Aes128::new_from_slice(key).unwrap();
    key_stream(&cipher, start.try_into().unwrap(), data);
}

#[cfg(test)]
impl Rtp {
    /// AES-128-GCM with a session key and salt as they are.
    pub(super) fn of_session(key: &[u8], salt: &[u8]) -> Rtp {
        Rtp::Gcm(Gcm {
            cipher: GcmCipher::Aes128(Box::new(Aes128Gcm::new_from_slice(key).unwrap())),
            salt: salt.try_into().unwrap(),
        })
    }
}
