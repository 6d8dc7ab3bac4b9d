//! `purge`: what is known of somebody is erased.

use clap::Args;

use super::{Kind, One};
use crate::admin::resources::{self, Purged};
use crate::cli::consent::consent;
use crate::cli::table::printable;
use crate::cli::{Office, Report};
use crate::scim::Result;

/// `purge`.
#[derive(Debug, Args)]
pub struct Purge {
    #[command(flatten)]
    one: One,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only tell what would be erased
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// Erases a deleted resource of this kind.
///
/// # Errors
/// A resource that is unknown, live or purged already; no consent; those of the office.
pub(super) async fn purge(office: &Office, kind: Kind<'_>, arguments: Purge) -> Result<Report> {
    let Purge { one: One { id, tenant, json }, yes, dry_run } = arguments;
    let look = resources::Purge { tenant, resource_type: kind.endpoint.to_owned(), id, dry_run: true };
    let preview = office.ask(look.clone()).await.map_err(|error| kind.with_hint(error))?;
    if dry_run {
        return report(&preview, json);
    }
    consent(&format!("This erases {} for good. Go on?", what(&preview)), yes)?;
    let purged = office.ask(resources::Purge { dry_run: false, ..look }).await;
    report(&purged.map_err(|error| kind.with_hint(error))?, json)
}

fn report(purged: &Purged, json: bool) -> Result<Report> {
    if json {
        return Report::json(purged);
    }
    let verb = if purged.dry_run { "This would erase" } else { "Erased" };
    let mut report = Report::default().note(format!("{verb} {}.", what(purged)));
    if !purged.dry_run {
        report = report.note(
            "The history keeps that there were changes, when and by which key. Backups, and logs of the database, keep what \
             they held.",
        );
    }
    if purged.lingers {
        report = report.note(
            "Something was in the way, a long read or other work of the server: SQLite's log holds old contents until they are \
             overwritten, or scimd stops.",
        );
    }
    if !purged.namesakes.is_empty() {
        let ids = purged.namesakes.join(", ");
        report = report.note(format!("Not erased, though they have the same name, and may be the same person: {ids}."));
    }
    Ok(report)
}

fn what(purged: &Purged) -> String {
    let changes = match purged.changes {
        1 => "1 change in the history".to_owned(),
        count => format!("{count} changes in the history"),
    };
    let mut text =
        format!("the attributes of {} '{}', what {changes} said", purged.resource_type, printable(&purged.id));
    if !purged.keys.is_empty() {
        text.push_str(&format!(", and the keys bound to it ({})", purged.keys.join(", ")));
    }
    text
}
