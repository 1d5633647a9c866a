//! What a hospital has agreed about its tickets, and clocks that run in the
//! hours of its desk.

use std::collections::BTreeMap;

use hours::Calendar;

use super::{Clock, Left, Pause, Priority, ReasonCode, Tier};
use crate::message::{PartnerId, QueueId};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How long after it is resolved a repeat contact reopens a ticket, milliseconds.
pub const REOPENED_MS: i64 = 7 * DAY_MS;

/// What a hospital has agreed about its tickets.
#[derive(Debug, Clone, PartialEq)]
pub struct TicketRules {
    /// The desk's hours, in which clocks run; `None`: always.
    pub calendar: Option<Calendar>,
    /// What is agreed for each [`Priority`], in the order of [`Priority::ALL`].
    pub targets: [Target; 4],
    /// How long each [`Pause`] lasts at most, and whether the clock stands, in the order of [`Pause::ALL`].
    pub pauses: [PauseRule; 4],
    /// The tiers, the first one first: the queue of each, where it has one. Never empty.
    pub tiers: Vec<Option<QueueId>>,
    /// What tickets are about here.
    pub reasons: BTreeMap<ReasonCode, Reason>,
    /// A ticket's priority when it is opened. Default P3.
    pub priority: Priority,
    /// How long after it is resolved a ticket is closed, milliseconds. Default five days.
    pub close_after_ms: i64,
}

/// What is agreed for a priority. Milliseconds of the desk's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Its caller hears of it so long after it was opened, or after they heard last.
    pub update_ms: i64,
    /// So long before that it goes up a tier.
    pub margin_ms: i64,
    /// The clock runs whatever the desk's hours say.
    pub always: bool,
}

/// What is agreed for a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PauseRule {
    /// Does the ticket's clock stand meanwhile?
    pub stops: bool,
    /// It ends by itself after this, milliseconds of any time.
    pub lasts_ms: i64,
}

/// What tickets can be about.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reason {
    /// In words.
    pub words: String,
    /// Who deals with it; `None`: whoever has it.
    pub destination: Option<Destination>,
    /// When these do; `None`: always.
    pub hours: Option<Calendar>,
    /// Where the article about it is.
    pub article: Option<String>,
    /// How much hangs on it, where that is always the same.
    pub priority: Option<Priority>,
}

/// Who deals with what a ticket is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A team of ours.
    Queue(QueueId),
    /// A partner.
    Partner(PartnerId),
}

impl Reason {
    /// The team that gets such a ticket at a moment: none of ours, or nobody is there then.
    pub fn team(&self, at: i64) -> Option<QueueId> {
        let open = |calendar: &Calendar| calendar.at(at, None).open;
        match self.destination {
            Some(Destination::Queue(queue)) if self.hours.as_ref().is_none_or(open) => Some(queue),
            _ => None,
        }
    }
}

impl Default for TicketRules {
    fn default() -> Self {
        let target = |update_ms, margin_ms, always| Target {
            update_ms,
            margin_ms,
            always,
        };
        let stands = |days| PauseRule {
            stops: true,
            lasts_ms: days * DAY_MS,
        };
        Self {
            calendar: None,
            targets: [
                target(30 * MINUTE_MS, 10 * MINUTE_MS, true),
                target(2 * HOUR_MS, 30 * MINUTE_MS, false),
                target(8 * HOUR_MS, HOUR_MS, false),
                target(24 * HOUR_MS, 4 * HOUR_MS, false),
            ],
            pauses: [stands(3), stands(7), stands(14), stands(14)],
            tiers: vec![None; 3],
            reasons: BTreeMap::new(),
            priority: Priority::default(),
            close_after_ms: 5 * DAY_MS,
        }
    }
}

impl TicketRules {
    /// Longest time that may be agreed or promised, milliseconds: a quarter.
    pub const AHEAD_MAX_MS: i64 = 92 * DAY_MS;

    pub(crate) fn target(&self, priority: Priority) -> Target {
        self.targets[priority as usize]
    }

    pub(crate) fn pause(&self, why: Pause) -> PauseRule {
        self.pauses[why as usize]
    }

    /// The tier above; the same at the top.
    pub(crate) fn above(&self, tier: Tier) -> Tier {
        let top = u8::try_from(self.tiers.len().max(1)).unwrap_or(u8::MAX);
        Tier(tier.0.saturating_add(1).min(top.max(tier.0)))
    }

    pub(crate) fn queue(&self, tier: Tier) -> Option<QueueId> {
        let place = usize::from(tier.0.saturating_sub(1));
        self.tiers.get(place).copied().flatten()
    }

    fn calendar(&self, priority: Priority) -> Option<&Calendar> {
        self.calendar
            .as_ref()
            .filter(|_| !self.target(priority).always)
    }

    /// The clock of a ticket whose caller has just heard of it, or that was
    /// missed `misses` times since anybody has: asked about ever more seldom, a
    /// week apart at last.
    pub(crate) fn clock(&self, priority: Priority, from: i64, misses: u16) -> Clock {
        let Target {
            update_ms,
            margin_ms,
            ..
        } = self.target(priority);
        let update_ms = update_ms.max(1);
        let longest = update_ms.max(7 * DAY_MS);
        let update_ms = update_ms.saturating_mul(1 << misses.min(16)).min(longest);
        let left = Left {
            due_ms: update_ms,
            warn_ms: before(update_ms, margin_ms),
        };
        self.resume(priority, from, left)
    }

    /// The clock of a ticket whose caller hears of it at a moment that somebody named.
    pub(crate) fn promised(&self, priority: Priority, from: i64, due: i64) -> Clock {
        let calendar = self.calendar(priority);
        let margin_ms = self.target(priority).margin_ms;
        let left_ms = between(calendar, from, due);
        let warn = match before(left_ms, margin_ms) {
            // The desk is closed all the time: halfway.
            0 => from.saturating_add(due.saturating_sub(from) / 2),
            warn_ms => after(calendar, from, warn_ms).min(due),
        };
        Clock { due, warn }
    }

    /// What is left of a clock at a moment.
    pub(crate) fn left(&self, priority: Priority, clock: Clock, at: i64) -> Left {
        let calendar = self.calendar(priority);
        Left {
            due_ms: between(calendar, at, clock.due),
            warn_ms: between(calendar, at, clock.warn),
        }
    }

    /// The clock that runs on from a moment with what is left of it.
    pub(crate) fn resume(&self, priority: Priority, from: i64, left: Left) -> Clock {
        let calendar = self.calendar(priority);
        Clock {
            due: after(calendar, from, left.due_ms),
            warn: after(calendar, from, left.warn_ms),
        }
    }
}

/// When somebody is warned of whom so much time is left: at half of it, where the margin is more.
fn before(left_ms: i64, margin_ms: i64) -> i64 {
    left_ms - margin_ms.min(left_ms / 2).max(0)
}

/// Changes of hours that are looked at: of a desk open twice a day those of a year.
const CHANGES_MAX: usize = 1_500;

/// The moment at which the desk has worked so long since `from`. Milliseconds.
/// Where it doesn't open within a year, or hardly ever, the time just passes.
pub(crate) fn after(calendar: Option<&Calendar>, from: i64, work_ms: i64) -> i64 {
    let plain = from.saturating_add(work_ms);
    let Some(calendar) = calendar else {
        return plain;
    };
    let (mut at, mut left) = (from, work_ms.max(0));
    for _ in 0..CHANGES_MAX {
        if left == 0 {
            return at;
        }
        let state = calendar.at(at, None);
        let Some(until) = state.until else {
            return if state.open {
                at.saturating_add(left)
            } else {
                plain
            };
        };
        if state.open {
            let open = until.saturating_sub(at);
            if left <= open {
                return at.saturating_add(left);
            }
            left -= open;
        }
        at = until;
    }
    plain
}

/// How long the desk works from one moment until another; 0 if the second comes first.
pub(crate) fn between(calendar: Option<&Calendar>, from: i64, to: i64) -> i64 {
    let plain = to.saturating_sub(from).max(0);
    let Some(calendar) = calendar else {
        return plain;
    };
    let (mut at, mut worked) = (from, 0_i64);
    for _ in 0..CHANGES_MAX {
        if at >= to {
            return worked;
        }
        let state = calendar.at(at, None);
        let until = state.until.map_or(to, |until| until.min(to));
        if state.open {
            worked += until - at;
        }
        at = until;
    }
    worked
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Weekdays from eight to five, closed over lunch, in Chicago.
    fn desk() -> Calendar {
        Calendar::read(
            "America/Chicago",
            [("mon-fri", "08:00-12:00,13:00-17:00")],
            [("2026-11-26", "closed", "Thanksgiving")],
        )
        .unwrap()
    }

    /// Friday the 30th of October 2026, 16:00 in Chicago (-05:00). The clock is set back on Sunday.
    const FRIDAY: i64 = 1_793_394_000_000;

    #[test]
    fn the_clock_stands_while_the_desk_is_closed() {
        let desk = desk();
        let calendar = Some(&desk);
        // An hour on Friday, one on Monday from eight (-06:00).
        let monday = FRIDAY + (24 * 2 + 16 + 1) * HOUR_MS;
        assert_eq!(after(calendar, FRIDAY, 2 * HOUR_MS), monday + HOUR_MS);
        assert_eq!(after(calendar, FRIDAY, HOUR_MS), FRIDAY + HOUR_MS);
        assert_eq!(between(calendar, FRIDAY, monday + HOUR_MS), 2 * HOUR_MS);
        // Five hours from Monday at eight: lunch isn't worked.
        assert_eq!(after(calendar, monday, 5 * HOUR_MS), monday + 6 * HOUR_MS);
        assert_eq!(between(calendar, monday, monday), 0);
        assert_eq!(between(calendar, monday, FRIDAY), 0);
        assert_eq!(after(None, FRIDAY, 7), FRIDAY + 7);
    }

    #[test]
    fn a_desk_that_never_opens_stops_no_clock() {
        let closed = Calendar::read("America/Chicago", [], []).unwrap();
        assert_eq!(after(Some(&closed), FRIDAY, HOUR_MS), FRIDAY + HOUR_MS);
        assert_eq!(between(Some(&closed), FRIDAY, FRIDAY + HOUR_MS), 0);
    }

    #[test]
    fn a_clock_warns_before_it_is_due() {
        let rules = TicketRules {
            calendar: Some(desk()),
            ..TicketRules::default()
        };
        let clock = rules.clock(Priority::P3, FRIDAY, 0);
        let monday = FRIDAY + (24 * 2 + 16 + 1) * HOUR_MS;
        // Seven hours are left: lunch, and one more hour.
        assert_eq!(clock.due, monday + 8 * HOUR_MS);
        assert_eq!(clock.warn, monday + 7 * HOUR_MS);
        // What hangs on patients isn't left until Monday.
        let clock = rules.clock(Priority::P1, FRIDAY + 20 * HOUR_MS, 0);
        assert_eq!(clock.due, FRIDAY + 20 * HOUR_MS + 30 * MINUTE_MS);
        // Promised sooner than the margin: halfway.
        let clock = rules.promised(Priority::P3, FRIDAY, FRIDAY + HOUR_MS / 2);
        assert_eq!(clock.warn, FRIDAY + HOUR_MS / 4);
        // Promised for the night, when nobody would notice: warned while somebody is there.
        let clock = rules.promised(Priority::P3, FRIDAY, FRIDAY + 8 * HOUR_MS);
        assert_eq!(clock.warn, FRIDAY + HOUR_MS / 2);
    }

    #[test]
    fn what_nobody_looks_after_is_asked_about_ever_more_seldom() {
        let rules = TicketRules::default();
        let gap = |misses| rules.clock(Priority::P2, 0, misses).due;
        assert_eq!(
            (gap(0), gap(1), gap(2)),
            (2 * HOUR_MS, 4 * HOUR_MS, 8 * HOUR_MS)
        );
        assert_eq!((gap(9), gap(u16::MAX)), (7 * DAY_MS, 7 * DAY_MS));
    }

    #[test]
    fn nothing_is_above_the_top() {
        let rules = TicketRules {
            tiers: vec![None, Some(QueueId(4))],
            ..TicketRules::default()
        };
        assert_eq!(rules.above(Tier(1)), Tier(2));
        assert_eq!(rules.above(Tier(2)), Tier(2));
        // There were more tiers once.
        assert_eq!(rules.above(Tier(5)), Tier(5));
        assert_eq!(rules.queue(Tier(2)), Some(QueueId(4)));
        assert_eq!(rules.queue(Tier(0)), None);
    }

    proptest! {
        #[test]
        fn time_worked_is_what_was_added(
            from in 0_i64..40 * 365 * DAY_MS,
            work in 0_i64..30 * DAY_MS,
            more in 0_i64..DAY_MS,
        ) {
            let desk = desk();
            let calendar = Some(&desk);
            let due = after(calendar, from, work);
            prop_assert!(due >= from + work);
            prop_assert_eq!(between(calendar, from, due), work);
            // A pause in between changes nothing but the end.
            prop_assert_eq!(after(calendar, due, more), after(calendar, from, work + more));
        }

        #[test]
        fn a_warning_comes_before_the_breach(from in 0_i64..4_000 * DAY_MS, ahead in 1_i64..DAY_MS, at in 0_usize..4) {
            let rules = TicketRules { calendar: Some(desk()), ..TicketRules::default() };
            let priority = Priority::ALL[at];
            let clock = rules.clock(priority, from, 0);
            prop_assert!(from <= clock.warn && clock.warn < clock.due);
            let clock = rules.promised(priority, from, from + ahead);
            prop_assert!(from <= clock.warn && clock.warn <= clock.due && clock.due == from + ahead);
            let left = rules.left(priority, clock, from);
            prop_assert!(left.warn_ms <= left.due_ms);
            // A clock that was stopped and went on at once.
            let clock = rules.clock(priority, from, 0);
            let again = rules.resume(priority, from, rules.left(priority, clock, from));
            prop_assert_eq!(again, clock);
        }
    }
}
