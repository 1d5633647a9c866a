//! Ticket numbers: what a caller is told and keys in.
//!
//! Ten digits: eight from a keyed permutation of the ticket's id, so that
//! numbers are sparse and knowing one says nothing about the next, then the
//! two check digits of ISO 7064 MOD 97-10, which catch every single wrong
//! digit and every swap of neighbours. Each hospital has a key of its own.
//!
//! The permutation is a balanced Feistel network over two halves of four
//! digits (the radix-10 form of NIST SP 800-38G's FF1, ten rounds, addition
//! modulo 10⁴), so its domain is exactly 10⁸ and no value has to be walked
//! again. The round function is BLAKE3 under the key.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::message::TicketId;

/// One half of the eight permuted digits.
const HALF: u32 = 10_000;
const ROUNDS: u8 = 10;

/// The number of a ticket as people know it. One that exists has right check digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct TicketNumber(u64);

/// Not ten digits, or the check digits are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a ticket number")]
pub struct NotATicketNumber;

impl TicketNumber {
    /// Ticket ids go from 1 to this.
    pub const ID_MAX: u64 = (HALF as u64) * (HALF as u64) - 1;

    /// The number of a ticket under its tenant's key; `None` when the tenant
    /// has used up its hundred million.
    pub fn mint(key: &[u8; 32], ticket: TicketId) -> Option<Self> {
        if ticket.0 == 0 || ticket.0 > Self::ID_MAX {
            return None;
        }
        let mut left = (ticket.0 / u64::from(HALF)) as u32;
        let mut right = (ticket.0 % u64::from(HALF)) as u32;
        for round in 0..ROUNDS {
            (left, right) = (right, (left + round_value(key, round, right)) % HALF);
        }
        Some(Self::with_check(
            u64::from(left) * u64::from(HALF) + u64::from(right),
        ))
    }

    /// The ticket this number belongs to under a tenant's key, whether such a
    /// ticket was ever opened or not; `None` for the one number no id has.
    pub fn ticket(self, key: &[u8; 32]) -> Option<TicketId> {
        let permuted = self.0 / 100;
        let mut left = (permuted / u64::from(HALF)) as u32;
        let mut right = (permuted % u64::from(HALF)) as u32;
        for round in (0..ROUNDS).rev() {
            (left, right) = ((right + HALF - round_value(key, round, left)) % HALF, left);
        }
        let id = u64::from(left) * u64::from(HALF) + u64::from(right);
        (id != 0).then_some(TicketId(id))
    }

    /// Reads exactly ten digits and checks them.
    pub fn parse(text: &str) -> Result<Self, NotATicketNumber> {
        if text.len() != 10 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotATicketNumber);
        }
        let number = text
            .bytes()
            .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        // ISO 7064: the whole is congruent 1 modulo 97. Check digits run from
        // 02 to 98; 00, 01 and 99 are congruent to others but never minted.
        if number % 97 == 1 && Self::with_check(number / 100).0 == number {
            Ok(Self(number))
        } else {
            Err(NotATicketNumber)
        }
    }

    /// Five groups of two digits, each 0 to 99, as they are spoken.
    pub fn pairs(self) -> [u8; 5] {
        let mut rest = self.0;
        let mut pairs = [0; 5];
        for pair in pairs.iter_mut().rev() {
            *pair = (rest % 100) as u8;
            rest /= 100;
        }
        pairs
    }

    /// As an integer below 10¹⁰, for a database column.
    pub fn value(self) -> u64 {
        self.0
    }

    /// From [`TicketNumber::value`], checked again.
    pub fn from_value(value: u64) -> Result<Self, NotATicketNumber> {
        if value < 10_000_000_000 && Self::with_check(value / 100).0 == value {
            Ok(Self(value))
        } else {
            Err(NotATicketNumber)
        }
    }

    fn with_check(permuted: u64) -> Self {
        let shifted = permuted * 100;
        Self(shifted + 98 - shifted % 97)
    }
}

fn round_value(key: &[u8; 32], round: u8, half: u32) -> u32 {
    let mut input = *b"ticket\0\0\0\0\0";
    input[6] = round;
    input[7..].copy_from_slice(&half.to_le_bytes());
    let hash = blake3::keyed_hash(key, &input);
    let mut word = [0; 8];
    word.copy_from_slice(&hash.as_bytes()[..8]);
    // 2⁶⁴ over 10⁴: the bias of the remainder is beyond notice.
    (u64::from_le_bytes(word) % u64::from(HALF)) as u32
}

impl fmt::Display for TicketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

impl std::str::FromStr for TicketNumber {
    type Err = NotATicketNumber;

    fn from_str(text: &str) -> Result<Self, NotATicketNumber> {
        Self::parse(text)
    }
}

impl TryFrom<String> for TicketNumber {
    type Error = NotATicketNumber;

    fn try_from(text: String) -> Result<Self, NotATicketNumber> {
        Self::parse(&text)
    }
}

impl Serialize for TicketNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn mint(key: u8, id: u64) -> TicketNumber {
        TicketNumber::mint(&[key; 32], TicketId(id)).unwrap()
    }

    fn refused(text: &str) {
        assert_eq!(TicketNumber::parse(text), Err(NotATicketNumber), "{text}");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "1",
            "226213182",
            "22621318299",
            "22621318x9",
            "٠٠٠٠٠",
            " 226213182",
            "+226213182",
            "0000000000",
            // Congruent to right ones (01 to 98, 00 to 97, 99 to 02), never minted.
            "0000000001",
        ] {
            refused(text);
        }
    }

    #[test]
    fn ids_have_bounds() {
        let key = [9; 32];
        assert_eq!(TicketNumber::mint(&key, TicketId(0)), None);
        assert_eq!(
            TicketNumber::mint(&key, TicketId(TicketNumber::ID_MAX + 1)),
            None
        );
        assert!(TicketNumber::mint(&key, TicketId(TicketNumber::ID_MAX)).is_some());
    }

    #[test]
    fn no_two_tickets_share_a_number() {
        let numbers: HashSet<_> = (1..=200_000).map(|id| mint(3, id)).collect();
        assert_eq!(numbers.len(), 200_000);
    }

    /// Neighbouring tickets have numbers that spread evenly: guessing near a
    /// known number is no better than guessing anywhere.
    #[test]
    fn neighbours_are_far_apart() {
        let mut tenth = [0_u32; 10];
        for id in 1..=10_000 {
            tenth[(mint(5, id).value() / 1_000_000_000) as usize] += 1;
        }
        // Expected 1,000 each; six standard deviations are 180.
        assert!(tenth.iter().all(|n| n.abs_diff(1_000) < 180), "{tenth:?}");
    }

    #[test]
    fn tenants_are_unrelated() {
        let numbers = |key| (1..=20_000).map(|id| mint(key, id)).collect::<Vec<_>>();
        let (one, two) = (numbers(1), numbers(2));
        let same_place = one.iter().zip(&two).filter(|(a, b)| a == b).count();
        let ours: HashSet<_> = one.iter().collect();
        let shared = two.iter().filter(|n| ours.contains(n)).count();
        // By chance: 20,000 × 20,000 / 10⁸ = 4 in common, none at the same id.
        assert!(same_place <= 2, "{same_place}");
        assert!(shared < 20, "{shared}");
    }

    proptest! {
        #[test]
        fn permutation_can_be_undone(key: [u8; 32], id in 1..=TicketNumber::ID_MAX) {
            let number = TicketNumber::mint(&key, TicketId(id)).unwrap();
            prop_assert_eq!(number.ticket(&key), Some(TicketId(id)));
            prop_assert_eq!(TicketNumber::parse(&number.to_string()), Ok(number));
            prop_assert_eq!(TicketNumber::from_value(number.value()), Ok(number));
            let spoken: String = number.pairs().iter().map(|p| format!("{p:02}")).collect();
            prop_assert_eq!(spoken, number.to_string());
        }

        #[test]
        fn one_wrong_digit_is_caught(
            id in 1..=TicketNumber::ID_MAX,
            at in 0_usize..10,
            other in 1_u8..10,
        ) {
            let mut digits = mint(7, id).to_string().into_bytes();
            digits[at] = b'0' + (digits[at] - b'0' + other) % 10;
            refused(std::str::from_utf8(&digits).unwrap());
        }

        #[test]
        fn swapped_neighbours_are_caught(id in 1..=TicketNumber::ID_MAX, at in 0_usize..9) {
            let mut digits = mint(7, id).to_string().into_bytes();
            prop_assume!(digits[at] != digits[at + 1]);
            digits.swap(at, at + 1);
            refused(std::str::from_utf8(&digits).unwrap());
        }

        #[test]
        fn anything_may_be_keyed_in(text in ".{0,12}") {
            let _ = TicketNumber::parse(&text);
        }
    }
}
