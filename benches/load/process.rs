//! scimd as a process: its store, its port, and what the system says of it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_scimd");

/// A store of its own.
pub struct Place {
    directory: TempDir,
    pub database_url: String,
}

/// A process that serves on a port.
pub struct Server {
    child: Child,
    pub port: u16,
    /// How long it took until it answered.
    pub start: Duration,
}

impl Place {
    pub fn new(postgres: Option<&str>) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("scimd.db");
        let database_url = postgres.map_or_else(|| format!("sqlite:{}", file.display()), str::to_owned);
        Place { directory, database_url }
    }

    pub fn is_sqlite(&self) -> bool {
        self.database_url.starts_with("sqlite:")
    }

    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("HOME", self.directory.path()).env("SCIMD_DATABASE_URL", &self.database_url);
        command
    }

    /// A new key.
    pub fn token(&self) -> String {
        let output = self.command().args(["key", "create", "--name", "load"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn start(&self) -> Server {
        let port = free_port();
        let mut command = self.command();
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--log", "warn"]);
        Server::start(command, port)
    }

    /// The bytes of the database.
    pub fn size(&self) -> Option<u64> {
        let length = |name: &str| fs::metadata(self.directory.path().join(name)).map_or(0, |file| file.len());
        self.is_sqlite().then(|| length("scimd.db") + length("scimd.db-wal"))
    }

    /// Leaves a database of somebody else as it was found: without tables.
    pub fn empty(&self) {
        use diesel::connection::SimpleConnection as _;
        use diesel::prelude::*;
        if self.is_sqlite() {
            return;
        }
        let mut connection = PgConnection::establish(&self.database_url).unwrap();
        connection.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public;").unwrap();
    }
}

impl Server {
    /// The yardstick: this program itself, answering bytes.
    pub fn hello() -> Server {
        let port = free_port();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--serve-hello", &port.to_string()]);
        Server::start(command, port)
    }

    fn start(mut command: Command, port: u16) -> Server {
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "the server does not start");
            sleep(Duration::from_millis(1));
        }
        Server { child, port, start: started.elapsed() }
    }

    /// Seconds of CPU that it has used (Linux).
    pub fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let behind_name = stat.rsplit(") ").next().unwrap_or_default();
        let ticks: f64 = behind_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        ticks / 100.0
    }

    /// Megabytes of memory that it holds (Linux).
    pub fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kilobytes.unwrap_or_default() / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
