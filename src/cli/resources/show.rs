//! `show`: one resource, as a page or as JSON.

use chrono::{DateTime, Utc};
use clap::Args;

use super::page::page;
use super::{Kind, One};
use crate::admin::resources;
use crate::cli::instant::instant;
use crate::cli::{Office, Report};
use crate::scim::Result;

/// `show`.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    one: One,
    /// The state at this time, without what other resources add to it: names of members and managers, groups of users
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<DateTime<Utc>>,
}

pub(super) async fn show(office: &Office, kind: Kind<'_>, arguments: Show) -> Result<Report> {
    let Show { one: One { id, tenant, json }, at } = arguments;
    let resource_type = kind.endpoint.to_owned();
    let question = resources::Show { tenant, resource_type, id, at, all_members: json };
    let details = office.ask(question).await.map_err(|error| kind.with_hint(error))?;
    if json { Report::json(&details) } else { Ok(Report::text(page(&details))) }
}
