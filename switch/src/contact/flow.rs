//! What the flow wants, carried out; what the caller does, told to the flow.

use std::sync::Arc;
use std::time::Duration;

use desk::{Answer, Caller, Journey, Reply, Role as DeskRole, TicketNumber, What};
use hours::Day;
use ivr_flows::{
    CallerFacts, Class, HangUpCause, HoursState, IncidentNews, IncidentWords, Input as FlowInput,
    Language, NextUpdate, Piece, Role, Step, SubscribeOutcome, TicketAsk, TicketStatus,
};
use media::clip::Clip;
use media::engine::{Command as MediaCommand, Event as MediaEvent, OneWayCause, PlayOutcome};

use super::action::Acting;
use super::{Contact, Cx, KeysBy, RENDER_MAX, Side, Sound, Stage};
use crate::input::{NoteWhat, OneWay, RenderId};

/// Steps a session may take at one moment. The checker refuses loops without a
/// way out, so this is never reached; it is here so that a bug costs one call.
const STEPS_MAX: usize = 256;

impl Contact {
    /// Carries out what the session wants, until it wants nothing more.
    pub(super) fn carry_out(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..STEPS_MAX {
            // What the switch is asked for comes before the next step.
            if matches!(self.stage, Stage::Ended { .. }) || self.asks.is_some() {
                return;
            }
            let Some(step) = self.session.poll() else {
                return;
            };
            self.step(step, cx);
        }
        self.hang_up(cx, desk::EndCause::SystemFailure, Some("SIP;cause=500"));
    }

    fn step(&mut self, step: Step, cx: &mut Cx<'_>) {
        match step {
            Step::Play {
                play,
                prompt,
                barge_in,
            } => self.render(play, prompt, barge_in, cx),
            Step::Announce { play, prompt } => self.render(play, prompt, true, cx),
            Step::StopPlay { play } => self.stop_play(play, cx),
            Step::Identify => {
                let ani = self.ani.clone();
                self.tell_desk(cx, What::Identify { ani });
            }
            Step::AskHours { calendar } => {
                let state = self.hours(&calendar, cx);
                self.session.handle(cx.now.mono, FlowInput::Hours(state));
            }
            Step::OpenTicket { ask, .. } => {
                let what = match ask {
                    TicketAsk::Open => What::OpenTicket,
                    TicketAsk::Attach => What::AttachTicket,
                };
                self.tell_desk(cx, what);
            }
            Step::FindTicket { digits } => {
                let number = TicketNumber::parse(&digits).ok();
                let ani = self.ani.clone();
                self.tell_desk(cx, What::FindTicket { number, ani });
            }
            Step::AskIncidents { about, role } => {
                let about = about.and_then(|about| desk::ReasonCode::new(&about));
                let role = match role {
                    Role::Place => Some(DeskRole::Clinician),
                    role => desk_role(role),
                };
                let ours = !self.by_trunk;
                self.tell_desk(cx, What::Incidents { role, about, ours });
            }
            Step::Informed => self.tell_desk(cx, What::Informed),
            Step::PreviewIncident { surge } => match self.supervisor {
                Some(_) => self.tell_desk(cx, What::Preview { surge }),
                // On a line that anybody may call nothing is told of drafts.
                None => {
                    let none = FlowInput::Incidents {
                        news: Vec::new(),
                        calls_back: false,
                    };
                    self.session.handle(cx.now.mono, none);
                }
            },
            Step::PublishIncident => match self.supervisor {
                Some(by) => {
                    let by = desk::AgentId(by.0);
                    self.tell_desk(cx, What::Publish { by });
                }
                None => {
                    let failed = FlowInput::Subscribed(SubscribeOutcome::Failed);
                    self.session.handle(cx.now.mono, failed);
                }
            },
            Step::Subscribe { queue, class } => {
                if !self.subscribe(&queue, class, cx) {
                    let failed = FlowInput::Subscribed(SubscribeOutcome::Failed);
                    self.session.handle(cx.now.mono, failed);
                }
            }
            Step::ResolveTicket => self.tell_desk(cx, What::ResolveTicket),
            Step::Verify { level } => self.verify(level, cx),
            Step::Check => self.check(cx),
            Step::SetRole(role) => {
                if let Some(role) = desk_role(role) {
                    self.tell_desk(cx, What::SetRole(role));
                }
            }
            Step::EnterQueue {
                queue,
                class,
                music,
                owner,
            } => {
                if self.customer_takes_it(cx) {
                    return;
                }
                if !self.enter_queue(&queue, class, music, owner, cx) {
                    self.session.handle(cx.now.mono, FlowInput::QueueRefused);
                }
            }
            Step::LeaveQueue => self.leave_queue(Some(Journey::FlowOut), cx),
            Step::Partner { partner, music } => self.call_partner(&partner, music, cx),
            Step::Transfer { to, outside, music } => self.send_on(&to, outside, music, cx),
            Step::LeavePartner => self.leave_called(cx),
            Step::AskCallback { .. } => self.ask_callback(cx),
            Step::CheckNumber(keyed) => self.check_number(&keyed, cx),
            Step::Promise(wanted) => self.promise(&wanted, cx),
            Step::CallAction(call) => self.call_action(call, cx),
            Step::HangUp { cause } => {
                let cause = match cause {
                    HangUpCause::Finished => desk::EndCause::FlowEnded,
                    HangUpCause::ConversationOver => desk::EndCause::AgentHungUp,
                    HangUpCause::Broken => desk::EndCause::SystemFailure,
                };
                self.hang_up(cx, cause, None);
            }
        }
    }

    fn render(
        &mut self,
        play: ivr_flows::PlayId,
        pieces: Vec<Piece>,
        barge_in: bool,
        cx: &mut Cx<'_>,
    ) {
        self.forget_render(cx);
        let id = cx.render(self.id, self.tenant, pieces);
        let music = self.sound.is_of_waiting();
        self.sound = Sound::Rendering {
            id,
            play,
            barge_in,
            since: cx.now.mono,
            music,
        };
    }

    /// A prompt is ready.
    pub(crate) fn rendered(
        &mut self,
        rendered: RenderId,
        clips: Vec<std::sync::Arc<Clip>>,
        cx: &mut Cx<'_>,
    ) {
        let Sound::Rendering {
            id, play, barge_in, ..
        } = self.sound
        else {
            return;
        };
        if id != rendered {
            return;
        }
        let Some(leg) = self.audio.leg() else { return };
        let media = cx.play_id();
        cx.media(MediaCommand::Play {
            leg,
            play: media,
            clips,
            barge_in,
        });
        self.sound = Sound::Prompt { play, media };
    }

    /// A prompt can't be had: the flow goes on without it, and a chime tells
    /// the caller that the line is alive.
    pub(crate) fn render_failed(&mut self, failed: RenderId, cx: &mut Cx<'_>) {
        let Sound::Rendering {
            id, play, music, ..
        } = self.sound
        else {
            return;
        };
        if id != failed {
            return;
        }
        cx.counters.prompts_missed += 1;
        let chime = std::sync::Arc::clone(&cx.setup.sounds.chime);
        self.sound = if music { Sound::Music } else { Sound::Nothing };
        let waits = matches!(
            self.stage,
            Stage::Queue(_) | Stage::Offer(..) | Stage::Outside(_)
        );
        if waits || self.acting.is_some() {
            self.rest_sound(cx);
        } else if let Some(leg) = self.audio.leg() {
            let media = cx.play_id();
            cx.media(MediaCommand::Play {
                leg,
                play: media,
                clips: vec![chime],
                barge_in: true,
            });
        }
        self.session
            .handle(cx.now.mono, FlowInput::ClipUnavailable { play });
        self.carry_out(cx);
    }

    pub(super) fn render_timeout(&mut self, cx: &mut Cx<'_>) {
        if let Sound::Rendering { id, since, .. } = self.sound
            && cx.now.mono >= since + RENDER_MAX
        {
            cx.index.renders.remove(&id);
            self.render_failed(id, cx);
        }
    }

    /// A prompt under way is wanted no more.
    pub(super) fn forget_render(&mut self, cx: &mut Cx<'_>) {
        if let Sound::Rendering { id, music, .. } = self.sound {
            cx.index.renders.remove(&id);
            self.sound = if music { Sound::Music } else { Sound::Nothing };
        }
    }

    fn stop_play(&mut self, stopped: ivr_flows::PlayId, cx: &mut Cx<'_>) {
        match self.sound {
            Sound::Rendering { play, .. } if play == stopped => self.forget_render(cx),
            Sound::Prompt { play, .. } if play == stopped => self.rest_sound(cx),
            _ => {}
        }
    }

    /// What the caller hears when nothing is being said: music while waiting,
    /// the agent while talking, nothing while a key is awaited.
    pub(super) fn rest_sound(&mut self, cx: &mut Cx<'_>) {
        if self.hear_early(cx) {
            return;
        }
        let Some(leg) = self.audio.leg() else { return };
        let music = match &self.stage {
            Stage::Queue(stay) | Stage::Offer(stay, _) => stay.music.then_some(stay.since),
            Stage::Outside(outside) => outside.music.then_some(outside.since),
            Stage::Conversation(_) => return,
            Stage::Flow => self.acting.as_ref().and_then(Acting::music),
            _ => None,
        };
        match music {
            Some(since) => {
                let waited = cx.now.mono.saturating_sub(since);
                cx.media(MediaCommand::Loop {
                    leg,
                    clip: std::sync::Arc::clone(&cx.setup.sounds.music),
                    offset_ms: millis(waited),
                });
                self.sound = Sound::Music;
            }
            None => {
                cx.media(MediaCommand::Stop { leg });
                self.sound = Sound::Nothing;
            }
        }
    }

    /// What the hospital's calendar says now. One that doesn't exist is open: a person is the
    /// safer guess.
    fn hours(&self, calendar: &str, cx: &Cx<'_>) -> HoursState {
        let tenant = cx.setup.tenants.get(&self.tenant);
        let key = (self.tenant, Arc::from(calendar));
        let exception = cx.setup.closings.get(&key).copied();
        let Some(calendar) = tenant.and_then(|tenant| tenant.calendars.get(calendar)) else {
            return HoursState::Open;
        };
        let state = calendar.at(cx.now.wall, exception);
        match (state.open, state.why) {
            (true, _) => HoursState::Open,
            (false, hours::Why::Week) => HoursState::Closed,
            (false, hours::Why::Day(_)) => HoursState::Holiday,
            (false, hours::Why::Exception) => HoursState::Emergency,
        }
    }

    /// The caller wants to be called when an incident is over. False: they can't be.
    fn subscribe(&mut self, queue: &Arc<str>, class: Class, cx: &mut Cx<'_>) -> bool {
        let queue = cx.setup.queues.get(&(self.tenant, Arc::clone(queue)));
        let (Some(queue), Some(number)) = (queue, self.ani.clone()) else {
            return false;
        };
        let queue = desk::QueueId(queue.id.0);
        let class = match class {
            Class::Clinician | Class::CareStopped => DeskRole::Clinician,
            Class::Staff => DeskRole::Staff,
            Class::Patient => DeskRole::Patient,
        };
        self.tell_desk(
            cx,
            What::Subscribe {
                queue,
                class,
                number,
            },
        );
        true
    }

    /// What the caller may hear of their ticket.
    fn told_of(&self, found: &desk::FoundTicket, cx: &Cx<'_>) -> ivr_flows::FoundTicket {
        let tenant = cx.setup.tenants.get(&self.tenant);
        let days = tenant.and_then(|tenant| tenant.days.as_ref());
        let day = days.zip(found.next_update);
        ivr_flows::FoundTicket {
            number: found.number.to_string().into(),
            status: match (found.status, found.owner) {
                (desk::TicketStatus::Resolved, _) => TicketStatus::Resolved,
                (desk::TicketStatus::Open, Some(_)) => TicketStatus::InHand,
                (desk::TicketStatus::Open, None) => TicketStatus::Open,
            },
            update: day.map(|(days, at)| match days.of(cx.now.wall, at) {
                Day::Past => NextUpdate::Overdue,
                Day::Today => NextUpdate::Today,
                Day::Tomorrow => NextUpdate::Tomorrow,
                Day::Weekday(day) => NextUpdate::On(day),
                Day::Later => NextUpdate::Later,
            }),
        }
    }

    /// Something happened on one of this contact's media legs.
    pub(crate) fn media_event(&mut self, side: Side, event: &MediaEvent, cx: &mut Cx<'_>) {
        match (side, event) {
            (Side::Caller, MediaEvent::Digit { digit, .. }) => {
                self.keys_in_audio = true;
                self.key(KeysBy::Audio, digit.char(), cx);
            }
            (Side::Caller, MediaEvent::PlayEnded { play, outcome, .. }) => {
                if let Sound::Prompt { play: said, media } = self.sound
                    && media == *play
                {
                    self.rest_sound(cx);
                    let ended = match outcome {
                        PlayOutcome::Finished => FlowInput::PlayEnded { play: said },
                        PlayOutcome::BargedIn | PlayOutcome::Stopped => {
                            FlowInput::PlayCut { play: said }
                        }
                    };
                    self.session.handle(cx.now.mono, ended);
                    self.carry_out(cx);
                }
            }
            // Whoever listens may well suppress silence, and some send no reports either: their telephone is asked, and
            // who can't be reached any more is gone (`leg_ended`).
            (Side::Caller, MediaEvent::RtpLost { .. }) => cx.sip.probe(cx.now.mono, self.leg),
            // The agent's at once: a caller whose line died is to wait again soon.
            (Side::Agent, MediaEvent::RtpQuiet { .. }) => {
                self.early_audio(false, cx);
                self.agent_is_quiet(true, cx);
                self.ask_the_agent(cx);
            }
            (Side::Agent, MediaEvent::RtpBack { .. }) => self.agent_is_quiet(false, cx),
            (Side::Agent, MediaEvent::AudioBegan { .. }) => self.early_audio(true, cx),
            // Nobody has answered: there need not be anything to be heard.
            (Side::Agent, MediaEvent::OneWayAudio { .. })
                if matches!(self.stage, Stage::Outside(_)) => {}
            (Side::Caller, MediaEvent::TextTelephone { .. }) => {
                self.text = true;
                self.note(cx, NoteWhat::TextTelephone);
                self.narrow(cx);
            }
            (Side::Agent, MediaEvent::RtpLost { .. }) => self.ask_the_agent(cx),
            (_, MediaEvent::OneWayAudio { cause, .. }) => {
                let why = match cause {
                    OneWayCause::Nothing => OneWay::Nothing,
                    OneWayCause::ReportsOnly => OneWay::ReportsOnly,
                    OneWayCause::Withheld => OneWay::Withheld,
                    OneWayCause::Unheard => OneWay::Unheard,
                    OneWayCause::Elsewhere(_) => OneWay::Elsewhere,
                    OneWayCause::Payload(_) => OneWay::Payload,
                    OneWayCause::Undecipherable => OneWay::Undecipherable,
                };
                self.note(cx, NoteWhat::OneWayAudio(side.into(), why));
            }
            _ => {}
        }
    }

    /// An INFO: a key, perhaps. In a conversation it is the other side's.
    pub(crate) fn info(&mut self, side: Side, content_type: &str, body: &[u8], cx: &mut Cx<'_>) {
        let read = sip::info::digit(content_type, body);
        let Some(read) = read.filter(|_| cx.setup.sip.info_digits) else {
            return;
        };
        if matches!(self.stage, Stage::Conversation(_)) && self.consult.is_none() {
            self.pass_key(side, read.digit, cx);
        } else if side == Side::Caller {
            self.key(KeysBy::Info, read.digit, cx);
        }
    }

    /// A key that came by INFO goes on as the other side understands it. Where
    /// telephone events were agreed on it has crossed as one, unless this
    /// caller is known for INFO alone.
    fn pass_key(&mut self, from: Side, key: char, cx: &mut Cx<'_>) {
        let by_info = from == Side::Caller && self.keys_by == Some(KeysBy::Info);
        let known = by_info && !self.keys_in_audio;
        let in_audio = self.audio_of(from).is_some_and(|audio| audio.has_events());
        let to = self.audio_of(from.other()).and_then(|audio| audio.leg());
        if let Some(leg) = to.filter(|_| known || !in_audio) {
            cx.press(leg, key);
        }
    }

    /// A key of the caller's. Phones that send each one in the audio and by
    /// INFO are heard by whichever came first, from then on by that alone.
    fn key(&mut self, by: KeysBy, key: char, cx: &mut Cx<'_>) {
        if self.has_begun() && *self.keys_by.get_or_insert(by) == by {
            if self.consult.is_some() {
                return self.consult_key(key, cx);
            }
            self.session.handle(cx.now.mono, FlowInput::Digit(key));
            self.carry_out(cx);
        }
    }

    /// The desk answers.
    pub(crate) fn desk_answer(&mut self, answer: Answer, cx: &mut Cx<'_>) {
        if let Some(reply) = self.is_checked(&answer) {
            return self.verify_says(reply, cx);
        }
        let asked = self.outbox.answered(answer.id, cx);
        if matches!(self.stage, Stage::Ended { .. }) {
            return;
        }
        if let Some(What::Callback(step)) = asked {
            return self.callback_answered(step, answer.reply, cx);
        }
        let Some(what) = asked else {
            // On a slow disk a ticket is there after the call went on without it: the analyst is to see it.
            if let Reply::Ticket { number } = answer.reply
                && self.session.ticket().is_none()
            {
                let number: Arc<str> = number.to_string().into();
                self.note(cx, NoteWhat::Ticket(Arc::clone(&number)));
                self.session.handle(cx.now.mono, FlowInput::Ticket(number));
                self.carry_out(cx);
            }
            return;
        };
        let input = match (what, answer.reply) {
            (What::Identify { .. }, Reply::Caller(caller)) => {
                let facts = facts_of(&caller);
                self.caller = caller;
                FlowInput::Identified(facts)
            }
            (What::Identify { .. }, _) => FlowInput::IdentifyFailed,
            (What::Verify { .. }, Reply::Verify(reply)) => return self.verify_says(reply, cx),
            (What::Verify { .. }, _) => FlowInput::CannotVerify { locked: false },
            (What::OpenTicket | What::AttachTicket, Reply::Ticket { number }) => {
                let number: Arc<str> = number.to_string().into();
                self.note(cx, NoteWhat::Ticket(Arc::clone(&number)));
                FlowInput::Ticket(number)
            }
            (What::OpenTicket | What::AttachTicket, _) => FlowInput::TicketFailed,
            (What::FindTicket { .. }, Reply::TicketFound(found)) => {
                self.found = Some(found);
                FlowInput::TicketFound(self.told_of(&found, cx))
            }
            (What::FindTicket { .. }, _) => FlowInput::TicketNotFound,
            (What::Preview { .. }, Reply::Incidents(news)) => FlowInput::Incidents {
                news: news.iter().map(news_of).collect(),
                calls_back: false,
            },
            (What::Preview { .. }, _) => FlowInput::Incidents {
                news: Vec::new(),
                calls_back: false,
            },
            (What::Publish { .. }, reply) => FlowInput::Subscribed(match reply {
                Reply::Subscribed => SubscribeOutcome::Noted,
                Reply::IncidentOver => SubscribeOutcome::Over,
                _ => SubscribeOutcome::Failed,
            }),
            (What::Incidents { .. }, Reply::Incidents(news)) => {
                let tenant = cx.setup.tenants.get(&self.tenant);
                let calls_back = tenant.is_some_and(|tenant| tenant.callbacks.is_some());
                FlowInput::Incidents {
                    news: news.iter().map(news_of).collect(),
                    calls_back: calls_back && self.ani.is_some(),
                }
            }
            (What::Incidents { .. }, _) => FlowInput::Incidents {
                news: Vec::new(),
                calls_back: false,
            },
            (What::Subscribe { .. }, reply) => FlowInput::Subscribed(match reply {
                Reply::Subscribed => SubscribeOutcome::Noted,
                Reply::IncidentOver => SubscribeOutcome::Over,
                _ => SubscribeOutcome::Failed,
            }),
            (What::PromiseWindows { .. }, reply) => self.callback_offer(reply, cx),
            (What::Promise(ask), reply) => self.promised(&ask, &reply, cx),
            _ => return,
        };
        self.session.handle(cx.now.mono, input);
        self.carry_out(cx);
    }
}

/// What is said of an incident, as the flow takes it.
fn news_of(news: &desk::News) -> IncidentNews {
    let words = |text: &desk::IncidentText| {
        let language = Language::from_tag(text.language.tag())?;
        Some(IncidentWords {
            language,
            text: Arc::from(text.text.as_str()),
            brief: text.brief.as_ref().map(|brief| Arc::from(brief.as_str())),
        })
    };
    IncidentNews {
        texts: news.texts.iter().filter_map(words).collect(),
        surge: news.surge,
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn desk_role(role: Role) -> Option<DeskRole> {
    match role {
        Role::Clinician => Some(DeskRole::Clinician),
        Role::Staff => Some(DeskRole::Staff),
        Role::Patient => Some(DeskRole::Patient),
        Role::Place | Role::Unknown => None,
    }
}

/// What the flow may know of the caller. A patient is never named.
fn facts_of(caller: &Caller) -> CallerFacts {
    let (role, spoken_name, traits) = match caller {
        Caller::Unknown => return CallerFacts::UNKNOWN,
        Caller::Person {
            role,
            spoken_name,
            traits,
            ..
        } => (
            match role {
                DeskRole::Clinician => Role::Clinician,
                DeskRole::Staff => Role::Staff,
                DeskRole::Patient => Role::Patient,
            },
            spoken_name.as_deref(),
            Some(traits),
        ),
        Caller::Place { name, .. } => (Role::Place, Some(name.as_str()), None),
        Caller::PossiblePatient { traits, .. } => (Role::Patient, None, Some(traits)),
    };
    let language = traits.and_then(|traits| traits.language);
    CallerFacts {
        role,
        known: true,
        language: language.and_then(|language| Language::from_tag(language.tag())),
        slow: traits.is_some_and(|traits| traits.slow),
        relay: traits.is_some_and(|traits| traits.relay),
        spoken_name: spoken_name.map(Into::into),
    }
}
