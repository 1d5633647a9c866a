//! An HTTP action is called, and the caller waits for what comes of it.
//!
//! What is being said is said to its end, however fast the answer: a sentence
//! torn off sounds like a fault. Who waits longer hears music.

use std::sync::Arc;
use std::time::Duration;

use super::{OnAir, Session, State};
use crate::expression::ValKind;
use crate::flow::{Http, Kind, NodeIndex};
use crate::{ActionCall, Fields, PlayId, Step};

/// How long a caller hears nothing, where the node says nothing: most answers
/// are there by then.
const QUIET_MAX: Duration = Duration::from_secs(1);
/// The longest deadline there is and then some: the guard against a driver that never answers.
const ACTION_GUARD: Duration = Duration::from_secs(20);

/// An action under way.
#[derive(Debug)]
pub(super) struct Acting {
    pub(super) at: NodeIndex,
    on_air: Option<OnAir>,
    /// When something is said, if nothing has been yet.
    say_at: Option<Duration>,
    /// There is no answer then.
    until: Duration,
    /// Where the caller goes once nothing is being said any more.
    next: Option<NodeIndex>,
}

impl Acting {
    pub(super) fn due(&self) -> Duration {
        let own = match self.next {
            Some(_) => None,
            None => Some(self.say_at.map_or(self.until, |at| at.min(self.until))),
        };
        let speech = self.on_air.map(|on_air| on_air.until);
        // One of them is always there: with neither, the caller has gone on.
        own.into_iter().chain(speech).min().unwrap_or(self.until)
    }

    pub(super) fn speaks(&self, play: PlayId) -> bool {
        self.on_air.is_some_and(|on_air| on_air.play == play)
    }
}

impl Session {
    pub(super) fn call_action(&mut self, now: Duration, at: NodeIndex, http: &Http) {
        let node = self.flow.node(at);
        // Everything is known in a call, so each has a value.
        let known = self.known(node.base);
        let with = http.with.iter();
        let with = with.filter_map(|(name, value)| Some((Arc::clone(name), value.value(&known)?)));
        let with = with.collect();
        let node = Arc::clone(&node.name);
        self.actions = self.actions.wrapping_add(1);
        self.push(Step::CallAction(ActionCall {
            action: Arc::clone(&http.action),
            node,
            visit: self.actions,
            with,
            wanted: http
                .save
                .iter()
                .map(|save| Arc::clone(&save.field))
                .collect(),
            music: http.music,
        }));
        self.state = State::Acting(Acting {
            at,
            on_air: None,
            say_at: Some(if http.at_once { now } else { now + QUIET_MAX }),
            until: now + ACTION_GUARD,
            next: None,
        });
        if http.at_once {
            self.say_moment(now);
        }
    }

    /// The fields that the action under way is asked for, and what each must be; `None`: none is.
    pub(crate) fn awaits_fields(&self) -> Option<impl Iterator<Item = (&str, ValKind)>> {
        let State::Acting(Acting { at, next: None, .. }) = &self.state else {
            return None;
        };
        match &self.flow.node(*at).kind {
            Kind::Http(http) => Some(http.save.iter().map(|save| (&*save.field, save.kind))),
            _ => None,
        }
    }

    /// Says what there is to say meanwhile.
    fn say_moment(&mut self, now: Duration) {
        let State::Acting(acting) = &self.state else {
            return;
        };
        let flow = Arc::clone(&self.flow);
        let Kind::Http(http) = &flow.node(acting.at).kind else {
            return;
        };
        let prompt = self.spoken(&http.say);
        let on_air = (!prompt.is_empty()).then(|| self.on_air(now));
        if let Some(on_air) = on_air {
            self.push(Step::Announce {
                play: on_air.play,
                prompt,
            });
        }
        if let State::Acting(acting) = &mut self.state {
            acting.on_air = on_air;
            acting.say_at = None;
        }
    }

    /// The action's answer; `None`: there is none, or none that is any good.
    pub(super) fn acted(&mut self, now: Duration, answer: Option<&Fields>) {
        let State::Acting(acting) = &self.state else {
            return;
        };
        let at = acting.at;
        let flow = Arc::clone(&self.flow);
        let Kind::Http(http) = &flow.node(at).kind else {
            return;
        };
        if acting.next.is_some() {
            return;
        }
        let next = match answer {
            Some(fields) if self.save(flow.node(at).base, http, fields) => http.ok,
            _ => http.failed,
        };
        match &mut self.state {
            State::Acting(acting) if acting.on_air.is_some() => acting.next = Some(next),
            _ => self.walk(now, next),
        }
    }

    /// Keeps what the node wants of an answer: all of it, or nothing when
    /// something is missing or isn't what it should be.
    fn save(&mut self, base: u16, http: &Http, fields: &Fields) -> bool {
        let mut values = Vec::new();
        for save in &http.save {
            match fields.get(&save.field) {
                Some(value) if value.may_be_saved_as(save.kind) => {
                    values.push((usize::from(base + save.slot), value.clone()));
                }
                _ => return false,
            }
        }
        for (at, value) in values {
            if let Some(var) = self.vars.get_mut(at) {
                *var = value;
            }
        }
        true
    }

    /// What was said is over.
    pub(super) fn moment_said(&mut self, now: Duration) {
        if let State::Acting(acting) = &mut self.state {
            acting.on_air = None;
            if let Some(next) = acting.next {
                self.walk(now, next);
            }
        }
    }

    pub(super) fn acting_timeout(&mut self, now: Duration) {
        let State::Acting(acting) = &self.state else {
            return;
        };
        if let Some(on_air) = acting.on_air.filter(|on_air| on_air.until <= now) {
            self.push(Step::StopPlay { play: on_air.play });
            self.moment_said(now);
        } else if acting.until <= now {
            self.acted(now, None);
        } else {
            self.say_moment(now);
        }
    }
}
