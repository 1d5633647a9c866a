//! What the help desk is: the operator's and the hospitals' files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use desk::Role;
use ivr_flows::{Drafts, Flow};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_saphyr::{MessageFormatter, UserMessageFormatter};

use super::emergency::{EmergencyConfig, HospitalEmergency, StationConfig};
use super::outside::{OutsideConfig, PartnerConfig, TrunkAccount, TrunkConfig};
use super::{ConfigError, Encryption, read};

/// The flows that come with Careline.
pub(crate) const SHIPPED: [(&str, &str); 7] = [
    (
        "clinician",
        include_str!("../../../ivr-flows/flows/clinician.yaml"),
    ),
    ("staff", include_str!("../../../ivr-flows/flows/staff.yaml")),
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
    ("bench", include_str!("../../../ivr-flows/flows/bench.yaml")),
];

/// Most hospitals, and most entries of any list in one file.
const HOSPITALS_MAX: usize = 1_000;
const ENTRIES_MAX: usize = 200_000;
/// How long a phone may be set to ring, in seconds: not at once, and less than a caller's patience.
const RING_FOR_S: std::ops::RangeInclusive<u64> = 2..=120;

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
struct OperatorFile {
    operator: String,
    queues: Vec<QueueConfig>,
    agents: Vec<Agent>,
    #[serde(default)]
    trunks: Vec<TrunkConfig>,
    emergency: Option<EmergencyConfig>,
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
}

fn default_ring_for_s() -> u64 {
    20
}

fn default_wrap_up_s() -> u64 {
    10
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
    /// What differs from the operator's `emergency` for its telephones.
    #[serde(default)]
    pub emergency: HospitalEmergency,
    /// Where agents may send callers on to outside; nowhere if absent.
    #[serde(default)]
    pub outside: Vec<OutsideConfig>,
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
        let read = |(name, hours): (&String, &Hours)| {
            let zone = self.zone.as_deref().ok_or_else(|| {
                format!("`hours` \"{name}\" needs `zone`, e.g. zone: America/Chicago")
            })?;
            let week = hours.week.iter().map(|(days, at)| (&**days, &**at));
            let days = hours.days.iter();
            let days = days.map(|(date, day)| (&**date, &*day.hours, &*day.name));
            hours::Calendar::read(zone, week, days)
                .map(|calendar| (name.clone(), calendar))
                .map_err(|error| format!("`hours` \"{name}\": {error}"))
        };
        self.hours.iter().map(read).collect()
    }
}

impl HelpDesk {
    /// Reads the folder.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file and what to do.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let mut kept = BTreeMap::new();
        let mut keep = |file: &Path| {
            let text = read(file)?;
            if let Ok(name) = file.strip_prefix(dir) {
                kept.insert(name.to_owned(), text.clone());
            }
            Ok::<_, ConfigError>(text)
        };
        let process_file = dir.join("careline.toml");
        if process_file.exists() {
            keep(&process_file)?;
        }
        let operator_file = dir.join("operator.yaml");
        let operator: OperatorFile = yaml(&operator_file, &keep(&operator_file)?)?;
        let mut hospitals = Vec::new();
        let hospitals_dir = dir.join("hospitals");
        for file in files(&hospitals_dir, "yaml")? {
            let mut hospital: Hospital = yaml(&file, &keep(&file)?)?;
            hospital.key = stem(&file);
            hospitals.push((file, hospital));
        }
        if hospitals.is_empty() {
            return Err(ConfigError::new(
                &hospitals_dir,
                "holds no hospital; write one file NAME.yaml for each",
            ));
        }
        if hospitals.len() > HOSPITALS_MAX {
            return Err(ConfigError::new(
                &hospitals_dir,
                format!("holds more than {HOSPITALS_MAX} hospitals"),
            ));
        }
        let mut drafts = Drafts::default();
        let mut texts: BTreeMap<String, Arc<str>> = BTreeMap::new();
        for (name, text) in SHIPPED {
            let file = format!("{name}.yaml (shipped)");
            let name = drafts.add(&file, text).map_err(ConfigError::Flow)?;
            texts.insert(name, text.into());
        }
        let own = dir.join("flows");
        let mut names = HashSet::new();
        if own.is_dir() {
            for file in files(&own, "yaml")? {
                let text = keep(&file)?;
                let shown = file.display().to_string();
                let name = drafts.add(&shown, &text).map_err(ConfigError::Flow)?;
                texts.insert(name.clone(), text.into());
                if !names.insert(name.clone()) {
                    let twice = format!(
                        "flow \"{name}\" is also in another file of this folder; rename one"
                    );
                    return Err(ConfigError::new(&file, twice));
                }
            }
        }
        let flows = drafts.link().map_err(ConfigError::Flow)?;
        check(&operator_file, &operator, &hospitals, &flows)?;
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

/// What stands once in the whole folder, as far as it has been read.
#[derive(Default)]
struct Seen<'a> {
    queues: HashSet<&'a str>,
    users: HashSet<&'a str>,
    trunks: HashSet<&'a str>,
    hospitals: HashMap<u32, &'a Path>,
    numbers: HashMap<&'a str, &'a Path>,
    keys: HashSet<&'a str>,
}

fn check<'a>(
    operator_file: &'a Path,
    operator: &'a OperatorFile,
    hospitals: &'a [(std::path::PathBuf, Hospital)],
    flows: &BTreeMap<String, Arc<Flow>>,
) -> Result<(), ConfigError> {
    let mut seen = Seen::default();
    check_operator(operator_file, operator, &mut seen)
        .map_err(|message| ConfigError::new(operator_file, message))?;
    for (file, hospital) in hospitals {
        check_hospital(file, hospital, flows, &mut seen)
            .map_err(|message| ConfigError::new(file, message))?;
    }
    Ok(())
}

/// A number that people dial to us.
fn dialled(what: &str, number: &str) -> Result<(), String> {
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!(
            "{what} \"{number}\": it is written with digits only"
        ));
    }
    if switch::EMERGENCY_NUMBERS.contains(&number) {
        return Err(format!(
            "{what} \"{number}\": that is an emergency service's; whoever dials it must never reach a help desk"
        ));
    }
    Ok(())
}

/// The number of a queue or agent inside: no line's, nobody else's.
fn extension<'a>(
    file: &'a Path,
    extension: Option<&'a String>,
    seen: &mut Seen<'a>,
) -> Result<(), String> {
    let Some(number) = extension else {
        return Ok(());
    };
    dialled("extension", number)?;
    if seen.numbers.insert(number, file).is_some() {
        return Err(format!(
            "extension {number} is there twice; each queue and agent has its own"
        ));
    }
    Ok(())
}

fn check_operator<'a>(
    file: &'a Path,
    operator: &'a OperatorFile,
    seen: &mut Seen<'a>,
) -> Result<(), String> {
    for queue in &operator.queues {
        if !seen.queues.insert(&queue.name) {
            return Err(format!(
                "queue \"{}\" is there twice; rename one",
                queue.name
            ));
        }
        extension(file, queue.extension.as_ref(), seen)?;
        if !RING_FOR_S.contains(&queue.ring_for_s) {
            return Err(format!(
                "queue \"{}\": ring_for_s is {}; phones ring for {} to {} seconds",
                queue.name,
                queue.ring_for_s,
                RING_FOR_S.start(),
                RING_FOR_S.end()
            ));
        }
    }
    for trunk in &operator.trunks {
        trunk.trunk()?;
        if !seen.trunks.insert(&trunk.name) {
            return Err(format!(
                "trunk \"{}\" is there twice; rename one",
                trunk.name
            ));
        }
        if let Some(TrunkAccount { user, secret }) = &trunk.account {
            account(user, secret, seen)?;
        }
    }
    if let Some(emergency) = &operator.emergency {
        emergency.numbers()?;
        emergency.route()?;
        carried(&emergency.trunks, seen)?;
        for number in &emergency.numbers {
            if seen.numbers.insert(number, file).is_some() {
                return Err(format!("emergency: number {number} is an extension too"));
            }
        }
    }
    let mut ids = HashSet::new();
    for agent in &operator.agents {
        if !ids.insert(agent.id) {
            return Err(format!(
                "agent id {} is there twice; ids are unique",
                agent.id
            ));
        }
        account(&agent.user, &agent.secret, seen)?;
        station(&agent.user, &agent.station)?;
        extension(file, agent.extension.as_ref(), seen)?;
        if let Some(queue) = agent
            .queues
            .iter()
            .find(|queue| !seen.queues.contains(queue.as_str()))
        {
            return Err(format!(
                "agent \"{}\" serves queue \"{queue}\", which isn't in `queues`",
                agent.user
            ));
        }
    }
    Ok(())
}

fn check_hospital<'a>(
    file: &'a Path,
    hospital: &'a Hospital,
    flows: &BTreeMap<String, Arc<Flow>>,
    seen: &mut Seen<'a>,
) -> Result<(), String> {
    if hospital.id == 0 {
        return Err("id 0 is the operator's own; hospitals begin at 1".into());
    }
    if let Some(other) = seen.hospitals.insert(hospital.id, file) {
        return Err(format!(
            "id {} is also that of {}",
            hospital.id,
            other.display()
        ));
    }
    if hospital.name.trim().is_empty() {
        return Err("`name` is empty; callers hear it".into());
    }
    let lists = [
        hospital.lines.len(),
        hospital.people.len(),
        hospital.places.len(),
        hospital.phones.len(),
        hospital.outside.len(),
    ];
    if lists.into_iter().any(|entries| entries > ENTRIES_MAX) {
        return Err(format!("a list has more than {ENTRIES_MAX} entries"));
    }
    check_partners(hospital, seen)?;
    hospital.emergency.route()?;
    carried(&hospital.emergency.trunks, seen)?;
    let calendars = hospital.calendars()?;
    for line in &hospital.lines {
        check_line(file, hospital, line, flows, &calendars, seen)?;
    }
    let mut ids = HashSet::new();
    let people = hospital.people.iter().map(|p| (p.id, &p.key, &p.spoken));
    let places = hospital.places.iter().map(|p| (p.id, &p.key, &p.spoken));
    for (id, key, spoken) in people.chain(places) {
        if !ids.insert(id) {
            return Err(format!("id {id} is there twice among people and places"));
        }
        if !seen.keys.insert(key) {
            return Err(format!(
                "key \"{key}\" (id {id}) is there twice; keys are unique over all hospitals, since \
                 `careline call --as KEY` knows no other name"
            ));
        }
        if spoken.trim().is_empty() {
            return Err(format!(
                "`spoken` of \"{key}\" is empty; write the name as it is said, e.g. Doctor Okafor"
            ));
        }
    }
    for phone in &hospital.phones {
        account(&phone.user, &phone.secret, seen)?;
        station(&phone.user, &phone.station)?;
    }
    Ok(())
}

fn check_partners(hospital: &Hospital, seen: &Seen<'_>) -> Result<(), String> {
    let mut ids = HashSet::new();
    for (name, partner) in &hospital.partners {
        partner.check(name)?;
        if partner.id == desk::PartnerId::OUTSIDE.0 {
            return Err(format!("partner \"{name}\": ids of partners begin at 1"));
        }
        if !ids.insert(partner.id) {
            return Err(format!("id {} is there twice among partners", partner.id));
        }
        if !seen.trunks.contains(partner.trunk.as_str()) {
            return Err(format!(
                "partner \"{name}\" is behind trunk \"{}\"; operator.yaml has no such trunk",
                partner.trunk
            ));
        }
    }
    for outside in &hospital.outside {
        outside.rule()?;
        if !seen.trunks.contains(outside.trunk.as_str()) {
            return Err(format!(
                "outside \"{}\" is reached by trunk \"{}\"; operator.yaml has no such trunk",
                outside.prefix, outside.trunk
            ));
        }
    }
    Ok(())
}

fn check_line<'a>(
    file: &'a Path,
    hospital: &Hospital,
    line: &'a LineSetup,
    flows: &BTreeMap<String, Arc<Flow>>,
    calendars: &BTreeMap<String, hours::Calendar>,
    seen: &mut Seen<'a>,
) -> Result<(), String> {
    let Some(flow) = flows.get(&line.flow) else {
        return Err(format!(
            "line {} is answered by flow \"{}\", which doesn't exist; there are: {}",
            line.number,
            line.flow,
            flows.keys().cloned().collect::<Vec<_>>().join(", ")
        ));
    };
    if flow.is_part() {
        return Err(format!(
            "line {} is answered by flow \"{}\", which has exits: it is for other flows to call, and \
             would leave a caller in silence",
            line.number, line.flow
        ));
    }
    let mut waits_in = flow.queues();
    if let Some(missing) = waits_in.find(|queue| !seen.queues.contains(queue)) {
        return Err(format!(
            "line {} is answered by flow \"{}\", which uses queue \"{missing}\"; operator.yaml has \
             no such queue",
            line.number, line.flow
        ));
    }
    if let Some(missing) = flow.calendars().find(|name| !calendars.contains_key(*name)) {
        return Err(format!(
            "line {} is answered by flow \"{}\", which asks for hours \"{missing}\"; write them under `hours`",
            line.number, line.flow
        ));
    }
    if let Some(missing) = flow
        .partners()
        .find(|name| !hospital.partners.contains_key(*name))
    {
        return Err(format!(
            "line {} is answered by flow \"{}\", which calls partner \"{missing}\"; write it under `partners`",
            line.number, line.flow
        ));
    }
    for number in std::iter::once(&line.number).chain(&line.short) {
        dialled("line", number)?;
        if let Some(other) = seen.numbers.insert(number, file) {
            return Err(format!(
                "number {number} is also in {}; a dialled number has one hospital",
                other.display()
            ));
        }
    }
    Ok(())
}

fn station(user: &str, station: &StationConfig) -> Result<(), String> {
    let fault = |fault| format!("user \"{user}\": station: {fault}");
    station.station().map(drop).map_err(fault)
}

/// Are there such trunks for emergency calls?
fn carried(trunks: &[String], seen: &Seen<'_>) -> Result<(), String> {
    match trunks
        .iter()
        .find(|name| !seen.trunks.contains(name.as_str()))
    {
        Some(missing) => Err(format!(
            "emergency calls go by trunk \"{missing}\"; there is no such trunk in operator.yaml"
        )),
        None => Ok(()),
    }
}

fn account<'a>(user: &'a str, secret: &str, seen: &mut Seen<'a>) -> Result<(), String> {
    if user.is_empty() || secret.is_empty() {
        return Err(format!(
            "user \"{user}\": a phone account has a user name and a secret"
        ));
    }
    if !seen.users.insert(user) {
        return Err(format!(
            "user \"{user}\" is there twice; user names are unique"
        ));
    }
    Ok(())
}

fn yaml<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, ConfigError> {
    serde_saphyr::from_str(text).map_err(|error: serde_saphyr::Error| {
        let line = error
            .location()
            .and_then(|location| usize::try_from(location.line()).ok());
        // The bare message: its place is said by us.
        let message = UserMessageFormatter.format_message(error.without_snippet());
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
