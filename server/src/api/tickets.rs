//! Tickets.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use desk::{TicketId, TicketNumber};
use serde::Serialize;
use utoipa::ToSchema;

use super::ask::{Api, Asked, Told, Whose};
use super::contacts::{queue, word};
use super::page::{self, Page};
use super::tokens::Scope;
use crate::store::{History, TicketRow};

/// What somebody called about.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ticket {
    /// Its number, ten digits.
    number: String,
    /// The contact it was opened for.
    contact: String,
    /// Unix milliseconds.
    opened_at_ms: i64,
    /// `open` or `resolved`.
    status: Option<String>,
    /// When its caller hears more, Unix milliseconds.
    next_update_ms: Option<i64>,
    /// The analyst who has it.
    owner: Option<u32>,
    /// The queue it belongs to.
    queue: Option<String>,
}

/// A page of tickets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tickets {
    tickets: Vec<Ticket>,
    /// Leads to the next page; absent on the last.
    next: Option<String>,
}

const OF: char = 't';

/// Tickets, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/hospitals/{hospital}/tickets",
    tag = "tickets",
    params(("hospital" = String, Path, description = "The hospital's key"), Page),
    responses((status = 200, body = Tickets)),
    security(("token" = ["tickets:read"]))
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
        let below = TicketId(page.below(OF)?);
        let rows = asked.reader.tickets_below(asked.tenant(), below, limit)?;
        let last = rows.last().map(|row| row.ticket.0);
        let told = Tickets {
            next: page::next(OF, last, rows.len() == limit),
            tickets: rows.iter().map(|row| ticket(asked, row)).collect(),
        };
        let ids = page::ids(rows.iter().map(|row| row.facts.number));
        Told::new("tickets.list", ids, Some(&told))
    };
    api.answer(&headers, whose, Some(Scope::TicketsRead), read)
        .await
}

/// A ticket by its number.
#[utoipa::path(
    get,
    path = "/api/v1/hospitals/{hospital}/tickets/{number}",
    tag = "tickets",
    params(
        ("hospital" = String, Path, description = "The hospital's key"),
        ("number" = String, Path, description = "The ticket's number, ten digits")
    ),
    responses((status = 200, body = Ticket)),
    security(("token" = ["tickets:read"]))
)]
pub(super) async fn one(
    State(api): State<Api>,
    headers: HeaderMap,
    Path((hospital, number)): Path<(String, String)>,
) -> Response {
    let whose = Whose::Hospital(&hospital);
    let read = move |asked: &Asked<'_>| {
        // One with a slip in it is nobody's, and the audit doesn't repeat what isn't a number.
        let Ok(number) = number.parse::<TicketNumber>() else {
            return Told::new::<Ticket>("ticket.read", String::new(), None);
        };
        let row = asked.reader.ticket(asked.tenant(), number)?;
        let told = row.map(|row| ticket(asked, &row));
        Told::new("ticket.read", number.to_string(), told.as_ref())
    };
    api.answer(&headers, whose, Some(Scope::TicketsRead), read)
        .await
}

fn ticket(asked: &Asked<'_>, row: &TicketRow) -> Ticket {
    Ticket {
        number: row.facts.number.to_string(),
        contact: row.facts.contact.0.to_string(),
        opened_at_ms: row.opened_at,
        status: word(row.facts.status()),
        next_update_ms: row.facts.next_update(),
        owner: row.facts.owner().map(|owner| owner.0),
        queue: row.facts.team().and_then(|at| queue(asked, at)),
    }
}
