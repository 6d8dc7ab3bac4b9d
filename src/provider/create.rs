//! POST: a new resource (RFC 7644 §3.3).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::credential::Hashed;
use super::membership::{self, Change};
use super::record::record;
use super::{Call, Provider, Representation, log_ignored, place, reference};
use crate::auth::Access;
use crate::scim::accept::{self, Accepted};
use crate::scim::projection::Projection;
use crate::scim::schema::{ResourceType, USER_URN};
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::Connection;
use crate::store::audit::{Changes, Operation};
use crate::store::resources::{self, StoredResource};

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
        let creation = Creation::accept(&call, resource_type, &body)?;
        let hashed = Hashed::of(&self.passwords, creation.accepted.password.clone()).await?;
        let creation = Arc::new(creation.with(hashed));
        let projection = Arc::new(projection.after_write(&body));
        match self.insert(&call, &creation, &projection).await {
            Err(conflict) if creation.may_enable_again(&call, &conflict) => {
                self.enable_again(call, creation, body, projection).await?.ok_or(conflict)
            }
            other => other,
        }
    }

    async fn insert(
        &self,
        call: &Call,
        creation: &Arc<Creation>,
        projection: &Arc<Projection>,
    ) -> Result<Representation> {
        let (call, creation, projection) = (call.clone(), Arc::clone(creation), Arc::clone(projection));
        let (provider, now) = (self.clone(), self.now());
        let write = move |connection: &mut Connection| {
            let stored = creation.insert(connection, &call, now)?;
            let assembler = provider.assembler(call.caller.tenant_id, creation.resource_type, &projection);
            assembler.made(connection, stored.into_text())
        };
        self.store.write(write).await
    }

    /// On a transaction of its own: a refused insertion leaves PostgreSQL's of no use.
    async fn enable_again(
        &self,
        call: Call,
        creation: Arc<Creation>,
        body: Map<String, Value>,
        projection: Arc<Projection>,
    ) -> Result<Option<Representation>> {
        let (provider, now) = (self.clone(), self.now());
        let write = move |connection: &mut Connection| {
            let Some(stored) = creation.enable_again(connection, &call, &body, now)? else {
                return Ok(None);
            };
            let assembler = provider.assembler(call.caller.tenant_id, creation.resource_type, &projection);
            assembler.one(connection, stored.into_text()).map(Some)
        };
        self.store.write(write).await
    }
}

/// A resource that a client wants to be there, accepted by its schema, to be made within a transaction.
#[derive(Debug)]
pub(super) struct Creation {
    resource_type: &'static ResourceType,
    accepted: Accepted,
    hashed: Hashed,
}

impl Creation {
    /// Of the body of a caller who may create resources of this type.
    ///
    /// # Errors
    /// 403; `invalidValue`, `invalidSyntax` for what the schema refuses.
    pub(super) fn accept(
        call: &Call,
        resource_type: &'static ResourceType,
        body: &Map<String, Value>,
    ) -> Result<Creation> {
        call.caller.may(Access::Write, &resource_type.endpoint)?;
        let accepted = accept::create(resource_type, body, call.profile())?;
        log_ignored(&accepted.ignored);
        Ok(Creation { resource_type, accepted, hashed: Hashed::default() })
    }

    /// The same, with the hash of the password that it sets.
    pub(super) fn with(self, hashed: Hashed) -> Creation {
        Creation { hashed, ..self }
    }

    /// Makes the resource.
    ///
    /// # Errors
    /// `uniqueness`; `invalidValue` for what it refers to; database failures.
    pub(super) fn insert(
        &self,
        connection: &mut Connection,
        call: &Call,
        now: DateTime<Utc>,
    ) -> Result<StoredResource> {
        let document = &self.accepted.document;
        let place = place(connection, call.caller.tenant_id, self.resource_type)?;
        reference::check(connection, place, None, document, call.profile())?;
        let id = Uuid::now_v7().to_string();
        let stored = resources::insert(connection, place, &id, document, now)?;
        let changes = Change::additions(self.accepted.members.as_deref().unwrap_or_default());
        let members = membership::apply(connection, place, &stored, &changes, call.profile())?;
        let predecessor = resources::predecessor(connection, place, document)?;
        let password = self.hashed.write(connection, stored.row_id, &self.accepted.password)?;
        let changes = Changes::of(place.resource_type, None, Some(&stored.document))
            .with_members(&members.added, &members.removed)
            .with_password(password)
            .with_predecessor(predecessor);
        record(connection, call, Operation::Create, &stored, now, &changes)?;
        Ok(stored)
    }

    /// Whether a refused insertion may mean that a disabled resource is to come back.
    pub(super) fn may_enable_again(&self, call: &Call, refusal: &Error) -> bool {
        refusal.kind() == ErrorKind::Uniqueness
            && call.profile() == Profile::Compat
            && self.accepted.document.text("externalId").is_some()
            && self.resource_type.schema.id == USER_URN
    }

    /// Updates and enables the disabled resource that has the same unique value and the same `externalId`; `None` if
    /// there is none, or if it has something else where the body, which this creation was accepted from, gives what can
    /// be set once. What a PUT of the body would keep is kept, `active` excepted.
    ///
    /// # Errors
    /// `uniqueness`; `invalidValue` for what it refers to; database failures.
    pub(super) fn enable_again(
        &self,
        connection: &mut Connection,
        call: &Call,
        body: &Map<String, Value>,
        now: DateTime<Utc>,
    ) -> Result<Option<StoredResource>> {
        let created = &self.accepted.document;
        let place = place(connection, call.caller.tenant_id, self.resource_type)?;
        let Some(mut stored) = resources::lock_disabled_holder(connection, place, created)? else {
            return Ok(None);
        };
        let before = stored.document.clone();
        let mut document = match accept::replace(self.resource_type, body, &before, call.profile()) {
            Ok(accepted) => accepted.document,
            Err(error) if error.kind() == ErrorKind::Mutability => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Some(active) = self.resource_type.attribute("active") {
            match created.get(active) {
                Some(value) => document.set(active, value.clone()),
                None => drop(document.remove(active)),
            }
        }
        reference::check(connection, place, Some(&before), &document, call.profile())?;
        resources::replace(connection, place, &mut stored, document, now)?;
        let password = self.hashed.write(connection, stored.row_id, &self.accepted.password)?;
        let changes = Changes::of(place.resource_type, Some(&before), Some(&stored.document)).with_password(password);
        record(connection, call, Operation::Replace, &stored, now, &changes)?;
        Ok(Some(stored))
    }
}
