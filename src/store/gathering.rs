//! Look-ups that wait together are answered together, as writes that wait together are committed together.
//!
//! A round trip to PostgreSQL costs more than what a look-up asks there: threads and processes wake each other. So a few
//! clerks take what waits, as much of one kind as one statement answers. Whoever comes while one of them is free waits for
//! nobody.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::glance::{self, LookUp, MOST_TOGETHER, Seen};
use super::line::{PATIENCE, busy};
use super::{Inner, error};
use crate::scim::{Error, ErrorKind, Result};

/// How many clerks come for whoever comes. More would only ask for less each, until there is more than one takes: others
/// of the same kind, or kinds of which each has few, such as tenants.
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
        let Some(first) = state.waiting.pop_front() else {
            state.clerks_at_work -= 1;
            return None;
        };
        let mut taken = vec![first];
        let mut at = 0;
        while at < state.waiting.len().min(MOST_TOGETHER) && taken.len() < MOST_TOGETHER {
            if !state.waiting[at].look_up.is_like(&taken[0].look_up) {
                at += 1;
                continue;
            }
            taken.extend(state.waiting.remove(at));
        }
        taken.retain(|asked| !asked.reply.is_closed());
        Some(taken)
    }

    /// Where a clerk can't come: those who wait, if no other one is at work.
    fn give_up(&self) -> VecDeque<Asked> {
        let mut state = self.lock();
        state.clerks_at_work -= 1;
        if state.clerks_at_work == 0 { std::mem::take(&mut state.waiting) } else { VecDeque::new() }
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
        let (reply, mut answer) = oneshot::channel();
        let (arrival, is_one_to_come) = self.gathering.add(look_up, reply)?;
        if is_one_to_come {
            tokio::spawn(Arc::clone(self).answer_look_ups());
        }
        let answered = match tokio::time::timeout(PATIENCE, &mut answer).await {
            Ok(answered) => answered,
            Err(_) if self.gathering.withdraw(arrival) => return Err(busy()),
            // The database is at it.
            Err(_) => answer.await,
        };
        answered.unwrap_or_else(|_| Err(error::closed()))
    }

    /// A clerk at work, until nothing waits.
    async fn answer_look_ups(self: Arc<Self>) {
        let inner = Arc::clone(&self);
        let work = move || {
            while let Some(taken) = inner.gathering.take() {
                inner.answer_together(taken);
            }
            Ok(())
        };
        let Err(failure) = self.on_blocking_thread(&self.reads, work).await else { return };
        let failure = Arc::new(failure);
        for asked in self.gathering.give_up() {
            let _ = asked.reply.send(Err(error::share(&failure)));
        }
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
