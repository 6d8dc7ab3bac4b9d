//! The history, read.

use std::collections::HashMap;
use std::ops::Range;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};
use serde_json::Value;

use super::Operation;
use crate::scim::{Error, Result};
use crate::store::Connection;
use crate::store::sql::Sql;

/// Whose changes, and of when: both ends belong to it.
#[derive(Debug, Clone)]
pub struct Span {
    /// The id of the key, or the operator's command.
    pub caller: String,
    /// The first moment.
    pub since: DateTime<Utc>,
    /// The last moment.
    pub until: DateTime<Utc>,
}

impl Span {
    /// Whether a change of this caller at this time is one of its own. What a start with other schemas did is nobody's.
    pub fn has(&self, deed: &Deed) -> bool {
        let is_inside = self.since <= deed.at && deed.at <= self.until;
        is_inside && deed.caller == self.caller && deed.operation != Operation::Conform
    }
}

/// A resource that a caller has changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Touched {
    /// The name of its type.
    pub resource_type: String,
    /// Its id.
    pub id: String,
    /// The place of the first of the changes in the history.
    pub first: i64,
}

/// A change of a resource, and what it changed.
#[derive(Debug, Clone)]
pub struct Deed {
    /// When.
    pub at: DateTime<Utc>,
    /// The id of the key that asked for it.
    pub caller: String,
    /// What was done.
    pub operation: Operation,
    /// Before and after: an object of the members that [`super::Changes`] describes.
    pub changes: Value,
}

/// A change as the history keeps it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the history.
    pub row_id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// The id of the key that asked for it, or the operator's command.
    pub caller: String,
    /// The request that it came with; empty for what no request brought.
    pub request_id: String,
    /// What was done.
    pub operation: Operation,
    /// The name of the resource type.
    pub resource_type: String,
    /// The SCIM id.
    pub resource_id: String,
    /// The version after it; [`super::NO_VERSION`] if it made none.
    pub version: i64,
    /// Before and after: an object of the members that [`super::Changes`] describes. Empty once erased.
    pub changes: Value,
    /// Whether what changed is erased: the resource was purged.
    pub erased: bool,
}

/// A change without what changed.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its place in the history.
    pub row_id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// The id of the key that asked for it.
    pub caller: String,
    /// What was done.
    pub operation: Operation,
    /// The version after it; [`super::NO_VERSION`] if it made none.
    pub version: i64,
}

/// The latest changes of a resource, or the latest before a place in the history, at most `limit`, the latest first.
///
/// # Errors
/// Database failures.
pub fn entries(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    resource_id: &str,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Entry>> {
    let mut condition = of_resource(tenant_id, resource_type, resource_id);
    if let Some(row_id) = before {
        condition = condition.push(" AND a.row_id < ").bind(row_id);
    }
    load(connection, condition.push(" ORDER BY a.row_id DESC LIMIT ").bind(limit))
}

type Columns = (BigInt, Timestamp, Text, Text, Text, Text, Text, BigInt, Text, Nullable<Text>);

/// Changes `a` under a condition.
pub(super) fn load(connection: &mut Connection, condition: Sql) -> Result<Vec<Entry>> {
    type Row = (i64, NaiveDateTime, String, String, String, String, String, i64, String, Option<String>);
    let statement: Sql<Columns> = Sql::new(
        "SELECT a.row_id, a.at, a.caller, a.request_id, a.operation, a.resource_type, a.resource_id, a.version, \
         a.changes, a.erased FROM audit a WHERE ",
    );
    let rows: Vec<Row> = statement.append(condition).load(connection)?;
    let entry =
        |(row_id, at, caller, request_id, operation, resource_type, resource_id, version, changes, erased): Row| {
            Ok(Entry {
                row_id,
                at: at.and_utc(),
                caller,
                request_id,
                operation: Operation::parse(&operation)?,
                resource_type,
                resource_id,
                version,
                changes: serde_json::from_str(&changes).map_err(Error::internal)?,
                erased: erased.is_some(),
            })
        };
    rows.into_iter().map(entry).collect()
}

/// All changes of a resource, in the order in which they were made, without what changed.
///
/// # Errors
/// Database failures.
pub fn steps(connection: &mut Connection, tenant_id: i64, resource_type: &str, resource_id: &str) -> Result<Vec<Step>> {
    let condition = of_resource(tenant_id, resource_type, resource_id);
    load_steps(connection, select_steps().append(condition).push(" ORDER BY a.row_id"))
}

type StepType = (BigInt, Timestamp, Text, Text, BigInt);

fn select_steps() -> Sql<StepType> {
    Sql::new("SELECT a.row_id, a.at, a.caller, a.operation, a.version FROM audit a WHERE ")
}

fn load_steps(connection: &mut Connection, statement: Sql<StepType>) -> Result<Vec<Step>> {
    let rows: Vec<(i64, NaiveDateTime, String, String, i64)> = statement.load(connection)?;
    let step = |(row_id, at, caller, operation, version): (i64, NaiveDateTime, String, String, i64)| {
        Ok(Step { row_id, at: at.and_utc(), caller, operation: Operation::parse(&operation)?, version })
    };
    rows.into_iter().map(step).collect()
}

/// The last change of a resource, or the last that is of one of these kinds, without what changed.
///
/// # Errors
/// Database failures.
pub fn last_step(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    resource_id: &str,
    kinds: Option<&[Operation]>,
) -> Result<Option<Step>> {
    let mut statement = select_steps().append(of_resource(tenant_id, resource_type, resource_id));
    if let Some(kinds) = kinds {
        statement = statement.push(" AND a.operation IN (");
        statement = statement.bind_list(kinds.iter().map(|kind| kind.as_str())).push(")");
    }
    Ok(load_steps(connection, statement.push(" ORDER BY a.row_id DESC LIMIT 1"))?.pop())
}

/// What changed in the changes of a resource within a range of the history, in the order in which they were made.
///
/// # Errors
/// Database failures.
pub fn changes_of(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    resource_id: &str,
    range: Range<i64>,
) -> Result<Vec<Value>> {
    let statement: Sql<Text> = Sql::new("SELECT a.changes FROM audit a WHERE ");
    let statement = statement
        .append(of_resource(tenant_id, resource_type, resource_id))
        .push(" AND a.row_id >= ")
        .bind(range.start)
        .push(" AND a.row_id < ")
        .bind(range.end)
        .push(" ORDER BY a.row_id");
    changes(connection, statement)
}

fn changes(connection: &mut Connection, statement: Sql<Text>) -> Result<Vec<Value>> {
    let texts: Vec<String> = statement.load(connection)?;
    texts.iter().map(|text| serde_json::from_str(text).map_err(Error::internal)).collect()
}

/// What the last deletion of a resource changed, and what each change behind it did; with a time, up to then.
///
/// # Errors
/// Database failures.
pub fn since_deletion(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    resource_id: &str,
    until: Option<DateTime<Utc>>,
) -> Result<Vec<Value>> {
    let until = |statement: Sql<Text>, alias: &'static str| match until {
        Some(until) => statement.push(alias).push("at <= ").bind(until.naive_utc()),
        None => statement,
    };
    let statement: Sql<Text> = Sql::new("SELECT a.changes FROM audit a WHERE ");
    let statement = until(statement.append(of_resource(tenant_id, resource_type, resource_id)), " AND a.")
        .push(" AND a.row_id >= (SELECT max(d.row_id) FROM audit d WHERE d.tenant_id = ")
        .bind(tenant_id)
        .push(" AND d.resource_id = ")
        .bind(resource_id)
        .push(" AND d.resource_type = ")
        .bind(resource_type)
        .push(" AND d.operation = ")
        .bind(Operation::Delete.as_str());
    let statement = until(statement, " AND d.").push(") ORDER BY a.row_id");
    changes(connection, statement)
}

/// Whether something of a resource that is never shown was changed after a time.
///
/// # Errors
/// Database failures.
pub fn has_secrets_since(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    resource_id: &str,
    at: DateTime<Utc>,
) -> Result<bool> {
    let statement: Sql<Text> = Sql::new("SELECT a.changes FROM audit a WHERE ");
    let statement = statement.append(of_resource(tenant_id, resource_type, resource_id));
    let statement = statement.push(" AND a.at > ").bind(at.naive_utc());
    // An attribute of that name may stand in it, too.
    let changes = changes(connection, statement.push(" AND a.changes LIKE '%\"secrets\":%'"))?;
    Ok(changes.iter().any(|changes| changes.pointer("/secrets/0").is_some()))
}

/// Whether a change of a resource stands behind this place of the history and is of this time or before: it was under way
/// when the history was read.
///
/// # Errors
/// Database failures.
pub fn is_late(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    resource_id: &str,
    behind: i64,
    at: DateTime<Utc>,
) -> Result<bool> {
    let statement: Sql<BigInt> = Sql::new("SELECT a.row_id FROM audit a WHERE ");
    let statement = statement.append(of_resource(tenant_id, resource_type, resource_id));
    let statement = statement.push(" AND a.row_id > ").bind(behind).push(" AND a.at <= ").bind(at.naive_utc());
    Ok(!statement.push(" LIMIT 1").load::<i64>(connection)?.is_empty())
}

/// What a caller has changed in a span, in the order of the first change of each. Costs what anybody has changed in the
/// tenant in that time.
///
/// # Errors
/// Database failures.
pub fn touched(connection: &mut Connection, tenant_id: i64, span: &Span) -> Result<Vec<Touched>> {
    let statement: Sql<(Text, Text, BigInt)> =
        Sql::new("SELECT a.resource_type, a.resource_id, min(a.row_id) FROM audit a WHERE a.tenant_id = ");
    let statement = statement
        .bind(tenant_id)
        .push(" AND a.caller = ")
        .bind(span.caller.as_str())
        .push(" AND a.at >= ")
        .bind(span.since.naive_utc())
        .push(" AND a.at <= ")
        .bind(span.until.naive_utc())
        .push(" AND a.operation <> ")
        .bind(Operation::Conform.as_str())
        .push(" GROUP BY a.resource_type, a.resource_id ORDER BY min(a.row_id)");
    let rows: Vec<(String, String, i64)> = statement.load(connection)?;
    Ok(rows.into_iter().map(|(resource_type, id, first)| Touched { resource_type, id, first }).collect())
}

/// All changes of some resources from the first one named on, by what was touched, in the order in which they were made.
///
/// # Errors
/// Database failures.
pub fn deeds<'t>(
    connection: &mut Connection,
    tenant_id: i64,
    touched: &'t [Touched],
) -> Result<HashMap<&'t Touched, Vec<Deed>>> {
    let known: HashMap<(&str, &str), &Touched> =
        touched.iter().map(|touched| ((touched.resource_type.as_str(), touched.id.as_str()), touched)).collect();
    let statement: Sql<(Text, Text, BigInt, Timestamp, Text, Text, Text)> = Sql::new(
        "SELECT a.resource_type, a.resource_id, a.row_id, a.at, a.caller, a.operation, a.changes FROM audit a \
         WHERE a.tenant_id = ",
    );
    let statement = statement
        .bind(tenant_id)
        .push(" AND a.row_id >= ")
        .bind(touched.iter().map(|touched| touched.first).min().unwrap_or_default())
        .push(" AND a.resource_id IN (")
        .bind_list(touched.iter().map(|touched| touched.id.as_str()))
        .push(") ORDER BY a.resource_id, a.row_id");
    type Row = (String, String, i64, NaiveDateTime, String, String, String);
    let rows: Vec<Row> = statement.uncached().load(connection)?;
    let mut deeds: HashMap<&Touched, Vec<Deed>> = HashMap::with_capacity(touched.len());
    for (resource_type, id, row_id, at, caller, operation, changes) in rows {
        let of = known.get(&(resource_type.as_str(), id.as_str())).filter(|touched| touched.first <= row_id);
        let Some(touched) = of.copied() else { continue };
        let changes = serde_json::from_str(&changes).map_err(Error::internal)?;
        let deed = Deed { at: at.and_utc(), caller, operation: Operation::parse(&operation)?, changes };
        deeds.entry(touched).or_default().push(deed);
    }
    Ok(deeds)
}

/// When `lastModified` of a resource last moved alone, up to `at`.
///
/// # Errors
/// Database failures.
pub fn last_touch(connection: &mut Connection, row_id: i64, at: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let statement: Sql<Timestamp> = Sql::new("SELECT t.at FROM touches t WHERE t.row_id = ").bind(row_id);
    let statement = statement.push(" AND t.at <= ").bind(at.naive_utc()).push(" ORDER BY t.at DESC LIMIT 1");
    Ok(statement.load::<NaiveDateTime>(connection)?.pop().map(|at| at.and_utc()))
}

/// Of the type, too: keys and tenants have a history, and may have the id of an imported resource.
fn of_resource(tenant_id: i64, resource_type: &str, resource_id: &str) -> Sql {
    let rows = Sql::new("a.tenant_id = ").bind(tenant_id).push(" AND a.resource_id = ").bind(resource_id);
    rows.push(" AND a.resource_type = ").bind(resource_type)
}
