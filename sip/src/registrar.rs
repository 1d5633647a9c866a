//! The registrar (RFC 3261 section 10.3): which contacts an address of record
//! has right now.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use crate::digest::Accounts;
use crate::endpoint::Reply;
use crate::interface::Peer;
use crate::message::Request;
use crate::wire::{Host, NameAddr, Scheme, Uri, thousandths};

/// Most Path values kept of a REGISTER.
const PATHS_MAX: usize = 8;

/// How a [`Registrar`] is made.
#[derive(Debug, Clone)]
pub struct RegistrarConfig {
    /// The digest realm.
    pub realm: String,
    /// Given when a REGISTER asks for no expiry; 300 s.
    pub expires_default: Duration,
    /// Below this a REGISTER gets 423; 30 s.
    pub expires_min: Duration,
    /// More than this is cut down to it; 3600 s.
    pub expires_max: Duration,
    /// Most contacts of one address of record; 10.
    pub contacts_max: usize,
    /// Most bindings altogether; 100,000.
    pub bindings_max: usize,
}

impl RegistrarConfig {
    /// Defaults for a realm.
    #[must_use]
    pub fn new(realm: impl Into<String>) -> Self {
        Self {
            realm: realm.into(),
            expires_default: Duration::from_secs(300),
            expires_min: Duration::from_secs(30),
            expires_max: Duration::from_secs(3600),
            contacts_max: 10,
            bindings_max: 100_000,
        }
    }
}

/// One contact of an address of record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The registered Contact URI: the Request-URI of calls to it.
    pub contact: Uri,
    /// Where the REGISTER came from: where calls to it are sent.
    pub peer: Peer,
    /// True when the source isn't what the phone says of itself: calls stay
    /// with `peer` (see [`Invite::pinned`](crate::Invite::pinned)).
    pub natted: bool,
    /// Path (RFC 3327), the Route of calls to it.
    pub path: Vec<String>,
    /// Preference in thousandths, 1000 the highest.
    pub q: u16,
    /// `+sip.instance` without quotes (RFC 5626), if sent.
    pub instance: Option<String>,
    /// When it ends.
    pub expires_at: Duration,
    call_id: Box<str>,
    cseq: u32,
}

impl Binding {
    /// The proxy that the REGISTER came from, by the address it gives itself in the first Path value (RFC 3327).
    fn proxy(&self) -> Option<Peer> {
        let uri = NameAddr::parse(self.path.first()?).ok()?.uri;
        let ip = uri.host().and_then(Host::ip)?;
        let transport = uri.transport().unwrap_or(self.peer.transport);
        let port = uri.port().unwrap_or(transport.default_port());
        // Elsewhere than where its messages come from it isn't believed.
        (ip == self.peer.addr.ip().to_canonical() && port != 0).then(|| Peer {
            addr: SocketAddr::new(self.peer.addr.ip(), port),
            transport,
        })
    }
}

/// Why a contact went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The phone took it back.
    Removed,
    /// It wasn't refreshed in time.
    Expired,
    /// The same phone (same `+sip.instance`) registered from elsewhere.
    Replaced,
    /// The connection that it registered on was closed (RFC 5626 section 4.3):
    /// there is no other way to it.
    FlowLost,
}

/// What a REGISTER or the passing of time changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new contact.
    SignedIn {
        /// Address of record, `sip:user@realm` (see [`aor`]).
        aor: String,
        /// The contact.
        binding: Binding,
    },
    /// A contact lives on (and may have moved).
    Refreshed {
        /// Address of record.
        aor: String,
        /// The contact.
        binding: Binding,
    },
    /// A contact is gone.
    SignedOut {
        /// Address of record.
        aor: String,
        /// Its Contact URI.
        contact: Uri,
        /// Why.
        why: Gone,
        /// How many contacts the address of record has left.
        left: usize,
    },
}

/// The bindings of a realm. Who registers is found out before, by an
/// [`Authenticator`](crate::digest::Authenticator).
#[derive(Debug)]
pub struct Registrar {
    config: RegistrarConfig,
    /// By address of record; the best contact first.
    bindings: BTreeMap<String, Vec<Binding>>,
    count: usize,
    /// When to look at an address of record. An entry is only a hint: a
    /// refreshed binding has a later one too.
    expiries: BinaryHeap<Reverse<(Duration, String)>>,
    /// Who registered on which connection. An entry is only a hint too, and
    /// goes with the connection.
    flows: BTreeSet<(Peer, String)>,
}

/// A Contact of a REGISTER, checked.
struct Wanted {
    uri: Uri,
    expires: Duration,
    q: u16,
    instance: Option<String>,
}

impl Registrar {
    /// An empty registrar.
    #[must_use]
    pub fn new(config: RegistrarConfig) -> Self {
        Self {
            config,
            bindings: BTreeMap::new(),
            count: 0,
            expiries: BinaryHeap::new(),
            flows: BTreeSet::new(),
        }
    }

    /// Answers a REGISTER whose sender is known to be `username`: an
    /// [`Authenticator`](crate::digest::Authenticator) of this realm accepted it. Whether that user may
    /// register the address is asked of `accounts` here (403 otherwise).
    pub fn bind(
        &mut self,
        now: Duration,
        peer: Peer,
        request: &Request,
        username: &str,
        accounts: &dyn Accounts,
    ) -> (Reply, Vec<Change>) {
        let mut changes = self.handle_timeout(now);
        let realm = &self.config.realm;
        // Section 10.3, step 5. Phones call us by any of our names and
        // addresses; the realm stands for all of them, so that an account has
        // one address of record, and its bound on contacts is one bound.
        let to = request.to().filter(|to| to.uri.host().is_some());
        let Some(user) = to.as_ref().and_then(|to| to.uri.user()) else {
            return (Reply::new(404), changes);
        };
        let aor = aor(&user, realm);
        if !accounts.may_register(username, realm, &aor) {
            return (Reply::new(403), changes);
        }
        let reply = match self.update(now, peer, request, &aor, &mut changes) {
            Ok(()) => self.listing(now, request, &aor),
            Err(reply) => reply,
        };
        (reply, changes)
    }

    /// RFC 3261 section 10.3, steps 6 and 7: all of it or nothing.
    fn update(
        &mut self,
        now: Duration,
        peer: Peer,
        request: &Request,
        aor: &str,
        changes: &mut Vec<Change>,
    ) -> Result<(), Reply> {
        if request.contacts().any(|contact| contact.trim() == "*") {
            let alone = request.contacts().count() == 1;
            if !alone || request.header("Expires").and_then(seconds) != Some(Duration::ZERO) {
                return Err(Reply::new(400));
            }
            for binding in self.bindings.get(aor).into_iter().flatten() {
                in_order(binding, request)?;
            }
            for binding in self.bindings.remove(aor).into_iter().flatten() {
                self.count -= 1;
                changes.push(signed_out(aor, binding, Gone::Removed, 0));
            }
            return Ok(());
        }
        let mut wanted = Vec::new();
        for contact in request.contacts() {
            if wanted.len() == self.config.contacts_max {
                return Err(Reply::new(403));
            }
            wanted.push(self.wanted(peer, request, contact)?);
        }
        let present = self.bindings.get(aor).map_or(&[][..], Vec::as_slice);
        for binding in present {
            if wanted
                .iter()
                .any(|wanted| wanted.uri.same_as(&binding.contact))
            {
                in_order(binding, request)?;
            }
        }
        let added = wanted.iter().filter(|w| !w.expires.is_zero()).count();
        if self.count + added > self.config.bindings_max {
            return Err(Reply::new(503));
        }
        for wanted in wanted {
            self.apply(now, peer, request, aor, wanted, changes);
        }
        Ok(())
    }

    fn wanted(&self, peer: Peer, request: &Request, contact: &str) -> Result<Wanted, Reply> {
        let address = NameAddr::parse(contact).map_err(|_| Reply::new(400))?;
        if !matches!(address.uri.scheme(), Scheme::Sip | Scheme::Sips) {
            return Err(Reply::new(400));
        }
        let expires = address.params.get("expires");
        let expires = match expires.or_else(|| request.header("Expires")) {
            // A malformed value counts as none (section 10.2.1.1).
            Some(text) => seconds(text).unwrap_or(self.config.expires_default),
            None => self.config.expires_default,
        };
        // It would have to be called back by what it came by, and may not be.
        let open = address.uri.scheme() == Scheme::Sips && !peer.transport.is_secure();
        if open && !expires.is_zero() {
            return Err(Reply::new(400));
        }
        if !expires.is_zero() && expires < self.config.expires_min {
            let min = self.config.expires_min.as_secs();
            return Err(Reply::new(423).with("Min-Expires", min.to_string()));
        }
        Ok(Wanted {
            expires: expires.min(self.config.expires_max),
            q: address
                .params
                .get("q")
                .and_then(thousandths)
                .unwrap_or(1000),
            instance: address
                .params
                .unquoted("+sip.instance")
                .map(std::borrow::Cow::into_owned),
            uri: address.uri,
        })
    }

    fn apply(
        &mut self,
        now: Duration,
        peer: Peer,
        request: &Request,
        aor: &str,
        wanted: Wanted,
        changes: &mut Vec<Change>,
    ) {
        if peer.transport.is_reliable() {
            self.flows.insert((peer, aor.to_owned()));
        }
        let list = self.bindings.entry(aor.to_owned()).or_default();
        let same = list.iter().position(|b| b.contact.same_as(&wanted.uri));
        let previous = same.map(|at| list.remove(at));
        self.count -= usize::from(previous.is_some());
        if wanted.expires.is_zero() {
            let left = list.len();
            if left == 0 {
                self.bindings.remove(aor);
            }
            if let Some(previous) = previous {
                changes.push(signed_out(aor, previous, Gone::Removed, left));
            }
            return;
        }
        let path: Vec<String> = request
            .header_values("Path")
            .take(PATHS_MAX)
            .map(str::to_owned)
            .collect();
        let mut peer = peer;
        let same_host = wanted.uri.host().and_then(Host::ip) == Some(peer.addr.ip().to_canonical());
        let port = wanted.uri.port().unwrap_or(peer.transport.default_port());
        let by_rport = request.via().is_some_and(|via| via.params.has("rport"));
        // A phone that doesn't ask for answers at its source listens where it says, and may send
        // from another port.
        let by_itself = path.is_empty() && !peer.transport.is_reliable();
        if same_host && port != 0 && !by_rport && by_itself {
            peer.addr.set_port(port);
        }
        let direct = same_host && port == peer.addr.port();
        let mut binding = Binding {
            contact: wanted.uri,
            peer,
            natted: path.is_empty() && !direct,
            path,
            q: wanted.q,
            instance: wanted.instance,
            expires_at: now + wanted.expires,
            call_id: request.call_id().into(),
            cseq: request.cseq(),
        };
        // Nor do proxies hear us where they send from, but where they say.
        if !peer.transport.is_reliable() {
            binding.peer = binding.proxy().unwrap_or(peer);
        }
        // The same phone with another contact has moved (RFC 5626 section 6);
        // beyond the bound the contact that ends first makes room, so that a
        // phone whose address changes often never locks itself out.
        let mut gone = Vec::new();
        if binding.instance.is_some() {
            while let Some(at) = list.iter().position(|b| b.instance == binding.instance) {
                gone.push(list.remove(at));
            }
        }
        while list.len() >= self.config.contacts_max {
            let first = (0..list.len()).min_by_key(|at| list[*at].expires_at);
            gone.push(list.remove(first.unwrap_or(0)));
        }
        self.expiries
            .push(Reverse((binding.expires_at, aor.to_owned())));
        let at = list.partition_point(|b| b.q > binding.q);
        list.insert(at, binding.clone());
        self.count = self.count + 1 - gone.len();
        let left = list.len();
        let aor_owned = aor.to_owned();
        changes.push(if previous.is_some() {
            Change::Refreshed {
                aor: aor_owned,
                binding,
            }
        } else {
            Change::SignedIn {
                aor: aor_owned,
                binding,
            }
        });
        for gone in gone {
            changes.push(signed_out(aor, gone, Gone::Replaced, left));
        }
    }

    /// The 200 with every contact there is (section 10.3, step 8).
    fn listing(&self, now: Duration, request: &Request, aor: &str) -> Reply {
        let mut reply = Reply::new(200);
        for binding in self.lookup(aor) {
            let left = binding.expires_at.saturating_sub(now).as_secs();
            let mut value = format!("<{}>;expires={left}", binding.contact);
            if binding.q < 1000 {
                value.push_str(&format!(";q=0.{:03}", binding.q));
            }
            reply = reply.with("Contact", value);
        }
        // RFC 3327 section 5.3.
        if request.lists("Supported", "path") {
            for path in request.header_values("Path").take(PATHS_MAX) {
                reply = reply.with("Path", path);
            }
        }
        reply
    }

    /// The live contacts of an address of record (see [`aor`]), best first. Those whose time
    /// is over stay until [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn lookup(&self, aor: &str) -> &[Binding] {
        self.bindings.get(aor).map_or(&[], Vec::as_slice)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.expiries.peek().map(|Reverse((at, _))| *at)
    }

    /// Drops what has expired.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some(Reverse((at, _))) = self.expiries.peek() {
            if *at > now {
                break;
            }
            let Some(Reverse((_, aor))) = self.expiries.pop() else {
                break;
            };
            let Some(list) = self.bindings.get_mut(&aor) else {
                continue;
            };
            while let Some(at) = list.iter().position(|b| b.expires_at <= now) {
                let expired = list.remove(at);
                self.count -= 1;
                changes.push(signed_out(&aor, expired, Gone::Expired, list.len()));
            }
            if list.is_empty() {
                self.bindings.remove(&aor);
            }
        }
        changes
    }

    /// A connection was closed: whoever registered on it can't be reached. Unless a proxy made it, whose own address
    /// stands in Path: proxies close what is idle, and the next call makes another.
    pub fn flow_lost(&mut self, peer: Peer) -> Vec<Change> {
        let mut changes = Vec::new();
        let registered = self.flows.range((peer, String::new())..);
        let aors: Vec<String> = registered
            .take_while(|(flow, _)| *flow == peer)
            .map(|(_, aor)| aor.clone())
            .collect();
        for aor in aors {
            self.flows.remove(&(peer, aor.clone()));
            let Some(list) = self.bindings.get_mut(&aor) else {
                continue;
            };
            for binding in list.iter_mut().filter(|b| b.peer == peer) {
                binding.peer = binding.proxy().unwrap_or(peer);
            }
            let lost = |b: &Binding| b.peer == peer && b.proxy().is_none();
            while let Some(at) = list.iter().position(lost) {
                let lost = list.remove(at);
                self.count -= 1;
                changes.push(signed_out(&aor, lost, Gone::FlowLost, list.len()));
            }
            if list.is_empty() {
                self.bindings.remove(&aor);
            }
        }
        changes
    }

    /// How many bindings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when nobody is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Section 10.3, step 7: inside one Call-ID the CSeq must rise.
fn in_order(binding: &Binding, request: &Request) -> Result<(), Reply> {
    if *binding.call_id == *request.call_id() && request.cseq() <= binding.cseq {
        Err(Reply::new(500))
    } else {
        Ok(())
    }
}

fn signed_out(aor: &str, binding: Binding, why: Gone, left: usize) -> Change {
    Change::SignedOut {
        aor: aor.to_owned(),
        contact: binding.contact,
        why,
        left,
    }
}

/// Delta seconds. Numbers too big for us are as good as the biggest.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse::<u32>().unwrap_or(u32::MAX).into()))
}

/// The one form of a user's address of record: `sip:user@realm`, whatever host
/// the phone wrote.
#[must_use]
pub fn aor(user: &str, realm: &str) -> String {
    format!("sip:{user}@{realm}")
}
