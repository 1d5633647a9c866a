//! Callers whom the flow sends on: to a telephone or queue inside, or to a
//! number outside, by the same dial rules as agents' transfers.
//!
//! The calls are those of [`super::partner`] and [`super::transfer`]. What
//! differs is who asked for them: the flow, which has the caller back when they
//! come to nothing, and says how long they ring.

use std::sync::Arc;

use acd::Refusal;
use desk::{Journey, PartnerId, PhoneNumber};
use ivr_flows::{Class, Input as FlowInput, PartnerOutcome};

use super::{Ask, Contact, Cx, Stage};
use crate::dial::Destination;
use crate::input::NoteWhat;

impl Contact {
    /// The flow sends the caller on. `outside`: a number outside may be meant.
    pub(super) fn send_on(&mut self, to: &str, outside: bool, music: bool, cx: &mut Cx<'_>) {
        match cx.setup.reached(self.tenant, to) {
            Some(Destination::Agent(agent)) => self.asks = Some(Ask::Ring { agent, music }),
            Some(Destination::Queue(name)) => {
                let class = Class::of(self.session.role());
                if !self.enter_queue(&name, class, music, false, cx) {
                    return self.not_reached(PartnerOutcome::Failed, cx);
                }
                if let Stage::Queue(stay) = &mut self.stage {
                    stay.sent_on = true;
                }
            }
            Some(Destination::Outside { number, trunk }) if outside => {
                self.send_on_outside(&number, &trunk, music, cx);
            }
            _ => {
                // Where to is written nowhere: the caller may have keyed it in.
                cx.counters.targets_forbidden += 1;
                self.note(cx, NoteWhat::FlowTargetForbidden);
                self.not_reached(PartnerOutcome::Failed, cx);
            }
        }
    }

    fn send_on_outside(
        &mut self,
        number: &PhoneNumber,
        trunk: &Arc<str>,
        music: bool,
        cx: &mut Cx<'_>,
    ) {
        let partner = PartnerId::OUTSIDE;
        self.journey(cx, Journey::PartnerCalled { partner });
        self.note(cx, NoteWhat::OutsideCalled);
        // Whatever becomes of it, this is when the wait began.
        self.waiting_since.get_or_insert(cx.now.mono);
        match self.seize(trunk, &number.0, cx) {
            Ok(seized) => self.call_by_trunk(partner, seized, &number.0, music, None, cx),
            Err(why) => self.taken_back(partner, why, cx),
        }
    }

    /// The flow has the caller back.
    pub(super) fn not_reached(&mut self, outcome: PartnerOutcome, cx: &mut Cx<'_>) {
        if self.sound.is_of_waiting() {
            self.rest_sound(cx);
        }
        self.session
            .handle(cx.now.mono, FlowInput::Partner(outcome));
    }

    /// The flow doesn't want to wait any longer for whom it sent the caller to.
    pub(super) fn leave_called(&mut self, cx: &mut Cx<'_>) {
        match std::mem::replace(&mut self.stage, Stage::Flow) {
            Stage::Offer(_, offer) if offer.direct.is_some() => {
                self.withdraw(*offer, Refusal::NoAnswer, None, cx);
                self.note(cx, NoteWhat::OfferFailed(Refusal::NoAnswer));
                if self.sound.is_of_waiting() {
                    self.rest_sound(cx);
                }
            }
            stage => {
                let waits = matches!(stage, Stage::Queue(_) | Stage::Offer(..));
                self.stage = stage;
                if waits {
                    self.leave_queue(Some(Journey::FlowOut), cx);
                } else {
                    self.leave_partner(cx);
                }
            }
        }
    }
}

/// What a call to an agent came to, for the flow.
pub(super) fn outcome_of(why: Refusal) -> PartnerOutcome {
    match why {
        Refusal::Declined => PartnerOutcome::Busy,
        Refusal::NoAnswer | Refusal::Unreachable => PartnerOutcome::NoAnswer,
        Refusal::ContactGone | Refusal::Rescinded => PartnerOutcome::Failed,
    }
}
