//! The demo's stand-in for a hospital's own system, which HTTP actions call.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

/// Largest question read, in bytes.
const QUESTION_BYTES_MAX: usize = 4 * 1024;

/// Says whether a system works, at this address (`http://127.0.0.1:5080`), until the process ends:
/// the health record does, mail doesn't, and of printing nobody knows. New passwords are sent to everybody.
pub(super) fn start(address: &str) -> anyhow::Result<()> {
    let bind: SocketAddr = address
        .trim_start_matches("http://")
        .parse()
        .with_context(|| format!("--stand-in {address}: write e.g. http://127.0.0.1:5080"))?;
    let listener = std::net::TcpListener::bind(bind)
        .with_context(|| format!("a hospital's system can't be played on {bind}"))?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("stand-in".into())
        .spawn(move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let router = Router::new()
                    .route("/status", post(status))
                    .route("/password", post(password));
                axum::serve(listener, router).await
            });
            if let Err(error) = served {
                tracing::error!(%error, "the stand-in of a hospital's system ended");
            }
        })?;
    println!("Stand-in of a hospital's system on http://{bind}");
    Ok(())
}

async fn password() -> Response {
    let said = "{\"sent\": true}";
    ([(header::CONTENT_TYPE, "application/json")], said).into_response()
}

async fn status(request: axum::extract::Request) -> Response {
    let asked = axum::body::to_bytes(request.into_body(), QUESTION_BYTES_MAX).await;
    let asked: Option<serde_json::Value> = asked
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let system = asked.as_ref().and_then(|asked| asked["system"].as_str());
    let said = match system {
        Some("health-record") => "{\"works\": true, \"minutes\": 0}",
        Some("mail") => "{\"works\": false, \"minutes\": 20}",
        _ => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    ([(header::CONTENT_TYPE, "application/json")], said).into_response()
}
