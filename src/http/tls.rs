//! TLS: the certificate in the files, read again when they change, so that a renewed certificate needs no restart
//! (RFC 7644 §7.2).

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::{Certificate, Files, State};
use crate::provider::Provider;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// TLS 1.2 and 1.3 with the certificate in the files as they are now and as they will be.
///
/// # Errors
/// A file that cannot be read or is not PEM, or a key that is not the certificate's.
pub(super) fn serve_with(files: &Files, now: DateTime<Utc>) -> io::Result<(ServerConfig, Arc<Renewed>)> {
    let renewed = Arc::new(Renewed::begin(files, now).map_err(io::Error::other)?);
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let resolver: Arc<dyn ResolvesServerCert> = Arc::<Renewed>::clone(&renewed);
    Ok((builder.with_no_client_auth().with_cert_resolver(resolver), renewed))
}

/// Looks at the files for as long as the server runs.
pub(super) async fn keep(renewed: Arc<Renewed>, provider: Provider) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        renewed.refresh(provider.now());
    }
}

/// The certificate in use.
#[derive(Debug)]
pub(super) struct Renewed {
    files: Files,
    seen: Mutex<Seen>,
    current: RwLock<Arc<CertifiedKey>>,
}

/// How the files were.
#[derive(Debug)]
struct Seen {
    /// When they could be used last.
    read: State,
    /// At the last look.
    lately: State,
    /// Why they could not be used, as the log knows by now.
    told: Option<String>,
}

impl Renewed {
    fn begin(files: &Files, now: DateTime<Utc>) -> Result<Renewed, String> {
        // Looked at before they are read: a change in between is seen the next time.
        let state = files.state();
        let certificate = files.read()?;
        warn_of_time(&certificate, now);
        let seen = Mutex::new(Seen { read: state, lately: state, told: None });
        Ok(Renewed { files: files.clone(), seen, current: RwLock::new(certificate.certified) })
    }

    /// Files that have changed since the last look may still be written, and are left for the next one: half of a chain
    /// is a certificate, too. Files that cannot be used change nothing: the old certificate stays until they can, which the
    /// files need not show, for who may read them is no part of their state.
    fn refresh(&self, now: DateTime<Utc>) {
        let state = self.files.state();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_settled = std::mem::replace(&mut seen.lately, state) == state;
        if !is_settled || seen.read == state {
            return;
        }
        match self.files.read() {
            Ok(certificate) => {
                (seen.read, seen.told) = (state, None);
                tracing::info!(until = %certificate.until, "the TLS certificate has been renewed");
                warn_of_time(&certificate, now);
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = certificate.certified;
            }
            Err(error) if seen.told.as_ref() == Some(&error) => {}
            Err(error) => {
                tracing::warn!(error, "the renewed TLS certificate cannot be used; the old one stays");
                seen.told = Some(error);
            }
        }
    }
}

impl ResolvesServerCert for Renewed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// It is served all the same: whose clock is right, the clients' or ours, is not known here.
fn warn_of_time(certificate: &Certificate, now: DateTime<Utc>) {
    if !certificate.is_good_at(now) {
        let Certificate { from, until, .. } = certificate;
        tracing::warn!(%from, %until, "the TLS certificate is not good at this time; clients will refuse it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_07_a_chain_is_taken_once_nobody_writes_it_any_more() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files { certificate: directory.path().join("tls.crt"), key: directory.path().join("tls.key") };
        let made = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
        let write = |certificate: &str, key: &rcgen::KeyPair| {
            std::fs::write(&files.key, key.serialize_pem()).expect("written");
            std::fs::write(&files.certificate, certificate).expect("written");
        };
        let (old, new) = (made(), made());
        write(&old.cert.pem(), &old.signing_key);
        let now = DateTime::UNIX_EPOCH;
        let renewed = Renewed::begin(&files, now).expect("usable");
        let served = || renewed.current.read().expect("no panic").cert.clone();
        let (first, chain) = (served(), format!("{}{}", new.cert.pem(), old.cert.pem()));
        let look = || {
            renewed.refresh(now);
            (served() != first).then(|| served().len())
        };

        write(&new.cert.pem(), &new.signing_key);
        assert_eq!(look(), None, "it may go on");
        write(&chain, &new.signing_key);
        assert_eq!((look(), look()), (None, Some(2)));

        write(&old.cert.pem(), &new.signing_key);
        assert_eq!((look(), look()), (Some(2), Some(2)), "the key is another one's");
        std::fs::remove_file(&files.key).expect("removed");
        assert_eq!((look(), look()), (Some(2), Some(2)));
        write(&old.cert.pem(), &old.signing_key);
        assert_eq!((look(), look()), (Some(2), None), "the first one is back");

        // As when a file is given to us after it was written: it can be read by now, and looks as before.
        let chain = chain.as_bytes();
        write(&" ".repeat(chain.len()), &new.signing_key);
        assert_eq!((look(), look()), (None, None));
        let file = std::fs::OpenOptions::new().write(true).open(&files.certificate).expect("there");
        let modified = file.metadata().expect("there").modified().expect("known");
        std::os::unix::fs::FileExt::write_all_at(&file, chain, 0).expect("written");
        file.set_modified(modified).expect("as before");
        assert_eq!(look(), Some(2));
    }
}
