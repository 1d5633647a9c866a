//! Files of people and places: what they would change, and what is wrong with
//! them.
//!
//! A file is read whole ([`csv()`], [`fhir()`]) into a [`Batch`]: rows, and a
//! [`Fault`] for each that can't be taken. [`plan`] compares the batch with the
//! register and says what would change; nothing changes before all of it does.
//! Rows are matched by source and external key, never by name, so that the
//! same file a second time changes nothing.
//!
//! No text of this module shows what stands in a file, but
//! [`Report::text`] when it is asked to.

mod csv;
mod fhir;
mod plan;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::{Availability, Factor, Kind, Number, NumberKind, Record, SecretDigits, Window};
use crate::directory::NumberRule;
use crate::message::PhoneNumber;

pub use csv::{COLUMNS, Column, csv};
pub use fhir::fhir;
pub use plan::{Missing, Plan, Policy, plan};
pub use report::{Changed, Report};

/// Largest file, in bytes.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most rows of a file.
pub const ROWS_MAX: usize = 200_000;
/// Faults that are told of one by one; the others are counted.
pub const FAULTS_TOLD_MAX: usize = 1_000;
/// Longest text of a field, in characters.
pub const TEXT_MAX: usize = 120;
/// Most numbers of one person or place.
pub const NUMBERS_MAX: usize = 8;

/// What a file is read with.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// How numbers are written where the hospital is.
    pub rule: &'a NumberRule,
    /// Wall clock, Unix milliseconds: what has ended by then is not read.
    pub now: i64,
    /// The hospital's zone (IANA), for whoever has none of their own.
    pub zone: Option<&'a str>,
}

/// What a file's parts are called where it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// A row of a table, the heading being the first.
    #[default]
    Row,
    /// A line of NDJSON.
    Line,
    /// An entry of a bundle.
    Entry,
}

/// What is wrong with a part of a file, and what to do. Holds nothing of what
/// stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which row, line or entry, from 1; 0: the file.
    pub row: u32,
    /// Which column or element.
    pub field: String,
    /// What is wrong and what to do.
    pub what: String,
}

/// Faults, of which only the first thousand are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    kept: Vec<Fault>,
    count: usize,
}

impl Faults {
    pub(crate) fn add(&mut self, row: u32, field: impl Into<String>, what: impl Into<String>) {
        self.count += 1;
        if self.kept.len() < FAULTS_TOLD_MAX {
            self.kept.push(Fault {
                row,
                field: field.into(),
                what: what.into(),
            });
        }
    }

    /// Those that are kept, in the order in which they were found.
    pub fn kept(&self) -> &[Fault] {
        &self.kept
    }

    /// All of them.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// A row that can be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which, from 1.
    pub row: u32,
    /// The source's key.
    pub external: String,
    /// What it says.
    pub told: Told,
}

/// What a row says of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// This. The number of record is marked with 0: since when, the plan says.
    Here {
        /// What is told.
        record: Box<Record>,
        /// Since when the source says that the number of record is unchanged
        /// (Unix milliseconds). Believed of those who are new.
        of_record_since: Option<i64>,
    },
    /// They are gone.
    Gone,
}

/// What people know of themselves, as a file tells it, by `K`: whose. Erased when dropped,
/// sealed before it is stored, and shown to nobody.
pub struct Untold<K>(pub Vec<(K, Vec<(Factor, SecretDigits)>)>);

impl<K> Default for Untold<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K> Untold<K> {
    /// How many things they are.
    pub fn count(&self) -> usize {
        self.0.iter().map(|(_, factors)| factors.len()).sum()
    }
}

impl<K> std::fmt::Debug for Untold<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Untold(..)")
    }
}

/// Whose and what; the digits themselves aren't compared.
impl<K: PartialEq> PartialEq for Untold<K> {
    fn eq(&self, other: &Self) -> bool {
        let kinds = |told: &Self| -> Vec<Vec<Factor>> {
            let all = told.0.iter();
            all.map(|(_, factors)| factors.iter().map(|(factor, _)| *factor).collect())
                .collect()
        };
        let whose = self.0.iter().zip(&other.0).all(|((a, _), (b, _))| a == b);
        whose && kinds(self) == kinds(other)
    }
}

impl<K: Eq> Eq for Untold<K> {}

/// A file that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// What its parts are called.
    pub unit: Unit,
    /// The rows that can be taken.
    pub rows: Vec<Row>,
    /// What the people of some rows know of themselves.
    pub untold: Untold<u32>,
    /// The keys of those that can't, as far as they are known: they aren't
    /// missing.
    pub bad: Vec<String>,
    /// What is wrong.
    pub faults: Faults,
    /// Columns and kinds of resources that aren't read, and how many there are.
    pub unread: BTreeMap<String, usize>,
}

/// A row's fields on their way into a record, and what is wrong with them.
struct Reading<'a> {
    context: Context<'a>,
    row: u32,
    faults: &'a mut Faults,
    sound: bool,
}

impl<'a> Reading<'a> {
    fn new(context: Context<'a>, row: u32, faults: &'a mut Faults) -> Self {
        Self {
            context,
            row,
            faults,
            sound: true,
        }
    }

    fn fault(&mut self, field: &str, what: impl Into<String>) {
        self.sound = false;
        self.faults.add(self.row, field, what);
    }

    /// A text that can be shown and spoken: one line of some characters.
    fn text(&mut self, field: &str, text: &str) -> Option<String> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if text.chars().count() > TEXT_MAX {
            self.fault(
                field,
                format!("is longer than {TEXT_MAX} characters; shorten it"),
            );
            return None;
        }
        if text.chars().any(is_odd) {
            self.fault(
                field,
                "holds line breaks or characters that can't be seen; take them out",
            );
            return None;
        }
        Some(text.to_owned())
    }

    /// Adds a number, unless it is there already.
    fn number(&mut self, field: &str, text: &str, kind: NumberKind, numbers: &mut Vec<Number>) {
        let number = PhoneNumber(text.trim().to_owned());
        let Some(key) = self.context.rule.key(&number) else {
            return self.fault(
                field,
                "isn't a telephone number; write digits, e.g. +1 503 555 0101, and an extension alone",
            );
        };
        let same = |known: &Number| self.context.rule.key(&known.number) == Some(key);
        if numbers.iter().any(same) {
            return;
        }
        if numbers.len() >= NUMBERS_MAX {
            return self.fault(
                field,
                format!("more than {NUMBERS_MAX} numbers; leave some out"),
            );
        }
        numbers.push(Number {
            number,
            kind,
            shared: false,
            of_record_since: None,
        });
    }

    /// Something that somebody knows of themselves.
    fn factor(&mut self, field: &str, factor: Factor, text: &str) -> Option<SecretDigits> {
        let digits = SecretDigits::read(text);
        let what = match factor {
            Factor::BirthDate => "isn't a date; write year, month and day, e.g. 1980-03-01",
            Factor::Pin => "isn't a PIN; write 4 to 12 digits",
            _ => "isn't a number; write its digits, at most 24",
        };
        let fine = digits.filter(|digits| match factor {
            Factor::BirthDate => digits.is_date(),
            Factor::Pin => (4..=12).contains(&digits.len()),
            _ => true,
        });
        if fine.is_none() {
            self.fault(field, what);
        }
        fine
    }

    /// Whoever has neither a zone nor a hospital with one can't have hours.
    fn zone(&mut self, field: &str, own: Option<String>) -> Option<String> {
        let zone = own.or_else(|| self.context.zone.map(str::to_owned));
        if zone.is_none() {
            self.fault(
                field,
                "hours need a zone; set `zone` in the hospital's file, e.g. zone: America/Chicago",
            );
        }
        zone
    }

    fn availability(
        &mut self,
        field: &str,
        zone: String,
        week: Vec<(String, String)>,
        away: Vec<Window>,
    ) -> Option<Availability> {
        match Availability::read(zone, week, away) {
            Ok(availability) => Some(availability),
            Err(super::AvailabilityError::Hours(error)) => {
                self.fault(field, without_quotes(&error));
                None
            }
            Err(error) => {
                self.fault(field, error.to_string());
                None
            }
        }
    }
}

/// What is wrong with hours, without what stands there.
fn without_quotes(error: &hours::HoursError) -> &'static str {
    use hours::HoursError as E;
    match error {
        E::Zone(_) => "the zone isn't one of the IANA database; write e.g. America/Chicago",
        E::Weekday(_) => {
            "isn't a day of the week; write mon, tue, wed, thu, fri, sat, sun or a range such as mon-fri"
        }
        E::Twice(_) => {
            "a day has hours twice; write them behind one another: mon 08:00-12:00,13:00-17:00"
        }
        E::Date(_) | E::Backwards(..) => {
            "isn't a date, or two in the wrong order; write e.g. 2026-12-24..2026-12-31"
        }
        E::Hours(_) => "aren't hours; write e.g. tue 08:00-12:00 | thu 08:00-12:00",
        E::Overlap(_) => "hours overlap; join them",
        E::TooMany(..) => "too many hours in a day; join some",
    }
}

/// What nobody sees or what changes how the rest is read.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// How somebody is greeted when their source doesn't say: a doctor by title and
/// last name, others by the whole name.
fn spoken_of(kind: &Kind, name: &str) -> String {
    let mut words: Vec<&str> = name.split_whitespace().collect();
    let title = words.first().and_then(|first| {
        let word = first.trim_end_matches('.').to_lowercase();
        let title = match word.as_str() {
            "dr" | "doctor" => "Doctor",
            "prof" | "professor" => "Professor",
            _ => return None,
        };
        Some(title)
    });
    let (Some(title), false) = (title, matches!(kind, Kind::Place { .. })) else {
        return name.to_owned();
    };
    words.remove(0);
    // "Okafor, MD", "Okafor MD".
    words.retain(|word| {
        !matches!(
            word.trim_end_matches(','),
            "MD" | "DO" | "PhD" | "RN" | "Dr."
        )
    });
    match words.last() {
        Some(last) => format!("{title} {}", last.trim_end_matches(',')),
        None => name.to_owned(),
    }
}
