//! `scimd tenant delete`: says what goes, makes sure that it is meant, and asks until nothing is left.

use clap::Args;

use super::view;
use crate::admin::tenants::{self, Deletion};
use crate::admin::transfer::Progress;
use crate::cli::consent::{ask, can_ask};
use crate::cli::progress::Bar;
use crate::cli::{Office, Report};
use crate::scim::{Error, ErrorKind, Result};

/// `scimd tenant delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// The name of the tenant
    name: String,
    /// Delete it without asking
    #[arg(long)]
    yes: bool,
    /// Say what would go, and leave it
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn delete(office: &Office, Delete { name, yes, dry_run, json }: Delete) -> Result<Report> {
    let preview = office.ask(tenants::Delete { tenant: name.clone(), dry_run: Some(true) }).await?;
    if dry_run && json {
        return Report::json(&preview);
    }
    if !yes {
        let detail = office.ask(tenants::Show { tenant: name.clone() }).await?;
        let contents = view::contents(&detail);
        if dry_run {
            return Ok(
                Report::default().note(format!("The tenant `{name}` has {contents}. All of that would go for good."))
            );
        }
        confirm(&name, &contents)?;
    }
    let all = delete_all(office, name, preview.resources + preview.changes).await?;
    if json {
        return Report::json(&all);
    }
    let Deletion { tenant: name, resources, changes, .. } = all;
    Ok(Report::default().note(format!(
        "Tenant `{name}` is deleted: {resources} users, groups and other resources, its keys, and what {changes} changes said."
    )))
}

/// Asks until nothing is left. `total` is how much there is, of resources and changes.
async fn delete_all(office: &Office, tenant: String, total: u64) -> Result<Deletion> {
    let bar = Bar::counting("resources and changes");
    let mut all = Deletion { tenant: tenant.clone(), resources: 0, changes: 0, done: false };
    while !all.done {
        bar.set(Progress { done: all.resources + all.changes, total });
        let part = office.ask(tenants::Delete { tenant: tenant.clone(), dry_run: None }).await?;
        all.resources += part.resources;
        all.changes += part.changes;
        all.done = part.done;
    }
    Ok(all)
}

/// Whoever sits at a terminal types the name; nobody else can be asked.
fn confirm(name: &str, contents: &str) -> Result<()> {
    let refused = |why: &str| {
        let detail =
            format!("Nothing is deleted. The tenant `{name}` has {contents}; all of that would go for good. {why}");
        Err(Error::new(ErrorKind::InvalidValue, detail))
    };
    if !can_ask() {
        return refused("Say `--yes` if that is meant.");
    }
    let typed = ask(&format!(
        "The tenant `{name}` has {contents}. All of that goes for good.\nType the name of the tenant to delete it: "
    ));
    if typed == name { Ok(()) } else { refused("The name was not typed.") }
}
