//! The commands of operators: arguments become questions, answers become a [`Report`].
//!
//! A command asks at an [`Office`] and does not know whether that is the database at hand or another server. Only the
//! door prints what comes of it, and only it knows of configuration and exit codes; before what cannot be taken back, a
//! command asks whoever sits at the terminal.

pub mod audit;
mod consent;
pub mod db;
mod diff;
pub mod doctor;
pub mod healthcheck;
mod instant;
pub mod interruption;
pub mod keys;
pub mod migrate;
mod office;
mod place;
mod progress;
pub mod quickstart;
pub mod resources;
mod table;
pub mod tenants;
pub mod transfer;
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
    /// Look through the history of changes, and prove that it is as it was written
    #[command(subcommand)]
    Audit(audit::Command),
    /// Write a tenant's users, groups and other resources to a file, as they are or as they were
    ///
    /// NDJSON: a header, one SCIM resource on each line with all that `scimd import` needs to bring it back, and an end that
    /// tells whether the file is whole. It holds personal data: keep it as safe as the database.
    #[command(after_help = "Examples:\n  scimd export --output acme.ndjson --tenant acme\n  \
        scimd export --at 2026-11-01T00:00:00Z > november.ndjson\n  \
        scimd export | SCIMD_DATABASE_URL=postgres://scimd@db/scimd scimd import -")]
    Export(transfer::Export),
    /// Bring an export into a tenant, or make users of a table (CSV): all of it, or nothing
    ///
    /// An export keeps ids, times and versions. A table has the attributes of users as titles: userName, name.givenName,
    /// emails, active, department, manager (an id or a userName), groups (names, separated by semicolons), or as SCIM
    /// writes them. Its empty cells say nothing. Titles that are not understood are listed, with the flags to add.
    #[command(after_help = "Examples:\n  scimd import acme.ndjson --tenant acme --dry-run\n  \
        scimd import --csv people.csv --create-groups --dry-run\n  \
        scimd import --csv people.csv --map Login=userName --map 'E-mail=emails' --map Notes= --update\n  \
        scimd import --csv people.csv --map Email=userName --map Email=emails")]
    Import(transfer::Import),
    /// Write a consistent copy of the live SQLite database to a file
    ///
    /// Nobody has to stop writing. To restore: stop scimd, put the file in the place of the database, remove what stands
    /// beside it with the endings -wal and -shm, start scimd.
    #[command(
        after_help = "Examples:\n  scimd backup /backup/scimd-$(date +%F).db\n  scimd backup --force latest.db\n  \
        scimd backup here.db --url https://scim.example.com --admin-key-file key"
    )]
    Backup(transfer::Backup),
    /// Move everything to another database
    #[command(subcommand)]
    Db(db::Command),
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
            Command::Audit(command) => command.run(office).await,
            Command::Export(command) => command.run(office).await,
            Command::Import(command) => command.run(office).await,
            Command::Backup(command) => command.run(office),
            Command::Db(command) => command.run(office).await,
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
    /// Why the command fails though there is a result: the sentence of the error.
    pub failure: Option<String>,
}

impl Report {
    fn json(value: &impl Serialize) -> Result<Report> {
        let text = serde_json::to_string_pretty(value).map_err(Error::internal)?;
        Ok(Report { output: text + "\n", ..Report::default() })
    }

    fn text(output: String) -> Report {
        Report { output, ..Report::default() }
    }

    fn note(mut self, sentence: impl Into<String>) -> Report {
        self.notes.push(sentence.into());
        self
    }

    fn failed(self, sentence: impl Into<String>) -> Report {
        Report { failure: Some(sentence.into()), ..self }
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
