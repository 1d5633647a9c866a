//! The way from signalling to a media thread.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use media::engine::{Command, LegId};
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::mpsc;

use super::port::{HeardFrame, LegPort};
use super::{MediaError, lock};

/// What a media thread is told.
#[derive(Debug)]
pub(super) enum Message {
    Open {
        leg: LegId,
        port: LegPort,
    },
    Command(Command),
    Listen {
        leg: LegId,
        listener: mpsc::Sender<HeardFrame>,
    },
}

/// A bounded queue. A thread with legs looks into it every millisecond; one without sleeps on the eventfd.
#[derive(Debug)]
pub(super) struct Mailbox {
    messages: Mutex<VecDeque<Message>>,
    messages_max: usize,
    /// Something waits, or `stopped` was set. Spares the lock when nothing does.
    ready: AtomicBool,
    asleep: AtomicBool,
    stopped: AtomicBool,
    refused: AtomicU64,
    wake: EventFd,
}

impl Mailbox {
    pub(super) fn new(messages_max: usize) -> Result<Mailbox, MediaError> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Mailbox {
            messages: Mutex::new(VecDeque::new()),
            messages_max,
            ready: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            wake: EventFd::from_flags(flags).map_err(MediaError::system("eventfd"))?,
        })
    }

    pub(super) fn open(&self, leg: LegId, port: LegPort) -> Result<(), MediaError> {
        self.post(Message::Open { leg, port })
    }

    pub(super) fn command(&self, command: Command) -> Result<(), MediaError> {
        self.post(Message::Command(command))
    }

    pub(super) fn post(&self, message: Message) -> Result<(), MediaError> {
        // What decides who hears what is always taken: refused, it would leave somebody in silence
        // or lose a leg. It is bounded by the legs there are and what happens to each.
        let always = matches!(
            message,
            Message::Command(
                Command::Close { .. }
                    | Command::Connect { .. }
                    | Command::Bridge { .. }
                    | Command::Unbridge { .. }
                    | Command::Mix(_)
                    | Command::Loop { .. }
                    | Command::Stop { .. }
            )
        );
        {
            let mut messages = lock(&self.messages);
            if messages.len() >= self.messages_max && !always {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(MediaError::Busy);
            }
            messages.push_back(message);
        }
        self.ring();
        Ok(())
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.ring();
    }

    pub(super) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn wake(&self) -> &EventFd {
        &self.wake
    }

    /// Swaps what waits into `taken`, which is empty.
    pub(super) fn take(&self, taken: &mut VecDeque<Message>) {
        if self.ready.swap(false, Ordering::SeqCst) {
            std::mem::swap(&mut *lock(&self.messages), taken);
        }
    }

    /// Calls `sleep` unless something waits. Whoever posts meanwhile writes to the eventfd.
    pub(super) fn sleep(&self, sleep: impl FnOnce()) {
        self.asleep.store(true, Ordering::SeqCst);
        if !self.ready.load(Ordering::SeqCst) {
            sleep();
        }
        self.asleep.store(false, Ordering::SeqCst);
        // Readable or not, it is empty now; an error says that it was.
        let _ = self.wake.read();
    }

    fn ring(&self) {
        self.ready.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            // Fails only when it already holds more wake-ups than anybody could read.
            let _ = self.wake.write(1);
        }
    }
}
