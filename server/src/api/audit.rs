//! Who has looked at what. Reading that is written down like everything else.

use std::fmt::Write as _;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::ask::{Api, Asked, Told, Whose};
use super::page::{After, range};
use super::tokens::Scope;
use crate::store::{AuditRow, Hash};

/// A row of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Row {
    /// Its place: 1, 2, 3, … without gaps.
    seq: u64,
    /// Unix milliseconds.
    at_ms: i64,
    /// The id of the token; 0: at the server's own console.
    token: String,
    /// What was done.
    action: String,
    /// To what: ids.
    objects: String,
    /// SHA-256 of this row and, by its hash, all rows before.
    hash: String,
}

/// A part of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rows {
    rows: Vec<Row>,
    /// To be asked with as `after`.
    next: u64,
}

/// A hash in digits.
pub(crate) fn digits(hash: &Hash) -> String {
    let mut digits = String::with_capacity(64);
    for byte in hash {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// Who has looked at what of this hospital, and changed what.
#[utoipa::path(
    get,
    path = "/api/v1/hospitals/{hospital}/audit",
    tag = "audit",
    params(("hospital" = String, Path, description = "The hospital's key"), After),
    responses((status = 200, body = Rows)),
    security(("token" = ["audit:read"]))
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
            .audit_after(asked.tenant(), after, page.limit()?)?;
        let next = rows.last().map_or(after, |last| last.seq);
        let row = |row: AuditRow| Row {
            seq: row.seq,
            at_ms: row.entry.at,
            token: row.entry.token.to_string(),
            action: row.entry.action,
            objects: row.entry.objects,
            hash: digits(&row.hash),
        };
        let told = Rows {
            rows: rows.into_iter().map(row).collect(),
            next,
        };
        Told::new("audit.read", range(after, next), Some(&told))
    };
    api.answer(&headers, whose, Some(Scope::AuditRead), read)
        .await
}
