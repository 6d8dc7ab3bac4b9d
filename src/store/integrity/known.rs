//! The rules that rows are held to: those of tenants, of the schemas, and of both together.

use std::collections::HashMap;

use crate::scim::Result;
use crate::scim::schema::{Registry, ResourceType, Role};
use crate::store::Connection;
use crate::store::forms::Forms;
use crate::store::resources::Place;
use crate::store::tenants::{self, Tenant};

/// What is in force at one moment.
pub(super) struct Known {
    pub registry: &'static Registry,
    tenants: HashMap<i64, (Tenant, Forms)>,
}

impl Known {
    pub fn load(connection: &mut Connection, registry: &'static Registry) -> Result<Known> {
        let tenants = tenants::list_with_forms(connection)?.into_iter();
        Ok(Known { registry, tenants: tenants.map(|(tenant, forms)| (tenant.tenant_id, (tenant, forms))).collect() })
    }

    /// The name of a tenant; a number that none has as it is.
    pub fn tenant(&self, tenant_id: i64) -> String {
        self.tenants.get(&tenant_id).map_or_else(|| format!("#{tenant_id}"), |(tenant, _)| tenant.name.clone())
    }

    /// The name of an attribute in the search index, by its number.
    pub fn index_path(&self, hash: i64) -> &'static str {
        self.registry.index_path(hash).unwrap_or("an attribute that no schema has")
    }

    pub fn has_tenant(&self, tenant_id: i64) -> bool {
        self.tenants.contains_key(&tenant_id)
    }

    /// Whether the tenant is being deleted, so that parts of it may be gone.
    pub fn is_leaving(&self, tenant_id: i64) -> bool {
        self.tenants.get(&tenant_id).is_some_and(|(tenant, _)| tenant.deleted_at.is_some())
    }

    /// What holds for resources of a type in a tenant; `None` if they are kept for another definition of the type than
    /// ours, or for none: nobody here can tell what their index should be.
    pub fn place(&self, tenant_id: i64, resource_type: &str) -> Option<Place> {
        let (tenant, forms) = self.tenants.get(&tenant_id)?;
        let resource_type = self.registry.resource_type(resource_type)?;
        forms.check(resource_type).ok()?;
        Some(Place { tenant_id, settings: tenant.settings, resource_type })
    }
}

/// Whether resources of this type have members.
pub(super) fn has_members(registry: &Registry, resource_type: &str) -> bool {
    let members = |one: &ResourceType| one.attribute_in_role(Role::Members).is_some();
    registry.resource_type(resource_type).is_some_and(members)
}

/// Whether a resource of the one type may be a member of one of the other.
pub(super) fn may_be_member(registry: &Registry, group_type: &str, member_type: &str) -> bool {
    let members = registry.resource_type(group_type).and_then(|group| group.attribute_in_role(Role::Members));
    let reference = members.and_then(|members| members.sub_attribute("$ref"));
    reference.is_some_and(|reference| reference.reference_types.iter().any(|one| one == member_type))
}
