//! `careline people import`: a file's people are known from the next call on,
//! all of them or, after an error, none.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use desk::TenantId;
use desk::people::import::{BYTES_MAX, Batch, Context, Missing, Plan, Policy, csv, fhir, plan};
use desk::people::{Change, Register};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::{CHANGE_MAX, PublishError, Publisher, unknown};
use crate::config::Hospital;
use crate::node::{Control, wall};
use crate::people::is_greeted;
use crate::serve::setup::{self, number_rule};

/// Names of whom greetings are rendered ahead after an import.
const NAMES_AHEAD_MAX: usize = 1_000;

/// What an administrator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The hospital's key.
    pub hospital: String,
    /// The source's name.
    pub source: String,
    /// The file.
    pub file: PathBuf,
    /// How it is taken.
    pub policy: Policy,
    /// Do it; else only say what it would change.
    pub apply: bool,
    /// Tell what stands in fields, which is personal data.
    pub show: bool,
}

impl Import {
    /// As a question to the server: words separated by tabs.
    pub fn question(&self) -> String {
        let Policy {
            missing,
            skip_bad_rows,
            remove_many,
        } = self.policy;
        let flags = [
            (self.apply, 'a'),
            (self.show, 's'),
            (missing == Missing::Remove, 'r'),
            (skip_bad_rows, 'b'),
            (remove_many, 'm'),
        ];
        let flags = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag);
        let flags: String = ['-'].iter().chain(flags).collect();
        let Self {
            hospital,
            source,
            file,
            ..
        } = self;
        format!("people\t{hospital}\t{source}\t{flags}\t{}", file.display())
    }

    /// The same, read by the server.
    pub fn read(hospital: &str, source: &str, flags: &str, file: &str) -> Self {
        let has = |flag| flags.contains(flag);
        Self {
            hospital: hospital.to_owned(),
            source: source.to_owned(),
            file: PathBuf::from(file),
            policy: Policy {
                missing: if has('r') {
                    Missing::Remove
                } else {
                    Missing::Keep
                },
                skip_bad_rows: has('b'),
                remove_many: has('m'),
            },
            apply: has('a'),
            show: has('s'),
        }
    }

    /// What it would change, by a register.
    ///
    /// # Errors
    /// The source's name or the file.
    pub fn plan(&self, register: &Register, hospital: &Hospital) -> Result<Plan, String> {
        let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.source == desk::FILE {
            return Err(
                "the source \"file\" is the hospital's own list; call this one e.g. hr".to_owned(),
            );
        }
        if self.source.is_empty() || self.source.len() > 32 || !self.source.chars().all(named) {
            return Err("a source is called by small letters, digits and -, e.g. hr".to_owned());
        }
        let bytes =
            read(&self.file).map_err(|error| format!("{}: {error}", self.file.display()))?;
        let rule = number_rule(hospital);
        let now = wall();
        let context = Context {
            rule: &rule,
            now,
            zone: hospital.zone.as_deref(),
        };
        let batch = parsed(&bytes, context);
        Ok(plan(register, &self.source, batch, self.policy, now))
    }

    /// The plan in words.
    pub fn told(&self, plan: &Plan) -> String {
        plan.report
            .text(self.show.then_some(plan.changes.as_slice()))
    }
}

/// A little more than may be read, so that what is too large is told as such.
fn read(file: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let most = BYTES_MAX as u64 + 1;
    let file = File::open(file)?;
    // At once as large as it gets: what grows leaves copies behind.
    let large = file.metadata()?.len().min(most);
    let room = usize::try_from(large).unwrap_or(BYTES_MAX) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// JSON begins with a brace, which no heading does.
fn parsed(bytes: &[u8], context: Context<'_>) -> Batch {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match text.trim_ascii_start().first() {
        Some(b'{' | b'[') => fhir(bytes, context),
        _ => csv(bytes, context),
    }
}

impl Publisher {
    /// Imports people, or says what an import would change.
    ///
    /// # Errors
    /// What is wrong: nothing has changed.
    pub fn import(&self, import: &Import) -> Result<String, PublishError> {
        let refused = |why: String| PublishError::Obstacles(vec![why]);
        let stored = |error: &dyn std::fmt::Display| refused(format!("people: {error}"));
        let _turn = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let (served, _) = self.served();
        let hospitals = &served.helpdesk.hospitals;
        let found = hospitals.iter().find(|known| known.key == import.hospital);
        let Some(hospital) = found else {
            let known = hospitals.iter().map(|hospital| &hospital.key);
            return Err(unknown("hospital", &import.hospital, known));
        };
        let tenant = TenantId(hospital.id);
        let register = self
            .people
            .register(tenant)
            .map_err(|error| stored(&error))?;
        let began = Instant::now();
        let mut plan = import.plan(&register, hospital).map_err(refused)?;
        let mut text = import.told(&plan);
        if !import.apply {
            text.push_str("Nothing was changed; --apply does it.\n");
            return Ok(text);
        }
        if plan.report.refused.is_some() {
            return Err(refused(text.trim_end().to_owned()));
        }
        if plan.changes.is_empty() {
            text.push_str("Nothing is to be changed.\n");
            return Ok(text);
        }
        self.people
            .import(
                tenant,
                &import.source,
                wall(),
                &plan.changes,
                std::mem::take(&mut plan.untold),
            )
            .map_err(|error| stored(&error))?;
        let directory = self.people.directory(hospital);
        let directory = Box::new(directory.map_err(|error| stored(&error))?);
        let callable = setup::callable(hospital, &self.people);
        let callable = Box::new(callable.map_err(|error| stored(&error))?);
        let keyring = self.people.keyring(tenant);
        let keyring = keyring.map_err(|error| stored(&error))?;
        self.keyrings.set(tenant, keyring);
        let control = self.control.upgrade().ok_or(PublishError::Stopping)?;
        let (done, changed) = oneshot::channel();
        control
            .blocking_send(Control::People(tenant, directory, callable, done))
            .map_err(|_| PublishError::Stopping)?;
        // What was before is dropped here, where nobody waits for it.
        drop(wait(changed)?);
        let ahead = self.render_greetings(tenant, hospital, &plan.changes);
        let _ = writeln!(
            text,
            "Applied in {} ms, for calls from now on; {ahead} greetings are being rendered.",
            began.elapsed().as_millis()
        );
        Ok(text)
    }

    /// Greetings of who is new or called otherwise, when nobody waits for anything else.
    fn render_greetings(&self, tenant: TenantId, hospital: &Hospital, changes: &[Change]) -> usize {
        let greeted = changes.iter().filter_map(|change| match change {
            Change::Put(profile) => is_greeted(profile),
            Change::Remove { .. } => None,
        });
        let names: Vec<&str> = greeted.take(NAMES_AHEAD_MAX).collect();
        let (served, _) = self.served();
        let flows = &served.helpdesk.flows;
        let mut ahead = 0;
        for (language, studio) in &self.voices {
            let texts = crate::prompts::named(*language, hospital, flows, &names);
            ahead += studio.render_ahead(tenant.0, texts);
        }
        ahead
    }
}

/// Waits until the pump has changed over. It does between two inputs, so that
/// only one that hangs doesn't in time; then it is known after the next start.
fn wait<T>(mut changed: oneshot::Receiver<T>) -> Result<T, PublishError> {
    let until = Instant::now() + CHANGE_MAX;
    loop {
        match changed.try_recv() {
            Ok(before) => return Ok(before),
            Err(oneshot::error::TryRecvError::Empty) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(oneshot::error::TryRecvError::Empty) => return Err(PublishError::Unknown),
            Err(oneshot::error::TryRecvError::Closed) => return Err(PublishError::Stopping),
        }
    }
}
