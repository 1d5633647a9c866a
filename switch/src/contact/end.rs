//! The end of a contact, whoever brings it about.

use desk::{EndCause, Journey};
use ivr_flows::Input as FlowInput;

use super::{Contact, Cx, Sound, Stage};
use crate::input::NoteWhat;

impl Contact {
    /// The caller hung up, or their leg is lost.
    pub(super) fn caller_left(&mut self, cx: &mut Cx<'_>, cause: EndCause) {
        if matches!(self.stage, Stage::Ended { .. }) {
            return;
        }
        self.session.handle(cx.now.mono, FlowInput::CallerHungUp);
        self.over(cx, cause, None);
    }

    /// We hang up.
    pub(super) fn hang_up(&mut self, cx: &mut Cx<'_>, cause: EndCause, reason: Option<&str>) {
        if matches!(self.stage, Stage::Ended { .. }) {
            return;
        }
        if cx.index.legs.contains_key(&self.leg) {
            cx.sip.hangup(cx.now.mono, self.leg, reason);
        }
        self.over(cx, cause, None);
    }

    /// A bug in this call was caught: nothing in here can be relied upon but
    /// the ids. Everybody is hung up on, everything given back.
    pub(crate) fn panicked(&mut self, cx: &mut Cx<'_>) {
        self.note(cx, NoteWhat::Panicked);
        self.hang_up(cx, EndCause::SystemFailure, Some("SIP;cause=500"));
    }

    /// Everything is over but what is owed to the others.
    pub(super) fn over(&mut self, cx: &mut Cx<'_>, cause: EndCause, reason: Option<&str>) {
        match &self.stage {
            Stage::Ended { .. } => return,
            Stage::Queue(_) | Stage::Offer(..) => self.leave_queue(Journey::Abandoned, cx),
            Stage::Conversation(_) => self.part(reason, cx),
            Stage::Opening { .. } | Stage::Answered { .. } | Stage::Flow => {}
        }
        self.forget_render(cx);
        self.sound = Sound::Nothing;
        cx.index.legs.remove(&self.leg);
        let audio = std::mem::replace(&mut self.audio, super::Audio::None);
        self.close_audio(audio, cx);
        self.journey(cx, Journey::Ended { cause });
        self.stage = Stage::Ended { since: cx.now.mono };
        if let Some(permit) = self.permit.take() {
            cx.released.push(permit);
        }
        cx.counters.ended += 1;
        self.note(cx, NoteWhat::Ended(cause));
    }
}
