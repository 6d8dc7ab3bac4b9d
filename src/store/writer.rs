//! The one writer of SQLite: a thread that commits what waits together in one transaction (group commit).
//!
//! Each work runs in a savepoint of its own, so that one may fail without the others, and is answered only after the
//! commit has reached the disk. A commit costs one fsync however many share it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use diesel::Connection as _;
use tokio::sync::oneshot;

use super::connection::{Connection, Connector, Purpose};
use super::error::from_diesel;
use crate::scim::{Error, ErrorKind, Result};

/// How many works share a commit at most: enough to make the fsync cheap, few enough to keep the wait short.
const LARGEST_BATCH: usize = 256;

/// The way to the writer thread.
pub(super) struct Writer {
    queue: SyncSender<Message>,
}

enum Message {
    Work(Box<dyn Work>),
    Stop,
}

/// One caller's work, whatever it returns.
trait Work: Send {
    /// Runs it. `false` asks for the savepoint to be undone.
    fn run(&mut self, connection: &mut Connection) -> bool;
    /// Answers the caller: with the outcome of the work, or with what became of the transaction.
    fn answer(self: Box<Self>, committed: std::result::Result<(), &Error>);
}

struct Task<T, F> {
    work: F,
    outcome: Option<Result<T>>,
    caller: oneshot::Sender<Result<T>>,
}

impl<T, F> Work for Task<T, F>
where
    T: Send,
    F: FnMut(&mut Connection) -> Result<T> + Send,
{
    fn run(&mut self, connection: &mut Connection) -> bool {
        // A broken invariant in one caller's work must not take the writer from all others.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(connection)));
        let outcome = outcome.unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
        let succeeded = outcome.is_ok();
        self.outcome = Some(outcome);
        succeeded
    }

    fn answer(self: Box<Self>, committed: std::result::Result<(), &Error>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(error),
            (Some(outcome), Ok(())) => outcome,
            (_, Err(error)) => Err(Error::new(error.kind(), error.detail()).with_source(chain(error))),
            (None, Ok(())) => Err(unavailable()),
        };
        // A caller that went away does not need the answer.
        drop(self.caller.send(outcome));
    }
}

/// An error for everyone of a batch, told with all its causes.
fn chain(error: &Error) -> String {
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    format!("the transaction of the batch failed: {}", causes.join(": "))
}

pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
    Error::internal(format!("panic in a transaction: {}", message.unwrap_or_default()))
}

impl Writer {
    /// Starts the thread with a connection of its own. `waiting` bounds the queue.
    pub(super) fn start(connector: Connector, connection: Connection, waiting: usize) -> Result<Writer> {
        let (queue, messages) = sync_channel(waiting);
        let run = move || serve(&connector, connection, &messages);
        thread::Builder::new().name("scimd-writer".to_owned()).spawn(run).map_err(Error::internal)?;
        Ok(Writer { queue })
    }

    /// Queues a work and waits for the commit that contains it.
    ///
    /// # Errors
    /// Those of the work; `Busy` at once if the queue is full; `Unavailable` after [`Writer::stop`].
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Connection) -> Result<T> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let task = Box::new(Task { work, outcome: None, caller });
        self.queue.try_send(Message::Work(task)).map_err(|error| match error {
            TrySendError::Full(_) => Error::new(ErrorKind::Busy, "Too many changes are waiting; try again."),
            TrySendError::Disconnected(_) => unavailable(),
        })?;
        answer.await.unwrap_or_else(|_| Err(unavailable()))
    }

    /// Asks the thread to finish what waits and to end.
    pub(super) fn stop(&self) {
        drop(self.queue.send(Message::Stop));
    }
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "The server is stopping.")
}

fn serve(connector: &Connector, connection: Connection, messages: &Receiver<Message>) {
    let mut connection = Some(connection);
    let mut stopping = false;
    while !stopping {
        let Ok(first) = messages.recv() else { return };
        let mut batch = Vec::new();
        let waiting = std::iter::once(first).chain(messages.try_iter());
        for message in waiting.take(LARGEST_BATCH) {
            match message {
                Message::Work(work) => batch.push(work),
                Message::Stop => stopping = true,
            }
        }
        commit_together(connector, &mut connection, batch);
    }
    let rest: Vec<Box<dyn Work>> = messages.try_iter().filter_map(work).collect();
    commit_together(connector, &mut connection, rest);
}

fn work(message: Message) -> Option<Box<dyn Work>> {
    match message {
        Message::Work(work) => Some(work),
        Message::Stop => None,
    }
}

/// Runs a batch in one transaction. A connection whose transaction failed is not trusted again.
fn commit_together(connector: &Connector, connection: &mut Option<Connection>, mut batch: Vec<Box<dyn Work>>) {
    if batch.is_empty() {
        return;
    }
    let committed = match connection.take().map_or_else(|| connector.open(), Ok) {
        Ok(mut open) => {
            let committed = run_all(&mut open, &mut batch);
            *connection = committed.is_ok().then_some(open);
            committed
        }
        Err(error) => Err(error),
    };
    for work in batch {
        work.answer(committed.as_ref().map(|()| ()));
    }
}

fn run_all(connection: &mut Connection, batch: &mut [Box<dyn Work>]) -> Result<()> {
    connection.begin(Purpose::Write)?;
    for work in batch {
        let savepoint = connection.transaction(|connection| {
            if work.run(connection) { Ok(()) } else { Err(diesel::result::Error::RollbackTransaction) }
        });
        match savepoint {
            Ok(()) | Err(diesel::result::Error::RollbackTransaction) => {}
            Err(error) => return Err(from_diesel(error)),
        }
    }
    connection.commit()
}
