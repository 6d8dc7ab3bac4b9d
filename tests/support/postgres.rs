//! A throwaway PostgreSQL cluster for one test process, started on first use.
//!
//! The cluster lives in a temporary directory, listens on a free port of the loopback interface and trusts everybody:
//! it holds test data only and dies with the tests. It must go even when the tests are killed, and a `static` is never
//! dropped. So the server runs under a shell that reads a pipe whose other end this process holds: when the process
//! ends, in whatever way, the kernel closes the pipe, the shell stops the server and removes the directory. The shell
//! has its own process group, so that Ctrl-C does not kill it before it has cleaned up.
//!
//! The server refuses to run as root; then it runs as the user `postgres`, whom every package of PostgreSQL creates.
//! The default collation is a linguistic one where the build has any (ICU, or a locale of the system): a query that
//! forgets `COLLATE "C"` then orders `a` before `B` and fails its test, as it would at somebody's home.
//!
//! `TEST_DATABASE_URL` names another server to use instead; `PG_BIN_DIR` says where `initdb` and `postgres` are.
//! Knows nothing of scimd's tables.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

const PREFIX: &str = "scimd_test_";
const DIRECTORY_PREFIX: &str = "scimd-postgres-";
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Creates an empty database and returns its URL, `postgres://…`.
///
/// Panics with advice when PostgreSQL is not installed or does not start.
pub fn database_url() -> String {
    let name = fresh_name();
    server().execute(&format!("CREATE DATABASE {name}"));
    server().url(&name)
}

/// Creates a copy of the database behind `template_url`, which [`database_url`] returned and to which nobody is
/// connected any more; much cheaper than migrating again. Returns the copy's URL.
pub fn database_from_template(template_url: &str) -> String {
    let name = fresh_name();
    let server = server();
    // About 30 ms with either STRATEGY. The default, through the log, forces no checkpoint on the tests beside this one.
    server.execute(&format!("CREATE DATABASE {name} TEMPLATE {}", database_name(template_url)));
    server.url(&name)
}

/// Drops a database that [`database_url`] or [`database_from_template`] made, together with its connections.
pub fn drop_database(url: &str) {
    server().execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database_name(url)));
}

/// The name of the database in a URL of this module.
fn database_name(url: &str) -> &str {
    let path = url.rsplit('/').next().unwrap_or_default();
    let name = path.split('?').next().unwrap_or_default();
    assert!(name.starts_with(PREFIX), "{url} is no database of these tests");
    name
}

/// Unique over processes and, on a shared server, over machines as far as two clocks and two process ids differ.
fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{}_{}_{count}", seconds_since_epoch(), std::process::id())
}

fn seconds_since_epoch() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970").as_secs()
}

/// The server that the whole process uses.
struct Server {
    /// The URL of the maintenance database.
    admin_url: String,
    /// One at a time: `CREATE DATABASE` locks its template anyway.
    admin: Mutex<PgConnection>,
    /// Holds the pipe that keeps the watcher from stopping the server; `None` on somebody else's server.
    _watcher: Option<Child>,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("TEST_DATABASE_URL") {
        Ok(url) if !url.is_empty() => Server::at(url),
        _ => Server::start(),
    })
}

impl Server {
    fn at(admin_url: String) -> Self {
        let admin = PgConnection::establish(&admin_url)
            .unwrap_or_else(|error| panic!("TEST_DATABASE_URL names a server that does not answer: {error}"));
        let server = Self::new(admin_url, admin, None);
        server.sweep();
        server
    }

    fn start() -> Self {
        let programs = Programs::find();
        remove_orphans();
        // Between choosing a free port and listening on it, somebody else may take it.
        for _ in 0..5 {
            if let Some(server) = Self::try_start(&programs) {
                return server;
            }
        }
        panic!("PostgreSQL did not start on any of five free ports");
    }

    fn try_start(programs: &Programs) -> Option<Self> {
        let port = free_port();
        let directory = programs.new_directory();
        programs.initdb(&directory);
        let mut watcher = programs.watch(&directory, port);
        let admin_url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            if let Ok(admin) = PgConnection::establish(&admin_url) {
                return Some(Self::new(admin_url, admin, Some(watcher)));
            }
            if let Ok(Some(_)) = watcher.try_wait() {
                return None;
            }
            assert!(Instant::now() < deadline, "PostgreSQL did not answer within {START_PATIENCE:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn new(admin_url: String, admin: PgConnection, watcher: Option<Child>) -> Self {
        Self { admin_url, admin: Mutex::new(admin), _watcher: watcher }
    }

    fn admin(&self) -> MutexGuard<'_, PgConnection> {
        self.admin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn execute(&self, statement: &str) {
        self.admin().batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    fn url(&self, database: &str) -> String {
        let (address, parameters) = match self.admin_url.split_once('?') {
            Some((address, parameters)) => (address, format!("?{parameters}")),
            None => (self.admin_url.as_str(), String::new()),
        };
        let scheme_end = address.find("://").map_or(0, |found| found + 3);
        let authority_end = address[scheme_end..].find('/').map_or(address.len(), |found| scheme_end + found);
        format!("{}/{database}{parameters}", &address[..authority_end])
    }

    /// Nobody drops the databases of tests that were killed on a server that outlives them, so the next run does.
    fn sweep(&self) {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Text)]
            datname: String,
        }
        let old = seconds_since_epoch().saturating_sub(24 * 60 * 60);
        let rows = diesel::sql_query("SELECT datname::text AS datname FROM pg_database")
            .load::<Row>(&mut *self.admin())
            .unwrap_or_else(|error| panic!("pg_database: {error}"));
        for Row { datname } in rows {
            let started = datname.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next()?.parse::<u64>().ok());
            if started.is_some_and(|started| started < old) {
                self.execute(&format!("DROP DATABASE IF EXISTS {datname} WITH (FORCE)"));
            }
        }
    }
}

/// Only a process that was killed during `initdb`, before there was a watcher, leaves its directory behind.
fn remove_orphans() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(DIRECTORY_PREFIX)?.split('-').next());
        let Some(owner) = owner else { continue };
        let served = entry.path().join("data/postmaster.pid").exists();
        if !served && output("kill", &["-0", owner]).is_none() {
            // Somebody else's directory cannot be removed, and that is as it should be.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A port of the loopback interface that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface has free ports");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Where PostgreSQL's programs are, and how to run them without being root.
pub struct Programs {
    directory: PathBuf,
    /// `setpriv …` or `runuser …`, empty unless this process is root's.
    as_user: Vec<String>,
}

impl Programs {
    /// Those of this machine.
    ///
    /// Panics with advice where there are none.
    pub fn find() -> Self {
        let directory = candidates()
            .into_iter()
            .find(|directory| directory.join("initdb").is_file() && directory.join("postgres").is_file());
        let Some(directory) = directory else {
            panic!(
                "PostgreSQL is not installed, and these tests start a server of their own. Install it (Debian, Ubuntu: \
                 apt-get install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql), \
                 or set PG_BIN_DIR to the directory that holds initdb and postgres, or TEST_DATABASE_URL to a server."
            );
        };
        let as_user = if output("id", &["-u"]).as_deref() == Some("0") { as_postgres() } else { Vec::new() };
        Self { directory, as_user }
    }

    /// A directory that the server's user owns.
    fn new_directory(&self) -> PathBuf {
        let directory = tempfile::Builder::new()
            .prefix(&format!("{DIRECTORY_PREFIX}{}-", std::process::id()))
            .tempdir()
            .unwrap_or_else(|error| panic!("no temporary directory: {error}"))
            // The watcher removes it.
            .keep();
        self.give(&directory);
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        directory
    }

    /// Makes a directory the server's user's.
    pub fn give(&self, directory: &Path) {
        if !self.as_user.is_empty() {
            run(Command::new("chown").arg("postgres").arg(directory));
        }
    }

    fn initdb(&self, directory: &Path) {
        let data = directory.join("data");
        let mut failure = String::new();
        for locale in locales() {
            let done = self
                .command("initdb")
                .args(["--auth=trust", "--encoding=UTF8", "--username=postgres", "--no-sync", "--pgdata"])
                .arg(&data)
                .args(&locale)
                .current_dir(directory)
                .output()
                .unwrap_or_else(|error| panic!("initdb: {error}"));
            if done.status.success() {
                return;
            }
            failure = String::from_utf8_lossy(&done.stderr).into_owned();
        }
        panic!("initdb failed: {failure}");
    }

    /// Starts the server under the shell that stops it when the pipe in its standard input closes.
    fn watch(&self, directory: &Path, port: u16) -> Child {
        const SCRIPT: &str = r#"
            directory=$1; shift
            "$@" </dev/null &
            server=$!
            # Should the server end by itself, so must the watcher, or nobody would notice.
            (
                cat >/dev/null
                kill -QUIT "$(head -n 1 "$directory/data/postmaster.pid" || echo "$server")"
            ) <&3 2>/dev/null &
            reader=$!
            wait "$server"
            kill "$reader" 2>/dev/null
            cd /
            rm -rf "$directory""#;
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec 3<&0; {SCRIPT}"), "scimd-postgres"]).arg(directory);
        command.args(&self.as_user).arg(self.directory.join("postgres"));
        command.arg("-D").arg(directory.join("data"));
        let port = format!("port={port}");
        let settings = [
            port.as_str(),
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=400",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "autovacuum_naptime=1h",
            "max_wal_size=4GB",
            "logging_collector=off",
        ];
        for setting in settings {
            command.args(["-c", setting]);
        }
        let log = fs::File::create(directory.join("log")).unwrap_or_else(|error| panic!("log: {error}"));
        let errors = log.try_clone().unwrap_or_else(|error| panic!("log: {error}"));
        command.current_dir(directory).stdin(Stdio::piped()).stdout(log).stderr(errors).process_group(0);
        command.spawn().unwrap_or_else(|error| panic!("sh: {error}"))
    }

    /// One of the programs, run as the server's user.
    pub fn command(&self, program: &str) -> Command {
        let program = self.directory.join(program);
        let Some((first, rest)) = self.as_user.split_first() else { return Command::new(program) };
        let mut command = Command::new(first);
        command.args(rest).arg(program);
        command
    }
}

fn candidates() -> Vec<PathBuf> {
    if let Some(given) = std::env::var_os("PG_BIN_DIR").filter(|given| !given.is_empty()) {
        return vec![PathBuf::from(given)];
    }
    let mut found: Vec<PathBuf> = output("pg_config", &["--bindir"]).map(PathBuf::from).into_iter().collect();
    // Debian keeps each major version apart, and only the newest one is sure to have its server.
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.extend(versions.into_iter().map(|(_, directory)| directory));
    found.extend(["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from));
    found
}

/// Arguments for `initdb`, the most telling default collation first.
fn locales() -> Vec<Vec<String>> {
    let libc = |name: &str| vec![format!("--locale={name}")];
    let mut wanted = vec![
        ["--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8"].map(str::to_owned).to_vec(),
        ["--locale-provider=icu", "--icu-locale=en-US", "--locale=C"].map(str::to_owned).to_vec(),
    ];
    let installed = output("locale", &["-a"]).unwrap_or_default();
    let is_utf8 = |name: &str| name.to_ascii_lowercase().replace('-', "").ends_with("utf8");
    let linguistic = installed.lines().find(|name| is_utf8(name) && !name.starts_with("C.") && *name != "POSIX");
    wanted.extend(linguistic.map(libc));
    wanted.extend([libc("C.UTF-8"), libc("C")]);
    wanted
}

fn as_postgres() -> Vec<String> {
    assert!(
        output("id", &["-u", "postgres"]).is_some(),
        "PostgreSQL refuses to run as root and there is no user postgres to run it as; add one (useradd postgres) or \
         run the tests as another user"
    );
    let setpriv = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"];
    let runuser = ["runuser", "-u", "postgres", "--"];
    let words: &[&str] = if output("setpriv", &["--version"]).is_some() { &setpriv } else { &runuser };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The trimmed standard output of a program that may be missing or fail.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let Output { status, stdout, .. } = Command::new(program).args(arguments).output().ok()?;
    status.success().then(|| String::from_utf8_lossy(&stdout).trim().to_owned())
}

/// Runs a program that must succeed.
pub fn run(command: &mut Command) {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}
