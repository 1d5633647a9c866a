//! What is served may change while it is served: another folder is read,
//! checked and compared, its prompts are rendered, and then the pump is given
//! all of it in one message. Calls in progress finish on the flows they began with.
//!
//! One folder is prepared at a time, however long it takes; meanwhile desks are
//! closed and opened, and anybody may ask what a folder would change.

mod import;
mod promises;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use desk::{Directory, FlowName, TenantId};
use ivr_flows::Language;
use tokio::sync::{mpsc, oneshot};

use super::claim::{Claim, hear, wait};
use super::closings::{Closing, Closings};
use super::versions::{self, Raised, Versions};
use super::{Loaded, Options, StartError, setup};
use crate::config::{Change, HelpDesk, changes, obstacles};
use crate::feed::Feed;
use crate::figures::Live;
use crate::node::{Control, Deed, IncidentAsk, Status, wall};
use crate::people::People;
use crate::prompts::{Book, Fixed};
use crate::secrets::RootKey;
use crate::verifier::Keyrings;

pub use import::Import;

/// How long the pump may take to change over.
const CHANGE_MAX: Duration = Duration::from_secs(10);
/// How long the pump may take to say how things are.
const STATUS_MAX: Duration = Duration::from_secs(3);

/// Everything that changes at once.
pub struct Fresh {
    /// Lines, accounts, queues and partners for the calls.
    pub switch: switch::Setup,
    /// People and queues for the distributor.
    pub acd: acd::Setup,
    /// Where HTTP actions lead.
    pub actions: crate::actions::Book,
    /// Who calls from which number.
    pub directories: Vec<(TenantId, Directory)>,
    /// What is agreed about tickets.
    pub ticket_rules: Vec<(TenantId, desk::TicketRules)>,
    /// What is agreed about incidents.
    pub incident_rules: Vec<(TenantId, desk::IncidentRules)>,
    /// When whose customers may be called back.
    pub callable: Vec<(TenantId, desk::Callable)>,
    /// By what callers show who they are.
    pub verification: Vec<(TenantId, desk::VerificationRules)>,
    /// By which of a hospital's actions codes are sent.
    pub code_actions: HashMap<TenantId, Arc<str>>,
    /// Fixed prompts.
    pub prompts: Vec<(Language, Fixed)>,
    /// Flows with a new version, and whose callers walk through them.
    pub published: Vec<Published>,
    /// Whether the pump may still have it.
    pub claim: Claim,
}

/// A flow's new version belongs in this hospital's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Whose callers walk through it.
    pub tenant: TenantId,
    /// Which flow.
    pub flow: FlowName,
    /// Its version.
    pub version: u32,
    /// The earlier version that had this text, if one had.
    pub again: Option<u32>,
}

impl Published {
    /// As the desk is told, at a time of the wall clock.
    pub(crate) fn at(self, at: i64) -> desk::FlowPublished {
        let Self {
            tenant,
            flow,
            version,
            again,
        } = self;
        desk::FlowPublished {
            tenant,
            at,
            flow,
            version,
            again,
        }
    }
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The folder is wrong.
    #[error(transparent)]
    Folder(#[from] StartError),
    /// It is right, but not for a server that is running.
    #[error("{}", .0.join("\n"))]
    Obstacles(Vec<String>),
    /// Tests of its flows fail, or emergency numbers would be gone.
    #[error(
        "{}\nNothing was changed: see above; `careline apply --force` serves it all the same",
        .0.join("\n")
    )]
    Tests(Vec<String>),
    /// The server is about to stop.
    #[error("Careline is stopping, or doesn't answer; nothing was changed")]
    Stopping,
    /// The pump began to change over, and never said that it had.
    #[error(
        "it isn't known whether this is served: Careline began to change over and didn't end; `careline plan` says what is served"
    )]
    Unknown,
    /// That isn't done with this ticket.
    #[error("{0}")]
    Ticket(desk::Refusal),
    /// That isn't done with this incident.
    #[error("{0}")]
    Incident(desk::IncidentRefusal),
    /// The pump doesn't say how things are.
    #[error("signalling doesn't answer: no call can come in; see the log, then restart Careline")]
    Deaf,
    /// A file can't be written.
    #[error("{path}: {error}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Agents and queues as they are served, by what the log calls them.
#[derive(Debug)]
pub struct Names(Arc<Loaded>);

impl Names {
    /// An agent's name.
    pub fn agent(&self, id: u32) -> String {
        let mut agents = self.0.helpdesk.agents.iter();
        let known = agents.find(|agent| agent.id == id);
        known.map_or_else(|| format!("agent {id}"), |agent| agent.name.clone())
    }

    /// A queue's name.
    pub fn queue(&self, id: u32) -> String {
        let place = usize::try_from(id).unwrap_or(0).checked_sub(1);
        let known = place.and_then(|place| self.0.helpdesk.queues.get(place));
        known.map_or_else(|| format!("queue {id}"), |queue| queue.name.clone())
    }
}

/// What a folder would change, or has changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Object by object.
    pub changes: Vec<Change>,
    /// Flows whose version this makes, and which.
    pub versions: Vec<Raised>,
    /// What stands in the folder and takes no effect before a restart.
    pub later: Vec<String>,
    /// What keeps it from being applied.
    pub obstacles: Vec<String>,
    /// What an emergency service couldn't be told, or nobody call, because of it.
    pub gaps: Vec<String>,
    /// What is served only with `--force`: emergency numbers that nobody could call any more, and tests of its flows
    /// that fail (flow, line, name and why).
    pub failing: Vec<String>,
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told = (&self.changes, &self.versions, &self.later, &self.obstacles);
        if told == (&Vec::new(), &Vec::new(), &Vec::new(), &Vec::new()) {
            writeln!(f, "No change: this is what is served.")?;
        }
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        for raised in &self.versions {
            let Raised { flow, version, .. } = raised;
            match raised.again {
                None => writeln!(f, "  flow {flow} is version {version}")?,
                Some(again) => writeln!(
                    f,
                    "  flow {flow} is version {version}, the text of version {again} again"
                )?,
            }
        }
        for later in &self.later {
            writeln!(f, "! {later}")?;
        }
        for obstacle in &self.obstacles {
            writeln!(f, "! can't be applied: {obstacle}")?;
        }
        for gap in &self.gaps {
            writeln!(f, "! {gap}")?;
        }
        for failing in &self.failing {
            writeln!(f, "! only with --force: {failing}")?;
        }
        Ok(())
    }
}

/// Publishes.
pub struct Publisher {
    /// Held while a folder is prepared and served: one at a time.
    applying: Mutex<()>,
    /// Held for moments.
    current: Mutex<Current>,
    /// The folder that is served after a restart.
    started: PathBuf,
    voices: Vec<(Language, Arc<speech::Studio>)>,
    interface: sip::Interface,
    audio: sip::Interface,
    seed: [u8; 32],
    root: RootKey,
    /// Weak: it doesn't keep the pump alive.
    control: mpsc::WeakSender<Control>,
    live: Live,
    feed: Feed,
    people: Arc<People>,
    keyrings: Keyrings,
}

struct Current {
    /// Changed only under `applying`.
    loaded: Arc<Loaded>,
    /// The same.
    versions: Versions,
    closings: Closings,
}

/// What a publisher needs of a server that has started.
pub(super) struct Means {
    pub(super) voices: Vec<(Language, Arc<speech::Studio>)>,
    pub(super) interface: sip::Interface,
    pub(super) audio: sip::Interface,
    pub(super) seed: [u8; 32],
    pub(super) root: RootKey,
    pub(super) control: mpsc::WeakSender<Control>,
    pub(super) live: Live,
    pub(super) feed: Feed,
    pub(super) people: Arc<People>,
    pub(super) keyrings: Keyrings,
}

impl Publisher {
    /// For what a server has started with, and for the numbers that its flows have.
    pub(super) fn new(
        loaded: &Loaded,
        versions: Versions,
        closings: Closings,
        means: Means,
    ) -> Self {
        let Means {
            voices,
            interface,
            audio,
            seed,
            root,
            control,
            live,
            feed,
            people,
            keyrings,
        } = means;
        Self {
            applying: Mutex::new(()),
            current: Mutex::new(Current {
                loaded: Arc::new(loaded.clone()),
                versions,
                closings,
            }),
            started: whole(&loaded.config_dir),
            voices,
            interface,
            audio,
            seed,
            root,
            control,
            live,
            feed,
            people,
            keyrings,
        }
    }

    /// The folder that is served now, and the one that is after a restart.
    pub fn folders(&self) -> (PathBuf, PathBuf) {
        let served = whole(&self.current().loaded.config_dir);
        (served, self.started.clone())
    }

    /// What is served now.
    pub(crate) fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.current().loaded)
    }

    /// Where SIP is heard.
    pub fn address(&self) -> std::net::SocketAddr {
        self.interface.bind
    }

    /// What a folder would change.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn plan(&self, dir: &Path) -> Result<Plan, PublishError> {
        let (served, mut versions) = self.served();
        Ok(Self::compare(&served, &mut versions, dir)?.1)
    }

    /// Serves a folder from now on, all of it or, after an error, nothing. One whose flows fail their tests is only
    /// served with `force`.
    ///
    /// # Errors
    /// What is wrong with it, or keeps it from being served.
    pub fn apply(&self, dir: &Path, force: bool) -> Result<Plan, PublishError> {
        let _turn = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let (served, mut versions) = self.served();
        let (loaded, plan) = Self::compare(&served, &mut versions, dir)?;
        if !plan.obstacles.is_empty() {
            return Err(PublishError::Obstacles(plan.obstacles));
        }
        if !plan.failing.is_empty() && !force {
            return Err(PublishError::Tests(plan.failing));
        }
        for gap in plan.gaps.iter().chain(&plan.failing) {
            tracing::warn!("published all the same: {gap}");
        }
        let mut fresh = self.prepare(&loaded, &versions)?;
        fresh.published = published(&loaded.helpdesk, &plan.versions);
        let control = self.control.upgrade().ok_or(PublishError::Stopping)?;
        // On disk first, and counted from whatever comes of it: a number is never given twice.
        write(&loaded, &versions)?;
        self.current().versions = versions.clone();
        let claim = fresh.claim.clone();
        let (done, changed) = oneshot::channel();
        control
            .blocking_send(Control::Publish(Box::new(fresh), done))
            .map_err(|_| PublishError::Stopping)?;
        wait(changed, &claim, CHANGE_MAX)?;
        versions.told();
        self.live.retarget(loaded.helpdesk.targets());
        self.feed.serve(loaded.webhooks.clone());
        let mut current = self.current();
        current.loaded = Arc::new(loaded);
        current.versions = versions;
        // What is served is served; told twice is the worst that comes of this.
        if let Err(error) = write(&current.loaded, &current.versions) {
            tracing::warn!(%error, "published versions");
        }
        Ok(plan)
    }

    /// Writes what is served into a folder that is empty or isn't there.
    ///
    /// # Errors
    /// It isn't empty, or can't be written.
    pub fn export(&self, dir: &Path) -> Result<usize, PublishError> {
        let (served, _) = self.served();
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| PublishError::Write { path, error }
        };
        std::fs::create_dir_all(dir).map_err(failed(dir))?;
        let mut there = std::fs::read_dir(dir).map_err(failed(dir))?;
        if there.next().is_some() {
            let error = io::Error::other("isn't empty; name an empty folder");
            return Err(failed(dir)(error));
        }
        let files = &served.helpdesk.files.0;
        for (name, text) in files {
            let path = dir.join(name);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(failed(folder))?;
            }
            std::fs::write(&path, text).map_err(failed(&path))?;
        }
        Ok(files.len())
    }

    /// Closes or opens a desk on the spot, or (`None`) lets its hours count
    /// again. Gives what doesn't keep its hours then, in words.
    ///
    /// # Errors
    /// There is no such hospital or desk, or it can't be kept.
    pub fn close(
        &self,
        hospital: &str,
        calendar: &str,
        closing: Option<Closing>,
    ) -> Result<String, PublishError> {
        let mut current = self.current();
        let hospitals = &current.loaded.helpdesk.hospitals;
        let Some(found) = hospitals.iter().find(|known| known.key == hospital) else {
            return Err(unknown(
                "hospital",
                hospital,
                hospitals.iter().map(|h| &h.key),
            ));
        };
        if !found.hours.contains_key(calendar) {
            return Err(unknown("hours", calendar, found.hours.keys()));
        }
        let message = Control::Close {
            tenant: TenantId(found.id),
            calendar: calendar.into(),
            exception: closing.as_ref().map(Closing::exception),
        };
        let control = self.control.upgrade().ok_or(PublishError::Stopping)?;
        let path = current.loaded.data_dir.join("closings");
        current
            .closings
            .set(hospital, calendar, closing)
            .map_err(|error| PublishError::Write { path, error })?;
        // Under the lock, so that two who close and reopen are told to the pump in that order.
        control
            .blocking_send(message)
            .map_err(|_| PublishError::Stopping)?;
        Ok(told(&current.closings))
    }

    /// An agent's number, by user name.
    pub fn agent(&self, user: &str) -> Option<u32> {
        let (served, _) = self.served();
        let mut agents = served.helpdesk.agents.iter();
        agents
            .find(|agent| agent.user == user)
            .map(|agent| agent.id)
    }

    /// Does something with a ticket, for whoever administers this. Gives how it
    /// stands then, and what it takes to say so: the hospital's zone, the names.
    ///
    /// # Errors
    /// There is no such hospital or ticket, or it can't be done, and why.
    pub fn ticket(
        &self,
        hospital: &str,
        number: desk::TicketNumber,
        deed: desk::TicketDeed,
    ) -> Result<(desk::TicketFacts, hours::Zone, Names), PublishError> {
        let (served, _) = self.served();
        let hospitals = &served.helpdesk.hospitals;
        let Some(found) = hospitals.iter().find(|known| known.key == hospital) else {
            let known = hospitals.iter().map(|h| &h.key);
            return Err(unknown("hospital", hospital, known));
        };
        let control = self.control.upgrade().ok_or(PublishError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        let deed = Deed {
            tenant: TenantId(found.id),
            number,
            by: desk::Actor::Administrator,
            deed,
        };
        control
            .blocking_send(Control::Ticket(deed, reply))
            .map_err(|_| PublishError::Stopping)?;
        match hear(answer, STATUS_MAX).ok_or(PublishError::Deaf)? {
            desk::TicketReply::Refused(why) => Err(PublishError::Ticket(why)),
            desk::TicketReply::Done(facts) => {
                let zone = found.zone.as_deref().map(hours::Zone::find);
                let zone = zone.and_then(Result::ok).unwrap_or(hours::Zone::UTC);
                Ok((facts, zone, Names(served)))
            }
        }
    }

    /// Does something with an incident of a hospital's. Gives how it stands then; `None`: there was
    /// nothing to be done.
    ///
    /// # Errors
    /// It can't be done, and why.
    pub fn incident(
        &self,
        deed: IncidentAsk,
    ) -> Result<Option<(desk::IncidentId, desk::IncidentFacts)>, PublishError> {
        let control = self.control.upgrade().ok_or(PublishError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        control
            .blocking_send(Control::Incident(deed, reply))
            .map_err(|_| PublishError::Stopping)?;
        match hear(answer, STATUS_MAX).ok_or(PublishError::Deaf)? {
            desk::IncidentReply::Refused(why) => Err(PublishError::Incident(why)),
            desk::IncidentReply::Nothing => Ok(None),
            desk::IncidentReply::Done(incident, facts) => Ok(Some((incident, facts))),
        }
    }

    /// A hospital by its key, as it is served.
    ///
    /// # Errors
    /// There is none.
    pub fn hospital(&self, key: &str) -> Result<crate::config::Hospital, PublishError> {
        let (served, _) = self.served();
        let hospitals = &served.helpdesk.hospitals;
        let found = hospitals.iter().find(|known| known.key == key);
        let known = hospitals.iter().map(|h| &h.key);
        found
            .cloned()
            .ok_or_else(|| unknown("hospital", key, known))
    }

    /// How things are, the queues' names, and what doesn't keep its hours.
    ///
    /// # Errors
    /// It stops, or doesn't answer.
    pub fn status(&self) -> Result<(Status, Vec<String>, String), PublishError> {
        let control = self.control.upgrade().ok_or(PublishError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        control
            .blocking_send(Control::Status(reply))
            .map_err(|_| PublishError::Stopping)?;
        let status = hear(answer, STATUS_MAX).ok_or(PublishError::Deaf)?;
        let current = self.current();
        let queues = current.loaded.helpdesk.queues.iter();
        let queues = queues.map(|queue| queue.name.clone()).collect();
        Ok((status, queues, told(&current.closings)))
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is served, and the flows' versions.
    fn served(&self) -> (Arc<Loaded>, Versions) {
        let current = self.current();
        (Arc::clone(&current.loaded), current.versions.clone())
    }

    /// Reads a folder, and gives its flows their numbers.
    fn compare(
        served: &Loaded,
        versions: &mut Versions,
        dir: &Path,
    ) -> Result<(Loaded, Plan), PublishError> {
        let mut loaded = Loaded::read(&Options {
            config_dir: dir.to_owned(),
            data_dir: Some(served.data_dir.clone()),
            bind: Some(served.process.sip.bind),
            speech_dir: Some(served.speech_dir.clone()),
        })?;
        let mut later = Vec::new();
        let process = Path::new("careline.toml");
        let of = |loaded: &Loaded| loaded.helpdesk.files.0.get(process).cloned();
        if of(served) != of(&loaded) {
            later.push("careline.toml differs: that takes effect at the next start".to_owned());
        }
        loaded.process = served.process.clone();
        loaded.process_file = served.process_file.clone();
        versions.raise(&loaded.helpdesk.texts);
        let known = served.helpdesk.emergency_gaps();
        let mut gaps = loaded.helpdesk.emergency_gaps();
        gaps.retain(|gap| !known.contains(gap));
        let mut failing = served.helpdesk.emergency_lost(&loaded.helpdesk);
        failing.extend(failing_tests(&loaded.helpdesk));
        let plan = Plan {
            changes: changes(&served.helpdesk, &loaded.helpdesk),
            versions: versions.untold(),
            later,
            obstacles: obstacles(&served.helpdesk, &loaded.helpdesk),
            gaps,
            failing,
        };
        Ok((loaded, plan))
    }

    /// Everything that takes time, and may fail, before anything changes.
    fn prepare(&self, loaded: &Loaded, versions: &Versions) -> Result<Fresh, PublishError> {
        let mut prompts = Vec::new();
        for (language, studio) in &self.voices {
            let book = Book::in_language(*language, studio, &loaded.helpdesk, |_, _| {})
                .map_err(StartError::from)?;
            for (tenant, names) in &book.later {
                studio.render_ahead(tenant.0, names);
            }
            prompts.push((*language, book.fixed));
        }
        let number = u64::from_le_bytes(self.seed[..8].try_into().unwrap_or_default());
        let mut directories = Vec::new();
        let mut ticket_rules = Vec::new();
        let mut callable = Vec::new();
        let mut incident_rules = Vec::new();
        let mut verification = Vec::new();
        for hospital in &loaded.helpdesk.hospitals {
            let directory = self.people.directory(hospital).map_err(|fault| {
                let error =
                    crate::config::ConfigError::new(Path::new(&hospital.key), fault.to_string());
                StartError::from(error)
            })?;
            directories.push((TenantId(hospital.id), directory));
            let rules = setup::ticket_rules(hospital, &loaded.helpdesk);
            ticket_rules.push((TenantId(hospital.id), rules.map_err(StartError::from)?));
            let times = setup::callable(hospital, &self.people).map_err(StartError::from)?;
            callable.push((TenantId(hospital.id), times));
            incident_rules.push((TenantId(hospital.id), hospital.incident_rules()));
            verification.push((TenantId(hospital.id), hospital.verification.rules()));
        }
        let (interface, audio) = (self.interface.clone(), self.audio.clone());
        Ok(Fresh {
            switch: setup::setup(loaded, interface, audio, self.seed, &self.root, versions)
                .map_err(StartError::from)?,
            acd: setup::acd_setup(&loaded.helpdesk, number),
            actions: loaded.actions.clone(),
            directories,
            ticket_rules,
            incident_rules,
            callable,
            verification,
            code_actions: setup::code_actions(&loaded.helpdesk),
            prompts,
            published: Vec::new(),
            claim: Claim::default(),
        })
    }
}

/// A folder by its whole name.
fn whole(dir: &Path) -> PathBuf {
    let known = dir.canonicalize().or_else(|_| std::path::absolute(dir));
    known.unwrap_or_else(|_| dir.to_owned())
}

/// Tests of the flows that fail.
fn failing_tests(helpdesk: &HelpDesk) -> Vec<String> {
    let mut failing = Vec::new();
    for (name, flow) in &helpdesk.flows {
        for result in ivr_flows::run_tests(flow) {
            if let Some(failure) = result.failure {
                failing.push(format!(
                    "{name}:{}: {}: {failure}",
                    result.line, result.name
                ));
            }
        }
    }
    failing
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> PublishError {
    let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
    PublishError::Obstacles(vec![format!(
        "there is no {what} \"{name}\"; there are: {known}"
    )])
}

/// What doesn't keep its hours, a line each.
fn told(closings: &Closings) -> String {
    let mut text = String::new();
    for (hospital, calendar, closing) in closings.all() {
        let Closing {
            open,
            until,
            reason,
        } = closing;
        let how = if *open { "open" } else { "closed" };
        let minutes = (until - wall()) / 60_000;
        text += &format!("{hospital} {calendar}: {how} for {minutes} min more: {reason}\n");
    }
    if text.is_empty() {
        text.push_str("Every desk keeps its hours.\n");
    }
    text
}

fn write(loaded: &Loaded, versions: &Versions) -> Result<(), PublishError> {
    versions
        .write(&loaded.data_dir)
        .map_err(|error| PublishError::Write {
            path: versions::file(&loaded.data_dir),
            error,
        })
}

/// In whose logs new versions of flows belong: of each hospital whose callers walk through them.
pub(super) fn published(helpdesk: &HelpDesk, versions: &[Raised]) -> Vec<Published> {
    let mut published = Vec::new();
    for hospital in &helpdesk.hospitals {
        let answering = hospital.flows();
        let answering = answering.filter_map(|name| helpdesk.flows.get(name));
        let walked: BTreeSet<&str> = answering.flat_map(|flow| flow.parts()).collect();
        for raised in versions {
            if walked.contains(raised.flow.as_str())
                && let Some(flow) = FlowName::new(&raised.flow)
            {
                published.push(Published {
                    tenant: TenantId(hospital.id),
                    flow,
                    version: raised.version,
                    again: raised.again,
                });
            }
        }
    }
    published
}
