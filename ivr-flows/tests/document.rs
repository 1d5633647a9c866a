//! Documents are edited without a byte of them changing that wasn't meant.

use std::ops::RangeInclusive;

use ivr_flows::{At, Document, EditError, Yaml};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

fn shipped() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/flows");
    let files = std::fs::read_dir(folder).expect("the folder of shipped flows");
    let files = files.map(|entry| entry.expect("a readable folder").path());
    files
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a readable flow");
            (path.display().to_string(), text)
        })
        .collect()
}

fn document(text: &str) -> Document {
    Document::read("t", text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Every place of a document, with its own value.
fn places(root: &Yaml) -> Vec<(Vec<At>, Yaml)> {
    fn walk(value: &Yaml, path: &mut Vec<At>, found: &mut Vec<(Vec<At>, Yaml)>) {
        if !path.is_empty() {
            found.push((path.clone(), value.clone()));
        }
        let inner: Vec<(At, &Yaml)> = match value {
            Yaml::Map(entries) => {
                let entries = entries.iter();
                entries
                    .map(|(key, value)| (At::Key(key.clone()), value))
                    .collect()
            }
            Yaml::List(items) => {
                let items = items.iter().enumerate();
                items.map(|(n, item)| (At::Item(n), item)).collect()
            }
            Yaml::Nothing | Yaml::Text(_) => Vec::new(),
        };
        for (step, value) in inner {
            path.push(step);
            walk(value, path, found);
            path.pop();
        }
    }
    let mut found = Vec::new();
    walk(root, &mut Vec::new(), &mut found);
    found
}

/// The lines outside these are the same in both.
fn only_these_lines(before: &str, lines: &RangeInclusive<usize>, after: &str, path: &[At]) {
    let old: Vec<&str> = before.split('\n').collect();
    let new: Vec<&str> = after.split('\n').collect();
    let above = lines.start() - 1;
    let below = old.len() - lines.end();
    assert_eq!(old[..above], new[..above], "above {path:?}\n{after}");
    assert!(new.len() >= below, "{path:?}\n{after}");
    assert_eq!(
        old[*lines.end()..],
        new[new.len() - below..],
        "below {path:?}\n{after}"
    );
}

#[test]
fn a_document_is_saved_as_it_was_read() {
    for (file, text) in shipped() {
        let mut same = document(&text);
        assert_eq!(same.text(), text, "{file}");
        for (path, value) in places(&same.root().clone()) {
            assert_eq!(same.set(&path, value), Ok(()), "{file} {path:?}");
        }
        assert_eq!(same.text(), text, "{file}");
    }
}

#[test]
fn any_text_of_a_shipped_flow_is_changed_in_its_own_lines() {
    for (file, text) in shipped() {
        let read = document(&text);
        for (path, value) in places(read.root()) {
            let Yaml::Text(old) = &value else { continue };
            let lines = read.lines(&path).expect("a place");
            for new in ["x", "It's: \"a\" # text, {with} [everything]", ""] {
                let mut edited = read.clone();
                assert_eq!(
                    edited.set(&path, Yaml::Text(new.to_owned())),
                    Ok(()),
                    "{file} {path:?}"
                );
                assert_eq!(edited.get(&path), Some(&Yaml::Text(new.to_owned())));
                only_these_lines(&text, &lines, edited.text(), &path);
                // And back: nothing is left of it but, perhaps, another way to quote or fold.
                assert_eq!(
                    edited.set(&path, Yaml::Text(old.clone())),
                    Ok(()),
                    "{file} {path:?}"
                );
                assert_eq!(edited.root(), read.root());
                only_these_lines(&text, &lines, edited.text(), &path);
            }
        }
    }
}

#[test]
fn anything_is_taken_out_of_a_shipped_flow_with_its_own_lines() {
    for (file, text) in shipped() {
        let read = document(&text);
        for (path, _) in places(read.root()) {
            let lines = read.lines(&path).expect("a place");
            let mut edited = read.clone();
            match edited.remove(&path) {
                Ok(()) => {
                    let mut model = read.root().clone();
                    model.remove(&path).expect("a place");
                    assert!(edited.root().says(&model), "{file} {path:?}");
                }
                Err(error) => panic!("{file} {path:?}: {error}"),
            }
            // The only one of its kind leaves an empty map or list behind.
            let first = *lines.start() - 1;
            let old: Vec<&str> = text.split('\n').collect();
            let new: Vec<&str> = edited.text().split('\n').collect();
            let alone = read
                .get(&path[..path.len() - 1])
                .is_some_and(|holder| match holder {
                    Yaml::Map(entries) => entries.len() == 1,
                    Yaml::List(items) => items.len() == 1,
                    _ => false,
                });
            assert_eq!(
                old[..first - usize::from(alone)],
                new[..first - usize::from(alone)]
            );
            // Behind a dash the next key takes the place of the first.
            let moved = old[first].trim_start().starts_with("- ")
                && matches!(path.last(), Some(At::Key(_)));
            let below = lines.end() + usize::from(moved);
            assert_eq!(old[below..], new[new.len() - (old.len() - below)..]);
        }
    }
}

#[test]
fn every_node_of_a_shipped_flow_is_renamed_and_back() {
    for (file, text) in shipped() {
        let read = document(&text);
        let sound = |text: &str| ivr_flows::Flow::parse("t", text).map(|_| ());
        assert_eq!(sound(&text), Ok(()), "{file}");
        let Some(Yaml::Map(nodes)) = read.get(&["nodes".into()]) else {
            panic!("{file} has no nodes");
        };
        for (name, _) in nodes {
            let mut edited = read.clone();
            assert_eq!(
                edited.rename_node(name, "brand_new"),
                Ok(()),
                "{file} {name}"
            );
            // No reference was forgotten, and nothing renamed that only looks like one.
            assert_eq!(sound(edited.text()), Ok(()), "{file} {name}");
            assert_eq!(edited.rename_node("brand_new", name), Ok(()));
            assert_eq!(edited.text(), text, "{file} {name}");
        }
    }
}

/// Documents as people lay them out: rows, lines, quotes, comments, blank lines.
#[derive(Debug, Clone)]
enum Laid {
    Text(String),
    Map(bool, Vec<(String, Laid)>),
    List(bool, Vec<Laid>),
}

fn arb_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}( [a-z]{1,6}){0,3}",
        "[0-9]{1,4}",
        "[ -~]{0,12}",
        "[a-zé: #'\"\\\\,\\[{-]{0,10}",
        "[a-z\n ]{0,14}",
        Just("~".to_owned()),
        Just("true".to_owned()),
    ]
}

fn arb_key() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-z_]{1,6}", 1 => "[0-9*#]", 1 => "[ -~]{1,6}"]
}

fn arb_laid() -> impl Strategy<Value = Laid> {
    let leaf = arb_text().prop_map(Laid::Text);
    let inner = leaf.prop_recursive(4, 24, 5, |inner| {
        let entries = prop::collection::vec((arb_key(), inner.clone()), 0..5);
        prop_oneof![
            (any::<bool>(), entries).prop_map(|(row, entries)| Laid::Map(row, entries)),
            (any::<bool>(), prop::collection::vec(inner, 0..4))
                .prop_map(|(row, items)| Laid::List(row, items)),
        ]
    });
    prop::collection::vec((arb_key(), inner), 1..6).prop_map(|entries| Laid::Map(false, entries))
}

/// Writes it down; `dice` decides on blanks, comments and quotes.
struct Pen {
    text: String,
    dice: u64,
    comments: usize,
}

impl Pen {
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    fn comment(&mut self) {
        self.comments += 1;
        self.text.push_str(&format!("# note{}", self.comments));
    }

    fn scalar(&mut self, words: &str, row: bool) {
        let simple = !words.is_empty()
            && words.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && words
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == ' ' || c == '_')
            && !words.ends_with(' ');
        let controls = words.chars().any(char::is_control);
        match self.roll(3) {
            0 if simple => self.text.push_str(words),
            1 if !controls => {
                self.text.push('\'');
                self.text.push_str(&words.replace('\'', "''"));
                self.text.push('\'');
            }
            _ if simple && !row => self.text.push_str(words),
            _ => {
                let escaped = words
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n");
                self.text.push_str(&format!("\"{escaped}\""));
            }
        }
    }

    fn row(&mut self, laid: &Laid) {
        match laid {
            Laid::Text(words) => self.scalar(words, true),
            Laid::Map(_, entries) => {
                self.text.push('{');
                for (n, (key, value)) in entries.iter().enumerate() {
                    self.text.push_str(if n == 0 { "" } else { ", " });
                    self.scalar(key, true);
                    self.text.push_str(": ");
                    self.row(value);
                }
                let close = if self.roll(4) == 0 { " }" } else { "}" };
                self.text.push_str(close);
            }
            Laid::List(_, items) => {
                self.text.push('[');
                for (n, item) in items.iter().enumerate() {
                    self.text.push_str(if n == 0 { "" } else { ",  " });
                    self.row(item);
                }
                self.text.push(']');
            }
        }
    }

    fn end_line(&mut self) {
        if self.roll(4) == 0 {
            self.text.push_str("  ");
            self.comment();
        }
        self.text.push('\n');
        if self.roll(5) == 0 {
            self.text.push('\n');
        }
    }

    fn lines(&mut self, laid: &Laid, indent: usize) {
        let blanks = " ".repeat(indent);
        match laid {
            Laid::Map(false, entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    if self.roll(6) == 0 {
                        self.text.push_str(&blanks);
                        self.comment();
                        self.text.push('\n');
                    }
                    self.text.push_str(&blanks);
                    self.scalar(key, false);
                    self.text.push(':');
                    self.value(value, indent + 2);
                }
            }
            Laid::List(false, items) if !items.is_empty() => {
                for item in items {
                    self.text.push_str(&blanks);
                    self.text.push('-');
                    self.value(item, indent + 2);
                }
            }
            other => {
                self.text.push_str(&blanks);
                self.row(other);
                self.end_line();
            }
        }
    }

    fn value(&mut self, value: &Laid, indent: usize) {
        let lines = match value {
            Laid::Map(false, entries) => !entries.is_empty(),
            Laid::List(false, items) => !items.is_empty(),
            _ => false,
        };
        if lines {
            self.end_line();
            self.lines(value, indent);
        } else {
            self.text.push(' ');
            self.row(value);
            self.end_line();
        }
    }
}

fn written(laid: &Laid, dice: u64) -> String {
    let mut pen = Pen {
        text: String::new(),
        dice,
        comments: 0,
    };
    pen.comment();
    pen.text.push('\n');
    pen.lines(laid, 0);
    pen.text
}

fn value_of(laid: &Laid) -> Yaml {
    match laid {
        Laid::Text(words) => Yaml::Text(words.clone()),
        Laid::Map(_, entries) => {
            let mut map: Vec<(String, Yaml)> = Vec::new();
            for (key, value) in entries {
                if !map.iter().any(|(known, _)| known == key) {
                    map.push((key.clone(), value_of(value)));
                }
            }
            Yaml::Map(map)
        }
        Laid::List(_, items) => Yaml::List(items.iter().map(value_of).collect()),
    }
}

fn comments(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| {
            let at = line.rfind("# note")?;
            line[at + 6..].parse::<u32>().ok().map(|_| &line[at..])
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_is_what_it_would_be_on_the_values(
        laid in arb_laid(),
        dice in any::<u64>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..5, arb_key(), arb_laid()), 1..5),
    ) {
        let text = written(&laid, dice);
        // Keys that stand twice are refused; there are enough others.
        let Ok(mut edited) = Document::read("t", text.clone()) else { return Ok(()) };
        prop_assert_eq!(edited.text(), &text);
        for (at, what, key, new) in edits {
            let before = edited.clone();
            let mut model = before.root().clone();
            let places = places(before.root());
            if places.is_empty() {
                break;
            }
            let (mut path, old) = places[at.index(places.len())].clone();
            let lines = before.lines(&path).expect("a place");
            let (done, shall) = match what {
                0 => (edited.remove(&path), model.remove(&path)),
                1 | 2 => {
                    let value = match (what, value_of(&new)) {
                        (1, Yaml::Map(mut entries)) => entries.remove(0).1,
                        (_, value) => value,
                    };
                    (edited.set(&path, value.clone()), model.set(&path, value))
                }
                3 => {
                    let value = Yaml::Text(key);
                    (edited.set(&path, value.clone()), model.set(&path, value))
                }
                _ => {
                    path.push(match old {
                        Yaml::List(items) => At::Item(items.len()),
                        _ => At::Key(key),
                    });
                    let value = match value_of(&new) {
                        Yaml::Map(mut entries) => entries.remove(0).1,
                        value => value,
                    };
                    (edited.set(&path, value.clone()), model.set(&path, value))
                }
            };
            match done {
                Ok(()) => {
                    prop_assert!(shall.is_ok());
                    prop_assert!(edited.root().says(&model), "{path:?}\n{}\n---\n{}", before.text(), edited.text());
                    let again = document(edited.text());
                    prop_assert_eq!(again.root(), edited.root());
                    // Comments outside of what was edited are all there.
                    let inside: Vec<&str> = before.text().split('\n').skip(lines.start() - 1).take(lines.count()).collect();
                    let inside = inside.join("\n");
                    let inside = comments(&inside);
                    let kept = comments(edited.text());
                    for comment in comments(before.text()) {
                        prop_assert!(
                            kept.contains(&comment) || inside.contains(&comment),
                            "{comment} of {path:?}\n{}\n---\n{}", before.text(), edited.text()
                        );
                    }
                }
                Err(error) => {
                    // Nothing was changed, and it is seldom refused (see below).
                    prop_assert_eq!(&edited, &before);
                    prop_assert!(shall.is_err() == (error == EditError::NoSuchPlace), "{error}");
                }
            }
        }
    }
}

/// How often an edit that makes sense is refused because of the layout around it.
#[test]
fn few_edits_have_to_be_made_by_hand() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut made, mut refused) = (0_u32, 0_u32);
    for dice in 0..400 {
        let laid = arb_laid()
            .new_tree(&mut runner)
            .expect("a document")
            .current();
        let Ok(read) = Document::read("t", written(&laid, dice)) else {
            continue;
        };
        for (path, _) in places(read.root()) {
            for remove in [true, false] {
                let mut edited = read.clone();
                let done = match remove {
                    true => edited.remove(&path),
                    false => edited.set(&path, Yaml::Text("new words".to_owned())),
                };
                match done {
                    Ok(()) => made += 1,
                    Err(error) => {
                        assert_eq!(error, EditError::Entangled, "{path:?}\n{}", read.text());
                        refused += 1;
                    }
                }
            }
        }
    }
    println!("{made} edits made, {refused} refused");
    assert!(refused * 50 < made, "{refused} of {made}");
}
