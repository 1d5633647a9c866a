//! Where we listen and what we call ourselves towards whom.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream inside TLS.
    Tls,
}

impl Transport {
    /// The token used in a Via header's `SIP/2.0/…`.
    #[must_use]
    pub fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// The value of a URI's `transport` parameter; none where it would say
    /// nothing new.
    #[must_use]
    pub fn uri_param(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some("tcp"),
            // Deprecated by RFC 3261 and what everybody writes all the same;
            // `sips` would promise TLS on hops that we don't see.
            Self::Tls => Some("tls"),
        }
    }

    /// True when the transport itself repeats what was lost.
    #[must_use]
    pub fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// True when nobody on the way can read along.
    #[must_use]
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Tls)
    }

    /// The port a URI or sent-by without one means.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

/// The other end of a hop: address and transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// Where datagrams for this peer go, or came from.
    pub addr: SocketAddr,
    /// How they travel.
    pub transport: Transport,
}

impl Peer {
    /// A peer reached by UDP.
    #[must_use]
    pub fn udp(addr: SocketAddr) -> Self {
        Self {
            addr,
            transport: Transport::Udp,
        }
    }
}

/// An address that means something only in its own network: private (RFC 1918,
/// RFC 4193), behind a carrier's NAT (RFC 6598), or link-local.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && b & 0xc0 == 64;
            ip.is_private() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// An IP network, `10.0.0.0/8` or `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    addr: IpAddr,
    prefix: u8,
}

/// The text was not `address/prefix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetError;

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an IP network such as 10.0.0.0/8")
    }
}

impl std::error::Error for NetError {}

impl Net {
    /// A network; `None` when the prefix is longer than the address.
    #[must_use]
    pub fn new(addr: IpAddr, prefix: u8) -> Option<Self> {
        let bits = if addr.is_ipv4() { 32 } else { 128 };
        (prefix <= bits).then_some(Self { addr, prefix })
    }

    /// True when `ip` lies inside. An IPv4 address mapped into IPv6 counts as
    /// the IPv4 address it is.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.addr.to_canonical(), ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(self.prefix.min(32));
                (u64::from(u32::from(net)) >> shift) == (u64::from(u32::from(ip)) >> shift)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                self.prefix == 0 || {
                    let shift = 128 - u32::from(self.prefix);
                    (u128::from(net) >> shift) == (u128::from(ip) >> shift)
                }
            }
            _ => false,
        }
    }
}

impl FromStr for Net {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let (addr, prefix) = match text.split_once('/') {
            Some((addr, prefix)) => (
                addr.parse::<IpAddr>().map_err(|_| NetError)?,
                Some(prefix.parse::<u8>().map_err(|_| NetError)?),
            ),
            None => (text.parse::<IpAddr>().map_err(|_| NetError)?, None),
        };
        let whole = if addr.is_ipv4() { 32 } else { 128 };
        Self::new(addr, prefix.unwrap_or(whole)).ok_or(NetError)
    }
}

/// What we call ourselves towards peers outside the local networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertise {
    /// The address written into SDP, and into Via and Contact unless `host` is
    /// given.
    pub ip: IpAddr,
    /// A name to write into Via and Contact in place of the address.
    pub host: Option<String>,
    /// The port written into Via and Contact.
    pub port: u16,
    /// The same for what travels by TLS.
    pub tls_port: u16,
}

/// One SIP listening address with its outside face. Decides what stands in
/// Via, Contact and SDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Where datagrams and streams come in (RFC 3261 section 18.2.1 asks for
    /// both on one port).
    pub bind: SocketAddr,
    /// The port for TLS, at the same address.
    pub tls_port: u16,
    /// What peers outside `local_nets` are told.
    pub advertise: Advertise,
    /// Networks whose hosts reach `bind` directly.
    pub local_nets: Vec<Net>,
}

impl Interface {
    /// An interface that tells everybody its bound address.
    #[must_use]
    pub fn local(bind: SocketAddr) -> Self {
        let tls_port = Transport::Tls.default_port();
        Self {
            bind,
            tls_port,
            advertise: Advertise {
                ip: bind.ip(),
                host: None,
                port: bind.port(),
                tls_port,
            },
            local_nets: Vec::new(),
        }
    }

    /// The address of ours that `peer` can reach: the bound one inside the
    /// local networks, the advertised one elsewhere. A wildcard bind address
    /// can't be told to anybody, so then it is always the advertised one.
    #[must_use]
    pub fn address_towards(&self, peer: IpAddr) -> IpAddr {
        if self.is_local(peer) {
            self.bind.ip()
        } else {
            self.advertise.ip
        }
    }

    /// The port that goes with [`Self::address_towards`].
    #[must_use]
    pub fn port_towards(&self, peer: Peer) -> u16 {
        match (self.is_local(peer.addr.ip()), peer.transport) {
            (true, Transport::Udp | Transport::Tcp) => self.bind.port(),
            (true, Transport::Tls) => self.tls_port,
            (false, Transport::Udp | Transport::Tcp) => self.advertise.port,
            (false, Transport::Tls) => self.advertise.tls_port,
        }
    }

    /// Writes `host:port` as `peer` should see it in Via and Contact.
    pub(crate) fn write_host_port(&self, peer: Peer, out: &mut Vec<u8>) {
        use std::io::Write;
        let (ip, port) = (peer.addr.ip(), self.port_towards(peer));
        // Writing to a Vec can't fail.
        let _ = match &self.advertise.host {
            Some(host) if !self.is_local(ip) => write!(out, "{host}:{port}"),
            _ => write!(out, "{}", SocketAddr::new(self.address_towards(ip), port)),
        };
    }

    /// True for hosts of the local networks.
    #[must_use]
    pub fn is_local(&self, peer: IpAddr) -> bool {
        !self.bind.ip().is_unspecified() && self.local_nets.iter().any(|net| net.contains(peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nets_contain_what_they_should() {
        let check = |net: &str, addr: &str, inside: bool| {
            let net: Net = net.parse().unwrap();
            assert_eq!(net.contains(ip(addr)), inside, "{addr}");
        };
        check("10.0.0.0/8", "10.9.8.7", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.1.1.1", true);
        check("0.0.0.0/0", "8.8.8.8", true);
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("fd00::/8", "fd12::1", true);
        check("fd00::/8", "2001:db8::1", false);
        check("::/0", "2001:db8::1", true);
        check("10.0.0.0/8", "fd12::1", false);
        for bad in ["", "10.0.0.0/33", "x/8", "10.0.0.0/", "::/129"] {
            assert_eq!(bad.parse::<Net>(), Err(NetError), "{bad}");
        }
    }

    #[test]
    fn the_peer_decides_which_face_it_sees() {
        let interface = Interface {
            bind: "10.0.0.5:5060".parse().unwrap(),
            tls_port: 5061,
            advertise: Advertise {
                ip: ip("203.0.113.5"),
                host: Some("sip.example.net".into()),
                port: 5080,
                tls_port: 5081,
            },
            local_nets: vec!["10.0.0.0/8".parse().unwrap()],
        };
        let seen = |peer: &str, transport: Transport| {
            let mut out = Vec::new();
            let addr = SocketAddr::new(ip(peer), 40_000);
            interface.write_host_port(Peer { addr, transport }, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(seen("10.1.1.1", Transport::Udp), "10.0.0.5:5060");
        assert_eq!(seen("10.1.1.1", Transport::Tls), "10.0.0.5:5061");
        assert_eq!(seen("198.51.100.7", Transport::Tcp), "sip.example.net:5080");
        assert_eq!(seen("198.51.100.7", Transport::Tls), "sip.example.net:5081");
        assert_eq!(
            interface.address_towards(ip("198.51.100.7")),
            ip("203.0.113.5")
        );
        assert_eq!(interface.address_towards(ip("10.1.1.1")), ip("10.0.0.5"));
    }
}
