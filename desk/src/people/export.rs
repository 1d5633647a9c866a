//! Everybody as a table, which says the same when it is imported.

use super::import::{COLUMNS, Column};
use super::{Kind, NumberKind, Pace, Profile, Protection};

/// A table of these profiles (CSV, UTF-8, the columns of an import). Personal
/// data. `zone`: the hospital's, for days.
pub fn export<'a>(profiles: impl IntoIterator<Item = &'a Profile>, zone: Option<&str>) -> String {
    let zone = zone.and_then(|zone| hours::Zone::find(zone).ok());
    let zone = zone.unwrap_or(hours::Zone::UTC);
    let mut text = String::new();
    let names = COLUMNS.iter().map(|column| column.name.to_owned());
    line(names, &mut text);
    for profile in profiles {
        // Days are those of a person's own zone, where they have one.
        let own = profile.record.availability.as_ref();
        let own = own.and_then(|own| hours::Zone::find(own.zone()).ok());
        let zone = own.as_ref().unwrap_or(&zone);
        let cell = |column: &Column| cell(column.name, profile, zone);
        line(COLUMNS.iter().map(cell), &mut text);
    }
    text
}

const DAY_MS: i64 = 86_400_000;

fn line(cells: impl Iterator<Item = String>, text: &mut String) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            text.push(',');
        }
        if cell.contains([',', '"', '\n', '\r', ';', '\t']) {
            text.push('"');
            text.push_str(&cell.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(&cell);
        }
    }
    text.push('\n');
}

fn cell(column: &str, profile: &Profile, zone: &hours::Zone) -> String {
    let record = &profile.record;
    let yes = |truth: bool| if truth { "yes" } else { "" }.to_owned();
    let numbers = |kind: NumberKind| {
        let own = record.numbers.iter().filter(|number| number.kind == kind);
        // The number of record is its column's first.
        let mut own: Vec<_> = own.collect();
        own.sort_by_key(|number| number.of_record_since.is_none());
        let texts: Vec<_> = own.iter().map(|number| number.number.0.as_str()).collect();
        texts.join(" | ")
    };
    let proxy = match &record.kind {
        Kind::Proxy(proxy) => Some(proxy),
        _ => None,
    };
    match column {
        "id" => profile.origin.external.clone(),
        "role" => record.kind.word().to_owned(),
        "name" => record.name.clone(),
        "spoken" => record.spoken.clone(),
        "speciality" => record.kind.detail().unwrap_or_default().to_owned(),
        "shared" => {
            let shared = NumberKind::ALL.iter().filter(|kind| {
                let mut numbers = record.numbers.iter();
                numbers.any(|number| number.shared && number.kind == **kind)
            });
            let words: Vec<_> = shared.map(|kind| kind.word()).collect();
            words.join(" | ")
        }
        "of_record" => record
            .of_record()
            .map_or(String::new(), |(number, _)| number.kind.word().to_owned()),
        // The next day, if it was within one: the thirty days get no shorter.
        "of_record_since" => record
            .of_record()
            .map_or(String::new(), |(_, since)| zone.date(since + DAY_MS - 1)),
        "language" => record.language.map_or(String::new(), String::from),
        "pace" if record.pace == Pace::Standard => String::new(),
        "pace" => record.pace.word().to_owned(),
        "relay" => yes(record.relay),
        "available" => record
            .availability
            .as_ref()
            .map_or(String::new(), |a| a.week_text()),
        "zone" => record
            .availability
            .as_ref()
            .map_or(String::new(), |a| a.zone().to_owned()),
        "away" => record
            .availability
            .as_ref()
            .map_or(String::new(), |a| a.away_text()),
        "device" => record.device.clone().unwrap_or_default(),
        "frequent" => yes(record.frequent),
        "restricted" => yes(record.protection != Protection::Open),
        "alias" | "alias_spoken" => match &record.protection {
            Protection::Alias { name, .. } if column == "alias" => name.clone(),
            Protection::Alias { spoken, .. } => spoken.clone(),
            _ => String::new(),
        },
        "proxy_for" => proxy.map_or(String::new(), |proxy| proxy.patient.clone()),
        "proxy_scope" => proxy.map_or(String::new(), |proxy| {
            let words: Vec<_> = proxy.scope.iter().map(|scope| scope.word()).collect();
            words.join(" | ")
        }),
        // The day before the first moment after it.
        "proxy_until" => proxy
            .and_then(|proxy| proxy.until)
            .map_or(String::new(), |until| zone.date(until - 1)),
        "court_block" => yes(proxy.is_some_and(|proxy| proxy.blocked)),
        column => NumberKind::from_word(column).map_or(String::new(), numbers),
    }
}
