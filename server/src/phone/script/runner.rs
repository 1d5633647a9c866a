//! Following a script: a pure machine, driven with what is heard and the time.

use std::sync::Arc;
use std::time::Duration;

use media::dtmf::Digit;

use super::super::hearing::{HearingEvent, Sound};
use super::{Cue, Script, Step, plain};

/// How long a key is held, and the pause after it.
pub(in super::super) const TONE_MS: u32 = 100;
/// The pause after each key.
pub(in super::super) const GAP_MS: u32 = 100;
/// How long after the answer keys are pressed that nothing is waited for.
const FIRST_KEY_AFTER: Duration = Duration::from_millis(500);
/// How much of what was said before is kept to find words in.
const TRANSCRIPT_MAX: usize = 16_384;

/// Share of a prompt's length without whose rest it still counts as said to its end.
const WHOLE: f64 = 0.9;

/// What the script wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Keys pressed.
    Press(Vec<Digit>),
    /// A sentence spoken.
    Say(Arc<str>),
    /// The call ended.
    HangUp,
    /// This step waited in vain; nothing to do but tell.
    GaveUp(String),
    /// All is done; comes once.
    Ended,
}

/// A script being followed. Times are since the call's answer.
#[derive(Debug)]
pub struct Runner {
    script: Script,
    /// The step that is waiting, or about to be done.
    next: usize,
    state: State,
    transcript: Transcript,
}

#[derive(Debug)]
enum State {
    /// The step at `next` has not begun.
    Ready,
    /// Nothing is done until then; the step at `next` follows.
    Pause { until: Duration },
    /// The step at `next` waits to hear something.
    Listening { until: Duration },
    /// A sentence is being spoken; [`Runner::spoken`] ends it.
    Speaking,
    /// All steps are done, and that has been told.
    Ended,
}

impl Runner {
    /// Begins at `now`.
    pub fn new(script: Script, now: Duration) -> Runner {
        let state = match script.steps.first() {
            Some(Step::Press(_)) => State::Pause {
                until: now + FIRST_KEY_AFTER,
            },
            Some(_) => State::Ready,
            // An empty script has nothing to announce the end of.
            None => State::Ended,
        };
        Runner {
            script,
            next: 0,
            state,
            transcript: Transcript::default(),
        }
    }

    /// Whether there is nothing more to do.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Takes in what was heard.
    pub fn heard(&mut self, event: &HearingEvent) {
        match event {
            HearingEvent::Began {
                sound: Sound::Prompt { text, .. },
                ..
            } => self.transcript.begin(text),
            HearingEvent::Ended {
                sound:
                    Sound::Prompt {
                        from_ms,
                        span_frames,
                        of_frames,
                        ..
                    },
                ..
            } => {
                let heard = f64::from(from_ms / 20 + span_frames);
                self.transcript.finish(heard / f64::from(*of_frames));
            }
            HearingEvent::Began { sound, .. } => self.transcript.sound = Some(sound.clone()),
            HearingEvent::Ended { sound, .. } => {
                if self
                    .transcript
                    .sound
                    .as_ref()
                    .is_some_and(|current| same_kind(current, sound))
                {
                    self.transcript.sound = None;
                }
            }
        }
    }

    /// The sentence of the last [`Action::Say`] has been spoken, or can't be.
    pub fn spoken(&mut self) {
        if matches!(self.state, State::Speaking) {
            self.state = State::Ready;
        }
    }

    /// The next thing to do at `now`; call until it says none, after every change and at [`Runner::timeout`].
    pub fn poll(&mut self, now: Duration) -> Option<Action> {
        loop {
            match self.state {
                State::Ended | State::Speaking => return None,
                State::Pause { until } if now < until => return None,
                State::Pause { .. } => self.state = State::Ready,
                State::Listening { until } => {
                    let Some(Step::Hear { what, .. }) = self.script.steps.get(self.next) else {
                        self.state = State::Ready;
                        continue;
                    };
                    if self.transcript.takes(what) {
                        self.next += 1;
                        self.state = State::Ready;
                    } else if now >= until {
                        let step = self.script.steps[self.next].to_string();
                        self.next += 1;
                        self.state = State::Ready;
                        return Some(Action::GaveUp(step));
                    } else {
                        return None;
                    }
                }
                State::Ready => {
                    let Some(step) = self.script.steps.get(self.next) else {
                        self.state = State::Ended;
                        return Some(Action::Ended);
                    };
                    match step {
                        Step::Hear { patience, .. } => {
                            self.state = State::Listening {
                                until: now + *patience,
                            }
                        }
                        Step::Wait(time) => {
                            self.state = State::Pause { until: now + *time };
                            self.next += 1;
                        }
                        Step::Press(digits) => {
                            let time = u64::from(TONE_MS + GAP_MS) * digits.len() as u64;
                            let action = Action::Press(digits.clone());
                            self.state = State::Pause {
                                until: now + Duration::from_millis(time),
                            };
                            self.next += 1;
                            return Some(action);
                        }
                        Step::Say(text) => {
                            let action = Action::Say(Arc::clone(text));
                            self.state = State::Speaking;
                            self.next += 1;
                            return Some(action);
                        }
                        Step::HangUp => {
                            self.next += 1;
                            return Some(Action::HangUp);
                        }
                    }
                }
            }
        }
    }

    /// When [`Runner::poll`] has something to do though nothing more is heard.
    pub fn timeout(&self) -> Option<Duration> {
        match self.state {
            State::Pause { until } | State::Listening { until } => Some(until),
            State::Ready => Some(Duration::ZERO),
            State::Ended | State::Speaking => None,
        }
    }
}

fn same_kind(a: &Sound, b: &Sound) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// What was heard and has not been waited for yet.
#[derive(Debug, Default)]
struct Transcript {
    /// Words of all prompts begun, in order.
    text: String,
    /// Where the last of them begins.
    begun: usize,
    /// Up to where they have been heard to the end.
    finished: usize,
    /// Up to where a step has taken them.
    taken: usize,
    /// What is heard now, if it isn't a prompt.
    sound: Option<Sound>,
}

impl Transcript {
    fn begin(&mut self, prompt: &str) {
        if self.text.len() > TRANSCRIPT_MAX {
            // A character boundary: prompts are cut off whole, at what was finished.
            self.text.drain(..self.finished);
            self.taken = self.taken.saturating_sub(self.finished);
            self.finished = 0;
        }
        // What was begun before is over, even if nobody said so.
        self.finished = self.text.len();
        self.begun = self.finished;
        self.text.push(' ');
        self.text.push_str(&plain(prompt));
    }

    /// Of the last prompt this share was heard: words behind it weren't.
    fn finish(&mut self, share: f64) {
        if share < WHOLE {
            let said = (self.text.len() - self.begun) as f64 * share;
            let mut end = self.begun + said as usize;
            while !self.text.is_char_boundary(end) {
                end -= 1;
            }
            // Half a word is none.
            let words = self.text[self.begun..end].rfind(' ').unwrap_or(0);
            self.text.truncate(self.begun + words);
            self.taken = self.taken.min(self.text.len());
        }
        self.finished = self.text.len();
    }

    /// Whether `cue` has been heard; words once taken are not found again.
    fn takes(&mut self, cue: &Cue) -> bool {
        match (cue, &self.sound) {
            (Cue::Words { words, at_once }, _) => {
                let end = if *at_once {
                    self.text.len()
                } else {
                    self.finished
                };
                let found = self
                    .text
                    .get(self.taken..end)
                    .and_then(|text| text.find(words.as_str()));
                if let Some(at) = found {
                    self.taken += at + words.len();
                }
                found.is_some()
            }
            (Cue::Music, Some(Sound::Music { .. }))
            | (Cue::RingBack, Some(Sound::RingBack))
            | (Cue::Voice, Some(Sound::Voice))
            | (Cue::Silence, Some(Sound::Silence))
            | (Cue::Tone(None), Some(Sound::Tone(_))) => true,
            (Cue::Tone(Some(wanted)), Some(Sound::Tone(heard))) => wanted == heard,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn prompt(text: &str) -> Sound {
        Sound::Prompt {
            text: text.into(),
            from_ms: 0,
            frames: 9,
            span_frames: 9,
            of_frames: 9,
            identical: true,
        }
    }

    enum Then {
        Begins(Sound),
        Ends(Sound),
    }
    use Then::{Begins, Ends};

    /// Follows a script through what is heard at which moments, and writes down what it does when.
    fn check(script: &str, heard: Vec<(u64, Then)>, expected: &str) {
        let mut runner = Runner::new(script.parse().unwrap(), ms(0));
        let mut done = Vec::new();
        let mut heard = heard.into_iter().peekable();
        for now in (0..100_000).step_by(10) {
            while heard.peek().is_some_and(|(at, _)| *at <= now) {
                match heard.next() {
                    Some((at, Begins(sound))) => runner.heard(&HearingEvent::Began {
                        sound,
                        from: ms(at),
                    }),
                    Some((at, Ends(sound))) => runner.heard(&HearingEvent::Ended {
                        sound,
                        from: ms(0),
                        to: ms(at),
                    }),
                    None => {}
                }
            }
            while let Some(action) = runner.poll(ms(now)) {
                if matches!(action, Action::Say(_)) {
                    assert_eq!(runner.poll(ms(now)), None);
                    runner.spoken();
                }
                done.push(match action {
                    Action::Press(digits) => format!(
                        "{now}:{}",
                        digits.iter().map(|d| d.char()).collect::<String>()
                    ),
                    Action::Say(text) => format!("{now}:say {text}"),
                    Action::HangUp => format!("{now}:hangup"),
                    Action::GaveUp(step) => format!("{now}:gave up {step}"),
                    Action::Ended => format!("{now}:end"),
                });
            }
        }
        assert!(runner.is_done(), "{script}");
        assert_eq!(done.join(" "), expected, "{script}");
    }

    #[test]
    fn scripts_are_followed() {
        check("", vec![], "");
        check("1", vec![], "500:1 700:end");
        check("w0 12 3", vec![], "0:12 400:3 600:end");
        check("w2 1 hangup", vec![], "2000:1 2200:hangup 2200:end");
        let menu = || {
            vec![
                (1_000, Begins(prompt("Welcome."))),
                (2_000, Ends(prompt("Welcome."))),
                (2_000, Begins(prompt("Please press 1."))),
                (4_000, Ends(prompt("Please press 1."))),
            ]
        };
        check("\"press 1\"→1", menu(), "4000:1 4200:end");
        check("\"press 1\"!→1", menu(), "2000:1 2200:end");
        // What was cut off wasn't said.
        let cut = |span_frames| {
            let mut sound = prompt("For sign-in press 1, for all else press 2.");
            if let Sound::Prompt {
                span_frames: span,
                of_frames,
                ..
            } = &mut sound
            {
                (*span, *of_frames) = (span_frames, 100);
            }
            vec![(1_000, Begins(sound.clone())), (2_000, Ends(sound))]
        };
        check("\"press 1\"→1", cut(60), "2000:1 2200:end");
        check("\"press 2\"/5→2", cut(95), "2000:2 2200:end");
        check(
            "\"press 2\"/5→2",
            cut(60),
            "5000:gave up \"press 2\"/5 5000:2 5200:end",
        );
        check(
            "\"welcome\"→1 \"press\"!→2",
            menu(),
            "2000:1 2200:2 2400:end",
        );
        // Over the border between two prompts, and gone once taken.
        check("\"welcome please\" 1", menu(), "4000:1 4200:end");
        check(
            "\"welcome\" \"welcome\"/1 1",
            menu(),
            "3000:gave up \"welcome\"/1 3000:1 3200:end",
        );
        check(
            "music say \"hello\"",
            vec![(70, Begins(Sound::Music { identical: true }))],
            "70:say hello 70:end",
        );
        check(
            "music/1 hangup",
            vec![(1_500, Begins(Sound::Silence))],
            "1000:gave up music/1 1000:hangup 1000:end",
        );
        let tones = || {
            vec![
                (1_000, Begins(Sound::Tone(super::super::Marker::new(0)))),
                (3_000, Begins(Sound::Tone(super::super::Marker::new(1)))),
            ]
        };
        check("tone hangup", tones(), "1000:hangup 1000:end");
        check("tone:620 hangup", tones(), "3000:hangup 3000:end");
        check("voice", vec![], "60000:gave up voice 60000:end");
    }

    #[test]
    fn the_transcript_is_bounded() {
        let mut runner = Runner::new("\"the last\" 1".parse().unwrap(), ms(0));
        for n in 0..10_000 {
            runner.heard(&HearingEvent::Began {
                sound: prompt(&format!("prompt número {n}")),
                from: ms(n),
            });
        }
        assert!(runner.transcript.text.len() < 2 * TRANSCRIPT_MAX);
        runner.heard(&HearingEvent::Began {
            sound: prompt("The last."),
            from: ms(0),
        });
        runner.heard(&HearingEvent::Ended {
            sound: prompt("The last."),
            from: ms(0),
            to: ms(0),
        });
        assert!(matches!(runner.poll(ms(1)), Some(Action::Press(_))));
    }
}
