//! SIP over TCP and TLS: the listeners, and a task for each connection.
//!
//! [`Streams`] belongs to the pump and owns the table of connections. A
//! connection is known by its far end ([`sip::Peer`]): answers and calls to a
//! phone leave by the connection it came on. Where there is none one is made,
//! within [`CONNECT_MAX`]; that it couldn't be made, or was closed, is told
//! like anything else that arrives.
//!
//! What goes to a gateway goes by a connection that was made, over TLS to
//! whoever shows its certificate. One that comes *from* a gateway's own address
//! and port (its calls come from others) would be taken for that: it is refused.
//!
//! What a connection may cost is bounded: see the constants here and in
//! [`connection`].

mod connection;
mod strangers;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sip::{Peer, Transport};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use connection::{Connection, Origin, Pinging, Queue, converse};
use strangers::{Bounds, Strangers};
pub(crate) use tls::read_chain;
pub use tls::{Certificates, TlsError};

/// Connections at a time, where the system allows as many.
pub const CONNECTIONS_MAX: usize = 8_192;
/// Of these, those of strangers, in all and from one place. Where there are fewer connections, a
/// quarter of them.
const STRANGERS_MAX: usize = 512;
const STRANGERS_PER_PLACE_MAX: usize = 48;
/// Connections accepted that the pump hasn't looked at. Beyond it none is accepted.
const ACCEPTED_MAX: usize = 64;
/// Of these, from one address: a hospital's phones may all come from one.
const PER_ADDRESS_MAX: usize = 2_048;
/// What arrived and waits for the pump. Beyond it connections aren't read.
const ARRIVED_MAX: usize = 1_024;
/// Messages that wait to be written to connections, beyond the first of each.
const UNWRITTEN_SHARED: usize = 16_384;
/// How long making a connection may take, its TLS handshake included.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Gateways known at a time.
const GATEWAYS_MAX: usize = 4_096;
/// The pause after an accept that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What comes from connections.
#[derive(Debug)]
pub enum Arrived {
    /// A message.
    Message {
        /// From where.
        peer: Peer,
        /// What.
        message: sip::Message,
    },
    /// Something unreadable that the RFC has an answer for.
    Unreadable(sip::Transmit),
    /// Something unreadable that gets no answer.
    Noise,
    /// A connection was accepted. The permit is its place among those not looked at yet.
    Accepted(TcpStream, Transport, OwnedSemaphorePermit),
    /// The far end of a connection that it made has shown its certificate.
    /// Before any message of it.
    Certified {
        /// Whose.
        peer: Peer,
        /// The hosts that it speaks for (RFC 5922 section 7.1).
        names: Vec<String>,
    },
    /// A connection is over, or couldn't be made.
    Closed {
        /// Whose.
        peer: Peer,
        /// Which, of several that the same far end may have had.
        serial: u64,
    },
}

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused: too many.
    pub refused: u64,
    /// Strangers' connections closed for others' sake.
    pub displaced: u64,
    /// Connections made.
    pub made: u64,
    /// Connections closed because their far end didn't read.
    pub choked: u64,
}

/// The connections.
#[derive(Debug)]
pub struct Streams {
    open: HashMap<Peer, Connection>,
    per_address: HashMap<IpAddr, usize>,
    connections_max: usize,
    strangers: Strangers,
    strangers_max: Bounds,
    serial: u64,
    arrived: mpsc::Receiver<Arrived>,
    sender: mpsc::Sender<Arrived>,
    certificates: Option<Arc<Certificates>>,
    /// Those of trunks, each with the name that its certificate must be for, where that isn't its address.
    gateways: HashMap<Peer, Option<Arc<str>>>,
    counters: Counters,
    /// Places for what waits to be written.
    unwritten: Arc<Semaphore>,
    /// Places for connections not looked at.
    unseen: Arc<Semaphore>,
}

impl Streams {
    /// Without listeners; connections can be made all the same. At most so many at a time, and at
    /// most [`CONNECTIONS_MAX`].
    #[must_use]
    pub fn new(certificates: Option<Arc<Certificates>>, connections_max: usize) -> Self {
        let connections_max = connections_max.min(CONNECTIONS_MAX);
        let all = STRANGERS_MAX.min(connections_max / 4);
        let (sender, arrived) = mpsc::channel(ARRIVED_MAX);
        Self {
            open: HashMap::new(),
            per_address: HashMap::new(),
            connections_max,
            strangers: Strangers::default(),
            strangers_max: Bounds {
                all,
                per_place: STRANGERS_PER_PLACE_MAX.min(all),
            },
            serial: 0,
            arrived,
            sender,
            certificates,
            gateways: HashMap::new(),
            counters: Counters::default(),
            unwritten: Arc::new(Semaphore::new(UNWRITTEN_SHARED)),
            unseen: Arc::new(Semaphore::new(ACCEPTED_MAX)),
        }
    }

    /// There is a trunk's gateway. Over TLS it must show a certificate for this
    /// name (RFC 5922 section 4), for its address when there is none. Bounded by
    /// the gateways there are: what the DNS gave up stays until it is said anew.
    pub fn gateway(&mut self, peer: Peer, name: Option<&str>) {
        if self.gateways.len() >= GATEWAYS_MAX && !self.gateways.contains_key(&peer) {
            tracing::warn!(peer = %peer.addr, "too many gateways");
            return;
        }
        self.gateways.insert(peer, name.map(Arc::from));
        if let Some(connection) = self.open.get(&peer)
            && (peer.transport, connection.origin) == (Transport::Tls, Origin::Accepted)
        {
            self.displace(peer);
        }
    }

    /// Accepts connections from now on. Called inside the pump's runtime.
    ///
    /// # Errors
    /// When the socket can't be used.
    pub fn listen(&self, listener: std::net::TcpListener, by: Transport) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let sender = self.sender.clone();
        let unseen = Arc::clone(&self.unseen);
        tokio::spawn(async move {
            // Never closed.
            while let Ok(place) = Arc::clone(&unseen).acquire_owned().await {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let accepted = Arrived::Accepted(stream, by, place);
                        if sender.send(accepted).await.is_err() {
                            return;
                        }
                    }
                    // Out of descriptors, or the far end has gone already. The listener itself
                    // doesn't fail; a pause keeps the first from turning into a busy loop.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
        });
        Ok(())
    }

    /// What arrives next.
    pub async fn recv(&mut self) -> Option<Arrived> {
        self.arrived.recv().await
    }

    /// What has arrived.
    pub fn try_recv(&mut self) -> Option<Arrived> {
        self.arrived.try_recv().ok()
    }

    /// Takes an accepted connection into the table.
    pub fn accepted(&mut self, stream: TcpStream, by: Transport) {
        let Ok(addr) = stream.peer_addr() else {
            return;
        };
        let peer = Peer {
            addr,
            transport: by,
        };
        if by == Transport::Tls && self.goes_by_certificate(peer) {
            tracing::warn!(peer = %peer.addr, "a connection from a gateway's own port is refused");
            self.counters.refused += 1;
            return;
        }
        let Some((serial, queue)) = self.enter(peer, Origin::Accepted) else {
            // Dropped, which closes it.
            self.counters.refused += 1;
            return;
        };
        self.counters.accepted += 1;
        let sender = self.sender.clone();
        let certificates = self.certificates.clone();
        tokio::spawn(async move {
            prepare(&stream);
            let Queue { hung_up, talk } = queue;
            let conversation = async {
                match (by, certificates) {
                    (Transport::Tls, Some(certificates)) => {
                        let secured = tokio::time::timeout(
                            connection::FIRST_MESSAGE_MAX,
                            certificates.accept(stream),
                        );
                        let Ok(Ok(stream)) = secured.await else {
                            return;
                        };
                        let names = tls::identities(&stream);
                        // Said for everybody: an earlier connection from there may have been another's.
                        let certified = Arrived::Certified { peer, names };
                        if sender.send(certified).await.is_ok() {
                            converse(stream, peer, Pinging::FarEnd, talk, &sender).await;
                        }
                    }
                    (Transport::Tcp, _) => {
                        converse(stream, peer, Pinging::FarEnd, talk, &sender).await;
                    }
                    _ => {}
                }
            };
            tokio::select! {
                () = conversation => {}
                () = hung_up.wait() => {}
            }
            // The pump may have ended.
            let _ = sender.send(Arrived::Closed { peer, serial }).await;
        });
    }

    /// Who is at the far end is known: its connection isn't a stranger's any more.
    pub fn known(&mut self, peer: Peer) {
        if let Some(connection) = self.open.get(&peer) {
            self.strangers.remove(connection.serial);
        }
    }

    /// Sends a message by the peer's connection, or by a new one.
    pub fn send(&mut self, transmit: &sip::Transmit) {
        let peer = transmit.peer;
        if !self.open.contains_key(&peer) {
            let origin = if transmit.bytes.starts_with(b"SIP/") {
                Origin::Answering
            } else {
                Origin::Calling
            };
            self.connect(peer, origin);
        }
        let Some(connection) = self.open.get_mut(&peer) else {
            // No room: told as if it couldn't be made.
            let closed = Arrived::Closed { peer, serial: 0 };
            if self.sender.try_send(closed).is_err() {
                tracing::debug!("a connection that has no room isn't told of");
            }
            return;
        };
        if connection
            .write(Arc::clone(&transmit.bytes), &self.unwritten)
            .is_err()
        {
            self.counters.choked += 1;
        }
    }

    /// A connection's end was told. True when it was the peer's last word: no
    /// newer connection has taken its place.
    pub fn closed(&mut self, peer: Peer, serial: u64) -> bool {
        let Some(connection) = self.open.get(&peer) else {
            return true;
        };
        if connection.serial != serial {
            return false;
        }
        self.open.remove(&peer);
        self.strangers.remove(serial);
        if let Some(count) = self.per_address.get_mut(&peer.addr.ip()) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&peer.addr.ip());
            }
        }
        true
    }

    /// Connections there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Counts since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Has somebody there shown a certificate to us, or would have to?
    fn goes_by_certificate(&self, peer: Peer) -> bool {
        let made = self
            .open
            .get(&peer)
            .is_some_and(|there| there.origin != Origin::Accepted);
        made || self.gateways.contains_key(&peer)
    }

    /// A place in the table; none when there is no room. A stranger's may be at another's cost.
    fn enter(&mut self, peer: Peer, origin: Origin) -> Option<(u64, Queue)> {
        let stranger = origin != Origin::Calling;
        let of_address = self.per_address.get(&peer.addr.ip()).copied().unwrap_or(0);
        if self.open.len() >= self.connections_max || of_address >= PER_ADDRESS_MAX {
            return None;
        }
        if stranger && let Some(other) = self.strangers.makes_room(peer, self.strangers_max) {
            self.displace(other);
        }
        self.serial += 1;
        let (connection, queue) = Connection::new(self.serial, origin);
        match self.open.insert(peer, connection) {
            Some(before) => self.strangers.remove(before.serial),
            None => *self.per_address.entry(peer.addr.ip()).or_default() += 1,
        }
        if stranger {
            self.strangers.insert(self.serial, peer);
        }
        Some((self.serial, queue))
    }

    /// Closes a stranger's connection now, whatever is still to be written. Its place in the table
    /// is free when its end is told.
    fn displace(&mut self, peer: Peer) {
        self.counters.displaced += 1;
        if let Some(connection) = self.open.get_mut(&peer) {
            self.strangers.remove(connection.serial);
            connection.hang_up();
        }
    }

    fn connect(&mut self, peer: Peer, origin: Origin) {
        let Some((serial, queue)) = self.enter(peer, origin) else {
            self.counters.refused += 1;
            return;
        };
        self.counters.made += 1;
        let name = self.gateways.get(&peer).cloned().flatten();
        let sender = self.sender.clone();
        let certificates = self.certificates.clone();
        let pinging = match origin {
            Origin::Calling => Pinging::Us,
            Origin::Answering | Origin::Accepted => Pinging::FarEnd,
        };
        tokio::spawn(async move {
            let Queue { hung_up, talk } = queue;
            let conversation = async {
                let open = open(peer, name.as_deref(), certificates.as_deref());
                match tokio::time::timeout(CONNECT_MAX, open).await {
                    Ok(Ok(stream)) => converse(stream, peer, pinging, talk, &sender).await,
                    Ok(Err(error)) => tracing::info!(peer = %peer.addr, %error, "no connection"),
                    Err(_) => tracing::info!(peer = %peer.addr, "no connection in time"),
                }
            };
            tokio::select! {
                () = conversation => {}
                () = hung_up.wait() => {}
            }
            let _ = sender.send(Arrived::Closed { peer, serial }).await;
        });
    }
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn open(
    peer: Peer,
    name: Option<&str>,
    certificates: Option<&Certificates>,
) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect(peer.addr).await?;
    // A port that nobody listens on and that we happen to be given ourselves: TCP connects it with itself.
    if stream.local_addr()? == peer.addr {
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
    }
    prepare(&stream);
    match (peer.transport, certificates) {
        (Transport::Tcp, _) => Ok(Box::new(stream)),
        (Transport::Tls, Some(certificates)) => Ok(Box::new(
            certificates.connect(peer.addr.ip(), name, stream).await?,
        )),
        (Transport::Tls, None) => Err(io::Error::other("sip.tls isn't configured")),
        (Transport::Udp, _) => Err(io::Error::other("UDP has no connections")),
    }
}

/// Messages are small and each is waited for.
fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
}

/// Binds a listener.
///
/// # Errors
/// When the address is taken or not ours.
pub fn bind(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    std::net::TcpListener::bind(addr)
}
