//! The machine.

use std::collections::VecDeque;
use std::time::Duration;

use crate::directory::Directory;
use crate::event::AgentState;
use crate::message::{
    AgentId, Answer, Command, Commit, CommitId, ContactId, OfferId, TenantId, TicketId,
};

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
    /// How long journey events wait for company before they are written
    /// together. Tickets never wait for it. Default 100 ms.
    pub linger: Duration,
    /// How long a ticket command may take. Default 1.5 s.
    pub ticket_deadline: Duration,
    /// Pause before a failed write of journey events is tried again. Default 500 ms.
    pub retry_pause: Duration,
    /// How often it is tried again before the events become a gap. Default 8.
    pub retries_max: u8,
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
            linger: Duration::from_millis(100),
            ticket_deadline: Duration::from_millis(1_500),
            retry_pause: Duration::from_millis(500),
            retries_max: 8,
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
}

/// The desk. Give it inputs by [`Desk::handle`], time by
/// [`Desk::handle_timeout`] at [`Desk::poll_timeout`], and after each of the
/// two take what it wants from [`Desk::poll`] until there is nothing left.
#[derive(Debug)]
pub struct Desk {
    setup: Setup,
    outputs: VecDeque<Output>,
}

/// How busy the desk is, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Contacts known, those ended a moment ago included.
    pub contacts: usize,
    /// Commits the store hasn't answered.
    pub commits_in_flight: usize,
    /// Events that wait to be given to the store.
    pub events_waiting: usize,
    /// Events that became gaps since the start.
    pub events_lost: u64,
    /// Ticket commands answered with a failure since the start.
    pub tickets_failed: u64,
    /// Journey reports that came after a younger one of their contact since
    /// the start: answered, not written.
    pub reports_overtaken: u64,
}

impl Desk {
    /// A desk that knows no contact yet: the store has ended those that a
    /// crash left open.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Duration, input: Input) {
        let _ = (now, input, &self.setup);
    }

    /// Lets time pass. Early, late and needless calls are harmless.
    pub fn handle_timeout(&mut self, now: Duration) {
        let _ = now;
    }

    /// When [`Desk::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    /// The next thing the desk wants.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Replaces a tenant's people and numbers. False if there is no such tenant.
    pub fn set_directory(&mut self, tenant: TenantId, directory: Directory) -> bool {
        let _ = (tenant, directory);
        false
    }

    /// How busy it is.
    pub fn load(&self) -> Load {
        Load::default()
    }
}
