//! Who is offered to whom.
//!
//! After every event nobody waits in line while somebody is free for that
//! queue. So an event leaves at most the place that it touched to look at: the
//! queue a contact came (back) to, or the queues of an agent that changed.

use crate::Acd;
use crate::acd::Look;
use crate::agents::Duty;
use crate::contacts::Stay;
use crate::order::{Choice, Place, choose};

impl Acd {
    /// Makes every offer that can be made.
    pub(crate) fn match_up(&mut self) {
        while let Some(look) = self.looks.pop_front() {
            match look {
                Look::Agent(index) if self.agents[index].is_free() => {
                    if let Some((queue, place)) = self.choose_for(index) {
                        self.make_offer(index, queue, place);
                    }
                }
                Look::Agent(index) => {
                    // This one may have been the last who didn't rest.
                    for post in 0..self.agents[index].posts.len() {
                        let queue = self.agents[index].posts[post].queue;
                        self.wake_if_all_rest(queue);
                    }
                }
                Look::Queue(queue) => {
                    while !self.queues[queue].line.is_empty()
                        && let Some(index) = self
                            .preferred(queue)
                            .or_else(|| self.queues[queue].crew.first_free())
                        && let Some((from, place)) = self.choose_for(index)
                    {
                        self.make_offer(index, from, place);
                    }
                    self.wake_if_all_rest(queue);
                }
            }
        }
    }

    /// Whom the contact at the head of this queue knows already, if they could take it now.
    fn preferred(&self, queue: usize) -> Option<usize> {
        let first = self.queues[queue].line.first()?;
        let Stay::Waiting(waiting) = &self.contacts.get(&first.contact)?.stay else {
            return None;
        };
        let index = *self.agent_index.get(&waiting.prefer?)?;
        let agent = &self.agents[index];
        let serves = agent.posts.iter().any(|post| post.queue == queue);
        (serves && agent.is_free()).then_some(index)
    }

    fn choose_for(&self, index: usize) -> Option<(usize, Place)> {
        let agent = &self.agents[index];
        let choices = agent.posts.iter().map(|post| {
            let queue = &self.queues[post.queue];
            Choice {
                queue: post.queue,
                line: &queue.line,
                overdue_after: queue.setup.aging.overdue_after,
                behind: self.rules.rank_step.saturating_mul(u32::from(post.rank)),
            }
        });
        let turn_due = agent.clinicians_in_a_row >= self.rules.clinicians_in_a_row.max(1);
        choose(choices, self.now, turn_due)
    }

    /// Somebody waits and everybody signed in rests: rather than let the
    /// contact wait for the end of a rest, whoever has rested longest gets the
    /// turn, after a breath. While one is only busy, the others' rest stands:
    /// it is short, and a phone that nobody answered a moment ago is the worse bet.
    fn wake_if_all_rest(&mut self, queue: usize) {
        let queue = &self.queues[queue];
        if queue.line.is_empty() {
            return;
        }
        if let Some((since, index)) = queue.crew.first_if_all_rest()
            && since.saturating_add(self.rules.breath) <= self.now
        {
            let duty = self.begin_idle(index);
            self.change_agent(index, |agent| {
                debug_assert!(matches!(agent.duty, Duty::Resting { .. }));
                agent.duty = duty;
            });
        }
    }
}
