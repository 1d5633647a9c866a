//! Whom we believe when we call: authorities whose certificates the far end's
//! must be of.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::streams::read_chain;

/// Those of a file (PEM).
///
/// # Errors
/// What is wrong with it.
pub(crate) fn in_file(file: &Path) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(file).map_err(|error| error.to_string())? {
        roots
            .add(certificate)
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    verified_by(roots)
}

/// Whom this machine trusts.
///
/// # Errors
/// It trusts nobody.
pub(crate) fn of_this_machine() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(
            "this machine has no certificates of authorities (Debian: package ca-certificates); \
             name some with `authority`"
                .to_owned(),
        );
    }
    verified_by(roots)
}

fn verified_by(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
