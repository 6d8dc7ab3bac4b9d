//! POST: a new resource (RFC 7644 §3.3).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::credential::Hashed;
use super::membership::{self, Change};
use super::record::{record, record_of_new};
use super::{Call, Provider, Representation, log_ignored, place, reference};
use crate::auth::Access;
use crate::scim::accept::{self, Accepted};
use crate::scim::password::PasswordChange;
use crate::scim::projection::Projection;
use crate::scim::schema::{ResourceType, USER_URN};
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::Connection;
use crate::store::audit::{self, Changes, Operation, Written};
use crate::store::resources::{self, NewResource, StoredResource};

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
        let accepted = accept(&call, resource_type, &body)?;
        let hashed = Hashed::of(&self.passwords, accepted.password.clone()).await?;
        let creation = Arc::new(Creation::of(&call, resource_type, accepted, hashed, self.now())?);
        let projection = Arc::new(projection.after_write(&body));
        match self.insert(&call, &creation, &projection).await {
            Err(conflict) if creation.may_enable_again(&call, &conflict) => {
                self.enable_again(call, creation, body, projection).await?.ok_or(conflict)
            }
            other => other,
        }
    }

    /// Everybody else waits for the transaction, so the representation is made after it.
    async fn insert(
        &self,
        call: &Call,
        creation: &Arc<Creation>,
        projection: &Arc<Projection>,
    ) -> Result<Representation> {
        let new = &creation.new;
        let write = {
            let (provider, call) = (self.clone(), call.clone());
            let (creation, projection) = (Arc::clone(creation), Arc::clone(projection));
            move |connection: &mut Connection| {
                let stored = creation.insert(connection, &call)?;
                let new = &creation.new;
                let assembler = provider.assembler(call.caller.tenant_id, new.resource_type(), &projection);
                Ok((assembler.others_of_new(connection, stored.row_id, new.document())?, stored))
            }
        };
        let (others, stored) = self.store.write(write).await?;
        let assembler = self.assembler(call.caller.tenant_id, new.resource_type(), projection);
        assembler.among(others, &stored.with(new.text().to_owned()))
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
            let assembler = provider.assembler(call.caller.tenant_id, creation.new.resource_type(), &projection);
            assembler.one(connection, stored.into_text()).map(Some)
        };
        self.store.write(write).await
    }
}

/// What the schema makes of the body of a caller who may create resources of this type.
///
/// # Errors
/// 403; `invalidValue`, `invalidSyntax` for what the schema refuses.
pub(super) fn accept(call: &Call, resource_type: &'static ResourceType, body: &Map<String, Value>) -> Result<Accepted> {
    call.caller.may(Access::Write, &resource_type.endpoint)?;
    let accepted = accept::create(resource_type, body, call.profile())?;
    log_ignored(&accepted.ignored);
    Ok(accepted)
}

/// A resource that a client wants to be there, accepted by its schema, to be made within a transaction. All that can be done
/// without the database is done before.
#[derive(Debug)]
pub(super) struct Creation {
    new: NewResource,
    members: Change,
    password: PasswordChange,
    hashed: Hashed,
    /// What the history says of it where the database has nothing to add, and that as it is written.
    changes: Changes,
    written: Written,
}

impl Creation {
    /// Of what the schema has accepted, with the hash of the password that it sets.
    ///
    /// # Errors
    /// A machine without randomness.
    pub(super) fn of(
        call: &Call,
        resource_type: &'static ResourceType,
        accepted: Accepted,
        hashed: Hashed,
        now: DateTime<Utc>,
    ) -> Result<Creation> {
        let Accepted { document, members, password, .. } = accepted;
        let new = NewResource::of(resource_type, Uuid::now_v7().to_string(), document, now);
        let members = Change::additions(members.unwrap_or_default());
        let changes = Changes::of(resource_type, None, Some(new.document()));
        let written = Written::of(&record_of_new(call, &new, &changes))?;
        Ok(Creation { new, members, password, hashed, changes, written })
    }

    /// Makes the resource.
    ///
    /// # Errors
    /// `uniqueness`; `invalidValue` for what it refers to; database failures.
    pub(super) fn insert(&self, connection: &mut Connection, call: &Call) -> Result<StoredResource<()>> {
        let document = self.new.document();
        let place = place(connection, call.caller.tenant_id, self.new.resource_type())?;
        reference::check(connection, place, None, document, call.profile())?;
        let stored = resources::insert(connection, place, &self.new)?;
        let members = membership::apply(connection, place, &stored, &self.members, call.profile())?;
        let predecessor = resources::predecessor(connection, place, document)?;
        let password = self.hashed.write(connection, stored.row_id, &self.password)?;
        if members.is_empty() && predecessor.is_none() && !password {
            let record = record_of_new(call, &self.new, &self.changes);
            audit::append_written(connection, &record, &self.written)?;
            return Ok(stored);
        }
        let changes = self.changes.clone().with_members(&members.added, &members.removed);
        let changes = changes.with_password(password).with_predecessor(predecessor);
        audit::append(connection, &record_of_new(call, &self.new, &changes))?;
        Ok(stored)
    }

    /// The resource as it is stored.
    pub(super) fn as_stored(&self, stored: StoredResource<()>) -> StoredResource {
        stored.with(self.new.document().clone())
    }

    /// Whether a refused insertion may mean that a disabled resource is to come back.
    pub(super) fn may_enable_again(&self, call: &Call, refusal: &Error) -> bool {
        refusal.kind() == ErrorKind::Uniqueness
            && call.profile() == Profile::Compat
            && self.new.document().text("externalId").is_some()
            && self.new.resource_type().schema.id == USER_URN
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
        let (created, resource_type) = (self.new.document(), self.new.resource_type());
        let place = place(connection, call.caller.tenant_id, resource_type)?;
        let Some(mut stored) = resources::lock_disabled_holder(connection, place, created)? else {
            return Ok(None);
        };
        let before = stored.document.clone();
        let mut document = match accept::replace(resource_type, body, &before, call.profile()) {
            Ok(accepted) => accepted.document,
            Err(error) if error.kind() == ErrorKind::Mutability => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Some(active) = resource_type.attribute("active") {
            match created.get(active) {
                Some(value) => document.set(active, value.clone()),
                None => drop(document.remove(active)),
            }
        }
        reference::check(connection, place, Some(&before), &document, call.profile())?;
        resources::replace(connection, place, &mut stored, document, now)?;
        let password = self.hashed.write(connection, stored.row_id, &self.password)?;
        let changes = Changes::of(place.resource_type, Some(&before), Some(&stored.document)).with_password(password);
        record(connection, call, Operation::Replace, &stored, now, &changes)?;
        Ok(Some(stored))
    }
}
