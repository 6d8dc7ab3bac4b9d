//! The commands of operators: arguments become questions, answers become a [`Report`].
//!
//! A command asks at an [`Office`] and does not know whether that is the database at hand or another server. Only the
//! door prints, and only it knows of configuration and exit codes.

mod consent;
mod diff;
pub mod doctor;
pub mod healthcheck;
pub mod keys;
pub mod migrate;
mod office;
pub mod quickstart;
pub mod resources;
mod restore_state;
mod table;
pub mod tenants;
pub mod undo;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde::Serialize;

pub use self::office::{Office, Server};
use crate::scim::{Error, ErrorKind, Result};

/// The commands that need an office: the database at hand, or a server to ask.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, list, show, revoke and rotate API keys
    #[command(subcommand)]
    Key(keys::Command),
    /// Make, list, set up, suspend and delete tenants: namespaces that see nothing of each other
    #[command(subcommand)]
    Tenant(tenants::Command),
    /// Look at users, also deleted ones, as they are and as they were, and restore them
    #[command(subcommand)]
    User(resources::UserCommand),
    /// Look at groups, also deleted ones, as they are and as they were, and restore them
    #[command(subcommand)]
    Group(resources::GroupCommand),
    /// Look at resources of any type, also of your own, as users and groups
    #[command(subcommand)]
    Resource(resources::Command),
    /// Take back what one key did in a span of time
    ///
    /// Attribute by attribute and member by member, what it created by deletion, what it deleted by restoration: in one
    /// transaction, as the operator's changes in the history. What somebody else has changed since, or the same key outside
    /// the span, is listed and left alone. An undo can be undone: `--key operator`.
    #[command(after_help = "Examples:\n  scimd undo --key 3f9c2a7be1d0 --since 2026-11-01T09:00:00Z --dry-run\n  \
        scimd undo --key 3f9c2a7be1d0 --since 2026-11-01T09:00:00Z --until 2026-11-01T09:30:00Z --yes")]
    Undo(undo::Undo),
}

impl Command {
    /// Does what the command says.
    ///
    /// # Errors
    /// What the operator can do something about, in one sentence; database failures.
    pub async fn run(self, office: &Office) -> Result<Report> {
        match self {
            Command::Key(command) => command.run(office).await,
            Command::Tenant(command) => command.run(office).await,
            Command::User(command) => command.run(office).await,
            Command::Group(command) => command.run(office).await,
            Command::Resource(command) => command.run(office).await,
            Command::Undo(command) => command.run(office).await,
        }
    }
}

/// What a command has to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The result, for standard output: nothing, or lines with their ends.
    pub output: String,
    /// Sentences about it, for standard error.
    pub notes: Vec<String>,
}

impl Report {
    fn json(value: &impl Serialize) -> Result<Report> {
        let text = serde_json::to_string_pretty(value).map_err(Error::internal)?;
        Ok(Report { output: text + "\n", notes: Vec::new() })
    }

    fn text(output: String) -> Report {
        Report { output, notes: Vec::new() }
    }

    fn note(mut self, sentence: impl Into<String>) -> Report {
        self.notes.push(sentence.into());
        self
    }
}

/// What an operator is told of an error: its sentence, and the cause where the sentence alone helps nobody.
pub fn sentence(error: &Error) -> String {
    let mut text = match error.kind() {
        ErrorKind::Internal => "scimd failed".to_owned(),
        _ => return error.detail().to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A moment as lists show it, to the minute; JSON has all of it.
fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%MZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_told_the_cause_of_an_internal_error() {
        assert_eq!(sentence(&Error::new(ErrorKind::NotFound, "There is none.")), "There is none.");
        assert_eq!(sentence(&Error::internal("no such table")), "scimd failed: no such table");
    }
}
