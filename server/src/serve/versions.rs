//! The versions of flows: each text that is served has a number, which counts
//! up and is never given twice. They stand in a file beside the database.
//!
//! A line is a flow's name, a number, the hash of its text, and `untold` as
//! long as the event log may not have it. A flow's last line is its latest
//! version; the ones before are kept to know a text that is served again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::durable;

/// Versions of one flow that are kept.
const KEPT_MAX: usize = 64;

/// One version of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    number: u32,
    hash: String,
    /// The log may not have it yet.
    untold: bool,
}

/// A version that the log is to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// Which flow.
    pub flow: String,
    /// Its version.
    pub version: u32,
    /// The latest version before that had the same text.
    pub again: Option<u32>,
}

/// All flows' versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Versions {
    all: BTreeMap<String, Vec<Version>>,
}

impl Versions {
    /// Reads the file; without one, nothing was ever published.
    ///
    /// # Errors
    /// It can't be read, or not all of it: counting anew would give numbers twice.
    pub(super) fn read(data_dir: &Path) -> io::Result<Self> {
        let path = file(data_dir);
        let wrong = |why: String| {
            let path = path.display();
            io::Error::other(format!(
                "{path}: {why}. It holds the numbers of the flows' versions: put it back from a backup; without it \
                 they would count from 1 again"
            ))
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let mut all: BTreeMap<String, Vec<Version>> = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let fault = || wrong(format!("line {} isn't a version", at + 1));
            let words: Vec<&str> = line.split_whitespace().collect();
            let (name, number, hash, untold) = match words[..] {
                [name, number, hash] => (name, number, hash, false),
                [name, number, hash, "untold"] => (name, number, hash, true),
                _ => return Err(fault()),
            };
            let number: u32 = number.parse().map_err(|_| fault())?;
            let of = all.entry(name.to_owned()).or_default();
            if of.last().is_some_and(|before| before.number >= number) {
                return Err(fault());
            }
            of.push(Version {
                number,
                hash: hash.to_owned(),
                untold,
            });
        }
        Ok(Self { all })
    }

    /// Writes the file; on disk when this returns.
    ///
    /// # Errors
    /// It can't be written: what was there still is.
    pub(super) fn write(&self, data_dir: &Path) -> io::Result<()> {
        use std::fmt::Write;
        let mut text = String::new();
        for (name, versions) in &self.all {
            for version in versions {
                let Version { number, hash, .. } = version;
                let untold = if version.untold { " untold" } else { "" };
                let _ = writeln!(text, "{name} {number} {hash}{untold}");
            }
        }
        durable::replace(&file(data_dir), text.as_bytes())
    }

    /// Gives each flow whose text isn't that of its latest version the next number.
    pub(super) fn raise(&mut self, texts: &BTreeMap<String, Arc<str>>) {
        for (name, text) in texts {
            let hash = blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
            let of = self.all.entry(name.clone()).or_default();
            let number = match of.last() {
                Some(latest) if latest.hash == hash => continue,
                Some(latest) => latest.number + 1,
                None => 1,
            };
            of.push(Version {
                number,
                hash,
                untold: true,
            });
            if of.len() > KEPT_MAX {
                of.remove(0);
            }
        }
    }

    /// The flows whose latest version the log may not have.
    pub(super) fn untold(&self) -> Vec<Raised> {
        let latest = self.all.iter().filter_map(|(flow, versions)| {
            let (latest, before) = versions.split_last()?;
            let same = before
                .iter()
                .rev()
                .find(|version| version.hash == latest.hash);
            latest.untold.then(|| Raised {
                flow: flow.clone(),
                version: latest.number,
                again: same.map(|version| version.number),
            })
        });
        latest.collect()
    }

    /// The log has them all, or will.
    pub(super) fn told(&mut self) {
        for version in self.all.values_mut().flatten() {
            version.untold = false;
        }
    }

    /// The latest of each flow.
    pub(super) fn latest(&self) -> impl Iterator<Item = (&str, u32)> {
        let all = self.all.iter();
        all.filter_map(|(flow, versions)| Some((flow.as_str(), versions.last()?.number)))
    }
}

/// The file, beside the database.
pub(super) fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("published")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own, gone at the end.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let name = format!("careline-versions-{name}-{}", std::process::id());
            let dir = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn serving(text: &str) -> BTreeMap<String, Arc<str>> {
        BTreeMap::from([("door".to_owned(), Arc::from(text))])
    }

    fn raised(version: u32, again: Option<u32>) -> Vec<Raised> {
        let flow = "door".to_owned();
        vec![Raised {
            flow,
            version,
            again,
        }]
    }

    #[test]
    fn numbers_count_up_and_an_earlier_text_is_known_again() {
        let dir = Dir::new("count");
        let mut versions = Versions::read(&dir.0).unwrap();
        for (text, expected) in [
            ("a", raised(1, None)),
            ("b", raised(2, None)),
            ("b", vec![]),
            ("a", raised(3, Some(1))),
            ("b", raised(4, Some(2))),
            ("a", raised(5, Some(3))),
        ] {
            versions.raise(&serving(text));
            assert_eq!(versions.untold(), expected, "{text}");
            // Stopped before the log had it: it is told at the next start.
            versions.write(&dir.0).unwrap();
            versions = Versions::read(&dir.0).unwrap();
            assert_eq!(versions.untold(), expected, "{text}");
            versions.told();
            assert_eq!(versions.untold(), []);
        }
        assert_eq!(versions.latest().collect::<Vec<_>>(), [("door", 5)]);
    }

    #[test]
    fn a_file_of_before_is_read_and_a_damaged_one_is_refused() {
        let dir = Dir::new("read");
        std::fs::write(file(&dir.0), "door 3 0123456789abcdef\n").unwrap();
        let before = Versions::read(&dir.0).unwrap();
        assert_eq!(before.latest().collect::<Vec<_>>(), [("door", 3)]);
        assert_eq!(before.untold(), []);
        for damaged in ["door 3", "door x 01", "\0\0\0\0", "door 3 01\ndoor 3 02\n"] {
            std::fs::write(file(&dir.0), damaged).unwrap();
            let error = Versions::read(&dir.0).unwrap_err().to_string();
            assert!(error.contains("backup"), "{damaged}: {error}");
        }
        std::fs::write(file(&dir.0), [0xFF, 0xFE]).unwrap();
        Versions::read(&dir.0).unwrap_err();
    }
}
