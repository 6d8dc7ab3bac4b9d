//! The history: one append-only row per change, and the event that tells others of it, both written in the
//! transaction of the change (SEC-04, EVT-04).

use chrono::{DateTime, Utc};
use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};
use serde_json::Value;

use super::Connection;
use super::sql::Sql;
use crate::scim::{Error, Result};

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
    /// The version after the change.
    pub version: i64,
    /// Before and after of what changed.
    pub changes: &'a Value,
}

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
        }
    }

    /// The event of RFC 9967 §2.4 that tells others; a restored resource is a new one to them.
    fn event(self) -> &'static str {
        match self {
            Operation::Create | Operation::Restore => "urn:ietf:params:scim:event:prov:create:notice",
            Operation::Replace => "urn:ietf:params:scim:event:prov:put:notice",
            Operation::Modify => "urn:ietf:params:scim:event:prov:patch:notice",
            Operation::Delete => "urn:ietf:params:scim:event:prov:delete",
        }
    }
}

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
        .bind(record.changes.to_string())
        .push(") RETURNING row_id");
    let audit_row_id: i64 = statement.get_result(connection)?;
    let statement: Sql = Sql::new("INSERT INTO outbox (audit_row_id, event) VALUES (");
    let statement = statement.bind(audit_row_id).push(", ").bind(record.operation.event()).push(")");
    statement.execute(connection)?;
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
