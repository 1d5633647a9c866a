//! Three who talk: a caller, the agent who asks a colleague about them, and that colleague.
//!
//! The agent presses a code on the call to the colleague, as a plain telephone can. From then on the three hear each
//! other. The agent's first call, which their phone holds, is ended: they are there by the second one. The caller's
//! contact and the consultation stay what they are and know of each other. Whoever leaves, the other two talk on: as the
//! caller's contact, or as the consultation if it was the caller.

use acd::{AgentId, Visit};
use desk::{ContactId, EndCause, Escalation, Journey};
use media::engine::{LegId as MediaLegId, Mix};

use super::transfer::TRANSFERRED;
use super::{Audio, Contact, Cx, Other, Side, Sound, Stage, TALKING_EVERY};
use crate::input::NoteWhat;

/// How long may pass between two keys of the code.
const KEYS_APART_MAX: std::time::Duration = std::time::Duration::from_secs(3);
/// Said with the BYE to a call that is no longer needed.
const JOINED: &str = "SIP;cause=200;text=\"Joined\"";

/// What a contact knows of the three, while there are three.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conference {
    /// The other contact of the two.
    pub(crate) other: ContactId,
    /// Of the caller, the agent and the colleague.
    legs: [MediaLegId; 3],
}

/// What a contact can't do by itself, as it takes another one, or a look at all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A consultation's agent wants the caller in.
    Conference,
    /// The agent has left: the colleague has the caller.
    AgentLeft,
    /// The colleague has left: the agent has the caller back.
    ColleagueLeft,
    /// The flow sends the caller to an agent, or an agent asks a colleague: who may be engaged.
    Ring {
        /// To whom.
        agent: AgentId,
        /// Whether music plays while it rings.
        music: bool,
    },
}

/// The last keys pressed in a consultation.
#[derive(Debug, Default)]
pub(super) struct Typed {
    keys: String,
    at: std::time::Duration,
}

impl Contact {
    /// A key of the agent's while they talk with a colleague.
    pub(super) fn consult_key(&mut self, key: char, cx: &mut Cx<'_>) {
        let (code, reason) = (&cx.setup.sip.conference_code, &cx.setup.sip.reason_code);
        let Typed { keys, at } = &mut self.typed;
        if cx.now.mono > *at + KEYS_APART_MAX {
            keys.clear();
        }
        *at = cx.now.mono;
        keys.push(key);
        while keys.len() > code.len().max(reason.len() + 1) {
            keys.remove(0);
        }
        let before = keys.strip_suffix(key).filter(|_| !reason.is_empty());
        if !code.is_empty() && keys.ends_with(code.as_str()) {
            keys.clear();
            self.asks = Some(Ask::Conference);
        } else if before.is_some_and(|before| before.ends_with(reason.as_str()))
            && let Some(why) = Escalation::keyed(key)
            && let Some(consult) = &mut self.consult
        {
            keys.clear();
            consult.why = Some(why);
        }
    }

    /// An agent asks a colleague, and the caller hears them.
    pub(super) fn is_consult_of_three(&self) -> bool {
        self.consult.is_some() && self.conference.is_some() && self.is_conversing()
    }

    /// Do two talk?
    pub(crate) fn is_conversing(&self) -> bool {
        matches!(self.stage, Stage::Conversation(_))
    }

    /// The three hear each other from now on; of this contact, whom the consultation is about.
    pub(crate) fn confer(&mut self, consult: &mut Contact, cx: &mut Cx<'_>) {
        let asks = consult.consult().map(|consult| consult.by);
        if asks.is_none() || self.talks_with() != asks || self.conference.is_some() {
            return;
        }
        let (Stage::Conversation(talk), Stage::Conversation(asked)) =
            (&mut self.stage, &consult.stage)
        else {
            return;
        };
        let legs = [&self.audio, &consult.audio, &asked.audio].map(Audio::leg);
        let [Some(caller), Some(agent), Some(colleague)] = legs else {
            return;
        };
        if cx.index.legs.remove(&talk.leg).is_some() {
            cx.sip.hangup(cx.now.mono, talk.leg, Some(JOINED));
        }
        std::mem::replace(&mut talk.audio, Audio::None).close(cx);
        let with = match asked.other {
            Other::Agent { agent, .. } => Some(desk::AgentId(agent.0)),
            Other::Partner { .. } => None,
        };
        let legs = [caller, agent, colleague];
        self.conference = Some(Conference {
            other: consult.id,
            legs,
        });
        consult.conference = Some(Conference {
            other: self.id,
            legs,
        });
        if let Some(by) = asks {
            let by = desk::AgentId(by.0);
            self.journey(cx, Journey::Conferred { by, with });
        }
        self.join(cx);
        consult.sound = Sound::Bridged;
    }

    /// Who hears whom, while there are three.
    pub(super) fn three(&self) -> Option<Mix> {
        Mix::new(&self.conference?.legs)
    }

    /// The agent's leg of a conference has ended. The colleague hears nothing for a moment.
    pub(super) fn agent_leaves_three(&mut self, cx: &mut Cx<'_>) {
        cx.index.legs.remove(&self.leg);
        std::mem::replace(&mut self.audio, Audio::None).close(cx);
        self.asks = Some(Ask::AgentLeft);
    }

    /// The colleague has left: the agent talks on with the caller, by the call they made to the colleague.
    pub(crate) fn keep_agent(&mut self, consult: &mut Contact, cx: &mut Cx<'_>) {
        self.conference = None;
        consult.conference = None;
        let (leg, peer) = (consult.leg, consult.peer);
        let audio = std::mem::replace(&mut consult.audio, Audio::None);
        let wanted = match &mut self.stage {
            Stage::Conversation(talk) => Some(talk),
            _ => None,
        };
        let Some(talk) = wanted else {
            // The caller has left too.
            consult.audio = audio;
            return consult.hang_up(cx, EndCause::AgentHungUp, None);
        };
        talk.leg = leg;
        talk.peer = peer;
        talk.audio = audio;
        talk.quiet = false;
        consult.over(cx, EndCause::AgentHungUp, None);
        cx.index.legs.insert(leg, (self.id, Side::Agent));
        if let Some(media) = talk.audio.leg() {
            cx.index.media.insert(media, (self.id, Side::Agent));
        }
        self.join(cx);
    }

    /// The agent has left: the colleague talks on with the caller.
    pub(crate) fn keep_colleague(&mut self, consult: &mut Contact, cx: &mut Cx<'_>) {
        self.conference = None;
        consult.conference = None;
        if !self.is_conversing() {
            return consult.hang_up(cx, EndCause::AgentHungUp, None);
        }
        let why = consult.consult().and_then(|consult| consult.why);
        self.escalates(why, cx);
        // The agent's first call was ended when there began to be three.
        let _ = self.take_colleague(consult, cx);
    }

    /// Nobody is left of the caller's contact.
    pub(crate) fn abandoned(&mut self, cx: &mut Cx<'_>) {
        self.conference = None;
        self.hang_up(cx, EndCause::AgentHungUp, None);
    }

    /// The other contact of the two is over: who is left here talks on, or waits again.
    pub(crate) fn three_no_more(&mut self, cx: &mut Cx<'_>) {
        self.conference = None;
        if self.consult.is_some() {
            // The caller has left; agent and colleague may have something to say still.
            self.join(cx);
        } else if self.is_conversing() {
            self.talk_broke(cx);
        }
    }

    /// Everything of the colleague's is this contact's now, and the consultation is over. What is left of the agent's
    /// call is for the caller of this to end.
    pub(super) fn take_colleague(
        &mut self,
        consult: &mut Contact,
        cx: &mut Cx<'_>,
    ) -> Option<sip::LegId> {
        let mut talk = match std::mem::replace(&mut consult.stage, Stage::Flow) {
            Stage::Conversation(talk) => talk,
            other => {
                consult.stage = other;
                return None;
            }
        };
        cx.index.legs.insert(talk.leg, (self.id, Side::Agent));
        if let Some(leg) = talk.audio.leg() {
            cx.index.media.insert(leg, (self.id, Side::Agent));
        }
        self.visits += 1;
        let mut with = None;
        if let Other::Agent {
            offer,
            agent,
            visit,
        } = &mut talk.other
        {
            *visit = Visit(self.visits);
            with = Some((*offer, *agent));
            cx.index.offers.insert(*offer, self.id);
        }
        consult.hang_up(cx, EndCause::AgentHungUp, Some(TRANSFERRED));
        let leg = self.let_go(cx);
        talk.announce_at = cx.now.mono + TALKING_EVERY;
        self.stage = Stage::Conversation(talk);
        self.announce_talk(cx);
        self.join(cx);
        if let Some((offer, agent)) = with {
            let agent = desk::AgentId(agent.0);
            self.journey(cx, Journey::Connected { agent });
            self.note(cx, NoteWhat::Connected(offer, agent));
        } else {
            let partner = desk::PartnerId::OUTSIDE;
            self.journey(cx, Journey::Transferred { partner });
            self.note(cx, NoteWhat::Transferred);
        }
        leg
    }
}
