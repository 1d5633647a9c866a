//! What the help desk is: the operator's and the hospitals' files.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use desk::Role;
use ivr_flows::{Drafts, Flow};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_saphyr::{MessageFormatter, UserMessageFormatter};

use super::actions::ActionConfig;
use super::callbacks::CallbackConfig;
use super::check::check;
use super::emergency::{EmergencyConfig, HospitalEmergency, StationConfig};
use super::faults::{Faults, at};
use super::incidents::IncidentsConfig;
use super::outside::{OutsideConfig, PartnerConfig, TrunkConfig};
use super::servicenow::ServiceNowConfig;
use super::tickets::TicketsConfig;
use super::verification::VerificationConfig;
use super::webhooks::WebhookConfig;
use super::{ConfigError, Encryption, read};

/// The flows that come with Careline.
pub(crate) const SHIPPED: [(&str, &str); 12] = [
    (
        "callback",
        include_str!("../../../ivr-flows/flows/callback.yaml"),
    ),
    (
        "clinician",
        include_str!("../../../ivr-flows/flows/clinician.yaml"),
    ),
    (
        "publish",
        include_str!("../../../ivr-flows/flows/publish.yaml"),
    ),
    ("staff", include_str!("../../../ivr-flows/flows/staff.yaml")),
    ("surge", include_str!("../../../ivr-flows/flows/surge.yaml")),
    (
        "patient",
        include_str!("../../../ivr-flows/flows/patient.yaml"),
    ),
    (
        "location",
        include_str!("../../../ivr-flows/flows/location.yaml"),
    ),
    (
        "portal",
        include_str!("../../../ivr-flows/flows/portal.yaml"),
    ),
    (
        "status",
        include_str!("../../../ivr-flows/flows/status.yaml"),
    ),
    (
        "extension",
        include_str!("../../../ivr-flows/flows/extension.yaml"),
    ),
    (
        "systems",
        include_str!("../../../ivr-flows/flows/systems.yaml"),
    ),
    (
        "password",
        include_str!("../../../ivr-flows/flows/password.yaml"),
    ),
];

/// Most hospitals.
const HOSPITALS_MAX: usize = 1_000;

/// Everything the folder says.
#[derive(Debug, Clone)]
pub struct HelpDesk {
    /// The operator's name.
    pub operator: String,
    /// Queues, shared by all hospitals.
    pub queues: Vec<QueueConfig>,
    /// Analysts.
    pub agents: Vec<Agent>,
    /// Ways to the outside.
    pub trunks: Vec<TrunkConfig>,
    /// Calls to emergency services; nobody can make any if absent.
    pub emergency: Option<EmergencyConfig>,
    /// Hospitals in the order of their ids.
    pub hospitals: Vec<Hospital>,
    /// Flows by name.
    pub flows: BTreeMap<String, Arc<Flow>>,
    /// Their texts as they were read.
    pub texts: BTreeMap<String, Arc<str>>,
    /// The folder's files as they were read, by their paths in it.
    pub files: Files,
}

/// Files' texts by their paths in a folder. Secrets stand in them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<PathBuf, String>);

/// Without the texts.
impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OperatorFile {
    operator: String,
    pub(super) queues: Vec<QueueConfig>,
    pub(super) agents: Vec<Agent>,
    #[serde(default)]
    pub(super) trunks: Vec<TrunkConfig>,
    pub(super) emergency: Option<EmergencyConfig>,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// As flows name it.
    pub name: String,
    /// What agents dial for it on their telephones; its name does too, where
    /// letters can be dialled.
    pub extension: Option<String>,
    /// Whether hospital staff who wait here are served like clinicians.
    #[serde(default)]
    pub clinical: bool,
    /// How long a phone rings, in seconds.
    #[serde(default = "default_ring_for_s")]
    pub ring_for_s: u64,
    /// After-call work, in seconds.
    #[serde(default = "default_wrap_up_s")]
    pub wrap_up_s: u64,
    /// How far apart one hospital's callers who wait together count as having
    /// come, at least, in seconds; 0: everybody in the order of arrival.
    #[serde(default = "default_spacing_s")]
    pub spacing_s: u64,
    /// Who is answered within so many seconds is answered in time: for the figures, nobody is served by it.
    #[serde(default = "default_target_s")]
    pub target_s: u64,
    /// Who hangs up before so many seconds hasn't waited, for the figures.
    #[serde(default = "default_short_s")]
    pub short_s: u64,
}

fn default_ring_for_s() -> u64 {
    20
}

fn default_spacing_s() -> u64 {
    30
}

fn default_wrap_up_s() -> u64 {
    10
}

fn default_target_s() -> u64 {
    20
}

fn default_short_s() -> u64 {
    5
}

/// An analyst.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Stable number.
    pub id: u32,
    /// User name of their phone.
    pub user: String,
    /// Its secret.
    pub secret: String,
    /// Name.
    pub name: String,
    /// What other agents dial for them; their user name does too.
    pub extension: Option<String>,
    /// Tier, in words.
    pub tier: String,
    /// Queues served, the preferred first.
    pub queues: Vec<String>,
    /// Whether their telephone may call lines for supervisors.
    #[serde(default)]
    pub supervisor: bool,
    /// Where their phone stands, for emergency services.
    #[serde(default)]
    pub station: StationConfig,
    /// Whether audio of their phone is encrypted, where that differs from the process's setting.
    #[serde(default)]
    pub encryption: Option<Encryption>,
}

/// A hospital.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hospital {
    /// Stable number.
    pub id: u32,
    /// The file's name without its ending; for expressions in flows.
    #[serde(skip)]
    pub key: String,
    /// As it is spoken.
    pub name: String,
    /// For comparing numbers with and without it.
    #[serde(default)]
    pub country_code: String,
    /// The time zone of its hours, by its IANA name.
    #[serde(default)]
    pub zone: Option<String>,
    /// Opening hours by name, as flows' `hours` nodes ask for them.
    #[serde(default)]
    pub hours: BTreeMap<String, Hours>,
    /// Numbers that can be dialled.
    pub lines: Vec<LineSetup>,
    /// People known by their numbers.
    #[serde(default)]
    pub people: Vec<Person>,
    /// Places known by their numbers.
    #[serde(default)]
    pub places: Vec<Place>,
    /// Phones that register here and aren't an analyst's.
    #[serde(default)]
    pub phones: Vec<Phone>,
    /// Who takes calls over, by the name flows use.
    #[serde(default)]
    pub partners: BTreeMap<String, PartnerConfig>,
    /// HTTP actions, by the name flows use.
    #[serde(default)]
    pub actions: BTreeMap<String, ActionConfig>,
    /// Who is told what is written into its log, by a name of yours.
    #[serde(default)]
    pub webhooks: BTreeMap<String, WebhookConfig>,
    /// The ServiceNow that its tickets are kept in as well.
    #[serde(default)]
    pub servicenow: Option<ServiceNowConfig>,
    /// How whom it owes a call is called; nobody is if absent.
    #[serde(default)]
    pub callbacks: Option<CallbackConfig>,
    /// By what its callers show who they are.
    #[serde(default)]
    pub verification: VerificationConfig,
    /// What differs from the operator's `emergency` for its telephones.
    #[serde(default)]
    pub emergency: HospitalEmergency,
    /// Where agents may send callers on to outside; nowhere if absent.
    #[serde(default)]
    pub outside: Vec<OutsideConfig>,
    /// What is agreed about its tickets.
    #[serde(default)]
    pub tickets: TicketsConfig,
    /// What is agreed about its incidents.
    #[serde(default)]
    pub incidents: IncidentsConfig,
}

/// Opening hours.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// By day or range of days (`mon-fri`); days not named are closed.
    pub week: BTreeMap<String, String>,
    /// Days with hours of their own, by date.
    #[serde(default)]
    pub days: BTreeMap<String, Day>,
}

/// A day with hours of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// `closed`, or `08:00-12:00`.
    pub hours: String,
    /// Its name.
    pub name: String,
}

/// A number that can be dialled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineSetup {
    /// As the trunk sends it, digits only.
    pub number: String,
    /// A short form, for phones that register here.
    pub short: Option<String>,
    /// The flow that answers.
    pub flow: String,
    /// Whether it may use the clinical reserve.
    #[serde(default)]
    pub clinical: bool,
    /// Only for the telephones of supervisors.
    #[serde(default)]
    pub supervisors: bool,
}

/// Somebody known by their number.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Stable number within the hospital.
    pub id: u32,
    /// Short name for `careline call --as`.
    pub key: String,
    /// What they are.
    pub role: Role,
    /// As it is shown to an analyst.
    pub name: String,
    /// As it is spoken.
    pub spoken: String,
    /// Calling numbers.
    pub numbers: Vec<String>,
    /// When they can be called, in the hospital's zone: days or ranges of them, and hours. Whenever the desk may call
    /// anybody if empty.
    #[serde(default)]
    pub available: BTreeMap<String, String>,
}

/// A place known by its number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Stable number within the hospital, other than any person's.
    pub id: u32,
    /// Short name for `careline call --as`.
    pub key: String,
    /// As it is shown.
    pub name: String,
    /// As it is spoken.
    pub spoken: String,
    /// Calling numbers.
    pub numbers: Vec<String>,
}

/// A phone that registers and isn't an analyst's.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phone {
    /// User name.
    pub user: String,
    /// Secret.
    pub secret: String,
    /// The calling number its calls carry.
    pub number: Option<String>,
    /// Where it stands, for emergency services.
    #[serde(default)]
    pub station: StationConfig,
    /// Whether its audio is encrypted, where that differs from the process's setting.
    #[serde(default)]
    pub encryption: Option<Encryption>,
}

/// What holds a secret or a person shows neither.
macro_rules! quiet {
    ($($name:ident: $field:ident),*) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).field(stringify!($field), &self.$field).finish_non_exhaustive()
            }
        })*
    };
}
quiet!(Agent: id, Person: id, Phone: user);

impl Hospital {
    /// Its calendars by name.
    ///
    /// # Errors
    /// What can't be read of them, and how it is written.
    pub fn calendars(&self) -> Result<BTreeMap<String, hours::Calendar>, String> {
        let read = |name: &String| Ok((name.clone(), self.calendar(name)?));
        self.hours.keys().map(read).collect()
    }

    /// What is agreed about its tickets, among these queues.
    ///
    /// # Errors
    /// What is wrong with it, and the keys in `tickets` that lead there.
    pub fn ticket_rules(
        &self,
        queues: &[QueueConfig],
    ) -> Result<desk::TicketRules, (Vec<String>, String)> {
        super::tickets::rules(self, queues)
    }

    /// One of them.
    ///
    /// # Errors
    /// It isn't there, or what can't be read of it, and how it is written.
    pub(super) fn calendar(&self, name: &str) -> Result<hours::Calendar, String> {
        let hours = self.hours.get(name).ok_or("there are no such hours")?;
        let zone = self.zone.as_deref().ok_or_else(|| {
            format!("`hours` \"{name}\" needs `zone`, e.g. zone: America/Chicago")
        })?;
        let week = hours.week.iter().map(|(days, at)| (&**days, &**at));
        let days = hours.days.iter();
        let days = days.map(|(date, day)| (&**date, &*day.hours, &*day.name));
        hours::Calendar::read(zone, week, days)
            .map_err(|error| format!("`hours` \"{name}\": {error}"))
    }
}

impl HelpDesk {
    /// Reads the folder.
    ///
    /// # Errors
    /// Everything that is wrong, each with its file, its line where it has one, and what to do; at most 50.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let mut kept = BTreeMap::new();
        let mut keep = |file: &Path| {
            let text = read(file)?;
            if let Ok(name) = file.strip_prefix(dir) {
                kept.insert(name.to_owned(), text.clone());
            }
            Ok::<_, ConfigError>(text)
        };
        let mut faults = Faults::default();
        let process_file = dir.join("careline.toml");
        if process_file.exists() {
            faults.take(keep(&process_file));
        }
        let operator_file = dir.join("operator.yaml");
        let text = faults.take(keep(&operator_file));
        let operator = text.and_then(|text| faults.take(yaml(&operator_file, &text)));
        let mut hospitals = Vec::new();
        let hospitals_dir = dir.join("hospitals");
        let found = faults.take(files(&hospitals_dir, "yaml"));
        if found.as_ref().is_some_and(Vec::is_empty) {
            faults.at(
                &hospitals_dir,
                Vec::new(),
                "holds no hospital; write one file NAME.yaml for each",
            );
        }
        let found = found.unwrap_or_default();
        if found.len() > HOSPITALS_MAX {
            return Err(ConfigError::new(
                &hospitals_dir,
                format!("holds more than {HOSPITALS_MAX} hospitals"),
            ));
        }
        for file in found {
            let text = faults.take(keep(&file));
            let hospital = text.and_then(|text| faults.take(yaml::<Hospital>(&file, &text)));
            if let Some(mut hospital) = hospital {
                hospital.key = stem(&file);
                hospitals.push((file, hospital));
            }
        }
        let mut drafts = Drafts::default();
        let mut texts: BTreeMap<String, Arc<str>> = BTreeMap::new();
        let mut sound = true;
        for (name, text) in SHIPPED {
            let file = format!("{name}.yaml (shipped)");
            let name = drafts.add(&file, text).map_err(ConfigError::Flow)?;
            texts.insert(name, text.into());
        }
        let own = dir.join("flows");
        let mut names = HashSet::new();
        let found = match own.is_dir() {
            true => faults.take(files(&own, "yaml")),
            false => None,
        };
        for file in found.unwrap_or_default() {
            let Some(text) = faults.take(keep(&file)) else {
                sound = false;
                continue;
            };
            let shown = file.display().to_string();
            let read = drafts.add(&shown, &text).map_err(ConfigError::Flow);
            let Some(name) = faults.take(read) else {
                sound = false;
                continue;
            };
            texts.insert(name.clone(), text.into());
            if name != stem(&file) {
                let other = format!(
                    "flow \"{name}\" stands in {}.yaml, and a flow is called like its file: rename one of them",
                    stem(&file)
                );
                faults.at(&file, at!["flow"], other);
            }
            if !names.insert(name.clone()) {
                let twice =
                    format!("flow \"{name}\" is also in another file of this folder; rename one");
                faults.at(&file, at!["flow"], twice);
            }
        }
        // What calls a flow that can't be read isn't to blame for it.
        let flows = match sound {
            true => faults.take(drafts.link().map_err(ConfigError::Flow)),
            false => None,
        };
        if let Some(operator) = &operator {
            check(
                (&operator_file, operator),
                &hospitals,
                flows.as_ref(),
                &mut faults,
            );
        }
        let text_of = |file: &Path| {
            let text = kept.get(file.strip_prefix(dir).ok()?)?;
            Some(text.as_str())
        };
        faults.told(text_of)?;
        let (Some(operator), Some(flows)) = (operator, flows) else {
            return Err(ConfigError::new(dir, "can't be read"));
        };
        hospitals.sort_by_key(|(_, hospital)| hospital.id);
        Ok(Self {
            operator: operator.operator,
            queues: operator.queues,
            agents: operator.agents,
            trunks: operator.trunks,
            emergency: operator.emergency,
            hospitals: hospitals
                .into_iter()
                .map(|(_, hospital)| hospital)
                .collect(),
            flows,
            texts,
            files: Files(kept),
        })
    }

    /// The id of a queue: its place in the list, from 1.
    pub fn queue_id(&self, name: &str) -> Option<u32> {
        let place = self.queues.iter().position(|queue| queue.name == name)?;
        u32::try_from(place + 1).ok()
    }

    /// What is promised for each queue.
    pub fn targets(&self) -> desk::figures::Settings {
        let targets = |(place, queue): (u32, &QueueConfig)| {
            let targets = desk::figures::Targets {
                target_ms: queue.target_s.saturating_mul(1_000),
                short_ms: queue.short_s.saturating_mul(1_000),
            };
            (desk::QueueId(place), targets)
        };
        let queues = (1..).zip(&self.queues).map(targets).collect();
        desk::figures::Settings { queues }
    }

    /// The account of an analyst or trunk: user, secret, and a name to show.
    pub fn account(&self, user: &str) -> Option<(&str, &str, &str)> {
        let agents = self.agents.iter();
        let agents = agents.map(|a| (a.user.as_str(), a.secret.as_str(), a.name.as_str()));
        let trunks = self.trunks.iter();
        let trunks = trunks.filter_map(|trunk| trunk.account.as_ref().map(|a| (trunk, a)));
        let trunks = trunks.map(|(t, a)| (a.user.as_str(), a.secret.as_str(), t.name.as_str()));
        agents.chain(trunks).find(|(name, ..)| *name == user)
    }

    /// The calling number of whoever has this key, and their hospital.
    pub fn number_of(&self, key: &str) -> Option<(&Hospital, &str)> {
        self.hospitals.iter().find_map(|hospital| {
            let people = hospital.people.iter().map(|p| (&p.key, &p.numbers));
            let places = hospital.places.iter().map(|p| (&p.key, &p.numbers));
            let (_, numbers) = people.chain(places).find(|(k, _)| *k == key)?;
            Some((hospital, numbers.first()?.as_str()))
        })
    }
}

fn yaml<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, ConfigError> {
    serde_saphyr::from_str(text).map_err(|error: serde_saphyr::Error| {
        let line = error
            .location()
            .and_then(|location| usize::try_from(location.line()).ok());
        // The bare message: its place is said by us.
        let message = UserMessageFormatter.format_message(error.without_snippet());
        let message = message.replace(" is not allowed here", " is there twice; write it once");
        ConfigError::at(file, line, message.escape_debug().to_string())
    })
}

fn files(dir: &Path, ending: &str) -> Result<Vec<std::path::PathBuf>, ConfigError> {
    let unreadable = |error| ConfigError::new(dir, format!("can't be read: {error}"));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        } else if path.extension().is_some_and(|e| e == "yml") {
            tracing::warn!("{} isn't read: call it .yaml", path.display());
        }
    }
    found.sort();
    Ok(found)
}

fn stem(file: &Path) -> String {
    file.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}
