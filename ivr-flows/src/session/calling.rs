//! On the way to a partner, or to whom a transfer leads, and taken back.
//!
//! The other telephone already rings while the greeting plays. Whatever comes
//! of the call, the caller stays ours: who isn't taken goes the way the node
//! says, and so does who was connected when the other side broke down.

use std::sync::Arc;
use std::time::Duration;

use super::{OnAir, Session, State};
use crate::expression::Words;
use crate::flow::{NodeIndex, Outgoing, Partner, Target, Transfer};
use crate::kinds::calling::is_dialable;
use crate::{PartnerOutcome, PlayId, Step};

/// A caller for whom somebody is being called.
#[derive(Debug)]
pub(super) struct Calling {
    pub(super) at: NodeIndex,
    on_air: Option<OnAir>,
    /// It rings no longer than this.
    until: Duration,
}

impl Calling {
    pub(super) fn due(&self) -> Duration {
        self.on_air
            .map_or(self.until, |on_air| on_air.until.min(self.until))
    }

    pub(super) fn speaks(&self, play: PlayId) -> bool {
        self.on_air.is_some_and(|on_air| on_air.play == play)
    }
}

impl Session {
    pub(super) fn call_partner(&mut self, now: Duration, at: NodeIndex, partner: &Partner) {
        // Keys pressed before were meant for something else.
        self.ahead.clear();
        self.push(Step::Partner {
            partner: Arc::clone(&partner.partner),
            music: partner.call.music,
        });
        self.begin_call(now, at, &partner.call);
    }

    /// Gives where to go at once: what was computed can't be dialled.
    pub(super) fn transfer(
        &mut self,
        now: Duration,
        at: NodeIndex,
        transfer: &Transfer,
    ) -> Option<NodeIndex> {
        self.ahead.clear();
        let (to, outside) = match &transfer.to {
            Target::Fixed { to, .. } => (Arc::clone(to), true),
            Target::Computed { to, outside } => (self.computed(at, to), *outside),
        };
        if !is_dialable(&to) {
            return Some(transfer.call.failed);
        }
        self.push(Step::Transfer {
            to,
            outside,
            music: transfer.call.music,
        });
        self.begin_call(now, at, &transfer.call);
        None
    }

    fn computed(&self, at: NodeIndex, to: &Words) -> Arc<str> {
        // Everything is known in a call.
        let known = self.known(self.flow.node(at).base);
        Arc::from(to.eval(&known).unwrap_or_default())
    }

    /// It rings: says what there is to say meanwhile.
    fn begin_call(&mut self, now: Duration, at: NodeIndex, call: &Outgoing) {
        let prompt = call
            .greeting
            .as_ref()
            .map(|greeting| self.spoken(greeting))
            .unwrap_or_default();
        let on_air = (!prompt.is_empty()).then(|| self.on_air(now));
        if let Some(on_air) = on_air {
            self.push(Step::Announce {
                play: on_air.play,
                prompt,
            });
        }
        self.state = State::Calling(Calling {
            at,
            on_air,
            until: now + call.ring_for,
        });
    }

    /// The greeting is over: music until something comes of the call.
    pub(super) fn call_announced(&mut self) {
        if let State::Calling(calling) = &mut self.state {
            calling.on_air = None;
        }
    }

    /// Something came of the call.
    pub(super) fn called(&mut self, now: Duration, outcome: PartnerOutcome) {
        let State::Calling(calling) = &self.state else {
            return;
        };
        let at = calling.at;
        if let Some(on_air) = calling.on_air {
            self.push(Step::StopPlay { play: on_air.play });
        }
        let Some(call) = self.flow.node(at).kind.outgoing() else {
            return;
        };
        let to = match outcome {
            PartnerOutcome::Answered => {
                self.state = State::Talking { at };
                return;
            }
            PartnerOutcome::Busy => call.busy,
            PartnerOutcome::Failed => call.failed,
            PartnerOutcome::NoAnswer => call.no_answer,
        };
        self.walk(now, to);
    }

    pub(super) fn call_timeout(&mut self, now: Duration) {
        let State::Calling(calling) = &mut self.state else {
            return;
        };
        let over = calling.until <= now;
        if let Some(on_air) = calling.on_air.take() {
            self.push(Step::StopPlay { play: on_air.play });
        }
        if over {
            self.push(Step::LeavePartner);
            self.called(now, PartnerOutcome::NoAnswer);
        }
    }

    /// The conversation broke: the caller hears so first.
    pub(super) fn call_lost(&mut self, now: Duration, at: NodeIndex) {
        let flow = Arc::clone(&self.flow);
        if let Some(call) = flow.node(at).kind.outgoing() {
            let prompt = self.spoken(&call.lost);
            let on_air = self.play(now, prompt, false);
            self.state = State::TakenBack { at, on_air };
        }
    }

    pub(super) fn take_back(&mut self, now: Duration, at: NodeIndex) {
        if let Some(call) = self.flow.node(at).kind.outgoing() {
            let to = call.failed;
            self.walk(now, to);
        }
    }
}
