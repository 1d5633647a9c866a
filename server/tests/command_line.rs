//! `careline` and `make call`, as a newcomer types them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use server::phone::Script;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn careline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_careline"));
    command.args(arguments).current_dir(root());
    command
}

/// What `make call` would type, with these variables.
fn make_call(variables: &[&str]) -> String {
    let output = Command::new("make")
        .args(["--dry-run", "--no-print-directory", "call"])
        .args(variables)
        .current_dir(root())
        .env_remove("MAKEFLAGS")
        .output()
        .expect("make");
    let text = String::from_utf8(output.stdout).expect("text");
    let typed = text.lines().find(|line| line.contains(" call "));
    typed.unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// Every number of the demo that asks for a key gets one that leads to a person.
#[test]
fn make_call_leads_to_a_person_on_every_number() {
    for (number, key) in [
        ("1001", None),
        ("1002", Some("1")),
        ("1003", Some("0")),
        ("1004", None),
        ("1005", Some("0")),
        ("1007", Some("0")),
        ("1009", Some("7004")),
        ("1011", Some("0")),
        ("1013", Some("0")),
        ("2002", Some("1")),
        ("2003", Some("0")),
    ] {
        let typed = make_call(&[&format!("NUMBER={number}")]);
        let keys = typed.split('\'').nth(1).expect("--keys");
        keys.parse::<Script>().expect("a script");
        let pressed = keys.split(' ').find(|step| step.parse::<u32>().is_ok());
        assert_eq!(pressed, key, "{typed}");
        assert!(keys.ends_with("tone w5 hangup"), "{typed}");
    }
    // Who is known has no menu on the staff line.
    let known = make_call(&["NUMBER=1002", "AS=okafor"]);
    assert!(known.contains("' tone w5 hangup'"), "{known}");
}

#[test]
fn make_call_takes_a_time_and_any_number_of_analysts() {
    assert!(make_call(&["FOR=40"]).ends_with("--for 40"));
    let nobody = make_call(&["AGENT="]);
    assert!(
        !nobody.contains("--with-agent") && nobody.contains("w14 hangup"),
        "{nobody}"
    );
    let two = make_call(&["AGENT=ana ben"]);
    assert!(two.contains("--with-agent ana --with-agent ben"), "{two}");
}

#[test]
fn whoever_stops_reading_is_no_error() {
    for arguments in [
        &["check", "--config", "demo"][..],
        &["flow", "test"],
        &["flow", "schema"],
    ] {
        let mut child = careline(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let mut out = BufReader::with_capacity(16, child.stdout.take().expect("a pipe"));
        out.read_line(&mut line).expect("a line");
        drop(out);
        let output = child.wait_with_output().expect("it ends");
        let told = String::from_utf8(output.stderr).expect("text");
        assert!(
            output.status.success() && told.is_empty(),
            "{arguments:?}: {told}"
        );
    }
}

/// `docs/configuration.md` names every key that the folder may have.
#[test]
fn every_setting_is_in_the_reference() {
    let docs = std::fs::read_to_string(root().join("docs/configuration.md")).expect("readable");
    let mut count = 0;
    for part in [
        "process",
        "helpdesk",
        "outside",
        "actions",
        "emergency",
        "tickets",
        "webhooks",
        "servicenow",
        "incidents",
        "verification",
    ] {
        let file = root().join(format!("server/src/config/{part}.rs"));
        let text = std::fs::read_to_string(file).expect("readable");
        // Structs that are read, without what follows them.
        for read in text.split("#[serde(deny_unknown_fields").skip(1) {
            let fields = read.split("\n}").next().unwrap_or_default();
            let mut skipped = false;
            for line in fields.lines() {
                let key = line
                    .strip_prefix("    pub ")
                    .and_then(|rest| rest.split_once(": "));
                if let Some((key, _)) = key.filter(|_| !std::mem::take(&mut skipped)) {
                    count += 1;
                    let known = [format!("| `{key}` |"), format!("`[{key}]`")];
                    assert!(
                        known.iter().any(|known| docs.contains(known)),
                        "{part}: {key}"
                    );
                }
                skipped |= line.contains("serde(skip)");
            }
        }
    }
    assert!(count > 100, "{count} keys found");
}

#[test]
fn an_address_that_is_none_is_told_with_an_example() {
    for arguments in [
        &["serve", "--bind", "localhost:5060"][..],
        &["call", "1001", "--server", "x"],
    ] {
        let output = careline(arguments).output().expect("the program starts");
        let told = String::from_utf8(output.stderr).expect("text");
        assert!(
            !output.status.success() && told.contains("127.0.0.1:5060"),
            "{told}"
        );
    }
}

/// A shipped flow is changed by a file of the same name.
#[test]
fn a_shipped_flow_can_be_had_to_change_it() {
    let output = careline(&["flow", "show", "staff"])
        .output()
        .expect("the program starts");
    let shown = String::from_utf8(output.stdout).expect("text");
    let shipped = root().join("ivr-flows/flows/staff.yaml");
    assert_eq!(shown, std::fs::read_to_string(shipped).expect("a flow"));
    let output = careline(&["flow", "show", "staf"])
        .output()
        .expect("the program starts");
    assert!(!output.status.success());
}
