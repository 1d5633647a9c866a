//! Health and metrics over HTTP, for whoever watches this process.
//!
//! | path | says |
//! |---|---|
//! | `/health` | 200 as long as the pump answers: otherwise start the process anew |
//! | `/ready` | 200 as long as new calls are taken: otherwise send them elsewhere. Says when the store is down |
//! | `/metrics` | counts and gauges, in Prometheus' text form |
//!
//! On a thread of its own: nobody's curiosity delays a call. Nothing here is
//! about a person.

pub(crate) mod listener;
mod metrics;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::feed::Feed;
use crate::figures::Live;
use crate::node::{Control, Status, wall};
use crate::rtp::Media;
use listener::Bounded;
use metrics::Snapshot;

/// How long the pump may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Readers of metrics at a time; more are told to come again.
const READERS_MAX: usize = 8;
/// Askers of health and readiness whose question is with the pump; more wait
/// for their turn, as it takes milliseconds.
const WATCHERS_AT_ONCE: usize = 4;
/// With a write that has waited for longer, or the last one failed, the store
/// counts as down: callers get no ticket then.
const STORE_SLOW: Duration = Duration::from_secs(2);

/// What is asked of whom.
#[derive(Clone)]
struct Sources {
    /// Weak: watching doesn't keep the process alive.
    control: mpsc::WeakSender<Control>,
    media: Media,
    live: Live,
    feed: Feed,
    /// Queues' names by id, from 1.
    queues: Arc<[String]>,
    readers: Arc<Semaphore>,
    watchers: Arc<Semaphore>,
}

/// Serves on this address until the process ends. Gives the address bound.
///
/// # Errors
/// When the address can't be had.
pub fn start(
    bind: SocketAddr,
    control: &mpsc::Sender<Control>,
    media: Media,
    live: Live,
    feed: Feed,
    queues: Vec<String>,
) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(bind)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let sources = Sources {
        control: control.downgrade(),
        media,
        live,
        feed,
        queues: queues.into(),
        readers: Arc::new(Semaphore::new(READERS_MAX)),
        watchers: Arc::new(Semaphore::new(WATCHERS_AT_ONCE)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("http".into())
        .spawn(move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(Bounded::new(listener), router(sources)).await
            });
            if let Err(error) = served {
                tracing::error!(%error, "HTTP ended");
            }
        })?;
    Ok(address)
}

fn router(sources: Sources) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(sources)
}

/// None when the pump doesn't answer in time.
async fn status(sources: &Sources) -> Option<Status> {
    let control = sources.control.upgrade()?;
    let (reply, answer) = oneshot::channel();
    let asked = async {
        control.send(Control::Status(reply)).await.ok()?;
        answer.await.ok()
    };
    tokio::time::timeout(ANSWER_MAX, asked).await.ok()?
}

/// The same for health and readiness: no number of readers of metrics, and no number of watchers,
/// makes a pump look dead that answers.
async fn watched(sources: &Sources) -> Option<Status> {
    let turn = async {
        let _turn = sources.watchers.acquire().await.ok()?;
        status(sources).await
    };
    tokio::time::timeout(2 * ANSWER_MAX, turn).await.ok()?
}

const DEAF: (StatusCode, &str) = (
    StatusCode::SERVICE_UNAVAILABLE,
    "signalling doesn't answer\n",
);

async fn health(State(sources): State<Sources>) -> (StatusCode, &'static str) {
    match watched(&sources).await {
        Some(_) => (StatusCode::OK, "alive\n"),
        None => DEAF,
    }
}

async fn ready(State(sources): State<Sources>) -> (StatusCode, &'static str) {
    match watched(&sources).await {
        Some(status) if status.draining => (
            StatusCode::SERVICE_UNAVAILABLE,
            "draining: takes no new calls\n",
        ),
        // Callers still reach people, which elsewhere they might not.
        Some(status) if status.store_failing || status.oldest_write() > STORE_SLOW => (
            StatusCode::OK,
            "takes calls; store down: no tickets, and the log waits\n",
        ),
        Some(_) => (StatusCode::OK, "takes calls\n"),
        None => DEAF,
    }
}

async fn metrics(State(sources): State<Sources>) -> Response {
    let Ok(_place) = sources.readers.try_acquire() else {
        let later = [(header::RETRY_AFTER, "1")];
        return (StatusCode::TOO_MANY_REQUESTS, later).into_response();
    };
    let Some(status) = status(&sources).await else {
        return DEAF.into_response();
    };
    let snapshot = Snapshot {
        status,
        media: sources.media.figures(),
        today: sources.live.today(wall()),
        told: sources.feed.standings(),
        queues: Arc::clone(&sources.queues),
    };
    match metrics::text(snapshot) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests;
