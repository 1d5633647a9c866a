//! What the load's messages travel by: a UDP socket, or a few TLS connections
//! as a trunk has them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Connections that calls are spread over.
const CONNECTIONS: usize = 4;
/// For connecting and shaking hands.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) type Session = StreamOwned<ClientConnection, TcpStream>;

pub(crate) enum Link {
    Udp { socket: UdpSocket, to: SocketAddr },
    Tls(Vec<Connection>),
}

/// A connection, with what came of it that isn't a whole message yet.
pub(crate) struct Connection {
    session: Session,
    received: Vec<u8>,
}

impl Link {
    pub(crate) fn udp(to: SocketAddr) -> io::Result<Self> {
        let socket = crate::audio::bound(0)?;
        Ok(Link::Udp { socket, to })
    }

    pub(crate) fn tls(to: SocketAddr, authority: &Path) -> io::Result<Self> {
        let config = trusting(authority)?;
        let connection = || {
            let session = connect(to, &config)?;
            session.sock.set_nonblocking(true)?;
            let received = Vec::new();
            Ok(Connection { session, received })
        };
        let connections: io::Result<Vec<_>> = (0..CONNECTIONS).map(|_| connection()).collect();
        Ok(Link::Tls(connections?))
    }

    /// As Via names it.
    pub(crate) fn transport(&self) -> &'static str {
        match self {
            Link::Udp { .. } => "UDP",
            Link::Tls(_) => "TLS",
        }
    }

    /// Whether nothing that was sent is ever sent again.
    pub(crate) fn is_reliable(&self) -> bool {
        matches!(self, Link::Tls(_))
    }

    pub(crate) fn local(&self) -> io::Result<SocketAddr> {
        match self {
            Link::Udp { socket, .. } => socket.local_addr(),
            Link::Tls(connections) => match connections.first() {
                Some(first) => first.session.sock.local_addr(),
                None => Err(io::Error::other("no connection")),
            },
        }
    }

    /// Sends a message of a call. What a full buffer loses is missed, and counted by whoever waits for the answer.
    pub(crate) fn send(&mut self, call: usize, message: &[u8]) {
        match self {
            Link::Udp { socket, to } => {
                let _ = socket.send_to(message, *to);
            }
            Link::Tls(connections) => {
                let which = call % connections.len();
                // What the kernel doesn't take now stays in the session, which writes it with the next.
                let session = &mut connections[which].session;
                let _ = session.conn.writer().write_all(message);
                let _ = session.conn.write_tls(&mut session.sock);
            }
        }
    }

    /// The next message that came, in `buffer`.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match self {
            Link::Udp { socket, .. } => socket.recv(buffer).ok(),
            Link::Tls(connections) => connections.iter_mut().find_map(|c| c.receive(buffer)),
        }
    }
}

impl Connection {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if let Some(length) = self.whole(buffer) {
            return Some(length);
        }
        let mut more = [0; 16_384];
        while let Ok(length @ 1..) = self.session.read(&mut more) {
            self.received.extend_from_slice(&more[..length]);
        }
        self.whole(buffer)
    }

    /// Takes the first message, if all of it has come.
    fn whole(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let end = self.received.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&self.received[..end]).ok()?;
        let length = head.split("Content-Length: ").nth(1)?.split('\r').next()?;
        let whole = end + length.parse::<usize>().ok()?;
        buffer
            .get_mut(..whole)?
            .copy_from_slice(self.received.get(..whole)?);
        self.received.drain(..whole);
        Some(whole)
    }
}

/// A client that takes certificates of this authority.
pub(crate) fn trusting(authority: &Path) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(authority).map_err(io::Error::other)?;
    roots.add(root).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    // Each handshake is a whole one.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Connects and shakes hands.
pub(crate) fn connect(to: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Session> {
    let socket = TcpStream::connect_timeout(&to, PATIENCE)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::from(to.ip());
    let conn = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    let mut session = StreamOwned::new(conn, socket);
    while session.conn.is_handshaking() {
        let (read, written) = session.conn.complete_io(&mut session.sock)?;
        if read + written == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(session)
}
