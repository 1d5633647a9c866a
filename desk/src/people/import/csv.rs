//! CSV: a heading of columns, then a row for each person or place.
//!
//! RFC 4180 as spreadsheets write it: LF or CRLF, a byte order mark, commas,
//! semicolons or tabs (told from the heading, or from Excel's `sep=;`), fields
//! in quotes with anything in them. Text is UTF-8; another encoding is told
//! plainly rather than guessed. Rows are counted as a spreadsheet counts them.

use std::borrow::Cow;
use std::collections::HashMap;

use hours::Zone;

use super::{
    BYTES_MAX, Batch, Context, Faults, ROWS_MAX, Reading, Row, Told, Unit, spoken_of,
    without_quotes,
};
use crate::people::{
    Factor, Kind, NumberKind, Pace, Protection, Proxy, Record, Scope, SecretDigits, Tongue, Window,
};

/// A column that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// What stands in it.
    pub about: &'static str,
}

macro_rules! columns {
    ($($constant:ident = $name:literal: $about:literal),+ $(,)?) => {
        $(const $constant: &str = $name;)+
        /// The columns that are read, in any order. `id`, `role` and `name` must be there.
        pub const COLUMNS: &[Column] = &[$(Column { name: $name, about: $about }),+];
    };
}
columns! {
    ID = "id": "The key by which the source knows them; what a row is matched by.",
    ROLE = "role": "clinician, staff, patient, proxy or place.",
    NAME = "name": "How they are shown.",
    SPOKEN = "spoken": "How they are greeted; if empty, made of the name.",
    SPECIALITY = "speciality": "What they do; of a place, the site.",
    MOBILE = "mobile": "Numbers, several divided by |.",
    DESK = "desk": "The same.",
    HOME = "home": "The same.",
    PAGER = "pager": "The same. Never of record.",
    OTHER = "other": "The same.",
    SHARED = "shared": "Which of these columns hold numbers that others use too, e.g. desk | home.",
    OF_RECORD = "of_record": "Which column's first number is the number of record: mobile, desk, home or other.",
    OF_RECORD_SINCE = "of_record_since": "Since which day it is unchanged, e.g. 2026-01-31. Believed once, of who is new.",
    LANGUAGE = "language": "e.g. es.",
    PACE = "pace": "standard or slow.",
    RELAY = "relay": "yes: they call through a relay service or a TTY.",
    AVAILABLE = "available": "When they can be called, e.g. tue 08:00-12:00 | thu 08:00-12:00.",
    AWAY = "away": "Days on which they can't, e.g. 2026-12-24..2026-12-31 | 2027-01-15.",
    ZONE = "zone": "Their time zone, where it isn't the hospital's, e.g. America/Chicago.",
    DEVICE = "device": "What an analyst should know of their device.",
    FREQUENT = "frequent": "yes: they call often, and somebody should ask why.",
    RESTRICTED = "restricted": "yes: only who is cleared sees who they are.",
    ALIAS = "alias": "Restricted, and everybody else sees this name.",
    ALIAS_SPOKEN = "alias_spoken": "How the alias is greeted; if empty, as it is shown.",
    BIRTH_DATE = "birth_date": "Year, month and day, e.g. 1980-03-01. Sealed when it is taken, like the three behind it: nobody sees it again. Empty: as it was.",
    MRN = "mrn": "The digits of the medical record's number.",
    STAFF_NUMBER = "staff_number": "The staff number, if it is of digits.",
    PIN = "pin": "4 to 12 digits.",
    PROXY_FOR = "proxy_for": "Of a proxy: the patient's id.",
    PROXY_SCOPE = "proxy_scope": "tickets, account or both, divided by |.",
    PROXY_UNTIL = "proxy_until": "The last day of it.",
    COURT_BLOCK = "court_block": "yes: a court has forbidden it.",
    ACTIVE = "active": "no: they are gone, and are forgotten here.",
}

/// Numbers' columns.
const NUMBERS: [(&str, NumberKind); 5] = [
    (MOBILE, NumberKind::Mobile),
    (DESK, NumberKind::Desk),
    (HOME, NumberKind::Home),
    (PAGER, NumberKind::Pager),
    (OTHER, NumberKind::Other),
];

/// What somebody knows of themselves.
const FACTORS: [(&str, Factor); 4] = [
    (BIRTH_DATE, Factor::BirthDate),
    (MRN, Factor::Mrn),
    (STAFF_NUMBER, Factor::StaffNumber),
    (PIN, Factor::Pin),
];

/// Most columns of a row, and bytes of a field.
const WIDTH_MAX: usize = 200;
const FIELD_MAX: usize = 2_000;

/// Reads a file.
pub fn csv(bytes: &[u8], context: Context<'_>) -> Batch {
    let mut batch = Batch {
        unit: Unit::Row,
        ..Batch::default()
    };
    let Some(text) = text(bytes, &mut batch.faults) else {
        return batch;
    };
    let mut records = Records::new(text);
    let Some(heading) = heading(&mut records, &mut batch) else {
        return batch;
    };
    while let Some((row, fields)) = records.next() {
        if batch.rows.len() >= ROWS_MAX {
            let what = format!("has more than {ROWS_MAX} rows; divide it");
            batch.faults.add(row, "file", what);
            break;
        }
        let fields = match fields {
            Ok(fields) if fields.iter().all(|field| field.trim().is_empty()) => continue,
            Ok(fields) => fields,
            Err(what) => {
                batch.faults.add(row, "row", what);
                continue;
            }
        };
        if fields.len() > heading.width && fields[heading.width..].iter().any(|f| !f.is_empty()) {
            let what =
                "has more fields than the heading; put a field that holds the divider in quotes";
            batch.faults.add(row, "row", what);
            continue;
        }
        let reading = Reading::new(context, row, &mut batch.faults);
        let line = Line {
            heading: &heading,
            fields: &fields,
            reading,
        };
        let external = line.get(ID).trim().to_owned();
        match line.read() {
            Some((told, factors)) => {
                if !factors.is_empty() {
                    batch.untold.0.push((row, factors));
                }
                batch.rows.push(Row {
                    row,
                    external,
                    told,
                });
            }
            None if !external.is_empty() => batch.bad.push(external),
            None => {}
        }
    }
    batch
}

/// The bytes as text, or what is wrong with them.
fn text<'a>(bytes: &'a [u8], faults: &mut Faults) -> Option<&'a str> {
    if bytes.len() > BYTES_MAX {
        let what = format!("is larger than {} MiB; divide it", BYTES_MAX >> 20);
        faults.add(0, "file", what);
        return None;
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let what = "is UTF-16 (\"Unicode text\"); save it as \"CSV UTF-8\"";
        faults.add(0, "file", what);
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            faults.add(
                u32::try_from(line).unwrap_or(u32::MAX),
                "row",
                "isn't UTF-8 but an older encoding (Latin-1, Windows-1252), in which letters such as é can't be \
                 told apart for certain; save it as \"CSV UTF-8\"",
            );
            None
        }
    }
}

/// Which column is where.
struct Heading {
    at: HashMap<&'static str, usize>,
    width: usize,
}

fn heading(records: &mut Records<'_>, batch: &mut Batch) -> Option<Heading> {
    let Some((row, fields)) = records.next() else {
        batch.faults.add(0, "file", "is empty");
        return None;
    };
    let fields = match fields {
        Ok(fields) => fields,
        Err(what) => {
            batch.faults.add(row, "row", what);
            return None;
        }
    };
    let mut at = HashMap::new();
    let mut sound = true;
    for (place, field) in fields.iter().enumerate() {
        let name = field.trim().to_lowercase().replace([' ', '-'], "_");
        match COLUMNS.iter().find(|column| column.name == name) {
            Some(column) => {
                if at.insert(column.name, place).is_some() {
                    batch
                        .faults
                        .add(row, column.name, "stands twice in the heading");
                    sound = false;
                }
            }
            // A heading is no personal data, unless there is none.
            None if name.is_empty() => {}
            None => *batch.unread.entry(shortened(&name)).or_default() += 1,
        }
    }
    for needed in [ID, ROLE, NAME] {
        if !at.contains_key(needed) {
            // Then the first row may be somebody's, and isn't repeated.
            batch.unread.clear();
            let names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
            let what = format!(
                "is missing in the heading; columns are {}",
                names.join(", ")
            );
            batch.faults.add(row, needed, what);
            sound = false;
        }
    }
    sound.then_some(Heading {
        at,
        width: fields.len(),
    })
}

fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

/// One row being read.
struct Line<'a> {
    heading: &'a Heading,
    fields: &'a [Cow<'a, str>],
    reading: Reading<'a>,
}

impl Line<'_> {
    fn get(&self, column: &str) -> &str {
        let place = self.heading.at.get(column);
        place
            .and_then(|place| self.fields.get(*place))
            .map_or("", |field| field.trim())
    }

    fn parts(&self, column: &str) -> Vec<String> {
        let parts = self.get(column).split('|').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }

    fn text(&mut self, column: &str) -> Option<String> {
        let text = self.get(column).to_owned();
        self.reading.text(column, &text)
    }

    fn truth(&mut self, column: &str, empty: bool) -> bool {
        match self.get(column).to_lowercase().as_str() {
            "" => empty,
            "yes" | "y" | "true" | "1" => true,
            "no" | "n" | "false" | "0" => false,
            _ => {
                self.reading.fault(column, "write yes or no");
                empty
            }
        }
    }

    /// The row, if nothing is wrong with it.
    fn read(mut self) -> Option<(Told, Vec<(Factor, SecretDigits)>)> {
        if self.text(ID).is_none() && self.get(ID).is_empty() {
            let what = "is empty; each row needs the source's own key, e.g. a staff number";
            self.reading.fault(ID, what);
        }
        if !self.truth(ACTIVE, true) {
            return self.reading.sound.then_some((Told::Gone, Vec::new()));
        }
        let kind = self.kind();
        let name = self.text(NAME);
        if name.is_none() && self.get(NAME).is_empty() {
            self.reading
                .fault(NAME, "is empty; write how they are shown");
        }
        let spoken = self.text(SPOKEN);
        let (Some(kind), Some(name)) = (kind, name) else {
            return None;
        };
        let spoken = spoken.unwrap_or_else(|| spoken_of(&kind, &name));
        let mut record = Record::new(kind, name, spoken);
        let of_record_since = self.numbers(&mut record);
        self.manner(&mut record);
        self.availability(&mut record);
        record.protection = self.protection();
        let factors = self.factors(&record.kind);
        let told = Told::Here {
            record: Box::new(record),
            of_record_since,
        };
        self.reading.sound.then_some((told, factors))
    }

    fn factors(&mut self, kind: &Kind) -> Vec<(Factor, SecretDigits)> {
        let mut factors = Vec::new();
        for (column, factor) in FACTORS {
            let place = self.heading.at.get(column);
            let text = place.and_then(|place| self.fields.get(*place));
            let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
                continue;
            };
            if matches!(kind, Kind::Place { .. }) {
                self.reading
                    .fault(column, "a place knows nothing of itself; empty it");
                continue;
            }
            let digits = self.reading.factor(column, factor, text);
            factors.extend(digits.map(|digits| (factor, digits)));
        }
        factors
    }

    fn kind(&mut self) -> Option<Kind> {
        let detail = self.text(SPECIALITY);
        let for_proxy = [PROXY_FOR, PROXY_SCOPE, PROXY_UNTIL];
        let role = self.get(ROLE).to_lowercase();
        if role != "proxy" && for_proxy.iter().any(|column| !self.get(column).is_empty()) {
            self.reading.fault(
                ROLE,
                "only a proxy speaks for somebody; write proxy, or empty proxy_for",
            );
        }
        Some(match role.as_str() {
            "clinician" => Kind::Clinician { speciality: detail },
            "staff" => Kind::Staff { speciality: detail },
            "patient" => Kind::Patient,
            "place" => Kind::Place { site: detail },
            "proxy" => Kind::Proxy(self.proxy()?),
            _ => {
                self.reading
                    .fault(ROLE, "write clinician, staff, patient, proxy or place");
                return None;
            }
        })
    }

    fn proxy(&mut self) -> Option<Proxy> {
        let Some(patient) = self.text(PROXY_FOR) else {
            self.reading
                .fault(PROXY_FOR, "is empty; write the patient's id");
            return None;
        };
        let mut scope = Vec::new();
        for word in self.parts(PROXY_SCOPE) {
            match Scope::from_word(&word.to_lowercase()) {
                Some(known) => scope.push(known),
                None => self
                    .reading
                    .fault(PROXY_SCOPE, "write tickets, account or both, divided by |"),
            }
        }
        scope.sort_unstable();
        scope.dedup();
        if scope.is_empty() {
            self.reading.fault(
                PROXY_SCOPE,
                "is empty; write tickets, account or both, divided by |",
            );
        }
        let until = match self.get(PROXY_UNTIL).to_owned() {
            day if day.is_empty() => None,
            day => Some(self.day(PROXY_UNTIL, &day)?.to),
        };
        let blocked = self.truth(COURT_BLOCK, false);
        Some(Proxy {
            patient,
            scope,
            until,
            blocked,
        })
    }

    /// A day of their zone, from its first moment until the next one's.
    fn day(&mut self, column: &str, text: &str) -> Option<Window> {
        let own = self.text(ZONE);
        let zone = self.reading.zone(column, own)?;
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let days = Zone::find(&zone).and_then(|zone| zone.days(from.trim(), to.trim()));
        match days {
            Ok((from, to)) => Some(Window { from, to }),
            Err(error) => {
                self.reading.fault(column, without_quotes(&error));
                None
            }
        }
    }

    /// Reads the numbers; since when the one of record is said to be unchanged.
    fn numbers(&mut self, record: &mut Record) -> Option<i64> {
        for (column, kind) in NUMBERS {
            for part in self.parts(column) {
                self.reading
                    .number(column, &part, kind, &mut record.numbers);
            }
        }
        for word in self.parts(SHARED) {
            match kind_of(&word) {
                Some(kind) => {
                    let numbers = record.numbers.iter_mut();
                    for number in numbers.filter(|number| number.kind == kind) {
                        number.shared = true;
                    }
                }
                None => self
                    .reading
                    .fault(SHARED, "write mobile, desk, home, pager or other"),
            }
        }
        let word = self.get(OF_RECORD).to_owned();
        if word.is_empty() {
            return None;
        }
        let Some(kind) = kind_of(&word).filter(|kind| *kind != NumberKind::Pager) else {
            self.reading.fault(
                OF_RECORD,
                "write mobile, desk, home or other: a number that somebody answers",
            );
            return None;
        };
        let mut numbers = record.numbers.iter_mut();
        match numbers.find(|number| number.kind == kind) {
            Some(number) if number.shared => {
                self.reading.fault(
                    OF_RECORD,
                    "names a shared number; the number of record is theirs alone",
                );
            }
            Some(number) => number.of_record_since = Some(0),
            None => self
                .reading
                .fault(OF_RECORD, "names a column in which this row has no number"),
        }
        let since = self.get(OF_RECORD_SINCE).to_owned();
        if since.is_empty() {
            return None;
        }
        Some(self.day(OF_RECORD_SINCE, &since)?.from)
    }

    /// How they are to be spoken to.
    fn manner(&mut self, record: &mut Record) {
        let language = self.get(LANGUAGE).to_owned();
        if !language.is_empty() {
            record.language = Tongue::read(&language);
            if record.language.is_none() {
                self.reading
                    .fault(LANGUAGE, "isn't a language; write two letters, e.g. es");
            }
        }
        match self.get(PACE).to_lowercase().as_str() {
            "" => {}
            word => match Pace::from_word(word) {
                Some(pace) => record.pace = pace,
                None => self.reading.fault(PACE, "write standard or slow"),
            },
        }
        record.relay = self.truth(RELAY, false);
        record.frequent = self.truth(FREQUENT, false);
        record.device = self.text(DEVICE);
    }

    fn availability(&mut self, record: &mut Record) {
        let mut week: Vec<(String, String)> = Vec::new();
        for part in self.parts(AVAILABLE) {
            let Some((days, hours)) = part.split_once(char::is_whitespace) else {
                return self.reading.fault(
                    AVAILABLE,
                    "write days and hours, e.g. tue 08:00-12:00 | thu 08:00-12:00",
                );
            };
            week.push((days.to_lowercase(), hours.trim().to_owned()));
        }
        let mut away = Vec::new();
        for part in self.parts(AWAY) {
            away.extend(self.day(AWAY, &part));
        }
        if week.is_empty() {
            if !away.is_empty() {
                // Away from what? They can be called at any other time.
                week.push(("mon-sun".to_owned(), "00:00-24:00".to_owned()));
            } else {
                return;
            }
        }
        let own = self.text(ZONE);
        if let Some(zone) = self.reading.zone(AVAILABLE, own) {
            record.availability = self.reading.availability(AVAILABLE, zone, week, away);
        }
    }

    fn protection(&mut self) -> Protection {
        let restricted = self.truth(RESTRICTED, false);
        let spoken = self.text(ALIAS_SPOKEN);
        match self.text(ALIAS) {
            Some(name) => Protection::Alias {
                spoken: spoken.unwrap_or_else(|| name.clone()),
                name,
            },
            None if restricted => Protection::Restricted,
            None => Protection::Open,
        }
    }
}

fn kind_of(word: &str) -> Option<NumberKind> {
    let word = word.to_lowercase();
    let found = NUMBERS.iter().find(|(column, _)| *column == word);
    found.map(|(_, kind)| *kind)
}

/// The records of a text, counted as a spreadsheet counts rows.
struct Records<'a> {
    rest: &'a str,
    divider: char,
    row: u32,
}

/// A record's fields, or why it can't be read.
type Fields<'a> = Result<Vec<Cow<'a, str>>, &'static str>;

impl<'a> Records<'a> {
    fn new(text: &'a str) -> Self {
        let first = text.lines().next().unwrap_or_default();
        let mut records = Self {
            rest: text,
            divider: ',',
            row: 0,
        };
        // What Excel writes so that others know.
        if let Some(divider) = first.trim_end().strip_prefix("sep=")
            && let Some(divider @ (',' | ';' | '\t' | '|')) = divider.chars().next()
        {
            records.divider = divider;
            records.rest = text.get(first.len()..).unwrap_or_default();
            records.rest = records.rest.trim_start_matches(['\r', '\n']);
            records.row = 1;
            return records;
        }
        let count = |divider: char| first.matches(divider).count();
        let dividers = [',', ';', '\t'];
        records.divider = dividers
            .into_iter()
            .rev()
            .max_by_key(|divider| count(*divider))
            .unwrap_or(',');
        records
    }

    /// The next record and its row.
    fn next(&mut self) -> Option<(u32, Fields<'a>)> {
        if self.rest.is_empty() {
            return None;
        }
        self.row = self.row.saturating_add(1);
        let row = self.row;
        let mut fields = Vec::new();
        loop {
            let (field, more) = match self.field() {
                Ok(read) => read,
                Err(what) => {
                    self.skip_line();
                    return Some((row, Err(what)));
                }
            };
            if fields.len() >= WIDTH_MAX || field.len() > FIELD_MAX {
                if more {
                    self.skip_line();
                }
                return Some((
                    row,
                    Err(
                        "is too wide, or a field of it too long; look for a quote that isn't closed",
                    ),
                ));
            }
            fields.push(field);
            if !more {
                return Some((row, Ok(fields)));
            }
        }
    }

    /// The next field, and whether there are more in this record.
    fn field(&mut self) -> Result<(Cow<'a, str>, bool), &'static str> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let ends = [self.divider, '\n', '\r'];
            let end = self.rest.find(ends).unwrap_or(self.rest.len());
            let (field, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Ok((Cow::Borrowed(field), self.past_end()));
        };
        let mut field = Cow::Borrowed("");
        let mut rest = quoted;
        loop {
            let Some(end) = rest.find('"') else {
                // Everything behind it was swallowed: nothing more can be believed.
                self.rest = "";
                return Err(
                    "a quote is opened here and never closed; the rows behind it weren't read",
                );
            };
            let (part, behind) = rest.split_at(end);
            if field.is_empty() {
                field = Cow::Borrowed(part);
            } else {
                field.to_mut().push_str(part);
            }
            rest = &behind[1..];
            match rest.strip_prefix('"') {
                Some(more) => {
                    field.to_mut().push('"');
                    rest = more;
                }
                None => break,
            }
        }
        self.rest = rest;
        let ends = rest.is_empty() || rest.starts_with([self.divider, '\n', '\r']);
        if !ends {
            return Err(
                "text stands behind a closing quote; double a quote that belongs to the text (\"\")",
            );
        }
        Ok((field, self.past_end()))
    }

    /// Goes past what ends a field; true if it was the divider.
    fn past_end(&mut self) -> bool {
        if let Some(rest) = self.rest.strip_prefix(self.divider) {
            self.rest = rest;
            return true;
        }
        let rest = self.rest.strip_prefix("\r\n");
        self.rest = rest.unwrap_or_else(|| self.rest.get(1..).unwrap_or_default());
        false
    }

    fn skip_line(&mut self) {
        let end = self.rest.find('\n').map_or(self.rest.len(), |end| end + 1);
        self.rest = &self.rest[end..];
    }
}
