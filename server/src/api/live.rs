//! How things are at this moment, where all hospitals share them.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::ask::{Api, Asked, Told, Whose};
use super::contacts::queue;
use super::problem::Problem;
use super::tokens::Scope;

/// Queues and analysts at this moment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Now {
    /// Calls in progress.
    calls: u32,
    queues: Vec<Queue>,
    analysts: Vec<Analyst>,
}

/// A queue.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queue {
    name: Option<String>,
    /// Callers who wait, without those for whom a phone rings.
    waiting: u32,
    /// How long whoever waits longest has, seconds.
    oldest_wait_s: Option<u64>,
    /// Analysts signed in for it.
    signed_in: u32,
    /// Of these, who are free.
    free: u32,
}

/// An analyst.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Analyst {
    id: u32,
    /// `signed_out`, `available`, `offered`, `talking`, `wrap_up` or `resting`.
    state: &'static str,
    /// For how long, seconds.
    for_s: u64,
}

/// Queues and analysts at this moment. Only for the operator's tokens: all hospitals share them.
#[utoipa::path(
    get,
    path = "/api/v1/now",
    tag = "live",
    responses((status = 200, body = Now)),
    security(("token" = ["queues:read"]))
)]
pub(super) async fn now(State(api): State<Api>, headers: HeaderMap) -> Response {
    let read = |asked: &Asked<'_>| {
        let status = asked.served.status();
        let status = status.ok_or(Problem::Unavailable("signalling doesn't answer"))?;
        let told = Now {
            calls: status.calls,
            queues: status
                .queues
                .iter()
                .map(|view| Queue {
                    name: queue(asked, desk::QueueId(view.queue.0)),
                    waiting: view.waiting,
                    oldest_wait_s: view
                        .oldest
                        .map(|since| status.at.saturating_sub(since).as_secs()),
                    signed_in: view.signed_in,
                    free: view.free,
                })
                .collect(),
            analysts: status
                .agents
                .iter()
                .map(|view| Analyst {
                    id: view.agent.0,
                    state: state(view.state),
                    for_s: status.at.saturating_sub(view.since).as_secs(),
                })
                .collect(),
        };
        Told::new("now.read", String::new(), Some(&told))
    };
    api.answer(&headers, Whose::Operator, Some(Scope::QueuesRead), read)
        .await
}

fn state(state: acd::AgentState) -> &'static str {
    match state {
        acd::AgentState::SignedOut => "signed_out",
        acd::AgentState::Available => "available",
        acd::AgentState::Offered => "offered",
        acd::AgentState::Talking => "talking",
        acd::AgentState::WrapUp => "wrap_up",
        acd::AgentState::Resting => "resting",
    }
}
