//! How things are, for whoever asks.

use std::time::Duration;

use super::Node;

/// How things are.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// When this was so: time since the process began.
    pub at: Duration,
    /// Calls in progress, those to emergency services among them.
    pub calls: u32,
    /// Calls to emergency services in progress.
    pub emergency_calls: u32,
    /// No new calls are taken any more.
    pub draining: bool,
    /// Every analyst.
    pub agents: Vec<acd::AgentView>,
    /// Every queue.
    pub queues: Vec<acd::QueueView>,
    /// Every trunk.
    pub trunks: Vec<TrunkStatus>,
    /// Counts of the switch.
    pub switch: switch::Counters,
    /// SIP legs, transactions and index entries kept.
    pub kept: (usize, usize, usize),
    /// Load of the desk.
    pub desk: desk::Load,
    /// The latest write that the store answered failed.
    pub store_failing: bool,
    /// Counts of the voice.
    pub prompts: crate::prompter::Counters,
    /// Counts of the pump.
    pub pump: Counters,
}

impl Status {
    /// How long the oldest write has waited for the store.
    pub fn oldest_write(&self) -> Duration {
        let since = self.desk.oldest_commit.unwrap_or(self.at);
        self.at.saturating_sub(since)
    }
}

/// How a trunk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkStatus {
    /// Its name.
    pub name: String,
    /// Calls it carries.
    pub calls: u32,
    /// Gateways that work, as far as is known.
    pub gateways_alive: usize,
    /// Whether we are registered at its provider, where we register.
    pub registered: Option<bool>,
}

/// What the pump counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams received.
    pub datagrams: u64,
    /// Messages received by connections.
    pub messages: u64,
    /// Of both, not SIP or not to be answered.
    pub unreadable: u64,
    /// Datagrams that a full socket lost.
    pub unsent: u64,
    /// Commands that a media thread was too busy for.
    pub media_busy: u64,
    /// Media legs that could not be opened.
    pub media_refused: u64,
    /// Writes that the store didn't take.
    pub store_refused: u64,
    /// Writes that it took, and that failed.
    pub store_failed: u64,
}

impl Node {
    pub(super) fn status(&self) -> Status {
        let now = self.clock.now().mono;
        Status {
            at: now,
            calls: self.switch.calls(),
            emergency_calls: self.switch.emergency_calls(),
            draining: self.switch.is_draining(),
            agents: self.acd.agents().collect(),
            queues: self.acd.queues().collect(),
            trunks: self
                .switch
                .trunks()
                .map(|(name, calls, gateways_alive)| TrunkStatus {
                    name: name.to_owned(),
                    calls,
                    gateways_alive,
                    registered: self.switch.is_registered(now, name),
                })
                .collect(),
            switch: self.switch.counters(),
            kept: self.switch.kept(),
            desk: self.desk.load(),
            store_failing: self.store_failing,
            prompts: self.prompter.counters(),
            pump: self.counters,
        }
    }
}

#[cfg(test)]
impl Status {
    /// Nobody calls.
    pub(crate) fn quiet(at: Duration) -> Self {
        Self {
            at,
            calls: 0,
            emergency_calls: 0,
            draining: false,
            agents: Vec::new(),
            queues: Vec::new(),
            trunks: Vec::new(),
            switch: switch::Counters::default(),
            kept: (0, 0, 0),
            desk: desk::Load::default(),
            store_failing: false,
            prompts: crate::prompter::Counters::default(),
            pump: Counters::default(),
        }
    }
}
