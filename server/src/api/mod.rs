//! The API: `/api/v1`, for the programs of the operator and of the hospitals.
//! docs/api.md tells its users about it.
//!
//! | file | what |
//! |---|---|
//! | `ask.rs` | the one way from a question to its answer; the limits |
//! | `tokens.rs` | who may ask, and what |
//! | `clerk.rs` | writes down who looked at what, before they see it |
//! | `problem.rs` | what went wrong (RFC 9457) |
//! | `page.rs` | lists, a page at a time |
//! | the others | an endpoint or two each |
//!
//! **An endpoint more** is a handler with `#[utoipa::path]` that calls
//! [`ask::Api::answer`], in [`routes`]; then docs/openapi.json is written anew
//! (`CARELINE_WRITE_OPENAPI=1 cargo test -p server --lib api`), and the test of isolation is
//! told what its parameters are.
//!
//! On a thread and a port of its own: nobody who asks holds up a call, nor
//! whoever watches.

mod alerts;
mod ask;
pub(crate) mod audit;
mod clerk;
mod contacts;
mod events;
mod figures;
mod hospitals;
mod incidents;
mod live;
mod page;
mod problem;
mod promises;
#[cfg(test)]
mod tests;
mod tickets;
pub mod tokens;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::routing::get;
use desk::{IncidentFacts, IncidentId};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::listener::Bounded;
use crate::node::{IncidentAsk, Status};
use crate::serve::Loaded;
use crate::serve::publish::{PublishError, Publisher};
use crate::store::ApiStore;
use ask::Api;
pub(crate) use ask::Served;
use clerk::Clerk;
use tokens::Tokens;

/// Connections at a time; more wait to be accepted. How long one may last.
const CONNECTIONS_MAX: usize = 64;
const CONNECTION_MAX: Duration = Duration::from_secs(30);
/// Longest request read, in bytes.
const BODY_MAX: usize = 512 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Careline",
        description = "The service desk's contacts, log, figures and audit. Times are Unix milliseconds; ids that may exceed 2^53 are texts."
    ),
    components(schemas(problem::Document))
)]
struct Described;

/// Every endpoint that a token asks.
fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(hospitals::list))
        .routes(routes!(contacts::list))
        .routes(routes!(contacts::one))
        .routes(routes!(events::list))
        .routes(routes!(figures::days))
        .routes(routes!(tickets::list))
        .routes(routes!(tickets::one))
        .routes(routes!(incidents::list, incidents::draft))
        .routes(routes!(incidents::publish))
        .routes(routes!(incidents::update))
        .routes(routes!(incidents::close))
        .routes(routes!(alerts::take))
        .routes(routes!(promises::list))
        .routes(routes!(promises::one))
        .routes(routes!(audit::list))
        .routes(routes!(live::now))
}

/// The description, with what is true of all endpoints.
fn described(mut openapi: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = openapi.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    let problems = [
        ("400", "The request can't be read"),
        ("401", "No valid token"),
        ("403", "The token doesn't permit this"),
        ("404", "There is no such thing, at least not for this token"),
        ("429", "Too much is asked at a time"),
        ("409", "As things are, that isn't done"),
        (
            "503",
            "Not now: the store, the audit or the calls don't answer",
        ),
    ];
    for item in openapi.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            // Handlers are called alike in several modules; operations must not be.
            let tag = operation.tags.iter().flatten().next();
            if let (Some(tag), Some(id)) = (tag, &operation.operation_id) {
                operation.operation_id = Some(format!("{tag}_{id}"));
            }
            for (status, what) in problems {
                let content = Content::new(Some(Ref::from_schema_name("Problem")));
                let response = ResponseBuilder::new()
                    .description(what)
                    .content("application/problem+json", content)
                    .build();
                let all = &mut operation.responses.responses;
                all.insert(status.to_owned(), response.into());
            }
        }
    }
    openapi
}

/// The description as it is served, and as it stands in docs/openapi.json.
fn document() -> String {
    let (_, openapi) = routes().split_for_parts();
    // Texts and lists of them: always written.
    let mut text = described(openapi).to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn router(api: Api) -> Router {
    let (router, _) = routes().split_for_parts();
    let text: Arc<str> = document().into();
    let openapi = move || {
        let json = [(header::CONTENT_TYPE, "application/json")];
        let text = text.to_string();
        async move { (json, text).into_response() }
    };
    router
        .with_state(api)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .route("/api/v1/openapi.json", get(openapi))
        .layer(map_response(problem::of_refusals))
}

impl Served for Publisher {
    fn loaded(&self) -> Arc<Loaded> {
        Self::loaded(self)
    }

    fn status(&self) -> Option<Status> {
        Self::status(self).ok().map(|(status, ..)| status)
    }

    fn incident(
        &self,
        ask: IncidentAsk,
    ) -> Result<Option<(IncidentId, IncidentFacts)>, PublishError> {
        Self::incident(self, ask)
    }
}

/// Serves on this address until the process ends. Gives the address bound.
///
/// # Errors
/// When the address can't be had, or a thread.
pub(crate) fn start(
    bind: SocketAddr,
    tokens: Arc<Tokens>,
    served: Arc<dyn Served>,
) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(bind)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let store: ApiStore = tokens.store().clone();
    let api = Api::new(tokens, served, Clerk::start(store)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(ask::PLACES)
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("api".into())
        .spawn(move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let listener = Bounded::with(listener, CONNECTIONS_MAX, CONNECTION_MAX);
                axum::serve(listener, router(api)).await
            });
            if let Err(error) = served {
                tracing::error!(%error, "the API ended");
            }
        })?;
    Ok(address)
}
