//! The bare database: the same rows written as durably, by nobody but this loop.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

/// What one create writes beside the resource itself: rows of the search index, of the history, of the outbox.
pub struct Rows {
    pub values: usize,
    pub document: usize,
    pub audit: usize,
}

const TABLES: &str = "
    CREATE TABLE r (row_id INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, k TEXT NOT NULL UNIQUE, document TEXT NOT NULL);
    CREATE TABLE v (path TEXT NOT NULL, k TEXT NOT NULL, row_id BIGINT NOT NULL, PRIMARY KEY (path, k, row_id)) WITHOUT ROWID;
    CREATE TABLE a (row_id INTEGER PRIMARY KEY, id TEXT NOT NULL, changes TEXT NOT NULL);
    CREATE INDEX a_id ON a (id, row_id);
    CREATE TABLE o (row_id INTEGER PRIMARY KEY, a BIGINT NOT NULL, event TEXT NOT NULL);";

/// Users a second that SQLite takes in, so many of them in one commit, each durable.
pub fn sqlite_creates(directory: &Path, rows: &Rows, together: usize, seconds: f64) -> f64 {
    let file = directory.join(format!("bare-{together}.db"));
    let mut connection = SqliteConnection::establish(&file.display().to_string()).unwrap();
    connection.batch_execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").unwrap();
    connection.batch_execute(TABLES).unwrap();
    let (document, changes) = ("d".repeat(rows.document), "c".repeat(rows.audit));
    let (started, mut number) = (Instant::now(), 0_i64);
    while started.elapsed() < Duration::from_secs_f64(seconds) {
        connection.batch_execute("BEGIN IMMEDIATE").unwrap();
        for _ in 0..together {
            number += 1;
            create(&mut connection, number, rows.values, &document, &changes);
        }
        connection.batch_execute("COMMIT").unwrap();
    }
    number as f64 / started.elapsed().as_secs_f64()
}

/// The statements that have no choice: one row or many with each.
fn create(connection: &mut SqliteConnection, number: i64, values: usize, document: &str, changes: &str) {
    let id = format!("0195a1f0-5b1e-7c3d-9a2b-{number:012}");
    diesel::sql_query("INSERT INTO r (id, k, document) VALUES (?, ?, ?)")
        .bind::<Text, _>(&id)
        .bind::<Text, _>(format!("user{number:07}@load.example"))
        .bind::<Text, _>(document)
        .execute(connection)
        .unwrap();
    let places = vec!["(?, ?, ?)"; values].join(", ");
    let mut statement = diesel::sql_query(format!("INSERT INTO v (path, k, row_id) VALUES {places}")).into_boxed();
    for value in 0..values {
        statement = statement.bind::<Text, _>(format!("path{value:02}"));
        statement = statement.bind::<Text, _>(format!("{number:07}-value"));
        statement = statement.bind::<BigInt, _>(number);
    }
    statement.execute(connection).unwrap();
    diesel::sql_query("INSERT INTO a (id, changes) VALUES (?, ?)")
        .bind::<Text, _>(&id)
        .bind::<Text, _>(changes)
        .execute(connection)
        .unwrap();
    diesel::sql_query("INSERT INTO o (a, event) VALUES (?, ?)")
        .bind::<BigInt, _>(number)
        .bind::<Text, _>("urn:ietf:params:scim:event:prov:create:notice")
        .execute(connection)
        .unwrap();
}
