//! GET of one resource (RFC 7644 §3.4.1).

use super::{Call, Provider, Representation, not_found};
use crate::auth::Access;
use crate::scim::Result;
use crate::scim::projection::Projection;
use crate::scim::schema::{ResourceType, Role};
use crate::store::{Reach, resources};

impl Provider {
    /// The live resource of that id.
    ///
    /// # Errors
    /// 404 for unknown, deleted and foreign ids; 403; database failures.
    pub async fn read(
        &self,
        call: Call,
        resource_type: &'static ResourceType,
        id: String,
        projection: Projection,
    ) -> Result<Representation> {
        call.may(Access::Read, resource_type)?;
        let provider = self.clone();
        // A group may hold a hundred thousand members.
        let members = resource_type.attribute_in_role(Role::Members);
        let shows_members = members.is_some_and(|members| projection.includes(members));
        let reach = if shows_members { Reach::Scan } else { Reach::Point };
        self.store
            .read(reach, move |connection| {
                let tenant_id = call.caller.tenant_id;
                let stored = resources::find_text(connection, tenant_id, &resource_type.name, &id)?
                    .ok_or_else(|| not_found(resource_type, &id))?;
                provider.assembler(tenant_id, resource_type, &projection).one(connection, stored)
            })
            .await
    }
}
