//! Somebody between Careline and PostgreSQL, who reads what passes and keeps
//! some of it.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::cluster::address;

/// What becomes of the next COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It doesn't reach the server.
    Dropped,
    /// It does, and its answer is kept.
    Unanswered,
}

/// And of the connection that it came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing is ever heard on it any more.
    Silence,
    /// It is closed, at once or when the server has answered.
    Closed,
}

pub(super) struct Proxy {
    dir: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    order: Mutex<Option<(Fate, Then)>>,
    lines: Mutex<Vec<Arc<Line>>>,
}

/// A connection through it.
struct Line {
    client: UnixStream,
    server: UnixStream,
    cut: AtomicBool,
    closes: AtomicBool,
}

impl Proxy {
    /// Before the server whose socket is in this folder.
    pub(super) fn before(cluster: &Path) -> Self {
        let dir = cluster.join("proxy");
        std::fs::create_dir(&dir).unwrap();
        let listener = UnixListener::bind(dir.join(".s.PGSQL.5432")).unwrap();
        let shared = Arc::<Shared>::default();
        let (orders, behind) = (Arc::clone(&shared), cluster.join(".s.PGSQL.5432"));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                // Without a server, whoever came is sent away.
                let Ok(server) = UnixStream::connect(&behind) else {
                    continue;
                };
                let line = Arc::new(Line {
                    client,
                    server,
                    cut: AtomicBool::new(false),
                    closes: AtomicBool::new(false),
                });
                orders.lines.lock().unwrap().push(Arc::clone(&line));
                let (up, orders) = (Arc::clone(&line), Arc::clone(&orders));
                std::thread::spawn(move || up.up(&orders));
                std::thread::spawn(move || line.down());
            }
        });
        Self { dir, shared }
    }

    /// The address through it of a database whose own address is given.
    pub(super) fn address(&self, of: &str) -> String {
        address(&self.dir, of.rsplit('/').next().unwrap())
    }

    /// What becomes of the next COMMIT.
    pub(super) fn next_commit(&self, fate: Fate, then: Then) {
        *self.shared.order.lock().unwrap() = Some((fate, then));
    }

    /// Nothing is heard any more on what is open, at either end.
    pub(super) fn cuts(&self) {
        for line in &*self.shared.lines.lock().unwrap() {
            line.cut.store(true, Ordering::SeqCst);
        }
    }
}

impl Line {
    fn up(&self, shared: &Shared) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = (&self.client).read(&mut buffer) {
            let chunk = &buffer[..length];
            let order = match chunk.ends_with(b"COMMIT\0") {
                true => shared.order.lock().unwrap().take(),
                false => None,
            };
            if let Some((fate, then)) = order {
                self.closes.store(then == Then::Closed, Ordering::SeqCst);
                self.cut.store(true, Ordering::SeqCst);
                match fate {
                    Fate::Unanswered => (&self.server).write_all(chunk).unwrap(),
                    Fate::Dropped if then == Then::Closed => break,
                    Fate::Dropped => {}
                }
            } else if !self.cut.load(Ordering::SeqCst) && (&self.server).write_all(chunk).is_err() {
                break;
            }
        }
        // A server that was cut off learns nothing of the end.
        if !self.cut.load(Ordering::SeqCst) || self.closes.load(Ordering::SeqCst) {
            let _ = self.server.shutdown(std::net::Shutdown::Both);
            let _ = self.client.shutdown(std::net::Shutdown::Both);
        }
    }

    fn down(&self) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = (&self.server).read(&mut buffer) {
            if self.cut.load(Ordering::SeqCst) {
                if self.closes.load(Ordering::SeqCst) {
                    break;
                }
            } else if (&self.client).write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = self.client.shutdown(std::net::Shutdown::Both);
    }
}
