//! `scimd conformance`: what the RFCs demand of a SCIM server, put to any server from outside.
//!
//! A room of its own that knows nothing of the rest of the house: it sees a server as a client does, over HTTP. Each
//! check is a small function in `checks/`, with the id of the requirement, how much it weighs, and where it stands.
//!
//! It makes users and groups whose names nobody else has, deletes each after the check that needed it, and never touches
//! what it did not make.

mod check;
mod checks;
mod client;
mod exchange;
mod expect;
mod report;
mod sample;
mod server;
mod trial;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use check::{Check, Section};
use client::{BadUrl, Client, Unanswered};
use exchange::{Answer, Request};
use report::Finding;
pub use report::Report;
use server::Server;
use trial::Trial;
use verdict::{Level, Stop};

/// What to check, and where.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// Base URL of the server, with its path: `https://example.com/scim/v2`
    #[arg(long, value_name = "URL", required_unless_present = "list")]
    against: Option<String>,
    /// File that holds the bearer token; else it is taken from SCIMD_CONFORMANCE_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Only these requirements, or all that begin so: BULK,CUR-03
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Failures that are known and shall not fail the run: PATCH-P8,PATCH-P10
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    allow: Vec<String>,
    /// Let warnings fail the run, too
    #[arg(long)]
    strict: bool,
    /// Check scimd's own decisions as well, where the RFCs leave a choice: other servers may rightly differ
    #[arg(long)]
    ours: bool,
    /// Leave what was made on the server
    #[arg(long)]
    keep: bool,
    /// How long one answer may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Print the checks, and run none
    #[arg(long)]
    list: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How a run ended, in the terms of an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything that the RFCs demand holds, as far as it was checked.
    Holds = 0,
    /// Something failed.
    Fails = 1,
    /// The checks could not run, or not to their end.
    CouldNotRun = 2,
}

/// Where the words of a run go.
pub struct Voice<'a> {
    /// The result, piece by piece, for standard output.
    pub result: &'a mut dyn FnMut(&str),
    /// Sentences about it, for standard error.
    pub note: &'a mut dyn FnMut(&str),
}

impl Command {
    /// Runs the checks. The token of the environment is used if there is no `--token-file`.
    pub fn run(&self, environment_token: Option<String>, voice: &mut Voice<'_>) -> Ended {
        match self.try_run(environment_token, voice) {
            Ok(ended) => ended,
            Err(sentence) => {
                (voice.note)(&format!("error: {}", report::printable(&sentence)));
                Ended::CouldNotRun
            }
        }
    }

    fn try_run(&self, environment_token: Option<String>, voice: &mut Voice<'_>) -> Result<Ended, String> {
        self.know_ids()?;
        if !checks::SECTIONS.iter().any(|section| self.chosen(section).next().is_some()) {
            return Err("These are scimd's own decisions; add `--ours` to check them.".to_owned());
        }
        if self.list {
            let sections = checks::SECTIONS.iter().map(|section| (section.title, self.chosen(section).collect()));
            (voice.result)(&report::list(sections, self.json));
            return Ok(Ended::Holds);
        }
        let url = self.against.as_deref().unwrap_or_default();
        let token = self.token(environment_token)?;
        let client = Client::new(url, token, Duration::from_secs(self.timeout)).map_err(|BadUrl(sentence)| sentence)?;
        let server = look_at(&client)?;
        let report = self.check_all(&client, &server, voice);
        self.tell(&report, client.sent(), voice);
        match () {
            () if !report.is_complete => Ok(Ended::CouldNotRun),
            () if !report.says_something() => Err("No check could be made; see why each was skipped.".to_owned()),
            () if report.holds(self.strict) => Ok(Ended::Holds),
            () => Ok(Ended::Fails),
        }
    }

    fn know_ids(&self) -> Result<(), String> {
        let is_known = |wanted: &&String| all_checks().any(|check| check.is_meant_by(wanted));
        match self.only.iter().chain(&self.allow).find(|wanted| !is_known(wanted)) {
            Some(unknown) => {
                Err(format!("No check has the id `{unknown}`; `scimd conformance --list --ours` has them all."))
            }
            None => Ok(()),
        }
    }

    fn token(&self, environment_token: Option<String>) -> Result<String, String> {
        let text = match &self.token_file {
            Some(file) => std::fs::read_to_string(file)
                .map_err(|cause| format!("The token file {} cannot be read ({cause}).", file.display()))?,
            None => environment_token.ok_or("There is no token; name its file with `--token-file`.")?,
        };
        let token = text.trim();
        let is_one = !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic());
        if is_one {
            Ok(token.to_owned())
        } else {
            Err("The token is empty, or has blanks or letters beyond ASCII in it.".to_owned())
        }
    }

    fn chosen<'a>(&'a self, section: &'a Section) -> impl Iterator<Item = &'a Check> {
        let wanted = |check: &&Check| self.only.is_empty() || self.only.iter().any(|wanted| check.is_meant_by(wanted));
        section.checks.iter().filter(|check| self.ours || check.level != Level::Ours).filter(wanted)
    }

    fn check_all(&self, client: &Client, server: &Server, voice: &mut Voice<'_>) -> Report {
        let interrupted = heed_signals();
        let mut trial = Trial::new(client, server, &interrupted, new_run());
        let mut report = Report { target: client.base_url(), is_complete: true, ..Report::default() };
        if !self.json {
            (voice.result)(&format!("Conformance of {}, as {}\n", client.base_url(), trial.run()));
        }
        'run: for section in &checks::SECTIONS {
            for check in self.chosen(section) {
                let verdict = run(check, &mut trial);
                let remarks = trial.take_remarks();
                if !self.keep {
                    report.left.extend(trial.clean_up());
                }
                let Some(judgement) = verdict::judge(check.level, verdict, &remarks) else {
                    report.is_complete = false;
                    break 'run;
                };
                let is_allowed = self.allow.iter().any(|allowed| check.is_meant_by(allowed));
                let finding = Finding::new(section.title, check, judgement, is_allowed);
                if !self.json {
                    let is_first = report.section_of_last() != Some(section.title);
                    let heading = if is_first { format!("\n{}\n", section.title) } else { String::new() };
                    (voice.result)(&(heading + &finding.lines()));
                }
                report.findings.push(finding);
                if client.is_gone() {
                    (voice.note)("The server has stopped answering; the run ends here.");
                    report.is_complete = false;
                    break 'run;
                }
            }
        }
        if !self.keep {
            report.left.extend(trial.clean_up_all());
        }
        report
    }

    fn tell(&self, report: &Report, sent: u32, voice: &mut Voice<'_>) {
        if !report.left.is_empty() {
            (voice.note)("These could not be deleted from the server:");
            report.left.iter().for_each(|path| (voice.note)(&format!("  {}", report::printable(path))));
        }
        if !report.is_complete {
            (voice.note)("The run did not come to its end.");
        }
        match self.json {
            true => (voice.result)(&report.to_json()),
            false => (voice.result)(&format!("\n{}\n{sent} requests were sent.\n", report.summary())),
        }
    }
}

fn all_checks() -> impl Iterator<Item = &'static Check> {
    checks::SECTIONS.iter().flat_map(|section| section.checks)
}

/// A check against a server that has what it needs.
fn run(check: &Check, trial: &mut Trial<'_>) -> Result<(), Stop> {
    match check.needs.iter().find_map(|need| need.unmet(trial.server)) {
        Some(lack) => Err(Stop::Skip(lack)),
        None => (check.run)(trial),
    }
}

/// What every name of a run begins with: nobody else has it.
fn new_run() -> String {
    let unique = uuid::Uuid::now_v7().simple().to_string();
    format!("scimd-conformance-{}", &unique[unique.len() - 10..])
}

/// Reads the discovery documents, and finds out whether there is anything to check.
fn look_at(client: &Client) -> Result<Server, String> {
    let get = |path: &str| client.send(&Request::get(path));
    let config = get("/ServiceProviderConfig")
        .map_err(|Unanswered { reason, .. }| format!("{} does not answer: {reason}.", client.base_url()))?;
    let list = |path: &str| {
        let answer = get(path).ok().filter(|answer| answer.status == 200);
        answer.and_then(|answer| answer.at("/Resources").as_array().cloned()).unwrap_or_default()
    };
    let found = |answer: &Answer| if answer.status == 200 { answer.json().clone() } else { Value::Null };
    let server = Server { config: found(&config), resource_types: list("/ResourceTypes"), schemas: list("/Schemas") };
    let users = get(&server.users())
        .map_err(|Unanswered { reason, .. }| format!("{} does not answer: {reason}.", server.users()))?;
    match users.status {
        401 | 403 => Err(format!("The server refuses the token ({} for {}).", users.status, server.users())),
        404 if config.status == 404 => {
            Err(format!("There is no SCIM server at {}: /ServiceProviderConfig and /Users are 404.", client.base_url()))
        }
        _ => Ok(server),
    }
}

/// Becomes true with SIGINT or SIGTERM, so that what was made can still be deleted. Whoever asks twice is not kept waiting.
fn heed_signals() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // Without signals the run is as it would be without this thread.
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            if signal().await.is_ok() {
                flag.store(true, Ordering::Relaxed);
                if signal().await.is_ok() {
                    std::process::exit(Ended::CouldNotRun as i32);
                }
            }
        });
    });
    interrupted
}

#[cfg(unix)]
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_ids_a_section_of_an_rfc_and_a_title() {
        let mut seen = std::collections::BTreeSet::new();
        for check in all_checks() {
            assert!(!check.ids.is_empty() && !check.rfc.is_empty(), "{:?}", check.title);
            assert!(check.ids.iter().all(|id| is_an_id(id)), "{:?}", check.ids);
            assert!(check.rfc.starts_with(|c: char| c.is_ascii_digit()), "{:?}", check.rfc);
            assert!(seen.insert((check.ids[0], check.title)), "two checks are called {:?} {}", check.ids, check.title);
        }
        assert!(seen.len() >= 400, "only {} checks", seen.len());
    }

    /// `FLT-01`, `PATCH-A1`, `T-01`
    fn is_an_id(id: &str) -> bool {
        let (area, number) = id.split_once('-').unwrap_or_default();
        let number = number.trim_start_matches(['A', 'P', 'R']);
        let is_area = area.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        !area.is_empty() && is_area && !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
    }

    #[test]
    fn names_of_runs_differ() {
        assert_ne!(new_run(), new_run());
    }
}
