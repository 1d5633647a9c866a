//! HTTP actions: questions of flows to the hospitals' own systems.
//!
//! On a thread of its own, so that no name server, handshake or slow system
//! delays a call. The calls bound how many there are at a time, and wait no
//! longer than the deadline; whatever goes wrong here is an answer that says no.
//!
//! A question is sent once. It is tried again only where the connection was
//! refused: then nobody has seen it.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use desk::TenantId;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Request};
use ivr_flows::{Fields, Val};
use switch::{Input, Query, QueryId};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::config::{ActionConfig, ConfigError, HelpDesk, Method};
use crate::outward::{self, Address, Authorities, Fault};
use crate::secrets;

/// Longest answer read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Names looked up at a time: the system's resolver blocks a thread for each.
const LOOKUPS_MAX: usize = 8;
/// The deadline is the calls', who take the question back then. This is the guard behind it.
const GRACE: Duration = Duration::from_secs(1);
/// Questions, and answers, that may wait for somebody's attention; the calls ask fewer at a time.
const WAITING_MAX: usize = 1_024;

/// Where an action leads, secrets included.
struct Target {
    address: Address,
    method: Method,
    headers: HeaderMap,
}

/// Every hospital's actions. Nothing of it is shown.
#[derive(Clone, Default)]
pub struct Book(HashMap<(TenantId, Arc<str>), Arc<Target>>);

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Book {
    /// Finds the secrets and certificates that the folder's actions need.
    ///
    /// # Errors
    /// What isn't where the folder says.
    pub fn read(helpdesk: &HelpDesk, dir: &Path) -> Result<Self, ConfigError> {
        let mut book = HashMap::new();
        let mut authorities = Authorities::default();
        for hospital in &helpdesk.hospitals {
            for (name, action) in &hospital.actions {
                let target = target(action, dir, &mut authorities).map_err(|fault| {
                    let file = dir.join("hospitals").join(format!("{}.yaml", hospital.key));
                    ConfigError::new(&file, format!("action \"{name}\": {fault}"))
                })?;
                let key = (TenantId(hospital.id), Arc::from(name.as_str()));
                book.insert(key, Arc::new(target));
            }
        }
        Ok(Self(book))
    }
}

fn target(
    action: &ActionConfig,
    dir: &Path,
    authorities: &mut Authorities,
) -> Result<Target, String> {
    let authority = action.authority.as_ref().map(|file| dir.join(file));
    let address = Address::of(&action.uri()?, authority.as_deref(), authorities)?;
    let mut headers = HeaderMap::new();
    for name in [CONTENT_TYPE, ACCEPT] {
        headers.insert(name, HeaderValue::from_static("application/json"));
    }
    let mut header = |name: &str, value: &str, secret: bool| {
        let unusable = || format!("the value of header \"{name}\" can't be sent");
        let mut value = HeaderValue::try_from(value).map_err(|_| unusable())?;
        value.set_sensitive(secret);
        let name = HeaderName::try_from(name).map_err(|_| unusable())?;
        headers.insert(name, value);
        Ok::<_, String>(())
    };
    for (name, value) in &action.headers {
        header(name, value, false)?;
    }
    for (name, from) in &action.secret_headers {
        header(name, &secrets::find(from, dir)?, true)?;
    }
    Ok(Target {
        address,
        method: action.method,
        headers,
    })
}

/// An answer for the calls.
#[derive(Debug)]
pub struct Answer {
    id: QueryId,
    answer: Option<Fields>,
}

impl From<Answer> for Input {
    fn from(Answer { id, answer }: Answer) -> Self {
        Input::Answer { id, answer }
    }
}

enum Command {
    Ask(Query, Arc<Target>),
    Forget(QueryId),
}

/// The way to whoever asks.
#[derive(Debug)]
pub struct Actions {
    book: Book,
    commands: mpsc::Sender<Command>,
}

impl Actions {
    /// Starts the thread. Answers come out of the receiver; it ends when this is dropped.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(book: Book) -> io::Result<(Self, mpsc::Receiver<Answer>)> {
        let (commands, asked) = mpsc::channel(WAITING_MAX);
        let (tell, answers) = mpsc::channel(WAITING_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(LOOKUPS_MAX)
            .build()?;
        std::thread::Builder::new()
            .name("actions".into())
            .spawn(move || {
                runtime.block_on(serve(asked, tell));
                // A name server may still be waited for: not by us.
                runtime.shutdown_background();
            })?;
        Ok((Self { book, commands }, answers))
    }

    /// Other actions from now on.
    pub fn serve(&mut self, book: Book) {
        self.book = book;
    }

    /// Asks. What can't even be asked is answered at once.
    pub fn ask(&self, query: Query) -> Option<Input> {
        let id = query.id;
        let key = (query.tenant, Arc::clone(&query.action));
        let asked = self.book.0.get(&key).is_some_and(|target| {
            let ask = Command::Ask(query, Arc::clone(target));
            self.commands.try_send(ask).is_ok()
        });
        (!asked).then_some(Input::Answer { id, answer: None })
    }

    /// Nobody waits for this answer any more.
    pub fn forget(&self, id: QueryId) {
        // Where that can't be said, the deadline says it.
        let _ = self.commands.try_send(Command::Forget(id));
    }
}

/// A question under way.
struct Live {
    task: AbortHandle,
    action: Arc<str>,
    tenant: TenantId,
    began: Instant,
}

impl Live {
    /// Its deadline has come, or its caller has gone.
    fn given_up(&self) {
        let (action, tenant, ms) = (&*self.action, self.tenant.0, millis(self.began));
        tracing::warn!(action, tenant, ms, status = "given up", "action failed");
    }
}

fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

async fn serve(mut commands: mpsc::Receiver<Command>, tell: mpsc::Sender<Answer>) {
    let mut asking: JoinSet<(QueryId, Option<Fields>)> = JoinSet::new();
    let mut live: HashMap<QueryId, Live> = HashMap::new();
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None => return,
                Some(Command::Ask(query, target)) => {
                    let (id, action, tenant) = (query.id, Arc::clone(&query.action), query.tenant);
                    let began = Instant::now();
                    let task = asking.spawn(async move { (query.id, ask(&target, &query).await) });
                    live.insert(id, Live { task, action, tenant, began });
                }
                Some(Command::Forget(id)) => {
                    if let Some(asked) = live.remove(&id) {
                        asked.task.abort();
                        asked.given_up();
                    }
                }
            },
            Some(done) = asking.join_next(), if !asking.is_empty() => {
                live.retain(|_, asked| !asked.task.is_finished());
                if let Ok((id, answer)) = done {
                    // Whoever doesn't take it in time has a deadline.
                    let _ = tell.try_send(Answer { id, answer });
                }
            }
        }
    }
}

/// Asks, and writes one line about it.
async fn ask(target: &Target, query: &Query) -> Option<Fields> {
    let began = Instant::now();
    let answer = tokio::time::timeout(query.deadline + GRACE, exchange(target, query)).await;
    let answer = answer.unwrap_or(Err(Fault::TimedOut));
    let ms = millis(began);
    let (action, tenant) = (&*query.action, query.tenant.0);
    match &answer {
        Ok(_) => tracing::info!(action, tenant, ms, status = "2xx", "action"),
        Err(fault) => tracing::warn!(action, tenant, ms, status = %fault, "action failed"),
    }
    answer.ok()
}

async fn exchange(target: &Target, query: &Query) -> Result<Fields, Fault> {
    let request = request(target, query)?;
    // What nobody asked for isn't read.
    let longest = if query.wanted.is_empty() {
        0
    } else {
        ANSWER_BYTES_MAX
    };
    let reply = outward::exchange(&target.address, request, longest).await?;
    // A redirection too: the address is the hospital's to change, not its far end's.
    if !reply.status.is_success() {
        return Err(Fault::Status(reply.status.as_u16() / 100));
    }
    if query.wanted.is_empty() {
        return Ok(Fields::default());
    }
    flat(&reply.body, &query.wanted).ok_or(Fault::Unreadable)
}

fn request(target: &Target, query: &Query) -> Result<Request<String>, Fault> {
    let method = match target.method {
        Method::Post => hyper::Method::POST,
        Method::Put => hyper::Method::PUT,
    };
    let mut request = Request::builder()
        .method(method)
        .uri(target.address.path())
        .body(written(&query.with))
        .map_err(|_| Fault::Broken)?;
    *request.headers_mut() = target.headers.clone();
    // A string in quotes (draft-ietf-httpapi-idempotency-key-header section 2.1).
    let key = HeaderValue::try_from(format!("\"{}\"", query.key)).map_err(|_| Fault::Broken)?;
    let name = HeaderName::from_static("idempotency-key");
    request.headers_mut().insert(name, key);
    Ok(request)
}

fn written(fields: &Fields) -> String {
    let fields = fields.iter().map(|(name, value)| {
        let value = match value {
            Val::Truth(truth) => (*truth).into(),
            Val::Text(text) => (**text).into(),
            Val::Number(number) => (*number).into(),
        };
        (name.to_owned(), value)
    });
    serde_json::Value::Object(fields.collect()).to_string()
}

/// The fields wanted of a JSON object, as far as they are texts, whole numbers, true or false; `None`: it is none.
fn flat(bytes: &[u8], wanted: &[Arc<str>]) -> Option<Fields> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).ok()?;
    let fields = wanted.iter().filter_map(|name| {
        let value = match object.get(&**name)? {
            serde_json::Value::Bool(truth) => Val::Truth(*truth),
            serde_json::Value::String(text) => Val::Text(text.as_str().into()),
            serde_json::Value::Number(number) => Val::Number(number.as_i64()?),
            _ => return None,
        };
        Some((Arc::clone(name), value))
    });
    Some(fields.collect())
}

#[cfg(test)]
mod tests;
