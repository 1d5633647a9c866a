//! FHIR R4 (4.0.1) JSON: a Bundle, or a resource a line (NDJSON, as the bulk
//! export writes). Read are Practitioner, PractitionerRole, Patient and
//! Location; of others it is told how many there were.
//!
//! A file is read entry by entry, so that no more of it than one resource is
//! held as a tree. What people are called, reached and speak is taken from the
//! elements' own meaning:
//!
//! | element | becomes |
//! |---|---|
//! | `id` | the key, with the kind: `Practitioner/17` |
//! | `name` | the first that is official, else usual; never an old one |
//! | `telecom` | numbers by `system` and `use`; ended ones aren't read; `rank` 1 is the number of record |
//! | `communication` | the preferred language, else the first |
//! | `active: false`, `deceased…`, Location's `status: inactive` | gone |
//! | `meta.security` R or V | restricted |
//! | PractitionerRole `specialty`, `availableTime`, `notAvailable` | of their practitioner, in the hospital's zone |
//! | PractitionerRole `code` `ict`, `researcher`, `teacher` | staff; all others are clinicians |

mod elements;
mod week;

use std::collections::HashMap;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

use super::{BYTES_MAX, Batch, Context, ROWS_MAX, Reading, Row, Told, Unit, spoken_of};
use crate::people::{Kind, Protection, Record, Window};
use elements::{factors, language, list, name, numbers, period_ended, restricted, text, words};
use week::Week;

/// Reads a file.
pub fn fhir(bytes: &[u8], context: Context<'_>) -> Batch {
    let mut reader = Reader::new(context);
    if bytes.len() > BYTES_MAX {
        let what = format!("is larger than {} MiB; divide it", BYTES_MAX >> 20);
        reader.batch.faults.add(0, "file", what);
        return reader.batch;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.clone().find(|line| !line.trim_ascii().is_empty());
    let Some(first) = first else {
        reader.batch.faults.add(0, "file", "is empty");
        return reader.batch;
    };
    // Many lines, of which the first is whole: each is.
    if serde_json::from_slice::<IgnoredAny>(first).is_ok() {
        let several = lines
            .clone()
            .filter(|line| !line.trim_ascii().is_empty())
            .nth(1)
            .is_some();
        reader.batch.unit = if several { Unit::Line } else { Unit::Entry };
        for (row, line) in (1..).zip(lines) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            reader.row = if several { row } else { 0 };
            if !reader.document(line) {
                break;
            }
        }
    } else {
        reader.batch.unit = Unit::Entry;
        reader.document(bytes);
    }
    reader.finish()
}

/// Somebody or some place, before the roles of others are joined to them.
struct Found {
    row: u32,
    external: String,
    record: Option<(Box<Record>, Protection)>,
    /// Their roles so far: what they do, when.
    week: Week,
    away: Vec<Window>,
    role_row: Option<u32>,
    clinical: Option<bool>,
    sound: bool,
}

/// What a PractitionerRole says.
struct Role {
    row: u32,
    of: String,
    speciality: Option<String>,
    clinical: bool,
    week: Week,
    away: Vec<Window>,
    numbers: Vec<crate::people::Number>,
}

struct Reader<'a> {
    context: Context<'a>,
    batch: Batch,
    row: u32,
    read: usize,
    found: Vec<Found>,
    by_key: HashMap<String, usize>,
    /// Bundles may refer to entries by these.
    by_url: HashMap<String, String>,
    roles: Vec<Role>,
    /// Whose roles couldn't be read.
    half: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(context: Context<'a>) -> Self {
        Self {
            context,
            batch: Batch::default(),
            row: 0,
            read: 0,
            found: Vec::new(),
            by_key: HashMap::new(),
            by_url: HashMap::new(),
            roles: Vec::new(),
            half: Vec::new(),
        }
    }

    /// Reads one document; false when no more can be taken.
    fn document(&mut self, bytes: &[u8]) -> bool {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let read = Top(self).deserialize(&mut json).and_then(|()| json.end());
        if let Err(error) = read {
            let row = if self.batch.unit == Unit::Line {
                self.row
            } else {
                0
            };
            let what = match error.classify() {
                serde_json::error::Category::Data => {
                    "isn't a resource or a Bundle of FHIR R4".to_owned()
                }
                _ => format!(
                    "isn't JSON: line {}, column {}",
                    error.line(),
                    error.column()
                ),
            };
            self.batch.faults.add(row, "json", what);
        }
        self.read < ROWS_MAX
    }

    fn entry(&mut self, entry: &Value) {
        self.row = self.row.saturating_add(1);
        let Some(resource) = entry.get("resource").and_then(Value::as_object) else {
            let what = "holds no resource; export whole resources";
            return self.batch.faults.add(self.row, "resource", what);
        };
        let url = text(entry, "fullUrl").map(str::to_owned);
        self.resource(resource, url);
    }

    fn resource(&mut self, resource: &Map<String, Value>, url: Option<String>) {
        self.read += 1;
        if self.read > ROWS_MAX {
            if self.read == ROWS_MAX + 1 {
                let what = format!("has more than {ROWS_MAX} resources; divide it");
                self.batch.faults.add(self.row, "file", what);
            }
            return;
        }
        let kind = resource.get("resourceType").and_then(Value::as_str);
        let kind = kind.unwrap_or_default();
        let resource = Value::Object(resource.clone());
        match kind {
            "PractitionerRole" => self.role(&resource),
            "Practitioner" | "Patient" | "Location" => self.somebody(kind, &resource, url),
            "" => self
                .batch
                .faults
                .add(self.row, "resourceType", "is missing"),
            other => {
                let name: String = other
                    .chars()
                    .take(40)
                    .filter(char::is_ascii_alphabetic)
                    .collect();
                *self.batch.unread.entry(name).or_default() += 1;
            }
        }
    }

    fn somebody(&mut self, kind: &str, resource: &Value, url: Option<String>) {
        let row = self.row;
        let mut reading = Reading::new(self.context, row, &mut self.batch.faults);
        let id = text(resource, "id").unwrap_or_default();
        let whole = !id.is_empty() && id.len() <= 64;
        if !whole
            || !id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        {
            reading.fault(
                "id",
                "is missing or isn't an id; export resources with their ids",
            );
            return;
        }
        let external = format!("{kind}/{id}");
        let gone = resource.get("active") == Some(&Value::Bool(false))
            || resource.get("deceasedDateTime").is_some()
            || resource.get("deceasedBoolean") == Some(&Value::Bool(true))
            || text(resource, "status") == Some("inactive");
        let record = if gone {
            None
        } else if kind == "Location" {
            let mut telephones = Vec::new();
            numbers(resource, &mut reading, &mut telephones);
            if telephones.is_empty() && reading.sound {
                let counted = self
                    .batch
                    .unread
                    .entry("Location without a telephone".to_owned());
                *counted.or_default() += 1;
                return;
            }
            let title = text(resource, "name").unwrap_or_default().to_owned();
            let site = resource
                .get("partOf")
                .and_then(|part| text(part, "display"));
            let site = site
                .map(str::to_owned)
                .and_then(|site| reading.text("partOf.display", &site));
            let title = named(&mut reading, "name", &title);
            title.map(|name| {
                let kind = Kind::Place { site };
                let mut record = Record::new(kind, name.clone(), name);
                record.numbers = telephones;
                (Box::new(record), Protection::Open)
            })
        } else {
            let title = name(resource);
            let kind = match kind {
                "Patient" => Kind::Patient,
                _ => Kind::Clinician { speciality: None },
            };
            let title = named(&mut reading, "name", &title);
            title.map(|name| {
                let spoken = spoken_of(&kind, &name);
                let mut record = Record::new(kind, name, spoken);
                numbers(resource, &mut reading, &mut record.numbers);
                record.language = language(resource);
                let protection = match restricted(resource) {
                    true => Protection::Restricted,
                    false => Protection::Open,
                };
                (Box::new(record), protection)
            })
        };
        let sound = reading.sound;
        let factors = match &record {
            Some((record, _)) if !matches!(record.kind, Kind::Place { .. }) => factors(resource),
            _ => Vec::new(),
        };
        if self.by_key.contains_key(&external) {
            let what = "this resource was in the file before; keep one of the two";
            self.batch.faults.add(row, "id", what);
            return;
        }
        if let Some(url) = url {
            self.by_url.insert(url, external.clone());
        }
        self.by_key.insert(external.clone(), self.found.len());
        self.found.push(Found {
            row,
            external,
            record,
            week: Week::default(),
            away: Vec::new(),
            role_row: None,
            clinical: None,
            sound,
        });
        if !factors.is_empty() {
            self.batch.untold.0.push((row, factors));
        }
    }

    fn role(&mut self, resource: &Value) {
        let ended = resource
            .get("period")
            .is_some_and(|period| period_ended(period, self.context.now));
        if resource.get("active") == Some(&Value::Bool(false)) || ended {
            return;
        }
        let mut reading = Reading::new(self.context, self.row, &mut self.batch.faults);
        let practitioner = resource.get("practitioner");
        let of = practitioner
            .and_then(|of| text(of, "reference"))
            .unwrap_or_default();
        if of.is_empty() {
            reading.fault("practitioner.reference", "is missing; a role is somebody's");
            return;
        }
        let codes: Vec<&str> = list(resource, "code").flat_map(words).collect();
        let elsewhere = ["ict", "researcher", "teacher"];
        let clinical = codes.is_empty() || codes.iter().any(|code| !elsewhere.contains(code));
        let speciality = list(resource, "specialty").find_map(|concept| {
            let coding = list(concept, "coding").find_map(|coding| text(coding, "display"));
            text(concept, "text").or(coding)
        });
        let speciality = speciality
            .map(str::to_owned)
            .and_then(|text| reading.text("specialty", &text));
        let mut telephones = Vec::new();
        numbers(resource, &mut reading, &mut telephones);
        let week = week::available(resource, &mut reading);
        let away = week::not_available(resource, &mut reading);
        let role = Role {
            row: self.row,
            of: of.to_owned(),
            speciality,
            clinical,
            week,
            away,
            numbers: telephones,
        };
        // Half a role isn't joined to anybody: its practitioner is kept as they are.
        if reading.sound {
            self.roles.push(role);
        } else {
            self.half.push(role.of);
        }
    }

    /// The key that a reference means.
    fn key_of(&self, reference: &str) -> Option<String> {
        if let Some(key) = self.by_url.get(reference) {
            return Some(key.clone());
        }
        let mut parts = reference.split("/_history/").next()?.rsplit('/');
        let (id, kind) = (parts.next()?, parts.next()?);
        Some(format!("{kind}/{id}"))
    }

    /// Joins the roles to their practitioners.
    fn finish(mut self) -> Batch {
        for role in std::mem::take(&mut self.roles) {
            let place = self.key_of(&role.of).and_then(|key| self.by_key.get(&key));
            let Some(place) = place.copied() else {
                let what = "names a practitioner who isn't in this file; export both together";
                self.batch
                    .faults
                    .add(role.row, "practitioner.reference", what);
                continue;
            };
            let found = &mut self.found[place];
            let Some((record, _)) = &mut found.record else {
                continue;
            };
            found.role_row = Some(role.row);
            found.clinical = Some(found.clinical.unwrap_or(false) || role.clinical);
            found.week.join(role.week);
            found.away.extend(role.away);
            if let Kind::Clinician { speciality } = &mut record.kind
                && speciality.is_none()
            {
                *speciality = role.speciality;
            }
            let mut reading = Reading::new(self.context, role.row, &mut self.batch.faults);
            for number in role.numbers {
                let known = record.of_record().is_some();
                let text = number.number.0;
                reading.number("telecom", &text, number.kind, &mut record.numbers);
                // Their own comes before that of a role.
                if number.of_record_since.is_some() && !known {
                    let last = record.numbers.last_mut();
                    if let Some(last) = last.filter(|last| last.number.0 == text) {
                        last.of_record_since = Some(0);
                    }
                }
            }
            found.sound &= reading.sound;
        }
        for of in std::mem::take(&mut self.half) {
            let place = self.key_of(&of).and_then(|key| self.by_key.get(&key));
            if let Some(place) = place {
                self.found[*place].sound = false;
            }
        }
        for found in std::mem::take(&mut self.found) {
            self.taken(found);
        }
        self.batch
    }

    fn taken(&mut self, found: Found) {
        let Found {
            row,
            external,
            record,
            week,
            away,
            role_row,
            clinical,
            sound,
        } = found;
        let mut reading = Reading::new(
            self.context,
            role_row.unwrap_or(row),
            &mut self.batch.faults,
        );
        reading.sound = sound;
        let told = match record {
            None if sound => Told::Gone,
            None => return self.batch.bad.push(external),
            Some((mut record, protection)) => {
                record.protection = protection;
                if clinical == Some(false)
                    && let Kind::Clinician { speciality } = record.kind
                {
                    record.kind = Kind::Staff { speciality };
                }
                let week = week.written(!away.is_empty());
                if !week.is_empty()
                    && let Some(zone) = reading.zone("availableTime", None)
                {
                    record.availability = reading.availability("availableTime", zone, week, away);
                }
                Told::Here {
                    record,
                    of_record_since: None,
                }
            }
        };
        if reading.sound {
            self.batch.rows.push(Row {
                row,
                external,
                told,
            });
        } else {
            self.batch.bad.push(external);
        }
    }
}

/// A name, which must be there.
fn named(reading: &mut Reading<'_>, field: &str, name: &str) -> Option<String> {
    let text = reading.text(field, name);
    if text.is_none() && name.trim().is_empty() {
        reading.fault(field, "is missing; somebody must be called something");
    }
    text
}

/// A document: a bundle, whose entries are read one by one, or a resource.
struct Top<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Top<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a resource")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut resource = Map::new();
        let mut entries = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "entry" {
                entries = true;
                map.next_value_seed(Entries(&mut *self.0))?;
            } else {
                resource.insert(key, map.next_value()?);
            }
        }
        match resource.get("resourceType").and_then(Value::as_str) {
            Some("Bundle") => Ok(()),
            // Only a bundle has entries that are resources.
            _ if entries => Err(A::Error::custom("no bundle")),
            _ => {
                if self.0.row == 0 {
                    self.0.row = 1;
                }
                self.0.resource(&resource, None);
                Ok(())
            }
        }
    }
}

struct Entries<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(entry) = seq.next_element::<Value>()? {
            self.0.entry(&entry);
        }
        Ok(())
    }
}
