//! What the caller hears: the service, as soon as anything comes from there;
//! else ringing; and what they are told when nobody takes the call.

use std::sync::Arc;
use std::time::Duration;

use ivr_flows::{Language, Piece};
use media::clip::Clip;
use media::engine::{Command as MediaCommand, PlayId};

use super::EmergencyCall;
use crate::contact::{Cx, Progress};
use crate::input::RenderId;

/// Said to a caller whose emergency call nobody takes. (Rendered ahead: a
/// prompt that has to be made first may come too late.)
pub const EMERGENCY_WORDS: &str = "The emergency call cannot be placed from this telephone. Use another telephone. We keep trying.";

/// How long after it was said it is said again.
const SAY_EVERY: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sound {
    Nothing,
    Ringing,
    Rendering(RenderId),
    Words(PlayId),
    /// Both hear each other.
    Bridged,
}

impl EmergencyCall {
    /// Lets the caller hear what there is to be heard now.
    pub(super) fn sounds(&mut self, cx: &mut Cx<'_>) {
        let Some(caller) = self.caller.audio.leg().filter(|_| self.caller.listens()) else {
            return;
        };
        let service = self.call.as_ref().filter(|call| call.is_usable());
        if let Some(service) = service.and_then(|call| call.audio.leg()) {
            self.forget_render(cx);
            self.say_at = None;
            cx.media(MediaCommand::Bridge {
                a: caller,
                b: service,
            });
            self.sound = Sound::Bridged;
        } else if !matches!(self.sound, Sound::Words(_)) {
            self.ringing(caller, cx);
        }
    }

    /// A prompt that is being made may go on being made.
    fn ringing(&mut self, caller: media::engine::LegId, cx: &mut Cx<'_>) {
        cx.media(MediaCommand::Loop {
            leg: caller,
            clip: Arc::clone(&cx.setup.sounds.ringing),
            offset_ms: 0,
        });
        if !matches!(self.sound, Sound::Rendering(_)) {
            self.sound = Sound::Ringing;
        }
    }

    /// Nothing is heard of the way that was taken any more.
    pub(super) fn unbridge(&mut self, cx: &mut Cx<'_>) {
        let service = self.call.as_ref().and_then(|call| call.audio.leg());
        if let (Sound::Bridged, Some(a), Some(b)) = (self.sound, self.caller.audio.leg(), service) {
            cx.media(MediaCommand::Unbridge { a, b });
            self.sound = Sound::Nothing;
        }
    }

    /// Tells them, unless it rings somewhere by now.
    pub(super) fn say(&mut self, cx: &mut Cx<'_>) {
        self.say_at = Some(cx.now.mono + SAY_EVERY);
        let rings = self
            .call
            .as_ref()
            .is_some_and(|call| matches!(call.progress, Progress::Ringing { .. }));
        if rings || matches!(self.sound, Sound::Words(_) | Sound::Bridged) {
            return;
        }
        self.forget_render(cx);
        let words = Piece::Text(Language::ENGLISH, EMERGENCY_WORDS.into());
        self.sound = Sound::Rendering(cx.render(self.id, self.home, vec![words]));
    }

    /// The words are ready.
    pub(crate) fn rendered(&mut self, id: RenderId, clips: Vec<Arc<Clip>>, cx: &mut Cx<'_>) {
        if self.sound != Sound::Rendering(id) {
            return;
        }
        let Some(leg) = self.caller.audio.leg() else {
            return;
        };
        let play = cx.play_id();
        cx.media(MediaCommand::Play {
            leg,
            play,
            clips,
            barge_in: false,
        });
        self.sound = Sound::Words(play);
    }

    /// They can't be had: ringing goes on, and it is tried again.
    pub(crate) fn render_failed(&mut self, id: RenderId, cx: &mut Cx<'_>) {
        if self.sound == Sound::Rendering(id) {
            cx.counters.prompts_missed += 1;
            self.sound = Sound::Ringing;
        }
    }

    /// A prompt is over.
    pub(super) fn said(&mut self, play: PlayId, cx: &mut Cx<'_>) {
        if self.sound == Sound::Words(play) {
            self.sound = Sound::Nothing;
            self.sounds(cx);
        }
    }

    pub(super) fn forget_render(&mut self, cx: &mut Cx<'_>) {
        if let Sound::Rendering(id) = self.sound {
            cx.index.renders.remove(&id);
            self.sound = Sound::Ringing;
        }
    }
}
