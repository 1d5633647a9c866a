//! What is owed to customers.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use desk::{PromiseFacts, PromiseId, PromiseKind, PromiseStage, Proof};
use serde::Serialize;
use utoipa::ToSchema;

use super::ask::{Api, Asked, Told, Whose};
use super::contacts::{queue, word};
use super::page::{self, Page};
use super::tokens::Scope;

/// A call that is owed, or was. Whom to call is in no answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Promise {
    /// Its number.
    id: String,
    /// The contact it was made to.
    contact: String,
    /// `hold`: called when it is their turn; `scheduled`, `owned`: within the window.
    kind: &'static str,
    /// `waiting`, `due`, `attempting`, `reached`, `with_person` or `closed`.
    stage: &'static str,
    /// Of a closed one: `key`, `released`, `called_in` or `attested`.
    proof: Option<&'static str>,
    /// When it is to be kept, Unix milliseconds.
    window_from_ms: i64,
    /// The first moment after that.
    window_to_ms: i64,
    /// The queue that serves it.
    queue: Option<String>,
    /// Attempts that nobody answered so far.
    unanswered: u8,
    /// When it was attempted first, Unix milliseconds.
    attempted_at_ms: Option<i64>,
    /// When a person answered first, Unix milliseconds.
    reached_at_ms: Option<i64>,
    /// When it was closed, Unix milliseconds.
    closed_at_ms: Option<i64>,
    /// Why it was escalated last.
    escalated: Option<String>,
}

/// A page of promises.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Promises {
    promises: Vec<Promise>,
    /// Leads to the next page; absent on the last.
    next: Option<String>,
}

const OF: char = 'p';

/// Promises, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/hospitals/{hospital}/promises",
    tag = "promises",
    params(("hospital" = String, Path, description = "The hospital's key"), Page),
    responses((status = 200, body = Promises)),
    security(("token" = ["promises:read"]))
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
        let below = PromiseId(page.below(OF)?);
        let rows = asked.reader.promises_below(asked.tenant(), below, limit)?;
        let last = rows.last().map(|(promise, _)| promise.0);
        let told = Promises {
            next: page::next(OF, last, rows.len() == limit),
            promises: rows.iter().map(|row| promise(asked, row)).collect(),
        };
        let ids = page::ids(rows.iter().map(|(promise, _)| promise.0));
        Told::new("promises.list", ids, Some(&told))
    };
    api.answer(&headers, whose, Some(Scope::PromisesRead), read)
        .await
}

/// A promise by its number.
#[utoipa::path(
    get,
    path = "/api/v1/hospitals/{hospital}/promises/{promise}",
    tag = "promises",
    params(
        ("hospital" = String, Path, description = "The hospital's key"),
        ("promise" = String, Path, description = "The promise's number")
    ),
    responses((status = 200, body = Promise)),
    security(("token" = ["promises:read"]))
)]
pub(super) async fn one(
    State(api): State<Api>,
    headers: HeaderMap,
    Path((hospital, number)): Path<(String, String)>,
) -> Response {
    let whose = Whose::Hospital(&hospital);
    let read = move |asked: &Asked<'_>| {
        let Ok(number) = number.parse::<u64>() else {
            return Told::new::<Promise>("promise.read", String::new(), None);
        };
        let number = PromiseId(number);
        let facts = asked.reader.promise(asked.tenant(), number)?;
        let told = facts.map(|facts| promise(asked, &(number, facts)));
        Told::new("promise.read", number.0.to_string(), told.as_ref())
    };
    api.answer(&headers, whose, Some(Scope::PromisesRead), read)
        .await
}

fn promise(asked: &Asked<'_>, (number, facts): &(PromiseId, PromiseFacts)) -> Promise {
    let (stage, closed) = match facts.stage {
        PromiseStage::Waiting => ("waiting", None),
        PromiseStage::Due => ("due", None),
        PromiseStage::Attempting { .. } => ("attempting", None),
        PromiseStage::Reached { .. } => ("reached", None),
        PromiseStage::WithPerson => ("with_person", None),
        PromiseStage::Closed { proof, at } => ("closed", Some((proof, at))),
    };
    Promise {
        id: number.0.to_string(),
        contact: facts.contact.0.to_string(),
        kind: match facts.kind {
            PromiseKind::Hold => "hold",
            PromiseKind::Scheduled => "scheduled",
            PromiseKind::Owned { .. } => "owned",
        },
        stage,
        proof: closed.map(|(proof, _)| match proof {
            Proof::Key { .. } => "key",
            Proof::Released { .. } => "released",
            Proof::CalledIn { .. } => "called_in",
            Proof::Attested { .. } => "attested",
        }),
        window_from_ms: facts.window.from,
        window_to_ms: facts.window.to,
        queue: queue(asked, facts.queue),
        unanswered: facts.unanswered,
        attempted_at_ms: facts.attempted_at,
        reached_at_ms: facts.reached_at,
        closed_at_ms: closed.map(|(_, at)| at),
        escalated: facts.risk.and_then(word),
    }
}
