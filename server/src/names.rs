//! Where trunks' gateways are, for those that are written as names.
//!
//! Nobody on the phone waits for the DNS: each name is looked up when the
//! process starts and again every minute (the resolver keeps answers as long as
//! they may be kept), on a thread of its own, and the calls are told. What was
//! known stays when the DNS doesn't answer, or answers that it can't; only a
//! name that is said not to exist is forgotten.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use sip::locate::{Answer, LocateError, Locator, Naptr, Policy, Query, Srv, TARGETS_MAX, Target};
use tokio::sync::mpsc;

use crate::node::{Control, Located};

/// How often a name is looked up again.
const AGAIN: Duration = Duration::from_secs(60);
/// The same while it isn't known.
const AGAIN_UNKNOWN: Duration = Duration::from_secs(10);

/// A gateway that is written as a name.
#[derive(Debug, Clone)]
pub struct Name {
    /// Its trunk.
    pub trunk: Arc<str>,
    /// Its place among the trunk's gateways.
    pub gateway: usize,
    /// The name, perhaps with a port and a transport.
    pub uri: sip::Uri,
    /// Encryption is required: TLS or nothing.
    pub encrypted: bool,
}

/// Looks names up until the process ends. `servers`: who is asked; those of
/// the system when there are none.
///
/// # Errors
/// When the resolver can't be set up.
pub fn start(
    names: Vec<Name>,
    servers: &[SocketAddr],
    policy: Policy,
    control: &mpsc::Sender<Control>,
) -> io::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let control = control.downgrade();
    let resolver = resolver(servers)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("names".into())
        .spawn(move || {
            runtime.block_on(async {
                let mut tasks = tokio::task::JoinSet::new();
                for name in names {
                    let policy = Policy {
                        encrypted: name.encrypted,
                        ..policy.clone()
                    };
                    tasks.spawn(follow(name, policy, resolver.clone(), control.clone()));
                }
                tasks.join_all().await;
            });
        })?;
    Ok(())
}

fn resolver(servers: &[SocketAddr]) -> io::Result<TokioResolver> {
    let builder = if servers.is_empty() {
        TokioResolver::builder_tokio().map_err(io::Error::other)?
    } else {
        let servers = servers.iter().map(|server| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = server.port();
            }
            NameServerConfig::new(server.ip(), true, connections)
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    builder.build().map_err(io::Error::other)
}

/// Tells where one gateway is, again and again.
async fn follow(
    name: Name,
    policy: Policy,
    resolver: TokioResolver,
    control: mpsc::WeakSender<Control>,
) {
    let mut told: Option<Vec<Target>> = None;
    for round in 0u64.. {
        let found = locate(&name.uri, &policy, &resolver, round).await;
        if let Err(error) = &found {
            let (trunk, gateway) = (&*name.trunk, name.uri.as_str());
            tracing::warn!(trunk, gateway, %error, "a gateway isn't found");
        }
        let pause = if found.is_ok() { AGAIN } else { AGAIN_UNKNOWN };
        let targets = now_known(found, told.as_deref());
        let Some(control) = control.upgrade() else {
            return;
        };
        if let Some(targets) = targets.filter(|targets| told.as_ref() != Some(targets)) {
            let located = Located {
                trunk: Arc::clone(&name.trunk),
                gateway: name.gateway,
                targets: targets.clone(),
            };
            if control.send(Control::Located(located)).await.is_err() {
                return;
            }
            told = Some(targets);
        }
        drop(control);
        tokio::time::sleep(pause).await;
    }
}

/// What to go by after a search; none when there is nothing new.
fn now_known(found: Result<Found, LocateError>, told: Option<&[Target]>) -> Option<Vec<Target>> {
    match found {
        Ok(Found { mut targets, whole }) => {
            // Of a part of the answer the rest is what it was.
            let before = told.unwrap_or_default().iter().filter(|_| !whole);
            for target in before {
                if targets.len() < TARGETS_MAX && !targets.contains(target) {
                    targets.push(target.clone());
                }
            }
            Some(targets)
        }
        // What was said last is the best guess.
        Err(LocateError::TooSlow | LocateError::Failed) => None,
        Err(_) => Some(Vec::new()),
    }
}

/// What a search found.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// The best first.
    targets: Vec<Target>,
    /// No question remained open.
    whole: bool,
}

/// One search (RFC 3263).
async fn locate(
    uri: &sip::Uri,
    policy: &Policy,
    resolver: &TokioResolver,
    seed: u64,
) -> Result<Found, LocateError> {
    let begun = Instant::now();
    let mut locator = Locator::new(Duration::ZERO, uri, policy, seed)?;
    let mut asked = tokio::task::JoinSet::new();
    loop {
        if let Some(outcome) = locator.outcome() {
            let whole = locator.is_complete();
            return outcome.clone().map(|targets| Found { targets, whole });
        }
        while let Some((id, query)) = locator.poll_query() {
            let resolver = resolver.clone();
            asked.spawn(async move { (id, answer(&resolver, query).await) });
        }
        let deadline = locator.deadline().unwrap_or(Duration::ZERO);
        let left = deadline.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left, asked.join_next()).await {
            Ok(Some(Ok((id, answer)))) => locator.answer(id, answer),
            // Nothing asked, a panic in the resolver, or too late.
            Ok(None | Some(Err(_))) | Err(_) => {
                locator.handle_timeout(deadline.max(begun.elapsed()));
                if locator.outcome().is_none() {
                    return Err(LocateError::TooSlow);
                }
            }
        }
    }
}

async fn answer(resolver: &TokioResolver, query: Query) -> Answer {
    let (name, kind) = match &query {
        Query::Naptr(name) => (name, RecordType::NAPTR),
        Query::Srv(name) => (name, RecordType::SRV),
        Query::A(name) => (name, RecordType::A),
        Query::Aaaa(name) => (name, RecordType::AAAA),
    };
    // Absolute: no search list makes another name of it.
    let found = match resolver.lookup(format!("{name}."), kind).await {
        Ok(found) => found,
        Err(error) => {
            return if said_no(&error) {
                Answer::Nothing
            } else {
                Answer::Failed
            };
        }
    };
    let records = found.answers().iter().map(|record| &record.data);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match query {
        Query::Naptr(_) => Answer::Naptr(
            records
                .filter_map(|data| match data {
                    RData::NAPTR(naptr) => Some(Naptr {
                        order: naptr.order,
                        preference: naptr.preference,
                        flags: text(&naptr.flags),
                        services: text(&naptr.services),
                        replacement: naptr.replacement.to_ascii(),
                    }),
                    _ => None,
                })
                .collect(),
        ),
        Query::Srv(_) => Answer::Srv(
            records
                .filter_map(|data| match data {
                    RData::SRV(srv) => Some(Srv {
                        priority: srv.priority,
                        weight: srv.weight,
                        port: srv.port,
                        target: srv.target.to_ascii(),
                    }),
                    _ => None,
                })
                .collect(),
        ),
        Query::A(_) | Query::Aaaa(_) => Answer::Addresses(
            records
                .filter_map(|data| match data {
                    RData::A(a) => Some(a.0.into()),
                    RData::AAAA(aaaa) => Some(aaaa.0.into()),
                    _ => None,
                })
                .collect(),
        ),
    }
}

/// That there is no such name, or no such record: all else isn't an answer.
fn said_no(error: &NetError) -> bool {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(said)) => matches!(
            said.response_code,
            ResponseCode::NXDomain | ResponseCode::NoError
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use hickory_resolver::proto::op::Message;
    use hickory_resolver::proto::rr::rdata::{A, SRV};
    use hickory_resolver::proto::rr::{Name as DnsName, Record};
    use sip::locate::Families;

    use super::*;

    /// A name server that knows these records and no others.
    fn name_server(records: Vec<(&'static str, RData)>) -> SocketAddr {
        failing_name_server(records, ResponseCode::NXDomain)
    }

    /// The same, with what it says where it knows none.
    fn failing_name_server(
        records: Vec<(&'static str, RData)>,
        otherwise: ResponseCode,
    ) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = socket.local_addr().expect("bound");
        std::thread::spawn(move || {
            let mut buffer = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let Ok(asked) = Message::from_vec(&buffer[..length]) else {
                    continue;
                };
                let mut said = Message::response(asked.metadata.id, asked.metadata.op_code);
                for query in &asked.queries {
                    said.add_query(query.clone());
                    let name = query.name().to_ascii();
                    let known = records.iter().filter(|(known, data)| {
                        known.eq_ignore_ascii_case(&name)
                            && data.record_type() == query.query_type()
                    });
                    for (known, data) in known {
                        let name = DnsName::from_ascii(known).expect("a name");
                        said.add_answer(Record::from_rdata(name, 60, data.clone()));
                    }
                }
                if said.answers.is_empty() {
                    said.metadata.response_code = otherwise;
                }
                let _ = socket.send_to(&said.to_vec().expect("it can be written"), from);
            }
        });
        address
    }

    fn srv(priority: u16, port: u16, host: &str) -> RData {
        let host = DnsName::from_ascii(host).expect("a name");
        RData::SRV(SRV::new(priority, 0, port, host))
    }

    fn a(last: u8) -> RData {
        RData::A(A(Ipv4Addr::new(127, 0, 0, last)))
    }

    async fn found(text: &str, encrypted: bool) -> Result<Vec<String>, LocateError> {
        let server = name_server(vec![
            (
                "_sip._udp.pbx.example.",
                srv(20, 5090, "second.pbx.example."),
            ),
            (
                "_sip._udp.pbx.example.",
                srv(10, 5080, "first.pbx.example."),
            ),
            (
                "_sips._tcp.safe.example.",
                srv(1, 5061, "first.pbx.example."),
            ),
            ("first.pbx.example.", a(7)),
            ("second.pbx.example.", a(8)),
        ]);
        let resolver = resolver(&[server]).expect("set up");
        let policy = Policy {
            encrypted,
            families: Families::V4,
            ..Policy::default()
        };
        let uri = sip::Uri::parse(text).expect("a URI");
        let Found { targets, .. } = locate(&uri, &policy, &resolver, 1).await?;
        let shown = targets.iter().map(|Target { peer, tls_name }| {
            let name = tls_name.as_deref().unwrap_or("-");
            format!("{} {} {name}", peer.transport.via_token(), peer.addr)
        });
        Ok(shown.collect())
    }

    #[tokio::test]
    async fn names_lead_to_servers_in_their_order() {
        assert_eq!(
            found("sip:pbx.example", false).await,
            Ok(vec![
                "UDP 127.0.0.7:5080 -".to_owned(),
                "UDP 127.0.0.8:5090 -".to_owned()
            ])
        );
        assert_eq!(
            found("sips:safe.example", false).await,
            Ok(vec!["TLS 127.0.0.7:5061 safe.example".to_owned()])
        );
        assert_eq!(
            found("sip:first.pbx.example:5070", false).await,
            Ok(vec!["UDP 127.0.0.7:5070 -".to_owned()])
        );
        assert!(found("sip:nowhere.example", false).await.is_err());
        // Only in the clear: refused rather than sent so.
        assert!(found("sip:pbx.example;transport=udp", true).await.is_err());
    }

    #[tokio::test]
    async fn what_was_known_stays_while_the_dns_fails() {
        let policy = Policy {
            families: Families::V4,
            ..Policy::default()
        };
        let uri = sip::Uri::parse("sip:first.pbx.example:5070").expect("a URI");
        let search = |server: SocketAddr| {
            let (uri, policy) = (uri.clone(), policy.clone());
            async move {
                let resolver = resolver(&[server]).expect("set up");
                locate(&uri, &policy, &resolver, 1).await
            }
        };
        let there = search(name_server(vec![("first.pbx.example.", a(7))])).await;
        let known = now_known(there, None).expect("found");
        assert_eq!(known.len(), 1);
        for code in [ResponseCode::ServFail, ResponseCode::Refused] {
            let failed = search(failing_name_server(Vec::new(), code)).await;
            assert_eq!(now_known(failed, Some(&known)), None, "{code}");
        }
        let gone = search(name_server(Vec::new())).await;
        assert_eq!(now_known(gone, Some(&known)), Some(Vec::new()));
    }

    #[test]
    fn a_part_of_an_answer_takes_nothing_away() {
        let target = |last: u8| Target {
            peer: sip::Peer {
                addr: SocketAddr::from(([127, 0, 0, last], 5060)),
                transport: sip::Transport::Udp,
            },
            tls_name: None,
        };
        let found = |whole| {
            Ok(Found {
                targets: vec![target(9), target(7)],
                whole,
            })
        };
        let told = [target(7), target(8)];
        assert_eq!(
            now_known(found(false), Some(&told)),
            Some(vec![target(9), target(7), target(8)])
        );
        assert_eq!(
            now_known(found(true), Some(&told)),
            Some(vec![target(9), target(7)])
        );
    }
}
