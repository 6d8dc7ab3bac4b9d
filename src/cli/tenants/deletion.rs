//! `scimd tenant delete`: says what goes, makes sure that it is meant, and asks until nothing is left.

use clap::Args;

use super::view;
use crate::admin::tenants::{self, Deletion};
use crate::cli::consent::{ask, can_ask};
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
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn delete(office: &Office, Delete { name, yes, json }: Delete) -> Result<Report> {
    if !yes {
        let detail = office.ask(tenants::Show { tenant: name.clone() }).await?;
        confirm(&name, &view::contents(&detail))?;
    }
    let mut all = Deletion { tenant: name.clone(), resources: 0, changes: 0, done: false };
    while !all.done {
        let part = office.ask(tenants::Delete { tenant: name.clone() }).await?;
        all.resources += part.resources;
        all.changes += part.changes;
        all.done = part.done;
    }
    if json {
        return Report::json(&all);
    }
    let Deletion { resources, changes, .. } = all;
    Ok(Report::default().note(format!(
        "Tenant `{name}` is deleted: {resources} users, groups and other resources, its keys, and what {changes} changes said."
    )))
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
