//! A person or a place, as their source tells of them.

use serde::{Deserialize, Serialize};

use super::Availability;
use crate::message::{PersonId, PhoneNumber, Role};

/// Where a profile comes from, and what it is called there. The two are what
/// an import knows it by; names never are.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The source, by the administrator's name for it, e.g. `hr`.
    pub source: String,
    /// The source's own key, e.g. a staff number. Personal data.
    pub external: String,
}

/// Somebody or some place that the hospital knows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Unique within the hospital, never given to anybody else.
    pub id: PersonId,
    /// Counts from 1; each change is another.
    pub version: u32,
    /// Who tells of them.
    pub origin: Origin,
    /// What is told.
    pub record: Record,
}

/// What a source tells of somebody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What they are.
    pub kind: Kind,
    /// How they are shown, e.g. "Dr. Ada Okafor".
    pub name: String,
    /// How they are greeted, e.g. "Doctor Okafor".
    pub spoken: String,
    /// How they are reached, and from where they call.
    pub numbers: Vec<Number>,
    /// What they speak.
    pub language: Option<Tongue>,
    /// How fast they are spoken to.
    pub pace: Pace,
    /// They call through a relay service or a TTY: never hurried, never turned
    /// away as silent.
    pub relay: bool,
    /// When they can be called; unknown if absent.
    pub availability: Option<Availability>,
    /// What an analyst should know of their device.
    pub device: Option<String>,
    /// They call often, and somebody should ask why. For care, never for refusal.
    pub frequent: bool,
    /// Who may know that it is them.
    pub protection: Protection,
}

/// What somebody is to the hospital.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Doctors, nurses, pharmacists: people who treat patients.
    Clinician {
        /// E.g. "Cardiology".
        speciality: Option<String>,
    },
    /// Everybody else who works there.
    Staff {
        /// What they do or where, e.g. "Admissions".
        speciality: Option<String>,
    },
    /// A patient.
    Patient,
    /// Somebody who may speak for a patient.
    Proxy(Proxy),
    /// A location line: theatre, ICU, ED, a ward's telephone.
    Place {
        /// The building or site, e.g. "North campus".
        site: Option<String>,
    },
}

/// For whom somebody may speak, about what, and until when.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// The patient, by the key of the same source.
    pub patient: String,
    /// About what.
    pub scope: Vec<Scope>,
    /// Until when, Unix milliseconds; `None`: until somebody ends it.
    pub until: Option<i64>,
    /// A court has forbidden it, whatever else is written.
    pub blocked: bool,
}

words! {
    /// What a proxy may speak about.
    Scope {
        /// How the patient's tickets stand.
        Tickets = "tickets",
        /// The patient's portal account.
        Account = "account",
    }
}

impl Proxy {
    /// May they speak about this at that moment (Unix milliseconds)?
    #[must_use]
    pub fn may(&self, scope: Scope, wall: i64) -> bool {
        !self.blocked && self.until.is_none_or(|until| wall < until) && self.scope.contains(&scope)
    }
}

/// One of somebody's numbers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// As the source writes it.
    pub number: PhoneNumber,
    /// What is at its end.
    pub kind: NumberKind,
    /// Others use it too: it says nothing about who is calling.
    pub shared: bool,
    /// It is the number of record, unchanged since then (Unix milliseconds):
    /// what level 3 calls back. At most one of somebody's numbers is.
    pub of_record_since: Option<i64>,
}

words! {
    /// What is at the end of a number.
    NumberKind {
        /// A mobile telephone that one person carries.
        Mobile = "mobile",
        /// A telephone on a desk.
        Desk = "desk",
        /// A pager: it can be called, and never answers.
        Pager = "pager",
        /// A telephone at home.
        Home = "home",
        /// Not told.
        Other = "other",
    }
}

words! {
    /// How fast somebody is spoken to.
    Pace {
        /// As the flow does.
        Standard = "standard",
        /// Slowly, with long waits.
        Slow = "slow",
    }
}

/// A language, by its two small letters (ISO 639-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tongue([u8; 2]);

impl Tongue {
    /// Reads a language tag (BCP 47) as far as a voice is concerned: `es`, `ES`, `es-MX`.
    pub fn read(tag: &str) -> Option<Self> {
        let first = tag.split(['-', '_']).next()?;
        match *first.to_ascii_lowercase().as_bytes() {
            [a, b] if a.is_ascii_lowercase() && b.is_ascii_lowercase() => Some(Self([a, b])),
            _ => None,
        }
    }

    /// Its two letters.
    pub fn tag(&self) -> &str {
        // Only ASCII letters are ever taken.
        std::str::from_utf8(&self.0).unwrap_or("en")
    }
}

impl TryFrom<String> for Tongue {
    type Error = &'static str;

    fn try_from(tag: String) -> Result<Self, Self::Error> {
        Self::read(&tag).ok_or("not a language")
    }
}

impl From<Tongue> for String {
    fn from(tongue: Tongue) -> Self {
        tongue.tag().to_owned()
    }
}

/// Who may know that somebody is who they are.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Everybody who works on their calls.
    #[default]
    Open,
    /// A known face, an employee who is a patient, somebody who is threatened:
    /// only those who are cleared for it.
    Restricted,
    /// The same, and the others see another name.
    Alias {
        /// How they are shown.
        name: String,
        /// How they are greeted.
        spoken: String,
    },
}

impl Record {
    /// What is known of somebody by no more than what they are and are called.
    pub fn new(kind: Kind, name: impl Into<String>, spoken: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            spoken: spoken.into(),
            numbers: Vec::new(),
            language: None,
            pace: Pace::Standard,
            relay: false,
            availability: None,
            device: None,
            frequent: false,
            protection: Protection::Open,
        }
    }

    /// The number of record, and since when it is unchanged (Unix milliseconds).
    pub fn of_record(&self) -> Option<(&Number, i64)> {
        let mut numbers = self.numbers.iter();
        numbers.find_map(|number| Some((number, number.of_record_since?)))
    }
}

impl Kind {
    /// What they are by their role; a place has none.
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Clinician { .. } => Some(Role::Clinician),
            Self::Staff { .. } => Some(Role::Staff),
            Self::Patient | Self::Proxy(_) => Some(Role::Patient),
            Self::Place { .. } => None,
        }
    }

    /// Somebody of this role of whom no more is known.
    pub fn of(role: Role) -> Self {
        match role {
            Role::Clinician => Self::Clinician { speciality: None },
            Role::Staff => Self::Staff { speciality: None },
            Role::Patient => Self::Patient,
        }
    }

    /// The word by which files name it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Clinician { .. } => "clinician",
            Self::Staff { .. } => "staff",
            Self::Patient => "patient",
            Self::Proxy(_) => "proxy",
            Self::Place { .. } => "place",
        }
    }

    /// What they do, or where it is.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Clinician { speciality } | Self::Staff { speciality } => speciality.as_deref(),
            Self::Place { site } => site.as_deref(),
            Self::Patient | Self::Proxy(_) => None,
        }
    }

    /// Works at the hospital.
    pub(crate) fn is_working(&self) -> bool {
        matches!(self, Self::Clinician { .. } | Self::Staff { .. })
    }
}

words! {
    /// A part of a record, as reports of changes name it.
    Field {
        /// What they are, and a proxy's rights.
        Kind = "role",
        /// What they do, or where it is.
        Detail = "speciality",
        /// The name that is shown.
        Name = "name",
        /// The name that is spoken.
        Spoken = "spoken",
        /// The numbers.
        Numbers = "numbers",
        /// Which of them is of record.
        OfRecord = "of_record",
        /// The language.
        Language = "language",
        /// The pace.
        Pace = "pace",
        /// The relay flag.
        Relay = "relay",
        /// When they can be called.
        Availability = "available",
        /// The note about their device.
        Device = "device",
        /// The frequent-caller flag.
        Frequent = "frequent",
        /// Who may know.
        Protection = "restricted",
    }
}

impl Field {
    /// What stands in it. Personal data.
    pub fn text(self, record: &Record) -> String {
        let yes = |truth: bool| if truth { "yes" } else { "" }.to_owned();
        match self {
            Self::Kind => match &record.kind {
                Kind::Proxy(proxy) => {
                    let scope: Vec<_> = proxy.scope.iter().map(|scope| scope.word()).collect();
                    let until = proxy
                        .until
                        .map_or(String::new(), |at| format!(" until {at}"));
                    let blocked = if proxy.blocked { ", blocked" } else { "" };
                    format!(
                        "proxy for {}: {}{until}{blocked}",
                        proxy.patient,
                        scope.join(" ")
                    )
                }
                kind => kind.word().to_owned(),
            },
            Self::Detail => record.kind.detail().unwrap_or_default().to_owned(),
            Self::Name => record.name.clone(),
            Self::Spoken => record.spoken.clone(),
            Self::Numbers => {
                let numbers = record.numbers.iter().map(|number| {
                    let shared = if number.shared { " (shared)" } else { "" };
                    format!("{} {}{shared}", number.kind.word(), number.number.0)
                });
                numbers.collect::<Vec<_>>().join(", ")
            }
            Self::OfRecord => record.of_record().map_or(String::new(), |(number, since)| {
                format!("{} since {since}", number.number.0)
            }),
            Self::Language => record.language.map_or(String::new(), String::from),
            Self::Pace => record.pace.word().to_owned(),
            Self::Relay => yes(record.relay),
            Self::Availability => {
                let availability = record.availability.as_ref();
                availability.map_or(String::new(), ToString::to_string)
            }
            Self::Device => record.device.clone().unwrap_or_default(),
            Self::Frequent => yes(record.frequent),
            Self::Protection => match &record.protection {
                Protection::Open => String::new(),
                Protection::Restricted => "restricted".to_owned(),
                Protection::Alias { name, .. } => format!("restricted, alias {name}"),
            },
        }
    }

    /// In which parts two records differ.
    pub fn differences(old: &Record, new: &Record) -> Vec<Self> {
        let mut fields: Vec<_> = Self::ALL
            .iter()
            .copied()
            .filter(|field| field.text(old) != field.text(new))
            .collect();
        // An alias has a spoken part that no text shows.
        if old != new && fields.is_empty() {
            fields.push(Self::Protection);
        }
        fields
    }
}

/// What holds a person shows none of them.
macro_rules! quiet {
    ($($name:ident),*) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}
quiet!(Record, Proxy, Number);

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("id", &self.id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Restricted => "Restricted",
            Self::Alias { .. } => "Alias",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(scope: &[Scope], until: Option<i64>, blocked: bool) -> Proxy {
        Proxy {
            patient: "77".into(),
            scope: scope.to_vec(),
            until,
            blocked,
        }
    }

    #[test]
    fn a_proxy_has_a_scope_and_an_end() {
        let both = [Scope::Tickets, Scope::Account];
        assert!(proxy(&both, None, false).may(Scope::Account, i64::MAX));
        assert!(!proxy(&both[..1], None, false).may(Scope::Account, 0));
        assert!(proxy(&both, Some(10), false).may(Scope::Tickets, 9));
        assert!(!proxy(&both, Some(10), false).may(Scope::Tickets, 10));
        // A court's word counts before everybody's.
        assert!(!proxy(&both, None, true).may(Scope::Tickets, 0));
        assert!(!proxy(&[], None, false).may(Scope::Tickets, 0));
    }

    #[test]
    fn nothing_personal_is_in_a_debug_text() {
        let mut record = Record::new(
            Kind::Clinician {
                speciality: Some("Cardiology".into()),
            },
            "Dr. Ada Okafor",
            "Doctor Okafor",
        );
        record.numbers.push(Number {
            number: PhoneNumber("+15550177001".into()),
            kind: NumberKind::Mobile,
            shared: false,
            of_record_since: Some(1),
        });
        record.protection = Protection::Alias {
            name: "Jane Roe".into(),
            spoken: "Jane".into(),
        };
        let profile = Profile {
            id: PersonId(9),
            version: 3,
            origin: Origin {
                source: "hr".into(),
                external: "S-4711".into(),
            },
            record,
        };
        let shown = format!(
            "{profile:?} {:?} {:?} {:?}",
            profile.origin, profile.record, profile.record.numbers
        );
        for secret in ["Ada", "Okafor", "0177001", "Roe", "4711", "Cardio"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_record_survives_being_written() {
        let mut record = Record::new(
            Kind::Proxy(proxy(&[Scope::Tickets], Some(5), false)),
            "A",
            "B",
        );
        record.language = Tongue::read("es-MX");
        record.pace = Pace::Slow;
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.contains(r#""language":"es""#), "{text}");
        assert!(serde_json::from_str::<Record>(&text).unwrap() == record);
        assert!(Tongue::read("english").is_none() && Tongue::read("").is_none());
    }
}
