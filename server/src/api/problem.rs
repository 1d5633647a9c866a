//! What went wrong, as RFC 9457 has it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Why there is no answer. What each says to the asker never depends on
/// anything they may not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The request can't be read.
    Invalid(String),
    /// No token, or none that is good.
    Unauthorized,
    /// The token doesn't hold this scope.
    Scope(&'static str),
    /// There is no such thing; at least not for this token.
    NotFound,
    /// The path knows another method.
    Method,
    /// As things are, that isn't done.
    Refused(String),
    /// Too much is asked at a time.
    Busy,
    /// The store or the calls don't answer.
    Unavailable(&'static str),
    /// A fault of ours.
    Internal,
}

/// A problem's document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document {
    /// What kind of problem: never changes its meaning.
    #[serde(rename = "type")]
    #[schema(example = "urn:careline:problem:not-found")]
    kind: String,
    /// The same in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Problem {
    fn parts(self) -> (StatusCode, &'static str, &'static str, Option<String>) {
        let text = |text: &str| Some(text.to_owned());
        match self {
            Self::Invalid(why) => (
                StatusCode::BAD_REQUEST,
                "invalid-request",
                "The request can't be read",
                Some(why),
            ),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "No valid token",
                text("send a token that is valid: Authorization: Bearer careline_…"),
            ),
            Self::Scope(scope) => (
                StatusCode::FORBIDDEN,
                "scope-missing",
                "The token doesn't permit this",
                Some(format!("it takes the scope {scope}")),
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not-found",
                "There is no such thing",
                None,
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This is asked in another way",
                None,
            ),
            Self::Refused(why) => (
                StatusCode::CONFLICT,
                "refused",
                "That isn't done as things are",
                Some(why),
            ),
            Self::Busy => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "Too much is asked at a time",
                text("ask again in a moment, fewer at a time"),
            ),
            Self::Unavailable(what) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Not now",
                text(what),
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "A fault of Careline's",
                None,
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, kind, title, detail) = self.parts();
        let document = Document {
            kind: format!("urn:careline:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail,
        };
        // Texts and a number: always written.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match status {
            StatusCode::UNAUTHORIZED => {
                let scheme = HeaderValue::from_static("Bearer");
                headers.insert(header::WWW_AUTHENTICATE, scheme);
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// Longest text of a refusal that isn't ours.
const TEXT_MAX: usize = 500;

/// What axum refuses by itself becomes a problem too.
pub(super) async fn of_refusals(response: Response) -> Response {
    let status = response.status();
    let ours = response.headers().get(header::CONTENT_TYPE);
    if status.is_success() || ours.is_some_and(|kind| kind == "application/problem+json") {
        return response;
    }
    let allowed = response.headers().get(header::ALLOW).cloned();
    let mut problem = match status {
        StatusCode::NOT_FOUND => Problem::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Problem::Method,
        status if status.is_client_error() => {
            let text = axum::body::to_bytes(response.into_body(), TEXT_MAX).await;
            let text = text.unwrap_or_default();
            Problem::Invalid(String::from_utf8_lossy(&text).into_owned())
        }
        _ => Problem::Internal,
    }
    .into_response();
    // RFC 9110, 15.5.6: a 405 says what may be asked.
    if let Some(allowed) = allowed {
        problem.headers_mut().insert(header::ALLOW, allowed);
    }
    problem
}
