//! SIP for Careline: the wire format, transactions, dialogs, call sessions
//! ("legs"), the registrar and digest authentication.
//!
//! Everything here is a pure machine. There is no clock, socket, thread or
//! random source: monotonic time is a [`Duration`](std::time::Duration) since
//! any fixed moment and is an argument, randomness comes from a seed, datagrams
//! go in through [`Endpoint::receive`] and come out of
//! [`Endpoint::poll_transmit`].
//!
//! The message model is rsip's [`Method`], [`StatusCode`], [`Header`] and
//! [`Headers`]; reading and writing them is done in [`wire`], because rsip's own
//! parser misreads much of what real peers send (`docs/rfc.md`).

pub mod digest;
pub mod endpoint;
pub mod info;
pub mod interface;
pub mod leg;
pub mod locate;
pub mod message;
pub mod redirect;
pub mod refer;
pub mod registrar;
pub mod registration;
pub mod wire;

mod dialog;
mod echo;
mod ids;
mod timers;
mod transaction;

pub use digest::Credentials;
pub use endpoint::{
    Class, Endpoint, EndpointConfig, Event, Limits, OutRequest, Reply, RequestId, SessionTimer,
    Timing, Transmit,
};
pub use interface::{Advertise, Interface, Net, Peer, Transport, is_private};
pub use leg::{Attachment, Bye, EndCause, Identity, Invite, LegId};
pub use message::{Message, Request, Response};
pub use rsip::{Header, Headers, Method, StatusCode};
pub use wire::{Uri, WireError, parse_datagram};
