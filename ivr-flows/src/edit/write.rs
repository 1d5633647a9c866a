//! Values as YAML, in the style that stands around them.

use std::fmt::Write as _;

use granit_parser::ScalarStyle;

use super::Yaml;

/// How wide a line may become before a map or a list is written over several.
pub(super) const WIDTH: usize = 100;

/// In one row: `{next: a, role: staff}`. `flow`: within braces or brackets.
pub(super) fn row(value: &Yaml, flow: bool) -> String {
    match value {
        Yaml::Nothing => "~".to_owned(),
        Yaml::Text(text) => scalar(text, ScalarStyle::Plain, flow),
        Yaml::List(items) => {
            let items: Vec<String> = items.iter().map(|item| row(item, true)).collect();
            format!("[{}]", items.join(", "))
        }
        Yaml::Map(entries) => {
            let entry = |(key, value): &(String, Yaml)| {
                format!("{}: {}", self::key(key, true), row(value, true))
            };
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// A map or list as lines, each begun with so many blanks but the first; what
/// is short stands in a row.
pub(super) fn block(value: &Yaml, indent: usize) -> String {
    let mut text = String::new();
    let begin = |text: &mut String| {
        if !text.is_empty() {
            let _ = write!(text, "\n{:indent$}", "");
        }
    };
    match value {
        Yaml::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                begin(&mut text);
                text.push_str(&self::key(key, false));
                text.push(':');
                text.push_str(&behind_colon(value, indent, key.chars().count(), false));
            }
        }
        Yaml::List(items) if !items.is_empty() => {
            for item in items {
                begin(&mut text);
                text.push_str("- ");
                text.push_str(&in_list(item, indent + 2));
            }
        }
        other => text = row(other, false),
    }
    text
}

/// An item that stands at this column, behind its dash.
pub(super) fn in_list(item: &Yaml, indent: usize) -> String {
    let written = row(item, false);
    match item {
        // An empty first line would be no item.
        Yaml::Map(_) if indent + written.chars().count() > WIDTH => block(item, indent),
        _ => written,
    }
}

/// A value behind the colon of a key that stands at this column. `lines`: its
/// neighbours are written over several lines, and so is it.
pub(super) fn behind_colon(value: &Yaml, indent: usize, before: usize, lines: bool) -> String {
    let written = row(value, false);
    let wide = indent + before + 2 + written.chars().count() > WIDTH;
    let deep = match value {
        Yaml::Map(entries) => !entries.is_empty() && (wide || lines),
        Yaml::List(items) => !items.is_empty() && wide,
        _ => false,
    };
    if deep {
        let indent = indent + 2;
        format!("\n{:indent$}{}", "", block(value, indent))
    } else {
        format!(" {written}")
    }
}

/// A key. What looks like a number is quoted: keys are texts everywhere.
pub(super) fn key(name: &str, flow: bool) -> String {
    match name.parse::<f64>() {
        Ok(_) => quoted(name),
        Err(_) => scalar(name, ScalarStyle::Plain, flow),
    }
}

/// A text in this style, or in quotes where that can't hold it.
pub(super) fn scalar(text: &str, style: ScalarStyle, flow: bool) -> String {
    match style {
        ScalarStyle::SingleQuoted if !text.chars().any(char::is_control) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        ScalarStyle::Plain | ScalarStyle::Folded | ScalarStyle::Literal if is_plain(text, flow) => {
            text.to_owned()
        }
        _ => quoted(text),
    }
}

fn is_plain(text: &str, flow: bool) -> bool {
    let nothing = matches!(text, "" | "~" | "null" | "Null" | "NULL" | "<<");
    // What other readers take for a truth or a number that isn't one here.
    let other = ["True", "TRUE", "False", "FALSE"].contains(&text)
        || ["yes", "no", "on", "off"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word));
    let begins = text.starts_with(|c: char| "-?:,[]{}#&*!|>'\"%@`".contains(c));
    let within = text.contains(": ") || text.contains(" #") || text.ends_with(':');
    let odd = text.chars().any(char::is_control) || text.trim() != text;
    // What another alphabet calls blank or invisible is better seen.
    let hidden = text
        .chars()
        .any(|c| c != ' ' && (c.is_whitespace() || c == '\u{feff}'));
    let braces = flow && text.contains([',', '[', ']', '{', '}', ':']);
    !(nothing || other || begins || within || odd || hidden || braces || text.starts_with('.'))
}

fn quoted(text: &str) -> String {
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                written.push('\\');
                written.push(c);
            }
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            c if c.is_control() || (c != ' ' && c.is_whitespace()) || c == '\u{feff}' => {
                let _ = match u32::from(c) {
                    code @ 0..=0xff => write!(written, "\\x{code:02x}"),
                    code => write!(written, "\\u{code:04x}"),
                };
            }
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

/// A text as lines of a block scalar, with its head, each line begun with so
/// many blanks; `None` when such lines would say something else.
pub(super) fn folded(text: &str, style: ScalarStyle, indent: usize) -> Option<String> {
    let (body, chomp) = match text.strip_suffix('\n') {
        Some(body) => (body, ""),
        None => (text, "-"),
    };
    let fine =
        |line: &str| !line.is_empty() && line.trim() == line && !line.chars().any(char::is_control);
    let (head, lines): (char, Vec<String>) = match style {
        ScalarStyle::Literal => {
            let lines = body.split('\n').map(str::to_owned).collect();
            ('|', lines)
        }
        ScalarStyle::Folded => {
            let mut lines: Vec<String> = Vec::new();
            for word in body.split(' ') {
                match lines.last_mut() {
                    Some(line) if indent + line.chars().count() + word.chars().count() < WIDTH => {
                        line.push(' ');
                        line.push_str(word);
                    }
                    _ => lines.push(word.to_owned()),
                }
            }
            // A blank more, or less, would be lost.
            if body.split(' ').any(str::is_empty) {
                return None;
            }
            ('>', lines)
        }
        _ => return None,
    };
    if !lines.iter().all(|line| fine(line)) {
        return None;
    }
    let mut written = format!("{head}{chomp}");
    for line in lines {
        let _ = write!(written, "\n{:indent$}{line}", "");
    }
    Some(written)
}
