//! The real server on a real port, on both databases: what clients see.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests say what they do in their names and may fail loudly")]
#![allow(
    clippy::disallowed_methods,
    reason = "the server under test runs on the clock of this machine, and so do its tests"
)]

mod access;
mod admin;
mod bad_input;
mod bulk;
mod characteristics;
mod clients;
mod concurrency;
mod configured;
mod create;
mod cursor;
mod delete;
mod discovery;
mod filter;
mod harness;
mod headers;
mod history;
mod integrity;
mod internationalization;
mod me;
mod messages;
mod modify;
mod nested_groups;
mod openapi;
mod passwords;
mod past;
mod patch_rows;
mod profiles;
mod projection;
mod protocol;
mod purge;
mod query;
mod read;
mod replace;
mod resources;
mod restore;
mod restore_state;
#[path = "../support/mod.rs"]
mod support;
mod test_type;
mod tolerances;
mod transfer;
mod undo;
mod vectors;
mod version;
