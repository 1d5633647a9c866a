//! The clerk: writes down who looked at what, before they see it.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::sync::oneshot;

use crate::store::{ApiStore, AuditEntry};

/// Rows that may wait, and rows in one transaction: whatever waits becomes one.
const WAITING_MAX: usize = 256;
const GROUP_MAX: usize = 64;

type Waiting = (AuditEntry, oneshot::Sender<()>);

/// Whom rows are given to.
#[derive(Debug, Clone)]
pub(super) struct Clerk(SyncSender<Waiting>);

impl Clerk {
    /// Sits down, on a thread of its own, as long as there is somebody to write for.
    pub(super) fn start(store: ApiStore) -> io::Result<Self> {
        let (rows, waiting) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || write(&store, &waiting))?;
        Ok(Self(rows))
    }

    /// Writes a row. False: it isn't known to be written.
    pub(super) async fn write(&self, entry: AuditEntry) -> bool {
        let (written, is_written) = oneshot::channel();
        self.0.try_send((entry, written)).is_ok() && is_written.await.is_ok()
    }
}

fn write(store: &ApiStore, waiting: &Receiver<Waiting>) {
    while let Ok(first) = waiting.recv() {
        let (mut rows, mut tell) = (vec![first.0], vec![first.1]);
        while rows.len() < GROUP_MAX
            && let Ok((row, written)) = waiting.try_recv()
        {
            rows.push(row);
            tell.push(written);
        }
        match store.audit(rows) {
            Ok(()) => {
                for written in tell {
                    let _ = written.send(());
                }
            }
            // Whoever waits sees that nobody will tell them.
            Err(error) => {
                tracing::error!(%error, rows = tell.len(), "the audit can't be written; these requests get no answer");
            }
        }
    }
}
