//! What a hospital has agreed about incidents: `incidents` in its file.

use std::collections::BTreeMap;

use desk::people::Tongue;
use desk::{
    Audience, Draft, IncidentBy, IncidentRules, IncidentScope, IncidentText, ReasonCode, Role,
    Words,
};
use serde::Deserialize;

use super::Hospital;

/// Longest list of alerts, and most labels that one is known by.
const ALERTS_MAX: usize = 200;
const LABELS_MAX: usize = 20;
const MINUTE_MS: i64 = 60_000;
/// An incident lasts a week at most.
const MINUTES_MAX: u32 = 7 * 24 * 60;

/// What is agreed about incidents. What isn't said is as everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentsConfig {
    /// Calls about the same that propose one.
    #[serde(default)]
    pub similar: SimilarConfig,
    /// What is said in a surge, and how long one lasts.
    #[serde(default)]
    pub surge: SurgeConfig,
    /// Programs that may publish what they draft at once, by their tokens' ids.
    #[serde(default)]
    pub tokens: Vec<u32>,
    /// Alerts of monitoring's, each by a name. Others are passed over.
    #[serde(default)]
    pub alerts: BTreeMap<String, AlertConfig>,
}

/// A surge: what is said, and how long it lasts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurgeConfig {
    /// After how many minutes it is over by itself.
    #[serde(default)]
    pub minutes: Option<u32>,
    /// What is said, by language.
    #[serde(default)]
    pub text: BTreeMap<String, String>,
    /// The same in few words, for clinicians.
    #[serde(default)]
    pub brief: BTreeMap<String, String>,
}

/// Calls about the same that propose an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimilarConfig {
    /// How many; 0: none is proposed.
    #[serde(default)]
    pub calls: Option<usize>,
    /// Within how many minutes.
    #[serde(default)]
    pub minutes: Option<u32>,
}

/// An alert that drafts an incident.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertConfig {
    /// Labels that the alert has, with these values.
    pub labels: BTreeMap<String, String>,
    /// What it is about, by the code of one of `tickets.reasons`.
    #[serde(default)]
    pub reason: Option<String>,
    /// Whom it concerns; everybody if absent.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// How long the incident lasts when nothing more is heard of the alert.
    #[serde(default = "four_hours")]
    pub minutes: u32,
    /// Callers hear of it at once; else somebody publishes it.
    #[serde(default)]
    pub publish: bool,
    /// What is said, by language.
    #[serde(default)]
    pub text: BTreeMap<String, String>,
    /// The same in few words, for clinicians.
    #[serde(default)]
    pub brief: BTreeMap<String, String>,
}

fn four_hours() -> u32 {
    240
}

/// What is said, by language: `text` and, for clinicians, `brief`.
///
/// # Errors
/// It isn't a language, or nothing that can be said.
pub fn texts(
    text: &BTreeMap<String, String>,
    brief: &BTreeMap<String, String>,
) -> Result<Vec<IncidentText>, String> {
    let mut texts = Vec::new();
    for (tag, words) in text {
        let language = Tongue::read(tag).ok_or_else(|| format!("\"{tag}\" isn't a language"))?;
        let say = |words: &str| Words::new(words).map_err(|error| format!("{tag}: {error}"));
        texts.push(IncidentText {
            language,
            text: say(words)?,
            brief: brief.get(tag).map(|words| say(words)).transpose()?,
        });
    }
    match brief.keys().find(|tag| !text.contains_key(*tag)) {
        Some(tag) => Err(format!("`brief` says something in {tag}, `text` doesn't")),
        None => Ok(texts),
    }
}

impl Hospital {
    /// What is agreed about its incidents.
    pub fn incident_rules(&self) -> IncidentRules {
        let IncidentsConfig {
            similar,
            surge,
            tokens,
            alerts,
        } = &self.incidents;
        let ours = IncidentRules::default();
        let by_alert = alerts.values().any(|alert| alert.publish);
        let tokens = tokens.iter().map(|token| IncidentBy::Token(*token));
        IncidentRules {
            at_once: tokens
                .chain(by_alert.then_some(IncidentBy::Alert))
                .collect(),
            similar_calls: similar.calls.unwrap_or(ours.similar_calls),
            similar_ms: similar
                .minutes
                .map_or(ours.similar_ms, |minutes| i64::from(minutes) * MINUTE_MS),
            surge_texts: texts(&surge.text, &surge.brief).unwrap_or_default(),
            surge_lasts_ms: surge.minutes.map_or(ours.surge_lasts_ms, |minutes| {
                i64::from(minutes) * MINUTE_MS
            }),
            ..ours
        }
    }

    /// The incident that an alert with these labels drafts, by a time of the wall clock.
    pub fn alerted(&self, labels: &BTreeMap<String, String>, at: i64) -> Option<Draft> {
        let mut known = self.incidents.alerts.values();
        let has = |(name, value): (&String, &String)| labels.get(name) == Some(value);
        let alert = known.find(|alert| alert.labels.iter().all(has))?;
        Some(Draft {
            scope: alert.scope(),
            texts: texts(&alert.text, &alert.brief).unwrap_or_default(),
            expires_at: at + i64::from(alert.minutes) * MINUTE_MS,
            alert: None,
            publish: alert.publish,
        })
    }

    /// What is wrong with them: in which keys, and what.
    pub(super) fn incident_fault(&self) -> Option<(Vec<String>, String)> {
        let IncidentsConfig {
            similar,
            surge,
            alerts,
            ..
        } = &self.incidents;
        let at = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let minutes = |minutes: u32| (1..=MINUTES_MAX).contains(&minutes);
        if similar.minutes.is_some_and(|of| !minutes(of)) {
            let fault = "that is a minute at least, and a week at most".to_owned();
            return Some((at(&["similar", "minutes"]), fault));
        }
        if surge.minutes.is_some_and(|of| !minutes(of)) {
            let fault = "that is a minute at least, and a week at most".to_owned();
            return Some((at(&["surge", "minutes"]), fault));
        }
        if let Err(fault) = texts(&surge.text, &surge.brief) {
            return Some((at(&["surge", "text"]), fault));
        }
        if alerts.len() > ALERTS_MAX {
            return Some((at(&["alerts"]), format!("at most {ALERTS_MAX} are known")));
        }
        for (name, alert) in alerts {
            let of = |key: &str| at(&["alerts", name, key]);
            if alert.labels.is_empty() || alert.labels.len() > LABELS_MAX {
                let fault = format!("an alert is known by 1 to {LABELS_MAX} labels");
                return Some((of("labels"), fault));
            }
            if !minutes(alert.minutes) {
                let fault = "an incident lasts a minute at least, and a week at most".to_owned();
                return Some((of("minutes"), fault));
            }
            if let Some(reason) = &alert.reason
                && !self.tickets.reasons.contains_key(reason)
            {
                let fault = format!("`tickets.reasons` has no \"{reason}\"");
                return Some((of("reason"), fault));
            }
            if let Err(fault) = texts(&alert.text, &alert.brief) {
                return Some((of("text"), fault));
            }
        }
        None
    }
}

impl AlertConfig {
    fn scope(&self) -> IncidentScope {
        IncidentScope {
            reason: self.reason.as_deref().and_then(ReasonCode::new),
            roles: Audience::of(&self.roles),
            ..IncidentScope::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hospital(incidents: &str) -> Hospital {
        let text = format!(
            "id: 1\nname: St. Anne\nlines: [{{ number: \"15550101002\", flow: staff }}]\n\
             tickets: {{ reasons: {{ ehr: {{ words: Health record }} }} }}\nincidents: {incidents}\n"
        );
        serde_saphyr::from_str(&text).unwrap()
    }

    fn labels(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        of.iter().map(owned).collect()
    }

    const DOWN: &str = "{ alerts: { ehr-down: { labels: { alertname: EhrDown, site: anne }, reason: ehr, \
        roles: [clinician, staff], minutes: 60, publish: true, text: { en: The record is down. } } } }";

    #[test]
    fn an_alert_is_known_by_its_labels() {
        let hospital = hospital(DOWN);
        let fires = |of: &[(&str, &str)]| hospital.alerted(&labels(of), 1_000);
        assert_eq!(fires(&[("alertname", "EhrDown")]), None);
        assert_eq!(fires(&[("alertname", "EhrDown"), ("site", "mercy")]), None);
        let all = [
            ("alertname", "EhrDown"),
            ("site", "anne"),
            ("severity", "page"),
        ];
        let draft = fires(&all).unwrap();
        assert_eq!(draft.expires_at, 1_000 + 3_600_000);
        assert!(draft.publish);
        assert_eq!(draft.texts.len(), 1);
        assert_eq!(draft.scope.reason, ReasonCode::new("ehr"));
        assert_eq!(draft.scope.roles.roles().count(), 2);
        let rules = hospital.incident_rules();
        assert_eq!(rules.at_once, [IncidentBy::Alert]);
        assert_eq!(hospital.incident_fault(), None);
    }

    #[test]
    fn what_is_wrong_is_said_and_where() {
        for (text, keys) in [
            ("{ similar: { minutes: 0 } }", "similar minutes"),
            ("{ surge: { minutes: 0 } }", "surge minutes"),
            ("{ surge: { brief: { en: Down. } } }", "surge text"),
            ("{ alerts: { a: { labels: {} } } }", "alerts a labels"),
            (
                "{ alerts: { a: { labels: { b: c }, minutes: 0 } } }",
                "alerts a minutes",
            ),
            (
                "{ alerts: { a: { labels: { b: c }, reason: wifi } } }",
                "alerts a reason",
            ),
            (
                "{ alerts: { a: { labels: { b: c }, text: { english: Hello. } } } }",
                "alerts a text",
            ),
            (
                "{ alerts: { a: { labels: { b: c }, brief: { en: Hello. } } } }",
                "alerts a text",
            ),
        ] {
            let fault = hospital(text).incident_fault();
            assert_eq!(
                fault.map(|(at, _)| at.join(" ")).as_deref(),
                Some(keys),
                "{text}"
            );
        }
    }
}
