//! Keys in descriptions (RFC 4568).

use std::fmt::Write as _;
use std::sync::Arc;

use super::parse::{MediaLine, number, words};
use super::{Encryption, SdpError};
use crate::srtp::{Keys, MKI_BYTES_MAX, MasterKey, Secret, Suite};

/// Most `a=crypto` lines kept of one stream.
pub(super) const CRYPTO_MAX: usize = 16;

/// An `a=crypto` line that we can use.
#[derive(Debug)]
pub(super) struct CryptoLine {
    tag: u32,
    key: MasterKey,
    mki_bytes: usize,
}

impl CryptoLine {
    /// `<tag> <suite> inline:<key>[|<lifetime>][|<MKI>:<length>] [<session parameters>]`. None for suites we don't
    /// know, several keys in one line, and parameters that can't be passed over: those with a minus and the size of
    /// the replay window can (RFC 4568 sections 6.3.6 and 6.3.7).
    pub(super) fn parse(value: &[u8]) -> Option<CryptoLine> {
        let mut words = words(value);
        let tag = words.next().filter(|word| word.len() <= 9)?;
        let tag = str::from_utf8(tag).ok()?.parse().ok()?;
        let suite = Suite::from_name(words.next()?)?;
        let mut params = words
            .next()?
            .strip_prefix(b"inline:")?
            .split(|&byte| byte == b'|');
        let key = MasterKey::from_base64(suite, params.next()?)?;
        let mut mki_bytes = 0;
        for param in params {
            // Without a colon it is the key's lifetime. Ours are longer than calls: a day has 2^23 packets.
            if let Some(colon) = param.iter().position(|&byte| byte == b':') {
                mki_bytes = usize::from(number(&param[colon + 1..])?);
            }
        }
        if mki_bytes > MKI_BYTES_MAX || words.any(|param| !passable(param)) {
            return None;
        }
        Some(CryptoLine {
            tag,
            key,
            mki_bytes,
        })
    }
}

fn passable(param: &[u8]) -> bool {
    param.starts_with(b"-") || param.starts_with(b"WSH=")
}

/// What of an offered stream's keys is agreed to, and under which tag; none for audio in the clear.
pub(super) fn agree(
    media: &MediaLine<'_>,
    encryption: &Encryption,
) -> Result<Option<(u32, Arc<Keys>)>, SdpError> {
    let required = matches!(encryption, Encryption::Required(_));
    let Some(secret) = encryption.secret() else {
        return if media.secure() {
            Err(SdpError::EncryptionOff)
        } else {
            Ok(None)
        };
    };
    match media.crypto.first() {
        Some(line) => Ok(Some((line.tag, keys(secret, line)))),
        None if media.secure() => Err(SdpError::NoCommonSuite),
        None if required => Err(SdpError::EncryptionRequired),
        None => Ok(None),
    }
}

fn keys(secret: &Secret, theirs: &CryptoLine) -> Arc<Keys> {
    Arc::new(Keys {
        local: secret.master(theirs.key.suite()),
        remote: theirs.key.clone(),
        remote_mki_bytes: theirs.mki_bytes,
    })
}

/// The keys that an answer chose of our offer.
pub(super) fn accept(
    ours: &MediaLine<'_>,
    theirs: &MediaLine<'_>,
) -> Result<Option<Arc<Keys>>, SdpError> {
    let chosen = theirs.crypto.iter().find_map(|line| {
        let offered = ours
            .crypto
            .iter()
            .find(|offered| offered.tag == line.tag && offered.key.suite() == line.key.suite())?;
        Some(Arc::new(Keys {
            local: offered.key.clone(),
            remote: line.key.clone(),
            remote_mki_bytes: line.mki_bytes,
        }))
    });
    match chosen {
        None if ours.secure() => Err(SdpError::EncryptionRequired),
        None if theirs.secure() || !theirs.crypto.is_empty() => {
            Err(SdpError::Mismatch("a key that fits none of the offered"))
        }
        chosen => Ok(chosen),
    }
}

/// Writes a line for each suite.
pub(super) fn write_offer(secret: &Secret, text: &mut String) {
    for (tag, suite) in (1..).zip(Suite::ALL) {
        write(tag, &secret.master(suite), text);
    }
}

/// Writes one line.
pub(super) fn write(tag: u32, key: &MasterKey, text: &mut String) {
    // Writing into a String can't fail.
    let _ = write!(text, "a=crypto:{tag} {} inline:", key.suite().name());
    key.write_base64(text);
    text.push_str("\r\n");
}
