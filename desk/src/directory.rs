//! Who calls from which number: the people and places of one hospital.
//!
//! A calling number is a routing hint and never proof. A number that several
//! people share says nothing about who is calling; that is normal. But a mobile
//! telephone of somebody who works here, which is a patient's number too, is
//! theirs as who works here: most often they are that patient, and of a patient
//! nothing is said.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::Found;
use crate::message::{Caller, PersonId, PhoneNumber, Role};
use crate::people::{
    Kind, Level, Number, NumberKind, Origin, Profile, Record, Traits, Viewer, shown,
};
use crate::verification::PersonKey;

/// The source of those whom the hospital's file names.
pub const FILE: &str = "file";

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
    profiles: HashMap<PersonId, Arc<Profile>>,
    by_number: HashMap<NumberKey, Whose>,
}

/// Whose a number is, whatever the order in which they claim it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Theirs alone.
    One(Claim),
    /// Several patients'.
    Patients,
    /// The mobile telephone of somebody who works here, and patients' besides.
    Own(PersonId),
    /// Several people's.
    Several,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    person: PersonId,
    patient: bool,
    /// Works here, and carries this telephone alone.
    own: bool,
}

impl Whose {
    fn and(self, claim: Claim) -> Self {
        let person = claim.person;
        match self {
            Self::One(first) if first.person == person => Self::One(Claim {
                own: first.own || claim.own,
                ..first
            }),
            Self::One(first) if first.own && claim.patient => Self::Own(first.person),
            Self::One(first) if first.patient && claim.patient => Self::Patients,
            Self::One(first) if first.patient && claim.own => Self::Own(person),
            Self::Patients if claim.patient => Self::Patients,
            Self::Patients if claim.own => Self::Own(person),
            Self::Own(owner) if claim.patient || owner == person => self,
            _ => Self::Several,
        }
    }
}

/// A number in its one form: up to 15 digits (E.164) below a leading 1 for
/// numbers of the public network, below a leading 2 for internal ones, so
/// that leading zeros count and no look-up allocates.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NumberKey(u64);

/// Personal, like the number itself.
impl std::fmt::Debug for NumberKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NumberKey(…)")
    }
}

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
        let mut directory = Self::with_room(rule, people.len() + places.len());
        let people = people.into_iter().map(|person| {
            let record = Record::new(
                Kind::of(person.role),
                person.display_name,
                person.spoken_name,
            );
            (person.id, record, person.numbers)
        });
        let places = places.into_iter().map(|place| {
            let record = Record::new(Kind::Place { site: None }, place.name.clone(), place.name);
            (place.id, record, place.numbers)
        });
        for (id, mut record, numbers) in people.chain(places) {
            let other = |number| Number {
                number,
                kind: NumberKind::Other,
                shared: false,
                of_record_since: None,
            };
            record.numbers = numbers.into_iter().map(other).collect();
            let origin = Origin {
                source: FILE.to_owned(),
                external: id.0.to_string(),
            };
            let profile = Profile {
                id,
                version: 1,
                origin,
                record,
            };
            if !directory.insert(Arc::new(profile))? {
                return Err(DirectoryFault::UnusableNumber(id));
            }
        }
        Ok(directory)
    }

    fn with_room(rule: NumberRule, people: usize) -> Self {
        Self {
            rule,
            profiles: HashMap::with_capacity(people),
            by_number: HashMap::with_capacity(people),
        }
    }

    /// Adds profiles that come from elsewhere. A number of theirs that isn't one
    /// here any more (the rule has changed since) finds nobody.
    ///
    /// # Errors
    ///
    /// An id used twice.
    pub fn extend(
        &mut self,
        profiles: impl IntoIterator<Item = Arc<Profile>>,
    ) -> Result<(), DirectoryFault> {
        for profile in profiles {
            self.insert(profile)?;
        }
        Ok(())
    }

    /// How many people and places there are.
    pub fn len(&self) -> usize {
        self.profiles.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty()
    }

    /// Whether all of its numbers could be read.
    fn insert(&mut self, profile: Arc<Profile>) -> Result<bool, DirectoryFault> {
        let (person, record) = (profile.id, &profile.record);
        let mut usable = true;
        if self.profiles.contains_key(&person) {
            return Err(DirectoryFault::DuplicateId(person));
        }
        for number in &record.numbers {
            let Some(key) = self.rule.key(&number.number) else {
                usable = false;
                continue;
            };
            let claim = Claim {
                person,
                patient: record.kind.role() == Some(Role::Patient),
                own: record.kind.is_working() && number.kind == NumberKind::Mobile,
            };
            let whose = match self.by_number.get(&key) {
                _ if number.shared => Whose::Several,
                Some(whose) => whose.and(claim),
                None => Whose::One(claim),
            };
            self.by_number.insert(key, whose);
        }
        self.profiles.insert(person, profile);
        Ok(usable)
    }

    /// Who calls from this number? Anything that isn't a usable number, or
    /// isn't one person's, is [`Found::Unknown`].
    pub fn find(&self, ani: Option<&PhoneNumber>) -> Found {
        let whose = ani
            .and_then(|number| self.rule.key(number))
            .and_then(|key| self.by_number.get(&key));
        let person = match whose {
            Some(Whose::One(Claim { person, .. }) | Whose::Own(person)) => *person,
            Some(Whose::Patients | Whose::Several) | None => return Found::Unknown,
        };
        match self.profiles.get(&person).map(|p| p.record.kind.role()) {
            Some(None) => Found::Place { person },
            Some(Some(Role::Patient)) => Found::PossiblePatient { person },
            Some(Some(role)) => Found::Person { person, role },
            None => Found::Unknown,
        }
    }

    /// What was found, with what may be used of it at level 0. Unknown when
    /// the directory has changed and the person is gone.
    pub fn caller(&self, found: Found) -> Caller {
        let profile = |person| Some(&self.profiles.get(&person)?.record);
        let named = |record, to| shown(record, Level::Hint, to).name.map(str::to_owned);
        let agent = Viewer::Agent { cleared: false };
        match found {
            Found::Unknown => Caller::Unknown,
            Found::PossiblePatient { person } => Caller::PossiblePatient {
                person,
                traits: profile(person)
                    .filter(|record| record.kind.role() == Some(Role::Patient))
                    .map(Traits::of)
                    .unwrap_or_default(),
            },
            Found::Person { person, role } => match profile(person) {
                Some(record) if record.kind.role() == Some(role) && role != Role::Patient => {
                    Caller::Person {
                        person,
                        role,
                        spoken_name: named(record, Viewer::Caller),
                        display_name: named(record, agent),
                        traits: Traits::of(record),
                    }
                }
                _ => Caller::Unknown,
            },
            Found::Place { person } => match profile(person) {
                Some(record) if record.kind.role().is_none() => Caller::Place {
                    place: person,
                    name: named(record, Viewer::Caller).unwrap_or_default(),
                },
                _ => Caller::Unknown,
            },
        }
    }
}

impl Directory {
    /// Is there such a person still?
    pub(crate) fn knows(&self, person: PersonId) -> bool {
        self.profiles.contains_key(&person)
    }

    /// Somebody who has shown who they are, as they may be shown at that level,
    /// and by what the hospital's own systems know them.
    pub(crate) fn verified(&self, person: PersonId, level: Level) -> Option<(Caller, PersonKey)> {
        let profile = self.profiles.get(&person)?;
        let record = &profile.record;
        let named = |to| shown(record, level, to).name.map(str::to_owned);
        let caller = Caller::Person {
            person,
            role: record.kind.role()?,
            spoken_name: named(Viewer::Caller),
            display_name: named(Viewer::Agent { cleared: false }),
            traits: Traits::of(record),
        };
        Some((caller, PersonKey(profile.origin.external.clone())))
    }

    /// The one form of a calling number, for comparing it with another.
    pub(crate) fn key(&self, number: &PhoneNumber) -> Option<NumberKey> {
        self.rule.key(number)
    }

    /// Is it known not to be one person's: a place's, or several people's?
    pub(crate) fn is_shared(&self, key: NumberKey) -> bool {
        match self.by_number.get(&key) {
            Some(Whose::One(claim)) => {
                let profile = self.profiles.get(&claim.person);
                profile.is_some_and(|profile| profile.record.kind.role().is_none())
            }
            Some(Whose::Patients | Whose::Own(_) | Whose::Several) => true,
            None => false,
        }
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
    pub(crate) fn key(&self, number: &PhoneNumber) -> Option<NumberKey> {
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
                person: PersonId(3),
                traits: Traits::default(),
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

    fn known(id: u32, kind: Kind, numbers: &[(&str, NumberKind, bool)]) -> Arc<Profile> {
        let mut record = Record::new(kind, format!("Name {id}"), format!("Spoken {id}"));
        record.numbers = numbers
            .iter()
            .map(|(text, kind, shared)| Number {
                number: number(text),
                kind: *kind,
                shared: *shared,
                of_record_since: None,
            })
            .collect();
        Arc::new(Profile {
            id: PersonId(id),
            version: 1,
            origin: Origin {
                source: "hr".into(),
                external: id.to_string(),
            },
            record,
        })
    }

    #[test]
    fn whose_a_number_is_does_not_depend_on_the_order() {
        use NumberKind::{Desk, Mobile};
        let mobile = |id, kind| known(id, kind, &[("+15550170001", Mobile, false)]);
        let (works, too) = (
            mobile(1, Kind::of(Role::Clinician)),
            mobile(2, Kind::of(Role::Staff)),
        );
        let (patient, child) = (mobile(3, Kind::Patient), mobile(4, Kind::Patient));
        let desk = known(5, Kind::of(Role::Staff), &[("+15550170001", Desk, false)]);
        let shared = known(
            6,
            Kind::of(Role::Clinician),
            &[("+15550170001", Mobile, true)],
        );
        let her = Found::Person {
            person: PersonId(1),
            role: Role::Clinician,
        };
        let perhaps = Found::PossiblePatient {
            person: PersonId(3),
        };
        let check = |profiles: &[&Arc<Profile>], expected: Found| {
            let mut order: Vec<_> = profiles.iter().map(|p| Arc::clone(p)).collect();
            for _ in 0..order.len() {
                order.rotate_left(1);
                for _ in 0..2 {
                    order.reverse();
                    let mut directory = Directory::default();
                    directory.extend(order.iter().cloned()).unwrap();
                    assert_eq!(directory.len(), order.len());
                    let found = directory.find(Some(&number("+1 555 017 0001")));
                    assert_eq!(found, expected, "{order:?}");
                }
            }
        };
        check(&[&works], her);
        check(&[&patient], perhaps);
        // She is a patient here, too, or her child is.
        check(&[&works, &patient], her);
        check(&[&works, &patient, &child], her);
        check(&[&patient, &child], Found::Unknown);
        check(&[&works, &too], Found::Unknown);
        check(&[&works, &too, &patient], Found::Unknown);
        check(&[&desk, &patient], Found::Unknown);
        check(&[&works, &desk], Found::Unknown);
        check(&[&shared], Found::Unknown);
        check(&[&shared, &works, &patient], Found::Unknown);
    }

    #[test]
    fn what_is_said_of_who_works_here_and_is_a_patient_is_the_one() {
        let mut directory = Directory::default();
        let number = [("+15550170001", NumberKind::Mobile, false)];
        let profiles = [
            known(1, Kind::of(Role::Clinician), &number),
            known(2, Kind::Patient, &number),
        ];
        directory.extend(profiles).unwrap();
        let found = directory.find(Some(&PhoneNumber("+15550170001".into())));
        let Caller::Person { spoken_name, .. } = directory.caller(found) else {
            panic!("she works here");
        };
        assert_eq!(spoken_name.as_deref(), Some("Spoken 1"));
    }

    #[test]
    fn a_number_that_is_none_any_more_keeps_nobody_out() {
        let mut directory = Directory::default();
        let odd = known(1, Kind::Patient, &[("no number", NumberKind::Home, false)]);
        directory.extend([odd.clone()]).unwrap();
        assert_eq!(
            directory.extend([odd]),
            Err(DirectoryFault::DuplicateId(PersonId(1)))
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
