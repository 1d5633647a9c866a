use std::fmt::Write as _;
use std::sync::Arc;

use super::*;
use crate::message::{PersonId, Role};
use crate::people::{Change, Factor, Field, Pace, Protection, Register, Scope, Tongue};

const DAY: i64 = 86_400_000;
/// 2026-11-22, 12:00 in UTC.
const NOW: i64 = 1_795_348_800_000;

fn context(rule: &NumberRule) -> Context<'_> {
    Context {
        rule,
        now: NOW,
        zone: Some("America/Chicago"),
    }
}

fn read_csv(text: &str) -> Batch {
    csv(text.as_bytes(), context(&NumberRule::default()))
}

fn read_fhir(text: &str) -> Batch {
    fhir(text.as_bytes(), context(&NumberRule::default()))
}

/// The faults as `row field`, each followed by a word that its text holds.
fn check_faults(batch: &Batch, expected: &[(&str, &str)]) {
    let faults = batch.faults.kept().iter();
    let found: Vec<_> = faults
        .map(|f| (format!("{} {}", f.row, f.field), &*f.what))
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((place, what), (place_expected, word)) in found.iter().zip(expected) {
        assert_eq!(place, place_expected, "{what}");
        assert!(what.contains(word), "{place}: {what}");
    }
}

fn record(batch: &Batch, external: &str) -> Record {
    let row = batch.rows.iter().find(|row| row.external == external);
    match &row.unwrap_or_else(|| panic!("{external} was read")).told {
        Told::Here { record, .. } => (**record).clone(),
        Told::Gone => panic!("{external} is here"),
    }
}

const STAFF: &str = "\
id,role,name,spoken,mobile,desk,of_record,speciality,language,pace,relay,available,away,device
17,clinician,Dr. Ada Okafor,,+1 555 017 7001,4711|4712,mobile,Cardiology,es-MX,slow,yes,tue 08:00-12:00 | thu 08:00-12:00,2026-12-24..2026-12-31,old DECT
18,staff,\"Morales, Iris\",Iris,,4713,,Admissions,,,,,,
20,place,Theatre 2,Theatre two,,2001,,North,,,,,,
30,patient,Rosa Bell,,+15550177005,,,,,,,,,
";

#[test]
fn a_table_is_read() {
    let batch = read_csv(STAFF);
    check_faults(&batch, &[]);
    assert_eq!(batch.rows.len(), 4);
    let okafor = record(&batch, "17");
    assert_eq!(okafor.kind.role(), Some(Role::Clinician));
    assert_eq!(okafor.kind.detail(), Some("Cardiology"));
    assert_eq!(
        (&*okafor.name, &*okafor.spoken),
        ("Dr. Ada Okafor", "Doctor Okafor")
    );
    assert_eq!(okafor.language, Tongue::read("es"));
    assert_eq!((okafor.pace, okafor.relay), (Pace::Slow, true));
    assert_eq!(okafor.numbers.len(), 3);
    assert_eq!(
        okafor.of_record().map(|(number, _)| &*number.number.0),
        Some("+1 555 017 7001")
    );
    let availability = okafor.availability.expect("she said when");
    let windows = |from: &str, days: i64| {
        let from = hours::instant(from).unwrap();
        availability.windows(from, from + days * DAY).len()
    };
    assert_eq!(windows("2026-11-22T00:00:00-06:00", 7), 2);
    // Christmas Eve is a Thursday.
    assert_eq!(windows("2026-12-22T00:00:00-06:00", 7), 1);
    assert_eq!(&*record(&batch, "18").name, "Morales, Iris");
    assert_eq!(record(&batch, "20").kind.role(), None);
    assert_eq!(record(&batch, "30").kind, Kind::Patient);
}

#[test]
fn tables_are_read_as_spreadsheets_write_them() {
    let plain = read_csv(STAFF);
    let crlf = format!("\u{feff}{}", STAFF.replace('\n', "\r\n"));
    assert_eq!(read_csv(&crlf), plain);
    let cr = STAFF.replace('\n', "\r");
    assert_eq!(read_csv(&cr), plain);
    // Excel in Europe; a comma in a field is no divider then.
    let semicolons = STAFF
        .replace("\"Morales, Iris\"", "Morales@ Iris")
        .replace(',', ";");
    let semicolons = semicolons.replace('@', ",");
    assert_eq!(read_csv(&semicolons), plain);
    let tabs = semicolons.replace(';', "\t");
    assert_eq!(read_csv(&tabs), plain);
    let told = read_csv(&format!("sep=;\r\n{semicolons}"));
    assert_eq!(told.rows.len(), 4);
    assert_eq!(told.rows[0].row, 3);
    // Columns in any order and any spelling, more than are known.
    let batch = read_csv("Shoe Size,NAME,Role,ID\n44,A,staff,1\n\n,,,\n45,B,staff,2");
    check_faults(&batch, &[]);
    assert_eq!(
        batch.rows.iter().map(|row| row.row).collect::<Vec<_>>(),
        [2, 5]
    );
    assert_eq!(batch.unread.get("shoe_size"), Some(&1));
}

#[test]
fn quotes_hold_anything() {
    let head = "id,role,name,device\n";
    let batch = read_csv(&format!(
        "{head}1,staff,\"Anne \"\"Ann\"\" Lee\",\"a,b\"\n2,staff,\"\",x\n3,staff,\"two\nlines\",x\n4,staff,B,5\" screen\n"
    ));
    check_faults(&batch, &[("3 name", "empty"), ("4 name", "line breaks")]);
    assert_eq!(&*record(&batch, "1").name, "Anne \"Ann\" Lee");
    assert_eq!(record(&batch, "1").device.as_deref(), Some("a,b"));
    assert_eq!(record(&batch, "4").device.as_deref(), Some("5\" screen"));
    assert_eq!(batch.bad, ["2", "3"]);
    let batch = read_csv(&format!(
        "{head}1,staff,\"A\" B,x\n2,staff,C,y\n3,staff,\"open,x\n4,staff,D,x\n"
    ));
    check_faults(
        &batch,
        &[("2 row", "closing quote"), ("4 row", "never closed")],
    );
    assert_eq!(batch.rows.len(), 1);
}

#[test]
fn another_encoding_is_told_plainly() {
    let latin = b"id,role,name\n1,staff,Ana\n2,staff,Andr\xe9\n";
    let batch = csv(latin, context(&NumberRule::default()));
    check_faults(&batch, &[("3 row", "CSV UTF-8")]);
    let wide = b"\xff\xfei\0d\0";
    check_faults(
        &csv(wide, context(&NumberRule::default())),
        &[("0 file", "UTF-16")],
    );
    check_faults(&read_csv(""), &[("0 file", "empty")]);
}

#[test]
fn each_row_has_its_own_faults_and_none_shows_what_stood_there() {
    let head = "id,role,name,mobile,desk,pager,of_record,shared,language,pace,relay,available,away,proxy_for,proxy_scope";
    let rows = "\
1,boss,Secretive Name,,,,,,,,,,,,
,staff,Secretive Name,,,,,,,,,,,,
3,staff,,,,,,,,,,,,,
4,staff,Secretive Name,0170secret,,,,,,,,,,,
5,staff,Secretive Name,,,,desk,,,,,,,,
6,staff,Secretive Name,,4711,,desk,desk,,,,,,,
7,staff,Secretive Name,,,123,pager,,,,,,,,
8,staff,Secretive Name,,,,,,englisch,quick,maybe,,,,
9,staff,Secretive Name,,,,,,,,,tue secret-12:00,,,
10,staff,Secretive Name,,,,,,,,,always,,,
11,staff,Secretive Name,,,,,,,,,,24.12.2026,,
12,proxy,Secretive Name,,,,,,,,,,,,tickets
13,proxy,Secretive Name,,,,,,,,,,,30,everything
14,staff,Secretive Name,,,,,,,,,,,30,
15,staff,Secretive Name,,,,,,,,,,,,,more,secret
16,staff,Secretive\u{200f}Name,,,,,,,,,,,,
17,staff,Whole,,,,,,,,,,,,
";
    let batch = read_csv(&format!("{head}\n{rows}"));
    check_faults(
        &batch,
        &[
            ("2 role", "clinician"),
            ("3 id", "key"),
            ("4 name", "empty"),
            ("5 mobile", "telephone number"),
            ("6 of_record", "no number"),
            ("7 of_record", "shared"),
            ("8 of_record", "answers"),
            ("9 language", "two letters"),
            ("9 pace", "standard or slow"),
            ("9 relay", "yes or no"),
            ("10 available", "08:00-12:00"),
            ("11 available", "08:00-12:00"),
            ("12 away", "2026-12-24"),
            ("13 proxy_for", "patient's id"),
            ("14 proxy_scope", "tickets"),
            ("14 proxy_scope", "tickets"),
            ("15 role", "proxy"),
            ("16 row", "more fields"),
            ("17 name", "can't be seen"),
        ],
    );
    assert_eq!(batch.rows.len(), 1);
    let report = plan(&Register::default(), "hr", batch, Policy::default(), NOW).report;
    let text = report.text(None);
    for secret in ["Secretive", "secret", "englisch", "quick", "24.12"] {
        assert!(!text.contains(secret), "{text}");
    }
    let batch = read_csv("Ada Okafor,+15550177001\nRosa Bell,+15550177005\n");
    check_faults(
        &batch,
        &[
            ("1 id", "missing"),
            ("1 role", "missing"),
            ("1 name", "missing"),
        ],
    );
    let text = plan(&Register::default(), "hr", batch, Policy::default(), NOW)
        .report
        .text(None);
    assert!(!text.contains("kafor") && !text.contains("0177"), "{text}");
    check_faults(&read_csv("id,role,name,id\n"), &[("1 id", "twice")]);
}

#[test]
fn without_a_zone_there_are_no_hours() {
    let rule = NumberRule::default();
    let context = Context {
        zone: None,
        ..context(&rule)
    };
    let text = "id,role,name,available,zone\n1,staff,A,mon 08:00-12:00,\n2,staff,B,mon 08:00-12:00,Asia/Tokyo\n";
    let batch = csv(text.as_bytes(), context);
    check_faults(&batch, &[("2 available", "zone")]);
    assert_eq!(
        record(&batch, "2").availability.unwrap().zone(),
        "Asia/Tokyo"
    );
}

/// Imports into a register; what is said of it.
fn import(register: &mut Register, batch: Batch, policy: Policy, now: i64) -> Report {
    let Plan {
        changes, report, ..
    } = plan(register, "hr", batch, policy, now);
    register.apply(&changes);
    report
}

fn counts(report: &Report) -> [usize; 5] {
    [
        report.added,
        report.changed.len(),
        report.unchanged,
        report.removed,
        report.kept,
    ]
}

#[test]
fn the_second_import_changes_nothing() {
    let mut register = Register::default();
    let first = import(&mut register, read_csv(STAFF), Policy::default(), NOW);
    assert_eq!(counts(&first), [4, 0, 0, 0, 0]);
    let ids: Vec<_> = register.profiles().map(|profile| profile.id.0).collect();
    assert_eq!(ids, [1_000_000, 1_000_001, 1_000_002, 1_000_003]);
    let again = plan(
        &register,
        "hr",
        read_csv(STAFF),
        Policy::default(),
        NOW + DAY,
    );
    assert_eq!(counts(&again.report), [0, 0, 4, 0, 0]);
    assert!(again.changes.is_empty());
    // Another source's people are others, whatever they are called.
    let other = plan(&register, "clinic", read_csv(STAFF), Policy::default(), NOW);
    assert_eq!(counts(&other.report), [4, 0, 0, 0, 0]);
}

#[test]
fn a_change_is_told_field_by_field_and_shown_only_when_asked() {
    let mut register = Register::default();
    import(&mut register, read_csv(STAFF), Policy::default(), NOW);
    let changed = STAFF
        .replace("Iris,,4713", "Iris,,4799")
        .replace("Admissions", "Billing");
    let plan = plan(&register, "hr", read_csv(&changed), Policy::default(), NOW);
    assert_eq!(counts(&plan.report), [0, 1, 3, 0, 0]);
    assert_eq!(
        plan.report.changed[0].fields,
        [Field::Detail, Field::Numbers]
    );
    let text = plan.report.text(None);
    assert!(
        text.contains("row 3: person 1000001: speciality, numbers"),
        "{text}"
    );
    assert!(
        !text.contains("4799") && !text.contains("Billing"),
        "{text}"
    );
    let shown = plan.report.text(Some(&plan.changes));
    assert!(
        shown.contains("\"Admissions\" becomes \"Billing\"") && shown.contains("4799"),
        "{shown}"
    );
    register.apply(&plan.changes);
    assert_eq!(register.get(PersonId(1_000_001)).unwrap().version, 2);
}

#[test]
fn nothing_is_half_imported() {
    let mut register = Register::default();
    import(&mut register, read_csv(STAFF), Policy::default(), NOW);
    let odd = format!("{STAFF}40,boss,Kim,,,,,,,,,,,\n41,staff,Lee,,,,,,,,,,,\n");
    let refused = plan(&register, "hr", read_csv(&odd), Policy::default(), NOW);
    assert!(refused.changes.is_empty());
    assert!(refused.report.text(None).contains("Refused"));
    let skip = Policy {
        skip_bad_rows: true,
        ..Policy::default()
    };
    let report = import(&mut register, read_csv(&odd), skip, NOW);
    assert_eq!(counts(&report), [1, 0, 4, 0, 0]);
    assert_eq!(report.faults.count(), 1);
}

#[test]
fn who_is_missing_stays_unless_the_file_is_everybody() {
    let mut register = Register::default();
    import(&mut register, read_csv(STAFF), Policy::default(), NOW);
    let short = STAFF.lines().take(4).collect::<Vec<_>>().join("\n");
    let report = import(&mut register, read_csv(&short), Policy::default(), NOW);
    assert_eq!(counts(&report), [0, 0, 3, 0, 1]);
    let remove = Policy {
        missing: Missing::Remove,
        skip_bad_rows: true,
        remove_many: false,
    };
    // The row that can't be read may be hers.
    let odd = format!("{short}\n,patient,Rosa Bell,,,,,,,,,,,\n");
    let report = import(&mut register, read_csv(&odd), remove, NOW);
    assert_eq!(counts(&report), [0, 0, 3, 0, 1]);
    assert!(report.text(None).contains("nobody is removed"));
    let report = import(&mut register, read_csv(&short), remove, NOW);
    assert_eq!(counts(&report), [0, 0, 3, 1, 0]);
    assert_eq!(register.profiles().len(), 3);
    // Her id isn't given again.
    import(&mut register, read_csv(STAFF), Policy::default(), NOW);
    assert_eq!(register.profiles().last().unwrap().id, PersonId(1_000_004));
    // A row can say so as well.
    let gone = "id,role,name,active\n30,patient,Rosa Bell,no\n31,patient,Nobody Known,no\n";
    let report = import(&mut register, read_csv(gone), Policy::default(), NOW);
    assert_eq!(counts(&report), [0, 0, 1, 1, 3]);
}

#[test]
fn an_empty_export_removes_nobody_by_mistake() {
    let many = |count: usize| {
        let rows = (0..count).map(|n| format!("{n},staff,Name {n}\n"));
        read_csv(&format!("id,role,name\n{}", rows.collect::<String>()))
    };
    let mut register = Register::default();
    import(&mut register, many(40), Policy::default(), NOW);
    let mut policy = Policy {
        missing: Missing::Remove,
        ..Policy::default()
    };
    let report = import(&mut register, many(1), policy, NOW);
    assert!(report.refused.is_some_and(|why| why.contains("39 of 40")));
    assert_eq!(register.profiles().len(), 40);
    policy.remove_many = true;
    import(&mut register, many(1), policy, NOW);
    assert_eq!(register.profiles().len(), 1);
}

#[test]
fn the_number_of_record_counts_from_when_it_was_seen_here() {
    let head = "id,role,name,mobile,home,of_record,of_record_since\n";
    let row = |rest: &str| read_csv(&format!("{head}{rest}\n"));
    let since = |register: &Register| {
        let profile = register.profiles().next().unwrap();
        let (number, since) = profile.record.of_record().unwrap();
        (number.number.0.clone(), since)
    };
    let mut register = Register::default();
    let policy = Policy::default();
    // Who is new is told of by the source, but not beyond now.
    let first = "1,staff,A,5550170001,5550170002,mobile,2026-01-31";
    import(&mut register, row(first), policy, NOW);
    let january = hours::instant("2026-01-31T00:00:00-06:00").unwrap();
    assert_eq!(since(&register), ("5550170001".into(), january));
    // Nothing changes by saying another date.
    import(
        &mut register,
        row(&first.replace("2026-01", "2020-01")),
        policy,
        NOW + DAY,
    );
    assert_eq!(since(&register).1, january);
    // Another number is new, whatever the file says.
    let other = "1,staff,A,5550170009,5550170002,mobile,2020-01-31";
    import(&mut register, row(other), policy, NOW + 2 * DAY);
    assert_eq!(since(&register), ("5550170009".into(), NOW + 2 * DAY));
    let home = "1,staff,A,5550170009,5550170002,home,2020-01-31";
    import(&mut register, row(home), policy, NOW + 3 * DAY);
    assert_eq!(since(&register), ("5550170002".into(), NOW + 3 * DAY));
    let mut register = Register::default();
    import(
        &mut register,
        row(&first.replace("2026", "2036")),
        policy,
        NOW,
    );
    assert_eq!(since(&register).1, NOW);
}

#[test]
fn a_key_stands_once_and_a_proxy_speaks_for_somebody() {
    let text = "\
id,role,name,proxy_for,proxy_scope,proxy_until,court_block
1,proxy,Kim Bell,30,account | tickets,2026-12-31,no
30,patient,Rosa Bell,,,,
30,patient,Rosa Ball,,,,
2,proxy,Lee Bell,31,tickets,,yes
3,proxy,Jo Bell,1,tickets,,
";
    let skip = Policy {
        skip_bad_rows: true,
        ..Policy::default()
    };
    let Plan {
        changes, report, ..
    } = plan(&Register::default(), "hr", read_csv(text), skip, NOW);
    let faults: Vec<_> = report
        .faults
        .kept()
        .iter()
        .map(|f| (f.row, &*f.field))
        .collect();
    assert_eq!(faults, [(4, "id"), (5, "proxy_for"), (6, "proxy_for")]);
    assert_eq!(changes.len(), 2);
    let Change::Put(proxy) = &changes[0] else {
        panic!("somebody new");
    };
    let Kind::Proxy(rights) = &proxy.record.kind else {
        panic!("a proxy");
    };
    let last = hours::instant("2026-12-31T23:59:59-06:00").unwrap();
    assert!(rights.may(Scope::Account, last) && !rights.may(Scope::Account, last + 1_000));
    // The patient may have come before.
    let mut register = Register::default();
    import(
        &mut register,
        read_csv("id,role,name\n31,patient,Ann\n"),
        Policy::default(),
        NOW,
    );
    let text = "id,role,name,proxy_for,proxy_scope\n2,proxy,Lee Bell,31,tickets\n";
    assert_eq!(
        counts(&import(
            &mut register,
            read_csv(text),
            Policy::default(),
            NOW
        ))[0],
        1
    );
}

#[test]
fn who_is_protected_has_an_alias() {
    let text = "\
id,role,name,restricted,alias,alias_spoken
1,patient,Famous Face,yes,,
2,patient,Famous Face,,John Doe,
3,staff,Famous Face,no,J. Doe,John
";
    let batch = read_csv(text);
    check_faults(&batch, &[]);
    assert_eq!(record(&batch, "1").protection, Protection::Restricted);
    let alias = |name: &str, spoken: &str| Protection::Alias {
        name: name.into(),
        spoken: spoken.into(),
    };
    assert_eq!(
        record(&batch, "2").protection,
        alias("John Doe", "John Doe")
    );
    assert_eq!(record(&batch, "3").protection, alias("J. Doe", "John"));
}

#[test]
fn greetings_are_made_of_names() {
    let doctor = Kind::of(Role::Clinician);
    for (name, spoken) in [
        ("Dr. Ada Okafor", "Doctor Okafor"),
        ("Dr Ada Okafor, MD", "Doctor Okafor"),
        ("Prof. Kim", "Professor Kim"),
        ("Dr.", "Dr."),
        ("Iris Morales", "Iris Morales"),
    ] {
        assert_eq!(spoken_of(&doctor, name), spoken);
    }
    assert_eq!(
        spoken_of(&Kind::Place { site: None }, "Dr. Hall Ward"),
        "Dr. Hall Ward"
    );
}

const BUNDLE: &str = r#"{
  "resourceType": "Bundle", "type": "collection",
  "entry": [
    {"fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "resource": {
      "resourceType": "PractitionerRole", "id": "r1", "active": true,
      "practitioner": {"reference": "urn:uuid:5e7f1a0b-9d4a-4c0f-8f3b-1f6a51b0a001"},
      "specialty": [{"coding": [{"system": "http://snomed.info/sct", "code": "394579002", "display": "Cardiology"}]}],
      "telecom": [{"system": "phone", "value": "4711", "use": "work"}, {"system": "email", "value": "a@b.example"}],
      "availableTime": [
        {"daysOfWeek": ["tue", "thu"], "availableStartTime": "08:00:00", "availableEndTime": "12:00:00"},
        {"daysOfWeek": ["thu"], "availableStartTime": "11:00:00", "availableEndTime": "13:30:00"}],
      "notAvailable": [{"description": "Holidays", "during": {"start": "2026-12-24", "end": "2026-12-31"}},
        {"description": "usually lunches late"}]}},
    {"fullUrl": "urn:uuid:5e7f1a0b-9d4a-4c0f-8f3b-1f6a51b0a001", "resource": {
      "resourceType": "Practitioner", "id": "17", "active": true,
      "name": [{"use": "old", "family": "Eze"}, {"use": "official", "family": "Okafor", "given": ["Ada"], "prefix": ["Dr."]}],
      "telecom": [{"system": "phone", "value": "+1 555 017 7001", "use": "mobile", "rank": 1},
        {"system": "phone", "value": "+1 555 017 7999", "use": "old"},
        {"system": "pager", "value": "+1 555 017 7002", "rank": 1},
        {"system": "phone", "value": "+1 555 017 7003", "period": {"end": "2020-01-01"}}],
      "communication": [{"coding": [{"code": "es-MX"}]}], "birthDate": "1980-03-01"}},
    {"resource": {"resourceType": "Practitioner", "id": "18", "name": [{"text": "Iris Morales"}]}},
    {"resource": {"resourceType": "PractitionerRole", "id": "r2", "practitioner": {"reference": "https://ehr.example/fhir/Practitioner/18"},
      "code": [{"coding": [{"code": "ict"}]}], "availableTime": [{"daysOfWeek": ["mon"], "allDay": true}]}},
    {"resource": {"resourceType": "Patient", "id": "30", "meta": {"security": [{"code": "R"}]},
      "name": [{"family": "Bell", "given": ["Rosa"]}], "birthDate": "1980", "identifier": [{"value": "7"},
        {"use": "usual", "type": {"coding": [{"code": "MR"}]}, "value": "0047-1100"}], "telecom": [{"system": "phone", "value": "tel:+15550177005", "use": "home"}],
      "communication": [{"language": {"coding": [{"code": "en"}]}}, {"language": {"coding": [{"code": "pt"}]}, "preferred": true}]}},
    {"resource": {"resourceType": "Patient", "id": "31", "name": [{"text": "Gone"}], "deceasedBoolean": true}},
    {"resource": {"resourceType": "Location", "id": "20", "status": "active", "name": "Theatre 2",
      "telecom": [{"system": "phone", "value": "2001"}], "partOf": {"display": "North"}}},
    {"resource": {"resourceType": "Location", "id": "21", "status": "active", "name": "Store room"}},
    {"resource": {"resourceType": "Organization", "id": "1"}}
  ]
}"#;

#[test]
fn a_bundle_is_read() {
    let batch = read_fhir(BUNDLE);
    check_faults(&batch, &[]);
    assert_eq!(batch.unit, Unit::Entry);
    assert_eq!(batch.rows.len(), 5);
    // A date of birth, and a record's number: a year alone is nothing to key in.
    let known: Vec<_> = batch.untold.0.iter().map(|(_, told)| told[0].0).collect();
    assert_eq!(known, [Factor::BirthDate, Factor::Mrn]);
    let okafor = record(&batch, "Practitioner/17");
    assert_eq!(
        (&*okafor.name, &*okafor.spoken),
        ("Dr. Ada Okafor", "Doctor Okafor")
    );
    assert_eq!(okafor.kind.detail(), Some("Cardiology"));
    assert_eq!(okafor.language, Tongue::read("es"));
    let numbers: Vec<_> = okafor
        .numbers
        .iter()
        .map(|n| (&*n.number.0, n.kind))
        .collect();
    assert_eq!(
        numbers,
        [
            ("+1 555 017 7001", NumberKind::Mobile),
            ("+1 555 017 7002", NumberKind::Pager),
            ("4711", NumberKind::Desk),
        ]
    );
    assert_eq!(
        okafor.of_record().map(|(number, _)| number.kind),
        Some(NumberKind::Mobile)
    );
    let availability = okafor.availability.unwrap();
    let hours = availability.to_string();
    assert!(
        hours.starts_with("tue 08:00-12:00 | thu 08:00-13:30 (America/Chicago)"),
        "{hours}"
    );
    let christmas = hours::instant("2026-12-24T00:00:00-06:00").unwrap();
    assert_eq!(
        availability.away(),
        [Window {
            from: christmas,
            to: christmas + 8 * DAY
        }]
    );
    let morales = record(&batch, "Practitioner/18");
    assert_eq!(morales.kind.role(), Some(Role::Staff));
    assert!(
        morales
            .availability
            .unwrap()
            .to_string()
            .starts_with("mon 00:00-24:00")
    );
    let bell = record(&batch, "Patient/30");
    assert_eq!(bell.language, Tongue::read("pt"));
    assert_eq!(bell.protection, Protection::Restricted);
    assert_eq!(&*bell.numbers[0].number.0, "+15550177005");
    assert_eq!(record(&batch, "Location/20").kind.detail(), Some("North"));
    let gone = batch
        .rows
        .iter()
        .find(|row| row.external == "Patient/31")
        .unwrap();
    assert_eq!(gone.told, Told::Gone);
    assert_eq!(batch.unread.get("Organization"), Some(&1));
    assert_eq!(batch.unread.get("Location without a telephone"), Some(&1));
}

#[test]
fn a_bundle_and_its_resources_line_by_line_say_the_same() {
    let bundle: serde_json::Value = serde_json::from_str(BUNDLE).unwrap();
    let mut lines = String::new();
    for entry in bundle["entry"].as_array().unwrap() {
        // What refers by an entry's address refers by the resource's outside of a bundle.
        let text = entry["resource"].to_string();
        let text = text.replace(
            "urn:uuid:5e7f1a0b-9d4a-4c0f-8f3b-1f6a51b0a001",
            "Practitioner/17",
        );
        writeln!(lines, "{text}").unwrap();
    }
    let (whole, by_line) = (read_fhir(BUNDLE), read_fhir(&lines));
    check_faults(&by_line, &[]);
    assert_eq!(by_line.unit, Unit::Line);
    assert_eq!(by_line.rows, whole.rows);
    // On a single line it is a bundle all the same.
    let minified = read_fhir(&bundle.to_string());
    assert_eq!(minified, whole);
    let mut register = Register::default();
    assert_eq!(
        counts(&import(&mut register, whole, Policy::default(), NOW)),
        [4, 0, 1, 0, 0]
    );
    let again = import(&mut register, by_line, Policy::default(), NOW + DAY);
    assert_eq!(counts(&again), [0, 0, 5, 0, 0]);
}

#[test]
fn what_is_wrong_with_resources_is_told_by_line() {
    let lines = r#"{"resourceType": "Practitioner", "id": "1", "name": [{"text": "Secretive Name"}], "telecom": [{"system": "phone", "value": "none"}]}
{"resourceType": "Practitioner", "name": [{"text": "Secretive Name"}]}
{"resourceType": "Practitioner", "id": "3"}
{"resourceType": "Practitioner", "id": "4", "name": [{"text": "Secretive Name"}]

{"resourceType": "Practitioner", "id": "6", "name": [{"text": "Secretive Name"}]}
{"resourceType": "Practitioner", "id": "6", "name": [{"text": "Secretive Name"}]}
{"resourceType": "PractitionerRole", "id": "8", "practitioner": {"reference": "Practitioner/99"}}
{"resourceType": "PractitionerRole", "id": "9", "practitioner": {"reference": "Practitioner/6"}, "availableTime": [{"daysOfWeek": ["Mo"], "availableStartTime": "8am"}]}
{"resourceType": "PractitionerRole", "id": "10"}
[1]
{"id": "12"}
{"resourceType": "Patient", "id": "13", "name": [{"text": "Whole"}]}
"#;
    let batch = read_fhir(lines);
    check_faults(
        &batch,
        &[
            ("1 telecom[0].value", "telephone number"),
            ("2 id", "missing"),
            ("3 name", "missing"),
            ("4 json", "isn't JSON"),
            ("7 id", "before"),
            ("9 availableTime[0]", "time"),
            ("10 practitioner.reference", "missing"),
            ("11 json", "FHIR"),
            ("12 resourceType", "missing"),
            ("8 practitioner.reference", "isn't in this file"),
        ],
    );
    // Half of what is known of 6 isn't taken.
    assert_eq!(batch.rows.len(), 1);
    assert!(batch.bad.contains(&"Practitioner/6".to_owned()));
    check_faults(
        &read_fhir("{\"resourceType\": \"Bundle\", \"entry\": {}}"),
        &[("0 json", "FHIR")],
    );
    check_faults(&read_fhir("not json\nat all"), &[("0 json", "isn't JSON")]);
    check_faults(&read_fhir(" \n"), &[("0 file", "empty")]);
    check_faults(
        &read_fhir("{\"resourceType\": \"Bundle\", \"entry\": [{\"fullUrl\": \"x\"}]}"),
        &[("1 resource", "no resource")],
    );
}

#[test]
fn faults_beyond_a_thousand_are_counted() {
    let rows = (0..1_500).map(|n| format!("{n},boss,Name\n"));
    let batch = read_csv(&format!("id,role,name\n{}", rows.collect::<String>()));
    assert_eq!(
        (batch.faults.kept().len(), batch.faults.count()),
        (FAULTS_TOLD_MAX, 1_500)
    );
    let report = plan(&Register::default(), "hr", batch, Policy::default(), NOW).report;
    assert!(report.text(None).contains("and 500 more"));
}

#[test]
fn what_was_found_by_an_import_is_found_by_a_call() {
    let mut register = Register::default();
    import(&mut register, read_csv(STAFF), Policy::default(), NOW);
    let mut directory = crate::Directory::default();
    directory
        .extend(register.profiles().map(Arc::clone))
        .unwrap();
    let found = directory.find(Some(&PhoneNumber("+15550177001".into())));
    let crate::Caller::Person {
        spoken_name,
        traits,
        ..
    } = directory.caller(found)
    else {
        panic!("she is known");
    };
    assert_eq!(spoken_name.as_deref(), Some("Doctor Okafor"));
    assert!(traits.relay && traits.slow);
    assert_eq!(traits.speciality.as_deref(), Some("Cardiology"));
    let found = directory.find(Some(&PhoneNumber("2001".into())));
    assert!(matches!(
        directory.caller(found),
        crate::Caller::Place { .. }
    ));
}

#[test]
fn what_is_exported_says_the_same_when_it_is_imported() {
    let rich = "\
id,role,name,spoken,mobile,desk,home,shared,of_record,available,away,zone,restricted,alias,alias_spoken,proxy_for,proxy_scope,proxy_until,court_block,frequent
1,staff,\"Lee, \"\"Al\"\"\",Al,5550170001 | 5550170002,4711,5550170009,desk,mobile,mon-fri 08:00-12:00|sat 22:00-02:00,2026-12-24..2026-12-31|2027-01-02,Europe/Berlin,,J. Doe,Jay,,,,,yes
2,patient,Rosa Bell,,,,,,,,,,yes,,,,,,,
3,proxy,Kim Bell,,,,,,,,,,,,,2,account|tickets,2026-12-31,yes,
";
    let zone = Some("America/Chicago");
    for text in [STAFF, rich] {
        let mut register = Register::default();
        let first = import(&mut register, read_csv(text), Policy::default(), NOW);
        assert_eq!(first.refused, None, "{:?}", first.faults);
        let profiles: Vec<_> = register.profiles().cloned().collect();
        let table = crate::people::export(profiles.iter().map(|profile| &**profile), zone);
        let again = import(
            &mut register,
            read_csv(&table),
            Policy::default(),
            NOW + DAY,
        );
        assert_eq!(counts(&again), [0, 0, profiles.len(), 0, 0], "{table}");
        // And somewhere else the same people come of it.
        let mut elsewhere = Register::default();
        import(&mut elsewhere, read_csv(&table), Policy::default(), NOW);
        let table_there = crate::people::export(elsewhere.profiles().map(|p| &**p), zone);
        assert_eq!(table_there, table);
    }
}

#[test]
fn the_columns_are_documented() {
    let page = include_str!("../../../../docs/people.md");
    for Column { name, about } in COLUMNS {
        let line = format!("| `{name}` | {} |", about.replace('|', "&#124;"));
        assert!(page.contains(&line), "docs/people.md lacks: {line}");
    }
}

#[test]
fn what_people_know_of_themselves_is_taken_and_never_told() {
    let table = "id,role,name,birth_date,mrn,staff_number,pin\n\
                 1,patient,Rosa,1980-03-01,0047 1100,,\n\
                 2,staff,Kim,,,60417,9182 73\n\
                 3,staff,Ola,,,,\n";
    let batch = read_csv(table);
    check_faults(&batch, &[]);
    assert_eq!(batch.untold.count(), 4);
    let mut register = Register::default();
    let planned = plan(&register, "hr", batch, Policy::default(), NOW);
    let whose: Vec<_> = planned
        .untold
        .0
        .iter()
        .map(|(person, told)| (person.0, told.len()))
        .collect();
    assert_eq!(whose, [(1_000_000, 2), (1_000_001, 2)]);
    let told = planned.report.text(Some(&planned.changes));
    assert!(
        told.contains("4 dates of birth, numbers and PINs are sealed"),
        "{told}"
    );
    register.apply(&planned.changes);
    // The same file again changes nobody, but what they know is sealed anew; an empty cell leaves it as it was.
    let again = plan(&register, "hr", read_csv(table), Policy::default(), NOW);
    let report = &again.report;
    assert_eq!(
        (report.unchanged, report.changed.len(), again.changes.len()),
        (3, 0, 2)
    );
    let without = table
        .replace("1980-03-01,0047 1100", ",")
        .replace("60417,9182 73", ",");
    let without = plan(&register, "hr", read_csv(&without), Policy::default(), NOW);
    assert_eq!((without.changes.len(), without.untold.count()), (0, 0));
    for text in [
        told,
        format!("{again:?}"),
        again.report.text(Some(&again.changes)),
    ] {
        for secret in ["0047", "1100", "1980", "60417", "9182"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn what_nobody_could_key_in_is_told() {
    let batch = read_csv(
        "id,role,name,birth_date,mrn,staff_number,pin\n\
         1,patient,Rosa,03/01/1980,,,\n\
         2,patient,Kim,1980-13-01,MR-4711,,\n\
         3,staff,Ola,,,S17,123\n\
         4,place,Theatre,1980-03-01,,,\n",
    );
    check_faults(
        &batch,
        &[
            ("2 birth_date", "isn't a date"),
            ("3 birth_date", "isn't a date"),
            ("3 mrn", "isn't a number"),
            ("4 staff_number", "isn't a number"),
            ("4 pin", "isn't a PIN"),
            ("5 birth_date", "a place knows nothing"),
        ],
    );
}
