//! The system under test: the switch with its distributor and its desk. Each
//! is a machine of its own; what they tell each other goes over a wire that
//! the world controls.

use std::sync::Arc;
use std::time::Duration;

use acd::Acd;
use desk::Desk;
use media::clip::Clip;
use switch::{Now, Switch};

use crate::hospital::{self, Analyst};
use crate::store::Store;

/// Wall clock at the world's beginning: an afternoon, Unix milliseconds.
const WALL_AT_START: i64 = 1_790_000_000_000;

pub(crate) struct Node {
    pub(crate) switch: Switch,
    pub(crate) acd: Acd,
    pub(crate) desk: Desk,
    pub(crate) switch_wake: Option<Duration>,
    pub(crate) acd_wake: Option<Duration>,
    pub(crate) desk_wake: Option<Duration>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Node")
    }
}

/// What its secrets are made of.
pub(crate) fn key(seed: u64) -> [u8; 32] {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key
}

/// The wall clock.
pub(crate) fn wall(now: Duration) -> i64 {
    WALL_AT_START + now.as_millis() as i64
}

pub(crate) fn both(now: Duration) -> Now {
    Now {
        mono: now,
        wall: wall(now),
    }
}

impl Node {
    /// Starts a node: it knows its configuration and what the store has kept.
    pub(crate) fn start(
        now: Duration,
        seed: u64,
        analysts: &[Analyst],
        store: &Store,
        music: Arc<Clip>,
        chime: Arc<Clip>,
    ) -> Self {
        let key = key(seed);
        let mut node = Self {
            switch: Switch::new(hospital::switch_setup(
                analysts,
                key,
                wall(now),
                music,
                chime,
            )),
            acd: Acd::new(hospital::acd_setup(analysts, seed)),
            desk: Desk::new(hospital::desk_setup(
                |tenant| store.next_ticket(tenant),
                |tenant| store.known_tickets(tenant),
                |tenant| store.promises(tenant),
                |tenant| store.incidents(tenant),
            )),
            switch_wake: None,
            acd_wake: None,
            desk_wake: None,
        };
        // The first hospital is the home of all agents.
        let begins = desk::Service {
            tenant: desk::TenantId(1),
            at: wall(now),
            begins: true,
        };
        node.desk.handle(now, desk::Input::Service(begins));
        node.switch_wake = node.switch.poll_timeout();
        node.acd_wake = node.acd.poll_timeout();
        node.desk_wake = node.desk.poll_timeout();
        node
    }

    /// The next moment at which one of the three wants to be called.
    pub(crate) fn wake(&self) -> Option<(Duration, Machine)> {
        let wakes = [
            (self.switch_wake, Machine::Switch),
            (self.acd_wake, Machine::Acd),
            (self.desk_wake, Machine::Desk),
        ];
        wakes
            .into_iter()
            .filter_map(|(at, machine)| at.map(|at| (at, machine)))
            .min_by_key(|&(at, _)| at)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    Switch,
    Acd,
    Desk,
}

/// What the distributor noticed, in the desk's words. Agents shared by
/// hospitals have the first one as their home.
pub(crate) fn noticed(now: Duration, notice: acd::Notice) -> desk::Notice {
    let contact = |id: acd::ContactId| desk::ContactId(id.0);
    let agent = |id: acd::AgentId| desk::AgentId(id.0);
    let offer = |id: acd::OfferId| desk::OfferId(id.0);
    let (tenant, what) = match notice {
        acd::Notice::AgentState { agent: who, state } => (
            1,
            desk::Noticed::AgentState {
                agent: agent(who),
                state: match state {
                    acd::AgentState::SignedOut => desk::AgentState::SignedOut,
                    acd::AgentState::Available => desk::AgentState::Available,
                    acd::AgentState::Offered => desk::AgentState::Offered,
                    acd::AgentState::Talking => desk::AgentState::Talking,
                    acd::AgentState::WrapUp => desk::AgentState::WrapUp,
                    acd::AgentState::Resting => desk::AgentState::Resting,
                },
            },
        ),
        acd::Notice::WrappedUp {
            agent: who,
            tenant,
            contact: whom,
            lasted,
        } => (
            tenant.0,
            desk::Noticed::WrappedUp {
                contact: contact(whom),
                agent: agent(who),
                ms: lasted.as_millis() as u64,
            },
        ),
        acd::Notice::OfferCreated {
            offer: which,
            tenant,
            contact: whom,
            agent: who,
        } => (
            tenant.0,
            desk::Noticed::OfferCreated {
                offer: offer(which),
                contact: contact(whom),
                agent: agent(who),
            },
        ),
        acd::Notice::OfferEnded {
            offer: which,
            tenant,
            contact: whom,
            agent: who,
            outcome,
        } => (
            tenant.0,
            desk::Noticed::OfferEnded {
                offer: offer(which),
                contact: contact(whom),
                agent: agent(who),
                outcome: match outcome {
                    acd::OfferOutcome::Accepted => desk::OfferOutcome::Accepted,
                    acd::OfferOutcome::Declined => desk::OfferOutcome::Declined,
                    acd::OfferOutcome::TimedOut => desk::OfferOutcome::TimedOut,
                    acd::OfferOutcome::Rescinded => desk::OfferOutcome::Rescinded,
                },
            },
        ),
    };
    desk::Notice {
        tenant: desk::TenantId(tenant),
        at: wall(now),
        what,
    }
}
