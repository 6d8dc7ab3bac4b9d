//! Point reads that come together see one moment together, as writes that wait together are committed together.
//!
//! To begin and to end a read costs SQLite as much as the look-up between them: it locks the file twice, and the threads of
//! one process wait for each other to do so. A thread that serves many callers from one event loop begins a read for the
//! first of those who are ready, and ends it when it has served the last of them ([`Rounds`]). What this process has
//! committed in between begins another one, so whoever asks after an answer sees what the answer told.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use super::connection::Connection;
use super::{Inner, Pooled, run};
use crate::scim::Result;

/// How many commits the writer has made, or may have made. What else this process writes it writes before it serves anybody.
/// All clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Commits(Arc<AtomicU64>);

impl Commits {
    /// Tells of a commit. Before anybody is answered who may know of it.
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn so_far(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

thread_local! {
    /// The round of this thread, if it serves callers of a store.
    static ROUND: RefCell<Option<Round>> = const { RefCell::new(None) };
}

struct Round {
    store: Weak<Inner>,
    /// Has the round ended once those who are ready by now are served.
    end: Waker,
    reading: Option<Reading>,
}

/// A read under way.
struct Reading {
    connection: Pooled,
    /// The commits that it sees at least.
    commits: u64,
}

/// What ends the rounds of a thread; while it lives the thread has them. To be polled by the thread's event loop in turn
/// with those who ask: being the last in the line when a round begins, its turn comes when the others have had theirs.
#[derive(Debug)]
pub(super) struct Rounds(pub(super) Weak<Inner>);

impl Future for Rounds {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let round = Round { store: Weak::clone(&self.0), end: context.waker().clone(), reading: None };
        drop(ROUND.replace(Some(round)));
        Poll::Pending
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        drop(ROUND.take());
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // Nothing was written: whatever goes wrong with the end of the transaction changes nothing about what was read.
        let _ = self.connection.end_read();
    }
}

impl Inner {
    /// Reads in the round of this thread; the work comes back if it has none, or no connection is free.
    pub(super) fn read_in_round<T, W>(self: &Arc<Self>, work: W) -> std::result::Result<Result<T>, W>
    where
        W: FnOnce(&mut Connection) -> Result<T>,
    {
        let Some(begun) = self.join_round() else { return Err(work) };
        let mut reading = match begun {
            Ok(reading) => reading,
            Err(failure) => return Ok(Err(failure)),
        };
        let outcome = run(&mut reading.connection, work);
        // After any other failure nobody knows what state the connection is in.
        if outcome.as_ref().err().is_none_or(|error| error.kind().is_the_callers()) {
            ROUND.with_borrow_mut(|round| round.as_mut().map(|round| round.reading.replace(reading)));
        }
        Ok(outcome)
    }

    fn join_round(self: &Arc<Self>) -> Option<Result<Reading>> {
        // Counted before the read begins, which then sees all of them.
        let commits = self.commits.so_far();
        let before = ROUND.with_borrow_mut(|round| {
            let round = round.as_mut().filter(|round| std::ptr::eq(round.store.as_ptr(), Arc::as_ptr(self)))?;
            if round.reading.is_none() {
                round.end.wake_by_ref();
            }
            Some(round.reading.take())
        })?;
        if let Some(reading) = before.filter(|reading| reading.commits == commits) {
            return Some(Ok(reading));
        }
        let mut connection = self.pool.try_get()?;
        Some(connection.begin_read().map_err(Into::into).map(|()| Reading { connection, commits }))
    }
}
