//! What we remember: SQLite or PostgreSQL behind two verbs, [`Store::read`] and [`Store::write`].
//!
//! Everything about backends, pools, locks and transactions hides behind them. A read sees one moment of the database; a
//! write is durable before its caller is answered, or has left nothing behind. Knows nothing of callers and operations.

mod backup;
mod catalog;
mod cell;
mod checkpointer;
mod commit;
mod conform;
mod connection;
mod copy;
mod database_url;
mod forms;
mod gathering;
mod heard;
mod instant;
mod limits;
mod line;
mod lists;
mod migrations;
mod rounds;
mod sql;
mod standing;
mod together;
mod totals;
mod values;
mod writer;

pub mod api_keys;
pub mod audit;
pub mod condition;
pub mod creations;
pub mod credentials;
pub mod error;
pub mod glance;
pub mod integrity;
pub mod kept;
pub mod load;
pub mod members;
pub mod resources;
pub mod revisions;
pub mod schema;
pub mod search;
mod statement;
pub mod survey;
pub mod tenants;
pub mod unique;
pub mod whole;

#[cfg(test)]
pub(crate) mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use self::commit::{CHANGES_PER_COMMIT, COMMIT_SECONDS};
pub use self::conform::Conformed;
pub use self::connection::{Connection, MultiBackend};
use self::connection::{Connector, Purpose};
pub use self::copy::CopiedTable;
pub use self::database_url::DatabaseUrl;
use self::gathering::Gathering;
use self::glance::{LookUp, Seen};
use self::heard::Losses;
use self::line::{Line, PATIENCE, busy};
use self::rounds::{Commits, Rounds};
use self::together::Joint;
pub use self::together::{Gatherer, Together};
use self::writer::Writer;
use crate::scim::{Error, ErrorKind, Result};
use crate::telemetry::traces::TRACES;
use tokio::sync::OwnedSemaphorePermit;

/// How long somebody waits first before he looks again whether a tenant is free, and how long at most.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

type Pool = r2d2::Pool<Connector>;
type Pooled = r2d2::PooledConnection<Connector>;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the database is.
    pub database_url: DatabaseUrl,
    /// How many connections to PostgreSQL there are at most.
    pub postgres_connections: u32,
    /// How many reads SQLite serves at once.
    pub readers: u32,
    /// How long a write waits while somebody else holds what it needs: SQLite's lock; on PostgreSQL a row, or the tenant.
    pub busy_timeout: Duration,
    /// How many may wait for SQLite's writer, and how many for a connection of the pool; one more is told to come back.
    pub queue_limit: usize,
    /// Whether to take the database as it is: no file is made, and none put into another mode.
    pub as_it_is: bool,
}

impl Settings {
    /// The defaults, for this database.
    pub fn new(database_url: DatabaseUrl) -> Self {
        let single_writer = database_url.has_single_writer();
        let busy_timeout = if single_writer { Duration::from_secs(5) } else { PATIENCE };
        // What commits together goes faster through the line: either is done with it within a fraction of a second.
        let queue_limit = if single_writer { 4096 } else { 1024 };
        Settings { database_url, postgres_connections: 32, readers: 8, busy_timeout, queue_limit, as_it_is: false }
    }
}

/// How much a read may have to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A few index look-ups.
    Point,
    /// Anything that grows with the number of rows.
    Scan,
}

/// Whether a write on a connection of the pool waits for a lock that another transaction has as long as anybody does, or
/// hardly at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Haste {
    Patient,
    Hasty,
}

/// How the connections of the pool are used at one moment; SQLite's writer has one beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// Those at work.
    pub busy: u32,
    /// Those that are open and wait for work.
    pub idle: u32,
    /// How many there may be.
    pub most: u32,
}

/// The database. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connector: Connector,
    pool: Pool,
    /// Bounds the reads on blocking threads and those that wait, and on SQLite leaves connections free for point reads.
    reads: Line,
    /// Bounds those of them that may take long, so that there is always room for a point read.
    scans: Line,
    /// Bounds the writes on connections of the pool and those that wait.
    writes: Line,
    /// Bounds the writes that wait for a tenant which another one keeps to itself.
    held: Line,
    /// The look-ups that wait, where each statement is a round trip.
    gathering: Arc<Gathering<LookUp>>,
    /// Where one connection does all the writing.
    writer: Option<Writer>,
    commits: Commits,
    losses: Losses,
    closed: AtomicBool,
}

impl Store {
    /// Connects to the database, without migrating it.
    ///
    /// Fails with [`ErrorKind::Unavailable`] and a sentence that tells an operator what to do: a file that cannot be created,
    /// a server that cannot be reached, credentials that are refused.
    pub fn open(settings: &Settings) -> Result<Store> {
        let Settings { database_url, busy_timeout, as_it_is, .. } = settings.clone();
        let connector = Connector { url: database_url, busy_timeout, as_it_is };
        let single_writer = connector.url.has_single_writer();
        // The pool only knows that it timed out; one connection made by hand knows why.
        let commits = Commits::default();
        let writer = match single_writer {
            true => Some(Writer::start(connector.clone(), settings.queue_limit, commits.clone())?),
            false => connector.open(Purpose::Pool).map(|_| None)?,
        };
        let size = if single_writer { settings.readers } else { settings.postgres_connections }.max(1);
        let [reads, scans, writes] = if single_writer { [size - size / 4, size - size / 4, 1] } else { shares(size) };
        Ok(Store {
            inner: Arc::new(Inner {
                pool: open_pool(connector.clone(), size, single_writer),
                connector,
                reads: Line::new(reads, settings.queue_limit),
                scans: Line::new(scans, settings.queue_limit),
                writes: Line::new(writes, settings.queue_limit),
                held: Line::new(1, settings.queue_limit),
                gathering: Gathering::new(scans),
                writer,
                commits,
                losses: Losses::default(),
                closed: AtomicBool::new(false),
            }),
        })
    }

    /// Makes or updates the tables; the names of the migrations applied, none if there was nothing to do.
    ///
    /// All of them or none; several processes may start at once. Blocks.
    pub fn migrate(&self) -> Result<Vec<String>> {
        let mut connection = self.inner.connector.open(Purpose::Writer)?;
        if migrations::pending(&mut connection)?.is_empty() {
            return Ok(Vec::new());
        }
        connection.begin_write(self.inner.connector.busy_timeout)?;
        connection.lock_migrations()?;
        let applied = migrations::apply(&mut connection)?;
        connection.commit().map_err(error::of_commit)?;
        Ok(applied)
    }

    /// Whether some scimd has made its tables here. Only reads; blocks.
    ///
    /// # Errors
    /// Database failures.
    pub fn has_tables(&self) -> Result<bool> {
        run_read(self.inner.begin_read()?, |connection| Ok(connection.has_table("tenants")?))
    }

    /// The names of the migrations that [`Store::migrate`] would apply. Blocks.
    pub fn pending_migrations(&self) -> Result<Vec<String>> {
        run_read(self.inner.begin_read()?, migrations::pending)
    }

    /// Runs `work` on one consistent snapshot of the database; it cannot write.
    ///
    /// On SQLite a [`Reach::Point`] runs in place, because the hop to another thread costs more than the read. Fails with
    /// [`ErrorKind::Busy`] at once when too many wait for a connection, and when none comes free within two seconds.
    pub async fn read<T: Send + 'static>(
        &self,
        reach: Reach,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _trace = tracing::info_span!(target: TRACES, "store.read", scimd.reach = ?reach);
        self.inner.check_open()?;
        let work = match self.inner.read_in_place(reach, work) {
            Ok(outcome) => return outcome,
            Err(work) => work,
        };
        let scan = if reach == Reach::Scan { Some(self.inner.scans.turn().await?) } else { None };
        let inner = Arc::clone(&self.inner);
        let read = move || {
            let _scan = scan;
            run_read(inner.begin_read()?, work)
        };
        self.inner.on_blocking_thread(&self.inner.reads, read).await
    }

    /// What lets the point reads that are ready at once on this thread share what SQLite does around a read, as long as it
    /// lives. For the event loop of the thread, which polls it in turn with those who ask; it never ends by itself. Where
    /// there is nothing to share it does nothing.
    ///
    /// A change that another process makes to the file is seen by whoever asks once all have been served who were ready
    /// with the first reader.
    pub fn rounds(&self) -> impl Future<Output = ()> + 'static {
        Rounds(Arc::downgrade(&self.inner))
    }

    /// Whether each statement is a round trip, so that one of them instead of a transaction is worth a [`Store::ask`].
    pub fn counts_round_trips(&self) -> bool {
        self.inner.writer.is_none()
    }

    /// Answers a question that is a single statement: it sees one moment by itself, so on PostgreSQL no transaction is begun
    /// and ended around it, at a round trip each. `None` where these cost nothing: [`Store::read`] answers there.
    ///
    /// The question may be asked more than once, when a connection turns out to be dead. Fails as [`Store::read`] does.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl Fn(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        if self.inner.writer.is_some() {
            return Ok(None);
        }
        let _trace = tracing::info_span!(target: TRACES, "store.read", scimd.reach = ?Reach::Point);
        self.inner.check_open()?;
        let inner = Arc::clone(&self.inner);
        self.inner.on_blocking_thread(&self.inner.reads, move || inner.ask(question)).await.map(Some)
    }

    /// Answers a look-up, together with others of its kind that wait: they share a round trip. `None` if it takes a transaction
    /// to tell. For where statements are round trips ([`Store::counts_round_trips`]). Fails as [`Store::read`] does.
    pub async fn look_up(&self, look_up: LookUp) -> Result<Option<Seen>> {
        let _trace = tracing::info_span!(target: TRACES, "store.read", scimd.reach = ?Reach::Point);
        self.inner.check_open()?;
        self.inner.gathered(&self.inner.gathering, look_up).await
    }

    /// Runs `work` in a transaction and answers after it is durable; on an error nothing of it is stored.
    ///
    /// The work may run more than once, each time on a fresh transaction or savepoint, when a concurrent one was in the way
    /// ([`error::again`]), and on SQLite when a neighbour in the same commit has failed; it must not change anything but the
    /// database, nor take a failure that is not the caller's for a success. On SQLite works of different callers are committed
    /// together. Once it has begun it ends, whether or not the caller still waits.
    ///
    /// Fails with [`ErrorKind::Busy`] when too many wait, and [`ErrorKind::Unavailable`] when the database is out of reach;
    /// the detail says so if the outcome is unknown. A panic of the work is [`ErrorKind::Internal`].
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _trace = tracing::info_span!(target: TRACES, "store.write");
        self.inner.check_open()?;
        if let Some(writer) = &self.inner.writer {
            return writer.write(work).await;
        }
        self.inner.write_beside(work).await
    }

    /// Where writes of one sort wait for [`Store::write_together`].
    pub fn gatherer<W: Together>(&self) -> Gatherer<W> {
        Gatherer(Gathering::new(self.inner.writes.turns()))
    }

    /// Does a write, together with others of its kind that wait: they share statements and a commit. `None` if it has to be
    /// done by itself ([`Store::write`]); nothing of it is stored then. For where statements are round trips
    /// ([`Store::counts_round_trips`]). Fails as [`Store::write`] does.
    pub async fn write_together<W: Together>(&self, gatherer: &Gatherer<W>, write: W) -> Result<Option<W::Answer>> {
        let _trace = tracing::info_span!(target: TRACES, "store.write");
        self.inner.check_open()?;
        self.inner.gathered(&gatherer.0, Joint(write)).await
    }

    /// Lets nothing that was overwritten outlast in SQLite's log; whether that is done, for a long read may be in the way.
    /// On PostgreSQL there is nothing that a client could do.
    ///
    /// # Errors
    /// Database failures.
    pub async fn empty_log(&self) -> Result<bool> {
        self.inner.check_open()?;
        let inner = Arc::clone(&self.inner);
        let empty = move || {
            let mut connection = inner.connector.open(Purpose::Writer)?;
            for attempt in 1..=writer::ATTEMPTS {
                if connection.empty_log()? {
                    return Ok(true);
                }
                std::thread::sleep(pause_after(attempt));
            }
            Ok(false)
        };
        match self.inner.writer {
            Some(_) => self.inner.on_blocking_thread(&self.inner.reads, empty).await,
            None => Ok(true),
        }
    }

    /// Whether the database can be reached and its tables are up to date.
    pub async fn ready(&self) -> Result<()> {
        let pending = self.read(Reach::Point, migrations::pending).await?;
        if pending.is_empty() {
            return Ok(());
        }
        let detail = format!("The tables of the database are not up to date ({}); migrate them.", pending.join(", "));
        Err(Error::new(ErrorKind::Unavailable, detail))
    }

    /// Whether one more write may wait behind so many that are still on their way. Whoever asks before he makes one ready is
    /// spared that where it would be for nothing.
    ///
    /// # Errors
    /// `Busy`.
    pub fn room_for_a_write(&self, on_their_way: usize) -> Result<()> {
        match &self.inner.writer {
            Some(writer) => writer.room(on_their_way),
            None => self.inner.writes.room(on_their_way),
        }
    }

    /// How many writes wait for the single writer; 0 where there is none.
    pub fn waiting_writes(&self) -> usize {
        self.inner.writer.as_ref().map_or(0, Writer::waiting)
    }

    /// How many connections are open, and what they do.
    pub fn pool_use(&self) -> PoolUse {
        let state = self.inner.pool.state();
        let busy = state.connections.saturating_sub(state.idle_connections);
        PoolUse { busy, idle: state.idle_connections, most: self.inner.pool.max_size() }
    }

    /// Finishes the writes that wait and takes no more work: whoever comes later gets [`ErrorKind::Unavailable`]. Blocks.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl Inner {
    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(error::closed()) } else { Ok(()) }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(writer) = &self.writer {
            writer.close();
        }
    }

    /// A point read on SQLite, on this thread; the work comes back if it is no such read, or no connection is free.
    fn read_in_place<T, W>(self: &Arc<Self>, reach: Reach, work: W) -> std::result::Result<Result<T>, W>
    where
        W: FnOnce(&mut Connection) -> Result<T>,
    {
        if reach == Reach::Scan || self.writer.is_none() {
            return Err(work);
        }
        let work = match self.read_in_round(work) {
            Ok(outcome) => return Ok(outcome),
            Err(work) => work,
        };
        let Some(mut connection) = self.pool.try_get() else { return Err(work) };
        let begun = connection.begin_read();
        Ok(begun.map_err(Error::from).and_then(|()| run_read(connection, work)))
    }

    async fn on_blocking_thread<T: Send + 'static>(
        &self,
        line: &Line,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        on_blocking_thread(line.turn().await?, work).await
    }

    fn begin_read(&self) -> Result<Pooled> {
        self.begin(Connection::begin_read)
    }

    /// A connection with a transaction begun. After a restart of the server every connection of the pool is dead; they are
    /// dropped here one by one until a live one or a new one comes.
    fn begin(&self, begin: impl Fn(&mut Connection) -> diesel::QueryResult<()>) -> Result<Pooled> {
        for _ in 0..=self.pool.max_size() {
            let mut connection = self.pool.get().map_err(|cause| self.no_connection(cause))?;
            let losses = self.losses.so_far();
            match begin(&mut connection) {
                Ok(()) => {
                    heard::hear(&mut connection, losses);
                    return Ok(connection);
                }
                Err(failure) if error::is_connection_lost(&failure) => self.losses.count(),
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "The database cannot be reached at the moment."))
    }

    /// Asks on a connection of the pool. A dead one shows by its answer, and is dropped as in [`Inner::begin`].
    fn ask<T>(&self, question: impl Fn(&mut Connection) -> Result<T>) -> Result<T> {
        for _ in 0..=self.pool.max_size() {
            let mut connection = self.pool.get().map_err(|cause| self.no_connection(cause))?;
            let losses = self.losses.so_far();
            match run(&mut connection, &question) {
                Ok(answer) => {
                    heard::hear(&mut connection, losses);
                    return Ok(answer);
                }
                Err(failure) if error::may_run_again(&failure) => self.losses.count(),
                Err(failure) => return Err(failure),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "The database cannot be reached at the moment."))
    }

    fn no_connection(&self, cause: r2d2::Error) -> Error {
        if self.pool.state().connections >= self.pool.max_size() {
            return busy().with_source(cause);
        }
        Error::new(ErrorKind::Unavailable, "The database cannot be reached at the moment.").with_source(cause)
    }

    /// A write beside others, tried again for a while where another transaction keeps the tenant to itself. Who waits for that
    /// has no connection meanwhile, so that reads and other tenants do not wait with him.
    async fn write_beside<T: Send + 'static>(
        self: &Arc<Self>,
        mut work: impl FnMut(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (mut pause, mut left) = (FIRST_PAUSE, self.connector.busy_timeout);
        loop {
            let inner = Arc::clone(self);
            let attempt = move || {
                let outcome = inner.write(Haste::Patient, 1, &mut work);
                Ok((work, outcome))
            };
            let (same, outcome) = self.on_blocking_thread(&self.writes, attempt).await?;
            if left.is_zero() || !outcome.as_ref().is_err_and(error::is_held) {
                return outcome;
            }
            let Ok(place) = self.held.place() else { return outcome };
            work = same;
            pause = pause.min(left);
            tokio::time::sleep(pause).await;
            drop(place);
            left -= pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Changes by a statement that is a transaction by itself, each with what comes of it if it is stored; `None`, and nothing is
    /// stored, if it takes more than that, or the connection of the pool may be dead by now.
    fn write_at_once<T>(
        &self,
        statement: impl FnOnce(&mut Connection) -> Result<Option<Vec<Option<T>>>>,
    ) -> Result<Option<Vec<Option<T>>>> {
        let mut connection = self.pool.get().map_err(|cause| self.no_connection(cause))?;
        let losses = self.losses.so_far();
        if !self.losses.was_just_heard(&connection) {
            return Ok(None);
        }
        match run(&mut connection, statement) {
            Ok(Some(done)) => {
                heard::hear(&mut connection, losses);
                commit::count(done.iter().flatten().count());
                Ok(Some(done))
            }
            Ok(None) => Ok(None),
            Err(failure) if error::is_lost(&failure) => {
                self.losses.count();
                Err(error::unknown(failure))
            }
            Err(failure) if error::may_run_again(&failure) => Ok(None),
            Err(failure) if failure.kind() == ErrorKind::Internal => {
                let cause = std::error::Error::source(&failure);
                tracing::error!(cause, "a statement failed whose changes take a transaction now");
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// A write of so many changes on a connection of the pool, repeated while something passing is in its way.
    fn write<T>(&self, haste: Haste, changes: usize, mut work: impl FnMut(&mut Connection) -> Result<T>) -> Result<T> {
        let mut attempt = 1;
        loop {
            let mut connection = self.begin(|c| match haste {
                Haste::Patient => c.begin_write(Duration::ZERO),
                Haste::Hasty => c.begin_hasty_write(),
            })?;
            let losses = self.losses.so_far();
            let outcome = run_write(&mut connection, changes, &mut work);
            match &outcome {
                Ok(_) => heard::hear(&mut connection, losses),
                Err(error) if error.kind() == ErrorKind::Unavailable => self.losses.count(),
                Err(_) => {}
            }
            match outcome {
                Err(error) if error::may_run_again(&error) && attempt < writer::ATTEMPTS => {
                    tracing::debug!(attempt, error = %error, "a change runs again");
                }
                outcome => return outcome,
            }
            drop(connection);
            std::thread::sleep(pause_after(attempt));
            attempt += 1;
        }
    }
}

/// Runs `work` where it keeps nobody waiting but those who wait for this turn.
async fn on_blocking_thread<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let span = tracing::Span::current();
    let task = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        span.in_scope(work)
    });
    task.await.unwrap_or_else(|cause| Err(Error::internal(cause)))
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// How many of the connections to PostgreSQL reads use at once, how many of these may take long, and how many writes. A read
/// keeps the processor at work, and gains nothing from more company than that has cores; a write mostly waits for the disk,
/// which one sync serves for all who wait together.
fn shares(connections: u32) -> [u32; 3] {
    let reads = connections.div_ceil(3).max(2).min(connections);
    [reads, (reads - reads.div_ceil(4)).max(1), (connections - reads).max(2).min(connections)]
}

fn open_pool(connector: Connector, size: u32, keep_all: bool) -> Pool {
    let builder = r2d2::Pool::builder()
        .max_size(size)
        .connection_timeout(PATIENCE)
        // A dead connection shows at BEGIN; a question before each use would cost a round trip.
        .test_on_check_out(false)
        .error_handler(Box::new(ReportErrors));
    let builder = match keep_all {
        true => builder.max_lifetime(None).idle_timeout(None),
        false => builder.min_idle(Some(1)),
    };
    builder.build_unchecked(connector)
}

/// The pool opens connections in the background, where nobody else hears of failures.
#[derive(Debug)]
struct ReportErrors;

impl r2d2::HandleError<Error> for ReportErrors {
    fn handle_error(&self, error: Error) {
        tracing::warn!(%error, "a connection to the database failed");
    }
}

/// Runs `work` within the transaction begun. After a panic the connection still is in it, and the pool throws it away.
fn run_read<T>(mut connection: Pooled, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
    let outcome = run(&mut connection, work);
    // Nothing was written: whatever goes wrong with the end of the transaction changes nothing about what was read.
    let _ = connection.end_read();
    outcome
}

/// What comes of `work`; a panic is its failure.
fn run<T>(connection: &mut Connection, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
    let outcome = catch_unwind(AssertUnwindSafe(|| work(connection)));
    outcome.unwrap_or_else(|payload| Err(error::panicked(&*payload)))
}

fn run_write<T>(
    connection: &mut Connection,
    changes: usize,
    work: &mut impl FnMut(&mut Connection) -> Result<T>,
) -> Result<T> {
    match run(connection, work) {
        Ok(value) => commit::commit(connection, changes).map(|()| value),
        Err(error) => {
            let _ = connection.rollback();
            Err(error)
        }
    }
}

/// Doubles from a millisecond to a quarter of a second, at random between half and whole: transactions that met once
/// shall not meet again.
fn pause_after(attempt: u32) -> Duration {
    let longest = 1_000u64 << attempt.min(8);
    let random = getrandom::u64().unwrap_or(0) % (longest / 2);
    Duration::from_micros(longest / 2 + random)
}
