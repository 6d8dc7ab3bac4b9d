//! What the database says of itself, judged.

use super::Finding;
use crate::store::condition::{Condition, Engine, Postgres, Sqlite};

pub(super) fn findings(condition: &Condition) -> Vec<Finding> {
    let mut findings = vec![migrations(&condition.pending_migrations)];
    match &condition.engine {
        Engine::Sqlite(sqlite) => findings.push(sqlite_durability(sqlite)),
        Engine::Postgres(postgres) => {
            findings.extend([postgres_durability(postgres), encoding(postgres), connections(postgres)])
        }
    }
    findings
}

fn migrations(pending: &[String]) -> Finding {
    match pending {
        [] => Finding::ok("migrations", "the tables are up to date"),
        pending => Finding::wrong(
            "migrations",
            format!("the tables are not up to date ({})", pending.join(", ")),
            "run `scimd migrate`, or start the server",
        ),
    }
}

/// Which of SQLite's settings are in force for a connection of ours, and in which mode the file is.
fn sqlite_durability(sqlite: &Sqlite) -> Finding {
    const CHECK: &str = "durability";
    let Sqlite { version, journal_mode, synchronous, foreign_keys } = sqlite;
    if *synchronous < 2 {
        let what = format!("SQLite {version} answers before a change is on the disk (synchronous={synchronous})");
        return Finding::wrong(CHECK, what, "this is a bug of scimd: report it");
    }
    if journal_mode != "wal" {
        let what = format!(
            "SQLite {version} keeps no write-ahead log (journal_mode={journal_mode}): requests wait for each other"
        );
        return Finding::warning(CHECK, what, "start the server: it changes the mode");
    }
    if !foreign_keys {
        return Finding::wrong(
            CHECK,
            format!("SQLite {version} does not hold rows to those that they name (foreign_keys=OFF)"),
            "this is a bug of scimd: report it",
        );
    }
    Finding::ok(CHECK, format!("SQLite {version}, write-ahead log, synchronous=FULL: what is answered is on the disk"))
}

fn postgres_durability(postgres: &Postgres) -> Finding {
    const CHECK: &str = "durability";
    // Everything but `off` waits for the disk of the server itself.
    let off: Vec<&str> =
        postgres.durability.iter().filter(|(_, value)| value == "off").map(|(name, _)| *name).collect();
    if off.is_empty() {
        let settings: Vec<String> = postgres.durability.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let what = format!("PostgreSQL {}, {}: what is answered is on the disk", postgres.version, settings.join(", "));
        return Finding::ok(CHECK, what);
    }
    let what = format!("PostgreSQL {} may lose what is answered (off: {})", postgres.version, off.join(", "));
    Finding::wrong(CHECK, what, format!("set {} to on, in postgresql.conf or for this role", off.join(", ")))
}

fn encoding(postgres: &Postgres) -> Finding {
    match postgres.encoding.as_str() {
        "UTF8" => Finding::ok("encoding", "the database is encoded in UTF8"),
        other => Finding::wrong(
            "encoding",
            format!("the database is encoded in {other}: not every name can be stored"),
            "make a database with `createdb --encoding UTF8`, and copy the data into it",
        ),
    }
}

fn connections(postgres: &Postgres) -> Finding {
    let Postgres { connections, most_connections, .. } = postgres;
    let what = format!("{connections} of {most_connections} connections to PostgreSQL are in use");
    if connections * 10 < most_connections * 8 {
        return Finding::ok("connections", what);
    }
    Finding::warning("connections", what, "raise max_connections of the server, or lower `postgres-connections`")
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::tests::{postgres, sqlite};
    use super::*;

    fn states(engine: Engine) -> Vec<(String, State)> {
        let condition = Condition { engine, pending_migrations: Vec::new() };
        let bad = findings(&condition).into_iter().filter(|finding| finding.state != State::Ok);
        bad.map(|finding| (finding.check, finding.state)).collect()
    }

    fn one(check: &str, state: State) -> Vec<(String, State)> {
        vec![(check.to_owned(), state)]
    }

    #[test]
    fn a_database_that_may_lose_what_is_answered_is_wrong() {
        let set = |name: &str, value: &str| {
            let mut postgres = postgres();
            let named = postgres.durability.iter_mut().filter(|(known, _)| *known == name);
            named.for_each(|(_, setting)| *setting = value.to_owned());
            states(Engine::Postgres(postgres))
        };
        for name in ["fsync", "full_page_writes", "synchronous_commit"] {
            assert_eq!(set(name, "off"), one("durability", State::Wrong), "{name}");
        }
        assert_eq!(set("synchronous_commit", "remote_apply"), []);
        let Engine::Sqlite(good) = sqlite().engine else { panic!("SQLite") };
        assert_eq!(states(Engine::Sqlite(good.clone())), []);
        for (bad, state) in [
            (Sqlite { synchronous: 1, ..good.clone() }, State::Wrong),
            (Sqlite { foreign_keys: false, ..good.clone() }, State::Wrong),
            (Sqlite { journal_mode: "delete".to_owned(), ..good.clone() }, State::Warning),
        ] {
            assert_eq!(states(Engine::Sqlite(bad)), one("durability", state));
        }
    }

    #[test]
    fn encoding_connections_and_migrations_are_judged() {
        let good = postgres();
        assert_eq!(states(Engine::Postgres(good.clone())), []);
        let latin = Postgres { encoding: "LATIN1".to_owned(), ..good.clone() };
        assert_eq!(states(Engine::Postgres(latin)), one("encoding", State::Wrong));
        let full = Postgres { connections: 78, ..good };
        assert_eq!(states(Engine::Postgres(full)), one("connections", State::Warning));
        assert_eq!(migrations(&["0005_chain".to_owned()]).state, State::Wrong);
    }
}
