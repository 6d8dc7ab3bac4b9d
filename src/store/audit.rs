//! The history: one append-only row per change, and the event that tells others of it, both written in the
//! transaction of the change (SEC-04, EVT-04).
//!
//! From the rows of a resource alone, in the order of `row_id`, its state after each of them follows: the attributes and
//! members that came and went, when it was there, its version, and, from [`Operation::is_own_write`] and `touches`, its
//! `lastModified`. No row has a copy of what another row has.
//!
//! Each row carries its digest from the start. After their commit rows are sealed, some at a time, into a chain
//! (`seals`); no write waits for that. Nothing here changes or deletes a row but an erasure, which leaves what proves it.

mod changes;
mod digest;
mod erasure;
mod guard;
mod many;
mod past;
mod row;
mod row_ids;
mod seals;
mod search;
mod verification;

pub(super) mod beside;

#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use diesel::sql_types::Text;
use serde_json::Value;

use super::Connection;
use super::cell::Cell;
use super::sql::Sql;
use super::statement::{OnConflict, insert_rows};
use crate::scim::{Error, Result};

pub use changes::{Changes, MASK};
pub use erasure::{Mark, erasable, erase, erase_of_tenant};
pub use many::{append_all, append_all_written, changes_at, count_steps, last_touches, steps_of_all};
pub use past::{
    Deed, Entry, Span, Step, Touched, changes_of, deeds, entries, has_secrets_since, is_late, last_step, last_touch,
    since_deletion, steps, touched,
};
pub use seals::{Head, SEALED_AT_ONCE, Seal, found, head, insert_seal, is_part_of_chain, next_seal};
pub use search::{Place, Search, search};
pub use verification::{Fault, Verdict, Verification, Wrong};

use self::digest::Metadata;

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
    /// Its reference to a resource that was deleted is gone; of the deleted one: somebody came back without the reference.
    Unassign,
    /// Its reference to a resource that was restored is back.
    Assign,
    /// A member of the group was deleted.
    Leave,
    /// A member of the group was restored.
    Join,
    /// Other schemas are in force.
    Conform,
    /// An operator erased what was known of a deleted resource, also from its history.
    Purge,
    /// It came from an export, as it was there; `lastModified` is older than the change.
    Import,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 12] = [
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
        Operation::Purge,
        Operation::Import,
    ];

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
            Operation::Purge => "purge",
            Operation::Import => "import",
        }
    }

    /// Whether the change moved `lastModified`: to the time of its row.
    pub fn is_own_write(self) -> bool {
        matches!(self, Operation::Create | Operation::Replace | Operation::Modify | Operation::Restore)
    }

    /// The operation of that word.
    ///
    /// # Errors
    /// `Internal` if there is none: the history holds no others.
    fn parse(word: &str) -> Result<Operation> {
        let unknown = || Error::internal(format!("the history has an unknown operation, {word}"));
        Operation::ALL.into_iter().find(|operation| operation.as_str() == word).ok_or_else(unknown)
    }

    /// The event of RFC 9967 §2.4 that tells others; a restored resource is a new one to them. What follows from the
    /// event of another resource has none of its own.
    fn event(self) -> Option<&'static str> {
        match self {
            Operation::Create | Operation::Restore | Operation::Import => {
                Some("urn:ietf:params:scim:event:prov:create:notice")
            }
            Operation::Replace => Some("urn:ietf:params:scim:event:prov:put:notice"),
            Operation::Modify | Operation::Unassign | Operation::Assign => {
                Some("urn:ietf:params:scim:event:prov:patch:notice")
            }
            Operation::Delete => Some("urn:ietf:params:scim:event:prov:delete"),
            Operation::Leave | Operation::Join | Operation::Conform | Operation::Purge => None,
        }
    }
}

/// A change as its row says it. It takes no database to know, so whoever can makes it ready before the transaction.
#[derive(Debug)]
pub struct Written {
    tenant_id: i64,
    /// In whole milliseconds, which both databases give back as they are.
    at: NaiveDateTime,
    caller: String,
    request_id: String,
    operation: Operation,
    resource_type: String,
    resource_id: String,
    version: i64,
    changes: String,
    salt: String,
    digest: String,
}

impl Written {
    /// Of this record.
    ///
    /// # Errors
    /// A machine without randomness.
    pub fn of(record: &Record<'_>) -> Result<Written> {
        let at = record.at.trunc_subsecs(3).naive_utc();
        let (changes, salt) = (record.changes.to_json()?, digest::salt()?);
        let metadata = Metadata {
            tenant_id: record.tenant_id,
            at,
            caller: record.caller,
            request_id: record.request_id,
            operation: record.operation.as_str(),
            resource_type: record.resource_type,
            resource_id: record.resource_id,
            version: record.version,
        };
        let digest = metadata.digest(&digest::content(&salt, &changes));
        Ok(Written {
            tenant_id: record.tenant_id,
            at,
            caller: record.caller.to_owned(),
            request_id: record.request_id.to_owned(),
            operation: record.operation,
            resource_type: record.resource_type.to_owned(),
            resource_id: record.resource_id.to_owned(),
            version: record.version,
            changes,
            salt,
            digest,
        })
    }

    /// What stands in [`COLUMNS`].
    fn cells(&self) -> [Cell<'_>; COLUMNS.len()] {
        [
            self.tenant_id.into(),
            self.at.into(),
            self.caller.as_str().into(),
            self.request_id.as_str().into(),
            self.operation.as_str().into(),
            self.resource_type.as_str().into(),
            self.resource_id.as_str().into(),
            self.version.into(),
            self.changes.as_str().into(),
            self.salt.as_str().into(),
            self.digest.as_str().into(),
        ]
    }
}

/// The columns of a row.
const COLUMNS: [&str; 11] = [
    "tenant_id",
    "at",
    "caller",
    "request_id",
    "operation",
    "resource_type",
    "resource_id",
    "version",
    "changes",
    "salt",
    "digest",
];

/// Appends a change and its event.
///
/// # Errors
/// Database failures.
pub fn append(connection: &mut Connection, record: &Record<'_>) -> Result<()> {
    append_written(connection, &Written::of(record)?)
}

/// The same of a row that was made ready before.
///
/// # Errors
/// Database failures.
pub fn append_written(connection: &mut Connection, written: &Written) -> Result<()> {
    let change: Sql = Sql::new(connection.insertion()).push(
        " INTO audit (tenant_id, at, caller, request_id, operation, resource_type, resource_id, version, changes, salt, \
         digest) VALUES (",
    );
    let change = change
        .bind(written.tenant_id)
        .push(", ")
        .bind(written.at)
        .push(", ")
        .bind_list([
            written.caller.as_str(),
            &written.request_id,
            written.operation.as_str(),
            &written.resource_type,
            &written.resource_id,
        ])
        .push(", ")
        .bind(written.version)
        .push(", ")
        .bind_list([written.changes.as_str(), &written.salt, &written.digest])
        .push(")");
    match written.operation.event() {
        Some(event) => append_event(connection, change, event)?,
        None => drop(change.execute(connection)?),
    }
    Ok(())
}

/// Runs the INSERT of a change, and notes its event under the number of its row, which nobody else needs to know.
fn append_event(connection: &mut Connection, change: Sql, event: &'static str) -> Result<()> {
    let into: Sql = Sql::new("INSERT INTO outbox (audit_row_id, event) ");
    if connection.is_at_hand() {
        change.execute(connection)?;
        into.push("VALUES (last_insert_rowid(), ").bind(event).push(")").execute(connection)?;
        return Ok(());
    }
    let both: Sql = Sql::new("WITH change AS (").append(change).push(" RETURNING row_id) ");
    both.append(into).push("SELECT row_id, ").bind(event).push(" FROM change").execute(connection)?;
    Ok(())
}

/// Appends changes that have no event, many with one statement.
///
/// # Errors
/// Database failures.
pub fn append_silent(connection: &mut Connection, records: &[Record<'_>]) -> Result<()> {
    let written = records.iter().map(Written::of).collect::<Result<Vec<Written>>>()?;
    insert_rows(connection, "audit", COLUMNS, written.iter().map(Written::cells), OnConflict::Fail)?;
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

/// Forgets when `lastModified` of a resource moved alone; how often that was.
///
/// # Errors
/// Database failures.
pub fn forget_touches(connection: &mut Connection, row_id: i64) -> Result<usize> {
    Ok(Sql::<()>::new("DELETE FROM touches WHERE row_id = ").bind(row_id).execute(connection)?)
}

/// The changes that the last record of this kind holds for a resource.
///
/// # Errors
/// Database failures.
pub fn last_changes(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    resource_id: &str,
    operation: Operation,
) -> Result<Option<Value>> {
    let statement: Sql<Text> = Sql::new("SELECT a.changes FROM audit a WHERE a.tenant_id = ")
        .bind(tenant_id)
        .push(" AND a.resource_id = ")
        .bind(resource_id)
        .push(" AND a.resource_type = ")
        .bind(resource_type)
        .push(" AND a.operation = ")
        .bind(operation.as_str())
        .push(" ORDER BY a.row_id DESC LIMIT 1");
    let texts: Vec<String> = statement.load(connection)?;
    texts.first().map(|text| serde_json::from_str(text).map_err(Error::internal)).transpose()
}
