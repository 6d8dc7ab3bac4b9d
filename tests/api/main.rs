//! The real server on a real port, on both databases: what clients see.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests say what they do in their names and may fail loudly")]

mod access;
mod bad_input;
mod clients;
mod concurrency;
mod create;
mod delete;
mod discovery;
mod harness;
mod messages;
mod modify;
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
