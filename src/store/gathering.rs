//! Look-ups that wait together are answered together, as writes that wait together are committed together.
//!
//! A round trip to PostgreSQL costs more than what a look-up asks there: threads and processes wake each other. So a few
//! clerks take what waits, as much of one kind as one statement answers. A clerk has a turn in the line of all reads, and
//! lets others have theirs after each statement.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::glance::{self, LookUp, MOST_TOGETHER, Seen};
use super::line::{PATIENCE, busy};
use super::{FIRST_PAUSE, Inner, error, on_blocking_thread};
use crate::scim::{Error, ErrorKind, Result};

/// So many clerks are enough: more would ask for less each.
const CLERKS: usize = 3;

/// The look-ups that wait.
#[derive(Debug)]
pub(super) struct Gathering {
    state: Mutex<State>,
    limit: usize,
    clerks: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Asked>,
    clerks_at_work: usize,
    /// How many have come so far.
    arrivals: u64,
}

/// A look-up and whom to tell.
#[derive(Debug)]
struct Asked {
    arrival: u64,
    look_up: LookUp,
    reply: Reply,
}

type Reply = oneshot::Sender<Result<Option<Seen>>>;

impl Gathering {
    /// A place where so many may wait, for so many clerks at most.
    pub(super) fn new(limit: usize, clerks: u32) -> Gathering {
        Gathering { state: Mutex::default(), limit, clerks: clerks as usize }
    }

    /// Has a look-up wait: which arrival it is, and whether a clerk is to come.
    fn add(&self, look_up: LookUp, reply: Reply) -> Result<(u64, bool)> {
        let mut state = self.lock();
        if state.waiting.len() >= self.limit {
            return Err(busy());
        }
        state.arrivals += 1;
        let arrival = state.arrivals;
        state.waiting.push_back(Asked { arrival, look_up, reply });
        // Where more wait than one statement takes, they are of many kinds (tenants, say), or the database is far away.
        let wanted = if state.waiting.len() > MOST_TOGETHER { self.clerks } else { CLERKS.min(self.clerks) };
        let is_one_to_come = state.clerks_at_work < wanted;
        state.clerks_at_work += usize::from(is_one_to_come);
        Ok((arrival, is_one_to_come))
    }

    /// Has it wait no longer; whether it still did.
    fn withdraw(&self, arrival: u64) -> bool {
        let mut state = self.lock();
        let place = state.waiting.iter().position(|asked| asked.arrival == arrival);
        place.and_then(|place| state.waiting.remove(place)).is_some()
    }

    /// What waits longest and others of its kind; `None` when nothing waits, and the clerk who asked has left.
    fn take(&self) -> Option<Vec<Asked>> {
        let mut state = self.lock();
        let mut taken: Vec<Asked> = Vec::new();
        let mut passed = 0;
        while taken.len() < MOST_TOGETHER && passed < MOST_TOGETHER {
            let is_like = |asked: &Asked| taken.first().is_none_or(|first| asked.look_up.is_like(&first.look_up));
            match state.waiting.get(passed) {
                None => break,
                Some(asked) if asked.reply.is_closed() => drop(state.waiting.remove(passed)),
                Some(asked) if is_like(asked) => taken.extend(state.waiting.remove(passed)),
                Some(_) => passed += 1,
            }
        }
        if taken.is_empty() {
            state.clerks_at_work -= 1;
            return None;
        }
        Some(taken)
    }

    /// Whether nothing waits, and the clerk who asked has left.
    fn leave_if_idle(&self) -> bool {
        let mut state = self.lock();
        let is_idle = state.waiting.is_empty();
        state.clerks_at_work -= usize::from(is_idle);
        is_idle
    }

    /// The clerk has left. Those who wait learn of it if no other one is at work.
    fn give_up(&self) {
        let mut state = self.lock();
        state.clerks_at_work -= 1;
        if state.clerks_at_work == 0 {
            state.waiting.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Answers a look-up; `None` if it takes a transaction to tell.
    ///
    /// # Errors
    /// `Busy`: at once if too many wait, and after [`PATIENCE`]; database failures.
    pub(super) async fn look_up(self: &Arc<Self>, look_up: LookUp) -> Result<Option<Seen>> {
        // The thread that the clerk was on may have ended before his turn came. Another thread then has another clerk.
        match self.answer_of_a_clerk(look_up.clone()).await? {
            Some(answer) => answer,
            None => self.answer_of_a_clerk(look_up).await?.unwrap_or_else(|| Err(error::closed())),
        }
    }

    /// `None` if the clerk has left without an answer.
    async fn answer_of_a_clerk(self: &Arc<Self>, look_up: LookUp) -> Result<Option<Result<Option<Seen>>>> {
        let (reply, mut answer) = oneshot::channel();
        let (arrival, is_one_to_come) = self.gathering.add(look_up, reply)?;
        if is_one_to_come {
            tokio::spawn(Clerk { store: Arc::clone(self), is_at_work: true }.work());
        }
        let answered = match tokio::time::timeout(PATIENCE, &mut answer).await {
            Ok(answered) => answered,
            Err(_) if self.gathering.withdraw(arrival) => return Err(busy()),
            // The database is at it.
            Err(_) => answer.await,
        };
        Ok(answered.ok())
    }

    fn answer_together(&self, taken: Vec<Asked>) {
        let look_ups: Vec<&LookUp> = taken.iter().map(|asked| &asked.look_up).collect();
        match self.ask(|connection| glance::together(connection, &look_ups)) {
            Ok(seen) => taken.into_iter().zip(seen).for_each(|(asked, seen)| drop(asked.reply.send(Ok(seen)))),
            // Perhaps one of them asks what no database takes. The others are not to blame for it.
            Err(failure) if failure.kind() == ErrorKind::Internal && taken.len() > 1 => {
                taken.into_iter().for_each(|asked| self.answer_together(vec![asked]));
            }
            Err(failure) => {
                let failure: Arc<Error> = Arc::new(failure);
                taken.into_iter().for_each(|asked| drop(asked.reply.send(Err(error::share(&failure)))));
            }
        }
    }
}

/// Who answers look-ups until nothing waits. He is counted as long as he is at work.
struct Clerk {
    store: Arc<Inner>,
    is_at_work: bool,
}

impl Clerk {
    async fn work(mut self) {
        while self.is_at_work {
            // Whoever waits has a patience of his own.
            let Ok(turn) = self.store.reads.turn().await else {
                self.is_at_work = !self.store.gathering.leave_if_idle();
                tokio::time::sleep(FIRST_PAUSE).await;
                continue;
            };
            let answered = on_blocking_thread(turn, move || {
                self.answer_some();
                Ok(self)
            });
            let Ok(same) = answered.await else { return };
            self = same;
        }
    }

    /// Until nothing waits, or somebody else waits for a turn.
    fn answer_some(&mut self) {
        loop {
            let Some(taken) = self.store.gathering.take() else {
                self.is_at_work = false;
                return;
            };
            self.store.answer_together(taken);
            if self.store.reads.is_waited_for() {
                return;
            }
        }
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        if self.is_at_work {
            self.store.gathering.give_up();
        }
    }
}
