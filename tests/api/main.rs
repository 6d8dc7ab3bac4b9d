//! The real server on a real port, on both databases: what clients see.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests say what they do in their names and may fail loudly")]
#![allow(
    clippy::disallowed_methods,
    reason = "the server under test runs on the clock of this machine, and so do its tests"
)]

mod access;
mod bad_input;
mod bulk;
mod clients;
mod concurrency;
mod create;
mod delete;
mod discovery;
mod harness;
mod internationalization;
mod messages;
mod modify;
mod nested_groups;
mod passwords;
mod projection;
mod protocol;
mod query;
mod read;
mod replace;
mod resources;
mod restore;
#[path = "../support/mod.rs"]
mod support;
mod vectors;
mod version;
