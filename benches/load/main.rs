//! How fast scimd is over HTTP, as fractions of what the machine allows: load, measured beside yardsticks in the same run.
//!
//! `benches/load/run` builds everything optimised and runs it. Users and groups are loaded over HTTP; then each workload
//! and its yardsticks run in turn, several rounds each, and medians are told. A yardstick is a bare actix answer of the
//! same size (`hello`), the same database asked by nobody but a loop, which reads or durably writes the same rows, or
//! both together: actix, one statement, and nothing else.
//! Figures of two machines say nothing of each other; fractions do. benches/README.md says how to read them.
#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement that cannot be made may fail loudly")]

mod bare;
mod ceilings;
mod http;
mod people;
mod process;
mod report;
mod rounds;
mod workloads;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, error::ErrorKind};

use crate::process::Place;
use crate::report::Report;

/// That of the program: yardstick and client shall not be slower for theirs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Loads users and groups, measures workloads beside their yardsticks, and prints tables.
#[derive(Debug, Clone, Parser)]
pub struct Arguments {
    /// How many users there are, at least 1000; several numbers are measured one after the other, on stores of their own
    #[arg(long, value_delimiter = ',', default_value = "1000,10000")]
    users: Vec<usize>,
    /// Connections at once
    #[arg(long, value_delimiter = ',', default_value = "1,8,32")]
    connections: Vec<usize>,
    /// How long a round takes
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Rounds of each workload and of each yardstick, in turn; medians are told
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// An empty PostgreSQL database to measure on instead of SQLite; it is emptied afterwards
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Members of the groups that get one more; without those that are larger than there are users
    #[arg(long, value_delimiter = ',', default_value = "10,1000,10000,100000")]
    group_sizes: Vec<usize>,
    /// How many users a first synchronisation has, at most; at most as many as there are
    #[arg(long, default_value_t = 100_000)]
    synchronised: usize,
    /// Only the workloads whose names begin with one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Also what must not bring it down: a flood of wrong tokens, and four times the work that it can do
    #[arg(long)]
    hostile: bool,
    /// Write every figure as JSON into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Be the server that does as little as it can, on this port, and nothing else
    #[arg(long, hide = true)]
    serve_ceilings: Option<u16>,
    /// The database that it reads
    #[arg(long, hide = true, env = "CEILINGS_DATABASE_URL")]
    database_url: Option<String>,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn check(&self) {
        let complaint = if self.users.iter().any(|users| *users < 1000) {
            "--users: at least 1000, so that a thousand members can be added at once"
        } else if self.connections.contains(&0) || self.rounds == 0 {
            "--connections and --rounds: at least 1"
        } else if !(self.seconds > 0.0 && self.seconds < 86_400.0) {
            "--seconds: more than 0, and less than a day"
        } else {
            return;
        };
        Arguments::command().error(ErrorKind::ValueValidation, complaint).exit()
    }

    /// Whether a workload of this name is asked for.
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|one| name.starts_with(one.as_str()))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(port) = arguments.serve_ceilings {
        ceilings::serve(port, arguments.database_url.expect("a port comes with a database"));
        return ExitCode::SUCCESS;
    }
    arguments.check();
    process::end_when_interrupted();
    let mut report = Report::of_this_machine();
    for users in &arguments.users {
        let place = match Place::new(arguments.postgres.as_deref()) {
            Ok(place) => place,
            Err(complaint) => {
                eprintln!("{complaint}");
                return ExitCode::FAILURE;
            }
        };
        report.begin(place.database(), *users);
        workloads::measure(&arguments, &place, &mut report);
    }
    report.print();
    if let Some(file) = &arguments.json {
        std::fs::write(file, report.to_json()).unwrap();
    }
    if report.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
