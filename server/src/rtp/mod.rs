//! Media threads: sockets and clocks around [`media::engine::Engine`].

mod config;

pub use config::MediaConfig;

use std::net::IpAddr;

use media::engine::{Command, Event, LegId};
use tokio::sync::mpsc;

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

/// A leg with UDP sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedLeg {
    /// Its name.
    pub leg: LegId,
    /// The RTP port, even; RTCP is at the port after it.
    pub port: u16,
}

/// The media threads. Cheap to clone; the threads end when `stop` is called.
#[derive(Debug, Clone)]
pub struct Media {}

impl Media {
    /// Starts the threads. What they tell comes out of the receiver.
    ///
    /// # Errors
    /// When a thread or its clock can't be made, or an address isn't ours.
    pub fn start(_config: MediaConfig) -> Result<(Media, mpsc::Receiver<Event>), MediaError> {
        Err(MediaError::Busy)
    }

    /// Opens a leg with sockets on `bind`, one of the configured addresses. Doesn't wait for the thread.
    ///
    /// # Errors
    /// See [`MediaError`].
    pub fn open(&self, _hint: ThreadHint, _bind: IpAddr) -> Result<OpenedLeg, MediaError> {
        Err(MediaError::Busy)
    }

    /// Hands a command to the leg's thread. `Open` is sent by [`Media::open`], never by the caller. `Close` is always
    /// taken.
    ///
    /// # Errors
    /// [`MediaError::Busy`] when too many commands wait.
    pub fn command(&self, _command: Command) -> Result<(), MediaError> {
        Err(MediaError::Busy)
    }
}
