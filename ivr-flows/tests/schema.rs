//! The published JSON Schema knows the keys that the checker knows, no more and no fewer.

use std::collections::BTreeSet;

use ivr_flows::Flow;
use serde_json::Value;

fn schema() -> Value {
    serde_json::from_str(include_str!("../flow.schema.json")).expect("the schema is JSON")
}

/// The checker's own list, taken from its help about an unknown key.
fn known_to_checker(source: &str) -> BTreeSet<String> {
    let errors = Flow::parse("t", source).expect_err("zzzzzzzzzzzz is no key");
    let help = errors
        .iter()
        .find(|error| error.message.contains("`zzzzzzzzzzzz`"))
        .and_then(|error| error.help.clone())
        .unwrap_or_else(|| panic!("no help for {source}: {errors:?}"));
    help.strip_prefix("Known here: ")
        .expect("a list of keys")
        .trim_end_matches('.')
        .split(", ")
        .map(str::to_owned)
        .collect()
}

fn properties(definition: &Value) -> BTreeSet<String> {
    definition["properties"]
        .as_object()
        .expect("properties")
        .keys()
        .cloned()
        .collect()
}

#[test]
fn every_kind_of_node() {
    let schema = schema();
    let kinds = schema["$defs"]["node"]["oneOf"].as_array().expect("kinds");
    assert_eq!(kinds.len(), 15);
    for kind in kinds {
        let name = kind["$ref"]
            .as_str()
            .expect("a reference")
            .trim_start_matches("#/$defs/");
        let mut known = BTreeSet::new();
        let values = match name {
            "ticket" => vec!["open", "attach", "find", "read"],
            _ => vec![""],
        };
        for value in values {
            let value = match name {
                "identify" => "caller",
                "ticket" => value,
                "branch" => "[{when: 'true', next: a}]",
                "set" => "{}",
                "language" => "en",
                "queue" | "hours" | "partner" | "transfer" | "flow" | "exit" => "desk",
                _ => "Hello.",
            };
            let source = format!(
                "flow: t\nstart: a\nnodes:\n  a: {{{name}: {value}, options: {{1: a}}, digits: 4, zzzzzzzzzzzz: 1}}"
            );
            known.extend(known_to_checker(&source));
        }
        assert_eq!(properties(&schema["$defs"][name]), known, "{name}");
    }
}

#[test]
fn the_document_and_its_tests() {
    let schema = schema();
    assert_eq!(
        properties(&schema),
        known_to_checker("flow: t\nstart: a\nnodes:\n  a: {hang_up: Bye.}\nzzzzzzzzzzzz: 1")
    );
    let test = |extra: &str| {
        format!(
            "flow: t\nstart: a\nnodes:\n  a: {{hang_up: Bye.}}\ntests:\n  - {{name: n, ends: hang up, {extra}}}"
        )
    };
    assert_eq!(
        properties(&schema["$defs"]["test"]),
        known_to_checker(&test("zzzzzzzzzzzz: 1"))
    );
    assert_eq!(
        properties(&schema["$defs"]["test"]["properties"]["caller"]),
        known_to_checker(&test("caller: {zzzzzzzzzzzz: 1}"))
    );
}

/// Every `$ref` leads somewhere.
#[test]
fn no_reference_dangles() {
    fn walk(value: &Value, schema: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                    let name = reference.trim_start_matches("#/$defs/");
                    assert!(schema["$defs"].get(name).is_some(), "{reference}");
                }
                map.values().for_each(|value| walk(value, schema));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, schema)),
            _ => {}
        }
    }
    let schema = schema();
    walk(&schema, &schema);
}

/// Where one of a few words is meant, the schema knows the same ones as the checker.
#[test]
fn every_choice_of_words() {
    let schema = schema();
    let node = |map: &str| format!("flow: t\nstart: a\nnodes:\n  a: {{{map}}}");
    let test = |key: &str| {
        format!(
            "flow: t\nstart: a\nnodes:\n  a: {{hang_up: Bye.}}\ntests:\n  - {{name: n, ends: hang up, {key}: zzzzzzzzzzzz}}"
        )
    };
    let mut cases = vec![
        (
            "/properties/pace",
            "pace: zzzzzzzzzzzz\nflow: t\nstart: a\nnodes:\n  a: {hang_up: Bye.}".to_owned(),
        ),
        (
            "/properties/purpose",
            "purpose: zzzzzzzzzzzz\nflow: t\nstart: a\nnodes:\n  a: {hang_up: Bye.}".to_owned(),
        ),
        (
            "/$defs/ticket/properties/ticket",
            node("ticket: zzzzzzzzzzzz, next: a"),
        ),
        (
            "/$defs/queue/properties/class",
            node("queue: q, no_agents: stay, class: zzzzzzzzzzzz"),
        ),
    ];
    for (at, key) in [
        ("/$defs/test/properties/hours", "hours"),
        ("/$defs/test/properties/directory", "directory"),
        ("/$defs/test/properties/store", "store"),
        ("/$defs/test/properties/own_ticket", "own_ticket"),
        ("/$defs/test/properties/agents", "agents"),
        ("/$defs/test/properties/partner", "partner"),
    ] {
        cases.push((at, test(key)));
    }
    for (at, source) in cases {
        let words = schema
            .pointer(at)
            .and_then(|property| property["enum"].as_array());
        let words: BTreeSet<String> = words
            .unwrap_or_else(|| panic!("{at} has no words"))
            .iter()
            .map(|word| word.as_str().expect("a word").to_owned())
            .collect();
        let errors = Flow::parse("t", &source).expect_err("zzzzzzzzzzzz is no word");
        let known = errors
            .iter()
            .find_map(|error| error.help.as_deref()?.strip_prefix("It is one of: "))
            .unwrap_or_else(|| panic!("{at}: {errors:?}"));
        let known: BTreeSet<String> = known
            .trim_end_matches('.')
            .split(", ")
            .map(str::to_owned)
            .collect();
        assert_eq!(words, known, "{at}");
    }
}
