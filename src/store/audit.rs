//! The history: one append-only row per change, and the event that tells others of it, both written in the
//! transaction of the change (SEC-04, EVT-04).
//!
//! From the rows of a resource alone, in the order of `row_id`, its state after each of them follows: the attributes and
//! members that came and went, when it was there, its version, and, from [`Operation::is_own_write`] and `touches`, its
//! `lastModified`. No row has a copy of what another row has.

mod changes;
mod erasure;
mod past;

use chrono::{DateTime, Utc};
use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};
use serde_json::Value;

use super::Connection;
use super::sql::Sql;
use super::statement::{OnConflict, insert_rows};
use crate::scim::{Error, Result};

pub use changes::Changes;
pub use erasure::{Mark, erase_of_tenant};
pub use past::{Deed, Entry, Span, Step, Touched, changes_of, deeds, entries, last_touch, latest, steps, touched};

/// One change of one resource.
#[derive(Debug)]
pub struct Record<'a> {
    /// Whose resource.
    pub tenant_id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// The id of the key that asked for it, or the operator's command.
    pub caller: &'a str,
    /// The request that it came with.
    pub request_id: &'a str,
    /// What was done.
    pub operation: Operation,
    /// The name of the resource type.
    pub resource_type: &'a str,
    /// The SCIM id.
    pub resource_id: &'a str,
    /// The version after the change; [`NO_VERSION`] if it makes none.
    pub version: i64,
    /// Before and after of what changed.
    pub changes: &'a Changes,
}

/// Stands in the place of a version where the resource is not looked at: its members changed with another resource.
pub const NO_VERSION: i64 = 0;

/// The kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// POST.
    Create,
    /// PUT.
    Replace,
    /// PATCH.
    Modify,
    /// DELETE.
    Delete,
    /// An operator brought a deleted resource back.
    Restore,
    /// Its reference to a resource that was deleted is gone.
    Unassign,
    /// Its reference to a resource that was restored is back.
    Assign,
    /// A member of the group was deleted.
    Leave,
    /// A member of the group was restored.
    Join,
    /// Other schemas are in force.
    Conform,
}

impl Operation {
    /// The word in the history.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Replace => "replace",
            Operation::Modify => "modify",
            Operation::Delete => "delete",
            Operation::Restore => "restore",
            Operation::Unassign => "unassign",
            Operation::Assign => "assign",
            Operation::Leave => "leave",
            Operation::Join => "join",
            Operation::Conform => "conform",
        }
    }

    /// Whether the change moved `lastModified`: to the time of its row.
    pub fn is_own_write(self) -> bool {
        matches!(self, Operation::Create | Operation::Replace | Operation::Modify | Operation::Restore)
    }

    /// The operation of that word.
    fn parse(word: &str) -> Result<Operation> {
        let unknown = || Error::internal(format!("the history has an unknown operation, {word}"));
        ALL.into_iter().find(|operation| operation.as_str() == word).ok_or_else(unknown)
    }

    /// The event of RFC 9967 §2.4 that tells others; a restored resource is a new one to them. What follows from the
    /// event of another resource has none of its own.
    fn event(self) -> Option<&'static str> {
        match self {
            Operation::Create | Operation::Restore => Some("urn:ietf:params:scim:event:prov:create:notice"),
            Operation::Replace => Some("urn:ietf:params:scim:event:prov:put:notice"),
            Operation::Modify | Operation::Unassign | Operation::Assign => {
                Some("urn:ietf:params:scim:event:prov:patch:notice")
            }
            Operation::Delete => Some("urn:ietf:params:scim:event:prov:delete"),
            Operation::Leave | Operation::Join | Operation::Conform => None,
        }
    }
}

const ALL: [Operation; 10] = [
    Operation::Create,
    Operation::Replace,
    Operation::Modify,
    Operation::Delete,
    Operation::Restore,
    Operation::Unassign,
    Operation::Assign,
    Operation::Leave,
    Operation::Join,
    Operation::Conform,
];

/// Appends a change and its event.
///
/// # Errors
/// Database failures.
pub fn append(connection: &mut Connection, record: &Record<'_>) -> Result<()> {
    let statement: Sql<BigInt> = Sql::new(
        "INSERT INTO audit (tenant_id, at, caller, request_id, operation, resource_type, resource_id, version, changes) VALUES (",
    );
    let statement = statement
        .bind(record.tenant_id)
        .push(", ")
        .bind(record.at.naive_utc())
        .push(", ")
        .bind_list([
            record.caller,
            record.request_id,
            record.operation.as_str(),
            record.resource_type,
            record.resource_id,
        ])
        .push(", ")
        .bind(record.version)
        .push(", ")
        .bind(record.changes.to_json()?)
        .push(") RETURNING row_id");
    let audit_row_id: i64 = statement.get_result(connection)?;
    let Some(event) = record.operation.event() else { return Ok(()) };
    let statement: Sql = Sql::new("INSERT INTO outbox (audit_row_id, event) VALUES (");
    let statement = statement.bind(audit_row_id).push(", ").bind(event).push(")");
    statement.execute(connection)?;
    Ok(())
}

/// Appends changes that have no event, many with one statement.
///
/// # Errors
/// Database failures.
pub fn append_silent(connection: &mut Connection, records: &[Record<'_>]) -> Result<()> {
    let changes = records.iter().map(|record| record.changes.to_json()).collect::<Result<Vec<String>>>()?;
    let columns =
        ["tenant_id", "at", "caller", "request_id", "operation", "resource_type", "resource_id", "version", "changes"];
    let cells = records.iter().zip(&changes).map(|(record, changes)| {
        [
            record.tenant_id.into(),
            record.at.naive_utc().into(),
            record.caller.into(),
            record.request_id.into(),
            record.operation.as_str().into(),
            record.resource_type.into(),
            record.resource_id.into(),
            record.version.into(),
            changes.as_str().into(),
        ]
    });
    insert_rows(connection, "audit", columns, cells, OnConflict::Fail)?;
    Ok(())
}

/// Notes that `lastModified` moved to `at`, and nothing else. Within one millisecond once is enough.
///
/// # Errors
/// Database failures.
pub fn touch(connection: &mut Connection, row_id: i64, at: DateTime<Utc>) -> Result<()> {
    let statement: Sql = Sql::new("INSERT INTO touches (row_id, at) VALUES (").bind(row_id).push(", ");
    statement.bind(at.naive_utc()).push(") ON CONFLICT DO NOTHING").execute(connection)?;
    Ok(())
}

/// The changes that the last record of this kind holds for a resource.
///
/// # Errors
/// Database failures.
pub fn last_changes(
    connection: &mut Connection,
    tenant_id: i64,
    resource_id: &str,
    operation: Operation,
) -> Result<Option<Value>> {
    let statement: Sql<Text> = Sql::new("SELECT a.changes FROM audit a WHERE a.tenant_id = ")
        .bind(tenant_id)
        .push(" AND a.resource_id = ")
        .bind(resource_id)
        .push(" AND a.operation = ")
        .bind(operation.as_str())
        .push(" ORDER BY a.row_id DESC LIMIT 1");
    let texts: Vec<String> = statement.load(connection)?;
    texts.first().map(|text| serde_json::from_str(text).map_err(Error::internal)).transpose()
}
