//! Carries SQLite's log over into the file of the database (a checkpoint), beside the writer.
//!
//! By itself SQLite has that commit do it which makes the log too long: everybody in it, and everybody behind it, waits until
//! thousands of pages are written all over the file and synced. Here a thread does nearly all of it, again and again, while
//! the writer goes on. The last step is the writer's: the log begins anew when all of it is in the file, and what is done
//! beside commits hardly ever comes to the end of a log that grows.
//!
//! SQLite takes what a pass has copied for kept, and syncs it no sooner than in the last step. If that failed once, it would
//! try only the rest again, and begin the log anew over pages that the disk has lost. So the thread syncs the file itself
//! before the last step, and a failure is met while the log still has everything.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::connection::{Connection, Connector, Log, Purpose};
use super::database_url::DatabaseUrl;
use crate::scim::{Error, Result};

/// How many pages the log has when it is carried over, some 32 MiB: the longer, the more changes of a page go into the file as
/// one.
const LONG: i32 = if cfg!(test) { 400 } else { 8_000 };

/// How many pages may be left to the writer.
const FEW: i32 = LONG / 8;

/// How often the thread carries over what came while it did so, before it leaves the rest to the writer.
const PASSES: usize = 4;

/// How the process ends when the file cannot be synced (`EX_IOERR`).
const INPUT_OR_OUTPUT: i32 = 74;

/// The thread, and what the writer tells it.
#[derive(Debug)]
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Whether the last step is to be done.
    is_near_end: AtomicBool,
    is_closed: AtomicBool,
}

impl Checkpointer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the operating system refuses it.
    pub(super) fn start(connector: Connector) -> Result<Checkpointer> {
        let shared = Arc::new(Shared::default());
        let mut carrier =
            Carrier { connector, shared: Arc::clone(&shared), connection: None, file: None, has_failed: false };
        let thread = std::thread::Builder::new()
            .name("scimd-checkpoint".to_owned())
            .spawn(move || carrier.carry_until_closed())
            .map_err(Error::internal)?;
        Ok(Checkpointer { shared, thread: Some(thread) })
    }

    /// What there is to do after a commit, when its callers are answered. The log itself is asked how long it is: other
    /// processes write to it as well.
    pub(super) fn after_commit(&self, connection: &mut Connection) {
        if self.shared.is_near_end.load(Ordering::Acquire) {
            // If it fails, there is something left, and the thread sees it.
            let _ = connection.carry_log_over();
            self.shared.is_near_end.store(false, Ordering::Release);
        }
        if connection.log().is_ok_and(Log::is_long) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Log {
    fn is_long(self) -> bool {
        self.length >= LONG
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Who does the carrying.
struct Carrier {
    connector: Connector,
    shared: Arc<Shared>,
    connection: Option<Connection>,
    /// The file of the database, to be synced. It is never closed: that would drop all locks that this process has on it.
    file: Option<&'static File>,
    /// Whether it went wrong the last time, which is told of once.
    has_failed: bool,
}

impl Carrier {
    fn carry_until_closed(&mut self) {
        while !self.is_closed() {
            std::thread::park();
            if !self.is_closed() && !self.shared.is_near_end.load(Ordering::Acquire) {
                let outcome = self.carry();
                self.tell(outcome);
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.shared.is_closed.load(Ordering::Acquire)
    }

    /// What the thread cannot do beside commits the writer does between them.
    fn tell(&mut self, outcome: Result<()>) {
        let has_failed = outcome.is_err();
        if let Err(failure) = outcome {
            self.connection = None;
            self.sync();
            self.shared.is_near_end.store(true, Ordering::Release);
            if !self.has_failed {
                tracing::warn!(error = %failure, "the log of the database cannot be carried over into its file beside the changes");
            }
        }
        self.has_failed = has_failed;
    }

    /// Carries a long log over until there is little left. A long read may be in the way: then the next look tries again.
    fn carry(&mut self) -> Result<()> {
        let mut log = self.connection()?.log()?;
        if !log.is_long() {
            return Ok(());
        }
        self.file()?;
        for _ in 0..PASSES {
            if self.is_closed() {
                return Ok(());
            }
            if self.connection()?.carry_log_over()?.carried == log.carried {
                return Ok(());
            }
            // Also what others have copied: what an earlier last step has, say, with a read in its way.
            self.sync();
            // What a pass says of itself is of its beginning.
            log = self.connection()?.log()?;
            if log.left() <= FEW {
                break;
            }
        }
        if log.left() > 0 {
            self.shared.is_near_end.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn connection(&mut self) -> Result<&mut Connection> {
        if self.connection.is_none() {
            self.connection = Some(self.connector.open(Purpose::Pool)?);
        }
        Ok(self.connection.as_mut().expect("it is open by now"))
    }

    /// Opens the file, if it is not open.
    fn file(&mut self) -> Result<()> {
        if self.file.is_none() {
            let file = open(&self.connector.url).map_err(Error::internal)?;
            self.file = Some(Box::leak(Box::new(file)));
        }
        Ok(())
    }

    /// Where the disk does not keep what it took, no later sync can tell (Linux forgets what it could not write): only the log
    /// still has it, and SQLite would not look there. The first who opens the database does; so this process ends, and does
    /// not close it, which would do away with the log. PostgreSQL does the same (`data_sync_retry`).
    fn sync(&self) {
        let Some(Err(failure)) = self.file.map(File::sync_data) else { return };
        // A command has no log.
        if !tracing::enabled!(tracing::Level::ERROR) {
            eprintln!(
                "The disk has not kept what was written to the database ({failure}); the next start of scimd mends that."
            );
        }
        tracing::error!(error = %failure, "the disk has not kept what was written to the database; scimd ends, and takes it from \
            the log when it starts again: until then no other command may use the database");
        signal_hook::low_level::exit(INPUT_OR_OUTPUT);
    }
}

fn open(url: &DatabaseUrl) -> io::Result<File> {
    let path: &Path = match url {
        DatabaseUrl::Sqlite(path) => path,
        DatabaseUrl::Postgres(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    File::options().write(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use diesel::connection::SimpleConnection as _;

    use super::super::{Settings, Store};
    use super::*;

    /// How long a test waits for what must come.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A store with a table to be filled.
    struct Place {
        directory: tempfile::TempDir,
        store: Store,
    }

    impl Place {
        async fn new() -> Place {
            let directory = tempfile::tempdir().expect("a directory");
            let url = DatabaseUrl::Sqlite(directory.path().join("scimd.db"));
            let store = Store::open(&Settings::new(url)).expect("a store");
            let place = Place { directory, store };
            place.run("CREATE TABLE t (x BLOB)").await;
            place
        }

        async fn run(&self, statement: &'static str) {
            self.store.write(move |connection| Ok(connection.batch_execute(statement)?)).await.expect("a change");
        }

        /// Some forty pages, and more rows than go by without a look.
        async fn change(&self) {
            self.run(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) \
                 INSERT INTO t SELECT randomblob(200) FROM n",
            )
            .await;
        }

        /// How long the log is. SQLite may not tell while the writer is at it.
        fn log(&self) -> i32 {
            let mut connection = self.store.inner.connector.open(Purpose::Pool).expect("a connection");
            let begun = Instant::now();
            while begun.elapsed() < PATIENCE {
                match connection.log().expect("a look").length {
                    ..0 => std::thread::yield_now(),
                    length => return length,
                }
            }
            panic!("SQLite never tells")
        }
    }

    #[tokio::test]
    async fn while_changes_come_without_a_pause_the_log_begins_anew() {
        let place = Arc::new(Place::new().await);
        let is_over = Arc::new(AtomicBool::new(false));
        let clients = [(); 4].map(|()| {
            let (place, is_over) = (Arc::clone(&place), Arc::clone(&is_over));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    place.change().await;
                }
            })
        });

        let (mut longest, mut longest_of_all, mut beginnings) = (0, 0, 0);
        let begun = Instant::now();
        while beginnings < 3 && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let length = place.log();
            beginnings += i32::from(length < longest / 2);
            longest = if length < longest / 2 { length } else { longest.max(length) };
            longest_of_all = longest_of_all.max(longest);
        }
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.expect("it ends");
        }

        assert_eq!(beginnings, 3, "the log has {} pages", place.log());
        assert!(longest_of_all < 20 * LONG, "{longest_of_all}");
        let file = std::fs::metadata(place.directory.path().join("scimd.db")).expect("the file");
        assert!(file.len() > 4096 * u64::from(LONG.unsigned_abs()), "{} bytes are in the file", file.len());
    }

    #[tokio::test]
    async fn a_long_read_keeps_the_log_and_its_end_lets_it_begin_anew() {
        let place = Place::new().await;
        let mut reader = place.store.inner.connector.open(Purpose::Pool).expect("a connection");
        reader.begin_read().expect("a read");
        reader.has_table("t").expect("it sees this moment");
        for _ in 0..100 {
            place.change().await;
        }

        let kept = place.log();
        drop(reader);
        let begun = Instant::now();
        while place.log() >= LONG && begun.elapsed() < PATIENCE {
            place.change().await;
        }

        assert!(kept >= 2 * LONG, "{kept}");
        assert!(place.log() < LONG, "{}", place.log());
    }
}
