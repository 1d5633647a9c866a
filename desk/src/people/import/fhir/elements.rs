//! FHIR's data types, as far as they say who somebody is.

use hours::Zone;
use serde_json::Value;

use super::super::Reading;
use crate::people::{Factor, Number, NumberKind, SecretDigits, Tongue};

/// A text among a resource's elements.
pub(super) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

/// The elements of a list; none if it isn't there.
pub(super) fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// The codes of a CodeableConcept.
pub(super) fn words(concept: &Value) -> impl Iterator<Item = &str> {
    list(concept, "coding").filter_map(|coding| text(coding, "code"))
}

/// HumanName: the one to use, as it is shown; empty if there is none.
pub(super) fn name(resource: &Value) -> String {
    let rank = |name: &&Value| match text(name, "use") {
        Some("official") => 0,
        Some("usual") => 1,
        None => 2,
        Some("nickname") => 3,
        Some("temp" | "anonymous") => 4,
        Some(_) => 5,
    };
    let names = list(resource, "name").filter(|name| rank(name) < 5);
    let Some(name) = names.min_by_key(rank) else {
        return String::new();
    };
    if let Some(text) = text(name, "text") {
        return text.to_owned();
    }
    let part = |key| list(name, key).filter_map(Value::as_str);
    let family = text(name, "family");
    let words: Vec<&str> = part("prefix").chain(part("given")).chain(family).collect();
    words.join(" ")
}

/// ContactPoint: telephones and pagers that are in use.
pub(super) fn numbers(resource: &Value, reading: &mut Reading<'_>, numbers: &mut Vec<Number>) {
    for (place, point) in list(resource, "telecom").enumerate() {
        let kind = match (text(point, "system"), text(point, "use")) {
            (_, Some("old")) => continue,
            (Some("pager"), _) => NumberKind::Pager,
            (Some("phone" | "sms"), Some("mobile")) => NumberKind::Mobile,
            (Some("phone" | "sms"), Some("work")) => NumberKind::Desk,
            (Some("phone" | "sms"), Some("home")) => NumberKind::Home,
            (Some("phone" | "sms"), _) => NumberKind::Other,
            _ => continue,
        };
        let now = reading.context.now;
        if point
            .get("period")
            .is_some_and(|period| period_ended(period, now))
        {
            continue;
        }
        let Some(value) = text(point, "value") else {
            continue;
        };
        let before = numbers.len();
        let value = value.strip_prefix("tel:").unwrap_or(value);
        reading.number(&format!("telecom[{place}].value"), value, kind, numbers);
        let first = point.get("rank").and_then(Value::as_u64) == Some(1);
        let none = numbers
            .iter()
            .all(|number| number.of_record_since.is_none());
        if first
            && none
            && kind != NumberKind::Pager
            && let Some(number) = numbers.get_mut(before)
        {
            number.of_record_since = Some(0);
        }
    }
}

/// What somebody knows of themselves, as far as it can be keyed in: a whole date of birth, and
/// identifiers of digits (HL7 table 0203: `MR` a record's number, `EI` an employee's). What can't is
/// no fault of the file's.
pub(super) fn factors(resource: &Value) -> Vec<(Factor, SecretDigits)> {
    let mut factors = Vec::new();
    let born = text(resource, "birthDate").and_then(SecretDigits::read);
    factors.extend(
        born.filter(SecretDigits::is_date)
            .map(|born| (Factor::BirthDate, born)),
    );
    for (code, factor) in [("MR", Factor::Mrn), ("EI", Factor::StaffNumber)] {
        let of_kind = |identifier: &&Value| {
            let coded = identifier.get("type").into_iter();
            let mut codes = coded.flat_map(|kind| list(kind, "coding"));
            codes.any(|coding| text(coding, "code") == Some(code))
                && text(identifier, "use") != Some("old")
        };
        let mut identifiers = list(resource, "identifier").filter(of_kind);
        let digits = identifiers.find_map(|identifier| {
            let value = text(identifier, "value")?;
            SecretDigits::read(value)
        });
        factors.extend(digits.map(|digits| (factor, digits)));
    }
    factors
}

/// The preferred language, else the first; of Practitioner (a CodeableConcept)
/// and of Patient (which has it one level deeper).
pub(super) fn language(resource: &Value) -> Option<Tongue> {
    let preferred = |said: &&Value| said.get("preferred") == Some(&Value::Bool(true));
    let said = list(resource, "communication").find(preferred);
    let said = said.or_else(|| list(resource, "communication").next())?;
    let concept = said.get("language").unwrap_or(said);
    words(concept).find_map(Tongue::read)
}

/// Marked as restricted or very restricted (HL7's Confidentiality codes).
pub(super) fn restricted(resource: &Value) -> bool {
    let labels = resource.get("meta").into_iter();
    let mut labels = labels.flat_map(|meta| list(meta, "security"));
    labels.any(|label| matches!(text(label, "code"), Some("R" | "V")))
}

/// Whether a period is over.
pub(super) fn period_ended(period: &Value, now: i64) -> bool {
    let end = text(period, "end").and_then(|end| moment(end, &Zone::UTC, true));
    end.is_some_and(|end| end <= now)
}

/// A dateTime, Unix milliseconds; of a whole day its first moment or (`after`)
/// the first one after it.
pub(super) fn moment(text: &str, zone: &Zone, after: bool) -> Option<i64> {
    if text.contains('T') {
        return hours::instant(text).ok();
    }
    let (from, to) = zone.days(text, text).ok()?;
    Some(if after { to } else { from })
}
