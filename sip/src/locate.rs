//! Finding a server (RFC 3263): from a URI to addresses in the order in which
//! they are to be tried. Pure: what has to be asked of the DNS comes out, the
//! answers go in.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::interface::{Peer, Transport};
use crate::wire::{Host, Scheme, Uri};

/// NAPTR records looked at.
const NAPTR_MAX: usize = 8;
/// SRV records followed of one answer.
const SRV_MAX: usize = 16;
/// Addresses taken of one name and family.
const ADDRESSES_MAX: usize = 4;
/// Questions asked in all.
const QUERIES_MAX: u16 = 48;
/// Targets given in all.
pub const TARGETS_MAX: usize = 16;

/// What may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Encryption is required: TLS or nothing. A `sips:` URI requires it by
    /// itself.
    pub encrypted: bool,
    /// Transports we have, the preferred one first. It counts where the domain
    /// says nothing.
    pub transports: Vec<Transport>,
    /// Which addresses we can reach, the preferred family first.
    pub families: Families,
    /// How long it may take altogether; 3 s.
    pub patience: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            encrypted: false,
            transports: vec![Transport::Udp, Transport::Tcp, Transport::Tls],
            families: Families::V4,
            patience: Duration::from_secs(3),
        }
    }
}

/// See [`Policy::families`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
    /// Both, IPv4 first.
    V4First,
    /// Both, IPv6 first.
    V6First,
}

impl Families {
    fn order(self) -> &'static [Family] {
        match self {
            Self::V4 => &[Family::V4],
            Self::V6 => &[Family::V6],
            Self::V4First => &[Family::V4, Family::V6],
            Self::V6First => &[Family::V6, Family::V4],
        }
    }

    fn takes(self, ip: IpAddr) -> bool {
        let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
        self.order().contains(&family)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// A question to the DNS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Query {
    /// NAPTR (RFC 3403).
    Naptr(String),
    /// SRV (RFC 2782).
    Srv(String),
    /// A.
    A(String),
    /// AAAA.
    Aaaa(String),
}

/// Names a question to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(u16);

/// What the DNS said. Aliases are followed by the resolver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Query::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Query::Srv`].
    Srv(Vec<Srv>),
    /// To [`Query::A`] and [`Query::Aaaa`].
    Addresses(Vec<IpAddr>),
    /// There is no such name or no such record.
    Nothing,
    /// Nobody answered, or not with an answer (SERVFAIL, REFUSED).
    Failed,
}

/// A NAPTR record; flags other than `s` are left out by the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lowest first.
    pub order: u16,
    /// Lowest first within an order.
    pub preference: u16,
    /// `s`: an SRV name follows.
    pub flags: String,
    /// `SIP+D2U`, `SIP+D2T`, `SIPS+D2T`.
    pub services: String,
    /// The SRV name.
    pub replacement: String,
}

/// An SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Lowest first.
    pub priority: u16,
    /// Share within a priority.
    pub weight: u16,
    /// Port.
    pub port: u16,
    /// Host name; `.` means that the service isn't offered.
    pub target: String,
}

/// A place to send a request to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Address, port and transport.
    pub peer: Peer,
    /// For TLS: the name that the certificate must be for. It is the domain
    /// asked for, not what the DNS made of it (RFC 5922 section 4).
    pub tls_name: Option<String>,
}

/// Why there is nowhere to send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocateError {
    /// Neither `sip:` nor `sips:`, or without a host.
    NotSip,
    /// Encryption is required and not to be had there: refused rather than
    /// sent in clear.
    NotEncrypted,
    /// The URI asks for a transport or address family that we don't have.
    Unsupported,
    /// The DNS knows no address.
    NotFound,
    /// The DNS took too long and nothing is known yet.
    TooSlow,
    /// The DNS couldn't say.
    Failed,
}

impl fmt::Display for LocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSip => "not a SIP address",
            Self::NotEncrypted => "encryption is required and not offered there",
            Self::Unsupported => "asks for a transport or address family we don't have",
            Self::NotFound => "no address is known",
            Self::TooSlow => "the DNS didn't answer in time",
            Self::Failed => "the DNS couldn't say",
        })
    }
}

impl std::error::Error for LocateError {}

/// The search for one URI's servers.
///
/// How to drive it: take every question out of [`poll_query`](Self::poll_query),
/// give each answer to [`answer`](Self::answer) in any order, call
/// [`handle_timeout`](Self::handle_timeout) at [`deadline`](Self::deadline),
/// until [`outcome`](Self::outcome) is there. After each answer there may be
/// new questions.
#[derive(Debug)]
pub struct Locator {
    host: String,
    encrypted: bool,
    policy: Policy,
    dice: Dice,
    deadline: Duration,
    asked: u16,
    queue: VecDeque<(QueryId, Query)>,
    pending: BTreeMap<QueryId, Waiting>,
    services: Vec<Service>,
    /// The last resort was taken.
    plain: bool,
    /// A question about SRV or addresses wasn't answered.
    failed: bool,
    outcome: Option<Result<Vec<Target>, LocateError>>,
}

#[derive(Debug, Clone, Copy)]
enum Waiting {
    Naptr,
    Srv(usize),
    Address(usize, usize, Family),
}

/// One way to reach the domain.
#[derive(Debug)]
struct Service {
    transport: Transport,
    hosts: Vec<Server>,
}

#[derive(Debug)]
struct Server {
    port: u16,
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

impl Locator {
    /// Begins. `seed` decides between servers of the same priority.
    ///
    /// # Errors
    /// When no question to the DNS could help.
    pub fn new(now: Duration, uri: &Uri, policy: &Policy, seed: u64) -> Result<Self, LocateError> {
        let secure_scheme = uri.scheme() == Scheme::Sips;
        if !secure_scheme && uri.scheme() != Scheme::Sip {
            return Err(LocateError::NotSip);
        }
        let encrypted = policy.encrypted || secure_scheme;
        let asked_for = named_transport(uri, secure_scheme)?;
        let mut locator = Self {
            host: uri.host_str().trim_end_matches('.').to_ascii_lowercase(),
            encrypted,
            policy: policy.clone(),
            dice: Dice(seed),
            deadline: now + policy.patience,
            asked: 0,
            queue: VecDeque::new(),
            pending: BTreeMap::new(),
            services: Vec::new(),
            plain: false,
            failed: false,
            outcome: None,
        };
        if let Some(transport) = asked_for {
            locator.may_use(transport)?;
        }
        let transport = match asked_for {
            Some(transport) => transport,
            None => locator.first_choice()?,
        };
        match (uri.host().ok_or(LocateError::NotSip)?, uri.port()) {
            // Section 4.1 and 4.2: a number needs no DNS, a port no SRV.
            (Host::Ip(ip), port) => {
                let ip = ip.to_canonical();
                if !policy.families.takes(ip) {
                    return Err(LocateError::Unsupported);
                }
                locator.host = ip.to_string();
                let port = port.unwrap_or(transport.default_port());
                let (v4, v6) = match ip {
                    IpAddr::V4(_) => (vec![ip], Vec::new()),
                    IpAddr::V6(_) => (Vec::new(), vec![ip]),
                };
                locator.services.push(Service {
                    transport,
                    hosts: vec![Server { port, v4, v6 }],
                });
                locator.conclude();
            }
            (Host::Name(_), Some(port)) => locator.ask_host(transport, port),
            (Host::Name(_), None) if asked_for.is_some() => {
                let name = srv_name(transport, &locator.host);
                locator.ask_srv(transport, name);
            }
            (Host::Name(_), None) => {
                let query = Query::Naptr(locator.host.clone());
                locator.ask(query, Waiting::Naptr);
            }
        }
        Ok(locator)
    }

    /// The next question.
    pub fn poll_query(&mut self) -> Option<(QueryId, Query)> {
        self.queue.pop_front()
    }

    /// Where to send, the best first, never empty; `None` while it is being
    /// found out.
    #[must_use]
    pub fn outcome(&self) -> Option<&Result<Vec<Target>, LocateError>> {
        self.outcome.as_ref()
    }

    /// Whether every question was answered, so that the outcome is all there is.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.failed
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.outcome.is_none().then_some(self.deadline)
    }

    /// The DNS takes too long: what is known so far has to do.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.outcome.is_none() && now >= self.deadline {
            self.queue.clear();
            self.pending.clear();
            self.conclude();
            if let Some(Err(LocateError::NotFound)) = self.outcome {
                self.outcome = Some(Err(LocateError::TooSlow));
            }
            self.failed = true;
        }
    }

    /// An answer. Of a question not asked, or to another kind of question, it
    /// is no answer.
    pub fn answer(&mut self, id: QueryId, answer: Answer) {
        let Some(waiting) = self.pending.remove(&id) else {
            return;
        };
        // Some servers don't know what NAPTR is, and never will.
        self.failed |= answer == Answer::Failed && !matches!(waiting, Waiting::Naptr);
        match (waiting, answer) {
            (Waiting::Naptr, Answer::Naptr(records)) if !records.is_empty() => {
                self.naptr(records);
            }
            (Waiting::Naptr, _) => self.no_naptr(),
            (Waiting::Srv(service), Answer::Srv(records)) => self.srv(service, records),
            (Waiting::Address(service, host, family), Answer::Addresses(addresses)) => {
                let right = |ip: &IpAddr| match family {
                    Family::V4 => ip.is_ipv4(),
                    Family::V6 => ip.is_ipv6(),
                };
                let addresses = addresses.into_iter().filter(right).take(ADDRESSES_MAX);
                if let Some(server) = self
                    .services
                    .get_mut(service)
                    .and_then(|service| service.hosts.get_mut(host))
                {
                    match family {
                        Family::V4 => server.v4 = addresses.collect(),
                        Family::V6 => server.v6 = addresses.collect(),
                    }
                }
            }
            (Waiting::Srv(_) | Waiting::Address(..), _) => {}
        }
        if self.pending.is_empty() {
            self.last_resort();
        }
        if self.pending.is_empty() {
            self.conclude();
        }
    }

    fn may_use(&self, transport: Transport) -> Result<(), LocateError> {
        if self.encrypted && transport != Transport::Tls {
            return Err(LocateError::NotEncrypted);
        }
        if !self.policy.transports.contains(&transport) {
            return Err(LocateError::Unsupported);
        }
        Ok(())
    }

    /// The transport where neither the URI nor the domain names one
    /// (section 4.1).
    fn first_choice(&self) -> Result<Transport, LocateError> {
        if self.encrypted {
            self.may_use(Transport::Tls)?;
            return Ok(Transport::Tls);
        }
        let first = self.policy.transports.first().copied();
        first.ok_or(LocateError::Unsupported)
    }

    fn ask(&mut self, query: Query, waiting: Waiting) {
        if self.asked >= QUERIES_MAX {
            return;
        }
        self.asked += 1;
        let id = QueryId(self.asked);
        self.queue.push_back((id, query));
        self.pending.insert(id, waiting);
    }

    fn ask_srv(&mut self, transport: Transport, name: String) {
        let hosts = Vec::new();
        self.services.push(Service { transport, hosts });
        let service = self.services.len() - 1;
        self.ask(Query::Srv(name), Waiting::Srv(service));
    }

    fn ask_addresses(&mut self, service: usize, name: &str, port: u16) {
        let Some(hosts) = self.services.get_mut(service).map(|s| &mut s.hosts) else {
            return;
        };
        hosts.push(Server {
            port,
            v4: Vec::new(),
            v6: Vec::new(),
        });
        let host = hosts.len() - 1;
        for &family in self.policy.families.order() {
            let query = match family {
                Family::V4 => Query::A(name.to_owned()),
                Family::V6 => Query::Aaaa(name.to_owned()),
            };
            self.ask(query, Waiting::Address(service, host, family));
        }
    }

    /// The host's own addresses.
    fn ask_host(&mut self, transport: Transport, port: u16) {
        self.plain = true;
        let hosts = Vec::new();
        self.services.push(Service { transport, hosts });
        let name = self.host.clone();
        self.ask_addresses(self.services.len() - 1, &name, port);
    }

    /// Section 4.1: what the domain offers, of what we have, in its order.
    fn naptr(&mut self, mut records: Vec<Naptr>) {
        records.sort_by_key(|record| (record.order, record.preference));
        let usable: Vec<_> = records
            .into_iter()
            .take(NAPTR_MAX)
            .filter(|record| record.flags.eq_ignore_ascii_case("s"))
            .filter_map(|record| {
                let transport = match record.services.to_ascii_uppercase().as_str() {
                    "SIP+D2U" => Transport::Udp,
                    "SIP+D2T" => Transport::Tcp,
                    "SIPS+D2T" => Transport::Tls,
                    _ => return None,
                };
                self.may_use(transport).ok()?;
                Some((transport, record.replacement))
            })
            .collect();
        if usable.is_empty() {
            // The domain says what it offers, and it is nothing for us: with
            // encryption required, what else may be found would be a guess.
            let error = if self.encrypted {
                LocateError::NotEncrypted
            } else {
                LocateError::Unsupported
            };
            self.plain = true;
            self.outcome = Some(Err(error));
            return;
        }
        for (transport, name) in usable {
            self.ask_srv(transport, name.trim_end_matches('.').to_ascii_lowercase());
        }
    }

    /// Section 4.1: no NAPTR, so each transport's SRV.
    fn no_naptr(&mut self) {
        for transport in self.policy.transports.clone() {
            if self.may_use(transport).is_ok() {
                let name = srv_name(transport, &self.host);
                self.ask_srv(transport, name);
            }
        }
    }

    fn srv(&mut self, service: usize, mut records: Vec<Srv>) {
        records.retain(|record| record.port != 0 && !record.target.trim_matches('.').is_empty());
        for record in self.dice.order(records).into_iter().take(SRV_MAX) {
            let name = record.target.trim_end_matches('.').to_ascii_lowercase();
            self.ask_addresses(service, &name, record.port);
        }
    }

    /// Section 4.2: no SRV at all, so the host's own addresses.
    fn last_resort(&mut self) {
        let none = self.services.iter().all(|service| service.hosts.is_empty());
        // Not where somebody couldn't say whether there is a service: its host alone may be a web server.
        if !self.plain && none && !self.failed {
            // The URI's own transport where it names one: there is no other
            // service then.
            let transport = match self.services.as_slice() {
                [only] => Ok(only.transport),
                _ => self.first_choice(),
            };
            match transport {
                Ok(transport) => self.ask_host(transport, transport.default_port()),
                Err(error) => self.outcome = Some(Err(error)),
            }
        }
    }

    fn conclude(&mut self) {
        if self.outcome.is_some() {
            return;
        }
        let mut targets: Vec<Target> = Vec::new();
        for service in &self.services {
            let transport = service.transport;
            // Whatever way led here: encrypted or not at all.
            if self.may_use(transport).is_err() {
                continue;
            }
            for server in &service.hosts {
                for family in self.policy.families.order() {
                    let addresses = match family {
                        Family::V4 => &server.v4,
                        Family::V6 => &server.v6,
                    };
                    for ip in addresses {
                        let addr = SocketAddr::new(*ip, server.port);
                        let target = Target {
                            peer: Peer { addr, transport },
                            tls_name: (transport == Transport::Tls).then(|| self.host.clone()),
                        };
                        if targets.len() < TARGETS_MAX && !targets.contains(&target) {
                            targets.push(target);
                        }
                    }
                }
            }
        }
        self.outcome = Some(match (targets.is_empty(), self.failed) {
            (false, _) => Ok(targets),
            (true, false) => Err(LocateError::NotFound),
            (true, true) => Err(LocateError::Failed),
        });
    }
}

/// The transport that the URI itself names.
fn named_transport(uri: &Uri, secure: bool) -> Result<Option<Transport>, LocateError> {
    match uri.params().get("transport") {
        None => Ok(None),
        Some(text) => match text.to_ascii_lowercase().as_str() {
            // RFC 3261 section 26.2.2: TLS over TCP is meant.
            "tcp" if secure => Ok(Some(Transport::Tls)),
            "udp" if secure => Err(LocateError::NotEncrypted),
            "udp" => Ok(Some(Transport::Udp)),
            "tcp" => Ok(Some(Transport::Tcp)),
            "tls" => Ok(Some(Transport::Tls)),
            _ => Err(LocateError::Unsupported),
        },
    }
}

fn srv_name(transport: Transport, host: &str) -> String {
    let service = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    };
    format!("{service}.{host}")
}

/// SplitMix64: decides between equals, nothing secret.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    /// By priority, and by weight within it (RFC 2782).
    fn order(&mut self, mut records: Vec<Srv>) -> Vec<Srv> {
        // Weightless ones first, so that they have a small chance too.
        records.sort_by_key(|record| (record.priority, record.weight));
        // An absurd answer costs a bounded amount.
        records.truncate(SRV_MAX * 4);
        let mut ordered = Vec::with_capacity(records.len());
        while let Some(first) = records.first() {
            let priority = first.priority;
            let same = records.iter().take_while(|r| r.priority == priority);
            let sum: u64 = same.map(|record| u64::from(record.weight)).sum();
            let drawn = self.below(sum + 1);
            let mut running = 0;
            let chosen = records.iter().position(|record| {
                running += u64::from(record.weight);
                running >= drawn
            });
            ordered.push(records.remove(chosen.unwrap_or(0)));
        }
        ordered
    }
}

/// The targets of one request, tried one after the other (section 4.3).
#[derive(Debug, Clone)]
pub struct Failover {
    targets: Vec<Target>,
    at: usize,
}

impl Failover {
    /// From the first.
    #[must_use]
    pub fn new(targets: Vec<Target>) -> Self {
        Self { targets, at: 0 }
    }

    /// Where to try now; `None` when all have failed.
    #[must_use]
    pub fn current(&self) -> Option<&Target> {
        self.targets.get(self.at)
    }

    /// The current one failed: 503, a transport error, or no answer. The next.
    pub fn fail(&mut self) -> Option<&Target> {
        self.at = (self.at + 1).min(self.targets.len());
        self.current()
    }
}
