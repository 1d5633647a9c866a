//! YAML to a tree that knows where everything was written.
//!
//! Nothing but plain YAML is taken: no anchors, aliases, merge keys or tags, so
//! that a small file stays a small tree, and what the administrator reads is
//! all there is.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};

/// Largest file read, in bytes.
pub(crate) const FILE_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of maps and lists.
const DEPTH_MAX: usize = 12;
/// Most scalars, lists and maps together.
const TREE_NODES_MAX: usize = 20_000;

/// Where something stands in the file, both counted from 1; 0: unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    pub(crate) at: Place,
    pub(crate) value: Value,
}

/// A YAML value. Scalars are kept as they were written: `0123` keeps its zero.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Nothing,
    Text(String),
    List(Vec<Tree>),
    Map(Vec<Entry>),
}

impl Value {
    /// What it is, in the words of the messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Nothing => "nothing",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// One line of a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Place,
    pub(crate) value: Tree,
}

/// A document that isn't acceptable YAML.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) at: Place,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// Reads one document.
pub(crate) fn read(source: &str) -> Result<Tree, Unreadable> {
    if source.len() > FILE_BYTES_MAX {
        return Err(Unreadable {
            at: Place::default(),
            message: format!("the file is larger than {} KiB", FILE_BYTES_MAX / 1024),
            help: Some("Split it into several flows.".to_owned()),
        });
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 4 * TREE_NODES_MAX,
            max_aliases: 0,
            max_anchors: 0,
            flow_nesting_limit: DEPTH_MAX,
            max_depth: DEPTH_MAX,
            max_inclusion_depth: 0,
            max_documents: 1,
            max_nodes: TREE_NODES_MAX,
            max_total_scalar_bytes: FILE_BYTES_MAX,
            max_merge_keys: 0,
        },
        emit_comments: false,
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    let raw: Raw = serde_saphyr::from_str_with_options(source, options).map_err(unreadable)?;
    let tree = raw.into_tree(source);
    match twice(&tree) {
        Some(entry) => Err(Unreadable {
            at: entry.at,
            message: format!("duplicate key: `{}` stands twice", entry.key),
            help: Some("A key may stand only once in a map.".to_owned()),
        }),
        None => Ok(tree),
    }
}

/// A key that stands twice. The parser takes `1` and `"1"` for two; here they name the same.
fn twice(tree: &Tree) -> Option<&Entry> {
    match &tree.value {
        Value::Nothing | Value::Text(_) => None,
        Value::List(items) => items.iter().find_map(twice),
        Value::Map(entries) => {
            let mut seen = std::collections::HashSet::new();
            let mut entries = entries.iter();
            entries.find_map(|entry| {
                if seen.insert(entry.key.as_str()) {
                    twice(&entry.value)
                } else {
                    Some(entry)
                }
            })
        }
    }
}

fn unreadable(error: serde_saphyr::Error) -> Unreadable {
    let at = error.location().map(place).unwrap_or_default();
    let raw = error.without_snippet().to_string();
    let lower = raw.to_lowercase();
    let (message, help) = if lower.contains("anchor") || lower.contains("alias") {
        (
            "anchors (&) and aliases (*) aren't used in flows".to_owned(),
            Some(
                "Write the text out where it is needed; quote a text that begins with & or *."
                    .to_owned(),
            ),
        )
    } else if lower.contains("merge") {
        ("merge keys (<<) aren't used in flows".to_owned(), None)
    } else if lower.contains("duplicate") {
        // What follows is for programmers.
        let said = raw.split(", set DuplicateKeyPolicy").next();
        (
            said.unwrap_or_default().to_owned(),
            Some("A key may stand only once in a map.".to_owned()),
        )
    } else if lower.contains("budget") || lower.contains("limit") {
        (
            format!("the document is too large or too deeply nested: {raw}"),
            None,
        )
    } else {
        (
            format!("this isn't readable YAML: {raw}"),
            Some(
                "Often a quote or an indent is missing on this line or the one before.".to_owned(),
            ),
        )
    };
    Unreadable { at, message, help }
}

fn place(location: serde_saphyr::Location) -> Place {
    Place {
        line: u32::try_from(location.line()).unwrap_or(u32::MAX),
        column: u32::try_from(location.column()).unwrap_or(u32::MAX),
    }
}

/// The tree as serde delivers it; numbers not yet back in their own spelling.
struct Raw(Spanned<RawValue>);

enum RawValue {
    Nothing,
    Text(String),
    /// A number as serde understood it: the spelling is taken from the source.
    Number(String),
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Raw)
    }
}

impl Raw {
    fn into_tree(self, source: &str) -> Tree {
        let at = place(self.0.referenced);
        let value = match self.0.value {
            RawValue::Nothing => Value::Nothing,
            RawValue::Text(text) => Value::Text(text),
            RawValue::Number(number) => {
                let span = self.0.referenced.span();
                let written = span
                    .byte_offset()
                    .zip(span.byte_len())
                    .and_then(|(start, len)| {
                        let start = usize::try_from(start).ok()?;
                        let end = start.checked_add(usize::try_from(len).ok()?)?;
                        source.get(start..end)
                    })
                    .map(str::trim)
                    .filter(|written| !written.is_empty() && written.len() < 40);
                Value::Text(written.map_or(number, str::to_owned))
            }
            RawValue::List(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| item.into_tree(source))
                    .collect(),
            ),
            RawValue::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        at: place(key.referenced),
                        key: key.value,
                        value: value.into_tree(source),
                    })
                    .collect(),
            ),
        };
        Tree { at, value }
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list or a map")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Nothing)
    }

    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<RawValue, E> {
        Ok(RawValue::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(RawValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(RawValue::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(tree: &Tree) -> String {
        match &tree.value {
            Value::Nothing => "~".to_owned(),
            Value::Text(text) => format!("{text}@{}:{}", tree.at.line, tree.at.column),
            Value::List(items) => {
                format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" "))
            }
            Value::Map(entries) => format!(
                "{{{}}}",
                entries
                    .iter()
                    .map(|e| format!("{}@{}={}", e.key, e.at.line, show(&e.value)))
                    .collect::<Vec<_>>()
                    .join(" ")
            ),
        }
    }

    fn check(source: &str, expected: &str) {
        let shown = match read(source) {
            Ok(tree) => show(&tree),
            Err(error) => format!("line {}: {}", error.at.line, error.message),
        };
        assert!(shown.starts_with(expected), "{source}\n{shown}");
    }

    #[test]
    fn scalars_keep_their_spelling_and_place() {
        check("a: 0123\nb: 1.50", "{a@1=0123@1:4 b@2=1.50@2:4}");
        check("press 1", "press 1@1:1");
        check(
            "{1: x, 0: y, \"*\": z}",
            "{1@1=x@1:5 0@1=y@1:11 *@1=z@1:19}",
        );
        check("a:\n  - 5s\n  - true\n  - ~", "{a@1=[5s@2:5 true@3:5 ~]}");
        check("no: off", "{no@1=off@1:5}");
        // A folded text stands where its last line does: messages about texts use the key's place.
        check("a: >\n  one\n  two\n", "{a@1=one two\n@");
        check("d: 0x10", "{d@1=0x10@1:4}");
    }

    #[test]
    fn what_grows_or_surprises_is_refused() {
        check("a: &x 1\nb: *x", "line 1: anchors");
        check("a: 1\na: 2", "line 2:");
        check("a:\n  1: x\n  \"1\": y", "line 3: duplicate key");
        check("a: [1", "line ");
        check("a: !!python/object x", "line 1:");
        check(&"[".repeat(5000), "line ");
        check(
            &format!("a: {}", "[".repeat(30) + &"]".repeat(30)),
            "line 1: the document is too large",
        );
        check(&format!("[{}]", "1,".repeat(60_000)), "line ");
        check(
            &"x".repeat(FILE_BYTES_MAX + 1),
            "line 0: the file is larger",
        );
        check("a: 1\n---\nb: 2", "line ");
    }
}
