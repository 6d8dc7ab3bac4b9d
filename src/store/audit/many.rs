//! The history of many resources, with one statement for all of them.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::sql_types::{BigInt, Text, Timestamp};
use serde_json::Value;

use super::{COLUMNS, Operation, Record, Step, Written};
use crate::scim::{Error, Result};
use crate::store::Connection;
use crate::store::sql::Sql;
use crate::store::statement::{OnConflict, insert_numbered_rows, insert_rows};

/// How many changes each of these resources has. Without a change it is missing from the result.
///
/// # Errors
/// Database failures.
pub fn count_steps(connection: &mut Connection, tenant_id: i64, ids: &[&str]) -> Result<HashMap<String, i64>> {
    let statement: Sql<(Text, BigInt)> = Sql::new("SELECT a.resource_id, count(*) FROM audit a WHERE ");
    let statement = statement.append(of_resources(tenant_id, ids)).push(" GROUP BY a.resource_id");
    Ok(statement.uncached().load::<(String, i64)>(connection)?.into_iter().collect())
}

/// All changes of these resources, named by type and id, by their ids, each in the order in which they were made, without
/// what changed.
///
/// # Errors
/// Database failures.
pub fn steps_of_all(
    connection: &mut Connection,
    tenant_id: i64,
    resources: &[(&str, &str)],
) -> Result<HashMap<String, Vec<Step>>> {
    let types: HashMap<&str, &str> = resources.iter().map(|(resource_type, id)| (*id, *resource_type)).collect();
    let ids: Vec<&str> = resources.iter().map(|(_, id)| *id).collect();
    let statement: Sql<(Text, Text, BigInt, Timestamp, Text, Text, BigInt)> = Sql::new(
        "SELECT a.resource_type, a.resource_id, a.row_id, a.at, a.caller, a.operation, a.version FROM audit a WHERE ",
    );
    let statement = statement.append(of_resources(tenant_id, &ids)).push(" ORDER BY a.row_id").uncached();
    let rows: Vec<(String, String, i64, NaiveDateTime, String, String, i64)> = statement.load(connection)?;
    let mut steps: HashMap<String, Vec<Step>> = HashMap::with_capacity(ids.len());
    for (resource_type, id, row_id, at, caller, operation, version) in rows {
        if types.get(id.as_str()) != Some(&resource_type.as_str()) {
            continue;
        }
        let step = Step { row_id, at: at.and_utc(), caller, operation: Operation::parse(&operation)?, version };
        steps.entry(id).or_default().push(step);
    }
    Ok(steps)
}

/// What changed in these changes, by their places in the history.
///
/// # Errors
/// Database failures.
pub fn changes_at(connection: &mut Connection, row_ids: &[i64]) -> Result<HashMap<i64, Value>> {
    let mut changes = HashMap::with_capacity(row_ids.len());
    for chunk in row_ids.chunks(CHUNK) {
        let statement: Sql<(BigInt, Text)> = Sql::new("SELECT a.row_id, a.changes FROM audit a WHERE a.row_id IN (");
        let statement = statement.bind_list(chunk.iter().copied()).push(")").uncached();
        for (row_id, text) in statement.load::<(i64, String)>(connection)? {
            changes.insert(row_id, serde_json::from_str(&text).map_err(Error::internal)?);
        }
    }
    Ok(changes)
}

/// When `lastModified` of each of these rows last moved alone, up to `at`.
///
/// # Errors
/// Database failures.
pub fn last_touches(
    connection: &mut Connection,
    row_ids: &[i64],
    at: DateTime<Utc>,
) -> Result<HashMap<i64, DateTime<Utc>>> {
    let mut touches = HashMap::new();
    for chunk in row_ids.chunks(CHUNK) {
        let statement: Sql<(BigInt, Timestamp)> =
            Sql::new("SELECT t.row_id, max(t.at) FROM touches t WHERE t.row_id IN (");
        let statement = statement
            .bind_list(chunk.iter().copied())
            .push(") AND t.at <= ")
            .bind(at.naive_utc())
            .push(" GROUP BY t.row_id")
            .uncached();
        let rows: Vec<(i64, NaiveDateTime)> = statement.load(connection)?;
        touches.extend(rows.into_iter().map(|(row_id, at)| (row_id, at.and_utc())));
    }
    Ok(touches)
}

/// Appends changes of one kind and their events.
///
/// # Errors
/// Database failures.
pub fn append_all(connection: &mut Connection, records: &[Record<'_>]) -> Result<()> {
    let written = records.iter().map(Written::of).collect::<Result<Vec<Written>>>()?;
    append_all_written(connection, &written)
}

/// The same of rows that were made ready before.
///
/// # Errors
/// Database failures.
pub fn append_all_written(connection: &mut Connection, written: &[Written]) -> Result<()> {
    let Some(first) = written.first() else { return Ok(()) };
    debug_assert!(written.iter().all(|written| written.operation == first.operation), "of one kind");
    let rows = written.iter().map(Written::cells);
    let inserted = insert_numbered_rows(connection, ("audit", "resource_id"), COLUMNS, rows, OnConflict::Fail)?;
    let Some(event) = first.operation.event() else { return Ok(()) };
    let mut row_ids: Vec<i64> = inserted.into_iter().map(|(row_id, _)| row_id).collect();
    row_ids.sort_unstable();
    let events = row_ids.into_iter().map(|row_id| [row_id.into(), event.into()]);
    insert_rows(connection, "outbox", ["audit_row_id", "event"], events, OnConflict::Fail)?;
    Ok(())
}

/// How many values one statement carries.
const CHUNK: usize = 500;

fn of_resources(tenant_id: i64, ids: &[&str]) -> Sql {
    let condition = Sql::new("a.tenant_id = ").bind(tenant_id).push(" AND a.resource_id IN (");
    condition.bind_list(ids.iter().copied()).push(")")
}
