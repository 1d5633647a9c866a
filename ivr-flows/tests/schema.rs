//! The published JSON Schema knows the keys that the checker knows, no more and no fewer, and agrees with it on values.
//!
//! The schema is written by hand and not made from types, since there are none to make it from: a document is read key
//! by key into nodes that name one another by their places, so that every fault has its line and its way out. Types for
//! the schema's sake would be a third description of the same thing. So it is held against the checker instead.

use std::collections::BTreeSet;

use ivr_flows::{At, Document, Flow, Yaml};
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
    assert_eq!(kinds.len(), 19);
    for kind in kinds {
        let name = kind["$ref"]
            .as_str()
            .expect("a reference")
            .trim_start_matches("#/$defs/");
        let mut known = BTreeSet::new();
        let values = match name {
            "ticket" => vec!["open", "attach", "find", "read", "resolve"],
            "incident" => vec!["tell", "preview", "publish"],
            _ => vec![""],
        };
        for value in values {
            let value = match name {
                "identify" => "caller",
                "incident" => value,
                "ticket" => value,
                "branch" => "[{when: 'true', next: a}]",
                "set" => "{}",
                "http" => "{action: a}",
                "language" => "en",
                "queue" | "callback" | "hours" | "partner" | "transfer" | "flow" | "exit" => "desk",
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
            "/$defs/incident/properties/incident",
            node("incident: zzzzzzzzzzzz, told: a, none: a"),
        ),
        (
            "/$defs/incident/properties/unknown",
            node("incident: tell, unknown: zzzzzzzzzzzz, told: a, none: a"),
        ),
        (
            "/$defs/incident/properties/of",
            node("incident: preview, of: zzzzzzzzzzzz, told: a, none: a"),
        ),
        (
            "/$defs/queue/properties/class",
            node("queue: q, no_agents: stay, class: zzzzzzzzzzzz"),
        ),
        (
            "/$defs/callback/properties/offers",
            node("callback: q, promised: a, declined: a, failed: a, offers: zzzzzzzzzzzz"),
        ),
    ];
    for (at, key) in [
        ("/$defs/test/properties/hours", "hours"),
        ("/$defs/test/properties/directory", "directory"),
        ("/$defs/test/properties/store", "store"),
        ("/$defs/test/properties/own_ticket", "own_ticket"),
        ("/$defs/test/properties/subscribing", "subscribing"),
        ("/$defs/test/properties/agents", "agents"),
        ("/$defs/test/properties/partner", "partner"),
        ("/$defs/test/properties/callback", "callback"),
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

/// What of JSON Schema the published one uses, and no more.
struct Checker {
    schema: Value,
}

impl Checker {
    /// What is wrong with a value, if something is.
    fn fault(&self, rule: &Value, value: &Value, at: &str) -> Option<String> {
        let rule = rule.as_object().expect("a schema is a map");
        let fits = |rule: &Value| self.fault(rule, value, at).is_none();
        for (word, says) in rule {
            let fine =
                match word.as_str() {
                    "$schema" | "$defs" | "title" | "description" | "default" => true,
                    "$ref" => {
                        let name = says
                            .as_str()
                            .expect("a name")
                            .trim_start_matches("#/$defs/");
                        if let Some(fault) = self.fault(&self.schema["$defs"][name], value, at) {
                            return Some(fault);
                        }
                        true
                    }
                    "type" => {
                        let one = [says.clone()];
                        let types = says.as_array().map_or(&one[..], Vec::as_slice);
                        types
                            .iter()
                            .any(|name| match name.as_str().expect("a type") {
                                "object" => value.is_object(),
                                "array" => value.is_array(),
                                // A scalar is a text to the checker; an editor may mark one that looks like a number.
                                "string" => !value.is_object() && !value.is_array(),
                                "boolean" => value.is_boolean(),
                                "integer" => value.is_i64() || value.is_u64(),
                                "number" => value.is_number(),
                                other => panic!("type {other}"),
                            })
                    }
                    "enum" => says.as_array().expect("values").contains(value),
                    "const" => says == value,
                    "oneOf" => {
                        says.as_array()
                            .expect("rules")
                            .iter()
                            .filter(|rule| fits(rule))
                            .count()
                            == 1
                    }
                    "anyOf" => says.as_array().expect("rules").iter().any(fits),
                    "required" => says.as_array().expect("keys").iter().all(|key| {
                        let key = key.as_str().expect("a key");
                        value.as_object().is_none_or(|map| map.contains_key(key))
                    }),
                    "properties" => {
                        for (key, rule) in says.as_object().expect("properties") {
                            if let Some(inner) = value.get(key)
                                && let Some(fault) = self.fault(rule, inner, &format!("{at}/{key}"))
                            {
                                return Some(fault);
                            }
                        }
                        true
                    }
                    "additionalProperties" => {
                        let known = rule.get("properties").and_then(Value::as_object);
                        for (key, inner) in value.as_object().into_iter().flatten() {
                            if known.is_some_and(|known| known.contains_key(key)) {
                                continue;
                            }
                            if says == &Value::Bool(false) {
                                return Some(format!("{at}: {key} isn't known"));
                            }
                            if let Some(fault) = self.fault(says, inner, &format!("{at}/{key}")) {
                                return Some(fault);
                            }
                        }
                        true
                    }
                    "propertyNames" => value.as_object().into_iter().flatten().all(|(key, _)| {
                        self.fault(says, &Value::String(key.clone()), at).is_none()
                    }),
                    "items" => {
                        for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                            if let Some(fault) = self.fault(says, item, &format!("{at}/{n}")) {
                                return Some(fault);
                            }
                        }
                        true
                    }
                    "pattern" => value.as_str().is_none_or(|text| {
                        let pattern = says.as_str().expect("a pattern");
                        regex_lite::Regex::new(pattern)
                            .expect("a pattern")
                            .is_match(text)
                    }),
                    "minimum" => value
                        .as_i64()
                        .is_none_or(|n| n >= says.as_i64().expect("a number")),
                    "maximum" => value
                        .as_i64()
                        .is_none_or(|n| n <= says.as_i64().expect("a number")),
                    "minLength" => length(
                        value.as_str().map(|text| text.chars().count()),
                        says,
                        |n, m| n >= m,
                    ),
                    "maxLength" => length(
                        value.as_str().map(|text| text.chars().count()),
                        says,
                        |n, m| n <= m,
                    ),
                    "minItems" => length(value.as_array().map(Vec::len), says, |n, m| n >= m),
                    "maxItems" => length(value.as_array().map(Vec::len), says, |n, m| n <= m),
                    "minProperties" => {
                        length(value.as_object().map(|map| map.len()), says, |n, m| n >= m)
                    }
                    "maxProperties" => {
                        length(value.as_object().map(|map| map.len()), says, |n, m| n <= m)
                    }
                    "uniqueItems" => true,
                    other => panic!("the schema says `{other}`, which this doesn't know"),
                };
            if !fine {
                return Some(format!("{at}: {word} {says}: {value}"));
            }
        }
        None
    }
}

fn length(found: Option<usize>, says: &Value, fine: impl Fn(u64, u64) -> bool) -> bool {
    let says = says.as_u64().expect("a length");
    found.is_none_or(|found| fine(found as u64, says))
}

/// As an editor reads the file.
fn as_json(source: &str) -> Value {
    serde_saphyr::from_str(source).unwrap_or_else(|error| panic!("{error}\n{source}"))
}

fn shipped() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/flows");
    let files = std::fs::read_dir(folder).expect("the folder of shipped flows");
    files
        .map(|entry| {
            std::fs::read_to_string(entry.expect("a readable folder").path()).expect("a flow")
        })
        .collect()
}

/// One document with everything that a node may say.
const EVERYTHING: &str = "
flow: everything
about: All there is.
pace: standard
language: [en, es]
purpose: callers
variables: {twice: yes-or-no, where: text, times: number}
start: who
nodes:
  who: {identify: caller, clinician: hello, staff: news, patient: ask, place: hello, unknown: ask, next: ask}
  news: {incident: tell, about: health-record, unknown: staff, fallback: A problem., subscribe: '1', called_by: service, offer: Press 1., noted: Noted., over: It is over., not_noted: It isn't noted., told: hello, none: hello, subscribed: bye, surge: hello}
  draft: {incident: preview, of: draft, fallback: A problem., told: publish, none: bye}
  publish: {incident: publish, published: bye, failed: bye}
  hello: {play: {en: 'Hello {caller.name}.', es: Hola.}, barge_in: true, next: ask}
  ask:
    menu: Press 1.
    options: {1: {next: number, role: staff, language: es}, '*': desk, 5: draft, 2: tongue, 3: open, 4: status, 6: later, 7: prove}
    timeout: desk
    invalid: desk
    tries: 2
    wait: 6s
    sorry: Sorry.
  later: {callback: service, class: staff, offers: both, say: We can call., promised: bye, declined: desk, failed: desk}
  prove: {verify: 2, tries: 2, wrong: That was wrong., passed: status, failed: desk, locked: desk, unavailable: desk}
  status: {http: {action: system-status, with: {system: vars.where}, save: {twice: works}}, say: One moment., music: true, ok: desk, failed: desk}
  number: {collect: Key it in., digits: 4-10, secret: false, next: note, timeout: desk, invalid: desk, tries: 1, wait: 4s, sorry: Again.}
  note: {set: {where: digits, twice: true, times: vars.times + 1}, next: route}
  route: {branch: [{when: 'vars.times > 1', next: found}, {when: true, next: onward}], else: desk}
  found: {ticket: find, found: read, not_found: desk, give_up: desk}
  read: {ticket: read, next: attach}
  attach: {ticket: attach, wait: 1s, on_ticket: settled, on_store_down: desk}
  settled: {ticket: resolve, next: desk}
  tongue: {language: {'9': {speak: es, say: Oprima el nueve., next: ask}}, wait: 2s, next: spanish}
  spanish: {language: es, next: desk}
  open: {hours: desk, open: desk, closed: night, holiday: night, emergency: night}
  night: {partner: night-desk, music: true, greeting: One moment., lost: It was lost., ring_for: 20s, busy: desk, failed: desk, no_answer: onward, next: desk, after: bye}
  onward: {transfer: {to: vars.where, outside: true}, music: true, greeting: One moment., lost: It was lost., ring_for: 20s, busy: desk, refused: out, no_answer: desk, next: desk, after: bye}
  out: {transfer: '+15550142', next: desk}
  desk:
    queue: service
    class: caller
    music: true
    greeting: Hold on.
    repeat_ticket: 0
    announce: true
    announce_every: 30s
    position: 'You are number {queue.position}.'
    next_in_line: You are next.
    comfort: Thank you for waiting.
    lost: It was lost.
    exit_keys: {1: bye}
    no_agents: stay
    refused: bye
    max_wait: 5m
    on_max_wait: bye
    after: bye
  bye: {hang_up: Goodbye.}
tests:
  - name: Everything
    caller: {role: staff, known: true, name: Ms Haddad, withheld: false}
    dialled: '1000'
    hospital: st-anne
    directory: up
    hours: open
    store: up
    own_ticket: in hand
    incident: The record is down.
    brief: Down.
    surge: true
    subscribing: works
    verification: passes
    agents: signed in
    partner: rings
    callback: offered
    http: {system-status: {works: true}, other: fails}
    position: 2
    does: [press 2]
    hears: Hello Ms Haddad.
    never_hears: [Goodbye.]
    passes: [who, hello, ask]
    ends: queue service
";

/// An editor never finds fault with what the checker takes.
#[test]
fn sound_flows_fit_the_schema() {
    let checker = Checker { schema: schema() };
    let everything = [EVERYTHING.to_owned()];
    for source in shipped().iter().chain(&everything) {
        let sound = Flow::parse("t", source);
        assert!(sound.is_ok(), "{:?}\n{source}", sound.err());
        assert_eq!(checker.fault(&checker.schema, &as_json(source), ""), None);
    }
}

/// Taken out or given another value, each thing that the checker still takes the schema takes too; and what the schema
/// calls required, or bounded by a number, the checker refuses to do without, or beyond it.
#[test]
fn the_schema_and_the_checker_agree_piece_by_piece() {
    let checker = Checker { schema: schema() };
    let read = Document::read("t", EVERYTHING).expect("a document");
    let (mut taken, mut refused) = (0, 0);
    for path in paths(read.root()) {
        let values = ["0", "1", "7", "ask", "true", "x y", "[a]", "{a: b}", "90s"];
        let edits = values.iter().map(Some).chain([None]);
        for new in edits {
            let mut edited = read.clone();
            let done = match new {
                Some(new) => edited.set(&path, yaml(new)),
                None => edited.remove(&path),
            };
            if done.is_err() {
                continue;
            }
            let fits = checker.fault(&checker.schema, &as_json(edited.text()), "");
            let errors = Flow::parse("t", edited.text()).err().unwrap_or_default();
            if errors.is_empty() {
                taken += 1;
                assert_eq!(fits, None, "the checker takes {path:?} as {new:?}");
            } else if fits.is_some() {
                refused += 1;
            }
        }
    }
    // Both happen often, or this shows nothing.
    assert!(
        taken > 100 && refused > 300,
        "{taken} taken, {refused} refused by both"
    );
}

fn yaml(text: &str) -> Yaml {
    let key = "flow: x\nvalue: ".to_owned() + text;
    let read = Document::read("t", key).expect("a value");
    read.get(&["value".into()]).cloned().expect("a value")
}

fn paths(root: &Yaml) -> Vec<Vec<At>> {
    let mut found = Vec::new();
    let mut ahead: Vec<Vec<At>> = vec![Vec::new()];
    while let Some(path) = ahead.pop() {
        let step = |step: At| {
            let mut path = path.clone();
            path.push(step);
            path
        };
        match root.get(&path) {
            Some(Yaml::Map(entries)) => {
                ahead.extend(entries.iter().map(|(key, _)| step(At::Key(key.clone()))));
            }
            Some(Yaml::List(items)) => ahead.extend((0..items.len()).map(|n| step(At::Item(n)))),
            _ => {}
        }
        if !path.is_empty() {
            found.push(path);
        }
    }
    found
}

/// What a node must say, and between which numbers.
#[test]
fn what_is_required_and_bounded() {
    let schema = schema();
    let read = Document::read("t", EVERYTHING).expect("a document");
    let Some(Yaml::Map(nodes)) = read.get(&["nodes".into()]) else {
        panic!("no nodes");
    };
    let faults = |edited: &Document| Flow::parse("t", edited.text()).err().unwrap_or_default();
    let mut looked_at = BTreeSet::new();
    for (name, node) in nodes {
        let Yaml::Map(entries) = node else { continue };
        let definitions = schema["$defs"].as_object().expect("definitions");
        let kinds = schema["$defs"]["node"]["oneOf"]
            .as_array()
            .expect("kinds")
            .iter();
        let kinds = kinds.map(|kind| {
            kind["$ref"]
                .as_str()
                .expect("a name")
                .trim_start_matches("#/$defs/")
        });
        let mut kinds = kinds.filter(|kind| entries.iter().any(|(key, _)| key == kind));
        let kind = kinds.next().expect("a kind");
        let definition = &definitions[kind];
        let at = |key: &str| [At::from("nodes"), At::from(name.as_str()), At::from(key)];
        for key in definition["required"].as_array().expect("keys") {
            let key = key.as_str().expect("a key");
            let mut edited = read.clone();
            edited.remove(&at(key)).expect("a required key is there");
            let faults = faults(&edited);
            assert!(!faults.is_empty(), "{kind} without {key}");
            looked_at.insert(format!("{kind}.{key}"));
        }
        for (key, rule) in definition["properties"].as_object().expect("properties") {
            for (bound, beyond) in [("minimum", -1), ("maximum", 1)] {
                let Some(limit) = rule[bound].as_i64() else {
                    continue;
                };
                for (value, fine) in [(limit, true), (limit + beyond, false)] {
                    let mut edited = read.clone();
                    edited
                        .set(&at(key), Yaml::Text(value.to_string()))
                        .expect("a key");
                    assert_eq!(faults(&edited).is_empty(), fine, "{kind}.{key}: {value}");
                }
                looked_at.insert(format!("{kind}.{key} {bound}"));
            }
        }
    }
    assert!(looked_at.len() > 25, "{looked_at:?}");
}
