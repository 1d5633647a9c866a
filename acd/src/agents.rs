//! An agent: whether the phone is registered, and what the agent is doing. The
//! two are independent: a sign-out during a conversation lets it go on, and a
//! phone that comes back finds wrap-up and conversation as they were.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::timers::Lease;
use crate::{AgentId, AgentState, ContactId, OfferId, TenantId};

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) id: AgentId,
    pub(crate) posts: Vec<Post>,
    pub(crate) wrap_up: Duration,
    pub(crate) phone: Phone,
    /// The `at` of the latest sign-in or sign-out.
    pub(crate) heard_at: Duration,
    pub(crate) duty: Duty,
    /// Taken since the last contact of the general lane.
    pub(crate) clinicians_in_a_row: u8,
    /// The state last told, and since when.
    pub(crate) shown: AgentState,
    pub(crate) shown_since: Duration,
    /// For whom the after-call work is that goes on.
    pub(crate) wraps_up: Option<(TenantId, ContactId)>,
}

/// A queue (by index) that an agent serves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Post {
    pub(crate) queue: usize,
    pub(crate) rank: u8,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Phone {
    Out,
    Registered(Lease),
}

/// What an agent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    Free {
        idle: Idle,
    },
    /// One offer is live, or taken back and not yet known to be.
    Offered {
        offer: OfferId,
        /// Given back when the offer ends through no fault of the agent.
        idle: Idle,
    },
    /// More than one only when calls announce what can't be: while one lives, the agent talks.
    Talking {
        conversations: u32,
    },
    WrapUp {
        until: Duration,
    },
    Resting {
        since: Duration,
        until: Duration,
    },
}

/// Who has been idle longest is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Idle {
    pub(crate) since: Duration,
    /// Who became free first, of those at one instant.
    pub(crate) order: u64,
}

impl Agent {
    pub(crate) fn is_signed_in(&self) -> bool {
        matches!(self.phone, Phone::Registered(_))
    }

    pub(crate) fn is_free(&self) -> bool {
        self.is_signed_in() && matches!(self.duty, Duty::Free { .. })
    }

    /// The offer for which the agent is reserved.
    pub(crate) fn live_offer(&self) -> Option<OfferId> {
        match self.duty {
            Duty::Offered { offer, .. } => Some(offer),
            _ => None,
        }
    }

    pub(crate) fn state(&self) -> AgentState {
        match (self.duty, self.is_signed_in()) {
            (Duty::Talking { .. }, _) => AgentState::Talking,
            (_, false) => AgentState::SignedOut,
            (Duty::Free { .. }, true) => AgentState::Available,
            (Duty::Offered { .. }, true) => AgentState::Offered,
            (Duty::WrapUp { .. }, true) => AgentState::WrapUp,
            (Duty::Resting { .. }, true) => AgentState::Resting,
        }
    }
}

/// The agents of one queue who are signed in.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    pub(crate) signed_in: u32,
    /// By rank, then longest idle.
    free: BTreeSet<(u8, Idle, usize)>,
    /// By the begin of the rest.
    resting: BTreeSet<(Duration, usize)>,
}

impl Crew {
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// Whom to ring next.
    pub(crate) fn first_free(&self) -> Option<usize> {
        self.free.first().map(|&(_, _, agent)| agent)
    }

    /// When everybody signed in rests: who has rested longest, and since when.
    pub(crate) fn first_if_all_rest(&self) -> Option<(Duration, usize)> {
        if self.signed_in as usize != self.resting.len() {
            return None;
        }
        self.resting.first().copied()
    }

    pub(crate) fn enter(&mut self, rank: u8, index: usize, agent: &Agent) {
        if !agent.is_signed_in() {
            return;
        }
        self.signed_in += 1;
        match agent.duty {
            Duty::Free { idle } => {
                self.free.insert((rank, idle, index));
            }
            Duty::Resting { since, .. } => {
                self.resting.insert((since, index));
            }
            Duty::Offered { .. } | Duty::Talking { .. } | Duty::WrapUp { .. } => {}
        }
    }

    pub(crate) fn leave(&mut self, rank: u8, index: usize, agent: &Agent) {
        if !agent.is_signed_in() {
            return;
        }
        self.signed_in -= 1;
        match agent.duty {
            Duty::Free { idle } => {
                self.free.remove(&(rank, idle, index));
            }
            Duty::Resting { since, .. } => {
                self.resting.remove(&(since, index));
            }
            Duty::Offered { .. } | Duty::Talking { .. } | Duty::WrapUp { .. } => {}
        }
    }
}
