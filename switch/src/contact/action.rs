//! The flow calls an HTTP action of the hospital's: a question that leaves, and
//! an answer that may be late, doubled or lost.
//!
//! The deadline is the contact's own. Whatever comes behind it, or after the
//! caller has gone, finds nobody who asked.

use std::sync::Arc;
use std::time::Duration;

use ivr_flows::{ActionCall, Fields, Input as FlowInput};

use super::{Contact, Cx, Sound};
use crate::input::{ActionEnd, NoteWhat, Output, Query, QueryId};

/// An action that hasn't answered yet.
#[derive(Debug)]
pub(super) struct Acting {
    id: QueryId,
    action: Arc<str>,
    since: Duration,
    until: Duration,
    /// Music plays once something was said.
    music: bool,
}

impl Acting {
    /// Since when there is music, where there is.
    pub(super) fn music(&self) -> Option<Duration> {
        self.music.then_some(self.since)
    }
}

impl Contact {
    /// The flow calls an action.
    pub(super) fn call_action(&mut self, call: ActionCall, cx: &mut Cx<'_>) {
        self.forget_action(cx);
        cx.counters.actions += 1;
        let ActionCall {
            action,
            node,
            visit,
            with,
            wanted,
            music,
        } = call;
        let key = (self.tenant, Arc::clone(&action));
        let Some(deadline) = cx.setup.actions.get(&key).map(|action| action.deadline) else {
            return self.action_over(action, ActionEnd::Failed, cx);
        };
        let Some(id) = cx.query(self.id, self.tenant) else {
            return self.action_over(action, ActionEnd::Crowded, cx);
        };
        self.acting = Some(Acting {
            id,
            action: Arc::clone(&action),
            since: cx.now.mono,
            until: cx.now.mono + deadline,
            music,
        });
        cx.out.push_back(Output::Query(Query {
            id,
            tenant: self.tenant,
            action,
            with,
            wanted,
            // Unique, since contacts' ids are, across restarts too.
            key: format!("{}-{node}-{visit}", self.id.0),
            deadline,
        }));
    }

    /// The answer; `None`: there is none.
    pub(crate) fn action_answered(&mut self, id: QueryId, answer: Option<Fields>, cx: &mut Cx<'_>) {
        let Some(acting) = self.acting.take_if(|acting| acting.id == id) else {
            return;
        };
        if self.sound == Sound::Music {
            self.rest_sound(cx);
        }
        match answer {
            Some(fields) => {
                let what = NoteWhat::Action(acting.action, ActionEnd::Answered);
                self.note(cx, what);
                self.session
                    .handle(cx.now.mono, FlowInput::ActionAnswered(fields));
            }
            None => self.action_over(acting.action, ActionEnd::Failed, cx),
        }
        self.carry_out(cx);
    }

    /// Nobody knows whether it has done anything; the flow goes on without.
    fn action_over(&mut self, action: Arc<str>, how: ActionEnd, cx: &mut Cx<'_>) {
        match how {
            ActionEnd::Answered => {}
            ActionEnd::Failed => cx.counters.actions_failed += 1,
            ActionEnd::TimedOut => cx.counters.actions_timed_out += 1,
            ActionEnd::Crowded => cx.counters.actions_crowded += 1,
        }
        self.note(cx, NoteWhat::Action(action, how));
        self.session.handle(cx.now.mono, FlowInput::ActionFailed);
    }

    pub(super) fn action_deadline(&self) -> Option<Duration> {
        self.acting.as_ref().map(|acting| acting.until)
    }

    pub(super) fn action_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let Some(acting) = self.acting.take_if(|acting| acting.until <= now) else {
            return;
        };
        cx.forget_query(acting.id);
        if self.sound == Sound::Music {
            self.rest_sound(cx);
        }
        self.action_over(acting.action, ActionEnd::TimedOut, cx);
        self.carry_out(cx);
    }

    /// Nobody waits for the answer any more.
    pub(super) fn forget_action(&mut self, cx: &mut Cx<'_>) {
        if let Some(acting) = self.acting.take() {
            cx.forget_query(acting.id);
        }
    }
}
