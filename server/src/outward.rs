//! One question by HTTP to a system of somebody else's, and its answer.
//!
//! Straight on hyper, which health and metrics use already, with a connection
//! for each question: a client library would bring connection pools, redirects,
//! cookies and retries (and some forty crates), each of which would have to be
//! kept from doing what must not happen here. Nothing is sent twice from here:
//! a connection that is refused is tried once more, since nobody has seen it.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::authorities;

/// Longest head of an answer, in bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;
/// How long one of several addresses may take to take a connection.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// After how long a refused connection is tried again, once: a system that is being started anew.
pub(crate) const REFUSED_WAIT: Duration = Duration::from_millis(300);

/// Whom this machine believes: found once, for as many as need it.
#[derive(Default)]
pub(crate) struct Authorities(Option<Arc<ClientConfig>>);

impl Authorities {
    fn of_this_machine(&mut self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = &self.0 {
            return Ok(Arc::clone(config));
        }
        let config = authorities::of_this_machine()?;
        Ok(Arc::clone(self.0.insert(config)))
    }
}

/// Where a question goes. Not shown: tokens stand in some addresses.
#[derive(Clone)]
pub(crate) struct Address {
    host: String,
    port: u16,
    /// What is asked for there: path and query.
    path: String,
    /// The header `Host`.
    authority: HeaderValue,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Address {
    /// That of an `http:` or `https:` address. Its certificate must be of an
    /// authority in this file (PEM), or of those that this machine believes.
    ///
    /// # Errors
    /// What is wrong with it; not what stands there.
    pub(crate) fn of(
        uri: &Uri,
        authority: Option<&Path>,
        authorities: &mut Authorities,
    ) -> Result<Self, String> {
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let encrypted = uri.scheme_str() == Some("https");
        let tls = match (encrypted, authority) {
            (false, _) => None,
            (true, Some(file)) => Some(authorities::in_file(file)?),
            (true, None) => Some(authorities.of_this_machine()?),
        };
        let tls = tls.map(|config| {
            let name = ServerName::try_from(host.to_owned());
            let name =
                name.map_err(|_| "`url` names no host that a certificate could".to_owned())?;
            Ok::<_, String>((config, name))
        });
        let unusable = |_| "`url` can't be used".to_owned();
        let at = uri.authority().map_or("", |authority| authority.as_str());
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 }),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            authority: HeaderValue::try_from(at).map_err(unusable)?,
            tls: tls.transpose()?,
        })
    }

    /// What is asked for: path and query.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// Why there is no answer. For the log: nothing of what was sent or said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("no connection ({0})")]
    Unreachable(io::ErrorKind),
    #[error("no TLS: {0}")]
    Tls(io::Error),
    #[error("the connection broke")]
    Broken,
    #[error("{0}xx")]
    Status(u16),
    #[error("the answer is too long")]
    TooLong,
    #[error("the answer isn't a JSON object")]
    Unreadable,
    #[error("no answer in time")]
    TimedOut,
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Of a success, if anything was to be read.
    pub(crate) body: Vec<u8>,
}

/// Sends a request over a connection of its own. Of an answer that says yes the
/// body is read, up to `longest` bytes; with 0 it isn't looked at. The caller
/// says how long this may take.
pub(crate) async fn exchange(
    address: &Address,
    mut request: Request<String>,
    longest: usize,
) -> Result<Reply, Fault> {
    for (name, value) in [
        (HOST, address.authority.clone()),
        (CONNECTION, HeaderValue::from_static("close")),
        (
            USER_AGENT,
            HeaderValue::from_static(concat!("Careline/", env!("CARGO_PKG_VERSION"))),
        ),
    ] {
        request.headers_mut().insert(name, value);
    }
    let stream = connect(address)
        .await
        .map_err(|error| Fault::Unreachable(error.kind()))?;
    match &address.tls {
        None => speak(stream, request, longest).await,
        Some((config, name)) => {
            let connector = TlsConnector::from(Arc::clone(config));
            let stream = connector.connect(name.clone(), stream);
            speak(stream.await.map_err(Fault::Tls)?, request, longest).await
        }
    }
}

/// Connects to one of the host's addresses.
async fn connect(address: &Address) -> io::Result<TcpStream> {
    match connect_once(address).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tokio::time::sleep(REFUSED_WAIT).await;
            connect_once(address).await
        }
        connected => connected,
    }
}

async fn connect_once(address: &Address) -> io::Result<TcpStream> {
    let addresses: Vec<_> = match address.host.parse::<IpAddr>() {
        Ok(ip) => vec![(ip, address.port).into()],
        Err(_) => tokio::net::lookup_host((address.host.as_str(), address.port))
            .await?
            .take(ADDRESSES_MAX)
            .collect(),
    };
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match tokio::time::timeout(CONNECT_MAX, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => refused = error,
            Err(_) => refused = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(refused)
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<String>,
    longest: usize,
) -> Result<Reply, Fault> {
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Fault::Broken)?;
    let answer = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|_| Fault::Broken)?;
        read(response, longest).await
    };
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => return answer,
        // It may have brought all there is.
        _ = connection => {}
    }
    answer.await
}

async fn read(response: Response<Incoming>, longest: usize) -> Result<Reply, Fault> {
    let (head, mut body) = response.into_parts();
    let mut reply = Reply {
        status: head.status,
        headers: head.headers,
        body: Vec::new(),
    };
    if !reply.status.is_success() || longest == 0 {
        return Ok(reply);
    }
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Fault::Broken)?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        if reply.body.len() + data.len() > longest {
            return Err(Fault::TooLong);
        }
        reply.body.extend_from_slice(data);
    }
    Ok(reply)
}
