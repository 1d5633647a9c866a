//! Who a caller is, and how sure that is: identity levels 0 to 2.
//!
//! What callers key in never comes here: whoever compares it (`factors.rs` in
//! [`crate::people`]) says which person it fits, or that it fits nobody
//! ([`Checked`]). Here it is decided what is asked for, how often somebody may
//! try, and what is written down: whether it was right, how it was shown and
//! the level, nothing else.
//!
//! "No" is one answer. Nobody learns whether there is such a person, which of
//! two answers was wrong, or that somebody is locked; after the last try
//! everybody gets to a person alike.
//!
//! | file | what |
//! |---|---|
//! | `attempts.rs` | how often was tried, by person and by calling number |
//! | `../desk/verify.rs` | the machine of one contact |

mod attempts;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::{Caller, CommandId, ContactId, PersonId, Role, TenantId};
use crate::people::{Factor, Level};

pub(crate) use attempts::Attempts;

/// One of the ways to show who one is, of which level 2 asks two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The date of birth.
    BirthDate,
    /// The digits of the medical record's number.
    Mrn,
    /// Staff number and PIN.
    StaffPin,
    /// A code that is sent to the contact of record.
    Code,
}

impl Evidence {
    /// What is asked for, in this order.
    pub fn factors(self) -> &'static [Factor] {
        match self {
            Self::BirthDate => &[Factor::BirthDate],
            Self::Mrn => &[Factor::Mrn],
            Self::StaffPin => &[Factor::StaffNumber, Factor::Pin],
            Self::Code => &[Factor::Code],
        }
    }
}

/// What a hospital asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerificationRules {
    /// Of who works there, for level 2. Nobody can show it where these are empty.
    pub staff: Vec<Evidence>,
    /// Of patients and proxies, for level 2.
    pub patients: Vec<Evidence>,
}

impl VerificationRules {
    /// What shows this level; empty where nothing does.
    pub fn asks(&self, level: Level, role: Option<Role>) -> Vec<Factor> {
        let proofs = match role {
            Some(Role::Clinician | Role::Staff) => &self.staff,
            Some(Role::Patient) | None => &self.patients,
        };
        match level {
            Level::Confirmed => vec![Factor::Pin],
            Level::Verified => {
                let mut proofs = proofs.clone();
                // While the others are asked for it is on its way.
                proofs.sort_by_key(|proof| *proof == Evidence::Code);
                proofs.iter().flat_map(|p| p.factors()).copied().collect()
            }
            Level::Hint | Level::CalledBack => Vec::new(),
        }
    }
}

/// How often somebody may try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationLimits {
    /// Wrong answers of one contact. Default 3.
    pub per_contact: u8,
    /// Wrong answers that name one person, within [`Self::person_for`]. Default 6.
    pub per_person: u8,
    /// Default a day.
    pub person_for: Duration,
    /// Wrong answers from one calling number, within [`Self::number_for`]. Default 6.
    pub per_number: u8,
    /// Default an hour.
    pub number_for: Duration,
    /// Persons, and numbers, of one hospital that are remembered. Default 16,384.
    pub remembered_max: usize,
}

impl Default for VerificationLimits {
    fn default() -> Self {
        Self {
            per_contact: 3,
            per_person: 6,
            person_for: Duration::from_secs(86_400),
            per_number: 6,
            number_for: Duration::from_secs(3_600),
            remembered_max: 16_384,
        }
    }
}

/// How somebody has shown who they are, or tried to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By PIN.
    Pin,
    /// By the hospital's factors.
    Factors,
    /// By the hospital's factors, a code sent to the contact of record among them.
    FactorsAndCode,
}

impl Method {
    /// What these answers are.
    pub fn of(asked: &[Factor]) -> Self {
        match asked {
            [Factor::Pin] => Self::Pin,
            asked if asked.contains(&Factor::Code) => Self::FactorsAndCode,
            _ => Self::Factors,
        }
    }
}

/// Somebody has compared what a contact's caller has keyed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Which question of the calls'; echoed in the answer.
    pub id: CommandId,
    /// The hospital.
    pub tenant: TenantId,
    /// Whose caller.
    pub contact: ContactId,
    /// Wall clock, Unix milliseconds.
    pub at: i64,
    /// What came of it; `None`: it couldn't be compared.
    pub outcome: Option<CheckOutcome>,
}

/// What came of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckOutcome {
    /// Of whom it was: by the number that identifies them, else by where the call comes from.
    pub person: Option<PersonId>,
    /// All of it is theirs.
    pub fits: bool,
}

/// What the desk says to somebody who is to show who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerifyReply {
    /// Ask for these.
    Ask {
        /// What, in this order.
        factors: Vec<Factor>,
        /// Who it may be, by the calling number.
        hint: Option<PersonId>,
    },
    /// They are, and it is on disk.
    Verified {
        /// How sure.
        level: Level,
        /// Who, as they may be shown now; `None` where the level hangs on a ticket alone.
        who: Option<(Caller, PersonKey)>,
    },
    /// That wasn't right: they may try again.
    Again,
    /// They have tried too often: a person takes over.
    Locked,
    /// It can't be shown now, or not at all here: a person takes over.
    Unavailable,
}

/// By what the hospital's own systems know somebody ([`crate::people::Origin`]). Personal data.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonKey(pub String);

impl std::fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_which_level() {
        let rules = VerificationRules {
            staff: vec![Evidence::StaffPin, Evidence::BirthDate],
            patients: vec![Evidence::Code, Evidence::Mrn],
        };
        let check = |level, role, expected: &[Factor]| {
            assert_eq!(rules.asks(level, role), expected, "{level:?} {role:?}");
        };
        let staff = [Factor::StaffNumber, Factor::Pin, Factor::BirthDate];
        check(Level::Verified, Some(Role::Clinician), &staff);
        check(Level::Verified, Some(Role::Staff), &staff);
        check(Level::Verified, None, &[Factor::Mrn, Factor::Code]);
        check(Level::Confirmed, None, &[Factor::Pin]);
        check(Level::CalledBack, Some(Role::Staff), &[]);
        assert_eq!(
            Method::of(&[Factor::Mrn, Factor::Code]),
            Method::FactorsAndCode
        );
        assert_eq!(Method::of(&staff), Method::Factors);
        assert_eq!(Method::of(&[Factor::Pin]), Method::Pin);
    }
}
