//! Somebody who calls: a lean user agent client, written against RFC 3261
//! section 17.1.1 and 13.2 by itself, so that it shares no mistake with the
//! system under test. Well-behaved or not, by its plan.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::sip_text::Sight;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const GIVE_UP: Duration = Duration::from_secs(32);

/// How a telephone sends its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keys {
    /// As telephone events (RFC 4733).
    #[default]
    Audio,
    /// In INFO.
    Info,
    /// Each one both ways.
    Both,
}

/// What a caller is going to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPlan {
    /// When they dial.
    pub at: Duration,
    /// The number dialled.
    pub dials: String,
    /// From which number; `None` when withheld.
    pub from: Option<String>,
    /// Which keys they press, and when.
    pub presses: Vec<Press>,
    /// How their telephone sends keys.
    pub keys: Keys,
    /// When they hang up: whichever comes first.
    pub leaves: Vec<Leave>,
    /// They never acknowledge the 200.
    pub never_acks: bool,
    /// They disappear without a word so long after the answer: battery empty.
    pub vanishes: Option<Duration>,
}

impl CallPlan {
    /// A patient caller without a key pressed, who stays until hung up on.
    #[must_use]
    pub fn new(at: Duration, dials: &str, from: Option<&str>) -> Self {
        Self {
            at,
            dials: dials.to_owned(),
            from: from.map(str::to_owned),
            presses: Vec::new(),
            keys: Keys::Audio,
            leaves: Vec::new(),
            never_acks: false,
            vanishes: None,
        }
    }

    /// The same, pressing `key` so long after something containing `text` begins to be heard.
    #[must_use]
    pub fn presses_at(mut self, text: &str, after: Duration, key: char) -> Self {
        self.presses.push(Press {
            cue: Cue::Hearing(text.to_owned(), after),
            key,
        });
        self
    }

    /// The same, leaving.
    #[must_use]
    pub fn leaves(mut self, leave: Leave) -> Self {
        self.leaves.push(leave);
        self
    }
}

/// A key pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Press {
    /// When.
    pub cue: Cue,
    /// Which.
    pub key: char,
}

/// When a key is pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cue {
    /// So long after the answer.
    Answer(Duration),
    /// So long after a prompt with this text begins to be heard, the first time.
    Hearing(String, Duration),
    /// So long after the press that stands before it, which waits for a prompt.
    Following(Duration),
}

/// When a caller hangs up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// So long after dialling.
    AfterDialling(Duration),
    /// So long after the answer (0: crossing it).
    AfterAnswer(Duration),
    /// So long after beginning to talk to somebody.
    AfterTalking(Duration),
    /// So long after the first phone rings for them.
    AfterRinging(Duration),
}

/// How a call ended, as the caller saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerEnd {
    /// They hung up after the answer.
    HungUp,
    /// They gave up before it.
    GaveUp,
    /// They were hung up on.
    HungUpOn,
    /// Refused with this status code.
    Refused(u16),
    /// No answer to the signalling.
    TimedOut,
    /// They disappeared.
    Vanished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallerTimer {
    Dial,
    ResendInvite(u8),
    ResendCancel(u8),
    ResendBye(u8),
    InviteUnanswered,
    CancelUnanswered,
    ByeUnanswered,
    Leave,
    Press(u8),
    Vanish,
}

#[derive(Debug)]
pub(crate) enum CallerDoes {
    Send(Arc<[u8]>),
    Wake(Duration, CallerTimer),
    Press(char),
    /// Hung up or gave up, on purpose.
    Left,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Calling { provisional: bool, cancel: Cancel },
    Up,
    Hanging,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancel {
    No,
    Wanted,
    Sent,
}

#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) plan: CallPlan,
    index: u32,
    state: State,
    invite: Arc<[u8]>,
    cancel: Arc<[u8]>,
    bye: Arc<[u8]>,
    to_tag: String,
    remote: String,
    our_tag: u32,
    ack_branch: u32,
    /// The port of our media, from the 200.
    pub(crate) port: Option<u16>,
    pub(crate) dialled_at: Option<Duration>,
    pub(crate) answered_at: Option<Duration>,
    /// The last key.
    pub(crate) pressed_at: Option<Duration>,
    pub(crate) talking_at: Option<Duration>,
    pub(crate) left_at: Option<Duration>,
    pub(crate) end: Option<(Duration, CallerEnd)>,
}

/// Where all calls come from: a trunk.
pub(crate) const TRUNK: &str = "192.0.2.10:5060";

impl Caller {
    pub(crate) fn new(index: u32, plan: CallPlan) -> Self {
        let nothing: Arc<[u8]> = Arc::from(&b""[..]);
        Self {
            plan,
            index,
            state: State::Waiting,
            invite: nothing.clone(),
            cancel: nothing.clone(),
            bye: nothing,
            to_tag: String::new(),
            remote: String::new(),
            our_tag: index.wrapping_mul(0x9e37_79b9) ^ 0x00ca_11e4,
            ack_branch: 0,
            port: None,
            dialled_at: None,
            answered_at: None,
            pressed_at: None,
            talking_at: None,
            left_at: None,
            end: None,
        }
    }

    /// Answered, and neither side has said goodbye yet.
    pub(crate) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(crate) fn has_vanished(&self) -> bool {
        matches!(self.end, Some((_, CallerEnd::Vanished)))
    }

    pub(crate) fn timer(&mut self, now: Duration, timer: CallerTimer, does: &mut Vec<CallerDoes>) {
        match timer {
            CallerTimer::Dial => self.dial(now, does),
            CallerTimer::ResendInvite(n) => {
                if matches!(
                    self.state,
                    State::Calling {
                        provisional: false,
                        ..
                    }
                ) {
                    does.push(CallerDoes::Send(self.invite.clone()));
                    let pause = T1 * (1 << n.min(6));
                    does.push(CallerDoes::Wake(
                        now + pause,
                        CallerTimer::ResendInvite(n + 1),
                    ));
                }
            }
            CallerTimer::ResendCancel(n) => {
                if matches!(
                    self.state,
                    State::Calling {
                        cancel: Cancel::Sent,
                        ..
                    }
                ) {
                    does.push(CallerDoes::Send(self.cancel.clone()));
                    does.push(CallerDoes::Wake(
                        now + non_invite_pause(n),
                        CallerTimer::ResendCancel(n + 1),
                    ));
                }
            }
            CallerTimer::ResendBye(n) => {
                if self.state == State::Hanging {
                    does.push(CallerDoes::Send(self.bye.clone()));
                    does.push(CallerDoes::Wake(
                        now + non_invite_pause(n),
                        CallerTimer::ResendBye(n + 1),
                    ));
                }
            }
            CallerTimer::InviteUnanswered => {
                if matches!(
                    self.state,
                    State::Calling {
                        provisional: false,
                        ..
                    }
                ) {
                    self.over(now, CallerEnd::TimedOut, does);
                }
            }
            CallerTimer::CancelUnanswered => {
                if matches!(
                    self.state,
                    State::Calling {
                        cancel: Cancel::Sent,
                        ..
                    }
                ) {
                    self.over(now, CallerEnd::TimedOut, does);
                }
            }
            CallerTimer::ByeUnanswered => {
                if self.state == State::Hanging {
                    self.over(now, CallerEnd::HungUp, does);
                }
            }
            CallerTimer::Leave => self.leave(now, does),
            CallerTimer::Press(n) => {
                if self.is_up()
                    && let Some(press) = self.plan.presses.get(usize::from(n))
                {
                    self.pressed_at = Some(now);
                    if self.plan.keys != Keys::Audio {
                        let key = format!("Signal={}\r\nDuration=100\r\n", press.key);
                        let branch = format!("k{n}");
                        let cseq = 10 + u32::from(n);
                        let info = self.request_text("INFO", cseq, &branch, Some(&key));
                        does.push(CallerDoes::Send(info));
                    }
                    if self.plan.keys != Keys::Info {
                        does.push(CallerDoes::Press(press.key));
                    }
                }
            }
            CallerTimer::Vanish => {
                if self.is_up() {
                    self.over(now, CallerEnd::Vanished, does);
                }
            }
        }
    }

    /// A prompt with this text begins to be heard.
    pub(crate) fn hears(&mut self, now: Duration, text: &str, does: &mut Vec<CallerDoes>) {
        for (n, press) in self.plan.presses.iter_mut().enumerate() {
            if let Cue::Hearing(waited_for, after) = &press.cue
                && text.contains(waited_for.as_str())
            {
                let mut at = now + *after;
                does.push(CallerDoes::Wake(at, CallerTimer::Press(n as u8)));
                press.cue = Cue::Answer(*after);
                let behind = self.plan.presses.iter().enumerate().skip(n + 1);
                for (n, press) in behind {
                    let Cue::Following(after) = press.cue else {
                        break;
                    };
                    at += after;
                    does.push(CallerDoes::Wake(at, CallerTimer::Press(n as u8)));
                }
                return;
            }
        }
    }

    pub(crate) fn waits_for_text(&self) -> bool {
        self.plan
            .presses
            .iter()
            .any(|press| matches!(press.cue, Cue::Hearing(..)))
    }

    /// Somebody is there to talk to.
    pub(crate) fn talks(&mut self, now: Duration, does: &mut Vec<CallerDoes>) {
        if self.talking_at.is_none() {
            self.talking_at = Some(now);
            for leave in &self.plan.leaves {
                if let Leave::AfterTalking(after) = leave {
                    does.push(CallerDoes::Wake(now + *after, CallerTimer::Leave));
                }
            }
        }
    }

    /// A phone rings for them (they can't know; it is how a crossing is arranged).
    pub(crate) fn rings(&mut self, now: Duration, does: &mut Vec<CallerDoes>) {
        for leave in &self.plan.leaves {
            if let Leave::AfterRinging(after) = leave {
                does.push(CallerDoes::Wake(now + *after, CallerTimer::Leave));
            }
        }
    }

    pub(crate) fn datagram(&mut self, now: Duration, bytes: &[u8], does: &mut Vec<CallerDoes>) {
        if self.has_vanished() {
            return;
        }
        let Some(sight) = Sight::of(bytes) else {
            return;
        };
        match sight.code() {
            Some(code) => match sight.cseq_method() {
                "INVITE" => self.invite_response(now, code, sight, does),
                "BYE" if code >= 200 && self.state == State::Hanging => {
                    self.over(now, CallerEnd::HungUp, does);
                }
                _ => {}
            },
            None => self.request(now, sight, does),
        }
    }

    fn dial(&mut self, now: Duration, does: &mut Vec<CallerDoes>) {
        if self.state != State::Waiting {
            return;
        }
        self.state = State::Calling {
            provisional: false,
            cancel: Cancel::No,
        };
        self.dialled_at = Some(now);
        let port = 30_000 + 2 * (self.index % 15_000);
        let body = format!(
            "v=0\r\no=- {0} 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=fmtp:101 0-15\r\na=sendrecv\r\n",
            self.index
        );
        self.invite = self.request_text("INVITE", 1, "i", Some(&body));
        does.push(CallerDoes::Send(self.invite.clone()));
        does.push(CallerDoes::Wake(now + T1, CallerTimer::ResendInvite(1)));
        does.push(CallerDoes::Wake(
            now + GIVE_UP,
            CallerTimer::InviteUnanswered,
        ));
        for leave in &self.plan.leaves {
            if let Leave::AfterDialling(after) = leave {
                does.push(CallerDoes::Wake(now + *after, CallerTimer::Leave));
            }
        }
    }

    fn leave(&mut self, now: Duration, does: &mut Vec<CallerDoes>) {
        match self.state {
            State::Calling {
                provisional,
                cancel: Cancel::No,
            } => {
                self.left_at = Some(now);
                does.push(CallerDoes::Left);
                if provisional {
                    self.send_cancel(now, does);
                } else {
                    // RFC 3261 section 9.1: no CANCEL before a provisional response.
                    self.state = State::Calling {
                        provisional,
                        cancel: Cancel::Wanted,
                    };
                }
            }
            State::Up => {
                self.left_at = Some(now);
                does.push(CallerDoes::Left);
                self.send_bye(now, does);
            }
            _ => {}
        }
    }

    fn send_cancel(&mut self, now: Duration, does: &mut Vec<CallerDoes>) {
        self.state = State::Calling {
            provisional: true,
            cancel: Cancel::Sent,
        };
        self.cancel = self.request_text("CANCEL", 1, "i", None);
        does.push(CallerDoes::Send(self.cancel.clone()));
        does.push(CallerDoes::Wake(now + T1, CallerTimer::ResendCancel(1)));
        does.push(CallerDoes::Wake(
            now + GIVE_UP,
            CallerTimer::CancelUnanswered,
        ));
    }

    fn send_bye(&mut self, now: Duration, does: &mut Vec<CallerDoes>) {
        self.state = State::Hanging;
        self.bye = self.request_text("BYE", 300, "b", None);
        does.push(CallerDoes::Send(self.bye.clone()));
        does.push(CallerDoes::Wake(now + T1, CallerTimer::ResendBye(1)));
        does.push(CallerDoes::Wake(now + GIVE_UP, CallerTimer::ByeUnanswered));
    }

    fn invite_response(
        &mut self,
        now: Duration,
        code: u16,
        sight: Sight<'_>,
        does: &mut Vec<CallerDoes>,
    ) {
        match code {
            100..=199 => {
                if let State::Calling { cancel, .. } = self.state {
                    self.state = State::Calling {
                        provisional: true,
                        cancel,
                    };
                    if cancel == Cancel::Wanted {
                        self.send_cancel(now, does);
                    }
                }
            }
            200..=299 => {
                if let State::Calling { cancel, .. } = self.state {
                    self.to_tag = sight.to_tag().unwrap_or("").to_owned();
                    self.remote = sight.contact_uri().unwrap_or("").to_owned();
                    self.port = sight.audio_port();
                    self.answered_at = Some(now);
                    self.send_ack(does);
                    if cancel != Cancel::No {
                        // The 200 crossed our CANCEL.
                        self.send_bye(now, does);
                    } else {
                        self.state = State::Up;
                        self.answered(now, does);
                    }
                } else if !self.to_tag.is_empty() {
                    self.send_ack(does);
                }
            }
            _ => {
                if matches!(self.state, State::Calling { .. }) {
                    self.to_tag = sight.to_tag().unwrap_or("").to_owned();
                }
                let ack = self.refusal_ack(sight.header("To").unwrap_or(""));
                does.push(CallerDoes::Send(ack));
                if let State::Calling { cancel, .. } = self.state {
                    let end = if cancel == Cancel::No {
                        CallerEnd::Refused(code)
                    } else {
                        CallerEnd::GaveUp
                    };
                    self.over(now, end, does);
                }
            }
        }
    }

    fn answered(&mut self, now: Duration, does: &mut Vec<CallerDoes>) {
        for leave in &self.plan.leaves {
            if let Leave::AfterAnswer(after) = leave {
                does.push(CallerDoes::Wake(now + *after, CallerTimer::Leave));
            }
        }
        for (n, press) in self.plan.presses.iter().enumerate() {
            if let Cue::Answer(after) = press.cue {
                does.push(CallerDoes::Wake(now + after, CallerTimer::Press(n as u8)));
            }
        }
        if let Some(after) = self.plan.vanishes {
            does.push(CallerDoes::Wake(now + after, CallerTimer::Vanish));
        }
    }

    fn request(&mut self, now: Duration, sight: Sight<'_>, does: &mut Vec<CallerDoes>) {
        match sight.method() {
            "ACK" => {}
            "BYE" => {
                does.push(CallerDoes::Send(response_to(sight, "200 OK")));
                if matches!(self.state, State::Up | State::Hanging) {
                    let end = if self.state == State::Up {
                        CallerEnd::HungUpOn
                    } else {
                        CallerEnd::HungUp
                    };
                    self.over(now, end, does);
                }
            }
            "OPTIONS" => does.push(CallerDoes::Send(response_to(sight, "200 OK"))),
            _ => does.push(CallerDoes::Send(response_to(
                sight,
                "488 Not Acceptable Here",
            ))),
        }
    }

    fn over(&mut self, now: Duration, end: CallerEnd, does: &mut Vec<CallerDoes>) {
        self.state = State::Over;
        self.end.get_or_insert((now, end));
        does.push(CallerDoes::Over);
    }

    fn send_ack(&mut self, does: &mut Vec<CallerDoes>) {
        if self.plan.never_acks {
            return;
        }
        self.ack_branch += 1;
        let branch = format!("a{}", self.ack_branch);
        let ack = self.request_text("ACK", 1, &branch, None);
        does.push(CallerDoes::Send(ack));
    }

    /// RFC 3261 section 17.1.1.3: the ACK of a refusal, on the INVITE's branch.
    fn refusal_ack(&self, to: &str) -> Arc<[u8]> {
        let mut text = String::with_capacity(400);
        let _ = write!(
            text,
            "ACK sip:{0}@careline.example SIP/2.0\r\nVia: SIP/2.0/UDP {TRUNK};branch=z9hG4bK{1}i\r\n\
             Max-Forwards: 70\r\n{2}To: {to}\r\nCall-ID: c{1}@trunk\r\nCSeq: 1 ACK\r\n\
             Content-Length: 0\r\n\r\n",
            self.plan.dials,
            self.index,
            self.calling_line(),
        );
        Arc::from(text.into_bytes())
    }

    fn calling_line(&self) -> String {
        match &self.plan.from {
            Some(number) => format!(
                "From: <sip:{number}@trunk.example>;tag={:x}\r\n",
                self.our_tag
            ),
            None => format!(
                "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag={:x}\r\n",
                self.our_tag
            ),
        }
    }

    fn request_text(&self, method: &str, cseq: u32, branch: &str, body: Option<&str>) -> Arc<[u8]> {
        let mut text = String::with_capacity(900);
        let in_dialog = matches!(method, "ACK" | "BYE" | "INFO");
        if in_dialog && !self.remote.is_empty() {
            let _ = write!(text, "{method} {} SIP/2.0\r\n", self.remote);
        } else {
            let _ = write!(
                text,
                "{method} sip:{}@careline.example SIP/2.0\r\n",
                self.plan.dials
            );
        }
        let _ = write!(
            text,
            "Via: SIP/2.0/UDP {TRUNK};branch=z9hG4bK{}{branch}\r\nMax-Forwards: 70\r\n{}",
            self.index,
            self.calling_line()
        );
        let _ = write!(text, "To: <sip:{}@careline.example>", self.plan.dials);
        if in_dialog {
            let _ = write!(text, ";tag={}", self.to_tag);
        }
        let _ = write!(
            text,
            "\r\nCall-ID: c{}@trunk\r\nCSeq: {cseq} {method}\r\n",
            self.index
        );
        if method == "INVITE" {
            let _ = write!(text, "Contact: <sip:trunk@{TRUNK}>\r\n");
            if self.plan.from.is_none() {
                text.push_str("Privacy: id\r\n");
            }
        }
        match body {
            Some(body) => {
                let kind = match method {
                    "INFO" => "application/dtmf-relay",
                    _ => "application/sdp",
                };
                let _ = write!(
                    text,
                    "Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
            None => text.push_str("Content-Length: 0\r\n\r\n"),
        }
        Arc::from(text.into_bytes())
    }
}

fn non_invite_pause(n: u8) -> Duration {
    (T1 * (1 << n.min(6))).min(T2)
}

/// A response without body to a request inside the dialog.
fn response_to(sight: Sight<'_>, status: &str) -> Arc<[u8]> {
    let mut text = String::with_capacity(400);
    let _ = write!(text, "SIP/2.0 {status}\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        for line in sight.lines(name) {
            text.push_str(line);
            text.push_str("\r\n");
        }
    }
    text.push_str("Content-Length: 0\r\n\r\n");
    Arc::from(text.into_bytes())
}

/// Which caller a datagram towards the trunk is for.
pub(crate) fn caller_of(bytes: &[u8]) -> Option<u32> {
    let call_id = Sight::of(bytes)?.header("Call-ID")?;
    call_id
        .strip_prefix('c')?
        .strip_suffix("@trunk")?
        .parse()
        .ok()
}
