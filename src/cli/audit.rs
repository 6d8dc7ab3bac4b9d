//! `scimd audit`: the history of all resources, looked through and proven.

use chrono::{DateTime, Utc};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::instant::instant;
use super::table::{printable, table};
use super::{Office, Report};
use crate::admin::audit::{self, Shown, Verdict};
use crate::scim::Result;
use crate::scim::resource::format_instant;

/// What an operator does with the history.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what was changed, by which key and when, the latest first
    #[command(
        after_help = "Examples:\n  scimd audit list\n  scimd audit list --key 3f9a1c2b --since 2026-11-01T00:00:00Z\n  \
        scimd audit list --operation delete --tenant acme --json"
    )]
    List(List),
    /// Prove that the history is as it was written; exit code 1 if it is not
    ///
    /// Every change is part of a chain of hashes. A row that was changed, deleted, moved or put in is named. Whoever has the
    /// database to himself can make a chain anew, or cut off its end: so keep the hash of its head, which this command and
    /// the log of the server tell, somewhere else, and expect it later.
    #[command(after_help = "Examples:\n  scimd audit verify\n  \
        scimd audit verify --expect 5d41402abc4b2a76b9719d911017c592e3b0c44298fc1c149afbf4c8996fb924\n  \
        scimd audit verify --json | jq -r .head.hash")]
    Verify(Verify),
}

/// `scimd audit list`.
#[derive(Debug, Args)]
pub struct List {
    /// What this key asked for; `operator` for what was done where the database is
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// From this time on
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<DateTime<Utc>>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<DateTime<Utc>>,
    /// Of the resource with this SCIM id
    #[arg(long, value_name = "ID")]
    resource: Option<String>,
    /// Of this kind
    #[arg(long, value_parser = PossibleValuesParser::new(audit::kinds()))]
    operation: Option<String>,
    /// The tenant to look into
    #[arg(long, default_value = "default")]
    tenant: String,
    /// The oldest first
    #[arg(long)]
    oldest_first: bool,
    /// The most to list
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON, with what changed
    #[arg(long)]
    json: bool,
}

/// `scimd audit verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The hash of an earlier head, which must still be part of the chain
    #[arg(long, value_name = "HASH")]
    expect: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    /// Does what the command says.
    ///
    /// # Errors
    /// Unknown tenants, a hash that is none, a history that is not as it was; those of the office.
    pub async fn run(self, office: &Office) -> Result<Report> {
        match self {
            Command::List(arguments) => list(office, arguments).await,
            Command::Verify(arguments) => verify(office, arguments).await,
        }
    }
}

async fn list(office: &Office, arguments: List) -> Result<Report> {
    let most = arguments.limit as usize;
    let mut question = audit::List {
        tenant: arguments.tenant,
        key: arguments.key,
        since: arguments.since,
        until: arguments.until,
        id: arguments.resource,
        operation: arguments.operation,
        oldest_first: arguments.oldest_first.then_some(true),
        ..audit::List::default()
    };
    let mut found: Vec<Shown> = Vec::new();
    let has_more = loop {
        question.limit = Some((most - found.len()).min(1000) as u32);
        let page = office.ask(question.clone()).await?;
        found.extend(page.items);
        match page.next {
            Some(_) if found.len() >= most => break true,
            Some(next) => question.after = Some(next),
            None => break false,
        }
    };
    let report = if arguments.json {
        Report::json(&found)?
    } else if found.is_empty() {
        return Ok(Report::default().note("There is no such change."));
    } else {
        let header = ["TIME", "OPERATION", "TYPE", "ID", "VERSION", "KEY"];
        Report::text(table(header, &found.iter().map(row).collect::<Vec<_>>()))
    };
    match has_more {
        true => Ok(report.note(format!("{most} are shown; `--limit` shows more."))),
        false => Ok(report),
    }
}

fn row(change: &Shown) -> [String; 6] {
    let erased = if change.erased { " (erased)" } else { "" };
    [
        format_instant(change.at),
        format!("{}{erased}", change.operation),
        change.resource_type.clone(),
        change.id.clone(),
        change.version.map(|version| version.to_string()).unwrap_or_default(),
        change.key.clone(),
    ]
}

async fn verify(office: &Office, Verify { expect, json }: Verify) -> Result<Report> {
    let expected = expect.is_some();
    let verdict = office.ask(audit::Verify { expect }).await?;
    let report = if json { Report::json(&verdict)? } else { Report::text(lines(&verdict)) };
    if let Some(first) = verdict.faults.first() {
        let more = match verdict.broken {
            1 => String::new(),
            count => format!(" {count} things are wrong in all; `--json` lists them."),
        };
        return Ok(report.failed(format!("The history is not as it was written. {}{more}", printable(&first.detail))));
    }
    match (&verdict.head, expected) {
        (Some(_), false) => Ok(report
            .note("Keep the hash elsewhere: `--expect HASH` proves later that nothing before was changed or cut off.")),
        _ => Ok(report),
    }
}

fn lines(verdict: &Verdict) -> String {
    let state = if verdict.intact { "intact" } else { "broken" };
    let mut text = format!("{state}: {} changes, of which {} erased\n", verdict.changes, verdict.erased);
    if verdict.open > 0 {
        text.push_str(&format!("open: {} changes are not sealed yet\n", verdict.open));
    }
    if let Some(head) = &verdict.head {
        text.push_str(&format!("head: seal {} of {}, {} changes\n", head.seal, format_instant(head.at), head.changes));
        text.push_str(&format!("hash: {}\n", head.hash));
    }
    text
}
