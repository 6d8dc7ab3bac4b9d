//! The single writer of a database that has one write lock: a thread that commits what waits together.
//!
//! One fsync then serves many callers, and each is answered only after it. One caller's failure is nobody else's: where a
//! work fails that has written something, the batch begins anew, with a savepoint for each work. A savepoint costs a copy of
//! every page that is written under it, so those who do not fail go without. Knows nothing of what is written.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use tokio::sync::oneshot;

use super::checkpointer::Checkpointer;
use super::connection::{Connection, Connector, Purpose};
use super::rounds::Commits;
use super::sql::Sql;
use super::{commit, error};
use crate::scim::{Error, ErrorKind, Result};

/// How many works one commit holds at most: where so many wait, all of them wait less for one large commit than for several.
const BATCH: usize = 1024;

/// How long a batch takes up works: those at its beginning are not kept waiting by all that the others may take.
pub(super) const LONG_ENOUGH: Duration = Duration::from_millis(50);

/// How many batches have savepoints from the start after one that had to begin anew.
const WARY_BATCHES: u32 = 16;

/// How often a work runs that asks to run again.
pub(super) const ATTEMPTS: u32 = 10;

/// The writer thread and the queue in front of it.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Opens the writer's own connection and starts its thread.
    pub(super) fn start(connector: Connector, queue_limit: usize, commits: Commits) -> Result<Writer> {
        let connection = connector.open(Purpose::Writer)?;
        let checkpointer = Checkpointer::start(connector.clone())?;
        let queue = Arc::new(Queue::new(queue_limit));
        let exit = CloseAtExit(Arc::clone(&queue));
        let thread = std::thread::Builder::new()
            .name("scimd-writer".to_owned())
            .spawn(move || {
                let mut scribe = Scribe { connector, connection: Some(connection), checkpointer, commits, wary: 0 };
                while let Some(batch) = exit.0.take() {
                    exit.0.give_back(scribe.commit_together(batch));
                }
            })
            .map_err(Error::internal)?;
        Ok(Writer { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Queues `work` and waits until it is committed, or has failed and left nothing behind.
    ///
    /// A work whose caller has gone before its batch began is not done.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let span = tracing::Span::current();
        self.queue.push(Box::new(Work { work, outcome: None, reply, span }))?;
        // The thread drops works unanswered only when it is gone.
        answer.await.unwrap_or_else(|_| Err(error::closed()))
    }

    /// Whether one more work may wait behind so many that are still on their way.
    pub(super) fn room(&self, on_their_way: usize) -> Result<()> {
        self.queue.room(&self.queue.lock(), on_their_way)
    }

    /// How many works wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.lock().waiting.len()
    }

    /// Takes no more work, finishes what waits, and stops the thread.
    pub(super) fn close(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A work that holds the last handle of the store closes it from the writer itself, which cannot wait for itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}

/// Works that are committed together.
type Batch = Vec<Box<dyn Waiting>>;

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    arrival: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Box<dyn Waiting>>,
    closed: bool,
}

impl Queue {
    fn new(limit: usize) -> Queue {
        let state = State { waiting: VecDeque::new(), closed: false };
        Queue { state: Mutex::new(state), arrival: Condvar::new(), limit }
    }

    fn push(&self, work: Box<dyn Waiting>) -> Result<()> {
        let mut state = self.lock();
        if state.closed {
            return Err(error::closed());
        }
        self.room(&state, 0)?;
        state.waiting.push_back(work);
        drop(state);
        self.arrival.notify_one();
        Ok(())
    }

    fn room(&self, state: &State, on_their_way: usize) -> Result<()> {
        match state.waiting.len() + on_their_way < self.limit {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Busy, "Too many changes are waiting; please try again shortly.")),
        }
    }

    /// What waits, up to a batch; waits for the first, never for more. `None` once closed and empty.
    fn take(&self) -> Option<Batch> {
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let mut state = self.arrival.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() {
            return None;
        }
        let count = state.waiting.len().min(BATCH);
        Some(state.waiting.drain(..count).collect())
    }

    /// Puts in front what was taken and not begun.
    fn give_back(&self, works: Batch) {
        let mut state = self.lock();
        works.into_iter().rev().for_each(|work| state.waiting.push_front(work));
    }

    fn close(&self) {
        self.lock().closed = true;
        self.arrival.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whatever ends the thread, nobody waits for it forever.
struct CloseAtExit(Arc<Queue>);

impl Drop for CloseAtExit {
    fn drop(&mut self) {
        self.0.close();
        self.0.lock().waiting.clear();
    }
}

/// A work of any type in the queue.
trait Waiting: Send + std::fmt::Debug {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;

    /// Runs the work and remembers its outcome.
    fn run(&mut self, connection: &mut Connection) -> Verdict;

    /// The failure of the work, if it has failed, for those who fail with it.
    fn failure(&self) -> Option<Error>;

    /// Answers the caller: with the outcome of the work, or, if the batch failed, with that.
    fn answer(self: Box<Self>, failure: Option<Error>);
}

/// What a work wants done with what it has written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Keep,
    /// It was its caller's mistake, and not the database that failed.
    Refuse,
    Undo,
    UndoAndRunAgain,
}

struct Work<T, F> {
    work: F,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
    span: tracing::Span,
}

impl<T, F> std::fmt::Debug for Work<T, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

impl<T: Send, F: FnMut(&mut Connection) -> Result<T> + Send> Waiting for Work<T, F> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, connection: &mut Connection) -> Verdict {
        let work = &mut self.work;
        // What the work leaves half-done after a panic is rolled back.
        let outcome = self.span.in_scope(|| catch_unwind(AssertUnwindSafe(|| work(connection))));
        let outcome = outcome.unwrap_or_else(|payload| Err(error::panicked(&*payload)));
        let verdict = match &outcome {
            Ok(_) => Verdict::Keep,
            Err(error) if error::may_run_again(error) => Verdict::UndoAndRunAgain,
            Err(error) if error.kind().is_the_callers() => Verdict::Refuse,
            Err(_) => Verdict::Undo,
        };
        self.outcome = Some(outcome);
        verdict
    }

    fn failure(&self) -> Option<Error> {
        let failure = self.outcome.as_ref()?.as_ref().err()?;
        Some(Error::new(failure.kind(), failure.detail()))
    }

    fn answer(self: Box<Self>, failure: Option<Error>) {
        let outcome = failure.map(Err).or(self.outcome);
        let _ = self.reply.send(outcome.unwrap_or_else(|| Err(error::closed())));
    }
}

/// Who does the writing.
struct Scribe {
    connector: Connector,
    connection: Option<Connection>,
    checkpointer: Checkpointer,
    commits: Commits,
    /// How many of the next batches have savepoints from the start.
    wary: u32,
}

impl Scribe {
    /// Runs a batch in one transaction and answers everybody in it. Works that were not begun within [`LONG_ENOUGH`] come back.
    ///
    /// If the batch as a whole fails, everybody learns that failure, those too whose own work had failed: they may have
    /// failed because of a neighbour's change that is now undone.
    fn commit_together(&mut self, mut batch: Batch) -> Batch {
        batch.retain(|work| !work.is_abandoned());
        let mut others = Batch::new();
        if batch.is_empty() {
            return others;
        }
        let outcome = self.run_and_commit(&mut batch, &mut others);
        // Also where it failed: nobody may know whether it was stored.
        self.commits.count();
        let failure = match outcome {
            Ok(()) => None,
            Err(failure) => {
                self.connection = None;
                tracing::error!(error = %failure, works = batch.len(), "a group of changes was not committed");
                Some(Arc::new(failure))
            }
        };
        for work in batch {
            work.answer(failure.as_ref().map(Error::shared));
        }
        self.keep_log_short();
        others
    }

    fn keep_log_short(&mut self) {
        if let Some(connection) = &mut self.connection {
            self.checkpointer.after_commit(connection);
        }
    }

    fn run_and_commit(&mut self, batch: &mut Batch, others: &mut Batch) -> Result<()> {
        if self.wary == 0 {
            let connection = self.begin()?;
            let failed = run_in_time(batch, others, |work| run_without_savepoint(connection, work))?;
            let Some(failed) = failed else {
                return commit::commit(connection, batch.len());
            };
            self.undo();
            if batch.len() == 1 && failed != Verdict::UndoAndRunAgain {
                // There is no neighbour whose change could have been in its way.
                return Ok(());
            }
            self.wary = WARY_BATCHES + 1;
        }
        self.wary -= 1;
        let connection = self.begin()?;
        run_in_time(batch, others, |work| run_in_savepoint(connection, work).map(|()| None))?;
        commit::commit(connection, batch.len())
    }

    fn begin(&mut self) -> Result<&mut Connection> {
        if self.connection.is_none() {
            self.connection = Some(self.connector.open(Purpose::Writer)?);
        }
        let connection = self.connection.as_mut().expect("it is open by now");
        connection.begin_write(self.connector.busy_timeout)?;
        Ok(connection)
    }

    /// Ends the transaction without its changes. SQLite itself may have ended it (disk full, say), and then there is nothing to
    /// end; a new connection knows.
    fn undo(&mut self) {
        if self.connection.as_mut().is_some_and(|connection| connection.rollback().is_err()) {
            self.connection = None;
        }
    }
}

/// Runs works one after the other, until one has to be undone: the verdict on it. Those that are not begun within
/// [`LONG_ENOUGH`] leave the batch.
fn run_in_time(
    batch: &mut Batch,
    others: &mut Batch,
    mut run: impl FnMut(&mut dyn Waiting) -> Result<Option<Verdict>>,
) -> Result<Option<Verdict>> {
    let started = Instant::now();
    for number in 0..batch.len() {
        if number > 0 && started.elapsed() >= LONG_ENOUGH {
            *others = batch.split_off(number);
            break;
        }
        let failed = run(&mut *batch[number])?;
        if failed.is_some() {
            return Ok(failed);
        }
    }
    Ok(None)
}

/// Runs one work; what it wants if it has failed. If it has not, the transaction holds what is to be kept, and nothing else:
/// also if the work was refused before it wrote anything, which is how most of them fail.
///
/// A refused work only: where the database itself failed, it may have ended the transaction (disk full, say).
fn run_without_savepoint(connection: &mut Connection, work: &mut dyn Waiting) -> Result<Option<Verdict>> {
    let before = rows_written(connection)?;
    match work.run(connection) {
        Verdict::Keep => Ok(None),
        Verdict::Refuse if rows_written(connection)? == before => Ok(None),
        failed => Ok(Some(failed)),
    }
}

/// How many rows this connection has written so far, those that were rolled back included.
fn rows_written(connection: &mut Connection) -> QueryResult<i64> {
    Sql::<BigInt>::new("SELECT total_changes()").get_result(connection)
}

/// Runs one work so that only its success leaves anything behind. An error means that the transaction is lost: that of the
/// work, if SQLite has ended the transaction with it.
///
/// The savepoint is our own and not one of diesel's, which tolerates a failing `ROLLBACK TO` after a nested one has failed:
/// when SQLite itself has rolled the whole transaction back (disk full, say), the statements here fail and tell.
fn run_in_savepoint(connection: &mut Connection, work: &mut dyn Waiting) -> Result<()> {
    connection.batch_execute("SAVEPOINT work")?;
    for attempt in 1..=ATTEMPTS {
        let verdict = work.run(connection);
        if verdict == Verdict::Keep {
            return Ok(connection.batch_execute("RELEASE work")?);
        }
        let undone = connection.rollback_to_depth(1).and_then(|()| connection.batch_execute("ROLLBACK TO work"));
        undone.map_err(|lost| work.failure().unwrap_or_else(|| lost.into()))?;
        if verdict != Verdict::UndoAndRunAgain || attempt == ATTEMPTS {
            break;
        }
    }
    Ok(connection.batch_execute("RELEASE work")?)
}
