//! Waiting in a queue: what is said there, and the ways out of it.
//!
//! The phone already rings while the greeting plays. After it come the ticket
//! number, as soon as there is one, and the caller's place: once on entry, then
//! at the flow's interval, and in between when it becomes better, but never
//! within 20 s of the last time. A place that has become worse (somebody more
//! urgent came) is not read out; the caller hears that they still wait.

use std::sync::Arc;
use std::time::Duration;

use super::incident::RingNews;
use super::{OnAir, Session, State};
use crate::flow::{Kind, NodeIndex, Queue};
use crate::text::POSITION_MAX;
use crate::{Class, HangUpCause, PlayId, Step};

/// Shortest time between two announcements of the place.
const STANDING_GAP: Duration = Duration::from_secs(20);
/// How long a queue may be without anybody signed in before those who already
/// wait are led elsewhere: a phone that registers anew isn't a shift's end.
const UNSTAFFED_GRACE: Duration = Duration::from_secs(10);

/// A caller in a queue.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) at: NodeIndex,
    on_air: Option<OnAir>,
    lost_due: bool,
    greeting_due: bool,
    ticket: TicketTold,
    /// What is on air says the ticket number.
    telling_ticket: bool,
    /// What is on air says what is out of order; this instead, if that can't be.
    telling_news: Option<RingNews>,
    /// It was cut short once and is said again; not a third time.
    told_twice: bool,
    /// Where the caller stands, as last heard.
    place: Option<u32>,
    /// The place last spoken, and when.
    told: Option<u32>,
    told_at: Option<Duration>,
    /// Timer: the next announcement of the place.
    standing_at: Option<Duration>,
    /// Timer: nobody has been signed in for too long.
    unstaffed_at: Option<Duration>,
    /// Timer: the flow's longest wait.
    leave_at: Option<Duration>,
}

/// What the caller hears of the ticket in this queue; in the next one they don't hear it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TicketTold {
    /// To be said as soon as there is one.
    Due,
    /// Said, or not wanted.
    Settled,
    /// Asked for by key.
    Asked,
}

impl Waiting {
    pub(super) fn speaks(&self, play: PlayId) -> bool {
        self.playing() == Some(play)
    }

    pub(super) fn playing(&self) -> Option<PlayId> {
        self.on_air.map(|on_air| on_air.play)
    }

    pub(super) fn due(&self) -> Option<Duration> {
        let speech = match self.on_air {
            Some(on_air) => Some(on_air.until),
            None => self.standing_at,
        };
        [speech, self.unstaffed_at, self.leave_at]
            .into_iter()
            .flatten()
            .min()
    }
}

fn queue_of(kind: &Kind) -> Option<&Queue> {
    match kind {
        Kind::Queue(queue) => Some(queue),
        _ => None,
    }
}

impl Session {
    /// Enters the queue of this node; `again` after a conversation that broke.
    pub(super) fn wait_in_queue(&mut self, now: Duration, at: NodeIndex, again: bool) {
        let flow = Arc::clone(&self.flow);
        let Some(queue) = queue_of(&flow.node(at).kind) else {
            return;
        };
        // Keys pressed before must not lead out of the queue.
        self.ahead.clear();
        self.push(Step::EnterQueue {
            queue: Arc::clone(&queue.queue),
            class: queue.class.unwrap_or(Class::of(self.role())),
            music: queue.music,
            owner: queue.owner,
        });
        self.state = State::Waiting(Box::new(Waiting {
            at,
            on_air: None,
            lost_due: again,
            greeting_due: !again,
            ticket: if self.ticket_told {
                TicketTold::Settled
            } else {
                TicketTold::Due
            },
            telling_ticket: false,
            telling_news: None,
            told_twice: false,
            place: None,
            told: None,
            told_at: None,
            // Even if no place is ever heard of, the caller hears something.
            standing_at: queue.standing.as_ref().map(|standing| now + standing.every),
            unstaffed_at: None,
            leave_at: queue.patience.map(|(longest, _)| now + longest),
        }));
        self.announce(now);
    }

    /// Says what is due, unless something is being said.
    pub(super) fn announce(&mut self, now: Duration) {
        let flow = Arc::clone(&self.flow);
        let State::Waiting(waiting) = &self.state else {
            return;
        };
        let Some(queue) = queue_of(&flow.node(waiting.at).kind) else {
            return;
        };
        if waiting.on_air.is_some() {
            return;
        }
        // Behind the greeting, and before all else.
        let greets = waiting.greeting_due && queue.greeting.is_some();
        if !waiting.lost_due
            && !greets
            && let Some((on_air, instead)) = self.say_over_ring(now)
        {
            if let State::Waiting(waiting) = &mut self.state {
                waiting.on_air = Some(on_air);
                waiting.telling_news = Some(instead);
                waiting.greeting_due = false;
            }
            return;
        }
        let State::Waiting(waiting) = &self.state else {
            return;
        };
        // What is out of order comes right behind the greeting: nobody knows how long it rings.
        let held = greets && self.ring_news.is_some();
        let mut prompt = Vec::new();
        let fill = self.fill(waiting.place);
        if waiting.lost_due {
            queue.lost.speak(&fill, &mut prompt);
        }
        if waiting.greeting_due
            && let Some(greeting) = &queue.greeting
        {
            greeting.speak(&fill, &mut prompt);
        }
        let tell_ticket = match (waiting.ticket, &self.ticket) {
            _ if held => None,
            (TicketTold::Due, Some(_)) => queue.ticket.as_ref(),
            (TicketTold::Asked, Some(_)) => Some(&queue.repeat),
            _ => None,
        };
        let telling_ticket = tell_ticket.is_some();
        if let Some(text) = tell_ticket {
            text.speak(&fill, &mut prompt);
        }
        let mut told = waiting.told;
        let standing = queue
            .standing
            .as_ref()
            .filter(|_| waiting.standing_at.is_some_and(|due| due <= now))
            .filter(|_| !held);
        if let Some(standing) = standing {
            let text = match waiting.place {
                Some(place) if place <= POSITION_MAX && told.is_none_or(|told| place <= told) => {
                    told = Some(place);
                    if place <= 1 {
                        &standing.next_in_line
                    } else {
                        &standing.position
                    }
                }
                _ => &standing.comfort,
            };
            text.speak(&fill, &mut prompt);
        }
        let every = queue.standing.as_ref().map(|standing| standing.every);
        let on_air = (!prompt.is_empty()).then(|| self.on_air(now));
        if let Some(on_air) = on_air {
            self.push(Step::Announce {
                play: on_air.play,
                prompt,
            });
        }
        let has_ticket = self.ticket.is_some();
        let State::Waiting(waiting) = &mut self.state else {
            return;
        };
        waiting.on_air = on_air;
        waiting.telling_ticket = telling_ticket;
        waiting.lost_due = false;
        waiting.greeting_due = false;
        if !held && (has_ticket || waiting.ticket == TicketTold::Asked) {
            waiting.ticket = TicketTold::Settled;
        }
        if standing.is_some() {
            waiting.told = told;
            waiting.told_at = Some(now);
            waiting.standing_at = every.map(|every| now + every);
        }
    }

    /// An announcement was cut short. A ticket number in it is said once more.
    pub(super) fn announcement_cut(&mut self, now: Duration) {
        if let State::Waiting(waiting) = &mut self.state {
            waiting.telling_news = None;
        }
        if let State::Waiting(waiting) = &mut self.state
            && waiting.telling_ticket
            && !std::mem::replace(&mut waiting.told_twice, true)
        {
            waiting.ticket = TicketTold::Due;
        }
        self.announced(now, false);
    }

    /// An announcement is over, heard or not.
    pub(super) fn announced(&mut self, now: Duration, heard: bool) {
        let flow = Arc::clone(&self.flow);
        let State::Waiting(waiting) = &mut self.state else {
            return;
        };
        waiting.on_air = None;
        if let Some(instead) = waiting.telling_news.take().filter(|_| !heard) {
            self.ring_news = Some(instead);
        }
        self.ticket_told |= std::mem::take(&mut waiting.telling_ticket) && heard;
        // The interval is one of music: it begins when the voice ends. What
        // fell due meanwhile is said now.
        if let Some(due) = &mut waiting.standing_at
            && *due > now
            && waiting.told_at.is_some()
            && let Some(standing) =
                queue_of(&flow.node(waiting.at).kind).and_then(|queue| queue.standing.as_ref())
        {
            *due = (*due).max(now + standing.every.min(STANDING_GAP));
        }
        self.announce(now);
    }

    /// The queue says where the caller stands.
    pub(super) fn stands(&mut self, now: Duration, position: u32, signed_in: bool) {
        let flow = Arc::clone(&self.flow);
        let State::Waiting(waiting) = &mut self.state else {
            return;
        };
        let Some(queue) = queue_of(&flow.node(waiting.at).kind) else {
            return;
        };
        let first = waiting.place.is_none();
        waiting.place = Some(position.max(1));
        match (signed_in, queue.no_agents) {
            (true, _) | (false, None) => waiting.unstaffed_at = None,
            (false, Some(to)) if first => return self.flow_out(now, to),
            (false, Some(_)) => {
                waiting.unstaffed_at.get_or_insert(now + UNSTAFFED_GRACE);
            }
        }
        if queue.standing.is_some() {
            let better = waiting.told.is_none_or(|told| position < told);
            if first {
                waiting.standing_at = Some(now);
            } else if better
                && position <= POSITION_MAX
                && let (Some(due), Some(told_at)) = (waiting.standing_at, waiting.told_at)
            {
                waiting.standing_at = Some(due.min(told_at + STANDING_GAP).max(now));
            }
        }
        self.announce(now);
    }

    /// Nobody takes callers in this queue.
    pub(super) fn refused(&mut self, now: Duration) {
        let State::Waiting(waiting) = &self.state else {
            return;
        };
        let at = waiting.at;
        match queue_of(&self.flow.node(at).kind).and_then(|queue| queue.refused) {
            Some(to) => self.flow_out(now, to),
            None => {
                self.step_out();
                self.last_words(now, at, HangUpCause::Finished);
            }
        }
    }

    /// A key in the queue: a way out, or the ticket number again.
    pub(super) fn wait_key(&mut self, now: Duration, key: char) {
        let flow = Arc::clone(&self.flow);
        let State::Waiting(waiting) = &mut self.state else {
            return;
        };
        let Some(queue) = queue_of(&flow.node(waiting.at).kind) else {
            return;
        };
        if let Some((_, to)) = queue.exit_keys.iter().find(|(exit, _)| *exit == key) {
            self.flow_out(now, *to);
        } else if queue.repeat_ticket == Some(key) && self.ticket.is_some() {
            waiting.ticket = TicketTold::Asked;
            self.announce(now);
        }
    }

    pub(super) fn wait_timeout(&mut self, now: Duration) {
        let flow = Arc::clone(&self.flow);
        let State::Waiting(waiting) = &mut self.state else {
            return;
        };
        let Some(queue) = queue_of(&flow.node(waiting.at).kind) else {
            return;
        };
        let over = |due: Option<Duration>| due.is_some_and(|due| due <= now);
        if over(waiting.leave_at)
            && let Some((_, to)) = queue.patience
        {
            return self.flow_out(now, to);
        }
        if over(waiting.unstaffed_at)
            && let Some(to) = queue.no_agents
        {
            return self.flow_out(now, to);
        }
        if let Some(on_air) = waiting.on_air
            && on_air.until <= now
        {
            self.push(Step::StopPlay { play: on_air.play });
            return self.announced(now, true);
        }
        self.announce(now);
    }

    /// Leaves the queue for another node.
    fn flow_out(&mut self, now: Duration, to: NodeIndex) {
        self.step_out();
        self.walk(now, to);
    }

    fn step_out(&mut self) {
        if let State::Waiting(waiting) = &self.state
            && let Some(play) = waiting.playing()
        {
            self.push(Step::StopPlay { play });
        }
        self.push(Step::LeaveQueue);
    }
}
