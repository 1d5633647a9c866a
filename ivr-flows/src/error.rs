//! What is wrong with a flow, where, and what to do about it.

use std::fmt;

/// One thing the checker refuses. Written for the administrator who edits the
/// file: the place, the fault, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckError {
    /// The file's name as given to [`Flow::parse`](crate::Flow::parse).
    pub file: String,
    /// Line, counted from 1; 0 when the whole file is meant.
    pub line: u32,
    /// Column in characters, counted from 1; 0 when the whole line is meant.
    pub column: u32,
    /// The node it happened in.
    pub node: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column] {
            if number > 0 {
                write!(f, ":{number}")?;
            }
        }
        f.write_str(": ")?;
        if let Some(node) = &self.node {
            write!(f, "{node}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "\n  {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CheckError {}
