//! Figures as a table and as JSON.

use serde_json::{Value, json};

/// What one workload came to.
#[derive(Debug, Clone)]
pub struct Figure {
    pub users: usize,
    pub workload: String,
    pub connections: usize,
    /// Operations each second, the median of the rounds.
    pub rate: f64,
    /// Milliseconds until the answer, of the median round.
    pub p50: f64,
    pub p99: f64,
    /// Answers that were not as they should be.
    pub errors: usize,
    /// Microseconds of CPU of the server for each operation.
    pub cpu: f64,
    /// The yardstick, its rate, and which part of it this is.
    pub yardstick: Option<(&'static str, f64)>,
}

#[derive(Debug, Default)]
pub struct Report {
    figures: Vec<Figure>,
    facts: Vec<(usize, &'static str, String)>,
}

impl Report {
    pub fn add(&mut self, figure: Figure) {
        eprintln!("{}", row(&figure));
        self.figures.push(figure);
    }

    /// Something that is no rate.
    pub fn fact(&mut self, users: usize, name: &'static str, value: String) {
        eprintln!("{users} users: {name} {value}");
        self.facts.push((users, name, value));
    }

    pub fn print(&self) {
        println!("| Users | Workload | Connections | Operations/s | p50 ms | p99 ms | Errors | CPU µs | Part of |");
        println!("|---|---|---|---|---|---|---|---|---|");
        self.figures.iter().for_each(|figure| println!("{}", row(figure)));
        println!();
        self.facts.iter().for_each(|(users, name, value)| println!("- {users} users: {name} {value}"));
    }

    pub fn to_json(&self) -> String {
        let figure = |one: &Figure| {
            let yardstick =
                one.yardstick.map(|(name, rate)| json!({"name": name, "rate": rate, "part": one.rate / rate}));
            json!({"users": one.users, "workload": one.workload, "connections": one.connections, "rate": one.rate,
                "p50": one.p50, "p99": one.p99, "errors": one.errors, "cpu": one.cpu, "yardstick": yardstick})
        };
        let facts: Vec<Value> = self
            .facts
            .iter()
            .map(|(users, name, value)| json!({"users": users, "name": name, "value": value}))
            .collect();
        format!("{:#}\n", json!({"figures": self.figures.iter().map(figure).collect::<Vec<_>>(), "facts": facts}))
    }
}

fn row(figure: &Figure) -> String {
    let Figure { users, workload, connections, rate, p50, p99, errors, cpu, yardstick } = figure;
    let part = yardstick.map(|(name, bare)| format!("{:.2} of {name}", rate / bare)).unwrap_or_default();
    format!("| {users} | {workload} | {connections} | {rate:.0} | {p50:.2} | {p99:.2} | {errors} | {cpu:.0} | {part} |")
}
