//! Scenes 1 to 3 with SIPp as caller, as agent and as partner: a SIP stack that we didn't
//! write, sockets that we read ourselves, and what a person would hear.

mod support;

use std::time::{Duration, Instant};

use desk::TenantId;
use server::prompts::Book;
use support::ear::Ear;
use support::sipp::{Sipp, agent, caller, scenario, signed_in, ticket_in};
use support::{Server, book, free_port, scratch};

const SAINT_ANNE: TenantId = TenantId(1);

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
    server.wait_for("phone rings", Duration::from_secs(3));
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "the clinical desk's phone rings within 2 s of the answer"
    );
    server.wait_for("talks", Duration::from_secs(4));
    // Both hear each other.
    caller_ear.wait_for_tone(620.0, Duration::from_secs(4));
    agent_ear.wait_for_tone(440.0, Duration::from_secs(4));
    okafor.succeeded(Duration::from_secs(15));
    let log = ana.succeeded(Duration::from_secs(20));
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
    let log = ben.succeeded(Duration::from_secs(20));
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
    let port = signed_in(&server, "ana", "demo-ana");
    let ana = Sipp::start(
        &server,
        "cancelled.xml",
        port,
        Duration::from_secs(1),
        &[("user", "ana"), ("audio_port", &agent_ear.port.to_string())],
    );
    let gone = caller(&server, "1004", "+15550178001", &caller_ear, 2);
    gone.succeeded(Duration::from_secs(8));
    // The agent's scenario ends well only when CANCEL came and 487 was acknowledged.
    ana.succeeded(Duration::from_secs(20));
    server.wait_for("ended: the caller hung up", Duration::from_secs(2));
}

/// The demo, but that the partner is behind these two ports.
fn with_partner_at(name: &str, ports: [u16; 2]) -> Server {
    let gateways = format!(
        "gateways: [\"sip:127.0.0.1:{}\", \"sip:127.0.0.1:{}\"]\n    probe_every_s: 0",
        ports[0], ports[1]
    );
    let account = "account: { user: nightline, secret: demo-nightline }";
    Server::start_changed(name, &[("operator.yaml", account, &gateways)])
}

/// A partner's phone behind a gateway, which answers one call.
fn partner(server: &Server, port: u16, ear: &Ear) -> Sipp {
    let second = Duration::from_secs(1);
    let audio = ear.port.to_string();
    Sipp::start(
        server,
        "agent.xml",
        port,
        second,
        &[("user", "8000"), ("audio_port", &audio)],
    )
}

/// A gateway that refuses one call. SIPp wants the code in the scenario itself.
fn refuses(server: &Server, port: u16, refusal: &str) -> Sipp {
    let text = std::fs::read_to_string(scenario("refuses.xml")).expect("readable");
    let file = scratch("sipp").join(format!("refuses-{port}.xml"));
    std::fs::write(&file, text.replace("[refusal]", refusal)).expect("written");
    let name = file.display().to_string();
    Sipp::start(server, &name, port, Duration::ZERO, &[])
}

/// Scene 3: after hours, out of service at the first gateway, the partner
/// answers at the second, with the ticket.
#[test]
fn after_hours_the_partner_takes_the_call_at_the_gateway_that_works() {
    let book = book();
    let ports = [free_port(), free_port()];
    let server = with_partner_at("sipp-partner", ports);
    let (caller_ear, partner_ear) = (Ear::open(440.0), Ear::open(620.0));
    let first = refuses(&server, ports[0], "503 Service Unavailable");
    let second = partner(&server, ports[1], &partner_ear);
    let patient = caller(&server, "1005", "+15550177005", &caller_ear, 32);
    let emergency = "If this is an emergency, hang up and dial nine one one.";
    caller_ear.wait_for(
        emergency,
        clip(&book, emergency),
        0.95,
        Duration::from_secs(10),
    );
    caller_ear.press('0');
    server.wait_for("partner portal is called", Duration::from_secs(25));
    let asked = Instant::now();
    server.wait_for("talks with the partner", Duration::from_secs(4));
    // 700 ms of them the partner's phone rings.
    assert!(asked.elapsed() < Duration::from_millis(1_500));
    // SIPp takes its time to come to an end on a busy machine.
    first.succeeded(Duration::from_secs(20));
    caller_ear.wait_for_tone(620.0, Duration::from_secs(4));
    partner_ear.wait_for_tone(440.0, Duration::from_secs(4));
    patient.succeeded(Duration::from_secs(55));
    let log = second.succeeded(Duration::from_secs(20));
    let ticket = ticket_in(&log);
    heard_number(&caller_ear, &book, &ticket);
    assert!(!log.contains("Rosa"), "a patient is never named: {log}");
}

/// A redirection (3xx) of the first gateway is followed to the second, where the policy says so: caller and partner hear
/// each other.
#[test]
fn a_redirection_is_followed_by_policy() {
    let book = book();
    let ports = [free_port(), free_port()];
    let gateways = format!(
        "gateways: [\"sip:127.0.0.1:{}\", \"sip:127.0.0.1:{}\"]\n    probe_every_s: 0\n    redirects: follow",
        ports[0], ports[1]
    );
    let account = "account: { user: nightline, secret: demo-nightline }";
    let server = Server::start_changed("sipp-redirect", &[("operator.yaml", account, &gateways)]);
    let (caller_ear, partner_ear) = (Ear::open(440.0), Ear::open(620.0));
    let elsewhere = format!(
        "302 Moved Temporarily\nContact: <sip:80001@127.0.0.1:{}>",
        ports[1]
    );
    let first = refuses(&server, ports[0], &elsewhere);
    let second = partner(&server, ports[1], &partner_ear);
    let patient = caller(&server, "1005", "+15550177005", &caller_ear, 26);
    let emergency = "If this is an emergency, hang up and dial nine one one.";
    let soon = Duration::from_secs(10);
    caller_ear.wait_for(emergency, clip(&book, emergency), 0.95, soon);
    caller_ear.press('0');
    server.wait_for("partner portal is called", Duration::from_secs(25));
    server.wait_for("talks with the partner", Duration::from_secs(4));
    caller_ear.wait_for_tone(620.0, Duration::from_secs(4));
    partner_ear.wait_for_tone(440.0, Duration::from_secs(4));
    first.succeeded(Duration::from_secs(20));
    patient.succeeded(Duration::from_secs(55));
    ticket_in(&second.succeeded(Duration::from_secs(20)));
}

/// Scene 3: one gateway is silent, the other's partner is busy: the caller is
/// taken back, told so, and waits with music for our own desk.
#[test]
fn a_silent_gateway_and_a_busy_partner_give_the_caller_back() {
    let book = book();
    // Bound, so that nothing tells that nobody is there.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let ports = [silent.local_addr().expect("bound").port(), free_port()];
    let server = with_partner_at("sipp-taken-back", ports);
    let (caller_ear, agent_ear) = (Ear::open(440.0), Ear::open(620.0));
    let busy = refuses(&server, ports[1], "486 Busy Here");
    let ben = agent(&server, "ben", "demo-ben", &agent_ear);
    let patient = caller(&server, "1005", "+15550177005", &caller_ear, 40);
    let emergency = "If this is an emergency, hang up and dial nine one one.";
    caller_ear.wait_for(
        emergency,
        clip(&book, emergency),
        0.95,
        Duration::from_secs(10),
    );
    caller_ear.press('0');
    server.wait_for("partner portal is called", Duration::from_secs(25));
    let asked = Instant::now();
    server.wait_for("taken back: Busy", Duration::from_secs(6));
    let waited = asked.elapsed();
    assert!(
        waited < Duration::from_secs(4),
        "{waited:?} until the second gateway was asked"
    );
    busy.succeeded(Duration::from_secs(20));
    let back = "Our partner can't take your call now. You have kept your place with us.";
    caller_ear.wait_for(back, clip(&book, back), 0.95, Duration::from_secs(12));
    server.wait_for("talks with ", Duration::from_secs(10));
    caller_ear.wait_for_tone(620.0, Duration::from_secs(4));
    agent_ear.wait_for_tone(440.0, Duration::from_secs(4));
    patient.succeeded(Duration::from_secs(35));
    ticket_in(&ben.succeeded(Duration::from_secs(20)));
}

/// What an HTTP request for this path is answered: status and body.
fn http(address: &str, path: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("HTTP is served");
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("set");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: careline\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.expect("a status"), body.to_owned())
}

/// Who watches sees the call; told to stop, Careline takes no new ones, and
/// lets the one in progress end.
#[test]
fn health_metrics_and_an_orderly_stop() {
    let bind = "[http]\nbind = \"127.0.0.1:0\"\n\n[limits]";
    let server = Server::start_changed("sipp-watched", &[("careline.toml", "[limits]", bind)]);
    let printed = server.printed();
    let at = printed
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let at = at.expect("says where").to_owned();
    assert_eq!(http(&at, "/health"), (200, "alive\n".into()));
    assert_eq!(http(&at, "/ready").0, 200);
    assert_eq!(http(&at, "/nothing").0, 404);
    let ear = Ear::open(440.0);
    let waiting = caller(&server, "1004", "+15550178001", &ear, 6);
    server.wait_for("waits in queue", Duration::from_secs(8));
    let (_, metrics) = http(&at, "/metrics");
    let value = |name: &str| {
        let mut lines = metrics.lines();
        let line = lines
            .find(|line| line.starts_with(name) && line.as_bytes().get(name.len()) == Some(&b' '));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{metrics}"));
        line.rsplit(' ')
            .next()
            .and_then(|v| v.parse::<f64>().ok())
            .expect("a number")
    };
    assert_eq!(value("careline_calls"), 1.0);
    assert_eq!(value("careline_calls_admitted_total"), 1.0);
    assert_eq!(value("careline_media_legs"), 1.0);
    let queued: f64 = ["clinical", "tier2", "service"]
        .iter()
        .map(|queue| value(&format!("careline_queue_waiting{{queue=\"{queue}\"}}")))
        .sum();
    assert_eq!(queued, 1.0, "{metrics}");
    assert_eq!(value("careline_trunk_calls{trunk=\"nightline\"}"), 0.0);
    assert!(metrics.ends_with("# EOF\n"));
    // Nobody is to be recognised by what is shown.
    assert!(!metrics.contains("5550178001"), "{metrics}");

    let pid = i32::try_from(server.pid()).expect("a pid");
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("signalled");
    server.wait_for("Stopping: no new calls", Duration::from_secs(2));
    let (status, body) = http(&at, "/ready");
    assert_eq!(
        (status, body.as_str()),
        (503, "draining: takes no new calls\n")
    );
    assert_eq!(http(&at, "/health").0, 200);
    let late = Sipp::start(
        &server,
        "refused.xml",
        free_port(),
        Duration::ZERO,
        &[
            ("service", "1004"),
            ("caller", "+15550178001"),
            ("audio_port", "40000"),
        ],
    );
    late.succeeded(Duration::from_secs(20));
    // The one in progress ends by itself, as long as it likes.
    waiting.succeeded(Duration::from_secs(12));
    server.wait_for("ended: the caller hung up", Duration::from_secs(2));
    server.wait_for("Stopped", Duration::from_secs(5));
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
    ana.succeeded(Duration::from_secs(20));
}
