//! Kamailio in front: every phone, also the caller's, speaks to it alone, and it stays in the path of every call.

use crate::support::Server;
use crate::support::house::{LATER, SOON, spoken};
use crate::support::kamailio::{Kamailio, Towards};
use crate::support::softphone::{Baresip, By, hand_over, is_sent_on, ticket};

const CALLER_HZ: f64 = 440.0;
const AGENT_HZ: f64 = 620.0;
const COLLEAGUE_HZ: f64 = 880.0;

const MENU: &str = "Clinician, press 1; hospital staff, 2; patient, 3.";

/// The agent's phone registered with Path, and was called with Record-Route: it speaks to the proxy alone.
fn is_behind(phone: &Baresip, proxy: &Kamailio) {
    let record_route = phone.header("Record-Route").expect("it was called");
    let proxy = proxy.address.to_string();
    assert!(record_route.contains(&proxy), "{record_route}");
    let log = phone.log();
    let mut routes = log.lines().filter(|line| line.starts_with("Route: "));
    assert!(routes.all(|route| route.contains(&proxy)), "{log}");
}

/// A call from outside to a queue: a key in the menu, both hear each other, the agent holds and takes up again, and hangs
/// up. All of it by TCP between the proxy and Careline.
#[test]
fn a_call_to_a_queue_is_held_and_ended_through_a_proxy() {
    let server = Server::start("kamailio-queue");
    let proxy = Kamailio::start(&server, "queue", Towards::Tcp);
    let by = By::Proxy(proxy.address);
    let ben = Baresip::start_by(&by, &server, "kam-queue", "ben", Some("demo-ben"), AGENT_HZ);
    let someone = Baresip::start_by(&by, &server, "kam-queue", "anonymous", None, CALLER_HZ);
    someone.dial_by(&by, &server, "1002");
    someone.wait_for("CALL_ESTABLISHED", SOON);
    someone.hears_clip(MENU, spoken().clip(MENU), SOON);
    someone.press("3");
    server.wait_for("waits in queue patients", LATER);
    ben.wait_for("CALL_INCOMING", LATER);
    ben.command("accept", "");
    someone.hears_tone(AGENT_HZ);
    ben.hears_tone(CALLER_HZ);
    ticket(&ben);
    ben.menu('x');
    someone.hears_music();
    ben.menu('X');
    someone.hears_tone(AGENT_HZ);
    ben.is_reached_by_tone(&by, CALLER_HZ);
    ben.command("hangup", "");
    someone.wait_for("CALL_CLOSED", SOON);
    proxy.passes_on("BYE", "a phone");
    proxy.passes_on("BYE", "careline");
    is_behind(&ben, &proxy);
    let log = ben.log();
    assert!(
        log.contains("Via: SIP/2.0/TCP"),
        "Careline spoke TCP: {log}"
    );
}

/// A blind transfer between two phones behind the proxy, by UDP throughout; then the caller hangs up.
#[test]
fn an_agent_sends_the_caller_on_through_a_proxy() {
    let server = Server::start("kamailio-blind");
    let proxy = Kamailio::start(&server, "blind", Towards::Udp);
    let by = By::Proxy(proxy.address);
    let start = |user: &str, secret: &str, hertz| {
        Baresip::start_by(&by, &server, "kam-blind", user, Some(secret), hertz)
    };
    let ana = start("ana", "demo-ana", AGENT_HZ);
    let okafor = start("okafor", "demo-okafor", CALLER_HZ);
    okafor.dial_by(&by, &server, "1001");
    ana.wait_for("CALL_INCOMING", SOON);
    ana.command("accept", "");
    okafor.hears_tone(AGENT_HZ);
    ana.hears_tone(CALLER_HZ);
    okafor.press("7");
    ana.wait_for("CALL_DTMF_START", SOON);
    let dov = start("dov", "demo-dov", COLLEAGUE_HZ);
    ana.command("transfer", &format!("sip:dov@{}", server.address));
    is_sent_on((&okafor, CALLER_HZ), &ana, (&dov, COLLEAGUE_HZ));
    okafor.command("hangup", "");
    dov.wait_for("CALL_CLOSED", SOON);
    for (method, of) in [
        ("REFER", "a phone"),
        ("NOTIFY", "careline"),
        ("BYE", "careline"),
        ("BYE", "a phone"),
    ] {
        proxy.passes_on(method, of);
    }
    is_behind(&ana, &proxy);
    is_behind(&dov, &proxy);
}

/// The proxy is started anew, between two calls and within one: its connections to Careline are gone. The phones behind it
/// stay signed in, and whoever hangs up is heard.
#[test]
fn a_proxy_is_started_anew() {
    let server = Server::start("kamailio-anew");
    let mut proxy = Kamailio::start(&server, "anew", Towards::Tcp);
    let by = By::Proxy(proxy.address);
    let ana = Baresip::start_by(&by, &server, "kam-anew", "ana", Some("demo-ana"), AGENT_HZ);
    let someone = Baresip::start_by(&by, &server, "kam-anew", "anonymous", None, CALLER_HZ);
    proxy.start_anew();
    someone.dial_by(&by, &server, "1004");
    ana.wait_for("CALL_INCOMING", SOON);
    ana.command("accept", "");
    someone.hears_tone(AGENT_HZ);
    ana.hears_tone(CALLER_HZ);
    proxy.start_anew();
    ana.command("hangup", "");
    someone.wait_for("CALL_CLOSED", SOON);
    proxy.passes_on("BYE", "careline");
    is_behind(&ana, &proxy);
}

/// Scene 8 by TCP through the proxy: a colleague is asked and gets the caller.
#[test]
fn an_agent_hands_the_caller_over_through_a_proxy() {
    let server = Server::start("kamailio-attended");
    let proxy = Kamailio::start(&server, "attended", Towards::Tcp);
    hand_over(&By::Proxy(proxy.address), &server, "kam-attended");
    proxy.passes_on("REFER", "a phone");
}

/// Behind a proxy a telephone isn't known by where it calls from: it shows its password, and is put through.
#[test]
fn a_call_for_help_gets_through_a_proxy() {
    let server = Server::start("kamailio-help");
    let proxy = Kamailio::start(&server, "help", Towards::Udp);
    let by = By::Proxy(proxy.address);
    let ana = Baresip::start_by(&by, &server, "kam-help", "ana", Some("demo-ana"), AGENT_HZ);
    ana.dial_by(&by, &server, "911");
    server.wait_for("EMERGENCY CALL to 911 from ana: Begun", SOON);
    ana.command("hangup", "");
    server.wait_for("EMERGENCY CALL to 911 from ana: Ended(Caller)", SOON);
}
