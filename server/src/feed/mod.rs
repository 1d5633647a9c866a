//! Programs of the hospitals are told what is written into their logs.
//!
//! The log is the outbox: an event that was committed is told, in its order,
//! and again until it is taken; how far is remembered in the database. So
//! nothing is told that isn't durable, nothing that is durable is forgotten,
//! and whoever was away for an hour ends with the same totals. After a crash
//! the last second's may be told twice, by the same id. Events hold ids, words,
//! times and numbers, and nobody's name.
//!
//! One thread for all of them; calls don't know of it.

mod servicenow;
mod webhook;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use desk::TenantId;
use hyper::header::HeaderValue;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

use crate::config::{ConfigError, HelpDesk, SERVICENOW};
use crate::outward::Authorities;
use crate::store::{ApiStore, History, Logged, Reader, StoreError};
use servicenow::{Record, ServiceNow};
use webhook::Webhook;

/// Events read at a time.
const EVENTS_AT_ONCE: usize = 100;
/// Names looked up, and places remembered, at a time.
const BLOCKING_MAX: usize = 8;

/// Longest pause that a far end may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// Times, which tests shorten.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// A place in the log is remembered no later than this.
    pub remember: Duration,
    /// A look at the log without having been woken.
    pub idle: Duration,
    /// The pause after a failure; the last goes on.
    pub pauses: [Duration; 6],
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            remember: Duration::from_secs(1),
            idle: Duration::from_secs(5),
            pauses: [1, 5, 15, 60, 120, 300].map(Duration::from_secs),
        }
    }
}

impl Pace {
    /// After so many failures in a row; a part of it depends on the event, so that not all who
    /// were away are told again in the same moment.
    fn pause(&self, failures: usize, seq: u64) -> Duration {
        let last = self.pauses.len() - 1;
        let pause = self.pauses[failures.saturating_sub(1).min(last)];
        pause + pause.mul_f64((seq % 16) as f64 / 64.0)
    }
}

/// What comes of telling once.
enum Verdict {
    Taken,
    /// Not this event, ever; why.
    Refused(String),
    /// Perhaps later; why not now, and how long the far end wants to be left alone.
    Later(String, Option<Duration>),
    /// Nothing more, until somebody has looked at it.
    Gone,
}

/// A system that is told. Nothing of it is shown.
enum Connector {
    Webhook(Box<Webhook>),
    ServiceNow(Box<ServiceNow>),
}

/// What one is told at a time.
enum Message {
    Event(webhook::Message),
    Record(Record),
}

impl Connector {
    /// What the first of these events means to it; `None`: nothing.
    fn message(
        &self,
        key: &Key,
        events: &[Logged],
        reader: &Reader,
    ) -> Result<Option<Message>, StoreError> {
        Ok(match self {
            Self::Webhook(webhook) => {
                let message = events.first().and_then(|event| webhook.message(event));
                message.map(Message::Event)
            }
            Self::ServiceNow(servicenow) => {
                let known = |ticket| servicenow::known(reader, (key.0, &key.1), ticket);
                servicenow.record(events, known)?.map(Message::Record)
            }
        })
    }

    /// Tells it once. `at`: Unix milliseconds.
    async fn send(&self, message: &mut Message, at: i64) -> Verdict {
        match (self, message) {
            (Self::Webhook(webhook), Message::Event(message)) => webhook.send(message, at).await,
            (Self::ServiceNow(servicenow), Message::Record(record)) => {
                servicenow.send(record, at).await
            }
            _ => Verdict::Refused("it isn't meant for this".to_owned()),
        }
    }
}

/// Seconds, as `Retry-After` has them (RFC 9110 section 10.2.3); a date is as good as nothing.
fn seconds(header: Option<&HeaderValue>) -> Option<Duration> {
    let seconds: u64 = header?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

type Key = (TenantId, String);

/// Every hospital's webhooks and other systems. Nothing of it is shown.
#[derive(Clone, Default)]
pub struct Book(BTreeMap<Key, Arc<Told>>);

/// Who is told, and whose log: the hospital's key.
struct Told {
    hospital: String,
    connector: Connector,
}

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Book {
    /// Finds the secrets and certificates that the folder's webhooks need.
    ///
    /// # Errors
    /// What isn't where the folder says.
    pub fn read(helpdesk: &HelpDesk, dir: &Path) -> Result<Self, ConfigError> {
        let mut book = BTreeMap::new();
        let mut authorities = Authorities::default();
        for hospital in &helpdesk.hospitals {
            let file = dir.join("hospitals").join(format!("{}.yaml", hospital.key));
            let mut add = |name: &str, connector: Result<Connector, String>| {
                let connector = connector
                    .map_err(|fault| ConfigError::new(&file, format!("\"{name}\": {fault}")))?;
                let told = Told {
                    hospital: hospital.key.clone(),
                    connector,
                };
                book.insert((TenantId(hospital.id), name.to_owned()), Arc::new(told));
                Ok::<_, ConfigError>(())
            };
            for (name, config) in &hospital.webhooks {
                let webhook = Webhook::of(&hospital.key, config, dir, &mut authorities);
                add(name, webhook.map(|it| Connector::Webhook(Box::new(it))))?;
            }
            if let Some(config) = &hospital.servicenow {
                let servicenow = ServiceNow::of(&hospital.key, config, dir, &mut authorities);
                add(
                    SERVICENOW,
                    servicenow.map(|it| Connector::ServiceNow(Box::new(it))),
                )?;
            }
        }
        Ok(Self(book))
    }
}

/// How it stands with somebody who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whose log: the hospital's key.
    pub hospital: String,
    /// Whom: the webhook's name.
    pub name: String,
    /// Events taken since the start.
    pub taken: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Events refused for good, and left out.
    pub refused: u64,
    /// Events of the log that it hasn't come to yet.
    pub behind: u64,
    /// Said to be gone (410): not told anything until the next start, or change of the folder.
    pub gone: bool,
}

type Board = Arc<Mutex<BTreeMap<Key, Standing>>>;

/// Those who are told.
#[derive(Debug, Clone)]
pub struct Feed {
    book: watch::Sender<Book>,
    board: Board,
}

impl Feed {
    /// Starts the thread. It ends with this. `committed` changes when something was written.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(
        store: ApiStore,
        book: Book,
        committed: watch::Receiver<()>,
        now: fn() -> i64,
        pace: Pace,
    ) -> io::Result<Self> {
        let (book, books) = watch::channel(book);
        let board = Board::default();
        let means = Means {
            store,
            board: Arc::clone(&board),
            now,
            pace,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_MAX)
            .build()?;
        std::thread::Builder::new()
            .name("feed".into())
            .spawn(move || {
                LocalSet::new().block_on(&runtime, follow_all(&means, books, &committed));
                runtime.shutdown_background();
            })?;
        Ok(Self { book, board })
    }

    /// Others from now on. What was on its way to somebody may be told twice.
    pub fn serve(&self, book: Book) {
        self.book.send_replace(book);
    }

    /// How it stands with each.
    pub fn standings(&self) -> Vec<Standing> {
        lock(&self.board).values().cloned().collect()
    }

    /// Of nobody.
    #[cfg(test)]
    pub(crate) fn of_nobody() -> Self {
        Self {
            book: watch::channel(Book::default()).0,
            board: Board::default(),
        }
    }
}

fn lock(board: &Board) -> MutexGuard<'_, BTreeMap<Key, Standing>> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Means {
    store: ApiStore,
    board: Board,
    now: fn() -> i64,
    pace: Pace,
}

async fn follow_all(
    means: &Means,
    mut books: watch::Receiver<Book>,
    committed: &watch::Receiver<()>,
) {
    let shared = Rc::new(RefCell::new(None));
    loop {
        let book = books.borrow_and_update().clone();
        lock(&means.board).retain(|key, _| book.0.contains_key(key));
        let mut following = JoinSet::new();
        for (key, told) in book.0 {
            let mut board = lock(&means.board);
            let standing = board.entry(key.clone()).or_default();
            standing.hospital.clone_from(&told.hospital);
            standing.name.clone_from(&key.1);
            standing.gone = false;
            drop(board);
            let follower = Follower {
                means: means.clone(),
                key,
                told,
                reader: Rc::clone(&shared),
                remembered: Instant::now(),
            };
            following.spawn_local(follower.follow(committed.clone()));
        }
        // Dropping the set ends those who follow.
        if books.changed().await.is_err() {
            return;
        }
    }
}

/// Why the log can't be followed now.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("how far it was told can't be remembered: {0}")]
    Memory(String),
}

/// Tells one hospital's log to one system.
struct Follower {
    means: Means,
    key: Key,
    told: Arc<Told>,
    /// One connection for all: it is used for moments.
    reader: Rc<RefCell<Option<Reader>>>,
    remembered: Instant,
}

impl Follower {
    async fn follow(mut self, mut committed: watch::Receiver<()>) {
        let (tenant, name) = (self.key.0.0, self.key.1.clone());
        let mut failed = false;
        loop {
            match self.tell_on(&mut committed).await {
                Ok(()) => {
                    tracing::error!(
                        tenant,
                        name,
                        "webhook says it is gone (410): it is told nothing more until `careline apply` or a restart"
                    );
                    self.stand(|standing| standing.gone = true);
                    return;
                }
                Err(fault) => {
                    if !std::mem::replace(&mut failed, true) {
                        tracing::warn!(%fault, tenant, name, "webhook can't be told the log; calls go on");
                    }
                    self.reader.replace(None);
                    tokio::time::sleep(self.means.pace.idle).await;
                }
            }
        }
    }

    /// Tells until the far end is gone for good.
    async fn tell_on(&mut self, committed: &mut watch::Receiver<()>) -> Result<(), Fault> {
        let (tenant, name) = (self.key.0, self.key.1.clone());
        let told = self.read(|reader| reader.told(tenant, &name))?;
        let mut at = match told {
            Some(at) => at,
            // Whoever is new is told what happens from now on; what was before, the API tells.
            None => {
                let last = self.read(|reader| reader.last_seq(tenant))?;
                self.remember(last).await?;
                last
            }
        };
        let mut remembered = at;
        loop {
            committed.borrow_and_update();
            let rows = self.read(|reader| reader.events_after(tenant, at, EVENTS_AT_ONCE))?;
            for (index, logged) in rows.iter().enumerate() {
                if !self.tell(logged.seq, &rows[index..]).await? {
                    self.remember(at).await?;
                    return Ok(());
                }
                at = logged.seq;
                if self.remembered.elapsed() >= self.means.pace.remember {
                    self.remember(at).await?;
                    remembered = at;
                }
            }
            let last = self.read(|reader| reader.last_seq(tenant))?;
            self.stand(|standing| standing.behind = last.saturating_sub(at));
            if rows.len() == EVENTS_AT_ONCE {
                continue;
            }
            // What nobody wanted is passed over without a write of its own for each.
            let due = self
                .means
                .pace
                .remember
                .saturating_sub(self.remembered.elapsed());
            let wait = if at == remembered {
                self.means.pace.idle
            } else {
                due
            };
            match tokio::time::timeout(wait, committed.changed()).await {
                // Nothing is written any more: the server stops.
                Ok(Err(_)) => std::future::pending().await,
                Ok(Ok(())) => {}
                Err(_) if at != remembered => {
                    self.remember(at).await?;
                    remembered = at;
                }
                Err(_) => {}
            }
        }
    }

    /// The first of these events, until it is taken, or refused for good. False: nothing more is wanted there.
    async fn tell(&mut self, seq: u64, events: &[Logged]) -> Result<bool, Fault> {
        let message = self.read(|reader| self.told.connector.message(&self.key, events, reader))?;
        let Some(mut message) = message else {
            return Ok(true);
        };
        let (tenant, name) = (self.key.0.0, self.key.1.clone());
        let mut failures = 0;
        loop {
            let now = (self.means.now)();
            let (why, asked, refused) = match self.told.connector.send(&mut message, now).await {
                Verdict::Taken => {
                    self.remember_name(&message).await?;
                    if failures > 0 {
                        tracing::info!(tenant, name, seq, failures, "webhook takes events again");
                    }
                    self.stand(|standing| standing.taken += 1);
                    return Ok(true);
                }
                Verdict::Gone => return Ok(false),
                Verdict::Refused(why) => (why, None, true),
                Verdict::Later(why, asked) => (why, asked, false),
            };
            failures += 1;
            self.stand(|standing| standing.failed += 1);
            if refused && failures >= self.means.pace.pauses.len() {
                tracing::error!(
                    tenant,
                    name,
                    seq,
                    why,
                    "webhook refuses an event: it is left out"
                );
                self.stand(|standing| standing.refused += 1);
                return Ok(true);
            }
            if failures == 1 {
                tracing::warn!(
                    tenant,
                    name,
                    seq,
                    why,
                    "webhook doesn't take an event; it is tried again"
                );
            }
            let tenant = self.key.0;
            if let Ok(last) = self.read(|reader| reader.last_seq(tenant)) {
                self.stand(|standing| standing.behind = (last + 1).saturating_sub(seq));
            }
            let pause = self.means.pace.pause(failures, seq);
            tokio::time::sleep(
                asked.map_or(pause, |asked| asked.clamp(pause, PAUSE_MAX.max(pause))),
            )
            .await;
        }
    }

    fn read<T>(&self, ask: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut shared = self.reader.borrow_mut();
        let reader = match shared.take() {
            Some(reader) => reader,
            None => self.means.store.reader()?,
        };
        ask(shared.insert(reader))
    }

    /// What a ticket is called there, once that is known.
    async fn remember_name(&self, message: &Message) -> Result<(), Fault> {
        let Message::Record(Record {
            ticket,
            sys_id: Some(known),
            ..
        }) = message
        else {
            return Ok(());
        };
        let ((tenant, name), ticket, known) = (self.key.clone(), *ticket, known.clone());
        let before = self.read(|reader| reader.known_as(tenant, &name, ticket))?;
        if before.as_ref() == Some(&known) {
            return Ok(());
        }
        let store = self.means.store.clone();
        let write = move || store.known_as(tenant, &name, ticket, &known);
        let written = tokio::task::spawn_blocking(write).await;
        let written = written.map_err(|error| Fault::Memory(error.to_string()))?;
        written.map_err(|error| Fault::Memory(error.to_string()))
    }

    async fn remember(&mut self, seq: u64) -> Result<(), Fault> {
        let (tenant, name) = self.key.clone();
        let store = self.means.store.clone();
        // It waits for the writer.
        let written = tokio::task::spawn_blocking(move || store.told(tenant, &name, seq));
        let written = written
            .await
            .map_err(|error| Fault::Memory(error.to_string()))?;
        written.map_err(|error| Fault::Memory(error.to_string()))?;
        self.remembered = Instant::now();
        Ok(())
    }

    fn stand(&self, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = lock(&self.means.board).get_mut(&self.key) {
            change(standing);
        }
    }
}

#[cfg(test)]
mod tests;
