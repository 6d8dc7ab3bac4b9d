//! The certificate of a server and its private key, in files: whether they can be used, how long they are good and for
//! which names. Knows nothing of those who serve them or judge them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode;

/// Where a certificate is, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// PEM: the certificate of the server, then those between it and the authority.
    pub certificate: PathBuf,
    /// PEM: the private key of the certificate.
    pub key: PathBuf,
}

/// What a change of the files shows in: times and lengths.
pub type State = [Option<(SystemTime, u64)>; 2];

/// A certificate whose key is at hand.
#[derive(Debug)]
pub struct Certificate {
    /// The chain and the key, to be served.
    pub certified: Arc<CertifiedKey>,
    /// From when on the whole chain is good.
    pub from: DateTime<Utc>,
    /// Until when it is.
    pub until: DateTime<Utc>,
}

impl Files {
    /// How the files are at this moment.
    pub fn state(&self) -> State {
        [&self.certificate, &self.key].map(|file| {
            let metadata = fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }

    /// Reads both.
    ///
    /// # Errors
    /// A sentence without a full stop: which file cannot be used, and why.
    pub fn read(&self) -> Result<Certificate, String> {
        let chain = chain(&self.certificate)?;
        let (mut from, mut until) = validity(&chain[0]).ok_or_else(|| not_readable(&self.certificate))?;
        // What stands above it may be older than the rules that we read it by, and is for clients to judge.
        for validity in chain[1..].iter().filter_map(validity) {
            (from, until) = (from.max(validity.0), until.min(validity.1));
        }
        let certified = CertifiedKey::from_der(chain, private_key(&self.key)?, &default_provider());
        let certified = Arc::new(certified.map_err(|cause| self.unfit(&cause))?);
        Ok(Certificate { certified, from, until })
    }

    fn unfit(&self, cause: &rustls::Error) -> String {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        match cause {
            rustls::Error::InconsistentKeys(_) => format!("{key} is not the key of {certificate}"),
            rustls::Error::InvalidCertificate(_) => not_readable(&self.certificate),
            _ => format!(
                "{key} is no key that scimd can use: it must be ECDSA on P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits"
            ),
        }
    }
}

impl Certificate {
    /// Whether clients take it at that time.
    pub fn is_good_at(&self, now: DateTime<Utc>) -> bool {
        (self.from..self.until).contains(&now)
    }

    /// Whether it is one for this host.
    pub fn names(&self, host: &str) -> bool {
        let leaf = self.certified.cert.first().map(ParsedCertificate::try_from);
        let (Some(Ok(leaf)), Ok(name)) = (leaf, ServerName::try_from(host.to_owned())) else { return false };
        rustls::client::verify_server_name(&leaf, &name).is_ok()
    }
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes(file)?).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) | Err(PemError::NoItemsFound) => Err(format!("{} holds no certificate in PEM", file.display())),
        Err(_) => Err(cut_off(file)),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = bytes(file)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|cause| match cause {
        _ if bytes.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) => {
            format!("the key in {} is encrypted; scimd needs one without a passphrase", file.display())
        }
        PemError::NoItemsFound => format!("{} holds no private key in PEM", file.display()),
        _ => cut_off(file),
    })
}

/// In the first lines of keys that want a passphrase, whichever of the two forms they have.
const ENCRYPTED: &[u8] = b"ENCRYPTED";

fn bytes(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|cause| format!("{} cannot be read: {cause}", file.display()))
}

fn cut_off(file: &Path) -> String {
    format!("{} is no whole file in PEM", file.display())
}

fn not_readable(file: &Path) -> String {
    format!("{} holds something else than certificates", file.display())
}

fn validity(certificate: &CertificateDer<'_>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let validity = *certificate.tbs_certificate().validity();
    let at = |time: x509_cert::time::Time| {
        DateTime::from_timestamp(i64::try_from(time.to_unix_duration().as_secs()).ok()?, 0)
    };
    Some((at(validity.not_before)?, at(validity.not_after)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_told_in_words() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).expect("written");
            path
        };
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
        let (pem, key_pem) = (made.cert.pem(), made.signing_key.serialize_pem());
        let (certificate, key) = (write("tls.crt", &pem), write("tls.key", &key_pem));
        let other = rcgen::KeyPair::generate().expect("a key").serialize_pem();
        let said = |certificate: &Path, key: &Path| {
            let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
            files.read().map(drop).expect_err("not usable")
        };

        for (name, text, part) in [
            ("half.key", &key_pem[..key_pem.len() / 2], "is no whole file"),
            (
                "pkcs8.key",
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "encrypted",
            ),
            (
                "old.key",
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMA==\n-----END RSA PRIVATE KEY-----\n",
                "encrypted",
            ),
            ("weak.key", "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n", "P-384"),
            ("none.key", pem.as_str(), "holds no private key"),
            ("other.key", other.as_str(), "is not the key of"),
        ] {
            let sentence = said(&certificate, &write(name, text));
            assert!(sentence.contains(part) && sentence.contains(name), "{sentence}");
        }
        for (name, text, part) in [
            ("half.crt", &pem[..pem.len() / 2], "is no whole file"),
            ("none.crt", key_pem.as_str(), "holds no certificate"),
            ("wrong.crt", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n", "something else"),
        ] {
            let sentence = said(&write(name, text), &key);
            assert!(sentence.contains(part) && sentence.contains(name), "{sentence}");
        }
        assert!(said(&directory.path().join("missing"), &key).contains("missing cannot be read"));
    }
}
