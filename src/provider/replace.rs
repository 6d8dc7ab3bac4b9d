//! PUT: a whole new state (RFC 7644 §3.5.1).

use serde_json::{Map, Value};

use super::membership::{self, Change};
use super::record::{Changes, record};
use super::{Call, Provider, Representation, Target, lock_expected, log_ignored, place, reference};
use crate::auth::Access;
use crate::scim::Result;
use crate::scim::accept;
use crate::scim::projection::Projection;
use crate::store::Connection;
use crate::store::audit::Operation;
use crate::store::resources;

impl Provider {
    /// Replaces a resource. A PUT that changes nothing keeps the version and moves `lastModified` all the same: Pocket
    /// ID repeats it every hour otherwise.
    ///
    /// # Errors
    /// As [`Provider::create`]; 404; 412; `mutability`.
    pub async fn replace(
        &self,
        call: Call,
        target: Target,
        body: Map<String, Value>,
        projection: Projection,
    ) -> Result<Representation> {
        let Target { resource_type, id, preconditions } = target;
        call.caller.may(Access::Write, &resource_type.endpoint)?;
        let (provider, now) = (self.clone(), self.now());
        let write = move |connection: &mut Connection| {
            let tenant_id = call.caller.tenant_id;
            let place = place(connection, tenant_id, resource_type)?;
            let mut stored = lock_expected(connection, place, &id, &preconditions)?;
            let accepted = accept::replace(resource_type, &body, &stored.document, call.profile())?;
            log_ignored(&accepted.ignored);
            reference::check(connection, place, &accepted.document, call.profile())?;
            let members = match &accepted.members {
                Some(claims) => {
                    membership::apply(connection, place, &stored, &Change::replacement(claims), call.profile())?
                }
                None => membership::Difference::default(),
            };
            let before = stored.document.clone();
            if accepted.document != before {
                resources::replace(connection, place, &mut stored, accepted.document, now)?;
            } else {
                resources::touch(connection, &mut stored, !members.is_empty(), now)?;
            }
            let changes = Changes::of(Some(&before), Some(&stored.document)).with_members(members);
            if !changes.is_empty() {
                record(connection, &call, Operation::Replace, &stored, now, &changes)?;
            }
            provider.assembler(tenant_id, resource_type, &projection).one(connection, stored)
        };
        self.store.write(write).await
    }
}
