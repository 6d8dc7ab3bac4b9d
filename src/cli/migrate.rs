//! What an operator reads after the tables were made or updated. The door migrates; this knows only the words.

use super::Report;

/// Lists the migrations that were applied, one per line.
pub fn report(applied: &[String], database: &str) -> Report {
    match applied.len() {
        0 => Report::default().note(format!("The tables of {database} are up to date.")),
        count => {
            let output = applied.iter().map(|name| format!("{name}\n")).collect();
            Report::text(output).note(format!("Applied {count} to {database}:"))
        }
    }
}
