//! Read-only views, for status pages and the wallboard.

use std::time::Duration;

use crate::{AgentId, AgentState, Class, ContactId, OfferId, QueueId, TenantId, Visit};

/// A queue at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueView {
    /// Which.
    pub queue: QueueId,
    /// Contacts waiting, without those being offered.
    pub waiting: u32,
    /// Agents signed in for it, free or not.
    pub signed_in: u32,
    /// Agents free for it: available, or given a turn in spite of resting.
    pub free: u32,
    /// When whoever waits longest began to; those being offered wait too.
    pub oldest: Option<Duration>,
}

/// A contact in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingView {
    /// Who.
    pub contact: ContactId,
    /// Which stay.
    pub visit: Visit,
    /// The hospital.
    pub tenant: TenantId,
    /// How urgent.
    pub class: Class,
    /// When it began to wait.
    pub since: Duration,
}

/// An agent at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentView {
    /// Who.
    pub agent: AgentId,
    /// What they are doing.
    pub state: AgentState,
    /// Since when.
    pub since: Duration,
    /// The offer being rung, if any.
    pub offer: Option<OfferId>,
}
