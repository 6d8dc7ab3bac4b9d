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
