//! HTTP actions of a hospital: where flows' `http` nodes lead. A flow names an
//! action; address, headers and secrets stand here alone, so that nobody who
//! edits a flow can have the server call anything else.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use ivr_flows::{CheckError, NamedAction};
use serde::Deserialize;

use super::helpdesk::Hospital;

/// Most questions at a time, whatever is configured.
pub const ACTIONS_AT_ONCE_MAX: usize = 128;
/// How long an answer may be waited for: a caller waits with it.
const TIMEOUT_S: std::ops::RangeInclusive<u64> = 1..=15;
/// Most headers of one action.
const HEADERS_MAX: usize = 16;
/// Set by us.
const OURS: [&str; 9] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// An HTTP action.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionConfig {
    /// Where: `https://api.hospital.example/careline/status`.
    pub url: String,
    /// How.
    #[serde(default)]
    pub method: Method,
    /// Headers that anybody may see.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Headers that nobody may, by name: where each one's whole value is found.
    #[serde(default)]
    pub secret_headers: BTreeMap<String, SecretFrom>,
    /// How long an answer is waited for, in seconds.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
    /// The authorities (PEM) that its certificate must be of; those of this machine if absent.
    pub authority: Option<PathBuf>,
}

fn default_timeout_s() -> u64 {
    5
}

/// Without address and headers: tokens stand in some addresses.
impl std::fmt::Debug for ActionConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ActionConfig")
            .field("timeout_s", &self.timeout_s)
            .finish_non_exhaustive()
    }
}

/// How an action is called. Not by GET: what is sent would stand in addresses, which servers log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
}

/// Where a secret is found: one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFrom {
    /// In this file of the folder, or elsewhere; a line break at its end is no part of it.
    pub file: Option<PathBuf>,
    /// In this environment variable.
    pub env: Option<String>,
}

/// An address of HTTP.
///
/// # Errors
/// It is none: what to write; not what stands there.
pub(super) fn http_address(url: &str) -> Result<Uri, String> {
    let odd = "`url` isn't an HTTP address; write e.g. https://api.hospital.example/status";
    let uri: Uri = url.parse().map_err(|_| odd.to_owned())?;
    let http = matches!(uri.scheme_str(), Some("http" | "https"));
    if !http || uri.host().is_none_or(str::is_empty) {
        return Err(odd.to_owned());
    }
    Ok(uri)
}

impl ActionConfig {
    /// The address.
    ///
    /// # Errors
    /// What is wrong with it, and what to write; not what stands there.
    pub fn uri(&self) -> Result<Uri, String> {
        let uri = http_address(&self.url)?;
        if uri.authority().is_some_and(|at| at.as_str().contains('@')) {
            return Err(
                "`url` holds a password; write it under `secret_headers`, e.g. Authorization: { env: NAME }"
                    .to_owned(),
            );
        }
        Ok(uri)
    }

    /// Is it well written?
    pub(super) fn check(&self) -> Result<(), String> {
        let uri = self.uri()?;
        if self.authority.is_some() && uri.scheme_str() == Some("http") {
            return Err("`authority` is of no use with http; write https".to_owned());
        }
        if !TIMEOUT_S.contains(&self.timeout_s) {
            return Err(format!(
                "timeout_s is {}; a caller waits for {} to {} seconds",
                self.timeout_s,
                TIMEOUT_S.start(),
                TIMEOUT_S.end()
            ));
        }
        let names = self.headers.keys().chain(self.secret_headers.keys());
        if names.clone().count() > HEADERS_MAX {
            return Err(format!("has more than {HEADERS_MAX} headers"));
        }
        let mut seen = Vec::new();
        for name in names {
            let Ok(read) = HeaderName::try_from(name.as_str()) else {
                return Err(format!("\"{name}\" can't be a header's name"));
            };
            if OURS.contains(&read.as_str()) {
                return Err(format!("header \"{name}\" is set by Careline"));
            }
            if seen.contains(&read) {
                return Err(format!("header \"{name}\" is there twice"));
            }
            seen.push(read);
        }
        for (name, value) in &self.headers {
            if HeaderValue::try_from(value.as_str()).is_err() {
                return Err(format!("the value of header \"{name}\" can't be sent"));
            }
        }
        for (name, from) in &self.secret_headers {
            if from.file.is_some() == from.env.is_some() {
                return Err(format!(
                    "secret header \"{name}\" is found in a `file` or in `env`, an environment variable: one of them"
                ));
            }
        }
        Ok(())
    }
}

/// What is wrong with an action that a flow names which answers one of the hospital's lines.
pub(super) fn fault(hospital: &Hospital, named: &NamedAction<'_>) -> Option<CheckError> {
    let NamedAction {
        file,
        line,
        node,
        action,
    } = *named;
    if hospital.actions.contains_key(action) {
        return None;
    }
    let key = &hospital.key;
    let there: Vec<&str> = hospital.actions.keys().map(String::as_str).collect();
    let there = match there.is_empty() {
        true => "it has none yet".to_owned(),
        false => format!("there are: {}", there.join(", ")),
    };
    Some(CheckError {
        file: file.to_owned(),
        line,
        column: 0,
        node: Some(node.to_owned()),
        message: format!("hospital \"{key}\" has no action \"{action}\""),
        help: Some(format!(
            "Write it under `actions` in hospitals/{key}.yaml; {there}."
        )),
    })
}
