//! `scimd user` and `scimd group`: what identity providers have pushed, also what they have deleted (DEL-06).
//!
//! One implementation over the resource type. It reads and restores; to change a live resource is the providers' part.

mod entry;
mod history;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use self::entry::{Entry, header};
use self::history::{History, history};
use super::Report;
use super::table::{printable, table};
use crate::admin::Desk;
use crate::provider::Representation;
use crate::scim::projection::Projection;
use crate::scim::query::{MAX_COUNT, Parameters, Query};
use crate::scim::schema::ResourceType;
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::audit::{self, Operation};
use crate::store::tenants::Tenant;
use crate::store::{Connection, Reach, members, resources};

/// What an operator does with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List users, or deleted ones
    #[command(after_help = "Examples:\n  scimd user list\n  \
        scimd user list --filter 'userName sw \"mira\"' --json\n  \
        scimd user list --deleted --tenant acme --limit 1000")]
    List(List),
    /// Show one user; of a deleted one the last state, when and by which key it was deleted, and its groups
    #[command(after_help = "Examples:\n  scimd user show 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081\n  \
        scimd user show 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --at 2026-11-01T00:00:00Z")]
    Show(Show),
    /// What was changed of one user: when, by which key, with which request
    #[command(after_help = "Examples:\n  scimd user history 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081\n  \
        scimd user history 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081 --limit 10 --json")]
    History(History),
    /// Bring a deleted user back: the same id, its last attributes, its groups as far as they are still there
    #[command(after_help = "Example:\n  scimd user list --deleted\n  \
        scimd user restore 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081")]
    Restore(Restore),
}

/// What an operator does with groups.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// List groups, or deleted ones, or those with members that are not there
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
    /// Bring a deleted group back: the same id, its last attributes, its members as far as they are still there
    #[command(after_help = "Example:\n  scimd group list --deleted\n  \
        scimd group restore 0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081")]
    Restore(Restore),
}

/// `scimd user list`.
#[derive(Debug, Args)]
pub struct List {
    /// The deleted ones, latest first
    #[arg(long, conflicts_with = "filter")]
    deleted: bool,
    /// A SCIM filter (RFC 7644 section 3.4.2.2)
    #[arg(long)]
    filter: Option<String>,
    /// The tenant to look into
    #[arg(long, default_value = "default")]
    tenant: String,
    /// The most to list
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON, without memberships
    #[arg(long)]
    json: bool,
}

/// `scimd group list`.
#[derive(Debug, Args)]
pub struct GroupList {
    #[command(flatten)]
    list: List,
    /// The groups with unresolved members: ids that clients have sent and no live resource has
    #[arg(long, conflicts_with_all = ["deleted", "filter", "limit"])]
    unresolved: bool,
}

/// `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The SCIM id
    id: String,
    /// The state at this time, without what other resources add to it: names of members and managers, groups of users
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
    /// The tenant to look into
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The SCIM id
    id: String,
    /// The tenant to look into
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl UserCommand {
    /// Does what the command says.
    ///
    /// # Errors
    /// Unknown ids and tenants, filters that do not parse, names that are taken; database failures.
    pub async fn run(self, desk: &Desk) -> Result<Report> {
        let resource_type = resource_type(desk, "User")?;
        match self {
            UserCommand::List(arguments) => list(desk, resource_type, arguments).await,
            UserCommand::Show(arguments) => show(desk, resource_type, arguments).await,
            UserCommand::History(arguments) => history(desk, resource_type, arguments).await,
            UserCommand::Restore(arguments) => restore(desk, resource_type, arguments).await,
        }
    }
}

impl GroupCommand {
    /// Does what the command says.
    ///
    /// # Errors
    /// As [`UserCommand::run`].
    pub async fn run(self, desk: &Desk) -> Result<Report> {
        let resource_type = resource_type(desk, "Group")?;
        match self {
            GroupCommand::List(GroupList { list, unresolved: true }) => list_unresolved(desk, list).await,
            GroupCommand::List(arguments) => list(desk, resource_type, arguments.list).await,
            GroupCommand::Show(arguments) => show(desk, resource_type, arguments).await,
            GroupCommand::History(arguments) => history(desk, resource_type, arguments).await,
            GroupCommand::Restore(arguments) => restore(desk, resource_type, arguments).await,
        }
    }
}

fn resource_type(desk: &Desk, name: &str) -> Result<&'static ResourceType> {
    let found = desk.provider.registry().resource_type(name);
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("This scimd serves no resource type {name}.")))
}

async fn list(desk: &Desk, resource_type: &'static ResourceType, arguments: List) -> Result<Report> {
    let tenant = desk.tenant(&arguments.tenant).await?;
    let (entries, total) = match arguments.deleted {
        true => list_deleted(desk, resource_type, &tenant, &arguments).await?,
        false => list_live(desk, resource_type, &tenant, &arguments).await?,
    };
    let shown = entries.len();
    let report = if arguments.json {
        Report::json(&entries.iter().map(Entry::to_json).collect::<Vec<_>>())?
    } else if entries.is_empty() {
        let word = resource_type.name.to_ascii_lowercase();
        return Ok(Report::default().note(format!("No such {word} in tenant `{}`.", tenant.name)));
    } else {
        let rows: Vec<[String; 6]> = entries.iter().map(Entry::row).collect();
        Report::text(table(header(resource_type, arguments.deleted), &rows))
    };
    match total {
        Some(total) if total > shown as u64 => {
            Ok(report.note(format!("{shown} of {total} are shown; `--limit` shows more.")))
        }
        None if shown >= arguments.limit as usize => {
            Ok(report.note(format!("The latest {shown} are shown; `--limit` shows more.")))
        }
        _ => Ok(report),
    }
}

async fn list_deleted(
    desk: &Desk,
    resource_type: &'static ResourceType,
    tenant: &Tenant,
    arguments: &List,
) -> Result<(Vec<Entry>, Option<u64>)> {
    let limit = i64::from(arguments.limit);
    let buried = desk.provider.list_deleted(tenant.tenant_id, resource_type, limit).await?;
    Ok((buried.into_iter().map(|stored| Entry::buried(resource_type, stored)).collect(), None))
}

/// Page by page, as a client would, without what costs more than the list itself.
async fn list_live(
    desk: &Desk,
    resource_type: &'static ResourceType,
    tenant: &Tenant,
    arguments: &List,
) -> Result<(Vec<Entry>, Option<u64>)> {
    let call = desk.call(tenant);
    let limit = arguments.limit as usize;
    let mut found: Vec<Representation> = Vec::new();
    let mut total = 0;
    while found.len() < limit {
        let parameters = Parameters {
            filter: arguments.filter.clone(),
            start_index: Some((found.len() + 1).to_string()),
            count: Some((limit - found.len()).min(MAX_COUNT).to_string()),
            excluded_attributes: Some("members,groups".to_owned()),
            ..Parameters::default()
        };
        let query = Query::resolve(&parameters, resource_type, Profile::Compat)?;
        let page = desk.provider.search(call.clone(), vec![query]).await?;
        total = page.total;
        if page.resources.is_empty() {
            break;
        }
        found.extend(page.resources);
    }
    let bodies: Vec<Map<String, Value>> = found.into_iter().map(|representation| representation.body).collect();
    let ids: Vec<String> = bodies.iter().map(|body| entry::text(body, "id")).collect();
    let mut names = internal_names(desk, resource_type, tenant.tenant_id, ids).await?;
    let entry = |body: Map<String, Value>| {
        let name = names.remove(&entry::text(&body, "id"));
        Entry::live(resource_type, body, name)
    };
    Ok((bodies.into_iter().map(entry).collect(), Some(total)))
}

/// The internal names of live groups by id. Users have none.
async fn internal_names(
    desk: &Desk,
    resource_type: &'static ResourceType,
    tenant_id: i64,
    ids: Vec<String>,
) -> Result<HashMap<String, String>> {
    if !entry::has_internal_name(resource_type) {
        return Ok(HashMap::new());
    }
    let read = move |connection: &mut Connection| {
        let mut names = HashMap::with_capacity(ids.len());
        for id in ids {
            let stored = resources::find(connection, tenant_id, &resource_type.name, &id)?;
            names.extend(stored.and_then(|stored| stored.name).map(|name| (id, name)));
        }
        Ok(names)
    };
    desk.store.read(Reach::Scan, read).await
}

async fn list_unresolved(desk: &Desk, arguments: List) -> Result<Report> {
    let tenant_id = desk.tenant(&arguments.tenant).await?.tenant_id;
    let read = move |connection: &mut Connection| members::unresolved_by_group(connection, tenant_id);
    let groups = desk.store.read(Reach::Scan, read).await?;
    if arguments.json {
        let to_json = |(id, display_name, count): &(String, Option<String>, i64)| json!({"id": id, "displayName": display_name, "unresolvedMembers": count});
        return Report::json(&groups.iter().map(to_json).collect::<Vec<_>>());
    }
    if groups.is_empty() {
        return Ok(Report::default().note("Every member of every group is there."));
    }
    let row = |(id, display_name, count): &(String, Option<String>, i64)| {
        [id.clone(), display_name.clone().unwrap_or_default(), count.to_string()]
    };
    Ok(Report::text(table(["ID", "DISPLAYNAME", "UNRESOLVED MEMBERS"], &groups.iter().map(row).collect::<Vec<_>>())))
}

async fn show(desk: &Desk, resource_type: &'static ResourceType, arguments: Show) -> Result<Report> {
    let tenant = desk.tenant(&arguments.tenant).await?;
    let found = match arguments.at {
        Some(at) => find_past(desk, resource_type, &tenant, &arguments.id, at).await?,
        None => match find_live(desk, resource_type, &tenant, &arguments.id).await? {
            Some(entry) => Some(entry),
            None => find_deleted(desk, resource_type, &tenant, &arguments.id).await?,
        },
    };
    let entry = found.ok_or_else(|| not_there(resource_type, &arguments.id, &tenant))?;
    if arguments.json { Report::json(&entry.to_json()) } else { entry.lines().map(Report::text) }
}

fn not_there(resource_type: &ResourceType, id: &str, tenant: &Tenant) -> Error {
    let detail = format!(
        "No {0}, live or deleted, has the id '{1}' in tenant `{2}`; see `scimd {3} list` and `scimd {3} list --deleted`.",
        resource_type.name,
        printable(id),
        tenant.name,
        resource_type.name.to_ascii_lowercase()
    );
    Error::new(ErrorKind::NotFound, detail)
}

async fn find_past(
    desk: &Desk,
    resource_type: &'static ResourceType,
    tenant: &Tenant,
    id: &str,
    at: DateTime<Utc>,
) -> Result<Option<Entry>> {
    if at > desk.now() {
        return Err(Error::new(ErrorKind::InvalidValue, "--at: this time is in the future."));
    }
    let past = desk.provider.state_at(tenant.tenant_id, resource_type, id.to_owned(), at).await?;
    Ok(past.map(|past| Entry::past(resource_type, past, at)))
}

async fn find_live(
    desk: &Desk,
    resource_type: &'static ResourceType,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<Entry>> {
    let everything = Projection::everything(resource_type);
    let body = match desk.provider.read(desk.call(tenant), resource_type, id.to_owned(), everything).await {
        Ok(representation) => representation.body,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut names = internal_names(desk, resource_type, tenant.tenant_id, vec![id.to_owned()]).await?;
    Ok(Some(Entry::live(resource_type, body, names.remove(id))))
}

async fn find_deleted(
    desk: &Desk,
    resource_type: &'static ResourceType,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<Entry>> {
    let (tenant_id, id) = (tenant.tenant_id, id.to_owned());
    let read = move |connection: &mut Connection| {
        let Some(stored) = resources::find_buried(connection, tenant_id, &resource_type.name, &id)? else {
            return Ok(None);
        };
        let relations = relations(connection, tenant_id, &id)?;
        Ok(Some(Entry::buried(resource_type, stored).with_relations(relations)))
    };
    desk.store.read(Reach::Scan, read).await
}

/// What the deletion took away, as the history keeps it, with the names of the groups that are still there.
fn relations(connection: &mut Connection, tenant_id: i64, id: &str) -> Result<Value> {
    let changes = audit::last_changes(connection, tenant_id, id, Operation::Delete)?.unwrap_or_default();
    let mut relations = changes.get("relations").cloned().unwrap_or_else(|| json!({}));
    let groups = relations["groups"].as_array().cloned().unwrap_or_default();
    let ids: HashSet<&str> = groups.iter().filter_map(Value::as_str).collect();
    let names = members::display_names(connection, tenant_id, "Group", &ids)?;
    let named = |group: &Value| {
        let id = group.as_str().unwrap_or_default();
        json!({"id": id, "displayName": names.get(id), "deleted": !names.contains_key(id)})
    };
    relations["groups"] = groups.iter().map(named).collect();
    Ok(relations)
}

async fn restore(desk: &Desk, resource_type: &'static ResourceType, arguments: Restore) -> Result<Report> {
    let tenant = desk.tenant(&arguments.tenant).await?;
    let id = arguments.id.clone();
    let restored = desk.provider.restore(desk.call(&tenant), resource_type, id.clone()).await;
    let body = match restored {
        Ok(representation) => representation.body,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let is_live = find_live(desk, resource_type, &tenant, &id).await?.is_some();
            return Err(not_restorable(resource_type, &id, &tenant, is_live));
        }
        Err(error) if error.kind() == ErrorKind::Uniqueness => {
            let detail = format!("{} Rename or delete the one that has it, then restore.", error.detail());
            return Err(Error::new(ErrorKind::Uniqueness, detail));
        }
        Err(error) => return Err(error),
    };
    let mut names = internal_names(desk, resource_type, tenant.tenant_id, vec![id.clone()]).await?;
    let entry = Entry::live(resource_type, body, names.remove(&id));
    if arguments.json {
        return Report::json(&entry.to_json());
    }
    Ok(Report::default().note(format!("{} {} is back.", resource_type.name, entry.title())))
}

fn not_restorable(resource_type: &ResourceType, id: &str, tenant: &Tenant, is_live: bool) -> Error {
    let (name, id) = (&resource_type.name, printable(id));
    let detail = match is_live {
        true => format!("{name} '{id}' is not deleted."),
        false => format!(
            "No deleted {name} has the id '{id}' in tenant `{}`; see `scimd {} list --deleted`.",
            tenant.name,
            name.to_ascii_lowercase()
        ),
    };
    Error::new(ErrorKind::NotFound, detail)
}
