//! Changing a flow's document without touching what isn't changed.
//!
//! A [`Document`] holds its text as it was written. An edit is worked out on
//! the values, then on the text: the bytes of what is changed are replaced, and
//! every other byte, comments and blank lines included, stays. The new text is
//! read again and must say what the edited values say; otherwise nothing is
//! changed and the edit is refused. So a document is never damaged by an edit,
//! whatever its layout.

mod layout;
mod text;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::RangeInclusive;

use crate::CheckError;
use crate::build::Draft;
use crate::document::{self, Tree, Value};
use crate::kinds::is_node_name;
use layout::{Spot, line_start};

/// A piece of a document. Scalars are texts, as they are written: `5s`, `007`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Yaml {
    /// Nothing: `~`, or nothing behind a colon.
    Nothing,
    /// A scalar.
    Text(String),
    /// A list.
    List(Vec<Yaml>),
    /// A map, in the order of the document. A key stands once.
    Map(Vec<(String, Yaml)>),
}

/// A step on the way to a piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The value of this key.
    Key(String),
    /// The item at this place of a list, from 0.
    Item(usize),
}

impl From<&str> for At {
    fn from(key: &str) -> At {
        At::Key(key.to_owned())
    }
}

impl From<usize> for At {
    fn from(item: usize) -> At {
        At::Item(item)
    }
}

/// Why a document wasn't changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditError {
    /// There is no such place in it.
    NoSuchPlace,
    /// No node can be called so.
    BadName,
    /// A node is called so already.
    NameTaken,
    /// What came of it couldn't be read: too large, or nested too deeply.
    Unreadable(String),
    /// The text around is laid out so that it would have to be changed too. It
    /// has to be edited by hand.
    Entangled,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::NoSuchPlace => f.write_str("there is no such place in the document"),
            EditError::BadName => f.write_str(
                "a node's name is small letters, digits and _, at most 48, a letter first; not `stay`",
            ),
            EditError::NameTaken => f.write_str("another node has this name"),
            EditError::Unreadable(why) => write!(f, "the document couldn't be read then: {why}"),
            EditError::Entangled => f.write_str(
                "what stands around it would have to be changed too: edit the file by hand",
            ),
        }
    }
}

impl std::error::Error for EditError {}

/// A flow's document as it was written, and as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    text: String,
    root: Yaml,
}

impl Document {
    /// Takes a document that can be read, whether or not it makes a sound flow:
    /// who edits one is in the middle of it. `file` only serves the message.
    ///
    /// # Errors
    /// It is no YAML, or not such as flows are written in.
    pub fn read(file: &str, text: impl Into<String>) -> Result<Document, CheckError> {
        let text = text.into();
        match read(&text) {
            Ok(root) => Ok(Document { text, root }),
            Err(fault) => Err(CheckError {
                file: file.to_owned(),
                line: fault.at.line,
                column: fault.at.column,
                node: None,
                message: fault.message,
                help: fault.help,
            }),
        }
    }

    /// The text, to be saved: what was read, byte for byte, but for the edits.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says.
    pub fn root(&self) -> &Yaml {
        &self.root
    }

    /// A piece of it.
    pub fn get(&self, path: &[At]) -> Option<&Yaml> {
        self.root.get(path)
    }

    /// The lines that a piece takes, from 1, its key or its dash included.
    pub fn lines(&self, path: &[At]) -> Option<RangeInclusive<usize>> {
        let layout = layout::layout(&self.text)?;
        let (start, end) = text::extent(&self.text, &layout, path)?;
        // Of bytes: the last one may lie within a character.
        let bytes = self.text.as_bytes();
        let line = |at: usize| bytes.iter().take(at).filter(|b| **b == b'\n').count() + 1;
        Some(line(start)..=line(end.max(start + 1) - 1))
    }

    /// Gives a piece another value. Only what differs is written: keys and
    /// items that stay as they are keep their text and their comments. The last
    /// step may be a key that isn't there yet, or the place behind a list's end.
    ///
    /// # Errors
    /// There is no such place, or the edit can't be made; nothing is changed.
    pub fn set(&mut self, path: &[At], value: Yaml) -> Result<(), EditError> {
        let mut root = self.root.clone();
        root.set(path, value.clone())?;
        let mut steps = Vec::new();
        match self.root.get(path) {
            Some(old) => differences(old, &value, &mut path.to_vec(), &mut steps),
            None => steps.push(Step::Add(path.to_vec(), value)),
        }
        self.make(&steps, root)
    }

    /// Takes a key or an item out, with the comment behind it; those above it stay.
    ///
    /// # Errors
    /// There is no such place, or the edit can't be made; nothing is changed.
    pub fn remove(&mut self, path: &[At]) -> Result<(), EditError> {
        let mut root = self.root.clone();
        root.remove(path)?;
        self.make(&[Step::Remove(path.to_vec())], root)
    }

    /// Gives a node another name, everywhere it is named: where flows begin,
    /// where nodes lead, what tests pass.
    ///
    /// # Errors
    /// There is no such node, the name can't be given, or the edit can't be made; nothing is changed.
    pub fn rename_node(&mut self, from: &str, to: &str) -> Result<(), EditError> {
        let nodes = [At::from("nodes")];
        let node = |name: &str| [At::from("nodes"), At::from(name)];
        if self.get(&node(from)).is_none() {
            return Err(EditError::NoSuchPlace);
        }
        if !is_node_name(to) {
            return Err(EditError::BadName);
        }
        if self.get(&node(to)).is_some() {
            return Err(EditError::NameTaken);
        }
        let layout = layout::layout(&self.text).ok_or(EditError::Entangled)?;
        // Where nodes are named is known by whoever reads them.
        let places = Draft::references(&self.text, from);
        let offsets: Vec<usize> = places
            .iter()
            .filter_map(|at| self.offset(at.line, at.column))
            .collect();
        let mut steps = Vec::new();
        let mut root = self.root.clone();
        for path in text::paths_at(&layout, &offsets) {
            // The key that names it was said, or the name itself.
            if root.get(&path) == Some(&Yaml::Text(from.to_owned())) {
                root.set(&path, Yaml::Text(to.to_owned()))?;
                steps.push(Step::Set(path, Yaml::Text(to.to_owned())));
            }
        }
        if let Some(Yaml::Map(entries)) = root.get_mut(&nodes)
            && let Some((name, _)) = entries.iter_mut().find(|(name, _)| name == from)
        {
            to.clone_into(name);
        }
        // Last: the steps before it name places by the old name.
        steps.push(Step::Rename(node(from).to_vec(), to.to_owned()));
        self.make(&steps, root)
    }

    /// Takes the steps one after the other. What comes of them must say `root`.
    fn make(&mut self, steps: &[Step], root: Yaml) -> Result<(), EditError> {
        let mut text = self.text.clone();
        for step in steps {
            let layout: Spot = layout::layout(&text).ok_or(EditError::Entangled)?;
            text = text::take(&text, &layout, step).ok_or(EditError::Entangled)?;
        }
        match read(&text) {
            Ok(said) if said.says(&root) => {
                self.text = text;
                self.root = said;
                Ok(())
            }
            Ok(_) => Err(EditError::Entangled),
            Err(_) if layout::layout(&text).is_none() => Err(EditError::Entangled),
            Err(fault) => Err(EditError::Unreadable(fault.message)),
        }
    }

    /// A place as messages tell it, in bytes.
    fn offset(&self, line: u32, column: u32) -> Option<usize> {
        let mut starts =
            std::iter::once(0).chain(self.text.match_indices('\n').map(|(at, _)| at + 1));
        let start = starts.nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        let column = usize::try_from(column).ok()?.checked_sub(1)?;
        let mut within = self.text[start..].char_indices();
        let offset = within.nth(column)?.0 + start;
        (line_start(&self.text, offset) == start).then_some(offset)
    }
}

/// One change of a text.
#[derive(Debug)]
enum Step {
    /// Of what is there.
    Set(Vec<At>, Yaml),
    /// Of a key or an item that isn't there yet.
    Add(Vec<At>, Yaml),
    Remove(Vec<At>),
    /// Of a key.
    Rename(Vec<At>, String),
}

/// What has to be done to `old`, piece by piece, to make it `new`.
fn differences(old: &Yaml, new: &Yaml, path: &mut Vec<At>, steps: &mut Vec<Step>) {
    let mut within = |step: At, path: &mut Vec<At>, old: Option<&Yaml>, new: &Yaml| {
        path.push(step);
        match old {
            Some(old) => differences(old, new, path, steps),
            None => steps.push(Step::Add(path.clone(), new.clone())),
        }
        path.pop();
    };
    match (old, new) {
        (Yaml::Map(before), Yaml::Map(after)) if !before.is_empty() && !after.is_empty() => {
            for (key, value) in after {
                let known = before.iter().find(|(known, _)| known == key);
                within(At::Key(key.clone()), path, known.map(|(_, old)| old), value);
            }
            for (key, _) in before {
                if !after.iter().any(|(kept, _)| kept == key) {
                    path.push(At::Key(key.clone()));
                    steps.push(Step::Remove(path.clone()));
                    path.pop();
                }
            }
        }
        (Yaml::List(before), Yaml::List(after)) if !before.is_empty() && !after.is_empty() => {
            for (n, value) in after.iter().enumerate() {
                within(At::Item(n), path, before.get(n), value);
            }
            for n in (after.len()..before.len()).rev() {
                path.push(At::Item(n));
                steps.push(Step::Remove(path.clone()));
                path.pop();
            }
        }
        (old, new) if old.says(new) => {}
        _ => steps.push(Step::Set(path.clone(), new.clone())),
    }
}

fn read(text: &str) -> Result<Yaml, document::Unreadable> {
    document::read(text).map(|tree| Yaml::of(&tree))
}

impl Yaml {
    fn of(tree: &Tree) -> Yaml {
        match &tree.value {
            Value::Nothing => Yaml::Nothing,
            Value::Text(text) => Yaml::Text(text.clone()),
            Value::List(items) => Yaml::List(items.iter().map(Yaml::of).collect()),
            Value::Map(entries) => Yaml::Map(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), Yaml::of(&entry.value)))
                    .collect(),
            ),
        }
    }

    /// A piece of it.
    pub fn get(&self, path: &[At]) -> Option<&Yaml> {
        path.iter()
            .try_fold(self, |piece, step| match (piece, step) {
                (Yaml::Map(entries), At::Key(key)) => {
                    let mut entries = entries.iter();
                    entries.find_map(|(known, value)| (known == key).then_some(value))
                }
                (Yaml::List(items), At::Item(n)) => items.get(*n),
                _ => None,
            })
    }

    fn get_mut(&mut self, path: &[At]) -> Option<&mut Yaml> {
        path.iter()
            .try_fold(self, |piece, step| match (piece, step) {
                (Yaml::Map(entries), At::Key(key)) => {
                    let mut entries = entries.iter_mut();
                    entries.find_map(|(known, value)| (known == key).then_some(value))
                }
                (Yaml::List(items), At::Item(n)) => items.get_mut(*n),
                _ => None,
            })
    }

    /// The same edit on the values alone, as on [`Document::set`].
    ///
    /// # Errors
    /// There is no such place.
    pub fn set(&mut self, path: &[At], value: Yaml) -> Result<(), EditError> {
        if let Some(there) = self.get_mut(path) {
            *there = value;
            return Ok(());
        }
        let (last, way) = path.split_last().ok_or(EditError::NoSuchPlace)?;
        match (self.get_mut(way), last) {
            (Some(Yaml::Map(entries)), At::Key(key)) => entries.push((key.clone(), value)),
            (Some(Yaml::List(items)), At::Item(n)) if *n == items.len() => items.push(value),
            _ => return Err(EditError::NoSuchPlace),
        }
        Ok(())
    }

    /// The same edit on the values alone, as on [`Document::remove`].
    ///
    /// # Errors
    /// There is no such place.
    pub fn remove(&mut self, path: &[At]) -> Result<(), EditError> {
        let (last, way) = path.split_last().ok_or(EditError::NoSuchPlace)?;
        match (self.get_mut(way), last) {
            (Some(Yaml::Map(entries)), At::Key(key)) => {
                let before = entries.len();
                entries.retain(|(known, _)| known != key);
                (entries.len() < before)
                    .then_some(())
                    .ok_or(EditError::NoSuchPlace)
            }
            (Some(Yaml::List(items)), At::Item(n)) if *n < items.len() => {
                items.remove(*n);
                Ok(())
            }
            _ => Err(EditError::NoSuchPlace),
        }
    }

    /// Whether it says the same: the order of a map's keys aside.
    pub fn says(&self, other: &Yaml) -> bool {
        match (self, other) {
            (Yaml::Map(a), Yaml::Map(b)) => {
                let known = |(key, value): &(String, Yaml)| {
                    let mut b = b.iter();
                    b.any(|(other, said)| key == other && value.says(said))
                };
                a.len() == b.len() && a.iter().all(known)
            }
            (Yaml::List(a), Yaml::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.says(b))
            }
            (a, b) => a == b,
        }
    }
}
