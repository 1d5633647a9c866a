//! What gateways and phones may do and few do: SIPp does it.

use std::time::Duration;

use crate::support::ear::Ear;
use crate::support::house::{SOON, spoken};
use crate::support::sipp::{Sipp, agent, caller, signed_in};
use crate::support::{Server, free_port};

const MENU: &str = "Clinician, press 1; hospital staff, 2; patient, 3.";

/// The gateway has no offer of its own, at the beginning or when it moves; first asks for a session timer that is too
/// brief; and its key in the menu comes as INFO.
#[test]
fn a_gateway_lets_us_offer() {
    let server = Server::start("sipp-late");
    let (first_ear, moved_ear, agent_ear) = (Ear::open(440.0), Ear::open(500.0), Ear::open(620.0));
    let ana = agent(&server, "ana", "demo-ana", &agent_ear);
    let gateway = Sipp::start(
        &server,
        "late_offer.xml",
        free_port(),
        Duration::from_secs(6),
        &[
            ("service", "1002"),
            ("caller", "+15550199999"),
            ("audio_port", &first_ear.port.to_string()),
            ("moved_port", &moved_ear.port.to_string()),
        ],
    );
    first_ear.wait_for_tone(620.0, Duration::from_secs(12));
    agent_ear.wait_for_tone(440.0, SOON);
    moved_ear.wait_for_tone(620.0, Duration::from_secs(12));
    agent_ear.wait_for_tone(500.0, SOON);
    gateway.succeeded(Duration::from_secs(15));
    ana.succeeded(SOON);
    // The key came while it was spoken.
    let (share, _) = first_ear.share_of(spoken().clip(MENU));
    assert!(share < 0.99, "the key was heard: {share}");
}

/// The agent's phone rings with a response that wants to be acknowledged.
#[test]
fn a_phone_rings_reliably() {
    let server = Server::start("sipp-reliable");
    let (caller_ear, agent_ear) = (Ear::open(440.0), Ear::open(620.0));
    let port = signed_in(&server, "ana", "demo-ana");
    let audio = agent_ear.port.to_string();
    let ana = Sipp::start(
        &server,
        "reliable.xml",
        port,
        Duration::ZERO,
        &[("user", "ana"), ("audio_port", &audio)],
    );
    let okafor = caller(&server, "1001", "+15550177001", &caller_ear, 6);
    caller_ear.wait_for_tone(620.0, SOON);
    agent_ear.wait_for_tone(440.0, SOON);
    okafor.succeeded(Duration::from_secs(12));
    ana.succeeded(SOON);
}
