//! Everything an operator may set: flags, then environment, then `scimd.toml`, then defaults.
//!
//! A setting has one name. `--database-url` is `SCIMD_DATABASE_URL` in the environment and `database-url` in the file
//! (`database_url` is understood as well). An unknown name is an error in all three, with the name that was probably meant.
//! An empty value is no value. Only `main` reads this; each room receives what it needs of it. Nothing else in the tree
//! looks at the environment, except the libraries that draw colours and those that send traces (`OTEL_*`).
//!
//! The data directory is `$XDG_DATA_HOME/scimd`, else `$HOME/.local/share/scimd`, else `/var/lib/scimd`: it does not
//! depend on the working directory, so that `scimd key create` finds the database of `scimd serve` from anywhere.

mod schemas;
mod sources;
mod traces;
mod values;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

pub use schemas::Text;
pub use sources::Settings;
pub use values::{DatabaseUrl, parse_duration};

use crate::telemetry::Format;
use sources::{Environment, Sources};

/// The configuration in force, checked. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where SCIM is served.
    pub listen: SocketAddr,
    /// The files of the certificate and its key, where TLS is ours.
    pub tls: Option<TlsFiles>,
    /// Whose plain HTTP is taken beyond this machine: the proxies that end TLS.
    pub trusted_proxies: Vec<IpNet>,
    /// Where `/metrics`, `/healthz` and `/readyz` are served instead of beside SCIM.
    pub metrics_listen: Option<SocketAddr>,
    /// What clients call this server, without `/scim/v2` and without a slash at the end. See [`Config::base_url`].
    pub public_url: Option<String>,
    /// Where files of ours live. Not created here.
    pub data_dir: PathBuf,
    /// Where resources and keys live.
    pub database_url: DatabaseUrl,
    /// The most connections to PostgreSQL that this process opens.
    pub postgres_connections: u32,
    /// Whether the discovery endpoints answer without a key.
    pub open_discovery: bool,
    /// Files with schemas and resource types of the operator's own, or directories of such.
    pub schemas: Vec<PathBuf>,
    /// Whether users have passwords.
    pub passwords: bool,
    /// Threads that serve HTTP.
    pub workers: usize,
    /// How long to serve on after SIGTERM though nothing may be in flight, until balancers have noticed.
    pub shutdown_delay: Duration,
    /// How long requests may take to finish after that.
    pub shutdown_timeout: Duration,
    /// Where traces are sent, `http://127.0.0.1:4318/v1/traces`.
    pub otlp_endpoint: Option<String>,
    /// The form of the log.
    pub log_format: Format,
    /// What is logged, in the language of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// The server that commands ask instead of the database at hand.
    pub remote: Option<Remote>,
    /// Files of settings with secrets in them.
    pub secret_files: Vec<PathBuf>,
}

/// A scimd elsewhere, and the key to its admin API.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its public URL, without a slash at the end.
    pub url: String,
    /// A key with the scope `admin`.
    pub key: String,
}

/// Shows no secret.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The token of `scimd conformance`, which asks other servers and has no other setting in common with this one.
pub fn conformance_token() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
    std::env::var(sources::CONFORMANCE_TOKEN).ok()
}

impl Config {
    /// Reads the environment and the file of this process under the given flags.
    ///
    /// # Errors
    /// A sentence that names the setting, where it stands, and what to write instead.
    pub fn load(flags: &Settings) -> Result<Config, Error> {
        Config::resolve(flags, std::env::vars_os(), Path::new(""))
    }

    /// The same with the environment and the working directory given.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn resolve(
        flags: &Settings,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        working_dir: &Path,
    ) -> Result<Config, Error> {
        let environment = Environment::read(variables)?;
        let sources = Sources::gather(flags, &environment, working_dir)?;
        let data_dir = match sources.get("data-dir") {
            Some(setting) => PathBuf::from(&setting.text),
            None => environment.default_data_dir(),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Config {
            listen: sources.parse("listen", values::address)?.unwrap_or(DEFAULT_LISTEN),
            metrics_listen: sources.parse("metrics-listen", values::address)?,
            tls: tls(&sources)?,
            trusted_proxies: sources.parse("trusted-proxies", values::networks)?.unwrap_or_default(),
            public_url: sources.parse("public-url", values::public_url)?,
            database_url: database_url(&sources, &data_dir)?,
            postgres_connections: sources.parse("postgres-connections", values::count)?.unwrap_or(32),
            open_discovery: sources.parse("open-discovery", values::boolean)?.unwrap_or(false),
            schemas: sources.parse("schemas", |text| Ok(values::paths(text)))?.unwrap_or_default(),
            passwords: sources.parse("passwords", values::boolean)?.unwrap_or(false),
            workers: sources.parse("workers", values::count)?.map_or(cores, |count| count as usize),
            shutdown_delay: sources.parse("shutdown-delay", values::duration)?.unwrap_or(Duration::ZERO),
            otlp_endpoint: traces::endpoint(&sources, &environment)?,
            shutdown_timeout: sources.parse("shutdown-timeout", values::duration)?.unwrap_or(Duration::from_secs(30)),
            log_format: sources.parse("log-format", str::parse)?.unwrap_or_default(),
            // To the HTTP library, a stranger who speaks no HTTP is an error. To an operator it is none.
            log: sources
                .get("log")
                .map_or_else(|| "info,actix_server=warn,actix_http=off".to_owned(), |setting| setting.text.clone()),
            data_dir,
            remote: remote(&sources)?,
            secret_files: sources.secret_files(),
        })
    }

    /// Reads the files that `schemas` names, in order; those of a directory by name.
    ///
    /// # Errors
    /// A sentence that names the file which can't be read.
    pub fn schema_files(&self) -> Result<Vec<Text>, Error> {
        schemas::read(&self.schemas)
    }

    /// What clients call this server, without a slash at the end: `public_url`, else the address in use.
    ///
    /// `bound` is the address of the open listener, for `listen` may say port 0. An address that stands for all
    /// interfaces is nothing that a client could connect to, so loopback takes its place.
    pub fn base_url(&self, bound: SocketAddr) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let host = match bound.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", SocketAddr::new(host, bound.port()))
    }
}

/// Where a certificate and its key are, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then those between it and the authority.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why there is no configuration: a sentence or two for the operator, without the value of any secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

fn tls(sources: &Sources) -> Result<Option<TlsFiles>, Error> {
    match (sources.get("tls-certificate"), sources.get("tls-key")) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            Ok(Some(TlsFiles { certificate: PathBuf::from(&certificate.text), key: PathBuf::from(&key.text) }))
        }
        (Some(_), None) => Err(Error("`tls-certificate` needs `tls-key`, the file of its private key.".to_owned())),
        (None, Some(_)) => Err(Error("`tls-key` needs `tls-certificate`, the file of its certificate.".to_owned())),
    }
}

fn remote(sources: &Sources) -> Result<Option<Remote>, Error> {
    let Some(url) = sources.parse("url", values::public_url)? else { return Ok(None) };
    // Whoever can put a file there could have the key of whoever comes by sent to himself.
    let is_from_elsewhere = |name| sources.get(name).is_some() && sources.in_unnamed_file(name).is_none();
    if let Some(found) = sources.in_unnamed_file("url")
        && (sources.get("admin-key-file").is_some() || is_from_elsewhere("admin-key"))
    {
        return Err(Error(format!(
            "{found} takes no key but an `admin-key` beside it, for nobody has named that file: give `--url`, or name the \
             file with `--config`."
        )));
    }
    let key = sources.secret("admin-key", "admin-key-file", |text| Ok(text.trim().to_owned()))?;
    let missing = || {
        Error(
            "`url` needs a key of that server with the scope `admin`: `--admin-key-file FILE`, or `SCIMD_ADMIN_KEY`."
                .to_owned(),
        )
    };
    Ok(Some(Remote { url, key: key.ok_or_else(missing)? }))
}

fn database_url(sources: &Sources, data_dir: &Path) -> Result<DatabaseUrl, Error> {
    if let Some(url) = sources.secret("database-url", "database-url-file", DatabaseUrl::parse)? {
        return Ok(url);
    }
    let file = data_dir.join("scimd.db");
    let file = file.to_str().ok_or_else(|| {
        Error(format!("The data directory {} is not UTF-8: name another with `--data-dir`.", data_dir.display()))
    })?;
    DatabaseUrl::parse(&format!("sqlite:{file}")).map_err(Error)
}
