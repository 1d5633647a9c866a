//! What several telephones tell, as one story: one clock, in the order in which it happened.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::phone::moment;

/// How long a line is held back for what happened before it and is recognised later.
const HELD: Duration = Duration::from_secs(1);
/// Most lines on their way.
const LINES_MAX: usize = 256;

/// Prints lines of all stations; cloned for each of them. When all clones are gone, what is held is printed.
#[derive(Clone)]
pub(super) struct Transcript {
    epoch: Instant,
    lines: mpsc::Sender<(Duration, String)>,
}

impl Transcript {
    /// Begins: times are told since now. The task ends when every station has.
    pub(super) fn begin() -> (Transcript, JoinHandle<()>) {
        let (lines, told) = mpsc::channel(LINES_MAX);
        let epoch = Instant::now();
        let transcript = Transcript { epoch, lines };
        (transcript, tokio::spawn(write(epoch, told)))
    }

    /// Tells a line of a station whose own clock began at `started`.
    pub(super) async fn tell(&self, station: &str, started: Instant, at: Duration, told: &str) {
        let since = (started + at).saturating_duration_since(self.epoch);
        let line = format!("{station:<10} {}  {told}", moment(since));
        // The writer goes last.
        let _ = self.lines.send((since, line)).await;
    }
}

async fn write(epoch: Instant, mut told: mpsc::Receiver<(Duration, String)>) {
    let mut held: BTreeMap<(Duration, u64), String> = BTreeMap::new();
    let mut count = 0;
    loop {
        let due = held
            .first_key_value()
            .map(|((at, _), _)| epoch + *at + HELD);
        tokio::select! {
            line = told.recv() => {
                let Some((at, line)) = line else { break };
                count += 1;
                held.insert((at, count), line);
            }
            () = tokio::time::sleep_until(due.unwrap_or(epoch)), if due.is_some() => {
                if let Some((_, line)) = held.pop_first() {
                    super::say(&line);
                }
            }
        }
    }
    held.values().for_each(|line| super::say(line));
}
