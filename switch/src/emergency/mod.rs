//! Calls to emergency services from telephones of ours.
//!
//! A machine of its own beside the contact, since none of what holds a contact
//! up may hold these up: no flow, no queue, no ticket, no admission, no drain,
//! no ceiling of a trunk. One telephone calls, one way outside after the other
//! is tried, and the two are joined.
//!
//! | phase | the caller hears | ends by |
//! |---|---|---|
//! | [`Phase::Opening`] | their telephone's own ringing: not answered | a media leg |
//! | [`Phase::Trying`] | the gateway's early audio, else ringing | an answer, or the next way |
//! | [`Phase::Paused`] | that it can't be placed and is tried on, and ringing | a few seconds, then all ways again |
//! | [`Phase::Talking`] | the emergency service | hang-up by either |
//! | [`Phase::Over`] | nothing: hung up | what is owed to the desk is acknowledged |
//!
//! The caller's side is in [`caller`], the ways outside are in [`ways`], what is
//! heard is in [`sound`]; [`rules`] says which numbers, [`station`] from where.
//! The service's own call back is in [`back`].

mod back;
mod caller;
mod rules;
mod sound;
mod station;
#[cfg(test)]
mod tests;
mod ways;

use std::sync::Arc;
use std::time::Duration;

use acd::{AgentId, OfferId, ToAcd, Visit};
use desk::{ContactId, EmergencyEnd, TenantId, What};
use media::engine::Event as MediaEvent;
use media::sdp;

use crate::contact::{Audio, Call, Cx, LINGER_MAX, Outbox, Side, TALKING_EVERY, Trunked, natted};
use crate::input::{EmergencyStep, Note, NoteWhat};
use crate::setup::Encryption;

use back::Back;
pub(crate) use back::{CallsBack, Lately};
use caller::Caller;
pub use rules::{Emergency, EmergencyNumber, EmergencyRoute};
pub use sound::EMERGENCY_WORDS;
use sound::Sound;
pub use station::{CivicAddress, Station};
use ways::{Place, Rings};

/// Which ids are emergency calls': beyond those of contacts, consultations,
/// and what the distributor knows beside a contact.
const MARK: u64 = ContactId::JOURNEYS_END << 3;

/// Is this an emergency call's?
pub(crate) fn is_emergency(id: ContactId) -> bool {
    id.0 & MARK != 0
}

/// Who calls which number.
#[derive(Debug)]
pub(crate) struct Dialled {
    /// The account whose telephone it is.
    pub(crate) account: Arc<str>,
    pub(crate) number: EmergencyNumber,
    /// Headers that go along.
    pub(crate) carried: Vec<(String, String)>,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct EmergencyCall {
    id: ContactId,
    dialled: Dialled,
    /// The service calls: then its side is the caller's, and the telephone is what is called.
    back: Option<Back>,
    home: TenantId,
    station: Station,
    caller: Caller,
    phase: Phase,
    /// The call outside, with its media leg, which all ways share.
    call: Option<Call>,
    /// The way it takes at the moment.
    trunked: Option<Trunked>,
    /// Its INVITE says where the telephone stands.
    located: bool,
    /// It rings there.
    rings: Option<Rings>,
    /// Ways not tried yet, the best last.
    untried: Vec<Place>,
    /// How often all of them came to nothing.
    rounds: u32,
    sound: Sound,
    /// What can't be placed is said again then.
    say_at: Option<Duration>,
    /// Nothing at all comes from the caller's telephone, and from the service, since then.
    gone: Gone,
    busy: Option<Busy>,
    outbox: Outbox,
    /// The time in the switch's heap for which this call is entered.
    pub(crate) wake: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Trying,
    Paused { until: Duration },
    Talking,
    Over { since: Duration },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Gone {
    caller: Option<Duration>,
    service: Option<Duration>,
}

/// How long it goes on without a sign of life, not even a report (RTCP), of
/// anybody who could end it: of the two who talk, or of a caller who is
/// answered and whom nobody takes. They can't be there any more.
const GONE_MAX: Duration = Duration::from_secs(300);

/// The agent whose telephone it is: the distributor is told that they talk, so
/// that they aren't rung.
#[derive(Debug)]
struct Busy {
    offer: OfferId,
    agent: AgentId,
    announce_at: Duration,
}

impl EmergencyCall {
    /// A telephone of ours has dialled.
    pub(crate) fn begin(
        count: u64,
        leg: sip::LegId,
        peer: sip::Peer,
        request: &sip::Request,
        dialled: Dialled,
        cx: &mut Cx<'_>,
    ) -> Self {
        let account = cx.setup.accounts.get(&*dialled.account);
        let encryption = account.and_then(|account| account.encryption);
        let agent = account.and_then(|account| account.agent);
        let from = (leg, peer, request, encryption);
        let mut call = Self::new(count, from, dialled, None, cx);
        cx.counters.emergency_calls += 1;
        let number = call.dialled.number.dialled.parse().unwrap_or_default();
        let begun = desk::Emergency::Begun {
            number,
            agent: agent.map(|agent| desk::AgentId(agent.0)),
        };
        call.report(EmergencyStep::Begun, begun, cx);
        call.occupies(agent, cx);
        call
    }

    fn new(
        count: u64,
        (leg, peer, request, encryption): (
            sip::LegId,
            sip::Peer,
            &sip::Request,
            Option<Encryption>,
        ),
        dialled: Dialled,
        back: Option<Back>,
        cx: &mut Cx<'_>,
    ) -> Self {
        let id = ContactId(count | MARK);
        let account = cx.setup.accounts.get(&*dialled.account);
        cx.sip.persist(leg);
        cx.index.legs.insert(leg, (id, Side::Caller));
        let offer = request.sdp().map(<[u8]>::to_vec);
        let caller = Caller::new(id, leg, peer, offer, encryption, cx);
        Self {
            id,
            back,
            home: account.map_or(TenantId(0), |account| account.home),
            station: account
                .map(|account| account.station.clone())
                .unwrap_or_default(),
            dialled,
            caller,
            phase: Phase::Opening,
            call: None,
            trunked: None,
            located: false,
            rings: None,
            untried: Vec::new(),
            rounds: 0,
            sound: Sound::Nothing,
            say_at: None,
            gone: Gone::default(),
            busy: None,
            outbox: Outbox::default(),
            wake: None,
        }
    }

    /// Nobody else rings this agent meanwhile.
    fn occupies(&mut self, agent: Option<AgentId>, cx: &mut Cx<'_>) {
        if let Some(agent) = agent {
            let offer = cx.direct_offer();
            cx.index.direct.insert(agent, offer);
            self.busy = Some(Busy {
                offer,
                agent,
                announce_at: cx.now.mono,
            });
            self.announce(cx);
        }
    }

    pub(crate) fn id(&self) -> ContactId {
        self.id
    }

    /// The call whose reports to the desk name this.
    pub(crate) fn of_report(named: ContactId) -> ContactId {
        ContactId(named.0 | MARK)
    }

    /// Does this agent call for help?
    pub(crate) fn is_of(&self, agent: AgentId) -> bool {
        self.busy.as_ref().is_some_and(|busy| busy.agent == agent)
    }

    /// Is it a telephone's of this account?
    pub(crate) fn is_by(&self, account: &str) -> bool {
        *self.dialled.account == *account
    }

    /// The account whose telephone it is, if that calls for help.
    pub(crate) fn calls_for_help(&self) -> Option<&Arc<str>> {
        self.back.is_none().then_some(&self.dialled.account)
    }

    /// Do the two talk?
    pub(crate) fn is_connected(&self) -> bool {
        self.phase == Phase::Talking
    }

    /// Is somebody still on the line?
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Over { .. })
    }

    /// Nothing is owed any more (or it was owed for too long): forget it.
    pub(crate) fn is_done(&self, now: Duration) -> bool {
        match self.phase {
            Phase::Over { since } => self.outbox.is_empty() || now >= since + LINGER_MAX,
            _ => false,
        }
    }

    /// Tells whoever watches, and the log.
    fn report(&mut self, step: EmergencyStep, told: desk::Emergency, cx: &mut Cx<'_>) {
        // As the log names it, so that the two can be laid side by side.
        let call = ContactId(self.id.0 & !MARK);
        cx.out.push_back(crate::input::Output::Note(Note {
            contact: call,
            tenant: self.home,
            what: NoteWhat::Emergency {
                account: Arc::clone(&self.dialled.account),
                number: Arc::clone(&self.dialled.number.dialled),
                step,
            },
        }));
        self.outbox.push(call, self.home, What::Emergency(told), cx);
    }

    /// The desk has it.
    pub(crate) fn desk_answer(&mut self, answer: &desk::Answer, cx: &mut Cx<'_>) {
        self.outbox.answered(answer.id, cx);
    }

    fn announce(&mut self, cx: &mut Cx<'_>) {
        if let Some(busy) = &mut self.busy {
            busy.announce_at = cx.now.mono + TALKING_EVERY;
            cx.acd(ToAcd::Talking {
                offer: busy.offer,
                tenant: acd::TenantId(self.home.0),
                contact: acd::ContactId(self.id.0),
                visit: Visit(0),
                agent: busy.agent,
            });
        }
    }

    /// Something happened in the audio. That nothing comes any more ends no
    /// talk: somebody may be unable to speak.
    pub(crate) fn media_event(&mut self, side: Side, event: &MediaEvent, cx: &mut Cx<'_>) {
        let gone = match side {
            Side::Caller => &mut self.gone.caller,
            Side::Agent => &mut self.gone.service,
        };
        match event {
            MediaEvent::RtpLost { .. } => {
                gone.get_or_insert(cx.now.mono);
            }
            MediaEvent::RtpBack { .. } => *gone = None,
            MediaEvent::PlayEnded { play, .. } if side == Side::Caller => self.said(*play, cx),
            _ => {}
        }
    }

    /// When it is over because nobody is there.
    fn forsaken_at(&self) -> Option<Duration> {
        let caller = self.gone.caller.filter(|_| self.caller.is_up())?;
        let since = match self.phase {
            Phase::Talking => caller.max(self.gone.service?),
            Phase::Opening | Phase::Trying | Phase::Paused { .. } => caller,
            Phase::Over { .. } => return None,
        };
        Some(since + GONE_MAX)
    }

    /// What was agreed with that side is what is sent and heard there from now on.
    fn connect(&mut self, side: Side, agreed: sdp::Negotiated, cx: &mut Cx<'_>) {
        let (peer, sip_leg) = match side {
            Side::Caller => (self.caller.peer, Some(self.caller.leg)),
            Side::Agent => match &self.call {
                Some(call) => (call.peer, call.progress.leg()),
                None => return,
            },
        };
        let natted = natted(agreed.remote_rtp.ip(), peer, sip_leg, cx);
        let Some(Audio::Open {
            leg, negotiated, ..
        }) = self.audio_of(side)
        else {
            return;
        };
        *negotiated = Some(agreed.clone());
        let leg = *leg;
        cx.media(media::engine::Command::Connect {
            leg,
            natted,
            negotiated: agreed,
        });
    }

    /// That side's answer to our offer. It may come again, and differ.
    fn take_answer(&mut self, side: Side, answer: &[u8], cx: &mut Cx<'_>) {
        let Some(Audio::Open {
            offered: Some(offer),
            negotiated,
            ..
        }) = self.audio_of(side)
        else {
            return;
        };
        if let Ok(agreed) = sdp::accept(offer, answer)
            && negotiated.as_ref() != Some(&agreed)
        {
            self.connect(side, agreed, cx);
        }
    }

    fn audio_of(&mut self, side: Side) -> Option<&mut Audio> {
        match side {
            Side::Caller => Some(&mut self.caller.audio),
            Side::Agent => self.call.as_mut().map(|call| &mut call.audio),
        }
    }

    /// An INFO: a key for the menu of who answers (988 has one). Where telephone
    /// events were agreed on it has crossed as one.
    pub(crate) fn info(&mut self, side: Side, content_type: &str, body: &[u8], cx: &mut Cx<'_>) {
        let called = self.call.as_ref().map(|call| &call.audio);
        let (from, to) = match side {
            Side::Caller => (Some(&self.caller.audio), called),
            Side::Agent => (called, Some(&self.caller.audio)),
        };
        let in_audio = from.is_some_and(Audio::has_events);
        if let Some(read) = sip::info::digit(content_type, body)
            && let Some(leg) = to.and_then(Audio::leg).filter(|_| !in_audio)
        {
            cx.press(leg, read.digit);
        }
    }

    /// The peer of that side wants to change its session.
    pub(crate) fn reinvited(&mut self, side: Side, offer: Option<&[u8]>, cx: &mut Cx<'_>) {
        let leg = match side {
            Side::Caller => Some(self.caller.leg),
            Side::Agent => self.call.as_ref().and_then(|call| call.progress.leg()),
        };
        let (Some(leg), true) = (leg, self.is_live()) else {
            return;
        };
        let now = cx.now.mono;
        let Some(Audio::Open {
            local,
            caps,
            offered,
            streams,
            ..
        }) = self.audio_of(side)
        else {
            return cx.sip.reject_reinvite(now, leg, 491);
        };
        local.session_version += 1;
        let Some(offer) = offer else {
            let body = sdp::offer_again(local, caps, streams);
            *offered = Some(body.clone());
            return cx.sip.answer_reinvite(now, leg, &body);
        };
        match sdp::answer(offer, local, caps) {
            Ok((agreed, body)) => {
                *streams = sdp::Streams::of(&body);
                self.connect(side, agreed, cx);
                cx.sip.answer_reinvite(now, leg, &body);
                self.sounds(cx);
            }
            Err(error) => cx.sip.reject_reinvite(now, leg, error.status()),
        }
    }

    /// The process stops.
    pub(crate) fn stopped(&mut self, cx: &mut Cx<'_>) {
        self.hang_up(Some("SIP;cause=503;text=\"Out of service\""), cx);
        self.over(EmergencyEnd::Us, cx);
    }

    /// Its telephone calls for help once more.
    pub(crate) fn replaced(&mut self, cx: &mut Cx<'_>) {
        self.hang_up(Some("SIP;cause=487;text=\"Called again\""), cx);
        self.over(EmergencyEnd::Us, cx);
    }

    /// Everything is over but what is owed to the desk.
    fn over(&mut self, by: EmergencyEnd, cx: &mut Cx<'_>) {
        if !self.is_live() {
            return;
        }
        self.leave_way(None, cx);
        self.give_back_trunk(cx);
        if let Some(call) = self.call.take() {
            call.end(None, cx);
        }
        self.forget_render(cx);
        self.sound = Sound::Nothing;
        self.say_at = None;
        cx.index.legs.remove(&self.caller.leg);
        std::mem::replace(&mut self.caller.audio, Audio::None).close(cx);
        if let Some(busy) = self.busy.take() {
            cx.index.direct_over(busy.offer);
            cx.acd(ToAcd::Finish { offer: busy.offer });
        }
        self.phase = Phase::Over { since: cx.now.mono };
        self.report(EmergencyStep::Ended(by), desk::Emergency::Ended { by }, cx);
    }

    /// A bug in this call was caught: what the index says is its own is ended,
    /// whatever it says itself.
    pub(crate) fn bury(mut self, cx: &mut Cx<'_>) {
        let id = self.id;
        let legs: Vec<_> = cx
            .index
            .legs
            .iter()
            .filter(|(_, (owner, _))| *owner == id)
            .map(|(leg, _)| *leg)
            .collect();
        for leg in legs {
            cx.index.legs.remove(&leg);
            cx.sip.hangup(cx.now.mono, leg, Some("SIP;cause=500"));
        }
        let media: Vec<_> = cx
            .index
            .media
            .iter()
            .filter(|(_, (owner, _))| *owner == id)
            .map(|(leg, _)| *leg)
            .collect();
        for leg in media {
            cx.index.media.remove(&leg);
            cx.media(media::engine::Command::Close { leg });
        }
        cx.index.wishes.retain(|_, (owner, _)| *owner != id);
        cx.index.renders.retain(|_, owner| *owner != id);
        if let Some(trunked) = self.trunked.take() {
            cx.trunks.release(&trunked.trunk.name);
        }
        self.give_back_trunk(cx);
        if let Some(busy) = self.busy.take() {
            cx.index.direct_over(busy.offer);
            cx.acd(ToAcd::Finish { offer: busy.offer });
        }
        let by = EmergencyEnd::Us;
        self.report(EmergencyStep::Ended(by), desk::Emergency::Ended { by }, cx);
    }

    /// When something is due next.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let phase = match self.phase {
            Phase::Paused { until } => Some(until),
            Phase::Over { since } => Some(since + LINGER_MAX),
            Phase::Trying => self.way_deadline(),
            Phase::Opening | Phase::Talking => None,
        };
        let live = self.is_live();
        [
            phase,
            self.caller.deadline().filter(|_| live),
            self.forsaken_at(),
            self.say_at,
            self.busy.as_ref().map(|busy| busy.announce_at),
            self.outbox.repeat_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
    pub(crate) fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if self.forsaken_at().is_some_and(|at| now >= at) {
            self.hang_up(Some("SIP;cause=408;text=\"Connection lost\""), cx);
            self.over(EmergencyEnd::Us, cx);
        }
        if self.is_live() {
            self.caller_timeout(cx);
            match self.phase {
                Phase::Paused { until } if now >= until => self.try_all(cx),
                Phase::Trying => self.way_timeout(cx),
                _ => {}
            }
            if self.say_at.is_some_and(|at| now >= at) {
                self.say(cx);
            }
            if self
                .busy
                .as_ref()
                .is_some_and(|busy| now >= busy.announce_at)
            {
                self.announce(cx);
            }
        }
        self.outbox.timeout(cx);
    }
}
