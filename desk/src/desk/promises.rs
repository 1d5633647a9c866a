//! The callbacks that are owed: the ledger's wishes carried out, and what the
//! calls and the store say told to it.
//!
//! Each promise has a stream of its own, so that its events reach the log in
//! order. A promise exists, and a customer may be dialled, when that is on
//! disk; whatever else happens to a promise has happened, and is written again
//! until it is.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use smallvec::SmallVec;

use super::commits::Stream;
use super::{
    CommandId, ContactId, Desk, Memo, Output, Owner, PromiseFacts, PromiseSetup, PromiseUpdate,
    Reply, Stamped, TenantId,
};
use crate::directory::NumberKey;
use crate::event::{AgentState, Event};
use crate::incidents::{Subscriber, owed_event};
use crate::message::{AgentId, PhoneNumber, PromiseId};
use crate::promises::{
    Act, Callable, CallbackStep, First, KnownPromise, Ledger, PromiseAsk, PromiseKind,
    PromiseNumber, Span,
};
use crate::ticket::TicketNumber;

/// Whoever wanted to hear of an incident's end is told within this time: over a long weekend, too.
const TOLD_WITHIN_MS: i64 = 4 * 24 * 3_600_000;
/// Updates whose answers are remembered, per tenant.
const UPDATES_KEPT: usize = 256;

/// One tenant's.
#[derive(Debug)]
pub(super) struct Promises {
    ledger: Ledger,
    /// Told by the store, and taken up when the wall clock is known.
    known: Vec<KnownPromise>,
    writing: HashMap<PromiseId, Writing>,
    updates: VecDeque<CommandId>,
}

/// What is on its way to the disk.
#[derive(Debug, Default)]
struct Writing {
    stream: Stream,
    creating: Option<Creating>,
    /// Who asked for leave to dial, and waits for it to be written.
    leave: Option<ContactId>,
    /// Updates that are answered when everything is written.
    acks: SmallVec<[CommandId; 1]>,
}

#[derive(Debug)]
struct Creating {
    contact: ContactId,
    facts: PromiseFacts,
    window: Option<Span>,
    number: PhoneNumber,
    key: Option<NumberKey>,
}

/// What a contact was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promised {
    None,
    /// On its way to the disk. Whoever waits for it, unless it came too late for them.
    Pending(Option<CommandId>, PromiseId),
    Made(PromiseId, Option<Span>),
}

impl Promises {
    pub(super) fn new(tenant: TenantId, setup: PromiseSetup) -> Self {
        let PromiseSetup {
            rules,
            callable,
            next,
            known,
        } = setup;
        Self {
            ledger: Ledger::new(tenant, rules, callable, next),
            known,
            writing: HashMap::new(),
            updates: VecDeque::new(),
        }
    }

    pub(super) fn stream(&mut self, promise: PromiseId) -> Option<&mut Stream> {
        self.writing.get_mut(&promise).map(|of| &mut of.stream)
    }
}

impl Desk {
    /// Every promise that isn't closed.
    pub fn promises(&self) -> impl Iterator<Item = (TenantId, PromiseId, &PromiseFacts)> {
        self.tenants.iter().flat_map(|tenant| {
            let open = tenant.promises.ledger.open();
            open.map(|(promise, facts)| (tenant.id, promise, facts))
        })
    }

    /// Replaces when a tenant's customers may be called. False if there is no such tenant.
    pub fn set_callable(&mut self, tenant: TenantId, callable: Callable) -> bool {
        let Some(&tenant) = self.tenant_index.get(&tenant) else {
            return false;
        };
        let at = self.wall_now();
        self.tenants[tenant]
            .promises
            .ledger
            .set_callable(callable, at);
        self.promise_acts(tenant, at);
        true
    }

    /// When the wall clock shows this.
    pub(super) fn when(&self, wake: i64) -> Duration {
        let (then, at) = self.wall;
        let ahead = u64::try_from(wake.saturating_sub(at)).unwrap_or(0);
        then.saturating_add(Duration::from_millis(ahead))
    }

    /// Takes up what the store knew, as soon as somebody has told the time.
    pub(super) fn restore_promises(&mut self) {
        if self.promises_restored || self.wall.1 == 0 {
            return;
        }
        self.promises_restored = true;
        let at = self.wall_now();
        for index in 0..self.tenants.len() {
            let tenant = &mut self.tenants[index];
            for known in std::mem::take(&mut tenant.promises.known) {
                let KnownPromise {
                    promise,
                    facts,
                    number,
                } = known;
                let directory = &tenant.directory;
                let number = number.and_then(|number| {
                    let key = directory.key(&number)?;
                    Some((number, key))
                });
                let shared = number
                    .as_ref()
                    .is_some_and(|(_, key)| directory.is_shared(*key));
                let ledger = &mut tenant.promises.ledger;
                ledger.insert(promise, facts, number, (shared, false), at);
            }
            self.promise_acts(index, at);
        }
        self.restore_incidents();
    }

    pub(super) fn promises_due(&mut self) {
        let at = self.wall_now();
        if self.promise_wake.is_none_or(|wake| wake > at) {
            return;
        }
        for index in 0..self.tenants.len() {
            let ledger = &mut self.tenants[index].promises.ledger;
            if ledger.next_wake().is_some_and(|wake| wake <= at) {
                ledger.due(at);
                self.promise_acts(index, at);
            }
        }
    }

    /// Carries out what a tenant's ledger wants.
    fn promise_acts(&mut self, tenant: usize, at: i64) {
        for act in self.tenants[tenant].promises.ledger.acts(at) {
            match act {
                Act::Write(promise, stamped) => {
                    self.tenants[tenant]
                        .promises
                        .writing
                        .entry(promise)
                        .or_default();
                    self.queue(Owner::Promise(tenant, promise), stamped);
                }
                Act::Call(mut callback) => {
                    let key = &self.tenants[tenant].ticket_key;
                    let number = callback
                        .ticket
                        .map(|ticket| TicketNumber::mint(key, ticket));
                    callback.number = number.flatten();
                    self.outputs.push_back(Output::Callback(callback));
                }
                Act::Stop {
                    attempt, contact, ..
                } => {
                    let off = Output::CallbackOff { attempt, contact };
                    self.outputs.push_back(off);
                }
            }
        }
        let wakes = self.tenants.iter();
        self.promise_wake = wakes
            .filter_map(|tenant| tenant.promises.ledger.next_wake())
            .min();
    }

    // ---- commands ----

    /// A repetition of a command that was answered doesn't come here.
    pub(super) fn promise(&mut self, id: CommandId, contact: ContactId, at: i64, ask: PromiseAsk) {
        let Some(known) = self.contacts.get(&contact) else {
            return self.answer(id, contact, Reply::Failed);
        };
        match known.promised {
            Promised::Made(promise, window) => {
                return self.reply(id, contact, Memo::Promised(promise, window));
            }
            Promised::Pending(waits, _) if waits == Some(id) => return,
            Promised::Pending(..) => return self.reply(id, contact, Memo::Failed),
            Promised::None => {}
        }
        let index = known.tenant;
        let tenant = &mut self.tenants[index];
        let key = tenant.directory.key(&ask.number);
        let facts = &known.facts;
        // A place is kept from the first queue on, but nobody has waited before they came.
        let waits = facts.position.visit().map(|(_, since)| since);
        let since = ask.since.or(waits).unwrap_or(at);
        let since = since.min(at).max(facts.started_at.unwrap_or(since));
        let about = (facts.ticket.map(|(ticket, _)| ticket), facts.person());
        if key.is_none() || facts.position.is_ended() {
            return self.reply(id, contact, Memo::Failed);
        }
        let Some(planned) = tenant.promises.ledger.plan(&ask, contact, since, about, at) else {
            return self.reply(id, contact, Memo::Failed);
        };
        let promise = planned.promise;
        let writing = tenant.promises.writing.entry(promise).or_default();
        writing.creating = Some(Creating {
            contact,
            facts: planned.facts,
            window: planned.window,
            number: ask.number.clone(),
            key,
        });
        writing.stream.number = Some(PromiseNumber {
            promise,
            number: ask.number,
        });
        if let Some(known) = self.contacts.get_mut(&contact) {
            known.promised = Promised::Pending(Some(id), promise);
        }
        let until = self.now + self.limits.ticket_deadline;
        self.timers.ticket_until(until, contact, id);
        // What the caller did before comes first in the log.
        self.write(Owner::Contact(contact));
        let owner = Owner::Promise(index, promise);
        for event in planned.events {
            self.queue(owner, Stamped { at, event });
        }
        self.write(owner);
    }

    /// Whoever wanted to be told that an incident is over is owed a call, at a decent hour. False:
    /// there are too many calls to be made.
    pub(super) fn owe_call(&mut self, index: usize, to: &Subscriber, at: i64) -> bool {
        let ask = PromiseAsk {
            number: to.number.clone(),
            kind: PromiseKind::Scheduled,
            queue: to.queue,
            class: to.class,
            since: None,
            window: Some(Span {
                from: at,
                to: at.saturating_add(TOLD_WITHIN_MS),
            }),
            first: First::Customer,
        };
        let tenant = &mut self.tenants[index];
        let about = (to.ticket, to.person);
        let ledger = &mut tenant.promises.ledger;
        let Some(planned) = ledger.plan(&ask, to.contact, at, about, at) else {
            return false;
        };
        let promise = planned.promise;
        let writing = tenant.promises.writing.entry(promise).or_default();
        writing.creating = Some(Creating {
            contact: to.contact,
            facts: planned.facts,
            window: planned.window,
            number: ask.number.clone(),
            key: tenant.directory.key(&ask.number),
        });
        writing.stream.number = Some(PromiseNumber {
            promise,
            number: ask.number,
        });
        let owner = Owner::Promise(index, promise);
        // In one write: told twice, or never, they can't be.
        for event in planned.events.into_iter().chain([owed_event(to, promise)]) {
            self.queue(owner, Stamped { at, event });
        }
        self.write(owner);
        true
    }

    pub(super) fn promise_windows(
        &mut self,
        id: CommandId,
        contact: ContactId,
        within: Span,
        least_ms: i64,
        count: u8,
    ) {
        let windows = self.contacts.get(&contact).map(|known| {
            let ledger = &self.tenants[known.tenant].promises.ledger;
            ledger.choices(known.facts.person(), within, least_ms, usize::from(count))
        });
        self.answer(id, contact, Reply::Windows(windows.unwrap_or_default()));
    }

    /// `None`: answered later, or already.
    pub(super) fn callback(
        &mut self,
        id: CommandId,
        contact: ContactId,
        at: i64,
        step: CallbackStep,
    ) -> Option<Memo> {
        let known = self.contacts.get(&contact)?;
        let index = known.tenant;
        if known.leave == Some(id) {
            return None;
        }
        let ended = known.facts.position.is_ended();
        let memo = match step {
            CallbackStep::Begun { promise, attempt } => {
                let ledger = &mut self.tenants[index].promises.ledger;
                let begun = !ended && ledger.begun(promise, attempt, contact, at);
                Some(if begun {
                    Memo::Noted
                } else {
                    Memo::CallbackOff
                })
            }
            CallbackStep::Dial if self.tells_of_another(index, contact) => {
                let ledger = &mut self.tenants[index].promises.ledger;
                ledger.leave_late(contact, at);
                Some(Memo::CallbackOff)
            }
            CallbackStep::Dial => match self.tenants[index].promises.ledger.may_dial(contact, at) {
                Some((promise, event)) => {
                    self.ask_leave(id, index, promise, contact, Stamped { at, event });
                    None
                }
                None => Some(Memo::CallbackOff),
            },
            CallbackStep::Reached => {
                self.tenants[index].promises.ledger.reached(contact, at);
                Some(Memo::Noted)
            }
            CallbackStep::Released => {
                self.tenants[index].promises.ledger.released(contact, at);
                Some(Memo::Noted)
            }
            CallbackStep::Missed(why) => {
                self.tenants[index].promises.ledger.missed(contact, why, at);
                Some(Memo::Noted)
            }
        };
        self.promise_acts(index, at);
        memo
    }

    /// Is something yet to be written of another promise to the same number? How its attempt ended has to be
    /// on disk before the next one is: whoever reads the log never sees two at a time.
    fn tells_of_another(&self, tenant: usize, contact: ContactId) -> bool {
        let promises = &self.tenants[tenant].promises;
        let mut others = promises.ledger.same_number(contact);
        others.any(|promise| {
            let writing = promises.writing.get(&promise);
            writing.is_some_and(|writing| !writing.stream.is_quiet())
        })
    }

    /// Leave to dial is given when the attempt is on disk.
    fn ask_leave(
        &mut self,
        id: CommandId,
        tenant: usize,
        promise: PromiseId,
        contact: ContactId,
        stamped: Stamped,
    ) {
        let writing = &mut self.tenants[tenant].promises.writing;
        writing.entry(promise).or_default().leave = Some(contact);
        if let Some(known) = self.contacts.get_mut(&contact) {
            known.leave = Some(id);
        }
        let until = self.now + self.limits.ticket_deadline;
        self.timers.ticket_until(until, contact, id);
        let owner = Owner::Promise(tenant, promise);
        self.queue(owner, stamped);
        self.write(owner);
    }

    /// What a contact that has leave to dial is answered.
    pub(super) fn dial_reply(&self, contact: ContactId) -> Reply {
        let known = self.contacts.get(&contact);
        let number = known.and_then(|known| {
            let ledger = &self.tenants[known.tenant].promises.ledger;
            ledger.number_for(contact).cloned()
        });
        number.map_or(Reply::CallbackOff, |number| Reply::Dial { number })
    }

    /// A command about a promise has waited long enough, if it waits still.
    pub(super) fn promise_overdue(&mut self, contact: ContactId, id: CommandId) {
        let at = self.wall_now();
        let Some(known) = self.contacts.get_mut(&contact) else {
            return;
        };
        let tenant = known.tenant;
        if let Promised::Pending(waits, _) = &mut known.promised
            && *waits == Some(id)
        {
            // Durable later, it stands: whoever wasn't told of it, and hangs up, is called back all the same.
            *waits = None;
            self.reply(id, contact, Memo::Failed);
        } else if known.leave == Some(id) {
            known.leave = None;
            self.reply(id, contact, Memo::CallbackOff);
            let ledger = &mut self.tenants[tenant].promises.ledger;
            ledger.leave_late(contact, at);
            self.promise_acts(tenant, at);
        }
    }

    pub(super) fn update_promise(&mut self, update: PromiseUpdate) {
        let PromiseUpdate {
            id,
            tenant,
            at,
            promise,
            word,
        } = update;
        let done = |done| Output::PromiseUpdated { id, done };
        let Some(&tenant) = self.tenant_index.get(&tenant) else {
            return self.outputs.push_back(done(false));
        };
        let promises = &mut self.tenants[tenant].promises;
        if promises.updates.contains(&id) {
            return self.outputs.push_back(done(true));
        }
        let waits = |of: &Writing| of.acks.contains(&id);
        if promises.writing.get(&promise).is_some_and(waits) {
            return;
        }
        if !promises.ledger.word(promise, word, at) {
            return self.outputs.push_back(done(false));
        }
        let writing = promises.writing.entry(promise).or_default();
        writing.acks.push(id);
        self.promise_acts(tenant, at);
        self.write(Owner::Promise(tenant, promise));
        self.promise_rests(tenant, promise);
    }

    // ---- what else happens ----

    /// A contact calls from a number that is known now.
    pub(super) fn promise_caller(&mut self, id: ContactId) {
        let at = self.wall_now();
        let Some((tenant, key)) = self
            .contacts
            .get(&id)
            .and_then(|known| Some((known.tenant, known.ani?)))
        else {
            return;
        };
        self.tenants[tenant].promises.ledger.calls_in(id, key, at);
        self.promise_acts(tenant, at);
    }

    /// An event of a contact's that concerns promises.
    pub(super) fn promise_hears(&mut self, id: ContactId, stamped: &Stamped) {
        let Some(known) = self.contacts.get(&id) else {
            return;
        };
        let (tenant, ani, at) = (known.tenant, known.ani, stamped.at);
        let ledger = &mut self.tenants[tenant].promises.ledger;
        match stamped.event {
            Event::ContactConnected { .. } => ledger.talks(id, ani, at),
            Event::ContactEnded { .. } => ledger.gone(id, ani, at),
            _ => return,
        }
        self.promise_acts(tenant, at);
    }

    /// Agents are shared: any hospital's promise may be theirs.
    pub(super) fn promise_agent(&mut self, agent: AgentId, state: AgentState, at: i64) {
        let present = state != AgentState::SignedOut;
        for tenant in 0..self.tenants.len() {
            let ledger = &mut self.tenants[tenant].promises.ledger;
            if ledger.agent(agent, present, at) {
                self.promise_acts(tenant, at);
            }
        }
    }

    // ---- the store ----

    pub(super) fn promise_written(
        &mut self,
        tenant: usize,
        promise: PromiseId,
        events: &[Stamped],
    ) {
        for stamped in events {
            match stamped.event {
                Event::PromiseCreated { .. } => self.promise_exists(tenant, promise),
                Event::PromiseAttempted { .. } => self.leave_written(tenant, promise, stamped),
                Event::IncidentOwed { .. } => self.call_owed(tenant, stamped, true),
                _ => {}
            }
        }
    }

    fn promise_exists(&mut self, index: usize, promise: PromiseId) {
        let at = self.wall_now();
        let tenant = &mut self.tenants[index];
        let writing = tenant.promises.writing.get_mut(&promise);
        let Some(creating) = writing.and_then(|writing| writing.creating.take()) else {
            return;
        };
        let Creating {
            contact,
            facts,
            window,
            number,
            key,
        } = creating;
        let shared = key.is_some_and(|key| tenant.directory.is_shared(key));
        let number = key.map(|key| (number, key));
        let known = self.contacts.get_mut(&contact);
        let live = known.as_ref().is_some_and(|c| !c.facts.position.is_ended());
        let ledger = &mut tenant.promises.ledger;
        ledger.insert(promise, facts, number, (shared, live), at);
        if let Some(known) = known
            && let Promised::Pending(waits, asked) = known.promised
            && asked == promise
        {
            known.promised = Promised::Made(promise, window);
            if let Some(id) = waits {
                self.reply(id, contact, Memo::Promised(promise, window));
            }
        }
        self.promise_acts(index, at);
    }

    fn leave_written(&mut self, tenant: usize, promise: PromiseId, stamped: &Stamped) {
        let at = self.wall_now();
        let promises = &mut self.tenants[tenant].promises;
        let granted = promises.ledger.attempted(promise, stamped, at);
        let writing = promises.writing.get_mut(&promise);
        if let Some(contact) = writing.and_then(|writing| writing.leave.take()) {
            let memo = match granted {
                true => Memo::Dial,
                false => Memo::CallbackOff,
            };
            self.leave_answered(contact, memo);
        }
        self.promise_acts(tenant, at);
    }

    fn leave_answered(&mut self, contact: ContactId, memo: Memo) {
        let known = self.contacts.get_mut(&contact);
        if let Some(id) = known.and_then(|known| known.leave.take()) {
            self.reply(id, contact, memo);
        }
    }

    /// A write failed. What was asked for is refused; what has happened is written again.
    pub(super) fn promise_unwritten(
        &mut self,
        index: usize,
        promise: PromiseId,
        mut events: Vec<Stamped>,
    ) {
        let at = self.wall_now();
        let promises = &mut self.tenants[index].promises;
        let Some(writing) = promises.writing.get_mut(&promise) else {
            return;
        };
        if let Some(creating) = writing.creating.take() {
            // It never was: nothing can wait behind it.
            promises.writing.remove(&promise);
            let contact = creating.contact;
            if let Some(known) = self.contacts.get_mut(&contact)
                && let Promised::Pending(waits, asked) = known.promised
                && asked == promise
            {
                known.promised = Promised::None;
                if let Some(id) = waits {
                    self.reply(id, contact, Memo::Failed);
                }
            }
            for stamped in &events {
                self.call_owed(index, stamped, false);
            }
            return;
        }
        let leave = |stamped: &Stamped| matches!(stamped.event, Event::PromiseAttempted { .. });
        if events.iter().any(leave) {
            events.retain(|stamped| !leave(stamped));
            if let Some(contact) = writing.leave.take() {
                promises.ledger.leave_failed(promise, contact, at);
                self.leave_answered(contact, Memo::CallbackOff);
            }
        }
        self.write_again(Owner::Promise(index, promise), events);
        self.promise_acts(index, at);
    }

    /// Is everything of this promise written? Then who waits for that is answered.
    pub(super) fn promise_rests(&mut self, tenant: usize, promise: PromiseId) {
        let promises = &mut self.tenants[tenant].promises;
        let Some(writing) = promises.writing.get_mut(&promise) else {
            return;
        };
        if !writing.stream.is_quiet() || writing.creating.is_some() {
            return;
        }
        let acks = std::mem::take(&mut writing.acks);
        promises.writing.remove(&promise);
        for id in acks {
            if promises.updates.len() == UPDATES_KEPT {
                promises.updates.pop_front();
            }
            promises.updates.push_back(id);
            let done = Output::PromiseUpdated { id, done: true };
            self.outputs.push_back(done);
        }
    }
}
