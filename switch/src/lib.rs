//! The calls.
//!
//! A [`Switch`] holds every [contact](contact) of one shard: it answers the
//! INVITE, lets the flow speak and listen, puts the caller in a queue, rings
//! an agent, joins the two and cleans up after them. It is a back-to-back user
//! agent: each side of a call is a SIP leg of its own.
//!
//! Pure: what happens goes in through [`Switch::handle`], what is to be done
//! comes out of [`Switch::poll`], time is an argument. Audio is played by media
//! threads, SIP bytes are sent by a socket, tickets are made durable by a
//! store: this crate only says so, and copes when they are late or fail.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]

mod admission;
mod contact;
mod dial;
mod emergency;
mod input;
mod phones;
mod registrations;
mod setup;
mod switch;
mod trunks;

pub use admission::{Admission, Limits, Permit, Refused};
pub use contact::View;
pub use dial::{Destination, DialRules, EMERGENCY_NUMBERS, Inside, OutsideRule};
pub use emergency::{
    CivicAddress, EMERGENCY_WORDS, Emergency, EmergencyNumber, EmergencyRoute, Station,
};
pub use input::{
    ActionEnd, Check, Counters, EmergencyStep, Input, MediaKey, Note, NoteSide, NoteWhat, Now,
    OneWay, Output, Query, QueryId, RenderId, SendCode,
};
pub use setup::{
    Account, Action, ActionLimits, Callbacks, CodecPolicy, Encryption, EncryptionPolicy,
    EncryptionUnavailable, Gateway, Line, Partner, Queue, Redirects, Register, Setup, SipSettings,
    Sounds, Tenant, Trunk,
};
pub use switch::Switch;
