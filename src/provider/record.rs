//! The history of one change, written in the transaction of the change.

use chrono::{DateTime, Utc};

use super::Call;
use crate::scim::Result;
use crate::store::Connection;
use crate::store::audit::{self, Changes, NO_VERSION, Operation, Record};
use crate::store::resources::{NewResource, StoredResource};
use crate::store::revisions::Revision;

/// Appends the change to the history. A write of the resource itself is of the time that its `lastModified` shows.
///
/// # Errors
/// Database failures.
pub(super) fn record(
    connection: &mut Connection,
    call: &Call,
    operation: Operation,
    stored: &StoredResource,
    now: DateTime<Utc>,
    changes: &Changes,
) -> Result<()> {
    let at = if operation.is_own_write() { stored.meta.last_modified } else { now };
    let resource = (stored.resource_type.as_str(), stored.id.as_str());
    audit::append(connection, &record_of(call, operation, resource, at, stored.meta.version, changes))
}

/// What the history says of a creation.
pub(super) fn record_of_new<'a>(call: &'a Call, new: &'a NewResource, changes: &'a Changes) -> Record<'a> {
    let (meta, resource) = (new.meta(), (new.resource_type().name.as_str(), new.id()));
    record_of(call, Operation::Create, resource, meta.last_modified, meta.version, changes)
}

/// What the history says of a revision.
pub(super) fn record_of_revision<'a>(
    call: &'a Call,
    operation: Operation,
    revision: &'a Revision,
    changes: &'a Changes,
) -> Record<'a> {
    let after = revision.after();
    let resource = (after.resource_type.as_str(), after.id.as_str());
    record_of(call, operation, resource, after.meta.last_modified, after.meta.version, changes)
}

fn record_of<'a>(
    call: &'a Call,
    operation: Operation,
    (resource_type, resource_id): (&'a str, &'a str),
    at: DateTime<Utc>,
    version: i64,
    changes: &'a Changes,
) -> Record<'a> {
    let tenant_id = call.caller.tenant_id;
    let (caller, request_id) = (&call.caller.key_id, &call.request_id);
    Record { tenant_id, at, caller, request_id, operation, resource_type, resource_id, version, changes }
}

/// Appends to the history of groups that a member was deleted or restored: `Leave` or `Join`.
///
/// # Errors
/// Database failures.
pub(super) fn record_of_groups(
    connection: &mut Connection,
    call: &Call,
    operation: Operation,
    group_ids: &[String],
    member_id: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let member = [member_id.to_owned()];
    let (added, removed): (&[String], &[String]) =
        if operation == Operation::Join { (&member, &[]) } else { (&[], &member) };
    let changes = Changes::default().with_members(added, removed);
    let record = |group_id| Record {
        tenant_id: call.caller.tenant_id,
        at: now,
        caller: &call.caller.key_id,
        request_id: &call.request_id,
        operation,
        resource_type: GROUP,
        resource_id: group_id,
        version: NO_VERSION,
        changes: &changes,
    };
    let records: Vec<Record<'_>> = group_ids.iter().map(|id| record(id)).collect();
    audit::append_silent(connection, &records)
}

/// The resource type that has members.
pub(super) const GROUP: &str = "Group";
