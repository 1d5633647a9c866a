//! A media thread's outside: the sockets, rings and listeners of its legs.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;

use media::engine::{Channel, Heard, LegId, Sink};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::socket::{self, MsgFlags, SockaddrIn, SockaddrIn6, sendto};
use tokio::sync::mpsc;

use super::attention::{Attention, Rota};
use super::figures::Tally;
use super::port::{HeardFrame, LegPort};
use super::ports::PortPool;
use super::ring::RING_PACKET_BYTES;
use super::udp;
use super::worker::SLOTS_A_WAKE;

/// By slot.
pub(super) struct Io {
    pub(super) epoll: Epoll,
    pub(super) places: Vec<Option<Place>>,
    pub(super) rota: Rota,
    ports: Arc<PortPool>,
    pub(super) tally: Tally,
}

/// A leg's.
pub(super) struct Place {
    pub(super) leg: LegId,
    pub(super) port: LegPort,
    pub(super) listener: Option<mpsc::Sender<HeardFrame>>,
    pub(super) rtp: Attention,
}

impl Io {
    pub(super) fn new(epoll: Epoll, ports: Arc<PortPool>) -> Io {
        Io {
            epoll,
            places: Vec::new(),
            rota: Rota::default(),
            ports,
            tally: Tally::default(),
        }
    }

    pub(super) fn place(&mut self, leg: LegId) -> Option<&mut Place> {
        let place = self.places.get_mut(leg.slot() as usize)?.as_mut()?;
        (place.leg == leg).then_some(place)
    }

    pub(super) fn open(&mut self, leg: LegId, port: LegPort) -> Result<(), Errno> {
        let slot = leg.slot() as usize;
        if self.places.len() <= slot {
            self.places.resize_with(slot + 1, || None);
        }
        let watched = match &port {
            LegPort::Udp { rtp, rtcp, .. } => self
                .epoll
                .add(rtp, watch(slot, Channel::Rtp))
                .and_then(|()| self.epoll.add(rtcp, watch(slot, Channel::Rtcp))),
            LegPort::Ring { end, .. } => {
                let ring = EpollEvent::new(EpollFlags::EPOLLIN, mark(slot, Channel::Rtp));
                self.epoll.add(end.as_fd(), ring)
            }
        };
        self.places[slot] = Some(Place {
            leg,
            port,
            listener: None,
            rtp: Attention::NEW,
        });
        watched
    }

    /// Attends to a leg's RTP by what was just read of it. A ring is always watched.
    pub(super) fn attend(&mut self, index: usize, slot: u64, packets: u64) -> Result<(), Errno> {
        let Some(Some(Place {
            leg,
            port: LegPort::Udp { rtp: socket, .. },
            rtp,
            ..
        })) = self.places.get_mut(index)
        else {
            return Ok(());
        };
        let next = rtp.read(slot, packets, SLOTS_A_WAKE as u64);
        let before = std::mem::replace(rtp, next);
        if let Attention::Expected { at, .. } = next {
            self.rota.add(*leg, at);
        }
        match (before, next) {
            (Attention::Watched { .. }, Attention::Expected { .. }) => self.epoll.delete(socket),
            (Attention::Expected { .. }, Attention::Watched { .. }) => {
                self.epoll.add(&*socket, watch(index, Channel::Rtp))
            }
            _ => Ok(()),
        }
    }

    /// Ties a leg's RTP socket to its far side; unties it where the address is to be learnt.
    pub(super) fn tie(&mut self, leg: LegId, remote: SocketAddr, natted: bool) -> io::Result<()> {
        let Io { epoll, places, .. } = self;
        let Some(Some(Place {
            leg: open,
            port:
                LegPort::Udp {
                    rtp,
                    port,
                    bind,
                    tied,
                    ..
                },
            rtp: attention,
            ..
        })) = places.get_mut(leg.slot() as usize)
        else {
            return Ok(());
        };
        if *open != leg {
            return Ok(());
        }
        if natted {
            return Io::untie(epoll, leg, rtp, *port, *bind, tied, attention);
        }
        // On hold the old way (RFC 2543) it has no address, and the tie stays as it was.
        let somewhere = remote.port() != 0 && !remote.ip().is_unspecified();
        // Tied, a socket of all addresses would hear only the one its route begins at, which
        // needn't be the one that was advertised.
        if !somewhere || bind.is_unspecified() || *tied == Some(remote) {
            return Ok(());
        }
        if rtp.connect(remote).is_ok() {
            *tied = Some(remote);
            return Ok(());
        }
        // Not reachable now, it may be later: untied, it is tried for every packet.
        Io::untie(epoll, leg, rtp, *port, *bind, tied, attention)
    }

    /// No safe call dissolves a tie, so another socket takes the port.
    fn untie(
        epoll: &Epoll,
        leg: LegId,
        rtp: &mut UdpSocket,
        port: u16,
        bind: IpAddr,
        tied: &mut Option<SocketAddr>,
        attention: &mut Attention,
    ) -> io::Result<()> {
        if tied.take().is_some() {
            *attention = Attention::NEW;
            drop(std::mem::replace(rtp, udp(bind, 0)?));
            *rtp = udp(bind, port)?;
            epoll.add(&*rtp, watch(leg.slot() as usize, Channel::Rtp))?;
        }
        Ok(())
    }

    pub(super) fn close(&mut self, leg: LegId) {
        if self.place(leg).is_none() {
            return;
        }
        let Some(place) = self.places[leg.slot() as usize].take() else {
            return;
        };
        match place.port {
            // Closing a socket ends its watch: nobody else holds it.
            LegPort::Udp { port, .. } => self.ports.release(port),
            // The ring's other end holds the eventfd too.
            LegPort::Ring { end, .. } => {
                let _ = self.epoll.delete(end.as_fd());
            }
        }
    }

    pub(super) fn receive(
        &mut self,
        leg: LegId,
        buffer: &mut [u8; RING_PACKET_BYTES],
    ) -> Option<(Channel, usize, SocketAddr)> {
        let LegPort::Ring { end, rtp, rtcp } = &self.place(leg)?.port else {
            return None;
        };
        let (channel, length) = end.receive(buffer)?;
        let source = match channel {
            Channel::Rtp => *rtp,
            Channel::Rtcp => *rtcp,
        };
        Some((channel, length, source))
    }
}

impl Sink for Io {
    fn send(&mut self, leg: LegId, channel: Channel, to: SocketAddr, packet: &[u8]) {
        let Some(place) = self.place(leg) else { return };
        let sent = match &place.port {
            LegPort::Udp { rtp, tied, .. } if channel == Channel::Rtp && *tied == Some(to) => {
                socket::send(rtp.as_raw_fd(), packet, MsgFlags::MSG_DONTWAIT)
            }
            LegPort::Udp { rtp, rtcp, .. } => {
                let socket = match channel {
                    Channel::Rtp => rtp,
                    Channel::Rtcp => rtcp,
                };
                datagram(socket.as_raw_fd(), to, packet)
            }
            LegPort::Ring { end, .. } => {
                end.send(channel, packet);
                Ok(packet.len())
            }
        };
        match sent {
            Ok(_) => self.tally.packets_out += 1,
            // A full buffer, no route, or the far side's port closed: the next packet may fare better.
            Err(_) => self.tally.packets_unsent += 1,
        }
    }

    fn heard(&mut self, leg: LegId, heard: Heard<'_>) {
        let Some(place) = self.place(leg) else { return };
        let Some(listener) = &place.listener else {
            return;
        };
        let frame = HeardFrame {
            leg,
            sequence: heard.sequence,
            timestamp: heard.timestamp,
            codec: heard.codec,
            payload: heard.payload.to_vec(),
        };
        if listener.try_send(frame).is_err() {
            self.tally.frames_dropped += 1;
        }
    }
}

fn datagram(socket: RawFd, to: SocketAddr, packet: &[u8]) -> Result<usize, Errno> {
    let flags = MsgFlags::MSG_DONTWAIT;
    match to {
        SocketAddr::V4(to) => sendto(socket, packet, &SockaddrIn::from(to), flags),
        SocketAddr::V6(to) => sendto(socket, packet, &SockaddrIn6::from(to), flags),
    }
}

/// How a leg's socket is watched: told once for each arrival. A level would have the kernel ask every socket that had
/// a packet once more in the next millisecond. In return whoever reads must empty the socket, or remember it.
fn watch(slot: usize, channel: Channel) -> EpollEvent {
    EpollEvent::new(
        EpollFlags::EPOLLIN | EpollFlags::EPOLLET,
        mark(slot, channel),
    )
}

/// A socket's mark in the epoll set.
pub(super) fn mark(slot: usize, channel: Channel) -> u64 {
    (slot as u64) << 1 | u64::from(channel == Channel::Rtcp)
}

pub(super) fn unmark(mark: u64) -> (usize, Channel) {
    let channel = if mark & 1 == 0 {
        Channel::Rtp
    } else {
        Channel::Rtcp
    };
    ((mark >> 1) as usize, channel)
}
