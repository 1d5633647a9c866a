//! Calls to and from the network outside, with SIPp as its gateway or as another telephone.

use std::time::Duration;

use crate::support::ear::Ear;
use crate::support::house::SOON;
use crate::support::sipp::Sipp;
use crate::support::softphone::{By, CALLER_HZ, three};
use crate::support::{Server, free_port};

/// What is said there.
const OUTSIDE_HZ: f64 = 740.0;

/// The demo, whose trunk has this gateway.
fn with_gateway_at(name: &str, port: u16) -> Server {
    let gateway = format!("gateways: [\"sip:127.0.0.1:{port}\"]\n    probe_every_s: 0");
    let account = "account: { user: nightline, secret: demo-nightline }";
    Server::start_changed(name, &[("operator.yaml", account, &gateway)])
}

/// The agent sends the caller to a number that isn't in service: the caller hears the far network say so, and waits with
/// music again.
#[test]
fn a_caller_sent_outside_hears_that_the_number_is_not_in_service() {
    let port = free_port();
    let server = with_gateway_at("early", port);
    let ear = Ear::open(OUTSIDE_HZ);
    let (ana, okafor, _dov) = three(&By::Udp, &server, "early");
    let audio = ear.port.to_string();
    let gateway = Sipp::start(
        &server,
        "announces.xml",
        port,
        Duration::from_secs(5),
        &[("audio_port", &audio)],
    );
    let to = format!("sip:+15550191234@{}", server.address);
    ana.command("transfer", &to);
    okafor.hears_tone(OUTSIDE_HZ);
    // Nobody has answered, and nobody there hears the caller.
    assert!(ear.tone_share(CALLER_HZ) < 0.1);
    gateway.succeeded(Duration::from_secs(20));
    okafor.hears_music();
    let log = ana.log();
    assert!(log.contains("SIP/2.0 503 Service Unavailable"), "{log}");
}

/// An agent's other telephone takes their call over, by INVITE with Replaces.
#[test]
fn another_telephone_takes_the_place_of_the_one_that_talks() {
    let server = Server::start("sipp-replaces");
    let (ana, okafor, _dov) = three(&By::Udp, &server, "replaces");
    let log = ana.log();
    // Her call, by the 200 to its INVITE: From is ours.
    let call = log.find("INVITE sip:").map(|at| &log[at..]);
    let ok = call.and_then(|call| call.split("SIP/2.0 200 ").nth(1));
    let ok = ok.expect("answered");
    let field = |name: &str| {
        let mut lines = ok.lines();
        let value = lines.find_map(|line| line.strip_prefix(name));
        value.expect("there").trim().to_owned()
    };
    let tag = |name: &str| field(name).split("tag=").nth(1).expect("a tag").to_owned();
    let ear = Ear::open(OUTSIDE_HZ);
    let other = Sipp::start(
        &server,
        "replaces.xml",
        free_port(),
        Duration::from_secs(5),
        &[
            ("user", "ana"),
            ("secret", "demo-ana"),
            ("audio_port", &ear.port.to_string()),
            ("replaced", &field("Call-ID: ")),
            ("to_tag", &tag("From: ")),
            ("from_tag", &tag("To: ")),
        ],
    );
    okafor.hears_tone(OUTSIDE_HZ);
    ear.wait_for_tone(CALLER_HZ, SOON);
    ana.wait_for("CALL_CLOSED", SOON);
    assert_eq!(okafor.count("CALL_CLOSED"), 0);
    // It ends the call.
    other.succeeded(Duration::from_secs(20));
    okafor.wait_for("CALL_CLOSED", SOON);
}
