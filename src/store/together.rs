//! Writes that several callers ask for at once, and that a few statements of one transaction do for all of them.

use std::fmt;
use std::sync::Arc;

use super::gathering::{Errand, Gathering};
use super::line::Line;
use super::{Connection, Haste, Inner};
use crate::scim::{Error, ErrorKind, Result};

/// A write that can be done together with others of its kind.
pub trait Together: Clone + Send + Sync + 'static {
    /// What comes of it.
    type Answer: Send + 'static;

    /// How many are done together at most: of more each has hardly less to wait for, and all wait for the last one.
    const MOST_TOGETHER: usize = 32;

    /// Whether one transaction may do both.
    fn is_like(&self, other: &Self) -> bool;

    /// Does these, which are alike, by one statement outside of a transaction, if that is all that it takes: what
    /// [`Self::carry_out`] tells of each. `None`, and nothing is stored, if it takes more. Runs once.
    ///
    /// # Errors
    /// Those of the whole: nothing of any is stored, unless the connection broke.
    fn carry_out_at_once(_: &mut Connection, _writes: &[&Self]) -> Result<Option<Vec<Option<Self::Answer>>>> {
        Ok(None)
    }

    /// Does these, which are alike, within a transaction; for each, in their order, what comes of it, or `None` if it has to be
    /// done by itself and nothing of it is stored. May run more than once, as the work of [`super::Store::write`].
    ///
    /// # Errors
    /// Those of the whole: nothing of any is stored, and each is done by itself then.
    fn carry_out(connection: &mut Connection, writes: &[&Self]) -> Result<Vec<Option<Self::Answer>>>;
}

/// Where writes of one sort wait for each other ([`super::Store::write_together`]).
pub struct Gatherer<W: Together>(pub(super) Arc<Gathering<Joint<W>>>);

impl<W: Together> Clone for Gatherer<W> {
    fn clone(&self) -> Self {
        Gatherer(Arc::clone(&self.0))
    }
}

impl<W: Together> fmt::Debug for Gatherer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of them that waits.
#[derive(Clone)]
pub(super) struct Joint<W>(pub W);

impl<W: Together> Errand for Joint<W> {
    type Answer = W::Answer;

    const MOST_TOGETHER: usize = W::MOST_TOGETHER;

    /// One commits while another one works.
    const CLERKS: usize = 2;

    const KINDS_APART: bool = true;

    fn is_like(&self, other: &Self) -> bool {
        self.0.is_like(&other.0)
    }

    fn line(store: &Inner) -> &Line {
        &store.writes
    }

    fn carry_out(store: &Inner, joint: &[&Self]) -> Result<Vec<Option<W::Answer>>> {
        let writes: Vec<&W> = joint.iter().map(|joint| &joint.0).collect();
        let work = |connection: &mut Connection| match W::carry_out(connection, &writes)? {
            answers if answers.len() == writes.len() => Ok(answers),
            _ => Err(Error::internal("what was done together has an answer for each")),
        };
        let at_once = store.write_at_once(|connection| W::carry_out_at_once(connection, &writes));
        match at_once.and_then(|done| done.map_or_else(|| store.write(Haste::Hasty, writes.len(), work), Ok)) {
            // Nobody is spared that, nor is it known what became of a commit.
            Err(failure) if failure.kind() == ErrorKind::Unavailable => Err(failure),
            // Somebody is in the way, perhaps for long, or it is the matter of one. Each by himself learns what is wrong with
            // him, beside the others, and the clerk goes on.
            Err(_) => Ok(writes.iter().map(|_| None).collect()),
            done => done,
        }
    }
}
