//! Tickets as records of ServiceNow, by its Table API
//! (www.servicenow.com/docs, "Table API" and "Inbound REST API rate limiting").
//!
//! What is told is how a ticket stands, not what happened to it: told twice, or
//! late, it is the same. A record is found by its `sys_id`, which is remembered,
//! or by `correlation_id`: whether it was made when the answer to its making
//! was lost is looked up before another is made.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use desk::{Event, Priority, Stage, TicketId};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Map, Value};

use super::{Verdict, seconds};
use crate::config::{ServiceNowConfig, TicketWord};
use crate::outward::{self, Address, Authorities, Fault, Reply};
use crate::secrets;
use crate::store::{Logged, Reader, StoreError, TicketRow};

/// Longest answer read, in bytes: of a record only its `sys_id` is asked for.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How a `sys_id` looks: so many hexadecimal digits. It becomes part of addresses.
const SYS_ID_DIGITS: usize = 32;

/// A ServiceNow that can be called. Nothing of it is shown.
pub(super) struct ServiceNow {
    hospital: String,
    address: Address,
    authorization: HeaderValue,
    config: ServiceNowConfig,
    timeout: Duration,
}

/// How a ticket stands.
pub(super) struct Record {
    pub(super) ticket: TicketId,
    /// By which it is known there.
    pub(super) sys_id: Option<String>,
    correlation: String,
    fields: Map<String, Value>,
    /// Columns of a new record alone.
    first: Map<String, Value>,
}

impl ServiceNow {
    /// With the secrets and certificates that it needs.
    pub(super) fn of(
        hospital: &str,
        config: &ServiceNowConfig,
        dir: &Path,
        authorities: &mut Authorities,
    ) -> Result<Self, String> {
        let authority = config.authority.as_ref().map(|file| dir.join(file));
        let find = |from: &Option<_>| {
            from.as_ref()
                .map_or_else(|| Ok(String::new()), |from| secrets::find(from, dir))
        };
        let authorization = match &config.user {
            Some(user) => {
                let both = format!("{user}:{}", find(&config.password)?);
                format!("Basic {}", STANDARD.encode(both))
            }
            None => format!("Bearer {}", find(&config.token)?),
        };
        let unusable = |_| "its password or token can't be sent".to_owned();
        let mut authorization = HeaderValue::try_from(authorization).map_err(unusable)?;
        authorization.set_sensitive(true);
        Ok(Self {
            hospital: hospital.to_owned(),
            address: Address::of(&config.uri()?, authority.as_deref(), authorities)?,
            authorization,
            config: config.clone(),
            timeout: Duration::from_secs(config.timeout_s),
        })
    }

    /// What the first of these events means for a ticket; `None`: nothing, or one that follows tells it.
    pub(super) fn record(
        &self,
        events: &[Logged],
        ticket: impl FnOnce(TicketId) -> Result<Option<(TicketRow, Option<String>)>, StoreError>,
    ) -> Result<Option<Record>, StoreError> {
        let Some((first, rest)) = events.split_first() else {
            return Ok(None);
        };
        let Some(id) = of(first) else { return Ok(None) };
        if rest.iter().any(|later| of(later) == Some(id)) {
            return Ok(None);
        }
        let Some((row, sys_id)) = ticket(id)? else {
            return Ok(None);
        };
        let text = |(column, text): (&String, &String)| (column.clone(), Value::from(text.clone()));
        let mut fields: Map<String, Value> = self
            .config
            .fields
            .iter()
            .map(|(column, field)| {
                let word = word(field.from, &row);
                let said = field.values.get(&word).unwrap_or(&word);
                (column.clone(), Value::from(said.clone()))
            })
            .collect();
        if matches!(row.facts.work.stage, Stage::Resolved(_) | Stage::Closed(_)) {
            fields.extend(self.config.set_resolved.iter().map(text));
        }
        let correlation = format!("{}-{}", self.hospital, row.facts.number);
        let mut made: Map<String, Value> = self.config.set.iter().map(text).collect();
        made.insert("correlation_id".to_owned(), correlation.clone().into());
        made.insert("correlation_display".to_owned(), "Careline".into());
        Ok(Some(Record {
            ticket: id,
            sys_id,
            correlation,
            fields,
            first: made,
        }))
    }

    /// Makes or changes the record, once; then its `sys_id` is known. `at`: Unix milliseconds.
    pub(super) async fn send(&self, record: &mut Record, at: i64) -> Verdict {
        match tokio::time::timeout(self.timeout, self.upsert(record)).await {
            Err(_) => Verdict::Later(Fault::TimedOut.to_string(), None),
            Ok(Err(fault)) => Verdict::Later(fault.to_string(), None),
            Ok(Ok((status, headers))) => verdict(status, &headers, at),
        }
    }

    async fn upsert(&self, record: &mut Record) -> Result<(StatusCode, HeaderMap), Fault> {
        if let Some(id) = &record.sys_id {
            let path = format!("/{id}?sysparm_fields=sys_id");
            let reply = self.ask(Method::PATCH, &path, &record.fields).await?;
            if reply.status != StatusCode::NOT_FOUND {
                return Ok((reply.status, reply.headers));
            }
            // Somebody has removed it there.
            record.sys_id = None;
        }
        let found = format!(
            "?sysparm_query=correlation_id%3D{}&sysparm_fields=sys_id&sysparm_limit=1",
            record.correlation
        );
        let reply = self.ask(Method::GET, &found, &Map::new()).await?;
        if !reply.status.is_success() {
            return Ok((reply.status, reply.headers));
        }
        let found = result(&reply)?;
        let found = found
            .as_array()
            .ok_or(Fault::Unreadable)?
            .first()
            .map(sys_id);
        let reply = match found {
            Some(id) => {
                let id = id?;
                let path = format!("/{id}?sysparm_fields=sys_id");
                record.sys_id = Some(id);
                self.ask(Method::PATCH, &path, &record.fields).await?
            }
            None => {
                let mut fields = record.first.clone();
                fields.extend(record.fields.clone());
                let made = self
                    .ask(Method::POST, "?sysparm_fields=sys_id", &fields)
                    .await?;
                if made.status.is_success() {
                    record.sys_id = Some(sys_id(&result(&made)?)?);
                }
                made
            }
        };
        Ok((reply.status, reply.headers))
    }

    async fn ask(
        &self,
        method: Method,
        rest: &str,
        fields: &Map<String, Value>,
    ) -> Result<Reply, Fault> {
        let body = match method {
            Method::GET => String::new(),
            _ => serde_json::to_string(fields).map_err(|_| Fault::Broken)?,
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/now/table/{}{rest}", self.config.table))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(body)
            .map_err(|_| Fault::Broken)?;
        outward::exchange(&self.address, request, ANSWER_BYTES_MAX).await
    }
}

/// The ticket that an event is about.
fn of(logged: &Logged) -> Option<TicketId> {
    match logged.stamped.event {
        Event::TicketOpened { ticket, .. } | Event::TicketAttached { ticket, .. } => Some(ticket),
        event => event.ticket(),
    }
}

/// The ticket as it stands, and by what it is known there.
pub(super) fn known(
    reader: &Reader,
    (tenant, consumer): (desk::TenantId, &str),
    ticket: TicketId,
) -> Result<Option<(TicketRow, Option<String>)>, StoreError> {
    let next = TicketId(ticket.0.saturating_add(1));
    let row = reader.tickets_below(tenant, next, 1)?.into_iter().next();
    let Some(row) = row.filter(|row| row.ticket == ticket) else {
        return Ok(None);
    };
    Ok(Some((row, reader.known_as(tenant, consumer, ticket)?)))
}

fn word(word: TicketWord, row: &TicketRow) -> String {
    let facts = &row.facts;
    match word {
        TicketWord::Number => facts.number.to_string(),
        TicketWord::Title => format!("Careline ticket {}", facts.number),
        TicketWord::Status => match facts.work.stage {
            Stage::Open => "open",
            Stage::Assigned => "assigned",
            Stage::InProgress => "in_progress",
            Stage::Pending { .. } => "pending",
            Stage::Resolved(_) => "resolved",
            Stage::Closed(_) => "closed",
            Stage::Merged { .. } => "merged",
        }
        .to_owned(),
        TicketWord::Priority => match facts.work.priority {
            Priority::P1 => "p1",
            Priority::P2 => "p2",
            Priority::P3 => "p3",
            Priority::P4 => "p4",
        }
        .to_owned(),
        TicketWord::Tier => facts.work.tier.0.to_string(),
        TicketWord::Reason => {
            let reason = facts.work.reason;
            reason.map_or_else(String::new, |reason| reason.as_str().to_owned())
        }
        TicketWord::Opened => moment(row.opened_at),
        TicketWord::NextUpdate => facts.next_update().map_or_else(String::new, moment),
    }
}

/// As ServiceNow writes it, in UTC: `2026-11-22 20:15:30`.
fn moment(at: i64) -> String {
    let written = hours::written(at).replace('T', " ");
    let second = written.find(['.', 'Z']).unwrap_or(written.len());
    written[..second].to_owned()
}

fn result(reply: &Reply) -> Result<Value, Fault> {
    let answer: Map<String, Value> =
        serde_json::from_slice(&reply.body).map_err(|_| Fault::Unreadable)?;
    answer.get("result").cloned().ok_or(Fault::Unreadable)
}

fn sys_id(record: &Value) -> Result<String, Fault> {
    let id = record.get("sys_id").and_then(Value::as_str);
    let id = id.filter(|id| id.len() == SYS_ID_DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit()));
    id.map(str::to_owned).ok_or(Fault::Unreadable)
}

/// What an answer means.
fn verdict(status: StatusCode, headers: &HeaderMap, at: i64) -> Verdict {
    let said = format!("HTTP {}", status.as_u16());
    match status {
        status if status.is_success() => Verdict::Taken,
        StatusCode::TOO_MANY_REQUESTS => {
            // Which of the two there are is the instance's affair.
            let reset = seconds(headers.get("x-ratelimit-reset"));
            let reset =
                reset.map(|reset| reset.saturating_sub(Duration::from_millis(at.unsigned_abs())));
            Verdict::Later(said, seconds(headers.get(RETRY_AFTER)).or(reset))
        }
        // A wrong password, a table that isn't there: mended there, not by leaving tickets out.
        StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::REQUEST_TIMEOUT => {
            Verdict::Later(said, None)
        }
        // 400, 403: this record, by their rules. The ticket's next event tells all of it again.
        status if status.is_client_error() => Verdict::Refused(said),
        _ => Verdict::Later(said, seconds(headers.get(RETRY_AFTER))),
    }
}
