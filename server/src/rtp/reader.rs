//! Reading datagrams, several at a time.

use std::io::IoSliceMut;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

/// Packets read from one socket at a time.
const BATCH: usize = 8;
/// Longest datagram read; longer ones are cut and then refused by whoever parses them.
const DATAGRAM_BYTES: usize = 1_500;

/// Buffers for reading.
pub(super) struct Reader {
    buffers: Box<[[u8; DATAGRAM_BYTES]; BATCH]>,
    /// The kernel shortens the room for addresses to what it last wrote there, so each family has its own.
    headers_v4: MultiHeaders<SockaddrStorage>,
    headers_v6: MultiHeaders<SockaddrStorage>,
}

impl Reader {
    pub(super) fn new() -> Reader {
        Reader {
            buffers: Box::new([[0; DATAGRAM_BYTES]; BATCH]),
            headers_v4: MultiHeaders::preallocate(BATCH, None),
            headers_v6: MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// Hands over what waits in a socket, at most [`BATCH`] datagrams. True when none is left.
    pub(super) fn datagrams(
        &mut self,
        socket: RawFd,
        v6: bool,
        mut each: impl FnMut(SocketAddr, &[u8]),
    ) -> bool {
        let headers = if v6 {
            &mut self.headers_v6
        } else {
            &mut self.headers_v4
        };
        let mut slices = self
            .buffers
            .each_mut()
            .map(|buffer| [IoSliceMut::new(buffer)]);
        let received = match recvmmsg(
            socket,
            headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        ) {
            Ok(received) => received,
            Err(Errno::EAGAIN) => return true,
            // An old ICMP message, which has no consequence; packets may lie behind it.
            Err(_) => return false,
        };
        let mut count = 0;
        for message in received {
            count += 1;
            let source = message.address.as_ref().and_then(address);
            if let (Some(source), Some(bytes)) = (source, message.iovs().next()) {
                each(source, bytes);
            }
        }
        count < BATCH
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::V4(SocketAddrV4::from(*v4)));
    }
    // On a socket of both families an IPv4 host comes as `::ffff:a.b.c.d`; SDP says `a.b.c.d`.
    let v6 = SocketAddrV6::from(*storage.as_sockaddr_in6()?);
    Some(match v6.ip().to_ipv4_mapped() {
        Some(v4) => SocketAddr::V4(SocketAddrV4::new(v4, v6.port())),
        None => SocketAddr::V6(v6),
    })
}
