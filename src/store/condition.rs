//! What a database says of itself: its version, whether what it has acknowledged is durable, how full it is.
//!
//! Only looks. What is good and what is not is for those who ask.

use chrono::NaiveDateTime;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};

use super::sql::Sql;
use super::{Connection, migrations};
use crate::scim::Result;

/// A database at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What it is, and how it is set up.
    pub engine: Engine,
    /// The migrations that are not applied.
    pub pending_migrations: Vec<String>,
}

/// A database by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite(Sqlite),
    /// A server.
    Postgres(Postgres),
}

/// How SQLite is set up for our connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sqlite {
    /// `3.50.4`.
    pub version: String,
    /// `wal` where readers and the writer do not wait for each other.
    pub journal_mode: String,
    /// 2 (FULL) or more where a commit is on the disk before it is answered.
    pub synchronous: i64,
    /// Whether rows must have the other ends that they name.
    pub foreign_keys: bool,
}

/// How PostgreSQL is set up for our connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// `17.5`.
    pub version: String,
    /// The settings that what is acknowledged rests on, and their values.
    pub durability: Vec<(&'static str, String)>,
    /// `UTF8`.
    pub encoding: String,
    /// Connections in use, those of others included.
    pub connections: i64,
    /// How many there may be that are not kept for superusers.
    pub most_connections: i64,
    /// Its clock, UTC.
    pub now: NaiveDateTime,
}

/// What a commit of PostgreSQL rests on. Each must be `on`, or stricter.
const DURABILITY: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];

/// Asks the database.
///
/// # Errors
/// Database failures.
pub fn of(connection: &mut Connection) -> Result<Condition> {
    let pending_migrations = migrations::pending(connection)?;
    let engine = match connection.locks_rows() {
        true => Engine::Postgres(postgres(connection)?),
        false => Engine::Sqlite(sqlite(connection)?),
    };
    Ok(Condition { engine, pending_migrations })
}

fn sqlite(connection: &mut Connection) -> Result<Sqlite> {
    let text = |text| Sql::<Text>::new(text);
    let number = |text| Sql::<BigInt>::new(text);
    Ok(Sqlite {
        version: text("SELECT sqlite_version()").get_result(connection)?,
        journal_mode: text("PRAGMA journal_mode").get_result(connection)?,
        synchronous: number("PRAGMA synchronous").get_result(connection)?,
        foreign_keys: number("PRAGMA foreign_keys").get_result::<i64>(connection)? == 1,
    })
}

fn postgres(connection: &mut Connection) -> Result<Postgres> {
    let mut durability = Vec::new();
    for name in DURABILITY {
        durability.push((name, setting(connection, name)?));
    }
    let count = |connection: &mut Connection, name| -> Result<i64> {
        Ok(setting(connection, name)?.parse().unwrap_or_default())
    };
    // Of other users' sessions only the database is shown to everybody.
    let connections: Sql<BigInt> = Sql::new("SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL");
    let now: Sql<Timestamp> = Sql::new("SELECT clock_timestamp() AT TIME ZONE 'UTC'");
    Ok(Postgres {
        version: setting(connection, "server_version")?,
        durability,
        encoding: setting(connection, "server_encoding")?,
        connections: connections.get_result(connection)?,
        most_connections: count(connection, "max_connections")? - count(connection, "superuser_reserved_connections")?,
        now: now.get_result(connection)?,
    })
}

fn setting(connection: &mut Connection, name: &str) -> Result<String> {
    let statement: Sql<Text> = Sql::new("SELECT current_setting(").bind(name).push(")");
    Ok(statement.get_result(connection)?)
}

/// What SQLite finds wrong with the structure of its file: a sentence each, none if it is sound. `None` where there is no
/// such check. Reads the whole file.
///
/// # Errors
/// Database failures.
pub fn structure(connection: &mut Connection) -> Result<Option<Vec<String>>> {
    if connection.locks_rows() {
        return Ok(None);
    }
    let check: Sql<Text> = Sql::new("PRAGMA integrity_check(20)");
    let mut found: Vec<String> = check.load(connection)?;
    found.retain(|line| line != "ok");
    Ok(Some(found))
}

/// The time of the last change in the history.
///
/// # Errors
/// Database failures.
pub fn last_change(connection: &mut Connection) -> Result<Option<NaiveDateTime>> {
    let statement: Sql<Nullable<Timestamp>> = Sql::new("SELECT a.at FROM audit a ORDER BY a.row_id DESC LIMIT 1");
    Ok(statement.load::<Option<NaiveDateTime>>(connection)?.pop().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Reach;
    use crate::store::tests::{Fixture, at, on_each_database};
    use crate::store::{Settings, Store};

    #[test]
    fn a_database_tells_how_it_is_set_up() {
        on_each_database(|Fixture { store, postgres }| async move {
            let look = |c: &mut Connection| Ok((of(c)?, structure(c)?, last_change(c)?));
            let (condition, structure, last) = store.read(Reach::Scan, look).await.expect("answers");

            assert!(condition.pending_migrations.is_empty());
            assert_eq!(last, None);
            match condition.engine {
                Engine::Sqlite(sqlite) => {
                    assert!(!postgres && sqlite.version.starts_with("3."), "{sqlite:?}");
                    assert_eq!(
                        (sqlite.journal_mode.as_str(), sqlite.synchronous, sqlite.foreign_keys),
                        ("wal", 2, true)
                    );
                    assert_eq!(structure, Some(Vec::new()));
                }
                Engine::Postgres(found) => {
                    assert!(postgres && found.connections > 0 && found.most_connections > 0, "{found:?}");
                    assert_eq!((found.encoding.as_str(), found.durability.len()), ("UTF8", 3));
                    assert!(found.now > at("2020-01-01T00:00:00"));
                    assert_eq!(structure, None);
                }
            }
        });
    }

    #[tokio::test]
    async fn a_store_that_takes_the_database_as_it_is_makes_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("scimd.db");
        let url = format!("sqlite:{}", file.display()).parse().expect("a URL");
        let settings = Settings { as_it_is: true, ..Settings::new(url) };

        let missing = Store::open(&settings).expect_err("nothing is there");
        assert!(missing.detail().contains("is not there"), "{missing}");
        std::fs::write(&file, "").expect("written");
        let store = Store::open(&settings).expect("an empty file");
        let condition = store.read(Reach::Point, of).await.expect("answers");
        store.close();

        let Engine::Sqlite(sqlite) = condition.engine else { panic!("SQLite") };
        assert_eq!(sqlite.journal_mode, "delete");
        assert!(!condition.pending_migrations.is_empty());
        assert_eq!(std::fs::metadata(&file).expect("still there").len(), 0);
        assert_eq!(std::fs::read_dir(directory.path()).expect("read").count(), 1);
    }
}
