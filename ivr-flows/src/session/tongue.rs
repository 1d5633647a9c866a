//! A language being offered, in that language.

use std::time::Duration;

use super::{OnAir, Session, State};
use crate::flow::{Kind, NodeIndex, Tongue};
use crate::{PlayId, Step};

/// A caller who may choose a language.
#[derive(Debug)]
pub(super) struct Choosing {
    pub(super) at: NodeIndex,
    /// The offer is being spoken.
    on_air: Option<OnAir>,
    /// A key is waited for until then, once it has been spoken.
    until: Duration,
}

impl Choosing {
    pub(super) fn due(&self) -> Duration {
        self.on_air.map_or(self.until, |on_air| on_air.until)
    }

    pub(super) fn speaks(&self, play: PlayId) -> bool {
        self.on_air.is_some_and(|on_air| on_air.play == play)
    }
}

impl Session {
    /// Comes to a language node: the next one, unless the caller is asked.
    pub(super) fn tongue(
        &mut self,
        now: Duration,
        at: NodeIndex,
        tongue: &Tongue,
    ) -> Option<NodeIndex> {
        if let Some(language) = tongue.speak {
            if self.facts.languages.contains(&language) {
                self.language = language;
            }
            return Some(tongue.next);
        }
        if let Some(key) = self.ahead.first() {
            // Pressed for what comes next, unless it is one of these.
            return Some(match self.choose_language(tongue, key) {
                Some(next) => {
                    self.ahead.take_first();
                    next
                }
                None => tongue.next,
            });
        }
        let mut prompt = Vec::new();
        // What no voice can speak isn't offered.
        for choice in &tongue.choices {
            if choice.speak != self.language && self.facts.languages.contains(&choice.speak) {
                choice.say.speak(&self.fill(None), &mut prompt);
            }
        }
        if prompt.is_empty() {
            return Some(tongue.next);
        }
        let on_air = self.play(now, prompt, true);
        self.state = State::Choosing(Choosing {
            at,
            on_air: Some(on_air),
            until: now,
        });
        None
    }

    /// The node where a key leads that chooses a language.
    fn choose_language(&mut self, tongue: &Tongue, key: char) -> Option<NodeIndex> {
        let choice = tongue
            .choices
            .iter()
            .find(|choice| choice.key == key && self.facts.languages.contains(&choice.speak))?;
        self.language = choice.speak;
        Some(choice.next)
    }

    /// A key while languages are offered. One that chooses none is meant for what follows.
    pub(super) fn language_key(&mut self, now: Duration, key: char) {
        let flow = std::sync::Arc::clone(&self.flow);
        let State::Choosing(choosing) = &self.state else {
            return;
        };
        let (at, on_air) = (choosing.at, choosing.on_air);
        let Kind::Language(tongue) = &flow.node(at).kind else {
            return;
        };
        if let Some(on_air) = on_air {
            self.push(Step::StopPlay { play: on_air.play });
        }
        let next = match self.choose_language(tongue, key) {
            Some(next) => next,
            None => {
                self.ahead.push(key);
                tongue.next
            }
        };
        self.walk(now, next);
    }

    /// The offer was spoken: a key is waited for.
    pub(super) fn language_offered(&mut self, now: Duration) {
        let flow = std::sync::Arc::clone(&self.flow);
        if let State::Choosing(choosing) = &mut self.state
            && let Kind::Language(tongue) = &flow.node(choosing.at).kind
        {
            choosing.on_air = None;
            choosing.until = now + tongue.wait;
        }
    }

    pub(super) fn language_timeout(&mut self, now: Duration) {
        let State::Choosing(choosing) = &self.state else {
            return;
        };
        if let Some(on_air) = choosing.on_air {
            self.push(Step::StopPlay { play: on_air.play });
            return self.language_offered(now);
        }
        if let Kind::Language(tongue) = &self.flow.node(choosing.at).kind {
            let next = tongue.next;
            self.walk(now, next);
        }
    }
}
