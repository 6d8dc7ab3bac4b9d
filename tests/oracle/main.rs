//! Random resources, searches and changes: SQLite, PostgreSQL and the evaluator in memory must agree (FLT-36).
//!
//! Every run is the same. `ORACLE_ROUNDS=20` does twenty times as much, `ORACLE_SEED` starts with another case and
//! `ORACLE_POPULATION` from another population. A failure names the seed of its case; as `ORACLE_SEED` it comes first.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests say what they do in their names and may fail loudly")]
#![allow(clippy::disallowed_methods, reason = "a test reads its own settings")]

mod changes;
mod filters;
mod population;
mod random;
mod searches;
#[path = "../support/mod.rs"]
mod support;
mod walks;
mod world;

/// The seed of the first case.
fn first_seed() -> u64 {
    setting("ORACLE_SEED").unwrap_or(1)
}

/// The seed of what stands in the databases.
fn population_seed() -> u64 {
    setting("ORACLE_POPULATION").unwrap_or(1)
}

/// How often the default number of cases is run.
fn rounds() -> u64 {
    setting("ORACLE_ROUNDS").unwrap_or(1)
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}
