//! The history of one change, written in the transaction of the change.

use chrono::{DateTime, Utc};

use super::Call;
use crate::scim::Result;
use crate::store::Connection;
use crate::store::audit::{self, Changes, NO_VERSION, Operation, Record};
use crate::store::resources::{NewResource, StoredResource};

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
    audit::append(
        connection,
        &Record {
            tenant_id: call.caller.tenant_id,
            at: if operation.is_own_write() { stored.meta.last_modified } else { now },
            caller: &call.caller.key_id,
            request_id: &call.request_id,
            operation,
            resource_type: &stored.resource_type,
            resource_id: &stored.id,
            version: stored.meta.version,
            changes,
        },
    )
}

/// What the history says of a creation.
pub(super) fn record_of_new<'a>(call: &'a Call, new: &'a NewResource, changes: &'a Changes) -> Record<'a> {
    let meta = new.meta();
    Record {
        tenant_id: call.caller.tenant_id,
        at: meta.last_modified,
        caller: &call.caller.key_id,
        request_id: &call.request_id,
        operation: Operation::Create,
        resource_type: &new.resource_type().name,
        resource_id: new.id(),
        version: meta.version,
        changes,
    }
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
