//! New people, queues and rules, while the live facts stay.

use std::time::Duration;

use crate::acd::{Look, Queue};
use crate::agents::{Agent, Crew, Duty, Idle, Phone, Post};
use crate::contacts::{Stay, Turn};
use crate::offers::{AgentNext, Phase};
use crate::order::{Line, Seat};
use crate::{Acd, AgentSetup, AgentState, ContactId, QueueSetup, Setup};

impl Acd {
    /// Replaces people, queues, rules and limits, and keeps the live facts.
    /// The seed is ignored.
    ///
    /// Conversations go on, also those of agents who are no longer listed.
    /// Offers to such agents are taken back. Contacts in a queue that is gone
    /// (or belongs to another tenant now) are dropped: their next `Wait` is
    /// answered "nobody signed in".
    pub fn reconfigure(&mut self, now: Duration, setup: Setup) {
        self.now = self.now.max(now);
        self.rules = setup.rules;
        self.limits = setup.limits;

        self.dismiss_unlisted(&setup.agents);
        self.drop_homeless(&setup.queues);
        let old_queues = self.replace_queues(setup.queues);
        self.replace_agents(setup.agents);
        self.replace_lines(&old_queues);

        for index in 0..self.agents.len() {
            let agent = &self.agents[index];
            for post in &agent.posts {
                self.queues[post.queue].crew.enter(post.rank, index, agent);
            }
        }
        // Looks made so far speak of old places.
        self.looks.clear();
        for queue in 0..self.queues.len() {
            self.looks.push_back(Look::Queue(queue));
        }
        self.match_up();
    }

    /// Signs out who isn't listed any more.
    fn dismiss_unlisted(&mut self, listed: &[AgentSetup]) {
        let unlisted: Vec<_> = (0..self.agents.len())
            .filter(|&index| !listed.iter().any(|a| a.id == self.agents[index].id))
            .collect();
        for index in unlisted {
            self.phone_is_gone(index);
        }
    }

    /// Returns the old ones, by their index.
    fn replace_queues(&mut self, setups: Vec<QueueSetup>) -> Vec<QueueSetup> {
        let old = std::mem::take(&mut self.queues);
        self.queue_index.clear();
        for setup in setups {
            if self.queue_index.contains_key(&setup.id) {
                continue;
            }
            self.queue_index.insert(setup.id, self.queues.len());
            self.queues.push(Queue {
                line: Line::new(&setup),
                setup,
                crew: Crew::default(),
            });
        }
        old.into_iter().map(|queue| queue.setup).collect()
    }

    fn replace_agents(&mut self, mut setups: Vec<AgentSetup>) {
        // Stable: of two with one id the first stays.
        setups.sort_by_key(|setup| setup.id);
        setups.dedup_by_key(|setup| setup.id);
        let mut old: Vec<Option<Agent>> = std::mem::take(&mut self.agents)
            .into_iter()
            .map(Some)
            .collect();
        let old_index = std::mem::take(&mut self.agent_index);
        for setup in setups {
            let posts = self.posts(&setup);
            let known = old_index
                .get(&setup.id)
                .and_then(|&index| old[index].take());
            let agent = match known {
                Some(agent) => Agent {
                    posts,
                    wrap_up: setup.wrap_up,
                    ..agent
                },
                None => self.newcomer(&setup, posts),
            };
            self.agent_index.insert(agent.id, self.agents.len());
            self.agents.push(agent);
        }
    }

    fn posts(&self, setup: &AgentSetup) -> Vec<Post> {
        let mut posts: Vec<Post> = Vec::with_capacity(setup.queues.len());
        for membership in &setup.queues {
            if let Some(&queue) = self.queue_index.get(&membership.queue) {
                posts.push(Post {
                    queue,
                    rank: membership.rank,
                });
            }
        }
        posts.sort_by_key(|post| post.queue);
        posts.dedup_by_key(|post| post.queue);
        posts
    }

    fn newcomer(&self, setup: &AgentSetup, posts: Vec<Post>) -> Agent {
        // Listed, taken off the list and listed again: a conversation may have gone on.
        let conversations = self
            .offers
            .values()
            .filter(|o| o.agent == setup.id && matches!(o.phase, Phase::Talking(_)))
            .count() as u32;
        let (duty, shown) = if conversations > 0 {
            (Duty::Talking { conversations }, AgentState::Talking)
        } else {
            let idle = Idle {
                since: self.now,
                order: 0,
            };
            (Duty::Free { idle }, AgentState::SignedOut)
        };
        Agent {
            id: setup.id,
            posts,
            wrap_up: setup.wrap_up,
            phone: Phone::Out,
            heard_at: Duration::ZERO,
            duty,
            clinicians_in_a_row: 0,
            shown,
            shown_since: self.now,
            wraps_up: None,
        }
    }

    /// Drops who waits in a queue that will be gone.
    fn drop_homeless(&mut self, setups: &[QueueSetup]) {
        let successors: Vec<Option<&QueueSetup>> = self
            .queues
            .iter()
            .map(|old| setups.iter().find(|new| new.id == old.setup.id))
            .collect();
        let mut homeless: Vec<ContactId> = Vec::new();
        for (&id, contact) in &self.contacts {
            if let Stay::Waiting(waiting) = &contact.stay {
                let is_welcome = successors[waiting.queue]
                    .is_some_and(|queue| queue.tenant.is_none_or(|t| t == contact.tenant));
                if !is_welcome {
                    homeless.push(id);
                }
            }
        }
        homeless.sort_unstable();
        for id in homeless {
            self.end_stay(id, AgentNext::Held);
        }
    }

    /// Moves everybody who waits into the new lines.
    fn replace_lines(&mut self, old_queues: &[QueueSetup]) {
        for (&id, contact) in &mut self.contacts {
            let Stay::Waiting(waiting) = &mut contact.stay else {
                continue;
            };
            // Nobody is homeless any more, so there is one.
            let Some(&index) = self.queue_index.get(&old_queues[waiting.queue].id) else {
                continue;
            };
            let queue = &mut self.queues[index];
            waiting.queue = index;
            waiting.seat = Seat::new(
                &queue.setup,
                contact.tenant,
                waiting.class,
                waiting.since,
                id,
            );
            if waiting.turn == Turn::InLine {
                queue.line.insert(waiting.seat);
            }
        }
    }
}
