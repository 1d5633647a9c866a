//! What the checker refuses, each with the line it points to.

use ivr_flows::Flow;

/// Nodes that every document here may lead to.
const ENDS: &str = "
  desk: {queue: service, no_agents: bye}
  bye: {hang_up: Goodbye.}
";

/// Checks a document made of `nodes` (their first line is line 3), with a desk
/// and a goodbye at the end. `expected`: one `LINE NODE: MESSAGE` for each
/// error, where the message is compared by its beginning.
fn check_with(head: &str, nodes: &str, expected: &[&str]) {
    let source = format!("flow: test {head}\nstart: a\nnodes:\n{nodes}{ENDS}");
    check_source(&source, expected);
}

fn check_source(source: &str, expected: &[&str]) {
    let found: Vec<String> = match Flow::parse("test.yaml", source) {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .iter()
            .map(|error| {
                assert_eq!(error.file, "test.yaml");
                format!(
                    "{} {}: {}",
                    error.line,
                    error.node.as_deref().unwrap_or("-"),
                    error.message
                )
            })
            .collect(),
    };
    let as_expected = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(found, expected)| found.starts_with(expected));
    assert!(
        as_expected,
        "\n{source}\nfound:\n  {}\nexpected:\n  {}",
        found.join("\n  "),
        expected.join("\n  ")
    );
}

fn check(nodes: &str, expected: &[&str]) {
    check_with("", nodes, expected);
}

#[test]
fn sound_flows_pass() {
    check("  a: {play: Hello., next: desk}", &[]);
    check("  a: {identify: caller, next: desk}", &[]);
    check(
        "  a: {menu: 'Press 1.', options: {1: desk}, timeout: desk, invalid: bye}",
        &[],
    );
    check(
        "  a: {collect: 'Your number?', digits: 4-10, next: desk, timeout: desk, invalid: bye}",
        &[],
    );
    check(
        "  a: {branch: [{when: 'attempts > 1', next: bye}], else: desk}",
        &[],
    );
    check("  a: {ticket: open, next: desk}", &[]);
    check(
        "  a: {ticket: open, on_ticket: desk, on_store_down: bye}",
        &[],
    );
    check(
        "  a: {queue: clinical, no_agents: stay, exit_keys: {0: desk}}",
        &[],
    );
    check(
        "  a: {menu: 'Press 1.', options: {'1': b}, timeout: desk, invalid: desk}\n  b: {play: Again., next: a}",
        &[],
    );
}

#[test]
fn dangling_and_unreachable_nodes() {
    check(
        "  a: {play: Hello., next: dsk}",
        &["4 a: `next` leads to `dsk`, and there is no such node"],
    );
    check(
        "  a:\n    menu: Press 1.\n    options:\n      '1': desk\n      '2': nowhere\n    timeout: desk\n    invalid: bye",
        &["8 a: `2` leads to `nowhere`"],
    );
    check(
        "  a: {play: Hello., next: desk}\n  lonely: {play: Hello., next: desk}",
        &["5 lonely: no call ever gets here"],
    );
    check(
        "  a: {identify: caller, staff: x}",
        &[
            "4 a: nothing is said for: clinician, patient, place, unknown",
            "4 a: `staff` leads to `x`",
        ],
    );
    check(
        "  a: {identify: caller, staff: b, next: desk}\n  b: {branch: [{when: 'caller.role == \"patient\"', next: c}], else: desk}\n  c: {play: Never., next: desk}",
        &["6 c: no caller ever gets here"],
    );
    check_source(
        "flow: t\nstart: b\nnodes:\n  a: {hang_up: Bye.}",
        &["2 -: `start` names `b`"],
    );
}

#[test]
fn menus_need_ways_out() {
    check(
        "  a: {menu: Press 1., options: {1: desk}}",
        &["4 a: `timeout` is missing", "4 a: `invalid` is missing"],
    );
    check(
        "  a: {menu: Press 1., timeout: desk, invalid: bye}",
        &["4 a: `options` is missing"],
    );
    check(
        "  a: {menu: Press 1., options: {}, timeout: desk, invalid: bye}",
        &["4 a: the menu has no options"],
    );
    check(
        "  a: {menu: Press 1., options: {12: desk}, timeout: desk, invalid: bye}",
        &["4 a: the menu has no options", "4 a: \"12\" is no key"],
    );
    check(
        "  a: {menu: Press 1., options: {1: {next: desk, role: doctor}}, timeout: desk, invalid: bye}",
        &["4 a: `role` can't be \"doctor\""],
    );
    check(
        "  a: {collect: Number?, digits: 9-4, next: desk, timeout: desk, invalid: bye}",
        &["4 a: `digits` can't be \"9-4\""],
    );
    check(
        "  a: {collect: Number?, digits: 4, secret: true, next: desk, timeout: desk, invalid: bye}",
        &["4 a: secret digits aren't available"],
    );
}

#[test]
fn loops_without_a_way_out() {
    check(
        "  a: {play: Hello., next: b}\n  b: {play: Again., next: a}",
        &[
            "4 a: a loop without a way out: a → b → a",
            "6 desk: no call",
            "7 bye: no call",
        ],
    );
    check(
        "  a: {menu: Press 1., options: {1: desk}, timeout: a, invalid: bye}",
        &["4 a: a loop without a way out: a → a"],
    );
    check(
        "  a: {queue: clinical, no_agents: b}\n  b: {queue: tier2, no_agents: a, exit_keys: {0: desk}}",
        &["4 a: a loop without a way out: a → b → a"],
    );
    // With a key in it, a loop has a way out: press nothing.
    check(
        "  a: {menu: Press 1., options: {1: a, 2: desk}, timeout: desk, invalid: bye}",
        &[],
    );
}

#[test]
fn paths_into_silence() {
    check(
        "  a: {play: Hello.}",
        &["4 a: `next` is missing: after this text the caller would be left in silence"],
    );
    check(
        "  a: {ticket: open}",
        &["4 a: `next` is missing: after this the caller would be left in silence"],
    );
    check(
        "  a: {ticket: open, on_ticket: desk}",
        &["4 a: `on_store_down` is missing"],
    );
    check("  a: {queue: clinical}", &["4 a: `no_agents` is missing"]);
    check(
        "  a: {queue: clinical, music: false, no_agents: desk}",
        &["4 a: without music the caller waits in silence"],
    );
    check_with(
        "\npurpose: measurement",
        "  a: {queue: clinical, music: false, no_agents: desk}",
        &[],
    );
    check(
        "  a: {queue: clinical, no_agents: stay, max_wait: 5m, exit_keys: {0: desk}}",
        &["4 a: `max_wait` and `on_max_wait`"],
    );
    check("  a: {play: '', next: desk}", &["4 a: the text is empty"]);
    check("  a: {play: , next: desk}", &["4 a: the text is empty"]);
    check(
        "  a: {ticket: open, next: b}\n  b: {hang_up: 'It is {ticket.number}.'}\n  c: {menu: 'Press 0.', options: {0: desk}, timeout: desk, invalid: desk}",
        &["5 b: the caller may hear nothing"],
    );
}

#[test]
fn partners_take_back_whom_they_do_not_take() {
    check("  a: {partner: night-desk, next: desk}", &[]);
    check(
        "  a: {partner: night-desk, busy: bye, failed: desk, no_answer: desk, after: bye, ring_for: 45s, greeting: Hold on.}",
        &[],
    );
    check(
        "  a: {partner: night-desk}",
        &["4 a: nothing is said for: busy, failed, no_answer; a caller"],
    );
    check(
        "  a: {partner: night-desk, busy: desk, failed: dsk}",
        &[
            "4 a: nothing is said for: no_answer",
            "4 a: `failed` leads to `dsk`",
        ],
    );
    check(
        "  a: {partner: Night Desk, next: desk}",
        &["4 a: \"Night Desk\" can't be a partner's name"],
    );
    check(
        "  a: {partner: night-desk, ring_for: 1s, next: desk}",
        &["4 a: `ring_for` must be a time from 5s to 120s"],
    );
    check(
        "  a: {partner: night-desk, music: false, next: desk}",
        &["4 a: without music the caller waits in silence"],
    );
    check(
        "  a: {partner: night-desk, next: b}\n  b: {queue: x, no_agents: a, exit_keys: {0: desk}}",
        &["4 a: a loop without a way out: a → b → a"],
    );
    check(
        "  a: {partner: night-desk, lost: 'Hello {caller.name}.', next: desk}",
        &["4 a: the caller may hear nothing"],
    );
}

#[test]
fn transfers_take_back_whom_they_do_not_reach() {
    for fine in [
        "  a: {transfer: \"7004\", next: desk}",
        "  a: {transfer: +15550142, busy: bye, refused: desk, no_answer: desk, after: bye, ring_for: 45s, greeting: Hold on.}",
        "  a: {transfer: tier2, next: desk}",
        "  a: {transfer: {to: digits}, next: desk}",
        "  a: {transfer: {to: '\"7004\"', outside: true}, next: desk}",
    ] {
        check(fine, &[]);
    }
    for (wrong, told) in [
        (
            "  a: {transfer: \"7004\"}",
            "4 a: nothing is said for: busy, refused, no_answer; a caller",
        ),
        (
            "  a: {transfer: \"7004\", busy: desk, no_answer: desk, refused: dsk}",
            "4 a: `refused` leads to `dsk`",
        ),
        (
            "  a: {transfer: \"70 04\", next: desk}",
            "4 a: \"70 04\" can't be dialled",
        ),
        (
            "  a: {transfer: \"sip:a@b\", next: desk}",
            "4 a: \"sip:a@b\" can't be dialled",
        ),
        (
            "  a: {transfer: {to: 7004}, next: desk}",
            "4 a: `to` is a number, not a text",
        ),
        ("  a: {transfer: {to: digit}, next: desk}", "4 a: "),
        (
            "  a: {transfer: {outside: true}, next: desk}",
            "4 a: the transfer doesn't say where `to`",
        ),
        (
            "  a: {transfer: {to: digits, out: true}, next: desk}",
            "4 a: `out` isn't a key of",
        ),
        (
            "  a: {transfer: \"7004\", failed: desk, next: desk}",
            "4 a: `failed` isn't a key of",
        ),
        (
            "  a: {transfer: \"7004\", music: false, next: desk}",
            "4 a: without music the caller waits in silence",
        ),
        (
            "  a: {transfer: \"7004\", next: b}\n  b: {transfer: \"7005\", busy: desk, next: a}",
            "4 a: a loop without a way out: a → b → a",
        ),
    ] {
        check(wrong, &[told]);
    }
}

#[test]
fn the_patient_pace() {
    let patient = |nodes, expected: &[&str]| check_with("\npace: patient", nodes, expected);
    patient(
        "  a: {menu: Press 0., options: {0: desk, 1: desk, 2: desk, 3: bye}, timeout: desk, invalid: bye}",
        &[],
    );
    patient(
        "  a: {menu: Press 1., options: {1: desk}, timeout: desk, invalid: bye}",
        &["5 a: the menu has no option 0"],
    );
    patient(
        "  a: {menu: Press 0., options: {0: desk, 1: desk, 2: desk, 3: bye, 4: bye}, timeout: desk, invalid: bye}",
        &["5 a: the menu has 4 options besides 0; the patient pace allows 3"],
    );
    patient(
        "  a: {menu: Press 0., options: {0: bye, 1: desk}, timeout: desk, invalid: bye}",
        &["5 a: 0 doesn't lead to a person"],
    );
    // Who isn't taken by the partner is led to a person all the same.
    patient(
        "  a: {menu: Press 0., options: {0: b, 1: bye}, timeout: desk, invalid: bye}\n  b: {partner: x, next: desk}",
        &[],
    );
    patient(
        "  a: {menu: Press 0., options: {0: b, 1: desk}, timeout: desk, invalid: bye}\n  b: {partner: x, busy: bye, next: desk}",
        &["5 a: 0 doesn't lead to a person"],
    );
    for (last, expected) in [
        ("next: desk", &[][..]),
        (
            "no_answer: bye, next: desk",
            &["5 a: 0 doesn't lead to a person"],
        ),
    ] {
        let nodes = format!(
            "  a: {{menu: Press 0., options: {{0: b, 1: bye}}, timeout: desk, invalid: bye}}\n  b: {{transfer: x, {last}}}"
        );
        check_with("\npace: patient", &nodes, expected);
    }
    patient(
        "  a: {menu: Press 0., options: {0: b, 1: desk}, timeout: desk, invalid: bye}\n  b: {ticket: open, next: desk}",
        &[],
    );
    let long = format!(
        "  a: {{menu: \"{}\", options: {{0: desk, 1: bye}}, timeout: desk, invalid: bye}}",
        "word ".repeat(60)
    );
    patient(&long, &["5 a: the question is longer than 240 characters"]);
}

#[test]
fn names_before_verification() {
    check(
        "  a: {play: 'Hello {caller.name}. Hold on.', next: desk}",
        &["4 a: {caller.name} may be spoken here to a caller who is: unknown"],
    );
    check(
        "  a: {identify: caller, next: b}\n  b: {play: 'Hello {caller.name}.', next: desk}",
        &["5 b: {caller.name} may be spoken here to a caller who is: patient, unknown"],
    );
    check(
        "  a: {identify: caller, clinician: b, staff: b, place: b, next: desk}\n  b: {play: 'Hello {caller.name}.', next: desk}",
        &[],
    );
    // A condition narrows just as well as an exit.
    check(
        "  a: {identify: caller, next: b}\n  b: {branch: [{when: 'caller.role in [\"staff\", \"place\"] && caller.known', next: c}], else: desk}\n  c: {play: 'Hello {caller.name}.', next: desk}",
        &[],
    );
    // What the caller says of themselves doesn't.
    check(
        "  a: {menu: Press 1., options: {1: {next: b, role: clinician}}, timeout: desk, invalid: desk}\n  b: {play: 'Hello {caller.name}.', next: desk}",
        &["5 b: {caller.name} may be spoken"],
    );
    check(
        "  a: {play: 'Your number is {ticket.number}.', next: desk}",
        &["4 a: {ticket.number} is spoken, and no ticket was opened"],
    );
    check(
        "  a: {play: 'You are {queue.position}.', next: desk}",
        &["4 a: {queue.position} can't be said here"],
    );
    check(
        "  a: {play: 'Hello {caller.nam}.', next: desk}",
        &["4 a: there is no placeholder {caller.nam}"],
    );
}

#[test]
fn conditions() {
    check(
        "  a:\n    branch:\n      - {when: caller.known, next: bye}\n      - {when: caller.knwn, next: bye}\n    else: desk",
        &["7 a: there is no variable `caller.knwn`"],
    );
    check(
        "  a: {branch: [{when: caller.known, next: bye}]}",
        &["4 a: `else` is missing"],
    );
    check(
        "  a: {branch: [], else: desk}",
        &["4 a: `branch` must be a list"],
    );
    check(
        "  a: {branch: [{next: desk}], else: desk}",
        &["4 a: the case has no `when`"],
    );
}

#[test]
fn keys_and_kinds() {
    check(
        "  a: {play: Hello., nxt: desk}",
        &[
            "4 a: `next` is missing",
            "4 a: `nxt` isn't a key of a play node",
        ],
    );
    check(
        "  a: {say: Hello., next: desk}",
        &["4 a: the node doesn't say what it does"],
    );
    check(
        "  a: {play: Hello., menu: x, next: desk}",
        &["4 a: the node is several things at once: play, menu"],
    );
    check(
        "  a: {voicemail: x, next: desk}",
        &["4 a: `voicemail` nodes aren't available in this release"],
    );
    check("  a: [1]", &["4 a: a node must be a map"]);
    check(
        "  a: {queue: 'No Queue', no_agents: desk}",
        &["4 a: \"No Queue\" can't be a queue's name"],
    );
    check(
        "  a: {queue: x, announce_every: 1s, no_agents: desk}",
        &["4 a: `announce_every` must be a time from 15s to 300s"],
    );
    check(
        "  a: {queue: x, exit_keys: {1: desk, x: desk}, no_agents: desk}",
        &["4 a: \"x\" is no key of a telephone"],
    );
    check(
        "  a: {queue: x, ticket_text: Hello., no_agents: desk}",
        &["4 a: `ticket_text` doesn't say {ticket.number}"],
    );
    check(
        "  5s: {play: x, next: desk}\n  a: {play: x, next: desk}",
        &["4 -: \"5s\" can't be a node's name"],
    );
    check(
        "  a: {play: Hello., next: desk, barge_in: yes}",
        &["4 a: `barge_in` can't be \"yes\""],
    );
}

#[test]
fn documents() {
    check_source(
        "",
        &[
            "1 -: a flow must be a map",
            "1 -: `flow` is missing",
            "1 -: `nodes` is missing",
            "1 -: `start` is missing",
        ],
    );
    check_source(
        "flow: t\nstart: a\nnodes: {}",
        &["2 -: `start` names `a`", "3 -: a flow has 1 to 200 nodes"],
    );
    check_source(
        "flow: t\nstart: a\nnodes:\n  a: {hang_up: Bye.\n",
        &["4 -: this isn't readable YAML"; 1],
    );
    check_source(
        "flow: t\nstart: a\nlanguage: xxx\npace: fast\nnodes:\n  a: {hang_up: Bye.}",
        &["3 -: `language` names languages", "4 -: `pace` can't be"],
    );
    check_source(
        "flow: t\nstart: a\nnodes:\n  a: &x {hang_up: Bye.}\n  b: *x",
        &["4 -: anchors"],
    );
    check_source(
        "flow: t\nstart: a\nnodes:\n  a: {hang_up: Bye.}\n  a: {hang_up: Bye.}",
        &["5 -: "],
    );
    let many: String = (0..201)
        .map(|n| format!("  n{n}: {{hang_up: Bye.}}\n"))
        .collect();
    check_source(
        &format!("flow: t\nstart: n0\nnodes:\n{many}"),
        &["2 -: `start`", "3 -: a flow has 1 to 200 nodes, not 201"],
    );
    // No more than fifty errors are told.
    let errors = Flow::parse(
        "t",
        &format!("flow: t\nstart: n0\nnodes:\n{}", "x").replace(
            'x',
            &(0..100)
                .map(|n| format!("  n{n}: {{play: x}}\n"))
                .collect::<String>(),
        ),
    );
    assert_eq!(errors.err().map(|errors| errors.len()), Some(50));
}

#[test]
fn the_flows_own_tests_are_checked() {
    let test = |test: &str, expected: &[&str]| {
        check_source(
            &format!(
                "flow: t\nstart: a\nnodes:\n  a: {{queue: x, no_agents: stay}}\ntests:\n{test}"
            ),
            expected,
        );
    };
    test(
        "  - {name: fine, does: [wait, wait 5s, press 12#, press 1 at once, answer], ends: queue x}",
        &[],
    );
    test(
        "  - {does: [wait], ends: queue x}",
        &["6 -: the test has no `name`"],
    );
    test(
        "  - {name: n}",
        &["6 -: the test doesn't say where the call `ends`"],
    );
    test(
        "  - {name: n, ends: nowhere}",
        &["6 -: a call can't end in \"nowhere\""],
    );
    test(
        "  - {name: n, ends: queue y}",
        &["6 -: the test \"n\" ends in queue y"],
    );
    test(
        "  - {name: n, does: [jump], ends: queue x}",
        &["6 -: `does` can't hold \"jump\""],
    );
    test(
        "  - {name: n, passes: [b], ends: queue x}",
        &["6 -: `passes` can't hold \"b\""],
    );
    test(
        "  - {name: n, hear: [b], ends: queue x}",
        &["6 -: `hear` isn't a key of a test"],
    );
}

#[test]
fn help_names_what_was_probably_meant() {
    let errors = Flow::parse(
        "t.yaml",
        "flow: t\nstart: a\nnodes:\n  a: {play: Hi., next: dsk}\n  desk: {hang_up: Bye.}",
    )
    .unwrap_err();
    assert_eq!(errors[0].help.as_deref(), Some("Is `desk` meant?"));
    assert_eq!(
        errors[0].to_string(),
        "t.yaml:4:18: a: `next` leads to `dsk`, and there is no such node\n  Is `desk` meant?"
    );
}
