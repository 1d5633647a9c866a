//! How an endpoint is made: addresses, timers, bounds.

use std::time::Duration;

use rsip::Method;

use crate::interface::Interface;

/// RFC 3261 section 17.1.1.1's timer values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Round-trip estimate; 500 ms.
    pub t1: Duration,
    /// Longest interval between repeats of a non-INVITE request or a 2xx; 4 s.
    pub t2: Duration,
    /// How long a message stays in the network; 5 s.
    pub t4: Duration,
    /// After how long an unanswered INVITE gets `100 Trying`; 200 ms
    /// (RFC 3261 section 17.2.1).
    pub trying_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            trying_after: Duration::from_millis(200),
        }
    }
}

/// RFC 4028's session timer: a call whose other side is gone, with nothing to
/// tell so, ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTimer {
    /// The interval we ask for and grant at most; 1800 s. `None`: calls have a
    /// timer only when the peer asks for one.
    pub interval: Option<Duration>,
    /// The shortest we take (Min-SE); 90 s, the least the RFC allows.
    pub min: Duration,
}

impl Default for SessionTimer {
    fn default() -> Self {
        Self {
            interval: Some(Duration::from_secs(1800)),
            min: Duration::from_secs(90),
        }
    }
}

/// What bounds an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most call legs at a time; further INVITEs get 503. 20,000.
    pub legs_max: usize,
    /// Most server and client transactions at a time; further requests get
    /// 503 without state. 400,000.
    pub transactions_max: usize,
    /// How long a call we make may go on without a final response; 180 s.
    pub ringing_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            legs_max: 20_000,
            transactions_max: 400_000,
            ringing_max: Duration::from_secs(180),
        }
    }
}

/// How an [`Endpoint`](super::Endpoint) is made.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Our addresses.
    pub interface: Interface,
    /// This endpoint's number, written into every branch, tag and Contact it
    /// mints.
    pub shard: u8,
    /// Seeds tags, branches and Call-IDs; they can't be guessed as long as it
    /// can't.
    pub seed: [u8; 32],
    /// Protocol timers.
    pub timing: Timing,
    /// Session timers.
    pub session: SessionTimer,
    /// User-Agent and Server header; neither is sent when `None`.
    pub user_agent: Option<String>,
    /// Bounds.
    pub limits: Limits,
    /// Whether REGISTER is handed up; it gets 405 otherwise.
    pub registrar: bool,
    /// Whether REFER is handed up; it gets 603 otherwise.
    pub transfers: bool,
    /// Methods outside dialogs that are handed up as [`Event::Other`](super::Event::Other)
    /// (besides those this crate handles).
    pub hand_up: Vec<Method>,
}

impl EndpointConfig {
    /// RFC defaults on `interface`.
    #[must_use]
    pub fn new(interface: Interface, shard: u8, seed: [u8; 32]) -> Self {
        Self {
            interface,
            shard,
            seed,
            timing: Timing::default(),
            session: SessionTimer::default(),
            user_agent: None,
            limits: Limits::default(),
            registrar: true,
            transfers: false,
            hand_up: Vec::new(),
        }
    }
}
