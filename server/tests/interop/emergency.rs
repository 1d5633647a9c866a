//! An emergency call from baresip, with SIPp as the gateway to the service: what each hears of the other, and what stands
//! on the wire.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::support::ear::Ear;
use crate::support::house::{LATER, SOON, spoken};
use crate::support::sipp::{Sipp, caller};
use crate::support::softphone::{AGENT_HZ, Baresip};
use crate::support::{Server, free_port};

/// What the service hums.
const SERVICE_HZ: f64 = 520.0;

/// The demo, whose trunk has these two gateways and takes places.
fn with_gateways_at(name: &str, ports: [u16; 2]) -> Server {
    let gateways = format!(
        "gateways: [\"sip:127.0.0.1:{}\", \"sip:127.0.0.1:{}\"]\n    probe_every_s: 0\n    location: pidf-lo",
        ports[0], ports[1]
    );
    let account = "account: { user: nightline, secret: demo-nightline }";
    Server::start_changed(name, &[("operator.yaml", account, &gateways)])
}

/// Takes one call at this port, answering after so long; and the file of all it receives and sends.
fn service(server: &Server, port: u16, ear: &Ear, after: Duration) -> Sipp {
    let audio = ear.port.to_string();
    Sipp::start_traced(
        server,
        "service.xml",
        port,
        after,
        &[("audio_port", &audio)],
    )
}

#[test]
fn an_emergency_call_reaches_the_service_with_the_place_it_comes_from() {
    // Bound, so that nothing tells that nobody is there.
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let ports = [silent.local_addr().expect("bound").port(), free_port()];
    let server = with_gateways_at("emergency", ports);
    let ear = Ear::open(SERVICE_HZ);
    let gateway = service(&server, ports[1], &ear, Duration::from_secs(6));
    let ana = Baresip::start(&server, "emergency", "ana", Some("demo-ana"), AGENT_HZ);
    let dialled = Instant::now();
    ana.dial(&server, "911");
    // Before it answers they hear each other.
    ana.hears_tone(SERVICE_HZ);
    ear.wait_for_tone(AGENT_HZ, SOON);
    assert!(
        dialled.elapsed() < Duration::from_secs(8),
        "{:?}",
        dialled.elapsed()
    );
    assert_eq!(ana.count("CALL_ESTABLISHED"), 0);
    ana.wait_for("CALL_ESTABLISHED", SOON);
    ana.hears_tone(SERVICE_HZ);
    ear.wait_for_tone(AGENT_HZ, SOON);
    ana.command("hangup", "");
    let wire = gateway.messages(Duration::from_secs(20));
    server.wait_for("EMERGENCY CALL to 911 from ana: Begun", SOON);
    server.wait_for("EMERGENCY CALL to 911 from ana: Connected", SOON);
    server.wait_for("EMERGENCY CALL to 911 from ana: Ended(Caller)", SOON);
    // Seconds count: her telephone wasn't asked for a password.
    let calls = ana.log();
    let calls = calls.split("INVITE sip:911@").nth(1).expect("she called");
    assert!(!calls.contains("401 Unauthorized"), "{calls}");

    let invite = wire
        .split("INVITE sip:911@127.0.0.1")
        .nth(1)
        .expect("an INVITE");
    let invite = invite.split("SIP/2.0 183").next().expect("its end");
    let number = "+15550100201";
    for wanted in [
        &*format!("<sip:{number}@127.0.0.1"),
        &*format!("P-Asserted-Identity: <sip:{number}@127.0.0.1>"),
        "Priority: emergency",
        "Geolocation: <cid:station-",
        "Geolocation-Routing: yes",
        "Content-Type: multipart/mixed;boundary=",
        "Content-Type: application/sdp",
        "Content-Type: application/pidf+xml",
        "Content-Disposition: by-reference;handling=optional",
        "xmlns:ca=\"urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr\"",
        "<ca:country>US</ca:country><ca:A1>IL</ca:A1><ca:A3>Springfield</ca:A3><ca:RD>Demo Street</ca:RD>\
         <ca:HNO>1</ca:HNO><ca:FLR>2</ca:FLR><ca:ROOM>201</ca:ROOM>",
    ] {
        assert!(invite.contains(wanted), "no {wanted:?} in {invite}");
    }
    for unwanted in ["Privacy:", "Session-Expires:", "X-Careline-Ticket:"] {
        assert!(!invite.contains(unwanted), "{unwanted:?} in {invite}");
    }
    // Parts and header as they are to be taken apart by anybody else.
    let field = |name: &str| {
        let value = invite.split(&format!("{name}: ")).nth(1).expect("there");
        value.lines().next().expect("a line").trim().to_owned()
    };
    let boundary = field("Content-Type");
    let boundary = boundary.split("boundary=").nth(1).expect("a boundary");
    assert_eq!(invite.matches(&format!("--{boundary}")).count(), 3);
    assert!(invite.contains(&format!("--{boundary}--")));
    let cid = field("Geolocation").replace("<cid:", "<");
    assert!(invite.contains(&format!("Content-ID: {cid}")), "{cid}");

    // The service calls back the number that it was given: no line of ours, but her telephone.
    let back = caller(&server, number, "+15550160911", &ear, 8);
    ana.wait_for("CALL_INCOMING", SOON);
    ana.command("accept", "");
    ana.hears_tone(SERVICE_HZ);
    ear.wait_for_tone(AGENT_HZ, SOON);
    back.succeeded(Duration::from_secs(20));
    server.wait_for("from ana: CalledBack", SOON);
    server.wait_for("from ana: Ended(Service)", SOON);
    assert!(ana.log().contains("Priority: psap-callback"));
}

#[test]
fn a_caller_whom_nobody_takes_is_told_and_connected_when_somebody_does() {
    let silent = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a port"));
    let ports = [0, 1].map(|n: usize| silent[n].local_addr().expect("bound").port());
    let server = with_gateways_at("emergency-none", ports);
    let ana = Baresip::start(&server, "emergency-none", "ana", Some("demo-ana"), AGENT_HZ);
    ana.dial(&server, "911");
    server.wait_for("EMERGENCY CALL to 911 from ana: Unplaced", LATER);
    let words = switch::EMERGENCY_WORDS;
    ana.hears_clip(words, spoken().clip(words), LATER);
    drop(silent);
    let ear = Ear::open(SERVICE_HZ);
    let gateway = service(&server, ports[1], &ear, Duration::from_secs(1));
    server.wait_for("EMERGENCY CALL to 911 from ana: Connected", LATER);
    ana.hears_tone(SERVICE_HZ);
    ear.wait_for_tone(AGENT_HZ, SOON);
    ana.command("hangup", "");
    gateway.succeeded(Duration::from_secs(20));
}
