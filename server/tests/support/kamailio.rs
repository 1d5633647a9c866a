//! Kamailio between the phones and Careline: a proxy that we didn't write, which stays in every call's path.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::house::SOON;
use super::{Server, free_port, root, scratch};

/// A running Kamailio; ended when dropped.
pub struct Kamailio {
    child: Child,
    command: Command,
    /// Where phones reach it.
    pub address: SocketAddr,
    log: PathBuf,
}

/// How it speaks to Careline.
#[derive(Debug, Clone, Copy)]
pub enum Towards {
    Udp,
    Tcp,
}

impl Kamailio {
    /// Starts on a free port, in front of this server.
    pub fn start(server: &Server, test: &str, towards: Towards) -> Self {
        let dir = scratch(&format!("kamailio-{test}"));
        let transport = match towards {
            Towards::Udp => "udp",
            Towards::Tcp => "tcp",
        };
        // Somebody else may take a port between our asking and its use.
        for _ in 0..5 {
            let port = free_port();
            // Debian puts it where only root looks.
            let there = Path::new("/usr/sbin/kamailio");
            let program = if there.exists() {
                there
            } else {
                Path::new("kamailio")
            };
            let mut command = Command::new(program);
            command
                // It stays our child, and says everything on standard error.
                .args(["-DD", "-E"])
                .arg("-f")
                .arg(root().join("server/tests/interop/kamailio.cfg"))
                .args([
                    "-A",
                    &format!("CARELINE=\"sip:{};transport={transport}\"", server.address),
                ])
                .args(["-A", &format!("CARELINE_PORT={}", server.address.port())])
                .args(["-l", &format!("udp:127.0.0.1:{port}")])
                .args(["-l", &format!("tcp:127.0.0.1:{port}")])
                .args(["-m", "16", "-M", "4"])
                .arg("-Y")
                .arg(&dir)
                .arg("-w")
                .arg(&dir)
                // It ends its children by a signal to the whole group: not to ours.
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let log = dir.join(format!("log-{port}"));
            if let Some(child) = spawn(&mut command, address, &log) {
                return Self {
                    child,
                    command,
                    address,
                    log,
                };
            }
        }
        panic!("kamailio doesn't start; run `tools/needs.sh test`");
    }

    /// Ends, and starts at the same address: all its connections are closed, and it knows nothing any more.
    pub fn start_anew(&mut self) {
        end(&mut self.child);
        self.child =
            spawn(&mut self.command, self.address, &self.log).expect("kamailio starts again");
    }

    /// What it said.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it has passed on a request of this method, of `careline` or of `a phone`.
    pub fn passes_on(&self, method: &str, of: &str) {
        let line = format!("passes on: {method} of {of}\n");
        let until = Instant::now() + SOON;
        while !self.log().contains(&line) {
            assert!(Instant::now() < until, "no {line} in {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Starts it, and waits until it answers; none if it doesn't.
fn spawn(command: &mut Command, address: SocketAddr, log: &Path) -> Option<Child> {
    let log = File::options().create(true).append(true).open(log);
    let child = command.stderr(log.expect("a log")).spawn();
    let mut child = child.expect("kamailio: run `tools/needs.sh test`");
    let until = Instant::now() + SOON;
    while TcpStream::connect(address).is_err() {
        if child.try_wait().ok()?.is_some() {
            return None;
        }
        if Instant::now() >= until {
            end(&mut child);
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(child)
}

fn end(child: &mut Child) {
    let Ok(pid) = i32::try_from(child.id()) else {
        return;
    };
    let pid = Pid::from_raw(pid);
    let _ = kill(pid, Signal::SIGTERM);
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        if let Ok(Some(_)) = child.try_wait() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = killpg(pid, Signal::SIGKILL);
    let _ = child.wait();
}
