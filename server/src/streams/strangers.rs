//! Connections whose far end nobody knows: neither a trunk nor anybody who has
//! shown a password. Anybody may have one for a while, so that there are few
//! of them; when one comes too many, another goes.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};

use sip::Peer;

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// In all.
    pub(super) all: usize,
    /// From one place: a hospital's phones, all signing in at once behind one
    /// address, are known within two round trips.
    pub(super) per_place: usize,
}

/// The strangers, by the serial of their connection: the oldest first.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    all: BTreeMap<u64, Peer>,
    per_place: HashMap<IpAddr, usize>,
}

impl Strangers {
    pub(super) fn insert(&mut self, serial: u64, peer: Peer) {
        if self.all.insert(serial, peer).is_none() {
            *self.per_place.entry(place(peer)).or_default() += 1;
        }
    }

    /// Gone, or known by now.
    pub(super) fn remove(&mut self, serial: u64) {
        let Some(peer) = self.all.remove(&serial) else {
            return;
        };
        let place = place(peer);
        if let Some(count) = self.per_place.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                self.per_place.remove(&place);
            }
        }
    }

    /// Who goes, for one more from there to have room: the oldest of its own
    /// place, else of the place that has the most. Whoever floods us pushes
    /// out their own; a phone that signs in is known before its turn comes.
    pub(super) fn makes_room(&self, peer: Peer, bounds: Bounds) -> Option<Peer> {
        let own = place(peer);
        let crowded = if self.per_place.get(&own).copied().unwrap_or(0) >= bounds.per_place {
            own
        } else if self.all.len() >= bounds.all {
            // The lesser address of two, so that it doesn't depend on the map's order.
            let most = self
                .per_place
                .iter()
                .max_by_key(|(at, count)| (**count, **at));
            *most?.0
        } else {
            return None;
        };
        let oldest = self.all.values().find(|peer| place(**peer) == crowded);
        oldest.copied()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

/// An address; of IPv6 the network of 64 bits, since whoever has one address there has them all.
fn place(peer: Peer) -> IpAddr {
    match peer.addr.ip().to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        all: 4,
        per_place: 3,
    };

    fn peer(addr: &str) -> Peer {
        Peer {
            addr: addr.parse::<SocketAddr>().unwrap(),
            transport: sip::Transport::Tcp,
        }
    }

    #[test]
    fn the_oldest_of_the_crowd_makes_room() {
        let mut strangers = Strangers::default();
        let lone = peer("192.0.2.1:1");
        strangers.insert(1, lone);
        for serial in 2..=4 {
            strangers.insert(serial, peer(&format!("192.0.2.2:{serial}")));
        }
        // One more of the crowd: for their own place's sake.
        let crowd = peer("192.0.2.2:9");
        assert_eq!(
            strangers.makes_room(crowd, BOUNDS),
            Some(peer("192.0.2.2:2"))
        );
        // Somebody else: it isn't the lone one who goes, though they came first.
        let other = peer("192.0.2.3:1");
        assert_eq!(
            strangers.makes_room(other, BOUNDS),
            Some(peer("192.0.2.2:2"))
        );
        strangers.remove(2);
        strangers.remove(2);
        assert_eq!(strangers.makes_room(other, BOUNDS), None);
        assert_eq!(strangers.makes_room(crowd, BOUNDS), None);
        assert_eq!(strangers.len(), 3);
    }

    #[test]
    fn a_network_of_ipv6_is_one_place() {
        let mut strangers = Strangers::default();
        for serial in 1..=3 {
            strangers.insert(serial, peer(&format!("[2001:db8::{serial}]:5060")));
        }
        let there = peer("[2001:db8::ffff]:5060");
        let elsewhere = peer("[2001:db8:0:1::1]:5060");
        assert_eq!(
            strangers.makes_room(there, BOUNDS),
            Some(peer("[2001:db8::1]:5060"))
        );
        assert_eq!(strangers.makes_room(elsewhere, BOUNDS), None);
    }
}
