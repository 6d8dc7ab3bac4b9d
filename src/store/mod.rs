//! What we remember: resources, keys and history, on SQLite or PostgreSQL.
//!
//! Two verbs, [`Store::read`] and [`Store::write`]; backends, pools, locking and transactions hide behind them.

pub mod api_keys;
pub mod audit;
mod connection;
pub mod error;
pub mod members;
pub mod resources;
pub mod schema;
pub mod search;
mod sql;
pub mod tenants;
pub mod unique;
mod values;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::scim::{Error, ErrorKind, Result};
use connection::{Connector, Purpose};
use writer::Writer;

pub use connection::{Connection, DatabaseUrl};

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the data is.
    pub database_url: DatabaseUrl,
    /// Connections to PostgreSQL.
    pub postgres_connections: u32,
    /// Connections that read SQLite, beside the one that writes.
    pub sqlite_readers: u32,
    /// How long SQLite waits for another process that writes.
    pub busy_timeout: Duration,
    /// How many changes may wait for SQLite's writer before more are refused.
    pub waiting_writes: usize,
}

impl Settings {
    /// The defaults for a database.
    pub fn new(database_url: DatabaseUrl) -> Settings {
        Settings {
            database_url,
            postgres_connections: 16,
            sqlite_readers: 8,
            busy_timeout: Duration::from_secs(5),
            waiting_writes: 4096,
        }
    }
}

/// How far a read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A few look-ups by index: cheaper than a hop to another thread, so SQLite answers in place.
    Point,
    /// A list or a scan: kept from the threads that serve requests.
    Scan,
}

/// The database, cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pool: r2d2::Pool<Connector>,
    /// SQLite only.
    writer: Option<Writer>,
    closed: AtomicBool,
}

/// How long a request waits for a connection before it is refused as too much.
const POOL_WAIT: Duration = Duration::from_secs(2);
/// How often a change runs that other transactions were in the way of.
const MOST_RUNS: u32 = 10;

impl Store {
    /// Connects. Does not migrate.
    ///
    /// # Errors
    /// `Unavailable`, with a sentence that says what to do.
    pub fn open(settings: &Settings) -> Result<Store> {
        let connector = Connector::new(settings.database_url.clone(), settings.busy_timeout);
        // Tried once by hand: the pool would hide the reason.
        let first = connector.open()?;
        let is_sqlite = connector.is_sqlite();
        let size = if is_sqlite { settings.sqlite_readers } else { settings.postgres_connections };
        let pool = r2d2::Pool::builder()
            .max_size(size.max(1))
            .min_idle(Some(1))
            .connection_timeout(POOL_WAIT)
            .test_on_check_out(false)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build(connector.clone())
            .map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string()))?;
        let writer = if is_sqlite { Some(Writer::start(connector, first, settings.waiting_writes)?) } else { None };
        Ok(Store(Arc::new(Inner { pool, writer, closed: AtomicBool::new(false) })))
    }

    /// Applies the migrations that are missing, and returns their names. Safe when several processes start at once.
    ///
    /// # Errors
    /// Database failures.
    pub fn migrate(&self) -> Result<Vec<String>> {
        self.0.connection()?.migrate()
    }

    /// The migrations that are missing.
    ///
    /// # Errors
    /// Database failures.
    pub fn pending_migrations(&self) -> Result<Vec<String>> {
        self.0.connection()?.pending_migrations()
    }

    /// Runs `work` on a consistent view of the data.
    ///
    /// # Errors
    /// Those of the work; `Busy` if no connection is free for a while; database failures.
    pub async fn read<T, F>(&self, reach: Reach, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        let inner = self.0.clone();
        if reach == Reach::Point && inner.writer.is_some() {
            return inner.read(work);
        }
        off_thread(move || inner.read(work)).await
    }

    /// Runs `work` in a transaction, and returns when its changes are on disk. It may run several times, when other
    /// transactions are in the way.
    ///
    /// # Errors
    /// Those of the work, and then nothing is changed; `Busy` under too much load; database failures.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Connection) -> Result<T> + Send + 'static,
    {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Unavailable, "The server is stopping."));
        }
        if let Some(writer) = &self.0.writer {
            return writer.write(work).await;
        }
        let inner = self.0.clone();
        off_thread(move || inner.write(work)).await
    }

    /// Whether the database answers, takes changes and has every migration.
    ///
    /// # Errors
    /// `Unavailable` if not; database failures.
    pub async fn ready(&self) -> Result<()> {
        let inner = self.0.clone();
        off_thread(move || {
            if inner.closed.load(Ordering::Acquire) {
                return Err(Error::new(ErrorKind::Unavailable, "The server is stopping."));
            }
            let mut connection = inner.connection()?;
            connection::answers(&mut connection)?;
            if !connection::takes_changes(&mut connection)? {
                return Err(Error::new(ErrorKind::Unavailable, "The database takes no changes."));
            }
            match connection.pending_migrations()?.as_slice() {
                [] => Ok(()),
                pending => {
                    let detail = format!("Migrations are missing: {}.", pending.join(", "));
                    Err(Error::new(ErrorKind::Unavailable, detail))
                }
            }
        })
        .await
    }

    /// Finishes the changes that wait, and takes no more.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        if let Some(writer) = &self.0.writer {
            writer.stop();
        }
    }
}

impl Inner {
    fn connection(&self) -> Result<r2d2::PooledConnection<Connector>> {
        self.pool.get().map_err(|error| {
            let detail = "The database has no connection free at the moment; try again.";
            Error::new(ErrorKind::Busy, detail).with_source(error)
        })
    }

    fn read<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let mut connection = self.connection()?;
        connection.begin(Purpose::Read)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut connection)));
        let ended = connection.rollback();
        let value = outcome.unwrap_or_else(|panic| Err(writer::panicked(panic.as_ref())))?;
        ended.map(|()| value)
    }

    fn write<T>(&self, mut work: impl FnMut(&mut Connection) -> Result<T>) -> Result<T> {
        let mut runs = 1;
        loop {
            match self.write_once(&mut work) {
                Err(error) if runs < MOST_RUNS && (error::is_rerun(&error) || error::is_lost(&error)) => {
                    // Apart by chance: those who were in each other's way must not meet again.
                    let jitter = uuid::Uuid::now_v7().as_u128() % 10;
                    thread::sleep(Duration::from_millis(u64::from(runs * runs) + jitter as u64));
                    runs += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn write_once<T>(&self, work: &mut impl FnMut(&mut Connection) -> Result<T>) -> Result<T> {
        let mut connection = self.connection()?;
        connection.begin(Purpose::Write)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut connection)));
        match outcome.unwrap_or_else(|panic| Err(writer::panicked(panic.as_ref()))) {
            Ok(value) => {
                connection.commit().map_err(error::at_commit)?;
                Ok(value)
            }
            Err(error) => {
                // A connection that can't be rolled back is broken, and the pool drops it.
                drop(connection.rollback());
                Err(error)
            }
        }
    }
}

/// Runs on a thread that may wait, within the tracing span of the request.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let span = tracing::Span::current();
    let task = tokio::task::spawn_blocking(move || span.in_scope(work));
    task.await.unwrap_or_else(|error| Err(Error::internal(error)))
}
