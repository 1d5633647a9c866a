//! Incidents: what is out of order, drafted, published, changed and closed.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use desk::{
    Audience, Draft, IncidentBy, IncidentDeed, IncidentFacts, IncidentId, IncidentScope,
    IncidentStage, IncidentText, PersonId, Places, ReasonCode, Role,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::ask::{Api, Asked, Told, Whose};
use super::contacts::word;
use super::page::{self, Page};
use super::problem::Problem;
use super::tokens::Scope;
use crate::config::incident_texts;
use crate::node::{IncidentAsk, wall};
use crate::serve::publish::PublishError;

/// What is out of order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Incident {
    /// Its number.
    incident: String,
    /// `draft`, `published` or `closed`.
    stage: &'static str,
    /// Unix milliseconds.
    drafted_at_ms: i64,
    /// Since when callers hear of it, Unix milliseconds; absent when they don't.
    published_at_ms: Option<i64>,
    /// Unix milliseconds.
    closed_at_ms: Option<i64>,
    /// When it is over by itself, Unix milliseconds.
    expires_at_ms: i64,
    /// What it is about, by the hospital's list of reasons.
    reason: Option<String>,
    /// Which callers it concerns; none named: all of them.
    roles: Vec<String>,
    /// Which location lines; none named: everywhere.
    places: Vec<u32>,
    /// The alert it comes from, as Alertmanager fingerprints it.
    alert: Option<String>,
    /// Contacts that heard of it.
    informed: u32,
    /// Of those, the ones that hung up without asking for anybody.
    deflected: u32,
    /// People who want to be called when it is over.
    subscribed: u32,
    /// Tickets that are about it.
    tickets: u32,
    /// What is said, unless erased; absent in the answer to what was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    texts: Option<Vec<Said>>,
}

/// What is said in one language.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Said {
    /// Two letters.
    language: String,
    /// What callers hear.
    text: String,
    /// The same in few words, for clinicians.
    brief: Option<String>,
}

/// A page of incidents.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Incidents {
    incidents: Vec<Incident>,
    /// Leads to the next page; absent on the last.
    next: Option<String>,
}

/// An incident to be drafted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewIncident {
    /// What it is about, by the hospital's list of reasons.
    #[serde(default)]
    reason: Option<String>,
    /// Which callers: `clinician`, `staff`, `patient`; all if absent.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    /// Which location lines, by their ids; everywhere if absent.
    #[serde(default)]
    places: Vec<u32>,
    /// After how many minutes it is over by itself.
    minutes: u32,
    /// What callers hear, by language.
    #[serde(default)]
    text: BTreeMap<String, String>,
    /// The same in few words, for clinicians, who hear six seconds at most.
    #[serde(default)]
    brief: BTreeMap<String, String>,
    /// Have callers hear of it at once, where the hospital's list allows that to this token.
    #[serde(default)]
    publish: bool,
}

/// What is to be another. What is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// After how many minutes from now it is over by itself.
    #[serde(default)]
    minutes: Option<u32>,
    /// What callers hear, by language.
    #[serde(default)]
    text: BTreeMap<String, String>,
    /// The same in few words.
    #[serde(default)]
    brief: BTreeMap<String, String>,
}

const OF: char = 'i';

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Incident(desk::IncidentRefusal::NotFound) => Self::NotFound,
            PublishError::Incident(desk::IncidentRefusal::Busy) => Self::Busy,
            PublishError::Incident(
                desk::IncidentRefusal::NotDurable | desk::IncidentRefusal::NotWritten,
            ) => Self::Unavailable("it couldn't be written; ask again with the same key"),
            PublishError::Incident(why) => Self::Refused(why.to_string()),
            _ => Self::Unavailable("the calls don't answer"),
        }
    }
}

/// Incidents, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/hospitals/{hospital}/incidents",
    tag = "incidents",
    params(("hospital" = String, Path, description = "The hospital's key"), Page),
    responses((status = 200, body = Incidents)),
    security(("token" = ["incidents:read"]))
)]
pub(super) async fn list(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(hospital): Path<String>,
    Query(page): Query<Page>,
) -> Response {
    let read = move |asked: &Asked<'_>| {
        let limit = page.limit()?;
        let below = IncidentId(page.below(OF)?);
        let rows = asked.reader.incidents_below(asked.tenant(), below, limit)?;
        let last = rows.last().map(|row| row.incident.0);
        let told = Incidents {
            next: page::next(OF, last, rows.len() == limit),
            incidents: rows
                .iter()
                .map(|row| shown(row.incident, &row.facts, Some(&row.texts)))
                .collect(),
        };
        let ids = page::ids(rows.iter().map(|row| row.incident.0));
        Told::new("incidents.list", ids, Some(&told))
    };
    let whose = Whose::Hospital(&hospital);
    api.answer(&headers, whose, Some(Scope::IncidentsRead), read)
        .await
}

/// Drafts an incident. Nobody hears of it before it is published. The same `Idempotency-Key` drafts
/// the same one.
#[utoipa::path(
    post,
    path = "/api/v1/hospitals/{hospital}/incidents",
    tag = "incidents",
    params(
        ("hospital" = String, Path, description = "The hospital's key"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same for every repetition of this request")
    ),
    request_body = NewIncident,
    responses((status = 200, body = Incident)),
    security(("token" = ["incidents:write"]))
)]
pub(super) async fn draft(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(hospital): Path<String>,
    body: Bytes,
) -> Response {
    let key = idempotency(&headers);
    let act = move |asked: &Asked<'_>| {
        let new: NewIncident = parsed(&body)?;
        let places: Vec<PersonId> = new.places.into_iter().map(PersonId).collect();
        let reason = new.reason.map(|code| {
            ReasonCode::new(&code).ok_or_else(|| invalid("`reason` is no reason's code"))
        });
        let draft = Draft {
            scope: IncidentScope {
                reason: reason.transpose()?,
                roles: Audience::of(&new.roles),
                places: Places::of(&places).ok_or_else(|| {
                    invalid(&format!("an incident names at most {} places", Places::MAX))
                })?,
                ..IncidentScope::default()
            },
            texts: incident_texts(&new.text, &new.brief).map_err(|fault| invalid(&fault))?,
            expires_at: until(new.minutes),
            alert: None,
            publish: new.publish,
        };
        act(asked, "incident.draft", IncidentDeed::Draft(draft), &key)
    };
    let whose = Whose::Hospital(&hospital);
    api.answer(&headers, whose, Some(Scope::IncidentsWrite), act)
        .await
}

/// Has the callers whom it concerns hear of it from now on.
#[utoipa::path(
    post,
    path = "/api/v1/hospitals/{hospital}/incidents/{incident}/publish",
    tag = "incidents",
    params(
        ("hospital" = String, Path, description = "The hospital's key"),
        ("incident" = String, Path, description = "The incident's number")
    ),
    responses((status = 200, body = Incident)),
    security(("token" = ["incidents:publish"]))
)]
pub(super) async fn publish(
    State(api): State<Api>,
    headers: HeaderMap,
    Path((hospital, incident)): Path<(String, String)>,
) -> Response {
    let key = idempotency(&headers);
    let act = move |asked: &Asked<'_>| {
        let deed = IncidentDeed::Publish(id(&incident)?);
        act(asked, "incident.publish", deed, &key)
    };
    let whose = Whose::Hospital(&hospital);
    api.answer(&headers, whose, Some(Scope::IncidentsPublish), act)
        .await
}

/// Changes what is said, or how long it lasts. Callers of a published one hear the new text at once.
#[utoipa::path(
    post,
    path = "/api/v1/hospitals/{hospital}/incidents/{incident}/update",
    tag = "incidents",
    params(
        ("hospital" = String, Path, description = "The hospital's key"),
        ("incident" = String, Path, description = "The incident's number")
    ),
    request_body = Change,
    responses((status = 200, body = Incident)),
    security(("token" = ["incidents:publish"]))
)]
pub(super) async fn update(
    State(api): State<Api>,
    headers: HeaderMap,
    Path((hospital, incident)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let key = idempotency(&headers);
    let act = move |asked: &Asked<'_>| {
        let change: Change = parsed(&body)?;
        let texts = incident_texts(&change.text, &change.brief);
        let deed = IncidentDeed::Update {
            incident: id(&incident)?,
            scope: None,
            texts: texts.map_err(|fault| invalid(&fault))?,
            expires_at: change.minutes.map(until),
        };
        act(asked, "incident.update", deed, &key)
    };
    let whose = Whose::Hospital(&hospital);
    api.answer(&headers, whose, Some(Scope::IncidentsPublish), act)
        .await
}

/// Says that it is over. Whoever wanted to know is called, at a decent hour.
#[utoipa::path(
    post,
    path = "/api/v1/hospitals/{hospital}/incidents/{incident}/close",
    tag = "incidents",
    params(
        ("hospital" = String, Path, description = "The hospital's key"),
        ("incident" = String, Path, description = "The incident's number")
    ),
    responses((status = 200, body = Incident)),
    security(("token" = ["incidents:publish"]))
)]
pub(super) async fn close(
    State(api): State<Api>,
    headers: HeaderMap,
    Path((hospital, incident)): Path<(String, String)>,
) -> Response {
    let key = idempotency(&headers);
    let act = move |asked: &Asked<'_>| {
        let deed = IncidentDeed::Close(id(&incident)?);
        act(asked, "incident.close", deed, &key)
    };
    let whose = Whose::Hospital(&hospital);
    api.answer(&headers, whose, Some(Scope::IncidentsPublish), act)
        .await
}

/// Longest key of a request, in bytes.
const KEY_MAX: usize = 200;

/// What the asker calls this request, to have it done once.
fn idempotency(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = key.to_str().ok().filter(|key| key.len() <= KEY_MAX);
    let key = key.ok_or_else(|| invalid("an Idempotency-Key is at most 200 letters of ASCII"))?;
    Ok(Some(key.to_owned()))
}

/// Has the desk do it, and says how the incident stands then.
fn act(
    asked: &Asked<'_>,
    action: &'static str,
    deed: IncidentDeed,
    key: &Result<Option<String>, Problem>,
) -> Result<Told, Problem> {
    let key = key.clone()?;
    let token = asked.bearer.token;
    let tenant = asked.tenant();
    // Of this token and this hospital: nobody meets another's.
    let key = key.map(|key| {
        let all = format!("{} {token} {action} {key}", tenant.0);
        let hash = Sha256::digest(all.as_bytes());
        let (first, _) = hash.split_at(8);
        u64::from_be_bytes(first.try_into().unwrap_or_default())
    });
    let done = asked.served.incident(IncidentAsk {
        tenant,
        by: IncidentBy::Token(u32::try_from(token).unwrap_or(u32::MAX)),
        deed,
        key,
    })?;
    let (incident, facts) = done.ok_or(Problem::NotFound)?;
    let told = shown(incident, &facts, None);
    Told::new(action, incident.0.to_string(), Some(&told))
}

pub(super) fn invalid(why: &str) -> Problem {
    Problem::Invalid(why.to_owned())
}

pub(super) fn parsed<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, Problem> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|fault| invalid(&fault.to_string()))
}

fn id(text: &str) -> Result<IncidentId, Problem> {
    // What isn't a number is nobody's.
    text.parse().map(IncidentId).map_err(|_| Problem::NotFound)
}

fn until(minutes: u32) -> i64 {
    wall().saturating_add(i64::from(minutes) * 60_000)
}

fn shown(incident: IncidentId, facts: &IncidentFacts, texts: Option<&[IncidentText]>) -> Incident {
    let (stage, published, closed) = match facts.stage {
        IncidentStage::Draft => ("draft", None, None),
        IncidentStage::Published { at } => ("published", Some(at), None),
        IncidentStage::Closed { at, .. } => ("closed", None, Some(at)),
    };
    let said = |text: &IncidentText| Said {
        language: text.language.tag().to_owned(),
        text: text.text.as_str().to_owned(),
        brief: text.brief.as_ref().map(|brief| brief.as_str().to_owned()),
    };
    Incident {
        incident: incident.0.to_string(),
        stage,
        drafted_at_ms: facts.drafted_at,
        published_at_ms: published,
        closed_at_ms: closed,
        expires_at_ms: facts.expires_at,
        reason: facts.scope.reason.map(|reason| reason.as_str().to_owned()),
        roles: facts.scope.roles.roles().filter_map(word).collect(),
        places: facts.scope.places.ids().map(|place| place.0).collect(),
        alert: facts.alert.and_then(word),
        informed: facts.informed,
        deflected: facts.deflected,
        subscribed: facts.subscribed,
        tickets: facts.tickets,
        texts: texts.map(|texts| texts.iter().map(said).collect()),
    }
}
