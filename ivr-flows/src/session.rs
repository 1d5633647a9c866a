//! One caller's walk through a flow.

use std::sync::Arc;
use std::time::Duration;

use crate::{Facts, Flow, Input, Role, Step};

/// One caller's walk through a flow.
///
/// Driving it: [`start`](Session::start) once; then, whenever something
/// happened, [`handle`](Session::handle), and whenever the time that
/// [`poll_timeout`](Session::poll_timeout) names has come,
/// [`handle_timeout`](Session::handle_timeout). After each of these three call
/// [`poll`](Session::poll) until it gives `None`, carrying out each [`Step`] in
/// order. `now` is monotonic and never goes back.
///
/// The session never leaves the caller in silence: it always plays, or waits
/// for an answer or a key with a deadline, or has put the caller in a queue or
/// a conversation, or has ended the call.
#[derive(Debug)]
pub struct Session {
    flow: Arc<Flow>,
    facts: Facts,
}

impl Session {
    /// A session that has not begun.
    pub fn new(flow: Arc<Flow>, facts: Facts) -> Session {
        Session { flow, facts }
    }

    /// The call was answered: begin.
    pub fn start(&mut self, now: Duration) {
        let _ = now;
    }

    /// Something happened.
    pub fn handle(&mut self, now: Duration, input: Input) {
        let _ = (now, input);
    }

    /// The time of [`poll_timeout`](Session::poll_timeout) has come. Harmless when called early.
    pub fn handle_timeout(&mut self, now: Duration) {
        let _ = now;
    }

    /// When to call [`handle_timeout`](Session::handle_timeout), if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Step> {
        None
    }

    /// Who the caller is: what they said by a key, else what their number says.
    pub fn role(&self) -> Role {
        Role::Unknown
    }

    /// The ticket number, once there is one.
    pub fn ticket(&self) -> Option<&str> {
        None
    }

    /// The name of the node the caller is at.
    pub fn node(&self) -> &str {
        let _ = &self.facts;
        self.flow.name()
    }

    /// Whether the session has ended: no steps follow.
    pub fn ended(&self) -> bool {
        true
    }
}
