//! `scimd user`, `scimd group` and `scimd resource`: what identity providers have pushed, also what they have deleted
//! (DEL-06).
//!
//! One implementation over the resource type. A server elsewhere may serve types that this program has never heard of, so
//! nothing here knows of schemas.

mod history;
mod list;
mod page;
mod purge;
mod restore;
mod show;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use self::history::{History, history};
use self::list::{GroupList, List, list, list_unresolved};
use self::purge::{Purge, purge};
use self::restore::{Restore, restore};
use self::show::{Show, show};
use super::{Office, Report};
use crate::scim::{Error, ErrorKind, Result};

/// What an operator does with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List users, live or deleted, or search them
    #[command(after_help = "Examples:\n  scimd user list\n  \
        scimd user list --filter 'userName sw \"mira\"' --json\n  \
        scimd user list --deleted --filter 'emails.value ew \"@example.com\"'\n  \
        scimd user list --all --tenant acme --limit 1000")]
    List(List),
    /// Show one user; of a deleted one the last state, when and by which key it was deleted, and its groups
    #[command(after_help = "Examples:\n  scimd user show 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081\n  \
        scimd user show 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --at 2026-11-01T00:00:00Z")]
    Show(Show),
    /// What was changed of one user: when, by which key, with which request
    #[command(after_help = "Examples:\n  scimd user history 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081\n  \
        scimd user history 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --limit 10 --json")]
    History(History),
    /// Bring a deleted user back: the same id, its last attributes, its groups as far as they are still there; or give one,
    /// deleted or not, the attributes that it had at a time
    #[command(after_help = "Examples:\n  scimd user list --deleted\n  \
        scimd user restore 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081\n  \
        scimd user restore 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --at 2026-11-01T00:00:00Z")]
    Restore(Restore),
    /// Erase for good what is known of a deleted user, also from the history
    ///
    /// The history keeps that there were changes, when and by which key, and proves itself as before. The id is never given
    /// again.
    #[command(after_help = "Examples:\n  scimd user purge 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --dry-run\n  \
        scimd user purge 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --yes")]
    Purge(Purge),
}

/// What an operator does with groups.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// List groups, live or deleted, or search them, or those with members that are not there
    #[command(after_help = "Examples:\n  scimd group list\n  scimd group list --filter 'displayName eq \"Staff\"'\n  \
        scimd group list --deleted --json\n  scimd group list --unresolved")]
    List(GroupList),
    /// Show one group with its members; of a deleted one the last state, and when and by which key it was deleted
    #[command(after_help = "Examples:\n  scimd group show 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081\n  \
        scimd group show 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --at 2026-11-01T00:00:00Z")]
    Show(Show),
    /// What was changed of one group: when, by which key, with which request, and which members came and went
    #[command(after_help = "Examples:\n  scimd group history 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081\n  \
        scimd group history 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --limit 10 --json")]
    History(History),
    /// Bring a deleted group back: the same id, its last attributes, its members as far as they are still there; or give
    /// one, deleted or not, the attributes and members that it had at a time
    #[command(after_help = "Examples:\n  scimd group list --deleted\n  \
        scimd group restore 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081\n  \
        scimd group restore 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --at 2026-11-01T00:00:00Z")]
    Restore(Restore),
    /// Erase for good what is known of a deleted group, also from the history
    ///
    /// The history keeps that there were changes, when and by which key, and proves itself as before. The id is never given
    /// again.
    #[command(after_help = "Examples:\n  scimd group purge 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --dry-run\n  \
        scimd group purge 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --yes")]
    Purge(Purge),
}

/// What an operator does with resources of any type.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List resources, live or deleted, or search them
    #[command(after_help = "Examples:\n  scimd resource list --type Devices\n  \
        scimd resource list --type Devices --deleted --filter 'serial pr'")]
    List(OfType<List>),
    /// Show one resource; of a deleted one the last state, and when and by which key it was deleted
    #[command(after_help = "Example:\n  \
        scimd resource show --type Devices 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081")]
    Show(OfType<Show>),
    /// What was changed of one resource: when, by which key, with which request
    #[command(after_help = "Example:\n  \
        scimd resource history --type Devices 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081")]
    History(OfType<History>),
    /// Bring a deleted resource back: the same id, its last attributes, its groups as far as they are still there; or give
    /// one, deleted or not, the attributes that it had at a time
    #[command(after_help = "Example:\n  \
        scimd resource restore --type Devices 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081")]
    Restore(OfType<Restore>),
    /// Erase for good what is known of a deleted resource, also from the history
    ///
    /// The history keeps that there were changes, when and by which key, and proves itself as before. The id is never given
    /// again.
    #[command(after_help = "Example:\n  \
        scimd resource purge --type Devices 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --dry-run")]
    Purge(OfType<Purge>),
}

/// A command, and the type that it is about.
#[derive(Debug, Args)]
pub struct OfType<A: Args> {
    /// The endpoint of the resource type, as in the URLs of SCIM
    #[arg(long = "type", value_name = "ENDPOINT", value_parser = NonEmptyStringValueParser::new())]
    endpoint: String,
    #[command(flatten)]
    arguments: A,
}

/// One resource.
#[derive(Debug, Args)]
pub struct One {
    /// The SCIM id
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    /// The tenant to look into
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A resource type, as the commands call it.
#[derive(Debug, Clone, Copy)]
struct Kind<'a> {
    /// Its endpoint.
    endpoint: &'a str,
    /// What one of them is called.
    noun: &'a str,
    /// What its list is called by.
    list: &'a str,
}

const USER: Kind<'static> = Kind { endpoint: "Users", noun: "user", list: "scimd user list" };
const GROUP: Kind<'static> = Kind { endpoint: "Groups", noun: "group", list: "scimd group list" };

impl Kind<'_> {
    /// Says where to look for the id that somebody asked for.
    fn with_hint(self, error: Error) -> Error {
        let is_of_the_id = ["has the id", "does not exist"].iter().any(|words| error.detail().contains(words));
        if error.kind() != ErrorKind::NotFound || !is_of_the_id {
            return error;
        }
        let sentence = error.detail().trim_end_matches('.');
        Error::new(ErrorKind::NotFound, format!("{sentence}; see `{0}` and `{0} --deleted`.", self.list))
    }
}

impl UserCommand {
    /// Does what the command says.
    ///
    /// # Errors
    /// Unknown ids and tenants, filters that do not parse, names that are taken; those of the office.
    pub async fn run(self, office: &Office) -> Result<Report> {
        match self {
            UserCommand::List(arguments) => list(office, USER, arguments).await,
            UserCommand::Show(arguments) => show(office, USER, arguments).await,
            UserCommand::History(arguments) => history(office, USER, arguments).await,
            UserCommand::Restore(arguments) => restore(office, USER, arguments).await,
            UserCommand::Purge(arguments) => purge(office, USER, arguments).await,
        }
    }
}

impl GroupCommand {
    /// Does what the command says.
    ///
    /// # Errors
    /// As [`UserCommand::run`].
    pub async fn run(self, office: &Office) -> Result<Report> {
        match self {
            GroupCommand::List(arguments) if arguments.unresolved => list_unresolved(office, arguments.list).await,
            GroupCommand::List(arguments) => list(office, GROUP, arguments.list).await,
            GroupCommand::Show(arguments) => show(office, GROUP, arguments).await,
            GroupCommand::History(arguments) => history(office, GROUP, arguments).await,
            GroupCommand::Restore(arguments) => restore(office, GROUP, arguments).await,
            GroupCommand::Purge(arguments) => purge(office, GROUP, arguments).await,
        }
    }
}

impl Command {
    /// Does what the command says.
    ///
    /// # Errors
    /// As [`UserCommand::run`].
    pub async fn run(self, office: &Office) -> Result<Report> {
        let endpoint = match &self {
            Command::List(OfType { endpoint, .. })
            | Command::Show(OfType { endpoint, .. })
            | Command::History(OfType { endpoint, .. })
            | Command::Restore(OfType { endpoint, .. })
            | Command::Purge(OfType { endpoint, .. }) => endpoint.trim_start_matches('/').to_owned(),
        };
        let listed = format!("scimd resource list --type {endpoint}");
        let kind = match endpoint.as_str() {
            "Users" => USER,
            "Groups" => GROUP,
            endpoint => Kind { endpoint, noun: "resource", list: &listed },
        };
        match self {
            Command::List(of) => list(office, kind, of.arguments).await,
            Command::Show(of) => show(office, kind, of.arguments).await,
            Command::History(of) => history(office, kind, of.arguments).await,
            Command::Restore(of) => restore(office, kind, of.arguments).await,
            Command::Purge(of) => purge(office, kind, of.arguments).await,
        }
    }
}

/// Who did something: the name of a key, where it has one, and its id.
fn who(key: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{name} ({key})"),
        None => key.to_owned(),
    }
}
