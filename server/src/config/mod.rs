//! Configuration: `careline.toml` says how this process runs, the other files
//! of the folder say what the help desk is.
//!
//! ```text
//! demo/
//!   careline.toml       addresses, ports, data directory, limits
//!   operator.yaml       queues and analysts
//!   hospitals/*.yaml    lines, people, places, phones of one hospital each
//!   flows/*.yaml        flows of one's own; the shipped ones are built in
//! ```
//!
//! Everything is checked when it is read. An error names the file, the line
//! where there is one, what is wrong and what to do.

mod helpdesk;
mod process;

use std::fmt;
use std::path::{Path, PathBuf};

pub use helpdesk::{Agent, HelpDesk, Hospital, LineSetup, Person, Phone, Place, QueueConfig};
pub use process::{Digest, Limits, Media, Process, Sip, Speech, Store};

/// Largest configuration file read.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why the configuration can't be used.
#[derive(Debug)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl ConfigError {
    fn new(file: &Path, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.message),
            None => write!(f, "{}: {}", self.file.display(), self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

fn read(file: &Path) -> Result<String, ConfigError> {
    let size = std::fs::metadata(file)
        .map_err(|error| ConfigError::new(file, format!("can't be read: {error}")))?
        .len();
    if size > FILE_BYTES_MAX {
        return Err(ConfigError::new(
            file,
            format!("is {size} bytes; at most {FILE_BYTES_MAX} are read"),
        ));
    }
    std::fs::read_to_string(file)
        .map_err(|error| ConfigError::new(file, format!("can't be read: {error}")))
}
