//! `careline flow`, as an administrator types it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const FAULTY: &str = "flow: faulty\nstart: a\nnodes:\n  a: {play: Hello., next: dsk}\n  \
     b: {menu: Press 1., options: {1: desk}, timeout: desk}\n  desk: {queue: service, no_agents: stay}\n";

const PORCH: &str = r#"
flow: porch
start: ask
nodes:
  ask: {menu: Press 1 for the desk., options: {1: number}, timeout: bye, invalid: bye, tries: 1}
  number: {ticket: open, on_ticket: tell, on_store_down: desk}
  tell: {play: 'Your number is {ticket.number}.', next: desk}
  desk: {queue: service, no_agents: stay}
  bye: {hang_up: Goodbye.}
tests:
  - {name: To the desk, does: [press 1], ends: queue service}
  - {name: Wrongly expected, does: [wait], ends: queue service}
"#;

/// What `careline flow …` printed, and whether it succeeded.
fn flow(arguments: &[&str], typed: &str) -> (String, bool) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_careline"))
        .arg("flow")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // It may have ended before it read everything.
    let _ = child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(typed.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text")
        + &String::from_utf8(output.stderr).expect("text");
    (text, output.status.success())
}

fn file(name: &str, text: &str) -> String {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("flow_tool");
    std::fs::create_dir_all(&dir).expect("a folder");
    let path = dir.join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[test]
fn check_names_file_line_and_what_to_do_several_at_a_time() {
    let path = file("faulty.yaml", FAULTY);
    let (text, fine) = flow(&["check", &path], "");
    assert!(!fine);
    for expected in [
        format!("{path}:4:21: a: `next` leads to `dsk`, and there is no such node"),
        "Is `desk` meant?".to_owned(),
        format!("{path}:5:3: b: `invalid` is missing"),
    ] {
        assert!(text.contains(&expected), "{expected}\nin:\n{text}");
    }
    let (text, fine) = flow(&["check", &file("check.yaml", PORCH)], "");
    assert!(
        fine && text.contains("flow porch: sound, 5 nodes"),
        "{text}"
    );
}

#[test]
fn test_runs_the_flows_own_tests() {
    let path = file("porch.yaml", PORCH);
    let (text, fine) = flow(&["test", &path], "");
    assert!(!fine);
    assert!(
        text.contains(&format!(
            "{path}:12: Wrongly expected: the call ends in hang up"
        )),
        "{text}"
    );
    assert!(text.contains("flow porch: 2 tests, 1 failed"), "{text}");
    // Without a file: those that are shipped, each of which passes.
    let (text, fine) = flow(&["test"], "");
    assert!(
        fine && text.contains("flow patient: 12 tests, 0 failed"),
        "{text}"
    );
}

#[test]
fn a_trial_call_is_typed_and_always_the_same() {
    let path = file("try.yaml", PORCH);
    let typed = "press 1\nwait 1m\njump\nanswer\nanalyst hangs up\n";
    let (text, fine) = flow(&["try", &path], typed);
    assert!(fine, "{text}");
    let mut rest = text.as_str();
    for expected in [
        "\"Press 1 for the desk.\"",
        "\"Your number is 47 19 20 38 55\"",
        "\"You are next in line.\"",
        "desk: queue service]",
        "! \"jump\" isn't known; there are: wait, wait 10s, press 1",
        "desk: conversation service]",
        "desk: hang up]",
    ] {
        let at = rest
            .find(expected)
            .unwrap_or_else(|| panic!("{expected}\nin:\n{text}"));
        rest = &rest[at + expected.len()..];
    }
    assert_eq!(flow(&["try", &path], typed).0, text);
}

#[test]
fn a_flow_is_drawn() {
    let path = file("draw.yaml", PORCH);
    let (text, fine) = flow(&["draw", "--mermaid", &path], "");
    assert!(fine && text.starts_with("flowchart TD"), "{text}");
    assert!(text.contains("n0{{\"ask<br/>menu\"}}"), "{text}");
    assert!(text.contains("n0 -- \"1\" --> n1"), "{text}");
    assert!(text.contains("n0 -- \"timeout, invalid\" --> n4"), "{text}");
    let (text, fine) = flow(&["draw", &path], "");
    assert!(fine && text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
    assert_eq!(text.matches("<rect x=").count(), 5, "a box for each node");
    assert_eq!(
        text.matches("<path d=\"M ").count(),
        5,
        "a line for each way"
    );
    assert!(text.contains(">timeout, invalid</text>"), "{text}");
    assert!(!text.contains("href") && !text.contains("<script"));
}

#[test]
fn the_schema_is_the_published_one() {
    let (text, fine) = flow(&["schema"], "");
    assert!(fine);
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../ivr-flows/flow.schema.json");
    let published = std::fs::read_to_string(published).expect("the schema");
    assert_eq!(text.trim_end(), published.trim_end());
}

const SYSTEMS: &str = r#"
flow: systems
variables: {works: yes-or-no}
start: ask
nodes:
  ask: {http: {action: status, with: {asked: 'true'}, save: {works: works}}, ok: told, failed: desk}
  told: {branch: [{when: vars.works, next: bye}], else: desk}
  desk: {queue: service, no_agents: stay}
  bye: {hang_up: It works.}
"#;

#[test]
fn a_trial_call_asks_what_an_action_answers() {
    let path = file("systems.yaml", SYSTEMS);
    let (text, fine) = flow(&["try", &path], "action answers works=true\n");
    assert!(fine, "{text}");
    for expected in [
        "? status is sent {asked=true}: action answers works=true, or action fails",
        "\"It works.\"",
    ] {
        assert!(text.contains(expected), "{expected}\nin:\n{text}");
    }
    let (text, _) = flow(&["try", &path], "action fails\n");
    assert!(text.contains("desk: queue service"), "{text}");
    let (text, _) = flow(&["draw", &path], "");
    assert!(
        text.contains("http status") && text.contains("failed"),
        "{text}"
    );
}
