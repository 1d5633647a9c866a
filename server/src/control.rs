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
//! | `export DIR` | how many files were written |
//! | `close HOSPITAL HOURS MINUTES REASON` | what is closed on the spot |
//! | `reopen HOSPITAL HOURS` | what still is |

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::node::wall;
use crate::serve::closings::{CLOSED_MAX_MS, Closing};
use crate::serve::publish::Publisher;

/// Longest question in bytes, and how long its asker may take over it.
const QUESTION_MAX: u64 = 8_192;
const QUESTION_WAIT: Duration = Duration::from_secs(2);
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
pub fn start(data_dir: &Path, publisher: Arc<Publisher>) -> io::Result<()> {
    let path = socket(data_dir);
    // Left by the last run: the store's lock has shown that nobody else uses this directory.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::thread::Builder::new()
        .name("control".into())
        .spawn(move || {
            for connection in listener.incoming() {
                let answered = connection.and_then(|connection| serve(connection, &publisher));
                if let Err(error) = answered {
                    tracing::warn!(%error, "an administrator's question wasn't answered");
                }
            }
        })?;
    Ok(())
}

fn serve(mut connection: UnixStream, publisher: &Publisher) -> io::Result<()> {
    connection.set_read_timeout(Some(QUESTION_WAIT))?;
    connection.set_write_timeout(Some(QUESTION_WAIT))?;
    let mut question = String::new();
    BufReader::new((&connection).take(QUESTION_MAX)).read_line(&mut question)?;
    let answer = match answer(question.trim_end_matches('\n'), publisher) {
        Ok(text) => format!("ok\n{text}"),
        Err(text) => format!("error\n{text}\n"),
    };
    connection.write_all(answer.as_bytes())
}

fn answer(question: &str, publisher: &Publisher) -> Result<String, String> {
    let (word, rest) = question.split_once('\t').unwrap_or((question, ""));
    let words: Vec<&str> = rest.splitn(4, '\t').collect();
    match (word, &words[..]) {
        ("close", [hospital, calendar, minutes, reason]) => {
            let minutes = minutes.parse::<i64>().ok();
            let lasts = minutes.and_then(|minutes| minutes.checked_mul(60_000));
            let Some(lasts) = lasts.filter(|lasts| (1..=CLOSED_MAX_MS).contains(lasts)) else {
                return Err("a desk is closed for a minute at least, and a week at most".to_owned());
            };
            let closing = Closing {
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
        _ => {}
    }
    let dir = Path::new(rest);
    if !dir.is_absolute() {
        return Err("a folder is named by its whole path".to_owned());
    }
    match word {
        "plan" => publisher.plan(dir).map(|plan| plan.to_string()),
        "apply" => publisher.apply(dir).map(|plan| {
            let mut text = plan.to_string();
            if !plan.changes.is_empty() {
                let _ = writeln!(text, "Applied. Calls in progress finish as they began.");
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
