//! What is told of an import.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::{FAULTS_TOLD_MAX, Faults, Unit};
use crate::people::{Change, Field, Profile};

/// Changes of people that are told one by one.
const CHANGES_TOLD_MAX: usize = 200;

/// What an import changes, and what is wrong with its file.
#[derive(Debug, Default)]
pub struct Report {
    /// What the file's parts are called.
    pub unit: Unit,
    /// How many people and places the file tells of.
    pub read: usize,
    /// How many of them are new.
    pub added: usize,
    /// Who of them is told of otherwise than before.
    pub changed: Vec<Changed>,
    /// How many are as they were.
    pub unchanged: usize,
    /// How many are forgotten.
    pub removed: usize,
    /// How many of the source's people aren't in the file and stay.
    pub kept: usize,
    /// They would have been removed, were nothing wrong with the file.
    pub spared: bool,
    /// How many things that people know of themselves are sealed anew.
    pub sealed: usize,
    /// How many numbers several of the people in the file have.
    pub shared: usize,
    /// What wasn't read.
    pub unread: BTreeMap<String, usize>,
    /// What is wrong.
    pub faults: Faults,
    /// Why nothing is taken.
    pub refused: Option<String>,
}

/// Somebody who is told of otherwise than before.
#[derive(Debug)]
pub struct Changed {
    /// Which row.
    pub row: u32,
    /// What differs.
    pub fields: Vec<Field>,
    /// How it was.
    pub before: Arc<Profile>,
    /// Which of the plan's changes it is.
    pub(super) place: usize,
}

impl Unit {
    /// The word for one.
    pub fn word(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Line => "line",
            Self::Entry => "entry",
        }
    }
}

impl Report {
    /// The report in lines. `show` are the plan's changes if what stands in the
    /// fields is to be told, which is personal data.
    pub fn text(&self, show: Option<&[Change]>) -> String {
        let unit = self.unit.word();
        let mut text = format!(
            "{} read: {} new, {} changed, {} as they were, {} removed",
            self.read,
            self.added,
            self.changed.len(),
            self.unchanged,
            self.removed
        );
        if self.kept > 0 {
            let _ = write!(text, ", {} not in the file and kept", self.kept);
        }
        text.push('\n');
        for changed in self.changed.iter().take(CHANGES_TOLD_MAX) {
            let names: Vec<_> = changed.fields.iter().map(|field| field.word()).collect();
            let _ = writeln!(
                text,
                "  {unit} {}: person {}: {}",
                changed.row,
                changed.before.id.0,
                names.join(", ")
            );
            let after = match show.and_then(|changes| changes.get(changed.place)) {
                Some(Change::Put(profile)) => profile,
                _ => continue,
            };
            for field in &changed.fields {
                let before = field.text(&changed.before.record);
                let after = field.text(&after.record);
                let _ = writeln!(
                    text,
                    "    {}: \"{before}\" becomes \"{after}\"",
                    field.word()
                );
            }
        }
        let more = self.changed.len().saturating_sub(CHANGES_TOLD_MAX);
        if more > 0 {
            let _ = writeln!(text, "  and {more} more");
        }
        if self.sealed > 0 {
            let _ = writeln!(
                text,
                "  {} dates of birth, numbers and PINs are sealed: they can be compared, and never be read again",
                self.sealed
            );
        }
        if self.shared > 0 {
            let _ = writeln!(
                text,
                "  {} numbers are several people's: nobody is greeted by name there",
                self.shared
            );
        }
        for (name, count) in &self.unread {
            let _ = writeln!(text, "  not read: {name} ({count})");
        }
        if self.spared {
            let _ = writeln!(
                text,
                "  nobody is removed, since a {unit} that can't be read may be theirs"
            );
        }
        for fault in self.faults.kept() {
            let place = match fault.row {
                0 => "file".to_owned(),
                row => format!("{unit} {row}"),
            };
            let _ = writeln!(text, "! {place}, {}: {}", fault.field, fault.what);
        }
        let more = self.faults.count().saturating_sub(FAULTS_TOLD_MAX);
        if more > 0 {
            let _ = writeln!(text, "! and {more} more");
        }
        if let Some(refused) = &self.refused {
            let _ = writeln!(text, "Refused: {refused}.");
        }
        text
    }
}
