//! What a hospital has agreed about its tickets: `tickets` in its file.

use std::collections::BTreeMap;

use desk::{
    Destination, PartnerId, PauseRule, Priority, QueueId, Reason, ReasonCode, Target, TicketRules,
};
use serde::Deserialize;

use super::{Hospital, QueueConfig};

/// Longest list of reasons, and longest words of one.
const REASONS_MAX: usize = 500;
const WORDS_MAX: usize = 120;
const LINK_MAX: usize = 500;
const TIERS_MAX: usize = 9;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// Nothing is agreed for longer.
const DAYS_MAX: u32 = 92;
const MINUTES_MAX: u32 = DAYS_MAX * 24 * 60;

/// What is agreed about tickets. What isn't said is as everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketsConfig {
    /// Which of the hospital's hours clocks run in; always if absent.
    #[serde(default)]
    pub hours: Option<String>,
    /// A ticket's priority when it is opened.
    #[serde(default)]
    pub priority: Option<PriorityName>,
    /// How many days after it is resolved a ticket is closed.
    #[serde(default)]
    pub close_after_days: Option<u32>,
    /// What differs for a priority.
    #[serde(default)]
    pub priorities: BTreeMap<PriorityName, TargetConfig>,
    /// What differs for a pause.
    #[serde(default)]
    pub pauses: BTreeMap<PauseName, PauseConfig>,
    /// The tiers' queues, the first tier's first; `-` for one without.
    #[serde(default)]
    pub tiers: Vec<String>,
    /// What tickets are about, by code.
    #[serde(default)]
    pub reasons: BTreeMap<String, ReasonConfig>,
}

/// A priority's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriorityName {
    /// Patient care is stopped or in danger.
    P1,
    /// Many can't work, or one can't treat.
    P2,
    /// One can't work as usual.
    P3,
    /// A question or a wish.
    P4,
}

impl PriorityName {
    fn priority(self) -> Priority {
        Priority::ALL[self as usize]
    }
}

/// What a pending ticket waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseName {
    /// The caller.
    Caller,
    /// A vendor.
    Vendor,
    /// A change that is planned.
    Change,
    /// A part or a device.
    Delivery,
}

/// What differs for a priority.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// The caller hears of it after so many minutes of the desk's time.
    #[serde(default)]
    pub update_min: Option<u32>,
    /// So many minutes before that it goes up a tier.
    #[serde(default)]
    pub margin_min: Option<u32>,
    /// The clock runs whatever the hours say.
    #[serde(default)]
    pub always: Option<bool>,
}

/// What differs for a pause.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseConfig {
    /// Whether the clock stands meanwhile.
    #[serde(default)]
    pub stops: Option<bool>,
    /// How many days it lasts at most.
    #[serde(default)]
    pub days: Option<u32>,
}

/// What tickets can be about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonConfig {
    /// In words.
    pub words: String,
    /// The queue that deals with it.
    #[serde(default)]
    pub queue: Option<String>,
    /// The partner who does.
    #[serde(default)]
    pub partner: Option<String>,
    /// Which of the hospital's hours these keep.
    #[serde(default)]
    pub hours: Option<String>,
    /// Where the article about it is.
    #[serde(default)]
    pub article: Option<String>,
    /// How much hangs on it, where that is always the same.
    #[serde(default)]
    pub priority: Option<PriorityName>,
}

/// A fault, and the keys inside `tickets` that lead to it.
pub(super) type TicketFault = (Vec<String>, String);

/// Reads what a hospital says about its tickets.
///
/// # Errors
/// The first thing that is wrong with it, and where.
pub(super) fn rules(
    hospital: &Hospital,
    queues: &[QueueConfig],
) -> Result<TicketRules, TicketFault> {
    let config = &hospital.tickets;
    let at = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let mut rules = TicketRules::default();
    if let Some(name) = &config.hours {
        let calendar = hospital.calendar(name);
        rules.calendar = Some(calendar.map_err(|fault| (at(&["hours"]), fault))?);
    }
    if let Some(priority) = config.priority {
        rules.priority = priority.priority();
    }
    if let Some(days) = config.close_after_days {
        let days = within(days, DAYS_MAX, "days").map_err(|f| (at(&["close_after_days"]), f))?;
        rules.close_after_ms = days * DAY_MS;
    }
    for (name, differs) in &config.priorities {
        let key = format!("{name:?}").to_lowercase();
        let fault = |field: &str, fault| (at(&["priorities", &key, field]), fault);
        let target: &mut Target = &mut rules.targets[*name as usize];
        if let Some(minutes) = differs.update_min {
            let minutes = within(minutes, MINUTES_MAX, "minutes");
            target.update_ms = minutes.map_err(|f| fault("update_min", f))? * MINUTE_MS;
        }
        if let Some(minutes) = differs.margin_min {
            target.margin_ms = i64::from(minutes) * MINUTE_MS;
        }
        if target.margin_ms >= target.update_ms {
            let fault_of = "`margin_min` must be less than `update_min`".to_owned();
            return Err(fault("margin_min", fault_of));
        }
        target.always = differs.always.unwrap_or(target.always);
    }
    for (name, differs) in &config.pauses {
        let key = format!("{name:?}").to_lowercase();
        let pause: &mut PauseRule = &mut rules.pauses[*name as usize];
        pause.stops = differs.stops.unwrap_or(pause.stops);
        if let Some(days) = differs.days {
            let days = within(days, DAYS_MAX, "days");
            pause.lasts_ms = days.map_err(|f| (at(&["pauses", &key, "days"]), f))? * DAY_MS;
        }
    }
    let queue = |name: &String| {
        let place = queues.iter().position(|queue| queue.name == *name);
        let place = place.and_then(|place| u32::try_from(place + 1).ok());
        place.map(QueueId).ok_or_else(|| {
            format!("operator.yaml has no queue \"{name}\"; add it to `queues` there")
        })
    };
    if !config.tiers.is_empty() {
        if config.tiers.len() > TIERS_MAX {
            return Err((at(&["tiers"]), format!("more than {TIERS_MAX} tiers")));
        }
        let tier = |name: &String| match name.as_str() {
            "-" => Ok(None),
            _ => queue(name).map(Some),
        };
        let tiers: Result<_, _> = config.tiers.iter().map(tier).collect();
        rules.tiers = tiers.map_err(|fault| (at(&["tiers"]), fault))?;
    }
    if config.reasons.len() > REASONS_MAX {
        let fault = format!("more than {REASONS_MAX} reasons");
        return Err((at(&["reasons"]), fault));
    }
    for (code, config) in &config.reasons {
        let fault = |field: &str, fault: String| (at(&["reasons", code, field]), fault);
        let Some(known) = ReasonCode::new(code) else {
            let how = "write it in small letters, digits, - and _, at most 48";
            return Err((at(&["reasons", code]), format!("reason \"{code}\": {how}")));
        };
        let reason = reason(hospital, config, queue).map_err(|(field, f)| fault(field, f))?;
        rules.reasons.insert(known, reason);
    }
    Ok(rules)
}

fn reason(
    hospital: &Hospital,
    config: &ReasonConfig,
    queue: impl Fn(&String) -> Result<QueueId, String>,
) -> Result<Reason, (&'static str, String)> {
    if config.words.trim().is_empty() || config.words.len() > WORDS_MAX {
        let fault = format!("a reason has words, of at most {WORDS_MAX} bytes");
        return Err(("words", fault));
    }
    let destination = match (&config.queue, &config.partner) {
        (Some(_), Some(_)) => {
            return Err(("queue", "name a queue or a partner, not both".to_owned()));
        }
        (Some(name), None) => Some(Destination::Queue(queue(name).map_err(|f| ("queue", f))?)),
        (None, Some(name)) => {
            let partner = hospital.partners.get(name);
            let partner = partner
                .ok_or_else(|| ("partner", format!("the hospital has no partner \"{name}\"")))?;
            Some(Destination::Partner(PartnerId(partner.id)))
        }
        (None, None) => None,
    };
    let hours = match &config.hours {
        Some(name) => Some(hospital.calendar(name).map_err(|f| ("hours", f))?),
        None => None,
    };
    let is_link = |link: &str| link.starts_with("https://") || link.starts_with("http://");
    let article = config.article.clone();
    if article
        .as_deref()
        .is_some_and(|link| !is_link(link) || link.len() > LINK_MAX)
    {
        let fault = "write a link that begins with https:// or http://".to_owned();
        return Err(("article", fault));
    }
    Ok(Reason {
        words: config.words.clone(),
        destination,
        hours,
        article,
        priority: config.priority.map(PriorityName::priority),
    })
}

fn within(value: u32, max: u32, what: &str) -> Result<i64, String> {
    match (1..=max).contains(&value) {
        true => Ok(i64::from(value)),
        false => Err(format!("write 1 to {max} {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tickets: &str) -> Result<TicketRules, TicketFault> {
        let hospital = format!(
            r#"{{ "id": 1, "name": "Saint Anne", "zone": "America/Chicago", "lines": [],
                "hours": {{ "desk": {{ "week": {{ "mon-fri": "08:00-17:00" }} }} }},
                "tickets": {tickets} }}"#
        );
        let hospital: Hospital = serde_json::from_str(&hospital).unwrap();
        let queue = |name: &str| format!(r#"{{ "name": "{name}" }}"#);
        let queues = ["clinical", "service"].map(queue);
        let queues: Vec<QueueConfig> = queues
            .iter()
            .map(|queue| serde_json::from_str(queue).unwrap())
            .collect();
        rules(&hospital, &queues)
    }

    #[test]
    fn what_isnt_said_is_as_everywhere() {
        assert_eq!(read("{}").unwrap(), TicketRules::default());
    }

    #[test]
    fn a_hospital_says_what_differs() {
        let rules = read(
            r#"{ "hours": "desk", "priority": "p2", "close_after_days": 3,
                "priorities": { "p2": { "update_min": 60, "margin_min": 15, "always": true } },
                "pauses": { "vendor": { "stops": false, "days": 30 } },
                "tiers": ["service", "-", "clinical"],
                "reasons": { "password": { "words": "Password reset", "queue": "service",
                    "hours": "desk", "priority": "p4", "article": "https://kb.example/1" } } }"#,
        )
        .unwrap();
        assert!(rules.calendar.is_some());
        assert_eq!(rules.priority, Priority::P2);
        let target = Target {
            update_ms: 3_600_000,
            margin_ms: 900_000,
            always: true,
        };
        assert_eq!(rules.targets[1], target);
        assert_eq!(rules.targets[0], TicketRules::default().targets[0]);
        let pause = PauseRule {
            stops: false,
            lasts_ms: 30 * DAY_MS,
        };
        assert_eq!((rules.pauses[1], rules.close_after_ms), (pause, 3 * DAY_MS));
        assert_eq!(rules.tiers, [Some(QueueId(2)), None, Some(QueueId(1))]);
        let reason = &rules.reasons[&ReasonCode::new("password").unwrap()];
        assert_eq!(reason.destination, Some(Destination::Queue(QueueId(2))));
        assert_eq!(reason.priority, Some(Priority::P4));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (tickets, place) in [
            (r#"{ "hours": "night" }"#, "hours"),
            (r#"{ "close_after_days": 0 }"#, "close_after_days"),
            (
                r#"{ "priorities": { "p1": { "update_min": 5 } } }"#,
                "priorities p1 margin_min",
            ),
            (
                r#"{ "priorities": { "p1": { "update_min": 4000000000 } } }"#,
                "priorities p1 update_min",
            ),
            (
                r#"{ "pauses": { "caller": { "days": 93 } } }"#,
                "pauses caller days",
            ),
            (r#"{ "tiers": ["nobody"] }"#, "tiers"),
            (
                r#"{ "reasons": { "Password": { "words": "x" } } }"#,
                "reasons Password",
            ),
            (
                r#"{ "reasons": { "a": { "words": " " } } }"#,
                "reasons a words",
            ),
            (
                r#"{ "reasons": { "a": { "words": "x", "queue": "nobody" } } }"#,
                "reasons a queue",
            ),
            (
                r#"{ "reasons": { "a": { "words": "x", "partner": "nobody" } } }"#,
                "reasons a partner",
            ),
            (
                r#"{ "reasons": { "a": { "words": "x", "article": "kb 1" } } }"#,
                "reasons a article",
            ),
        ] {
            let (keys, _) = read(tickets).unwrap_err();
            assert_eq!(keys.join(" "), place, "{tickets}");
        }
    }
}
