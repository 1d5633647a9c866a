//! Scenes 1 and 2 with baresip as caller and as agent: somebody else's
//! telephone, and what it recorded of what it heard.

mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use desk::TicketNumber;
use support::house::{LATER, SOON, spoken};
use support::softphone::{
    AGENT_HZ, Baresip, By, CALLER_HZ, COLLEAGUE_HZ, Heard, hand_over, has_music, is_sent_on, three,
    ticket,
};
use support::{InMemory, Server};

const MENU: &str = "Clinician, press 1; hospital staff, 2; patient, 3.";

/// The agent's phone signed in by digest.
fn signed_in(agent: &Baresip) {
    let log = agent.log();
    assert!(log.contains("401 Unauthorized"), "{log}");
    assert!(
        log.lines()
            .any(|line| line.starts_with("Authorization: Digest")),
        "{log}"
    );
}

/// Where, from a sample on, a ticket number was read out whole: where it ends.
fn number_read(samples: &[i16], number: TicketNumber, from: usize) -> Option<usize> {
    let clips = spoken().book.tickets.of(&number.to_string())?;
    let mut at = from;
    for clip in clips {
        let heard = Heard::of(samples, &clip, at)?;
        (heard.share >= 0.95).then_some(())?;
        at = heard.end;
    }
    Some(at)
}

/// Scene 1: Dr Okafor calls from a registered phone, is greeted by name, and a
/// phone of the clinical desk rings at once.
#[test]
fn a_clinician_is_greeted_by_name_and_talks() {
    let server = Server::start("baresip-clinician");
    let ana = Baresip::start(&server, "clinician", "ana", Some("demo-ana"), AGENT_HZ);
    let okafor = Baresip::start(
        &server,
        "clinician",
        "okafor",
        Some("demo-okafor"),
        CALLER_HZ,
    );
    okafor.dial(&server, "1001");
    okafor.wait_for("CALL_ESTABLISHED", SOON);
    let answered = Instant::now();
    ana.wait_for("CALL_INCOMING", SOON);
    let wait = answered.elapsed();
    assert!(
        wait < Duration::from_secs(2),
        "the phone rang after {wait:?}"
    );
    // What there is to say is said while it rings.
    for text in ["Hello Doctor Okafor.", "The clinical desk is being called."] {
        okafor.hears_clip(text, spoken().clip(text), SOON);
    }
    ana.command("accept", "");
    ana.wait_for("CALL_ESTABLISHED", SOON);
    okafor.hears_tone(AGENT_HZ);
    ana.hears_tone(CALLER_HZ);
    okafor.command("hangup", "");
    ana.wait_for("CALL_CLOSED", SOON);
    okafor.wait_for("CALL_CLOSED", SOON);
    ticket(&ana);
    signed_in(&ana);
    let from = ana
        .log()
        .lines()
        .find(|line| line.starts_with("From: \"Dr. Ada Okafor (unproven)"))
        .map(str::to_owned);
    assert!(from.is_some(), "the agent sees who calls: {}", ana.log());
    let menu = Heard::of(&okafor.heard(), spoken().clip(MENU), 0);
    assert!(menu.is_none(), "a clinician hears no menu");
}

/// Scene 2: a withheld number says "patient" by key, hears the ticket number,
/// asks for it again, waits with music, talks, and is put on hold.
#[test]
fn a_withheld_number_chooses_by_key_and_talks() {
    let server = Server::start("baresip-staff");
    let ben = Baresip::start(&server, "staff", "ben", Some("demo-ben"), AGENT_HZ);
    let someone = Baresip::start(&server, "staff", "anonymous", None, CALLER_HZ);
    someone.dial(&server, "1002");
    someone.wait_for("CALL_ESTABLISHED", SOON);
    someone.hears_clip(MENU, spoken().clip(MENU), SOON);
    someone.press("3");
    server.wait_for("waits in queue patients", LATER);
    ben.wait_for("CALL_INCOMING", LATER);
    let number = ticket(&ben);
    let once = |samples: &[i16]| number_read(samples, number, 0);
    someone.hears("the ticket number", LATER, |samples| {
        once(samples).is_some()
    });
    let music = media::music::on_hold();
    someone.hears("music", LATER, |samples| has_music(samples, &music));
    someone.press("*");
    someone.hears("the ticket number again", LATER, |samples| {
        once(samples).is_some_and(|end| number_read(samples, number, end).is_some())
    });
    ben.command("accept", "");
    someone.hears_tone(AGENT_HZ);
    ben.hears_tone(CALLER_HZ);
    // The caller holds the line: the agent hears music. And takes it up again.
    someone.menu('x');
    ben.hears_music();
    someone.menu('X');
    ben.hears_tone(CALLER_HZ);
    someone.is_reached_by_tone(&By::Udp, AGENT_HZ);
    // This time the agent hangs up.
    ben.command("hangup", "");
    someone.wait_for("CALL_CLOSED", SOON);
    signed_in(&ben);
    let heard = someone.heard();
    let menu = Heard::of(&heard, spoken().clip(MENU), 0).expect("heard");
    println!(
        "{:.1} % of the menu's frames arrived bit-identical and in order",
        menu.share * 100.0
    );
    assert!(
        Heard::of(&heard, spoken().clip(MENU), menu.end).is_none(),
        "the menu once, for the key counted once"
    );
    assert!(
        ben.log()
            .contains("\"Unknown caller - Saint Anne Medical Center\""),
        "nobody is named: {}",
        ben.log()
    );
}

/// Phones that reach us by streams: keys arrive, agent and caller hold the line and take it up, the caller is sent on;
/// both sides hear each other throughout. And whoever is gone is noticed.
fn talks_by(by: &By, server: &Server, test: &str) -> Baresip {
    let start = |user: &str, secret: &str, hertz| {
        Baresip::start_by(by, server, test, user, Some(secret), hertz)
    };
    let ana = start("ana", "demo-ana", AGENT_HZ);
    let okafor = start("okafor", "demo-okafor", CALLER_HZ);
    okafor.dial_by(by, server, "1001");
    okafor.wait_for("CALL_ESTABLISHED", SOON);
    ana.wait_for("CALL_INCOMING", SOON);
    let greeting = "Hello Doctor Okafor.";
    okafor.hears_clip(greeting, spoken().clip(greeting), SOON);
    ana.command("accept", "");
    ana.wait_for("CALL_ESTABLISHED", SOON);
    okafor.hears_tone(AGENT_HZ);
    ana.hears_tone(CALLER_HZ);
    okafor.press("7");
    ana.wait_for("CALL_DTMF_START", SOON);
    ana.menu('x');
    okafor.hears_music();
    ana.menu('X');
    okafor.hears_tone(AGENT_HZ);
    ana.is_reached_by_tone(by, CALLER_HZ);
    let dov = start("dov", "demo-dov", COLLEAGUE_HZ);
    ana.command("transfer", &format!("sip:dov@{}", by.host(server)));
    is_sent_on((&okafor, CALLER_HZ), &ana, (&dov, COLLEAGUE_HZ));
    okafor.menu('x');
    dov.hears_music();
    okafor.menu('X');
    dov.hears_tone(CALLER_HZ);
    okafor.is_reached_by_tone(by, COLLEAGUE_HZ);
    okafor.command("hangup", "");
    dov.wait_for("CALL_CLOSED", SOON);
    signed_in(&ana);
    let via = match by {
        By::Udp | By::Wide | By::Proxy(_) | By::V6 { tcp: false } => "Via: SIP/2.0/UDP",
        By::Tcp | By::V6 { tcp: true } => "Via: SIP/2.0/TCP",
        By::Tls(_) | By::Srtp(..) | By::Away(_) => "Via: SIP/2.0/TLS",
    };
    for phone in [&ana, &okafor, &dov] {
        let log = phone.log();
        let vias = log.lines().filter(|line| line.starts_with("Via: "));
        assert!(vias.clone().count() > 4, "{log}");
        assert!(vias.clone().all(|line| line.starts_with(via)), "{log}");
    }
    // Its connection is closed without a word; the next call doesn't ring in the void.
    drop(ana);
    okafor.dial_by(by, server, "1001");
    dov.wait_for_more("CALL_INCOMING", 1, LATER);
    okafor
}

#[test]
fn phones_talk_by_tcp() {
    let server = Server::start("baresip-tcp");
    talks_by(&By::Tcp, &server, "tcp");
}

/// By IPv6 alone: nothing that a phone sends or gets names an IPv4 address, and its audio goes where the SDP says.
fn talks_by_v6(tcp: bool, test: &str) {
    let data = InMemory::new(test);
    let demo = support::root().join("demo");
    let server = Server::start_with(&data.path().join("data"), &demo, "[::1]:0", &[]);
    assert!(server.address.is_ipv6());
    let by = By::V6 { tcp };
    let okafor = talks_by(&by, &server, test);
    let log = okafor.log();
    let connections = log.lines().filter(|line| line.starts_with("c="));
    assert!(connections.clone().count() > 4, "{log}");
    assert!(
        connections.clone().all(|c| c.trim() == "c=IN IP6 ::1"),
        "{log}"
    );
    assert!(!log.contains("127.0.0.1"), "{log}");
}

#[test]
fn phones_talk_by_ipv6() {
    talks_by_v6(false, "baresip-v6");
}

#[test]
fn phones_talk_by_tcp_and_ipv6() {
    talks_by_v6(true, "baresip-v6-tcp");
}

#[test]
fn an_agent_hands_the_caller_over_by_tcp() {
    let server = Server::start("baresip-over-tcp");
    hand_over(&By::Tcp, &server, "over-tcp");
}

#[test]
fn an_agent_hands_the_caller_over_by_tls() {
    let (config, authority) = support::with_tls("baresip-over-tls");
    let server = Server::start_with(&config.join("data"), &config, "127.0.0.1:0", &[]);
    hand_over(&By::Tls(authority), &server, "over-tls");
}

/// Everything encrypted, the question to the colleague too.
#[test]
fn an_agent_hands_the_caller_over_encrypted() {
    let (server, authority) = with_encryption("baresip-over-srtp", "encryption = \"required\"\n");
    hand_over(&By::Srtp(authority, "srtp-mand"), &server, "over-srtp");
}

#[test]
fn phones_talk_by_tls() {
    let (config, authority) = support::with_tls("baresip-tls");
    let server = Server::start_with(&config.join("data"), &config, "127.0.0.1:0", &[]);
    talks_by(&By::Tls(authority), &server, "tls");
}

/// A server that answers by TLS too, with this said of its encryption.
fn with_encryption(test: &str, setting: &str) -> (Server, PathBuf) {
    let (config, authority) = support::with_tls(test);
    let file = config.join("careline.toml");
    let toml = std::fs::read_to_string(&file).expect("readable");
    std::fs::write(&file, toml + setting).expect("written");
    let server = Server::start_with(&config.join("data"), &config, "127.0.0.1:0", &[]);
    (server, authority)
}

/// How many of the descriptions that a phone saw have keys, and how many have none.
fn descriptions(phone: &Baresip) -> (usize, usize) {
    let log = phone.log();
    let all = log.matches("m=audio ").count();
    let with = log
        .split("m=audio ")
        .skip(1)
        .filter(|rest| {
            rest.split("SIP/2.0")
                .next()
                .is_some_and(|own| own.contains("a=crypto:"))
        })
        .count();
    (with, all - with)
}

/// Both legs encrypted, by policy; the phones take nothing else either.
#[test]
fn phones_talk_encrypted() {
    let (server, authority) = with_encryption("baresip-srtp", "encryption = \"required\"\n");
    talks_by(&By::Srtp(authority, "srtp-mand"), &server, "srtp");
}

/// Phones whose audio may be encrypted are: nothing is set for that.
#[test]
fn phones_that_can_talk_encrypted() {
    let (server, authority) = with_encryption("baresip-srtp-may", "");
    let by = By::Srtp(authority, "srtp");
    let ana = Baresip::start_by(&by, &server, "may", "ana", Some("demo-ana"), AGENT_HZ);
    let okafor = Baresip::start_by(
        &by,
        &server,
        "may",
        "okafor",
        Some("demo-okafor"),
        CALLER_HZ,
    );
    okafor.dial_by(&by, &server, "1001");
    okafor.wait_for("CALL_ESTABLISHED", SOON);
    ana.wait_for("CALL_INCOMING", SOON);
    ana.command("accept", "");
    okafor.hears_tone(AGENT_HZ);
    ana.hears_tone(CALLER_HZ);
    for phone in [&ana, &okafor] {
        let (with, without) = descriptions(phone);
        assert!(
            with >= 2 && without == 0,
            "{with} {without}: {}",
            phone.log()
        );
    }
    okafor.command("hangup", "");
    ana.wait_for("CALL_CLOSED", SOON);
}

/// Where encryption is required, nobody talks in the clear: neither a caller who can't encrypt, nor an agent whose
/// phone can't.
#[test]
fn required_encryption_is_never_given_up() {
    let (server, authority) = with_encryption("baresip-srtp-must", "encryption = \"required\"\n");
    let tls = By::Tls(authority.clone());
    let okafor = Baresip::start_by(
        &tls,
        &server,
        "must",
        "okafor",
        Some("demo-okafor"),
        CALLER_HZ,
    );
    okafor.dial_by(&tls, &server, "1001");
    okafor.wait_for("CALL_CLOSED", SOON);
    let log = okafor.log();
    assert!(log.contains("SIP/2.0 488 Not Acceptable Here"), "{log}");
    assert!(
        log.contains("Warning: 399 careline.demo \"encryption is required\""),
        "{log}"
    );
    assert_eq!(okafor.count("CALL_ESTABLISHED"), 0);
    server.wait_for("refused: encryption is required", SOON);
    server.wait_for(
        "ended: encryption is required, and the caller's phone can't",
        SOON,
    );
    drop(okafor);
    let ana = Baresip::start_by(&tls, &server, "must", "ana", Some("demo-ana"), AGENT_HZ);
    let srtp = By::Srtp(authority, "srtp-mand");
    let okafor = Baresip::start_by(
        &srtp,
        &server,
        "must",
        "okafor",
        Some("demo-okafor"),
        CALLER_HZ,
    );
    okafor.dial_by(&srtp, &server, "1001");
    okafor.wait_for("CALL_ESTABLISHED", SOON);
    server.wait_for("not taken: the phone can't be reached", SOON);
    assert_eq!(ana.count("CALL_ESTABLISHED"), 0);
    let music = media::music::on_hold();
    okafor.hears("music", LATER, |samples| has_music(samples, &music));
}

/// The caller gives up while the agent's phone rings, and it stops.
#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let server = Server::start("baresip-gone");
    let ana = Baresip::start(&server, "gone", "ana", Some("demo-ana"), AGENT_HZ);
    let someone = Baresip::start(&server, "gone", "anonymous", None, CALLER_HZ);
    someone.dial(&server, "1004");
    someone.wait_for("CALL_ESTABLISHED", SOON);
    ana.wait_for("CALL_INCOMING", SOON);
    someone.command("hangup", "");
    let at = Instant::now();
    ana.wait_for("CALL_CLOSED", SOON);
    assert!(at.elapsed() < Duration::from_secs(2), "within a second");
    assert_eq!(ana.count("CALL_ESTABLISHED"), 0);
    server.wait_for("ended: the caller hung up", SOON);
    assert!(
        ana.log().contains("487 Request Terminated"),
        "{}",
        ana.log()
    );
}

/// The agent's phone refuses; the caller isn't left in silence, and is rung for
/// again.
#[test]
fn a_call_that_is_refused_is_offered_again() {
    let server = Server::start("baresip-refused");
    let ana = Baresip::start(&server, "refused", "ana", Some("demo-ana"), AGENT_HZ);
    let someone = Baresip::start(&server, "refused", "anonymous", None, CALLER_HZ);
    someone.dial(&server, "1004");
    ana.wait_for("CALL_INCOMING", SOON);
    ana.command("hangup", "");
    server.wait_for("not taken: busy or declined", SOON);
    let music = media::music::on_hold();
    someone.hears("music", LATER, |samples| has_music(samples, &music));
    let until = Instant::now() + LATER;
    while ana.count("CALL_INCOMING") < 2 {
        assert!(
            Instant::now() < until,
            "never rung again: {}",
            server.printed()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    ana.command("accept", "");
    someone.hears_tone(AGENT_HZ);
    ana.command("hangup", "");
    someone.wait_for("CALL_CLOSED", SOON);
    assert_eq!(someone.count("CALL_CLOSED"), 1);
}

/// An agent's telephone dies on its connection: nobody is there to say so, and the caller waits again and is taken.
#[test]
fn a_phone_that_dies_gives_the_caller_back() {
    let server = Server::start("baresip-dies");
    let (ana, okafor, dov) = three(&By::Tcp, &server, "dies");
    drop(ana);
    dov.wait_for("CALL_INCOMING", Duration::from_secs(30));
    dov.command("accept", "");
    okafor.hears_tone(COLLEAGUE_HZ);
    dov.hears_tone(CALLER_HZ);
}

/// The caller talks with Ana; Dov of the second tier is signed in.
fn three_by_udp(test: &str) -> (Server, Baresip, Baresip, Baresip) {
    let server = Server::start(&format!("baresip-{test}"));
    let (ana, okafor, dov) = three(&By::Udp, &server, test);
    (server, ana, okafor, dov)
}

/// A blind transfer, to a colleague's name and to a queue's.
#[test]
fn an_agent_sends_the_caller_on() {
    for (test, to) in [("blind-agent", "dov"), ("blind-queue", "7000")] {
        let (server, ana, okafor, dov) = three_by_udp(test);
        let to = format!("sip:{to}@{}", server.address);
        ana.command("transfer", &to);
        is_sent_on((&okafor, CALLER_HZ), &ana, (&dov, COLLEAGUE_HZ));
        assert!(
            dov.header("Referred-By")
                .is_some_and(|by| by.contains("sip:ana@"))
        );
        let log = ana.log();
        assert!(log.contains("SIP/2.0 202 Accepted"), "{log}");
        assert!(log.contains("message/sipfrag"), "{log}");
        okafor.command("hangup", "");
        dov.wait_for("CALL_CLOSED", SOON);
    }
}

/// A flow sends its caller on to the extension that was keyed in: that phone alone rings, and both hear each other.
#[test]
fn a_flow_connects_to_the_extension_keyed_in() {
    let server = Server::start("baresip-flow-extension");
    let ana = Baresip::start(&server, "flow-extension", "ana", Some("demo-ana"), AGENT_HZ);
    let dov = Baresip::start(
        &server,
        "flow-extension",
        "dov",
        Some("demo-dov"),
        COLLEAGUE_HZ,
    );
    let secret = Some("demo-okafor");
    let okafor = Baresip::start(&server, "flow-extension", "okafor", secret, CALLER_HZ);
    okafor.dial(&server, "1009");
    okafor.wait_for("CALL_ESTABLISHED", SOON);
    okafor.press("7004");
    dov.wait_for("CALL_INCOMING", LATER);
    dov.command("accept", "");
    okafor.hears_tone(COLLEAGUE_HZ);
    dov.hears_tone(CALLER_HZ);
    ticket(&dov);
    assert_eq!(ana.count("CALL_INCOMING"), 0);
    okafor.command("hangup", "");
    dov.wait_for("CALL_CLOSED", SOON);
}

/// A blind transfer to a number outside, with the reason dialled behind it: the trunk is called, for whom it concerns, and
/// caller and callee hear each other.
#[test]
fn an_agent_sends_the_caller_outside() {
    const OUTSIDE_HZ: f64 = 740.0;
    let (server, ana, okafor, dov) = three_by_udp("blind-outside");
    let (test, secret) = ("blind-outside", Some("demo-nightline"));
    let city = Baresip::start(&server, test, "nightline", secret, OUTSIDE_HZ);
    let number = "+15550191234";
    ana.command("transfer", &format!("sip:{number}*82@{}", server.address));
    is_sent_on((&okafor, CALLER_HZ), &ana, (&city, OUTSIDE_HZ));
    let called = |name: &str| {
        let log = city.log();
        let invite = log.split("INVITE sip:").nth(1).expect("it was called");
        let line = invite.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("no {name} in {invite}"))
            .to_owned()
    };
    assert!(called("To: ").contains(&format!("sip:{number}@")));
    assert!(called("Referred-By: ").contains("sip:ana@"));
    assert!(called("P-Asserted-Identity: ").contains("+15550177001"));
    assert!(called("Diversion: ").contains("reason=unconditional"));
    assert!(called("History-Info: ").ends_with(";index=1"));
    let sent_on = format!("History-Info: <sip:{number}@127.0.0.1");
    let log = city.log();
    let entry = log.lines().find(|line| line.starts_with(&sent_on));
    assert!(
        entry.is_some_and(|entry| entry.trim_end().ends_with(";index=1.1;mp=1")),
        "{log}"
    );
    assert!(!called("From: ").contains("Okafor"), "a name stays here");
    let log = ana.log();
    assert!(log.contains("SIP/2.0 202 Accepted"), "{log}");
    assert!(log.contains("message/sipfrag"), "{log}");
    assert_eq!(dov.count("CALL_INCOMING"), 0);
    city.command("hangup", "");
    okafor.wait_for("CALL_CLOSED", SOON);
}

/// Nobody is called who isn't of the help desk. (This phone hangs up when it hears so; that the talk goes on otherwise
/// shows the simulated world.)
#[test]
fn an_outside_number_is_no_target() {
    let (server, ana, okafor, dov) = three_by_udp("fraud");
    ana.command("transfer", &format!("sip:+19005551234@{}", server.address));
    okafor.wait_for("CALL_CLOSED", SOON);
    let log = ana.log();
    assert!(log.contains("SIP/2.0 403 Forbidden"), "{log}");
    assert!(log.contains("transfer failed: 403 Forbidden"), "{log}");
    assert_eq!(dov.count("CALL_INCOMING"), 0);
}

/// Scene 8.
#[test]
fn an_agent_consults_and_hands_the_caller_over() {
    let server = Server::start("baresip-consult");
    hand_over(&By::Udp, &server, "consult");
}
