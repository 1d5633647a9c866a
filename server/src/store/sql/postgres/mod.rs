//! PostgreSQL.
//!
//! Statements of a transaction are sent one behind the other without waiting;
//! their answers are taken by the next question, or by the commit.
//!
//! **One writer.** A session that writes holds an advisory lock; a second
//! Careline finds it taken. The lock ends with its session, however that ends,
//! and may then be somebody else's: so each start raises the count in `start`,
//! and each transaction begins by changing that row if its count is still its
//! writer's. Who was cut off and comes back writes nothing more.
//!
//! **A commit without an answer.** The same change counts `written` up. When
//! the answer to a COMMIT is lost, the row tells whether it happened, as soon
//! as it can be locked: until the old session is over, it can't. One that waits
//! for a synchronous standby is let wait: ended, it would commit without it.
//!
//! **A fail-over.** Of several hosts the one that takes writes is asked. If it
//! counts fewer transactions than were confirmed, it was behind when it took
//! over: nothing more is written there until somebody has looked.

pub(super) mod cell;
mod server;
mod session;
mod tls;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::insert::Texts;
use super::{DatabaseError, Insert, NotCommitted, Row, Value, values};
use crate::store::{Settings, StoreError};

pub use server::Server;
use session::Session;

/// Rows written by one statement, where there are as many.
pub(super) const ROWS: &[usize] = &[64, 8, 1];

/// How long a start waits for whoever wrote before: a process that was killed
/// may be noticed a moment later.
const START_WAIT: Duration = Duration::from_secs(3);
/// How long reading waits for a next row.
const READ_WAIT: Duration = Duration::from_secs(60);
/// Pauses between two attempts to connect.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The oldest that has all we ask for, and is still looked after.
const VERSION_MIN: i64 = 130_000;
/// The advisory lock of whoever writes: "Careline".
const LOCK: i64 = 0x4361_7265_6c69_6e65;
/// A lock that wasn't given in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

pub(super) struct Connection {
    server: Server,
    writes: bool,
    lock_wait: Duration,
    answer_wait: Duration,
    texts: Texts,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    /// A transaction has begun, and hasn't ended.
    in_transaction: bool,
    /// The count of `start` that is ours, once it is known.
    start: Option<u32>,
    /// Nothing is written any more, and why.
    barred: Option<Barred>,
    /// What `written` was after the latest transaction that is known to be there.
    confirmed: Option<i64>,
    /// What `written` is after the transaction that is open, or that nobody knows the end of.
    written: Option<i64>,
    /// Our latest session, as the server knows it.
    backend: Option<(i64, String)>,
    /// No new attempt to connect before.
    not_before: Option<Instant>,
    pause: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Barred {
    /// Somebody else has started.
    TakenOver,
    /// Transactions are gone that were there.
    Behind,
}

impl From<Barred> for StoreError {
    fn from(barred: Barred) -> Self {
        match barred {
            Barred::TakenOver => Self::TakenOver,
            Barred::Behind => Self::Behind,
        }
    }
}

impl Connection {
    pub(super) fn to_write(server: Server, settings: &Settings) -> Result<Self, StoreError> {
        let connection = Self {
            server,
            writes: true,
            lock_wait: settings.busy_wait,
            answer_wait: settings.answer_wait,
            texts: Texts::default(),
            state: RefCell::default(),
        };
        let mut session = connection.session(READ_WAIT)?;
        let mut state = connection.state()?;
        state.backend = Some(backend(&mut session)?);
        take_lock(&mut session, START_WAIT)?;
        state.session = Some(session);
        drop(state);
        Ok(connection)
    }

    pub(super) fn to_read(server: Server) -> Result<Self, StoreError> {
        let connection = Self {
            server,
            writes: false,
            lock_wait: Duration::ZERO,
            answer_wait: READ_WAIT,
            texts: Texts::default(),
            state: RefCell::default(),
        };
        let session = connection.session(READ_WAIT)?;
        connection.state()?.session = Some(session);
        Ok(connection)
    }

    fn state(&self) -> Result<std::cell::RefMut<'_, State>, DatabaseError> {
        self.state.try_borrow_mut().map_err(|_| DatabaseError::Busy)
    }

    pub(super) fn hold(&self, start: u32) -> Result<(), StoreError> {
        let mut state = self.state()?;
        state.start = Some(start);
        if let Some(session) = &mut state.session {
            self.bound(session)?;
        }
        Ok(())
    }

    /// From now on nothing takes longer than somebody waits for it.
    fn bound(&self, session: &mut Session) -> Result<(), StoreError> {
        session.batch(&format!(
            "SET lock_timeout = {}; SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}",
            self.lock_wait.as_millis().max(1),
            self.answer_wait.as_millis().max(1),
            2 * self.answer_wait.as_millis().max(1),
        ))?;
        // Its own deadline comes first, and says more.
        session.answer_wait = self.answer_wait + Duration::from_millis(500);
        Ok(())
    }

    /// A session with a server that may be trusted with a log.
    fn session(&self, answer_wait: Duration) -> Result<Session, StoreError> {
        let mut session = Session::open(&self.server, answer_wait)?;
        let settings = match self.writes {
            // Who is cut off is gone for the server, too, after ten seconds: then somebody else may write.
            true => {
                "SET client_min_messages = error; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; \
                 SET tcp_keepalives_count = 3; SET tcp_user_timeout = 10000; \
                 SET default_transaction_isolation = 'read committed'; SET synchronous_commit = on"
            }
            false => "SET client_min_messages = error; SET default_transaction_read_only = on",
        };
        session.batch(settings)?;
        let unsuitable = session.row(
            "SELECT pg_is_in_recovery(), current_setting('server_version_num')::bigint, \
             current_setting('fsync') = 'on', current_setting('server_encoding') = 'UTF8'",
            &[],
            |row| {
                Ok(if row.get(0)? {
                    Some("it is a standby: its answers may be old, and it takes no writes; name the primary")
                } else if row.get::<i64>(1)? < VERSION_MIN {
                    Some("PostgreSQL 13 or later is needed")
                } else if !row.get::<bool>(2)? {
                    Some("its `fsync` is off: what callers were told wouldn't survive a power cut")
                } else if !row.get::<bool>(3)? {
                    Some("its encoding isn't UTF8: create the database with ENCODING 'UTF8'")
                } else {
                    None
                })
            },
        )?;
        match unsuitable.flatten() {
            Some(why) => Err(StoreError::Unsuitable(why)),
            None => Ok(session),
        }
    }

    /// Does something with the session. One that is gone is replaced, but in a transaction.
    fn with<T>(
        &self,
        state: &mut State,
        ask: impl FnOnce(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if state.session.as_ref().is_none_or(Session::is_closed) {
            state.session = None;
            if state.in_transaction {
                return Err(DatabaseError::lost("it broke off within a transaction").into());
            }
            self.reconnect(state)?;
        }
        let Some(session) = &mut state.session else {
            return Err(DatabaseError::lost("there is none").into());
        };
        let answer = ask(session);
        if matches!(answer, Err(StoreError::Database(DatabaseError::Lost(_)))) {
            state.session = None;
        }
        answer
    }

    fn reconnect(&self, state: &mut State) -> Result<(), StoreError> {
        if let Some(barred) = state.barred {
            return Err(barred.into());
        }
        if state.not_before.is_some_and(|at| Instant::now() < at) {
            return Err(DatabaseError::lost("it was tried a moment ago").into());
        }
        let connected = self.connect_again(state);
        match &connected {
            Ok(()) => {
                state.not_before = None;
                state.pause = Duration::ZERO;
                tracing::info!(database = %self.server, "connected to the database again");
            }
            Err(error) => {
                state.barred = match error {
                    StoreError::TakenOver => Some(Barred::TakenOver),
                    StoreError::Behind => Some(Barred::Behind),
                    _ => None,
                };
                state.pause = (state.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                state.not_before = Some(Instant::now() + state.pause);
            }
        }
        connected
    }

    fn connect_again(&self, state: &mut State) -> Result<(), StoreError> {
        let mut session = self.session(self.answer_wait)?;
        if self.writes {
            let ours = backend(&mut session)?;
            state.is_ours(&mut session)?;
            if let Some(before) = &state.backend {
                end_backend(&mut session, before)?;
            }
            state.backend = Some(ours);
            take_lock(&mut session, self.lock_wait)?;
            state.is_ours(&mut session)?;
            self.bound(&mut session)?;
        }
        state.session = Some(session);
        Ok(())
    }

    pub(super) fn begin(&self) -> Result<(), StoreError> {
        let mut state = self.state()?;
        let start = state.start;
        state.written = None;
        let written = self.with(&mut state, |session| {
            session.send_batch("BEGIN")?;
            let Some(start) = start else {
                session.settle()?;
                return Ok(None);
            };
            let written = session.row(
                "UPDATE start SET written = written + 1 WHERE count = ?1 RETURNING written",
                &values![start],
                |row| row.get(0),
            )?;
            written.ok_or(StoreError::TakenOver).map(Some)
        });
        // Also of what failed there may be a beginning.
        state.in_transaction = true;
        if matches!(written, Err(StoreError::TakenOver)) {
            state.barred = Some(Barred::TakenOver);
        }
        state.written = written?;
        Ok(())
    }

    pub(super) fn commit(&self) -> Result<(), NotCommitted> {
        let mut state = self
            .state()
            .map_err(|error| NotCommitted::Certainly(error.into()))?;
        // Nothing that failed is behind us: a COMMIT of that would be a rollback, and no error.
        self.with(&mut state, |session| Ok(session.settle()?))
            .map_err(NotCommitted::Certainly)?;
        // A time limit that ends the wait for a synchronous standby ends in success, without it: here
        // only we have one.
        let sql = "SET LOCAL statement_timeout = 0; COMMIT";
        let committed = self.with(&mut state, |session| Ok(session.batch(sql)?));
        match committed {
            Ok(()) => {
                state.in_transaction = false;
                state.confirmed = state.written.take().or(state.confirmed);
                Ok(())
            }
            Err(error @ StoreError::Database(DatabaseError::Lost(_))) => {
                state.in_transaction = false;
                Err(NotCommitted::Perhaps(error))
            }
            Err(error) => Err(NotCommitted::Certainly(error)),
        }
    }

    pub(super) fn roll_back(&self) {
        let Ok(mut state) = self.state() else { return };
        if !std::mem::take(&mut state.in_transaction) {
            return;
        }
        // Without a session there is no transaction.
        let Some(session) = &mut state.session else {
            return;
        };
        // What had failed is known.
        let _ = session.settle();
        if let Err(error) = session.batch("ROLLBACK") {
            tracing::error!(%error, "a failed transaction can't be rolled back; its session is given up");
            state.session = None;
        }
    }

    pub(super) fn outcome(&self) -> Result<bool, StoreError> {
        let mut state = self.state()?;
        let (Some(start), Some(written)) = (state.start, state.written) else {
            return Ok(false);
        };
        state.session = None;
        let mut session = self.session(self.answer_wait)?;
        self.bound(&mut session)?;
        // Whoever is still within that transaction holds the row.
        let found = session.row("SELECT count, written FROM start FOR UPDATE", &[], |row| {
            Ok((row.get::<u32>(0)?, row.get::<i64>(1)?))
        });
        match found {
            Ok(Some((count, _))) if count != start => {
                state.barred = Some(Barred::TakenOver);
                Err(StoreError::TakenOver)
            }
            Ok(Some((_, found))) => {
                state.written = None;
                let is_there = found >= written;
                if is_there {
                    state.confirmed = Some(written);
                }
                Ok(is_there)
            }
            Ok(None) => Err(StoreError::Unreadable("the count of starts")),
            Err(error) => {
                if is_held(&error)
                    && let Some(before) = &state.backend
                {
                    end_backend(&mut session, before)?;
                }
                Err(error)
            }
        }
    }

    pub(super) fn send(&self, sql: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        let mut state = self.state()?;
        let alone = !state.in_transaction;
        self.with(&mut state, |session| {
            session.send(sql, values)?;
            // There is no commit that would tell.
            match alone {
                true => Ok(session.settle()?),
                false => Ok(()),
            }
        })
    }

    pub(super) fn insert(
        &self,
        insert: &Insert,
        rows: usize,
        values: &[Value<'_>],
    ) -> Result<(), StoreError> {
        self.send(&self.texts.get(insert, rows), values)
    }

    pub(super) fn rows(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut state = self.state()?;
        self.with(&mut state, |session| session.rows(sql, values, each))
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        let mut state = self.state()?;
        self.with(&mut state, |session| Ok(session.batch(sql)?))
    }

    pub(super) fn close(&self) {
        let Ok(mut state) = self.state() else { return };
        if let Some(session) = &mut state.session {
            // The lock is free at once, rather than when the server has seen that we are gone.
            let _ = session.batch("ROLLBACK; SELECT pg_advisory_unlock_all()");
        }
        state.session = None;
    }
}

/// The session as the server knows it: its process, and since when it runs.
fn backend(session: &mut Session) -> Result<(i64, String), StoreError> {
    let found = session.row(
        "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()",
        &[],
        |row| Ok((row.get(0)?, row.text(1)?.to_owned())),
    )?;
    found.ok_or(StoreError::Unreadable("the list of sessions"))
}

/// Ends a session of ours that the server believes alive; not one that waits for a standby.
fn end_backend(session: &mut Session, (pid, since): &(i64, String)) -> Result<(), StoreError> {
    session.row(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ?1 AND backend_start::text = ?2 \
         AND wait_event IS DISTINCT FROM 'SyncRep'",
        &values![*pid, since],
        |row| row.get::<bool>(0),
    )?;
    Ok(())
}

impl State {
    /// Nobody has started since, and what was there is there.
    fn is_ours(&self, session: &mut Session) -> Result<(), StoreError> {
        let Some(start) = self.start else {
            return Ok(());
        };
        let found = session.row("SELECT count, written FROM start", &[], |row| {
            Ok((row.get::<u32>(0)?, row.get::<i64>(1)?))
        })?;
        match found {
            Some((count, written)) if count == start => match Some(written) < self.confirmed {
                true => Err(StoreError::Behind),
                false => Ok(()),
            },
            _ => Err(StoreError::TakenOver),
        }
    }
}

fn take_lock(session: &mut Session, patience: Duration) -> Result<(), StoreError> {
    let begun = Instant::now();
    loop {
        let taken = session.row("SELECT pg_try_advisory_lock(?1)", &values![LOCK], |row| {
            row.get(0)
        })?;
        if taken == Some(true) {
            return Ok(());
        }
        if begun.elapsed() >= patience {
            return Err(StoreError::InUse);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_held(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Database(DatabaseError::Postgres { code, .. }) if **code == *LOCK_NOT_AVAILABLE
    )
}
