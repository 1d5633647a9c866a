//! Flows that call one another, and their variables.

use std::sync::Arc;

use ivr_flows::{Drafts, Flow, run_tests};

/// A flow that asks for a number, up to three times, and comes back.
const ASK: &str = r#"
flow: ask-number
about: Asks for a number that begins with 47.
inputs: {tries: number}
variables: {asked: number}
start: ask
nodes:
  ask: {collect: Key in your number., digits: 4, next: count, timeout: none, invalid: none, tries: 1}
  count: {set: {asked: vars.asked + 1}, next: sound}
  sound:
    branch:
      - {when: digits.startsWith("47"), next: good}
      - {when: vars.asked >= vars.tries, next: none}
    else: again
  again: {menu: 'That is no number of ours. Press 1 to try again.', options: {1: ask}, timeout: none, invalid: none, tries: 1}
  good: {exit: good}
  none: {exit: none}
tests:
  - {name: Right at once, does: [press 4711], ends: exit good}
  - {name: Never, does: [press 1111], ends: exit none}
"#;

const LINE: &str = r#"
flow: line
variables: {urgent: yes-or-no, kind: text, asked: number}
start: mark
nodes:
  mark: {set: {urgent: "true", kind: '"records"', asked: 7}, next: find}
  find: {flow: ask-number, with: {tries: 2}, exits: {good: found}, next: desk}
  found: {branch: [{when: 'vars.urgent && vars.kind == "records" && vars.asked == 7', next: thanks}], else: desk}
  thanks: {play: Thank you., next: desk}
  desk: {queue: service, no_agents: stay}
tests:
  - name: Right at once
    does: [press 4711]
    hears: [Key in your number., Thank you.]
    ends: queue service
    passes: [mark, find, thanks]
  - name: The second try
    does: [press 1111, press 1, press 4711]
    hears: [Key in your number., That is no number of ours., Key in your number., Thank you.]
    ends: queue service
  - name: Two tries and no more
    does: [press 1111, press 1, press 2222]
    hears: [Key in your number., That is no number of ours., Key in your number.]
    never_hears: [Thank you.]
    ends: queue service
"#;

fn linked(sources: &[&str]) -> Result<std::collections::BTreeMap<String, Arc<Flow>>, Vec<String>> {
    let told = |errors: Vec<ivr_flows::CheckError>| -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    };
    let mut drafts = Drafts::default();
    for (n, source) in sources.iter().enumerate() {
        drafts.add(&format!("{n}.yaml"), source).map_err(told)?;
    }
    drafts.link().map_err(told)
}

#[track_caller]
fn refused(sources: &[&str], expected: &[&str]) {
    let errors = linked(sources).expect_err("these flows are refused");
    let fits = errors.len() == expected.len()
        && errors.iter().zip(expected).all(|(e, x)| e.starts_with(x));
    assert!(
        fits,
        "found:\n{}\nexpected:\n{}",
        errors.join("\n"),
        expected.join("\n")
    );
}

#[test]
fn a_sub_flow_comes_back_by_its_exits() {
    let flows = linked(&[LINE, ASK]).unwrap_or_else(|errors| panic!("{}", errors.join("\n")));
    for flow in flows.values() {
        for result in run_tests(flow) {
            assert_eq!(result.failure, None, "{}: {}", flow.name(), result.name);
        }
    }
    assert!(flows["ask-number"].is_part());
    assert!(!flows["line"].is_part());
    // Only its own nodes are a flow's to be tried by its tests.
    assert_eq!(
        flows["line"].nodes().collect::<Vec<_>>(),
        ["mark", "find", "found", "thanks", "desk"]
    );
}

/// Called twice, a flow has variables of its own each time, and they begin anew.
#[test]
fn each_call_has_its_own_variables() {
    let twice = r#"
flow: twice
start: first
nodes:
  first: {flow: ask-number, with: {tries: 1}, exits: {good: second, none: desk}}
  second: {flow: ask-number, with: {tries: "size(digits) - 2"}, exits: {good: thanks, none: desk}}
  thanks: {play: Thank you., next: desk}
  desk: {queue: service, no_agents: stay}
tests:
  - name: The second call counts from nothing
    does: [press 4711, press 1111, press 1, press 4712]
    hears: [Key in your number., Key in your number., That is no number, Key in your number., Thank you.]
    ends: queue service
"#;
    let flows = linked(&[twice, ASK]).unwrap_or_else(|errors| panic!("{}", errors.join("\n")));
    for result in run_tests(&flows["twice"]) {
        assert_eq!(result.failure, None, "{}", result.name);
    }
}

fn line(nodes: &str) -> String {
    format!("flow: line\nstart: a\nnodes:\n  a: {nodes}\n  b: {{hang_up: Bye.}}\n")
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let check = |node: &str, expected: &[&str]| refused(&[&line(node), ASK], expected);
    check(
        "{flow: ask-numbr, next: b}",
        &["0.yaml:4:7: a: there is no flow `ask-numbr`\n  Is `ask-number` meant?"],
    );
    check(
        "{flow: ask-number, next: b}",
        &["0.yaml:4:7: a: flow `ask-number` needs `tries`"],
    );
    check(
        "{flow: ask-number, with: {tries: '\"two\"', tris: 1}, next: b}",
        &[
            "0.yaml:4:32: a: `tries` is a number, not a text",
            "0.yaml:4:48: a: flow `ask-number` has no input `tris`\n  Is `tries` meant?",
        ],
    );
    check(
        "{flow: ask-number, with: {tries: 1}, exits: {god: b, good: b}}",
        &[
            "0.yaml:4:7: a: nothing is said for exit `none`",
            "0.yaml:4:51: a: flow `ask-number` has no exit `god`\n  Is `good` meant?",
        ],
    );
    check(
        "{flow: line, next: b}",
        &["0.yaml:4:7: a: a flow calls itself: line → line"],
    );
    let bye = "flow: bye\nstart: a\nnodes:\n  a: {hang_up: Bye.}";
    refused(
        &[&line("{flow: bye, next: b}"), bye],
        &["0.yaml:4:7: a: flow `bye` has no `exit` node: it never comes back"],
    );
    let patient = line("{flow: ask-number, with: {tries: 1}, next: b}")
        .replace("start: a", "pace: patient\nstart: a");
    refused(
        &[&patient, ASK],
        &["0.yaml:5:7: a: flow `ask-number` isn't in the patient pace"],
    );
}

#[test]
fn flows_in_circles_and_too_deep_are_refused() {
    let part = |name: &str, calls: &str| {
        format!(
            "flow: {name}\nstart: a\nnodes:\n  a: {{flow: {calls}, next: b}}\n  b: {{exit: out}}\n"
        )
    };
    refused(
        &[&part("one", "two"), &part("two", "one")],
        &[
            "1.yaml:4:7: a: a flow calls itself: one → two → one",
            "0.yaml:4:7: a: a flow calls itself: two → one → two",
        ],
    );
    let chain: Vec<String> = (0..6)
        .map(|n| part(&format!("f{n}"), &format!("f{}", n + 1)))
        .chain(["flow: f6\nstart: a\nnodes:\n  a: {exit: out}\n".to_owned()])
        .collect();
    let sources: Vec<&str> = chain.iter().map(String::as_str).collect();
    let errors = linked(&sources).expect_err("too deep");
    assert!(
        errors[0].contains("flows are nested more than 4 deep: f0 → f1 → f2 → f3 → f4"),
        "{errors:?}"
    );
    // Ten calls each, three deep: a thousand copies are too many.
    let wide = |name: &str, calls: &str| {
        let nodes: String = (0..10)
            .map(|n| format!("  a{n}: {{flow: {calls}, next: a{}}}\n", n + 1))
            .collect();
        format!("flow: {name}\nstart: a0\nnodes:\n{nodes}  a10: {{exit: out}}\n")
    };
    let leaf = "flow: leaf\nstart: a\nnodes:\n  a: {play: Hello., next: b}\n  b: {exit: out}\n";
    let errors = linked(&[
        &wide("top", "mid"),
        &wide("mid", "low"),
        &wide("low", "leaf"),
        leaf,
    ])
    .expect_err("too large");
    assert!(errors[0].contains("more than 1000 nodes"), "{errors:?}");
}

/// A name that may not be spoken is found inside a sub-flow too, and the loop
/// that only both together make.
#[test]
fn the_checker_looks_through_sub_flows() {
    let greet = "flow: greet\nstart: a\nnodes:\n  a: {play: 'Hello {caller.name}.', next: b}\n  b: {exit: out}\n";
    refused(
        &[&line("{flow: greet, next: b}"), greet],
        &["1.yaml:4: a.a: {caller.name} may be spoken here to a caller who is: unknown"],
    );
    linked(&[
        "flow: l\nstart: w\nnodes:\n  w: {identify: caller, clinician: a, next: b}\n  a: {flow: greet, next: b}\n  b: {hang_up: Bye.}\n",
        greet,
    ])
    .expect("only clinicians are greeted");
    refused(
        &[
            "flow: l\nstart: a\nnodes:\n  a: {flow: greet, next: c}\n  c: {play: Again., next: a}\n",
            greet,
        ],
        &["0.yaml:4: a: a loop without a way out: a → a.a → a.b → c → a"],
    );
}

#[test]
fn variables_are_declared_and_typed() {
    let check = |head: &str, node: &str, expected: &[&str]| {
        let source =
            format!("flow: t\n{head}\nstart: a\nnodes:\n  a: {node}\n  b: {{hang_up: Bye.}}\n");
        refused(&[&source], expected);
    };
    check(
        "variables: {times: numbr}",
        "{set: {times: 1}, next: b}",
        &[
            "0.yaml:2:13: `times` can't be \"numbr\"\n  A variable is one of: yes-or-no, text, number.",
            "0.yaml:5:13: a: there is no variable `times`",
        ],
    );
    check(
        "variables: {times: number}",
        "{set: {tims: 1, times: digits}, next: b}",
        &[
            "0.yaml:5:13: a: there is no variable `tims`\n  Is `times` meant?",
            "0.yaml:5:22: a: `times` is a number, not a text",
        ],
    );
    check(
        "inputs: {x: text}\nvariables: {x: text}",
        "{set: {x: y}, next: b}",
        &[
            "0.yaml:3:13: variable `x` stands twice",
            "0.yaml:6:13: a: there is no variable `y`",
        ],
    );
    check(
        "variables: {x: text}",
        "{set: {x: '\"y\"'}}",
        &["0.yaml:5:3: a: `next` is missing"],
    );
}
