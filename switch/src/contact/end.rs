//! The end of a contact, whoever brings it about.

use acd::{ToAcd, Visit};
use desk::{Command, CommandId, EndCause, Journey, What};
use ivr_flows::Input as FlowInput;
use media::engine::Command as MediaCommand;

use super::{Contact, Cx, Sound, Stage};
use crate::input::{NoteWhat, Output};

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

    /// The process stops.
    pub(crate) fn stopped(&mut self, cx: &mut Cx<'_>) {
        let reason = Some("SIP;cause=503;text=\"Out of service\"");
        if matches!(self.stage, Stage::Opening { .. }) {
            self.refuse_arrival(cx, 503);
        } else {
            self.hang_up(cx, EndCause::Stopped, reason);
        }
    }

    /// A bug in this call was caught. Its stage can't be relied upon, so
    /// everything that the index says is this contact's is ended, whatever the
    /// stage says, and the contact is gone.
    pub(crate) fn bury(mut self, cx: &mut Cx<'_>) {
        let id = self.id;
        let index = &mut *cx.index;
        let mut legs = Vec::new();
        index.legs.retain(|leg, (owner, _)| {
            let mine = *owner == id;
            if mine {
                legs.push(*leg);
            }
            !mine
        });
        let mut media = Vec::new();
        index.media.retain(|leg, (owner, _)| {
            let mine = *owner == id;
            if mine {
                media.push(*leg);
            }
            !mine
        });
        let mut offers = Vec::new();
        index.offers.retain(|offer, owner| {
            let mine = *owner == id;
            if mine {
                offers.push(*offer);
            }
            !mine
        });
        for offer in &offers {
            index.direct_over(*offer);
        }
        for waiting in [&mut index.transferors, &mut index.takings] {
            waiting.retain(|leg, owner| {
                let mine = *owner == id;
                if mine {
                    legs.push(*leg);
                }
                !mine
            });
        }
        index.wishes.retain(|_, (owner, _)| *owner != id);
        index.renders.retain(|_, owner| *owner != id);
        let mut queries = Vec::new();
        index.queries.retain(|query, (owner, _)| {
            let mine = *owner == id;
            if mine {
                queries.push(*query);
            }
            !mine
        });
        cx.out.extend(queries.into_iter().map(Output::Forget));
        for leg in legs {
            cx.sip.hangup(cx.now.mono, leg, Some("SIP;cause=500"));
        }
        for leg in media {
            cx.media(MediaCommand::Close { leg });
        }
        cx.acd(ToAcd::Leave {
            contact: acd::ContactId(id.0),
            visit: Visit(self.visits),
        });
        for offer in offers {
            cx.acd(ToAcd::Finish { offer });
        }
        match &self.stage {
            Stage::Outside(outside) => cx.trunks.release(&outside.trunked.trunk.name),
            Stage::Conversation(talk) => {
                if let super::Other::Partner { trunked, .. } = &talk.other {
                    cx.trunks.release(&trunked.trunk.name);
                }
            }
            _ => {}
        }
        self.end_callback(cx);
        if self.consult.is_none() {
            *cx.command += 1;
            cx.out.push_back(Output::ToDesk(Command {
                id: CommandId(*cx.command),
                tenant: self.tenant,
                contact: id,
                at: cx.now.wall,
                what: What::Journey(Journey::Ended {
                    cause: EndCause::SystemFailure,
                }),
            }));
        }
        if let Some(permit) = self.permit.take() {
            cx.released.push(permit);
        }
        cx.counters.ended += 1;
        self.note(cx, NoteWhat::Panicked);
    }

    /// Everything is over but what is owed to the others.
    pub(super) fn over(&mut self, cx: &mut Cx<'_>, cause: EndCause, reason: Option<&str>) {
        if !matches!(self.stage, Stage::Ended { .. }) {
            self.end_callback(cx);
        }
        match &self.stage {
            Stage::Ended { .. } => return,
            Stage::Queue(_) | Stage::Offer(..) => {
                // A caller we lost hasn't abandoned: `Ended` says what it was.
                let how = match cause {
                    EndCause::CallerHungUp => Some(Journey::Abandoned),
                    EndCause::FlowEnded | EndCause::AgentHungUp => Some(Journey::FlowOut),
                    EndCause::SystemFailure | EndCause::NotEncrypted | EndCause::Stopped => None,
                };
                self.leave_queue(how, cx);
            }
            Stage::Outside(_) => {
                if let Some((_, Some(sent))) = self.stop_calling_partner(cx) {
                    self.tell_transferor(sent.told, 487, cx);
                }
            }
            Stage::Conversation(_) => self.part(reason, cx),
            Stage::Opening { .. } | Stage::Answered { .. } | Stage::Flow => {}
        }
        self.stop_taking(603, cx);
        self.free_agent(cx);
        self.forget_action(cx);
        self.forget_render(cx);
        self.sound = Sound::Nothing;
        cx.index.legs.remove(&self.leg);
        let audio = std::mem::replace(&mut self.audio, super::Audio::None);
        audio.close(cx);
        self.journey(cx, Journey::Ended { cause });
        self.stage = Stage::Ended { since: cx.now.mono };
        if let Some(permit) = self.permit.take() {
            cx.released.push(permit);
        }
        cx.counters.ended += 1;
        self.note(cx, NoteWhat::Ended(cause));
    }
}
