//! Scenes 1 and 2 with SIPp as caller and as agent: a SIP stack that we didn't
//! write, sockets that we read ourselves, and what a person would hear.

mod support;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use desk::TenantId;
use server::prompts::Book;
use support::ear::Ear;
use support::{Server, book, root, scratch};

const SAINT_ANNE: TenantId = TenantId(1);

fn scenario(name: &str) -> String {
    root()
        .join("server/tests/interop")
        .join(name)
        .display()
        .to_string()
}

fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0")
        .and_then(|s| s.local_addr())
        .expect("a port")
        .port()
}

/// SIPp running a scenario once.
struct Sipp {
    child: Child,
    log: std::path::PathBuf,
}

impl Sipp {
    fn start(
        server: &Server,
        name: &str,
        port: u16,
        pause: Duration,
        keys: &[(&str, &str)],
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

    fn succeeded(mut self, within: Duration) -> String {
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

/// An agent signs in by SIPp and answers one call.
fn agent(server: &Server, user: &str, secret: &str, ear: &Ear) -> Sipp {
    let port = free_port();
    let second = Duration::from_secs(1);
    Sipp::start(
        server,
        "register.xml",
        port,
        second,
        &[("user", user), ("secret", secret)],
    )
    .succeeded(Duration::from_secs(10));
    Sipp::start(
        server,
        "agent.xml",
        port,
        second,
        &[("user", user), ("audio_port", &ear.port.to_string())],
    )
}

fn caller(server: &Server, number: &str, from: &str, ear: &Ear, seconds: u64) -> Sipp {
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

fn clip<'a>(book: &'a Book, text: &str) -> &'a media::clip::Clip {
    book.fixed
        .iter()
        .find(|((tenant, known), _)| *tenant == SAINT_ANNE && &**known == text)
        .map_or_else(
            || {
                let known: Vec<_> = book.fixed.keys().map(|(_, text)| text).collect();
                panic!("no prompt \"{text}\"; there are {known:#?}")
            },
            |(_, clip)| &**clip,
        )
}

/// The ten digits in an agent's log, and the same in User-to-User.
fn ticket_in(log: &str) -> String {
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

/// Did the caller hear this number, read in pairs?
fn heard_number(ear: &Ear, book: &Book, ticket: &str) {
    for (place, clip) in book.tickets.of(ticket).expect("digits").iter().enumerate() {
        let (share, _) = ear.share_of(clip);
        assert!(
            share >= 0.95,
            "pair {place} of the ticket number: {:.0} % heard",
            share * 100.0
        );
    }
}

/// Scene 1: Dr Okafor, from her registered mobile, on the clinicians' number.
#[test]
fn a_clinician_is_greeted_by_name_and_a_phone_rings_at_once() {
    let book = book();
    let server = Server::start("sipp-clinician");
    let (caller_ear, agent_ear) = (Ear::open(440.0), Ear::open(620.0));
    let ana = agent(&server, "ana", "demo-ana", &agent_ear);
    let started = Instant::now();
    let okafor = caller(&server, "1001", "+15550177001", &caller_ear, 8);
    server.wait_for("a phone rings", Duration::from_secs(3));
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "the clinical desk's phone rings within 2 s of the answer"
    );
    server.wait_for("talks", Duration::from_secs(4));
    // Both hear each other.
    caller_ear.wait_for_tone(620.0, Duration::from_secs(4));
    agent_ear.wait_for_tone(440.0, Duration::from_secs(4));
    okafor.succeeded(Duration::from_secs(15));
    let log = ana.succeeded(Duration::from_secs(5));
    ticket_in(&log);
    assert!(log.contains("Okafor"), "the agent sees who calls: {log}");
    assert!(log.contains("unproven"), "a number is no proof: {log}");
    drop(book);
}

/// Scene 2: an unknown number on the staff line says "patient", hears the
/// ticket number, and waits with music until Ben answers.
#[test]
fn an_unknown_caller_chooses_by_key_hears_the_ticket_and_talks() {
    let book = book();
    let server = Server::start("sipp-staff");
    let (caller_ear, agent_ear) = (Ear::open(440.0), Ear::open(620.0));
    let menu = "Clinician, press 1; hospital staff, 2; patient, 3.";
    let someone = caller(&server, "1002", "+15550199999", &caller_ear, 24);
    caller_ear.wait_for(menu, clip(&book, menu), 0.95, Duration::from_secs(10));
    // Nobody is signed in for patients yet: the caller must still wait, not be
    // turned away.
    caller_ear.press('3');
    server.wait_for("waits in queue patients", Duration::from_secs(12));
    let ben = agent(&server, "ben", "demo-ben", &agent_ear);
    server.wait_for("talks", Duration::from_secs(15));
    caller_ear.wait_for_tone(620.0, Duration::from_secs(4));
    agent_ear.wait_for_tone(440.0, Duration::from_secs(4));
    someone.succeeded(Duration::from_secs(30));
    let log = ben.succeeded(Duration::from_secs(5));
    let ticket = ticket_in(&log);
    heard_number(&caller_ear, &book, &ticket);
    let (share, _) = caller_ear.share_of(clip(&book, menu));
    println!(
        "{:.1} % of the menu's frames arrived bit-identical and in order",
        share * 100.0
    );
    assert!(log.contains("Unknown caller"), "nobody is named: {log}");
}

/// Any party may hang up at any moment: a caller who gives up while the
/// agent's phone rings takes the ringing along.
#[test]
fn a_caller_who_hangs_up_stops_the_ringing() {
    let server = Server::start("sipp-gone");
    let (caller_ear, agent_ear) = (Ear::open(440.0), Ear::open(620.0));
    let port = free_port();
    let second = Duration::from_secs(1);
    Sipp::start(
        &server,
        "register.xml",
        port,
        second,
        &[("user", "ana"), ("secret", "demo-ana")],
    )
    .succeeded(Duration::from_secs(10));
    let ana = Sipp::start(
        &server,
        "cancelled.xml",
        port,
        second,
        &[("user", "ana"), ("audio_port", &agent_ear.port.to_string())],
    );
    let gone = caller(&server, "1004", "+15550178001", &caller_ear, 2);
    gone.succeeded(Duration::from_secs(8));
    // The agent's scenario ends well only when CANCEL came and 487 was acknowledged.
    ana.succeeded(Duration::from_secs(3));
    server.wait_for("ended: CallerHungUp", Duration::from_secs(2));
}

/// A gateway that requires reliable provisional responses, refreshes its
/// session, holds, and comes back from another port: audio goes both ways
/// there.
#[test]
fn a_gateway_holds_refreshes_and_moves() {
    let server = Server::start("sipp-midcall");
    let (first_ear, moved_ear, agent_ear) = (Ear::open(440.0), Ear::open(500.0), Ear::open(620.0));
    let ana = agent(&server, "ana", "demo-ana", &agent_ear);
    let gateway = Sipp::start(
        &server,
        "midcall.xml",
        free_port(),
        Duration::from_secs(6),
        &[
            ("service", "1001"),
            ("caller", "+15550177001"),
            ("audio_port", &first_ear.port.to_string()),
            ("moved_port", &moved_ear.port.to_string()),
        ],
    );
    first_ear.wait_for_tone(620.0, Duration::from_secs(6));
    agent_ear.wait_for_tone(440.0, Duration::from_secs(4));
    moved_ear.wait_for_tone(620.0, Duration::from_secs(10));
    agent_ear.wait_for_tone(500.0, Duration::from_secs(4));
    gateway.succeeded(Duration::from_secs(20));
    ana.succeeded(Duration::from_secs(5));
}
