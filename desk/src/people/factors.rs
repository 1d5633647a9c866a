//! What somebody knows of themselves, kept so that it can be compared and never
//! be read: a date of birth, the digits of a record's number, a staff number, a PIN.
//!
//! These have few values: whoever holds a plain hash tries them all in a
//! second. So the digits go through HMAC-SHA256 (RFC 2104) with a pepper that
//! isn't in the database, and what comes of that through Argon2id (RFC 9106).
//! Without the pepper there is nothing to try; with it, each guess costs what
//! a look at one person costs us. The hospital, the person and what it is go in
//! too, so that equal digits of two people look different, and a row put in
//! another's place fits nobody.
//!
//! What tells people apart (a record's number, a staff number) has to be found
//! by what is keyed in, whoever calls from wherever: it goes through the same,
//! with a salt of its hospital's, and equal digits look equal. That costs a look as
//! much as any other, and a guess at one of them is one at all of that hospital.

use std::collections::{BTreeMap, HashMap};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::message::{PersonId, TenantId};

/// Digits that nobody but whoever compares them sees. They are erased when
/// dropped, and can neither be printed, copied nor written anywhere:
///
/// ```compile_fail
/// println!("{:?}", desk::people::SecretDigits::default());
/// ```
/// ```compile_fail
/// let _ = desk::people::SecretDigits::default().clone();
/// ```
/// ```compile_fail
/// let _ = serde_json::to_string(&desk::people::SecretDigits::default());
/// ```
#[derive(Default)]
pub struct SecretDigits {
    digits: [u8; Self::MAX],
    len: usize,
}

impl SecretDigits {
    /// Most digits.
    pub const MAX: usize = 24;

    /// Adds a digit; false if it isn't one, or there are too many.
    pub fn push(&mut self, digit: char) -> bool {
        match (u8::try_from(digit), self.digits.get_mut(self.len)) {
            (Ok(byte @ b'0'..=b'9'), Some(free)) => {
                *free = byte;
                self.len += 1;
                true
            }
            _ => false,
        }
    }

    /// The digits of a text; `None` if it holds none, too many, or anything
    /// else but what people divide digits by. The text is the caller's to erase.
    pub fn read(text: &str) -> Option<Self> {
        let mut digits = Self::default();
        for c in text.trim().chars() {
            if !matches!(c, ' ' | '-' | '.' | '/') && !digits.push(c) {
                return None;
            }
        }
        (digits.len > 0).then_some(digits)
    }

    /// As a factor is kept, of what a caller keys in: a date of birth is keyed in as month, day
    /// and year, and kept as year, month and day. What is no date stays as it is, and fits nobody.
    #[must_use]
    pub fn as_kept(mut self, factor: Factor) -> Self {
        if factor == Factor::BirthDate && self.len == 8 {
            self.digits[..8].rotate_left(4);
        }
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it may be a date as it is kept: year, month, day.
    pub(crate) fn is_date(&self) -> bool {
        let number = |digits: &[u8]| {
            digits
                .iter()
                .fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
        };
        match self.as_bytes() {
            [year @ .., m1, m2, d1, d2] if year.len() == 4 => {
                (1_850..=2_200).contains(&number(year))
                    && (1..=12).contains(&number(&[*m1, *m2]))
                    && (1..=31).contains(&number(&[*d1, *d2]))
            }
            _ => false,
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }
}

impl Drop for SecretDigits {
    fn drop(&mut self) {
        self.digits.zeroize();
        self.len.zeroize();
    }
}

words! {
    /// What somebody knows of themselves.
    Factor {
        /// The date of birth, as eight digits: year, month, day.
        BirthDate = "birth_date",
        /// The digits of the medical record's number.
        Mrn = "mrn",
        /// The staff number.
        StaffNumber = "staff_number",
        /// A PIN.
        Pin = "pin",
        /// A code that was sent to the contact of record for this one call. Never stored.
        Code = "code",
    }
}

impl Factor {
    /// Whether it says who somebody is among all.
    pub fn identifies(self) -> bool {
        matches!(self, Self::Mrn | Self::StaffNumber)
    }
}

/// A hospital's key for factors, from outside of the database. Erased when
/// dropped, and never shown.
pub struct Pepper {
    tenant: TenantId,
    key: Zeroizing<[u8; 32]>,
}

impl Pepper {
    /// Of this hospital.
    pub fn new(tenant: TenantId, key: [u8; 32]) -> Self {
        Self {
            tenant,
            key: Zeroizing::new(key),
        }
    }
}

impl Pepper {
    pub(super) fn key(&self) -> &[u8] {
        &*self.key
    }
}

impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pepper(..)")
    }
}

/// What one look costs: whoever guesses pays it for each guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// How often it is gone through.
    pub passes: u32,
}

impl Default for Cost {
    /// 19 MiB, twice.
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            passes: 2,
        }
    }
}

impl Cost {
    /// Most memory that a row may make us take, KiB.
    const MEMORY_KIB_MAX: u32 = 65_536;
    const PASSES_MAX: u32 = 8;

    fn params(self) -> Option<Params> {
        let bounded = self.memory_kib <= Self::MEMORY_KIB_MAX && self.passes <= Self::PASSES_MAX;
        let params = Params::new(self.memory_kib, self.passes, 1, Some(HASH)).ok();
        params.filter(|_| bounded)
    }
}

const HASH: usize = 32;

/// A factor as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    cost: Cost,
    salt: [u8; 16],
    hash: [u8; HASH],
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(..)")
    }
}

impl Sealed {
    /// Seals somebody's factor. `salt`: random, of this factor alone. Takes some
    /// tens of milliseconds and the cost's memory: never on a thread that calls
    /// wait for. `None` where the cost is out of bounds.
    pub fn new(
        pepper: &Pepper,
        person: PersonId,
        factor: Factor,
        digits: &SecretDigits,
        salt: [u8; 16],
        cost: Cost,
    ) -> Option<Self> {
        let hash = hash(pepper, person, factor, digits, &salt, cost)?;
        Some(Self {
            cost,
            salt,
            hash: *hash,
        })
    }

    /// Seals what tells people apart; `None` of anything else. Always at the usual cost, or it
    /// wouldn't be found.
    pub fn identifier(pepper: &Pepper, factor: Factor, digits: &SecretDigits) -> Option<Self> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*pepper.key).ok()?;
        mac.update(b"careline identifier salt 1\0");
        let mut salt = [0; 16];
        salt.copy_from_slice(mac.finalize().into_bytes().get(..16)?);
        factor.identifies().then_some(())?;
        Self::new(pepper, EVERYBODY, factor, digits, salt, Cost::default())
    }

    /// Are these the digits? It takes as long whether they are or not, and
    /// whichever of them is wrong.
    #[must_use]
    pub fn opens(
        &self,
        pepper: &Pepper,
        person: PersonId,
        factor: Factor,
        digits: &SecretDigits,
    ) -> bool {
        let hash = hash(pepper, person, factor, digits, &self.salt, self.cost);
        hash.is_some_and(|hash| {
            let pairs = hash.iter().zip(&self.hash);
            pairs.fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
        })
    }
}

/// In place of a person where all are looked through. Ids begin at 1.
const EVERYBODY: PersonId = PersonId(0);

/// What is kept of somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factors(pub BTreeMap<Factor, Sealed>);

/// What is kept of everybody at a hospital, to be compared with.
#[derive(Debug, Default)]
pub struct Keyring {
    people: HashMap<PersonId, Factors>,
    /// Whose an identifier is; `None`: several people's.
    identified: HashMap<(Factor, [u8; HASH]), Option<PersonId>>,
}

impl FromIterator<(PersonId, Factors)> for Keyring {
    fn from_iter<I: IntoIterator<Item = (PersonId, Factors)>>(people: I) -> Self {
        let mut keyring = Self::default();
        for (person, factors) in people {
            for (factor, sealed) in &factors.0 {
                if factor.identifies() {
                    let whose = keyring.identified.entry((*factor, sealed.hash));
                    whose
                        .and_modify(|whose| *whose = None)
                        .or_insert(Some(person));
                }
            }
            keyring.people.insert(person, factors);
        }
        keyring
    }
}

impl Keyring {
    /// What is kept of somebody.
    pub fn of(&self, person: PersonId) -> Option<&Factors> {
        self.people.get(&person)
    }

    /// How many people something is kept of.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether nothing is kept of anybody.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Whose answers are these, and do all of them fit? By what identifies
    /// somebody, if that is among them, else by `hint`. One hash an answer, whoever it
    /// is and whatever is wrong, so that a "no" takes as long as a "yes". Without answers
    /// nothing fits.
    #[must_use]
    pub fn fits(
        &self,
        pepper: &Pepper,
        hint: Option<PersonId>,
        answers: &[(Factor, SecretDigits)],
    ) -> (Option<PersonId>, bool) {
        let mut named = None;
        for (factor, digits) in answers.iter().filter(|(factor, _)| factor.identifies()) {
            let sealed = Sealed::identifier(pepper, *factor, digits);
            let key = sealed.map(|sealed| (*factor, sealed.hash));
            let whose = key.and_then(|key| self.identified.get(&key).copied().flatten());
            // Two that name two people name nobody.
            named = match named {
                None => Some(whose),
                Some(before) if before == whose => Some(whose),
                Some(_) => Some(None),
            };
        }
        let person = named.unwrap_or(hint);
        let mut fits = person.is_some() && !answers.is_empty();
        for (factor, digits) in answers.iter().filter(|(factor, _)| !factor.identifies()) {
            let kept = person.and_then(|person| self.people.get(&person)?.0.get(factor));
            let decoy = Sealed::decoy();
            let is_theirs =
                kept.unwrap_or(&decoy)
                    .opens(pepper, person.unwrap_or(EVERYBODY), *factor, digits);
            fits &= is_theirs & kept.is_some();
        }
        (person, fits)
    }
}

impl Sealed {
    /// What nobody's digits open, at the usual cost.
    fn decoy() -> Self {
        Self {
            cost: Cost::default(),
            salt: [0; 16],
            hash: [0; HASH],
        }
    }
}

fn hash(
    pepper: &Pepper,
    person: PersonId,
    factor: Factor,
    digits: &SecretDigits,
    salt: &[u8; 16],
    cost: Cost,
) -> Option<Zeroizing<[u8; HASH]>> {
    let params = cost.params()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&*pepper.key).ok()?;
    mac.update(b"careline factor 1\0");
    mac.update(&pepper.tenant.0.to_be_bytes());
    mac.update(&person.0.to_be_bytes());
    mac.update(factor.word().as_bytes());
    mac.update(b"\0");
    mac.update(digits.as_bytes());
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(&mac.finalize().into_bytes());
    let mut memory = vec![Block::default(); params.block_count()];
    let mut hash = Zeroizing::new([0; HASH]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let done = argon.hash_password_into_with_memory(&*secret, salt, &mut *hash, &mut memory);
    memory.zeroize();
    done.ok().map(|()| hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Cost = Cost {
        memory_kib: 64,
        passes: 1,
    };

    fn pepper(tenant: u32, key: u8) -> Pepper {
        Pepper::new(TenantId(tenant), [key; 32])
    }

    fn digits(text: &str) -> SecretDigits {
        SecretDigits::read(text).expect("digits")
    }

    #[test]
    fn only_the_same_digits_of_the_same_person_open_it() {
        let person = PersonId(1_000_000);
        let born = Factor::BirthDate;
        let sealed = Sealed::new(
            &pepper(1, 7),
            person,
            born,
            &digits("1980-03-01"),
            [5; 16],
            QUICK,
        );
        let sealed = sealed.expect("sealed");
        let opens = |pepper: &Pepper, person, factor, text: &str| {
            sealed.opens(pepper, person, factor, &digits(text))
        };
        assert!(opens(&pepper(1, 7), person, born, "19800301"));
        assert!(opens(&pepper(1, 7), person, born, "1980/03/01"));
        for wrong in ["19800302", "1980030", "198003010", "0"] {
            assert!(!opens(&pepper(1, 7), person, born, wrong), "{wrong}");
        }
        assert!(!opens(&pepper(1, 7), person, Factor::Pin, "19800301"));
        assert!(!opens(&pepper(1, 7), PersonId(1_000_001), born, "19800301"));
        assert!(!opens(&pepper(2, 7), person, born, "19800301"));
        assert!(!opens(&pepper(1, 8), person, born, "19800301"));
    }

    #[test]
    fn equal_digits_look_different() {
        let seal = |person, salt| {
            let person = PersonId(person);
            Sealed::new(
                &pepper(1, 7),
                person,
                Factor::Pin,
                &digits("1234"),
                [salt; 16],
                QUICK,
            )
        };
        assert_ne!(seal(1, 1).map(|s| s.hash), seal(1, 2).map(|s| s.hash));
        assert_ne!(seal(1, 1).map(|s| s.hash), seal(2, 1).map(|s| s.hash));
        assert_eq!(seal(1, 1), seal(1, 1));
    }

    #[test]
    fn what_is_kept_is_read_again_and_shows_nothing() {
        let person = PersonId(3);
        let sealed = Sealed::new(
            &pepper(1, 7),
            person,
            Factor::Mrn,
            &digits("00471100"),
            [9; 16],
            QUICK,
        );
        let sealed = sealed.expect("sealed");
        let text = serde_json::to_string(&sealed).expect("written");
        assert!(!text.contains("4711"), "{text}");
        let again: Sealed = serde_json::from_str(&text).expect("read");
        // Leading zeros count.
        assert!(again.opens(&pepper(1, 7), person, Factor::Mrn, &digits("00471100")));
        assert!(!again.opens(&pepper(1, 7), person, Factor::Mrn, &digits("471100")));
        assert_eq!(
            format!("{sealed:?} {:?}", pepper(1, 7)),
            "Sealed(..) Pepper(..)"
        );
    }

    #[test]
    fn only_digits_are_digits() {
        for wrong in ["", " - ", "12a4", "\u{663}", "1234567890123456789012345"] {
            assert!(SecretDigits::read(wrong).is_none(), "{wrong}");
        }
        let mut pushed = SecretDigits::default();
        assert!(pushed.is_empty() && pushed.push('1') && !pushed.push('#'));
        assert_eq!(pushed.len(), 1);
    }

    #[test]
    fn a_date_is_keyed_in_month_first() {
        let keyed = digits("03011980").as_kept(Factor::BirthDate);
        assert_eq!(keyed.as_bytes(), b"19800301");
        assert_eq!(
            digits("03011980").as_kept(Factor::Mrn).as_bytes(),
            b"03011980"
        );
        assert_eq!(
            digits("0301198").as_kept(Factor::BirthDate).as_bytes(),
            b"0301198"
        );
    }

    #[test]
    fn a_row_cannot_make_us_take_any_memory() {
        for (memory_kib, passes) in [(u32::MAX, 1), (64, 9), (0, 0)] {
            let cost = Cost { memory_kib, passes };
            let sealed = Sealed {
                cost,
                salt: [0; 16],
                hash: [0; HASH],
            };
            let opens = sealed.opens(&pepper(1, 1), PersonId(1), Factor::Pin, &digits("1"));
            assert!(!opens);
        }
    }

    #[test]
    fn answers_are_of_whom_they_name() {
        let pepper = pepper(1, 7);
        let (rosa, kim, twin) = (PersonId(1), PersonId(2), PersonId(3));
        let kept = |person, mrn: &str, born: &str| {
            let mrn = Sealed::identifier(&pepper, Factor::Mrn, &digits(mrn)).expect("sealed");
            let born = Sealed::new(
                &pepper,
                person,
                Factor::BirthDate,
                &digits(born),
                [1; 16],
                QUICK,
            );
            let born = born.expect("sealed");
            let factors = [(Factor::Mrn, mrn), (Factor::BirthDate, born)];
            (person, Factors(factors.into_iter().collect()))
        };
        let keyring: Keyring = [
            kept(rosa, "4711", "19800301"),
            kept(kim, "4712", "19900301"),
            kept(twin, "4712", "19900301"),
        ]
        .into_iter()
        .collect();
        let check = |hint, answers: &[(Factor, &str)], expected| {
            let answers: Vec<_> = answers.iter().map(|(f, text)| (*f, digits(text))).collect();
            assert_eq!(keyring.fits(&pepper, hint, &answers), expected);
        };
        let (mrn, born) = (Factor::Mrn, Factor::BirthDate);
        // Whoever calls from wherever.
        let right = [(mrn, "4711"), (born, "19800301")];
        check(None, &right, (Some(rosa), true));
        check(Some(kim), &right, (Some(rosa), true));
        check(
            None,
            &[(mrn, "4711"), (born, "19800302")],
            (Some(rosa), false),
        );
        check(None, &[(mrn, "4713"), (born, "19800301")], (None, false));
        // A number that two have names neither.
        check(None, &[(mrn, "4712"), (born, "19900301")], (None, false));
        // Without one, who calls.
        check(Some(rosa), &[(born, "19800301")], (Some(rosa), true));
        check(None, &[(born, "19800301")], (None, false));
        check(
            Some(PersonId(9)),
            &[(born, "19800301")],
            (Some(PersonId(9)), false),
        );
        check(Some(rosa), &[(Factor::Pin, "1234")], (Some(rosa), false));
        check(Some(rosa), &[], (Some(rosa), false));
    }

    /// The cost that is paid in service.
    #[test]
    fn the_usual_cost_can_be_paid() {
        let person = PersonId(1);
        let cost = Cost::default();
        let sealed = Sealed::new(
            &pepper(1, 1),
            person,
            Factor::Pin,
            &digits("1234"),
            [1; 16],
            cost,
        );
        let sealed = sealed.expect("within bounds");
        assert!(sealed.opens(&pepper(1, 1), person, Factor::Pin, &digits("1234")));
    }
}
