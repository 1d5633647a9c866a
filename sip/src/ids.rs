//! What we mint (tags, branches, Call-IDs, with the shard inside) and the
//! keys under which transactions and dialogs are found.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::{BuildHasherDefault, Hasher};

use rsip::Method;
use smallvec::SmallVec;

use crate::message::Request;
use crate::wire::{MAGIC_COOKIE, method_name};

/// Characters of a token behind its shard: 80 random bits.
const RANDOM_LEN: usize = 16;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A keyed 128-bit hash: nobody without our seed can make two things meet.
pub(crate) type Key = u128;

/// A map by [`Key`] or counter, iterating in the same order for the same
/// history.
pub(crate) type Map<K, V> = HashMap<K, V, BuildHasherDefault<KeyHasher>>;

/// Keys are uniform already, counters nearly so.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        // The golden ratio spreads counters over all bits.
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u128(&mut self, value: u128) {
        #[allow(clippy::cast_possible_truncation)]
        let (low, high) = (value as u64, (value >> 64) as u64);
        self.0 = low ^ high;
    }
}

/// Source of everything random: BLAKE3 as a keyed stream over the seed.
pub(crate) struct Tokens {
    stream: blake3::OutputReader,
    key: [u8; 32],
    shard: u8,
}

impl Tokens {
    pub(crate) fn new(seed: &[u8; 32], shard: u8) -> Self {
        let stream = blake3::Hasher::new_keyed(seed)
            .update(b"careline sip tokens")
            .update(&[shard])
            .finalize_xof();
        let key = *blake3::Hasher::new_keyed(seed)
            .update(b"careline sip keys")
            .finalize()
            .as_bytes();
        Self { stream, key, shard }
    }

    /// A tag, a Contact user, a Call-ID, a cnonce.
    pub(crate) fn token(&mut self) -> String {
        let mut random = [0; RANDOM_LEN];
        self.stream.fill(&mut random);
        token(self.shard, random)
    }

    /// A branch of RFC 3261 section 8.1.1.7.
    pub(crate) fn branch(&mut self) -> String {
        let mut branch = String::with_capacity(MAGIC_COOKIE.len() + 2 + RANDOM_LEN);
        branch.push_str(MAGIC_COOKIE);
        branch.push_str(&self.token());
        branch
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.stream.fill(&mut bytes);
        u64::from_le_bytes(bytes) % bound.max(1)
    }

    /// The To tag of an answer of which nothing is kept: the same for the same
    /// request (RFC 3261 section 8.2.7).
    pub(crate) fn stateless_tag(&self, transaction: Key) -> String {
        let hash = blake3::keyed_hash(&self.key, &transaction.to_le_bytes());
        let mut random = [0; RANDOM_LEN];
        random.copy_from_slice(&hash.as_bytes()[..RANDOM_LEN]);
        token(self.shard, random)
    }

    /// RFC 3261 section 17.2.3: which server transaction a request belongs to.
    /// An ACK has the key of its INVITE; `method` is INVITE to find what a
    /// CANCEL is for.
    pub(crate) fn server_key(&self, request: &Request, method: Method) -> Key {
        let method = match method {
            Method::Ack => Method::Invite,
            method => method,
        };
        let mut id = Id::new(method_name(method));
        let via = request.via();
        match via.as_ref().and_then(|via| via.branch().map(|b| (via, b))) {
            Some((via, branch)) => {
                id.part(branch);
                let host_start = id.0.len();
                // `Id` takes whatever is written.
                let _ = write!(id, "{}", via.host);
                id.0[host_start..].make_ascii_lowercase();
                let _ = write!(id, ":{}", via.port.unwrap_or(0));
            }
            None => {
                // An RFC 2543 element: everything that stays the same between
                // a request, its repeats, its ACK and its CANCEL.
                id.part(request.uri().as_str());
                id.part(request.from_tag().unwrap_or(""));
                id.part(request.call_id());
                let _ = writeln!(id, "{}", request.cseq());
                id.part(request.fields.via_text().unwrap_or(""));
            }
        }
        id.key(&self.key)
    }

    /// Section 17.1.3: a client transaction is known by its branch and method.
    pub(crate) fn client_key(&self, branch: &str, method: Method) -> Key {
        let mut id = Id::new("client");
        id.part(branch);
        id.part(method_name(method));
        id.key(&self.key)
    }

    /// Section 12: Call-ID, our tag, theirs.
    pub(crate) fn dialog_key(&self, call_id: &str, local: &str, remote: &str) -> Key {
        let mut id = Id::new("dialog");
        id.part(call_id);
        id.part(local);
        id.part(remote);
        id.key(&self.key)
    }

    /// Section 8.2.2.2: what makes two requests the same one come two ways.
    pub(crate) fn merge_key(&self, request: &Request) -> Key {
        let mut id = Id::new("merge");
        id.part(method_name(request.method()));
        id.part(request.call_id());
        id.part(request.from_tag().unwrap_or(""));
        let _ = write!(id, "{}", request.cseq());
        id.key(&self.key)
    }
}

/// Parts joined unambiguously: none of them can hold a line feed.
struct Id(SmallVec<[u8; 256]>);

impl Write for Id {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Id {
    fn new(kind: &str) -> Self {
        let mut id = Self(SmallVec::new());
        id.part(kind);
        id
    }

    fn part(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'\n');
    }

    fn key(&self, key: &[u8; 32]) -> Key {
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::keyed_hash(key, &self.0).as_bytes()[..16]);
        Key::from_le_bytes(short)
    }
}

fn token(shard: u8, random: [u8; RANDOM_LEN]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut token = String::with_capacity(2 + RANDOM_LEN);
    token.push(char::from(HEX[usize::from(shard >> 4)]));
    token.push(char::from(HEX[usize::from(shard & 15)]));
    token.extend(
        random
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte & 31)])),
    );
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_carry_their_shard_and_never_repeat() {
        let mut tokens = Tokens::new(&[7; 32], 0x1f);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            let token = tokens.token();
            assert!(token.len() == 2 + RANDOM_LEN && token.starts_with("1f"));
            assert!(seen.insert(token));
        }
    }

    #[test]
    fn the_same_seed_mints_the_same_tokens() {
        let mint = |seed: u8| Tokens::new(&[seed; 32], 0).branch();
        assert_eq!(mint(1), mint(1));
        assert_ne!(mint(1), mint(2));
    }
}
