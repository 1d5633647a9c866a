//! A dialog (RFC 3261 section 12): what both sides must remember to speak
//! about the same call.

use std::net::{IpAddr, SocketAddr};

use crate::interface::{Peer, is_private};
use crate::message::{Request, Response};
use crate::wire::{Host, NameAddr, Scheme, Uri};

/// Most Route entries taken from a peer's Record-Route.
const ROUTES_MAX: usize = 32;

/// Our Contact in a dialog.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) user: Box<str>,
    /// A `sips:` one.
    pub(crate) secure: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    pub(crate) call_id: Box<str>,
    /// Our From value inside the dialog, tag included.
    pub(crate) local: Box<str>,
    pub(crate) local_tag: Box<str>,
    /// Our To value inside the dialog, tag included.
    pub(crate) remote: Box<str>,
    pub(crate) remote_tag: Box<str>,
    pub(crate) local_cseq: u32,
    /// The last CSeq number of theirs; `None` before the first.
    pub(crate) remote_cseq: Option<u32>,
    /// The peer's Contact: where requests inside the dialog are addressed.
    pub(crate) target: Uri,
    /// Route values in the order they are written.
    pub(crate) route: Vec<Box<str>>,
    /// Where the messages of this dialog come from.
    source: Peer,
    /// Always send to `source`: the peer is behind NAT.
    pinned: bool,
    /// The connection that led to `source` is closed.
    flow_lost: bool,
    /// Nobody on the way may read along: our Contact is a `sips:` one (section
    /// 12.1.1).
    secure: bool,
    /// We chose its Call-ID, which says who waits longer after a glare
    /// (section 14.1).
    pub(crate) is_ours: bool,
}

impl Dialog {
    /// The callee's side, from the INVITE (section 12.1.1). `None` without a
    /// usable Contact.
    pub(crate) fn from_request(request: &Request, source: Peer, local_tag: &str) -> Option<Self> {
        let via = request.via()?;
        let target = match contact(request.contacts()) {
            Some(target) => target,
            // RFC 2543 elements may leave Contact out; From is meant then.
            None if via.branch().is_none() && request.contacts().next().is_none() => request
                .from()
                .map(|from| from.uri)
                .filter(|uri| uri.host().is_some())?,
            None => return None,
        };
        let mut local = String::from(request.fields.recipient_text());
        if request.to_tag().is_none() {
            local.push_str(";tag=");
            local.push_str(local_tag);
        }
        // One Via whose address isn't where the datagram came from: the
        // sender itself is behind NAT, and so is its Contact.
        let natted = request.via_count() == 1
            && via
                .host
                .ip()
                .is_some_and(|ip| ip != source.addr.ip().to_canonical());
        Some(Self {
            call_id: request.call_id().into(),
            local: local.into(),
            local_tag: local_tag.into(),
            remote: request.fields.sender_text().into(),
            remote_tag: request.from_tag().unwrap_or("").into(),
            local_cseq: 0,
            remote_cseq: Some(request.cseq()),
            target,
            route: request
                .record_routes()
                .take(ROUTES_MAX)
                .map(Box::from)
                .collect(),
            source,
            pinned: natted,
            flow_lost: false,
            secure: source.transport.is_secure() && wants_security(request),
            is_ours: false,
        })
    }

    /// The caller's side, from a 2xx (section 12.1.2). `None` without a usable
    /// Contact.
    pub(crate) fn from_response(response: &Response, source: Peer, pinned: bool) -> Option<Self> {
        let target = contact(response.contacts())?;
        let secure = source.transport.is_secure() && target.scheme() == Scheme::Sips;
        let mut route: Vec<Box<str>> = response
            .record_routes()
            .take(ROUTES_MAX)
            .map(Box::from)
            .collect();
        route.reverse();
        Some(Self {
            call_id: response.call_id().into(),
            local: response.fields.sender_text().into(),
            local_tag: response.from_tag().unwrap_or("").into(),
            remote: response.fields.recipient_text().into(),
            remote_tag: response.to_tag().unwrap_or("").into(),
            local_cseq: response.cseq(),
            remote_cseq: None,
            target,
            route,
            source,
            pinned,
            flow_lost: false,
            secure,
            is_ours: true,
        })
    }

    /// A target refresh (section 12.2): the Contact of a re-INVITE or its 2xx.
    pub(crate) fn refresh<'a>(&mut self, contacts: impl Iterator<Item = &'a str>) {
        if let Some(target) = contact(contacts) {
            self.target = target;
        }
    }

    /// A connection was closed. A proxy closes one that is idle, and may be called back at the address that its route
    /// or Contact names.
    pub(crate) fn flow_lost(&mut self, peer: Peer) {
        self.flow_lost |= self.source == peer;
    }

    /// A request of the peer's came from there, and that is where it is from
    /// now on if we couldn't say by ourselves: behind NAT, after its connection
    /// was closed, or by another connection.
    pub(crate) fn heard_from(&mut self, peer: Peer) {
        let connection = peer.transport.is_reliable() && peer.addr.ip() == self.source.addr.ip();
        if self.pinned || self.flow_lost || connection {
            self.source = peer;
            self.flow_lost = false;
        }
    }

    /// Our Contact in it.
    pub(crate) fn own(&self) -> Own {
        Own {
            user: self.local_tag.clone(),
            secure: self.secure,
        }
    }

    /// Is the peer behind NAT?
    pub(crate) fn is_natted(&self) -> bool {
        self.pinned
    }

    pub(crate) fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// The Request-URI and Route values of a request inside the dialog
    /// (section 12.2.1.1), strict routers included.
    pub(crate) fn routed(&self) -> (Box<str>, Vec<Box<str>>) {
        let first = self
            .route
            .first()
            .and_then(|route| NameAddr::parse(route).ok());
        match first {
            Some(first) if !first.uri.params().has("lr") => {
                let mut route: Vec<Box<str>> = self.route[1..].to_vec();
                route.push(format!("<{}>", self.target.bare()).into());
                (first.uri.bare().into(), route)
            }
            _ => (self.target.bare().into(), self.route.clone()),
        }
    }

    /// Where a request inside the dialog is sent: the first route or the
    /// target when that is an address; names aren't resolved here, so for them
    /// it is where the dialog's messages come from. On a stream it is the
    /// connection that they come on, as long as that is there and leads to the
    /// same host: often no other can be made (RFC 5626, RFC 5923).
    pub(crate) fn hop(&self) -> Peer {
        if self.pinned {
            return self.source;
        }
        let parsed = self.route.first().and_then(|r| NameAddr::parse(r).ok());
        let uri = parsed.as_ref().map_or(&self.target, |first| &first.uri);
        let Some(Host::Ip(ip)) = uri.host() else {
            return self.source;
        };
        let transport = uri.transport().unwrap_or(self.source.transport);
        let port = uri.port().unwrap_or(transport.default_port());
        if !reachable(ip, self.source.addr.ip()) || port == 0 {
            return self.source;
        }
        // What came encrypted goes on so, whatever the peer writes.
        if self.source.transport.is_secure() && !transport.is_secure() {
            return self.source;
        }
        let same_host = ip.to_canonical() == self.source.addr.ip().to_canonical();
        let same_flow = same_host && transport == self.source.transport;
        if same_flow && transport.is_reliable() && !self.flow_lost {
            return self.source;
        }
        Peer {
            addr: SocketAddr::new(ip, port),
            transport,
        }
    }
}

/// Section 12.1.1: `sips:` in the Request-URI, and in the first Record-Route or
/// else in Contact.
fn wants_security(request: &Request) -> bool {
    let is_sips =
        |value: &str| NameAddr::parse(value).is_ok_and(|value| value.uri.scheme() == Scheme::Sips);
    let first = request.record_routes().next();
    let first = first.or_else(|| request.contacts().next());
    request.uri().scheme() == Scheme::Sips || first.is_some_and(is_sips)
}

/// False for addresses that can't be meant seriously from where the peer is:
/// none at all, another address family, loopback seen from elsewhere,
/// a private address of a peer with a public one.
fn reachable(ip: IpAddr, source: IpAddr) -> bool {
    !ip.is_unspecified()
        && !ip.is_multicast()
        && ip.is_ipv4() == source.is_ipv4()
        && (!ip.is_loopback() || source.is_loopback())
        && (!is_private(ip) || is_private(source) || source.is_loopback())
}

/// The one Contact of a request or response that makes a dialog
/// (section 8.1.1.8).
fn contact<'a>(mut contacts: impl Iterator<Item = &'a str>) -> Option<Uri> {
    let first = contacts.next()?;
    let uri = NameAddr::parse(first).ok()?.uri;
    uri.host().is_some().then_some(uri)
}
