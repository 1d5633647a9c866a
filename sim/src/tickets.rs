//! What hospitals have agreed about their tickets here, and what must hold
//! of each ticket's events.

use std::collections::BTreeMap;

use desk::{
    Event, KnownTicket, Stage, Stamped, TicketEscalation, TicketFacts, TicketId, TicketRules,
    Updated,
};

/// The same as everywhere, in minutes rather than in days.
pub(crate) fn rules() -> TicketRules {
    let mut rules = TicketRules {
        close_after_ms: 150_000,
        ..TicketRules::default()
    };
    for target in &mut rules.targets {
        target.update_ms = 200_000;
        target.margin_ms = 40_000;
    }
    rules.targets[0].update_ms = 60_000;
    for pause in &mut rules.pauses {
        pause.lasts_ms = 60_000;
    }
    rules.pauses[0].stops = false;
    rules
}

/// A ticket's own event, before it is applied: may it be?
pub(crate) fn lawful(
    known: &BTreeMap<TicketId, KnownTicket>,
    ticket: TicketId,
    stamped: &Stamped,
) -> Result<(), String> {
    let Stamped { at, event } = *stamped;
    let broken = |what: &str| Err(format!("ticket {}: {what}: {event:?}", ticket.0));
    let Some(facts) = known.get(&ticket).map(|known| known.facts) else {
        return broken("was never opened");
    };
    let work = facts.work;
    let open = work.stage.is_open();
    match event {
        _ if matches!(work.stage, Stage::Merged { .. }) => return broken("was merged"),
        Event::TicketUpdated { .. }
        | Event::TicketEscalated { .. }
        | Event::TicketResolved { .. }
        | Event::TicketMerged { .. }
            if !open =>
        {
            return broken("isn't open");
        }
        Event::TicketReopened { .. } | Event::TicketClosed { .. } if open => {
            return broken("is open");
        }
        Event::TicketMerged { into, .. } => {
            let target = known.get(&into).map(|known| known.facts.work.stage);
            if into == ticket || !target.is_some_and(|stage| stage.is_open()) {
                return broken("is merged into nothing that is worked on");
            }
        }
        _ => {}
    }
    let Some(clock) = work.clock.filter(|_| open) else {
        return if open { broken("has no clock") } else { Ok(()) };
    };
    match event {
        Event::TicketEscalated {
            why: TicketEscalation::UpdateNear,
            ..
        } if work.warned || at < clock.warn || at >= clock.due => broken("it isn't the time"),
        Event::TicketEscalated {
            why: TicketEscalation::UpdateMissed,
            unwarned,
            ..
        } if at < clock.due || work.warned != unwarned.is_none() => {
            broken("missed without a word before, or too soon")
        }
        Event::TicketEscalated {
            why: TicketEscalation::UpdateMissed,
            ..
        }
        | Event::TicketUpdated {
            change: Some(Updated::Resumed),
            ..
        } => Ok(()),
        _ if at >= clock.due => broken("nothing was said of the missed update"),
        _ => Ok(()),
    }
}

/// When everything is over: is this ticket as it should be?
pub(crate) fn settled(facts: &TicketFacts, wall: i64) -> Result<(), String> {
    // A slow store, tried again.
    const LATE_MS: i64 = 30_000;
    match (facts.work.stage.is_open(), facts.next_update()) {
        (true, None) => Err(format!("an open ticket has no next update: {facts:?}")),
        (true, Some(due)) if due + LATE_MS < wall => {
            Err(format!("a missed update went unsaid: {facts:?} at {wall}"))
        }
        _ => Ok(()),
    }
}
