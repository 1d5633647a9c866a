//! What the calls ask and report.

use std::collections::VecDeque;

use smallvec::smallvec;

use super::commits::Urgency;
use super::{
    Command, CommandId, Contact, ContactId, Desk, Gap, Journey, Memo, Owner, Reply, Stamped,
    TicketState,
};
use crate::contact::Position;
use crate::event::{Event, FlowName};
use crate::message::{Emergency, Personal, PhoneNumber, TicketId, What};
use crate::promises::CallbackStep;
use crate::ticket::TicketNumber;
use crate::tickets::{Actor, TicketCommand, TicketDeed};
use crate::verification::VerifyReply;

/// Commands of one contact that may wait for the same ticket.
const WAITING_FOR_TICKET_MAX: usize = 8;

impl Desk {
    pub(super) fn command(&mut self, command: Command) {
        let Command {
            id,
            tenant,
            contact,
            at,
            what,
        } = command;
        let Some(&tenant) = self.tenant_index.get(&tenant) else {
            return self.answer(id, contact, Reply::Failed);
        };
        if let What::Emergency(step) = what {
            if self.emergency_reports.is_news(id) {
                let event = emergency(contact, step);
                self.queue(Owner::Tenant(tenant), Stamped { at, event });
            }
            return self.answer(id, contact, Reply::Noted);
        }
        match self.contacts.get(&contact) {
            // A contact is one hospital's: no other may even learn of it.
            Some(known) if known.tenant != tenant => {
                return self.answer(id, contact, Reply::Failed);
            }
            Some(known) => {
                if let Some(memo) = known.replies.to(id) {
                    return self.answer_memo(id, contact, memo);
                }
            }
            None if self.forgotten.contains(contact) => {
                return self.without_contact(id, tenant, contact, &what);
            }
            None if self.contacts.len() >= self.limits.contacts_max => {
                if matches!(what, What::Start { .. } | What::Journey(_)) {
                    self.lost(tenant, Gap::one(at));
                }
                return self.without_contact(id, tenant, contact, &what);
            }
            // Whatever is heard of first: the start may be late.
            None => {
                let flow = match &what {
                    What::Start { flow, .. } => *flow,
                    _ => None,
                };
                self.start(tenant, contact, at, flow);
            }
        }
        let now = self.now;
        if let Some(known) = self.contacts.get_mut(&contact) {
            known.touched_at = now;
        }
        let memo = match what {
            What::Start { dnis, ani, .. } => {
                self.calls_from(contact, ani.as_ref());
                self.give_personal(contact, dnis, ani);
                Memo::Started
            }
            What::Identify { ani } => {
                let found = self.tenants[tenant].directory.find(ani.as_ref());
                let known = self.contacts.get(&contact);
                if known.is_some_and(|known| {
                    known.facts.found != Some(found) && !known.facts.position.is_ended()
                }) {
                    self.record(contact, at, Event::ContactIdentified { contact, found });
                }
                Memo::Found(found)
            }
            What::SetRole(role) => {
                let known = self.contacts.get(&contact);
                if known.is_some_and(|known| {
                    known.facts.role != Some(role) && !known.facts.position.is_ended()
                }) {
                    self.record(contact, at, Event::ContactRoleSet { contact, role });
                }
                Memo::Noted
            }
            What::OpenTicket => return self.open_ticket(id, contact, at, None),
            What::AttachTicket => {
                let found = self.contacts.get(&contact).and_then(|known| known.found);
                return match found {
                    Some(ticket) => self.open_ticket(id, contact, at, Some(ticket)),
                    None => self.ticket_failed(id, contact),
                };
            }
            What::FindTicket { number, ani } => {
                self.calls_from(contact, ani.as_ref());
                self.find_ticket(contact, number)
            }
            What::Verify { level } => self.verify(contact, level),
            What::ResolveTicket => {
                self.resolve_for(id, contact, at);
                Memo::Noted
            }
            What::Journey(journey) => {
                let last = matches!(journey, Journey::Ended { .. });
                if self.is_in_order(id, contact) || last {
                    self.journey(contact, at, journey);
                } else {
                    self.load.reports_overtaken += 1;
                }
                Memo::Noted
            }
            What::PromiseWindows {
                within,
                least_ms,
                count,
            } => return self.promise_windows(id, contact, within, least_ms, count),
            What::Promise(ask) => return self.promise(id, contact, at, ask),
            What::Callback(step) => match self.callback(id, contact, at, step) {
                Some(memo) => memo,
                None => return,
            },
            What::Incidents { role, about, ours } => {
                return self.incidents_for(id, contact, role, (about, ours));
            }
            What::Preview { surge } => return self.preview(id, contact, surge),
            What::Publish { by } => return self.publish_previewed(id, contact, by),
            What::Informed => {
                self.informed(contact, at);
                Memo::Noted
            }
            What::Subscribe {
                queue,
                class,
                number,
            } => return self.subscribe(id, contact, (queue, class, number)),
            What::Emergency(_) => Memo::Noted,
        };
        self.reply(id, contact, memo);
    }

    /// The flow has settled what the contact called about.
    fn resolve_for(&mut self, id: CommandId, contact: ContactId, at: i64) {
        if let Some(known) = self.contacts.get(&contact)
            && let TicketState::Durable(number) = known.ticket
        {
            self.ticket_command(TicketCommand {
                id,
                tenant: self.tenants[known.tenant].id,
                at,
                number,
                by: Actor::System,
                deed: TicketDeed::Resolve,
            });
        }
    }

    fn start(&mut self, tenant: usize, contact: ContactId, at: i64, flow: Option<(FlowName, u32)>) {
        self.contacts
            .insert(contact, Contact::new(tenant, self.now));
        self.timers
            .sweep_at(self.now + self.limits.contact_silence_max / 12);
        let started = Event::ContactStarted {
            contact,
            flow: flow.map(|(name, _)| name),
            version: flow.map(|(_, version)| version),
        };
        self.record(contact, at, started);
    }

    fn give_personal(&mut self, id: ContactId, dnis: PhoneNumber, ani: Option<PhoneNumber>) {
        if let Some(contact) = self.contacts.get_mut(&id)
            && !contact.personal_given
        {
            contact.personal_given = true;
            contact.stream.personal = Some(Personal {
                contact: id,
                dnis,
                ani,
            });
            self.linger(Owner::Contact(id));
        }
    }

    /// Is this the youngest report of its contact so far?
    fn is_in_order(&mut self, id: CommandId, contact: ContactId) -> bool {
        let Some(contact) = self.contacts.get_mut(&contact) else {
            return false;
        };
        let in_order = contact.newest_report.is_none_or(|newest| id > newest);
        if in_order {
            contact.newest_report = Some(id);
        }
        in_order
    }

    /// Decides and records a report.
    pub(super) fn journey(&mut self, id: ContactId, at: i64, journey: Journey) {
        let Some(contact) = self.contacts.get(&id) else {
            return;
        };
        for event in contact.facts.decide(id, journey) {
            if let Event::ContactEnded { cause, .. } = event {
                self.deflected(id, at, cause);
            }
            self.record(id, at, event);
            if matches!(event, Event::ContactEnded { .. }) {
                let until = self.now + self.limits.remember_ended;
                self.timers.forget_at(until, id);
                // Nothing more will come to share the write.
                self.write(Owner::Contact(id));
            }
        }
    }

    /// Applies an event to its contact and lets it wait for being written.
    pub(super) fn record(&mut self, id: ContactId, at: i64, event: Event) {
        let stamped = Stamped { at, event };
        if let Some(contact) = self.contacts.get_mut(&id) {
            contact.facts.apply(&stamped);
            contact.told_alone &= matches!(
                contact.facts.position,
                Position::Flow | Position::Ended { .. }
            );
            let of = &mut self.tenants[contact.tenant];
            of.tickets.apply(&contact.facts, &stamped, &of.rules);
            self.queue(Owner::Contact(id), stamped);
            self.promise_hears(id, &stamped);
        }
    }

    /// Makes a ticket for this contact, or attaches it to one.
    fn open_ticket(
        &mut self,
        id: CommandId,
        contact_id: ContactId,
        at: i64,
        attach: Option<TicketId>,
    ) {
        let Some(contact) = self.contacts.get_mut(&contact_id) else {
            return self.answer(id, contact_id, Reply::Failed);
        };
        match &mut contact.ticket {
            TicketState::Durable(_) => self.reply(id, contact_id, Memo::Ticket),
            // A repetition: the first is still to be answered.
            TicketState::Pending { waiting, .. } if waiting.contains(&id) => {}
            TicketState::Pending { waiting, .. } if waiting.len() < WAITING_FOR_TICKET_MAX => {
                waiting.push(id);
                let until = self.now + self.limits.ticket_deadline;
                self.timers.ticket_until(until, contact_id, id);
            }
            TicketState::Pending { .. } => self.ticket_failed(id, contact_id),
            TicketState::None => self.reserve_ticket(id, contact_id, at, attach),
        }
    }

    fn reserve_ticket(
        &mut self,
        id: CommandId,
        contact_id: ContactId,
        at: i64,
        attach: Option<TicketId>,
    ) {
        let Some(contact) = self.contacts.get(&contact_id) else {
            return;
        };
        let tenant = contact.tenant;
        // Behind a write in flight there is room when that one is answered.
        let room = contact.stream.is_in_flight() || self.has_room(tenant, Urgency::Ticket);
        if contact.facts.position.is_ended() || !room {
            return self.ticket_failed(id, contact_id);
        }
        let tenant = &mut self.tenants[tenant];
        let ticket = attach.unwrap_or(tenant.next_ticket);
        let Some(number) = TicketNumber::mint(&tenant.ticket_key, ticket) else {
            return self.ticket_failed(id, contact_id);
        };
        let leads_to = tenant.tickets.leads_to(ticket).unwrap_or(ticket);
        let priority = tenant.rules.priority;
        let opened = Event::TicketOpened {
            ticket,
            number,
            contact: contact_id,
            priority: Some(priority),
            clock: Some(tenant.rules.clock(priority, at, 0)),
        };
        if attach.is_none() {
            // Reserved for good: if the write fails, the id stays unused.
            tenant.next_ticket.0 += 1;
        }
        if let Some(contact) = self.contacts.get_mut(&contact_id) {
            contact.ticket = TicketState::Pending {
                waiting: smallvec![id],
                late: None,
            };
        }
        let until = self.now + self.limits.ticket_deadline;
        self.timers.ticket_until(until, contact_id, id);
        // Not applied yet: the ticket exists when it is on disk.
        let contact = contact_id;
        let event = match attach {
            None => opened,
            // To where it is worked on, under the number its caller knows.
            Some(_) => Event::TicketAttached {
                ticket: leads_to,
                number,
                contact,
            },
        };
        let owner = Owner::Contact(contact_id);
        self.queue(owner, Stamped { at, event });
        self.write(owner);
    }

    pub(super) fn ticket_overdue(&mut self, contact_id: ContactId, id: CommandId) {
        let Some(contact) = self.contacts.get_mut(&contact_id) else {
            return;
        };
        if let TicketState::Pending { waiting, late } = &mut contact.ticket
            && let Some(place) = waiting.iter().position(|waits| *waits == id)
        {
            waiting.remove(place);
            *late = Some(id);
            self.ticket_failed(id, contact_id);
        }
    }

    pub(super) fn ticket_failed(&mut self, id: CommandId, contact: ContactId) {
        self.load.tickets_failed += 1;
        self.reply(id, contact, Memo::Failed);
    }

    pub(super) fn reply(&mut self, id: CommandId, contact: ContactId, memo: Memo) {
        if let Some(known) = self.contacts.get_mut(&contact) {
            known.replies.remember(id, memo);
        }
        self.answer_memo(id, contact, memo);
    }

    pub(super) fn answer_memo(&mut self, id: CommandId, contact_id: ContactId, memo: Memo) {
        let Some(contact) = self.contacts.get(&contact_id) else {
            return self.answer(id, contact_id, Reply::Failed);
        };
        let reply = match memo {
            Memo::Started => Reply::Started,
            Memo::Found(found) => {
                Reply::Caller(self.tenants[contact.tenant].directory.caller(found))
            }
            Memo::Ticket => match contact.ticket {
                TicketState::Durable(number) => Reply::Ticket { number },
                TicketState::None | TicketState::Pending { .. } => Reply::Failed,
            },
            Memo::TicketFound(ticket) => self.tenants[contact.tenant]
                .tickets
                .shown(ticket)
                .map_or(Reply::TicketNotFound, Reply::TicketFound),
            Memo::TicketNotFound => Reply::TicketNotFound,
            Memo::Promised(promise, window) => Reply::Promised { promise, window },
            Memo::VerifyAsk(_) | Memo::Verified | Memo::VerifyLocked | Memo::VerifyUnavailable => {
                Reply::Verify(self.verify_reply(contact_id, memo))
            }
            Memo::Dial => self.dial_reply(contact_id),
            Memo::CallbackOff => Reply::CallbackOff,
            Memo::Subscribed => Reply::Subscribed,
            Memo::IncidentOver => Reply::IncidentOver,
            Memo::Failed => Reply::Failed,
            Memo::Noted => Reply::Noted,
        };
        self.answer(id, contact_id, reply);
    }

    /// Answers about a contact that isn't known any more, or for which there is no room.
    fn without_contact(&mut self, id: CommandId, tenant: usize, contact: ContactId, what: &What) {
        let reply = match what {
            What::Start { .. } if self.forgotten.contains(contact) => Reply::Started,
            What::Start { .. } | What::OpenTicket | What::AttachTicket => Reply::Failed,
            What::Promise(_) | What::Subscribe { .. } | What::Publish { .. } => Reply::Failed,
            What::Incidents { .. } | What::Preview { .. } => Reply::Incidents(Vec::new()),
            What::PromiseWindows { .. } => Reply::Windows(Vec::new()),
            What::Callback(CallbackStep::Begun { .. } | CallbackStep::Dial) => Reply::CallbackOff,
            What::FindTicket { .. } => Reply::TicketNotFound,
            What::Verify { .. } => Reply::Verify(VerifyReply::Unavailable),
            What::Identify { ani } => {
                let directory = &self.tenants[tenant].directory;
                Reply::Caller(directory.caller(directory.find(ani.as_ref())))
            }
            What::ResolveTicket
            | What::SetRole(_)
            | What::Journey(_)
            | What::Informed
            | What::Callback(_)
            | What::Emergency(_) => Reply::Noted,
        };
        self.answer(id, contact, reply);
    }
}

/// The latest reports of emergency calls, to leave out repetitions.
#[derive(Debug, Default)]
pub(super) struct EmergencyReports(VecDeque<CommandId>);

/// More than are ever on their way at a time.
const REPORTS_KEPT: usize = 1_024;

impl EmergencyReports {
    fn is_news(&mut self, id: CommandId) -> bool {
        if self.0.contains(&id) {
            return false;
        }
        if self.0.len() == REPORTS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(id);
        true
    }
}

fn emergency(call: ContactId, step: Emergency) -> Event {
    match step {
        Emergency::Begun { number, agent } => Event::EmergencyBegun {
            call,
            number,
            agent,
        },
        Emergency::CalledBack { agent } => Event::EmergencyCalledBack { call, agent },
        Emergency::Connected => Event::EmergencyConnected { call },
        Emergency::Unplaced => Event::EmergencyUnplaced { call },
        Emergency::Ended { by } => Event::EmergencyEnded { call, by },
    }
}
