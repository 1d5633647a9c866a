//! What agents do, and how their time divides into quarters.

use super::Figures;
use super::cells::{Quarter, ServiceKey, Work, WorkKey};
use super::contacts::span;
use crate::event::{AgentState, Event};
use crate::message::{AgentId, ContactId};

/// Longest time in one state that is believed, milliseconds: a month.
const STATE_MAX_MS: i64 = 31 * 24 * 3_600_000;

/// An agent now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Agent {
    /// In which state, since when. `None`: not known.
    state: Option<(AgentState, i64)>,
    /// States of it stand in this log. (In a hospital's they don't.)
    has_states: bool,
    /// A gap since then may have changed it.
    unsure_from: Option<i64>,
    /// The conversation that ended last, whose after-call work hasn't come yet.
    last: Option<(ContactId, ServiceKey)>,
    /// Since that one began there was a gap, in which it, or another, may have ended.
    last_unsure: bool,
}

impl Agent {
    pub(super) fn in_gap(&mut self, from: i64) {
        self.last_unsure = true;
        if !self.has_states {
            return;
        }
        let from = self.state.map_or(from, |(_, since)| from.max(since));
        self.unsure_from = Some(self.unsure_from.map_or(from, |before| before.min(from)));
    }

    /// From when on a gap may have changed what it does now.
    pub(super) fn unsure_from(&self) -> Option<i64> {
        self.unsure_from
    }

    pub(super) fn quarter(&self) -> Option<Quarter> {
        self.last.map(|(_, key)| key.quarter)
    }
}

fn place(state: AgentState) -> Option<usize> {
    match state {
        AgentState::SignedOut => None,
        AgentState::Available => Some(0),
        AgentState::Offered => Some(1),
        AgentState::Talking => Some(2),
        AgentState::WrapUp => Some(3),
        AgentState::Resting => Some(4),
    }
}

/// A span's parts by quarter, milliseconds each.
fn parts(from: i64, to: i64) -> impl Iterator<Item = (Quarter, u64)> {
    let to = to.min(from.saturating_add(STATE_MAX_MS));
    let mut at = from;
    std::iter::from_fn(move || {
        if at >= to {
            return None;
        }
        let quarter = Quarter::of(at);
        let end = to.min(quarter.start().saturating_add(Quarter::MS));
        let part = span(at, end);
        at = end;
        Some((quarter, part))
    })
}

impl Figures {
    pub(super) fn agent_state(&mut self, agent: AgentId, state: AgentState, at: i64) {
        if state != AgentState::Available && !self.agents.contains_key(&agent) {
            // Nobody begins like this: the beginning is missing.
            self.gaps.mark_since_last(at);
        }
        self.close_state(agent, at);
        if !self.stopped {
            let known = self.known(agent);
            known.state = Some((state, at));
            known.has_states = true;
        }
    }

    fn close_state(&mut self, agent: AgentId, at: i64) {
        let Some(known) = self.agents.get_mut(&agent) else {
            return;
        };
        if let Some(from) = known.unsure_from.take() {
            self.gaps.mark_all(from, at);
        }
        let Some((state, since)) = known.state.take() else {
            return;
        };
        let Some(place) = place(state) else { return };
        for (quarter, ms) in parts(since, at) {
            let cell = self.work.entry(WorkKey { quarter, agent }).or_default();
            cell.state_ms[place] += ms;
        }
    }

    /// Nobody is signed in any more, from `at` on.
    pub(super) fn all_out(&mut self, at: i64) {
        let agents: Vec<AgentId> = self.agents.keys().copied().collect();
        for agent in agents {
            self.close_state(agent, at);
        }
    }

    /// Careline begins. If it had not stopped but crashed, nobody knows when:
    /// what the agents did after the last event isn't counted, and the quarters say so.
    pub(super) fn begins(&mut self, at: i64, latest: i64) {
        let signed_in = |agent: &Agent| {
            let state = agent.state.map(|(state, _)| state);
            state.is_some_and(|state| state != AgentState::SignedOut)
        };
        self.stopped = false;
        if self.agents.values().any(signed_in) {
            self.gaps.mark_all(latest.min(at), at);
        }
        self.all_out(latest.min(at));
    }

    /// Time in the states that last, until the latest event of the log.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = (WorkKey, usize, u64)> + '_ {
        self.agents.iter().flat_map(move |(&agent, known)| {
            let state = known
                .state
                .and_then(|(state, since)| Some((place(state)?, since)));
            state.into_iter().flat_map(move |(place, since)| {
                let parts = parts(since, self.latest_at);
                parts.map(move |(quarter, ms)| (WorkKey { quarter, agent }, place, ms))
            })
        })
    }

    pub(super) fn offer_event(&mut self, event: &Event, at: i64) {
        let quarter = Quarter::of(at);
        let (agent, count): (_, fn(&mut Work) -> &mut u64) = match *event {
            Event::OfferCreated { agent, .. } => (agent, |work| &mut work.offers),
            Event::OfferAccepted { agent, .. } => (agent, |work| &mut work.offers_accepted),
            Event::OfferDeclined { agent, .. } => (agent, |work| &mut work.offers_declined),
            Event::OfferTimedOut { agent, .. } => (agent, |work| &mut work.offers_timed_out),
            Event::OfferRescinded { agent, .. } => (agent, |work| &mut work.offers_rescinded),
            _ => return,
        };
        let key = WorkKey { quarter, agent };
        *count(self.work.entry(key).or_default()) += 1;
    }

    /// An agent. Of whom nothing was known when there was a gap, a conversation may stand in it.
    fn known(&mut self, agent: AgentId) -> &mut Agent {
        let last_unsure = self.gaps.events > 0;
        self.agents.entry(agent).or_insert_with(|| Agent {
            last_unsure,
            ..Agent::default()
        })
    }

    /// A conversation is over: its after-call work will count where it does.
    /// `unsure`: in a gap it may have ended before, or been another.
    pub(super) fn talked(
        &mut self,
        agent: AgentId,
        contact: ContactId,
        key: ServiceKey,
        unsure: bool,
        at: i64,
    ) {
        // Whoever was with us in a gap may have talked with this agent, and end it only now.
        let unsure = unsure
            || self.gaps.events > 0 && self.contacts.values().any(super::contacts::Open::is_unsure);
        let known = self.known(agent);
        known.last_unsure = unsure;
        let before = known.last.replace((contact, key));
        if let Some((_, before)) = before {
            self.gaps.touch(before.quarter, at);
        }
    }

    pub(super) fn wrapped_up(&mut self, agent: AgentId, contact: ContactId, ms: u64, at: i64) {
        let known = self.known(agent);
        let (last, unsure) = (known.last.take(), known.last_unsure);
        if let Some((_, key)) = last {
            self.gaps.touch(key.quarter, at);
            if unsure {
                self.gaps.mark(key.quarter);
            }
        }
        let missing = last.is_none_or(|(whose, _)| whose != contact);
        if unsure || (missing && self.gaps.events > 0) {
            self.gaps.mark(Quarter::of(at));
        }
        let key = match last {
            Some((whose, key)) if whose == contact => key,
            // The conversation is missing.
            _ => ServiceKey {
                quarter: Quarter::of(at),
                queue: None,
                role: None,
            },
        };
        let quarter = key.quarter;
        let work = self.work.entry(WorkKey { quarter, agent }).or_default();
        work.wrap_up_ms = work.wrap_up_ms.saturating_add(ms);
        let cell = self.service.entry(key).or_default();
        cell.wrap_up_ms = cell.wrap_up_ms.saturating_add(ms);
        self.gaps.touch(quarter, at);
    }
}
