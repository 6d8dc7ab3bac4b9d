//! A database, a port, and scimd on them: started, killed, started again.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::http::Client;
use crate::support::postgres::free_port;

/// The scimd that is tormented: the one that was built with this, unless told otherwise.
pub static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Its path.
pub fn program() -> &'static Path {
    PROGRAM.get_or_init(|| PathBuf::from(env!("CARGO_BIN_EXE_scimd")))
}

const PATIENCE: Duration = Duration::from_secs(60);

/// Where a scimd lives: its database, its port, its key.
pub struct Place {
    pub directory: TempDir,
    pub database_url: String,
    pub port: u16,
    pub token: String,
}

impl Place {
    /// On SQLite, in a directory of its own.
    pub fn sqlite() -> Place {
        Place::sqlite_in(tempfile::tempdir().unwrap())
    }

    /// On SQLite, in `data` of that directory.
    pub fn sqlite_in(directory: TempDir) -> Place {
        let data = directory.path().join("data");
        fs::create_dir_all(&data).unwrap();
        Place::new(directory, format!("sqlite:{}", data.join("scimd.db").display()))
    }

    /// On a database that is there.
    pub fn at(database_url: &str) -> Place {
        Place::new(tempfile::tempdir().unwrap(), database_url.to_owned())
    }

    fn new(directory: TempDir, database_url: String) -> Place {
        let mut place = Place { directory, database_url, port: free_port(), token: String::new() };
        place.token = place.succeed(&["key", "create", "--name", "torture"]).trim().to_owned();
        place
    }

    /// Another process on the same database, with a port of its own.
    pub fn beside(&self) -> Place {
        let (database_url, token) = (self.database_url.clone(), self.token.clone());
        Place { directory: tempfile::tempdir().unwrap(), database_url, port: free_port(), token }
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/scim/v2", self.port)
    }

    pub fn client(&self) -> Client {
        Client::new(&self.base_url())
    }

    pub fn file(&self) -> PathBuf {
        PathBuf::from(self.database_url.strip_prefix("sqlite:").unwrap())
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.env_clear().env("HOME", self.directory.path()).env("SCIMD_DATABASE_URL", &self.database_url);
        command.current_dir(self.directory.path()).args(arguments);
        command
    }

    /// Standard output of a command that must succeed.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What `--json` prints of a command that must succeed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.succeed(arguments)).unwrap()
    }

    /// A server that is ready.
    pub fn start(&self) -> Scimd {
        self.start_by(Command::new(program()))
    }

    /// A server that another program starts, ready.
    pub fn start_by(&self, command: Command) -> Scimd {
        let mut scimd = self.spawn_by(command);
        self.wait_until_ready(&mut scimd);
        scimd
    }

    /// A server that has not begun yet.
    pub fn spawn(&self) -> Scimd {
        self.spawn_by(Command::new(program()))
    }

    fn spawn_by(&self, mut command: Command) -> Scimd {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        // Whoever runs this may have settings of his own.
        let settings = std::env::vars_os().map(|(name, _)| name);
        for name in settings.filter(|name| name.to_string_lossy().starts_with("SCIMD_")) {
            command.env_remove(name);
        }
        command.env("HOME", self.directory.path()).env("SCIMD_DATABASE_URL", &self.database_url);
        command.current_dir(self.directory.path());
        command.args(["serve", "--listen", &format!("127.0.0.1:{}", self.port), "--log-format", "json"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Scimd { child }
    }

    fn wait_until_ready(&self, scimd: &mut Scimd) {
        let client = Client::new(&format!("http://127.0.0.1:{}", self.port));
        let deadline = Instant::now() + PATIENCE;
        while !client.send("GET", "/readyz", &[], None).is_ok_and(|answer| answer.status == 200) {
            if let Ok(Some(status)) = scimd.child.try_wait() {
                panic!("scimd ended with {status}:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "scimd is not ready:\n{}", self.log());
            sleep(Duration::from_millis(2));
        }
    }

    /// How many rows of the history each resource has, as the database itself says.
    pub fn changes(&self) -> HashMap<String, usize> {
        use diesel::prelude::*;
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Text)]
            resource_id: String,
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            changes: i64,
        }
        let query = diesel::sql_query("SELECT resource_id, count(*) AS changes FROM audit GROUP BY resource_id");
        let rows: Vec<Row> = match self.database_url.strip_prefix("sqlite:") {
            Some(file) => query.load(&mut SqliteConnection::establish(file).unwrap()).unwrap(),
            None => query.load(&mut PgConnection::establish(&self.database_url).unwrap()).unwrap(),
        };
        rows.into_iter().map(|row| (row.resource_id, usize::try_from(row.changes).unwrap())).collect()
    }

    /// The last lines of the log.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        log.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Lines of the log that tell of a fault of ours: not of the disk, and not of the database.
    pub fn faults(&self) -> Vec<String> {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        let is_ours = |line: &&str| line.contains(r#""message":"request failed""#) || line.contains("panicked");
        log.lines().filter(is_ours).map(str::to_owned).collect()
    }
}

/// A running scimd.
pub struct Scimd {
    child: Child,
}

impl Scimd {
    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The end that it comes to by itself.
    pub fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            sleep(Duration::from_millis(5));
        }
        None
    }

    /// SIGTERM, and the end.
    pub fn terminate(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Scimd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
