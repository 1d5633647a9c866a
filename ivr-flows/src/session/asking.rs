//! Questions answered by keys: menus and collected numbers.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroize;

use super::{OnAir, Session, State};
use crate::flow::{Ask, Collect, Kind, Menu, NodeIndex};
use crate::{Language, PlayId, Step};

/// Keys pressed, at most [`Keyed::MAX`] of them; what comes beyond is dropped.
#[derive(Clone, Copy, Default)]
pub(super) struct Keyed {
    keys: [u8; Keyed::MAX],
    len: u8,
}

/// Without the keys: what is printed ends up in logs.
impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyed({} keys)", self.len)
    }
}

impl Keyed {
    pub(super) const MAX: usize = 20;

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn as_str(&self) -> &str {
        // Only ASCII keys are ever pushed.
        std::str::from_utf8(&self.keys[..usize::from(self.len)]).unwrap_or_default()
    }

    pub(super) fn push(&mut self, key: char) {
        if let (Some(slot), true) = (self.keys.get_mut(usize::from(self.len)), key.is_ascii()) {
            *slot = key as u8;
            self.len += 1;
        }
    }

    pub(super) fn clear(&mut self) {
        self.keys.zeroize();
        self.len = 0;
    }

    pub(super) fn first(&self) -> Option<char> {
        let first = *self.keys[..usize::from(self.len)].first()?;
        Some(char::from(first))
    }

    pub(super) fn take_first(&mut self) -> Option<char> {
        let first = *self.keys[..usize::from(self.len)].first()?;
        self.keys.copy_within(1.., 0);
        self.len -= 1;
        Some(char::from(first))
    }
}

/// A question being asked.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) at: NodeIndex,
    /// Tries after this one.
    tries_left: u8,
    /// What was keyed in so far; stays empty in a menu.
    keyed: Keyed,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The question is being spoken.
    Speaking(OnAir),
    /// The next key is waited for.
    Listening { until: Duration },
}

impl Asking {
    pub(super) fn due(&self) -> Duration {
        match &self.phase {
            Phase::Speaking(on_air) => on_air.until,
            Phase::Listening { until } => *until,
        }
    }

    pub(super) fn speaks(&self, play: PlayId) -> bool {
        matches!(&self.phase, Phase::Speaking(on_air) if on_air.play == play)
    }
}

/// Why a try came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Miss {
    /// No key came.
    Silent,
    /// A key without a choice, or too short a number.
    Wrong,
}

/// What a key does to a number being keyed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    More,
    Complete,
    Wrong,
}

impl Collect {
    /// `#` ends the number, `*` begins it anew.
    fn take(&self, keyed: &mut Keyed, key: char) -> Entry {
        let long_enough = keyed.len >= self.min;
        match key {
            '#' if long_enough => Entry::Complete,
            '#' => Entry::Wrong,
            '*' => {
                keyed.clear();
                Entry::More
            }
            _ => {
                keyed.push(key);
                if keyed.len >= self.max {
                    Entry::Complete
                } else {
                    Entry::More
                }
            }
        }
    }
}

impl Session {
    /// Comes to a menu: the next node if a key typed ahead decides it.
    pub(super) fn menu(&mut self, now: Duration, at: NodeIndex, menu: &Menu) -> Option<NodeIndex> {
        self.attempts = 0;
        let tries_left = menu.ask.tries.saturating_sub(1);
        let Some(key) = self.ahead.take_first() else {
            self.ask(now, at, &menu.ask, tries_left, false);
            return None;
        };
        match self.choose(menu, key) {
            Some(next) => Some(next),
            None => self.missed(now, at, &menu.ask, tries_left, Miss::Wrong),
        }
    }

    /// Comes to a number to be keyed in: the next node if it was typed ahead.
    pub(super) fn collect(
        &mut self,
        now: Duration,
        at: NodeIndex,
        collect: &Collect,
    ) -> Option<NodeIndex> {
        self.attempts = 0;
        let tries_left = collect.ask.tries.saturating_sub(1);
        let mut keyed = Keyed::default();
        while let Some(key) = self.ahead.take_first() {
            match collect.take(&mut keyed, key) {
                Entry::More => {}
                Entry::Complete => {
                    self.digits = keyed;
                    return Some(collect.next);
                }
                Entry::Wrong => {
                    return self.missed(now, at, &collect.ask, tries_left, Miss::Wrong);
                }
            }
        }
        if keyed.is_empty() {
            self.ask(now, at, &collect.ask, tries_left, false);
        } else {
            self.state = State::Asking(Asking {
                at,
                tries_left,
                keyed,
                phase: Phase::Listening {
                    until: now + collect.ask.next_key,
                },
            });
        }
        None
    }

    fn ask(&mut self, now: Duration, at: NodeIndex, ask: &Ask, tries_left: u8, sorry: bool) {
        let mut prompt = if sorry {
            self.spoken(&ask.sorry)
        } else {
            Vec::new()
        };
        ask.text.speak(&self.fill(None), &mut prompt);
        let on_air = self.play(now, prompt, true);
        self.state = State::Asking(Asking {
            at,
            tries_left,
            keyed: Keyed::default(),
            phase: Phase::Speaking(on_air),
        });
    }

    /// A try came to nothing: asks again, or gives the way out.
    fn missed(
        &mut self,
        now: Duration,
        at: NodeIndex,
        ask: &Ask,
        tries_left: u8,
        miss: Miss,
    ) -> Option<NodeIndex> {
        self.attempts = self.attempts.saturating_add(1);
        // What was typed ahead was meant for another question.
        self.ahead.clear();
        match tries_left.checked_sub(1) {
            Some(tries_left) => {
                self.ask(now, at, ask, tries_left, miss == Miss::Wrong);
                None
            }
            None => Some(match miss {
                Miss::Silent => ask.timeout,
                Miss::Wrong => ask.invalid,
            }),
        }
    }

    fn choose(&mut self, menu: &Menu, key: char) -> Option<NodeIndex> {
        // A language without a voice is no choice.
        let spoken = |language: Language| self.facts.languages.contains(&language);
        let choice = menu
            .options
            .iter()
            .find(|choice| choice.key == key && choice.language.is_none_or(spoken))?;
        if let Some(role) = choice.role {
            self.stated = Some(role);
            self.push(Step::SetRole(role));
        }
        if let Some(language) = choice.language {
            self.language = language;
        }
        Some(choice.next)
    }

    /// A key while a question is open.
    pub(super) fn answer_key(&mut self, now: Duration, key: char) {
        let flow = std::sync::Arc::clone(&self.flow);
        let State::Asking(asking) = &mut self.state else {
            return;
        };
        let (at, tries_left) = (asking.at, asking.tries_left);
        let stop = match &asking.phase {
            Phase::Speaking(on_air) => Some(on_air.play),
            Phase::Listening { .. } => None,
        };
        let mut entry = Entry::More;
        match &flow.node(at).kind {
            Kind::Collect(collect) => {
                entry = collect.take(&mut asking.keyed, key);
                let wait = if asking.keyed.is_empty() {
                    collect.ask.first_key
                } else {
                    collect.ask.next_key
                };
                asking.phase = Phase::Listening { until: now + wait };
                if entry == Entry::Complete {
                    self.digits = asking.keyed;
                }
            }
            Kind::Menu(_) => {
                // Overwritten by whatever the key leads to.
                asking.phase = Phase::Listening { until: now };
            }
            _ => return,
        }
        if let Some(play) = stop {
            self.push(Step::StopPlay { play });
        }
        let next = match (&flow.node(at).kind, entry) {
            (Kind::Menu(menu), _) => match self.choose(menu, key) {
                Some(next) => Some(next),
                None => self.missed(now, at, &menu.ask, tries_left, Miss::Wrong),
            },
            (Kind::Collect(collect), Entry::Complete) => Some(collect.next),
            (Kind::Collect(collect), Entry::Wrong) => {
                self.missed(now, at, &collect.ask, tries_left, Miss::Wrong)
            }
            _ => None,
        };
        if let Some(next) = next {
            self.walk(now, next);
        }
    }

    /// The question was spoken, or couldn't be.
    pub(super) fn asked(&mut self, now: Duration, heard: bool) {
        let flow = std::sync::Arc::clone(&self.flow);
        let State::Asking(asking) = &mut self.state else {
            return;
        };
        let (Kind::Menu(Menu { ask, .. }) | Kind::Collect(Collect { ask, .. })) =
            &flow.node(asking.at).kind
        else {
            return;
        };
        if heard {
            asking.phase = Phase::Listening {
                until: now + ask.first_key,
            };
            return;
        }
        // A question nobody heard counts as unanswered: after the last try the
        // caller gets to somebody all the same.
        let (at, tries_left) = (asking.at, asking.tries_left);
        if let Some(next) = self.missed(now, at, ask, tries_left, Miss::Silent) {
            self.walk(now, next);
        }
    }

    pub(super) fn ask_timeout(&mut self, now: Duration) {
        let flow = std::sync::Arc::clone(&self.flow);
        let State::Asking(asking) = &self.state else {
            return;
        };
        if let Phase::Speaking(on_air) = &asking.phase {
            let play = on_air.play;
            self.push(Step::StopPlay { play });
            return self.asked(now, true);
        }
        let (at, tries_left, keyed) = (asking.at, asking.tries_left, asking.keyed);
        let next = match &flow.node(at).kind {
            Kind::Collect(collect) if keyed.len >= collect.min => {
                self.digits = keyed;
                Some(collect.next)
            }
            Kind::Collect(collect) if !keyed.is_empty() => {
                self.missed(now, at, &collect.ask, tries_left, Miss::Wrong)
            }
            Kind::Menu(Menu { ask, .. }) | Kind::Collect(Collect { ask, .. }) => {
                self.missed(now, at, ask, tries_left, Miss::Silent)
            }
            _ => None,
        };
        if let Some(next) = next {
            self.walk(now, next);
        }
    }
}
