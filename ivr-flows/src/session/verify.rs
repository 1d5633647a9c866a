//! The caller shows who they are: they are asked one thing after the other,
//! and what they key in is handed out once ([`Session::take_answers`]), to be
//! compared.
//!
//! None of it ever stands among the keys that a flow can use, and what is
//! pressed beyond it is dropped: the rest of a number too long would be heard
//! by the next question, or by the person behind it.

use std::sync::Arc;
use std::time::Duration;

use super::{OnAir, Session, State};
use crate::flow::{Kind, NodeIndex, Verify, VerifyWays};
use crate::secret::{Factor, Secret};
use crate::{PlayId, Step};

/// How long the desk may take to say what is asked for.
const BEGIN_WAIT: Duration = Duration::from_millis(1_500);
/// How long comparing and keeping may take; then a person takes over.
const CHECK_WAIT: Duration = Duration::from_secs(4);
/// How long a code may be on its way before it is asked for again.
const CODE_WAIT: Duration = Duration::from_secs(30);

/// Under way.
#[derive(Debug)]
pub(super) struct Verifying {
    pub(super) at: NodeIndex,
    /// Tries after this one.
    tries_left: u8,
    /// What is asked for.
    factors: Vec<Factor>,
    answers: Vec<Secret>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// What is to be asked for?
    Beginning { until: Duration },
    /// The question is being spoken.
    Speaking(OnAir),
    /// The next key is waited for.
    Listening { until: Duration, keyed: Secret },
    /// The answers are being compared.
    Checking { until: Duration },
}

impl Verifying {
    pub(super) fn due(&self) -> Duration {
        match &self.phase {
            Phase::Speaking(on_air) => on_air.until,
            Phase::Beginning { until }
            | Phase::Listening { until, .. }
            | Phase::Checking { until } => *until,
        }
    }

    pub(super) fn speaks(&self, play: PlayId) -> bool {
        matches!(&self.phase, Phase::Speaking(on_air) if on_air.play == play)
    }

    pub(super) fn asks(&self) -> bool {
        matches!(self.phase, Phase::Speaking(_) | Phase::Listening { .. })
    }

    /// What is asked for now.
    fn factor(&self) -> Option<Factor> {
        self.factors.get(self.answers.len()).copied()
    }
}

impl Session {
    /// What the caller has keyed in, behind a [`Step::Check`]. Once: then it is gone here.
    pub fn take_answers(&mut self) -> Vec<(Factor, Secret)> {
        let State::Verifying(verifying) = &mut self.state else {
            return Vec::new();
        };
        let answers = std::mem::take(&mut verifying.answers);
        verifying.factors.iter().copied().zip(answers).collect()
    }

    /// Comes to a node that asks who the caller is.
    pub(super) fn verify(
        &mut self,
        now: Duration,
        at: NodeIndex,
        verify: &Verify,
    ) -> Option<NodeIndex> {
        // Pressed before anybody asked: perhaps what would be asked for.
        self.ahead.clear();
        if self.level >= verify.ways.level {
            return Some(verify.ways.passed);
        }
        self.push(Step::Verify {
            level: verify.ways.level,
        });
        self.state = State::Verifying(Box::new(Verifying {
            at,
            tries_left: verify.tries.saturating_sub(1),
            factors: Vec::new(),
            answers: Vec::new(),
            phase: Phase::Beginning {
                until: now + BEGIN_WAIT,
            },
        }));
        None
    }

    fn verify_node(&self) -> Option<(&Verifying, VerifyWays)> {
        let State::Verifying(verifying) = &self.state else {
            return None;
        };
        match &self.flow.node(verifying.at).kind {
            Kind::Verify(verify) => Some((verifying, verify.ways)),
            _ => None,
        }
    }

    /// What is asked for.
    pub(super) fn verify_asks(&mut self, now: Duration, factors: Vec<Factor>) {
        let Some((verifying, verify)) = self.verify_node() else {
            return;
        };
        if !matches!(verifying.phase, Phase::Beginning { .. }) {
            return;
        }
        if factors.is_empty() || factors.len() > Factor::ALL.len() {
            return self.walk(now, verify.unavailable);
        }
        if let State::Verifying(verifying) = &mut self.state {
            verifying.factors = factors;
        }
        self.ask_factor(now, false);
    }

    /// Asks for what isn't answered yet; or, when all is, has it compared.
    fn ask_factor(&mut self, now: Duration, wrong: bool) {
        let flow = Arc::clone(&self.flow);
        let State::Verifying(verifying) = &self.state else {
            return;
        };
        let Kind::Verify(verify) = &flow.node(verifying.at).kind else {
            return;
        };
        let Some(factor) = verifying.factor() else {
            self.push(Step::Check);
            if let State::Verifying(verifying) = &mut self.state {
                verifying.phase = Phase::Checking {
                    until: now + CHECK_WAIT,
                };
            }
            return;
        };
        let mut prompt = if wrong {
            self.spoken(&verify.wrong)
        } else {
            Vec::new()
        };
        if let Some(text) = verify.asks.get(factor as usize) {
            text.speak(&self.fill(None), &mut prompt);
        }
        let on_air = self.play(now, prompt, true);
        if let State::Verifying(verifying) = &mut self.state {
            verifying.phase = Phase::Speaking(on_air);
        }
    }

    /// The question was spoken, or couldn't be.
    pub(super) fn verify_asked(&mut self, now: Duration, heard: bool) {
        let Some((_, verify)) = self.verify_node() else {
            return;
        };
        if !heard {
            // Nobody answers what they haven't heard.
            return self.walk(now, verify.unavailable);
        }
        if let State::Verifying(verifying) = &mut self.state {
            verifying.phase = Phase::Listening {
                until: now
                    + match verifying.factor() {
                        Some(Factor::Code) => CODE_WAIT,
                        _ => verify.first_key,
                    },
                keyed: Secret::default(),
            };
        }
    }

    pub(super) fn verify_key(&mut self, now: Duration, key: char) {
        let Some((_, verify)) = self.verify_node() else {
            return;
        };
        let State::Verifying(verifying) = &mut self.state else {
            return;
        };
        let Some((least, most)) = verifying.factor().map(Factor::digits) else {
            return;
        };
        let mut stop = None;
        if let Phase::Speaking(on_air) = &verifying.phase {
            stop = Some(on_air.play);
            verifying.phase = Phase::Listening {
                until: now,
                keyed: Secret::default(),
            };
        }
        let Phase::Listening { until, keyed } = &mut verifying.phase else {
            return;
        };
        let mut complete = false;
        match key {
            '*' => *keyed = Secret::default(),
            '#' => complete = true,
            digit => {
                complete = !keyed.push(digit) || keyed.len() == most && least == most;
            }
        }
        *until = now
            + if keyed.len() == 0 {
                verify.first_key
            } else {
                verify.next_key
            };
        let answer = complete.then(|| std::mem::take(keyed));
        if let Some(play) = stop {
            self.push(Step::StopPlay { play });
        }
        if let Some(answer) = answer {
            self.factor_answered(now, answer);
        }
    }

    /// However much of it was keyed in: that something is wrong is said when all is answered.
    fn factor_answered(&mut self, now: Duration, answer: Secret) {
        if let State::Verifying(verifying) = &mut self.state {
            verifying.answers.push(answer);
        }
        self.ask_factor(now, false);
    }

    pub(super) fn verify_timeout(&mut self, now: Duration) {
        let Some((verifying, verify)) = self.verify_node() else {
            return;
        };
        match &verifying.phase {
            Phase::Beginning { .. } | Phase::Checking { .. } => {
                self.walk(now, verify.unavailable);
            }
            Phase::Speaking(on_air) => {
                let play = on_air.play;
                self.push(Step::StopPlay { play });
                self.verify_asked(now, true);
            }
            Phase::Listening { keyed, .. } if keyed.len() == 0 => {
                // Nobody answers: nothing was wrong, and nothing is compared.
                match verifying.tries_left.checked_sub(1) {
                    Some(left) => {
                        if let State::Verifying(verifying) = &mut self.state {
                            verifying.tries_left = left;
                        }
                        self.ask_factor(now, false);
                    }
                    None => self.walk(now, verify.failed),
                }
            }
            Phase::Listening { .. } => {
                if let State::Verifying(verifying) = &mut self.state
                    && let Phase::Listening { keyed, .. } = &mut verifying.phase
                {
                    let answer = std::mem::take(keyed);
                    self.factor_answered(now, answer);
                }
            }
        }
    }

    fn ask_again(&mut self, now: Duration, tries_left: u8) {
        if let State::Verifying(verifying) = &mut self.state {
            verifying.tries_left = tries_left;
            verifying.answers.clear();
        }
        self.ask_factor(now, true);
    }

    /// They are who they say.
    pub(super) fn verified(&mut self, now: Duration, level: u8, key: Option<Arc<str>>) {
        self.level = self.level.max(level);
        if key.is_some() {
            self.key = key;
        }
        if let Some((verifying, verify)) = self.verify_node()
            && !verifying.asks()
        {
            let to = match self.level >= verify.level {
                true => verify.passed,
                false => verify.unavailable,
            };
            self.walk(now, to);
        }
    }

    /// Something of the answers isn't right.
    pub(super) fn not_verified(&mut self, now: Duration) {
        let Some((verifying, verify)) = self.verify_node() else {
            return;
        };
        if !matches!(verifying.phase, Phase::Checking { .. }) {
            return;
        }
        match verifying.tries_left.checked_sub(1) {
            Some(left) => self.ask_again(now, left),
            None => self.walk(now, verify.failed),
        }
    }

    /// They have tried too often, or nothing can be said: a person takes over.
    pub(super) fn cannot_verify(&mut self, now: Duration, locked: bool) {
        if let Some((verifying, verify)) = self.verify_node()
            && !verifying.asks()
        {
            let to = match locked {
                true => verify.locked,
                false => verify.unavailable,
            };
            self.walk(now, to);
        }
    }
}
