//! A session with a server.
//!
//! Its socket is served by a thread of its own, which ends with it. Whoever
//! uses it may be on any thread, one of tokio's too, and waits with a deadline.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use futures_util::Stream;
use tokio::sync::oneshot;
use tokio_postgres::error::Severity;
use tokio_postgres::{Client, Statement};

use super::super::{DatabaseError, Row, Value};
use super::cell::Owned;
use super::server::Server;
use crate::store::StoreError;

type Answer = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// Statements sent whose answers nobody has looked at yet.
const ON_THEIR_WAY_MAX: usize = 256;
/// Prepared statements; with more, all are prepared anew.
const STATEMENTS_MAX: usize = 512;

pub(super) struct Session {
    client: Arc<Client>,
    statements: HashMap<Box<str>, Statement>,
    on_their_way: VecDeque<Answer>,
    /// How long an answer may take.
    pub(super) answer_wait: Duration,
    /// Dropped, it ends the thread and closes the socket, whatever is on its way.
    _open: oneshot::Sender<()>,
}

impl Session {
    pub(super) fn open(server: &Server, answer_wait: Duration) -> Result<Self, DatabaseError> {
        // Its own deadline comes first, and says more.
        let connect_wait = server.patience() + Duration::from_millis(500);
        let (opened, wait) = sync_channel(1);
        let (open, closed) = oneshot::channel::<()>();
        let server = server.clone();
        let serve = async move {
            match server.connect().await {
                Ok((client, connection)) => {
                    if opened.send(Ok(client)).is_ok() {
                        connection.await;
                    }
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            }
        };
        std::thread::Builder::new()
            .name("database".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                // Without one, nobody is told and the wait ends.
                if let Ok(runtime) = runtime {
                    runtime.block_on(async {
                        tokio::select! {
                            () = serve => {}
                            _ = closed => {}
                        }
                    });
                }
            })
            .map_err(DatabaseError::lost)?;
        let client = wait.recv_timeout(connect_wait).map_err(|_| {
            DatabaseError::lost(format!("nobody answers within {connect_wait:?}"))
        })??;
        Ok(Self {
            client: Arc::new(client),
            statements: HashMap::new(),
            on_their_way: VecDeque::new(),
            answer_wait,
            _open: open,
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Takes the answers to all that was sent; an error is the first one's.
    pub(super) fn settle(&mut self) -> Result<(), DatabaseError> {
        let mut first = Ok(());
        while let Some(answer) = self.on_their_way.pop_front() {
            let answered = heard(self.answer_wait, answer);
            let lost = matches!(answered, Err(DatabaseError::Lost(_)));
            first = first.and(answered);
            if lost {
                self.on_their_way.clear();
            }
        }
        first
    }

    /// Sends a statement without waiting for its answer.
    pub(super) fn send(&mut self, sql: &str, values: &[Value<'_>]) -> Result<(), DatabaseError> {
        let statement = self.statement(sql)?;
        let values: Vec<Owned> = values.iter().map(|value| Owned::from(*value)).collect();
        let client = Arc::clone(&self.client);
        self.push(Box::pin(async move {
            client.execute_raw(&statement, values).await.map(drop)
        }))
    }

    /// Sends statements without parameters, without waiting for their answer.
    pub(super) fn send_batch(&mut self, sql: &'static str) -> Result<(), DatabaseError> {
        let client = Arc::clone(&self.client);
        self.push(Box::pin(async move { client.batch_execute(sql).await }))
    }

    fn push(&mut self, mut answer: Answer) -> Result<(), DatabaseError> {
        // Polled once, it is sent.
        let sent = answer
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        match sent {
            Poll::Ready(answered) => {
                let answered = answered.map_err(|error| said(&error));
                self.settle().and(answered)
            }
            Poll::Pending => {
                self.on_their_way.push_back(answer);
                match self.on_their_way.len() < ON_THEIR_WAY_MAX {
                    true => Ok(()),
                    false => self.settle(),
                }
            }
        }
    }

    pub(super) fn batch(&mut self, sql: &str) -> Result<(), DatabaseError> {
        self.settle()?;
        heard(self.answer_wait, self.client.batch_execute(sql))
    }

    pub(super) fn rows(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let statement = self.statement(sql)?;
        self.settle()?;
        let values = values.iter().copied();
        let rows = heard(self.answer_wait, self.client.query_raw(&statement, values))?;
        let mut rows = pin!(rows);
        loop {
            let next = std::future::poll_fn(|context| {
                rows.as_mut().poll_next(context).map(Option::transpose)
            });
            match heard(self.answer_wait, next)? {
                Some(row) => each(&Row::Postgres(&row))?,
                None => return Ok(()),
            }
        }
    }

    /// The first row of an answer.
    pub(super) fn row<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut first = None;
        self.rows(sql, values, &mut |row| {
            if first.is_none() {
                first = Some(read(row)?);
            }
            Ok(())
        })?;
        Ok(first)
    }

    fn statement(&mut self, sql: &str) -> Result<Statement, DatabaseError> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        // An answer that nobody reads would hold up this one.
        self.settle()?;
        if self.statements.len() >= STATEMENTS_MAX {
            self.statements.clear();
        }
        let statement = heard(self.answer_wait, self.client.prepare(&numbered(sql)))?;
        self.statements.insert(sql.into(), statement.clone());
        Ok(statement)
    }
}

/// `?1` as PostgreSQL writes it: `$1`.
fn numbered(sql: &str) -> String {
    sql.replace('?', "$")
}

/// Waits for an answer.
fn heard<T>(
    wait: Duration,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, DatabaseError> {
    let begun = Instant::now();
    let mut answer = pin!(answer);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(answered) = answer.as_mut().poll(&mut context) {
            return answered.map_err(|error| said(&error));
        }
        let left = wait.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(DatabaseError::lost(format!("no answer within {wait:?}")));
        }
        std::thread::park_timeout(left);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What went wrong, in our words.
pub(super) fn said(error: &tokio_postgres::Error) -> DatabaseError {
    let of_the_network = |error: &tokio_postgres::Error| {
        error.is_closed()
            || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
    };
    match error.as_db_error() {
        Some(told) => {
            let code = told.code().code();
            let over = matches!(
                told.parsed_severity(),
                Some(Severity::Fatal | Severity::Panic)
            );
            // 08: the connection; 57P: the server stops, or isn't ready yet.
            if over || code.starts_with("08") || code.starts_with("57P") {
                return DatabaseError::lost(format!("{} ({code})", told.message()));
            }
            DatabaseError::Postgres {
                code: code.into(),
                message: told.message().into(),
            }
        }
        None if of_the_network(error) => DatabaseError::lost(chain(error)),
        None => DatabaseError::Postgres {
            code: "22000".into(),
            message: chain(error).into(),
        },
    }
}

/// An error with what it came from.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
