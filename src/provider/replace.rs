//! PUT: a whole new state (RFC 7644 §3.5.1).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::assemble::Others;
use super::credential::Hashed;
use super::membership::{self, Change};
use super::record::record;
use super::{Call, Provider, Representation, Target, lock_expected, log_ignored, reference};
use crate::auth::Access;
use crate::scim::Result;
use crate::scim::accept::{self, Accepted};
use crate::scim::patch::looks;
use crate::scim::projection::Projection;
use crate::store::Connection;
use crate::store::audit::{self, Changes, Operation};
use crate::store::resources::{self, StoredResource, StoredText};

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
        let (tenant_id, resource_type) = (call.caller.tenant_id, target.resource_type);
        let projection = projection.after_write(&body);
        let replacement = Replacement::of(&call, target, body)?;
        let hashed = Hashed::of_body(&self.passwords, resource_type, &replacement.body, call.profile()).await?;
        let replacement = replacement.with(hashed);
        let projection = Arc::new(projection);
        if let Some((stored, others)) = self.replace_with_others(&call, &replacement, &projection).await? {
            return self.shown(tenant_id, &projection, others, stored).await;
        }
        let now = self.now();
        let write = {
            let (provider, projection) = (self.clone(), Arc::clone(&projection));
            move |connection: &mut Connection| {
                let stored = replacement.make(connection, &call, now)?;
                let assembler = provider.assembler(tenant_id, resource_type, &projection);
                Ok((assembler.others(connection, &stored)?, stored))
            }
        };
        let (others, stored) = self.store.write(write).await?;
        self.shown(tenant_id, &projection, others, stored.into_text()).await
    }

    /// Makes what concerns nobody else, together with what others write at the moment, where that spares round trips; `None`,
    /// and nothing is done, if it has to be made by itself.
    async fn replace_with_others(
        &self,
        call: &Call,
        replacement: &Replacement,
        projection: &Projection,
    ) -> Result<Option<(StoredText, Others)>> {
        let Replacement { target, body, .. } = replacement;
        let looks = || looks(body.values());
        let Some(revisable) = self.find_to_revise(call, target, projection, looks).await? else { return Ok(None) };
        let accepted = accept::replace(target.resource_type, body, &revisable.document, call.profile());
        let Some(accepted) = accepted.ok().filter(Accepted::is_all_in_its_document) else { return Ok(None) };
        let replaced = self.revise(call, Operation::Replace, revisable, &accepted.document).await?;
        if replaced.is_some() {
            log_ignored(&accepted.ignored);
        }
        Ok(replaced)
    }
}

/// A whole new state of a resource, to be made within a transaction.
#[derive(Debug)]
pub(super) struct Replacement {
    target: Target,
    body: Map<String, Value>,
    hashed: Hashed,
}

impl Replacement {
    /// By a caller who may write the resource. The body is accepted when the state before is known.
    ///
    /// # Errors
    /// 403.
    pub(super) fn of(call: &Call, target: Target, body: Map<String, Value>) -> Result<Replacement> {
        call.may(Access::Write, target.resource_type)?;
        Ok(Replacement { target, body, hashed: Hashed::default() })
    }

    /// The same, with the hash of the password that it sets.
    pub(super) fn with(self, hashed: Hashed) -> Replacement {
        Replacement { hashed, ..self }
    }

    /// Replaces the resource.
    ///
    /// # Errors
    /// `invalidValue`, `invalidSyntax` for what the schema refuses; `mutability`; `uniqueness`; 404; 412; database
    /// failures.
    pub(super) fn make(&self, connection: &mut Connection, call: &Call, now: DateTime<Utc>) -> Result<StoredResource> {
        let resource_type = self.target.resource_type;
        let (place, mut stored) = lock_expected(connection, call, &self.target)?;
        let accepted = accept::replace(resource_type, &self.body, &stored.document, call.profile())?;
        log_ignored(&accepted.ignored);
        reference::check(connection, place, Some(&stored.document), &accepted.document, call.profile())?;
        let members = match &accepted.members {
            Some(claims) => {
                membership::apply(connection, place, &stored, &Change::replacement(claims), call.profile())?
            }
            None => membership::Difference::default(),
        };
        let password = self.hashed.write(connection, stored.row_id, &accepted.password)?;
        let before = stored.document.clone();
        call.may_change(resource_type, &before, &accepted.document)?;
        if accepted.document != before {
            resources::replace(connection, place, &mut stored, accepted.document, now)?;
        } else {
            resources::touch(connection, &mut stored, password || !members.is_empty(), now)?;
        }
        let changes = Changes::of(place.resource_type, Some(&before), Some(&stored.document))
            .with_members(&members.added, &members.removed)
            .with_password(password);
        if changes.is_empty() {
            audit::touch(connection, stored.row_id, stored.meta.last_modified)?;
        } else {
            record(connection, call, Operation::Replace, &stored, now, &changes)?;
        }
        Ok(stored)
    }
}
