//! Contacts and their journeys.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use desk::{ContactId, Found, Position};
use serde::Serialize;
use utoipa::ToSchema;

use super::ask::{Api, Asked, Told, Whose};
use super::events::Occurred;
use super::page::{self, Page};
use super::tokens::Scope;
use crate::store::{ContactRow, History};

/// Somebody's call, from its beginning to its end.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Contact {
    /// Its id.
    id: String,
    /// When it began, Unix milliseconds.
    started_at_ms: Option<i64>,
    /// What the calling number told: `unknown`, `person`, `place` or `possible_patient`; absent
    /// before anybody has looked.
    found: Option<&'static str>,
    /// Who that is, perhaps.
    person: Option<u32>,
    /// `clinician`, `staff` or `patient`.
    role: Option<String>,
    /// Where it is: `flow`, `queue`, `offer`, `conversation`, `partner_called`, `transferred` or `ended`.
    position: &'static str,
    /// Since when, where that is known.
    since_ms: Option<i64>,
    /// In which queue it waits.
    queue: Option<String>,
    /// Which analyst is rung, or talks.
    agent: Option<u32>,
    /// Which partner is.
    partner: Option<u32>,
    /// How it ended.
    cause: Option<String>,
    /// Its ticket's number.
    ticket: Option<String>,
    /// How often it was queued, and how that went.
    visits: Visits,
}

/// Visits of queues by their ends.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Visits {
    queued: u32,
    answered: u32,
    abandoned: u32,
    flow_out: u32,
    system_failure: u32,
}

/// A page of contacts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Contacts {
    contacts: Vec<Contact>,
    /// Leads to the next page; absent on the last.
    next: Option<String>,
}

/// A contact with everything that happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Journey {
    contact: Contact,
    /// Its events, in order.
    events: Vec<Occurred>,
    /// Whom it called, and from where: only with the scope `numbers:read`, and unless erased.
    numbers: Option<Numbers>,
}

/// Telephone numbers: personal data.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Numbers {
    /// The number dialled.
    dialled: String,
    /// The number that called, unless withheld.
    caller: Option<String>,
}

const OF: char = 'c';

/// Contacts, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/hospitals/{hospital}/contacts",
    tag = "contacts",
    params(("hospital" = String, Path, description = "The hospital's key"), Page),
    responses((status = 200, body = Contacts)),
    security(("token" = ["contacts:read"]))
)]
pub(super) async fn list(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(hospital): Path<String>,
    Query(page): Query<Page>,
) -> Response {
    let whose = Whose::Hospital(&hospital);
    let read = move |asked: &Asked<'_>| {
        let limit = page.limit()?;
        let below = ContactId(page.below(OF)?);
        let rows = asked.reader.contacts_below(asked.tenant(), below, limit)?;
        let last = rows.last().map(|(id, _)| id.0);
        let told = Contacts {
            next: page::next(OF, last, rows.len() == limit),
            contacts: rows
                .iter()
                .map(|(id, row)| contact(asked, *id, row))
                .collect(),
        };
        let ids = page::ids(rows.iter().map(|(id, _)| id.0));
        Told::new("contacts.list", ids, Some(&told))
    };
    api.answer(&headers, whose, Some(Scope::ContactsRead), read)
        .await
}

/// A contact and its journey.
#[utoipa::path(
    get,
    path = "/api/v1/hospitals/{hospital}/contacts/{contact}",
    tag = "contacts",
    params(
        ("hospital" = String, Path, description = "The hospital's key"),
        ("contact" = u64, Path, description = "The contact's id")
    ),
    responses((status = 200, body = Journey)),
    security(("token" = ["contacts:read"]))
)]
pub(super) async fn one(
    State(api): State<Api>,
    headers: HeaderMap,
    Path((hospital, id)): Path<(String, u64)>,
) -> Response {
    let whose = Whose::Hospital(&hospital);
    let read = move |asked: &Asked<'_>| {
        let (tenant, id) = (asked.tenant(), ContactId(id));
        let with_numbers = asked.bearer.may(Scope::NumbersRead);
        let action = match with_numbers {
            true => "contact.read_with_numbers",
            false => "contact.read",
        };
        let row = asked.reader.contact(tenant, id)?;
        let journey = match row {
            None => None,
            Some(row) => {
                let events = asked.reader.journey(tenant, id)?;
                let personal = match with_numbers {
                    true => asked.reader.personal(tenant, id)?,
                    false => None,
                };
                Some(Journey {
                    contact: contact(asked, id, &row),
                    events: events.iter().map(Occurred::of).collect(),
                    numbers: personal.map(|personal| Numbers {
                        dialled: personal.dnis.0,
                        caller: personal.ani.map(|ani| ani.0),
                    }),
                })
            }
        };
        Told::new(action, id.0.to_string(), journey.as_ref())
    };
    api.answer(&headers, whose, Some(Scope::ContactsRead), read)
        .await
}

/// A plain enum's word, as the log has it.
pub(super) fn word(value: impl Serialize) -> Option<String> {
    let value = serde_json::to_value(value).ok()?;
    value.as_str().map(str::to_owned)
}

/// A queue's name.
pub(super) fn queue(asked: &Asked<'_>, queue: desk::QueueId) -> Option<String> {
    let place = (queue.0 as usize).checked_sub(1)?;
    let known = asked.loaded.helpdesk.queues.get(place);
    Some(known.map_or_else(|| queue.0.to_string(), |queue| queue.name.clone()))
}

fn contact(asked: &Asked<'_>, id: ContactId, row: &ContactRow) -> Contact {
    let facts = &row.facts;
    let (found, person) = match facts.found {
        None => (None, None),
        Some(Found::Unknown) => (Some("unknown"), None),
        Some(Found::Person { person, .. }) => (Some("person"), Some(person)),
        Some(Found::Place { person }) => (Some("place"), Some(person)),
        Some(Found::PossiblePatient { person }) => (Some("possible_patient"), Some(person)),
    };
    let mut told = Contact {
        id: id.0.to_string(),
        started_at_ms: facts.started_at,
        found,
        person: person.map(|person| person.0),
        role: facts.role.and_then(word),
        position: "flow",
        since_ms: None,
        queue: None,
        agent: None,
        partner: None,
        cause: None,
        ticket: facts.ticket.map(|(_, number)| number.to_string()),
        visits: Visits {
            queued: facts.visits.queued,
            answered: facts.visits.answered,
            abandoned: facts.visits.abandoned,
            flow_out: facts.visits.flow_out,
            system_failure: facts.visits.system_failure,
        },
    };
    match facts.position {
        Position::Flow => {}
        Position::Queue { queue: at, since } => {
            (told.position, told.since_ms) = ("queue", Some(since));
            told.queue = queue(asked, at);
        }
        Position::Offer { agent, visit } => {
            (told.position, told.agent) = ("offer", Some(agent.0));
            told.since_ms = visit.map(|(_, since)| since);
            told.queue = visit.and_then(|(at, _)| queue(asked, at));
        }
        Position::Conversation { agent, since } => {
            (told.position, told.since_ms) = ("conversation", Some(since));
            told.agent = Some(agent.0);
        }
        Position::PartnerCalled { partner } => {
            (told.position, told.partner) = ("partner_called", Some(partner.0));
        }
        Position::Transferred { partner, since } => {
            (told.position, told.since_ms) = ("transferred", Some(since));
            told.partner = Some(partner.0);
        }
        Position::Ended { cause, at } => {
            (told.position, told.since_ms) = ("ended", Some(at));
            told.cause = word(cause);
        }
    }
    told
}
