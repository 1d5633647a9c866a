//! Events and projections as rows.
//!
//! Ids of 64 bits are stored bit for bit in signed integers.

use desk::people::Level;
use desk::{
    AgentId, ContactId, EndCause, Event, Facts, Found, PartnerId, PersonId, Position, QueueId,
    Resolution, Role, Stage, Stamped, TicketFacts, TicketId, TicketNumber, TicketStatus,
    TicketWork, Visits,
};

use super::sql::{Conflict, Insert, Row, Value, values};
use super::{ContactRow, Logged, StoreError, TicketRow};

/// The columns of `event` that make a [`Logged`], in the order in which [`logged`] reads them.
pub(super) const EVENT_COLUMNS: &str = "seq, at, version, body";

macro_rules! contact_columns {
    () => {
        "first_seq, last_seq, started_at, found, person, role, \
         position, queue, agent, since, cause, ticket, number, \
         queued, answered, abandoned, flow_out, system_failure, verified, level"
    };
}

/// The columns of `contact` behind tenant and contact.
pub(super) const CONTACT_COLUMNS: &str = contact_columns!();

/// How `event` is written.
pub(super) const EVENT_INSERT: Insert = Insert {
    table: "event",
    columns: "tenant, seq, at, contact, version, body",
    conflict: Conflict::Refuse,
};

/// How `contact` is written, by [`contact_values`] behind tenant and contact.
pub(super) const CONTACT_INSERT: Insert = Insert {
    table: "contact",
    columns: concat!("tenant, contact, ", contact_columns!()),
    conflict: Conflict::Replace("tenant, contact"),
};

/// How `ticket` is written when one is opened.
pub(super) const TICKET_INSERT: Insert = Insert {
    table: "ticket",
    columns: "tenant, ticket, number, contact, opened_at, status, next_update, work",
    conflict: Conflict::Refuse,
};

/// How `note` is written.
pub(super) const NOTE_INSERT: Insert = Insert {
    table: "note",
    columns: "tenant, note, ticket, text",
    conflict: Conflict::Replace("tenant, note"),
};

/// How `personal` is written.
pub(super) const PERSONAL_INSERT: Insert = Insert {
    table: "personal",
    columns: "tenant, contact, dnis, ani",
    conflict: Conflict::Replace("tenant, contact"),
};

/// How `promise` is written.
pub(super) const PROMISE_INSERT: Insert = Insert {
    table: "promise",
    columns: "tenant, promise, contact, owed, due_from, due_to, facts",
    conflict: Conflict::Replace("tenant, promise"),
};

/// How `promise_number` is written.
pub(super) const PROMISE_NUMBER_INSERT: Insert = Insert {
    table: "promise_number",
    columns: "tenant, promise, number",
    conflict: Conflict::Replace("tenant, promise"),
};

/// How a tenant's counters are written.
pub(super) const TENANT_INSERT: Insert = Insert {
    table: "tenant",
    columns: "tenant, last_seq, next_ticket",
    conflict: Conflict::Replace("tenant"),
};

/// The columns of `ticket` that make a [`TicketRow`].
pub(super) const TICKET_COLUMNS: &str =
    "ticket, number, contact, opened_at, status, owner, queue, work";

/// How many these are.
pub(super) const TICKET_WIDTH: usize = 8;

pub(super) fn logged(row: &Row<'_>) -> Result<Logged, StoreError> {
    let seq = row.get(0)?;
    let at = row.get(1)?;
    let version = row.get(2)?;
    let body = row.bytes(3)?;
    let event = Event::decode(version, body).map_err(|source| StoreError::Event { seq, source })?;
    Ok(Logged {
        seq,
        stamped: Stamped { at, event },
    })
}

pub(super) fn ticket(row: &Row<'_>) -> Result<TicketRow, StoreError> {
    let opened_at = row.get(3)?;
    let work = match row.maybe_text(7)? {
        Some(json) => work(json)?,
        None => older_work(opened_at, row.text(4)?)?,
    };
    Ok(TicketRow {
        ticket: TicketId(row.get(0)?),
        opened_at,
        facts: TicketFacts {
            number: number(row.get(1)?)?,
            contact: ContactId(row.get(2)?),
            talked: row.maybe(5)?.map(AgentId),
            queue: row.maybe(6)?.map(QueueId),
            work,
        },
    })
}

/// A ticket's work, from its column.
pub(super) fn work(json: &str) -> Result<TicketWork, StoreError> {
    serde_json::from_str(json).map_err(|_| StoreError::Unreadable("a ticket's work"))
}

/// For its column.
pub(super) fn work_json(work: &TicketWork) -> Result<String, StoreError> {
    serde_json::to_string(work).map_err(|_| StoreError::Unreadable("a ticket's work"))
}

/// Of a ticket that was written when there was no more to tell.
pub(super) fn older_work(opened_at: i64, status: &str) -> Result<TicketWork, StoreError> {
    let stage = match status {
        "open" => Stage::Open,
        "resolved" => Stage::Resolved(Resolution {
            at: opened_at,
            first_contact: false,
        }),
        _ => return Err(StoreError::Unreadable("a ticket's status")),
    };
    Ok(TicketWork {
        stage,
        opened_at: Some(opened_at),
        ..TicketWork::default()
    })
}

pub(super) fn status_code(status: TicketStatus) -> &'static str {
    match status {
        TicketStatus::Open => "open",
        TicketStatus::Resolved => "resolved",
    }
}

fn number(value: u64) -> Result<TicketNumber, StoreError> {
    TicketNumber::from_value(value).map_err(|_| StoreError::Unreadable("a ticket number"))
}

fn role_code(role: Role) -> &'static str {
    match role {
        Role::Clinician => "clinician",
        Role::Staff => "staff",
        Role::Patient => "patient",
    }
}

fn role(code: &str) -> Result<Role, StoreError> {
    match code {
        "clinician" => Ok(Role::Clinician),
        "staff" => Ok(Role::Staff),
        "patient" => Ok(Role::Patient),
        _ => Err(StoreError::Unreadable("a role")),
    }
}

fn cause_code(cause: EndCause) -> &'static str {
    match cause {
        EndCause::CallerHungUp => "caller_hung_up",
        EndCause::AgentHungUp => "agent_hung_up",
        EndCause::FlowEnded => "flow_ended",
        EndCause::SystemFailure => "system_failure",
        EndCause::NotEncrypted => "not_encrypted",
        EndCause::Stopped => "stopped",
    }
}

fn cause(code: &str) -> Result<EndCause, StoreError> {
    match code {
        "caller_hung_up" => Ok(EndCause::CallerHungUp),
        "agent_hung_up" => Ok(EndCause::AgentHungUp),
        "flow_ended" => Ok(EndCause::FlowEnded),
        "system_failure" => Ok(EndCause::SystemFailure),
        "not_encrypted" => Ok(EndCause::NotEncrypted),
        "stopped" => Ok(EndCause::Stopped),
        _ => Err(StoreError::Unreadable("an end's cause")),
    }
}

/// Appends the values of [`CONTACT_COLUMNS`].
pub(super) fn contact_values(row: &ContactRow, values: &mut Vec<Value<'_>>) {
    let ContactRow {
        facts,
        first_seq,
        last_seq,
    } = row;
    let (found, person) = match facts.found {
        None => (None, None),
        Some(Found::Unknown) => (Some("unknown"), None),
        Some(Found::Place { person }) => (Some("place"), Some(person)),
        Some(Found::PossiblePatient { person }) => (Some("possible_patient"), Some(person)),
        // Told apart from `role`, which the caller may have put right since.
        Some(Found::Person { person, role }) => (Some(role_code(role)), Some(person)),
    };
    // The column `agent` names whoever the contact is with, or called for: by position an agent or a partner.
    let (position, visit, agent, cause) = match facts.position {
        Position::Flow => ("flow", None, None, None),
        Position::Queue { queue, since } => ("queue", Some((Some(queue), since)), None, None),
        Position::Offer { agent, visit } => {
            let visit = visit.map(|(queue, since)| (Some(queue), since));
            ("offer", visit, Some(agent.0), None)
        }
        Position::Conversation { agent, since } => {
            ("conversation", Some((None, since)), Some(agent.0), None)
        }
        Position::PartnerCalled { partner } => ("partner_called", None, Some(partner.0), None),
        Position::Transferred { partner, since } => {
            ("transferred", Some((None, since)), Some(partner.0), None)
        }
        Position::Ended { cause, at } => ("ended", Some((None, at)), None, Some(cause_code(cause))),
    };
    let queue = visit.and_then(|(queue, _)| queue).map(|queue| queue.0);
    let since = visit.map(|(_, since)| since);
    values.extend(values![
        *first_seq,
        *last_seq,
        facts.started_at,
        found,
        person.map(|person| person.0),
        facts.role.map(role_code),
        position,
        queue,
        agent,
        since,
        cause,
        facts.ticket.map(|(ticket, _)| ticket.0),
        facts.ticket.map(|(_, number)| number.value()),
        facts.visits.queued,
        facts.visits.answered,
        facts.visits.abandoned,
        facts.visits.flow_out,
        facts.visits.system_failure,
        facts.verified.map(|(person, _)| person.0),
        facts.verified.map(|(_, level)| u32::from(u8::from(level))),
    ]);
}

/// Reads the columns [`CONTACT_COLUMNS`] from column `first` on.
pub(super) fn contact(row: &Row<'_>, first: usize) -> Result<ContactRow, StoreError> {
    let missing = |what| move || StoreError::Unreadable(what);
    let text = |column: usize| row.maybe_text(first + column);
    let person = row.maybe(first + 4)?.map(PersonId);
    let person = || person.ok_or_else(missing("who was found"));
    let found = match text(3)? {
        None => None,
        Some("unknown") => Some(Found::Unknown),
        Some("place") => Some(Found::Place { person: person()? }),
        Some("possible_patient") => Some(Found::PossiblePatient { person: person()? }),
        Some(code) => Some(Found::Person {
            person: person()?,
            role: role(code)?,
        }),
    };
    let queue = row.maybe(first + 7)?.map(QueueId);
    let with = row.maybe(first + 8)?;
    let with = || with.ok_or_else(missing("a contact's agent or partner"));
    let agent = || with().map(AgentId);
    let partner = || with().map(PartnerId);
    let since = row.maybe(first + 9)?;
    let at = || since.ok_or_else(missing("since when a contact is where it is"));
    let position = match text(6)? {
        Some("flow") => Position::Flow,
        Some("queue") => Position::Queue {
            queue: queue.ok_or_else(missing("a contact's queue"))?,
            since: at()?,
        },
        Some("offer") => Position::Offer {
            agent: agent()?,
            visit: queue.zip(since),
        },
        Some("conversation") => Position::Conversation {
            agent: agent()?,
            since: at()?,
        },
        Some("partner_called") => Position::PartnerCalled {
            partner: partner()?,
        },
        Some("transferred") => Position::Transferred {
            partner: partner()?,
            since: at()?,
        },
        Some("ended") => Position::Ended {
            cause: cause(text(10)?.unwrap_or_default())?,
            at: at()?,
        },
        _ => return Err(StoreError::Unreadable("a contact's position")),
    };
    let ticket = row.maybe::<u64>(first + 11)?;
    let ticket = match ticket.zip(row.maybe::<u64>(first + 12)?) {
        Some((ticket, value)) => Some((TicketId(ticket), number(value)?)),
        None => None,
    };
    let level = row.maybe::<u32>(first + 19)?;
    let level = level.and_then(|level| Level::of(u8::try_from(level).ok()?));
    Ok(ContactRow {
        first_seq: row.get(first)?,
        last_seq: row.get(first + 1)?,
        facts: Facts {
            started_at: row.maybe(first + 2)?,
            found,
            role: text(5)?.map(role).transpose()?,
            verified: row.maybe(first + 18)?.map(PersonId).zip(level),
            position,
            ticket,
            visits: Visits {
                queued: row.get(first + 13)?,
                answered: row.get(first + 14)?,
                abandoned: row.get(first + 15)?,
                flow_out: row.get(first + 16)?,
                system_failure: row.get(first + 17)?,
            },
        },
    })
}
