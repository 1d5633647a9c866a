//! Who calls from which number: the people and places of one hospital.
//!
//! A calling number is a routing hint and never proof. A number that several
//! people share says nothing about who is calling; that is normal.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::event::Found;
use crate::message::{Caller, PersonId, PhoneNumber, Role};

/// Somebody the hospital knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRecord {
    /// Unique within the tenant, places included.
    pub id: PersonId,
    /// What they are. Who is staff and patient has two records.
    pub role: Role,
    /// How they are greeted, e.g. "Doctor Okafor".
    pub spoken_name: String,
    /// How they are shown.
    pub display_name: String,
    /// From where they call.
    pub numbers: Vec<PhoneNumber>,
}

/// A location line: theatre, ICU, ED, a ward's telephone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceRecord {
    /// Unique within the tenant, people included.
    pub id: PersonId,
    /// How it is spoken and shown, e.g. "Theatre 2".
    pub name: String,
    /// Its numbers.
    pub numbers: Vec<PhoneNumber>,
}

/// How numbers are written where the hospital is, so that `+1 503 555 0101`,
/// `1 503 555 0101` and `503 555 0101` are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberRule {
    /// Digits, e.g. `1` or `49`.
    pub country_code: String,
    /// Dialled before a national number, e.g. `1` in North America, `0` in most of Europe, empty in Spain.
    pub trunk_prefix: String,
    /// Dialled before an international number, e.g. `011` or `00`.
    pub international_prefix: String,
    /// How long a national number is where all are equally long (10 in North America); `None` elsewhere.
    pub national_digits: Option<u8>,
    /// Numbers up to this length are internal extensions.
    pub extension_digits_max: u8,
}

impl Default for NumberRule {
    /// The North American numbering plan, extensions of up to six digits.
    fn default() -> Self {
        Self {
            country_code: "1".into(),
            trunk_prefix: "1".into(),
            international_prefix: "011".into(),
            national_digits: Some(10),
            extension_digits_max: 6,
        }
    }
}

/// Why a directory can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryFault {
    /// Two records have one id.
    #[error("id {} is given twice", .0 .0)]
    DuplicateId(PersonId),
    /// A record's number isn't a telephone number.
    #[error("a number of {} is not a telephone number", .0 .0)]
    UnusableNumber(PersonId),
    /// The rule's prefixes aren't digits, or too long.
    #[error("the rule for writing numbers holds something else than a few digits")]
    UnusableRule,
}

/// The people and places of one tenant, by number.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    rule: NumberRule,
    entries: HashMap<PersonId, Record>,
    by_number: HashMap<NumberKey, Whose>,
}

#[derive(Debug, Clone)]
enum Record {
    Person {
        role: Role,
        spoken_name: String,
        display_name: String,
    },
    Place {
        name: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    One(PersonId),
    Several,
}

/// A number in its one form: up to 15 digits (E.164) below a leading 1 for
/// numbers of the public network, below a leading 2 for internal ones, so
/// that leading zeros count and no look-up allocates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NumberKey(u64);

const DIGITS_MAX: usize = 15;

impl Directory {
    /// Builds the look-up.
    ///
    /// # Errors
    ///
    /// An id used twice, a number or a prefix that can't be one: the
    /// administrator's slip is told rather than guessed at.
    pub fn new(
        rule: NumberRule,
        people: Vec<PersonRecord>,
        places: Vec<PlaceRecord>,
    ) -> Result<Self, DirectoryFault> {
        if !rule.is_usable() {
            return Err(DirectoryFault::UnusableRule);
        }
        let mut directory = Self {
            rule,
            entries: HashMap::with_capacity(people.len() + places.len()),
            by_number: HashMap::new(),
        };
        for person in people {
            directory.insert(
                person.id,
                Record::Person {
                    role: person.role,
                    spoken_name: person.spoken_name,
                    display_name: person.display_name,
                },
                &person.numbers,
            )?;
        }
        for place in places {
            directory.insert(place.id, Record::Place { name: place.name }, &place.numbers)?;
        }
        Ok(directory)
    }

    fn insert(
        &mut self,
        id: PersonId,
        record: Record,
        numbers: &[PhoneNumber],
    ) -> Result<(), DirectoryFault> {
        match self.entries.entry(id) {
            Entry::Occupied(_) => return Err(DirectoryFault::DuplicateId(id)),
            Entry::Vacant(entry) => entry.insert(record),
        };
        for number in numbers {
            let key = self
                .rule
                .key(number)
                .ok_or(DirectoryFault::UnusableNumber(id))?;
            self.by_number
                .entry(key)
                .and_modify(|whose| {
                    if *whose != Whose::One(id) {
                        *whose = Whose::Several;
                    }
                })
                .or_insert(Whose::One(id));
        }
        Ok(())
    }

    /// Who calls from this number? Anything that isn't a usable number, or
    /// isn't one person's, is [`Found::Unknown`].
    pub fn find(&self, ani: Option<&PhoneNumber>) -> Found {
        let whose = ani
            .and_then(|number| self.rule.key(number))
            .and_then(|key| self.by_number.get(&key));
        let Some(&Whose::One(person)) = whose else {
            return Found::Unknown;
        };
        match self.entries.get(&person) {
            Some(Record::Place { .. }) => Found::Place { person },
            Some(Record::Person {
                role: Role::Patient,
                ..
            }) => Found::PossiblePatient { person },
            Some(&Record::Person { role, .. }) => Found::Person { person, role },
            None => Found::Unknown,
        }
    }

    /// What was found, with the names that may be used. Unknown when the
    /// directory has changed and the person is gone.
    pub fn caller(&self, found: Found) -> Caller {
        match found {
            Found::Unknown => Caller::Unknown,
            Found::PossiblePatient { person } => Caller::PossiblePatient { person },
            Found::Person { person, role } => match self.entries.get(&person) {
                Some(Record::Person {
                    role: now,
                    spoken_name,
                    display_name,
                }) if *now == role => Caller::Person {
                    person,
                    role,
                    spoken_name: spoken_name.clone(),
                    display_name: display_name.clone(),
                },
                _ => Caller::Unknown,
            },
            Found::Place { person } => match self.entries.get(&person) {
                Some(Record::Place { name }) => Caller::Place {
                    place: person,
                    name: name.clone(),
                },
                _ => Caller::Unknown,
            },
        }
    }
}

impl Directory {
    /// The one form of a calling number, for comparing it with another.
    pub(crate) fn key(&self, number: &PhoneNumber) -> Option<NumberKey> {
        self.rule.key(number)
    }
}

impl NumberRule {
    /// Whether its prefixes are a few digits each.
    pub fn is_usable(&self) -> bool {
        let prefixes = [
            &self.country_code,
            &self.trunk_prefix,
            &self.international_prefix,
        ];
        prefixes
            .iter()
            .all(|p| p.len() <= 5 && p.bytes().all(|b| b.is_ascii_digit()))
    }

    /// Whether this is a telephone number.
    pub fn takes(&self, number: &PhoneNumber) -> bool {
        self.key(number).is_some()
    }

    /// The one form of a number, however it is written; `None` if it is none.
    fn key(&self, number: &PhoneNumber) -> Option<NumberKey> {
        let text = number.0.trim();
        let (plus, text) = match text.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut digits = Digits::default();
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => digits.push(byte)?,
                b' ' | b'-' | b'.' | b'/' | b'(' | b')' => {}
                _ => return None,
            }
        }
        let digits = digits.as_slice();
        if digits.is_empty() {
            return None;
        }
        if plus {
            // A trunk zero in brackets, +44 (0)20 …, is a habit, not a digit.
            return NumberKey::public(b"", digits);
        }
        if digits.len() <= usize::from(self.extension_digits_max) {
            return NumberKey::new(2, b"", digits);
        }
        let country = self.country_code.as_bytes();
        if let Some(rest) = strip(digits, &self.international_prefix) {
            return NumberKey::public(b"", rest);
        }
        match self.national_digits.map(usize::from) {
            Some(national) => {
                if digits.len() == national {
                    return NumberKey::public(country, digits);
                }
                if let Some(rest) = strip(digits, &self.country_code)
                    && rest.len() == national
                {
                    return NumberKey::public(country, rest);
                }
                if let Some(rest) = strip(digits, &self.trunk_prefix)
                    && rest.len() == national
                {
                    return NumberKey::public(country, rest);
                }
                // A trunk that writes foreign numbers without the plus.
                NumberKey::public(b"", digits)
            }
            None => match strip(digits, &self.trunk_prefix) {
                Some(rest) => NumberKey::public(country, rest),
                // Where national numbers carry a trunk prefix, one without it
                // is an international number that lost its plus.
                None if !self.trunk_prefix.is_empty() => NumberKey::public(b"", digits),
                None => match strip(digits, &self.country_code) {
                    Some(rest) => NumberKey::public(country, rest),
                    None => NumberKey::public(country, digits),
                },
            },
        }
    }
}

/// The rest after a prefix that isn't empty.
fn strip<'a>(digits: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    if prefix.is_empty() {
        return None;
    }
    digits.strip_prefix(prefix.as_bytes())
}

#[derive(Default)]
struct Digits {
    // An international prefix may come before fifteen digits.
    bytes: [u8; DIGITS_MAX + 5],
    len: usize,
}

impl Digits {
    fn push(&mut self, digit: u8) -> Option<()> {
        *self.bytes.get_mut(self.len)? = digit;
        self.len += 1;
        Some(())
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl NumberKey {
    fn public(country: &[u8], digits: &[u8]) -> Option<Self> {
        Self::new(1, country, digits)
    }

    fn new(kind: u64, country: &[u8], digits: &[u8]) -> Option<Self> {
        if digits.is_empty() || country.len() + digits.len() > DIGITS_MAX {
            return None;
        }
        let value = country
            .iter()
            .chain(digits)
            .fold(kind, |value, digit| value * 10 + u64::from(digit - b'0'));
        Some(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber(text.into())
    }

    fn person(id: u32, role: Role, name: &str, numbers: &[&str]) -> PersonRecord {
        PersonRecord {
            id: PersonId(id),
            role,
            spoken_name: name.into(),
            display_name: format!("{name} (display)"),
            numbers: numbers.iter().copied().map(number).collect(),
        }
    }

    fn place(id: u32, name: &str, numbers: &[&str]) -> PlaceRecord {
        PlaceRecord {
            id: PersonId(id),
            name: name.into(),
            numbers: numbers.iter().copied().map(number).collect(),
        }
    }

    fn directory() -> Directory {
        Directory::new(
            NumberRule::default(),
            vec![
                person(
                    1,
                    Role::Clinician,
                    "Doctor Okafor",
                    &["+1 503 555 0101", "4711"],
                ),
                person(
                    2,
                    Role::Staff,
                    "Sam Lindqvist",
                    &["+15035550102", "503-555-0109"],
                ),
                person(3, Role::Patient, "Rosa Iglesias", &["+15035550103"]),
                // The same person twice, and a flat shared by two.
                person(4, Role::Staff, "Ana Reyes", &["5035550104", "+15035550105"]),
                person(5, Role::Patient, "Ana Reyes", &["+15035550105"]),
                person(
                    6,
                    Role::Staff,
                    "Kim Ode",
                    &["5035550106", "+1 (503) 555-0106"],
                ),
            ],
            vec![
                place(20, "Theatre 2", &["2001"]),
                place(21, "Ward 5", &["2002"]),
            ],
        )
        .unwrap()
    }

    fn check(ani: &str, expected: Found) {
        assert_eq!(directory().find(Some(&number(ani))), expected, "{ani}");
    }

    #[test]
    fn one_number_however_written() {
        let okafor = Found::Person {
            person: PersonId(1),
            role: Role::Clinician,
        };
        for ani in [
            "+15035550101",
            "15035550101",
            "5035550101",
            "(503) 555-0101",
            "503.555.0101",
            "01115035550101",
            " +1 503 555 0101 ",
            "4711",
        ] {
            check(ani, okafor);
        }
    }

    #[test]
    fn who_is_found() {
        check(
            "+15035550102",
            Found::Person {
                person: PersonId(2),
                role: Role::Staff,
            },
        );
        check(
            "+15035550109",
            Found::Person {
                person: PersonId(2),
                role: Role::Staff,
            },
        );
        check(
            "+15035550103",
            Found::PossiblePatient {
                person: PersonId(3),
            },
        );
        check(
            "+15035550106",
            Found::Person {
                person: PersonId(6),
                role: Role::Staff,
            },
        );
        check(
            "2001",
            Found::Place {
                person: PersonId(20),
            },
        );
    }

    #[test]
    fn who_is_not() {
        for ani in [
            // Shared by two profiles.
            "+15035550105",
            // Nobody's, or foreign with the same last digits.
            "+15035550199",
            "+445035550101",
            "04711",
            "2003",
            // No numbers at all.
            "",
            "+",
            "anonymous",
            "+1503555010a",
            "5035550101;ext=3",
            "99999999999999999999999999999999999999",
            "٥٠٣",
        ] {
            check(ani, Found::Unknown);
        }
        assert_eq!(directory().find(None), Found::Unknown);
    }

    #[test]
    fn a_patient_is_never_named() {
        let directory = directory();
        assert_eq!(
            directory.caller(Found::PossiblePatient {
                person: PersonId(3)
            }),
            Caller::PossiblePatient {
                person: PersonId(3)
            }
        );
        // Nor by a reference that says the patient were staff.
        assert_eq!(
            directory.caller(Found::Person {
                person: PersonId(3),
                role: Role::Staff
            }),
            Caller::Unknown
        );
        assert_eq!(
            directory.caller(Found::Place {
                person: PersonId(3)
            }),
            Caller::Unknown
        );
    }

    #[test]
    fn tenants_with_equal_numbers_do_not_mix() {
        let other = Directory::new(
            NumberRule::default(),
            vec![person(9, Role::Patient, "Doctor Okafor", &["+15035550101"])],
            vec![],
        )
        .unwrap();
        let ani = number("+15035550101");
        assert_eq!(
            other.find(Some(&ani)),
            Found::PossiblePatient {
                person: PersonId(9)
            }
        );
        let found = directory().find(Some(&ani));
        assert_eq!(
            found,
            Found::Person {
                person: PersonId(1),
                role: Role::Clinician
            }
        );
        assert_eq!(other.caller(found), Caller::Unknown);
    }

    #[test]
    fn other_countries() {
        let europe = |country: &str, trunk: &str| NumberRule {
            country_code: country.into(),
            trunk_prefix: trunk.into(),
            international_prefix: "00".into(),
            national_digits: None,
            extension_digits_max: 4,
        };
        let same = |rule: &NumberRule, forms: &[&str]| {
            let keys: Vec<_> = forms
                .iter()
                .map(|f| rule.key(&number(f)).unwrap())
                .collect();
            assert!(keys.windows(2).all(|k| k[0] == k[1]), "{forms:?}");
        };
        same(
            &europe("49", "0"),
            &[
                "+49 30 5550101",
                "0049305550101",
                "030 5550101",
                "49305550101",
            ],
        );
        same(
            &europe("34", ""),
            &["+34915550101", "915550101", "34915550101"],
        );
    }

    #[test]
    fn slips_are_told() {
        let build = |people, places| Directory::new(NumberRule::default(), people, places).err();
        assert_eq!(
            build(
                vec![person(1, Role::Staff, "A", &[])],
                vec![place(1, "B", &[])]
            ),
            Some(DirectoryFault::DuplicateId(PersonId(1)))
        );
        assert_eq!(
            build(vec![person(1, Role::Staff, "A", &["x"])], vec![]),
            Some(DirectoryFault::UnusableNumber(PersonId(1)))
        );
        let rule = NumberRule {
            country_code: "+1".into(),
            ..NumberRule::default()
        };
        assert_eq!(
            Directory::new(rule, vec![], vec![]).err(),
            Some(DirectoryFault::UnusableRule)
        );
    }
}
