//! DELETE: for clients the resource is gone (RFC 7644 §3.6); for operators it is buried, with its last state and
//! memberships (DEL-06).

use chrono::{DateTime, Utc};

use super::record::{record, record_of_groups};
use super::{Call, Provider, Target, lock_to_delete, reference};
use crate::auth::Access;
use crate::scim::Result;
use crate::store::Connection;
use crate::store::audit::{Changes, Operation};
use crate::store::resources::{self, Place, StoredResource};
use crate::store::{credentials, members};

impl Provider {
    /// Deletes a resource: it leaves every list, group and manager, and its unique value is free.
    ///
    /// # Errors
    /// 404; 412; 403; database failures.
    pub async fn delete(&self, call: Call, target: Target) -> Result<()> {
        let deletion = Deletion::of(&call, target)?;
        let now = self.now();
        self.store.write(move |connection: &mut Connection| deletion.make(connection, &call, now)).await
    }
}

/// A deletion, to be made within a transaction.
#[derive(Debug)]
pub(super) struct Deletion {
    target: Target,
}

impl Deletion {
    /// By a caller who may write resources of this type.
    ///
    /// # Errors
    /// 403.
    pub(super) fn of(call: &Call, target: Target) -> Result<Deletion> {
        call.caller.may(Access::Write, &target.resource_type.endpoint)?;
        Ok(Deletion { target })
    }

    /// Buries the resource.
    ///
    /// # Errors
    /// 404; 412; database failures.
    pub(super) fn make(&self, connection: &mut Connection, call: &Call, now: DateTime<Utc>) -> Result<()> {
        let (place, stored) = lock_to_delete(connection, call, &self.target)?;
        bury(connection, call, place, &stored, Changes::default(), now)
    }
}

/// Takes a live resource, locked for its deletion, out of everything. The history says `changes` beside what went with it.
///
/// # Errors
/// Database failures.
pub(super) fn bury(
    connection: &mut Connection,
    call: &Call,
    place: Place,
    stored: &StoredResource,
    changes: Changes,
    now: DateTime<Utc>,
) -> Result<()> {
    let reports = reference::unassign(connection, call, place, stored, now)?;
    resources::bury(connection, place, stored, &call.caller.key_id, now)?;
    let forgotten = members::forget(connection, stored.row_id)?;
    credentials::clear(connection, stored.row_id)?;
    let changes = changes.with_relations(&forgotten.groups, &forgotten.members, &reports);
    record(connection, call, Operation::Delete, stored, now, &changes)?;
    record_of_groups(connection, call, Operation::Leave, &forgotten.groups, &stored.id, now)
}
