//! scimd as a process: its store, its port, and what the system says of it. Whatever is started or made here is gone at
//! the end, also when somebody interrupts.

use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use crate::bare::is_sqlite;
use crate::http::{Connection, request};

const PROGRAM: &str = env!("CARGO_BIN_EXE_scimd");

/// What would be left behind if nobody cleared it away.
#[derive(Debug, Clone, PartialEq)]
enum Standing {
    Process(u32),
    Directory(PathBuf),
    Tables(String),
}

static STANDING: Mutex<Vec<Standing>> = Mutex::new(Vec::new());

fn put_up(standing: Standing) {
    STANDING.lock().unwrap().push(standing);
}

fn take_down(standing: &Standing) {
    STANDING.lock().unwrap().retain(|one| one != standing);
}

/// From now on an interruption ends what was started and removes what was made, the last first.
pub fn end_when_interrupted() {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let [mut interrupt, mut terminate, mut hang_up] =
                [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
                    .map(|kind| signal(kind).unwrap());
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
        });
        // Whoever talks to a server at the moment loses it, which is nothing to be told.
        std::panic::set_hook(Box::new(|_| {}));
        let mut standing = std::mem::take(&mut *STANDING.lock().unwrap());
        while let Some(one) = standing.pop() {
            match one {
                Standing::Process(id) => drop(Command::new("kill").args(["-KILL", &id.to_string()]).status()),
                Standing::Directory(path) => drop(fs::remove_dir_all(path)),
                Standing::Tables(url) => drop_tables(&url),
            }
        }
        eprintln!("interrupted; nothing is left behind");
        std::process::exit(130);
    });
}

/// A store of its own.
pub struct Place {
    directory: TempDir,
    pub database_url: String,
}

/// A process that serves on a port.
pub struct Server {
    child: Child,
    pub port: u16,
    log: PathBuf,
    /// How long it took until it was ready.
    pub start: Duration,
}

impl Place {
    /// A new SQLite database, or this one of PostgreSQL. The file lies in the build directory: `/tmp` is memory on many
    /// machines, and would make every durable write look free.
    ///
    /// # Errors
    /// A sentence, if there are tables in that database: they would be gone afterwards.
    pub fn new(postgres: Option<&str>) -> Result<Place, String> {
        if let Some(url) = postgres {
            refuse_tables(url)?;
            put_up(Standing::Tables(url.to_owned()));
        }
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        put_up(Standing::Directory(directory.path().to_owned()));
        let file = directory.path().join("scimd.db");
        let database_url = postgres.map_or_else(|| format!("sqlite:{}", file.display()), str::to_owned);
        Ok(Place { directory, database_url })
    }

    pub fn is_sqlite(&self) -> bool {
        is_sqlite(&self.database_url)
    }

    pub fn database(&self) -> &'static str {
        if self.is_sqlite() { "SQLite" } else { "PostgreSQL" }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("HOME", self.directory.path()).env("SCIMD_DATABASE_URL", &self.database_url);
        command
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A new key of the tenant `default`.
    pub fn token(&self) -> String {
        self.ask(&["key", "create", "--name", "load"])
    }

    /// A new key of a new tenant.
    pub fn token_of_tenant(&self, name: &str) -> String {
        self.ask(&["tenant", "create", name]);
        self.ask(&["key", "create", "--name", "load", "--tenant", name])
    }

    /// scimd as operators run it: every setting as it is by default, the log in a file.
    pub fn start(&self) -> Server {
        let port = free_port();
        let mut command = self.command();
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
        Server::start(command, port, self.directory.path().join("scimd.log"), "/readyz")
    }

    /// The yardsticks behind HTTP: this program itself.
    pub fn start_ceilings(&self) -> Server {
        let port = free_port();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--serve-ceilings", &port.to_string()]).env("CEILINGS_DATABASE_URL", &self.database_url);
        Server::start(command, port, self.directory.path().join("ceilings.log"), "/1")
    }

    /// The bytes of the database, its log included.
    pub fn size(&self) -> u64 {
        let length = |name: &str| fs::metadata(self.directory.path().join(name)).map_or(0, |file| file.len());
        if self.is_sqlite() {
            return length("scimd.db") + length("scimd.db-wal");
        }
        let mut connection = PgConnection::establish(&self.database_url).unwrap();
        let size: Number =
            diesel::sql_query("SELECT pg_database_size(current_database()) AS n").get_result(&mut connection).unwrap();
        u64::try_from(size.n).unwrap()
    }

    /// The database by name and version.
    pub fn version(&self) -> String {
        let version = |text: Version| text.version;
        let query = diesel::sql_query(if self.is_sqlite() {
            "SELECT sqlite_version() AS version"
        } else {
            "SELECT current_setting('server_version') AS version"
        });
        let version = if self.is_sqlite() {
            version(query.get_result(&mut SqliteConnection::establish(":memory:").unwrap()).unwrap())
        } else {
            version(query.get_result(&mut PgConnection::establish(&self.database_url).unwrap()).unwrap())
        };
        format!("{} {version}", self.database())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_sqlite() {
            drop_tables(&self.database_url);
            take_down(&Standing::Tables(self.database_url.clone()));
        }
        take_down(&Standing::Directory(self.directory.path().to_owned()));
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

fn refuse_tables(url: &str) -> Result<(), String> {
    let unusable = |error: String| format!("The PostgreSQL database cannot be used: {error}");
    let mut connection = PgConnection::establish(url).map_err(|error| unusable(error.to_string()))?;
    let query = "SELECT count(*) AS n FROM information_schema.tables WHERE table_schema = 'public'";
    let tables: Number =
        diesel::sql_query(query).get_result(&mut connection).map_err(|error| unusable(error.to_string()))?;
    if tables.n == 0 { Ok(()) } else { Err("The PostgreSQL database has tables; name an empty one.".to_owned()) }
}

/// Leaves a database of somebody else as it was found: without tables.
fn drop_tables(url: &str) {
    let emptied = PgConnection::establish(url).map(|mut connection| {
        connection.batch_execute("SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    });
    if !matches!(emptied, Ok(Ok(()))) {
        eprintln!("the PostgreSQL database could not be emptied");
    }
}

impl Server {
    fn start(mut command: Command, port: u16, log: PathBuf, ready: &str) -> Server {
        let started = Instant::now();
        // Appended to, so that it can be emptied under the server.
        let file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap();
        put_up(Standing::Process(child.id()));
        let mut server = Server { child, port, log, start: Duration::ZERO };
        while !is_ready(port, ready) {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "the server has ended: {}", fs::read_to_string(&server.log).unwrap());
            assert!(started.elapsed() < Duration::from_secs(120), "the server does not start");
            sleep(Duration::from_millis(1));
        }
        server.start = started.elapsed();
        server
    }

    /// Empties the log: it would fill the disk in the end.
    pub fn empty_log(&self) {
        File::options().write(true).open(&self.log).and_then(|file| file.set_len(0)).unwrap();
    }

    /// Seconds of CPU that it has used (Linux).
    pub fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(self.about("stat")).unwrap_or_default();
        let behind_name = stat.rsplit(") ").next().unwrap_or_default();
        let ticks: f64 = behind_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        ticks / 100.0
    }

    /// Mebibytes of memory that it holds (Linux).
    pub fn memory(&self) -> f64 {
        self.mebibytes("VmRSS:")
    }

    /// Mebibytes of memory that it held at most since [`Server::forget_peak`] (Linux).
    pub fn peak(&self) -> f64 {
        self.mebibytes("VmHWM:")
    }

    /// From now on the peak is that of what comes (Linux).
    pub fn forget_peak(&self) {
        let _ = fs::write(self.about("clear_refs"), "5");
    }

    fn mebibytes(&self, line: &str) -> f64 {
        let status = fs::read_to_string(self.about("status")).unwrap_or_default();
        let found = status.lines().find_map(|one| one.strip_prefix(line));
        let kilobytes = found.and_then(|found| found.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kilobytes.unwrap_or_default() / 1024.0
    }

    fn about(&self, what: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(what)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
        take_down(&Standing::Process(self.child.id()));
    }
}

fn is_ready(port: u16, path: &str) -> bool {
    let address = ([127, 0, 0, 1], port).into();
    if std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        return false;
    }
    // Not below the base path, as every other request.
    let text = String::from_utf8(request("GET", path, "", None)).unwrap().replacen("/scim/v2", "", 1);
    Connection::to(port).send(text.as_bytes()).status == 200
}

/// The bytes of the program.
pub fn program_size() -> u64 {
    fs::metadata(PROGRAM).unwrap().len()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
