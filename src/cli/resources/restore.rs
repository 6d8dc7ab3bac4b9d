//! `restore`: a deleted resource is brought back, or one is given the state that it had at a time.

use chrono::{DateTime, Utc};
use clap::Args;

use super::{Kind, One};
use crate::admin::resources::{self, Restored};
use crate::cli::instant::instant;
use crate::cli::table::printable;
use crate::cli::{Office, Report};
use crate::scim::Result;
use crate::scim::resource::format_instant;

/// How many members without a resource are named at most; JSON has all of them.
const NAMED: usize = 25;

/// `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    one: One,
    /// Put the state of this time back
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<DateTime<Utc>>,
}

/// Asks for it, and tells what is not as it was.
///
/// # Errors
/// Unknown ids and tenants, a time when it was not there, a state that can't be any more, a name that is taken; those of the
/// office.
pub(super) async fn restore(office: &Office, kind: Kind<'_>, arguments: Restore) -> Result<Report> {
    let Restore { one: One { id, tenant, json }, at } = arguments;
    let resource_type = kind.endpoint.to_owned();
    let question = resources::Restore { tenant, resource_type, id, at, all_members: json };
    let restored = office.ask(question).await.map_err(|error| kind.with_hint(error))?;
    let report = if json { Report::json(&restored)? } else { Report::default().note(done(&restored, at)) };
    let left = restored.left.iter().map(|left| format!("Left as it is: {}: {}", left.attribute, left.reason));
    let notes = left.chain(missing(&restored.unresolved_members)).map(|note| printable(&note));
    Ok(notes.fold(report, Report::note))
}

fn missing(ids: &[String]) -> impl Iterator<Item = String> {
    let named = ids.iter().take(NAMED);
    let named = named.map(|id| format!("Nobody has the id {id} by now: it is an unresolved member."));
    let more = ids.len().saturating_sub(NAMED);
    named.chain((more > 0).then(|| format!("So are {more} more; `--json` shows all.")))
}

fn done(restored: &Restored, at: Option<DateTime<Utc>>) -> String {
    let entry = &restored.entry;
    let resource_type = entry.resource["meta"]["resourceType"].as_str().unwrap_or("Resource");
    let label = entry.label.as_deref().map(|label| format!(" (`{}`)", printable(label))).unwrap_or_default();
    let title = format!("{resource_type} {}{label}", printable(entry.id()));
    match (at.map(format_instant), restored.changed) {
        (None, _) => format!("{title} is back."),
        (Some(at), true) => format!("{title} is as it was at {at}."),
        (Some(at), false) => format!("{title} is as it was at {at} already."),
    }
}
