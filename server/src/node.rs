//! The pump: one task that joins the calls, the distributor and the desk with
//! the socket, the media threads, the voice and the store.
//!
//! It decides nothing. It carries messages from one machine to the other,
//! gives each the time, and does what they want done. (The world of the crate
//! `sim` is the same pump, with lossy wires in between.)
//!
//! | file | what |
//! |---|---|
//! | `notes.rs` | what of the calls' notes is worth a line in the log |
//! | `notices.rs` | the distributor's reports in the desk's words |
//! | `status.rs` | how things are, for whoever asks |

mod deeds;
mod notes;
mod notices;
mod status;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use acd::Acd;
use desk::Desk;
use media::engine::{Command as MediaCommand, Event as MediaEvent, LegId};
use media::srtp::Secret;
use switch::{Input, Now, Output, Switch};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use crate::actions::{Actions, Answer};
use crate::phone::RingHub;
use crate::prompter::{Prompter, Ready};
use crate::rtp::{Media, MediaError, RingPhone, ThreadHint};
use crate::secrets::Entropy;
use crate::serve::publish::Fresh;
use crate::serve::setup::addresses_of;
use crate::store::{Done, Journal};
use crate::streams::{Arrived, Streams};
use crate::verifier::Verifier;

pub use deeds::{Deed, Deeds, IncidentAsk, Said};
pub use status::{Counters, Status, TrunkStatus};

/// Largest datagram read. SIP over UDP is smaller; what is cut off fails to
/// parse and is answered as that.
const DATAGRAM_MAX: usize = 65_535;
/// Datagrams read in one go before time and the other inputs get their turn.
const BATCH_MAX: usize = 64;
/// With this many inputs in one go there is a load: the next ones are awaited
/// together, for [`PAUSE`]. Waking for each costs more than what most of them
/// ask for, and nobody notices a millisecond.
const BUSY_INPUTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(1);
/// Longest sleep: nothing depends on it.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long hanging up on everybody may take when the process stops.
const FAREWELL_MAX: Duration = Duration::from_secs(2);
/// How often refused sign-ins from one address are logged, and for how many
/// addresses at a time.
const REFUSED_EVERY: Duration = Duration::from_secs(10);
const REFUSED_MAX: usize = 1_024;
/// Datagrams that wait for a full socket. UDP may lose what doesn't fit.
const UNSENT_MAX: usize = 4_096;

/// The process's clock: monotonic since its start, and the wall.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch: Instant,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        Self {
            epoch: Instant::now(),
        }
    }

    /// The instant that monotonic time counts from.
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Now.
    pub fn now(&self) -> Now {
        Now {
            mono: self.epoch.elapsed(),
            wall: wall(),
        }
    }
}

/// The wall clock, Unix milliseconds.
pub fn wall() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}

/// The live machines and everything they speak to.
pub struct Node {
    /// The process's clock.
    pub clock: Clock,
    /// The calls.
    pub switch: Switch,
    /// The distributor.
    pub acd: Acd,
    /// The desk.
    pub desk: Desk,
    /// In whose log an agent's own events are written: the operator's, since
    /// agents may serve many hospitals.
    pub operator: desk::TenantId,
    /// The SIP socket for datagrams.
    pub socket: Arc<UdpSocket>,
    /// SIP over connections.
    pub streams: Streams,
    /// The media threads.
    pub media: Media,
    /// How legs reach their far side.
    pub media_side: MediaSide,
    /// What keys of calls are drawn from.
    pub entropy: Entropy,
    /// The voice.
    pub prompter: Prompter,
    /// Takes commits.
    pub store: Arc<dyn Journal>,
    /// What the store has done.
    pub done: mpsc::UnboundedReceiver<Vec<Done>>,
    /// What the media threads tell.
    pub media_events: mpsc::Receiver<MediaEvent>,
    /// What the voice has finished.
    pub ready: mpsc::Receiver<Ready>,
    /// Asks hospitals' own systems.
    pub actions: Actions,
    /// What they have answered.
    pub answers: mpsc::Receiver<Answer>,
    /// Compares what callers key in to show who they are.
    pub verifier: Verifier,
    /// What came of it.
    pub checked: mpsc::Receiver<desk::Checked>,
    /// What was asked of tickets and isn't answered.
    pub deeds: Deeds,
    /// Questions from outside.
    pub control: mpsc::Receiver<Control>,
    /// Told of every contact's stations; for the terminal.
    pub notes: Option<mpsc::Sender<switch::Note>>,
    /// Counts of the pump itself.
    pub counters: Counters,
    /// The latest write that was answered failed.
    pub store_failing: bool,
    /// When a refused sign-in from an address was last logged.
    pub refused_lately: HashMap<IpAddr, Duration>,
}

/// How legs reach their far side.
#[derive(Debug)]
pub enum MediaSide {
    /// By UDP, from ports of this address.
    Udp(IpAddr),
    /// Through memory, to phones of this process: for tests.
    Ring {
        /// Where those phones are.
        hub: RingHub,
        /// Ends of legs whose far side isn't known yet.
        loose: HashMap<LegId, RingPhone>,
    },
}

/// Calls that are owed.
pub type Owed = Vec<(desk::PromiseId, desk::PromiseFacts)>;

/// What the rest of the process may ask.
#[derive(Debug)]
pub enum Control {
    /// Take no new calls.
    Drain,
    /// How are things?
    Status(oneshot::Sender<Status>),
    /// The DNS says where a gateway is.
    Located(Located),
    /// A desk is closed on the spot, or keeps its hours again.
    Close {
        /// The hospital.
        tenant: desk::TenantId,
        /// Its hours' name.
        calendar: Arc<str>,
        /// `None`: its hours count.
        exception: Option<hours::Exception>,
    },
    /// Something is to be done with a ticket.
    Ticket(Deed, oneshot::Sender<desk::TicketReply>),
    /// Something is to be done with an incident.
    Incident(IncidentAsk, oneshot::Sender<desk::IncidentReply>),
    /// Somebody says something of a promise: is it done?
    Promise(Said, oneshot::Sender<bool>),
    /// What is owed to a hospital's customers.
    Promises(desk::TenantId, oneshot::Sender<Owed>),
    /// Serve this from now on, and say when it is so.
    Publish(Box<Fresh>, oneshot::Sender<()>),
    /// A hospital's people from now on, and when they can be called; those of before are sent back.
    People(
        desk::TenantId,
        Box<desk::Directory>,
        Box<desk::Callable>,
        oneshot::Sender<Option<desk::Directory>>,
    ),
}

/// Where a named gateway of a trunk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The trunk.
    pub trunk: Arc<str>,
    /// Its place among the trunk's gateways.
    pub gateway: usize,
    /// The best first; empty when there is no such name.
    pub targets: Vec<sip::locate::Target>,
}

impl Node {
    /// Runs until the control channel is closed; then hangs up on everybody and
    /// writes what there is to write.
    ///
    /// # Errors
    /// When the socket can't be used any more.
    pub async fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; DATAGRAM_MAX];
        let mut inputs: VecDeque<Input> = VecDeque::new();
        let mut unsent: VecDeque<sip::Transmit> = VecDeque::new();
        let socket = Arc::clone(&self.socket);
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        let mut stop_by: Option<Duration> = None;
        self.service(true);
        loop {
            let wake = self.next_timeout().unwrap_or(Duration::MAX);
            let wake = wake
                .min(self.clock.now().mono + IDLE_MAX)
                .min(stop_by.unwrap_or(Duration::MAX));
            timer
                .as_mut()
                .reset(tokio::time::Instant::from_std(self.clock.epoch() + wake));
            // Which of them woke it doesn't matter: all are looked into below,
            // so that a flood on one never keeps the others waiting.
            tokio::select! {
                readable = socket.readable() => readable?,
                writable = socket.writable(), if !unsent.is_empty() => writable?,
                Some(arrived) = self.streams.recv() => self.arrived(arrived, &mut inputs),
                Some(event) = self.media_events.recv() => inputs.push_back(Input::Media(event)),
                Some(batch) = self.done.recv() => self.committed(batch),
                Some(ready) = self.ready.recv() => {
                    self.prompter.ready(ready, |input| inputs.push_back(input));
                }
                Some(answer) = self.answers.recv() => inputs.push_back(answer.into()),
                Some(checked) = self.checked.recv() => self.checked(checked),
                control = self.control.recv(), if stop_by.is_none() => {
                    if !self.control_says(control, &mut inputs) {
                        self.service(false);
                        inputs.push_back(Input::HangUpAll);
                        stop_by = Some(self.clock.now().mono + FAREWELL_MAX);
                    }
                }
                () = &mut timer => {}
            }
            self.receive(&mut buffer, &mut inputs);
            for _ in 0..BATCH_MAX {
                let Some(arrived) = self.streams.try_recv() else {
                    break;
                };
                self.arrived(arrived, &mut inputs);
            }
            for _ in 0..BATCH_MAX {
                let Ok(event) = self.media_events.try_recv() else {
                    break;
                };
                inputs.push_back(Input::Media(event));
            }
            for _ in 0..BATCH_MAX {
                let Ok(batch) = self.done.try_recv() else {
                    break;
                };
                self.committed(batch);
            }
            for _ in 0..BATCH_MAX {
                let Ok(ready) = self.ready.try_recv() else {
                    break;
                };
                self.prompter.ready(ready, |input| inputs.push_back(input));
            }
            for _ in 0..BATCH_MAX {
                let Ok(answer) = self.answers.try_recv() else {
                    break;
                };
                inputs.push_back(answer.into());
            }
            while let Ok(checked) = self.checked.try_recv() {
                self.checked(checked);
            }
            if stop_by.is_none()
                && let Ok(control) = self.control.try_recv()
            {
                self.control_says(Some(control), &mut inputs);
            }
            // More of the same is waiting already when a batch was full.
            let pause = (BUSY_INPUTS..BATCH_MAX).contains(&inputs.len());
            self.due(&mut inputs);
            self.pump(&mut inputs, &mut unsent);
            if pause {
                // The thread is the pump's alone, and to be woken by nothing is the point.
                std::thread::sleep(PAUSE);
            }
            if let Some(stop_by) = stop_by {
                // Gone are all whose journeys' ends are known to the desk.
                let over = self.switch.is_idle()
                    && self.desk.load().commits_in_flight == 0
                    && self.desk.load().events_waiting == 0
                    && !self.switch.is_registering()
                    && unsent.is_empty();
                if over || self.clock.now().mono >= stop_by {
                    return Ok(());
                }
            }
        }
    }

    /// We begin, or stop: for the figures of agents.
    fn service(&mut self, begins: bool) {
        let Now {
            mono: now,
            wall: at,
        } = self.clock.now();
        let tenant = self.operator;
        let service = desk::Service { tenant, at, begins };
        self.desk.handle(now, desk::Input::Service(service));
    }

    /// False when the process is to stop.
    fn control_says(&mut self, control: Option<Control>, inputs: &mut VecDeque<Input>) -> bool {
        match control {
            None => return false,
            Some(Control::Drain) => inputs.push_back(Input::Drain),
            Some(Control::Located(Located {
                trunk,
                gateway,
                targets,
            })) => {
                for target in &targets {
                    self.streams
                        .gateway(target.peer, target.tls_name.as_deref());
                }
                inputs.push_back(Input::Located {
                    trunk,
                    gateway,
                    peers: targets.into_iter().map(|target| target.peer).collect(),
                });
            }
            Some(Control::Close {
                tenant,
                calendar,
                exception,
            }) => {
                let Now { mono, wall } = self.clock.now();
                let changed = desk::HoursChanged {
                    tenant,
                    at: wall,
                    hours: desk::FlowName::new(&calendar),
                    to: exception.map(|it| (it.open, it.until)),
                };
                self.desk.handle(mono, desk::Input::Hours(changed));
                inputs.push_back(Input::Close {
                    tenant,
                    calendar,
                    exception,
                });
            }
            Some(Control::Ticket(deed, reply)) => {
                let Now { mono, wall } = self.clock.now();
                let command = self.deeds.command(wall, deed, reply);
                self.desk.handle(mono, desk::Input::Ticket(command));
            }
            Some(Control::Incident(ask, reply)) => {
                let Now { mono, wall } = self.clock.now();
                let command = self.deeds.incident(wall, ask, reply);
                self.desk.handle(mono, desk::Input::Incident(command));
            }
            Some(Control::Publish(fresh, done)) => {
                // Whoever waited for it may have given up.
                if fresh.claim.take() {
                    self.publish(*fresh);
                    let _ = done.send(());
                }
            }
            Some(Control::Promise(said, reply)) => {
                let Now { mono, wall } = self.clock.now();
                let update = self.deeds.promise(wall, said, reply);
                self.desk.handle(mono, desk::Input::Promise(update));
            }
            Some(Control::Promises(tenant, reply)) => {
                let owed = self.desk.promises().filter(|(of, ..)| *of == tenant);
                let owed = owed.map(|(_, promise, facts)| (promise, *facts));
                let _ = reply.send(owed.collect());
            }
            Some(Control::People(tenant, directory, callable, done)) => {
                self.desk.set_callable(tenant, *callable);
                // Whoever asked has the time to drop so many.
                let _ = done.send(self.desk.set_directory(tenant, *directory));
            }
            Some(Control::Status(reply)) => {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(self.status());
            }
        }
        true
    }

    /// All of it between two inputs: no call ever sees half.
    fn publish(&mut self, fresh: Fresh) {
        let Now {
            mono: now,
            wall: at,
        } = self.clock.now();
        for (language, fixed) in fresh.prompts {
            self.prompter.add_fixed(language, fixed);
        }
        for (tenant, directory) in fresh.directories {
            self.desk.set_directory(tenant, directory);
        }
        for (tenant, rules) in fresh.ticket_rules {
            self.desk.set_ticket_rules(tenant, rules);
        }
        for (tenant, rules) in fresh.incident_rules {
            self.desk.set_incident_rules(tenant, rules);
        }
        for (tenant, callable) in fresh.callable {
            self.desk.set_callable(tenant, callable);
        }
        for (tenant, rules) in fresh.verification {
            self.desk.set_verification(tenant, rules);
        }
        self.verifier.send_by(fresh.code_actions);
        self.actions.serve(fresh.actions);
        self.acd.reconfigure(now, fresh.acd);
        for gateway in addresses_of(&fresh.switch) {
            self.streams.gateway(gateway, None);
        }
        self.switch.reconfigure(fresh.switch);
        for published in fresh.published {
            let input = desk::Input::Published(published.at(at));
            self.desk.handle(now, input);
        }
    }

    fn committed(&mut self, batch: Vec<Done>) {
        let now = self.clock.now().mono;
        for done in batch {
            let failed = matches!(done, Done::Failed(_));
            self.counters.store_failed += u64::from(failed);
            self.store_failing = failed;
            self.desk.handle(
                now,
                match done {
                    Done::Committed(id) => desk::Input::Committed { id },
                    Done::Failed(id) => desk::Input::CommitFailed { id },
                },
            );
        }
    }

    /// The desk judges, whatever has become of the call.
    fn checked(&mut self, checked: desk::Checked) {
        let now = self.clock.now().mono;
        self.desk.handle(now, desk::Input::Checked(checked));
    }

    fn next_timeout(&self) -> Option<Duration> {
        [
            self.switch.poll_timeout(),
            self.acd.poll_timeout(),
            self.desk.poll_timeout(),
            self.prompter.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn due(&mut self, inputs: &mut VecDeque<Input>) {
        let now = self.clock.now();
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now.mono);
        if is_due(self.switch.poll_timeout()) {
            self.switch.handle_timeout(now);
        }
        if is_due(self.acd.poll_timeout()) {
            self.acd.handle_timeout(now.mono);
        }
        if is_due(self.desk.poll_timeout()) {
            self.desk.handle_timeout(now.mono);
        }
        self.prompter
            .on_timeout(now.mono, |input| inputs.push_back(input));
    }

    fn receive(&mut self, buffer: &mut [u8], inputs: &mut VecDeque<Input>) {
        for _ in 0..BATCH_MAX {
            let (length, source) = match self.socket.try_recv_from(buffer) {
                Ok(received) => received,
                // An ICMP error of an earlier datagram is reported here; whose
                // it was isn't said, so the transactions' own timers find out.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(_) => return,
            };
            self.counters.datagrams += 1;
            let peer = sip::Peer::udp(source);
            match sip::parse_datagram(buffer.get(..length).unwrap_or_default(), peer) {
                Ok(message) => inputs.push_back(Input::Sip { peer, message }),
                Err(sip::WireError::Answer(answer)) => {
                    self.counters.unreadable += 1;
                    self.send(&answer);
                }
                Err(sip::WireError::Silence(_)) => self.counters.unreadable += 1,
            }
        }
    }

    /// Something came by a connection.
    fn arrived(&mut self, arrived: Arrived, inputs: &mut VecDeque<Input>) {
        match arrived {
            Arrived::Message { peer, message } => {
                self.counters.messages += 1;
                inputs.push_back(Input::Sip { peer, message });
            }
            Arrived::Unreadable(answer) => {
                self.counters.unreadable += 1;
                self.streams.send(&answer);
            }
            Arrived::Noise => self.counters.unreadable += 1,
            Arrived::Accepted(stream, by, _place) => self.streams.accepted(stream, by),
            Arrived::Certified { peer, names } => {
                inputs.push_back(Input::Certified { peer, names });
            }
            Arrived::Closed { peer, serial } => {
                if self.streams.closed(peer, serial) {
                    inputs.push_back(Input::PeerLost { peer });
                }
            }
        }
    }

    /// Carries messages until nobody has any.
    fn pump(&mut self, inputs: &mut VecDeque<Input>, unsent: &mut VecDeque<sip::Transmit>) {
        let now = self.clock.now();
        loop {
            while let Some(output) = self.switch.poll() {
                self.switch_wants(now, output, inputs, unsent);
            }
            while let Some(output) = self.acd.poll() {
                match output {
                    acd::Output::To(message) => inputs.push_back(Input::Acd(message)),
                    acd::Output::Notice(notice) => {
                        let notice = notices::translate(now, self.operator, notice);
                        self.desk.handle(now.mono, desk::Input::Notice(notice));
                    }
                }
            }
            while let Some(output) = self.desk.poll() {
                match output {
                    desk::Output::Commit(commit) => {
                        let id = commit.id;
                        if self.store.submit(commit).is_err() {
                            self.counters.store_refused += 1;
                            self.store_failing = true;
                            self.desk.handle(now.mono, desk::Input::CommitFailed { id });
                        }
                    }
                    desk::Output::Answer(answer) => inputs.push_back(Input::Desk(answer)),
                    desk::Output::Ticket(answer) => self.deeds.answered(answer),
                    desk::Output::Incident(answer) => self.deeds.told_of_incident(answer),
                    desk::Output::Prepare { tenant, texts } => {
                        self.prompter.prepare(tenant, &texts);
                    }
                    desk::Output::Callback(callback) => {
                        inputs.push_back(Input::Callback(callback));
                    }
                    desk::Output::CallbackOff { attempt, contact } => {
                        inputs.push_back(Input::CallbackOff { attempt, contact });
                    }
                    // Nobody can say anything about a promise yet.
                    desk::Output::PromiseUpdated { id, done } => self.deeds.updated(id, done),
                }
            }
            let Some(input) = inputs.pop_front() else {
                break;
            };
            self.switch.handle(now, input);
        }
        while let Some(transmit) = unsent.pop_front() {
            if !self.send(&transmit) {
                unsent.push_front(transmit);
                break;
            }
        }
    }

    fn switch_wants(
        &mut self,
        now: Now,
        output: Output,
        inputs: &mut VecDeque<Input>,
        unsent: &mut VecDeque<sip::Transmit>,
    ) {
        match output {
            Output::Transmit(transmit) if transmit.peer.transport.is_reliable() => {
                self.streams.send(&transmit);
            }
            Output::Transmit(transmit) => {
                if !unsent.is_empty() || !self.send(&transmit) {
                    if unsent.len() < UNSENT_MAX {
                        unsent.push_back(transmit);
                    } else {
                        self.counters.unsent += 1;
                    }
                }
            }
            Output::OpenMedia { key, with, .. } => {
                let hint = with.map_or(ThreadHint::Any, ThreadHint::With);
                inputs.push_back(match self.open_leg(hint) {
                    Ok((leg, port, secret)) => Input::MediaOpened {
                        key,
                        leg,
                        port,
                        secret,
                    },
                    Err(error) => {
                        self.counters.media_refused += 1;
                        // Ever more rarely: whoever is out of legs refuses thousands of calls.
                        let refused = self.counters.media_refused;
                        if refused.is_power_of_two() {
                            tracing::warn!(%error, refused, "no media leg");
                        }
                        Input::MediaRefused { key }
                    }
                });
            }
            Output::Media(command) => self.media_command(command, inputs),
            Output::Render { id, tenant, pieces } => {
                inputs.extend(self.prompter.render(now.mono, id, tenant, pieces));
            }
            Output::Query(query) => inputs.extend(self.actions.ask(query)),
            Output::Forget(id) => self.actions.forget(id),
            Output::SendCode(wanted) => {
                let entropy = self.entropy.code().ok();
                let query = entropy.and_then(|entropy| self.verifier.code(wanted, entropy));
                // What can't be sent is keyed in by nobody.
                if let Some(query) = query {
                    let _ = self.actions.ask(query);
                }
            }
            Output::Check(check) => {
                if let Some(refused) = self.verifier.check(check) {
                    self.checked(refused);
                }
            }
            Output::ToAcd(message) => self.acd.handle(now.mono, message),
            Output::ToDesk(command) => {
                self.desk.handle(now.mono, desk::Input::Command(command));
            }
            Output::Known { peer } => self.streams.known(peer),
            Output::SignInRefused { source, blocked } => {
                self.sign_in_refused(now, source, blocked);
            }
            Output::TrunkRegistered {
                trunk,
                registered: true,
                ..
            } => tracing::info!(trunk = &*trunk, "registered at the trunk's provider"),
            Output::TrunkRegistered { trunk, code, .. } => {
                tracing::warn!(
                    trunk = &*trunk,
                    code,
                    "not registered at the trunk's provider"
                );
            }
            Output::Note(note) => {
                notes::log(&note);
                if let Some(notes) = &self.notes {
                    // Whoever watches too slowly misses some.
                    let _ = notes.try_send(note);
                }
            }
        }
    }

    /// One line for each address and ten seconds, for whoever blocks such
    /// addresses; the address is the peer's, not a person's.
    fn sign_in_refused(&mut self, now: Now, source: IpAddr, blocked: bool) {
        if blocked {
            tracing::warn!(
                from = %source,
                "too many wrong passwords: for five minutes only who signed in from there before is let in"
            );
        }
        if self.refused_lately.len() >= REFUSED_MAX {
            self.refused_lately
                .retain(|_, at| now.mono < *at + REFUSED_EVERY);
        }
        let known = self.refused_lately.get(&source);
        let quiet = known.is_some_and(|at| now.mono < *at + REFUSED_EVERY);
        if !quiet && self.refused_lately.len() < REFUSED_MAX {
            self.refused_lately.insert(source, now.mono);
            tracing::warn!(from = %source, "sign-in refused: wrong password or user");
        }
    }

    fn open_leg(&mut self, hint: ThreadHint) -> Result<(LegId, u16, Secret), MediaError> {
        let secret = self.entropy.secret().map_err(|source| MediaError::System {
            what: "reading the random source",
            source,
        })?;
        match &mut self.media_side {
            MediaSide::Udp(bind) => {
                let opened = self.media.open(hint, *bind)?;
                Ok((opened.leg, opened.port, secret))
            }
            MediaSide::Ring { loose, .. } => {
                let (leg, end) = self.media.open_ring(hint)?;
                loose.insert(leg, end);
                // Nobody listens there: packets go through the ring.
                Ok((leg, 9, secret))
            }
        }
    }

    /// A leg through memory learns who its far side is when SDP says so.
    fn attach(&mut self, command: &MediaCommand) {
        let MediaSide::Ring { hub, loose } = &mut self.media_side else {
            return;
        };
        match command {
            MediaCommand::Connect {
                leg, negotiated, ..
            } => {
                if let Some(end) = loose.remove(leg)
                    && hub.attach(negotiated.remote_rtp, end).is_err()
                {
                    self.counters.media_busy += 1;
                }
            }
            MediaCommand::Close { leg } => {
                loose.remove(leg);
            }
            _ => {}
        }
    }

    fn media_command(&mut self, command: MediaCommand, inputs: &mut VecDeque<Input>) {
        self.attach(&command);
        let played = match &command {
            MediaCommand::Play { leg, play, .. } => Some((*leg, *play)),
            _ => None,
        };
        if self.media.command(command).is_err() {
            self.counters.media_busy += 1;
            // A prompt that never starts must end all the same, or its flow
            // would wait for it.
            if let Some((leg, play)) = played {
                inputs.push_back(Input::Media(MediaEvent::PlayEnded {
                    leg,
                    play,
                    outcome: media::engine::PlayOutcome::Stopped,
                }));
            }
        }
    }

    fn send(&self, transmit: &sip::Transmit) -> bool {
        match self.socket.try_send_to(&transmit.bytes, transmit.peer.addr) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            // Unreachable, refused, too large: what UDP would lose on the way.
            Ok(_) | Err(_) => true,
        }
    }
}
