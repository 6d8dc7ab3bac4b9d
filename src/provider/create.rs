//! POST: a new resource (RFC 7644 §3.3).

use serde_json::{Map, Value};
use uuid::Uuid;

use super::assemble::Assembler;
use super::membership::{self, Change};
use super::record::{Changes, record};
use super::{Call, Provider, Representation, log_ignored, place, reference};
use crate::auth::Access;
use crate::scim::accept::{self, Accepted};
use crate::scim::projection::Projection;
use crate::scim::schema::ResourceType;
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::Connection;
use crate::store::audit::Operation;
use crate::store::resources;

impl Provider {
    /// Creates a resource.
    ///
    /// A user who was disabled, and whom a `compat` client posts again under the same userName and externalId, is
    /// updated and enabled under the old id: Okta assigns a person again this way.
    ///
    /// # Errors
    /// `invalidValue`, `invalidSyntax` for what the schema refuses; `uniqueness`; 403; database failures.
    pub async fn create(
        &self,
        call: Call,
        resource_type: &'static ResourceType,
        body: Map<String, Value>,
        projection: Projection,
    ) -> Result<Representation> {
        call.caller.may(Access::Write, &resource_type.endpoint)?;
        let accepted = accept::create(resource_type, &body, call.profile())?;
        log_ignored(&accepted.ignored);
        let created = self.insert(&call, resource_type, accepted.clone(), projection.clone()).await;
        match created {
            Err(error) if error.kind() == ErrorKind::Uniqueness && call.profile() == Profile::Compat => {
                self.enable_again(call, resource_type, accepted, projection, error).await
            }
            other => other,
        }
    }

    async fn insert(
        &self,
        call: &Call,
        resource_type: &'static ResourceType,
        accepted: Accepted,
        projection: Projection,
    ) -> Result<Representation> {
        let (provider, call, now) = (self.clone(), call.clone(), self.now());
        let id = Uuid::now_v7().to_string();
        let write = move |connection: &mut Connection| {
            let tenant_id = call.caller.tenant_id;
            let place = place(connection, tenant_id, resource_type)?;
            reference::check(connection, place, &accepted.document, call.profile())?;
            let stored = resources::insert(connection, place, &id, &accepted.document, now)?;
            let changes = Change::additions(accepted.members.as_deref().unwrap_or_default());
            let members = membership::apply(connection, place, &stored, &changes, call.profile())?;
            let predecessor = resources::predecessor(connection, place, &accepted.document)?;
            let changes = Changes::of(None, Some(&stored.document)).with_members(members).with_predecessor(predecessor);
            record(connection, &call, Operation::Create, &stored, now, &changes)?;
            provider.assembler(tenant_id, resource_type, &projection).one(connection, stored)
        };
        self.store.write(write).await
    }

    async fn enable_again(
        &self,
        call: Call,
        resource_type: &'static ResourceType,
        accepted: Accepted,
        projection: Projection,
        conflict: Error,
    ) -> Result<Representation> {
        if accepted.document.text("externalId").is_none() || resource_type.attribute("active").is_none() {
            return Err(conflict);
        }
        let (provider, now) = (self.clone(), self.now());
        let write = move |connection: &mut Connection| {
            let tenant_id = call.caller.tenant_id;
            let place = place(connection, tenant_id, resource_type)?;
            let Some(mut stored) = resources::lock_holder(connection, place, &accepted.document)? else {
                return Ok(None);
            };
            let is_disabled = stored.document.members().get("active") == Some(&Value::Bool(false));
            if !is_disabled || stored.document.text("externalId") != accepted.document.text("externalId") {
                return Ok(None);
            }
            let before = stored.document.clone();
            resources::replace(connection, place, &mut stored, accepted.document.clone(), now)?;
            let changes = Changes::of(Some(&before), Some(&stored.document));
            record(connection, &call, Operation::Replace, &stored, now, &changes)?;
            provider.assembler(tenant_id, resource_type, &projection).one(connection, stored).map(Some)
        };
        self.store.write(write).await?.ok_or(conflict)
    }

    pub(super) fn assembler<'a>(
        &'a self,
        tenant_id: i64,
        resource_type: &'static ResourceType,
        projection: &'a Projection,
    ) -> Assembler<'a> {
        Assembler { tenant_id, resource_type, registry: self.registry, projection, base_url: &self.base_url }
    }
}
