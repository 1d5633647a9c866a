//! A code that is sent to somebody's contact of record for one call: known to
//! who sends it for that moment alone, and kept as a keyed hash.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::factors::{Pepper, SecretDigits};
use crate::message::{ContactId, PersonId};

/// How many digits it has.
const DIGITS: u32 = 6;
/// How long it is good for.
const LASTS: Duration = Duration::from_secs(300);
/// How often it may be tried.
const TRIES: u8 = 3;

/// A code that was sent. Erased when dropped.
pub struct SentCode {
    contact: ContactId,
    person: PersonId,
    hash: Zeroizing<[u8; 32]>,
    until: Duration,
    tries_left: u8,
}

impl std::fmt::Debug for SentCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SentCode(..)")
    }
}

impl SentCode {
    /// A new one, and its digits, to be sent. `entropy`: bytes nobody can guess, for this code
    /// alone; `now`: monotonic. `None` where no hash can be had.
    pub fn new(
        pepper: &Pepper,
        contact: ContactId,
        person: PersonId,
        entropy: [u8; 16],
        now: Duration,
    ) -> Option<(Self, Zeroizing<String>)> {
        let modulus = u128::from(10_u32.pow(DIGITS));
        let number = u128::from_be_bytes(entropy) % modulus;
        let digits = Zeroizing::new(format!("{number:0width$}", width = DIGITS as usize));
        let secret = SecretDigits::read(&digits)?;
        let code = Self {
            contact,
            person,
            hash: hash(pepper, contact, person, &secret)?,
            until: now + LASTS,
            tries_left: TRIES,
        };
        Some((code, digits))
    }

    /// Is it theirs, and are these its digits? Not after the third try, nor after five minutes. Drop
    /// it when it has opened something: it is for once.
    #[must_use]
    pub fn opens(
        &mut self,
        pepper: &Pepper,
        person: Option<PersonId>,
        digits: &SecretDigits,
        now: Duration,
    ) -> bool {
        let good = self.tries_left > 0 && now < self.until;
        self.tries_left = self.tries_left.saturating_sub(1);
        let Some(tried) = hash(pepper, self.contact, self.person, digits) else {
            return false;
        };
        let pairs = tried.iter().zip(self.hash.iter());
        let same = pairs.fold(0, |differ, (a, b)| differ | (a ^ b)) == 0;
        good & same & (person == Some(self.person))
    }

    /// Is it of no use any more?
    pub fn is_over(&self, now: Duration) -> bool {
        now >= self.until
    }
}

fn hash(
    pepper: &Pepper,
    contact: ContactId,
    person: PersonId,
    digits: &SecretDigits,
) -> Option<Zeroizing<[u8; 32]>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(pepper.key()).ok()?;
    mac.update(b"careline code 1\0");
    mac.update(&contact.0.to_be_bytes());
    mac.update(&person.0.to_be_bytes());
    mac.update(digits.as_bytes());
    let mut hash = Zeroizing::new([0; 32]);
    hash.copy_from_slice(&mac.finalize().into_bytes());
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::TenantId;

    const NOW: Duration = Duration::from_secs(1_000);
    const ROSA: PersonId = PersonId(7);

    fn sent(contact: u64) -> (Pepper, SentCode, String) {
        let pepper = Pepper::new(TenantId(1), [3; 32]);
        let mut entropy = [0; 16];
        entropy[14..].copy_from_slice(&4_711_u16.to_be_bytes());
        let code = SentCode::new(&pepper, ContactId(contact), ROSA, entropy, NOW);
        let (code, digits) = code.expect("a code");
        (pepper, code, digits.to_string())
    }

    fn digits(text: &str) -> SecretDigits {
        SecretDigits::read(text).expect("digits")
    }

    #[test]
    fn only_its_digits_open_it() {
        let (pepper, mut code, text) = sent(1);
        assert_eq!(text, "004711", "leading zeros count");
        assert!(!code.opens(&pepper, Some(ROSA), &digits("4711"), NOW));
        assert!(code.opens(&pepper, Some(ROSA), &digits(&text), NOW));
        assert_eq!(format!("{code:?}"), "SentCode(..)");
    }

    #[test]
    fn it_can_be_tried_three_times_within_five_minutes_by_whom_it_was_sent_to() {
        let (pepper, mut code, text) = sent(1);
        assert!(!code.opens(&pepper, Some(ROSA), &digits("004712"), NOW));
        assert!(!code.opens(&pepper, Some(PersonId(8)), &digits(&text), NOW));
        assert!(code.opens(&pepper, Some(ROSA), &digits(&text), NOW));
        let (pepper, mut code, text) = sent(1);
        for _ in 0..3 {
            assert!(!code.opens(&pepper, Some(ROSA), &digits("111111"), NOW));
        }
        assert!(!code.opens(&pepper, Some(ROSA), &digits(&text), NOW));
        let (pepper, mut code, text) = sent(1);
        let late = NOW + LASTS;
        assert!(code.is_over(late) && !code.is_over(NOW));
        assert!(!code.opens(&pepper, Some(ROSA), &digits(&text), late));
        // Another call's.
        let (pepper, mut code, _) = sent(2);
        code.contact = ContactId(1);
        assert!(!code.opens(&pepper, Some(ROSA), &digits(&text), NOW));
    }
}
