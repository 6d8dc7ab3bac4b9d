//! The line in front of the connections: so many work at once, so many wait for their turn, and the next one is told at
//! once to come again.
//!
//! Whoever waits is served in the order of arrival, or told to come again after [`PATIENCE`]. The bound is what keeps the
//! wait short, the memory small and the refusal quick under any load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::scim::{Error, ErrorKind, Result};

/// How long somebody waits for a connection before he is told to come back.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The turns, and how many wait for one.
#[derive(Debug)]
pub(super) struct Line {
    most: u32,
    turns: Arc<Semaphore>,
    /// Those who have a place.
    waiting: Arc<AtomicUsize>,
    /// Those who wait for a turn, with a place or for others who have one.
    in_line: AtomicUsize,
    limit: usize,
}

impl Line {
    /// A line for so many turns at once, in which so many may wait.
    pub(super) fn new(turns: u32, limit: usize) -> Line {
        Line {
            most: turns,
            turns: Arc::new(Semaphore::new(turns as usize)),
            waiting: Arc::default(),
            in_line: AtomicUsize::new(0),
            limit,
        }
    }

    /// How many turns there are at once.
    pub(super) fn turns(&self) -> u32 {
        self.most
    }

    /// A turn, which ends when it is dropped.
    ///
    /// # Errors
    /// `Busy`: at once if too many wait, and after [`PATIENCE`].
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        // One that is free is nobody's: those who wait get theirs before it would show here.
        if let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() {
            return Ok(turn);
        }
        let _place = self.place()?;
        tokio::time::timeout(PATIENCE, self.turn_for_others()).await.map_err(|_| busy())
    }

    /// The same for whoever serves others, each of whom has a place and a patience of his own.
    pub(super) async fn turn_for_others(&self) -> OwnedSemaphorePermit {
        let _in_line = InLine::of(&self.in_line);
        Arc::clone(&self.turns).acquire_owned().await.expect("nobody closes the semaphore")
    }

    /// Whether anybody waits for a turn.
    pub(super) fn is_waited_for(&self) -> bool {
        self.in_line.load(Ordering::Relaxed) > 0
    }

    /// Whether one more may wait behind so many that are still on their way.
    ///
    /// # Errors
    /// `Busy`.
    pub(super) fn room(&self, on_their_way: usize) -> Result<()> {
        if self.waiting.load(Ordering::Relaxed) + on_their_way < self.limit { Ok(()) } else { Err(busy()) }
    }

    /// A place among those who wait, for a turn or for something else, until it is dropped.
    ///
    /// # Errors
    /// `Busy` if too many wait.
    pub(super) fn place(&self) -> Result<Place> {
        // Counted first, so that of two who come at once for the last place only one gets it.
        let place = Place(Arc::clone(&self.waiting));
        match self.waiting.fetch_add(1, Ordering::Relaxed) < self.limit {
            true => Ok(place),
            false => Err(busy()),
        }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Somebody who has a place.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Somebody who waits for a turn.
struct InLine<'a>(&'a AtomicUsize);

impl InLine<'_> {
    fn of(in_line: &AtomicUsize) -> InLine<'_> {
        in_line.fetch_add(1, Ordering::Relaxed);
        InLine(in_line)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What somebody is told for whom there is no turn.
pub(super) fn busy() -> Error {
    Error::new(ErrorKind::Busy, "The server is busy; please try again shortly.")
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn ready<T>(poll: Poll<Result<T>>) -> Option<Result<T>> {
        match poll {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_one_is_refused_at_once_and_those_who_wait_are_served_in_turn() {
        let line = Line::new(1, 2);
        let working = line.turn().await.unwrap();
        let (mut first, mut second) = (Box::pin(line.turn()), Box::pin(line.turn()));
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        assert_eq!(line.waiting(), 2);
        assert_eq!(line.room(0).unwrap_err().kind(), ErrorKind::Busy);

        let refused = ready(poll(Box::pin(line.turn()).as_mut())).expect("an answer at once").unwrap_err();

        assert_eq!((refused.kind(), line.waiting()), (ErrorKind::Busy, 2));
        drop(working);
        assert!(poll(second.as_mut()).is_pending(), "the first one comes first");
        assert!(line.turns.try_acquire().is_err(), "whoever comes now does not overtake");
        let turn = ready(poll(first.as_mut())).expect("his turn").unwrap();
        assert_eq!(line.waiting(), 1);
        line.room(0).unwrap();
        assert_eq!(line.room(1).unwrap_err().kind(), ErrorKind::Busy, "the last place is his who is on his way");
        drop(turn);
        drop(ready(poll(second.as_mut())).expect("his turn").unwrap());
        drop(line.turn().await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_and_whoever_goes_leaves_his_place() {
        let line = Line::new(1, 1);
        let _working = line.turn().await.unwrap();

        let tired = line.turn().await.unwrap_err();

        assert_eq!((tired.kind(), line.waiting()), (ErrorKind::Busy, 0));
        let mut gone = Box::pin(line.turn());
        assert!(poll(gone.as_mut()).is_pending());
        drop(gone);
        assert_eq!(line.waiting(), 0);
    }
}
