//! Everything that is wrong with a folder, told at once, each with its line.
//!
//! The files are read into plain settings, which know no lines. Where a fault
//! is found, its place is named by the keys that lead there; their lines are
//! looked for when all is known, in one walk through each file.

use std::fmt;
use std::path::{Path, PathBuf};

use granit_parser::{Event, Parser};
use ivr_flows::{At, CheckError};

use super::ConfigError;

/// Most faults told.
const TOLD_MAX: usize = 50;

/// The way to a setting: `at!["agents", n, "queues"]`.
macro_rules! at {
    ($($step:expr),* $(,)?) => { vec![$(::ivr_flows::At::from($step)),*] };
}
pub(super) use at;

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    found: Vec<Fault>,
}

#[derive(Debug)]
enum Fault {
    /// Of a setting, whose line is looked for yet.
    At(PathBuf, Vec<At>, String),
    Told(ConfigError),
}

impl Faults {
    /// What was read, unless it couldn't be.
    pub(super) fn take<T>(&mut self, read: Result<T, ConfigError>) -> Option<T> {
        read.map_err(|error| self.found.push(Fault::Told(error)))
            .ok()
    }

    /// A fault of the setting that these keys lead to, or of the nearest one on the way that is there.
    pub(super) fn at(&mut self, file: &Path, way: Vec<At>, message: impl fmt::Display) {
        let fault = Fault::At(file.to_owned(), way, message.to_string());
        self.found.push(fault);
    }

    /// A fault of a flow; told once, however many lines it answers.
    pub(super) fn flow(&mut self, fault: CheckError) {
        let known = |other: &Fault| matches!(other, Fault::Told(ConfigError::Flow(known)) if known.contains(&fault));
        if !self.found.iter().any(known) {
            let told = ConfigError::Flow(vec![fault]);
            self.found.push(Fault::Told(told));
        }
    }

    /// All of them, in the order in which the files were read. `text_of`: a file's text.
    ///
    /// # Errors
    /// There are some.
    pub(super) fn told<'t>(
        self,
        text_of: impl Fn(&Path) -> Option<&'t str>,
    ) -> Result<(), ConfigError> {
        let more = self.found.len().saturating_sub(TOLD_MAX);
        let found = &self.found[..self.found.len() - more];
        let mut files: Vec<(&Path, Vec<&[At]>)> = Vec::new();
        for fault in found {
            if let Fault::At(file, way, _) = fault {
                match files.iter_mut().find(|(known, _)| *known == file.as_path()) {
                    Some((_, ways)) => ways.push(way),
                    None => files.push((file, vec![way.as_slice()])),
                }
            }
        }
        let mut places: Vec<_> = files
            .into_iter()
            .map(|(file, ways)| {
                let text = text_of(file).unwrap_or_default();
                (file, lines(text, &ways).into_iter())
            })
            .collect();
        let mut told: Vec<ConfigError> = Vec::new();
        for fault in found {
            if let Fault::At(file, _, message) = fault {
                let mut places = places.iter_mut();
                let of = places.find(|(known, _)| *known == file.as_path());
                let line = of.and_then(|(_, lines)| lines.next()).flatten();
                told.push(ConfigError::at(file, line, message.clone()));
            }
        }
        let mut settings = told.into_iter();
        let mut told = Vec::new();
        for fault in self.found.into_iter().take(TOLD_MAX) {
            match fault {
                Fault::Told(error) => told.push(error),
                Fault::At(..) => told.extend(settings.next()),
            }
        }
        match (told.len(), more) {
            (0, _) => Ok(()),
            (1, _) => Err(told.remove(0)),
            (_, more) => Err(ConfigError::Many { told, more }),
        }
    }
}

/// The lines, from 1, of what these ways lead to, or of the nearest thing on
/// the way that is there.
fn lines(text: &str, ways: &[&[At]]) -> Vec<Option<usize>> {
    let mut found: Vec<(usize, Option<usize>)> = vec![(0, None); ways.len()];
    // Where we are, and for each map or list around whether it is a list.
    let mut here: Vec<At> = Vec::new();
    let mut around: Vec<bool> = Vec::new();
    let mut key_next = false;
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { break };
        let opens = match &event {
            Event::Scalar(name, ..) if key_next => {
                here.push(At::Key(name.to_string()));
                key_next = false;
                reach(&here, span.start.line(), ways, &mut found);
                continue;
            }
            Event::Scalar(..) | Event::Alias(_) => None,
            Event::MappingStart(..) => Some(false),
            Event::SequenceStart(..) => Some(true),
            Event::MappingEnd | Event::SequenceEnd => {
                if around.pop() == Some(true) {
                    here.pop();
                }
                key_next = left(&mut here, &around);
                continue;
            }
            _ => continue,
        };
        if key_next {
            // A key that is no text.
            break;
        }
        if let Some(At::Item(_)) = here.last()
            && around.last() == Some(&true)
        {
            reach(&here, span.start.line(), ways, &mut found);
        }
        match opens {
            None => key_next = left(&mut here, &around),
            Some(list) => {
                around.push(list);
                key_next = !list;
                if list {
                    here.push(At::Item(0));
                }
            }
        }
    }
    found.into_iter().map(|(_, line)| line).collect()
}

/// A value is over: on to the next item, or (true) to the next key.
fn left(here: &mut Vec<At>, around: &[bool]) -> bool {
    match around.last() {
        Some(true) => {
            if let Some(At::Item(n)) = here.last_mut() {
                *n += 1;
            }
            false
        }
        Some(false) => {
            here.pop();
            true
        }
        None => false,
    }
}

fn reach(here: &[At], line: usize, ways: &[&[At]], found: &mut [(usize, Option<usize>)]) {
    for (way, (depth, known)) in ways.iter().zip(found) {
        if here.len() > *depth && way.starts_with(here) {
            (*depth, *known) = (here.len(), Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_found_by_its_keys() {
        let text = "\
# All of it.
a: 1
list:
  - { id: 1, tags: [x, y] }
  - id: 2
    tags:
      - x
      - y
  - [z, { deep: [1,
      2] }]
empty:
b: { c: ~, d: 4 }
";
        for (way, line) in [
            (at!["a"], Some(2)),
            (at!["list"], Some(3)),
            (at!["list", 0], Some(4)),
            (at!["list", 0, "tags", 1], Some(4)),
            (at!["list", 1], Some(5)),
            (at!["list", 1, "id"], Some(5)),
            (at!["list", 1, "tags"], Some(6)),
            (at!["list", 1, "tags", 1], Some(8)),
            (at!["list", 2, 1, "deep", 1], Some(10)),
            (at!["empty"], Some(11)),
            (at!["b", "d"], Some(12)),
            // As far as it goes.
            (at!["list", 1, "name"], Some(5)),
            (at!["list", 7], Some(3)),
            (at!["c"], None),
        ] {
            assert_eq!(lines(text, &[&way]), [line], "{way:?}");
        }
        let way = at!["b"];
        assert_eq!(lines("a: [1\nb: 2", &[&way]), [None]);
    }
}
