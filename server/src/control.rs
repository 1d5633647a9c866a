//! How an administrator speaks to the server that is running: a socket in the
//! data directory, which only the user Careline runs as can open.
//!
//! One question a connection: a line of a word and its arguments, separated by
//! tabs. The answer: `ok` or `error` on a line, then text until the end.
//!
//! | question | answer |
//! |---|---|
//! | `plan DIR` | what the folder would change |
//! | `apply DIR` | what it has changed; after an error nothing has |
//! | `force DIR` | the same, though tests of its flows fail |
//! | `folder` | the folder that is served, and on the next line where SIP is heard |
//! | `export DIR` | how many files were written |
//! | `close HOSPITAL HOURS MINUTES REASON` | what is closed or open on the spot |
//! | `open HOSPITAL HOURS MINUTES REASON` | the same |
//! | `reopen HOSPITAL HOURS` | what still is |
//! | `status` | how things are, in words |
//! | `ticket HOSPITAL NUMBER VERB REST` | how the ticket stands, the deed done |
//! | `incident HOSPITAL list` | the incidents that are live, and the latest others |
//! | `incident HOSPITAL VERB REST` | how the incident stands, the deed done |
//! | `token create DAYS HOSPITAL SCOPES NAME` | the token's id and its secret |
//! | `token list` | every token, a line each |
//! | `token revoke ID` | that it is |
//! | `people HOSPITAL SOURCE FLAGS FILE` | what an import would change, or has changed |
//!
//! Each is answered by a thread of its own, of which there are few: a desk is
//! closed while a folder's prompts are rendered.

mod incidents;
mod promises;
mod status;
mod tickets;
mod token;

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::api::tokens::Tokens;
use crate::node::wall;
use crate::serve::closings::{CLOSED_MAX_MS, Closing};
use crate::serve::publish::{Import, Publisher};

pub(crate) use tickets::clock;

/// Longest question in bytes, and how long its asker may take over it.
const QUESTION_MAX: u64 = 8_192;
const QUESTION_WAIT: Duration = Duration::from_secs(2);
/// Questions answered at a time, and of these, those about folders, which may take minutes.
const ASKED_MAX: usize = 12;
const FOLDERS_MAX: usize = 4;
/// Longest answer read, in bytes.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;
/// How long an answer may take: prompts may have to be rendered for it.
const ANSWER_WAIT: Duration = Duration::from_secs(900);

/// The socket of the server with this data directory.
pub fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Answers questions until the process ends.
///
/// # Errors
/// When the socket can't be had.
pub fn start(data_dir: &Path, publisher: Arc<Publisher>, tokens: Arc<Tokens>) -> io::Result<()> {
    let path = socket(data_dir);
    // Left by the last run: the store's lock has shown that nobody else uses this directory.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    // The directory is its owner's alone; whoever opens that up doesn't open this.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let desk = Arc::new(Desk {
        publisher,
        tokens,
        folders: Semaphore::new(FOLDERS_MAX),
    });
    std::thread::Builder::new()
        .name("control".into())
        .spawn(move || {
            let room = Arc::new(Semaphore::new(ASKED_MAX));
            for connection in listener.incoming() {
                let answered = connection.and_then(|mut connection| {
                    let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                        return connection.write_all(BUSY.as_bytes());
                    };
                    let desk = Arc::clone(&desk);
                    let answers = std::thread::Builder::new().name("control".into());
                    answers.spawn(move || {
                        let _place = place;
                        log(serve(connection, &desk));
                    })?;
                    Ok(())
                });
                log(answered);
            }
        })?;
    Ok(())
}

const BUSY: &str = "error\ntoo much is asked at a time; ask again in a moment\n";

fn log(answered: io::Result<()>) {
    if let Err(error) = answered {
        tracing::warn!(%error, "an administrator's question wasn't answered");
    }
}

/// Whom questions are put to.
struct Desk {
    publisher: Arc<Publisher>,
    tokens: Arc<Tokens>,
    /// Places for those about folders.
    folders: Semaphore,
}

fn serve(mut connection: UnixStream, desk: &Desk) -> io::Result<()> {
    connection.set_read_timeout(Some(QUESTION_WAIT))?;
    connection.set_write_timeout(Some(QUESTION_WAIT))?;
    let mut question = String::new();
    BufReader::new((&connection).take(QUESTION_MAX)).read_line(&mut question)?;
    let answer = match answer(question.trim_end_matches('\n'), desk) {
        Ok(text) => format!("ok\n{text}"),
        Err(text) => format!("error\n{text}\n"),
    };
    connection.write_all(answer.as_bytes())
}

fn answer(question: &str, desk: &Desk) -> Result<String, String> {
    let publisher = &desk.publisher;
    let (word, rest) = question.split_once('\t').unwrap_or((question, ""));
    let words: Vec<&str> = rest.splitn(4, '\t').collect();
    match (word, &words[..]) {
        ("close" | "open", [hospital, calendar, minutes, reason]) => {
            let minutes = minutes.parse::<i64>().ok();
            let lasts = minutes.and_then(|minutes| minutes.checked_mul(60_000));
            let Some(lasts) = lasts.filter(|lasts| (1..=CLOSED_MAX_MS).contains(lasts)) else {
                return Err("that lasts a minute at least, and a week at most".to_owned());
            };
            let closing = Closing {
                open: word == "open",
                until: wall() + lasts,
                reason: (*reason).to_owned(),
            };
            let closed = publisher.close(hospital, calendar, Some(closing));
            return closed.map_err(|error| error.to_string());
        }
        ("reopen", [hospital, calendar]) => {
            let opened = publisher.close(hospital, calendar, None);
            return opened.map_err(|error| error.to_string());
        }
        ("status", [""]) => {
            let (now, queues, closed) = publisher.status().map_err(|error| error.to_string())?;
            return Ok(status::words(&now, &queues, &closed));
        }
        ("ticket", [hospital, number, verb]) => return ticket(desk, hospital, number, verb, ""),
        ("ticket", [hospital, number, verb, rest]) => {
            return ticket(desk, hospital, number, verb, rest);
        }
        ("incident", [hospital, "list"]) => return incidents(desk, hospital),
        ("incident", [hospital, verb, _, ..]) => {
            let (_, behind) = rest.split_once('\t').unwrap_or_default();
            let (_, behind) = behind.split_once('\t').unwrap_or_default();
            return incident(desk, hospital, verb, behind);
        }
        ("promise", [hospital, verb, rest]) => return promise(desk, hospital, verb, rest),
        ("people", [hospital, source, flags, file]) => {
            if !Path::new(file).is_absolute() {
                return Err("a file is named by its whole path".to_owned());
            }
            let Ok(_place) = desk.folders.try_acquire() else {
                return Err("other folders are being looked at; ask again in a moment".to_owned());
            };
            let import = Import::read(hospital, source, flags, file);
            return publisher.import(&import).map_err(|error| error.to_string());
        }
        ("token", _) => return token::answer(rest, &desk.tokens, &publisher.loaded().helpdesk),
        ("folder", [""]) => {
            let (served, _) = publisher.folders();
            return Ok(format!("{}\n{}\n", served.display(), publisher.address()));
        }
        _ => {}
    }
    let dir = Path::new(rest);
    if !dir.is_absolute() {
        return Err("a folder is named by its whole path".to_owned());
    }
    let Ok(_place) = desk.folders.try_acquire() else {
        return Err("other folders are being looked at; ask again in a moment".to_owned());
    };
    match word {
        "plan" => publisher.plan(dir).map(|plan| plan.to_string()),
        "apply" | "force" => publisher.apply(dir, word == "force").map(|plan| {
            let mut text = plan.to_string();
            if !plan.changes.is_empty() {
                let _ = writeln!(text, "Applied. Calls in progress finish as they began.");
            }
            let (served, started) = publisher.folders();
            if served != started {
                let _ = writeln!(
                    text,
                    "After a restart {} is served again: that is what Careline was started with (--config).",
                    started.display()
                );
            }
            text
        }),
        "export" => publisher
            .export(dir)
            .map(|files| format!("{files} files written to {}\n", dir.display())),
        _ => return Err(format!("\"{word}\" isn't known")),
    }
    .map_err(|error| error.to_string())
}

/// Says something of a promise, or what is owed.
fn promise(desk: &Desk, hospital: &str, verb: &str, rest: &str) -> Result<String, String> {
    let publisher = &desk.publisher;
    let told = || {
        publisher
            .promises(hospital)
            .map_err(|error| error.to_string())
    };
    let (mut owed, zone, names) = told()?;
    let asked = promises::asked(verb, rest, &zone, |name| publisher.agent(name))?;
    let (agent, queue) = (|id| names.agent(id), |id| names.queue(id));
    let promise = match asked {
        promises::Asked::List => return Ok(promises::list(&owed, &zone, queue)),
        promises::Asked::Show(promise) => promise,
        promises::Asked::Say(promise, word) => {
            let done = publisher.promise(hospital, promise, word);
            if !done.map_err(|error| error.to_string())? {
                return Err(
                    "there is no such open promise, or that can't be said of it now (they talk, or the window is over or \
                     further ahead than 60 days)"
                        .to_owned(),
                );
            }
            owed = told()?.0;
            promise
        }
    };
    match owed.iter().find(|(of, _)| *of == promise) {
        Some((_, facts)) => Ok(promises::words(promise, facts, &zone, agent, queue)),
        None => match asked {
            promises::Asked::Say(..) => Ok(format!("promise {} is closed\n", promise.0)),
            _ => Err("no such call is owed; `list` shows those that are".to_owned()),
        },
    }
}

/// Does something with a ticket, and says how it stands then.
fn ticket(
    desk: &Desk,
    hospital: &str,
    number: &str,
    verb: &str,
    rest: &str,
) -> Result<String, String> {
    let number = desk::TicketNumber::parse(number).map_err(|_| {
        "a ticket number is ten digits, the last two of which check the others".to_owned()
    })?;
    let publisher = &desk.publisher;
    let deed = tickets::deed(verb, rest, wall(), |name| publisher.agent(name))?;
    let facts = publisher.ticket(hospital, number, deed);
    let (facts, zone, names) = facts.map_err(|error| error.to_string())?;
    let (agent, queue) = (|id| names.agent(id), |id| names.queue(id));
    Ok(tickets::words(&facts, number, &zone, agent, queue))
}

/// Does something with an incident, and says how it stands then.
fn incident(desk: &Desk, hospital: &str, verb: &str, rest: &str) -> Result<String, String> {
    let publisher = &desk.publisher;
    let found = publisher
        .hospital(hospital)
        .map_err(|error| error.to_string())?;
    let ask = crate::node::IncidentAsk {
        tenant: desk::TenantId(found.id),
        by: desk::IncidentBy::Administrator,
        deed: incidents::deed(verb, rest, wall())?,
        key: None,
    };
    let done = publisher.incident(ask).map_err(|error| error.to_string())?;
    let words = |(incident, facts)| incidents::words(incident, &facts, &zone(&found));
    Ok(done.map_or_else(|| "there was nothing to be done\n".to_owned(), words))
}

/// How many incidents are listed.
const INCIDENTS_MAX: usize = 20;

fn incidents(desk: &Desk, hospital: &str) -> Result<String, String> {
    let found = desk
        .publisher
        .hospital(hospital)
        .map_err(|error| error.to_string())?;
    let tenant = desk::TenantId(found.id);
    let reader = desk
        .tokens
        .store()
        .reader()
        .map_err(|error| error.to_string())?;
    let last = desk::IncidentId(u64::MAX);
    let rows = reader.incidents_below(tenant, last, INCIDENTS_MAX);
    let rows = rows.map_err(|error| error.to_string())?;
    Ok(incidents::list(&rows, &zone(&found)))
}

/// The zone of a hospital's clock.
fn zone(hospital: &crate::config::Hospital) -> hours::Zone {
    let zone = hospital.zone.as_deref().map(hours::Zone::find);
    zone.and_then(Result::ok).unwrap_or(hours::Zone::UTC)
}

/// Asks the server with this data directory.
///
/// # Errors
/// There is no such server, or it says no: in its words.
pub fn ask(data_dir: &Path, question: &str) -> Result<String, String> {
    let path = socket(data_dir);
    let asked = UnixStream::connect(&path).and_then(|mut connection| {
        connection.set_read_timeout(Some(ANSWER_WAIT))?;
        connection.write_all(format!("{question}\n").as_bytes())?;
        let mut answer = String::new();
        connection.take(ANSWER_MAX).read_to_string(&mut answer)?;
        Ok(answer)
    });
    let answer = asked.map_err(|error| {
        format!(
            "no Careline answers at {} ({error}); start it with `careline serve`, or name its data directory with --data",
            path.display()
        )
    })?;
    match answer.split_once('\n') {
        Some(("ok", text)) => Ok(text.to_owned()),
        Some((_, text)) => Err(text.trim_end().to_owned()),
        None => Err("Careline didn't answer".to_owned()),
    }
}
