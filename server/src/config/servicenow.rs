//! A hospital's ServiceNow: where its tickets are kept up as records.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hyper::Uri;
use serde::Deserialize;

use super::actions::{SecretFrom, http_address};
use super::helpdesk::Hospital;

/// What the feed calls it, beside the webhooks' own names.
pub const SERVICENOW: &str = "servicenow";
/// How long an answer may be waited for.
const TIMEOUT_S: std::ops::RangeInclusive<u64> = 1..=60;
/// Most columns that are written.
const COLUMNS_MAX: usize = 32;
/// Longest text that stands in a column as it is written here.
const TEXT_MAX: usize = 255;

/// ServiceNow's Table API.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceNowConfig {
    /// The instance: `https://saintanne.service-now.com`.
    pub url: String,
    /// The table.
    #[serde(default = "default_table")]
    pub table: String,
    /// As whom we sign in with `password`.
    #[serde(default)]
    pub user: Option<String>,
    /// Their password.
    #[serde(default)]
    pub password: Option<SecretFrom>,
    /// In place of both: a token (OAuth 2.0).
    #[serde(default)]
    pub token: Option<SecretFrom>,
    /// What stands in which column. Nothing else leaves, but `correlation_id` and `correlation_display`, by which a record is found again.
    #[serde(default = "default_fields")]
    pub fields: BTreeMap<String, FieldConfig>,
    /// Columns of a new record that always say the same.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Columns that are set with a resolved ticket: many instances ask for `close_code` and `close_notes`.
    #[serde(default)]
    pub set_resolved: BTreeMap<String, String>,
    /// How long an answer is waited for, in seconds.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
    /// The authorities (PEM) that its certificate must be of; those of this machine if absent.
    pub authority: Option<PathBuf>,
}

/// What stands in a column.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldConfig {
    /// What of the ticket.
    pub from: TicketWord,
    /// In other words; what isn't named stands as it is.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}

/// What of a ticket may leave: nothing that tells who called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketWord {
    /// Its number, ten digits.
    Number,
    /// "Careline ticket" and its number.
    Title,
    /// `open`, `assigned`, `in_progress`, `pending`, `resolved`, `closed` or `merged`.
    Status,
    /// `p1` to `p4`.
    Priority,
    /// `1`, `2`, …
    Tier,
    /// The reason's key; empty as long as nobody has said it.
    Reason,
    /// When it was opened, in UTC: `2026-11-22 20:15:30`.
    Opened,
    /// When its caller hears of it next, in UTC; empty when that isn't owed.
    NextUpdate,
}

fn default_table() -> String {
    "incident".to_owned()
}

fn default_timeout_s() -> u64 {
    20
}

/// What every instance's incidents have, in the values that they are delivered with.
fn default_fields() -> BTreeMap<String, FieldConfig> {
    let field = |from, values: &[(&str, &str)]| FieldConfig {
        from,
        values: values
            .iter()
            .map(|(ours, theirs)| ((*ours).to_owned(), (*theirs).to_owned()))
            .collect(),
    };
    let urgency = [("p1", "1"), ("p2", "1"), ("p3", "2"), ("p4", "3")];
    let impact = [("p1", "1"), ("p2", "2"), ("p3", "3"), ("p4", "3")];
    let state = [
        ("open", "1"),
        ("assigned", "1"),
        ("in_progress", "2"),
        ("pending", "3"),
        ("resolved", "6"),
        ("closed", "7"),
        ("merged", "8"),
    ];
    [
        ("short_description", field(TicketWord::Title, &[])),
        ("urgency", field(TicketWord::Priority, &urgency)),
        ("impact", field(TicketWord::Priority, &impact)),
        ("state", field(TicketWord::Status, &state)),
    ]
    .map(|(column, field)| (column.to_owned(), field))
    .into()
}

/// Without address and user.
impl std::fmt::Debug for ServiceNowConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceNowConfig")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl ServiceNowConfig {
    /// The instance's address.
    ///
    /// # Errors
    /// What is wrong with it, and what to write; not what stands there.
    pub fn uri(&self) -> Result<Uri, String> {
        let uri = http_address(&self.url)?;
        let whole = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
        if !whole || uri.authority().is_some_and(|at| at.as_str().contains('@')) {
            return Err(
                "`url` is the instance alone, e.g. https://saintanne.service-now.com".to_owned(),
            );
        }
        Ok(uri)
    }

    /// Is it well written?
    fn check(&self) -> Result<(), String> {
        let uri = self.uri()?;
        let here = matches!(uri.host(), Some("127.0.0.1" | "[::1]" | "localhost"));
        if uri.scheme_str() == Some("http") && !here {
            return Err(
                "`url` is http: the password would be read on its way; write https".to_owned(),
            );
        }
        match (&self.user, &self.password, &self.token) {
            (Some(_), Some(from), None) | (None, None, Some(from))
                if from.file.is_some() != from.env.is_some() => {}
            _ => {
                return Err(
                    "needs `user` and `password`, or `token`; a secret is found in a `file` or in `env`, e.g. \
                     token: { env: ST_ANNE_SERVICENOW_TOKEN }"
                        .to_owned(),
                );
            }
        }
        let columns = || {
            let fields = self.fields.keys();
            fields
                .chain(self.set.keys())
                .chain(self.set_resolved.keys())
        };
        if columns().count() > COLUMNS_MAX {
            return Err(format!("writes more than {COLUMNS_MAX} columns"));
        }
        for name in columns().chain([&self.table]) {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if name.is_empty() || name.len() > 80 || !name.chars().all(plain) {
                return Err(format!(
                    "\"{name}\" can't be the name of a table or column: small letters, digits and _"
                ));
            }
        }
        if let Some(name) =
            columns().find(|name| name.starts_with("sys_") || name.starts_with("correlation_"))
        {
            return Err(format!(
                "column \"{name}\" is set by ServiceNow or by Careline"
            ));
        }
        let texts = self.set.values().chain(self.set_resolved.values());
        let mut texts = texts.chain(self.fields.values().flat_map(|field| field.values.values()));
        if texts.any(|text| text.len() > TEXT_MAX) {
            return Err(format!("a column's text has more than {TEXT_MAX} bytes"));
        }
        if !TIMEOUT_S.contains(&self.timeout_s) {
            return Err(format!(
                "timeout_s is {}; write {} to {}",
                self.timeout_s,
                TIMEOUT_S.start(),
                TIMEOUT_S.end()
            ));
        }
        Ok(())
    }
}

/// What is wrong with a hospital's ServiceNow.
pub(super) fn fault(hospital: &Hospital) -> Option<String> {
    let config = hospital.servicenow.as_ref()?;
    if hospital.webhooks.contains_key(SERVICENOW) {
        return Some(format!(
            "a webhook has the name \"{SERVICENOW}\"; give it another"
        ));
    }
    config.check().err()
}
