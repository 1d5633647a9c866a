//! The product's own telephone: a small SIP user agent.
//!
//! It serves three ends: `careline call`, with which an administrator dials a number and reads live what is heard; the
//! stand-ins of the demo (an analyst's phone, the after-hours partner's); and the end-to-end tests, where dozens of
//! phones live in one process and tell by ear whether both parties of a call hear *each other*.
//!
//! [`Phone::start`] makes one task that owns a [`sip::Endpoint`], its UDP socket, the registration and the calls.
//! Audio goes through legs of [`crate::rtp`]. The phone is told what to do through [`Phone`]'s methods and tells what
//! happens through [`PhoneEvents`]; both ways are bounded.
//!
//! What it hears is found by comparing received audio with the clips it knows ([`hearing`]): a prompt that arrived
//! bit by bit as it was rendered is told from one that was merely recognisable.

mod audio;
mod call;
mod config;
mod event;
pub mod hearing;
mod marker;
pub mod printer;
mod registration;
mod report;
pub mod script;
mod signalling;
mod task;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use media::clip::Clip;
use tokio::sync::{mpsc, oneshot};

pub use audio::{PhoneAudio, RingHub};
pub use config::{AnswerPolicy, Ears, KeysBy, PhoneConfig, PhoneMedia, Registration, Voice};
pub use event::{CallId, PhoneEvent, PhoneEventKind};
pub use hearing::{Hearing, HearingEvent, Library, Sound};
pub use marker::Marker;
pub use printer::{Printer, details, moment};
pub use report::{CallReport, Direction, HungUpBy, Pressed, PromptHeard};
pub use script::Script;

/// Most commands that wait for a phone's task.
const COMMANDS_MAX: usize = 64;
/// Most events that wait for whoever reads them. What is heard is dropped (and counted) beyond that; calls' ends never.
const EVENTS_MAX: usize = 1_024;

/// Why a phone couldn't do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    /// The SIP socket couldn't be bound.
    #[error("can't bind the telephone to {addr}: {source}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// No leg for the call's audio.
    #[error("no audio for the call: {0}")]
    Media(#[from] crate::rtp::MediaError),
    /// What was dialled can't be written as a SIP URI.
    #[error("can't dial {0:?}")]
    Number(String),
    /// The keys to press hold something that isn't on a telephone.
    #[error("{0:?} is not a key of a telephone (0-9 * # A-D)")]
    Key(char),
    /// The phone has stopped.
    #[error("the telephone is switched off")]
    Stopped,
    /// Nothing of the kind happened in the time allowed.
    #[error("waited {0:?} in vain")]
    TimedOut(Duration),
}

/// What a call is begun with.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    /// Header lines added to the INVITE, `(name, value)`.
    pub headers: Vec<(String, String)>,
    /// What the phone does by itself once the call is answered.
    pub script: Script,
    /// Sentences the script speaks, rendered beforehand: see [`Script::sentences`].
    pub sentences: Vec<(String, Arc<Clip>)>,
    /// From user part in place of the phone's own number (a trunk's phone calls as many people).
    pub from: Option<String>,
}

/// What a phone is told. The answers come by one-shot channels.
#[derive(Debug)]
enum Order {
    Call {
        number: String,
        options: CallOptions,
        reply: oneshot::Sender<Result<CallId, PhoneError>>,
    },
    Answer(CallId),
    Reject(CallId, u16),
    HangUp(CallId),
    Press(CallId, Vec<media::dtmf::Digit>),
    Speak(CallId, Voice),
    Follow(CallId, Script),
    Policy(AnswerPolicy),
    Stop(oneshot::Sender<()>),
}

/// A running telephone. It goes on until [`Phone::stop`]; a `Phone` dropped stops without waiting for its farewells.
#[derive(Debug)]
pub struct Phone {
    orders: mpsc::Sender<Order>,
    address: SocketAddr,
    started: tokio::time::Instant,
}

impl Phone {
    /// Binds the socket and starts the phone's task on the current tokio runtime. With a registration, REGISTER is
    /// sent at once; its outcome is an event.
    ///
    /// # Errors
    /// [`PhoneError::Bind`].
    pub async fn start(config: PhoneConfig) -> Result<(Phone, PhoneEvents), PhoneError> {
        let (events_tx, events) = mpsc::channel(EVENTS_MAX);
        let (orders, orders_rx) = mpsc::channel(COMMANDS_MAX);
        let (address, started) = task::start(config, orders_rx, events_tx).await?;
        let phone = Phone {
            orders,
            address,
            started,
        };
        Ok((phone, PhoneEvents { events }))
    }

    /// Where it listens for SIP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// When it started, from which its events count.
    pub fn started(&self) -> tokio::time::Instant {
        self.started
    }

    /// Dials a number (or a whole `sip:` URI) through the configured server.
    ///
    /// # Errors
    /// When it can't be dialled, there is no audio for it, or the phone has stopped.
    pub async fn call(&self, number: &str) -> Result<CallId, PhoneError> {
        self.call_with(number, CallOptions::default()).await
    }

    /// Dials with header lines, a script or another caller's number.
    ///
    /// # Errors
    /// As [`Phone::call`].
    pub async fn call_with(
        &self,
        number: &str,
        options: CallOptions,
    ) -> Result<CallId, PhoneError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Call {
            number: number.to_owned(),
            options,
            reply,
        })
        .await?;
        answer.await.map_err(|_| PhoneError::Stopped)?
    }

    /// Answers a call that rings ([`AnswerPolicy::Manual`] or `Ring`).
    ///
    /// # Errors
    /// [`PhoneError::Stopped`].
    pub async fn answer(&self, call: CallId) -> Result<(), PhoneError> {
        self.order(Order::Answer(call)).await
    }

    /// Refuses a call that rings.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`].
    pub async fn reject(&self, call: CallId, code: u16) -> Result<(), PhoneError> {
        self.order(Order::Reject(call, code)).await
    }

    /// Hangs up, whatever the call's state. Its end comes as an event with the report.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`].
    pub async fn hang_up(&self, call: CallId) -> Result<(), PhoneError> {
        self.order(Order::HangUp(call)).await
    }

    /// Presses keys, 100 ms each with 100 ms between, sent as RFC 4733 events.
    ///
    /// # Errors
    /// [`PhoneError::Key`] for what isn't a key, or [`PhoneError::Stopped`].
    pub async fn press(&self, call: CallId, keys: &str) -> Result<(), PhoneError> {
        self.order(Order::Press(
            call,
            script::keys(keys).map_err(PhoneError::Key)?,
        ))
        .await
    }

    /// Speaks into the call, in place of what it said before.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`].
    pub async fn speak(&self, call: CallId, voice: Voice) -> Result<(), PhoneError> {
        self.order(Order::Speak(call, voice)).await
    }

    /// Follows a script from now on, in place of any other.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`].
    pub async fn follow(&self, call: CallId, script: Script) -> Result<(), PhoneError> {
        self.order(Order::Follow(call, script)).await
    }

    /// Changes what is done with calls that come in from now on.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`].
    pub async fn set_policy(&self, policy: AnswerPolicy) -> Result<(), PhoneError> {
        self.order(Order::Policy(policy)).await
    }

    /// Hangs up all calls, takes back the registration (for at most two seconds) and ends the task.
    pub async fn stop(self) {
        let (reply, stopped) = oneshot::channel();
        if self.orders.send(Order::Stop(reply)).await.is_ok() {
            // An error says that the task is gone already, which is what was asked for.
            let _ = stopped.await;
        }
    }

    async fn order(&self, order: Order) -> Result<(), PhoneError> {
        self.orders
            .send(order)
            .await
            .map_err(|_| PhoneError::Stopped)
    }
}

/// What a phone tells, in order.
#[derive(Debug)]
pub struct PhoneEvents {
    events: mpsc::Receiver<PhoneEvent>,
}

impl PhoneEvents {
    /// The next event; none after the phone has stopped.
    pub async fn next(&mut self) -> Option<PhoneEvent> {
        self.events.recv().await
    }

    /// Reads on until `pick` takes something out of an event.
    ///
    /// # Errors
    /// [`PhoneError::TimedOut`] after `within`, or [`PhoneError::Stopped`].
    pub async fn until<T>(
        &mut self,
        within: Duration,
        mut pick: impl FnMut(&PhoneEvent) -> Option<T>,
    ) -> Result<T, PhoneError> {
        let search = async {
            loop {
                let event = self.events.recv().await.ok_or(PhoneError::Stopped)?;
                if let Some(found) = pick(&event) {
                    return Ok(found);
                }
            }
        };
        tokio::time::timeout(within, search)
            .await
            .unwrap_or(Err(PhoneError::TimedOut(within)))
    }

    /// Reads on until a call has ended, and returns its report.
    ///
    /// # Errors
    /// As [`PhoneEvents::until`].
    pub async fn ended(&mut self, within: Duration) -> Result<Box<CallReport>, PhoneError> {
        self.until(within, |event| match &event.kind {
            PhoneEventKind::Ended(report) => Some(report.clone()),
            _ => None,
        })
        .await
    }
}
