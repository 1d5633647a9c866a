//! The same figures a second time, computed plainly: all events of one contact,
//! agent or ticket are collected and walked through, with nothing of the fold.
//! Slow on purpose, and only for logs that can be kept in memory.
//!
//! A figure is a line of text and a number: `queue 1 clinician @123 answered` → 7.

use std::collections::{BTreeMap, BTreeSet};

use desk::figures::Figures;
use desk::{AgentState, EndCause, Event, Found, ReasonCode, Role, Stamped, TicketStatus, Updated};

pub(crate) type Lines = BTreeMap<String, u64>;

const QUARTER: i64 = 15 * 60 * 1000;
/// Later contacts of a person's or place's that are told apart.
const TOLD_APART: usize = 64;
const WEEK: i64 = 7 * 24 * 60 * 60 * 1000;

/// What the fold says, line by line; without what is zero.
pub(crate) fn folded(figures: &Figures) -> Lines {
    use desk::figures::Quarter;
    let all = || Quarter(i64::MIN / Quarter::MS)..Quarter::MAX;
    let mut lines = Lines::new();
    let mut add = |place: &str, what: &str, count: u64| {
        if count > 0 {
            *lines.entry(format!("{place} {what}")).or_default() += count;
        }
    };
    for (key, cell) in figures.service(all()) {
        let queue = key.queue.map(|queue| queue.0);
        let place = queue_place(queue, key.role, key.quarter.0);
        add(&place, "queued", cell.queued);
        add(&place, "answered", cell.answered);
        add(&place, "answered in target", cell.answered_in_target);
        add(&place, "answered wait", cell.answered_wait_ms);
        add(&place, "abandoned", cell.abandoned);
        add(&place, "abandoned short", cell.abandoned_short);
        add(&place, "abandoned in target", cell.abandoned_in_target);
        add(&place, "flow-out", cell.flow_out);
        add(&place, "system-failure", cell.system_failure);
        add(&place, "lost", cell.lost);
        add(&place, "conversations", cell.conversations);
        add(&place, "talk", cell.talk_ms);
        add(&place, "cut off", cell.cut_off);
        add(&place, "wrap-up", cell.wrap_up_ms);
    }
    for (key, cell) in figures.arrivals(all()) {
        let place = format!("{:?} @{}", key.role, key.quarter.0);
        add(&place, "contacts", cell.contacts);
        add(&place, "hand-overs", cell.hand_overs);
        add(&place, "handed over again", cell.handed_over_again);
    }
    for (key, cell) in figures.work(all()) {
        let place = format!("agent {} @{}", key.agent.0, key.quarter.0);
        add(&place, "conversations", cell.conversations);
        add(&place, "talk", cell.talk_ms);
        add(&place, "cut off", cell.cut_off);
        add(&place, "wrap-up", cell.wrap_up_ms);
        add(&place, "offers", cell.offers);
        add(&place, "accepted", cell.offers_accepted);
        add(&place, "declined", cell.offers_declined);
        add(&place, "timed out", cell.offers_timed_out);
        add(&place, "rescinded", cell.offers_rescinded);
        for (reason, count) in cell.hand_overs.into_iter().enumerate() {
            add(&place, &format!("hand-overs {reason}"), count);
        }
        for (state, ms) in cell.state_ms.into_iter().enumerate() {
            add(&place, &format!("state {state}"), ms);
        }
    }
    for (key, cell) in figures.partners(all()) {
        let place = format!("partner {} @{}", key.partner.0, key.quarter.0);
        add(&place, "called", cell.called);
        add(&place, "taken", cell.taken);
        add(&place, "talk", cell.talk_ms);
        add(&place, "conversations", cell.conversations);
        add(&place, "cut off", cell.cut_off);
        for (why, count) in cell.taken_back.into_iter().enumerate() {
            add(&place, &format!("taken back {why}"), count);
        }
    }
    for (quarter, cell) in figures.tickets(all()) {
        let place = format!("tickets @{}", quarter.0);
        add(&place, "opened", cell.opened);
        add(&place, "resolved", cell.resolved);
        add(&place, "first contact", cell.first_contact);
    }
    lines
}

fn queue_place(queue: Option<u32>, role: Option<Role>, quarter: i64) -> String {
    format!("queue {queue:?} {role:?} @{quarter}")
}

fn quarter(at: i64) -> i64 {
    at.div_euclid(QUARTER)
}

/// Targets: T and s of each queue, milliseconds.
pub(crate) struct Naive<'a> {
    pub(crate) log: &'a [Stamped],
    pub(crate) target_ms: fn(u32) -> i64,
    pub(crate) short_ms: fn(u32) -> i64,
}

struct Sheet(Lines);

/// A conversation whose end is known.
struct Talk {
    contact: u64,
    agent: u32,
    /// By which event.
    ended: usize,
    place: (String, i64),
}

impl Sheet {
    fn add(&mut self, place: &str, what: &str, count: i64) {
        if count > 0 {
            *self.0.entry(format!("{place} {what}")).or_default() += count as u64;
        }
    }
}

impl Naive<'_> {
    pub(crate) fn lines(&self) -> Lines {
        let mut sheet = Sheet(Lines::new());
        let mut journeys: BTreeMap<u64, Vec<(usize, Stamped)>> = BTreeMap::new();
        for (place, stamped) in self.log.iter().enumerate() {
            if let Some(contact) = contact(&stamped.event) {
                journeys.entry(contact).or_default().push((place, *stamped));
            }
        }
        let mut talks = Vec::new();
        for (contact, events) in &journeys {
            self.contact(*contact, events, &mut talks, &mut sheet);
        }
        self.offers(&mut sheet);
        self.states(&mut sheet);
        self.wrap_ups(&talks, &mut sheet);
        self.tickets(&mut sheet);
        sheet.0
    }

    fn contact(
        &self,
        id: u64,
        placed: &[(usize, Stamped)],
        talks: &mut Vec<Talk>,
        sheet: &mut Sheet,
    ) {
        let events: Vec<Stamped> = placed.iter().map(|(_, stamped)| *stamped).collect();
        if let Some(started) = events
            .iter()
            .find(|s| matches!(s.event, Event::ContactStarted { .. }))
        {
            let role = role_after(&events);
            let place = format!("{role:?} @{}", quarter(started.at));
            sheet.add(&place, "contacts", 1);
            let hand_overs = events
                .iter()
                .filter(|s| matches!(s.event, Event::ContactEscalated { .. }))
                .count();
            sheet.add(&place, "hand-overs", hand_overs as i64);
            sheet.add(&place, "handed over again", i64::from(hand_overs > 1));
        }
        for (index, begin) in events.iter().enumerate() {
            let rest = &events[index + 1..];
            if let Event::ContactQueued { queue, .. } = begin.event {
                self.visit(&events[..=index], rest, queue.0, sheet);
            }
            if let Event::ContactEscalated { by, why, .. } = begin.event {
                let place = format!("agent {} @{}", by.0, quarter(begin.at));
                let reason = why.map_or(3, |why| why as usize);
                sheet.add(&place, &format!("hand-overs {reason}"), 1);
            }
            if let Event::ContactConnected { agent, .. } = begin.event {
                let place = conversation_place(&events[..=index]);
                let who = agent.0;
                let agent = format!("agent {who} @{}", place.1);
                if let Some(after) = rest.iter().position(|s| ends_talk(&s.event)) {
                    let end = &rest[after];
                    if !crashed(end) {
                        talks.push(Talk {
                            contact: id,
                            agent: who,
                            ended: placed[index + 1 + after].0,
                            place: place.clone(),
                        });
                    }
                    for place in [&place.0, &agent] {
                        if crashed(end) {
                            sheet.add(place, "cut off", 1);
                        } else {
                            sheet.add(place, "conversations", 1);
                            sheet.add(place, "talk", end.at - begin.at);
                        }
                    }
                }
            }
        }
        partner_calls(&events, sheet);
    }

    fn visit(&self, until: &[Stamped], rest: &[Stamped], queue: u32, sheet: &mut Sheet) {
        let queued_at = until[until.len() - 1].at;
        let end = rest.iter().position(|s| {
            !matches!(
                s.event,
                Event::ContactOffered { .. }
                    | Event::OfferCreated { .. }
                    | Event::OfferAccepted { .. }
                    | Event::OfferDeclined { .. }
                    | Event::OfferTimedOut { .. }
                    | Event::OfferRescinded { .. }
                    | Event::ContactIdentified { .. }
                    | Event::ContactRoleSet { .. }
                    | Event::ContactVerified { .. }
                    | Event::ContactInformed { .. }
                    | Event::ContactStarted { .. }
                    | Event::ContactEscalated { .. }
                    | Event::ContactConferred { .. }
                    | Event::ContactDeflected { .. }
                    | Event::ContactWrappedUp { .. }
                    | Event::TicketOpened { .. }
                    | Event::TicketAttached { .. }
            )
        });
        let before_end = end.map_or(rest, |end| &rest[..end]);
        let known: Vec<Stamped> = until.iter().chain(before_end).copied().collect();
        let place = queue_place(Some(queue), role_after(&known), quarter(queued_at));
        sheet.add(&place, "queued", 1);
        let Some(end) = end.map(|end| rest[end]) else {
            return;
        };
        let waited = end.at - queued_at;
        let in_target = i64::from(waited <= (self.target_ms)(queue));
        match end.event {
            Event::ContactConnected { .. } => {
                sheet.add(&place, "answered", 1);
                sheet.add(&place, "answered wait", waited);
                sheet.add(&place, "answered in target", in_target);
            }
            Event::ContactAbandoned { .. } => {
                sheet.add(&place, "abandoned", 1);
                let short = waited < (self.short_ms)(queue);
                sheet.add(&place, "abandoned short", i64::from(short));
                sheet.add(&place, "abandoned in target", in_target);
            }
            Event::ContactFlowOut { .. } => sheet.add(&place, "flow-out", 1),
            Event::ContactEnded { .. } => sheet.add(&place, "system-failure", 1),
            _ => sheet.add(&place, "lost", 1),
        }
    }

    fn offers(&self, sheet: &mut Sheet) {
        for Stamped { at, event } in self.log {
            let (agent, what) = match event {
                Event::OfferCreated { agent, .. } => (agent, "offers"),
                Event::OfferAccepted { agent, .. } => (agent, "accepted"),
                Event::OfferDeclined { agent, .. } => (agent, "declined"),
                Event::OfferTimedOut { agent, .. } => (agent, "timed out"),
                Event::OfferRescinded { agent, .. } => (agent, "rescinded"),
                _ => continue,
            };
            sheet.add(&format!("agent {} @{}", agent.0, quarter(*at)), what, 1);
        }
    }

    /// Each state lasts until the agent's next, a stop, a crash, or the log's end.
    fn states(&self, sheet: &mut Sheet) {
        let mut serving = true;
        for (index, begin) in self.log.iter().enumerate() {
            match begin.event {
                Event::ServiceStopped => serving = false,
                Event::ServiceStarted => serving = true,
                _ => {}
            }
            let Event::AgentStateChanged { agent, state } = begin.event else {
                continue;
            };
            let place = match state {
                _ if !serving => continue,
                AgentState::SignedOut => continue,
                AgentState::Available => 0,
                AgentState::Offered => 1,
                AgentState::Talking => 2,
                AgentState::WrapUp => 3,
                AgentState::Resting => 4,
            };
            let latest = |until: usize| self.log[..until].iter().map(|s| s.at).max().unwrap_or(0);
            let mut end = None;
            for (later, stamped) in self.log.iter().enumerate().skip(index + 1) {
                match stamped.event {
                    Event::AgentStateChanged { agent: other, .. } if other == agent => {
                        end = Some(stamped.at);
                        break;
                    }
                    Event::ServiceStopped => {
                        end = Some(stamped.at);
                        break;
                    }
                    Event::ServiceStarted => {
                        end = Some(latest(later).min(stamped.at));
                        break;
                    }
                    _ => {}
                }
            }
            let end = end.unwrap_or_else(|| latest(self.log.len()));
            for part in quarter(begin.at)..=quarter(end) {
                let from = begin.at.max(part * QUARTER);
                let to = end.min((part + 1) * QUARTER);
                let place_of = format!("agent {} @{part}", agent.0);
                sheet.add(&place_of, &format!("state {place}"), to - from);
            }
        }
    }

    /// After-call work counts where the agent's last conversation before it does, if that was this contact's.
    fn wrap_ups(&self, talks: &[Talk], sheet: &mut Sheet) {
        let mut before: BTreeMap<u32, usize> = BTreeMap::new();
        for (index, stamped) in self.log.iter().enumerate() {
            let Event::ContactWrappedUp { contact, agent, ms } = stamped.event else {
                continue;
            };
            // Each conversation has one: the agent's one before took those that had ended.
            let from = before.insert(agent.0, index).unwrap_or(0);
            let last = talks
                .iter()
                .filter(|talk| talk.agent == agent.0 && (from..index).contains(&talk.ended))
                .max_by_key(|talk| talk.ended);
            let nowhere = (
                queue_place(None, None, quarter(stamped.at)),
                quarter(stamped.at),
            );
            let place = match last {
                Some(talk) if talk.contact == contact.0 => talk.place.clone(),
                _ => nowhere,
            };
            sheet.add(&place.0, "wrap-up", ms as i64);
            let agent = format!("agent {} @{}", agent.0, place.1);
            sheet.add(&agent, "wrap-up", ms as i64);
        }
    }

    fn tickets(&self, sheet: &mut Sheet) {
        let mut resolved_at: BTreeMap<u64, i64> = BTreeMap::new();
        let about = About::of(self.log);
        for (index, Stamped { at, event }) in self.log.iter().enumerate() {
            let place = format!("tickets @{}", quarter(*at));
            match *event {
                Event::TicketOpened { .. } => sheet.add(&place, "opened", 1),
                Event::TicketResolved { ticket, .. }
                | Event::TicketUpdated {
                    ticket,
                    status: TicketStatus::Resolved,
                    ..
                } => {
                    let before = resolved_at.get(&ticket.0).copied();
                    if before.is_some_and(|before| *at <= before + WEEK) {
                        continue;
                    }
                    resolved_at.insert(ticket.0, *at);
                    sheet.add(&place, "resolved", 1);
                    if before.is_none() && self.took_one_contact(ticket.0, index, &about) {
                        sheet.add(&place, "first contact", 1);
                    }
                }
                _ => {}
            }
        }
    }

    /// Nobody was attached to it before, and in the week after neither that, nor reopened, nor its
    /// person in another contact.
    fn took_one_contact(&self, id: u64, resolved: usize, about: &About) -> bool {
        let attached =
            |s: &Stamped| matches!(s.event, Event::TicketAttached { ticket, .. } if ticket.0 == id);
        let (before, after) = self.log.split_at(resolved);
        let opened = before
            .iter()
            .enumerate()
            .find_map(|(index, s)| match s.event {
                Event::TicketOpened {
                    ticket, contact, ..
                } if ticket.0 == id => Some((index, contact.0)),
                _ => None,
            });
        let Some((opened, contact)) = opened else {
            return false;
        };
        let person = before[..opened].iter().rev().find_map(|s| match s.event {
            Event::ContactIdentified {
                contact: whose,
                found,
            } if whose.0 == contact => Some(self::who(found)),
            _ => None,
        });
        let who = person.flatten();
        let deadline = after[0].at + WEEK;
        let mine = about.ticket(id, deadline);
        let again = after[1..].iter().any(|s| {
            let changes = match s.event {
                Event::TicketUpdated {
                    ticket,
                    status,
                    change: None,
                    ..
                } => ticket.0 == id && status == TicketStatus::Open,
                Event::TicketReopened { ticket, .. } => ticket.0 == id,
                Event::ContactIdentified {
                    contact: other,
                    found,
                } => {
                    let same = who.is_some() && self::who(found) == who;
                    same && other.0 != contact && {
                        let theirs = about.contact(other.0, deadline);
                        match who {
                            Some((_, true)) => mine.is_some() && mine == theirs,
                            _ => mine.is_none() || theirs.is_none() || mine == theirs,
                        }
                    }
                }
                Event::TicketMerged { into, .. } => into.0 == id,
                _ => attached(s),
            };
            changes && s.at <= deadline
        });
        // Of who calls that often nobody can say that they didn't call about it.
        let others: BTreeSet<u64> = after[1..]
            .iter()
            .filter(|s| s.at <= deadline)
            .filter_map(|s| match s.event {
                Event::ContactIdentified {
                    contact: other,
                    found,
                } if who.is_some() && self::who(found) == who && other.0 != contact => {
                    Some(other.0)
                }
                _ => None,
            })
            .collect();
        let again = again || others.len() > TOLD_APART;
        let merged =
            |s: &Stamped| matches!(s.event, Event::TicketMerged { into, .. } if into.0 == id);
        !before.iter().any(|s| attached(s) || merged(s)) && !again
    }

    // Other test programs have this file too, and don't ask for it.
    #[allow(dead_code)]
    /// Open tickets by why they went up last: how many, and since when the longest.
    pub(crate) fn backlog(&self) -> BTreeMap<String, (u64, i64)> {
        let mut waiting: BTreeMap<u64, (String, i64)> = BTreeMap::new();
        for Stamped { at, event } in self.log {
            match *event {
                Event::TicketOpened { ticket, .. } => {
                    waiting.insert(ticket.0, ("None".to_owned(), *at));
                }
                Event::TicketReopened { ticket, .. }
                | Event::TicketUpdated {
                    ticket,
                    status: TicketStatus::Open,
                    change: None,
                    ..
                } => {
                    let fresh = ("None".to_owned(), *at);
                    waiting.entry(ticket.0).or_insert(fresh);
                }
                Event::TicketEscalated { ticket, why, .. } if waiting.contains_key(&ticket.0) => {
                    waiting.insert(ticket.0, (format!("Some({why:?})"), *at));
                }
                Event::TicketResolved { ticket, .. }
                | Event::TicketMerged { ticket, .. }
                | Event::TicketUpdated {
                    ticket,
                    status: TicketStatus::Resolved,
                    ..
                } => {
                    waiting.remove(&ticket.0);
                }
                _ => {}
            }
        }
        let mut reasons = BTreeMap::new();
        for (why, since) in waiting.into_values() {
            let (tickets, longest) = reasons.entry(why).or_insert((0, since));
            *tickets += 1;
            *longest = since.min(*longest);
        }
        reasons
    }
}

/// The backlog as the fold has it.
#[allow(dead_code)]
pub(crate) fn folded_backlog(figures: &Figures) -> BTreeMap<String, (u64, i64)> {
    let backlog = figures.backlog(i64::MAX).into_iter();
    let line = |(why, of): (_, desk::figures::Backlog)| {
        (
            format!("{why:?}"),
            (of.tickets, of.since.unwrap_or(i64::MAX)),
        )
    };
    backlog.map(line).collect()
}

/// What tickets and contacts are about, and since when.
struct About {
    tickets: BTreeMap<u64, Vec<(i64, Option<ReasonCode>)>>,
    contacts: BTreeMap<u64, Vec<(i64, u64)>>,
}

impl About {
    fn of(log: &[Stamped]) -> Self {
        let mut about = Self {
            tickets: BTreeMap::new(),
            contacts: BTreeMap::new(),
        };
        for Stamped { at, event } in log {
            match *event {
                Event::TicketUpdated {
                    ticket,
                    change: Some(Updated::Categorised { reason, .. }),
                    ..
                } => about
                    .tickets
                    .entry(ticket.0)
                    .or_default()
                    .push((*at, reason)),
                // What it is about is the other's to tell.
                Event::TicketMerged { ticket, .. } => {
                    about.tickets.entry(ticket.0).or_default().push((*at, None));
                }
                Event::TicketOpened {
                    ticket, contact, ..
                }
                | Event::TicketAttached {
                    ticket, contact, ..
                } => {
                    let of = about.contacts.entry(contact.0).or_default();
                    of.push((*at, ticket.0));
                }
                _ => {}
            }
        }
        about
    }

    /// What a ticket is about, as far as is known by then.
    fn ticket(&self, id: u64, deadline: i64) -> Option<ReasonCode> {
        let mut said = self.tickets.get(&id)?.iter();
        said.rfind(|(at, _)| *at <= deadline)?.1
    }

    /// What a contact is about: what the ticket is about that it came to last.
    fn contact(&self, id: u64, deadline: i64) -> Option<ReasonCode> {
        let mut came = self.contacts.get(&id)?.iter();
        self.ticket(came.rfind(|(at, _)| *at <= deadline)?.1, deadline)
    }
}

/// Who calls, and whether that is a place.
fn who(found: Found) -> Option<(u32, bool)> {
    match found {
        Found::Person { person, .. } | Found::PossiblePatient { person } => Some((person.0, false)),
        Found::Place { person } => Some((person.0, true)),
        Found::Unknown => None,
    }
}

/// To whose journey an event belongs.
fn contact(event: &Event) -> Option<u64> {
    event.contact().map(|contact| contact.0)
}

/// What a caller is known to be after these events.
fn role_after(events: &[Stamped]) -> Option<Role> {
    let mut known = None;
    for stamped in events {
        match stamped.event {
            Event::ContactIdentified {
                found: Found::Person { role, .. },
                ..
            } if known.is_none() => known = Some(role),
            Event::ContactRoleSet { role, .. } => known = Some(role),
            _ => {}
        }
    }
    known
}

/// Does it end a conversation with an agent that was going on?
fn ends_talk(event: &Event) -> bool {
    matches!(
        event,
        Event::ContactConnected { .. }
            | Event::ContactOffered { .. }
            | Event::ContactQueued { .. }
            | Event::ContactPartnerCalled { .. }
            | Event::ContactTransferred { .. }
            | Event::ContactTakenBack { .. }
            | Event::ContactAbandoned { .. }
            | Event::ContactFlowOut { .. }
            | Event::ContactEnded { .. }
    )
}

fn crashed(stamped: &Stamped) -> bool {
    matches!(
        stamped.event,
        Event::ContactEnded {
            cause: EndCause::SystemFailure,
            ..
        }
    )
}

/// Where a conversation counts that begins with the last of these events of its contact.
fn conversation_place(events: &[Stamped]) -> (String, i64) {
    let begin = events[events.len() - 1];
    let role = role_after(events);
    let visit = events[..events.len() - 1]
        .iter()
        .rev()
        .find(|s| ends_talk(&s.event) && !matches!(s.event, Event::ContactOffered { .. }));
    match visit {
        Some(Stamped {
            at,
            event: Event::ContactQueued { queue, .. },
        }) => (queue_place(Some(queue.0), role, quarter(*at)), quarter(*at)),
        _ => (
            queue_place(None, role, quarter(begin.at)),
            quarter(begin.at),
        ),
    }
}

fn partner_calls(events: &[Stamped], sheet: &mut Sheet) {
    // Which partner, in which quarter called, since when they talk.
    let mut with: Option<(u32, i64, Option<i64>)> = None;
    for stamped in events {
        let Stamped { at, event } = *stamped;
        let leaves = match event {
            Event::ContactTransferred { .. } => {
                matches!(with, Some((_, _, Some(_))))
            }
            _ => ends_talk(&event),
        };
        if leaves && let Some((partner, called, Some(since))) = with {
            let place = format!("partner {partner} @{called}");
            if crashed(stamped) {
                sheet.add(&place, "cut off", 1);
            } else {
                sheet.add(&place, "conversations", 1);
                sheet.add(&place, "talk", at - since);
            }
        }
        match event {
            Event::ContactPartnerCalled { partner, .. } => {
                let place = format!("partner {} @{}", partner.0, quarter(at));
                sheet.add(&place, "called", 1);
                with = Some((partner.0, quarter(at), None));
            }
            Event::ContactTransferred { partner, .. } => {
                let called = match with {
                    Some((same, called, None)) if same == partner.0 => called,
                    _ => {
                        let place = format!("partner {} @{}", partner.0, quarter(at));
                        sheet.add(&place, "called", 1);
                        quarter(at)
                    }
                };
                sheet.add(&format!("partner {} @{called}", partner.0), "taken", 1);
                with = Some((partner.0, called, Some(at)));
            }
            Event::ContactTakenBack { partner, why, .. } => {
                let called = match with {
                    Some((same, called, _)) if same == partner.0 => called,
                    _ => quarter(at),
                };
                let place = format!("partner {} @{called}", partner.0);
                sheet.add(&place, &format!("taken back {}", why as usize), 1);
                with = None;
            }
            _ if ends_talk(&event) => with = None,
            _ => {}
        }
    }
}
