//! The distributor: who waits, who is free, who is offered to whom.
//!
//! Live facts only, and every one of them can be announced again by its owner:
//! an `Acd` that starts empty is right again within seconds. Pure: time is an
//! argument, nothing here knows a clock, a socket or a phone.
//!
//! One way through it: a call says [`ToAcd::Wait`]. The contact takes its place
//! in the line of its queue; if an agent is free for that queue, the two are
//! reserved for each other and [`FromAcd::Offer`] goes out, once more every
//! 500 ms until it is acknowledged. The agent's phone rings
//! ([`ToAcd::Ringing`]) and is answered ([`ToAcd::Accept`]);
//! [`FromAcd::Confirm`] makes it a conversation, which is a lease like
//! everything else ([`ToAcd::Talking`]). [`ToAcd::Finish`] begins the wrap-up,
//! and after it the agent is free for whoever is next.
//!
//! # Whom
//!
//! | question | rule |
//! |---|---|
//! | which agent for a contact? | the lowest rank in that queue, then idle longest |
//! | which contact for an agent? | over all queues served: `CareStopped`, then clinicians, then staff and patients; by arrival |
//! | staff or patient? | a patient counts as having come two minutes later ([`Aging::patient_behind_staff`]) |
//! | does a low rank matter? | contacts of a queue served at rank r count as having come r × 30 s later ([`Rules::rank_step`]) |
//! | who starves? | nobody: after four clinicians in a row an agent takes who is overdue longest ([`Rules::clinicians_in_a_row`], [`Aging::overdue_after`]) |
//! | what do many patients cost a clinician? | the same as a few: that share of turns, never more |
//! | what overtakes `CareStopped`? | nothing |
//! | everybody rests? | who has rested longest gets the turn, after a breath of 2 s; if one is merely busy, rests stand |
//!
//! # What ends, and what then
//!
//! | what happened | the agent | the contact |
//! |---|---|---|
//! | ring-no-answer, phone unreachable | rests 30 s (of the queue) | keeps its place, next agent |
//! | busy, declined by key | rests 5 s (of the queue) | keeps its place, next agent |
//! | contact left, or waits anew | idle as long as before | gone, or in its new place |
//! | agent signed out, or lease over | signed out | keeps its place, next agent |
//! | nobody took notice of the offer for 3 s | idle as before, once the taking back is known (2 s at most) | keeps its place; offered again when heard of |
//! | rung, then silence until 2 s after the ringing | rests | keeps its place, next agent |
//! | answered, over before the confirmation | wrap-up | keeps its place until it says otherwise |
//! | conversation finished | wrap-up | its stay is over |
//! | signed in again after a sign-out | a rest is over, wrap-up and conversation are not | |
//! | sign-out during a conversation | talks on; then signed out | talks on |
//!
//! # Leases
//!
//! | fact | lives without being heard of |
//! |---|---|
//! | a wait | 10 s; if it is heard of again, it has its old place |
//! | a conversation | 30 s; if it is heard of again, the agent talks again |
//! | a registration | until its `until` |
//! | an offer | until its `until` and 2 s more; 3 s if never acknowledged |
//! | that a stay or an offer is over | 60 s ([`Limits::remembered_for`]) |
//!
//! # Invariants
//!
//! Held under any order, loss and doubling of messages (`tests/world`): one live
//! offer per agent and per contact; one accepted offer per stay; a stay that is
//! over never comes back; nobody is free for a queue in which somebody waits;
//! after every event each of these holds again before `handle` returns.
//!
//! Between hospitals in a shared queue there is arrival order and nothing else
//! yet: no share is kept for a hospital when another floods the queue.

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
