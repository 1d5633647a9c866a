//! What a leg sends and receives through.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use media::codec::Format;
use media::engine::LegId;

use super::ring::RingEnd;

/// A leg's way to its far side.
#[derive(Debug)]
pub(super) enum LegPort {
    /// One socket for each port, never shared.
    Udp {
        rtp: UdpSocket,
        rtcp: UdpSocket,
        /// The RTP port.
        port: u16,
        /// Where both are bound.
        bind: IpAddr,
        /// The only address that RTP goes to and comes from, which the kernel then knows: it looks the route up once,
        /// not for every packet, and drops strangers' packets unread. None where the address may yet be learnt.
        tied: Option<SocketAddr>,
    },
    /// Somebody in this process. Its packets bear the address that was negotiated, whatever that is: nobody else can
    /// put any into the ring.
    Ring {
        end: RingEnd,
        rtp: SocketAddr,
        rtcp: SocketAddr,
    },
}

impl LegPort {
    pub(super) fn ring(end: RingEnd) -> LegPort {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        LegPort::Ring {
            end,
            rtp: nowhere,
            rtcp: nowhere,
        }
    }
}

/// A packet of audio that a listened leg's far side sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardFrame {
    /// The leg.
    pub leg: LegId,
    /// Extended sequence number.
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// How the payload is encoded.
    pub codec: Format,
    /// The audio as it came.
    pub payload: Vec<u8>,
}
