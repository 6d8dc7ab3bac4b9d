//! What may not happen to an acknowledged write, whatever breaks: processes killed, disks full, databases gone.
//!
//! Kept out of the quick suite (`test = false` in Cargo.toml). `tests/torture/run` runs all of it, `--short` a few rounds of
//! each; names of scenarios run these alone. A scenario prints what it did and what it found; a finding fails the run.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests say what they do in their names and may fail loudly")]

mod chance;
mod cluster;
mod crowd;
mod disk;
mod histories;
mod kill;
mod network;
mod place;
mod several;
mod stop;
#[path = "../support/mod.rs"]
mod support;
mod sync;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

/// Breaks scimd and its databases, and looks whether anything that was acknowledged is lost.
#[derive(Debug, Parser)]
struct Arguments {
    /// The scenarios to run; all without a name
    scenarios: Vec<String>,
    /// A few rounds of each, and nothing judged by the clock
    #[arg(long)]
    short: bool,
    /// So many rounds of each scenario, instead of its own number
    #[arg(long)]
    cycles: Option<u32>,
    /// Another scimd than the one that was built for this: the one that will be delivered, say
    #[arg(long, value_name = "FILE")]
    scimd: Option<PathBuf>,
    /// The beginning of all chance
    #[arg(long)]
    seed: Option<u64>,
    /// Print the names of the scenarios
    #[arg(long)]
    list: bool,
}

/// How long and how hard.
pub struct Effort {
    pub short: bool,
    pub cycles: Option<u32>,
    pub seed: u64,
}

impl Effort {
    /// Rounds of a scenario that has so many in full.
    pub fn rounds(&self, full: u32, short: u32) -> u32 {
        self.cycles.unwrap_or(if self.short { short } else { full })
    }
}

/// What a scenario did, and what it found wrong.
#[derive(Default)]
pub struct Findings {
    /// What was done, as names and figures.
    pub done: Vec<(&'static str, String)>,
    /// What must not be.
    pub wrong: Vec<String>,
    /// What could not be looked at here, and why.
    pub skipped: Option<String>,
}

impl Findings {
    pub fn skipped(why: &str) -> Findings {
        Findings { skipped: Some(why.to_owned()), ..Findings::default() }
    }

    pub fn note(&mut self, name: &'static str, figure: impl ToString) {
        self.done.push((name, figure.to_string()));
    }
}

type Scenario = (&'static str, &'static str, fn(&Effort) -> Findings);

const SCENARIOS: [Scenario; 18] = [
    ("kill-sqlite", "scimd is killed under load, on SQLite", kill::sqlite),
    ("kill-postgres", "scimd and PostgreSQL are killed in turn under load", kill::postgres),
    ("restarts", "PostgreSQL is restarted under load", network::restarts),
    ("cut-commits", "connections to PostgreSQL are cut in the middle of COMMIT", network::cut_commits),
    ("failover", "the primary is killed and its standby promoted", network::failover),
    ("sync", "the disk has every write before its answer leaves (strace)", sync::before_the_answer),
    (
        "sync-postgres",
        "PostgreSQL has said that it is stored before the answer leaves (strace)",
        sync::before_the_answer_postgres,
    ),
    ("disk-full", "the disk is full, then has room again", disk::full),
    ("small-disk", "a small file system fills up, then has room again", disk::small),
    ("read-only", "the file system turns read-only, then back", disk::read_only),
    ("unsynced", "the disk cannot sync, then can again", disk::unsynced),
    ("file-unsynced", "the disk keeps the log and loses what is carried over from it", disk::file_unsynced),
    ("postgres-full", "PostgreSQL has no room, then has room again", disk::postgres_full),
    ("postgres-read-only", "PostgreSQL takes no changes, then takes them again", disk::postgres_read_only),
    ("several", "several processes on one PostgreSQL", several::processes),
    ("histories", "eight clients change the same resources with If-Match", histories::no_update_is_lost),
    ("stop", "SIGTERM under load", stop::nobody_is_cut_off),
    ("rolling", "one process of two is replaced after the other", several::rolling),
];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        SCENARIOS.iter().for_each(|(name, about, _)| println!("{name:<20}{about}"));
        return ExitCode::SUCCESS;
    }
    let is_wanted = |name: &str| arguments.scenarios.is_empty() || arguments.scenarios.iter().any(|one| one == name);
    if let Some(unknown) = arguments.scenarios.iter().find(|name| SCENARIOS.iter().all(|one| one.0 != **name)) {
        eprintln!("There is no scenario `{unknown}`; --list names them.");
        return ExitCode::from(2);
    }
    if let Some(file) = arguments.scimd {
        let file = file.canonicalize().unwrap_or_else(|cause| panic!("{}: {cause}", file.display()));
        place::PROGRAM.set(file).expect("nobody has asked for it yet");
    }
    let seed = arguments.seed.unwrap_or_else(chance::seed);
    let effort = Effort { short: arguments.short, cycles: arguments.cycles, seed };
    println!("seed {seed}");
    let mut all_is_well = true;
    for (name, about, scenario) in SCENARIOS.iter().filter(|scenario| is_wanted(scenario.0)) {
        let started = Instant::now();
        let findings = scenario(&effort);
        println!("\n{name}: {about} ({:.0} s)", started.elapsed().as_secs_f32());
        if let Some(why) = &findings.skipped {
            println!("  skipped: {why}");
        }
        findings.done.iter().for_each(|(name, figure)| println!("  {name:<32}{figure}"));
        findings.wrong.iter().take(20).for_each(|sentence| println!("  WRONG: {sentence}"));
        if findings.skipped.is_none() {
            println!("  {:<32}{}", "found wrong", findings.wrong.len());
        }
        all_is_well &= findings.wrong.is_empty();
    }
    if all_is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
