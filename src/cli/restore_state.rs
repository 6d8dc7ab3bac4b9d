//! `restore --at`: a resource is given back the state that it had at a time.

use chrono::{DateTime, Utc};

use super::table::printable;
use super::{Office, Report};
use crate::admin::restore_state::{RestoreState, Restored};
use crate::scim::Result;
use crate::scim::resource::format_instant;

/// Asks for it, and tells what is not as it was.
///
/// # Errors
/// Unknown ids and tenants, a time when it was not there, a state that can't be any more; those of the office.
pub(super) async fn restore_state(office: &Office, question: RestoreState, json: bool) -> Result<Report> {
    let at = question.at;
    let restored = office.ask(question).await?;
    let report = if json { Report::json(&restored)? } else { Report::default().note(done(&restored, at)) };
    let left = restored.left.iter().map(|left| format!("Left as it is: {}: {}", left.attribute, left.reason));
    let missing = restored.unresolved_members.iter();
    let missing = missing.map(|id| format!("Nobody has the id {id} by now: it is an unresolved member."));
    let notes = left.chain(missing).map(|note| printable(&note));
    Ok(notes.fold(report, Report::note))
}

fn done(restored: &Restored, at: DateTime<Utc>) -> String {
    let text = |path: &str| restored.resource.get(path).and_then(serde_json::Value::as_str).unwrap_or_default();
    let id = text("id");
    match restored.changed {
        true => format!("{id} is as it was at {}.", format_instant(at)),
        false => format!("{id} is as it was at {} already.", format_instant(at)),
    }
}
