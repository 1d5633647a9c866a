//! Telephones of G.722 (baresip): among themselves, and with those of G.711.

use crate::support::Server;
use crate::support::house::SOON;
use crate::support::softphone::{Baresip, By};

/// What the caller and the agent hum.
const CALLER_HZ: f64 = 440.0;
const AGENT_HZ: f64 = 620.0;

/// How a phone's audio was agreed on: the codec named by the last answer that it sent or got.
fn speaks_g722(phone: &Baresip) -> bool {
    phone.log().contains("a=rtpmap:9 G722/8000")
}

/// Somebody calls the clinical desk; both talk, each by a phone of one of the two kinds.
fn talk(test: &str, caller_by: &By, agent_by: &By) {
    let server = Server::start(test);
    let wide = |by: &By| matches!(by, By::Wide);
    let phone = |by: &By, user: &str, secret: &str, hertz| {
        Baresip::start_by(by, &server, test, user, Some(secret), hertz)
    };
    let ana = phone(agent_by, "ana", "demo-ana", AGENT_HZ);
    let okafor = phone(caller_by, "okafor", "demo-okafor", CALLER_HZ);
    okafor.dial(&server, "1001");
    ana.wait_for("CALL_INCOMING", SOON);
    // Something is said to a caller of either kind while it rings.
    okafor.hears("anything", SOON, |samples| {
        samples.iter().filter(|s| s.unsigned_abs() > 1_000).count() > 2_000
    });
    ana.command("accept", "");
    ana.wait_for("CALL_ESTABLISHED", SOON);
    for (by, phone, hertz) in [(caller_by, &okafor, AGENT_HZ), (agent_by, &ana, CALLER_HZ)] {
        if wide(by) {
            phone.hears_wide_tone(hertz);
            assert!(speaks_g722(phone));
        } else {
            phone.hears_tone(hertz);
        }
    }
    okafor.command("hangup", "");
    ana.wait_for("CALL_CLOSED", SOON);
}

#[test]
fn a_wideband_caller_talks_with_an_agent_of_g711() {
    talk("wide-caller", &By::Wide, &By::Udp);
}

#[test]
fn a_caller_of_g711_talks_with_a_wideband_agent() {
    talk("wide-agent", &By::Udp, &By::Wide);
}

#[test]
fn two_wideband_phones_talk() {
    talk("wide-both", &By::Wide, &By::Wide);
}
