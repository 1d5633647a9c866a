//! RFC 3263: from names to addresses, with a DNS made of a table.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use sip::locate::{
    Answer, Failover, Families, LocateError, Locator, Naptr, Policy, Query, Srv, Target,
};
use sip::{Transport, Uri};

#[derive(Default, Clone, Debug)]
struct Dns(BTreeMap<Query, Answer>);

impl Dns {
    fn a(mut self, name: &str, ips: &[&str]) -> Self {
        let ips: Vec<IpAddr> = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        let (v4, v6): (Vec<_>, Vec<_>) = ips.into_iter().partition(IpAddr::is_ipv4);
        self.0.insert(Query::A(name.into()), Answer::Addresses(v4));
        self.0
            .insert(Query::Aaaa(name.into()), Answer::Addresses(v6));
        self
    }

    fn srv(mut self, name: &str, records: &[(u16, u16, u16, &str)]) -> Self {
        let record = |&(priority, weight, port, target): &(u16, u16, u16, &str)| Srv {
            priority,
            weight,
            port,
            target: target.into(),
        };
        let records = records.iter().map(record).collect();
        self.0.insert(Query::Srv(name.into()), Answer::Srv(records));
        self
    }

    fn naptr(mut self, name: &str, records: &[(u16, u16, &str, &str)]) -> Self {
        let record = |&(order, preference, services, replacement): &(u16, u16, &str, &str)| Naptr {
            order,
            preference,
            flags: "s".into(),
            services: services.into(),
            replacement: replacement.into(),
        };
        let records = records.iter().map(record).collect();
        self.0
            .insert(Query::Naptr(name.into()), Answer::Naptr(records));
        self
    }
}

fn locate(dns: &Dns, uri: &str, policy: &Policy, seed: u64) -> Result<Vec<Target>, LocateError> {
    let uri = Uri::parse(uri).unwrap();
    let mut locator = Locator::new(Duration::ZERO, &uri, policy, seed)?;
    let mut asked = 0;
    while let Some((id, query)) = locator.poll_query() {
        asked += 1;
        assert!(asked <= 48, "bounded");
        let answer = dns.0.get(&query).cloned().unwrap_or(Answer::Nothing);
        locator.answer(id, answer);
    }
    let outcome = locator.outcome().expect("answered in full").clone();
    assert_eq!(locator.deadline(), None);
    outcome
}

fn shown(targets: Result<Vec<Target>, LocateError>) -> String {
    match targets {
        Err(error) => format!("{error:?}"),
        Ok(targets) => {
            let one = |target: &Target| {
                let name = target.tls_name.as_deref().unwrap_or("");
                format!("{:?} {} {name}", target.peer.transport, target.peer.addr)
                    .trim_end()
                    .to_owned()
            };
            targets.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}

/// RFC 3263 section 4.1's example, with addresses of our own.
fn example() -> Dns {
    Dns::default()
        .naptr(
            "example.com",
            &[
                (90, 50, "SIP+D2U", "_sip._udp.example.com."),
                (50, 50, "SIPS+D2T", "_sips._tcp.example.com."),
                (100, 50, "SIP+D2T", "_sip._tcp.example.com"),
                (10, 1, "E2U+email", "_mail.example.com"),
            ],
        )
        .srv(
            "_sips._tcp.example.com",
            &[(0, 1, 5061, "server1.example.com.")],
        )
        .srv(
            "_sip._tcp.example.com",
            &[
                (0, 1, 5060, "server1.example.com"),
                (1, 2, 5070, "server2.example.com"),
            ],
        )
        .srv(
            "_sip._udp.example.com",
            &[(0, 1, 5060, "server2.example.com")],
        )
        .a("server1.example.com", &["192.0.2.1", "2001:db8::1"])
        .a("server2.example.com", &["192.0.2.2"])
        .a("example.com", &["192.0.2.9"])
}

#[test]
fn each_form_of_address_leads_where_the_rfc_says() {
    let dns = example();
    let clear = Policy {
        transports: vec![Transport::Udp, Transport::Tcp],
        ..Policy::default()
    };
    let all = Policy::default();
    let check = |policy: &Policy, uri: &str, expected: &str| {
        assert_eq!(shown(locate(&dns, uri, policy, 1)), expected, "{uri}");
    };
    // The domain's order, as far as we can.
    check(
        &all,
        "sip:a@Example.com",
        "Tls 192.0.2.1:5061 example.com, Udp 192.0.2.2:5060, Tcp 192.0.2.1:5060, Tcp 192.0.2.2:5070",
    );
    check(
        &clear,
        "sip:a@example.com",
        "Udp 192.0.2.2:5060, Tcp 192.0.2.1:5060, Tcp 192.0.2.2:5070",
    );
    check(&all, "sips:a@example.com", "Tls 192.0.2.1:5061 example.com");
    check(
        &all,
        "sip:a@example.com;transport=tcp",
        "Tcp 192.0.2.1:5060, Tcp 192.0.2.2:5070",
    );
    // A port or a number leaves nothing to be asked but addresses.
    check(&all, "sip:a@example.com:5080", "Udp 192.0.2.9:5080");
    check(
        &all,
        "sips:a@example.com:5080",
        "Tls 192.0.2.9:5080 example.com",
    );
    check(&all, "sip:192.0.2.77", "Udp 192.0.2.77:5060");
    check(&all, "sips:192.0.2.77", "Tls 192.0.2.77:5061 192.0.2.77");
    check(
        &all,
        "sip:192.0.2.77;transport=tls",
        "Tls 192.0.2.77:5061 192.0.2.77",
    );
    // Neither NAPTR nor SRV.
    check(&all, "sip:server2.example.com", "Udp 192.0.2.2:5060");
    check(
        &all,
        "sips:server2.example.com",
        "Tls 192.0.2.2:5061 server2.example.com",
    );
    check(
        &all,
        "sip:server2.example.com;transport=tcp",
        "Tcp 192.0.2.2:5060",
    );
    check(&all, "sip:nowhere.example.com", "NotFound");
    check(&all, "tel:+15550100", "NotSip");
    check(&all, "sip:a@example.com;transport=sctp", "Unsupported");
    check(&clear, "sip:a@example.com;transport=tls", "Unsupported");
}

#[test]
fn encryption_that_is_required_is_never_given_up() {
    let required = Policy {
        encrypted: true,
        ..Policy::default()
    };
    let clear_only = Dns::default()
        .naptr(
            "clear.example",
            &[(1, 1, "SIP+D2U", "_sip._udp.clear.example")],
        )
        .srv("_sip._udp.clear.example", &[(1, 1, 5060, "h.example")])
        .srv("_sip._udp.bare.example", &[(1, 1, 5060, "h.example")])
        .a("bare.example", &["192.0.2.5"])
        .a("h.example", &["192.0.2.4"]);
    let check = |policy: &Policy, uri: &str, expected: &str| {
        assert_eq!(
            shown(locate(&clear_only, uri, policy, 1)),
            expected,
            "{uri}"
        );
    };
    check(&required, "sip:a@clear.example", "NotEncrypted");
    check(&Policy::default(), "sips:a@clear.example", "NotEncrypted");
    check(
        &Policy::default(),
        "sips:a@clear.example;transport=udp",
        "NotEncrypted",
    );
    check(
        &required,
        "sip:a@clear.example;transport=tcp",
        "NotEncrypted",
    );
    check(&required, "sip:192.0.2.1;transport=udp", "NotEncrypted");
    check(
        &required,
        "sip:a@bare.example",
        "Tls 192.0.2.5:5061 bare.example",
    );
    let without = Policy {
        transports: vec![Transport::Udp],
        ..required
    };
    check(&without, "sip:192.0.2.1", "Unsupported");
}

#[test]
fn both_families_are_tried_in_the_order_wished() {
    let dns = example();
    let check = |families: Families, expected: &str| {
        let policy = Policy {
            families,
            ..Policy::default()
        };
        assert_eq!(
            shown(locate(&dns, "sips:example.com", &policy, 1)),
            expected
        );
    };
    let (v4, v6) = (
        "Tls 192.0.2.1:5061 example.com",
        "Tls [2001:db8::1]:5061 example.com",
    );
    check(Families::V4, v4);
    check(Families::V6, v6);
    check(Families::V4First, &format!("{v4}, {v6}"));
    check(Families::V6First, &format!("{v6}, {v4}"));
    let v6_only = Policy {
        families: Families::V6,
        ..Policy::default()
    };
    assert_eq!(
        shown(locate(&dns, "sip:192.0.2.1", &v6_only, 1)),
        "Unsupported"
    );
    assert_eq!(
        shown(locate(&dns, "sip:[2001:db8::7]:5070", &v6_only, 1)),
        "Udp [2001:db8::7]:5070"
    );
}

#[test]
fn priority_comes_first_and_weight_shares_within_it() {
    let dns = Dns::default()
        .srv(
            "_sip._udp.x",
            &[
                (2, 9, 5060, "late"),
                (1, 30, 5060, "big"),
                (1, 10, 5060, "small"),
                (1, 0, 5060, "none"),
            ],
        )
        .a("late", &["192.0.2.4"])
        .a("big", &["192.0.2.1"])
        .a("small", &["192.0.2.2"])
        .a("none", &["192.0.2.3"]);
    let mut first: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..4_000 {
        let targets = locate(&dns, "sip:x;transport=udp", &Policy::default(), seed).unwrap();
        assert_eq!(targets.len(), 4);
        assert_eq!(targets[3].peer.addr.ip().to_string(), "192.0.2.4");
        *first
            .entry(targets[0].peer.addr.ip().to_string())
            .or_default() += 1;
    }
    // Shares of 30, 10 and 0 in 40, within what chance allows.
    assert!((2_800..3_100).contains(&first["192.0.2.1"]), "{first:?}");
    assert!((900..1_100).contains(&first["192.0.2.2"]), "{first:?}");
    assert!((1..200).contains(&first["192.0.2.3"]), "{first:?}");
}

#[test]
fn a_slow_dns_is_waited_for_no_longer_than_allowed() {
    let dns = example();
    let uri = Uri::parse("sip:example.com").unwrap();
    let start = Duration::from_secs(100);
    let mut locator = Locator::new(start, &uri, &Policy::default(), 1).unwrap();
    let deadline = start + Duration::from_secs(3);
    assert_eq!(locator.deadline(), Some(deadline));
    // Everything but the addresses of the second server comes in time.
    while let Some((id, query)) = locator.poll_query() {
        if query != Query::A("server2.example.com".into()) {
            locator.answer(id, dns.0.get(&query).cloned().unwrap());
        }
    }
    locator.handle_timeout(deadline - Duration::from_millis(1));
    assert!(locator.outcome().is_none());
    locator.handle_timeout(deadline);
    let targets = locator.outcome().unwrap().clone();
    assert_eq!(
        shown(targets),
        "Tls 192.0.2.1:5061 example.com, Tcp 192.0.2.1:5060"
    );
    let mut silent = Locator::new(start, &uri, &Policy::default(), 1).unwrap();
    silent.handle_timeout(deadline);
    assert_eq!(silent.outcome(), Some(&Err(LocateError::TooSlow)));
}

/// Who can't say isn't who says no.
#[test]
fn a_dns_that_fails_makes_nothing_of_a_name() {
    let located = |dns: &Dns, uri: &str| shown(locate(dns, uri, &Policy::default(), 1));
    let failing = |mut dns: Dns, queries: &[Query]| {
        for query in queries {
            dns.0.insert(query.clone(), Answer::Failed);
        }
        dns
    };
    let srv = |name: &str| Query::Srv(format!("{name}.example.net"));
    let services = [srv("_sips._tcp"), srv("_sip._tcp"), srv("_sip._udp")];
    let host = Dns::default().a("example.net", &["192.0.2.80"]);
    // No SRV: the host itself. SRV that can't be had: not the host, which may be anything.
    assert_eq!(located(&host, "sip:example.net"), "Udp 192.0.2.80:5060");
    let dns = failing(host.clone(), &services);
    assert_eq!(located(&dns, "sip:example.net"), "Failed");
    let dns = failing(Dns::default(), &[Query::A("example.net".into())]);
    assert_eq!(located(&dns, "sip:example.net:5060"), "Failed");
    assert_eq!(located(&Dns::default(), "sip:example.net:5060"), "NotFound");
    // A server that doesn't know NAPTR.
    let dns = failing(host, &[Query::Naptr("example.net".into())]);
    assert_eq!(located(&dns, "sip:example.net"), "Udp 192.0.2.80:5060");
    // A part of the answer is better than none.
    let dns = failing(example(), &[Query::A("server1.example.com".into())]);
    assert!(located(&dns, "sip:example.com").contains("192.0.2.2"));
}

#[test]
fn targets_are_tried_one_after_the_other() {
    let targets = locate(&example(), "sip:example.com", &Policy::default(), 1).unwrap();
    let mut failover = Failover::new(targets.clone());
    let mut tried = Vec::new();
    while let Some(target) = failover.current().cloned() {
        tried.push(target);
        failover.fail();
    }
    assert_eq!(tried, targets);
    assert_eq!(failover.fail(), None);
}

fn any_name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "x",
        "a.x",
        "b.x",
        "_sip._udp.x",
        "_sips._tcp.x",
        ".",
        "",
    ])
    .prop_map(str::to_owned)
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let naptr = (
        any::<u16>(),
        any::<u16>(),
        any_name(),
        0..4_usize,
        any::<bool>(),
    )
        .prop_map(|(order, preference, replacement, service, s)| Naptr {
            order,
            preference,
            flags: if s { "S".into() } else { "u".into() },
            services: ["SIP+D2U", "SIP+D2T", "SIPS+D2T", "?"][service].into(),
            replacement,
        });
    let srv = (0..3_u16, any::<u16>(), any::<u16>(), any_name()).prop_map(
        |(priority, weight, port, target)| Srv {
            priority,
            weight,
            port,
            target,
        },
    );
    prop_oneof![
        prop::collection::vec(naptr, 0..40).prop_map(Answer::Naptr),
        prop::collection::vec(srv, 0..200).prop_map(Answer::Srv),
        prop::collection::vec(any::<IpAddr>(), 0..40).prop_map(Answer::Addresses),
        Just(Answer::Nothing),
        Just(Answer::Failed),
    ]
}

proptest! {
    /// Whatever the DNS says, in whatever order: it ends, within its bounds,
    /// and nothing goes in clear that mustn't.
    #[test]
    fn any_dns_ends_the_search_within_bounds(
        answers in prop::collection::vec((any_answer(), any::<prop::sample::Index>()), 0..60),
        uri in prop::sample::select(vec!["sip:x", "sips:x", "sip:x;transport=tcp", "sip:x:5080", "sips:x;transport=tcp"]),
        encrypted: bool,
        seed: u64,
    ) {
        let policy = Policy { encrypted, families: Families::V6First, ..Policy::default() };
        let uri = Uri::parse(uri).unwrap();
        let secure = encrypted || uri.as_str().starts_with("sips");
        let Ok(mut locator) = Locator::new(Duration::ZERO, &uri, &policy, seed) else {
            return Ok(());
        };
        let mut open = Vec::new();
        let mut asked = 0;
        for (answer, pick) in answers {
            while let Some((id, _)) = locator.poll_query() {
                open.push(id);
                asked += 1;
            }
            if open.is_empty() {
                break;
            }
            locator.answer(open.swap_remove(pick.index(open.len())), answer);
        }
        locator.handle_timeout(policy.patience);
        prop_assert!(asked <= 48);
        prop_assert!(locator.outcome().is_some());
        if let Some(Ok(targets)) = locator.outcome() {
            prop_assert!(!targets.is_empty() && targets.len() <= 16);
            for target in targets {
                prop_assert!(!secure || target.peer.transport == Transport::Tls);
                prop_assert_eq!(target.tls_name.is_some(), target.peer.transport == Transport::Tls);
                prop_assert_ne!(target.peer.addr.port(), 0);
            }
        }
    }
}
