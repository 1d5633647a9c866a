//! Events and projections as rows.
//!
//! Ids of 64 bits are stored bit for bit in SQLite's signed integers.

use desk::{
    AgentId, ContactId, EndCause, Event, Facts, Found, PartnerId, PersonId, Position, QueueId,
    Role, Stamped, TicketFacts, TicketId, TicketNumber, TicketStatus, Visits,
};
use rusqlite::{Row, Statement};

use super::{ContactRow, Logged, StoreError, TicketRow};

/// The columns of `event` that make a [`Logged`], in the order in which [`logged`] reads them.
pub(super) const EVENT_COLUMNS: &str = "seq, at, version, body";

/// The columns of `contact` behind tenant and contact.
pub(super) const CONTACT_COLUMNS: &str = "first_seq, last_seq, started_at, found, person, role, \
     position, queue, agent, since, cause, ticket, number, \
     queued, answered, abandoned, flow_out, system_failure";

/// How many columns `contact` has, tenant and contact included.
pub(super) const CONTACT_WIDTH: usize = 20;

/// The columns of `ticket` that make a [`TicketRow`].
pub(super) const TICKET_COLUMNS: &str =
    "ticket, number, contact, opened_at, status, next_update, owner, queue";

/// How many these are.
pub(super) const TICKET_WIDTH: usize = 8;

pub(super) fn logged(row: &Row<'_>) -> Result<Logged, StoreError> {
    let seq = row.get::<_, i64>(0)?.cast_unsigned();
    let at = row.get(1)?;
    let version = row.get(2)?;
    let body = row.get_ref(3)?;
    let body = body
        .as_bytes()
        .map_err(|_| StoreError::Unreadable("an event's body"))?;
    let event = Event::decode(version, body).map_err(|source| StoreError::Event { seq, source })?;
    Ok(Logged {
        seq,
        stamped: Stamped { at, event },
    })
}

pub(super) fn ticket(row: &Row<'_>) -> Result<TicketRow, StoreError> {
    let status = row.get_ref(4)?.as_str();
    Ok(TicketRow {
        ticket: TicketId(row.get::<_, i64>(0)?.cast_unsigned()),
        opened_at: row.get(3)?,
        facts: TicketFacts {
            number: number(row.get(1)?)?,
            contact: ContactId(row.get::<_, i64>(2)?.cast_unsigned()),
            status: match status {
                Ok("open") => TicketStatus::Open,
                Ok("resolved") => TicketStatus::Resolved,
                _ => return Err(StoreError::Unreadable("a ticket's status")),
            },
            next_update: row.get(5)?,
            owner: row.get::<_, Option<u32>>(6)?.map(AgentId),
            queue: row.get::<_, Option<u32>>(7)?.map(QueueId),
        },
    })
}

pub(super) fn status_code(status: TicketStatus) -> &'static str {
    match status {
        TicketStatus::Open => "open",
        TicketStatus::Resolved => "resolved",
    }
}

fn number(value: i64) -> Result<TicketNumber, StoreError> {
    TicketNumber::from_value(value.cast_unsigned())
        .map_err(|_| StoreError::Unreadable("a ticket number"))
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

/// Binds the columns [`CONTACT_COLUMNS`] from parameter `first` on.
pub(super) fn bind_contact(
    statement: &mut Statement<'_>,
    first: usize,
    row: &ContactRow,
) -> rusqlite::Result<()> {
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
    let mut next = first;
    let mut bind = |value: &dyn rusqlite::ToSql| {
        let bound = statement.raw_bind_parameter(next, value);
        next += 1;
        bound
    };
    bind(&first_seq.cast_signed())?;
    bind(&last_seq.cast_signed())?;
    bind(&facts.started_at)?;
    bind(&found)?;
    bind(&person.map(|person| person.0))?;
    bind(&facts.role.map(role_code))?;
    bind(&position)?;
    bind(&queue)?;
    bind(&agent)?;
    bind(&since)?;
    bind(&cause)?;
    bind(&facts.ticket.map(|(ticket, _)| ticket.0.cast_signed()))?;
    bind(&facts.ticket.map(|(_, number)| number.value().cast_signed()))?;
    bind(&facts.visits.queued)?;
    bind(&facts.visits.answered)?;
    bind(&facts.visits.abandoned)?;
    bind(&facts.visits.flow_out)?;
    bind(&facts.visits.system_failure)
}

/// Reads the columns [`CONTACT_COLUMNS`] from column `first` on.
pub(super) fn contact(row: &Row<'_>, first: usize) -> Result<ContactRow, StoreError> {
    let missing = |what| move || StoreError::Unreadable(what);
    let text = |column: usize| -> Result<Option<&str>, StoreError> {
        row.get_ref(first + column)?
            .as_str_or_null()
            .map_err(|_| StoreError::Unreadable("a contact's text"))
    };
    let person = row.get::<_, Option<u32>>(first + 4)?.map(PersonId);
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
    let queue = row.get::<_, Option<u32>>(first + 7)?.map(QueueId);
    let with = row.get::<_, Option<u32>>(first + 8)?;
    let with = || with.ok_or_else(missing("a contact's agent or partner"));
    let agent = || with().map(AgentId);
    let partner = || with().map(PartnerId);
    let since = row.get::<_, Option<i64>>(first + 9)?;
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
    let ticket = row.get::<_, Option<i64>>(first + 11)?;
    let ticket = match ticket.zip(row.get::<_, Option<i64>>(first + 12)?) {
        Some((ticket, value)) => Some((TicketId(ticket.cast_unsigned()), number(value)?)),
        None => None,
    };
    Ok(ContactRow {
        first_seq: row.get::<_, i64>(first)?.cast_unsigned(),
        last_seq: row.get::<_, i64>(first + 1)?.cast_unsigned(),
        facts: Facts {
            started_at: row.get(first + 2)?,
            found,
            role: text(5)?.map(role).transpose()?,
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
