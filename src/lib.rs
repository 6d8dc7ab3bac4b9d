//! scimd: a SCIM 2.0 server for inbound provisioning.
//!
//! The rooms, from the ground up; each knows only those above it in this list (`ARCHITECTURE.md`).

pub mod scim;

pub mod store;

pub mod auth;

pub mod provider;

pub mod admin;

pub mod http;

pub mod cli;

pub mod conformance;

pub mod certificate;
pub mod outbound;

pub mod config;
pub mod telemetry;

/// How much is logged at most is one for the whole process, whichever thread a log belongs to, so the tests that make one
/// come one by one.
#[cfg(test)]
static LOGS_OF_TESTS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
