//! The service desk's figures of today, as it goes: the same fold as a
//! [`crate::report`]'s, kept up with the log.
//!
//! One thread reads what was committed, on a connection of its own, at most
//! every [`PACE`]. The pump knows nothing of it. After a crash there is nothing
//! to recover: the store has ended what was left open, and the log is read again.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use desk::figures::{Figures, Quarter, Service, Settings};
use desk::{QueueId, TenantId};
use hours::{Step, Zone};

use crate::config::HelpDesk;
use crate::store::{Database, Reader, StoreError};

/// Least time between two looks at the log.
const PACE: Duration = Duration::from_millis(100);
/// Looks without having been woken: should a wake-up be lost.
const IDLE: Duration = Duration::from_secs(5);
/// Kept: today everywhere, and whoever came in yesterday and is still there.
const KEPT_MS: i64 = 48 * 3_600_000;
/// Events applied while whoever asks has to wait.
const EVENTS_AT_ONCE: usize = 2_000;

/// Today's figures of all hospitals.
#[derive(Clone)]
pub struct Live {
    board: Arc<Mutex<Board>>,
    wake: SyncSender<()>,
}

struct Board {
    settings: Settings,
    /// Other targets: everything is counted again.
    changed: bool,
    hospitals: Vec<Watched>,
}

struct Watched {
    tenant: TenantId,
    key: String,
    zone: Zone,
    figures: Figures,
}

/// One hospital's callers in one queue, today in its zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Today {
    /// The hospital's key.
    pub hospital: String,
    /// Which queue.
    pub queue: QueueId,
    /// Who waits, those being offered included.
    pub waiting: u64,
    /// How long the one who waits longest has, milliseconds; 0 when nobody does.
    pub oldest_wait_ms: i64,
    /// Those who were queued today.
    pub service: Service,
    /// Nothing of today is missing in the log.
    pub complete: bool,
}

/// Wakes the thread. Where the store tells that something is on disk.
pub struct Waker {
    wake: SyncSender<()>,
    woken: Receiver<()>,
}

impl Default for Waker {
    fn default() -> Self {
        let (wake, woken) = sync_channel(1);
        Self { wake, woken }
    }
}

impl Waker {
    /// What the store calls after each group. Never blocks.
    pub fn committed(&self) -> impl Fn() + Send + 'static {
        let wake = self.wake.clone();
        move || {
            // One that waits to be heard is enough.
            let _ = wake.try_send(());
        }
    }
}

impl Live {
    /// Starts the thread. It ends with the process.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn start(
        database: impl Into<Database>,
        helpdesk: &HelpDesk,
        waker: Waker,
        now: fn() -> i64,
    ) -> Result<Self, StoreError> {
        let reader = Reader::open(database)?;
        let settings = helpdesk.targets();
        let watched = |hospital: &crate::config::Hospital| Watched {
            tenant: TenantId(hospital.id),
            key: hospital.key.clone(),
            zone: zone(hospital.zone.as_deref()),
            figures: Figures::default(),
        };
        let mut board = Board {
            settings,
            changed: false,
            hospitals: helpdesk.hospitals.iter().map(watched).collect(),
        };
        board.begin(&reader, now())?;
        let Waker { wake, woken } = waker;
        let live = Self {
            board: Arc::new(Mutex::new(board)),
            wake,
        };
        let thread = live.board.clone();
        std::thread::Builder::new()
            .name("figures".into())
            .spawn(move || follow(&thread, &reader, &woken, now))
            .map_err(StoreError::Thread)?;
        Ok(live)
    }

    /// Counts by other targets from now on, and all of today by them.
    pub fn retarget(&self, settings: Settings) {
        let mut board = lock(&self.board);
        if board.settings != settings {
            board.settings = settings;
            board.changed = true;
            let _ = self.wake.try_send(());
        }
    }

    /// How each hospital stands in each queue where somebody waits or was today.
    pub fn today(&self, now: i64) -> Vec<Today> {
        let board = lock(&self.board);
        board
            .hospitals
            .iter()
            .flat_map(|hospital| hospital.today(now))
            .collect()
    }

    /// How far a hospital's log has been read.
    pub fn last_seq(&self, tenant: TenantId) -> Option<u64> {
        let board = lock(&self.board);
        let hospital = board.hospitals.iter().find(|known| known.tenant == tenant);
        hospital.map(|hospital| hospital.figures.last_seq())
    }
}

#[cfg(test)]
impl Live {
    /// Of no hospital.
    pub(crate) fn of_nobody() -> Self {
        let board = Board {
            settings: Settings::default(),
            changed: false,
            hospitals: Vec::new(),
        };
        Self {
            board: Arc::new(Mutex::new(board)),
            wake: sync_channel(1).0,
        }
    }

    /// A hospital's figures as they are now.
    pub(crate) fn figures(&self, tenant: TenantId) -> Option<Figures> {
        let board = lock(&self.board);
        let hospital = board.hospitals.iter().find(|known| known.tenant == tenant);
        hospital.map(|hospital| hospital.figures.clone())
    }
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

fn zone(name: Option<&str>) -> Zone {
    // Checked when the folder was read; without hours nobody has to have one.
    name.and_then(|name| Zone::find(name).ok())
        .unwrap_or(Zone::UTC)
}

fn follow(board: &Mutex<Board>, reader: &Reader, woken: &Receiver<()>, now: fn() -> i64) {
    let mut failed = false;
    loop {
        match woken.recv_timeout(IDLE) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let begun = Instant::now();
        let read = read_on(board, reader, now());
        if let Err(error) = &read
            && !failed
        {
            tracing::warn!(%error, "today's figures can't be kept up; calls go on");
        }
        failed = read.is_err();
        // The thread is the figures' alone.
        std::thread::sleep(PACE.saturating_sub(begun.elapsed()));
    }
}

fn read_on(board: &Mutex<Board>, reader: &Reader, now: i64) -> Result<(), StoreError> {
    {
        let mut board = lock(board);
        if board.changed {
            board.begin(reader, now)?;
            board.changed = false;
        }
        let old = Quarter::of(now.saturating_sub(2 * KEPT_MS));
        for hospital in &mut board.hospitals {
            hospital.figures.forget_before(old);
        }
    }
    for (tenant, last) in reader.tenants()? {
        loop {
            let mut board = lock(board);
            let mut hospitals = board.hospitals.iter_mut();
            let Some(hospital) = hospitals.find(|known| known.tenant == tenant) else {
                break;
            };
            let figures = &mut hospital.figures;
            if figures.last_seq() >= last || reader.read_into(tenant, figures, EVENTS_AT_ONCE)? == 0
            {
                break;
            }
        }
    }
    Ok(())
}

impl Board {
    /// Begins to read, so early that nobody who came in before is still there.
    fn begin(&mut self, reader: &Reader, now: i64) -> Result<(), StoreError> {
        for hospital in &mut self.hospitals {
            let after = reader.seq_before(hospital.tenant, now.saturating_sub(KEPT_MS))?;
            hospital.figures = Figures::new(self.settings.clone(), after);
        }
        Ok(())
    }
}

impl Watched {
    fn today(&self, now: i64) -> Vec<Today> {
        let date = self.zone.date(now);
        let day = self.zone.periods(&date, &date, Step::Day).ok();
        let Some(day) = day.as_ref().and_then(|days| days.first()) else {
            return Vec::new();
        };
        let range = Quarter::of(day.from)..Quarter::of(day.to);
        let waiting = self.figures.waiting();
        let of_today = self.figures.service(range.clone());
        let mut queues: BTreeSet<QueueId> = waiting.keys().copied().collect();
        queues.extend(of_today.filter_map(|(key, _)| key.queue));
        let complete = self.figures.incomplete(range.clone()).is_empty();
        let queue = |queue: QueueId| {
            let mut service = Service::default();
            let of_today = self.figures.service(range.clone());
            for (_, cell) in of_today.filter(|(key, _)| key.queue == Some(queue)) {
                service += cell;
            }
            let waits = waiting.get(&queue).copied().unwrap_or_default();
            let since = waits
                .since
                .map_or(0, |since| now.saturating_sub(since).max(0));
            Today {
                hospital: self.key.clone(),
                queue,
                waiting: waits.contacts,
                oldest_wait_ms: since,
                service,
                complete,
            }
        };
        queues.into_iter().map(queue).collect()
    }
}
