//! The service desk's figures: what `careline report` tells.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use clap::ValueEnum;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ask::{Api, Asked, Told, Whose};
use super::problem::Problem;
use super::tokens::Scope;
use crate::node::wall;
use crate::report::{By, Question, report};

/// Which figures.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Days {
    /// First day in the hospital's zone: `2026-11-22`. Today if absent.
    from: Option<String>,
    /// Last day. The first if absent.
    to: Option<String>,
    /// How they are divided: `total`, `queue`, `role`, `analyst`, `partner`, `hour`, `day` or
    /// `month`. `queue` if absent.
    by: Option<String>,
}

/// The figures of some days: an object with `rows`, of which each says whether it is complete.
/// docs/figures.md says what is counted how.
#[utoipa::path(
    get,
    path = "/api/v1/hospitals/{hospital}/figures",
    tag = "figures",
    params(("hospital" = String, Path, description = "The hospital's key"), Days),
    responses((status = 200, body = Object)),
    security(("token" = ["figures:read"]))
)]
pub(super) async fn days(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(hospital): Path<String>,
    Query(days): Query<Days>,
) -> Response {
    let whose = Whose::Hospital(&hospital);
    let read = move |asked: &Asked<'_>| {
        let by = days.by.as_deref().unwrap_or("queue");
        let by = By::from_str(by, false)
            .map_err(|_| Problem::Invalid("by: not a way of dividing figures".to_owned()))?;
        let question = Question {
            hospital: asked.hospital,
            from: days.from.as_deref(),
            to: days.to.as_deref(),
            by,
            now: wall(),
        };
        let table = report(asked.reader, &asked.loaded.helpdesk, &question)?;
        let day = |day: &Option<String>| day.clone().unwrap_or_else(|| "-".to_owned());
        let asked_for = format!("{} {} {}", day(&days.from), day(&days.to), table.by);
        Ok(Told::text("figures.read", asked_for, table.json()))
    };
    api.answer(&headers, whose, Some(Scope::FiguresRead), read)
        .await
}
