//! Alerts of monitoring's: Alertmanager's webhook.
//!
//! Written from Prometheus' documentation (Alertmanager, Configuration,
//! `webhook_config`, version 4 of the message). Alertmanager groups alerts, sends
//! the whole group again whenever something about it changes and every
//! `repeat_interval`, and tells resolved ones once; an answer of 5xx is sent again.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use desk::{AlertId, Draft, IncidentBy, IncidentDeed};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ask::{Api, Asked, Told, Whose};
use super::incidents::{invalid, parsed};
use super::page;
use super::problem::Problem;
use super::tokens::Scope;
use crate::node::{IncidentAsk, wall};

/// Most alerts of one message. Alertmanager's `max_alerts` keeps to fewer.
const ALERTS_MAX: usize = 500;

/// A group of alerts, as Alertmanager sends it. What isn't named here is passed over.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Group {
    /// The message's version.
    version: String,
    /// The alerts.
    alerts: Vec<Alert>,
}

/// One of them.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Alert {
    /// `firing` or `resolved`.
    status: String,
    /// What it is about.
    labels: BTreeMap<String, String>,
    /// Sixteen hexadecimal digits, the same for the same labels.
    fingerprint: String,
}

/// What came of them.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Taken {
    /// Incidents of alerts that fire: drafted, published or known already.
    firing: Vec<String>,
    /// Incidents that were closed.
    closed: Vec<String>,
    /// Alerts that the hospital's list doesn't know, or that are over and were never known.
    passed_over: usize,
}

/// Takes alerts from Prometheus' Alertmanager. Those of the hospital's list (`incidents.alerts`)
/// draft an incident, or publish it where the list says so; one that is over closes its incident.
#[utoipa::path(
    post,
    path = "/api/v1/hospitals/{hospital}/alerts",
    tag = "alerts",
    params(("hospital" = String, Path, description = "The hospital's key")),
    request_body = Group,
    responses((status = 200, body = Taken)),
    security(("token" = ["alerts:write"]))
)]
pub(super) async fn take(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(hospital): Path<String>,
    body: Bytes,
) -> Response {
    let act = move |asked: &Asked<'_>| {
        let group: Group = parsed(&body)?;
        if group.version != "4" {
            return Err(invalid("version 4 of Alertmanager's message is understood"));
        }
        if group.alerts.len() > ALERTS_MAX {
            return Err(invalid("at most 500 alerts at a time; set max_alerts"));
        }
        let mut taken = Taken::default();
        for alert in &group.alerts {
            take_one(asked, alert, &mut taken)?;
        }
        let ids = page::ids(taken.firing.iter().chain(&taken.closed));
        Told::new("alerts.take", ids, Some(&taken))
    };
    let whose = Whose::Hospital(&hospital);
    api.answer(&headers, whose, Some(Scope::AlertsWrite), act)
        .await
}

fn take_one(asked: &Asked<'_>, alert: &Alert, taken: &mut Taken) -> Result<(), Problem> {
    let Some(id) = AlertId::read(&alert.fingerprint) else {
        return Err(invalid("a fingerprint is sixteen hexadecimal digits"));
    };
    let deed = match alert.status.as_str() {
        "resolved" => IncidentDeed::Clear(id),
        "firing" => {
            let known = asked
                .hospital
                .and_then(|of| of.alerted(&alert.labels, wall()));
            let Some(draft) = known else {
                taken.passed_over += 1;
                return Ok(());
            };
            IncidentDeed::Draft(Draft {
                alert: Some(id),
                ..draft
            })
        }
        _ => return Err(invalid("an alert is firing or resolved")),
    };
    let over = matches!(deed, IncidentDeed::Clear(_));
    let done = asked.served.incident(IncidentAsk {
        tenant: asked.tenant(),
        by: IncidentBy::Alert,
        deed,
        key: None,
    })?;
    match done {
        None => taken.passed_over += 1,
        Some((incident, _)) if over => taken.closed.push(incident.0.to_string()),
        Some((incident, _)) => taken.firing.push(incident.0.to_string()),
    }
    Ok(())
}
