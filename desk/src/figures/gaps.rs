//! Where the log has gaps, and what they may have changed.
//!
//! A gap tells how many events are missing and between which times. An event
//! that is missing changes the quarter in which it happened, and those to which
//! a contact belongs that lived then: who was queued at ten and is lost at half
//! past changes ten o'clock's service level. All these are incomplete.

use std::collections::{BTreeMap, BTreeSet};

use super::cells::Quarter;

/// Longest stretch marked, in quarters (a month): beyond it a clock was wrong.
pub(super) const STRETCH_MAX: i64 = 31 * 96;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Gaps {
    /// What may lack something.
    pub(super) incomplete: BTreeSet<Quarter>,
    /// The gaps themselves.
    pub(super) spans: BTreeSet<Quarter>,
    /// When the last thing ended that counts in a quarter.
    until: BTreeMap<Quarter, i64>,
    /// Events missing.
    pub(super) events: u64,
    /// When the latest gap began.
    last_from: Option<i64>,
}

impl Gaps {
    /// Something that counts in `quarter` ended.
    pub(super) fn touch(&mut self, quarter: Quarter, at: i64) {
        let until = self.until.entry(quarter).or_insert(at);
        *until = at.max(*until);
    }

    pub(super) fn mark(&mut self, quarter: Quarter) {
        self.incomplete.insert(quarter);
    }

    pub(super) fn mark_all(&mut self, from: i64, to: i64) {
        let (first, last) = (Quarter::of(from).0, Quarter::of(to).0);
        let last = last.min(first.saturating_add(STRETCH_MAX));
        self.incomplete.extend((first..=last).map(Quarter));
    }

    /// `latest`: the latest time seen in the log.
    pub(super) fn gap(&mut self, count: u64, from: i64, to: i64, latest: i64) {
        self.events = self.events.saturating_add(count);
        self.last_from = Some(from);
        let (first, last) = (Quarter::of(from).0, Quarter::of(to).0);
        let last = last.min(first.saturating_add(STRETCH_MAX));
        self.spans.extend((first..=last).map(Quarter));
        // What was written since, before the gap was.
        self.mark_all(from, to.max(latest));
        let lived = self.until.iter().filter(|(_, until)| **until >= from);
        self.incomplete.extend(lived.map(|(quarter, _)| *quarter));
    }

    /// Something is missing, and there is no knowing since when: since the latest gap.
    pub(super) fn mark_since_last(&mut self, at: i64) {
        if let Some(from) = self.last_from {
            self.mark_all(from, at);
        }
    }

    pub(super) fn forget_before(&mut self, quarter: Quarter) {
        self.incomplete = self.incomplete.split_off(&quarter);
        self.spans = self.spans.split_off(&quarter);
        self.until = self.until.split_off(&quarter);
    }
}
