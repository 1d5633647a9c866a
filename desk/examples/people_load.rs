//! What an import of so many people costs: time on one core, and the most
//! memory that was held at a time. `cargo run --release -p desk --example people_load -- 50000`

use std::fmt::Write as _;
use std::sync::Arc;

use desk::people::Register;
use desk::people::import::{Batch, Context, Plan, Policy, csv, fhir, plan};
use desk::{Directory, NumberRule, PhoneNumber};

const NOW: i64 = 1_795_348_800_000;

fn main() {
    let count = std::env::args().nth(1);
    let count: u32 = count.and_then(|count| count.parse().ok()).unwrap_or(50_000);
    let rule = NumberRule::default();
    let context = Context {
        rule: &rule,
        now: NOW,
        zone: Some("America/Chicago"),
    };
    let mut table = "id,role,name,mobile,desk,speciality,available,of_record\n".to_owned();
    let mut lines = String::new();
    for n in 0..count {
        let (mobile, desk) = (format!("+1503{:07}", n), 10_000 + n % 40_000);
        let _ = writeln!(
            table,
            "{n},clinician,Dr. Ada Number{n},{mobile},{desk},Cardiology,tue 08:00-12:00 | thu 08:00-12:00,mobile"
        );
        let _ = writeln!(
            lines,
            r#"{{"resourceType":"Practitioner","id":"{n}","active":true,"name":[{{"use":"official","family":"Number{n}","given":["Ada"],"prefix":["Dr."]}}],"telecom":[{{"system":"phone","value":"{mobile}","use":"mobile","rank":1}},{{"system":"phone","value":"{desk}","use":"work"}}],"communication":[{{"coding":[{{"code":"en"}}]}}]}}"#
        );
    }
    measure("CSV", &table, count, || csv(table.as_bytes(), context));
    measure("FHIR, a line each", &lines, count, || {
        fhir(lines.as_bytes(), context)
    });
}

fn measure(what: &str, text: &str, count: u32, read: impl Fn() -> Batch) {
    println!("{what}: {count} people, {:.1} MB", text.len() as f64 / 1e6);
    let batch = step("read", &read);
    let mut register = Register::default();
    let Plan {
        changes, report, ..
    } = step("compare", || {
        plan(&register, "hr", batch, Policy::default(), NOW)
    });
    assert_eq!((report.added as u32, report.faults.count()), (count, 0));
    step("take", || register.apply(&changes));
    let directory = step("find by number", || {
        let mut directory = Directory::default();
        let profiles = register.profiles().map(Arc::clone);
        directory.extend(profiles).expect("ids are given once");
        directory
    });
    let again = step("the same again", || {
        plan(&register, "hr", read(), Policy::default(), NOW)
    });
    assert!(again.changes.is_empty());
    let number = PhoneNumber("+15030000007".into());
    let found = step("one call", || {
        directory.caller(directory.find(Some(&number)))
    });
    assert!(matches!(found, desk::Caller::Person { .. }));
}

/// Does one step, and says what it costs.
#[allow(clippy::disallowed_methods)] // A measurement is what the clock is for.
fn step<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let mut done = None;
    let began = std::time::Instant::now();
    let memory = allocation_counter::measure(|| done = Some(work()));
    let took = began.elapsed();
    println!(
        "  {name:<15} {:>9.2} ms  {:>7.1} MB at most, {:>7.1} MB kept",
        took.as_secs_f64() * 1e3,
        memory.bytes_max as f64 / 1e6,
        memory.bytes_current as f64 / 1e6,
    );
    done.expect("the work was done")
}
