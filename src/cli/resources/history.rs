//! `history`: the changes of one resource, each with what it changed.

use clap::Args;

use super::{Kind, One, who};
use crate::admin::resources::{self, Change};
use crate::cli::table::printable;
use crate::cli::{Office, Report, diff};
use crate::scim::Result;
use crate::scim::resource::format_instant;

/// `history`.
#[derive(Debug, Args)]
pub struct History {
    #[command(flatten)]
    one: One,
    /// The most changes to show, counted from the latest
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub(super) async fn history(office: &Office, kind: Kind<'_>, arguments: History) -> Result<Report> {
    let History { one, limit } = arguments;
    let limit = limit as usize;
    let question = |after, limit| {
        let (tenant, resource_type, id) = (one.tenant.clone(), kind.endpoint.to_owned(), one.id.clone());
        resources::History { tenant, resource_type, id, after, limit }
    };
    let walked = office.walk(limit, question).await;
    let (mut changes, has_more) = walked.map_err(|error| kind.with_hint(error))?;
    // Read from top to bottom, as a story.
    changes.reverse();
    let report = match one.json {
        true => Report::json(&changes)?,
        false => Report::text(changes.iter().map(lines).collect::<Vec<String>>().join("\n")),
    };
    match has_more {
        true => Ok(report.note(format!("The latest {limit} changes are shown; `--limit` shows more."))),
        false => Ok(report),
    }
}

/// A line about the change, and one for each thing that it changed.
fn lines(change: &Change) -> String {
    let mut head = format!("{}  {}", format_instant(change.at), change.operation);
    if let Some(version) = change.version {
        head.push_str(&format!("  version {version}"));
    }
    head.push_str(&format!("  by {}", who(&change.key, change.key_name.as_deref())));
    if let Some(request_id) = &change.request_id {
        head.push_str(&format!("  request {request_id}"));
    }
    let mut lines = vec![head];
    if change.erased {
        lines.push("  what changed is erased".to_owned());
    }
    lines.extend(diff::lines(&change.changes));
    lines.iter().map(|line| printable(line) + "\n").collect()
}
