//! What a deed makes of a ticket: an event, nothing, or a refusal.

use super::{
    Clock, Priority, Refusal, Stage, TicketCommand, TicketDeed, TicketFacts, TicketRules,
    TicketStatus, Tier, Updated,
};
use crate::event::Event;
use crate::message::{AgentId, TicketId};
use crate::tickets::{Actor, NoteId, Pause};

/// The other ticket of a merge, both looked up and led to where they are worked on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Merging<'a> {
    pub(crate) into: TicketId,
    pub(crate) facts: &'a TicketFacts,
}

/// What a command makes of a ticket: of a live one, to which its number leads.
/// `Ok(None)`: it is so already.
pub(crate) fn decide(
    ticket: TicketId,
    facts: &TicketFacts,
    command: &TicketCommand,
    rules: &TicketRules,
    merging: Option<Merging<'_>>,
) -> Result<Option<Event>, Refusal> {
    let of = Deciding {
        ticket,
        facts,
        rules,
        at: command.at,
        by: command.by,
    };
    match command.deed {
        TicketDeed::Look => Ok(None),
        TicketDeed::Assign { to, why } => of.assign(Updated::Assigned { to, why }, to),
        TicketDeed::Begin => of.begin(),
        TicketDeed::Prioritise(priority) => of.prioritise(priority),
        TicketDeed::Categorise(reason) => of.categorise(reason),
        TicketDeed::Promise { next_update } => of.promise(next_update),
        TicketDeed::Pend { why, until } => of.pend(why, until),
        TicketDeed::Resume => of.resume(),
        TicketDeed::Escalate { why, to } => of.escalate(why.into(), to),
        TicketDeed::Resolve => of.resolve(),
        TicketDeed::Reopen => of.reopen(),
        TicketDeed::Close => of.close(),
        TicketDeed::Merge { .. } => of.merge(merging),
        TicketDeed::Note(_) => {
            let (note, by) = (NoteId(command.id.0), command.by);
            Ok(Some(Event::TicketNoted { ticket, note, by }))
        }
    }
}

struct Deciding<'a> {
    ticket: TicketId,
    facts: &'a TicketFacts,
    rules: &'a TicketRules,
    at: i64,
    by: Actor,
}

type Decision = Result<Option<Event>, Refusal>;

impl Deciding<'_> {
    fn stage(&self) -> Stage {
        self.facts.work.stage
    }

    fn priority(&self) -> Priority {
        self.facts.work.priority
    }

    fn must_be_open(&self) -> Result<(), Refusal> {
        match self.stage().is_open() {
            true => Ok(()),
            false => Err(Refusal::NotOpen),
        }
    }

    /// Its clock. One that has none, or whose time is over, gets another.
    fn clock(&self) -> Clock {
        let clock = self.facts.work.clock;
        clock
            .filter(|clock| clock.due > self.at)
            .unwrap_or_else(|| self.rules.clock(self.priority(), self.at, 0))
    }

    /// Its clock if it went on now.
    fn running_clock(&self) -> Clock {
        match self.stage() {
            Stage::Pending {
                left: Some(left), ..
            } => self.rules.resume(self.priority(), self.at, left),
            _ => self.clock(),
        }
    }

    fn updated(&self, change: Updated, clock: Clock) -> Decision {
        Ok(Some(Event::TicketUpdated {
            ticket: self.ticket,
            status: TicketStatus::Open,
            next_update: Some(clock.due),
            warn_at: Some(clock.warn),
            by: Some(self.by),
            change: Some(change),
        }))
    }

    fn assign(&self, change: Updated, to: Option<AgentId>) -> Decision {
        self.must_be_open()?;
        if self.facts.work.owner == to {
            return Ok(None);
        }
        self.updated(change, self.clock())
    }

    fn begin(&self) -> Decision {
        self.must_be_open()?;
        let owner = match self.by {
            Actor::Agent(agent) => Some(agent),
            _ => self.facts.work.owner,
        };
        if self.stage() == Stage::InProgress && owner == self.facts.work.owner {
            return Ok(None);
        }
        self.updated(Updated::Begun { owner }, self.running_clock())
    }

    /// A higher priority brings the next update nearer; a lower one doesn't
    /// break what the caller was told. While the clock stands it is that of the pause's end.
    fn hurried(&self, priority: Priority) -> Clock {
        let clock = self.clock();
        if priority >= self.priority() || self.is_stopped() {
            return clock;
        }
        let sooner = self.rules.clock(priority, self.at, 0);
        if sooner.due < clock.due {
            sooner
        } else {
            clock
        }
    }

    fn is_stopped(&self) -> bool {
        matches!(self.stage(), Stage::Pending { left: Some(_), .. })
    }

    fn prioritise(&self, priority: Priority) -> Decision {
        self.must_be_open()?;
        if self.priority() == priority {
            return Ok(None);
        }
        self.updated(Updated::Prioritised { priority }, self.hurried(priority))
    }

    fn categorise(&self, reason: Option<super::ReasonCode>) -> Decision {
        self.must_be_open()?;
        if self.facts.work.reason == reason {
            return Ok(None);
        }
        let known = match reason {
            Some(code) => Some(
                self.rules
                    .reasons
                    .get(&code)
                    .ok_or(Refusal::UnknownReason)?,
            ),
            None => None,
        };
        let priority = known.and_then(|known| known.priority);
        let priority = priority.unwrap_or(self.priority());
        let change = Updated::Categorised {
            reason,
            priority,
            team: known.and_then(|known| known.team(self.at)),
        };
        self.updated(change, self.hurried(priority))
    }

    fn promise(&self, next_update: Option<i64>) -> Decision {
        self.must_be_open()?;
        // Whoever waits for something tells until when.
        if self.is_stopped() {
            return Err(Refusal::Pending);
        }
        let clock = match next_update {
            None => self.rules.clock(self.priority(), self.at, 0),
            Some(due) => {
                self.ahead(due)?;
                self.rules.promised(self.priority(), self.at, due)
            }
        };
        if self.facts.work.clock == Some(clock) {
            return Ok(None);
        }
        self.updated(Updated::Promised, clock)
    }

    fn ahead(&self, moment: i64) -> Result<(), Refusal> {
        let ahead = moment.saturating_sub(self.at);
        match ahead > 0 && ahead <= TicketRules::AHEAD_MAX_MS {
            true => Ok(()),
            false => Err(Refusal::WrongTime),
        }
    }

    fn pend(&self, why: Pause, until: Option<i64>) -> Decision {
        self.must_be_open()?;
        let rule = self.rules.pause(why);
        let longest = self.at.saturating_add(rule.lasts_ms.max(1));
        let until = until.unwrap_or(longest);
        self.ahead(until)?;
        if until > longest {
            return Err(Refusal::PauseTooLong);
        }
        if let Stage::Pending {
            why: before,
            until: end,
            ..
        } = self.stage()
            && (before, end) == (why, until)
        {
            return Ok(None);
        }
        let clock = self.running_clock();
        let left = rule.stops.then(|| match self.stage() {
            Stage::Pending {
                left: Some(left), ..
            } => left,
            _ => self.rules.left(self.priority(), clock, self.at),
        });
        let clock = match left {
            Some(left) => self.rules.resume(self.priority(), until, left),
            None => clock,
        };
        self.updated(Updated::Pended { why, until, left }, clock)
    }

    fn resume(&self) -> Decision {
        match self.stage() {
            Stage::Pending { .. } => self.updated(Updated::Resumed, self.running_clock()),
            stage if stage.is_open() => Ok(None),
            _ => Err(Refusal::NotOpen),
        }
    }

    fn escalate(&self, why: super::TicketEscalation, to: Option<Tier>) -> Decision {
        self.must_be_open()?;
        let from = self.facts.work.tier;
        let top = self.rules.tiers.len();
        let to = match to {
            // A repetition.
            Some(to)
                if to == from && self.facts.work.escalated.is_some_and(|(was, _)| was == why) =>
            {
                return Ok(None);
            }
            Some(to) => to,
            None => self.rules.above(from),
        };
        if to <= from || usize::from(to.0) > top {
            return Err(Refusal::NoTierAbove);
        }
        Ok(Some(Event::TicketEscalated {
            ticket: self.ticket,
            why,
            from,
            to,
            team: self.rules.queue(to),
            unwarned: None,
            clock: self.running_clock(),
            by: self.by,
        }))
    }

    fn resolve(&self) -> Decision {
        if matches!(self.stage(), Stage::Resolved(_)) {
            return Ok(None);
        }
        self.must_be_open()?;
        Ok(Some(Event::TicketResolved {
            ticket: self.ticket,
            first_contact: self.facts.work.repeats == 0,
            by: self.by,
        }))
    }

    fn reopen(&self) -> Decision {
        if self.stage().is_open() {
            return Ok(None);
        }
        Ok(Some(Event::TicketReopened {
            ticket: self.ticket,
            again: None,
            clock: self.rules.clock(self.priority(), self.at, 0),
            by: self.by,
        }))
    }

    fn close(&self) -> Decision {
        match self.stage() {
            Stage::Closed(_) => Ok(None),
            Stage::Resolved(_) => Ok(Some(Event::TicketClosed {
                ticket: self.ticket,
                by: self.by,
            })),
            _ => Err(Refusal::NotResolved),
        }
    }

    fn merge(&self, merging: Option<Merging<'_>>) -> Decision {
        let Merging { into, facts } = merging.ok_or(Refusal::NotFound)?;
        if into == self.ticket {
            return Err(Refusal::Itself);
        }
        self.must_be_open()?;
        if !facts.work.stage.is_open() {
            return Err(Refusal::NotOpen);
        }
        Ok(Some(Event::TicketMerged {
            ticket: self.ticket,
            into,
            by: self.by,
        }))
    }
}
