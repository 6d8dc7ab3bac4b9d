//! Operators: the commands that look after keys, tenants and what identity providers have pushed.
//!
//! A command takes its arguments and the [`Desk`] and gives a [`Report`]. It works beside a running server, for both do
//! their work in transactions of one database. Only the door prints, and only it knows of configuration and exit codes.

pub mod healthcheck;
pub mod keys;
pub mod migrate;
pub mod quickstart;
pub mod resources;
mod table;
pub mod tenants;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde_json::Value;

use crate::auth::{Caller, Scopes};
use crate::provider::{Call, Provider};
use crate::scim::{Error, ErrorKind, Profile, Result, cursor};
use crate::store::tenants::Tenant;
use crate::store::{Reach, Store};

/// The commands that need a database and no server.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, list, show, revoke and rotate API keys
    #[command(subcommand)]
    Key(keys::Command),
    /// Make, list and set up tenants: namespaces that see nothing of each other
    #[command(subcommand)]
    Tenant(tenants::Command),
    /// Look at users, also deleted ones, as they are and as they were, and restore them
    #[command(subcommand)]
    User(resources::UserCommand),
    /// Look at groups, also deleted ones, as they are and as they were, and restore them
    #[command(subcommand)]
    Group(resources::GroupCommand),
}

impl Command {
    /// Does what the command says.
    ///
    /// # Errors
    /// What the operator can do something about, in one sentence; database failures.
    pub async fn run(self, desk: &Desk) -> Result<Report> {
        match self {
            Command::Key(command) => command.run(desk).await,
            Command::Tenant(command) => command.run(desk).await,
            Command::User(command) => command.run(desk).await,
            Command::Group(command) => command.run(desk).await,
        }
    }
}

/// What every command works with.
pub struct Desk {
    store: Store,
    provider: Provider,
}

impl Desk {
    /// A desk over a migrated store, and the operations on the same store.
    pub fn new(store: Store, provider: Provider) -> Desk {
        Desk { store, provider }
    }

    fn now(&self) -> DateTime<Utc> {
        self.provider.now()
    }

    /// The tenant of that name, or a sentence with the names that there are.
    async fn tenant(&self, name: &str) -> Result<Tenant> {
        let all = self.store.read(Reach::Scan, crate::store::tenants::list).await?;
        let names: Vec<String> = all.iter().map(|tenant| format!("`{}`", tenant.name)).collect();
        all.into_iter().find(|tenant| tenant.name == name).ok_or_else(|| {
            let detail = format!("There is no tenant `{name}`. There are: {}.", names.join(", "));
            Error::new(ErrorKind::NotFound, detail)
        })
    }

    /// A call by the operator, who may do everything within the tenant. The history shows it as `operator`.
    fn call(&self, tenant: &Tenant) -> Call {
        let caller = Caller {
            tenant_id: tenant.tenant_id,
            tenant: tenant.name.clone(),
            key_id: "operator".to_owned(),
            profile: Profile::Compat,
            scopes: Scopes::all(),
            subject: None,
            // Operators page by index.
            cursor_secret: cursor::Secret::derive(&[&uuid::Uuid::now_v7().to_string()]),
        };
        Call { caller: Arc::new(caller), request_id: uuid::Uuid::now_v7().to_string().into(), as_subject: false }
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
    fn json(value: &Value) -> Result<Report> {
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
