//! Errands that wait together are done together: look-ups, and writes of a kind.
//!
//! A round trip to PostgreSQL costs more than most of what is asked there: threads and processes wake each other. So a few
//! clerks take what waits, as much of one kind as a few statements do. A clerk has a turn in the line of everybody who reads,
//! or writes, and lets others have theirs after each time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::line::{Line, PATIENCE, Place, busy};
use super::{Inner, error, on_blocking_thread};
use crate::scim::{Error, Result};

/// What somebody wants of the database that is cheaper to do for several at once.
pub(super) trait Errand: Clone + Send + Sync + 'static {
    /// What comes of it.
    type Answer: Send + 'static;

    /// How many are done together at most.
    const MOST_TOGETHER: usize;

    /// How many clerks are enough: more would have less to do each.
    const CLERKS: usize;

    /// Whether so many are enough for each kind, and not for all of them: they wait for the disk, or for each other's locks.
    const KINDS_APART: bool;

    /// Whether both may be done together.
    fn is_like(&self, other: &Self) -> bool;

    /// Where its clerks wait for their turns, and those whom they serve are counted.
    fn line(store: &Inner) -> &Line;

    /// Does these, which are alike; `None` for one that takes more than can be done together.
    ///
    /// # Errors
    /// Database failures, and nothing of any is done.
    fn carry_out(store: &Inner, errands: &[&Self]) -> Result<Vec<Option<Self::Answer>>>;

    /// Whether several that failed are tried one by one: it may be the matter of one of them.
    fn may_be_of_one(_failure: &Error) -> bool {
        false
    }
}

/// The errands of one sort that wait.
pub(super) struct Gathering<E: Errand> {
    state: Mutex<State<E>>,
    clerks: usize,
}

struct State<E: Errand> {
    waiting: VecDeque<Asked<E>>,
    clerks_at_work: usize,
    /// One errand of each kind that a clerk is at, as often as a clerk is, where the kinds have clerks of their own.
    at_work: Vec<E>,
    /// How many have come so far.
    arrivals: u64,
}

/// An errand and whom to tell.
struct Asked<E: Errand> {
    arrival: u64,
    errand: E,
    reply: oneshot::Sender<Told<E::Answer>>,
    /// As long as it waits.
    place: Option<Place>,
}

/// What somebody is told of his errand.
enum Told<A> {
    /// It was done, or failed; `None` if it takes more than can be done together.
    Done(Result<Option<A>>),
    /// The clerk is gone, and has not begun with it.
    Untouched,
}

impl<E: Errand> fmt::Debug for Gathering<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering").field("clerks", &self.clerks).finish_non_exhaustive()
    }
}

impl<E: Errand> Gathering<E> {
    /// A place to wait, for so many clerks at most.
    pub(super) fn new(clerks: u32) -> Arc<Gathering<E>> {
        let state = State { waiting: VecDeque::new(), clerks_at_work: 0, at_work: Vec::new(), arrivals: 0 };
        Arc::new(Gathering { state: Mutex::new(state), clerks: clerks as usize })
    }

    /// Has an errand wait: which arrival it is, and whether a clerk is to come.
    fn add(&self, errand: E, place: Place, reply: oneshot::Sender<Told<E::Answer>>) -> (u64, bool) {
        let mut state = self.lock();
        let is_one_to_come = state.clerks_at_work < self.clerks && state.is_clerk_wanted(&errand);
        state.clerks_at_work += usize::from(is_one_to_come);
        state.arrivals += 1;
        let arrival = state.arrivals;
        state.waiting.push_back(Asked { arrival, errand, reply, place: Some(place) });
        (arrival, is_one_to_come)
    }

    /// Has it wait no longer; whether it still did.
    fn withdraw(&self, arrival: u64) -> bool {
        let mut state = self.lock();
        let place = state.waiting.iter().position(|asked| asked.arrival == arrival);
        place.and_then(|place| state.waiting.remove(place)).is_some()
    }

    /// What waits longest and others of its kind; `None` when nothing waits, and the clerk who asked has left.
    fn take(&self) -> Option<Vec<Asked<E>>> {
        let mut state = self.lock();
        let mut taken: Vec<Asked<E>> = Vec::new();
        let mut passed = 0;
        while taken.len() < E::MOST_TOGETHER && passed < E::MOST_TOGETHER {
            let is_like = |asked: &Asked<E>| taken.first().is_none_or(|first| asked.errand.is_like(&first.errand));
            match state.waiting.get(passed) {
                None => break,
                Some(asked) if asked.reply.is_closed() => drop(state.waiting.remove(passed)),
                Some(asked) if is_like(asked) => taken.extend(state.waiting.remove(passed)),
                Some(_) => passed += 1,
            }
        }
        let Some(first) = taken.first() else {
            state.clerks_at_work -= 1;
            return None;
        };
        if E::KINDS_APART {
            state.at_work.push(first.errand.clone());
        }
        taken.iter_mut().for_each(|asked| asked.place = None);
        Some(taken)
    }

    /// A clerk is done with errands like this one.
    fn finish(&self, errand: &E) {
        let mut state = self.lock();
        if let Some(at) = state.at_work.iter().position(|other| other.is_like(errand)) {
            state.at_work.swap_remove(at);
        }
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
            state.waiting.drain(..).for_each(|asked| drop(asked.reply.send(Told::Untouched)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Errand> State<E> {
    /// Whether one more clerk would be of use to whoever comes with this errand.
    fn is_clerk_wanted(&self, errand: &E) -> bool {
        // Where more wait than are done together, they are of many kinds (tenants, say), or the database is far away.
        if self.clerks_at_work < E::CLERKS || self.waiting.len() >= E::MOST_TOGETHER {
            return true;
        }
        let at_its_kind = || self.at_work.iter().filter(|other| other.is_like(errand)).count();
        E::KINDS_APART && !self.waiting.iter().any(|asked| asked.errand.is_like(errand)) && at_its_kind() < E::CLERKS
    }
}

impl Inner {
    /// Does an errand; `None` if it takes more than can be done together with others.
    ///
    /// # Errors
    /// `Busy`: at once if too many wait, and after [`PATIENCE`]; database failures.
    pub(super) async fn gathered<E: Errand>(
        self: &Arc<Self>,
        gathering: &Arc<Gathering<E>>,
        errand: E,
    ) -> Result<Option<E::Answer>> {
        // The thread that the clerk was on may have ended before his turn came. Another thread then has another clerk.
        for _ in 0..2 {
            if let Told::Done(answer) = self.told_by_a_clerk(gathering, errand.clone()).await? {
                return answer;
            }
        }
        Err(error::closed())
    }

    async fn told_by_a_clerk<E: Errand>(
        self: &Arc<Self>,
        gathering: &Arc<Gathering<E>>,
        errand: E,
    ) -> Result<Told<E::Answer>> {
        let (reply, mut told) = oneshot::channel();
        let (arrival, is_one_to_come) = gathering.add(errand, E::line(self).place()?, reply);
        if is_one_to_come {
            let (store, gathering) = (Arc::clone(self), Arc::clone(gathering));
            tokio::spawn(Clerk { store, gathering, is_at_work: true }.work());
        }
        let told = match tokio::time::timeout(PATIENCE, &mut told).await {
            Ok(told) => told,
            Err(_) if gathering.withdraw(arrival) => return Err(busy()),
            // The database is at it.
            Err(_) => told.await,
        };
        // Perhaps it was done: nobody may do it again.
        told.map_err(Error::internal)
    }

    fn do_together<E: Errand>(&self, taken: Vec<Asked<E>>) {
        let errands: Vec<&E> = taken.iter().map(|asked| &asked.errand).collect();
        match E::carry_out(self, &errands) {
            Ok(answers) => taken.into_iter().zip(answers).for_each(|(asked, answer)| asked.tell(Ok(answer))),
            // The others are not to blame for it.
            Err(failure) if taken.len() > 1 && E::may_be_of_one(&failure) => {
                taken.into_iter().for_each(|asked| self.do_together(vec![asked]));
            }
            Err(failure) => {
                let failure: Arc<Error> = Arc::new(failure);
                taken.into_iter().for_each(|asked| asked.tell(Err(Error::shared(&failure))));
            }
        }
    }
}

impl<E: Errand> Asked<E> {
    fn tell(self, answer: Result<Option<E::Answer>>) {
        drop(self.reply.send(Told::Done(answer)));
    }
}

/// Who does errands until nothing waits. He is counted as long as he is at work.
struct Clerk<E: Errand> {
    store: Arc<Inner>,
    gathering: Arc<Gathering<E>>,
    is_at_work: bool,
}

impl<E: Errand> Clerk<E> {
    async fn work(mut self) {
        while self.is_at_work {
            let turn = E::line(&self.store).turn_for_others().await;
            let done = on_blocking_thread(turn, move || {
                self.do_some();
                Ok(self)
            });
            let Ok(same) = done.await else { return };
            self = same;
        }
    }

    /// Until nothing waits, or somebody else waits for a turn.
    fn do_some(&mut self) {
        loop {
            let Some(taken) = self.gathering.take() else {
                self.is_at_work = false;
                return;
            };
            let first = taken.first().filter(|_| E::KINDS_APART);
            let work = first.map(|first| AtWork { gathering: &self.gathering, errand: first.errand.clone() });
            self.store.do_together(taken);
            drop(work);
            if self.gathering.leave_if_idle() {
                self.is_at_work = false;
                return;
            }
            if E::line(&self.store).is_waited_for() {
                return;
            }
        }
    }
}

impl<E: Errand> Drop for Clerk<E> {
    fn drop(&mut self) {
        if self.is_at_work {
            self.gathering.give_up();
        }
    }
}

/// A clerk at errands like this one.
struct AtWork<'a, E: Errand> {
    gathering: &'a Gathering<E>,
    errand: E,
}

impl<E: Errand> Drop for AtWork<'_, E> {
    fn drop(&mut self) {
        self.gathering.finish(&self.errand);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of the kind that its first letter tells.
    #[derive(Clone)]
    struct Task(&'static str);

    impl Errand for Task {
        type Answer = ();

        const MOST_TOGETHER: usize = 5;

        const CLERKS: usize = 2;

        const KINDS_APART: bool = true;

        fn is_like(&self, other: &Self) -> bool {
            self.0.as_bytes()[0] == other.0.as_bytes()[0]
        }

        fn line(store: &Inner) -> &Line {
            &store.writes
        }

        fn carry_out(_: &Inner, _: &[&Self]) -> Result<Vec<Option<()>>> {
            unreachable!("nobody does it here")
        }
    }

    struct Office {
        gathering: Arc<Gathering<Task>>,
        line: Line,
        replies: Vec<oneshot::Receiver<Told<()>>>,
    }

    impl Office {
        fn of(clerks: u32) -> Office {
            Office { gathering: Gathering::new(clerks), line: Line::new(1, 100), replies: Vec::new() }
        }

        /// Whether each of these, as they come, brings a clerk.
        fn bring(&mut self, names: &[&'static str]) -> Vec<bool> {
            let bring = |name: &&'static str| {
                let (reply, told) = oneshot::channel();
                self.replies.push(told);
                self.gathering.add(Task(name), self.line.place().unwrap(), reply).1
            };
            names.iter().map(bring).collect()
        }

        fn take(&self) -> Vec<&'static str> {
            self.gathering.take().into_iter().flatten().map(|asked| asked.errand.0).collect()
        }
    }

    #[test]
    fn a_kind_has_a_few_clerks_and_many_kinds_have_many() {
        let mut office = Office::of(5);

        assert_eq!(office.bring(&["a1", "a2", "a3"]), [true, true, false]);
        assert_eq!(office.bring(&["b1", "b2"]), [true, false], "the first of its kind");
        assert_eq!(office.take(), ["a1", "a2", "a3"]);
        assert_eq!(office.take(), ["b1", "b2"]);
        assert_eq!(office.bring(&["b3", "b4"]), [true, false], "one clerk is at its kind");
        assert_eq!(office.take(), ["b3", "b4"]);
        assert_eq!(office.bring(&["b5"]), [false], "two are");
        office.gathering.finish(&Task("b"));
        assert_eq!(office.bring(&["c1", "d1"]), [true, false], "there are no more than five");
    }

    #[test]
    fn more_than_go_together_bring_one_clerk_each() {
        let mut office = Office::of(4);

        let brought = office.bring(&["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"]);

        assert_eq!(brought, [true, true, false, false, false, true, true, false]);
    }

    #[test]
    fn only_those_who_wait_have_a_place() {
        let mut office = Office::of(1);
        office.bring(&["a1", "a2", "b1", "a3"]);
        office.replies.remove(1);
        assert_eq!(office.line.waiting(), 4);

        assert_eq!(office.take(), ["a1", "a3"], "whoever is gone is left out");

        assert_eq!(office.line.waiting(), 1);
        office.gathering.give_up();
        assert_eq!(office.line.waiting(), 0);
        assert!(office.replies.pop().unwrap().try_recv().is_err(), "begun with, and nobody knows what became of it");
        assert!(matches!(office.replies.pop().unwrap().try_recv(), Ok(Told::Untouched)));
    }
}
