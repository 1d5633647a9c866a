//! Three who talk, by telephones that know nothing of it (baresip): a code joins them, and who stays talks on.

use std::time::{Duration, Instant};

use crate::support::Server;
use crate::support::ear::pitch_share;
use crate::support::house::SOON;
use crate::support::softphone::Baresip;

/// What each of them hums.
const CALLER_HZ: f64 = 440.0;
const AGENT_HZ: f64 = 620.0;
const COLLEAGUE_HZ: f64 = 880.0;

/// Is each of these a good part of the last half second, and this one none?
fn are_heard(samples: &[i16], hertz: [f64; 2], own: f64) -> bool {
    let Some(last) = samples.len().checked_sub(4_000) else {
        return false;
    };
    let samples: Vec<f64> = samples[last..].iter().map(|s| f64::from(*s)).collect();
    let share = |hertz| pitch_share(&samples, hertz);
    hertz.into_iter().all(|hertz| share(hertz) > 0.3) && share(own) < 0.02
}

/// The caller talks with Ana, who holds them, asks Dov, and presses `*3`.
#[test]
fn an_agent_joins_caller_and_colleague_by_a_code() {
    let test = "conference";
    let server = Server::start(test);
    let phone =
        |user: &str, secret: &str, hertz| Baresip::start(&server, test, user, Some(secret), hertz);
    let ana = phone("ana", "demo-ana", AGENT_HZ);
    let okafor = phone("okafor", "demo-okafor", CALLER_HZ);
    okafor.dial(&server, "1001");
    ana.wait_for("CALL_INCOMING", SOON);
    ana.command("accept", "");
    okafor.hears_tone(AGENT_HZ);
    let dov = phone("dov", "demo-dov", COLLEAGUE_HZ);
    ana.menu('x');
    // Recordings are named by the second they begin in.
    std::thread::sleep(Duration::from_millis(1_100));
    ana.dial(&server, "tier2");
    dov.wait_for("CALL_INCOMING", SOON);
    dov.command("accept", "");
    dov.hears_tone(AGENT_HZ);
    ana.press("*");
    ana.press("3");
    okafor.hears("agent and colleague", SOON, |samples| {
        are_heard(samples, [AGENT_HZ, COLLEAGUE_HZ], CALLER_HZ)
    });
    dov.hears("caller and agent", SOON, |samples| {
        are_heard(samples, [CALLER_HZ, AGENT_HZ], COLLEAGUE_HZ)
    });
    let until = Instant::now() + SOON;
    while !are_heard(&ana.heard(), [CALLER_HZ, COLLEAGUE_HZ], AGENT_HZ) {
        assert!(Instant::now() < until, "the agent doesn't hear both");
        std::thread::sleep(Duration::from_millis(100));
    }
    // The call that she held is over; she is there by the other one.
    ana.wait_for("CALL_CLOSED", SOON);
    assert_eq!(ana.count("CALL_CLOSED"), 1);
    // She leaves: the two talk on.
    ana.command("hangup", "");
    okafor.hears_tone(COLLEAGUE_HZ);
    dov.hears_tone(CALLER_HZ);
    dov.command("hangup", "");
    okafor.wait_for("CALL_CLOSED", SOON);
}
