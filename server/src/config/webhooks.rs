//! Webhooks of a hospital: where its log is sent as it is written.

use std::path::PathBuf;

use hyper::Uri;
use serde::Deserialize;

use super::actions::{SecretFrom, http_address};
use super::helpdesk::Hospital;

/// How long an answer may be waited for.
const TIMEOUT_S: std::ops::RangeInclusive<u64> = 1..=30;
/// Most webhooks of one hospital.
pub(super) const WEBHOOKS_MAX: usize = 8;
/// Most secrets: the one used, and the one before.
const SECRETS_MAX: usize = 4;
/// What events are about.
const FAMILIES: [&str; 12] = [
    "agent",
    "contact",
    "emergency",
    "flow",
    "hours",
    "incident",
    "journal",
    "offer",
    "promise",
    "recording",
    "service",
    "ticket",
];

/// A webhook.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where: `https://itsm.hospital.example/careline`.
    pub url: String,
    /// What each message is signed with; with several, by each of them: so a secret is exchanged without a gap.
    pub secrets: Vec<SecretFrom>,
    /// Which events: `ticket`, or `ticket.opened`; all if absent.
    #[serde(default)]
    pub events: Vec<String>,
    /// How long an answer is waited for, in seconds.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
    /// The authorities (PEM) that its certificate must be of; those of this machine if absent.
    pub authority: Option<PathBuf>,
}

fn default_timeout_s() -> u64 {
    15
}

/// Without address: tokens stand in some addresses.
impl std::fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl WebhookConfig {
    /// The address.
    ///
    /// # Errors
    /// What is wrong with it, and what to write; not what stands there.
    pub fn uri(&self) -> Result<Uri, String> {
        let uri = http_address(&self.url)?;
        if uri.authority().is_some_and(|at| at.as_str().contains('@')) {
            return Err(
                "`url` holds a password; a webhook is known by its signature, not by a password"
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
        if self.secrets.is_empty() || self.secrets.len() > SECRETS_MAX {
            return Err(format!(
                "has {} `secrets`; write one, and for as long as the far end knows the one before, both, e.g. \
                 secrets: [{{ env: ST_ANNE_WEBHOOK_SECRET }}]",
                self.secrets.len()
            ));
        }
        if self
            .secrets
            .iter()
            .any(|from| from.file.is_some() == from.env.is_some())
        {
            return Err(
                "a secret is found in a `file` or in `env`, an environment variable: one of them"
                    .to_owned(),
            );
        }
        if !TIMEOUT_S.contains(&self.timeout_s) {
            return Err(format!(
                "timeout_s is {}; write {} to {}",
                self.timeout_s,
                TIMEOUT_S.start(),
                TIMEOUT_S.end()
            ));
        }
        for name in &self.events {
            let family = name.split('.').next().unwrap_or_default();
            if !FAMILIES.contains(&family) {
                return Err(format!(
                    "there are no events \"{name}\"; there are those of {}",
                    FAMILIES.join(", ")
                ));
            }
        }
        Ok(())
    }
}

/// What is wrong with a hospital's webhooks: with which, and what.
pub(super) fn faults(hospital: &Hospital) -> impl Iterator<Item = (&str, String)> {
    hospital.webhooks.iter().filter_map(|(name, webhook)| {
        let fault = webhook.check().err()?;
        Some((name.as_str(), format!("webhook \"{name}\": {fault}")))
    })
}
