//! Requests of ours to other servers: what a base URL is, and whom TLS trusts. Knows nothing of what is asked.

use std::fmt;
use std::sync::Arc;

use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Proxy, http};

/// The URL under which a server has its endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// `https://host:port`
    pub origin: String,
    /// Without a slash at the end.
    pub path: String,
}

impl BaseUrl {
    /// Reads an absolute http or https URL without user name and query.
    ///
    /// # Errors
    /// A sentence about what is wrong with it, with `example` as what to write.
    pub fn parse(url: &str, example: &str) -> Result<BaseUrl, String> {
        let bad = |why: &str| format!("The base URL {why}; write it like {example}.");
        let uri: http::Uri = url.trim().parse().map_err(|_| bad("cannot be read"))?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
        let scheme = scheme.ok_or_else(|| bad("begins neither with http:// nor with https://"))?;
        let authority = uri.authority().ok_or_else(|| bad("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("holds a user name; a key belongs into a file"));
        }
        if uri.query().is_some() {
            return Err(bad("has a query"));
        }
        Ok(BaseUrl { origin: format!("{scheme}://{authority}"), path: uri.path().trim_end_matches('/').to_owned() })
    }

    /// Whether nobody on the way reads along: TLS, or this machine.
    pub fn is_private(&self) -> bool {
        self.origin.starts_with("https://") || self.is_here()
    }

    fn is_here(&self) -> bool {
        let Some((_, authority)) = self.origin.split_once("://") else { return false };
        let has_port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let host = has_port.map_or(authority, |(host, _)| host);
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

/// The proxy that the environment names (`HTTPS_PROXY` and its like). Not to this machine: a proxy on the way from here to
/// here would read what nobody else may.
pub fn proxy(base: &BaseUrl) -> Option<Proxy> {
    if base.is_here() { None } else { Proxy::try_from_env() }
}

/// Trusts what the system trusts. Reading the certificates takes a while, so plain HTTP does without.
pub fn tls(base: &BaseUrl) -> TlsConfig {
    let certificates = match base.origin.starts_with("https://") {
        true => rustls_native_certs::load_native_certs().certs,
        false => Vec::new(),
    };
    let roots: Vec<Certificate<'static>> =
        certificates.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// What whoever has made a certificate for a try-out can do about it.
pub fn with_advice(cause: String) -> String {
    let advice = match () {
        () if cause.contains("UnknownIssuer") => "SSL_CERT_FILE may name a file of certificates to trust",
        () if cause.contains("CaUsedAsEndEntity") => "the certificate is an authority's; make one with CA:FALSE",
        () => return cause,
    };
    format!("{cause}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_an_origin_and_a_path() {
        let base = BaseUrl::parse("https://h.example:8443/scim/v2/", "https://h.example").expect("a URL");
        assert_eq!((base.origin.as_str(), base.path.as_str()), ("https://h.example:8443", "/scim/v2"));
        for bad in ["", "h.example/scim", "ftp://h/scim", "https://u:p@h/scim", "https://h/scim?x=1", "http://"] {
            assert!(BaseUrl::parse(bad, "https://h.example").is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_private_on_this_machine_alone() {
        let is_private = |url: &str| BaseUrl::parse(url, "").expect("a URL").is_private();
        for url in
            ["https://h.example", "http://127.0.0.1:8080", "http://[::1]:80", "http://[::1]", "http://localhost/x"]
        {
            assert!(is_private(url), "{url}");
        }
        for url in ["http://h.example", "http://10.0.0.1:8080", "http://127.0.0.1.example", "http://localhost.example"]
        {
            assert!(!is_private(url), "{url}");
        }
    }
}
