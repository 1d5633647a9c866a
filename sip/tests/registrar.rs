//! The registrar, with the client half of digest signing in.

mod pair;

use std::net::SocketAddr;
use std::time::Duration;

use pair::{CALLER, OneUser, read};
use sip::digest::{AuthLimits, Authenticator, Verdict, authorize};
use sip::registrar::{Change, Gone, Registrar, RegistrarConfig, aor};
use sip::wire::AuthParams;
use sip::{Credentials, Message, Peer, Reply, Request, Transport};

const AOR: &str = "sip:agent7@careline.example";

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A registrar and the phone of agent7, which signs each REGISTER.
struct Desk {
    authenticator: Authenticator,
    registrar: Registrar,
    cseq: u32,
    call_id: &'static str,
    to: &'static str,
    source: Peer,
}

impl Desk {
    fn new() -> Self {
        let mut config = RegistrarConfig::new("careline.example");
        config.contacts_max = 3;
        Self {
            authenticator: Authenticator::new([8; 32], AuthLimits::default()),
            registrar: Registrar::new(config),
            cseq: 0,
            call_id: "one",
            to: "<sip:agent7@careline.example>",
            source: pair::peer(CALLER),
        }
    }

    fn request(&self, lines: &str) -> Request {
        let text = format!(
            "REGISTER sip:careline.example SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKx{}\n\
             From: {to};tag=1\nTo: {to}\nCall-ID: {}\nCSeq: {} REGISTER\n{lines}\n",
            self.cseq,
            self.call_id,
            self.cseq,
            to = self.to,
        );
        match read(&text, CALLER) {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a response"),
        }
    }

    /// Registers at `seconds`, answering the challenge; the final reply and
    /// what changed, in short.
    fn register(&mut self, seconds: u64, lines: &str) -> (Reply, Vec<String>) {
        self.cseq += 1;
        let request = self.request(lines);
        let (now, ip) = (at(seconds), self.source.addr.ip());
        let realm = "careline.example";
        let verdict = self.authenticator.check(now, ip, &request, realm, &OneUser);
        let Verdict::Challenge(challenge) = verdict else {
            panic!("{verdict:?}");
        };
        let challenge = AuthParams::parse(&challenge.headers[0].1).unwrap();
        let credentials = Credentials::new("agent7", "secret");
        let uri = "sip:careline.example";
        let value = authorize(&challenge, &credentials, "REGISTER", uri, "c", 1).unwrap();
        self.cseq += 1;
        let request = self.request(&format!("Authorization: {value}\n{lines}"));
        let verdict = self.authenticator.check(now, ip, &request, realm, &OneUser);
        let Verdict::Accepted { username } = verdict else {
            panic!("{verdict:?}");
        };
        let (reply, changes) = self
            .registrar
            .bind(now, self.source, &request, &username, &OneUser);
        (reply, short(&changes))
    }

    fn contacts(&self) -> Vec<String> {
        let bindings = self.registrar.lookup(AOR);
        assert_eq!(self.registrar.len(), bindings.len());
        bindings.iter().map(|b| b.contact.to_string()).collect()
    }
}

fn short(changes: &[Change]) -> Vec<String> {
    let word = |change: &Change| match change {
        Change::SignedIn { binding, .. } => format!("in {}", binding.contact),
        Change::Refreshed { binding, .. } => format!("again {}", binding.contact),
        Change::SignedOut {
            contact, why, left, ..
        } => format!("{why:?} {contact} {left}"),
    };
    changes.iter().map(word).collect()
}

fn listed(reply: &Reply) -> Vec<&str> {
    let contacts = reply.headers.iter().filter(|(name, _)| name == "Contact");
    contacts.map(|(_, value)| value.as_str()).collect()
}

/// Who is to be called by TLS alone can't be called back by anything else.
#[test]
fn a_sips_contact_is_taken_by_tls_alone() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let mut desk = Desk::new();
        desk.source.transport = transport;
        let (reply, _) = desk.register(0, "Contact: <sips:agent7@192.0.2.10>\n");
        let expected = if transport == Transport::Tls {
            200
        } else {
            400
        };
        assert_eq!(reply.code, expected, "{transport:?}");
    }
}

#[test]
fn a_phone_signs_in_refreshes_and_leaves() {
    let mut desk = Desk::new();
    let (reply, changes) = desk.register(0, "Contact: <sip:a@192.0.2.10>\nExpires: 60\n");
    assert_eq!(listed(&reply), ["<sip:a@192.0.2.10>;expires=60"]);
    assert_eq!(changes, ["in sip:a@192.0.2.10"]);
    assert!(!desk.registrar.lookup(AOR)[0].natted);
    let (reply, changes) = desk.register(30, "Contact: <sip:a@192.0.2.10>;expires=90\n");
    assert_eq!(listed(&reply), ["<sip:a@192.0.2.10>;expires=90"]);
    assert_eq!(changes, ["again sip:a@192.0.2.10"]);
    // The first expiry passes without effect, the second counts.
    assert_eq!(desk.registrar.poll_timeout(), Some(at(60)));
    assert!(desk.registrar.handle_timeout(at(60)).is_empty());
    let gone = desk.registrar.handle_timeout(at(120));
    assert_eq!(short(&gone), ["Expired sip:a@192.0.2.10 0"]);
    assert!(desk.registrar.is_empty());
    desk.register(200, "Contact: <sip:a@192.0.2.10>\n");
    let (reply, changes) = desk.register(201, "Contact: <sip:a@192.0.2.10>;expires=0\n");
    assert!(listed(&reply).is_empty());
    assert_eq!(changes, ["Removed sip:a@192.0.2.10 0"]);
}

#[test]
fn several_contacts_are_kept_in_order_of_q() {
    let mut desk = Desk::new();
    desk.register(
        0,
        "Contact: <sip:a@192.0.2.1>;q=0.3, <sip:b@192.0.2.2>, <sip:c@192.0.2.3>;q=0.5\n",
    );
    let all = ["sip:b@192.0.2.2", "sip:c@192.0.2.3", "sip:a@192.0.2.1"];
    assert_eq!(desk.contacts(), all);
    // A query changes nothing.
    let (reply, changes) = desk.register(10, "");
    assert_eq!(listed(&reply).len(), 3);
    assert!(listed(&reply)[2].ends_with(";expires=290;q=0.300"));
    assert!(changes.is_empty());
    // A fourth makes room for itself.
    let (_, changes) = desk.register(20, "Contact: <sip:d@192.0.2.4>\n");
    assert_eq!(changes.len(), 2);
    assert_eq!(desk.contacts().len(), 3);
    let (reply, changes) = desk.register(30, "Contact: *\nExpires: 0\n");
    assert!(listed(&reply).is_empty());
    assert_eq!(changes.len(), 3);
    assert!(desk.registrar.is_empty());
}

#[test]
fn a_phone_that_moved_is_one_phone() {
    let mut desk = Desk::new();
    let instance = "+sip.instance=\"<urn:uuid:1>\"";
    desk.register(0, &format!("Contact: <sip:a@192.0.2.1>;{instance}\n"));
    let (_, changes) = desk.register(5, &format!("Contact: <sip:a@192.0.2.99>;{instance}\n"));
    assert_eq!(
        changes,
        ["in sip:a@192.0.2.99", "Replaced sip:a@192.0.2.1 1"]
    );
    let _ = Gone::Replaced;
}

/// A phone on a stream is gone with its connection, unless it has registered on
/// another one meanwhile.
#[test]
fn a_closed_connection_takes_its_contacts_along() {
    let by_tcp = |port| Peer {
        addr: SocketAddr::from(([192, 0, 2, 10], port)),
        transport: Transport::Tcp,
    };
    let contact = "Contact: <sip:a@192.0.2.10;transport=tcp>\n";
    let mut desk = Desk::new();
    desk.source = by_tcp(40_001);
    desk.register(0, contact);
    desk.source = by_tcp(40_002);
    let (_, changes) = desk.register(1, contact);
    assert_eq!(changes, ["again sip:a@192.0.2.10;transport=tcp"]);
    assert!(desk.registrar.flow_lost(by_tcp(40_001)).is_empty());
    let binding = &desk.registrar.lookup(AOR)[0];
    assert!(binding.natted && binding.peer == by_tcp(40_002));
    let lost = desk.registrar.flow_lost(by_tcp(40_002));
    assert_eq!(short(&lost), ["FlowLost sip:a@192.0.2.10;transport=tcp 0"]);
    assert!(desk.registrar.is_empty());
    assert!(desk.registrar.flow_lost(by_tcp(40_002)).is_empty());
}

/// A phone behind a proxy isn't gone with the proxy's connection, and is called
/// at the address that the proxy gives itself; at no other host's.
#[test]
fn a_proxy_is_called_back_where_path_says() {
    let from = |port, transport| Peer {
        addr: SocketAddr::from(([192, 0, 2, 10], port)),
        transport,
    };
    let phone = "Contact: <sip:a@192.0.2.10:5070>\nSupported: path\n";
    let (udp, tcp) = (Transport::Udp, Transport::Tcp);
    for (source, path, before, after) in [
        (
            from(40_001, tcp),
            "<sip:192.0.2.10:5080;transport=tcp;lr>",
            Some(from(40_001, tcp)),
            Some(from(5080, tcp)),
        ),
        (
            from(5060, udp),
            "<sip:192.0.2.10:5080;lr>",
            Some(from(5080, udp)),
            Some(from(5080, udp)),
        ),
        (
            from(40_001, tcp),
            "<sip:198.51.100.66;transport=tcp;lr>",
            Some(from(40_001, tcp)),
            None,
        ),
        (
            from(40_001, tcp),
            "<sip:edge.example;transport=tcp;lr>",
            Some(from(40_001, tcp)),
            None,
        ),
    ] {
        let mut desk = Desk::new();
        desk.source = source;
        desk.register(0, &format!("{phone}Path: {path}\n"));
        let called = |desk: &Desk| Some(desk.registrar.lookup(AOR).first()?.peer);
        assert_eq!(called(&desk), before, "{path}");
        let lost = desk.registrar.flow_lost(source);
        assert_eq!(called(&desk), after, "{path}");
        if source.transport == tcp {
            assert_eq!(lost.is_empty(), after.is_some(), "{path}");
        }
    }
}

#[test]
fn bad_requests_change_nothing() {
    let check = |lines: &str, code: u16| {
        let mut desk = Desk::new();
        desk.register(0, "Contact: <sip:a@192.0.2.10>\n");
        let (reply, changes) = desk.register(1, lines);
        assert_eq!(reply.code, code, "{lines}");
        assert!(changes.is_empty());
        assert_eq!(desk.contacts(), ["sip:a@192.0.2.10"]);
    };
    check("Contact: *\n", 400);
    check("Contact: *\nExpires: 10\n", 400);
    check("Contact: *\nContact: <sip:b@h>\nExpires: 0\n", 400);
    check(
        "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\n",
        400,
    );
    check("Contact: <name:John_Smith>\n", 400);
    check("Contact: nonsense\n", 400);
    check("Contact: <sip:b@h>;expires=5\n", 423);
    check("Contact: <sip:b@h>, <sip:c@h>;expires=5\n", 423);
    check("Contact: <sip:b@h>,<sip:c@h>,<sip:d@h>,<sip:e@h>\n", 403);
    let mut desk = Desk::new();
    desk.to = "<sip:supervisor@careline.example>";
    assert_eq!(desk.register(0, "Contact: <sip:a@h>\n").0.code, 403);
    desk.to = "<tel:+15550100>";
    assert_eq!(desk.register(0, "Contact: <sip:a@h>\n").0.code, 404);
}

#[test]
fn old_requests_do_not_undo_new_ones() {
    let mut desk = Desk::new();
    desk.cseq = 10;
    desk.register(0, "Contact: <sip:a@192.0.2.10>\n");
    desk.cseq = 5;
    assert_eq!(
        desk.register(1, "Contact: <sip:a@192.0.2.10>;expires=0\n")
            .0
            .code,
        500
    );
    assert_eq!(desk.register(1, "Contact: *\nExpires: 0\n").0.code, 500);
    assert_eq!(desk.contacts().len(), 1);
    // A phone that restarted has another Call-ID.
    desk.call_id = "two";
    assert_eq!(
        desk.register(2, "Contact: <sip:a@192.0.2.10>\n").0.code,
        200
    );
}

#[test]
fn odd_expiries_are_brought_into_range() {
    let check = |lines: &str, seconds: u64| {
        let mut desk = Desk::new();
        desk.register(0, lines);
        assert_eq!(
            desk.registrar.lookup(AOR)[0].expires_at,
            at(seconds),
            "{lines}"
        );
    };
    check("Contact: <sip:a@h>\n", 300);
    check("Contact: <sip:a@h>\nExpires: soon\n", 300);
    check("Contact: <sip:a@h>;expires=280297596632815\n", 3600);
    check("Contact: <sip:a@h>;expires=40\nExpires: 100\n", 40);
}

#[test]
fn nat_and_path_decide_where_calls_go() {
    let mut desk = Desk::new();
    desk.register(0, "Contact: <sip:a@10.0.0.7:5062>\n");
    let binding = &desk.registrar.lookup(AOR)[0];
    assert!(binding.natted);
    assert_eq!(binding.peer, pair::peer(CALLER));
    let mut desk = Desk::new();
    let path = "Path: <sip:edge.example;lr>, <sip:core.example;lr>\nSupported: path\n";
    let (reply, _) = desk.register(0, &format!("Contact: <sip:a@10.0.0.7>\n{path}"));
    let binding = &desk.registrar.lookup(AOR)[0];
    assert!(!binding.natted);
    assert_eq!(
        binding.path,
        ["<sip:edge.example;lr>", "<sip:core.example;lr>"]
    );
    assert_eq!(
        reply
            .headers
            .iter()
            .filter(|(name, _)| name == "Path")
            .count(),
        2
    );
}

/// An account can't fill the registrar by naming us differently each time.
#[test]
fn an_account_has_one_address_of_record() {
    let mut desk = Desk::new();
    for (n, to) in [
        "<sip:agent7@careline.example>",
        "<sip:agent7@CareLine.Example:5070;transport=tcp>",
        "<sips:%61gent7@198.51.100.20>",
        "sip:agent7@[2001:db8::1]",
        "<sip:agent7@a5>",
        "<sip:agent7@a6>",
    ]
    .into_iter()
    .enumerate()
    {
        desk.to = to;
        let lines = format!("Contact: <sip:a@192.0.2.{n}>\n");
        assert_eq!(desk.register(0, &lines).0.code, 200, "{to}");
        assert_eq!(desk.contacts().len(), (n + 1).min(3), "{to}");
    }
    // Which contact it was before doesn't matter to who takes it back.
    desk.to = "<sip:agent7@elsewhere>";
    desk.register(1, "Contact: *\nExpires: 0\n");
    assert!(desk.registrar.is_empty());
    assert_eq!(aor("agent7", "careline.example"), AOR);
}

/// Authenticated elsewhere: no challenge, but still only one's own address.
#[test]
fn whoever_was_checked_outside_is_bound() {
    let check = |username: &str, to: &'static str, code: u16, contacts: usize| {
        let mut desk = Desk::new();
        desk.to = to;
        let request = desk.request("Contact: <sip:a@192.0.2.10>\n");
        let (reply, changes) =
            desk.registrar
                .bind(at(0), desk.source, &request, username, &OneUser);
        assert_eq!(reply.code, code, "{username} {to}");
        assert_eq!((changes.len(), desk.contacts().len()), (contacts, contacts));
        for change in changes {
            assert!(matches!(change, Change::SignedIn { aor, .. } if aor == AOR));
        }
    };
    check("agent7", "<sip:agent7@192.0.2.1>", 200, 1);
    check("agent8", "<sip:agent7@careline.example>", 403, 0);
    check("agent7", "<sip:supervisor@careline.example>", 403, 0);
    check("agent7", "<sip:careline.example>", 404, 0);
    check("agent7", "<tel:+15550100>", 404, 0);
}
