//! What happened, one line an event, for whoever replays a seed.

use std::collections::VecDeque;
use std::fmt::Arguments;
use std::io::Write as _;
use std::time::Duration;

/// Where the lines of a world go.
#[derive(Debug, Default)]
pub enum Trace {
    /// Nowhere: the fastest.
    #[default]
    Off,
    /// The last so many are kept.
    Last(usize, VecDeque<String>),
    /// Standard output.
    Print,
}

impl Trace {
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    pub(crate) fn line(&mut self, at: Duration, text: Arguments<'_>) {
        match self {
            Self::Off => {}
            Self::Last(most, lines) => {
                if lines.len() == *most {
                    lines.pop_front();
                }
                lines.push_back(format!("{:>11.6}  {text}", at.as_secs_f64()));
            }
            // Whoever reads it may stop reading.
            Self::Print => {
                let _ = writeln!(std::io::stdout(), "{:>11.6}  {text}", at.as_secs_f64());
            }
        }
    }

    /// The lines kept.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let kept = match self {
            Self::Last(_, lines) => Some(lines),
            Self::Off | Self::Print => None,
        };
        kept.into_iter().flatten().map(String::as_str)
    }
}
