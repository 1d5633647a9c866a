//! Base64 (RFC 4648 section 4) of keys: exact lengths, nothing else accepted.

use zeroize::Zeroize;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes `bytes` as Base64.
pub(super) fn encode(bytes: &[u8], out: &mut String) {
    for group in bytes.chunks(3) {
        let mut word = 0u32;
        for index in 0..3 {
            word = word << 8 | u32::from(group.get(index).copied().unwrap_or(0));
        }
        for index in 0..4 {
            if index <= group.len() {
                let letter = ALPHABET[(word >> (18 - 6 * index)) as usize & 63];
                out.push(char::from(letter));
            } else {
                out.push('=');
            }
        }
        word.zeroize();
    }
}

/// Fills `out` from Base64 that stands for exactly as many bytes. Padding may be missing, as some telephones leave
/// it out.
pub(super) fn decode(text: &[u8], out: &mut [u8]) -> Option<()> {
    let end = text
        .iter()
        .rposition(|&letter| letter != b'=')
        .map_or(0, |at| at + 1);
    let (letters, padding) = text.split_at(end);
    if padding.len() > 2 || letters.len() != (out.len() * 4).div_ceil(3) {
        return None;
    }
    let mut bits = 0u32;
    let mut held = 0;
    let mut places = out.iter_mut();
    for letter in letters {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            *places.next()? = (bits >> held) as u8;
        }
    }
    bits.zeroize();
    Some(())
}
