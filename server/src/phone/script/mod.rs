//! What a phone does by itself: the text behind `careline call … --keys`.
//!
//! Steps, done one after the other once the call is answered, separated by spaces, commas or arrows (`→`, `->`):
//!
//! | step | meaning |
//! |---|---|
//! | `1`, `4711#` | presses these keys (`0`–`9`, `*`, `#`, `A`–`D`) |
//! | `w2`, `w0.5` | waits so many seconds |
//! | `"say your"` | waits until a prompt with these words has been heard to its end |
//! | `"say your"!` | the same, but goes on as soon as the prompt is recognised: to press a key into it |
//! | `music`, `ringing`, `voice`, `silence`, `tone` | waits until that is heard; `tone:620`: until that marker is heard |
//! | `say "my words"` | speaks a sentence |
//! | `hangup` | hangs up |
//!
//! What waits for something to be heard gives up after a minute, or after the seconds after a slash: `"say your"/10`,
//! `music/5`; the script then goes on with the next step. Letters' case and punctuation don't matter in what is waited
//! for, and words may run over from one prompt into the next.
//!
//! Keys at the very beginning are pressed half a second after the answer, as nobody is faster; `w0` first presses them
//! at once. Example: `"press 1"→1 music w5 hangup`.

mod parse;
mod runner;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use media::dtmf::Digit;

use super::marker::Marker;

pub use parse::{ScriptError, keys};
pub use runner::{Action, Runner};
pub(super) use runner::{GAP_MS, TONE_MS};

/// How long a step waits for something to be heard, if it doesn't say.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Steps a phone does by itself. Parsed with [`str::parse`]; an empty script does nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    steps: Vec<Step>,
}

/// One step.
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    /// Presses keys.
    Press(Vec<Digit>),
    /// Waits.
    Wait(Duration),
    /// Waits until something is heard.
    Hear {
        /// What.
        what: Cue,
        /// For how long at most.
        patience: Duration,
    },
    /// Speaks a sentence.
    Say(Arc<str>),
    /// Hangs up.
    HangUp,
}

/// What a step waits to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cue {
    /// Words of a prompt, as [`plain`] leaves them.
    Words {
        /// The words.
        words: String,
        /// Goes on as soon as the prompt is recognised, not when it ends.
        at_once: bool,
    },
    /// Music on hold.
    Music,
    /// The ring-back tone.
    RingBack,
    /// A voice that is no prompt.
    Voice,
    /// Silence.
    Silence,
    /// A marker, or any.
    Tone(Option<Marker>),
}

impl Script {
    /// A script of these steps.
    pub fn new(steps: Vec<Step>) -> Script {
        Script { steps }
    }

    /// The steps in their order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The sentences it speaks: they must be rendered before the call.
    pub fn sentences(&self) -> impl Iterator<Item = &Arc<str>> {
        self.steps.iter().filter_map(|step| match step {
            Step::Say(text) => Some(text),
            _ => None,
        })
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            write!(f, "{}{step}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    /// As it is written in a script.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Press(digits) => digits
                .iter()
                .try_for_each(|digit| write!(f, "{}", digit.char())),
            Step::Wait(time) => write!(f, "w{}", time.as_secs_f64()),
            Step::Say(text) => write!(f, "say \"{text}\""),
            Step::HangUp => f.write_str("hangup"),
            Step::Hear { what, patience } => {
                match what {
                    Cue::Words { words, at_once } => {
                        write!(f, "\"{words}\"{}", if *at_once { "!" } else { "" })?
                    }
                    Cue::Music => f.write_str("music")?,
                    Cue::RingBack => f.write_str("ringing")?,
                    Cue::Voice => f.write_str("voice")?,
                    Cue::Silence => f.write_str("silence")?,
                    Cue::Tone(None) => f.write_str("tone")?,
                    Cue::Tone(Some(marker)) => write!(f, "tone:{marker}")?,
                }
                if *patience != PATIENCE {
                    write!(f, "/{}", patience.as_secs_f64())?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Step {
    /// Keys are hidden, as `Digit` hides them: they may be a PIN.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Press(digits) => write!(f, "Press({} keys)", digits.len()),
            other => write!(f, "{other}"),
        }
    }
}

/// Words alone: lower case, everything but letters and digits turned into single spaces.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() {
            out.extend(c.to_lowercase());
        } else if c != '\'' && c != '’' && !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out.truncate(out.trim_end().len());
    out
}
