//! One connection, whichever the backend: the only file that names SQLite or PostgreSQL.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::r2d2::R2D2Connection;
use diesel::sql_types::{BigInt, Bool};
use diesel_migrations::{EmbeddedMigrations, HarnessWithOutput, MigrationHarness, embed_migrations};

use super::error::from_diesel;
use super::sql::Sql;
use crate::scim::{Error, ErrorKind, Result};

const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// A connection to either backend; queries are written once and run on both.
#[derive(diesel::MultiConnection)]
pub enum Connection {
    /// The embedded default.
    Sqlite(SqliteConnection),
    /// For several processes on one database.
    Postgres(PgConnection),
}

/// Where the data is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file: `sqlite:/var/lib/scimd/scimd.db`.
    Sqlite(PathBuf),
    /// A server: `postgres://user:password@host/database`, as libpq reads it.
    Postgres(String),
}

impl FromStr for DatabaseUrl {
    type Err = Error;

    /// # Errors
    /// `invalidValue`, with a sentence that says what to write instead.
    fn from_str(text: &str) -> Result<Self> {
        let usage = "write sqlite:<file>, or postgres://<user>:<password>@<host>/<database>";
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(Error::new(ErrorKind::InvalidValue, format!("The database URL names no file; {usage}.")));
            }
            return Ok(DatabaseUrl::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(DatabaseUrl::Postgres(text.to_owned()));
        }
        let scheme = text.split_once(':').map_or("no scheme", |(scheme, _)| scheme);
        Err(Error::new(
            ErrorKind::InvalidValue,
            format!("The database URL has {scheme} where sqlite or postgres is expected; {usage}."),
        ))
    }
}

/// Without the password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseUrl::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            DatabaseUrl::Postgres(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
                let rest = rest.split('?').next().unwrap_or_default();
                match rest.rsplit_once('@') {
                    Some((user, host)) => write!(f, "{scheme}://{}@{host}", user.split(':').next().unwrap_or_default()),
                    None => write!(f, "{scheme}://{rest}"),
                }
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A consistent view.
    Read,
    /// Changes.
    Write,
}

impl Connection {
    /// What makes a SELECT keep its rows from others until the transaction ends. SQLite has one writer anyway.
    pub fn lock_clause(&self) -> &'static str {
        match self {
            Connection::Sqlite(_) => "",
            Connection::Postgres(_) => " FOR UPDATE",
        }
    }

    /// The function `f(text, part)` that is above zero if the text contains the part.
    pub fn position_function(&self) -> &'static str {
        match self {
            Connection::Sqlite(_) => "instr",
            Connection::Postgres(_) => "strpos",
        }
    }

    /// Begins a transaction. SQLite takes its write lock at once: one that reads first and then writes fails with
    /// "database is locked" whatever the timeout.
    pub(super) fn begin(&mut self, purpose: Purpose) -> Result<()> {
        let begun = match (self, purpose) {
            (Connection::Sqlite(connection), Purpose::Read) => {
                AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN")
            }
            (Connection::Sqlite(connection), Purpose::Write) => {
                AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")
            }
            (Connection::Postgres(connection), Purpose::Read) => AnsiTransactionManager::begin_transaction_sql(
                connection,
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            ),
            (Connection::Postgres(connection), Purpose::Write) => {
                AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN ISOLATION LEVEL READ COMMITTED")
            }
        };
        begun.map_err(from_diesel)
    }

    /// Makes the changes of the transaction last.
    pub(super) fn commit(&mut self) -> Result<()> {
        <Self as diesel::Connection>::TransactionManager::commit_transaction(self).map_err(from_diesel)
    }

    /// Ends the transaction without its changes.
    pub(super) fn rollback(&mut self) -> Result<()> {
        <Self as diesel::Connection>::TransactionManager::rollback_transaction(self).map_err(from_diesel)
    }

    /// Applies what is missing of the embedded migrations. Several processes may start at once: one does the work, the
    /// others wait for it.
    pub(super) fn migrate(&mut self) -> Result<Vec<String>> {
        match self {
            Connection::Sqlite(_) => {
                self.begin(Purpose::Write)?;
                let applied = self.run_migrations();
                if applied.is_err() {
                    self.rollback()?;
                    return applied;
                }
                self.commit()?;
                applied
            }
            Connection::Postgres(connection) => {
                connection.batch_execute(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})")).map_err(from_diesel)?;
                let applied = self.run_migrations();
                self.batch_execute(&format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})")).map_err(from_diesel)?;
                applied
            }
        }
    }

    fn run_migrations(&mut self) -> Result<Vec<String>> {
        let applied = match self {
            Connection::Sqlite(connection) => {
                HarnessWithOutput::new(connection, std::io::sink()).run_pending_migrations(SQLITE_MIGRATIONS).map(names)
            }
            Connection::Postgres(connection) => {
                HarnessWithOutput::new(connection, std::io::sink()).run_pending_migrations(POSTGRES_MIGRATIONS).map(names)
            }
        };
        applied.map_err(|source| Error::internal(source.to_string()))
    }

    /// The embedded migrations that the database does not have.
    pub(super) fn pending_migrations(&mut self) -> Result<Vec<String>> {
        let pending = match self {
            Connection::Sqlite(connection) => {
                connection.pending_migrations(SQLITE_MIGRATIONS).map(|pending| names(pending.iter().map(|m| m.name())))
            }
            Connection::Postgres(connection) => connection
                .pending_migrations(POSTGRES_MIGRATIONS)
                .map(|pending| names(pending.iter().map(|m| m.name()))),
        };
        pending.map_err(|source| Error::internal(source.to_string()))
    }
}

/// Any number, the same in every process.
const MIGRATION_LOCK: i64 = 7_643_764_420;

fn names<T: ToString>(migrations: impl IntoIterator<Item = T>) -> Vec<String> {
    migrations.into_iter().map(|migration| migration.to_string()).collect()
}

/// Opens connections by the scheme of the URL. (The derived `establish` of diesel tries one backend after the other and
/// can turn a mistyped URL into a new file.)
#[derive(Debug, Clone)]
pub(super) struct Connector {
    url: DatabaseUrl,
    busy_timeout: Duration,
}

impl Connector {
    pub(super) fn new(url: DatabaseUrl, busy_timeout: Duration) -> Connector {
        Connector { url, busy_timeout }
    }

    pub(super) fn is_sqlite(&self) -> bool {
        matches!(self.url, DatabaseUrl::Sqlite(_))
    }

    /// # Errors
    /// `Unavailable`, with a sentence that says what to do.
    pub(super) fn open(&self) -> Result<Connection> {
        match &self.url {
            DatabaseUrl::Sqlite(path) => self.open_sqlite(path),
            DatabaseUrl::Postgres(url) => self.open_postgres(url),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is where connections are opened")]
    fn open_sqlite(&self, path: &std::path::Path) -> Result<Connection> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|source| self.unreachable(source))?;
        }
        let path = path.to_str().ok_or_else(|| self.unreachable("the path is not UTF-8"))?;
        let mut connection = SqliteConnection::establish(path).map_err(|source| self.unreachable(source))?;
        // In this order: nothing can be locked out before there is a timeout.
        let pragmas = format!(
            "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA cache_size = -8000; PRAGMA mmap_size = 268435456; PRAGMA temp_store = MEMORY;",
            self.busy_timeout.as_millis()
        );
        connection.batch_execute(&pragmas).map_err(|source| self.unreachable(source))?;
        Ok(Connection::Sqlite(connection))
    }

    #[expect(clippy::disallowed_methods, reason = "this is where connections are opened")]
    fn open_postgres(&self, url: &str) -> Result<Connection> {
        let mut connection = PgConnection::establish(url).map_err(|source| self.unreachable(source))?;
        connection
            .batch_execute("SET application_name = 'scimd'; SET lc_messages = 'C'; SET client_min_messages = warning")
            .or_else(|_| connection.batch_execute("SET application_name = 'scimd'"))
            .map_err(|source| self.unreachable(source))?;
        Ok(Connection::Postgres(connection))
    }

    fn unreachable(&self, source: impl fmt::Display) -> Error {
        let advice = match self.url {
            DatabaseUrl::Sqlite(_) => "check that the directory exists and that this user may write to it",
            DatabaseUrl::Postgres(_) => "check that the server runs, and host, user, password and database in the URL",
        };
        let source = source.to_string();
        let cause = source.trim().lines().next().unwrap_or_default().to_owned();
        Error::new(ErrorKind::Unavailable, format!("The database {} can't be opened ({cause}); {advice}.", self.url))
            .with_source(source)
    }
}

impl r2d2::ManageConnection for Connector {
    type Connection = Connection;
    type Error = Error;

    fn connect(&self) -> Result<Connection> {
        self.open()
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<()> {
        connection.ping().map_err(from_diesel)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_broken()
    }
}

/// Whether the database answers.
pub(super) fn answers(connection: &mut Connection) -> Result<()> {
    let one: Sql<BigInt> = Sql::new("SELECT CAST(1 AS BIGINT)");
    one.get_result::<i64>(connection).map(|_| ()).map_err(from_diesel)
}

/// Whether the database takes changes: not a standby of PostgreSQL.
pub(super) fn takes_changes(connection: &mut Connection) -> Result<bool> {
    if let Connection::Sqlite(_) = connection {
        return Ok(true);
    }
    let writable: Sql<Bool> = Sql::new("SELECT NOT pg_is_in_recovery()");
    writable.get_result(connection).map_err(from_diesel)
}
