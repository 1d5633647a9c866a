//! What a batch would change.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Batch, Changed, Report, Row, Told, Untold};
use crate::message::{PersonId, PhoneNumber};
use crate::people::{Change, Field, Kind, Origin, Profile, Record, Register};

/// What is done about people of the source whom the file doesn't name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// They stay: the file is a part, or a change.
    #[default]
    Keep,
    /// They are gone: the file is everybody.
    Remove,
}

/// How a file is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Those whom it doesn't name.
    pub missing: Missing,
    /// Take the other rows though some can't be. Nobody is removed then.
    pub skip_bad_rows: bool,
    /// Remove even more than a third of the source's people.
    pub remove_many: bool,
}

/// What would change, and the report of it.
#[derive(Debug)]
pub struct Plan {
    /// All of it, or nothing if the report says that it is refused.
    pub changes: Vec<Change>,
    /// What is to be sealed, of some of those in `changes`.
    pub untold: Untold<PersonId>,
    /// For whoever asked.
    pub report: Report,
}

/// Compares what was read from a file of `source` with the register, at `now`
/// (Unix milliseconds).
pub fn plan(register: &Register, source: &str, batch: Batch, policy: Policy, now: i64) -> Plan {
    let mut report = Report {
        unit: batch.unit,
        unread: batch.unread,
        read: batch.rows.len() + batch.bad.len(),
        ..Report::default()
    };
    let mut planning = Planning {
        register,
        source,
        now,
        next: register.next().0,
        changes: Vec::new(),
        untold: Untold::default(),
    };
    let mut untold: HashMap<u32, _> = batch.untold.0.into_iter().collect();
    let mut faults = batch.faults;
    let mut named: HashSet<String> = batch.bad.into_iter().collect();
    let mut seen: HashMap<String, u32> = HashMap::with_capacity(batch.rows.len());
    let is_patient = |row: &Row| match &row.told {
        Told::Here { record, .. } => record.kind == Kind::Patient,
        Told::Gone => false,
    };
    let patients: HashSet<String> = batch
        .rows
        .iter()
        .filter(|row| is_patient(row))
        .map(|row| row.external.clone())
        .collect();
    for Row {
        row,
        external,
        told,
    } in batch.rows
    {
        if let Some(first) = seen.get(&external) {
            let what = format!(
                "is the same as in {} {first}; keep one of the two",
                report.unit.word()
            );
            faults.add(row, "id", what);
            continue;
        }
        seen.insert(external.clone(), row);
        if let Told::Here { record, .. } = &told
            && let Kind::Proxy(proxy) = &record.kind
            && !patients.contains(&proxy.patient)
            && !planning.knows_patient(&proxy.patient)
        {
            let what =
                "names no patient of this source; import the patient before, or in the same file";
            faults.add(row, "proxy_for", what);
            named.insert(external);
            continue;
        }
        let factors = untold.remove(&row);
        planning.row(row, external, told, factors, &mut report);
    }
    named.extend(seen.into_keys());
    planning.missing(&named, policy, faults.count() > 0, &mut report);
    report.sealed = planning.untold.count();
    report.shared = planning.shared();
    report.refused = refusal(&report, faults.count(), policy);
    report.faults = faults;
    if report.refused.is_some() {
        planning.changes.clear();
        planning.untold.0.clear();
    }
    Plan {
        changes: planning.changes,
        untold: planning.untold,
        report,
    }
}

fn gone(profile: &Profile) -> Change {
    Change::Remove {
        person: profile.id,
        version: profile.version.saturating_add(1),
    }
}

/// Why nothing of it can be taken.
fn refusal(report: &Report, faults: usize, policy: Policy) -> Option<String> {
    if faults > 0 && !policy.skip_bad_rows {
        return Some(
            "nothing is taken while something is wrong; mend it, or leave those rows out with --skip-bad-rows"
                .to_owned(),
        );
    }
    let (removed, before) = (
        report.removed,
        report.removed + report.kept + report.unchanged + report.changed.len(),
    );
    if removed > 10 && removed * 3 > before && !policy.remove_many {
        return Some(format!(
            "{removed} of {before} people would be removed; if that is meant, say --remove-many"
        ));
    }
    None
}

struct Planning<'a> {
    register: &'a Register,
    source: &'a str,
    now: i64,
    next: u32,
    changes: Vec<Change>,
    untold: Untold<PersonId>,
}

/// What somebody knows of themselves.
type Known = Vec<(crate::people::Factor, crate::people::SecretDigits)>;

impl Planning<'_> {
    fn origin(&self, external: &str) -> Origin {
        Origin {
            source: self.source.to_owned(),
            external: external.to_owned(),
        }
    }

    fn knows_patient(&self, external: &str) -> bool {
        let known = self.register.find(&self.origin(external));
        known.is_some_and(|profile| profile.record.kind == Kind::Patient)
    }

    fn row(
        &mut self,
        row: u32,
        external: String,
        told: Told,
        factors: Option<Known>,
        report: &mut Report,
    ) {
        let origin = self.origin(&external);
        let known = self.register.find(&origin);
        let (mut record, claimed) = match told {
            Told::Here {
                record,
                of_record_since,
            } => (record, of_record_since),
            Told::Gone => {
                match known {
                    Some(known) => {
                        report.removed += 1;
                        self.changes.push(gone(known));
                    }
                    None => report.unchanged += 1,
                }
                return;
            }
        };
        self.date_of_record(&mut record, known.map(|known| &known.record), claimed);
        let (id, version) = match known {
            Some(known) => {
                let fields = Field::differences(&known.record, &record);
                match (fields.is_empty(), &factors) {
                    (true, None) => {
                        report.unchanged += 1;
                        return;
                    }
                    (true, Some(_)) => report.unchanged += 1,
                    (false, _) => report.changed.push(Changed {
                        row,
                        fields,
                        before: Arc::clone(known),
                        place: self.changes.len(),
                    }),
                }
                (known.id, known.version.saturating_add(1))
            }
            None => {
                report.added += 1;
                let id = PersonId(self.next);
                self.next = self.next.saturating_add(1);
                (id, 1)
            }
        };
        self.untold.0.extend(factors.map(|factors| (id, factors)));
        self.changes.push(Change::Put(Arc::new(Profile {
            id,
            version,
            origin,
            record: *record,
        })));
    }

    /// Since when the number of record is unchanged: as long as it was here. Of
    /// somebody new the source is believed; of a number that changes it isn't,
    /// or who can write the file could be called back at once.
    fn date_of_record(&self, record: &mut Record, known: Option<&Record>, claimed: Option<i64>) {
        let before = known.and_then(Record::of_record);
        let since = |number: &PhoneNumber| match (known, before) {
            (_, Some((known, since))) if known.number == *number => since,
            (None, _) => claimed.unwrap_or(self.now).min(self.now),
            _ => self.now,
        };
        for number in &mut record.numbers {
            if number.of_record_since.is_some() {
                number.of_record_since = Some(since(&number.number));
            }
        }
    }

    fn missing(
        &mut self,
        named: &HashSet<String>,
        policy: Policy,
        faults: bool,
        report: &mut Report,
    ) {
        for profile in self.register.profiles() {
            if profile.origin.source != self.source || named.contains(&profile.origin.external) {
                continue;
            }
            // A row that can't be read may have been theirs.
            if policy.missing == Missing::Remove && !faults {
                report.removed += 1;
                self.changes.push(gone(profile));
            } else {
                report.kept += 1;
            }
        }
        report.spared = policy.missing == Missing::Remove && faults && report.kept > 0;
    }

    /// How many numbers are several people's, among those who change or are new.
    fn shared(&self) -> usize {
        let mut counts: HashMap<&PhoneNumber, usize> = HashMap::new();
        for change in &self.changes {
            if let Change::Put(profile) = change {
                for number in &profile.record.numbers {
                    *counts.entry(&number.number).or_default() += 1;
                }
            }
        }
        counts.values().filter(|count| **count > 1).count()
    }
}
