//! The four transaction machines of RFC 3261 section 17, each in a file of its
//! own and shaped like the RFC's figure, with RFC 6026's corrections.
//!
//! A machine knows neither sockets nor headers: it is told that a message came
//! and keeps the bytes it may have to repeat. Its owner sends what it returns
//! and calls `on_deadline` when `deadline` has come.

mod client;
mod invite_client;
mod invite_server;
mod server;

use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::Timing;

pub(crate) use client::Client;
pub(crate) use invite_client::InviteClient;
pub(crate) use invite_server::InviteServer;
pub(crate) use server::Server;

/// A message to be repeated.
pub(crate) type Datagram = Arc<[u8]>;

/// The RFC's timers (section 17, table 4, but J, which is alone in its machine; L and M from RFC 6026 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// INVITE request retransmission.
    A,
    /// INVITE transaction timeout.
    B,
    /// Wait time for response retransmissions, INVITE client.
    D,
    /// Non-INVITE request retransmission.
    E,
    /// Non-INVITE transaction timeout.
    F,
    /// INVITE response retransmission.
    G,
    /// Wait time for ACK receipt.
    H,
    /// Wait time for ACK retransmissions.
    I,
    /// Wait time for response retransmissions, non-INVITE client.
    K,
    /// Wait time for accepted INVITE request retransmissions.
    L,
    /// Wait time for retransmission of 2xx to INVITE or additional 2xx.
    M,
    /// The 200 ms after which an INVITE gets 100 (section 17.2.1).
    Trying,
}

/// What a due timer asks of the machine's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing yet.
    Nothing,
    /// Send this again.
    Repeat(Datagram),
    /// Send `100 Trying`, and tell the machine of it.
    Trying,
    /// The other side is silent: tell the user; the transaction is over.
    TimedOut,
    /// The transaction is over.
    Over,
}

/// What a client machine makes of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Received {
    /// Hand it to the user.
    PassUp,
    /// Hand it to the user, and send an ACK for it (non-2xx finals).
    AckAndPassUp,
    /// A repeat of a refusal: send this ACK again.
    Repeat(Datagram),
    /// Not to be seen.
    Drop,
}

/// 64*T1, the life of an unanswered transaction.
pub(crate) fn timeout(timing: &Timing) -> Duration {
    timing.t1 * 64
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    pub(crate) fn bytes(text: &str) -> Datagram {
        Arc::from(text.as_bytes())
    }
}
