//! How fast scimd is over HTTP, as fractions of what the machine allows: load, measured beside yardsticks in the same run.
//!
//! `benches/load/run` builds everything optimised and runs it. Users and groups are loaded over HTTP, as a first
//! synchronisation; then each workload runs in turn with its yardstick, several rounds each, and medians are told. A
//! yardstick is a bare actix answer of the same size (`hello`), or the bare database doing the same reads and the same
//! durable writes. Figures of two machines say nothing of each other; fractions do.
#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement that cannot be made may fail loudly")]

mod bare;
mod hello;
mod http;
mod people;
mod process;
mod report;
mod workloads;

use std::path::PathBuf;

use clap::Parser;

use crate::process::Place;
use crate::report::Report;

/// Loads users and groups, measures workloads beside their yardsticks, and prints a table.
#[derive(Debug, Clone, Parser)]
pub struct Arguments {
    /// How many users there are; several numbers are measured one after the other, on stores of their own
    #[arg(long, value_delimiter = ',', default_value = "1000,10000")]
    users: Vec<usize>,
    /// Connections at once
    #[arg(long, value_delimiter = ',', default_value = "1,32")]
    connections: Vec<usize>,
    /// How long a round of one workload takes
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Rounds of each workload; medians are told
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// An empty PostgreSQL database to measure on instead of SQLite
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Members of the groups that get one more
    #[arg(long, value_delimiter = ',', default_value = "10,1000,10000")]
    group_sizes: Vec<usize>,
    /// These workloads alone
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Also what must not bring it down: a flood of wrong tokens, and four times the work that it can do
    #[arg(long)]
    hostile: bool,
    /// Write every figure as JSON into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Be the yardstick `hello` on this port, and nothing else
    #[arg(long, hide = true)]
    serve_hello: Option<u16>,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(port) = arguments.serve_hello {
        return hello::serve(port);
    }
    let mut report = Report::default();
    for users in &arguments.users {
        let place = Place::new(arguments.postgres.as_deref());
        workloads::measure(&arguments, &place, *users, &mut report);
        place.empty();
    }
    report.print();
    if let Some(file) = &arguments.json {
        std::fs::write(file, report.to_json()).unwrap();
    }
}
