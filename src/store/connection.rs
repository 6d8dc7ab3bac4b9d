//! Connections to either database: opening, pragmas, transactions, the pool. The only file that names a backend.
//!
//! The backend is chosen by the scheme of the URL. diesel's derived `establish` would try one after the other, swallow the
//! real error and turn a mistyped PostgreSQL URL into a new SQLite file; nobody calls it.

use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::Connection as _;
use diesel::connection::{
    AnsiTransactionManager, SimpleConnection, TransactionDepthChange, TransactionManager, TransactionManagerStatus,
    ValidTransactionManagerStatus,
};
use diesel::prelude::*;
use diesel::query_dsl::methods::LoadQuery;
use diesel::result::Error as DatabaseError;
use diesel::sql_types::{BigInt, Integer, Text};

use super::database_url::{DatabaseUrl, password_of};
use super::error;
use super::standing::{Question, Standing};
use crate::scim::{Error, ErrorKind, Result};

pub use self::either::{AnyConnection as Connection, MultiBackend};

/// A module of its own because the derived code takes diesel's trait `Connection` for the only thing of that name around.
#[expect(missing_docs, clippy::disallowed_methods, reason = "what the derive makes is diesel's to explain")]
mod either {
    use diesel::{PgConnection, SqliteConnection};

    /// A connection to either database; diesel queries on it are written once.
    ///
    /// What it cannot express runs on the inner connection through `each_backend!`. diesel's trait of the same name is
    /// brought in with `use diesel::Connection as _`.
    #[derive(diesel::MultiConnection)]
    pub enum AnyConnection {
        /// A file on this machine.
        Sqlite(SqliteConnection),
        /// A server.
        Postgres(PgConnection),
    }
}

/// Runs one expression on the inner connection, whichever it is: `each_backend!(conn, c => query.execute(c))`.
///
/// A leaf for what `Connection` cannot express: one query, no logic.
macro_rules! each_backend {
    ($connection:expr, $inner:ident => $query:expr) => {
        match $connection {
            $crate::store::connection::Connection::Sqlite($inner) => $query,
            $crate::store::connection::Connection::Postgres($inner) => $query,
        }
    };
}
pub(crate) use each_backend;

/// The backend of databases that take a list of values as one ([`Connection::takes_lists`]).
pub(super) type WithLists = diesel::pg::Pg;

/// A connection to one of them.
pub(super) type ConnectionWithLists = PgConnection;

/// A query whose rows are read alike from either database.
pub trait Reads<'query, U>: LoadQuery<'query, SqliteConnection, U> + LoadQuery<'query, PgConnection, U> {}

impl<'query, U, Q> Reads<'query, U> for Q where
    Q: LoadQuery<'query, SqliteConnection, U> + LoadQuery<'query, PgConnection, U>
{
}

impl Connection {
    /// Whether the database runs in this process. Then a statement costs no round trip: several small ones that stay prepared
    /// are cheaper than one that writes several tables or has a text of its own.
    pub(super) fn is_at_hand(&self) -> bool {
        matches!(self, Connection::Sqlite(_))
    }

    /// Whether a row that will be changed must be locked by name (`FOR UPDATE`). SQLite's writer is alone from BEGIN on.
    pub fn locks_rows(&self) -> bool {
        matches!(self, Connection::Postgres(_))
    }

    /// Whether one statement can write several tables, which spares a round trip for each. SQLite's cannot, and makes none.
    pub(super) fn writes_at_once(&self) -> bool {
        matches!(self, Connection::Postgres(_))
    }

    /// Whether many rows go to the database as a list of values for each column: one text, whatever their number, which stays
    /// prepared. SQLite has no lists, and is at hand.
    pub(super) fn takes_lists(&self) -> bool {
        matches!(self, Connection::Postgres(_))
    }

    /// Runs a statement with lists.
    pub(super) fn on_lists<T>(
        &mut self,
        statement: impl FnOnce(&mut ConnectionWithLists) -> QueryResult<T>,
    ) -> QueryResult<T> {
        match self {
            Connection::Sqlite(_) => Err(DatabaseError::QueryBuilderError("SQLite takes no lists".into())),
            Connection::Postgres(c) => statement(c),
        }
    }

    /// Whether a column holds values of its own type alone. SQLite's take any.
    pub(super) fn keeps_types(&self) -> bool {
        matches!(self, Connection::Postgres(_))
    }

    /// The beginning of an INSERT whose failure undoes more than the statement. SQLite keeps a copy of each page that a
    /// statement of several rows writes, or one that sets off triggers, to undo the statement alone; told that what is written
    /// stays, it keeps none, as long as no trigger aborts and no foreign key is looked up (`0009_insertion`). A row that is
    /// refused is so before anything of it is written.
    pub(super) fn insertion(&self) -> &'static str {
        if self.is_at_hand() { "INSERT OR FAIL" } else { "INSERT" }
    }

    /// What makes a SELECT keep its rows from other changes until the transaction ends. Others may still refer to them.
    pub(super) fn lock_clause(&self) -> &'static str {
        if self.locks_rows() { " FOR NO KEY UPDATE" } else { "" }
    }

    /// What makes a SELECT keep its rows from everybody until the transaction ends, those who would refer to them
    /// included: they are about to be deleted.
    pub(super) fn deletion_clause(&self) -> &'static str {
        if self.locks_rows() { " FOR UPDATE" } else { "" }
    }

    /// What makes a SELECT keep its rows as they are until the transaction ends.
    pub(super) fn share_clause(&self) -> &'static str {
        if self.locks_rows() { " FOR SHARE" } else { "" }
    }

    /// The same, and passes over what another transaction keeps to itself, where [`Self::share_clause`] would wait for it.
    pub(super) fn share_at_once_clause(&self) -> &'static str {
        if self.locks_rows() { " FOR SHARE SKIP LOCKED" } else { "" }
    }

    /// What makes a SELECT of rows that will be referred to wait for, and see, a deletion under way.
    pub(super) fn reference_clause(&self) -> &'static str {
        if self.locks_rows() { " FOR KEY SHARE" } else { "" }
    }

    /// What makes text that is no column compare byte by byte, as the columns do.
    pub(super) fn bytewise(&self) -> &'static str {
        match self {
            Connection::Sqlite(_) => "",
            Connection::Postgres(_) => " COLLATE \"C\"",
        }
    }

    /// The function `f(text, part)` that is above zero where the text contains the part.
    pub(super) fn position_function(&self) -> &'static str {
        match self {
            Connection::Sqlite(_) => "instr",
            Connection::Postgres(_) => "strpos",
        }
    }

    /// What stands in front of and behind a condition that joins `group_members gm` to the rows of a recursion, row by row
    /// through its index. Neither database can foresee how many rows a recursion has: PostgreSQL would rather read the
    /// whole table for each level, SQLite once for each query. A CROSS JOIN keeps its order.
    pub(super) fn memberships_of_each(&self) -> [&'static str; 2] {
        match self {
            Connection::Sqlite(_) => [" CROSS JOIN group_members gm ON ", ""],
            Connection::Postgres(_) => [" CROSS JOIN LATERAL (SELECT * FROM group_members gm WHERE ", " OFFSET 0) gm"],
        }
    }

    /// Begins a transaction that sees one moment of the database.
    pub(super) fn begin_read(&mut self) -> QueryResult<()> {
        match self {
            Connection::Sqlite(c) => begin_prepared(c),
            Connection::Postgres(c) => {
                AnsiTransactionManager::begin_transaction_sql(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            }
        }
    }

    /// Ends the transaction of [`Self::begin_read`], whatever its work has left open.
    pub(super) fn end_read(&mut self) -> QueryResult<()> {
        let has_ended = match self {
            Connection::Sqlite(c) => rollback_prepared(c),
            Connection::Postgres(_) => false,
        };
        if has_ended { Ok(()) } else { self.rollback() }
    }

    /// Begins a transaction that may write; on SQLite it holds the write lock from here on, or fails as busy when another
    /// process keeps the lock for longer than `patience`.
    pub(super) fn begin_write(&mut self, patience: Duration) -> QueryResult<()> {
        match self {
            Connection::Sqlite(c) => begin_immediate(c, patience),
            Connection::Postgres(c) => {
                AnsiTransactionManager::begin_transaction_sql(c, "BEGIN ISOLATION LEVEL READ COMMITTED")
            }
        }
    }

    /// The same on PostgreSQL, for a transaction that serves several: it waits for nobody's lock for long. SQLite's writer
    /// has no others to wait for.
    pub(super) fn begin_hasty_write(&mut self) -> QueryResult<()> {
        match self {
            Connection::Sqlite(_) => self.begin_write(Duration::ZERO),
            Connection::Postgres(c) => AnsiTransactionManager::begin_transaction_sql(
                c,
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '100ms'",
            ),
        }
    }

    /// Ends the transaction and keeps its changes.
    pub(super) fn commit(&mut self) -> QueryResult<()> {
        match self {
            Connection::Sqlite(c) => AnsiTransactionManager::commit_transaction(c),
            // In a transaction that a failed statement has spoilt, COMMIT alone reports success and keeps nothing. The
            // statement before it fails there instead, at no further round trip.
            Connection::Postgres(c) => c
                .batch_execute("SELECT 1; COMMIT")
                .inspect_err(|_| drop(AnsiTransactionManager::rollback_transaction(c))),
        }
    }

    /// Ends the transaction without its changes, whatever savepoints are open.
    pub(super) fn rollback(&mut self) -> QueryResult<()> {
        self.rollback_to_depth(0)
    }

    /// Rolls savepoints back that a panic has left open, until `depth` levels of transaction remain.
    pub(super) fn rollback_to_depth(&mut self, depth: u32) -> QueryResult<()> {
        while self.depth()? > depth {
            Connection::rollback_transaction(self)?;
        }
        Ok(())
    }

    /// Runs `work` within a transaction so that, if it fails, nothing of it is left and the transaction goes on.
    ///
    /// The savepoint is our own and not one of diesel's, for the reason that the writer has.
    ///
    /// # Errors
    /// That of the work. A failure that is not the caller's is for the whole transaction, which is then left as it is.
    pub fn savepoint<T>(&mut self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        self.batch_execute("SAVEPOINT operation")?;
        let outcome = work(self);
        match &outcome {
            Ok(_) => self.batch_execute("RELEASE operation")?,
            Err(error) if error.kind().is_the_callers() => {
                self.batch_execute("ROLLBACK TO operation; RELEASE operation")?;
            }
            Err(_) => {}
        }
        outcome
    }

    fn depth(&mut self) -> QueryResult<u32> {
        let depth = Connection::transaction_manager_status_mut(self).transaction_depth()?;
        Ok(depth.map_or(0, std::num::NonZero::get))
    }

    /// Whether the connection is of no more use: broken, or left inside a transaction.
    pub(super) fn is_spent(&mut self) -> bool {
        Connection::is_broken_transaction_manager(self)
    }

    /// Lets one process at a time migrate; released with the transaction. SQLite's write lock does that already.
    pub(super) fn lock_migrations(&mut self) -> QueryResult<()> {
        match self {
            Connection::Sqlite(_) => Ok(()),
            Connection::Postgres(c) => c.batch_execute(
                "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
                 SELECT pg_advisory_xact_lock(hashtext('scimd migrations of ' || current_schema()))",
            ),
        }
    }

    /// Lets one transaction at a time add to what there may be so much of and no more; released with the transaction.
    /// SQLite's write lock does that already.
    pub(super) fn lock_limit(&mut self, tenant_id: i64, resource_type: &str) -> QueryResult<()> {
        let Connection::Postgres(c) = self else { return Ok(()) };
        let lock = diesel::sql_query(
            "SELECT pg_advisory_xact_lock(hashtextextended('scimd limit of ' || current_schema() || ' ' || $1 || ' ' || $2, 0))",
        );
        lock.bind::<BigInt, _>(tenant_id).bind::<Text, _>(resource_type).execute(c).map(drop)
    }

    /// Lets this transaction take as long as it needs, at work and between its statements.
    pub(super) fn take_time(&mut self) -> QueryResult<()> {
        match self {
            Connection::Sqlite(_) => Ok(()),
            Connection::Postgres(c) => c.batch_execute(
                "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
                 SET LOCAL idle_in_transaction_session_timeout = 0",
            ),
        }
    }

    /// Lets this transaction wait for others as long as a statement may take.
    pub(super) fn wait_for_others(&mut self) -> QueryResult<()> {
        match self {
            Connection::Sqlite(_) => Ok(()),
            Connection::Postgres(c) => c.batch_execute("SET LOCAL lock_timeout = 0"),
        }
    }

    /// Which transactions may still commit what this one does not see. Gives this one a number of its own on PostgreSQL,
    /// since only that is above all that were given: the end of a snapshot is above those that have ended, and no more.
    pub(super) fn in_flight(&mut self) -> QueryResult<InFlight> {
        match self {
            Connection::Sqlite(_) => Ok(InFlight { oldest: i64::MAX, next: 0 }),
            Connection::Postgres(c) => diesel::sql_query(
                "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest, \
                 pg_current_xact_id()::text::bigint AS next",
            )
            .get_result(c),
        }
    }

    /// Moves what is in SQLite's log into the file and empties the log, where old contents would outlast their erasure;
    /// whether nobody was in the way. Outside of transactions.
    pub(super) fn empty_log(&mut self) -> QueryResult<bool> {
        Ok(self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")?.busy == 0)
    }

    /// How long SQLite's log is.
    pub(super) fn log(&mut self) -> QueryResult<Log> {
        self.checkpoint("PRAGMA wal_checkpoint(NOOP)")
    }

    /// Copies into the file what of SQLite's log is not there, as far as no reader needs it elsewhere. The file is synced only
    /// if that is all of it, and nothing was committed meanwhile. Outside of transactions.
    pub(super) fn carry_log_over(&mut self) -> QueryResult<Log> {
        self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)")
    }

    fn checkpoint(&mut self, statement: &'static str) -> QueryResult<Log> {
        match self {
            Connection::Sqlite(c) => diesel::sql_query(statement).get_result(c),
            Connection::Postgres(_) => Ok(Log::default()),
        }
    }

    /// Whether a table of this name is there.
    pub(super) fn has_table(&mut self, name: &str) -> QueryResult<bool> {
        let query = match self {
            Connection::Sqlite(_) => "SELECT count(*) AS count FROM sqlite_master WHERE type = 'table' AND name = ?",
            Connection::Postgres(_) => "SELECT count(*) AS count FROM pg_class WHERE oid = to_regclass($1)",
        };
        let found: Count = each_backend!(self, c => diesel::sql_query(query).bind::<Text, _>(name).get_result(c))?;
        Ok(found.count > 0)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.locks_rows() { "Connection::Postgres" } else { "Connection::Sqlite" })
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// The numbers of transactions that write, at one moment. SQLite writes one after the other: nobody is ever in flight.
#[derive(Debug, Clone, Copy, QueryableByName)]
pub(super) struct InFlight {
    /// All below this one have ended, and what they committed is seen.
    #[diesel(sql_type = BigInt)]
    pub(super) oldest: i64,
    /// Above all that anybody had when the snapshot was taken.
    #[diesel(sql_type = BigInt)]
    pub(super) next: i64,
}

/// SQLite's log, in pages; there is none on PostgreSQL.
#[derive(Debug, Clone, Copy, Default, QueryableByName)]
pub(super) struct Log {
    /// Whether somebody was in the way.
    #[diesel(sql_type = Integer)]
    busy: i32,
    /// How many there are.
    #[diesel(sql_type = Integer, column_name = log)]
    pub(super) length: i32,
    /// How many of them are in the file.
    #[diesel(sql_type = Integer, column_name = checkpointed)]
    pub(super) carried: i32,
}

impl Log {
    /// How many of them are not in the file.
    pub(super) fn left(self) -> i32 {
        self.length - self.carried
    }
}

#[derive(QueryableByName)]
struct JournalMode {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

/// SQLite's own waiting sleeps up to 100 ms between two looks at the lock and so hardly ever meets the short gap between
/// two group commits of another process. Looking often is what makes a command beside a busy server get its turn.
fn begin_immediate(connection: &mut SqliteConnection, patience: Duration) -> QueryResult<()> {
    const PAUSE: Duration = Duration::from_micros(300);
    let start = Instant::now();
    loop {
        match AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE") {
            Err(failure) if error::is_busy(&failure) && start.elapsed() < patience => std::thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
}

/// SQLite's BEGIN and ROLLBACK around a read. diesel's manager of transactions has each text compiled anew, which takes longer
/// than the look-up between them; it is told of both, since it knows what is open.
struct Begin;
struct Rollback;

impl Question for Begin {
    type Row = ();
    const TEXT: &'static [&'static str] = &["BEGIN"];
}

impl Question for Rollback {
    type Row = ();
    const TEXT: &'static [&'static str] = &["ROLLBACK"];
}

fn begin_prepared(connection: &mut SqliteConnection) -> QueryResult<()> {
    if transactions(connection)?.transaction_depth().is_some() {
        return Err(DatabaseError::AlreadyInTransaction);
    }
    Standing::new(Begin, []).execute(connection)?;
    transactions(connection)?.change_transaction_depth(TransactionDepthChange::IncreaseDepth)
}

/// Whether nothing but the transaction itself was open, and it has ended. SQLite may have ended it after a failure.
fn rollback_prepared(connection: &mut SqliteConnection) -> bool {
    let depth = transactions(connection).map_or(None, |open| open.transaction_depth());
    if depth != Some(NonZeroU32::MIN) || Standing::new(Rollback, []).execute(connection).is_err() {
        return false;
    }
    let end = TransactionDepthChange::DecreaseDepth;
    transactions(connection).and_then(|open| open.change_transaction_depth(end)).is_ok()
}

/// Which transactions diesel's manager takes for open.
fn transactions(connection: &mut SqliteConnection) -> QueryResult<&mut ValidTransactionManagerStatus> {
    match AnsiTransactionManager::transaction_manager_status_mut(connection) {
        TransactionManagerStatus::Valid(open) => Ok(open),
        TransactionManagerStatus::InError => Err(DatabaseError::BrokenTransactionManager),
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// One of many; on SQLite it cannot write.
    Pool,
    /// SQLite's single writer; migrations on either.
    Writer,
}

/// Opens connections; the pool's way to new ones.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) url: DatabaseUrl,
    pub(super) busy_timeout: Duration,
    pub(super) as_it_is: bool,
}

impl Connector {
    /// A connection, set up for its purpose; or [`ErrorKind::Unavailable`] with a sentence that tells an operator what to do.
    pub(super) fn open(&self, purpose: Purpose) -> Result<Connection> {
        match &self.url {
            DatabaseUrl::Sqlite(file) => self.open_sqlite(file, purpose).map(Connection::Sqlite),
            DatabaseUrl::Postgres(url) => self.open_postgres(url).map(Connection::Postgres),
        }
    }

    fn open_sqlite(&self, file: &Path, purpose: Purpose) -> Result<SqliteConnection> {
        match self.as_it_is {
            true => check_existence(file)?,
            false => create_if_missing(file)?,
        }
        let unusable = |cause: String| {
            let detail = format!(
                "The SQLite database {} cannot be opened ({cause}); \
                 check that it is a database of scimd and that this user may write to it and to its directory.",
                file.display()
            );
            Error::new(ErrorKind::Unavailable, detail)
        };
        // An absolute path never looks like one of SQLite's `file:` URIs.
        let path = std::path::absolute(file).map_err(|cause| unusable(cause.to_string()))?;
        let path = path.to_str().ok_or_else(|| unusable("its path is not UTF-8".to_owned()))?;
        #[expect(clippy::disallowed_methods, reason = "this is where connections are opened")]
        let mut connection = SqliteConnection::establish(path).map_err(|cause| unusable(cause.to_string()))?;
        self.set_pragmas(&mut connection, purpose).map_err(|cause| unusable(cause.to_string()))?;
        Ok(connection)
    }

    /// Page caches come to 1 MiB for each reader and 8 MiB for the writer: twice as much makes neither faster, for the operating
    /// system keeps the file as well. The file is not mapped into memory: each connection's map would count once more towards
    /// the process.
    ///
    /// No statistics are gathered: those of the first migration stand for a large store, and the plans stay the same.
    fn set_pragmas(&self, connection: &mut SqliteConnection, purpose: Purpose) -> QueryResult<()> {
        connection.batch_execute(&format!("PRAGMA busy_timeout = {}", self.busy_timeout.as_millis()))?;
        if !self.as_it_is {
            self.use_write_ahead_log(connection)?;
        }
        connection.batch_execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY")?;
        connection.batch_execute(match purpose {
            Purpose::Pool => "PRAGMA cache_size = -1024; PRAGMA query_only = ON",
            // The log is carried over by a thread of its own (`Checkpointer`). One grown beyond 64 MiB under a long read shrinks
            // again.
            // The short timeout leaves the waiting for the lock to `begin_immediate`.
            // What is deleted is overwritten: it may be what somebody has a right to have erased.
            Purpose::Writer => {
                "PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 0; \
                 PRAGMA journal_size_limit = 67108864; PRAGMA busy_timeout = 1; PRAGMA secure_delete = ON"
            }
        })
    }

    /// SQLite does not wait for its busy timeout when two connections change the mode of a new file at once.
    fn use_write_ahead_log(&self, connection: &mut SqliteConnection) -> QueryResult<()> {
        let start = Instant::now();
        loop {
            match diesel::sql_query("PRAGMA journal_mode = WAL").get_result::<JournalMode>(connection) {
                Ok(mode) if mode.journal_mode == "wal" => return Ok(()),
                Ok(_) => {
                    let cause = "this file system does not support SQLite's write-ahead log";
                    return Err(DatabaseError::QueryBuilderError(cause.into()));
                }
                Err(failure) if error::is_busy(&failure) && start.elapsed() < self.busy_timeout => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn open_postgres(&self, url: &str) -> Result<PgConnection> {
        #[expect(clippy::disallowed_methods, reason = "this is where connections are opened")]
        let mut connection = PgConnection::establish(&with_connect_timeout(url))
            .map_err(|cause| unreachable_postgres(&self.url, url, &cause.to_string()))?;
        let settings = format!("{POSTGRES_SETTINGS}; SET lock_timeout = {}", self.busy_timeout.as_millis());
        connection
            .batch_execute(&settings)
            .map_err(|cause| unreachable_postgres(&self.url, url, &cause.to_string()))?;
        Ok(connection)
    }
}

/// The database holds personal data: a new file is the owner's alone, and SQLite gives its companions the same mode.
///
/// An existing file is not touched: closing it here would drop the locks that this process holds on it.
fn create_if_missing(file: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Ok(_) => Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => {
            let advice = match cause.kind() {
                std::io::ErrorKind::NotFound => "create its directory first, or name another file",
                std::io::ErrorKind::PermissionDenied => "let this user write to its directory, or name another file",
                _ => "name another file",
            };
            let detail = format!("The SQLite database {} cannot be created ({cause}); {advice}.", file.display());
            Err(Error::new(ErrorKind::Unavailable, detail).with_source(cause))
        }
    }
}

/// SQLite would make what is not there.
fn check_existence(file: &Path) -> Result<()> {
    let cause = match file.metadata() {
        Ok(_) => return Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            let detail = format!(
                "The SQLite database {} is not there; start scimd once, which makes it, or name another file.",
                file.display()
            );
            return Err(Error::new(ErrorKind::Unavailable, detail));
        }
        Err(cause) => cause,
    };
    let detail = format!("The SQLite database {} cannot be looked at ({cause}).", file.display());
    Err(Error::new(ErrorKind::Unavailable, detail).with_source(cause))
}

/// Errors are told apart by their English text where diesel has no kind for them; only superusers may choose the language,
/// so elsewhere a deadlock on a server that speaks another one is reported as our fault instead of run again.
///
/// To compile a query never pays here: what PostgreSQL takes for expensive are recursions, whose rows it can't foresee.
///
/// A plan is kept with its statement. One that was made while a table was small would read the whole of it, and do so
/// until PostgreSQL has gathered statistics, when a first synchronisation has long made it large: so every plan is one for
/// a large table, by the indexes that each of our questions has. For the same reason no two tables are merged: a plan that
/// thinks the groups stand at the beginning of a table where they stand at its end would read all that is before them.
/// A statement without a BEGIN sees what is committed by the time that it waits for, as a transaction that writes does.
const POSTGRES_SETTINGS: &str = "
    SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '60s';
    SET default_transaction_isolation = 'read committed';
    SET TIME ZONE 'UTC';
    SET jit = off;
    SET enable_seqscan = off;
    SET enable_mergejoin = off;
    SET random_page_cost = 1.1;
    SELECT set_config('application_name', 'scimd', false) WHERE current_setting('application_name') = '';
    SELECT set_config('lc_messages', 'C', false) WHERE current_setting('is_superuser') = 'on'";

/// libpq would wait for minutes for a host that does not answer.
fn with_connect_timeout(url: &str) -> String {
    if url.contains("connect_timeout=") {
        return url.to_owned();
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}connect_timeout=5")
}

fn unreachable_postgres(shown: &DatabaseUrl, url: &str, cause: &str) -> Error {
    let mut cause = cause.trim().replace('\n', " ");
    if let Some(password) = password_of(url).filter(|password| password.len() > 2) {
        cause = cause.replace(password, "***");
    }
    let advice = if cause.contains("authentication failed") || cause.contains("no password supplied") {
        "check the user name and password of the database URL"
    } else if cause.contains("database") && cause.contains("does not exist") {
        "create the database first, for example with `createdb`"
    } else if cause.contains("role") && cause.contains("does not exist") {
        "create the role first, for example with `createuser`, or name another user"
    } else if cause.contains("SSL support") || cause.contains("sslmode") {
        "build scimd with the feature `postgres-tls`, or connect without TLS"
    } else if cause.contains("too many clients") || cause.contains("connection slots") {
        "raise `max_connections` of the server, or let scimd use fewer connections"
    } else {
        "check that PostgreSQL is running and that host and port are right"
    };
    let detail = format!("PostgreSQL at {shown} cannot be used; {advice} ({cause}).");
    Error::new(ErrorKind::Unavailable, detail)
}

impl r2d2::ManageConnection for Connector {
    type Connection = Connection;
    type Error = Error;

    fn connect(&self) -> Result<Connection> {
        self.open(Purpose::Pool)
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<()> {
        Ok(connection.batch_execute("SELECT 1")?)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_spent()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_server_that_is_not_there_is_reported_with_advice_and_without_the_password() {
        let url: DatabaseUrl = "postgres://u:geheim@127.0.0.1:1/d".parse().unwrap();
        let error = Connector { url, busy_timeout: Duration::ZERO, as_it_is: false }.open(Purpose::Pool).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.detail().contains("check that PostgreSQL is running"), "{error}");
        assert!(!error.detail().contains("geheim"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_created_is_reported_with_advice() {
        let directory = tempfile::tempdir().unwrap();
        let connector = |file: PathBuf| Connector {
            url: DatabaseUrl::Sqlite(file),
            busy_timeout: Duration::from_millis(10),
            as_it_is: false,
        };
        let text = directory.path().join("text");
        std::fs::write(&text, "not a database, but long enough to be taken for one".repeat(100)).unwrap();

        let missing = connector(directory.path().join("missing/scimd.db")).open(Purpose::Pool).unwrap_err();
        let other = connector(text).open(Purpose::Pool).unwrap_err();

        assert!(missing.detail().contains("create its directory first"), "{missing}");
        assert!(other.detail().contains("check that it is a database"), "{other}");
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("scimd.db");

        let url = DatabaseUrl::Sqlite(file.clone());
        Connector { url, busy_timeout: Duration::from_secs(1), as_it_is: false }.open(Purpose::Pool).unwrap();

        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
