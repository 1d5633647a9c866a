//! The machine: one door in, one door out, time as an argument.

use std::collections::VecDeque;
use std::time::Duration;

use crate::{AgentView, FromAcd, Notice, QueueId, QueueView, Setup, ToAcd, WaitingView};

/// What comes out of [`Acd::poll`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A message to the calls.
    To(FromAcd),
    /// Something that happened, for the event log and the wallboard.
    Notice(Notice),
}

/// The distributor.
///
/// Drive it so: [`handle`](Self::handle) each message as it comes and
/// [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout) is due; after each of them take
/// [`poll`](Self::poll) until it gives nothing more. `now` never runs
/// backwards (if it does, it is taken as standing still).
#[derive(Debug)]
pub struct Acd {
    outputs: VecDeque<Output>,
}

impl Acd {
    /// A distributor that knows nobody's whereabouts yet.
    #[must_use]
    pub fn new(_setup: Setup) -> Self {
        Self {
            outputs: VecDeque::new(),
        }
    }

    /// Takes a message.
    pub fn handle(&mut self, _now: Duration, _message: ToAcd) {}

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Duration) {}

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    /// The next thing to send or to record.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Replaces people, queues, rules and limits, and keeps the live facts.
    /// The seed is ignored.
    pub fn reconfigure(&mut self, _now: Duration, _setup: Setup) {}

    /// A queue at a glance; `None` for an unknown one.
    #[must_use]
    pub fn queue(&self, _queue: QueueId) -> Option<QueueView> {
        None
    }

    /// Who waits in a queue, in the order of service (aging turns aside), without those being offered.
    pub fn waiting(&self, _queue: QueueId) -> impl Iterator<Item = WaitingView> + '_ {
        std::iter::empty()
    }

    /// Everybody, by id.
    pub fn agents(&self) -> impl Iterator<Item = AgentView> + '_ {
        std::iter::empty()
    }
}
