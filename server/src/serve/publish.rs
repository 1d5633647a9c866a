//! What is served may change while it is served: another folder is read,
//! checked and compared, its prompts are rendered, and then the pump is given
//! all of it in one message. Calls in progress finish on the flows they began with.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use desk::{Directory, FlowName, TenantId};
use ivr_flows::Language;
use tokio::sync::{mpsc, oneshot};

use super::closings::{Closing, Closings};
use super::{Loaded, Options, StartError, setup};
use crate::config::{Change, HelpDesk, changes, obstacles};
use crate::node::{Control, wall};
use crate::prompts::{Book, Fixed};
use crate::secrets::RootKey;

/// How long the pump may take to change over.
const CHANGE_MAX: Duration = Duration::from_secs(10);

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
    /// Fixed prompts.
    pub prompts: Vec<(Language, Fixed)>,
    /// Flows with a new version, and whose callers walk through them.
    pub published: Vec<(TenantId, FlowName, u32)>,
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
    /// The server is about to stop.
    #[error("Careline is stopping, or doesn't answer")]
    Stopping,
    /// A file can't be written.
    #[error("{path}: {error}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// What a folder would change, or has changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Object by object.
    pub changes: Vec<Change>,
    /// Flows whose version this makes, and which.
    pub versions: Vec<(String, u32)>,
    /// What stands in the folder and takes no effect before a restart.
    pub later: Vec<String>,
    /// What keeps it from being applied.
    pub obstacles: Vec<String>,
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Plan::default() {
            return writeln!(f, "No change: this is what is served.");
        }
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        for (flow, version) in &self.versions {
            writeln!(f, "  flow {flow} is version {version}")?;
        }
        for later in &self.later {
            writeln!(f, "! {later}")?;
        }
        for obstacle in &self.obstacles {
            writeln!(f, "! can't be applied: {obstacle}")?;
        }
        Ok(())
    }
}

/// A flow's latest version: its number, and the hash of its text.
type Versions = BTreeMap<String, (u32, String)>;

/// Publishes.
pub struct Publisher {
    current: Mutex<Current>,
    voices: Vec<(Language, Arc<speech::Studio>)>,
    interface: sip::Interface,
    audio: sip::Interface,
    seed: [u8; 32],
    root: RootKey,
    /// Weak: it doesn't keep the pump alive.
    control: mpsc::WeakSender<Control>,
}

struct Current {
    loaded: Loaded,
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
}

impl Publisher {
    /// Publishes what a server starts with.
    pub(super) fn new(loaded: &Loaded, closings: Closings, means: Means) -> io::Result<Self> {
        let mut versions = read_versions(&loaded.data_dir);
        let new = raised(&mut versions, &loaded.helpdesk);
        if !new.is_empty() {
            write_versions(&loaded.data_dir, &versions)?;
        }
        let Means {
            voices,
            interface,
            audio,
            seed,
            root,
            control,
        } = means;
        Ok(Self {
            current: Mutex::new(Current {
                loaded: loaded.clone(),
                versions,
                closings,
            }),
            voices,
            interface,
            audio,
            seed,
            root,
            control,
        })
    }

    /// What a folder would change.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn plan(&self, dir: &Path) -> Result<Plan, PublishError> {
        let current = self.current();
        Ok(Self::compare(&current, dir)?.1)
    }

    /// Serves a folder from now on, all of it or, after an error, nothing.
    ///
    /// # Errors
    /// What is wrong with it, or keeps it from being served.
    pub fn apply(&self, dir: &Path) -> Result<Plan, PublishError> {
        let mut current = self.current();
        let (loaded, plan) = Self::compare(&current, dir)?;
        if !plan.obstacles.is_empty() {
            return Err(PublishError::Obstacles(plan.obstacles));
        }
        let mut fresh = self.prepare(&loaded)?;
        fresh.published = published(&loaded.helpdesk, &plan.versions);
        let mut versions = current.versions.clone();
        raised(&mut versions, &loaded.helpdesk);
        let control = self.control.upgrade().ok_or(PublishError::Stopping)?;
        let (done, changed) = oneshot::channel();
        let control_message = Control::Publish(Box::new(fresh), done);
        // On disk first: a version number is never given twice.
        write_versions(&loaded.data_dir, &versions).map_err(|error| PublishError::Write {
            path: loaded.data_dir.join(VERSIONS),
            error,
        })?;
        control
            .blocking_send(control_message)
            .map_err(|_| PublishError::Stopping)?;
        wait(changed)?;
        current.loaded = loaded;
        current.versions = versions;
        Ok(plan)
    }

    /// Writes what is served into a folder that is empty or isn't there.
    ///
    /// # Errors
    /// It isn't empty, or can't be written.
    pub fn export(&self, dir: &Path) -> Result<usize, PublishError> {
        let current = self.current();
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
        let files = &current.loaded.helpdesk.files.0;
        for (name, text) in files {
            let path = dir.join(name);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(failed(folder))?;
            }
            std::fs::write(&path, text).map_err(failed(&path))?;
        }
        Ok(files.len())
    }

    /// Closes a desk on the spot, or (`None`) lets its hours count again. Gives
    /// what is closed then, in words.
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
        let path = current.loaded.data_dir.join("closings");
        current
            .closings
            .set(hospital, calendar, closing)
            .map_err(|error| PublishError::Write { path, error })?;
        let control = self.control.upgrade().ok_or(PublishError::Stopping)?;
        control
            .blocking_send(message)
            .map_err(|_| PublishError::Stopping)?;
        Ok(told(&current.closings))
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn compare(current: &Current, dir: &Path) -> Result<(Loaded, Plan), PublishError> {
        let served = &current.loaded;
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
        let plan = Plan {
            changes: changes(&served.helpdesk, &loaded.helpdesk),
            versions: raised(&mut current.versions.clone(), &loaded.helpdesk),
            later,
            obstacles: obstacles(&served.helpdesk, &loaded.helpdesk),
        };
        Ok((loaded, plan))
    }

    /// Everything that takes time, and may fail, before anything changes.
    fn prepare(&self, loaded: &Loaded) -> Result<Fresh, PublishError> {
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
        for hospital in &loaded.helpdesk.hospitals {
            let directory = setup::directory(hospital).map_err(|fault| {
                let error =
                    crate::config::ConfigError::new(Path::new(&hospital.key), fault.to_string());
                StartError::from(error)
            })?;
            directories.push((TenantId(hospital.id), directory));
        }
        let (interface, audio) = (self.interface.clone(), self.audio.clone());
        Ok(Fresh {
            switch: setup::setup(loaded, interface, audio, self.seed, &self.root)
                .map_err(StartError::from)?,
            acd: setup::acd_setup(&loaded.helpdesk, number),
            actions: loaded.actions.clone(),
            directories,
            prompts,
            published: Vec::new(),
        })
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> PublishError {
    let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
    PublishError::Obstacles(vec![format!(
        "there is no {what} \"{name}\"; there are: {known}"
    )])
}

/// What is closed, a line each.
fn told(closings: &Closings) -> String {
    let mut text = String::new();
    for (hospital, calendar, Closing { until, reason }) in closings.all() {
        let minutes = (until - wall()) / 60_000;
        text += &format!("{hospital} {calendar}: closed for {minutes} min more: {reason}\n");
    }
    if text.is_empty() {
        text.push_str("Every desk keeps its hours.\n");
    }
    text
}

/// Waits for the pump, from a thread that has no runtime of its own.
fn wait(mut changed: oneshot::Receiver<()>) -> Result<(), PublishError> {
    let until = std::time::Instant::now() + CHANGE_MAX;
    loop {
        match changed.try_recv() {
            Ok(()) => return Ok(()),
            Err(oneshot::error::TryRecvError::Empty) if std::time::Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(_) => return Err(PublishError::Stopping),
        }
    }
}

/// The file in the data directory that holds the flows' versions.
const VERSIONS: &str = "published";

/// Gives each flow whose text isn't that of its latest version the next number.
fn raised(versions: &mut Versions, helpdesk: &HelpDesk) -> Vec<(String, u32)> {
    let mut new = Vec::new();
    for (name, text) in &helpdesk.texts {
        let hash = blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
        let (number, known) = versions.entry(name.clone()).or_default();
        if *known != hash {
            *number += 1;
            *known = hash;
            new.push((name.clone(), *number));
        }
    }
    new
}

/// In whose logs new versions of flows belong: of each hospital whose callers walk through them.
fn published(helpdesk: &HelpDesk, versions: &[(String, u32)]) -> Vec<(TenantId, FlowName, u32)> {
    let mut published = Vec::new();
    for hospital in &helpdesk.hospitals {
        let answering = hospital.lines.iter();
        let answering = answering.filter_map(|line| helpdesk.flows.get(&line.flow));
        let walked: BTreeSet<&str> = answering.flat_map(|flow| flow.parts()).collect();
        for (flow, version) in versions {
            if walked.contains(flow.as_str())
                && let Some(name) = FlowName::new(flow)
            {
                published.push((TenantId(hospital.id), name, *version));
            }
        }
    }
    published
}

/// A line for each flow: name, number, hash. What can't be read counts from 1 again.
fn read_versions(data_dir: &Path) -> Versions {
    let text = std::fs::read_to_string(data_dir.join(VERSIONS)).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        let number = words.next()?.parse().ok()?;
        Some((name, (number, words.next()?.to_owned())))
    };
    text.lines().filter_map(line).collect()
}

fn write_versions(data_dir: &Path, versions: &Versions) -> io::Result<()> {
    use std::fmt::Write;
    let mut text = String::new();
    for (name, (number, hash)) in versions {
        let _ = writeln!(text, "{name} {number} {hash}");
    }
    let draft = data_dir.join("published.new");
    std::fs::write(&draft, text)?;
    std::fs::rename(draft, data_dir.join(VERSIONS))
}
