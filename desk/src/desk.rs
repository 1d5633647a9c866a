//! The machine: commands in, answers and commits out.
//!
//! A command is decided at once against the contact's state and its events
//! are applied at once, so that the next command meets them; they are handed
//! to the store a moment later, several together. Only a ticket waits for the
//! store: its number is answered when the commit that holds it is on disk, or
//! the deadline says that it is too late for this call.

mod commands;
mod commits;
mod incidents;
mod notices;
mod promises;
mod remembered;
#[cfg(test)]
mod tests;
mod tickets;
mod timers;
mod verify;
mod work;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::contact::Facts;
use crate::directory::{Directory, NumberKey};
use crate::event::{AgentState, FlowName};
use crate::incidents::{
    IncidentAnswer, IncidentCommand, IncidentRules, IncidentText, KnownIncident,
};
use crate::message::{
    AgentId, Answer, AttemptId, Command, CommandId, Commit, CommitId, ContactId, EndCause,
    IncidentId, Journey, OfferId, PhoneNumber, PromiseId, Reply, Stamped, TenantId, TicketId,
};
use crate::promises::{
    Callable, Callback, KnownPromise, PromiseFacts, PromiseRules, PromiseStage, PromiseWord,
};
use crate::ticket::TicketNumber;
use crate::tickets::{TicketAnswer, TicketCommand, TicketFacts, TicketRules};
use crate::verification::{Attempts, Checked, VerificationLimits, VerificationRules};
use commits::{Flight, Gap, Owner, Stream};
use incidents::{IncidentFlight, Incidents, Previewed};
use notices::RecentOffers;
use promises::{Promised, Promises};
use remembered::{Forgotten, Memo, Replies};
use smallvec::SmallVec;
use tickets::Tickets;
use timers::Timers;
use verify::Showing;
use work::{TicketFlight, Work};

/// What a desk starts with.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The hospitals.
    pub tenants: Vec<TenantSetup>,
    /// Bounds.
    pub limits: Limits,
}

/// One hospital.
#[derive(Debug, Clone)]
pub struct TenantSetup {
    /// Which.
    pub id: TenantId,
    /// Under which its ticket numbers are permuted. Secret, and never changed
    /// once a ticket was opened.
    pub ticket_key: [u8; 32],
    /// Its people and places.
    pub directory: Directory,
    /// The first ticket id that was never given: the store knows.
    pub next_ticket: TicketId,
    /// Its tickets, as the store knows them; more than
    /// [`Limits::tickets_per_tenant_max`] aren't kept.
    pub tickets: Vec<KnownTicket>,
    /// What is agreed about them.
    pub rules: TicketRules,
    /// The callbacks that it owes.
    pub promises: PromiseSetup,
    /// What is out of order there.
    pub incidents: IncidentSetup,
    /// By what its callers show who they are.
    pub verification: VerificationRules,
}

/// A hospital's callbacks.
#[derive(Debug, Clone)]
pub struct PromiseSetup {
    /// How they are made.
    pub rules: PromiseRules,
    /// When.
    pub callable: Callable,
    /// The first id that was never given: the store knows.
    pub next: PromiseId,
    /// Those that aren't closed, as the store knows them.
    pub known: Vec<KnownPromise>,
}

impl Default for PromiseSetup {
    fn default() -> Self {
        Self {
            rules: PromiseRules::default(),
            callable: Callable::default(),
            next: PromiseId(1),
            known: Vec::new(),
        }
    }
}

/// A hospital's incidents.
#[derive(Debug, Clone)]
pub struct IncidentSetup {
    /// What is agreed about them.
    pub rules: IncidentRules,
    /// The first id that was never given: the store knows.
    pub next: IncidentId,
    /// Those that aren't closed, or of whose end somebody is still to be told.
    pub known: Vec<KnownIncident>,
}

impl Default for IncidentSetup {
    fn default() -> Self {
        Self {
            rules: IncidentRules::default(),
            next: IncidentId(1),
            known: Vec::new(),
        }
    }
}

/// A ticket that the store knows.
#[derive(Debug, Clone)]
pub struct KnownTicket {
    /// Which.
    pub ticket: TicketId,
    /// What the log says about it.
    pub facts: TicketFacts,
    /// The number that the contact called from for which it was opened, unless withheld or erased.
    pub ani: Option<PhoneNumber>,
}

/// How much the desk keeps and how long it waits.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Contacts known at once, those ended a moment ago included. Beyond it a
    /// start is answered [`crate::Reply::Failed`]. Default 200,000.
    pub contacts_max: usize,
    /// Commits the store was given and hasn't answered. The store's queue must
    /// take as many. Default 4,096; the last quarter is for tickets alone.
    pub commits_in_flight_max: usize,
    /// The same for one tenant, so that its load leaves the others their
    /// share. Default 2,048.
    pub commits_in_flight_per_tenant_max: usize,
    /// Events of one tenant that wait to be given to the store. Beyond it they
    /// collapse into a counted gap. Default 16,384.
    pub events_waiting_per_tenant_max: usize,
    /// Tickets of one tenant that are kept: all that are open and the latest of
    /// the others. Who asks for an older one gets to a person. Default 100,000.
    pub tickets_per_tenant_max: usize,
    /// How long journey events wait for company before they are written
    /// together. Tickets never wait for it. Default 100 ms.
    pub linger: Duration,
    /// How long a command may take that opens a ticket or changes one. Default 1.5 s.
    pub ticket_deadline: Duration,
    /// Pause before a failed write of journey events is tried again. Default 500 ms.
    pub retry_pause: Duration,
    /// How often it is tried again before the events become a gap. Default 8.
    pub retries_max: u8,
    /// How often somebody may try to show who they are.
    pub verification: VerificationLimits,
    /// How long an ended contact is remembered for late and doubled commands. Default 30 s.
    pub remember_ended: Duration,
    /// A contact nobody spoke of for this long ends as system-failure. Default 12 h.
    pub contact_silence_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            contacts_max: 200_000,
            commits_in_flight_max: 4_096,
            commits_in_flight_per_tenant_max: 2_048,
            events_waiting_per_tenant_max: 16_384,
            tickets_per_tenant_max: 100_000,
            linger: Duration::from_millis(100),
            ticket_deadline: Duration::from_millis(1_500),
            retry_pause: Duration::from_millis(500),
            retries_max: 8,
            verification: VerificationLimits::default(),
            remember_ended: Duration::from_secs(30),
            contact_silence_max: Duration::from_secs(12 * 3_600),
        }
    }
}

/// What the desk is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The calls ask or report.
    Command(Command),
    /// The distributor reports.
    Notice(Notice),
    /// Somebody asks something of a ticket. Answered with [`Output::Ticket`].
    Ticket(TicketCommand),
    /// Somebody of the desk says something about a promise. Answered with [`Output::PromiseUpdated`].
    Promise(PromiseUpdate),
    /// Somebody asks something of an incident. Answered with [`Output::Incident`].
    Incident(IncidentCommand),
    /// What a caller keyed in to show who they are was compared. Answered with
    /// [`crate::Reply::Verify`].
    Checked(Checked),
    /// A flow of a hospital's was published anew.
    Published(FlowPublished),
    /// A desk of a hospital's was closed or opened on the spot, or keeps its hours again.
    Hours(HoursChanged),
    /// Careline begins, or stops as it was told to.
    Service(Service),
    /// The store has it on disk.
    Committed {
        /// What.
        id: CommitId,
    },
    /// The store doesn't have it, and never will: also when it couldn't even be queued.
    CommitFailed {
        /// What.
        id: CommitId,
    },
}

/// Careline begins or stops: what stands in the log between the two can be believed of agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// In whose log agents' states stand.
    pub tenant: TenantId,
    /// Wall clock, Unix milliseconds.
    pub at: i64,
    /// Begins; else it stops.
    pub begins: bool,
}

/// What somebody of the desk says about a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromiseUpdate {
    /// For telling repetitions apart.
    pub id: CommandId,
    /// The hospital.
    pub tenant: TenantId,
    /// Wall clock, Unix milliseconds.
    pub at: i64,
    /// Which promise.
    pub promise: PromiseId,
    /// What.
    pub word: PromiseWord,
}

/// A flow that a hospital's callers walk through has another text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowPublished {
    /// The hospital.
    pub tenant: TenantId,
    /// Wall clock, Unix milliseconds.
    pub at: i64,
    /// Which flow.
    pub flow: FlowName,
    /// Its version.
    pub version: u32,
    /// The earlier version that had this text, if one had.
    pub again: Option<u32>,
}

/// A desk doesn't keep its hours, or does again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoursChanged {
    /// The hospital.
    pub tenant: TenantId,
    /// Wall clock, Unix milliseconds.
    pub at: i64,
    /// Which of its hours, if their name can stand in an event.
    pub hours: Option<FlowName>,
    /// Open or closed, and until when (Unix milliseconds); `None`: it keeps its hours.
    pub to: Option<(bool, i64)>,
}

/// What happened to an agent or an offer, as the distributor saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// In whose log it belongs. An agent shared by hospitals has a home one.
    pub tenant: TenantId,
    /// Wall clock, Unix milliseconds.
    pub at: i64,
    /// What.
    pub what: Noticed,
}

/// What the distributor noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noticed {
    /// An agent's state changed.
    AgentState {
        /// Who.
        agent: AgentId,
        /// To which.
        state: AgentState,
    },
    /// An agent's after-call work for a contact is over.
    WrappedUp {
        /// For whom.
        contact: ContactId,
        /// Who.
        agent: AgentId,
        /// How long it took, milliseconds.
        ms: u64,
    },
    /// An offer began.
    OfferCreated {
        /// Which.
        offer: OfferId,
        /// For whom.
        contact: ContactId,
        /// To whom.
        agent: AgentId,
    },
    /// An offer ended.
    OfferEnded {
        /// Which.
        offer: OfferId,
        /// For whom.
        contact: ContactId,
        /// To whom.
        agent: AgentId,
        /// How.
        outcome: OfferOutcome,
    },
}

/// How an offer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OfferOutcome {
    /// The two talk.
    Accepted,
    /// Busy, declined or unreachable.
    Declined,
    /// Ring-no-answer.
    TimedOut,
    /// The contact went away first.
    Rescinded,
}

/// What the desk wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write this, and answer once with [`Input::Committed`] or [`Input::CommitFailed`].
    Commit(Commit),
    /// Tell the calls.
    Answer(Answer),
    /// Tell whoever asked something of a ticket.
    Ticket(TicketAnswer),
    /// Tell whoever asked something of an incident.
    Incident(IncidentAnswer),
    /// This will be said to callers: render it ahead.
    Prepare {
        /// At which hospital.
        tenant: TenantId,
        /// What.
        texts: Vec<IncidentText>,
    },
    /// Ask the calls for a contact. May be doubled.
    Callback(Callback),
    /// Tell the calls that nothing is wanted of an attempt any more.
    CallbackOff {
        /// Which.
        attempt: AttemptId,
        /// The contact made for it, if one was.
        contact: Option<ContactId>,
    },
    /// An [`Input::Promise`] is on disk, or wasn't possible.
    PromiseUpdated {
        /// Which.
        id: CommandId,
        /// Is it done?
        done: bool,
    },
}

/// The desk. Give it inputs by [`Desk::handle`], time by
/// [`Desk::handle_timeout`] at [`Desk::poll_timeout`], and after each of the
/// two take what it wants from [`Desk::poll`] until there is nothing left.
///
/// `now` is monotonic; one that goes back is taken as the latest seen.
#[derive(Debug)]
pub struct Desk {
    limits: Limits,
    tenants: Vec<Tenant>,
    tenant_index: HashMap<TenantId, usize>,
    contacts: HashMap<ContactId, Contact>,
    /// Ended and dropped a while ago: late commands don't bring them back.
    forgotten: Forgotten,
    emergency_reports: commands::EmergencyReports,
    flights: HashMap<CommitId, Flight>,
    ticket_flights: HashMap<CommitId, TicketFlight>,
    incident_flights: HashMap<CommitId, IncidentFlight>,
    next_commit: u64,
    timers: Timers,
    now: Duration,
    /// The latest pair of clocks seen, for the few events that no message dates.
    wall: (Duration, i64),
    /// The first wall-clock time seen: what came due before, nobody could see to.
    running_since: i64,
    outputs: VecDeque<Output>,
    load: Load,
    /// When something of a promise is due, by the wall clock.
    promise_wake: Option<i64>,
    promises_restored: bool,
}

#[derive(Debug)]
struct Tenant {
    id: TenantId,
    ticket_key: [u8; 32],
    directory: Directory,
    next_ticket: TicketId,
    tickets: Tickets,
    rules: TicketRules,
    work: Work,
    promises: Promises,
    incidents: Incidents,
    verification: VerificationRules,
    attempts: Attempts,
    /// Events that belong to no contact.
    stream: Stream,
    gap: Option<Gap>,
    agents: HashMap<AgentId, AgentState>,
    commits_in_flight: usize,
    /// Events of all its streams that wait to be given to the store.
    events_waiting: usize,
}

#[derive(Debug)]
struct Contact {
    tenant: usize,
    facts: Facts,
    /// The calling number, in the form in which two are compared.
    ani: Option<NumberKey>,
    ticket: TicketState,
    promised: Promised,
    /// Leave to dial that it has asked for.
    leave: Option<CommandId>,
    /// Incidents named last as theirs, and those heard of.
    offered: SmallVec<[IncidentId; 3]>,
    told: SmallVec<[IncidentId; 3]>,
    /// What a supervisor heard last.
    previewed: Option<Previewed>,
    /// Since it heard of one, nobody was asked for.
    told_alone: bool,
    /// That it wants to be told is on its way to the disk.
    subscribing: Option<CommandId>,
    /// Found last by number, and how often it wasn't.
    found: Option<TicketId>,
    misses: u8,
    showing: Showing,
    /// Is the personal row written, or on its way?
    personal_given: bool,
    replies: Replies,
    newest_report: Option<CommandId>,
    offers: RecentOffers,
    touched_at: Duration,
    stream: Stream,
}

#[derive(Debug)]
enum TicketState {
    None,
    /// Reserved, and on its way to the disk.
    Pending {
        /// Who asked and wasn't answered yet.
        waiting: SmallVec<[CommandId; 2]>,
        /// Who was told that it is too late, last. They hear of it all the same.
        late: Option<CommandId>,
    },
    /// On disk: may be spoken.
    Durable(TicketNumber),
}

/// How busy the desk is, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Contacts known, those ended a moment ago included.
    pub contacts: usize,
    /// Commits the store hasn't answered.
    pub commits_in_flight: usize,
    /// When the oldest of these was handed to it.
    pub oldest_commit: Option<Duration>,
    /// Events that wait to be given to the store.
    pub events_waiting: usize,
    /// Events that became gaps since the start.
    pub events_lost: u64,
    /// Ticket commands of the calls answered with a failure since the start.
    pub tickets_failed: u64,
    /// What was asked of tickets and refused since the start.
    pub deeds_refused: u64,
    /// Open tickets that had to be dropped, there being too many, since the start.
    pub tickets_dropped: u64,
    /// Journey reports that came after a younger one of their contact since
    /// the start: answered, not written.
    pub reports_overtaken: u64,
    /// Promises that aren't closed.
    pub promises_open: usize,
    /// Those of them that nobody is called for until a person says so.
    pub promises_with_person: usize,
}

impl Desk {
    /// A desk that knows no contact yet: the store has ended those that a
    /// crash left open. Of tenants with the same id the last one counts.
    pub fn new(setup: Setup) -> Self {
        let limits = setup.limits;
        let tenant = |setup| Tenant::new(setup, limits.tickets_per_tenant_max);
        let tenants: Vec<_> = setup.tenants.into_iter().map(tenant).collect();
        Self {
            limits,
            tenant_index: tenants.iter().enumerate().map(|(i, t)| (t.id, i)).collect(),
            tenants,
            contacts: HashMap::new(),
            forgotten: Forgotten::default(),
            emergency_reports: commands::EmergencyReports::default(),
            flights: HashMap::new(),
            ticket_flights: HashMap::new(),
            incident_flights: HashMap::new(),
            next_commit: 1,
            timers: Timers::default(),
            now: Duration::ZERO,
            wall: (Duration::ZERO, 0),
            running_since: 0,
            outputs: VecDeque::new(),
            load: Load::default(),
            promise_wake: None,
            promises_restored: false,
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Duration, input: Input) {
        self.now = self.now.max(now);
        let wall_was_known = self.knows_wall();
        match input {
            Input::Command(command) => {
                self.wall = (self.now, command.at);
                self.command(command);
            }
            Input::Notice(notice) => {
                self.wall = (self.now, notice.at);
                self.notice(notice);
            }
            Input::Ticket(command) => {
                self.wall = (self.now, command.at);
                self.ticket_command(command);
            }
            Input::Promise(update) => {
                self.wall = (self.now, update.at);
                self.update_promise(update);
            }
            Input::Incident(command) => {
                self.wall = (self.now, command.at);
                self.incident_command(command);
            }
            Input::Checked(checked) => {
                self.wall = (self.now, checked.at);
                self.checked(checked);
            }
            Input::Published(published) => {
                self.wall = (self.now, published.at);
                self.published(published);
            }
            Input::Hours(changed) => {
                self.wall = (self.now, changed.at);
                self.hours(changed);
            }
            Input::Service(Service { tenant, at, begins }) => {
                self.wall = (self.now, at);
                self.service(tenant, at, begins);
            }
            Input::Committed { id } => self.committed(id),
            Input::CommitFailed { id } => self.commit_failed(id),
        }
        if !wall_was_known {
            self.running_since = self.wall.1;
        }
        self.restore_promises();
    }

    /// Lets time pass. Early, late and needless calls are harmless.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.now = self.now.max(now);
        // Tickets first: somebody is waiting for these.
        while let Some((contact, command)) = self.timers.due_ticket(self.now) {
            self.ticket_overdue(contact, command);
            self.promise_overdue(contact, command);
            self.subscribe_overdue(contact, command);
            self.verified_withdrawn(contact, Some(command));
        }
        while let Some((tenant, command)) = self.timers.due_deed(self.now) {
            self.deed_overdue(tenant, command);
            self.incident_overdue(tenant, command);
        }
        self.pay_tickets();
        while let Some((until, owner)) = self.timers.due_write(self.now) {
            self.write_due(until, owner);
        }
        while let Some(contact) = self.timers.due_forget(self.now) {
            self.forget(contact);
        }
        if self.timers.due_sweep(self.now) {
            self.sweep();
        }
        self.promises_due();
        self.incidents_due();
    }

    /// When [`Desk::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let timer = self.timers.next();
        let promises = self.promise_wake.map(|wake| self.when(wake));
        let incidents = self.incidents_wake();
        let wakes = promises
            .into_iter()
            .chain(self.tickets_wake())
            .chain(incidents);
        timer.into_iter().chain(wakes).min()
    }

    /// When the first ticket is owed something, and there is room to see to it.
    fn tickets_wake(&self) -> Option<Duration> {
        if !self.knows_wall() {
            return None;
        }
        let wakes = self.tenants.iter().filter_map(|t| t.tickets.next_wake());
        let in_ms = wakes.min()?.saturating_sub(self.wall_now()).max(0);
        Some(self.now + Duration::from_millis(in_ms.cast_unsigned()))
    }

    /// The next thing the desk wants.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Replaces a tenant's people and numbers. Gives back those of before, which whoever has the time may drop; none
    /// if there is no such tenant. Calls in progress keep what they know.
    pub fn set_directory(&mut self, tenant: TenantId, directory: Directory) -> Option<Directory> {
        let index = *self.tenant_index.get(&tenant)?;
        let before = &mut self.tenants.get_mut(index)?.directory;
        Some(std::mem::replace(before, directory))
    }

    /// Replaces what a tenant has agreed about its tickets. False if there is no such tenant.
    pub fn set_ticket_rules(&mut self, tenant: TenantId, rules: TicketRules) -> bool {
        match self.tenant_index.get(&tenant) {
            Some(&index) => {
                let of = &mut self.tenants[index];
                of.rules = rules;
                of.tickets.ruled(&of.rules);
                true
            }
            None => false,
        }
    }

    /// A ticket's state, as far as it is on disk; that of the one it was merged into.
    pub fn ticket(&self, tenant: TenantId, ticket: TicketId) -> Option<&TicketFacts> {
        let of = &self.tenants[*self.tenant_index.get(&tenant)?];
        of.tickets.facts(of.tickets.leads_to(ticket)?)
    }

    /// A contact's state, as far as the desk remembers the contact.
    pub fn facts(&self, contact: ContactId) -> Option<&Facts> {
        self.contacts.get(&contact).map(|contact| &contact.facts)
    }

    /// How busy it is.
    pub fn load(&self) -> Load {
        Load {
            contacts: self.contacts.len(),
            commits_in_flight: self.flights.len()
                + self.ticket_flights.len()
                + self.incident_flights.len(),
            oldest_commit: {
                let tickets = self.ticket_flights.values().map(|flight| flight.since);
                let flights = self.flights.values().map(|flight| flight.since);
                let incidents = self.incident_flights.values().map(|flight| flight.since);
                flights.chain(tickets).chain(incidents).min()
            },
            tickets_dropped: self.tenants.iter().map(|t| t.tickets.dropped).sum(),
            events_waiting: self.tenants.iter().map(|t| t.events_waiting).sum(),
            promises_open: self.promises().count(),
            promises_with_person: self
                .promises()
                .filter(|(.., facts)| facts.stage == PromiseStage::WithPerson)
                .count(),
            ..self.load
        }
    }

    fn answer(&mut self, id: CommandId, contact: ContactId, reply: Reply) {
        let answer = Answer { id, contact, reply };
        self.outputs.push_back(Output::Answer(answer));
    }

    fn knows_wall(&self) -> bool {
        self.wall.1 != 0
    }

    /// The wall clock, from the latest message that told it.
    fn wall_now(&self) -> i64 {
        let (then, at) = self.wall;
        let since_ms = self.now.saturating_sub(then).as_millis();
        at.saturating_add(i64::try_from(since_ms).unwrap_or(i64::MAX))
    }

    /// Drops an ended contact, unless something of it still has to be written.
    fn forget(&mut self, id: ContactId) {
        let Some(contact) = self.contacts.get(&id) else {
            return;
        };
        if contact.stream.is_quiet() {
            self.contacts.remove(&id);
            self.forgotten.insert(id);
        } else {
            let until = self.now + self.limits.remember_ended;
            self.timers.forget_at(until, id);
        }
    }

    /// Ends the contacts nobody has spoken of for too long: their call's node
    /// is gone, and they would be remembered for ever.
    fn sweep(&mut self) {
        let silence_max = self.limits.contact_silence_max;
        let mut silent: Vec<_> = self
            .contacts
            .iter()
            .filter(|(_, c)| !c.facts.position.is_ended() && c.touched_at + silence_max <= self.now)
            .map(|(id, _)| *id)
            .collect();
        // The order of a hash map isn't reproducible.
        silent.sort_unstable();
        let at = self.wall_now();
        let cause = EndCause::SystemFailure;
        for id in silent {
            self.journey(id, at, Journey::Ended { cause });
        }
        if !self.contacts.is_empty() {
            self.timers.sweep_at(self.now + silence_max / 12);
        }
    }
}

impl Tenant {
    fn new(setup: TenantSetup, tickets_max: usize) -> Self {
        let mut tickets = Tickets::new(tickets_max);
        for known in setup.tickets {
            let ani = known.ani.as_ref().and_then(|ani| setup.directory.key(ani));
            tickets.insert(known.ticket, known.facts, ani, &setup.rules);
        }
        Self {
            tickets,
            rules: setup.rules,
            work: Work::default(),
            promises: Promises::new(setup.id, setup.promises),
            incidents: Incidents::new(setup.incidents),
            verification: setup.verification,
            attempts: Attempts::default(),
            id: setup.id,
            ticket_key: setup.ticket_key,
            directory: setup.directory,
            next_ticket: setup.next_ticket,
            stream: Stream::default(),
            gap: None,
            agents: HashMap::new(),
            commits_in_flight: 0,
            events_waiting: 0,
        }
    }
}

impl Contact {
    fn new(tenant: usize, now: Duration) -> Self {
        Self {
            tenant,
            facts: Facts::default(),
            ani: None,
            ticket: TicketState::None,
            promised: Promised::None,
            leave: None,
            offered: SmallVec::new(),
            told: SmallVec::new(),
            previewed: None,
            told_alone: false,
            subscribing: None,
            found: None,
            misses: 0,
            showing: Showing::default(),
            personal_given: false,
            replies: Replies::default(),
            newest_report: None,
            offers: RecentOffers::default(),
            touched_at: now,
            stream: Stream::default(),
        }
    }
}
