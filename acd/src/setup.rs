//! What the distributor is told about itself: people, queues, rules, limits.

use std::time::Duration;

use crate::{AgentId, QueueId, TenantId};

/// Everything an [`Acd`](crate::Acd) is configured with. Ids that occur twice
/// count once (the first wins); memberships in unknown queues are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Tells one life of the distributor from the next: offer ids are minted
    /// from it, so it must differ at every start (boot time, a fencing token).
    pub seed: u64,
    /// Everybody who may be offered contacts.
    pub agents: Vec<AgentSetup>,
    /// Every queue.
    pub queues: Vec<QueueSetup>,
    /// Rules that hold across queues.
    pub rules: Rules,
    /// Sizes never exceeded.
    pub limits: Limits,
}

impl Setup {
    /// A setup with the usual rules and limits.
    #[must_use]
    pub fn new(seed: u64, queues: Vec<QueueSetup>, agents: Vec<AgentSetup>) -> Self {
        Self {
            seed,
            agents,
            queues,
            rules: Rules::default(),
            limits: Limits::default(),
        }
    }
}

/// One analyst, or the partner's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSetup {
    /// Who.
    pub id: AgentId,
    /// The queues served.
    pub queues: Vec<Membership>,
    /// After-call work granted after each conversation; zero for none.
    pub wrap_up: Duration,
}

impl AgentSetup {
    /// An agent who serves these queues first-hand (rank 0), with 10 s of wrap-up.
    #[must_use]
    pub fn new(id: AgentId, queues: &[QueueId]) -> Self {
        Self {
            id,
            queues: queues
                .iter()
                .map(|&queue| Membership { queue, rank: 0 })
                .collect(),
            wrap_up: Duration::from_secs(10),
        }
    }
}

/// That an agent serves a queue, and how willingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// Which queue.
    pub queue: QueueId,
    /// 0: first-hand. A free agent of a higher rank is rung only while nobody
    /// of a lower one is free (tier 2 behind tier 1).
    pub rank: u8,
}

/// One queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSetup {
    /// Which.
    pub id: QueueId,
    /// Whose. `None`: shared by the operator's hospitals.
    pub tenant: Option<TenantId>,
    /// Hospital staff in it are served like clinicians (whoever picks up a
    /// theatre's phone); `CareStopped` stays ahead, and patients behind.
    pub clinical: bool,
    /// How long a phone rings before it counts as unanswered. Default 20 s.
    pub ring_for: Duration,
    /// How long an agent rests after ring-no-answer or an unreachable phone. Default 30 s.
    pub rest_after_no_answer: Duration,
    /// How long an agent rests after declining (busy, or by key). Default 5 s.
    pub rest_after_decline: Duration,
    /// How waiting turns into priority.
    pub aging: Aging,
}

impl QueueSetup {
    /// A queue with the usual times.
    #[must_use]
    pub fn new(id: QueueId, tenant: Option<TenantId>, clinical: bool) -> Self {
        Self {
            id,
            tenant,
            clinical,
            ring_for: Duration::from_secs(20),
            rest_after_no_answer: Duration::from_secs(30),
            rest_after_decline: Duration::from_secs(5),
            aging: Aging::default(),
        }
    }
}

/// How waiting turns into priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aging {
    /// A patient who has waited this much longer than a member of staff goes first. Default 2 min.
    pub patient_behind_staff: Duration,
    /// From this wait on (for patients: plus `patient_behind_staff`) a contact
    /// is overdue and has a claim on every n-th turn, see
    /// [`Rules::clinicians_in_a_row`]. Default 3 min.
    pub overdue_after: Duration,
    /// In a queue that hospitals share, those of one hospital and class who wait
    /// together count as having come at least this much apart, so that a surge at
    /// one hospital is mostly that hospital's wait. Zero: in order of arrival.
    /// Default 30 s.
    pub spacing: Duration,
}

impl Default for Aging {
    fn default() -> Self {
        Self {
            patient_behind_staff: Duration::from_secs(120),
            overdue_after: Duration::from_secs(180),
            spacing: Duration::from_secs(30),
        }
    }
}

/// Rules that hold across queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// An agent who took this many clinicians without anybody else in between
    /// takes the contact that is overdue longest next, if there is one.
    /// Default 4; 0 counts as 1.
    pub clinicians_in_a_row: u8,
    /// A contact in a queue that the agent serves at rank r counts, for this
    /// agent, as having come r times this later. Default 30 s.
    pub rank_step: Duration,
    /// The pause that an agent gets even when everybody rests and somebody
    /// waits. Default 2 s.
    pub breath: Duration,
    /// How long a new distributor listens before it tells a contact that nobody
    /// is signed in. Default 6 s.
    pub listen_first: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            clinicians_in_a_row: 4,
            rank_step: Duration::from_secs(30),
            breath: Duration::from_secs(2),
            listen_first: Duration::from_secs(6),
        }
    }
}

/// Sizes never exceeded, whatever arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Contacts waiting or being offered; one more is told that nobody is signed in. Default 50,000.
    pub waiting_max: usize,
    /// Offers and conversations known at once; a re-announced conversation beyond it is ignored.
    /// Default 50,000.
    pub offers_max: usize,
    /// Stays and offers that are over and remembered, each. The oldest is forgotten first. Default 200,000.
    pub remembered_max: usize,
    /// How long they are remembered. Default 60 s.
    pub remembered_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            waiting_max: 50_000,
            offers_max: 50_000,
            remembered_max: 200_000,
            remembered_for: Duration::from_secs(60),
        }
    }
}
