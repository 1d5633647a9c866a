//! Desks that an operator has closed, or opened, on the spot. They stand in a
//! file of the data directory: a restart doesn't change that.
//!
//! A line is the hospital, its hours, until when (Unix milliseconds, with a `+`
//! before it if the desk is open until then) and the reason, between tabs.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::durable;

/// The longest a desk may be closed, or opened, by one command, in milliseconds: a week.
pub const CLOSED_MAX_MS: i64 = 7 * 24 * 3_600_000;
/// Longest reason, in bytes.
const REASON_MAX: usize = 200;

/// One that doesn't keep its hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// Open, whatever its hours say; else closed.
    pub open: bool,
    /// Until when, Unix milliseconds.
    pub until: i64,
    /// Why, in the operator's words: for whoever asks, not for callers.
    pub reason: String,
}

impl Closing {
    /// As the calls are told.
    #[must_use]
    pub fn exception(&self) -> hours::Exception {
        hours::Exception {
            open: self.open,
            until: self.until,
        }
    }
}

/// All of them, by hospital and name of its hours.
#[derive(Debug)]
pub struct Closings {
    file: PathBuf,
    all: BTreeMap<(String, String), Closing>,
}

impl Closings {
    /// What is in the file, without what is over.
    #[must_use]
    pub fn open(data_dir: &Path, now: i64) -> Self {
        let file = data_dir.join("closings");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let line = |line: &str| {
            let mut words = line.splitn(4, '\t');
            let key = (words.next()?.to_owned(), words.next()?.to_owned());
            let until = words.next()?;
            let open = until.starts_with('+');
            let until = until.parse().ok().filter(|until| *until > now)?;
            let reason = words.next()?.to_owned();
            let closing = Closing {
                open,
                until,
                reason,
            };
            Some((key, closing))
        };
        let all = text.lines().filter_map(line).collect();
        Self { file, all }
    }

    /// Those there are.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &Closing)> {
        let all = self.all.iter();
        all.map(|((hospital, calendar), closing)| (hospital.as_str(), calendar.as_str(), closing))
    }

    /// Closes or opens a desk, or lets its hours count; on disk when this returns.
    ///
    /// # Errors
    /// The file can't be written: nothing has changed.
    pub fn set(&mut self, hospital: &str, calendar: &str, to: Option<Closing>) -> io::Result<()> {
        let mut all = self.all.clone();
        let key = (hospital.to_owned(), calendar.to_owned());
        match to {
            Some(mut closing) => {
                closing.reason = one_line(&closing.reason);
                all.insert(key, closing);
            }
            None => {
                all.remove(&key);
            }
        }
        let mut text = String::new();
        for ((hospital, calendar), closing) in &all {
            let Closing {
                open,
                until,
                reason,
            } = closing;
            let sign = if *open { "+" } else { "" };
            text += &format!("{hospital}\t{calendar}\t{sign}{until}\t{reason}\n");
        }
        durable::replace(&self.file, text.as_bytes())?;
        self.all = all;
        Ok(())
    }
}

fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut end = words.len().min(REASON_MAX);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    words[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closing_outlives_a_restart_and_ends_by_itself() {
        let dir = std::env::temp_dir().join(format!("careline-closings-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut closings = Closings::open(&dir, 0);
        let closing = |until, reason: &str| Closing {
            open: false,
            until,
            reason: reason.to_owned(),
        };
        let flood = closing(2_000, "a flood,\n\tin the basement");
        closings.set("mercy", "portal", Some(flood)).unwrap();
        let fire = closing(1_000, "fire");
        closings.set("mercy", "desk", Some(fire)).unwrap();
        let party = Closing {
            open: true,
            ..closing(3_000, "open house")
        };
        closings.set("mercy", "ward", Some(party.clone())).unwrap();
        let again = Closings::open(&dir, 1_000);
        let expected = closing(2_000, "a flood, in the basement");
        assert_eq!(
            again.all().collect::<Vec<_>>(),
            [("mercy", "portal", &expected), ("mercy", "ward", &party)]
        );
        closings.set("mercy", "ward", None).unwrap();
        closings.set("mercy", "portal", None).unwrap();
        assert_eq!(Closings::open(&dir, 1_000).all().count(), 0);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
