//! Edits of a flow's document: an input is a document and, behind a NUL, edits of three bytes each: where, what, and how
//! much of it. Whatever comes of an edit says what was asked for; one that can't be made changes nothing.

use ivr_flows::{At, Document, Yaml};

use super::bounds::within;

const EDITS_MAX: usize = 12;
/// What is written into documents: words that YAML takes for something else, and texts that have to be quoted.
const TEXTS: [&str; 12] = [
    "hello",
    "",
    "yes",
    "12",
    "a: b",
    "- x",
    "\"",
    "line\nline",
    " # no",
    "é\u{1f600}",
    "stay",
    "~",
];

/// Does with `input` whatever can be done with it.
pub(crate) fn run(input: &[u8]) {
    let cut = input.iter().position(|byte| *byte == 0);
    let (source, edits) = input.split_at(cut.unwrap_or(input.len()));
    let source = String::from_utf8_lossy(source).into_owned();
    let read = within(source.len(), 3_000, 3_000_000, || {
        Document::read("fuzzed.yaml", source.as_str())
    });
    let Ok(mut document) = read else {
        return;
    };
    assert_eq!(document.text(), source, "read, and not touched");
    for edit in edits.get(1..).unwrap_or_default().chunks(3).take(EDITS_MAX) {
        let byte = |n: usize| edit.get(n).copied().unwrap_or(0);
        let mut places = Vec::new();
        walk(document.root(), &mut Vec::new(), &mut places);
        let place = places[usize::from(byte(0)) * places.len() / 256].clone();
        let before = document.clone();
        let length = document.text().len();
        within(length, 30_000, 30_000_000, || {
            one(&mut document, &place, byte(1), byte(2), &before);
        });
    }
}

fn one(document: &mut Document, place: &[At], what: u8, which: u8, before: &Document) {
    let text = Yaml::Text(TEXTS[usize::from(which) % TEXTS.len()].to_owned());
    let mut wanted = before.root().clone();
    let (edited, made) = match what % 6 {
        0 => (document.set(place, text.clone()), wanted.set(place, text)),
        1 => (document.remove(place), wanted.remove(place)),
        2 => {
            let mut added = place.to_vec();
            added.push(At::from(
                ["next", "say", "b c", "1"][usize::from(which) % 4],
            ));
            (document.set(&added, text.clone()), wanted.set(&added, text))
        }
        3 => {
            let list = Yaml::List(vec![text.clone(), Yaml::Map(vec![("k".into(), text)])]);
            (document.set(place, list.clone()), wanted.set(place, list))
        }
        4 => {
            let Some(At::Key(name)) = place.last().cloned() else {
                return;
            };
            let renamed =
                document.rename_node(&name, ["a", "ask", "A", "stay"][usize::from(which) % 4]);
            if renamed.is_err() {
                assert_eq!(document, before, "changed nothing");
            }
            return;
        }
        _ => {
            if let Some(lines) = document.lines(place) {
                let all = 1 + document.text().matches('\n').count();
                assert!(1 <= *lines.start() && lines.start() <= lines.end() && *lines.end() <= all);
            }
            return;
        }
    };
    match edited {
        Ok(()) => {
            assert_eq!(made, Ok(()), "there is such a place");
            assert!(document.root().says(&wanted), "what was asked for");
            let again =
                Document::read("again.yaml", document.text()).map(|d| d.root().says(&wanted));
            assert_eq!(again, Ok(true), "and the text says so");
        }
        Err(_) => assert_eq!(document, before, "changed nothing"),
    }
}

/// Every place of a document, itself first.
fn walk(piece: &Yaml, path: &mut Vec<At>, places: &mut Vec<Vec<At>>) {
    places.push(path.clone());
    let mut into = |step: At, piece: &Yaml| {
        path.push(step);
        walk(piece, path, places);
        path.pop();
    };
    match piece {
        Yaml::Map(entries) => entries
            .iter()
            .for_each(|(key, value)| into(At::Key(key.clone()), value)),
        Yaml::List(items) => items
            .iter()
            .enumerate()
            .for_each(|(n, item)| into(At::Item(n), item)),
        Yaml::Nothing | Yaml::Text(_) => {}
    }
}
