//! Certificates: ours, whom we trust, and changing ours while running.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Names taken of one certificate.
const IDENTITIES_MAX: usize = 32;

/// Why certificates can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("{}: {why}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// All of them together.
    #[error("TLS: {0}")]
    Config(String),
}

/// What TLS connections are made and accepted with. TLS 1.2 and 1.3; nothing older exists in the library.
#[derive(Debug)]
pub struct Certificates {
    files: Files,
    now: Mutex<Arc<Configs>>,
}

#[derive(Debug)]
struct Files {
    chain: PathBuf,
    key: PathBuf,
    authorities: Option<PathBuf>,
}

/// What stands in the files, for connections that begin now.
#[derive(Debug)]
struct Configs {
    acceptor: Arc<ServerConfig>,
    connector: Arc<ClientConfig>,
}

impl Certificates {
    /// Reads our chain and key (PEM), and the authorities whose certificates peers must show when
    /// they show one. Without `authorities` nobody is asked for a certificate, and no connection can
    /// be made.
    ///
    /// # Errors
    /// Which file, and what is wrong.
    pub fn load(chain: &Path, key: &Path, authorities: Option<&Path>) -> Result<Self, TlsError> {
        let files = Files {
            chain: chain.to_owned(),
            key: key.to_owned(),
            authorities: authorities.map(Path::to_owned),
        };
        let now = Mutex::new(Arc::new(files.read()?));
        Ok(Self { files, now })
    }

    /// Reads all of them again. Connections there are keep what they began with.
    ///
    /// # Errors
    /// What is wrong with them; the old ones stay in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(self.files.read()?);
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    fn now(&self) -> Arc<Configs> {
        Arc::clone(&self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        TlsAcceptor::from(Arc::clone(&self.now().acceptor))
            .accept(stream)
            .await
    }

    /// The far end must show a certificate for this name, or for this address if there is none, of an
    /// authority we trust.
    pub(super) async fn connect(
        &self,
        to: IpAddr,
        name: Option<&str>,
        stream: TcpStream,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = match name {
            Some(name) => ServerName::try_from(name.to_owned()).map_err(io::Error::other)?,
            None => ServerName::IpAddress(to.into()),
        };
        TlsConnector::from(Arc::clone(&self.now().connector))
            .connect(name, stream)
            .await
    }
}

impl Files {
    fn read(&self) -> Result<Configs, TlsError> {
        let config = |error: &dyn std::fmt::Display| TlsError::Config(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let ours = Arc::new(SingleCertAndKey::from(read_ours(
            &self.chain,
            &self.key,
            &provider,
        )?));
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.authorities {
            for certificate in read_chain(file)? {
                roots
                    .add(certificate)
                    .map_err(|error| fault(file, &error))?;
            }
        }
        let roots = Arc::new(roots);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| config(&error))?;
        let builder = if roots.is_empty() {
            builder.with_no_client_auth()
        } else {
            let verifier = WebPkiClientVerifier::builder_with_provider(
                Arc::clone(&roots),
                Arc::clone(&provider),
            )
            // Phones have a password; trunks are asked for a certificate where they are configured.
            .allow_unauthenticated()
            .build()
            .map_err(|error| config(&error))?;
            builder.with_client_cert_verifier(verifier)
        };
        let acceptor = builder.with_cert_resolver(Arc::clone(&ours) as _);
        let connector = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| config(&error))?
            .with_root_certificates(roots)
            .with_client_cert_resolver(ours);
        Ok(Configs {
            acceptor: Arc::new(acceptor),
            connector: Arc::new(connector),
        })
    }
}

/// The SIP hosts that the far end's certificate speaks for (RFC 5922 section
/// 7.1): those of its SIP URIs, else its DNS names; none without a certificate.
/// It was verified in the handshake.
pub(super) fn identities(stream: &tokio_rustls::server::TlsStream<TcpStream>) -> Vec<String> {
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().and_then(<[_]>::first);
    let Some(Ok(certificate)) = shown.map(webpki::EndEntityCert::try_from) else {
        return Vec::new();
    };
    let hosts = certificate.valid_uri_names().filter_map(|text| {
        let uri = sip::Uri::parse(text).ok()?;
        // A URI with a user is somebody's, not a host's.
        (uri.user().is_none() && uri.host().is_some()).then(|| uri.host_str().to_owned())
    });
    let hosts: Vec<String> = hosts.take(IDENTITIES_MAX).collect();
    if !hosts.is_empty() {
        return hosts;
    }
    let names = certificate.valid_dns_names().map(str::to_owned);
    names.take(IDENTITIES_MAX).collect()
}

fn fault(file: &Path, why: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        file: file.to_owned(),
        why: why.to_string(),
    }
}

/// The certificates of a PEM file, one at least.
pub(crate) fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(file)
        .map_err(|error| fault(file, &error))?
        .collect::<Result<_, _>>()
        .map_err(|error| fault(file, &error))?;
    if chain.is_empty() {
        return Err(fault(
            file,
            &"holds no certificate (PEM: BEGIN CERTIFICATE)",
        ));
    }
    Ok(chain)
}

fn read_ours(
    chain_file: &Path,
    key_file: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = read_chain(chain_file)?;
    // What stands in the key's file is never part of a message.
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|_| {
        fault(
            key_file,
            &"holds no private key that can be read (PEM: BEGIN PRIVATE KEY)",
        )
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        fault(
            chain_file,
            &format!("doesn't go with {}: {error}", key_file.display()),
        )
    })
}
