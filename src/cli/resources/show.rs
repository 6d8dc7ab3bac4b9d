//! `show`: one resource, as a page or as JSON.

use chrono::{DateTime, Utc};
use clap::Args;

use super::{Kind, One};
use crate::admin::resources::{self, Details, Entry, Then, ThenGroup};
use crate::cli::table::printable;
use crate::cli::{Office, Report, minute};
use crate::scim::resource::format_instant;
use crate::scim::{Error, Result};

/// `show`.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    one: One,
    /// The state at this time, without what other resources add to it: names of members and managers, groups of users
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
}

pub(super) async fn show(office: &Office, kind: Kind<'_>, arguments: Show) -> Result<Report> {
    let Show { one: One { id, tenant, json }, at } = arguments;
    let question = resources::Show { tenant, resource_type: kind.endpoint.to_owned(), id, at };
    let details = office.ask(question).await.map_err(|error| kind.with_hint(error))?;
    if json { Report::json(&details) } else { page(&details).map(Report::text) }
}

/// What messages call a resource.
pub(super) fn title(entry: &Entry) -> String {
    let label = entry.label.as_deref().map(|label| format!(" (`{}`)", printable(label)));
    format!("{}{}", printable(entry.id()), label.unwrap_or_default())
}

/// A few lines for people, then the resource.
fn page(details: &Details) -> Result<String> {
    let entry = &details.entry;
    let mut lines = vec![("status", entry.status.as_str().to_owned())];
    lines.extend(details.at.map(|at| ("at", format_instant(at))));
    lines.extend(details.version.map(|version| ("version", version.to_string())));
    lines.extend(entry.name.clone().map(|name| ("name", name)));
    if let Some(at) = entry.deleted {
        let by = entry.deleted_by.as_deref().unwrap_or_default();
        lines.push(("deleted", format!("{} by key {by}", minute(at))));
    }
    if let Some(Then { groups, members, reports }) = &details.relations {
        lines.push(("was in", groups.iter().map(group).collect::<Vec<_>>().join(", ")));
        lines.push(("had members", members.join(", ")));
        lines.push(("was manager of", reports.join(", ")));
    }
    let lines = lines.iter().filter(|(_, value)| !value.is_empty());
    let head: String = lines.map(|(name, value)| format!("{name:<16}{}\n", printable(value))).collect();
    let body = serde_json::to_string_pretty(&entry.resource).map_err(Error::internal)?;
    // JSON escapes what a terminal obeys up to U+001F only; line breaks here are the printer's own.
    let body: Vec<String> = body.lines().map(printable).collect();
    Ok(format!("{head}\n{}\n", body.join("\n")))
}

fn group(group: &ThenGroup) -> String {
    let name = group.display_name.as_deref().map(|name| format!(" (`{name}`)"));
    let deleted = if group.deleted { " (deleted)" } else { "" };
    format!("{}{}{deleted}", group.id, name.unwrap_or_default())
}
