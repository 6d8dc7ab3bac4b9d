//! `scimd doctor`: what is wrong, and what to do about it, a line for each check.
//!
//! What the database knows is asked at the office, like everything else. What this machine alone knows (files, disk, the
//! way to the public URL) is looked at here. Nothing is made and nothing is migrated.

mod files;
mod reach;

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::table::printable;
use super::{Office, Report, sentence};
use crate::admin::doctor::{Diagnosis, Examine, Finding, Repair, State};
use crate::certificate::Files;
use crate::scim::Result;

/// `scimd doctor`.
#[derive(Debug, Args)]
pub struct Command {
    /// Mend what follows from the documents: index rows, columns, rows without the other end; never a document
    ///
    /// In small transactions, beside a running server.
    #[arg(long)]
    repair: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What the configuration says of this machine.
#[derive(Debug)]
pub struct Premises {
    /// Where the database is.
    pub database: Database,
    /// The files of the certificate and of its key, where TLS is ours.
    pub certificate: Option<Files>,
    /// Files that hold secrets.
    pub secret_files: Vec<PathBuf>,
    /// What clients are told, where it is set.
    pub public_url: Option<String>,
    /// Where the server listens.
    pub listen: SocketAddr,
    /// Whether a proxy stands in front.
    pub is_behind_proxy: bool,
}

/// Where the database is.
#[derive(Debug)]
pub enum Database {
    /// A file here.
    File(PathBuf),
    /// PostgreSQL.
    Postgres,
    /// With a server that is asked by this URL.
    Elsewhere(String),
}

/// What came of an examination.
#[derive(Debug)]
pub struct Examination {
    /// What to print.
    pub report: Report,
    /// Whether nothing is wrong; warnings are not.
    pub is_sound: bool,
}

#[derive(Serialize)]
struct Outcome<'a> {
    state: State,
    findings: &'a [Finding],
}

impl Command {
    /// Looks at everything that can be looked at. `premises` is a sentence where the configuration cannot be read, and so
    /// is the outcome of `office` where there is nobody to ask.
    ///
    /// # Errors
    /// Never for what is wrong: that is a finding.
    pub async fn run(
        &self,
        premises: std::result::Result<Premises, String>,
        office: impl FnOnce() -> std::result::Result<Office, String>,
        now: DateTime<Utc>,
    ) -> Result<Examination> {
        let findings = match premises {
            Err(sentence) => {
                let rest = ["permissions", "certificate", "diskSpace", "publicUrl", "database"];
                let rest = rest.map(|check| Finding::not_checked(check, "there is no configuration to go by"));
                [&[Finding::wrong("configuration", sentence, "mend the setting")][..], &rest].concat()
            }
            Ok(premises) => self.examine(&premises, office, now).await,
        };
        let state = worst(&findings);
        let report = match self.json {
            true => Report::json(&Outcome { state, findings: &findings })?,
            false => Report::text(lines(&findings)).note(summary(&findings)),
        };
        Ok(Examination { report, is_sound: state != State::Wrong })
    }

    async fn examine(
        &self,
        premises: &Premises,
        office: impl FnOnce() -> std::result::Result<Office, String>,
        now: DateTime<Utc>,
    ) -> Vec<Finding> {
        let mut findings = vec![Finding::ok("configuration", "every setting is known and can be read")];
        findings.push(files::permissions(premises));
        findings.push(files::certificate(premises, now));
        findings.push(files::disk_space(premises));
        let is_elsewhere = matches!(premises.database, Database::Elsewhere(_));
        let (check, answers) = match is_elsewhere {
            true => ("server", "the server answers, and knows the key"),
            false => ("database", "the database can be reached"),
        };
        let asked = match office() {
            Err(sentence) => Err(sentence),
            Ok(office) => self.ask(&office).await.map_err(|error| sentence(&error)),
        };
        match asked {
            Ok(diagnosis) => {
                findings.push(reach::public_url(premises, &diagnosis.base_url));
                findings.push(Finding::ok(check, answers));
                findings.extend(diagnosis.findings);
            }
            Err(sentence) => {
                findings.push(reach::public_url(premises, ""));
                findings.push(Finding::wrong(check, sentence, "until then nothing else can be looked at"));
            }
        }
        findings
    }

    async fn ask(&self, office: &Office) -> Result<Diagnosis> {
        if self.repair { office.ask(Repair {}).await } else { office.ask(Examine {}).await }
    }
}

/// The worst state of what was looked at.
fn worst(findings: &[Finding]) -> State {
    let looked_at = findings.iter().map(|finding| finding.state).filter(|state| *state != State::NotChecked);
    looked_at.max().unwrap_or(State::NotChecked)
}

fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Wrong => "wrong",
        State::NotChecked => "not checked",
    }
}

/// How many examples stand below a line; JSON has more.
const EXAMPLES: usize = 5;

fn lines(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let mut text = String::new();
    for Finding { check, state, what, advice, examples } in findings {
        let advice = advice.as_ref().map(|advice| format!(": {advice}")).unwrap_or_default();
        let what = if advice.is_empty() { what } else { what.trim_end_matches('.') };
        // What libraries say may have lines of its own.
        let said = format!("{what}{advice}").split_whitespace().collect::<Vec<_>>().join(" ");
        let said = printable(&said);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:<11}  {check:<width$}  {said}", word(*state));
        for example in examples.iter().take(EXAMPLES) {
            let _ = writeln!(text, "             - {}", printable(example));
        }
        if let Some(more) = examples.len().checked_sub(EXAMPLES).filter(|more| *more > 0) {
            let _ = writeln!(text, "             - and {more} more, with --json");
        }
    }
    text
}

fn summary(findings: &[Finding]) -> String {
    let states = [State::Wrong, State::Warning, State::NotChecked, State::Ok];
    let counts = states.map(|state| (state, findings.iter().filter(|finding| finding.state == state).count()));
    let said = counts.iter().filter(|(_, count)| *count > 0).map(|(state, count)| {
        let plural = if *state == State::Warning && *count > 1 { "s" } else { "" };
        format!("{count} {}{plural}", word(*state))
    });
    format!("{}.", said.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_is_a_line_with_what_to_do() {
        let examples = (0..7).map(|number| format!("e{number}\u{1b}")).collect();
        let findings = [
            Finding::ok("clock", "right"),
            Finding { examples, ..Finding::wrong("searchIndex", "bro\n\tken.", "mend it") },
            Finding::not_checked("disk", "unknown"),
        ];
        let text = lines(&findings);
        assert_eq!(text.lines().next(), Some("ok           clock        right"));
        assert_eq!(text.lines().nth(1), Some("wrong        searchIndex  bro ken: mend it"));
        assert_eq!(text.lines().nth(2), Some("             - e0\\u{1b}"));
        assert_eq!(text.lines().nth(7), Some("             - and 2 more, with --json"));
        assert_eq!(text.lines().last(), Some("not checked  disk         unknown"));
        assert_eq!(summary(&findings), "1 wrong, 1 not checked, 1 ok.");
    }
}
