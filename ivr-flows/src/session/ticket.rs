//! Tickets: opened or joined, asked for by number, read out.

use std::sync::Arc;
use std::time::Duration;

use super::{OnAir, Session, State};
use crate::flow::{Find, Kind, NodeIndex, ReadOut, Ticket};
use crate::text::{Fill, Text};
use crate::{FoundTicket, PlayId, Step, TicketAsk};

/// How long the desk may take to look for a ticket; then a person takes over.
const FIND_WAIT: Duration = Duration::from_millis(1_500);
/// Numbers a caller may try in one call, wherever the flow leads them.
const TRIES_MAX: u8 = 3;
/// Reads the number again.
const REPEAT_KEY: char = '*';

/// How a ticket stands is being read out.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) at: NodeIndex,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Speaking(OnAir),
    /// Perhaps the caller wants to hear the number again.
    Listening {
        until: Duration,
    },
}

impl Reading {
    pub(super) fn due(&self) -> Duration {
        match self.phase {
            Phase::Speaking(on_air) => on_air.until,
            Phase::Listening { until } => until,
        }
    }

    pub(super) fn speaks(&self, play: PlayId) -> bool {
        matches!(self.phase, Phase::Speaking(on_air) if on_air.play == play)
    }
}

impl Session {
    /// Comes to a node that opens a ticket or joins the one found: the next
    /// node if there is nothing to wait for.
    pub(super) fn keep_ticket(
        &mut self,
        now: Duration,
        at: NodeIndex,
        ticket: &Ticket,
    ) -> Option<NodeIndex> {
        // One contact, one ticket: a way back through here opens no second.
        if self.ticket.is_some() {
            return Some(ticket.next);
        }
        if ticket.ask == TicketAsk::Attach && self.found.is_none() {
            return Some(ticket.on_store_down);
        }
        self.push(Step::OpenTicket {
            ask: ticket.ask,
            role: self.role(),
        });
        self.state = State::Ticketing {
            at,
            until: now + ticket.wait,
        };
        None
    }

    pub(super) fn ticket_is(&mut self, now: Duration, number: Arc<str>) {
        if !is_readable(&number) {
            return self.no_ticket(now);
        }
        if self.ticket.is_none() {
            self.ticket = Some(number);
        }
        match &self.state {
            State::Ticketing { at, .. } => {
                if let Kind::Ticket(ticket) = &self.flow.node(*at).kind {
                    let next = ticket.next;
                    self.walk(now, next);
                }
            }
            State::Waiting(_) => self.announce(now),
            _ => {}
        }
    }

    pub(super) fn no_ticket(&mut self, now: Duration) {
        if let State::Ticketing { at, .. } = self.state
            && let Kind::Ticket(ticket) = &self.flow.node(at).kind
        {
            let next = ticket.on_store_down;
            self.walk(now, next);
        }
    }

    /// Comes to a node that looks for the number keyed in last.
    pub(super) fn find_ticket(
        &mut self,
        now: Duration,
        at: NodeIndex,
        find: &Find,
    ) -> Option<NodeIndex> {
        if self.misses >= TRIES_MAX {
            return Some(find.give_up);
        }
        self.push(Step::FindTicket {
            digits: self.digits.as_str().into(),
        });
        self.state = State::Finding {
            at,
            until: now + FIND_WAIT,
        };
        None
    }

    /// The desk's answer; `None`: no such ticket of this caller's.
    pub(super) fn ticket_found(&mut self, now: Duration, found: Option<FoundTicket>) {
        let State::Finding { at, .. } = self.state else {
            return;
        };
        let Kind::Find(find) = &self.flow.node(at).kind else {
            return;
        };
        let (ok, again, give_up) = (find.found, find.not_found, find.give_up);
        let to = match found.filter(|found| is_readable(&found.number)) {
            Some(found) => {
                self.found = Some(found);
                // The number calling and the ticket match.
                self.level = self.level.max(1);
                ok
            }
            None => {
                self.misses = self.misses.saturating_add(1);
                if self.misses < TRIES_MAX {
                    again
                } else {
                    give_up
                }
            }
        };
        self.walk(now, to);
    }

    /// The desk doesn't answer.
    pub(super) fn find_timeout(&mut self, now: Duration) {
        if let State::Finding { at, .. } = self.state
            && let Kind::Find(find) = &self.flow.node(at).kind
        {
            let to = find.give_up;
            self.walk(now, to);
        }
    }

    /// Says how the ticket found stands.
    pub(super) fn read_ticket(
        &mut self,
        now: Duration,
        at: NodeIndex,
        read: &ReadOut,
    ) -> Option<NodeIndex> {
        let Some(found) = &self.found else {
            return Some(read.next);
        };
        let update = found.update.map_or(0, |update| update.place());
        let texts = [found.status as usize, 3 + update];
        let texts = texts.map(|place| read.phrases.get(place));
        self.read(now, at, texts.into_iter().flatten().chain([&read.number]));
        None
    }

    fn read<'t>(&mut self, now: Duration, at: NodeIndex, texts: impl Iterator<Item = &'t Text>) {
        let mut prompt = Vec::new();
        let fill = Fill {
            ticket: self.found.as_ref().map(|found| &found.number),
            ..self.fill(None)
        };
        for text in texts {
            text.speak(&fill, &mut prompt);
        }
        let on_air = self.play(now, prompt, true);
        self.state = State::Reading(Reading {
            at,
            phase: Phase::Speaking(on_air),
        });
    }

    /// It was read: perhaps once more.
    pub(super) fn ticket_read(&mut self, now: Duration) {
        let flow = Arc::clone(&self.flow);
        if let State::Reading(reading) = &mut self.state
            && let Kind::Read(read) = &flow.node(reading.at).kind
        {
            reading.phase = Phase::Listening {
                until: now + read.listen,
            };
        }
    }

    pub(super) fn reading_key(&mut self, now: Duration, key: char) {
        let flow = Arc::clone(&self.flow);
        let State::Reading(reading) = &self.state else {
            return;
        };
        let at = reading.at;
        let Kind::Read(read) = &flow.node(at).kind else {
            return;
        };
        if let Phase::Speaking(on_air) = reading.phase {
            self.push(Step::StopPlay { play: on_air.play });
        }
        if key == REPEAT_KEY {
            self.read(now, at, [&read.repeat].into_iter());
        } else {
            // Meant for the question that follows.
            self.ahead.push(key);
            self.walk(now, read.next);
        }
    }

    pub(super) fn reading_timeout(&mut self, now: Duration) {
        let flow = Arc::clone(&self.flow);
        let State::Reading(reading) = &self.state else {
            return;
        };
        match (reading.phase, &flow.node(reading.at).kind) {
            (Phase::Speaking(on_air), _) => {
                self.push(Step::StopPlay { play: on_air.play });
                self.ticket_read(now);
            }
            (Phase::Listening { .. }, Kind::Read(read)) => self.walk(now, read.next),
            _ => {}
        }
    }
}

fn is_readable(number: &str) -> bool {
    (1..=20).contains(&number.len()) && number.bytes().all(|digit| digit.is_ascii_digit())
}
