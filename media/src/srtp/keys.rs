//! Suites, master keys, and what was agreed of them.

use std::fmt;

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::Zeroize;

use super::base64;

/// Room for the longest master key with its salt: AES-256-GCM's 32 and 12.
const MASTER_BYTES_MAX: usize = 44;

/// A crypto suite (RFC 4568 section 6.2, RFC 7714 section 14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES-256 in Galois/counter mode.
    AeadAes256Gcm,
    /// AES-128 in Galois/counter mode.
    AeadAes128Gcm,
    /// AES-128 in counter mode, tags of 80 bits.
    AesCm128HmacSha1_80,
    /// The same with tags of 32 bits on RTP; on RTCP they have 80 (RFC 4568 section 6.2.2).
    AesCm128HmacSha1_32,
}

impl Suite {
    /// All of them, in the order in which we offer them.
    pub const ALL: [Suite; 4] = [
        Suite::AeadAes256Gcm,
        Suite::AeadAes128Gcm,
        Suite::AesCm128HmacSha1_80,
        Suite::AesCm128HmacSha1_32,
    ];

    /// Its name in `a=crypto`.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// The suite of that name. Names are case-sensitive (RFC 4568 section 9.1), telephones are not.
    pub fn from_name(name: &[u8]) -> Option<Suite> {
        Suite::ALL
            .into_iter()
            .find(|suite| suite.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Bytes of the master key, without the salt.
    pub(super) const fn key_bytes(self) -> usize {
        match self {
            Suite::AeadAes256Gcm => 32,
            Suite::AeadAes128Gcm | Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => 16,
        }
    }

    /// Bytes of the master salt.
    pub(super) const fn salt_bytes(self) -> usize {
        match self {
            Suite::AeadAes256Gcm | Suite::AeadAes128Gcm => 12,
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => 14,
        }
    }

    const fn master_bytes(self) -> usize {
        self.key_bytes() + self.salt_bytes()
    }
}

/// Thirty-two bytes that nobody can guess, for one leg. Everything that we encrypt with on that leg follows from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Secret {
    /// Takes bytes of the system's random source; never the same for two legs.
    pub const fn new(bytes: [u8; 32]) -> Secret {
        Secret(bytes)
    }

    /// Another secret out of this one, which is itself another afterwards: for a second peer of the same leg. Neither
    /// tells anything of the other.
    pub fn draw(&mut self) -> Secret {
        let mut drawn = [0; 32];
        self.fill(0xff, &mut drawn);
        let mut next = [0; 32];
        self.fill(0xfe, &mut next);
        self.0 = next;
        next.zeroize();
        Secret(drawn)
    }

    /// Our master key for a suite. The same every time, so that a later description of the leg doesn't change keys
    /// that go on.
    pub(crate) fn master(&self, suite: Suite) -> MasterKey {
        let mut key = MasterKey {
            suite,
            bytes: [0; MASTER_BYTES_MAX],
        };
        self.fill(suite as u8, &mut key.bytes[..suite.master_bytes()]);
        key
    }

    /// AES-256 under the secret over counters of their own for each purpose.
    fn fill(&self, purpose: u8, out: &mut [u8]) {
        let cipher = Aes256::new(&self.0.into());
        for (index, place) in (0..).zip(out.chunks_mut(16)) {
            let mut block = [0; 16];
            block[..13].copy_from_slice(b"careline sdes");
            block[14] = purpose;
            block[15] = index;
            let mut block = block.into();
            cipher.encrypt_block(&mut block);
            place.copy_from_slice(&block[..place.len()]);
            block.as_mut_slice().zeroize();
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A master key with its salt.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    /// Key, then salt, then zeros.
    bytes: [u8; MASTER_BYTES_MAX],
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, ..)", self.suite.name())
    }
}

impl MasterKey {
    /// Reads what stands behind `inline:`; none if it hasn't the suite's length.
    pub fn from_base64(suite: Suite, text: &[u8]) -> Option<MasterKey> {
        let mut key = MasterKey {
            suite,
            bytes: [0; MASTER_BYTES_MAX],
        };
        base64::decode(text, &mut key.bytes[..suite.master_bytes()])?;
        Some(key)
    }

    /// Writes what stands behind `inline:`.
    pub(crate) fn write_base64(&self, out: &mut String) {
        base64::encode(&self.bytes[..self.suite.master_bytes()], out);
    }

    /// Its suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.bytes[..self.suite.key_bytes()]
    }

    /// The salt as key derivation wants it: 112 bits, AES-GCM's 96 followed by zeros (RFC 7714 section 11).
    pub(super) fn salt(&self) -> [u8; 14] {
        let mut salt = [0; 14];
        let from = self.suite.key_bytes();
        let length = self.suite.salt_bytes();
        salt[..length].copy_from_slice(&self.bytes[from..from + length]);
        salt
    }
}

/// What two sides agreed on: one suite, a key for each direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// What we encrypt with.
    pub local: MasterKey,
    /// What the far side encrypts with.
    pub remote: MasterKey,
    /// Bytes of the MKI in each of the far side's packets, most often 0.
    pub remote_mki_bytes: usize,
}
