//! Keys that nobody but whoever compares them may see.

use std::fmt;

use zeroize::Zeroizing;

/// What a caller can be asked for to show who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Factor {
    /// The date of birth: month, day and year, eight digits.
    BirthDate,
    /// The digits of the medical record's number.
    Mrn,
    /// The staff number.
    StaffNumber,
    /// A PIN.
    Pin,
    /// A code that was sent to them.
    Code,
}

impl Factor {
    /// Every factor, in the order of their questions.
    pub const ALL: [Factor; 5] = [
        Factor::BirthDate,
        Factor::Mrn,
        Factor::StaffNumber,
        Factor::Pin,
        Factor::Code,
    ];

    /// How many digits it has, at least and at most.
    pub(crate) const fn digits(self) -> (usize, usize) {
        match self {
            Factor::BirthDate => (8, 8),
            Factor::Mrn | Factor::StaffNumber => (1, Secret::MAX),
            Factor::Pin => (4, 12),
            Factor::Code => (6, 6),
        }
    }
}

/// Digits that were keyed in and are nobody's business. Erased when dropped;
/// neither copied nor compared nor written anywhere, and in `Debug` nothing of
/// them shows, not even how many they are.
///
/// ```compile_fail
/// let _ = ivr_flows::Secret::default().clone();
/// ```
#[derive(Default)]
pub struct Secret {
    digits: Zeroizing<[u8; Secret::MAX]>,
    len: usize,
}

impl Secret {
    /// Most digits; more are refused.
    pub const MAX: usize = 24;

    /// The digits, for whoever compares them.
    pub fn digits(&self) -> impl Iterator<Item = char> + '_ {
        self.digits.iter().take(self.len).copied().map(char::from)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// False if there is no room.
    pub(crate) fn push(&mut self, digit: char) -> bool {
        match (u8::try_from(digit), self.digits.get_mut(self.len)) {
            (Ok(byte @ b'0'..=b'9'), Some(free)) => {
                *free = byte;
                self.len += 1;
                true
            }
            _ => false,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_shows() {
        let mut secret = Secret::default();
        assert!(secret.push('4') && secret.push('7') && !secret.push('#'));
        assert_eq!(format!("{secret:?}"), format!("{:?}", Secret::default()));
        assert_eq!(secret.digits().collect::<String>(), "47");
        for _ in 2..Secret::MAX {
            assert!(secret.push('1'));
        }
        assert!(!secret.push('1'));
    }
}
