//! The door: arguments, wiring, run.

use std::fmt;
use std::hint::black_box;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use clap::{Args, CommandFactory, Parser, Subcommand};
use ipnet::IpNet;
use scimd::admin::{self, Desk};
use scimd::auth::{Authenticator, StoredKeys};
use scimd::certificate::Files;
use scimd::cli::doctor::{self, Premises};
use scimd::cli::{self, Office, Report, Server, healthcheck, interruption, migrate, quickstart};
use scimd::config::{self, Config, Remote, Settings, TlsFiles};
use scimd::http::peers::Peers;
use scimd::provider::{self, Provider};
use scimd::scim::schema::{Flaw, Registry, SchemaFile};
use scimd::store::{self, Conformed, DatabaseUrl, Store};
use scimd::{conformance, http, scim, telemetry};
use socket2::SockRef;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A SCIM 2.0 server: identity providers push users and groups, scimd keeps them and answers.
#[derive(Debug, Parser)]
#[command(name = "scimd", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Begin with:\n  scimd quickstart\n\nOr, for good:\n  scimd serve --listen 127.0.0.1:8080\n  \
    scimd key create --name okta")]
struct CommandLine {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve SCIM until SIGTERM
    ///
    /// Makes or updates the tables first. Without any configuration: SQLite in the data directory, on 127.0.0.1:8080.
    #[command(
        after_help = "Examples:\n  scimd serve\n  scimd serve --listen 0.0.0.0:8080 --trusted-proxies 10.0.0.7 --public-url https://scim.example.com\n  \
        SCIMD_DATABASE_URL=postgres://scimd@db/scimd scimd serve"
    )]
    Serve,
    /// Serve, and print a key and three requests to try
    #[command(
        after_help = "Examples:\n  scimd quickstart\n  scimd quickstart --listen 127.0.0.1:9000 --data-dir /tmp/scimd\n  \
        scimd quickstart --new-key"
    )]
    Quickstart(Quickstart),
    #[command(flatten)]
    Manage(cli::Command),
    /// Make or update the tables of the database, and list what was done
    ///
    /// `scimd serve` and the commands that need the tables do this by themselves.
    #[command(after_help = "Example:\n  scimd migrate --database-url postgres://scimd@db/scimd")]
    Migrate,
    /// Check configuration, database and everything in it, a line each: what is wrong, and what to do about it
    ///
    /// Looks, makes nothing and migrates nothing; beside a running server or without one. With --url the server tells of
    /// itself, and of this machine only what concerns it is looked at.
    ///
    /// Exit code 0: nothing is wrong, though there may be warnings. 1: something is wrong.
    #[command(after_help = "Examples:\n  scimd doctor\n  scimd doctor --repair\n  scimd doctor --json\n  \
        scimd doctor --url https://scim.example.com --admin-key-file key")]
    Doctor(doctor::Command),
    /// Ask the server that listens on the configured address whether it is alive; exit code 1 if not
    #[command(after_help = "Example:\n  scimd healthcheck --listen 127.0.0.1:8080")]
    Healthcheck,
    /// Check any SCIM server against the RFCs, from outside
    ///
    /// Makes users and groups on the server, named `scimd-conformance-…`, and deletes each after the check that needed
    /// it, also after Ctrl-C. It touches nothing else. Needs no database and no configuration.
    ///
    /// Exit code 0: all that the RFCs demand holds. 1: something fails. 2: the checks could not run.
    #[command(
        after_help = "Examples:\n  scimd conformance --against https://example.com/scim/v2 --token-file token\n  \
        scimd conformance --against https://example.com/scim/v2 --token-file token --only FLT,PATCH-A1\n  \
        scimd conformance --against https://example.com/scim/v2 --token-file token --json > report.json\n  \
        scimd conformance --list"
    )]
    Conformance(conformance::Command),
    /// Print the OpenAPI document of the server that this configuration makes
    ///
    /// A running server has it at `/openapi.json`. Needs no database.
    #[command(after_help = "Example:\n  scimd openapi --public-url https://scim.example.com > openapi.json")]
    Openapi,
    /// Print a script that completes commands in a shell
    #[command(after_help = "Examples:\n  scimd completions bash > /etc/bash_completion.d/scimd\n  \
        scimd completions zsh > ~/.zfunc/_scimd\n  scimd completions fish > ~/.config/fish/completions/scimd.fish")]
    Completions(Completions),
}

#[derive(Debug, Args)]
struct Quickstart {
    /// Make another key though there is one
    #[arg(long)]
    new_key: bool,
}

#[derive(Debug, Args)]
struct Completions {
    /// The shell that the script is for
    shell: clap_complete::Shell,
}

/// Why there is nothing more to do: a sentence for the operator.
struct Failure(String);

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Failure(error.to_string())
    }
}

impl From<telemetry::Error> for Failure {
    fn from(error: telemetry::Error) -> Self {
        Failure(error.to_string())
    }
}

impl From<Flaw> for Failure {
    fn from(flaw: Flaw) -> Self {
        Failure(flaw.to_string())
    }
}

impl From<scim::Error> for Failure {
    fn from(error: scim::Error) -> Self {
        Failure(cli::sentence(&error))
    }
}

fn main() -> ExitCode {
    let CommandLine { settings, command } = CommandLine::parse();
    if let Command::Conformance(command) = &command {
        return check_conformance(command);
    }
    if let Command::Doctor(command) = &command {
        return examine(&settings, command);
    }
    match run(&settings, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(sentence)) => {
            say(format_args!("error: {sentence}"));
            ExitCode::FAILURE
        }
    }
}

fn run(settings: &Settings, command: Command) -> Result<(), Failure> {
    if let Command::Completions(Completions { shell }) = command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut CommandLine::command(), "scimd", &mut script);
        return print(&script);
    }
    let config = Config::load(settings)?;
    match command {
        Command::Serve => serve(&config, None),
        Command::Quickstart(arguments) => serve(&config, Some(arguments)),
        Command::Manage(command) => manage(&config, command),
        Command::Migrate => {
            if config.remote.is_some() {
                let sentence =
                    "scimd migrate works on the database at hand alone; run it where the database is, without `--url`.";
                return Err(Failure(sentence.to_owned()));
            }
            let (store, applied) = open(&config, store_settings(&config)?)?;
            store.close();
            tell(&migrate::report(&applied, &config.database_url.to_string()))
        }
        Command::Healthcheck => {
            let certificate = config.tls.as_ref().map(|files| files.certificate.as_path());
            let asked = match config.metrics_listen {
                Some(address) => healthcheck::healthcheck(address, None),
                None => healthcheck::healthcheck(config.listen, certificate),
            };
            asked.map_err(Failure)
        }
        Command::Openapi => print(openapi(&config)?.as_bytes()),
        Command::Completions(_) | Command::Conformance(_) | Command::Doctor(_) => Ok(()),
    }
}

/// Asks another server, so nothing of this one's configuration matters. It has exit codes of its own.
fn check_conformance(command: &conformance::Command) -> ExitCode {
    // Whoever stops reading does not keep the run from deleting what it made.
    let mut result = |text: &str| drop(print(text.as_bytes()));
    let mut note = |line: &str| say(format_args!("{line}"));
    let ended =
        command.run(config::conformance_token(), &mut conformance::Voice { result: &mut result, note: &mut note });
    ExitCode::from(ended as u8)
}

/// Looks at what there is, and says so also where there is no configuration.
fn examine(settings: &Settings, command: &doctor::Command) -> ExitCode {
    let known = Config::load(settings).map_err(Failure::from);
    let known = known.and_then(|config| Ok((registry(&config)?, config)));
    let premises =
        known.as_ref().map_err(|Failure(sentence)| sentence.clone()).and_then(|(_, config)| premises(config));
    let office = || match &known {
        Ok((registry, config)) => office_as_it_is(registry, config).map_err(|Failure(sentence)| sentence),
        Err(Failure(sentence)) => Err(sentence.clone()),
    };
    let examined = runtime().and_then(|runtime| {
        let examined = runtime.block_on(command.run(premises, office, (provider::system_clock())()))?;
        tell(&examined.report).map(|()| examined.is_sound)
    });
    match examined {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure(sentence)) => {
            say(format_args!("error: {sentence}"));
            ExitCode::FAILURE
        }
    }
}

fn premises(config: &Config) -> Result<Premises, String> {
    let url = || config.database_url.expose().parse().map_err(|error| Failure::from(error).0);
    let database = match &config.remote {
        Some(remote) => doctor::Database::Elsewhere(remote.url.clone()),
        None => match url()? {
            DatabaseUrl::Sqlite(file) => doctor::Database::File(file),
            DatabaseUrl::Postgres(_) => doctor::Database::Postgres,
        },
    };
    let is_here = config.remote.is_none();
    let tls = config.tls.clone().filter(|_| is_here);
    Ok(Premises {
        database,
        certificate: tls.map(|TlsFiles { certificate, key }| Files { certificate, key }),
        secret_files: config.secret_files.clone(),
        public_url: config.public_url.clone(),
        listen: config.listen,
        is_behind_proxy: !config.trusted_proxies.is_empty(),
    })
}

/// Where to ask, without a file or a table being made.
fn office_as_it_is(registry: &'static Registry, config: &Config) -> Result<Office, Failure> {
    if let Some(Remote { url, key }) = &config.remote {
        return Ok(Office::There(Server::new(url, key.clone())?));
    }
    let settings = store::Settings { readers: 2, postgres_connections: 2, as_it_is: true, ..store_settings(config)? };
    let store = Store::open(&settings)?;
    let provider = provider(config, registry, store.clone(), config.listen);
    Ok(Office::Here(Box::new(Desk::new(store, provider))))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.map_err(|cause| Failure(format!("No work can be started ({cause}).")))
}

fn openapi(config: &Config) -> Result<String, Failure> {
    let surface = http::openapi::Surface {
        registry: registry(config)?,
        base_url: &scim_url(config, config.listen),
        open_discovery: config.open_discovery,
        with_health: config.metrics_listen.is_none(),
    };
    Ok(format!("{:#}\n", http::openapi::document(&surface)))
}

/// A command of the operator: beside a running server, before the first one, or asked of one elsewhere.
fn manage(config: &Config, command: cli::Command) -> Result<(), Failure> {
    interruption::heed(config.remote.is_some(), |sentence| say(format_args!("error: {sentence}")));
    let runtime = runtime()?;
    if let Some(Remote { url, key }) = &config.remote {
        let office = Office::There(Server::new(url, key.clone())?);
        return tell(&runtime.block_on(command.run(&office))?);
    }
    let registry = registry(config)?;
    let settings = store::Settings { readers: 2, postgres_connections: 2, ..store_settings(config)? };
    let (store, applied) = open(config, settings)?;
    if !applied.is_empty() {
        say(format_args!("Made or updated the tables of {}.", config.database_url));
    }
    let desk = Desk::new(store.clone(), provider(config, registry, store.clone(), config.listen));
    let report = runtime.block_on(command.run(&Office::Here(Box::new(desk))));
    store.close();
    tell(&report?)
}

fn serve(config: &Config, quickstart: Option<Quickstart>) -> Result<(), Failure> {
    let _telemetry = telemetry::init(config.log_format, &config.log, config.otlp_endpoint.as_deref())?;
    telemetry::log_panics();
    let registry = registry(config)?;
    // A port in use is told before anything is made.
    let listener = listen(config.listen, "listen")?;
    let metrics_listener = config.metrics_listen.map(|address| listen(address, "metrics-listen")).transpose()?;
    let bound = listener.local_addr().map_err(|cause| Failure(format!("The listener has no address ({cause}).")))?;
    let peers = peers(config, bound)?;
    let (store, applied) = open(config, store_settings(config)?)?;
    if !applied.is_empty() {
        tracing::info!(migrations = applied.join(" "), database = %config.database_url, "made or updated the tables");
    }
    conform(&store, registry)?;
    let provider = provider(config, registry, store.clone(), bound);
    let authenticator = Arc::new(Authenticator::new(Arc::new(StoredKeys::new(store.clone()))));
    let desk = Desk::new(store.clone(), provider.clone()).at_the_door(Arc::clone(&authenticator));
    let history = provider.clone();
    let service =
        http::Service { provider, desk: desk.clone(), authenticator, open_discovery: config.open_discovery, peers };
    let tls = config.tls.clone().map(|TlsFiles { certificate, key }| Files { certificate, key });
    let options = http::Options {
        workers: config.workers,
        shutdown_delay: config.shutdown_delay,
        shutdown_timeout: config.shutdown_timeout,
        tls,
    };
    let ended = actix_web::rt::System::new().block_on(async {
        let server = http::bind(listener, metrics_listener, service, &options)
            .map_err(|cause| Failure(format!("The server cannot be started ({cause}).")))?;
        let server = actix_web::rt::spawn(server);
        let sealing = actix_web::rt::spawn(history.clone().keep_sealed());
        actix_web::rt::spawn(keep_giving_memory_back());
        greet(config, bound, &desk, quickstart).await?;
        let ended = finish(server).await;
        sealing.abort();
        history.seal_last().await;
        ended
    });
    store.close();
    store::kept::remove_unfinished();
    ended
}

/// How often memory goes back to the system.
const GIVE_BACK: Duration = Duration::from_secs(5);

/// Has the system get back what was freed and not taken again. mimalloc does that by the way, when a thread ends or gives up
/// much, a second after the memory was freed at the earliest. The threads that wrote long lists end all at once: where
/// nothing happens after them, what they leave would stay, 150 MiB after pages of a thousand users for 32 clients.
async fn keep_giving_memory_back() {
    loop {
        actix_web::rt::time::sleep(GIVE_BACK).await;
        // For mimalloc, a thread is one that has allocated something. Where none can be had, the next one will do.
        drop(thread::Builder::new().spawn(|| drop(black_box(Box::new(0_u8)))));
    }
}

async fn finish(server: JoinHandle<io::Result<()>>) -> Result<(), Failure> {
    let ended = server.await.map_err(io::Error::other).flatten();
    ended.map_err(|cause| Failure(format!("The server failed ({cause}).")))?;
    tracing::info!("stopped");
    Ok(())
}

/// What an operator should know at the start.
async fn greet(config: &Config, bound: SocketAddr, desk: &Desk, quickstart: Option<Quickstart>) -> Result<(), Failure> {
    let base_url = scim_url(config, bound);
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    tracing::info!(
        database = %config.database_url,
        "listening on {scheme}://{bound}, SCIM base URL {base_url}, version {}",
        env!("CARGO_PKG_VERSION")
    );
    if let Some(Quickstart { new_key }) = quickstart {
        let token = quickstart::make_key(desk, new_key).await?;
        let local_url = scim_url(&Config { public_url: None, ..config.clone() }, bound);
        return tell(&quickstart::welcome(token.as_deref(), &base_url, &local_url));
    }
    if !admin::keys::any_active(desk, None).await? {
        tracing::info!("no key exists yet; make one: scimd key create --name NAME");
    }
    Ok(())
}

/// Who may send keys: over TLS everybody, over plain HTTP this machine and the proxies that end TLS (AUTH-07).
fn peers(config: &Config, bound: SocketAddr) -> Result<Peers, Failure> {
    if config.tls.is_some() || bound.ip().is_loopback() {
        return Ok(Peers::anybody());
    }
    if config.trusted_proxies.is_empty() {
        return Err(Failure(format!(
            "scimd does not serve plain HTTP beyond this machine, since anybody on the way could read keys and personal \
             data: give it a certificate (`--tls-certificate`, `--tls-key`), or put a proxy with TLS in front and name \
             its address (`--trusted-proxies 10.0.0.7`), or listen on `127.0.0.1:{}`.",
            bound.port()
        )));
    }
    let this_machine = [IpNet::from(IpAddr::V4(Ipv4Addr::LOCALHOST)), IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST))];
    Ok(Peers::proxies(&[&config.trusted_proxies[..], &this_machine].concat()))
}

fn provider(config: &Config, registry: &'static Registry, store: Store, address: SocketAddr) -> Provider {
    Provider::new(store, registry, &scim_url(config, address), provider::system_clock())
}

/// Prepares what is stored for the schemas, and tells what there was to do.
fn conform(store: &Store, registry: &Registry) -> Result<(), Failure> {
    for done in store.conform(registry, (provider::system_clock())())? {
        let Conformed { tenant, resource_type, resources, withheld } = done;
        match registry.resource_type(&resource_type) {
            Some(_) => tracing::info!(
                tenant,
                resource_type,
                resources,
                withheld,
                "prepared what is stored for the schemas of this start"
            ),
            None => {
                tracing::warn!(tenant, resource_type, "this resource type is served no more; its resources are kept")
            }
        }
    }
    Ok(())
}

/// The built-in schemas and resource types, and those of the operator's files.
fn registry(config: &Config) -> Result<&'static Registry, Failure> {
    let files = config.schema_files()?.into_iter();
    let files = files.map(|file| SchemaFile { name: file.path.display().to_string(), text: file.text });
    Ok(Registry::with_files(&files.collect::<Vec<_>>(), config.passwords)?)
}

fn scim_url(config: &Config, address: SocketAddr) -> String {
    format!("{}/scim/v2", config.base_url(address))
}

fn store_settings(config: &Config) -> Result<store::Settings, Failure> {
    let url: DatabaseUrl = config.database_url.expose().parse()?;
    let settings = store::Settings::new(url);
    // The store keeps a quarter of them for look-ups: one for each thread that serves.
    let readers = settings.readers.max(4 * u32::try_from(config.workers.min(16)).unwrap_or_default());
    Ok(store::Settings { postgres_connections: config.postgres_connections, readers, ..settings })
}

/// The store with all its tables, and the names of the migrations that made them just now.
fn open(config: &Config, settings: store::Settings) -> Result<(Store, Vec<String>), Failure> {
    if let DatabaseUrl::Sqlite(file) = &settings.database_url
        && file.parent() == Some(config.data_dir.as_path())
    {
        make_data_dir(&config.data_dir)?;
    }
    let store = Store::open(&settings)?;
    let applied = store.migrate()?;
    Ok((store, applied))
}

/// What lies in it is personal data: the owner's alone.
fn make_data_dir(directory: &Path) -> Result<(), Failure> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|cause| {
        let shown = directory.display();
        Failure(format!("The data directory {shown} cannot be made ({cause}); name another with `--data-dir`."))
    })
}

/// How many connections wait to be taken, as far as the system lets them (`net.core.somaxconn`). The standard library lets 128;
/// whoever comes then comes again after a second.
const BACKLOG: i32 = 4096;

fn listen(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        SockRef::from(&listener).listen(BACKLOG)?;
        Ok(listener)
    };
    listen().map_err(|cause: io::Error| {
        let advice = match cause.kind() {
            io::ErrorKind::AddrInUse => format!(
                "the port is in use; stop the program that has it, or choose another port: `--{setting} {}`",
                SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8080))
            ),
            io::ErrorKind::PermissionDenied => format!(
                "this user may not use ports below 1024; choose a higher one: `--{setting} {}`",
                SocketAddr::new(address.ip(), 8080)
            ),
            io::ErrorKind::AddrNotAvailable => format!(
                "this machine has no such address; write `--{setting} 127.0.0.1:{0}` for this machine only or \
                 `--{setting} 0.0.0.0:{0}` for every network",
                address.port()
            ),
            _ => format!("choose another address with `--{setting}`"),
        };
        Failure(format!("scimd cannot listen on {address}: {advice} ({cause})."))
    })
}

/// The notes first: on a terminal they stand above what they are about.
fn tell(report: &Report) -> Result<(), Failure> {
    for note in &report.notes {
        say(format_args!("{note}"));
    }
    print(report.output.as_bytes())?;
    report.failure.clone().map_or(Ok(()), |sentence| Err(Failure(sentence)))
}

/// To a reader that has had enough (`| head`), no more is said and nothing is wrong.
fn print(output: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(output).and_then(|()| stdout.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure(format!("Standard output cannot be written ({cause}).")))
        }
        _ => Ok(()),
    }
}

/// To standard error. Without one there is nobody to tell.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
