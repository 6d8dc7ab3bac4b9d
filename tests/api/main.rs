//! The real server on a real port, on both databases: what clients see.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests say what they do in their names and may fail loudly")]

mod clients;
mod harness;
#[path = "../support/mod.rs"]
mod support;
