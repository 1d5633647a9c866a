//! The phone's task: the one owner of its endpoint, socket, registration and calls.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use media::engine::{Command, LegStats};
use media::sdp::{self, Capabilities, LocalMedia};
use sip::{
    Credentials, Endpoint, EndpointConfig, Identity, Interface, Invite, Peer, Uri, WireError,
};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::audio::AudioEvent;
use super::call::{Call, Offer, State};
use super::config::{AnswerPolicy, PhoneConfig, Voice};
use super::event::{CallId, PhoneEvent, PhoneEventKind};
use super::hearing::Gaps;
use super::registration::Registrar;
use super::report::{Direction, HungUpBy};
use super::script::{Action, Runner};
use super::{CallOptions, Order, PhoneError};

/// Most that waits of what legs tell.
const AUDIO_EVENTS_MAX: usize = 4_096;
/// Most events kept for a reader who is slow; what is heard isn't kept at all.
const WAITING_MAX: usize = 4_096;
/// How long a call that is over waits for the figures of its audio.
const FIGURES_WITHIN: Duration = Duration::from_secs(1);
/// How long switching off waits for farewells to be answered.
const FAREWELL: Duration = Duration::from_secs(2);
/// Longest datagram read.
const DATAGRAM_MAX: usize = 65_535;

/// Binds the socket and starts the task. Where it listens, and from when it counts.
pub(super) async fn start(
    config: PhoneConfig,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<PhoneEvent>,
) -> Result<(SocketAddr, Instant), PhoneError> {
    let bind_error = |source| PhoneError::Bind {
        addr: config.bind,
        source,
    };
    let socket = UdpSocket::bind(config.bind).await.map_err(bind_error)?;
    let mut local = socket.local_addr().map_err(bind_error)?;
    if local.ip().is_unspecified() {
        local.set_ip(source_towards(config.server).map_err(bind_error)?);
    }
    let mut seed = [0; 32];
    for (place, byte) in seed.iter_mut().zip(
        config
            .seed
            .to_le_bytes()
            .into_iter()
            .chain(local.port().to_le_bytes()),
    ) {
        *place = byte;
    }
    let mut endpoint = EndpointConfig::new(Interface::local(local), 0, seed);
    endpoint.user_agent = Some(config.product.clone());
    endpoint.registrar = false;
    endpoint.limits.legs_max = config.calls_max.saturating_mul(2).max(16);
    let host = config
        .domain
        .clone()
        .unwrap_or_else(|| config.server.ip().to_string());
    let registrar = config.registration.clone().and_then(|account| {
        // Unique among the phones of a test, and the same over all its REGISTERs.
        let call_id = format!("{:016x}-{}@{}", config.seed, local.port(), local.ip());
        Registrar::new(account, config.server, &host, local, call_id)
    });
    let (tell, audio) = mpsc::channel(AUDIO_EVENTS_MAX);
    let epoch = Instant::now();
    let task = Task {
        endpoint: Endpoint::new(endpoint),
        registrar,
        policy: config.answer,
        host,
        local,
        socket,
        epoch,
        calls: Vec::new(),
        next_call: 1,
        outbox: Outbox {
            events,
            waiting: VecDeque::new(),
            dropped: 0,
        },
        tell,
        stopping: None,
        config,
    };
    tokio::spawn(task.run(orders, audio));
    Ok((local, epoch))
}

/// The address of ours from which packets to `server` go out. Nothing is sent for it.
fn source_towards(server: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = if server.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(server)?;
    Ok(socket.local_addr()?.ip())
}

pub(super) struct Task {
    pub(super) config: PhoneConfig,
    pub(super) policy: AnswerPolicy,
    /// Host part of what we dial and who we are.
    host: String,
    local: SocketAddr,
    socket: UdpSocket,
    epoch: Instant,
    pub(super) endpoint: Endpoint,
    pub(super) registrar: Option<Registrar>,
    pub(super) calls: Vec<Call>,
    pub(super) next_call: u32,
    outbox: Outbox,
    tell: super::audio::Tell,
    pub(super) stopping: Option<Stopping>,
}

/// The phone is being switched off.
pub(super) struct Stopping {
    until: Duration,
    /// Whom to tell; those who dropped the phone don't care.
    done: Option<oneshot::Sender<()>>,
}

/// Events on their way to whoever reads them.
struct Outbox {
    events: mpsc::Sender<PhoneEvent>,
    waiting: VecDeque<PhoneEvent>,
    dropped: u64,
}

impl Outbox {
    fn push(&mut self, event: PhoneEvent) {
        let event = if self.waiting.is_empty() {
            match self.events.try_send(event) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => return,
                Err(mpsc::error::TrySendError::Full(event)) => event,
            }
        } else {
            event
        };
        if matches!(event.kind, PhoneEventKind::Heard(_)) || self.waiting.len() >= WAITING_MAX {
            self.dropped += 1;
        } else {
            self.waiting.push_back(event);
        }
    }
}

impl Task {
    async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut audio: mpsc::Receiver<(CallId, AudioEvent)>,
    ) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            self.settle().await;
            let now = self.now();
            if self.stopped(now) {
                break;
            }
            let wake = self.epoch + self.timeout().unwrap_or(now + Duration::from_secs(3_600));
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    // An error here is an old ICMP message; whatever it was about will time out.
                    if let Ok((length, source)) = received {
                        self.datagram(&buffer[..length], source).await;
                    }
                }
                Some((call, event)) = audio.recv() => self.audio(call, event),
                order = orders.recv(), if self.stopping.is_none() => match order {
                    Some(order) => self.order(order),
                    None => self.stop(None),
                },
                permit = self.outbox.events.clone().reserve_owned(), if !self.outbox.waiting.is_empty() => {
                    match (permit, self.outbox.waiting.pop_front()) {
                        (Ok(permit), Some(event)) => { permit.send(event); }
                        // Nobody reads any more.
                        _ => self.outbox.waiting.clear(),
                    }
                }
                () = tokio::time::sleep_until(wake) => {}
            }
        }
        if let Some(Stopping {
            done: Some(done), ..
        }) = self.stopping
        {
            let _ = done.send(());
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    pub(super) fn emit(&mut self, call: Option<CallId>, kind: PhoneEventKind) {
        let at = self.now();
        self.outbox.push(PhoneEvent { at, call, kind });
    }

    /// Does all that is due, and sends what comes of it.
    async fn settle(&mut self) {
        let now = self.now();
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        if self.stopping.is_none()
            && let Some(registrar) = &mut self.registrar
        {
            registrar.poll(now, &mut self.endpoint);
        }
        self.answer_due(now);
        while let Some(event) = self.endpoint.poll_event() {
            self.signalling(event);
        }
        self.follow_scripts(now);
        let late = |call: &Call| matches!(call.state, State::Closing { until } if until <= now);
        while let Some(at) = self.calls.iter().position(late) {
            self.report(at, None);
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            // Lost like any datagram; the transaction repeats it.
            let _ = self
                .socket
                .send_to(&transmit.bytes, transmit.peer.addr)
                .await;
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let calls = self.calls.iter().flat_map(|call| {
            let state = match call.state {
                State::Ringing { answer_at, .. } => answer_at,
                State::Closing { until } => Some(until),
                _ => None,
            };
            // Scripts count from the answer.
            let script = match (&call.runner, &call.state) {
                (Some(runner), State::Talking { since, .. }) => {
                    runner.timeout().map(|at| at + *since)
                }
                _ => None,
            };
            [state, script]
        });
        let registrar = self
            .registrar
            .as_ref()
            .filter(|_| self.stopping.is_none())
            .and_then(Registrar::timeout);
        let stopping = self.stopping.as_ref().map(|stopping| stopping.until);
        calls
            .chain([self.endpoint.poll_timeout(), registrar, stopping])
            .flatten()
            .min()
    }

    async fn datagram(&mut self, bytes: &[u8], source: SocketAddr) {
        let peer = Peer::udp(source);
        match sip::parse_datagram(bytes, peer) {
            Ok(message) => self.endpoint.receive(self.now(), peer, message),
            Err(WireError::Answer(answer)) => {
                let _ = self.socket.send_to(&answer.bytes, answer.peer.addr).await;
            }
            // Keep-alives and worse.
            Err(WireError::Silence(_)) => {}
        }
    }

    fn order(&mut self, order: Order) {
        let now = self.now();
        match order {
            Order::Call {
                number,
                options,
                reply,
            } => {
                // Whoever asked may have gone; the call then goes on by itself.
                let _ = reply.send(self.dial(now, &number, options));
            }
            Order::Answer(id) => self.answer(now, id),
            Order::Reject(id, code) => {
                if let Some(call) = self.calls.iter().find(|call| call.id == id)
                    && matches!(call.state, State::Ringing { .. })
                {
                    self.reject(now, id, code);
                }
            }
            Order::HangUp(id) => self.hang_up(now, id),
            Order::Press(id, digits) => self.press(now, id, digits),
            Order::Speak(id, voice) => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.id == id) {
                    call.speak(voice, false, &self.config.media);
                }
            }
            Order::Follow(id, script) => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.id == id) {
                    let since = call.since_answer(now);
                    call.runner = Some(Runner::new(script, since));
                }
            }
            Order::Policy(policy) => self.policy = policy,
            Order::Stop(done) => self.stop(Some(done)),
        }
    }

    fn stop(&mut self, done: Option<oneshot::Sender<()>>) {
        let now = self.now();
        let ids: Vec<CallId> = self.calls.iter().map(|call| call.id).collect();
        for id in ids {
            self.hang_up(now, id);
        }
        if let Some(registrar) = &mut self.registrar {
            registrar.leave(now, &mut self.endpoint);
        }
        self.stopping = Some(Stopping {
            until: now + FAREWELL,
            done,
        });
    }

    /// Whether all farewells are said, or have been waited for long enough.
    fn stopped(&self, now: Duration) -> bool {
        let Some(stopping) = &self.stopping else {
            return false;
        };
        let registered = self
            .registrar
            .as_ref()
            .is_some_and(|registrar| !registrar.is_gone());
        now >= stopping.until
            || (!registered
                && self.calls.is_empty()
                && self.endpoint.legs() == 0
                && self.outbox.waiting.is_empty())
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        Capabilities {
            codecs: self.config.codecs.iter().copied().map(Into::into).collect(),
            telephone_event: self.config.keys == super::config::KeysBy::Events,
            ..Capabilities::default()
        }
    }

    /// Opens a leg of audio for a call and describes it.
    fn open(&mut self, id: CallId) -> Result<(super::audio::Line, LocalMedia), PhoneError> {
        let line = self
            .config
            .media
            .open(id, &self.config.ears, self.tell.clone())?;
        let mut address = self.config.media.bind();
        if address.is_unspecified() {
            address = self.local.ip();
        }
        // The session id is the call's number: unique for this user name and host (RFC 8866 section 5.2).
        Ok((
            line,
            LocalMedia::new(address, line.address.port(), u64::from(id.0)),
        ))
    }

    fn dial(
        &mut self,
        now: Duration,
        number: &str,
        options: CallOptions,
    ) -> Result<CallId, PhoneError> {
        let unusable = || PhoneError::Number(number.to_owned());
        let port =
            (self.host == self.config.server.ip().to_string()).then(|| self.config.server.port());
        let target = if number.contains(':') {
            Uri::parse(number).map_err(|_| unusable())?
        } else if number.is_empty() || number.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(unusable());
        } else {
            Uri::sip(number, &self.host, port).map_err(|_| unusable())?
        };
        let id = CallId(self.next_call);
        self.next_call += 1;
        let (line, local) = self.open(id)?;
        let sdp = sdp::offer(&local, &self.capabilities());
        let from = Identity {
            display: self.config.display.clone(),
            user: options.from.unwrap_or_else(|| self.config.number.clone()),
            host: Some(self.host.clone()),
        };
        let next_hop = Peer::udp(self.config.server);
        let mut invite = Invite::new(target, next_hop, from, sdp.clone());
        invite.headers = options.headers;
        invite.credentials = self
            .config
            .registration
            .as_ref()
            .map(|account| Credentials::new(account.user.clone(), account.secret.clone()));
        let leg = self.endpoint.invite(now, invite);
        let state = State::Dialling {
            offer: Offer { local, sdp },
        };
        let voice = self.config.voice.clone();
        let mut call = Call::new(
            id,
            leg,
            Direction::Out,
            number.to_owned(),
            state,
            voice,
            now,
        );
        call.line = Some(line);
        call.sentences = options.sentences;
        call.runner = Some(Runner::new(options.script, Duration::ZERO));
        self.calls.push(call);
        self.emit(
            Some(id),
            PhoneEventKind::Dialling {
                number: number.to_owned(),
            },
        );
        Ok(id)
    }

    fn answer_due(&mut self, now: Duration) {
        let due = |call: &Call| matches!(call.state, State::Ringing { answer_at: Some(at), .. } if at <= now);
        while let Some(id) = self.calls.iter().find(|call| due(call)).map(|call| call.id) {
            self.answer(now, id);
        }
    }

    pub(super) fn answer(&mut self, now: Duration, id: CallId) {
        let Some(at) = self.calls.iter().position(|call| call.id == id) else {
            return;
        };
        let State::Ringing { offer, .. } = &self.calls[at].state else {
            return;
        };
        let offer = offer.clone();
        let Ok((line, local)) = self.open(id) else {
            self.reject(now, id, 480);
            return;
        };
        self.calls[at].line = Some(line);
        let caps = self.capabilities();
        let (leg, sdp) = match offer {
            Some(offer) => match sdp::answer(&offer, &local, &caps) {
                Ok((negotiated, sdp)) => {
                    self.calls[at].answered(now, local, negotiated, &self.config.media);
                    (self.calls[at].leg, sdp)
                }
                Err(error) => {
                    self.reject(now, id, error.status());
                    return;
                }
            },
            None => {
                let sdp = sdp::offer(&local, &caps);
                self.calls[at].state = State::Confirming {
                    offer: Offer {
                        local,
                        sdp: sdp.clone(),
                    },
                };
                (self.calls[at].leg, sdp)
            }
        };
        self.endpoint.answer(now, leg, &sdp, &[]);
        self.calls[at].code(200);
        if self.calls[at].is_talking() {
            self.emit(Some(id), PhoneEventKind::Answered);
        }
    }

    pub(super) fn reject(&mut self, now: Duration, id: CallId, code: u16) {
        let Some(call) = self.calls.iter_mut().find(|call| call.id == id) else {
            return;
        };
        call.code(code);
        self.endpoint.reject(now, call.leg, code, None, &[]);
        self.over(id, HungUpBy::Refused(code));
    }

    fn hang_up(&mut self, now: Duration, id: CallId) {
        if let Some(call) = self.calls.iter().find(|call| call.id == id)
            && !call.is_over()
        {
            self.endpoint.hangup(now, call.leg, None);
            self.over(id, HungUpBy::Us);
        }
    }

    fn press(&mut self, now: Duration, id: CallId, digits: Vec<media::dtmf::Digit>) {
        let Some(call) = self.calls.iter_mut().find(|call| call.id == id) else {
            return;
        };
        if let Some(keys) = call.press(now, digits, &self.config.media) {
            self.emit(Some(id), PhoneEventKind::Pressed { keys });
        }
    }

    /// A call is over: closes its audio, whose figures the report waits for.
    pub(super) fn over(&mut self, id: CallId, by: HungUpBy) {
        let now = self.now();
        let Some(at) = self.calls.iter().position(|call| call.id == id) else {
            return;
        };
        if self.calls[at].is_over() {
            return;
        }
        self.calls[at].over(now, by, now + FIGURES_WITHIN);
        match self.calls[at].audio() {
            Some(leg) => {
                // Always taken.
                let _ = self.config.media.command(Command::Close { leg });
            }
            None => self.report(at, None),
        }
    }

    fn report(&mut self, at: usize, figures: Option<(LegStats, Gaps)>) {
        let call = self.calls.remove(at);
        let id = call.id;
        let dropped = std::mem::take(&mut self.outbox.dropped);
        let report = Box::new(call.into_report(figures, dropped));
        self.emit(Some(id), PhoneEventKind::Ended(report));
    }

    fn audio(&mut self, id: CallId, event: AudioEvent) {
        let now = self.now();
        let Some(at) = self.calls.iter().position(|call| call.id == id) else {
            return;
        };
        match event {
            AudioEvent::Heard(heard) => {
                let heard = heard.counted_from(self.calls[at].early());
                self.calls[at].heard(&heard);
                self.emit(Some(id), PhoneEventKind::Heard(heard));
            }
            AudioEvent::Media(event) => {
                if let Some(key) = self.calls[at].media(now, &event, &self.config.media) {
                    self.emit(Some(id), PhoneEventKind::KeyHeard { key });
                }
            }
            AudioEvent::Closed { stats, gaps } => self.report(at, Some((stats, gaps))),
        }
    }

    fn follow_scripts(&mut self, now: Duration) {
        for at in 0..self.calls.len() {
            while let Some(call) = self.calls.get_mut(at).filter(|call| call.is_talking()) {
                let since = call.since_answer(now);
                let Some(action) = call.runner.as_mut().and_then(|runner| runner.poll(since))
                else {
                    break;
                };
                let id = call.id;
                match action {
                    Action::Press(digits) => self.press(now, id, digits),
                    Action::Say(text) => {
                        let clip = call
                            .sentences
                            .iter()
                            .find(|(sentence, _)| **sentence == *text);
                        match clip.map(|(_, clip)| clip.clone()) {
                            Some(clip) => call.speak(Voice::Once(clip), true, &self.config.media),
                            None => {
                                if let Some(runner) = &mut call.runner {
                                    runner.spoken();
                                }
                                self.emit(
                                    Some(id),
                                    PhoneEventKind::ScriptGaveUp {
                                        step: format!("say \"{text}\""),
                                    },
                                );
                            }
                        }
                    }
                    Action::HangUp => self.hang_up(now, id),
                    Action::GaveUp(step) => {
                        self.emit(Some(id), PhoneEventKind::ScriptGaveUp { step })
                    }
                    Action::Ended => self.emit(Some(id), PhoneEventKind::ScriptEnded),
                }
            }
        }
    }
}
