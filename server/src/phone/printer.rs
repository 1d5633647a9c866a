//! A call told on the terminal.

use super::event::PhoneEvent;

/// Writes one line an event, with the time since the call began: `00:01.2  heard   "Welcome to …"`.
#[derive(Debug, Default)]
pub struct Printer {}

impl Printer {
    /// The line for an event; none for those a reader doesn't care about.
    pub fn line(&mut self, _event: &PhoneEvent) -> Option<String> {
        None
    }
}
