//! `list`: the resources of a type as a table.

use chrono::DateTime;
use clap::Args;

use super::Kind;
use crate::admin::resources::{self, Entry, ListUnresolved, Listing, Unresolved, Which};
use crate::cli::table::table;
use crate::cli::{Office, Report, minute};
use crate::scim::Result;

/// The most that one question asks for.
const PAGE: usize = 1000;

/// `list`.
#[derive(Debug, Args)]
pub struct List {
    /// The deleted ones, latest first
    #[arg(long, conflicts_with = "all")]
    deleted: bool,
    /// The live ones, then the deleted ones
    #[arg(long)]
    all: bool,
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
    pub(super) list: List,
    /// The groups with unresolved members: ids that clients have sent and no live resource has
    #[arg(long, conflicts_with_all = ["deleted", "all", "filter", "limit"])]
    pub(super) unresolved: bool,
}

impl List {
    fn which(&self) -> Which {
        match (self.deleted, self.all) {
            (true, _) => Which::Deleted,
            (_, true) => Which::All,
            _ => Which::Live,
        }
    }
}

pub(super) async fn list(office: &Office, kind: Kind<'_>, arguments: List) -> Result<Report> {
    let limit = arguments.limit as usize;
    let found = find(office, kind, &arguments).await?;
    let entries = &found.page.items;
    let report = if arguments.json {
        Report::json(entries)?
    } else if entries.is_empty() {
        return Ok(Report::default().note(format!("No such {} in tenant `{}`.", kind.noun, arguments.tenant)));
    } else {
        columns(kind, arguments.which(), entries)
    };
    Ok(match (found.total, found.page.next) {
        (_, None) => report,
        (Some(total), _) => report.note(format!("{limit} of {total} are shown; `--limit` shows more.")),
        (None, _) => report.note(format!("The first {limit} are shown; `--limit` shows more.")),
    })
}

/// Page by page, until there are as many as are wanted.
async fn find(office: &Office, kind: Kind<'_>, arguments: &List) -> Result<Listing> {
    let wanted = arguments.limit as usize;
    let mut question = resources::List {
        tenant: arguments.tenant.clone(),
        resource_type: kind.endpoint.to_owned(),
        which: arguments.which(),
        filter: arguments.filter.clone(),
        after: None,
        limit: Some(wanted.min(PAGE) as u32),
    };
    let mut found = office.ask(question.clone()).await?;
    while found.page.items.len() < wanted
        && let Some(next) = found.page.next.take()
    {
        question.after = Some(next);
        let Listing { page, .. } = office.ask(question.clone()).await?;
        found.page.items.extend(page.items);
        found.page.next = page.next;
    }
    if found.page.items.len() > wanted {
        found.page.items.truncate(wanted);
        found.page.next.get_or_insert_default();
    }
    Ok(found)
}

fn columns(kind: Kind<'_>, which: Which, entries: &[Entry]) -> Report {
    let (fifth, sixth) = if which == Which::Deleted { ("DELETED", "BY KEY") } else { ("ACTIVE", "MODIFIED") };
    let last = |entry: &Entry| match (entry.deleted, which) {
        (Some(at), Which::Deleted) => [minute(at), entry.deleted_by.clone().unwrap_or_default()],
        (Some(_), _) => ["deleted".to_owned(), modified(entry)],
        (None, _) => [active(entry).to_owned(), modified(entry)],
    };
    let text = match kind.endpoint {
        "Users" => {
            let cells = |entry: &Entry| [entry.text("userName"), entry.text("displayName")].map(str::to_owned);
            rows(["USERNAME", "DISPLAYNAME"], [fifth, sixth], entries, cells, last)
        }
        "Groups" => {
            let cells = |entry: &Entry| [entry.text("displayName").to_owned(), entry.name.clone().unwrap_or_default()];
            rows(["DISPLAYNAME", "NAME"], [fifth, sixth], entries, cells, last)
        }
        _ => {
            let cells = |entry: &Entry| [entry.label.clone().unwrap_or_default(), entry.text("displayName").to_owned()];
            rows(["LABEL", "DISPLAYNAME"], [fifth, sixth], entries, cells, last)
        }
    };
    Report::text(text)
}

fn rows(
    [second, third]: [&str; 2],
    [fifth, sixth]: [&str; 2],
    entries: &[Entry],
    cells: impl Fn(&Entry) -> [String; 2],
    last: impl Fn(&Entry) -> [String; 2],
) -> String {
    let row = |entry: &Entry| {
        let ([second, third], [fifth, sixth]) = (cells(entry), last(entry));
        [entry.id().to_owned(), second, third, entry.text("externalId").to_owned(), fifth, sixth]
    };
    table(["ID", second, third, "EXTERNALID", fifth, sixth], &entries.iter().map(row).collect::<Vec<_>>())
}

fn active(entry: &Entry) -> &'static str {
    match entry.resource.get("active").and_then(serde_json::Value::as_bool) {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    }
}

fn modified(entry: &Entry) -> String {
    let at = entry.resource.get("meta").and_then(|meta| meta["lastModified"].as_str()).unwrap_or_default();
    DateTime::parse_from_rfc3339(at).map_or_else(|_| at.to_owned(), |at| minute(at.to_utc()))
}

pub(super) async fn list_unresolved(office: &Office, arguments: List) -> Result<Report> {
    let question = |after, limit| ListUnresolved { tenant: arguments.tenant.clone(), after, limit };
    let (groups, _): (Vec<Unresolved>, bool) = office.walk(usize::MAX, question).await?;
    if arguments.json {
        return Report::json(&groups);
    }
    if groups.is_empty() {
        return Ok(Report::default().note("Every member of every group is there."));
    }
    let row = |group: &Unresolved| {
        [group.id.clone(), group.display_name.clone().unwrap_or_default(), group.unresolved_members.to_string()]
    };
    Ok(Report::text(table(["ID", "DISPLAYNAME", "UNRESOLVED MEMBERS"], &groups.iter().map(row).collect::<Vec<_>>())))
}
