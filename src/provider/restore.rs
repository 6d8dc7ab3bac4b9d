//! An operator brings a deleted resource back: the same id, its last attributes, its memberships as they were.

use std::collections::HashSet;

use serde_json::Value;

use super::membership::{self, Change};
use super::record::{Changes, record};
use super::{Call, Provider, Representation, not_found, place};
use crate::scim::accept::MemberClaim;
use crate::scim::projection::Projection;
use crate::scim::schema::ResourceType;
use crate::scim::{Profile, Result};
use crate::store::audit::{self, Operation};
use crate::store::members;
use crate::store::resources::{self, Place, StoredResource};
use crate::store::{Connection, Reach};

impl Provider {
    /// Restores a deleted resource. Groups and members that are gone by now stay gone.
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
            let mut stored = resources::lock_buried(connection, tenant_id, &resource_type.name, &id)?
                .ok_or_else(|| not_found(resource_type, &id))?;
            resources::unbury(connection, place, &mut stored, now)?;
            members::resolve_pending(connection, tenant_id, &stored.id, stored.row_id)?;
            let members = restore_relations(connection, place, &stored)?;
            let changes = Changes::of(None, Some(&stored.document)).with_members(members);
            record(connection, &call, Operation::Restore, &stored, now, &changes)?;
            let projection = Projection::everything(resource_type);
            provider.assembler(tenant_id, resource_type, &projection).one(connection, stored)
        };
        self.store.write(write).await
    }

    /// The deleted resources of a type, latest first.
    ///
    /// # Errors
    /// Database failures.
    pub async fn list_deleted(
        &self,
        tenant_id: i64,
        resource_type: &'static ResourceType,
        limit: i64,
    ) -> Result<Vec<StoredResource>> {
        self.store
            .read(Reach::Scan, move |connection| {
                resources::list_buried(connection, tenant_id, &resource_type.name, limit)
            })
            .await
    }
}

/// Puts back what the deletion took away, as far as the others still live.
fn restore_relations(
    connection: &mut Connection,
    place: Place,
    stored: &StoredResource,
) -> Result<membership::Difference> {
    let Some(changes) = audit::last_changes(connection, place.tenant_id, &stored.id, Operation::Delete)? else {
        return Ok(membership::Difference::default());
    };
    let relation = |name: &str| -> Vec<String> {
        let ids = changes["relations"][name].as_array().map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let groups = relation("groups");
    let group_ids: Vec<&str> = groups.iter().map(String::as_str).collect();
    for group in members::resolve(connection, place.tenant_id, &group_ids)?.values() {
        members::add(connection, group.row_id, &[stored.row_id])?;
    }
    let named = relation("members");
    let ids: Vec<&str> = named.iter().map(String::as_str).collect();
    let live: HashSet<String> = members::resolve(connection, place.tenant_id, &ids)?.into_keys().collect();
    let claims: Vec<MemberClaim> = named
        .into_iter()
        .filter(|id| live.contains(id))
        .map(|value| MemberClaim { value, claimed_type: None })
        .collect();
    membership::apply(connection, place, stored, &Change::additions(&claims), Profile::Compat)
}
