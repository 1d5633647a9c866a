//! On the way to a partner, and taken back from it.
//!
//! The partner's phone already rings while the greeting plays. Whatever comes
//! of the call, the caller stays ours: who isn't taken goes the way the node
//! says, and so does who was connected when the partner's side broke down.

use std::time::Duration;

use super::{OnAir, Session, State};
use crate::flow::{Kind, NodeIndex, Partner};
use crate::{PartnerOutcome, PlayId, Step};

/// A caller for whom a partner is being called.
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
            partner: std::sync::Arc::clone(&partner.partner),
            music: partner.music,
        });
        let prompt = partner
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
            until: now + partner.ring_for,
        });
    }

    /// The greeting is over: music until something comes of the call.
    pub(super) fn partner_announced(&mut self) {
        if let State::Calling(calling) = &mut self.state {
            calling.on_air = None;
        }
    }

    /// Something came of the call.
    pub(super) fn partner_said(&mut self, now: Duration, outcome: PartnerOutcome) {
        let State::Calling(calling) = &self.state else {
            return;
        };
        let at = calling.at;
        if let Some(on_air) = calling.on_air {
            self.push(Step::StopPlay { play: on_air.play });
        }
        let Kind::Partner(partner) = &self.flow.node(at).kind else {
            return;
        };
        let to = match outcome {
            PartnerOutcome::Answered => {
                self.state = State::Talking { at };
                return;
            }
            PartnerOutcome::Busy => partner.busy,
            PartnerOutcome::Failed => partner.failed,
            PartnerOutcome::NoAnswer => partner.no_answer,
        };
        self.walk(now, to);
    }

    pub(super) fn partner_timeout(&mut self, now: Duration) {
        let State::Calling(calling) = &mut self.state else {
            return;
        };
        let over = calling.until <= now;
        if let Some(on_air) = calling.on_air.take() {
            self.push(Step::StopPlay { play: on_air.play });
        }
        if over {
            self.push(Step::LeavePartner);
            self.partner_said(now, PartnerOutcome::NoAnswer);
        }
    }

    /// The conversation with the partner broke: the caller hears so first.
    pub(super) fn partner_lost(&mut self, now: Duration, at: NodeIndex) {
        let flow = std::sync::Arc::clone(&self.flow);
        if let Kind::Partner(partner) = &flow.node(at).kind {
            let prompt = self.spoken(&partner.lost);
            let on_air = self.play(now, prompt, false);
            self.state = State::TakenBack { at, on_air };
        }
    }

    pub(super) fn take_back(&mut self, now: Duration, at: NodeIndex) {
        if let Kind::Partner(partner) = &self.flow.node(at).kind {
            let to = partner.failed;
            self.walk(now, to);
        }
    }
}
