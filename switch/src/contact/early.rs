//! What is heard of a number outside before it is answered: the far network's ringing, or its word that the number has changed.
//!
//! Only of trusted trunks, and only where somebody was sent to a number, by an agent or the flow, or asks there. Who waits for a
//! partner goes on hearing what the flow says, and music. It is heard once something comes, since a description is often sent
//! long before any sound, and never the other way: nobody is spoken to before they have answered.

use desk::PartnerId;
use media::engine::Command as MediaCommand;
use media::sdp;

use super::{Audio, Contact, Cx, Outside, Side, Sound, Stage};

impl Outside {
    fn may_be_heard(&self) -> bool {
        self.partner == PartnerId::OUTSIDE && self.trunked.trunk.trusted
    }
}

impl Contact {
    /// It rings outside, with a description of what is to be heard there. It may come again, and differ; the answer still counts.
    pub(super) fn early_answer(&mut self, answer: &[u8], cx: &mut Cx<'_>) {
        let Stage::Outside(outside) = &self.stage else {
            return;
        };
        let Audio::Open {
            leg,
            offered: Some(offer),
            negotiated,
            ..
        } = &outside.call.audio
        else {
            return;
        };
        let Ok(agreed) = sdp::accept(offer, answer) else {
            return;
        };
        if outside.may_be_heard() && negotiated.as_ref() != Some(&agreed) {
            let leg = *leg;
            self.connect(Side::Agent, agreed, cx);
            cx.media(MediaCommand::Await { leg });
        }
    }

    /// Something comes from there, or nothing any more.
    pub(super) fn early_audio(&mut self, comes: bool, cx: &mut Cx<'_>) {
        let Stage::Outside(outside) = &mut self.stage else {
            return;
        };
        // What was agreed on with a gateway that was given up counts no more.
        if outside.early == comes || outside.call.audio.codec().is_none() {
            return;
        }
        outside.early = comes;
        if let Some(leg) = outside.call.audio.leg().filter(|_| !comes) {
            cx.media(MediaCommand::Await { leg });
        }
        if !matches!(self.sound, Sound::Prompt { .. } | Sound::Rendering { .. }) {
            self.rest_sound(cx);
        }
    }

    /// Lets whoever waits hear it, if anything is to be heard.
    pub(super) fn hear_early(&mut self, cx: &mut Cx<'_>) -> bool {
        let (Some(caller), Stage::Outside(outside)) = (self.audio.leg(), &self.stage) else {
            return false;
        };
        let Some(called) = outside.call.audio.leg().filter(|_| outside.early) else {
            return false;
        };
        cx.media(MediaCommand::Bridge {
            a: caller,
            b: called,
        });
        cx.media(MediaCommand::Stop { leg: called });
        self.sound = Sound::Early;
        true
    }

    /// The gateway that was heard is given up.
    pub(super) fn early_is_over(&mut self, cx: &mut Cx<'_>) {
        if let Stage::Outside(outside) = &mut self.stage {
            if let Audio::Open { negotiated, .. } = &mut outside.call.audio {
                *negotiated = None;
            }
            if std::mem::take(&mut outside.early) && self.sound == Sound::Early {
                self.rest_sound(cx);
            }
        }
    }
}
