//! `scimd undo`: what one key did in a span of time, taken back.

use chrono::{DateTime, Utc};
use clap::Args;

use super::consent::consent;
use super::instant::instant;
use super::table::printable;
use super::{Office, Report, diff};
use crate::admin::undo::{self, Conflict, Reversal, Undone};
use crate::scim::Result;
use crate::scim::resource::format_instant;

/// `scimd undo`.
#[derive(Debug, Args)]
pub struct Undo {
    /// The id of the key, as `scimd key list` and the history show it; `operator` for these commands
    #[arg(long)]
    key: String,
    /// The first moment of the span
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: DateTime<Utc>,
    /// The last moment of the span; the present without it
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<DateTime<Utc>>,
    /// The tenant whose resources the key has changed
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Print what would change, and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Undo {
    /// Does what the command says; on a terminal it shows first what that is, and asks.
    ///
    /// # Errors
    /// Unknown keys and tenants, a span that is none, nobody to ask; those of the office.
    pub async fn run(self, office: &Office) -> Result<Report> {
        if self.dry_run {
            let plan = office.ask(self.question(true)).await?;
            return self.report(&plan);
        }
        let shown = match self.yes {
            true => None,
            false => Some(office.ask(self.question(true)).await?),
        };
        if let Some(plan) = &shown {
            if plan.changes.is_empty() {
                return self.report(plan);
            }
            consent(&format!("{}{}\nDo it?", text(plan), summary(plan)), false)?;
        }
        // What was shown ended when it was made; whatever the key has done since was not in it.
        let until = shown.as_ref().map(|plan| plan.until).or(self.until);
        let done = office.ask(undo::Undo { until, ..self.question(false) }).await?;
        let is_known = |plan: Undone| plan.changes == done.changes && plan.conflicts == done.conflicts;
        match shown.is_some_and(is_known) && !self.json {
            true => Ok(Report::default().note(summary(&done))),
            false => self.report(&done),
        }
    }

    fn question(&self, dry_run: bool) -> undo::Undo {
        let Undo { key, since, until, tenant, .. } = self;
        undo::Undo { tenant: tenant.clone(), key: key.clone(), since: *since, until: *until, dry_run }
    }

    fn report(&self, undone: &Undone) -> Result<Report> {
        let report = if self.json { Report::json(undone)? } else { Report::text(text(undone)) };
        Ok(report.note(summary(undone)))
    }
}

/// A paragraph for each resource that changes, and a line for each thing that is left alone.
fn text(undone: &Undone) -> String {
    let mut paragraphs: Vec<String> = undone.changes.iter().map(paragraph).collect();
    if !undone.conflicts.is_empty() {
        let lines: String = undone.conflicts.iter().map(left).collect();
        paragraphs.push(format!("left alone\n{lines}"));
    }
    paragraphs.join("\n")
}

fn paragraph(change: &Reversal) -> String {
    let title = title(&change.resource_type, &change.id, change.name.as_deref());
    let mut lines = vec![format!("{}  {title}", change.operation)];
    lines.extend(diff::lines(&change.changes));
    let unresolved = change.unresolved_members.iter();
    lines.extend(unresolved.map(|id| format!("  ! nobody has the id {id} by now: an unresolved member")));
    lines.iter().map(|line| printable(line) + "\n").collect()
}

fn left(conflict: &Conflict) -> String {
    let title = title(&conflict.resource_type, &conflict.id, conflict.name.as_deref());
    let what = match (&conflict.attribute, &conflict.member) {
        (Some(path), _) => format!("  {path}"),
        (None, Some(id)) => format!("  member {id}"),
        (None, None) => String::new(),
    };
    printable(&format!("  {title}{what}: {}", conflict.reason)) + "\n"
}

fn title(resource_type: &str, id: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{resource_type} {id} ({name})"),
        None => format!("{resource_type} {id}"),
    }
}

fn summary(undone: &Undone) -> String {
    let Undone { key, since, until, .. } = undone;
    let span = format!("{key} did from {} to {}", format_instant(*since), format_instant(*until));
    let (changes, conflicts) = (undone.changes.len(), undone.conflicts.len());
    let left = match conflicts {
        0 => String::new(),
        1 => " 1 thing is left alone.".to_owned(),
        _ => format!(" {conflicts} things are left alone."),
    };
    let resources = if changes == 1 { "1 resource".to_owned() } else { format!("{changes} resources") };
    match (changes, undone.dry_run) {
        (0, _) => format!("There is nothing to undo of what {span}.{left}"),
        (_, true) => format!("To undo what {span} would change {resources}.{left}"),
        (_, false) => format!("What {span} is undone: {resources} changed.{left}"),
    }
}
