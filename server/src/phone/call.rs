//! One call of a phone.

use std::sync::Arc;
use std::time::Duration;

use media::clip::Clip;
use media::dtmf::Digit;
use media::engine::{Command, Event, LegId as AudioLeg, LegStats, PlayId};
use media::sdp::{LocalMedia, Negotiated};
use sip::{LegId, Request, Response};

use super::audio::Line;
use super::config::{PhoneMedia, Voice};
use super::event::CallId;
use super::hearing::{Gaps, HearingEvent};
use super::report::{CallReport, Direction, HungUpBy, Pressed, PromptHeard};
use super::script::{GAP_MS, Runner, TONE_MS};

/// Most things heard that a report holds.
const HEARD_MAX: usize = 4_096;

/// One call, from its INVITE until its leg of audio is closed.
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) leg: LegId,
    pub(super) state: State,
    pub(super) line: Option<Line>,
    pub(super) runner: Option<Runner>,
    pub(super) sentences: Vec<(String, Arc<Clip>)>,
    /// What it says when it has nothing else to say.
    voice: Voice,
    /// The clip said once, which the voice follows.
    once: Option<Once>,
    plays: u64,
    began: Duration,
    /// When its audio was connected: at the answer, or before it with early media.
    connected: Option<Duration>,
    report: CallReport,
}

/// Where a call stands.
pub(super) enum State {
    /// We call; not answered yet.
    Dialling {
        /// Our offer.
        offer: Offer,
    },
    /// We are called.
    Ringing {
        /// The caller's offer; none when we are to make one.
        offer: Option<Vec<u8>>,
        /// When it answers by itself.
        answer_at: Option<Duration>,
    },
    /// Answered with our offer, as the INVITE had none; the ACK brings the answer.
    Confirming { offer: Offer },
    /// Both may speak.
    Talking { since: Duration, local: LocalMedia },
    /// Over; the leg of audio has yet to say its figures, for which we wait until then.
    Closing { until: Duration },
}

/// An offer of ours.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) local: LocalMedia,
    pub(super) sdp: Vec<u8>,
}

/// A clip being said once.
struct Once {
    play: PlayId,
    /// The script waits for its end.
    scripted: bool,
}

impl Call {
    pub(super) fn new(
        id: CallId,
        leg: LegId,
        direction: Direction,
        number: String,
        state: State,
        voice: Voice,
        now: Duration,
    ) -> Call {
        Call {
            id,
            leg,
            state,
            line: None,
            runner: None,
            sentences: Vec::new(),
            voice,
            once: None,
            plays: 0,
            began: now,
            connected: None,
            report: CallReport {
                call: id,
                direction,
                number,
                codes: Vec::new(),
                answered_after: None,
                lasted: Duration::ZERO,
                asserted: None,
                ticket: None,
                queue: None,
                user_to_user: None,
                reason: None,
                heard: Vec::new(),
                pressed: Vec::new(),
                keys_heard: Vec::new(),
                hung_up_by: HungUpBy::Us,
                gaps: Gaps::default(),
                rtp: LegStats::default(),
                events_dropped: 0,
            },
        }
    }

    pub(super) fn audio(&self) -> Option<AudioLeg> {
        self.line.map(|line| line.leg)
    }

    /// Since the answer; zero before it.
    pub(super) fn since_answer(&self, now: Duration) -> Duration {
        match self.state {
            State::Talking { since, .. } => now.saturating_sub(since),
            _ => Duration::ZERO,
        }
    }

    pub(super) fn is_talking(&self) -> bool {
        matches!(self.state, State::Talking { .. })
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    pub(super) fn code(&mut self, code: u16) {
        self.report.codes.push(code);
    }

    /// Notes the headers of the INVITE we got.
    pub(super) fn note_request(&mut self, request: &Request) {
        self.note_headers(|name| request.header(name));
    }

    /// Notes those of a response.
    pub(super) fn note_response(&mut self, response: &Response) {
        self.note_headers(|name| response.header(name));
        if self.report.asserted.is_none() && response.code() < 300 {
            self.report.asserted = response.contacts().next().and_then(user_of);
        }
    }

    fn note_headers<'a>(&mut self, header: impl Fn(&str) -> Option<&'a str>) {
        let report = &mut self.report;
        let take = |into: &mut Option<String>, name| {
            if let Some(value) = header(name) {
                *into = Some(value.trim().to_owned());
            }
        };
        take(&mut report.ticket, "X-Careline-Ticket");
        take(&mut report.queue, "X-Careline-Queue");
        take(&mut report.user_to_user, "User-to-User");
        take(&mut report.reason, "Reason");
        if let Some(user) = header("P-Asserted-Identity").and_then(user_of) {
            report.asserted = Some(user);
        }
    }

    pub(super) fn ticket(&self) -> Option<String> {
        self.report.ticket.clone()
    }

    pub(super) fn note_reason(&mut self, reason: Option<String>) {
        if reason.is_some() {
            self.report.reason = reason;
        }
    }

    /// What the far side plays before the answer is heard too.
    pub(super) fn early_media(
        &mut self,
        now: Duration,
        negotiated: Negotiated,
        media: &PhoneMedia,
    ) {
        if let Some(leg) = self.audio() {
            self.connected.get_or_insert(now);
            told(media.connect(leg, negotiated));
        }
    }

    /// How long before the answer its audio was connected: what its leg tells counts from then.
    pub(super) fn early(&self) -> Duration {
        match (&self.state, self.connected) {
            (State::Talking { since, .. }, Some(connected)) => since.saturating_sub(connected),
            _ => Duration::ZERO,
        }
    }

    /// Both may speak from now on.
    pub(super) fn answered(
        &mut self,
        now: Duration,
        local: LocalMedia,
        negotiated: Negotiated,
        media: &PhoneMedia,
    ) {
        if let Some(leg) = self.audio() {
            told(media.connect(leg, negotiated));
        }
        self.connected.get_or_insert(now);
        self.state = State::Talking { since: now, local };
        self.report
            .answered_after
            .get_or_insert(now.saturating_sub(self.began));
        self.speak(self.voice.clone(), false, media);
    }

    /// Says something; a clip said once is followed by what it said before.
    pub(super) fn speak(&mut self, voice: Voice, scripted: bool, media: &PhoneMedia) {
        let Some(leg) = self.audio().filter(|_| self.is_talking()) else {
            if !matches!(voice, Voice::Once(_)) {
                self.voice = voice;
            }
            return;
        };
        // What was being said once is cut off; the script doesn't wait for it any more.
        if self.once.take().is_some_and(|once| once.scripted)
            && let Some(runner) = &mut self.runner
        {
            runner.spoken();
        }
        let command = match &voice {
            Voice::Silent => Command::Stop { leg },
            Voice::Marker(marker) => Command::Loop {
                leg,
                clip: marker.clip(),
                offset_ms: 0,
            },
            Voice::Loop(clip) => Command::Loop {
                leg,
                clip: Arc::clone(clip),
                offset_ms: 0,
            },
            Voice::Once(clip) => {
                self.plays += 1;
                let play = PlayId(self.plays);
                self.once = Some(Once { play, scripted });
                Command::Play {
                    leg,
                    play,
                    clips: vec![Arc::clone(clip)],
                    barge_in: false,
                }
            }
        };
        if !matches!(voice, Voice::Once(_)) {
            self.voice = voice;
        }
        told(media.command(command));
    }

    /// Presses keys. Whether there was a leg to press them on.
    pub(super) fn press(
        &mut self,
        now: Duration,
        digits: Vec<Digit>,
        media: &PhoneMedia,
    ) -> Option<String> {
        let leg = self.audio().filter(|_| self.is_talking())?;
        let keys: String = digits.iter().map(|digit| digit.char()).collect();
        self.report.pressed.push(Pressed {
            at: self.since_answer(now),
            keys: keys.clone(),
        });
        told(media.command(Command::SendDigits {
            leg,
            digits,
            tone_ms: TONE_MS,
            gap_ms: GAP_MS,
        }));
        Some(keys)
    }

    /// Something was heard.
    pub(super) fn heard(&mut self, event: &HearingEvent) {
        if let HearingEvent::Ended { sound, from, to } = event
            && self.report.heard.len() < HEARD_MAX
        {
            self.report.heard.push(PromptHeard {
                sound: sound.clone(),
                from: *from,
                to: *to,
            });
        }
        if let Some(runner) = &mut self.runner {
            runner.heard(event);
        }
    }

    /// The engine told something. A key that was heard is returned.
    pub(super) fn media(
        &mut self,
        now: Duration,
        event: &Event,
        media: &PhoneMedia,
    ) -> Option<char> {
        match event {
            Event::Digit { digit, .. } => {
                let key = digit.char();
                self.report.keys_heard.push(Pressed {
                    at: self.since_answer(now),
                    keys: key.to_string(),
                });
                Some(key)
            }
            Event::PlayEnded { play, .. } => {
                if self.once.as_ref().is_some_and(|once| once.play == *play) {
                    // The voice it had before goes on; speaking ends the script's wait.
                    self.speak(self.voice.clone(), false, media);
                }
                None
            }
            _ => None,
        }
    }

    /// The call is over.
    pub(super) fn over(&mut self, now: Duration, by: HungUpBy, until: Duration) {
        self.report.lasted = self.since_answer(now);
        self.report.hung_up_by = by;
        self.runner = None;
        self.state = State::Closing { until };
    }

    /// All that is known of it.
    pub(super) fn into_report(
        mut self,
        figures: Option<(LegStats, Gaps)>,
        events_dropped: u64,
    ) -> CallReport {
        if let Some((rtp, gaps)) = figures {
            self.report.rtp = rtp;
            self.report.gaps = gaps;
        }
        self.report.events_dropped = events_dropped;
        self.report
    }
}

/// The user part of an address in a header.
pub(super) fn user_of(address: &str) -> Option<String> {
    let address = sip::wire::NameAddr::parse(address).ok()?;
    address.uri.user().map(|user| user.into_owned())
}

/// A command that the media thread doesn't take is lost: a test phone says so and goes on.
fn told(result: Result<(), crate::rtp::MediaError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "a telephone's audio was not told what to do");
    }
}
