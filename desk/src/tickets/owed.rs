//! What a ticket is owed because a time has come, told from its state alone:
//! what couldn't be written, or came due while Careline didn't run, is owed
//! still, and nothing has to be remembered beside the ticket.

use super::{
    Actor, REOPENED_MS, Resolution, Stage, TicketEscalation, TicketFacts, TicketRules,
    TicketStatus, Unwarned, Updated,
};
use crate::event::Event;
use crate::message::{ContactId, TicketId};

/// What comes due next for a ticket, and when (Unix milliseconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owes {
    /// It has no clock: written before there were any.
    Schedule,
    /// Its pause is over.
    Resume,
    /// It goes up a tier so that its caller hears of it in time.
    Warn,
    /// Its caller hasn't heard of it.
    Miss,
    /// Its caller has come again.
    Reopen(ContactId),
    /// Nobody has come again.
    Close,
}

fn next(facts: &TicketFacts, rules: &TicketRules) -> Option<(i64, Owes)> {
    let work = &facts.work;
    match work.stage {
        Stage::Merged { .. } => None,
        Stage::Resolved(resolution) => {
            let close = resolution.at.saturating_add(rules.close_after_ms.max(0));
            Some(came_again(facts, resolution).unwrap_or((close, Owes::Close)))
        }
        Stage::Closed(resolution) => came_again(facts, resolution),
        stage => {
            let Some(clock) = work.clock else {
                return Some((i64::MIN, Owes::Schedule));
            };
            let resume = match stage {
                Stage::Pending { until, .. } => Some((until, Owes::Resume)),
                _ => None,
            };
            let warn = (!work.warned).then_some((clock.warn, Owes::Warn));
            let miss = (clock.due, Owes::Miss);
            // Of those due at one moment the first.
            let times = [resume, warn, Some(miss)].into_iter().flatten();
            times.min_by_key(|(at, _)| *at)
        }
    }
}

/// Has a contact come after it was resolved, soon enough to open it again?
fn came_again(facts: &TicketFacts, resolution: Resolution) -> Option<(i64, Owes)> {
    let (contact, at) = facts.work.again?;
    let in_time = at > resolution.at && at <= resolution.at.saturating_add(REOPENED_MS);
    in_time.then_some((i64::MIN, Owes::Reopen(contact)))
}

/// When [`owed`] has something for this ticket, Unix milliseconds.
pub(crate) fn wake(facts: &TicketFacts, rules: &TicketRules) -> Option<i64> {
    next(facts, rules).map(|(at, _)| at)
}

/// What a ticket is owed at a moment, if anything. Written, it may be owed
/// something else. `running_since`: since when Careline has run (Unix milliseconds).
pub(crate) fn owed(
    ticket: TicketId,
    facts: &TicketFacts,
    rules: &TicketRules,
    at: i64,
    running_since: i64,
) -> Option<Event> {
    let (due, owes) = next(facts, rules)?;
    if due > at {
        return None;
    }
    let work = &facts.work;
    let by = Actor::System;
    let updated = |change, clock: super::Clock| Event::TicketUpdated {
        ticket,
        status: TicketStatus::Open,
        next_update: Some(clock.due),
        warn_at: Some(clock.warn),
        by: Some(by),
        change: Some(change),
    };
    let fresh = |misses| rules.clock(work.priority, at, misses);
    let to = rules.above(work.tier);
    let escalated = |why, unwarned, clock| Event::TicketEscalated {
        ticket,
        why,
        from: work.tier,
        to,
        team: rules.queue(to).filter(|_| to > work.tier),
        unwarned,
        clock,
        by,
    };
    Some(match (owes, work.clock) {
        (Owes::Reopen(contact), _) => Event::TicketReopened {
            ticket,
            again: Some(contact),
            clock: fresh(0),
            by: Actor::Caller,
        },
        (Owes::Close, _) => Event::TicketClosed { ticket, by },
        (Owes::Schedule, _) | (_, None) => updated(Updated::Scheduled, fresh(0)),
        (Owes::Resume, Some(clock)) => updated(Updated::Resumed, clock),
        // Both have passed: there is nothing left to warn of.
        (Owes::Warn, Some(clock)) if clock.due > at => {
            escalated(TicketEscalation::UpdateNear, None, clock)
        }
        (Owes::Warn | Owes::Miss, Some(clock)) => {
            let unwarned = match work.warned {
                true => None,
                false if clock.warn < running_since => Some(Unwarned::Down),
                false => Some(Unwarned::Late),
            };
            let clock = fresh(work.misses);
            escalated(TicketEscalation::UpdateMissed, unwarned, clock)
        }
    })
}
