//! Encrypted audio, signalled by TLS, across a network that loses, delays and reorders: held, taken up again, and keys count
//! once. Careline tells its telephones another address than its own, where that network begins.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::bad_network::{bad, was_bad};
use crate::support::house::SOON;
use crate::support::lossy::{Lossy, Weather};
use crate::support::softphone::{AGENT_HZ, Baresip, By, CALLER_HZ};
use crate::support::{Server, with_tls};

/// Where telephones are told to send audio to.
const OUTSIDE: &str = "127.0.0.2";

/// The network between a telephone and the port that Careline has named to it.
fn network_before(phone: &Baresip, weather: Weather) -> Lossy {
    let named = format!("c=IN IP4 {OUTSIDE}");
    let until = Instant::now() + SOON;
    let port = loop {
        let log = phone.log();
        let ours = log.split(&named).nth(1);
        let port = ours.and_then(|sdp| {
            sdp.split("m=audio ")
                .nth(1)?
                .split(' ')
                .next()?
                .parse()
                .ok()
        });
        if let Some(port) = port {
            break port;
        }
        assert!(Instant::now() < until, "no description of ours: {log}");
        std::thread::sleep(Duration::from_millis(10));
    };
    let outer = UdpSocket::bind((OUTSIDE, port)).expect("an address of the loopback");
    outer
        .set_read_timeout(Some(Duration::from_millis(2)))
        .expect("a timeout");
    Lossy::between(outer, SocketAddr::from(([127, 0, 0, 1], port)), weather)
}

#[test]
fn an_encrypted_call_across_a_bad_network() {
    let (config, authority) = with_tls("encrypted-bad");
    let file = config.join("careline.toml");
    let toml = std::fs::read_to_string(&file).expect("readable");
    let advertised = format!("threads = 1\nadvertise = \"{OUTSIDE}\"\n");
    assert!(toml.contains("threads = 1\n"), "the demo has changed");
    let toml = toml.replace("threads = 1\n", &advertised) + "encryption = \"required\"\n";
    std::fs::write(&file, toml).expect("written");
    let server = Server::start_with(&config.join("data"), &config, "127.0.0.1:0", &[]);
    let by = By::Away(authority);
    let phone = |user: &str, secret: &str, hertz| {
        Baresip::start_by(&by, &server, "encrypted-bad", user, Some(secret), hertz)
    };
    let ana = phone("ana", "demo-ana", AGENT_HZ);
    let okafor = phone("okafor", "demo-okafor", CALLER_HZ);
    okafor.dial_by(&by, &server, "1001");
    let network = network_before(&okafor, bad(31));
    ana.wait_for("CALL_INCOMING", SOON);
    let good = Weather {
        seed: 1,
        loss: 0.0,
        jitter: Duration::ZERO,
    };
    let _good = network_before(&ana, good);
    ana.command("accept", "");
    okafor.hears_tone(AGENT_HZ);
    ana.hears_tone(CALLER_HZ);
    // Each key once.
    let keys = "1234567890";
    for (at, key) in keys.chars().enumerate() {
        okafor.press(&key.to_string());
        ana.wait_for_more("CALL_DTMF_START", at, SOON);
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(ana.count("CALL_DTMF_START"), keys.len());
    // Each side holds the line and takes it up, with the keys of before.
    okafor.menu('x');
    ana.hears_music();
    okafor.menu('X');
    ana.hears_tone(CALLER_HZ);
    okafor.is_reached_by_tone(&by, AGENT_HZ);
    ana.menu('x');
    std::thread::sleep(Duration::from_secs(2));
    ana.menu('X');
    ana.is_reached_by_tone(&by, CALLER_HZ);
    ana.wait_for("CALL_ESTABLISHED", SOON);
    for passed in [network.to_ear(), network.by_ear()] {
        was_bad(&passed);
    }
    for phone in [&ana, &okafor] {
        let log = phone.log();
        let offered = log.matches("m=audio ").count();
        assert_eq!(log.matches("RTP/SAVP").count(), offered, "{log}");
    }
    okafor.command("hangup", "");
    ana.wait_for("CALL_CLOSED", SOON);
}
