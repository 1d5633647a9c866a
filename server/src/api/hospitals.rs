//! Which hospitals a token may read.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use desk::TenantId;
use serde::Serialize;
use utoipa::ToSchema;

use super::ask::{Api, Asked, Told, Whose};
use super::page;

/// A hospital.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Hospital {
    /// As paths name it.
    key: String,
    /// As it is spoken.
    name: String,
    /// The time zone of its days.
    zone: Option<String>,
}

/// Hospitals.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Hospitals {
    hospitals: Vec<Hospital>,
}

/// The hospitals that this token may read.
#[utoipa::path(
    get,
    path = "/api/v1/hospitals",
    tag = "hospitals",
    responses((status = 200, body = Hospitals)),
    security(("token" = []))
)]
pub(super) async fn list(State(api): State<Api>, headers: HeaderMap) -> Response {
    let read = |asked: &Asked<'_>| {
        let mine = |id| {
            let tenant = asked.bearer.tenant;
            tenant.is_none_or(|tenant| tenant == TenantId(id))
        };
        let hospitals = asked.loaded.helpdesk.hospitals.iter();
        let hospitals: Vec<Hospital> = hospitals
            .filter(|hospital| mine(hospital.id))
            .map(|hospital| Hospital {
                key: hospital.key.clone(),
                name: hospital.name.clone(),
                zone: hospital.zone.clone(),
            })
            .collect();
        let keys = page::ids(hospitals.iter().map(|hospital| &hospital.key));
        Told::new("hospitals.list", keys, Some(&Hospitals { hospitals }))
    };
    api.answer(&headers, Whose::Anybody, None, read).await
}
