//! SIPp, a SIP stack that does what a scenario says; its audio is an [`Ear`]'s.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::ear::Ear;
use super::{Server, free_port, root, scratch};

pub fn scenario(name: &str) -> String {
    root()
        .join("server/tests/interop")
        .join(name)
        .display()
        .to_string()
}

/// SIPp running a scenario once.
pub struct Sipp {
    child: Child,
    log: std::path::PathBuf,
}

impl Sipp {
    pub fn start(
        server: &Server,
        name: &str,
        port: u16,
        pause: Duration,
        keys: &[(&str, &str)],
    ) -> Self {
        Self::start_with(server, name, port, pause, keys, false)
    }

    /// The same, keeping every message for [`Self::messages`].
    pub fn start_traced(
        server: &Server,
        name: &str,
        port: u16,
        pause: Duration,
        keys: &[(&str, &str)],
    ) -> Self {
        Self::start_with(server, name, port, pause, keys, true)
    }

    fn start_with(
        server: &Server,
        name: &str,
        port: u16,
        pause: Duration,
        keys: &[(&str, &str)],
        traced: bool,
    ) -> Self {
        let log = scratch("sipp").join(format!("{name}-{port}.log"));
        let _ = std::fs::remove_file(&log);
        let mut command = Command::new("sipp");
        command
            .arg(server.address.to_string())
            .args(["-sf", &scenario(name)])
            .args(["-i", "127.0.0.1", "-p", &port.to_string()])
            .args(["-m", "1", "-nostdin", "-timeout", "60", "-timeout_error"])
            .args(["-d", &pause.as_millis().to_string()])
            .args(["-trace_logs", "-log_file", &log.display().to_string()])
            .current_dir(scratch("sipp"));
        if traced {
            let file = log.with_extension("messages");
            command.args(["-trace_msg", "-message_file", &file.display().to_string()]);
        }
        for (key, value) in keys {
            if *key == "service" {
                command.args(["-s", value]);
            } else {
                command.args(["-key", key, value]);
            }
        }
        // Digest needs them by these flags too.
        if let Some((_, user)) = keys.iter().find(|(key, _)| *key == "user") {
            command.args(["-au", user]);
        }
        if let Some((_, secret)) = keys.iter().find(|(key, _)| *key == "secret") {
            command.args(["-ap", secret]);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("sipp: run `tools/needs.sh test`");
        Self { child, log }
    }

    /// Waits for its end; gives every message that it received or sent.
    pub fn messages(self, within: Duration) -> String {
        let file = self.log.with_extension("messages");
        self.succeeded(within);
        std::fs::read_to_string(file).expect("the messages")
    }

    pub fn succeeded(mut self, within: Duration) -> String {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                assert!(status.success(), "SIPp's scenario failed: {status}");
                return std::fs::read_to_string(&self.log).unwrap_or_default();
            }
            assert!(Instant::now() < until, "SIPp doesn't come to an end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Signs in, from a port that stays the phone's.
pub fn signed_in(server: &Server, user: &str, secret: &str) -> u16 {
    let port = free_port();
    let second = Duration::from_secs(1);
    let keys = [("user", user), ("secret", secret)];
    Sipp::start(server, "register.xml", port, second, &keys).succeeded(Duration::from_secs(10));
    port
}

/// An agent signs in by SIPp and answers one call.
pub fn agent(server: &Server, user: &str, secret: &str, ear: &Ear) -> Sipp {
    let port = signed_in(server, user, secret);
    let audio = ear.port.to_string();
    let keys = [("user", user), ("audio_port", &*audio)];
    Sipp::start(server, "agent.xml", port, Duration::from_secs(1), &keys)
}

pub fn caller(server: &Server, number: &str, from: &str, ear: &Ear, seconds: u64) -> Sipp {
    Sipp::start(
        server,
        "caller.xml",
        free_port(),
        Duration::from_secs(seconds),
        &[
            ("service", number),
            ("caller", from),
            ("audio_port", &ear.port.to_string()),
        ],
    )
}

/// The ten digits in an agent's log, and the same in User-to-User.
pub fn ticket_in(log: &str) -> String {
    let ticket = log
        .split("ticket=")
        .nth(1)
        .and_then(|rest| rest.split("uui=").next())
        .unwrap_or_else(|| panic!("no INVITE in the agent's log:\n{log}"))
        .trim()
        .to_owned();
    assert_eq!(ticket.len(), 10, "a ticket number has ten digits: {log}");
    let hex: String = ticket.bytes().map(|b| format!("{b:02x}")).collect();
    assert!(
        log.contains(&hex),
        "User-to-User carries the same number: {log}"
    );
    ticket
}
