//! TLS: a certificate and its key from files, read again when the files change, so that a renewed certificate needs no
//! restart (RFC 7644 §7.2).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Where the certificate is, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// PEM: the certificate of this server, then those between it and the authority.
    pub certificate: PathBuf,
    /// PEM: the private key of the certificate.
    pub key: PathBuf,
}

/// TLS 1.2 and 1.3 with the certificate in the files as they are now and as they will be.
///
/// # Errors
/// A file that cannot be read or is not PEM, or a key that is not the certificate's.
pub(super) fn serve_with(files: &Files) -> io::Result<(ServerConfig, Arc<Renewed>)> {
    // Looked at before they are read: a change in between is seen the next time.
    let seen = RwLock::new(files.state());
    let current = RwLock::new(Arc::new(files.read()?));
    let renewed = Arc::new(Renewed { files: files.clone(), seen, current });
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let resolver: Arc<dyn ResolvesServerCert> = Arc::<Renewed>::clone(&renewed);
    Ok((builder.with_no_client_auth().with_cert_resolver(resolver), renewed))
}

/// Looks at the files for as long as the server runs.
pub(super) async fn keep(renewed: Arc<Renewed>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        renewed.refresh();
    }
}

/// The certificate in use.
#[derive(Debug)]
pub(super) struct Renewed {
    files: Files,
    seen: RwLock<State>,
    current: RwLock<Arc<CertifiedKey>>,
}

/// What a change of the files shows in: times and lengths.
type State = [Option<(SystemTime, u64)>; 2];

impl Renewed {
    /// Files that are half-written or do not fit each other change nothing: the old certificate stays until they do.
    fn refresh(&self) {
        let state = self.files.state();
        if *self.seen.read().unwrap_or_else(PoisonError::into_inner) == state {
            return;
        }
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = state;
        match self.files.read() {
            Ok(certified) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified);
                tracing::info!("the TLS certificate has been renewed");
            }
            Err(error) => tracing::warn!(%error, "the renewed TLS certificate cannot be used; the old one stays"),
        }
    }
}

impl ResolvesServerCert for Renewed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Files {
    fn read(&self) -> io::Result<CertifiedKey> {
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|cause| unusable(&self.certificate, "a certificate", cause))?;
        if chain.is_empty() {
            return Err(unusable(&self.certificate, "a certificate", "there is none in it"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|cause| unusable(&self.key, "a key", cause))?;
        CertifiedKey::from_der(chain, key, &default_provider())
            .map_err(|cause| unusable(&self.key, "the key of the certificate", cause))
    }

    fn state(&self) -> State {
        [&self.certificate, &self.key].map(|file| {
            let metadata = fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }
}

fn unusable(file: &Path, what: &str, cause: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} cannot be used as {what}: {cause}", file.display()))
}
