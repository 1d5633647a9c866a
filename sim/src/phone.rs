//! An analyst's phone: a real SIP endpoint that registers, rings, answers,
//! refuses, hangs up or disappears, by its plan.

mod deeds;

pub use deeds::Deed;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use media::codec::Format;
use media::sdp::{self, Capabilities};
use sip::{
    Credentials, Endpoint, EndpointConfig, Event, Interface, LegId, OutRequest, Peer, RequestId,
    Uri,
};

use crate::dice::Dice;
use deeds::Planned;

/// How a phone reacts to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Picked up.
    Answer {
        /// After ringing so long.
        after: Duration,
        /// And hung up so long after that; `None`: never by this side.
        hang_up_after: Option<Duration>,
    },
    /// Rings out.
    Ignore,
    /// Refused.
    Refuse {
        /// After ringing so long.
        after: Duration,
        /// 486, 603, 480, …
        code: u16,
    },
    /// Sends the call on.
    Redirect {
        /// After ringing so long.
        after: Duration,
        /// 302, 301, …
        code: u16,
        /// Where to: values of Contact.
        to: &'static [&'static str],
    },
    /// Rings, then disappears without a word for so long.
    Vanish {
        /// After ringing so long.
        after: Duration,
        /// Back after so long.
        back_after: Duration,
    },
    /// Picked up, then disappears without a word in the middle of the talk.
    VanishTalking {
        /// After ringing so long.
        after: Duration,
        /// Into the talk.
        into: Duration,
        /// Back after so long.
        back_after: Duration,
    },
    /// Not even a provisional response.
    PlayDead,
    /// Rings with something to be heard already (early media), and is picked up.
    Speaks {
        /// After so long.
        after: Duration,
    },
    /// Says something (early media), and refuses.
    Announces {
        /// After so long.
        after: Duration,
        /// With what.
        code: u16,
    },
}

impl Reaction {
    /// Picked up after ringing so long, and never hung up by this side.
    #[must_use]
    pub const fn answers(after: Duration) -> Self {
        Self::Answer {
            after,
            hang_up_after: None,
        }
    }

    /// Refused after a second.
    #[must_use]
    pub const fn refuses(code: u16) -> Self {
        Self::Refuse {
            after: Duration::from_secs(1),
            code,
        }
    }
}

/// Where calls are sent on to by chance: a number that the rules allow, one that they don't, somebody else's host, the
/// other gateway, and back.
const REDIRECTIONS: [&[&str]; 5] = [
    &[
        "<sip:+15559000002@203.0.113.99>;q=0.5",
        "<sip:+15559000001@203.0.113.99>",
    ],
    &["<sip:+19005550101@203.0.113.99>", "<sip:911@203.0.113.99>"],
    &["<sip:203.0.113.99>", "<sips:8000@203.0.113.99>"],
    &["<sip:8000@198.51.100.7>", "<sip:8000@198.51.100.8>"],
    &[],
];

/// When a phone registers and signs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhonePlan {
    /// When it signs in for the first time; `None`: never.
    pub signs_in: Option<Duration>,
    /// For how long it registers each time; renewed at half of it.
    pub lease: Duration,
    /// When it signs out by itself (and in again so long after), repeated.
    pub signs_out: Option<(Duration, Duration)>,
    /// What it does with its next calls, in their order; then `habit`.
    pub next: VecDeque<Reaction>,
    /// What it does otherwise.
    pub habit: Habit,
}

/// What a phone does with calls that nobody scripted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Always the same.
    Always(Reaction),
    /// By chance: 0 reliable to 3 dreadful.
    Chance {
        /// See [`crate::Weather::people`].
        people: u8,
        /// Usual length of a talk.
        talk: Duration,
        /// How many there are who may be sent a caller; 0: they send nobody on.
        colleagues: u32,
    },
}

impl PhonePlan {
    /// Signed in from the start, answering after two seconds.
    #[must_use]
    pub fn reliable() -> Self {
        Self {
            signs_in: Some(Duration::ZERO),
            lease: Duration::from_secs(120),
            signs_out: None,
            next: VecDeque::new(),
            habit: Habit::Always(Reaction::Answer {
                after: Duration::from_secs(2),
                hang_up_after: None,
            }),
        }
    }

    /// Never there.
    #[must_use]
    pub fn absent() -> Self {
        Self {
            signs_in: None,
            ..Self::reliable()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PhoneTimer {
    SignIn,
    SignOut,
    Renew,
    React(LegId, Step),
    Deed(usize),
    Back,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Ring,
    Speak,
    PickUp,
    HangUp,
    Refuse(u16),
    Redirect(u16, &'static [&'static str]),
    Vanish(Duration),
}

#[derive(Debug)]
struct Call {
    leg: LegId,
    offer: Vec<u8>,
    /// The port of our media, from the INVITE.
    port: Option<u16>,
    answered: bool,
    hang_up_after: Option<Duration>,
    vanish_into: Option<(Duration, Duration)>,
    /// Put on hold by this phone.
    held: bool,
}

/// What a phone did, for stories and oracles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// When the INVITE came.
    pub at: Duration,
    /// The ticket number it carried.
    pub ticket: Option<String>,
    /// The display name and user of its From.
    pub from: String,
    /// The user it was sent to.
    pub to: String,
    /// The user its To names.
    pub asked_for: String,
    /// Its Referred-By.
    pub referred_by: Option<String>,
    /// Its Diversion values, the latest first.
    pub diversions: Vec<String>,
    /// The INVITE, whole.
    pub invite: String,
    /// When it was picked up.
    pub answered_at: Option<Duration>,
    /// When it was over.
    pub ended_at: Option<Duration>,
}

pub(crate) struct Phone {
    pub(crate) index: usize,
    pub(crate) peer: Peer,
    pub(crate) endpoint: Endpoint,
    plan: PhonePlan,
    dice: Dice,
    user: String,
    secret: String,
    realm: String,
    pub(crate) switch: Peer,
    registering: Option<RequestId>,
    /// What is to be registered when the answer to the REGISTER under way has
    /// come: never two at a time (RFC 3261 section 10.2).
    registers_next: Option<Duration>,
    register_cseq: u32,
    wants_in: bool,
    pub(crate) vanished_until: Option<Duration>,
    /// It answers in G.722, and takes other offers inside a call.
    pub(crate) wide: bool,
    /// Those that came.
    pub(crate) offered_again: Vec<String>,
    calls: Vec<Call>,
    pub(crate) log: Vec<Rung>,
    logs: Vec<(LegId, usize)>,
    pub(crate) timers: Vec<(Duration, PhoneTimer)>,
    /// Since the last look: picked up (media port), gone.
    pub(crate) gone_ports: Vec<u16>,
    deeds: Vec<Planned>,
    /// What became of its REFERs: their answers, then what NOTIFYs said.
    pub(crate) referred: Vec<u16>,
    /// The codes with which its own calls were refused.
    pub(crate) refused: Vec<u16>,
    /// What the calls that it made were told, and when: 180, 200, 486.
    pub(crate) progress: Vec<(Duration, u16)>,
    /// What it was told in words.
    pub(crate) told: Vec<String>,
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phone")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// The address of a phone.
pub(crate) fn address(index: usize) -> SocketAddr {
    let ip = Ipv4Addr::new(198, 51, (100 + index / 200) as u8, (index % 200 + 1) as u8);
    SocketAddr::new(IpAddr::V4(ip), 5060)
}

fn config(addr: SocketAddr, seed: [u8; 32]) -> EndpointConfig {
    let mut config = EndpointConfig::new(Interface::local(addr), 0, seed);
    // It is the switch that is tried, not its own patience.
    config.limits.ringing_max = Duration::from_secs(3_600);
    config
}

/// Which phone has this address.
pub(crate) fn index_of(addr: SocketAddr) -> Option<usize> {
    match addr.ip() {
        IpAddr::V4(ip) => match ip.octets() {
            [198, 51, net, host] if net >= 100 && host >= 1 => {
                Some(usize::from(net - 100) * 200 + usize::from(host) - 1)
            }
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}

/// The port of the audio stream in a description.
fn audio_port(sdp: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(sdp).ok()?;
    let at = text.find("m=audio ")?;
    text[at + 8..].split(' ').next()?.parse().ok()
}

impl Phone {
    /// Whom the desk calls back by chance takes it after so long; a machine, or somebody busy, doesn't.
    pub(crate) fn takes_callback(&mut self) -> Option<Duration> {
        let chance = matches!(self.plan.habit, Habit::Chance { .. });
        (chance && self.dice.chance(700_000)).then(|| self.dice.millis(500, 20_000))
    }

    pub(crate) fn new(
        index: usize,
        user: &str,
        secret: &str,
        realm: &str,
        switch: Peer,
        plan: PhonePlan,
        mut dice: Dice,
    ) -> Self {
        let addr = address(index);
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&dice.bits().to_le_bytes());
        let config = config(addr, seed);
        let timers = plan
            .signs_in
            .map(|at| (at, PhoneTimer::SignIn))
            .into_iter()
            .collect();
        Self {
            index,
            peer: Peer {
                addr,
                transport: switch.transport,
            },
            endpoint: Endpoint::new(config),
            plan,
            dice,
            user: user.to_owned(),
            secret: secret.to_owned(),
            realm: realm.to_owned(),
            switch,
            registering: None,
            registers_next: None,
            register_cseq: 0,
            wants_in: false,
            vanished_until: None,
            wide: false,
            offered_again: Vec::new(),
            calls: Vec::new(),
            log: Vec::new(),
            logs: Vec::new(),
            timers,
            gone_ports: Vec::new(),
            deeds: Vec::new(),
            referred: Vec::new(),
            refused: Vec::new(),
            progress: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Nothing reaches it, nothing leaves it.
    pub(crate) fn is_vanished(&self, now: Duration) -> bool {
        self.vanished_until.is_some_and(|until| now < until)
    }

    /// Does it speak by a connection?
    pub(crate) fn has_connection(&self) -> bool {
        self.switch.transport.is_reliable()
    }

    /// That is closed; the next is made after so long, if nothing is to be said before.
    pub(crate) fn connection_closes(&mut self, now: Duration, again: Duration) {
        if !self.is_vanished(now) {
            self.endpoint.transport_error(now, self.switch);
            self.timers.push((now + again, PhoneTimer::Renew));
        }
    }

    /// Nobody signs in any more, whoever is signed in signs out, and whoever talks hangs up: the world ends.
    pub(crate) fn closes(&mut self, now: Duration) {
        self.plan.signs_out = None;
        self.plan.signs_in = None;
        if self.wants_in {
            self.sign_out(now);
        }
        let legs: Vec<LegId> = self.calls.iter().map(|call| call.leg).collect();
        for leg in legs {
            self.endpoint.hangup(now, leg, None);
        }
    }

    /// The far side is gone: whatever call there is ends then.
    pub(crate) fn loses_audio(&mut self, at: Duration) {
        for call in &self.calls {
            self.timers
                .push((at, PhoneTimer::React(call.leg, Step::HangUp)));
        }
    }

    /// Changes what it does with its next call.
    pub(crate) fn script(&mut self, reaction: Reaction) {
        self.plan.next.push_back(reaction);
    }

    /// Whatever rings is refused.
    pub(crate) fn refuses_now(&mut self, now: Duration, code: u16) {
        for call in &self.calls {
            self.timers
                .push((now, PhoneTimer::React(call.leg, Step::Refuse(code))));
        }
    }

    /// Forgets what it was told about its next calls.
    pub(crate) fn unscript(&mut self) {
        self.plan.next.clear();
    }

    pub(crate) fn timer(&mut self, now: Duration, timer: PhoneTimer) {
        match timer {
            PhoneTimer::SignIn => {
                if self.plan.signs_in.is_some() {
                    self.wants_in = true;
                    self.register(now, self.plan.lease);
                    if let Some((after, _)) = self.plan.signs_out {
                        self.timers.push((now + after, PhoneTimer::SignOut));
                    }
                }
            }
            PhoneTimer::SignOut => {
                if self.wants_in && self.plan.signs_out.is_some() {
                    self.sign_out(now);
                    if let Some((_, after)) = self.plan.signs_out {
                        self.timers.push((now + after, PhoneTimer::SignIn));
                    }
                }
            }
            PhoneTimer::Renew => {
                if self.wants_in {
                    self.register(now, self.plan.lease);
                }
            }
            PhoneTimer::Back => {
                if self.vanished_until.is_some_and(|until| until <= now) {
                    self.vanished_until = None;
                    // The phone was off: its calls are forgotten, it registers anew.
                    if self.wants_in {
                        self.register(now, self.plan.lease);
                    }
                }
            }
            PhoneTimer::React(leg, step) => self.step(now, leg, step),
            PhoneTimer::Deed(index) => self.deed(now, index),
        }
    }

    /// The port of our media in its first call, or the second.
    pub(crate) fn port(&self, second: bool) -> Option<u16> {
        self.calls.get(usize::from(second))?.port
    }

    /// Is one of its calls by this port of ours?
    pub(crate) fn has_port(&self, port: u16) -> bool {
        self.calls.iter().any(|call| call.port == Some(port))
    }

    fn sign_out(&mut self, now: Duration) {
        self.wants_in = false;
        self.register(now, Duration::ZERO);
    }

    fn register(&mut self, now: Duration, lease: Duration) {
        if self.registering.is_some() {
            self.registers_next = Some(lease);
            return;
        }
        let uri = |text: String| Uri::parse(&text).expect("our own URI");
        let aor = uri(format!("sip:{}@{}", self.user, self.realm));
        self.register_cseq += 2;
        let request = OutRequest {
            method: sip::Method::Register,
            target: uri(format!("sip:{}", self.realm)),
            next_hop: self.switch,
            from: aor.clone(),
            to: aor,
            call_id: Some(format!("r{}@phone", self.index)),
            cseq: Some(self.register_cseq),
            headers: vec![
                (
                    "Contact".to_owned(),
                    format!("<sip:{}@{}>", self.user, self.peer.addr),
                ),
                ("Expires".to_owned(), lease.as_secs().to_string()),
            ],
            body: None,
            credentials: Some(Credentials::new(self.user.clone(), self.secret.clone())),
        };
        self.registering = Some(self.endpoint.request(now, request));
    }

    fn step(&mut self, now: Duration, leg: LegId, step: Step) {
        let Some(at) = self.calls.iter().position(|call| call.leg == leg) else {
            return;
        };
        match step {
            Step::Ring => self.endpoint.ring(now, leg, 180, &[], None),
            Step::Speak => {
                let local = self.local(leg);
                let answer = sdp::answer(&self.calls[at].offer, &local, &Capabilities::default());
                if let Ok((_, text)) = answer {
                    self.endpoint.ring(now, leg, 183, &[], Some(&text));
                }
            }
            Step::PickUp => {
                let local = self.local(leg);
                let call = &mut self.calls[at];
                let caps = Capabilities {
                    codecs: match self.wide {
                        true => vec![Format::G722],
                        false => Capabilities::default().codecs,
                    },
                    ..Capabilities::default()
                };
                match sdp::answer(&call.offer, &local, &caps) {
                    Ok((_, text)) => {
                        call.answered = true;
                        self.endpoint.answer(now, leg, &text, &[]);
                        if let Some(after) = call.hang_up_after {
                            self.timers
                                .push((now + after, PhoneTimer::React(leg, Step::HangUp)));
                        }
                        if let Some((into, back)) = call.vanish_into {
                            self.timers
                                .push((now + into, PhoneTimer::React(leg, Step::Vanish(back))));
                        }
                        if let Some(&(_, n)) = self.logs.iter().find(|(l, _)| *l == leg) {
                            self.log[n].answered_at = Some(now);
                        }
                        if let Habit::Chance {
                            people, colleagues, ..
                        } = self.plan.habit
                        {
                            self.whims(now, leg, people, colleagues);
                        }
                    }
                    Err(_) => self.endpoint.reject(now, leg, 488, None, &[]),
                }
            }
            Step::HangUp => self.endpoint.hangup(now, leg, None),
            Step::Refuse(code) => self.endpoint.reject(now, leg, code, None, &[]),
            Step::Redirect(code, to) => {
                let to: Vec<_> = to.iter().map(|contact| ("Contact", *contact)).collect();
                self.endpoint.reject(now, leg, code, None, &to);
            }
            Step::Vanish(back_after) => {
                let until = now + back_after;
                self.vanished_until = Some(until);
                self.timers.push((until, PhoneTimer::Back));
                self.gone_ports
                    .extend(self.calls.iter().filter_map(|c| c.port));
                let legs: Vec<LegId> = self.calls.iter().map(|c| c.leg).collect();
                for leg in legs {
                    self.end_call(now, leg);
                }
                // Whatever it still had in hand is gone with it.
                self.registering = None;
                self.registers_next = None;
                let mut seed = [0; 32];
                seed[..8].copy_from_slice(&self.dice.bits().to_le_bytes());
                let config = config(self.peer.addr, seed);
                self.endpoint = Endpoint::new(config);
            }
        }
    }

    fn end_call(&mut self, now: Duration, leg: LegId) {
        self.calls.retain(|call| call.leg != leg);
        if let Some(at) = self.logs.iter().position(|(l, _)| *l == leg) {
            let (_, n) = self.logs.swap_remove(at);
            self.log[n].ended_at = Some(now);
        }
    }

    /// Takes what its endpoint has to say.
    pub(crate) fn events(&mut self, now: Duration) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Incoming { leg, request, .. } => {
                    let reaction = self.react();
                    let text = request.sdp().map(<[u8]>::to_vec).unwrap_or_default();
                    let port = audio_port(&text);
                    let ticket = request.header("X-Careline-Ticket").map(str::to_owned);
                    let from = request.header("From").unwrap_or("").to_owned();
                    self.logs.push((leg, self.log.len()));
                    self.log.push(Rung {
                        at: now,
                        ticket,
                        from,
                        to: request.uri().user().unwrap_or_default().into_owned(),
                        asked_for: request
                            .to()
                            .and_then(|to| to.uri.user().map(std::borrow::Cow::into_owned))
                            .unwrap_or_default(),
                        referred_by: request.header("Referred-By").map(str::to_owned),
                        diversions: request
                            .header_values("Diversion")
                            .map(str::to_owned)
                            .collect(),
                        invite: String::from_utf8_lossy(&request.to_bytes()).into_owned(),
                        answered_at: None,
                        ended_at: None,
                    });
                    let mut call = Call {
                        leg,
                        offer: text,
                        port,
                        answered: false,
                        hang_up_after: None,
                        vanish_into: None,
                        held: false,
                    };
                    if reaction != Reaction::PlayDead {
                        let ring = now + self.dice.millis(0, 150);
                        let step = match reaction {
                            Reaction::Speaks { .. } | Reaction::Announces { .. } => Step::Speak,
                            _ => Step::Ring,
                        };
                        self.timers.push((ring, PhoneTimer::React(leg, step)));
                    }
                    let mut then = |after, step| {
                        self.timers
                            .push((now + after, PhoneTimer::React(leg, step)));
                    };
                    match reaction {
                        Reaction::Answer {
                            after,
                            hang_up_after,
                        } => {
                            call.hang_up_after = hang_up_after;
                            then(after, Step::PickUp);
                        }
                        Reaction::Refuse { after, code } => then(after, Step::Refuse(code)),
                        Reaction::Redirect { after, code, to } => {
                            then(after, Step::Redirect(code, to));
                        }
                        Reaction::Vanish { after, back_after } => {
                            then(after, Step::Vanish(back_after));
                        }
                        Reaction::VanishTalking {
                            after,
                            into,
                            back_after,
                        } => {
                            call.vanish_into = Some((into, back_after));
                            then(after, Step::PickUp);
                        }
                        Reaction::Speaks { after } => then(after, Step::PickUp),
                        Reaction::Announces { after, code } => then(after, Step::Refuse(code)),
                        Reaction::PlayDead | Reaction::Ignore => {}
                    }
                    self.calls.push(call);
                }
                Event::Refused { leg, code, .. } => {
                    self.refused.push(code);
                    self.progress.push((now, code));
                    self.end_call(now, leg);
                }
                Event::Cancelled { leg, .. } | Event::Ended { leg, .. } => self.end_call(now, leg),
                Event::Response { id, response } if self.registering == Some(id) => {
                    let next = if response.code() == 200 {
                        self.plan.lease / 2
                    } else {
                        Duration::from_secs(5)
                    };
                    self.registered(now, next);
                }
                Event::RequestTimeout { id } if self.registering == Some(id) => {
                    self.registered(now, Duration::from_secs(1));
                }
                Event::Ringing { leg, code, sdp, .. } => {
                    self.progress.push((now, code));
                    if let Some(call) = self.calls.iter_mut().find(|call| call.leg == leg)
                        && let Some(sdp) = sdp
                    {
                        call.port = audio_port(&sdp);
                    }
                }
                Event::Answered { leg, sdp, .. } => {
                    self.progress.push((now, 200));
                    if let Some(call) = self.calls.iter_mut().find(|call| call.leg == leg) {
                        call.answered = true;
                        call.port = sdp.as_deref().and_then(audio_port);
                    }
                }
                Event::Referred { code, .. } => self.referred.push(code),
                Event::Notify { code, .. } => self.referred.push(code),
                Event::Reinvite {
                    leg,
                    sdp: Some(offer),
                } if self.wide => {
                    let local = self.local(leg);
                    match sdp::answer(&offer, &local, &Capabilities::default()) {
                        Ok((_, text)) => self.endpoint.answer_reinvite(now, leg, &text),
                        Err(_) => self.endpoint.reject_reinvite(now, leg, 488),
                    }
                    self.offered_again
                        .push(String::from_utf8_lossy(&offer).into_owned());
                }
                Event::Reinvite { leg, .. } => self.endpoint.reject_reinvite(now, leg, 488),
                _ => {}
            }
        }
    }

    /// The REGISTER under way is over; the next one is due in `next`.
    fn registered(&mut self, now: Duration, next: Duration) {
        self.registering = None;
        if let Some(lease) = self.registers_next.take() {
            self.register(now, lease);
        } else if self.wants_in {
            self.timers.push((now + next, PhoneTimer::Renew));
        }
    }

    fn react(&mut self) -> Reaction {
        if let Some(reaction) = self.plan.next.pop_front() {
            return reaction;
        }
        match self.plan.habit {
            Habit::Always(reaction) => reaction,
            Habit::Chance { people, talk, .. } => self.by_chance(people, talk),
        }
    }

    fn by_chance(&mut self, people: u8, talk: Duration) -> Reaction {
        let dice = &mut self.dice;
        let talk_for = dice.between(talk / 8, talk * 2);
        let answer = Reaction::Answer {
            after: dice.millis(300, 9_000),
            hang_up_after: dice.chance(500_000).then_some(talk_for),
        };
        let trouble = [0, 60_000, 200_000, 500_000][usize::from(people.min(3))];
        if !dice.chance(trouble) {
            return answer;
        }
        let after = dice.millis(0, 12_000);
        match dice.below(9) {
            0 => Reaction::Ignore,
            1 => Reaction::Refuse {
                after,
                code: *dice.pick(&[486, 603, 480, 404, 500]),
            },
            2 => Reaction::Vanish {
                after,
                back_after: dice.millis(5_000, 90_000),
            },
            3 => Reaction::VanishTalking {
                after,
                into: dice.millis(0, 30_000),
                back_after: dice.millis(5_000, 90_000),
            },
            4 => Reaction::PlayDead,
            // Hung up at once, crossing everything that follows an answer.
            5 => Reaction::Answer {
                after,
                hang_up_after: Some(dice.millis(0, 400)),
            },
            7 => Reaction::Redirect {
                after,
                code: *dice.pick(&[300, 301, 302, 305, 380]),
                to: dice.pick::<&[&str]>(&REDIRECTIONS),
            },
            // Answered at the very moment ringing ends.
            6 => Reaction::Answer {
                after: dice.millis(14_900, 20_100),
                hang_up_after: Some(talk_for),
            },
            _ => Reaction::Answer {
                after: Duration::ZERO,
                hang_up_after: Some(talk_for),
            },
        }
    }
}
