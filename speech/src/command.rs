//! A voice that is somebody else's program.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// A command that speaks: text in, WAV on its standard output.
#[derive(Clone, Debug)]
pub struct CommandVoice {
    /// The program.
    pub program: PathBuf,
    /// Its arguments. An argument `{text}` is replaced by the text; without
    /// one, the text is written to the standard input.
    pub args: Vec<OsString>,
    /// It is killed after this long.
    pub timeout: Duration,
    /// It is killed when it writes more than this.
    pub output_bytes_max: usize,
}
