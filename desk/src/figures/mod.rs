//! The service desk's figures: a fold over the events of one log, and nothing else.
//!
//! An interval holds the contacts *queued* in it: a visit to a queue belongs to
//! the quarter of an hour in which it began, however late it ends, and so does
//! the conversation that it led to. Only agents' time in their states is split
//! over the quarters it lies in. Cells are kept by quarter, since any zone's hours, days
//! and months are made of whole ones: whoever asks gives the bounds, so that no
//! time zone is known here.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | the fold: one event after the other, each once; questions |
//! | `cells.rs` | what is counted, and the ratios |
//! | `contacts.rs` | visits, conversations, partners, hand-overs |
//! | `agents.rs` | agents' time, offers, after-call work |
//! | `tickets.rs` | first-contact resolution, the backlog |
//! | `gaps.rs` | what a gap in the log may have changed |

mod agents;
mod cells;
mod contacts;
mod gaps;
mod tickets;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use crate::event::Event;
use crate::message::{AgentId, ContactId, PartnerId, QueueId, Role, Stamped};
use crate::tickets::{TicketEscalation, TicketStatus, Updated};

pub use cells::{
    ArrivalKey, Arrivals, Backlog, PartnerKey, Partnership, Quarter, Ratio, Service, ServiceKey,
    TicketCounts, Work, WorkKey,
};
pub use tickets::PROVISIONAL_MS;

/// What is promised for a queue. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Targets {
    /// T: who is answered within it (itself included) is answered in time. Default 20 s.
    pub target_ms: u64,
    /// s: who hangs up before it hasn't waited. Default 5 s.
    pub short_ms: u64,
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            target_ms: 20_000,
            short_ms: 5_000,
        }
    }
}

/// What is promised, queue by queue; the default for those not named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// By queue.
    pub queues: BTreeMap<QueueId, Targets>,
}

impl Settings {
    fn targets(&self, queue: Option<QueueId>) -> Targets {
        let known = queue.and_then(|queue| self.queues.get(&queue));
        known.copied().unwrap_or_default()
    }
}

/// Events between the last one applied and the one given are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event {given} was given after event {after}")]
pub struct Missing {
    /// The last that was applied.
    pub after: u64,
    /// The one that was given.
    pub given: u64,
}

/// Who waits in a queue at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many, those being offered included.
    pub contacts: u64,
    /// Since when the one who waits longest does, Unix milliseconds.
    pub since: Option<i64>,
}

/// The figures of one log. [`Figures::apply`] its events in their order; those
/// applied already change nothing, so that reading may begin again anywhere.
///
/// What it keeps is bounded: contacts that are open, tickets that are open or
/// were resolved within seven days, and one cell for each quarter and queue,
/// role, agent or partner in which something happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    settings: Settings,
    last_seq: u64,
    /// The latest time of any event.
    latest_at: i64,
    /// Careline has stopped, and not begun again: agents who are thrown out now do nothing.
    stopped: bool,
    contacts: HashMap<ContactId, contacts::Open>,
    agents: BTreeMap<AgentId, agents::Agent>,
    tickets: tickets::Tickets,
    gaps: gaps::Gaps,
    service: BTreeMap<ServiceKey, Service>,
    arrivals: BTreeMap<ArrivalKey, Arrivals>,
    work: BTreeMap<WorkKey, Work>,
    partners: BTreeMap<PartnerKey, Partnership>,
}

impl Figures {
    /// Nothing yet. The first event to come is the one after `after` (0: the
    /// log's first). Who begins in the middle of a log lacks what was open then,
    /// and says that the quarters concerned are incomplete.
    pub fn new(settings: Settings, after: u64) -> Self {
        Self {
            settings,
            last_seq: after,
            latest_at: i64::MIN,
            ..Self::default()
        }
    }

    /// The sequence number of the last event applied.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Applies an event. False when it was applied before.
    ///
    /// # Errors
    /// It isn't the next: nothing is changed.
    pub fn apply(&mut self, seq: u64, stamped: &Stamped) -> Result<bool, Missing> {
        if seq <= self.last_seq {
            return Ok(false);
        }
        if seq != self.last_seq + 1 {
            return Err(Missing {
                after: self.last_seq,
                given: seq,
            });
        }
        self.last_seq = seq;
        let latest = self.latest_at;
        self.latest_at = latest.max(stamped.at);
        self.event(stamped, latest);
        Ok(true)
    }

    fn event(&mut self, stamped: &Stamped, latest: i64) {
        let Stamped { at, event } = *stamped;
        match event {
            Event::AgentStateChanged { agent, state } => return self.agent_state(agent, state, at),
            Event::ServiceStarted => return self.begins(at, latest),
            Event::ServiceStopped => {
                self.stopped = true;
                return self.all_out(at);
            }
            Event::JournalGap { count, from, to } => return self.gap(count, from, to),
            Event::ContactWrappedUp { contact, agent, ms } => {
                return self.wrapped_up(agent, contact, ms, at);
            }
            Event::TicketOpened {
                ticket, contact, ..
            } => {
                let known = self.contacts.get(&contact);
                let who = known.and_then(contacts::Open::who);
                self.tickets.opened(ticket, contact, who, at);
            }
            Event::TicketAttached {
                ticket, contact, ..
            } => self.tickets.attached(ticket, contact, at),
            Event::TicketUpdated {
                ticket,
                change: Some(change),
                ..
            } => {
                if let Updated::Categorised { reason, .. } = change {
                    self.tickets.categorised(ticket, reason, at);
                }
            }
            Event::TicketUpdated { ticket, status, .. } => match status {
                TicketStatus::Resolved => self.tickets.resolved(ticket, at),
                TicketStatus::Open => self.tickets.reopened(ticket, at),
            },
            Event::TicketResolved { ticket, .. } => self.tickets.resolved(ticket, at),
            Event::TicketReopened { ticket, .. } => self.tickets.reopened(ticket, at),
            Event::TicketMerged { ticket, into, .. } => self.tickets.merged(ticket, into, at),
            Event::TicketEscalated { ticket, why, .. } => self.tickets.escalated(ticket, why, at),
            Event::ContactIdentified { contact, found } => {
                if let Some(who) = tickets::Who::found(found) {
                    self.tickets.calls(contact, who, at);
                }
            }
            _ => self.offer_event(&event, at),
        }
        if let Some(contact) = event.contact() {
            self.contact_event(contact, stamped);
        }
    }

    fn gap(&mut self, count: u64, from: i64, to: i64) {
        self.gaps.gap(count, from, to, self.latest_at);
        for open in self.contacts.values_mut() {
            for quarter in open.quarters() {
                self.gaps.mark(quarter);
            }
            open.in_gap();
        }
        for agent in self.agents.values_mut() {
            if let Some(quarter) = agent.quarter() {
                self.gaps.mark(quarter);
            }
            agent.in_gap(from);
        }
    }

    /// Visits and conversations, cell by cell.
    pub fn service(&self, range: Range<Quarter>) -> impl Iterator<Item = (&ServiceKey, &Service)> {
        let first = |quarter| ServiceKey {
            quarter,
            queue: None,
            role: None,
        };
        self.service.range(first(range.start)..first(range.end))
    }

    /// Contacts, cell by cell.
    pub fn arrivals(
        &self,
        range: Range<Quarter>,
    ) -> impl Iterator<Item = (&ArrivalKey, &Arrivals)> {
        let first = |quarter| ArrivalKey {
            quarter,
            role: None,
        };
        self.arrivals.range(first(range.start)..first(range.end))
    }

    /// Agents' work, cell by cell. The states that last are counted until the
    /// latest event of the log, in cells of their own.
    pub fn work(&self, range: Range<Quarter>) -> impl Iterator<Item = (WorkKey, Work)> {
        let first = |quarter| WorkKey {
            quarter,
            agent: AgentId(0),
        };
        let closed = self.work.range(first(range.start)..first(range.end));
        let closed = closed.map(|(key, work)| (*key, *work));
        let unfinished = self.unfinished().filter_map(move |(key, state, ms)| {
            let mut work = Work::default();
            work.state_ms[state] = ms;
            range.contains(&key.quarter).then_some((key, work))
        });
        closed.chain(unfinished)
    }

    /// Calls to partners, cell by cell.
    pub fn partners(
        &self,
        range: Range<Quarter>,
    ) -> impl Iterator<Item = (&PartnerKey, &Partnership)> {
        let first = |quarter| PartnerKey {
            quarter,
            partner: PartnerId(0),
        };
        self.partners.range(first(range.start)..first(range.end))
    }

    /// Tickets, cell by cell.
    pub fn tickets(
        &self,
        range: Range<Quarter>,
    ) -> impl Iterator<Item = (&Quarter, &TicketCounts)> {
        self.tickets.counts.range(range)
    }

    /// Open tickets at `now` (Unix milliseconds), by why they went up a tier last.
    pub fn backlog(&self, now: i64) -> BTreeMap<Option<TicketEscalation>, Backlog> {
        self.tickets.backlog(now)
    }

    /// How many of the tickets resolved on first contact may still turn out
    /// not to be: seven days aren't over at `now` (Unix milliseconds).
    pub fn provisional(&self, range: &Range<Quarter>, now: i64) -> u64 {
        self.tickets.provisional(range, now)
    }

    /// The quarters of which events are missing that change what counts there.
    pub fn incomplete(&self, range: Range<Quarter>) -> BTreeSet<Quarter> {
        let mut quarters: BTreeSet<Quarter> =
            self.gaps.incomplete.range(range.clone()).copied().collect();
        // What agents do is unsure until something is heard of them again.
        let unsure = self
            .agents
            .values()
            .filter_map(agents::Agent::unsure_from)
            .min();
        if let Some(from) = unsure {
            let last = Quarter::of(self.latest_at)
                .0
                .min(range.end.0.saturating_sub(1));
            let first = Quarter::of(from).0.max(range.start.0);
            quarters.extend((first..=last).take(gaps::STRETCH_MAX as usize).map(Quarter));
        }
        quarters
    }

    /// Are the figures of tickets incomplete? An event that is missing within
    /// four weeks before or a week after might have changed them: of what is
    /// resolved again within a week the first counts, and which that is may
    /// hang on the one before.
    pub fn tickets_incomplete(&self, range: &Range<Quarter>) -> bool {
        let week = PROVISIONAL_MS / Quarter::MS;
        let from = Quarter(range.start.0.saturating_sub(4 * week));
        let until = Quarter(range.end.0.saturating_add(week + 1)).max(from);
        self.gaps.spans.range(from..until).next().is_some()
    }

    /// Events that the log says are missing.
    pub fn events_missing(&self) -> u64 {
        self.gaps.events
    }

    /// Visits that go on, those a gap may have ended included: O = A + B + F +
    /// failures + lost + these, over the whole log.
    pub fn open_visits(&self) -> u64 {
        let open = self.contacts.values().filter(|open| open.is_open_visit());
        open.count() as u64
    }

    /// Who waits now, by queue; without those whose end may stand in a gap.
    pub fn waiting(&self) -> BTreeMap<QueueId, Waiting> {
        let mut queues: BTreeMap<QueueId, Waiting> = BTreeMap::new();
        for (key, since) in self.contacts.values().filter_map(contacts::Open::waits) {
            let Some(queue) = key.queue else { continue };
            let waiting = queues.entry(queue).or_default();
            waiting.contacts += 1;
            waiting.since = Some(waiting.since.map_or(since, |before| before.min(since)));
        }
        queues
    }

    /// Drops what was counted before a quarter: for whoever only looks at today.
    pub fn forget_before(&mut self, quarter: Quarter) {
        let role: Option<Role> = None;
        let queue = None;
        let service = ServiceKey {
            quarter,
            queue,
            role,
        };
        self.service = self.service.split_off(&service);
        self.arrivals = self.arrivals.split_off(&ArrivalKey { quarter, role });
        let agent = AgentId(0);
        self.work = self.work.split_off(&WorkKey { quarter, agent });
        let partner = PartnerId(0);
        self.partners = self.partners.split_off(&PartnerKey { quarter, partner });
        self.tickets.counts = self.tickets.counts.split_off(&quarter);
        self.gaps.forget_before(quarter);
    }
}
