//! `scimd audit`: the history of all resources, looked through and proven.

use chrono::{DateTime, Utc};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::instant::instant;
use super::progress::Bar;
use super::table::{printable, table};
use super::{Office, Report};
use crate::admin::audit::{self, Shown, Verdict};
use crate::admin::keys::caller_in;
use crate::scim::Result;
use crate::scim::resource::format_instant;

/// What an operator does with the history.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what was changed, by which key and when, the latest first
    #[command(
        after_help = "Examples:\n  scimd audit list\n  scimd audit list --key 3f9a1c2b --since 2026-11-01T00:00:00Z\n  \
        scimd audit list --operation delete --tenant acme --json\n  scimd audit list --type Key"
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
    /// Of resources of this type: User, Group, or one of your own; what operators do is Key and Tenant
    #[arg(long = "type", value_name = "TYPE")]
    resource_type: Option<String>,
    /// Of the resource with this SCIM id, the key with this id, the tenant with this number
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
    let question = audit::List {
        tenant: arguments.tenant,
        // A token that was pasted whole must not get into a URL.
        key: arguments.key.as_deref().map(caller_in),
        resource_type: arguments.resource_type,
        since: arguments.since,
        until: arguments.until,
        id: arguments.resource,
        operation: arguments.operation,
        oldest_first: arguments.oldest_first.then_some(true),
        ..audit::List::default()
    };
    let question = |after, limit| audit::List { after, limit, ..question.clone() };
    let (found, has_more): (Vec<Shown>, bool) = office.walk(most, question).await?;
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
    let question = audit::Verify { expect };
    let verdict = match office {
        Office::Here(desk) => {
            let bar = Bar::counting("changes");
            question.carry_out_telling(desk, |progress| bar.set(progress)).await?
        }
        Office::There(_) => {
            let _bar = Bar::waiting();
            office.ask(question).await?
        }
    };
    let report = if json { Report::json(&verdict)? } else { Report::text(lines(&verdict)) };
    let report = match verdict.unguarded.is_empty() {
        true => report,
        false => report.note(format!(
            "The database does not refuse to rewrite the history: {} is missing or switched off. Find out who did that.",
            verdict.unguarded.join(", ")
        )),
    };
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
