//! The commit of changes, and what is measured of it: how long it takes, and how many changes share it.
//!
//! Distributions go through the facade of `metrics`, which costs next to nothing where nobody collects them.

use std::time::Instant;

use metrics::histogram;

use super::connection::Connection;
use super::error;
use crate::scim::Result;

/// The name of how long commits took, in seconds.
pub const COMMIT_SECONDS: &str = "scimd_commit_duration_seconds";

/// The name of how many changes were committed together.
pub const CHANGES_PER_COMMIT: &str = "scimd_changes_per_commit";

/// Commits the transaction, which holds as many changes as that. Only what succeeds is measured.
pub(super) fn commit(connection: &mut Connection, changes: usize) -> Result<()> {
    let started = Instant::now();
    connection.commit().map_err(error::of_commit)?;
    histogram!(COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
    count(changes);
    Ok(())
}

/// So many changes were committed, if only by the statement that made them, which took no time for that alone.
pub(super) fn count(changes: usize) {
    if changes > 0 {
        histogram!(CHANGES_PER_COMMIT).record(changes as f64);
    }
}
