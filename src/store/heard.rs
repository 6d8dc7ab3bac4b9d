//! Which connections of the pool have just answered: what is a transaction by itself goes to no other one. Were the connection
//! dead, nobody would know whether it was the statement that failed, or a change that is stored.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Pooled;

/// How long ago at most that was just now. Who is unlucky with it is told that nothing is known.
pub(super) const JUST_NOW: Duration = Duration::from_secs(1);

/// How often a connection was found to be gone: whatever has become of one may have become of all.
#[derive(Debug, Default)]
pub(super) struct Losses(AtomicU64);

/// When a connection last answered, and how many others were gone by then.
struct Heard {
    at: Instant,
    losses: u64,
}

impl Losses {
    /// A connection is gone.
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were so far.
    pub(super) fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether it has just answered, and none was gone since.
    pub(super) fn was_just_heard(&self, connection: &Pooled) -> bool {
        let heard = Pooled::extensions(connection).get::<Heard>();
        heard.is_some_and(|heard| heard.at.elapsed() < JUST_NOW && heard.losses == self.so_far())
    }
}

/// This connection has answered. There were so many losses when it was asked.
pub(super) fn hear(connection: &mut Pooled, losses: u64) {
    Pooled::extensions_mut(connection).insert(Heard { at: Instant::now(), losses });
}
