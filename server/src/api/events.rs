//! The log, from any place on: whoever was away reads what they missed.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::ask::{Api, Asked, Told, Whose};
use super::page::{After, range};
use super::tokens::Scope;
use crate::store::{History, Logged};

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Occurred {
    /// Its place in the hospital's log: 1, 2, 3, … without gaps.
    seq: u64,
    /// When, Unix milliseconds. Events are in the order of their writing.
    at_ms: i64,
    /// What: its name in `type`, ids, words and times. No name and no number of anybody.
    #[schema(value_type = Object)]
    event: serde_json::Value,
}

impl Occurred {
    pub(super) fn of(logged: &Logged) -> Self {
        Self {
            seq: logged.seq,
            at_ms: logged.stamped.at,
            // Enums and numbers: always written.
            event: serde_json::to_value(logged.stamped.event).unwrap_or_default(),
        }
    }
}

/// A part of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Events {
    events: Vec<Occurred>,
    /// To be asked with as `after`, now or when there may be more.
    next: u64,
}

/// What happened behind a place in the log.
#[utoipa::path(
    get,
    path = "/api/v1/hospitals/{hospital}/events",
    tag = "events",
    params(("hospital" = String, Path, description = "The hospital's key"), After),
    responses((status = 200, body = Events)),
    security(("token" = ["events:read"]))
)]
pub(super) async fn list(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(hospital): Path<String>,
    Query(page): Query<After>,
) -> Response {
    let whose = Whose::Hospital(&hospital);
    let read = move |asked: &Asked<'_>| {
        let after = page.after();
        let rows = asked
            .reader
            .events_after(asked.tenant(), after, page.limit()?)?;
        let next = rows.last().map_or(after, |last| last.seq);
        let told = Events {
            events: rows.iter().map(Occurred::of).collect(),
            next,
        };
        Told::new("events.read", range(after, next), Some(&told))
    };
    api.answer(&headers, whose, Some(Scope::EventsRead), read)
        .await
}
