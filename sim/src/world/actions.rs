//! Hospitals' own systems, which HTTP actions call: they answer, late, twice,
//! not at all, or say no.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use desk::TenantId;
use ivr_flows::{Fields, Val};
use switch::{Query, QueryId};

use super::{NodeDue, World, trace};
use crate::hospital::{ACTION_MAX, ACTIONS_AT_ONCE};

/// An answer: after how long it is there, and what it says; `None`: no.
pub type Reply = (Duration, Option<Fields>);

/// What was asked, and how it is answered.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    /// Every question's answers, in a story; by chance when `None`.
    replies: Option<Vec<Reply>>,
    /// All questions.
    asked: Vec<Query>,
    /// Those that somebody waits for.
    pub(super) under_way: BTreeMap<QueryId, TenantId>,
    /// Those that nobody waited for any more.
    forgotten: Vec<QueryId>,
}

impl Actions {
    /// Whoever asked is gone.
    pub(super) fn crash(&mut self) {
        self.under_way.clear();
    }
}

impl World {
    /// How each action is answered from now on: by all of these, or by nothing.
    pub fn answers(&mut self, replies: &[Reply]) {
        self.actions.replies = Some(replies.to_vec());
    }

    /// What actions were asked so far.
    #[must_use]
    pub fn asked(&self) -> &[Query] {
        &self.actions.asked
    }

    /// Which questions were taken back, because nobody waited for them any more.
    #[must_use]
    pub fn forgotten(&self) -> &[QueryId] {
        &self.actions.forgotten
    }

    pub(super) fn asks_action(&mut self, query: Query) {
        trace!(self, "action <- {query:?}");
        let (id, tenant) = (query.id, query.tenant);
        let mut known = self.actions.asked.iter();
        if self.actions.under_way.contains_key(&id) || known.any(|other| other.key == query.key) {
            return self.fail(format!("a question isn't told from another: {query:?}"));
        }
        self.actions.asked.push(query);
        self.actions.under_way.insert(id, tenant);
        let theirs = self.actions.under_way.values();
        if theirs.filter(|other| **other == tenant).count() > ACTIONS_AT_ONCE {
            return self.fail(format!("12: {tenant:?} has more than its share of actions"));
        }
        for (delay, answer) in self.replies() {
            self.enter_node(self.now + delay, NodeDue::Answer(id, answer));
        }
    }

    pub(super) fn forgets_action(&mut self, id: QueryId) {
        trace!(self, "action: nobody waits for {id:?} any more");
        if self.actions.under_way.remove(&id).is_none() {
            return self.fail(format!("{id:?} is forgotten, and nobody waits for it"));
        }
        self.actions.forgotten.push(id);
    }

    fn replies(&mut self) -> Vec<Reply> {
        if let Some(replies) = &self.actions.replies {
            return replies.clone();
        }
        let fine: Fields = [
            (Arc::from("works"), Val::Truth(self.dice.chance(300_000))),
            (Arc::from("minutes"), Val::Number(20)),
        ]
        .into_iter()
        .collect();
        let soon = self.dice.millis(0, 1_500);
        match self.dice.below(8) {
            0 => Vec::new(),
            1 => vec![(soon, None)],
            2 => vec![(soon, Some(fine.clone())), (soon * 2, Some(fine))],
            3 => vec![(soon, Some(Fields::default())), (soon, None)],
            // About when nobody waits any more.
            4 => vec![(ACTION_MAX + self.dice.millis(0, 20), Some(fine))],
            5 => vec![(ACTION_MAX - self.dice.millis(0, 20), Some(fine))],
            _ => vec![(soon, Some(fine))],
        }
    }
}
