//! Media threads: sockets and clocks around [`media::engine::Engine`].
//!
//! Each thread is of the operating system, never tokio's, and owns one engine with its legs. Every millisecond, by an
//! absolute clock, it sends what is due, then reads what came. Signalling opens legs (binding their sockets on its
//! own thread) and hands in commands through a bounded mailbox; events come out of one bounded channel.

mod attention;
mod config;
mod figures;
mod io;
mod mailbox;
mod port;
mod ports;
mod reader;
mod ring;
mod seats;
#[cfg(test)]
mod tests;
mod worker;

pub use config::MediaConfig;
pub use figures::{Figures, JITTER_BOUNDS_US, LATENESS_BOUNDS_US, LOSS_BOUNDS_MILLI, Quality};
pub use port::HeardFrame;
pub use ring::{RING_PACKET_BYTES, RingPhone};

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use media::engine::{Command, EngineConfig, Event, LegId};
use tokio::sync::mpsc;

use figures::Counters;
use mailbox::{Mailbox, Message};
use port::LegPort;
use ports::PortPool;
use seats::Seats;
use worker::Worker;

/// On which media thread a leg shall live. Legs that are ever bridged live on one thread: a contact's first leg
/// says `Any`, all others of the contact follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadHint {
    /// The thread with the fewest legs.
    Any,
    /// The thread this leg lives on.
    With(LegId),
}

/// Why a leg couldn't be opened or a command not be taken.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// No RTP port is free (those just released rest for a while).
    #[error("no RTP port is free")]
    PortsExhausted,
    /// The thread has all the legs it may have.
    #[error("the media thread has no room for another leg")]
    LegsExhausted,
    /// The address isn't one that media listens on.
    #[error("media does not listen on {0}")]
    Address(IpAddr),
    /// No thread of that number.
    #[error("no such media thread")]
    Thread,
    /// The thread doesn't keep up with its commands.
    #[error("the media thread is too busy")]
    Busy,
    /// A system call failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl MediaError {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(nix::Error) -> MediaError {
        move |errno| MediaError::System {
            what,
            source: errno.into(),
        }
    }
}

/// A leg with UDP sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedLeg {
    /// Its name.
    pub leg: LegId,
    /// The RTP port, even; RTCP is at the port after it.
    pub port: u16,
}

/// The media threads. Cheap to clone; the threads end with the last clone, or when [`Media::stop`] is called.
#[derive(Debug, Clone)]
pub struct Media {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    threads: Vec<Thread>,
    bind: Vec<IpAddr>,
    ports: Arc<PortPool>,
    joins: Mutex<Vec<JoinHandle<()>>>,
}

/// What the signalling side knows of a media thread.
#[derive(Debug)]
struct Thread {
    mailbox: Arc<Mailbox>,
    seats: Arc<Seats>,
    counters: Arc<Counters>,
}

impl Media {
    /// Starts the threads. What they tell comes out of the receiver; when it is dropped, they go on untold.
    ///
    /// # Errors
    /// When a thread or what it needs can't be made.
    pub fn start(config: MediaConfig) -> Result<(Media, mpsc::Receiver<Event>), MediaError> {
        let (sender, receiver) = mpsc::channel(config.events_max.max(1));
        let ports = Arc::new(PortPool::new(&config));
        let mut threads = Vec::new();
        let mut joins = Vec::new();
        for number in 0..config.threads.max(1) {
            let thread = Thread {
                mailbox: Arc::new(Mailbox::new(config.commands_max)?),
                seats: Arc::new(Seats::new(number, config.legs_max)),
                counters: Arc::new(Counters::default()),
            };
            let engine = EngineConfig {
                // Another stream of numbers for each thread.
                seed: config.seed.wrapping_add(u64::from(number) << 56),
                rtp_timeout: config.rtp_timeout,
                ntp_at_epoch: ntp_at(&config),
                legs_max: config.legs_max,
                ..EngineConfig::default()
            };
            let worker = Worker::new(
                engine,
                config.epoch,
                thread.mailbox.clone(),
                thread.seats.clone(),
                thread.counters.clone(),
                ports.clone(),
                sender.clone(),
            )?;
            let priority = config.realtime_priority;
            let join = std::thread::Builder::new()
                .name(format!("media-{number}"))
                .spawn(move || {
                    let run = std::panic::AssertUnwindSafe(|| worker.run(priority));
                    if std::panic::catch_unwind(run).is_err() {
                        // Every call on this thread is silent for good, and nobody else can
                        // tell: the process ends, and its supervisor starts it anew.
                        std::process::abort();
                    }
                })
                .map_err(|source| MediaError::System {
                    what: "starting a media thread",
                    source,
                })?;
            joins.push(join);
            threads.push(thread);
        }
        let inner = Inner {
            threads,
            bind: config.bind,
            ports,
            joins: Mutex::new(joins),
        };
        let media = Media {
            inner: Arc::new(inner),
        };
        Ok((media, receiver))
    }

    /// Opens a leg with sockets on `bind`, one of the configured addresses. Doesn't wait for the thread.
    ///
    /// # Errors
    /// See [`MediaError`].
    pub fn open(&self, hint: ThreadHint, bind: IpAddr) -> Result<OpenedLeg, MediaError> {
        if !self.inner.bind.contains(&bind) {
            return Err(MediaError::Address(bind));
        }
        let thread = self.thread(hint)?;
        let leg = thread.seats.take().ok_or(MediaError::LegsExhausted)?;
        let opened = self.inner.ports.bind(bind).and_then(|(port, rtp, rtcp)| {
            let leg_port = LegPort::Udp {
                rtp,
                rtcp,
                port,
                bind,
                tied: None,
            };
            match thread.mailbox.open(leg, leg_port) {
                Ok(()) => Ok(OpenedLeg { leg, port }),
                Err(error) => {
                    self.inner.ports.release(port);
                    Err(error)
                }
            }
        });
        if opened.is_err() {
            thread.seats.leave(leg);
        }
        opened
    }

    /// Opens a leg without sockets whose far side is in this process: a browser, or the built-in test caller.
    ///
    /// # Errors
    /// See [`MediaError`].
    pub fn open_ring(&self, hint: ThreadHint) -> Result<(LegId, RingPhone), MediaError> {
        let thread = self.thread(hint)?;
        let leg = thread.seats.take().ok_or(MediaError::LegsExhausted)?;
        let opened = ring::pair().and_then(|(end, phone)| {
            thread.mailbox.open(leg, LegPort::ring(end))?;
            Ok((leg, phone))
        });
        if opened.is_err() {
            thread.seats.leave(leg);
        }
        opened
    }

    /// Hands a command to the leg's thread. Legs are opened by [`Media::open`], never by a command. `Close` is always
    /// taken: a leg that couldn't be closed would be lost.
    ///
    /// # Errors
    /// [`MediaError::Busy`] when too many commands wait.
    pub fn command(&self, command: Command) -> Result<(), MediaError> {
        let thread = self.thread(ThreadHint::With(command.leg()))?;
        match command {
            Command::Open { .. } => Ok(()),
            command => thread.mailbox.command(command),
        }
    }

    /// Sends the audio that comes from a leg to `listener`, until that is dropped. What doesn't fit is left out and
    /// counted.
    ///
    /// # Errors
    /// [`MediaError::Busy`] when too many commands wait.
    pub fn listen(&self, leg: LegId, listener: mpsc::Sender<HeardFrame>) -> Result<(), MediaError> {
        let thread = self.thread(ThreadHint::With(leg))?;
        thread.mailbox.post(Message::Listen { leg, listener })
    }

    /// What all threads did so far.
    pub fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for thread in &self.inner.threads {
            thread.counters.add_to(&mut figures);
            figures.legs += u64::from(thread.seats.taken());
            figures.commands_refused += thread.mailbox.refused();
        }
        figures.ports_free = self.inner.ports.free() as u64;
        figures
    }

    /// Ends the threads, without goodbyes. For an orderly end close the legs first.
    pub fn stop(&self) {
        self.inner.stop();
    }

    fn thread(&self, hint: ThreadHint) -> Result<&Thread, MediaError> {
        let threads = &self.inner.threads;
        match hint {
            ThreadHint::With(leg) => threads.get(usize::from(leg.thread())),
            ThreadHint::Any => threads.iter().min_by_key(|thread| thread.seats.taken()),
        }
        .ok_or(MediaError::Thread)
    }
}

impl Inner {
    fn stop(&self) {
        for thread in &self.threads {
            thread.mailbox.stop();
        }
        for join in lock(&self.joins).drain(..) {
            // A panic there was reported by the panic hook; there is nothing left to clean up.
            let _ = join.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Locks, also after a panic in another thread: the data behind these locks is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The NTP time at the epoch of events.
fn ntp_at(config: &MediaConfig) -> Duration {
    /// From 1900 to 1970.
    const NTP_TO_UNIX: Duration = Duration::from_secs(2_208_988_800);
    let unix = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    (unix + NTP_TO_UNIX).saturating_sub(config.epoch.elapsed())
}

/// Binds a UDP socket.
fn udp(address: IpAddr, port: u16) -> std::io::Result<UdpSocket> {
    UdpSocket::bind(SocketAddr::new(address, port))
}
