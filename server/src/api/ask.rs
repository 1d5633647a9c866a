//! The one way from a question to its answer: the token, the hospital, the
//! scope, a place, the reading, the audit. No endpoint gets at the database
//! otherwise.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use desk::{IncidentFacts, IncidentId, TenantId};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};

use super::clerk::Clerk;
use super::problem::Problem;
use super::tokens::{Bearer, Scope, Tokens};
use crate::config::Hospital;
use crate::node::{IncidentAsk, Status, wall};
use crate::report::ReportError;
use crate::serve::publish::PublishError;
use crate::serve::{Loaded, OPERATOR};
use crate::store::{AuditEntry, Reader, StoreError};

/// Questions at a time, and of these, of one hospital's tokens. More wait, up to [`PLACE_WAIT`].
pub(super) const PLACES: usize = 8;
const SHARE: usize = 4;
const PLACE_WAIT: Duration = Duration::from_secs(1);
/// How long reading may take.
const READING_MAX: Duration = Duration::from_secs(10);
/// A token that isn't good is refused this long after the question came, whatever is wrong with
/// it; and so many of these wait at a time. That is a hundred guesses a second, at 2^256 secrets.
const REFUSED_AFTER: Duration = Duration::from_millis(300);
const REFUSALS_MAX: usize = 32;

/// What is served, and how it is.
pub(crate) trait Served: Send + Sync {
    /// What is served now.
    fn loaded(&self) -> Arc<Loaded>;
    /// How things are now. Blocks for moments. None: nobody says.
    fn status(&self) -> Option<Status>;
    /// Does something with an incident, and says how it stands then; none: there was nothing to do.
    /// Blocks until that is on disk.
    fn incident(
        &self,
        ask: IncidentAsk,
    ) -> Result<Option<(IncidentId, IncidentFacts)>, PublishError>;
}

/// Whose data a question is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose<'a> {
    /// Of the hospital with this key.
    Hospital(&'a str),
    /// What all hospitals share: only the operator's tokens.
    Operator,
    /// Whatever the token may read.
    Anybody,
}

/// What an endpoint reads with, or has done.
pub(super) struct Asked<'a> {
    pub(super) reader: &'a Reader,
    pub(super) loaded: &'a Loaded,
    pub(super) served: &'a dyn Served,
    pub(super) bearer: &'a Bearer,
    /// The hospital that was named.
    pub(super) hospital: Option<&'a Hospital>,
}

impl Asked<'_> {
    /// The hospital's tenant; the operator where none was named.
    pub(super) fn tenant(&self) -> TenantId {
        self.hospital
            .map_or(OPERATOR, |hospital| TenantId(hospital.id))
    }
}

/// An answer, and what the audit says of it.
pub(super) struct Told {
    /// JSON; none: there is no such thing, and that is looked for all the same.
    body: Option<Vec<u8>>,
    action: &'static str,
    objects: String,
}

impl Told {
    pub(super) fn new<T: Serialize>(
        action: &'static str,
        objects: String,
        body: Option<&T>,
    ) -> Result<Self, Problem> {
        let body = body.map(serde_json::to_vec).transpose();
        Ok(Self {
            body: body.map_err(|_| Problem::Internal)?,
            action,
            objects,
        })
    }

    /// What is JSON already.
    pub(super) fn text(action: &'static str, objects: String, json: String) -> Self {
        Self {
            body: Some(json.into_bytes()),
            action,
            objects,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the API can't read the store");
        Self::Unavailable("the store can't be read")
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Time(error) => Self::Invalid(error.to_string()),
            ReportError::Store(error) => error.into(),
        }
    }
}

/// Whom all questions are put to.
#[derive(Clone)]
pub(super) struct Api(Arc<Inner>);

struct Inner {
    tokens: Arc<Tokens>,
    served: Arc<dyn Served>,
    clerk: Clerk,
    /// Connections that nobody reads with.
    readers: Mutex<Vec<Reader>>,
    places: Arc<Semaphore>,
    /// By hospital; the operator's tokens have one too.
    shares: Mutex<BTreeMap<TenantId, Arc<Semaphore>>>,
    refusals: Semaphore,
}

impl Api {
    pub(super) fn new(tokens: Arc<Tokens>, served: Arc<dyn Served>, clerk: Clerk) -> Self {
        Self(Arc::new(Inner {
            tokens,
            served,
            clerk,
            readers: Mutex::default(),
            places: Arc::new(Semaphore::new(PLACES)),
            shares: Mutex::default(),
            refusals: Semaphore::new(REFUSALS_MAX),
        }))
    }

    /// Answers a question: `read` is given a connection, on a thread where it may block.
    pub(super) async fn answer<F>(
        &self,
        headers: &HeaderMap,
        whose: Whose<'_>,
        scope: Option<Scope>,
        read: F,
    ) -> Response
    where
        F: FnOnce(&Asked<'_>) -> Result<Told, Problem> + Send + 'static,
    {
        match self.try_answer(headers, whose, scope, read).await {
            Err(problem) => problem.into_response(),
            Ok(json) => {
                let kind = [
                    (header::CONTENT_TYPE, "application/json"),
                    (header::CACHE_CONTROL, "no-store"),
                ];
                (StatusCode::OK, kind, json).into_response()
            }
        }
    }

    async fn try_answer<F>(
        &self,
        headers: &HeaderMap,
        whose: Whose<'_>,
        scope: Option<Scope>,
        read: F,
    ) -> Result<Vec<u8>, Problem>
    where
        F: FnOnce(&Asked<'_>) -> Result<Told, Problem> + Send + 'static,
    {
        let began = Instant::now();
        let authorization = headers.get(header::AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok());
        let bearer = self
            .0
            .tokens
            .bearer(authorization.unwrap_or_default(), wall());
        let Some(bearer) = bearer else {
            let place = self.0.refusals.try_acquire();
            let _place = place.map_err(|_| Problem::Busy)?;
            sleep_until(began + REFUSED_AFTER).await;
            return Err(Problem::Unauthorized);
        };
        let loaded = self.0.served.loaded();
        // Another's hospital is as one that doesn't exist.
        let hospital = match whose {
            Whose::Hospital(key) => {
                let mine = |tenant: TenantId| bearer.tenant.is_none_or(|mine| mine == tenant);
                let mut hospitals = loaded.helpdesk.hospitals.iter();
                let found = hospitals.position(|h| h.key == key && mine(TenantId(h.id)));
                Some(found.ok_or(Problem::NotFound)?)
            }
            Whose::Operator if bearer.tenant.is_some() => return Err(Problem::NotFound),
            Whose::Operator | Whose::Anybody => None,
        };
        if let Some(scope) = scope
            && !bearer.may(scope)
        {
            return Err(Problem::Scope(scope.word()));
        }
        let whose = bearer.tenant.unwrap_or(OPERATOR);
        let (chain, token) = match hospital {
            Some(place) => (TenantId(loaded.helpdesk.hospitals[place].id), bearer.token),
            None => (whose, bearer.token),
        };
        let share = Arc::clone(self.shares().entry(whose).or_insert_with(share));
        let places = Arc::clone(&self.0.places);
        let held = async { (share.acquire_owned().await, places.acquire_owned().await) };
        let held = timeout(PLACE_WAIT, held).await.map_err(|_| Problem::Busy)?;
        let api = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let _held = held;
            api.read(&bearer, &loaded, hospital, read)
        });
        let told = timeout(READING_MAX, reading).await.map_err(|_| {
            Problem::Unavailable("that takes too long; ask for less, or fewer days, at a time")
        })?;
        // A panic was one question's.
        let told = told.map_err(|_| Problem::Internal)??;
        let entry = AuditEntry {
            tenant: chain,
            at: wall(),
            token,
            action: told.action.to_owned(),
            objects: told.objects,
        };
        if !self.0.clerk.write(entry).await {
            return Err(Problem::Unavailable(
                "the audit can't be written, and nothing is told without it",
            ));
        }
        told.body.ok_or(Problem::NotFound)
    }

    /// Reads on a connection that nobody else reads with meanwhile.
    fn read<F>(
        &self,
        bearer: &Bearer,
        loaded: &Loaded,
        hospital: Option<usize>,
        read: F,
    ) -> Result<Told, Problem>
    where
        F: FnOnce(&Asked<'_>) -> Result<Told, Problem>,
    {
        let idle = self.readers().pop();
        let reader = match idle {
            Some(reader) => reader,
            None => self.0.tokens.store().reader()?,
        };
        let told = read(&Asked {
            reader: &reader,
            loaded,
            served: &*self.0.served,
            bearer,
            hospital: hospital.map(|place| &loaded.helpdesk.hospitals[place]),
        });
        // One that has failed may be broken.
        if !matches!(told, Err(Problem::Unavailable(_))) {
            self.readers().push(reader);
        }
        told
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        let readers = self.0.readers.lock();
        readers.unwrap_or_else(PoisonError::into_inner)
    }

    fn shares(&self) -> std::sync::MutexGuard<'_, BTreeMap<TenantId, Arc<Semaphore>>> {
        let shares = self.0.shares.lock();
        shares.unwrap_or_else(PoisonError::into_inner)
    }
}

fn share() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(SHARE))
}
