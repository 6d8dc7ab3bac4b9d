//! Where settings come from: the flags, the environment, the file. Each becomes a list of name, text and place.
//!
//! Knows the names of the settings and nothing of what their values mean.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::Error;

/// Every setting, as a flag. The one table of them: the environment and the file know the same names.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Settings (flag, then environment, then scimd.toml)")]
pub struct Settings {
    /// File of settings [env: SCIMD_CONFIG] [default: scimd.toml in the working directory, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<String>,
    /// Address and port to serve SCIM on [env: SCIMD_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// PEM file of the certificate to serve TLS with; read again when it changes [env: SCIMD_TLS_CERTIFICATE]
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_certificate: Option<String>,
    /// PEM file of the certificate's private key [env: SCIMD_TLS_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Addresses and networks of the proxies that end TLS, or private for all private networks: beyond this machine plain HTTP is taken from them alone [env: SCIMD_TRUSTED_PROXIES]
    #[arg(long, global = true, value_name = "NETWORKS")]
    pub trusted_proxies: Option<String>,
    /// sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE [env: SCIMD_DATABASE_URL] [default: scimd.db in the data directory]
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// File that holds the database URL, to keep its password out of the process list [env: SCIMD_DATABASE_URL_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub database_url_file: Option<String>,
    /// URL by which clients reach this server, without /scim/v2 [env: SCIMD_PUBLIC_URL] [default: the address, with https:// if TLS is on]
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<String>,
    /// Directory for the files of scimd [env: SCIMD_DATA_DIR] [default: ~/.local/share/scimd]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    pub data_dir: Option<String>,
    /// pretty, json, or auto: pretty on a terminal and JSON elsewhere [env: SCIMD_LOG_FORMAT] [default: auto]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What to log: error, warn, info, debug, trace, or a list such as info,scimd=debug [env: SCIMD_LOG] [default: info,actix_server=warn,actix_http=off]
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// Answer the discovery endpoints without a key [env: SCIMD_OPEN_DISCOVERY] [default: false]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub open_discovery: Option<String>,
    /// Keep the passwords that clients set, as hashes [env: SCIMD_PASSWORDS] [default: false]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub passwords: Option<String>,
    /// Most connections to PostgreSQL [env: SCIMD_POSTGRES_CONNECTIONS] [default: 32]
    #[arg(long, global = true, value_name = "COUNT")]
    pub postgres_connections: Option<String>,
    /// Files with further schemas and resource types, or directories of *.json, separated by commas [env: SCIMD_SCHEMAS]
    #[arg(long, global = true, value_name = "PATH,...")]
    pub schemas: Option<String>,
    /// Serve /metrics, /healthz and /readyz on this address instead [env: SCIMD_METRICS_LISTEN]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<String>,
    /// Threads that serve HTTP [env: SCIMD_WORKERS] [default: one per core]
    #[arg(long, global = true, value_name = "COUNT")]
    pub workers: Option<String>,
    /// How long to go on as before after SIGTERM, until balancers have noticed [env: SCIMD_SHUTDOWN_DELAY] [default: 0s]
    #[arg(long, global = true, value_name = "DURATION")]
    pub shutdown_delay: Option<String>,
    /// How long requests may take to finish after that [env: SCIMD_SHUTDOWN_TIMEOUT] [default: 30s]
    #[arg(long, global = true, value_name = "DURATION")]
    pub shutdown_timeout: Option<String>,
    /// Send traces to this OpenTelemetry collector, by OTLP over HTTP [env: SCIMD_OTLP_ENDPOINT] [default: $OTEL_EXPORTER_OTLP_ENDPOINT]
    #[arg(long, global = true, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// Ask the scimd that clients reach by this URL, instead of the database at hand; for the commands that manage [env: SCIMD_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// File that holds the key for --url, one with the scope admin [env: SCIMD_ADMIN_KEY_FILE, or SCIMD_ADMIN_KEY with the key itself]
    #[arg(long, global = true, value_name = "FILE")]
    pub admin_key_file: Option<String>,
    /// Everybody on the machine reads the arguments of a process, so it is none.
    #[arg(skip)]
    pub admin_key: Option<String>,
}

impl Settings {
    pub(super) fn entries(&self) -> [(&'static str, &Option<String>); 23] {
        let Settings {
            config,
            listen,
            tls_certificate,
            tls_key,
            trusted_proxies,
            database_url,
            database_url_file,
            public_url,
            data_dir,
            log_format,
            log,
            open_discovery,
            passwords,
            postgres_connections,
            schemas,
            metrics_listen,
            workers,
            shutdown_delay,
            shutdown_timeout,
            otlp_endpoint,
            url,
            admin_key_file,
            admin_key,
        } = self;
        [
            ("config", config),
            ("listen", listen),
            ("tls-certificate", tls_certificate),
            ("tls-key", tls_key),
            ("trusted-proxies", trusted_proxies),
            ("database-url", database_url),
            ("database-url-file", database_url_file),
            ("public-url", public_url),
            ("data-dir", data_dir),
            ("log-format", log_format),
            ("log", log),
            ("open-discovery", open_discovery),
            ("passwords", passwords),
            ("postgres-connections", postgres_connections),
            ("schemas", schemas),
            ("metrics-listen", metrics_listen),
            ("workers", workers),
            ("shutdown-delay", shutdown_delay),
            ("shutdown-timeout", shutdown_timeout),
            ("otlp-endpoint", otlp_endpoint),
            ("url", url),
            ("admin-key-file", admin_key_file),
            ("admin-key", admin_key),
        ]
    }

    pub(super) fn names() -> [&'static str; 23] {
        Settings::default().entries().map(|(name, _)| name)
    }
}

/// The text of one setting, and where the operator wrote it.
pub(super) struct Setting {
    pub text: String,
    place: Place,
}

enum Place {
    Flag(String),
    Variable(String),
    Line { file: PathBuf, line: usize, name: String },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Flag(flag) => write!(f, "`{flag}`"),
            Place::Variable(variable) => write!(f, "`{variable}`"),
            Place::Line { file, line, name } => write!(f, "`{name}` in {}, line {line},", file.display()),
        }
    }
}

type Layer = BTreeMap<&'static str, Setting>;

/// The layers, strongest first.
pub(super) struct Sources {
    layers: [Layer; 3],
    /// Whether the file was read because it lay there.
    is_file_unnamed: bool,
}

impl Sources {
    pub fn gather(flags: &Settings, environment: &Environment, working_dir: &Path) -> Result<Sources, Error> {
        let flags = flags_layer(flags);
        let variables = environment.layer();
        let named = flags.get("config").or_else(|| variables.get("config"));
        let file = read_file(named, working_dir)?;
        let is_file_unnamed = named.is_none();
        Ok(Sources { layers: [flags, variables, file], is_file_unnamed })
    }

    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.layers.iter().find_map(|layer| layer.get(name))
    }

    /// Where a setting stands, if that is a file which is read only because the working directory has it.
    pub fn in_unnamed_file(&self, name: &str) -> Option<&impl fmt::Display> {
        let place = &self.get(name)?.place;
        (self.is_file_unnamed && matches!(place, Place::Line { .. })).then_some(place)
    }

    /// The value of a setting, read by `parse`, whose complaint goes on from the name of the setting ("is not …").
    pub fn parse<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Error> {
        self.get(name).map(|setting| parse_at(&setting.place, &setting.text, parse)).transpose()
    }

    /// The files in which somebody has written a secret: those of one secret alone, and a file of settings that has one.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let of_one = ["database-url-file", "admin-key-file"].into_iter().filter_map(|name| self.get(name));
        let of_many = ["database-url", "admin-key"].into_iter().filter_map(|name| match &self.get(name)?.place {
            Place::Line { file, .. } => Some(file.clone()),
            Place::Flag(_) | Place::Variable(_) => None,
        });
        let mut files: Vec<PathBuf> = of_one.map(|setting| PathBuf::from(&setting.text)).chain(of_many).collect();
        files.dedup();
        files
    }

    /// The same for a setting that may stand in a file of its own, whose path is the setting `file_name`.
    pub fn secret<T>(
        &self,
        name: &str,
        file_name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Error> {
        for layer in &self.layers {
            match (layer.get(name), layer.get(file_name)) {
                (None, None) => continue,
                (Some(setting), None) => return parse_at(&setting.place, &setting.text, parse).map(Some),
                (None, Some(file)) => {
                    let text = std::fs::read_to_string(&file.text).map_err(|error| {
                        Error(format!("{} names the file {}, which cannot be read: {error}.", file.place, file.text))
                    })?;
                    return parse_at(&file.place, text.trim(), parse).map(Some);
                }
                (Some(setting), Some(file)) => {
                    return Err(Error(format!(
                        "{} and {} are both set: give only one of them.",
                        setting.place, file.place
                    )));
                }
            }
        }
        Ok(None)
    }
}

fn parse_at<T>(place: &Place, text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, Error> {
    parse(text).map_err(|complaint| Error(format!("{place} {complaint}")))
}

fn flags_layer(flags: &Settings) -> Layer {
    let given = |(name, text): (&'static str, &Option<String>)| {
        let text = text.clone().filter(|text| !text.trim().is_empty())?;
        Some((name, Setting { text, place: Place::Flag(format!("--{name}")) }))
    };
    flags.entries().into_iter().filter_map(given).collect()
}

/// The variables of the process that concern us.
#[derive(Default)]
pub(super) struct Environment {
    settings: BTreeMap<&'static str, (String, String)>,
    /// `OTEL_*`, which every program reads that sends traces.
    pub otel: BTreeMap<String, String>,
    data_home: Option<PathBuf>,
    home: Option<PathBuf>,
}

impl Environment {
    pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Environment, Error> {
        let mut environment = Environment::default();
        for (variable, value) in variables {
            // A name that is not UTF-8 is none of ours.
            let Some(variable) = variable.to_str() else { continue };
            match variable {
                // The specification of XDG has relative paths ignored.
                "XDG_DATA_HOME" => environment.data_home = Some(PathBuf::from(value)).filter(|path| path.is_absolute()),
                "HOME" => environment.home = Some(PathBuf::from(value)).filter(|path| path.is_absolute()),
                // No setting of a server, though whoever checks one may have it set.
                CONFORMANCE_TOKEN => {}
                _ if variable.starts_with("OTEL_") => {
                    let value = value.into_string().ok().filter(|value| !value.trim().is_empty());
                    environment.otel.extend(value.map(|value| (variable.to_owned(), value)));
                }
                _ if variable.starts_with(PREFIX) && !is_service_link(variable, &value) => {
                    environment.add(variable, value)?;
                }
                _ => {}
            }
        }
        Ok(environment)
    }

    fn add(&mut self, variable: &str, value: OsString) -> Result<(), Error> {
        let Some(name) = Settings::names().into_iter().find(|name| variable_of(name) == variable) else {
            let known = Settings::names().map(variable_of);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            return Err(Error(format!("There is no setting `{variable}`. {}", suggestion(variable, &known))));
        };
        let text = value.into_string().map_err(|_| Error(format!("`{variable}` is not UTF-8.")))?;
        if !text.trim().is_empty() {
            self.settings.insert(name, (variable.to_owned(), text));
        }
        Ok(())
    }

    fn layer(&self) -> Layer {
        let setting = |(variable, text): &(String, String)| Setting {
            text: text.clone(),
            place: Place::Variable(variable.clone()),
        };
        self.settings.iter().map(|(name, entry)| (*name, setting(entry))).collect()
    }

    pub fn default_data_dir(&self) -> PathBuf {
        let data_home = self.data_home.clone().or_else(|| self.home.as_ref().map(|home| home.join(".local/share")));
        data_home.unwrap_or_else(|| PathBuf::from("/var/lib")).join("scimd")
    }
}

const PREFIX: &str = "SCIMD_";

/// The variable that holds the token of `scimd conformance`.
pub(super) const CONFORMANCE_TOKEN: &str = "SCIMD_CONFORMANCE_TOKEN";

fn variable_of(name: &str) -> String {
    format!("{PREFIX}{}", name.to_uppercase().replace('-', "_"))
}

/// Kubernetes and old container links give every process `SCIMD_PORT=tcp://…`, `SCIMD_SERVICE_HOST` and their like when
/// there is a service named `scimd`, and `SCIMD_POSTGRES_PORT=…` for one named `scimd-postgres`. Nobody meant them as
/// settings.
fn is_service_link(variable: &str, value: &OsString) -> bool {
    let rest = &variable[PREFIX.len() - 1..];
    let linked = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.to_string_lossy().starts_with(scheme));
    let numbered = rest.split_once("_PORT_").is_some_and(|(_, port)| port.starts_with(|c: char| c.is_ascii_digit()));
    rest.ends_with("_SERVICE_HOST") || rest.contains("_SERVICE_PORT") || numbered || rest.ends_with("_PORT") && linked
}

/// The settings of the file that `named` names; without it, of `scimd.toml` if that exists.
fn read_file(named: Option<&Setting>, working_dir: &Path) -> Result<Layer, Error> {
    let path = working_dir.join(named.map_or("scimd.toml", |setting| &setting.text));
    match std::fs::read_to_string(&path) {
        Ok(text) => file_layer(&path, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(Layer::new()),
        Err(error) => {
            let origin = named.map(|setting| format!(" ({})", setting.place)).unwrap_or_default();
            Err(Error(format!("The settings file {}{origin} cannot be read: {error}.", path.display())))
        }
    }
}

fn file_layer(path: &Path, text: &str) -> Result<Layer, Error> {
    let line = |span: Range<usize>| {
        text.as_bytes()[..span.start.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
    };
    let table = DeTable::parse(text).map_err(|error| {
        // Its `Display` would quote the line, which may hold a password.
        let line = line(error.span().unwrap_or(0..0));
        Error(format!("{}, line {line}, is not TOML: {}.", path.display(), error.message()))
    })?;
    let mut layer = Layer::new();
    for (key, value) in table.get_ref() {
        let (written, line) = (key.get_ref(), line(key.span()));
        // A file that names a file of settings would be a riddle.
        let mut known = Settings::names().into_iter().filter(|name| *name != "config");
        let Some(name) = known.clone().find(|name| **name == written.replace('_', "-")) else {
            let known: Vec<&str> = known.by_ref().collect();
            let hint = suggestion(written, &known);
            return Err(Error(format!("{}, line {line}: there is no setting `{written}`. {hint}", path.display())));
        };
        let is_list = name == "schemas";
        let text = if is_list { list(value.get_ref()) } else { scalar(value.get_ref()) };
        let text = text.ok_or_else(|| {
            let wanted =
                if is_list { "a path or an array of paths without commas" } else { "a text, a number, true or false" };
            Error(format!("{}, line {line}: `{name}` must be {wanted}.", path.display()))
        })?;
        if text.trim().is_empty() {
            continue;
        }
        let place = Place::Line { file: path.to_owned(), line, name: name.to_owned() };
        if layer.insert(name, Setting { text, place }).is_some() {
            return Err(Error(format!("{}, line {line}: `{name}` is set twice.", path.display())));
        }
    }
    Ok(layer)
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string()),
        _ => None,
    }
}

/// A text, or an array of texts, in the form that flags have: separated by commas.
fn list(value: &DeValue<'_>) -> Option<String> {
    let text = |value: &DeValue<'_>| value.as_str().map(str::to_owned);
    let DeValue::Array(elements) = value else { return text(value) };
    let texts = elements.iter().map(|element| text(element.get_ref()).filter(|text| !text.contains(',')));
    texts.collect::<Option<Vec<String>>>().map(|texts| texts.join(","))
}

/// "Did you mean …?", or where to look if nothing is near.
fn suggestion(written: &str, known: &[&str]) -> String {
    let near = known.iter().map(|name| (strsim::damerau_levenshtein(written, name), name)).min();
    match near {
        Some((distance, name)) if distance <= written.len().div_ceil(3) => format!("Did you mean `{name}`?"),
        _ => "`scimd serve --help` lists all settings.".to_owned(),
    }
}
