//! Calls to and from the network outside, with SIPp as its gateway.

use std::time::Duration;

use crate::support::ear::Ear;
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
