//! Figures as tables and as JSON.

use std::collections::BTreeSet;
use std::fs;

use chrono::Utc;
use serde_json::{Value, json};

use crate::process;

/// What one workload came to.
#[derive(Debug, Clone)]
pub struct Figure {
    pub workload: String,
    pub connections: usize,
    /// What the workload's name counts, each second; the median of the rounds.
    pub rate: f64,
    /// Milliseconds until the answer, of the median round.
    pub p50: f64,
    pub p99: f64,
    /// Answers that were not as they should be, in all rounds.
    pub errors: usize,
    /// Microseconds of CPU of the server for each.
    pub cpu: f64,
    /// Yardsticks of the same rounds.
    pub yardsticks: Vec<Yardstick>,
}

/// What else does the same, and how many of it each second.
#[derive(Debug, Clone)]
pub struct Yardstick {
    pub name: &'static str,
    pub rate: f64,
}

/// Everything that was measured on one store.
#[derive(Debug)]
struct Section {
    database: &'static str,
    users: usize,
    figures: Vec<Figure>,
    facts: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Report {
    machine: Vec<(&'static str, String)>,
    sections: Vec<Section>,
}

impl Report {
    /// An empty report that says where and when.
    pub fn of_this_machine() -> Report {
        let line = |file: &str, start: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let found = text.lines().find_map(|line| line.strip_prefix(start));
            found.map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned()).unwrap_or_default()
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let memory: f64 = line("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
        let machine = vec![
            ("date", Utc::now().format("%Y-%m-%d").to_string()),
            ("scimd", env!("CARGO_PKG_VERSION").to_owned()),
            ("cores", format!("{cores} ({})", line("/proc/cpuinfo", "model name"))),
            ("memory", format!("{:.0} GiB", memory / 1024.0 / 1024.0)),
            ("kernel", line("/proc/version", "Linux version").split(' ').next().unwrap_or_default().to_owned()),
            ("program", format!("{:.1} MiB", process::program_size() as f64 / 1024.0 / 1024.0)),
        ];
        Report { machine, sections: Vec::new() }
    }

    /// What follows was measured on a store of this kind with so many users.
    pub fn begin(&mut self, database: &'static str, users: usize) {
        self.sections.push(Section { database, users, figures: Vec::new(), facts: Vec::new() });
    }

    /// The users of the store that is being measured.
    pub fn users(&self) -> usize {
        self.sections.last().unwrap().users
    }

    pub fn add(&mut self, figure: Figure) {
        let section = self.sections.last_mut().unwrap();
        let Figure { workload, connections, rate, p50, p99, errors, cpu, yardsticks } = &figure;
        let parts: String = yardsticks.iter().map(|one| format!(", {:.2} of {}", rate / one.rate, one.name)).collect();
        eprintln!(
            "{} {:>9} users | {workload}, {connections} at once: {}/s, p50 {p50:.2} ms, p99 {p99:.2} ms, {cpu:.0} µs of CPU{parts}{}",
            section.database,
            section.users,
            grouped(*rate),
            if *errors > 0 { format!(", {errors} ERRORS") } else { String::new() }
        );
        section.figures.push(figure);
    }

    /// Something that is no rate.
    pub fn fact(&mut self, name: impl Into<String>, value: String) {
        let section = self.sections.last_mut().unwrap();
        let name = name.into();
        eprintln!("{} {:>9} users | {name}: {value}", section.database, section.users);
        section.facts.push((name, value));
    }

    pub fn has_errors(&self) -> bool {
        self.sections.iter().flat_map(|section| &section.figures).any(|figure| figure.errors > 0)
    }

    pub fn print(&self) {
        let machine: Vec<String> = self.machine.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        println!("{}", machine.join("; "));
        for section in &self.sections {
            section.print();
        }
        self.print_growth();
    }

    /// What more users cost: the time of each workload among the most users against that among the fewest.
    fn print_growth(&self) {
        let (Some(few), Some(many)) = (self.sections.first(), self.sections.last()) else { return };
        if few.users == many.users {
            return;
        }
        println!("\n### What {} users cost, against {}\n", grouped(many.users as f64), grouped(few.users as f64));
        println!("| Workload | Connections | Times the cost |\n|---|---|---|");
        for figure in &many.figures {
            if let Some(before) = few.find(&figure.workload, figure.connections) {
                let Figure { workload, connections, rate, .. } = figure;
                println!("| {workload} | {connections} | {:.2} |", before.rate / rate);
            }
        }
    }

    pub fn to_json(&self) -> String {
        let machine: serde_json::Map<String, Value> =
            self.machine.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let sections: Vec<Value> = self.sections.iter().map(Section::to_json).collect();
        format!("{:#}\n", json!({"machine": machine, "stores": sections}))
    }
}

impl Section {
    fn find(&self, workload: &str, connections: usize) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.workload == workload && figure.connections == connections)
    }

    /// A line for each workload: rates by connections; the rest is of the most connections, of which JSON has all.
    fn print(&self) {
        println!("\n### {} users, {}\n", grouped(self.users as f64), self.database);
        let all: BTreeSet<usize> = self.figures.iter().map(|figure| figure.connections).collect();
        let rates: String = all.iter().map(|connections| format!(" {connections} at once |")).collect();
        println!("| Workload, each second |{rates} p50 ms | p99 ms | CPU µs | part of |");
        println!("|---|{}---|---|---|---|", "---|".repeat(all.len()));
        let mut names: Vec<&str> = Vec::new();
        for figure in &self.figures {
            if !names.contains(&figure.workload.as_str()) {
                names.push(&figure.workload);
            }
        }
        for name in names {
            let found: Vec<Option<&Figure>> = all.iter().map(|connections| self.find(name, *connections)).collect();
            let rates: String = found
                .iter()
                .map(|one| format!(" {} |", one.map(|figure| grouped(figure.rate)).unwrap_or_default()))
                .collect();
            let Some(most) = found.into_iter().flatten().next_back() else { continue };
            let parts: Vec<String> =
                most.yardsticks.iter().map(|one| format!("{:.2} of {}", most.rate / one.rate, one.name)).collect();
            let errors = self.figures.iter().filter(|figure| figure.workload == name).map(|figure| figure.errors);
            let errors = match errors.sum::<usize>() {
                0 => String::new(),
                errors => format!(", {errors} ERRORS"),
            };
            let Figure { p50, p99, cpu, .. } = most;
            println!("| {name} |{rates} {p50:.2} | {p99:.2} | {cpu:.0} | {}{errors} |", parts.join(", "));
        }
        println!();
        self.facts.iter().for_each(|(name, value)| println!("- {name}: {value}"));
    }

    fn to_json(&self) -> Value {
        let yardstick =
            |rate: f64, one: &Yardstick| json!({"name": one.name, "rate": one.rate, "part": rate / one.rate});
        let figure = |one: &Figure| {
            let yardsticks: Vec<Value> = one.yardsticks.iter().map(|each| yardstick(one.rate, each)).collect();
            json!({"workload": one.workload, "connections": one.connections, "rate": one.rate, "p50_ms": one.p50,
                "p99_ms": one.p99, "errors": one.errors, "cpu_us": one.cpu, "yardsticks": yardsticks})
        };
        let figures: Vec<Value> = self.figures.iter().map(figure).collect();
        let facts: Vec<Value> = self.facts.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({"database": self.database, "users": self.users, "figures": figures, "facts": facts})
    }
}

/// A number with a comma between thousands; small ones with what matters behind the point.
pub fn grouped(number: f64) -> String {
    if number.abs() < 100.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
