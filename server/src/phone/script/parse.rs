//! Reading a script.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use media::dtmf::Digit;

use super::super::marker::{Marker, TONES};
use super::{Cue, PATIENCE, Script, Step, plain};

/// Most steps, and most keys in one step.
const STEPS_MAX: usize = 1_000;
const KEYS_MAX: usize = 64;
/// Longest wait.
const SECONDS_MAX: f64 = 3_600.0;

/// Why a script can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct ScriptError {
    /// Where, in characters, counted from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// Reads keys.
///
/// # Errors
/// The first character that isn't on a telephone.
pub fn keys(text: &str) -> Result<Vec<Digit>, char> {
    text.chars()
        .map(|key| Digit::from_char(key).ok_or(key))
        .collect()
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Script, ScriptError> {
        let mut reader = Reader {
            rest: text,
            column: 1,
        };
        let mut steps = Vec::new();
        while reader.skip_separators() {
            if steps.len() == STEPS_MAX {
                return Err(reader.error(format!("more than {STEPS_MAX} steps")));
            }
            steps.push(reader.step()?);
            reader.expect_separator()?;
        }
        Ok(Script { steps })
    }
}

/// The text not read yet.
struct Reader<'a> {
    rest: &'a str,
    column: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, reason: impl Into<String>) -> ScriptError {
        ScriptError {
            column: self.column,
            reason: reason.into(),
        }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.column += taken.chars().count();
        self.rest = rest;
        taken
    }

    fn take_if(&mut self, prefix: &str) -> bool {
        let found = self.rest.starts_with(prefix);
        if found {
            self.take(prefix.len());
        }
        found
    }

    fn separator(&self) -> Option<usize> {
        let next = self.rest.chars().next()?;
        if next.is_whitespace() || next == ',' || next == '→' {
            Some(next.len_utf8())
        } else if self.rest.starts_with("->") {
            Some(2)
        } else {
            None
        }
    }

    /// Goes to the next step; false at the end.
    fn skip_separators(&mut self) -> bool {
        while let Some(bytes) = self.separator() {
            self.take(bytes);
        }
        !self.rest.is_empty()
    }

    fn expect_separator(&self) -> Result<(), ScriptError> {
        if self.rest.is_empty() || self.separator().is_some() {
            return Ok(());
        }
        let next = self.rest.chars().next().unwrap_or_default();
        Err(self.error(format!(
            "{next:?} after a step: put a space or an arrow between steps"
        )))
    }

    /// Up to a separator, a quote, a slash or an exclamation mark.
    fn word(&mut self) -> &'a str {
        let mut bytes = 0;
        for (at, c) in self.rest.char_indices() {
            if c.is_whitespace()
                || matches!(c, ',' | '→' | '"' | '“' | '/' | '!')
                || self.rest[at..].starts_with("->")
            {
                break;
            }
            bytes = at + c.len_utf8();
        }
        self.take(bytes)
    }

    /// A text between quotes; typographic ones too, since people paste.
    fn quoted(&mut self) -> Result<Option<&'a str>, ScriptError> {
        let start = self.column;
        if !(self.take_if("\"") || self.take_if("“")) {
            return Ok(None);
        }
        let Some(end) = self.rest.find(['"', '”']) else {
            return Err(ScriptError {
                column: start,
                reason: "this quote is never closed".into(),
            });
        };
        let text = self.take(end);
        let quote = self.rest.chars().next().map_or(0, char::len_utf8);
        self.take(quote);
        Ok(Some(text))
    }

    fn step(&mut self) -> Result<Step, ScriptError> {
        let start = self.column;
        let wrong = |reason: String| ScriptError {
            column: start,
            reason,
        };
        if let Some(text) = self.quoted()? {
            let words = plain(text);
            if words.is_empty() {
                return Err(wrong("there are no words between these quotes".into()));
            }
            let at_once = self.take_if("!");
            return self.hear(Cue::Words { words, at_once });
        }
        let word = self.word();
        match word {
            "hangup" => return Ok(Step::HangUp),
            "say" => {
                while self.rest.starts_with(' ') {
                    self.take(1);
                }
                return match self.quoted()? {
                    Some(text) if !plain(text).is_empty() => Ok(Step::Say(Arc::from(text))),
                    _ => Err(self.error("`say` needs a sentence in quotes: say \"my words\"")),
                };
            }
            "music" => return self.hear(Cue::Music),
            "ringing" => return self.hear(Cue::RingBack),
            "voice" => return self.hear(Cue::Voice),
            "silence" => return self.hear(Cue::Silence),
            "tone" => return self.hear(Cue::Tone(None)),
            _ => {}
        }
        if let Some(marker) = word.strip_prefix("tone:") {
            let marker = marker_named(marker).ok_or_else(|| {
                wrong(format!(
                    "no marker is called {marker:?}; the first are 440, 620, 800, …"
                ))
            })?;
            return self.hear(Cue::Tone(Some(marker)));
        }
        if let Some(seconds) = word.strip_prefix('w') {
            let seconds = self.seconds(seconds).ok_or_else(|| {
                wrong(format!("{word:?} is not a wait: write `w` and seconds up to {SECONDS_MAX}, such as w2 or w0.5"))
            })?;
            return Ok(Step::Wait(seconds));
        }
        match keys(word) {
            // Small letters would make a slip of the pen into keys nobody has.
            Ok(digits) if !word.is_empty() && !word.contains(|c: char| c.is_ascii_lowercase()) => {
                if digits.len() > KEYS_MAX {
                    return Err(wrong(format!("more than {KEYS_MAX} keys in one step")));
                }
                Ok(Step::Press(digits))
            }
            _ => Err(wrong(format!(
                "{:?} is no step: press keys (12#), wait (w2), wait for words (\"press 1\") or for a sound (music, \
                 ringing, voice, silence, tone), say \"…\", or hangup",
                if word.is_empty() {
                    self.rest.chars().take(1).collect()
                } else {
                    word.to_owned()
                }
            ))),
        }
    }

    /// The end of a step that waits for something heard.
    fn hear(&mut self, what: Cue) -> Result<Step, ScriptError> {
        if !self.take_if("/") {
            return Ok(Step::Hear {
                what,
                patience: PATIENCE,
            });
        }
        let at = self.error("");
        let word = self.word();
        match self.seconds(word) {
            Some(patience) => Ok(Step::Hear { what, patience }),
            None => Err(ScriptError {
                reason: format!(
                    "{word:?} is no number of seconds: \"…\"/10 waits ten seconds at most"
                ),
                ..at
            }),
        }
    }

    fn seconds(&self, text: &str) -> Option<Duration> {
        if text.is_empty()
            || !text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
        {
            return None;
        }
        let seconds: f64 = text.parse().ok()?;
        (seconds <= SECONDS_MAX).then(|| Duration::from_secs_f64(seconds))
    }
}

/// A marker by its name, as [`Marker`] displays it.
fn marker_named(name: &str) -> Option<Marker> {
    let tone = |text: &str| {
        let hz: u32 = text.parse().ok()?;
        (0..TONES).find(|&tone| Marker::tone_hz(tone) == hz)
    };
    let (low, high) = name.split_once('+').unwrap_or((name, name));
    Marker::of_tones(tone(low)?, tone(high)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a script reads as, written again in full.
    fn check(text: &str, expected: &str) {
        let script: Script = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(script.to_string(), expected, "{text}");
        let again: Script = expected.parse().unwrap();
        assert_eq!(again, script, "{text}: written and read again");
    }

    #[test]
    fn scripts_are_read() {
        check("", "");
        check(" , → ", "");
        check("1", "1");
        check("1 2,3→4->5", "1 2 3 4 5");
        check("4711#*AD", "4711#*AD");
        check("w2 w0.5,w0", "w2 w0.5 w0");
        check("\"say your\"→1", "\"say your\" 1");
        check("\"Say, your\"! 1", "\"say your\"! 1");
        check("“Press 1”→1", "\"press 1\" 1");
        check("\"x\"/10 \"y\"!/0.5", "\"x\"/10 \"y\"!/0.5");
        check(
            "music ringing/3 voice silence tone tone:620 tone:440+800",
            "music ringing/3 voice silence tone tone:620 tone:440+800",
        );
        check("say \"It's Ana.\"→hangup", "say \"It's Ana.\" hangup");
        check("say\"a\"", "say \"a\"");
    }

    /// Where a script goes wrong, and a word of what is said.
    fn refused(text: &str, column: usize, reason: &str) {
        let error = text.parse::<Script>().expect_err(text);
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
    }

    #[test]
    fn errors_say_where_and_why() {
        refused("1 x", 3, "\"x\" is no step");
        refused("12a", 1, "is no step");
        refused("w", 1, "not a wait");
        refused("1 wx", 3, "not a wait");
        refused("w9999999", 1, "not a wait");
        refused("w1e3", 1, "not a wait");
        refused("\"abc", 1, "never closed");
        refused("1 \"é\"2", 6, "put a space");
        refused("\"...\"", 1, "no words");
        refused("music/", 7, "no number of seconds");
        refused("music/x", 7, "no number of seconds");
        refused("say hello", 5, "needs a sentence");
        refused("tone:1", 1, "no marker");
        refused("!", 1, "is no step");
        refused(&"1 ".repeat(1_001), 2_001, "more than");
        refused(&"1".repeat(65), 1, "more than");
    }
}
