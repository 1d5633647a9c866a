//! The distributor: who waits, who is free, who is offered to whom.
//!
//! Live facts only, and every one of them can be announced again by its owner:
//! an `Acd` that starts empty is right again within seconds. Pure: time is an
//! argument, nothing here knows a clock, a socket or a phone.

mod acd;
mod agents;
mod contacts;
mod ids;
mod matching;
mod memory;
mod message;
mod offers;
mod order;
mod presence;
mod reconfigure;
mod setup;
mod talk;
mod timers;
mod view;

pub use acd::{Acd, Output};
pub use message::*;
pub use setup::{AgentSetup, Aging, Limits, Membership, QueueSetup, Rules, Setup};
pub use view::{AgentView, QueueView, WaitingView};
