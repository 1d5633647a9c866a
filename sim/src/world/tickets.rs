//! Analysts who work on tickets: they take, pause, promise, resolve, reopen and
//! merge, ask again until they are answered, and believe what they are told.

use std::collections::BTreeMap;
use std::time::Duration;

use desk::{
    Actor, AgentId, CommandId, Escalation, Pause, Priority, Refusal, TicketAnswer, TicketCommand,
    TicketDeed, TicketReply,
};

use super::{Due, NodeDue, World, trace};
use crate::dice::Dice;
use crate::node::wall;

/// Pause between two deeds.
const PACE_MAX_MS: u64 = 24_000;
/// Who isn't answered asks again.
const AGAIN: Duration = Duration::from_secs(1);

/// Who works on tickets, if anybody does.
#[derive(Debug, Default)]
pub(crate) struct TicketWork {
    dice: Option<Dice>,
    commands: u64,
    /// What isn't answered yet.
    asked: BTreeMap<CommandId, TicketCommand>,
}

impl World {
    /// People work on tickets from now on.
    pub(super) fn work_on_tickets(&mut self, seed: u64) {
        // Dice of their own: what they throw changes nothing else.
        self.ticket_work.dice = Some(Dice::new(seed ^ 0x71c4_e75e));
        self.agenda.enter(self.now, Due::TicketWork);
    }

    /// Somebody does something with a ticket, and something else later.
    pub(super) fn ticket_deed(&mut self) {
        let Some(mut dice) = self.ticket_work.dice.take() else {
            return;
        };
        if let Some(command) = self.any_deed(&mut dice) {
            trace!(self, "somebody asks {command:?}");
            self.figures.deeds += 1;
            let id = command.id;
            self.ticket_work.asked.insert(id, command);
            self.ask_of_ticket(id);
        }
        let pause = dice.millis(100, PACE_MAX_MS);
        self.ticket_work.dice = Some(dice);
        if self.trunk_open > 0 {
            self.agenda.enter(self.now + pause, Due::TicketWork);
        }
    }

    fn any_deed(&mut self, dice: &mut Dice) -> Option<TicketCommand> {
        let now = wall(self.now);
        let logs: Vec<_> = self.store.logs().collect();
        let (tenant, log) = logs.get(dice.below(logs.len() as u64) as usize)?;
        let tickets = log.tickets_before(now - 1_000);
        if tickets.is_empty() {
            return None;
        }
        let number = *dice.pick(&tickets);
        let agent = Actor::Agent(AgentId(1 + dice.below(4) as u32));
        let by = *dice.pick(&[agent, agent, Actor::Administrator]);
        let soon = |dice: &mut Dice| now + dice.below(80_000) as i64;
        let deed = match dice.below(15) {
            0 | 1 => TicketDeed::Assign {
                to: dice.chance(800_000).then_some(AgentId(2)),
                why: None,
            },
            2 => TicketDeed::Begin,
            3 => TicketDeed::Prioritise(*dice.pick(&Priority::ALL)),
            4 => TicketDeed::Promise {
                next_update: Some(soon(dice)),
            },
            5 | 6 => TicketDeed::Pend {
                why: *dice.pick(&Pause::ALL),
                until: Some(soon(dice)),
            },
            7 => TicketDeed::Resume,
            8 => TicketDeed::Escalate {
                why: Escalation::NoArticle,
                to: None,
            },
            9..=11 => TicketDeed::Resolve,
            12 => TicketDeed::Reopen,
            13 => TicketDeed::Close,
            _ => TicketDeed::Merge {
                into: *dice.pick(&tickets),
            },
        };
        let tenant = *tenant;
        self.ticket_work.commands += 1;
        // The calls' commands count from elsewhere.
        let id = CommandId(1 << 62 | self.ticket_work.commands);
        Some(TicketCommand {
            id,
            tenant,
            at: now,
            number,
            by,
            deed,
        })
    }

    /// A command travels, and again if nothing comes back.
    pub(super) fn ask_of_ticket(&mut self, id: CommandId) {
        let Some(command) = self.ticket_work.asked.get(&id).cloned() else {
            return;
        };
        if self.node.is_some() {
            self.wire(|| NodeDue::ToTicket(command.clone()));
        }
        self.agenda.enter(self.now + AGAIN, Due::TicketAgain(id));
    }

    /// The desk answers: what it says is on disk.
    pub(super) fn ticket_answered(&mut self, answer: TicketAnswer) {
        trace!(self, "the desk answers {answer:?}");
        if let TicketReply::Done(facts) = answer.reply {
            let stored = self.store.ticket_facts(answer.tenant, facts.number);
            let work = |facts: &desk::TicketFacts| {
                let work = facts.work;
                // Contacts come again while it is worked on.
                (work.stage, work.priority, work.tier, work.owner, work.clock)
            };
            if stored.as_ref().map(work) != Some(work(&facts)) {
                self.fail(format!("13: {answer:?} is said, and on disk is {stored:?}"));
            }
        }
        if answer.reply == TicketReply::Refused(Refusal::NotFound) {
            self.fail(format!("a ticket on disk isn't found: {answer:?}"));
        }
        self.wire(|| NodeDue::FromTicket(answer.clone()));
    }

    /// Whoever asked hears.
    pub(super) fn ticket_heard(&mut self, answer: &TicketAnswer) {
        if self.ticket_work.asked.remove(&answer.id).is_some()
            && matches!(answer.reply, TicketReply::Done(_))
        {
            self.figures.deeds_done += 1;
        }
    }

    /// Everything is over: nothing is unanswered, and every open ticket is looked after.
    pub(super) fn check_tickets(&mut self) {
        if let Some(command) = self.ticket_work.asked.values().next() {
            return self.fail(format!("nobody was answered who asked {command:?}"));
        }
        let wall = wall(self.now);
        let tickets = self.store.logs().flat_map(|(_, log)| log.tickets());
        let broken = tickets
            .filter_map(|facts| crate::tickets::settled(facts, wall).err())
            .next();
        let astray = || {
            let mut logs = self.store.logs();
            logs.find_map(|(_, log)| log.merged_lead_somewhere().err())
        };
        if let Some(what) = broken.or_else(astray) {
            self.fail(what);
        }
    }
}
