//! An operator brings a deleted resource back: the same id, its last attributes, its memberships as they were.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::membership::{self, Change};
use super::purge::check_not_purged;
use super::record::{GROUP, record, record_of_groups};
use super::{Call, Provider, Representation, not_found, place, reference};
use crate::scim::accept::MemberClaim;
use crate::scim::projection::Projection;
use crate::scim::schema::ResourceType;
use crate::scim::{Profile, Result};
use crate::store::Connection;
use crate::store::audit::{self, Changes, Operation};
use crate::store::members;
use crate::store::resources::{self, Place, StoredResource};

impl Provider {
    /// Restores a deleted resource, with its memberships.
    ///
    /// # Errors
    /// 404 if no deleted resource has the id; `uniqueness` if another one holds its unique value by now.
    pub async fn restore(
        &self,
        call: Call,
        resource_type: &'static ResourceType,
        id: String,
    ) -> Result<Representation> {
        let (provider, now) = (self.clone(), self.now());
        let write = move |connection: &mut Connection| {
            let tenant_id = call.caller.tenant_id;
            let place = place(connection, tenant_id, resource_type)?;
            let Some(mut stored) = resources::lock_buried(connection, tenant_id, &resource_type.name, &id)? else {
                check_not_purged(connection, tenant_id, resource_type, &id)?;
                return Err(not_found(resource_type, &id));
            };
            resources::unbury(connection, place, &mut stored, now)?;
            let joined = restore_relations(connection, &call, place, &stored, now)?;
            let mut members: Vec<String> = members::ids(connection, stored.row_id)?.into_keys().collect();
            members.sort_unstable();
            let changes = Changes::default().with_members(&members, &[]);
            record_of_groups(connection, &call, Operation::Join, &joined, &stored.id, now)?;
            record(connection, &call, Operation::Restore, &stored, now, &changes)?;
            let projection = Projection::everything(resource_type);
            provider.assembler(tenant_id, resource_type, &projection).one(connection, stored)
        };
        self.store.write(write).await
    }
}

/// Puts back what the deletion took away. Groups and members that are deleted themselves are noted as unresolved, so that
/// the membership is back when they are, in whichever order they are restored. Returns the ids of the groups that list it
/// again.
fn restore_relations(
    connection: &mut Connection,
    call: &Call,
    place: Place,
    stored: &StoredResource,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    members::resolve_pending(connection, place.tenant_id, &stored.id, stored.row_id)?;
    members::resolve_own(connection, place.tenant_id, stored.row_id)?;
    let Some(changes) = audit::last_changes(connection, place.tenant_id, &stored.id, Operation::Delete)? else {
        return Ok(Vec::new());
    };
    let relation = |name: &str| -> Vec<String> {
        let ids = changes["relations"][name].as_array().map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut joined = Vec::new();
    for group_id in relation("groups") {
        if rejoin(connection, place.tenant_id, &group_id, stored)? {
            joined.push(group_id);
        }
    }
    for report_id in relation("reports") {
        reference::assign_again(connection, call, place, &report_id, stored, now)?;
    }
    let claim = |value: String| MemberClaim { value, claimed_type: None };
    let claims: Vec<MemberClaim> = relation("members").into_iter().map(claim).collect();
    membership::apply(connection, place, stored, &Change::additions(&claims), Profile::Compat)?;
    Ok(joined)
}

/// Whether a live group lists the resource now that did not before.
fn rejoin(connection: &mut Connection, tenant_id: i64, group_id: &str, stored: &StoredResource) -> Result<bool> {
    if let Some(group) = members::resolve(connection, tenant_id, &[group_id])?.get(group_id) {
        return Ok(!members::add(connection, group.row_id, &[stored.row_id])?.is_empty());
    }
    match resources::lock_buried(connection, tenant_id, GROUP, group_id)? {
        Some(group) => members::add_unresolved(connection, group.row_id, &[&stored.id]).map(|_| false),
        None => Ok(false),
    }
}
